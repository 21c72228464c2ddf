//! The way back: destinations, many logins at once, and callbacks that come again.

use std::rc::Rc;

use edgeward::limits;
use serde_json::json;
use support::browser::{Browser, ORIGIN, Request, Response};
use support::deployment::{COOKIE, Deployment, config, with};
use support::provider::{Endpoint, encoded, form};

use crate::peek;

const LOGIN_COOKIE: &str = "__Host-edgeward-login-";

/// Opens a page that needs a login and follows to the provider. Returns the callback URL to which the provider redirects.
fn deep_link(deployment: &Deployment, browser: &mut Browser, target: &str) -> String {
    let response = deployment.open(browser, target);
    assert_eq!(response.status, 302, "{}", response.body);
    let location = response.location().to_string();
    if location.starts_with(ORIGIN) {
        deployment.begin(browser, &location)
    } else {
        deployment.provider.authorize(&location)
    }
}

/// Returns the callback with which the provider reports an error instead.
fn failed(callback: &str, error: &str) -> String {
    callback.replace("code=", &format!("error={error}&x="))
}

/// Returns the address that a page links to.
fn link(page: &Response) -> String {
    let after = page.body.split_once("<a href=\"").unwrap_or_else(|| panic!("{} {}", page.status, page.body)).1;
    after.split_once('"').unwrap().0.replace("&amp;", "&")
}

fn long(bytes: usize) -> String {
    format!("/app?q={}", "a".repeat(bytes - "/app?q=".len()))
}

fn login_cookies(browser: &Browser) -> usize {
    browser.names().into_iter().filter(|name| name.starts_with(LOGIN_COOKIE)).count()
}

#[test]
fn every_address_comes_back_after_the_login() {
    let deployment = Deployment::new();
    for (target, destination) in [
        ("/app", "/app"),
        ("/app?", "/app?"),
        ("/app?a={b}|c^d\\e'f\"g<h>i`j k", "/app?a=%7Bb%7D%7Cc%5Ed%5Ce%27f%22g%3Ch%3Ei%60j%20k"),
        ("/app?a=%00%0d%0a%zz%&%C3%A9=%E9&b=%252F", "/app?a=%00%0d%0a%zz%&%C3%A9=%E9&b=%252F"),
        ("/app?next=//evil.example&u=https://evil.example/", "/app?next=//evil.example&u=https://evil.example/"),
    ] {
        let mut browser = Browser::default();
        let response = deployment.open(&mut browser, target);
        let callback = deployment.begin(&mut browser, response.location());
        assert_eq!(deployment.open(&mut browser, &callback).location(), destination);
    }
}

#[test]
fn a_path_with_two_slashes_comes_back_but_no_link_can_name_one() {
    let mut config = config();
    let wide = json!({ "method": "ANY", "path": "/wide/{*rest}", "integration": { "type": "respond", "body": "w" } });
    config["paths"].as_array_mut().unwrap().push(wide);
    let deployment = Deployment::of(&config);
    let mut browser = Browser::default();
    let first = deployment.open(&mut browser, "/wide/a//b?c");
    assert!(first.location().starts_with("https://tenant.example.com/authorize?"), "the login begins here");
    let callback = deployment.provider.authorize(first.location());
    assert_eq!(deployment.open(&mut browser, &callback).location(), "/wide/a//b?c");
    let callback = deployment.begin(&mut browser, "/login?return_to=/wide/a//b");
    assert_eq!(deployment.open(&mut browser, &callback).location(), "/");
}

