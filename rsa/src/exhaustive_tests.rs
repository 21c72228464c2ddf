//! Carries: the kernels' products of all numbers whose limbs are extreme, against another implementation's integers.

use alloc::vec;
use alloc::vec::Vec;

use num_bigint::BigUint;

use super::power::Montgomery;
use super::*;

fn number(limbs: impl IntoIterator<Item = u64>, width: u32) -> BigUint {
    limbs
        .into_iter()
        .enumerate()
        .fold(BigUint::default(), |sum, (i, limb)| sum + (BigUint::from(limb) << (i * width as usize)))
}

fn words(x: &BigUint, len: usize) -> Vec<u64> {
    let mut words = x.to_u64_digits();
    words.resize(len, 0);
    words
}

/// All sequences of `len` of these limbs.
fn sequences(limbs: &[u64], len: usize) -> Vec<Vec<u64>> {
    (0..len).fold(vec![vec![]], |list, _| {
        let longer = |start: &Vec<u64>| limbs.iter().map(|&limb| [&start[..], &[limb]].concat()).collect::<Vec<_>>();
        list.iter().flat_map(longer).collect()
    })
}

/// Odd moduli of exactly `bits` bits whose limbs are extreme.
fn moduli(bits: u64, width: u32, limbs: &[u64], len: usize) -> Vec<BigUint> {
    let top = BigUint::from(1u8) << (bits - 1);
    let mut list: Vec<BigUint> = sequences(limbs, len)
        .into_iter()
        .map(|limbs| (number(limbs, width) % &top) | &top | BigUint::from(1u8))
        .collect();
    list.sort();
    list.dedup();
    list
}

/// Checks a·b/R and a·a/R modulo `n`, for all pairs of `factors`.
fn check<K: Montgomery>(
    kernel: &K,
    n: &BigUint,
    r: &BigUint,
    factors: &[(BigUint, K::Residue)],
    value: impl Fn(&K::Residue) -> BigUint,
) -> usize {
    let mut out = factors[0].1.clone();
    for (a, a_residue) in factors {
        kernel.square(a_residue, &mut out);
        assert_eq!(value(&out) * r % n, a * a % n, "{a:x}² modulo {n:x}");
        for (b, b_residue) in factors {
            kernel.multiply(a_residue, b_residue, &mut out);
            assert_eq!(value(&out) * r % n, a * b % n, "{a:x} · {b:x} modulo {n:x}");
        }
    }
    factors.len() * (factors.len() + 1)
}

/// Runs a kernel on integers with moduli of `bits` bits, in `l` limbs.
fn integers<C: int::Column>(bits: u64, l: usize, limbs: &[u64]) -> usize {
    let width = C::width(bits as usize);
    let one = BigUint::from(1u8);
    let r = &one << (width as usize * l);
    let sizes = (l * width as usize).div_ceil(64);
    let mut count = 0;
    for n in moduli(bits, width, limbs, l) {
        let modulus = int::Modulus::<C, 8>::new(&words(&n, sizes), bits as usize);
        assert_eq!(modulus.limb_count(), l);
        // A kernel without slack takes factors below R, the other below 2n.
        let bound = if C::SLACK == 0 { r.clone() } else { &n << 1u8 };
        let mut factors: Vec<BigUint> = sequences(limbs, l).into_iter().map(|limbs| number(limbs, width)).collect();
        factors.extend([&n - &one, n.clone(), &n + &one, &bound - &one]);
        factors.retain(|factor| *factor < bound);
        let factors: Vec<_> =
            factors.into_iter().map(|factor| (factor.clone(), modulus.residue_of(&words(&factor, sizes)))).collect();
        count += check(&modulus, &n, &r, &factors, |residue| {
            let value = number(modulus.limbs_of(residue).iter().copied(), width);
            assert!(value < bound || C::SLACK == 0 && value < r, "{value:x} is too large");
            value
        });
    }
    count
}

#[test]
fn carries_of_64_bit_limbs_are_right() {
    let limbs = [0, 1, 1 << 63, u64::MAX - 1, u64::MAX];
    assert!(integers::<int::Wide>(128, 2, &limbs) > 10_000);
    assert!(integers::<int::Wide>(127, 2, &limbs) > 10_000);
    assert!(integers::<int::Wide>(256, 4, &[0, 1, u64::MAX]) > 100_000);
}

#[test]
fn carries_of_28_bit_limbs_are_right() {
    let (top, max) = (1 << 27, (1 << 28) - 1);
    assert!(integers::<int::Narrow>(110, 4, &[0, 1, max]) > 20_000);
    assert!(integers::<int::Narrow>(109, 4, &[0, top, max]) > 20_000);
}

#[test]
fn carries_of_limbs_in_doubles_are_right() {
    let (top, max) = (1 << 50, (1 << 51) - 1);
    let one = BigUint::from(1u8);
    let mut count = 0;
    for (bits, limbs) in [(64u64, &[0, 1, top, max][..]), (96, &[0, 1, max]), (102, &[0, 1, max])] {
        for n in moduli(bits, 51, limbs, 2) {
            let modulus = fma::Modulus::new(&words(&n, 2), bits as usize);
            let r = &one << (51 * modulus.limb_count());
            // Factors are below 2^(bits + 103).
            let bound = &one << (bits + 103);
            let mut factors: Vec<BigUint> = sequences(limbs, 4).into_iter().map(|limbs| number(limbs, 51)).collect();
            factors.retain(|factor| *factor < bound);
            factors.extend([&n - &one, &n + &one, &bound - &one]);
            let factors: Vec<_> =
                factors.into_iter().map(|factor| (factor.clone(), modulus.residue_of(&words(&factor, 4)))).collect();
            count += check(&modulus, &n, &r, &factors, |residue| {
                modulus.limbs_of(residue).iter().enumerate().fold(BigUint::default(), |sum, (i, &limb)| {
                    let part = BigUint::from(limb.unsigned_abs()) << (51 * i);
                    if limb < 0 { sum + (&n - part % &n) } else { sum + part }
                })
            });
        }
    }
    assert!(count > 100_000, "{count}");
}

/// More limbs than needed would be right, too, but slower.
fn fewest<C: int::Column>(sizes: impl IntoIterator<Item = usize>) {
    for bits in sizes {
        let n = words(&((BigUint::from(1u8) << bits) - 1u8), bits.div_ceil(64));
        let (l, width) = (int::Modulus::<C, 306>::new(&n, bits).limb_count(), C::width(bits) as usize);
        let fits = |l: usize| l * width >= bits + C::SLACK;
        assert!(l.is_multiple_of(2) && fits(l) && !fits(l - 2), "{bits} bits in {l} limbs of {width}");
    }
}

#[test]
fn a_modulus_has_the_fewest_limbs_that_it_fits_in() {
    let sizes = || (2048..2200).chain(3480..3520).chain(8100..=8192);
    fewest::<int::Wide>(sizes());
    fewest::<int::Narrow>(sizes());
}
