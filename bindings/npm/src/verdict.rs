//! The outcome of a call.

use alloc::string::String;

use edgeward::error::VerifyError;

use crate::messages::{self, Refusal};

/// The outcomes of a call, as numbers.
pub(crate) mod outcome {
    /// Passed. The text is the header followed, from `header_len` on, by the claims; empty for `load`.
    pub(crate) const PASSED: u32 = 0;
    /// Refused, or undecidable. The text is the refusal.
    pub(crate) const REFUSED: u32 = 1;
    /// Undecided: the keys are not loaded.
    pub(crate) const NOT_LOADED: u32 = 2;
    /// Undecided: a task was started.
    pub(crate) const PENDING: u32 = 3;
}

/// The outcome of a call, for JavaScript.
pub(crate) struct Verdict {
    pub(crate) outcome: u32,
    pub(crate) text: String,
    pub(crate) header_len: usize,
    /// The length of what follows the claims: the id of the proof, a space, and the time in milliseconds when it may be forgotten.
    pub(crate) proof_len: usize,
    /// From when until when the token passes with the same keys, in milliseconds since 1970.
    pub(crate) settled: [f64; 2],
}

impl Verdict {
    pub(crate) const fn new() -> Self {
        Self { outcome: outcome::PASSED, text: String::new(), header_len: 0, proof_len: 0, settled: [0.0; 2] }
    }

    /// Makes it a refusal, with the error that is its cause, if any.
    pub(crate) fn refuse(&mut self, refusal: &Refusal, error: Option<&VerifyError>) {
        self.outcome = outcome::REFUSED;
        messages::refusal(&mut self.text, refusal, error);
    }

    /// Makes it a refusal whose text JavaScript has.
    pub(crate) fn refuse_with_code(&mut self, code: &str) {
        self.outcome = outcome::REFUSED;
        messages::refusal_code(&mut self.text, code);
    }
}
