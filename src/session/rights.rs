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

#[cfg(test)]
mod tests {
    use super::Rights;
    use crate::jwt::Claims;

    fn claims(json: &str) -> Claims {
        Claims::from_json(json.into()).unwrap()
    }

    const USER: &str = r#"{"sub":"u","roles":["old"],"name":"U"}"#;

    fn rights() -> Rights {
        Rights::new(&claims(USER), claims(r#"{"exp":100,"scope":"a b","roles":["new"]}"#)).unwrap()
    }

    #[test]
    fn rights_are_those_of_the_token_until_it_expires() {
        let rights = rights();
        assert_eq!((rights.until_s(), rights.scope(), rights.have_lapsed()), (100, Some("a b"), false));
        let at = |now_s| rights.claims_at(now_s).map(Claims::as_json);
        assert_eq!(at(99), Some(r#"{"sub":"u","name":"U","scope":"a b","roles":["new"]}"#));
        assert_eq!(at(100), Some(r#"{"sub":"u","name":"U"}"#), "without the role that the token replaced");
        let agreeing = Rights::new(&claims(USER), claims(r#"{"exp":100,"roles":["old"]}"#)).unwrap();
        assert_eq!(agreeing.scope(), None);
        assert!(agreeing.claims_at(100).is_none(), "those of the user");
        for granted in ["{}", r#"{"exp":"100"}"#, r#"{"exp":100.5}"#, r#"{"exp":-1}"#] {
            let granted = Claims::from_json(granted.into());
            assert!(granted.and_then(|granted| Rights::new(&claims(USER), granted)).is_none());
        }
    }

    #[test]
    fn lapsed_rights_grant_nothing_and_keep_what_they_replaced_away() {
        let lapsed = rights().lapsed(&claims(r#"{"sub":"u","roles":["old","older"]}"#)).unwrap();
        assert!(lapsed.have_lapsed());
        assert_eq!((lapsed.until_s(), lapsed.scope()), (0, Some("a b")));
        assert_eq!(lapsed.claims_at(0).map(Claims::as_json), Some(r#"{"sub":"u"}"#));
        assert!(!lapsed.as_json().contains("100"), "{}", lapsed.as_json());
    }

    #[test]
    fn rights_agree_with_a_user_whose_claims_they_were_merged_with() {
        let agree = |user: &str, names: &[&str]| rights().agree_with(&claims(user), names);
        assert!(agree(USER, &["sub", "name", "roles", "missing"]));
        assert!(agree(r#"{"sub":"u","name":"U","roles":["other"]}"#, &["name", "roles"]), "the token states the roles");
        assert!(!agree(r#"{"sub":"u","name":"V"}"#, &["sub", "name"]));
        assert!(!agree(r#"{"sub":"u"}"#, &["name"]));
        assert!(!agree(r#"{"sub":"u","name":"U","team":"x"}"#, &["team"]));
    }
}
