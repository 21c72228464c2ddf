//! A session cookie is valid only unaltered in every bit, for its purpose, host and secret, and until it expires. All other cookies
//! are anonymous.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]
#![cfg(feature = "unicode")]

use edgeward::gateway::{Answer, Gateway, compile};
use edgeward::http::{Reply, RequestHead};
use edgeward::io::UnixTime;
use edgeward::jwt::{Algorithm, Policy};
use edgeward::oidc::LOGIN_COOKIE_PREFIX;
use edgeward::session::{
    CookieShape, Cookies, LoggedOutSessions, LoginBinding, Purpose, Sealer, Session, Sessions, Tokens,
};
use serde_json::json;
use support::NOW;
use support::host::VirtualHost;

const HOST: &str = "app.example.com";
const COOKIE: &str = "__Host-edgeward";
const SECRET: &str = "a sealing secret of at least 32 characters";

fn at(offset: i64) -> UnixTime {
    UnixTime::from_secs(NOW + offset)
}

fn gateway() -> Gateway {
    let respond = json!({ "type": "respond", "headers": { "X-User": "$claims.sub" } });
    let config = json!({
        "authorizer": {
            "type": "auth0", "domain": "tenant.example.com", "audience": "https://api.example.com", "client_id": "c",
            "client_secret": "client secret", "redirect_uri": "https://app.example.com/cb"
        },
        "session": { "secrets": SECRET },
        "paths": [
            { "method": "GET", "path": "/login", "integration": { "type": "login" } },
            { "method": "GET", "path": "/cb", "integration": { "type": "callback" } },
            { "method": "ANY", "path": "/private", "integration": respond },
            { "method": "ANY", "path": "/maybe", "auth": "optional", "integration": respond },
            { "method": "ANY", "path": "/scoped", "scopes": ["read:items"], "integration": respond },
        ]
    });
    compile(&config.to_string(), &|_| None).unwrap_or_else(|problems| panic!("{problems:?}")).gateway
}

/// Returns the session configuration of that gateway.
fn sessions() -> Sessions {
    Sessions {
        sealer: sealer(SECRET),
        cookie: CookieShape { name: COOKIE.into(), same_site: "Lax", domain: None },
        idle_s: 86_400,
        absolute_s: 259_200,
    }
}

fn sealer(secret: &str) -> Sealer {
    let audience = ["https://api.example.com".to_string()];
    let binding = LoginBinding { issuer: "https://tenant.example.com/", client_id: "c", audience: &audience };
    Sealer::new(&[secret], binding)
}

/// Returns the content of a session whose user's name has this length.
fn content(name: usize) -> serde_json::Value {
    json!({
        "v": 2, "id": "session-id", "iat": NOW, "seen": NOW, "nonce": "nonce-of-a-login",
        "claims": { "sub": "auth0|1", "name": "n".repeat(name) }, "rights": null, "unread": null,
        "at": "access-token-of-alice", "at_iat": NOW, "at_exp": NOW + 30, "rt": null, "idt": "id-token-of-alice"
    })
}

/// Seals content for a purpose and host.
fn seal(secret: &str, purpose: Purpose, host: &str, content: &str) -> String {
    sealer(secret).seal(purpose, host, content.as_bytes(), &[7; 24]).unwrap()
}

/// Returns a session whose user's name has this length.
fn session(name: usize) -> Session {
    let sealed = seal(SECRET, Purpose::Refresh, HOST, &content(name).to_string());
    sessions().open_message(&sealed, HOST).unwrap()
}

/// Returns the cookies' names and values.
fn cookies_with(nonce: u8, session: &Session) -> Vec<(String, String)> {
    let set = sessions().to_cookies(session, &Cookies::default(), HOST, &[nonce; 24], at(0)).unwrap();
    let pair = |line: &String| line.split(';').next().unwrap().split_once('=').map(|(n, v)| (n.into(), v.into()));
    set.iter().filter_map(pair).collect()
}

fn kept(session: &Session) -> Vec<(String, String)> {
    cookies_with(9, session)
}