#[test]
fn a_long_deep_link_begins_its_login_at_once() {
    let deployment = Deployment::new();
    for bytes in [1025, 8192 + 5, limits::MAX_RETURN_TO_BYTES] {
        let (mut browser, target) = (Browser::default(), long(bytes));
        let response = deployment.open(&mut browser, &target);
        assert!(response.location().starts_with("https://tenant.example.com/authorize?"), "{bytes}");
        assert!(response.location().len() < 1024 && response.header("referrer-policy") == Some("no-referrer"));
        assert_eq!(login_cookies(&browser), if bytes < 2000 { 1 } else { 4 });
        let age = if bytes < 2000 { "; Max-Age=86400;" } else { "; Max-Age=3600;" };
        assert!(response.cookies().iter().all(|cookie| cookie.contains(age)), "{bytes}");
        let callback = deployment.provider.authorize(response.location());
        assert_eq!(deployment.open(&mut browser, &callback).location(), target, "{bytes}");
        assert_eq!(browser.names(), [COOKIE], "every chunk is cleared");
    }
    let short = deployment.open(&mut Browser::default(), &long(1024));
    assert!(short.location().starts_with("https://app.example.com/login?return_to=%2Fapp%3Fq%3Daaa"));

    let target = long(5000);
    let head = deployment.fetch(Request::new("HEAD", &target).page());
    assert_eq!((head.location(), head.cookies().len()), ("https://app.example.com/login?return_to=%2F", 0));
    let frame = deployment.fetch(Request::get(&target).page().header("sec-fetch-dest", "iframe"));
    assert_eq!((frame.status, frame.cookies().len()), (400, 0));
    for program in [Request::get(&target), Request::get(&target).prefetch(), Request::post(&target).page()] {
        let response = deployment.fetch(program);
        assert_eq!((response.status, response.cookies().len()), (401, 0));
    }
    // Where its cookie would be lost, no login begins.
    let elsewhere = deployment.fetch(Request::get(&format!("https://www.example.com{target}")).page());
    assert_eq!((elsewhere.status, link(&elsewhere)), (400, "/login".into()));
    assert!(elsewhere.body.contains("return_to_too_long") && elsewhere.cookies().is_empty());
    // A stale session cookie is cleared as by any other challenge.
    let stale = deployment.fetch(Request::get(&target).page().cookie(&format!("{COOKIE}=1.x")));
    assert_eq!(stale.sets(COOKIE), Some(false));
}

#[test]
fn an_address_that_is_too_long_is_said() {
    let deployment = Deployment::new();
    let target = long(limits::MAX_RETURN_TO_BYTES + 1);
    let braces = format!("/app?{}", "{".repeat(4000));
    for target in [target.clone(), braces, format!("/login?return_to={}", encoded(&target))] {
        let page = deployment.fetch(Request::get(&target).page());
        assert_eq!((page.status, page.cookies().len()), (400, 0));
        assert!(page.body.contains("return_to_too_long") && page.body.contains("This address is too long"));
        assert_eq!(link(&page), "/login");
        assert!(page.body.len() < 4096, "it is not repeated");
    }
    assert_eq!(deployment.fetch(Request::get(&target)).outcome(), (401, "token_missing".into()));
    // Where every login leads to one page, no address is too long.
    let fixed = json!({ "authorizer": { "callback_uri": "https://www.example.com/welcome" } });
    let deployment = Deployment::of(&with(config(), &fixed));
    let mut browser = Browser::default();
    let callback = deep_link(&deployment, &mut browser, &target);
    assert_eq!(deployment.open(&mut browser, &callback).location(), "https://www.example.com/welcome");
}

#[test]
fn every_failure_leads_to_a_login_with_the_same_destination() {
    let deployment = Deployment::discovering();
    let retry = "/login?return_to=%2Fapp%3Fpage%3D2%26q%3D%257B";
    let target = "/app?page=2&q={";
    let code = |page: &Response, code: &str| assert!(page.body.contains(code), "{code}: {}", page.body);

    let mut browser = Browser::default();
    let callback = deep_link(&deployment, &mut browser, target);
    let jar = browser.clone();
    let by_jar = |url: &str| deployment.fetch(Request::get(url).page().cookie(&jar.header(deployment.now())));
    for (url, expected) in [
        (format!("{callback}&code=x"), "callback_invalid"),
        (callback.replace("tenant", "evil"), "callback_issuer_mismatch"),
        (callback.clone(), "state_invalid"),
    ] {
        let page = by_jar(&url);
        assert_eq!((page.status, link(&page)), (400, retry.into()), "{expected}");
        code(&page, expected);
    }
    let unknown = by_jar(&callback.replace("state=", "state=x"));
    assert_eq!((unknown.status, link(&unknown)), (400, "/login".into()));

    let callback = deep_link(&deployment, &mut browser, target);
    let denied = deployment.open(&mut browser, &failed(&callback, "access_denied"));
    assert_eq!((denied.status, link(&denied)), (400, retry.into()));

    let callback = deep_link(&deployment, &mut browser, target);
    deployment.provider.take_down(Endpoint::Token);
    let outage = deployment.open(&mut browser, &callback);
    assert_eq!((outage.status, link(&outage)), (502, retry.into()));
    deployment.provider.bring_up();

    // Another instance, which does not know the provider yet.
    let callback = deep_link(&deployment, &mut browser, target);
    let other = deployment.instance();
    other.provider.take_down(Endpoint::Discovery);
    let outage = other.open(&mut browser, &callback);
    assert_eq!((outage.status, link(&outage)), (502, retry.into()));
    let begun = other.open(&mut Browser::default(), &long(3000));
    assert_eq!((begun.status, link(&begun)), (502, long(3000)), "the page itself, where the login begins");
    other.provider.bring_up();
    other.sleep_s(2);
    assert_eq!(other.open(&mut browser, &callback).location(), "/app?page=2&q=%7B", "nothing was consumed");

    // A destination that is too long for a link is the link.
    let mut browser = Browser::default();
    let callback = deep_link(&deployment, &mut browser, &long(3000));
    assert_eq!(
        link(&deployment.fetch(Request::get(&failed(&callback, "x")).page().cookie(&browser.header(deployment.now())))),
        long(3000)
    );
    // No link logs the user out.
    let callback = deployment.begin(&mut browser, "/login?return_to=/logout");
    assert_eq!(link(&deployment.open(&mut Browser::clone(&browser), &failed(&callback, "x"))), "/login?return_to=%2F");
}

