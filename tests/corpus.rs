//! The corpus of `corpus/`: every verdict and every code, by a verifier with fixed keys and a fixed clock.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure, and a runner prints what it ran"
)]

#[path = "support/verdicts.rs"]
mod verdicts;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use edgeward::base64url;
use edgeward::host::{Host, Level, SignatureCheck, SignatureVerdict, Spawn};
use edgeward::io::{EdgeEntry, Incoming, Outgoing, UnixTime, Unreachable};
use edgeward::jwk::KeyJob;
use serde_json::Value;
use support::fixed_host::{self, FixedHost};
use verdicts::{VerdictFn, verdict_fn};

fn read(name: &str) -> Value {
    serde_json::from_str(
        &std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/data").join(name)).unwrap(),
    )
    .unwrap()
}

/// A host with a clock, and with what the platform says about the signatures of ES256, ES384 and EdDSA: the corpus has it from another
/// implementation.
struct CorpusHost {
    fixed: FixedHost,
    /// By the whole token.
    platform: BTreeMap<String, SignatureVerdict>,
}

fn platform(case: &Value) -> Option<(String, SignatureVerdict)> {
    let verdict = match case["platform"].as_str()? {
        "valid" => SignatureVerdict::Valid,
        "invalid" => SignatureVerdict::Invalid,
        _ => SignatureVerdict::KeyRefused,
    };
    Some((case["token"].as_str()?.into(), verdict))
}

impl Host for CorpusHost {
    fn now(&self) -> UnixTime {
        self.fixed.now()
    }

    async fn send(&self, request: Outgoing) -> Result<Incoming, Unreachable> {
        self.fixed.send(request).await
    }

    async fn sleep(&self, millis: u32) {
        self.fixed.sleep(millis).await;
    }

    async fn edge_get(&self, key: String) -> Option<Vec<u8>> {
        self.fixed.edge_get(key).await
    }

    async fn edge_put(&self, entry: EdgeEntry) {
        self.fixed.edge_put(entry).await;
    }

    async fn verify_signature(&self, check: SignatureCheck) -> SignatureVerdict {
        self.platform[&format!("{}.{}", check.message, base64url::encode(&check.signature))]
    }

    fn log(&self, level: Level, line: &dyn Display) {
        self.fixed.log(level, line);
    }
}

impl Spawn<KeyJob> for CorpusHost {
    async fn spawn(&self, job: KeyJob) {
        self.fixed.spawn(job).await;
    }
}

/// A policy's options with the texts of its key sets.
fn options(policy: &Value, override_keys: Option<&str>, sets: &Value) -> Value {
    let with_keys = |mut options: Value| {
        if let Some(text) = override_keys.or(options["keys"].as_str()).map(|name| sets[name].clone()) {
            assert!(text.is_string(), "{options}");
            options["jwks"] = text;
        }
        options
    };
    let mut options = with_keys(policy.clone());
    if let Some(issuers) = options["issuers"].as_array_mut() {
        for issuer in issuers {
            *issuer = with_keys(issuer.clone());
        }
    }
    options
}

#[test]
fn every_case_has_its_verdict_and_code() {
    let (index, policies, sets) = (read("index.json"), read("policies.json"), read("keys.json"));
    let now = UnixTime::from_secs(index["now"].as_i64().unwrap());
    let mut cases = Vec::new();
    for (class, about) in index["classes"].as_object().unwrap() {
        let list = read(&format!("cases/{class}.json"));
        let list = list.as_array().unwrap();
        assert_eq!(Some(list.len() as u64), about["cases"].as_u64(), "{class}");
        for case in list {
            assert_eq!(case["verdict"], about["verdict"], "{}", case["id"]);
            assert_eq!(case["verdict"] == "accept", case["code"].is_null(), "{}", case["id"]);
        }
        cases.extend(list.clone());
    }
    let mut verifiers: BTreeMap<(&str, Option<&str>), VerdictFn> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut accepted = 0;
    for case in &cases {
        let (policy, keys) = (case["policy"].as_str().unwrap(), case["keys"].as_str());
        let verdict = verifiers.entry((policy, keys)).or_insert_with(|| {
            let of_verifier = cases.iter().filter(|one| one["policy"] == case["policy"] && one["keys"] == case["keys"]);
            let host = CorpusHost { fixed: FixedHost(now), platform: of_verifier.filter_map(platform).collect() };
            verdict_fn(&options(&policies[policy], keys, &sets), host)
        });
        let expected = case["code"].as_str().unwrap_or("ok");
        // The second time from the cache of verified tokens, where it was accepted.
        for round in ["first", "second"] {
            let got = verdict(case["token"].as_str().unwrap());
            if got != expected {
                wrong.push(format!("{}: {got} instead of {expected} ({round} time): {}", case["id"], case["why"]));
            }
        }
        accepted += usize::from(expected == "ok");
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    println!("corpus: {accepted} accepted, {} refused", cases.len() - accepted);
    assert!(accepted >= 900 && cases.len() >= 1800, "{accepted} of {}", cases.len());
}
