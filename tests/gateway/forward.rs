//! Forwarded requests: the destination, the headers set, and the client's headers dropped.

use edgeward::gateway::Destination;
use serde_json::json;

use crate::{ALLOWED, COOKIE, Headers, Login, bearer, config, config_with_cors, forward, gateway, reply, token};

fn set(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const HOST: (&str, &str) = ("x-forwarded-host", "app.example.com");
const HTTPS: (&str, &str) = ("x-forwarded-proto", "https");

/// Checks a request to each forwarding route, with credentials where required.
fn everywhere(check: impl Fn(&str, edgeward::gateway::Forward<'_>)) {
    let gateway = gateway(&config());
    let (bearer, cookie) = (bearer(&token()), Login::new().cookie());
    for path in ["/open/x", "/maybe/x", "/kept-open/x", "/service/x"] {
        check(path, forward(&gateway, "GET", path, &[]));
    }
    for path in ["/maybe/x", "/api/x", "/kept/x", "/private-service/x"] {
        check(path, forward(&gateway, "POST", path, &[("authorization", &bearer)]));
        check(path, forward(&gateway, "GET", path, &[("cookie", &cookie)]));
    }
}

#[test]
fn path_and_query_are_forwarded_unchanged() {
    let gateway = gateway(&config());
    for target in ["/x", "/", "/a%2Fb/%41/caf%C3%A9", "/a//b", "/a;v=1/b=c", "/x?", "/x?a=%20&b=c?d&e=/../", "/x?é=\"<"]
    {
        for (path, upstream) in [
            ("/open", "https://origin.example/base/open"),
            ("/maybe", "https://origin.example/maybe"),
            ("/kept-open", "http://127.0.0.1:8080/kept-open"),
        ] {
            let forward = forward(&gateway, "GET", &format!("{path}{target}"), &[]);
            assert!(forward.destination == Destination::Url(format!("{upstream}{target}")), "{path}{target}");
        }
        let forward = forward(&gateway, "GET", &format!("/service{target}"), &[]);
        let url = format!("https://app.example.com/service{target}");
        assert!(forward.destination == Destination::Service { binding: "BACKEND", url }, "/service{target}");
    }
}

#[test]
fn a_service_gets_the_url_of_the_request_without_user_information() {
    let gateway = gateway(&config());
    for (asked, url) in [
        ("https://app.example.com/service/x?y", "https://app.example.com/service/x?y"),
        ("http://localhost:8787/service/x", "http://localhost:8787/service/x"),
        ("https://user:password@app.example.com/service/x", "https://app.example.com/service/x"),
        ("https://app.example.com/service/x#fragment", "https://app.example.com/service/x"),
    ] {
        let forward = forward(&gateway, "GET", asked, &[]);
        assert!(forward.destination == Destination::Service { binding: "BACKEND", url: url.into() }, "{asked}");
    }
    let bearer = bearer(&token());
    let forward = forward(&gateway, "GET", "/private-service/x", &[("authorization", &bearer)]);
    let url = "https://app.example.com/private-service/x".into();
    assert!(forward.destination == Destination::Service { binding: "OTHER", url });
    assert_eq!(forward.set, set(&[HOST, HTTPS, ("X-User", "user-1")]));
}

#[test]
fn only_the_gateway_sets_forwarding_headers() {
    let gateway = gateway(&config());
    let claimed = [
        ("forwarded", "for=1.1.1.1;host=evil.example"),
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("x-real-ip", "1.1.1.1"),
    ];
    let tenant = ("X-Tenant", "gold");
    for (url, headers, expected) in [
        ("https://app.example.com/open/x", &[][..], &[HOST, HTTPS, tenant][..]),
        ("https://app.example.com/open/x", &claimed, &[HOST, HTTPS, tenant]),
        (
            "https://app.example.com/open/x",
            &[("cf-connecting-ip", "2001:db8::1"), ("x-forwarded-for", "1.1.1.1")],
            &[HOST, HTTPS, ("x-forwarded-for", "2001:db8::1"), tenant],
        ),
        (
            "http://user@localhost:8787/open/x",
            &[],
            &[("x-forwarded-host", "localhost:8787"), ("x-forwarded-proto", "http"), tenant],
        ),
    ] {
        let forward = forward(&gateway, "GET", url, headers);
        assert_eq!(forward.set, set(expected), "{url} {headers:?}");
        for (name, _) in claimed {
            assert!(forward.drops(name), "{name}");
        }
    }
}

#[test]
fn clients_cannot_send_reserved_headers_on_any_route() {
    everywhere(|path, forward| {
        for name in [
            "cookie",
            "Cookie",
            "COOKIE",
            "X-Tenant",
            "x_tenant",
            "X.User",
            "x-user-id",
            "X-Groups",
            "X--Level",
            "x-token",
            "x-none",
            "Remote-User",
            "connection",
            "te",
            "transfer-encoding",
            "x-http-method-override",
            "x-forwarded-port",
            "cf_connecting_ip",
            "x-edgeward-anything",
        ] {
            assert!(forward.drops(name), "{path}: {name}");
        }
        for name in [
            "accept",
            "content-type",
            "Content-Length",
            "origin",
            "user-agent",
            "range",
            "x-request-id",
            "cf-connecting-ip",
        ] {
            assert!(!forward.drops(name), "{path}: {name}");
        }
    });
}

#[test]
fn authorization_is_forwarded_only_if_configured() {
    everywhere(|path, forward| {
        for name in ["authorization", "Authorization", "AUTHORIZATION"] {
            assert_eq!(forward.drops(name), !path.starts_with("/kept"), "{path}: {name}");
        }
        assert!(forward.set.iter().all(|(name, _)| !name.eq_ignore_ascii_case("authorization")), "{path}");
        assert!(forward.drops("proxy-authorization"), "{path}");
    });
}

#[test]
fn a_token_set_by_the_gateway_replaces_the_clients_on_every_route() {
    let mut config = config();
    let paths = config["paths"].as_array_mut().unwrap();
    paths.push(json!({ "method": "ANY", "path": "/exchange/{*rest}", "integration": {
        "type": "http_proxy", "url": "https://origin.example", "strip_authorization": false,
        "headers": { "Authorization": "Bearer $token" } } }));
    let gateway = gateway(&config);
    let (token, cookie) = (token().text(), Login::new().cookie());
    let bearer = format!("bearer {token}");
    for (headers, expected) in [
        (&[("authorization", bearer.as_str())][..], format!("Bearer {token}")),
        (&[("cookie", &cookie)], "Bearer access-token-of-a-session".into()),
    ] {
        let forward = forward(&gateway, "GET", "/exchange/x", headers);
        assert!(forward.drops("authorization"));
        assert_eq!(forward.set, set(&[HOST, HTTPS, ("Authorization", &expected)]));
    }
    let open = forward(&gateway, "GET", "/kept-open/x", &[("authorization", "Basic YTpi")]);
    assert!(open.drops("authorization"), "a header set by one route is reserved on all");
    assert_eq!(open.set, set(&[HOST, HTTPS]));
}

#[test]
fn a_header_that_the_gateway_sets_is_reserved_whatever_the_options_of_a_route() {
    let mut config = config();
    let paths = config["paths"].as_array_mut().unwrap();
    let mut names = Vec::new();
    for target in [
        json!({ "type": "http_proxy", "url": "https://origin.example" }),
        json!({ "type": "service", "binding": "BACKEND" }),
    ] {
        for auth in ["none", "optional", "required"] {
            for strips in [true, false] {
                for forwarded in [true, false] {
                    for more in [json!({}), json!({ "timeout_ms": 1000 }), json!({ "strip_prefix": "/combined" })] {
                        let mut integration = target.clone();
                        let members = integration.as_object_mut().unwrap();
                        members.extend(more.as_object().unwrap().clone());
                        members.extend([
                            ("strip_authorization".into(), json!(strips)),
                            ("forwarded".into(), json!(forwarded)),
                        ]);
                        if auth != "none" {
                            members.insert(
                                "headers".into(),
                                json!({ "Authorization": "Bearer $token", "X-Caller": "$claims.sub" }),
                            );
                        }
                        let path = format!("/combined/{}", names.len());
                        paths.push(json!({ "method": "ANY", "path": path, "auth": auth, "integration": integration }));
                        names.push((path, auth));
                    }
                }
            }
        }
    }
    let gateway = gateway(&config);
    let bearer = bearer(&token());
    for (path, auth) in names {
        let headers: &[(&str, &str)] = if auth == "required" { &[("authorization", &bearer)] } else { &[] };
        let forward = forward(&gateway, "GET", &path, headers);
        for name in ["authorization", "Authorization", "x-caller", "X_Caller"] {
            assert!(forward.drops(name), "{path}, {auth}: {name}");
        }
    }
}

#[test]
fn cookies_are_forwarded_without_the_gateways_own() {
    let gateway = gateway(&config());
    let cookie = Login::new().cookie();
    for (sent, kept) in [
        // Without one of the gateway's own, the header stays as it came: it is neither dropped nor set.
        ("a=b;c=d ;; e=\u{e9}, f", None),
        ("a=b; __Host-edgeward=1.x; c=d", Some("a=b; c=d")),
        ("__Host-edgeward=1.x; __Host-edgeward.1=y; __Host-edgeward-login-abcdefgh=1.z", None),
        ("__host-EDGEWARD=x; a=b", Some("a=b")),
        ("a=b, __Host-edgeward=1.x; c=d", Some("a=b; c=d")),
        (&cookie, None),
    ] {
        let forward = forward(&gateway, "GET", "/open/x", &[("cookie", sent)]);
        let got = forward.set.iter().find(|(name, _)| name == "cookie").map(|(_, value)| value.as_str());
        assert_eq!(got, kept, "{sent}");
        assert_eq!(forward.drops("cookie"), sent.to_ascii_lowercase().contains("__host-edgeward"), "{sent}");
    }
    let both = format!("a=b; {cookie}");
    let forward = forward(&gateway, "GET", "/private-service/x", &[("cookie", &both)]);
    assert_eq!(forward.set, set(&[HOST, HTTPS, ("cookie", "a=b"), ("X-User", "auth0|1")]));
}

#[test]
fn identity_headers_are_set_only_for_verified_callers() {
    let gateway = gateway(&config());
    let (token, cookie) = (token().text(), Login::new().cookie());
    let bearer = format!("Bearer {token}");
    let of_token: Headers<'_> = &[
        HOST,
        HTTPS,
        ("X-Groups", r#"["a","\u00e9"]"#),
        ("X-Level", "3"),
        ("X-Tenant", "gold"),
        ("X-Token", &token),
        ("X-User", "user-1"),
    ];
    let of_session: Headers<'_> = &[
        HOST,
        HTTPS,
        ("X-Groups", r#"["a"]"#),
        ("X-Tenant", "gold"),
        ("X-Token", "access-token-of-a-session"),
        ("X-User", "auth0|1"),
    ];
    let anonymous: Headers<'_> = &[HOST, HTTPS, ("X-Tenant", "gold")];
    let forged = ("x-user", "admin");
    for (path, headers, expected) in [
        ("/api/x", &[("authorization", bearer.as_str()), forged][..], of_token),
        ("/maybe/x", &[("authorization", &bearer), forged], of_token),
        ("/api/x", &[("authorization", &bearer), ("cookie", &cookie)], of_token),
        ("/api/x", &[("cookie", &cookie), forged], of_session),
        ("/maybe/x", &[("cookie", &cookie)], of_session),
        ("/maybe/x", &[forged], anonymous),
        ("/maybe/x", &[("cookie", "__Host-edgeward=1.x")], anonymous),
        ("/open/x", &[("cookie", &cookie)], anonymous),
        ("/open/x", &[("authorization", &bearer)], anonymous),
    ] {
        let forward = forward(&gateway, "GET", path, headers);
        assert_eq!(forward.set, set(expected), "{path} {headers:?}");
    }
}

#[test]
fn responses_that_may_depend_on_the_caller_are_private() {
    everywhere(|path, forward| {
        let is_public = ["/open/x", "/kept-open/x", "/service/x"].contains(&path);
        assert_eq!(forward.is_private, !is_public, "{path}");
    });
}

#[test]
fn a_cors_policy_does_not_change_the_forwarded_request() {
    let [without, with] = [config(), config_with_cors()].map(|config| gateway(&config));
    let cookie = format!("a=b; {}", Login::new().cookie());
    for path in ["/open/x", "/maybe/x?y", "/api/x", "/private-service/x"] {
        let headers = [("cookie", cookie.as_str()), ALLOWED];
        let (one, two) = (forward(&without, "GET", path, &headers), forward(&with, "GET", path, &headers));
        assert!(one.destination == two.destination && one.set == two.set && one.is_private == two.is_private, "{path}");
    }
}

#[test]
fn a_session_refreshed_by_the_request_is_forwarded_with_its_new_token() {
    use edgeward::gateway::{Answer, HeaderEdit};
    use support::host::VirtualHost;
    use support::world::json;

    let gateway = gateway(&config());
    let cookie = Login::new().with("rt", "refresh-token-1").with("at_exp", crate::NOW + 1).cookie();
    let host = VirtualHost::default();
    host.answer(
        "https://tenant.example.com/oauth/token",
        json(
            r#"{"access_token":"new-token","token_type":"Bearer","expires_in":3600,"refresh_token":"refresh-token-2"}"#,
        ),
    );
    let Answer::Forward(forward) = crate::handle(&gateway, &host, "GET", "/maybe/x", &[("cookie", &cookie)]) else {
        panic!("it is forwarded")
    };
    assert!(forward.set.contains(&("X-Token".into(), "new-token".into())), "{:?}", forward.set);
    let edits = forward.response_edits(200, None);
    let wrote = |edit: &HeaderEdit| matches!(edit, HeaderEdit::Append(name, line) if name == "set-cookie" && line.starts_with(COOKIE));
    assert_eq!(edits.iter().filter(|edit| wrote(edit)).count(), 1);
    assert_eq!(host.seen().urls(), ["https://tenant.example.com/oauth/token"]);
    assert_eq!(reply(&gateway, "POST", "/api/x", &[("cookie", &cookie), ("sec-fetch-site", "cross-site")]).status, 403);
}
