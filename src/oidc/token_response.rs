//! Requests to the token endpoint and its responses (RFC 6749 §5).

use alloc::string::String;

use super::{AccessTokenVerdict, Client, Provider, ProviderError};
use crate::host::Host;
use crate::io::{Incoming, UnixTime, Unreachable};
use crate::json::{Document, Value};
use crate::jwt::unverified_claims;
use crate::limits;
use crate::session::Tokens;

/// A successful token response (RFC 6749 §5.1), with unverified tokens.
pub(super) struct TokenResponse {
    pub(super) access_token: String,
    pub(super) expires_in_s: Option<i64>,
    pub(super) refresh_token: Option<String>,
    pub(super) id_token: Option<String>,
    pub(super) scope: Option<String>,
}

/// Why the token endpoint returned no tokens.
pub(super) enum TokenError {
    /// It refused the request (RFC 6749 §5.2).
    Refused {
        /// Its HTTP status.
        status: u16,
        /// Its error.
        error: ProviderError,
    },
    /// It is unreachable, or returned no tokens.
    Unavailable,
}

impl Client {
    /// Requests tokens for a code or a refresh token, which is sent once, and again only with another client secret.
    pub(super) async fn request_tokens(
        &self,
        provider: &Provider,
        parameters: &[(&str, &str)],
        user_ip: Option<&str>,
        host: &impl Host,
    ) -> Result<TokenResponse, TokenError> {
        let refuses_client = |answer: &Incoming| {
            let read = TokenResponse::read(Ok(answer.clone()));
            matches!(read, Err(TokenError::Refused { error, .. }) if error.code() == "invalid_client")
        };
        let answer = self.send(&provider.token_endpoint, parameters, user_ip, refuses_client, host).await;
        TokenResponse::read(answer)
    }
}

impl TokenResponse {
    fn read(answer: Result<Incoming, Unreachable>) -> Result<Self, TokenError> {
        let answer = answer.map_err(|_| TokenError::Unavailable)?;
        if !answer.is_json() || answer.body.len() > limits::MAX_PROVIDER_BODY_BYTES {
            return Err(TokenError::Unavailable);
        }
        let document = Document::parse(answer.body, limits::MAX_CLAIMS_DEPTH).map_err(|_| TokenError::Unavailable)?;
        let root = document.root();
        let text = |name| root.get(name).and_then(Value::as_str);
        if let Some(error) = text("error") {
            let error = ProviderError::new(error, text("error_description"));
            return Err(TokenError::Refused { status: answer.status, error });
        }
        let is_bearer = text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
        // RFC 6749 Appendix A.12: visible characters. Tokens go into headers.
        let is_token = |token: &&str| {
            (1..=limits::MAX_TOKEN_BYTES).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let access_token = text("access_token").filter(is_token);
        let (200, true, Some(access_token)) = (answer.status, is_bearer, access_token) else {
            return Err(TokenError::Unavailable);
        };
        // RFC 6749 §5.1 requires a number; some providers send text. Values below one second count as absent.
        let expires_in_s = match root.get("expires_in") {
            Some(Value::Number(seconds)) => Some(seconds.as_f64() as i64),
            Some(Value::String(text)) => whole_seconds(text),
            _ => None,
        };
        Ok(Self {
            access_token: access_token.into(),
            expires_in_s: expires_in_s.filter(|seconds| *seconds >= 1),
            refresh_token: text("refresh_token").map(Into::into),
            id_token: text("id_token").map(Into::into),
            scope: text("scope").map(Into::into),
        })
    }

    /// Returns the tokens to store in a session.
    pub(super) fn into_tokens(self, access: &AccessTokenVerdict, now: UnixTime) -> Tokens {
        let unstated_s = match access {
            AccessTokenVerdict::Verified(_) => limits::ACCESS_TOKEN_MAX_S,
            _ => limits::ACCESS_TOKEN_DEFAULT_S,
        };
        let life_s = self.expires_in_s.unwrap_or(unstated_s).min(limits::ACCESS_TOKEN_MAX_S);
        let stated_s = now.secs().saturating_add(life_s);
        // A token is not valid beyond its own `exp`, whatever the response states. That holds for an unverified token, too, because
        // it can only shorten its lifetime.
        let exp = match unverified_claims(&self.access_token).as_ref().and_then(|claims| claims.get("exp")) {
            Some(Value::Number(exp)) if exp.as_f64() >= 0.0 => exp.as_f64() as i64,
            _ => i64::MAX,
        };
        Tokens {
            access: self.access_token,
            access_obtained_s: now.secs(),
            access_expires_s: stated_s.min(exp),
            refresh: self.refresh_token,
            id: self.id_token,
        }
    }
}

/// Parses seconds written as text, and drops the fraction.
fn whole_seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    whole.parse().ok().filter(|_| is_number)
}
