//! Prints the verdict on each of a list of tokens: `ok`, or the code of the error.
//!
//! ```text
//! cargo run --example verdicts -- corpus.json
//! ```
//!
//! The file is `{ "now", "policies": { name: options }, "corpus": [{ "policy", "token" }] }`, the options being those of
//! the npm package. Its tests compare what every JavaScript runtime says about a corpus with what this says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "stops at the first surprise"
)]

use std::collections::BTreeMap;

use edgeward::io::UnixTime;
use edgeward::jwk::{JwkSet, KeyCache};
use edgeward::jwt::{Algorithm, Demands, Policy, Profile, Roles};
use edgeward::{Check, Verifier};
use serde_json::Value;

fn main() {
    let path = std::env::args().nth(1).expect("the corpus, a JSON file");
    let input: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let now = UnixTime::from_secs(input["now"].as_i64().unwrap());
    let policies = input["policies"].as_object().unwrap().iter();
    let mut verifiers: BTreeMap<&str, Verifier> =
        policies.map(|(name, options)| (name.as_str(), verifier(options))).collect();
    for case in input["corpus"].as_array().unwrap() {
        let verifier = verifiers.get_mut(case["policy"].as_str().unwrap()).unwrap();
        println!(
            "{}",
            match verifier.check(case["token"].as_str().unwrap(), now, 0) {
                Check::Verified(..) => "ok",
                Check::Refused(error) => error.code(),
                _ => "there are no keys",
            }
        );
    }
}

fn verifier(options: &Value) -> Verifier {
    let Some(issuers) = options["issuers"].as_array() else {
        let (policy, keys) = issuer(options, options);
        return Verifier::new(policy, keys);
    };
    let mut all = issuers.iter().map(|one| issuer(one, options));
    let (policy, keys) = all.next().unwrap();
    all.fold(Verifier::new(policy, keys), |verifier, (policy, keys)| verifier.and_issuer(policy, keys))
}

fn issuer(one: &Value, all: &Value) -> (Policy, KeyCache) {
    let issuer = one["issuer"].as_str().unwrap();
    let algorithms: Vec<Algorithm> =
        texts(&all["algorithms"]).iter().map(|name| Algorithm::from_name(name).unwrap()).collect();
    let mut policy = if all["kind"] == "id" {
        Policy::id_token(issuer, all["clientId"].as_str().unwrap(), &algorithms).unwrap()
    } else {
        let policy = Policy::access_token(issuer, texts(&all["audience"]), &algorithms).unwrap();
        policy.clients(texts(&all["clients"])).profile(match all["profile"].as_str() {
            Some("rfc9068") => Profile::Rfc9068,
            Some("auth0") => Profile::Auth0,
            _ => Profile::Auto,
        })
    };
    if let Some(nonce) = all["nonce"].as_str() {
        policy = policy.nonce(nonce);
    }
    if let Some(client_id) = all["clientId"].as_str() {
        policy = policy.login_client(client_id);
    }
    if let Some(seconds) = all["clockSkew"].as_u64() {
        policy = policy.clock_skew_s(u32::try_from(seconds).unwrap()).unwrap();
    }
    if let Some(seconds) = all["maxTokenAge"].as_u64() {
        policy = policy.max_age_s(u32::try_from(seconds).unwrap());
    }
    for name in texts(&all["requiredClaims"]) {
        policy = policy.require_claim(name);
    }
    let mut demands = Demands::default();
    demands.scopes = texts(&all["scopes"]);
    demands.permissions = texts(&all["permissions"]);
    demands.organizations = texts(&all["organizations"]);
    if let Some(roles) = all["roles"].as_object() {
        let claim = roles["claim"].as_str().unwrap().into();
        let list = |name| roles.get(name).map(texts).unwrap_or_default();
        demands.roles = Some(Roles { claim, all: list("all"), any: list("any") });
    }
    let keys = JwkSet::parse(one["jwks"].to_string().as_bytes()).unwrap();
    (policy.demand(demands), KeyCache::fixed(issuer, keys))
}

/// A list of texts, or one text; nothing if it is not there.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => Vec::from([one.clone()]),
        Value::Array(list) => list.iter().map(|one| one.as_str().unwrap().into()).collect(),
        _ => Vec::new(),
    }
}
