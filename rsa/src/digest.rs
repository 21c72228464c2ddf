//! The SHA-2 hash functions.

use sha2::{Sha256, Sha384, Sha512};

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
#[derive(Debug, Clone, Copy)]
pub struct Digest {
    bytes: [u8; MAX_DIGEST_BYTES],
    len: usize,
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

impl Hash {
    /// Returns the length of a digest, in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a digest is never empty")]
    pub const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Hashes the concatenation of `parts`.
    #[must_use]
    pub fn digest(self, parts: &[&[u8]]) -> Digest {
        match self {
            Self::Sha256 => Digest::of::<Sha256>(parts),
            Self::Sha384 => Digest::of::<Sha384>(parts),
            Self::Sha512 => Digest::of::<Sha512>(parts),
        }
    }
}

impl Digest {
    fn of<D: sha2::Digest>(parts: &[&[u8]]) -> Self {
        let mut hasher = D::new();
        parts.iter().for_each(|part| hasher.update(part));
        let output = hasher.finalize();
        let mut digest = Self { bytes: [0; MAX_DIGEST_BYTES], len: output.len() };
        digest.bytes.iter_mut().zip(output).for_each(|(to, from)| *to = from);
        digest
    }
}

/// Returns the SHA-256 digest of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = Hash::Sha256.digest(&[bytes]);
    digest.bytes.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Hash;

    fn hex(bytes: &[u8]) -> alloc::string::String {
        bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect()
    }

    /// NIST's examples for FIPS 180-4, also in parts.
    #[test]
    fn digests_of_abc() {
        for parts in [&[&b"abc"[..]][..], &[b"a", b"", b"bc"]] {
            assert_eq!(
                hex(Hash::Sha256.digest(parts).as_ref()),
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            );
            assert_eq!(
                hex(Hash::Sha384.digest(parts).as_ref()),
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"
            );
            assert_eq!(
                hex(Hash::Sha512.digest(parts).as_ref()),
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
            );
        }
    }

    #[test]
    fn a_digest_has_its_length() {
        for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            assert_eq!(hash.digest(&[]).as_ref().len(), hash.len());
        }
    }
}
