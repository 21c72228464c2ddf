//! `login`: where logins end.

use super::declare::{Form, section};
use super::reader::{Field, Reader};
#[cfg(test)]
use super::reference;
use crate::oidc::ReturnTo;

section! {
    /// Where logins end.
    pub(super) struct LoginConfig {
        /// The page to go to after a login that names none, a path of the site. Without it: the root.
        default_return_to: Page;
    }
}

/// A page of the site.
pub(super) struct Page;

impl Form for Page {
    type Value = ReturnTo;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<ReturnTo> {
        let page = ReturnTo::parse(&reader.text(field)?);
        if page.is_none() {
            reader.error(&field.place, "must be a path of the site such as /home");
        }
        page
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Text
    }
}
