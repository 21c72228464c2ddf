//! Rights that a token must grant, beyond being valid.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Audience, ClaimPath, Claims};
use crate::error::{ClaimName, Forbidden};
use crate::json::Value;
#[cfg(feature = "gateway")]
use crate::text::concat;

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
    /// Scopes, all of which must be in `scope`, else in `scp`.
    pub scopes: Vec<String>,
    /// Scopes, one of which must be there, unless empty.
    pub any_scope: Vec<String>,
    /// Permissions, all of which must be in `permissions`.
    pub permissions: Vec<String>,
    /// Permissions, one of which must be there, unless empty.
    pub any_permission: Vec<String>,
    /// Roles, and the claim that lists them.
    pub roles: Option<Roles>,
    /// Organizations, one of which must be the token's: `org_…` is compared with `org_id`, anything else with `org_name`, in any letter case.
    /// The empty text stands for tokens of no organization.
    pub organizations: Vec<String>,
    /// Audiences, all of which must be in `aud`.
    pub audience: Vec<String>,
    /// Rules on other claims, all of which must be met.
    pub claims: Vec<ClaimRule>,
}

/// A rule on the value of a claim: a string, an array of strings, or a boolean. All its conditions must be met; a claim that is
/// absent or of another form meets none.
///
/// ```
/// use edgeward::jwt::ClaimRule;
///
/// let mut rule = ClaimRule::new("sub");
/// rule.prefix = Some("repo:octo-org/".into());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClaimRule {
    /// The claim.
    pub claim: ClaimPath,
    /// It must be this string or boolean.
    pub equals: Option<ClaimValue>,
    /// It must be or contain one of these, unless empty.
    pub any: Vec<String>,
    /// It must be or contain each of these.
    pub all: Vec<String>,
    /// It must neither be nor contain any of these.
    pub not: Vec<String>,
    /// It must be a string that begins with this.
    pub prefix: Option<String>,
}

/// The value of a claim that a [`ClaimRule`] requires. The string `"true"` is not the boolean `true`.
///
/// ```
/// use edgeward::jwt::ClaimRule;
///
/// let mut rule = ClaimRule::new("email_verified");
/// rule.equals = Some(true.into());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimValue {
    /// A string.
    Text(String),
    /// A boolean.
    Flag(bool),
}

impl From<&str> for ClaimValue {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for ClaimValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for ClaimValue {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// Required roles and the claim that lists a token's roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    /// The claim, for example `https://yourapp.com/roles`: an array of strings, one string, or an object whose names are the roles,
    /// except those with the value `null` or `false`.
    pub claim: ClaimPath,
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
        !(self.scopes.is_empty()
            && self.any_scope.is_empty()
            && self.permissions.is_empty()
            && self.any_permission.is_empty()
            && self.roles.is_none()
            && self.audience.is_empty())
    }

    /// Checks verified claims.
    ///
    /// # Errors
    /// The first requirement that is not met.
    pub fn check(&self, claims: &Claims) -> Result<(), Forbidden> {
        self.check_with_roles_in(None, claims)
    }

    /// Checks verified claims, with roles in this claim instead of that of [`Roles`].
    pub(crate) fn check_with_roles_in(&self, claim: Option<&ClaimPath>, claims: &Claims) -> Result<(), Forbidden> {
        let audience = claims.audience();
        if !self.audience.iter().all(|required| audience.contains(required)) {
            return Err(Forbidden::Audience);
        }
        if !self.organizations.is_empty()
            && !self.organizations.iter().any(|required| is_organization(claims, required))
        {
            return Err(Forbidden::Organization);
        }
        if !has_required(&self.scopes, &self.any_scope, &|scope| claims.has_scope(scope)) {
            return Err(Forbidden::Scope);
        }
        if !self.permissions.is_empty() || !self.any_permission.is_empty() {
            let granted = claims.present("permissions").ok_or(Forbidden::Permission { claim_missing: true })?;
            // An array only: a string is not a list of permissions.
            let granted =
                granted.as_array().and_then(|array| Audience::from_value(Value::Array(array))).unwrap_or_default();
            if !has_required(&self.permissions, &self.any_permission, &|permission| granted.contains(permission)) {
                return Err(Forbidden::Permission { claim_missing: false });
            }
        }
        self.roles.as_ref().map_or(Ok(()), |roles| roles.check(claim.unwrap_or(&roles.claim), claims))?;
        check_rules(&self.claims, claims)
    }
}

/// A requirement that was checked on its own, with what it expects and what the claims have.
#[cfg(feature = "gateway")]
pub(crate) struct Checked {
    pub(crate) name: String,
    pub(crate) expected: String,
    pub(crate) found: String,
    pub(crate) verdict: Result<(), Forbidden>,
}

