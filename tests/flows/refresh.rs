//! New tokens for a session, within one instance.

use std::rc::Rc;

use edgeward::io::{Incoming, Unreachable};
use edgeward::session::{Cookies, Session, Tokens};
use serde_json::{Value, json};

use crate::support::browser::{Browser, Request};
use crate::support::host::Jobs;
use crate::support::provider::{CLIENT_SECRET, Endpoint, Fault, refusal};
use crate::support::site::{COOKIE, Site, config, with};
use crate::support::world::{json as ok_json, status};
use crate::support::{CLIENT, Mint, key_a, key_b};
use crate::{by, due, peek, token_of};

#[test]
fn an_access_token_that_is_due_is_replaced_before_it_is_used() {
    let site = Site::new();
    let mut browser = due(&site);
    let before = site.session(&browser);
    let answer = site.send(&mut browser, Request::get("/token"));
    let after = site.session(&browser);
    assert_ne!(after.tokens().access, before.tokens().access);
    assert_ne!(after.tokens().refresh, before.tokens().refresh);
    assert_eq!(answer.origin_header("x-token"), Some(after.tokens().access.as_str()));
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    assert_eq!(after.id(), before.id());
    site.sleep_s(3600);
    assert_eq!(site.send(&mut browser, Request::get("/token")).sets(COOKIE), Some(true));
    assert_eq!(site.provider.refreshes(), 2, "the rotated refresh token was kept: it works, too");
    assert_eq!(site.provider.state().reused, 0);
}

#[test]
fn a_token_that_is_not_due_is_left_alone() {
    let site = Site::new();
    let browser = site.logged_in();
    site.sleep_s(3569);
    assert_eq!(peek(&site, &browser, "/app").sets(COOKIE), None);
    assert_eq!(site.provider.refreshes(), 0);
}

#[test]
fn a_hundred_requests_of_one_session_make_one_exchange() {
    let site = Site::new();
    site.hesitate();
    let browser = due(&site);
    site.provider.fault(Endpoint::Token, Fault::Late(700));
    let answers = site.run_all((0..100).map(|_| site.answer(by(&site, &browser, "/token"))));
    assert_eq!(site.provider.refreshes(), 1);
    let token = answers[0].origin_header("x-token").unwrap();
    for answer in &answers {
        assert_eq!(answer.origin_header("x-token"), Some(token));
        assert_eq!(answer.sets(COOKIE), Some(true));
    }
}

#[test]
fn requests_of_several_sessions_do_not_share_an_exchange() {
    let site = Site::new();
    site.hesitate();
    let life_s = std::mem::replace(&mut site.provider.set().life_s, 60);
    let people: Vec<(String, Browser)> = (0..20)
        .map(|number| {
            let user = format!("person-{number}");
            site.provider.set().user.clone_from(&user);
            (user, site.logged_in())
        })
        .collect();
    site.provider.set().life_s = life_s;
    site.sleep_s(40);
    let requests = (0..100).map(|number| site.answer(by(&site, &people[number % 20].1, "/app")));
    let answers = site.run_all(requests.collect::<Vec<_>>());
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer.origin_header("x-user"), Some(people[number % 20].0.as_str()));
    }
    assert_eq!(site.provider.refreshes(), 20);
}

#[test]
fn sessions_that_are_refreshed_by_a_cold_instance_share_discovery_and_keys() {
    let site = Site::discovering();
    site.provider.set().life_s = 60;
    let browsers: Vec<Browser> = (0..20).map(|_| site.logged_in()).collect();
    site.sleep_s(40);
    let cold = site.instance();
    cold.hesitate();
    cold.serve_edge(|_| None);
    let before = [Endpoint::Discovery, Endpoint::Keys].map(|endpoint| site.provider.requests(endpoint));
    let answers = cold.run_all(browsers.iter().map(|browser| cold.answer(by(&cold, browser, "/app"))));
    assert!(answers.iter().all(|answer| answer.sets(COOKIE) == Some(true)));
    let after = [Endpoint::Discovery, Endpoint::Keys].map(|endpoint| site.provider.requests(endpoint));
    assert_eq!(after, before.map(|count| count + 1));
}

