//! Tokens that are bound to their sender: `authorizer.dpop` and `authorizer.mtls`.

use std::collections::BTreeSet;

use edgeward::base64url;
use edgeward::gateway::{Answer, Gateway, HeaderEdit};
use edgeward::host::SignatureVerdict;
use edgeward::http::Reply;
use edgeward::jwt::Algorithm;
use edgeward::limits;
use edgeward::rsa::{Hash, Scheme};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use support::host::VirtualHost;
use support::{Mint, NOW, Rng, TestKey, hmac_sha256, key_8192, key_b, key_c};

use crate::{ALLOWED, Headers, Login, ORIGIN, code, config, config_with_cors, gateway, handle, problem, token, values};

const ALGS: &str = r#"algs="ES256 EdDSA Ed25519 PS256 RS256""#;

/// Returns the configuration with these settings of the authorizer.
fn with(mut config: Value, settings: Value) -> Value {
    for (name, value) in settings.as_object().unwrap() {
        config["authorizer"][name] = value.clone();
    }
    config
}

fn dpop(mode: &str) -> Gateway {
    gateway(&with(config(), json!({ "dpop": mode })))
}

fn thumbprint(key: &TestKey) -> String {
    key.set().keys().next().unwrap().thumbprint()
}

/// Returns a token that is bound to the key `b`.
fn bound() -> Mint {
    token().claim("cnf", json!({ "jkt": thumbprint(key_b()) }))
}

/// A proof: valid for `GET /api/a` with the token until changed.
struct Proof {
    key: &'static TestKey,
    scheme: Scheme,
    header: Value,
    claims: Value,
}

impl Proof {
    fn of(token: &str) -> Self {
        let (mut jwk, ath) = (key_b().jwk(), base64url::encode(&Sha256::digest(token)));
        jwk.as_object_mut().unwrap().remove("kid");
        Self {
            key: key_b(),
            scheme: Scheme::Pkcs1v15(Hash::Sha256),
            header: json!({ "typ": "dpop+jwt", "alg": "RS256", "jwk": jwk }),
            claims: json!({ "jti": "proof-1", "htm": "GET", "htu": format!("{ORIGIN}/api/a"), "iat": NOW, "ath": ath }),
        }
    }

    fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.claims.as_object_mut().unwrap().remove(name);
        self
    }

    fn input(&self) -> String {
        let encode = |value: &Value| base64url::encode(value.to_string().as_bytes());
        format!("{}.{}", encode(&self.header), encode(&self.claims))
    }

    fn signed(&self, signature: &[u8]) -> String {
        format!("{}.{}", self.input(), base64url::encode(signature))
    }

    fn text(&self) -> String {
        self.signed(&self.key.sign(self.scheme, self.input().as_bytes()))
    }
}

fn with_scheme(scheme: &str, token: &str) -> String {
    format!("{scheme} {token}")
}

/// Sends `GET /api/a`.
fn get<'g>(gateway: &'g Gateway, host: &VirtualHost, headers: Headers<'_>) -> Answer<'g> {
    handle(gateway, host, "GET", "/api/a", headers)
}

/// Sends a token and a proof.
fn send<'g>(gateway: &'g Gateway, host: &VirtualHost, token: &str, proof: &str) -> Answer<'g> {
    get(gateway, host, &[("authorization", &with_scheme("DPoP", token)), ("dpop", proof)])
}

fn refusal(answer: Answer<'_>) -> Reply {
    match answer {
        Answer::Reply(reply) => reply,
        Answer::Forward(_) => panic!("it is forwarded"),
    }
}

fn expect_forward<'g>(answer: Answer<'g>) -> edgeward::gateway::Forward<'g> {
    match answer {
        Answer::Forward(forward) => forward,
        Answer::Reply(reply) => panic!("{} {}", reply.status, reply.body),
    }
}

#[test]
fn a_bound_token_passes_with_its_proof_which_is_not_forwarded() {
    for mode in ["allowed", "required"] {
        let (gateway, host) = (dpop(mode), VirtualHost::default());
        let token = bound().text();
        let forward = expect_forward(send(&gateway, &host, &token, &Proof::of(&token).text()));
        assert!(forward.set.iter().any(|(name, value)| name == "X-User" && value == "user-1"));
        assert!(forward.drops("DPoP") && forward.drops("dpop"));
        assert!(
            forward
                .response_edits(200, None)
                .iter()
                .all(|edit| !matches!(edit, HeaderEdit::Set(name, _) if name == "dpop-nonce"))
        );
    }
    // What the gateway has not checked is none of its business.
    let (gateway, host) = (dpop("allowed"), VirtualHost::default());
    let open = expect_forward(handle(&gateway, &host, "GET", "/open/a", &[("dpop", "a.b.c")]));
    assert!(!open.drops("dpop"));
    let plain = expect_forward(get(&gateway, &host, &[("authorization", &with_scheme("Bearer", &token().text()))]));
    assert!(!plain.drops("dpop"));
}

#[test]
fn proofs_pass_in_every_algorithm_and_spelling() {
    let token = bound().text();
    let proof = || Proof::of(&token);
    let pss = Proof { scheme: Scheme::Pss(Hash::Sha256), ..proof().header("alg", "PS256") };
    let with_alg = |alg: &str| {
        let mut jwk = key_b().jwk();
        (jwk["alg"], jwk["use"], jwk["kid"]) = (alg.into(), "sig".into(), "any".into());
        proof().header("jwk", jwk)
    };
    let passing = [
        ("RS256", proof()),
        ("PS256", pss),
        ("a media type", proof().header("typ", "application/DPoP+jwt")),
        ("a key with further members", with_alg("RS256")),
        ("further claims", proof().claim("exp", 0).claim("nonce", "of-no-use")),
        ("a URL in another spelling", proof().claim("htu", "HTTPS://APP.example.com:443/%61pi/a?b#c")),
        ("the oldest", proof().claim("iat", NOW - limits::MAX_PROOF_AGE_S)),
        ("the newest", proof().claim("iat", NOW + limits::MAX_PROOF_ADVANCE_S)),
        ("a fraction of a second", proof().claim("iat", NOW as f64 + 0.5)),
        ("the longest id", proof().claim("jti", "x".repeat(limits::MAX_PROOF_ID_BYTES))),
    ];
    for (name, proof) in passing {
        let gateway = dpop("required");
        let answer = send(&gateway, &VirtualHost::default(), &token, &proof.text());
        assert!(matches!(answer, Answer::Forward(_)), "{name}");
    }
    // The scheme counts in any case, and the query of the request does not.
    let authorization = with_scheme("dpop", &token);
    let gateway = dpop("required");
    let answer = handle(
        &gateway,
        &VirtualHost::default(),
        "GET",
        "/api/a?b=c",
        &[("authorization", &authorization), ("dpop", &proof().text())],
    );
    expect_forward(answer);
}

