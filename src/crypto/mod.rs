//! Digests, comparison in constant time, and sealing of the gateway's cookies.

mod constant_time;
#[cfg(feature = "gateway")]
mod nonce;
#[cfg(feature = "gateway")]
mod seal;

pub(crate) use constant_time::equal_in_constant_time;
pub(crate) use edgeward_rsa::sha256;
#[cfg(feature = "gateway")]
pub(crate) use nonce::TimedNonces;
#[cfg(feature = "gateway")]
pub use seal::{LoginBinding, Purpose, SEAL_NONCE_BYTES, Sealer};
