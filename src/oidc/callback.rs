//! The callback: the provider redirects the browser back with a code (OpenID Connect Core §3.1.2.5, RFC 9207).

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::host::random;
use super::login_error::{logged_in, navigation_required};
use super::provider_error::shown;
use super::session_job::SessionJob;
use super::token_response::{TokenError, TokenResponse};
use super::transaction::{CallbackOutcome, PendingOutcome, Transaction};
use super::{
    AccessTokenVerdict, Client, EndpointFailure, LoginError, LoginHost, Provider, ProviderError, RelyingParty,
    SessionAction, TokenKey, form,
};
use crate::base64url;
use crate::crypto::sha256;
use crate::http::page_texts::message;
use crate::http::{Reply, RequestHead};
use crate::io::UnixTime;
use crate::json::Document;
use crate::jwt::{Claims, Id, VerifiedToken, is_organization};
use crate::limits;
use crate::session::{Cookies, Session};
use crate::text::{concat, decimal};
use crate::url::is_issuer;
use crate::verifier::VerificationError;

/// An error of the callback.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallbackError {
    /// A parameter is missing or repeated.
    Malformed,
    /// This browser has no pending login with that `state`: it belongs elsewhere, or was already used.
    StateUnknown,
    /// The login took too long.
    Expired,
    /// `iss` names another issuer.
    IssuerMismatch,
    /// `iss` is missing although the provider's metadata promises it (RFC 9207 §2.4).
    IssuerMissing,
    /// The provider refused the login.
    Denied(ProviderError),
    /// The token endpoint refused the code.
    ExchangeRefused(ProviderError, EndpointFailure),
    /// The token endpoint is unreachable or returned no tokens.
    ExchangeFailed(EndpointFailure),
    /// The ID token is not for the requested organization.
    OrganizationMismatch,
    /// The provider has not authenticated the user as the login requested.
    AuthenticationInsufficient,
}

impl CallbackError {
    /// Returns the stable code of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "callback_invalid",
            Self::StateUnknown | Self::Expired => "state_invalid",
            Self::IssuerMismatch | Self::IssuerMissing => "callback_issuer_mismatch",
            Self::Denied(_) => "login_denied",
            Self::ExchangeRefused(..) | Self::ExchangeFailed(_) => "token_exchange_failed",
            Self::OrganizationMismatch => "organization_mismatch",
            Self::AuthenticationInsufficient => "authentication_insufficient",
        }
    }

    /// Returns the HTTP status: 4xx for the request, 5xx for the provider.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed
            | Self::StateUnknown
            | Self::Expired
            | Self::IssuerMismatch
            | Self::IssuerMissing
            | Self::Denied(_) => 400,
            Self::ExchangeRefused(..) | Self::ExchangeFailed(_) => 502,
            Self::OrganizationMismatch | Self::AuthenticationInsufficient => 403,
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
            TokenError::Refused(error, failure) => Self::ExchangeRefused(error, failure),
            TokenError::Unavailable { failure, .. } => Self::ExchangeFailed(failure),
        }
    }
}

/// A callback with valid `state` and `iss`, whose code may be exchanged. Created only by [`RelyingParty::receive`].
pub(super) struct AcceptedCallback {
    outcome: PendingOutcome,
    transaction: Transaction,
    code: String,
    provider: Arc<Provider>,
    user_ip: Option<String>,
}

