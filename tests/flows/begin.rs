//! Beginning a login.

use edgeward::io::Unreachable;
use edgeward::limits;
use serde_json::json;

use crate::support::ISSUER;
use crate::support::browser::{Browser, Request};
use crate::support::host::Delay;
use crate::support::provider::{Endpoint, form};
use crate::support::site::{COOKIE, Site, config, with};
use crate::support::world::{self, json as ok_json};

#[test]
fn a_login_ends_in_a_session_and_leaves_no_trace_of_itself() {
    for site in [Site::new(), Site::discovering()] {
        let mut browser = Browser::default();
        let callback = site.begin(&mut browser, "/login?return_to=/app?page=2");
        assert!(browser.names()[0].starts_with("__Host-edgeward-login-"));
        let response = site.open(&mut browser, &callback);
        assert_eq!((response.status, response.location()), (302, "/app?page=2"));
        assert_eq!(browser.names(), [COOKIE]);
        let app = site.send(&mut browser, Request::get("/app"));
        assert_eq!(app.origin_header("x-user"), Some("user-1"));
        assert_eq!(app.origin_header("x-scope"), Some("read:things write:things"));
        assert_eq!(site.provider.requests(Endpoint::Token), 1);
        assert!(site.lines().is_empty(), "{:?}", site.lines());
    }
}

#[test]
fn a_login_begins_on_the_sites_own_origin_and_is_sent_there_once() {
    let site = Site::discovering();
    let away = Request::get("https://other.example.com/login?return_to=/app").page();
    let response = site.ask(away);
    assert_eq!(response.location(), "https://app.example.com/login?return_to=/app&sent_home=1");
    assert!(response.cookies().is_empty());
    assert_eq!(site.provider.requests(Endpoint::Discovery), 0);
    // A proxy before the gateway changes the host: the browser was at home already.
    let proxied = Request::get("https://other.example.com/login?return_to=/app&sent_home=1").page();
    assert!(site.ask(proxied).location().starts_with("https://tenant.example.com/authorize?"));
    let bare = site.ask(Request::get("https://other.example.com/login").page());
    assert_eq!(bare.location(), "https://app.example.com/login?sent_home=1");
}

#[test]
fn every_login_has_a_state_a_nonce_and_a_challenge_of_its_own() {
    let site = Site::new();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let response = site.ask(Request::get("/login").page());
        let parameters = form(response.location().split_once('?').unwrap().1);
        assert!(["state", "nonce", "code_challenge"].iter().all(|name| seen.insert(parameters[*name].clone())));
    }
}

#[test]
fn parameters_of_the_link_are_passed_on_if_they_are_among_those_that_may() {
    let site = Site::new();
    let link = "/login?connection=c&prompt=login&login_hint=ann%40example.com&screen_hint=signup&organization=org_1\
                &scope=admin&client_id=evil&redirect_uri=https%3A%2F%2Fevil.example&ui_locales=";
    let parameters = form(site.ask(Request::get(link)).location().split_once('?').unwrap().1);
    for (name, value) in [
        ("connection", "c"),
        ("prompt", "login"),
        ("login_hint", "ann@example.com"),
        ("screen_hint", "signup"),
        ("organization", "org_1"),
        ("scope", "openid offline_access"),
        ("client_id", "client-1"),
        ("redirect_uri", "https://app.example.com/callback"),
        ("audience", "https://api.example.com"),
    ] {
        assert_eq!(parameters[name], value, "{name}");
    }
    assert!(!parameters.contains_key("ui_locales"), "it is empty");
    let long = format!("/login?connection={}&connection=c&prompt={}", "c", "p".repeat(257));
    let parameters = form(site.ask(Request::get(&long)).location().split_once('?').unwrap().1);
    assert!(!parameters.contains_key("connection") && !parameters.contains_key("prompt"), "twice, and too long");
}

#[test]
fn the_only_organization_that_may_log_in_is_asked_for() {
    let of = |organizations| with(config(), &json!({ "authorizer": { "organizations": organizations } }));
    let asked = |organizations| {
        let response = Site::of(&of(organizations)).ask(Request::get("/login"));
        form(response.location().split_once('?').unwrap().1).get("organization").cloned()
    };
    assert_eq!(asked(json!(["org_1"])).as_deref(), Some("org_1"));
    assert_eq!(asked(json!(["org_1", "org_2"])), None);
}

