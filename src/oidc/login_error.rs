//! What browsers and API clients are told when a login does not go as planned, and what the log says to do about it.

use alloc::format;
use alloc::string::{String, ToString};

use super::{CallbackError, ReturnTo};
use crate::discovery::DiscoveryError;
use crate::error::VerifyError;
use crate::http::{Page, Reply, RequestHead, is_navigation};
use crate::jwk::KeysError;
use crate::limits;
use crate::verifier::VerificationError;

/// Why a step of a login failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginError {
    /// The provider's endpoints are not known.
    Provider(DiscoveryError),
    /// The callback or the code exchange failed.
    Callback(CallbackError),
    /// The ID token was refused.
    IdToken(VerifyError),
    /// The keys to verify the ID token with cannot be had.
    Keys(KeysError),
    /// Login or session do not fit into cookies.
    TooLarge,
}

impl LoginError {
    /// The stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Provider(error) => error.code(),
            Self::Callback(error) => error.code(),
            Self::IdToken(_) => "id_token_invalid",
            Self::Keys(error) => error.code(),
            Self::TooLarge => "session_too_large",
        }
    }

    const fn status(&self) -> u16 {
        match self {
            Self::Provider(_) => 502,
            Self::Callback(error) => error.status(),
            Self::IdToken(_) => 400,
            Self::Keys(_) => 503,
            Self::TooLarge => 500,
        }
    }

    const fn message(&self) -> &'static str {
        match self {
            Self::Provider(_) | Self::Keys(_) => PROVIDER_IS_DOWN,
            Self::Callback(error) => error.message(),
            Self::IdToken(_) => "The login could not be verified, so nobody was logged in. Please log in again.",
            Self::TooLarge => "The login is too large to keep in this browser. Tell the operator of this site.",
        }
    }

    /// For the log: what is wrong and where to look. Holds no token, code or secret.
    #[must_use]
    pub fn log_line(&self) -> String {
        let code = self.code();
        match self {
            Self::Provider(error) => {
                let look = match error {
                    DiscoveryError::Unreachable => {
                        "check authorizer.issuer and that its discovery document can be fetched"
                    }
                    DiscoveryError::Invalid => "the discovery document is not JSON or lacks an https endpoint",
                    DiscoveryError::IssuerMismatch | DiscoveryError::IssuerMissing => {
                        "the discovery document names another issuer; copy that one exactly"
                    }
                };
                format!("{code}: {look}")
            }
            Self::Callback(CallbackError::ExchangeRefused(error)) => {
                let look = match error.as_str() {
                    "invalid_client" | "unauthorized_client" => {
                        "check client_id, client_secret and client_auth against the application at the provider"
                    }
                    "invalid_grant" => {
                        "the code was used, is over, or authorizer.redirect_uri is not exactly the registered URL \
                         (scheme, host, path, trailing slash)"
                    }
                    _ => "check authorizer.redirect_uri, client_id and client_secret",
                };
                format!("{code}: the token endpoint answered {error}: {look}")
            }
            Self::Callback(CallbackError::ExchangeFailed) => {
                format!(
                    "{code}: the token endpoint did not answer with JSON that holds an access token and an ID token"
                )
            }
            Self::Callback(CallbackError::Denied(error)) => format!("{code}: the provider answered {error}"),
            Self::Callback(_) => format!("{code}: {}", self.message()),
            Self::IdToken(error) => format!("{code}: {}: {error}", error.code()),
            Self::Keys(error) => format!("{code}: {error}"),
            Self::TooLarge => format!("{code}: keep fewer claims with session.claims, or ask for shorter tokens"),
        }
    }

    /// The answer: a page for people, a problem document for programs. It sets no cookie.
    #[must_use]
    pub fn reply(&self, head: &RequestHead<'_>, login_path: Option<&str>) -> Reply {
        let (status, code, message) = (self.status(), self.code(), self.message());
        let reply = if is_navigation(head) {
            // A login that could not begin still knows where to come back to.
            let parts = head.url_parts();
            let again = login_path.map(|path| match parts.query {
                Some(query) if parts.path == path => format!("{path}?{query}"),
                _ => path.into(),
            });
            Page {
                status,
                title: "Login did not work",
                message,
                code,
                action: again.as_deref().map(|address| ("Log in again", address)),
            }
            .reply(head.request_id().as_deref())
        } else {
            let provider_error = match self {
                Self::Callback(CallbackError::Denied(error) | CallbackError::ExchangeRefused(error)) => {
                    Some(error.as_str())
                }
                _ => None,
            };
            let mut more = alloc::vec::Vec::new();
            more.extend(provider_error.map(|error| ("error", error)));
            more.extend(login_path.map(|path| ("login", path)));
            Reply::problem_with(status, code, message, &more)
        };
        if matches!(status, 502 | 503) {
            reply.with("retry-after", limits::LOGIN_RETRY_AFTER_S.to_string())
        } else {
            reply
        }
    }
}

