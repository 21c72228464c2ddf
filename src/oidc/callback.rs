//! The callback: the provider redirects the browser back with a code (OpenID Connect Core §3.1.2.5, RFC 9207).

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::host::random;
use super::login_error::{logged_in, navigation_required};
use super::token_response::{TokenError, TokenResponse};
use super::transaction::Transaction;
use super::{
    AccessTokenVerdict, Client, LoginError, LoginHost, Provider, ProviderError, RelyingParty, SessionAction, form,
};
use crate::base64url;
use crate::http::page_texts::message;
use crate::http::{Reply, RequestHead};
use crate::io::UnixTime;
use crate::json::Document;
use crate::jwt::{Claims, Id, VerifiedToken, is_organization};
use crate::limits;
use crate::session::{Cookies, Session};
use crate::text::decimal;
use crate::url::is_issuer;

/// An error of the callback.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallbackError {
    /// A parameter is missing or repeated.
    Malformed,
    /// This browser has no pending login with that `state`: it belongs elsewhere, has expired, or was already used.
    StateUnknown,
    /// `iss` is missing although the provider announced it, or names another issuer.
    IssuerMismatch,
    /// The provider refused the login.
    Denied(ProviderError),
    /// The token endpoint refused the code.
    ExchangeRefused(ProviderError),
    /// The token endpoint is unreachable or returned no tokens.
    ExchangeFailed,
    /// The ID token is not for the requested organization.
    OrganizationMismatch,
}

impl CallbackError {
    /// Returns the stable code of this error.
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

    /// Returns the HTTP status: 4xx for the request, 5xx for the provider.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed | Self::StateUnknown | Self::IssuerMismatch | Self::Denied(_) => 400,
            Self::ExchangeRefused(_) | Self::ExchangeFailed => 502,
            Self::OrganizationMismatch => 403,
        }
    }
}

impl core::fmt::Display for CallbackError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(message(&decimal(self.status().into()), self.code()))
    }
}

impl core::error::Error for CallbackError {}

impl From<TokenError> for CallbackError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Refused { error, .. } => Self::ExchangeRefused(error),
            TokenError::Unavailable => Self::ExchangeFailed,
        }
    }
}

/// A callback with valid `state` and `iss`, whose code may be exchanged. Created only by [`RelyingParty::accept`].
struct AcceptedCallback {
    transaction: Transaction,
    code: String,
}

/// Unverified tokens issued for the code. Created only by [`AcceptedCallback::exchange`].
struct PendingLogin {
    transaction: Transaction,
    response: TokenResponse,
}

/// A login whose ID token was verified for this login. Created only by [`PendingLogin::verify`].
struct VerifiedLogin {
    transaction: Transaction,
    response: TokenResponse,
    id: VerifiedToken<Id>,
}

impl RelyingParty {
    /// Completes a login. `login_destination` maps the requested location to an allowed one.
    pub(crate) async fn callback(
        self: &Arc<Self>,
        head: &RequestHead<'_>,
        login_destination: impl Fn(String) -> String,
        host: &impl LoginHost,
    ) -> Result<Reply, LoginError> {
        let provider = self.provider(host).await?;
        let accepted = self.accept(head, &provider, host.now(), StateUse::Consume)?;
        let cleared = Transaction::clear(&accepted.transaction.state);
        let user_ip = head.client_address();
        let pending = accepted.exchange(&self.client, &provider, user_ip.as_deref(), host).await?;
        let login = pending.verify(self, host).await?;
        let access = self.check_access_token(login.claims(), login.access_token(), host).await;
        let userinfo = self.userinfo_of_session(login.claims(), login.access_token(), host).await?;
        let id = base64url::encode(&random::<{ limits::SESSION_ID_BYTES }>(host));
        let (session, location) = login.into_session(&self.client, &access, userinfo.as_ref(), id, host.now())?;
        let location = login_destination(location);
        let mut cookies = self.to_cookies(head, &session, host).ok_or(LoginError::TooLarge)?;
        cookies.extend(cleared);
        // A copy of the replaced session's cookie must not be usable any more.
        self.end_sessions(head, SessionAction::Replace, host).await;
        Ok(if self.sessions.cookie.same_site == "Strict" {
            // A redirect would still belong to the cross-site navigation from the provider, and browsers would not send the cookie.
            logged_in(&location).with_cookies(cookies)
        } else {
            Reply::redirect(location).with_cookies(cookies)
        })
    }

    /// Checks a callback sent by a script and reports its error, if any, without redeeming the code or consuming the state.
    pub(crate) async fn inspect_callback(
        &self,
        head: &RequestHead<'_>,
        host: &impl LoginHost,
    ) -> Result<Reply, LoginError> {
        let provider = self.provider(host).await?;
        self.accept(head, &provider, host.now(), StateUse::Inspect)?;
        Ok(navigation_required(true))
    }

