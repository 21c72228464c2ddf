//! The header's `alg` selects nothing: it must match the policy, the key and the signature.

use edgeward::error::{Malformed, VerifyError};
use edgeward::jwk::{JwkSet, KeyCache, KeySource};
use edgeward::jwt::{Algorithm, Policy};
use edgeward::{VerificationError, Verifier};
use rsa::pkcs1::{EncodeRsaPublicKey as _, LineEnding};
use rsa::pkcs8::EncodePublicKey as _;
use serde_json::{Value, json};
use support::fixed_host::{FixedHost, at_once};
use support::{AUDIENCE, ISSUER, Mint, access_policy, hmac_sha256, key_a, key_e3, now, set, verify};

use crate::refusal;

/// The refusal of an unsupported algorithm.
fn no_such_algorithm() -> VerifyError {
    VerifyError::AlgNotAllowed { allowed: Algorithm::ALL.into(), got: None }
}

/// The header alone is refused, and a verifier without keys does not even fetch them.
fn assert_refused_before_any_key(text: &str, expected: &VerifyError) {
    assert_eq!(&access_policy().verify(text, &JwkSet::default(), now()).unwrap_err(), expected, "without any key");
    let without_keys = Verifier::new(access_policy(), KeyCache::new(ISSUER, KeySource::Discovery));
    match at_once(without_keys.verify(text, &FixedHost(now()))) {
        Err(VerificationError::Refused(error)) => assert_eq!(&error, expected),
        other => panic!("{other:?}"),
    }
    assert_eq!(&refusal(&access_policy(), &key_a().set(), text), expected);
}

/// Every way to write a word in upper and lower case.
fn all_cases(word: &str) -> impl Iterator<Item = String> {
    (0..1u32 << word.len()).map(move |upper| {
        let letters = word.chars().enumerate();
        letters.map(|(at, letter)| if upper >> at & 1 == 1 { letter.to_ascii_uppercase() } else { letter }).collect()
    })
}

