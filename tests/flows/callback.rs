//! The callback.

use std::rc::Rc;

use edgeward::host::RecentLines;
use edgeward::io::{Incoming, UnixTime, Unreachable};
use edgeward::oidc::SessionAction;
use serde_json::{Value, json};
use support::browser::{Browser, Request, Response};
use support::coordinator::Behavior;
use support::deployment::{COOKIE, Deployment, config, oidc_config, with};
use support::host::Jobs;
use support::provider::{Auth, CLIENT_SECRET, Endpoint, Fault, encoded, refusal};
use support::world::status;
use support::{NOW, key_a, key_b};

use crate::{due, peek};

/// A browser just redirected back by the provider.
struct Back {
    deployment: Deployment,
    browser: Browser,
    callback: String,
}

impl Back {
    fn at(deployment: Deployment) -> Self {
        let mut browser = Browser::default();
        let callback = deployment.begin(&mut browser, "/login?return_to=/app");
        Self { deployment, browser, callback }
    }

    fn new() -> Self {
        Self::at(Deployment::new())
    }

    fn discovering() -> Self {
        Self::at(Deployment::discovering())
    }

    fn request(&self) -> Request {
        Request::get(&self.callback).cookie(&self.browser.header(self.deployment.now()))
    }

    /// Returns the response to an API client's callback. The login's cookie stays.
    fn comes(&self) -> Response {
        self.deployment.fetch(self.request())
    }

    /// Returns the callback's URL with this query in place of its own.
    fn with(&self, query: &str) -> String {
        format!("{}?{query}", self.callback.split('?').next().unwrap())
    }

    fn exchanges(&self) -> usize {
        self.deployment.provider.requests(Endpoint::Token)
    }

    /// Asserts that the pending login is consumed, and that another one works.
    fn assert_next_login_works(&mut self) {
        assert_eq!(self.comes().outcome(), (400, "state_invalid".into()), "the state is consumed");
        let exchanges = self.exchanges();
        let response = self.deployment.log_in(&mut self.browser);
        assert_eq!(response.sets(COOKIE), Some(true), "{} {:?}", response.body, self.deployment.lines());
        assert_eq!(self.exchanges(), exchanges + 1);
    }
}

#[test]
fn a_callback_by_a_script_reports_errors_without_effect() {
    let mut back = Back::discovering();
    let script = |request: Request| back.deployment.fetch(request.script()).outcome();
    let good = back.request();
    assert_eq!(script(good.clone()), (400, "navigation_required".into()));
    let altered = |from: &str, to: &str| Request { url: good.url.replace(from, to), ..good.clone() };
    assert_eq!(script(altered("state=", "state=x")), (400, "state_invalid".into()));
    assert_eq!(script(altered("tenant", "evil")), (400, "callback_issuer_mismatch".into()));
    assert_eq!(script(altered("code=", "error=access_denied&x=")), (400, "login_denied".into()));
    assert_eq!(script(altered("code=", "code=a&code=")), (400, "callback_invalid".into()));
    assert_eq!(back.exchanges(), 0);
    let callback = back.callback.clone();
    assert_eq!(back.deployment.open(&mut back.browser, &callback).location(), "/app");
}

#[test]
fn a_prefetch_consumes_nothing() {
    let mut back = Back::new();
    let cookie = back.browser.header(back.deployment.now());
    for (method, status) in [("HEAD", 200), ("GET", 400), ("POST", 405)] {
        let response = back.deployment.fetch(Request::new(method, &back.callback).cookie(&cookie).prefetch());
        assert_eq!((response.status, response.cookies().len()), (status, 0), "{method}");
    }
    let frame = back.deployment.fetch(back.request().page().header("sec-fetch-dest", "iframe"));
    assert_eq!((frame.status, frame.cookies().len()), (400, 0));
    assert_eq!(back.exchanges(), 0);
    let callback = back.callback.clone();
    assert_eq!(back.deployment.open(&mut back.browser, &callback).location(), "/app");
}

