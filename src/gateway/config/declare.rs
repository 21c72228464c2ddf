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
//! A member is a [`Setting`], or the value itself where there is a default. What is wrong with a value is reported where it is read;
//! the checks that follow look at values that are there, so that one mistake is one problem.

use alloc::string::String;
use alloc::vec::Vec;

use super::reader::{Field, Reader, Section};
#[cfg(test)]
use super::reference;

/// The form of a value: how it is read, and in tests how it is described.
pub(super) trait Form {
    type Value;

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
pub(super) trait Declared: Sized {
    /// The keys, in the order of their declaration.
    const KEYS: &'static [&'static str];

    /// Reads the keys of a section. What else it holds is reported before.
    fn read(reader: &mut Reader<'_>, section: &Section<'_>) -> Self;

    #[cfg(test)]
    fn reference() -> reference::Section;
}

impl<D: Declared> Form for D {
    type Value = D;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<D> {
        let section = reader.object(field)?;
        reader.refuse_unknown(&section, D::KEYS);
        Some(D::read(reader, &section))
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Section(D::reference())
    }
}

/// A key without a default.
pub(super) struct Setting<T> {
    /// The place of the value, or of the key where it is absent.
    pub(super) place: String,
    pub(super) value: Option<T>,
    /// Given, but wrong, which has been reported.
    pub(super) is_invalid: bool,
}

impl<T> Setting<T> {
    /// Neither the key nor a variable in its place is given.
    pub(super) fn is_absent(&self) -> bool {
        self.value.is_none() && !self.is_invalid
    }

    pub(super) fn as_ref(&self) -> Option<&T> {
        self.value.as_ref()
    }
}

impl<T: Clone> Setting<T> {
    pub(super) fn to_value(&self) -> Option<T> {
        self.value.clone()
    }
}

impl<T> Setting<Vec<T>> {
    /// The elements; none where the key is absent.
    pub(super) fn items(&self) -> &[T] {
        self.value.as_deref().unwrap_or_default()
    }
}

impl Reader<'_> {
    /// A key that may be absent.
    pub(super) fn setting<F: Form>(
        &mut self,
        section: &Section<'_>,
        name: &str,
        variables: &[&str],
    ) -> Setting<F::Value> {
        self.with_field(section, name, variables, |reader, field| match field {
            Some(field) => {
                let value = F::read(reader, field);
                Setting { place: field.place.clone(), is_invalid: value.is_none(), value }
            }
            None => Setting { place: section.at(name), value: None, is_invalid: false },
        })
    }

    /// A key that must be there.
    pub(super) fn required<F: Form>(
        &mut self,
        section: &Section<'_>,
        name: &str,
        what_to_write: &str,
    ) -> Setting<F::Value> {
        let mut setting = self.setting::<F>(section, name, &[]);
        if setting.is_absent() {
            setting.is_invalid = true;
            self.error_missing(&setting.place, what_to_write);
        }
        setting
    }

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
        $vis struct $name {
            $( $(#[doc = $key_doc])* pub(super) $key: section!(@type $form $(= $default)?), )*
        }

        impl $crate::gateway::config::declare::Declared for $name {
            const KEYS: &'static [&'static str] = &[$( section!(@text $key $($text)?) ),*];

            fn read(reader: &mut Reader<'_>, section: &Section<'_>) -> Self {
                Self {
                    $( $key: section!(
                        @read reader, section, section!(@text $key $($text)?), $form
                        $(, env [$($variable),+])? $(, required $message)? $(= $default)?
                    ), )*
                }
            }

            #[cfg(test)]
            fn reference() -> $crate::gateway::config::reference::Section {
                use $crate::gateway::config::reference::{Key, Section};
                Section {
                    name: stringify!($name),
                    doc: concat!($($doc),*).trim().into(),
                    keys: alloc::vec![$( Key {
                        name: section!(@text $key $($text)?),
                        doc: concat!($($key_doc),*).trim().into(),
                        form: <$form as $crate::gateway::config::declare::Form>::form(),
                        variables: &[$($($variable),+)?],
                        is_required: section!(@is_given $($message)?),
                        default: None $(.or(Some(<$form as $crate::gateway::config::declare::Form>::shown(&$default.into()))))?,
                    } ),*],
                }
            }
        }
    };
    (@type $form:ty) => { $crate::gateway::config::declare::Setting<<$form as $crate::gateway::config::declare::Form>::Value> };
    (@type $form:ty = $default:expr) => { <$form as $crate::gateway::config::declare::Form>::Value };
    (@is_given) => { false };
    (@is_given $message:literal) => { true };
    (@text $key:ident) => { stringify!($key) };
    (@text $key:ident $text:literal) => { $text };
    (@read $reader:ident, $section:ident, $name:expr, $form:ty) => { $reader.setting::<$form>($section, $name, &[]) };
    (@read $reader:ident, $section:ident, $name:expr, $form:ty, env [$($variable:literal),+]) => {
        $reader.setting::<$form>($section, $name, &[$($variable),+])
    };
    (@read $reader:ident, $section:ident, $name:expr, $form:ty, required $message:literal) => {
        $reader.required::<$form>($section, $name, $message)
    };
    (@read $reader:ident, $section:ident, $name:expr, $form:ty = $default:expr) => {
        $reader.setting::<$form>($section, $name, &[]).value.unwrap_or_else(|| $default.into())
    };
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
        $vis enum $name {
            $( $(#[doc = $variant_doc])* $variant($section), )*
        }

        impl $crate::gateway::config::declare::Form for $name {
            type Value = Self;

            fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Self> {
                use $crate::gateway::config::declare::{Declared, read_tag};
                let section = reader.object(field)?;
                let word = read_tag(reader, &section, $tag, &[$($($word),+),*])?;
                match word {
                    $( $($word)|+ => {
                        reader.refuse_unknown(&section, &[&[$tag], <$section as Declared>::KEYS].concat());
                        Some(Self::$variant(<$section as Declared>::read(reader, &section)))
                    } )*
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

/// Which of the forms a section has.
pub(super) fn read_tag<'w>(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    tag: &str,
    words: &[&'w str],
) -> Option<&'w str> {
    let Some(field) = section.get(tag) else {
        reader.error_missing(&section.at(tag), &alloc::format!("one of {}", words.join(", ")));
        return None;
    };
    reader.choose(&field, words).and_then(|at| words.get(at).copied())
}

pub(super) use {section, variants};
