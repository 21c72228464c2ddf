//! The tenants of an issuer that has a URL for each of them.

use alloc::string::String;
use alloc::vec::Vec;

use crate::text::concat;
use crate::url::{is_tenant, split_tenant};

/// The tenants whose tokens are accepted, where `{tenantid}` in the issuer's URL stands for the tenant that `tid` names (Microsoft
/// Entra ID).
///
/// ```
/// use edgeward::jwt::Tenants;
///
/// let one = Tenants::Only(vec!["8f2a1c3e-0b4d-4c6f-9e1a-5d7b2f4c6a80".into()]);
/// let issuer = one.issuer("https://login.microsoftonline.com/{tenantid}/v2.0");
/// assert_eq!(issuer, "https://login.microsoftonline.com/8f2a1c3e-0b4d-4c6f-9e1a-5d7b2f4c6a80/v2.0");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenants {
    /// Every tenant of the provider.
    Any,
    /// The tenants with these ids, GUIDs in lower case. An empty list accepts none.
    Only(Vec<String>),
}

impl Tenants {
    /// Returns whether the text is the id of a tenant: a GUID in lower case.
    #[must_use]
    pub fn is_id(text: &str) -> bool {
        is_tenant(text)
    }

    /// Returns whether `{tenantid}` is part of an issuer's URL.
    #[must_use]
    pub fn has_template(issuer: &str) -> bool {
        split_tenant(issuer).is_some()
    }

    /// Returns the issuer whose metadata and keys are used: that of a single tenant, or else `template` itself.
    #[must_use]
    pub fn issuer(&self, template: &str) -> String {
        match (self.single(), split_tenant(template)) {
            (Some(tenant), Some((before, after))) => concat(&[before, tenant, after]),
            _ => template.into(),
        }
    }

    /// Returns the issuers of `template`, one for each tenant; `None` if every tenant is accepted.
    #[cfg(feature = "gateway")]
    pub(crate) fn issuers(&self, template: &str) -> Option<Vec<String>> {
        match (self, split_tenant(template)) {
            (_, None) => Some(Vec::from([template.into()])),
            (Self::Any, Some(_)) => None,
            (Self::Only(ids), Some((before, after))) => {
                Some(ids.iter().map(|id| concat(&[before, id, after])).collect())
            }
        }
    }

    pub(super) fn single(&self) -> Option<&str> {
        match self {
            Self::Only(ids) => match ids.as_slice() {
                [one] => Some(one),
                _ => None,
            },
            Self::Any => None,
        }
    }

    /// Returns the ids, none if every tenant is accepted.
    pub(super) fn ids(&self) -> &[String] {
        match self {
            Self::Any => &[],
            Self::Only(ids) => ids,
        }
    }

    pub(super) fn contains(&self, tenant: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(ids) => ids.iter().any(|id| id == tenant),
        }
    }
}
