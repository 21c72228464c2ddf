//! Encrypted access tokens: what is decrypted, and what is refused. The host's decryption is a stand-in that takes content for ciphertext;
//! the real one is tested in tests/node.

use edgeward::error::VerifyError;
use edgeward::gateway::{Answer, Gateway, compile};
use edgeward::host::{DecryptError, Host as _};
use edgeward::jwk::{DecryptionKey, KeyCache};
use edgeward::{VerificationError, Verifier, base64url, limits};
use serde_json::{Value, json};
use support::host::VirtualHost;
use support::{ISSUER, Mint, NOW, access_policy, key_a, key_b};

use crate::{code, config, handle, token};

const KEY: &str = include_str!("../keys/rsa2048-b.pem");
const OTHER_KEY: &str = include_str!("../keys/rsa3072.pem");

fn with_keys(keys: &Value) -> Value {
    let mut config = config();
    config["authorizer"]["decryption_keys"] = keys.clone();
    config
}

fn gateway() -> Gateway {
    crate::gateway(&with_keys(&json!([{ "key": KEY, "kid": "b" }, { "key": OTHER_KEY, "kid": "other" }])))
}

/// An encrypted token, part by part.
struct Sealed {
    header: Value,
    key: Vec<u8>,
    iv: Vec<u8>,
    content: Vec<u8>,
    tag: Vec<u8>,
}

impl Sealed {
    fn of(inner: &str) -> Self {
        Self {
            header: json!({ "alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWT", "kid": "b" }),
            key: vec![7; 256],
            iv: vec![1; 12],
            content: inner.into(),
            tag: vec![2; 16],
        }
    }

    /// Sets a header parameter; null removes it.
    fn with(mut self, name: &str, value: Value) -> Self {
        match value {
            Value::Null => drop(self.header.as_object_mut().unwrap().remove(name)),
            value => self.header[name] = value,
        }
        self
    }

    fn text(&self) -> String {
        let parts = [
            self.header.to_string().into_bytes(),
            self.key.clone(),
            self.iv.clone(),
            self.content.clone(),
            self.tag.clone(),
        ];
        parts.map(|part| base64url::encode(&part)).join(".")
    }
}

/// A host that decrypts.
fn host() -> VirtualHost {
    let host = VirtualHost::default();
    host.decrypt(|request| {
        assert_eq!(request.aad.bytes().filter(|&byte| byte == b'.').count(), 0);
        let end = request.content.len() - 16;
        let is_altered = request.content[end..] != [2; 16];
        if is_altered { Err(DecryptError::Failed) } else { Ok(request.content[12..end].to_vec()) }
    });
    host
}

/// Returns `forwarded`, or the code of the refusal.
fn outcome(gateway: &Gateway, host: &VirtualHost, token: &str) -> String {
    let authorization = format!("Bearer {token}");
    match handle(gateway, host, "GET", "/api/x", &[("authorization", &authorization)]) {
        Answer::Forward(_) => "forwarded".into(),
        Answer::Reply(reply) => {
            let code = code(&reply);
            assert_eq!(reply.status, if code == "algorithm_unsupported" { 503 } else { 401 }, "{}", reply.body);
            code
        }
    }
}

#[test]
fn an_encrypted_token_is_verified_like_the_one_inside() {
    let (gateway, host) = (gateway(), host());
    let of = |sealed: &Sealed| outcome(&gateway, &host, &sealed.text());
    let inner = token().text();
    for alg in ["RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512"] {
        for enc in ["A128GCM", "A256GCM"] {
            let sealed = Sealed::of(&inner).with("alg", json!(alg)).with("enc", json!(enc));
            assert_eq!(of(&sealed), "forwarded", "{alg} {enc}");
            let seen = host.seen();
            let request = seen.decryptions.last().unwrap();
            assert_eq!((request.algorithm, request.encryption), (alg, enc));
            assert_eq!((request.encrypted_key.len(), &request.content[..12]), (256, &[1; 12][..]));
            let key: Value = serde_json::from_str(&request.key).unwrap();
            assert_eq!((&key["kty"], key["d"].is_string(), key.get("kid")), (&json!("RSA"), true, None));
        }
    }
    let replicated =
        Sealed::of(&inner).with("typ", json!("JWT")).with("cty", json!("application/jwt")).with("iss", json!("x"));
    assert_eq!(of(&replicated), "forwarded");
    assert_eq!(of(&Sealed::of(&inner).with("cty", json!("at+jwt"))), "forwarded");
    let longer = Sealed { key: vec![7; 384], ..Sealed::of(&inner).with("kid", json!("other")) };
    assert_eq!(of(&longer), "forwarded");
    // The signature inside decides, and so do the claims.
    for (token, expected) in [
        (token().signed_by(key_b()).header("kid", key_a().kid), "signature_invalid"),
        (token().claim("aud", "other"), "audience_mismatch"),
        (token().claim("exp", NOW - 60), "token_expired"),
        (token().header("alg", "none"), "alg_not_allowed"),
        (Mint::id(key_a()), "audience_mismatch"),
    ] {
        assert_eq!(of(&Sealed::of(&token.text())), expected);
    }
    assert_eq!(of(&Sealed::of(&Sealed::of(&inner).text())), "token_encrypted", "one layer");
    assert_eq!(of(&Sealed::of("{\"sub\":\"x\"}")), "token_malformed");
    assert_eq!(outcome(&gateway, &host, &inner), "forwarded", "a plain token still is one");
}

