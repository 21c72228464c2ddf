//! Session access with a virtual clock: idle and absolute expiry, rights that expire with the access token, and cross-site
//! requests.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::ControlFlow::{Break, Continue};

use serde_json::json;

use super::matched::{Credentials, MatchedRequest};
use super::{Compiled, Gateway, Platform, Unicode, compile_with};
use crate::http::RequestHead;
use crate::io::UnixTime;
use crate::jwt::Claims;
use crate::oidc::RefreshOutcome;
use crate::session::{Cookies, Purpose, Session, SessionCache, Tokens};

const NOW: i64 = 1_700_000_000;
const DAY: i64 = 86_400;

fn gateway(session: serde_json::Value) -> Gateway {
    gateway_with(session, None)
}

fn gateway_with(session: serde_json::Value, random_secret: Option<&str>) -> Gateway {
    let config = json!({
        "authorizer": {
            "type": "auth0", "domain": "tenant.example.com", "audience": "https://api.example.com", "client_id": "c",
            "client_secret": "client secret", "redirect_uri": "https://app.example.com/cb"
        },
        "session": session,
        "paths": [
            { "method": "GET", "path": "/login", "integration": { "type": "login" } },
            { "method": "GET", "path": "/cb", "integration": { "type": "callback" } },
            { "method": "ANY", "path": "/plain", "integration": { "type": "respond" } },
            { "method": "ANY", "path": "/optional", "auth": "optional", "integration": { "type": "respond" } },
            { "method": "ANY", "path": "/scoped", "scopes": ["read:items"], "integration": { "type": "respond" } },
            {
                "method": "ANY", "path": "/token",
                "integration": { "type": "http_proxy", "url": "https://o.example", "headers": { "x": "$token" } }
            },
            { "method": "GET", "path": "/api", "on_unauthenticated": "401", "integration": { "type": "respond" } },
            { "method": "GET", "path": "/page", "on_unauthenticated": "login", "integration": { "type": "respond" } }
        ]
    });
    let platform = Platform { unicode: Unicode::TABLES, random_secret };
    let Compiled { gateway, .. } = compile_with(&config.to_string(), &|_| None, platform).unwrap();
    gateway
}

fn default_gateway() -> Gateway {
    gateway(json!({ "secrets": "a sealing secret of at least 32 characters" }))
}

