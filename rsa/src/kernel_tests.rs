//! Both kernels against another implementation's integers, on inputs chosen to be awkward.

use alloc::vec;
use alloc::vec::Vec;

use num_bigint::{BigUint, RandBigInt};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const EXPONENTS: [u64; 5] = [3, 17, 65537, (1 << 32) + 1, (1 << 33) - 1];
const SIZES: [u64; 9] = [2048, 2049, 2050, 2056, 3072, 4096, 4104, 8191, 8192];

fn one() -> BigUint {
    BigUint::from(1u8)
}

/// Moduli of `bits` bits: random, sparse, dense, and with limbs of all ones.
fn moduli(bits: u64, rng: &mut StdRng) -> Vec<BigUint> {
    let top = one() << (bits - 1);
    let mut list = vec![
        &top + 1u8,
        (&top << 1u8) - 1u8,
        &top + (one() << 64u8) - 1u8,
        (&top << 1u8) - (one() << 102u8) + 1u8,
        &top + (one() << (bits / 2)) + 1u8,
        &top + (one() << 102u8) + 1u8,
        &top + (one() << 51u8) - 1u8,
    ];
    for _ in 0..2 {
        list.push(rng.gen_biguint(bits) | &top | one());
    }
    // Runs of ones and zeros, of lengths near the limbs' widths.
    let mut n = BigUint::default();
    while n.bits() < bits {
        let run = rng.gen_range(20u64..110);
        n <<= run;
        if rng.r#gen() {
            n += (one() << run) - 1u8;
        }
        n += 1u8;
    }
    list.push((n % &top) | &top | one());
    list
}

fn signatures(n: &BigUint, rng: &mut StdRng) -> Vec<BigUint> {
    let mut list = vec![BigUint::default(), one(), n - 1u8, n - 2u8, n >> 1u8];
    for k in [26u64, 27, 28, 51, 64, 102, 2040, 2047] {
        list.push(((one() << k) - 1u8) % n);
        list.push((one() << k) % n);
    }
    let mut runs = BigUint::default();
    while runs.bits() < n.bits() {
        let run = rng.gen_range(20u64..110);
        runs <<= run;
        if rng.r#gen() {
            runs += (one() << run) - 1u8;
        }
    }
    list.push(runs % n);
    list.push(((one() << n.bits()) - 1u8) % n);
    // The residues R and near it, for each kernel's R, and their inverses' neighbours.
    for t in [64 * n.bits().div_ceil(64), 28 * (n.bits() + 2).div_ceil(28), 51 * 44] {
        let r = (one() << t) % n;
        list.push((&r + 1u8) % n);
        list.push(n - &r);
        list.push(r);
    }
    for _ in 0..3 {
        list.push(rng.gen_biguint_below(n));
    }
    list
}

fn bytes(x: &BigUint, size: usize) -> Vec<u8> {
    let raw = x.to_bytes_be();
    let mut out = vec![0; size.saturating_sub(raw.len())];
    out.extend(raw);
    out
}

fn words(x: &BigUint) -> Vec<u64> {
    natural::from_be_bytes(&x.to_bytes_be())
}

fn number(words: &[u64]) -> BigUint {
    let mut out = vec![0; words.len() * 8];
    natural::write_be_bytes(words, &mut out);
    BigUint::from_bytes_be(&out)
}

fn sweep(power: impl Fn(&BigUint, u64, &[BigUint]) -> Vec<BigUint>) {
    let mut rng = StdRng::seed_from_u64(7);
    for bits in SIZES {
        for (i, n) in moduli(bits, &mut rng).iter().enumerate() {
            assert_eq!(n.bits(), bits);
            let s = signatures(n, &mut rng);
            let fewer = if bits > 4000 { 4 } else { 1 } * if cfg!(debug_assertions) { 8 } else { 1 };
            let s: Vec<_> = s.into_iter().skip(i % fewer).step_by(fewer).collect();
            let e = EXPONENTS[i % EXPONENTS.len()];
            for (s, got) in s.iter().zip(power(n, e, &s)) {
                assert_eq!(got, s.modpow(&BigUint::from(e), n), "bits {bits} n {n:x} e {e} s {s:x}");
            }
        }
    }
}

#[test]
fn the_integer_kernel_with_64_bit_limbs_is_right() {
    sweep(|n, e, s| {
        let modulus = int::Modulus::<int::Wide, 130>::new(&words(n), n.bits() as usize);
        s.iter().map(|s| number(&modulus.power(&words(s), e))).collect()
    });
}

#[test]
fn the_integer_kernel_with_28_bit_limbs_is_right() {
    sweep(|n, e, s| {
        let modulus = int::Modulus::<int::Narrow, 306>::new(&words(n), n.bits() as usize);
        s.iter().map(|s| number(&modulus.power(&words(s), e))).collect()
    });
}

#[test]
fn a_key_raises_signatures_to_its_exponent() {
    sweep(|n, e, s| {
        let key = PublicKey::new(&bytes(n, 1030), &bytes(&e.into(), 20)).unwrap();
        assert_eq!(key.size(), n.bits().div_ceil(8) as usize);
        assert_eq!((key.bits() as u64, key.e()), (n.bits(), e));
        assert_eq!(key.n(), n.to_bytes_be());
        s.iter()
            .map(|s| {
                let mut out = vec![0xa5; key.size()];
                key.public_op(&bytes(s, key.size()), &mut out).unwrap();
                BigUint::from_bytes_be(&out)
            })
            .collect()
    });
}

