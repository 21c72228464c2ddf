//! Responses to missing and refused tokens: status, `WWW-Authenticate` (RFC 6750 §3) and a problem document (RFC 9457).

use alloc::string::String;

use super::Reply;
use crate::dpop::ALGORITHM_NAMES;
use crate::error::{AudienceHint, Forbidden, Malformed, ProofError, TokenKind, VerifyError};
use crate::jwk::KeysError;
use crate::jwt::Requirements;
use crate::text::{concat, decimal, words};

const REALM: &str = r#"Bearer realm="edgeward""#;

/// Returns the challenge for a request without credentials, which names no error (RFC 6750 §3.1). `login` is the login path, if any.
#[must_use]
pub fn missing_token(login: Option<&str>) -> Reply {
    let detail = match login {
        None => "This needs an access token in the Authorization header: Authorization: Bearer <token>.",
        Some(_) => "This needs a login, or an access token in the Authorization header: Authorization: Bearer <token>.",
    };
    unauthorized("token_missing", detail, login)
}

/// Returns the same where tokens are read elsewhere: in the header or cookie `source`.
#[cfg(feature = "gateway")]
pub(crate) fn missing_token_in(source: &str, login: Option<&str>) -> Reply {
    let or = if login.is_some() { "a login, or " } else { "" };
    unauthorized("token_missing", &concat(&["This needs ", or, "an access token in the ", source, "."]), login)
}

fn unauthorized(code: &'static str, detail: &str, login: Option<&str>) -> Reply {
    let mut more = alloc::vec![("error", "unauthorized")];
    more.extend(login.map(|path| ("login", path)));
    Reply::problem_with(401, code, detail, &more).with("www-authenticate", REALM)
}

/// Returns the challenge for a request without a session where no token is accepted. `login` is the login path, if any.
#[cfg(feature = "gateway")]
pub(crate) fn missing_session(login: Option<&str>) -> Reply {
    unauthorized("login_required", "This needs a login.", login)
}

