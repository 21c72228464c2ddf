//! New tokens for a session, once for all requests that want them.
//!
//! Requests of one isolate share an exchange by the core's [`RefreshDesk`](edgeward::oidc::RefreshDesk). Isolates share it by a
//! Durable Object, if one is bound; without it, the provider's overlap period has to cover them.

use std::rc::Rc;

use edgeward::limits;
use edgeward::oidc::{self, RefreshError, RefreshLedger, RefreshMark, RefreshTurn};
use edgeward::session::{SEAL_NONCE_BYTES, Session};
use js_sys::futures::JsFuture;
use js_sys::{Array, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{Context, Env, console_warn};

use crate::login::{provider, read_access_token};
use crate::site::Site;
use crate::verify::{self, Refusal, now};
use crate::{entropy, send};

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
    fn ask_desk(env: &JsValue, name: &str, sealed: &str) -> Result<Promise, JsValue>;
}

const STATUS_RENEWED: u16 = 200;
const STATUS_ENDED: u16 = 410;
const STATUS_UNKNOWN: u16 = 503;

/// Gets new tokens for a session. The exchange runs on when the client goes away, for its outcome is the only copy of a
/// rotated refresh token.
pub(crate) async fn renew(site: &Rc<Site>, env: &Env, ctx: &Context, session: &Session, ip: Option<String>) -> Renewal {
    let rounds = (limits::TOKEN_ENDPOINT_TIMEOUT_MS + 5_000) / limits::FETCH_POLL_MS;
    for _ in 0..rounds {
        match site.with_login(|state| state.refreshes.ask(session, now())) {
            Some(RefreshTurn::Go(mark)) => {
                let (site, env, session, ip) = (Rc::clone(site), env.clone(), session.clone(), ip.clone());
                ctx.wait_until(async move {
                    let outcome = share(&site, &env, &session, ip.as_deref()).await;
                    site.with_login(|state| state.refreshes.close(mark, outcome, now()));
                });
            }
            Some(RefreshTurn::Wait) => {}
            Some(RefreshTurn::Done(renewed)) => return Renewal::Renewed(renewed),
            Some(RefreshTurn::Ended) => return Renewal::Ended,
            Some(RefreshTurn::Failed) | None => break,
        }
        send::sleep(limits::FETCH_POLL_MS).await;
    }
    Renewal::Unchanged
}

/// The exchange, by the Durable Object if one is bound.
async fn share(site: &Rc<Site>, env: &Env, session: &Session, ip: Option<&str>) -> Outcome {
    let login = site.gateway.login().ok_or(())?;
    let nonce: [u8; SEAL_NONCE_BYTES] = entropy::random();
    let sealed = login.sessions.pack(session, login.client.host(), &nonce).ok_or(())?;
    let asked = async { JsFuture::from(ask_desk(env.as_ref(), &session.desk_name(), &sealed)?).await };
    let answer = asked.await.map_err(|_: JsValue| {
        console_warn!("edgeward: refresh_unavailable: the Durable Object EDGEWARD_SESSIONS does not answer");
    })?;
    if answer.is_undefined() {
        return exchange(site, session, ip).await;
    }
    let answer = Array::from(&answer);
    let text = answer.get(1).as_string().unwrap_or_default();
    match answer.get(0).as_f64().map(|status| status as u16) {
        Some(STATUS_RENEWED) => login.sessions.unpack(&text, login.client.host()).map(Some).ok_or(()),
        Some(STATUS_ENDED) => Ok(None),
        _ => Err(()),
    }
}

/// One turn of the Durable Object: `sealed` is the session that asks, `kept` what earlier turns left. Gives status and text of
/// the answer, and what to keep unless it stays as it is.
pub(crate) async fn desk_turn(
    sealed: &str,
    kept: Option<&str>,
    env: &Env,
    config: &JsValue,
) -> (u16, String, Option<String>) {
    let unknown = || (STATUS_UNKNOWN, String::new(), None);
    let Some(site) = Site::of(env, config) else { return unknown() };
    let Some(login) = site.gateway.login() else { return unknown() };
    let Some(session) = login.sessions.unpack(sealed, login.client.host()) else { return unknown() };
    let mut ledger = RefreshLedger::read(kept.unwrap_or_default());
    let mark = RefreshMark::of(&session);
    if let Some(outcome) = ledger.find(mark) {
        return match outcome {
            Some(sealed) => (STATUS_RENEWED, sealed.into(), None),
            None => (STATUS_ENDED, String::new(), None),
        };
    }
    let Ok(outcome) = exchange(&site, &session, None).await else { return unknown() };
    let nonce: [u8; SEAL_NONCE_BYTES] = entropy::random();
    let sealed = outcome.and_then(|session| login.sessions.pack(&session, login.client.host(), &nonce));
    ledger.note(mark, sealed.as_deref());
    let status = if sealed.is_some() { STATUS_RENEWED } else { STATUS_ENDED };
    (status, sealed.unwrap_or_default(), Some(ledger.write()))
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
                Err(Refusal::Token(error)) => {
                    console_warn!("edgeward: id_token_invalid: {}: {error}; the session ends", error.code());
                    return Ok(None);
                }
                // The old refresh token is used up: what is known of the user stays, the new tokens must not be lost.
                Err(Refusal::Keys { .. }) => None,
            }
        }
    };
    let user = id.as_ref().map_or(session.claims(), |id| id.claims());
    let access = read_access_token(site, login, user, reply.access_token(), None).await;
    let refreshed = reply.refresh(session.clone(), client, id.as_deref(), &access, now());
    if let Err(RefreshError::NotThisLogin { claim }) = refreshed {
        console_warn!("edgeward: id_token_invalid: its claim \"{claim}\" is not that of the login; the session ends");
    }
    Ok(refreshed.ok())
}
