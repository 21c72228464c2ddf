//! Private keys that decrypt tokens.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::SigningKey;
use crate::base64url;
use crate::json::{Array, Document, Object, Value, push_quoted};
use crate::limits;

/// An RSA key that decrypts the keys of tokens.
#[derive(Clone)]
pub struct DecryptionKey {
    kid: String,
    algorithms: Vec<&'static str>,
    /// The private JWK.
    private: String,
    modulus_bytes: usize,
}

/// The key management algorithms (RFC 7518 §4.3, and the registrations for SHA-384 and SHA-512). The last one, which uses SHA-1, counts only
/// where it is named.
pub(crate) const KEY_ALGORITHMS: [&str; 4] = ["RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512", "RSA-OAEP"];

const NOT_FOR_DECRYPTION: &str = "is not for decryption by its use, key_ops or alg";

impl DecryptionKey {
    /// Parses an RSA key: PKCS#8 in PEM, or a JWK. `kid` and `alg` stand in for those of a JWK; without them, the `kid` is the thumbprint of
    /// the public key, and the algorithms are all but RSA-OAEP.
    ///
    /// # Errors
    /// The reason, without the key.
    pub fn parse(text: &str, kid: Option<&str>, alg: Option<&str>) -> Result<Self, Cow<'static, str>> {
        let text = text.trim();
        let mut named = alg.map(Cow::Borrowed);
        let key = if text.starts_with('{') {
            let document = Document::parse(text.into(), limits::MAX_HEADER_DEPTH);
            let document = document.map_err(|_| "is no private key: it must be PKCS#8 in PEM or a JWK")?;
            let jwk = document.root();
            if !is_for_decryption(jwk) {
                return Err(NOT_FOR_DECRYPTION.into());
            }
            if let Some(own) = jwk.get("alg") {
                let own = own.as_str().filter(|own| alg.is_none_or(|alg| alg == *own)).ok_or(NOT_FOR_DECRYPTION)?;
                named = Some(Cow::Owned(own.into()));
            }
            SigningKey::parse(&without_usage(jwk))
        } else {
            SigningKey::parse(text)
        };
        let key = key.map_err(|error| error.message())?;
        let algorithms: Vec<&str> = match &named {
            Some(alg) => KEY_ALGORITHMS.into_iter().filter(|one| one == alg).collect(),
            None => KEY_ALGORITHMS.into_iter().take(3).collect(),
        };
        let public = Document::parse(key.public_jwk().into(), limits::MAX_HEADER_DEPTH).ok();
        let modulus = public.as_ref().and_then(|jwk| jwk.root().get("n")?.as_str());
        let modulus = modulus.and_then(|modulus| base64url::decode(modulus.as_bytes()).ok());
        let modulus_bytes = modulus.ok_or("must be an RSA key")?.len();
        if algorithms.is_empty() {
            return Err(NOT_FOR_DECRYPTION.into());
        }
        let kid = kid.unwrap_or_else(|| key.kid()).into();
        Ok(Self { kid, algorithms, private: key.private_jwk().into(), modulus_bytes })
    }

    /// Returns the key id.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Returns the algorithm with this name if the key is for it.
    pub(crate) fn algorithm(&self, name: &str) -> Option<&'static str> {
        self.algorithms.iter().copied().find(|one| *one == name)
    }

    pub(crate) fn private_jwk(&self) -> &str {
        &self.private
    }

    pub(crate) fn modulus_bytes(&self) -> usize {
        self.modulus_bytes
    }
}

impl fmt::Debug for DecryptionKey {
    /// Omits the private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptionKey")
            .field("kid", &self.kid)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

fn is_for_decryption(jwk: Object<'_>) -> bool {
    let operations = jwk.get("key_ops").map(|list| list.as_array().and_then(Array::strings));
    let decrypts = |one: &str| matches!(one, "decrypt" | "unwrapKey");
    operations.is_none_or(|list| list.is_some_and(|mut list| list.any(decrypts)))
        && jwk.get("use").is_none_or(|usage| usage.as_str() == Some("enc"))
}

/// Returns the JWK without what says that it does not sign.
fn without_usage(jwk: Object<'_>) -> String {
    let mut json = String::from("{");
    for (name, value) in jwk.iter().filter(|(name, _)| !matches!(*name, "use" | "key_ops" | "alg")) {
        json.push_str(if json.len() > 1 { "," } else { "" });
        push_quoted(&mut json, name);
        json.push(':');
        json.push_str(&Value::to_json(value));
    }
    json.push('}');
    json
}
