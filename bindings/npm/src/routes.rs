//! The demands of the routes seen last, so that they are read once.

use alloc::sync::Arc;
use alloc::vec::Vec;

use edgeward::limits;

use crate::options::{self, InvalidOptions, PerCall};

/// Requirements with the text they were read from: a route's text never changes.
pub(crate) struct Routes {
    seen: Vec<(Vec<u8>, Arc<PerCall>)>,
    next: usize,
}

impl Routes {
    pub(crate) const fn new() -> Self {
        Self { seen: Vec::new(), next: 0 }
    }

    /// The demands that `text` holds; none if there is no text.
    pub(crate) fn read(&mut self, text: &[u8], is_for_id_tokens: bool) -> Result<Option<Arc<PerCall>>, InvalidOptions> {
        if text.is_empty() {
            return Ok(None);
        }
        if let Some((_, known)) = self.seen.iter().find(|(seen, _)| seen == text) {
            return Ok(Some(Arc::clone(known)));
        }
        let read = Arc::new(options::read_per_call(text, is_for_id_tokens)?);
        // What belongs to one login comes once.
        if !read.is_of_one_login() {
            let kept = (text.to_vec(), Arc::clone(&read));
            match self.seen.get_mut(self.next) {
                Some(place) => *place = kept,
                None => self.seen.push(kept),
            }
            self.next = (self.next + 1) % limits::ROUTE_CACHE_ENTRIES;
        }
        Ok(Some(read))
    }
}
