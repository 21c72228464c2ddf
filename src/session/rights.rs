//! The rights that an access token grants, with their expiry.

use alloc::string::String;
use alloc::vec::Vec;

use crate::json::{Number, Value, push_quoted};
use crate::jwt::Claims;

/// The rights of a verified access token.
#[derive(Clone)]
pub(crate) struct Rights {
    /// Claims of the access token; `exp` is the expiry of the rights.
    granted: Claims,
    /// These claims merged over the user's: routes check their requirements against them while the rights are valid.
    with_user: Claims,
    /// The user's claims after that, if the access token contradicts some: without these. The token's expiry must never bring back
    /// a value of the ID token that it has replaced.
    afterwards: Option<Claims>,
    until_s: i64,
}

impl Rights {
    /// Creates the rights. `granted` must contain `exp`, in whole seconds.
    pub(crate) fn new(about: &Claims, granted: Claims) -> Option<Self> {
        let until_s = match granted.get("exp") {
            Some(Value::Number(Number::Unsigned(seconds))) => i64::try_from(seconds).ok()?,
            _ => return None,
        };
        let (mut merged, mut agreed) = (Vec::new(), Vec::new());
        for (name, value) in about.members() {
            let (value, of_token) = (value.to_json(), granted.get(name));
            if of_token.is_none_or(|of_token| of_token.to_json() == value) {
                agreed.push((name, value.clone()));
            }
            if of_token.is_none() {
                merged.push((name, value));
            }
        }
        let is_contradicted = agreed.len() < about.members().count();
        let afterwards = if is_contradicted { Some(Claims::from_members(&mut agreed.into_iter())?) } else { None };
        let of_token = granted.members().filter(|(name, _)| *name != "exp");
        merged.extend(of_token.map(|(name, value)| (name, value.to_json())));
        let with_user = Claims::from_members(&mut merged.into_iter())?;
        Some(Self { granted, with_user, afterwards, until_s })
    }

    /// Returns rights that have expired whatever the time, of the user with these claims.
    pub(crate) fn lapsed(&self, user: &Claims) -> Option<Self> {
        let further = self.granted.members().filter(|(name, _)| *name != "exp");
        let members = further.map(|(name, value)| (name, value.to_json()));
        Self::new(user, Claims::from_members(&mut [("exp", "0".into())].into_iter().chain(members))?)
    }

    /// Whether the rights expired whatever the time.
    pub(crate) fn have_lapsed(&self) -> bool {
        self.until_s == 0
    }

    /// Whether the claims with these names, as far as they are the user's and not the access token's, are those of `user`. The rights
    /// omit what access token and user had alike.
    pub(crate) fn agree_with(&self, user: &Claims, names: &[&str]) -> bool {
        let json = |claims: &Claims, name: &str| claims.get(name).map(|value| value.to_json());
        names.iter().all(|name| self.granted.get(name).is_some() || json(&self.with_user, name) == json(user, name))
    }

    pub(super) fn as_json(&self) -> &str {
        self.granted.as_json()
    }

    /// Returns the claims as of `now`, if they differ from the user's.
    pub(super) fn claims_at(&self, now_s: i64) -> Option<&Claims> {
        if now_s < self.until_s { Some(&self.with_user) } else { self.afterwards.as_ref() }
    }

    pub(super) fn until_s(&self) -> i64 {
        self.until_s
    }

    pub(crate) fn scope(&self) -> Option<&str> {
        self.granted.get("scope").and_then(Value::as_str)
    }
}

impl Claims {
    /// Builds claims from names and JSON values. Not generic, so that it is compiled once.
    pub(crate) fn from_members(members: &mut dyn Iterator<Item = (&str, String)>) -> Option<Self> {
        let mut json = String::from("{");
        for (name, value) in members {
            if json.len() > 1 {
                json.push(',');
            }
            push_quoted(&mut json, name);
            json.push(':');
            json.push_str(&value);
        }
        json.push('}');
        Self::from_json(json.into_bytes())
    }
}
