//! Values by number: what JavaScript holds instead of a pointer.

use alloc::vec::Vec;

/// A list with gaps. A number is used again once its value was removed.
pub(crate) struct Slab<T>(Vec<Option<T>>);

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let index = self.0.iter().position(Option::is_none).unwrap_or(self.0.len());
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        self.put_back(number, value);
        number
    }

    /// Puts a value under a number that was free.
    pub(crate) fn put_back(&mut self, number: u32, value: T) {
        let index = number as usize;
        if index >= self.0.len() {
            self.0.resize_with(index + 1, || None);
        }
        if let Some(place) = self.0.get_mut(index) {
            *place = Some(value);
        }
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.0.get_mut(number as usize)?.as_mut()
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        self.0.get_mut(number as usize)?.take()
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        for place in &mut self.0 {
            if place.as_ref().is_some_and(|value| !keep(value)) {
                *place = None;
            }
        }
    }
}
