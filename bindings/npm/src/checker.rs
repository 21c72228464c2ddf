//! A verifier, and its verdicts in the form that JavaScript reads.

use edgeward::dpop::{Acceptance, VerifiedProof};
use edgeward::error::VerifyError;
use edgeward::host::Host;
use edgeward::http::{forbidden, refused, unavailable, with_dpop_challenge};
use edgeward::jwk::KeysUnavailable;
use edgeward::jwt::{Any, Requirements, VerifiedToken};
use edgeward::text::{concat, signed_decimal};
use edgeward::{VerificationError, Verifier};

use crate::js_host::JsHost;
use crate::messages::Refusal;
use crate::options::PerCall;
use crate::sender::Sender;
use crate::verdict::{Verdict, outcome};

/// A verifier with what its refusals are worded from.
pub(crate) struct Checker {
    pub(crate) verifier: Verifier<Any>,
    /// The requirements for every token, to name them in refusals.
    pub(crate) requirements: Requirements,
    /// Whether tokens that are bound to a key are accepted, with proofs.
    pub(crate) dpop: Acceptance,
}

impl Checker {
    /// Checks a token without waiting and records the outcome in `verdict`; false if that needs a fetch.
    pub(crate) fn check_if_ready(
        &self,
        token: &str,
        per_call: Option<&PerCall>,
        host: &JsHost,
        verdict: &mut Verdict,
    ) -> bool {
        let result = self.verifier.verify_if_ready(token, host);
        let is_ready = result.is_some();
        if let Some(result) = result {
            self.record(result, token, per_call, host, verdict, false);
        }
        is_ready
    }

    /// Checks a token with the keys at hand and records the outcome in `verdict`.
    pub(crate) fn check_now(&self, token: &str, per_call: Option<&PerCall>, host: &JsHost, verdict: &mut Verdict) {
        match self.verifier.verify_now(token, host) {
            Some(result) => self.record(result, token, per_call, host, verdict, false),
            None => verdict.outcome = outcome::NOT_LOADED,
        }
    }

    /// Checks a token, waiting for keys where necessary; and if there is a `sender`, that the token is theirs.
    pub(crate) async fn check(
        &self,
        token: &str,
        sender: Option<&Sender>,
        per_call: Option<&PerCall>,
        host: &JsHost,
    ) -> Verdict {
        let mut verdict = Verdict::new();
        let (result, proof) = match self.verify(token, sender, host).await {
            Ok((token, proof)) => (Ok(token), proof),
            Err(error) => (Err(error), None),
        };
        self.record(result, token, per_call, host, &mut verdict, sender.is_some_and(|sender| sender.has_scheme));
        if let (outcome::PASSED, Some(proof)) = (verdict.outcome, proof) {
            let text = concat(&[&proof.id(), " ", &signed_decimal(proof.expires_at().millis())]);
            verdict.proof_len = text.len();
            verdict.text.push_str(&text);
        }
        verdict
    }

    /// Verifies a token, and that it comes from the sender that it is bound to. Returns the proof, which may have been used before.
    async fn verify(
        &self,
        token: &str,
        sender: Option<&Sender>,
        host: &JsHost,
    ) -> Result<(VerifiedToken<Any>, Option<VerifiedProof>), VerificationError> {
        let verified = self.verifier.verify_unconfirmed(token, host).await?;
        let refused = VerificationError::Refused;
        let proof = match sender.map(|sender| sender.check(self.dpop, verified.binding(), token, host.now())) {
            None => None,
            Some(proof) => proof.map_err(refused)?,
        };
        let proof = match proof {
            None => None,
            Some(proof) => Some(proof.verify(host).await?),
        };
        let key = proof.as_ref().map(VerifiedProof::key);
        Ok((verified.confirm(key, None).map_err(refused)?, proof))
    }

    /// Adds to a refusal how to send bound tokens, where they are accepted.
    pub(crate) fn with_challenge(&self, refusal: Refusal, has_scheme: bool) -> Refusal {
        match self.dpop {
            Acceptance::Off => refusal,
            dpop => refusal.with_reply(|reply| with_dpop_challenge(reply, has_scheme, dpop == Acceptance::Required)),
        }
    }

    /// Loads the keys of every issuer.
    pub(crate) async fn load(&self, host: &JsHost) -> Verdict {
        let mut verdict = Verdict::new();
        if let Err(why) = self.verifier.load(host).await {
            verdict.refuse(&keys_unavailable(why), None);
        }
        verdict
    }

    /// Applies the requirements of the call to a verified token and records the outcome in `verdict`.
    fn record(
        &self,
        result: Result<VerifiedToken<Any>, VerificationError>,
        token: &str,
        per_call: Option<&PerCall>,
        host: &JsHost,
        verdict: &mut Verdict,
        has_scheme: bool,
    ) {
        let (error, requirements) = match result {
            Ok(verified) => match per_call.map_or(Ok(()), |per_call| check_call(&verified, per_call)) {
                Ok(()) => {
                    verdict.outcome = outcome::PASSED;
                    verdict.text.clear();
                    verdict.text.push_str(verified.header().as_json());
                    verdict.header_len = verdict.text.len();
                    verdict.proof_len = 0;
                    verdict.text.push_str(verified.claims().as_json());
                    let now = host.now();
                    if per_call.is_none()
                        && let Some(period) = self.verifier.stable_period(token, now)
                    {
                        verdict.settled = [period.start, period.end].map(|time| time.millis() as f64);
                    }
                    return;
                }
                Err(error) => {
                    // A refused token starts no refresh of the keys; the next one that passes does.
                    host.discard_jobs();
                    (error, per_call.map_or(&self.requirements, |one| &one.requirements))
                }
            },
            // JavaScript names its own functions.
            Err(VerificationError::Refused(error @ VerifyError::AsyncRequired { .. })) => {
                return verdict.refuse_with_code(error.code());
            }
            Err(VerificationError::Refused(error)) => (error, &self.requirements),
            Err(VerificationError::Unavailable(why)) => return verdict.refuse(&keys_unavailable(why), None),
        };
        let refusal = self.with_challenge(refusal_of(&error, token, requirements), has_scheme);
        verdict.refuse(&refusal, Some(&error));
    }
}

fn check_call(token: &VerifiedToken<Any>, per_call: &PerCall) -> Result<(), VerifyError> {
    if let Some(nonce) = &per_call.nonce {
        token.check_nonce(nonce)?;
    }
    if let Some(access_token) = &per_call.access_token {
        token.check_at_hash(access_token)?;
    }
    per_call.requirements.check(token.claims()).map_err(VerifyError::Forbidden)
}

fn refusal_of(error: &VerifyError, token: &str, requirements: &Requirements) -> Refusal {
    let reply = match error {
        VerifyError::Forbidden(reason) => forbidden(reason, requirements),
        error => refused(error),
    };
    let message = match error {
        VerifyError::TokenMalformed(_) => concat(&[&error.message(), form_hint(token)]).into(),
        _ => error.message(),
    };
    Refusal::new(message, reply)
}

/// Returns the end of a message about a text that is no token only for what surrounds it.
fn form_hint(text: &str) -> &'static str {
    if text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("Bearer ")) {
        "; pass it without the scheme \"Bearer\""
    } else if text.starts_with(['"', '\'']) {
        "; pass it without quotes"
    } else if text.trim().len() < text.len() {
        "; pass it without spaces and line breaks around it"
    } else {
        ""
    }
}

fn keys_unavailable(why: KeysUnavailable) -> Refusal {
    Refusal::new(why.error.message().into(), unavailable(why.error, why.retry_after_s)).because(why.reason)
}
