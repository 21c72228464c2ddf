//! The RSA operation alone, for `make bench`: message and signature in, verdict out, as `node:crypto` and
//! `crypto.subtle` have it, SHA-256 throughout; and the sealing of sessions.

use edgeward::rsa::{Hash, PublicKey, Scheme};
use edgeward::session::{LoginBinding, Purpose, SEAL_NONCE_BYTES};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// The numbers make no key.
pub struct InvalidKey;

impl From<InvalidKey> for JsValue {
    fn from(_: InvalidKey) -> Self {
        "invalid key".into()
    }
}

/// Ours.
#[wasm_bindgen]
pub struct Edgeward {
    key: PublicKey,
    scheme: Scheme,
}

#[wasm_bindgen]
impl Edgeward {
    /// A key from its big-endian numbers; PSS or PKCS#1 v1.5.
    #[wasm_bindgen(constructor)]
    pub fn new(n: &[u8], e: &[u8], pss: bool) -> Result<Self, InvalidKey> {
        let scheme = if pss { Scheme::Pss(Hash::Sha256) } else { Scheme::Pkcs1v15(Hash::Sha256) };
        Ok(Self { key: PublicKey::new(n, e).map_err(|_| InvalidKey)?, scheme })
    }

    /// Whether the signature is the key's over the message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify(self.scheme, message, signature).is_ok()
    }
}

/// The `rsa` crate as it is released; PKCS#1 v1.5.
#[wasm_bindgen]
pub struct RsaCrate(rsa::pkcs1v15::VerifyingKey<rsa::sha2::Sha256>);

#[wasm_bindgen]
impl RsaCrate {
    /// A key from its big-endian numbers.
    #[wasm_bindgen(constructor)]
    pub fn new(n: &[u8], e: &[u8]) -> Result<Self, InvalidKey> {
        let [n, e] = [n, e].map(rsa::BigUint::from_bytes_be);
        let key = rsa::RsaPublicKey::new_with_max_size(n, e, 8192).map_err(|_| InvalidKey)?;
        Ok(Self(rsa::pkcs1v15::VerifyingKey::new(key)))
    }

    /// Whether the signature is the key's over the message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        use rsa::signature::Verifier as _;
        rsa::pkcs1v15::Signature::try_from(signature).is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }
}

/// The `rsa` crate's next version; PKCS#1 v1.5.
#[wasm_bindgen]
pub struct RsaCrateNext(rsa_next::pkcs1v15::VerifyingKey<sha2_next::Sha256>);

#[wasm_bindgen]
impl RsaCrateNext {
    /// A key from its big-endian numbers.
    #[wasm_bindgen(constructor)]
    pub fn new(n: &[u8], e: &[u8]) -> Result<Self, InvalidKey> {
        let [n, e] = [n, e].map(rsa_next::BoxedUint::from_be_slice_vartime);
        let key = rsa_next::RsaPublicKey::new_with_size_limits(n, e, 2048..=8192).map_err(|_| InvalidKey)?;
        Ok(Self(rsa_next::pkcs1v15::VerifyingKey::new(key)))
    }

    /// Whether the signature is the key's over the message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        use rsa_next::signature::Verifier as _;
        let signature = rsa_next::pkcs1v15::Signature::try_from(signature);
        signature.is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }
}

/// The seal of sessions.
#[wasm_bindgen]
pub struct Sealer(edgeward::session::Sealer);

#[wasm_bindgen]
impl Sealer {
    /// With one secret.
    #[wasm_bindgen(constructor)]
    pub fn new(secret: &str) -> Self {
        let audience = [String::from("https://api.example.com")];
        let binding = LoginBinding { issuer: "https://tenant.example.com/", client_id: "client", audience: &audience };
        Self(edgeward::session::Sealer::new(&[secret], binding))
    }

    /// Seals a session's text; gives the length of what came out. The nonce is always the same: for timing only.
    pub fn seal(&self, content: &[u8]) -> usize {
        self.0.seal(Purpose::Session, "app.example.com", content, &[7; SEAL_NONCE_BYTES]).map_or(0, |sealed| sealed.len())
    }

    /// The sealed text of a session.
    pub fn sealed(&self, content: &[u8]) -> Option<String> {
        self.0.seal(Purpose::Session, "app.example.com", content, &[7; SEAL_NONCE_BYTES])
    }

    /// Opens it; gives the length of what came out.
    pub fn open(&self, sealed: &str) -> usize {
        self.0.open(Purpose::Session, "app.example.com", sealed).map_or(0, |content| content.len())
    }
}
