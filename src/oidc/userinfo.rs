//! Claims about the user, fresh from the provider (OpenID Connect Core §5.3).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Provider;
use crate::io::{Incoming, Outgoing, Unreachable};
use crate::json::{Document, Value};
use crate::jwt::Claims;
use crate::limits;

/// Why there are no claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserinfoError {
    /// The provider does not take the token.
    TokenRefused,
    /// The provider cannot be reached or answers nonsense.
    Unavailable,
    /// The answer is about another user.
    SubjectMismatch,
    /// The token is of another issuer, to which it is not sent: nobody else may see it.
    IssuerMismatch,
}

impl UserinfoError {
    /// The stable name of this error.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TokenRefused => "userinfo_token_refused",
            Self::Unavailable => "userinfo_unavailable",
            Self::SubjectMismatch => "userinfo_subject_mismatch",
            Self::IssuerMismatch => "userinfo_issuer_mismatch",
        }
    }
}

/// The request with somebody's access token; `claims` are those that were verified about them.
///
/// # Errors
/// [`UserinfoError::IssuerMismatch`] unless the provider issued the token, [`UserinfoError::Unavailable`] if it has no such
/// endpoint.
pub fn begin_userinfo(provider: &Provider, claims: &Claims, access_token: &str) -> Result<Outgoing, UserinfoError> {
    if claims.issuer() != Some(&provider.issuer) {
        return Err(UserinfoError::IssuerMismatch);
    }
    Ok(Outgoing {
        method: "GET",
        url: provider.userinfo_endpoint.clone().ok_or(UserinfoError::Unavailable)?,
        headers: Vec::from([
            ("accept", "application/json".into()),
            ("authorization", format!("Bearer {access_token}")),
        ]),
        body: None,
        timeout_ms: limits::FETCH_TIMEOUT_MS,
        max_body_bytes: limits::MAX_PROVIDER_BODY_BYTES,
    })
}

/// Reads the answer: a JSON object about the expected `subject`.
///
/// # Errors
/// See [`UserinfoError`].
pub fn finish_userinfo(answer: Result<Incoming, Unreachable>, subject: &str) -> Result<String, UserinfoError> {
    let answer = answer.map_err(|_| UserinfoError::Unavailable)?;
    if matches!(answer.status, 401 | 403) {
        return Err(UserinfoError::TokenRefused);
    }
    if answer.status != 200 || !answer.is_json() || answer.body.len() > limits::MAX_PROVIDER_BODY_BYTES {
        return Err(UserinfoError::Unavailable);
    }
    let document = Document::parse(answer.body, limits::MAX_CLAIMS_DEPTH).map_err(|_| UserinfoError::Unavailable)?;
    // OpenID Connect Core §5.3.2: it must be the same `sub`.
    match document.root().get("sub") {
        Some(Value::String(sub)) if sub == subject => Ok(document.text().into()),
        _ => Err(UserinfoError::SubjectMismatch),
    }
}
