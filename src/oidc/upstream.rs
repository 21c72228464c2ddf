//! Access tokens for upstreams: client credentials (RFC 6749 §4.4) and token exchange (RFC 8693).
//!
//! A token is requested once and reused by all requests until shortly before it expires. Instances share a token of the gateway itself
//! through an object of which there is one for each configuration; see [`LoginHost::coordinate_upstream`].

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::endpoint_gate::EndpointGate;
use super::host::{CoordinatorResponse, random};
use super::provider::Endpoints;
use super::refresh::completes_within;
use super::session_job::SessionJob;
use super::token_response::{TokenError, TokenResponse};
use super::upstream_slots::{CallerKey, Started, TokenSlots, Turn};
use super::{Client, CoordinatorOutcome, CoordinatorStore, LoginHost, ProofKey, ProofKeys, StoredText, TokenKey};
use crate::base64url;
use crate::crypto::sha256;
use crate::host::Level;
use crate::http::Reply;
use crate::io::{UnixTime, Unreachable};
use crate::json::{Document, Number, Value, push_quoted};
use crate::jwt::unverified_claims;
use crate::limits;
use crate::session::{Purpose, Sealer};
use crate::shared::Shared;
use crate::single_flight::{SingleFlight, later};
use crate::text::{concat, decimal, signed_decimal};
use crate::url::is_issuer;

/// Which token a route sends to its upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpstreamAuth {
    /// How it is obtained.
    pub(crate) grant: UpstreamGrant,
    /// The API that it is for.
    pub(crate) audience: Option<String>,
    /// The requested scopes.
    pub(crate) scope: Option<String>,
    /// The organization on whose behalf the gateway calls; Auth0 only.
    pub(crate) organization: Option<String>,
}

/// How an upstream token is obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpstreamGrant {
    /// For the gateway itself (RFC 6749 §4.4).
    ClientCredentials,
    /// For the caller's token (RFC 8693).
    Exchange,
}

/// The client that requests upstream tokens, shared by all routes of an authorizer.
#[derive(Debug)]
pub(crate) struct UpstreamClient {
    pub(crate) client: Client,
    pub(crate) issuer: String,
    /// The `iss` of its tokens, possibly with `{tenantid}`.
    pub(crate) token_issuer: String,
    pub(crate) endpoints: Endpoints,
    /// The parameter that names the audience of client credentials, and of an exchange.
    pub(crate) audience_parameters: [&'static str; 2],
    /// Seals what the shared object stores; without secrets, it stores nothing.
    pub(crate) sealer: Sealer,
    /// The pauses of the token endpoint.
    pub(crate) gate: Shared<EndpointGate>,
}

/// The upstream tokens of one audience, scope and organization, shared by all requests of an instance.
#[derive(Debug)]
pub struct UpstreamTokens {
    client: Arc<UpstreamClient>,
    auth: UpstreamAuth,
    /// The name of the object that all instances share.
    name: String,
    slots: Shared<TokenSlots>,
    /// What this instance knows as that object. It must not wait for its own requests, which may be those of the same instance.
    object: Shared<ObjectState>,
}

#[derive(Debug)]
struct ObjectState {
    flight: SingleFlight,
    outcome: Option<Result<UpstreamToken, TokenFailure>>,
}

/// The caller's token, to be exchanged.
#[derive(Clone, Copy)]
pub(crate) struct SubjectToken<'c> {
    /// The token.
    pub(crate) text: &'c str,
    /// When it expires, in seconds since 1970.
    pub(crate) expires_s: i64,
    /// The thumbprint of the key that the token of a session is bound to.
    pub(crate) jkt: Option<&'c str>,
}

/// A token with the period in which it is used.
#[derive(Clone)]
pub(super) struct UpstreamToken {
    pub(super) text: Arc<str>,
    from: UnixTime,
    pub(super) until: UnixTime,
}

/// Why there is no token.
#[derive(Debug, Clone)]
pub(crate) struct TokenFailure {
    /// Whether the provider refused the request; otherwise it is unavailable, or its response is of no use.
    is_refused: bool,
    /// Whether the endpoint as a whole is concerned, so that other callers need not try.
    pub(super) is_of_endpoint: bool,
    /// No request is made before this time.
    retry_at: Option<UnixTime>,
}

