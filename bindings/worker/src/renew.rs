//! New tokens for a session, once for all requests that want them, until the session ends.
//!
//! Requests of one isolate share an exchange by the core's [`RefreshDesk`](edgeward::oidc::RefreshDesk). Isolates share it, and
//! the end of a session, by a Durable Object, if one is bound; without it, the provider's overlap period has to cover them.

use std::rc::Rc;

use edgeward::error::VerifyError;
use edgeward::gateway::LoginState;
use edgeward::limits;
use edgeward::oidc::{self, KnownRefresh, RefreshError, RefreshLedger, RefreshMark, RefreshTurn, SessionEnd};
use edgeward::session::{SEAL_NONCE_BYTES, Session};
use js_sys::futures::JsFuture;
use js_sys::{Array, Function, Promise, Reflect};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::worker_sys::Context;
use worker::{Env, console_warn};

use crate::login::{provider, read_access_token};
use crate::site::Site;
use crate::verify::{self, Refusal, now};
use crate::{background, entropy, send};

/// What became of a session's tokens.
pub(crate) enum Renewal {
    Renewed(Box<Session>),
    /// The provider cannot be asked.
    Unchanged,
    Ended,
}

/// An exchange's outcome: the refreshed session, `None` if the provider ended it, an error if nothing is known.
type Outcome = Result<Option<Session>, ()>;

#[wasm_bindgen(module = "/src/desk.js")]
extern "C" {
    /// Asks the Durable Object of this name. A promise: of `undefined` if none is bound, else status and text of its answer.
    #[wasm_bindgen(catch, js_name = askDesk)]
    fn ask_desk(env: &JsValue, name: &str, act: &str, sealed: &str, millis: u32) -> Result<Promise, JsValue>;
}

/// What the Durable Object is asked for: a refresh, or to note one of two ends.
const REFRESH: &str = "refresh";
pub(crate) const LOGOUT: &str = "logout";
pub(crate) const REPLACED: &str = "replaced";

/// A session follows, or nothing if none is newer than the one that was sent.
const STATUS_KNOWN: u16 = 200;
/// The act that ended it follows, or nothing if the provider did.
const STATUS_ENDED: u16 = 410;
const STATUS_UNKNOWN: u16 = 503;

/// How long a refresh may take, with the way to the Durable Object and the turn before, in milliseconds.
const SHARED_REFRESH_TIMEOUT_MS: u32 = limits::TOKEN_ENDPOINT_TIMEOUT_MS + 5_000;

/// Gets new tokens for a session. The exchange runs on when the client goes away, for its outcome is the only copy of a
/// rotated refresh token.
pub(crate) async fn renew(site: &Rc<Site>, env: &Env, ctx: &Context, session: &Session, ip: Option<String>) -> Renewal {
    let rounds = SHARED_REFRESH_TIMEOUT_MS / limits::FETCH_POLL_MS;
    for round in 0..rounds {
        match site.with_login(|state| state.refreshes.ask(session, now())) {
            Some(RefreshTurn::Go(mark)) => {
                let (site, env, session, ip) = (Rc::clone(site), env.clone(), session.clone(), ip.clone());
                let exchange = async move {
                    let outcome = share(&site, &env, &session, ip.as_deref()).await;
                    let end = site.with_login(|state| state.sessions.ended.revokes(session.id())).flatten();
                    let outcome = match end {
                        None => outcome,
                        Some(revokes) => after_the_end(&site, outcome, revokes).await,
                    };
                    site.with_login(|state| state.refreshes.close(mark, outcome, now()));
                };
                background::detach(ctx, Box::pin(exchange));
            }
            Some(RefreshTurn::Wait) => {}
            // What came of an earlier request's refresh may have ended on another isolate since: the Durable Object knows.
            Some(RefreshTurn::Done(_)) if round == 0 && has_desk(env) => {
                site.with_login(|state| state.refreshes.forget(session));
                continue;
            }
            Some(RefreshTurn::Done(renewed)) => return Renewal::Renewed(renewed),
            Some(RefreshTurn::Ended) => return Renewal::Ended,
            Some(RefreshTurn::Failed) | None => break,
        }
        send::sleep(limits::FETCH_POLL_MS).await;
    }
    Renewal::Unchanged
}

fn has_desk(env: &Env) -> bool {
    Reflect::get(env.as_ref(), &"EDGEWARD_SESSIONS".into()).is_ok_and(|desks| !desks.is_undefined())
}

/// The outcome for a session that ended meanwhile: its new tokens are nobody's.
async fn after_the_end(site: &Rc<Site>, outcome: Outcome, revokes: bool) -> Outcome {
    if let Ok(Some(session)) = &outcome
        && revokes
    {
        revoke(site, session).await;
    }
    Ok(None)
}

