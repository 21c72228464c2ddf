//! `authorizer.issuers`: further issuers, each with rules of its own.

use edgeward::gateway::compile;
use serde_json::{Value, json};
use support::host::VirtualHost;
use support::{Mint, key_a, key_b, set_text};

use crate::{AUDIENCE, ISSUER, code, gateway, handle, reply};

const CI: &str = "https://ci.example.com/";
const PLAIN: &str = "https://plain.example.com/";

fn keys_b() -> Value {
    serde_json::from_str(&set_text([key_b().jwk()])).unwrap()
}

fn config() -> Value {
    json!({
        "authorizer": {
            "type": "oidc", "issuer": ISSUER, "audience": AUDIENCE, "jwks": crate::keys(), "roles_claim": "roles",
            "algorithms": ["RS256"],
            "issuers": [
                { "issuer": CI, "jwks": keys_b(), "audience": "ci", "clients": "robot", "roles_claim": ["access", "roles"],
                  "algorithms": "PS256" },
                { "issuer": PLAIN, "jwks": keys_b() },
                { "issuer": "https://none.example.com/", "jwks": keys_b(), "audience": false, "clients": ["web"] }
            ]
        },
        "paths": [
            { "method": "GET", "path": "/api", "integration": { "type": "respond" } },
            { "method": "GET", "path": "/admin", "roles": ["admin"], "integration": { "type": "respond" } }
        ]
    })
}

fn outcome(token: &Mint, path: &str) -> (u16, String) {
    let gateway = gateway(&config());
    let reply = reply(&gateway, "GET", path, &[("authorization", &crate::bearer(token))]);
    (reply.status, if reply.status == 200 { String::new() } else { code(&reply) })
}

fn of(issuer: &str) -> Mint {
    Mint::access(if issuer == ISSUER { key_a() } else { key_b() }).claim("iss", issuer)
}

fn ci() -> Mint {
    of(CI).claim("aud", "ci").claim("client_id", "robot").algorithm(edgeward::jwt::Algorithm::Ps256)
}

#[test]
fn each_issuer_has_its_own_rules_and_never_those_of_another() {
    let none = || of("https://none.example.com/").without("aud").claim("client_id", "web");
    for (token, expected) in [
        (of(ISSUER), (200, "")),
        (ci(), (200, "")),
        (of(PLAIN), (200, "")),
        (none(), (200, "")),
        (ci().claim("aud", AUDIENCE), (401, "audience_mismatch")),
        (of(ISSUER).claim("aud", "ci"), (401, "audience_mismatch")),
        (of(PLAIN).claim("aud", "ci"), (401, "audience_mismatch")),
        (none().claim("aud", AUDIENCE), (401, "audience_mismatch")),
        (of(PLAIN).without("aud"), (401, "claim_missing")),
        (ci().claim("client_id", "web"), (403, "client_not_allowed")),
        (none().claim("client_id", "robot"), (403, "client_not_allowed")),
        (of(PLAIN).claim("client_id", "robot"), (200, "")),
        (of(CI).claim("aud", "ci").claim("client_id", "robot"), (401, "alg_not_allowed")),
        (of(ISSUER).algorithm(edgeward::jwt::Algorithm::Ps256), (401, "alg_not_allowed")),
        (of(ISSUER).signed_by(key_b()).header("kid", key_a().kid), (401, "signature_invalid")),
    ] {
        let (status, code) = outcome(&token, "/api");
        assert_eq!((status, code.as_str()), expected, "{}", String::from_utf8_lossy(&token.claims_bytes()));
    }
}

#[test]
fn roles_are_read_from_the_claim_of_the_issuer() {
    let nested = json!({ "roles": ["admin"] });
    for (token, expected) in [
        (of(ISSUER).claim("roles", json!(["admin"])), (200, "")),
        (of(PLAIN).claim("roles", json!(["admin"])), (200, "")),
        (ci().claim("access", nested.clone()), (200, "")),
        (ci().claim("roles", json!(["admin"])), (403, "role_missing")),
        (of(ISSUER).claim("access", nested.clone()), (403, "role_missing")),
        (of(PLAIN).claim("access", nested), (403, "role_missing")),
    ] {
        let (status, code) = outcome(&token, "/admin");
        let claims = String::from_utf8_lossy(&token.claims_bytes()).into_owned();
        assert_eq!(status, expected.0, "{claims}");
        assert!(expected.0 == 200 || code.contains("role"), "{code} {claims}");
    }
}

#[test]
fn an_unknown_issuer_causes_no_fetch() {
    let issuer = |n: usize| json!({ "issuer": format!("https://issuer-{n}.example.com/") });
    let mut config = config();
    config["authorizer"]["issuers"] = (0..999).map(issuer).collect();
    config["authorizer"].as_object_mut().unwrap().remove("jwks");
    let (gateway, host) = (gateway(&config), VirtualHost::default());
    for unknown in ["https://issuer-999.example.com/", "https://issuer-1.example.com", "https://evil.example/", ""] {
        let authorization = crate::bearer(&Mint::access(key_a()).claim("iss", unknown));
        let answer = handle(&gateway, &host, "GET", "/api", &[("authorization", &authorization)]);
        let edgeward::gateway::Answer::Reply(reply) = answer else { panic!() };
        assert_eq!((reply.status, code(&reply).as_str()), (401, "issuer_mismatch"), "{unknown}");
        assert!(host.seen().sent.is_empty() && host.seen().edge_asked.is_empty());
    }
    let authorization = crate::bearer(&Mint::access(key_a()).claim("iss", "https://issuer-7.example.com/"));
    handle(&gateway, &host, "GET", "/api", &[("authorization", &authorization)]);
    let urls: Vec<String> = host.seen().sent.iter().map(|sent| sent.request.url.clone()).collect();
    assert!(!urls.is_empty() && urls.iter().all(|url| url.starts_with("https://issuer-7.example.com/")), "{urls:?}");
}

#[test]
fn an_issuer_from_which_nothing_is_fetched_may_be_any_text() {
    const FURTHER: &str = "kubernetes/serviceaccount";
    for issuer in ["acme.com", "my-project", "http://adfs.example.com/adfs/services/trust", "urn:acme:issuer"] {
        let mut config = config();
        config["authorizer"]["issuer"] = json!(issuer);
        config["authorizer"]["issuers"] = json!([{ "issuer": FURTHER, "jwks": keys_b() }]);
        let both = gateway(&config);
        let status = |token: &Mint| reply(&both, "GET", "/api", &[("authorization", &crate::bearer(token))]).status;
        assert_eq!(status(&Mint::access(key_a()).claim("iss", issuer)), 200, "{issuer}");
        assert_eq!(status(&Mint::access(key_b()).claim("iss", FURTHER)), 200);
        assert_eq!(status(&Mint::access(key_a()).claim("iss", FURTHER)), 401, "each is bound to its own keys");
        assert_eq!(status(&Mint::access(key_a()).claim("iss", format!("{issuer}/"))), 401);
        // Where its endpoints or keys are looked up, it is a URL.
        for (place, value) in [("client_id", json!("web")), ("jwks", Value::Null)] {
            let mut fetched = config.clone();
            fetched["authorizer"][place] = value;
            let fetched = if place == "jwks" { without(fetched, place) } else { fetched };
            let problems = compile(&fetched.to_string(), &|_| None).unwrap_err();
            assert!(
                problems.iter().any(|problem| problem.to_string().contains("authorizer.issuer: must")),
                "{problems:?}"
            );
        }
    }
}

fn without(mut config: Value, key: &str) -> Value {
    config["authorizer"].as_object_mut().unwrap().remove(key);
    config
}
