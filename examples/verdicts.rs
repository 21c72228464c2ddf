//! Prints the verdict on each token of a list: `ok`, or the error code.
//!
//! ```text
//! cargo run --example verdicts -- corpus.json
//! ```
//!
//! The file is `{ "now", "policies": { name: options }, "corpus": [{ "policy", "token" }] }`, the options being those of
//! the npm package. Its tests compare the verdicts of every JavaScript runtime with these.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "stops at the first surprise"
)]

#[path = "../tests/support/fixed_host.rs"]
mod fixed_host;

use std::collections::BTreeMap;

use edgeward::io::UnixTime;
use edgeward::jwk::{JwkSet, KeyCache};
use edgeward::jwt::{Access, Algorithm, Id, Policy, Profile, Requirements, Roles};
use edgeward::{VerificationError, Verifier};
use fixed_host::{FixedHost, at_once};
use serde_json::Value;

fn main() {
    let path = std::env::args().nth(1).expect("the corpus, a JSON file");
    let input: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let now = UnixTime::from_secs(input["now"].as_i64().unwrap());
    let policies = input["policies"].as_object().unwrap().iter();
    let verifiers: BTreeMap<&str, VerdictFn> = policies
        .map(|(name, options)| {
            let verdict = if options["kind"] == "id" {
                verdict_fn(options, now, id_policy)
            } else {
                verdict_fn(options, now, access_policy)
            };
            (name.as_str(), verdict)
        })
        .collect();
    for case in input["corpus"].as_array().unwrap() {
        let verdict = &verifiers[case["policy"].as_str().unwrap()];
        println!("{}", verdict(case["token"].as_str().unwrap()));
    }
}

/// Returns `ok`, or the error code.
type VerdictFn = Box<dyn Fn(&str) -> &'static str>;

/// Reads a policy from the options of one issuer and those of all.
type ReadPolicy<K> = fn(&Value, &Value) -> Policy<K>;

fn verdict_fn<K: 'static>(options: &Value, now: UnixTime, policy: ReadPolicy<K>) -> VerdictFn {
    let alone = [options.clone()];
    let mut issuers = options["issuers"].as_array().map_or(&alone[..], Vec::as_slice).iter().map(|one| {
        let policy = policy(one, options);
        let keys = JwkSet::parse(one["jwks"].to_string().as_bytes()).unwrap();
        let keys = KeyCache::fixed(policy.issuer(), keys);
        (with_common_options(policy, options), keys)
    });
    let (policy, keys) = issuers.next().unwrap();
    let first = Verifier::new(policy, keys);
    let verifier = issuers.fold(first, |verifier, (policy, keys)| verifier.and_issuer(policy, keys));
    Box::new(move |token| match at_once(verifier.verify(token, &FixedHost(now))) {
        Ok(_) => "ok",
        Err(VerificationError::Refused(error)) => error.code(),
        Err(VerificationError::Unavailable(_)) => "there are no keys",
    })
}

fn algorithms(options: &Value) -> Vec<Algorithm> {
    texts(&options["algorithms"]).iter().map(|name| Algorithm::from_name(name).unwrap()).collect()
}

fn id_policy(one: &Value, all: &Value) -> Policy<Id> {
    let (issuer, client_id) = (one["issuer"].as_str().unwrap(), all["clientId"].as_str().unwrap());
    let policy = Policy::id_token(issuer, client_id, &algorithms(all)).unwrap();
    let policy = texts(&all["trustedAudiences"]).into_iter().fold(policy, Policy::trust_audience);
    let policy = policy.authorized_parties(texts(&all["clients"]));
    match all["nonce"].as_str() {
        Some(nonce) => policy.nonce(nonce),
        None => policy,
    }
}

fn access_policy(one: &Value, all: &Value) -> Policy<Access> {
    let issuer = one["issuer"].as_str().unwrap();
    let (clients, algorithms) = (texts(&all["clients"]), algorithms(all));
    let policy = if all["audience"] == false {
        Policy::access_token_without_audience(issuer, clients, &algorithms).unwrap()
    } else {
        Policy::access_token(issuer, texts(&all["audience"]), &algorithms).unwrap().clients(clients)
    };
    let policy = policy.profile(match all["profile"].as_str() {
        Some("rfc9068") => Profile::Rfc9068,
        Some("auth0") => Profile::Auth0,
        _ => Profile::Auto,
    });
    match all["clientId"].as_str() {
        Some(client_id) => policy.login_client(client_id),
        None => policy,
    }
}

fn with_common_options<K>(mut policy: Policy<K>, all: &Value) -> Policy<K> {
    if let Some(seconds) = all["clockSkew"].as_u64() {
        policy = policy.clock_skew_s(u32::try_from(seconds).unwrap()).unwrap();
    }
    if let Some(seconds) = all["maxTokenAge"].as_u64() {
        policy = policy.max_age_s(u32::try_from(seconds).unwrap());
    }
    for name in texts(&all["requiredClaims"]) {
        policy = policy.require_claim(name);
    }
    policy = policy.types(texts(&all["types"]));
    let mut requirements = Requirements::default();
    requirements.scopes = texts(&all["scopes"]);
    requirements.permissions = texts(&all["permissions"]);
    requirements.organizations = texts(&all["organizations"]);
    if let Some(roles) = all["roles"].as_object() {
        let claim = roles["claim"].as_str().unwrap().into();
        let list = |name| roles.get(name).map(texts).unwrap_or_default();
        requirements.roles = Some(Roles { claim, all: list("all"), any: list("any") });
    }
    policy.require(requirements)
}

/// Reads a list of strings, or one string; empty if absent.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => Vec::from([one.clone()]),
        Value::Array(list) => list.iter().map(|one| one.as_str().unwrap().into()).collect(),
        _ => Vec::new(),
    }
}