#[test]
fn browser_navigations_get_a_page_with_a_link_to_the_login() {
    let back = Back::new();
    let denied =
        Request { url: format!("{}&error=access_denied&error_description=%3Cb%3E", back.callback), ..back.request() };
    let page = back.deployment.fetch(denied.page());
    assert_eq!(page.status, 400);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(
        page.body.contains("login_denied") && page.body.contains("href=\"/login?return_to=%2Fapp\""),
        "{}",
        page.body
    );
    assert!(!page.body.contains("<b>"), "nothing of the query");
    assert!(back.deployment.has_logged("login_denied: the provider answered access_denied (?b?) (request "));
}

#[test]
fn two_callbacks_of_one_login_at_once_exchange_its_code_once() {
    let back = Back::new();
    back.deployment.hesitate();
    let answers = back.deployment.run_all((0..20).map(|_| back.deployment.answer(back.request())));
    // A browser shows the response to the last one, so each brings the session.
    assert!(answers.iter().all(|answer| answer.status == 302 && answer.sets(COOKIE) == Some(true)));
    assert_eq!(back.exchanges(), 1);
}

#[test]
fn the_issuer_of_a_callback_may_be_absent_unless_announced_but_never_wrong() {
    let without = |back: &Back| back.callback.split("&iss=").next().unwrap().to_string();
    let auth0 = Back::new();
    assert_eq!(auth0.deployment.fetch(Request { url: without(&auth0), ..auth0.request() }).status, 302);
    let wrong = Back::new();
    let url = wrong.callback.replace("tenant", "evil");
    let response = wrong.deployment.fetch(Request { url, ..wrong.request() });
    assert_eq!(response.outcome(), (400, "callback_issuer_mismatch".into()));
    let promised = Back::discovering();
    let response = promised.deployment.fetch(Request { url: without(&promised), ..promised.request() });
    assert_eq!(response.outcome(), (400, "callback_issuer_mismatch".into()));
    assert_eq!(promised.exchanges(), 0);
}

/// Makes the provider's answers of these endpoints have another label, and perhaps a byte order mark before them.
fn relabel(deployment: &Deployment, endpoints: &[Endpoint], content_type: Option<&str>, mark: &'static [u8]) {
    for endpoint in endpoints.iter().copied() {
        let (provider, content_type) = (deployment.provider.clone(), content_type.map(String::from));
        deployment.serve(&deployment.provider.url(endpoint), move |request| {
            let answer = provider.receive(endpoint, request)?;
            let body = [mark, &answer.body].concat();
            Ok(Incoming { content_type: content_type.clone(), body, ..answer })
        });
    }
}

/// What servers and what stands before them label JSON with, as keys and discovery accept it.
const LABELS: [Option<&str>; 7] = [
    None,
    Some(""),
    Some("text/plain; charset=utf-8"),
    Some("text/html"),
    Some("text/javascript"),
    Some("application/octet-stream"),
    Some("application/json"),
];

#[test]
fn valid_answers_count_whatever_their_content_type() {
    let changes = json!({ "authorizer": { "par": true, "userinfo_at_login": true } });
    let config = with(oidc_config(), &changes);
    for label in LABELS {
        for mark in [&b""[..], b"\xef\xbb\xbf"] {
            let deployment = Deployment::of(&config);
            relabel(&deployment, &[Endpoint::Par, Endpoint::Token, Endpoint::Userinfo], label, mark);
            let mut browser = deployment.logged_in();
            assert_eq!(deployment.open(&mut browser, "/app").origin_header("x-user"), Some("user-1"), "{label:?}");
            let refreshed = deployment.send(&mut browser, Request::post("/refresh"));
            assert_eq!((refreshed.status, deployment.provider.refreshes()), (200, 1), "{label:?}");
            assert_eq!(peek(&deployment, &browser, "/userinfo").json()["email"], "ann@example.com", "{label:?}");
            // A refusal is read likewise.
            let back = Back::at(deployment);
            back.deployment.serve(&back.deployment.provider.url(Endpoint::Token), move |_| {
                let answer = refusal(400, "invalid_grant");
                Ok(Incoming { content_type: label.map(String::from), body: [mark, &answer.body].concat(), ..answer })
            });
            assert_eq!(back.comes().json()["error"], "invalid_grant", "{label:?}");
        }
    }
}

