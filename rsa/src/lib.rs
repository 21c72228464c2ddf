//! RSA signature verification (RFC 8017): the public operation, RSASSA-PKCS1-v1_5 and RSASSA-PSS. In WebAssembly with
//! relaxed SIMD (`-C target-feature=+relaxed-simd`) it is about as fast as native code, without it three to four times slower.
//!
//! This is the arithmetic of [`edgeward`](https://docs.rs/edgeward), which re-exports it as `edgeward::rsa`. It is a package of its own so that
//! it can be optimized for speed while everything around it is optimized for size.
//!
//! Public keys and signatures are not secret, so nothing here needs to run in constant time.
//!
//! The arithmetic has two kernels, each with its proof in its module: `int` on integers, for every target, and `fma` on
//! fused multiply-add, for wasm with relaxed SIMD on hosts that fuse. `public_key` chooses the kernel, `power` exponentiates.
//! `make differential` compares both with another implementation, natively and in wasm.

#![no_std]

extern crate alloc;
#[cfg(edgeward_emulate_fma)]
extern crate std;

mod digest;
#[cfg(any(test, edgeward_emulate_fma, target_feature = "relaxed-simd"))]
mod fma;
#[cfg(feature = "rsa")]
mod import;
mod int;
#[cfg(any(test, edgeward_emulate_fma, target_feature = "relaxed-simd"))]
mod lanes;
pub mod limits;
mod natural;
mod pkcs1v15;
mod power;
mod pss;
mod public_key;
mod roca;

pub use digest::{Digest, Hash, sha256};
#[cfg(feature = "rsa")]
pub use import::InvalidKeyFile;
pub use public_key::{InvalidKey, OpError, PublicKey};
pub use roca::has_fingerprint as has_roca_fingerprint;

/// The integer kernel for this target.
#[cfg(target_pointer_width = "64")]
type Integer = int::Modulus<int::Wide, 130>;
#[cfg(not(target_pointer_width = "64"))]
type Integer = int::Modulus<int::Narrow, 306>;

#[cfg(test)]
mod exhaustive_tests;
#[cfg(test)]
mod kernel_tests;

/// A signature scheme with all its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// RSASSA-PKCS1-v1_5 (RFC 8017 §8.2).
    Pkcs1v15(Hash),
    /// RSASSA-PSS (RFC 8017 §8.1), MGF1 with the same hash, salt as long as the hash (RFC 7518 §3.5).
    Pss(Hash),
}

/// The error for a signature that does not match, deliberately without details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureInvalid;

impl core::fmt::Display for SignatureInvalid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("signature does not match")
    }
}

impl core::error::Error for SignatureInvalid {}

impl PublicKey {
    /// Verifies `signature` over `message`.
    ///
    /// # Errors
    /// [`SignatureInvalid`], whatever the reason.
    pub fn verify(&self, scheme: Scheme, message: &[u8], signature: &[u8]) -> Result<(), SignatureInvalid> {
        match scheme {
            Scheme::Pkcs1v15(hash) => pkcs1v15::verify(self, hash, message, signature),
            Scheme::Pss(hash) => pss::verify(self, hash, message, signature),
        }
    }
}
