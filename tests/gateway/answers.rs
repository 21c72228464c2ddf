//! Responses of the gateway itself: for unknown paths and methods, for scripts of other origins, for unauthorized requests, and with
//! a session.

use edgeward::gateway::Answer;
use edgeward::host::Level;
use edgeward::io::{Incoming, Unreachable};
use serde_json::json;
use support::host::VirtualHost;
use support::{NOW, key_a, key_b, set_text};

use crate::edits::TARGETED;
use crate::{
    ALLOWED, COOKIE, Headers, Login, OTHER, bearer, code, config, config_with_cors, forward, gateway, handle, problem,
    reply, token, values,
};

const KEYS_URL: &str = "https://tenant.example.com/.well-known/jwks.json";

/// Asserts that a script of the allowed origin may read the response, and that caches distinguish origins.
fn assert_for_allowed(reply: &edgeward::http::Reply, what: &str) {
    assert_eq!(values(reply, "access-control-allow-origin"), ["https://www.example.com"], "{what}");
    assert_eq!(values(reply, "access-control-allow-credentials"), ["true"], "{what}");
    assert_eq!(values(reply, "access-control-expose-headers"), ["x-total, etag"], "{what}");
    assert_eq!(values(reply, "vary"), ["Origin"], "{what}");
}

/// Asserts that scripts of other origins may not, and that caches still distinguish them.
fn assert_for_other(reply: &edgeward::http::Reply, what: &str) {
    let names = reply.headers.iter().map(|(name, _)| name.as_ref());
    assert_eq!(names.filter(|name| name.starts_with("access-control-")).count(), 0, "{what}");
    assert_eq!(values(reply, "vary"), ["Origin"], "{what}");
}

#[test]
fn every_response_is_readable_by_scripts_of_allowed_origins_only() {
    let [gateway, plain] = [config_with_cors(), config()].map(|config| gateway(&config));
    let expired = bearer(&token().claim("exp", NOW - 600));
    let good = bearer(&token());
    let cookie = Login::new().cookie();
    let (none, html) = (("x-nothing", ""), ("accept", "text/html"));
    for (method, target, header, status) in [
        ("GET", "/nowhere", none, 404),
        ("POST", "/page", none, 405),
        ("TRACE", "/open/x", none, 405),
        ("GET", "/open/%2e%2e/x", none, 400),
        ("GET", "/open/x%00", none, 400),
        ("GET", "/open/x", ("host", "app.example.com/admin"), 400),
        ("GET", "/page", none, 401),
        ("GET", "/page", html, 302),
        ("GET", "/page", ("authorization", "Bearer a b"), 400),
        ("GET", "/page", ("authorization", "Bearer x"), 401),
        ("GET", "/page", ("authorization", &expired), 401),
        ("GET", "/page?access_token=x", none, 400),
        ("GET", "/page", ("authorization", &good), 200),
        ("GET", "/page", ("cookie", &cookie), 200),
        ("GET", "/admin", ("authorization", &good), 403),
        ("GET", "/editor", ("authorization", &good), 302),
        ("GET", "/admin", ("cookie", &cookie), 403),
        ("GET", "/public", none, 200),
        ("GET", "/login", none, 302),
        ("GET", "/cb?state=x&code=y", none, 400),
        ("GET", "/login", ("sec-purpose", "prefetch"), 400),
        ("HEAD", "/login", none, 200),
    ] {
        let what = format!("{method} {target} {header:?}");
        let to_allowed = reply(&gateway, method, target, &[header, ALLOWED]);
        assert_eq!(to_allowed.status, status, "{what}: {}", to_allowed.body);
        assert_for_allowed(&to_allowed, &what);
        let to_other = reply(&gateway, method, target, &[header, OTHER]);
        assert_eq!(to_other.status, status, "{what}");
        assert_for_other(&to_other, &what);
        assert_for_other(&reply(&gateway, method, target, &[header]), &what);
        let without = reply(&plain, method, target, &[header, ALLOWED]);
        assert!(without.header("vary").is_none() && without.header("access-control-allow-origin").is_none(), "{what}");
    }
    // Scripts allowed with credentials may use the session; others may not.
    for (origin, status) in [(ALLOWED, 400), (("origin", "https://app.example.com"), 400), (OTHER, 403)] {
        let reply = reply(&gateway, "POST", "/refresh", &[("cookie", &cookie), origin]);
        assert_eq!(reply.status, status, "{origin:?}: {}", reply.body);
        if origin == ALLOWED { assert_for_allowed(&reply, "refresh") } else { assert_for_other(&reply, "refresh") }
    }
}

