//! The kernel on fused multiply-add: 51-bit limbs in doubles, two to a vector.
//!
//! **Splitting a product.** For limbs a, b let h = fma(a, b, C) with C = 2^103 + 2^100. As long as C + ab
//! lies in [2^103, 2^104), whose doubles are the multiples of 2^51, h = C + 2^51·H with H the integer
//! nearest to ab/2^51, and the bit pattern of h, read as an integer, is that of C plus H. Next,
//! l = fma(a, b, (C + 3·2^51) - h): the difference is (3 - H)·2^51, exact, and the sum is 3·2^51 + L with
//! L = ab - 2^51·H, |L| <= 2^50. That lies in [2^52, 2^53), whose doubles are the integers: exact again,
//! and l's bit pattern is that of 3·2^51 plus L. So ab = L + 2^51·H, and both halves are added up as
//! integers modulo 2^64 with their known biases; these are taken off once per column.
//!
//! **Alignment.** For a limb a at an even position and the vector (b0, b1) at another, L belongs to a
//! vector of columns and H one limb further up, that is between two vectors; for a at an odd position
//! the other way round. A column vector k therefore has an `even` sum (its own two lanes) and an `odd`
//! one (its high lane and the low lane of k+1); they are joined when the column is complete.
//!
//! **Reduction.** The modulus is not n but kn, where k = -1/n mod 2^102. Then kn + 1 is a multiple of
//! 2^102, so that in Montgomery's reduction the quotient's digits m_i are simply the column's limbs:
//! T + m·kn = (T - m) + m·(kn + 1), the first term clears the low column and the second, two limbs of
//! zeros long, does not touch the vector it came from. No multiplication waits for another within a
//! vector, and the product's own columns fill what latency is left. Every residue modulo kn is right
//! modulo n. The last factor is s·2^102 and `leave` takes the 2^102 out again modulo n itself.
//!
//! **Bounds.** Let n have N bits, L = 2v limbs, R = 2^51L; v is such that 51(L-1) >= N + 103; L <= 164.
//! 1. A limb that `Carry` makes is T mod 2^51 plus the carry floor(T'/2^51) of the column T' below it.
//!    A column sums at most L halves of a·b (a doubled pair counts twice) and L of m·(kn+1), each with
//!    |L| <= 2^50 + the halves one column below, -2^9 <= H <= 2^51 + 2^11. Hence
//!    -2^59 < T < 328·(2^50 + 2^51 + 2^11) < 2^60, a carry is between -2^8 and 2^9, and a limb between
//!    -2^8 and 2^51 + 2^9. (Sums of biases wrap modulo 2^64; T itself does not come near 2^63.) T + 2^62
//!    is positive, which makes the logical shift a division.
//! 2. So -2^60 < ab < 2^102 + 2^62 for any two limbs, and 2^103 < C + ab < 2^104: the split is exact.
//! 3. Let |a|, |b| < 2^(N+103), their limbs as in 1. m is a sum of L such limbs: -2^-42·R < m <
//!    (1 + 2^-41)·R. As k < 2^102, the result (ab + m·kn)/R is below 2^(2N+206-51L) +
//!    (1 + 2^-41)·2^(N+102) <= 2^(N+52) + (1 + 2^-41)·2^(N+102) < 2^(N+103), in absolute value too: the
//!    bound carries over and no step needs a subtraction. Results are not below -2^(N+61).
//! 4. |x| < 2^(51(L-1)) and 1. make its top limb at most 2 in absolute value; that of kn + 1 is 0. So the
//!    topmost column of a product is 0 (halves H of products up to 4) and no carry is lost there. Factors
//!    from outside are shorter: s, s·2^102 < 2^(N+102), and 2^(t-d) with d > 64.
//! 5. `leave`: x + qn with 2^101 <= q < 1.5·2^102 is a multiple of 2^102, positive by 3., and below
//!    2^102·(n + n/2^40 + 1.5n): two subtractions at most. q's high limb is below 1.5·2^51, its products
//!    with limbs of n below 1.5·2^102, which 2. allows: C + 1.5·2^102 < 2^104.
//!
//! All this needs a multiply-add that rounds once, which the relaxed operation does not promise: [`fused`]
//! checks it with a known result.
#![allow(
    clippy::indexing_slicing,
    reason = "every buffer has room for MAX vectors, every index is a loop counter below v <= MAX, or 2v"
)]

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::lanes::Lanes;
use super::natural;
use super::power::{self, Montgomery};

