//! Routes that only observe: refusals of credentials and rights are logged and pass as anonymous requests, and nothing else passes.

use edgeward::gateway::{Answer, Forward, Gateway, HeaderEdit, compile};
use edgeward::http::Reply;
use serde_json::{Value, json};
use support::host::VirtualHost;

use crate::{ALLOWED, COOKIE, Headers, Login, OTHER, bearer, code, config, gateway, handle, reply, token, values};

const HEADER: &str = "x-edgeward-observed";

/// Returns the configuration with observing routes.
fn observing() -> Value {
    let mut config = config();
    let claims = json!({ "X-User": "$claims.sub", "X-Token": "Bearer $token", "X-Tenant": "gold" });
    let proxy = json!({ "type": "http_proxy", "url": "https://origin.example", "headers": claims, "strip_authorization": false });
    let route = |path: &str, more: Value| {
        let mut route =
            json!({ "method": "ANY", "path": path, "observe": true, "integration": proxy, "on_forbidden": "/sorry" });
        route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        route
    };
    let body = json!({ "type": "respond", "status": 401, "body": "page", "headers": { "X-Edgeward-Observed": "x" } });
    config["paths"].as_array_mut().unwrap().extend([
        route("/seen/{*rest}", json!({})),
        route("/seen-admin/{*rest}", json!({ "scopes": ["admin"] })),
        route("/seen-maybe/{*rest}", json!({ "auth": "optional", "scopes": ["admin"] })),
        route("/seen-session/{*rest}", json!({ "credentials": "session", "on_unauthenticated": "login" })),
        route("/seen-page", json!({ "integration": body })),
    ]);
    config
}

fn observed(edits: &[HeaderEdit]) -> Vec<&str> {
    let value = |edit: &'_ HeaderEdit| matches!(edit, HeaderEdit::Set(name, _) if name == HEADER);
    let edits = edits.iter().filter(|edit| value(edit));
    edits.map(|edit| if let HeaderEdit::Set(_, value) = edit { value.as_str() } else { "" }).collect()
}

fn passes<'g>(
    gateway: &'g Gateway,
    host: &VirtualHost,
    method: &str,
    target: &str,
    headers: Headers<'_>,
) -> Forward<'g> {
    match handle(gateway, host, method, target, headers) {
        Answer::Forward(forward) => forward,
        Answer::Reply(reply) => panic!("{target}: {} {}", reply.status, reply.body),
    }
}

const NAVIGATION: [(&str, &str); 3] =
    [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("accept", "text/html")];

#[test]
fn refusals_pass_as_anonymous_requests_and_are_logged_with_their_code() {
    let gateway = gateway(&observing());
    let good = bearer(&token());
    let expired = bearer(&token().claim("exp", crate::NOW - 1000));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", signature.replace(char::is_alphabetic, "A"));
    let (session, foreign) = (Login::new().cookie(), format!("{COOKIE}=1.abcdefgh"));
    let cookies = format!("own=1; {session}");
    let token_expired = Login::new().with("iat", crate::NOW - 1000).with("at_exp", crate::NOW - 10).cookie();
    for (path, headers, expected, route) in [
        ("/seen/x", &[][..], "token_missing", "/seen/{*rest}"),
        ("/seen/x", &NAVIGATION, "token_missing", "/seen/{*rest}"),
        ("/seen/x", &[("authorization", &*expired)], "token_expired", "/seen/{*rest}"),
        ("/seen/x", &[("authorization", &forged)], "signature_invalid", "/seen/{*rest}"),
        ("/seen/x", &[("authorization", "Bearer opaque")], "token_malformed", "/seen/{*rest}"),
        ("/seen/x", &[("cookie", &foreign)], "token_missing", "/seen/{*rest}"),
        ("/seen-admin/x", &[("authorization", &good)], "insufficient_scope", "/seen-admin/{*rest}"),
        ("/seen-admin/x", &[("cookie", &cookies)], "insufficient_scope", "/seen-admin/{*rest}"),
        ("/seen-admin/x", &[("cookie", &token_expired)], "token_missing", "/seen-admin/{*rest}"),
        ("/seen-maybe/x", &[("authorization", &expired)], "token_expired", "/seen-maybe/{*rest}"),
        ("/seen-session/x", &[("authorization", &good)], "bearer_not_accepted", "/seen-session/{*rest}"),
        ("/seen-session/x", &NAVIGATION, "login_required", "/seen-session/{*rest}"),
    ] {
        let host = VirtualHost::default();
        let forward = passes(&gateway, &host, "GET", path, headers);
        assert_eq!(observed(&forward.response_edits(200, None)), [expected], "{path} {headers:?}");
        assert_eq!(observed(&forward.response_edits(101, None)), [expected]);
        assert!(forward.is_private);
        // As an anonymous request to a route where authentication is optional.
        let anonymous = passes(&gateway, &host, "GET", "/seen-maybe/x", &[]);
        let set: Vec<_> = forward.set.iter().filter(|(name, _)| name != "cookie").cloned().collect();
        assert_eq!(set, anonymous.set, "{path} {headers:?}");
        assert!(forward.set.iter().all(|(name, value)| name != "cookie" || value == "own=1"));
        let has_token = headers.iter().any(|(name, _)| *name == "authorization");
        assert_eq!(forward.drops("Authorization"), has_token, "{path} {headers:?}");
        for name in ["X-User", "x_token", "x-tenant"] {
            assert!(forward.drops(name), "{name}");
        }
        let lines = &host.seen().lines;
        let line = lines
            .iter()
            .map(|(_, line)| line)
            .find(|line| line.contains("observed: "))
            .unwrap_or_else(|| panic!("{lines:?}"));
        assert!(line.contains(&format!("observed: {expected} (")) && line.contains(route), "{line}");
        for secret in ["Bearer", "eyJ", COOKIE] {
            assert!(!line.contains(secret), "{line}");
        }
        let failed =
            forward.unreachable(&edgeward::http::RequestHead { method: "GET", url: crate::ORIGIN, header: &|_| None });
        assert_eq!(values(&failed, HEADER), [expected]);
    }
}