fn header(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

/// Requests a page.
fn get(gateway: &Gateway, path: &str, cookie: &str, now: UnixTime) -> Reply {
    let url = format!("https://{HOST}{path}");
    let read = |name: &str| (name == "cookie").then(|| cookie.to_string());
    let head = RequestHead { method: "GET", url: &url, header: &read };
    let host = VirtualHost::default();
    host.set_clock(now);
    match host.run(gateway.handle(&head, &host)) {
        Answer::Reply(reply) => reply,
        Answer::Forward(forward) => panic!("{forward:?}"),
    }
}

fn set_cookies(reply: &Reply) -> Vec<&str> {
    reply.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, line)| line.as_str()).collect()
}

/// Returns the user of the cookies, `None` for anonymous, or the response of a route that requires a user.
fn ask(gateway: &Gateway, path: &str, cookie: &str, now: UnixTime) -> Result<Option<String>, Reply> {
    let reply = get(gateway, path, cookie, now);
    if reply.status == 200 { Ok(reply.header("x-user").map(String::from)) } else { Err(reply) }
}

/// Asserts that a `Cookie` header is anonymous: a route that requires a user returns a challenge and clears invalid cookies.
fn assert_anonymous(gateway: &Gateway, cookie: &str, what: &dyn core::fmt::Display) {
    let reply = ask(gateway, "/private", cookie, at(1)).err().unwrap_or_else(|| panic!("{what}: a session"));
    assert_eq!(reply.status, 401, "{what}");
    for line in set_cookies(&reply) {
        assert!(line.starts_with(COOKIE) && line.contains("=; Path=/; Max-Age=0; "), "{what}: {line}");
    }
    assert_eq!(ask(gateway, "/maybe", cookie, at(1)), Ok(None), "{what}");
}

fn assert_authenticated(gateway: &Gateway, cookie: &str) {
    for path in ["/private", "/maybe"] {
        assert_eq!(ask(gateway, path, cookie, at(1)), Ok(Some("auth0|1".into())), "{path}");
    }
}

#[test]
fn every_altered_bit_is_detected() {
    let gateway = gateway();
    let whole = header(&kept(&session(10)));
    assert_authenticated(&gateway, &whole);
    let mut altered = 0;
    for index in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone().into_bytes();
            bytes[index] ^= 1 << bit;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            assert_anonymous(&gateway, &text, &format_args!("bit {bit} of byte {index}"));
            altered += 1;
        }
    }
    assert!(altered > 2000, "{altered}");
}

#[test]
fn every_altered_bit_of_any_chunk_is_detected() {
    let gateway = gateway();
    let pairs = kept(&session(6000));
    assert_eq!(pairs.len(), 3);
    assert_authenticated(&gateway, &header(&pairs));
    for (chunk, (_, value)) in pairs.iter().enumerate() {
        for index in (0..value.len()).step_by(7) {
            let mut altered = pairs.clone();
            let mut bytes = value.clone().into_bytes();
            bytes[index] ^= 1 << (index % 7);
            altered[chunk].1 = String::from_utf8(bytes).unwrap();
            assert_anonymous(&gateway, &header(&altered), &format_args!("byte {index} of chunk {chunk}"));
        }
    }
}

#[test]
fn truncated_and_extended_cookies_are_refused() {
    let gateway = gateway();
    let whole = header(&kept(&session(10)));
    for len in 0..whole.len() {
        assert_anonymous(&gateway, &whole[..len], &len);
    }
    for tail in ["A", "=", ".", "AAAA", "\"", "%00", "\u{0}", "\u{2000}"] {
        assert_anonymous(&gateway, &format!("{whole}{tail}"), &tail);
    }
}

#[test]
fn chunks_must_be_complete_and_unique() {
    let gateway = gateway();
    let [a, b, c] = kept(&session(6000)).try_into().unwrap();
    let other = cookies_with(8, &session(6000));
    let named = |name: &(String, String), value: &(String, String)| (name.0.clone(), value.1.clone());
    assert_authenticated(&gateway, &header(&[c.clone(), a.clone(), b.clone()]));
    for (what, pairs) in [
        ("the first is lost", vec![b.clone(), c.clone()]),
        ("the second is lost", vec![a.clone(), c.clone()]),
        ("the last is lost", vec![a.clone(), b.clone()]),
        ("two are swapped", vec![a.clone(), named(&b, &c), named(&c, &b)]),
        ("all are moved", vec![named(&a, &b), named(&b, &c), named(&c, &a)]),
        ("one is doubled", vec![a.clone(), b.clone(), c.clone(), b.clone()]),
        ("the first is doubled", vec![a.clone(), a.clone(), b.clone(), c.clone()]),
        ("one is another session's", vec![a.clone(), other[1].clone(), c.clone()]),
        ("the first is another session's", vec![other[0].clone(), b.clone(), c.clone()]),
        ("the last is empty", vec![a, b, (c.0, String::new())]),
    ] {
        assert_anonymous(&gateway, &header(&pairs), &what);
    }
}

