//! What a gateway tells the tools of its operator: its authorizers and their logins.

use alloc::string::String;
use alloc::sync::Arc;

use super::Gateway;
use crate::jwk::KeyCache;
use crate::text::concat;
use crate::verifier::Verifier;

/// An authorizer of a gateway.
#[derive(Debug, Clone, Copy)]
pub struct AuthorizerInfo<'g> {
    /// Verifies bearer tokens; `None` if no route accepts any.
    pub verifier: Option<&'g Arc<Verifier>>,
    /// Its login; `None` if there is no login route.
    pub login: Option<LoginInfo<'g>>,
}

/// The login of an authorizer.
#[derive(Debug, Clone, Copy)]
pub struct LoginInfo<'g> {
    /// The keys of its issuer.
    pub keys: &'g Arc<KeyCache>,
    /// The callback URL, as registered at the provider.
    pub redirect_uri: &'g str,
    origin: &'g str,
    path: Option<&'g str>,
}

impl LoginInfo<'_> {
    /// Returns the URL at which a login begins; `None` if its route has no fixed path.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        Some(concat(&[self.origin, self.path?]))
    }
}

impl Gateway {
    /// Returns the authorizers, in the order of the configuration.
    ///
    /// ```
    /// let config = r#"{
    ///   "authorizer": { "type": "auth0", "domain": "tenant.us.auth0.com", "audience": "https://api.example.com" },
    ///   "paths": [{ "method": "GET", "path": "/", "integration": { "type": "respond", "body": "yours" } }]
    /// }"#;
    /// let gateway = edgeward::gateway::compile(config, &|_variable| None)?.gateway;
    /// let authorizer = gateway.authorizers().next().unwrap();
    /// let issuers: Vec<&str> = authorizer.verifier.unwrap().keys().map(|keys| keys.issuer()).collect();
    /// assert_eq!(issuers, ["https://tenant.us.auth0.com/"]);
    /// assert!(authorizer.login.is_none());
    /// # Ok::<(), Vec<edgeward::gateway::Problem>>(())
    /// ```
    pub fn authorizers(&self) -> impl Iterator<Item = AuthorizerInfo<'_>> {
        self.all().map(|gateway| AuthorizerInfo {
            verifier: gateway.verifier.as_ref(),
            login: gateway.login.as_deref().map(|party| LoginInfo {
                keys: &party.keys,
                redirect_uri: &party.client.redirect_uri,
                origin: party.client.origin(),
                path: party.login_path.as_deref(),
            }),
        })
    }
}
