//! The place of a claim: a name, or names from the outermost object inwards.

use alloc::string::String;
use alloc::vec::Vec;

use super::Claims;
use super::claims::is_present;
use crate::json::Value;
use crate::text::concat;

/// A claim's name, or the path to a member inside a claim, such as `["realm_access", "roles"]` at Keycloak.
///
/// A name is compared whole: `realm_access.roles` is the name of one claim, not a path. An empty path finds nothing.
///
/// ```
/// use edgeward::jwt::ClaimPath;
///
/// let name = ClaimPath::from("https://yourapp.com/roles");
/// let path = ClaimPath::from_iter(["realm_access", "roles"]);
/// assert_ne!(path, ClaimPath::from("realm_access.roles"));
/// # drop(name);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

impl ClaimPath {
    /// Returns the names, the outermost first.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Returns the name of the claim that holds the member.
    #[cfg(feature = "gateway")]
    pub(crate) fn claim(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// Returns the value, unless it is null.
    pub(crate) fn find<'c>(&self, claims: &'c Claims) -> Option<Value<'c>> {
        let (first, rest) = self.0.split_first()?;
        let inside = |value: Value<'c>, name: &String| value.as_object()?.get(name);
        rest.iter().try_fold(claims.get(first)?, inside).filter(is_present)
    }

    /// Returns the names joined by slashes, for messages.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        for (index, name) in self.0.iter().enumerate() {
            text.push_str(&concat(&[if index == 0 { "" } else { "/" }, name]));
        }
        text
    }
}

impl From<&str> for ClaimPath {
    fn from(name: &str) -> Self {
        Self([name.into()].into())
    }
}

impl From<String> for ClaimPath {
    fn from(name: String) -> Self {
        Self([name].into())
    }
}

impl<N: Into<String>> FromIterator<N> for ClaimPath {
    fn from_iter<I: IntoIterator<Item = N>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}