#[test]
fn signatures_of_other_keys_are_verified_by_the_host() {
    let gateway = dpop("required");
    let point = base64url::encode(&[7; 32]);
    for (alg, jwk, kty) in [
        ("ES256", json!({ "kty": "EC", "crv": "P-256", "x": point, "y": point }), Algorithm::Es256),
        ("EdDSA", json!({ "kty": "OKP", "crv": "Ed25519", "x": point }), Algorithm::EdDsa),
        ("Ed25519", json!({ "kty": "OKP", "crv": "Ed25519", "x": point }), Algorithm::EdDsa),
    ] {
        let jkt = support::set([jwk.clone()]).keys().next().unwrap().thumbprint();
        let token = token().claim("cnf", json!({ "jkt": jkt })).text();
        let proof = Proof::of(&token).header("alg", alg).header("jwk", jwk);
        for (verdict, status) in [
            (SignatureVerdict::Valid, None),
            (SignatureVerdict::Invalid, Some((401, "dpop_proof_invalid"))),
            (SignatureVerdict::KeyRefused, Some((401, "dpop_proof_invalid"))),
            (SignatureVerdict::Unsupported, Some((503, "algorithm_unsupported"))),
        ] {
            let (gateway, host, input) = (dpop("required"), VirtualHost::default(), proof.input());
            host.verify_signatures(move |check| {
                assert_eq!((check.algorithm, &check.message), (kty, &input));
                verdict
            });
            let answer = send(&gateway, &host, &token, &proof.signed(&[1; 64]));
            match status {
                None => drop(expect_forward(answer)),
                Some(expected) => {
                    let reply = refusal(answer);
                    assert_eq!((reply.status, code(&reply).as_str()), expected, "{alg}");
                }
            }
        }
        // Out of the curve's range: the host is not asked.
        let reply = refusal(send(&gateway, &VirtualHost::default(), &token, &proof.signed(&[0; 64])));
        assert_eq!(code(&reply), "dpop_proof_invalid");
    }
}

#[test]
fn a_proof_is_read_up_to_the_limit_of_its_size() {
    let token = bound().text();
    let of_size = |size: usize| {
        let padded = |in_key: usize, in_claims: usize| {
            let mut jwk = key_b().jwk();
            jwk["kid"] = "x".repeat(in_key).into();
            Proof::of(&token).header("jwk", jwk).claim("x", "x".repeat(in_claims))
        };
        let len = |proof: &Proof| proof.signed(&[0; 256]).len();
        let room = (size - len(&padded(0, 0))) * 3 / 4;
        // Base64url leaves some lengths of one part out.
        let lengths = (0..4).flat_map(|in_key| (room - 8..room + 8).map(move |in_claims| (in_key, in_claims)));
        lengths.map(|(in_key, in_claims)| padded(in_key, in_claims)).find(|proof| len(proof) == size).unwrap().text()
    };
    let largest = of_size(limits::MAX_PROOF_BYTES);
    expect_forward(send(&dpop("required"), &VirtualHost::default(), &token, &largest));
    let larger = of_size(limits::MAX_PROOF_BYTES + 1);
    let reply = refusal(send(&dpop("required"), &VirtualHost::default(), &token, &larger));
    assert_eq!(code(&reply), "dpop_proof_invalid");
}

/// The challenge, that of the scheme that the request has used first.
fn challenge(reply: &Reply) -> &str {
    let all = values(reply, "www-authenticate");
    assert_eq!(all.len(), 1, "readers of headers often see one of several");
    all[0]
}

