//! Proves that a login ends in a session only if every step was right: whole flows in memory, with a virtual clock and fixed
//! entropy. Each attack breaks one thing of a flow that works.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::print_stdout,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure, and runners print their counts"
)]

mod support;

use edgeward::error::VerifyError;
use edgeward::io::{Incoming, UnixTime};
use edgeward::jwk::KeyCache;
use edgeward::jwt::VerifiedToken;
use edgeward::oidc::{
    self, AccessReading, CallbackError, Client, ClientAuth, Provider, ReturnTo, Secret, SubjectMatch, UsedStates,
};
use edgeward::session::{CookieShape, Cookies, LoginBinding, Sealer, Session, Sessions};
use edgeward::{Check, Verifier};
use serde_json::json;
use support::{CLIENT, ISSUER, Mint, NOW, id_policy, key_a, vectors};

const SECRET: &str = "a sealing secret of at least 32 characters";

/// What an attack is called, how it changes a callback's query, and the error it must end in.
type Attack = (&'static str, fn(&Flow) -> String, CallbackError);

/// The code an altered ID token must end in, and how it is altered.
type Alteration = (&'static str, fn(Mint) -> Mint);

/// The gateway, the provider's answers, and one browser.
struct Flow {
    client: Client,
    provider: Provider,
    sessions: Sessions,
    used: UsedStates,
    cookies: String,
    state: String,
    nonce: String,
}

fn at(offset: i64) -> UnixTime {
    UnixTime::from_secs(NOW + offset)
}

fn parameter(url: &str, name: &str) -> String {
    let query = url.split_once('?').unwrap().1;
    let pair = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    pair.unwrap_or_else(|| panic!("{name} in {url}")).into()
}

/// The `Cookie` header of a browser that got these `Set-Cookie` headers.
fn kept(set: &[String]) -> String {
    let live = set.iter().filter(|cookie| !cookie.contains("Max-Age=0"));
    live.map(|cookie| cookie.split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
}

impl Flow {
    /// A login has begun: the browser is at the provider.
    fn begun(query: &str) -> Self {
        let client = Client {
            id: CLIENT.into(),
            auth: ClientAuth::Post(vec![Secret::new("client secret".into())]),
            redirect_uri: "https://app.example.com/callback".into(),
            callback_uri: None,
            scope: "openid offline_access".into(),
            audience: Some("https://api.example.com".into()),
            audience_parameter: "audience",
            organizations: Vec::new(),
            roles_claim: None,
            subject_match: SubjectMatch::default(),
            session_claims: None,
            forwards_ip: false,
        };
        let provider = Provider { sends_iss: true, ..Provider::auth0(ISSUER) };
        let sessions = Sessions {
            sealer: Sealer::new(&[SECRET], LoginBinding { issuer: ISSUER, client_id: CLIENT, audience: &[] }),
            cookie: CookieShape { name: "__Host-edgeward".into(), same_site: "Lax", domain: None },
            idle_s: 3600,
            absolute_s: 7200,
        };
        let entropy = core::array::from_fn(|index| u8::try_from(index).unwrap());
        let login =
            oidc::begin(&client, &provider, &sessions.sealer, query, &Cookies::default(), &entropy, at(0)).unwrap();
        let (state, nonce) = (parameter(&login.location, "state"), parameter(&login.location, "nonce"));
        assert!(login.location.starts_with("https://tenant.example.com/authorize?response_type=code&"));
        assert_eq!(parameter(&login.location, "code_challenge_method"), "S256");
        let cookies = kept(&login.cookies);
        Self { client, provider, sessions, used: UsedStates::default(), cookies, state, nonce }
    }

    fn query(&self) -> String {
        format!("code=c0de&state={}&iss=https%3A%2F%2Ftenant.example.com%2F", self.state)
    }

    fn accept(&mut self, query: &str, now: UnixTime) -> Result<oidc::CodeExchange, CallbackError> {
        let cookies = Cookies::new(&self.cookies);
        oidc::accept(&self.client, &self.provider, &self.sessions.sealer, &mut self.used, query, &cookies, now).0
    }

    /// The session and where the browser goes, if the provider answers with this ID token.
    fn finish(&mut self, id_token: &Mint) -> Result<(Session, String), VerifyError> {
        let exchange = self.accept(&self.query(), at(5)).unwrap();
        let sent = exchange.request(&self.client, &self.provider, 0, None).body.unwrap();
        assert!(sent.starts_with("grant_type=authorization_code&code=c0de&redirect_uri="), "{sent}");
        let body = json!({ "access_token": "opaque", "token_type": "Bearer", "expires_in": 600, "refresh_token": "r1",
            "scope": "openid read:items", "id_token": id_token.text() });
        let pending = exchange.finish(Ok(answer(200, &body))).unwrap();
        let id = check(&pending.policy(&id_policy()), pending.id_token())?;
        Ok(pending.into_session(&self.client, &id, &AccessReading::Refused, "session-1".into(), at(5)).unwrap())
    }

    /// A good ID token for this login.
    fn id_token(&self) -> Mint {
        Mint::id(key_a()).claim("nonce", self.nonce.as_str()).claim("name", "Ann").without("at_hash")
    }
}

fn answer(status: u16, body: &serde_json::Value) -> Incoming {
    Incoming {
        status,
        content_type: Some("application/json".into()),
        body: body.to_string().into_bytes(),
        ..Incoming::default()
    }
}

fn check(policy: &edgeward::jwt::Policy, text: &str) -> Result<std::sync::Arc<VerifiedToken>, VerifyError> {
    let mut verifier = Verifier::new(id_policy(), KeyCache::fixed(ISSUER, key_a().set()));
    match verifier.check_as(policy, text, at(5), 0) {
        Check::Verified(token, _) => Ok(token),
        Check::Refused(error) => Err(error),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_login_ends_in_a_session_at_the_place_it_began() {
    let mut flow = Flow::begun("return_to=%2Fitems%3Fpage%3D2");
    let id_token = flow.id_token();
    let (session, location) = flow.finish(&id_token).unwrap();
    assert_eq!(location, "/items?page=2");
    let set = flow.sessions.keep(&session, &Cookies::default(), flow.client.host(), &[9; 24], at(5)).unwrap();
    let opened = flow.sessions.open(&Cookies::new(&kept(&set)), flow.client.host(), at(60)).unwrap();
    assert_eq!(opened.claims().get("name").and_then(edgeward::json::Value::as_str), Some("Ann"));
    // The access token is opaque: that the token endpoint states a scope grants nothing.
    assert_eq!(opened.claims_at(at(60)).scopes().count(), 0);
    assert!(opened.claims().get("nonce").is_none(), "claims about the protocol are not kept");
}

#[test]
fn a_callback_that_this_browser_did_not_begin_is_refused() {
    let attacks: [Attack; 8] = [
        ("no state", |_| "code=c&iss=https%3A%2F%2Ftenant.example.com%2F".into(), CallbackError::Malformed),
        ("two states", |flow| format!("{}&state={}", flow.query(), flow.state), CallbackError::Malformed),
        ("another state", |flow| flow.query().replace(&flow.state, "b3RoZXI"), CallbackError::StateUnknown),
        ("two codes", |flow| format!("{}&code=other", flow.query()), CallbackError::Malformed),
        ("no iss", |flow| flow.query().split("&iss=").next().unwrap().into(), CallbackError::IssuerMismatch),
        ("another iss", |flow| flow.query().replace("tenant", "evil"), CallbackError::IssuerMismatch),
        (
            "an error",
            |flow| format!("{}&error=access_denied", flow.query()),
            CallbackError::Denied("access_denied".into()),
        ),
        (
            "a hostile error",
            |flow| format!("{}&error=%3Cscript%3E", flow.query()),
            CallbackError::Denied("unknown_error".into()),
        ),
    ];
    for (what, query, expected) in attacks {
        let mut flow = Flow::begun("");
        let query = query(&flow);
        assert_eq!(flow.accept(&query, at(5)).err(), Some(expected), "{what}");
    }
}

#[test]
fn another_browser_a_late_one_and_a_second_time_are_refused() {
    let mut foreign = Flow::begun("");
    foreign.cookies.clear();
    let query = foreign.query();
    assert_eq!(foreign.accept(&query, at(5)).err(), Some(CallbackError::StateUnknown));

    let mut late = Flow::begun("");
    let query = late.query();
    assert_eq!(late.accept(&query, at(600)).err(), Some(CallbackError::StateUnknown));

    let mut twice = Flow::begun("");
    let query = twice.query();
    assert!(twice.accept(&query, at(5)).is_ok());
    assert_eq!(twice.accept(&query, at(6)).err(), Some(CallbackError::StateUnknown));
}

#[test]
fn an_id_token_of_another_login_makes_no_session() {
    let cases: &[Alteration] = &[
        ("nonce_mismatch", |id| id.claim("nonce", "other")),
        ("claim_missing", |id| id.without("nonce")),
        ("audience_mismatch", |id| id.claim("aud", "another-client")),
        ("azp_mismatch", |id| id.claim("azp", "another-client")),
        ("at_hash_mismatch", |id| id.claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA")),
    ];
    for (code, change) in cases {
        let mut flow = Flow::begun("");
        let id_token = change(flow.id_token());
        assert_eq!(flow.finish(&id_token).err().map(|error| error.code()), Some(*code));
    }
}

#[test]
fn what_the_token_endpoint_says_is_believed_only_if_it_is_an_answer() {
    let tokens = json!({ "access_token": "a", "token_type": "Bearer", "id_token": "x.y.z" });
    let refusal = CallbackError::ExchangeRefused("invalid_grant".into());
    for (status, body, expected) in [
        (400, json!({ "error": "invalid_grant" }), refusal.clone()),
        (200, json!({ "error": "invalid_grant", "access_token": "a", "token_type": "Bearer" }), refusal),
        (500, tokens.clone(), CallbackError::ExchangeFailed),
        (200, json!({ "access_token": "a", "token_type": "Bearer" }), CallbackError::ExchangeFailed),
        (200, json!({ "access_token": "a", "token_type": "DPoP", "id_token": "x" }), CallbackError::ExchangeFailed),
        (200, json!([]), CallbackError::ExchangeFailed),
    ] {
        let mut flow = Flow::begun("");
        let query = flow.query();
        let exchange = flow.accept(&query, at(5)).unwrap();
        assert_eq!(exchange.finish(Ok(answer(status, &body))).err(), Some(expected), "{status} {body}");
    }
}

/// Percent-decoded once, as a query is before the core sees its values.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| byte == b'%') {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn no_published_redirect_payload_leads_off_the_site() {
    let mut counts = (0, 0);
    for case in vectors::cases(include_str!("vectors/data/open-redirects.jsonl")) {
        let payload = vectors::text(&case, "input");
        counts.0 += 1;
        // As it stands in a link, and as it is once the link's query is decoded; by either name of the parameter.
        for query in [
            format!("return_to={payload}"),
            format!("returnTo={}", encoded(payload)),
            format!("return_to={}", encoded(&decoded(payload))),
        ] {
            let mut flow = Flow::begun(&query);
            let id_token = flow.id_token();
            let (_, location) = flow.finish(&id_token).unwrap();
            let (path, rest) = location.split_once('?').unwrap_or((&location, ""));
            assert!(path.starts_with('/') && !path.contains("//") && !path.contains("/."), "{payload} -> {location}");
            let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\\<>\"#;".contains(&byte);
            assert!(path.bytes().all(is_plain), "{payload} -> {location}");
            assert!(rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "{payload} -> {location}");
            counts.1 += usize::from(location != "/");
        }
        let foreign = ReturnTo::parse(payload).is_some_and(|to| to.as_str().starts_with("//"));
        assert!(!foreign, "{payload}");
    }
    println!("open redirects: {} payloads, {} times a path of this site", counts.0, counts.1);
    assert_eq!(counts.0, 558);
    assert!(counts.1 > 0, "some are paths of this site");
}

#[test]
fn a_login_is_open_for_ten_minutes_to_the_millisecond() {
    let begun = NOW * 1000;
    for (millis, is_open) in
        [(0, true), (599_999, true), (600_000, false), (86_400_000, false), (-60_000, true), (-60_001, false)]
    {
        let mut flow = Flow::begun("");
        let query = flow.query();
        let outcome = flow.accept(&query, UnixTime::from_millis(begun + millis));
        assert_eq!(outcome.is_ok(), is_open, "{millis}");
        if !is_open {
            assert_eq!(outcome.err(), Some(CallbackError::StateUnknown), "{millis}");
        }
    }
}

#[test]
fn the_cookie_of_a_login_is_this_login_to_the_last_bit() {
    let Flow { cookies: whole, .. } = Flow::begun("return_to=%2Fitems");
    let value_from = whole.find('=').unwrap() + 1;
    for index in 0..whole.len() {
        for bit in 0..7 {
            let mut flow = Flow::begun("return_to=%2Fitems");
            let mut bytes = whole.clone().into_bytes();
            bytes[index] ^= 1 << bit;
            flow.cookies = String::from_utf8(bytes).unwrap();
            let query = flow.query();
            let refused = flow.accept(&query, at(5)).err();
            assert_eq!(refused, Some(CallbackError::StateUnknown), "bit {bit} of byte {index}");
        }
    }
    for len in value_from..whole.len() {
        let mut flow = Flow::begun("return_to=%2Fitems");
        flow.cookies.truncate(len);
        let query = flow.query();
        assert_eq!(flow.accept(&query, at(5)).err(), Some(CallbackError::StateUnknown), "length {len}");
    }
}

#[test]
fn rights_of_another_subject_are_not_this_users() {
    for (subject, has_rights) in [("user-1", true), ("user-2", false)] {
        let mut flow = Flow::begun("");
        let id_token = flow.id_token().claim("sub", "user-1");
        let exchange = flow.accept(&flow.query(), at(5)).unwrap();
        let body = json!({ "access_token": "a", "token_type": "Bearer", "id_token": id_token.text() });
        let pending = exchange.finish(Ok(answer(200, &body))).unwrap();
        let id = check(&pending.policy(&id_policy()), pending.id_token()).unwrap();
        // Any verified token with these claims stands for the access token.
        let other = flow.id_token().claim("sub", subject).claim("permissions", json!(["admin"]));
        let access = check(&id_policy().nonce(flow.nonce.clone()), &other.text()).unwrap();
        let access = AccessReading::Verified(access);
        let (session, _) = pending.into_session(&flow.client, &id, &access, "session-1".into(), at(5)).unwrap();
        assert_eq!(session.claims_at(at(5)).get("permissions").is_some(), has_rights, "{subject}");
    }
}
