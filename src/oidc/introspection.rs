//! Opaque access tokens: what the provider says of them (RFC 7662), in JSON or as a signed JWT (RFC 9701).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::endpoint_gate::{Attempt, EndpointGate};
use super::provider::is_basic_at;
use super::token_response::{json_object, jwt_text};
use super::{Client, LoginHost};
use crate::base64url;
use crate::crypto::sha256;
use crate::discovery::MetadataCache;
use crate::error::{TokenKind, VerifyError};
use crate::host::Level;
use crate::io::{Incoming, described, is_within, retry_after_s, status_of};
use crate::json::{Document, Object, Value};
use crate::jwk::{KeyCache, KeyJob};
use crate::jwt::{Access, Id, Policy, UnconfirmedToken};
use crate::limits;
use crate::shared::Shared;
use crate::text::concat;
use crate::text_cache::TextCache;
use crate::verifier::{VerificationError, Verifier};

/// Asks the provider about opaque tokens, and checks its answers like the claims of signed ones.
#[derive(Debug)]
pub(crate) struct Introspection {
    /// The client that asks.
    pub(crate) client: Client,
    /// The endpoint, if it is configured.
    pub(crate) endpoint: Option<String>,
    /// Names the endpoint otherwise.
    pub(crate) metadata: Arc<MetadataCache>,
    /// Verifies signed answers.
    pub(crate) keys: Arc<KeyCache>,
    /// The policy of signed answers.
    pub(crate) answers: Policy<Id>,
    /// Whether answers must be signed.
    pub(crate) is_signed: bool,
    /// Has the policy of the tokens, its first.
    pub(crate) tokens: Arc<Verifier>,
    /// How long an answer counts, in milliseconds.
    pub(crate) cache_ms: i64,
    pub(crate) cache: IntrospectionCache,
}

/// Why an opaque token is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IntrospectionError {
    /// The provider says that it is not active.
    Inactive,
    /// What the provider says of it breaks a rule of the policy.
    Refused(VerifyError),
    /// The provider gave no usable answer, or is not asked for so many seconds.
    Unavailable { retry_after_s: i64 },
}

const UNAVAILABLE: IntrospectionError = IntrospectionError::Unavailable { retry_after_s: 1 };

/// The latest answers, by the hash of the token. Under a policy of its own for each gateway.
pub(crate) struct IntrospectionCache(Shared<Cache>);

struct Cache {
    active: TextCache<Answer>,
    /// Active tokens with large answers: few, which bounds the memory.
    large: TextCache<Answer>,
    /// Refusals: anyone can cause them, and they must not evict tokens that are active.
    refused: TextCache<Answer>,
    /// When the newest request that is under way asked, in milliseconds. Anyone can cause those, too.
    asking: TextCache<i64>,
    /// The pauses of the endpoint.
    gate: EndpointGate,
}

#[derive(Clone)]
struct Answer {
    /// When the provider was asked, in milliseconds.
    asked_ms: i64,
    /// When the outcome was there: a pause begins with it, not with the request, which may have taken longer.
    ended_ms: i64,
    outcome: Outcome,
}

type Outcome = Result<UnconfirmedToken<Access>, IntrospectionError>;

impl Default for IntrospectionCache {
    fn default() -> Self {
        let cache = |entries| TextCache::new(entries, usize::MAX);
        Self(Shared::new(Cache {
            active: cache(limits::TOKEN_CACHE_ENTRIES),
            large: cache(limits::INTROSPECTION_LARGE_ENTRIES),
            refused: cache(limits::TOKEN_CACHE_ENTRIES),
            asking: TextCache::new(limits::TOKEN_CACHE_ENTRIES, usize::MAX),
            gate: EndpointGate::default(),
        }))
    }
}

impl Cache {
    fn find(&self, key: &str) -> Option<&Answer> {
        [&self.active, &self.large, &self.refused].into_iter().find_map(|answers| answers.find(key))
    }

    /// Stores an answer in place of an older one, and ends the wait for it.
    fn insert(&mut self, key: &str, answer: Answer) {
        if self.asking.find(key) == Some(&answer.asked_ms) {
            self.asking.remove(key);
        }
        if self.find(key).is_some_and(|other| other.asked_ms > answer.asked_ms) {
            return;
        }
        for answers in [&mut self.active, &mut self.large, &mut self.refused] {
            answers.remove(key);
        }
        let answers = match &answer.outcome {
            Ok(token) if token.verified().claims().as_json().len() > limits::TOKEN_CACHE_MAX_TOKEN_BYTES => {
                &mut self.large
            }
            Ok(_) => &mut self.active,
            Err(_) => &mut self.refused,
        };
        answers.insert(key, answer);
    }
}

impl core::fmt::Debug for IntrospectionCache {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("IntrospectionCache").finish_non_exhaustive()
    }
}