#[test]
fn every_other_encrypted_token_gets_one_answer() {
    let (gateway, host) = (gateway(), host());
    let inner = token().text();
    let good = || Sealed::of(&inner);
    let mut refused: Vec<(String, String)> = Vec::new();
    for alg in ["RSA-OAEP", "RSA1_5", "dir", "A256KW", "ECDH-ES", "PBES2-HS256+A128KW", "none", ""] {
        refused.push((format!("alg {alg}"), good().with("alg", json!(alg)).text()));
    }
    for enc in ["A192GCM", "A128CBC-HS256", "A256CBC-HS512", ""] {
        refused.push((format!("enc {enc}"), good().with("enc", json!(enc)).text()));
    }
    for (name, value) in [
        ("zip", json!("DEF")),
        ("crit", json!(["exp"])),
        ("p2c", json!(1_000_000)),
        ("epk", json!({})),
        ("jwk", json!({})),
        ("x5c", json!([])),
        ("b64", json!(true)),
        ("cty", json!("JSON")),
        ("cty", json!(null)),
        ("alg", json!(null)),
        ("enc", json!(1)),
        ("kid", json!("unknown")),
        ("kid", json!(1)),
        ("kid", json!(null)),
        // The key of this kid has another length.
        ("kid", json!("other")),
    ] {
        refused.push((format!("{name} {value}"), good().with(name, value).text()));
    }
    for key in [0, 1, 255, 257] {
        refused.push((format!("a key of {key} bytes"), Sealed { key: vec![7; key], ..good() }.text()));
    }
    for iv in [0, 11, 13, 16] {
        refused.push((format!("an iv of {iv} bytes"), Sealed { iv: vec![1; iv], ..good() }.text()));
    }
    for tag in [0, 4, 12, 15, 17] {
        refused.push((format!("a tag of {tag} bytes"), Sealed { tag: vec![2; tag], ..good() }.text()));
    }
    refused.push(("no content".into(), Sealed { content: Vec::new(), ..good() }.text()));
    refused.push(("padding".into(), format!("{}=", good().text())));
    refused.push(("no header".into(), good().text().split_once('.').map(|(_, rest)| format!(".{rest}")).unwrap()));
    refused.push(("a name twice".into(), {
        let header = good().header.to_string().replace("{", "{\"kid\":\"b\",");
        good().text().replacen(
            &base64url::encode(good().header.to_string().as_bytes()),
            &base64url::encode(header.as_bytes()),
            1,
        )
    }));
    let asked = || host.seen().decryptions.len();
    for (what, text) in &refused {
        assert_eq!(outcome(&gateway, &host, text), "decryption_failed", "{what}");
    }
    assert_eq!(asked(), 0, "nothing of this reaches a key");
    let altered = Sealed { tag: vec![3; 16], ..good() };
    let answer =
        |text: &str| match handle(&gateway, &host, "GET", "/api/x", &[("authorization", &format!("Bearer {text}"))]) {
            Answer::Reply(reply) => (reply.body, reply.headers),
            Answer::Forward(_) => panic!(),
        };
    assert_eq!(answer(&altered.text()), answer(&refused[0].1));
    let not_text = Sealed { content: vec![0xff; 300], ..good() };
    assert_eq!(answer(&not_text.text()), answer(&refused[0].1));
    assert_eq!(asked(), 2);
    let large = Sealed::of(&"x".repeat(13_000)).text();
    assert_eq!(outcome(&gateway, &host, &large), "token_too_large");
    assert!(host.seen().lines.is_empty());
}

