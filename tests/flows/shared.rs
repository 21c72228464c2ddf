//! Refreshes and ends of a session, shared by two instances through a coordinator.

use std::rc::Rc;

use edgeward::io::Unreachable;
use edgeward::oidc::{CoordinatorResponse, CoordinatorStore, SessionAction};
use support::browser::{Browser, Request};
use support::coordinator::{Behavior, Coordinator};
use support::deployment::{COOKIE, Deployment};
use support::provider::{Endpoint, Fault, refusal};

use crate::{by, due, peek, token_of};

/// Two instances with a coordinator, and a browser whose access token is due.
struct Pair {
    a: Deployment,
    b: Deployment,
    coordinator: Rc<Coordinator>,
    browser: Browser,
}

impl Pair {
    fn new() -> Self {
        let a = Deployment::new();
        let (b, coordinator) = (a.instance(), a.coordinated());
        let browser = due(&a);
        Self { a, b, coordinator, browser }
    }

    fn exchanges(&self) -> usize {
        self.a.provider.refreshes()
    }

    fn log_out(&self, deployment: &Deployment, browser: &Browser) {
        assert_eq!(deployment.fetch(by(deployment, browser, "/logout").page()).status, 302);
    }

    /// Asserts that no instance accepts this cookie, contacts the provider for it, or clears it.
    fn assert_ended(&self, browser: &Browser) {
        let before = self.exchanges();
        for deployment in [&self.a, &self.b] {
            let script = peek(deployment, browser, "/app");
            assert_eq!((script.status, script.sets(COOKIE)), (401, None));
            assert_eq!(deployment.fetch(by(deployment, browser, "/app").page()).status, 302);
            let maybe = peek(deployment, browser, "/maybe");
            assert_eq!((maybe.origin_header("x-user"), maybe.sets(COOKIE)), (None, None));
            assert_ne!(peek(deployment, browser, "/refresh").status, 200);
        }
        assert_eq!(self.exchanges(), before, "no request to the provider");
    }
}

#[test]
fn a_hundred_requests_on_two_instances_make_one_exchange() {
    let pair = Pair::new();
    pair.a.hesitate();
    pair.a.provider.fault(Endpoint::Token, Fault::Late(700));
    let requests = (0..100).map(|number| {
        let deployment = if number % 2 == 0 { &pair.a } else { &pair.b };
        deployment.answer(by(deployment, &pair.browser, "/token"))
    });
    let answers = pair.a.run_all(requests.collect::<Vec<_>>());
    assert_eq!(pair.exchanges(), 1);
    assert_eq!(pair.coordinator.asked(SessionAction::Refresh), 2, "once per instance");
    let token = answers[0].origin_header("x-token").unwrap();
    assert!(answers.iter().all(|answer| answer.origin_header("x-token") == Some(token)));
    assert!(answers.iter().all(|answer| answer.sets(COOKIE) == Some(true)));
}

#[test]
fn an_older_cookie_leads_to_the_newest_session_in_any_instance() {
    let pair = Pair::new();
    pair.a.provider.set().life_s = 60;
    let mut browser = pair.browser.clone();
    for deployment in [&pair.a, &pair.b, &pair.a] {
        assert_eq!(deployment.send(&mut browser, Request::get("/app")).status, 200);
        pair.a.sleep_s(31);
    }
    assert_eq!(pair.exchanges(), 3);
    let mut old = pair.browser.clone();
    assert_eq!(pair.b.send(&mut old, Request::get("/app")).status, 200);
    assert_eq!((pair.exchanges(), pair.a.provider.state().reused), (4, 0), "the newest was due, and was refreshed");
    assert_eq!(token_of(&pair.a, &browser), token_of(&pair.a, &old));
}

#[test]
fn outcomes_are_stored_for_an_hour() {
    let pair = Pair::new();
    peek(&pair.a, &pair.browser, "/app");
    let stored = pair.coordinator.stored();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].1, 1000 * (pair.a.now().secs() + 3600));
    let live = pair.a.provider.newest();
    assert!(!stored[0].0.contains(&live), "it is sealed");
}

