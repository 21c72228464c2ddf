//! The token that the gateway sends to an upstream, and the proof of possession of one that is bound to the gateway's key.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::forward::{Destination, Forward};
use super::headers::HeaderValue;
use super::matched::{Caller, MatchedRequest};
use super::sender::PROOF;
use super::{Answer, Integration};
use crate::host::{Level, SignError};
use crate::http::Reply;
use crate::json::Value;
use crate::jwt::Claims;
use crate::oidc::{KEY_MISSING, LoginHost, ProofKey, ProofKeys, SubjectToken, TokenKey, wants_nonce};
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
            return match (&self.gateway.login, session, self.route.integration.headers()) {
                (Some(party), Some(session), Some(headers)) => {
                    let bound = (party.client.key_of(session), session.tokens().access.as_str());
                    with_bound_token(forward, (Some(headers), false), bound, method, host).await
                }
                _ => Answer::Forward(forward),
            };
        };
        let subject = if tokens.is_exchange() {
            match caller.filter(|caller| !caller.token.is_empty()) {
                Some(caller) if session.is_none() && !tokens.is_of_provider(caller.claims.issuer()) => {
                    return Answer::Reply(Reply::problem(403, "upstream_issuer_mismatch", UPSTREAM_ISSUER_MISMATCH));
                }
                Some(caller) => {
                    let subject = subject_token(caller, session);
                    let key = session.map(|_| TokenKey::of(tokens.proof_keys(), subject.text, subject.jkt));
                    if matches!(key, Some(TokenKey::Foreign)) {
                        return key_missing(host);
                    }
                    Some(subject)
                }
                None => return Answer::Forward(forward),
            }
        } else {
            None
        };
        match tokens.token(subject, host).await {
            Ok(token) => {
                set_token(&mut forward, &self.route.integration, &token);
                let (Some(keys), Some(key)) = (tokens.proof_keys(), tokens.proof_key(subject)) else {
                    return Answer::Forward(forward);
                };
                let (headers, bound) = ((self.route.integration.headers(), true), (TokenKey::Own(keys, key), &*token));
                with_bound_token(forward, headers, bound, method, host).await
            }
            Err(failure) => Answer::Reply(failure.reply(host.now())),
        }
    }
}

/// Replaces the scheme of a token in the headers of a request that is forwarded, if the token is bound to a key of the gateway, and adds its
/// proof (RFC 9449 §7.1). One that is bound to another key is of no use to the upstream: then the request is not sent.
async fn with_bound_token<'g>(
    mut forward: Forward<'g>,
    (headers, is_upstream): (Option<&Vec<(String, HeaderValue)>>, bool),
    (key, token): (TokenKey<'g>, &str),
    method: &str,
    host: &impl LoginHost,
) -> Answer<'g> {
    let (keys, key) = match key {
        TokenKey::None => return Answer::Forward(forward),
        TokenKey::Foreign => {
            let mut headers = headers.into_iter().flatten();
            let is_sent = headers.any(|(_, value)| value.render_token(BEARER, token, is_upstream).is_some());
            return if is_sent { key_missing(host) } else { Answer::Forward(forward) };
        }
        TokenKey::Own(keys, key) => (keys, key),
    };
    let mut is_sent = false;
    for (name, value) in headers.into_iter().flatten() {
        if let Some(bearer) = value.render_token(BEARER, token, is_upstream) {
            is_sent = true;
            forward.set.retain(|(one, value)| one != name || *value != bearer);
            let bound = value.render_token(DPOP, token, is_upstream);
            forward.set.extend(bound.map(|bound| (name.clone(), bound)));
        }
    }
    if !is_sent && is_upstream {
        is_sent = true;
        forward.set.retain(|(name, _)| name != AUTHORIZATION);
        forward.set.push((AUTHORIZATION.into(), concat(&[DPOP, token])));
    }
    if !is_sent {
        return Answer::Forward(forward);
    }
    let proof = OwnProof { keys, key, token: token.into(), method: method.into(), nonce: None, may_repeat: true };
    forward.own_proof = Some(Box::new(proof));
    match forward.prove(host).await {
        Ok(()) => Answer::Forward(forward),
        Err(_) => Answer::Reply(unproved("The gateway cannot sign the proof for the upstream.")),
    }
}

/// Returns the answer to a request with a session whose token is bound to a key that the gateway does not have.
fn key_missing<'g>(host: &impl LoginHost) -> Answer<'g> {
    host.log(Level::Warning, &KEY_MISSING);
    Answer::Reply(unproved("The gateway does not have the key of the session's token."))
}

fn unproved(detail: &'static str) -> Reply {
    Reply::problem(503, "upstream_token_unavailable", detail).with("retry-after", "1")
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
fn subject_token<'c>(caller: Caller<'c>, session: Option<&'c Session>) -> SubjectToken<'c> {
    let exp = |claims: &Claims| match claims.get("exp") {
        Some(Value::Number(exp)) => exp.as_f64() as i64,
        _ => 0,
    };
    let expires_s = session.map_or_else(|| exp(caller.claims), |session| session.tokens().access_expires_s);
    let jkt = session.and_then(|session| session.tokens().jkt.as_deref());
    SubjectToken { text: caller.token, expires_s, jkt }
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
