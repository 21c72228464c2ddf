//! Tokens and keys: Wycheproof's JSON Web Signature, Key, Crypto and Encryption files, and the examples of RFC 7520.

use std::collections::{BTreeMap, BTreeSet};

use edgeward::base64url;
use edgeward::error::{Malformed, VerifyError};
use edgeward::jwk::JwkSet;
use edgeward::jwt::{Algorithm, Policy};
use edgeward::rsa::PublicKey;
use serde_json::{Value, json};
use support::vectors::{cases, is_valid, text};
use support::{key_a, verify};

const RFC_7520: &str = include_str!("data/rfc7520.jsonl");

/// Whether the signature of `text` was found genuine.
///
/// Most vectors sign a text that is not claims, such as `foo`, so no policy can accept them whole. But a policy refuses for the
/// claims only after the signature was verified (that order is a promise of `edgeward::jwt`): being refused there and no
/// earlier means that header, key and signature passed, which is what a vector calls valid.
fn is_genuine(text: &str, keys: &JwkSet) -> bool {
    let policy = Policy::access_token("https://nobody.example/", ["nothing"], &Algorithm::ALL).unwrap();
    match verify(&policy, keys, text) {
        Ok(_) => panic!("no vector satisfies this policy"),
        Err(
            VerifyError::TokenMalformed(Malformed::Claims)
            | VerifyError::ClaimMissing { .. }
            | VerifyError::ClaimMalformed { .. }
            | VerifyError::IssuerMismatch(_)
            | VerifyError::TypNotAllowed(_),
        ) => true,
        Err(
            VerifyError::TokenMalformed(_)
            | VerifyError::TokenTooLarge { .. }
            | VerifyError::TokenEncrypted
            | VerifyError::AlgNotAllowed { .. }
            | VerifyError::CritNotSupported
            | VerifyError::B64NotSupported
            | VerifyError::KeyNotFound
            | VerifyError::KeyAmbiguous
            | VerifyError::KeyAlgMismatch { .. }
            // For a host to verify: `tests/npm` does so, in every runtime.
            | VerifyError::AsyncRequired { .. }
            | VerifyError::SignatureInvalid,
        ) => false,
        Err(other) => panic!("is {other:?} before or after the signature?"),
    }
}

/// The usable keys among `keys`; if there are none, another issuer's.
fn usable_or_foreign(keys: &[Value]) -> JwkSet {
    JwkSet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap_or_else(|_| key_a().set())
}

/// Whether this crate offers what the vector tests: RSA keys, and an algorithm of ours if the keys name one.
fn is_offered(keys: &[Value]) -> bool {
    keys.iter()
        .all(|key| key["kty"] == "RSA" && key["alg"].as_str().is_none_or(|alg| Algorithm::from_name(alg).is_some()))
}

struct Wycheproof {
    keys: Vec<Value>,
    id: u64,
    text: String,
    is_valid: bool,
}

fn wycheproof(file: &str) -> Vec<Wycheproof> {
    let cases = cases(file).into_iter().map(|case| Wycheproof {
        keys: case["keys"].as_array().unwrap().clone(),
        id: case["id"].as_u64().unwrap(),
        text: text(&case, "token").into(),
        is_valid: is_valid(&case),
    });
    cases.collect()
}

