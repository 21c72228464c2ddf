//! The token that the gateway sends to an upstream, and the proof of possession of one that is bound to the gateway's key.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::forward::{Destination, Forward};
use super::headers::HeaderValue;
use super::matched::{Caller, MatchedRequest};
use super::sender::PROOF;
use super::{Answer, Integration};
use crate::host::SignError;
use crate::http::Reply;
use crate::json::Value;
use crate::jwt::Claims;
use crate::oidc::{LoginHost, ProofKey, ProofKeys, SubjectToken, TokenKey, wants_nonce};
use crate::session::Session;
use crate::text::concat;

pub(super) const UPSTREAM_ISSUER_MISMATCH: &str =
    "The token is not from the issuer that exchanges tokens for the upstream.";

impl<'g> MatchedRequest<'g> {
    /// Adds the token of `upstream_auth` to a request that is forwarded; or returns why there is none. An anonymous caller has nothing to
    /// exchange. A token that is bound to a key of the gateway, that of a session included, gets its proof.
    pub(super) async fn with_upstream_token(
        &self,
        method: &str,
        mut forward: Forward<'g>,
        caller: Option<Caller<'_>>,
        session: Option<&Session>,
        host: &impl LoginHost,
    ) -> Answer<'g> {
        let Some(tokens) = &self.route.upstream_tokens else {
            let keys = self.gateway.login.as_ref().and_then(|party| party.client.options.proof_keys.as_ref());
            return match (keys, caller, session) {
                (Some(keys), Some(caller), Some(_)) => {
                    let headers = (self.route.integration.headers(), false);
                    with_bound_token(forward, headers, (keys, caller.token), method, host).await
                }
                _ => Answer::Forward(forward),
            };
        };
        let subject = if tokens.is_exchange() {
            match caller.filter(|caller| !caller.token.is_empty()) {
                Some(caller) if session.is_none() && !tokens.is_of_provider(caller.claims.issuer()) => {
                    return Answer::Reply(Reply::problem(403, "upstream_issuer_mismatch", UPSTREAM_ISSUER_MISMATCH));
                }
                Some(caller) => Some(subject_token(caller, session)),
                None => return Answer::Forward(forward),
            }
        } else {
            None
        };
        match tokens.token(subject, host).await {
            Ok(token) => {
                set_token(&mut forward, &self.route.integration, &token);
                let Some(keys) = tokens.proof_keys() else { return Answer::Forward(forward) };
                let headers = (self.route.integration.headers(), true);
                with_bound_token(forward, headers, (keys, &token), method, host).await
            }
            Err(failure) => Answer::Reply(failure.reply(host.now())),
        }
    }
}

/// Replaces the scheme of a token in the headers of a request that is forwarded, if the token is bound to a key of the gateway, and adds its
/// proof (RFC 9449 §7.1). One that is bound to another key is of no use to the upstream, and is not sent.
async fn with_bound_token<'g>(
    mut forward: Forward<'g>,
    (headers, is_upstream): (Option<&Vec<(String, HeaderValue)>>, bool),
    (keys, token): (&'g ProofKeys, &str),
    method: &str,
    host: &impl LoginHost,
) -> Answer<'g> {
    let key = keys.key_of(token);
    if matches!(key, TokenKey::None) {
        return Answer::Forward(forward);
    }
    let mut is_sent = false;
    for (name, value) in headers.into_iter().flatten() {
        if let Some(bearer) = value.render_token(BEARER, token, is_upstream) {
            is_sent = true;
            forward.set.retain(|(one, value)| one != name || *value != bearer);
            let bound = value.render_token(DPOP, token, is_upstream).filter(|_| matches!(key, TokenKey::Own(_)));
            forward.set.extend(bound.map(|bound| (name.clone(), bound)));
        }
    }
    if !is_sent && is_upstream {
        is_sent = true;
        forward.set.retain(|(name, _)| name != AUTHORIZATION);
        forward.set.push((AUTHORIZATION.into(), concat(&[DPOP, token])));
    }
    let TokenKey::Own(key) = key else { return Answer::Forward(forward) };
    if !is_sent {
        return Answer::Forward(forward);
    }
    let proof = OwnProof { keys, key, token: token.into(), method: method.into(), nonce: None, may_repeat: true };
    forward.own_proof = Some(Box::new(proof));
    match forward.prove(host).await {
        Ok(()) => Answer::Forward(forward),
        Err(_) => {
            let detail = "The gateway cannot sign the proof for the upstream.";
            Answer::Reply(Reply::problem(503, "upstream_token_unavailable", detail).with("retry-after", "1"))
        }
    }
}

