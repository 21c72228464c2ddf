//! The forms of values that several sections use.

#[cfg(test)]
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::marker::PhantomData;

use super::declare::Form;
use super::reader::{Field, Reader};
#[cfg(test)]
use super::reference;
use crate::http::is_token;
use crate::json::{Number, Value};
use crate::jwt::ClaimPath;
use crate::url::HttpUrl;

/// A string that is not empty.
pub(super) struct Text;

/// A list of strings, or a single string.
pub(super) struct Texts;

/// The name of a claim, or a path of names.
pub(super) struct ClaimPathForm;

/// A value of another form, on a condition.
pub(super) struct Checked<C>(PhantomData<C>);

/// The condition of a [`Checked`] value.
pub(super) trait Check: 'static {
    type Base: Form;

    /// What the value must be.
    const MESSAGE: &'static str;

    fn is_valid(value: &<Self::Base as Form>::Value) -> bool;
}

/// Like [`Texts`], one of which must match. An empty list would require nothing, and look as if it did.
pub(super) type OneOf = Checked<NotEmpty>;

/// Like [`Texts`], of names in the sense of HTTP: header names, methods.
pub(super) type Names = Checked<HttpNames>;

/// A whole number within these bounds. A string of digits counts too, since variables hold strings.
pub(super) struct Whole<const MIN: u32, const MAX: u32>;

/// `true` or `false`.
pub(super) struct Flag;

/// One of some words.
pub(super) struct Choice<W>(PhantomData<W>);

/// An https URL; http only on loopback.
pub(super) type Url = Checked<SecureUrl>;

/// A list of sections.
pub(super) struct List<F>(PhantomData<F>);

/// The words of a [`Choice`].
pub(super) trait Words: Copy + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

pub(super) const NOT_SECURE: &str = "must be an https URL (http is allowed on loopback only)";

impl Form for Text {
    type Value = String;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<String> {
        reader.text(field)
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Text
    }

    #[cfg(test)]
    fn shown(value: &String) -> String {
        format!("{value:?}")
    }
}

impl Form for Texts {
    type Value = Vec<String>;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<String>> {
        match field.value {
            Value::String(_) => Some(Vec::from([reader.text(field)?])),
            Value::Array(array) => {
                let mut all = Vec::new();
                let mut is_complete = true;
                for (index, value) in array.iter().enumerate() {
                    match reader.text(&field.element(index, value)) {
                        Some(text) => all.push(text),
                        None => is_complete = false,
                    }
                }
                is_complete.then_some(all)
            }
            _ => {
                reader.error(&field.place, "must be a string or a list of strings");
                None
            }
        }
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Texts
    }

    #[cfg(test)]
    fn shown(value: &Vec<String>) -> String {
        format!("{value:?}")
    }
}

/// The condition of [`OneOf`].
pub(super) struct NotEmpty;

impl Check for NotEmpty {
    type Base = Texts;

    const MESSAGE: &'static str = "must not be empty: without the key, there is no such rule";

    fn is_valid(texts: &Vec<String>) -> bool {
        !texts.is_empty()
    }
}

impl Form for ClaimPathForm {
    type Value = ClaimPath;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<ClaimPath> {
        let names = Texts::read(reader, field)?;
        if names.is_empty() {
            reader.error(&field.place, "must not be empty");
            return None;
        }
        Some(names.into_iter().collect())
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Texts
    }
}

impl<C: Check> Form for Checked<C> {
    type Value = <C::Base as Form>::Value;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Self::Value> {
        let value = C::Base::read(reader, field)?;
        let is_valid = C::is_valid(&value);
        if !is_valid {
            reader.error(&field.place, C::MESSAGE);
        }
        is_valid.then_some(value)
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        C::Base::form()
    }

    #[cfg(test)]
    fn shown(value: &Self::Value) -> String {
        C::Base::shown(value)
    }
}

pub(super) struct HttpNames;