/// A started request for a token, as a job. Dropping it ends its lease.
pub(super) struct TokenRequest {
    tokens: Arc<UpstreamTokens>,
    started: Started,
    /// The caller's token, its expiry and the thumbprint of its key.
    subject: Option<(String, i64, Option<String>)>,
}

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

impl UpstreamTokens {
    pub(crate) fn new(client: &Arc<UpstreamClient>, auth: UpstreamAuth) -> Self {
        let part = |text: &str| concat(&[&decimal(text.len() as u64), ":", text]);
        let optional = |text: &Option<String>| text.as_deref().map_or_else(|| "-".into(), part);
        let parts = [
            part(&client.issuer),
            part(&client.client.id),
            optional(&auth.audience),
            optional(&auth.scope),
            optional(&auth.organization),
            // A token that is bound to another key, or to none, is none of these.
            client.client.options.proof_keys.as_ref().map(|keys| keys.current().thumbprint()).unwrap_or_default(),
        ];
        let name = base64url::encode(&sha256(parts.concat().as_bytes()));
        let object = ObjectState { flight: SingleFlight::new(limits::UPSTREAM_TOKEN_LEASE_MS), outcome: None };
        let (slots, object) = (Shared::new(TokenSlots::default()), Shared::new(object));
        Self { client: Arc::clone(client), auth, name, slots, object }
    }

    /// Returns the configuration of these tokens.
    pub(crate) fn auth(&self) -> &UpstreamAuth {
        &self.auth
    }

    /// Returns the name of the object that all instances share.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the keys of the client.
    pub(crate) fn proof_keys(&self) -> Option<&ProofKeys> {
        self.client.client.options.proof_keys.as_ref()
    }

    /// Returns the key of a token: an exchange keeps that of the caller's token, if it is one of the client.
    pub(crate) fn proof_key(&self, subject: Option<SubjectToken<'_>>) -> Option<&ProofKey> {
        let keys = self.proof_keys();
        match subject.map(|subject| TokenKey::of(keys, subject.text, subject.jkt)) {
            Some(TokenKey::Own(_, key)) => Some(key),
            _ => keys.map(ProofKeys::current),
        }
    }

    /// Returns whether a caller's token is needed.
    pub(crate) fn is_exchange(&self) -> bool {
        self.auth.grant == UpstreamGrant::Exchange
    }

    /// Returns whether the client's provider issued a token with this `iss`, so that it may be sent there.
    pub(crate) fn is_of_provider(&self, issuer: Option<&str>) -> bool {
        issuer.is_some_and(|issuer| is_issuer(&self.client.token_issuer, issuer))
    }

    /// Returns a token, from memory if possible. Concurrent requests share one request to the provider, which continues if the request
    /// that started it is cancelled. `subject`: the caller's token, for an exchange.
    pub(crate) async fn token(
        self: &Arc<Self>,
        subject: Option<SubjectToken<'_>>,
        host: &impl LoginHost,
    ) -> Result<Arc<str>, TokenFailure> {
        let key: CallerKey = subject.as_ref().map_or([0; 32], |subject| sha256(subject.text.as_bytes()));
        for _ in 0..limits::SHARED_REFRESH_TIMEOUT_MS / limits::FETCH_POLL_MS {
            let now = host.now();
            match self.with_slots(|slots, gate| slots.join(key, gate, now)) {
                Turn::Token(token) => return Ok(token),
                Turn::Paused(failure) => return Err(failure),
                Turn::Wait => host.sleep(limits::FETCH_POLL_MS).await,
                Turn::Start(started) => {
                    let subject = subject
                        .map(|subject| (subject.text.to_string(), subject.expires_s, subject.jkt.map(String::from)));
                    let request = TokenRequest { tokens: Arc::clone(self), started, subject };
                    let job = host.spawn(SessionJob::upstream(request));
                    if !completes_within(job, host.sleep(limits::SHARED_REFRESH_TIMEOUT_MS)).await {
                        break;
                    }
                }
            }
        }
        Err(TokenFailure::unavailable(None, host.now()))
    }

    fn with_slots<R>(&self, call: impl FnOnce(&mut TokenSlots, &mut EndpointGate) -> R) -> R {
        self.slots.with(|slots| self.client.gate.with(|gate| call(slots, gate)))
    }

