//! Proves that a session cookie opens a session only as it was written: every bit of it, for this purpose, host and secret, and
//! as long as it lasts. Whatever else a browser sends is nobody's.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]
#![cfg(feature = "gateway")]

use edgeward::gateway::{Credentials, Gateway, Login, compile};
use edgeward::http::{Reply, RequestHead};
use edgeward::io::UnixTime;
use edgeward::oidc::{self, LOGIN_COOKIE_PREFIX, Provider, UsedStates};
use edgeward::session::{Cookies, EndedSessions, LoginBinding, Purpose, Sealer, Session, SessionMemory, Tokens};
use serde_json::json;

const NOW: i64 = 1_700_000_000;
const HOST: &str = "app.example.com";
const COOKIE: &str = "__Host-edgeward";
const SECRET: &str = "a sealing secret of at least 32 characters";

fn at(offset: i64) -> UnixTime {
    UnixTime::from_secs(NOW + offset)
}

fn gateway() -> Gateway {
    let config = json!({
        "authorizer": {
            "type": "auth0", "domain": "tenant.example.com", "audience": "https://api.example.com", "client_id": "c",
            "client_secret": "client secret", "redirect_uri": "https://app.example.com/cb"
        },
        "session": { "secrets": SECRET },
        "paths": [
            { "method": "GET", "path": "/login", "integration": { "type": "login" } },
            { "method": "GET", "path": "/cb", "integration": { "type": "callback" } },
            { "method": "ANY", "path": "/private", "integration": { "type": "respond" } },
            { "method": "ANY", "path": "/maybe", "auth": "optional", "integration": { "type": "respond" } },
            { "method": "ANY", "path": "/scoped", "scopes": ["read:items"], "integration": { "type": "respond" } },
        ]
    });
    compile(&config.to_string(), &|_| None).unwrap_or_else(|problems| panic!("{problems:?}")).gateway
}

fn login(gateway: &Gateway) -> &Login {
    gateway.login().unwrap()
}

/// The content of a session with a name so long.
fn content(name: usize) -> serde_json::Value {
    json!({
        "v": 2, "id": "session-id", "iat": NOW, "seen": NOW, "nonce": "nonce-of-a-login",
        "claims": { "sub": "auth0|1", "name": "n".repeat(name) }, "rights": null, "unread": null,
        "at": "access-token-of-somebody", "at_iat": NOW, "at_exp": NOW + 30, "rt": null, "idt": "id-token-of-somebody"
    })
}

/// The cookie's value that seals this content for a purpose and host.
fn seal(secret: &str, purpose: Purpose, host: &str, content: &str) -> String {
    let audience = ["https://api.example.com".to_string()];
    let binding = LoginBinding { issuer: "https://tenant.example.com/", client_id: "c", audience: &audience };
    Sealer::new(&[secret], binding).seal(purpose, host, content.as_bytes(), &[7; 24]).unwrap()
}

/// A session with a name so long.
fn session(name: usize) -> Session {
    let sealed = seal(SECRET, Purpose::Refresh, HOST, &content(name).to_string());
    login(&gateway()).sessions.unpack(&sealed, HOST).unwrap()
}

/// Names and values as a browser keeps them.
fn kept_with(nonce: u8, gateway: &Gateway, session: &Session) -> Vec<(String, String)> {
    let set = login(gateway).sessions.keep(session, &Cookies::default(), HOST, &[nonce; 24], at(0)).unwrap();
    let pair = |line: &String| line.split(';').next().unwrap().split_once('=').map(|(n, v)| (n.into(), v.into()));
    set.iter().filter_map(pair).collect()
}

fn kept(gateway: &Gateway, session: &Session) -> Vec<(String, String)> {
    kept_with(9, gateway, session)
}

fn header(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

fn ask(gateway: &Gateway, path: &str, cookie: &str, now: UnixTime) -> Result<Credentials, Reply> {
    let url = format!("https://{HOST}{path}");
    let read = |name: &str| (name == "cookie").then(|| cookie.to_string());
    let head = RequestHead { method: "GET", url: &url, header: &read };
    gateway.enter(&head)?.credentials(&head, now, Some(&mut SessionMemory::default()))
}

/// Asserts that a `Cookie` header is nobody's: a challenge where somebody is needed, that clears what is no session's.
fn assert_nobody(gateway: &Gateway, cookie: &str, what: &dyn core::fmt::Display) {
    let reply = ask(gateway, "/private", cookie, at(1)).err().unwrap_or_else(|| panic!("{what}: a session"));
    assert_eq!(reply.status, 401, "{what}");
    for (_, line) in reply.headers.iter().filter(|(name, _)| name == "set-cookie") {
        assert!(line.starts_with(COOKIE) && line.contains("=; Path=/; Max-Age=0; "), "{what}: {line}");
    }
    assert!(matches!(ask(gateway, "/maybe", cookie, at(1)), Ok(Credentials::Anonymous)), "{what}");
}

fn assert_somebody(gateway: &Gateway, cookie: &str) {
    assert!(matches!(ask(gateway, "/private", cookie, at(1)), Ok(Credentials::Session(_))));
}

#[test]
fn no_altered_bit_goes_unnoticed() {
    let gateway = gateway();
    let whole = header(&kept(&gateway, &session(10)));
    assert_somebody(&gateway, &whole);
    let mut altered = 0;
    for index in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone().into_bytes();
            bytes[index] ^= 1 << bit;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            assert_nobody(&gateway, &text, &format_args!("bit {bit} of byte {index}"));
            altered += 1;
        }
    }
    assert!(altered > 2000, "{altered}");
}

