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
mod credentials;
mod handles;
mod judge;
mod mailbox;
mod options;
mod routes;
mod tasks;
mod verdict;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use atomic_refcell::{AtomicRefCell, AtomicRefMut};
use edgeward::limits;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::handles::Handles;
use crate::judge::Judge;
use crate::mailbox::Mailbox;
use crate::routes::Routes;
use crate::tasks::Tasks;
use crate::verdict::{Verdict, outcome};

/// Added to the outcome of [`check`] if there is [`mail`].
const MAIL: u32 = 8;

struct State {
    input: Vec<u8>,
    /// What the last call has come to, and what else it answers.
    verdict: Verdict,
    verifiers: Handles<Entry>,
    /// What [`task`] answers.
    task: f64,
    routes: Routes,
}

/// A verifier with the flows that use it.
struct Entry {
    judge: Arc<Judge>,
    mailbox: Arc<Mailbox>,
    tasks: Tasks,
}

static STATE: AtomicRefCell<State> = AtomicRefCell::new(State {
    input: Vec::new(),
    verdict: Verdict::new(),
    verifiers: Handles::new(),
    task: 0.0,
    routes: Routes::new(),
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
    state().verdict.text.as_ptr()
}

/// How long the last call's answer is.
#[wasm_bindgen]
pub fn output_len() -> usize {
    state().verdict.text.len()
}

/// How much of the last answer is the token's header.
#[wasm_bindgen]
pub fn header_len() -> usize {
    state().verdict.header_len
}

/// From when on the last verdict stands: that token passes, and there is nothing to fetch. In milliseconds.
#[wasm_bindgen]
pub fn settled_from() -> f64 {
    state().verdict.settled[0]
}

/// Until when it stands, unless an [`answer`] changes the keys. 0 if nothing of the kind can be said.
#[wasm_bindgen]
pub fn settled_until() -> f64 {
    state().verdict.settled[1]
}

/// About how many verified tokens a verifier keeps.
#[wasm_bindgen]
pub fn cache_entries(verifier: f64) -> usize {
    let State { verifiers, .. } = &mut *state();
    verifiers.get_mut(verifier).map_or(0, |entry| entry.judge.verifier.cache_capacity())
}

/// The longest token, in bytes.
#[wasm_bindgen]
pub fn max_token_bytes() -> usize {
    limits::MAX_TOKEN_BYTES
}

/// Makes a verifier from the options, JSON text of `len` bytes, and answers its number. Zero or less for options that
/// cannot be used: of the negated value, the lowest three bits say why, the others which issuer it is about.
#[wasm_bindgen]
pub fn create(len: usize) -> f64 {
    let state = &mut *state();
    let text = state.input.get(..len).unwrap_or_default();
    match options::read(text) {
        Ok(judge) => {
            let (judge, mailbox) = (Arc::new(judge), Arc::new(Mailbox::new()));
            state.verifiers.insert(Entry { judge, mailbox, tasks: Tasks::new() })
        }
        Err(invalid) => -f64::from((invalid.issuer as u32) << 3 | invalid.reason as u32),
    }
}

/// Forgets a verifier, its keys and its tasks.
#[wasm_bindgen]
pub fn destroy(verifier: f64) {
    state().verifiers.remove(verifier);
}

/// Checks what the first `len` bytes of the input are, as `form` says; the next `per_call_len` bytes are demands of this call
/// alone, as JSON. Answers an outcome, to which [`MAIL`] is added if there is any. If the call must not wait, it is decided with the
/// keys that are there, or not at all.
#[wasm_bindgen]
pub fn check(verifier: f64, form: u32, len: usize, per_call_len: usize, now_ms: f64, may_wait: bool) -> u32 {
    let State { input, verdict, verifiers, task, routes } = &mut *state();
    verdict.settled = [0.0; 2];
    let Some(entry) = verifiers.get_mut(verifier) else {
        verdict.refuse_barely("internal_error");
        return outcome::REFUSED;
    };
    let Entry { judge, mailbox, tasks } = entry;
    let per_call = input.get(len..len.saturating_add(per_call_len)).unwrap_or_default();
    let Ok(per_call) = routes.read(per_call, judge.is_for_id_tokens) else {
        verdict.refuse_barely("options_invalid");
        return outcome::REFUSED;
    };
    let token = match credentials::read(input, form, len) {
        Ok(token) => token,
        Err(refusal) => {
            verdict.refuse(&refusal);
            return outcome::REFUSED;
        }
    };
    mailbox.set_now(now_ms);
    if !may_wait {
        judge.now(token, per_call.as_deref(), mailbox, verdict);
    } else if !judge.if_ready(token, per_call.as_deref(), mailbox, verdict) {
        let (judge, mailbox, token) = (Arc::clone(judge), Arc::clone(mailbox), String::from(token));
        let host = Arc::clone(&mailbox);
        let flow = async move { judge.verify(&token, per_call.as_deref(), &host).await };
        *task = tasks.call(flow, &mailbox);
        verdict.outcome = outcome::PENDING;
    }
    tasks.go_on(mailbox);
    verdict.outcome + if mailbox.has_requests() || tasks.has_news() { MAIL } else { 0 }
}

/// The task that the last [`check`] began.
#[wasm_bindgen]
pub fn task() -> f64 {
    state().task
}

/// Begins to load the keys of every issuer that lacks fresh ones. Answers the task that does it; 0 if there is no such verifier.
#[wasm_bindgen]
pub fn load(verifier: f64, now_ms: f64) -> f64 {
    let State { verifiers, .. } = &mut *state();
    let Some(entry) = verifiers.get_mut(verifier) else { return 0.0 };
    entry.mailbox.set_now(now_ms);
    let (judge, host) = (Arc::clone(&entry.judge), Arc::clone(&entry.mailbox));
    entry.tasks.call(async move { judge.load(&host).await }, &entry.mailbox)
}

/// What a verifier's flows ask for since the last call, and which have ended or failed, as JSON.
#[wasm_bindgen]
pub fn mail(verifier: f64) {
    let State { verdict, verifiers, .. } = &mut *state();
    let mail = verifiers.get_mut(verifier).map(|entry| (entry.mailbox.take_requests(), entry.tasks.take_news()));
    let (requests, news) = mail.unwrap_or_default();
    answer::mail(&mut verdict.text, &requests, &news);
}

/// Takes what came of a request: its `kind`, and the input, `head_len` bytes of JSON and then `body_len` bytes of a body.
#[wasm_bindgen]
pub fn answer(verifier: f64, request: f64, kind: u32, head_len: usize, body_len: usize, now_ms: f64) {
    let State { input, verifiers, .. } = &mut *state();
    let Some(entry) = verifiers.get_mut(verifier) else { return };
    let (head, body) = input.split_at_checked(head_len).unwrap_or_default();
    let answer = answer::read(kind, head, body.get(..body_len).unwrap_or_default());
    entry.mailbox.set_now(now_ms);
    entry.mailbox.answer(request, answer);
    entry.tasks.go_on(&entry.mailbox);
}

/// What a task has come to, once [`mail`] says that it has ended. The task is forgotten.
#[wasm_bindgen]
pub fn result(verifier: f64, task: f64) -> u32 {
    let State { verdict, verifiers, .. } = &mut *state();
    match verifiers.get_mut(verifier).and_then(|entry| entry.tasks.end(task)) {
        Some(ended) => *verdict = ended,
        None => verdict.refuse_barely("internal_error"),
    }
    verdict.outcome
}

/// Forgets a task whose outcome nobody waits for. What it began for others goes on.
#[wasm_bindgen]
pub fn leave(verifier: f64, task: f64) {
    if let Some(entry) = state().verifiers.get_mut(verifier) {
        entry.tasks.end(task);
    }
}

/// What is held of each issuer's keys, as JSON.
#[wasm_bindgen]
pub fn keys(verifier: f64) {
    let State { verdict, verifiers, .. } = &mut *state();
    let held = verifiers.get_mut(verifier).into_iter().flat_map(|entry| entry.judge.verifier.keys());
    answer::keys(&mut verdict.text, held);
}
