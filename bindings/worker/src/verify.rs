//! Verifying a token: the core decides, this fetches what it asks for.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use edgeward::error::VerifyError;
use edgeward::io::UnixTime;
use edgeward::jwk::{Answer, Ask, EdgeEntry, KeysError, Progress};
use edgeward::jwt::{Policy, VerifiedToken};
use edgeward::{Check, Refresh, limits};
use worker::console_warn;
use worker::worker_sys::Context;

use crate::background::{self, Work};
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
                let fetch = run(Rc::clone(site), refresh);
                background::aside(ctx, Box::pin(async move { store_at_edge(fetch.await.1).await })).await;
                return Ok(token);
            }
            Some(Check::Refused(error)) => return Err(Refusal::Token(error)),
            Some(Check::Unavailable { error, retry_after_s }) => return Err(Refusal::Keys { error, retry_after_s }),
            Some(Check::Wait) => send::sleep(limits::FETCH_POLL_MS).await,
            Some(Check::Fetch(refresh)) => {
                let outcome = Rc::new(Cell::new(None));
                let place = Rc::clone(&outcome);
                let fetch = run(Rc::clone(site), refresh);
                background::to_its_end(ctx, Box::pin(async move { place.set(Some(fetch.await)) })).await;
                let (asked_provider, entry) = outcome.take().unwrap_or_default();
                fetches += u8::from(asked_provider);
                background::aside(ctx, Box::pin(store_at_edge(entry))).await;
            }
            None => break,
        }
    }
    Err(Refusal::Keys { error: KeysError::JwksUnreachable, retry_after_s: 1 })
}

/// Uses a permit up. Gives whether the provider was asked, and what the edge cache should keep.
fn run(site: Rc<Site>, refresh: Refresh) -> Work<(bool, Option<EdgeEntry>)> {
    Box::pin(async move {
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
    })
}

async fn store_at_edge(entry: Option<EdgeEntry>) {
    if let Some(entry) = entry {
        edge_cache::put(&entry).await;
    }
}