/// Failures that leave the session unchanged, without a request to the provider.
fn silences() -> Vec<(&'static str, Behavior)> {
    let says = |status, text: &str| Behavior::Responding(CoordinatorResponse { status, text: text.into() });
    vec![
        ("unreachable", Behavior::Unreachable),
        ("silent", Behavior::Silent),
        ("a server error", says(500, "")),
        ("unknown", says(503, "")),
        ("no session", says(200, "")),
        ("a forged session", says(200, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
    ]
}

#[test]
fn an_older_cookie_gets_the_recorded_outcome_while_the_coordinator_does_not_respond() {
    for (what, behavior) in silences() {
        let pair = Pair::new();
        // The browser does not receive the answer.
        let token = token_of(&pair.a, &pair.browser);
        pair.coordinator.behave(behavior);
        pair.a.sleep_s(30);
        assert_eq!(token_of(&pair.a, &pair.browser), token, "{what}");
        assert_eq!(pair.exchanges(), 1, "{what}");
    }
}

#[test]
fn a_session_continues_while_the_coordinator_does_not_respond() {
    for (what, behavior) in silences() {
        let pair = Pair::new();
        pair.coordinator.behave(behavior);
        let answer = peek(&pair.a, &pair.browser, "/app");
        assert_eq!((answer.origin_header("x-user"), answer.sets(COOKIE)), (Some("user-1"), None), "{what}");
        assert_eq!(pair.exchanges(), 0, "{what}: a second exchange would end the session");
        let asked = pair.coordinator.asked(SessionAction::Refresh);
        pair.a.sleep_ms(4_999);
        peek(&pair.a, &pair.browser, "/maybe");
        assert_eq!(pair.coordinator.asked(SessionAction::Refresh), asked, "{what}: cached for five seconds");
        pair.coordinator.behave(Behavior::Normal);
        pair.a.sleep_ms(1);
        assert_eq!(peek(&pair.a, &pair.browser, "/app").sets(COOKIE), Some(true), "{what}");
    }
}

#[test]
fn a_missing_response_of_the_coordinator_is_logged() {
    for behavior in [Behavior::Unreachable, Behavior::Silent] {
        let pair = Pair::new();
        pair.coordinator.behave(behavior);
        peek(&pair.a, &pair.browser, "/app");
        let line = "refresh_unavailable: the Durable Object EDGEWARD_SESSIONS did not respond";
        assert!(pair.a.has_logged(line), "{:?}", pair.a.lines());
    }
}

#[test]
fn the_outcome_of_a_lost_response_is_found_by_the_next_request() {
    for behavior in [Behavior::ResponseLost, Behavior::ResponseDelayed(16_000)] {
        let pair = Pair::new();
        pair.coordinator.behave_next(behavior);
        assert_eq!(peek(&pair.a, &pair.browser, "/app").sets(COOKIE), None);
        assert_eq!(pair.exchanges(), 1);
        assert_eq!(peek(&pair.b, &pair.browser, "/app").sets(COOKIE), Some(true), "in another instance");
        pair.a.sleep_s(5);
        assert_eq!(peek(&pair.a, &pair.browser, "/app").sets(COOKIE), Some(true), "and in this one");
        assert_eq!((pair.exchanges(), pair.a.provider.state().reused), (1, 0));
    }
}

#[test]
fn a_slow_coordinator_is_awaited() {
    let pair = Pair::new();
    pair.coordinator.slow_store(1_000);
    pair.coordinator.behave(Behavior::Delayed(2_000));
    let before_ms = pair.a.elapsed_ms();
    assert_eq!(peek(&pair.a, &pair.browser, "/app").sets(COOKIE), Some(true));
    assert_eq!(pair.a.elapsed_ms() - before_ms, 4_000);
}

#[test]
fn a_store_that_cannot_be_read_refreshes_nothing() {
    let pair = Pair::new();
    pair.coordinator.break_store(true);
    assert_eq!(peek(&pair.a, &pair.browser, "/app").sets(COOKIE), None);
    assert_eq!(pair.exchanges(), 0);
}

#[test]
fn a_store_that_fails_during_the_exchange_loses_no_tokens() {
    let mut pair = Pair::new();
    let coordinator = Rc::clone(&pair.coordinator);
    let breaks = Fault::Meanwhile(Box::new(move |_| coordinator.break_store(true)));
    pair.a.provider.fault(Endpoint::Token, breaks);
    // The former refresh token is used up: the new one must reach the browser, even if it cannot be stored.
    assert_eq!(pair.a.send(&mut pair.browser, Request::get("/app")).sets(COOKIE), Some(true));
    assert_eq!(pair.a.session(&pair.browser).tokens().refresh, Some(pair.a.provider.newest()));
    assert!(pair.coordinator.stored().is_empty(), "the end of the session, which may be stored, is not replaced");
    pair.coordinator.reset();
    pair.a.sleep_s(3_600);
    assert_eq!(peek(&pair.b, &pair.browser, "/app").sets(COOKIE), Some(true));
    assert_eq!((pair.exchanges(), pair.a.provider.state().reused), (2, 0));
}

#[test]
fn a_failed_exchange_is_retried_by_the_next_request() {
    let pair = Pair::new();
    pair.a.provider.answer_next(Endpoint::Token, Err(Unreachable::Network));
    assert_eq!(peek(&pair.a, &pair.browser, "/app").sets(COOKIE), None);
    assert_eq!(peek(&pair.b, &pair.browser, "/app").sets(COOKIE), Some(true));
    assert_eq!(pair.exchanges(), 2);
}

#[test]
fn a_session_ended_by_the_provider_is_ended_in_every_instance() {
    let pair = Pair::new();
    pair.a.provider.answer_next(Endpoint::Token, Ok(refusal(400, "invalid_grant")));
    for deployment in [&pair.a, &pair.b] {
        let answer = peek(deployment, &pair.browser, "/app");
        assert_eq!((answer.status, answer.sets(COOKIE)), (401, Some(false)));
    }
    assert_eq!(pair.exchanges(), 1);
}

#[test]
fn a_logout_ends_every_copy_of_the_cookie_in_every_instance() {
    let pair = Pair::new();
    let mut second = pair.browser.clone();
    assert_eq!(pair.a.send(&mut second, Request::get("/app")).sets(COOKIE), Some(true));
    pair.log_out(&pair.a, &second);
    assert!(pair.a.provider.state().revoked.contains(&pair.a.provider.newest()));
    assert_eq!(pair.coordinator.stored()[0].0.lines().count(), 1, "outcomes are removed");
    // A session that is not due is accepted without asking: the documented limitation.
    assert_eq!(peek(&pair.b, &second, "/app").status, 200);
    assert_eq!(peek(&pair.a, &second, "/app").status, 401);
    pair.assert_ended(&pair.browser);
    // By then the other instance knows of the logout, for every copy.
    assert_eq!(peek(&pair.b, &second, "/app").status, 401);
}

#[test]
fn a_cached_refresh_does_not_outlive_a_logout_in_another_instance() {
    let pair = Pair::new();
    let mut second = pair.browser.clone();
    pair.a.send(&mut second, Request::get("/app"));
    pair.log_out(&pair.b, &second);
    assert_eq!(peek(&pair.a, &pair.browser, "/app").status, 401, "the old cookie, with a cached outcome");
    assert_eq!(pair.exchanges(), 1);
}

#[test]
fn a_logout_revokes_the_refresh_token_that_the_browser_never_received() {
    let pair = Pair::new();
    // The response is lost.
    peek(&pair.a, &pair.browser, "/app");
    pair.log_out(&pair.b, &pair.browser);
    assert_eq!(pair.a.provider.state().revoked, [pair.a.provider.newest()]);
    pair.assert_ended(&pair.browser);
}

#[test]
fn a_logout_does_not_wait_for_a_refresh_in_any_instance() {
    for is_elsewhere in [false, true] {
        let pair = Pair::new();
        let by_whom = if is_elsewhere { &pair.b } else { &pair.a };
        pair.a.provider.fault(Endpoint::Token, Fault::Late(1_500));
        let mut tasks = pair.a.tasks();
        let refreshing = tasks.start(pair.a.answer(by(&pair.a, &pair.browser, "/app")));
        tasks.settle();
        assert_eq!(pair.exchanges(), 1);
        let logout = tasks.start(by_whom.answer(by(by_whom, &pair.browser, "/logout").page()));
        tasks.settle();
        assert_eq!(tasks.output(logout).unwrap().status, 302);
        tasks.finish();
        let late = tasks.output(refreshing).unwrap();
        assert_eq!((late.status, late.sets(COOKIE)), (401, None));
        drop(tasks);
        pair.a.sleep_s(1);
        let newest = pair.a.provider.newest();
        assert!(pair.a.provider.state().revoked.contains(&newest), "the late token");
        let stored = pair.coordinator.stored();
        assert_eq!(stored.len(), 1);
        assert!(stored[0].0.starts_with("logout ") && stored[0].0.lines().count() == 1, "it is not stored");
        pair.assert_ended(&pair.browser);
    }
}

#[test]
fn a_new_login_ends_a_refresh_in_progress_and_revokes_nothing() {
    let pair = Pair::new();
    let mut next = pair.browser.clone();
    let callback = pair.b.begin(&mut next, "/login");
    pair.a.provider.fault(Endpoint::Token, Fault::Late(1_500));
    let mut tasks = pair.a.tasks();
    let refreshing = tasks.start(pair.a.answer(by(&pair.a, &pair.browser, "/app")));
    tasks.settle();
    let login = tasks.start(pair.b.answer(by(&pair.b, &next, &callback).page()));
    tasks.settle();
    next.store_cookies(tasks.output(login).unwrap(), pair.a.now());
    tasks.finish();
    assert_eq!(tasks.output(refreshing).unwrap().status, 401);
    drop(tasks);
    pair.a.sleep_s(1);
    pair.assert_ended(&pair.browser);
    assert!(pair.a.provider.state().revoked.is_empty(), "some providers would end the new login, too");
    for deployment in [&pair.a, &pair.b] {
        assert_eq!(peek(deployment, &next, "/app").status, 200);
    }
}

#[test]
fn a_logout_ends_nothing_of_another_session() {
    let pair = Pair::new();
    let other = due(&pair.a);
    pair.log_out(&pair.a, &pair.browser);
    for deployment in [&pair.a, &pair.b] {
        assert_eq!(peek(deployment, &other, "/app").status, 200);
    }
}

#[test]
fn the_end_of_a_session_is_stored_until_its_cookies_have_expired() {
    let pair = Pair::new();
    let session = pair.a.session(&pair.browser);
    pair.log_out(&pair.a, &pair.browser);
    assert_eq!(pair.coordinator.stored()[0].1, 1000 * pair.a.sessions().expires_s(&session));
}

#[test]
fn without_rotation_any_instance_can_refresh_again() {
    let pair = Pair::new();
    pair.a.provider.set().rotates = false;
    pair.a.provider.set().life_s = 60;
    let mut browser = pair.browser.clone();
    for (round, deployment) in [&pair.a, &pair.b, &pair.a, &pair.b].into_iter().enumerate() {
        assert_eq!(deployment.send(&mut browser, Request::get("/app")).sets(COOKIE), Some(true), "{round}");
        assert_eq!(pair.exchanges(), round + 1);
        pair.a.sleep_s(40);
    }
}

#[test]
fn the_refresh_route_refreshes_each_time_through_the_coordinator_too() {
    for rotates in [true, false] {
        let pair = Pair::new();
        pair.a.provider.set().rotates = rotates;
        let mut browser = pair.browser.clone();
        for round in 1..=4 {
            let deployment = if round % 2 == 0 { &pair.a } else { &pair.b };
            assert_eq!(deployment.send(&mut browser, Request::post("/refresh")).status, 200);
            assert_eq!(pair.exchanges(), round);
        }
        assert_eq!(pair.a.provider.state().reused, 0);
    }
}

#[test]
fn a_refresh_by_the_coordinator_continues_when_the_instance_is_gone() {
    let pair = Pair::new();
    pair.a.provider.fault(Endpoint::Token, Fault::Late(900));
    let mut tasks = pair.a.tasks();
    let request = tasks.start(pair.a.answer(by(&pair.a, &pair.browser, "/app")));
    tasks.settle();
    tasks.cancel(request);
    pair.a.kill_jobs();
    drop(tasks);
    pair.a.sleep_s(1);
    assert_eq!(peek(&pair.b, &pair.browser, "/app").sets(COOKIE), Some(true));
    assert_eq!((pair.exchanges(), pair.a.provider.state().reused), (1, 0));
}

/// What happens on instance A while B answers a request that has changed the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    Logout,
    /// A logout, and the login of another user in the same browser.
    Login,
    /// A refresh.
    Refresh,
    /// The provider refuses a refresh.
    Refusal,
}

#[test]
fn a_late_response_undoes_nothing_that_another_instance_did_to_the_session() {
    use Meanwhile::{Login, Logout, Nothing, Refresh, Refusal};
    for (is_due, target, rotates) in [true, false].into_iter().flat_map(|is_due| {
        ["/app", "/userinfo"].into_iter().flat_map(move |to| [true, false].map(move |rotates| (is_due, to, rotates)))
    }) {
        for meanwhile in [Nothing, Logout, Login, Refresh, Refusal] {
            let what = format!("{is_due} {target} {rotates} {meanwhile:?}");
            let Pair { a, b, coordinator, mut browser } = Pair::new();
            a.provider.set().rotates = rotates;
            if !is_due {
                // Its cookie is due to be rewritten.
                a.provider.set().life_s = 100_000;
                browser = a.logged_in();
                a.sleep_s(9_000);
            }
            // B refreshes the session or rewrites its cookie, and then waits for the origin or the provider.
            b.origin_ms.set(3_000);
            if target == "/userinfo" {
                a.provider.fault(Endpoint::Userinfo, Fault::Late(3_000));
            }
            let mut tasks = b.tasks();
            let late = tasks.start(b.answer(by(&b, &browser, target)));
            tasks.elapse_ms(2_000);
            assert!(tasks.is_open(late), "{what}");
            if matches!(meanwhile, Logout | Login) {
                assert_eq!(a.open(&mut browser, "/logout").status, 302, "{what}");
            }
            match meanwhile {
                Nothing | Logout => {}
                Login => assert_eq!(a.log_in(&mut browser).sets(COOKIE), Some(true), "{what}"),
                Refresh => {
                    a.sleep_s(1);
                    assert_eq!(a.send(&mut browser, Request::post("/refresh").script()).status, 200, "{what}");
                }
                Refusal => {
                    a.provider.answer_next(Endpoint::Token, Ok(refusal(400, "invalid_grant")));
                    // The browser has the outcome of the refresh from another response.
                    if is_due {
                        assert_eq!(a.open(&mut browser, "/app").status, 200, "{what}");
                    }
                    assert_eq!(a.send(&mut browser, Request::post("/refresh").script()).status, 401, "{what}");
                }
            }
            a.provider.clear_faults();
            let before = browser.value(COOKIE).map(String::from);
            tasks.finish();
            let late = tasks.output(late).unwrap();
            assert_eq!(late.status, 200, "{what}");
            browser.store_cookies(late, a.now());
            match meanwhile {
                // It changes nothing in the browser.
                Logout | Login | Refusal => {
                    assert_eq!(browser.value(COOKIE).map(String::from), before, "{what}");
                    assert_eq!(late.sets(COOKIE), None, "{what}");
                }
                // It brings the newest session, whichever response is last.
                Nothing | Refresh => {
                    assert_eq!(late.sets(COOKIE), Some(true), "{what}");
                    assert_eq!(a.session(&browser).tokens().refresh, Some(a.provider.newest()), "{what}");
                }
            }
            assert!(coordinator.asked(SessionAction::Check) <= 1, "{what}");
            a.sleep_s(7_200);
            let is_live = matches!(meanwhile, Nothing | Login | Refresh);
            for deployment in [&a, &b] {
                let status = peek(deployment, &browser, "/app").status;
                assert_eq!(status, if is_live { 200 } else { 401 }, "{what}");
            }
            assert_eq!(a.provider.state().reused, 0, "{what}");
        }
    }
}

#[test]
fn a_late_response_does_not_restore_a_session_without_a_refresh_token_either() {
    let a = Deployment::new();
    a.provider.set().refreshes = false;
    let (b, _coordinator) = (a.instance(), a.coordinated());
    let mut browser = a.logged_in();
    a.sleep_s(9_000);
    b.origin_ms.set(3_000);
    let mut tasks = b.tasks();
    let late = tasks.start(b.answer(by(&b, &browser, "/maybe")));
    tasks.elapse_ms(2_000);
    assert_eq!(a.open(&mut browser, "/logout").status, 302);
    tasks.finish();
    assert_eq!(tasks.output(late).unwrap().sets(COOKIE), None);
    // Otherwise it is extended.
    let mut browser = a.logged_in();
    a.sleep_s(9_000);
    assert_eq!(b.send(&mut browser, Request::get("/maybe")).sets(COOKIE), Some(true));
}

#[test]
fn the_coordinator_is_asked_about_late_responses_only_and_without_its_answer_the_cookie_stays() {
    for is_due in [true, false] {
        let expected = [
            (0, Behavior::Unreachable, 0, true),
            (99, Behavior::Unreachable, 0, true),
            (100, Behavior::Normal, 1, true),
            (100, Behavior::Unreachable, 1, false),
            (100, Behavior::Silent, 1, false),
            (100, Behavior::Responding(CoordinatorResponse { status: 500, text: String::new() }), 1, false),
            (100, Behavior::Responding(CoordinatorResponse { status: 410, text: String::new() }), 1, false),
        ];
        for (origin_ms, behavior, asked, sets) in expected {
            let Pair { a, b, coordinator, mut browser } = Pair::new();
            if !is_due {
                a.provider.set().life_s = 100_000;
                browser = a.logged_in();
                a.sleep_s(9_000);
            }
            b.origin_ms.set(origin_ms);
            let mut tasks = b.tasks();
            let request = tasks.start(b.answer(by(&b, &browser, "/app")));
            tasks.settle();
            coordinator.behave(behavior);
            tasks.finish();
            let sets_cookie = tasks.output(request).unwrap().sets(COOKIE);
            assert_eq!((sets_cookie, coordinator.asked(SessionAction::Check)), (sets.then_some(true), asked));
            // What the browser has still leads to the newest session.
            coordinator.reset();
            assert_eq!(peek(&a, &browser, "/app").status, 200);
            assert_eq!((a.provider.state().reused, a.provider.refreshes()), (0, usize::from(is_due)));
        }
    }
    // An unchanged session costs no question, however late the response is.
    let Pair { a, b, coordinator, .. } = Pair::new();
    let browser = a.logged_in();
    b.origin_ms.set(60_000);
    assert_eq!(peek(&b, &browser, "/app").status, 200);
    assert_eq!(coordinator.asked(SessionAction::Check), 0);
}

#[test]
fn an_unsealed_message_is_ignored() {
    /// A store that must not be read.
    struct Untouched;
    impl CoordinatorStore for Untouched {
        async fn read(&self) -> Result<String, Unreachable> {
            panic!("it is read")
        }
    }
    let pair = Pair::new();
    let party = pair.a.gateway.login().unwrap();
    // The session's cookie is not a message either.
    let cookie = pair.browser.value(COOKIE).unwrap().split_once('.').unwrap().1.to_string();
    for sealed in ["", "AAAA", cookie.as_str()] {
        for act in [SessionAction::Refresh, SessionAction::Logout, SessionAction::Replace, SessionAction::Check] {
            let outcome = pair.a.run(party.coordinate(act, sealed, &Untouched, &pair.a.host)).unwrap();
            assert_eq!((outcome.response.status, outcome.response.text.as_str()), (503, ""));
            assert!(outcome.store.is_none());
        }
    }
}