#[test]
fn a_login_that_took_too_long_keeps_its_destination_and_redeems_nothing() {
    let deployment = Deployment::new();
    let mut browser = Browser::default();
    let callback = deep_link(&deployment, &mut browser, "/app?page=2");
    deployment.sleep_s(600);
    for _ in 0..2 {
        let page = deployment.open(&mut browser, &callback);
        assert_eq!((page.status, link(&page)), (400, "/login?return_to=%2Fapp%3Fpage%3D2".into()));
        assert!(page.body.contains("This login took too long") && page.body.contains("state_invalid"));
    }
    deployment.sleep_s(86_400 - 601);
    let page = deployment.open(&mut browser, &callback);
    assert_eq!(link(&page), "/login?return_to=%2Fapp%3Fpage%3D2");
    let again = deployment.begin(&mut browser, &link(&page));
    assert_eq!(deployment.open(&mut browser, &again).location(), "/app?page=2");
    assert_eq!(deployment.provider.requests(Endpoint::Token), 1);
}

#[test]
fn a_login_that_took_too_long_does_not_go_on_with_an_older_session() {
    let deployment = Deployment::new();
    let mut browser = Browser::default();
    let first = deep_link(&deployment, &mut browser, "/app");
    assert_eq!(deployment.open(&mut browser, &first).status, 302);
    deployment.sleep_s(5);
    // "Log in as another user": the session of before is the wrong one.
    let callback = deployment.begin(&mut browser, "/login?return_to=/app%3Fa&prompt=login");
    deployment.sleep_s(601);
    let page = deployment.open(&mut browser, &callback);
    assert_eq!((page.status, link(&page)), (400, "/login?return_to=%2Fapp%3Fa".into()));
    // A session that began after this login is what it was for.
    let again = deployment.begin(&mut browser, &link(&page));
    assert_eq!(deployment.open(&mut browser, &again).location(), "/app?a");
    assert_eq!(deployment.open(&mut browser, &callback).location(), "/app?a");
}

#[test]
fn twenty_logins_finish_in_any_order_within_four_kilobytes_of_cookies() {
    let deployment = Deployment::new();
    let destination = |tab: usize| format!("/app?tab={tab:02}&{}", "d".repeat(100 - "/app?tab=00&".len()));
    let mut browser = Browser::default();
    let callbacks: Vec<String> = (0..20).map(|tab| deep_link(&deployment, &mut browser, &destination(tab))).collect();
    assert_eq!(login_cookies(&browser), 20);
    let header = browser.header(deployment.now());
    assert!(header.len() < 4096, "{}", header.len());
    for step in 0..20 {
        let tab = step * 7 % 20;
        assert_eq!(deployment.open(&mut browser, &callbacks[tab]).location(), destination(tab), "{tab}");
    }
    assert_eq!(browser.names(), [COOKIE]);
    assert_eq!(deployment.provider.requests(Endpoint::Token), 20);
}

