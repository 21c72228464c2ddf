//! Refreshes of a session within one instance.

use std::rc::Rc;

use edgeward::io::{Incoming, Unreachable};
use edgeward::session::{Cookies, Session, Tokens};
use serde_json::{Value, json};
use support::browser::{Browser, Request};
use support::deployment::{COOKIE, Deployment, config, with};
use support::host::Jobs;
use support::provider::{CLIENT_SECRET, Endpoint, Fault, refusal};
use support::world::{json as ok_json, status};
use support::{Mint, key_a, key_b};

use crate::{by, due, peek, token_of};

#[test]
fn a_due_access_token_is_refreshed_before_use() {
    let deployment = Deployment::new();
    let mut browser = due(&deployment);
    let before = deployment.session(&browser);
    let answer = deployment.send(&mut browser, Request::get("/token"));
    let after = deployment.session(&browser);
    assert_ne!(after.tokens().access, before.tokens().access);
    assert_ne!(after.tokens().refresh, before.tokens().refresh);
    assert_eq!(answer.origin_header("x-token"), Some(after.tokens().access.as_str()));
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    assert_eq!(after.id(), before.id());
    deployment.sleep_s(3600);
    assert_eq!(deployment.send(&mut browser, Request::get("/token")).sets(COOKIE), Some(true));
    assert_eq!(deployment.provider.refreshes(), 2, "the rotated refresh token was stored and works");
    assert_eq!(deployment.provider.state().reused, 0);
}

#[test]
fn a_token_that_is_not_due_is_not_refreshed() {
    let deployment = Deployment::new();
    let browser = deployment.logged_in();
    deployment.sleep_s(3569);
    assert_eq!(peek(&deployment, &browser, "/app").sets(COOKIE), None);
    assert_eq!(deployment.provider.refreshes(), 0);
}

#[test]
fn a_hundred_requests_of_one_session_make_one_exchange() {
    let deployment = Deployment::new();
    deployment.hesitate();
    let browser = due(&deployment);
    deployment.provider.fault(Endpoint::Token, Fault::Late(700));
    let answers = deployment.run_all((0..100).map(|_| deployment.answer(by(&deployment, &browser, "/token"))));
    assert_eq!(deployment.provider.refreshes(), 1);
    let token = answers[0].origin_header("x-token").unwrap();
    for answer in &answers {
        assert_eq!(answer.origin_header("x-token"), Some(token));
        assert_eq!(answer.sets(COOKIE), Some(true));
    }
}

#[test]
fn requests_of_several_sessions_do_not_share_an_exchange() {
    let deployment = Deployment::new();
    deployment.hesitate();
    let life_s = std::mem::replace(&mut deployment.provider.set().life_s, 60);
    let users: Vec<(String, Browser)> = (0..20)
        .map(|number| {
            let user = format!("person-{number}");
            deployment.provider.set().user.clone_from(&user);
            (user, deployment.logged_in())
        })
        .collect();
    deployment.provider.set().life_s = life_s;
    deployment.sleep_s(40);
    let requests = (0..100).map(|number| deployment.answer(by(&deployment, &users[number % 20].1, "/app")));
    let answers = deployment.run_all(requests.collect::<Vec<_>>());
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer.origin_header("x-user"), Some(users[number % 20].0.as_str()));
    }
    assert_eq!(deployment.provider.refreshes(), 20);
}

#[test]
fn sessions_that_are_refreshed_by_a_cold_instance_share_discovery_and_keys() {
    let deployment = Deployment::discovering();
    deployment.provider.set().life_s = 60;
    let browsers: Vec<Browser> = (0..20).map(|_| deployment.logged_in()).collect();
    deployment.sleep_s(40);
    let cold = deployment.instance();
    cold.hesitate();
    cold.serve_edge(|_| None);
    let before = [Endpoint::Discovery, Endpoint::Keys].map(|endpoint| deployment.provider.requests(endpoint));
    let answers = cold.run_all(browsers.iter().map(|browser| cold.answer(by(&cold, browser, "/app"))));
    assert!(answers.iter().all(|answer| answer.sets(COOKIE) == Some(true)));
    let after = [Endpoint::Discovery, Endpoint::Keys].map(|endpoint| deployment.provider.requests(endpoint));
    assert_eq!(after, before.map(|count| count + 1));
}

#[test]
fn of_several_sessions_in_a_request_the_newest_is_used() {
    let shared = json!({ "session": { "cookie": "__Secure-s", "domain": "example.com" } });
    let deployment = Deployment::of(&with(config(), &shared));
    deployment.provider.set().user = "mallory".into();
    let tossed = deployment.log_in_new_user().value("__Secure-s").unwrap().to_string();
    deployment.sleep_s(1);
    deployment.provider.set().user = "user-1".into();
    let mut browser = Browser::default();
    browser.toss("__Secure-s", &tossed, "app.example.com");
    deployment.log_in(&mut browser);
    assert_eq!(browser.header(deployment.now()).matches("__Secure-s=").count(), 2);
    assert_eq!(deployment.send(&mut browser, Request::get("/app")).origin_header("x-user"), Some("user-1"));
    deployment.sleep_s(3600);
    let answer = deployment.send(&mut browser, Request::get("/app"));
    assert_eq!((answer.origin_header("x-user"), answer.sets("__Secure-s")), (Some("user-1"), Some(true)));
    assert_eq!(deployment.provider.refreshes(), 1);
}

