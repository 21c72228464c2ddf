//! s^e mod n by this crate's kernels and by num-bigint, on random and on adversarial numbers.
//!
//! `differential COUNT SEED` compares the kernels of this build. `differential --emit COUNT SEED` writes the cases with their
//! right answers to standard output, for the modules in WebAssembly. Equal arguments give equal numbers.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for tests: a panic is a failure"
)]

#[path = "../../support/cases.rs"]
#[allow(dead_code, reason = "only the form of a case is needed here")]
mod cases;

use std::collections::BTreeMap;
use std::io::{Write as _, stdout};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use edgeward_rsa::PublicKey;
use num_bigint::{BigUint, RandBigInt as _};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// How many signatures each modulus gets.
const PER_KEY: u64 = 20;
/// Widths of limbs, and of the blocks that the kernels work in.
const WIDTHS: [u64; 7] = [26, 27, 28, 51, 64, 102, 112];

fn one() -> BigUint {
    BigUint::from(1u8)
}

/// One of the items.
fn pick<T: Copy>(items: &[T], rng: &mut StdRng) -> T {
    items[rng.gen_range(0..items.len())]
}

/// A number of at most `bits` bits: uniform, of long runs, of few bits, of limbs at their bounds, or close to 2^bits.
fn shaped(bits: u64, rng: &mut StdRng) -> BigUint {
    let mut x = BigUint::default();
    match rng.gen_range(0..6) {
        0 => return rng.gen_biguint(bits),
        1 => {
            while x.bits() < bits {
                let run = rng.gen_range(1u64..120);
                x <<= run;
                if rng.r#gen() {
                    x += (one() << run) - 1u8;
                }
                x += u8::from(x.bits() == 0);
            }
        }
        2 => (0..rng.gen_range(0..5)).for_each(|_| x.set_bit(rng.gen_range(0..bits), true)),
        3 | 4 => {
            let width = pick(&WIDTHS, rng);
            while x.bits() < bits {
                x <<= width;
                x += match rng.gen_range(0..6) {
                    0 => BigUint::default(),
                    1 => one(),
                    2 => one() << (width - 1),
                    3 => (one() << (width - 1)) - 1u8,
                    4 => rng.gen_biguint(width),
                    _ => (one() << width) - 1u8,
                };
                x += u8::from(x.bits() == 0);
            }
        }
        _ => {
            let below = rng.gen_range(1..bits);
            return (one() << bits) - 1u8 - rng.gen_biguint(below);
        }
    }
    x % (one() << bits)
}

/// An odd modulus of `bits` bits. Its lowest bits decide the constants of Montgomery's reduction: they are chosen, too.
fn modulus(bits: u64, rng: &mut StdRng) -> BigUint {
    let mut n = match rng.gen_range(0..8) {
        0 => one() << (bits - 1),
        1 => (one() << bits) - 1u8,
        _ => shaped(bits, rng),
    };
    let width = pick(&WIDTHS, rng);
    let low = match rng.gen_range(0..6) {
        0 => Some(one()),
        1 => Some((one() << width) - 1u8),
        2 => Some((one() << (width - 1)) + 1u8),
        3 => Some((one() << width) - 3u8),
        _ => None,
    };
    if let Some(low) = low {
        n = (n >> width << width) + low;
    }
    n | one() | (one() << (bits - 1))
}

fn size_in_bits(rng: &mut StdRng) -> u64 {
    match rng.gen_range(0..100) {
        0..=54 => 2048,
        55..=74 => rng.gen_range(2048..2200),
        75..=84 => rng.gen_range(2200..4200),
        85..=94 => pick(&[2049, 2050, 2056, 3072, 4095, 4096, 4104], rng),
        _ => pick(&[8191, 8192, 8190, rng.gen_range(4200..8192)], rng),
    }
}

fn exponent(rng: &mut StdRng) -> u64 {
    match rng.gen_range(0..100) {
        0..=54 => 3,
        55..=64 => pick(&[5, 7, 17, 257], rng),
        65..=89 => 65537,
        90..=94 => rng.gen_range(1u64..1 << 32) * 2 + 1,
        _ => pick(&[(1 << 32) + 1, (1 << 33) - 1, (1 << 16) - 1, 11], rng),
    }
}

/// A key and what its kernels are given.
struct Case {
    n: BigUint,
    e: u64,
    signatures: Vec<BigUint>,
}

