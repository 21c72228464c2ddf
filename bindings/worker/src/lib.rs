//! The Cloudflare Worker around the core: it reads the clock, sends what the core asks for, and passes bodies through.
//!
//! Every decision is the core's; what happens to a request is told in [`edgeward::gateway`]. Nothing of one request's I/O
//! is kept for another: what requests share is plain data.

#![forbid(unsafe_code)]

mod background;
mod edge_cache;
mod entropy;
mod forward;
mod login;
mod renew;
mod request;
mod response;
mod send;
mod site;
mod unicode;
mod verify;

use core::task::{Context as Task, Poll, Waker};
use std::rc::Rc;
use std::sync::Arc;

use edgeward::gateway::{Action, Caller, Credentials, Entered, HEALTH_PATH, LoginState};
use edgeward::http::{Reply, RequestHead, unavailable};
use edgeward::oidc::AccessReading;
use edgeward::session::Session;
use js_sys::{Array, Function, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Response;
use worker::worker_sys::Context;
use worker::{Env, console_warn};

use self::background::{Work, promise};
use self::login::Asker;
use self::renew::Renewal;
use self::request::Inbound;
use self::site::Site;
use self::verify::Refusal;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// The Worker's `fetch`: a `Response`, or a promise of one. `config` is the configuration unless the variable EDGEWARD is set.
///
/// Most requests are decided without waiting for anything. Their answer is there after the first poll, and neither a promise
/// nor a task is made for them.
#[wasm_bindgen]
pub fn fetch(request: web_sys::Request, env: Env, ctx: Context, config: JsValue) -> Result<JsValue, JsValue> {
    let mut handling: Work<Result<JsValue, JsValue>> = Box::pin(async move {
        let response = handle(Inbound::new(request), &env, &ctx, &config).await;
        response.map(JsValue::from)
    });
    match handling.as_mut().poll(&mut Task::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        // Polled again at once, with the waker of its task.
        Poll::Pending => Ok(promise(handling).into()),
    }
}

/// What the Durable Object does through which isolates share the refreshes and the end of a session: a promise of status and
/// text of its answer and, if that has changed, what it shall keep and until when. `read` gives what it keeps, by a promise.
#[wasm_bindgen(js_name = deskTurn)]
pub fn desk_turn(act: String, sealed: String, read: Function, env: Env, config: JsValue) -> Promise {
    promise(Box::pin(async move {
        let (status, text, keep) = renew::desk_turn(&act, &sealed, &read, &env, &config).await?;
        let (kept, until_ms) = keep.map_or((JsValue::UNDEFINED, 0), |(kept, until_ms)| (kept.into(), until_ms));
        Ok(Array::of4(&status.into(), &text.into(), &kept, &(until_ms as f64).into()).into())
    }))
}

async fn handle(inbound: Inbound, env: &Env, ctx: &Context, config: &JsValue) -> Result<Response, JsValue> {
    let Some(site) = Site::of(env, config) else {
        return response::from_reply(&Reply::problem(
            503,
            "config_invalid",
            "The gateway's configuration is invalid. Its log lists every problem.",
        ));
    };
    if inbound.with_head(|head| head.url_parts().path == HEALTH_PATH) {
        return response::from_reply(&site::health());
    }
    let header = |name: &str| inbound.header(name);
    let head = RequestHead { method: inbound.method(), url: inbound.url(), header: &header };
    let visit = Visit { site: &site, inbound: &inbound, head: &head, env, ctx };
    let answer = match visit.answer().await {
        Ok(response) => response::from_origin(response, &site.gateway)?,
        Err(reply) => response::from_reply(&reply)?,
    };
    response::with_cors(answer, &site.gateway, &inbound)
}

/// One request and all that is at hand to answer it.
struct Visit<'v> {
    site: &'v Rc<Site>,
    inbound: &'v Inbound,
    head: &'v RequestHead<'v>,
    env: &'v Env,
    ctx: &'v Context,
}

