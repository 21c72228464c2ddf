//! Logout.

use std::rc::Rc;

use edgeward::gateway::{Answer, HeaderEdit};
use edgeward::http::RequestHead;
use edgeward::io::Unreachable;
use edgeward::oidc::{CoordinatorResponse, SessionAction};
use serde_json::{Value, json};
use support::CLIENT;
use support::browser::{Browser, Request};
use support::coordinator::Behavior;
use support::deployment::{COOKIE, Deployment, config, oidc_config, with};
use support::provider::{Auth, CLIENT_SECRET, Endpoint, Fault, form, refusal};
use support::world::status;

use crate::{by, due, peek};

fn log_out(deployment: &Deployment, browser: &mut Browser) -> crate::Response {
    deployment.open(browser, "/logout")
}

/// The cookie of a browser that is at the provider's logout.
const LOGGED_OUT: &str = "__Host-edgeward-logged-out";

#[test]
fn a_logout_ends_on_a_page_even_if_the_provider_returns_to_a_protected_one() {
    let mut config = config();
    let root = json!({ "method": "GET", "path": "/", "integration": { "type": "respond", "body": "yours" } });
    config["paths"].as_array_mut().unwrap().push(root);
    let deployment = Deployment::of(&config);
    let mut browser = deployment.logged_in();
    assert_eq!(deployment.open(&mut browser, "/").status, 200);
    log_out(&deployment, &mut browser);
    // Other pages lead to the login, and requests that no user sees show nothing.
    assert_eq!(peek(&deployment, &browser, "/").status, 401);
    let cookies = browser.header(deployment.now());
    for request in [
        Request::new("HEAD", "/").page(),
        Request::get("/app").page(),
        Request::get("/?").page().header("sec-fetch-mode", "no-cors"),
    ] {
        let response = deployment.fetch(request.cookie(&cookies));
        assert!(response.status != 200 && response.sets(LOGGED_OUT).is_none(), "{}", response.status);
    }
    let page = deployment.open(&mut browser, "/");
    assert_eq!(page.status, 200);
    assert!(
        page.body.contains("You are logged out") && page.body.contains("href=\"/login?return_to=%2F\""),
        "{}",
        page.body
    );
    assert!(page.header("cache-control").unwrap().contains("no-store"));
    assert!(!deployment.has_logged("session_unsealable"), "{:?}", deployment.lines());
    // Once.
    assert!(browser.names().is_empty());
    assert!(deployment.open(&mut browser, "/").location().contains("/login?return_to=%2F"));
    // A value that a client invents only shows the page; an expired one, nothing.
    assert_eq!(deployment.fetch(Request::get("/").page().cookie("__Host-edgeward-logged-out=x")).status, 200);
    assert_eq!(deployment.fetch(Request::get("/").page().cookie("x__Host-edgeward-logged-out=1")).status, 302);
    let mut late = deployment.logged_in();
    log_out(&deployment, &mut late);
    deployment.sleep_s(601);
    assert_eq!(deployment.open(&mut late, "/").status, 302);
}

#[test]
fn a_logout_ends_the_session_and_redirects_to_auth0s_logout() {
    let deployment = Deployment::new();
    let mut browser = deployment.logged_in();
    let copy = browser.clone();
    let token = deployment.provider.newest();
    let answer = log_out(&deployment, &mut browser);
    let (endpoint, query) = answer.location().split_once('?').unwrap();
    assert_eq!(endpoint, "https://tenant.example.com/v2/logout");
    let parameters = form(query);
    assert_eq!(parameters["client_id"], "client-1");
    assert_eq!(parameters["returnTo"], "https://app.example.com/");
    assert_eq!(browser.names(), [LOGGED_OUT], "that of the page to which the provider returns");
    assert_eq!(peek(&deployment, &copy, "/app").outcome(), (401, "token_missing".into()));
    assert_eq!(peek(&deployment, &copy, "/maybe").origin_header("x-user"), None);
    assert_eq!(deployment.provider.state().revoked, [token]);
    assert_eq!(deployment.provider.refreshes(), 0);
}

