//! Verifiers from options in the words of the npm package, and their verdicts: for the corpus, and for the tests that compare the
//! package's verdicts with those of the native program.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code: a panic is a failure")]

use edgeward::jwk::{JwkSet, KeyCache, KeyHost};
use edgeward::jwt::{Access, Algorithm, ClaimRule, Id, Policy, Profile, Requirements, Roles, Tenants};
use edgeward::{VerificationError, Verifier};
use serde_json::Value;

use super::fixed_host::at_once;

/// Returns `ok`, or the error code.
pub(crate) type VerdictFn = Box<dyn Fn(&str) -> &'static str>;

/// Makes a verifier from options. A key set, `jwks`, is an object or the text of one.
pub(crate) fn verdict_fn(options: &Value, host: impl KeyHost + 'static) -> VerdictFn {
    if options["kind"] == "id" {
        verdict_of(options, host, id_policy)
    } else {
        verdict_of(options, host, access_policy)
    }
}

/// Reads a policy from the options of one issuer and those of all.
type ReadPolicy<K> = fn(&Value, &Value) -> Policy<K>;

fn verdict_of<K: 'static>(options: &Value, host: impl KeyHost + 'static, policy: ReadPolicy<K>) -> VerdictFn {
    let alone = [options.clone()];
    let mut issuers = options["issuers"].as_array().map_or(&alone[..], Vec::as_slice).iter().map(|one| {
        let policy = policy(one, options);
        let text = one["jwks"].as_str().map_or_else(|| one["jwks"].to_string(), Into::into);
        let keys = JwkSet::parse(text.as_bytes()).unwrap();
        let keys = KeyCache::fixed(policy.issuer(), keys);
        (with_common_options(policy, options), keys)
    });
    let (policy, keys) = issuers.next().unwrap();
    let first = Verifier::new(policy, keys);
    let verifier = issuers.fold(first, |verifier, (policy, keys)| verifier.and_issuer(policy, keys));
    Box::new(move |token| match at_once(verifier.verify(token, &host)) {
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
    if all["tenants"].is_array() {
        policy = policy.tenants(Tenants::Only(texts(&all["tenants"])));
    }
    let mut requirements = Requirements::default();
    requirements.scopes = texts(&all["scopes"]);
    requirements.permissions = texts(&all["permissions"]);
    requirements.organizations = texts(&all["organizations"]);
    if let Some(roles) = all["roles"].as_object() {
        let claim = texts(&roles["claim"]).into_iter().collect();
        let list = |name| roles.get(name).map(texts).unwrap_or_default();
        requirements.roles = Some(Roles { claim, all: list("all"), any: list("any") });
    }
    requirements.claims =
        all["claims"].as_object().into_iter().flatten().map(|(name, value)| claim_rule(name, value)).collect();
    policy.require(requirements)
}

/// Reads a rule of the form `{ name: text }`.
fn claim_rule(name: &str, value: &Value) -> ClaimRule {
    let mut rule = ClaimRule::new(name);
    rule.equals = Some(value.as_str().unwrap().into());
    rule
}

/// Reads a list of strings, or one string; empty if absent.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => Vec::from([one.clone()]),
        Value::Array(list) => list.iter().map(|one| one.as_str().unwrap().into()).collect(),
        _ => Vec::new(),
    }
}
