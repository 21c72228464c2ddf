//! Back-channel logout and revocation, on two instances with shared records.

use edgeward::limits;
use edgeward::oidc::SharedAction;
use serde_json::{Value, json};
use support::browser::{Browser, Request, Response};
use support::deployment::{Deployment, config, with};
use support::host::Delay;
use support::provider::{Endpoint, encoded};
use support::{AUDIENCE, ISSUER, Mint, key_a, key_b};

use crate::{by, due, peek};

/// A configuration with both routes.
fn revocable() -> Value {
    let mut config = config();
    config["paths"].as_array_mut().unwrap().extend([
        json!({ "method": "POST", "path": "/backchannel", "integration": { "type": "backchannel_logout" } }),
        json!({ "method": "POST", "path": "/revoke", "scopes": ["revoke"], "integration": { "type": "revoke" } }),
    ]);
    config
}

/// Creates two instances with shared records, whose provider names its sessions `s-1`.
fn instances(config: &Value) -> [Deployment; 2] {
    let first = Deployment::of(config);
    first.shared(|shared| shared.are_bound = true);
    first.provider.set().id = std::rc::Rc::new(|id| id.claim("sid", "s-1"));
    let second = first.instance();
    [first, second]
}

fn logout(deployment: &Deployment, body: &str) -> Response {
    deployment.shared(|shared| shared.bodies.push_back(body.into()));
    let form = Request::post("/backchannel").header("content-type", "application/x-www-form-urlencoded");
    let response = deployment.fetch(form);
    deployment.shared(|shared| shared.bodies.clear());
    response
}

/// Returns a logout token as of now.
fn logout_token(deployment: &Deployment) -> Mint {
    let now = deployment.now().secs();
    Mint::logout(key_a()).header("typ", "logout+jwt").claim("iat", now).claim("exp", now + 120)
}

fn send_token(deployment: &Deployment, token: &Mint) -> Response {
    logout(deployment, &format!("logout_token={}", encoded(&token.text())))
}

fn admin(deployment: &Deployment, scope: &str) -> String {
    access(deployment).claim("sub", "admin").claim("jti", "admin").claim("azp", "ops").claim("scope", scope).text()
}

/// Returns an access token as of now.
fn access(deployment: &Deployment) -> Mint {
    let now = deployment.now().secs();
    Mint::access(key_a()).claim("iat", now).claim("nbf", now).claim("exp", now + 600).claim("jti", "t-1")
}

fn revoke(deployment: &Deployment, body: &str) -> Response {
    deployment.shared(|shared| shared.bodies.push_back(body.into()));
    let request = Request::post("/revoke").header("content-type", "application/json; charset=utf-8");
    let response = deployment.fetch(request.bearer(&admin(deployment, "revoke")));
    deployment.shared(|shared| shared.bodies.clear());
    response
}

fn is_in(deployment: &Deployment, browser: &Browser) -> bool {
    match peek(deployment, browser, "/app").outcome() {
        (200, _) => true,
        (401, code) if code == "token_missing" => false,
        other => panic!("{other:?}"),
    }
}

fn things(deployment: &Deployment, token: &str) -> (u16, String) {
    deployment.fetch(Request::get("/things").bearer(token)).outcome()
}

const SKEW_S: i64 = limits::DEFAULT_CLOCK_SKEW_S as i64;

const PASSED: (u16, String) = (200, String::new());

fn revoked() -> (u16, String) {
    (401, "token_revoked".into())
}

