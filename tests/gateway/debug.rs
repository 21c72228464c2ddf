//! `Debug` output: no tokens, cookies, secrets or claims.

use edgeward::gateway::{Answer, Gateway, Problem};
use edgeward::http::RequestHead;
use edgeward::io::Incoming;
use edgeward::oidc::{CoordinatorMessage, CoordinatorResponse, SessionAction};
use support::host::VirtualHost;
use support::world::json;

use crate::{
    ALLOWED, CLIENT_SECRET, Headers, Login, NOW, SEALING_SECRET, config, config_with_cors, gateway, handle, token,
};

/// Returns a host that fails the test if `Debug` of a job or a log line shows one of these.
fn host(secrets: &[&str]) -> VirtualHost {
    let host = VirtualHost::default();
    secrets.iter().for_each(|secret| host.register_secret(secret));
    host
}

#[test]
fn an_answer_is_redacted() {
    let gateway = gateway(&config_with_cors());
    let (token, cookie) = (token().text(), Login::with_stale_cookie().cookie());
    let bearer = format!("Bearer {token}");
    let signature = token.rsplit('.').next().unwrap();
    let sealed = cookie.split('.').nth(1).unwrap();
    let secrets = [
        token.as_str(),
        signature,
        sealed,
        "access-token-of-a-session",
        "id-token-of-a-session",
        "name-of-a-session",
        "auth0|1",
        "secret-in-a-query",
        SEALING_SECRET,
        CLIENT_SECRET,
    ];
    let host = host(&secrets);
    let (program, person): (Headers<'_>, Headers<'_>) =
        (&[("authorization", &bearer), ALLOWED], &[("cookie", &cookie), ALLOWED]);
    let mut shown = Vec::new();
    for path in
        ["/api/x", "/maybe/x", "/kept/x", "/open/x", "/service/x", "/private-service/x", "/page", "/admin", "/login"]
    {
        let target = format!("{path}?q=secret-in-a-query");
        for headers in [program, person] {
            let answer = handle(&gateway, &host, "GET", &target, headers);
            shown.push(format!("{answer:?}"));
            if let Answer::Forward(forward) = answer {
                shown.push(format!("{:?}", forward.response_edits(200, None)));
                let head = RequestHead { method: "GET", url: &target, header: &|_| None };
                shown.push(format!("{:?}", forward.unreachable(&head)));
            }
        }
    }
    shown.push(format!("{gateway:?} {:?} {:?}", gateway.login(), gateway.verifier()));
    for text in &shown {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    assert!(shown.iter().any(|text| text.starts_with("Forward(Forward")), "{shown:?}");
    assert!(shown.iter().any(|text| text.starts_with("Reply(Reply(403")), "{shown:?}");
    let edits = r#"Set("cache-control"), Append("set-cookie"), "#;
    assert!(shown.iter().any(|text| text.contains(edits)), "{shown:?}");
}

/// Refresh, revocation and the cached sessions.
#[test]
fn jobs_and_cached_sessions_are_redacted() {
    let secrets =
        ["refresh-token-1", "refresh-token-2", "new-access-token", "name-of-a-session", "auth0|1", CLIENT_SECRET];
    let gateway: Gateway = gateway(&config());
    let host = host(&secrets);
    host.answer(
        "https://tenant.example.com/oauth/token",
        json(r#"{"access_token":"new-access-token","token_type":"Bearer","expires_in":3600,"refresh_token":"refresh-token-2"}"#),
    );
    host.answer("https://tenant.example.com/oauth/revoke", Incoming { status: 200, ..Incoming::default() });
    let cookie = Login::new().with("rt", "refresh-token-1").with("at_exp", NOW + 1).cookie();
    let mut shown = Vec::new();
    for (method, target) in [("GET", "/maybe/x"), ("POST", "/refresh"), ("POST", "/logout")] {
        let answer = handle(&gateway, &host, method, target, &[("cookie", &cookie)]);
        shown.push(format!("{answer:?} {gateway:?} {:?}", gateway.login()));
    }
    let seen = host.seen();
    assert!(seen.jobs.iter().filter(|kind| **kind == "session").count() >= 3, "{:?}", seen.jobs);
    assert!(seen.urls().iter().any(|url| url.ends_with("/oauth/revoke")), "{:?}", seen.urls());
    shown.push(format!("{:?} {:?}", seen.sent, seen.lines));
    for secret in secrets {
        for text in &shown {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[test]
fn messages_to_the_coordinator_are_redacted() {
    let message = CoordinatorMessage {
        session: "name-of-a-session".into(),
        action: SessionAction::Logout,
        sealed: "a-sealed-session".into(),
        timeout_ms: 1,
    };
    assert_eq!(format!("{message:?}"), "CoordinatorMessage { action: Logout, .. }");
    let answer = CoordinatorResponse { status: 200, text: "a-sealed-session".into() };
    assert_eq!(format!("{answer:?}"), "CoordinatorResponse { status: 200, .. }");
}

#[test]
fn configuration_problems_show_no_secret() {
    let mut config = config();
    config["session"]["secrets"] = serde_json::json!("too short to seal");
    config["authorizer"]["redirect_uri"] = serde_json::json!("https://app.example.com/elsewhere");
    let problems: Vec<Problem> = edgeward::gateway::compile(&config.to_string(), &|_| None).unwrap_err();
    let shown = format!("{problems:?}");
    assert!(problems.len() >= 2 && !shown.contains("too short to seal") && !shown.contains(CLIENT_SECRET), "{shown}");
}