#[test]
fn of_several_sessions_in_a_request_the_newest_counts() {
    let shared = json!({ "session": { "cookie": "__Secure-s", "domain": "example.com" } });
    let site = Site::of(&with(config(), &shared));
    site.provider.set().user = "mallory".into();
    let tossed = site.log_in_apart().value("__Secure-s").unwrap().to_string();
    site.sleep_s(1);
    site.provider.set().user = "user-1".into();
    let mut browser = Browser::default();
    browser.toss("__Secure-s", &tossed, "app.example.com");
    site.log_in_with(&mut browser);
    assert_eq!(browser.header(site.now()).matches("__Secure-s=").count(), 2);
    assert_eq!(site.send(&mut browser, Request::get("/app")).origin_header("x-user"), Some("user-1"));
    site.sleep_s(3600);
    let answer = site.send(&mut browser, Request::get("/app"));
    assert_eq!((answer.origin_header("x-user"), answer.sets("__Secure-s")), (Some("user-1"), Some(true)));
    assert_eq!(site.provider.refreshes(), 1);
}

#[test]
fn no_browser_keeps_two_cookies_of_a_name_for_one_host_so_such_a_request_is_nobodys() {
    let site = Site::new();
    let (mut one, two) = (site.logged_in(), site.logged_in());
    one.toss(COOKIE, two.value(COOKIE).unwrap(), "example.com");
    assert_eq!(peek(&site, &one, "/app").status, 401);
    assert_eq!(peek(&site, &one, "/maybe").origin_header("x-user"), None);
}

#[test]
fn a_straggler_with_the_old_cookie_gets_what_came_of_it_for_a_minute() {
    let site = Site::new();
    let old = due(&site);
    let token = token_of(&site, &old);
    site.sleep_s(59);
    assert_eq!(token_of(&site, &old), token);
    assert_eq!(site.provider.refreshes(), 1);
    site.sleep_s(2);
    assert_eq!(peek(&site, &old, "/app").status, 401, "to the provider it looks like a stolen one");
    assert_eq!(site.provider.state().reused, 1);
}

#[test]
fn a_provider_that_does_not_rotate_is_asked_whenever_a_token_is_due() {
    let site = Site::new();
    site.provider.set().rotates = false;
    site.provider.set().life_s = 60;
    let mut browser = site.logged_in();
    let refresh = site.session(&browser).tokens().refresh.clone();
    for round in 1..=3 {
        site.sleep_s(40);
        assert_eq!(site.send(&mut browser, Request::get("/app")).sets(COOKIE), Some(true), "{round}");
        assert_eq!(site.provider.refreshes(), round);
        assert_eq!(site.session(&browser).tokens().refresh, refresh);
    }
}

#[test]
fn two_instances_without_a_coordinator_look_like_a_thief_to_a_provider_without_overlap() {
    let site = Site::new();
    let other = site.instance();
    let browser = due(&site);
    let requests = [&site, &other].map(|instance| instance.answer(by(instance, &browser, "/app")));
    let answers = site.run_all(requests);
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 401]);
    assert_eq!((site.provider.refreshes(), site.provider.state().reused), (2, 1));
}

#[test]
fn two_instances_without_a_coordinator_do_well_where_nothing_is_rotated() {
    let site = Site::new();
    site.provider.set().rotates = false;
    let other = site.instance();
    let browser = due(&site);
    let requests = [&site, &other].map(|instance| instance.answer(by(instance, &browser, "/app")));
    assert!(site.run_all(requests).iter().all(|answer| answer.status == 200));
    assert_eq!(site.provider.refreshes(), 2);
}