#[test]
fn without_keys_an_encrypted_token_has_a_code_of_its_own() {
    let gateway = crate::gateway(&config());
    assert_eq!(outcome(&gateway, &host(), &Sealed::of(&token().text()).text()), "token_encrypted");
}

#[test]
fn a_single_key_needs_no_kid_and_a_key_may_be_for_sha1_if_it_says_so() {
    let host = host();
    let inner = token().text();
    let single = crate::gateway(&with_keys(&json!([{ "key": KEY }])));
    assert_eq!(outcome(&single, &host, &Sealed::of(&inner).with("kid", json!(null)).text()), "forwarded");
    assert_eq!(outcome(&single, &host, &Sealed::of(&inner).text()), "decryption_failed", "another kid");
    let sha1 = crate::gateway(&with_keys(&json!([{ "key": KEY, "kid": "b", "alg": "RSA-OAEP" }])));
    let old = Sealed::of(&inner).with("alg", json!("RSA-OAEP"));
    assert_eq!(outcome(&sha1, &host, &old.text()), "forwarded");
    assert_eq!(outcome(&sha1, &host, &Sealed::of(&inner).text()), "decryption_failed", "for nothing else");
}

#[test]
fn a_token_is_decrypted_once_and_only_if_it_is_genuine() {
    let (gateway, host) = (gateway(), host());
    let genuine = Sealed::of(&token().text()).text();
    for _ in 0..3 {
        assert_eq!(outcome(&gateway, &host, &genuine), "forwarded");
    }
    assert_eq!(host.seen().decryptions.len(), 1);
    // Another encryption of the same token is another text.
    let again = Sealed { iv: vec![9; 12], ..Sealed::of(&token().text()) }.text();
    assert_eq!(outcome(&gateway, &host, &again), "forwarded");
    assert_eq!(host.seen().decryptions.len(), 2);
    let forged = Sealed::of(&token().signed_by(key_b()).header("kid", key_a().kid).text()).text();
    for _ in 0..2 {
        assert_eq!(outcome(&gateway, &host, &forged), "signature_invalid");
    }
    assert_eq!(host.seen().decryptions.len(), 4);
    host.sleep_s(4000);
    assert_eq!(outcome(&gateway, &host, &genuine), "token_expired", "the content expires as ever");
}

#[test]
fn a_token_is_decrypted_up_to_the_limit_of_its_size() {
    let (gateway, host) = (gateway(), host());
    let of_size = |size: usize| {
        let padded = |in_header: usize, content: usize| {
            Sealed::of(&"x".repeat(content)).with("iss", json!("x".repeat(in_header))).text()
        };
        let room = (size - padded(0, 0).len()) * 3 / 4;
        // Base64url leaves some lengths of one part out.
        let lengths = (0..4).flat_map(|in_header| (room - 8..room + 8).map(move |content| (in_header, content)));
        lengths.map(|(in_header, content)| padded(in_header, content)).find(|text| text.len() == size).unwrap()
    };
    assert_eq!(outcome(&gateway, &host, &of_size(limits::MAX_TOKEN_BYTES)), "token_malformed");
    assert_eq!(host.seen().decryptions.len(), 1);
    assert_eq!(outcome(&gateway, &host, &of_size(limits::MAX_TOKEN_BYTES + 1)), "token_too_large");
    assert_eq!(host.seen().decryptions.len(), 1);
}

fn verifier() -> Verifier {
    let key = DecryptionKey::parse(KEY, Some("b"), None).unwrap();
    Verifier::new(access_policy(), KeyCache::fixed(ISSUER, key_a().set())).decrypt_with(vec![key])
}

#[test]
fn without_a_cache_a_token_is_decrypted_each_time() {
    let text = Sealed::of(&token().text()).text();
    for (verifier, expected) in [(verifier(), 1), (verifier().cache_entries(0), 2), (verifier().cache_entries(8), 1)] {
        let host = host();
        for _ in 0..2 {
            assert!(host.run(verifier.verify(&text, &host)).is_ok());
        }
        assert_eq!(host.seen().decryptions.len(), expected);
    }
}