impl Check for HttpNames {
    type Base = Texts;

    const MESSAGE: &'static str = "must hold names only";

    fn is_valid(names: &Vec<String>) -> bool {
        names.iter().all(|name| is_token(name))
    }
}

pub(super) struct SecureUrl;

impl Check for SecureUrl {
    type Base = Text;

    const MESSAGE: &'static str = NOT_SECURE;

    fn is_valid(text: &String) -> bool {
        HttpUrl::parse(text).is_some_and(|url| url.is_secure())
    }
}

/// Whether a text is the identifier of an issuer (OpenID Connect Discovery §3) or of a resource (RFC 9728 §1.2): an https URL without
/// query and fragment; http only on loopback and on `http_hosts`.
pub(super) fn is_identifier(reader: &mut Reader<'_>, place: &str, text: &str, http_hosts: &[String]) -> bool {
    let message = match HttpUrl::parse(text) {
        Some(url) if !url.is_secure() && !url.is_on(http_hosts) => NOT_SECURE,
        Some(_) if !text.contains('?') => return true,
        _ => "must be an https URL without query and fragment",
    };
    reader.error(place, message);
    false
}

impl<const MIN: u32, const MAX: u32> Form for Whole<MIN, MAX> {
    type Value = u32;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<u32> {
        whole(reader, field, MIN, MAX)
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Whole { min: MIN, max: MAX }
    }

    #[cfg(test)]
    fn shown(value: &u32) -> String {
        format!("{value}")
    }
}

fn whole(reader: &mut Reader<'_>, field: &Field<'_>, min: u32, max: u32) -> Option<u32> {
    let number = match field.value {
        Value::Number(Number::Unsigned(number)) => u32::try_from(number).ok(),
        Value::String(_) => reader.string(field)?.parse().ok(),
        _ => None,
    };
    let number = number.filter(|number| (min..=max).contains(number));
    if number.is_none() {
        reader.error(&field.place, format_args!("must be a whole number from {min} to {max}"));
    }
    number
}

impl Form for Flag {
    type Value = bool;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<bool> {
        if let Value::Bool(value) = field.value {
            return Some(value);
        }
        reader.error(&field.place, "must be true or false");
        None
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Flag
    }

    #[cfg(test)]
    fn shown(value: &bool) -> String {
        format!("{value}")
    }
}

impl<W: Words> Form for Choice<W> {
    type Value = W;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<W> {
        let words: Vec<&str> = W::WORDS.iter().map(|(word, _)| *word).collect();
        let at = reader.choose(field, &words)?;
        W::WORDS.get(at).map(|(_, value)| *value)
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Words(W::WORDS.iter().map(|(word, _)| *word).collect())
    }

    #[cfg(test)]
    fn shown(value: &W) -> String {
        let is_it = |one: &W| core::mem::discriminant(one) == core::mem::discriminant(value);
        W::WORDS.iter().find(|(_, one)| is_it(one)).map(|(word, _)| format!("\"{word}\"")).unwrap()
    }
}

impl<F: Form> Form for List<F> {
    /// The elements that are valid, each with its place, and whether that is all of them.
    type Value = Elements<F::Value>;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Elements<F::Value>> {
        let Some(array) = field.value.as_array() else {
            reader.error(&field.place, "must be a list of objects");
            return None;
        };
        let mut elements = Elements { valid: Vec::new(), is_complete: true };
        for (index, value) in array.iter().enumerate() {
            let element = field.element(index, value);
            match F::read(reader, &element) {
                Some(value) => elements.valid.push((element.place, value)),
                None => elements.is_complete = false,
            }
        }
        Some(elements)
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::List(F::form().into())
    }
}

/// The elements of a [`List`].
pub(super) struct Elements<T> {
    /// Each with its place.
    pub(super) valid: Vec<(String, T)>,
    /// Whether every element is valid.
    pub(super) is_complete: bool,
}
