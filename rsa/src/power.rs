//! The exponentiation that all kernels share.
//!
//! A kernel implements Montgomery multiplication: `multiply(a, b)` is a·b/R modulo n. Then s^e takes one
//! multiplication by R² to enter, left-to-right square-and-multiply for all bits of e but the last,
//! and, because e is odd, a last step that multiplies by s itself: the plain factor takes the R out
//! again. For e = 2^k + 1 that is k squarings and two multiplications.

/// The operations of a kernel.
pub(super) trait Montgomery {
    /// A residue, in the kernel's representation.
    type Residue: Clone;
    /// Computes a·b/R.
    fn multiply(&self, a: &Self::Residue, b: &Self::Residue, out: &mut Self::Residue);
    /// Computes a·a/R.
    fn square(&self, a: &Self::Residue, out: &mut Self::Residue);
    /// Returns 2^`exponent` itself, not multiplied by R; `exponent` is below R's.
    fn power_of_two(&self, exponent: usize) -> Self::Residue;
}

/// Squares `x` `times` times; `spare` is overwritten.
fn squarings<'a, K: Montgomery>(
    kernel: &K,
    mut x: &'a mut K::Residue,
    mut spare: &'a mut K::Residue,
    times: u32,
) -> (&'a mut K::Residue, &'a mut K::Residue) {
    for _ in 0..times {
        kernel.square(x, spare);
        (x, spare) = (spare, x);
    }
    (x, spare)
}

/// Returns the exponent c of the power R·2^c that [`r_squared`] starts from, for R = 2^t.
pub(super) fn start(t: usize) -> usize {
    t / 64 + 2
}

/// Replaces R·2^c in `x`, c = [`start`], with R²: six squarings give R·2^64c = R·2^(t+d), where
/// 64 < d <= 128, and a multiplication by 2^(t-d) gives R·2^t.
pub(super) fn r_squared<K: Montgomery>(kernel: &K, t: usize, x: &mut K::Residue) {
    let mut spare = x.clone();
    squarings(kernel, x, &mut spare, 6);
    let d = 64 * start(t) - t;
    kernel.multiply(x, &kernel.power_of_two(t - d), &mut spare);
    *x = spare;
}

/// Computes s^e, times the constant c if `last` is c·s and not s. Overwrites `s` and `spare` and returns one of them.
pub(super) fn power<'a, K: Montgomery>(
    kernel: &K,
    r_squared: &K::Residue,
    s: &'a mut K::Residue,
    spare: &'a mut K::Residue,
    last: &K::Residue,
    e: u64,
) -> &'a K::Residue {
    kernel.multiply(s, r_squared, spare);
    let (mut x, mut spare) = (spare, s);
    let single = e.count_ones() == 2;
    let base = if single { None } else { Some(x.clone()) };
    let mut pending = 1;
    for bit in (1..e.ilog2()).rev() {
        if let (1, Some(base)) = (e >> bit & 1, &base) {
            (x, spare) = squarings(kernel, x, spare, pending);
            kernel.multiply(x, base, spare);
            (x, spare) = (spare, x);
            pending = 0;
        }
        pending += 1;
    }
    (x, spare) = squarings(kernel, x, spare, pending);
    kernel.multiply(x, last, spare);
    spare
}

#[cfg(test)]
mod tests {
    use super::start;

    #[test]
    fn six_squarings_of_the_start_go_past_r_by_more_than_a_word_and_at_most_two() {
        for t in 128..=9000 {
            assert!((65..=128).contains(&(64 * start(t) - t)), "{t}");
        }
    }
}
