//! What the log says of mistakes in a configuration, word for word. `tests/gateway/problems.txt` holds the expected lines; with
//! `EDGEWARD_WRITE_PROBLEMS=1` it is written anew. The documents themselves are written into the folder that `EDGEWARD_CASES` names, for
//! `tests/npm/check.test.mjs`.

use std::fmt::Write as _;

use edgeward::gateway::compile;
use serde_json::{Value, json};

use crate::SEALING_SECRET;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/gateway/problems.txt");

/// A configuration that serves, without variables.
fn valid() -> Value {
    json!({
        "authorizer": { "type": "oidc", "issuer": "https://login.example.com", "audience": "https://api.example.com" },
        "paths": [
            { "method": "GET", "path": "/api", "integration": { "type": "respond", "body": "yours" } },
            { "method": "GET", "path": "/public", "auth": "none", "integration": { "type": "respond", "body": "open" } }
        ]
    })
}

/// The same with a login.
fn with_login() -> Value {
    let mut config = valid();
    config["authorizer"]["client_id"] = json!("web");
    config["authorizer"]["client_secret"] = json!("secret");
    config["authorizer"]["redirect_uri"] = json!("https://app.example.com/cb");
    config["session"] = json!({ "secrets": SEALING_SECRET });
    let flows = [("/login", "login"), ("/cb", "callback"), ("/logout", "logout")];
    config["paths"]
        .as_array_mut()
        .unwrap()
        .extend(flows.map(|(path, kind)| json!({ "method": "GET", "path": path, "integration": { "type": kind } })));
    config
}

/// `base` with a value at a JSON pointer.
fn at(mut base: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = base.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
    match parent {
        Value::Array(array) => array.insert(name.parse().unwrap(), value),
        _ => parent[name] = value,
    }
    base
}

fn header(value: &str) -> Value {
    at(
        valid(),
        "/paths/0",
        json!({
            "method": "GET", "path": "/x",
            "integration": { "type": "http_proxy", "url": "https://o.example", "headers": { "X-User": value } }
        }),
    )
}

/// A login whose `redirect_uri` is `/cb`, with a callback at another path, and a protected route.
fn unreachable_callback(callback: &str, other: &str) -> Value {
    let mut config = with_login();
    let paths = config["paths"].as_array_mut().unwrap();
    paths.retain(|route| route["integration"]["type"] != "callback");
    paths.extend([
        json!({ "method": "GET", "path": if callback == "/cb/" { "/cb" } else { callback }, "integration": { "type": "callback" } }),
        json!({ "method": "ANY", "path": other, "integration": { "type": "respond" } }),
    ]);
    if callback == "/cb/" {
        config["authorizer"]["redirect_uri"] = json!("https://app.example.com/cb/");
    }
    config
}

/// A route to an origin with these keys.
fn upstream(path: &str, keys: Value) -> Value {
    let mut integration = json!({ "type": "http_proxy", "url": "https://o.example" });
    integration.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    at(valid(), "/paths/0", json!({ "method": "ANY", "path": path, "integration": integration }))
}

/// The same with a client.
fn with_client(config: Value) -> Value {
    at(at(config, "/authorizer/client_id", json!("web")), "/authorizer/client_secret", json!("secret"))
}

/// The same with this authorizer.
fn typed(authorizer: Value) -> Value {
    at(valid(), "/authorizer", authorizer)
}

fn without_audience(mut config: Value) -> Value {
    config["authorizer"].as_object_mut().unwrap().remove("audience");
    config
}

fn resource(section: Value) -> Value {
    at(valid(), "/protected_resource", section)
}

fn pages(section: Value) -> Value {
    at(valid(), "/pages", section)
}

fn token_from(list: Value) -> Value {
    at(with_login(), "/authorizer/token_from", list)
}

fn further(issuer: Value) -> Value {
    at(valid(), "/authorizer/issuers", json!([{ "issuer": "https://ci.example.com" }, issuer]))
}

/// A configuration with two authorizers that serves.
fn with_hosts() -> Value {
    let mut config = with_login();
    let mut a = config.as_object_mut().unwrap().remove("authorizer").unwrap();
    a["redirect_uri"] = json!("https://a.example.com/cb");
    let mut b = a.clone();
    b["redirect_uri"] = json!("https://b.example.com:8443/cb");
    config["authorizers"] = json!({ "a": a, "b": b });
    config["hosts"] = json!({ "a.example.com": { "authorizer": "a" }, "b.example.com": { "authorizer": "b" } });
    config
}

fn without(mut config: Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    config.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    config
}

/// A configuration with a client that asks about opaque tokens.
fn introspecting(section: Value) -> Value {
    let mut config = at(valid(), "/authorizer/introspection", section);
    config["authorizer"]["client_id"] = json!("api");
    config["authorizer"]["client_secret"] = json!("secret");
    config
}

/// The same with the FAPI profile, and a client that contradicts it.
fn fapi(config: Value) -> Value {
    let config =
        at(at(with_client(config), "/authorizer/fapi", json!("fapi2_sp")), "/authorizer/mtls", json!("allowed"));
    let config = at(config, "/authorizer/par", json!(false));
    at(config, "/session", json!({ "secrets": SEALING_SECRET }))
}

/// A configuration with a route that revokes, with these keys.
fn revoking(keys: Value) -> Value {
    let mut route = json!({ "method": "POST", "path": "/revoke", "integration": { "type": "revoke" } });
    route.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    at(valid(), "/paths/0", route)
}

/// A route for back-channel logouts, with these keys.
fn backchannel(keys: Value) -> Value {
    let mut route =
        json!({ "method": "POST", "path": "/backchannel", "integration": { "type": "backchannel_logout" } });
    route.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    route
}

fn body(text: &str) -> Value {
    at(valid(), "/paths/1/integration/body", json!(text))
}

fn method(value: Value) -> Value {
    at(valid(), "/paths/1/method", value)
}

fn everywhere(variable: &str) -> Value {
    let used = format!("$env.{variable}");
    let mut config = with_login();
    for pointer in [
        "/authorizer/audience",
        "/authorizer/issuer",
        "/authorizer/client_id",
        "/authorizer/client_secret",
        "/authorizer/redirect_uri",
        "/session/secrets",
        "/paths/0/path",
        "/paths/1/integration/body",
    ] {
        config = at(config, pointer, json!(used));
    }
    at(config, "/paths/0/scopes", json!(["read:items", used]))
}

const RSA: &str = include_str!("../keys/rsa2048-a.pem");
const P256: &str = include_str!("../keys/p256.pem");
const ED25519: &str = include_str!("../keys/ed25519.pem");

/// A login with these keys of the authorizer.
fn client(keys: &Value) -> Value {
    let mut config = with_login();
    config["authorizer"].as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    config
}

/// A login that authenticates with this key.
fn with_key(key: Value) -> Value {
    without(client(&json!({ "client_auth": "private_key_jwt", "private_key": key })), "/authorizer/client_secret")
}

fn details(entry: Value) -> Value {
    json!({ "authorization_details": [entry] })
}

/// An object with a type, and so many properties.
fn properties(count: usize) -> Value {
    let others = (1..count).map(|number| (format!("p{number}"), json!(true)));
    others.chain([("type".into(), json!("a"))]).collect::<serde_json::Map<_, _>>().into()
}

/// Details that are so long as JSON.
fn of_bytes(len: usize) -> Value {
    let mut details: Vec<Value> = (0..5).map(|_| json!({ "type": "a" })).collect();
    for (entry, number) in (0..5).flat_map(|entry| (0..8).map(move |number| (entry, number))) {
        let missing = len - Value::from(details.clone()).to_string().len();
        if missing > 0 {
            // A property of one letter takes eight more.
            details[entry][format!("p{number}")] = json!("x".repeat((missing.max(8) - 8).min(150)));
        }
    }
    let details = Value::from(details);
    assert_eq!(details.to_string().len(), len);
    details
}