#[test]
fn a_logout_redirects_to_the_providers_logout_with_the_id_token() {
    let deployment = Deployment::discovering();
    let mut browser = deployment.logged_in();
    let id = deployment.session(&browser).tokens().id.clone().unwrap();
    let answer = log_out(&deployment, &mut browser);
    let (endpoint, query) = answer.location().split_once('?').unwrap();
    assert_eq!(endpoint, "https://tenant.example.com/oidc/logout");
    let parameters = form(query);
    assert_eq!(parameters["id_token_hint"], id);
    assert_eq!(parameters["client_id"], "client-1");
    assert_eq!(parameters["post_logout_redirect_uri"], "https://app.example.com/");
}

#[test]
fn the_logout_sends_what_the_provider_accepts() {
    let of =
        |base: &Value, authorizer: &Value| Deployment::of(&with(base.clone(), &json!({ "authorizer": authorizer })));
    let parameter = |name: &str| json!({ "logout_parameter": name });
    // Amazon Cognito's own parameter, which its type sets. It refuses a logout with the standard one, and knows no ID token.
    let cognito = json!({ "type": "cognito", "audience": support::AUDIENCE });
    let (standard, own, auth0) = ("post_logout_redirect_uri", "logout_uri", "returnTo");
    for (what, deployment, path, name) in [
        ("oidc", of(&oidc_config(), &json!({})), "oidc/logout", standard),
        ("cognito", of(&oidc_config(), &cognito), "oidc/logout", own),
        ("a key of its own", of(&oidc_config(), &parameter(own)), "oidc/logout", own),
        ("a server like Auth0", of(&oidc_config(), &parameter(auth0)), "oidc/logout", auth0),
        ("auth0", of(&config(), &json!({})), "v2/logout", auth0),
        ("the standard logout of Auth0", of(&config(), &parameter(standard)), "oidc/logout", standard),
        (
            "cognito, with the standard parameter",
            of(
                &oidc_config(),
                &json!({ "type": "cognito", "audience": support::AUDIENCE, "logout_parameter": standard }),
            ),
            "oidc/logout",
            standard,
        ),
    ] {
        let mut browser = deployment.logged_in();
        let answer = log_out(&deployment, &mut browser);
        let (endpoint, query) = answer.location().split_once('?').unwrap();
        assert_eq!(endpoint, format!("https://tenant.example.com/{path}"), "{what}");
        let sent = form(query);
        let mut expected = vec!["client_id", name];
        expected.extend((name == standard).then_some("id_token_hint"));
        expected.sort_unstable();
        assert_eq!(sent.keys().collect::<Vec<_>>(), expected, "{what}");
        assert_eq!(sent[name], "https://app.example.com/", "{what}");
    }
}

#[test]
fn after_a_logout_the_browser_returns_to_the_configured_location_regardless_of_the_link() {
    let remote_jobs = "https://www.example.com/bye";
    let deployment = Deployment::of(&with(config(), &json!({ "authorizer": { "post_logout_uri": remote_jobs } })));
    let link = "/logout?returnTo=https%3A%2F%2Fevil.example&post_logout_redirect_uri=https%3A%2F%2Fevil.example";
    let answer = deployment.open(&mut deployment.logged_in(), link);
    assert_eq!(form(answer.location().split_once('?').unwrap().1)["returnTo"], remote_jobs);
    assert!(!answer.location().contains("evil"));
}

#[test]
fn without_a_session_a_logout_redirects_to_the_provider_too() {
    let deployment = Deployment::discovering();
    let answer = deployment.fetch(Request::get("/logout").page());
    let parameters = form(answer.location().split_once('?').unwrap().1);
    assert!(!parameters.contains_key("id_token_hint"));
    assert_eq!(deployment.seen().jobs.iter().filter(|job| **job == "session").count(), 0);
}

#[test]
fn without_a_logout_at_the_provider_there_is_a_page() {
    type Break = fn(&Deployment);
    let cases: [Break; 2] = [
        |deployment| deployment.provider.set().metadata = json!({ "end_session_endpoint": null }),
        |deployment| deployment.provider.take_all_down(),
    ];
    for breaks in cases {
        let deployment = Deployment::discovering();
        let mut browser = deployment.logged_in();
        let copy = browser.clone();
        let cold = deployment.instance();
        breaks(&deployment);
        let answer = log_out(&cold, &mut browser);
        assert_eq!((answer.status, answer.sets(COOKIE)), (200, Some(false)));
        assert!(answer.body.contains("logged_out"));
        assert_eq!(peek(&cold, &copy, "/app").status, 401);
    }
}

