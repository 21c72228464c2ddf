//! What the client signs: assertions that authenticate it (`private_key_jwt`, RFC 7523 §2.2, OpenID Connect Core §9).

use alloc::string::String;

use super::host::random;
use super::{Client, LoginHost};
use crate::algorithm::Algorithm;
use crate::base64url;
use crate::host::SignError;
use crate::json::push_quoted;
use crate::jwk::SigningKey;
use crate::jwt::sign_jwt;
use crate::limits;
use crate::text::{concat, signed_decimal};

/// A private key of the client, with the algorithm registered for it.
#[derive(Debug, Clone)]
pub struct ClientKey {
    /// The key.
    pub key: SigningKey,
    /// One of the key's algorithms.
    pub algorithm: Algorithm,
}

/// The parameter that says what the assertion is (RFC 7523 §2.2).
pub(super) const ASSERTION_TYPE: (&str, &str) =
    ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");

impl Client {
    /// Returns a new assertion for one request to the provider. The audience is the issuer alone: an assertion for an endpoint's URL
    /// could be obtained by another provider that names that endpoint as its own.
    pub(super) async fn assertion(
        &self,
        key: &ClientKey,
        issuer: &str,
        host: &impl LoginHost,
    ) -> Result<String, SignError> {
        let mut claims = String::from(r#"{"sub":"#);
        push_quoted(&mut claims, &self.id);
        claims.push(',');
        self.push_claims(&mut claims, issuer, limits::CLIENT_ASSERTION_S, host);
        claims.push('}');
        sign_jwt(&key.key, key.algorithm, "JWT", &claims, host).await
    }

    /// Appends the claims of every token that the client signs, for `life_s` seconds from now.
    pub(super) fn push_claims(&self, claims: &mut String, issuer: &str, life_s: i64, host: &impl LoginHost) {
        let now = host.now().secs();
        claims.push_str(r#""iss":"#);
        push_quoted(claims, &self.id);
        claims.push_str(r#","aud":"#);
        push_quoted(claims, issuer);
        let jti = base64url::encode(&random::<{ limits::TOKEN_ID_BYTES }>(host));
        let (now, exp) = (signed_decimal(now), signed_decimal(now.saturating_add(life_s)));
        claims.push_str(&concat(&[r#","jti":""#, &jti, r#"","iat":"#, &now, r#","exp":"#, &exp]));
    }
}