/// Returns the `Cookie` header of a session that began at `NOW` with an access token for an hour.
fn cookie(gateway: &Gateway, refresh: Option<&str>) -> String {
    let claims =
        Claims::from_json(r#"{"iss":"https://tenant.example.com/","sub":"alice","scope":"read:items"}"#.into());
    let tokens = Tokens {
        access: "opaque".into(),
        access_obtained_s: NOW,
        access_expires_s: NOW + 3600,
        refresh: refresh.map(Into::into),
        ..Tokens::default()
    };
    let session = Session::new("s1".into(), claims.unwrap(), tokens, at(0));
    let sessions = &gateway.login().unwrap().sessions;
    let set = sessions.to_cookies(&session, &Cookies::default(), "app.example.com", &[7; 24], at(0)).unwrap();
    set[0].split(';').next().unwrap().into()
}

fn at(offset: i64) -> UnixTime {
    UnixTime::from_secs(NOW + offset)
}

/// Clears the session cache.
fn clear_cache(gateway: &Gateway) {
    gateway.login().unwrap().state.with(|state| state.sessions = SessionCache::default());
}

/// Matches a request to its route.
fn matched<'g>(gateway: &'g Gateway, head: &RequestHead<'_>) -> MatchedRequest<'g> {
    gateway.match_route(head).continue_value().unwrap()
}

/// Returns the outcome of a request, with a cold and a warm cache: `session`, `anonymous`, or status and location.
fn ask(gateway: &Gateway, method: &str, path: &str, headers: &[(&str, &str)], now: UnixTime) -> String {
    let header = |name: &str| headers.iter().find(|(one, _)| *one == name).map(|(_, value)| value.to_string());
    let url = alloc::format!("https://app.example.com{path}");
    let head = RequestHead { method, url: &url, header: &header };
    let ask = || match matched(gateway, &head).credentials(&head, now) {
        Continue(Credentials::Session(party, session)) => {
            assert_eq!(session.claims().subject(), Some("alice"));
            assert!(Arc::ptr_eq(party, gateway.login().unwrap()));
            "session".into()
        }
        Continue(Credentials::Anonymous) => "anonymous".into(),
        Continue(Credentials::Bearer(_)) => "bearer".into(),
        Break(reply) => alloc::format!("{} {}", reply.status, reply.header("location").unwrap_or_default()),
    };
    clear_cache(gateway);
    let (cold, warm): (String, String) = (ask(), ask());
    assert_eq!(cold, warm, "the cache changes no verdict");
    cold
}

const NAVIGATES: (&str, &str) = ("sec-fetch-mode", "navigate");
const TO_LOGIN: &str = "302 https://app.example.com/login?return_to=%2Fplain";

#[test]
fn a_session_is_valid_until_its_idle_expiry() {
    let gateway = default_gateway();
    let cookie = cookie(&gateway, None);
    for (offset, expected) in [(0, "session"), (DAY - 1, "session"), (DAY, TO_LOGIN), (-61, TO_LOGIN)] {
        assert_eq!(ask(&gateway, "GET", "/plain", &[("cookie", &cookie), NAVIGATES], at(offset)), expected, "{offset}");
    }
}

#[test]
fn rights_expire_with_the_access_token_unless_it_can_be_refreshed() {
    let gateway = default_gateway();
    for (refresh, path, offset, expected) in [
        (None, "/scoped", 3599, "session"),
        (None, "/scoped", 3600, "401 "),
        (None, "/token", 3600, "401 "),
        (None, "/plain", 3600, "session"),
        (None, "/optional", 3600, "session"),
        (Some("r"), "/scoped", 3600, "session"),
        (Some("r"), "/token", 3600, "session"),
    ] {
        let cookie = cookie(&gateway, refresh);
        assert_eq!(
            ask(&gateway, "GET", path, &[("cookie", &cookie)], at(offset)),
            expected,
            "{path} {offset} {refresh:?}"
        );
    }
}

// Regression: in an outage, rights outlived their token by an hour.
#[test]
fn rights_expire_with_the_access_token_in_an_outage_too() {
    let gateway = default_gateway();
    let cookie = cookie(&gateway, Some("r"));
    for (path, offset, expected) in
        [("/scoped", 3599, true), ("/scoped", 3600, false), ("/token", 3600, false), ("/plain", 3600, true)]
    {
        let url = alloc::format!("https://app.example.com{path}");
        let head = RequestHead { method: "GET", url: &url, header: &|name| (name == "cookie").then(|| cookie.clone()) };
        let session = gateway.login().unwrap().session_of(&head, at(offset)).unwrap();
        assert_eq!(matched(&gateway, &head).is_valid_for_route(&session, at(offset)), expected, "{path} {offset}");
    }
}

#[test]
fn a_login_that_brought_an_expired_token_causes_no_login_loop() {
    let gateway = default_gateway();
    let claims = Claims::from_json(r#"{"sub":"alice"}"#.into()).unwrap();
    let session = Session::new("s1".into(), claims, Tokens { access_expires_s: NOW, ..Tokens::default() }, at(0));
    for (path, offset, expected) in [
        ("/scoped", 0, "403 "),
        ("/token", 59, "403 "),
        ("/scoped", 60, "302 https://app.example.com/login?return_to=%2Fscoped"),
    ] {
        let url = alloc::format!("https://app.example.com{path}");
        let header = |name: &str| (name == "sec-fetch-mode").then(|| "navigate".to_string());
        let head = RequestHead { method: "GET", url: &url, header: &header };
        let request = matched(&gateway, &head);
        assert!(!request.is_valid_for_route(&session, at(offset)));
        let reply = request.require_login(&head, &session, at(offset));
        let got = alloc::format!("{} {}", reply.status, reply.header("location").unwrap_or_default());
        assert_eq!(got, expected, "{path} {offset}");
    }
}

#[test]
fn a_session_is_refused_for_state_changing_cross_site_requests() {
    let gateway = default_gateway();
    let cookie = cookie(&gateway, None);
    for (method, name, value, expected) in [
        ("POST", "origin", "https://app.example.com", "session"),
        ("POST", "origin", "https://evil.example", "403 "),
        ("POST", "origin", "http://app.example.com", "403 "),
        ("post", "origin", "https://evil.example", "403 "),
        ("POST", "sec-fetch-site", "same-site", "403 "),
        ("POST", "sec-fetch-site", "same-origin", "session"),
        ("GET", "sec-fetch-site", "cross-site", "session"),
        ("GET", "origin", "https://evil.example", "session"),
    ] {
        let headers = [("cookie", cookie.as_str()), (name, value)];
        assert_eq!(ask(&gateway, method, "/plain", &headers, at(0)), expected, "{method} {name}: {value}");
    }
    let upgrade = [("cookie", cookie.as_str()), ("upgrade", "websocket"), ("origin", "https://evil.example")];
    assert_eq!(ask(&gateway, "GET", "/plain", &upgrade, at(0)), "403 ");
}

#[test]
fn on_unauthenticated_controls_redirects_to_the_login() {
    let gateway = default_gateway();
    for (path, headers, expected) in [
        ("/plain", &[NAVIGATES][..], TO_LOGIN),
        ("/plain", &[][..], "401 "),
        ("/api", &[NAVIGATES][..], "401 "),
        ("/page", &[][..], "302 https://app.example.com/login?return_to=%2Fpage"),
        ("/page", &[("sec-fetch-mode", "cors")][..], "401 "),
        ("/page", &[("purpose", "prefetch")][..], "401 "),
        ("/optional", &[NAVIGATES][..], "anonymous"),
        ("/optional", &[("cookie", "__Host-edgeward=1.x")][..], "anonymous"),
    ] {
        assert_eq!(ask(&gateway, "GET", path, headers, at(0)), expected, "{path} {headers:?}");
    }
}

#[test]
fn without_a_secret_nothing_opens_unless_there_is_a_random_one() {
    let gateway = gateway(json!({}));
    let sealer = &gateway.login().unwrap().sessions.sealer;
    assert!(sealer.is_empty());
    assert!(sealer.open(Purpose::Session, "app.example.com", "").is_none());
    assert!(sealer.seal(Purpose::Session, "app.example.com", b"{}", &[7; 24]).is_none());

    let gateway = gateway_with(json!({}), Some("random"));
    let cookie = cookie(&gateway, None);
    assert_eq!(ask(&gateway, "GET", "/plain", &[("cookie", &cookie)], at(0)), "session");
    let other = gateway_with(json!({}), Some("another"));
    assert_eq!(ask(&other, "GET", "/plain", &[("cookie", &cookie)], at(0)), "401 ");
    let configured = gateway_with(json!({ "secrets": "a sealing secret of at least 32 characters" }), Some("random"));
    assert_eq!(ask(&configured, "GET", "/plain", &[("cookie", &cookie)], at(0)), "401 ");
}

#[test]
fn the_gateways_cookies_are_not_forwarded() {
    let secret = "a sealing secret of at least 32 characters";
    let gateway = gateway(json!({ "secrets": secret, "cookie": "__Secure-sid", "domain": "example.com" }));
    let forwarded =
        gateway.forwarded_cookies("__Secure-sid=a; __secure-SID.1=b; __Host-edgeward-login-x=c; __Secure-sidecar=d");
    assert_eq!(forwarded.as_deref(), Some("__Secure-sidecar=d"));
    let names: Vec<String> = gateway.login().unwrap().sessions.clear(&Cookies::new("__Secure-sid.1=b"));
    // Each is cleared twice: for the domain, and for a host-only cookie with the same name.
    let with_domain = names.iter().filter(|line| line.contains("; Domain=example.com; ")).count();
    assert_eq!((with_domain, names.len()), (2, 4));
}

/// A gateway whose session cookie can also be set by other hosts of the domain.
fn shared_gateway() -> Gateway {
    let secret = "a sealing secret of at least 32 characters";
    gateway(json!({ "secrets": secret, "cookie": "__Secure-sid", "domain": "example.com" }))
}

/// Returns the cookies of a session that began `began` seconds after `NOW`, with a user's name of `name` characters.
fn sealed(gateway: &Gateway, id: &str, began: i64, name: usize) -> Vec<String> {
    let claims = alloc::format!(r#"{{"sub":"alice","id":"{id}","name":"{}"}}"#, "n".repeat(name));
    let claims = Claims::from_json(claims.into_bytes()).unwrap();
    let session = Session::new(id.into(), claims, Tokens::default(), at(began));
    let sessions = &gateway.login().unwrap().sessions;
    let nonce = [u8::try_from(began).unwrap(); 24];
    let set = sessions.to_cookies(&session, &Cookies::default(), "app.example.com", &nonce, at(began)).unwrap();
    set.iter().map(|line| line.split(';').next().unwrap().to_string()).collect()
}

/// Returns the ids of the sessions that a `Cookie` header opens, in order.
fn opened(gateway: &Gateway, cookies: &[&str]) -> Vec<String> {
    let header = cookies.join("; ");
    let read = |name: &str| (name == "cookie").then(|| header.clone());
    let head = RequestHead { method: "GET", url: "https://app.example.com/plain", header: &read };
    clear_cache(gateway);
    let open = || gateway.login().unwrap().sessions_of(&head, at(100));
    let names = |sessions: Vec<Arc<Session>>| sessions.iter().map(|session| session.id().to_string()).collect();
    let (cold, warm): (Vec<String>, Vec<String>) = (names(open()), names(open()));
    assert_eq!(cold, warm, "the cache changes no verdict");
    cold
}

#[test]
fn of_several_cookies_with_one_name_the_newest_that_opens_counts() {
    let gateway = shared_gateway();
    let (old, new) = (&sealed(&gateway, "old", 0, 1)[0], &sealed(&gateway, "new", 50, 1)[0]);
    let garbage = "__Secure-sid=1.x";
    for cookies in [[old, new, garbage], [garbage, new, old], [new, garbage, old]] {
        assert_eq!(opened(&gateway, &cookies), ["new", "old"]);
    }
    assert_eq!(opened(&gateway, &[garbage, "__Secure-sid", "__Secure-sid=", old]), ["old"]);
    assert!(opened(&gateway, &[garbage, garbage]).is_empty());
    // The number of values tried is bounded.
    let many = [garbage; 8];
    assert!(opened(&gateway, &[&many[..], &[old]].concat()).is_empty());
    assert_eq!(opened(&gateway, &[&many[1..], &[old]].concat()), ["old"]);
}

#[test]
fn chunks_of_several_sessions_are_combined() {
    let gateway = shared_gateway();
    let (old, new) = (sealed(&gateway, "old", 0, 6000), sealed(&gateway, "new", 50, 6000));
    let ([a, b, c], [d, e, f]) = (&old[..], &new[..]) else { panic!("three chunks each") };
    for cookies in [[a, b, c, d, e, f], [d, e, f, a, b, c], [a, d, b, e, c, f], [a, d, e, b, c, f], [d, a, b, e, f, c]]
    {
        let cookies: Vec<&str> = cookies.iter().map(|cookie| cookie.as_str()).collect();
        assert_eq!(
            opened(&gateway, &cookies)[0],
            "new",
            "{:?}",
            cookies.iter().map(|one| &one[..14]).collect::<Vec<_>>()
        );
    }
    assert!(opened(&gateway, &[a, e, c]).is_empty() && opened(&gateway, &[a, b]).is_empty());
}

#[test]
fn a_repeated_host_cookie_is_no_session() {
    let gateway = default_gateway();
    let one = &sealed(&gateway, "one", 0, 1)[0];
    assert_eq!(opened(&gateway, &[one]), ["one"]);
    assert!(opened(&gateway, &[one, one]).is_empty() && opened(&gateway, &[one, "__Host-edgeward=1.x"]).is_empty());
}

#[test]
fn stale_cookies_are_cleared_for_domain_and_host_to_prevent_login_loops() {
    let gateway = shared_gateway();
    let read = |name: &str| match name {
        "cookie" => Some("__Secure-sid=2.x; __Secure-sid=1.y; __Secure-sid.1=z".into()),
        "sec-fetch-mode" => Some("navigate".into()),
        _ => None,
    };
    let head = RequestHead { method: "GET", url: "https://app.example.com/plain", header: &read };
    let reply = matched(&gateway, &head).credentials(&head, at(0)).break_value().unwrap();
    let set: Vec<&str> =
        reply.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.as_str()).collect();
    for name in ["__Secure-sid=; ", "__Secure-sid.1=; "] {
        let (with, without): (Vec<&str>, Vec<&str>) =
            set.iter().filter(|line| line.starts_with(name)).partition(|line| line.contains("Domain=example.com"));
        assert_eq!((with.len(), without.len()), (1, 1), "{set:?}");
    }
}

#[test]
fn an_optional_route_needs_no_challenge() {
    let gateway = default_gateway();
    for (path, expected) in [("/optional", None), ("/plain", Some(302)), ("/api", Some(401))] {
        let url = alloc::format!("https://app.example.com{path}");
        let read = |name: &str| (name == "sec-fetch-mode").then(|| "navigate".to_string());
        let head = RequestHead { method: "GET", url: &url, header: &read };
        let request = matched(&gateway, &head);
        let challenge = (!request.is_optional()).then(|| request.challenge(&head));
        assert_eq!(challenge.map(|reply| reply.status), expected, "{path}");
    }
}

#[test]
fn a_login_never_ends_on_a_login_route() {
    let gateway = default_gateway();
    let head = RequestHead { method: "GET", url: "https://app.example.com/cb", header: &|_| None };
    let request = matched(&gateway, &head);
    for (location, destination) in [
        ("/plain?a=b", "/plain?a=b"),
        ("/nowhere", "/nowhere"),
        ("/login", "/"),
        ("/login?return_to=/login", "/"),
        ("/cb?code=c", "/"),
        ("https://www.example.com/login", "https://www.example.com/login"),
    ] {
        assert_eq!(request.login_destination(location.into()), destination);
    }
}

#[test]
fn debug_shows_no_secret_of_credentials() {
    let gateway = default_gateway();
    let cookie = cookie(&gateway, Some("refresh-token-of-alice"));
    let url = "https://app.example.com/plain";
    let of_session = |name: &str| (name == "cookie").then(|| cookie.clone());
    let of_client = |name: &str| (name == "authorization").then(|| "Bearer access-token-of-alice".to_string());
    let heads = [&of_session as &dyn Fn(&str) -> Option<String>, &of_client];
    let shown = heads.map(|header| {
        let head = RequestHead { method: "GET", url, header };
        let request = matched(&gateway, &head);
        alloc::format!("{:?} {request:?}", request.credentials(&head, at(0)))
    });
    assert!(shown[0].contains("Session(") && shown[1].contains("Bearer(Token(…))"), "{shown:?}");

    let head = RequestHead { method: "GET", url, header: &of_session };
    let party = gateway.login().unwrap();
    let session = party.session_of(&head, at(0)).unwrap();
    let coordinator = party.state.with(|state| {
        let turn = state.refreshes.join(&session, at(0));
        let crate::oidc::RefreshTurn::Start(token) = turn else { panic!("it starts") };
        let outcome = RefreshOutcome::Refreshed(alloc::boxed::Box::new(session.as_ref().clone()));
        let shown = alloc::format!("{turn:?} {outcome:?}");
        state.refreshes.complete(token, outcome, at(0));
        let done = state.refreshes.join(&session, at(0));
        shown + &alloc::format!("{done:?} {:?} {state:?}", state.refreshes)
    });
    let shown = alloc::format!("{shown:?} {coordinator} {party:?} {session:?} {:?}", session.tokens());
    let sealed = &cookie[20..60];
    let secrets = ["client secret", "sealing secret", "-token-of-alice", "opaque", "\"s1\"", "alice", sealed];
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