#[test]
fn values_sealed_for_another_purpose_are_no_session() {
    let gateway = gateway();
    let sessions = sessions();
    let session = session(10);
    let value = kept(&session)[0].1.clone();
    let sealed = value.strip_prefix("1.").unwrap();
    let cookie = |sealed: &str| format!("{COOKIE}=1.{sealed}");
    let seal = |secret: &str, purpose, host: &str| seal(secret, purpose, host, &content(10).to_string());
    assert_authenticated(&gateway, &cookie(&seal(SECRET, Purpose::Session, HOST)));

    for (what, sealed) in [
        ("another secret", seal("another secret of at least 32 characters", Purpose::Session, HOST)),
        ("another host", seal(SECRET, Purpose::Session, "www.example.com")),
        ("no host", seal(SECRET, Purpose::Session, "")),
        ("a login", seal(SECRET, Purpose::Login, HOST)),
        ("a refresh", seal(SECRET, Purpose::Refresh, HOST)),
        ("what isolates pass on", sessions.seal_message(&session, HOST, &[7; 24]).unwrap()),
    ] {
        assert_anonymous(&gateway, &cookie(&sealed), &what);
    }
    assert!(sessions.open_message(sealed, HOST).is_none(), "nor is a session what isolates pass on");

    let begun = get(&gateway, "/login", "", at(0));
    let (name, rest) = set_cookies(&begun)[0].split_once('=').unwrap();
    assert!(name.starts_with(LOGIN_COOKIE_PREFIX));
    let login = rest.split(';').next().unwrap();
    assert_anonymous(&gateway, &format!("{COOKIE}={login}"), &"the cookie of a login");

    let location = begun.header("location").unwrap();
    let state = location.split("state=").nth(1).unwrap().split('&').next().unwrap();
    for value in [value.as_str(), &format!("1.{}", seal(SECRET, Purpose::Login, HOST))] {
        let back = get(&gateway, &format!("/cb?code=c&state={state}"), &format!("{name}={value}"), at(1));
        assert_eq!((back.status, code(&back).as_str()), (400, "state_invalid"), "a session is no login");
        assert!(set_cookies(&back).is_empty());
    }
    let denied = get(&gateway, &format!("/cb?error=access_denied&state={state}"), &format!("{name}={login}"), at(1));
    assert_eq!(code(&denied), "login_denied", "and the login is one");
}

fn code(reply: &Reply) -> String {
    let problem: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    problem["code"].as_str().unwrap().into()
}

#[test]
fn the_thumbprint_of_the_access_tokens_key_is_optional() {
    for jkt in [None, Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")] {
        let mut content = content(1);
        if let Some(jkt) = jkt {
            content["jkt"] = json!(jkt);
        }
        let sealed = seal(SECRET, Purpose::Refresh, HOST, &content.to_string());
        let session = sessions().open_message(&sealed, HOST).unwrap();
        assert_eq!(session.tokens().jkt.as_deref(), jkt);
        let (_, value) = kept(&session).remove(0);
        let text = sealer(SECRET).open(Purpose::Session, HOST, value.split_once('.').unwrap().1).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(written.get("jkt"), content.get("jkt"));
    }
}

