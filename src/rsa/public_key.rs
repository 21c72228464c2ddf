//! An RSA public key that passed its checks, and the public operation.

use alloc::vec::Vec;

use rsa::BigUint;
use rsa::hazmat::rsa_encrypt;

use super::SignatureInvalid;
use crate::limits;

/// Why a modulus and exponent do not make an acceptable RSA public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidKey {
    /// The modulus has fewer bits than [`limits::MIN_MODULUS_BITS`].
    ModulusTooSmall {
        /// Its size.
        bits: usize,
    },
    /// The modulus has more bits than [`limits::MAX_MODULUS_BITS`].
    ModulusTooLarge {
        /// Its size.
        bits: usize,
    },
    /// The modulus is even.
    ModulusEven,
    /// The exponent is even, below 3, or wider than [`limits::MAX_EXPONENT_BITS`].
    ExponentInvalid,
}

/// An RSA public key: n odd, 2048 to 8192 bits; e odd, 3 ≤ e < 2^33.
#[derive(Clone)]
pub struct PublicKey {
    n: Vec<u8>,
    e: u64,
    bits: usize,
    inner: rsa::RsaPublicKey,
}

impl PublicKey {
    /// Builds a key from big-endian bytes; leading zero octets are ignored.
    ///
    /// # Errors
    /// See [`InvalidKey`].
    pub fn new(n: &[u8], e: &[u8]) -> Result<Self, InvalidKey> {
        let n = without_leading_zeros(n);
        let bits = bit_length(n);
        if bits < limits::MIN_MODULUS_BITS {
            return Err(InvalidKey::ModulusTooSmall { bits });
        }
        if bits > limits::MAX_MODULUS_BITS {
            return Err(InvalidKey::ModulusTooLarge { bits });
        }
        if n.last().is_none_or(|last| last % 2 == 0) {
            return Err(InvalidKey::ModulusEven);
        }
        let e = without_leading_zeros(e);
        if bit_length(e) > limits::MAX_EXPONENT_BITS {
            return Err(InvalidKey::ExponentInvalid);
        }
        let exponent = e.iter().fold(0u64, |value, &octet| value << 8 | u64::from(octet));
        if exponent < 3 || exponent % 2 == 0 {
            return Err(InvalidKey::ExponentInvalid);
        }
        let inner = rsa::RsaPublicKey::new_with_max_size(
            BigUint::from_bytes_be(n),
            BigUint::from(exponent),
            limits::MAX_MODULUS_BITS,
        );
        Ok(Self { n: n.to_vec(), e: exponent, bits, inner: inner.map_err(|_| InvalidKey::ExponentInvalid)? })
    }

    /// The modulus, big-endian, without leading zeros.
    #[must_use]
    pub fn n(&self) -> &[u8] {
        &self.n
    }

    /// The exponent.
    #[must_use]
    pub fn e(&self) -> u64 {
        self.e
    }

    /// Length of the modulus, in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// Length of the modulus and of every signature, in bytes: RFC 8017's k.
    #[must_use]
    pub fn size(&self) -> usize {
        self.n.len()
    }

    /// RSAVP1 (RFC 8017 §5.2.2): writes signature^e mod n, big-endian, to `out`, which must be `size()` bytes.
    ///
    /// # Errors
    /// If the signature is not exactly `size()` bytes long, or not below the modulus.
    pub(super) fn public_op(&self, signature: &[u8], out: &mut [u8]) -> Result<(), SignatureInvalid> {
        // Equal lengths, big-endian: lexicographic order is numeric order.
        if signature.len() != self.size() || out.len() != self.size() || signature >= self.n.as_slice() {
            return Err(SignatureInvalid);
        }
        let message = rsa_encrypt(&self.inner, &BigUint::from_bytes_be(signature)).map_err(|_| SignatureInvalid)?;
        let bytes = message.to_bytes_be();
        let zeros = out.len().checked_sub(bytes.len()).ok_or(SignatureInvalid)?;
        let (padding, value) = out.split_at_mut_checked(zeros).ok_or(SignatureInvalid)?;
        padding.fill(0);
        value.copy_from_slice(&bytes);
        Ok(())
    }
}

impl core::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "PublicKey({} bits, e = {})", self.bits, self.e)
    }
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|&&octet| octet == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

/// Bits of a big-endian number without leading zero octets.
fn bit_length(bytes: &[u8]) -> usize {
    bytes.first().map_or(0, |first| bytes.len() * 8 - first.leading_zeros() as usize)
}
