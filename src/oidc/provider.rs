//! The provider's endpoints: fixed for Auth0, discovered for others (OpenID Connect Discovery, RFC 8414).

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::io::{Incoming, Outgoing, UnixTime, Unreachable};
use crate::json::{Document, Value};
use crate::limits;
use crate::single_flight::SingleFlight;
use crate::url;

/// Where the provider does what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// The issuer, as ID tokens name it.
    pub issuer: String,
    /// Where people log in.
    pub authorization_endpoint: String,
    /// Where codes and refresh tokens are exchanged.
    pub token_endpoint: String,
    /// Claims about the user.
    pub userinfo_endpoint: Option<String>,
    /// RP-initiated logout.
    pub end_session_endpoint: Option<String>,
    /// Auth0's own logout, with `returnTo`.
    pub auth0_logout: Option<String>,
    /// Token revocation (RFC 7009).
    pub revocation_endpoint: Option<String>,
    /// Whether callbacks must carry `iss` (RFC 9207).
    pub sends_iss: bool,
}

/// Why the endpoints are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProviderError {
    /// The discovery document could not be fetched.
    Unreachable,
    /// It is not JSON or lacks an acceptable endpoint.
    Invalid,
    /// It is another issuer's.
    IssuerMismatch,
}

impl ProviderError {
    /// The stable name of this error.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "discovery_unreachable",
            Self::Invalid => "discovery_invalid",
            Self::IssuerMismatch => "discovery_issuer_mismatch",
        }
    }
}

impl Provider {
    /// Auth0's endpoints below `https://{domain}/`.
    #[must_use]
    pub fn auth0(issuer: &str) -> Self {
        let at = |path: &str| format!("{issuer}{path}");
        Self {
            issuer: issuer.into(),
            authorization_endpoint: at("authorize"),
            token_endpoint: at("oauth/token"),
            userinfo_endpoint: Some(at("userinfo")),
            end_session_endpoint: None,
            auth0_logout: Some(at("v2/logout")),
            revocation_endpoint: Some(at("oauth/revoke")),
            sends_iss: false,
        }
    }

    fn from_discovery(issuer: &str, reply: Result<&Incoming, &Unreachable>) -> Result<Self, ProviderError> {
        let reply = reply.ok().filter(|reply| reply.status == 200).ok_or(ProviderError::Unreachable)?;
        if !reply.is_json() || reply.body.len() > limits::MAX_PROVIDER_BODY_BYTES {
            return Err(ProviderError::Invalid);
        }
        let document =
            Document::parse(reply.body.clone(), limits::MAX_CLAIMS_DEPTH).map_err(|_| ProviderError::Invalid)?;
        let root = document.root();
        let text = |name| root.get(name).and_then(Value::as_str);
        if text("issuer") != Some(issuer) {
            return Err(ProviderError::IssuerMismatch);
        }
        // Codes, secrets and tokens go to these: https, or http where the issuer is on this machine too.
        let endpoint = |name| text(name).filter(|uri| url::may_serve_keys(uri, issuer)).map(String::from);
        Ok(Self {
            issuer: issuer.into(),
            authorization_endpoint: endpoint("authorization_endpoint").ok_or(ProviderError::Invalid)?,
            token_endpoint: endpoint("token_endpoint").ok_or(ProviderError::Invalid)?,
            userinfo_endpoint: endpoint("userinfo_endpoint"),
            end_session_endpoint: endpoint("end_session_endpoint"),
            auth0_logout: None,
            revocation_endpoint: endpoint("revocation_endpoint"),
            sends_iss: matches!(root.get("authorization_response_iss_parameter_supported"), Some(Value::Bool(true))),
        })
    }
}

/// The endpoints, kept current. Like the key cache: it says what to fetch, and fetches nothing itself; of many requests that
/// need the endpoints at once, one fetches.
#[derive(Debug)]
pub struct ProviderCache {
    issuer: String,
    is_fixed: bool,
    held: Option<(Arc<Provider>, UnixTime)>,
    flight: SingleFlight,
    last_error: ProviderError,
}

