//! Fetching a key set, sans-IO: a [`Permit`] says what to ask, takes the answer, and asks again until it is done.
//!
//! The way is: edge cache → (discovery) → JWKS. Whatever comes back is checked the same way, from wherever it came. A network
//! error is answered by asking once more, at once; that is still the same fetch.

use alloc::string::String;
use alloc::vec::Vec;

use super::{InvalidJwkSet, JwkSet, KeySource};
use crate::base64url;
use crate::crypto::sha256;
use crate::io::{Incoming, Outgoing, UnixTime, Unreachable};
use crate::json::{Document, Number, Value, quote};
use crate::limits;
use crate::single_flight::later;
use crate::text::{concat, decimal, signed_decimal};
use crate::url;

/// Why no key set could be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeysError {
    /// The JWKS could not be fetched: no answer, or a status other than 200.
    JwksUnreachable,
    /// The JWKS is not a JSON key set.
    JwksInvalid,
    /// The JWKS has no key that can verify a signature.
    JwksNoUsableKey,
    /// The discovery document could not be fetched.
    DiscoveryUnreachable,
    /// The discovery document is not JSON or names no acceptable `jwks_uri`.
    DiscoveryInvalid,
    /// The discovery document is another issuer's.
    DiscoveryIssuerMismatch,
}

impl KeysError {
    /// The stable name of this error.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::JwksUnreachable => "jwks_unreachable",
            Self::JwksInvalid => "jwks_invalid",
            Self::JwksNoUsableKey => "jwks_no_usable_key",
            Self::DiscoveryUnreachable => "discovery_unreachable",
            Self::DiscoveryInvalid => "discovery_invalid",
            Self::DiscoveryIssuerMismatch => "discovery_issuer_mismatch",
        }
    }
}

impl KeysError {
    /// What is wrong, for people.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::JwksUnreachable => "the issuer's key set cannot be fetched",
            Self::JwksInvalid => "the issuer's key set is not a valid JWKS document",
            Self::JwksNoUsableKey => "the issuer's key set has no usable key",
            Self::DiscoveryUnreachable => "the issuer's discovery document cannot be fetched",
            Self::DiscoveryInvalid => "the issuer's discovery document is not valid",
            Self::DiscoveryIssuerMismatch => "the discovery document names another issuer than the configured one",
        }
    }
}

impl core::fmt::Display for KeysError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.message())
    }
}

impl core::error::Error for KeysError {}

/// The right to fetch a key set once. Only [`KeyCache`](super::KeyCache) hands them out, and it keeps count.
#[derive(Debug)]
pub struct Permit {
    pub(super) sequence: u64,
    pub(super) issuer: String,
    pub(super) source: KeySource,
    /// The `jwks_uri` that an earlier discovery found.
    pub(super) known_uri: Option<String>,
    pub(super) max_modulus_bits: usize,
    pub(super) reason: Reason,
    /// When the set that the cache holds was fetched.
    pub(super) held_since: Option<UnixTime>,
    pub(super) stage: Stage,
    /// Whether the request of this stage has failed once and was sent again.
    pub(super) is_repeated: bool,
    /// An edge entry past its freshness, good if the provider turns out to be unreachable.
    pub(super) fallback: Option<(JwkSet, Validity)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// There is no set, or it is no longer fresh.
    Load,
    /// The set has no key of this id.
    UnknownKid(String),
}

