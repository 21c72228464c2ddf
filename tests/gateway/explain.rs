//! Explanations: what they leave to the provider and to shared records, and that they ask neither.

use edgeward::gateway::{Explanation, Gateway, Undecided};
use edgeward::http::RequestHead;
use serde_json::json;
use support::host::VirtualHost;
use support::{AUDIENCE, ISSUER, Mint, NOW};

use crate::{Headers, Login, ORIGIN, config, keys, token};

/// Returns a gateway with introspection, revocations and routes that send tokens of their own to upstreams.
fn gateway() -> Gateway {
    let mut config = config();
    config["authorizer"]["introspection"] = json!({ "endpoint": "https://tenant.example.com/introspect" });
    config["authorizer"]["issuers"] = json!([{ "issuer": "https://other.example/", "jwks": keys() }]);
    config["authorizer"]["roles_claim"] = json!("roles");
    let paths = config["paths"].as_array_mut().unwrap();
    paths.push(
        json!({ "method": "POST", "path": "/revoke", "scopes": ["revoke"], "integration": { "type": "revoke" } }),
    );
    let exchange = json!({ "exchange": { "audience": "https://orders.example" } });
    let m2m = json!({ "m2m": { "audience": "https://orders.example", "scope": "read:orders" } });
    let rights = json!({
        "audience": AUDIENCE, "organizations": ["acme", "org_2"],
        "scopes": { "all": ["read:items", "write:items"], "any": ["a", "b"] }, "permissions": { "all": ["r"], "any": ["p", "q"] },
        "roles": ["editor"],
        "claims": {
            "tenant": "gold", "email_verified": true, "team": { "any": ["x", "y"], "not": ["z"] },
            "mail": { "prefix": "a@", "all": ["a@example.com"] }
        }
    });
    for (path, auth, more, upstream) in [
        ("/m2m", "required", json!({}), &m2m),
        ("/m2m/scope", "required", json!({ "scopes": ["missing"] }), &m2m),
        ("/m2m/open", "none", json!({}), &m2m),
        ("/exchange", "required", json!({}), &exchange),
        ("/exchange/optional", "optional", json!({}), &exchange),
        ("/observed", "required", json!({ "observe": true }), &json!(null)),
        ("/rights", "required", rights, &json!(null)),
    ] {
        let mut integration = json!({ "type": "http_proxy", "url": "https://origin.example" });
        if !upstream.is_null() {
            integration["upstream_auth"] = upstream.clone();
        }
        let mut route = json!({ "method": "GET", "path": path, "auth": auth, "integration": integration });
        for (name, value) in more.as_object().unwrap() {
            route[name] = value.clone();
        }
        paths.push(route);
    }
    crate::gateway(&config)
}

fn explain(target: &str, headers: Headers<'_>) -> Explanation {
    let (gateway, host) = (gateway(), VirtualHost::default());
    let url = format!("{ORIGIN}{target}");
    let header = |name: &str| headers.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
    let explanation = host.run(gateway.explain(&RequestHead { method: "GET", url: &url, header: &header }, &host));
    assert!(host.seen().sent.is_empty() && host.seen().lines.is_empty(), "nothing is asked");
    explanation
}

fn with_token(target: &str, token: &str) -> Explanation {
    explain(target, &[("authorization", &format!("Bearer {token}"))])
}

/// Returns what is left undecided.
fn undecided(explanation: &Explanation) -> Vec<(&str, Undecided)> {
    explanation.checks.iter().filter_map(|check| Some((check.name.as_str(), check.undecided?))).collect()
}

fn failure(explanation: &Explanation) -> Option<&str> {
    explanation.checks.iter().find_map(|check| Some(check.failure.as_ref()?.0.as_str()))
}

const REVOCATION: (&str, Undecided) = ("revocation", Undecided::Records);
const UPSTREAM: (&str, Undecided) = ("upstream_auth", Undecided::Provider);

fn of_issuer(issuer: &str) -> String {
    token().claim("iss", issuer).text()
}

