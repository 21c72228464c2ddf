//! The key set: a key that cannot be trusted is skipped, the others keep working, and exactly one key must match.

use edgeward::base64url;
use edgeward::error::VerifyError;
use edgeward::jwk::{InvalidJwk, InvalidJwkSet, JwkSet};
use edgeward::rsa::InvalidKey;
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};
use support::{Mint, access_policy, key_1024, key_3072, key_a, key_b, key_c, set, set_text, verify};

use crate::refusal;

/// Key a's JWK with one member changed, or removed if `None`.
fn changed(name: &str, value: impl Into<Option<Value>>) -> Value {
    let mut jwk = key_a().jwk();
    match value.into() {
        Some(value) => jwk[name] = value,
        None => drop(jwk.as_object_mut().unwrap().remove(name)),
    }
    jwk
}

/// `bad` is skipped for `reason`; its tokens find no key; beside it key b works.
fn assert_skipped(bad: Value, reason: InvalidJwk, what: &str) {
    assert_eq!(JwkSet::parse(set_text([bad.clone()]).as_bytes()).unwrap_err(), InvalidJwkSet::NoUsableKey, "{what}");
    let keys = set([bad, key_b().jwk()]);
    assert_eq!(keys.skipped(), [reason], "{what}");
    assert!(verify(&access_policy(), &keys, &Mint::access(key_b()).text()).is_ok(), "{what}: the other key");
    let error = refusal(&access_policy(), &keys, &Mint::access(key_a()).text());
    assert_eq!(error, VerifyError::KeyNotFound, "{what}");
}

fn rsa(error: InvalidKey) -> InvalidJwk {
    InvalidJwk::Rsa(error)
}

fn number(bytes: &[u8]) -> Value {
    base64url::encode(bytes).into()
}

#[test]
fn exponents_that_make_forgery_or_work_are_refused() {
    for (what, e) in [
        ("zero", [0].as_slice()),
        ("one", &[1]),
        ("one with leading zeros", &[0, 0, 1]),
        ("two", &[2]),
        ("even", &[1, 0, 0]),
        ("65536", &[1, 0, 0]),
        ("2^33 + 1", &[2, 0, 0, 0, 1]),
        ("2^34 - 1", &[3, 0xff, 0xff, 0xff, 0xff]),
        ("2^64 + 1", &[1, 0, 0, 0, 0, 0, 0, 0, 1]),
        ("2^64 + 3, which is 3 in 64 bits", &[1, 0, 0, 0, 0, 0, 0, 0, 3]),
        ("as wide as the modulus", &[0x7f; 256]),
        ("nothing", &[]),
    ] {
        assert_skipped(changed("e", number(e)), rsa(InvalidKey::ExponentInvalid), what);
    }
}

#[test]
fn moduli_of_the_wrong_size_or_parity_are_refused() {
    let odd = |bits: usize| {
        let mut n = vec![0xff; bits.div_ceil(8)];
        n[0] >>= n.len() * 8 - bits;
        n
    };
    for bits in [0, 1, 17, 512, 1024, 1536, 2040, 2047] {
        let n = if bits == 0 { Vec::new() } else { odd(bits) };
        assert_skipped(changed("n", number(&n)), rsa(InvalidKey::ModulusTooSmall { bits }), "small");
        let padded = [vec![0; 256], n].concat();
        assert_skipped(
            changed("n", number(&padded)),
            rsa(InvalidKey::ModulusTooSmall { bits }),
            "small, zeros in front",
        );
    }
    for bits in [8193, 8200, 16384] {
        assert_skipped(changed("n", number(&odd(bits))), rsa(InvalidKey::ModulusTooLarge { bits }), "large");
    }
    let mut even = key_a().n();
    *even.last_mut().unwrap() &= 0xfe;
    assert_skipped(changed("n", number(&even)), rsa(InvalidKey::ModulusEven), "even");
}

#[test]
fn a_token_of_a_1024_bit_key_is_refused_though_its_signature_is_right() {
    let keys = set([key_1024().jwk(), key_b().jwk()]);
    assert_eq!(keys.skipped(), [rsa(InvalidKey::ModulusTooSmall { bits: 1024 })]);
    let error = refusal(&access_policy(), &keys, &Mint::access(key_1024()).text());
    assert_eq!(error, VerifyError::KeyNotFound);
}

#[test]
fn the_configured_maximum_of_bits_holds_for_each_key() {
    let keys = set_text([key_a().jwk(), support::key_3072().jwk(), support::key_4096().jwk()]);
    let parsed = JwkSet::parse_with(keys.as_bytes(), 3072).unwrap();
    assert_eq!(parsed.skipped(), [InvalidJwk::ModulusOverConfiguredMaximum { bits: 4096 }]);
    assert_eq!(parsed.keys().len(), 2);
}

