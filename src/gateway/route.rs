//! One route of the gateway.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::headers::HeaderTemplates;
use super::pattern::Pattern;
use crate::jwt::Requirements;
use crate::oidc::RelyingParty;

/// What a request to a path needs, and what becomes of it.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) methods: Methods,
    pub(super) pattern: Pattern,
    pub(super) auth: Auth,
    pub(super) requirements: Requirements,
    pub(super) on_unauthenticated: OnUnauthenticated,
    pub(super) on_forbidden: OnForbidden,
    pub(super) integration: Integration,
    /// What the gateway itself does on this route, and the login that it belongs to.
    pub(super) login_step: Option<(LoginStep, Arc<RelyingParty>)>,
}

/// What a login route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoginStep {
    /// Send the browser to the provider.
    Begin,
    /// Take it back.
    Callback,
    /// Tell a script what is wrong with a callback that it sent; nothing is redeemed and nothing used up.
    Inspect,
    /// End the session, here and at the provider.
    Logout,
    /// Tell what the provider says about the caller.
    Userinfo,
    /// Get new tokens for the session.
    Refresh,
}

/// Whether a token is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Auth {
    Required,
    /// No token is fine; a bad one is not.
    Optional,
    None,
}

impl Auth {
    /// Larger for what lets fewer pass.
    pub(super) const fn strictness(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Optional => 1,
            Self::Required => 2,
        }
    }
}

/// What a request without credentials gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum OnUnauthenticated {
    /// People opening a page are sent to log in, everybody else gets 401.
    #[default]
    Auto,
    /// Every request that may be redirected is sent to log in.
    Login,
    /// 401, always.
    Status401,
}

/// What a request without the demanded rights gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum OnForbidden {
    #[default]
    Problem,
    Redirect(String),
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Integration {
    Proxy { url: String, headers: HeaderTemplates, strip_authorization: bool },
    Service { binding: String, headers: HeaderTemplates, strip_authorization: bool },
    Respond { status: u16, headers: HeaderTemplates, body: String, is_json: bool },
    Login,
    Callback,
    Logout,
    Userinfo,
    Refresh,
}

impl Integration {
    /// Headers that it sets.
    pub(super) fn headers(&self) -> Option<&HeaderTemplates> {
        match self {
            Self::Proxy { headers, .. } | Self::Service { headers, .. } | Self::Respond { headers, .. } => {
                Some(headers)
            }
            Self::Login | Self::Callback | Self::Logout | Self::Userinfo | Self::Refresh => None,
        }
    }

    /// What the gateway itself does; `None` if an origin or a fixed answer does.
    pub(super) const fn login_step(&self) -> Option<LoginStep> {
        match self {
            Self::Proxy { .. } | Self::Service { .. } | Self::Respond { .. } => None,
            Self::Login => Some(LoginStep::Begin),
            Self::Callback => Some(LoginStep::Callback),
            Self::Logout => Some(LoginStep::Logout),
            Self::Userinfo => Some(LoginStep::Userinfo),
            Self::Refresh => Some(LoginStep::Refresh),
        }
    }

    /// The name of what the gateway itself does; `None` for what an origin or a fixed answer does.
    pub(super) const fn action_name(&self) -> Option<&'static str> {
        match self {
            Self::Proxy { .. } | Self::Service { .. } | Self::Respond { .. } => None,
            Self::Login => Some("login"),
            Self::Callback => Some("callback"),
            Self::Logout => Some("logout"),
            Self::Userinfo => Some("userinfo"),
            Self::Refresh => Some("refresh"),
        }
    }

    /// Cannot work without a login client.
    pub(super) fn needs_login(&self) -> bool {
        self.action_name().is_some()
    }

    /// Part of logging in or out, so it cannot need a login.
    pub(super) fn is_login_flow(&self) -> bool {
        matches!(self, Self::Login | Self::Callback | Self::Logout)
    }
}

/// The methods of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Methods {
    Any,
    Only(Vec<String>),
}

impl Methods {
    /// Whether the method is named.
    pub(super) fn names(&self, method: &str) -> bool {
        match self {
            Self::Any => false,
            Self::Only(methods) => methods.iter().any(|one| one == method),
        }
    }

    /// Whether the route answers this method.
    pub(super) fn answers(&self, method: &str) -> bool {
        self.is_any() || self.names(method)
    }

    pub(super) fn is_any(&self) -> bool {
        *self == Self::Any
    }
}