/// The proof of possession of a token that the gateway sends to an upstream.
pub(super) struct OwnProof<'g> {
    keys: &'g ProofKeys,
    key: &'g ProofKey,
    token: String,
    method: String,
    /// The nonce in the last proof.
    nonce: Option<String>,
    /// Whether the request may be sent again with the nonce that the upstream wants.
    may_repeat: bool,
}

/// What to do with the response to a request that has a proof of possession.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofOutcome {
    /// Return it.
    Done,
    /// Send the request once more: it was refused for its nonce, and now has a proof with the new one.
    Repeat,
    /// Return [`Forward::to_repeat`]: the request was refused for its nonce, and its body is used up.
    BodyUsed,
}

impl Forward<'_> {
    /// Returns whether the request has a proof of possession by the gateway. The host then reports the response's challenge:
    /// [`renew_proof`](Self::renew_proof).
    #[must_use]
    pub fn has_own_proof(&self) -> bool {
        self.own_proof.is_some()
    }

    /// Remembers the nonce that the upstream has sent for the next proof (RFC 9449 §9), and returns what to do with its response, which has this
    /// `DPoP-Nonce` and `WWW-Authenticate`. `is_repeatable`: whether the host can send the body, if there is one, once more.
    pub async fn renew_proof(
        &mut self,
        status: u16,
        (nonce, challenge): (Option<&str>, Option<&str>),
        is_repeatable: bool,
        host: &impl LoginHost,
    ) -> ProofOutcome {
        let Some(mut own) = self.own_proof.take() else { return ProofOutcome::Done };
        let wants_nonce = wants_nonce(status, challenge);
        let renews = own.keys.renews(self.server(), own.nonce.as_deref(), nonce, wants_nonce) && own.may_repeat;
        own.may_repeat = false;
        self.own_proof = Some(own);
        if renews && !is_repeatable {
            return ProofOutcome::BodyUsed;
        }
        if renews && self.prove(host).await.is_ok() { ProofOutcome::Repeat } else { ProofOutcome::Done }
    }

    /// Returns the name under which the upstream's nonces are remembered; the client's request has no part in it.
    fn server(&self) -> &str {
        match &self.destination {
            Destination::Url(_) => self.upstream(),
            Destination::Service { binding, .. } => binding,
        }
    }

    async fn prove(&mut self, host: &impl LoginHost) -> Result<(), SignError> {
        let Some(OwnProof { keys, key, token, method, .. }) = self.own_proof.as_deref() else { return Ok(()) };
        let (Destination::Url(url) | Destination::Service { url, .. }) = &self.destination;
        let (proof, nonce) = keys.proof(key, (method, url, self.server()), Some(token), host).await?;
        self.set.retain(|(name, _)| !name.eq_ignore_ascii_case(PROOF));
        self.set.push((PROOF.into(), proof));
        if let Some(own) = &mut self.own_proof {
            own.nonce = nonce;
        }
        Ok(())
    }
}

const AUTHORIZATION: &str = "authorization";
const BEARER: &str = "Bearer ";
const DPOP: &str = "DPoP ";

/// Returns the caller's token, with its expiry: as verified, or as the session has it.
fn subject_token<'c>(caller: Caller<'c>, session: Option<&Session>) -> SubjectToken<'c> {
    let exp = |claims: &Claims| match claims.get("exp") {
        Some(Value::Number(exp)) => exp.as_f64() as i64,
        _ => 0,
    };
    let expires_s = session.map_or_else(|| exp(caller.claims), |session| session.tokens().access_expires_s);
    SubjectToken { text: caller.token, expires_s }
}

/// Sets the headers with the token: those configured, or `Authorization`.
fn set_token(forward: &mut Forward<'_>, integration: &Integration, token: &str) {
    let headers = integration.headers().map(Vec::as_slice).unwrap_or_default();
    let before = forward.set.len();
    let with_token =
        |(name, value): &(String, HeaderValue)| Some((name.clone(), value.render_token(BEARER, token, true)?));
    forward.set.extend(headers.iter().filter_map(with_token));
    if forward.set.len() == before {
        forward.set.push((AUTHORIZATION.into(), concat(&[BEARER, token])));
    }
}
