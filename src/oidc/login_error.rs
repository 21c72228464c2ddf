//! Login errors: the pages and problem documents that clients get, and the log lines that help the operator.

use alloc::format;
use alloc::string::{String, ToString};

use super::login::login_link;
use super::{CallbackError, ReturnTo, UserinfoError};
use crate::discovery::DiscoveryError;
use crate::error::VerifyError;
use crate::http::{Page, Reply, RequestHead, is_navigation};
use crate::jwk::KeysError;
use crate::limits;
use crate::text::concat;
use crate::verifier::VerificationError;

/// An error of a login flow.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginError {
    /// The provider's endpoints are unknown.
    Provider(DiscoveryError),
    /// The callback or the code exchange failed.
    Callback(CallbackError),
    /// The ID token was refused.
    IdToken(VerifyError),
    /// The keys to verify the ID token are unavailable.
    Keys(KeysError),
    /// Sessions also get the claims of userinfo, which are unavailable.
    Userinfo(UserinfoError),
    /// The login or the session does not fit into cookies.
    TooLarge,
    /// The page to return to after the login has an address that no login can return to.
    DestinationTooLong,
}

impl LoginError {
    /// Returns the stable code of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Provider(error) => error.code(),
            Self::Callback(error) => error.code(),
            Self::IdToken(_) => "id_token_invalid",
            Self::Keys(error) => error.code(),
            Self::Userinfo(error) => error.code(),
            Self::TooLarge => "session_too_large",
            Self::DestinationTooLong => "return_to_too_long",
        }
    }

    const fn status(&self) -> u16 {
        match self {
            Self::Provider(_) | Self::Userinfo(_) => 502,
            Self::Callback(error) => error.status(),
            Self::IdToken(_) | Self::DestinationTooLong => 400,
            Self::Keys(_) => 503,
            Self::TooLarge => 500,
        }
    }

    const fn message(&self) -> &'static str {
        match self {
            Self::Callback(error) => error.message(),
            Self::IdToken(_) | Self::Userinfo(UserinfoError::SubjectMismatch | UserinfoError::Invalid) => {
                "Your login could not be verified, so you are not logged in. Please log in again."
            }
            Self::Provider(_) | Self::Keys(_) | Self::Userinfo(_) => PROVIDER_IS_DOWN,
            Self::TooLarge => {
                "Your login is too large to store in this browser. Please contact the operator of this site."
            }
            Self::DestinationTooLong => {
                "You need to log in, but the address of this page is too long to return to afterwards. Please log in first, then open the \
                 page again."
            }
        }
    }

    /// Returns the log line: what is wrong and where to look. It contains no token, code or secret.
    #[must_use]
    pub fn log_line(&self) -> String {
        let code = self.code();
        match self {
            Self::Provider(error) => {
                let hint = match error {
                    DiscoveryError::Unreachable => {
                        "check authorizer.issuer, and that its discovery document can be fetched"
                    }
                    DiscoveryError::Invalid => "the discovery document is not JSON or lacks an https endpoint",
                    DiscoveryError::IssuerMismatch | DiscoveryError::IssuerMissing => {
                        "the discovery document names another issuer; copy that one exactly"
                    }
                };
                format!("{code}: {hint}")
            }
            Self::Callback(CallbackError::ExchangeRefused(error, failure)) => {
                let hint = match error.code() {
                    "invalid_client" | "unauthorized_client" => {
                        "check client_id, client_secret and client_auth against the application at the provider"
                    }
                    "invalid_grant" => {
                        "the code was used, has expired, or authorizer.redirect_uri is not exactly the registered URL \
                         (scheme, host, path, trailing slash)"
                    }
                    _ => "check authorizer.redirect_uri, client_id and client_secret",
                };
                format!("{code}: {failure}, {error}: {hint}")
            }
            Self::Callback(CallbackError::ExchangeFailed(failure)) => format!("{code}: {failure}"),
            Self::Callback(CallbackError::IssuerMissing(error)) => {
                let error = error.as_ref().map(ToString::to_string).unwrap_or_default();
                let error = if error.is_empty() { error } else { concat(&["; unverified error: ", &error]) };
                format!("{code}: iss is missing, although the provider's metadata promises it{error}")
            }
            Self::Callback(CallbackError::Denied(error)) => format!("{code}: the provider answered {error}"),
            Self::Callback(_) => format!("{code}: {}", self.message()),
            Self::IdToken(error) => {
                let hint = match error {
                    VerifyError::AlgNotAllowed { .. } => " (authorizer.algorithms)",
                    VerifyError::AudienceMismatch { .. } => " (authorizer.client_id, authorizer.trusted_audiences)",
                    _ => "",
                };
                format!("{code}: {}: {error}{hint}", error.code())
            }
            Self::Keys(error) => format!("{code}: {error}"),
            Self::Userinfo(error) => format!("{code}: {}", error.hint()),
            Self::DestinationTooLong => {
                format!("{code}: the address is longer than 9216 bytes, or begins with two slashes in some reading")
            }
            Self::TooLarge => format!("{code}: store fewer claims with session.claims, or configure smaller tokens"),
        }
    }

    /// Returns the response: a page for browser navigations, a problem document for API clients. It sets no cookie. The page links to a
    /// login that leads to `destination`, if that is known.
    #[must_use]
    pub fn reply(&self, head: &RequestHead<'_>, login_path: Option<&str>, destination: Option<&str>) -> Reply {
        let (status, code, message) = (self.status(), self.code(), self.message());
        let reply = if is_navigation(head) {
            // The query of a login that could not begin holds the page to return to.
            let parts = head.url_parts();
            let is_too_long = matches!(self, Self::DestinationTooLong);
            let again = login_path.map(|path| match (parts.query, destination) {
                (Some(query), _) if parts.path == path && !is_too_long => format!("{path}?{query}"),
                (_, Some(destination)) => login_link(path, destination),
                _ => path.into(),
            });
            let (title, link) =
                if is_too_long { ("This address is too long", "Log in") } else { ("Login failed", "Log in again") };
            Page { status, title, message, code, action: again.as_deref().map(|address| (link, address)) }
                .reply(head.request_id().as_deref())
        } else {
            let provider_error = match self {
                Self::Callback(CallbackError::Denied(error) | CallbackError::ExchangeRefused(error, _)) => {
                    Some(error.code())
                }
                _ => None,
            };
            let mut members = alloc::vec::Vec::new();
            members.extend(provider_error.map(|error| ("error", error)));
            members.extend(login_path.map(|path| ("login", path)));
            Reply::problem_with(status, code, message, &members)
        };
        if matches!(status, 502 | 503) {
            reply.with("retry-after", limits::LOGIN_RETRY_AFTER_S.to_string())
        } else {
            reply
        }
    }
}

