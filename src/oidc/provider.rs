//! The provider's endpoints: fixed for Auth0, discovered for others (OpenID Connect Discovery, RFC 8414).

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::RelyingParty;
use super::provider_error::shown;
use crate::discovery::{DiscoveryError, Metadata, MetadataCache, may_serve_stale};
use crate::host::Level;
use crate::io::UnixTime;
use crate::json::Value;
use crate::jwk::{KeyHost, KeyJob};
use crate::shared::Shared;

/// The endpoints of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// The issuer, as in the `iss` of ID tokens.
    pub issuer: String,
    /// The authorization endpoint.
    pub authorization_endpoint: String,
    /// The token endpoint.
    pub token_endpoint: String,
    /// The userinfo endpoint.
    pub userinfo_endpoint: Option<String>,
    /// The endpoint of RP-initiated logout.
    pub end_session_endpoint: Option<String>,
    /// Auth0's own logout, with `returnTo`.
    pub auth0_logout: Option<String>,
    /// The token revocation endpoint (RFC 7009).
    pub revocation_endpoint: Option<String>,
    /// Whether clients with a secret must send it to the revocation endpoint in a header (`client_secret_basic`) or in the form
    /// (`client_secret_post`). `None`: as to the token endpoint.
    pub revocation_is_basic: Option<bool>,
    /// Whether callbacks must carry `iss` (RFC 9207).
    pub sends_iss: bool,
    /// The endpoint of pushed authorization requests (RFC 9126).
    pub pushed_request_endpoint: Option<String>,
    /// Whether authorization requests must be pushed (RFC 9126 §5).
    pub requires_pushed_requests: bool,
}

impl Provider {
    /// Returns Auth0's endpoints under the issuer `https://{domain}/`.
    #[must_use]
    pub fn auth0(issuer: &str) -> Self {
        let at = |path: &str| format!("{issuer}{path}");
        Self {
            issuer: issuer.into(),
            authorization_endpoint: at("authorize"),
            token_endpoint: at("oauth/token"),
            userinfo_endpoint: Some(at("userinfo")),
            end_session_endpoint: Some(at("oidc/logout")),
            auth0_logout: Some(at("v2/logout")),
            revocation_endpoint: Some(at("oauth/revoke")),
            revocation_is_basic: None,
            sends_iss: false,
            pushed_request_endpoint: Some(at("oauth/par")),
            requires_pushed_requests: false,
        }
    }

    /// Reads the endpoints from a discovery document. Requests of a client with a certificate go to those that accept it (RFC 8705 §5).
    fn from_metadata(issuer: &str, metadata: &Metadata, kind: &ProviderKind) -> Result<Self, DiscoveryError> {
        let endpoint = |name| {
            let alias = if kind.has_certificate { metadata.mtls_url(name) } else { None };
            alias.or_else(|| metadata.url(name)).map(String::from)
        };
        // The browser goes there, without the certificate.
        let page = |name| metadata.url(name).map(String::from);
        let is_true = |name| matches!(metadata.root().get(name), Some(Value::Bool(true)));
        Ok(Self {
            issuer: issuer.into(),
            authorization_endpoint: match page("authorization_endpoint") {
                None if kind.has_no_login => String::new(),
                found => found.ok_or(DiscoveryError::Invalid)?,
            },
            token_endpoint: endpoint("token_endpoint").ok_or(DiscoveryError::Invalid)?,
            userinfo_endpoint: endpoint("userinfo_endpoint"),
            end_session_endpoint: page("end_session_endpoint"),
            auth0_logout: kind.is_auth0.then(|| format!("{issuer}v2/logout")),
            revocation_endpoint: endpoint("revocation_endpoint"),
            revocation_is_basic: is_basic_at(metadata, "revocation_endpoint_auth_methods_supported"),
            sends_iss: is_true("authorization_response_iss_parameter_supported"),
            pushed_request_endpoint: endpoint("pushed_authorization_request_endpoint"),
            requires_pushed_requests: is_true("require_pushed_authorization_requests"),
        })
    }
}

/// Returns whether clients with a secret must send it in a header, by the methods that a member of the metadata lists; `None` if either way
/// or neither is listed.
pub(super) fn is_basic_at(metadata: &Metadata, name: &str) -> Option<bool> {
    let methods = || metadata.root().get(name).and_then(Value::as_array);
    let lists = |method: &str| methods().into_iter().flatten().any(|one| one.as_str() == Some(method));
    let (basic, post) = (lists("client_secret_basic"), lists("client_secret_post"));
    (basic != post).then_some(basic)
}

