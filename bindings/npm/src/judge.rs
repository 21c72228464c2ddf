//! A verifier and the words for what it decides.

use edgeward::error::VerifyError;
use edgeward::host::Host;
use edgeward::http::{forbidden, refused, unavailable};
use edgeward::jwk::KeysUnavailable;
use edgeward::jwt::{Any, Requirements, VerifiedToken};
use edgeward::{VerificationError, Verifier};

use crate::answer::Refusal;
use crate::mailbox::Mailbox;
use crate::options::PerCall;
use crate::verdict::{Verdict, outcome};

/// A verifier, and how to put what it says.
pub(crate) struct Judge {
    pub(crate) verifier: Verifier<Any>,
    /// What is demanded of every token, to name it in refusals.
    pub(crate) requirements: Requirements,
    pub(crate) is_for_id_tokens: bool,
}

impl Judge {
    /// Decides now, into `verdict`; false if that takes a wait.
    pub(crate) fn if_ready(
        &self,
        token: &str,
        per_call: Option<&PerCall>,
        mailbox: &Mailbox,
        verdict: &mut Verdict,
    ) -> bool {
        let decided = self.verifier.verify_if_ready(token, mailbox);
        let is_decided = decided.is_some();
        if let Some(decided) = decided {
            self.put(decided, token, per_call, mailbox, verdict);
        }
        is_decided
    }

    /// Decides now, into `verdict`, with the keys that are there.
    pub(crate) fn now(&self, token: &str, per_call: Option<&PerCall>, mailbox: &Mailbox, verdict: &mut Verdict) {
        match self.verifier.verify_now(token, mailbox) {
            Some(decided) => self.put(decided, token, per_call, mailbox, verdict),
            None => verdict.outcome = outcome::NOT_LOADED,
        }
    }

    /// Decides, and waits for keys if need be.
    pub(crate) async fn verify(&self, token: &str, per_call: Option<&PerCall>, mailbox: &Mailbox) -> Verdict {
        let decided = self.verifier.verify(token, mailbox).await;
        let mut verdict = Verdict::new();
        self.put(decided, token, per_call, mailbox, &mut verdict);
        verdict
    }

    /// Loads the keys of every issuer.
    pub(crate) async fn load(&self, mailbox: &Mailbox) -> Verdict {
        let mut verdict = Verdict::new();
        if let Err(why) = self.verifier.load(mailbox).await {
            verdict.refuse(&no_keys(why));
        }
        verdict
    }

    /// Writes down what was decided about a token that this call may demand more of.
    fn put(
        &self,
        decided: Result<VerifiedToken<Any>, VerificationError>,
        token: &str,
        per_call: Option<&PerCall>,
        mailbox: &Mailbox,
        verdict: &mut Verdict,
    ) {
        let refusal = match decided {
            Ok(verified) => match per_call.map_or(Ok(()), |per_call| check(&verified, per_call)) {
                Ok(()) => {
                    verdict.outcome = outcome::PASSED;
                    verdict.text.clear();
                    verdict.text.push_str(verified.header().as_json());
                    verdict.header_len = verdict.text.len();
                    verdict.text.push_str(verified.claims().as_json());
                    let now = mailbox.now();
                    if per_call.is_none()
                        && let Some(period) = self.verifier.stable_period(token, now)
                    {
                        verdict.settled = [period.start, period.end].map(|time| time.millis() as f64);
                    }
                    return;
                }
                Err(error) => {
                    // The refresh of the keys that came with this token is left to one that passes.
                    mailbox.discard_jobs();
                    refusal_of(&error, per_call.map_or(&self.requirements, |one| &one.requirements))
                }
            },
            Err(VerificationError::Refused(error)) => refusal_of(&error, &self.requirements),
            Err(VerificationError::Unavailable(why)) => no_keys(why),
        };
        verdict.refuse(&refusal);
    }
}

fn check(token: &VerifiedToken<Any>, per_call: &PerCall) -> Result<(), VerifyError> {
    if let Some(nonce) = &per_call.nonce {
        token.check_nonce(nonce)?;
    }
    if let Some(access_token) = &per_call.access_token {
        token.check_at_hash(access_token)?;
    }
    per_call.requirements.check(token.claims()).map_err(VerifyError::Forbidden)
}

fn refusal_of(error: &VerifyError, requirements: &Requirements) -> Refusal {
    let reply = match error {
        VerifyError::Forbidden(reason) => forbidden(reason, requirements),
        error => refused(error),
    };
    Refusal::new(error.code(), error.message(), reply)
}

fn no_keys(why: KeysUnavailable) -> Refusal {
    Refusal::new(why.error.code(), why.error.message().into(), unavailable(why.error, why.retry_after_s))
}
