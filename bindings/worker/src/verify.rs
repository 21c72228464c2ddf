//! Verifying a token: the core decides, this fetches what it asks for.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use edgeward::error::VerifyError;
use edgeward::io::UnixTime;
use edgeward::jwk::{Answer, Ask, EdgeEntry, KeysError, Progress};
use edgeward::jwt::{Policy, VerifiedToken};
use edgeward::{Check, Refresh, limits};
use js_sys::futures::{JsFuture, future_to_promise};
use wasm_bindgen::JsValue;
use worker::{Context, console_warn};

use crate::site::Site;
use crate::{edge_cache, send};

/// Why a token does not pass.
pub(crate) enum Refusal {
    Token(VerifyError),
    Keys { error: KeysError, retry_after_s: u32 },
}

/// Checks a token goes through before it is given up; only a broken core would come near.
pub(crate) const MAX_CHECKS: u32 = 1000;

pub(crate) fn now() -> UnixTime {
    UnixTime::from_millis(js_sys::Date::now() as i64)
}

/// Verifies an access token.
pub(crate) async fn access_token(
    site: &Rc<Site>,
    token: &str,
    ctx: Option<&Context>,
) -> Result<Arc<VerifiedToken>, Refusal> {
    verify(site, None, token, ctx).await
}

/// Verifies an ID token with the policy of its login.
pub(crate) async fn id_token(
    site: &Rc<Site>,
    policy: &Policy,
    token: &str,
    ctx: Option<&Context>,
) -> Result<Arc<VerifiedToken>, Refusal> {
    verify(site, Some(policy), token, ctx).await
}

async fn verify(
    site: &Rc<Site>,
    policy: Option<&Policy>,
    token: &str,
    ctx: Option<&Context>,
) -> Result<Arc<VerifiedToken>, Refusal> {
    let mut fetches = 0;
    for _ in 0..MAX_CHECKS {
        // The verifier is borrowed for this one call only, so that nothing is when something is awaited.
        let check = site.with_verifier(|verifier| match policy {
            Some(policy) => verifier.check_as(policy, token, now(), fetches),
            None => verifier.check(token, now(), fetches),
        });
        match check {
            Some(Check::Verified(token, None)) => return Ok(token),
            Some(Check::Verified(token, Some(refresh))) => {
                let site = Rc::clone(site);
                let renew = async move { store_at_edge(run(&site, refresh).await.1).await };
                aside(ctx, renew).await;
                return Ok(token);
            }
            Some(Check::Refused(error)) => return Err(Refusal::Token(error)),
            Some(Check::Unavailable { error, retry_after_s }) => return Err(Refusal::Keys { error, retry_after_s }),
            Some(Check::Wait) => send::sleep(limits::FETCH_POLL_MS).await,
            Some(Check::Fetch(refresh)) => {
                let site = Rc::clone(site);
                let (asked_provider, entry) = to_its_end(ctx, async move { run(&site, refresh).await }).await;
                fetches += u8::from(asked_provider);
                aside(ctx, store_at_edge(entry)).await;
            }
            None => break,
        }
    }
    Err(Refusal::Keys { error: KeysError::JwksUnreachable, retry_after_s: 1 })
}

/// Does `work` beside the answer where there is one to give, and at once where everything is beside it already.
async fn aside(ctx: Option<&Context>, work: impl Future<Output = ()> + 'static) {
    match ctx {
        Some(ctx) => ctx.wait_until(work),
        None => work.await,
    }
}

/// Does `work` and waits for its outcome. The work goes on when the client goes away meanwhile: others rely on it.
pub(crate) async fn to_its_end<T: Default + 'static>(
    ctx: Option<&Context>,
    work: impl Future<Output = T> + 'static,
) -> T {
    let outcome = Rc::new(Cell::new(None));
    let place = Rc::clone(&outcome);
    let done = future_to_promise(async move {
        place.set(Some(work.await));
        Ok(JsValue::UNDEFINED)
    });
    let finished = JsFuture::from(done.clone());
    aside(ctx, async move { drop(JsFuture::from(done).await) }).await;
    drop(finished.await);
    outcome.take().unwrap_or_default()
}

/// Uses a permit up. Returns whether the provider was asked, and what the edge cache should keep.
async fn run(site: &Site, refresh: Refresh) -> (bool, Option<EdgeEntry>) {
    let issuer = refresh.issuer();
    let mut permit = refresh.permit;
    let mut fetched = loop {
        let answer = match permit.ask() {
            Ask::Edge { key } => Answer::Edge(edge_cache::get(&key).await),
            Ask::Http(outgoing) => Answer::Http(send::send(&outgoing).await),
        };
        match permit.answer(answer, now()) {
            Progress::Again(next) => permit = next,
            Progress::Finished(fetched) => break fetched,
        }
    };
    let (asked_provider, entry) = (fetched.asked_provider(), fetched.edge.take());
    let stored = site.with_verifier(|verifier| verifier.store(issuer, fetched, now()));
    if let Some(Err(error)) = stored {
        console_warn!(
            "edgeward: {}: {error}; check that jwks_uri or the issuer answers this Worker with JSON",
            error.code()
        );
    }
    (asked_provider, entry)
}

async fn store_at_edge(entry: Option<EdgeEntry>) {
    if let Some(entry) = entry {
        edge_cache::put(&entry).await;
    }
}