#[cfg(feature = "gateway")]
impl Requirements {
    /// Checks each requirement on its own, in the order of [`check`](Self::check), with roles in this claim instead of that of [`Roles`].
    pub(crate) fn each(&self, roles_claim: Option<&ClaimPath>, claims: &Claims) -> Vec<Checked> {
        let text = |value: Option<Value<'_>>| value.map_or_else(String::new, text_of);
        let claim = |name: &str| text(claims.present(name));
        let mut checked = Vec::new();
        let mut check = |name: &str, expected: String, found: String, only: Self| {
            if !only.is_empty() {
                let verdict = only.check_with_roles_in(roles_claim, claims);
                checked.push(Checked { name: name.into(), expected, found, verdict });
            }
        };
        let Self { scopes, any_scope, permissions, any_permission, roles, organizations, audience, claims: rules } =
            self.clone();
        check("audience", audience.join(", "), claim("aud"), Self { audience, ..Self::default() });
        let organization = claims.org_id().or_else(|| claims.org_name()).unwrap_or_default();
        check("organization", any_of(&organizations), organization.into(), Self { organizations, ..Self::default() });
        let granted = claims.scopes().collect::<Vec<_>>().join(", ");
        check("scopes", all_and_any(&scopes, &any_scope), granted, Self { scopes, any_scope, ..Self::default() });
        let expected = all_and_any(&permissions, &any_permission);
        check("permissions", expected, claim("permissions"), Self { permissions, any_permission, ..Self::default() });
        if let Some(roles) = roles {
            let found = text(roles_claim.unwrap_or(&roles.claim).find(claims));
            let only = Self { roles: Some(roles.clone()), ..Self::default() };
            check("roles", all_and_any(&roles.all, &roles.any), found, only);
        }
        for rule in rules {
            let (name, found) = (rule.claim.to_text(), text(rule.claim.find(claims)));
            let expected = rule.to_text();
            check(&name, expected, found, Self { claims: Vec::from([rule]), ..Self::default() });
        }
        checked
    }
}

#[cfg(feature = "gateway")]
fn text_of(value: Value<'_>) -> String {
    value.as_str().map_or_else(|| value.to_json(), Into::into)
}

#[cfg(feature = "gateway")]
fn any_of(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        names => concat(&["any of ", &names.join(", ")]),
    }
}

#[cfg(feature = "gateway")]
fn all_and_any(all: &[String], any: &[String]) -> String {
    let parts = [all.join(", "), any_of(any)];
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    parts.join(", and ")
}

#[cfg(feature = "gateway")]
impl ClaimRule {
    /// Returns what the rule expects, in words.
    fn to_text(&self) -> String {
        let mut parts = Vec::from([all_and_any(&self.all, &self.any)]);
        parts.extend(self.equals.as_ref().map(|equals| match equals {
            ClaimValue::Text(text) => text.clone(),
            ClaimValue::Flag(flag) => (if *flag { "true" } else { "false" }).into(),
        }));
        parts.extend(self.prefix.as_ref().map(|prefix| concat(&["a value that begins with ", prefix])));
        parts.extend((!self.not.is_empty()).then(|| concat(&["none of ", &self.not.join(", ")])));
        let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        parts.join(", and ")
    }
}

/// Checks rules on claims.
///
/// # Errors
/// The first rule that is not met.
pub(crate) fn check_rules(rules: &[ClaimRule], claims: &Claims) -> Result<(), Forbidden> {
    match rules.iter().find(|rule| !rule.is_met(claims)) {
        Some(rule) => Err(Forbidden::Claim(ClaimName::Configured(rule.claim.to_text()))),
        None => Ok(()),
    }
}

/// Returns whether the token has all of `all` and one of `any`.
#[inline(never)]
fn has_required(all: &[String], any: &[String], has: &dyn Fn(&str) -> bool) -> bool {
    all.iter().all(|one| has(one)) && (any.is_empty() || any.iter().any(|one| has(one)))
}

impl ClaimRule {
    /// Creates a rule that requires the claim, with any string or array of strings.
    #[must_use]
    pub fn new(claim: impl Into<ClaimPath>) -> Self {
        Self { claim: claim.into(), equals: None, any: Vec::new(), all: Vec::new(), not: Vec::new(), prefix: None }
    }

    #[inline(never)]
    fn is_met(&self, claims: &Claims) -> bool {
        let Some(value) = self.claim.find(claims) else { return false };
        let values = match value {
            // No string is among the values of a boolean.
            Value::Bool(_) if self.equals.is_some() => Audience::None,
            value => match Audience::from_value(value) {
                Some(values) => values,
                None => return false,
            },
        };
        let text = value.as_str();
        let is_expected = match &self.equals {
            None => true,
            Some(ClaimValue::Text(expected)) => text == Some(expected),
            Some(ClaimValue::Flag(expected)) => matches!(value, Value::Bool(flag) if flag == *expected),
        };
        is_expected
            && self.prefix.as_deref().is_none_or(|prefix| text.is_some_and(|text| text.starts_with(prefix)))
            && has_required(&self.all, &self.any, &|one| values.contains(one))
            && !self.not.iter().any(|one| values.contains(one))
    }
}

impl Roles {
    fn check(&self, claim: &ClaimPath, claims: &Claims) -> Result<(), Forbidden> {
        let value = claim.find(claims).ok_or(Forbidden::Role { claim_missing: true })?;
        // Like `aud`, one string or an array of strings; anything else but an object contains no role.
        let roles = Audience::from_value(value).unwrap_or_default();
        let held = |role: &str| match value {
            Value::Object(object) => !matches!(object.get(role), None | Some(Value::Null | Value::Bool(false))),
            _ => roles.contains(role),
        };
        if has_required(&self.all, &self.any, &held) { Ok(()) } else { Err(Forbidden::Role { claim_missing: false }) }
    }
}

/// Returns whether the claims are of the organization with this id or name.
pub(crate) fn is_organization(claims: &Claims, required: &str) -> bool {
    if required.is_empty() {
        // A malformed claim may be that of an organization, too.
        claims.present("org_id").is_none() && claims.present("org_name").is_none()
    } else if required.starts_with("org_") {
        claims.org_id() == Some(required)
    } else {
        // Auth0 treats organization names as lower case.
        claims.org_name().is_some_and(|name| name.eq_ignore_ascii_case(required))
    }
}