#[test]
fn alg_none_is_refused_in_every_spelling_with_and_without_a_signature() {
    let valid = Mint::access(key_a());
    let odd = ["none ", " none", "none\0", "nоne", "non", "", "null", "ɴone", "unsecured"];
    for name in all_cases("none").chain(odd.map(String::from)) {
        let forged = valid.clone().header("alg", name.as_str());
        assert_refused_before_any_key(&forged.with_signature(&[]), &no_such_algorithm());
        assert_refused_before_any_key(&forged.with_signature(&[0]), &no_such_algorithm());
        assert_refused_before_any_key(&forged.text(), &no_such_algorithm());
    }
    for written in [r"n\u006fne", r"\u006e\u006f\u006e\u0065", r"N\u004fNE"] {
        let forged = valid.clone().raw_header(format!(r#"{{"alg":"{written}","kid":"rsa2048-a"}}"#));
        assert_refused_before_any_key(&forged.with_signature(&[]), &no_such_algorithm());
    }
}

#[test]
fn an_alg_that_is_no_string_is_malformed() {
    for value in [json!(null), json!([]), json!(["RS256"]), json!({"alg": "RS256"}), json!(256), json!(true)] {
        let text = Mint::access(key_a()).header("alg", value).text();
        assert_refused_before_any_header(&text);
    }
    assert_refused_before_any_header(&Mint::access(key_a()).without_header("alg").text());
}

fn assert_refused_before_any_header(text: &str) {
    let expected = VerifyError::TokenMalformed(Malformed::HeaderParameter);
    assert_eq!(refusal(&access_policy(), &key_a().set(), text), expected);
}

#[test]
fn names_are_compared_exactly() {
    let near = ["rs256", "Rs256", " RS256", "RS256 ", "RS256\0", "RS2560", "RS25", "RSA256", "PS256/RS256", "RS-256"];
    let others = ["ES512", "ES256K", "ESB256", "EdDsa", "ed25519", "Ed448", "RS1", "ML-DSA-65", "SLH-DSA-SHA2-128s"];
    for name in near.into_iter().chain(others) {
        assert_refused_before_any_key(&Mint::access(key_a()).header("alg", name).text(), &no_such_algorithm());
    }
}

#[test]
fn hmac_with_the_public_key_is_refused_in_every_encoding_of_that_key() {
    let public = key_a().private().to_public_key();
    let spki = public.to_public_key_pem(LineEnding::LF).unwrap();
    let pkcs1 = public.to_pkcs1_pem(LineEnding::LF).unwrap();
    let jwk = key_a().jwk();
    let secrets: Vec<Vec<u8>> = vec![
        spki.clone().into(),
        spki.trim_end().into(),
        spki.replace('\n', "\r\n").into(),
        format!("\n{spki}").into(),
        pkcs1.clone().into(),
        pkcs1.trim_end().into(),
        public.to_public_key_der().unwrap().into_vec(),
        public.to_pkcs1_der().unwrap().into_vec(),
        jwk.to_string().into(),
        json!({"keys": [jwk]}).to_string().into(),
        key_a().n(),
        jwk["n"].as_str().unwrap().into(),
        key_a().kid.into(),
        Vec::new(),
        b"null".to_vec(),
        b"undefined".to_vec(),
    ];
    for name in ["HS256", "hs256", "HS384", "HS512"] {
        for secret in &secrets {
            let forged = Mint::access(key_a()).header("alg", name);
            let tag = hmac_sha256(secret, forged.signing_input().as_bytes());
            assert_refused_before_any_key(&forged.with_signature(&tag), &no_such_algorithm());
        }
    }
}

#[test]
fn the_hmac_of_these_tests_is_that_of_rfc_4231() {
    let tag = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
    assert_eq!(&tag[..8], &[0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e]);
}

#[test]
fn a_signature_counts_only_under_the_algorithm_it_was_made_with() {
    let keys = key_e3().set();
    for named in Algorithm::RSA {
        for used in Algorithm::RSA {
            let text = Mint::access(key_e3()).algorithm(named).signed_with(used.scheme().unwrap()).text();
            if named == used {
                let token = verify(&access_policy(), &keys, &text).unwrap();
                assert_eq!(token.header().algorithm(), Some(named));
            } else {
                assert_eq!(
                    refusal(&access_policy(), &keys, &text),
                    VerifyError::SignatureInvalid,
                    "{named:?} {used:?}"
                );
            }
        }
    }
}

#[test]
fn only_algorithms_on_the_policys_list_pass() {
    for allowed in Algorithm::RSA {
        let policy = Policy::access_token(ISSUER, [AUDIENCE], &[allowed]).unwrap();
        for used in Algorithm::RSA {
            let text = Mint::access(key_e3()).algorithm(used).text();
            if used == allowed {
                assert!(verify(&policy, &key_e3().set(), &text).is_ok());
            } else {
                let expected = VerifyError::AlgNotAllowed { allowed: vec![allowed], got: Some(used) };
                assert_eq!(refusal(&policy, &key_e3().set(), &text), expected);
            }
        }
    }
}

#[test]
fn a_key_published_for_one_algorithm_verifies_no_other() {
    for key in Algorithm::RSA {
        let mut jwk = key_e3().jwk();
        jwk["alg"] = key.name().into();
        let keys = set([jwk]);
        for token in Algorithm::RSA {
            let text = Mint::access(key_e3()).algorithm(token).text();
            if token == key {
                assert!(verify(&access_policy(), &keys, &text).is_ok());
            } else {
                assert_eq!(
                    refusal(&access_policy(), &keys, &text),
                    VerifyError::KeyAlgMismatch { token, key: Some(key) }
                );
            }
        }
    }
}

#[test]
fn keys_of_other_algorithms_are_no_keys() {
    let names = ["HS256", "none", "RSA-OAEP", "RSA1_5", "ES256", "rs256", ""];
    for value in names.map(Value::from).into_iter().chain([json!(["RS256"]), json!(256)]) {
        let mut jwk = key_a().jwk();
        jwk["alg"] = value;
        let keys = set([jwk, key_e3().jwk()]);
        assert_eq!(keys.skipped().len(), 1);
        let text = Mint::access(key_a()).text();
        assert_eq!(refusal(&access_policy(), &keys, &text), VerifyError::KeyNotFound);
    }
}
