//! Logging in and out: the core says what to send and what it means, this sends it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use edgeward::error::VerifyError;
use edgeward::gateway::{Caller, Entered, Login, LoginStep};
use edgeward::http::{Reply, RequestHead, is_prefetch};
use edgeward::jwt::Claims;
use edgeward::limits;
use edgeward::oidc::{
    self, AccessReading, CallbackError, LOGIN_ENTROPY_BYTES, LoginFailure, Provider, ProviderLookup, UsedStates,
    UserinfoError,
};
use edgeward::session::{Cookies, SEAL_NONCE_BYTES, Session};
use worker::worker_sys::Context;
use worker::{Env, console_warn};

use crate::renew::{self, Renewal};
use crate::site::Site;
use crate::verify::{self, Refusal, now};
use crate::{background, entropy, send};

/// Whoever asks for a step.
pub(crate) struct Asker<'a> {
    pub(crate) head: &'a RequestHead<'a>,
    pub(crate) session: Option<&'a Session>,
    pub(crate) caller: Option<Caller<'a>>,
}

/// Random bytes in a session's name.
const SESSION_ID_BYTES: usize = 16;

pub(crate) async fn step(
    site: &Rc<Site>,
    env: &Env,
    ctx: &Context,
    entered: &Entered<'_>,
    login: &Login,
    step: LoginStep,
    asker: Asker<'_>,
) -> Reply {
    let head = asker.head;
    let outcome = match step {
        LoginStep::Begin => begin(site, ctx, entered, login, head).await,
        LoginStep::Callback | LoginStep::Inspect => {
            callback(site, env, ctx, entered, login, head, step == LoginStep::Inspect).await
        }
        LoginStep::Logout => Ok(logout(site, env, ctx, entered, login, head).await),
        LoginStep::Userinfo => Ok(userinfo(site, ctx, asker).await),
        LoginStep::Refresh => Ok(refresh(site, env, ctx, login, asker).await),
    };
    outcome.unwrap_or_else(|failure| {
        console_warn!("edgeward: {} (request {})", failure.log_line(), head.request_id().unwrap_or_default());
        failure.reply(head, login.login_path.as_deref())
    })
}

async fn begin(
    site: &Rc<Site>,
    ctx: &Context,
    entered: &Entered<'_>,
    login: &Login,
    head: &RequestHead<'_>,
) -> Result<Reply, LoginFailure> {
    if let Some(url) = oidc::home_login_url(&login.client, head, entered.path()) {
        return Ok(redirect(url, Vec::new()));
    }
    let provider = provider(site, Some(ctx)).await?;
    let header = (head.header)("cookie").unwrap_or_default();
    let query = head.url_parts().query.unwrap_or_default();
    let entropy: [u8; LOGIN_ENTROPY_BYTES] = entropy::random();
    let sealer = &login.sessions.sealer;
    let begun = oidc::begin(&login.client, &provider, sealer, query, &Cookies::new(&header), &entropy, now());
    let begun = begun.ok_or(LoginFailure::TooLarge)?;
    Ok(redirect(begun.location, begun.cookies))
}

