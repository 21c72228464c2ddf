//! The start of a login.

use edgeward::io::Unreachable;
use edgeward::limits;
use serde_json::json;
use support::ISSUER;
use support::browser::{Browser, Request};
use support::deployment::{COOKIE, Deployment, config, with};
use support::host::Delay;
use support::provider::{Endpoint, form};
use support::world::{self, json as ok_json};

#[test]
fn a_login_ends_in_a_session_and_clears_its_own_cookie() {
    for deployment in [Deployment::new(), Deployment::discovering()] {
        let mut browser = Browser::default();
        let callback = deployment.begin(&mut browser, "/login?return_to=/app?page=2");
        assert!(browser.names()[0].starts_with("__Host-edgeward-login-"));
        let response = deployment.open(&mut browser, &callback);
        assert_eq!((response.status, response.location()), (302, "/app?page=2"));
        assert_eq!(browser.names(), [COOKIE]);
        let app = deployment.send(&mut browser, Request::get("/app"));
        assert_eq!(app.origin_header("x-user"), Some("user-1"));
        assert_eq!(app.origin_header("x-scope"), Some("read:things write:things"));
        assert_eq!(deployment.provider.requests(Endpoint::Token), 1);
        assert!(deployment.lines().is_empty(), "{:?}", deployment.lines());
    }
}

#[test]
fn a_login_begins_on_the_gateways_own_origin_after_one_redirect() {
    let deployment = Deployment::discovering();
    let away = Request::get("https://other.example.com/login?return_to=/app").page();
    let response = deployment.fetch(away);
    assert_eq!(response.location(), "https://app.example.com/login?return_to=/app&sent_home=1");
    assert!(response.cookies().is_empty());
    assert_eq!(deployment.provider.requests(Endpoint::Discovery), 0);
    // A proxy before the gateway changes the host: the browser was already redirected.
    let proxied = Request::get("https://other.example.com/login?return_to=/app&sent_home=1").page();
    assert!(deployment.fetch(proxied).location().starts_with("https://tenant.example.com/authorize?"));
    let bare = deployment.fetch(Request::get("https://other.example.com/login").page());
    assert_eq!(bare.location(), "https://app.example.com/login?sent_home=1");
}

#[test]
fn every_login_has_its_own_state_nonce_and_challenge() {
    let deployment = Deployment::new();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let response = deployment.fetch(Request::get("/login").page());
        let parameters = form(response.location().split_once('?').unwrap().1);
        assert!(["state", "nonce", "code_challenge"].iter().all(|name| seen.insert(parameters[*name].clone())));
    }
}

#[test]
fn allowed_parameters_of_the_link_are_forwarded() {
    let deployment = Deployment::new();
    let link = "/login?connection=c&prompt=login&login_hint=ann%40example.com&screen_hint=signup&organization=org_1\
                &scope=admin&client_id=evil&redirect_uri=https%3A%2F%2Fevil.example&ui_locales=";
    let parameters = form(deployment.fetch(Request::get(link)).location().split_once('?').unwrap().1);
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
    let parameters = form(deployment.fetch(Request::get(&long)).location().split_once('?').unwrap().1);
    assert!(!parameters.contains_key("connection") && !parameters.contains_key("prompt"), "twice, and too long");
}

#[test]
fn the_only_allowed_organization_is_requested() {
    let of = |organizations| with(config(), &json!({ "authorizer": { "organizations": organizations } }));
    let asked = |organizations| {
        let response = Deployment::of(&of(organizations)).fetch(Request::get("/login"));
        form(response.location().split_once('?').unwrap().1).get("organization").cloned()
    };
    assert_eq!(asked(json!(["org_1"])).as_deref(), Some("org_1"));
    assert_eq!(asked(json!(["org_1", "org_2"])), None);
}

#[test]
fn a_browser_has_twenty_pending_logins_and_a_further_one_clears_the_oldest() {
    let deployment = Deployment::new();
    let mut browser = Browser::default();
    let mut callbacks = Vec::new();
    for _ in 0..21 {
        callbacks.push(deployment.begin(&mut browser, "/login"));
        deployment.sleep_s(1);
    }
    assert_eq!(browser.names().len(), 20);
    let oldest = deployment.fetch(Request::get(&callbacks[0]).cookie(&browser.header(deployment.now())));
    assert_eq!(oldest.outcome(), (400, "state_invalid".into()));
    for callback in &callbacks[1..] {
        assert_eq!(deployment.open(&mut browser, callback).status, 302);
    }
    assert_eq!(browser.names(), [COOKIE]);
}

