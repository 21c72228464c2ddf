//! Verifying a token: the core decides, this fetches what it asks for.

use std::rc::Rc;
use std::sync::Arc;

use edgeward::error::VerifyError;
use edgeward::gateway::{Entered, Token};
use edgeward::http::{Reply, unavailable};
use edgeward::io::UnixTime;
use edgeward::jwk::{Answer, Ask, KeysError, Progress};
use edgeward::jwt::VerifiedToken;
use edgeward::{Check, Refresh, limits};
use worker::{Context, console_warn};

use crate::site::Site;
use crate::{edge_cache, send};

/// Why a token does not pass.
pub(crate) enum Refusal {
    Token(VerifyError),
    Keys { error: KeysError, retry_after_s: u32 },
}

impl Refusal {
    pub(crate) fn reply(&self, entered: &Entered<'_>) -> Reply {
        match self {
            Self::Token(error) => entered.refuse(error),
            Self::Keys { error, retry_after_s } => unavailable(*error, *retry_after_s),
        }
    }
}

/// Checks a request goes through before it gives up; only a broken core would come near.
const MAX_CHECKS: u32 = 1000;

pub(crate) fn now() -> UnixTime {
    UnixTime::from_millis(js_sys::Date::now() as i64)
}

pub(crate) async fn verify(site: &Rc<Site>, token: &Token, ctx: &Context) -> Result<Arc<VerifiedToken>, Refusal> {
    let unavailable = Refusal::Keys { error: KeysError::JwksUnreachable, retry_after_s: 1 };
    let Some(verifier) = &site.verifier else { return Err(unavailable) };
    let mut fetches = 0;
    for _ in 0..MAX_CHECKS {
        // A statement of its own, so that the borrow ends before anything is awaited.
        let check = verifier.borrow_mut().check(token.as_str(), now(), fetches);
        match check {
            Check::Verified(token, None) => return Ok(token),
            Check::Verified(token, Some(refresh)) => {
                let site = Rc::clone(site);
                ctx.wait_until(async move {
                    let entry = run(&site, refresh).await.1;
                    store_at_edge(entry).await;
                });
                return Ok(token);
            }
            Check::Refused(error) => return Err(Refusal::Token(error)),
            Check::Unavailable { error, retry_after_s } => return Err(Refusal::Keys { error, retry_after_s }),
            Check::Wait => send::sleep(limits::FETCH_POLL_MS).await,
            Check::Fetch(refresh) => {
                let (asked_provider, entry) = run(site, refresh).await;
                fetches += u8::from(asked_provider);
                ctx.wait_until(store_at_edge(entry));
            }
        }
    }
    Err(unavailable)
}

/// Uses a permit up. Returns whether the provider was asked, and what the edge cache should keep.
async fn run(site: &Site, refresh: Refresh) -> (bool, Option<edgeward::jwk::EdgeEntry>) {
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
    let stored = site.verifier.as_ref().map(|verifier| verifier.borrow_mut().store(issuer, fetched, now()));
    if let Some(Err(error)) = stored {
        console_warn!(
            "edgeward: {}: {error}; check that jwks_uri or the issuer answers this Worker with JSON",
            error.code()
        );
    }
    (asked_provider, entry)
}

async fn store_at_edge(entry: Option<edgeward::jwk::EdgeEntry>) {
    if let Some(entry) = entry {
        edge_cache::put(&entry).await;
    }
}
