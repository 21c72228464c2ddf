//! A server that accepts tokens with a proof of possession only (RFC 9449 §4.3 and §8), written from the RFC.

// The core's unit tests include this file, and the core has no prelude of std.
use std::prelude::rust_2024::*;

use std::collections::{BTreeSet, VecDeque};

use edgeward::base64url;
use edgeward::io::Outgoing;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{TestKey, key_a, key_b, key_c, signed};

/// What the server has seen, and the nonces that it wants.
#[derive(Default)]
pub struct Proofs {
    /// The nonce that a proof must have, if it must have one.
    pub nonce: Option<String>,
    /// The nonces that follow: each accepted proof makes the next one current.
    pub next: VecDeque<String>,
    /// The ids of all proofs.
    ids: BTreeSet<String>,
    /// The URLs, headers and claims of accepted proofs.
    pub accepted: Vec<(String, Value, Value)>,
    /// The proofs refused for their nonce.
    pub challenged: usize,
}

/// Why a proof is refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    Nonce,
    Proof(&'static str),
}

impl Proofs {
    /// Checks the proof of a request. Returns the thumbprint of its key. Fails the test if a proof is used again.
    pub fn check(&mut self, request: &Outgoing, token: Option<&str>, now_s: i64) -> Result<String, Refused> {
        let proofs: Vec<&String> =
            request.headers.iter().filter(|(name, _)| *name == "dpop").map(|(_, value)| value).collect();
        let [proof] = proofs.as_slice() else { return Err(Refused::Proof("no proof, or several")) };
        let (key, header, claims) = verified(proof, request.method, &request.url, token, now_s)?;
        let id = claims["jti"].as_str().unwrap().to_string();
        assert!(id.len() >= 22 && self.ids.insert(id), "a proof is used again");
        if self.nonce.is_some() && claims["nonce"].as_str() != self.nonce.as_deref() {
            self.challenged += 1;
            return Err(Refused::Nonce);
        }
        self.nonce = self.next.pop_front().or(self.nonce.take());
        self.accepted.push((request.url.clone(), header, claims));
        Ok(key)
    }
}

/// Verifies a proof. Returns the thumbprint of its key, its header and its claims.
pub fn verified(
    proof: &str,
    method: &str,
    url: &str,
    token: Option<&str>,
    now_s: i64,
) -> Result<(String, Value, Value), Refused> {
    let header: Value =
        serde_json::from_slice(&base64url::decode(proof.split('.').next().unwrap().as_bytes()).unwrap()).unwrap();
    let mut names: Vec<&String> = header.as_object().unwrap().keys().collect();
    names.sort();
    if names != ["alg", "jwk", "typ"] || header["typ"] != "dpop+jwt" {
        return Err(Refused::Proof("its header"));
    }
    let key = [key_a(), key_b(), key_c()].into_iter().find(|key| header["jwk"] == public(key));
    let key = key.ok_or(Refused::Proof("its key, or a private one"))?;
    let (header, claims) = signed::read(proof, key).ok_or(Refused::Proof("its signature"))?;
    if claims["htm"] != method || claims["htu"] != url.split(['?', '#']).next().unwrap() {
        return Err(Refused::Proof("another request"));
    }
    if (claims["iat"].as_i64().unwrap() - now_s).abs() > 5 {
        return Err(Refused::Proof("another time"));
    }
    let hash = token.map(|token| base64url::encode(&Sha256::digest(token.as_bytes())));
    if claims.get("ath").map(|hash| hash.as_str().unwrap()) != hash.as_deref() {
        return Err(Refused::Proof("another token"));
    }
    Ok((thumbprint(key), header, claims))
}

fn public(key: &TestKey) -> Value {
    let mut jwk = key.jwk();
    jwk.as_object_mut().unwrap().remove("kid");
    jwk
}

/// Returns the thumbprint of a key (RFC 7638 §3.1).
pub fn thumbprint(key: &TestKey) -> String {
    let jwk = key.jwk();
    let text = format!(r#"{{"e":{},"kty":"RSA","n":{}}}"#, jwk["e"], jwk["n"]);
    base64url::encode(&Sha256::digest(text.as_bytes()))
}

/// The claim of a token that is bound to a key.
pub fn bound_to(thumbprint: &str) -> Value {
    json!({ "jkt": thumbprint })
}
