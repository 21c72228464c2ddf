//! Logins at an issuer with `{tenantid}`, whose access and ID tokens name the user by different `sub` and equal `oid`.

use std::rc::Rc;

use serde_json::{Value, json};
use support::browser::{Browser, Request, Response};
use support::deployment::{COOKIE, Deployment, oidc_config, with};
use support::host::VirtualHost;
use support::provider::{Endpoint, Provider, encoded};

const TEMPLATE: &str = "https://login.example/{tenantid}/v2.0/";
const OURS: &str = "8f2a1c3e-0b4d-4c6f-9e1a-5d7b2f4c6a80";
const SECOND: &str = "11111111-2222-4333-8444-555555555555";
const FOREIGN: &str = "99999999-2222-4333-8444-555555555555";

fn of(tenant: &str) -> String {
    TEMPLATE.replace("{tenantid}", tenant)
}

/// A gateway for these tenants, and a provider under this segment of the path, which logs in users of `tenant`.
fn deployment(tenants: &Value, segment: &str, tenant: &'static str) -> Deployment {
    let host = VirtualHost::default();
    let provider = Provider::of(&of(segment), &host);
    let document = if segment == "common" { TEMPLATE.to_owned() } else { of(segment) };
    provider.set().metadata = json!({ "issuer": document });
    provider.set().id = Rc::new(move |mint| {
        mint.claim("iss", of(tenant)).claim("tid", tenant).claim("oid", "oid-1").claim("sub", "sub-of-web")
    });
    provider.set().access = Rc::new(move |mint| {
        mint.claim("iss", of(tenant)).claim("tid", tenant).claim("oid", "oid-1").claim("sub", "sub-of-api").text()
    });
    Deployment::on(&host, &provider, &config_of(tenants))
}

fn config_of(tenants: &Value) -> Value {
    with(oidc_config(), &json!({ "authorizer": { "type": "entra", "issuer": TEMPLATE, "tenants": tenants } }))
}

/// Logs in; the callback names this issuer (RFC 9207).
fn log_in(deployment: &Deployment, issuer: &str) -> (Browser, Response) {
    let mut browser = Browser::default();
    let callback = deployment.begin(&mut browser, "/login");
    let (path, query) = callback.split_once('?').unwrap();
    let others: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("iss=")).collect();
    let response = deployment.open(&mut browser, &format!("{path}?{}&iss={}", others.join("&"), encoded(issuer)));
    (browser, response)
}

#[test]
fn users_of_the_accepted_tenants_log_in_and_stay() {
    for (tenants, segment) in [(json!([OURS, SECOND]), "common"), (json!("any"), "common"), (json!(OURS), OURS)] {
        let deployment = deployment(&tenants, segment, OURS);
        let (mut browser, response) = log_in(&deployment, &of(OURS));
        assert_eq!(response.sets(COOKIE), Some(true), "{tenants}: {:?}", deployment.lines());
        let things = deployment.send(&mut browser, Request::get("/things"));
        assert_eq!(things.status, 200, "the access token's rights count: {:?}", deployment.lines());
        deployment.sleep_s(3600);
        let app = deployment.send(&mut browser, Request::get("/app"));
        assert_eq!(app.origin_header("x-user"), Some("sub-of-web"));
        assert_eq!(deployment.provider.requests(Endpoint::Token), 2, "the session is refreshed");
        assert!(deployment.lines().is_empty(), "{:?}", deployment.lines());
    }
}

#[test]
fn users_of_other_tenants_do_not() {
    let deployment = deployment(&json!([OURS, SECOND]), "common", FOREIGN);
    let (_, response) = log_in(&deployment, &of(FOREIGN));
    assert_ne!(response.sets(COOKIE), Some(true));
    assert!(deployment.lines().iter().any(|line| line.contains("issuer_mismatch")), "{:?}", deployment.lines());
}

#[test]
fn sessions_of_a_tenant_that_is_no_longer_accepted_end() {
    let before = deployment(&json!([OURS, SECOND]), "common", SECOND);
    let (mut browser, _) = log_in(&before, &of(SECOND));
    assert_eq!(before.send(&mut browser, Request::get("/app")).status, 200);
    let mut with_others = |tenants: Value| {
        let after = Deployment::on(&before.host, &before.provider, &config_of(&tenants));
        after.send(&mut browser, Request::get("/app")).status
    };
    assert_eq!(with_others(json!([FOREIGN, SECOND])), 200);
    assert_eq!(with_others(json!([OURS, FOREIGN])), 401);
    assert_eq!(with_others(json!("any")), 200);
}

