//! Changes to an origin's response, for every combination of status, policy, session, CORS and origin headers.

use edgeward::gateway::{Forward, HeaderEdit};
use edgeward::http::RequestHead;

use crate::{
    ALLOWED, COOKIE, Login, ORIGIN, OTHER, bearer, config, config_with_cors, forward, gateway, problem, token, values,
};

type Header = (String, String);

/// The sender of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    /// An anonymous client.
    Anonymous,
    /// An API client with a token.
    Program,
    /// A user with a session.
    User,
    /// The same, with a session whose cookie is rewritten.
    Returning,
}

/// The CORS policy and the origin of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cors {
    None,
    NoneAsked,
    SameOrigin,
    Friend,
    Stranger,
}

const CACHE_CONTROLS: [Option<&str>; 11] = [
    None,
    Some(""),
    Some("public, max-age=60"),
    Some("max-age=60"),
    Some("private"),
    Some("max-age=0, No-Store"),
    Some("PRIVATE , max-age=60"),
    Some("no-storage, x-private"),
    Some("no-cache=\"x-private\""),
    Some("private=\"set-cookie\", max-age=60"),
    Some("community=\"a, private, b\", max-age=60"),
];

/// Headers that shared caches read instead of `Cache-Control`.
pub(crate) const TARGETED: [&str; 9] = [
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "surrogate-control",
    "x-accel-expires",
    "akamai-cache-control",
    "edge-control",
    "netlify-cdn-cache-control",
    "vercel-cdn-cache-control",
    "x-litespeed-cache-control",
];

/// Returns the origin's response headers, with this `Cache-Control`.
fn said(cache_control: Option<&str>) -> Vec<Header> {
    let headers = [
        ("content-type", "text/html"),
        ("set-cookie", "origin=1"),
        ("set-cookie", "__Host-edgeward=of the origin"),
        ("vary", "Accept-Encoding"),
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "*"),
        ("access-control-allow-headers", "*"),
        ("access-control-expose-headers", "*"),
        ("access-control-max-age", "86400"),
        ("etag", "\"1\""),
    ];
    let cache_control = cache_control.map(|value| ("cache-control", value));
    let targeted = TARGETED.map(|name| (name, "max-age=600"));
    headers.into_iter().chain(targeted).chain(cache_control).map(|(name, value)| (name.into(), value.into())).collect()
}

/// Applies the edits as a host does.
fn edited(mut headers: Vec<Header>, edits: &[HeaderEdit]) -> Vec<Header> {
    for edit in edits {
        match edit {
            HeaderEdit::Remove(name) => headers.retain(|(one, _)| one != name),
            HeaderEdit::Set(name, value) => {
                headers.retain(|(one, _)| one != name);
                headers.push((name.to_string(), value.clone()));
            }
            HeaderEdit::Append(name, value) => headers.push((name.to_string(), value.clone())),
        }
    }
    headers
}

fn all<'h>(headers: &'h [Header], name: &str) -> Vec<&'h str> {
    headers.iter().filter(|(one, _)| one == name).map(|(_, value)| value.as_str()).collect()
}

