//! The metadata of a protected resource (RFC 9728), and challenges that name it.

use edgeward::gateway::compile;
use serde_json::{Value, json};
use support::host::VirtualHost;

use crate::{
    Login, bearer, code, config, config_with_cors, forward, gateway, handle, keys, problem, reply, token, values,
};

const RESOURCE: &str = "https://app.example.com/mcp";
const METADATA: &str = "/.well-known/oauth-protected-resource/mcp";

/// Adds a resource without a configured audience.
fn with_resource(mut config: Value, section: Value) -> Value {
    config["authorizer"].as_object_mut().unwrap().remove("audience");
    config["protected_resource"] = section;
    config["paths"].as_array_mut().unwrap().extend([
        json!({ "method": "ANY", "path": "/mcp", "credentials": "bearer", "scopes": ["mcp:use", "mcp:read"],
            "integration": { "type": "http_proxy", "url": "https://origin.example" } }),
        json!({ "method": "ANY", "path": "/relay", "credentials": "bearer", "integration": {
            "type": "http_proxy", "url": "https://origin.example", "headers": { "Authorization": "Bearer $token" } } }),
    ]);
    config
}

fn resource() -> Value {
    with_resource(config(), json!({ "resource": RESOURCE, "scopes_supported": ["mcp:use", "mcp:read"] }))
}

const RESOURCE_METADATA: &str =
    r#"resource_metadata="https://app.example.com/.well-known/oauth-protected-resource/mcp""#;

#[test]
fn the_metadata_is_public_at_its_well_known_path() {
    for (config, origin) in
        [(resource(), None), (with_resource(config_with_cors(), json!({ "resource": RESOURCE })), Some(()))]
    {
        let gateway = gateway(&config);
        for target in [METADATA.to_owned(), format!("{METADATA}?x")] {
            let headers = [("origin", "https://evil.example"), ("authorization", "Bearer x y")];
            let found = reply(&gateway, "GET", &target, &headers);
            assert_eq!(
                (found.status, values(&found, "content-type").as_slice()),
                (200, ["application/json"].as_slice())
            );
            assert_eq!(values(&found, "access-control-allow-origin"), ["*"], "public, whatever cors says");
            let mut expected = json!({
                "resource": RESOURCE, "authorization_servers": ["https://tenant.example.com/"],
                "scopes_supported": ["mcp:use", "mcp:read"], "bearer_methods_supported": ["header"]
            });
            if origin.is_some() {
                expected.as_object_mut().unwrap().remove("scopes_supported");
            }
            assert_eq!(serde_json::from_str::<Value>(&found.body).unwrap(), expected);
        }
        assert_eq!(reply(&gateway, "HEAD", METADATA, &[]).status, 200);
        let preflight = [("origin", "https://evil.example"), ("access-control-request-method", "GET")];
        let preflight = reply(&gateway, "OPTIONS", METADATA, &preflight);
        assert_eq!(
            (preflight.status, values(&preflight, "access-control-allow-headers").as_slice()),
            (204, ["*"].as_slice())
        );
        assert_eq!(values(&preflight, "access-control-allow-origin"), ["*"]);
        let post = reply(&gateway, "POST", METADATA, &[]);
        assert_eq!((post.status, values(&post, "allow").as_slice()), (405, ["GET, HEAD, OPTIONS"].as_slice()));
        for other in [
            "/.well-known/oauth-protected-resource",
            "/.well-known/oauth-protected-resource/MCP",
            "/mcp/.well-known/oauth-protected-resource",
        ] {
            assert_eq!(reply(&gateway, "GET", other, &[]).status, 404, "{other}");
        }
    }
    assert_eq!(reply(&gateway(&config()), "GET", METADATA, &[]).status, 404, "without the section there is none");
}

