//! The declaration of a section: one list of keys that yields its type and its reader, and in tests its reference.
//!
//! ```text
//! section! {
//!     /// What the section is for.
//!     pub(super) struct Example {
//!         /// What the key means. The default and the variables are added by the reference.
//!         optional: Text;
//!         /// Its value without the key.
//!         defaulted: Flag = true;
//!         /// The first of these variables that is set stands in for the key.
//!         from_variable: Text, env ["NAME"];
//!         /// The text completes "is missing: …".
//!         needed as "type": Text, required "what to write";
//!     }
//! }
//! ```
//!
//! The macro makes a type with a method for each key: it returns a [`Setting`], or the value itself where there is a default. What is
//! wrong with a value is reported where it is read; the checks that follow look at values that are there, so that one mistake is one
//! problem.
//!
//! Sections are read by one loop over their keys, into values of any type: a reader of its own for each would be a tenth of the
//! Worker.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::any::Any;

use super::reader::{Field, Reader, Section};
#[cfg(test)]
use super::reference;

/// The form of a value: how it is read, and in tests how it is described.
pub(super) trait Form {
    type Value: 'static;

    /// Reads the value. `None` if it is wrong, which has been reported.
    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Self::Value>;

    #[cfg(test)]
    fn form() -> reference::Form;

    /// A default, as JSON.
    #[cfg(test)]
    fn shown(_: &Self::Value) -> String {
        unimplemented!("a form whose keys have no defaults")
    }
}

/// A section of the document.
pub(super) trait Declared: Sized + 'static {
    /// The keys, in the order of their declaration.
    const KEYS: &'static [Key];

    fn from_values(values: Values) -> Self;

    #[cfg(test)]
    fn reference() -> reference::Section;

    /// Reads a section, in which other keys are reported.
    fn read_section(reader: &mut Reader<'_>, section: &Section<'_>) -> Self {
        reader.refuse_unknown(section, None, Self::KEYS);
        Self::from_values(Values::read(reader, section, Self::KEYS))
    }
}

impl<D: Declared> Form for D {
    type Value = D;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<D> {
        let section = reader.object(field)?;
        Some(D::read_section(reader, &section))
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Section(D::reference())
    }
}

/// A key, as it is declared.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// The first of these variables that is set stands in for the key.
    pub(super) variables: &'static [&'static str],
    /// Completes "is missing: …" for a key that must be there.
    pub(super) required: Option<&'static str>,
    pub(super) read: ReadAny,
}

type ReadAny = fn(&mut Reader<'_>, &Field<'_>) -> Option<Box<dyn Any>>;

/// Reads a value of this form.
pub(super) fn read_any<F: Form>(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Box<dyn Any>> {
    F::read(reader, field).map(|value| Box::new(value) as _)
}

/// The values of a section, by the position of their key.
pub(super) struct Values {
    place: String,
    keys: &'static [Key],
    values: Vec<Slot>,
}

#[derive(Default)]
struct Slot {
    value: Option<Box<dyn Any>>,
    /// The variable that it comes from.
    variable: Option<&'static str>,
    is_invalid: bool,
}

impl Values {
    /// Reads the keys of a section.
    pub(super) fn read(reader: &mut Reader<'_>, section: &Section<'_>, keys: &'static [Key]) -> Self {
        let values = keys.iter().map(|key| Slot::read(reader, section, key)).collect();
        Self { place: section.place.clone(), keys, values }
    }

    /// The setting of a key, by its position.
    pub(super) fn get<T: 'static>(&self, at: usize) -> Setting<'_, T> {
        let slot = self.values.get(at);
        Setting {
            section: &self.place,
            name: self.keys.get(at).map_or("", |key| key.name),
            variable: slot.and_then(|slot| slot.variable),
            value: slot.and_then(|slot| slot.value.as_ref()?.downcast_ref()),
            is_invalid: slot.is_none_or(|slot| slot.is_invalid),
        }
    }
}

impl Slot {
    fn read(reader: &mut Reader<'_>, section: &Section<'_>, key: &Key) -> Self {
        if let Some(field) = section.get(key.name) {
            let value = (key.read)(reader, &field);
            return Self { is_invalid: value.is_none(), value, variable: None };
        }
        let found = key.variables.iter().find_map(|variable| Some((*variable, reader.stand_in(variable)?)));
        if let Some((variable, text)) = found {
            let value = (key.read)(reader, &Field::of_variable(variable, &text));
            return Self { is_invalid: value.is_none(), value, variable: Some(variable) };
        }
        if let Some(field) = section.preset(key.name) {
            let value = (key.read)(reader, &field);
            return Self { is_invalid: value.is_none(), value, variable: None };
        }
        if let Some(what_to_write) = key.required {
            reader.error_missing(&section.at(key.name), what_to_write);
        }
        Self { is_invalid: key.required.is_some(), ..Self::default() }
    }
}

/// What is given for a key.
pub(super) struct Setting<'c, T> {
    section: &'c str,
    name: &'static str,
    variable: Option<&'static str>,
    pub(super) value: Option<&'c T>,
    /// Given but wrong, or required and missing; which has been reported.
    pub(super) is_invalid: bool,
}

