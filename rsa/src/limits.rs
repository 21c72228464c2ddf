//! The sizes of keys.

/// Smallest RSA modulus, in bits (RFC 7518 §3.3).
pub const MIN_MODULUS_BITS: usize = 2048;

/// Largest RSA modulus, in bits. The cost of a verification grows with its square.
pub const MAX_MODULUS_BITS: usize = 8192;

/// Widest RSA public exponent, in bits; it is also odd and at least 3. Common practice among verifiers, and a bound on the work that
/// a key can cause.
pub const MAX_EXPONENT_BITS: usize = 33;
