//! Step-up logins: a route that needs a stronger or more recent login sends the browser to log in, once.

use std::rc::Rc;

use serde_json::{Value, json};
use support::browser::{Browser, Request};
use support::deployment::{COOKIE, Deployment, config, with};
use support::provider::Endpoint;

use crate::{by, peek};

/// Returns a configuration with routes that need other logins than `/app`.
fn stepping_up() -> Value {
    let mut config = config();
    let proxy = json!({ "type": "http_proxy", "url": "https://origin.example.com" });
    for (path, login) in [
        ("/mfa", json!({ "acr": ["urn:mfa"] })),
        ("/recent", json!({ "max_age": 300 })),
        ("/both", json!({ "acr": ["urn:hw", "urn:mfa"], "max_age": 600 })),
        ("/never", json!({ "acr": ["urn:mfa"], "on_unauthenticated": 401 })),
        ("/seen", json!({ "acr": ["urn:mfa"], "observe": true })),
    ] {
        let mut route = json!({ "method": "ANY", "path": path, "integration": proxy });
        for (name, value) in login.as_object().unwrap() {
            route[name] = value.clone();
        }
        config["paths"].as_array_mut().unwrap().push(route);
    }
    config
}

/// Lets the provider log users in like this, now, until the returned clock is set.
fn provider_says(deployment: &Deployment, acr: Option<&'static str>, seconds_ago: Option<i64>) {
    let now = deployment.now().secs();
    deployment.provider.set().id = Rc::new(move |id| {
        let id = acr.map_or_else(|| id.clone().without("acr"), |acr| id.clone().claim("acr", acr));
        seconds_ago.map_or_else(|| id.clone().without("auth_time"), |ago| id.clone().claim("auth_time", now - ago))
    });
}

/// Follows the gateway's redirect to its login. Returns the authorization request.
fn to_provider(deployment: &Deployment, browser: &mut Browser, target: &str) -> String {
    let login = deployment.open(browser, target).location().to_string();
    deployment.open(browser, &login).location().into()
}

#[test]
fn a_browser_is_sent_to_a_stronger_login_and_comes_back() {
    let deployment = Deployment::of(&stepping_up());
    provider_says(&deployment, None, None);
    let mut browser = deployment.logged_in();
    assert_eq!(deployment.open(&mut browser, "/app").status, 200);
    let login = deployment.open(&mut browser, "/mfa?x=1");
    assert_eq!(login.location(), "https://app.example.com/login?return_to=%2Fmfa%3Fx%3D1&acr_values=urn%3Amfa");
    let request = to_provider(&deployment, &mut browser, "/both");
    assert!(request.contains("&acr_values=urn%3Ahw%20urn%3Amfa&max_age=600"), "{request}");
    provider_says(&deployment, Some("urn:mfa"), Some(3));
    let callback = deployment.provider.authorize(&request);
    assert_eq!(deployment.open(&mut browser, &callback).location(), "/both");
    for path in ["/both", "/mfa", "/recent", "/app"] {
        assert_eq!(deployment.open(&mut browser, path).status, 200, "{path}");
    }
    deployment.sleep_s(400);
    assert_eq!(deployment.open(&mut browser, "/both").status, 200);
    let login = deployment.open(&mut browser, "/recent");
    assert_eq!(login.location(), "https://app.example.com/login?return_to=%2Frecent&max_age=300");
}

#[test]
fn the_first_login_for_a_route_is_already_the_required_one() {
    let deployment = Deployment::of(&stepping_up());
    let mut browser = Browser::default();
    let request = to_provider(&deployment, &mut browser, "/mfa");
    assert!(request.ends_with("&acr_values=urn%3Amfa"), "{request}");
}

#[test]
fn a_provider_that_does_not_deliver_causes_no_loop() {
    for (path, acr, seconds_ago) in [
        ("/mfa", None, Some(0)),
        ("/mfa", Some("urn:pwd"), Some(0)),
        ("/recent", Some("urn:mfa"), Some(310)),
        ("/recent", Some("urn:mfa"), None),
        ("/recent", Some("urn:mfa"), Some(-100)),
        ("/both", Some("urn:hw"), Some(1000)),
        ("/both", None, Some(0)),
    ] {
        let deployment = Deployment::of(&stepping_up());
        let mut browser = deployment.logged_in();
        let former = browser.value(COOKIE).map(String::from);
        provider_says(&deployment, acr, seconds_ago);
        let request = to_provider(&deployment, &mut browser, path);
        let callback = deployment.provider.authorize(&request);
        let page = deployment.open(&mut browser, &callback);
        assert_eq!(page.status, 403, "{path} {acr:?} {seconds_ago:?}");
        assert!(page.header("content-type").unwrap().starts_with("text/html"));
        assert!(page.body.contains("authentication_insufficient"), "{}", page.body);
        assert!(deployment.has_logged("authentication_insufficient: "));
        assert_eq!(browser.value(COOKIE).map(String::from), former, "the former session stays");
    }
}

#[test]
fn the_time_that_the_user_takes_to_come_back_does_not_count() {
    let deployment = Deployment::of(&stepping_up());
    let mut browser = deployment.logged_in();
    let request = to_provider(&deployment, &mut browser, "/recent");
    // The provider has a session that is just young enough.
    provider_says(&deployment, None, Some(300));
    let callback = deployment.provider.authorize(&request);
    deployment.sleep_s(60);
    assert_eq!(deployment.open(&mut browser, &callback).location(), "/recent");
    // By now it is too old. The user logs in again, at the provider's request.
    assert_eq!(deployment.open(&mut browser, "/recent").status, 302);
}

