//! Tokens and keys: Wycheproof's JSON Web Signature, Key, Crypto and Encryption files, and the examples of RFC 7520.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use edgeward::base64url;
use edgeward::error::{Malformed, VerifyError};
use edgeward::jwk::JwkSet;
use edgeward::jwt::{Algorithm, Policy};
use edgeward::rsa::PublicKey;
use serde_json::{Value, json};

use crate::support::{key_a, verify};
use crate::{folder, read};

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
            | VerifyError::IssuerMismatch
            | VerifyError::TypNotAllowed,
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
            | VerifyError::SignatureInvalid,
        ) => false,
        Err(other) => panic!("is {other:?} before or after the signature?"),
    }
}

/// The public part of a JWK or set. Wycheproof and RFC 7520 publish private keys, which this crate would not use.
fn published(keys: &Value) -> Vec<Value> {
    let mut keys = keys["keys"].as_array().cloned().unwrap_or_else(|| vec![keys.clone()]);
    for key in &mut keys {
        let is_symmetric = key["kty"] == "oct";
        if let Some(key) = key.as_object_mut().filter(|_| !is_symmetric) {
            key.retain(|member, _| !["d", "p", "q", "dp", "dq", "qi", "oth"].contains(&member.as_str()));
        }
    }
    keys
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
    name: String,
    text: String,
    is_valid: bool,
}

fn wycheproof(folder: &Path, file: &str) -> Vec<Wycheproof> {
    let document: Value = serde_json::from_str(&read(folder, file)).unwrap();
    let mut cases = Vec::new();
    for group in document["testGroups"].as_array().unwrap() {
        let keys = published(group.get("public").unwrap_or(&group["private"]));
        for test in group["tests"].as_array().unwrap() {
            let text = test.get("jws").or(test.get("jwe")).unwrap();
            cases.push(Wycheproof {
                keys: keys.clone(),
                id: test["tcId"].as_u64().unwrap(),
                name: format!("{file} {} {} {}", test["tcId"], group["comment"], test["comment"]),
                text: text.as_str().map_or_else(|| text.to_string(), Into::into),
                is_valid: test["result"] == "valid",
            });
        }
    }
    assert_eq!(Some(cases.len() as u64), document["numberOfTests"].as_u64(), "{file}");
    cases
}

