//! The core for JavaScript: conversion and error codes only.
//!
//! Every export takes and returns plain numbers, so that the module imports nothing and needs no generated glue. Text
//! goes in through a buffer that [`input`] hands out, and comes back through one that [`output`] and [`output_len`]
//! point at; either is good until the next call. `pkg/src/core.js` is the other side of this interface.

#![forbid(unsafe_code)]
// The standard library brings the printing of panics, which nobody would see: a third of the module.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod answer;
mod handles;
mod options;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::str;

use atomic_refcell::{AtomicRefCell, AtomicRefMut};

use edgeward::error::VerifyError;
use edgeward::http::{Bearer, bad_request, bearer_token, forbidden, missing_token, refused, unavailable};
use edgeward::io::UnixTime;
use edgeward::jwk::{Ask, Fetched, Permit, Progress};
use edgeward::jwt::{Demands, VerifiedToken};
use edgeward::{Check, Refresh, Verifier, limits};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::answer::Refusal;
use crate::handles::Handles;
use crate::options::{InvalidOptions, PerCall};

/// Outcomes of [`check`].
mod outcome {
    /// Passed. [`super::output`] holds the header, then, from [`super::header_len`] on, the claims.
    pub(crate) const VERIFIED: u32 = 0;
    /// Passed; [`super::permit`] is for refreshing the keys in the background.
    pub(crate) const VERIFIED_AND_REFRESH: u32 = 1;
    /// Undecided: use [`super::permit`], then check again.
    pub(crate) const FETCH: u32 = 2;
    /// Undecided: another call is fetching; check again in [`super::poll_ms`].
    pub(crate) const WAIT: u32 = 3;
    /// Refused, or impossible to decide. [`super::output`] says why.
    pub(crate) const REFUSED: u32 = 4;
}

/// What the input of [`check`] is.
mod form {
    pub(crate) const TOKEN: u32 = 0;
    /// The value of an `Authorization` header.
    pub(crate) const HEADER: u32 = 1;
    /// A request without that header.
    pub(crate) const NO_HEADER: u32 = 2;
    /// A request with a token in its query.
    pub(crate) const QUERY: u32 = 3;
}

struct State {
    input: Vec<u8>,
    output: String,
    header_len: usize,
    /// From when until when the last verdict stands, in milliseconds.
    settled: [f64; 2],
    verifiers: Handles<Entry>,
    /// What [`permit`] answers.
    permit: f64,
    routes: Routes,
}

/// The demands of the routes seen last, with the text they were read from: a route's text never changes.
struct Routes {
    seen: Vec<(Vec<u8>, Arc<PerCall>)>,
    next: usize,
}

/// How many routes' demands are kept.
const MAX_ROUTES: usize = 32;

struct Entry {
    verifier: Verifier,
    /// What is demanded of every token, to name it in refusals.
    demands: Demands,
    is_for_id_tokens: bool,
    /// The fetches under way for this verifier. They are its own and go with it: no other's answer is ever found here.
    fetches: Handles<Fetching>,
}

/// A fetch under way, and for which of the verifier's issuers it is.
struct Fetching {
    issuer: usize,
    permit: Permit,
}

impl Entry {
    /// The number under which `refresh` waits for its answer.
    fn begin(&mut self, refresh: Refresh) -> f64 {
        self.fetches.insert(Fetching { issuer: refresh.issuer(), permit: refresh.permit })
    }
}

static STATE: AtomicRefCell<State> = AtomicRefCell::new(State {
    input: Vec::new(),
    output: String::new(),
    header_len: 0,
    settled: [0.0; 2],
    verifiers: Handles::new(),
    permit: 0.0,
    routes: Routes { seen: Vec::new(), next: 0 },
});

/// The state; no export calls another, so that it is always free.
#[inline(never)]
fn state() -> AtomicRefMut<'static, State> {
    STATE.borrow_mut()
}

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// A trap, which the other side turns into an error.
#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// A buffer of at least `len` bytes for the next call's text.
#[wasm_bindgen]
pub fn input(len: usize) -> *mut u8 {
    let state = &mut *state();
    if state.input.len() < len {
        state.input.resize(len, 0);
    }
    state.input.as_mut_ptr()
}

/// Where the last call's answer is.
#[wasm_bindgen]
pub fn output() -> *const u8 {
    state().output.as_ptr()
}

/// How long the last call's answer is.
#[wasm_bindgen]
pub fn output_len() -> usize {
    state().output.len()
}

/// How much of the last answer is the token's header.
#[wasm_bindgen]
pub fn header_len() -> usize {
    state().header_len
}

/// From when on the last [`check`] has the outcome that it had: that token passes, and there is nothing to fetch. In milliseconds.
#[wasm_bindgen]
pub fn settled_from() -> f64 {
    state().settled[0]
}

/// Until when it has that outcome, unless an [`answer`] changes the keys. 0 if nothing of the kind can be said.
#[wasm_bindgen]
pub fn settled_until() -> f64 {
    state().settled[1]
}

