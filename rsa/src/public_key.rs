//! An RSA public key, checked and precomputed once.

use alloc::boxed::Box;
use core::fmt;

use super::{SignatureInvalid, natural};
use crate::limits;

/// Why a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidKey {
    /// The modulus has fewer bits than [`limits::MIN_MODULUS_BITS`].
    ModulusTooSmall {
        /// The size of the modulus.
        bits: usize,
    },
    /// The modulus has more bits than [`limits::MAX_MODULUS_BITS`].
    ModulusTooLarge {
        /// The size of the modulus.
        bits: usize,
    },
    /// The modulus is even.
    ModulusEven,
    /// The exponent is even, below 3, or wider than [`limits::MAX_EXPONENT_BITS`].
    ExponentInvalid,
}

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ModulusTooSmall { bits } => {
                write!(f, "RSA modulus has {bits} bits, fewer than {}", limits::MIN_MODULUS_BITS)
            }
            Self::ModulusTooLarge { bits } => {
                write!(f, "RSA modulus has {bits} bits, more than {}", limits::MAX_MODULUS_BITS)
            }
            Self::ModulusEven => f.write_str("RSA modulus is even"),
            Self::ExponentInvalid => {
                write!(f, "RSA exponent is even, below 3 or wider than {} bits", limits::MAX_EXPONENT_BITS)
            }
        }
    }
}

impl core::error::Error for InvalidKey {}

/// Why a public operation is impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpError {
    /// The signature or the output buffer is not as long as the modulus.
    LengthMismatch,
    /// The signature is not less than the modulus.
    OutOfRange,
}

impl fmt::Display for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LengthMismatch => "signature is not as long as the modulus",
            Self::OutOfRange => "signature is not less than the modulus",
        })
    }
}

impl core::error::Error for OpError {}

/// An RSA public key with the constants of its kernel.
///
/// ```
/// use edgeward_rsa::{Hash, PublicKey, Scheme};
///
/// /// Verifies an RS256 signature with a key's modulus and exponent, both big-endian.
/// fn is_signed_by(n: &[u8], e: &[u8], message: &[u8], signature: &[u8]) -> bool {
///     PublicKey::new(n, e).is_ok_and(|key| key.verify(Scheme::Pkcs1v15(Hash::Sha256), message, signature).is_ok())
/// }
/// assert!(!is_signed_by(&[1; 256], &[1, 0, 1], b"message", &[0; 256]));
/// ```
#[derive(Clone)]
pub struct PublicKey {
    n: Box<[u8]>,
    e: u64,
    bits: usize,
    engine: Engine,
}

#[derive(Clone)]
enum Engine {
    #[cfg(any(test, edgeward_emulate_fma, target_feature = "relaxed-simd"))]
    Fma(Box<super::fma::Modulus>),
    Integer(Box<super::Integer>),
}

impl PublicKey {
    /// Creates a key from its big-endian modulus and exponent; leading zero octets are ignored.
    ///
    /// Every check precedes any arithmetic.
    ///
    /// # Errors
    /// See [`InvalidKey`].
    pub fn new(n: &[u8], e: &[u8]) -> Result<Self, InvalidKey> {
        #[cfg(any(test, edgeward_emulate_fma, target_feature = "relaxed-simd"))]
        let fused = super::fma::fused();
        #[cfg(not(any(test, edgeward_emulate_fma, target_feature = "relaxed-simd")))]
        let fused = false;
        Self::on_host(n, e, fused)
    }

    /// Creates a key with the integer kernel, whatever the host supports: for tests and benchmarks.
    ///
    /// # Errors
    /// See [`InvalidKey`].
    #[doc(hidden)]
    pub fn without_fma(n: &[u8], e: &[u8]) -> Result<Self, InvalidKey> {
        Self::on_host(n, e, false)
    }

    /// Creates a key for a host that fuses multiply-add, or does not.
    pub(super) fn on_host(n: &[u8], e: &[u8], fused: bool) -> Result<Self, InvalidKey> {
        let n = strip(n);
        let top = n.first().map_or(0, |&b| 8 - b.leading_zeros() as usize);
        let bits = n.len().saturating_sub(1).saturating_mul(8).saturating_add(top);
        if bits < limits::MIN_MODULUS_BITS {
            return Err(InvalidKey::ModulusTooSmall { bits });
        }
        if bits > limits::MAX_MODULUS_BITS {
            return Err(InvalidKey::ModulusTooLarge { bits });
        }
        if n.last().is_none_or(|b| b & 1 == 0) {
            return Err(InvalidKey::ModulusEven);
        }
        let e = exponent(strip(e)).ok_or(InvalidKey::ExponentInvalid)?;

        let words = natural::from_be_bytes(n);
        let engine = match fused {
            #[cfg(any(test, edgeward_emulate_fma, target_feature = "relaxed-simd"))]
            true => Engine::Fma(Box::new(super::fma::Modulus::new(&words, bits))),
            _ => Engine::Integer(Box::new(super::Integer::new(&words, bits))),
        };
        Ok(Self { n: n.into(), e, bits, engine })
    }

    /// Writes s^e mod n to `out`, big-endian; `signature` and `out` must be as long as the modulus.
    ///
    /// # Errors
    /// See [`OpError`]; checked before any arithmetic.
    pub fn public_op(&self, signature: &[u8], out: &mut [u8]) -> Result<(), OpError> {
        if signature.len() != self.size() || out.len() != self.size() {
            return Err(OpError::LengthMismatch);
        }
        if *signature >= *self.n {
            return Err(OpError::OutOfRange);
        }
        let s = natural::from_be_bytes(signature);
        let words = match &self.engine {
            #[cfg(any(test, edgeward_emulate_fma, target_feature = "relaxed-simd"))]
            Engine::Fma(modulus) => modulus.power(&s, self.e),
            Engine::Integer(modulus) => modulus.power(&s, self.e),
        };
        natural::write_be_bytes(&words, out);
        Ok(())
    }

    /// Returns the modulus, big-endian, without leading zeros.
    #[must_use]
    pub fn n(&self) -> &[u8] {
        &self.n
    }

    /// Returns the exponent.
    #[must_use]
    pub fn e(&self) -> u64 {
        self.e
    }

    /// Returns the size of the modulus in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// Returns the size of the modulus in bytes, which is the length of a signature.
    #[must_use]
    pub fn size(&self) -> usize {
        self.n.len()
    }

    /// Returns the kernel in use: `"fma"` or `"integer"`.
    #[must_use]
    pub fn kernel(&self) -> &'static str {
        match self.engine {
            #[cfg(any(test, edgeward_emulate_fma, target_feature = "relaxed-simd"))]
            Engine::Fma(_) => "fma",
            Engine::Integer(_) => "integer",
        }
    }
}

/// Drops the reason: a verifier reports only that the signature is invalid.
impl From<OpError> for SignatureInvalid {
    fn from(_: OpError) -> Self {
        Self
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("bits", &self.bits).field("e", &self.e).finish_non_exhaustive()
    }
}

fn strip(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|&&b| b == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

/// Reads an exponent without leading zeros; it must be odd, at least 3 and at most [`limits::MAX_EXPONENT_BITS`] wide.
fn exponent(bytes: &[u8]) -> Option<u64> {
    if bytes.len() > 5 {
        return None;
    }
    let e = bytes.iter().fold(0, |e, &b| e << 8 | u64::from(b));
    (e & 1 == 1 && (3..1 << limits::MAX_EXPONENT_BITS).contains(&e)).then_some(e)
}
