//! One JSON Web Key (RFC 7517 §4): a key fit for verification, or a reason to refuse it.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use super::curve::{Curve, CurveKey};
use crate::algorithm::Algorithm;
use crate::base64url;
use crate::error::VerifyError;
use crate::json::{Object, Value};
use crate::limits;
use crate::rsa::{InvalidKey, PublicKey, has_roca_fingerprint};
use crate::text::{concat, decimal};
use crate::url::is_tenant;

/// A public key that may verify signatures, with its `kid` and the algorithm it is restricted to, if any.
pub struct VerifyingKey {
    pub(super) material: Material,
    pub(super) kid: Option<String>,
    /// Always present for a key on a curve.
    pub(super) algorithm: Option<Algorithm>,
    /// The issuer whose tokens it signs, if the set names one; of all tenants, with `{tenantid}` (Microsoft Entra ID).
    pub(crate) issuer: Option<String>,
    /// Whether the host has refused the key.
    is_refused: AtomicBool,
}

/// The numbers of a key.
pub(super) enum Material {
    Rsa(PublicKey),
    Curve(CurveKey),
}

/// Why a JWK is unusable. In a set, such a key is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidJwk {
    /// Not an object.
    NotAnObject,
    /// `kty` is not `RSA`, `EC` or `OKP`.
    KeyTypeUnsupported,
    /// `crv` is not `P-256`, `P-384` or `Ed25519`, or is not of the key's type.
    CurveUnsupported,
    /// `alg` is an [`Algorithm`], but not of the key's type and curve.
    AlgMismatch,
    /// The point is not canonical, of small order, or not on its curve.
    PointInvalid,
    /// `use` is not `sig`.
    NotForSignatures,
    /// `key_ops` lacks `verify`, has duplicates, or is longer than [`limits::MAX_KEY_OPERATIONS`].
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

impl InvalidJwk {
    /// Returns the error message.
    #[must_use]
    pub fn message(&self) -> Cow<'static, str> {
        let rsa_bits =
            |bits: &usize, limit: &str| concat(&["RSA modulus has ", &decimal(*bits as u64), " bits, ", limit]).into();
        Cow::Borrowed(match self {
            Self::NotAnObject => "key is not a JSON object",
            Self::KeyTypeUnsupported => "key type is not supported",
            Self::CurveUnsupported => "key is on a curve that is not supported",
            Self::AlgMismatch => "key is of another type than its alg",
            Self::PointInvalid => "key is no acceptable point of its curve",
            Self::NotForSignatures => "key is not for signatures",
            Self::NotForVerification => "key is not for verification",
            Self::AlgUnsupported => "key is for an algorithm that is not supported",
            Self::Private => "key has private members",
            Self::Malformed => "key has a malformed member",
            Self::DuplicateName => "key has two members of the same name",
            Self::Rsa(InvalidKey::ModulusTooSmall { bits }) => return rsa_bits(bits, "fewer than supported"),
            Self::Rsa(InvalidKey::ModulusTooLarge { bits }) => return rsa_bits(bits, "more than supported"),
            Self::Rsa(InvalidKey::ModulusEven) => "RSA modulus is even",
            Self::Rsa(_) => "RSA exponent is even, too small or too large",
            Self::ModulusOverConfiguredMaximum { bits } => return rsa_bits(bits, "more than configured"),
            Self::Roca => "RSA modulus can be factored (ROCA)",
        })
    }
}