#[test]
fn the_metadata_says_how_tokens_are_bound() {
    let algorithms = json!(["ES256", "EdDSA", "Ed25519", "PS256", "RS256"]);
    for (dpop, mtls, expected) in [
        ("off", "off", json!([null, null, null])),
        ("allowed", "off", json!([algorithms, null, null])),
        ("required", "off", json!([algorithms, true, null])),
        ("off", "allowed", json!([null, null, true])),
        ("required", "required", json!([algorithms, true, true])),
    ] {
        let mut config = resource();
        config["authorizer"]["dpop"] = json!(dpop);
        config["authorizer"]["mtls"] = json!(mtls);
        let found: Value = serde_json::from_str(&reply(&gateway(&config), "GET", METADATA, &[]).body).unwrap();
        let names = [
            "dpop_signing_alg_values_supported",
            "dpop_bound_access_tokens_required",
            "tls_client_certificate_bound_access_tokens",
        ];
        assert_eq!(json!(names.map(|name| &found[name])), expected, "{dpop} {mtls}");
    }
}

#[test]
fn other_authorization_servers_may_be_named() {
    let servers = ["https://login.example.com", "https://login.example.net/tenant"];
    let section = json!({ "resource": "https://app.example.com", "authorization_servers": servers });
    let gateway = gateway(&with_resource(config(), section));
    let found = reply(&gateway, "GET", "/.well-known/oauth-protected-resource", &[]);
    assert_eq!(serde_json::from_str::<Value>(&found.body).unwrap()["authorization_servers"], json!(servers));
}

#[test]
fn the_authorization_servers_are_the_issuers_of_the_tenants() {
    let tenants = ["8f2a1c3e-0b4d-4c6f-9e1a-5d7b2f4c6a80", "0b4d8f2a-1c3e-4c6f-9e1a-5d7b2f4c6a81"];
    let of = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let with = |tenants: Value, section: Value| {
        let mut config = with_resource(config(), section);
        config["authorizer"] = json!({ "type": "entra", "tenants": tenants, "jwks": keys() });
        config.as_object_mut().unwrap().remove("session");
        config["paths"].as_array_mut().unwrap().retain(|path| path["path"] == "/mcp");
        config
    };
    let servers = |tenants: Value, section: Value| {
        let found = reply(&gateway(&with(tenants, section)), "GET", METADATA, &[]);
        serde_json::from_str::<Value>(&found.body).unwrap()["authorization_servers"].clone()
    };
    let section = json!({ "resource": RESOURCE });
    assert_eq!(servers(json!(tenants), section.clone()), json!(tenants.map(of)));
    assert_eq!(servers(json!(tenants[0]), section.clone()), json!([of(tenants[0])]));
    let named = json!({ "resource": RESOURCE, "authorization_servers": of("organizations") });
    assert_eq!(servers(json!("any"), named), json!([of("organizations")]));
    // That of every tenant is none that a client could ask.
    let problems = compile(&with(json!("any"), section).to_string(), &|_| None).unwrap_err();
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "error at protected_resource.authorization_servers: is missing: the issuers from which clients get tokens, since authorizer.tenants is \"any\""
        ]
    );
}