#[test]
fn no_altered_bit_of_any_chunk_goes_unnoticed() {
    let gateway = gateway();
    let pairs = kept(&gateway, &session(6000));
    assert_eq!(pairs.len(), 3);
    assert_somebody(&gateway, &header(&pairs));
    for (chunk, (_, value)) in pairs.iter().enumerate() {
        for index in (0..value.len()).step_by(7) {
            let mut altered = pairs.clone();
            let mut bytes = value.clone().into_bytes();
            bytes[index] ^= 1 << (index % 7);
            altered[chunk].1 = String::from_utf8(bytes).unwrap();
            assert_nobody(&gateway, &header(&altered), &format_args!("byte {index} of chunk {chunk}"));
        }
    }
}

#[test]
fn nothing_shorter_or_longer_is_a_session() {
    let gateway = gateway();
    let whole = header(&kept(&gateway, &session(10)));
    for len in 0..whole.len() {
        assert_nobody(&gateway, &whole[..len], &len);
    }
    for tail in ["A", "=", ".", "AAAA", "\"", "%00", "\u{0}", "\u{2000}"] {
        assert_nobody(&gateway, &format!("{whole}{tail}"), &tail);
    }
}

#[test]
fn chunks_are_taken_whole_and_once() {
    let gateway = gateway();
    let [a, b, c] = kept(&gateway, &session(6000)).try_into().unwrap();
    let other = kept_with(8, &gateway, &session(6000));
    let named = |name: &(String, String), value: &(String, String)| (name.0.clone(), value.1.clone());
    assert_somebody(&gateway, &header(&[c.clone(), a.clone(), b.clone()]));
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
        assert_nobody(&gateway, &header(&pairs), &what);
    }
}

#[test]
fn what_is_sealed_for_something_else_is_no_session() {
    let gateway = gateway();
    let sessions = &login(&gateway).sessions;
    let session = session(10);
    let value = kept(&gateway, &session)[0].1.clone();
    let sealed = value.strip_prefix("1.").unwrap();
    let cookie = |sealed: &str| format!("{COOKIE}=1.{sealed}");
    let seal = |secret: &str, purpose, host: &str| seal(secret, purpose, host, &content(10).to_string());
    assert_somebody(&gateway, &cookie(&seal(SECRET, Purpose::Session, HOST)));

    for (what, sealed) in [
        ("another secret", seal("another secret of at least 32 characters", Purpose::Session, HOST)),
        ("another host", seal(SECRET, Purpose::Session, "www.example.com")),
        ("no host", seal(SECRET, Purpose::Session, "")),
        ("a login", seal(SECRET, Purpose::Login, HOST)),
        ("a refresh", seal(SECRET, Purpose::Refresh, HOST)),
        ("what isolates pass on", sessions.pack(&session, HOST, &[7; 24]).unwrap()),
    ] {
        assert_nobody(&gateway, &cookie(&sealed), &what);
    }
    assert!(sessions.unpack(sealed, HOST).is_none(), "nor is a session what isolates pass on");

    let entropy = core::array::from_fn(|index| u8::try_from(index).unwrap());
    let provider = Provider::auth0("https://tenant.example.com/");
    let client = &login(&gateway).client;
    let begun = oidc::begin(client, &provider, &sessions.sealer, "", &Cookies::default(), &entropy, at(0)).unwrap();
    let (name, rest) = begun.cookies[0].split_once('=').unwrap();
    assert!(name.starts_with(LOGIN_COOKIE_PREFIX));
    assert_nobody(&gateway, &format!("{COOKIE}={}", rest.split(';').next().unwrap()), &"the cookie of a login");

    let state = begun.location.split("state=").nth(1).unwrap().split('&').next().unwrap();
    for value in [value.as_str(), &format!("1.{}", seal(SECRET, Purpose::Login, HOST))] {
        let cookie = format!("{name}={value}");
        let query = format!("code=c&state={state}");
        let mut used = UsedStates::default();
        let cookies = Cookies::new(&cookie);
        let accepted = oidc::accept(client, &provider, &sessions.sealer, &mut used, &query, &cookies, at(1)).0;
        assert_eq!(accepted.err(), Some(oidc::CallbackError::StateUnknown), "a session is no login");
    }
}

