//! Identity tokens for origins: what they state, when they are sent, for how long, and the keys that verify them.

use edgeward::gateway::{Answer, compile};
use edgeward::host::Host as _;
use edgeward::jwk::JwkSet;
use edgeward::jwt::{Algorithm, Policy};
use serde_json::{Value, json};
use support::host::VirtualHost;
use support::{ISSUER, Mint, NOW};

use crate::{Headers, Login, bearer, code, config, forward, gateway, handle, reply, token};

const KEY: &str = include_str!("../keys/rsa2048-b.pem");
const NEXT_KEY: &str = include_str!("../keys/rsa2048-c.pem");
const EC_KEY: &str = include_str!("../keys/p256.pem");

fn with_identity(changes: &Value) -> Value {
    let mut config = config();
    config["identity_token"] =
        json!({ "issuer": "https://app.example.com", "audience": "origins", "private_key": KEY });
    for (name, value) in changes.as_object().unwrap() {
        config["identity_token"][name] = value.clone();
    }
    let routes = config["paths"].as_array_mut().unwrap();
    routes.push(json!({ "method": "GET", "path": "/jwks", "integration": { "type": "jwks" } }));
    routes.push(json!({ "method": "GET", "path": "/seen", "observe": true, "integration": {
        "type": "http_proxy", "url": "https://origin.example" } }));
    config
}

/// Returns the identity that the origin gets, verified with the published keys.
fn identity_on(
    gateway: &edgeward::gateway::Gateway,
    host: &VirtualHost,
    path: &str,
    headers: Headers<'_>,
) -> (String, Value) {
    let Answer::Forward(forward) = handle(gateway, host, "GET", path, headers) else { panic!("{path}") };
    let sent: Vec<&String> =
        forward.set.iter().filter(|(name, _)| name == "x-identity-token").map(|(_, value)| value).collect();
    let [text] = sent[..] else { panic!("{path}: {} tokens", sent.len()) };
    let keys = JwkSet::parse(reply(gateway, "GET", "/jwks", &[]).body.as_bytes()).unwrap();
    let policy = Policy::access_token("https://app.example.com", ["origins"], &[Algorithm::Rs256]).unwrap();
    let verified = policy.verify(text, &keys, host.now()).unwrap();
    (text.clone(), serde_json::from_str(verified.claims().as_json()).unwrap())
}

fn identity(gateway: &edgeward::gateway::Gateway, path: &str, headers: Headers<'_>) -> Value {
    identity_on(gateway, &VirtualHost::default(), path, headers).1
}

fn rich() -> Mint {
    token()
        .claim("permissions", json!(["read:a", "write:a"]))
        .claim("org_id", "org_1")
        .claim("org_name", "acme")
        .claim("client_id", "app")
        .claim("acr", "urn:mfa")
        .claim("auth_time", NOW - 5)
        .claim("realm", json!({ "roles": { "editor": true, "admin": null, "viewer": {} } }))
        .claim("email", "a@example.com")
}

#[test]
fn a_token_says_who_calls_and_how() {
    let mut config = with_identity(&json!({}));
    config["authorizer"]["roles_claim"] = json!(["realm", "roles"]);
    let gateway = gateway(&config);
    let mut stated = identity(&gateway, "/api/x", &[("authorization", &bearer(&rich()))]);
    let jti = stated.as_object_mut().unwrap().remove("jti").unwrap();
    assert_eq!(jti.as_str().unwrap().len(), 22);
    let subject: Value = serde_json::from_slice(&rich().claims_bytes()).unwrap();
    assert_eq!(
        stated,
        json!({
            "iss": "https://app.example.com", "aud": "origins", "iat": NOW, "exp": NOW + 60, "auth": "bearer",
            "sub": subject["sub"], "idp": ISSUER, "client_id": "app", "scope": subject["scope"],
            "permissions": ["read:a", "write:a"], "org_id": "org_1", "org_name": "acme", "acr": "urn:mfa",
            "auth_time": NOW - 5, "roles": ["editor", "viewer"]
        })
    );
    let plain = token().without("scope").claim("permissions", json!(null)).claim("realm", json!({ "roles": "one" }));
    let stated = identity(&gateway, "/private-service/x", &[("authorization", &bearer(&plain))]);
    assert_eq!((&stated["roles"], &stated["auth"]), (&json!(["one"]), &json!("bearer")));
    for absent in ["scope", "permissions", "org_id", "acr"] {
        assert_eq!(stated.get(absent), None, "{absent}");
    }
    let stated = identity(&gateway, "/api/x", &[("cookie", &Login::new().cookie())]);
    assert_eq!((&stated["sub"], &stated["auth"]), (&json!("auth0|1"), &json!("session")));
    // Headers of the route are set beside it.
    let sent = forward(&gateway, "GET", "/api/x", &[("authorization", &bearer(&rich()))]);
    assert!(sent.set.iter().any(|(name, value)| name == "X-Tenant" && value == "gold"));
}