#[test]
fn a_logout_of_the_provider_ends_the_session_in_every_instance_within_a_second() {
    let [first, second] = instances(&revocable());
    let mut browser = first.logged_in();
    first.provider.set().id = std::rc::Rc::new(|id| id.claim("sid", "s-2"));
    let other = first.logged_in();
    assert!(is_in(&first, &browser) && is_in(&second, &browser) && is_in(&second, &other));
    let response = send_token(&first, &logout_token(&first));
    assert_eq!((response.status, response.header("cache-control")), (200, Some("no-store")), "{}", response.body);
    assert!(!is_in(&first, &browser), "at once where it was received");
    second.sleep_ms(limits::REVOCATION_FRESH_MS);
    assert!(!is_in(&second, &browser), "within a second elsewhere");
    assert!(is_in(&first, &other) && is_in(&second, &other), "another session of the same user");
    // A browser is sent to the login, and the session of the next one counts.
    assert!(second.open(&mut browser, "/app").location().contains("/login?return_to=%2Fapp"));
    second.log_in(&mut browser);
    assert!(is_in(&second, &browser));
    // An optional route is anonymous.
    assert_eq!(peek(&second, &other, "/maybe").origin_header("x-user"), Some("user-1"));
}

#[test]
fn a_session_of_the_provider_that_has_ended_cannot_begin_another_one() {
    let [first, second] = instances(&revocable());
    let mut browser = Browser::default();
    let callback = first.begin(&mut browser, "/login");
    assert_eq!(send_token(&second, &logout_token(&second)).status, 200);
    first.sleep_s(2);
    first.open(&mut browser, &callback);
    assert!(!is_in(&first, &browser));
}

#[test]
fn a_sid_or_sub_that_logs_in_again_begins_a_session_unless_the_login_was_under_way() {
    for without in ["", "sid", "sub"] {
        for by_administrator in [false, true] {
            let [first, second] = instances(&revocable());
            let mut browser = first.logged_in();
            // The user has confirmed this login at the provider, but not come back yet.
            let mut late = Browser::default();
            let callback = first.begin(&mut late, "/login");
            if by_administrator {
                let order = if without == "sub" { json!({ "sid": "s-1" }) } else { json!({ "sub": "user-1" }) };
                assert_eq!(revoke(&second, &order.to_string()).status, 204);
            } else {
                assert_eq!(send_token(&second, &logout_token(&second).without(without)).status, 200);
            }
            first.sleep_s(1);
            assert!(!is_in(&first, &browser) && !is_in(&second, &browser));
            assert_eq!(first.open(&mut late, &callback).status, 302);
            assert!(!is_in(&first, &late) && !is_in(&second, &late), "{without} {by_administrator}");
            // The next login has the same `sid`. It counts at once: no redirects in a circle.
            for browser in [&mut browser, &mut late] {
                first.log_in(browser);
                assert!(is_in(&first, browser) && is_in(&second, browser), "{without} {by_administrator}");
                first.sleep_s(limits::LOGIN_LIFETIME_S);
                assert!(is_in(&first, browser));
            }
        }
    }
}

#[test]
fn a_refresh_does_not_change_the_sid_of_a_session() {
    for refreshed in [None, Some("s-2")] {
        let [first, second] = instances(&revocable());
        let mut browser = due(&first);
        first.provider.set().id = std::rc::Rc::new(move |id| match refreshed {
            Some(sid) => id.claim("sid", sid),
            None => id,
        });
        assert_eq!(first.send(&mut browser, Request::get("/app")).status, 200);
        assert_eq!(first.provider.refreshes(), 1);
        assert_eq!(send_token(&second, &logout_token(&second)).status, 200);
        first.sleep_s(1);
        assert!(!is_in(&first, &browser), "{refreshed:?}");
    }
}