/// Bits of a limb.
const W: usize = 51;
const MASK: u64 = (1 << W) - 1;
/// Bits by which the modulus is scaled: one vector.
const SCALE: usize = 2 * W;
/// Vectors of a 2048-bit modulus.
const V2048: usize = 22;
/// Vectors of the largest modulus.
const MAX: usize = 82;

/// 2^103 + 2^100: added to a product, leaves a multiple of 2^51.
const HIGH: u64 = (1023 + 103) << 52 | 1 << 49;
/// `HIGH` + 3·2^51.
const BACK: u64 = HIGH + 3;
/// 3·2^51, the bias of a low half.
const LOW: u64 = (1023 + 52) << 52 | 1 << 51;
/// 2^52 + 2^50, the bias under which an integer becomes a double.
const UNIT: u64 = (1023 + 52) << 52 | 1 << 50;
/// Added to a column, makes it positive, so that a logical shift divides it.
const LIFT: u64 = 1 << 62;

/// A residue: limbs, and each limb in both lanes.
#[derive(Clone)]
pub(super) struct Residue {
    /// A zero, then v vectors from the highest to the lowest: the order in which a column meets them.
    down: [Lanes; MAX + 1],
    twins: [[Lanes; 2]; MAX],
}

/// A modulus and its constants.
#[derive(Clone)]
pub(super) struct Modulus {
    words: Vec<u64>,
    /// Vectors of a residue; even.
    v: usize,
    /// n in limbs, v vectors.
    plain: Vec<Lanes>,
    /// -1/n modulo 2^102.
    inverse: u128,
    /// kn + 1, divisible by 2^102: a zero, then v vectors from the highest to the lowest.
    scaled: Vec<Lanes>,
    constants: Constants,
    /// What to add to the column vectors of a product: their biases taken off, and `LIFT`.
    biases: Vec<Lanes>,
    r_squared: Box<Residue>,
}

/// The sums of two neighbouring column vectors k, k+1.
struct Sums {
    /// Lanes of vector k.
    even: Lanes,
    /// Lanes between vectors k and k+1.
    odd: Lanes,
    next_even: Lanes,
    next_odd: Lanes,
    /// What belongs to vector k+2.
    over: Lanes,
}

/// `HIGH` and `BACK`, in memory and not in the code, where they would be rebuilt in each iteration of the
/// inner loops.
#[derive(Clone, Copy)]
struct Constants {
    high: Lanes,
    back: Lanes,
}

/// Adds a·b to `low` and the lanes one limb above, `high`, with the biases `LOW` and `HIGH`.
#[inline(always)]
fn split(c: Constants, a: Lanes, b: Lanes, low: &mut Lanes, high: &mut Lanes) {
    let h = Lanes::multiply_add(a, b, c.high);
    let l = Lanes::multiply_add(a, b, c.back.minus(h));
    *low = low.add(l);
    *high = high.add(h);
}

/// The bias of a column vector whose predecessor got `before` twins and which got `own` itself, each
/// low twin leaving `LOW` on it and `HIGH` between it and the next, each high twin the same one limb
/// further up.
fn bias(before: usize, own: usize) -> Lanes {
    let times = |count: usize, constant: u64| (count as u64).wrapping_mul(constant);
    let both = times(own, LOW).wrapping_add(times(before, HIGH));
    let each = LOW.wrapping_add(HIGH);
    Lanes::integers(both.wrapping_add(times(before, each)), both.wrapping_add(times(own, each)))
}

impl Sums {
    #[inline(always)]
    fn zero() -> Self {
        let zero = Lanes::integer(0);
        Self { even: zero, odd: zero, next_even: zero, next_odd: zero, over: zero }
    }

    #[inline(always)]
    fn first(&mut self, c: Constants, [low, high]: [Lanes; 2], b: Lanes) {
        split(c, low, b, &mut self.even, &mut self.odd);
        split(c, high, b, &mut self.odd, &mut self.next_even);
    }