#[test]
fn only_authenticated_requests_have_one_and_that_of_a_client_is_removed_on_every_branch() {
    let gateway = gateway(&with_identity(&json!({})));
    let bearer = bearer(&token());
    let forged = ("x-identity-token", "forged");
    for path in ["/open/x", "/maybe/x", "/kept-open/x", "/service/x", "/seen"] {
        let forward = forward(&gateway, "GET", path, &[forged]);
        assert!(!forward.set.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-identity-token")), "{path}");
        for spelling in ["x-identity-token", "X-Identity-Token", "X_Identity_Token", "x-identity_token"] {
            assert!(forward.drops(spelling), "{path} {spelling}");
        }
    }
    for path in ["/maybe/x", "/api/x", "/kept/x", "/private-service/x", "/seen"] {
        let forward = forward(&gateway, "GET", path, &[("authorization", &bearer), forged]);
        assert_eq!(forward.set.iter().filter(|(name, _)| name == "x-identity-token").count(), 1, "{path}");
        assert!(forward.drops("x_identity_token"));
    }
    let other = crate::gateway(&with_identity(&json!({ "header": "X-Caller" })));
    let forward = forward(&other, "GET", "/api/x", &[("authorization", &bearer)]);
    assert!(forward.drops("x_caller") && forward.set.iter().any(|(name, _)| name == "x-caller"));
}

#[test]
fn a_caller_gets_the_same_token_for_half_of_its_lifetime() {
    let gateway = gateway(&with_identity(&json!({})));
    let host = VirtualHost::default();
    let (one, other) = (bearer(&token()), bearer(&token().claim("sub", "other")));
    let of = |headers: Headers<'_>| identity_on(&gateway, &host, "/api/x", headers);
    let (first, _) = of(&[("authorization", &one)]);
    let (foreign, stated) = of(&[("authorization", &other)]);
    assert!(first != foreign && stated["sub"] == "other");
    let cookie = Login::new().cookie();
    assert_eq!(of(&[("cookie", &cookie)]).1["auth"], "session");
    host.sleep_s(29);
    assert_eq!(of(&[("authorization", &one)]).0, first);
    host.sleep_s(1);
    let (second, stated) = of(&[("authorization", &one)]);
    assert!(second != first && stated["exp"] == NOW + 90, "{stated}");
    // A clock that is set back makes no token last longer.
    host.sleep_ms(-20_000);
    let (third, stated) = of(&[("authorization", &one)]);
    assert!(third != second && stated["exp"] == NOW + 70, "{stated}");
}

#[test]
fn a_token_does_not_outlive_the_bearer_token_that_it_stands_for() {
    let gateway = gateway(&with_identity(&json!({ "ttl_s": 900 })));
    let host = VirtualHost::default();
    let brief = bearer(&token().claim("exp", NOW + 20));
    let of = |bearer: &str| identity_on(&gateway, &host, "/api/x", &[("authorization", bearer)]);
    let (first, stated) = of(&brief);
    assert_eq!(stated["exp"], NOW + 20);
    host.sleep_s(19);
    assert_eq!(of(&brief).0, first);
    // Accepted within the tolerated difference between clocks.
    host.sleep_s(3);
    assert_eq!(of(&brief).1["exp"], NOW + 23);
}

#[test]
fn a_token_does_not_outlive_the_rights_of_the_session_that_it_states() {
    let gateway = gateway(&with_identity(&json!({ "ttl_s": 900 })));
    let host = VirtualHost::default();
    let with_rights = |until: i64| {
        let rights = json!({ "exp": until, "scope": "read:items" });
        Login::new().with("at_exp", until).with("rights", rights).cookie()
    };
    let of = |cookie: &str| identity_on(&gateway, &host, "/maybe/x", &[("cookie", cookie)]);
    let (long, brief) = (with_rights(NOW + 500), with_rights(NOW + 20));
    let (other, stated) = of(&long);
    assert_eq!((&stated["exp"], &stated["scope"]), (&json!(NOW + 500), &json!("read:items")));
    let (first, stated) = of(&brief);
    assert_eq!((&stated["exp"], &stated["scope"]), (&json!(NOW + 20), &json!("read:items")));
    host.sleep_s(19);
    assert!(of(&brief).0 == first && of(&long).0 == other, "two sessions of one user");
    // Without rights, it lasts as long as any other.
    let (_, stated) = of(&Login::new().cookie());
    assert_eq!((&stated["exp"], stated.get("scope")), (&json!(NOW + 919), None));
}

#[test]
fn the_first_key_signs_and_all_are_published() {
    let gateway = |keys: Value| gateway(&with_identity(&json!({ "private_key": keys })));
    let (before, after) = (gateway(json!([KEY, NEXT_KEY, EC_KEY])), gateway(json!([NEXT_KEY, KEY])));
    let published = reply(&before, "GET", "/jwks", &[]);
    assert_eq!(published.header("content-type"), Some("application/jwk-set+json"));
    assert_eq!(published.header("cache-control"), Some("public, max-age=300"));
    let keys = serde_json::from_str::<Value>(&published.body).unwrap();
    let of = |name: &str| keys["keys"].as_array().unwrap().iter().map(|key| key[name].clone()).collect::<Vec<_>>();
    assert_eq!((of("alg"), of("use")), (vec![json!("RS256"), json!("RS256"), json!("ES256")], vec![json!("sig"); 3]));
    assert!(of("d").iter().chain(&of("p")).all(Value::is_null), "no private member");
    assert_eq!(reply(&before, "HEAD", "/jwks", &[]).status, 200);
    let header = bearer(&token());
    let signed_by = |gateway: &edgeward::gateway::Gateway| {
        let (text, _) = identity_on(gateway, &VirtualHost::default(), "/api/x", &[("authorization", &header)]);
        let header = edgeward::base64url::decode(text.split('.').next().unwrap().as_bytes()).unwrap();
        serde_json::from_slice::<Value>(&header).unwrap()
    };
    assert_eq!(signed_by(&before), json!({ "alg": "RS256", "typ": "JWT", "kid": of("kid")[0] }));
    assert_eq!(signed_by(&after)["kid"], of("kid")[1]);
    let mut private = with_identity(&json!({}));
    private["paths"].as_array_mut().unwrap().iter_mut().for_each(|route| {
        if route["path"] == "/jwks" {
            route["auth"] = "required".into();
        }
    });
    let private = crate::gateway(&private);
    assert_eq!(reply(&private, "GET", "/jwks", &[]).status, 401);
    let published = reply(&private, "GET", "/jwks", &[("authorization", &header)]);
    assert_eq!((published.status, published.header("cache-control")), (200, Some("private, no-store")));
}

#[test]
fn nothing_is_forwarded_if_the_platform_cannot_sign() {
    // This host signs with RSA keys only.
    let gateway = gateway(&with_identity(&json!({ "private_key": EC_KEY })));
    let host = VirtualHost::default();
    let Answer::Reply(refused) = handle(&gateway, &host, "GET", "/api/x", &[("authorization", &bearer(&token()))])
    else {
        panic!()
    };
    assert_eq!((refused.status, code(&refused)), (503, "identity_unavailable".into()));
    let lines: Vec<String> = host.seen().lines.iter().map(|(_, line)| line.clone()).collect();
    assert_eq!(
        lines,
        ["identity_unavailable: the platform cannot sign with this algorithm: check identity_token.private_key"]
    );
    assert!(!format!("{gateway:?}").contains("\"d\""));
    assert!(matches!(handle(&gateway, &host, "GET", "/maybe/x", &[]), Answer::Forward(_)), "without a caller");
}

#[test]
fn problems_of_the_configuration() {
    let problems = |config: &Value| {
        let problems = compile(&config.to_string(), &|_| None).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let of = |changes: Value| problems(&with_identity(&changes));
    let key = "error at identity_token.private_key: ";
    for (value, message) in [
        (json!([]), "must not be empty"),
        (json!("-----BEGIN RSA PRIVATE KEY-----\nSECRET"), "must be PKCS#8 (BEGIN PRIVATE KEY)"),
        (json!("SECRET"), "is no private key"),
        (json!([KEY, KEY]), "has two keys with the same kid"),
        (json!(include_str!("../keys/ed25519.pem")), "lacks its public part"),
        (json!(include_str!("../keys/p384.pem")), "must be a P-256 key, for ES256, or an RSA key, for RS256"),
        (json!(include_str!("../keys/rsa1024.pem")), "is not usable"),
    ] {
        let found = of(json!({ "private_key": value }));
        assert!(found.starts_with(&format!("{key}{message}")) && !found.contains("SECRET"), "{found}");
    }
    for header in ["", "a b", "Authorization", "Cookie", "Host", "Connection", "DPoP", "X_Forwarded-Prefix"] {
        assert!(of(json!({ "header": header })).starts_with("error at identity_token.header: must"), "{header}");
    }
    assert!(of(json!({ "ttl_s": 19 })).contains("identity_token.ttl_s: must be a whole number from 20 to 900"));
    let mut missing = with_identity(&json!({}));
    missing.as_object_mut().unwrap().remove("identity_token");
    assert!(problems(&missing).ends_with("\nerror at identity_token: is missing, and a route publishes its keys"));
    let public = json!({
        "identity_token": { "issuer": "a", "audience": "b", "private_key": KEY },
        "paths": [{ "method": "GET", "path": "/jwks", "integration": { "type": "jwks" } }]
    });
    assert_eq!(problems(&public), "error at identity_token: needs an authorizer, which verifies who calls");
}