#[test]
fn a_login_fails_while_discovery_fails_and_recovers_with_it() {
    type Break = fn(&Deployment);
    let cases: [(&str, Break); 6] = [
        ("discovery_unreachable", |deployment| deployment.provider.take_down(Endpoint::Discovery)),
        ("discovery_unreachable", |deployment| {
            deployment.provider.answer_next(Endpoint::Discovery, Err(Unreachable::GivenUp));
        }),
        ("discovery_unreachable", |deployment| {
            deployment.provider.answer_next(Endpoint::Discovery, Ok(world::status(500)))
        }),
        ("discovery_invalid", |deployment| deployment.provider.answer_next(Endpoint::Discovery, Ok(ok_json("[]")))),
        ("discovery_invalid", |deployment| {
            let html = edgeward::io::Incoming { content_type: Some("text/html".into()), ..ok_json("<html>") };
            deployment.provider.answer_next(Endpoint::Discovery, Ok(html));
        }),
        ("discovery_issuer_mismatch", |deployment| {
            let remote_jobs = json!({ "issuer": "https://evil.example/" }).to_string();
            deployment.provider.answer_next(Endpoint::Discovery, Ok(ok_json(&remote_jobs)));
        }),
    ];
    for (code, breaks) in cases {
        let deployment = Deployment::discovering();
        breaks(&deployment);
        let program = deployment.fetch(Request::get("/login?return_to=/app"));
        assert_eq!(program.outcome(), (502, code.into()));
        assert_eq!(program.header("retry-after"), Some("5"), "{code}");
        assert_eq!(program.json()["login"], "/login", "{code}");
        assert!(program.cookies().is_empty());
        assert!(deployment.has_logged(&format!("{code}: ")), "{code}");
        let person = deployment.fetch(Request::get("/login?return_to=/app").page());
        assert_eq!(person.status, 502);
        assert!(person.body.contains("/login?return_to=/app") && person.body.contains(code), "{}", person.body);
        deployment.provider.bring_up();
        deployment.sleep_s(2);
        assert_eq!(deployment.fetch(Request::get("/login")).status, 302, "{code}");
    }
}

#[test]
fn no_login_begins_without_secure_endpoints() {
    for metadata in [
        json!({ "token_endpoint": "http://evil.example/" }),
        json!({ "token_endpoint": null }),
        json!({ "authorization_endpoint": "http://evil.example/" }),
        json!({ "authorization_endpoint": "javascript:alert(1)" }),
        json!({ "authorization_endpoint": null }),
    ] {
        let deployment = Deployment::discovering();
        deployment.provider.set().metadata = metadata;
        assert_eq!(deployment.fetch(Request::get("/login")).outcome(), (502, "discovery_invalid".into()));
    }
}

#[test]
fn a_hundred_cold_logins_share_one_discovery() {
    for delay in [Delay::Millis(0), Delay::Millis(700)] {
        let deployment = Deployment::discovering();
        deployment.hesitate();
        deployment.delay_answers(&deployment.provider.url(Endpoint::Discovery), delay);
        let answers = deployment.run_all((0..100).map(|_| deployment.answer(Request::get("/login"))));
        assert!(answers.iter().all(|answer| answer.status == 302));
        assert_eq!(deployment.provider.requests(Endpoint::Discovery), 1);
    }
}

#[test]
fn a_hundred_cold_logins_share_one_failure() {
    let deployment = Deployment::discovering();
    deployment.hesitate();
    deployment.provider.take_down(Endpoint::Discovery);
    let answers = deployment.run_all((0..100).map(|_| deployment.answer(Request::get("/login"))));
    assert!(answers.iter().all(|answer| answer.outcome() == (502, "discovery_unreachable".into())));
    // Once more at once, for the network failed.
    assert_eq!(deployment.provider.requests(Endpoint::Discovery), 2);
}

#[test]
fn the_discovery_of_a_cancelled_login_continues_and_serves_the_next() {
    let deployment = Deployment::discovering();
    deployment.delay_answers(&deployment.provider.url(Endpoint::Discovery), Delay::Millis(300));
    let mut tasks = deployment.tasks();
    let first = tasks.start(deployment.answer(Request::get("/login")));
    tasks.settle();
    tasks.cancel(first);
    let second = tasks.start(deployment.answer(Request::get("/login")));
    tasks.finish();
    assert_eq!(tasks.output(second).unwrap().status, 302);
    assert_eq!(deployment.provider.requests(Endpoint::Discovery), 1);
}