    #[inline(always)]
    fn second(&mut self, c: Constants, [low, high]: [Lanes; 2], b: Lanes) {
        split(c, low, b, &mut self.next_even, &mut self.next_odd);
        split(c, high, b, &mut self.next_odd, &mut self.over);
    }

    /// Adds `twins[i]`·`down[i + 1]` to the first column and `twins[i]`·`down[i]` to the second.
    /// Returns `down[twins.len()]`.
    #[inline(always)]
    fn run(&mut self, c: Constants, twins: &[[Lanes; 2]], down: &[Lanes]) -> Lanes {
        let mut ahead = down[0];
        for (&twins, &b) in twins.iter().zip(&down[1..=twins.len()]) {
            self.second(c, twins, ahead);
            self.first(c, twins, b);
            ahead = b;
        }
        ahead
    }

    #[inline(always)]
    fn double(self) -> Self {
        Self {
            even: self.even.add(self.even),
            odd: self.odd.add(self.odd),
            next_even: self.next_even.add(self.next_even),
            next_odd: self.next_odd.add(self.next_odd),
            over: self.over.add(self.over),
        }
    }
}

/// Divides columns into limbs and carries.
struct Carry(Lanes);

impl Carry {
    #[inline(always)]
    fn new() -> Self {
        Self(Lanes::integer(LIFT >> W))
    }

    /// The limbs of a lifted column vector, as doubles.
    #[inline(always)]
    fn limbs(&mut self, column: Lanes) -> Lanes {
        let carry = column.shift_right(W as u32);
        let limbs = column.and(Lanes::integer(MASK)).add(self.0.between(carry)).add(Lanes::integer(UNIT - (LIFT >> W)));
        self.0 = carry;
        limbs.minus(Lanes::integer(UNIT))
    }
}

impl Modulus {
    /// `words`: the odd modulus, of `bits` bits.
    pub(super) fn new(words: &[u64], bits: usize) -> Self {
        // 51(2v - 1) >= bits + 103; v even, because columns go in pairs of vectors.
        let v = ((bits + SCALE + 1).div_ceil(W) + 1).div_ceil(4) * 2;
        let v = v.min(MAX);
        let low = natural::bits_at(words, 64, 64);
        let low = u128::from(low) << 64 | u128::from(words.first().copied().unwrap_or(1));
        let inverse = natural::negative_inverse(low) & ((1 << SCALE) - 1);
        let scaled = multiply_add_one(words, inverse);
        let mut scaled = vectors(&scaled, v);
        scaled.push(Lanes::integer(0));
        scaled.reverse();
        let mut modulus = Self {
            words: words.to_vec(),
            v,
            plain: vectors(words, v),
            inverse,
            scaled,
            constants: Constants { high: Lanes::integer(HIGH), back: Lanes::integer(BACK) },
            biases: (0..2 * v)
                .map(|k| {
                    let before = k.checked_sub(1).map_or(0, |k| Self::count(v, k));
                    Lanes::integer(LIFT).subtract(bias(before, Self::count(v, k)))
                })
                .collect(),
            r_squared: Box::new(Residue::zero()),
        };
        let t = 2 * W * v;
        let start = natural::power_of_two_mod(words, bits, t + power::start(t));
        let mut r_squared = Box::new(Residue::new(&vectors(&start, v)));
        power::r_squared(&modulus, t, &mut r_squared);
        modulus.r_squared = r_squared;
        modulus
    }

    /// s^e mod n in words.
    pub(super) fn power(&self, s: &[u64], e: u64) -> Vec<u64> {
        let mut limbs = vectors(s, self.v);
        let mut s = Residue::new(&limbs);
        limbs.rotate_right(1); // times 2^102: the top vector is zero
        let last = Residue::new(&limbs);
        let mut spare = Residue::zero();
        let x = power::power(self, &self.r_squared, &mut s, &mut spare, &last, e);
        self.leave(x)
    }

