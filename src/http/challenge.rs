//! Refusals of tokens on the wire: status, `WWW-Authenticate` (RFC 6750 §3) and a problem document (RFC 9457).

use alloc::string::String;

use super::Reply;
use crate::error::{Forbidden, VerifyError};
use crate::jwk::KeysError;
use crate::jwt::Requirements;
use crate::text::{concat, decimal, words};

const REALM: &str = r#"Bearer realm="edgeward""#;

/// No credentials on a route that needs some: a challenge without an error. `login` is where people can log in.
#[must_use]
pub fn missing_token(login: Option<&str>) -> Reply {
    let detail = match login {
        None => "This needs an access token in the Authorization header: Authorization: Bearer <token>.",
        Some(_) => "This needs a login, or an access token in the Authorization header: Authorization: Bearer <token>.",
    };
    let mut more = alloc::vec![("error", "unauthorized")];
    more.extend(login.map(|path| ("login", path)));
    Reply::problem_with(401, "token_missing", detail, &more).with("www-authenticate", REALM)
}

/// A request that carries credentials in a way that is not allowed.
#[must_use]
pub fn bad_request(detail: &str) -> Reply {
    Reply::problem_with(400, "invalid_request", detail, &[("error", "invalid_request")])
        .with("www-authenticate", concat(&[REALM, r#", error="invalid_request""#]))
}

/// A token that was refused. The one place where errors become HTTP.
#[must_use]
pub fn refused(error: &VerifyError) -> Reply {
    let (status, oauth_error, hint) = match error {
        VerifyError::Forbidden(reason) => return forbidden(reason, &Requirements::default()),
        VerifyError::ClientNotAllowed(_) => (403, "insufficient_scope", None),
        VerifyError::AudienceMismatch { is_id_token: true, .. } | VerifyError::TokenKindMismatch { .. } => {
            (401, "invalid_token", Some("Send the access token issued for this API, not the ID token."))
        }
        VerifyError::AudienceMismatch { is_id_token: false, .. } => (
            401,
            "invalid_token",
            Some("Request the token with this API's audience; it is compared exactly, a trailing slash counts."),
        ),
        VerifyError::TokenMalformed(_) => (
            401,
            "invalid_token",
            Some("This is not a signed JWT. A provider issues opaque tokens when no API audience was requested."),
        ),
        VerifyError::TokenExpired { .. } => (401, "invalid_token", Some("Refresh the token or log in again.")),
        VerifyError::TokenTooLarge { .. }
        | VerifyError::TokenEncrypted
        | VerifyError::AlgNotAllowed { .. }
        | VerifyError::CritNotSupported
        | VerifyError::B64NotSupported
        | VerifyError::KeyNotFound
        | VerifyError::KeyAmbiguous
        | VerifyError::KeyAlgMismatch { .. }
        | VerifyError::SignatureInvalid
        | VerifyError::TypNotAllowed(_)
        | VerifyError::ClaimMalformed { .. }
        | VerifyError::ClaimMissing { .. }
        | VerifyError::ClaimMismatch { .. }
        | VerifyError::IssuerMismatch(_)
        | VerifyError::TokenNotYetValid { .. }
        | VerifyError::TokenIssuedInFuture { .. }
        | VerifyError::TokenTooOld { .. }
        | VerifyError::TokenSenderConstrained
        | VerifyError::NonceMismatch
        | VerifyError::AzpMismatch(_)
        | VerifyError::AtHashMismatch => (401, "invalid_token", None),
    };
    let detail = sentence(&error.message());
    let mut more = alloc::vec![("error", oauth_error)];
    more.extend(hint.map(|hint| ("hint", hint)));
    let description: String = detail.chars().map(|c| if matches!(c, '"' | '\\') { '\'' } else { c }).collect();
    Reply::problem_with(status, error.code(), &detail, &more).with(
        "www-authenticate",
        concat(&[REALM, r#", error=""#, oauth_error, r#"", error_description=""#, &description, r#"""#]),
    )
}

/// A genuine token that does not give the right that is demanded; names what was demanded.
#[must_use]
pub fn forbidden(reason: &Forbidden, requirements: &Requirements) -> Reply {
    let roles = requirements.roles.as_ref().map(|roles| words(&roles.all));
    let demanded = match reason {
        Forbidden::Scope => words(&requirements.scopes),
        Forbidden::Permission { .. } => words(&requirements.permissions),
        Forbidden::Role { .. } => roles.unwrap_or_default(),
        Forbidden::Organization => words(&requirements.organizations),
        Forbidden::Audience => words(&requirements.audience),
    };
    let detail = sentence(reason.message());
    let more = [("error", "insufficient_scope"), ("required", demanded.as_str())];
    let mut challenge = concat(&[REALM, r#", error="insufficient_scope""#]);
    // RFC 6750 §3: `scope` holds scope tokens only, whose characters need no quoting (RFC 6749 §3.3).
    let is_scope = |scope: &String| scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    if !requirements.scopes.is_empty() && requirements.scopes.iter().all(is_scope) {
        challenge.push_str(&concat(&[r#", scope=""#, &words(&requirements.scopes), r#"""#]));
    }
    let more = if demanded.is_empty() { &more[..1] } else { &more[..] };
    Reply::problem_with(403, reason.code(), &detail, more).with("www-authenticate", challenge)
}

/// There are no keys to decide with: not the caller's fault, so never 401.
#[must_use]
pub fn unavailable(error: KeysError, retry_after_s: u32) -> Reply {
    let more = [("error", "temporarily_unavailable")];
    Reply::problem_with(503, error.code(), &sentence(error.message()), &more)
        .with("retry-after", decimal(retry_after_s.into()))
}

/// An error's message as a sentence.
fn sentence(message: &str) -> String {
    let mut text = String::from(message);
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text.push('.');
    text
}
