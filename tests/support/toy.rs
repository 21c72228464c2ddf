//! Signatures that cost nothing: those of ES256, which the core leaves to the platform, made and verified by a virtual platform. What is
//! simulated in millions of steps is everything but their arithmetic.

// The core's unit tests include this file, and the core has no prelude of std.
use std::prelude::rust_2024::*;

use edgeward::base64url;
use edgeward::host::{SignatureCheck, SignatureVerdict};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A number that is unique for each key.
pub type ToyKey = u64;

fn coordinate(key: ToyKey) -> [u8; 32] {
    let mut bytes = [1; 32];
    bytes[..8].copy_from_slice(&key.to_be_bytes());
    bytes
}

/// Returns the public key as a JWK. It is no point of the curve; the core does not know.
pub fn toy_jwk(key: ToyKey, kid: &str) -> Value {
    let coordinate = base64url::encode(&coordinate(key));
    json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid, "x": coordinate, "y": coordinate})
}

/// Signs a text. Both numbers are in the range of the curve.
pub fn toy_signature(key: ToyKey, message: &str) -> Vec<u8> {
    let mut half = Sha256::new().chain_update(coordinate(key)).chain_update(message).finalize().to_vec();
    half[0] = 1;
    half.repeat(2)
}

/// Verifies a signature.
pub fn toy_verdict(check: &SignatureCheck) -> SignatureVerdict {
    let key = check.key.get(1..9).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
    match key {
        Some(key) if toy_signature(key, &check.message) == check.signature => SignatureVerdict::Valid,
        _ => SignatureVerdict::Invalid,
    }
}
