//! The binding of an access token to its sender (`cnf`, RFC 7800).

use crate::base64url;
use crate::json::Value;

/// The confirmation methods of a token, all of which its sender must satisfy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Binding {
    /// The SHA-256 thumbprint of a key (`jkt`, RFC 9449 §6.1).
    pub key: Option<[u8; 32]>,
    /// The SHA-256 thumbprint of a certificate (`x5t#S256`, RFC 8705 §3.1).
    pub certificate: Option<[u8; 32]>,
    /// Whether nothing can satisfy it: there is another method, a malformed one, or none.
    pub is_unknown: bool,
}

impl Binding {
    pub(super) fn read(cnf: Value<'_>) -> Self {
        let mut binding = Self::default();
        for (name, value) in cnf.as_object().into_iter().flat_map(|methods| methods.iter()) {
            let thumbprint = value.as_str().and_then(|text| base64url::decode(text.as_bytes()).ok()?.try_into().ok());
            binding.is_unknown |= thumbprint.is_none();
            match name {
                "jkt" => binding.key = thumbprint,
                "x5t#S256" => binding.certificate = thumbprint,
                _ => binding.is_unknown = true,
            }
        }
        binding.is_unknown |= binding.key.is_none() && binding.certificate.is_none();
        binding
    }
}