#[test]
fn a_logout_does_not_wait_for_the_revocation() {
    let deployment = Deployment::new();
    let mut browser = deployment.logged_in();
    deployment.provider.fault(Endpoint::Revocation, Fault::Late(5_000));
    let before_ms = deployment.elapsed_ms();
    assert_eq!(log_out(&deployment, &mut browser).status, 302);
    assert_eq!(deployment.elapsed_ms(), before_ms);
    assert_eq!(deployment.provider.requests(Endpoint::Revocation), 1);
}

#[test]
fn a_revocation_is_retried_with_the_next_secret_if_the_client_was_refused() {
    let secrets = json!({ "authorizer": { "client_secret": ["an old secret of the client", CLIENT_SECRET] } });
    for (auth, name) in [(Auth::Post, "client_secret_post"), (Auth::Basic, "client_secret_basic")] {
        let deployment =
            Deployment::of(&with(with(config(), &secrets), &json!({ "authorizer": { "client_auth": name } })));
        deployment.provider.set().auth = auth;
        let mut browser = deployment.logged_in();
        let token = deployment.provider.newest();
        log_out(&deployment, &mut browser);
        assert_eq!(deployment.provider.state().revoked, [token], "{name}");
        assert_eq!(deployment.provider.requests(Endpoint::Revocation), 2, "{name}");
    }
}

#[test]
fn a_revocation_that_fails_is_not_repeated_and_changes_nothing() {
    for (reply, requests) in [
        (Ok(status(500)), 1),
        (Ok(refusal(400, "unsupported_token_type")), 1),
        (Err(Unreachable::Network), 1),
        (Err(Unreachable::GivenUp), 1),
    ] {
        let deployment = Deployment::new();
        let mut browser = deployment.logged_in();
        let copy = browser.clone();
        deployment.provider.answer_next(Endpoint::Revocation, reply);
        assert_eq!(log_out(&deployment, &mut browser).status, 302);
        assert_eq!(deployment.provider.requests(Endpoint::Revocation), requests);
        assert!(deployment.has_logged("revocation_failed: https://tenant.example.com/oauth/revoke "));
        assert_eq!(peek(&deployment, &copy, "/app").status, 401);
    }
}

#[test]
fn the_client_authenticates_at_the_revocation_endpoint_as_that_announces() {
    let (basic, post) = ("client_secret_basic", "client_secret_post");
    for (configured, announced, used) in [
        (post, json!([basic]), Auth::Basic),
        (post, json!([basic, post]), Auth::Post),
        (post, json!(["private_key_jwt", post]), Auth::Post),
        (post, json!(["private_key_jwt"]), Auth::Post),
        (post, json!(null), Auth::Post),
        (post, json!(basic), Auth::Post),
        (basic, json!([post]), Auth::Post),
        (basic, json!([7, basic]), Auth::Basic),
        ("none", json!([basic, "none"]), Auth::None),
    ] {
        let mut config = with(oidc_config(), &json!({ "authorizer": { "client_auth": configured } }));
        if configured == "none" {
            config["authorizer"].as_object_mut().unwrap().remove("client_secret");
        }
        let deployment = Deployment::of(&config);
        deployment.provider.set().auth = match configured {
            "none" => Auth::None,
            one => {
                if one == basic {
                    Auth::Basic
                } else {
                    Auth::Post
                }
            }
        };
        deployment.provider.set().metadata = json!({ "revocation_endpoint_auth_methods_supported": announced });
        let mut browser = deployment.logged_in();
        let token = deployment.provider.newest();
        deployment.provider.set().auth = used;
        log_out(&deployment, &mut browser);
        assert_eq!(deployment.provider.state().revoked, [token], "{configured} {announced}");
        assert_eq!(deployment.provider.requests(Endpoint::Revocation), 1, "{configured} {announced}");
    }
}