/// Mistakes, by name.
fn mistakes() -> Vec<(&'static str, String)> {
    let object: Vec<(&str, Value)> = vec![
        // Sources of tokens
        ("sources of tokens that are no list", token_from(json!({ "header": "X-Token" }))),
        ("no source of tokens", token_from(json!([]))),
        ("a source that is text", token_from(json!(["Authorization"]))),
        ("a source without a name", token_from(json!([{}]))),
        ("a source of two kinds", token_from(json!([{ "header": "X-Token", "cookie": "token" }]))),
        ("a source of another kind", token_from(json!([{ "query": "token" }]))),
        ("a source that is a list", token_from(json!([{ "header": ["X-Token"] }]))),
        ("a source that is no header name", token_from(json!([{ "header": "X Token" }]))),
        ("a source that is no cookie name", token_from(json!([{ "cookie": "a=b" }]))),
        ("a header of the connection as a source", token_from(json!([{ "header": "Proxy-Authorization" }]))),
        ("the cookie header as a source", token_from(json!([{ "header": "cookie" }]))),
        ("the session cookie as a source", token_from(json!([{ "cookie": "__Host-edgeward" }]))),
        ("a login cookie as a source", token_from(json!([{ "cookie": "__host-edgeward-login-x" }]))),
        (
            "another session cookie as a source",
            at(token_from(json!([{ "cookie": "__Host-s.1" }])), "/session/cookie", json!("__Host-s")),
        ),
        (
            "an identity header as a source",
            at(header("$claims.sub"), "/authorizer/token_from", json!([{ "header": "x_user" }])),
        ),
        (
            "the same source twice",
            token_from(json!([{ "header": "X-Token" }, { "cookie": "a" }, { "header": "x-token" }])),
        ),
        (
            "a resource whose clients cannot send tokens",
            at(
                resource(json!({ "resource": "https://a.example" })),
                "/authorizer/token_from",
                json!([{ "cookie": "a" }]),
            ),
        ),
        // Log and metrics
        ("a level that is no word", at(valid(), "/log", json!({ "level": "warn" }))),
        ("a level that is a number", at(valid(), "/log", json!({ "level": 1 }))),
        ("a sample of none", at(valid(), "/log", json!({ "level": "info", "sample": 0 }))),
        ("a sample beyond the limit", at(valid(), "/log", json!({ "level": "info", "sample": 1_000_001 }))),
        ("a sample that is a share", at(valid(), "/log", json!({ "level": "info", "sample": 0.1 }))),
        ("a log that is text", at(valid(), "/log", json!("info"))),
        ("a level at the top", at(valid(), "/level", json!("info"))),
        ("metrics that are text", at(valid(), "/metrics", json!("EDGEWARD_METRICS"))),
        ("a short secret for Server-Timing", at(valid(), "/metrics", json!({ "server_timing": "short" }))),
        ("a binding that is a number", at(valid(), "/metrics", json!({ "binding": 1 }))),
        // Revocation
        ("a revocation that is text", at(valid(), "/revocation", json!("closed"))),
        ("an outage that is no word", at(valid(), "/revocation", json!({ "fail": "never" }))),
        ("a flag for tokens that is text", at(valid(), "/revocation", json!({ "tokens": "yes" }))),
        ("a lifetime of tokens below the limit", at(valid(), "/revocation", json!({ "token_lifetime_s": 59 }))),
        (
            "a lifetime of tokens beyond the limit",
            at(valid(), "/revocation", json!({ "token_lifetime_s": 31_536_001 })),
        ),
        ("an outage outside its section", at(valid(), "/fail", json!("open"))),
        ("a revocation for everyone", revoking(json!({ "auth": "none" }))),
        ("a revocation for any caller", revoking(json!({}))),
        ("a revocation that is optional", revoking(json!({ "auth": "optional", "scopes": ["revoke"] }))),
        ("a revocation by any method", revoking(json!({ "method": "ANY", "scopes": ["revoke"] }))),
        ("a revocation that observes", revoking(json!({ "observe": true, "scopes": ["revoke"] }))),
        (
            "a revocation with another key",
            revoking(json!({ "scopes": ["revoke"], "integration": { "type": "revoke", "by": "jti" } })),
        ),
        (
            "a revocation of tokens that are not looked up",
            at(revoking(json!({ "permissions": ["revoke"] })), "/revocation", json!({ "tokens": false })),
        ),
        ("a back-channel logout without a login", at(valid(), "/paths/0", backchannel(json!({})))),
        ("a back-channel logout by GET", at(with_login(), "/paths/0", backchannel(json!({ "method": "GET" })))),
        (
            "a back-channel logout with a login",
            at(with_login(), "/paths/0", backchannel(json!({ "auth": "required" }))),
        ),
        // Introspection
        ("an introspection that is a flag", introspecting(json!(true))),
        ("a cache of answers that is too long", introspecting(json!({ "cache_s": 61 }))),
        ("a cache of answers that is negative", introspecting(json!({ "cache_s": -1 }))),
        ("an endpoint that is not secure", introspecting(json!({ "endpoint": "http://login.example.com/introspect" }))),
        ("a signature that is text", introspecting(json!({ "signed": "yes" }))),
        ("an introspection with another key", introspecting(json!({ "cache": 60 }))),
        ("an introspection without a client", at(valid(), "/authorizer/introspection", json!({}))),
        (
            "an introspection by a public client",
            at(
                without(introspecting(json!({})), "/authorizer/client_secret"),
                "/authorizer/client_auth",
                json!("none"),
            ),
        ),
        ("an introspection without an audience", without_audience(introspecting(json!({})))),
        (
            "an introspection at Auth0",
            typed(json!({
                "type": "auth0", "domain": "tenant.us.auth0.com", "audience": "a", "client_id": "c", "client_secret": "s",
                "introspection": {}
            })),
        ),
        // Routes that only observe
        ("a public route that observes", at(valid(), "/paths/1/observe", json!(true))),
        ("a login that observes", at(with_login(), "/paths/2/observe", json!(true))),
        (
            "an observing route that answers about the caller",
            at(
                with_login(),
                "/paths/0",
                json!({ "method": "GET", "path": "/me", "observe": true, "integration": { "type": "claims" } }),
            ),
        ),
        ("observing that is text", at(valid(), "/paths/0/observe", json!("true"))),
        ("observing of a misspelt key", at(valid(), "/paths/0/observed", json!(true))),
        // The status route
        ("a public status", at(valid(), "/paths/1/integration", json!({ "type": "status" }))),
        ("a status for every user", at(valid(), "/paths/0/integration", json!({ "type": "status" }))),
        (
            "an observing status",
            at(
                valid(),
                "/paths/0",
                json!({
                    "method": "GET", "path": "/status", "scopes": ["ops"], "observe": true,
                    "integration": { "type": "status" }
                }),
            ),
        ),
        // Rules of issuers
        (
            "a further issuer without an audience or clients",
            further(json!({ "issuer": "https://b.example", "audience": false })),
        ),
        (
            "a further issuer with an audience that is empty",
            further(json!({ "issuer": "https://b.example", "audience": [] })),
        ),
        (
            "a further issuer with an audience where there is none",
            without_audience(at(
                with_login(),
                "/authorizer/issuers",
                json!([{ "issuer": "https://b.example", "audience": "b" }]),
            )),
        ),
        (
            "a further issuer without clients where none has an audience",
            at(
                at(at(valid(), "/authorizer/audience", json!(false)), "/authorizer/clients", json!(["c"])),
                "/authorizer/issuers",
                json!([{ "issuer": "https://b.example", "clients": [] }]),
            ),
        ),
        ("a rule that is a number", at(valid(), "/paths/0/claims", json!({ "tier": 3 }))),
        (
            "a further issuer with an algorithm that is none",
            further(json!({ "issuer": "https://b.example", "algorithms": "none" })),
        ),
        (
            "a further issuer with clients that are no list",
            further(json!({ "issuer": "https://b.example", "clients": {} })),
        ),
        (
            "a further issuer with a claim of roles where there is none",
            further(json!({ "issuer": "https://b.example", "roles_claim": "r" })),
        ),
        // Several authorizers
        ("authorizers without hosts", without(with_hosts(), "/hosts")),
        ("hosts without authorizers", at(valid(), "/hosts", json!({ "a.example.com": { "authorizer": "a" } }))),
        ("one authorizer beside several", at(with_hosts(), "/authorizer", valid()["authorizer"].clone())),
        ("authorizers in a list", at(with_hosts(), "/authorizers", json!([]))),
        ("no authorizers", at(with_hosts(), "/authorizers", json!({}))),
        ("no hosts", at(with_hosts(), "/hosts", json!({}))),
        ("a host that is text", at(with_hosts(), "/hosts/a.example.com", json!("a"))),
        ("a host without an authorizer", at(with_hosts(), "/hosts/a.example.com", json!({}))),
        ("a host with an unknown authorizer", at(with_hosts(), "/hosts/c.example.com", json!({ "authorizer": "A" }))),
        (
            "a host with a scheme as its port",
            at(with_hosts(), "/hosts/c.example.com:https", json!({ "authorizer": "a" })),
        ),
        ("a host with a final dot", at(with_hosts(), "/hosts/c.example.com.", json!({ "authorizer": "a" }))),
        ("a host with a wildcard", at(with_hosts(), "/hosts/*.example.com", json!({ "authorizer": "a" }))),
        ("a host in Unicode", at(with_hosts(), "/hosts/ä.example.com", json!({ "authorizer": "a" }))),
        ("the same host twice", at(with_hosts(), "/hosts/A.example.com", json!({ "authorizer": "b" }))),
        ("an authorizer without a host", at(with_hosts(), "/authorizers/c", valid()["authorizer"].clone())),
        (
            "a redirect to another host",
            at(with_hosts(), "/authorizers/b/redirect_uri", json!("https://a.example.com/cb")),
        ),
        (
            "a redirect to a host of none",
            at(with_hosts(), "/authorizers/b/redirect_uri", json!("https://c.example.com/cb")),
        ),
        ("an authorizer without a redirect", without(with_hosts(), "/authorizers/b/redirect_uri")),
        ("an authorizer without a client", without(with_hosts(), "/authorizers/b/client_id")),
        ("an authorizer without an issuer", without(with_hosts(), "/authorizers/b/issuer")),
        (
            "an authorizer of Auth0 without a domain",
            at(without(with_hosts(), "/authorizers/b/issuer"), "/authorizers/b/type", json!("auth0")),
        ),
        ("an authorizer with a misspelt key", at(with_hosts(), "/authorizers/b/audiense", json!("x"))),
        ("an authorizer that is text", at(with_hosts(), "/authorizers/b", json!("b"))),
        (
            "an authorizer without the claim of roles",
            at(at(with_hosts(), "/authorizers/a/roles_claim", json!("r")), "/paths/0/roles", json!(["x"])),
        ),
        ("a mistake in a route of several authorizers", at(with_hosts(), "/paths/1/path", json!("/api"))),
        (
            "a domain for sessions of several authorizers",
            at(at(with_hosts(), "/session/domain", json!("example.com")), "/session/cookie", json!("__Secure-s")),
        ),
        (
            "a resource on none of the hosts",
            at(with_hosts(), "/protected_resource", json!({ "resource": "https://c.example.com" })),
        ),
        // Client authentication and protected requests
        ("a client without its private key", client(&json!({ "client_auth": "private_key_jwt" }))),
        (
            "a client without its private key, which logs in and asks about tokens",
            client(
                &json!({ "client_auth": "private_key_jwt", "introspection": { "endpoint": "https://login.example.com/introspect" } }),
            ),
        ),
        ("a client without its certificate", client(&json!({ "client_auth": "tls_client_auth" }))),
        ("a private key that is not used", client(&json!({ "private_key": P256, "private_key_alg": "ES256" }))),
        ("a private key that is none", with_key(json!("secret"))),
        ("a private key in another form", with_key(json!(P256.replace("PRIVATE KEY", "EC PRIVATE KEY")))),
        ("a private key that is public", with_key(json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" }))),
        ("a private key that is cut", with_key(json!(P256[..P256.len() / 2]))),
        ("a private key for encryption", with_key(json!({ "kty": "RSA", "use": "enc", "d": "AQAB" }))),
        ("a private key without its public part", with_key(json!(ED25519))),
        ("a private key that is too small", with_key(json!(include_str!("../keys/rsa1024.pem")))),
        ("no private keys", with_key(json!([]))),
        ("private keys of which one is none", with_key(json!([P256, "secret", 7]))),
        ("an algorithm of another key", at(with_key(json!(P256)), "/authorizer/private_key_alg", json!("PS256"))),
        ("an algorithm that no client has", at(with_key(json!(RSA)), "/authorizer/private_key_alg", json!("RS512"))),
        ("a signed request without a key", client(&json!({ "jar": {} }))),
        ("a signed request with several keys", client(&json!({ "jar": { "private_key": [P256, RSA] } }))),
        (
            "a signed request with another algorithm",
            client(&json!({ "jar": { "private_key": RSA, "private_key_alg": "ES256" } })),
        ),
        (
            "a signed request with a parameter that is one of its claims",
            client(
                &json!({ "jar": { "private_key": RSA }, "authorization_params": { "exp": "1", "prompt": "login" } }),
            ),
        ),
        ("pushing that is text", client(&json!({ "par": "true" }))),
        // Authorization details
        ("details that are an object", client(&json!({ "authorization_details": { "type": "a" } }))),
        ("no details", client(&json!({ "authorization_details": [] }))),
        ("six details", client(&json!({ "authorization_details": vec![json!({ "type": "a" }); 6] }))),
        (
            "details without a type",
            client(&json!({ "authorization_details": ["a", {}, { "type": 7 }, { "type": "" }] })),
        ),
        ("details with eleven properties", client(&details(properties(11)))),
        ("details with eleven properties in one", client(&details(json!({ "type": "a", "in": [properties(11)] })))),
        ("details with a long name", client(&details(json!({ "type": "a", "n".repeat(256): 1 })))),
        ("details with a name of other characters", client(&details(json!({ "type": "a", "an amount": 1 })))),
        ("details with a long value", client(&details(json!({ "type": "a", "v": "é".repeat(256) })))),
        ("details with six levels", client(&details(json!({ "type": "a", "b": { "c": [{ "d": { "e": {} } }] } })))),
        ("details of 5121 bytes", client(&json!({ "authorization_details": of_bytes(5121) }))),
        (
            "details twice",
            client(&json!({
                "authorization_details": [{ "type": "a" }],
                "authorization_params": { "authorization_details": "[]" }
            })),
        ),
        // FAPI
        ("a profile of another name", client(&json!({ "fapi": "fapi1_adv" }))),
        ("a profile without anything that it requires", client(&json!({ "fapi": "fapi2_sp" }))),
        (
            "a profile and all that it forbids",
            client(&json!({
                "fapi": "fapi2_sp", "par": false, "mtls_binding": "CERTIFICATE", "algorithms": ["PS256", "RS256"],
                "client_auth": "private_key_jwt", "private_key": RSA, "private_key_alg": "RS256",
                "jar": { "private_key": include_str!("../keys/rsa2048-b.pem"), "private_key_alg": "RS256" },
                "allow_http": ["keys.internal"], "token_from": [{ "header": "X-Token" }],
                "issuers": [{ "issuer": "https://b.example", "algorithms": ["RS256"] }]
            })),
        ),
        (
            "a profile of a client that only obtains tokens for upstreams",
            fapi(upstream("/x", json!({ "upstream_auth": { "m2m": {} } }))),
        ),
        ("a profile of a client that only asks about tokens", fapi(introspecting(json!({})))),
        ("a profile whose routes accept tokens that are not bound", at(valid(), "/authorizer/fapi", json!("fapi2_sp"))),
        // Tokens of the gateway's own client
        ("a key of tokens that is none", client(&json!({ "dpop_key": ["x", RSA.replace("PRIVATE", "PUBLIC")] }))),
        ("no key of tokens", client(&json!({ "dpop_key": [] }))),
        ("a parameter that binds the code", client(&json!({ "authorization_params": { "dpop_jkt": "x" } }))),
        (
            "a key of tokens and two tokens for one upstream",
            at(
                with_client(upstream(
                    "/x",
                    json!({ "upstream_auth": { "m2m": {} }, "headers": { "X-A": "$m2m", "X-B": "$token" } }),
                )),
                "/authorizer/dpop_key",
                json!(P256),
            ),
        ),
        (
            "a profile with a key of tokens that it forbids",
            client(&json!({
                "fapi": "fapi2_sp", "dpop": "allowed", "client_auth": "private_key_jwt", "private_key": P256,
                "dpop_key": include_str!("../keys/p384.pem")
            })),
        ),
        // Bound tokens
        ("a mode of proofs that does not exist", at(valid(), "/authorizer/dpop", json!("on"))),
        ("a mode of certificates that is a boolean", at(valid(), "/authorizer/mtls", json!(true))),
        ("secrets for nonces without proofs", at(valid(), "/authorizer/dpop_nonce_secret", json!("x".repeat(32)))),
        (
            "a short secret for nonces",
            at(at(valid(), "/authorizer/dpop", json!("allowed")), "/authorizer/dpop_nonce_secret", json!(["x"])),
        ),
        (
            "no secret for nonces",
            at(at(valid(), "/authorizer/dpop", json!("allowed")), "/authorizer/dpop_nonce_secret", json!([])),
        ),
        ("tokens in the header of proofs", token_from(json!([{ "header": "Authorization" }, { "header": "DPoP" }]))),
        (
            "proofs where Authorization is not read",
            at(token_from(json!([{ "header": "X-Token" }])), "/authorizer/dpop", json!("allowed")),
        ),
        // Types of providers
        ("an unknown type", at(valid(), "/authorizer/type", json!("octa"))),
        ("no type", json!({ "authorizer": {}, "paths": valid()["paths"] })),
        ("a type without the domain", typed(json!({ "type": "okta", "audience": "a" }))),
        ("a domain that is a URL", typed(json!({ "type": "clerk", "domain": "https://a.example", "clients": "b" }))),
        (
            "a wrong domain where the issuer is given",
            typed(json!({ "type": "okta", "domain": 1, "issuer": "https://a.example", "audience": "a" })),
        ),
        ("a project that is no name", typed(json!({ "type": "firebase", "audience": "a/b" }))),
        ("no project", typed(json!({ "type": "firebase" }))),
        (
            "no team for the keys",
            typed(json!({ "type": "cloudflare_access", "issuer": "https://a.example", "audience": "a" })),
        ),
        ("an application without audience", typed(json!({ "type": "cloudflare_access", "domain": "a.example" }))),
        ("a realm without issuer", typed(json!({ "type": "keycloak", "audience": "a" }))),
        ("a type without clients", typed(json!({ "type": "cognito", "issuer": "https://a.example" }))),
        (
            "a placeholder of another type",
            typed(json!({ "type": "oidc", "issuer": "https://{domain}", "domain": "a.example", "audience": "a" })),
        ),
        ("no tenants", typed(json!({ "type": "entra", "audience": "a" }))),
        ("a tenant's domain", typed(json!({ "type": "entra", "audience": "a", "tenants": "contoso.example" }))),
        (
            "any tenant in a list of ids",
            typed(
                json!({ "type": "entra", "audience": "a", "tenants": ["any", "8f2a1c3e-0b4d-4c6f-9e1a-5d7b2f4c6a80"] }),
            ),
        ),
        ("an empty list of tenants", typed(json!({ "type": "entra", "audience": "a", "tenants": [] }))),
        ("tenants of an issuer without them", at(valid(), "/authorizer/tenants", json!("any"))),
        ("an issuer that serves everyone", typed(json!({ "type": "github_actions", "audience": "a" }))),
        (
            "an issuer that serves everyone, and a rule that anyone meets",
            typed(json!({ "type": "github_actions", "audience": "a", "claims": { "sub": { "prefix": "repo:" } } })),
        ),
        (
            "a further issuer that serves everyone",
            at(valid(), "/authorizer/issuers", json!([{ "issuer": "https://gitlab.com" }])),
        ),
        ("wrong rules on claims", at(valid(), "/authorizer/claims", json!({ "sub": {} }))),
        // Templates
        ("a template of another name", header("$tokens")),
        ("a template in another case", header("$Token")),
        ("a template with text after it", header("$claims.sub suffix")),
        ("a template with text before it", header("user $claims.sub")),
        ("two templates in one value", header("$claims.sub$claims.email")),
        ("a token in another scheme", header("Token $token")),
        ("a bearer token with two spaces", header("Bearer  $token")),
        ("a claim without its name", header("$claims.")),
        ("a claim in parentheses", header("$claims(sub)")),
        ("an unclosed claim name", header("$claims[\"sub\"")),
        ("one claim instead of claims", header("$claim.sub")),
        ("a user instead of claims", header("$user.sub")),
        ("a template where none is read", body("hello $claims.sub")),
        ("a token where none is read", at(valid(), "/authorizer/jwks_uri", json!("https://a.example/$token"))),
        // Forwarding
        ("forwarding headers that are text", upstream("/v1/{*rest}", json!({ "forwarded": "yes" }))),
        ("a timeout that is too short", upstream("/v1/{*rest}", json!({ "timeout_ms": 99 }))),
        ("a timeout in words", upstream("/v1/{*rest}", json!({ "timeout_ms": "2 s" }))),
        ("a prefix without a slash", upstream("/v1/{*rest}", json!({ "strip_prefix": "v1" }))),
        ("a prefix with a slash at its end", upstream("/v1/{*rest}", json!({ "strip_prefix": "/v1/" }))),
        ("a prefix that is the root", upstream("/{*rest}", json!({ "strip_prefix": "/" }))),
        ("a prefix that is encoded", upstream("/v1/{*rest}", json!({ "strip_prefix": "/%761" }))),
        ("a prefix with a dot segment", upstream("/v1/{*rest}", json!({ "strip_prefix": "/v1/.." }))),
        ("a prefix with a query", upstream("/v1/{*rest}", json!({ "strip_prefix": "/v1?x" }))),
        ("a prefix with two slashes", upstream("/v1/{*rest}", json!({ "strip_prefix": "//v1" }))),
        ("a prefix with a parameter", upstream("/v1/{*rest}", json!({ "strip_prefix": "/v1;a" }))),
        ("an empty prefix", upstream("/v1/{*rest}", json!({ "strip_prefix": "" }))),
        ("a prefix beyond ASCII", upstream("/é/{*rest}", json!({ "strip_prefix": "/é" }))),
        ("a prefix that is not the route's", upstream("/v1/{*rest}", json!({ "strip_prefix": "/v" }))),
        ("a prefix longer than the route", upstream("/v1/{*rest}", json!({ "strip_prefix": "/v1/items" }))),
        ("a prefix of a parameter", upstream("/{tenant}/x", json!({ "strip_prefix": "/{tenant}" }))),
        ("a misspelt timeout", upstream("/v1/{*rest}", json!({ "timeout_s": 5 }))),
        // Tokens for upstreams
        ("a token for an upstream that is text", upstream("/x", json!({ "upstream_auth": "m2m" }))),
        ("a token for an upstream of no kind", upstream("/x", json!({ "upstream_auth": {} }))),
        (
            "a token for an upstream of another kind",
            upstream("/x", json!({ "upstream_auth": { "client_credentials": {} } })),
        ),
        (
            "a token for an upstream of two kinds",
            upstream("/x", json!({ "upstream_auth": { "m2m": {}, "exchange": { "audience": "orders" } } })),
        ),
        ("a token for an upstream without a client", upstream("/x", json!({ "upstream_auth": { "m2m": {} } }))),
        (
            "a token for an upstream of a public client",
            at(
                at(upstream("/x", json!({ "upstream_auth": { "m2m": {} } })), "/authorizer/client_id", json!("web")),
                "/authorizer/client_auth",
                json!("none"),
            ),
        ),
        (
            "scopes for an upstream as a list",
            with_client(upstream("/x", json!({ "upstream_auth": { "m2m": { "scope": ["a"] } } }))),
        ),
        (
            "an empty audience of an upstream",
            with_client(upstream("/x", json!({ "upstream_auth": { "m2m": { "audience": "" } } }))),
        ),
        (
            "an exchange without an audience",
            with_client(upstream("/x", json!({ "upstream_auth": { "exchange": { "scope": "a" } } }))),
        ),
        (
            "an exchange for an organization",
            with_client(upstream(
                "/x",
                json!({ "upstream_auth": { "exchange": { "audience": "a", "organization": "b" } } }),
            )),
        ),
        (
            "an exchange without a caller",
            with_client(at(
                upstream("/x", json!({ "upstream_auth": { "exchange": { "audience": "orders" } } })),
                "/paths/0/auth",
                json!("none"),
            )),
        ),
        (
            "a token for an upstream without an authorizer",
            json!({ "paths": [{
                "method": "GET", "path": "/x", "auth": "none",
                "integration": { "type": "http_proxy", "url": "https://o.example", "upstream_auth": { "m2m": {} } }
            }] }),
        ),
        ("$m2m without upstream_auth", header("$m2m")),
        ("$m2m with text after it", header("$m2m suffix")),
        ("a misspelt $m2m", header("$m2")),
        (
            "$m2m in an answer",
            at(
                valid(),
                "/paths/0",
                json!({ "method": "GET", "path": "/x", "integration": { "type": "respond", "headers": { "X-T": "Bearer $m2m" } } }),
            ),
        ),
        (
            "a token for an upstream beside another one",
            with_client(upstream(
                "/x",
                json!({ "upstream_auth": { "m2m": {} }, "headers": { "authorization": "Bearer $token" } }),
            )),
        ),
        (
            "a token for an upstream of a fixed answer",
            at(
                valid(),
                "/paths/0",
                json!({ "method": "GET", "path": "/x", "integration": { "type": "respond", "upstream_auth": { "m2m": {} } } }),
            ),
        ),
        // Placeholders
        (
            "a secret of another tool",
            at(with_login(), "/session/secrets", json!("${secrets.SESSION_SECRET_OF_THE_SITE}")),
        ),
        (
            "a secret of a template",
            at(with_login(), "/session/secrets", json!("{{ secrets.SESSION_SECRET_OF_THE_SITE }}")),
        ),
        ("a secret of a shell", at(with_login(), "/session/secrets", json!("$SESSION_SECRET_OF_THE_WHOLE_SITE"))),
        (
            "a secret of another shell",
            at(with_login(), "/session/secrets", json!("%SESSION_SECRET_OF_THE_WHOLE_SITE%")),
        ),
        (
            "a secret of a program",
            at(with_login(), "/session/secrets", json!("process.env.SESSION_SECRET_OF_THE_SITE")),
        ),
        ("a client's secret of another tool", at(with_login(), "/authorizer/client_secret", json!("${CLIENT_SECRET}"))),
        ("an audience of another tool", at(valid(), "/authorizer/audience", json!(["a", "$API_AUDIENCE"]))),
        ("a header of another tool", header("Key ${secrets.API_KEY}")),
        ("a header with a claim of another tool", header("${claims.sub}")),
        ("a parameter of another tool", at(valid(), "/paths/0/path", json!("/u/<id>"))),
        ("a parameter of a framework", at(valid(), "/paths/0/path", json!("/u/[...id]"))),
        ("a path with a query", at(valid(), "/paths/0/path", json!("/api?x=1"))),
        ("a redirect to a spelling of the callback that another route has", unreachable_callback("/cb/", "/{*rest}")),
        ("a redirect to a parameter that another route shadows", unreachable_callback("/{name}", "/cb")),
        ("a placeholder without a name", body("$env")),
        ("a placeholder with an empty name", body("$secrets.")),
        ("a placeholder of another name", body("$environment.NAME")),
        ("a placeholder in another case", body("$ENV.NAME")),
        ("a misspelt secret", body("$secrts.api_key")),
        ("a missing variable that is used nine times", everywhere("AUTH_VALUE")),
        ("two missing variables in one text", body("$env.A and $secrets.B and $env.A")),
        // Methods
        ("a misspelt method", method(json!("GTE"))),
        ("a misspelt method in a list", method(json!(["GET", "PSOT"]))),
        ("a method that is no method", method(json!("GET, POST"))),
        ("a method that cannot be forwarded", method(json!(["GET", "TRACE"]))),
        ("all methods by another word", method(json!("ALL"))),
        ("a method of the wrong type", method(json!(1))),
        ("no method in the list", method(json!([]))),
        ("a misspelt method in CORS", at(valid(), "/cors", json!({ "allow_origins": "*", "allow_methods": ["GRT"] }))),
        // Pages
        ("a logo on http", pages(json!({ "logo": "http://cdn.example.com/logo.svg" }))),
        ("a logo on another host without a scheme", pages(json!({ "logo": "//cdn.example.com/logo.svg" }))),
        ("a logo with a query", pages(json!({ "logo": "https://cdn.example.com/logo.svg?v=1" }))),
        ("a logo that adds to the policy", pages(json!({ "logo": "https://cdn.example.com/a;script-src" }))),
        ("a logo as a path that adds to the policy", pages(json!({ "logo": "/a,b" }))),
        ("a logo in the text", pages(json!({ "logo": "data:image/png;base64,AAAA" }))),
        ("a colour by name", pages(json!({ "colors": { "accent": "red" } }))),
        ("a colour that adds to the style sheet", pages(json!({ "dark_colors": { "text": "#fff;} body{}" } }))),
        ("a misspelt colour", pages(json!({ "colors": { "acent": "#fff" } }))),
        ("a language with a region", pages(json!({ "language": "de-AT" }))),
        ("a language without texts", pages(json!({ "language": "fr" }))),
        ("texts of no language", pages(json!({ "texts": { "English": { "link.home": "Home" } } }))),
        ("texts without a language", pages(json!({ "texts": { "link.home": "Home" } }))),
        ("a misspelt text", pages(json!({ "texts": { "en": { "not_found.titel": "Gone" } } }))),
        ("an empty text", pages(json!({ "texts": { "en": { "not_found.title": "" } } }))),
        ("the pages inside the login", at(with_login(), "/login", json!({ "colors": {} }))),
        // Wrong nesting
        ("the session inside the authorizer", at(valid(), "/authorizer/session", json!({}))),
        ("the client inside the session", at(valid(), "/session", json!({ "client_id": "x" }))),
        ("the audience at the top", at(valid(), "/audience", json!("x"))),
        ("scopes inside the integration", at(valid(), "/paths/0/integration/scopes", json!(["a"]))),
        ("headers beside the integration", at(valid(), "/paths/0/headers", json!({}))),
        ("an upstream in a fixed answer", at(valid(), "/paths/0/integration/url", json!("https://o.example"))),
        ("CORS inside a route", at(valid(), "/paths/0/allow_origins", json!("*"))),
        ("a key of a login integration", at(with_login(), "/paths/2/integration/url", json!("https://o.example"))),
        // Wrong types
        ("an authorizer that is a list", at(valid(), "/authorizer", json!([]))),
        ("a session that is text", at(with_login(), "/session", json!("secret"))),
        ("an integration that is text", at(valid(), "/paths/0/integration", json!("respond"))),
        ("a route that is a number", at(valid(), "/paths/0", json!(1))),
        ("an issuer that is a number", at(valid(), "/authorizer/issuer", json!(1))),
        ("an audience with a number inside", at(valid(), "/authorizer/audience", json!(["a", 1]))),
        ("further issuers that are no list", at(valid(), "/authorizer/issuers", json!({}))),
        ("a further issuer that is text", at(valid(), "/authorizer/issuers", json!(["https://b.example"]))),
        ("a header that is a number", at(valid(), "/paths/0/integration/headers", json!({ "X-A": 1 }))),
        ("headers that are a list", at(valid(), "/paths/0/integration/headers", json!(["X-A"]))),
        ("a flag that is text", at(valid(), "/authorizer/forward_client_ip", json!("true"))),
        ("userinfo at login as text", at(valid(), "/authorizer/userinfo_at_login", json!("yes"))),
        ("userinfo at login, misspelt", at(valid(), "/authorizer/userinfo_on_login", json!(true))),
        ("a number that is a list", at(valid(), "/authorizer/clock_skew_s", json!([5]))),
        ("an integration whose type is a number", at(valid(), "/paths/0/integration/type", json!(1))),
        (
            "a subject match with one key misspelt",
            at(valid(), "/authorizer/subject_match", json!({ "id_tokn": "sub" })),
        ),
        ("a subject match by a protocol claim", at(valid(), "/authorizer/subject_match", json!({ "id_token": "exp" }))),
        // Rights and claims
        ("rights that are a number", at(valid(), "/paths/0/scopes", json!(1))),
        ("rights without a list", at(valid(), "/paths/0/scopes", json!({}))),
        ("rights with an empty list", at(valid(), "/paths/0/permissions", json!({ "any": [] }))),
        ("rights with a misspelt key", at(valid(), "/paths/0/permissions", json!({ "al": ["a"] }))),
        ("an alternative scope with spaces", at(valid(), "/paths/0/scopes", json!({ "any": ["a b"] }))),
        ("an alternative permission that is reserved", at(valid(), "/paths/0/permissions", json!({ "any": "openid" }))),
        ("alternative roles without a claim", at(valid(), "/paths/0/roles", json!({ "any": ["a"] }))),
        ("a path of no names", at(valid(), "/authorizer/roles_claim", json!([]))),
        ("a path with a number", at(valid(), "/authorizer/roles_claim", json!(["a", 1]))),
        ("rules that are text", at(valid(), "/paths/0/claims", json!("a"))),
        ("no rule", at(valid(), "/paths/0/claims", json!({}))),
        ("no rule in the list", at(valid(), "/paths/0/claims", json!([]))),
        ("a rule that is a number", at(valid(), "/paths/0/claims", json!({ "acr": 1 }))),
        ("a rule that is null", at(valid(), "/paths/0/claims", json!({ "acr": null }))),
        ("a rule without a condition", at(valid(), "/paths/0/claims", json!({ "acr": {} }))),
        ("a rule with an empty list", at(valid(), "/paths/0/claims", json!({ "acr": { "any": [] } }))),
        ("a rule with a misspelt key", at(valid(), "/paths/0/claims", json!({ "acr": { "prefx": "a" } }))),
        (
            "a rule that names its claim twice",
            at(valid(), "/paths/0/claims", json!({ "acr": { "claim": "a", "any": "b" } })),
        ),
        ("a rule in a list without its claim", at(valid(), "/paths/0/claims", json!([{ "any": ["a"] }]))),
        ("a rule on a public route", at(valid(), "/paths/1/claims", json!({ "acr": "a" }))),
        // The login
        ("no value of acr", at(valid(), "/paths/0/acr", json!([]))),
        ("values of acr in one text", at(valid(), "/paths/0/acr", json!("a b"))),
        ("values of acr that are too long", at(valid(), "/paths/0/acr", json!(["a".repeat(257)]))),
        ("a login that is too recent", at(valid(), "/paths/0/max_age", json!(59))),
        ("a login on a public route", at(valid(), "/paths/1/max_age", json!(60))),
        ("a login that links cannot request", {
            let fixed = at(valid(), "/authorizer/authorization_params", json!({ "acr_values": "b", "max_age": "30" }));
            at(at(fixed, "/paths/0/acr", json!("a")), "/paths/0/max_age", json!(60))
        }),
        // Identity for origins, encrypted tokens, organizations, the customer edge
        (
            "an identity token without its keys",
            at(valid(), "/identity_token", json!({ "issuer": "a", "audience": "b" })),
        ),
        ("an identity header that others set", {
            let identity = json!({
                "issuer": "a", "audience": "b", "header": "X-Caller", "private_key": include_str!("../keys/rsa2048-b.pem")
            });
            let m2m =
                json!({ "upstream_auth": { "m2m": {} }, "headers": { "x-caller": "$m2m", "X_Caller": "$claims.sub" } });
            at(with_client(upstream("/x", m2m)), "/identity_token", identity)
        }),
        ("an identity header that holds tokens of clients", {
            let identity = json!({
                "issuer": "a", "audience": "b", "header": "X-Caller", "private_key": include_str!("../keys/rsa2048-b.pem")
            });
            let sources = json!([{ "header": "x--caller" }, { "header": "Authorization" }]);
            at(at(valid(), "/identity_token", identity), "/authorizer/token_from", sources)
        }),
        ("keys that nothing is signed with", {
            at(valid(), "/paths/1", json!({ "method": "GET", "path": "/jwks", "integration": { "type": "jwks" } }))
        }),
        ("a decryption key that is none", at(valid(), "/authorizer/decryption_keys", json!([{ "key": "a" }]))),
        ("decryption keys in a text", at(valid(), "/authorizer/decryption_keys", json!("a"))),
        ("organizations that are true", at(valid(), "/authorizer/organizations", json!(true))),
        ("no organization in the list", at(valid(), "/authorizer/organizations", json!([]))),
        ("no client in the list", at(valid(), "/authorizer/clients", json!([]))),
        ("no client in the list of an issuer", {
            at(valid(), "/authorizer/issuers", json!([{ "issuer": "https://b.example.com", "clients": [] }]))
        }),
        ("no organization in the list of a route", at(valid(), "/paths/0/organizations", json!([]))),
        ("an organization that is a list", {
            at(with_hosts(), "/hosts/a.example.com", json!({ "authorizer": "a", "organization": ["b"] }))
        }),
        (
            "a customer edge at another path",
            at(
                valid(),
                "/paths/1",
                json!({ "method": "GET", "path": "/a", "integration": {
                "type": "customer_edge", "url": "https://edge.example", "api_key": "a" } }),
            ),
        ),
        ("an origin with two wildcards", at(valid(), "/cors", json!({ "allow_origins": "https://*.*.example.com" }))),
        // Audience
        ("no audience, without clients", at(valid(), "/authorizer/audience", json!(false))),
        ("an audience that is true", at(valid(), "/authorizer/audience", json!(true))),
        (
            "a route's audience where there is none",
            at(
                at(at(valid(), "/authorizer/audience", json!(false)), "/authorizer/clients", json!(["c"])),
                "/paths/0/audience",
                json!("a"),
            ),
        ),
        ("a host with a scheme", at(valid(), "/authorizer/allow_http", json!(["http://keys.internal"]))),
        ("an http address on another host", {
            let hosts = at(valid(), "/authorizer/allow_http", json!(["keys.internal:80"]));
            at(hosts, "/authorizer/jwks_uri", json!("http://keys.internal:81/jwks"))
        }),
        ("an http issuer on another host", {
            let hosts = at(valid(), "/authorizer/allow_http", json!(["keys.internal"]));
            at(hosts, "/authorizer/issuer", json!("http://login.internal"))
        }),
        // Audience and credentials
        ("a logout parameter of another name", at(valid(), "/authorizer/logout_parameter", json!("return_to"))),
        ("an audience parameter of another name", at(valid(), "/authorizer/audience_parameter", json!("ressource"))),
        ("parameters of the login that are a list", at(valid(), "/authorizer/authorization_params", json!(["prompt"]))),
        (
            "parameters of the login that are the gateway's own",
            at(
                valid(),
                "/authorizer/authorization_params",
                json!({ "scope": "openid admin", "resource": "x", "response_mode": "form_post", "request_uri": "u", "prompt": "login" }),
            ),
        ),
        (
            "parameters of the login without a name or a text",
            at(valid(), "/authorizer/authorization_params", json!({ "": "x", "max_age": 60, "prompt": "" })),
        ),
        ("protected routes without audience and login", without_audience(valid())),
        ("a login without an audience whose callback is refused", {
            at(without_audience(with_login()), "/paths/3/integration/type", json!("calback"))
        }),
        ("scopes and permissions without an audience", {
            let config = at(without_audience(with_login()), "/paths/0/scopes", json!(["read"]));
            at(config, "/paths/0/permissions", json!(["read:items"]))
        }),
        (
            "bearer tokens without an audience",
            at(without_audience(with_login()), "/paths/0/credentials", json!("bearer")),
        ),
        ("credentials of another name", at(valid(), "/paths/0/credentials", json!("cookie"))),
        ("credentials that are a list", at(valid(), "/paths/0/credentials", json!(["session"]))),
        ("credentials of a public route", at(valid(), "/paths/1/credentials", json!("bearer"))),
        ("sessions without a login", at(valid(), "/paths/0/credentials", json!("session"))),
        ("bearer tokens where every request is sent to log in", {
            at(at(with_login(), "/paths/0/credentials", json!("bearer")), "/paths/0/on_unauthenticated", json!("login"))
        }),
        ("a refresh route for bearer tokens", {
            let refresh = json!({ "method": "POST", "path": "/refresh", "credentials": "bearer",
                "integration": { "type": "refresh" } });
            at(at(with_login(), "/paths/0", refresh), "/authorizer/scope", json!("openid offline_access"))
        }),
        ("a refresh route without offline_access at Auth0", {
            let auth0 = json!({ "type": "auth0", "domain": "tenant.us.auth0.com", "audience": "https://api.example.com",
                "client_id": "web", "client_secret": "secret", "redirect_uri": "https://app.example.com/cb" });
            let refresh = json!({ "method": "POST", "path": "/refresh", "integration": { "type": "refresh" } });
            at(at(with_login(), "/paths/0", refresh), "/authorizer", auth0)
        }),
        ("claims without a login", {
            at(valid(), "/paths/0", json!({ "method": "GET", "path": "/me", "integration": { "type": "claims" } }))
        }),
        // The end of a login
        ("a page on another host", at(with_login(), "/login", json!({ "default_return_to": "//evil.example" }))),
        ("a page with a fragment", at(with_login(), "/login", json!({ "default_return_to": "/home#top" }))),
        ("a page that logs in", at(with_login(), "/login", json!({ "default_return_to": "/login?a=b" }))),
        ("a page beside callback_uri", {
            let config = at(with_login(), "/login", json!({ "default_return_to": "/home" }));
            at(config, "/authorizer/callback_uri", json!("https://www.example.com/"))
        }),
        ("the default page inside the authorizer", at(valid(), "/authorizer/default_return_to", json!("/home"))),
        ("a page at the gateway's own login", {
            let mut config = with_login();
            config["paths"][2] = json!({ "method": "GET", "path": "/.well-known/edgeward/login",
                "integration": { "type": "respond" } });
            config
        }),
        // The protected resource
        ("a resource without its URL", at(valid(), "/protected_resource", json!({ "scopes_supported": ["a"] }))),
        ("a resource that is no URL", resource(json!({ "resource": "api" }))),
        ("a resource over http", resource(json!({ "resource": "http://api.example.com" }))),
        ("a resource with a query", resource(json!({ "resource": "https://api.example.com/mcp?a" }))),
        ("a resource with a fragment", resource(json!({ "resource": "https://api.example.com/mcp#a" }))),
        (
            "a resource with servers over http and scopes in one text",
            resource(
                json!({ "resource": "https://a.example", "authorization_servers": "http://b.example", "scopes_supported": "a b" }),
            ),
        ),
        (
            "a resource without servers",
            resource(json!({ "resource": "https://a.example", "authorization_servers": [] })),
        ),
        ("a resource for the tokens of every tenant", {
            let entra = json!({ "type": "entra", "tenants": "any" });
            at(
                at(valid(), "/authorizer", entra),
                "/protected_resource",
                json!({ "resource": "https://api.example.com" }),
            )
        }),
        ("a resource whose URL is refused, without an audience", {
            at(without_audience(valid()), "/protected_resource", json!({ "resource": "http://api.example.com" }))
        }),
        ("a resource without an authorizer", {
            let mut config = resource(json!({ "resource": "https://a.example" }));
            config.as_object_mut().unwrap().remove("authorizer");
            config["paths"][0]["auth"] = json!("none");
            config
        }),
        ("a resource whose authorizer is a list", {
            at(resource(json!({ "resource": "https://a.example" })), "/authorizer", json!([]))
        }),
        ("a resource at the top", at(valid(), "/resource", json!("https://a.example"))),
        // One mistake, one problem
        ("a login whose callback is refused", at(with_login(), "/paths/3/integration/type", json!("calback"))),
        (
            "a login whose redirect URI is refused",
            at(with_login(), "/authorizer/redirect_uri", json!("http://app.example.com/cb")),
        ),
        ("a login whose scope is refused", {
            let refresh = json!({ "method": "POST", "path": "/refresh", "integration": { "type": "refresh" } });
            at(at(with_login(), "/paths/0", refresh), "/authorizer/scope", json!("profile"))
        }),
        ("a login without a callback", {
            let mut config = with_login();
            config["paths"].as_array_mut().unwrap().remove(3);
            config
        }),
        ("a protected route whose audience is refused", at(valid(), "/authorizer/audience", json!([""]))),
        (
            "roles whose claim is refused",
            at(at(valid(), "/authorizer/roles_claim", json!("")), "/paths/0/roles", json!(["a"])),
        ),
        ("a client without anything", {
            let mut config = with_login();
            for key in ["client_id", "client_secret"] {
                config["authorizer"].as_object_mut().unwrap().remove(key);
            }
            config
        }),
        ("a login without an authorizer", {
            let mut config = with_login();
            config.as_object_mut().unwrap().remove("authorizer");
            config["paths"][0]["auth"] = json!("none");
            config
        }),
    ];
    let text = [
        ("two keys of one name", "{\n  \"paths\": [],\n  \"paths\": []\n}".to_owned()),
        (
            "two keys of one name, deep inside",
            valid().to_string().replacen("\"method\":", "\"method\":\"GET\",\"method\":", 1),
        ),
        ("two keys of one name, one of them escaped", "{\"cors\":{},\n\"c\\u006frs\":{}}".into()),
        ("a comment", "{\n  // who may pass\n  \"paths\": []\n}".into()),
        ("a comment at the end of a line", "{\n  \"paths\": [] /* none */\n}".into()),
        ("a comment of another language", "# who may pass\n{ \"paths\": [] }".into()),
        ("a trailing comma", "{\n  \"paths\": [],\n}".into()),
        ("a trailing comma in a list", "{\n  \"paths\": [\"é\", ]\n}".into()),
        ("single quotes", "{\n  'paths': []\n}".into()),
        ("typographic quotes", "{ \"paths\": [“é”] }".into()),
        ("a comma too many", "{ \"paths\": [1,,2] }".into()),
        ("a document that breaks off", "{\n  \"paths\": [".into()),
        ("a document nested too deeply", format!("{{\"paths\":{}{}}}", "[".repeat(70), "]".repeat(70))),
    ];
    object.into_iter().map(|(name, config)| (name, config.to_string())).chain(text).collect()
}

#[test]
fn the_configurations_that_are_changed_here_serve() {
    let rules = json!({ "acr": "a", "groups": { "any": ["b"], "not": "c" } });
    let listed = json!([{ "claim": ["realm_access", "roles"], "all": ["a"] }, { "claim": "sub", "prefix": "a|" }]);
    let without_audience = at(at(valid(), "/authorizer/audience", json!(false)), "/authorizer/clients", json!("c"));
    let internal = at(valid(), "/authorizer/allow_http", json!(["keys.internal", "login.internal:8080"]));
    for config in [
        valid(),
        with_login(),
        header("$claims.sub"),
        body("$5, $el.hide() and $"),
        method(json!("PROPFIND")),
        at(valid(), "/paths/0/scopes", json!({ "any": ["a", "b"], "all": "c" })),
        at(at(valid(), "/authorizer/roles_claim", json!(["a", "b"])), "/paths/0/roles", json!({ "any": "c" })),
        at(valid(), "/paths/0/claims", rules),
        at(valid(), "/paths/0/claims", listed),
        without_audience,
        pages(
            json!({ "name": "Kite", "logo": "/logo.svg", "language": "fr", "texts": { "fr": { "link.home": "Accueil" } } }),
        ),
        pages(
            json!({ "logo": "https://cdn.example.com/a/logo.svg", "language": "de", "colors": { "accent": "#fd0" } }),
        ),
        at(
            at(internal, "/authorizer/issuer", json!("http://login.internal:8080")),
            "/authorizer/jwks_uri",
            json!("http://keys.internal/"),
        ),
        self::without_audience(with_login()),
        resource(json!({ "resource": "https://a.example" })),
        token_from(
            json!([{ "header": "Authorization" }, { "header": "Cf-Access-Jwt-Assertion" }, { "cookie": "__Host-a" }]),
        ),
        at(header("$token"), "/authorizer/token_from", json!([{ "header": "x-user" }])),
        with_hosts(),
        at(with_hosts(), "/hosts/c.example.com:8080", json!({ "authorizer": "a" })),
        at(with_hosts(), "/protected_resource", json!({ "resource": "https://b.example.com/mcp" })),
        further(json!({ "issuer": "https://b.example", "audience": false, "clients": "c", "algorithms": ["PS256"] })),
        with_key(json!(RSA)),
        with_key(json!([P256, RSA.replace('\n', "\\n")])),
        at(with_key(json!(RSA)), "/authorizer/private_key_alg", json!("RS384")),
        client(&json!({ "client_auth": "self_signed_tls_client_auth", "mtls_binding": "CERTIFICATE" })),
        client(&json!({ "par": true, "jar": { "private_key": P256 } })),
        // At the limits
        client(&json!({ "authorization_details": vec![json!({ "type": "a" }); 5] })),
        client(&details(properties(10))),
        client(&details(json!({ "type": "a", "n".repeat(255): 1, "v": "é".repeat(255) }))),
        client(&details(json!({ "type": "a", "b": { "c": [{ "d": 1, "e": [] }] } }))),
        client(&json!({ "authorization_details": of_bytes(5120) })),
        client(&json!({
            "fapi": "fapi2_sp", "mtls_binding": "CERTIFICATE", "client_auth": "private_key_jwt", "private_key": RSA,
            "jar": { "private_key": P256 }, "algorithms": ["PS256", "ES256", "EdDSA"], "dpop": "required"
        })),
        client(&json!({
            "fapi": "fapi2_sp", "mtls_binding": "CERTIFICATE", "client_auth": "tls_client_auth", "mtls": "allowed"
        })),
        client(&json!({
            "fapi": "fapi2_sp", "client_auth": "private_key_jwt", "private_key": RSA, "dpop_key": P256, "dpop": "allowed"
        })),
        client(&json!({ "dpop_key": [P256, RSA] })),
        // Sessions alone need no bound bearer tokens.
        at(
            client(&json!({ "fapi": "fapi2_sp", "mtls_binding": "CERTIFICATE", "client_auth": "tls_client_auth" })),
            "/paths/0/credentials",
            json!("session"),
        ),
        // A client that only asks about tokens needs no certificate.
        at(
            valid(),
            "/authorizer",
            json!({ "type": "oidc", "issuer": "https://login.example.com", "audience": "https://api.example.com", "client_id": "api",
                "introspection": {}, "fapi": "fapi2_sp", "mtls": "required", "client_auth": "private_key_jwt", "private_key": RSA }),
        ),
    ] {
        assert_eq!(compile(&config.to_string(), &|_| None).map(|compiled| compiled.warnings), Ok(vec![]), "{config}");
    }
}

#[test]
fn a_key_for_tokens_that_no_route_needs_is_a_warning() {
    let bearer = at(valid(), "/authorizer/dpop_key", json!(P256));
    let warnings = compile(&bearer.to_string(), &|_| None).unwrap().warnings;
    let expected = "warning at authorizer.dpop_key: has no effect: no route needs a login or has upstream_auth";
    assert_eq!(warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
}

#[test]
fn a_subject_without_its_issuer_is_a_warning_where_there_are_several_issuers() {
    let further = json!([{ "issuer": "https://further.example.com" }]);
    let tenants = |ids: Value| {
        let config = at(header("$claims.sub"), "/authorizer/issuer", json!("https://login.example.com/{tenantid}"));
        at(config, "/authorizer/tenants", ids)
    };
    let several = |name: &str| at(header(name), "/authorizer/issuers", further.clone());
    let paths = |mut config: Value, key: &str, value: Value| {
        config["paths"][0][key] = value;
        config
    };
    let both = paths(
        several("$claims.sub"),
        "integration",
        json!({ "type": "http_proxy", "url": "https://origin.example.com",
            "headers": { "X-User": "$claims.sub", "X-Issuer": "$claims.iss" } }),
    );
    let route = header("$claims.sub")["paths"][0].clone();
    let with_session = paths(at(with_login(), "/paths/0", route), "credentials", json!("session"));
    let [one, other] = ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"];
    for (config, is_warned) in [
        (header("$claims.sub"), false),
        (several("$claims.sub"), true),
        (several("$claims.email"), true),
        (several("$claims.iss"), false),
        (several("$claims.role"), false),
        (both, false),
        (at(with_session, "/authorizer/issuers", further.clone()), false),
        (paths(several("$claims.sub"), "claims", json!({ "iss": "https://login.example.com" })), false),
        (tenants(json!([one])), false),
        (tenants(json!([one, other])), true),
        (tenants(json!("any")), true),
    ] {
        let warnings = compile(&config.to_string(), &|_| None).unwrap().warnings;
        let texts = warnings.iter().map(ToString::to_string);
        assert_eq!(
            texts.filter(|text| text.contains("have no $claims.iss")).count(),
            usize::from(is_warned),
            "{config}"
        );
    }
}

#[test]
fn a_key_for_two_purposes_is_a_warning() {
    for (keys, place) in
        [(json!({ "jar": { "private_key": RSA } }), "jar.private_key"), (json!({ "dpop_key": RSA }), "dpop_key")]
    {
        let mut config = with_key(json!([P256, RSA]));
        config["authorizer"].as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        let warnings = compile(&config.to_string(), &|_| None).unwrap().warnings;
        let expected = format!(
            "warning at authorizer.{place}: is a key of authorizer.private_key, too: use a key of its own for each purpose"
        );
        assert_eq!(warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
    }
}

#[test]
fn every_mistake_is_reported_word_for_word() {
    let mut written = String::new();
    let documents: Vec<Value> = mistakes().iter().map(|(name, text)| json!([name, text])).collect();
    if let Some(folder) = std::env::var_os("EDGEWARD_CASES") {
        let file = std::path::PathBuf::from(folder).join("problems.json");
        std::fs::write(file, Value::from(documents).to_string()).unwrap();
    }
    for (name, text) in mistakes() {
        writeln!(written, "# {name}").unwrap();
        let problems = compile(&text, &|_| None).map(|_| ()).expect_err(name);
        for problem in &problems {
            writeln!(written, "{problem}").unwrap();
        }
        written.push('\n');
    }
    if std::env::var_os("EDGEWARD_WRITE_PROBLEMS").is_some() {
        std::fs::write(FILE, &written).unwrap();
    }
    assert_eq!(written, std::fs::read_to_string(FILE).unwrap());
}
