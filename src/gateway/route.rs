//! A route of the gateway.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::customer_edge::CustomerEdge;
use super::headers::HeaderTemplates;
use super::pattern::Pattern;
use crate::jwt::Requirements;
use crate::oidc::{RelyingParty, StepUp, UpstreamAuth, UpstreamTokens};

/// A route: a path pattern with its policy and integration.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) methods: Methods,
    pub(super) pattern: Pattern,
    pub(super) auth: Auth,
    pub(super) credentials: AcceptedCredentials,
    /// Whether no audience is configured that a bearer token could be for.
    pub(super) lacks_audience: bool,
    pub(super) requirements: Requirements,
    pub(super) step_up: StepUp,
    pub(super) on_unauthenticated: OnUnauthenticated,
    pub(super) on_forbidden: OnForbidden,
    /// Whether requests that the route refuses pass, as anonymous ones.
    pub(super) only_observes: bool,
    pub(super) integration: Integration,
    /// The login step that the gateway itself performs on this route, with its relying party.
    pub(super) login_step: Option<(LoginStep, Arc<RelyingParty>)>,
    /// The tokens that the gateway sends to the upstream.
    pub(super) upstream_tokens: Option<Arc<UpstreamTokens>>,
}

/// A step of the login flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoginStep {
    /// Redirect the browser to the provider.
    Begin,
    /// Handle the redirect back from the provider.
    Callback,
    /// Report the errors of a callback sent by a script, without effect.
    Inspect,
    /// End the session, here and at the provider.
    Logout,
    /// Return the provider's claims about the caller.
    Userinfo,
    /// Return the verified claims of the caller.
    Claims,
    /// Refresh the tokens of the session.
    Refresh,
    /// End the sessions that a logout token of the provider names.
    BackchannelLogout,
}

impl Route {
    /// Whether the gateway sends a token to the upstream.
    pub(super) fn has_upstream_auth(&self) -> bool {
        self.integration.options().is_some_and(|options| options.upstream_auth.is_some())
    }

    /// Whether the route accepts bearer tokens.
    pub(super) fn accepts_bearer(&self) -> bool {
        self.credentials != AcceptedCredentials::Session && !self.lacks_audience
    }

    /// Whether the route accepts sessions.
    pub(super) fn accepts_session(&self) -> bool {
        self.credentials != AcceptedCredentials::Bearer
    }
}

/// The authentication mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Auth {
    Required,
    /// Anonymous requests are allowed, invalid tokens are refused.
    Optional,
    None,
}

impl Auth {
    /// Returns the name in the configuration.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optional => "optional",
            Self::None => "none",
        }
    }

    /// Returns a number that grows with strictness.
    pub(super) const fn strictness(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Optional => 1,
            Self::Required => 2,
        }
    }
}

/// The credentials that a route accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AcceptedCredentials {
    Any,
    /// Sessions; a bearer token is refused.
    Session,
    /// Bearer tokens; a session is ignored.
    Bearer,
}

impl AcceptedCredentials {
    /// Returns the name in the configuration.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Session => "session",
            Self::Bearer => "bearer",
        }
    }
}

/// The response to unauthenticated requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum OnUnauthenticated {
    /// Redirects browser navigations to the login; 401 for API clients.
    #[default]
    Auto,
    /// Redirects every request that can follow a redirect to the login.
    Login,
    /// Always 401.
    Status401,
}

/// The response to requests without the required rights.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum OnForbidden {
    #[default]
    Problem,
    Redirect(String),
}

/// The integration that answers the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Integration {
    Proxy { url: String, headers: HeaderTemplates, options: ForwardOptions },
    Service { binding: String, headers: HeaderTemplates, options: ForwardOptions },
    Respond { status: u16, headers: HeaderTemplates, body: String, is_json: bool },
    Login,
    Callback,
    Logout,
    Userinfo,
    Claims,
    Refresh,
    BackchannelLogout,
    Revoke,
    Jwks,
    CustomerEdge { url: String, edge: CustomerEdge, options: ForwardOptions },
    Status,
}