/// Answer of [`ProviderCache::find`].
#[derive(Debug)]
pub enum ProviderLookup {
    /// The endpoints.
    Known(Arc<Provider>),
    /// Send the permit's request and [`store`](ProviderCache::store) the answer.
    Fetch(ProviderPermit),
    /// Another request is fetching. Look again in [`limits::FETCH_POLL_MS`].
    Wait,
    /// Not known, and it is too early to ask again.
    Unavailable(ProviderError),
}

/// The right to fetch the discovery document once.
#[derive(Debug)]
pub struct ProviderPermit {
    number: u64,
    request: Outgoing,
    /// Whether the request has failed once and was sent again.
    is_repeated: bool,
}

impl ProviderPermit {
    /// What to send.
    #[must_use]
    pub fn request(&self) -> &Outgoing {
        &self.request
    }
}

impl ProviderCache {
    /// Endpoints that never change.
    #[must_use]
    pub fn fixed(provider: Provider) -> Self {
        let issuer = provider.issuer.clone();
        let always = UnixTime::from_millis(0);
        Self { is_fixed: true, held: Some((Arc::new(provider), always)), ..Self::discovering(issuer) }
    }

    /// Endpoints that the issuer's discovery document names.
    #[must_use]
    pub fn discovering(issuer: String) -> Self {
        Self {
            issuer,
            is_fixed: false,
            held: None,
            flight: SingleFlight::new(limits::DISCOVERY_LEASE_MS),
            last_error: ProviderError::Unreachable,
        }
    }

    /// The endpoints, or how to come by them. `may_fetch` is false once this request has fetched.
    pub fn find(&mut self, now: UnixTime, may_fetch: bool) -> ProviderLookup {
        let age_s = |at: UnixTime| now.secs().saturating_sub(at.secs());
        let held = self
            .held
            .as_ref()
            .filter(|(_, at)| self.is_fixed || (0..limits::JWKS_STALE_ON_ERROR_S).contains(&age_s(*at)));
        let is_fresh = held.is_some_and(|(_, at)| self.is_fixed || age_s(*at) < limits::DISCOVERY_FRESH_S);
        let may_fetch = may_fetch && self.flight.may_begin(now);
        match held {
            // Fetching failed, or is under way: the last good document serves.
            Some((provider, _)) if is_fresh || !may_fetch => ProviderLookup::Known(Arc::clone(provider)),
            _ if may_fetch => ProviderLookup::Fetch(ProviderPermit {
                number: self.flight.begin(now),
                request: Outgoing {
                    method: "GET",
                    url: format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/')),
                    headers: Vec::from([("accept", "application/json".into())]),
                    body: None,
                    timeout_ms: limits::FETCH_TIMEOUT_MS,
                    max_body_bytes: limits::MAX_PROVIDER_BODY_BYTES,
                },
                is_repeated: false,
            }),
            _ if self.flight.is_leased(now) => ProviderLookup::Wait,
            _ => ProviderLookup::Unavailable(self.last_error),
        }
    }

    /// Takes the answer to a permit's request. Returns the permit if the network failed and the request is to be sent once more,
    /// at once.
    #[must_use]
    pub fn store(
        &mut self,
        permit: ProviderPermit,
        reply: Result<Incoming, Unreachable>,
        now: UnixTime,
    ) -> Option<ProviderPermit> {
        if matches!(reply, Err(Unreachable::Network)) && !permit.is_repeated {
            self.flight.extend(permit.number, now);
            return Some(ProviderPermit { is_repeated: true, ..permit });
        }
        self.flight.release(permit.number);
        match Provider::from_discovery(&self.issuer, reply.as_ref()) {
            Ok(provider) => {
                self.flight.succeeded();
                self.held = Some((Arc::new(provider), now));
            }
            Err(error) => {
                let retry_after_s = reply.ok().and_then(|reply| reply.retry_after_s());
                self.flight.failed(retry_after_s, now);
                self.last_error = error;
            }
        }
        None
    }
}