/// Checks a forwarded request of each kind.
fn each(check: impl Fn(&str, Client, Cors, Forward<'_>)) {
    let [without, with] = [config(), config_with_cors()].map(|config| gateway(&config));
    let (bearer, cookie, old) = (bearer(&token()), Login::new().cookie(), Login::with_stale_cookie().cookie());
    for path in ["/open/x", "/maybe/x", "/api/x", "/service/x", "/private-service/x"] {
        for client in [Client::Anonymous, Client::Program, Client::User, Client::Returning] {
            for cors in [Cors::None, Cors::NoneAsked, Cors::SameOrigin, Cors::Friend, Cors::Stranger] {
                let mut headers = match client {
                    Client::Anonymous => vec![],
                    Client::Program => vec![("authorization", bearer.as_str())],
                    Client::User => vec![("cookie", cookie.as_str())],
                    Client::Returning => vec![("cookie", old.as_str())],
                };
                match cors {
                    Cors::None | Cors::NoneAsked => {}
                    Cors::SameOrigin => headers.push(("origin", "https://app.example.com")),
                    Cors::Friend => headers.push(ALLOWED),
                    Cors::Stranger => headers.push(OTHER),
                }
                if client == Client::Anonymous && matches!(path, "/api/x" | "/private-service/x") {
                    continue;
                }
                let gateway = if cors == Cors::None { &without } else { &with };
                check(path, client, cors, forward(gateway, "GET", path, &headers));
            }
        }
    }
}

fn is_public(path: &str) -> bool {
    matches!(path, "/open/x" | "/service/x")
}

/// Whether the gateway found a session.
fn has_session(path: &str, client: Client) -> bool {
    !is_public(path) && matches!(client, Client::User | Client::Returning)
}

#[test]
fn responses_have_exactly_the_required_cache_and_cors_headers() {
    each(|path, client, cors, forward| {
        for status in [200, 204, 206, 304, 404, 500, 103] {
            for cache_control in CACHE_CONTROLS {
                let what = format!("{path} {client:?} {cors:?} {status} {cache_control:?}");
                let before = said(cache_control);
                let after = edited(before.clone(), &forward.response_edits(status, cache_control));

                // Caches.
                let own_words =
                    matches!(cache_control, Some("private" | "max-age=0, No-Store" | "PRIVATE , max-age=60"));
                let is_kept = is_public(path) || own_words && !has_session(path, client);
                let expected = if is_kept { cache_control } else { Some("private, no-store") };
                assert_eq!(all(&after, "cache-control"), expected.into_iter().collect::<Vec<_>>(), "{what}");
                for name in TARGETED {
                    assert_eq!(all(&after, name).len(), usize::from(is_public(path)), "{what} {name}");
                }

                // Cookies: of two with one name, the later wins, which is the gateway's.
                let cookies = all(&after, "set-cookie");
                assert_eq!(cookies[..2], ["origin=1", "__Host-edgeward=of the origin"], "{what}");
                let is_written = has_session(path, client) && client == Client::Returning;
                assert_eq!(cookies.len(), 2 + usize::from(is_written), "{what}");
                assert!(cookies[2..].iter().all(|line| line.starts_with(&format!("{COOKIE}=1."))), "{what}");

                // Scripts of other origins.
                let mut vary = vec!["Accept-Encoding"];
                let mut of_cors = Vec::new();
                match cors {
                    Cors::None => of_cors.clone_from(&before),
                    Cors::NoneAsked | Cors::SameOrigin | Cors::Stranger => vary.push("Origin"),
                    Cors::Friend => {
                        vary.push("Origin");
                        for (name, value) in [
                            ("access-control-allow-origin", "https://www.example.com"),
                            ("access-control-allow-credentials", "true"),
                            ("access-control-expose-headers", "x-total, etag"),
                        ] {
                            of_cors.push((name.into(), value.into()));
                        }
                    }
                }
                of_cors.retain(|(name, _)| name.starts_with("access-control-"));
                let found: Vec<Header> =
                    after.iter().filter(|(name, _)| name.starts_with("access-control-")).cloned().collect();
                assert_eq!(found, of_cors, "{what}");
                assert_eq!(all(&after, "vary"), vary, "{what}");

                // Other headers are the origin's.
                for name in ["content-type", "etag"] {
                    assert_eq!(all(&after, name), all(&before, name), "{what}");
                }
            }
        }
    });
}

#[test]
fn only_the_session_cookie_of_an_upgraded_connection_changes() {
    each(|path, client, cors, forward| {
        for cache_control in CACHE_CONTROLS {
            let what = format!("{path} {client:?} {cors:?} {cache_control:?}");
            let before = said(cache_control);
            let after = edited(before.clone(), &forward.response_edits(101, cache_control));
            let is_written = has_session(path, client) && client == Client::Returning;
            assert_eq!(after[..before.len()], before, "{what}");
            let added = &after[before.len()..];
            assert_eq!(added.len(), usize::from(is_written), "{what}");
            assert!(added.iter().all(|(name, line)| name == "set-cookie" && line.starts_with(COOKIE)), "{what}");
        }
    });
}

#[test]
fn removals_precede_additions() {
    each(|path, client, cors, forward| {
        let edits = forward.response_edits(200, None);
        for (at, edit) in edits.iter().enumerate() {
            let HeaderEdit::Remove(removed) = edit else { continue };
            let earlier = edits[..at].iter().any(|other| match other {
                HeaderEdit::Remove(name) => name == removed,
                HeaderEdit::Set(name, _) | HeaderEdit::Append(name, _) => name == removed,
            });
            assert!(!earlier, "{path} {client:?} {cors:?}: {removed}");
        }
        let is_plain = is_public(path) && cors == Cors::None;
        assert_eq!(edits.is_empty(), is_plain, "{path} {client:?} {cors:?}: an unchanged response has no edits");
    });
}

#[test]
fn the_response_for_an_unreachable_origin_has_the_same_headers() {
    for is_missing in [false, true] {
        each(|path, client, cors, forward| {
            let what = format!("{path} {client:?} {cors:?}");
            let head = RequestHead { method: "GET", url: ORIGIN, header: &|_| None };
            let reply = if is_missing { forward.without_service(&head) } else { forward.unreachable(&head) };
            let (status, code) = if is_missing { (503, "config_invalid") } else { (502, "origin_unreachable") };
            assert_eq!((reply.status, problem(&reply)["code"].as_str()), (status, Some(code)), "{what}");

            let cache_control = if has_session(path, client) { "private, no-store" } else { "no-store" };
            assert_eq!(values(&reply, "cache-control"), [cache_control], "{what}");
            let is_written = has_session(path, client) && client == Client::Returning;
            assert_eq!(values(&reply, "set-cookie").len(), usize::from(is_written), "{what}");

            let is_friend = cors == Cors::Friend;
            let origin = if is_friend { &["https://www.example.com"][..] } else { &[] };
            assert_eq!(values(&reply, "access-control-allow-origin"), origin, "{what}");
            let yes = if is_friend { &["true"][..] } else { &[] };
            assert_eq!(values(&reply, "access-control-allow-credentials"), yes, "{what}");
            let vary = if cors == Cors::None { &[][..] } else { &["Origin"] };
            assert_eq!(values(&reply, "vary"), vary, "{what}");
        });
    }
}