    /// x/2^102 mod n in words.
    fn leave(&self, x: &Residue) -> Vec<u64> {
        // q = -x/n modulo 2^102, so that x + qn is a multiple of 2^102, and q >= 2^101, so that the
        // sum is positive although x may be as low as -kn/2^42.
        let [x0, x1] = integers(x.down[self.v]);
        let q = ((i128::from(x1) << W) + i128::from(x0)) as u128;
        let q = q.wrapping_mul(self.inverse);
        let (q0, q1) = (q as u64 & MASK, (q >> W) as u64 & MASK);
        let q1 = if q1 >> (W - 1) == 0 { q1 + (1 << W) } else { q1 };
        let q = [Lanes::double(q0 as f64), Lanes::double(q1 as f64)];

        let mut words = vec![0; self.words.len() + 1];
        let mut over = Lanes::integer(0);
        let mut odd = Lanes::integer(0);
        let mut carry = 0;
        for (i, (&x, &n)) in x.down[1..=self.v].iter().rev().zip(&self.plain).enumerate() {
            let mut sums = Sums::zero();
            sums.first(self.constants, q, n);
            let column = sums.even.add(over).add(odd.between(sums.odd));
            let column = column.subtract(bias(usize::from(i > 0), 1));
            over = sums.next_even;
            odd = sums.odd;
            let [low, high] = column.to_array();
            let [x0, x1] = integers(x);
            let sum = (low as i64) + x0 + carry;
            if i > 0 {
                natural::or_bits_at(&mut words, 2 * (i - 1) * W, sum as u64 & MASK);
            }
            let sum = (high as i64) + x1 + (sum >> W);
            if i > 0 {
                natural::or_bits_at(&mut words, (2 * (i - 1) + 1) * W, sum as u64 & MASK);
            }
            carry = sum >> W;
        }
        natural::reduce_few(&mut words, &self.words);
        words
    }

    /// How many twins [`Self::columns`] adds to column vector `k`.
    fn count(v: usize, k: usize) -> usize {
        let product = if k < v { k + 1 } else { 2 * v - (k & !1) - 1 + k % 2 };
        let reduction = if k < v { k } else { 2 * v - 1 - (k & !1) };
        product + reduction
    }

    /// Montgomery's reduction, modulo kn, of the product that `product` adds up, two column vectors
    /// at a time, into `out`. For the j-th pair `product` adds 2j + 1 twins to the first column and
    /// one more to the second; from the middle on 2v - 2j - 1 and one more.
    ///
    /// The quotient's digits m stand in `out.twins`, where each pair of them is used for the last
    /// time just before the result takes its place.
    #[inline(always)]
    fn columns(&self, v: usize, product: impl Fn(usize) -> Sums, out: &mut Residue) {
        let c = self.constants;
        let n = &self.scaled[..=v];
        let biases = &self.biases[..2 * v];
        let zero = Lanes::integer(0);
        let mut carry = Carry::new();
        let mut over = zero;
        let mut odd = zero;
        for k in (0..v).step_by(2) {
            let mut sums = product(k / 2);
            let first = sums.run(c, &out.twins[..k], &n[v - k - 1..v]);
            let column = biases[k].add(sums.even).add(over).add(odd.between(sums.odd));
            let limbs = carry.limbs(column);
            let twins = [limbs.lows(), limbs.highs()];
            out.twins[k] = twins;
            sums.second(c, twins, first);
            let column = biases[k + 1].add(sums.next_even).add(sums.odd.between(sums.next_odd));
            let limbs = carry.limbs(column);
            out.twins[k + 1] = [limbs.lows(), limbs.highs()];
            over = sums.over;
            odd = sums.next_odd;
        }
        for k in (v..2 * v).step_by(2) {
            let from = k + 1 - v;
            let mut sums = product(k / 2);
            sums.run(c, &out.twins[from..v], &n[..=v - from]);
            let column = biases[k].add(sums.even).add(over).add(odd.between(sums.odd));
            out.set(v, k - v, carry.limbs(column));
            let column = biases[k + 1].add(sums.next_even).add(sums.odd.between(sums.next_odd));
            out.set(v, k + 1 - v, carry.limbs(column));
            over = sums.over;
            odd = sums.next_odd;
        }
    }

    #[inline(always)]
    fn multiply_with(&self, v: usize, a: &Residue, b: &Residue, out: &mut Residue) {
        self.columns(v, |j| self.product(v, a, b, j), out);
    }

