//! What a token must give its holder the right to, beyond being genuine.

use alloc::string::String;
use alloc::vec::Vec;

use super::Claims;
use crate::error::Forbidden;
use crate::json::{Array, Value};

/// Rights that are all demanded. The default demands nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requirements {
    /// Every one must be a word of `scope`.
    pub scopes: Vec<String>,
    /// Every one must be in `permissions`.
    pub permissions: Vec<String>,
    /// Every one must be in the roles claim.
    pub roles: Option<Roles>,
    /// At least one must be the token's organization: `org_…` is compared with `org_id`, anything else with `org_name`.
    pub organizations: Vec<String>,
    /// Every one must be in `aud`.
    pub audience: Vec<String>,
}

/// Demanded roles and the claim that lists a token's roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    /// The claim, for example `https://yourapp.com/roles`: an array of strings, or one string.
    pub claim: String,
    /// Every one must be there.
    pub all: Vec<String>,
    /// If not empty, at least one must be there.
    pub any: Vec<String>,
}

impl Requirements {
    /// Whether nothing is demanded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an access token must grant something.
    #[cfg(feature = "gateway")]
    pub(crate) fn needs_access_token(&self) -> bool {
        !(self.scopes.is_empty() && self.permissions.is_empty() && self.roles.is_none() && self.audience.is_empty())
    }

    /// Checks the demands against verified claims.
    ///
    /// # Errors
    /// The first demand that is not met.
    pub fn check(&self, claims: &Claims) -> Result<(), Forbidden> {
        let audience = claims.audience();
        if !self.audience.iter().all(|demanded| audience.contains(demanded)) {
            return Err(Forbidden::Audience);
        }
        if !self.organizations.is_empty()
            && !self.organizations.iter().any(|demanded| is_organization(claims, demanded))
        {
            return Err(Forbidden::Organization);
        }
        if !self.scopes.iter().all(|demanded| claims.scopes().any(|scope| scope == demanded)) {
            return Err(Forbidden::Scope);
        }
        if !self.permissions.is_empty() {
            let granted = claims.permissions().ok_or(Forbidden::Permission { claim_missing: true })?;
            if !self.permissions.iter().all(|demanded| granted.clone().any(|permission| permission == demanded)) {
                return Err(Forbidden::Permission { claim_missing: false });
            }
        }
        self.roles.as_ref().map_or(Ok(()), |roles| roles.check(claims))
    }
}

impl Roles {
    fn check(&self, claims: &Claims) -> Result<(), Forbidden> {
        let value = claims.get(&self.claim).ok_or(Forbidden::Role { claim_missing: true })?;
        let (one, many) = match value {
            Value::String(role) => (Some(role), None),
            Value::Array(array) => (None, array.strings().map(|_| array)),
            _ => (None, None),
        };
        let held = |demanded: &String| {
            one == Some(demanded)
                || many.is_some_and(|roles: Array<'_>| roles.iter().any(|role| role.as_str() == Some(demanded)))
        };
        let any = self.any.is_empty() || self.any.iter().any(held);
        if any && self.all.iter().all(held) { Ok(()) } else { Err(Forbidden::Role { claim_missing: false }) }
    }
}

/// Whether the claims are those of a member of the organization, given by its identifier or its name.
pub(crate) fn is_organization(claims: &Claims, demanded: &str) -> bool {
    if demanded.starts_with("org_") {
        claims.org_id() == Some(demanded)
    } else {
        // Auth0 treats organization names as lower case.
        claims.org_name().is_some_and(|name| name.eq_ignore_ascii_case(demanded))
    }
}