/// The outcome of receiving a callback.
enum Received {
    /// The login is complete.
    LoggedIn { session: Arc<Session>, state: String, is_first: bool },
    /// The login begins again.
    Restarted(Reply),
    /// There is nothing to redeem. The error is for a browser without a session of at most this age, in seconds.
    Again(LoginError, i64),
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

/// The decoded parameters of a query.
type Parameters = [(String, String)];

impl RelyingParty {
    /// Completes a login. `login_destination` maps the requested location to an allowed one.
    ///
    /// A callback that comes again redeems nothing. While the first one is being completed, and shortly after, it gets the same session;
    /// later, a browser with a session goes on to the destination.
    pub(crate) async fn callback(
        self: &Arc<Self>,
        head: &RequestHead<'_>,
        login_destination: impl Fn(String) -> String,
        host: &impl LoginHost,
    ) -> Result<Reply, LoginError> {
        let mut location = self.client.after_login(&self.client.default_return_to);
        let received = self.receive(head, &mut location, host).await;
        let location = login_destination(location);
        match received {
            Ok(Received::LoggedIn { session, state, is_first }) => {
                let finished = self.finish(head, &state, &session, location, host).await;
                // Only the first callback tells why there is no session.
                if is_first { finished } else { finished.map_err(|_| CallbackError::StateUnknown.into()) }
            }
            Ok(Received::Restarted(reply)) => Ok(reply),
            Ok(Received::Again(error, max_age_s)) => match self.session_of(head, host.now()) {
                Some(session) if session.age_s(host.now()) <= max_age_s => Ok(Reply::redirect(location)),
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Receives a callback and, if it is the first of its login, redeems its code. Sets the location to which the login leads.
    async fn receive(
        self: &Arc<Self>,
        head: &RequestHead<'_>,
        location: &mut String,
        host: &impl LoginHost,
    ) -> Result<Received, LoginError> {
        let parameters = form::parse(head.url_parts().query.unwrap_or_default());
        let transaction = match self.pending(head, &parameters) {
            Ok(transaction) => transaction,
            Err(error) => return Ok(Received::Again(error.into(), i64::MAX)),
        };
        *location = self.client.after_login(&transaction.request.return_to);
        let restarted = transaction.request.restarted(&parameters);
        if !transaction.is_open(host.now()) && restarted.is_none() {
            // With parameters, the login may have been for another user or organization than an older session is of.
            let is_any = transaction.request.parameters.is_empty();
            let age_s = if is_any { i64::MAX } else { transaction.age_ms(host.now()) / 1000 };
            return Ok(Received::Again(CallbackError::Expired.into(), age_s));
        }
        let provider = self.provider(host).await?;
        let checked = check(&parameters, &provider, &self.client);
        if checked.is_ok() {
            // Without keys the code would be redeemed for nothing. The same callback works once there are some.
            self.keys.load(host).await.map_err(VerificationError::Unavailable)?;
        }
        let unknown = || Ok(Received::Again(CallbackError::StateUnknown.into(), i64::MAX));
        let state = transaction.state.clone();
        let code = form::once(&parameters, "code").ok().flatten().unwrap_or_default();
        let id = sha256(concat(&[&state, " ", code]).as_bytes());
        let now = host.now();
        let (is_first, outcome) = self.state.with(|shared| match shared.replay_guard.claim(&state) {
            true => (true, Some(shared.callbacks.begin(id, now))),
            false => (false, shared.callbacks.find(&id, now)),
        });
        let Some(outcome) = outcome else { return unknown() };
        if is_first {
            // The code is of no use without the key that it is bound to.
            let key = TokenKey::of_login(self.client.options.proof_keys.as_ref(), transaction.key);
            let lacks_key = checked.is_ok() && matches!(key, TokenKey::Foreign);
            let (checked, restarted) = if lacks_key {
                (Err(CallbackError::Expired), transaction.request.again())
            } else {
                let is_denied = matches!(checked, Err(CallbackError::Denied(_)));
                (checked, restarted.filter(|_| is_denied))
            };
            match (checked, restarted) {
                (Ok(code), _) => {
                    let (outcome, user_ip) = (Arc::clone(&outcome), head.client_address());
                    let provider = Arc::clone(&provider);
                    let accepted = AcceptedCallback { outcome, transaction, code, provider, user_ip };
                    host.spawn(SessionJob::log_in(self, accepted)).await;
                }
                (Err(error), restarted) => {
                    outcome.with(|outcome| *outcome = Some(Err(CallbackError::StateUnknown.into())));
                    let Some(request) = restarted else { return Err(error.into()) };
                    let reply = self.start(head, request, host).await?;
                    return Ok(Received::Restarted(reply.with_cookies(cleared_login(head, &state))));
                }
            }
        }
        match wait_for(&outcome, host).await {
            Ok(session) if !self.has_ended(&session) => Ok(Received::LoggedIn { session, state, is_first }),
            Err(error) if !matches!(error, LoginError::Callback(CallbackError::StateUnknown)) => Err(error),
            _ => unknown(),
        }
    }

    /// Sends the browser to the destination with the session of its login.
    async fn finish(
        self: &Arc<Self>,
        head: &RequestHead<'_>,
        state: &str,
        session: &Session,
        location: String,
        host: &impl LoginHost,
    ) -> Result<Reply, LoginError> {
        if self.sessions_of(head, host.now()).iter().any(|one| one.id() == session.id()) {
            return Ok(Reply::redirect(location));
        }
        let mut cookies = self.to_cookies(head, session, host).ok_or(LoginError::TooLarge)?;
        cookies.extend(cleared_login(head, state));
        // A copy of the replaced session's cookie must not be usable any more.
        self.end_sessions(head, SessionAction::Replace, host).await;
        Ok(if self.sessions.cookie.same_site == "Strict" {
            // A redirect would still belong to the cross-site navigation from the provider, and browsers would not send the cookie.
            logged_in(&location).with_cookies(cookies)
        } else {
            Reply::redirect(location).with_cookies(cookies)
        })
    }

    /// Exchanges the code of a callback and records the outcome.
    pub(super) async fn complete(&self, callback: AcceptedCallback, host: &impl LoginHost) {
        let place = Arc::clone(&callback.outcome);
        let outcome = self.log_in(callback, host).await;
        place.with(|place| *place = Some(outcome));
    }

    async fn log_in(&self, accepted: AcceptedCallback, host: &impl LoginHost) -> CallbackOutcome {
        let pending = accepted.exchange(&self.client, host).await?;
        let login = pending.verify(self, host).await?;
        let access = self.check_access_token(login.claims(), login.access_token(), host).await;
        let userinfo = self.userinfo_of_session(login.claims(), &login.response, host).await?;
        let id = base64url::encode(&random::<{ limits::SESSION_ID_BYTES }>(host));
        Ok(Arc::new(login.into_session(&self.client, &access, userinfo.as_ref(), id, host.now())?))
    }

    /// Checks a callback sent by a script and reports its error, if any, without redeeming the code or consuming the state.
    pub(crate) async fn inspect_callback(
        &self,
        head: &RequestHead<'_>,
        host: &impl LoginHost,
    ) -> Result<Reply, LoginError> {
        let parameters = form::parse(head.url_parts().query.unwrap_or_default());
        if !self.pending(head, &parameters)?.is_open(host.now()) {
            return Err(CallbackError::Expired.into());
        }
        check(&parameters, &*self.provider(host).await?, &self.client)?;
        Ok(navigation_required(true))
    }

    /// Returns the login that a callback belongs to, even if it has expired. Each parameter may occur once.
    fn pending(&self, head: &RequestHead<'_>, parameters: &Parameters) -> Result<Transaction, CallbackError> {
        for name in ["state", "iss", "error", "code"] {
            form::once(parameters, name).map_err(|_| CallbackError::Malformed)?;
        }
        let state = form::once(parameters, "state").ok().flatten().ok_or(CallbackError::Malformed)?;
        self.find_login(head, state).ok_or(CallbackError::StateUnknown)
    }

    /// Finds the login with this `state`. Only the browser that began it holds its cookie.
    fn find_login(&self, head: &RequestHead<'_>, state: &str) -> Option<Transaction> {
        let header = (head.header)("cookie")?;
        Transaction::find(&self.sessions.sealer, self.client.host(), &Cookies::new(&header), state)
    }

    /// Returns where the login of a callback was to lead, whatever became of it. `None` for the default.
    pub(crate) fn callback_destination(&self, head: &RequestHead<'_>) -> Option<String> {
        let parameters = form::parse(head.url_parts().query.unwrap_or_default());
        let (_, state) = parameters.iter().find(|(name, _)| name == "state")?;
        let return_to = self.find_login(head, state)?.request.return_to;
        (return_to != self.client.default_return_to).then(|| return_to.as_str().into())
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

/// Waits for the outcome of a callback, as long as it can take: as a refresh. Only one request gets the error. If it does not come, nothing is
/// known of the login.
async fn wait_for(outcome: &PendingOutcome, host: &impl LoginHost) -> CallbackOutcome {
    for _ in 0..limits::REFRESH_LEASE_MS / i64::from(limits::FETCH_POLL_MS) {
        let found = outcome.with(|outcome| match outcome.as_mut()? {
            Ok(login) => Some(Ok(login.clone())),
            Err(error) => Some(Err(core::mem::replace(error, CallbackError::StateUnknown.into()))),
        });
        if let Some(found) = found {
            return found;
        }
        host.sleep(limits::FETCH_POLL_MS).await;
    }
    Err(CallbackError::StateUnknown.into())
}

/// Returns the code of a callback after checking `iss` and `error`.
fn check(parameters: &Parameters, provider: &Provider, client: &Client) -> Result<String, CallbackError> {
    let parameter = |name| form::once(parameters, name).ok().flatten();
    // RFC 9207 §2.4: where `iss` was announced, a missing one is an error like a wrong one.
    match parameter("iss") {
        Some(iss) if !is_issuer(&provider.issuer, iss) => return Err(CallbackError::IssuerMismatch),
        None if provider.sends_iss || client.options.requires_iss => return Err(CallbackError::IssuerMissing),
        _ => {}
    }
    if let Some(error) = stated_error(parameters) {
        return Err(CallbackError::Denied(error));
    }
    match parameter("code") {
        Some(code) if !code.is_empty() => Ok(code.to_string()),
        _ => Err(CallbackError::Malformed),
    }
}

/// Returns the error that a callback states.
fn stated_error(parameters: &Parameters) -> Option<ProviderError> {
    // A description is for the log only: one that is repeated does not matter.
    let parameter = |name| form::once(parameters, name).ok().flatten();
    parameter("error").map(|error| ProviderError::new(error, parameter("error_description")))
}

impl LoginError {
    /// Returns what a callback states that was refused before its error counted, for the log: anyone can send such a callback, so nothing of
    /// it is verified. Empty if it states nothing.
    pub(crate) fn unverified(&self, head: &RequestHead<'_>, issuer: &str) -> String {
        let Self::Callback(error) = self else { return String::new() };
        let parameters = form::parse(head.url_parts().query.unwrap_or_default());
        let mut stated = String::new();
        match error {
            CallbackError::IssuerMismatch => {
                let iss = form::once(&parameters, "iss").ok().flatten().unwrap_or_default();
                stated = concat(&["; iss is ", &shown(iss), ", not ", issuer]);
            }
            CallbackError::Malformed
            | CallbackError::StateUnknown
            | CallbackError::Expired
            | CallbackError::IssuerMissing => {}
            _ => return stated,
        }
        if let Some(error) = stated_error(&parameters) {
            stated.push_str("; unverified error: ");
            stated.push_str(&error.to_string());
        }
        stated
    }
}

/// Returns `Set-Cookie` values that clear the cookies of the login with this `state`.
fn cleared_login(head: &RequestHead<'_>, state: &str) -> Vec<String> {
    let header = (head.header)("cookie").unwrap_or_default();
    Transaction::clear(state, &Cookies::new(&header))
}

impl AcceptedCallback {
    /// Exchanges the code for tokens (RFC 6749 §4.1.3, RFC 7636 §4.5).
    async fn exchange(self, client: &Client, host: &impl LoginHost) -> Result<PendingLogin, CallbackError> {
        let Self { transaction, code, provider, user_ip, .. } = self;
        let parameters = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", client.redirect_uri.as_str()),
            ("code_verifier", transaction.verifier.as_str()),
        ];
        let key = TokenKey::of_login(client.options.proof_keys.as_ref(), transaction.key);
        let response = client.request_tokens(&provider, &parameters, user_ip.as_deref(), key, host).await?;
        if response.id_token.is_none() {
            let failure = EndpointFailure::new(&provider.token_endpoint, 200, " without id_token");
            return Err(CallbackError::ExchangeFailed(failure));
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

    /// Returns the user's session. `access` is the verdict on the access token.
    fn into_session(
        self,
        client: &Client,
        access: &AccessTokenVerdict,
        userinfo: Option<&Document>,
        session_id: String,
        now: UnixTime,
    ) -> Result<Session, LoginError> {
        let Self { transaction, response, id } = self;
        if let Some(organization) = transaction.request.organization()
            && !is_organization(id.claims(), &organization)
        {
            return Err(CallbackError::OrganizationMismatch.into());
        }
        if !client.admits(id.claims()) {
            return Err(CallbackError::OrganizationMismatch.into());
        }
        if !transaction.is_met_by(id.claims(), &client.authorization_params, now) {
            return Err(CallbackError::AuthenticationInsufficient.into());
        }
        let claims = client.user_claims(id.claims(), userinfo).ok_or(LoginError::TooLarge)?;
        // RFC 6749 §5.1: without a scope, the requested one was granted.
        let scope = response.scope.clone().unwrap_or_else(|| client.scope.clone());
        let tokens = response.into_tokens(access, now);
        let session = Session::new(session_id, claims, tokens, now).with_login(transaction.begun(), transaction.nonce);
        client.apply_rights(session, access, Some(&scope), None).ok_or(LoginError::TooLarge)
    }
}