async fn callback(
    site: &Rc<Site>,
    env: &Env,
    ctx: &Context,
    entered: &Entered<'_>,
    login: &Login,
    head: &RequestHead<'_>,
    inspects: bool,
) -> Result<Reply, LoginFailure> {
    let provider = provider(site, Some(ctx)).await?;
    let header = (head.header)("cookie").unwrap_or_default();
    let cookies = Cookies::new(&header);
    let query = head.url_parts().query.unwrap_or_default();
    let (client, sessions) = (&login.client, &login.sessions);
    let accepted = site.with_login(|state| {
        let mut unused = UsedStates::default();
        let used = if inspects { &mut unused } else { &mut state.used_states };
        oidc::accept(client, &provider, &sessions.sealer, used, query, &cookies, now())
    });
    let (exchange, closing) = accepted.ok_or(LoginFailure::TooLarge)?;
    let exchange = exchange.map_err(LoginFailure::Callback)?;
    if inspects {
        return Ok(oidc::navigation_required(true));
    }
    let ip = (head.header)("cf-connecting-ip");
    let mut attempt = 0;
    let pending = loop {
        let answer = send::send(&exchange.request(client, &provider, attempt, ip.as_deref())).await;
        match exchange.finish(answer) {
            // The provider did not look at the code: only then may it be sent again, with the next secret.
            Err(CallbackError::ExchangeRefused(code)) if code == "invalid_client" && client.has_secret(attempt + 1) => {
                attempt += 1;
            }
            outcome => break outcome.map_err(LoginFailure::Callback)?,
        }
    };
    let policy = pending.policy(&login.id_policy);
    let id = verify::id_token(site, &policy, pending.id_token(), Some(ctx)).await.map_err(refused)?;
    let access = read_access_token(site, login, id.claims(), pending.access_token(), Some(ctx)).await;
    let session_id: [u8; SESSION_ID_BYTES] = entropy::random();
    let session_id = edgeward::base64url::encode(&session_id);
    let (session, location) =
        pending.into_session(client, &id, &access, session_id, now()).map_err(LoginFailure::Callback)?;
    let location = entered.landing(location);
    let nonce: [u8; SEAL_NONCE_BYTES] = entropy::random();
    let mut set = sessions.keep(&session, &cookies, client.host(), &nonce, now()).ok_or(LoginFailure::TooLarge)?;
    set.extend(closing);
    // The session that this one takes the place of: a copy of its cookie opens nothing any more.
    drop(end_sessions(site, env, ctx, entered, head, renew::REPLACED).await);
    Ok(if login.sessions.cookie.same_site == "Strict" {
        // A redirect would be part of the way back from the provider, on which browsers send no such cookie.
        with_cookies(oidc::logged_in(head, &location), set)
    } else {
        redirect(location, set)
    })
}

async fn logout(
    site: &Rc<Site>,
    env: &Env,
    ctx: &Context,
    entered: &Entered<'_>,
    login: &Login,
    head: &RequestHead<'_>,
) -> Reply {
    let set = cleared(login, head);
    let session = end_sessions(site, env, ctx, entered, head, renew::LOGOUT).await;
    // The provider may be down: this site's session ends all the same.
    let provider = provider(site, Some(ctx)).await.ok();
    let url = provider
        .and_then(|provider| oidc::logout_url(&login.client, &provider, session.as_deref(), &login.after_logout));
    match url {
        Some(url) => redirect(url, set),
        None => with_cookies(oidc::logged_out(head), set),
    }
}

/// Ends the sessions of a request, and after a logout revokes what there is of each. Gives the newest.
///
/// The work goes on when the client goes away. What the Durable Object says is waited for: when the answer arrives, no isolate
/// refreshes the sessions any more.
async fn end_sessions(
    site: &Rc<Site>,
    env: &Env,
    ctx: &Context,
    entered: &Entered<'_>,
    head: &RequestHead<'_>,
    act: &'static str,
) -> Option<Arc<Session>> {
    let sessions =
        site.with_login(|state| entered.sessions(head, now(), Some(&mut state.sessions))).unwrap_or_default();
    for session in &sessions {
        let (site, env, session) = (Rc::clone(site), env.clone(), Arc::clone(session));
        let is_told = Rc::new(Cell::new(false));
        let told = Rc::clone(&is_told);
        let ending = async move {
            let newest = renew::end(&site, &env, &session, act).await;
            told.set(true);
            if act == renew::LOGOUT {
                renew::revoke(&site, newest.as_ref().unwrap_or(&session)).await;
            }
        };
        background::detach(ctx, Box::pin(ending));
        while !is_told.get() {
            send::sleep(limits::FETCH_POLL_MS).await;
        }
    }
    sessions.into_iter().next()
}

async fn userinfo(site: &Rc<Site>, ctx: &Context, asker: Asker<'_>) -> Reply {
    let Some(caller) = asker.caller else { return edgeward::http::missing_token(None) };
    let subject = caller.claims.subject().unwrap_or_default();
    let outgoing = match provider(site, Some(ctx)).await {
        Ok(provider) => oidc::begin_userinfo(&provider, caller.claims, caller.token),
        Err(_) => Err(UserinfoError::Unavailable),
    };
    let answer = match outgoing {
        Ok(outgoing) => oidc::finish_userinfo(send::send(&outgoing).await, subject),
        Err(error) => Err(error),
    };
    match (answer, asker.session) {
        (Ok(json), _) => json_reply(json),
        // What the provider said at login still stands: a session knows its user.
        (Err(UserinfoError::Unavailable | UserinfoError::TokenRefused), Some(_)) => {
            json_reply(caller.claims.as_json().into())
        }
        (Err(error), _) => {
            let (status, detail) = match error {
                UserinfoError::TokenRefused => (401, "The provider does not accept this token for userinfo."),
                UserinfoError::Unavailable => (502, "The provider does not answer with claims."),
                UserinfoError::SubjectMismatch => (502, "The provider's answer is about another user."),
                UserinfoError::IssuerMismatch => (
                    403,
                    "The token is of another issuer than the one that logs people in. Ask that issuer for userinfo.",
                ),
            };
            Reply::problem(status, error.code(), detail)
        }
    }
}