#[test]
fn a_token_without_a_type_is_a_bearer_token() {
    for change in [json!(null), json!("")] {
        let deployment = Deployment::new();
        let change = Fault::Change(Box::new(move |answer| answer["token_type"] = change));
        deployment.provider.fault(Endpoint::Token, change);
        let browser = deployment.logged_in();
        assert_eq!(peek(&deployment, &browser, "/things").status, 200);
    }
    let deployment = Deployment::new();
    let absent = Fault::Change(Box::new(|answer| drop(answer.as_object_mut().unwrap().remove("token_type"))));
    deployment.provider.fault(Endpoint::Token, absent);
    assert_eq!(peek(&deployment, &deployment.logged_in(), "/things").status, 200);
}

#[test]
fn a_line_about_a_callback_names_its_unverified_error_and_both_issuers() {
    let error =
        "error=server_error&error_description=AADSTS50011%3A%20The%20redirect%20URI%3Cb%3E%20does%20not%20match";
    let stated = "; unverified error: server_error (AADSTS50011: The redirect URI?b? does not match))";
    let unknown = "state_invalid: this browser has no login with this state under way (request ";
    let malformed = "callback_invalid: state or code is missing, or a parameter is repeated (request ";
    let wrong = "callback_issuer_mismatch: iss names another issuer (request ";
    let iss = "; iss is https://evil.example.com/?b?, not https://tenant.example.com/";
    let evil = |url: &str| url.replace("tenant.example.com%2F", "evil.example.com%2F%3Cb%3E");
    type Case<'c> = (&'c dyn Fn(&Back) -> String, &'c str, String);
    let cases: [Case<'_>; 6] = [
        (&|back| back.with(error), malformed, stated.into()),
        (&|back| back.with(&format!("{error}&state=foreign")), unknown, stated.into()),
        (&|back| back.with("code=c&state=foreign"), unknown, ")".into()),
        (&|back| evil(&back.callback), wrong, format!("{iss})")),
        (&|back| format!("{}&{error}", evil(&back.callback)), wrong, format!("{iss}{stated}")),
        (
            &|back| back.callback.replace("tenant.example.com%2F", &"%C3%A9".repeat(300)),
            wrong,
            format!("; iss is https://{}, not https://tenant.example.com/)", "?".repeat(192)),
        ),
    ];
    for (url, start, end) in cases {
        let back = Back::new();
        assert_eq!(back.deployment.fetch(Request { url: url(&back), ..back.request() }).status, 400);
        let lines = back.deployment.lines();
        assert!(lines.iter().any(|line| line.starts_with(start) && line.ends_with(&end)), "{end}: {lines:?}");
    }
    // A login that took too long.
    let back = Back::new();
    back.deployment.sleep_s(3600);
    let url = back.callback.replace("code=", "error=login_required&code=");
    back.deployment.fetch(Request { url, ..back.request() });
    let lines = back.deployment.lines();
    assert!(lines.iter().any(|line| line.ends_with("; unverified error: login_required)")), "{lines:?}");
}

#[test]
fn callbacks_that_anyone_can_send_do_not_flood_the_log() {
    let back = Back::new();
    for number in 0..100 {
        let letter = char::from(b'a' + u8::try_from(number % 26).unwrap());
        for url in [
            back.with(&format!("error=x_{letter}&error_description={number}")),
            back.with(&format!("error=x_{letter}&error_description={number}&state={number}")),
            back.callback.replace("tenant", &format!("evil{number}")),
        ] {
            back.deployment.fetch(Request { url, ..back.request() });
        }
    }
    let mut recent = RecentLines::default();
    let lines = back.deployment.lines();
    let written = lines.iter().filter(|line| recent.admits(line, back.deployment.now())).count();
    assert!(lines.len() >= 202 && written == 3, "{written} of {}", lines.len());
}