#[derive(Debug, Clone)]
pub(super) enum Stage {
    Edge,
    Discovery { well_known: WellKnown },
    Jwks { uri: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WellKnown {
    OpenIdConfiguration,
    OauthAuthorizationServer,
}

/// When a set was fetched and until when it is fresh.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validity {
    pub(super) fetched_at: UnixTime,
    pub(super) fresh_until: UnixTime,
}

/// What the shell shall do next.
#[derive(Debug)]
pub enum Ask {
    /// Look this key up in the edge cache; without one, answer `None`.
    Edge {
        /// A URL, as edge caches want.
        key: String,
    },
    /// Send this.
    Http(Outgoing),
}

/// What came of it.
#[derive(Debug)]
pub enum Answer {
    /// The value stored under the key.
    Edge(Option<Vec<u8>>),
    /// The provider's answer.
    Http(Result<Incoming, Unreachable>),
}

/// Where a fetch stands after an answer.
#[derive(Debug)]
pub enum Progress {
    /// Ask again.
    Again(Permit),
    /// Over. Give it to [`KeyCache::store`](super::KeyCache::store).
    Finished(Fetched),
}

/// The outcome of a fetch.
#[derive(Debug)]
pub struct Fetched {
    pub(super) sequence: u64,
    pub(super) outcome: Result<(JwkSet, Validity), KeysError>,
    /// Why the provider gave no keys, also when an older set serves instead.
    pub(super) failure: Option<KeysError>,
    pub(super) discovered: Option<String>,
    pub(super) retry_after_s: Option<i64>,
    pub(super) from_network: bool,
    /// For the edge cache, so that other isolates need not fetch.
    pub edge: Option<EdgeEntry>,
}

/// A value for the edge cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeEntry {
    /// The key, a URL.
    pub key: String,
    /// The value.
    pub value: String,
    /// How long the cache may keep it, in seconds.
    pub max_age_s: i64,
}

impl Fetched {
    /// Whether the provider was asked, so that this counts as one of a request's fetches.
    #[must_use]
    pub fn asked_provider(&self) -> bool {
        self.from_network
    }
}

impl Permit {
    /// What the shell shall do.
    #[must_use]
    pub fn ask(&self) -> Ask {
        let get = |url| {
            Ask::Http(Outgoing {
                method: "GET",
                url,
                headers: Vec::from([("accept", "application/json".into())]),
                body: None,
                timeout_ms: limits::FETCH_TIMEOUT_MS,
                max_body_bytes: limits::MAX_PROVIDER_BODY_BYTES,
            })
        };
        match &self.stage {
            Stage::Edge => Ask::Edge { key: self.edge_key() },
            Stage::Discovery { well_known } => get(well_known.url(&self.issuer)),
            Stage::Jwks { uri } => get(uri.clone()),
        }
    }

    /// Takes the answer to [`ask`](Self::ask).
    #[must_use]
    pub fn answer(mut self, answer: Answer, now: UnixTime) -> Progress {
        let is_network_error = matches!(answer, Answer::Http(Err(Unreachable::Network)));
        self.is_repeated = is_network_error && !self.is_repeated;
        if self.is_repeated {
            // One reset connection must not refuse everybody for the time of a pause.
            return Progress::Again(self);
        }
        match (self.stage.clone(), answer) {
            (Stage::Edge, Answer::Edge(value)) => {
                let entry = value.and_then(|value| self.open_edge_entry(value, now));
                match entry {
                    Some((set, validity)) if self.is_satisfied_by(&set, validity, now) => {
                        return Progress::Finished(Fetched {
                            from_network: false,
                            outcome: Ok((set, validity)),
                            ..self.empty()
                        });
                    }
                    other => self.fallback = other,
                }
                self.stage = match (&self.source, &self.known_uri) {
                    (KeySource::Uri(uri), _) | (KeySource::Discovery, Some(uri)) => Stage::Jwks { uri: uri.clone() },
                    (KeySource::Discovery, None) => Stage::Discovery { well_known: WellKnown::OpenIdConfiguration },
                };
                Progress::Again(self)
            }
            (Stage::Discovery { well_known }, Answer::Http(reply)) => match self.read_discovery(reply.as_ref()) {
                Ok(uri) => {
                    self.stage = Stage::Jwks { uri };
                    Progress::Again(self)
                }
                Err(KeysError::DiscoveryUnreachable)
                    if well_known == WellKnown::OpenIdConfiguration
                        && reply.as_ref().is_ok_and(|reply| reply.status == 404) =>
                {
                    self.stage = Stage::Discovery { well_known: WellKnown::OauthAuthorizationServer };
                    Progress::Again(self)
                }
                Err(error) => self.failed(error, reply.ok()),
            },
            (Stage::Jwks { uri }, Answer::Http(reply)) => match self.read_jwks(reply.as_ref(), now) {
                Ok((set, validity, text)) => {
                    let edge = self.seal_edge_entry(&text, validity);
                    Progress::Finished(Fetched {
                        outcome: Ok((set, validity)),
                        discovered: Some(uri),
                        edge: Some(edge),
                        ..self.empty()
                    })
                }
                Err(error) => self.failed(error, reply.ok()),
            },
            // An answer to another question than was asked: the shell is broken. Nothing is learnt.
            (_, _) => self.failed(KeysError::JwksUnreachable, None),
        }
    }