/// Returns the response to a valid token or session whose login is not sufficient (RFC 9470 §3). `parameters` name the required login,
/// and `login` is the URL where it begins.
#[cfg(feature = "gateway")]
pub(crate) fn insufficient_authentication(parameters: &[(&str, String)], login: Option<&str>) -> Reply {
    const CODE: &str = "insufficient_user_authentication";
    let detail = "This needs a stronger or more recent login.";
    let mut challenge = concat(&[REALM, r#", error=""#, CODE, r#"", error_description=""#, detail, "\""]);
    let mut more = alloc::vec![("error", CODE)];
    for (name, value) in parameters {
        challenge.push_str(&concat(&[", ", name, "=\"", value, "\""]));
        more.push((name, value));
    }
    more.extend(login.map(|url| ("login", url)));
    Reply::problem_with(401, CODE, detail, &more).with("www-authenticate", challenge)
}

/// Returns the response to a token where none is accepted.
#[cfg(feature = "gateway")]
pub(crate) fn token_not_accepted(code: &'static str, detail: &str) -> Reply {
    refused_with(401, code, "invalid_token", detail, None)
}

/// Adds the URL of the resource's metadata to a challenge (RFC 9728 §5.1), and the scopes that the route requires (RFC 6750 §3).
#[cfg(feature = "gateway")]
pub(crate) fn with_resource_metadata(mut reply: Reply, url: &str, requirements: &Requirements) -> Reply {
    let challenges = reply.headers.iter_mut().filter(|(name, _)| name == "www-authenticate");
    for (_, challenge) in challenges.filter(|(_, challenge)| challenge.starts_with(REALM)) {
        challenge.push_str(&concat(&[r#", resource_metadata=""#, url, "\""]));
        if reply.status == 401 {
            push_scope(challenge, requirements);
        }
    }
    reply
}

/// Returns the response to a request whose credentials are malformed or misplaced.
#[must_use]
pub fn bad_request(detail: &str) -> Reply {
    Reply::problem_with(400, "invalid_request", detail, &[("error", "invalid_request")])
        .with("www-authenticate", concat(&[REALM, r#", error="invalid_request""#]))
}

/// Returns the response to a refused token: the only place where these errors become HTTP.
///
/// ```
/// use edgeward::{http::refused, jwt::UntrustedToken};
///
/// let error = UntrustedToken::parse("opaque-token").err().unwrap();
/// let reply = refused(&error);
/// assert_eq!(reply.status, 401);
/// assert!(reply.header("www-authenticate").unwrap().contains(r#"error="invalid_token""#));
/// ```
#[must_use]
pub fn refused(error: &VerifyError) -> Reply {
    let (status, oauth_error, hint) = match error {
        VerifyError::Forbidden(reason) => return forbidden(reason, &Requirements::default()),
        // The caller's token may be valid.
        VerifyError::AsyncRequired { .. } => return Reply::problem(500, error.code(), &sentence(&error.message())),
        VerifyError::ClientNotAllowed(_) => (403, "insufficient_scope", None),
        VerifyError::AudienceMismatch { hint: AudienceHint::IdToken, .. }
        | VerifyError::TokenKindMismatch { actual: Some(TokenKind::Id), .. } => {
            (401, "invalid_token", Some("Send the access token issued for this API, not the ID token."))
        }
        VerifyError::TokenKindMismatch { expected: TokenKind::Access, .. } => {
            (401, "invalid_token", Some("Send the access token issued for this API."))
        }
        VerifyError::TokenKindMismatch { .. } => (401, "invalid_token", Some("Send the ID token.")),
        VerifyError::AudienceMismatch { hint: AudienceHint::Untrusted | AudienceHint::Unexpected, .. } => {
            (401, "invalid_token", None)
        }
        VerifyError::AudienceMismatch { .. } => (
            401,
            "invalid_token",
            Some("Request the token with this API's audience; it is compared exactly, a trailing slash counts."),
        ),
        VerifyError::TokenMalformed(malformed) if *malformed != Malformed::Parts => {
            (401, "invalid_token", Some("The token was altered, or not copied as a whole."))
        }
        VerifyError::TokenMalformed(_) => (
            401,
            "invalid_token",
            Some("This is not a signed JWT. A provider issues opaque tokens when no API audience was requested."),
        ),
        VerifyError::TokenEncrypted => (
            401,
            "invalid_token",
            Some("This token is encrypted. A provider issues tokens for itself when no API audience was requested."),
        ),
        VerifyError::TokenExpired { .. } => (401, "invalid_token", Some("Refresh the token or log in again.")),
        VerifyError::Proof(ProofError::NonceRequired) => (401, "use_dpop_nonce", None),
        VerifyError::TokenTooLarge { .. }
        | VerifyError::DecryptionFailed
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
        | VerifyError::TokenNotBound
        | VerifyError::Certificate(_)
        | VerifyError::Proof(ProofError::Missing)
        | VerifyError::NonceMismatch
        | VerifyError::AzpMismatch(_)
        | VerifyError::AtHashMismatch => (401, "invalid_token", None),
        VerifyError::Proof(_) => (401, "invalid_dpop_proof", None),
    };
    refused_with(status, error.code(), oauth_error, &sentence(&error.message()), hint)
}

fn refused_with(status: u16, code: &'static str, oauth_error: &str, detail: &str, hint: Option<&str>) -> Reply {
    let mut more = alloc::vec![("error", oauth_error)];
    more.extend(hint.map(|hint| ("hint", hint)));
    let description: String = detail.chars().map(|c| if matches!(c, '"' | '\\') { '\'' } else { c }).collect();
    Reply::problem_with(status, code, detail, &more).with(
        "www-authenticate",
        concat(&[REALM, r#", error=""#, oauth_error, r#"", error_description=""#, &description, r#"""#]),
    )
}

/// Changes a response to a refused request so that its challenge has the scheme `DPoP` (RFC 9449 §7.1), if the request `is_dpop` has used it or no
/// other is accepted (`is_only`). Where both are, a challenge of the other scheme follows.
#[must_use]
pub fn with_dpop_challenge(mut reply: Reply, is_dpop: bool, is_only: bool) -> Reply {
    let is_first = is_dpop || is_only;
    let found = reply.headers.iter_mut().find(|(name, _)| name == "www-authenticate");
    let Some((_, challenge)) = found else { return reply };
    let Some(rest) = challenge.strip_prefix("Bearer") else { return reply };
    let has_other = reply.status == 401 && !is_only;
    let (bearer, dpop) = match (is_first, has_other) {
        (true, true) => (REALM, rest),
        (true, false) => ("", rest),
        (false, true) => (&**challenge, REALM.strip_prefix("Bearer").unwrap_or_default()),
        (false, false) => return reply,
    };
    let dpop = concat(&["DPoP", dpop, r#", algs=""#, ALGORITHM_NAMES, "\""]);
    *challenge = match (is_first, has_other) {
        (true, true) => concat(&[&dpop, ", ", bearer]),
        (false, true) => concat(&[bearer, ", ", &dpop]),
        _ => dpop,
    };
    reply
}

/// Returns the response to a valid token that lacks a required right, naming the requirement.
#[must_use]
pub fn forbidden(reason: &Forbidden, requirements: &Requirements) -> Reply {
    let named = |all: &[String], any: &[String]| words(if all.is_empty() { any } else { all });
    let roles = requirements.roles.as_ref().map(|roles| named(&roles.all, &roles.any));
    let required = match reason {
        Forbidden::Scope => named(&requirements.scopes, &requirements.any_scope),
        Forbidden::Permission { .. } => named(&requirements.permissions, &requirements.any_permission),
        Forbidden::Role { .. } => roles.unwrap_or_default(),
        Forbidden::Organization => words(&requirements.organizations),
        Forbidden::Audience => words(&requirements.audience),
        Forbidden::Claim(claim) => claim.as_str().into(),
    };
    let detail = sentence(reason.message());
    let more = [("error", "insufficient_scope"), ("required", required.as_str())];
    let mut challenge = concat(&[REALM, r#", error="insufficient_scope""#]);
    push_scope(&mut challenge, requirements);
    let more = if required.is_empty() { &more[..1] } else { &more[..] };
    Reply::problem_with(403, reason.code(), &detail, more).with("www-authenticate", challenge)
}

/// Adds the required scopes to a challenge.
fn push_scope(challenge: &mut String, requirements: &Requirements) {
    // RFC 6750 §3: `scope` contains scope tokens only, whose characters need no escaping (RFC 6749 §3.3).
    let is_scope = |scope: &String| scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    if !requirements.scopes.is_empty() && requirements.scopes.iter().all(is_scope) {
        challenge.push_str(&concat(&[r#", scope=""#, &words(&requirements.scopes), "\""]));
    }
}

/// Returns the response when the issuer's keys are unavailable: not the caller's fault, so never 401.
#[must_use]
pub fn unavailable(error: KeysError, retry_after_s: u32) -> Reply {
    let more = [("error", "temporarily_unavailable")];
    Reply::problem_with(503, error.code(), &sentence(error.message()), &more)
        .with("retry-after", decimal(retry_after_s.into()))
}

/// Returns an error message as a sentence.
fn sentence(message: &str) -> String {
    let mut text = String::from(message);
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text.push('.');
    text
}
