//! The browser comes back with a code (OpenID Connect Core §3.1.2.5, RFC 9207).

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::transaction::{Transaction, UsedStates};
use super::{AccessReading, Client, Provider, form};
use crate::io::{Incoming, Outgoing, UnixTime, Unreachable};
use crate::json::{Document, Value};
use crate::jwt::{Policy, VerifiedToken, is_organization, unverified_claims};
use crate::limits;
use crate::session::{Cookies, Sealer, Session, Tokens};

/// Why a login failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallbackError {
    /// A parameter is missing, or there more than once.
    Malformed,
    /// This browser has no open login of that `state`: it is foreign, over, or was used.
    StateUnknown,
    /// `iss` is missing where it was promised, or names another issuer.
    IssuerMismatch,
    /// The provider says no: its error code, from the registered ones.
    Denied(String),
    /// The token endpoint refused: its error code.
    ExchangeRefused(String),
    /// The token endpoint could not be reached or did not answer with tokens.
    ExchangeFailed,
    /// The ID token is not of the organization that was asked for.
    OrganizationMismatch,
}

impl CallbackError {
    /// The stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "callback_invalid",
            Self::StateUnknown => "state_invalid",
            Self::IssuerMismatch => "callback_issuer_mismatch",
            Self::Denied(_) => "login_denied",
            Self::ExchangeRefused(_) | Self::ExchangeFailed => "token_exchange_failed",
            Self::OrganizationMismatch => "organization_mismatch",
        }
    }

    /// The HTTP status that says whose fault it is.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed | Self::StateUnknown | Self::IssuerMismatch | Self::Denied(_) => 400,
            Self::ExchangeRefused(_) | Self::ExchangeFailed => 502,
            Self::OrganizationMismatch => 403,
        }
    }
}

/// A code that may be exchanged: `state` and `iss` were right. Made by [`accept`] only.
pub struct CodeExchange {
    transaction: Transaction,
    code: String,
}

/// Tokens that came for the code; nothing about them is verified yet. Made by [`CodeExchange::finish`] only.
pub struct PendingLogin {
    transaction: Transaction,
    reply: Reply,
}

/// A successful answer of the token endpoint (RFC 6749 §5.1).
pub struct Reply {
    pub(super) access_token: String,
    pub(super) expires_in_s: Option<i64>,
    pub(super) refresh_token: Option<String>,
    pub(super) id_token: Option<String>,
    pub(super) scope: Option<String>,
}

/// Takes the callback's query. `Ok` and `Err` alike come with the `Set-Cookie` values that close the login.
///
/// # Errors
/// See [`CallbackError`].
pub fn accept(
    client: &Client,
    provider: &Provider,
    sealer: &Sealer,
    used: &mut UsedStates,
    query: &str,
    cookies: &Cookies<'_>,
    now: UnixTime,
) -> (Result<CodeExchange, CallbackError>, Vec<String>) {
    let parameters = form::parse(query);
    let once = |name| form::once(&parameters, name).map_err(|_| CallbackError::Malformed);
    let read = || Ok((once("state")?, once("iss")?, once("error")?, once("code")?));
    let (state, iss, error, code) = match read() {
        Ok((Some(state), iss, error, code)) => (state, iss, error, code),
        Ok(_) => return (Err(CallbackError::Malformed), Vec::new()),
        Err(error) => return (Err(error), Vec::new()),
    };
    // What this browser does not hold it cannot have begun: nothing is closed, for the login may be another tab's.
    let Some(transaction) = Transaction::find(sealer, client.host(), cookies, state) else {
        return (Err(CallbackError::StateUnknown), Vec::new());
    };
    let close = Transaction::close(state);
    let check = || {
        if !transaction.is_open(now) || !used.claim(state) {
            return Err(CallbackError::StateUnknown);
        }
        // RFC 9207 §2.4: a missing `iss` is as bad as a wrong one where it was promised.
        match iss {
            Some(iss) if iss != provider.issuer => return Err(CallbackError::IssuerMismatch),
            None if provider.sends_iss => return Err(CallbackError::IssuerMismatch),
            _ => {}
        }
        if let Some(error) = error {
            return Err(CallbackError::Denied(registered_error(error)));
        }
        match code {
            Some(code) if !code.is_empty() => Ok(CodeExchange { transaction, code: code.into() }),
            _ => Err(CallbackError::Malformed),
        }
    };
    (check(), close)
}

impl CodeExchange {
    /// The exchange, with the client secret of this attempt. Sent once per attempt, never repeated.
    #[must_use]
    pub fn request(&self, client: &Client, provider: &Provider, attempt: usize, user_ip: Option<&str>) -> Outgoing {
        let parameters = [
            ("grant_type", "authorization_code"),
            ("code", self.code.as_str()),
            ("redirect_uri", client.redirect_uri.as_str()),
            ("code_verifier", self.transaction.verifier.as_str()),
        ];
        client.request(&provider.token_endpoint, &parameters, attempt, user_ip)
    }