#[test]
fn an_opaque_token_is_left_to_the_provider_and_nothing_follows() {
    let explanation = with_token("/m2m", "opaque-token");
    assert_eq!(undecided(&explanation), [("token", Undecided::Provider)]);
    assert_eq!(failure(&explanation), None);
    assert_eq!(explanation.checks.last().unwrap().name, "token");
}

#[test]
fn revocations_are_left_to_the_records_and_the_rest_is_checked() {
    let explanation = with_token("/api/x", &token().text());
    assert_eq!((undecided(&explanation), failure(&explanation)), (vec![REVOCATION], None));
    let cookie = Login::new().cookie();
    let explanation = explain("/api/x", &[("cookie", &cookie)]);
    assert_eq!((undecided(&explanation), failure(&explanation)), (vec![REVOCATION], None));
    let explanation = with_token("/api/x", &token().claim("exp", NOW - 60).text());
    assert_eq!((undecided(&explanation), failure(&explanation)), (vec![], Some("token_expired")));
}

#[test]
fn a_token_for_the_upstream_is_left_to_the_provider_where_one_would_be_requested() {
    let token = token().text();
    let explanation = with_token("/m2m", &token);
    assert_eq!(undecided(&explanation), [REVOCATION, UPSTREAM]);
    let check = explanation.checks.last().unwrap();
    assert_eq!(check.expected, "m2m, audience https://orders.example, scope read:orders");
    let explanation = with_token("/exchange", &token);
    assert_eq!(explanation.checks.last().unwrap().expected, "exchange, audience https://orders.example");
    assert_eq!(undecided(&explain("/m2m/open", &[])), [UPSTREAM]);
    let cookie = Login::new().with("at", &*token).cookie();
    assert_eq!(undecided(&explain("/m2m", &[("cookie", &cookie)])), [REVOCATION, UPSTREAM]);

    // There is no token to exchange, the request is refused before, or the token is of another issuer.
    assert_eq!(undecided(&explain("/exchange/optional", &[])), []);
    let explanation = with_token("/m2m/scope", &token);
    assert_eq!((undecided(&explanation), failure(&explanation)), (vec![REVOCATION], Some("insufficient_scope")));
    let explanation = with_token("/exchange", &of_issuer("https://other.example/"));
    assert_eq!((undecided(&explanation), failure(&explanation)), (vec![REVOCATION], Some("upstream_issuer_mismatch")));
    assert_eq!(failure(&with_token("/exchange", &of_issuer(ISSUER))), None);
}

#[test]
fn a_route_that_only_observes_is_told_apart() {
    let observes = |target: &str| explain(target, &[]).route.map(|route| route.only_observes);
    assert_eq!((observes("/observed"), observes("/m2m/open")), (Some(true), Some(false)));
}

#[test]
fn each_reading_of_a_path_is_shown_with_the_routes_that_it_matches() {
    let paths = [("GET", "/a/{x}/b"), ("POST", "/a/{x}/b"), ("GET", "/a/{*rest}"), ("GET", "/@me")];
    let mut config = config();
    for (method, path) in paths {
        let route = json!({ "method": method, "path": path, "integration": { "type": "respond" } });
        config["paths"].as_array_mut().unwrap().push(route);
    }
    let (gateway, host) = (crate::gateway(&config), VirtualHost::default());
    let (inner, rest, admin) = (Some("/a/{x}/b"), Some("/a/{*rest}"), Some("/admin"));
    for (path, expected) in [
        ("/a/1/b", &[("/a/1/b", true, &[inner][..])][..]),
        ("/a/1/c", &[("/a/1/c", true, &[rest])]),
        ("/b", &[("/b", true, &[None])]),
        ("/Admin", &[("/Admin", true, &[None, admin])]),
        ("/a//b", &[("/a//b", true, &[rest, inner]), ("/a/b", false, &[rest])]),
        ("/%40me", &[("/%40me", false, &[Some("/@me")]), ("/@me", true, &[Some("/@me")])]),
    ] {
        let url = format!("{ORIGIN}{path}");
        let head = RequestHead { method: "GET", url: &url, header: &|_| None };
        let readings = host.run(gateway.explain(&head, &host)).readings;
        let shown: Vec<(&str, bool, Vec<Option<&str>>)> = readings
            .iter()
            .map(|one| (one.path.as_str(), one.is_main, one.routes.iter().map(Option::as_deref).collect()))
            .collect();
        let expected: Vec<_> =
            expected.iter().map(|(path, is_main, routes)| (*path, *is_main, routes.to_vec())).collect();
        assert_eq!(shown, expected, "{path}");
    }
}

