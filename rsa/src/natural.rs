//! Natural numbers as little-endian sequences of 64-bit words: the operations outside the kernels.
//!
//! A *word* here is a 64-bit word; kernels regroup words into *limbs* of their own width.

use alloc::vec;
use alloc::vec::Vec;

/// Converts a big-endian byte string to words.
pub(super) fn from_be_bytes(bytes: &[u8]) -> Vec<u64> {
    let (head, eights) = bytes.as_rchunks::<8>();
    let head = (!head.is_empty()).then(|| head.iter().fold(0, |word, &b| word << 8 | u64::from(b)));
    let mut words = Vec::with_capacity(eights.len() + 1);
    words.extend(eights.iter().rev().map(|&eight| u64::from_be_bytes(eight)).chain(head));
    words
}

/// Writes the low `out.len()` bytes of `words`, big-endian.
pub(super) fn write_be_bytes(words: &[u64], out: &mut [u8]) {
    let (head, eights) = out.as_rchunks_mut::<8>();
    let mut words = words.iter().copied().chain(core::iter::repeat(0));
    for (eight, word) in eights.iter_mut().rev().zip(&mut words) {
        *eight = word.to_be_bytes();
    }
    let word = words.next().unwrap_or(0).to_be_bytes();
    for (byte, &value) in head.iter_mut().rev().zip(word.iter().rev()) {
        *byte = value;
    }
}

/// Returns the `width` (at most 64) bits of `words` from bit `offset` on; bits past the end are zero.
pub(super) fn bits_at(words: &[u64], offset: usize, width: u32) -> u64 {
    let at = |i: usize| words.get(i).copied().unwrap_or(0);
    let (word, shift) = (offset / 64, offset % 64);
    let high = if shift == 0 { 0 } else { at(word + 1) << (64 - shift) };
    (at(word) >> shift | high) & (u64::MAX >> (64 - width))
}

/// Adds `limb` at bit `offset` of `words`: the inverse of [`bits_at`] for limbs below 2^`width`.
pub(super) fn or_bits_at(words: &mut [u64], offset: usize, limb: u64) {
    let (word, shift) = (offset / 64, offset % 64);
    if let Some(word) = words.get_mut(word) {
        *word |= limb << shift;
    }
    if let (1.., Some(word)) = (shift, words.get_mut(word + 1)) {
        *word |= limb >> (64 - shift);
    }
}

/// Computes `a -= b` modulo 2^(64 · len) and returns whether it borrowed. Both have the same length.
fn subtract(a: &mut [u64], b: &[u64]) -> bool {
    let mut borrow = false;
    for (a, &b) in a.iter_mut().zip(b) {
        let (difference, first) = a.overflowing_sub(b);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        *a = difference;
        borrow = first | second;
    }
    borrow
}

/// Returns whether `a < b`, for equal lengths.
fn less(a: &[u64], b: &[u64]) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// Subtracts `n` while `a >= n`, three times at most. `a` may be longer than `n`.
pub(super) fn reduce_few(a: &mut [u64], n: &[u64]) {
    let (low, high) = a.split_at_mut(n.len().min(a.len()));
    for _ in 0..3 {
        if high.iter().all(|&word| word == 0) && less(low, n) {
            return;
        }
        let mut borrow = subtract(low, n);
        for word in high.iter_mut() {
            let (difference, under) = word.overflowing_sub(u64::from(borrow));
            *word = difference;
            borrow = under;
        }
    }
}

/// Returns 2^`exponent` mod `n`, for `n` of exactly `bits` bits and `exponent >= bits`. It works by
/// doubling, so `exponent` should not be far above `bits`.
pub(super) fn power_of_two_mod(n: &[u64], bits: usize, exponent: usize) -> Vec<u64> {
    // 2^bits - n, which is below n because n >= 2^(bits-1), and is not n because n is odd.
    let mut r = vec![0; n.len()];
    if let Some(word) = r.get_mut(bits / 64) {
        *word = 1 << (bits % 64);
    }
    subtract(&mut r, n);
    for _ in bits..exponent {
        let mut carry = 0;
        for word in &mut r {
            let top = *word >> 63;
            *word = *word << 1 | carry;
            carry = top;
        }
        // The doubled value is below 2n, so one subtraction suffices; a carry out pairs with its borrow.
        if carry == 1 || !less(&r, n) {
            subtract(&mut r, n);
        }
    }
    r
}

/// Returns -1/`n` modulo 2^128, for odd `n` given by its low 128 bits.
pub(super) fn negative_inverse(n: u128) -> u128 {
    // n is its own inverse modulo 8; each Newton step doubles the number of right bits.
    let mut inverse = n;
    for _ in 0..6 {
        inverse = inverse.wrapping_mul(2_u128.wrapping_sub(n.wrapping_mul(inverse)));
    }
    inverse.wrapping_neg()
}