/// What to do with a case whose stated verdict is wrong or cannot be had.
enum Exception {
    Skip,
    Refuse,
    /// Refused as published; accepted once the key names the token's algorithm.
    PatchKeyAlgorithm(&'static str),
}

#[test]
fn wycheproof_json_web_signatures() {
    let Some(folder) = folder("wycheproof") else { return };
    let listed: Value = serde_json::from_str(&read(&folder, "EXCEPTIONS.json")).unwrap();
    let mut exceptions = BTreeMap::new();
    for exception in listed["exceptions"].as_array().unwrap() {
        let reason = exception["why"].as_str().unwrap().to_owned();
        let action = match exception["use"].as_str().unwrap() {
            "skip" => Exception::Skip,
            _ if reason.contains("token alg PS384") || reason.contains("same as 346") => {
                Exception::PatchKeyAlgorithm("PS384")
            }
            _ => Exception::Refuse,
        };
        exceptions.insert(exception["tcId"].as_u64().unwrap(), (action, reason));
    }
    assert_eq!(exceptions.len(), 8);

    let (mut accepted, mut refused, mut not_offered, mut skipped) = (0, 0, 0, 0);
    for case in wycheproof(&folder, "json_web_signature_test.json") {
        let genuine = is_genuine(&case.text, &usable_or_foreign(&case.keys));
        if let Some((action, reason)) = exceptions.remove(&case.id) {
            println!("exception: {}: {reason}", case.name);
            match action {
                Exception::Skip => {
                    skipped += 1;
                    continue;
                }
                Exception::Refuse => {}
                Exception::PatchKeyAlgorithm(alg) => {
                    let mut keys = case.keys.clone();
                    keys[0]["alg"] = alg.into();
                    assert!(is_genuine(&case.text, &usable_or_foreign(&keys)), "{}, patched", case.name);
                }
            }
            assert!(!genuine && case.is_valid, "{}: this exception no longer applies", case.name);
            refused += 1;
        } else if case.is_valid && !is_offered(&case.keys) {
            assert!(!genuine, "{}: not an algorithm of ours", case.name);
            not_offered += 1;
        } else {
            assert_eq!(genuine, case.is_valid, "{}", case.name);
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
    let Some(folder) = folder("wycheproof") else { return };
    let (accepted, refused, not_offered) = run(&wycheproof(&folder, "json_web_key_test.json"));
    println!("JWK: {accepted} accepted, {refused} refused, {not_offered} valid ones of other algorithms refused");
    assert_eq!((accepted, refused, not_offered), (1, 21, 4));
}

#[test]
fn wycheproof_json_web_crypto() {
    let Some(folder) = folder("wycheproof") else { return };
    let (accepted, refused, not_offered) = run(&wycheproof(&folder, "json_web_crypto_test.json"));
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
        assert_eq!(genuine, expected, "{}", case.name);
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
    let Some(folder) = folder("wycheproof") else { return };
    let cases = wycheproof(&folder, "json_web_encryption_test.json");
    let refused = cases.iter().filter(|case| !is_genuine(&case.text, &usable_or_foreign(&case.keys))).count();
    println!("JWE: {refused} of {} refused", cases.len());
    assert_eq!((refused, cases.len()), (139, 139));
}

fn files_below(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.insert(path);
        }
    }
    found
}

/// Everything in the example that a client could send as a token: compact texts, and the JSON serialisations as text.
fn tokens_of(example: &Value) -> Vec<String> {
    let outputs = [&example["output"], &example["sign"]["output"], &example["encrypt"]["output"]];
    outputs
        .into_iter()
        .filter_map(Value::as_object)
        .flatten()
        .map(|(_, token)| token.as_str().map_or_else(|| token.to_string(), Into::into))
        .collect()
}

#[test]
fn rfc_7520_examples() {
    let Some(folder) = folder("rfc7520") else { return };
    let (mut genuine, mut refused, mut keys, mut private_keys) = (Vec::new(), 0, 0, 0);
    for path in files_below(&folder) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let example: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        if example.get("kty").is_some() {
            let usable = JwkSet::parse(json!({"keys": [example]}).to_string().as_bytes()).is_ok();
            assert_eq!(usable, name == "3_3.rsa_public_key.json", "{name}: only the public RSA key is a key to us");
            *if usable { &mut keys } else { &mut private_keys } += 1;
            continue;
        }
        let key = example["input"].get("key").or(example["sign"]["input"].get("key"));
        let set = usable_or_foreign(&key.map(published).unwrap_or_default());
        let tokens = tokens_of(&example);
        assert!(!tokens.is_empty(), "{name}");
        for token in tokens {
            if is_genuine(&token, &set) {
                genuine.push(name.clone());
            } else {
                refused += 1;
            }
        }
    }
    println!("RFC 7520: genuine: {genuine:?}; {refused} others refused; {keys} usable key, {private_keys} not usable");
    let expected =
        ["4_1.rsa_v15_signature.json", "4_2.rsa-pss_signature.json", "6.nesting_signatures_and_encryption.json"];
    assert_eq!(genuine.iter().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(expected));
    assert_eq!((genuine.len(), refused, keys, private_keys), (3, 66, 1, 5));
}

#[test]
fn rfc_7520_signatures_verify_and_their_payload_is_not_claims() {
    let Some(folder) = folder("rfc7520") else { return };
    for (file, algorithm) in
        [("jws/4_1.rsa_v15_signature.json", Algorithm::Rs256), ("jws/4_2.rsa-pss_signature.json", Algorithm::Ps384)]
    {
        let example: Value = serde_json::from_str(&read(&folder, file)).unwrap();
        let bytes = |text: &Value| base64url::decode(text.as_str().unwrap().as_bytes()).unwrap();
        let key = &example["input"]["key"];
        let rsa = PublicKey::new(&bytes(&key["n"]), &bytes(&key["e"])).unwrap();
        let input = example["signing"]["sig-input"].as_str().unwrap();
        let signature = bytes(&example["signing"]["sig"]);
        assert_eq!(rsa.verify(algorithm.scheme(), input.as_bytes(), &signature), Ok(()), "{file}");

        let policy = Policy::access_token("https://nobody.example/", ["nothing"], &Algorithm::ALL).unwrap();
        let set = usable_or_foreign(&published(key));
        let verdict = verify(&policy, &set, example["output"]["compact"].as_str().unwrap());
        assert_eq!(verdict.unwrap_err(), VerifyError::TokenMalformed(Malformed::Claims), "{file}");
    }
}