/// A deployment whose client has these secrets.
fn with_secrets(auth: &str, secrets: &Value) -> Deployment {
    let changes = json!({ "authorizer": { "client_auth": auth, "client_secret": secrets } });
    Deployment::of(&with(config(), &changes))
}

#[test]
fn a_client_authenticates_as_configured() {
    for (auth, name) in [(Auth::Post, "client_secret_post"), (Auth::Basic, "client_secret_basic"), (Auth::None, "none")]
    {
        let deployment = with_secrets(name, &json!("a secret: with / special % characters +"));
        deployment.provider.set().auth = auth;
        deployment.provider.set().secrets = vec!["a secret: with / special % characters +".into()];
        deployment.logged_in();
        assert_eq!(deployment.provider.requests(Endpoint::Token), 1, "{name}");
    }
}

#[test]
fn a_code_is_sent_again_with_the_next_secret_if_the_client_was_refused() {
    for (auth, name) in [(Auth::Post, "client_secret_post"), (Auth::Basic, "client_secret_basic")] {
        let deployment =
            with_secrets(name, &json!(["an old secret of the client", CLIENT_SECRET, "one that is never tried"]));
        deployment.provider.set().auth = auth;
        deployment.logged_in();
        let exchanges = deployment.provider.state().exchanges.clone();
        assert_eq!(exchanges.len(), 2, "{name}");
        assert_eq!(exchanges[0]["code"], exchanges[1]["code"]);
        assert_eq!(exchanges[0]["code_verifier"], exchanges[1]["code_verifier"]);
    }
}

#[test]
fn a_client_is_refused_twice_at_most() {
    let back =
        Back::at(with_secrets("client_secret_post", &json!(["the first secret", "the second secret", CLIENT_SECRET])));
    let response = back.comes();
    assert_eq!(response.outcome(), (502, "token_exchange_failed".into()));
    assert_eq!(response.json()["error"], "invalid_client");
    assert_eq!(back.exchanges(), 2);
    let line =
        "token_exchange_failed: https://tenant.example.com/oauth/token answered 401, invalid_client: check client_id";
    assert!(back.deployment.has_logged(line), "{:?}", back.deployment.lines());
}

#[test]
fn a_code_is_never_sent_twice_for_any_other_reason() {
    let html = |status| Incoming {
        status,
        content_type: Some("text/html".into()),
        body: b"<p>invalid_client".to_vec(),
        ..Incoming::default()
    };
    let faults: Vec<(&str, Fault)> = vec![
        ("invalid_grant", Fault::Answer(Ok(refusal(400, "invalid_grant")))),
        ("invalid_request", Fault::Answer(Ok(refusal(401, "invalid_request")))),
        ("a server error", Fault::Answer(Ok(status(500)))),
        ("too many requests", Fault::Answer(Ok(refusal(429, "slow_down")))),
        ("HTML", Fault::Answer(Ok(html(200)))),
        ("401 with HTML", Fault::Answer(Ok(html(401)))),
        ("a redirect", Fault::Answer(Ok(status(302)))),
        ("too much", Fault::Change(Box::new(|answer| answer["padding"] = "x".repeat(70_000).into()))),
        ("no network", Fault::Answer(Err(Unreachable::Network))),
        ("no answer", Fault::Answer(Err(Unreachable::GivenUp))),
        ("a lost answer", Fault::ResponseLost),
        ("a connection that breaks off", Fault::BreakOff),
        ("no ID token", Fault::Change(Box::new(|answer| answer["id_token"] = Value::Null))),
        ("another kind of token", Fault::Change(Box::new(|answer| answer["token_type"] = "DPoP".into()))),
    ];
    for (what, fault) in faults {
        let secrets = json!([CLIENT_SECRET, "the next secret of the client"]);
        let mut back = Back::at(with_secrets("client_secret_post", &secrets));
        back.deployment.provider.fault(Endpoint::Token, fault);
        let response = back.comes();
        assert_eq!(response.outcome(), (502, "token_exchange_failed".into()), "{what}");
        assert_eq!(response.header("retry-after"), Some("5"), "{what}");
        assert!(response.cookies().is_empty(), "{what}");
        assert_eq!(back.exchanges(), 1, "{what}");
        assert!(back.deployment.has_logged("token_exchange_failed: "), "{what}");
        back.assert_next_login_works();
    }
}

