//! The hash functions that signatures are made with.

use alloc::vec::Vec;

use sha2::block_api::{compress256, compress512};

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
        let mut digest = Digest { bytes: [0; MAX_DIGEST_BYTES], len: self.len() };
        match self {
            Self::Sha256 => {
                let mut state = H256;
                compress256(&mut state, padded(parts, 64).as_chunks().0);
                digest
                    .bytes
                    .iter_mut()
                    .zip(state.iter().flat_map(|word| word.to_be_bytes()))
                    .for_each(|(to, from)| *to = from);
            }
            Self::Sha384 | Self::Sha512 => {
                let mut state = if self == Self::Sha384 { H384 } else { H512 };
                compress512(&mut state, padded(parts, 128).as_chunks().0);
                digest
                    .bytes
                    .iter_mut()
                    .zip(state.iter().flat_map(|word| word.to_be_bytes()))
                    .for_each(|(to, from)| *to = from);
            }
        }
        digest
    }
}

/// The message, a one bit, zeros, and the message's length in bits: whole blocks (FIPS 180-4 §5.1).
fn padded(parts: &[&[u8]], block: usize) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    // Room for the padding, so that a long message is not copied again.
    let mut message = Vec::with_capacity(len + 2 * block);
    parts.iter().for_each(|part| message.extend_from_slice(part));
    let bits = (message.len() as u64).wrapping_mul(8);
    message.push(0x80);
    // The length has 64 bits for SHA-256 and 128 for the others, whose upper half is zero here.
    let filled = (message.len() + block / 8) % block;
    let zeros = (block - filled) % block + block / 8 - 8;
    message.resize(message.len() + zeros, 0);
    message.extend(bits.to_be_bytes());
    message
}

// The initial hash values (FIPS 180-4 §5.3).
const H256: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
const H384: [u64; 8] = [
    0xcbbb_9d5d_c105_9ed8,
    0x629a_292a_367c_d507,
    0x9159_015a_3070_dd17,
    0x152f_ecd8_f70e_5939,
    0x6733_2667_ffc0_0b31,
    0x8eb4_4a87_6858_1511,
    0xdb0c_2e0d_64f9_8fa7,
    0x47b5_481d_befa_4fa4,
];
const H512: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = Hash::Sha256.digest(&[bytes]);
    digest.bytes.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use sha2::{Digest as _, Sha256, Sha384, Sha512};

    use super::Hash;

    #[test]
    fn digests_are_those_of_the_hash_crate_at_every_length_around_a_block() {
        for len in 0..400 {
            let message = vec![len as u8; len];
            let (first, rest) = message.split_at(len / 3);
            let parts = [first, rest];
            assert_eq!(Hash::Sha256.digest(&parts).as_ref(), Sha256::digest(&message).as_slice(), "{len}");
            assert_eq!(Hash::Sha384.digest(&parts).as_ref(), Sha384::digest(&message).as_slice(), "{len}");
            assert_eq!(Hash::Sha512.digest(&parts).as_ref(), Sha512::digest(&message).as_slice(), "{len}");
        }
    }
}