#[test]
fn a_browser_has_five_open_logins_and_a_sixth_closes_the_oldest() {
    let site = Site::new();
    let mut browser = Browser::default();
    let mut callbacks = Vec::new();
    for _ in 0..6 {
        callbacks.push(site.begin(&mut browser, "/login"));
        site.sleep_s(1);
    }
    assert_eq!(browser.names().len(), 5);
    let oldest = site.ask(Request::get(&callbacks[0]).cookie(&browser.header(site.now())));
    assert_eq!(oldest.outcome(), (400, "state_invalid".into()));
    for callback in &callbacks[1..] {
        assert_eq!(site.open(&mut browser, callback).status, 302);
    }
    assert_eq!(browser.names(), [COOKIE]);
}

#[test]
fn a_login_whose_provider_is_not_known_says_so_and_begins_as_soon_as_it_is() {
    type Break = fn(&Site);
    let cases: [(&str, Break); 6] = [
        ("discovery_unreachable", |site| site.provider.take_down(Endpoint::Discovery)),
        ("discovery_unreachable", |site| {
            site.provider.answer_next(Endpoint::Discovery, Err(Unreachable::GivenUp));
        }),
        ("discovery_unreachable", |site| site.provider.answer_next(Endpoint::Discovery, Ok(world::status(500)))),
        ("discovery_invalid", |site| site.provider.answer_next(Endpoint::Discovery, Ok(ok_json("[]")))),
        ("discovery_invalid", |site| {
            let html = edgeward::io::Incoming { content_type: Some("text/html".into()), ..ok_json("{}") };
            site.provider.answer_next(Endpoint::Discovery, Ok(html));
        }),
        ("discovery_issuer_mismatch", |site| {
            let elsewhere = json!({ "issuer": "https://evil.example/" }).to_string();
            site.provider.answer_next(Endpoint::Discovery, Ok(ok_json(&elsewhere)));
        }),
    ];
    for (code, breaks) in cases {
        let site = Site::discovering();
        breaks(&site);
        let program = site.ask(Request::get("/login?return_to=/app"));
        assert_eq!(program.outcome(), (502, code.into()));
        assert_eq!(program.header("retry-after"), Some("5"), "{code}");
        assert_eq!(program.json()["login"], "/login", "{code}");
        assert!(program.cookies().is_empty());
        assert!(site.has_logged(&format!("{code}: ")), "{code}");
        let person = site.ask(Request::get("/login?return_to=/app").page());
        assert_eq!(person.status, 502);
        assert!(person.body.contains("/login?return_to=/app") && person.body.contains(code), "{}", person.body);
        site.provider.bring_up();
        site.sleep_s(2);
        assert_eq!(site.ask(Request::get("/login")).status, 302, "{code}");
    }
}

#[test]
fn no_login_begins_without_endpoints_that_are_safe_to_talk_to() {
    for metadata in [
        json!({ "token_endpoint": "http://evil.example/" }),
        json!({ "token_endpoint": null }),
        json!({ "authorization_endpoint": "http://evil.example/" }),
        json!({ "authorization_endpoint": "javascript:alert(1)" }),
        json!({ "authorization_endpoint": null }),
    ] {
        let site = Site::discovering();
        site.provider.set().metadata = metadata;
        assert_eq!(site.ask(Request::get("/login")).outcome(), (502, "discovery_invalid".into()));
    }
}

#[test]
fn a_hundred_cold_logins_share_one_discovery() {
    for delay in [Delay::Millis(0), Delay::Millis(700)] {
        let site = Site::discovering();
        site.hesitate();
        site.delay_answers(&site.provider.url(Endpoint::Discovery), delay);
        let answers = site.run_all((0..100).map(|_| site.answer(Request::get("/login"))));
        assert!(answers.iter().all(|answer| answer.status == 302));
        assert_eq!(site.provider.requests(Endpoint::Discovery), 1);
    }
}

#[test]
fn a_hundred_cold_logins_share_one_failure() {
    let site = Site::discovering();
    site.hesitate();
    site.provider.take_down(Endpoint::Discovery);
    let answers = site.run_all((0..100).map(|_| site.answer(Request::get("/login"))));
    assert!(answers.iter().all(|answer| answer.outcome() == (502, "discovery_unreachable".into())));
    // Once more at once, for the network failed.
    assert_eq!(site.provider.requests(Endpoint::Discovery), 2);
}

