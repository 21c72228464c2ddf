//! The rights that an access token grants, with their expiry.

use alloc::string::String;

use crate::json::{Number, Value, push_quoted};
use crate::jwt::Claims;

/// The rights of a verified access token.
#[derive(Clone)]
pub(crate) struct Rights {
    /// Claims of the access token; `exp` is the expiry of the rights.
    granted: Claims,
    /// These claims merged over the user's: routes check their requirements against them while the rights are valid.
    with_user: Claims,
    until_s: i64,
}

impl Rights {
    /// Creates the rights. `granted` must contain `exp`, in whole seconds.
    pub(crate) fn new(about: &Claims, granted: Claims) -> Option<Self> {
        let until_s = match granted.get("exp") {
            Some(Value::Number(Number::Unsigned(seconds))) => i64::try_from(seconds).ok()?,
            _ => return None,
        };
        let of_user = about.members().filter(|(name, _)| granted.get(name).is_none());
        let of_token = granted.members().filter(|(name, _)| *name != "exp");
        let with_user =
            Claims::from_members(&mut of_user.chain(of_token).map(|(name, value)| (name, value.to_json())))?;
        Some(Self { granted, with_user, until_s })
    }

    pub(super) fn as_json(&self) -> &str {
        self.granted.as_json()
    }

    /// Returns the merged claims if the rights have not expired.
    pub(super) fn at(&self, now_s: i64) -> Option<&Claims> {
        (now_s < self.until_s).then_some(&self.with_user)
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