#[test]
fn a_cookie_that_opens_no_session_is_cleared() {
    let gateway = gateway(&observing());
    let cleared = |method: &str, path: &str, cookie: &str| -> Vec<String> {
        match handle(&gateway, &VirtualHost::default(), method, path, &[("cookie", cookie)]) {
            Answer::Forward(forward) => {
                let edits = forward.response_edits(200, None);
                let cookie = |edit: HeaderEdit| match edit {
                    HeaderEdit::Append(name, value) if name == "set-cookie" => Some(value),
                    _ => None,
                };
                edits.into_iter().filter_map(cookie).collect()
            }
            Answer::Reply(reply) => values(&reply, "set-cookie").into_iter().map(String::from).collect(),
        }
    };
    let foreign = format!("{COOKIE}=1.abcdefgh");
    for path in ["/seen/x", "/seen-page"] {
        let set = cleared("GET", path, &foreign);
        assert!(
            set.len() == 1 && set[0].starts_with(&format!("{COOKIE}=;")) && set[0].contains("Max-Age=0"),
            "{set:?}"
        );
        assert!(cleared("GET", path, &Login::new().cookie()).is_empty(), "{path}");
    }
    assert!(cleared("HEAD", "/seen/x", &foreign).is_empty(), "HEAD changes nothing");
}

#[test]
fn an_observed_answer_of_the_gateway_itself_is_private_and_names_the_code() {
    let gateway = gateway(&observing());
    let seen = reply(&gateway, "GET", "/seen-page", &[]);
    assert_eq!((seen.status, seen.body.as_str()), (401, "page"));
    assert_eq!(values(&seen, HEADER), ["token_missing"]);
    assert_eq!(values(&seen, "cache-control"), ["private, no-store"]);
    let own = reply(&gateway, "GET", "/seen-page", &[("authorization", &bearer(&token()))]);
    assert_eq!(values(&own, HEADER), ["x"], "the route's own answer is no refusal");
}

#[test]
fn callers_with_all_rights_are_authenticated_as_on_any_route() {
    let gateway = gateway(&observing());
    let host = VirtualHost::default();
    let (bearer, cookie) = (bearer(&token()), Login::new().cookie());
    for (headers, user) in [([("authorization", &*bearer)], "user-1"), ([("cookie", &*cookie)], "auth0|1")] {
        let forward = passes(&gateway, &host, "GET", "/seen/x", &headers);
        assert!(forward.set.contains(&("X-User".into(), user.into())), "{:?}", forward.set);
        assert!(!forward.drops("authorization"));
        assert_eq!(observed(&forward.response_edits(200, None)), [""; 0]);
    }
    assert!(host.seen().lines.is_empty());
}