#[test]
fn a_valid_discovery_document_is_used_while_the_provider_is_down() {
    let deployment = Deployment::discovering();
    assert_eq!(deployment.fetch(Request::get("/login")).status, 302);
    deployment.provider.take_down(Endpoint::Discovery);
    deployment.sleep_s(2 * 3600);
    assert_eq!(deployment.fetch(Request::get("/login")).status, 302);
    assert_eq!(deployment.provider.requests(Endpoint::Discovery), 3, "requested again, and repeated immediately");
}

#[test]
fn a_prefetch_begins_no_login() {
    let deployment = Deployment::discovering();
    for (request, status) in [
        (Request::new("HEAD", "/login").page(), 200),
        (Request::get("/login").prefetch(), 400),
        (Request::post("/login").prefetch(), 400),
        (Request::get("/login").script(), 400),
        (Request::get("/login").page().header("sec-fetch-dest", "iframe"), 400),
        (Request::post("/login").header("origin", "https://evil.example").header("sec-fetch-site", "cross-site"), 403),
    ] {
        let response = deployment.fetch(request.clone());
        assert_eq!(response.status, status, "{request:?}");
        assert!(response.cookies().is_empty() && response.header("location").is_none(), "{request:?}");
    }
    assert_eq!(deployment.provider.requests(Endpoint::Discovery), 0);
    let posted = deployment.fetch(Request::post("/login").script());
    assert!(posted.location().starts_with("https://tenant.example.com/authorize?"));
}

#[test]
fn moved_endpoints_are_found_within_the_hour() {
    let deployment = Deployment::discovering();
    deployment.fetch(Request::get("/login"));
    deployment.provider.set().metadata = json!({ "authorization_endpoint": "https://tenant.example.com/new" });
    assert!(deployment.fetch(Request::get("/login")).location().starts_with("https://tenant.example.com/authorize?"));
    deployment.sleep_s(3601);
    assert!(deployment.fetch(Request::get("/login")).location().starts_with("https://tenant.example.com/new?"));
}

#[test]
fn a_provider_that_signs_id_tokens_otherwise_is_named_in_the_log() {
    for (advertised, line) in [
        (
            json!(["ES256", "HS256"]),
            Some(
                "algorithms_differ: the provider signs ID tokens with ES256, HS256; authorizer.algorithms accepts RS256",
            ),
        ),
        (json!(["HS256", "RS256"]), None),
        (json!([]), None),
    ] {
        let deployment = Deployment::discovering();
        deployment.provider.set().metadata = json!({ "id_token_signing_alg_values_supported": advertised });
        deployment.fetch(Request::get("/login"));
        assert_eq!(deployment.lines().iter().map(String::as_str).collect::<Vec<_>>(), Vec::from_iter(line));
    }
}

#[test]
fn an_unusable_discovery_document_does_not_stop_logins() {
    let unusable = || Ok(ok_json(&json!({ "issuer": ISSUER, "jwks_uri": format!("{ISSUER}jwks") }).to_string()));
    let begins = |deployment: &Deployment| deployment.fetch(Request::get("/login").page()).status == 302;
    let deployment = Deployment::discovering();
    assert!(begins(&deployment));
    deployment.sleep_s(limits::DISCOVERY_FRESH_S);
    deployment.provider.answer_next(Endpoint::Discovery, unusable());
    let before = deployment.provider.requests(Endpoint::Discovery);
    for _ in 0..3 {
        assert!(begins(&deployment), "the last valid endpoints are used");
    }
    assert_eq!(deployment.provider.requests(Endpoint::Discovery), before + 1, "no retry during the pause");
    deployment.sleep_s(1);
    assert!(begins(&deployment));
    assert_eq!(deployment.provider.requests(Endpoint::Discovery), before + 2, "a retry after the pause");
    deployment.sleep_s(1);
    assert!(begins(&deployment));
    assert_eq!(deployment.provider.requests(Endpoint::Discovery), before + 2, "a valid document is fresh");

    // From the start: the pauses grow, and logins recover on their own.
    let deployment = Deployment::discovering();
    for _ in 0..3 {
        deployment.provider.answer_next(Endpoint::Discovery, unusable());
    }
    let mut asked = Vec::new();
    for second in 0..12 {
        let before = deployment.provider.requests(Endpoint::Discovery);
        let answer = deployment.fetch(Request::get("/login").page());
        if deployment.provider.requests(Endpoint::Discovery) > before {
            asked.push(second);
        }
        assert_eq!(answer.status, if second < 7 { 502 } else { 302 }, "{second}");
        deployment.sleep_s(1);
    }
    assert_eq!(asked, [0, 1, 3, 7]);
}
