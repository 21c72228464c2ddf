//! The claims of a verified token.

use alloc::string::String;

use super::{Audience, Binding};
use crate::error::VerifyError;
use crate::json::{Document, Value};
use crate::limits;

/// The claims of a token (RFC 7519 §4). `iss`, `sub`, `aud`, `exp`, `nbf` and `iat` have been type-checked, other claims only where the
/// policy reads them. A claim that is null counts as absent.
///
/// ```
/// use edgeward::io::UnixTime;
/// use edgeward::json::Value;
/// # use edgeward::{jwk::JwkSet, jwt::{Algorithm, Policy}, testing::Issuer};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (issuer, now) = (Issuer::new("https://issuer.example.com/"), UnixTime::from_secs(1_800_000_000));
/// # let policy = Policy::access_token(issuer.url(), ["api"], &[Algorithm::Rs256])?;
/// # let token = issuer.access_token("api", now).claim("scope", "read write").claim("plan", "pro");
/// # let verified = policy.verify(&token.sign(), &JwkSet::parse(issuer.jwks().as_bytes())?, now)?;
///
/// let claims = verified.claims();
/// assert_eq!(claims.subject(), Some("user-1"));
/// assert!(claims.scopes().any(|scope| scope == "write"));
/// assert_eq!(claims.get("plan").and_then(Value::as_str), Some("pro"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Claims(pub(super) Document);

impl Claims {
    /// Parses claims that the gateway itself assembled and sealed. Not for text from outside.
    #[cfg(feature = "gateway")]
    pub(crate) fn from_json(json: alloc::vec::Vec<u8>) -> Option<Self> {
        let document = Document::parse(json, limits::MAX_CLAIMS_DEPTH).ok()?;
        Registered::read(&document).ok()?;
        Some(Self(document))
    }

    /// Like [`from_json`](Self::from_json), from an object inside another document.
    #[cfg(feature = "gateway")]
    pub(crate) fn from_object(object: crate::json::Object<'_>) -> Option<Self> {
        Self::from_json(Value::Object(object).to_json().into_bytes())
    }

    /// Returns the claim with this exact name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value<'_>> {
        self.0.root().get(name)
    }

    /// Iterates over all claims, in order.
    #[cfg(feature = "gateway")]
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        self.0.root().iter()
    }

    /// Returns `iss`.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.string("iss")
    }

    /// Returns `sub`.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.string("sub")
    }

    /// Returns `aud`.
    #[must_use]
    pub fn audience(&self) -> Audience<'_> {
        self.get("aud").and_then(Audience::from_value).unwrap_or_default()
    }

    /// Returns the client that the token was issued to: `client_id` (RFC 9068), else `azp` (Auth0's profile, OpenID Connect).
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.present("client_id").or_else(|| self.present("azp")).and_then(Value::as_str)
    }

    /// Iterates over the scopes in `scope` (RFC 8693 §4.2), else in `scp`: words separated by spaces, or an array of strings. A claim of
    /// any other form contains none.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        let (text, list) = match self.granted_scopes() {
            Some(Value::String(text)) => (text, None),
            Some(Value::Array(array)) => ("", array.strings()),
            _ => ("", None),
        };
        text.split(' ').filter(|scope| !scope.is_empty()).chain(list.into_iter().flatten())
    }

    /// Returns whether [`scopes`](Self::scopes) contains `scope`.
    pub(super) fn has_scope(&self, scope: &str) -> bool {
        match self.granted_scopes() {
            Some(Value::String(text)) => !scope.is_empty() && text.split(' ').any(|one| one == scope),
            Some(value) => Audience::from_value(value).unwrap_or_default().contains(scope),
            None => false,
        }
    }

    fn granted_scopes(&self) -> Option<Value<'_>> {
        self.present("scope").or_else(|| self.present("scp"))
    }

    /// Iterates over `permissions`; `None` if there is no such claim. A claim that is not an array of strings contains none.
    pub fn permissions(&self) -> Option<impl Iterator<Item = &str> + Clone> {
        let strings = self.present("permissions")?.as_array().and_then(crate::json::Array::strings);
        Some(strings.into_iter().flatten())
    }

    /// Returns `org_id`.
    #[must_use]
    pub fn org_id(&self) -> Option<&str> {
        self.string("org_id")
    }

    /// Returns `org_name`.
    #[must_use]
    pub fn org_name(&self) -> Option<&str> {
        self.string("org_name")
    }

    /// Deserializes the claims into a type of the caller's, which may borrow from them. Claims without a field are ignored.
    ///
    /// ```
    /// use edgeward::jwt::VerifiedToken;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize)]
    /// struct Caller<'c> {
    ///     sub: &'c str,
    ///     #[serde(rename = "https://example.com/plan")]
    ///     plan: Option<String>,
    /// }
    ///
    /// fn plan_of<K>(token: &VerifiedToken<K>) -> Result<String, serde_json::Error> {
    ///     let caller: Caller<'_> = token.claims().deserialize()?;
    ///     Ok(caller.plan.unwrap_or_else(|| format!("{} has no plan", caller.sub)))
    /// }
    /// ```
    ///
    /// # Errors
    /// If the claims do not fit the type. The error's message may quote claims.
    pub fn deserialize<'c, T: serde::Deserialize<'c>>(&'c self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.0.text())
    }

    /// Returns the JSON text that was signed.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.text()
    }

    /// Converts the claims into the JSON text that was signed.
    #[must_use]
    pub fn into_json(self) -> String {
        self.0.text().into()
    }

    fn string(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Returns a claim that is not null.
    pub(super) fn present(&self, name: &str) -> Option<Value<'_>> {
        self.get(name).filter(is_present)
    }
}

