//! Redirects that would never end are refused at start, with their place.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::compile;

/// A configuration with these routes beside those of a login, and changes to its authorizer.
fn problems(paths: &Value, authorizer: &Value, session: &Value) -> Vec<String> {
    let mut config = json!({
        "authorizer": {
            "type": "auth0", "domain": "tenant.example.com", "audience": "https://api.example.com", "client_id": "c",
            "client_secret": "client secret", "redirect_uri": "https://app.example.com/cb",
            "roles_claim": "https://example.com/roles"
        },
        "session": { "secrets": "a sealing secret of at least 32 characters" },
        "paths": paths
    });
    for (name, changes) in [("authorizer", authorizer), ("session", session)] {
        for (key, value) in changes.as_object().unwrap() {
            config[name][key] = value.clone();
        }
    }
    let problems = match compile(&config.to_string(), &|_| None) {
        Ok(compiled) => compiled.warnings,
        Err(problems) => problems,
    };
    problems.iter().map(ToString::to_string).collect()
}

fn route(path: &str, more: &Value) -> Value {
    let mut route = json!({ "method": "ANY", "path": path, "integration": { "type": "respond" } });
    for (key, value) in more.as_object().unwrap() {
        route[key] = value.clone();
    }
    route
}

fn flow(path: &str, kind: &str) -> Value {
    json!({ "method": "GET", "path": path, "integration": { "type": kind } })
}

fn with_login(routes: &[Value]) -> Value {
    [routes, &[flow("/login", "login"), flow("/cb", "callback"), flow("/logout", "logout")]].concat().into()
}

fn assert_refused(found: &[String], place: &str, text: &str) {
    let start = format!("error at {place}: ");
    assert!(found.iter().any(|one| one.starts_with(&start) && one.contains(text)), "{place}: {found:?}");
}

#[test]
fn no_redirect_leads_to_a_page_that_requires_the_missing_right() {
    let editors = |path: &str, target: &str| route(path, &json!({ "roles": ["editor"], "on_forbidden": target }));
    let both = json!({ "roles": ["editor", "admin"] });
    for (what, routes, places) in [
        ("to itself", vec![editors("/a", "/a")], &["paths[0]"][..]),
        ("within itself", vec![editors("/a/{*rest}", "/a/denied")], &["paths[0]"]),
        ("in a circle", vec![editors("/a", "/b"), editors("/b", "/a")], &["paths[0]", "paths[1]"]),
        (
            "in a circle of different rights",
            vec![
                editors("/a", "/b"),
                route("/b", &json!({ "scopes": ["x"], "on_forbidden": "/c" })),
                route("/c", &json!({ "permissions": ["y"], "on_forbidden": "/a" })),
            ],
            &["paths[0]", "paths[1]", "paths[2]"],
        ),
        ("to a page that demands as much", vec![editors("/a", "/b"), route("/b", &both)], &["paths[0]"]),
        (
            "to a page with the same rule",
            vec![
                route("/a", &json!({ "claims": { "acr": "2" }, "on_forbidden": "/b" })),
                route("/b", &json!({ "claims": { "acr": "2", "groups": { "any": ["a"] } } })),
            ],
            &["paths[0]"],
        ),
        (
            "to a page with fewer alternatives",
            vec![
                route("/a", &json!({ "scopes": { "any": ["x", "y"] }, "on_forbidden": "/b" })),
                route("/b", &json!({ "scopes": { "any": ["x"] } })),
            ],
            &["paths[0]"],
        ),
        ("by a login that comes back", vec![editors("/{*rest}", "/login")], &["paths[0]"]),
        (
            "over its prefix",
            vec![route("/a", &json!({ "scopes": ["x"], "auth": "optional", "on_forbidden": "/a" }))],
            &["paths[0]"],
        ),
    ] {
        let found = problems(&with_login(&routes), &json!({}), &json!({}));
        for place in places {
            assert_refused(&found, &format!("{place}.on_forbidden"), "refuses the same users");
        }
        assert_eq!(found.iter().filter(|one| one.starts_with("error")).count(), places.len(), "{what}: {found:?}");
    }
}

#[test]
fn where_a_redirect_arrives_it_stays() {
    let editors = |path: &str, target: &str| route(path, &json!({ "roles": ["editor"], "on_forbidden": target }));
    for (what, routes) in [
        ("a public page", vec![editors("/a", "/b"), route("/b", &json!({ "auth": "none" }))]),
        ("a page for every logged-in user", vec![editors("/a", "/b"), route("/b", &json!({}))]),
        (
            "another page that demands less",
            vec![
                route("/a", &json!({ "roles": ["editor", "admin"], "on_forbidden": "/b" })),
                route("/b", &json!({ "roles": ["editor"] })),
            ],
        ),
        (
            "a chain with an end",
            vec![
                editors("/a", "/b"),
                route("/b", &json!({ "scopes": ["x"], "on_forbidden": "/c" })),
                route("/c", &json!({ "auth": "none" })),
            ],
        ),
        (
            "pages with another rule and more alternatives",
            vec![
                route("/a", &json!({ "claims": { "acr": "2" }, "on_forbidden": "/b" })),
                route("/b", &json!({ "claims": { "acr": "1" } })),
                route("/c", &json!({ "permissions": { "any": ["x"] }, "on_forbidden": "/d" })),
                route("/d", &json!({ "permissions": { "any": ["x", "y"] } })),
                route("/e", &json!({ "roles": { "any": ["x"] }, "on_forbidden": "/f" })),
                route("/f", &json!({ "roles": { "any": ["x", "y"] } })),
            ],
        ),
        ("the more specific route", vec![editors("/{*rest}", "/denied"), route("/denied", &json!({ "auth": "none" }))]),
        ("a login that ends elsewhere", vec![editors("/a", "/login"), route("/", &json!({ "auth": "none" }))]),
        ("the logout", vec![editors("/a", "/logout")]),
    ] {
        let found = problems(&with_login(&routes), &json!({}), &json!({}));
        assert!(!found.iter().any(|one| one.starts_with("error")), "{what}: {found:?}");
    }
    let found = problems(&with_login(&[editors("/a", "/nowhere")]), &json!({}), &json!({}));
    assert!(
        found.iter().any(|one| one.starts_with("warning at paths[0].on_forbidden: leads to /nowhere")),
        "{found:?}"
    );
}