#[test]
fn a_lost_response_is_awaited_for_ten_seconds() {
    let back = Back::new();
    back.deployment.provider.fault(Endpoint::Token, Fault::ResponseLost);
    let before_ms = back.deployment.elapsed_ms();
    assert_eq!(back.comes().outcome(), (502, "token_exchange_failed".into()));
    assert_eq!(back.deployment.elapsed_ms() - before_ms, 10_000);
}

#[test]
fn a_late_response_is_accepted_and_its_tokens_last_from_its_arrival() {
    let mut back = Back::new();
    back.deployment.provider.set().access = Rc::new(|_| "opaque".into());
    back.deployment.provider.fault(Endpoint::Token, Fault::Late(9_000));
    let callback = back.callback.clone();
    back.deployment.open(&mut back.browser, &callback);
    let session = back.deployment.session(&back.browser);
    assert_eq!(session.tokens().access_expires_s, NOW + 9 + 3600);
}

#[test]
fn a_callback_cancelled_during_the_exchange_is_completed_for_the_next() {
    let back = Back::new();
    back.deployment.provider.fault(Endpoint::Token, Fault::Late(2_000));
    let mut tasks = back.deployment.tasks();
    let request = tasks.start(back.deployment.answer(back.request()));
    tasks.settle();
    tasks.cancel(request);
    // Browsers cancel a navigation when its link is clicked again.
    let second = tasks.start(back.deployment.answer(back.request()));
    tasks.finish();
    assert_eq!(tasks.output(second).unwrap().sets(COOKIE), Some(true));
    assert_eq!(back.exchanges(), 1);
}

#[test]
fn a_callback_sent_again_waits_as_long_as_the_first_can_take() {
    let secrets = json!(["the first secret", CLIENT_SECRET]);
    for (secrets, is_known) in [(json!(CLIENT_SECRET), true), (secrets, true), (json!(CLIENT_SECRET), false)] {
        let back = Back::at(with_secrets("client_secret_post", &secrets));
        if !is_known {
            // The instance has its keys.
            back.deployment.logged_in();
            back.deployment.jobs(Jobs::Lose);
        }
        back.deployment.provider.fault(Endpoint::Token, Fault::Late(9_900));
        let mut tasks = back.deployment.tasks();
        let request = tasks.start(back.deployment.answer(back.request()));
        tasks.elapse_ms(300);
        tasks.cancel(request);
        let second = tasks.start(back.deployment.answer(back.request()));
        tasks.finish();
        let second = tasks.output(second).unwrap();
        if is_known {
            assert_eq!((second.status, second.sets(COOKIE)), (302, Some(true)));
        } else {
            // Nothing is known of the outcome, so nothing is said of it.
            assert_eq!(second.outcome(), (400, "state_invalid".into()));
            assert!(!back.deployment.has_logged("token_exchange_failed"), "{:?}", back.deployment.lines());
        }
    }
}

#[test]
fn an_id_token_that_expires_during_the_exchange_makes_no_session() {
    for (jump_s, code) in
        [(300, None), (-3, None), (3600, Some("token_expired")), (-3600, Some("token_issued_in_future"))]
    {
        let mut back = Back::new();
        let jump = Fault::Meanwhile(Box::new(move |host| host.set_clock(UnixTime::from_secs(NOW + jump_s))));
        back.deployment.provider.fault(Endpoint::Token, jump);
        let response = back.comes();
        back.browser.store_cookies(&response, back.deployment.now());
        match code {
            None => assert_eq!(back.deployment.session(&back.browser).age_s(back.deployment.now()), 0, "{jump_s}"),
            Some(code) => {
                assert_eq!(response.outcome(), (400, "id_token_invalid".into()), "{jump_s}");
                assert!(
                    back.deployment.has_logged(&format!("id_token_invalid: {code}")),
                    "{:?}",
                    back.deployment.lines()
                );
            }
        }
    }
}