#[test]
fn a_long_id_token_is_not_stored_and_the_logout_names_the_client() {
    // At most 1,536 bytes are.
    for (groups, is_stored) in [(1, true), (300, false)] {
        let deployment = Deployment::discovering();
        let groups: Vec<String> = (0..groups).map(|number| format!("/example/group-{number}")).collect();
        let sent = groups.clone();
        deployment.provider.set().id = Rc::new(move |id| id.claim("azp", CLIENT).claim("groups", sent.clone()));
        let mut browser = deployment.logged_in();
        let session = deployment.session(&browser);
        assert_eq!(session.tokens().id.is_some(), is_stored);
        assert_eq!(session.claims().get("groups").unwrap().to_json(), serde_json::to_string(&groups).unwrap());
        // A refreshed one must be for the same parties, whether the former one is stored or not.
        deployment.provider.set().rotates = false;
        for (has_azp, status) in [(true, 200), (false, 401)] {
            deployment.provider.set().id = Rc::new(move |id| if has_azp { id.claim("azp", CLIENT) } else { id });
            let answer = deployment.instance().send(&mut browser.clone(), Request::post("/refresh"));
            assert_eq!(answer.status, status, "{has_azp} {is_stored}");
        }
        let answer = log_out(&deployment, &mut browser);
        assert!(answer.location().len() < 2048, "{}", answer.location().len());
        let parameters = form(answer.location().split_once('?').unwrap().1);
        assert_eq!(parameters.contains_key("id_token_hint"), is_stored);
        assert_eq!(parameters["client_id"], "client-1");
        assert_eq!(parameters["post_logout_redirect_uri"], "https://app.example.com/");
    }
}

#[test]
fn a_logout_url_has_the_id_token_only_if_it_stays_short() {
    for (len, has_hint) in [(100, true), (1000, false)] {
        let bye = format!("https://app.example.com/{}", "a".repeat(len));
        let deployment = Deployment::of(&with(oidc_config(), &json!({ "authorizer": { "post_logout_uri": bye } })));
        let id = "x".repeat(500);
        deployment.provider.set().id = Rc::new(move |token| token.claim("picture", id.as_str()));
        let answer = log_out(&deployment, &mut deployment.logged_in());
        let parameters = form(answer.location().split_once('?').unwrap().1);
        assert_eq!(parameters.contains_key("id_token_hint"), has_hint, "{}", answer.location().len());
        assert!(answer.location().len() < 2048);
        assert_eq!(parameters["post_logout_redirect_uri"], bye);
    }
}

#[test]
fn nothing_is_revoked_without_a_refresh_token_or_an_endpoint() {
    let deployment = Deployment::new();
    deployment.provider.set().refreshes = false;
    let mut browser = deployment.logged_in();
    let copy = browser.clone();
    log_out(&deployment, &mut browser);
    assert_eq!(deployment.provider.requests(Endpoint::Revocation), 0);
    assert_eq!(peek(&deployment, &copy, "/app").status, 401);

    let without = Deployment::discovering();
    without.provider.set().metadata = json!({ "revocation_endpoint": null });
    let mut browser = without.logged_in();
    assert_eq!(log_out(&without, &mut browser).status, 302);
    assert_eq!(without.provider.requests(Endpoint::Revocation), 0);
}

#[test]
fn a_logout_revokes_a_refreshed_token_that_the_browser_never_received() {
    let deployment = Deployment::new();
    let mut browser = due(&deployment);
    let first = deployment.provider.newest();
    // The response is lost.
    peek(&deployment, &browser, "/app");
    log_out(&deployment, &mut browser);
    assert_ne!(deployment.provider.newest(), first);
    assert_eq!(deployment.provider.state().revoked, [deployment.provider.newest()]);
}

#[test]
fn a_logout_ends_every_session_that_a_browser_sends() {
    let shared = json!({ "session": { "cookie": "__Secure-s", "domain": "example.com" } });
    let deployment = Deployment::of(&with(config(), &shared));
    let (one, two) = (deployment.log_in_new_user(), deployment.log_in_new_user());
    let tokens = deployment.provider.state().given.clone();
    let both = format!("{}; {}", one.header(deployment.now()), two.header(deployment.now()));
    let answer = deployment.fetch(Request::get("/logout").page().cookie(&both));
    assert_eq!(answer.status, 302);
    let cleared = answer.cookies().iter().filter(|cookie| !cookie.starts_with(LOGGED_OUT)).count();
    assert_eq!(cleared, 2, "for the domain and for the host");
    for browser in [&one, &two] {
        assert_eq!(peek(&deployment, browser, "/app").status, 401);
    }
    let mut revoked = deployment.provider.state().revoked.clone();
    revoked.sort();
    assert_eq!(revoked, tokens);
}