#[test]
fn organizations_and_clients_of_all_routes_count() {
    let orgs = json!({ "organizations": ["org_1"] });
    let found = problems(
        &with_login(&[route("/a", &json!({ "on_forbidden": "/b" })), route("/b", &json!({}))]),
        &orgs,
        &json!({}),
    );
    assert_refused(&found, "paths[0].on_forbidden", "refuses the same users");
    let editors = route("/a", &json!({ "roles": ["editor"], "on_forbidden": "/b" }));
    let found = problems(&with_login(&[editors, route("/b", &json!({}))]), &orgs, &json!({}));
    assert!(!found.iter().any(|one| one.starts_with("error")), "the organization was not what was lacking: {found:?}");
    let clients = json!({ "clients": ["c"] });
    let circle = [route("/a", &json!({ "on_forbidden": "/b" })), route("/b", &json!({ "on_forbidden": "/a" }))];
    let found = problems(&with_login(&circle), &clients, &json!({}));
    assert_refused(&found, "paths[1].on_forbidden", "refuses the same users");
    assert!(!problems(&with_login(&circle), &json!({}), &json!({})).iter().any(|one| one.starts_with("error")));
}

#[test]
fn a_login_ends_on_a_page_and_needs_no_login() {
    let own = |path: &str| json!({ "callback_uri": format!("https://app.example.com{path}") });
    for (paths, authorizer, place, text) in [
        (with_login(&[]), own("/login?return_to=/a"), "authorizer.callback_uri", "is no page"),
        (with_login(&[]), own("/cb"), "authorizer.callback_uri", "is no page"),
        (with_login(&[]), own("/logout"), "authorizer.callback_uri", "is no page"),
        (json!([flow("/", "login"), flow("/cb", "callback")]), json!({}), "authorizer.callback_uri", "is no page"),
        (
            with_login(&[]),
            json!({ "post_logout_uri": "https://app.example.com/logout" }),
            "authorizer.post_logout_uri",
            "is no page",
        ),
        (
            json!([flow("/", "logout"), flow("/login", "login"), flow("/cb", "callback")]),
            json!({}),
            "authorizer.post_logout_uri",
            "is no page",
        ),
        (
            json!([{ "method": "GET", "path": "/login", "auth": "required", "integration": { "type": "login" } }, flow("/cb", "callback")]),
            json!({}),
            "paths[0].auth",
            "users log in here",
        ),
        (
            json!([{ "method": "GET", "path": "/cb", "auth": true, "integration": { "type": "callback" } }]),
            json!({}),
            "paths[0].auth",
            "users log in here",
        ),
        (
            json!([{ "method": "POST", "path": "/cb", "integration": { "type": "callback" } }]),
            json!({}),
            "paths[0].method",
            "must include GET",
        ),
        (
            json!([
                { "method": "POST", "path": "/login", "integration": { "type": "login" } }, flow("/cb", "callback"),
                { "method": "GET", "path": "/a", "on_unauthenticated": "login", "integration": { "type": "respond" } }
            ]),
            json!({}),
            "paths[2].on_unauthenticated",
            "method GET",
        ),
    ] {
        assert_refused(&problems(&paths, &authorizer, &json!({})), place, text);
    }
    for authorizer in [
        own("/welcome"),
        json!({ "callback_uri": "https://www.example.com/login", "post_logout_uri": "https://www.example.com/logout" }),
        json!({ "post_logout_uri": "https://app.example.com/login" }),
        json!({ "post_logout_uri": "https://app.example.com/" }),
    ] {
        let found = problems(&with_login(&[]), &authorizer, &json!({}));
        assert!(!found.iter().any(|one| one.starts_with("error")), "{authorizer}: {found:?}");
    }
}

#[test]
fn a_session_is_kept_where_the_login_ends() {
    let session = |domain: &str| json!({ "cookie": "__Secure-s", "domain": domain });
    for domain in ["other.example.com", "example.org", "badexample.com", "x.app.example.com"] {
        assert_refused(&problems(&with_login(&[]), &json!({}), &session(domain)), "session.domain", "parent of it");
    }
    for domain in ["example.com", "app.example.com"] {
        let found = problems(&with_login(&[]), &json!({}), &session(domain));
        assert!(!found.iter().any(|one| one.starts_with("error")), "{found:?}");
    }
}