/// Answers of the token endpoint that leave the session as it is.
fn failures() -> Vec<(&'static str, Fault)> {
    let html =
        Incoming { content_type: Some("text/html".into()), body: b"<p>".to_vec(), status: 200, ..Incoming::default() };
    vec![
        ("a server error", Fault::Answer(Ok(status(500)))),
        ("a server error that says invalid_grant", Fault::Answer(Ok(refusal(500, "invalid_grant")))),
        ("too many requests", Fault::Answer(Ok(refusal(429, "slow_down")))),
        ("temporarily_unavailable", Fault::Answer(Ok(refusal(400, "temporarily_unavailable")))),
        ("invalid_client", Fault::Answer(Ok(refusal(401, "invalid_client")))),
        ("HTML", Fault::Answer(Ok(html))),
        ("a redirect", Fault::Answer(Ok(status(302)))),
        ("no access token", Fault::Answer(Ok(ok_json(r#"{"token_type":"Bearer"}"#)))),
        ("no network", Fault::Answer(Err(Unreachable::Network))),
        ("no answer", Fault::Answer(Err(Unreachable::GivenUp))),
    ]
}

#[test]
fn a_session_goes_on_with_what_it_has_while_the_provider_gives_no_new_tokens() {
    for (what, fault) in failures() {
        let site = Site::new();
        let mut browser = due(&site);
        let token = site.session(&browser).tokens().access.clone();
        site.provider.fault(Endpoint::Token, fault);
        let answer = site.send(&mut browser, Request::get("/token"));
        assert_eq!(answer.origin_header("x-token"), Some(token.as_str()), "{what}");
        assert_eq!(answer.sets(COOKIE), None, "{what}");
        assert!(site.has_logged("refresh_unavailable: "), "{what}");
        // The failure is remembered for five seconds.
        site.sleep_ms(4_999);
        assert_eq!(token_of(&site, &browser), token, "{what}");
        assert_eq!(site.provider.refreshes(), 1, "{what}");
        site.sleep_ms(1);
        assert_ne!(token_of(&site, &browser), token, "{what}");
        assert_eq!(site.provider.refreshes(), 2, "{what}");
    }
}

#[test]
fn a_hundred_requests_share_one_failure() {
    let site = Site::new();
    site.hesitate();
    let browser = due(&site);
    site.provider.take_down(Endpoint::Token);
    let answers = site.run_all((0..100).map(|_| site.answer(by(&site, &browser, "/app"))));
    assert!(answers.iter().all(|answer| answer.origin_header("x-user") == Some("user-1")));
    assert_eq!(site.provider.refreshes(), 1);
}

#[test]
fn what_an_expired_token_granted_is_over_although_it_cannot_be_replaced_and_the_login_goes_on() {
    let site = Site::new();
    let browser = due(&site);
    site.provider.take_down(Endpoint::Token);
    site.sleep_s(20);
    assert_eq!(peek(&site, &browser, "/app").origin_header("x-user"), Some("user-1"));
    assert_eq!(peek(&site, &browser, "/app").origin_header("x-scope"), None);
    assert_eq!(peek(&site, &browser, "/things").status, 401);
    assert_eq!(peek(&site, &browser, "/token").status, 401);
}

#[test]
fn a_lost_answer_is_waited_for_once_and_the_next_try_ends_the_session() {
    for fault in [Fault::AnswerLost, Fault::BreakOff] {
        let site = Site::new();
        let mut browser = due(&site);
        site.provider.fault(Endpoint::Token, fault);
        assert_eq!(site.send(&mut browser, Request::get("/app")).status, 200);
        assert_eq!(site.provider.refreshes(), 1, "the token is not sent again at once");
        site.sleep_s(5);
        let answer = site.send(&mut browser, Request::get("/app"));
        assert_eq!((answer.status, answer.sets(COOKIE)), (401, Some(false)));
        assert_eq!(site.provider.state().reused, 1);
    }
}

#[test]
fn a_refused_refresh_token_ends_the_session() {
    for error in ["invalid_grant", "unauthorized_client", "Something Else"] {
        let site = Site::new();
        let browser = due(&site);
        site.provider.answer_next(Endpoint::Token, Ok(refusal(400, error)));
        let program = peek(&site, &browser, "/app");
        assert_eq!(program.outcome(), (401, "token_missing".into()), "{error}");
        assert_eq!(program.sets(COOKIE), Some(false), "{error}");
        assert_eq!(program.header("cache-control"), Some("private, no-store"));
        assert!(site.has_logged("session_ended: "), "{error}");
        // It is remembered: the provider is not asked again.
        let person = site.ask(by(&site, &browser, "/app").page());
        assert_eq!(person.location(), "https://app.example.com/login?return_to=%2Fapp");
        assert_eq!(person.sets(COOKIE), Some(false));
        assert_eq!(site.provider.refreshes(), 1, "{error}");
    }
}

#[test]
fn an_optional_route_takes_who_had_a_session_for_nobody() {
    let site = Site::new();
    let mut browser = due(&site);
    site.provider.end_all();
    let answer = site.send(&mut browser, Request::get("/maybe").header("x-user", "admin"));
    assert_eq!((answer.status, answer.origin_header("x-user")), (200, None));
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    assert_eq!(answer.sets(COOKIE), Some(false));
    assert!(browser.names().is_empty());
}

#[test]
fn who_only_looks_loses_no_cookie() {
    let site = Site::new();
    let browser = due(&site);
    site.provider.end_all();
    for target in ["/app", "/maybe"] {
        assert_eq!(site.ask(by(&site, &browser, target).prefetch()).sets(COOKIE), None, "{target}");
        let head = Request::new("HEAD", target).cookie(&browser.header(site.now()));
        assert_eq!(site.ask(head).sets(COOKIE), None, "{target}");
    }
    assert_eq!(peek(&site, &browser, "/app").sets(COOKIE), Some(false));
}

#[test]
fn a_refresh_goes_on_when_its_request_is_cancelled_and_the_next_request_finds_it() {
    let site = Site::new();
    let browser = due(&site);
    site.provider.fault(Endpoint::Token, Fault::Late(900));
    let mut crowd = site.crowd();
    let first = crowd.start(site.answer(by(&site, &browser, "/token")));
    crowd.settle();
    crowd.cancel(first);
    let second = crowd.start(site.answer(by(&site, &browser, "/token")));
    crowd.finish();
    assert_eq!(crowd.output(second).unwrap().sets(COOKIE), Some(true));
    drop(crowd);
    assert_eq!(site.provider.refreshes(), 1);
    token_of(&site, &browser);
    assert_eq!((site.provider.refreshes(), site.provider.state().reused), (1, 0));
}

#[test]
fn a_refresh_of_a_machine_that_was_frozen_is_given_up_after_a_minute() {
    let site = Site::new();
    let browser = due(&site);
    site.jobs(Jobs::Lose);
    let mut crowd = site.crowd();
    let lost = crowd.start(site.answer(by(&site, &browser, "/app")));
    crowd.settle();
    crowd.cancel(lost);
    drop(crowd);
    site.jobs(Jobs::Run);
    // Others wait as long as an exchange may take, then go on with what there is.
    let before_ms = site.elapsed_ms();
    assert_eq!(peek(&site, &browser, "/app").sets(COOKIE), None);
    assert_eq!(site.elapsed_ms() - before_ms, 15_000);
    site.sleep_s(45);
    assert_eq!(peek(&site, &browser, "/app").sets(COOKIE), Some(true));
    assert_eq!(site.provider.refreshes(), 1);
}

#[test]
fn a_logout_while_a_refresh_is_under_way_does_not_wait_and_its_tokens_are_revoked() {
    let site = Site::new();
    let browser = due(&site);
    site.provider.fault(Endpoint::Token, Fault::Late(1500));
    let mut crowd = site.crowd();
    let refreshing = crowd.start(site.answer(by(&site, &browser, "/app")));
    crowd.settle();
    let logout = crowd.start(site.answer(by(&site, &browser, "/logout").page()));
    crowd.settle();
    assert_eq!(crowd.output(logout).unwrap().status, 302);
    crowd.finish();
    let late = crowd.output(refreshing).unwrap();
    assert_eq!((late.status, late.sets(COOKIE)), (401, None));
    drop(crowd);
    site.sleep_s(1);
    let newest = site.provider.newest();
    assert!(site.provider.state().revoked.contains(&newest), "what came for nobody");
    assert_eq!(peek(&site, &browser, "/app").status, 401);
    assert_eq!(site.provider.refreshes(), 1);
}

#[test]
fn a_login_that_takes_the_place_of_a_session_that_is_refreshed_revokes_nothing() {
    let site = Site::new();
    let browser = due(&site);
    let mut next = browser.clone();
    let callback = site.begin(&mut next, "/login");
    site.provider.fault(Endpoint::Token, Fault::Late(1500));
    let mut crowd = site.crowd();
    let refreshing = crowd.start(site.answer(by(&site, &browser, "/app")));
    crowd.settle();
    let login = crowd.start(site.answer(by(&site, &next, &callback).page()));
    crowd.settle();
    assert_eq!(crowd.output(login).unwrap().sets(COOKIE), Some(true));
    crowd.finish();
    let late = crowd.output(refreshing).unwrap();
    assert_eq!((late.status, late.sets(COOKIE)), (401, None), "the browser may hold the new cookie by now");
    drop(crowd);
    site.sleep_s(1);
    assert!(site.provider.state().revoked.is_empty(), "some providers would end the new login with it");
}

#[test]
fn a_full_desk_leaves_sessions_as_they_are() {
    let site = Site::new();
    let sessions = site.sessions();
    let claims = site.session(&site.logged_in()).claims().clone();
    let now_s = site.now().secs();
    let cookie = |number: usize| {
        let tokens = Tokens {
            access: "opaque".into(),
            access_obtained_s: now_s - 40,
            access_expires_s: now_s + 20,
            refresh: Some(format!("refresh-{number}")),
            id: None,
        };
        let session = Session::new(format!("session-{number}"), claims.clone(), tokens, site.now());
        let lines =
            sessions.to_cookies(&session, &Cookies::default(), "app.example.com", &[7; 24], site.now()).unwrap();
        lines[0].split(';').next().unwrap().to_string()
    };
    site.jobs(Jobs::Hold);
    let mut crowd = site.crowd();
    for number in 0..1024 {
        crowd.start(site.answer(Request::get("/app").cookie(&cookie(number))));
    }
    crowd.settle();
    let one_more = crowd.start(site.answer(Request::get("/app").cookie(&cookie(1024))));
    crowd.settle();
    assert_eq!(crowd.output(one_more).unwrap().origin_header("x-user"), Some("user-1"), "at once, with what it has");
    assert_eq!(site.open_jobs(), 1024);
    drop(crowd);
    site.kill_jobs();
}

#[test]
fn a_refresh_token_is_sent_again_with_the_next_secret_if_the_client_was_refused() {
    let secrets = json!({ "authorizer": { "client_secret": ["an old secret of the client", CLIENT_SECRET] } });
    let site = Site::of(&with(config(), &secrets));
    let mut browser = due(&site);
    assert_eq!(site.send(&mut browser, Request::get("/app")).sets(COOKIE), Some(true));
    let exchanges = site.provider.state().exchanges.clone();
    assert_eq!(exchanges.len(), 4);
    assert_eq!(exchanges[2]["refresh_token"], exchanges[3]["refresh_token"]);
    assert!(!exchanges[3].contains_key("scope"), "the provider keeps what was granted");
}

#[test]
fn a_refresh_needs_the_provider_to_be_known() {
    let site = Site::discovering();
    let browser = due(&site);
    let cold = site.instance();
    site.provider.take_down(Endpoint::Discovery);
    assert_eq!(peek(&cold, &browser, "/app").sets(COOKIE), None);
    assert_eq!(site.provider.refreshes(), 0);
    site.provider.bring_up();
    site.sleep_s(6);
    assert_eq!(peek(&cold, &browser, "/app").sets(COOKIE), Some(true));
}

#[test]
fn an_id_token_that_is_not_of_this_login_ends_the_session() {
    type Alter = fn(Mint) -> Mint;
    let cases: [(&str, Alter); 7] = [
        ("at_hash_mismatch", |id| id.claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA")),
        ("its claim \"sub\" is not that of the login", |id| id.claim("sub", "user-2")),
        ("its claim \"nonce\" is not that of the login", |id| id.claim("nonce", "other")),
        ("issuer_mismatch", |id| id.claim("iss", "https://evil.example/")),
        ("audience_mismatch", |id| id.claim("aud", "other")),
        ("token_expired", |id| id.claim("exp", 1_000_000_000)),
        ("signature_invalid", |id| id.signed_by(key_b())),
    ];
    for (code, alter) in cases {
        let site = Site::new();
        let mut browser = due(&site);
        site.provider.set().id = Rc::new(alter);
        let answer = site.send(&mut browser, Request::get("/app"));
        assert_eq!((answer.status, answer.sets(COOKIE)), (401, Some(false)), "{code}");
        assert!(site.has_logged(&format!("id_token_invalid: {code}")), "{:?}", site.lines());
    }
}

#[test]
fn an_id_token_that_cannot_be_verified_tells_nothing_and_the_new_tokens_are_kept() {
    let site = Site::new();
    let mut browser = due(&site);
    let before = site.session(&browser);
    site.provider.set().id = Rc::new(|id| id.claim("name", "Mallory").header("kid", "new"));
    site.send(&mut browser, Request::get("/app"));
    let after = site.session(&browser);
    assert_ne!(after.tokens().access, before.tokens().access);
    assert_eq!(after.tokens().id, before.tokens().id);
    assert_eq!(after.claims().as_json(), before.claims().as_json());
}

#[test]
fn a_refreshed_id_token_brings_what_is_new_about_the_user() {
    let site = Site::new();
    let mut browser = due(&site);
    site.provider.set().id = Rc::new(|id| id.claim("name", "Ann Other"));
    site.send(&mut browser, Request::get("/app"));
    let name = site.session(&browser).claims().get("name").map(|name| name.to_json());
    assert_eq!(name.as_deref(), Some("\"Ann Other\""));
}

#[test]
fn a_refreshed_access_token_of_another_subject_grants_nothing_and_the_login_goes_on() {
    let site = Site::new();
    let mut browser = due(&site);
    site.provider.set().access = Rc::new(|access| access.claim("sub", "user-2").text());
    let answer = site.send(&mut browser, Request::get("/app"));
    assert_eq!((answer.origin_header("x-user"), answer.origin_header("x-scope")), (Some("user-1"), None));
    assert_eq!(peek(&site, &browser, "/things").status, 403);
    assert!(site.has_logged("access_token_unusable: its claim \"sub\" is not equal"));
}

#[test]
fn what_an_unread_token_grants_is_unknown_until_there_are_keys() {
    let site = Site::new();
    site.serve_edge(|_| None);
    let mut browser = due(&site);
    let cold = site.instance();
    site.provider.take_down(Endpoint::Keys);
    // What was granted stands as long as it would have, which is for 20 s more.
    assert_eq!(cold.send(&mut browser, Request::get("/things")).status, 200);
    assert!(site.session(&browser).is_unread());
    site.sleep_s(21);
    let answer = cold.send(&mut browser, Request::get("/things"));
    assert_eq!(answer.outcome(), (503, "jwks_unreachable".into()));
    assert!(answer.header("retry-after").is_some());
    assert_eq!(cold.send(&mut browser, Request::get("/app")).origin_header("x-user"), Some("user-1"));
    site.provider.bring_up();
    site.sleep_s(31);
    assert_eq!(cold.send(&mut browser, Request::get("/things")).status, 200);
    assert!(!site.session(&browser).is_unread());
    assert_eq!(site.provider.refreshes(), 1);
}

#[test]
fn a_token_whose_key_is_not_published_yet_is_read_again_until_it_is() {
    let site = Site::new();
    let mut browser = due(&site);
    site.provider.set().access = Rc::new(|access| access.header("kid", key_b().kid).signed_by(key_b()).text());
    assert_eq!(site.send(&mut browser, Request::get("/things")).status, 403);
    assert!(site.session(&browser).is_unread());
    site.provider.set().published = vec![key_a().jwk(), key_b().jwk()];
    site.sleep_s(31);
    assert_eq!(site.send(&mut browser, Request::get("/things")).status, 200);
    assert!(!site.session(&browser).is_unread());
}

#[test]
fn tokens_with_more_claims_than_a_session_keeps_end_it() {
    let site = Site::new();
    let mut browser = due(&site);
    // Each has as many as an object may. Together they have more.
    site.provider.set().id = Rc::new(|id| (0..249).fold(id, |id, number| id.claim(&format!("c{number}"), number)));
    let more = |access: Mint| access.claim("permissions", json!(["p"])).claim("org_id", "o").claim("client_id", CLIENT);
    site.provider.set().access = Rc::new(move |access| more(access).text());
    let answer = site.send(&mut browser, Request::get("/app"));
    assert_eq!((answer.status, answer.sets(COOKIE)), (401, Some(false)));
    assert!(site.has_logged("session_too_large: "), "{:?}", site.lines());
    let login = site.log_in_with(&mut browser);
    assert_eq!((login.status, login.sets(COOKIE)), (502, None), "nor do they begin one");
}

#[test]
fn a_session_that_is_in_use_keeps_its_cookie_alive() {
    let site = Site::new();
    site.provider.set().life_s = 100_000;
    let mut browser = site.logged_in();
    site.sleep_s(8_639);
    assert_eq!(site.send(&mut browser, Request::get("/app")).sets(COOKIE), None);
    site.sleep_s(1);
    let answer = site.send(&mut browser, Request::get("/app"));
    assert_eq!((answer.sets(COOKIE), answer.header("cache-control")), (Some(true), Some("private, no-store")));
    assert_eq!(site.provider.refreshes(), 0);
}

// The refresh route.

#[test]
fn the_refresh_route_gives_new_tokens_whatever_the_age_of_the_old_ones() {
    let site = Site::new();
    let mut browser = site.logged_in();
    for round in 1..=2 {
        let answer = site.send(&mut browser, Request::post("/refresh"));
        assert_eq!((answer.status, answer.json()), (200, json!({ "expires_in": 3600 })), "no token leaves the cookie");
        assert_eq!(answer.header("cache-control"), Some("private, no-store"));
        assert_eq!(site.provider.refreshes(), round, "with the rotated token");
    }
    let mut due = due(&site);
    site.send(&mut due, Request::post("/refresh"));
    assert_eq!(site.provider.refreshes(), 3, "nothing refreshes before the route does");
}

#[test]
fn the_refresh_route_has_the_last_word_about_a_cookie_that_was_to_be_written_anyway() {
    let site = Site::new();
    site.provider.set().life_s = 100_000;
    let mut browser = site.logged_in();
    site.sleep_s(9_000);
    let answer = site.send(&mut browser, Request::post("/refresh"));
    assert_eq!(answer.cookies().len(), 1);
    assert_eq!(site.session(&browser).tokens().refresh.as_deref(), Some(site.provider.newest().as_str()));
}

#[test]
fn the_refresh_route_refuses_what_is_no_session() {
    let site = Site::new();
    let browser = site.logged_in();
    let token = site.session(&browser).tokens().access.clone();
    for (request, expected) in [
        (by(&site, &browser, "/refresh?refresh_token=abc"), (400, "invalid_request")),
        (by(&site, &browser, "/refresh?refresh%5Ftoken=abc"), (400, "invalid_request")),
        (Request::post("/refresh").bearer(&token), (400, "no_session")),
        (Request::post("/refresh"), (401, "token_missing")),
        (
            Request::post("/refresh").cookie(&browser.header(site.now())).header("origin", "https://evil.example"),
            (403, "cross_site_request"),
        ),
    ] {
        let (status, code) = site.ask(request.clone()).outcome();
        assert_eq!((status, code.as_str()), expected, "{request:?}");
    }
    assert_eq!(site.provider.refreshes(), 0);
}

#[test]
fn the_refresh_route_says_what_became_of_it() {
    let site = Site::new();
    site.provider.set().refreshes = false;
    let without = site.logged_in();
    assert_eq!(peek(&site, &without, "/refresh").outcome(), (400, "no_refresh_token".into()));
    site.provider.set().refreshes = true;
    let mut browser = site.logged_in();
    site.provider.take_down(Endpoint::Token);
    let down = site.send(&mut browser, Request::post("/refresh"));
    assert_eq!((down.outcome(), down.sets(COOKIE)), ((502, "refresh_unavailable".into()), None));
    site.provider.bring_up();
    site.provider.end_all();
    site.sleep_s(5);
    let ended = site.send(&mut browser, Request::post("/refresh"));
    assert_eq!((ended.outcome(), ended.sets(COOKIE)), ((401, "session_ended".into()), Some(false)));
    assert_eq!(ended.header("cache-control"), Some("private, no-store"));
}

#[test]
fn the_users_address_goes_along_where_that_is_configured() {
    for (forwards, expected) in [(json!(true), Some("192.0.2.7")), (json!(false), None), (Value::Null, None)] {
        let mut config = config();
        if !forwards.is_null() {
            config["authorizer"]["forward_client_ip"] = forwards;
        }
        let site = Site::of(&config);
        let browser = due(&site);
        site.ask(by(&site, &browser, "/app").header("cf-connecting-ip", "192.0.2.7"));
        let seen = site.seen();
        let sent = seen.sent.iter().rfind(|sent| sent.request.url.ends_with("/oauth/token")).unwrap();
        let address = sent.request.headers.iter().find(|(name, _)| *name == "auth0-forwarded-for");
        assert_eq!(address.map(|(_, value)| value.as_str()), expected);
    }
}
