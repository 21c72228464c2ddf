//! Comparison in constant time.

/// Compares without revealing the position of the first difference through timing.
pub(crate) fn equal_in_constant_time(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |difference, (l, r)| difference | (l ^ r)) == 0
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::equal_in_constant_time;

    /// Differences must not cancel each other, wherever they are.
    #[test]
    fn all_pairs_of_short_strings_compare_like_slices() {
        let mut strings: Vec<Vec<u8>> = vec![vec![]];
        for start in 0.. {
            let Some(string) = strings.get(start).filter(|string| string.len() < 4).cloned() else { break };
            strings.extend([0, 1, 0x80, 0xff].map(|byte| [&string[..], &[byte]].concat()));
        }
        assert_eq!(strings.len(), 1 + 4 + 16 + 64 + 256);
        for left in &strings {
            for right in &strings {
                assert_eq!(equal_in_constant_time(left, right), left == right, "{left:?} {right:?}");
            }
        }
    }

    #[test]
    fn every_bit_of_every_byte_counts_at_each_length() {
        for len in 0..=256 {
            let string: Vec<u8> = (0..=255).cycle().take(len).collect();
            assert!(equal_in_constant_time(&string, &string));
            for bit in 0..8 * len {
                let mut other = string.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                assert!(!equal_in_constant_time(&string, &other), "bit {bit} of {len} bytes");
            }
        }
    }
}