/// About how many verified tokens a verifier keeps.
#[wasm_bindgen]
pub fn cache_entries(verifier: f64) -> usize {
    state().verifiers.get_mut(verifier).map_or(0, |entry| entry.verifier.cached_entries())
}

/// The longest token, in bytes.
#[wasm_bindgen]
pub fn max_token_bytes() -> usize {
    limits::MAX_TOKEN_BYTES
}

/// The pause between two looks at another call's fetch.
#[wasm_bindgen]
pub fn poll_ms() -> u32 {
    limits::FETCH_POLL_MS
}

/// Makes a verifier from the options, JSON text of `len` bytes, and answers its number. Zero or less for options that
/// cannot be used: of the negated value, the lowest three bits say why, the others which issuer it is about.
#[wasm_bindgen]
pub fn create(len: usize) -> f64 {
    let state = &mut *state();
    let text = state.input.get(..len).unwrap_or_default();
    match options::read(text) {
        Ok(entry) => state.verifiers.insert(entry),
        Err(invalid) => -f64::from((invalid.issuer as u32) << 3 | invalid.reason as u32),
    }
}

/// Forgets a verifier, its keys and its permits.
#[wasm_bindgen]
pub fn destroy(verifier: f64) {
    state().verifiers.remove(verifier);
}

/// The permit that the last [`check`] or [`answer`] gave, for this verifier's next [`ask`].
#[wasm_bindgen]
pub fn permit() -> f64 {
    state().permit
}

/// Checks what the first `len` bytes of the input are, as `form` says; the next `demands_len` bytes are demands of this
/// call alone, as JSON. `fetches` counts the fetches that this call has caused before.
#[wasm_bindgen]
pub fn check(verifier: f64, form: u32, len: usize, demands_len: usize, now_ms: f64, fetches: u32) -> u32 {
    let state = &mut *state();
    let State { input, output, header_len, settled, verifiers, permit, routes } = state;
    *settled = [0.0; 2];
    let Some(entry) = verifiers.get_mut(verifier) else {
        answer::bare_refusal(output, "internal_error");
        return outcome::REFUSED;
    };
    let per_call = input.get(len..len + demands_len).unwrap_or_default();
    let per_call = match routes.read(per_call, entry.is_for_id_tokens) {
        Ok(per_call) => per_call,
        Err(_) => {
            answer::bare_refusal(output, "options_invalid");
            return outcome::REFUSED;
        }
    };
    let token = match token(input, form, len) {
        Ok(token) => token,
        Err(refusal) => {
            answer::refusal(output, &refusal);
            return outcome::REFUSED;
        }
    };
    let fetches = u8::try_from(fetches).unwrap_or(u8::MAX);
    let now = UnixTime::from_millis(now_ms as i64);
    let refusal = match entry.verifier.check(token, now, fetches) {
        Check::Verified(verified, refresh) => match check_per_call(&verified, per_call.as_deref()) {
            Ok(()) => {
                output.clear();
                output.push_str(verified.header().as_json());
                *header_len = output.len();
                output.push_str(verified.claims().as_json());
                if let (None, None, Some(period)) = (&refresh, &per_call, entry.verifier.settled(token, now)) {
                    *settled = [period.start, period.end].map(|time| time.millis() as f64);
                }
                let Some(refresh) = refresh else { return outcome::VERIFIED };
                *permit = entry.begin(refresh);
                return outcome::VERIFIED_AND_REFRESH;
            }
            Err(error) => {
                refresh.into_iter().for_each(|refresh| entry.verifier.take_back(refresh));
                refusal_of(&error, per_call.as_ref().map_or(&entry.demands, |one| &one.demands))
            }
        },
        Check::Fetch(refresh) => {
            *permit = entry.begin(refresh);
            return outcome::FETCH;
        }
        Check::Wait => return outcome::WAIT,
        Check::Refused(error) => refusal_of(&error, &entry.demands),
        Check::Unavailable { error, retry_after_s } => {
            Refusal::new(error.code(), error.message().into(), unavailable(error, retry_after_s))
        }
    };
    answer::refusal(output, &refusal);
    outcome::REFUSED
}

impl Routes {
    /// The demands that `text` holds; none if there is no text.
    fn read(&mut self, text: &[u8], is_for_id_tokens: bool) -> Result<Option<Arc<PerCall>>, InvalidOptions> {
        if text.is_empty() {
            return Ok(None);
        }
        if let Some((_, known)) = self.seen.iter().find(|(seen, _)| seen == text) {
            return Ok(Some(Arc::clone(known)));
        }
        let read = Arc::new(options::read_per_call(text, is_for_id_tokens)?);
        // What belongs to one login comes once.
        if !read.is_of_one_login() {
            let kept = (text.to_vec(), Arc::clone(&read));
            match self.seen.get_mut(self.next) {
                Some(place) => *place = kept,
                None => self.seen.push(kept),
            }
            self.next = (self.next + 1) % MAX_ROUTES;
        }
        Ok(Some(read))
    }
}