    /// The j-th pair of column vectors of a·b.
    #[inline(always)]
    fn product(&self, v: usize, a: &Residue, b: &Residue, j: usize) -> Sums {
        let c = self.constants;
        let from = (2 * j + 1).saturating_sub(v);
        let to = (2 * j + 1).min(v);
        let mut sums = Sums::zero();
        let down = &b.down[v + from - 2 * j - 1..=v + to - 2 * j - 1];
        let first = sums.run(c, &a.twins[from..to], down);
        sums.second(c, if to < v { a.twins[to] } else { [Lanes::integer(0); 2] }, first);
        sums
    }

    #[inline(always)]
    fn square_with(&self, v: usize, a: &Residue, out: &mut Residue) {
        let c = self.constants;
        let product = |j: usize| {
            // Each pair of different vectors once, doubled; then the vector by itself.
            let from = (2 * j + 1).saturating_sub(v);
            let down = &a.down[..=v];
            let mut sums = Sums::zero();
            let b = sums.run(c, &a.twins[from..j], &down[v + from - 2 * j - 1..v - j]);
            sums.second(c, a.twins[j], b);
            let mut sums = sums.double();
            sums.first(c, a.twins[j], down[v - j]);
            sums
        };
        self.columns(v, product, out);
    }
}

/// `n` · `k` + 1.
fn multiply_add_one(n: &[u64], k: u128) -> Vec<u64> {
    let mut product = vec![0; n.len() + 2];
    let mut carry = 1;
    for (i, out) in product.iter_mut().enumerate() {
        // Two products below 2^128 - 2^65 + 1 and a carry below 2^66: the carry out stays below 2^66.
        let n0 = n.get(i).copied().unwrap_or(0);
        let n1 = i.checked_sub(1).and_then(|i| n.get(i)).copied().unwrap_or(0);
        let a = u128::from(n0) * u128::from(k as u64);
        let b = u128::from(n1) * (k >> 64);
        let (sum, first) = a.overflowing_add(b);
        let (sum, second) = sum.overflowing_add(carry);
        *out = sum as u64;
        carry = (sum >> 64) + (u128::from(first) << 64) + (u128::from(second) << 64);
    }
    product
}

/// The limbs of `words`, `v` vectors.
fn vectors(words: &[u64], v: usize) -> Vec<Lanes> {
    let limb = |i| (natural::bits_at(words, i * W, W as u32) as f64).to_bits();
    (0..v).map(|i| Lanes::integers(limb(2 * i), limb(2 * i + 1))).collect()
}

/// Two limbs as integers.
fn integers(limbs: Lanes) -> [i64; 2] {
    limbs.to_array().map(|bits| f64::from_bits(bits) as i64)
}

impl Residue {
    fn zero() -> Self {
        let zero = Lanes::integer(0);
        Self { down: [zero; MAX + 1], twins: [[zero; 2]; MAX] }
    }

    fn new(limbs: &[Lanes]) -> Self {
        let mut residue = Self::zero();
        let v = limbs.len();
        for (i, &limbs) in limbs.iter().enumerate() {
            residue.set(v, i, limbs);
        }
        residue
    }

    #[inline(always)]
    fn set(&mut self, v: usize, i: usize, limbs: Lanes) {
        self.down[v - i] = limbs;
        self.twins[i] = [limbs.lows(), limbs.highs()];
    }
}

impl Montgomery for Modulus {
    type Residue = Residue;

    fn multiply(&self, a: &Residue, b: &Residue, out: &mut Residue) {
        // The common size, with constant loop bounds.
        if self.v == V2048 {
            self.multiply_with(V2048, a, b, out);
        } else {
            self.multiply_with(self.v, a, b, out);
        }
    }

    fn square(&self, a: &Residue, out: &mut Residue) {
        if self.v == V2048 {
            self.square_with(V2048, a, out);
        } else {
            self.square_with(self.v, a, out);
        }
    }

    fn power_of_two(&self, exponent: usize) -> Residue {
        let mut words = vec![0; exponent / 64 + 1];
        natural::or_bits_at(&mut words, exponent, 1);
        Residue::new(&vectors(&words, self.v))
    }
}

/// Returns whether this host rounds a multiply-add once, by a known result.
pub(super) fn fused() -> bool {
    fuses(Lanes::multiply_add)
}