/// The source of the endpoints.
#[derive(Debug)]
pub(crate) enum Endpoints {
    /// Known from the configuration.
    Fixed(Arc<Provider>),
    /// Read from the issuer's discovery document.
    Discovered(Discovered),
}

/// What decides which endpoints of a discovery document are used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ProviderKind {
    /// Whether the client has a certificate.
    pub(crate) has_certificate: bool,
    /// Whether users log out as at Auth0.
    pub(crate) is_auth0: bool,
    /// Whether only tokens are requested: a server without users has no authorization endpoint (RFC 8414 §2).
    pub(crate) has_no_login: bool,
}

impl Endpoints {
    /// Returns the endpoints, with the discovery document if it has new ones. A fetch of it continues if the request that started it is
    /// cancelled.
    pub(super) async fn provider(
        &self,
        issuer: &str,
        host: &impl KeyHost,
    ) -> Result<(Arc<Provider>, Option<Arc<Metadata>>), DiscoveryError> {
        match self {
            Self::Fixed(provider) => Ok((Arc::clone(provider), None)),
            Self::Discovered(discovered) => {
                let fetch = |permit| host.spawn(KeyJob::discover(permit));
                let metadata = discovered.metadata.get(host, fetch).await?;
                let (provider, is_new) = discovered.endpoints(issuer, &metadata, host.now())?;
                Ok((provider, is_new.then_some(metadata)))
            }
        }
    }
}

/// Endpoints from a discovery document.
#[derive(Debug)]
pub(crate) struct Discovered {
    metadata: Arc<MetadataCache>,
    kind: ProviderKind,
    /// The last valid endpoints and when they were read; used while the document is invalid.
    last_good: Shared<Option<(Arc<Provider>, UnixTime)>>,
}

impl Discovered {
    pub(crate) fn new(metadata: Arc<MetadataCache>, kind: ProviderKind) -> Self {
        Self { metadata, kind, last_good: Shared::new(None) }
    }

    /// Returns the endpoints of a document, and whether they are new. If it lacks a required endpoint, the last valid ones are used, for
    /// up to a day.
    fn endpoints(
        &self,
        issuer: &str,
        metadata: &Metadata,
        now: UnixTime,
    ) -> Result<(Arc<Provider>, bool), DiscoveryError> {
        match Provider::from_metadata(issuer, metadata, &self.kind) {
            Ok(provider) => {
                let provider = Arc::new(provider);
                self.metadata.accept();
                let last = self.last_good.with(|last| last.replace((Arc::clone(&provider), now)));
                let is_new = last.is_none_or(|(last, _)| last != provider);
                Ok((provider, is_new))
            }
            Err(error) => {
                self.metadata.reject(now);
                let last = self.last_good.with(|last| last.clone());
                last.filter(|(_, at)| may_serve_stale(*at, now)).map(|(provider, _)| (provider, false)).ok_or(error)
            }
        }
    }
}

impl RelyingParty {
    /// Returns the provider's endpoints.
    pub(super) async fn provider(&self, host: &impl KeyHost) -> Result<Arc<Provider>, DiscoveryError> {
        let (provider, new) = self.endpoints.provider(self.keys.issuer(), host).await?;
        if let Some(metadata) = new {
            self.compare_algorithms(&metadata, host);
        }
        Ok(provider)
    }

    /// Logs a warning if the provider advertises no accepted algorithm for ID tokens (OpenID Connect Discovery §3): then every login fails.
    fn compare_algorithms(&self, metadata: &Metadata, host: &impl KeyHost) {
        let advertised = metadata.root().get("id_token_signing_alg_values_supported").and_then(Value::as_array);
        let advertised: Vec<&str> = advertised.into_iter().flatten().filter_map(Value::as_str).collect();
        let accepted = self.id_policy.algorithms();
        if !advertised.is_empty() && !accepted.iter().any(|one| advertised.contains(&one.name())) {
            let accepted: Vec<&str> = accepted.iter().map(|one| one.name()).collect();
            let (advertised, accepted) = (shown(&advertised.join(", ")), accepted.join(", "));
            let line = format!(
                "algorithms_differ: the provider signs ID tokens with {advertised}; authorizer.algorithms accepts {accepted}"
            );
            host.log(Level::Warning, &line);
        }
    }
}
