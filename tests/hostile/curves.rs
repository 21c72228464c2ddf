//! ES256, ES384 and EdDSA: what is decided before the platform is asked for a signature, and what its verdict means.

use std::cell::Cell;
use std::rc::Rc;

use edgeward::base64url;
use edgeward::error::VerifyError;
use edgeward::host::{SignatureCheck, SignatureVerdict};
use edgeward::jwk::{InvalidJwk, JwkSet, KeyCache, KeySource};
use edgeward::jwt::{Algorithm, Policy, UntrustedToken};
use edgeward::{VerificationError, Verifier};
use serde_json::{Value, json};
use support::world::{JWKS_URI, Verdict, World, json as response, unavailable};
use support::{AUDIENCE, ISSUER, Mint, access_policy, key_a, now, set, set_text};

/// The key of RFC 7515 A.3.1.
fn p256() -> Value {
    json!({
        "kty": "EC", "crv": "P-256", "kid": "p256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    })
}

/// No real point: the core does not know.
fn p384() -> Value {
    let coordinate = |octet| base64url::encode(&[octet; 48]);
    json!({"kty": "EC", "crv": "P-384", "kid": "p384", "x": coordinate(7), "y": coordinate(8)})
}

/// The key of RFC 8037 A.2.
fn ed25519() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "kid": "ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

fn with(mut jwk: Value, name: &str, value: impl Into<Value>) -> Value {
    jwk[name] = value.into();
    jwk
}

fn point(jwk: &Value, name: &str) -> Vec<u8> {
    base64url::decode(jwk[name].as_str().unwrap().as_bytes()).unwrap()
}

/// Each algorithm with a key of its own and the length of its signatures.
fn families() -> [(Algorithm, Value, usize); 3] {
    [(Algorithm::Es256, p256(), 64), (Algorithm::Es384, p384(), 96), (Algorithm::EdDsa, ed25519(), 64)]
}

/// A signature in range, which the virtual platform finds genuine.
fn genuine(length: usize) -> Vec<u8> {
    vec![1; length]
}

fn minted(algorithm: Algorithm, kid: &str) -> Mint {
    Mint::access(key_a()).header("alg", algorithm.name()).header("kid", kid)
}

/// A verifier of every algorithm on a platform that finds [`genuine`] signatures genuine.
fn world(jwks: impl IntoIterator<Item = Value>) -> World {
    let world = World::new();
    world.answer(JWKS_URI, response(&set_text(jwks)));
    world.verify_signatures(|check| {
        if check.signature == genuine(check.signature.len()) {
            SignatureVerdict::Valid
        } else {
            SignatureVerdict::Invalid
        }
    });
    world
}

fn asked(world: &World) -> usize {
    world.seen().signatures.len()
}

#[test]
fn the_platform_gets_the_key_and_the_signed_text() {
    for (algorithm, jwk, length) in families() {
        let token = minted(algorithm, jwk["kid"].as_str().unwrap());
        let world = world([jwk.clone(), key_a().jwk()]);
        assert_eq!(world.request(&token.with_signature(&genuine(length))), Verdict::Accepted, "{algorithm:?}");
        let seen = world.seen();
        let [SignatureCheck { algorithm: asked, key, message, signature }] = &seen.signatures[..] else { panic!() };
        assert_eq!((asked, message, signature), (&algorithm, &token.signing_input(), &genuine(length)));
        let expected = match algorithm {
            Algorithm::EdDsa => point(&jwk, "x"),
            _ => [vec![4], point(&jwk, "x"), point(&jwk, "y")].concat(),
        };
        assert_eq!(key, &expected);
        assert!(!format!("{:?}", seen.signatures[0]).contains(&token.signing_input()));
    }
}

#[test]
fn the_verdict_of_the_platform_decides_and_the_claims_are_checked_after_it() {
    for (algorithm, jwk, length) in families() {
        let kid = jwk["kid"].as_str().unwrap().to_owned();
        let token = minted(algorithm, &kid).with_signature(&genuine(length));
        for (verdict, expected) in [
            (SignatureVerdict::Valid, Verdict::Accepted),
            (SignatureVerdict::Invalid, Verdict::Refused("signature_invalid")),
            (SignatureVerdict::KeyRefused, Verdict::Refused("key_not_found")),
            (SignatureVerdict::Unsupported, unavailable("algorithm_unsupported", 1)),
        ] {
            let world = world([jwk.clone(), key_a().jwk()]);
            world.verify_signatures(move |_| verdict);
            assert_eq!(world.request(&token), expected, "{algorithm:?} {verdict:?}");
            assert_eq!(world.request(&Mint::access(key_a()).text()), Verdict::Accepted, "RSA needs no platform");
        }
        let world = world([jwk.clone()]);
        let expired = minted(algorithm, &kid).claim("exp", 1);
        assert_eq!(world.request(&expired.with_signature(&genuine(length))), Verdict::Refused("token_expired"));
        assert_eq!(world.request(&expired.with_signature(&vec![2; length])), Verdict::Refused("signature_invalid"));
    }
}

#[test]
fn a_host_without_the_function_verifies_none() {
    let world = World::new();
    world.answer(JWKS_URI, response(&set_text([p256()])));
    let token = minted(Algorithm::Es256, "p256").with_signature(&genuine(64));
    assert_eq!(world.request(&token), unavailable("algorithm_unsupported", 1));
}

#[test]
fn an_algorithm_that_is_not_listed_is_refused_before_its_key_is_looked_up() {
    for (algorithm, jwk, length) in families() {
        let policy = Policy::access_token(ISSUER, [AUDIENCE], &Algorithm::RSA).unwrap();
        let world = World::with(Verifier::new(policy, KeyCache::new(ISSUER, KeySource::Uri(JWKS_URI.into()))));
        world.answer(JWKS_URI, response(&set_text([jwk.clone()])));
        let token = minted(algorithm, jwk["kid"].as_str().unwrap()).with_signature(&genuine(length));
        assert_eq!(world.request(&token), Verdict::Refused("alg_not_allowed"));
        assert_eq!((asked(&world), world.asked()), (0, 0));
    }
}

#[test]
fn both_names_of_eddsa_mean_the_same() {
    let world = world([with(ed25519(), "alg", "Ed25519")]);
    for name in ["EdDSA", "Ed25519"] {
        let token = minted(Algorithm::EdDsa, "ed25519").header("alg", name);
        assert_eq!(world.request(&token.with_signature(&genuine(64))), Verdict::Accepted, "{name}");
    }
}

#[test]
fn signatures_of_another_form_never_reach_the_platform() {
    let order_256 = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order_384 = "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";
    let order_25519 = "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed";
    let octets = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    for (algorithm, jwk, length) in families() {
        let order = octets(match algorithm {
            Algorithm::Es256 => order_256,
            Algorithm::Es384 => order_384,
            _ => order_25519,
        });
        let below = {
            let mut below = order.clone();
            *below.last_mut().unwrap() -= 1;
            below
        };
        let half = length / 2;
        let (one, zero, ones) = (vec![1; half], vec![0; half], vec![0xff; half]);
        let reversed = |number: &[u8]| number.iter().rev().copied().collect::<Vec<u8>>();
        let mut bad = vec![
            vec![],
            vec![0],
            vec![0; length],
            vec![0xff; length],
            genuine(length - 1),
            genuine(length + 1),
            genuine(2 * length),
            [vec![0], genuine(length)].concat(),
            // DER: a sequence of two integers.
            [&[0x30, length as u8 + 4, 2, half as u8][..], &one, &[2, half as u8], &one].concat(),
        ];
        if algorithm == Algorithm::EdDsa {
            bad.extend([&zero, &reversed(&order), &ones].map(|s| [one.clone(), s.clone()].concat()));
        } else {
            for number in [&zero, &order, &ones] {
                bad.push([number.clone(), one.clone()].concat());
                bad.push([one.clone(), number.clone()].concat());
            }
        }
        let world = world([jwk.clone()]);
        let token = minted(algorithm, jwk["kid"].as_str().unwrap());
        for signature in bad {
            let verdict = world.request(&token.with_signature(&signature));
            assert_eq!(verdict, Verdict::Refused("signature_invalid"), "{algorithm:?} {signature:?}");
        }
        assert_eq!(asked(&world), 0);
        let largest = if algorithm == Algorithm::EdDsa { [one, reversed(&below)] } else { [below.clone(), below] };
        assert_eq!(world.request(&token.with_signature(&largest.concat())), Verdict::Refused("signature_invalid"));
        assert_eq!(asked(&world), 1, "the largest numbers are for the platform");
    }
}

#[test]
fn keys_that_do_not_fit_their_curve_are_skipped() {
    let octets = |length| base64url::encode(&vec![9; length]);
    let edwards = |octets: [u8; 32]| with(ed25519(), "x", base64url::encode(&octets));
    let around = |low: u8, middle: u8, high: u8| {
        let mut octets = [middle; 32];
        (octets[0], octets[31]) = (low, high);
        edwards(octets)
    };
    let mut cases = vec![
        (with(p256(), "d", octets(32)), InvalidJwk::Private),
        (with(ed25519(), "d", octets(32)), InvalidJwk::Private),
        (with(p256(), "crv", "P-384"), InvalidJwk::Malformed),
        (with(p384(), "crv", "P-256"), InvalidJwk::Malformed),
        (with(p256(), "crv", json!(null)), InvalidJwk::Malformed),
        (with(p256(), "y", json!(null)), InvalidJwk::Malformed),
        (with(p256(), "x", json!(1)), InvalidJwk::Malformed),
        (with(p256(), "use", "enc"), InvalidJwk::NotForSignatures),
        (with(ed25519(), "key_ops", json!(["sign"])), InvalidJwk::NotForVerification),
    ];
    for (jwk, length) in [(p256(), 32), (p384(), 48), (ed25519(), 32)] {
        for wrong in [0, 1, length - 1, length + 1, 2 * length] {
            cases.push((with(jwk.clone(), "x", octets(wrong)), InvalidJwk::Malformed));
        }
    }
    for (kty, crv) in [("EC", "P-521"), ("EC", "secp256k1"), ("EC", "p-256"), ("EC", "Ed25519"), ("OKP", "P-256")] {
        cases.push((with(with(p256(), "kty", kty), "crv", crv), InvalidJwk::CurveUnsupported));
    }
    for crv in ["Ed448", "X25519", "ed25519"] {
        cases.push((with(ed25519(), "crv", crv), InvalidJwk::CurveUnsupported));
    }
    for (jwk, wrong) in [(p256(), ["ES384", "RS256", "EdDSA"]), (p384(), ["ES256", "PS384", "Ed25519"])] {
        cases.extend(wrong.map(|alg| (with(jwk.clone(), "alg", alg), InvalidJwk::AlgMismatch)));
    }
    cases.push((with(ed25519(), "alg", "ES256"), InvalidJwk::AlgMismatch));
    cases.push((with(key_a().jwk(), "alg", "ES256"), InvalidJwk::AlgMismatch));
    cases.push((with(p256(), "alg", "ECDH-ES"), InvalidJwk::AlgUnsupported));
    // 0, 1, p - 1, p, p + 1 and 2^255 - 1, each with either sign.
    for (low, middle, high) in
        [(0, 0, 0), (1, 0, 0), (0xec, 0xff, 0x7f), (0xed, 0xff, 0x7f), (0xee, 0xff, 0x7f), (0xff, 0xff, 0x7f)]
    {
        cases.push((around(low, middle, high), InvalidJwk::PointInvalid));
        cases.push((around(low, middle, high | 0x80), InvalidJwk::PointInvalid));
    }
    for order_8 in ["JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU", "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA_o"] {
        cases.push((with(ed25519(), "x", order_8), InvalidJwk::PointInvalid));
    }
    for (jwk, reason) in cases {
        let keys = set([jwk.clone(), key_a().jwk()]);
        assert_eq!((keys.skipped(), keys.keys().len()), ([reason].as_slice(), 1), "{jwk}");
    }
    let near = [around(2, 0, 0), around(0xeb, 0xff, 0x7f), around(0, 1, 0), around(1, 0, 1)];
    assert_eq!(set(near).skipped(), [], "others are keys");
}

#[test]
fn lenient_writing_of_coordinates_changes_no_key() {
    let padded = with(p256(), "x", format!("{}=", p256()["x"].as_str().unwrap()));
    let standard = with(p256(), "y", p256()["y"].as_str().unwrap().replace('-', "+").replace('_', "/"));
    let keys = set([p256(), padded, standard, with(p256(), "d", json!(null))]);
    assert_eq!((keys.keys().len(), keys.skipped().len()), (1, 0));
}

#[test]
fn the_algorithm_of_the_token_decides_between_families_that_share_a_key_id() {
    let same = |jwk| with(jwk, "kid", key_a().kid);
    let mixed = [same(p256()), same(p384()), key_a().jwk(), same(ed25519())];
    let world = world(mixed.clone());
    assert_eq!(world.request(&Mint::access(key_a()).text()), Verdict::Accepted);
    for (algorithm, _, length) in families() {
        assert_eq!(world.request(&minted(algorithm, key_a().kid).with_signature(&genuine(length))), Verdict::Accepted);
        let unnamed = Mint::access(key_a()).header("alg", algorithm.name()).without_header("kid");
        assert_eq!(world.request(&unnamed.with_signature(&genuine(length))), Verdict::Accepted, "one key fits");
    }
    let other = with(same(p256()), "y", base64url::encode(&[3; 32]));
    let ambiguous = self::world(mixed.into_iter().chain([other]));
    let token = minted(Algorithm::Es256, key_a().kid).with_signature(&genuine(64));
    assert_eq!(ambiguous.request(&token), Verdict::Refused("key_ambiguous"));
    assert_eq!(asked(&ambiguous), 0);
    let token = minted(Algorithm::EdDsa, key_a().kid).with_signature(&genuine(64));
    assert_eq!(ambiguous.request(&token), Verdict::Accepted);
}

#[test]
fn a_key_of_another_family_is_never_used() {
    let every: Vec<(Algorithm, usize)> =
        Algorithm::ALL.into_iter().map(|one| (one, if one == Algorithm::Es384 { 96 } else { 64 })).collect();
    for (algorithm, jwk, _) in families() {
        let world = world([jwk.clone()]);
        for (other, length) in every.iter().filter(|(other, _)| *other != algorithm) {
            let token = minted(*other, jwk["kid"].as_str().unwrap()).with_signature(&genuine(*length));
            assert_eq!(world.request(&token), Verdict::Refused("key_alg_mismatch"), "{other:?} {jwk}");
        }
        assert_eq!(asked(&world), 0);
        let world = self::world([key_a().jwk()]);
        let token = minted(algorithm, key_a().kid).with_signature(&genuine(64));
        assert_eq!(world.request(&token), Verdict::Refused("key_alg_mismatch"), "an RSA key");
        assert_eq!(asked(&world), 0);
    }
}

#[test]
fn a_call_that_does_not_wait_says_so_unless_the_token_is_cached() {
    let world = world([p256()]);
    let token = minted(Algorithm::Es256, "p256").with_signature(&genuine(64));
    let expected = VerifyError::AsyncRequired { algorithm: Some(Algorithm::Es256) };
    assert_eq!(access_policy().verify(&token, &set([p256()]), now()).unwrap_err(), expected);
    world.run(world.verifier.load(&world.host)).unwrap();
    assert!(world.verifier.verify_if_ready(&token, &world.host).is_none());
    assert_eq!(world.request_now(&token), Some(Verdict::Refused("async_required")));
    let forged = minted(Algorithm::Es256, "p256").with_signature(&[0; 64]);
    assert_eq!(world.request_now(&forged), Some(Verdict::Refused("signature_invalid")), "as far as it can tell");
    assert_eq!(asked(&world), 0);
    assert_eq!(world.request(&token), Verdict::Accepted);
    assert_eq!(world.request_now(&token), Some(Verdict::Accepted));
    assert!(matches!(world.verifier.verify_if_ready(&token, &world.host), Some(Ok(_))));
    assert!(world.verifier.stable_period(&token, world.now()).is_some());
    assert_eq!(asked(&world), 1, "a cached token needs no platform");
    world.sleep_s(3_600);
    assert_eq!(world.request(&token), Verdict::Refused("token_expired"));
}

#[test]
fn a_cold_start_with_several_tokens_fetches_the_keys_once_and_asks_for_each() {
    let world = world([p256(), p384(), ed25519()]);
    let tokens = families().map(|(algorithm, jwk, length)| {
        minted(algorithm, jwk["kid"].as_str().unwrap()).with_signature(&genuine(length))
    });
    let forged = minted(Algorithm::Es256, "p256").with_signature(&[2; 64]);
    let texts: Vec<String> = tokens.into_iter().chain([forged]).collect();
    let verdicts = world.run_all(texts.iter().map(|text| world.verdict(text)));
    let invalid = Verdict::Refused("signature_invalid");
    assert_eq!(verdicts, [Verdict::Accepted, Verdict::Accepted, Verdict::Accepted, invalid]);
    assert_eq!((world.asked(), asked(&world)), (1, 4));
}

#[test]
fn a_key_replaced_under_its_id_is_fetched_after_a_bad_signature() {
    let world = world([p256()]);
    let next = with(p256(), "y", base64url::encode(&[5; 32]));
    let is_next = [vec![4], point(&next, "x"), point(&next, "y")].concat();
    world.verify_signatures(
        move |check| {
            if check.key == is_next { SignatureVerdict::Valid } else { SignatureVerdict::Invalid }
        },
    );
    let token = minted(Algorithm::Es256, "p256").with_signature(&genuine(64));
    assert_eq!(world.request(&token), Verdict::Refused("signature_invalid"));
    world.sleep_s(60);
    world.answer(JWKS_URI, response(&set_text([next])));
    assert_eq!(world.request(&token), Verdict::Accepted);
    assert_eq!((world.asked(), asked(&world)), (2, 3), "the verdict on the old key does not count for the new one");
}

#[test]
fn a_key_that_the_platform_refuses_is_as_if_it_were_not_published() {
    let calls = Rc::new(Cell::new(0));
    let counted = Rc::clone(&calls);
    let world = world([p256(), key_a().jwk()]);
    world.verify_signatures(move |_| {
        counted.set(counted.get() + 1);
        SignatureVerdict::KeyRefused
    });
    let token = minted(Algorithm::Es256, "p256").with_signature(&genuine(64));
    for _ in 0..3 {
        assert_eq!(world.request(&token), Verdict::Refused("key_not_found"));
    }
    assert_eq!(calls.get(), 1, "it is not asked about again");
    assert_eq!(world.request(&Mint::access(key_a()).text()), Verdict::Accepted);
}

#[test]
fn thumbprints_are_those_of_rfc_7638_and_rfc_8037() {
    let of = |jwk| set([jwk]).keys().next().unwrap().thumbprint();
    assert_eq!(of(ed25519()), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let members = format!(
        r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
        p256()["x"].as_str().unwrap(),
        p256()["y"].as_str().unwrap()
    );
    let digest = support::digest(Algorithm::Rs256.hash(), members.as_bytes());
    assert_eq!(of(p256()), base64url::encode(&digest));
}

#[test]
fn at_hash_uses_the_hash_of_the_signature() {
    for (algorithm, jwk, length) in families() {
        let digest = support::digest(algorithm.hash(), b"the access token");
        let half = base64url::encode(&digest[..digest.len() / 2]);
        let kid = jwk["kid"].as_str().unwrap();
        let world = world([jwk.clone()]);
        let policy = support::id_policy().at_hash_of("the access token");
        let keys =
            std::sync::Arc::new(KeyCache::fixed(ISSUER, JwkSet::parse(set_text([jwk.clone()]).as_bytes()).unwrap()));
        for (at_hash, expected) in [(half.as_str(), None), ("AAAA", Some(VerifyError::AtHashMismatch))] {
            let token = Mint::id(key_a()).header("alg", algorithm.name()).header("kid", kid).claim("at_hash", at_hash);
            let text = token.with_signature(&genuine(length));
            let result = world.host.run(keys.verify(&policy, &text, &world.host));
            assert_eq!(result.err(), expected.map(VerificationError::Refused), "{algorithm:?}");
            assert_eq!(UntrustedToken::parse(&text).unwrap().header().algorithm(), Some(algorithm));
        }
    }
}
