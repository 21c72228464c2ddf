//! The path `/a/` may be `/a`, or `/a/{x}` with an empty parameter: the stricter route decides, and if neither is, the path is ambiguous.
//! So is a path that only some servers take for a route.

use serde_json::{Value, json};
use support::NOW;

use crate::claims::route;
use crate::{bearer, code, config, gateway, reply, token};

/// What decides `/a/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decides {
    One,
    Two,
    Neither,
}
use Decides::{Neither, One, Two};

/// Returns what decides between a route with these keys for `/a`, and one for `/a/{x}`. The request meets the requirements of both.
fn between(one: &Value, two: &Value) -> Decides {
    let mut config = config();
    config["authorizer"]["roles_claim"] = json!("roles");
    for (path, keys, body) in [("/a", one, "one"), ("/a/{x}", two, "two")] {
        let mut route = json!({ "method": "GET", "path": path, "integration": { "type": "respond", "body": body } });
        for (name, value) in keys.as_object().unwrap() {
            route[name] = value.clone();
        }
        config["paths"].as_array_mut().unwrap().push(route);
    }
    let caller = token()
        .claim("scope", "s t")
        .claim("permissions", json!(["p", "q"]))
        .claim("roles", json!(["r", "s"]))
        .claim("groups", json!(["r"]))
        .claim("org_id", "org_1")
        .claim("team", "x")
        .claim("acr", "mfa")
        .claim("auth_time", NOW);
    let reply = reply(&gateway(&config), "GET", "/a/", &[("authorization", &bearer(&caller))]);
    match (reply.status, reply.body.as_str()) {
        (200, "one") => One,
        (200, "two") => Two,
        _ => {
            assert_eq!((reply.status, code(&reply).as_str()), (400, "path_ambiguous"), "{one} {two}");
            Neither
        }
    }
}

/// Asserts which of two routes is stricter, wherever it stands.
fn assert_stricter(stricter: &Value, other: &Value) {
    assert_eq!(between(stricter, other), One, "{stricter} {other}");
    assert_eq!(between(other, stricter), Two, "{other} {stricter}");
}

fn assert_ambiguous(one: &Value, two: &Value) {
    assert_eq!(between(one, two), Neither, "{one} {two}");
    assert_eq!(between(two, one), Neither, "{two} {one}");
}

/// Requirements of every kind.
fn requirements() -> Vec<Value> {
    Vec::from([
        json!({ "scopes": ["s"] }),
        json!({ "scopes": { "any": ["s", "u"] } }),
        json!({ "permissions": ["p"] }),
        json!({ "permissions": { "any": ["p", "u"] } }),
        json!({ "roles": ["r"] }),
        json!({ "roles": { "any": ["r", "u"] } }),
        json!({ "organizations": ["org_1"] }),
        json!({ "claims": { "team": "x" } }),
        json!({ "acr": ["mfa"] }),
        json!({ "max_age": 3600 }),
        json!({ "credentials": "bearer" }),
    ])
}

#[test]
fn a_requirement_more_is_stricter() {
    let none = json!({});
    for requirement in requirements() {
        assert_stricter(&requirement, &none);
        assert_stricter(&requirement, &json!({ "auth": "none" }));
        assert_eq!(between(&requirement, &requirement), One);
    }
    assert_stricter(&none, &json!({ "auth": "optional" }));
    assert_stricter(&none, &json!({ "auth": "none" }));
    assert_stricter(&json!({ "auth": "optional" }), &json!({ "auth": "none" }));
    assert_stricter(&none, &json!({ "observe": true }));
    assert_stricter(&json!({ "observe": true }), &json!({ "auth": "none" }));
    assert_stricter(&json!({ "scopes": ["s"], "observe": true }), &json!({ "observe": true }));
}