#[test]
fn content_that_is_no_session_opens_none_even_under_the_right_seal() {
    let gateway = gateway();
    let good = content(1);
    let cookie = |text: &str| format!("{COOKIE}=1.{}", seal(SECRET, Purpose::Session, HOST, text));
    assert_somebody(&gateway, &cookie(&good.to_string()));
    for name in ["v", "id", "iat", "seen", "nonce", "claims", "rights", "unread", "at", "at_iat", "at_exp"] {
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(name);
        assert_nobody(&gateway, &cookie(&without.to_string()), &format_args!("no {name}"));
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
            assert_nobody(&gateway, &cookie(&other.to_string()), &other);
        }
    }
    let twice = good.to_string().replacen('{', r#"{"v":2,"#, 1);
    for text in [twice.as_str(), "", "{}", "[]", "null", "\"a\"", "{", "\u{feff}{}"] {
        assert_nobody(&gateway, &cookie(text), &text);
    }
    for (created, seen) in [(NOW + 62, NOW + 62), (NOW, NOW - 1), (NOW, NOW + 62), (NOW - 259_200, NOW), (0, NOW)] {
        let mut other = good.clone();
        (other["iat"], other["seen"]) = (json!(created), json!(seen));
        assert_nobody(&gateway, &cookie(&other.to_string()), &other);
    }
}

#[test]
fn a_challenge_clears_what_is_no_session_and_leaves_one_that_is() {
    let gateway = gateway();
    let whole = header(&kept(&gateway, &session(6000)));
    let cleared = |path, cookie: &str, now| {
        let reply = ask(&gateway, path, cookie, now).err().unwrap();
        reply.headers.iter().filter(|(name, _)| name == "set-cookie").count()
    };
    // Its access token is over, and with it what this route demands; the login goes on.
    assert!(ask(&gateway, "/private", &whole, at(120)).is_ok());
    assert_eq!(cleared("/scoped", &whole, at(120)), 0);
    assert_eq!(cleared("/private", &whole, at(86_400)), 3, "idle for too long: every chunk is cleared");
    assert_eq!(cleared("/private", &format!("{COOKIE}=x"), at(0)), 1);
    assert_eq!(cleared("/private", &format!("{COOKIE}.1=x"), at(0)), 0);
    assert_eq!(cleared("/private", "other=x", at(0)), 0);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut used = UsedStates::default();
    assert!(used.claim("first"));
    for index in 0..4095 {
        assert!(used.claim(&index.to_string()));
    }
    assert!(!used.claim("first") && !used.claim("4094"));
    assert!(used.claim("one more"));
    assert!(used.claim("first"), "the oldest gives way");

    let mut ended = EndedSessions::default();
    ended.end("first");
    for index in 0..4095 {
        ended.end(&index.to_string());
    }
    assert!(ended.has("first") && ended.has("4094") && !ended.has("other"));
    ended.end("one more");
    assert!(!ended.has("first"), "the oldest gives way");
}

#[test]
fn a_browser_with_any_cookies_can_begin_a_login_and_is_told_nothing_of_theirs() {
    let gateway = gateway();
    let Login { client, sessions, .. } = login(&gateway);
    let provider = Provider::auth0("https://tenant.example.com/");
    let entropy = core::array::from_fn(|index| u8::try_from(index).unwrap());
    for tail in ["é", "a b", "\"", "<script>", ".1", "a\u{0}", "123456789", "\u{2000}", "a,b"] {
        let cookie = format!("{LOGIN_COOKIE_PREFIX}{tail}=1.x");
        let cookies = Cookies::new(&cookie);
        let begun = oidc::begin(client, &provider, &sessions.sealer, "", &cookies, &entropy, at(0)).unwrap();
        assert_eq!(begun.cookies.len(), 1, "{tail}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let gateway = gateway();
    let Login { client, sessions, .. } = login(&gateway);
    let session = session(10);
    let whole = header(&kept(&gateway, &session));
    let credentials = ask(&gateway, "/private", &whole, at(1));
    let provider = Provider::auth0("https://tenant.example.com/");
    let tokens = Tokens { refresh: Some("refresh-token-of-somebody".into()), ..session.tokens().clone() };
    let refreshable = session.clone().refreshed(session.claims().clone(), tokens);
    let outgoing = oidc::begin_refresh(client, &provider, &refreshable, 0, None);
    let userinfo = oidc::begin_userinfo(&provider, session.claims(), &session.tokens().access);
    let mut desk = oidc::RefreshDesk::default();
    let turn = desk.ask(&refreshable, at(0));
    let policy = login(&gateway).id_policy.clone().nonce("nonce-of-a-login").at_hash_of("access-token-of-somebody");
    let reply = ask(&gateway, "/private", "x", at(1));
    let shown = format!(
        "{gateway:?} {client:?} {sessions:?} {session:?} {:?} {credentials:?} {outgoing:?} {userinfo:?} {turn:?} {desk:?} \
         {policy:?} {reply:?}",
        session.tokens(),
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
