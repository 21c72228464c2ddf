//! Step-up (RFC 9470) for API clients, and its part in the agreement of a path's readings.

use edgeward::gateway::compile;
use edgeward::http::RequestHead;
use serde_json::{Value, json};
use support::host::VirtualHost;
use support::{Mint, NOW, now};

use crate::{bearer, code, config, gateway, problem, reply, token};

fn with(routes: &[(&str, Value)]) -> Value {
    let mut config = config();
    let paths = config["paths"].as_array_mut().unwrap();
    for (path, more) in routes {
        let mut route = json!({ "method": "ANY", "path": path, "integration": { "type": "respond" } });
        for (name, value) in more.as_object().unwrap() {
            route[name] = value.clone();
        }
        paths.push(route);
    }
    config
}

fn logged_in(seconds_ago: i64) -> Mint {
    assert_eq!(now().secs(), NOW);
    token().claim("acr", "urn:mfa").claim("auth_time", NOW - seconds_ago)
}

#[test]
fn a_token_of_a_weaker_or_older_login_gets_a_challenge_that_names_the_required_one() {
    let gateway = gateway(&with(&[
        ("/mfa", json!({ "acr": ["urn:mfa", "urn:hw"] })),
        ("/recent", json!({ "max_age": 300 })),
        ("/both", json!({ "acr": "urn:mfa", "max_age": 60, "scopes": ["read:things"] })),
        ("/optional", json!({ "acr": "urn:mfa", "auth": "optional" })),
    ]));
    let get = |path: &str, token: &Mint| reply(&gateway, "GET", path, &[("authorization", &bearer(token))]);
    let status = |path: &str, token: &Mint| get(path, token).status;
    for path in ["/mfa", "/recent", "/both", "/optional"] {
        assert_eq!(status(path, &logged_in(10)), 200, "{path}");
    }
    for acr in [json!(null), json!(["urn:mfa"]), json!(1), json!(""), json!("urn:mf"), json!("urn:mfa urn:hw")] {
        assert_eq!(status("/mfa", &logged_in(10).claim("acr", acr.clone())), 401, "{acr}");
    }
    assert_eq!(status("/mfa", &logged_in(10).without("acr")), 401);
    // With the tolerated difference between clocks.
    for (seconds_ago, expected) in [(-5, 200), (-6, 401), (300, 200), (305, 200), (306, 401)] {
        assert_eq!(status("/recent", &logged_in(seconds_ago)), expected, "{seconds_ago}");
    }
    for auth_time in [json!(null), json!(NOW.to_string()), json!(true), json!(-1), json!(1e300)] {
        assert_eq!(status("/recent", &logged_in(0).claim("auth_time", auth_time.clone())), 401, "{auth_time}");
    }
    assert_eq!(status("/recent", &logged_in(0).without("auth_time")), 401);

    let refused = get("/both", &logged_in(600));
    assert_eq!((refused.status, code(&refused)), (401, "insufficient_user_authentication".into()));
    let problem = problem(&refused);
    assert_eq!((&problem["acr_values"], &problem["max_age"]), (&json!("urn:mfa"), &json!("60")));
    assert_eq!(problem.get("login"), None, "a login brings no bearer token");
    assert_eq!(
        refused.header("www-authenticate").unwrap(),
        "Bearer realm=\"edgeward\", error=\"insufficient_user_authentication\", \
         error_description=\"This needs a stronger or more recent login.\", acr_values=\"urn:mfa\", max_age=\"60\""
    );
    let refused = get("/mfa", &logged_in(0).without("acr"));
    assert!(refused.header("www-authenticate").unwrap().ends_with(", acr_values=\"urn:mfa urn:hw\""));
    // Another login would not help.
    assert_eq!(code(&get("/both", &logged_in(600).claim("scope", "other"))), "insufficient_scope");
    assert_eq!(reply(&gateway, "GET", "/optional", &[]).status, 200);
    assert_eq!(code(&get("/optional", &token())), "insufficient_user_authentication");
    assert_eq!(reply(&gateway, "GET", "/mfa", &[]).header("www-authenticate"), Some("Bearer realm=\"edgeward\""));
}

#[test]
fn the_challenge_names_the_metadata_of_the_resource_too() {
    let mut config = with(&[("/mfa", json!({ "acr": "urn:mfa", "scopes": ["read:things"] }))]);
    config["protected_resource"] = json!({ "resource": "https://app.example.com/" });
    let refused = reply(&gateway(&config), "GET", "/mfa", &[("authorization", &bearer(&token()))]);
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(challenge.contains("acr_values=\"urn:mfa\", resource_metadata=\"https://"), "{challenge}");
}

