//! The integer kernel: limbs of 64 bits where the machine multiplies those into 128 bits, and small
//! ones in 64-bit columns where it does not (WebAssembly).
//!
//! **Multiplication.** a·b + m·n is summed column by column (product scanning), two neighbouring
//! columns at a time, so that each limb fetched serves two products. The quotient digit m_k that
//! makes column k divisible by 2^W is known as soon as the column is: m_k = column · (-1/n) mod 2^W.
//! The columns from l on are the result. A square sums each pair of different limbs once and doubles.
//!
//! **64-bit limbs** ([`Wide`], W = 64). A column is 192 bits wide; it sums at most 2l + 1 < 2^9 terms
//! below 2^128. R = 2^(64·l) may be as close to n as can be. Factors are below R, hence the result
//! (ab + mn)/R < (R² + Rn)/R = R + n: when it carries out of l limbs, one subtraction of n brings it
//! below R again.
//!
//! **Small limbs** ([`Narrow`], W = 28 up to 3500 bits, else 27). A product is below 2^2W, and a
//! column sums at most 2l of them and a carry below 2^(64-W). W = 28, l <= 126: 252·2^56 + 2^36
//! < 2^64. W = 27, l <= 304: 608·2^54 + 2^37 < 2^64. So no column is carried before it is complete.
//! R = 2^(W·l) is at least 4n; for a, b < 2n the result is (ab + mn)/R < (4n² + Rn)/R <= 2n, and no
//! step but the last needs a subtraction. The entering factor comes out of a multiplication of a
//! residue below 2n by a power of two below R, so it is below 3n, and 3n² + Rn < 2Rn as well.
#![allow(
    clippy::indexing_slicing,
    reason = "l is even and below N; indices are column numbers below l, or reduced by l from below 2l"
)]

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::natural;
use super::power::{self, Montgomery};

/// A column's sum.
pub(super) trait Column: Copy + Default {
    /// The limbs' width for a modulus of so many bits.
    fn width(bits: usize) -> u32;
    /// Bits by which R has to exceed the modulus.
    const SLACK: usize;
    fn add(&mut self, a: u64, b: u64);
    fn double(self) -> Self;
    fn join(&mut self, other: Self);
    /// Takes the lowest limb off.
    fn shift(&mut self, width: u32) -> u64;
    fn low(self) -> u64;
}

/// 192 bits for limbs of 64.
#[cfg(any(test, target_pointer_width = "64"))]
#[derive(Clone, Copy, Default)]
pub(super) struct Wide {
    low: u128,
    high: u64,
}

#[cfg(any(test, target_pointer_width = "64"))]
impl Column for Wide {
    const SLACK: usize = 0;

    fn width(_: usize) -> u32 {
        64
    }

    #[inline(always)]
    fn add(&mut self, a: u64, b: u64) {
        let (sum, carry) = self.low.overflowing_add(u128::from(a) * u128::from(b));
        self.low = sum;
        self.high += u64::from(carry);
    }

    #[inline(always)]
    fn double(self) -> Self {
        Self { low: self.low << 1, high: self.high << 1 | (self.low >> 127) as u64 }
    }

    #[inline(always)]
    fn join(&mut self, other: Self) {
        let (sum, carry) = self.low.overflowing_add(other.low);
        self.low = sum;
        self.high += other.high + u64::from(carry);
    }

    #[inline(always)]
    fn shift(&mut self, _: u32) -> u64 {
        let limb = self.low as u64;
        self.low = self.low >> 64 | u128::from(self.high) << 64;
        self.high = 0;
        limb
    }

    #[inline(always)]
    fn low(self) -> u64 {
        self.low as u64
    }
}

/// 64 bits for limbs of 28 or 27.
#[cfg(any(test, not(target_pointer_width = "64")))]
#[derive(Clone, Copy, Default)]
pub(super) struct Narrow(u64);

#[cfg(any(test, not(target_pointer_width = "64")))]
impl Column for Narrow {
    const SLACK: usize = 2;

