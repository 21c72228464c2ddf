//! Rights that a token must grant, beyond being valid.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Audience, Claims};
use crate::error::Forbidden;

/// Rights that a token must grant, all of them. The default requires nothing.
///
/// ```
/// use edgeward::jwt::{Algorithm, Policy, Requirements};
/// # use edgeward::{io::UnixTime, jwk::JwkSet, testing::Issuer};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (issuer, now) = (Issuer::new("https://issuer.example.com/"), UnixTime::from_secs(1_800_000_000));
/// # let keys = JwkSet::parse(issuer.jwks().as_bytes())?;
/// let mut requirements = Requirements::default();
/// requirements.scopes.push("write".into());
/// let policy = Policy::access_token(issuer.url(), ["api"], &[Algorithm::Rs256])?.require(requirements);
///
/// let token = issuer.access_token("api", now).claim("scope", "read").sign();
/// let error = policy.verify(&token, &keys, now).unwrap_err();
/// assert_eq!(error.to_string(), "token lacks a required scope");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requirements {
    /// Scopes, all of which must be in `scope`.
    pub scopes: Vec<String>,
    /// Permissions, all of which must be in `permissions`.
    pub permissions: Vec<String>,
    /// Roles, and the claim that lists them.
    pub roles: Option<Roles>,
    /// Organizations, one of which must be the token's: `org_…` is compared with `org_id`, anything else with `org_name`.
    pub organizations: Vec<String>,
    /// Audiences, all of which must be in `aud`.
    pub audience: Vec<String>,
}

/// Required roles and the claim that lists a token's roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    /// The claim, for example `https://yourapp.com/roles`: an array of strings, or one string.
    pub claim: String,
    /// Roles that the token must have, all of them.
    pub all: Vec<String>,
    /// Roles of which the token must have at least one, unless empty.
    pub any: Vec<String>,
}

impl Requirements {
    /// Returns whether nothing is required.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether something is required that only an access token grants.
    #[cfg(feature = "gateway")]
    pub(crate) fn needs_access_token(&self) -> bool {
        !(self.scopes.is_empty() && self.permissions.is_empty() && self.roles.is_none() && self.audience.is_empty())
    }

    /// Checks verified claims.
    ///
    /// # Errors
    /// The first requirement that is not met.
    pub fn check(&self, claims: &Claims) -> Result<(), Forbidden> {
        let audience = claims.audience();
        if !self.audience.iter().all(|required| audience.contains(required)) {
            return Err(Forbidden::Audience);
        }
        if !self.organizations.is_empty()
            && !self.organizations.iter().any(|required| is_organization(claims, required))
        {
            return Err(Forbidden::Organization);
        }
        if !self.scopes.iter().all(|required| claims.scopes().any(|scope| scope == required)) {
            return Err(Forbidden::Scope);
        }
        if !self.permissions.is_empty() {
            let granted = claims.permissions().ok_or(Forbidden::Permission { claim_missing: true })?;
            if !self.permissions.iter().all(|required| granted.clone().any(|permission| permission == required)) {
                return Err(Forbidden::Permission { claim_missing: false });
            }
        }
        self.roles.as_ref().map_or(Ok(()), |roles| roles.check(claims))
    }
}

impl Roles {
    fn check(&self, claims: &Claims) -> Result<(), Forbidden> {
        let value = claims.get(&self.claim).ok_or(Forbidden::Role { claim_missing: true })?;
        // Like `aud`, one string or an array of strings; anything else contains no role.
        let roles = Audience::from_value(value).unwrap_or_default();
        let held = |required: &String| roles.contains(required);
        let any = self.any.is_empty() || self.any.iter().any(held);
        if any && self.all.iter().all(held) { Ok(()) } else { Err(Forbidden::Role { claim_missing: false }) }
    }
}

/// Returns whether the claims are of the organization with this id or name.
pub(crate) fn is_organization(claims: &Claims, required: &str) -> bool {
    if required.starts_with("org_") {
        claims.org_id() == Some(required)
    } else {
        // Auth0 treats organization names as lower case.
        claims.org_name().is_some_and(|name| name.eq_ignore_ascii_case(required))
    }
}
