//! Requests to the token endpoint and its responses (RFC 6749 §5).

use alloc::string::String;
use core::fmt;

use super::{
    AccessTokenVerdict, Client, ClientAuth, KEY_MISSING, LoginHost, ProofKey, ProofKeys, Provider, ProviderError,
    TokenKey,
};
use crate::host::Level;
use crate::io::{Incoming, UnixTime, Unreachable, described, retry_after_s, status_of};
use crate::json::{Document, Value, without_byte_order_mark};
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
    /// The thumbprint of the key that the access token is bound to.
    pub(super) jkt: Option<String>,
}

/// Why the token endpoint returned no tokens.
pub(super) enum TokenError {
    /// It refused the request (RFC 6749 §5.2).
    Refused(ProviderError, EndpointFailure),
    /// It is unreachable, or returned no usable access token.
    Unavailable {
        /// Which of them.
        failure: EndpointFailure,
        /// The new refresh token, which may have replaced the one that was sent.
        refresh_token: Option<String>,
    },
}

/// A response without what was requested. Displays URL, status and what is missing, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointFailure {
    /// The URL.
    url: String,
    /// The HTTP status; 0 if there was no response.
    status: u16,
    /// What is missing although the status is that of success.
    lacks: &'static str,
    /// When the provider wants to be asked again.
    retry_after_s: Option<i64>,
}

impl EndpointFailure {
    /// Creates a failure of an endpoint that answers 200 if it succeeds.
    pub(super) fn new(url: &str, status: u16, lacks: &'static str) -> Self {
        Self { url: url.into(), status, lacks: if status == 200 { lacks } else { "" }, retry_after_s: None }
    }

    /// Creates a failure of an endpoint that answers 201 if it succeeds.
    pub(super) fn of_creation(
        url: &str,
        answer: &Result<Incoming, Unreachable>,
        lacks: &'static str,
        now: UnixTime,
    ) -> Self {
        let status = status_of(answer);
        let lacks = if matches!(status, 200 | 201) { lacks } else { "" };
        let retry_after_s = retry_after_s(answer, now);
        Self { url: url.into(), status, lacks, retry_after_s }
    }

    pub(super) const fn status(&self) -> u16 {
        self.status
    }

    /// Returns `Retry-After`, if the token endpoint sent it.
    pub(super) const fn retry_after_s(&self) -> Option<i64> {
        self.retry_after_s
    }
}

impl fmt::Display for EndpointFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&described(&self.url, self.status))?;
        f.write_str(self.lacks)
    }
}

impl Client {
    /// Requests tokens for a code or a refresh token, which is sent once, and again only with another client secret or with a nonce. `former` is the
    /// key of the token that the new one replaces: the refresh token of a public client is bound to it (RFC 9449 §5), so that without the key
    /// the request would end the session, and is not sent.
    pub(super) async fn request_tokens(
        &self,
        provider: &Provider,
        parameters: &[(&str, &str)],
        user_ip: Option<&str>,
        former: TokenKey<'_>,
        host: &impl LoginHost,
    ) -> Result<TokenResponse, TokenError> {
        let (url, keys) = (&provider.token_endpoint, self.options.proof_keys.as_ref());
        let is_refresh = parameters.contains(&REFRESH_GRANT);
        let key = match former {
            TokenKey::Own(_, key) => Some(key),
            TokenKey::Foreign if is_refresh && matches!(self.auth, ClientAuth::None) => {
                host.log(Level::Warning, &KEY_MISSING);
                let lacks = ", as no request was sent";
                let failure = EndpointFailure { url: url.clone(), status: 0, lacks, retry_after_s: None };
                return Err(TokenError::Unavailable { failure, refresh_token: None });
            }
            _ => keys.map(ProofKeys::current),
        };
        let refuses_client = |answer: &Incoming| {
            let read = TokenResponse::read(Ok(answer.clone()), url, key, host.now());
            matches!(read, Err(TokenError::Refused(error, _)) if error.code() == "invalid_client")
        };
        let (issuer, accept) = (&provider.issuer, (user_ip, "application/json", key));
        let answer = self.send_for(issuer, url, self.is_basic(), parameters, accept, &refuses_client, host).await;
        TokenResponse::read(answer, url, key, host.now())
    }
}

/// The parameter of a refresh.
pub(super) const REFRESH_GRANT: (&str, &str) = ("grant_type", "refresh_token");

