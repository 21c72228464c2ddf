//! `authorizers` and `hosts`: several authorizers, chosen by the host of the request.

use edgeward::gateway::{Answer, HEALTH_PATH, compile};
use edgeward::session::{LoginBinding, Purpose, Sealer};
use serde_json::{Value, json};
use support::host::VirtualHost;
use support::{Mint, key_a};

use crate::{
    AUDIENCE, CLIENT, CLIENT_SECRET, ISSUER, Login, SEALING_SECRET, bearer, code, config, forward, gateway, handle,
    reply, values,
};

const A: &str = "https://a.example.com";
const B: &str = "https://b.example.com";

/// The authorizer of a host. Both have the same issuer, client and audience, so that the host alone tells them apart.
fn authorizer(origin: &str) -> Value {
    let mut authorizer = config()["authorizer"].clone();
    authorizer["redirect_uri"] = format!("{origin}/cb").into();
    authorizer
}

fn twins() -> Value {
    let mut config = config();
    config.as_object_mut().unwrap().remove("authorizer");
    config["authorizers"] = json!({ "a": authorizer(A), "b": authorizer(B) });
    config["hosts"] = json!({ "a.example.com": { "authorizer": "a" }, "B.example.com": { "authorizer": "b" } });
    config
}

/// Two authorizers with issuers and audiences of their own, and the same keys.
fn strangers() -> Value {
    let mut config = twins();
    let b = &mut config["authorizers"]["b"];
    b["domain"] = "other.example.com".into();
    b["audience"] = "other".into();
    b["token_from"] = json!([{ "cookie": "token" }]);
    config
}

fn sealed_for(login: &Login, host: &str) -> String {
    let audience = [AUDIENCE.to_owned()];
    let binding = LoginBinding { issuer: ISSUER, client_id: CLIENT, audience: &audience };
    let sealer = Sealer::new(&[SEALING_SECRET], binding);
    let sealed = sealer.seal(Purpose::Session, host, login.content.to_string().as_bytes(), &[7; 24]).unwrap();
    format!("{}=1.{sealed}", crate::COOKIE)
}

#[test]
fn a_request_to_an_unknown_host_is_misdirected() {
    let gateway = gateway(&twins());
    for url in [
        "https://c.example.com/public",
        "https://example.com/login",
        "https://a.example.com.evil.example/public",
        "https://a.example.com@evil.example/public",
        "https://127.0.0.1/cb?code=x&state=y",
        "https://ä.example.com/public",
    ] {
        // No header names the host.
        let headers =
            [("host", "a.example.com"), ("x-forwarded-host", "a.example.com"), ("forwarded", "host=a.example.com")];
        for method in ["GET", "POST", "OPTIONS"] {
            let refused = reply(&gateway, method, url, &headers);
            assert_eq!((refused.status, code(&refused).as_str()), (421, "misdirected_request"), "{url}");
            assert_eq!(values(&refused, "cache-control"), ["no-store"]);
        }
    }
    for url in ["https://A.EXAMPLE.com/public", "https://a.example.com./public", "https://b.example.com:8443/public"] {
        assert_eq!(reply(&gateway, "GET", url, &[("x-forwarded-host", "c.example.com")]).status, 200, "{url}");
    }
    assert_eq!(reply(&gateway, "GET", &format!("https://10.0.0.1{HEALTH_PATH}"), &[]).status, 200);
}

#[test]
fn a_token_of_one_authorizer_is_none_of_the_other() {
    let (gateway, host) = (gateway(&strangers()), VirtualHost::default());
    let of_a = Mint::access(key_a()).text();
    let of_b = Mint::access(key_a()).claim("iss", "https://other.example.com/").claim("aud", "other").text();
    let cookie_b = format!("token={of_b}");
    // Twice, so that the caches of verified tokens are asked.
    for _ in 0..2 {
        for (origin, token, expected) in [(A, &of_a, 200), (B, &of_b, 200), (A, &of_b, 401), (B, &of_a, 401)] {
            let (authorization, cookie) = (format!("Bearer {token}"), format!("token={token}"));
            let header =
                if origin == A { ("authorization", authorization.as_str()) } else { ("cookie", cookie.as_str()) };
            let Answer::Reply(reply) = handle(&gateway, &host, "GET", &format!("{origin}/page"), &[header]) else {
                panic!()
            };
            assert_eq!(reply.status, expected, "{origin}");
            assert!(expected == 200 || code(&reply) == "issuer_mismatch");
        }
    }
    assert!(host.seen().sent.is_empty());
    // The sources of all authorizers are removed everywhere.
    let forwarded = forward(&gateway, "GET", &format!("{A}/open/x"), &[("cookie", &format!("x=1; {cookie_b}"))]);
    assert_eq!(forwarded.set.iter().find(|(name, _)| name == "cookie").map(|(_, value)| value.as_str()), Some("x=1"));
    // Nor does the host of the one accept the sources of the other.
    let refused = reply(&gateway, "GET", &format!("{B}/page"), &[("authorization", &format!("Bearer {of_b}"))]);
    assert_eq!(code(&refused), "token_missing");
}

