//! The core for JavaScript: conversion and error codes only.
//!
//! Every export takes and returns plain numbers, so that the module imports nothing and needs no generated glue. Text is passed in
//! through the buffer of [`input`] and returned through that of [`output`] and [`output_len`]; both are valid until the next call.
//! The other side of this interface is `pkg/src/core.js`.

#![forbid(unsafe_code)]
// The standard library prints panics, which would be a third of the module and never be seen.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod checker;
mod credentials;
mod handles;
mod js_host;
mod messages;
mod options;
mod per_call;
mod sender;
mod tasks;
mod verdict;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use atomic_refcell::{AtomicRefCell, AtomicRefMut};
use edgeward::limits;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::checker::Checker;
use crate::credentials::form;
use crate::handles::Handles;
use crate::js_host::JsHost;
use crate::per_call::PerCallCache;
use crate::sender::Sender;
use crate::tasks::Tasks;
use crate::verdict::{Verdict, outcome};

/// Added to the outcome of [`check`] if there are [`updates`].
const HAS_UPDATES: u32 = 8;

struct State {
    input: Vec<u8>,
    /// The outcome of the last call; its text is the output.
    verdict: Verdict,
    verifiers: Handles<Entry>,
    /// The return value of [`task`].
    task: f64,
    per_call: PerCallCache,
}

/// A verifier with its host and the flows that use it.
struct Entry {
    checker: Arc<Checker>,
    host: Arc<JsHost>,
    tasks: Tasks,
}

static STATE: AtomicRefCell<State> = AtomicRefCell::new(State {
    input: Vec::new(),
    verdict: Verdict::new(),
    verifiers: Handles::new(),
    task: 0.0,
    per_call: PerCallCache::new(),
});

/// Borrows the state. No export calls another, so that this cannot fail.
#[inline(never)]
fn state() -> AtomicRefMut<'static, State> {
    STATE.borrow_mut()
}

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// Traps; JavaScript turns that into an error.
#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Returns a buffer of at least `len` bytes for the text of the next call.
#[wasm_bindgen]
pub fn input(len: usize) -> *mut u8 {
    let state = &mut *state();
    if state.input.len() < len {
        state.input.resize(len, 0);
    }
    state.input.as_mut_ptr()
}

/// Returns the address of the last call's output.
#[wasm_bindgen]
pub fn output() -> *const u8 {
    state().verdict.text.as_ptr()
}

/// Returns the length of the last call's output.
#[wasm_bindgen]
pub fn output_len() -> usize {
    state().verdict.text.len()
}

/// Returns the length of the header at the start of the output.
#[wasm_bindgen]
pub fn header_len() -> usize {
    state().verdict.header_len
}

/// Returns the start of the period in which the last verdict holds and no keys need to be fetched, in milliseconds since 1970.
#[wasm_bindgen]
pub fn settled_from() -> f64 {
    state().verdict.settled[0]
}

/// Returns the end of that period, provided that no [`respond`] changes the keys; 0 if it is unknown.
#[wasm_bindgen]
pub fn settled_until() -> f64 {
    state().verdict.settled[1]
}

/// Returns about how many verified tokens a verifier caches.
#[wasm_bindgen]
pub fn cache_entries(verifier: f64) -> usize {
    let State { verifiers, .. } = &mut *state();
    verifiers.get_mut(verifier).map_or(0, |entry| entry.checker.verifier.cache_capacity())
}

/// Returns the maximum length of a token in bytes.
#[wasm_bindgen]
pub fn max_token_bytes() -> usize {
    limits::MAX_TOKEN_BYTES
}

/// Creates a verifier from options, `len` bytes of JSON, and returns its number. Zero or less if they cannot be used: the lowest three
/// bits of the negated value are the reason, the others the index of the issuer or key concerned; the output is the text of the core, if
/// there is one.
#[wasm_bindgen]
pub fn create(len: usize) -> f64 {
    let state = &mut *state();
    let text = state.input.get(..len).unwrap_or_default();
    match options::parse(text) {
        Ok(checker) => {
            let (checker, host) = (Arc::new(checker), Arc::new(JsHost::new()));
            state.verifiers.insert(Entry { checker, host, tasks: Tasks::new() })
        }
        Err(invalid) => {
            state.verdict.text = invalid.message.into_owned();
            -f64::from((invalid.index as u32) << 3 | invalid.reason as u32)
        }
    }
}

/// Removes a verifier with its keys and tasks.
#[wasm_bindgen]
pub fn destroy(verifier: f64) {
    state().verifiers.remove(verifier);
}