    /// Gives up, as when the shell cannot do what was asked.
    #[must_use]
    pub fn abandon(self) -> Fetched {
        Fetched { failure: Some(KeysError::JwksUnreachable), ..self.empty() }
    }

    fn empty(&self) -> Fetched {
        Fetched {
            sequence: self.sequence,
            outcome: Err(KeysError::JwksUnreachable),
            failure: None,
            discovered: None,
            retry_after_s: None,
            from_network: true,
            edge: None,
        }
    }

    fn failed(mut self, error: KeysError, reply: Option<Incoming>) -> Progress {
        let outcome = match (self.fallback.take(), self.held_since) {
            // Better an older set that was good than none; but never instead of a newer one.
            (Some((set, validity)), None) => Ok((set, validity)),
            _ => Err(error),
        };
        let retry_after_s = reply.and_then(|reply| reply.retry_after_s());
        Progress::Finished(Fetched { outcome, failure: Some(error), retry_after_s, ..self.empty() })
    }

    fn read_discovery(&self, reply: Result<&Incoming, &Unreachable>) -> Result<String, KeysError> {
        let reply = reply.ok().filter(|reply| reply.status == 200).ok_or(KeysError::DiscoveryUnreachable)?;
        if !reply.is_json() || reply.body.len() > limits::MAX_PROVIDER_BODY_BYTES {
            return Err(KeysError::DiscoveryInvalid);
        }
        let document = Document::parse(reply.body.clone(), limits::MAX_CLAIMS_DEPTH);
        let document = document.map_err(|_| KeysError::DiscoveryInvalid)?;
        let text = |name| document.root().get(name).and_then(Value::as_str).ok_or(KeysError::DiscoveryInvalid);
        // OpenID Connect Discovery §4.3, RFC 8414 §3.3: exactly the issuer that was asked.
        if text("issuer")? != self.issuer {
            return Err(KeysError::DiscoveryIssuerMismatch);
        }
        let uri = text("jwks_uri")?;
        if !url::may_serve_keys(uri, &self.issuer) {
            return Err(KeysError::DiscoveryInvalid);
        }
        Ok(uri.into())
    }

    fn read_jwks(
        &self,
        reply: Result<&Incoming, &Unreachable>,
        now: UnixTime,
    ) -> Result<(JwkSet, Validity, String), KeysError> {
        let reply = reply.ok().filter(|reply| reply.status == 200).ok_or(KeysError::JwksUnreachable)?;
        if !reply.is_json() {
            return Err(KeysError::JwksInvalid);
        }
        let set = JwkSet::parse_with(&reply.body, self.max_modulus_bits)?;
        let fresh_for = reply
            .fresh_for_s()
            .unwrap_or(limits::JWKS_FRESH_DEFAULT_S)
            .clamp(limits::JWKS_FRESH_MIN_S, limits::JWKS_FRESH_MAX_S);
        let validity = Validity { fetched_at: now, fresh_until: later(now, fresh_for) };
        // `parse_with` accepted it, so it is UTF-8.
        let text = String::from_utf8(reply.body.clone()).map_err(|_| KeysError::JwksInvalid)?;
        Ok((set, validity, text))
    }