#[test]
fn more_of_a_requirement_is_stricter() {
    for (stricter, other) in [
        (json!({ "scopes": ["s", "t"] }), json!({ "scopes": ["s"] })),
        (json!({ "scopes": { "any": ["s"] } }), json!({ "scopes": { "any": ["s", "u"] } })),
        (json!({ "permissions": ["q", "p"] }), json!({ "permissions": ["p"] })),
        (json!({ "permissions": { "any": ["p"] } }), json!({ "permissions": { "any": ["u", "p"] } })),
        (json!({ "roles": ["r", "s"] }), json!({ "roles": ["r"] })),
        (json!({ "roles": { "all": ["s"], "any": ["r"] } }), json!({ "roles": { "any": ["r", "u"] } })),
        (json!({ "organizations": ["org_1"] }), json!({ "organizations": ["org_1", "org_2"] })),
        (json!({ "claims": { "team": "x", "groups": { "any": ["r"] } } }), json!({ "claims": { "team": "x" } })),
        (json!({ "acr": ["mfa"] }), json!({ "acr": ["mfa", "pwd"] })),
        (json!({ "max_age": 60 }), json!({ "max_age": 3600 })),
        (json!({ "acr": ["mfa"], "max_age": 60 }), json!({ "max_age": 60 })),
    ] {
        assert_stricter(&stricter, &other);
    }
}

#[test]
fn two_routes_neither_of_which_allows_all_that_the_other_does_are_ambiguous() {
    let all = requirements();
    for (at, one) in all.iter().enumerate() {
        for two in all.iter().skip(at + 1) {
            assert_ambiguous(one, two);
        }
        // Weaker in one respect, stronger in another.
        assert_ambiguous(one, &json!({ "scopes": ["t"] }));
    }
    for (one, two) in [
        (json!({ "scopes": { "any": ["s", "u"] } }), json!({ "scopes": { "any": ["s", "v"] } })),
        (json!({ "permissions": { "any": ["p", "u"] } }), json!({ "permissions": { "any": ["p", "v"] } })),
        (json!({ "roles": { "any": ["r", "u"] } }), json!({ "roles": { "any": ["r", "v"] } })),
        (json!({ "organizations": ["org_1", "org_2"] }), json!({ "organizations": ["org_1", "org_3"] })),
        (json!({ "claims": { "team": "x" } }), json!({ "claims": { "team": { "any": ["x", "y"] } } })),
        (json!({ "acr": ["mfa"], "max_age": 3600 }), json!({ "max_age": 60 })),
        (json!({ "observe": true, "scopes": ["s"] }), json!({})),
        (json!({ "observe": true }), json!({ "auth": "optional" })),
    ] {
        assert_ambiguous(&one, &two);
    }
}

#[test]
fn a_route_without_the_method_is_the_strictest() {
    let posted = json!({ "method": "POST" });
    for got in [json!({ "method": "GET" }), json!({ "scopes": ["s"] }), json!({ "auth": "none" })] {
        let mut config = config();
        for (path, keys) in [("/a", &got), ("/a/{x}", &posted), ("/b", &posted), ("/b/{x}", &got)] {
            config["paths"].as_array_mut().unwrap().push(route(path, keys));
        }
        let caller = bearer(&token().claim("scope", "s"));
        for path in ["/a/", "/b/"] {
            let reply = reply(&gateway(&config), "GET", path, &[("authorization", &caller)]);
            assert_eq!((reply.status, code(&reply).as_str()), (405, "method_not_allowed"), "{path} {got}");
        }
    }
}

#[test]
fn a_path_that_only_some_servers_take_for_a_route_is_ambiguous_and_not_unknown() {
    let mut config = config();
    for path in ["/boss", "/x/{id}/a", "/@me"] {
        config["paths"].as_array_mut().unwrap().push(route(path, &json!({ "auth": "none" })));
    }
    let gateway = gateway(&config);
    let status = |path: &str| reply(&gateway, "GET", path, &[]).status;
    for path in ["/boss", "/x/1/a", "/@me", "/%40me"] {
        assert_eq!(status(path), 200, "{path}");
    }
    for path in ["/other", "/x/1/b", "/x/a"] {
        assert_eq!(status(path), 404, "{path}");
    }
    for path in ["/BOSS", "/boss.", "/x//a", "/%40m%65"] {
        let reply = reply(&gateway, "GET", path, &[]);
        assert_eq!((reply.status, code(&reply).as_str()), (400, "path_ambiguous"), "{path}");
    }
}