#[test]
fn a_missing_response_of_the_coordinator_is_logged_and_the_logout_continues() {
    let saying = |status| Behavior::Responding(CoordinatorResponse { status, text: String::new() });
    for (behavior, waits_ms) in [
        (Behavior::Unreachable, 0),
        (Behavior::Silent, 2_000),
        (Behavior::ResponseLost, 2_000),
        (saying(500), 0),
        (saying(503), 0),
        (saying(410), 0),
    ] {
        let deployment = Deployment::new();
        let coordinator = deployment.coordinated();
        let mut browser = deployment.logged_in();
        let copy = browser.clone();
        coordinator.behave(behavior);
        let before_ms = deployment.elapsed_ms();
        let answer = log_out(&deployment, &mut browser);
        assert_eq!((answer.status, answer.sets(COOKIE)), (302, Some(false)));
        assert_eq!(deployment.elapsed_ms() - before_ms, waits_ms);
        assert!(deployment.has_logged("session_end_not_shared: "));
        assert_eq!(deployment.provider.state().revoked, [deployment.provider.newest()]);
        assert_eq!(peek(&deployment, &copy, "/app").status, 401);
    }
}

#[test]
fn the_coordinator_is_told_of_sessions_without_a_refresh_token_too() {
    // They are never refreshed, but a late response of another instance must not restore them.
    let deployment = Deployment::new();
    deployment.provider.set().refreshes = false;
    let coordinator = deployment.coordinated();
    let mut browser = deployment.logged_in();
    coordinator.behave(Behavior::Unreachable);
    log_out(&deployment, &mut browser);
    assert_eq!(coordinator.asked(SessionAction::Logout), 1);
    assert!(deployment.has_logged("session_end_not_shared: "));
    assert!(deployment.provider.state().revoked.is_empty());
}

#[test]
fn a_logout_continues_when_its_request_is_cancelled() {
    let deployment = Deployment::new();
    let coordinator = deployment.coordinated();
    let remote_jobs = deployment.instance();
    let browser = due(&deployment);
    coordinator.behave_next(Behavior::Delayed(500));
    let mut tasks = deployment.tasks();
    let request = tasks.start(deployment.answer(by(&deployment, &browser, "/logout").page()));
    tasks.settle();
    tasks.cancel(request);
    drop(tasks);
    deployment.sleep_s(1);
    assert_eq!(deployment.provider.state().revoked, [deployment.provider.newest()]);
    for instance in [&deployment, &remote_jobs] {
        assert_eq!(peek(instance, &browser, "/app").status, 401);
    }
}

#[test]
fn no_user_is_logged_out_unintentionally() {
    let deployment = Deployment::new();
    let browser = deployment.logged_in();
    let get = || by(&deployment, &browser, "/logout");
    let post = || Request::post("/logout").cookie(&browser.header(deployment.now()));
    for (what, request, status) in [
        ("HEAD", Request::new("HEAD", "/logout").cookie(&browser.header(deployment.now())), 200),
        ("a prefetch", get().prefetch(), 400),
        ("a script", get().script(), 400),
        ("another site's link", get().page().header("sec-fetch-site", "cross-site"), 200),
        ("an image", get().header("sec-fetch-mode", "no-cors").header("sec-fetch-dest", "image"), 200),
        ("a frame", get().page().header("sec-fetch-dest", "iframe"), 200),
        ("another site's form", post().header("sec-fetch-site", "cross-site"), 200),
    ] {
        let answer = deployment.fetch(request);
        assert_eq!((answer.status, answer.cookies().len()), (status, 0), "{what}");
        assert_eq!(peek(&deployment, &browser, "/app").status, 200, "{what}");
    }
    assert_eq!(deployment.provider.requests(Endpoint::Revocation), 0);
    assert_eq!(deployment.fetch(post().script()).sets(COOKIE), Some(false), "a form of this site");
}

