//! What a client signs, as a provider checks it.

// The core's unit tests include this file, and the core has no prelude of std.
use std::prelude::rust_2024::*;

use edgeward::base64url;
use edgeward::jwk::SigningKey;
use edgeward::jwt::Algorithm;
use edgeward::rsa::PublicKey;
use serde_json::Value;

use super::TestKey;

/// Returns header and claims of a token with a valid signature of this key; `None` if the signature is not valid.
pub fn read(token: &str, key: &TestKey) -> Option<(Value, Value)> {
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let json = |part: &str| -> Value { serde_json::from_slice(&base64url::decode(part.as_bytes()).unwrap()).unwrap() };
    let message = [header, ".", claims].concat();
    let (header, claims) = (json(header), json(claims));
    let algorithm = Algorithm::from_name(header["alg"].as_str().unwrap()).unwrap();
    let public = PublicKey::new(&key.n(), &key.e()).unwrap();
    let signature = base64url::decode(signature.as_bytes()).unwrap();
    public.verify(algorithm.scheme().unwrap(), message.as_bytes(), &signature).ok()?;
    Some((header, claims))
}

/// Returns the thumbprint of a key.
pub fn thumbprint(pem: &str) -> String {
    SigningKey::parse(pem).unwrap().kid().into()
}