    fn width(bits: usize) -> u32 {
        if bits <= 3500 { 28 } else { 27 }
    }

    #[inline(always)]
    fn add(&mut self, a: u64, b: u64) {
        self.0 += a * b;
    }

    #[inline(always)]
    fn double(self) -> Self {
        Self(self.0 << 1)
    }

    #[inline(always)]
    fn join(&mut self, other: Self) {
        self.0 += other.0;
    }

    #[inline(always)]
    fn shift(&mut self, width: u32) -> u64 {
        let limb = self.0 & ((1 << width) - 1);
        self.0 >>= width;
        limb
    }

    #[inline(always)]
    fn low(self) -> u64 {
        self.0
    }
}

/// Two neighbouring columns k, k+1.
#[derive(Clone, Copy, Default)]
struct Sums<C> {
    first: C,
    second: C,
}

impl<C: Column> Sums<C> {
    /// Adds `up[i]`·`down[i + 1]` to the first column and `up[i]`·`down[i]` to the second. Returns
    /// the last of `down`.
    #[inline(always)]
    fn run(&mut self, up: &[u64], down: &[u64]) -> u64 {
        let mut ahead = down[0];
        for (&a, &b) in up.iter().zip(&down[1..=up.len()]) {
            self.second.add(a, ahead);
            self.first.add(a, b);
            ahead = b;
        }
        ahead
    }
}

/// A residue; limbs from l on are zero. N exceeds the largest l.
#[derive(Clone)]
pub(super) struct Residue<const N: usize> {
    up: [u64; N],
    /// A zero, then the l limbs from the highest to the lowest: the order in which a column meets them.
    down: [u64; N],
}

/// A modulus and its constants.
#[derive(Clone)]
pub(super) struct Modulus<C, const N: usize> {
    words: Vec<u64>,
    n: Residue<N>,
    /// Limbs; even.
    l: usize,
    w: u32,
    /// -1/n modulo 2^W.
    n0: u64,
    r_squared: Box<Residue<N>>,
    column: core::marker::PhantomData<C>,
}

impl<C: Column, const N: usize> Modulus<C, N> {
    /// `words`: the odd modulus, of `bits` bits.
    pub(super) fn new(words: &[u64], bits: usize) -> Self {
        let w = C::width(bits);
        let l = ((bits + C::SLACK).div_ceil(2 * w as usize) * 2).min((N - 1) & !1);
        let n0 = natural::negative_inverse(words.first().copied().unwrap_or(1).into()) as u64;
        let n = residue(words, l, w);
        let t = w as usize * l;
        let start = natural::power_of_two_mod(words, bits, t + power::start(t));
        let mut r_squared = Box::new(residue(&start, l, w));
        let mut modulus = Self {
            words: words.to_vec(),
            n,
            l,
            w,
            n0: n0 & (u64::MAX >> (64 - w)),
            r_squared: r_squared.clone(),
            column: core::marker::PhantomData,
        };
        power::r_squared(&modulus, t, &mut r_squared);
        modulus.r_squared = r_squared;
        modulus
    }

    /// s^e mod n in words.
    pub(super) fn power(&self, s: &[u64], e: u64) -> Vec<u64> {
        let last = residue(s, self.l, self.w);
        let (mut s, mut spare) = (last.clone(), last.clone());
        let x = power::power(self, &self.r_squared, &mut s, &mut spare, &last, e);
        let mut words = vec![0; self.words.len() + 1];
        for (i, &limb) in x.up[..self.l].iter().enumerate() {
            natural::or_bits_at(&mut words, i * self.w as usize, limb);
        }
        natural::reduce_few(&mut words, &self.words);
        words
    }