#[test]
fn challenges_name_the_metadata_and_the_scopes_of_the_route() {
    let gateway = gateway(&resource());
    let for_resource = || token().claim("aud", RESOURCE);
    let unscoped = bearer(&for_resource());
    let other = bearer(&token());
    let cases: [(&str, Option<&str>, u16, &str, &str); 5] = [
        ("/mcp", None, 401, "token_missing", r#", scope="mcp:use mcp:read""#),
        ("/mcp", Some(&other), 401, "audience_mismatch", r#", scope="mcp:use mcp:read""#),
        ("/mcp", Some("Bearer opaque"), 401, "token_malformed", r#", scope="mcp:use mcp:read""#),
        ("/mcp", Some(&unscoped), 403, "insufficient_scope", r#"scope="mcp:use mcp:read", "#),
        ("/page", None, 401, "token_missing", ""),
    ];
    for (path, authorization, status, expected, scope) in cases {
        let headers: Vec<_> = authorization.map(|value| ("authorization", value)).into_iter().collect();
        let reply = reply(&gateway, "POST", path, &headers);
        let reply = if path == "/page" { crate::reply(&gateway, "GET", path, &headers) } else { reply };
        assert_eq!((reply.status, code(&reply).as_str()), (status, expected), "{path}");
        let challenges = values(&reply, "www-authenticate");
        assert!(challenges.len() == 1 && challenges[0].starts_with(r#"Bearer realm="edgeward""#), "{challenges:?}");
        assert!(challenges[0].contains(&format!(", {RESOURCE_METADATA}")), "{challenges:?}");
        assert!(challenges[0].contains(scope), "{challenges:?}");
        assert_eq!(challenges[0].matches("scope=").count(), usize::from(!scope.is_empty()), "{challenges:?}");
        assert!(problem(&reply).is_object());
    }
    // A route for sessions has no use for a token.
    let mut config = resource();
    config["paths"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "method": "GET", "path": "/account", "credentials": "session",
        "integration": { "type": "respond" } }));
    let account = reply(&crate::gateway(&config), "GET", "/account", &[]);
    assert_eq!(values(&account, "www-authenticate"), [r#"Bearer realm="edgeward""#]);
    // Without the section, challenges are as before.
    let plain = reply(&crate::gateway(&crate::config()), "GET", "/admin", &[]);
    assert_eq!(values(&plain, "www-authenticate"), [r#"Bearer realm="edgeward""#]);
}

#[test]
fn a_challenge_that_is_a_fixed_answer_stays_as_it_is() {
    let mut config = resource();
    config["paths"].as_array_mut().unwrap().push(json!({ "method": "GET", "path": "/basic", "auth": "none",
        "integration": { "type": "respond", "status": 401, "headers": { "WWW-Authenticate": "Basic realm=\"x\"" } } }));
    let reply = reply(&gateway(&config), "GET", "/basic", &[]);
    assert_eq!(values(&reply, "www-authenticate"), [r#"Basic realm="x""#]);
}

#[test]
fn tokens_must_be_for_the_resource_and_are_passed_on_only_where_the_route_says_so() {
    let gateway = gateway(&resource());
    let granted = bearer(&token().claim("aud", RESOURCE).claim("scope", "mcp:use mcp:read"));
    let forwarded = forward(&gateway, "POST", "/mcp", &[("authorization", &granted)]);
    assert!(forwarded.drops("authorization"));
    assert!(!forwarded.set.iter().any(|(_, value)| granted.contains(value.as_str())), "{:?}", forwarded.set);
    let relayed = forward(&gateway, "POST", "/relay", &[("authorization", &granted)]);
    assert!(relayed.set.iter().any(|(name, value)| name.eq_ignore_ascii_case("authorization") && *value == granted));
    for audience in ["https://app.example.com", "https://app.example.com/mcp/", "https://app.example.com/MCP"] {
        let near = bearer(&token().claim("aud", audience));
        assert_eq!(code(&reply(&gateway, "GET", "/relay", &[("authorization", &near)])), "audience_mismatch");
    }
    // A session opens no route for tokens.
    let cookie = Login::new().cookie();
    let refused = reply(&gateway, "POST", "/mcp", &[("cookie", cookie.as_str()), ("sec-fetch-mode", "cors")]);
    assert_eq!((refused.status, code(&refused).as_str()), (401, "token_missing"));
    let page = reply(&gateway, "POST", "/mcp", &[("cookie", cookie.as_str()), ("sec-fetch-mode", "navigate")]);
    assert!(page.status == 401 && page.body.contains("<code>token_missing</code>"), "{}", page.body);
    assert!(page.header("www-authenticate").unwrap().contains("resource_metadata"), "the headers stay");
}

#[test]
fn a_configured_audience_comes_before_the_resource() {
    let mut config = resource();
    config["authorizer"]["audience"] = json!("https://api.example.com");
    let gateway = gateway(&config);
    let host = VirtualHost::default();
    let request = |token: &str| match handle(&gateway, &host, "GET", "/relay", &[("authorization", token)]) {
        edgeward::gateway::Answer::Forward(_) => 200,
        edgeward::gateway::Answer::Reply(reply) => reply.status,
    };
    assert_eq!(request(&bearer(&token())), 200);
    assert_eq!(request(&bearer(&token().claim("aud", RESOURCE))), 401);
}
