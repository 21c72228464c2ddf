//! `authorizer.token_from`: tokens in other headers and in cookies.

use edgeward::gateway::{Forward, HeaderEdit};
use edgeward::http::RequestHead;
use serde_json::{Value, json};
use support::host::VirtualHost;

use crate::{ALLOWED, Headers, Login, bearer, code, config, config_with_cors, forward, gateway, handle, reply, token};

const HEADER: &str = "cf-access-jwt-assertion";

/// Adds the sources of a proxy that authenticates, before `Authorization` if that is one.
fn with_sources(mut config: Value, also_authorization: bool) -> Value {
    let mut sources = vec![json!({ "header": "Cf-Access-Jwt-Assertion" }), json!({ "cookie": "CF_Authorization" })];
    if also_authorization {
        sources.push(json!({ "header": "Authorization" }));
    }
    config["authorizer"]["token_from"] = sources.into();
    config["paths"].as_array_mut().unwrap().extend([
        json!({ "method": "ANY", "path": "/session", "credentials": "session", "integration": {
            "type": "http_proxy", "url": "https://origin.example" } }),
        json!({ "method": "ANY", "path": "/relay", "integration": {
            "type": "http_proxy", "url": "https://origin.example", "headers": { "Cf-Access-Jwt-Assertion": "$token" } } }),
    ]);
    config
}

fn in_cookie(token: &str) -> String {
    format!("theme=dark; CF_Authorization={token}; b=\"x, y\"")
}