impl core::fmt::Display for InvalidJwk {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.message())
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
    pub(crate) fn from_jwk(jwk: Object<'_>, max_modulus_bits: usize) -> Result<Self, InvalidJwk> {
        if jwk.has_duplicate_names() {
            return Err(InvalidJwk::DuplicateName);
        }
        // Some providers publish members without a value.
        let jwk = |name: &str| jwk.get(name).filter(|value| !matches!(value, Value::Null));
        let kty = jwk("kty").and_then(Value::as_str).ok_or(InvalidJwk::Malformed)?;
        if kty != "RSA" && !Curve::has_type(kty) {
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
            let operations =
                operations.as_array().and_then(crate::json::Array::strings).ok_or(InvalidJwk::Malformed)?;
            let operations: Vec<&str> = operations.take(limits::MAX_KEY_OPERATIONS + 1).collect();
            // A long list is not searched: that takes the square of its length.
            let is_too_long = operations.len() > limits::MAX_KEY_OPERATIONS;
            let mut each = (1..).zip(&operations);
            if is_too_long
                || each.any(|(next, one)| operations.iter().skip(next).any(|two| two == one))
                || !operations.contains(&"verify")
            {
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
        let (key, fitting) = if kty == "RSA" {
            let rsa = PublicKey::new(&number("n")?, &number("e")?).map_err(InvalidJwk::Rsa)?;
            if rsa.bits() > max_modulus_bits {
                return Err(InvalidJwk::ModulusOverConfiguredMaximum { bits: rsa.bits() });
            }
            (Self::new(rsa)?, algorithm)
        } else {
            let crv = text("crv")?.ok_or(InvalidJwk::Malformed)?;
            let curve = Curve::find(kty, crv).ok_or(InvalidJwk::CurveUnsupported)?;
            (Self::of(Material::Curve(CurveKey::new(curve, number)?)), Some(curve.algorithm))
        };
        let issuer = text("issuer")?.map(Into::into);
        let key = Self { kid: kid.map(Into::into), algorithm: fitting, issuer, ..key };
        // The algorithm must be one of the key's type and curve (RFC 8725 §3.1).
        if algorithm.is_some_and(|algorithm| !key.fits(algorithm)) { Err(InvalidJwk::AlgMismatch) } else { Ok(key) }
    }

    /// Creates a key without a `kid`, for any algorithm of RSA.
    ///
    /// # Errors
    /// [`InvalidJwk::Roca`].
    pub fn new(rsa: PublicKey) -> Result<Self, InvalidJwk> {
        if has_roca_fingerprint(rsa.n()) {
            return Err(InvalidJwk::Roca);
        }
        Ok(Self::of(Material::Rsa(rsa)))
    }

    fn of(material: Material) -> Self {
        Self { material, kid: None, algorithm: None, issuer: None, is_refused: AtomicBool::new(false) }
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
    /// `key_alg_mismatch` if the key was published for another algorithm, `async_required` if the host is to verify the signature,
    /// `signature_invalid` otherwise.
    pub(crate) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), VerifyError> {
        self.check_algorithm(algorithm)?;
        let is_genuine = match (&self.material, algorithm.scheme()) {
            (Material::Rsa(rsa), Some(scheme)) => rsa.verify(scheme, message, signature).is_ok(),
            (Material::Curve(key), None) if key.admits(signature) => {
                return Err(VerifyError::AsyncRequired { algorithm: Some(algorithm) });
            }
            _ => false,
        };
        if is_genuine { Ok(()) } else { Err(VerifyError::SignatureInvalid) }
    }

    /// Checks that the key may be used with `algorithm`.
    pub(super) fn check_algorithm(&self, algorithm: Algorithm) -> Result<(), VerifyError> {
        if self.fits(algorithm) {
            return Ok(());
        }
        Err(VerifyError::KeyAlgMismatch { token: algorithm, key: self.algorithm })
    }

    /// Returns whether the key may be used with `algorithm`: its type, its curve and its `alg` fit.
    #[must_use]
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        let is_of_type = match &self.material {
            Material::Rsa(_) => algorithm.scheme().is_some(),
            Material::Curve(_) => algorithm.scheme().is_none() && self.algorithm.is_some(),
        };
        is_of_type && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// Returns the key as a host reads it: an uncompressed point (SEC 1 §2.3.3), or the 32 octets of an Ed25519 key. Empty for RSA.
    pub(crate) fn point(&self) -> &[u8] {
        match &self.material {
            Material::Rsa(_) => &[],
            Material::Curve(key) => &key.bytes,
        }
    }

    /// Records that the host has refused the key: it is not on its curve.
    pub(crate) fn refuse(&self) {
        self.is_refused.store(true, Ordering::Relaxed);
    }

    /// Returns whether the host has refused the key, which is no longer used then.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
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

    /// Returns the length of the modulus, or of the curve's field, in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        match &self.material {
            Material::Rsa(rsa) => rsa.bits(),
            Material::Curve(key) => key.bits(),
        }
    }

    /// Returns whether the key may sign for this issuer. An issuer in the set counts by its tenant: a provider has several forms of URL
    /// for one, and other providers may mean something else by the member.
    pub(crate) fn serves(&self, issuer: &str) -> bool {
        let tenant = |url: &str| url.split('/').find(|segment| is_tenant(segment)).map(String::from);
        match self.issuer.as_deref().and_then(tenant) {
            Some(of_key) => tenant(issuer) == Some(of_key),
            None => true,
        }
    }

    /// Returns whether this is the same key, with the same `kid`, algorithm and issuer.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.kid == other.kid && self.algorithm == other.algorithm && self.has_numbers_of(other)
    }

    /// Returns whether both are one public key, for the same issuer.
    pub(super) fn has_numbers_of(&self, other: &Self) -> bool {
        self.issuer == other.issuer
            && match (&self.material, &other.material) {
                (Material::Rsa(one), Material::Rsa(two)) => one.n() == two.n() && one.e() == two.e(),
                (Material::Curve(one), Material::Curve(two)) => one == two,
                _ => false,
            }
    }
}

/// Decodes base64url as RFC 7518 §2 requires it, and as some providers write it: padded, or in the alphabet of RFC 4648 §4. The number is
/// the same, unlike the bytes of a token, which must have one form only.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
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
