//! Login errors: the pages and problem documents that clients get, and the log lines that help the operator.

use alloc::format;
use alloc::string::String;

use super::login::login_link;
use super::{CallbackError, RequestFailure, ReturnTo, UserinfoError};
use crate::discovery::DiscoveryError;
use crate::error::VerifyError;
use crate::http::page_texts::message;
use crate::http::{Reply, RequestHead, is_navigation};
use crate::jwk::KeysError;
use crate::limits;
use crate::text::{concat, decimal};
use crate::verifier::VerificationError;

/// An error of a login flow.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginError {
    /// The provider's endpoints are unknown.
    Provider(DiscoveryError),
    /// The authorization request could not be made.
    Request(RequestFailure),
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
            Self::Request(_) => "authorization_request_failed",
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
            Self::Provider(_) | Self::Request(_) | Self::Userinfo(_) => 502,
            Self::Callback(error) => error.status(),
            Self::IdToken(_) | Self::DestinationTooLong => 400,
            Self::Keys(_) => 503,
            Self::TooLarge => 500,
        }
    }

    /// Returns the message for the user, in English.
    fn message(&self) -> &'static str {
        message(&decimal(self.status().into()), self.code())
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
                        "the discovery document names another issuer than authorizer.issuer; the line about its request names both"
                    }
                };
                format!("{code}: {hint}")
            }
            Self::Request(error) => format!("{code}: {error}"),
            Self::Callback(CallbackError::ExchangeRefused(error, failure)) => {
                let hint = match error.code() {
                    "invalid_client" | "unauthorized_client" => {
                        "check client_id, client_secret or private_key, and client_auth against the application at the provider"
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
            Self::Callback(CallbackError::Denied(error)) => format!("{code}: the provider answered {error}"),
            Self::Callback(CallbackError::Malformed) => {
                format!("{code}: state or code is missing, or a parameter is repeated")
            }
            Self::Callback(CallbackError::StateUnknown) => {
                format!("{code}: this browser has no login with this state under way")
            }
            Self::Callback(CallbackError::Expired) => format!("{code}: the login took too long"),
            Self::Callback(CallbackError::IssuerMismatch) => format!("{code}: iss names another issuer"),
            Self::Callback(CallbackError::IssuerMissing) => {
                format!("{code}: iss is missing, although the provider's metadata promises it")
            }
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
                let most = limits::MAX_RETURN_TO_BYTES;
                format!("{code}: the address is longer than {most} bytes, or begins with two slashes in some reading")
            }
            Self::TooLarge => format!("{code}: store fewer claims with session.claims, or configure smaller tokens"),
        }
    }

    /// Returns the response. It sets no cookie. It links to a login that leads to `destination`, if that is known.
    #[must_use]
    pub fn reply(&self, head: &RequestHead<'_>, login_path: Option<&str>, destination: Option<&str>) -> Reply {
        let (status, code) = (self.status(), self.code());
        let parts = head.url_parts();
        let is_page = is_navigation(head);
        let again = login_path.map(|path| match (parts.query, destination) {
            _ if !is_page || matches!(self, Self::DestinationTooLong) => path.into(),
            // The query of a login that could not begin holds the page to return to.
            (Some(query), _) if parts.path == path => concat(&[path, "?", query]),
            (_, Some(destination)) => login_link(path, destination),
            _ => path.into(),
        });
        let mut members = alloc::vec::Vec::new();
        if let Self::Callback(CallbackError::Denied(error) | CallbackError::ExchangeRefused(error, _))
        | Self::Request(RequestFailure::Refused(error, _)) = self
        {
            members.push(("error", error.code()));
        }
        members.extend(again.as_deref().map(|address| ("login", address)));
        let reply = Reply::problem_with(status, code, self.message(), &members);
        if matches!(status, 502 | 503) {
            let known_s = if let Self::Request(failure) = self { failure.retry_after_s() } else { None };
            let most_s = limits::RETRY_AFTER_MAX_S;
            let retry_after_s = known_s.unwrap_or(limits::LOGIN_RETRY_AFTER_S.into()).min(most_s);
            reply.with("retry-after", decimal(retry_after_s.unsigned_abs()))
        } else {
            reply
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

impl From<RequestFailure> for LoginError {
    fn from(error: RequestFailure) -> Self {
        Self::Request(error)
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

/// Returns the page after a logout if the provider has no logout or is unavailable. `login` is the login path, if any.
pub(crate) fn logged_out(login: Option<&str>) -> Reply {
    Reply::page(200, "logged_out", login.map(|path| ("login", path)).as_slice())
}

/// Returns the page after a login whose session cookie is `SameSite=Strict`. It refreshes to the destination, so that the next
/// request comes from this site and carries the cookie.
pub(super) fn logged_in(location: &str) -> Reply {
    Reply::page(200, "logged_in", &[("continue", location)]).with("refresh", concat(&["0; url=", location]))
}

/// Returns the page that asks the user to confirm a logout requested by another site.
pub(crate) fn confirm_logout(path: &str) -> Reply {
    // A path that begins with two slashes would be a link to another host.
    let path = ReturnTo::parse(path).unwrap_or_default();
    Reply::page(200, "logout_needs_confirmation", &[("logout", path.as_str())])
}

/// Refuses a login in a frame: it could happen without the user noticing, and browsers withhold its cookies.
pub(crate) fn open_in_window() -> Reply {
    Reply::page(400, NAVIGATION_REQUIRED, &[])
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
