//! Rights by claims: alternatives, paths and rules on routes, and their part in the agreement of a path's readings.

use edgeward::gateway::Answer;
use serde_json::{Value, json};
use support::host::VirtualHost;
use support::{Mint, key_a};

use crate::{ISSUER, Login, bearer, code, config, gateway, handle, problem, reply, token};

pub(crate) fn route(path: &str, more: &Value) -> Value {
    let mut route = json!({ "method": "ANY", "path": path, "integration": { "type": "respond" } });
    for (name, value) in more.as_object().unwrap() {
        route[name] = value.clone();
    }
    route
}

/// Returns the configuration with changes to its authorizer, and these routes instead of its own.
fn with(authorizer: &Value, routes: &[Value]) -> Value {
    let mut config = config();
    for name in ["client_id", "client_secret", "redirect_uri"] {
        config["authorizer"].as_object_mut().unwrap().remove(name);
    }
    for (name, value) in authorizer.as_object().unwrap() {
        config["authorizer"][name] = value.clone();
    }
    config["paths"] = routes.into();
    config
}

#[test]
fn alternatives_paths_and_rules_decide_on_routes() {
    let config = with(
        &json!({ "roles_claim": ["realm_access", "roles"] }),
        &[
            route("/any", &json!({ "scopes": { "any": ["admin", "read:things"] } })),
            route("/both", &json!({ "scopes": { "any": ["admin", "root"], "all": ["read:things"] } })),
            route("/permission", &json!({ "permissions": { "any": ["a", "b"] } })),
            route("/role", &json!({ "roles": { "any": ["editor", "admin"] } })),
            route("/rule", &json!({ "claims": { "repository": "org/app", "groups": { "any": ["a"], "not": ["b"] } } })),
            route("/path", &json!({ "claims": [{ "claim": ["realm_access", "roles"], "all": ["editor", "x"] }] })),
        ],
    );
    let gateway = gateway(&config);
    let full = || {
        token()
            .claim("permissions", json!(["b"]))
            .claim("realm_access", json!({ "roles": ["editor", "x"] }))
            .claim("repository", "org/app")
    };
    let status = |path: &str, token: &Mint| {
        let reply = reply(&gateway, "GET", path, &[("authorization", &bearer(token))]);
        if reply.status == 200 { "ok".into() } else { code(&reply) }
    };
    for path in ["/any", "/permission", "/role", "/rule", "/path"] {
        assert_eq!(status(path, &full()), "ok", "{path}");
    }
    assert_eq!(status("/both", &full()), "insufficient_scope");
    assert_eq!(status("/both", &full().claim("scope", json!(["read:things", "root"]))), "ok");
    assert_eq!(status("/any", &full().claim("scope", "other")), "insufficient_scope");
    assert_eq!(status("/permission", &full().claim("permissions", json!(["c"]))), "insufficient_permissions");
    let dotted = full().claim("realm_access", json!({})).claim("realm_access.roles", json!(["editor", "x"]));
    assert_eq!(status("/role", &dotted), "roles_claim_missing");
    assert_eq!(status("/path", &dotted), "claim_not_allowed");
    for changed in [
        full().claim("repository", "org/app2"),
        full().without("repository"),
        full().claim("groups", json!(["a", "b"])),
        full().claim("groups", json!(["a", 1])),
    ] {
        assert_eq!(status("/rule", &changed), "claim_not_allowed");
    }
    let refused = reply(&gateway, "GET", "/path", &[("authorization", &bearer(&token()))]);
    assert_eq!((refused.status, &problem(&refused)["required"]), (403, &json!("realm_access/roles")));
    let refused = reply(&gateway, "GET", "/both", &[("authorization", &bearer(&full()))]);
    assert!(refused.header("www-authenticate").unwrap().ends_with(r#"scope="read:things""#));
}

#[test]
fn routes_that_differ_in_one_right_are_different_policies() {
    let path = ["/a/b", "/{*rest}"];
    let ambiguous = |one: Value, other: Value| {
        let config = with(&json!({ "roles_claim": "roles" }), &[route(path[0], &one), route(path[1], &other)]);
        let gateway = gateway(&config);
        let reply = reply(&gateway, "GET", "/a%2Fb", &[]);
        assert!(matches!(reply.status, 400 | 401), "{}", reply.body);
        reply.status == 400
    };
    let rights = [
        json!({}),
        json!({ "scopes": ["a"] }),
        json!({ "scopes": { "any": ["a"] } }),
        json!({ "permissions": { "any": ["a"] } }),
        json!({ "permissions": ["a"] }),
        json!({ "roles": { "any": ["a"] } }),
        json!({ "roles": { "all": ["a"] } }),
        json!({ "claims": { "a": "b" } }),
        json!({ "claims": { "a": "c" } }),
        json!({ "claims": { "a": { "any": ["b"] } } }),
        json!({ "claims": { "a": { "all": ["b"] } } }),
        json!({ "claims": { "a": { "not": ["b"] } } }),
        json!({ "claims": { "a": { "prefix": "b" } } }),
        json!({ "claims": [{ "claim": ["a", "x"], "equals": "b" }] }),
        json!({ "claims": [{ "claim": ["x", "a"], "equals": "b" }] }),
        json!({ "claims": { "a": "b", "c": "d" } }),
    ];
    for (at, one) in rights.iter().enumerate() {
        for (index, other) in rights.iter().enumerate() {
            assert_eq!(ambiguous(one.clone(), other.clone()), at != index, "{one} {other}");
        }
    }
    let named = json!({ "claims": { "a": "b" } });
    let listed = json!({ "claims": [{ "claim": "a", "equals": "b" }] });
    assert!(!ambiguous(named, listed), "two ways to write one rule");
}

#[test]
fn of_a_page_with_and_without_a_slash_the_one_with_more_rules_decides() {
    for rule in [
        json!({ "claims": { "acr": "2" } }),
        json!({ "scopes": { "any": ["admin"] } }),
        json!({ "permissions": { "any": ["admin"] } }),
    ] {
        for (strict, open) in [("/page", "/page/{*rest}"), ("/page/{*rest}", "/page")] {
            let gateway = gateway(&with(&json!({}), &[route(strict, &rule), route(open, &json!({}))]));
            let reply = reply(&gateway, "GET", "/page/", &[("authorization", &bearer(&token()))]);
            assert_eq!(reply.status, 403, "{strict} {rule}");
        }
    }
}

#[test]
fn without_an_audience_only_listed_clients_and_tokens_without_aud_pass() {
    let config = with(&json!({ "audience": false, "clients": ["client-1", "client-2"] }), &[route("/api", &json!({}))]);
    let gateway = gateway(&config);
    let status = |token: Mint| {
        let reply = reply(&gateway, "GET", "/api", &[("authorization", &bearer(&token))]);
        if reply.status == 200 { "ok".into() } else { code(&reply) }
    };
    assert_eq!(status(token().without("aud")), "ok");
    assert_eq!(status(token()), "audience_mismatch");
    assert_eq!(status(token().claim("aud", json!([]))), "audience_mismatch");
    assert_eq!(status(token().claim("aud", json!(null))), "claim_malformed");
    assert_eq!(status(token().without("aud").without("azp")), "client_not_allowed");
    assert_eq!(status(token().without("aud").claim("azp", "")), "client_not_allowed");
    assert_eq!(status(token().without("aud").claim("azp", "client-3")), "client_not_allowed");
    let id_token = Mint::id(key_a()).without("aud").claim("azp", "client-1");
    assert_eq!(status(id_token), "token_kind_mismatch");
}

#[test]
fn further_types_pass_where_they_are_listed() {
    let with_types = gateway(&with(&json!({ "types": ["application/custom+jwt"] }), &[route("/api", &json!({}))]));
    let without = gateway(&with(&json!({}), &[route("/api", &json!({}))]));
    let typed = |typ: &str| bearer(&token().header("typ", typ));
    for (typ, expected) in [("custom+jwt", 200), ("application/custom+jwt", 200), ("JWT", 200), ("dpop+jwt", 401)] {
        let reply = reply(&with_types, "GET", "/api", &[("authorization", &typed(typ))]);
        assert_eq!(reply.status, expected, "{typ}");
    }
    let reply = reply(&without, "GET", "/api", &[("authorization", &typed("custom+jwt"))]);
    assert_eq!(code(&reply), "typ_not_allowed");
}

#[test]
fn rules_of_the_authorizer_hold_for_sessions_too() {
    let mut config = config();
    config["authorizer"]["claims"] = json!({ "groups": { "any": ["staff"] } });
    let gateway = gateway(&config);
    let claims = |groups: Value| json!({ "iss": ISSUER, "sub": "auth0|1", "groups": groups });
    for (groups, passes) in [(json!(["staff"]), true), (json!(["a"]), false), (Value::Null, false), (json!({}), false)]
    {
        let cookie = Login::new().with("claims", claims(groups.clone())).cookie();
        let answer = handle(&gateway, &VirtualHost::default(), "GET", "/api/a", &[("cookie", &cookie)]);
        match answer {
            Answer::Forward(_) => assert!(passes, "{groups}"),
            Answer::Reply(reply) => {
                assert_eq!((passes, reply.status, code(&reply).as_str()), (false, 403, "claim_not_allowed"), "{groups}")
            }
        }
    }
}
