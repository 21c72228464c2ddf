//! F22 to F25, F27, F31, F32, F36: endpoints of the provider that only some requests need, and what the instances share.

use edgeward::io::Unreachable;
use edgeward::limits;
use edgeward::oidc::{CoordinatorResponse, SharedResponse};
use serde_json::{Value, json};
use support::browser::{Browser, Request};
use support::coordinator::Behavior;
use support::deployment::{COOKIE, Deployment, SEALING_SECRET, oidc_config, with};
use support::host::Reply;
use support::provider::{Endpoint, Fault, refusal};
use support::world::{json as ok_json, status, token};
use support::{AUDIENCE, ISSUER, NOW, key_a};

use crate::site::{Site, assert_unavailable, assert_user, bearer, callback, session};

/// What the token endpoint may answer to a code.
fn exchanges() -> Vec<(&'static str, Fault)> {
    vec![
        ("no connection", Fault::Answer(Err(Unreachable::Network))),
        ("no answer after the request was sent", Fault::ResponseLost),
        ("a connection that breaks after it", Fault::BreakOff),
        ("invalid_grant", Fault::Answer(Ok(refusal(400, "invalid_grant")))),
        ("200 with an error", Fault::Answer(Ok(ok_json(r#"{"error":"invalid_grant"}"#)))),
        ("a wrong client secret", Fault::Answer(Ok(refusal(401, "invalid_client")))),
        ("500", Fault::Answer(Ok(status(500)))),
    ]
}

#[test]
fn f22_the_token_endpoint_fails_a_login() {
    for is_cold in [true, false] {
        for (what, fault) in exchanges() {
            let site = Site::new();
            let cold = site.cold();
            let instance = if is_cold { &cold } else { &site.deployment };
            let mut browser = Browser::default();
            let url = instance.begin(&mut browser, "/login?return_to=/app");
            site.provider.fault(Endpoint::Token, fault);
            let (response, asked) = site.counted(|| callback(instance, &browser, &url));
            assert_unavailable(&response, (502, "token_exchange_failed"), i64::from(limits::LOGIN_RETRY_AFTER_S), what);
            assert_eq!(asked[2], 1, "{what}: a code is sent once");
            let (response, asked) = site.counted(|| callback(instance, &browser, &url));
            assert_eq!((response.outcome(), asked[2]), ((400, "state_invalid".into()), 0), "{what}");
            assert!(site.has_logged("token_exchange_failed: "), "{what}");
            assert_eq!(bearer(instance, &token(key_a())).status, 200, "{what}");
            assert_user(&session(instance, &site.browser), false, what);
            assert_eq!(instance.log_in(&mut browser).sets(COOKIE), Some(true), "{what}");
        }
    }
}

#[test]
fn f22_the_token_endpoint_fails_a_refresh() {
    for is_cold in [true, false] {
        for (what, fault) in exchanges() {
            let site = Site::new();
            let cold = site.cold();
            let instance = if is_cold { &cold } else { &site.deployment };
            site.provider.fault(Endpoint::Token, fault);
            let (response, asked) = site.counted(|| session(instance, &site.due));
            assert_eq!(asked[2], 1, "{what}: a refresh token is sent once");
            if what == "invalid_grant" {
                assert_eq!((response.outcome().0, response.sets(COOKIE)), (401, Some(false)), "{what}: no loop");
                assert_eq!(site.counted(|| session(instance, &site.due)).1[2], 0, "{what}");
            } else {
                assert_user(&response, false, what);
                site.sleep_ms(limits::REFRESH_FAILURE_REMEMBERED_MS - 1);
                assert_eq!(site.counted(|| session(instance, &site.due)).1[2], 0, "{what}: the failure counts for 5 s");
            }
            assert_eq!(bearer(instance, &token(key_a())).status, 200, "{what}");
            assert_eq!(instance.log_in(&mut Browser::default()).sets(COOKIE), Some(true), "{what}");
        }
    }
}

#[test]
fn f24_userinfo_is_down() {
    let replies: [(&str, Reply); 3] =
        [("no connection", Err(Unreachable::Network)), ("500", Ok(status(500))), ("no JSON", Ok(ok_json("<html>")))];
    for is_cold in [true, false] {
        for (what, reply) in replies.clone() {
            let site = Site::new();
            let cold = site.cold();
            let instance = if is_cold { &cold } else { &site.deployment };
            site.provider.answer_next(Endpoint::Userinfo, reply);
            let claims =
                |browser: &Browser| instance.fetch(Request::get("/userinfo").cookie(&browser.header(instance.now())));
            let response = claims(&site.browser);
            assert_eq!(
                (response.status, response.json()["sub"].as_str()),
                (200, Some("user-1")),
                "{what}: of the session"
            );
            assert_eq!(site.provider.requests(Endpoint::Userinfo), 1, "{what}: asked once");
            assert_eq!(instance.log_in(&mut Browser::default()).sets(COOKIE), Some(true), "{what}: a login needs none");
            assert_eq!(claims(&site.browser).status, 200, "{what}");
        }
        // Where a login requires it, there is none without it.
        let required = json!({ "authorizer": { "userinfo_at_login": true } });
        let deployment = Deployment::of(&with(oidc_config(), &required));
        if !is_cold {
            deployment.logged_in();
        }
        deployment.provider.answer_next(Endpoint::Userinfo, Ok(status(500)));
        let response = deployment.log_in(&mut Browser::default());
        assert_eq!((response.status, response.sets(COOKIE)), (502, None));
        assert_eq!(deployment.log_in(&mut Browser::default()).sets(COOKIE), Some(true));
    }
}

/// A site whose sessions and tokens may be revoked, with a token that is younger than any revocation.
fn revocable(fail: &Value) -> Deployment {
    let mut config = with(oidc_config(), &json!({ "revocation": { "fail": fail } }));
    let paths = config["paths"].as_array_mut().unwrap();
    paths.push(json!({ "method": "POST", "path": "/backchannel", "integration": { "type": "backchannel_logout" } }));
    paths.push(
        json!({ "method": "POST", "path": "/revoke", "scopes": ["revoke"], "integration": { "type": "revoke" } }),
    );
    let deployment = Deployment::of(&config);
    deployment.shared(|shared| shared.are_bound = true);
    deployment
}

#[test]
fn f25_f32_the_shared_records_are_down_slow_or_answer_nonsense() {
    let says = |status, text: &str| Some(SharedResponse { status, text: text.into() });
    for is_cold in [true, false] {
        for fail in ["closed", "open"] {
            let deployment = revocable(&fail.into());
            let (browser, good) = (deployment.logged_in(), token(key_a()));
            let cold = deployment.instance();
            let instance = if is_cold { &cold } else { &deployment };
            let fails = |what: &str| {
                deployment.sleep_s(2);
                for response in [bearer(instance, &good), session(instance, &browser)] {
                    if fail == "open" {
                        assert_eq!(response.status, 200, "{what}");
                    } else {
                        assert_unavailable(&response, (503, "revocation_unavailable"), 1, what);
                    }
                }
                assert_eq!(instance.fetch(Request::get("/open")).status, 200, "{what}");
                assert!(deployment.lines().iter().any(|line| line.starts_with("revocation_unavailable: ")), "{what}");
            };
            deployment.shared(|shared| shared.are_down = true);
            fails("down");
            deployment.shared(|shared| (shared.are_down, shared.delay_ms) = (false, limits::REVOCATION_TIMEOUT_MS + 1));
            fails("slow");
            deployment.shared(|shared| shared.delay_ms = 0);
            for nonsense in [says(200, "nonsense"), says(200, "1e3"), says(500, ""), says(404, ""), says(0, "")] {
                deployment.shared(|shared| shared.nonsense = nonsense);
                fails("nonsense");
            }
            deployment.shared(|shared| shared.nonsense = None);
            deployment.sleep_s(2);
            assert_eq!((bearer(instance, &good).status, session(instance, &browser).status), (200, 200), "recovers");
            assert_eq!(instance.log_in(&mut Browser::default()).sets(COOKIE), Some(true));
        }
    }
}

#[test]
fn f27_a_rotated_and_a_removed_session_secret() {
    let secrets = |list: &[&str]| with(oidc_config(), &json!({ "session": { "secrets": list } }));
    let new = "another sealing secret of at least 32 characters";
    let site = Site::new();
    let mut pending = Browser::default();
    let url = site.begin(&mut pending, "/login?return_to=/app");
    // Secrets change with a deployment: every instance is a new one.
    let rotated = Deployment::on(&site.host, &site.provider, &secrets(&[new, SEALING_SECRET]));
    assert_user(&session(&rotated, &site.browser), false, "the old secret opens");
    assert_eq!(callback(&rotated, &pending, &url).sets(COOKIE), Some(true), "a login that is under way, too");
    let mut browser = site.due.clone();
    assert_user(&rotated.send(&mut browser, Request::get("/app")), true, "a refresh seals with the new one");
    let removed = Deployment::on(&site.host, &site.provider, &secrets(&[new]));
    assert_user(&session(&removed, &browser), false, "so that the old one can go");
    let response = session(&removed, &site.browser);
    assert_eq!((response.outcome(), response.sets(COOKIE)), ((401, "token_missing".into()), Some(false)));
    let response = removed.fetch(Request::get("/app").cookie(&site.browser.header(site.now())).page());
    assert_eq!((response.status, response.sets(COOKIE)), (302, Some(false)), "to the login, and no loop");
    assert_eq!(bearer(&removed, &token(key_a())).status, 200);
}

#[test]
fn f31_the_coordinator_is_down_slow_or_answers_nonsense() {
    let says = |status, text: &str| Behavior::Responding(CoordinatorResponse { status, text: text.into() });
    let forged = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for is_cold in [true, false] {
        for (what, behavior) in [
            ("unreachable", Behavior::Unreachable),
            ("silent", Behavior::Silent),
            ("500", says(500, "")),
            ("another status", says(418, "")),
            ("an empty text", says(200, "")),
            ("nonsense", says(200, "nonsense")),
            ("a forged session", says(200, forged)),
        ] {
            let site = Site::new();
            let coordinator = site.coordinated();
            let cold = site.cold();
            let instance = if is_cold { &cold } else { &site.deployment };
            coordinator.behave(behavior);
            let (response, asked) = site.counted(|| session(instance, &site.due));
            assert_user(&response, false, what);
            assert_eq!(asked, [0; 3], "{what}: a second exchange would end the session");
            assert_user(&session(instance, &site.browser), false, what);
            assert_eq!(bearer(instance, &token(key_a())).status, 200, "{what}");
            assert_eq!(instance.log_in(&mut site.browser.clone()).sets(COOKIE), Some(true), "{what}");
            coordinator.behave(Behavior::Normal);
            site.sleep_ms(limits::REFRESH_FAILURE_REMEMBERED_MS);
            assert_user(&session(instance, &site.due), true, what);
            assert_eq!((site.provider.refreshes(), site.provider.state().reused), (1, 0), "{what}");
        }
    }
}

#[test]
fn f36_the_introspection_endpoint_is_down() {
    let endpoint = "https://tenant.example.com/introspect";
    let active =
        json!({ "active": true, "iss": ISSUER, "sub": "user-1", "aud": AUDIENCE, "exp": NOW + 600 }).to_string();
    let config = with(oidc_config(), &json!({ "authorizer": { "introspection": {} } }));
    for is_cold in [true, false] {
        for (what, reply) in
            [("no connection", Err(Unreachable::Network)), ("500", Ok(status(500))), ("HTML", Ok(ok_json("<p>")))]
        {
            let deployment = Deployment::of(&config);
            deployment.provider.set().metadata = json!({ "introspection_endpoint": endpoint });
            deployment.register_secret("opaque-token-0123456789");
            let browser = deployment.logged_in();
            let cold = deployment.instance();
            let instance = if is_cold { &cold } else { &deployment };
            deployment.reply(endpoint, reply);
            let asked = || deployment.seen().urls().iter().filter(|url| *url == endpoint).count();
            for _ in 0..10 {
                let response = bearer(instance, "opaque-token-0123456789");
                assert_unavailable(&response, (503, "introspection_unavailable"), 1, what);
            }
            assert_eq!(asked(), 1, "{what}: the failure counts for a second");
            assert_eq!(bearer(instance, &token(key_a())).status, 200, "{what}: signed tokens do not need it");
            assert_user(&session(instance, &browser), false, what);
            deployment.reply(endpoint, Ok(ok_json(&active)));
            deployment.sleep_ms(limits::INTROSPECTION_PAUSE_MS);
            assert_eq!((bearer(instance, "opaque-token-0123456789").status, asked()), (200, 2), "{what}");
        }
    }
}
