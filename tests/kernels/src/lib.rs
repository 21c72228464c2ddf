//! The RSA operation alone, for tests of what engines make of it. Its other side is `tests/kernels/cases.mjs`.
//!
//! Numbers in and out, as in `bindings/npm`: arguments follow each other in the buffer.

#![cfg(target_family = "wasm")]

use core::cell::RefCell;

use edgeward_rsa::{Hash, PublicKey, Scheme};
use wasm_bindgen::prelude::wasm_bindgen;

#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    key: Option<PublicKey>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// A buffer of at least `len` bytes. It moves when it grows.
#[wasm_bindgen]
pub fn buffer(len: usize) -> *mut u8 {
    STATE.with_borrow_mut(|state| {
        if state.buffer.len() < len {
            state.buffer.resize(len, 0);
        }
        state.buffer.as_mut_ptr()
    })
}

/// Sets the key for the next calls: n, then e. `integer` selects that kernel. Returns 0 if the key is refused, else the kernel: 1 for
/// fused multiply-add, 2 for integers.
#[wasm_bindgen]
pub fn key(n_len: usize, e_len: usize, integer: bool) -> u32 {
    STATE.with_borrow_mut(|State { buffer, key }| {
        let (n, e) = buffer.split_at_checked(n_len).unwrap_or_default();
        let e = e.get(..e_len).unwrap_or_default();
        *key = if integer { PublicKey::without_fma(n, e) } else { PublicKey::new(n, e) }.ok();
        match key.as_ref().map(PublicKey::kernel) {
            None => 0,
            Some("fma") => 1,
            Some(_) => 2,
        }
    })
}

/// Replaces s, the first `len` bytes of the buffer, with s^e mod n. Returns whether it was possible.
#[wasm_bindgen]
pub fn power(len: usize) -> bool {
    STATE.with_borrow_mut(|State { buffer, key }| {
        let (Some(key), Some(s)) = (key.as_ref(), buffer.get_mut(..len)) else { return false };
        let mut out = vec![0xa5; len];
        let done = key.public_op(s, &mut out).is_ok();
        s.copy_from_slice(&out);
        done
    })
}

/// Whether the message's signature is the key's. Schemes have the numbers of `tests/support/cases.rs`.
#[wasm_bindgen]
pub fn verify(scheme: u32, message_len: usize, signature_len: usize) -> bool {
    let hash = match scheme % 3 {
        0 => Hash::Sha256,
        1 => Hash::Sha384,
        _ => Hash::Sha512,
    };
    let scheme = if scheme < 3 { Scheme::Pkcs1v15(hash) } else { Scheme::Pss(hash) };
    STATE.with_borrow(|State { buffer, key }| {
        let (message, signature) = buffer.split_at_checked(message_len).unwrap_or_default();
        let signature = signature.get(..signature_len).unwrap_or_default();
        key.as_ref().is_some_and(|key| key.verify(scheme, message, signature).is_ok())
    })
}