/// The refresh route: new tokens now, whatever the age of the old ones. The tokens themselves stay in the cookie.
async fn refresh(site: &Rc<Site>, env: &Env, ctx: &Context, login: &Login, asker: Asker<'_>) -> Reply {
    let head = asker.head;
    if oidc::has_parameter(head.url_parts().query.unwrap_or_default(), "refresh_token") {
        return edgeward::http::bad_request("Tokens are never taken from a URL.");
    }
    let Some(session) = asker.session else {
        return Reply::problem(400, "no_session", "Only a session can be refreshed, not a bearer token.");
    };
    if session.tokens().refresh.is_none() {
        let detail = "The provider gave no refresh token: ask for offline_access, and enable refresh token rotation.";
        return Reply::problem(400, "no_refresh_token", detail);
    }
    match renew::renew(site, env, ctx, session, (head.header)("cf-connecting-ip")).await {
        Renewal::Renewed(session) => {
            let left_s = session.tokens().access_expires_s.saturating_sub(now().secs()).max(0);
            with_cookies(json_reply(format!(r#"{{"expires_in":{left_s}}}"#)), keep(site, login, head, &session))
        }
        Renewal::Unchanged => {
            Reply::problem(502, "refresh_unavailable", "The provider does not answer. The session goes on.")
        }
        Renewal::Ended => {
            let reply = Reply::problem(401, "session_ended", "The session has ended. Log in again.");
            with_cookies(reply, cleared_after_end(site, login, head, session))
        }
    }
}

/// What verification says of a new access token of this user; noted where it does not grant what it might.
pub(crate) async fn read_access_token(
    site: &Rc<Site>,
    login: &Login,
    user: &Claims,
    token: &str,
    ctx: Option<&Context>,
) -> AccessReading {
    let reading = verify_access_token(site, login, user, token, ctx).await;
    match &reading {
        AccessReading::KeyUnknown => console_warn!(
            "edgeward: access_token_unusable: key_not_found; the session has no rights of it until its key is published"
        ),
        AccessReading::KeysUnavailable { error, .. } => console_warn!(
            "edgeward: access_token_unread: {error}; what was granted before stands until it ends, and the token is read \
             again with the next request"
        ),
        _ => {}
    }
    reading
}

/// The session with what its access token grants, where it could not be read before; `None` if nothing new is known.
pub(crate) async fn read_again(
    site: &Rc<Site>,
    login: &Login,
    session: &Session,
    ctx: &Context,
) -> (AccessReading, Option<Session>) {
    let token = &session.tokens().access;
    let reading = verify_access_token(site, login, session.claims(), token, Some(ctx)).await;
    let session = oidc::read_again(session, &login.client, &reading);
    (reading, session)
}

async fn verify_access_token(
    site: &Rc<Site>,
    login: &Login,
    user: &Claims,
    token: &str,
    ctx: Option<&Context>,
) -> AccessReading {
    if !login.reads_access_tokens {
        return AccessReading::Refused;
    }
    match verify::access_token(site, token, ctx).await {
        Ok(token) => match login.client.check_subject(user, &token) {
            Ok(()) => AccessReading::Verified(token),
            Err(mismatch) => {
                console_warn!("edgeward: access_token_unusable: {mismatch}; the session has no rights of it");
                AccessReading::Refused
            }
        },
        Err(Refusal::Token(VerifyError::KeyNotFound)) => AccessReading::KeyUnknown,
        Err(Refusal::Token(error)) => {
            console_warn!(
                "edgeward: access_token_unusable: {}: {error}; the session has no rights of it. Set authorizer.audience to \
                 the API's identifier so that the provider issues a token for it",
                error.code()
            );
            AccessReading::Refused
        }
        Err(Refusal::Keys { error, retry_after_s }) => AccessReading::KeysUnavailable { error, retry_after_s },
    }
}

/// `Set-Cookie` values that keep a session whose content changed. Who logged out meanwhile does not get it back.
pub(crate) fn keep(site: &Site, login: &Login, head: &RequestHead<'_>, session: &Session) -> Vec<String> {
    if site.with_login(|state| state.sessions.ended.has(session.id())).unwrap_or(true) {
        return Vec::new();
    }
    let header = (head.header)("cookie").unwrap_or_default();
    let nonce: [u8; SEAL_NONCE_BYTES] = entropy::random();
    let set = login.sessions.keep(session, &Cookies::new(&header), login.client.host(), &nonce, now());
    // Too large for cookies now: the old one stays until it is over.
    set.unwrap_or_default()
}

/// An answer of the gateway's own to somebody who is logged in.
pub(crate) fn of_session(mut reply: Reply, cookies: Vec<String>) -> Reply {
    reply.headers.retain(|(name, _)| name != "cache-control");
    // A step that wrote the session itself has the last word.
    let name_of = |cookie: &str| cookie.split('=').next().map(ToString::to_string);
    let name = cookies.first().and_then(|cookie| name_of(cookie));
    let has_written = reply.headers.iter().any(|(header, cookie)| header == "set-cookie" && name_of(cookie) == name);
    let reply = reply.with("cache-control", "private, no-store");
    if has_written { reply } else { with_cookies(reply, cookies) }
}

/// `Set-Cookie` values that remove the session's cookies.
pub(crate) fn cleared(login: &Login, head: &RequestHead<'_>) -> Vec<String> {
    let header = (head.header)("cookie").unwrap_or_default();
    login.sessions.clear(&Cookies::new(&header))
}

/// The same where a refresh found that the session has ended. Nothing for a session that was logged out or replaced: by the time
/// this answer arrives, the browser may hold the cookie of a new login under the same name. Nothing for requests that change
/// nothing, either.
pub(crate) fn cleared_after_end(site: &Site, login: &Login, head: &RequestHead<'_>, session: &Session) -> Vec<String> {
    let is_ours = site.with_login(|state| state.sessions.ended.has(session.id())).unwrap_or(true);
    if is_ours || head.method == "HEAD" || is_prefetch(head) { Vec::new() } else { cleared(login, head) }
}

/// The provider's endpoints. Of requests that need them at once, one fetches, and the others look again until they are there.
pub(crate) async fn provider(site: &Rc<Site>, ctx: Option<&Context>) -> Result<Arc<Provider>, LoginFailure> {
    let mut may_fetch = true;
    for _ in 0..verify::MAX_CHECKS {
        match site.with_login(|state| state.provider.find(now(), may_fetch)) {
            Some(ProviderLookup::Known(provider)) => return Ok(provider),
            Some(ProviderLookup::Unavailable(error)) => return Err(LoginFailure::Provider(error)),
            Some(ProviderLookup::Wait) => send::sleep(limits::FETCH_POLL_MS).await,
            Some(ProviderLookup::Fetch(permit)) => {
                let site = Rc::clone(site);
                let fetch = async move {
                    let mut next = Some(permit);
                    while let Some(permit) = next {
                        let answer = send::send(permit.request()).await;
                        next = site.with_login(|state| state.provider.store(permit, answer, now())).flatten();
                    }
                };
                background::to_its_end(ctx, Box::pin(fetch)).await;
                may_fetch = false;
            }
            None => break,
        }
    }
    Err(LoginFailure::Provider(oidc::ProviderError::Unreachable))
}

fn refused(refusal: Refusal) -> LoginFailure {
    match refusal {
        Refusal::Token(error) => LoginFailure::IdToken(error),
        Refusal::Keys { error, .. } => LoginFailure::Keys(error),
    }
}

fn redirect(location: String, cookies: Vec<String>) -> Reply {
    let reply = Reply::new(302)
        .with("location", location)
        .with("cache-control", "private, no-store")
        .with("referrer-policy", "no-referrer");
    with_cookies(reply, cookies)
}

fn json_reply(body: String) -> Reply {
    Reply { body, ..Reply::new(200) }
        .with("content-type", "application/json")
        .with("cache-control", "private, no-store")
}

fn with_cookies(reply: Reply, cookies: Vec<String>) -> Reply {
    cookies.into_iter().fold(reply, |reply, cookie| reply.with("set-cookie", cookie))
}
