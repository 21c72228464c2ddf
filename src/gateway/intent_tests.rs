//! Login, callback and logout with every combination of the headers by which browsers describe a request.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::ops::ControlFlow::{Break, Continue};

use serde_json::json;

use super::action::Action;
use super::matched::Credentials;
use super::route::LoginStep;
use super::{Answer, Gateway, Outcome, compile};
use crate::http::{Reply, RequestHead};
use crate::io::UnixTime;

type Header = (&'static str, &'static str);

const TRUSTED: &str = "https://www.example.com";

fn gateway(methods: &serde_json::Value) -> Gateway {
    let route = |path: &str, kind: &str| json!({ "method": methods, "path": path, "integration": { "type": kind } });
    let config = json!({
        "authorizer": {
            "type": "auth0", "domain": "tenant.example.com", "audience": "https://api.example.com", "client_id": "c",
            "client_secret": "client secret", "redirect_uri": "https://app.example.com/cb",
            "scope": "openid offline_access"
        },
        "session": { "secrets": "a sealing secret of at least 32 characters" },
        "cors": { "allow_origins": [TRUSTED], "allow_credentials": true },
        "paths": [
            route("/login", "login"), route("/logout", "logout"),
            { "method": "ANY", "path": "/cb", "integration": { "type": "callback" } },
            { "method": "ANY", "path": "/userinfo", "auth": "optional", "integration": { "type": "userinfo" } },
            { "method": "ANY", "path": "/refresh", "auth": "optional", "integration": { "type": "refresh" } }
        ]
    });
    compile(&config.to_string(), &|_| None).unwrap().gateway
}

/// Returns the login step, or the response if there is none.
fn ask(gateway: &Gateway, method: &str, path: &str, headers: &[Header]) -> Result<LoginStep, Reply> {
    let header = |name: &str| match name {
        "cookie" => Some("__Host-edgeward-login-abcdefgh=1.x".into()),
        _ => headers.iter().find(|(one, _)| *one == name).map(|(_, value)| value.to_string()),
    };
    let url = alloc::format!("https://app.example.com{path}");
    let head = RequestHead { method, url: &url, header: &header };
    let request = passed(gateway.match_route(&head))?;
    let credentials = passed(request.credentials(&head, UnixTime::from_secs(0)))?;
    assert!(matches!(credentials, Credentials::Anonymous));
    match request.action(&head, None) {
        Action::Login(step, _) => Ok(step),
        Action::Answer(Answer::Reply(reply)) => Err(reply),
        Action::Answer(other) => panic!("{other:?}"),
        Action::Revoke => panic!("not a login step"),
        Action::Status(_) => panic!("{path} is no login step"),
    }
}

fn passed<T>(outcome: Outcome<T>) -> Result<T, Reply> {
    match outcome {
        Continue(value) => Ok(value),
        Break(reply) => Err(reply),
    }
}

/// Each header with each of its values, and without.
const CHOICES: [(&str, &[&str]); 6] = [
    ("sec-fetch-mode", &["navigate", "cors", "no-cors", "same-origin", "navigate, cors", ""]),
    ("sec-fetch-dest", &["document", "iframe", "empty", "image", "fencedframe"]),
    ("sec-fetch-site", &["none", "same-origin", "same-site", "cross-site", "same-origin, cross-site"]),
    ("sec-fetch-user", &["?1"]),
    ("origin", &["https://app.example.com", TRUSTED, "https://evil.example", "null"]),
    ("x-requested-with", &["XMLHttpRequest"]),
];

const PREFETCHES: [Header; 14] = [
    ("sec-purpose", "prefetch"),
    ("sec-purpose", "prefetch;prerender"),
    ("sec-purpose", "prefetch;anonymous-client-ip"),
    ("x-sec-purpose", "prefetch"),
    ("purpose", "prefetch"),
    ("x-purpose", "preview"),
    ("x-moz", "prefetch"),
    ("moz-purpose", "prefetch"),
    ("sec-fetch-purpose", "prefetch"),
    ("next-router-prefetch", "1"),
    ("next-router-segment-prefetch", "/_tree"),
    ("x-middleware-prefetch", "1"),
    ("hx-preloaded", "true"),
    ("purpose", "Prefetch, other"),
];