#[test]
fn one_long_login_fits_beside_nineteen_and_more_replace_the_oldest() {
    let deployment = Deployment::new();
    let mut browser = Browser::default();
    let mut callbacks: Vec<String> = (0..19).map(|_| deep_link(&deployment, &mut browser, "/app?short")).collect();
    callbacks.push(deep_link(&deployment, &mut browser, &long(8192)));
    assert_eq!(login_cookies(&browser), 19 + 4);
    assert!(browser.header(deployment.now()).len() <= limits::MAX_LOGIN_COOKIES_BYTES);
    let all = browser.clone();
    for (index, callback) in callbacks.iter().enumerate() {
        let response = deployment.open(&mut all.clone(), callback);
        assert_eq!(response.location().len(), if index == 19 { 8192 } else { 10 });
    }
    // A second long one replaces the first, and what is older.
    let last = deep_link(&deployment, &mut browser, &long(8192));
    assert_eq!(login_cookies(&browser), 4);
    assert_eq!(deployment.open(&mut browser, &last).location(), long(8192));

    let mut browser = Browser::default();
    for _ in 0..50 {
        deep_link(&deployment, &mut browser, "/app");
        assert!(login_cookies(&browser) <= 20);
    }
}

#[test]
fn stale_and_foreign_login_cookies_neither_stop_a_login_nor_stay() {
    let deployment = Deployment::new();
    let stale = |index: usize, value: &str| format!("{LOGIN_COOKIE}{index:08}={value}");
    for value in ["1.x", "", "x", &format!("1.{}", "A".repeat(168)), &format!("4.{}", "A".repeat(3500))] {
        let count = if value.len() > 1000 { 4 } else { 100 };
        let cookies: Vec<String> = (0..count).map(|index| stale(index, value)).collect();
        let response = deployment.fetch(Request::get("/login?return_to=/app").page().cookie(&cookies.join("; ")));
        assert_eq!(response.status, 302, "{value}");
        assert!(response.cookies().len() <= 1 + limits::MAX_LOGIN_COOKIES_CLEARED);
        if value.len() < 100 {
            assert_eq!(response.cookies().len(), 1 + limits::MAX_LOGIN_COOKIES_CLEARED, "{value}");
        }
        let mut browser = Browser::default();
        browser.store_cookies(&response, deployment.now());
        let callback = deployment.provider.authorize(response.location());
        let header = format!("{}; {}", cookies.join("; "), browser.header(deployment.now()));
        assert_eq!(deployment.fetch(Request::get(&callback).page().cookie(&header)).location(), "/app");
    }
    let one = format!("{LOGIN_COOKIE}aaaaaaaa.1={}", "A".repeat(50));
    let response = deployment.fetch(Request::get("/login").page().cookie(&one));
    assert_eq!(response.cookies().len(), 1, "a lone chunk does no harm");
}

#[test]
fn a_callback_that_comes_again_goes_on_with_a_session_and_redeems_nothing() {
    let deployment = Deployment::new();
    let mut browser = Browser::default();
    let callback = deep_link(&deployment, &mut browser, "/app?page=2");
    let jar = browser.clone();
    assert_eq!(deployment.open(&mut browser, &callback).location(), "/app?page=2");
    let session = browser.header(deployment.now());
    let state = format!("state={}", form(callback.split_once('?').unwrap().1)["state"]);
    for (url, cookies, destination) in [
        (callback.clone(), session.clone(), "/"),
        (callback.clone(), format!("{}; {session}", jar.header(deployment.now())), "/app?page=2"),
        ("/callback".into(), session.clone(), "/"),
        ("/callback?state=&code=".into(), session.clone(), "/"),
        (format!("{callback}&state=x"), session.clone(), "/"),
        (format!("/callback?{state}&code=other&return_to=//evil.example"), session.clone(), "/"),
        (callback.replace("tenant", "evil"), session.clone(), "/"),
        (failed(&callback, "access_denied"), session.clone(), "/"),
    ] {
        let response = deployment.fetch(Request::get(&url).page().cookie(&cookies));
        assert_eq!((response.status, response.location()), (302, destination), "{url}");
        assert!(response.cookies().is_empty(), "{url}");
    }
    // Later, and in an instance that remembers nothing, the cookie of the login tells where it led.
    deployment.sleep_s(61);
    let both = format!("{}; {session}", jar.header(deployment.now()));
    assert_eq!(deployment.fetch(Request::get(&callback).page().cookie(&both)).location(), "/app?page=2");
    deployment.sleep_s(600);
    let other = deployment.instance();
    assert_eq!(other.fetch(Request::get(&callback).page().cookie(&both)).location(), "/app?page=2");
    assert_eq!(deployment.provider.requests(Endpoint::Token), 1);
    assert!(deployment.lines().is_empty(), "{:?}", deployment.lines());

    // Without a session, the user has to log in; nor does a login to the logout log out.
    let page = deployment.fetch(Request::get(&callback).page().cookie(&jar.header(deployment.now())));
    assert_eq!((page.status, link(&page)), (400, "/login?return_to=%2Fapp%3Fpage%3D2".into()));
    let nothing = deployment.fetch(Request::get(&callback).page());
    assert_eq!((nothing.status, link(&nothing)), (400, "/login".into()));
    let away = deployment.begin(&mut browser, "/login?return_to=/logout");
    deployment.sleep_s(600);
    assert_eq!(deployment.open(&mut browser, &away).location(), "/");
}

