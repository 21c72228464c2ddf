//! The claims of a verified token.

use alloc::string::String;

use super::Audience;
use crate::error::VerifyError;
use crate::json::{Document, Value};
use crate::limits;

/// The claims of a token (RFC 7519 §4). Registered claims have been type-checked.
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
        self.string("client_id").or_else(|| self.string("azp"))
    }

    /// Iterates over the scopes in `scope` (RFC 8693 §4.2).
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.string("scope").unwrap_or_default().split(' ').filter(|scope| !scope.is_empty())
    }

    /// Iterates over `permissions`; `None` if there is no such claim.
    pub fn permissions(&self) -> Option<impl Iterator<Item = &str> + Clone> {
        self.get("permissions").and_then(Value::as_array).and_then(crate::json::Array::strings)
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
}

/// The claims that verification itself reads, collected in one pass and type-checked.
///
/// A claim of the wrong type is never treated as absent: the token is refused.
#[derive(Default)]
pub(super) struct Registered<'a> {
    pub(super) iss: Option<&'a str>,
    pub(super) sub: Option<&'a str>,
    pub(super) aud: Option<Audience<'a>>,
    pub(super) exp: Option<f64>,
    pub(super) nbf: Option<f64>,
    pub(super) iat: Option<f64>,
    pub(super) jti: Option<&'a str>,
    pub(super) azp: Option<&'a str>,
    pub(super) client_id: Option<&'a str>,
    pub(super) nonce: Option<&'a str>,
    pub(super) at_hash: Option<&'a str>,
    /// Whether there is a claim that only ID tokens have: `nonce`, `at_hash`, `c_hash`, `s_hash`.
    pub(super) has_id_token_claim: bool,
    /// Whether there is `events` (RFC 8417): a security event or logout token.
    pub(super) has_events: bool,
    pub(super) has_cnf: bool,
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
                "jti" => found.jti = Some(string("jti", value)?),
                "azp" => found.azp = Some(string("azp", value)?),
                "client_id" => found.client_id = Some(string("client_id", value)?),
                "nonce" => found.nonce = Some(string("nonce", value)?),
                "at_hash" => found.at_hash = Some(string("at_hash", value)?),
                "c_hash" | "s_hash" => found.has_id_token_claim = true,
                "events" => found.has_events = true,
                "cnf" => found.has_cnf = true,
                "scope" => drop(string("scope", value)?),
                "org_id" => drop(string("org_id", value)?),
                "org_name" => drop(string("org_name", value)?),
                "permissions" if value.as_array().and_then(crate::json::Array::strings).is_none() => {
                    return Err(VerifyError::claim_malformed("permissions"));
                }
                _ => {}
            }
        }
        found.has_id_token_claim |= found.nonce.is_some() || found.at_hash.is_some();
        Ok(found)
    }
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