    /// Montgomery's reduction of the product that `product` adds up, a pair of columns 2j, 2j + 1 at
    /// a time, into `out`.
    ///
    /// The quotient's digits m stand in `out.up`, where each pair of them is used for the last time
    /// just before the result takes its place.
    #[inline(always)]
    fn columns(&self, product: impl Fn(usize) -> Sums<C>, out: &mut Residue<N>) {
        let (l, w) = (self.l, self.w);
        let mask = u64::MAX >> (64 - w);
        let n = &self.n.down[..=l];
        let (n_0, n_1) = (self.n.up[0], self.n.up[1]);
        let mut carry = C::default();
        for k in (0..l).step_by(2) {
            let mut sums = product(k / 2);
            sums.run(&out.up[..k], &n[l - k - 1..l]);
            carry.join(sums.first);
            let m = carry.low().wrapping_mul(self.n0) & mask;
            carry.add(m, n_0);
            carry.shift(w);
            sums.second.add(m, n_1);
            out.up[k] = m;
            carry.join(sums.second);
            let m = carry.low().wrapping_mul(self.n0) & mask;
            carry.add(m, n_0);
            carry.shift(w);
            out.up[k + 1] = m;
        }
        for k in (l..2 * l).step_by(2) {
            let from = k + 1 - l;
            let mut sums = product(k / 2);
            sums.run(&out.up[from..l], &n[..=l - from]);
            carry.join(sums.first);
            let limb = carry.shift(w);
            out.up[k - l] = limb;
            out.down[2 * l - k] = limb;
            carry.join(sums.second);
            let limb = carry.shift(w);
            out.up[k + 1 - l] = limb;
            out.down[2 * l - k - 1] = limb;
        }
        if carry.low() != 0 {
            // Only for `Wide`: R is added, n taken off.
            let mut borrow = false;
            for i in 0..l {
                let (d, under) = out.up[i].overflowing_sub(self.n.up[i]);
                let (d, again) = d.overflowing_sub(u64::from(borrow));
                borrow = under | again;
                out.up[i] = d;
                out.down[l - i] = d;
            }
        }
    }
}

fn residue<const N: usize>(words: &[u64], l: usize, w: u32) -> Residue<N> {
    let mut residue = Residue { up: [0; N], down: [0; N] };
    for i in 0..l {
        let limb = natural::bits_at(words, i * w as usize, w);
        residue.up[i] = limb;
        residue.down[l - i] = limb;
    }
    residue
}

impl<C: Column, const N: usize> Montgomery for Modulus<C, N> {
    type Residue = Residue<N>;

    fn multiply(&self, a: &Residue<N>, b: &Residue<N>, out: &mut Residue<N>) {
        let l = self.l;
        let product = |j: usize| {
            let from = (2 * j + 1).saturating_sub(l);
            let to = (2 * j + 1).min(l);
            let mut sums = Sums::<C>::default();
            let first = sums.run(&a.up[from..to], &b.down[l + from - 2 * j - 1..=l + to - 2 * j - 1]);
            if to < l {
                sums.second.add(a.up[to], first);
            }
            sums
        };
        self.columns(product, out);
    }

    fn square(&self, a: &Residue<N>, out: &mut Residue<N>) {
        let l = self.l;
        let product = |j: usize| {
            // Each pair of different limbs once, doubled; then the limb by itself.
            let from = (2 * j + 1).saturating_sub(l);
            let mut sums = Sums::<C>::default();
            let next = sums.run(&a.up[from..j], &a.down[l + from - 2 * j - 1..l - j]);
            sums.second.add(a.up[j], next);
            let (mut first, second) = (sums.first.double(), sums.second.double());
            first.add(a.up[j], a.up[j]);
            Sums { first, second }
        };
        self.columns(product, out);
    }

    fn power_of_two(&self, exponent: usize) -> Residue<N> {
        let mut words = vec![0; exponent / 64 + 1];
        natural::or_bits_at(&mut words, exponent, 1);
        residue(&words, self.l, self.w)
    }
}

#[cfg(test)]
impl<C: Column, const N: usize> Modulus<C, N> {
    pub(super) fn limb_count(&self) -> usize {
        self.l
    }

    pub(super) fn residue_of(&self, words: &[u64]) -> Residue<N> {
        residue(words, self.l, self.w)
    }

    pub(super) fn limbs_of<'r>(&self, residue: &'r Residue<N>) -> &'r [u64] {
        &residue.up[..self.l]
    }
}