    /// Requests a token from the object that all instances share, or from the provider if there is none or it does not respond.
    async fn obtain(
        &self,
        subject: Option<SubjectToken<'_>>,
        host: &impl LoginHost,
    ) -> Result<UpstreamToken, TokenFailure> {
        if self.is_exchange() || !host.has_coordinator() {
            return self.request(subject, host).await;
        }
        let answered = host.coordinate_upstream(self.name.clone(), limits::SHARED_REFRESH_TIMEOUT_MS).await;
        let outcome = answered.ok().and_then(|CoordinatorResponse { status, text }| match status {
            200 => self.read(&text),
            _ => None,
        });
        match outcome {
            // Its clock may be ahead: to this one, the token is usable from now on.
            Some(Ok(token)) => Ok(UpstreamToken { from: token.from.min(host.now()), ..token }),
            Some(outcome) => outcome,
            None => {
                host.log(
                    Level::Warning,
                    &"upstream_token_unshared: the Durable Object EDGEWARD_SESSIONS did not respond; the token is requested \
                      for this isolate",
                );
                self.request(subject, host).await
            }
        }
    }

    /// Handles a message to the object that all instances share, which has to handle them one after another: requests a token, or returns
    /// the one it has.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn coordinate(
        &self,
        store: &impl CoordinatorStore,
        host: &impl LoginHost,
    ) -> Result<CoordinatorOutcome, Unreachable> {
        let is_current = |outcome: &Result<UpstreamToken, TokenFailure>| outcome_until(outcome, host.now()).is_some();
        let held = match self.object.with(|object| object.outcome.clone()).filter(is_current) {
            None => self.read(&store.read().await?).filter(is_current),
            held => held,
        };
        let is_new = held.is_none();
        let outcome = match held {
            Some(outcome) => outcome,
            None => {
                let outcome = self.request(None, host).await;
                let now = host.now();
                self.object.with(|object| match outcome {
                    Ok(token) => {
                        object.flight.succeeded();
                        Ok(token)
                    }
                    Err(failure) => {
                        object.flight.failed(failure.retry_after_s(now), now);
                        Err(TokenFailure { retry_at: Some(object.flight.retry_at()), ..failure })
                    }
                })
            }
        };
        self.object.with(|object| object.outcome = Some(outcome.clone()));
        let text = self.write(&outcome, host);
        let until = outcome_until(&outcome, host.now()).filter(|_| is_new && !self.client.sealer.is_empty());
        let store = until.map(|until| StoredText { text: text.clone(), until_ms: until.millis() });
        Ok(CoordinatorOutcome { response: CoordinatorResponse { status: 200, text }, store })
    }

    /// Requests a token from the provider.
    async fn request(
        &self,
        subject: Option<SubjectToken<'_>>,
        host: &impl LoginHost,
    ) -> Result<UpstreamToken, TokenFailure> {
        let UpstreamClient { client, issuer, endpoints, audience_parameters, .. } = &*self.client;
        let provider = match endpoints.provider(issuer, host).await {
            Ok((provider, _)) => provider,
            Err(error) => {
                host.log(Level::Error, &format_args!("{UNAVAILABLE}: {}: {error}", error.code()));
                return Err(TokenFailure::unavailable(None, host.now()));
            }
        };
        let mut parameters = Vec::new();
        let [of_client, of_exchange] = *audience_parameters;
        let audience_parameter = match subject {
            None => {
                parameters.push(("grant_type", "client_credentials"));
                of_client
            }
            Some(subject) => {
                parameters.push(("grant_type", EXCHANGE));
                parameters.extend([("subject_token", subject.text), ("subject_token_type", ACCESS_TOKEN)]);
                of_exchange
            }
        };
        let UpstreamAuth { audience, scope, organization, .. } = &self.auth;
        for (name, value) in [(audience_parameter, audience), ("scope", scope), ("organization", organization)] {
            parameters.extend(value.as_deref().map(|value| (name, value)));
        }
        let former = match (self.proof_keys(), self.proof_key(subject)) {
            (Some(keys), Some(key)) => TokenKey::Own(keys, key),
            _ => TokenKey::None,
        };
        let answer = client.request_tokens(&provider, &parameters, None, former, host).await;
        let now = host.now();
        let failure = match answer {
            Ok(response) => match UpstreamToken::of(response, subject.map(|subject| subject.expires_s), now) {
                Some(token) => return Ok(token),
                None => {
                    let what = "the provider returned a token that has expired";
                    host.log(Level::Error, &format_args!("{UNAVAILABLE}: {what}: {}", provider.token_endpoint));
                    return Err(TokenFailure { is_of_endpoint: false, ..TokenFailure::unavailable(None, now) });
                }
            },
            Err(failure) => failure,
        };
        let (failure, error) = match failure {
            TokenError::Refused(error, failure) => (failure, Some(error)),
            TokenError::Unavailable { failure, .. } => (failure, None),
        };
        let status = failure.status();
        let is_of_endpoint = matches!(status, 0 | 429 | 500..)
            || error.as_ref().is_some_and(|error| matches!(error.code(), "temporarily_unavailable" | "server_error"));
        let is_refused = error.is_some() && !is_of_endpoint;
        let code = if is_refused { REFUSED } else { UNAVAILABLE };
        match error {
            Some(error) => host.log(Level::Error, &format_args!("{code}: {failure}, {error}")),
            None => host.log(Level::Error, &format_args!("{code}: {failure}")),
        }
        let retry_at = failure.retry_after_s().map(|seconds| later(now, seconds));
        Err(TokenFailure { is_refused, is_of_endpoint, retry_at })
    }

    /// Writes an outcome for the other instances, sealed if there is a secret.
    fn write(&self, outcome: &Result<UpstreamToken, TokenFailure>, host: &impl LoginHost) -> String {
        let mut json = String::new();
        match outcome {
            Ok(token) => {
                json.push_str(r#"{"token":"#);
                push_quoted(&mut json, &token.text);
                let (from, until) = (signed_decimal(token.from.millis()), signed_decimal(token.until.millis()));
                json.push_str(&concat(&[r#","from":"#, &from, r#","until":"#, &until, "}"]));
            }
            Err(failure) => {
                let retry_at = failure.retry_at.map_or(0, UnixTime::millis);
                let kind = decimal(u64::from(failure.is_refused) + 2 * u64::from(failure.is_of_endpoint));
                json.push_str(&concat(&[r#"{"failure":"#, &kind, r#","until":"#, &signed_decimal(retry_at), "}"]));
            }
        }
        let sealer = &self.client.sealer;
        if sealer.is_empty() {
            return json;
        }
        sealer.seal(Purpose::Upstream, &self.name, json.as_bytes(), &random(host)).unwrap_or_default()
    }

    /// Reads what [`write`](Self::write) wrote.
    fn read(&self, text: &str) -> Option<Result<UpstreamToken, TokenFailure>> {
        let sealer = &self.client.sealer;
        let json = if sealer.is_empty() { text.into() } else { sealer.open(Purpose::Upstream, &self.name, text)? };
        let document = Document::parse(json, 1).ok()?;
        let root = document.root();
        let number = |name| match root.get(name) {
            Some(Value::Number(Number::Unsigned(number))) => i64::try_from(number).ok(),
            _ => None,
        };
        let until = UnixTime::from_millis(number("until")?);
        Some(match root.get("token").and_then(Value::as_str) {
            Some(token) => {
                Ok(UpstreamToken { text: token.into(), from: UnixTime::from_millis(number("from")?), until })
            }
            None => {
                let kind = number("failure")?;
                Err(TokenFailure { is_refused: kind & 1 == 1, is_of_endpoint: kind & 2 == 2, retry_at: Some(until) })
            }
        })
    }
}

/// Returns until when an outcome counts; `None` if it no longer does.
fn outcome_until(outcome: &Result<UpstreamToken, TokenFailure>, now: UnixTime) -> Option<UnixTime> {
    match outcome {
        Ok(token) => token.is_fresh(now).then_some(token.until),
        Err(failure) => failure.retry_at.filter(|_| failure.retry_after_s(now).is_some()),
    }
}

impl UpstreamToken {
    #[cfg(test)]
    pub(super) fn new(text: &str, from: UnixTime, life_s: i64) -> Self {
        Self { text: text.into(), from, until: later(from, life_s) }
    }

    /// Returns the token of a response. `None` if it has expired already.
    fn of(response: TokenResponse, subject_expires_s: Option<i64>, now: UnixTime) -> Option<Self> {
        let TokenResponse { access_token, expires_in_s, .. } = response;
        // A JWT is not valid beyond its own `exp`, whatever the response states.
        let exp_s = match unverified_claims(&access_token).as_ref().and_then(|claims| claims.get("exp")) {
            Some(Value::Number(exp)) => Some((exp.as_f64() as i64).saturating_sub(now.secs())),
            _ => None,
        };
        let unstated_s = if exp_s.is_some() { i64::MAX } else { limits::ACCESS_TOKEN_DEFAULT_S };
        let stated_s = expires_in_s.unwrap_or(unstated_s).min(limits::ACCESS_TOKEN_MAX_S);
        let life_s = stated_s.min(exp_s.unwrap_or(i64::MAX)).max(0);
        // So that it is still valid when the upstream reads it.
        let margin_s = limits::REFRESH_AHEAD_S.min(life_s / 2);
        let until = later(now, life_s - margin_s);
        // RFC 8693 leaves it open, but an exchange must not prolong what the caller was granted.
        let until = subject_expires_s.map_or(until, |expires_s| until.min(UnixTime::from_secs(expires_s)));
        (until > now).then(|| Self { text: access_token.into(), from: now, until })
    }

    /// Returns whether the token may be used. If the clock went back it may not, lest it be used too long.
    pub(super) fn is_fresh(&self, now: UnixTime) -> bool {
        (self.from..self.until).contains(&now)
    }
}

const REFUSED: &str = "upstream_token_refused";
const UNAVAILABLE: &str = "upstream_token_unavailable";

impl TokenFailure {
    /// A failure of the endpoint.
    pub(super) fn unavailable(retry_after_s: Option<i64>, now: UnixTime) -> Self {
        Self { is_refused: false, is_of_endpoint: true, retry_at: retry_after_s.map(|seconds| later(now, seconds)) }
    }

    /// Returns the failure that is the reason of a pause, with the end of the pause.
    pub(super) fn until(failure: Option<&Self>, retry_at: UnixTime) -> Self {
        Self {
            is_refused: failure.is_some_and(|failure| failure.is_refused),
            is_of_endpoint: failure.is_none_or(|failure| failure.is_of_endpoint),
            retry_at: Some(retry_at),
        }
    }

    /// Returns the seconds until a request may be made again, rounded up; `None` if one may be made now.
    pub(super) fn retry_after_s(&self, now: UnixTime) -> Option<i64> {
        let left_ms = self.retry_at?.millis().saturating_sub(now.millis());
        (left_ms > 0).then(|| left_ms.saturating_add(999) / 1000).map(|left_s| left_s.min(limits::RETRY_AFTER_MAX_S))
    }

    /// Returns the response to a request that needed the token.
    pub(crate) fn reply(&self, now: UnixTime) -> Reply {
        if self.is_refused {
            return Reply::problem(502, REFUSED, "The provider refused to issue a token for the upstream.");
        }
        let retry_after_s = self.retry_after_s(now).unwrap_or(1).unsigned_abs();
        Reply::problem(503, UNAVAILABLE, "The provider issued no token for the upstream. Try again later.")
            .with("retry-after", decimal(retry_after_s))
    }
}

impl TokenRequest {
    /// Requests the token and records the outcome.
    pub(super) async fn run(self, host: &impl LoginHost) {
        let subject = self.subject.as_ref().map(|(text, expires_s, jkt)| SubjectToken {
            text,
            expires_s: *expires_s,
            jkt: jkt.as_deref(),
        });
        let outcome = self.tokens.obtain(subject, host).await;
        let now = host.now();
        self.tokens.with_slots(|slots, gate| slots.complete(&self.started, outcome, gate, now));
    }
}

impl Drop for TokenRequest {
    fn drop(&mut self) {
        self.tokens.with_slots(|slots, gate| slots.release(&self.started, gate));
    }
}

impl core::fmt::Debug for UpstreamToken {
    /// Redacts the token.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("UpstreamToken").field("until", &self.until).finish_non_exhaustive()
    }
}