#[test]
fn unacceptable_keys_and_signatures_are_refused() {
    let mut rng = StdRng::seed_from_u64(9);
    let odd = |bits: u64, rng: &mut StdRng| rng.gen_biguint(bits) | one() | (one() << (bits - 1));
    let key = |n: &BigUint, e: &[u8]| PublicKey::new(&n.to_bytes_be(), e).map(|_| ());
    let f4 = [1, 0, 1];
    for bits in [2, 1024, 2047] {
        assert_eq!(key(&odd(bits, &mut rng), &f4), Err(InvalidKey::ModulusTooSmall { bits: bits as usize }));
    }
    for bits in [8193, 8200, 100_000] {
        assert_eq!(key(&odd(bits, &mut rng), &f4), Err(InvalidKey::ModulusTooLarge { bits: bits as usize }));
    }
    assert_eq!(PublicKey::new(&[], &f4).map(|_| ()), Err(InvalidKey::ModulusTooSmall { bits: 0 }));
    assert_eq!(PublicKey::new(&[0; 300], &f4).map(|_| ()), Err(InvalidKey::ModulusTooSmall { bits: 0 }));
    let n = odd(2048, &mut rng);
    assert_eq!(key(&(&n - 1u8), &f4), Err(InvalidKey::ModulusEven));
    for e in [&[][..], &[0], &[1], &[2], &[4], &[2, 0, 0, 0, 0], &[2, 0, 0, 0, 1], &[1, 0, 0, 0, 0, 1], &[255; 300]] {
        assert_eq!(key(&n, e), Err(InvalidKey::ExponentInvalid), "{e:?}");
    }
    for e in [&[3][..], &[0, 0, 3], &[1, 255, 255, 255, 255]] {
        assert_eq!(key(&n, e), Ok(()), "{e:?}");
    }
    let key = PublicKey::new(&n.to_bytes_be(), &f4).unwrap();
    let mut out = [0; 256];
    let mut op = |s: &BigUint, size| key.public_op(&bytes(s, size), &mut out);
    assert_eq!(op(&one(), 255), Err(OpError::LengthMismatch));
    assert_eq!(op(&one(), 257), Err(OpError::LengthMismatch));
    assert_eq!(op(&n, 256), Err(OpError::OutOfRange));
    assert_eq!(op(&(&n + 1u8), 256), Err(OpError::OutOfRange));
    assert_eq!(op(&((one() << 2048u32) - 1u8), 256), Err(OpError::OutOfRange));
    assert_eq!(op(&(&n - 1u8), 256), Ok(()));
    assert_eq!(key.public_op(&[0; 256], &mut [0; 255]), Err(OpError::LengthMismatch));
}

#[test]
fn the_fused_multiply_add_kernel_is_right() {
    sweep(|n, e, s| {
        let modulus = fma::Modulus::new(&words(n), n.bits() as usize);
        s.iter().map(|s| number(&modulus.power(&words(s), e))).collect()
    });
}

/// A host that rounds the product before it adds.
#[test]
fn a_host_that_does_not_fuse_gets_the_integer_kernel() {
    use lanes::Lanes;
    assert!(fma::fused());
    let fused = fma::fuses(|a, b, c| {
        let ([a0, a1], [b0, b1], [c0, c1]) = (a.to_array(), b.to_array(), c.to_array());
        let f = |a, b, c| (f64::from_bits(a) * f64::from_bits(b) + f64::from_bits(c)).to_bits();
        Lanes::integers(f(a0, b0, c0), f(a1, b1, c1))
    });
    assert!(!fused);
    let mut rng = StdRng::seed_from_u64(11);
    let n = rng.gen_biguint(2048) | one() | (one() << 2047u32);
    let s = rng.gen_biguint_below(&n);
    for (fused, kernel) in [(true, "fma"), (fused, "integer")] {
        let key = PublicKey::on_host(&n.to_bytes_be(), &[1, 0, 1], fused).unwrap();
        assert_eq!(key.kernel(), kernel);
        let mut out = [0; 256];
        key.public_op(&bytes(&s, 256), &mut out).unwrap();
        assert_eq!(BigUint::from_bytes_be(&out), s.modpow(&65537u32.into(), &n));
    }
}

#[test]
fn refusals_say_why_a_key_or_an_operation_is_impossible_and_nothing_of_a_signature() {
    for (refusal, text) in [
        (InvalidKey::ModulusTooSmall { bits: 1024 }, "RSA modulus has 1024 bits, fewer than 2048"),
        (InvalidKey::ModulusTooLarge { bits: 8193 }, "RSA modulus has 8193 bits, more than 8192"),
        (InvalidKey::ModulusEven, "RSA modulus is even"),
        (InvalidKey::ExponentInvalid, "RSA exponent is even, below 3 or wider than 33 bits"),
    ] {
        assert_eq!(alloc::format!("{refusal}"), text);
    }
    assert_eq!(alloc::format!("{}", OpError::LengthMismatch), "signature is not as long as the modulus");
    assert_eq!(alloc::format!("{}", OpError::OutOfRange), "signature is not less than the modulus");
    assert_eq!(alloc::format!("{SignatureInvalid}"), "signature does not match");
}