#[test]
fn invalid_content_is_refused_even_if_sealed_correctly() {
    let gateway = gateway();
    let good = content(1);
    let cookie = |text: &str| format!("{COOKIE}=1.{}", seal(SECRET, Purpose::Session, HOST, text));
    assert_authenticated(&gateway, &cookie(&good.to_string()));
    for name in ["v", "id", "iat", "login", "seen", "nonce", "claims", "rights", "unread", "at", "at_iat", "at_exp"] {
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(name);
        // Former versions wrote no `login`.
        if name != "login" {
            assert_anonymous(&gateway, &cookie(&without.to_string()), &format_args!("no {name}"));
        }
        for value in [json!(null), json!(-1), json!(1.5), json!([]), json!("2"), json!(u64::MAX)] {
            let fits = match name {
                "id" | "nonce" | "at" => value.is_string(),
                "rights" | "unread" => value.is_null(),
                _ => false,
            };
            if fits {
                continue;
            }
            let mut other = good.clone();
            other[name] = value;
            assert_anonymous(&gateway, &cookie(&other.to_string()), &other);
        }
    }
    let twice = good.to_string().replacen('{', r#"{"v":2,"#, 1);
    for text in [twice.as_str(), "", "{}", "[]", "null", "\"a\"", "{", "\u{feff}{}"] {
        assert_anonymous(&gateway, &cookie(text), &text);
    }
    // A cookie written while the clock was ahead, of a session that has begun, is valid: a clock that is wrong for a moment ends no session.
    let mut ahead = good.clone();
    ahead["seen"] = json!(NOW + 62);
    assert_authenticated(&gateway, &cookie(&ahead.to_string()));
    for (created, seen) in [(NOW + 62, NOW + 62), (NOW, NOW - 1), (NOW - 259_200, NOW), (0, NOW)] {
        let mut other = good.clone();
        (other["iat"], other["seen"]) = (json!(created), json!(seen));
        assert_anonymous(&gateway, &cookie(&other.to_string()), &other);
    }
}

#[test]
fn a_challenge_clears_invalid_cookies_only() {
    let gateway = gateway();
    let whole = header(&kept(&session(6000)));
    let cleared = |path, cookie: &str, now| {
        let reply = ask(&gateway, path, cookie, now).err().unwrap();
        set_cookies(&reply).len()
    };
    // Its access token has expired, and with it the rights this route requires; the login stays valid.
    assert!(ask(&gateway, "/private", &whole, at(120)).is_ok());
    assert_eq!(cleared("/scoped", &whole, at(120)), 0);
    assert_eq!(cleared("/private", &whole, at(86_400)), 3, "idle for too long: every chunk is cleared");
    assert_eq!(cleared("/private", &format!("{COOKIE}=x"), at(0)), 1);
    assert_eq!(cleared("/private", &format!("{COOKIE}.1=x"), at(0)), 0);
    assert_eq!(cleared("/private", "other=x", at(0)), 0);
}

#[test]
fn the_number_of_remembered_ends_is_bounded() {
    let mut ended = LoggedOutSessions::default();
    ended.end("first");
    for index in 0..4095 {
        ended.end(&index.to_string());
    }
    assert!(ended.contains("first") && ended.contains("4094") && !ended.contains("other"));
    ended.end("one more");
    assert!(!ended.contains("first"), "the oldest is evicted");
}

#[test]
fn a_login_can_begin_with_any_cookies_and_echoes_none() {
    let gateway = gateway();
    for tail in ["é", "a b", "\"", "<script>", ".1", "a\u{0}", "123456789", "\u{2000}", "a,b"] {
        let cookie = format!("{LOGIN_COOKIE_PREFIX}{tail}=1.x");
        let begun = get(&gateway, "/login", &cookie, at(0));
        assert_eq!((begun.status, set_cookies(&begun).len()), (302, 1), "{tail}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let gateway = gateway();
    let session = session(10);
    let whole = header(&kept(&session));
    let tokens = Tokens { refresh: Some("refresh-token-of-alice".into()), ..session.tokens().clone() };
    let refreshable = session.clone().refreshed(session.claims().clone(), tokens);
    let policy = Policy::id_token("https://tenant.example.com/", "c", &[Algorithm::Rs256]).unwrap();
    let policy = policy.nonce("nonce-of-a-login").at_hash_of("access-token-of-alice");
    // The gateway's state now includes everything opened, requested and received.
    assert_authenticated(&gateway, &whole);
    let (party, reply) = (gateway.login().unwrap(), get(&gateway, "/private", "x", at(1)));
    let shown = format!(
        "{gateway:?} {party:?} {:?} {session:?} {:?} {refreshable:?} {:?} {policy:?} {reply:?}",
        sessions(),
        session.tokens(),
        refreshable.tokens(),
    );
    for secret in [
        SECRET,
        "client secret",
        "access-token",
        "id-token",
        "refresh-token",
        "nonce-of-a-login",
        "session-id",
        "auth0|1",
        &whole[20..60],
    ] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
