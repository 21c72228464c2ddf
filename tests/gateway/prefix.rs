//! `strip_prefix`, `forwarded` and `timeout_ms`: what an origin sees of the path, and how its own addresses are found again.

use edgeward::gateway::{Destination, Forward, Gateway, compile};
use edgeward::http::RequestHead;
use serde_json::{Value, json};
use support::host::VirtualHost;

use crate::{bearer, code, config, forward, gateway, handle, reply, token, values};

fn route(path: &str, auth: &str, integration: &Value) -> Value {
    json!({ "method": "ANY", "path": path, "auth": auth, "integration": integration })
}

fn proxy(more: Value) -> Value {
    let mut proxy = json!({ "type": "http_proxy", "url": "https://origin.example" });
    proxy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    proxy
}

fn with(routes: &[Value]) -> Gateway {
    let mut config = config();
    config["paths"].as_array_mut().unwrap().extend(routes.iter().cloned());
    gateway(&config)
}

fn stripped() -> Gateway {
    with(&[
        route("/v1/{*rest}", "none", &proxy(json!({ "strip_prefix": "/v1" }))),
        route(
            "/based/v1/{*rest}",
            "none",
            &proxy(json!({ "strip_prefix": "/based/v1", "url": "https://origin.example/base/" })),
        ),
        route("/own/{*rest}", "none", &json!({ "type": "service", "binding": "BACKEND", "strip_prefix": "/own" })),
        route("/Ex.act-1~", "none", &proxy(json!({ "strip_prefix": "/Ex.act-1~" }))),
        route("/guarded/{*rest}", "required", &proxy(json!({ "strip_prefix": "/guarded" }))),
        route("/{*rest}", "none", &proxy(json!({}))),
    ])
}

fn url<'f>(forward: &'f Forward<'_>) -> &'f str {
    let (Destination::Url(url) | Destination::Service { url, .. }) = &forward.destination;
    url
}

#[test]
fn the_prefix_is_removed_and_the_rest_stays_byte_for_byte() {
    let gateway = stripped();
    for (target, rest) in [
        ("", ""),
        ("/", "/"),
        ("?a=b", "?a=b"),
        ("/?a=/v1/../x", "/?a=/v1/../x"),
        ("/a%2Fb/%41/caf%C3%A9", "/a%2Fb/%41/caf%C3%A9"),
        ("/a//b", "/a//b"),
        ("/v1/v1", "/v1/v1"),
        ("/x;v=1", "/x;v=1"),
        ("/x/", "/x/"),
    ] {
        for (path, upstream, prefix) in [
            ("/v1", "https://origin.example", "/v1"),
            ("/based/v1", "https://origin.example/base", "/based/v1"),
            ("/own", "https://app.example.com", "/own"),
        ] {
            let forward = forward(&gateway, "GET", &format!("{path}{target}"), &[]);
            assert_eq!(url(&forward), format!("{upstream}{rest}"), "{path}{target}");
            assert_eq!((forward.upstream(), forward.prefix()), (upstream, prefix), "{path}{target}");
        }
    }
    assert_eq!(url(&forward(&gateway, "GET", "/Ex.act-1~/", &[])), "https://origin.example/");
    let other = forward(&gateway, "GET", "/v11/x", &[]);
    assert_eq!((url(&other), other.prefix()), ("https://origin.example/v11/x", ""));
}