const PROVIDER_IS_DOWN: &str = "The login service does not answer at the moment. Please try again shortly.";

impl CallbackError {
    /// What a person is told.
    pub(super) const fn message(&self) -> &'static str {
        match self {
            Self::Malformed => "The answer of the login service is incomplete. Please log in again.",
            Self::StateUnknown => {
                "This login was not started in this browser, has been used already, or took too long. Please log in again."
            }
            Self::IssuerMismatch => "The answer did not come from the expected login service. Please log in again.",
            Self::Denied(_) => "The login service did not log you in. You can try again.",
            Self::ExchangeRefused(_) => {
                "The login could not be completed. If this happens again, tell the operator of this site."
            }
            Self::ExchangeFailed => PROVIDER_IS_DOWN,
            Self::OrganizationMismatch => {
                "You are logged in with another organization than the one asked for. Please log in again."
            }
        }
    }
}

impl core::fmt::Display for LoginError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.log_line())
    }
}

impl core::error::Error for LoginError {}

impl From<DiscoveryError> for LoginError {
    fn from(error: DiscoveryError) -> Self {
        Self::Provider(error)
    }
}

impl From<CallbackError> for LoginError {
    fn from(error: CallbackError) -> Self {
        Self::Callback(error)
    }
}

impl From<VerificationError> for LoginError {
    fn from(error: VerificationError) -> Self {
        match error {
            VerificationError::Refused(error) => Self::IdToken(error),
            VerificationError::Unavailable(why) => Self::Keys(why.error),
        }
    }
}

/// Logged out here; the provider has no logout or cannot be asked.
pub(super) fn logged_out(head: &RequestHead<'_>) -> Reply {
    Page {
        status: 200,
        title: "You are logged out",
        message: "Your session on this site has ended.",
        code: "logged_out",
        action: Some(("Go to the start page", "/")),
    }
    .reply(head.request_id().as_deref())
}

/// Logged in, where the session's cookie does not go along on the way back from the provider: a page that goes on by itself,
/// so that what follows is a request of this site's own.
pub(super) fn logged_in(head: &RequestHead<'_>, location: &str) -> Reply {
    Page {
        status: 200,
        title: "You are logged in",
        message: "The page you asked for opens by itself.",
        code: "logged_in",
        action: Some(("Continue", location)),
    }
    .reply(head.request_id().as_deref())
    .with("refresh", format!("0; url={location}"))
}

/// Another site sent the browser to the logout: nothing happens unless the person wants it.
pub(crate) fn confirm_logout(head: &RequestHead<'_>, path: &str) -> Reply {
    // A path that came with two slashes would be the address of another host.
    let path = ReturnTo::parse(path).unwrap_or_default();
    Page {
        status: 200,
        title: "Log out?",
        message: "Another site asked to log you out. Your session goes on unless you confirm.",
        code: "logout_needs_confirmation",
        action: Some(("Log out", path.as_str())),
    }
    .reply(head.request_id().as_deref())
}

/// A login inside another page: there it could be made to happen unseen, and browsers keep the cookies back.
pub(crate) fn open_in_window(head: &RequestHead<'_>) -> Reply {
    Page {
        status: 400,
        title: "Open this page in a tab of its own",
        message: "Logging in does not work inside another page. Nothing was done.",
        code: NAVIGATION_REQUIRED,
        action: Some(("Go to the start page", "/")),
    }
    .reply(head.request_id().as_deref())
}

/// A script, or something that only looks ahead, asks for what a person does by opening a page.
pub(crate) fn navigation_required(is_callback: bool) -> Reply {
    let detail = if is_callback {
        "Nothing was done: the login service sends people's browsers here, with a GET that opens a page."
    } else {
        "Nothing was done: open this address as a page, or send a POST from a page of this site."
    };
    Reply::problem_with(400, NAVIGATION_REQUIRED, detail, &[("error", "invalid_request")])
}

const NAVIGATION_REQUIRED: &str = "navigation_required";