fn combinations() -> Vec<Vec<Header>> {
    let mut all: Vec<Vec<Header>> = Vec::from([Vec::new()]);
    for (name, values) in CHOICES {
        let longer =
            all.iter().flat_map(|some| values.iter().map(|value| [some.as_slice(), &[(name, *value)]].concat()));
        let longer: Vec<_> = longer.collect();
        all.extend(longer);
    }
    all
}

/// The rules, stated independently of the implementation.
fn is_intended(step: LoginStep, method: &str, headers: &[Header]) -> bool {
    let given = |name: &str| headers.iter().find(|(one, _)| *one == name).map(|(_, value)| *value);
    let is = |name: &str, allowed: &[&str]| given(name).is_none_or(|value| allowed.contains(&value));
    match method {
        "GET" => {
            // The destination of a navigation that a service worker passes on is `empty`, and its mode cannot be set by a script.
            let is_passed_on = given("sec-fetch-mode") == Some("navigate") && given("sec-fetch-dest") == Some("empty");
            let is_page = is("sec-fetch-mode", &["navigate"])
                && (is("sec-fetch-dest", &["document"]) || is_passed_on)
                && given("x-requested-with").is_none();
            let is_own = is("sec-fetch-site", &["none", "same-origin"])
                || given("sec-fetch-site") == Some("same-site") && given("sec-fetch-dest") == Some("document");
            is_page && (step != LoginStep::Logout || is_own)
        }
        "POST" | "DELETE" => {
            let own_origin =
                given("origin").is_some_and(|origin| ["https://app.example.com", TRUSTED].contains(&origin));
            let own_site = match given("sec-fetch-site") {
                Some(site) => ["none", "same-origin"].contains(&site),
                None => given("origin").is_none(),
            };
            step != LoginStep::Callback && (own_site || own_origin)
        }
        _ => false,
    }
}

fn assert_no_effect(reply: &Reply, what: &dyn core::fmt::Debug) {
    assert!(matches!(reply.status, 200 | 400 | 403), "{what:?}: {}", reply.status);
    assert!(reply.header("set-cookie").is_none() && reply.header("location").is_none(), "{what:?}");
    assert!(reply.header("cache-control").unwrap().contains("no-store"), "{what:?}");
}

