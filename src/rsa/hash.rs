//! The hash functions that signatures are made with.

use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A SHA-2 hash function (FIPS 180-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

/// Longest digest, in bytes.
const MAX_DIGEST_BYTES: usize = 64;

/// A digest of up to 64 bytes, on the stack.
#[derive(Clone, Copy)]
pub(crate) struct Digest {
    bytes: [u8; MAX_DIGEST_BYTES],
    len: usize,
}

impl Digest {
    fn from_slice(slice: &[u8]) -> Self {
        let mut bytes = [0; MAX_DIGEST_BYTES];
        bytes.iter_mut().zip(slice).for_each(|(to, from)| *to = *from);
        Self { bytes, len: slice.len().min(MAX_DIGEST_BYTES) }
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

impl Hash {
    /// Length of a digest, in bytes; never zero.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a digest is never empty")]
    pub const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The digest of the concatenation of `parts`.
    pub(crate) fn digest(self, parts: &[&[u8]]) -> Digest {
        fn run<H: sha2::Digest>(parts: &[&[u8]]) -> Digest {
            let mut hash = H::new();
            parts.iter().for_each(|part| hash.update(part));
            Digest::from_slice(&hash.finalize())
        }
        match self {
            Self::Sha256 => run::<Sha256>(parts),
            Self::Sha384 => run::<Sha384>(parts),
            Self::Sha512 => run::<Sha512>(parts),
        }
    }
}

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