#[test]
fn a_session_opens_at_its_own_host_only() {
    let gateway = gateway(&twins());
    let cookies = [("a.example.com", A, B), ("b.example.com", B, A)];
    for (host, own, other) in cookies {
        let cookie = sealed_for(&Login::new(), host);
        for _ in 0..2 {
            assert_eq!(reply(&gateway, "GET", &format!("{own}/page"), &[("cookie", &cookie)]).status, 200);
            let refused = reply(&gateway, "GET", &format!("{other}/page"), &[("cookie", &cookie)]);
            assert_eq!((refused.status, code(&refused).as_str()), (401, "token_missing"));
        }
        // The login is at the same host.
        let page = [("sec-fetch-mode", "navigate")];
        let sent = reply(&gateway, "GET", &format!("{own}/page"), &page);
        assert_eq!(sent.header("location"), Some(format!("{own}/login?return_to=%2Fpage").as_str()));
    }
}

#[test]
fn a_login_that_began_at_one_host_does_not_end_at_the_other() {
    let gateway = gateway(&twins());
    let begin = reply(&gateway, "GET", &format!("{A}/login"), &[]);
    let location = begin.header("location").unwrap();
    assert!(location.contains("redirect_uri=https%3A%2F%2Fa.example.com%2Fcb"), "{location}");
    let state = location.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let cookie = values(&begin, "set-cookie")[0].split(';').next().unwrap().to_owned();
    let sent = |origin: &str| {
        let host = VirtualHost::default();
        let url = format!("{origin}/cb?code=abc&state={state}");
        let headers = [("cookie", cookie.as_str()), ("sec-fetch-mode", "navigate"), ("accept", "text/html")];
        let Answer::Reply(reply) = handle(&gateway, &host, "GET", &url, &headers) else { panic!() };
        assert!(!values(&reply, "set-cookie").iter().any(|cookie| cookie.starts_with("__Host-edgeward=")));
        host.seen().sent.len()
    };
    assert_eq!(sent(B), 0, "the code reaches no provider");
    assert!(sent(A) > 0, "the login itself is complete");
}

#[test]
fn messages_to_a_coordinator_are_opened_by_the_authorizer_that_sealed_them() {
    let gateway = gateway(&twins());
    let audience = [AUDIENCE.to_owned()];
    let binding = LoginBinding { issuer: ISSUER, client_id: CLIENT, audience: &audience };
    let sealer = Sealer::new(&[SEALING_SECRET], binding);
    let content = Login::new().content.to_string();
    let seal = |host| sealer.seal(Purpose::Refresh, host, content.as_bytes(), &[7; 24]).unwrap();
    let shown = |sealed: &str| gateway.login_of_message(sealed).map(|party| format!("{party:?}"));
    let (a, b) = (shown(&seal("a.example.com")).unwrap(), shown(&seal("b.example.com")).unwrap());
    assert!(a.contains("https://a.example.com/cb") && b.contains("https://b.example.com/cb"), "{a} {b}");
    assert_eq!(shown(&seal("c.example.com")), None);
    assert_eq!(shown("x"), None);
}

#[test]
fn the_resource_is_that_of_the_authorizer_of_its_host() {
    let mut config = strangers();
    config["protected_resource"] = json!({ "resource": "https://a.example.com/mcp" });
    config["authorizers"]["a"].as_object_mut().unwrap().remove("audience");
    let gateway = gateway(&config);
    let path = "/.well-known/oauth-protected-resource/mcp";
    let found = reply(&gateway, "GET", &format!("{A}{path}"), &[]);
    assert!(found.body.contains(r#""authorization_servers":["https://tenant.example.com/"]"#), "{}", found.body);
    assert_eq!(reply(&gateway, "GET", &format!("{B}{path}"), &[]).status, 404);
    let token = bearer(&Mint::access(key_a()).claim("aud", "https://a.example.com/mcp"));
    assert_eq!(reply(&gateway, "GET", &format!("{A}/page"), &[("authorization", &token)]).status, 200);
    let challenge = |origin: &str| {
        let refused = reply(&gateway, "GET", &format!("{origin}/page"), &[]);
        refused.header("www-authenticate").unwrap().contains("resource_metadata")
    };
    assert!(challenge(A) && !challenge(B));
}

#[test]
fn variables_are_for_a_single_authorizer_and_placeholders_for_any() {
    let mut config = twins();
    config["authorizers"]["a"]["client_secret"] = "$secrets.A_SECRET".into();
    config["authorizers"]["b"].as_object_mut().unwrap().remove("client_secret");
    let variables = |name: &str| match name {
        "A_SECRET" => Some(CLIENT_SECRET.to_owned()),
        "AUTH0_CLIENT_SECRET" => Some("of another client".to_owned()),
        _ => None,
    };
    let problems = compile(&config.to_string(), &variables).unwrap_err();
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let missing = "is missing: set it, or \"client_auth\": \"none\" for a public client";
    assert_eq!(shown, [format!("error at authorizers.b.client_secret: {missing}")]);
    config["authorizers"]["b"]["client_secret"] = "$secrets.A_SECRET".into();
    assert!(compile(&config.to_string(), &variables).is_ok());
}