#[test]
fn the_discovery_of_a_cancelled_login_goes_on_and_serves_the_next() {
    let site = Site::discovering();
    site.delay_answers(&site.provider.url(Endpoint::Discovery), Delay::Millis(300));
    let mut crowd = site.crowd();
    let first = crowd.start(site.answer(Request::get("/login")));
    crowd.settle();
    crowd.cancel(first);
    let second = crowd.start(site.answer(Request::get("/login")));
    crowd.finish();
    assert_eq!(crowd.output(second).unwrap().status, 302);
    assert_eq!(site.provider.requests(Endpoint::Discovery), 1);
}

#[test]
fn a_discovery_document_that_was_good_serves_while_the_provider_is_down() {
    let site = Site::discovering();
    assert_eq!(site.ask(Request::get("/login")).status, 302);
    site.provider.take_down(Endpoint::Discovery);
    site.sleep_s(2 * 3600);
    assert_eq!(site.ask(Request::get("/login")).status, 302);
    assert_eq!(site.provider.requests(Endpoint::Discovery), 3, "it was asked for again, and once more at once");
}

#[test]
fn who_only_looks_begins_no_login() {
    let site = Site::discovering();
    for (request, status) in [
        (Request::new("HEAD", "/login").page(), 200),
        (Request::get("/login").prefetch(), 400),
        (Request::post("/login").prefetch(), 400),
        (Request::get("/login").script(), 400),
        (Request::get("/login").page().header("sec-fetch-dest", "iframe"), 400),
        (Request::post("/login").header("origin", "https://evil.example").header("sec-fetch-site", "cross-site"), 403),
    ] {
        let response = site.ask(request.clone());
        assert_eq!(response.status, status, "{request:?}");
        assert!(response.cookies().is_empty() && response.header("location").is_none(), "{request:?}");
    }
    assert_eq!(site.provider.requests(Endpoint::Discovery), 0);
    let posted = site.ask(Request::post("/login").script());
    assert!(posted.location().starts_with("https://tenant.example.com/authorize?"));
}

#[test]
fn a_provider_that_moves_its_endpoints_is_followed_within_the_hour() {
    let site = Site::discovering();
    site.ask(Request::get("/login"));
    site.provider.set().metadata = json!({ "authorization_endpoint": "https://tenant.example.com/new" });
    assert!(site.ask(Request::get("/login")).location().starts_with("https://tenant.example.com/authorize?"));
    site.sleep_s(3601);
    assert!(site.ask(Request::get("/login")).location().starts_with("https://tenant.example.com/new?"));
}

#[test]
fn a_document_that_no_login_can_use_takes_no_login_away() {
    let unusable = || Ok(ok_json(&json!({ "issuer": ISSUER, "jwks_uri": format!("{ISSUER}jwks") }).to_string()));
    let begins = |site: &Site| site.ask(Request::get("/login").page()).status == 302;
    let site = Site::discovering();
    assert!(begins(&site));
    site.sleep_s(limits::DISCOVERY_FRESH_S);
    site.provider.answer_next(Endpoint::Discovery, unusable());
    let before = site.provider.requests(Endpoint::Discovery);
    for _ in 0..3 {
        assert!(begins(&site), "the last good endpoints serve");
    }
    assert_eq!(site.provider.requests(Endpoint::Discovery), before + 1, "there is a pause");
    site.sleep_s(1);
    assert!(begins(&site));
    assert_eq!(site.provider.requests(Endpoint::Discovery), before + 2, "and then another try");
    site.sleep_s(1);
    assert!(begins(&site));
    assert_eq!(site.provider.requests(Endpoint::Discovery), before + 2, "a good document is fresh");

    // From the start: the pauses grow, and logins come back by themselves.
    let site = Site::discovering();
    for _ in 0..3 {
        site.provider.answer_next(Endpoint::Discovery, unusable());
    }
    let mut asked = Vec::new();
    for second in 0..12 {
        let before = site.provider.requests(Endpoint::Discovery);
        let answer = site.ask(Request::get("/login").page());
        if site.provider.requests(Endpoint::Discovery) > before {
            asked.push(second);
        }
        assert_eq!(answer.status, if second < 7 { 502 } else { 302 }, "{second}");
        site.sleep_s(1);
    }
    assert_eq!(asked, [0, 1, 3, 7]);
}