impl Case {
    fn new(seed: u64, index: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index);
        let rng = &mut rng;
        let bits = size_in_bits(rng);
        let (n, e) = (modulus(bits, rng), exponent(rng));
        // R of a kernel: 2 to the power of whole limbs. What is divided by it enters the exponentiation as it stands.
        let width = pick(&[64, 28, 102, 204], rng);
        let r = width * (bits + 2).div_ceil(width) + pick(&[0, width], rng);
        let inverse = ((&n + 1u8) >> 1u8).modpow(&BigUint::from(r), &n);
        let signatures = (0..PER_KEY).map(|_| {
            let s = match rng.gen_range(0..8) {
                0 => {
                    let below = rng.gen_range(2..bits);
                    &n - 1u8 - shaped(below, rng) % &n
                }
                1 => one() << rng.gen_range(0..bits + 200),
                2 => match rng.gen_range(0..3) {
                    0 => BigUint::from(rng.gen_range(0u8..4)),
                    1 => (one() << r) + rng.gen_range(0u8..3),
                    _ => &n - 1u8 - rng.gen_range(0u8..4),
                },
                3 | 4 => shaped(bits, rng) * &inverse,
                _ => shaped(bits, rng),
            };
            s % &n
        });
        let signatures = signatures.collect();
        Self { n, e, signatures }
    }

    fn answer(&self, s: &BigUint) -> BigUint {
        let Self { n, e, .. } = self;
        if *e == 3 { s * s % n * s % n } else { s.modpow(&BigUint::from(*e), n) }
    }
}

fn padded(x: &BigUint, size: usize) -> Vec<u8> {
    let raw = x.to_bytes_be();
    let mut out = vec![0; size.saturating_sub(raw.len())];
    out.extend(raw);
    out
}

/// Compares on the kernels of this build; what is wrong as text.
fn compare(case: &Case, agreed: &mut BTreeMap<&'static str, u64>) -> Result<(), String> {
    let (n, e) = (case.n.to_bytes_be(), case.e.to_be_bytes());
    let refused = |error| format!("n {:x} e {}: refused: {error:?}", case.n, case.e);
    let mut keys = vec![PublicKey::new(&n, &e).map_err(refused)?];
    if keys[0].kernel() != "integer" {
        keys.push(PublicKey::without_fma(&n, &e).map_err(refused)?);
    }
    for s in &case.signatures {
        let (signature, right) = (padded(s, n.len()), padded(&case.answer(s), n.len()));
        for key in &keys {
            let mut out = vec![0xa5; n.len()];
            let done = key.public_op(&signature, &mut out);
            if done.is_err() || out != right {
                let out = BigUint::from_bytes_be(&out);
                return Err(format!(
                    "MISMATCH, kernel {}: n {:x} e {} s {s:x}: {done:?} {out:x}, right is {:x}",
                    key.kernel(),
                    case.n,
                    case.e,
                    BigUint::from_bytes_be(&right)
                ));
            }
            *agreed.entry(key.kernel()).or_default() += 1;
        }
    }
    Ok(())
}

fn bytes(case: &Case) -> Vec<u8> {
    let (n, e) = (case.n.to_bytes_be(), case.e.to_be_bytes());
    let mut out = Vec::new();
    for s in &case.signatures {
        let right = padded(&case.answer(s), n.len());
        cases::write(&mut out, 0, [&n, &e, &padded(s, n.len()), &right]).unwrap();
    }
    out
}

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let emit = arguments.first().is_some_and(|first| first == "--emit");
    arguments.drain(..usize::from(emit));
    let number = |index: usize| arguments.get(index).and_then(|text| text.parse::<u64>().ok());
    let (Some(count), Some(seed)) = (number(0), number(1)) else {
        eprintln!("usage: differential [--emit] COUNT SEED");
        return ExitCode::from(2);
    };

    let keys = count.div_ceil(PER_KEY);
    let (next, wrong) = (AtomicU64::new(0), AtomicBool::new(false));
    let agreed = Mutex::new(BTreeMap::<&'static str, u64>::new());
    let work = || {
        let mut mine = BTreeMap::new();
        while !wrong.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= keys {
                break;
            }
            let case = Case::new(seed, index);
            if emit {
                // The reading process has ended, and reported why.
                if stdout().lock().write_all(&bytes(&case)).is_err() {
                    wrong.store(true, Ordering::Relaxed);
                }
            } else if let Err(what) = compare(&case, &mut mine) {
                wrong.store(true, Ordering::Relaxed);
                eprintln!("differential: seed {seed}, key {index}: {what}");
            }
        }
        let mut agreed = agreed.lock().unwrap();
        mine.into_iter().for_each(|(kernel, count)| *agreed.entry(kernel).or_default() += count);
    };
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));

    let agreed = agreed.into_inner().unwrap();
    for (kernel, count) in &agreed {
        println!("differential: native, kernel {kernel}: {count} inputs agree (seed {seed})");
    }
    let expected = if emit { 0 } else { 1 + usize::from(cfg!(edgeward_emulate_fma)) };
    if wrong.into_inner() || agreed.len() != expected { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