/// The exchange, by the Durable Object if one is bound.
async fn share(site: &Rc<Site>, env: &Env, session: &Session, ip: Option<&str>) -> Outcome {
    let login = site.gateway.login().ok_or(())?;
    match tell(site, env, session, REFRESH, SHARED_REFRESH_TIMEOUT_MS).await {
        Err(()) => {
            console_warn!("edgeward: refresh_unavailable: the Durable Object EDGEWARD_SESSIONS does not answer");
            Err(())
        }
        Ok(None) => exchange(site, session, ip).await,
        Ok(Some((STATUS_KNOWN, text))) => login.sessions.unpack(&text, login.client.host()).map(Some).ok_or(()),
        Ok(Some((STATUS_ENDED, how))) => {
            // Ended by the gateway itself, on whatever isolate: from now on known here, too.
            site.with_login(|state| note_end(state, session, &how));
            Ok(None)
        }
        Ok(Some(_)) => Err(()),
    }
}

/// Notes in this isolate which act ended the session; no act of the gateway's is nothing to note.
fn note_end(state: &mut LoginState, session: &Session, act: &str) {
    match act {
        LOGOUT => state.sessions.ended.end(session.id()),
        REPLACED => state.sessions.ended.replace(session.id()),
        _ => {}
    }
}

/// Ends a session here and, by the Durable Object, on all isolates. Gives the newest session that is known to have come of
/// it: what there is to revoke.
pub(crate) async fn end(site: &Site, env: &Env, session: &Session, act: &'static str) -> Option<Session> {
    let here = site.with_login(|state| {
        note_end(state, session, act);
        state.refreshes.newest(session).cloned()
    });
    // A session that is never refreshed is never asked about.
    session.tokens().refresh.as_ref()?;
    let login = site.gateway.login()?;
    match tell(site, env, session, act, limits::SESSION_END_TIMEOUT_MS).await {
        Ok(Some((STATUS_KNOWN, text))) => login.sessions.unpack(&text, login.client.host()),
        Ok(None) => None,
        _ => {
            console_warn!(
                "edgeward: session_end_not_shared: the Durable Object EDGEWARD_SESSIONS does not answer; a copy of the \
                 cookie opens on other isolates until its access token is due"
            );
            None
        }
    }
    .or_else(|| here.flatten())
}

/// Sends a session to its Durable Object, sealed, so that nobody else can. Gives status and text of the answer, or `None` if no
/// such object is bound.
async fn tell(
    site: &Site,
    env: &Env,
    session: &Session,
    act: &'static str,
    timeout_ms: u32,
) -> Result<Option<(u16, String)>, ()> {
    let login = site.gateway.login().ok_or(())?;
    let nonce: [u8; SEAL_NONCE_BYTES] = entropy::random();
    let sealed = login.sessions.pack(session, login.client.host(), &nonce).ok_or(())?;
    let asked = ask_desk(env.as_ref(), &session.desk_name(), act, &sealed, timeout_ms).map_err(drop)?;
    let answer = JsFuture::from(asked).await.map_err(drop)?;
    if answer.is_undefined() {
        return Ok(None);
    }
    let answer = Array::from(&answer);
    let status = answer.get(0).as_f64().unwrap_or_default() as u16;
    Ok(Some((status, answer.get(1).as_string().unwrap_or_default())))
}

/// Revokes the refresh token at the provider. If the provider cannot be asked, the token is out of reach all the same: it
/// stands in sealed cookies only, and those open no more.
pub(crate) async fn revoke(site: &Rc<Site>, session: &Session) {
    let (Some(login), Ok(provider)) = (site.gateway.login(), provider(site, None).await) else { return };
    let mut attempt = 0;
    while let Some(outgoing) = oidc::revocation(&login.client, &provider, session.tokens(), attempt) {
        match send::send(&outgoing).await {
            // RFC 7009 §2.2.1: the client was refused, so the next secret may be right.
            Ok(answer) if matches!(answer.status, 400 | 401) => attempt += 1,
            _ => return,
        }
    }
}

/// Status and text of an answer of the Durable Object, and what it shall keep from now on, if that has changed, until when.
pub(crate) type DeskAnswer = (u16, String, Option<(String, i64)>);

