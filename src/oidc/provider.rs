//! The provider's endpoints: fixed for Auth0, discovered for others (OpenID Connect Discovery, RFC 8414).

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use super::RelyingParty;
use crate::discovery::{DiscoveryError, Metadata, MetadataCache, MetadataLookup};
use crate::json::Value;
use crate::jwk::{KeyHost, KeyJob};
use crate::limits;

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

    /// The endpoints that a discovery document names.
    fn from_metadata(issuer: &str, metadata: &Metadata) -> Result<Self, DiscoveryError> {
        let endpoint = |name| metadata.url(name).map(String::from);
        let sends_iss = metadata.root().get("authorization_response_iss_parameter_supported");
        Ok(Self {
            issuer: issuer.into(),
            authorization_endpoint: endpoint("authorization_endpoint").ok_or(DiscoveryError::Invalid)?,
            token_endpoint: endpoint("token_endpoint").ok_or(DiscoveryError::Invalid)?,
            userinfo_endpoint: endpoint("userinfo_endpoint"),
            end_session_endpoint: endpoint("end_session_endpoint"),
            auth0_logout: None,
            revocation_endpoint: endpoint("revocation_endpoint"),
            sends_iss: matches!(sends_iss, Some(Value::Bool(true))),
        })
    }
}

/// How the endpoints are known.
#[derive(Debug)]
pub(crate) enum Endpoints {
    /// They never change.
    Fixed(Arc<Provider>),
    /// The issuer's discovery document names them.
    Discovered(Arc<MetadataCache>),
}

impl RelyingParty {
    /// The provider's endpoints. Of requests that need them at once, one fetches, and the others look again until they are there.
    pub(super) async fn provider(&self, host: &impl KeyHost) -> Result<Arc<Provider>, DiscoveryError> {
        let cache = match &self.endpoints {
            Endpoints::Fixed(provider) => return Ok(Arc::clone(provider)),
            Endpoints::Discovered(cache) => cache,
        };
        let mut may_fetch = true;
        for _ in 0..limits::MAX_LOOKS {
            match cache.find(host.now(), may_fetch) {
                MetadataLookup::Known(metadata) => {
                    return Provider::from_metadata(self.keys.issuer(), &metadata).map(Arc::new);
                }
                MetadataLookup::Unavailable(error) => return Err(error),
                MetadataLookup::Wait => host.sleep(limits::FETCH_POLL_MS).await,
                MetadataLookup::Fetch(permit) => {
                    host.spawn(KeyJob::discover(permit)).await;
                    may_fetch = false;
                }
            }
        }
        Err(DiscoveryError::Unreachable)
    }
}