#[test]
fn the_cookies_of_a_changed_session_reach_the_browser() {
    let gateway = gateway(&observing());
    let cookie = Login::with_stale_cookie().cookie();
    let host = VirtualHost::default();
    let forward = passes(&gateway, &host, "GET", "/seen-admin/x", &[("cookie", &cookie)]);
    let edits = forward.response_edits(200, Some("public"));
    assert!(edits.iter().any(|edit| matches!(edit, HeaderEdit::Append(name, _) if name == "set-cookie")), "{edits:?}");
    assert!(edits.contains(&HeaderEdit::Set("cache-control".into(), "private, no-store".into())));
}

#[test]
fn what_is_no_matter_of_credentials_and_rights_stays_refused() {
    let mut config = observing();
    config["cors"] = json!({ "allow_origins": [ALLOWED.1] });
    let gateway = gateway(&config);
    let cookie = Login::new().cookie();
    let good = bearer(&token());
    let forged = [("cookie", &*cookie), ("sec-fetch-site", "cross-site"), OTHER];
    for (method, target, headers, status, expected) in [
        ("GET", "/seen/%2e%2e/x", &[][..], 400, "path_invalid"),
        ("GET", "/seen/..%2Fx", &[], 400, "path_invalid"),
        ("GET", "/seen/..\\x", &[], 400, "path_invalid"),
        ("GET", "/seen-maybe%2Fx/%2E", &[], 400, "path_invalid"),
        ("GET", "/seen/x?access_token=a", &[], 400, "invalid_request"),
        ("GET", "/seen/x", &[("authorization", "Bearer a b")], 400, "invalid_request"),
        ("POST", "/seen/x", &forged, 403, "cross_site_request"),
        ("POST", "/seen-admin/x", &forged, 403, "cross_site_request"),
        // Without a session, but with cookies of the origin, which would act on them.
        (
            "POST",
            "/seen/x",
            &[("cookie", "origin=1"), ("sec-fetch-site", "cross-site"), OTHER],
            403,
            "cross_site_request",
        ),
        ("TRACE", "/seen/x", &[], 405, "method_not_allowed"),
        ("GET", "/nothing", &[("authorization", &good)], 404, "not_found"),
        ("GET", "/api/x", &[], 401, "token_missing"),
        ("GET", "/admin", &[("authorization", &good)], 403, "insufficient_scope"),
    ] {
        let host = VirtualHost::default();
        let Answer::Reply(reply) = handle(&gateway, &host, method, target, headers) else { panic!("{target} passes") };
        assert_eq!((reply.status, code(&reply).as_str()), (status, expected), "{target}");
        assert_eq!(values(&reply, HEADER), [""; 0]);
        assert!(!host.seen().lines.iter().any(|(_, line)| line.contains("observed: ")));
    }
}

#[test]
fn unavailable_keys_are_no_refusal() {
    let mut config = observing();
    config["authorizer"].as_object_mut().unwrap().remove("jwks");
    let gateway = gateway(&config);
    let refused: Reply = reply(&gateway, "GET", "/seen/x", &[("authorization", &bearer(&token()))]);
    assert_eq!(refused.status, 503);
    let host = VirtualHost::default();
    assert_eq!(observed(&passes(&gateway, &host, "GET", "/seen/x", &[]).response_edits(200, None)), ["token_missing"]);
}

#[test]
fn a_path_that_may_be_enforced_or_observed_is_ambiguous() {
    let mut config = config();
    let route = |path: &str, observe: bool| json!({ "method": "ANY", "path": path, "observe": observe, "integration": { "type": "respond" } });
    let routes = [route("/a/{*rest}", true), route("/a/b/{*rest}", false)];
    config["paths"].as_array_mut().unwrap().extend(routes);
    let gateway = gateway(&config);
    let seen = |target: &str| {
        let reply = reply(&gateway, "GET", target, &[]);
        (reply.status, values(&reply, HEADER).len())
    };
    assert_eq!(seen("/a/x"), (200, 1));
    assert_eq!(seen("/a/b/x"), (401, 0));
    for target in ["/a/b%2Fx", "/a/B/x", "/a//b/x", "/a/%62%2fx"] {
        assert_eq!(seen(target), (400, 0), "{target}");
    }
}

#[test]
fn the_start_warns_of_each_route_that_only_observes() {
    let compiled = compile(&observing().to_string(), &|_| None).unwrap();
    let warnings: Vec<String> = compiled.warnings.iter().map(ToString::to_string).collect();
    let first = observing()["paths"].as_array().unwrap().len() - 5;
    let expected = (first..first + 5).map(|at| {
        format!("warning at paths[{at}].observe: is true: requests without the required credentials and rights pass")
    });
    assert_eq!(warnings, expected.collect::<Vec<_>>());
}