#[test]
fn numbers_must_be_base64_without_other_characters() {
    for member in ["n", "e"] {
        let text = key_a().jwk()[member].as_str().unwrap().to_owned();
        for value in [
            format!("={text}"),
            format!("{text}=\n"),
            format!("{text}\n"),
            format!(" {text}"),
            text.replacen('A', "%", 1),
            "Zh".into(),
            "A".into(),
        ] {
            assert_skipped(changed(member, Value::from(value)), InvalidJwk::Malformed, member);
        }
        for value in [json!(null), json!(65537), json!(true), json!(["AQAB"]), json!({"AQAB": 1})] {
            assert_skipped(changed(member, value), InvalidJwk::Malformed, member);
        }
        assert_skipped(changed(member, None), InvalidJwk::Malformed, member);
    }
}

#[test]
fn keys_of_other_kinds_do_not_harm_the_set() {
    let others = [
        (InvalidJwk::KeyTypeUnsupported, json!({"kty": "AKP", "alg": "ML-DSA-65", "kid": "pq", "pub": "AAAA"})),
        (InvalidJwk::Malformed, json!({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA", "kid": "ec"})),
        (InvalidJwk::CurveUnsupported, json!({"kty": "EC", "crv": "no-such-curve", "x": "AAAA", "y": "AAAA"})),
        (InvalidJwk::Malformed, json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"})),
        (InvalidJwk::CurveUnsupported, json!({"kty": "OKP", "crv": "no-such-curve", "x": "AAAA"})),
        (InvalidJwk::KeyTypeUnsupported, json!({"kty": "oct", "k": "AAAA"})),
        (InvalidJwk::KeyTypeUnsupported, json!({"kty": "rsa", "n": "AAAA", "e": "AQAB"})),
        (InvalidJwk::KeyTypeUnsupported, json!({"kty": ""})),
    ];
    let keys = set(others.iter().map(|(_, jwk)| jwk.clone()).chain([key_a().jwk()]));
    assert_eq!(keys.skipped(), others.map(|(reason, _)| reason));
    assert_eq!(keys.keys().len(), 1);
    assert!(verify(&access_policy(), &keys, &Mint::access(key_a()).text()).is_ok());
    for kid in ["pq", "ec"] {
        let text = Mint::access(key_a()).header("kid", kid).text();
        assert_eq!(refusal(&access_policy(), &keys, &text), VerifyError::KeyNotFound);
    }
}

#[test]
fn a_symmetric_key_of_the_same_name_changes_nothing() {
    let oct = json!({"kty": "oct", "kid": key_a().kid, "k": "AAAA", "alg": "HS256"});
    for keys in [set([oct.clone(), key_a().jwk()]), set([key_a().jwk(), oct])] {
        assert!(verify(&access_policy(), &keys, &Mint::access(key_a()).text()).is_ok());
    }
}

#[test]
fn entries_that_are_no_objects_are_skipped() {
    let odd = [json!(null), json!(1), json!("key"), json!([]), json!([key_a().jwk()]), json!(true)];
    let keys = set(odd.iter().cloned().chain([key_a().jwk()]));
    assert_eq!(keys.skipped(), vec![InvalidJwk::NotAnObject; odd.len()]);
    assert!(verify(&access_policy(), &keys, &Mint::access(key_a()).text()).is_ok());
    for bad in [json!({}), json!({"kty": null}), json!({"kty": ["RSA"]}), json!({"kty": 1})] {
        assert_eq!(set([bad, key_a().jwk()]).skipped(), [InvalidJwk::Malformed]);
    }
}

#[test]
fn a_published_private_key_is_not_trusted() {
    assert_skipped(key_a().private_jwk(), InvalidJwk::Private, "d");
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        for value in [json!("AAAA"), json!(""), json!([]), json!(false)] {
            assert_skipped(changed(member, value), InvalidJwk::Private, member);
        }
    }
}

#[test]
fn use_and_key_ops_must_allow_verification() {
    for usage in ["enc", "SIG", "", "sign", "verify"] {
        assert_skipped(changed("use", Value::from(usage)), InvalidJwk::NotForSignatures, usage);
    }
    for usage in [json!(["sig"]), json!(1)] {
        assert_skipped(changed("use", usage), InvalidJwk::Malformed, "use of another type");
    }
    for ops in [
        json!([]),
        json!(["sign"]),
        json!(["encrypt", "decrypt"]),
        json!(["VERIFY"]),
        json!(["verify", "verify"]),
        json!(["sign, verify"]),
    ] {
        assert_skipped(changed("key_ops", ops), InvalidJwk::NotForVerification, "key_ops");
    }
    for ops in [json!("verify"), json!({"verify": true}), json!(["verify", 1])] {
        assert_skipped(changed("key_ops", ops), InvalidJwk::Malformed, "key_ops of another type");
    }
    for jwk in [
        changed("use", Value::from("sig")),
        changed("key_ops", json!(["verify"])),
        changed("key_ops", json!(["sign", "verify"])),
    ] {
        assert!(verify(&access_policy(), &set([jwk]), &Mint::access(key_a()).text()).is_ok());
    }
}

#[test]
fn two_keys_of_the_same_name_are_ambiguous() {
    let mut twin = key_b().jwk();
    twin["kid"] = key_a().kid.into();
    for keys in [set([key_a().jwk(), twin.clone()]), set([twin.clone(), key_a().jwk()])] {
        assert_eq!(refusal(&access_policy(), &keys, &Mint::access(key_a()).text()), VerifyError::KeyAmbiguous);
    }
    // Names may repeat where the algorithms differ (RFC 7517 §4.5 asks for distinct names, but only where it matters).
    let mut rs = key_a().jwk();
    rs["alg"] = "RS256".into();
    twin["alg"] = "PS256".into();
    let keys = set([rs, twin]);
    assert!(verify(&access_policy(), &keys, &Mint::access(key_a()).text()).is_ok());
}

#[test]
fn without_a_key_id_there_must_be_only_one_key() {
    let anonymous = Mint::access(key_a()).without_header("kid").text();
    assert!(verify(&access_policy(), &key_a().set(), &anonymous).is_ok());
    assert!(verify(&access_policy(), &set([changed("kid", None)]), &anonymous).is_ok());
    assert!(
        verify(&access_policy(), &set([json!({"kty": "AKP"}), key_a().jwk()]), &anonymous).is_ok(),
        "one usable key"
    );
    let two = set([key_a().jwk(), key_b().jwk()]);
    assert_eq!(refusal(&access_policy(), &two, &anonymous), VerifyError::KeyAmbiguous);
    let named = Mint::access(key_a()).text();
    assert_eq!(refusal(&access_policy(), &set([changed("kid", None)]), &named), VerifyError::KeyNotFound);
}

#[test]
fn an_unknown_key_id_never_falls_back_to_some_key() {
    let text = Mint::access(key_a()).header("kid", "unknown").text();
    for keys in [key_a().set(), set([key_b().jwk(), key_c().jwk(), key_a().jwk()])] {
        assert_eq!(refusal(&access_policy(), &keys, &text), VerifyError::KeyNotFound);
    }
}

#[test]
fn documents_that_are_no_key_sets_are_refused() {
    let key = key_a().jwk().to_string();
    for (text, expected) in [
        (String::new(), InvalidJwkSet::NotJson),
        ("<!doctype html>".into(), InvalidJwkSet::NotJson),
        ("null".into(), InvalidJwkSet::NotJson),
        (format!("[{key}]"), InvalidJwkSet::NotJson),
        (format!(r#"{{"keys":[{key}]"#), InvalidJwkSet::NotJson),
        (format!(r#"{{"keys":[{key}],"keys":[]}}"#), InvalidJwkSet::NotJson),
        (format!("\u{feff}\u{feff}{{\"keys\":[{key}]}}"), InvalidJwkSet::NotJson),
        (format!("\u{fffe}{{\"keys\":[{key}]}}"), InvalidJwkSet::NotJson),
        (format!(r#"{{"keys":[{key}],"x":{{"a":1,"a":2}}}}"#), InvalidJwkSet::NotJson),
        ("{}".into(), InvalidJwkSet::NoKeys),
        (key.clone(), InvalidJwkSet::NoKeys),
        (format!(r#"{{"Keys":[{key}]}}"#), InvalidJwkSet::NoKeys),
        (format!(r#"{{"keys":{{"a":{key}}}}}"#), InvalidJwkSet::NoKeys),
        (r#"{"keys":null}"#.into(), InvalidJwkSet::NoKeys),
        (r#"{"keys":"RSA"}"#.into(), InvalidJwkSet::NoKeys),
        (r#"{"keys":[]}"#.into(), InvalidJwkSet::NoUsableKey),
        (r#"{"keys":[{}]}"#.into(), InvalidJwkSet::NoUsableKey),
    ] {
        assert_eq!(JwkSet::parse(text.as_bytes()).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn what_is_odd_in_the_writing_of_a_key_does_not_matter() {
    let standard = |name: &str| Value::from(key_a().jwk()[name].as_str().unwrap().replace('-', "+").replace('_', "/"));
    let padded = |name: &str| Value::from(format!("{}==", key_a().jwk()[name].as_str().unwrap()));
    let zeros = |number: Vec<u8>| Value::from(base64url::encode(&[vec![0; 2], number].concat()));
    let mut jwks = vec![
        changed("n", standard("n")),
        changed("n", padded("n")),
        changed("n", zeros(key_a().n())),
        changed("e", json!("AQAB====")),
        changed("e", zeros(key_a().e())),
    ];
    for name in ["d", "p", "k", "oth", "alg", "use", "key_ops", "x5c"] {
        jwks.push(changed(name, json!(null)));
    }
    for jwk in &jwks {
        assert!(verify(&access_policy(), &set([jwk.clone()]), &Mint::access(key_a()).text()).is_ok(), "{jwk}");
    }
    let all = set(jwks);
    assert_eq!((all.keys().len(), all.skipped().len()), (1, 0), "equal keys count once");
    assert!(verify(&access_policy(), &all, &Mint::access(key_a()).text()).is_ok());
    let marked = format!("\u{feff}{}", set_text([key_a().jwk()]));
    assert!(JwkSet::parse(marked.as_bytes()).is_ok());
}

#[test]
fn two_members_of_one_name_cost_their_key_only() {
    let text = key_a().jwk().to_string();
    let open = &text[..text.len() - 1];
    for twice in [
        format!(r#"{open},"kid":"x"}}"#),
        format!(r#"{open},"k\u0069d":"{}"}}"#, key_a().kid),
        format!(r#"{open},"use":"enc","use":"sig"}}"#),
        format!(r#"{open},"x":[{{"a":1,"a":2}}]}}"#),
    ] {
        for keys in [format!("{twice},{}", key_b().jwk()), format!("{},{twice}", key_b().jwk())] {
            let keys = JwkSet::parse(format!(r#"{{"keys":[{keys}]}}"#).as_bytes()).unwrap();
            assert_eq!(keys.skipped(), [InvalidJwk::DuplicateName], "{twice}");
            assert!(verify(&access_policy(), &keys, &Mint::access(key_b()).text()).is_ok());
            assert_eq!(refusal(&access_policy(), &keys, &Mint::access(key_a()).text()), VerifyError::KeyNotFound);
        }
    }
}

#[test]
fn without_a_key_id_the_algorithm_may_tell_the_keys_apart() {
    let named = |key: &support::TestKey, alg: &str| {
        let mut jwk = key.jwk();
        jwk["alg"] = alg.into();
        jwk.as_object_mut().unwrap().remove("kid");
        jwk
    };
    let anonymous = Mint::access(key_a()).without_header("kid").text();
    let both = set([named(key_a(), "RS256"), named(key_b(), "PS256")]);
    assert!(verify(&access_policy(), &both, &anonymous).is_ok());
    let for_any = set([named(key_a(), "RS256"), key_b().jwk()]);
    assert_eq!(refusal(&access_policy(), &for_any, &anonymous), VerifyError::KeyAmbiguous);
    let twice = set([named(key_a(), "RS256"), named(key_b(), "RS256")]);
    assert_eq!(refusal(&access_policy(), &twice, &anonymous), VerifyError::KeyAmbiguous);
}

#[test]
fn certificates_in_a_key_are_ignored() {
    let mut jwk = key_a().jwk();
    jwk["x5c"] = json!(["not a certificate"]);
    jwk["x5u"] = "https://attacker.example/".into();
    jwk["x5t"] = 1.into();
    assert!(verify(&access_policy(), &set([jwk]), &Mint::access(key_a()).text()).is_ok());
}

#[test]
fn the_test_keys_are_what_their_names_say() {
    for (key, bits) in [(key_1024(), 1024), (key_a(), 2048), (support::key_8192(), 8192)] {
        assert_eq!(key.private().n().bits(), bits);
    }
}

#[test]
fn a_key_written_twice_with_and_without_its_algorithm_is_one_key() {
    let with_algorithm = changed("alg", json!("RS256"));
    for list in [[key_a().jwk(), with_algorithm.clone()], [with_algorithm, key_a().jwk()]] {
        let keys = set(list);
        for mint in [Mint::access(key_a()), Mint::access(key_a()).without_header("kid")] {
            assert!(verify(&access_policy(), &keys, &mint.text()).is_ok());
        }
    }
    // Other numbers under the name are another key.
    let mut other = key_b().jwk();
    other["kid"] = key_a().jwk()["kid"].clone();
    let error = refusal(&access_policy(), &set([key_a().jwk(), other]), &Mint::access(key_a()).text());
    assert_eq!(error, VerifyError::KeyAmbiguous);
}

#[test]
fn a_key_knows_its_size() {
    for (key, bits) in [(key_a(), 2048), (key_3072(), 3072)] {
        assert_eq!(key.set().keys().next().unwrap().bits(), bits);
    }
}