    /// Takes the answer.
    ///
    /// # Errors
    /// If the endpoint did not give tokens.
    pub fn finish(&self, answer: Result<Incoming, Unreachable>) -> Result<PendingLogin, CallbackError> {
        let reply = Reply::read(answer)?;
        if reply.id_token.is_none() {
            return Err(CallbackError::ExchangeFailed);
        }
        Ok(PendingLogin { transaction: self.transaction.clone(), reply })
    }
}

impl PendingLogin {
    /// The ID token, to be verified with [`policy`](Self::policy).
    #[must_use]
    pub fn id_token(&self) -> &str {
        self.reply.id_token.as_deref().unwrap_or_default()
    }

    /// The access token.
    #[must_use]
    pub fn access_token(&self) -> &str {
        &self.reply.access_token
    }

    /// What this login's ID token must satisfy: the client's policy, its nonce, and the hash of its access token.
    #[must_use]
    pub fn policy(&self, base: &Policy) -> Policy {
        base.clone().nonce(self.transaction.nonce.clone()).at_hash_of(self.reply.access_token.clone())
    }

    /// The session of the user whom the verified ID token names, and where the browser goes.
    ///
    /// `access` is what verification says of the access token.
    ///
    /// # Errors
    /// If another organization was asked for.
    pub fn into_session(
        self,
        client: &Client,
        id: &VerifiedToken,
        access: &AccessReading,
        session_id: String,
        now: UnixTime,
    ) -> Result<(Session, String), CallbackError> {
        if let Some(organization) = &self.transaction.organization
            && !is_organization(id.claims(), organization)
        {
            return Err(CallbackError::OrganizationMismatch);
        }
        if !client.admits(id.claims()) {
            return Err(CallbackError::OrganizationMismatch);
        }
        let claims = client.about_user(id.claims()).ok_or(CallbackError::ExchangeFailed)?;
        let scope = self.reply.scope.clone();
        let tokens = self.reply.into_tokens(access, now);
        let session = Session::new(session_id, claims, tokens, now).with_nonce(self.transaction.nonce);
        let session = client.grant(session, access, scope.as_deref(), None).ok_or(CallbackError::ExchangeFailed)?;
        Ok((session, client.after_login(&self.transaction.return_to)))
    }
}

impl Reply {
    /// Reads an answer of the token endpoint.
    pub(super) fn read(answer: Result<Incoming, Unreachable>) -> Result<Self, CallbackError> {
        let answer = answer.map_err(|_| CallbackError::ExchangeFailed)?;
        if !answer.is_json() || answer.body.len() > limits::MAX_PROVIDER_BODY_BYTES {
            return Err(CallbackError::ExchangeFailed);
        }
        let document =
            Document::parse(answer.body, limits::MAX_CLAIMS_DEPTH).map_err(|_| CallbackError::ExchangeFailed)?;
        let root = document.root();
        let text = |name| root.get(name).and_then(Value::as_str);
        if let Some(error) = text("error") {
            return Err(CallbackError::ExchangeRefused(registered_error(error)));
        }
        let is_bearer = text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
        // RFC 6749 Appendix A.12: visible characters. Tokens go into headers.
        let is_token = |token: &&str| {
            (1..=limits::MAX_TOKEN_BYTES).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let access_token = text("access_token").filter(is_token);
        let (200, true, Some(access_token)) = (answer.status, is_bearer, access_token) else {
            return Err(CallbackError::ExchangeFailed);
        };
        // RFC 6749 §5.1 wants a number; some providers write it as text. What is no time to come says nothing.
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

    /// The tokens to keep.
    pub(super) fn into_tokens(self, access: &AccessReading, now: UnixTime) -> Tokens {
        let unstated_s = match access {
            AccessReading::Verified(_) => limits::ACCESS_TOKEN_MAX_S,
            _ => limits::ACCESS_TOKEN_DEFAULT_S,
        };
        let life_s = self.expires_in_s.unwrap_or(unstated_s).min(limits::ACCESS_TOKEN_MAX_S);
        let stated_s = now.secs().saturating_add(life_s);
        // Whatever the token endpoint says, a token is good no longer than it says itself. One that is not verified may say so
        // too: it can only shorten its life.
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

/// Seconds written as text, without their fraction.
fn whole_seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    whole.parse().ok().filter(|_| is_number)
}

/// An error code from outside, only if it has the form of one (RFC 6749 §4.1.2.1): it goes into logs and pages.
fn registered_error(code: &str) -> String {
    let is_code = !code.is_empty() && code.len() <= 64 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if is_code { code.to_string() } else { "unknown_error".into() }
}