    /// Checks `state`, `iss`, `error` and `code` of the callback's query; each may occur once.
    fn accept(
        &self,
        head: &RequestHead<'_>,
        provider: &Provider,
        now: UnixTime,
        state_use: StateUse,
    ) -> Result<AcceptedCallback, CallbackError> {
        let parameters = form::parse(head.url_parts().query.unwrap_or_default());
        let once = |name| form::once(&parameters, name).map_err(|_| CallbackError::Malformed);
        let (state, iss, error, code) = (once("state")?, once("iss")?, once("error")?, once("code")?);
        let state = state.ok_or(CallbackError::Malformed)?;
        // Only the browser that began the login holds its cookie.
        let header = (head.header)("cookie").unwrap_or_default();
        let transaction = Transaction::find(&self.sessions.sealer, self.client.host(), &Cookies::new(&header), state)
            .filter(|transaction| transaction.is_open(now))
            .ok_or(CallbackError::StateUnknown)?;
        if state_use == StateUse::Consume && !self.state.with(|shared| shared.replay_guard.claim(state)) {
            return Err(CallbackError::StateUnknown);
        }
        // RFC 9207 §2.4: where `iss` was announced, a missing one is an error like a wrong one.
        match iss {
            Some(iss) if !is_issuer(&provider.issuer, iss) => return Err(CallbackError::IssuerMismatch),
            None if provider.sends_iss => return Err(CallbackError::IssuerMismatch),
            _ => {}
        }
        if let Some(error) = error {
            // A description is for the log only: one that is repeated does not matter.
            let description = form::once(&parameters, "error_description").ok().flatten();
            return Err(CallbackError::Denied(ProviderError::new(error, description)));
        }
        match code {
            Some(code) if !code.is_empty() => Ok(AcceptedCallback { transaction, code: code.to_string() }),
            _ => Err(CallbackError::Malformed),
        }
    }

    /// Returns the `Set-Cookie` values of the session; `None` if it does not fit into cookies.
    pub(super) fn to_cookies(
        &self,
        head: &RequestHead<'_>,
        session: &Session,
        host: &impl LoginHost,
    ) -> Option<Vec<String>> {
        let header = (head.header)("cookie").unwrap_or_default();
        let nonce = random(host);
        self.sessions.to_cookies(session, &Cookies::new(&header), self.client.host(), &nonce, host.now())
    }
}

/// Whether accepting a callback consumes its `state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StateUse {
    Consume,
    Inspect,
}

impl AcceptedCallback {
    /// Exchanges the code for tokens (RFC 6749 §4.1.3, RFC 7636 §4.5).
    async fn exchange(
        self,
        client: &Client,
        provider: &Provider,
        user_ip: Option<&str>,
        host: &impl LoginHost,
    ) -> Result<PendingLogin, CallbackError> {
        let Self { transaction, code } = self;
        let parameters = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", client.redirect_uri.as_str()),
            ("code_verifier", transaction.verifier.as_str()),
        ];
        let response = client.request_tokens(provider, &parameters, user_ip, host).await?;
        if response.id_token.is_none() {
            return Err(CallbackError::ExchangeFailed);
        }
        Ok(PendingLogin { transaction, response })
    }
}

impl PendingLogin {
    /// Verifies the ID token (OpenID Connect Core §3.1.3.7) against the client's policy, the nonce of this login and the hash of
    /// the access token.
    async fn verify(self, party: &RelyingParty, host: &impl LoginHost) -> Result<VerifiedLogin, LoginError> {
        let Self { transaction, response } = self;
        let policy =
            party.id_policy.clone().nonce(transaction.nonce.as_str()).at_hash_of(response.access_token.as_str());
        let id = party.keys.verify(&policy, response.id_token.as_deref().unwrap_or_default(), host).await?;
        Ok(VerifiedLogin { transaction, response, id })
    }
}

impl VerifiedLogin {
    /// Returns the claims of the ID token.
    fn claims(&self) -> &Claims {
        self.id.claims()
    }

    fn access_token(&self) -> &str {
        &self.response.access_token
    }

    /// Returns the user's session and the location to redirect the browser to. `access` is the verdict on the access token.
    fn into_session(
        self,
        client: &Client,
        access: &AccessTokenVerdict,
        userinfo: Option<&Document>,
        session_id: String,
        now: UnixTime,
    ) -> Result<(Session, String), CallbackError> {
        let Self { transaction, response, id } = self;
        if let Some(organization) = &transaction.organization
            && !is_organization(id.claims(), organization)
        {
            return Err(CallbackError::OrganizationMismatch);
        }
        if !client.admits(id.claims()) {
            return Err(CallbackError::OrganizationMismatch);
        }
        let claims = client.user_claims(id.claims(), userinfo).ok_or(CallbackError::ExchangeFailed)?;
        let scope = response.scope.clone();
        let tokens = response.into_tokens(access, now);
        let session = Session::new(session_id, claims, tokens, now).with_nonce(transaction.nonce);
        let session =
            client.apply_rights(session, access, scope.as_deref(), None).ok_or(CallbackError::ExchangeFailed)?;
        Ok((session, client.after_login(&transaction.return_to)))
    }
}
