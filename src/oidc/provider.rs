//! The provider's endpoints: fixed for Auth0, discovered for others (OpenID Connect Discovery, RFC 8414).

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use super::RelyingParty;
use crate::discovery::{DiscoveryError, Metadata, MetadataCache, may_serve_stale};
use crate::io::UnixTime;
use crate::json::Value;
use crate::jwk::{KeyHost, KeyJob};
use crate::shared::Shared;

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
    Discovered(Discovered),
}

/// Endpoints that a discovery document names.
#[derive(Debug)]
pub(crate) struct Discovered {
    metadata: Arc<MetadataCache>,
    /// The last endpoints that were good, and since when: they serve while a document names none.
    last_good: Shared<Option<(Arc<Provider>, UnixTime)>>,
}

impl Discovered {
    pub(crate) fn new(metadata: Arc<MetadataCache>) -> Self {
        Self { metadata, last_good: Shared::new(None) }
    }

    /// The endpoints of a document. Those of one that lacks an acceptable endpoint are those of the last good one, for a day.
    fn endpoints(&self, issuer: &str, metadata: &Metadata, now: UnixTime) -> Result<Arc<Provider>, DiscoveryError> {
        match Provider::from_metadata(issuer, metadata) {
            Ok(provider) => {
                let provider = Arc::new(provider);
                self.metadata.accept();
                self.last_good.with(|last| *last = Some((Arc::clone(&provider), now)));
                Ok(provider)
            }
            Err(error) => {
                self.metadata.reject(now);
                let last = self.last_good.with(|last| last.clone());
                last.filter(|(_, at)| may_serve_stale(*at, now)).map(|(provider, _)| provider).ok_or(error)
            }
        }
    }
}

impl RelyingParty {
    /// The provider's endpoints. A fetch of the document that names them goes on when the request that began it is gone.
    pub(super) async fn provider(&self, host: &impl KeyHost) -> Result<Arc<Provider>, DiscoveryError> {
        match &self.endpoints {
            Endpoints::Fixed(provider) => Ok(Arc::clone(provider)),
            Endpoints::Discovered(discovered) => {
                let fetch = |permit| host.spawn(KeyJob::discover(permit));
                let metadata = discovered.metadata.get(host, fetch).await?;
                discovered.endpoints(self.keys.issuer(), &metadata, host.now())
            }
        }
    }
}