impl<'c, T> Setting<'c, T> {
    /// A setting that is not given.
    pub(super) fn absent() -> Self {
        Self { section: "", name: "", variable: None, value: None, is_invalid: false }
    }

    /// The place of the value, or of the key where it is absent.
    pub(super) fn place(&self) -> String {
        match self.variable {
            Some(variable) => place_of_variable(variable),
            None if self.section.is_empty() => self.name.into(),
            None => format!("{}.{}", self.section, self.name),
        }
    }

    /// Neither the key nor a variable in its place is given.
    pub(super) fn is_absent(&self) -> bool {
        self.value.is_none() && !self.is_invalid
    }

    /// A copy of the value.
    pub(super) fn cloned(&self) -> Option<T>
    where
        T: Clone,
    {
        self.value.cloned()
    }
}

impl<'c, T> Setting<'c, Vec<T>> {
    /// The elements; none where the key is absent.
    pub(super) fn items(&self) -> &'c [T] {
        self.value.map_or(&[], Vec::as_slice)
    }
}

/// The place of a value that a variable gives.
pub(super) fn place_of_variable(variable: &str) -> String {
    format!("{variable} (environment)")
}

impl Reader<'_> {
    pub(super) fn error_missing(&mut self, place: &str, what_to_write: &str) {
        let separator = if what_to_write.is_empty() { "" } else { ": " };
        self.error(place, format_args!("is missing{separator}{what_to_write}"));
    }
}

