//! An issuer of tokens and a host, for tests of code that verifies tokens and of gateways (feature `testing`).
//!
//! They need no network, and the test passes the time: an [`Issuer`] signs tokens, a [`TestHost`] serves its keys. Never use either in production:
//! the issuer's default key is the same in every build and public, so its signatures prove nothing, and the host's random bytes are predictable.
//!
//! ```
//! use edgeward::io::UnixTime;
//! use edgeward::jwk::JwkSet;
//! use edgeward::jwt::{Algorithm, Policy};
//! use edgeward::testing::Issuer;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let issuer = Issuer::new("https://issuer.example.com/");
//! let now = UnixTime::from_secs(1_800_000_000);
//! let policy = Policy::access_token(issuer.url(), ["https://api.example.com"], &Algorithm::ALL)?;
//! let keys = JwkSet::parse(issuer.jwks().as_bytes())?;
//!
//! let token = issuer.access_token("https://api.example.com", now).claim("scope", "read:things");
//! let verified = policy.verify(&token.sign(), &keys, now)?;
//! assert_eq!(verified.claims().subject(), Some("user-1"));
//!
//! let expired = token.claim("exp", now.secs() - 60).algorithm(Algorithm::Ps256);
//! assert!(policy.verify(&expired.sign(), &keys, now).is_err());
//! # Ok(())
//! # }
//! ```
#![allow(clippy::expect_used, reason = "only tests call this: a panic is how a test fails")]

mod host;
#[cfg(feature = "gateway")]
mod sign_in;
mod signing_key;

pub use host::TestHost;
#[cfg(feature = "gateway")]
pub use sign_in::TestUser;
pub use signing_key::{SigningKey, sign_on_request};

use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Value};

use crate::base64url;
use crate::io::UnixTime;
use crate::jwk::{JwkSet, KeyCache};
use crate::jwt::Algorithm;
use crate::text::concat;

/// Default lifetime of a token, in seconds.
const LIFETIME_S: i64 = 600;

/// An issuer with its keys.
///
/// ```
/// use edgeward::Verifier;
/// use edgeward::jwt::{Algorithm, Policy};
/// use edgeward::testing::Issuer;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let issuer = Issuer::new("https://issuer.example.com/");
/// let policy = Policy::access_token(issuer.url(), ["https://api.example.com"], &[Algorithm::Rs256])?;
/// let verifier = Verifier::new(policy, issuer.key_cache());
/// # drop(verifier);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Issuer {
    url: String,
    keys: Vec<SigningKey>,
}

impl Issuer {
    /// Creates an issuer that signs with [`SigningKey::fixed`].
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self::with_keys(url, [SigningKey::fixed()])
    }

    /// Creates an issuer that signs with the first of these keys and publishes all of them.
    ///
    /// # Panics
    /// If there are no keys.
    #[must_use]
    pub fn with_keys(url: impl Into<String>, keys: impl IntoIterator<Item = SigningKey>) -> Self {
        let keys = Vec::from_iter(keys);
        assert!(!keys.is_empty(), "an issuer needs a key");
        Self { url: url.into(), keys }
    }

    /// Returns the issuer's URL, the `iss` of its tokens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the keys.
    #[must_use]
    pub fn keys(&self) -> &[SigningKey] {
        &self.keys
    }

    /// Signs with another key from now on. The earlier keys stay published until they are [withdrawn](Self::withdraw).
    pub fn rotate(&mut self, key: SigningKey) {
        self.keys.insert(0, key);
    }

    /// Withdraws all keys except the one that signs.
    pub fn withdraw(&mut self) {
        self.keys.truncate(1);
    }

    /// Returns the public keys as the text of a JWK Set (RFC 7517 §5).
    #[must_use]
    pub fn jwks(&self) -> String {
        let keys: Vec<Value> = self.keys.iter().map(SigningKey::jwk).collect();
        concat(&[r#"{"keys":"#, &text_of(&keys), "}"])
    }

    /// Returns the public keys as a fixed [`KeyCache`], for a [`Verifier`](crate::Verifier).
    ///
    /// # Panics
    /// If none of the keys is fit for verification.
    #[must_use]
    pub fn key_cache(&self) -> KeyCache {
        let keys = JwkSet::parse(self.jwks().as_bytes()).expect("a key of at least 2048 bits");
        KeyCache::fixed(&self.url, keys)
    }

    /// Returns an access token (RFC 9068) that is valid at `now`, to be modified and signed.
    #[must_use]
    pub fn access_token(&self, audience: &str, now: UnixTime) -> Token<'_> {
        let own = [("client_id", "client-1".into()), ("jti", "token-1".into())];
        self.token(audience, now).header("typ", "at+jwt").claims(own)
    }

    /// Returns an ID token (OpenID Connect Core §2) that is valid at `now`, to be modified and signed: add a `nonce`, for example.
    #[must_use]
    pub fn id_token(&self, client_id: &str, now: UnixTime) -> Token<'_> {
        self.token(client_id, now).header("typ", "JWT")
    }

    fn token(&self, audience: &str, now: UnixTime) -> Token<'_> {
        let key = self.keys.first().expect("at least one key");
        let token = Token { key, algorithm: Algorithm::Rs256, header: Map::new(), claims: Map::new() };
        token.algorithm(Algorithm::Rs256).signed_by(key).claims([
            ("iss", self.url.as_str().into()),
            ("sub", "user-1".into()),
            ("aud", audience.into()),
            ("iat", now.secs().into()),
            ("exp", (now.secs() + LIFETIME_S).into()),
        ])
    }
}

/// A token to be signed.
#[derive(Debug, Clone)]
pub struct Token<'i> {
    key: &'i SigningKey,
    algorithm: Algorithm,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl<'i> Token<'i> {
    /// Sets a claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Sets several claims.
    #[must_use]
    pub fn claims<'n>(self, claims: impl IntoIterator<Item = (&'n str, Value)>) -> Self {
        claims.into_iter().fold(self, |token, (name, value)| token.claim(name, value))
    }

    /// Removes a claim.
    #[must_use]
    pub fn without_claim(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Sets a header parameter, regardless of the key and algorithm that sign.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.into(), value.into());
        self
    }

    /// Removes a header parameter.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// Sets the algorithm to sign with, and `alg`.
    #[must_use]
    pub fn algorithm(self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self.header("alg", algorithm.name()) }
    }

    /// Sets the key to sign with, and `kid`.
    #[must_use]
    pub fn signed_by(self, key: &'i SigningKey) -> Self {
        Self { key, ..self.header("kid", key.kid()) }
    }

    /// Signs the token and returns it in compact form.
    ///
    /// # Panics
    /// If the key is too small for the algorithm, or the algorithm is not one of RSA.
    #[must_use]
    pub fn sign(&self) -> String {
        let part = |map: &Map<String, Value>| base64url::encode(text_of(map).as_bytes());
        let input = concat(&[&part(&self.header), ".", &part(&self.claims)]);
        let signature = self.key.sign(self.algorithm.scheme().expect("an algorithm of RSA keys"), input.as_bytes());
        concat(&[&input, ".", &base64url::encode(&signature)])
    }
}

fn text_of(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("JSON can be serialized")
}