/// Returns whether a token is not even in the form of a JWT, signed or encrypted.
pub(crate) fn is_opaque(token: &str) -> bool {
    !matches!(token.bytes().filter(|&byte| byte == b'.').count(), 2 | 4)
}

impl Introspection {
    /// Returns what the provider says of an opaque token: at most [`cache_ms`](Self::cache_ms) ago, or since this call. One request asks
    /// for all, unless it takes longer than its lease. While the endpoint fails, one request at a time tries it, and no other waits.
    pub(crate) async fn verify(&self, token: &str, host: &impl LoginHost) -> Outcome {
        if token.len() > limits::MAX_TOKEN_BYTES {
            return Err(IntrospectionError::Refused(VerifyError::TokenTooLarge { bytes: token.len() }));
        }
        let key = base64url::encode(&sha256(token.as_bytes()));
        let (started_ms, mut has_waited) = (host.now().millis(), false);
        for _ in 0..limits::MAX_POLLS {
            let now = host.now();
            let now_ms = now.millis();
            let turn = self.cache.0.with(|cache| {
                // A slow answer, or one that is not cached, still counts for the requests that have waited for it.
                let counts = |answer: &&Answer| {
                    has_waited && (started_ms..=now_ms).contains(&answer.asked_ms)
                        || answer.is_fresh(self.cache_ms, now_ms)
                };
                if let Some(answer) = cache.find(&key).filter(counts) {
                    return Turn::Answered(answer.outcome.clone());
                }
                if let Some(retry_after_s) = cache.gate.closed_s(now) {
                    return Turn::Answered(Err(IntrospectionError::Unavailable { retry_after_s }));
                }
                let is_leased = |at_ms: &i64| is_within(limits::FETCH_LEASE_MS, *at_ms, now_ms);
                // One that has waited for two others does not begin to wait as long as an attempt takes.
                let has_waited_long = now_ms.saturating_sub(started_ms) >= 2 * limits::FETCH_LEASE_MS;
                if has_waited_long || cache.asking.find(&key).is_some_and(is_leased) {
                    return Turn::Wait;
                }
                cache.asking.insert(&key, now_ms);
                // It is not closed.
                let probe = cache.gate.begin(now).unwrap_or_default();
                Turn::Ask(Asking { cache: &self.cache, probe })
            });
            match turn {
                Turn::Wait => {
                    has_waited = true;
                    host.sleep(limits::FETCH_POLL_MS).await;
                }
                Turn::Answered(outcome) => {
                    let verified = outcome?;
                    self.tokens.recheck(&verified, now).map_err(IntrospectionError::Refused)?;
                    return Ok(verified);
                }
                Turn::Ask(asking) => {
                    let outcome = self.ask(token, asking.probe, host).await;
                    let answer = Answer { asked_ms: now_ms, ended_ms: host.now().millis(), outcome: outcome.clone() };
                    self.cache.0.with(|cache| cache.insert(&key, answer));
                    return outcome;
                }
            }
        }
        Err(UNAVAILABLE)
    }

    async fn ask(&self, token: &str, probe: Option<u64>, host: &impl LoginHost) -> Outcome {
        let document = self.answer(token, probe, host).await?;
        match document.root().get("active") {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => return Err(IntrospectionError::Inactive),
            _ => {
                unusable("the answer lacks active", host);
                return Err(UNAVAILABLE);
            }
        }
        let is_access = is_access_token(document.root());
        let verified = self.tokens.verify_introspected(document, host.now()).map_err(IntrospectionError::Refused)?;
        let mismatch = VerifyError::TokenKindMismatch { expected: TokenKind::Access, actual: None };
        if is_access { Ok(verified) } else { Err(IntrospectionError::Refused(mismatch)) }
    }

    /// Requests the provider's answer (RFC 7662 §2). If there is none that can be used, it is logged. `probe`: of the gate.
    async fn answer(
        &self,
        token: &str,
        probe: Option<u64>,
        host: &impl LoginHost,
    ) -> Result<Document, IntrospectionError> {
        let (endpoint, is_basic) = self.endpoint(host).await.ok_or(UNAVAILABLE)?;
        let parameters = [("token", token), ("token_type_hint", "access_token")];
        let accept = if self.is_signed { JWT } else { JSON_OR_JWT };
        // RFC 7662 §2.3: these refuse the client, so the next secret is tried.
        let refuses_client = |answer: &Incoming| matches!(answer.status, 400 | 401);
        let (issuer, accept) = (self.keys.issuer(), (None, accept, None));
        let answer =
            self.client.send_for(issuer, &endpoint, is_basic, &parameters, accept, &refuses_client, host).await;
        let status = status_of(&answer);
        let attempt = Attempt::of(status, retry_after_s(&answer, host.now()));
        let pause_s = self.cache.0.with(|cache| {
            cache.gate.end(probe, attempt, host.now());
            cache.gate.pause_s(host.now())
        });
        let Some(answer) =
            answer.ok().filter(|one| one.status == 200 && one.body.len() <= limits::MAX_PROVIDER_BODY_BYTES)
        else {
            unusable(&described(&endpoint, status), host);
            return Err(match attempt {
                Attempt::Failed { .. } => IntrospectionError::Unavailable { retry_after_s: pause_s },
                Attempt::Answered => UNAVAILABLE,
            });
        };
        let document = match jwt_text(&answer, JWT) {
            Some(jwt) => json_object(&self.verify_answer(jwt, host).await.ok_or(UNAVAILABLE)?),
            None if self.is_signed => {
                unusable("the answer is not signed", host);
                return Err(UNAVAILABLE);
            }
            None => json_object(&answer.body),
        };
        document.ok_or_else(|| {
            unusable("the answer is no JSON object", host);
            UNAVAILABLE
        })
    }