#[test]
fn without_keys_no_login_succeeds() {
    for discovers in [false, true] {
        let mut back = if discovers { Back::discovering() } else { Back::new() };
        back.deployment.provider.take_down(Endpoint::Keys);
        let response = back.comes();
        assert_eq!(response.outcome(), (503, "jwks_unreachable".into()));
        assert_eq!(response.header("retry-after"), Some("5"));
        assert!(response.cookies().is_empty());
        assert!(back.deployment.has_logged("jwks_unreachable: "), "{:?}", back.deployment.lines());
        assert_eq!(back.exchanges(), 0, "the code would be redeemed for nothing");
        back.deployment.provider.bring_up();
        back.deployment.sleep_s(2);
        let response = back.comes();
        assert_eq!((response.status, response.sets(COOKIE)), (302, Some(true)), "the same callback again");
        assert_eq!(back.exchanges(), 1);
        back.deployment.sleep_s(61);
        back.assert_next_login_works();
    }
}

#[test]
fn an_id_token_with_an_unpublished_key_is_refused_until_it_is_published() {
    let mut back = Back::new();
    back.deployment.provider.set().key = key_b();
    assert_eq!(back.comes().outcome(), (400, "id_token_invalid".into()));
    assert!(back.deployment.has_logged("id_token_invalid: key_not_found"));
    back.deployment.provider.set().published = vec![key_a().jwk(), key_b().jwk()];
    back.deployment.sleep_s(31);
    back.assert_next_login_works();
}

#[test]
fn a_login_must_be_for_the_requested_organization_and_a_configured_one() {
    let organizations = |list: Value| with(config(), &json!({ "authorizer": { "organizations": list } }));
    for (config, link, org, is_in) in [
        (config(), "/login?organization=org_1", Some("org_1"), true),
        (config(), "/login?organization=org_1", Some("org_2"), false),
        (config(), "/login?organization=org_1", None, false),
        (organizations(json!(["org_1", "org_2"])), "/login", Some("org_2"), true),
        (organizations(json!(["org_1", "org_2"])), "/login", Some("org_3"), false),
        (organizations(json!(["org_1", "org_2"])), "/login", None, false),
        (organizations(json!(["org_1", "org_2"])), "/login?organization=org_1", Some("org_2"), false),
    ] {
        let deployment = Deployment::of(&config);
        deployment.provider.set().id = Rc::new(move |id| match org {
            Some(org) => id.claim("org_id", org),
            None => id,
        });
        let mut browser = Browser::default();
        let callback = deployment.begin(&mut browser, link);
        let response = deployment.send(&mut browser, Request::get(&callback));
        if is_in {
            assert_eq!(response.sets(COOKIE), Some(true), "{link} {org:?}");
        } else {
            assert_eq!(response.outcome(), (403, "organization_mismatch".into()), "{link} {org:?}");
            assert!(response.cookies().is_empty());
        }
    }
}

#[test]
fn a_strict_cookie_comes_with_a_page_that_continues_automatically() {
    let mut back = Back::at(Deployment::of(&with(config(), &json!({ "session": { "same_site": "Strict" } }))));
    let callback = back.callback.clone();
    let page = back.deployment.open(&mut back.browser, &callback);
    assert_eq!((page.status, page.header("refresh")), (200, Some("0; url=/app")));
    assert!(page.header("cache-control").unwrap().contains("no-store"));
    assert!(page.cookies().iter().any(|line| line.starts_with(COOKIE) && line.contains("SameSite=Strict")));
    assert!(back.deployment.session(&back.browser).can_refresh());
}

