//! The userinfo route.

use edgeward::io::{Incoming, Unreachable};
use serde_json::json;

use crate::peek;
use crate::support::browser::Request;
use crate::support::deployment::{Deployment, oidc_config, with};
use crate::support::provider::{Endpoint, Fault};
use crate::support::world::{json as ok_json, status};
use crate::support::{Mint, key_a};

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
        || answers(Incoming { content_type: Some("text/html".into()), ..ok_json(r#"{"sub":"user-1"}"#) }),
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