impl TokenResponse {
    /// Reads a response. With `key`, the token must be bound to it: a client that wants that discards other tokens (RFC 9449 §5).
    fn read(
        answer: Result<Incoming, Unreachable>,
        url: &str,
        key: Option<&ProofKey>,
        now: UnixTime,
    ) -> Result<Self, TokenError> {
        let status = status_of(&answer);
        let retry_after_s = retry_after_s(&answer, now);
        let failure = |lacks| EndpointFailure { retry_after_s, ..EndpointFailure::new(url, status, lacks) };
        let unavailable = |lacks, refresh_token| TokenError::Unavailable { failure: failure(lacks), refresh_token };
        let answer = answer.map_err(|_| unavailable("", None))?;
        let document = json_object(&answer.body).ok_or_else(|| unavailable(" without JSON", None))?;
        let root = document.root();
        // Some providers send empty texts for what is absent.
        let text = |name| root.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(error) = text("error") {
            let error = ProviderError::new(error, text("error_description"));
            return Err(TokenError::Refused(error, failure("")));
        }
        let expected = if key.is_some() { "dpop" } else { "bearer" };
        let has_type = match root.get("token_type") {
            // RFC 6749 §5.1 requires it, and some providers omit it: such a token is a bearer token. The type of a bound one is stated.
            None | Some(Value::Null | Value::String("")) => key.is_none(),
            kind => kind.and_then(Value::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case(expected)),
        };
        // RFC 6749 Appendix A.12: visible characters. Tokens go into headers.
        let is_token = |token: &&str| {
            (1..=limits::MAX_TOKEN_BYTES).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let access_token = text("access_token").filter(is_token);
        let refresh_token = text("refresh_token").map(String::from);
        let is_bound = |token: &str| key.is_none_or(|key| key.binds(token));
        let lacks = match (status, access_token, has_type) {
            (200, Some(token), true) if !is_bound(token) => " without a token that is bound to authorizer.dpop_key",
            (200, Some(_), true) => "",
            (200, None, _) => " without access_token",
            (200, Some(_), false) if key.is_some() => " without token_type DPoP, which authorizer.dpop_key requires",
            (200, Some(_), false) => " without token_type Bearer",
            _ => " without tokens",
        };
        let access_token = access_token.filter(|_| lacks.is_empty());
        let Some(access_token) = access_token else {
            return Err(unavailable(lacks, refresh_token.filter(|_| status == 200)));
        };
        // RFC 6749 §5.1 requires a number; some providers send text.
        let expires_in_s = match root.get("expires_in") {
            Some(Value::Number(seconds)) => Some(seconds.as_f64() as i64),
            Some(Value::String(text)) => whole_seconds(text),
            _ => None,
        };
        Ok(Self {
            access_token: access_token.into(),
            expires_in_s,
            refresh_token,
            id_token: text("id_token").map(Into::into),
            scope: scope(root.get("scope")),
            jkt: key.map(ProofKey::thumbprint),
        })
    }

    /// Returns the tokens to store in a session.
    pub(super) fn into_tokens(self, access: &AccessTokenVerdict, now: UnixTime) -> Tokens {
        let unstated_s = match access {
            AccessTokenVerdict::Verified(_) => limits::ACCESS_TOKEN_MAX_S,
            _ => limits::ACCESS_TOKEN_DEFAULT_S,
        };
        // Values below one second count as absent.
        let life_s =
            self.expires_in_s.filter(|seconds| *seconds >= 1).unwrap_or(unstated_s).min(limits::ACCESS_TOKEN_MAX_S);
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
            jkt: self.jkt,
        }
    }
}

/// Reads the JSON object that a provider returned, of limited size and depth. Its media type does not matter: some providers send none, or
/// that of a text, and no other content is a JSON object.
pub(super) fn json_object(body: &[u8]) -> Option<Document> {
    let text = Some(without_byte_order_mark(body)).filter(|_| body.len() <= limits::MAX_PROVIDER_BODY_BYTES)?;
    Document::parse(text.to_vec(), limits::MAX_CLAIMS_DEPTH).ok()
}

/// Returns the JWT that a provider returned in place of a JSON object: what is labelled as one, or has the form of one.
pub(super) fn jwt_text<'a>(answer: &'a Incoming, media_type: &str) -> Option<&'a str> {
    let text = str::from_utf8(without_byte_order_mark(&answer.body)).unwrap_or_default().trim_ascii();
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_jwt = || text.contains('.') && text.bytes().all(is_part);
    (answer.has_media_type(media_type) || is_jwt()).then_some(text)
}

/// Parses seconds written as text, and drops the fraction.
fn whole_seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    whole.parse().ok().filter(|_| is_number)
}

/// Returns the scope of a response; `None` if it is absent, and so as requested (RFC 6749 §5.1). Some providers send a list. Anything else
/// is no scope.
fn scope(value: Option<Value<'_>>) -> Option<String> {
    match value {
        None | Some(Value::Null | Value::String("")) => None,
        Some(Value::String(scope)) => Some(scope.into()),
        Some(Value::Array(list)) => {
            let mut scope = String::new();
            for one in list.strings().into_iter().flatten() {
                scope.push_str(one);
                scope.push(' ');
            }
            Some(scope)
        }
        Some(_) => Some(String::new()),
    }
}