/// Checks the first `len` bytes of the input, of the given `form`; the next `per_call_len` bytes are the options of this call, as JSON, and the
/// `sender_len` bytes after them the rest of the request, if its token may be bound to its sender. Returns an outcome, plus [`HAS_UPDATES`] if there are any. A call that must not wait is decided with the keys at hand.
#[wasm_bindgen]
pub fn check(
    verifier: f64,
    form: u32,
    len: usize,
    per_call_len: usize,
    sender_len: usize,
    now_ms: f64,
    may_wait: bool,
) -> u32 {
    let State { input, verdict, verifiers, task, per_call } = &mut *state();
    verdict.settled = [0.0; 2];
    let Some(entry) = verifiers.get_mut(verifier) else {
        verdict.refuse_with_code("internal_error");
        return outcome::REFUSED;
    };
    let Entry { checker, host, tasks } = entry;
    let options_end = len.saturating_add(per_call_len);
    let per_call = per_call.parse(input.get(len..options_end).unwrap_or_default());
    let has_scheme = form == form::EITHER_SCHEME && credentials::has_dpop_scheme(input);
    let sender = match sender_len {
        0 => Some(None),
        len => Sender::read(input.get(options_end..).and_then(|rest| rest.get(..len)).unwrap_or_default(), has_scheme)
            .map(Some),
    };
    let (Some(per_call), Some(sender)) = (per_call, sender) else {
        verdict.refuse_with_code("options_invalid");
        return outcome::REFUSED;
    };
    let token = match credentials::token(input, form, len) {
        Ok(token) => token,
        Err(refusal) => {
            verdict.refuse(&checker.with_challenge(refusal, has_scheme), None);
            return outcome::REFUSED;
        }
    };
    host.set_now(now_ms);
    if !may_wait {
        checker.check_now(token, per_call.as_deref(), host, verdict);
    } else if sender.is_some() || !checker.check_if_ready(token, per_call.as_deref(), host, verdict) {
        let (checker, flow_host, token) = (Arc::clone(checker), Arc::clone(host), String::from(token));
        let flow = async move { checker.check(&token, sender.as_ref(), per_call.as_deref(), &flow_host).await };
        *task = tasks.call(flow, host);
        verdict.outcome = outcome::PENDING;
    }
    tasks.run(host);
    verdict.outcome + if host.has_requests() || tasks.has_ended_calls() { HAS_UPDATES } else { 0 }
}

/// Returns the length of what follows the claims in the output: the id of the proof, a space, and the time when it may be forgotten.
#[wasm_bindgen]
pub fn proof_len() -> usize {
    state().verdict.proof_len
}

/// Returns the task that the last [`check`] started.
#[wasm_bindgen]
pub fn task() -> f64 {
    state().task
}

/// Starts to load the keys of every issuer that lacks fresh ones. Returns the task; 0 if there is no such verifier.
#[wasm_bindgen]
pub fn load(verifier: f64, now_ms: f64) -> f64 {
    let State { verifiers, .. } = &mut *state();
    let Some(entry) = verifiers.get_mut(verifier) else { return 0.0 };
    entry.host.set_now(now_ms);
    let (checker, host) = (Arc::clone(&entry.checker), Arc::clone(&entry.host));
    entry.tasks.call(async move { checker.load(&host).await }, &entry.host)
}

/// Outputs what has happened in a verifier's flows since the last call, as JSON: requests to perform, calls that have ended or failed.
#[wasm_bindgen]
pub fn updates(verifier: f64) {
    let State { verdict, verifiers, .. } = &mut *state();
    let entry = verifiers.get_mut(verifier);
    let (requests, completions) =
        entry.map(|entry| (entry.host.take_requests(), entry.tasks.take_completions())).unwrap_or_default();
    messages::updates(&mut verdict.text, &requests, &completions);
}

/// Accepts the response to a request: its `kind`, and in the input `head_len` bytes of JSON followed by `body_len` bytes of a body.
#[wasm_bindgen]
pub fn respond(verifier: f64, request: f64, kind: u32, head_len: usize, body_len: usize, now_ms: f64) {
    let State { input, verifiers, .. } = &mut *state();
    let Some(entry) = verifiers.get_mut(verifier) else { return };
    let (head, body) = input.split_at_checked(head_len).unwrap_or_default();
    let response = messages::read_response(kind, head, body.get(..body_len).unwrap_or_default());
    entry.host.set_now(now_ms);
    entry.host.respond(request, response);
    entry.tasks.run(&entry.host);
}

/// Returns the outcome of a task that [`updates`] reported as ended, and removes the task.
#[wasm_bindgen]
pub fn result(verifier: f64, task: f64) -> u32 {
    let State { verdict, verifiers, .. } = &mut *state();
    match verifiers.get_mut(verifier).and_then(|entry| entry.tasks.remove_call(task)) {
        Some(ended) => *verdict = ended,
        None => verdict.refuse_with_code("internal_error"),
    }
    verdict.outcome
}

/// Removes a task that is no longer waited for. The jobs that it spawned continue.
#[wasm_bindgen]
pub fn cancel(verifier: f64, task: f64) {
    if let Some(entry) = state().verifiers.get_mut(verifier) {
        entry.tasks.remove_call(task);
    }
}

/// Outputs the status of each issuer's keys, as JSON.
#[wasm_bindgen]
pub fn keys(verifier: f64) {
    let State { verdict, verifiers, .. } = &mut *state();
    if let Some(entry) = verifiers.get_mut(verifier) {
        messages::keys(&mut verdict.text, &entry.checker.verifier);
    }
}
