//! A login ends in a session only if every step is valid: whole flows in memory, with a virtual clock and fixed entropy. Each attack
//! changes one thing in a working flow.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::print_stdout,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure, and runners print their counts"
)]
#![cfg(all(feature = "gateway", feature = "unicode"))]

use std::rc::Rc;

use edgeward::io::{Incoming, UnixTime};
use edgeward::json;
use edgeward::oidc::{CallbackError, ProviderError, ReturnTo};
use edgeward::session::Session;
use serde_json::{Value, json};
use support::browser::{Browser, Request, Response};
use support::deployment::{COOKIE, Deployment, oidc_config, with};
use support::provider::{Endpoint, decoded};
use support::{Mint, NOW, vectors};

/// An attack's name, its change to the callback's query, and the expected error.
type Attack = (&'static str, fn(&Flow) -> String, CallbackError);

/// The expected code, and the change to the ID token.
type Alteration = (&'static str, fn(Mint) -> Mint);

/// A deployment, and a browser with a pending login.
struct Flow {
    deployment: Deployment,
    browser: Browser,
    /// The query of the callback.
    query: String,
}

/// Returns a time in seconds after the start of the login.
fn at(offset: i64) -> UnixTime {
    UnixTime::from_secs(NOW + offset)
}

fn parameter(url: &str, name: &str) -> String {
    let query = url.split_once('?').unwrap().1;
    let pair = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    pair.unwrap_or_else(|| panic!("{name} in {url}")).into()
}

/// Returns the error of a callback.
fn error(response: &Response) -> Option<(String, Option<String>)> {
    if response.status == 302 {
        return None;
    }
    let problem = response.json();
    let member = |name: &str| problem[name].as_str().map(String::from);
    Some((member("code").unwrap(), member("error")))
}

/// Returns the error as reported to an API client.
fn reported(error: &CallbackError) -> Option<(String, Option<String>)> {
    let of_provider = match error {
        CallbackError::Denied(error) | CallbackError::ExchangeRefused(error, _) => Some(error.code().into()),
        _ => None,
    };
    Some((error.code().into(), of_provider))
}

impl Flow {
    /// Returns a deployment. The provider announces `iss`, and its access tokens are opaque.
    fn deployment() -> Deployment {
        let session = json!({ "session": { "idle_s": 3600, "absolute_s": 7200 } });
        let deployment = Deployment::of(&with(oidc_config(), &session));
        deployment.provider.set().access = Rc::new(|_| "opaque".into());
        deployment.provider.set().answer = Rc::new(|answer| answer["scope"] = "openid read:items".into());
        deployment
    }

    fn started(query: &str) -> Self {
        Self::on(Self::deployment(), query)
    }

    fn on(deployment: Deployment, query: &str) -> Self {
        deployment.set_clock(at(0));
        let mut browser = Browser::default();
        let login = deployment.open(&mut browser, &format!("/login?{query}"));
        let location = login.location();
        assert!(location.starts_with("https://tenant.example.com/authorize?response_type=code&"));
        assert_eq!(parameter(location, "code_challenge_method"), "S256");
        let callback = deployment.provider.authorize(location);
        let query = callback.split_once('?').unwrap().1.into();
        Self { deployment, browser, query }
    }

    fn state(&self) -> String {
        parameter(&format!("?{}", self.query), "state")
    }

    /// Sends a callback with this query, without storing cookies.
    fn callback(&self, query: &str, cookies: &str, now: UnixTime) -> Response {
        self.deployment.set_clock(now);
        self.deployment.fetch(Request::get(&format!("/callback?{query}")).cookie(cookies))
    }

    /// Sends a callback with this query at this time, for a login that began at [`NOW`].
    fn accept(&self, query: &str, now: UnixTime) -> Response {
        let cookies = self.browser.header(at(0));
        self.callback(query, &cookies, now)
    }

    /// Returns the session and the destination if the provider issues this ID token.
    fn finish(&mut self, id: impl Fn(Mint) -> Mint + 'static) -> Result<(Session, String), Response> {
        self.deployment.provider.set().id = Rc::new(id);
        let response = self.accept(&self.query, at(5));
        let code = parameter(&format!("?{}", self.query), "code");
        let seen = self.deployment.seen();
        let exchange = seen.sent.iter().rfind(|sent| sent.request.url.ends_with("/oauth/token")).unwrap();
        let sent = exchange.request.body.as_deref().unwrap();
        assert!(sent.starts_with(&format!("grant_type=authorization_code&code={code}&redirect_uri=")), "{sent}");
        drop(seen);
        if error(&response).is_some() {
            return Err(response);
        }
        self.browser.store_cookies(&response, at(5));
        Ok((self.deployment.session(&self.browser), response.location().into()))
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

#[test]
fn a_login_ends_in_a_session_at_the_page_where_it_began() {
    let mut flow = Flow::started("return_to=%2Fitems%3Fpage%3D2");
    let (_, location) = flow.finish(|id| id).unwrap();
    assert_eq!(location, "/items?page=2");
    flow.deployment.set_clock(at(60));
    let opened = flow.deployment.session(&flow.browser);
    assert_eq!(opened.claims().get("name").and_then(json::Value::as_str), Some("Ann"));
    // The access token is opaque, so the scope of the token response grants nothing.
    assert_eq!(opened.claims_at(at(60)).scopes().count(), 0);
    assert!(opened.claims().get("nonce").is_none(), "protocol claims are not stored");
}

#[test]
fn a_callback_that_this_browser_did_not_begin_is_refused() {
    let attacks: [Attack; 8] = [
        ("no state", |_| "code=c&iss=https%3A%2F%2Ftenant.example.com%2F".into(), CallbackError::Malformed),
        ("two states", |flow| format!("{}&state={}", flow.query, flow.state()), CallbackError::Malformed),
        ("another state", |flow| flow.query.replace(&flow.state(), "b3RoZXI"), CallbackError::StateUnknown),
        ("two codes", |flow| format!("{}&code=other", flow.query), CallbackError::Malformed),
        ("no iss", |flow| flow.query.split("&iss=").next().unwrap().into(), CallbackError::IssuerMissing),
        ("another iss", |flow| flow.query.replace("tenant", "evil"), CallbackError::IssuerMismatch),
        (
            "an error",
            |flow| format!("{}&error=access_denied", flow.query),
            CallbackError::Denied(ProviderError::new("access_denied", None)),
        ),
        (
            "a hostile error",
            |flow| format!("{}&error=%3Cscript%3E", flow.query),
            CallbackError::Denied(ProviderError::new("unknown_error", None)),
        ),
    ];
    for (what, query, expected) in attacks {
        let flow = Flow::started("");
        let response = flow.accept(&query(&flow), at(5));
        assert_eq!(error(&response), reported(&expected), "{what}");
        assert_eq!(response.status, expected.status(), "{what}");
    }
}

#[test]
fn another_browser_a_late_callback_and_a_replay_are_refused() {
    let unknown = reported(&CallbackError::StateUnknown);
    let foreign = Flow::started("");
    assert_eq!(error(&foreign.callback(&foreign.query, "", at(5))), unknown);

    let late = Flow::started("");
    assert_eq!(error(&late.accept(&late.query, at(600))), unknown);

    // For a minute, the same callback of the same browser gets the same session.
    let twice = Flow::started("");
    let first = twice.accept(&twice.query, at(5));
    let second = twice.accept(&twice.query, at(64));
    let session = |response: &Response| {
        let mut browser = Browser::default();
        browser.store_cookies(response, at(64));
        twice.deployment.session(&browser).id().to_string()
    };
    assert_eq!((error(&first), error(&second), session(&first)), (None, None, session(&second)));
    assert_eq!(error(&twice.accept(&twice.query.replace("code=", "code=x"), at(64))), unknown);
    assert_eq!(error(&twice.callback(&twice.query, "", at(64))), unknown);
    assert_eq!(error(&twice.accept(&twice.query, at(65))), unknown);
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
        let mut flow = Flow::started("");
        let response = flow.finish(change).err().unwrap();
        assert_eq!(response.outcome(), (400, "id_token_invalid".into()));
        assert_eq!(response.sets(COOKIE), None);
        assert!(flow.deployment.has_logged(&format!("id_token_invalid: {code}: ")), "{:?}", flow.deployment.lines());
    }
}

#[test]
fn only_valid_token_responses_are_accepted() {
    let tokens = json!({ "access_token": "a", "token_type": "Bearer", "id_token": "x.y.z" });
    let url = "https://tenant.example.com/oauth/token";
    for (status, body, refusal, line) in [
        (400, json!({ "error": "invalid_grant" }), Some("invalid_grant"), "answered 400, invalid_grant: "),
        (
            200,
            json!({ "error": "invalid_grant", "access_token": "a", "token_type": "Bearer" }),
            Some("invalid_grant"),
            "answered 200, invalid_grant: ",
        ),
        (500, tokens.clone(), None, "answered 500"),
        (200, json!({ "access_token": "a", "token_type": "Bearer" }), None, "answered 200 without id_token"),
        (200, with_member(&tokens, "id_token", ""), None, "answered 200 without id_token"),
        (200, with_member(&tokens, "access_token", ""), None, "answered 200 without access_token"),
        (200, with_member(&tokens, "access_token", "a b"), None, "answered 200 without access_token"),
        (200, with_member(&tokens, "token_type", "DPoP"), None, "answered 200 without token_type Bearer"),
        (200, json!({ "access_token": "a", "token_type": 7 }), None, "answered 200 without token_type Bearer"),
        (200, json!([]), None, "answered 200 without JSON"),
    ] {
        let flow = Flow::started("");
        flow.deployment.provider.answer_next(Endpoint::Token, Ok(answer(status, &body)));
        let expected = Some(("token_exchange_failed".into(), refusal.map(String::from)));
        assert_eq!(error(&flow.accept(&flow.query, at(5))), expected, "{status} {body}");
        let line = format!("token_exchange_failed: {url} {line}");
        assert!(flow.deployment.has_logged(&line), "{line}: {:?}", flow.deployment.lines());
    }
    let flow = Flow::started("");
    flow.deployment.provider.take_down(Endpoint::Token);
    assert!(error(&flow.accept(&flow.query, at(5))).is_some());
    assert!(flow.deployment.has_logged(&format!("token_exchange_failed: {url} did not respond")));
}

fn with_member(object: &Value, name: &str, text: &str) -> Value {
    let mut object = object.clone();
    object[name] = text.into();
    object
}

#[test]
fn a_callback_without_the_promised_iss_is_logged_as_such_with_its_unverified_error() {
    // The error is behind the request, because anyone can state it: it must not make a line of its own.
    let line = "iss is missing, although the provider's metadata promises it (request ";
    for (added, end) in [
        ("", ")"),
        ("&error=access_denied&error_description=No%20consent", "; unverified error: access_denied (No consent))"),
        ("&error=%3Cb%3E", "; unverified error: unknown_error)"),
    ] {
        let flow = Flow::started("");
        let query = format!("{}{added}", flow.query.split("&iss=").next().unwrap());
        assert_eq!(error(&flow.accept(&query, at(5))).unwrap().0, "callback_issuer_mismatch");
        let (start, lines) = (format!("callback_issuer_mismatch: {line}"), flow.deployment.lines());
        assert!(lines.iter().any(|line| line.starts_with(&start) && line.ends_with(end)), "{end}: {lines:?}");
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn no_published_redirect_payload_leaves_the_site() {
    let mut counts = (0, 0);
    for case in vectors::cases(include_str!("vectors/data/open-redirects.jsonl")) {
        let payload = vectors::text(&case, "input");
        counts.0 += 1;
        // As in a link, and decoded once, with either name of the parameter.
        let mut deployment = Flow::deployment();
        for query in [
            format!("return_to={payload}"),
            format!("returnTo={}", encoded(payload)),
            format!("return_to={}", encoded(&decoded(payload))),
        ] {
            let mut flow = Flow::on(deployment, &query);
            let (_, location) = flow.finish(|id| id).unwrap_or_else(|_| panic!("{payload}"));
            let (path, rest) = location.split_once('?').unwrap_or((&location, ""));
            assert!(path.starts_with('/') && !path.contains("//") && !path.contains("/."), "{payload} -> {location}");
            let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\\<>\"#;".contains(&byte);
            assert!(path.bytes().all(is_plain), "{payload} -> {location}");
            assert!(rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "{payload} -> {location}");
            counts.1 += usize::from(location != "/");
            deployment = flow.deployment;
        }
        let foreign = ReturnTo::parse(payload).is_some_and(|to| to.as_str().starts_with("//"));
        assert!(!foreign, "{payload}");
    }
    println!("open redirects: {} payloads, {} times a path of this site", counts.0, counts.1);
    assert_eq!(counts.0, 558);
    assert!(counts.1 > 0, "some are paths of this site");
}

#[test]
fn a_login_is_pending_for_exactly_ten_minutes() {
    let started = NOW * 1000;
    for (millis, is_open) in
        [(0, true), (599_999, true), (600_000, false), (86_400_000, false), (-60_000, true), (-60_001, false)]
    {
        let flow = Flow::started("");
        let response = flow.accept(&flow.query, UnixTime::from_millis(started + millis));
        assert_eq!(error(&response).is_none(), is_open, "{millis}");
        if !is_open {
            assert_eq!(error(&response), reported(&CallbackError::StateUnknown), "{millis}");
        }
    }
}

#[test]
fn every_bit_of_a_login_cookie_is_authenticated() {
    let flow = Flow::started("return_to=%2Fitems");
    let whole = flow.browser.header(at(0));
    let value_from = whole.find('=').unwrap() + 1;
    let unknown = reported(&CallbackError::StateUnknown);
    // Such a cookie does not consume the state, so one login suffices for all.
    for index in 0..whole.len() {
        for bit in 0..7 {
            let mut bytes = whole.clone().into_bytes();
            bytes[index] ^= 1 << bit;
            let altered = String::from_utf8(bytes).unwrap();
            let refused = error(&flow.callback(&flow.query, &altered, at(5)));
            assert_eq!(refused, unknown, "bit {bit} of byte {index}");
        }
    }
    for len in value_from..whole.len() {
        assert_eq!(error(&flow.callback(&flow.query, &whole[..len], at(5))), unknown, "length {len}");
    }
    assert_eq!(error(&flow.callback(&flow.query, &whole, at(5))), None);
}

#[test]
fn rights_of_another_subject_are_not_granted() {
    for (subject, has_rights) in [("user-1", true), ("user-2", false)] {
        let mut flow = Flow::started("");
        let access = move |access: Mint| access.claim("sub", subject).claim("permissions", json!(["admin"])).text();
        flow.deployment.provider.set().access = Rc::new(access);
        let (session, _) = flow.finish(|id| id.claim("sub", "user-1")).unwrap();
        assert_eq!(session.claims_at(at(5)).get("permissions").is_some(), has_rights, "{subject}");
    }
}
