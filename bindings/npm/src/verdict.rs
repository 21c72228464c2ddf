//! What a call has come to.

use alloc::string::String;

use edgeward::error::VerifyError;
use edgeward::host::Host;
use edgeward::http::{forbidden, refused, unavailable};
use edgeward::jwk::KeysUnavailable;
use edgeward::jwt::{Access, Demands, Id, VerifiedToken};
use edgeward::{Unverified, Verifier};

use crate::answer::{self, Refusal};
use crate::mailbox::Mailbox;
use crate::options::PerCall;

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

/// A verifier, and how to put what it says.
pub(crate) struct Judge {
    pub(crate) verifier: AnyVerifier,
    /// What is demanded of every token, to name it in refusals.
    pub(crate) demands: Demands,
}

/// A verifier of one kind of token or the other.
pub(crate) enum AnyVerifier {
    Access(Verifier<Access>),
    Id(Verifier<Id>),
}

enum AnyToken {
    Access(VerifiedToken<Access>),
    Id(VerifiedToken<Id>),
}

/// What one of the two kinds does, the other does, too.
macro_rules! either {
    ($type:ident, $value:expr, $one:ident => $call:expr) => {
        match $value {
            $type::Access($one) => $call,
            $type::Id($one) => $call,
        }
    };
}
pub(crate) use either;

impl Judge {
    /// Decides now, into `verdict`; false if that takes a wait.
    pub(crate) fn if_ready(
        &self,
        token: &str,
        per_call: Option<&PerCall>,
        mailbox: &Mailbox,
        verdict: &mut Verdict,
    ) -> bool {
        let decided = match &self.verifier {
            AnyVerifier::Access(one) => one.verify_if_ready(token, mailbox).map(|one| one.map(AnyToken::Access)),
            AnyVerifier::Id(one) => one.verify_if_ready(token, mailbox).map(|one| one.map(AnyToken::Id)),
        };
        let is_decided = decided.is_some();
        if let Some(decided) = decided {
            self.put(decided, token, per_call, mailbox, verdict);
        }
        is_decided
    }

    /// Decides now, with the keys that are there.
    pub(crate) fn now(&self, token: &str, per_call: Option<&PerCall>, mailbox: &Mailbox, verdict: &mut Verdict) {
        let decided = match &self.verifier {
            AnyVerifier::Access(one) => one.verify_now(token, mailbox).map(|one| one.map(AnyToken::Access)),
            AnyVerifier::Id(one) => one.verify_now(token, mailbox).map(|one| one.map(AnyToken::Id)),
        };
        match decided {
            Some(decided) => self.put(decided, token, per_call, mailbox, verdict),
            None => verdict.outcome = outcome::NOT_LOADED,
        }
    }

    /// Decides, and waits for keys if need be.
    pub(crate) async fn verify(&self, token: &str, per_call: Option<&PerCall>, mailbox: &Mailbox) -> Verdict {
        let decided = match &self.verifier {
            AnyVerifier::Access(one) => one.verify(token, mailbox).await.map(AnyToken::Access),
            AnyVerifier::Id(one) => one.verify(token, mailbox).await.map(AnyToken::Id),
        };
        let mut verdict = Verdict::new();
        self.put(decided, token, per_call, mailbox, &mut verdict);
        verdict
    }

    /// Loads the keys of every issuer.
    pub(crate) async fn load(&self, mailbox: &Mailbox) -> Verdict {
        let mut verdict = Verdict::new();
        if let Err(why) = either!(AnyVerifier, &self.verifier, one => one.load(mailbox).await) {
            verdict.refuse(&no_keys(why));
        }
        verdict
    }

    /// Writes down what was decided about a token that this call may demand more of.
    fn put(
        &self,
        decided: Result<AnyToken, Unverified>,
        token: &str,
        per_call: Option<&PerCall>,
        mailbox: &Mailbox,
        verdict: &mut Verdict,
    ) {
        let refusal = match decided {
            Ok(verified) => match per_call.map_or(Ok(()), |per_call| verified.check(per_call)) {
                Ok(()) => {
                    let (header, claims) =
                        either!(AnyToken, &verified, one => (one.header().as_json(), one.claims().as_json()));
                    verdict.outcome = outcome::PASSED;
                    verdict.text.clear();
                    verdict.text.push_str(header);
                    verdict.header_len = header.len();
                    verdict.text.push_str(claims);
                    let now = mailbox.now();
                    if per_call.is_none()
                        && let Some(period) = either!(AnyVerifier, &self.verifier, one => one.settled(token, now))
                    {
                        verdict.settled = [period.start, period.end].map(|time| time.millis() as f64);
                    }
                    return;
                }
                Err(error) => {
                    // The refresh of the keys that came with this token is left to one that passes.
                    mailbox.discard_jobs();
                    refusal_of(&error, per_call.map_or(&self.demands, |one| &one.demands))
                }
            },
            Err(Unverified::Refused(error)) => refusal_of(&error, &self.demands),
            Err(Unverified::Unavailable(why)) => no_keys(why),
        };
        verdict.refuse(&refusal);
    }
}

impl AnyToken {
    fn check(&self, per_call: &PerCall) -> Result<(), VerifyError> {
        // Options for a login are refused where the verifier is one of access tokens.
        if let Self::Id(token) = self {
            per_call.nonce.as_ref().map_or(Ok(()), |nonce| token.check_nonce(nonce))?;
            per_call.access_token.as_ref().map_or(Ok(()), |access_token| token.check_at_hash(access_token))?;
        }
        let claims = either!(Self, self, one => one.claims());
        per_call.demands.check(claims).map_err(VerifyError::Forbidden)
    }
}

fn refusal_of(error: &VerifyError, demands: &Demands) -> Refusal {
    let reply = match error {
        VerifyError::Forbidden(reason) => forbidden(reason, demands),
        error => refused(error),
    };
    Refusal::new(error.code(), error.message(), reply)
}

fn no_keys(why: KeysUnavailable) -> Refusal {
    Refusal::new(why.error.code(), why.error.message().into(), unavailable(why.error, why.retry_after_s))
}
