//! Values by number: handles that JavaScript holds instead of pointers.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Values by number.
///
/// Numbers count up from 1 and are never used again: a stale number finds nothing, never another value. They are JavaScript
/// numbers, exact up to 2^53, which a million new values a second reach in 285 years.
pub(crate) struct Handles<T> {
    last: f64,
    /// Ordered by number. Boxed, because removing one moves those behind it.
    values: Vec<(f64, Box<T>)>,
}

impl<T> Handles<T> {
    pub(crate) const fn new() -> Self {
        Self { last: 0.0, values: Vec::new() }
    }

    pub(crate) fn insert(&mut self, value: T) -> f64 {
        self.last += 1.0;
        self.values.push((self.last, Box::new(value)));
        self.last
    }

    pub(crate) fn get_mut(&mut self, number: f64) -> Option<&mut T> {
        let index = self.index(number)?;
        self.values.get_mut(index).map(|(_, value)| &mut **value)
    }

    pub(crate) fn remove(&mut self, number: f64) -> Option<T> {
        let index = self.index(number)?;
        Some(*self.values.remove(index).1)
    }

    fn index(&self, number: f64) -> Option<usize> {
        self.values.binary_search_by(|(other, _)| other.total_cmp(&number)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A seeded generator (SplitMix64): every run takes the same steps.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut x = self.0;
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            usize::try_from((x ^ (x >> 31)) % end as u64).unwrap()
        }
    }

    #[test]
    fn a_number_never_finds_another_value() {
        let mut random = Random(1);
        let mut handles = Handles::new();
        // Every number ever issued, with its value unless that was removed.
        let mut issued: Vec<(f64, Option<usize>)> = Vec::new();
        for value in 0..20_000 {
            if random.below(2) == 0 {
                let number = handles.insert(value);
                assert!(issued.last().is_none_or(|(last, _)| *last < number));
                issued.push((number, Some(value)));
            }
            for _ in 0..2.min(issued.len()) {
                // Mostly recent numbers, whose neighbours are being removed.
                let near = issued.len().min(if random.below(4) == 0 { usize::MAX } else { 30 });
                let index = issued.len() - 1 - random.below(near);
                let (number, value) = issued[index];
                assert_eq!(handles.get_mut(number).copied(), value);
                if random.below(2) == 0 {
                    assert_eq!(handles.remove(number), value);
                    issued[index].1 = None;
                }
            }
        }
        assert!(issued.len() > 9_000);
        for (number, value) in issued {
            assert_eq!(handles.remove(number), value);
        }
        assert!(handles.values.is_empty());
    }

    #[test]
    fn other_numbers_find_nothing() {
        let mut handles = Handles::new();
        let number = handles.insert("value");
        for other in [0.0, -0.0, -1.0, 0.5, number + 0.5, number + 1.0, f64::NAN, f64::INFINITY, f64::MAX] {
            assert_eq!(handles.get_mut(other), None, "{other}");
            assert_eq!(handles.remove(other), None, "{other}");
        }
        assert_eq!(handles.remove(number), Some("value"));
        assert_eq!(handles.remove(number), None);
        assert!(handles.insert("another") > number);
    }

    #[test]
    fn numbers_are_exact_up_to_the_largest_safe_integer() {
        let mut handles = Handles { last: 9_007_199_254_740_988.0, values: Vec::new() };
        let numbers = [1, 2, 3].map(|value| handles.insert(value));
        assert_eq!(numbers[2], 9_007_199_254_740_991.0);
        assert_eq!(numbers.map(|number| handles.remove(number)), [Some(1), Some(2), Some(3)]);
    }
}