/// Returns whether a claim with this value counts as present.
pub(super) fn is_present(value: &Value<'_>) -> bool {
    !matches!(value, Value::Null)
}

/// The claims that verification itself reads, collected in one pass.
///
/// Those of every token are type-checked: with the wrong type, null included, the token is refused. The others are checked by the rule
/// that reads them, through [`text`]; null counts as absent.
#[derive(Default)]
pub(super) struct Registered<'a> {
    pub(super) iss: Option<&'a str>,
    pub(super) sub: Option<&'a str>,
    pub(super) aud: Option<Audience<'a>>,
    /// The tenant (Microsoft Entra ID).
    pub(super) tid: Option<Value<'a>>,
    pub(super) exp: Option<f64>,
    pub(super) nbf: Option<f64>,
    pub(super) iat: Option<f64>,
    pub(super) jti: Option<Value<'a>>,
    pub(super) azp: Option<Value<'a>>,
    pub(super) client_id: Option<Value<'a>>,
    pub(super) nonce: Option<Value<'a>>,
    pub(super) at_hash: Option<Value<'a>>,
    /// Whether there is `c_hash` or `s_hash`, which only ID tokens have.
    has_other_hash: bool,
    /// Whether there is `scope` or `scp`.
    has_scope: bool,
    /// `token_use` (Amazon Cognito) and `typ` (Keycloak), which state the kind of token.
    marks: [Option<&'a str>; 2],
    /// Whether there is `events` (RFC 8417): a security event or logout token.
    pub(super) has_events: bool,
    /// The binding to the sender (`cnf`).
    pub(super) binding: Option<Binding>,
}

impl<'a> Registered<'a> {
    pub(super) fn read(document: &'a Document) -> Result<Self, VerifyError> {
        let mut found = Self::default();
        for (name, value) in document.root().iter() {
            match name {
                "iss" => found.iss = Some(string("iss", value)?),
                "sub" => found.sub = Some(string("sub", value)?),
                "aud" => {
                    let audience = Audience::from_value(value);
                    found.aud = Some(audience.ok_or_else(|| VerifyError::claim_malformed("aud"))?);
                }
                "exp" => found.exp = Some(numeric_date("exp", value)?),
                "nbf" => found.nbf = Some(numeric_date("nbf", value)?),
                "iat" => found.iat = Some(numeric_date("iat", value)?),
                // Even a null: these must not be overlooked.
                "events" => found.has_events = true,
                "cnf" => found.binding = Some(Binding::read(value)),
                _ if !is_present(&value) => {}
                "jti" => found.jti = Some(value),
                "tid" => found.tid = Some(value),
                "azp" => found.azp = Some(value),
                "client_id" => found.client_id = Some(value),
                "nonce" => found.nonce = Some(value),
                "at_hash" => found.at_hash = Some(value),
                "c_hash" | "s_hash" => found.has_other_hash = true,
                "scope" | "scp" => found.has_scope = true,
                "token_use" => found.marks[0] = value.as_str(),
                "typ" => found.marks[1] = value.as_str(),
                _ => {}
            }
        }
        Ok(found)
    }

    /// Returns the kind that the token is, as far as it shows: by its marks, else by claims that only ID tokens have. `nonce` and
    /// `at_hash` beside scopes say nothing: some providers repeat them in access tokens. `is_at_jwt`: whether the header's `typ` marks it
    /// as an access token (RFC 9068 §2.1).
    #[inline(never)]
    pub(super) fn kind(&self, is_at_jwt: bool) -> Shown {
        let marked = |words: &[&str]| {
            let is_one = |mark: &&str| words.iter().any(|word| mark.eq_ignore_ascii_case(word));
            self.marks.iter().flatten().any(is_one)
        };
        let is_access = is_at_jwt || marked(&["access", "Bearer"]);
        let is_id = marked(&["id"]);
        if is_access && is_id || self.has_events || marked(&["Refresh", "Offline", "Logout"]) {
            return Shown::Other;
        }
        let has_nonce_or_hash = self.nonce.is_some() || self.at_hash.is_some();
        if is_access {
            Shown::Access
        } else if is_id || self.has_other_hash || has_nonce_or_hash && !self.has_scope {
            Shown::Id
        } else {
            Shown::Nothing
        }
    }
}

/// The kind that a token shows itself to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Access,
    Id,
    /// Neither an access token nor an ID token.
    Other,
    /// Either kind.
    Nothing,
}

/// Returns the text of a claim that a rule reads, if the claim is present.
pub(super) fn text<'a>(name: &'static str, claim: Option<Value<'a>>) -> Result<Option<&'a str>, VerifyError> {
    claim.map(|value| string(name, value)).transpose()
}

fn string<'a>(name: &'static str, value: Value<'a>) -> Result<&'a str, VerifyError> {
    value.as_str().ok_or_else(|| VerifyError::claim_malformed(name))
}

/// A `NumericDate` (RFC 7519 §2): a number, possibly fractional, from 1970 to 9999.
fn numeric_date(name: &'static str, value: Value<'_>) -> Result<f64, VerifyError> {
    match value {
        Value::Number(number) if (0.0..=limits::MAX_NUMERIC_DATE).contains(&number.as_f64()) => Ok(number.as_f64()),
        _ => Err(VerifyError::claim_malformed(name)),
    }
}
