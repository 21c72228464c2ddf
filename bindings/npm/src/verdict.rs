//! What a call has come to.

use alloc::string::String;

use crate::answer::{self, Refusal};

/// What a call can come to.
pub(crate) mod outcome {
    /// Passed. The text is the header, then, from `header_len` on, the claims; empty if it was about keys only.
    pub(crate) const PASSED: u32 = 0;
    /// Refused, or impossible to decide. The text says why.
    pub(crate) const REFUSED: u32 = 1;
    /// Undecided: the keys are not there.
    pub(crate) const NOT_LOADED: u32 = 2;
    /// Not yet decided: a task was begun.
    pub(crate) const PENDING: u32 = 3;
}

/// What a call has come to, for JavaScript.
pub(crate) struct Verdict {
    pub(crate) outcome: u32,
    pub(crate) text: String,
    pub(crate) header_len: usize,
    /// From when until when the token passes with the same keys, in milliseconds.
    pub(crate) settled: [f64; 2],
}

impl Verdict {
    pub(crate) const fn new() -> Self {
        Self { outcome: outcome::PASSED, text: String::new(), header_len: 0, settled: [0.0; 2] }
    }

    /// Makes it a refusal.
    pub(crate) fn refuse(&mut self, refusal: &Refusal) {
        self.outcome = outcome::REFUSED;
        answer::refusal(&mut self.text, refusal);
    }

    /// Makes it a refusal that the other side finds the words for.
    pub(crate) fn refuse_barely(&mut self, code: &str) {
        self.outcome = outcome::REFUSED;
        answer::bare_refusal(&mut self.text, code);
    }
}