#[test]
fn unknown_paths_and_unsupported_methods_are_distinguished() {
    let gateway = gateway(&config());
    for (method, target, status, code_, allow) in [
        ("GET", "/nowhere", 404, "not_found", None),
        ("DELETE", "/nowhere", 404, "not_found", None),
        ("POST", "/page", 405, "method_not_allowed", Some("GET, HEAD")),
        ("get", "/page", 405, "method_not_allowed", Some("GET, HEAD")),
        ("GET", "/refresh", 405, "method_not_allowed", Some("POST")),
        ("PUT", "/logout", 405, "method_not_allowed", Some("GET, POST, HEAD")),
        ("OPTIONS", "/page", 405, "method_not_allowed", Some("GET, HEAD")),
        ("TRACE", "/open/x", 405, "method_not_allowed", Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")),
        ("CONNECT", "/open/x", 405, "method_not_allowed", Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")),
        ("GET", "/page/..", 400, "path_invalid", None),
        ("GET", "/page\\x", 400, "path_invalid", None),
        ("GET", "/open%2Fx", 400, "path_ambiguous", None),
        ("GET", "/a%2Fb%5Cpage", 404, "not_found", None),
    ] {
        let reply = reply(&gateway, method, target, &[("cookie", "__Host-edgeward=1.x")]);
        let what = format!("{method} {target}");
        assert_eq!((reply.status, code(&reply).as_str()), (status, code_), "{what}: {}", reply.body);
        assert_eq!(reply.header("allow"), allow, "{what}");
        assert_eq!(values(&reply, "cache-control"), ["no-store"], "{what}");
        assert!(reply.header("set-cookie").is_none(), "{what}: the cookies were not read");
    }
}

#[test]
fn an_invalid_host_is_refused_first() {
    let gateway = gateway(&config());
    for host in ["app.example.com/admin", "a\\b", "a?b", "a#b", "user@app.example.com"] {
        let reply = reply(&gateway, "GET", "/open/x", &[("host", host)]);
        assert_eq!((reply.status, code(&reply).as_str()), (400, "path_invalid"), "{host}");
    }
    for host in ["app.example.com", "app.example.com:8443", "[::1]:8787"] {
        forward(&gateway, "GET", "/open/x", &[("host", host)]);
    }
}

#[test]
fn a_preflight_is_answered_before_authentication() {
    let gateway = gateway(&config_with_cors());
    let asks = ("access-control-request-method", "PUT");
    for target in ["/api/x", "/page", "/login", "/nowhere", "/service/x"] {
        let reply = reply(&gateway, "OPTIONS", target, &[ALLOWED, asks, ("access-control-request-headers", "x-a")]);
        assert_eq!((reply.status, reply.body.as_str()), (204, ""), "{target}");
        assert_for_allowed(&reply, target);
        for (name, value) in [
            ("access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE"),
            ("access-control-allow-headers", "authorization, content-type"),
            ("access-control-max-age", "600"),
        ] {
            assert_eq!(values(&reply, name), [value], "{target}");
        }
        let reply = self::reply(&gateway, "OPTIONS", target, &[OTHER, asks]);
        assert_eq!(reply.status, 204, "{target}");
        assert_for_other(&reply, target);
    }
    let subdomain = reply(&gateway, "OPTIONS", "/api/x", &[("origin", "https://a.example.net"), asks]);
    assert_eq!(values(&subdomain, "access-control-allow-origin"), ["https://a.example.net"]);
    assert_eq!(reply(&gateway, "OPTIONS", "/api/%2e%2e/x", &[ALLOWED, asks]).status, 400, "an invalid path");
    // Without one of the two headers, it is an ordinary request.
    for headers in [&[ALLOWED][..], &[asks], &[]] {
        assert_eq!(reply(&gateway, "OPTIONS", "/api/x", headers).status, 401, "{headers:?}");
        assert_eq!(reply(&gateway, "OPTIONS", "/page", headers).status, 405, "{headers:?}");
        forward(&gateway, "OPTIONS", "/open/x", headers);
    }
    let without = crate::gateway(&config());
    forward(&without, "OPTIONS", "/open/x", &[ALLOWED, asks]);
    assert_eq!(reply(&without, "OPTIONS", "/api/x", &[ALLOWED, asks]).status, 401, "without CORS");
}

#[test]
fn requested_headers_are_allowed_if_all_are() {
    let mut config = config_with_cors();
    config["cors"]["allow_headers"] = json!(["*"]);
    let gateway = gateway(&config);
    let asks = ("access-control-request-method", "PUT");
    for (wanted, allowed) in
        [("authorization, x-b", &["authorization, x-b"][..]), ("x-a\r\nx: y", &[]), ("x\u{e9}", &[]), ("", &[""])]
    {
        let reply = reply(&gateway, "OPTIONS", "/api/x", &[ALLOWED, asks, ("access-control-request-headers", wanted)]);
        assert_eq!(values(&reply, "access-control-allow-headers"), allowed, "{wanted:?}");
    }
    assert!(values(&reply(&gateway, "OPTIONS", "/api/x", &[ALLOWED, asks]), "access-control-allow-headers").is_empty());
}

#[test]
fn a_refused_token_gets_the_reason() {
    let gateway = gateway(&config());
    let foreign = bearer(&token().signed_by(key_b()));
    let expired = bearer(&token().claim("exp", NOW - 600));
    let other_api = bearer(&token().claim("aud", "https://other.example.com"));
    for (target, authorization, status, code_, error) in [
        ("/api/x", "Bearer", 400, "invalid_request", Some("invalid_request")),
        ("/api/x", "Bearer a b", 400, "invalid_request", Some("invalid_request")),
        ("/api/x", "Basic YTpi", 401, "token_missing", None),
        ("/api/x", "Bearer nonsense", 401, "token_malformed", Some("invalid_token")),
        ("/api/x", &expired, 401, "token_expired", Some("invalid_token")),
        ("/maybe/x", &expired, 401, "token_expired", Some("invalid_token")),
        ("/api/x", &foreign, 401, "signature_invalid", Some("invalid_token")),
        ("/api/x", &other_api, 401, "audience_mismatch", Some("invalid_token")),
    ] {
        // A session in the same request changes nothing: the token is used.
        for cookie in ["", &Login::new().cookie()] {
            if authorization == "Basic YTpi" && !cookie.is_empty() {
                continue;
            }
            let reply = reply(&gateway, "GET", target, &[("authorization", authorization), ("cookie", cookie)]);
            let what = format!("{target} {authorization}");
            assert_eq!((reply.status, code(&reply).as_str()), (status, code_), "{what}");
            let challenge = reply.header("www-authenticate").unwrap();
            assert!(challenge.starts_with(r#"Bearer realm="edgeward""#), "{what}: {challenge}");
            let expected = error.map(|error| format!(r#"error="{error}""#));
            assert!(expected.is_none_or(|error| challenge.contains(&error)), "{what}: {challenge}");
            assert_eq!(challenge.contains("error="), error.is_some(), "{what}: {challenge}");
            assert_eq!(values(&reply, "cache-control"), ["no-store"], "{what}");
        }
    }
}

#[test]
fn a_token_without_the_rights_gets_the_missing_ones_or_the_configured_redirect() {
    let gateway = gateway(&config());
    let bearer = bearer(&token());
    let program = ("authorization", bearer.as_str());
    let refused = reply(&gateway, "GET", "/admin", &[program]);
    assert_eq!((refused.status, problem(&refused)["required"].as_str()), (403, Some("admin")));
    assert!(refused.header("www-authenticate").unwrap().ends_with(r#"error="insufficient_scope", scope="admin""#));
    let page = reply(&gateway, "GET", "/admin", &[program, ("sec-fetch-mode", "navigate")]);
    assert_eq!((page.status, page.header("content-type")), (403, Some("text/html; charset=utf-8")));
    let sent = reply(&gateway, "GET", "/editor", &[program]);
    assert_eq!((sent.status, sent.header("location")), (302, Some("/sorry")));
    assert_eq!(values(&sent, "cache-control"), ["private, no-store"]);
}

#[test]
fn without_keys_no_token_is_refused() {
    let mut config = config_with_cors();
    config["authorizer"].as_object_mut().unwrap().remove("jwks");
    let bearer = bearer(&token());
    for (keys, code_) in [
        (Err(Unreachable::Network), "jwks_unreachable"),
        (Ok(Incoming { status: 500, ..Incoming::default() }), "jwks_unreachable"),
        (Ok(support::world::json("[]")), "jwks_invalid"),
    ] {
        let gateway = gateway(&config);
        let host = VirtualHost::default();
        host.reply(KEYS_URL, keys);
        for target in ["/api/x", "/admin", "/maybe/x"] {
            let headers = [("authorization", bearer.as_str()), ALLOWED];
            let Answer::Reply(reply) = handle(&gateway, &host, "GET", target, &headers) else { panic!("{target}") };
            assert_eq!((reply.status, code(&reply).as_str()), (503, code_), "{target}");
            let retry_s: u32 = reply.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=60).contains(&retry_s), "{target}: {retry_s}");
            assert!(reply.header("www-authenticate").is_none(), "{target}: not an error of the client");
            assert_eq!(values(&reply, "cache-control"), ["no-store"], "{target}");
            assert_for_allowed(&reply, target);
        }
        // A route that needs no token still works.
        assert!(matches!(handle(&gateway, &host, "GET", "/open/x", &[]), Answer::Forward(_)));
        // The token is accepted once there are keys.
        host.answer(KEYS_URL, support::world::json(&set_text([key_a().jwk()])));
        host.sleep_s(60);
        let headers = [("authorization", bearer.as_str())];
        assert!(matches!(handle(&gateway, &host, "GET", "/api/x", &headers), Answer::Forward(_)));
    }
}

#[test]
fn no_cache_stores_responses_to_a_session() {
    let gateway = gateway(&config_with_cors());
    let page: Headers<'_> = &[("sec-fetch-mode", "navigate"), ("accept", "text/html")];
    for (login, is_written) in [(Login::new(), false), (Login::with_stale_cookie(), true)] {
        let cookie = login.cookie();
        for (method, target, status) in [
            ("GET", "/cached", 200),
            ("HEAD", "/cached", 200),
            ("GET", "/page", 200),
            ("GET", "/admin", 403),
            ("GET", "/editor", 302),
            ("GET", "/userinfo", 200),
            ("POST", "/refresh", 400),
        ] {
            for headers in [&[][..], page, &[ALLOWED]] {
                let headers = [headers, &[("cookie", cookie.as_str())]].concat();
                let reply = reply(&gateway, method, target, &headers);
                let what = format!("{method} {target} {headers:?}");
                assert_eq!(reply.status, status, "{what}: {}", reply.body);
                assert_eq!(values(&reply, "cache-control"), ["private, no-store"], "{what}");
                assert!(TARGETED.iter().all(|name| reply.header(name).is_none()), "{what}");
                let cookies = values(&reply, "set-cookie");
                assert_eq!(cookies.len(), usize::from(is_written), "{what}");
                assert!(cookies.iter().all(|line| line.starts_with(&format!("{COOKIE}=1."))), "{what}");
            }
        }
        // A public route ignores credentials, and a route's own header wins.
        let public = reply(&gateway, "GET", "/public", &[("cookie", &cookie)]);
        assert_eq!(values(&public, "cache-control"), ["public, max-age=60"]);
        assert_eq!(values(&public, "cdn-cache-control"), ["public"]);
        assert!(public.header("set-cookie").is_none());
    }
    // As an answer of an origin: its own directives stay where they keep shared caches out.
    let bearer = bearer(&token());
    for (target, expected) in [("/cached", "private, no-store"), ("/page", "private, max-age=5")] {
        let reply = reply(&gateway, "GET", target, &[("authorization", &bearer)]);
        assert_eq!(values(&reply, "cache-control"), [expected], "{target}");
        assert!(TARGETED.iter().all(|name| reply.header(name).is_none()), "{target}");
    }
}

#[test]
fn an_insufficient_session_gets_the_reason_uncached() {
    let gateway = gateway(&config());
    let over = Login::new().with("iat", NOW - 7200).with("at_exp", NOW - 1).cookie();
    let fresh = Login::new().with("at_exp", NOW - 1).cookie();
    for (cookie, navigates, status) in
        [(&over, false, 401), (&over, true, 302), (&fresh, false, 401), (&fresh, true, 403)]
    {
        let mode = ("sec-fetch-mode", if navigates { "navigate" } else { "cors" });
        let reply = reply(&gateway, "GET", "/api/x", &[("cookie", cookie), mode]);
        assert_eq!(reply.status, status, "{mode:?}: {}", reply.body);
        assert!(reply.header("cache-control").unwrap().contains("no-store"), "{mode:?}");
        assert!(reply.header("set-cookie").is_none(), "{mode:?}: the session continues");
    }
}

#[test]
fn cookies_that_open_no_session_are_cleared_and_logged_once_per_response() {
    let gateway = gateway(&config());
    for (method, target, headers, clears) in [
        ("GET", "/api/x", &[][..], true),
        ("POST", "/api/x", &[("sec-fetch-site", "cross-site")], true),
        ("GET", "/userinfo", &[], true),
        ("HEAD", "/api/x", &[], false),
        ("GET", "/api/x", &[("sec-purpose", "prefetch")], false),
        ("GET", "/maybe/x", &[], false),
        ("GET", "/open/x", &[], false),
        ("GET", "/nowhere", &[], false),
    ] {
        let host = VirtualHost::default();
        let headers = [headers, &[("cookie", "__Host-edgeward=2.x; __Host-edgeward.1=y; other=z")]].concat();
        let answer = handle(&gateway, &host, method, target, &headers);
        let what = format!("{method} {target} {headers:?}");
        if let Answer::Reply(reply) = &answer {
            let cleared = ["__Host-edgeward", "__Host-edgeward.1"]
                .map(|name| format!("{name}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"));
            assert_eq!(values(reply, "set-cookie"), if clears { &cleared[..] } else { &[] }, "{what}");
        }
        let seen = host.seen();
        let lines: Vec<_> = seen.lines.iter().map(|(level, line)| (*level, line.split(':').next().unwrap())).collect();
        let expected = [(Level::Warning, "session_unsealable")];
        assert_eq!(lines, if clears { &expected[..] } else { &[] }, "{what}");
    }
}

/// The session's cookie is due to be rewritten, but the route itself writes it.
#[test]
fn a_login_steps_own_session_cookie_wins() {
    let mut config = config();
    for path in config["paths"].as_array_mut().unwrap() {
        if path["path"] == "/logout" {
            path["auth"] = json!("optional");
        }
    }
    let cookie = Login::with_stale_cookie().with("rt", "refresh-token-1").cookie();
    let tokens = r#"{"access_token":"new-token","token_type":"Bearer","expires_in":3600,"refresh_token":"r2"}"#;
    let ended = Incoming { status: 400, ..support::world::json(r#"{"error":"invalid_grant"}"#) };
    for (target, token_endpoint, status, is_cleared) in [
        ("/refresh", Ok(support::world::json(tokens)), 200, false),
        ("/refresh", Ok(ended), 401, true),
        ("/refresh", Err(Unreachable::Network), 502, false),
        ("/logout", Err(Unreachable::Network), 302, true),
    ] {
        // A new instance with an empty cache.
        let gateway = gateway(&config);
        let host = VirtualHost::default();
        host.reply("https://tenant.example.com/oauth/token", token_endpoint);
        let Answer::Reply(reply) = handle(&gateway, &host, "POST", target, &[("cookie", &cookie)]) else { panic!() };
        assert_eq!(reply.status, status, "{target}: {}", reply.body);
        assert_eq!(values(&reply, "cache-control"), ["private, no-store"], "{target} {status}");
        let lines =
            values(&reply, "set-cookie").into_iter().filter(|line| !line.starts_with("__Host-edgeward-logged-out="));
        let [line] = lines.collect::<Vec<_>>()[..] else {
            panic!("{target} {status}: {:?}", values(&reply, "set-cookie"))
        };
        assert_eq!(line.starts_with("__Host-edgeward=; "), is_cleared, "{target} {status}: {line}");
        if status == 200 {
            let cookie = line.split(';').next().unwrap();
            let forward = forward(&gateway, "GET", "/maybe/x", &[("cookie", cookie)]);
            assert!(forward.set.contains(&("X-Token".into(), "new-token".into())), "{:?}", forward.set);
        }
    }
}

#[test]
fn an_explanation_tells_of_a_session_that_is_due_for_refresh() {
    let gateway = gateway(&config());
    let found = |login: Login| {
        let cookie = login.cookie();
        let header = |name: &str| (name == "cookie").then(|| cookie.clone());
        let url = format!("{}/api/x", crate::ORIGIN);
        let head = edgeward::http::RequestHead { method: "GET", url: &url, header: &header };
        let host = VirtualHost::default();
        let explanation = host.run(gateway.explain(&head, &host));
        assert!(host.seen().sent.is_empty(), "nothing is refreshed");
        explanation.checks.into_iter().find(|check| check.name == "credentials").map(|check| check.found)
    };
    assert_eq!(found(Login::new().with("rt", "refresh-token")).as_deref(), Some("a session"));
    let due = Login::new().with("rt", "refresh-token").with("iat", NOW - 3590).with("at_iat", NOW - 3590);
    assert_eq!(found(due.with("at_exp", NOW + 10)).as_deref(), Some("a session that is due for refresh"));
}