    fn is_satisfied_by(&self, set: &JwkSet, validity: Validity, now: UnixTime) -> bool {
        let newer = self.held_since.is_none_or(|held| validity.fetched_at > held);
        newer
            && now < validity.fresh_until
            && match &self.reason {
                Reason::Load => true,
                Reason::UnknownKid(kid) => {
                    set.keys().any(|key| key.kid() == Some(kid))
                        || now < later(validity.fetched_at, limits::UNKNOWN_KID_COOLDOWN_S)
                }
            }
    }

    /// The edge cache's key for this set: a URL on a host that cannot exist, so that no request can address it.
    fn edge_key(&self) -> String {
        let uri = match &self.source {
            KeySource::Uri(uri) => uri.as_str(),
            KeySource::Discovery => "",
        };
        let name = concat(&[&decimal(self.issuer.len() as u64), ":", &self.issuer, uri]);
        concat(&["https://keys.edgeward.invalid/v1/", &base64url::encode(&sha256(name.as_bytes()))])
    }

    fn seal_edge_entry(&self, text: &str, validity: Validity) -> EdgeEntry {
        EdgeEntry {
            key: self.edge_key(),
            value: concat(&[
                r#"{"issuer":"#,
                &quote(&self.issuer),
                r#","fetched_at":"#,
                &signed_decimal(validity.fetched_at.millis()),
                r#","fresh_until":"#,
                &signed_decimal(validity.fresh_until.millis()),
                r#","jwks":"#,
                &quote(text),
                "}",
            ]),
            max_age_s: limits::JWKS_STALE_ON_ERROR_S,
        }
    }

    /// Reads an edge entry with the checks of a fetched one: what is in the cache is not trusted more than the network.
    fn open_edge_entry(&self, value: Vec<u8>, now: UnixTime) -> Option<(JwkSet, Validity)> {
        if value.len() > 2 * limits::MAX_PROVIDER_BODY_BYTES + 4096 {
            return None;
        }
        let document = Document::parse(value, limits::MAX_CLAIMS_DEPTH).ok()?;
        let root = document.root();
        if root.get("issuer").and_then(Value::as_str) != Some(&self.issuer) {
            return None;
        }
        let instant = |name| match root.get(name) {
            Some(Value::Number(Number::Unsigned(millis))) => i64::try_from(millis).ok().map(UnixTime::from_millis),
            _ => None,
        };
        let fetched_at = instant("fetched_at").filter(|at| *at <= now)?;
        if now >= later(fetched_at, limits::JWKS_STALE_ON_ERROR_S) {
            return None;
        }
        let fresh_until = instant("fresh_until")?.min(later(fetched_at, limits::JWKS_FRESH_MAX_S));
        let text = root.get("jwks").and_then(Value::as_str)?;
        let set = JwkSet::parse_with(text.as_bytes(), self.max_modulus_bits).ok()?;
        Some((set, Validity { fetched_at, fresh_until }))
    }
}

impl From<InvalidJwkSet> for KeysError {
    fn from(reason: InvalidJwkSet) -> Self {
        match reason {
            InvalidJwkSet::NoUsableKey => Self::JwksNoUsableKey,
            _ => Self::JwksInvalid,
        }
    }
}

impl WellKnown {
    /// Where the document is: appended to the issuer (OpenID Connect Discovery §4), or between host and path (RFC 8414 §3).
    fn url(self, issuer: &str) -> String {
        let issuer = issuer.trim_end_matches('/');
        match self {
            Self::OpenIdConfiguration => concat(&[issuer, "/.well-known/openid-configuration"]),
            Self::OauthAuthorizationServer => {
                // The third slash ends the host.
                let slashes = issuer.bytes().enumerate().filter(|&(_, byte)| byte == b'/');
                let path_from = slashes.map(|(at, _)| at).nth(2).unwrap_or(issuer.len());
                let (origin, path) = issuer.split_at_checked(path_from).unwrap_or((issuer, ""));
                concat(&[origin, "/.well-known/oauth-authorization-server", path])
            }
        }
    }
}