#[test]
fn only_intended_steps_are_performed_for_any_combination_of_headers() {
    let gateway = gateway(&json!("ANY"));
    let (mut done, mut refused) = (0, 0);
    for headers in combinations() {
        for (path, step) in [("/login", LoginStep::Begin), ("/cb", LoginStep::Callback), ("/logout", LoginStep::Logout)]
        {
            for method in ["GET", "HEAD", "POST", "DELETE"] {
                let expected = is_intended(step, method, &headers);
                match ask(&gateway, method, path, &headers) {
                    Ok(LoginStep::Inspect) => {
                        assert!(!expected && method == "GET" && step == LoginStep::Callback, "{headers:?}");
                    }
                    Ok(taken) => {
                        assert!(expected && taken == step, "{method} {path} {headers:?}");
                        done += 1;
                    }
                    Err(reply) => {
                        assert!(!expected, "{method} {path} {headers:?}");
                        assert_no_effect(&reply, &(method, path, &headers));
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(done > 500 && refused > 10_000, "{done} {refused}");
}

#[test]
fn a_prefetch_has_no_effect_with_any_other_headers() {
    let gateway = gateway(&json!("ANY"));
    for headers in combinations().iter().step_by(7) {
        for purpose in PREFETCHES {
            let headers = [headers.as_slice(), &[purpose]].concat();
            for path in ["/login", "/cb", "/logout"] {
                for method in ["GET", "HEAD", "POST"] {
                    let reply = ask(&gateway, method, path, &headers).unwrap_err();
                    assert_no_effect(&reply, &(method, path, &headers));
                }
            }
        }
    }
}

/// The headers of a navigation that a service worker passes on with `fetch(event.request)`, as Chromium sends them.
fn passed_on(site: &'static str) -> [Header; 3] {
    [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "empty"), ("sec-fetch-site", site)]
}

#[test]
fn navigations_that_a_service_worker_passes_on_log_in_and_out() {
    let gateway = gateway(&json!("GET"));
    // The provider's page initiates the callback, and with it the page after the login.
    for site in ["none", "same-origin", "same-site", "cross-site"] {
        assert_eq!(ask(&gateway, "GET", "/login", &passed_on(site)), Ok(LoginStep::Begin), "{site}");
        assert_eq!(ask(&gateway, "GET", "/cb", &passed_on(site)), Ok(LoginStep::Callback), "{site}");
    }
    // The link of the confirmation page is of this origin: it ends the session, and does not lead to the same page again.
    assert_eq!(ask(&gateway, "GET", "/logout", &passed_on("same-origin")), Ok(LoginStep::Logout));
}

#[test]
fn refresh_and_userinfo_need_no_intent() {
    let gateway = gateway(&json!("ANY"));
    for headers in combinations().iter().step_by(11) {
        for method in ["GET", "HEAD", "POST"] {
            assert_eq!(ask(&gateway, method, "/userinfo", headers), Ok(LoginStep::Userinfo));
            assert_eq!(ask(&gateway, method, "/refresh", headers), Ok(LoginStep::Refresh));
        }
    }
}

#[test]
fn each_refusal_tells_the_client_what_to_do() {
    let gateway = gateway(&json!("ANY"));
    assert_eq!(ask(&gateway, "GET", "/cb", &[("sec-fetch-mode", "cors")]), Ok(LoginStep::Inspect));
    for (method, path, headers, status, text) in [
        ("GET", "/login", &[("sec-fetch-mode", "cors")][..], 400, "navigation_required"),
        ("GET", "/logout", &[("sec-fetch-mode", "cors")], 400, "send a POST"),
        ("POST", "/cb", &[], 400, "navigation_required"),
        ("GET", "/login", &[("sec-fetch-dest", "iframe")], 400, "Open this page in its own tab"),
        ("GET", "/cb", &[("sec-fetch-dest", "iframe")], 400, "open this site in its own tab"),
        ("GET", "/logout", &[("sec-fetch-dest", "iframe")], 200, "logout_needs_confirmation"),
        ("GET", "/logout", &[("sec-fetch-site", "cross-site")], 200, "logout_needs_confirmation"),
        ("GET", "/logout", &passed_on("cross-site"), 200, "logout_needs_confirmation"),
        ("GET", "/logout", &passed_on("same-site"), 200, "logout_needs_confirmation"),
        ("POST", "/logout", &[("sec-fetch-site", "cross-site")], 200, "logout_needs_confirmation"),
        ("POST", "/login", &[("origin", "https://evil.example")], 403, "cross_site_request"),
        ("HEAD", "/login", &[], 200, ""),
        ("OPTIONS", "/logout", &[], 200, ""),
    ] {
        let reply = ask(&gateway, method, path, headers).unwrap_err();
        let url = format!("https://app.example.com{path}");
        let header = |name: &str| headers.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_string());
        // The handling of a request ends with this step.
        let reply = gateway.rendered(reply, &RequestHead { method, url: &url, header: &header });
        assert_eq!(reply.status, status, "{method} {path}");
        assert!(reply.body.contains(text), "{method} {path}: {}", reply.body);
    }
}

#[test]
fn a_logout_by_post_only_never_shows_a_link_that_cannot_work() {
    let gateway = gateway(&json!("POST"));
    assert_eq!(ask(&gateway, "POST", "/logout", &[]), Ok(LoginStep::Logout));
    assert_eq!(ask(&gateway, "POST", "/login", &[]), Ok(LoginStep::Begin));
    assert_eq!(ask(&gateway, "POST", "/logout", &[("sec-fetch-site", "cross-site")]).unwrap_err().status, 403);
    assert_eq!(ask(&gateway, "GET", "/logout", &[]).unwrap_err().status, 405);
    assert!(gateway.login().unwrap().login_path.is_none(), "no redirect to a route that does not support GET");
}