fn token(input: &[u8], form: u32, len: usize) -> Result<&str, Refusal> {
    let bad_request =
        |message: &'static str| Refusal::new("invalid_request", Cow::Borrowed(message), bad_request(message));
    let missing = || Refusal::new("token_missing", "there is no token".into(), missing_token(None));
    if form != form::NO_HEADER && len > limits::MAX_TOKEN_BYTES + "Bearer ".len() {
        return Err(refusal_of(&VerifyError::TokenTooLarge { bytes: len }, &Demands::default()));
    }
    // The other side encodes UTF-8, so that this cannot fail; if it did, the empty text is no token.
    let text = str::from_utf8(input.get(..len).unwrap_or_default()).unwrap_or_default();
    match form {
        form::TOKEN => Ok(text),
        form::HEADER => match bearer_token(Some(text)) {
            Bearer::Token(token) => Ok(token),
            Bearer::Absent => Err(missing()),
            Bearer::Malformed => {
                Err(bad_request("The Authorization header must be one \"Bearer\", one space, and one token."))
            }
        },
        form::QUERY => Err(bad_request("Send the access token in the Authorization header, not in the query.")),
        _ => Err(missing()),
    }
}

fn check_per_call(token: &VerifiedToken, per_call: Option<&PerCall>) -> Result<(), VerifyError> {
    let Some(per_call) = per_call else { return Ok(()) };
    if let Some(nonce) = &per_call.nonce {
        token.check_nonce(nonce)?;
    }
    if let Some(access_token) = &per_call.access_token {
        token.check_at_hash(access_token)?;
    }
    per_call.demands.check(token.claims()).map_err(VerifyError::Forbidden)
}

fn refusal_of(error: &VerifyError, demands: &Demands) -> Refusal {
    let reply = match error {
        VerifyError::Forbidden(reason) => forbidden(reason, demands),
        error => refused(error),
    };
    Refusal::new(error.code(), error.message(), reply)
}

/// Permits to load the keys of every issuer that lacks fresh ones, as a JSON array.
#[wasm_bindgen]
pub fn warm_up(verifier: f64, now_ms: f64) {
    let State { output, verifiers, .. } = &mut *state();
    let permits = verifiers.get_mut(verifier).map_or_else(Vec::new, |entry| {
        let refreshes = entry.verifier.warm_up(UnixTime::from_millis(now_ms as i64));
        refreshes.into_iter().map(|refresh| entry.begin(refresh)).collect()
    });
    answer::numbers(output, &permits);
}

/// What to do with a permit: 1, send the request that the output describes as JSON; 0, look the output up in the edge
/// cache; 2, nothing, the permit is void.
#[wasm_bindgen]
pub fn ask(verifier: f64, permit: f64) -> u32 {
    let State { output, verifiers, .. } = &mut *state();
    let fetching = verifiers.get_mut(verifier).and_then(|entry| entry.fetches.get_mut(permit));
    match fetching.map(|fetching| fetching.permit.ask()) {
        Some(Ask::Edge { key }) => {
            output.clear();
            output.push_str(&key);
            0
        }
        Some(Ask::Http(outgoing)) => {
            answer::outgoing(output, &outgoing);
            1
        }
        None => 2,
    }
}

/// Takes what came of [`ask`], which uses the permit up: `kind` 0, the edge cache has nothing; 1, it has these `body_len`
/// bytes; 2, no reply, because the network failed; 3, a reply, its status and headers as `head_len` bytes of JSON, then its body;
/// 4, no reply that was waited for or read to its end. Answers 0 to ask again, with the new [`permit`], and 1 when done, the
/// output saying how it went.
#[wasm_bindgen]
pub fn answer(verifier: f64, permit: f64, kind: u32, head_len: usize, body_len: usize, now_ms: f64) -> u32 {
    let State { input, output, verifiers, permit: next_permit, .. } = &mut *state();
    let entry = verifiers.get_mut(verifier);
    let Some((entry, fetching)) = entry.and_then(|entry| entry.fetches.remove(permit).map(|found| (entry, found)))
    else {
        answer::void(output);
        return 1;
    };
    let Fetching { issuer, permit } = fetching;
    let now = UnixTime::from_millis(now_ms as i64);
    let (head, body) = input.split_at_checked(head_len).unwrap_or_default();
    let answer = answer::read(kind, head, body.get(..body_len).unwrap_or_default());
    let mut fetched: Fetched = match permit.answer(answer, now) {
        Progress::Again(permit) => {
            *next_permit = entry.fetches.insert(Fetching { issuer, permit });
            return 0;
        }
        Progress::Finished(fetched) => fetched,
    };
    let (asked_provider, edge) = (fetched.asked_provider(), fetched.edge.take());
    let stored = entry.verifier.store(issuer, fetched, now);
    answer::finished(output, asked_provider, edge.as_ref(), stored.err());
    1
}

/// What is held of each issuer's keys, as JSON.
#[wasm_bindgen]
pub fn keys(verifier: f64) {
    let state = &mut *state();
    let State { output, verifiers, .. } = state;
    let held = verifiers.get_mut(verifier).into_iter().flat_map(|entry| entry.verifier.keys());
    answer::keys(output, held);
}