fn set<'f>(forward: &'f Forward<'_>, name: &str) -> Option<&'f str> {
    forward.set.iter().find(|(one, _)| one.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn cache_control(forward: &Forward<'_>, stated: Option<&str>) -> Option<String> {
    forward.response_edits(200, stated).into_iter().find_map(|edit| match edit {
        HeaderEdit::Set(name, value) if name == "cache-control" => Some(value),
        _ => None,
    })
}

#[test]
fn a_token_opens_a_route_from_each_source_and_from_no_other() {
    let text = token().text();
    let (cookie, authorization) = (in_cookie(&text), bearer(&token()));
    let several = gateway(&with_sources(config(), true));
    let others = gateway(&with_sources(config(), false));
    for headers in
        [[(HEADER, text.as_str())], [("cookie", cookie.as_str())], [("authorization", authorization.as_str())]]
    {
        assert_eq!(set(&forward(&several, "GET", "/api/a", &headers), "x-user"), Some("user-1"));
    }
    assert_eq!(set(&forward(&others, "GET", "/api/a", &[(HEADER, &text)]), "x-token"), Some(text.as_str()));
    // Without `Authorization` among the sources, the header is no credential, and the challenge names another.
    let refused = reply(&others, "GET", "/api/a", &[("authorization", &authorization)]);
    assert_eq!((refused.status, code(&refused).as_str()), (401, "token_missing"));
    assert!(refused.body.contains("in the header cf-access-jwt-assertion."), "{}", refused.body);
    assert_eq!(refused.header("www-authenticate"), Some(r#"Bearer realm="edgeward""#));
    // By default, nothing but `Authorization` is.
    let default = gateway(&config());
    for headers in [[(HEADER, text.as_str())], [("cookie", cookie.as_str())]] {
        assert_eq!(code(&reply(&default, "GET", "/api/a", &headers)), "token_missing");
    }
    // The default can be written.
    let mut written = config();
    written["authorizer"]["token_from"] = json!([{ "header": "Authorization" }]);
    let written = gateway(&written);
    for headers in [&[][..], &[("authorization", authorization.as_str())], &[("authorization", "Bearer a b")]] {
        let (one, other) = ((&default, &written), &VirtualHost::default());
        let shown = |gateway| format!("{:?}", handle(gateway, other, "GET", "/page", headers));
        assert_eq!(shown(one.0), shown(one.1));
    }
}

#[test]
fn several_tokens_are_refused_unless_they_are_equal() {
    let gateway = gateway(&with_sources(config(), true));
    let (text, authorization) = (token().text(), bearer(&token()));
    let other = token().claim("sub", "auth0|2").text();
    let cookie = in_cookie(&other);
    let twice = format!("{text}, {text}");
    let refused: [Headers<'_>; 6] = [
        &[(HEADER, &text), ("cookie", &cookie)],
        &[("authorization", &authorization), ("cookie", &cookie)],
        &[("authorization", &authorization), (HEADER, &other)],
        &[(HEADER, &twice)],
        &[(HEADER, &authorization)],
        &[("cookie", &format!("CF_Authorization={text}; CF_Authorization={other}"))],
    ];
    for headers in refused {
        for path in ["/api/a", "/maybe/a"] {
            let reply = reply(&gateway, "GET", path, headers);
            assert_eq!((reply.status, code(&reply).as_str()), (400, "invalid_request"), "{path}");
            assert_eq!(reply.header("www-authenticate"), Some(r#"Bearer realm="edgeward", error="invalid_request""#));
        }
        // A route for sessions does not read what comes by itself, which other hosts of the site may have set.
        let session = Login::new().cookie();
        let with_session: Vec<(&str, String)> = headers
            .iter()
            .filter(|(name, _)| *name != "authorization")
            .map(|(name, value)| {
                (*name, if *name == "cookie" { format!("{value}; {session}") } else { (*value).into() })
            })
            .chain(headers.iter().all(|(name, _)| *name != "cookie").then(|| ("cookie", session.clone())))
            .collect();
        let with_session: Vec<(&str, &str)> =
            with_session.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let forwarded = forward(&gateway, "GET", "/session", &with_session);
        assert!(!forwarded.set.iter().any(|(name, _)| name == "authorization"), "{headers:?}");
        // A public route reads no tokens.
        assert_eq!(set(&forward(&gateway, "GET", "/open/a", headers), "x-tenant"), Some("gold"));
    }
    let same = in_cookie(&text);
    forward(&gateway, "GET", "/api/a", &[("authorization", &authorization), (HEADER, &text), ("cookie", &same)]);
}

#[test]
fn every_source_is_removed_in_all_spellings_on_every_route() {
    let gateway = gateway(&with_sources(config(), true));
    let text = token().text();
    let with_cookie = in_cookie(&text);
    for (path, headers) in [
        ("/api/a", &[(HEADER, text.as_str()), ("cookie", &with_cookie)][..]),
        ("/api/a", &[("cookie", &with_cookie)]),
        ("/maybe/a", &[("cookie", "theme=dark; CF_Authorization=; b=\"x, y\"")]),
        ("/open/a", &[(HEADER, "not.a.token"), ("cookie", &with_cookie)]),
        (
            "/open/a",
            &[("cookie", "theme=dark; cf_authorization=x; CF.Authorization=y; CF__Authorization=z; b=\"x, y\"")],
        ),
        ("/kept-open/a", &[("cookie", &with_cookie)]),
        ("/service/a", &[("cookie", &with_cookie)]),
        ("/private-service/a", &[("cookie", &with_cookie)]),
    ] {
        let forward = forward(&gateway, "GET", path, headers);
        assert_eq!(set(&forward, "cookie"), Some("theme=dark; b=\"x, y\""), "{path}");
        for name in [HEADER, "Cf-Access-Jwt-Assertion", "CF_ACCESS_JWT_ASSERTION", "cf.access.jwt.assertion"] {
            assert!(forward.drops(name), "{path} {name}");
        }
        assert!(forward.drops("cookie") && !forward.drops("accept"));
        assert!(forward.set.iter().all(|(name, value)| name == "X-Token" || !value.contains(&text)), "{path}");
    }
    let forwarded = forward(&gateway, "GET", "/open/a", &[("cookie", &format!("CF_Authorization={text}"))]);
    assert_eq!(set(&forwarded, "cookie"), None);
    let names = "CF_Authorization2=a; XCF_Authorization=b; CFAuthorization=c";
    let untouched = forward(&gateway, "GET", "/open/a", &[("cookie", names)]);
    assert!(set(&untouched, "cookie").is_none() && !untouched.drops("cookie"));
    // A name that only the configuration knows, and a route that passes the verified token on.
    let mut config = config();
    config["authorizer"]["token_from"] = json!([{ "header": "Plain-Name" }]);
    let plain = crate::gateway(&config);
    assert!(forward(&plain, "GET", "/open/a", &[]).drops("PLAIN_name"));
    let relayed = forward(&gateway, "GET", "/relay", &[("cookie", &with_cookie)]);
    assert_eq!(set(&relayed, HEADER), Some(text.as_str()));
}

/// Requests that another site may cause.
const FORGED: [(&str, Headers<'static>); 5] = [
    ("POST", &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")]),
    ("DELETE", &[("sec-fetch-site", "same-site")]),
    ("POST", &[("origin", "https://evil.example")]),
    ("POST", &[("origin", "null")]),
    ("GET", &[("sec-fetch-site", "cross-site"), ("upgrade", "websocket")]),
];

#[test]
fn a_token_that_browsers_add_obeys_the_rules_of_sessions_for_other_sites() {
    let gateway = gateway(&with_sources(config_with_cors(), true));
    let (text, authorization) = (token().text(), bearer(&token()));
    let (cookie, session) = (in_cookie(&text), Login::new().cookie());
    for (method, from_other_site) in FORGED {
        // A proxy derives the header from a cookie.
        for ambient in [("cookie", cookie.as_str()), (HEADER, text.as_str()), ("cookie", session.as_str())] {
            let headers = [from_other_site, &[ambient]].concat();
            for path in ["/api/a", "/maybe/a", "/private-service/a"] {
                let refused = reply(&gateway, method, path, &headers);
                assert_eq!((refused.status, code(&refused).as_str()), (403, "cross_site_request"), "{method} {path}");
            }
        }
        // No other site can send this header.
        let headers = [from_other_site, &[("authorization", authorization.as_str()), ("cookie", &cookie)]].concat();
        forward(&gateway, method, "/api/a", &headers);
    }
    for allowed in [
        &[("sec-fetch-site", "same-origin"), ("origin", crate::ORIGIN)][..],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "cross-site"), ALLOWED],
        &[],
    ] {
        forward(&gateway, "POST", "/api/a", &[allowed, &[("cookie", cookie.as_str())]].concat());
    }
    // Other sites cannot read the response to a read.
    for method in ["GET", "HEAD", "OPTIONS"] {
        forward(&gateway, method, "/api/a", &[("sec-fetch-site", "cross-site"), ("cookie", &cookie)]);
    }
}

#[test]
fn no_cache_stores_the_response_to_a_token_that_browsers_add() {
    let gateway = gateway(&with_sources(config(), true));
    let (cookie, authorization) = (in_cookie(&token().text()), bearer(&token()));
    for (headers, stored, fixed) in [
        ([("cookie", cookie.as_str())], Some("private, no-store"), "private, no-store"),
        ([("authorization", authorization.as_str())], None, "private, max-age=5"),
    ] {
        let forwarded = forward(&gateway, "GET", "/api/a", &headers);
        assert_eq!(cache_control(&forwarded, Some("private, max-age=60")).as_deref(), stored);
        assert_eq!(cache_control(&forwarded, Some("public")).as_deref(), Some("private, no-store"));
        assert_eq!(reply(&gateway, "GET", "/page", &headers).header("cache-control"), Some(fixed));
    }
}

#[test]
fn tokens_of_other_sources_are_bearer_tokens() {
    let gateway = gateway(&with_sources(config(), true));
    let cookie = in_cookie(&token().text());
    // Where only sessions count, a token that comes by itself is ignored: a proxy adds one to every request.
    let refused = reply(&gateway, "GET", "/session", &[("cookie", &cookie)]);
    assert_eq!((refused.status, code(&refused).as_str()), (401, "login_required"));
    let both = format!("{}; {cookie}", Login::new().cookie());
    let text = token().text();
    forward(&gateway, "GET", "/session", &[("cookie", &both), (HEADER, &text)]);
    let refused = reply(&gateway, "GET", "/session", &[("authorization", &bearer(&token())), ("cookie", &both)]);
    assert_eq!((refused.status, code(&refused).as_str()), (401, "bearer_not_accepted"));
    // Like one in `Authorization`, it is preferred to a session, and a bad one is refused beside it.
    let both = format!("{}; {cookie}", Login::new().cookie());
    let forwarded = forward(&gateway, "GET", "/api/a", &[("cookie", &both)]);
    assert_eq!(set(&forwarded, "x-level"), Some("3"));
    let expired = in_cookie(&token().claim("exp", crate::NOW - 1000).text());
    let both = format!("{}; {expired}", Login::new().cookie());
    for (path, page) in [("/api/a", false), ("/api/a", true), ("/maybe/a", false)] {
        let mut headers = vec![("cookie", both.as_str())];
        headers.extend([("sec-fetch-mode", "navigate"), ("accept", "text/html")].into_iter().filter(|_| page));
        let refused = reply(&gateway, "GET", path, &headers);
        // Browser navigations get a page.
        let code = if page { "token_expired".into() } else { code(&refused) };
        assert_eq!((refused.status, code.as_str()), (401, "token_expired"), "{path}");
        assert_eq!(refused.body.contains("<code>token_expired</code>"), page, "{path}: {}", refused.body);
    }
    // Without a token, browsers go to the login.
    let page = [("sec-fetch-mode", "navigate"), ("cookie", "CF_Authorization=")];
    assert_eq!(reply(&gateway, "GET", "/api/a", &page).status, 302);
}

#[test]
fn no_token_is_in_debug_output() {
    let gateway = gateway(&with_sources(config(), true));
    let text = token().text();
    let cookie = in_cookie(&text);
    let host = VirtualHost::default();
    for headers in [[(HEADER, text.as_str())], [("cookie", cookie.as_str())]] {
        let header = |name: &str| headers.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
        let head = RequestHead { method: "GET", url: "https://app.example.com/api/a", header: &header };
        let shown = format!("{:?}", host.run(gateway.handle(&head, &host)));
        assert!(!shown.contains(&text), "{shown}");
    }
    assert!(host.seen().lines.is_empty());
}
