//! Digests, comparison in constant time, and sealing of the gateway's cookies.

mod constant_time;
mod digest;
#[cfg(feature = "gateway")]
mod seal;

pub(crate) use constant_time::equal_in_constant_time;
pub use digest::Hash;
pub(crate) use digest::sha256;
#[cfg(feature = "gateway")]
pub use seal::{LoginBinding, Purpose, SEAL_NONCE_BYTES, Sealer};