#[test]
fn scripts_and_forms_get_a_challenge_with_the_login() {
    let deployment = Deployment::of(&stepping_up());
    let mut browser = deployment.logged_in();
    let script = deployment.fetch(by(&deployment, &browser, "/both").script());
    assert_eq!(script.outcome(), (401, "insufficient_user_authentication".into()));
    assert_eq!(script.json()["login"], "/login?acr_values=urn%3Ahw%20urn%3Amfa&max_age=600");
    assert!(script.header("www-authenticate").unwrap().contains("acr_values=\"urn:hw urn:mfa\", max_age=\"600\""));
    assert_eq!(script.cookies().len(), 0, "the session stays");
    let post = Request::post("/mfa").cookie(&browser.header(deployment.now())).script();
    assert_eq!(deployment.fetch(post).outcome(), (401, "insufficient_user_authentication".into()));
    let page = deployment.open(&mut browser, "/never");
    assert_eq!(page.status, 401);
    assert!(page.body.contains("href=\"/login?return_to=%2Fnever&amp;acr_values=urn%3Amfa\""), "{}", page.body);
    let seen = peek(&deployment, &browser, "/seen");
    assert_eq!((seen.status, seen.header("x-edgeward-observed")), (200, Some("insufficient_user_authentication")));
}

#[test]
fn a_login_that_no_url_of_the_login_route_can_hold_begins_at_once() {
    let deployment = Deployment::of(&stepping_up());
    let mut browser = deployment.logged_in();
    let target = format!("/both?{}", "x".repeat(3000));
    let request = deployment.open(&mut browser, &target).location().to_string();
    assert!(request.starts_with("https://tenant.example.com/authorize?"), "{request}");
    assert!(request.contains("&acr_values=urn%3Ahw%20urn%3Amfa&max_age=600"), "{request}");
    provider_says(&deployment, Some("urn:pwd"), Some(0));
    let callback = deployment.provider.authorize(&request);
    assert_eq!(deployment.open(&mut browser, &callback).status, 403);
}

#[test]
fn what_describes_the_login_is_stored_whatever_claims_a_session_stores() {
    let deployment = Deployment::of(&with(stepping_up(), &json!({ "session": { "claims": ["email"] } })));
    provider_says(&deployment, Some("urn:mfa"), Some(0));
    let mut browser = deployment.logged_in();
    assert_eq!(deployment.open(&mut browser, "/both").status, 200);
    // The claims of an access token do not describe it.
    let deployment = Deployment::of(&stepping_up());
    deployment.provider.set().access = Rc::new(|access| access.claim("acr", "urn:mfa").text());
    let mut browser = deployment.logged_in();
    assert_eq!(deployment.open(&mut browser, "/mfa").status, 302);
}

#[test]
fn what_headers_of_routes_name_is_stored_whatever_claims_a_session_stores() {
    let mut config = with(config(), &json!({ "session": { "claims": ["email"] } }));
    let headers = json!({ "X-Phone": "$claims.phone" });
    let proxy = json!({ "type": "http_proxy", "url": "https://origin.example.com", "headers": headers });
    config["paths"].as_array_mut().unwrap().push(json!({ "method": "ANY", "path": "/phone", "integration": proxy }));
    let deployment = Deployment::of(&config);
    deployment.provider.set().id = Rc::new(|id| id.clone().claim("phone", "1").claim("fax", "2"));
    let mut browser = deployment.logged_in();
    assert_eq!(deployment.open(&mut browser, "/phone").origin_header("x-phone"), Some("1"));
    assert!(deployment.session(&browser).claims_at(deployment.now()).get("fax").is_none());
}

#[test]
fn a_link_that_requests_a_login_gets_it_or_none() {
    let deployment = Deployment::new();
    for (query, acr, seconds_ago, status) in [
        ("max_age=0", None, Some(0), 302),
        ("max_age=0", None, Some(6), 403),
        ("max_age=0", None, None, 403),
        ("max_age=x", None, None, 302),
        ("acr_values=a+b", Some("b"), None, 302),
        ("acr_values=a+b", Some("c"), None, 403),
        ("acr_values=a+b", None, None, 403),
        ("acr_values=", None, None, 302),
    ] {
        provider_says(&deployment, acr, seconds_ago);
        let mut browser = Browser::default();
        let callback = deployment.begin(&mut browser, &format!("/login?{query}"));
        let response = deployment.open(&mut browser, &callback);
        assert_eq!(response.status, status, "{query} {acr:?} {seconds_ago:?}");
        assert_eq!(response.sets(COOKIE), (status == 302).then_some(true));
    }
    assert_eq!(deployment.provider.requests(Endpoint::Token), 8);
}

/// The user may have removed the parameters from the request.
#[test]
fn a_configured_max_age_holds_for_every_login() {
    let params = json!({ "max_age": "300", "acr_values": "urn:mfa" });
    let config = with(config(), &json!({ "authorizer": { "authorization_params": params } }));
    for (seconds_ago, logs_in) in [(Some(0), true), (Some(300), true), (Some(306), false), (None, false)] {
        let deployment = Deployment::of(&config);
        // `acr_values` of the configuration are a wish.
        provider_says(&deployment, None, seconds_ago);
        let mut browser = Browser::default();
        let callback = deployment.begin(&mut browser, "/login?max_age=86400");
        let response = deployment.open(&mut browser, &callback);
        assert_eq!(response.sets(COOKIE), logs_in.then_some(true), "{seconds_ago:?}");
        if !logs_in {
            assert_eq!(response.status, 403);
            assert!(response.body.contains("authentication_insufficient"), "{}", response.body);
        }
    }
}