/// What is authorized is what is forwarded: with the prefix, servers read these paths in other ways than without it.
#[test]
fn a_path_that_reads_differently_without_the_prefix_is_refused() {
    let gateway = stripped();
    for (path, expected) in [
        ("/v1//", "path_ambiguous"),
        ("/v1//evil.example", "path_ambiguous"),
        ("/v1//evil.example/%2E%2E", "path_invalid"),
        ("/v1/%2Fevil.example", "path_ambiguous"),
        ("/v1/%2fevil.example/x", "path_ambiguous"),
        ("/v1/%5Cevil.example", "path_ambiguous"),
        ("/v1/%252Fevil.example", "path_ambiguous"),
        ("/v1/;x/admin", "path_ambiguous"),
        ("/v1/%EF%BC%8Fevil.example", "path_ambiguous"),
        ("/v1/%C2%AD/evil.example", "path_ambiguous"),
        ("/v1/%20/evil.example", "path_invalid"),
        ("/%761/x", "path_ambiguous"),
        ("/v%31", "path_ambiguous"),
        ("/based/%76%31/x", "path_ambiguous"),
        ("/v1/..", "path_invalid"),
        ("/v1/../admin", "path_invalid"),
        ("/v1/%2e%2e/admin", "path_invalid"),
        ("/v1/..%2fadmin", "path_invalid"),
        ("/v1%2f..%2fadmin", "path_invalid"),
        ("/v1/.", "path_invalid"),
        ("/v1/x\\y", "path_invalid"),
        ("/v1/%00", "path_invalid"),
    ] {
        let reply = reply(&gateway, "GET", path, &[]);
        assert_eq!((reply.status, code(&reply).as_str()), (400, expected), "{path}");
    }
    // Other spellings of the prefix never reach the origin without it.
    for path in ["/V1/x", "//v1/x", "/v1%2Fx", "/v1;a/x", "/%EF%BD%961/x", "/v1%20/x"] {
        match handle(&gateway, &VirtualHost::default(), "GET", path, &[]) {
            edgeward::gateway::Answer::Reply(reply) => assert_eq!(reply.status, 400, "{path}"),
            edgeward::gateway::Answer::Forward(forward) => {
                assert_eq!(url(&forward), format!("https://origin.example{path}"), "{path}");
                assert_eq!(forward.prefix(), "", "{path}");
            }
        }
    }
    // The policy comes first.
    for path in ["/guarded//x", "/guarded/x"] {
        assert_eq!(reply(&gateway, "GET", path, &[]).status, 401, "{path}");
    }
    let bearer = bearer(&token());
    let credentials = [("authorization", bearer.as_str())];
    assert_eq!(code(&reply(&gateway, "GET", "/guarded//x", &credentials)), "path_ambiguous");
    assert_eq!(url(&forward(&gateway, "GET", "/guarded/x", &credentials)), "https://origin.example/x");
}

#[test]
fn forwarding_headers_tell_the_prefix_and_can_be_turned_off() {
    let names = |forward: &Forward<'_>| forward.set.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let gateway = with(&[
        route("/v1/{*rest}", "none", &proxy(json!({ "strip_prefix": "/v1" }))),
        route("/off/{*rest}", "none", &proxy(json!({ "forwarded": false, "strip_prefix": "/off" }))),
        route("/off-service/{*rest}", "none", &json!({ "type": "service", "binding": "B", "forwarded": false })),
    ]);
    let claimed = [
        ("cf-connecting-ip", "192.0.2.7"),
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-prefix", "//evil.example"),
    ];
    let told = forward(&gateway, "GET", "/v1/x", &claimed);
    let expected = [
        ("x-forwarded-host", "app.example.com"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-prefix", "/v1"),
    ];
    assert_eq!(told.set, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    for path in ["/off/x", "/off-service/x"] {
        let untold = forward(&gateway, "GET", path, &claimed);
        assert_eq!(names(&untold), [""; 0], "{path}");
        for name in ["x-forwarded-for", "X-Forwarded-Host", "x_forwarded_proto", "x-forwarded-prefix", "forwarded"] {
            assert!(untold.drops(name), "{path}: {name}");
        }
    }
}

#[test]
fn an_origin_may_take_as_long_as_the_route_says() {
    let gateway = with(&[
        route("/slow/{*rest}", "none", &proxy(json!({ "timeout_ms": 100 }))),
        route("/slower", "required", &json!({ "type": "service", "binding": "B", "timeout_ms": 900_000 })),
        route("/text", "none", &proxy(json!({ "timeout_ms": "2500" }))),
    ]);
    let bearer = bearer(&token());
    for (path, expected) in
        [("/open/x", None), ("/slow/x", Some(100)), ("/slower", Some(900_000)), ("/text", Some(2500))]
    {
        let forward = forward(&gateway, "GET", path, &[("authorization", &bearer)]);
        assert_eq!(forward.timeout_ms(), expected, "{path}");
        let url = format!("https://app.example.com{path}");
        let head = RequestHead { method: "GET", url: &url, header: &|_| None };
        let reply = forward.timed_out(&head);
        assert_eq!((reply.status, code(&reply).as_str()), (504, "origin_timeout"), "{path}");
        assert_eq!(values(&reply, "cache-control"), ["no-store"], "{path}");
    }
}

#[test]
fn limits_of_the_timeout_are_inclusive() {
    use edgeward::limits::{MAX_ORIGIN_TIMEOUT_MS, MIN_ORIGIN_TIMEOUT_MS};
    for (timeout, is_valid) in [
        (MIN_ORIGIN_TIMEOUT_MS, true),
        (MIN_ORIGIN_TIMEOUT_MS - 1, false),
        (MAX_ORIGIN_TIMEOUT_MS, true),
        (MAX_ORIGIN_TIMEOUT_MS + 1, false),
        (0, false),
    ] {
        let config = json!({ "paths": [route("/{*rest}", "none", &proxy(json!({ "timeout_ms": timeout })))] });
        assert_eq!(compile(&config.to_string(), &|_| None).is_ok(), is_valid, "{timeout}");
    }
}