#[test]
fn every_bad_proof_is_refused() {
    let token = bound().text();
    let proof = || Proof::of(&token);
    let mut private = key_b().private_jwk();
    private.as_object_mut().unwrap().remove("kid");
    let twice = format!("{0}, {0}", proof().text());
    let hmac = {
        let proof = proof().header("alg", "HS256");
        let mac = hmac_sha256(&key_b().n(), proof.input().as_bytes());
        proof.signed(&mac)
    };
    let without_jwk = {
        let mut proof = proof();
        proof.header.as_object_mut().unwrap().remove("jwk");
        proof.text()
    };
    let of_key = |key: &'static TestKey| Proof { key, ..proof().header("jwk", key.jwk()) }.text();
    let in_header = |name: &str, value: Value| proof().header(name, value).text();
    let in_claims = |name: &str, value: Value| proof().claim(name, value).text();
    let other_signature = Proof { key: key_c(), ..proof() }.text();
    let family = proof().header("alg", "ES256").text();
    let other_alg = in_header("jwk", {
        let mut jwk = key_b().jwk();
        jwk["alg"] = "PS256".into();
        jwk
    });
    let altered = {
        let text = proof().text();
        let (start, signature) = text.rsplit_once('.').unwrap();
        format!("{}.{signature}", proof().claim("jti", "another").text().rsplit_once('.').unwrap().0).replace(start, "")
    };
    let url = |url: &str| in_claims("htu", url.into());
    let cases: Vec<(&str, String, &str)> = vec![
        ("twice", twice, "not one proof"),
        ("empty", String::new(), "not one proof"),
        ("nonsense", "nonsense".into(), "not one proof"),
        ("encrypted", "a.b.c.d.e".into(), "not one proof"),
        ("oversized", in_claims("x", "x".repeat(limits::MAX_PROOF_BYTES).into()), "not one proof"),
        ("an access token", token.clone(), "not one proof"),
        ("without a type", in_header("typ", Value::Null), "not one proof"),
        ("of another type", in_header("typ", "JWT".into()), "not one proof"),
        ("with an extension", in_header("crit", json!(["exp"])), "not one proof"),
        ("unsigned", proof().header("alg", "none").signed(b""), "algorithm"),
        ("symmetric", hmac, "algorithm"),
        ("of another algorithm", in_header("alg", "RS512".into()), "algorithm"),
        ("without a key", without_jwk, "jwk"),
        ("with a text for the key", in_header("jwk", "x".into()), "jwk"),
        ("with a private key", in_header("jwk", private), "jwk"),
        ("with a symmetric key", in_header("jwk", json!({ "kty": "oct", "k": "AAAA" })), "jwk"),
        ("with a key of another family", family, "jwk"),
        ("with a key of another algorithm", other_alg, "jwk"),
        (
            "with a key for encryption",
            in_header("jwk", {
                let mut jwk = key_b().jwk();
                jwk["use"] = "enc".into();
                jwk
            }),
            "jwk",
        ),
        ("with a larger key", in_header("jwk", key_8192().jwk()), "jwk"),
        ("of another key", of_key(key_c()), "key is not the one"),
        ("signed by another key", other_signature, "signature"),
        ("altered", altered, "signature"),
        ("without an id", proof().without("jti").text(), "not one proof"),
        ("with an empty id", in_claims("jti", "".into()), "not one proof"),
        ("with a number for the id", in_claims("jti", 1.into()), "not one proof"),
        ("with a long id", in_claims("jti", "x".repeat(limits::MAX_PROOF_ID_BYTES + 1).into()), "not one proof"),
        ("without a time", proof().without("iat").text(), "not one proof"),
        ("with a text for the time", in_claims("iat", NOW.to_string().into()), "not one proof"),
        ("with a negative time", in_claims("iat", (-1).into()), "not one proof"),
        ("expired", in_claims("iat", (NOW - limits::MAX_PROOF_AGE_S - 1).into()), "too old"),
        ("from the future", in_claims("iat", (NOW + limits::MAX_PROOF_ADVANCE_S + 1).into()), "future"),
        ("without a method", proof().without("htm").text(), "htm"),
        ("for another method", in_claims("htm", "POST".into()), "htm"),
        ("for the method in lower case", in_claims("htm", "get".into()), "htm"),
        ("without a URL", proof().without("htu").text(), "htu"),
        ("for another path", url("https://app.example.com/api/b"), "htu"),
        ("for another case of the path", url("https://app.example.com/API/a"), "htu"),
        ("for a path with dots", url("https://app.example.com/x/../api/a"), "htu"),
        ("for a longer path", url("https://app.example.com/api/a/"), "htu"),
        ("for another host", url("https://evil.example/api/a"), "htu"),
        ("for another port", url("https://app.example.com:8443/api/a"), "htu"),
        ("for http", url("http://app.example.com/api/a"), "htu"),
        ("for a host before an at sign", url("https://app.example.com@evil.example/api/a"), "htu"),
        ("for a path alone", url("/api/a"), "htu"),
        ("without a hash of the token", proof().without("ath").text(), "ath"),
        ("for another token", in_claims("ath", Proof::of("another").claims["ath"].clone()), "ath"),
    ];
    for (mode, further) in [("required", ""), ("allowed", r#", Bearer realm="edgeward""#)] {
        let gateway = dpop(mode);
        for (name, proof, reason) in &cases {
            let reply = refusal(send(&gateway, &VirtualHost::default(), &token, proof));
            assert_eq!((reply.status, code(&reply).as_str()), (401, "dpop_proof_invalid"), "{name}");
            assert!(problem(&reply)["detail"].as_str().unwrap().contains(reason), "{name}: {}", reply.body);
            let start = r#"DPoP realm="edgeward", error="invalid_dpop_proof", error_description=""#;
            assert!(challenge(&reply).starts_with(start), "{}", challenge(&reply));
            assert!(challenge(&reply).ends_with(&format!("{ALGS}{further}")), "{}", challenge(&reply));
            assert!(!reply.body.contains(&token), "{name}");
        }
    }
}

#[test]
fn a_bound_token_without_its_proof_is_refused_whatever_the_setting() {
    let jkt = || thumbprint(key_b());
    let bindings = [
        ("a key", json!({ "jkt": jkt() })),
        ("a certificate", json!({ "x5t#S256": base64url::encode(&[7; 32]) })),
        ("both", json!({ "jkt": jkt(), "x5t#S256": base64url::encode(&[7; 32]) })),
        ("a key and something unknown", json!({ "jkt": jkt(), "kid": "a" })),
        ("something unknown", json!({ "jwk": key_b().jwk() })),
        ("a malformed key", json!({ "jkt": "AAAA" })),
        ("a number", json!({ "jkt": 1 })),
        ("nothing", json!({})),
        ("null", json!(null)),
    ];
    for dpop in ["off", "allowed", "required"] {
        for mtls in ["off", "allowed", "required"] {
            let gateway = gateway(&with(config(), json!({ "dpop": dpop, "mtls": mtls })));
            for (name, cnf) in &bindings {
                let token = token().claim("cnf", cnf.clone()).text();
                let (bearer, scheme) = (with_scheme("Bearer", &token), with_scheme("DPoP", &token));
                let attempts: [Headers<'_>; 4] = [
                    &[("authorization", &bearer)],
                    &[("authorization", &scheme)],
                    // Bound tokens are no bearer tokens, with whatever proof.
                    &[("authorization", &bearer), ("dpop", &Proof::of(&token).text())],
                    &[("authorization", &bearer), (":client-certificate", "1\n0\nSUCCESS\n")],
                ];
                for headers in attempts {
                    let answer = get(&gateway, &VirtualHost::default(), headers);
                    let reply = refusal(answer);
                    assert_eq!(reply.status, 401, "{dpop} {mtls} {name}: {}", reply.body);
                }
                // With both kept off, nothing has changed.
                if (dpop, mtls) == ("off", "off") {
                    let reply = refusal(get(&gateway, &VirtualHost::default(), &[("authorization", &bearer)]));
                    assert_eq!(code(&reply), "token_sender_constrained", "{name}");
                    assert!(challenge(&reply).starts_with(r#"Bearer realm="edgeward", error="invalid_token""#));
                    assert!(!challenge(&reply).contains("DPoP"));
                }
            }
        }
    }
}

#[test]
fn tokens_and_proofs_that_do_not_belong_together_are_refused() {
    let (bound, plain) = (bound().text(), token().text());
    let bearer_bound = with_scheme("Bearer", &bound);
    let (dpop_bound, dpop_plain) = (with_scheme("DPoP", &bound), with_scheme("DPoP", &plain));
    let bearer_plain = with_scheme("Bearer", &plain);
    let (of_bound, of_plain) = (Proof::of(&bound).text(), Proof::of(&plain).text());
    let two = format!("{bearer_plain}, {dpop_bound}");
    let two_reversed = format!("{dpop_bound}, {bearer_plain}");
    let two_alike = format!("{dpop_bound}, {dpop_bound}");
    let both = r#"DPoP realm="edgeward""#;
    let cases: &[(&str, Headers<'_>, u16, &str, &str)] = &[
        ("no token", &[], 401, "token_missing", r#"Bearer realm="edgeward""#),
        ("a proof alone", &[("dpop", &of_bound)], 401, "token_missing", r#"Bearer realm="edgeward""#),
        (
            "a bound token as a bearer token",
            &[("authorization", &bearer_bound)],
            401,
            "token_sender_constrained",
            r#"Bearer realm="edgeward", error="invalid_token""#,
        ),
        (
            "the same with a proof",
            &[("authorization", &bearer_bound), ("dpop", &of_bound)],
            401,
            "token_sender_constrained",
            r#"Bearer realm="edgeward", error="invalid_token""#,
        ),
        (
            "a bound token without proof",
            &[("authorization", &dpop_bound)],
            401,
            "dpop_proof_missing",
            r#"DPoP realm="edgeward", error="invalid_token""#,
        ),
        (
            "a token that is not bound with the scheme",
            &[("authorization", &dpop_plain), ("dpop", &of_plain)],
            401,
            "token_not_bound",
            r#"DPoP realm="edgeward", error="invalid_token""#,
        ),
        (
            "the same without proof",
            &[("authorization", &dpop_plain)],
            401,
            "token_not_bound",
            r#"DPoP realm="edgeward", error="invalid_token""#,
        ),
        (
            "a bearer token with a proof",
            &[("authorization", &bearer_plain), ("dpop", &of_plain)],
            401,
            "token_not_bound",
            r#"Bearer realm="edgeward", error="invalid_token""#,
        ),
        (
            "two schemes",
            &[("authorization", &two)],
            400,
            "invalid_request",
            r#"Bearer realm="edgeward", error="invalid_request""#,
        ),
        ("two schemes, reversed", &[("authorization", &two_reversed)], 400, "invalid_request", both),
        ("two tokens", &[("authorization", &two_alike)], 400, "invalid_request", both),
        ("no token after the scheme", &[("authorization", "DPoP")], 400, "invalid_request", both),
    ];
    let gateway = dpop("allowed");
    for (name, headers, status, expected, start) in cases {
        let reply = refusal(get(&gateway, &VirtualHost::default(), headers));
        assert_eq!((reply.status, code(&reply).as_str()), (*status, *expected), "{name}");
        assert!(challenge(&reply).starts_with(start), "{name}: {}", challenge(&reply));
        let names = |scheme: &str| challenge(&reply).contains(&format!(r#"{scheme} realm="edgeward""#));
        assert_eq!(names("Bearer") && names("DPoP"), *status == 401, "{name}: {}", challenge(&reply));
        assert_eq!(challenge(&reply).contains(ALGS), names("DPoP"), "{name}: {}", challenge(&reply));
    }
    expect_forward(get(&gateway, &VirtualHost::default(), &[("authorization", &bearer_plain)]));
}

#[test]
fn where_bound_tokens_are_required_no_other_passes() {
    let gateway = dpop("required");
    let plain = with_scheme("Bearer", &token().text());
    for (headers, expected) in [(&[][..], "token_missing"), (&[("authorization", plain.as_str())], "token_not_bound")] {
        for path in ["/api/a", "/maybe/a"] {
            if (path, expected) == ("/maybe/a", "token_missing") {
                continue;
            }
            let reply = refusal(handle(&gateway, &VirtualHost::default(), "GET", path, headers));
            assert_eq!((reply.status, code(&reply).as_str()), (401, expected));
            let challenge = challenge(&reply);
            assert!(challenge.starts_with(r#"DPoP realm="edgeward""#) && challenge.ends_with(ALGS), "{challenge}");
        }
    }
    assert!(refusal(get(&gateway, &VirtualHost::default(), &[])).body.contains("Authorization: DPoP <token>"));
    // Sessions are no bearer tokens.
    let cookie = Login::new().cookie();
    expect_forward(get(&gateway, &VirtualHost::default(), &[("cookie", &cookie)]));
    // Rights are checked as ever, and their refusal names the scheme.
    let token = bound().text();
    let proof = Proof::of(&token).claim("htu", format!("{ORIGIN}/admin")).text();
    let headers = [("authorization", with_scheme("DPoP", &token)), ("dpop", proof)];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let reply = refusal(handle(&gateway, &VirtualHost::default(), "GET", "/admin", &headers));
    assert_eq!((reply.status, code(&reply).as_str()), (403, "insufficient_scope"));
    assert!(challenge(&reply).starts_with(r#"DPoP realm="edgeward", error="insufficient_scope""#));
}

#[test]
fn tokens_in_other_places_are_bearer_tokens() {
    let sources = json!([{ "header": "Authorization" }, { "header": "X-Token" }]);
    let gateway = gateway(&with(config(), json!({ "dpop": "allowed", "token_from": sources })));
    let (bound, plain) = (bound().text(), token().text());
    let proof = Proof::of(&bound).text();
    let reply = refusal(get(&gateway, &VirtualHost::default(), &[("x-token", &bound), ("dpop", &proof)]));
    assert_eq!(code(&reply), "token_sender_constrained");
    expect_forward(get(&gateway, &VirtualHost::default(), &[("x-token", &plain)]));
    let scheme = with_scheme("DPoP", &bound);
    expect_forward(get(
        &gateway,
        &VirtualHost::default(),
        &[("x-token", &bound), ("authorization", &scheme), ("dpop", &proof)],
    ));
    let reply = refusal(get(
        &gateway,
        &VirtualHost::default(),
        &[("x-token", &plain), ("authorization", &scheme), ("dpop", &proof)],
    ));
    assert_eq!((reply.status, code(&reply).as_str()), (400, "invalid_request"));
}

#[test]
fn a_proof_is_used_once() {
    let (gateway, host) = (dpop("allowed"), VirtualHost::default());
    let token = bound().text();
    let first = Proof::of(&token).text();
    expect_forward(send(&gateway, &host, &token, &first));
    let reply = refusal(send(&gateway, &host, &token, &first));
    assert_eq!((reply.status, code(&reply).as_str()), (401, "dpop_proof_replayed"));
    assert!(challenge(&reply).contains(r#"error="invalid_dpop_proof""#));
    // Its id counts, not its text; another id or another key is another proof.
    let again = Proof::of(&token).claim("iat", NOW + 1).text();
    assert_eq!(code(&refusal(send(&gateway, &host, &token, &again))), "dpop_proof_replayed");
    expect_forward(send(&gateway, &host, &token, &Proof::of(&token).claim("jti", "proof-2").text()));
    let of_c = self::token().claim("cnf", json!({ "jkt": thumbprint(key_c()) })).text();
    let by_c = Proof { key: key_c(), ..Proof::of(&of_c).header("jwk", key_c().jwk()) };
    expect_forward(send(&gateway, &host, &of_c, &by_c.text()));
    // A refused proof is not used up.
    let third = |token: &str| Proof::of(token).claim("jti", "proof-3");
    refusal(send(&gateway, &host, &token, &third(&token).claim("htm", "PUT").text()));
    expect_forward(send(&gateway, &host, &token, &third(&token).text()));
    // It is remembered for as long as it is not too old.
    host.sleep_s(limits::MAX_PROOF_AGE_S);
    assert_eq!(code(&refusal(send(&gateway, &host, &token, &first))), "dpop_proof_replayed");
    host.sleep_s(1);
    assert!(problem(&refusal(send(&gateway, &host, &token, &first)))["detail"].as_str().unwrap().contains("too old"));
}

#[test]
fn a_proof_by_a_clock_that_is_ahead_is_remembered_until_it_is_too_old() {
    let (gateway, host) = (dpop("allowed"), VirtualHost::default());
    let token = bound().text();
    let newest = Proof::of(&token).claim("iat", NOW + limits::MAX_PROOF_ADVANCE_S).text();
    expect_forward(send(&gateway, &host, &token, &newest));
    host.sleep_s(limits::MAX_PROOF_ADVANCE_S + limits::MAX_PROOF_AGE_S);
    assert_eq!(code(&refusal(send(&gateway, &host, &token, &newest))), "dpop_proof_replayed");
    host.sleep_s(1);
    assert_eq!(code(&refusal(send(&gateway, &host, &token, &newest))), "dpop_proof_invalid");
}

#[test]
fn the_proofs_of_one_client_are_divided_among_a_few_shared_objects() {
    let (gateway, host) = (dpop("allowed"), VirtualHost::default());
    host.shared(|shared| shared.are_bound = true);
    let token = bound().text();
    for number in 0..80 {
        let proof = Proof::of(&token).claim("jti", number.to_string()).text();
        expect_forward(send(&gateway, &host, &token, &proof));
    }
    let objects: BTreeSet<String> =
        host.shared(|shared| shared.asked.iter().map(|(_, object)| object.clone()).collect());
    assert_eq!(objects.len(), usize::from(limits::PROOF_OBJECTS_PER_KEY));
}

#[test]
fn instances_share_the_proofs_that_were_used() {
    let token = bound().text();
    let host = VirtualHost::default();
    host.shared(|shared| shared.are_bound = true);
    let (one, other) = (dpop("allowed"), dpop("allowed"));
    let first = Proof::of(&token).text();
    expect_forward(send(&one, &host, &token, &first));
    for gateway in [&one, &other] {
        let reply = refusal(send(gateway, &host, &token, &first));
        assert_eq!((reply.status, code(&reply).as_str()), (401, "dpop_proof_replayed"));
    }
    // What this instance has seen itself needs no question.
    assert_eq!(host.shared(|shared| shared.asked.len()), 2);
    // The name of the object reveals no key.
    let object = host.shared(|shared| shared.asked[0].1.clone());
    assert!(object.starts_with("dpop.") && !object.contains(&thumbprint(key_b())));
    // Without an answer nothing passes, but what is not bound.
    host.shared(|shared| shared.are_down = true);
    let reply = refusal(send(&one, &host, &token, &Proof::of(&token).claim("jti", "proof-2").text()));
    assert_eq!((reply.status, code(&reply).as_str()), (503, "replay_check_unavailable"));
    assert_eq!((reply.header("retry-after"), reply.header("www-authenticate")), (Some("1"), None));
    assert!(host.seen().lines.iter().any(|(_, line)| line.starts_with("replay_check_unavailable: ")));
    expect_forward(get(&one, &host, &[("authorization", &with_scheme("Bearer", &self::token().text()))]));
    host.shared(|shared| shared.are_down = false);
    expect_forward(send(&one, &host, &token, &Proof::of(&token).claim("jti", "proof-3").text()));
}

#[test]
fn one_of_many_requests_at_once_with_one_proof_passes() {
    let token = bound().text();
    let (authorization, proof) = (with_scheme("DPoP", &token), Proof::of(&token).text());
    for is_shared in [false, true] {
        let (gateway, host) = (dpop("allowed"), VirtualHost::default());
        host.shared(|shared| (shared.are_bound, shared.delay_ms) = (is_shared, 50));
        let header = |name: &str| match name {
            "authorization" => Some(authorization.clone()),
            "dpop" => Some(proof.clone()),
            _ => None,
        };
        let url = format!("{ORIGIN}/api/a");
        let head = edgeward::http::RequestHead { method: "GET", url: &url, header: &header };
        let answers = host.run_all((0..20).map(|_| gateway.handle(&head, &host)));
        assert_eq!(answers.iter().filter(|answer| matches!(answer, Answer::Forward(_))).count(), 1);
    }
}

const NONCE_SECRETS: [&str; 2] = ["a new secret of at least 32 characters", "an old secret of at least 32 characters"];

#[test]
fn with_a_secret_for_nonces_proofs_need_one() {
    let with_secrets =
        |secrets: &[&str]| gateway(&with(config(), json!({ "dpop": "allowed", "dpop_nonce_secret": secrets })));
    let (gateway, host) = (with_secrets(&NONCE_SECRETS[1..]), VirtualHost::default());
    let token = bound().text();
    let jti = std::cell::Cell::new(0);
    let with_nonce = |nonce: Option<&str>| {
        jti.set(jti.get() + 1);
        let proof = Proof::of(&token).claim("jti", jti.get().to_string());
        nonce.map_or_else(
            || proof.text(),
            |nonce| Proof::of(&token).claim("jti", jti.get().to_string()).claim("nonce", nonce).text(),
        )
    };
    let asked = |gateway: &Gateway, nonce: Option<&str>| {
        let reply = refusal(send(gateway, &host, &token, &with_nonce(nonce)));
        assert_eq!((reply.status, code(&reply).as_str()), (401, "dpop_nonce_required"));
        assert!(challenge(&reply).starts_with(r#"DPoP realm="edgeward", error="use_dpop_nonce""#));
        reply.header("dpop-nonce").unwrap().to_owned()
    };
    let nonce = asked(&gateway, None);
    assert_eq!(asked(&gateway, Some("guessed")), nonce);
    let next = |gateway: &Gateway, nonce: &str| {
        let forward = expect_forward(send(gateway, &host, &token, &with_nonce(Some(nonce))));
        let edits = forward.response_edits(200, None);
        let set = edits.into_iter().find_map(|edit| match edit {
            HeaderEdit::Set(name, value) if name == "dpop-nonce" => Some(value),
            _ => None,
        });
        set.unwrap()
    };
    assert_eq!(next(&gateway, &nonce), nonce);
    // The clock of the client does not matter then.
    let slow = Proof::of(&token).claim("jti", "slow").claim("iat", NOW - 86_400).claim("nonce", nonce.as_str());
    expect_forward(send(&gateway, &host, &token, &slow.text()));
    assert_eq!(code(&refusal(send(&gateway, &host, &token, &slow.text()))), "dpop_proof_replayed");
    // A new secret makes nonces, the old one is still recognized; and so on all instances.
    let rotated = with_secrets(&NONCE_SECRETS);
    let newer = next(&rotated, &nonce);
    assert_ne!(newer, nonce);
    asked(&gateway, Some(&newer));
    // A nonce lasts for one to two periods; the answer has the next one.
    host.sleep_s(limits::PROOF_NONCE_PERIOD_S);
    let following = next(&gateway, &nonce);
    assert_ne!(following, nonce);
    assert_eq!(code(&refusal(send(&gateway, &host, &token, &slow.text()))), "dpop_proof_replayed");
    host.sleep_s(limits::PROOF_NONCE_PERIOD_S - 1);
    assert_eq!(code(&refusal(send(&gateway, &host, &token, &slow.text()))), "dpop_proof_replayed");
    host.sleep_s(1);
    assert_ne!(asked(&gateway, Some(&nonce)), following);
    next(&gateway, &following);
    // Bearer tokens need none.
    expect_forward(get(&gateway, &host, &[("authorization", &with_scheme("Bearer", &self::token().text()))]));
}

#[test]
fn an_instance_that_remembers_no_more_proofs_accepts_none() {
    let (gateway, host) = (dpop("allowed"), VirtualHost::default());
    let token = bound().text();
    host.verify_signatures(|_| SignatureVerdict::Valid);
    let clients: Vec<(Value, String)> = (1..=8)
        .map(|number| {
            let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url::encode(&[number; 32]) });
            let jkt = support::set([jwk.clone()]).keys().next().unwrap().thumbprint();
            (jwk, self::token().claim("cnf", json!({ "jkt": jkt })).text())
        })
        .collect();
    let send_of = |client: usize, number: usize| {
        let (jwk, token) = &clients[client];
        let proof = Proof::of(token).header("alg", "EdDSA").header("jwk", jwk.clone());
        send(&gateway, &host, token, &proof.claim("jti", number.to_string()).signed(&[1; 64]))
    };
    let expect_full = |answer: Answer<'_>, line: &str| {
        let reply = refusal(answer);
        assert_eq!((reply.status, code(&reply).as_str()), (503, "replay_check_unavailable"));
        assert!(host.seen().lines.last().unwrap().1.contains(line), "{:?}", host.seen().lines.last());
    };
    // One client fills its own part alone.
    for client in 0..clients.len() {
        for number in 0..limits::MAX_REMEMBERED_PROOFS_PER_KEY {
            expect_forward(send_of(client, number));
        }
        expect_full(send_of(client, limits::MAX_REMEMBERED_PROOFS_PER_KEY), "proofs of possession of one client");
        assert_eq!(code(&refusal(send_of(client, 0))), "dpop_proof_replayed");
    }
    expect_full(send(&gateway, &host, &token, &Proof::of(&token).text()), "no more proofs of possession;");
    // What instances share needs no memory here.
    host.shared(|shared| shared.are_bound = true);
    expect_forward(send(&gateway, &host, &token, &Proof::of(&token).text()));
    expect_forward(send_of(0, limits::MAX_REMEMBERED_PROOFS_PER_KEY));
    host.shared(|shared| shared.are_bound = false);
    host.sleep_s(limits::MAX_PROOF_AGE_S + limits::MAX_PROOF_ADVANCE_S + 1);
    let fresh = Proof::of(&token).claim("iat", NOW + limits::MAX_PROOF_AGE_S).text();
    expect_forward(send(&gateway, &host, &token, &fresh));
}

#[test]
fn every_answer_to_a_proof_has_the_next_nonce_and_no_origin_gets_a_used_proof() {
    let secret = json!({ "dpop": "allowed", "dpop_nonce_secret": NONCE_SECRETS });
    let mut config = with(config(), secret);
    let proxy = json!({ "type": "http_proxy", "url": "https://origin.example", "strip_authorization": false });
    config["paths"].as_array_mut().unwrap().extend([
        json!({ "method": "ANY", "path": "/seen", "observe": true, "integration": proxy }),
        json!({ "method": "ANY", "path": "/seen-admin", "observe": true, "scopes": ["admin"], "integration": proxy }),
        json!({ "method": "ANY", "path": "/recent", "max_age": 60, "integration": proxy }),
    ]);
    let (gateway, host) = (gateway(&config), VirtualHost::default());
    let token = bound().text();
    let jti = std::cell::Cell::new(0);
    let nonce = std::cell::RefCell::new(None::<String>);
    let proof_for = |path: &str| {
        jti.set(jti.get() + 1);
        let proof = Proof::of(&token).claim("htu", format!("{ORIGIN}{path}")).claim("jti", jti.get().to_string());
        match &*nonce.borrow() {
            Some(nonce) => proof.claim("nonce", nonce.as_str()).text(),
            None => proof.text(),
        }
    };
    // Returns the status, the code or that of the observed refusal, and whether the origin gets the proof.
    let outcome = |path: &str, proof: &str| {
        let headers = [("authorization", &*with_scheme("DPoP", &token)), ("dpop", proof)];
        match handle(&gateway, &host, "GET", path, &headers) {
            Answer::Reply(reply) => {
                let next = reply.header("dpop-nonce").map(str::to_owned);
                ((reply.status, if reply.status < 400 { String::new() } else { code(&reply) }, false), next)
            }
            Answer::Forward(forward) => {
                let edits = forward.response_edits(200, None);
                let set = |wanted: &str| {
                    edits.iter().find_map(|edit| match edit {
                        HeaderEdit::Set(name, value) if name == wanted => Some(value.clone()),
                        _ => None,
                    })
                };
                ((200, set("x-edgeward-observed").unwrap_or_default(), !forward.drops("dpop")), set("dpop-nonce"))
            }
        }
    };
    let check = |path: &str, proof: &str, expected: (u16, &str, bool)| {
        let ((status, code, passes), next) = outcome(path, proof);
        assert_eq!((status, code.as_str(), passes), expected, "{path}");
        assert!(next.is_some(), "{path}: no nonce");
        *nonce.borrow_mut() = next;
    };
    // The first answer of an observing route has a nonce, too; its proof was not accepted.
    check("/seen", &proof_for("/seen"), (200, "dpop_nonce_required", true));
    let used = proof_for("/seen");
    check("/seen", &used, (200, "", false));
    check("/seen", &used, (200, "dpop_proof_replayed", true));
    check("/seen-admin", &proof_for("/seen-admin"), (200, "insufficient_scope", false));
    check("/api/a", &proof_for("/api/b"), (401, "dpop_proof_invalid", false));
    check("/api/a", &proof_for("/api/a"), (200, "", false));
    check("/page", &proof_for("/page"), (200, "", false));
    check("/admin", &proof_for("/admin"), (403, "insufficient_scope", false));
    check("/recent", &proof_for("/recent"), (401, "insufficient_user_authentication", false));
    host.shared(|shared| (shared.are_bound, shared.are_down) = (true, true));
    check("/api/a", &proof_for("/api/a"), (503, "replay_check_unavailable", false));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_token_bound_to_a_certificate_passes_with_it_alone() {
    let thumbprint: Vec<u8> = (0..32).map(|number| number * 8).collect();
    let bound = token().claim("cnf", json!({ "x5t#S256": base64url::encode(&thumbprint) })).text();
    let (authorization, plain) = (with_scheme("Bearer", &bound), with_scheme("Bearer", &token().text()));
    let right = hex(&thumbprint);
    let (upper, other, long) = (right.to_uppercase(), hex(&[7; 32]), format!("{right}00"));
    let stated = |fields: [&str; 4]| fields.join("\n");
    let invalid = "certificate_not_verified";
    let cases = [
        ("it", Some(stated(["1", "0", "SUCCESS", &right])), None),
        ("it in capitals", Some(stated(["1", "0", "SUCCESS", &upper])), None),
        ("none", None, Some("certificate_missing")),
        ("none presented", Some(stated(["0", "0", "NONE", ""])), Some("certificate_missing")),
        ("placeholders", Some(stated(["0", "0", "NONE", &right])), Some("certificate_missing")),
        ("nothing known", Some(stated(["", "", "", ""])), Some("certificate_missing")),
        ("an untrusted one", Some(stated(["1", "0", "FAILED:self signed certificate", &right])), Some(invalid)),
        ("one that was not verified", Some(stated(["1", "0", "NONE", &right])), Some(invalid)),
        ("a revoked one", Some(stated(["1", "1", "SUCCESS", &right])), Some(invalid)),
        ("another", Some(stated(["1", "0", "SUCCESS", &other])), Some("certificate_mismatch")),
        ("no fingerprint", Some(stated(["1", "0", "SUCCESS", ""])), Some(invalid)),
        ("a longer fingerprint", Some(stated(["1", "0", "SUCCESS", &long])), Some(invalid)),
        ("half an octet", Some(stated(["1", "0", "SUCCESS", &right[..63]])), Some(invalid)),
        ("no hexadecimal", Some(stated(["1", "0", "SUCCESS", &"x".repeat(64)])), Some(invalid)),
    ];
    for mode in ["allowed", "required"] {
        let gateway = gateway(&with(config(), json!({ "mtls": mode })));
        for (name, certificate, expected) in &cases {
            let mut headers = vec![("authorization", authorization.as_str())];
            headers.extend(certificate.as_deref().map(|stated| (":client-certificate", stated)));
            let answer = get(&gateway, &VirtualHost::default(), &headers);
            match expected {
                None => drop(expect_forward(answer)),
                Some(expected) => {
                    let reply = refusal(answer);
                    assert_eq!((reply.status, code(&reply).as_str()), (401, *expected), "{name}");
                    assert!(challenge(&reply).starts_with(r#"Bearer realm="edgeward", error="invalid_token""#));
                }
            }
        }
        let answer = get(&gateway, &VirtualHost::default(), &[("authorization", &plain)]);
        match mode {
            "allowed" => drop(expect_forward(answer)),
            _ => assert_eq!(code(&refusal(answer)), "token_not_bound"),
        }
    }
}

#[test]
fn a_token_bound_to_both_needs_both() {
    let gateway = gateway(&with(config(), json!({ "mtls": "required", "dpop": "required" })));
    let both = json!({ "jkt": thumbprint(key_b()), "x5t#S256": base64url::encode(&[7; 32]) });
    let token = token().claim("cnf", both).text();
    let authorization = with_scheme("DPoP", &token);
    let certificate = format!("1\n0\nSUCCESS\n{}", hex(&[7; 32]));
    let proof = Proof::of(&token).text();
    let all = [("authorization", authorization.as_str()), (":client-certificate", &certificate), ("dpop", &proof)];
    assert_eq!(code(&refusal(get(&gateway, &VirtualHost::default(), &all[..2]))), "dpop_proof_missing");
    assert_eq!(code(&refusal(get(&gateway, &VirtualHost::default(), &[all[0], all[2]]))), "certificate_missing");
    expect_forward(get(&gateway, &VirtualHost::default(), &all));
    let one = bound().text();
    let headers = [("authorization", with_scheme("DPoP", &one)), ("dpop", Proof::of(&one).text())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(code(&refusal(get(&gateway, &VirtualHost::default(), &headers))), "token_not_bound");
}

#[test]
fn the_scheme_is_none_of_the_gateways_business_while_it_is_off() {
    let (gateway, host) = (gateway(&config()), VirtualHost::default());
    let token = bound().text();
    let reply = refusal(send(&gateway, &host, &token, &Proof::of(&token).text()));
    assert_eq!((reply.status, code(&reply).as_str()), (401, "token_missing"));
    assert_eq!(values(&reply, "www-authenticate"), [r#"Bearer realm="edgeward""#]);
    let plain = with_scheme("Bearer", &self::token().text());
    let forward = expect_forward(get(&gateway, &host, &[("authorization", &plain), ("dpop", "anything")]));
    assert!(!forward.drops("dpop"));
}

#[test]
fn scripts_of_other_origins_may_send_proofs() {
    let asks = [ALLOWED, ("access-control-request-method", "PUT")];
    let allowed = |config: &Value| {
        let gateway = gateway(config);
        let reply = refusal(handle(&gateway, &VirtualHost::default(), "OPTIONS", "/api/a", &asks));
        let header = |name| values(&reply, name).join("|");
        (header("access-control-allow-headers"), header("access-control-expose-headers"))
    };
    let own = "x-total, etag".to_owned();
    assert_eq!(allowed(&config_with_cors()), ("authorization, content-type".into(), own.clone()));
    let on = with(config_with_cors(), json!({ "dpop": "allowed" }));
    assert_eq!(allowed(&on), ("authorization, content-type, dpop".into(), own));
    let mut nonces = with(on, json!({ "dpop_nonce_secret": NONCE_SECRETS[0] }));
    assert_eq!(allowed(&nonces).1, "x-total, etag, www-authenticate, dpop-nonce");
    nonces["cors"]["allow_headers"] = json!(["DPoP", "Authorization"]);
    nonces["cors"]["expose_headers"] = json!(["DPoP-Nonce"]);
    assert_eq!(allowed(&nonces), ("DPoP, Authorization".into(), "DPoP-Nonce, www-authenticate".into()));
    nonces["cors"]["allow_headers"] = json!(["x-a"]);
    assert_eq!(allowed(&nonces).0, "x-a");
}

#[test]
fn no_mutated_proof_panics_and_none_with_another_signature_passes() {
    let (gateway, host) = (dpop("allowed"), VirtualHost::default());
    let token = bound().text();
    let proof = Proof::of(&token);
    let (header, claims) = (proof.header.to_string(), proof.claims.to_string());
    let signature = proof.text().rsplit_once('.').unwrap().1.to_owned();
    let pieces: [&[u8]; 12] =
        [b"", b"%", b"%4", b"%zz", b"://", b"\\u0000", b"null", b"-1", b"1e400", b"\xff", b"\"jti\":[]", b"[[[[[["];
    let mut rng = Rng(9);
    let mut mutated = |text: &str| {
        let mut text = text.as_bytes().to_vec();
        for _ in 0..=rng.below(3) {
            let at = rng.below(text.len() + 1);
            let end = (at + rng.below(8)).min(text.len());
            drop(text.splice(at..end, pieces[rng.below(pieces.len())].iter().copied()));
        }
        text
    };
    let mut passed = 0;
    for _ in 0..20_000 {
        let (new_header, new_claims) = (mutated(&header), mutated(&claims));
        let is_same = new_header == header.as_bytes() && new_claims == claims.as_bytes();
        let text = format!("{}.{}.{signature}", base64url::encode(&new_header), base64url::encode(&new_claims));
        let has_passed = matches!(send(&gateway, &host, &token, &text), Answer::Forward(_));
        assert!(!has_passed || is_same, "{}", String::from_utf8_lossy(&new_claims));
        passed += u32::from(has_passed);
    }
    assert!(passed <= 1, "a proof is used once");
}
