//! The userinfo route, and userinfo in sessions.

use std::rc::Rc;

use edgeward::io::{Incoming, Unreachable};
use serde_json::{Value, json};
use support::browser::{Browser, Request};
use support::deployment::{COOKIE, Deployment, oidc_config, with};
use support::provider::{Endpoint, Fault};
use support::world::{json as ok_json, status};
use support::{CLIENT, Mint, key_a, key_b};

use crate::peek;

/// A response of the provider, with the status and code for a request with a token.
type Case = (fn() -> Fault, u16, &'static str);

fn answers(incoming: Incoming) -> Fault {
    Fault::Answer(Ok(incoming))
}

/// Failures after which a session still returns its claims.
const FAILURES: [Case; 9] = [
    (|| answers(status(401)), 401, "userinfo_token_refused"),
    (|| answers(status(403)), 401, "userinfo_token_refused"),
    (|| answers(status(500)), 502, "userinfo_unavailable"),
    (|| answers(status(302)), 502, "userinfo_unavailable"),
    (|| answers(ok_json("not JSON")), 502, "userinfo_unavailable"),
    (|| answers(ok_json(&format!(r#"{{"sub":"user-1","x":"{}"}}"#, "x".repeat(70_000)))), 502, "userinfo_unavailable"),
    (
        || answers(Incoming { content_type: Some("text/html".into()), ..ok_json("<html>Please log in</html>") }),
        502,
        "userinfo_unavailable",
    ),
    (|| Fault::Answer(Err(Unreachable::Network)), 502, "userinfo_unavailable"),
    (|| Fault::ResponseLost, 502, "userinfo_unavailable"),
];

/// Returns an access token issued by the provider.
fn token(deployment: &Deployment) -> String {
    deployment.session(&deployment.logged_in()).tokens().access.clone()
}

#[test]
fn callers_get_the_providers_claims() {
    let deployment = Deployment::discovering();
    let fresh = json!({ "sub": "user-1", "email": "ann@example.com" });
    let by_session = peek(&deployment, &deployment.logged_in(), "/userinfo");
    assert_eq!((by_session.status, by_session.json()), (200, fresh.clone()));
    let by_token = deployment.fetch(Request::get("/userinfo").bearer(&token(&deployment)));
    assert_eq!((by_token.status, by_token.json()), (200, fresh));
    assert!([by_session, by_token].iter().all(|answer| answer.header("cache-control") == Some("private, no-store")));
}

#[test]
fn a_route_returns_the_verified_claims_without_the_provider() {
    let mut config = oidc_config();
    for (path, auth) in [("/me", "required"), ("/me/session", "none"), ("/me/maybe", "optional")] {
        let route = json!({ "method": "GET", "path": path, "auth": auth, "integration": { "type": "claims" } });
        config["paths"].as_array_mut().unwrap().push(route);
    }
    let deployment = Deployment::of(&config);
    let browser = deployment.logged_in();
    let token = token(&deployment);
    deployment.provider.take_all_down();
    for path in ["/me", "/me/session", "/me/maybe"] {
        let answer = peek(&deployment, &browser, path);
        let claims = answer.json();
        // The rights of the access token, and none of what describes the protocol.
        let expected = json!([200, "user-1", "Ann", "read:things write:things", null, null, "private, no-store"]);
        let got = json!([
            answer.status,
            claims["sub"],
            claims["name"],
            claims["scope"],
            claims["exp"],
            claims["nonce"],
            answer.header("cache-control"),
        ]);
        assert_eq!(got, expected, "{path}");
        let by_token = deployment.fetch(Request::get(path).bearer(&token));
        let anonymous = deployment.fetch(Request::get(path));
        if path == "/me/session" {
            assert_eq!((by_token.status, anonymous.status), (401, 401));
        } else {
            assert_eq!((by_token.status, by_token.json()["sub"].as_str()), (200, Some("user-1")), "{path}");
            assert_eq!(anonymous.outcome(), (401, "token_missing".into()), "{path}");
        }
    }
    assert_eq!(deployment.provider.requests(Endpoint::Userinfo), 0);
    // The rights end with the access token; the user's claims do not.
    deployment.sleep_s(3600);
    let later = peek(&deployment, &browser, "/me/session").json();
    assert_eq!((later["sub"].as_str(), later.get("scope")), (Some("user-1"), None));
}

#[test]
fn a_session_returns_its_claims_if_the_provider_fails() {
    for (fault, _, code) in FAILURES {
        let deployment = Deployment::new();
        let browser = deployment.logged_in();
        deployment.provider.fault(Endpoint::Userinfo, fault());
        let answer = peek(&deployment, &browser, "/userinfo");
        assert_eq!((answer.status, answer.json()["sub"].as_str()), (200, Some("user-1")), "{code}");
        assert_eq!(answer.json()["name"], "Ann", "{code}");
        assert_eq!(deployment.provider.requests(Endpoint::Userinfo), 1, "{code}");
    }
}

#[test]
fn a_request_with_a_token_gets_the_providers_failure() {
    for (fault, status, code) in FAILURES {
        let deployment = Deployment::new();
        let token = token(&deployment);
        deployment.provider.fault(Endpoint::Userinfo, fault());
        assert_eq!(deployment.fetch(Request::get("/userinfo").bearer(&token)).outcome(), (status, code.into()));
        assert_eq!(deployment.provider.requests(Endpoint::Userinfo), 1, "{code}");
    }
}

#[test]
fn a_response_about_another_user_is_refused() {
    for body in [
        json!({ "sub": "user-2", "email": "bob@example.com" }),
        json!({ "email": "bob@example.com" }),
        json!({ "sub": 7 }),
    ] {
        let deployment = Deployment::new();
        let (browser, token) = (deployment.logged_in(), token(&deployment));
        for request in [crate::by(&deployment, &browser, "/userinfo"), Request::get("/userinfo").bearer(&token)] {
            deployment.provider.answer_next(Endpoint::Userinfo, Ok(ok_json(&body.to_string())));
            let answer = deployment.fetch(request);
            assert_eq!(answer.outcome(), (502, "userinfo_subject_mismatch".into()), "{body}");
            assert!(!answer.body.contains("bob"));
        }
    }
}

#[test]
fn a_provider_without_userinfo_or_endpoints_counts_as_failed() {
    type Break = fn(&Deployment);
    let cases: [Break; 2] = [
        |deployment| deployment.provider.set().metadata = json!({ "userinfo_endpoint": null }),
        |deployment| deployment.provider.take_down(Endpoint::Discovery),
    ];
    for breaks in cases {
        let deployment = Deployment::discovering();
        let (browser, token) = (deployment.logged_in(), token(&deployment));
        // A configured key set, so that tokens can be verified without the document.
        let cold = with(oidc_config(), &json!({ "authorizer": { "jwks": { "keys": [key_a().jwk()] } } }));
        let cold = Deployment::on(&deployment.host, &deployment.provider, &cold);
        breaks(&deployment);
        let by_session = peek(&cold, &browser, "/userinfo");
        assert_eq!((by_session.status, by_session.json()["name"].as_str()), (200, Some("Ann")));
        let by_token = cold.fetch(Request::get("/userinfo").bearer(&token));
        assert_eq!(by_token.outcome(), (502, "userinfo_unavailable".into()));
        assert_eq!(deployment.provider.requests(Endpoint::Userinfo), 0);
    }
}

#[test]
fn a_token_of_another_issuer_is_not_sent_to_the_login_issuer() {
    let further = json!([{ "issuer": "https://further.example.com/", "jwks": { "keys": [key_a().jwk()] } }]);
    let deployment = Deployment::of(&with(oidc_config(), &json!({ "authorizer": { "issuers": further } })));
    let token = Mint::access(key_a()).claim("iss", "https://further.example.com/").text();
    let answer = deployment.fetch(Request::get("/userinfo").bearer(&token));
    assert_eq!(answer.outcome(), (403, "userinfo_issuer_mismatch".into()));
    assert_eq!(deployment.provider.requests(Endpoint::Userinfo), 0);
}

#[test]
fn a_token_that_is_bound_to_its_client_is_not_sent() {
    let config = with(oidc_config(), &json!({ "authorizer": { "mtls": "allowed" } }));
    let deployment = Deployment::of(&config);
    let cnf = json!({ "x5t#S256": edgeward::base64url::encode(&[7; 32]) });
    let token = Mint::access(key_a()).claim("cnf", cnf).text();
    let certificate = format!("1\n0\nSUCCESS\n{}", "07".repeat(32));
    let request = Request::get("/userinfo").bearer(&token).header(":client-certificate", certificate);
    assert_eq!(deployment.fetch(request).outcome(), (403, "userinfo_token_bound".into()));
    assert_eq!(deployment.provider.requests(Endpoint::Userinfo), 0);
}

#[test]
fn an_anonymous_request_gets_a_challenge() {
    let deployment = Deployment::new();
    assert_eq!(deployment.fetch(Request::get("/userinfo")).outcome(), (401, "token_missing".into()));
    assert_eq!(deployment.provider.requests(Endpoint::Userinfo), 0);
}

#[test]
fn a_due_session_is_refreshed_first() {
    let deployment = Deployment::new();
    let mut browser = crate::due(&deployment);
    let answer = deployment.send(&mut browser, Request::get("/userinfo"));
    assert_eq!((answer.status, answer.json()["email"].as_str()), (200, Some("ann@example.com")));
    assert_eq!(deployment.provider.refreshes(), 1);
    let seen = deployment.seen();
    let sent = seen.sent.iter().rfind(|sent| sent.request.url.ends_with("/userinfo")).unwrap();
    let shown = sent.request.headers.iter().find(|(name, _)| *name == "authorization").unwrap().1.clone();
    drop(seen);
    assert_eq!(shown, format!("Bearer {}", deployment.session(&browser).tokens().access));
}

/// Returns a deployment whose sessions get the claims of userinfo, with changes of the configuration.
fn merging(changes: &Value) -> Deployment {
    let config = with(oidc_config(), &json!({ "authorizer": { "userinfo_at_login": true } }));
    Deployment::of(&with(config, changes))
}

/// Logs in while userinfo is `userinfo`, with the `sub` of the user.
fn log_in_as(deployment: &Deployment, mut userinfo: Value) -> Browser {
    userinfo["sub"] = json!("user-1");
    deployment.provider.answer_next(Endpoint::Userinfo, Ok(ok_json(&userinfo.to_string())));
    deployment.logged_in()
}

/// Returns the claims of a browser's session.
fn claims(deployment: &Deployment, browser: &Browser) -> Value {
    serde_json::from_str(deployment.session(browser).claims().as_json()).unwrap()
}

#[test]
fn a_session_gets_the_claims_of_userinfo_if_configured() {
    let deployment = merging(&json!({}));
    let browser = deployment.logged_in();
    let claims = claims(&deployment, &browser);
    assert_eq!((&claims["name"], &claims["email"]), (&json!("Ann"), &json!("ann@example.com")));
    assert_eq!(deployment.provider.requests(Endpoint::Userinfo), 1);
    let unset = Deployment::discovering();
    unset.logged_in();
    assert_eq!(unset.provider.requests(Endpoint::Userinfo), 0);
}

#[test]
fn claims_of_the_id_token_prevail_over_userinfo() {
    let deployment = merging(&json!({}));
    deployment.provider.set().id = Rc::new(|id| id.claim("phone", Value::Null));
    let userinfo = json!({ "name": "Eve", "phone": "+1", "address": { "country": "FR" }, "gender": null });
    let claims = claims(&deployment, &log_in_as(&deployment, userinfo));
    assert_eq!(claims["name"], "Ann");
    assert_eq!((&claims["phone"], &claims["address"]["country"]), (&json!("+1"), &json!("FR")), "null is absent");
    assert_eq!(claims.get("gender"), None);
}

#[test]
fn userinfo_states_neither_the_login_nor_rights() {
    let deployment = merging(&json!({}));
    // Without rights of an access token, the session's own claims are all there is.
    deployment.provider.set().access = Rc::new(|access| access.claim("aud", "https://other.example.com").text());
    let own = claims(&deployment, &log_in_as(&deployment, json!({})));
    let userinfo = json!({
        "iss": "https://evil.example.com/", "sid": "s", "auth_time": 1, "acr": "high", "amr": ["mfa"], "org_id": "org_1",
        "org_name": "one", "aud": "a", "exp": 1, "nbf": 1, "iat": 1, "nonce": "n", "at_hash": "h", "c_hash": "h", "azp": "a", "jti": "j",
        "scope": "read:things", "scp": ["read:things"], "permissions": ["read:things"], "client_id": "a"
    });
    let browser = log_in_as(&deployment, userinfo);
    assert_eq!(claims(&deployment, &browser), own);
    assert_eq!(peek(&deployment, &browser, "/things").outcome(), (403, "insufficient_scope".into()));
}

#[test]
fn userinfo_admits_to_no_organization() {
    let deployment = merging(&json!({ "authorizer": { "organizations": ["org_1"] } }));
    let mut browser = Browser::default();
    let callback = deployment.begin(&mut browser, "/login");
    let userinfo = json!({ "sub": "user-1", "org_id": "org_1" });
    deployment.provider.answer_next(Endpoint::Userinfo, Ok(ok_json(&userinfo.to_string())));
    let answer = deployment.send(&mut browser, Request::get(&callback));
    assert_eq!(answer.outcome(), (403, "organization_mismatch".into()));
}

#[test]
fn userinfo_does_not_say_whose_access_token_it_is() {
    let subject_match = json!({ "access_token": "sub", "id_token": "oid" });
    let deployment = merging(&json!({ "authorizer": { "subject_match": subject_match } }));
    let browser = log_in_as(&deployment, json!({ "oid": "user-1" }));
    assert_eq!(claims(&deployment, &browser).get("oid"), None);
    assert!(deployment.session(&browser).claims_at(deployment.now()).get("scope").is_none());
}

#[test]
fn a_session_stores_the_configured_claims_of_userinfo_only() {
    let deployment = merging(&json!({ "session": { "claims": ["email"] } }));
    let browser = log_in_as(&deployment, json!({ "email": "ann@example.com", "phone": "+1" }));
    let claims = claims(&deployment, &browser);
    assert_eq!(
        (claims["email"].as_str(), claims.get("phone"), claims.get("name")),
        (Some("ann@example.com"), None, None)
    );
}

/// Userinfo that is about another user, or about none.
const OTHERS: [&str; 4] =
    [r#"{"sub":"user-2","email":"bob@example.com"}"#, "{}", r#"{"sub":["user-1"]}"#, r#"{"sub":null}"#];

#[test]
fn a_login_fails_without_userinfo_of_its_user() {
    let jwt = || answers(Incoming { content_type: Some("application/jwt".into()), ..ok_json("e30.e30.AA") });
    let twice = || answers(ok_json(r#"{"sub":"user-2","sub":"user-1"}"#));
    let further: [Case; 2] = [(jwt, 502, "userinfo_invalid"), (twice, 502, "userinfo_unavailable")];
    let failures = FAILURES.into_iter().chain(further).map(|(fault, _, code)| (fault(), code));
    let others = OTHERS.map(|body| (answers(ok_json(body)), "userinfo_subject_mismatch"));
    for (fault, code) in failures.chain(others) {
        let deployment = merging(&json!({}));
        let mut browser = Browser::default();
        let callback = deployment.begin(&mut browser, "/login");
        deployment.provider.fault(Endpoint::Userinfo, fault);
        let answer = deployment.send(&mut browser, Request::get(&callback));
        assert_eq!(answer.outcome(), (502, code.into()));
        assert_eq!(answer.sets(COOKIE), None, "{code}");
        assert!(deployment.has_logged(&format!("{code}: ")), "{:?}", deployment.lines());
        assert_eq!(deployment.provider.requests(Endpoint::Userinfo), 1, "{code}");
        assert_eq!(deployment.log_in(&mut browser).sets(COOKIE), Some(true), "the next login succeeds");
    }
}

/// Returns a signed response of userinfo.
fn signed(text: String) -> Incoming {
    Incoming { content_type: Some("application/jwt; charset=utf-8".into()), ..ok_json(&text) }
}

/// Returns userinfo with all that it may state about itself.
fn userinfo_jwt() -> Mint {
    Mint::id(key_a()).without("nonce").claim("email", "ann@example.com")
}

#[test]
fn a_signed_response_of_userinfo_is_verified() {
    let good = [
        userinfo_jwt(),
        // OpenID Connect Core §5.3.2: these two should be there, and the others need not.
        userinfo_jwt().without("iss").without("aud").without("exp").without("iat").without_header("typ"),
        userinfo_jwt().claim("aud", json!([CLIENT])),
    ];
    for jwt in good {
        let deployment = merging(&json!({}));
        deployment.provider.answer_next(Endpoint::Userinfo, Ok(signed(format!("{}\n", jwt.text()))));
        let browser = deployment.logged_in();
        assert_eq!(claims(&deployment, &browser)["email"], "ann@example.com");
        let seen = deployment.seen();
        let sent = seen.sent.iter().rfind(|sent| sent.request.url.ends_with("/userinfo")).unwrap();
        assert!(sent.request.headers.contains(&("accept", "application/jwt".into())));
        drop(seen);
        deployment.provider.answer_next(Endpoint::Userinfo, Ok(signed(jwt.text())));
        let answer = peek(&deployment, &browser, "/userinfo");
        assert_eq!((answer.status, answer.json()["email"].as_str()), (200, Some("ann@example.com")));
    }
}

#[test]
fn a_signed_response_of_userinfo_is_verified_whatever_its_content_type() {
    for label in [None, Some("application/jose"), Some("text/plain"), Some("application/json")] {
        let labelled = |text: String| Incoming { content_type: label.map(String::from), ..ok_json(&text) };
        let deployment = merging(&json!({}));
        deployment.provider.answer_next(Endpoint::Userinfo, Ok(labelled(userinfo_jwt().text())));
        let browser = deployment.logged_in();
        assert_eq!(claims(&deployment, &browser)["email"], "ann@example.com", "{label:?}");
        let mut other = Browser::default();
        let callback = deployment.begin(&mut other, "/login");
        deployment.provider.answer_next(Endpoint::Userinfo, Ok(labelled(userinfo_jwt().signed_by(key_b()).text())));
        let answer = deployment.send(&mut other, Request::get(&callback));
        assert_eq!(answer.outcome(), (502, "userinfo_invalid".into()), "{label:?}");
    }
}

#[test]
fn a_signed_response_of_userinfo_that_breaks_a_rule_is_refused() {
    let public_key = serde_json::to_vec(&key_a().jwk()).unwrap();
    let input = userinfo_jwt().header("alg", "HS256");
    let hmac = support::hmac_sha256(&public_key, input.signing_input().as_bytes());
    let encrypted = format!("{}.e30.e30", userinfo_jwt().text());
    for (reason, text) in [
        ("alg_not_allowed", userinfo_jwt().header("alg", "none").with_signature(&[])),
        ("alg_not_allowed", input.with_signature(&hmac)),
        ("alg_not_allowed", userinfo_jwt().algorithm(edgeward::jwt::Algorithm::Ps256).text()),
        ("signature_invalid", userinfo_jwt().signed_by(key_b()).text()),
        ("key_not_found", userinfo_jwt().header("kid", "other").text()),
        ("issuer_mismatch", userinfo_jwt().claim("iss", "https://evil.example/").text()),
        ("claim_malformed", userinfo_jwt().claim("iss", 7).text()),
        ("audience_mismatch", userinfo_jwt().claim("aud", "another-client").text()),
        ("audience_mismatch", userinfo_jwt().claim("aud", json!([CLIENT, "another-client"])).text()),
        ("token_expired", userinfo_jwt().claim("exp", 1_000_000_000).text()),
        ("claim_malformed", userinfo_jwt().claim("exp", "never").text()),
        ("claim_malformed", userinfo_jwt().claim("exp", Value::Null).text()),
        ("token_not_yet_valid", userinfo_jwt().claim("nbf", 4_000_000_000_u64).text()),
        ("typ_not_allowed", userinfo_jwt().header("typ", "at+jwt").text()),
        ("crit_not_supported", userinfo_jwt().header("crit", json!(["exp"])).text()),
        ("token_encrypted", encrypted),
        ("token_malformed", String::new()),
        ("token_malformed", r#"{"sub":"user-1"}"#.into()),
    ] {
        let deployment = merging(&json!({}));
        let mut browser = Browser::default();
        let callback = deployment.begin(&mut browser, "/login");
        deployment.provider.answer_next(Endpoint::Userinfo, Ok(signed(text)));
        let answer = deployment.send(&mut browser, Request::get(&callback));
        assert_eq!((answer.outcome(), answer.sets(COOKIE)), ((502, "userinfo_invalid".into()), None), "{reason}");
        let line = format!("userinfo_invalid: {reason}: ");
        assert!(deployment.has_logged(&line), "{reason} {:?}", deployment.lines());
    }
    // About another user, or about none.
    for jwt in [userinfo_jwt().claim("sub", "user-2"), userinfo_jwt().without("sub")] {
        let deployment = merging(&json!({}));
        let browser = deployment.logged_in();
        deployment.provider.answer_next(Endpoint::Userinfo, Ok(signed(jwt.text())));
        let answer = peek(&deployment, &browser, "/userinfo");
        assert_eq!(answer.outcome(), (502, "userinfo_subject_mismatch".into()));
    }
    // Nor does a session answer for a response that was tampered with.
    let deployment = merging(&json!({}));
    let mut browser = due(&deployment);
    let before = claims(&deployment, &browser);
    deployment.provider.answer_next(Endpoint::Userinfo, Ok(signed(userinfo_jwt().signed_by(key_b()).text())));
    deployment.send(&mut browser, Request::get("/app"));
    assert_eq!(claims(&deployment, &browser), before, "a refresh leaves the user's claims");
    deployment.provider.answer_next(Endpoint::Userinfo, Ok(signed(userinfo_jwt().signed_by(key_b()).text())));
    assert_eq!(peek(&deployment, &browser, "/userinfo").outcome(), (502, "userinfo_invalid".into()));
}

#[test]
fn a_login_fails_if_the_provider_has_no_userinfo() {
    let deployment = merging(&json!({}));
    deployment.provider.set().metadata = json!({ "userinfo_endpoint": null });
    let mut browser = Browser::default();
    let callback = deployment.begin(&mut browser, "/login");
    let page = deployment.open(&mut browser, &callback);
    assert_eq!(page.status, 502);
    assert!(page.body.contains("userinfo_unavailable") && page.body.contains("href=\"/login\""), "{}", page.body);
}

/// Returns a browser whose session is due for refresh, with userinfo.
fn due(deployment: &Deployment) -> Browser {
    deployment.provider.set().life_s = 60;
    let browser = log_in_as(deployment, json!({ "email": "old@example.com", "phone": "+1" }));
    deployment.provider.set().life_s = 3600;
    deployment.sleep_s(40);
    browser
}

#[test]
fn a_refresh_updates_the_claims_of_userinfo() {
    let deployment = merging(&json!({}));
    let mut browser = due(&deployment);
    deployment.send(&mut browser, Request::get("/app"));
    let claims = claims(&deployment, &browser);
    assert_eq!((claims["email"].as_str(), claims.get("phone")), (Some("ann@example.com"), None));
}

/// Until it kept the new refresh token, the session ended.
#[test]
fn more_claims_than_a_session_can_store_are_not_used() {
    let deployment = merging(&json!({}));
    let mut browser = due(&deployment);
    let before = claims(&deployment, &browser);
    // Each is within the limit; together they exceed it.
    let members = (0..edgeward::limits::MAX_OBJECT_MEMBERS - 1).map(|number| (format!("c{number}"), json!(1)));
    let mut many = Value::Object(members.collect());
    many["sub"] = json!("user-1");
    deployment.provider.answer_next(Endpoint::Userinfo, Ok(ok_json(&many.to_string())));
    let answer = deployment.send(&mut browser, Request::get("/app"));
    assert_eq!((answer.status, answer.sets(COOKIE)), (200, Some(true)));
    assert_eq!(claims(&deployment, &browser), before);
    assert_eq!(deployment.session(&browser).tokens().refresh, Some(deployment.provider.newest()));
    assert!(deployment.has_logged("session_too_large: "), "{:?}", deployment.lines());
}

#[test]
fn a_refresh_without_userinfo_leaves_the_users_claims() {
    for (fault, _, code) in FAILURES {
        let deployment = merging(&json!({}));
        let mut browser = due(&deployment);
        let before = (claims(&deployment, &browser), deployment.session(&browser).tokens().access.clone());
        deployment.provider.set().id = Rc::new(|id| id.claim("name", "Bob"));
        deployment.provider.fault(Endpoint::Userinfo, fault());
        assert_eq!(deployment.send(&mut browser, Request::get("/app")).status, 200, "{code}");
        assert_eq!(claims(&deployment, &browser), before.0, "{code}");
        assert_ne!(deployment.session(&browser).tokens().access, before.1, "{code}");
        assert!(deployment.has_logged(&format!("{code}: ")), "{:?}", deployment.lines());
    }
}

#[test]
fn a_refresh_without_an_id_token_leaves_the_users_claims() {
    let deployment = merging(&json!({}));
    deployment.provider.set().repeats_id = false;
    let mut browser = due(&deployment);
    deployment.send(&mut browser, Request::get("/app"));
    assert_eq!(claims(&deployment, &browser)["email"], "old@example.com");
    assert_eq!((deployment.provider.refreshes(), deployment.provider.requests(Endpoint::Userinfo)), (1, 1));
}

#[test]
fn userinfo_of_another_user_ends_a_session_at_its_refresh() {
    for body in OTHERS {
        let deployment = merging(&json!({}));
        let mut browser = due(&deployment);
        deployment.provider.answer_next(Endpoint::Userinfo, Ok(ok_json(body)));
        assert_eq!(deployment.send(&mut browser, Request::get("/app")).status, 401, "{body}");
        assert!(deployment.has_logged("userinfo_subject_mismatch: "), "{:?}", deployment.lines());
    }
}
