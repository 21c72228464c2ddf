//! One JSON Web Key (RFC 7517 §4): an RSA key fit for verification, or a reason to refuse it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::algorithm::Algorithm;
use crate::base64url;
use crate::error::VerifyError;
use crate::json::{Object, Value};
use crate::limits;
use crate::rsa::{InvalidKey, PublicKey, has_roca_fingerprint};

/// A public key that may verify signatures, with its `kid` and the algorithm it is restricted to, if any.
pub struct VerifyingKey {
    pub(super) rsa: PublicKey,
    pub(super) kid: Option<String>,
    pub(super) algorithm: Option<Algorithm>,
    /// The issuer whose tokens it signs, if the set names one; of all tenants, with `{tenantid}` (Microsoft Entra ID).
    pub(crate) issuer: Option<String>,
}

/// Why a JWK is unusable. In a set, such a key is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidJwk {
    /// Not an object.
    NotAnObject,
    /// `kty` is not `RSA`.
    KeyTypeUnsupported,
    /// `use` is not `sig`.
    NotForSignatures,
    /// `key_ops` lacks `verify`, or has duplicates.
    NotForVerification,
    /// `alg` is not an [`Algorithm`].
    AlgUnsupported,
    /// The key has private members: it should never have been published, and is not trusted.
    Private,
    /// A member has the wrong type, is too long, or is not base64.
    Malformed,
    /// Two members have the same name.
    DuplicateName,
    /// The modulus or the exponent is not acceptable.
    Rsa(InvalidKey),
    /// The modulus exceeds the configured maximum.
    ModulusOverConfiguredMaximum {
        /// Its size.
        bits: usize,
    },
    /// The modulus has the fingerprint of a flawed generator and can be factored (ROCA, CVE-2017-15361).
    Roca,
}

impl core::fmt::Display for InvalidJwk {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotAnObject => "key is not a JSON object",
            Self::KeyTypeUnsupported => "key type is not RSA",
            Self::NotForSignatures => "key is not for signatures",
            Self::NotForVerification => "key is not for verification",
            Self::AlgUnsupported => "key is for an algorithm that is not supported",
            Self::Private => "key has private members",
            Self::Malformed => "key has a malformed member",
            Self::DuplicateName => "key has two members of the same name",
            Self::Rsa(reason) => return reason.fmt(f),
            Self::ModulusOverConfiguredMaximum { bits } => {
                return write!(f, "RSA modulus has {bits} bits, more than configured");
            }
            Self::Roca => "RSA modulus can be factored (ROCA)",
        })
    }
}

impl core::error::Error for InvalidJwk {}