/// How to treat a case whose stated verdict is wrong or does not apply.
enum Exception {
    /// Stated to be invalid, but the same text as a valid case.
    SameAs(u64),
    Refuse,
    /// Refused as published; accepted once the key names the token's algorithm.
    PatchKeyAlgorithm(&'static str),
}

/// The exceptions among the JWS cases.
const EXCEPTIONS: [(u64, Exception, &str); 8] = [
    (346, Exception::PatchKeyAlgorithm("PS384"), "the token is PS384, its key is for PS256"),
    (347, Exception::Refuse, "the key is for ES521, an algorithm that does not exist"),
    (350, Exception::PatchKeyAlgorithm("PS384"), "the token is PS384, its key is for PS256"),
    (351, Exception::Refuse, "the key is for ES521, an algorithm that does not exist"),
    (367, Exception::SameAs(357), "the padding that made it invalid is not in the file"),
    (370, Exception::SameAs(357), "the padding that made it invalid is not in the file"),
    (372, Exception::Refuse, "a question mark in the header: not base64url (RFC 7515 §2)"),
    (373, Exception::Refuse, "a question mark in the payload: not base64url (RFC 7515 §2)"),
];

#[test]
fn wycheproof_json_web_signatures() {
    let cases = wycheproof(include_str!("data/wycheproof-jws.jsonl"));
    let texts: BTreeMap<_, _> = cases.iter().map(|case| (case.id, case.text.as_str())).collect();
    let mut exceptions: BTreeMap<_, _> =
        EXCEPTIONS.into_iter().map(|(id, action, reason)| (id, (action, reason))).collect();

    let (mut accepted, mut refused, mut not_offered, mut skipped) = (0, 0, 0, 0);
    for case in &cases {
        let genuine = is_genuine(&case.text, &usable_or_foreign(&case.keys));
        if let Some((action, reason)) = exceptions.remove(&case.id) {
            println!("exception: {}: {reason}", case.id);
            match action {
                Exception::SameAs(valid) => {
                    assert!(
                        !case.is_valid && case.text == texts[&valid],
                        "{}: this exception no longer applies",
                        case.id
                    );
                    skipped += 1;
                    continue;
                }
                Exception::Refuse => {}
                Exception::PatchKeyAlgorithm(alg) => {
                    let mut keys = case.keys.clone();
                    keys[0]["alg"] = alg.into();
                    assert!(is_genuine(&case.text, &usable_or_foreign(&keys)), "{}, patched", case.id);
                }
            }
            assert!(!genuine && case.is_valid, "{}: this exception no longer applies", case.id);
            refused += 1;
        } else if case.is_valid && !is_offered(&case.keys) {
            assert!(!genuine, "{}: not an algorithm of ours", case.id);
            not_offered += 1;
        } else {
            assert_eq!(genuine, case.is_valid, "{}", case.id);
            *if genuine { &mut accepted } else { &mut refused } += 1;
        }
    }
    assert!(exceptions.is_empty(), "exceptions without a case: {:?}", exceptions.keys());
    println!(
        "JWS: {accepted} accepted, {refused} refused, {not_offered} valid ones of other algorithms refused, {skipped} skipped"
    );
    assert_eq!((accepted, refused, not_offered, skipped), (30, 359, 10, 2));
}

#[test]
fn wycheproof_json_web_keys() {
    let (accepted, refused, not_offered) = run(&wycheproof(include_str!("data/wycheproof-jwk.jsonl")));
    println!("JWK: {accepted} accepted, {refused} refused, {not_offered} valid ones of other algorithms refused");
    assert_eq!((accepted, refused, not_offered), (1, 21, 4));
}

#[test]
fn wycheproof_json_web_crypto() {
    let (accepted, refused, not_offered) = run(&wycheproof(include_str!("data/wycheproof-crypto.jsonl")));
    println!(
        "JSON Web Crypto: {accepted} accepted, {refused} refused, {not_offered} valid ones of other algorithms refused"
    );
    assert_eq!((accepted, refused, not_offered), (1, 77, 5));
}

/// Counts of accepted, refused, and valid cases of algorithms that are not offered.
fn run(cases: &[Wycheproof]) -> (usize, usize, usize) {
    let (mut accepted, mut refused, mut not_offered) = (0, 0, 0);
    for case in cases {
        let genuine = is_genuine(&case.text, &usable_or_foreign(&case.keys));
        let expected = case.is_valid && is_offered(&case.keys);
        assert_eq!(genuine, expected, "{}", case.id);
        *match (genuine, case.is_valid) {
            (true, _) => &mut accepted,
            (false, true) => &mut not_offered,
            (false, false) => &mut refused,
        } += 1;
    }
    (accepted, refused, not_offered)
}

#[test]
fn wycheproof_json_web_encryption_is_refused_whole() {
    let cases = wycheproof(include_str!("data/wycheproof-jwe.jsonl"));
    let refused = cases.iter().filter(|case| !is_genuine(&case.text, &usable_or_foreign(&case.keys))).count();
    println!("JWE: {refused} of {} refused", cases.len());
    assert_eq!((refused, cases.len()), (139, 139));
}

#[test]
fn rfc_7520_examples() {
    let (mut genuine, mut refused, mut keys, mut private_keys) = (Vec::new(), 0, 0, 0);
    for example in cases(RFC_7520) {
        let name = text(&example, "id").to_owned();
        if let Some(key) = example.get("key") {
            let usable = JwkSet::parse(json!({"keys": [key]}).to_string().as_bytes()).is_ok();
            assert_eq!(usable, name == "jwk/3_3.rsa_public_key.json", "{name}: only the public RSA key is a key to us");
            *if usable { &mut keys } else { &mut private_keys } += 1;
            continue;
        }
        let set = usable_or_foreign(example["keys"].as_array().unwrap());
        let tokens = example["tokens"].as_array().unwrap();
        assert!(!tokens.is_empty(), "{name}");
        for token in tokens {
            if is_genuine(token.as_str().unwrap(), &set) {
                genuine.push(name.clone());
            } else {
                refused += 1;
            }
        }
    }
    println!("RFC 7520: genuine: {genuine:?}; {refused} others refused; {keys} usable key, {private_keys} not usable");
    let expected = [
        "6.nesting_signatures_and_encryption.json",
        "jws/4_1.rsa_v15_signature.json",
        "jws/4_2.rsa-pss_signature.json",
    ];
    assert_eq!(genuine.iter().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(expected));
    assert_eq!((genuine.len(), refused, keys, private_keys), (3, 66, 1, 5));
}

#[test]
fn rfc_7520_signatures_verify_and_their_payload_is_not_claims() {
    let examples = cases(RFC_7520);
    for (id, algorithm) in
        [("jws/4_1.rsa_v15_signature.json", Algorithm::Rs256), ("jws/4_2.rsa-pss_signature.json", Algorithm::Ps384)]
    {
        let example = examples.iter().find(|example| example["id"] == id).unwrap();
        let bytes = |text: &str| base64url::decode(text.as_bytes()).unwrap();
        let keys = example["keys"].as_array().unwrap();
        let rsa = PublicKey::new(&bytes(text(&keys[0], "n")), &bytes(text(&keys[0], "e"))).unwrap();
        // The first of the three serialisations is the compact one.
        let token = example["tokens"][0].as_str().unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        assert_eq!(rsa.verify(algorithm.scheme().unwrap(), input.as_bytes(), &bytes(signature)), Ok(()), "{id}");

        let policy = Policy::access_token("https://nobody.example/", ["nothing"], &Algorithm::ALL).unwrap();
        let verdict = verify(&policy, &usable_or_foreign(keys), token);
        assert_eq!(verdict.unwrap_err(), VerifyError::TokenMalformed(Malformed::Claims), "{id}");
    }
}