macro_rules! section {
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident {
            $( $(#[doc = $key_doc:literal])* $key:ident $(as $text:literal)? : $form:ty $(, env [$($variable:literal),+])? $(, required $message:literal)? $(= $default:expr)? ; )*
        }
    ) => {
        $(#[doc = $doc])*
        $vis struct $name($crate::gateway::config::declare::Values);

        #[allow(dead_code, reason = "a key that only editors read has a method, too")]
        impl $name {
            section!(@methods 0_usize; $( $(#[doc = $key_doc])* $key: $form $(= $default)? ; )*);
        }

        impl $crate::gateway::config::declare::Declared for $name {
            const KEYS: &'static [$crate::gateway::config::declare::Key] = &[$(
                $crate::gateway::config::declare::Key {
                    name: section!(@text $key $($text)?),
                    variables: &[$($($variable),+)?],
                    required: section!(@option $($message)?),
                    read: $crate::gateway::config::declare::read_any::<$form>,
                }
            ),*];

            fn from_values(values: $crate::gateway::config::declare::Values) -> Self {
                Self(values)
            }

            #[cfg(test)]
            fn reference() -> $crate::gateway::config::reference::Section {
                use $crate::gateway::config::declare::Form;
                use $crate::gateway::config::reference::{Key, Section};
                Section {
                    name: stringify!($name),
                    doc: concat!($($doc),*).trim().into(),
                    keys: alloc::vec![$( Key {
                        name: section!(@text $key $($text)?),
                        doc: concat!($($key_doc),*).trim().into(),
                        form: <$form as Form>::form(),
                        variables: &[$($($variable),+)?],
                        is_required: section!(@option $($message)?).is_some(),
                        default: None $(.or(Some(<$form as Form>::shown(&$default.into()))))?,
                    } ),*],
                }
            }
        }
    };
    // A method for each key, which finds its value by position.
    (@methods $at:expr;) => {};
    (@methods $at:expr; $(#[doc = $doc:literal])* $key:ident: $form:ty; $($rest:tt)*) => {
        $(#[doc = $doc])*
        pub(super) fn $key(
            &self,
        ) -> $crate::gateway::config::declare::Setting<'_, <$form as $crate::gateway::config::declare::Form>::Value> {
            self.0.get($at)
        }
        section!(@methods $at + 1; $($rest)*);
    };
    (@methods $at:expr; $(#[doc = $doc:literal])* $key:ident: $form:ty = $default:expr; $($rest:tt)*) => {
        $(#[doc = $doc])*
        pub(super) fn $key(&self) -> <$form as $crate::gateway::config::declare::Form>::Value {
            self.0.get::<<$form as $crate::gateway::config::declare::Form>::Value>($at).cloned().unwrap_or_else(|| $default.into())
        }
        section!(@methods $at + 1; $($rest)*);
    };
    (@text $key:ident) => { stringify!($key) };
    (@text $key:ident $text:literal) => { $text };
    (@option) => { None::<&str> };
    (@option $message:literal) => { Some($message) };
}

/// A section in several forms, told apart by one key.
macro_rules! variants {
    (
        $(#[doc = $doc:literal])*
        $vis:vis enum $name:ident by $tag:literal {
            $( $(#[doc = $variant_doc:literal])* $variant:ident($section:ty) = $($word:literal)|+ ; )*
        }
    ) => {
        $(#[doc = $doc])*
        #[allow(dead_code, reason = "some variants have no keys of their own")]
        $vis enum $name {
            $( $(#[doc = $variant_doc])* $variant($section), )*
        }

        impl $crate::gateway::config::declare::Form for $name {
            type Value = Self;

            fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Self> {
                use $crate::gateway::config::declare::{Declared, read_variant};
                let words = &[$($($word),+),*];
                let keys = |word: &str| match word {
                    $( $($word)|+ => <$section as Declared>::KEYS, )*
                    _ => &[],
                };
                let (word, values) = read_variant(reader, field, $tag, words, keys)?;
                match word {
                    $( $($word)|+ => Some(Self::$variant(<$section as Declared>::from_values(values))), )*
                    _ => None,
                }
            }

            #[cfg(test)]
            fn form() -> $crate::gateway::config::reference::Form {
                use $crate::gateway::config::declare::Declared;
                use $crate::gateway::config::reference::{Form, Variant};
                Form::Variants {
                    name: stringify!($name),
                    doc: concat!($($doc),*).trim().into(),
                    tag: $tag,
                    variants: alloc::vec![$( Variant {
                        words: &[$($word),+],
                        doc: concat!($($variant_doc),*).trim().into(),
                        section: <$section as Declared>::reference(),
                    } ),*],
                }
            }
        }
    };
}

/// Reads a section in one of several forms: which one, and its values.
pub(super) fn read_variant<'w>(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    tag: &'static str,
    words: &[&'w str],
    keys: impl Fn(&str) -> &'static [Key],
) -> Option<(&'w str, Values)> {
    let section = reader.object(field)?;
    let Some(field) = section.get(tag) else {
        reader.error_missing(&section.at(tag), &format!("one of {}", words.join(", ")));
        return None;
    };
    let word = reader.choose(&field, words).and_then(|at| words.get(at).copied())?;
    let keys = keys(word);
    reader.refuse_unknown(&section, Some(tag), keys);
    Some((word, Values::read(reader, &section, keys)))
}

pub(super) use {section, variants};