#[test]
fn a_refresh_does_not_change_the_tenant() {
    let deployment = deployment(&json!([OURS, SECOND]), "common", OURS);
    let (mut browser, _) = log_in(&deployment, &of(OURS));
    deployment.provider.set().id = Rc::new(|mint| {
        mint.claim("iss", of(SECOND)).claim("tid", SECOND).claim("oid", "oid-1").claim("sub", "sub-of-web")
    });
    deployment.sleep_s(3600);
    let app = deployment.send(&mut browser, Request::get("/app"));
    assert_eq!(app.status, 401, "{:?}", deployment.lines());
}

#[test]
fn the_rights_of_another_user_do_not_count() {
    for (oid, sub) in [("oid-2", "sub-of-web"), ("", "sub-of-web"), ("sub-of-web", "oid-1")] {
        let deployment = deployment(&json!([OURS, SECOND]), "common", OURS);
        deployment.provider.set().access = Rc::new(move |mint| {
            mint.claim("iss", of(OURS)).claim("tid", OURS).claim("oid", oid).claim("sub", sub).text()
        });
        let (mut browser, response) = log_in(&deployment, &of(OURS));
        assert_eq!(response.sets(COOKIE), Some(true));
        assert_eq!(deployment.send(&mut browser, Request::get("/things")).status, 403, "{oid}");
        assert!(deployment.has_logged("access_token_unusable: its claim \"oid\""), "{:?}", deployment.lines());
    }
}

#[test]
fn the_callback_may_name_the_issuer_of_a_tenant() {
    for (issuer, is_accepted) in [
        (of(OURS), true),
        (of("common"), false),
        ("https://login.example/".to_owned() + OURS, false),
        ("https://evil.example/".to_owned() + OURS + "/v2.0/", false),
    ] {
        let deployment = deployment(&json!([OURS, SECOND]), "common", OURS);
        let (_, response) = log_in(&deployment, &issuer);
        assert_eq!(response.sets(COOKIE) == Some(true), is_accepted, "{issuer}: {:?}", deployment.lines());
    }
}

#[test]
fn a_revocation_names_the_issuer_of_a_tenant_not_the_template() {
    let mut config = config_of(&json!([OURS, SECOND]));
    // An administrator of one tenant ends nothing of another, unless the route says that one may.
    config["paths"].as_array_mut().unwrap().extend([
        json!({ "method": "POST", "path": "/revoke", "scopes": ["revoke"], "integration": { "type": "revoke" } }),
        json!({ "method": "POST", "path": "/revoke-all", "scopes": ["revoke"], "integration": { "type": "revoke" },
            "claims": [{ "claim": "iss", "equals": of(OURS) }] }),
    ]);
    let before = deployment(&json!([OURS, SECOND]), "common", OURS);
    before.shared(|shared| shared.are_bound = true);
    before.provider.set().access = Rc::new(|mint| {
        mint.claim("iss", of(OURS)).claim("tid", OURS).claim("oid", "oid-1").claim("scope", "revoke").text()
    });
    let deployment = Deployment::on(&before.host, &before.provider, &config);
    let (mut browser, _) = log_in(&deployment, &of(OURS));
    for (path, issuer, status) in [
        ("/revoke", TEMPLATE.to_owned(), 400),
        ("/revoke", of(OURS), 204),
        ("/revoke", of(SECOND), 403),
        ("/revoke-all", TEMPLATE.to_owned(), 400),
        ("/revoke-all", of(SECOND), 204),
    ] {
        let body = json!({ "sub": "another", "iss": issuer }).to_string();
        deployment.shared(|shared| shared.bodies.push_back(body.into()));
        let origin = "https://app.example.com";
        let request = Request::post(path).header("content-type", "application/json").header("origin", origin);
        let response = deployment.send(&mut browser, request);
        assert_eq!(response.status, status, "{path}, {issuer}: {}", response.body);
    }
}