#[test]
fn a_callback_sent_twice_at_once_brings_one_session_to_both() {
    let deployment = Deployment::new();
    let mut browser = Browser::default();
    let callback = deep_link(&deployment, &mut browser, "/app?page=2");
    deployment.hesitate();
    let request = || Request::get(&callback).page().cookie(&browser.header(deployment.now()));
    let answers = deployment.run_all((0..5).map(|_| deployment.answer(request())));
    let sessions: Vec<String> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.location(), "/app?page=2");
            let mut browser = Browser::default();
            browser.store_cookies(answer, deployment.now());
            deployment.session(&browser).id().into()
        })
        .collect();
    assert!(sessions.iter().all(|id| *id == sessions[0]));
    assert_eq!(deployment.provider.requests(Endpoint::Token), 1);

    // With another code, from another browser, after a logout or a minute later, there is none.
    let refused = |request: Request| assert_eq!(deployment.fetch(request).sets(COOKIE), None);
    refused(Request { url: callback.replace("code=", "code=x"), ..request() });
    refused(Request::get(&callback).page());
    let mut owner = Browser::default();
    owner.store_cookies(&answers[0], deployment.now());
    assert_eq!(deployment.fetch(request()).sets(COOKIE), Some(true));
    deployment.open(&mut owner, "/logout");
    refused(request());
    assert_eq!(deployment.provider.requests(Endpoint::Token), 1);

    let callback = deep_link(&deployment, &mut browser, "/app");
    let again = Request::get(&callback).page().cookie(&browser.header(deployment.now()));
    assert_eq!(deployment.fetch(again.clone()).sets(COOKIE), Some(true));
    deployment.sleep_s(60);
    refused(again);
}

#[test]
fn a_second_login_replaces_the_session_even_if_its_callback_comes_twice() {
    let deployment = Deployment::new();
    let mut browser = deployment.logged_in();
    let old = browser.clone();
    let callback = deployment.begin(&mut browser, "/login?return_to=/app");
    let twice = browser.clone();
    assert_eq!(deployment.open(&mut browser, &callback).sets(COOKIE), Some(true));
    assert_eq!(peek(&deployment, &old, "/app").status, 401);
    let second = deployment.open(&mut twice.clone(), &callback);
    assert_eq!((second.location(), second.sets(COOKIE)), ("/app", Some(true)));
    assert_eq!(peek(&deployment, &browser, "/app").status, 200, "which is not ended by its own callback");
}