const PROVIDER_IS_DOWN: &str = "The login service is not available at the moment. Please try again shortly.";

impl CallbackError {
    /// Returns the message for the user.
    pub(super) const fn message(&self) -> &'static str {
        match self {
            Self::Malformed => "The response from the login service is incomplete. Please log in again.",
            Self::StateUnknown => {
                "This login was not started in this browser, was already completed, or has expired. Please log in again."
            }
            Self::Expired => "Your login took too long. Please log in again.",
            Self::IssuerMismatch | Self::IssuerMissing(_) => {
                "The response did not come from the expected login service. Please log in again."
            }
            Self::Denied(_) => "The login service did not log you in. You can try again.",
            Self::ExchangeRefused(..) => {
                "The login could not be completed. If this happens again, please contact the operator of this site."
            }
            Self::ExchangeFailed(_) => PROVIDER_IS_DOWN,
            Self::OrganizationMismatch => {
                "You logged in with a different organization than the one requested. Please log in again."
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

impl From<UserinfoError> for LoginError {
    fn from(error: UserinfoError) -> Self {
        Self::Userinfo(error)
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

/// Returns the page after a logout if the provider has no logout or is unavailable.
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

/// Returns the page after a login whose session cookie is `SameSite=Strict`. It refreshes to the destination, so that the next
/// request comes from this site and carries the cookie.
pub(super) fn logged_in(head: &RequestHead<'_>, location: &str) -> Reply {
    Page {
        status: 200,
        title: "You are logged in",
        message: "The page you requested will open automatically.",
        code: "logged_in",
        action: Some(("Continue", location)),
    }
    .reply(head.request_id().as_deref())
    .with("refresh", format!("0; url={location}"))
}

/// Returns the page that asks the user to confirm a logout requested by another site.
pub(crate) fn confirm_logout(head: &RequestHead<'_>, path: &str) -> Reply {
    // A path that begins with two slashes would be a link to another host.
    let path = ReturnTo::parse(path).unwrap_or_default();
    Page {
        status: 200,
        title: "Log out?",
        message: "Another site requested that you be logged out. You stay logged in unless you confirm.",
        code: "logout_needs_confirmation",
        action: Some(("Log out", path.as_str())),
    }
    .reply(head.request_id().as_deref())
}

/// Refuses a login in a frame: it could happen without the user noticing, and browsers withhold its cookies.
pub(crate) fn open_in_window(head: &RequestHead<'_>) -> Reply {
    Page {
        status: 400,
        title: "Open this page in its own tab",
        message: "You cannot log in inside another page. Please open this site in its own tab.",
        code: NAVIGATION_REQUIRED,
        action: Some(("Go to the start page", "/")),
    }
    .reply(head.request_id().as_deref())
}

/// Refuses a script or prefetch where only a browser navigation may act.
pub(crate) fn navigation_required(is_callback: bool) -> Reply {
    let detail = if is_callback {
        "Nothing was changed: the callback only accepts the browser navigation that returns from the login service."
    } else {
        "Nothing was changed: open this URL as a page, or send a POST from a page of this site."
    };
    Reply::problem_with(400, NAVIGATION_REQUIRED, detail, &[("error", "invalid_request")])
}

const NAVIGATION_REQUIRED: &str = "navigation_required";
