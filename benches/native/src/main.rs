//! Native times of the core beside other crates: the RSA operation alone, and whole tokens.
//!
//! `benches/run.mjs` makes the keys and tokens, starts this, and does the statistics. Usage: `bench-native FILE ROUNDS MILLIS`.
//! The file is JSON: `{ "issuer", "audience", "now", "jwks", "keys": [{ "bits", "n", "e", "message", "signature" }],
//! "rs256": [token], "ps256": [token] }`, numbers and octets in base64url. Each line of output is JSON: `{ "id", "us": [time
//! of one call, by round] }`. The rounds of all contenders take turns.

#[path = "../../../tests/support/fixed_host.rs"]
mod fixed_host;

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use edgeward::io::UnixTime;
use edgeward::jwk::{JwkSet, KeyCache};
use edgeward::jwt::{Algorithm, Policy};
use edgeward::rsa::{Hash, PublicKey, Scheme};
use edgeward::{Verifier, base64url};
use fixed_host::{FixedHost, at_once};
use serde_json::Value;

/// One thing to time.
struct Contender<'a> {
    id: String,
    call: Box<dyn FnMut(usize) + 'a>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, rounds, millis] = arguments.as_slice() else { panic!("usage: bench-native FILE ROUNDS MILLIS") };
    let input: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut contenders = Vec::new();
    for key in input["keys"].as_array().unwrap() {
        operation(key, &mut contenders);
    }
    tokens(&input, &mut contenders);
    time(contenders, rounds.parse().unwrap(), Duration::from_millis(millis.parse().unwrap()));
}

/// The signature alone; PKCS#1 v1.5 with SHA-256.
fn operation<'a>(given: &'a Value, contenders: &mut Vec<Contender<'a>>) {
    let octets = |name: &str| base64url::decode(given[name].as_str().unwrap().as_bytes()).unwrap();
    let bits = given["bits"].as_u64().unwrap();
    let (n, e, message, signature) = (octets("n"), octets("e"), octets("message"), octets("signature"));
    let mut add = |who: &str, verify: Box<dyn Fn(&[u8], &[u8]) -> bool>| {
        let (message, signature) = (message.clone(), signature.clone());
        let mut wrong = signature.clone();
        *wrong.last_mut().unwrap() ^= 1;
        assert!(verify(&message, &signature) && !verify(&message, &wrong), "{who} errs at {bits} bits");
        let call = move |_| assert!(verify(black_box(&message), black_box(&signature)));
        contenders.push(Contender { id: format!("native.op{bits}.{who}"), call: Box::new(call) });
    };

    let ours = PublicKey::new(&n, &e).unwrap();
    add(
        "edgeward",
        Box::new(move |message, signature| ours.verify(Scheme::Pkcs1v15(Hash::Sha256), message, signature).is_ok()),
    );

    // Its interface takes the numbers with every signature.
    let (ring_n, ring_e) = (n.clone(), e.clone());
    add(
        "ring",
        Box::new(move |message, signature| {
            let key = ring::signature::RsaPublicKeyComponents { n: &ring_n, e: &ring_e };
            key.verify(&ring::signature::RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
        }),
    );

    let [big_n, big_e] = [&n, &e].map(|octets| rsa::BigUint::from_bytes_be(octets));
    let key = rsa::RsaPublicKey::new_with_max_size(big_n, big_e, 8192).unwrap();
    let key = rsa::pkcs1v15::VerifyingKey::<rsa::sha2::Sha256>::new(key);
    add(
        "rsa",
        Box::new(move |message, signature| {
            use rsa::signature::Verifier as _;
            rsa::pkcs1v15::Signature::try_from(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
        }),
    );

    let [big_n, big_e] = [&n, &e].map(|octets| rsa_next::BoxedUint::from_be_slice_vartime(octets));
    let key = rsa_next::RsaPublicKey::new_with_size_limits(big_n, big_e, 2048..=8192).unwrap();
    let key = rsa_next::pkcs1v15::VerifyingKey::<sha2_next::Sha256>::new(key);
    add(
        "rsa_next",
        Box::new(move |message, signature| {
            use rsa_next::signature::Verifier as _;
            let signature = rsa_next::pkcs1v15::Signature::try_from(signature);
            signature.is_ok_and(|signature| key.verify(message, &signature).is_ok())
        }),
    );
}

/// Whole tokens: issuer, audience, expiry and signature, the key chosen by `kid`.
fn tokens<'a>(input: &'a Value, contenders: &mut Vec<Contender<'a>>) {
    let (issuer, audience) = (input["issuer"].as_str().unwrap(), input["audience"].as_str().unwrap());
    let now = UnixTime::from_secs(input["now"].as_i64().unwrap());
    let jwks = input["jwks"].to_string();
    let texts = |name: &str| -> Vec<&'a str> {
        input[name].as_array().unwrap().iter().map(|token| token.as_str().unwrap()).collect()
    };
    let verifier = |algorithm, entries| {
        let policy = Policy::access_token(issuer, [audience], &[algorithm]).unwrap();
        let keys = KeyCache::fixed(issuer, JwkSet::parse(jwks.as_bytes()).unwrap());
        Verifier::new(policy, keys).cache_entries(entries)
    };
    for (id, name, algorithm, entries) in [
        ("native.rs256.edgeward", "rs256", Algorithm::Rs256, 0),
        ("native.ps256.edgeward", "ps256", Algorithm::Ps256, 0),
        ("native.cached.edgeward", "rs256", Algorithm::Rs256, 512),
    ] {
        let (verifier, texts, host) = (verifier(algorithm, entries), texts(name), FixedHost(now));
        let call = move |i: usize| {
            let verdict = at_once(verifier.verify(black_box(texts[i % texts.len()]), &host));
            assert!(verdict.is_ok(), "{verdict:?}");
        };
        contenders.push(Contender { id: id.into(), call: Box::new(call) });
    }

    let keys: HashMap<String, jsonwebtoken::DecodingKey> = input["jwks"]["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|jwk| {
            let text = |name: &str| jwk[name].as_str().unwrap();
            (text("kid").into(), jsonwebtoken::DecodingKey::from_rsa_components(text("n"), text("e")).unwrap())
        })
        .collect();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    let texts = texts("rs256");
    let call = move |i: usize| {
        let text = black_box(texts[i % texts.len()]);
        let header = jsonwebtoken::decode_header(text).unwrap();
        let token = jsonwebtoken::decode::<Value>(text, &keys[&header.kid.unwrap()], &validation).unwrap();
        black_box(token);
    };
    contenders.push(Contender { id: "native.rs256.jsonwebtoken".into(), call: Box::new(call) });
}

/// Times all of them in turns, after a round that finds how many calls fill `length`.
fn time(mut contenders: Vec<Contender<'_>>, rounds: usize, length: Duration) {
    let run = |contender: &mut Contender<'_>, calls: usize| {
        let start = Instant::now();
        (0..calls).for_each(|i| (contender.call)(i));
        start.elapsed()
    };
    let mut batches = Vec::new();
    for contender in &mut contenders {
        let mut calls = 1;
        while run(contender, calls) < length {
            calls *= 2;
        }
        batches.push(calls);
    }
    let mut times = vec![Vec::new(); contenders.len()];
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            let i = (turn + round) % contenders.len();
            times[i].push(run(&mut contenders[i], batches[i]).as_secs_f64() * 1e6 / batches[i] as f64);
        }
    }
    for (contender, us) in contenders.iter().zip(times) {
        println!("{}", serde_json::json!({ "id": contender.id, "us": us }));
    }
}