impl Visit<'_> {
    /// Answers: with the origin's response, or with what the core says instead.
    async fn answer(&self) -> Result<Response, Reply> {
        let entered = self.site.gateway.enter(self.head)?;
        let now = verify::now();
        let with_sessions = |state: &mut LoginState| entered.credentials(self.head, now, Some(&mut state.sessions));
        let credentials = self.site.with_login(with_sessions);
        match credentials.unwrap_or_else(|| entered.credentials(self.head, now, None)) {
            Ok(Credentials::Anonymous) => self.act(&entered, None, None).await,
            Ok(Credentials::Bearer(token)) => {
                let verified = verify::access_token(self.site, token.as_str(), Some(self.ctx)).await;
                let verified = verified.map_err(|refusal| match refusal {
                    Refusal::Token(error) => entered.refuse(self.head, &error),
                    Refusal::Keys { error, retry_after_s } => unavailable(error, retry_after_s),
                })?;
                entered.authorize(self.head, verified.claims())?;
                let caller = Caller { claims: verified.claims(), token: token.as_str() };
                self.act(&entered, Some(caller), None).await
            }
            Ok(Credentials::Session(session)) => self.answer_session(&entered, session).await,
            Err(reply) => {
                if reply.header("set-cookie").is_some() {
                    console_warn!(
                        "edgeward: session_unsealable: a session cookie is over, foreign, or sealed with a secret that is \
                         not among session.secrets any more; it is cleared"
                    );
                }
                Err(reply)
            }
        }
    }

    /// Answers somebody who is logged in. Whatever the answer, no cache may keep it.
    async fn answer_session(&self, entered: &Entered<'_>, mut session: Arc<Session>) -> Result<Response, Reply> {
        let Some(login) = self.site.gateway.login() else { return Err(entered.challenge(self.head)) };
        let mut is_changed = login.sessions.is_ageing(&session, verify::now());
        if session.needs_refresh(verify::now()) && !entered.is_refresh() {
            let ip = self.inbound.header("cf-connecting-ip");
            match renew::renew(self.site, self.env, self.ctx, &session, ip).await {
                Renewal::Renewed(renewed) => (session, is_changed) = (Arc::from(renewed), true),
                Renewal::Unchanged => {}
                Renewal::Ended => {
                    let cookies = login::cleared_after_end(self.site, login, self.head, &session);
                    return self.answer_ended(entered, cookies).await;
                }
            }
        }
        let mut reading = None;
        if session.is_unread() {
            let (read, news) = login::read_again(self.site, login, &session, self.ctx).await;
            reading = Some(read);
            if let Some(news) = news {
                (session, is_changed) = (Arc::new(news), true);
            }
        }
        let now = verify::now();
        let caller = Caller { claims: session.claims_at(now), token: &session.tokens().access };
        let answer = if entered.is_good_for_route(&session, now) {
            match (entered.authorize(self.head, caller.claims), reading) {
                (Ok(()), _) => self.act(entered, Some(caller), Some(&session)).await,
                // Nobody knows what the token grants: that is no reason to say that it does not.
                (Err(_), Some(AccessReading::KeysUnavailable { error, retry_after_s })) => {
                    Err(unavailable(error, retry_after_s))
                }
                (Err(reply), _) => Err(reply),
            }
        } else if entered.is_optional() {
            self.act(entered, None, None).await
        } else {
            Err(entered.demand_login(self.head, &session, now))
        };
        let cookies = if is_changed { login::keep(self.site, login, self.head, &session) } else { Vec::new() };
        finish(answer, cookies)
    }

    /// Answers a request whose session has ended: it is anonymous.
    async fn answer_ended(&self, entered: &Entered<'_>, cookies: Vec<String>) -> Result<Response, Reply> {
        let answer =
            if entered.is_optional() { self.act(entered, None, None).await } else { Err(entered.challenge(self.head)) };
        finish(answer, cookies)
    }

    async fn act(
        &self,
        entered: &Entered<'_>,
        caller: Option<Caller<'_>>,
        session: Option<&Session>,
    ) -> Result<Response, Reply> {
        match entered.action(self.head, caller) {
            Action::Respond(reply) => Err(reply),
            Action::Proxy(url, plan) => forward::to_origin(self.site, self.inbound, &url, &plan).await,
            Action::Service(binding, plan) => {
                forward::to_service(self.site, self.inbound, self.env, binding, &plan).await
            }
            Action::Login(login, step) => {
                let asker = Asker { head: self.head, session, caller };
                Err(login::step(self.site, self.env, self.ctx, entered, login, step, asker).await)
            }
        }
    }
}

/// The answer to a request that came with a session. Whatever it is, no cache may keep it.
fn finish(answer: Result<Response, Reply>, cookies: Vec<String>) -> Result<Response, Reply> {
    match answer {
        Ok(response) => response::of_session(response, &cookies).map_err(|_| response::broken()),
        Err(reply) => Err(login::of_session(reply, cookies)),
    }
}