#[test]
fn routes_that_require_different_logins_are_different_policies() {
    let logins = [
        json!({}),
        json!({ "acr": "a" }),
        json!({ "acr": ["a", "b"] }),
        json!({ "max_age": 60 }),
        json!({ "max_age": 61 }),
        json!({ "acr": "a", "max_age": 60 }),
    ];
    for (at, one) in logins.iter().enumerate() {
        for (index, other) in logins.iter().enumerate() {
            let gateway = gateway(&with(&[("/a/b", one.clone()), ("/{*rest}", other.clone())]));
            let refused = reply(&gateway, "GET", "/a%2Fb", &[]);
            assert_eq!(refused.status == 400, at != index, "{one} {other}: {}", refused.body);
        }
    }
    let gateway = gateway(&with(&[("/a/b", json!({ "acr": ["a", "b"] })), ("/{*rest}", json!({ "acr": ["b", "a"] }))]));
    assert_eq!(reply(&gateway, "GET", "/a%2Fb", &[]).status, 401, "the order does not matter");
}

#[test]
fn of_a_page_with_and_without_a_slash_the_one_with_the_stricter_login_decides() {
    for (weak, strict) in [
        (json!({}), json!({ "acr": "urn:hw" })),
        (json!({ "acr": ["urn:mfa", "urn:hw"] }), json!({ "acr": "urn:hw" })),
        (json!({ "max_age": 900 }), json!({ "max_age": 60 })),
    ] {
        for routes in
            [[("/a", weak.clone()), ("/a/{b}", strict.clone())], [("/a", strict.clone()), ("/a/{b}", weak.clone())]]
        {
            let refused = reply(&gateway(&with(&routes)), "GET", "/a/", &[("authorization", &bearer(&logged_in(600)))]);
            assert_eq!(code(&refused), "insufficient_user_authentication", "{routes:?}");
        }
    }
    let routes = [("/a", json!({ "acr": "a" })), ("/a/{b}", json!({ "max_age": 60 }))];
    assert_eq!(reply(&gateway(&with(&routes)), "GET", "/a/", &[]).status, 400, "neither is stricter");
}

#[test]
fn problems_of_the_configuration() {
    let problems = |config: &Value| {
        let problems = compile(&config.to_string(), &|_| None).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let of = |more: Value| problems(&with(&[("/a", more)])).remove(0);
    let values = "must list values of visible ASCII characters, without quotes and backslashes";
    for acr in [json!([]), json!("a b"), json!(["a", "b\""]), json!("a\\"), json!("é")] {
        assert_eq!(of(json!({ "acr": acr })), format!("error at paths[18].acr: {values}"));
    }
    assert_eq!(
        of(json!({ "acr": ["a".repeat(128), "b".repeat(128)] })),
        "error at paths[18].acr: is too long to request of the provider"
    );
    for max_age in [json!(59), json!(-1), json!("x"), json!(1.5)] {
        assert!(of(json!({ "max_age": max_age })).starts_with("error at paths[18].max_age: must be a whole number"));
    }
    assert!(of(json!({ "auth": "none", "max_age": 60 })).starts_with("error at paths[18].auth: is \"none\""));
    let mut fixed = with(&[("/a", json!({ "acr": "a", "max_age": 60 }))]);
    fixed["authorizer"]["authorization_params"] = json!({ "acr_values": "b", "max_age": "30" });
    assert_eq!(
        problems(&fixed),
        [
            "error at paths[18].acr: cannot be requested: authorizer.authorization_params has acr_values",
            "error at paths[18].max_age: cannot be requested: authorizer.authorization_params has max_age",
        ]
    );
}

#[test]
fn an_explanation_names_the_required_login() {
    let gateway = gateway(&with(&[("/both", json!({ "acr": "urn:mfa", "max_age": 60 }))]));
    let host = VirtualHost::default();
    let login = |token: &Mint| {
        let authorization = bearer(token);
        let header = |name: &str| (name == "authorization").then(|| authorization.clone());
        let head = RequestHead { method: "GET", url: "https://app.example.com/both", header: &header };
        let checks = host.run(gateway.explain(&head, &host)).checks;
        checks.into_iter().find(|check| check.name == "login").unwrap()
    };
    let met = login(&logged_in(10));
    assert_eq!((met.expected.as_str(), met.failure), ("acr_values urn:mfa, max_age 60", None));
    let (code, message) = login(&logged_in(600)).failure.unwrap();
    assert_eq!(code, "insufficient_user_authentication");
    assert_eq!(message, "This needs a stronger or more recent login.");
}