#[test]
fn a_request_with_two_host_cookies_of_one_name_is_anonymous() {
    let deployment = Deployment::new();
    let (mut one, two) = (deployment.logged_in(), deployment.logged_in());
    one.toss(COOKIE, two.value(COOKIE).unwrap(), "example.com");
    assert_eq!(peek(&deployment, &one, "/app").status, 401);
    assert_eq!(peek(&deployment, &one, "/maybe").origin_header("x-user"), None);
}

#[test]
fn a_late_request_with_the_old_cookie_gets_the_outcome_for_a_minute() {
    let deployment = Deployment::new();
    let old = due(&deployment);
    let token = token_of(&deployment, &old);
    deployment.sleep_s(59);
    assert_eq!(token_of(&deployment, &old), token);
    assert_eq!(deployment.provider.refreshes(), 1);
    deployment.sleep_s(2);
    assert_eq!(peek(&deployment, &old, "/app").status, 401, "the provider considers it stolen");
    assert_eq!(deployment.provider.state().reused, 1);
}

#[test]
fn a_late_request_whose_outcome_has_expired_too_refreshes_the_newest_session() {
    let deployment = Deployment::new();
    deployment.provider.set().life_s = 10;
    let old = deployment.logged_in();
    // Clients that do not receive the answers send the old cookie again.
    for round in 1..=3 {
        deployment.sleep_s(16);
        let answer = peek(&deployment, &old, "/token");
        assert_eq!((answer.status, answer.sets(COOKIE)), (200, Some(true)), "{round}: {}", answer.body);
        assert_eq!(deployment.provider.refreshes(), round);
    }
    deployment.provider.fault(Endpoint::Token, Fault::Answer(Ok(status(500))));
    deployment.sleep_s(6);
    let mut browser = old.clone();
    assert_eq!(deployment.send(&mut browser, Request::get("/app")).status, 200);
    assert_eq!(
        deployment.session(&browser).tokens().refresh,
        Some(deployment.provider.newest()),
        "the newest refresh token, although there is no new access token"
    );
    assert_eq!(deployment.provider.state().reused, 0);
}

#[test]
fn tokens_that_are_due_at_once_cause_one_exchange_for_each_request() {
    let deployment = Deployment::new();
    deployment.provider.set().life_s = 0;
    let mut browser = deployment.logged_in();
    for round in 1..=3 {
        deployment.send(&mut browser, Request::get("/app"));
        assert_eq!(deployment.provider.refreshes(), round);
    }
}

#[test]
fn without_rotation_each_due_token_is_refreshed() {
    let deployment = Deployment::new();
    deployment.provider.set().rotates = false;
    deployment.provider.set().life_s = 60;
    let mut browser = deployment.logged_in();
    let refresh = deployment.session(&browser).tokens().refresh.clone();
    for round in 1..=3 {
        deployment.sleep_s(40);
        assert_eq!(deployment.send(&mut browser, Request::get("/app")).sets(COOKIE), Some(true), "{round}");
        assert_eq!(deployment.provider.refreshes(), round);
        assert_eq!(deployment.session(&browser).tokens().refresh, refresh);
    }
}

#[test]
fn without_coordinator_and_overlap_two_instances_trigger_reuse_detection() {
    let deployment = Deployment::new();
    let other = deployment.instance();
    let browser = due(&deployment);
    let requests = [&deployment, &other].map(|instance| instance.answer(by(instance, &browser, "/app")));
    let answers = deployment.run_all(requests);
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 401]);
    assert_eq!((deployment.provider.refreshes(), deployment.provider.state().reused), (2, 1));
}

#[test]
fn without_rotation_two_instances_need_no_coordinator() {
    let deployment = Deployment::new();
    deployment.provider.set().rotates = false;
    let other = deployment.instance();
    let browser = due(&deployment);
    let requests = [&deployment, &other].map(|instance| instance.answer(by(instance, &browser, "/app")));
    assert!(deployment.run_all(requests).iter().all(|answer| answer.status == 200));
    assert_eq!(deployment.provider.refreshes(), 2);
}