#[test]
fn a_late_response_does_not_restore_a_session_logged_out_meanwhile() {
    let deployment = Deployment::new();
    deployment.provider.set().life_s = 100_000;
    let browser = deployment.logged_in();
    // The cookie is due to be rewritten, and the provider is slow.
    deployment.sleep_s(9_000);
    assert_eq!(peek(&deployment, &browser, "/userinfo").sets(COOKIE), Some(true));
    deployment.provider.fault(Endpoint::Userinfo, Fault::Late(800));
    let mut tasks = deployment.tasks();
    let late = tasks.start(deployment.answer(by(&deployment, &browser, "/userinfo")));
    tasks.settle();
    let logout = tasks.start(deployment.answer(by(&deployment, &browser, "/logout").page()));
    tasks.settle();
    assert_eq!(tasks.output(logout).unwrap().sets(COOKIE), Some(false));
    tasks.finish();
    let late = tasks.output(late).unwrap();
    assert_eq!((late.status, late.sets(COOKIE)), (200, None));
}

#[test]
fn a_late_response_of_an_origin_does_not_restore_a_session_logged_out_meanwhile() {
    let deployment = Deployment::new();
    deployment.provider.set().life_s = 100_000;
    let browser = deployment.logged_in();
    deployment.sleep_s(9_000);
    // The origin has received the request …
    let request = by(&deployment, &browser, "/app");
    let header = |name: &str| request.value(name);
    let head = RequestHead { method: request.method, url: &request.url, header: &header };
    let answer = deployment.run(deployment.gateway.handle(&head, &deployment.host));
    let Answer::Forward(forward) = answer else { panic!("the origin answers") };
    let sets = |status| {
        let edits = forward.response_edits(status, None);
        edits.iter().any(|edit| matches!(edit, HeaderEdit::Append(name, _) if name == "set-cookie"))
    };
    assert!(sets(200) && sets(101), "a response in time sets the session again");
    // … and is slow.
    assert_eq!(deployment.fetch(by(&deployment, &browser, "/logout").page()).sets(COOKIE), Some(false));
    assert!(!sets(200) && !sets(101));
    assert!(forward.unreachable(&head).header("set-cookie").is_none());
}

#[test]
fn a_logout_ends_a_session_that_is_not_accepted_at_that_moment() {
    let deployment = Deployment::new();
    deployment.coordinated();
    let other = deployment.instance();
    // The clock of the instance that logged the user in was ahead.
    let browser = deployment.logged_in();
    deployment.sleep_s(-600);
    assert_eq!(peek(&deployment, &browser, "/app").status, 401);
    assert_eq!(peek(&deployment, &browser, "/logout").status, 302);
    deployment.sleep_s(1000);
    assert_eq!(peek(&deployment, &browser, "/app").status, 401);
    deployment.sleep_s(3600);
    assert_eq!(peek(&other, &browser, "/app").status, 401);
    assert_eq!(deployment.provider.state().revoked.len(), 1);

    // The browser that logs out has not used its copy of the cookie for a day.
    let mut browser = deployment.log_in_new_user();
    let idle = browser.header(deployment.now());
    for _ in 0..5 {
        deployment.sleep_s(5 * 3600);
        assert_eq!(deployment.open(&mut browser, "/app").status, 200);
    }
    let copy = |target: &str| Request::get(target).page().cookie(&idle);
    assert_eq!(deployment.fetch(copy("/app")).status, 302, "it is idle");
    assert_eq!(deployment.fetch(copy("/logout")).status, 302);
    assert_eq!(peek(&deployment, &browser, "/app").status, 401);
    deployment.sleep_s(3600);
    assert_eq!(peek(&other, &browser, "/app").status, 401);
}

#[test]
fn a_logout_names_the_live_session_to_the_provider() {
    let shared = json!({ "session": { "cookie": "__Secure-s", "domain": "example.com" } });
    let deployment = Deployment::of(&with(oidc_config(), &shared));
    let live = deployment.log_in_new_user();
    let id_token = deployment.session(&live).tokens().id.clone().unwrap();
    let live = live.header(deployment.now());
    // A later one, of a clock that was ahead.
    deployment.sleep_s(600);
    let ahead = deployment.log_in_new_user().header(deployment.now());
    deployment.sleep_s(-600);
    for both in [format!("{live}; {ahead}"), format!("{ahead}; {live}")] {
        let fresh = deployment.instance();
        let answer = fresh.fetch(Request::get("/logout").page().cookie(&both));
        assert!(answer.location().contains(&format!("id_token_hint={id_token}")), "{}", answer.location());
    }
}