#[test]
fn a_session_that_is_revoked_during_its_refresh_has_ended() {
    let [first, second] = instances(&revocable());
    let browser = due(&first);
    first.delay_next(&first.provider.url(Endpoint::Token), Delay::Millis(1500));
    let mut tasks = first.tasks();
    let request = tasks.start(first.answer(by(&first, &browser, "/app")));
    tasks.elapse_ms(100);
    assert!(tasks.is_open(request));
    assert_eq!(revoke(&second, r#"{"sub":"user-1"}"#).status, 204);
    tasks.finish();
    assert_eq!(first.provider.refreshes(), 1);
    assert_eq!(tasks.output(request).unwrap().outcome(), (401, "token_missing".into()));
}

#[test]
fn a_logout_without_sid_ends_all_sessions_of_the_user_but_no_later_one() {
    let [first, second] = instances(&revocable());
    let browsers = [first.logged_in(), second.logged_in()];
    first.provider.set().user = "user-2".into();
    let other = first.logged_in();
    first.provider.set().user = "user-1".into();
    assert_eq!(send_token(&first, &logout_token(&first).without("sid")).status, 200);
    first.sleep_s(1);
    let later = first.logged_in();
    for deployment in [&first, &second] {
        assert!(browsers.iter().all(|browser| !is_in(deployment, browser)));
        assert!(is_in(deployment, &other) && is_in(deployment, &later));
    }
    // Access tokens are not affected (OpenID Connect Back-Channel Logout 1.0 §2.7).
    let old = access(&first).claim("iat", first.now().secs() - 60).text();
    assert_eq!(things(&first, &old), PASSED);
}

#[test]
fn a_logout_token_that_breaks_a_rule_ends_nothing() {
    const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
    let [first, _] = instances(&revocable());
    let browser = first.logged_in();
    let now = first.now().secs();
    let token = || logout_token(&first).claim("jti", "bad");
    let cases = [
        ("another key", token().signed_by(key_b()), "signature_invalid"),
        ("an unknown algorithm", token().header("alg", "none"), "alg_not_allowed"),
        ("another issuer", token().claim("iss", "https://evil.example/"), "issuer_mismatch"),
        ("no issuer", token().without("iss"), "claim_missing"),
        ("another client", token().claim("aud", "client-2"), "audience_mismatch"),
        ("an untrusted audience", token().claim("aud", json!(["client-1", "x"])), "audience_mismatch"),
        ("no audience", token().without("aud"), "claim_missing"),
        ("expired", token().claim("exp", now - 60), "token_expired"),
        ("no exp", token().without("exp"), "claim_missing"),
        ("from the future", token().claim("iat", now + 60), "token_issued_in_future"),
        ("no iat", token().without("iat"), "logout_token_incomplete"),
        ("an access token's type", token().header("typ", "at+jwt"), "typ_not_allowed"),
        ("a nonce", token().claim("nonce", "n"), "logout_token_kind"),
        ("a null nonce", token().claim("nonce", Value::Null), "logout_token_kind"),
        ("no events", token().without("events"), "logout_token_kind"),
        ("another event", token().claim("events", json!({ "https://e.example": {} })), "logout_token_kind"),
        ("an event that is no object", token().claim("events", json!({ EVENT: true })), "logout_token_kind"),
        ("events that are a list", token().claim("events", json!([EVENT])), "logout_token_kind"),
        ("an ID token", Mint::id(key_a()).claim("sid", "s-1").claim("exp", now + 60), "logout_token_kind"),
        ("neither sub nor sid", token().without("sub").without("sid"), "logout_token_incomplete"),
        ("an empty sid", token().claim("sid", ""), "logout_token_incomplete"),
        ("a sid that is no text", token().claim("sid", 1), "logout_token_incomplete"),
        ("a sub that is no text", token().claim("sub", json!(["user-1"])), "claim_malformed"),
        ("no jti", token().without("jti"), "logout_token_incomplete"),
        ("a jti that is no text", token().claim("jti", 1), "logout_token_incomplete"),
    ];
    for (case, token, code) in cases {
        let response = send_token(&first, &token);
        assert_eq!(response.outcome(), (400, code.into()), "{case}");
        assert_eq!(response.json()["error"], "invalid_request", "{case}");
        assert_eq!(response.header("cache-control"), Some("no-store"), "{case}");
    }
    let valid = encoded(&token().text());
    for body in [
        String::new(),
        "token=x".into(),
        "logout_token=".into(),
        format!("logout_token={valid}&logout_token={valid}"),
        format!("logout_token={}", "a".repeat(limits::MAX_REQUEST_BODY_BYTES)),
    ] {
        assert_eq!(logout(&first, &body).status, 400, "{} bytes", body.len());
    }
    let json = Request::post("/backchannel").header("content-type", "application/json");
    assert_eq!(first.fetch(json).outcome(), (400, "invalid_request".into()));
    assert_eq!(first.fetch(Request::get("/backchannel").page()).status, 405);
    assert!(first.has_logged("logout_token_refused: logout_token_kind"));
    first.sleep_s(2);
    assert!(is_in(&first, &browser));
    // Providers that do not type their tokens.
    assert_eq!(send_token(&first, &token().header("typ", "JWT")).status, 200);
    assert!(!is_in(&first, &browser));
}

#[test]
fn a_logout_token_counts_once() {
    let [first, second] = instances(&revocable());
    let token = logout_token(&first).without("sid");
    assert_eq!(send_token(&first, &token).status, 200);
    first.sleep_s(1);
    let browser = first.logged_in();
    for deployment in [&first, &second] {
        assert_eq!(send_token(deployment, &token).outcome(), (400, "logout_token_replayed".into()));
        assert!(is_in(deployment, &browser));
    }
}

#[test]
fn while_the_records_hang_one_request_tries_them_and_the_others_do_not_wait() {
    for fail in ["open", "closed"] {
        let config = with(revocable(), &json!({ "revocation": { "fail": fail } }));
        let [first, _] = instances(&config);
        let browser = first.logged_in();
        assert!(is_in(&first, &browser));
        first.sleep_s(2);
        first.shared(|shared| shared.delay_ms = limits::REVOCATION_TIMEOUT_MS + 1);
        let token = access(&first).text();
        let expected = if fail == "open" { PASSED } else { (503, "revocation_unavailable".into()) };
        let requests = || [by(&first, &browser, "/app"), Request::get("/things").bearer(&token)];
        for request in requests() {
            assert_eq!(first.fetch(request).outcome(), expected, "{fail}");
        }
        // After the pause, one request waits for another attempt.
        for _ in 0..3 {
            first.sleep_ms(limits::REVOCATION_FRESH_MS);
            for request in requests() {
                let mut tasks = first.tasks();
                let trying = tasks.start(first.answer(request.clone()));
                tasks.settle();
                assert!(tasks.is_open(trying), "{fail}");
                for _ in 0..20 {
                    let other = tasks.start(first.answer(request.clone()));
                    tasks.settle();
                    assert_eq!(tasks.output(other).map(Response::outcome), Some(expected.clone()), "{fail}: at once");
                    tasks.elapse_ms(i64::from(limits::REVOCATION_TIMEOUT_MS) / 21);
                }
                tasks.finish();
            }
        }
        // The first answer ends this.
        first.shared(|shared| shared.delay_ms = 0);
        first.sleep_ms(limits::REVOCATION_FRESH_MS);
        assert!(is_in(&first, &browser));
        assert_eq!(things(&first, &token), PASSED);
    }
}

#[test]
fn a_logout_that_cannot_be_stored_is_answered_so_that_the_provider_repeats_it() {
    let [first, second] = instances(&revocable());
    let browser = first.logged_in();
    let token = logout_token(&first);
    for is_bound in [true, false] {
        first.shared(|shared| (shared.are_down, shared.are_bound) = (true, is_bound));
        let response = send_token(&first, &token);
        assert_eq!(response.outcome(), (503, "revocation_unavailable".into()));
        assert_eq!(response.header("retry-after"), Some("1"));
    }
    first.shared(|shared| (shared.are_down, shared.are_bound) = (false, true));
    first.sleep_s(1);
    assert!(is_in(&second, &browser));
    assert_eq!(send_token(&first, &token).status, 200, "not a replay");
    assert!(!is_in(&first, &browser));
    // Without keys, the token cannot be judged.
    let other = Deployment::of(&revocable());
    other.shared(|shared| shared.are_bound = true);
    other.provider.take_all_down();
    assert_eq!(send_token(&other, &logout_token(&other)).status, 503);
}

#[test]
fn an_administrator_revokes_by_token_user_client_and_session() {
    let [first, second] = instances(&revocable());
    let token = |name: &str, value: &str| {
        let token = access(&first).claim("jti", value.to_string() + name);
        // These count where there is no other.
        let token = if ["cid", "appid"].contains(&name) { token.without("azp") } else { token };
        token.claim(name, value)
    };
    let cases = [
        ("jti", "t-2"),
        ("sub", "user-9"),
        ("azp", "client-9"),
        ("client_id", "client-8"),
        ("cid", "client-7"),
        ("appid", "client-6"),
        ("sid", "s-9"),
    ];
    for (name, value) in cases {
        let (bad, good) = (token(name, value).text(), token(name, "other").text());
        for deployment in [&first, &second] {
            assert_eq!((things(deployment, &bad), things(deployment, &good)), (PASSED, PASSED), "{name}");
        }
        let kind = if ["azp", "cid", "appid"].contains(&name) { "client_id" } else { name };
        let response = revoke(&first, &json!({ kind: value }).to_string());
        assert_eq!((response.status, response.body.as_str()), (204, ""), "{name}");
        assert_eq!(things(&first, &bad), revoked(), "{name}: at once here, and though its token is cached");
        first.sleep_s(1);
        for deployment in [&first, &second] {
            assert_eq!((things(deployment, &bad), things(deployment, &good)), (revoked(), PASSED), "{name}");
        }
        // A token that was issued later is not affected, but a revoked one never comes back. The issuer's clock may be ahead.
        let ahead = token(name, value).claim("jti", "ahead").claim("iat", first.now().secs() + SKEW_S - 1).text();
        assert_eq!(things(&second, &ahead), if name == "jti" { PASSED } else { revoked() }, "{name}");
        first.sleep_s(SKEW_S);
        let later = token(name, value).claim("iat", first.now().secs()).text();
        assert_eq!(things(&second, &later), if name == "jti" { revoked() } else { PASSED }, "{name}");
    }
}

#[test]
fn every_instance_finds_the_revocation_of_a_client_in_one_of_its_objects() {
    let [first, _] = instances(&revocable());
    let token = access(&first).claim("azp", "client-9").text();
    let of_client = |action| {
        let mut objects = first.shared(|shared| std::mem::take(&mut shared.asked));
        objects.retain(|(one, _)| *one == action);
        objects.into_iter().map(|(_, object)| object).collect::<std::collections::BTreeSet<_>>()
    };
    first.shared(|shared| shared.asked.clear());
    assert_eq!(revoke(&first, r#"{"client_id":"client-9"}"#).status, 204);
    let written = of_client(SharedAction::Record);
    assert_eq!(written.len(), usize::from(limits::CLIENT_RECORD_OBJECTS));
    for _ in 0..20 {
        assert_eq!(things(&first.instance(), &token), revoked());
    }
    let read: Vec<String> = of_client(SharedAction::Read).into_iter().filter(|one| written.contains(one)).collect();
    assert!(read.len() > 1, "not all read the same one");
}

#[test]
fn logging_a_user_out_everywhere_ends_sessions_and_tokens() {
    let [first, second] = instances(&revocable());
    let mut browser = first.logged_in();
    let token = access(&first).text();
    assert_eq!(things(&second, &token), PASSED);
    assert_eq!(revoke(&first, r#"{"sub":"user-1"}"#).status, 204);
    first.sleep_s(1);
    for deployment in [&first, &second] {
        assert!(!is_in(deployment, &browser));
        assert_eq!(things(deployment, &token), revoked());
        let challenge = deployment.fetch(Request::get("/things").bearer(&token));
        assert!(challenge.header("www-authenticate").unwrap().contains("error=\"invalid_token\""));
    }
    first.log_in(&mut browser);
    assert!(is_in(&second, &browser));
    // The provider's session goes on, and so does a login in it.
    assert_eq!(revoke(&second, r#"{"sid":"s-1"}"#).status, 204);
    first.sleep_s(1);
    assert!(!is_in(&first, &browser));
    first.log_in(&mut browser);
    assert!(is_in(&first, &browser) && is_in(&second, &browser));
}

#[test]
fn a_token_without_iat_counts_as_an_old_one() {
    let [first, _] = instances(&revocable());
    let token = access(&first).without("iat").text();
    assert_eq!(things(&first, &token), PASSED);
    assert_eq!(revoke(&first, r#"{"sub":"user-1"}"#).status, 204);
    assert_eq!(things(&first, &token), revoked());
}

#[test]
fn only_an_administrator_revokes_and_only_what_is_named() {
    let [first, _] = instances(&revocable());
    let browser = first.logged_in();
    for body in [
        "",
        "{}",
        "[]",
        r#"{"sub":""}"#,
        r#"{"sub":1}"#,
        r#"{"sub":null}"#,
        r#"{"sub":"user-1","jti":"x"}"#,
        r#"{"sub":"user-1","sub":"user-2"}"#,
        r#"{"sub":"user-1","all":"x"}"#,
        r#"{"iss":"https://tenant.example.com/"}"#,
        "sub=user-1",
    ] {
        assert_eq!(revoke(&first, body).outcome(), (400, "invalid_request".into()), "{body}");
    }
    assert_eq!(
        revoke(&first, r#"{"sub":"user-1","iss":"https://evil.example/"}"#).outcome(),
        (400, "issuer_unknown".into())
    );
    let body = || first.shared(|shared| shared.bodies.push_back(br#"{"sub":"user-1"}"#.to_vec()));
    body();
    let request = Request::post("/revoke").bearer(&admin(&first, "revoke")).header("content-type", "text/plain");
    assert_eq!(first.fetch(request).outcome(), (400, "invalid_request".into()));
    let request = Request::post("/revoke").header("content-type", "application/json");
    let weak = request.clone().bearer(&admin(&first, "read:things"));
    assert_eq!(first.fetch(weak).outcome(), (403, "insufficient_scope".into()));
    assert_eq!(first.fetch(request.clone()).outcome(), (401, "token_missing".into()));
    // A user's session, without the right.
    let session = request.cookie(&browser.header(first.now()));
    assert_eq!(first.fetch(session).outcome(), (403, "insufficient_scope".into()));
    first.sleep_s(1);
    assert!(is_in(&first, &browser));
    assert_eq!(revoke(&first, &json!({ "sub": "user-1", "iss": ISSUER }).to_string()).status, 204);
    assert!(!is_in(&first, &browser));
}

#[test]
fn an_issuer_has_no_say_in_what_belongs_to_another() {
    const FURTHER: &str = "https://further.example.com/";
    let mut config = revocable();
    config["authorizer"]["issuers"] = json!([{ "issuer": FURTHER, "jwks": { "keys": [key_b().jwk()] } }]);
    let route = |path: &str, rule: Value| json!({ "method": "POST", "path": path, "scopes": ["revoke"], "claims": [rule], "integration": { "type": "revoke" } });
    config["paths"].as_array_mut().unwrap().extend([
        route("/revoke-listed", json!({ "claim": "iss", "any": [ISSUER, FURTHER] })),
        route("/revoke-unlisted", json!({ "claim": "iss", "not": ["https://evil.example/"] })),
    ]);
    let [first, _] = instances(&config);
    let now = first.now().secs();
    let of_further = Mint::access(key_b()).claim("iss", FURTHER).claim("iat", now).claim("exp", now + 600);
    let further = of_further.claim("sub", "admin").claim("scope", "revoke").text();
    let own = admin(&first, "revoke");
    let bad = (403, "claim_not_allowed".to_owned());
    for (path, caller, issuer, expected) in [
        ("/revoke", &further, Some(ISSUER), &bad),
        ("/revoke-unlisted", &further, Some(ISSUER), &bad),
        ("/revoke-listed", &further, Some(ISSUER), &(204, String::new())),
        ("/revoke", &further, Some(FURTHER), &(204, String::new())),
        ("/revoke", &further, None, &(204, String::new())),
        ("/revoke", &own, Some(FURTHER), &(204, String::new())),
        ("/revoke", &own, Some(ISSUER), &(204, String::new())),
    ] {
        for kind in ["sub", "sid", "jti", "client_id"] {
            let mut body = json!({ kind: "victim" });
            if let Some(issuer) = issuer {
                body["iss"] = json!(issuer);
            }
            first.shared(|shared| shared.bodies.push_back(body.to_string().into()));
            let request = Request::post(path).header("content-type", "application/json").bearer(caller);
            let response = first.fetch(request);
            assert_eq!(response.status, expected.0, "{path}, {kind} of {issuer:?}: {}", response.body);
            assert_eq!(response.outcome(), *expected, "{path}, {kind} of {issuer:?}");
        }
    }
}

#[test]
fn a_record_is_read_once_while_it_is_fresh_by_any_number_of_requests() {
    let [first, second] = instances(&revocable());
    let browser = first.logged_in();
    let reads =
        || first.shared(|shared| shared.asked.iter().filter(|(action, _)| *action == SharedAction::Read).count());
    first.shared(|shared| shared.delay_ms = 50);
    let request = || crate::by(&first, &browser, "/app");
    let responses = first.run_all((0..20).map(|_| first.answer(request())));
    assert!(responses.iter().all(|response| response.status == 200));
    assert_eq!(reads(), 2, "of the user and of the session");
    let fresh_ms = limits::REVOCATION_FRESH_MS - 50;
    for _ in 0..10 {
        first.sleep_ms((fresh_ms - 1) / 10);
        assert!(is_in(&first, &browser));
    }
    assert_eq!(reads(), 2);
    first.sleep_ms(fresh_ms - (fresh_ms - 1) / 10 * 10);
    assert!(is_in(&first, &browser));
    assert_eq!(reads(), 4);
    assert!(is_in(&second, &browser));
    assert_eq!(reads(), 6, "each instance by itself");
    // Tokens of one client and user share its records.
    for number in 0..5 {
        assert_eq!(things(&first, &access(&first).claim("jti", format!("t-{number}")).text()), PASSED);
    }
    assert_eq!(reads(), 6 + 2 + 5);
}

#[test]
fn in_an_outage_of_the_records_requests_are_refused_unless_configured_otherwise() {
    for (fail, status) in [(json!({}), 503), (json!({ "fail": "closed" }), 503), (json!({ "fail": "open" }), 200)] {
        let [first, _] = instances(&with(revocable(), &json!({ "revocation": fail })));
        let browser = first.logged_in();
        let token = access(&first).text();
        for is_bound in [true, false] {
            first.shared(|shared| (shared.are_down, shared.are_bound) = (true, is_bound));
            first.sleep_s(2);
            let by_session = peek(&first, &browser, "/app");
            let by_token = first.fetch(Request::get("/things").bearer(&token));
            assert_eq!((by_session.status, by_token.status), (status, status), "{fail}");
            if status == 503 {
                assert_eq!(by_token.outcome(), (503, "revocation_unavailable".into()));
                assert_eq!(by_token.header("retry-after"), Some("1"));
            }
            assert_eq!(first.fetch(Request::get("/open")).status, 200, "public routes");
            assert_eq!(first.fetch(Request::get("/maybe")).status, 200, "without credentials");
            assert!(first.lines().iter().any(|line| line.starts_with("revocation_unavailable: ")));
        }
        // It ends with the outage, within a second.
        first.shared(|shared| (shared.are_down, shared.are_bound) = (false, true));
        first.sleep_s(1);
        assert_eq!((peek(&first, &browser, "/app").status, things(&first, &token)), (200, PASSED));
    }
}

#[test]
fn records_that_are_slow_are_waited_for_up_to_a_limit() {
    let [first, _] = instances(&revocable());
    let browser = first.logged_in();
    first.shared(|shared| shared.delay_ms = limits::REVOCATION_TIMEOUT_MS);
    assert!(is_in(&first, &browser));
    first.sleep_s(1);
    first.shared(|shared| shared.delay_ms = limits::REVOCATION_TIMEOUT_MS + 1);
    assert_eq!(peek(&first, &browser, "/app").status, 503);
}

#[test]
fn a_cancelled_look_up_delays_others_for_one_lease_at_most() {
    let [first, _] = instances(&revocable());
    let of = |user: &str| {
        let token = access(&first).claim("sub", user).claim("jti", user).claim("azp", "client-9");
        Request::get("/things").bearer(&token.text())
    };
    // The keys are known.
    assert_eq!(things(&first, &access(&first).text()), PASSED);
    first.shared(|shared| shared.delay_ms = 50);
    let mut tasks = first.tasks();
    let leader = tasks.start(first.answer(of("user-8")));
    tasks.settle();
    assert!(tasks.is_open(leader));
    tasks.cancel(leader);
    let other = tasks.start(first.answer(of("user-9")));
    tasks.elapse_ms(limits::REVOCATION_LEASE_MS + 50);
    assert_eq!(tasks.output(other).map(|response| response.status), Some(200));
}

#[test]
fn an_answer_that_is_slower_than_a_second_is_shared() {
    for (delay_ms, status) in [(1200, 200), (limits::REVOCATION_TIMEOUT_MS + 1, 503)] {
        let [first, _] = instances(&revocable());
        let browser = first.logged_in();
        first.shared(|shared| shared.delay_ms = delay_ms);
        let began_ms = first.elapsed_ms();
        let responses = first.run_all((0..20).map(|_| first.answer(by(&first, &browser, "/app"))));
        assert!(responses.iter().all(|response| response.status == status), "{delay_ms}");
        let delay_ms = i64::from(delay_ms);
        assert!(first.elapsed_ms() - began_ms < 2 * delay_ms);
        let reads = first.shared(|shared| shared.asked.len());
        assert!(reads as i64 <= 2 * (delay_ms / limits::REVOCATION_LEASE_MS + 1), "{reads}");
    }
}

#[test]
fn a_revocation_of_sessions_outlives_those_of_other_deployments() {
    let short = json!({ "session": { "absolute_s": 3600, "idle_s": 3600 } });
    let [first, _] = instances(&with(revocable(), &short));
    let other = Deployment::on(&first.host, &first.provider, &revocable());
    let mut browser = other.logged_in();
    assert_eq!(revoke(&first, r#"{"sub":"user-1"}"#).status, 204);
    other.sleep_s(2 * 3600);
    let response = other.send(&mut browser, Request::get("/app"));
    assert_eq!(response.outcome(), (401, "token_missing".into()));
    assert_eq!(other.provider.refreshes(), 0);
}

#[test]
fn revocations_expire_with_what_they_end() {
    let lifetimes = json!({ "revocation": { "token_lifetime_s": 600 } });
    let [first, _] = instances(&with(revocable(), &lifetimes));
    assert_eq!(revoke(&first, r#"{"sub":"user-1"}"#).status, 204);
    let old = access(&first).claim("exp", first.now().secs() + 5000).text();
    first.sleep_s(600 + 59);
    assert_eq!(things(&first, &old), revoked());
    first.sleep_s(2);
    assert_eq!(things(&first, &old), PASSED, "older than any token may be");
}

#[test]
fn without_revocation_nothing_is_looked_up() {
    let first = Deployment::new();
    first.shared(|shared| shared.are_bound = true);
    let browser = first.logged_in();
    assert!(is_in(&first, &browser));
    assert_eq!(things(&first, &access(&first).text()), PASSED);
    first.shared(|shared| assert!(shared.asked.is_empty()));
    // A back-channel logout concerns sessions only.
    let mut config = revocable();
    config["paths"].as_array_mut().unwrap().pop();
    let [first, _] = instances(&config);
    assert_eq!(things(&first, &access(&first).text()), PASSED);
    first.shared(|shared| assert!(shared.asked.is_empty()));
    // Unless another deployment revokes tokens.
    let [first, _] = instances(&with(config, &json!({ "revocation": { "tokens": true } })));
    assert_eq!(things(&first, &access(&first).claim("aud", AUDIENCE).text()), PASSED);
    first.shared(|shared| assert_eq!(shared.asked.len(), 3));
}