/// How requests are forwarded, to an origin or a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ForwardOptions {
    /// Whether the client's `Authorization` is removed.
    pub(super) strip_authorization: bool,
    /// Whether a client's `Authorization` is none of the headers that the gateway reserves: the customer edge is another server of the
    /// provider, and what routes send in `Authorization` concerns their origins only.
    pub(super) is_customer_edge: bool,
    /// Whether `X-Forwarded-*` headers are set.
    pub(super) sets_forwarded: bool,
    /// Longest wait for the response's headers.
    pub(super) timeout_ms: Option<u32>,
    /// Removed from the beginning of the path; may be empty.
    pub(super) prefix: String,
    /// The token that the gateway sends.
    pub(super) upstream_auth: Option<UpstreamAuth>,
}

impl Integration {
    /// Returns how requests are forwarded; `None` for what the gateway answers itself.
    pub(super) const fn options(&self) -> Option<&ForwardOptions> {
        match self {
            Self::Proxy { options, .. } | Self::Service { options, .. } | Self::CustomerEdge { options, .. } => {
                Some(options)
            }
            _ => None,
        }
    }

    /// Returns the headers that it sets.
    pub(super) fn headers(&self) -> Option<&HeaderTemplates> {
        match self {
            Self::Proxy { headers, .. } | Self::Service { headers, .. } | Self::Respond { headers, .. } => {
                Some(headers)
            }
            Self::Login
            | Self::Callback
            | Self::Logout
            | Self::Userinfo
            | Self::Claims
            | Self::Refresh
            | Self::BackchannelLogout
            | Self::Revoke
            | Self::Jwks
            | Self::CustomerEdge { .. }
            | Self::Status => None,
        }
    }

    /// Returns the login step that the gateway itself performs; `None` for an origin or a fixed response.
    pub(super) const fn login_step(&self) -> Option<LoginStep> {
        match self {
            Self::Proxy { .. }
            | Self::Service { .. }
            | Self::Respond { .. }
            | Self::Revoke
            | Self::Jwks
            | Self::CustomerEdge { .. }
            | Self::Status => None,
            Self::BackchannelLogout => Some(LoginStep::BackchannelLogout),
            Self::Login => Some(LoginStep::Begin),
            Self::Callback => Some(LoginStep::Callback),
            Self::Logout => Some(LoginStep::Logout),
            Self::Userinfo => Some(LoginStep::Userinfo),
            Self::Claims => Some(LoginStep::Claims),
            Self::Refresh => Some(LoginStep::Refresh),
        }
    }

    /// Returns the name of the gateway function; `None` for an origin or a fixed response.
    pub(super) const fn action_name(&self) -> Option<&'static str> {
        match self {
            Self::Proxy { .. } | Self::Service { .. } | Self::Respond { .. } => None,
            Self::Login => Some("login"),
            Self::Callback => Some("callback"),
            Self::Logout => Some("logout"),
            Self::Userinfo => Some("userinfo"),
            Self::Claims => Some("claims"),
            Self::Refresh => Some("refresh"),
            Self::BackchannelLogout => Some("backchannel_logout"),
            Self::Revoke => Some("revoke"),
            Self::Jwks => Some("jwks"),
            Self::CustomerEdge { .. } => Some("customer_edge"),
            Self::Status => Some("status"),
        }
    }

    /// Whether it requires a login client.
    pub(super) fn needs_login(&self) -> bool {
        self.login_step().is_some()
    }

    /// Whether it needs no credentials unless the route says so.
    pub(super) fn is_public(&self) -> bool {
        self.is_login_flow() || matches!(self, Self::Jwks | Self::CustomerEdge { .. })
    }

    /// Whether it is part of logging in or out, and so cannot require a login.
    pub(super) fn is_login_flow(&self) -> bool {
        matches!(self, Self::Login | Self::Callback | Self::Logout | Self::BackchannelLogout)
    }
}

/// The methods of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Methods {
    Any,
    Only(Vec<String>),
}

impl Methods {
    /// Whether the method is listed.
    pub(super) fn names(&self, method: &str) -> bool {
        match self {
            Self::Any => false,
            Self::Only(methods) => methods.iter().any(|one| one == method),
        }
    }

    /// Whether the route supports this method.
    pub(super) fn answers(&self, method: &str) -> bool {
        self.is_any() || self.names(method)
    }

    pub(super) fn is_any(&self) -> bool {
        *self == Self::Any
    }
}