/// Failures of the token endpoint that leave the session unchanged.
fn failures() -> Vec<(&'static str, Fault)> {
    let html =
        Incoming { content_type: Some("text/html".into()), body: b"<p>".to_vec(), status: 200, ..Incoming::default() };
    vec![
        ("a server error", Fault::Answer(Ok(status(500)))),
        ("a server error that says invalid_grant", Fault::Answer(Ok(refusal(500, "invalid_grant")))),
        ("too many requests", Fault::Answer(Ok(refusal(429, "slow_down")))),
        ("temporarily_unavailable", Fault::Answer(Ok(refusal(400, "temporarily_unavailable")))),
        ("invalid_client", Fault::Answer(Ok(refusal(401, "invalid_client")))),
        // Of the client, the request or the server (RFC 6749 §5.2, RFC 9449 §5, §8), not of the refresh token.
        ("unauthorized_client", Fault::Answer(Ok(refusal(400, "unauthorized_client")))),
        ("invalid_request", Fault::Answer(Ok(refusal(400, "invalid_request")))),
        ("invalid_scope", Fault::Answer(Ok(refusal(400, "invalid_scope")))),
        ("unsupported_grant_type", Fault::Answer(Ok(refusal(400, "unsupported_grant_type")))),
        ("server_error", Fault::Answer(Ok(refusal(400, "server_error")))),
        ("an error of no standard", Fault::Answer(Ok(refusal(400, "Something Else")))),
        ("access_denied", Fault::Answer(Ok(refusal(403, "access_denied")))),
        // A load balancer or an API gateway during a deployment, and a firewall.
        ("no such page", Fault::Answer(Ok(refusal(404, "Not Found")))),
        ("a firewall", Fault::Answer(Ok(refusal(403, "Forbidden")))),
        ("no such method", Fault::Answer(Ok(refusal(405, "Method Not Allowed")))),
        ("a page that says invalid_grant", Fault::Answer(Ok(refusal(404, "invalid_grant")))),
        ("too many requests that say invalid_grant", Fault::Answer(Ok(refusal(429, "invalid_grant")))),
        ("an unusual status that says invalid_grant", Fault::Answer(Ok(refusal(418, "invalid_grant")))),
        ("HTML", Fault::Answer(Ok(html))),
        ("a redirect", Fault::Answer(Ok(status(302)))),
        ("no access token", Fault::Answer(Ok(ok_json(r#"{"token_type":"Bearer"}"#)))),
        ("no network", Fault::Answer(Err(Unreachable::Network))),
        ("no answer", Fault::Answer(Err(Unreachable::GivenUp))),
    ]
}

#[test]
fn a_session_continues_while_the_provider_returns_no_new_tokens() {
    for (what, fault) in failures() {
        let deployment = Deployment::new();
        let mut browser = due(&deployment);
        let token = deployment.session(&browser).tokens().access.clone();
        deployment.provider.fault(Endpoint::Token, fault);
        let answer = deployment.send(&mut browser, Request::get("/token"));
        assert_eq!(answer.origin_header("x-token"), Some(token.as_str()), "{what}");
        assert_eq!(answer.sets(COOKIE), None, "{what}");
        assert!(deployment.has_logged("refresh_unavailable: https://tenant.example.com/oauth/token "), "{what}");
        // The failure is cached for five seconds.
        deployment.sleep_ms(4_999);
        assert_eq!(token_of(&deployment, &browser), token, "{what}");
        assert_eq!(deployment.provider.refreshes(), 1, "{what}");
        deployment.sleep_ms(1);
        assert_ne!(token_of(&deployment, &browser), token, "{what}");
        assert_eq!(deployment.provider.refreshes(), 2, "{what}");
    }
}

#[test]
fn a_hundred_requests_share_one_failure() {
    let deployment = Deployment::new();
    deployment.hesitate();
    let browser = due(&deployment);
    deployment.provider.take_down(Endpoint::Token);
    let answers = deployment.run_all((0..100).map(|_| deployment.answer(by(&deployment, &browser, "/app"))));
    assert!(answers.iter().all(|answer| answer.origin_header("x-user") == Some("user-1")));
    assert_eq!(deployment.provider.refreshes(), 1);
}

#[test]
fn rights_of_an_expired_token_end_even_if_it_cannot_be_refreshed_and_the_session_continues() {
    let deployment = Deployment::new();
    let browser = due(&deployment);
    deployment.provider.take_down(Endpoint::Token);
    deployment.sleep_s(20);
    assert_eq!(peek(&deployment, &browser, "/app").origin_header("x-user"), Some("user-1"));
    assert_eq!(peek(&deployment, &browser, "/app").origin_header("x-scope"), None);
    assert_eq!(peek(&deployment, &browser, "/things").status, 401);
    assert_eq!(peek(&deployment, &browser, "/token").status, 401);
}

#[test]
fn a_lost_response_is_awaited_once_and_the_next_attempt_ends_the_session() {
    for fault in [Fault::ResponseLost, Fault::BreakOff] {
        let deployment = Deployment::new();
        let mut browser = due(&deployment);
        deployment.provider.fault(Endpoint::Token, fault);
        assert_eq!(deployment.send(&mut browser, Request::get("/app")).status, 200);
        assert_eq!(deployment.provider.refreshes(), 1, "the token is not sent again immediately");
        deployment.sleep_s(5);
        let answer = deployment.send(&mut browser, Request::get("/app"));
        assert_eq!((answer.status, answer.sets(COOKIE)), (401, Some(false)));
        assert_eq!(deployment.provider.state().reused, 1);
    }
}

#[test]
fn a_refused_refresh_token_ends_the_session() {
    // Other errors say nothing about the refresh token (`failures`): a session that ended for them would end for every user at once, as soon as
    // the client is not configured at the provider as before, or while the provider is deployed.
    for (status, error) in [
        (400, "invalid_grant"),
        (401, "invalid_grant"),
        // As Auth0 does.
        (403, "invalid_grant"),
        (400, "interaction_required"),
        (400, "login_required"),
        (400, "consent_required"),
    ] {
        let deployment = Deployment::new();
        let browser = due(&deployment);
        deployment.provider.answer_next(Endpoint::Token, Ok(refusal(status, error)));
        let program = peek(&deployment, &browser, "/app");
        assert_eq!(program.outcome(), (401, "token_missing".into()), "{error}");
        assert_eq!(program.sets(COOKIE), Some(false), "{error}");
        assert_eq!(program.header("cache-control"), Some("private, no-store"));
        let line = format!(
            "session_ended: the provider refused a refresh token: https://tenant.example.com/oauth/token answered {status}, {error}; "
        );
        assert!(deployment.has_logged(&line), "{:?}", deployment.lines());
        // It is cached: no further request to the provider.
        let person = deployment.fetch(by(&deployment, &browser, "/app").page());
        assert_eq!(person.location(), "https://app.example.com/login?return_to=%2Fapp");
        assert_eq!(person.sets(COOKIE), Some(false));
        assert_eq!(deployment.provider.refreshes(), 1, "{error}");
    }
}

#[test]
fn on_an_optional_route_an_ended_session_is_anonymous() {
    let deployment = Deployment::new();
    let mut browser = due(&deployment);
    deployment.provider.end_all();
    let answer = deployment.send(&mut browser, Request::get("/maybe").header("x-user", "admin"));
    assert_eq!((answer.status, answer.origin_header("x-user")), (200, None));
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    assert_eq!(answer.sets(COOKIE), Some(false));
    assert!(browser.names().is_empty());
}

#[test]
fn a_prefetch_clears_no_cookie() {
    let deployment = Deployment::new();
    let browser = due(&deployment);
    deployment.provider.end_all();
    for target in ["/app", "/maybe"] {
        assert_eq!(deployment.fetch(by(&deployment, &browser, target).prefetch()).sets(COOKIE), None, "{target}");
        let head = Request::new("HEAD", target).cookie(&browser.header(deployment.now()));
        assert_eq!(deployment.fetch(head).sets(COOKIE), None, "{target}");
    }
    assert_eq!(peek(&deployment, &browser, "/app").sets(COOKIE), Some(false));
}

#[test]
fn a_refresh_continues_when_its_request_is_cancelled_and_the_next_request_finds_it() {
    let deployment = Deployment::new();
    let browser = due(&deployment);
    deployment.provider.fault(Endpoint::Token, Fault::Late(900));
    let mut tasks = deployment.tasks();
    let first = tasks.start(deployment.answer(by(&deployment, &browser, "/token")));
    tasks.settle();
    tasks.cancel(first);
    let second = tasks.start(deployment.answer(by(&deployment, &browser, "/token")));
    tasks.finish();
    assert_eq!(tasks.output(second).unwrap().sets(COOKIE), Some(true));
    drop(tasks);
    assert_eq!(deployment.provider.refreshes(), 1);
    token_of(&deployment, &browser);
    assert_eq!((deployment.provider.refreshes(), deployment.provider.state().reused), (1, 0));
}

#[test]
fn a_refresh_of_a_frozen_instance_is_abandoned_after_a_minute() {
    let deployment = Deployment::new();
    let browser = due(&deployment);
    deployment.jobs(Jobs::Lose);
    let mut tasks = deployment.tasks();
    let lost = tasks.start(deployment.answer(by(&deployment, &browser, "/app")));
    tasks.settle();
    tasks.cancel(lost);
    drop(tasks);
    deployment.jobs(Jobs::Run);
    // Others wait as long as an exchange may take, then continue with the current tokens.
    let before_ms = deployment.elapsed_ms();
    assert_eq!(peek(&deployment, &browser, "/app").sets(COOKIE), None);
    assert_eq!(deployment.elapsed_ms() - before_ms, 15_000);
    deployment.sleep_s(45);
    assert_eq!(peek(&deployment, &browser, "/app").sets(COOKIE), Some(true));
    assert_eq!(deployment.provider.refreshes(), 1);
}

#[test]
fn a_logout_during_a_refresh_does_not_wait_and_the_new_tokens_are_revoked() {
    let deployment = Deployment::new();
    let browser = due(&deployment);
    deployment.provider.fault(Endpoint::Token, Fault::Late(1500));
    let mut tasks = deployment.tasks();
    let refreshing = tasks.start(deployment.answer(by(&deployment, &browser, "/app")));
    tasks.settle();
    let logout = tasks.start(deployment.answer(by(&deployment, &browser, "/logout").page()));
    tasks.settle();
    assert_eq!(tasks.output(logout).unwrap().status, 302);
    tasks.finish();
    let late = tasks.output(refreshing).unwrap();
    assert_eq!((late.status, late.sets(COOKIE)), (401, None));
    drop(tasks);
    deployment.sleep_s(1);
    let newest = deployment.provider.newest();
    assert!(deployment.provider.state().revoked.contains(&newest), "the discarded token");
    assert_eq!(peek(&deployment, &browser, "/app").status, 401);
    assert_eq!(deployment.provider.refreshes(), 1);
}

#[test]
fn a_login_that_replaces_a_session_during_a_refresh_revokes_nothing() {
    let deployment = Deployment::new();
    let browser = due(&deployment);
    let mut next = browser.clone();
    let callback = deployment.begin(&mut next, "/login");
    deployment.provider.fault(Endpoint::Token, Fault::Late(1500));
    let mut tasks = deployment.tasks();
    let refreshing = tasks.start(deployment.answer(by(&deployment, &browser, "/app")));
    tasks.settle();
    let login = tasks.start(deployment.answer(by(&deployment, &next, &callback).page()));
    tasks.settle();
    assert_eq!(tasks.output(login).unwrap().sets(COOKIE), Some(true));
    tasks.finish();
    let late = tasks.output(refreshing).unwrap();
    assert_eq!((late.status, late.sets(COOKIE)), (401, None), "the browser may hold the new cookie by now");
    drop(tasks);
    deployment.sleep_s(1);
    assert!(deployment.provider.state().revoked.is_empty(), "some providers would end the new login, too");
}

#[test]
fn a_full_coordinator_leaves_sessions_unchanged() {
    let deployment = Deployment::new();
    let sessions = deployment.sessions();
    let claims = deployment.session(&deployment.logged_in()).claims().clone();
    let now_s = deployment.now().secs();
    let cookie = |number: usize| {
        let tokens = Tokens {
            access: "opaque".into(),
            access_obtained_s: now_s - 40,
            access_expires_s: now_s + 20,
            refresh: Some(format!("refresh-{number}")),
            ..Tokens::default()
        };
        let session = Session::new(format!("session-{number}"), claims.clone(), tokens, deployment.now());
        let lines =
            sessions.to_cookies(&session, &Cookies::default(), "app.example.com", &[7; 24], deployment.now()).unwrap();
        lines[0].split(';').next().unwrap().to_string()
    };
    deployment.jobs(Jobs::Hold);
    let mut tasks = deployment.tasks();
    for number in 0..1024 {
        tasks.start(deployment.answer(Request::get("/app").cookie(&cookie(number))));
    }
    tasks.settle();
    let one_more = tasks.start(deployment.answer(Request::get("/app").cookie(&cookie(1024))));
    tasks.settle();
    assert_eq!(
        tasks.output(one_more).unwrap().origin_header("x-user"),
        Some("user-1"),
        "immediately, with the current tokens"
    );
    assert_eq!(deployment.open_jobs(), 1024);
    drop(tasks);
    deployment.kill_jobs();
}

#[test]
fn a_refresh_token_is_sent_again_with_the_next_secret_if_the_client_was_refused() {
    let secrets = json!({ "authorizer": { "client_secret": ["an old secret of the client", CLIENT_SECRET] } });
    let deployment = Deployment::of(&with(config(), &secrets));
    let mut browser = due(&deployment);
    assert_eq!(deployment.send(&mut browser, Request::get("/app")).sets(COOKIE), Some(true));
    let exchanges = deployment.provider.state().exchanges.clone();
    assert_eq!(exchanges.len(), 4);
    assert_eq!(exchanges[2]["refresh_token"], exchanges[3]["refresh_token"]);
    assert!(!exchanges[3].contains_key("scope"), "the granted scope stays unchanged");
}

#[test]
fn a_refresh_needs_the_providers_endpoints() {
    let deployment = Deployment::discovering();
    let browser = due(&deployment);
    let cold = deployment.instance();
    deployment.provider.take_down(Endpoint::Discovery);
    assert_eq!(peek(&cold, &browser, "/app").sets(COOKIE), None);
    assert_eq!(deployment.provider.refreshes(), 0);
    deployment.provider.bring_up();
    deployment.sleep_s(6);
    assert_eq!(peek(&cold, &browser, "/app").sets(COOKIE), Some(true));
}

#[test]
fn an_id_token_of_another_login_ends_the_session_and_the_new_refresh_token_is_revoked() {
    for (claim, value) in [("sub", "user-2"), ("nonce", "other")] {
        let deployment = Deployment::new();
        let mut browser = due(&deployment);
        deployment.provider.set().id = Rc::new(move |id| id.claim(claim, value));
        let answer = deployment.send(&mut browser, Request::get("/app"));
        assert_eq!((answer.status, answer.sets(COOKIE)), (401, Some(false)), "{claim}");
        let line = format!("id_token_invalid: its claim \"{claim}\" is not that of the login; the session ends");
        assert!(deployment.has_logged(&line), "{:?}", deployment.lines());
        assert_eq!(deployment.provider.state().revoked, [deployment.provider.newest()]);
    }
}

/// Until it kept the new refresh token, the session ended, because the old one was used.
#[test]
fn beside_a_refused_id_token_only_the_new_refresh_token_is_used() {
    type Alter = fn(Mint) -> Mint;
    let cases: [(&str, Alter); 6] = [
        ("at_hash_mismatch", |id| id.claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA")),
        ("issuer_mismatch", |id| id.claim("iss", "https://evil.example/")),
        ("audience_mismatch", |id| id.claim("aud", "other")),
        ("token_expired", |id| id.claim("exp", 1_000_000_000)),
        ("token_issued_in_future", |id| id.claim("iat", 4_000_000_000_u64)),
        ("signature_invalid", |id| id.signed_by(key_b())),
    ];
    for (code, alter) in cases {
        for rotates in [true, false] {
            let deployment = Deployment::new();
            deployment.provider.set().rotates = rotates;
            let mut browser = due(&deployment);
            let before = deployment.session(&browser);
            let good = std::mem::replace(&mut deployment.provider.set().id, Rc::new(alter));
            deployment.provider.set().user = "user-2".into();
            let answer = deployment.send(&mut browser, Request::get("/app"));
            assert_eq!((answer.status, answer.origin_header("x-user")), (200, Some("user-1")), "{code}");
            assert!(deployment.has_logged(&format!("id_token_invalid: {code}")), "{:?}", deployment.lines());
            let after = deployment.session(&browser);
            assert_eq!(after.tokens().access, before.tokens().access, "{code}");
            assert_eq!(after.claims().as_json(), before.claims().as_json(), "{code}");
            assert_eq!(after.tokens().refresh, Some(deployment.provider.newest()), "{code}");
            assert_eq!(deployment.provider.state().revoked.len(), 0);
            // The next attempt waits for five seconds, and uses it.
            deployment.provider.set().id = good;
            deployment.send(&mut browser, Request::get("/app"));
            assert_eq!(deployment.provider.refreshes(), 1, "{code}");
            deployment.sleep_s(5);
            deployment.send(&mut browser, Request::get("/app"));
            assert_ne!(deployment.session(&browser).tokens().access, before.tokens().access, "{code}");
            assert_eq!((deployment.provider.refreshes(), deployment.provider.state().reused), (2, 0), "{code}");
        }
    }
}

#[test]
fn a_new_refresh_token_beside_an_unusable_access_token_is_used() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 5] = [
        (" without access_token", |body| body["access_token"] = json!("")),
        (" without access_token", |body| body["access_token"] = json!(null)),
        (" without access_token", |body| body["access_token"] = json!("a\nb")),
        (" without token_type Bearer", |body| body["token_type"] = json!("DPoP")),
        (" without token_type Bearer", |body| body["token_type"] = json!(7)),
    ];
    for (lacks, change) in cases {
        for by_coordinator in [false, true] {
            let deployment = Deployment::new();
            let _coordinator = by_coordinator.then(|| deployment.coordinated());
            let mut browser = due(&deployment);
            let before = deployment.session(&browser).tokens().clone();
            deployment.provider.fault(Endpoint::Token, Fault::Change(Box::new(change)));
            assert_eq!(deployment.send(&mut browser, Request::get("/app")).status, 200, "{lacks}");
            let line = format!("refresh_unavailable: https://tenant.example.com/oauth/token answered 200{lacks}; ");
            assert!(deployment.has_logged(&line), "{:?}", deployment.lines());
            let after = deployment.session(&browser).tokens().clone();
            assert_eq!(after.refresh, Some(deployment.provider.newest()), "{lacks}");
            assert_eq!((&after.access, &after.id), (&before.access, &before.id), "{lacks}");
            deployment.send(&mut browser, Request::get("/app"));
            assert_eq!(deployment.provider.refreshes(), 1, "{lacks}");
            deployment.sleep_s(5);
            deployment.send(&mut browser, Request::get("/app"));
            assert_ne!(deployment.session(&browser).tokens().access, before.access, "{lacks}");
            assert_eq!(deployment.provider.state().reused, 0, "{lacks}");
        }
    }
}

#[test]
fn the_refresh_route_reports_tokens_that_could_not_be_used_and_stores_the_new_refresh_token() {
    let deployment = Deployment::new();
    let mut browser = deployment.logged_in();
    deployment.provider.fault(Endpoint::Token, Fault::Change(Box::new(|body| body["access_token"] = json!(""))));
    let answer = deployment.send(&mut browser, Request::post("/refresh"));
    assert_eq!((answer.outcome(), answer.sets(COOKIE)), ((502, "refresh_unavailable".into()), Some(true)));
    assert_eq!(deployment.session(&browser).tokens().refresh, Some(deployment.provider.newest()));
    deployment.sleep_s(5);
    assert_eq!(deployment.send(&mut browser, Request::post("/refresh")).status, 200);
    assert_eq!(deployment.provider.state().reused, 0);
}

#[test]
fn empty_texts_of_a_response_are_absent_and_the_type_is_the_former_one() {
    let deployment = Deployment::new();
    deployment.provider.set().rotates = false;
    let mut browser = due(&deployment);
    let before = deployment.session(&browser);
    let change = |body: &mut Value| {
        for name in ["id_token", "refresh_token", "scope", "token_type", "error"] {
            body[name] = json!("");
        }
    };
    deployment.provider.fault(Endpoint::Token, Fault::Change(Box::new(change)));
    deployment.send(&mut browser, Request::get("/app"));
    let after = deployment.session(&browser);
    assert_ne!(after.tokens().access, before.tokens().access);
    assert_eq!((&after.tokens().refresh, &after.tokens().id), (&before.tokens().refresh, &before.tokens().id));
    assert_eq!(after.claims().as_json(), before.claims().as_json());

    deployment.provider.set().answer = Rc::new(|body| body["refresh_token"] = json!(""));
    let without = deployment.logged_in();
    assert_eq!(deployment.session(&without).tokens().refresh, None);
}

#[test]
fn tokens_too_large_for_cookies_are_not_used_but_the_new_refresh_token_is() {
    let deployment = Deployment::new();
    let mut browser = due(&deployment);
    let before = deployment.session(&browser).tokens().clone();
    let good = std::mem::replace(&mut deployment.provider.set().access, Rc::new(|_| "a".repeat(16_000)));
    deployment.provider.set().id = Rc::new(|id| id.claim("groups", vec!["a group of this user"; 300]));
    assert_eq!(deployment.send(&mut browser, Request::get("/app")).status, 200);
    assert!(deployment.has_logged("session_too_large: "), "{:?}", deployment.lines());
    let after = deployment.session(&browser).tokens().clone();
    assert_eq!((after.access, after.refresh), (before.access, Some(deployment.provider.newest())));
    deployment.provider.set().access = good;
    deployment.sleep_s(5);
    deployment.send(&mut browser, Request::get("/app"));
    assert_eq!((deployment.provider.refreshes(), deployment.provider.state().reused), (2, 0));
}

#[test]
fn an_unverifiable_id_token_is_ignored_and_the_new_tokens_are_stored() {
    let deployment = Deployment::new();
    let mut browser = due(&deployment);
    let before = deployment.session(&browser);
    deployment.provider.set().id = Rc::new(|id| id.claim("name", "Mallory").header("kid", "new"));
    deployment.send(&mut browser, Request::get("/app"));
    let after = deployment.session(&browser);
    assert_ne!(after.tokens().access, before.tokens().access);
    assert_eq!(after.tokens().id, before.tokens().id);
    assert_eq!(after.claims().as_json(), before.claims().as_json());
}

#[test]
fn a_refreshed_id_token_updates_the_users_claims() {
    let deployment = Deployment::new();
    let mut browser = due(&deployment);
    deployment.provider.set().id = Rc::new(|id| id.claim("name", "Ann Other"));
    deployment.send(&mut browser, Request::get("/app"));
    let name = deployment.session(&browser).claims().get("name").map(|name| name.to_json());
    assert_eq!(name.as_deref(), Some("\"Ann Other\""));
}

#[test]
fn a_refreshed_access_token_of_another_subject_grants_nothing_and_the_session_continues() {
    let deployment = Deployment::new();
    let mut browser = due(&deployment);
    deployment.provider.set().access = Rc::new(|access| access.claim("sub", "user-2").text());
    let answer = deployment.send(&mut browser, Request::get("/app"));
    assert_eq!((answer.origin_header("x-user"), answer.origin_header("x-scope")), (Some("user-1"), None));
    assert_eq!(peek(&deployment, &browser, "/things").status, 403);
    assert!(deployment.has_logged("access_token_unusable: its claim \"sub\" is not equal"));
}

#[test]
fn rights_of_an_unverified_token_are_unknown_until_there_are_keys() {
    let deployment = Deployment::new();
    deployment.serve_edge(|_| None);
    let mut browser = due(&deployment);
    let cold = deployment.instance();
    deployment.provider.take_down(Endpoint::Keys);
    // Earlier rights stay valid until their own expiry, for 20 s more.
    assert_eq!(cold.send(&mut browser, Request::get("/things")).status, 200);
    assert!(deployment.session(&browser).has_unverified_access_token());
    deployment.sleep_s(21);
    let answer = cold.send(&mut browser, Request::get("/things"));
    assert_eq!(answer.outcome(), (503, "jwks_unreachable".into()));
    assert!(answer.header("retry-after").is_some());
    assert_eq!(cold.send(&mut browser, Request::get("/app")).origin_header("x-user"), Some("user-1"));
    deployment.provider.bring_up();
    deployment.sleep_s(31);
    assert_eq!(cold.send(&mut browser, Request::get("/things")).status, 200);
    assert!(!deployment.session(&browser).has_unverified_access_token());
    assert_eq!(deployment.provider.refreshes(), 1);
}

#[test]
fn a_token_with_an_unpublished_key_is_verified_again_until_it_is_published() {
    let deployment = Deployment::new();
    let mut browser = due(&deployment);
    deployment.provider.set().access = Rc::new(|access| access.header("kid", key_b().kid).signed_by(key_b()).text());
    assert_eq!(deployment.send(&mut browser, Request::get("/things")).status, 403);
    assert!(deployment.session(&browser).has_unverified_access_token());
    deployment.provider.set().published = vec![key_a().jwk(), key_b().jwk()];
    deployment.sleep_s(31);
    assert_eq!(deployment.send(&mut browser, Request::get("/things")).status, 200);
    assert!(!deployment.session(&browser).has_unverified_access_token());
}

#[test]
fn the_cookie_of_a_session_in_use_is_rewritten() {
    let deployment = Deployment::new();
    deployment.provider.set().life_s = 100_000;
    let mut browser = deployment.logged_in();
    deployment.sleep_s(8_639);
    assert_eq!(deployment.send(&mut browser, Request::get("/app")).sets(COOKIE), None);
    deployment.sleep_s(1);
    let answer = deployment.send(&mut browser, Request::get("/app"));
    assert_eq!((answer.sets(COOKIE), answer.header("cache-control")), (Some(true), Some("private, no-store")));
    assert_eq!(deployment.provider.refreshes(), 0);
}

// The refresh route.

#[test]
fn the_refresh_route_refreshes_tokens_of_any_age() {
    let deployment = Deployment::new();
    let mut browser = deployment.logged_in();
    for round in 1..=2 {
        let answer = deployment.send(&mut browser, Request::post("/refresh"));
        assert_eq!((answer.status, answer.json()), (200, json!({ "expires_in": 3600 })), "no token leaves the cookie");
        assert_eq!(answer.header("cache-control"), Some("private, no-store"));
        assert_eq!(deployment.provider.refreshes(), round, "with the rotated token");
    }
    let mut due = due(&deployment);
    deployment.send(&mut due, Request::post("/refresh"));
    assert_eq!(deployment.provider.refreshes(), 3, "nothing refreshes before the route does");
}

#[test]
fn the_refresh_routes_cookie_wins_over_a_rewritten_one() {
    let deployment = Deployment::new();
    deployment.provider.set().life_s = 100_000;
    let mut browser = deployment.logged_in();
    deployment.sleep_s(9_000);
    let answer = deployment.send(&mut browser, Request::post("/refresh"));
    assert_eq!(answer.cookies().len(), 1);
    assert_eq!(deployment.session(&browser).tokens().refresh.as_deref(), Some(deployment.provider.newest().as_str()));
}

#[test]
fn the_refresh_route_requires_a_session() {
    let deployment = Deployment::new();
    let browser = deployment.logged_in();
    let token = deployment.session(&browser).tokens().access.clone();
    for (request, expected) in [
        (by(&deployment, &browser, "/refresh?refresh_token=abc"), (400, "invalid_request")),
        (by(&deployment, &browser, "/refresh?refresh%5Ftoken=abc"), (400, "invalid_request")),
        (Request::post("/refresh").bearer(&token), (400, "no_session")),
        (Request::post("/refresh"), (401, "token_missing")),
        (
            Request::post("/refresh")
                .cookie(&browser.header(deployment.now()))
                .header("origin", "https://evil.example"),
            (403, "cross_site_request"),
        ),
    ] {
        let (status, code) = deployment.fetch(request.clone()).outcome();
        assert_eq!((status, code.as_str()), expected, "{request:?}");
    }
    assert_eq!(deployment.provider.refreshes(), 0);
}

#[test]
fn the_refresh_route_reports_the_outcome() {
    let deployment = Deployment::new();
    deployment.provider.set().refreshes = false;
    let without = deployment.logged_in();
    assert_eq!(peek(&deployment, &without, "/refresh").outcome(), (400, "no_refresh_token".into()));
    deployment.provider.set().refreshes = true;
    let mut browser = deployment.logged_in();
    deployment.provider.take_down(Endpoint::Token);
    let down = deployment.send(&mut browser, Request::post("/refresh"));
    assert_eq!((down.outcome(), down.sets(COOKIE)), ((502, "refresh_unavailable".into()), None));
    deployment.provider.bring_up();
    deployment.provider.end_all();
    deployment.sleep_s(5);
    let ended = deployment.send(&mut browser, Request::post("/refresh"));
    assert_eq!((ended.outcome(), ended.sets(COOKIE)), ((401, "session_ended".into()), Some(false)));
    assert_eq!(ended.header("cache-control"), Some("private, no-store"));
}

#[test]
fn the_users_address_is_forwarded_if_configured() {
    for (forwards, expected) in [(json!(true), Some("192.0.2.7")), (json!(false), None), (Value::Null, None)] {
        let mut config = config();
        if !forwards.is_null() {
            config["authorizer"]["forward_client_ip"] = forwards;
        }
        let deployment = Deployment::of(&config);
        let browser = due(&deployment);
        deployment.fetch(by(&deployment, &browser, "/app").header("cf-connecting-ip", "192.0.2.7"));
        let seen = deployment.seen();
        let sent = seen.sent.iter().rfind(|sent| sent.request.url.ends_with("/oauth/token")).unwrap();
        let address = sent.request.headers.iter().find(|(name, _)| *name == "auth0-forwarded-for");
        assert_eq!(address.map(|(_, value)| value.as_str()), expected);
    }
}

#[test]
fn without_a_coordinator_a_late_response_does_not_bring_back_a_used_refresh_token() {
    // After a minute, the instance has forgotten the refresh, and a rewritten cookie can wait.
    for (origin_ms, expected) in [(10_000, Some(true)), (200_000, None)] {
        let deployment = Deployment::new();
        deployment.provider.set().life_s = 9_060;
        let mut browser = deployment.logged_in();
        // The cookie is due to be rewritten, and a little later the access token is due for refresh.
        deployment.sleep_s(9_029);
        deployment.origin_ms.set(origin_ms);
        let mut tasks = deployment.tasks();
        let late = tasks.start(deployment.answer(by(&deployment, &browser, "/app")));
        tasks.elapse_ms(1_000);
        deployment.origin_ms.set(0);
        assert_eq!(deployment.open(&mut browser, "/app").sets(COOKIE), Some(true));
        assert_eq!(deployment.provider.refreshes(), 1);
        tasks.elapse_ms(150_000);
        // Others make it forget.
        peek(&deployment, &due(&deployment), "/app");
        tasks.finish();
        let late = tasks.output(late).unwrap();
        assert_eq!((late.status, late.sets(COOKIE)), (200, expected));
        browser.store_cookies(late, deployment.now());
        let newest = deployment.session(&browser);
        assert!(deployment.provider.is_live(newest.tokens().refresh.as_deref().unwrap()));
        deployment.sleep_s(10_000);
        assert_eq!(peek(&deployment, &browser, "/app").status, 200);
        assert_eq!(deployment.provider.state().reused, 0);
    }
}

#[test]
fn a_late_response_does_not_clear_the_session_of_a_new_login() {
    for (origin_ms, clears) in [(99, Some(false)), (100, None)] {
        let deployment = Deployment::new();
        let mut browser = due(&deployment);
        deployment.provider.end_all();
        deployment.origin_ms.set(origin_ms);
        let mut tasks = deployment.tasks();
        let late = tasks.start(deployment.answer(by(&deployment, &browser, "/maybe")));
        tasks.settle();
        // Another instance logs the user in again.
        assert_eq!(deployment.instance().log_in(&mut browser).sets(COOKIE), Some(true));
        tasks.finish();
        let late = tasks.output(late).unwrap();
        assert_eq!((late.origin_header("x-user"), late.sets(COOKIE)), (None, clears));
    }
}