/// Members that only private or symmetric keys have (RFC 7518 §6.3.2, §6.4).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl VerifyingKey {
    /// Reads a JWK.
    ///
    /// # Errors
    /// See [`InvalidJwk`].
    pub(super) fn from_jwk(jwk: Object<'_>, max_modulus_bits: usize) -> Result<Self, InvalidJwk> {
        if jwk.has_duplicate_names() {
            return Err(InvalidJwk::DuplicateName);
        }
        // Some providers publish members without a value.
        let jwk = |name: &str| jwk.get(name).filter(|value| !matches!(value, Value::Null));
        if jwk("kty").and_then(Value::as_str).ok_or(InvalidJwk::Malformed)? != "RSA" {
            return Err(InvalidJwk::KeyTypeUnsupported);
        }
        if PRIVATE_MEMBERS.iter().any(|member| jwk(member).is_some()) {
            return Err(InvalidJwk::Private);
        }
        let text = |name| match jwk(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(InvalidJwk::Malformed),
        };
        if text("use")?.is_some_and(|usage| usage != "sig") {
            return Err(InvalidJwk::NotForSignatures);
        }
        if let Some(operations) = jwk("key_ops") {
            let operations: Vec<&str> =
                operations.as_array().and_then(crate::json::Array::strings).ok_or(InvalidJwk::Malformed)?.collect();
            let has_duplicates =
                (1..).zip(&operations).any(|(next, one)| operations.iter().skip(next).any(|two| two == one));
            if has_duplicates || !operations.contains(&"verify") {
                return Err(InvalidJwk::NotForVerification);
            }
        }
        let algorithm = match text("alg")? {
            None => None,
            Some(name) => Some(Algorithm::from_name(name).ok_or(InvalidJwk::AlgUnsupported)?),
        };
        let kid = text("kid")?;
        if kid.is_some_and(|kid| kid.len() > limits::MAX_KID_BYTES) {
            return Err(InvalidJwk::Malformed);
        }
        let number = |name| {
            let text = text(name)?.ok_or(InvalidJwk::Malformed)?;
            decode(text).ok_or(InvalidJwk::Malformed)
        };
        let rsa = PublicKey::new(&number("n")?, &number("e")?).map_err(InvalidJwk::Rsa)?;
        if rsa.bits() > max_modulus_bits {
            return Err(InvalidJwk::ModulusOverConfiguredMaximum { bits: rsa.bits() });
        }
        let issuer = jwk("issuer").and_then(Value::as_str).map(Into::into);
        Ok(Self { kid: kid.map(Into::into), algorithm, issuer, ..Self::new(rsa)? })
    }

    /// Creates a key without a `kid`, for any algorithm.
    ///
    /// # Errors
    /// [`InvalidJwk::Roca`].
    pub fn new(rsa: PublicKey) -> Result<Self, InvalidJwk> {
        if has_roca_fingerprint(rsa.n()) {
            return Err(InvalidJwk::Roca);
        }
        Ok(Self { rsa, kid: None, algorithm: None, issuer: None })
    }

    /// Sets the `kid`: tokens with another one do not match this key.
    #[must_use]
    pub fn with_kid(self, kid: impl Into<String>) -> Self {
        Self { kid: Some(kid.into()), ..self }
    }

    /// Restricts the key to one algorithm.
    #[must_use]
    pub fn only_for(self, algorithm: Algorithm) -> Self {
        Self { algorithm: Some(algorithm), ..self }
    }

    /// Verifies `signature` over `message` with `algorithm`.
    ///
    /// # Errors
    /// `key_alg_mismatch` if the key was published for another algorithm, `signature_invalid` otherwise.
    pub(crate) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), VerifyError> {
        self.check_algorithm(algorithm)?;
        self.rsa.verify(algorithm.scheme(), message, signature).map_err(|_| VerifyError::SignatureInvalid)
    }

    /// Checks that the key may be used with `algorithm`.
    pub(super) fn check_algorithm(&self, algorithm: Algorithm) -> Result<(), VerifyError> {
        match self.algorithm {
            Some(key) if key != algorithm => Err(VerifyError::KeyAlgMismatch { token: algorithm, key }),
            _ => Ok(()),
        }
    }

    /// Returns the key id.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Returns the only algorithm this key is published for, if its issuer names one.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// Returns the length of the modulus, in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.rsa.bits()
    }

    /// Returns whether this is the same key, with the same `kid` and algorithm.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.kid == other.kid
            && self.algorithm == other.algorithm
            && self.rsa.n() == other.rsa.n()
            && self.rsa.e() == other.rsa.e()
    }
}

/// Decodes base64url as RFC 7518 §2 requires it, and as some providers write it: padded, or in the alphabet of RFC 4648 §4. The number is
/// the same, unlike the bytes of a token, which must have one form only.
fn decode(text: &str) -> Option<Vec<u8>> {
    let in_alphabet = |byte| match byte {
        b'+' => b'-',
        b'/' => b'_',
        other => other,
    };
    let text: Vec<u8> = text.trim_end_matches('=').bytes().map(in_alphabet).collect();
    base64url::decode(&text).ok()
}

impl core::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .field("bits", &self.bits())
            .finish()
    }
}