#[test]
fn a_login_for_a_login_route_ends_at_the_root() {
    for (target, expected) in [
        ("/app?page=2", "/app?page=2"),
        ("/login", "/"),
        ("/logout", "/"),
        ("/callback?code=x", "/"),
        ("//evil.example/", "/"),
    ] {
        let deployment = Deployment::new();
        let mut browser = Browser::default();
        let callback = deployment.begin(&mut browser, &format!("/login?return_to={}", encoded(target)));
        assert_eq!(deployment.open(&mut browser, &callback).location(), expected, "{target}");
    }
}

#[test]
fn a_login_ends_at_the_configured_location_regardless_of_the_link() {
    let welcome = "https://www.example.com/welcome";
    let deployment = Deployment::of(&with(config(), &json!({ "authorizer": { "callback_uri": welcome } })));
    let mut browser = Browser::default();
    let callback = deployment.begin(&mut browser, "/login?return_to=/app");
    assert_eq!(deployment.open(&mut browser, &callback).location(), welcome);
}

#[test]
fn a_session_too_large_for_cookies_is_refused() {
    let mut back = Back::new();
    back.deployment.provider.set().id = Rc::new(|id| id.claim("picture", "x".repeat(9_000)));
    back.deployment.provider.set().access = Rc::new(|access| access.claim("picture", "x".repeat(9_000)).text());
    let response = back.comes();
    assert_eq!(response.outcome(), (500, "session_too_large".into()));
    assert!(back.deployment.has_logged("session_too_large: "));
    back.deployment.provider.set().id = Rc::new(|id| id);
    back.assert_next_login_works();
    assert!(back.browser.names().len() > 1, "a large one is split into several cookies");
}

#[test]
fn a_login_ends_the_session_it_replaces_without_revoking_tokens() {
    let deployment = Deployment::new();
    let coordinator = deployment.coordinated();
    let remote_jobs = deployment.instance();
    let old = due(&deployment);
    let mut browser = old.clone();
    let token = deployment.provider.newest();
    assert_eq!(deployment.log_in(&mut browser).status, 302);
    assert_eq!(coordinator.asked(SessionAction::Replace), 1);
    for instance in [&deployment, &remote_jobs] {
        assert_eq!(peek(instance, &old, "/app").outcome(), (401, "token_missing".into()));
        assert_eq!(peek(instance, &browser, "/app").origin_header("x-user"), Some("user-1"));
    }
    assert!(deployment.provider.is_live(&token), "some providers would end the new login, too");
    assert!(deployment.provider.state().revoked.is_empty());
}

#[test]
fn a_login_succeeds_without_a_response_of_the_coordinator() {
    let deployment = Deployment::new();
    let coordinator = deployment.coordinated();
    let mut browser = deployment.logged_in();
    coordinator.behave(Behavior::Silent);
    let before_ms = deployment.elapsed_ms();
    assert_eq!(deployment.log_in(&mut browser).sets(COOKIE), Some(true));
    assert_eq!(deployment.elapsed_ms() - before_ms, 2_000, "it waits for two seconds at most");
    assert!(deployment.has_logged("session_end_not_shared: "));
}

#[test]
fn fifty_concurrent_logins_get_their_own_sessions() {
    let deployment = Deployment::of(&oidc_config());
    deployment.hesitate();
    let backs: Vec<(String, Browser, String)> = (0..50)
        .map(|number| {
            let user = format!("person-{number}");
            deployment.provider.set().user.clone_from(&user);
            let mut browser = Browser::default();
            let callback = deployment.begin(&mut browser, "/login");
            (user, browser, callback)
        })
        .collect();
    let requests = backs.iter().rev().map(|(_, browser, callback)| {
        deployment.answer(Request::get(callback).cookie(&browser.header(deployment.now())))
    });
    let answers = deployment.run_all(requests.collect::<Vec<_>>());
    assert_eq!(deployment.provider.requests(Endpoint::Keys), 1, "the keys are shared");
    for ((user, browser, _), answer) in backs.iter().rev().zip(answers) {
        let mut browser = browser.clone();
        browser.store_cookies(&answer, deployment.now());
        assert_eq!(peek(&deployment, &browser, "/app").origin_header("x-user"), Some(user.as_str()));
    }
}