/// A requirement: its name, what it expects, and what the token has.
type Shown = (&'static str, &'static str, &'static str);

/// Returns what is shown of the requirements of `/rights`, and the first failure.
fn rights(token: &Mint) -> (Vec<(String, String, String)>, Option<String>) {
    let explanation = with_token("/rights", &token.text());
    let first = explanation.checks.iter().position(|check| check.name == "audience").unwrap();
    let failure = explanation.checks[first..].iter().find_map(|check| Some(check.failure.clone()?.0));
    let shown = explanation.checks[first..].iter();
    (shown.map(|check| (check.name.clone(), check.expected.clone(), check.found.clone())).collect(), failure)
}

const FITTING: [Shown; 9] = [
    ("audience", AUDIENCE, AUDIENCE),
    ("organization", "any of acme, org_2", "org_2"),
    ("scopes", "read:items, write:items, and any of a, b", "read:items, write:items, b"),
    ("permissions", "r, and any of p, q", r#"["r","q"]"#),
    ("roles", "editor", r#"["editor"]"#),
    ("email_verified", "true", "true"),
    ("mail", "a@example.com, and a value that begins with a@", "a@example.com"),
    ("team", "any of x, y, and none of z", "x"),
    ("tenant", "gold", "gold"),
];

/// Returns a token that meets every requirement of `/rights`.
fn fitting() -> Mint {
    token()
        .claim("org_id", "org_2")
        .claim("scope", "read:items write:items b")
        .claim("permissions", json!(["r", "q"]))
        .claim("roles", json!(["editor"]))
        .claim("tenant", "gold")
        .claim("email_verified", true)
        .claim("team", "x")
        .claim("mail", "a@example.com")
}

#[test]
fn each_requirement_is_shown_with_what_it_expects_and_what_the_token_has() {
    let owned = |(name, expected, found): &Shown| (name.to_string(), expected.to_string(), found.to_string());
    assert_eq!(rights(&fitting()), (FITTING.iter().map(owned).collect(), None));
}

#[test]
fn each_requirement_fails_on_its_own() {
    for (name, claim, value) in [
        ("organization", "org_id", json!("org_1")),
        ("scopes", "scope", json!("read:items b")),
        ("scopes", "scope", json!("read:items write:items")),
        ("permissions", "permissions", json!(["q"])),
        ("permissions", "permissions", json!(["r"])),
        ("roles", "roles", json!(["viewer"])),
        ("tenant", "tenant", json!("silver")),
        ("email_verified", "email_verified", json!(false)),
        ("team", "team", json!("z")),
        ("mail", "mail", json!("b@example.com")),
    ] {
        let explanation = with_token("/rights", &fitting().claim(claim, value.clone()).text());
        let failing: Vec<&str> = explanation
            .checks
            .iter()
            .filter(|check| check.failure.is_some())
            .map(|check| check.name.as_str())
            .collect();
        assert_eq!(failing, [name], "{claim} is {value}");
    }
}

#[test]
fn a_verified_token_is_shown_with_what_it_was_compared_with() {
    let explanation = with_token("/rights", &fitting().text());
    let check = |name: &str| {
        let check = explanation.checks.iter().find(|check| check.name == name).unwrap();
        (check.expected.clone(), check.found.clone())
    };
    let owned = |(expected, found): (&str, &str)| (expected.to_owned(), found.to_owned());
    assert_eq!(check("iss"), owned((ISSUER, ISSUER)));
    assert_eq!(check("aud"), owned((AUDIENCE, AUDIENCE)));
    let (algorithms, found) = check("signature");
    assert!(
        found.starts_with("RS256, kid ") && algorithms.split(", ").any(|one| one == "RS256"),
        "{algorithms} {found}"
    );
}