/// [`fused`] for a given multiply-add.
pub(super) fn fuses(multiply_add: impl Fn(Lanes, Lanes, Lanes) -> Lanes) -> bool {
    // (2^51-1)(2^51-1) = 2^102 - 2^52 + 1 and (2^51-1)(2^50+1) = 2^101 + 2^50 - 1, less what a
    // rounded product would be.
    let a = core::hint::black_box(Lanes::double(MASK as f64));
    let b = Lanes::integers((MASK as f64).to_bits(), (((1_u64 << 50) + 1) as f64).to_bits());
    let rounded = multiply_add(a, core::hint::black_box(b), Lanes::double(0.0));
    let negative = Lanes::double(0.0).minus(rounded);
    let rest = multiply_add(a, b, core::hint::black_box(negative));
    integers(rest) == [1, (1 << 50) - 1 - (1 << 50)]
}

#[cfg(test)]
impl Modulus {
    pub(super) fn limb_count(&self) -> usize {
        2 * self.v
    }

    pub(super) fn residue_of(&self, words: &[u64]) -> Residue {
        Residue::new(&vectors(words, self.v))
    }

    /// From the lowest to the highest; some may be negative.
    pub(super) fn limbs_of(&self, residue: &Residue) -> Vec<i64> {
        residue.down[1..=self.v].iter().rev().flat_map(|&vector| integers(vector)).collect()
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;

    use super::*;

    fn number(words: &[u64]) -> BigUint {
        words.iter().rev().fold(BigUint::default(), |sum, &word| (sum << 64u8) + word)
    }

    /// The bound of the module's proof, with no more vectors than it needs: they come in pairs.
    #[test]
    fn a_modulus_has_the_fewest_limbs_that_the_bounds_allow() {
        for bits in (2048..2400).chain(8000..=8192) {
            let mut words = vec![u64::MAX; bits / 64];
            if bits % 64 > 0 {
                words.push(u64::MAX >> (64 - bits % 64));
            }
            let v = Modulus::new(&words, bits).v;
            let fits = |v: usize| 51 * (2 * v - 1) >= bits + 103;
            assert!(v.is_multiple_of(2) && fits(v) && !fits(v - 2), "{bits} bits in {v} vectors");
        }
    }

    /// x + qn must be positive although x is not: q is at least 2^101, whatever x is modulo 2^102.
    #[test]
    fn a_negative_residue_leaves() {
        let one = BigUint::from(1u8);
        for bits in [64usize, 92, 102, 2048, 2081] {
            let n: BigUint = (&one << bits) - 59u8;
            let words = n.to_u64_digits();
            let modulus = Modulus::new(&words, bits);
            // x = y - 2^(51·top), not below -2^(bits + 61).
            let top = (bits + 61) / 51;
            for q in [0, 1, MASK.into(), 1 << 51, (1 << 101) - 1, 1 << 101, (1 << 102) - 1u128] {
                // y = -qn modulo 2^102, so that q is what `leave` computes.
                let scale = &one << SCALE;
                let y = (&scale - BigUint::from(q) * &n % &scale) % &scale;
                let mut limbs = vectors(&y.to_u64_digits(), modulus.v);
                let [low, high] = limbs[top / 2].to_array();
                let minus_one = (-1f64).to_bits();
                limbs[top / 2] = if top.is_multiple_of(2) {
                    Lanes::integers(minus_one, high)
                } else {
                    Lanes::integers(low, minus_one)
                };
                let found = number(&modulus.leave(&Residue::new(&limbs)));
                let x = &n * (&one << 200u8) + y - (&one << (51 * top)) % &n;
                assert_eq!(found * &scale % &n, x % &n, "{bits} bits, q {q:x}");
            }
        }
    }

    #[test]
    fn products_of_extreme_words_carry() {
        let words = [0, 1, 1 << 38, u64::MAX - 1, u64::MAX];
        for high in [0u128, 1, 2, (1 << 37) + 1, (1 << 38) - 1] {
            for k in words.map(|low| high << 64 | u128::from(low)) {
                for n in (0..5usize.pow(4)).map(|i| [i, i / 5, i / 25, i / 125].map(|i| words[i % 5])) {
                    let product = number(&multiply_add_one(&n, k));
                    assert_eq!(product, number(&n) * k + 1u8, "{n:x?} · {k:x} + 1");
                }
            }
        }
    }
}