    /// Returns the endpoint, and whether the client authenticates there with a header.
    async fn endpoint(&self, host: &impl LoginHost) -> Option<(String, bool)> {
        let is_basic = self.client.is_basic();
        if let Some(endpoint) = &self.endpoint {
            return Some((endpoint.clone(), is_basic));
        }
        let fetch = |permit| host.spawn(KeyJob::discover(permit));
        let metadata = self.metadata.get(host, fetch).await.ok()?;
        let name = "introspection_endpoint";
        let alias = if self.client.has_certificate() { metadata.mtls_url(name) } else { None };
        let Some(endpoint) = alias.or_else(|| metadata.url(name)) else {
            unusable("the discovery document names no introspection_endpoint", host);
            return None;
        };
        let stated = is_basic_at(&metadata, "introspection_endpoint_auth_methods_supported");
        Some((endpoint.into(), stated.unwrap_or(is_basic)))
    }

    /// Verifies a signed answer (RFC 9701 §5), and returns the object in it.
    async fn verify_answer(&self, jwt: &str, host: &impl LoginHost) -> Option<Vec<u8>> {
        match self.keys.verify(&self.answers, jwt, host).await {
            Ok(verified) => {
                let answer = verified.claims().get("token_introspection");
                let answer = answer.filter(|answer| answer.as_object().is_some());
                if answer.is_none() {
                    unusable("the answer lacks token_introspection", host);
                }
                answer.map(|answer| answer.to_json().into_bytes())
            }
            Err(VerificationError::Unavailable(_)) => None,
            Err(VerificationError::Refused(error)) => {
                unusable(&concat(&["the signed answer was refused: ", error.code()]), host);
                None
            }
        }
    }
}

/// What a request does next.
enum Turn<'c> {
    Answered(Outcome),
    Wait,
    Ask(Asking<'c>),
}

/// A request to the endpoint. Dropping it lets another one try, if this one was to and has no outcome.
struct Asking<'c> {
    cache: &'c IntrospectionCache,
    probe: Option<u64>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.cache.0.with(|cache| cache.gate.release(self.probe));
    }
}

impl Answer {
    fn is_fresh(&self, cache_ms: i64, now_ms: i64) -> bool {
        if matches!(self.outcome, Err(IntrospectionError::Unavailable { .. })) {
            return is_within(limits::INTROSPECTION_PAUSE_MS, self.ended_ms, now_ms);
        }
        let lifetime_ms = match &self.outcome {
            // RFC 7662 §4: not beyond `exp`, whatever the difference of the clocks.
            Ok(token) if token.verified().expires_at() * 1000.0 <= now_ms as f64 => 0,
            Ok(_) => cache_ms,
            Err(_) => cache_ms.min(limits::INTROSPECTION_REFUSED_MS),
        };
        is_within(lifetime_ms, self.asked_ms, now_ms)
    }
}

/// The media type of a signed answer.
const JWT: &str = "application/token-introspection+jwt";

const JSON_OR_JWT: &str = "application/json, application/token-introspection+jwt;q=0.5";

/// Returns whether an answer is about an access token: refresh tokens can be active, too.
fn is_access_token(answer: Object<'_>) -> bool {
    let text = |name| answer.get(name).and_then(Value::as_str);
    let is_known = match text("token_type") {
        Some(kind) if kind.eq_ignore_ascii_case("DPoP") => answer.get("cnf").is_some(),
        Some(kind) => ["Bearer", "access_token"].iter().any(|one| kind.eq_ignore_ascii_case(one)),
        None => true,
    };
    is_known && !text("token_use").is_some_and(|usage| usage.to_ascii_lowercase().starts_with("refresh"))
}

fn unusable(why: &str, host: &impl LoginHost) {
    host.log(Level::Warning, &concat(&["introspection_unavailable: ", why]));
}
