//! Detection of RSA moduli from the prime generator flawed by ROCA (CVE-2017-15361).
//!
//! Its primes have the form k·M + (65537^a mod M), M a product of the first primes. So n modulo each of those primes is a
//! power of 65537 there; for a sound modulus all of them agree by chance once in 2^27 keys.

const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Returns whether the big-endian modulus `n` has the fingerprint.
#[must_use]
pub fn has_fingerprint(n: &[u8]) -> bool {
    PRIMES.iter().all(|&prime| {
        let residue = n.iter().fold(0u32, |rest, &octet| (rest << 8 | u32::from(octet)) % prime);
        is_power_of_65537(residue, prime)
    })
}

fn is_power_of_65537(residue: u32, prime: u32) -> bool {
    let generator = 65537 % prime;
    let mut power = 1 % prime;
    for _ in 0..prime {
        if power == residue {
            return true;
        }
        power = power * generator % prime;
    }
    false
}