#[test]
fn a_provider_that_timed_out_or_may_not_ask_is_asked_again_once() {
    let expired = "temporarily_unavailable&error_description=authentication_expired";
    for (login, error, restarts) in [
        ("/login?return_to=/app", expired, true),
        ("/login?return_to=/app&prompt=none&organization=o&login_hint=a%26b", "login_required", true),
        ("/login?return_to=/app&prompt=none", "interaction_required", true),
        ("/login?return_to=/app&prompt=none", "consent_required", true),
        ("/login?return_to=/app&prompt=none", "access_denied", false),
        ("/login?return_to=/app&prompt=none", "temporarily_unavailable", false),
        ("/login?return_to=/app&prompt=login", "login_required", false),
        ("/login?return_to=/app", "login_required", false),
        ("/login?return_to=/app", "temporarily_unavailable&error_description=x", false),
    ] {
        for after_s in [0, 3600] {
            let deployment = Deployment::discovering();
            let mut browser = Browser::default();
            let callback = deployment.begin(&mut browser, login);
            deployment.sleep_s(after_s);
            let first = browser.clone();
            let response = deployment.open(&mut browser, &failed(&callback, error));
            if !restarts {
                assert_eq!((response.status, link(&response)), (400, "/login?return_to=%2Fapp".into()), "{error}");
                continue;
            }
            let location = response.location().to_string();
            let parameters = form(location.split_once('?').unwrap().1);
            assert!(
                location.starts_with("https://tenant.example.com/authorize?") && !parameters.contains_key("prompt")
            );
            if login.contains("organization") {
                assert_eq!((parameters["organization"].as_str(), parameters["login_hint"].as_str()), ("o", "a&b"));
            }
            assert_eq!(login_cookies(&browser), 1, "the first login is cleared");
            let again = deployment.provider.authorize(&location);
            // The same callback again does not begin another one, and the second failure is told.
            assert_eq!(deployment.open(&mut first.clone(), &failed(&callback, error)).status, 400);
            let mut failing = browser.clone();
            let second = deployment.open(&mut failing, &failed(&again, error));
            assert_eq!((second.status, link(&second)), (400, "/login?return_to=%2Fapp".into()), "{error}");
        }
    }
    let deployment = Deployment::discovering();
    let mut browser = Browser::default();
    let callback = deployment.begin(&mut browser, "/login?return_to=/app&prompt=none");
    let wrong = failed(&callback, "login_required").replace("tenant", "evil");
    assert_eq!(deployment.open(&mut browser, &wrong).status, 400, "another issuer restarts nothing");
    let callback = deployment.begin(&mut browser, "/login?return_to=/app&prompt=none");
    let location = deployment.open(&mut browser, &failed(&callback, "login_required")).location().to_string();
    let again = deployment.provider.authorize(&location);
    assert_eq!(deployment.open(&mut browser, &again).location(), "/app");
}

#[test]
fn logins_and_logouts_at_the_host_of_an_organization_stay_there() {
    for (destination, is_own) in [("https://app.example.com/open", true), ("https://www.example.com/open", false)] {
        let mut config = config();
        let mut authorizer = config.as_object_mut().unwrap().remove("authorizer").unwrap();
        authorizer["callback_uri"] = format!("{destination}?from=login").into();
        authorizer["post_logout_uri"] = destination.into();
        config["authorizers"] = json!({ "main": authorizer });
        config["hosts"] = json!({
            "app.example.com": { "authorizer": "main" },
            "acme.example.com": { "authorizer": "main", "organization": "acme" },
            "globex.example.com:8443": { "authorizer": "main", "organization": "org_2" },
        });
        let deployment = Deployment::of(&config);
        for (origin, claim, organization) in [
            ("https://app.example.com", "nothing", ""),
            ("https://acme.example.com", "org_name", "acme"),
            ("https://globex.example.com:8443", "org_id", "org_2"),
        ] {
            deployment.provider.set().id = Rc::new(move |id| id.claim(claim, organization));
            deployment.provider.set().access = Rc::new(move |access| access.claim(claim, organization).text());
            let mut browser = Browser::default();
            let callback = deployment.begin(&mut browser, &format!("{origin}/login"));
            assert!(callback.starts_with(&format!("{origin}/callback?")), "{callback}");
            let home = if is_own { format!("{origin}/open") } else { destination.into() };
            assert_eq!(deployment.open(&mut browser, &callback).location(), format!("{home}?from=login"));
            assert_eq!(deployment.open(&mut browser, &format!("{origin}/app")).status, 200, "{origin}");
            let logout = deployment.open(&mut browser, &format!("{origin}/logout"));
            let return_to = format!("returnTo={}", encoded(&home));
            assert!(logout.location().contains(&return_to), "{}", logout.location());
            assert_ne!(deployment.open(&mut browser, &format!("{origin}/app")).status, 200, "{origin}");
        }
    }
}