#[test]
fn calls_that_do_not_wait_know_the_tokens_that_were_decrypted_before() {
    let (verifier, host) = (verifier(), host());
    let text = Sealed::of(&token().text()).text();
    assert!(verifier.verify_if_ready(&text, &host).is_none());
    let refusal = VerificationError::Refused(VerifyError::AsyncRequired { algorithm: None });
    assert_eq!(verifier.verify_now(&text, &host).and_then(Result::err), Some(refusal));
    assert!(!verifier.has_cached(&text));
    assert_eq!(verifier.stable_period(&text, host.now()), None);
    assert!(host.run(verifier.verify(&text, &host)).is_ok());
    assert!(matches!(verifier.verify_if_ready(&text, &host), Some(Ok(_))));
    assert!(matches!(verifier.verify_now(&text, &host), Some(Ok(_))));
    assert!(verifier.has_cached(&text));
    assert!(verifier.stable_period(&text, host.now()).is_some());
    assert_eq!(host.seen().decryptions.len(), 1);
}

#[test]
fn what_the_platform_cannot_do_is_logged_and_no_fault_of_the_token() {
    let gateway = gateway();
    let host = VirtualHost::default();
    let text = Sealed::of(&token().text()).text();
    // 503: a client would discard a good token.
    assert_eq!(outcome(&gateway, &host, &text), "algorithm_unsupported");
    host.decrypt(|_| Err(DecryptError::KeyRefused));
    assert_eq!(outcome(&gateway, &host, &text), "algorithm_unsupported");
    let lines: Vec<String> = host.seen().lines.iter().map(|(_, line)| line.clone()).collect();
    assert_eq!(
        lines,
        [
            "decryption_unavailable: the platform cannot decrypt: check authorizer.decryption_keys",
            "decryption_unavailable: the platform refuses the private key: check authorizer.decryption_keys",
        ]
    );
}

#[test]
fn keys_are_read_like_those_that_sign_but_for_their_use() {
    let jwk: Value = {
        let vector: Value = serde_json::from_str(include_str!("../vectors/data/rfc7516.json")).unwrap();
        vector["key"].clone()
    };
    let with = |name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        jwk.to_string()
    };
    let parse = |text: &str| DecryptionKey::parse(text, None, None);
    for text in [
        jwk.to_string(),
        with("use", json!("enc")),
        with("key_ops", json!(["decrypt"])),
        with("key_ops", json!(["unwrapKey"])),
        with("alg", json!("RSA-OAEP-512")),
    ] {
        assert!(parse(&text).is_ok(), "{text}");
    }
    assert_eq!(parse(&with("kid", json!("mine"))).unwrap().kid(), "mine");
    assert_eq!(DecryptionKey::parse(&with("kid", json!("mine")), Some("theirs"), None).unwrap().kid(), "theirs");
    let shown = format!("{:?}", parse(&jwk.to_string()).unwrap());
    assert!(!shown.contains(jwk["d"].as_str().unwrap()), "{shown}");
    let not_for = "is not for decryption by its use, key_ops or alg";
    for (text, message) in [
        (with("use", json!("sig")), not_for),
        (with("key_ops", json!(["sign"])), not_for),
        (with("alg", json!("RS256")), not_for),
        (with("alg", json!("RSA1_5")), not_for),
        (with("d", json!(null)), "lacks its public part or, of RSA, the primes"),
        ("{".into(), "is no private key"),
        ("x".into(), "is no private key"),
        (include_str!("../keys/p256.pem").into(), "must be an RSA key"),
        (include_str!("../keys/rsa1024.pem").into(), "is not usable"),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(error.starts_with(message), "{error}");
    }
    assert_eq!(DecryptionKey::parse(&with("alg", json!("RSA-OAEP-384")), None, Some("RSA-OAEP")).unwrap_err(), not_for);
}

#[test]
fn problems_of_the_configuration() {
    let problem = |keys: Value| compile(&with_keys(&keys).to_string(), &|_| None).unwrap_err()[0].to_string();
    let place = "error at authorizer.decryption_keys";
    assert_eq!(problem(json!([])), format!("{place}: must not be empty"));
    assert!(problem(json!([{ "kid": "a" }])).starts_with(&format!("{place}[0].key: is missing")));
    assert_eq!(
        problem(json!([{ "key": "SECRET" }])).split(':').next(),
        Some("error at authorizer.decryption_keys[0].key")
    );
    assert!(!problem(json!([{ "key": "SECRET" }])).contains("SECRET"));
    assert!(problem(json!([{ "key": KEY, "alg": "RSA1_5" }])).starts_with(&format!("{place}[0].alg: ")));
    let twice = json!([{ "key": KEY, "kid": "a" }, { "key": OTHER_KEY, "kid": "a" }]);
    assert_eq!(problem(twice), format!("{place}[1]: has the same kid as another key"));
}