/// What the Durable Object does for `act` with a sealed session. `read` gives what it keeps, by a promise.
pub(crate) async fn desk_turn(
    act: &str,
    sealed: &str,
    read: &Function,
    env: &Env,
    config: &JsValue,
) -> Result<DeskAnswer, JsValue> {
    let unknown = || (STATUS_UNKNOWN, String::new(), None);
    let Some(site) = Site::of(env, config) else { return Ok(unknown()) };
    let Some(login) = site.gateway.login() else { return Ok(unknown()) };
    let host = login.client.host();
    let unpack = |sealed: &str| login.sessions.unpack(sealed, host);
    let Some(session) = unpack(sealed) else { return Ok(unknown()) };
    let mut ledger = kept(read).await?;
    let keep = |ledger: &RefreshLedger| Some((ledger.write(), ledger.kept_until_ms(now())));
    if act != REFRESH {
        let newest = ledger.newest().unwrap_or_default().to_string();
        ledger.end_session(SessionEnd { until_s: login.sessions.expires_s(&session), revokes: act == LOGOUT });
        return Ok((STATUS_KNOWN, newest, keep(&ledger)));
    }
    let session = match ledger.find(session, unpack, now()) {
        KnownRefresh::Done(sealed) => return Ok((STATUS_KNOWN, sealed, None)),
        KnownRefresh::Ended => return Ok((STATUS_ENDED, how_ended(&ledger), None)),
        KnownRefresh::Due(session) => session,
    };
    let outcome = exchange(&site, &session, None).await;
    // The session may have ended meanwhile. From here on to the answer nothing waits for anything but the storage.
    let mut ledger = kept(read).await?;
    if let Some(end) = ledger.end() {
        drop(after_the_end(&site, outcome, end.revokes).await);
        return Ok((STATUS_ENDED, how_ended(&ledger), None));
    }
    let Ok(outcome) = outcome else { return Ok(unknown()) };
    let nonce: [u8; SEAL_NONCE_BYTES] = entropy::random();
    let sealed = outcome.and_then(|session| login.sessions.pack(&session, host, &nonce));
    ledger.note(RefreshMark::of(&session), sealed.as_deref());
    let status = if sealed.is_some() { STATUS_KNOWN } else { STATUS_ENDED };
    Ok((status, sealed.unwrap_or_default(), keep(&ledger)))
}

/// The act that ended the session; empty if it was the provider's.
fn how_ended(ledger: &RefreshLedger) -> String {
    ledger.end().map_or("", |end| if end.revokes { LOGOUT } else { REPLACED }).into()
}

/// What the Durable Object keeps.
async fn kept(read: &Function) -> Result<RefreshLedger, JsValue> {
    let text = JsFuture::from(Promise::from(read.call0(&JsValue::UNDEFINED)?)).await?;
    Ok(RefreshLedger::read(&text.as_string().unwrap_or_default()))
}

/// New tokens from the provider.
async fn exchange(site: &Rc<Site>, session: &Session, ip: Option<&str>) -> Outcome {
    let login = site.gateway.login().ok_or(())?;
    let provider = provider(site, None).await.map_err(drop)?;
    let client = &login.client;
    let mut attempt = 0;
    let reply = loop {
        let outgoing = oidc::begin_refresh(client, &provider, session, attempt, ip).ok_or(())?;
        match oidc::finish_refresh(send::send(&outgoing).await) {
            Ok(reply) => break reply,
            Err(RefreshError::Ended) => {
                console_warn!(
                    "edgeward: session_ended: the provider refused a refresh token; if this is common, check that refresh \
                     token rotation is on and has an overlap period"
                );
                return Ok(None);
            }
            Err(RefreshError::ClientRefused) if client.has_secret(attempt + 1) => attempt += 1,
            Err(_) => {
                console_warn!(
                    "edgeward: refresh_unavailable: the token endpoint gave no new tokens; the session goes on"
                );
                return Err(());
            }
        }
    };
    let id = match reply.id_token() {
        None => None,
        Some(id_token) => {
            let policy = login.id_policy.clone().at_hash_of(reply.access_token());
            match verify::id_token(site, &policy, id_token, None).await {
                Ok(id) => Some(id),
                // The old refresh token is used up: what is known of the user stays, the new tokens must not be lost.
                Err(Refusal::Keys { .. } | Refusal::Token(VerifyError::KeyNotFound)) => None,
                Err(Refusal::Token(error)) => {
                    console_warn!("edgeward: id_token_invalid: {}: {error}; the session ends", error.code());
                    return Ok(None);
                }
            }
        }
    };
    let user = id.as_ref().map_or(session.claims(), |id| id.claims());
    let access = read_access_token(site, login, user, reply.access_token(), None).await;
    let refreshed = reply.refresh(session.clone(), client, id.as_deref(), &access, now());
    match refreshed {
        Ok(session) => Ok(Some(session)),
        Err(RefreshError::NotThisLogin { claim }) => {
            console_warn!(
                "edgeward: id_token_invalid: its claim \"{claim}\" is not that of the login; the session ends"
            );
            Ok(None)
        }
        Err(_) => {
            console_warn!("edgeward: session_too_large: the new tokens have more claims than a session keeps; it ends");
            Ok(None)
        }
    }
}
