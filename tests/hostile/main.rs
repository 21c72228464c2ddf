//! Proves that hostile input is refused, each kind with its own stable error: the failure classes of JWT verifiers.
//!
//! Each test builds a valid token once, shows that it passes, and breaks one thing. Every refusal is also checked to say nothing
//! of the token's content.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]

mod algorithms;
mod claims;
mod curves;
mod dates;
mod errors;
mod form;
mod headers;
mod keys;
mod kinds;
mod rights;
mod signatures;
mod tenants;

use edgeward::base64url;
use edgeward::error::{AudienceHint, VerifyError};
use edgeward::jwk::JwkSet;
use edgeward::jwt::{Algorithm, Policy};
use serde_json::Value;
use support::verify;

/// Why `text` is refused. It must be, and the refusal must not repeat what the token says.
fn refusal<K>(policy: &Policy<K>, keys: &JwkSet, text: &str) -> VerifyError {
    let error = match verify(policy, keys, text) {
        Ok(token) => panic!("accepted: {}", token.claims().as_json()),
        Err(error) => error,
    };
    let expected = expected_by(&error);
    for said in [format!("{error}").replace(&named_by(&error), ""), format!("{error:?}").replace(&expected, "")] {
        for part in text.split('.').filter(|part| part.len() >= 8) {
            assert!(!said.contains(part), "{said:?} repeats a part of the token");
        }
        for word in text.split('.').take(2).flat_map(words_of) {
            assert!(!said.contains(&word), "{said:?} repeats {word:?}");
        }
    }
    error
}

/// What an error says of a token: the audience of an ID token that is not trusted, which is not the user's.
fn named_by(error: &VerifyError) -> String {
    match error {
        VerifyError::AudienceMismatch { mismatch, hint: AudienceHint::Untrusted } => {
            mismatch.found.iter().find(|found| !mismatch.expected.contains(found)).cloned().unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// How an error shows what the policy expects: its own words, which a token may have elsewhere, or begin with.
fn expected_by(error: &VerifyError) -> String {
    match error {
        VerifyError::AlgNotAllowed { allowed, .. } => format!("{allowed:?}"),
        VerifyError::TypNotAllowed(mismatch)
        | VerifyError::IssuerMismatch(mismatch)
        | VerifyError::AzpMismatch(mismatch)
        | VerifyError::ClientNotAllowed(mismatch)
        | VerifyError::ClaimMismatch { mismatch, .. }
        | VerifyError::AudienceMismatch { mismatch, .. } => format!("{:?}", mismatch.expected),
        _ => String::new(),
    }
}

/// The strings in a part of a token, except the names of known algorithms and what Rust calls nothing.
fn words_of(part: &str) -> Vec<String> {
    fn collect(value: &Value, words: &mut Vec<String>) {
        match value {
            Value::String(word) if word.len() >= 4 && word != "None" && Algorithm::from_name(word).is_none() => {
                words.push(word.clone())
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, words)),
            Value::Object(members) => members.values().for_each(|value| collect(value, words)),
            _ => {}
        }
    }
    let mut words = Vec::new();
    let json = base64url::decode(part.as_bytes()).ok().and_then(|json| serde_json::from_slice::<Value>(&json).ok());
    collect(&json.unwrap_or_default(), &mut words);
    words
}
