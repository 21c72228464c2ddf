//! Clients that authenticate with a key or a certificate, and authorization requests that are pushed, signed or detailed.

use std::collections::BTreeSet;

use edgeward::base64url;
use edgeward::io::Incoming;
use edgeward::limits;
use serde_json::{Value, json};
use support::browser::{Browser, Request, Response};
use support::deployment::{COOKIE, Deployment, oidc_config, with};
use support::host::VirtualHost;
use support::provider::{Auth, Endpoint, Provider, form, refusal};
use support::signed::thumbprint;
use support::world::json as ok_json;
use support::{CLIENT, ISSUER, Mint, TestKey, key_a, key_b, key_c};

use crate::by;

const KEY_A: &str = include_str!("../keys/rsa2048-a.pem");
const KEY_B: &str = include_str!("../keys/rsa2048-b.pem");
const KEY_C: &str = include_str!("../keys/rsa2048-c.pem");

/// Returns a deployment whose client has these keys of the configuration, and no secret.
fn deployment(keys: &Value, auth: Auth) -> Deployment {
    let host = VirtualHost::default();
    let provider = Provider::new(&host);
    provider.set().auth = auth;
    for key in [key_a(), key_b(), key_c()] {
        host.register_secret(key.private_jwk()["d"].as_str().unwrap());
    }
    let mut config = oidc_config();
    config["authorizer"].as_object_mut().unwrap().remove("client_secret");
    Deployment::on(&host, &provider, &with(config, &json!({ "authorizer": keys })))
}

fn with_key(more: &Value) -> Deployment {
    let mut keys = json!({ "client_auth": "private_key_jwt", "private_key": KEY_B });
    keys.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    deployment(&keys, Auth::Key(key_b()))
}

/// Returns the location of a login, and its parameters.
fn begin(deployment: &Deployment, target: &str) -> (String, Vec<String>) {
    let response = deployment.open(&mut Browser::default(), target);
    assert_eq!(response.status, 302, "{} {:?}", response.body, deployment.lines());
    let names = form(response.location().split_once('?').unwrap().1).into_keys().collect();
    (response.location().into(), names)
}

/// Logs in without a page, so that a refusal is a problem document.
fn failing(deployment: &Deployment, browser: &mut Browser) -> Response {
    let callback = deployment.begin(browser, "/login");
    deployment.send(browser, Request::get(&callback))
}

/// Asserts that no login begins, with this in the log.
fn assert_fails(deployment: &Deployment, line: &str) {
    let mut browser = Browser::default();
    let response = deployment.send(&mut browser, Request::get("/login"));
    assert_eq!(response.outcome(), (502, "authorization_request_failed".into()), "{:?}", deployment.lines());
    assert_eq!((response.header("location"), response.cookies()), (None, vec![]));
    assert_eq!(response.header("retry-after"), Some("5"));
    let lines = deployment.lines();
    assert!(lines.iter().any(|one| one.starts_with(&format!("authorization_request_failed: {line}"))), "{lines:?}");
}

#[test]
fn every_request_to_the_provider_has_a_fresh_assertion() {
    for (more, alg, key) in [
        (json!({}), "RS256", key_b()),
        (json!({ "private_key_alg": "RS384" }), "RS384", key_b()),
        (json!({ "private_key_alg": "PS256" }), "PS256", key_b()),
        (json!({ "private_key": [KEY_A, KEY_B], "par": true }), "RS256", key_a()),
    ] {
        let deployment = with_key(&more);
        deployment.provider.set().auth = Auth::Key(key);
        let pushes = usize::from(more.get("par").is_some());
        let mut browser = deployment.logged_in();
        deployment.sleep_s(3600);
        assert_eq!(deployment.open(&mut browser, "/app").status, 200);
        deployment.fetch(by(&deployment, &browser, "/logout").page());
        assert_eq!(deployment.provider.refreshes(), 1);
        assert_eq!(deployment.provider.state().revoked.len(), 1);
        let assertions = deployment.provider.state().assertions.clone();
        assert_eq!(assertions.len(), 3 + pushes, "code, refresh and revocation");
        let mut seen = BTreeSet::new();
        for (header, claims) in assertions {
            let kid = thumbprint(if key.kid == "rsa2048-a" { KEY_A } else { KEY_B });
            assert_eq!(header, json!({ "alg": alg, "typ": "JWT", "kid": kid }));
            let given = |name: &str| claims[name].clone();
            assert_eq!((given("iss"), given("sub"), given("aud")), (json!(CLIENT), json!(CLIENT), json!(ISSUER)));
            let life_s = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
            assert_eq!(life_s, limits::CLIENT_ASSERTION_S);
            assert!(life_s <= 60);
            let jti = claims["jti"].as_str().unwrap().to_string();
            assert!(jti.len() >= 22 && seen.insert(jti));
            assert_eq!(claims.as_object().unwrap().len(), 6);
        }
        assert!(deployment.lines().is_empty(), "{:?}", deployment.lines());
    }
}

#[test]
fn the_next_key_is_tried_once_with_an_assertion_of_its_own() {
    let deployment = with_key(&json!({ "private_key": [KEY_A, KEY_B] }));
    deployment.logged_in();
    let tried: Vec<_> =
        deployment.provider.state().exchanges.iter().map(|one| one["client_assertion"].clone()).collect();
    assert_eq!(tried.len(), 2);
    assert_ne!(tried[0], tried[1]);
    // A third key is never tried.
    let deployment = with_key(&json!({ "private_key": [KEY_A, KEY_C, KEY_B] }));
    let mut browser = Browser::default();
    let response = failing(&deployment, &mut browser);
    assert_eq!(response.outcome(), (502, "token_exchange_failed".into()));
    assert_eq!(deployment.provider.requests(Endpoint::Token), 2);
    assert!(
        deployment
            .has_logged("token_exchange_failed: https://tenant.example.com/oauth/token answered 401, invalid_client")
    );
}

#[test]
fn a_key_that_the_platform_refuses_sends_nothing_and_ends_no_session() {
    let good = with_key(&json!({}));
    let mut browser = good.logged_in();
    let broken = json!({
        "kty": "RSA", "n": key_b().jwk()["n"], "e": "AQAB", "d": "AQAB", "p": "AQAB", "q": "AQAB", "dp": "AQAB",
        "dq": "AQAB", "qi": "AQAB",
    });
    let config = json!({ "authorizer": { "client_auth": "private_key_jwt", "private_key": broken } });
    let mut document = oidc_config();
    document["authorizer"].as_object_mut().unwrap().remove("client_secret");
    let bad = Deployment::on(&good.host, &good.provider, &with(document, &config));
    let sent = good.provider.requests(Endpoint::Token);
    good.sleep_s(3580);
    assert_eq!(bad.open(&mut browser, "/app").status, 200, "the session continues with its token");
    let response = failing(&bad, &mut Browser::default());
    assert_eq!(response.outcome(), (502, "token_exchange_failed".into()));
    assert_eq!(bad.provider.requests(Endpoint::Token), sent);
    let line = "signing_failed: the platform refuses the private key (authorizer.private_key)";
    assert!(bad.lines().iter().any(|one| one == line), "{:?}", bad.lines());
}

#[test]
fn a_request_is_pushed_if_that_is_required_or_configured() {
    let browser_carries = |deployment: &Deployment| begin(deployment, "/login?return_to=/app&login_hint=ann").1;
    let optional = with_key(&json!({}));
    assert!(browser_carries(&optional).contains(&"login_hint".into()));
    assert_eq!(optional.provider.requests(Endpoint::Par), 0);
    let required = with_key(&json!({}));
    required.provider.set().metadata = json!({ "require_pushed_authorization_requests": true });
    for deployment in [required, with_key(&json!({ "par": true }))] {
        assert_eq!(browser_carries(&deployment), ["client_id", "request_uri"]);
        let pushed = deployment.provider.state().pushed.values().next().unwrap().clone();
        for (name, value) in [
            ("client_id", CLIENT),
            ("response_type", "code"),
            ("redirect_uri", "https://app.example.com/callback"),
            ("code_challenge_method", "S256"),
            ("login_hint", "ann"),
        ] {
            assert_eq!(pushed[name], value);
        }
        let browser = deployment.logged_in();
        assert_eq!(deployment.fetch(by(&deployment, &browser, "/app")).status, 200);
        assert!(deployment.lines().is_empty(), "{:?}", deployment.lines());
    }
}

#[test]
fn requests_are_pushed_with_every_kind_of_authentication() {
    for (keys, auth) in [
        (json!({ "client_secret": "the secret of the client at the provider" }), Auth::Post),
        (json!({ "client_auth": "none" }), Auth::None),
        (json!({ "client_auth": "tls_client_auth", "mtls_binding": "CERTIFICATE" }), Auth::Certificate),
    ] {
        let deployment = deployment(&with(json!({ "a": keys }), &json!({ "a": { "par": true } }))["a"], auth);
        deployment.logged_in();
        assert_eq!(deployment.provider.requests(Endpoint::Par), 1);
    }
    let basic = json!({ "client_auth": "client_secret_basic", "client_secret": "a secret of the client", "par": true });
    let deployment = deployment(&basic, Auth::Basic);
    let par = deployment.provider.url(Endpoint::Par);
    deployment.serve(&par, |request| {
        let sent = form(request.body.as_deref().unwrap());
        assert_eq!(sent["client_id"], CLIENT, "a parameter of the request (RFC 9126 §2.1)");
        assert!(!sent.contains_key("client_secret"));
        assert!(request.headers.iter().any(|(name, value)| *name == "authorization" && value.starts_with("Basic ")));
        Ok(Incoming { status: 201, ..ok_json(r#"{"request_uri":"urn:x","expires_in":5}"#) })
    });
    assert_eq!(
        begin(&deployment, "/login").0,
        "https://tenant.example.com/authorize?client_id=client-1&request_uri=urn%3Ax"
    );
}

#[test]
fn a_request_that_cannot_be_pushed_is_not_sent_in_another_way() {
    let at = "https://tenant.example.com/oauth/par";
    let created = |body: &str| Incoming { status: 201, ..ok_json(body) };
    let long = json!({ "request_uri": "u".repeat(limits::MAX_REQUEST_URI_BYTES + 1) }).to_string();
    for (reply, line) in [
        (Ok(refusal(400, "invalid_request")), format!("{at} answered 400, invalid_request")),
        (Ok(refusal(403, "access_denied")), format!("{at} answered 403, access_denied")),
        (Ok(refusal(429, "slow_down")), format!("{at} answered 429, slow_down")),
        // An error counts, whatever the status.
        (Ok(refusal(201, "invalid_request")), format!("{at} answered 201 without request_uri, invalid_request")),
        (Ok(Incoming { status: 500, ..Incoming::default() }), format!("{at} answered 500")),
        (Ok(Incoming { status: 404, ..Incoming::default() }), format!("{at} answered 404")),
        (Err(edgeward::io::Unreachable::Network), format!("{at} did not respond")),
        (Err(edgeward::io::Unreachable::GivenUp), format!("{at} did not respond")),
        (Ok(ok_json(r#"{"request_uri":"urn:x"}"#)), format!("{at} answered 200 without request_uri")),
        (Ok(created("{}")), format!("{at} answered 201 without request_uri")),
        (Ok(created(r#"{"request_uri":""}"#)), format!("{at} answered 201 without request_uri")),
        (Ok(created(r#"{"request_uri":7}"#)), format!("{at} answered 201 without request_uri")),
        (Ok(created(r#"{"request_uri":"a b"}"#)), format!("{at} answered 201 without request_uri")),
        (Ok(created(r#"{"request_uri":"urn:é"}"#)), format!("{at} answered 201 without request_uri")),
        (Ok(created(&long)), format!("{at} answered 201 without request_uri")),
        (Ok(created("[]")), format!("{at} answered 201 without request_uri")),
        (
            Ok(Incoming { content_type: Some("text/html".into()), ..created("<html>Please log in</html>") }),
            format!("{at} answered 201 without request_uri"),
        ),
    ] {
        let deployment = with_key(&json!({ "par": true }));
        deployment.provider.answer_next(Endpoint::Par, reply);
        assert_fails(&deployment, &line);
        assert_eq!(deployment.provider.requests(Endpoint::Par), 1);
        deployment.sleep_s(1);
        deployment.logged_in();
    }
    let missing = with_key(&json!({ "par": true }));
    missing.provider.set().metadata = json!({ "pushed_authorization_request_endpoint": null });
    assert_fails(
        &missing,
        "the request is to be pushed, but the provider's metadata has no pushed_authorization_request_endpoint",
    );
    let unsafe_url = with_key(&json!({ "par": true }));
    unsafe_url.provider.set().metadata =
        json!({ "pushed_authorization_request_endpoint": "http://tenant.example.com/par" });
    assert_fails(
        &unsafe_url,
        "the request is to be pushed, but the provider's metadata has no pushed_authorization_request_endpoint",
    );
    // A key that the provider does not know; then the next one.
    let unknown = with_key(&json!({ "par": true, "private_key": KEY_C }));
    assert_fails(&unknown, &format!("{at} answered 401, invalid_client"));
    let next = with_key(&json!({ "par": true, "private_key": [KEY_C, KEY_B] }));
    begin(&next, "/login");
    assert_eq!(next.provider.requests(Endpoint::Par), 2);
}

#[test]
fn a_signed_request_holds_every_parameter_and_nothing_is_beside_it() {
    let claims = json!({ "id_token": { "acr": { "essential": true } } });
    let jar = json!({
        "jar": { "private_key": KEY_C, "private_key_alg": "PS256" },
        "authorization_params": { "claims": claims.to_string(), "max_age": "300", "acr_values": "gold", "x": "{\"" },
        "authorization_details": [{ "type": "payment", "amount": 12.50, "to": ["a", "b"] }]
    });
    for par in [false, true] {
        let deployment = with_key(&with(json!({ "a": jar }), &json!({ "a": { "par": par } }))["a"]);
        deployment.provider.set().request_key = Some(key_c());
        // The provider's answer to `max_age`.
        let logged_in_at = deployment.now().secs();
        deployment.provider.set().id = std::rc::Rc::new(move |id| id.claim("auth_time", logged_in_at));
        let (_, names) = begin(&deployment, "/login?login_hint=ann%40example.com");
        assert_eq!(names, ["client_id", if par { "request_uri" } else { "request" }]);
        let mut browser = Browser::default();
        let callback = deployment.begin(&mut browser, "/login?login_hint=ann%40example.com");
        assert_eq!(deployment.open(&mut browser, &callback).sets(COOKIE), Some(true));
        let (header, signed) = deployment.provider.state().request.clone();
        assert_eq!(header, json!({ "alg": "PS256", "typ": "oauth-authz-req+jwt", "kid": thumbprint(KEY_C) }));
        let now = deployment.now().secs();
        for (name, value) in [
            ("iss", json!(CLIENT)),
            ("aud", json!(ISSUER)),
            ("iat", json!(now)),
            ("nbf", json!(now - 30)),
            ("exp", json!(now + 300)),
            ("client_id", json!(CLIENT)),
            ("response_type", json!("code")),
            ("login_hint", json!("ann@example.com")),
            ("claims", claims.clone()),
            ("max_age", json!(300)),
            ("acr_values", json!("gold")),
            ("x", json!("{\"")),
            ("authorization_details", json!([{ "type": "payment", "amount": 12.5, "to": ["a", "b"] }])),
        ] {
            assert_eq!(signed[name], value, "{name}");
        }
        assert!(signed["jti"].as_str().unwrap().len() >= 22);
        for absent in ["sub", "request", "request_uri", "client_assertion"] {
            assert_eq!(signed.get(absent), None);
        }
    }
}

#[test]
fn parameters_that_are_no_json_are_signed_as_text() {
    let keys = json!({
        "jar": { "private_key": KEY_C },
        "authorization_params": { "claims": "{},\"aud\":\"x\"", "max_age": "1e3", "y": "7" }
    });
    let deployment = with_key(&keys);
    deployment.provider.set().request_key = Some(key_c());
    deployment.logged_in();
    let (header, signed) = deployment.provider.state().request.clone();
    assert_eq!(header["alg"], "RS256");
    assert_eq!((&signed["claims"], &signed["max_age"]), (&json!("{},\"aud\":\"x\""), &json!("1e3")));
    assert_eq!(signed["aud"], ISSUER);
}

#[test]
fn a_request_that_cannot_be_signed_is_not_sent() {
    let broken = json!({
        "kty": "RSA", "n": key_c().jwk()["n"], "e": "AQAB", "d": "AQAB", "p": "AQAB", "q": "AQAB", "dp": "AQAB",
        "dq": "AQAB", "qi": "AQAB",
    });
    let deployment = with_key(&json!({ "jar": { "private_key": broken }, "par": true }));
    assert_fails(&deployment, "the platform refuses the private key (authorizer.jar)");
    assert_eq!(deployment.provider.requests(Endpoint::Par), 0);
}

#[test]
fn authorization_details_are_sent_as_json() {
    let details = json!([{ "type": "payment", "actions": ["initiate"] }]);
    for (more, is_pushed) in [(json!({}), false), (json!({ "par": true }), true)] {
        let keys = with(json!({ "a": more }), &json!({ "a": { "authorization_details": details } }));
        let deployment = with_key(&keys["a"]);
        let (location, _) = begin(&deployment, "/login");
        let sent = if is_pushed {
            deployment.provider.state().pushed.values().next().unwrap().clone()
        } else {
            form(location.split_once('?').unwrap().1)
        };
        assert_eq!(serde_json::from_str::<Value>(&sent["authorization_details"]).unwrap(), details);
    }
}

#[test]
fn logins_do_not_storm_an_endpoint_that_is_unavailable() {
    let too_many = Incoming { retry_after: Some("60".into()), ..refusal(429, "slow_down") };
    for (reply, pause_s) in [
        (Ok(too_many), 60),
        (Ok(Incoming { status: 503, ..Incoming::default() }), 1),
        (Err(edgeward::io::Unreachable::Network), 1),
    ] {
        let deployment = with_key(&json!({ "par": true }));
        let pushed = || deployment.provider.requests(Endpoint::Par);
        let login = || deployment.fetch(Request::get("/login"));
        deployment.provider.answer_next(Endpoint::Par, reply.clone());
        assert_eq!(login().status, 502);
        for _ in 0..20 {
            let response = login();
            assert_eq!(response.outcome(), (502, "authorization_request_failed".into()));
            assert_eq!(response.header("retry-after"), Some(pause_s.to_string().as_str()));
        }
        assert_eq!(pushed(), 1);
        deployment.sleep_ms(pause_s * 1000 - 1);
        assert_eq!((login().status, pushed()), (502, 1));
        deployment.sleep_ms(1);
        // One request tries; the next pause is longer.
        deployment.provider.answer_next(Endpoint::Par, Err(edgeward::io::Unreachable::Network));
        deployment.delay_next(&deployment.provider.url(Endpoint::Par), support::host::Delay::Millis(100));
        let responses = deployment.run_all((0..20).map(|_| deployment.answer(Request::get("/login"))));
        assert!(responses.iter().all(|response| response.status == 502) && pushed() == 2);
        deployment.sleep_s(1);
        assert_eq!((login().status, pushed()), (502, 2));
        deployment.sleep_s(1);
        assert_eq!((login().status, pushed()), (302, 3));
        assert_eq!((login().status, pushed()), (302, 4));
    }
    // What concerns one request is no reason for a pause.
    let deployment = with_key(&json!({ "par": true }));
    deployment.provider.answer_next(Endpoint::Par, Ok(refusal(400, "invalid_request")));
    let login = || deployment.fetch(Request::get("/login")).status;
    assert_eq!((login(), login()), (502, 302));
}

#[test]
fn a_certificate_is_used_for_every_request_of_the_client_and_no_other() {
    let keys = json!({ "client_auth": "tls_client_auth", "mtls_binding": "CERTIFICATE", "par": true, "userinfo_at_login": true });
    let deployment = deployment(&keys, Auth::Certificate);
    let alias = |path: &str| format!("https://mtls.example.com/{path}");
    deployment.provider.set().metadata = json!({ "mtls_endpoint_aliases": {
        "token_endpoint": alias("token"), "pushed_authorization_request_endpoint": alias("par"),
        "authorization_endpoint": null, "userinfo_endpoint": "http://mtls.example.com/insecure",
    } });
    for (path, endpoint) in [("token", Endpoint::Token), ("par", Endpoint::Par)] {
        let provider = deployment.provider.clone();
        deployment.serve(&alias(path), move |request| provider.receive(endpoint, request));
    }
    let mut browser = deployment.logged_in();
    deployment.sleep_s(3600);
    assert_eq!(deployment.open(&mut browser, "/app").status, 200);
    deployment.fetch(by(&deployment, &browser, "/logout").page());
    let by_certificate: Vec<(String, String)> = deployment.seen().certified.clone();
    assert!(by_certificate.iter().all(|(binding, _)| binding == "CERTIFICATE"));
    let urls: BTreeSet<String> = by_certificate.into_iter().map(|(_, url)| url).collect();
    let expected = [
        alias("par"),
        alias("token"),
        deployment.provider.url(Endpoint::Revocation),
        deployment.provider.url(Endpoint::Userinfo),
    ];
    assert_eq!(urls, expected.into_iter().collect());
    let all: BTreeSet<String> = deployment.seen().urls().into_iter().collect();
    assert_eq!(all.len(), 6, "those, discovery and keys: {all:?}");
    for exchange in &deployment.provider.state().exchanges {
        assert_eq!(exchange["client_id"], CLIENT);
        assert!(!exchange.contains_key("client_secret") && !exchange.contains_key("client_assertion"));
    }
}

#[test]
fn the_browser_is_sent_to_no_alias() {
    let keys = json!({ "client_auth": "tls_client_auth", "mtls_binding": "CERTIFICATE" });
    let deployment = deployment(&keys, Auth::Certificate);
    let alias = |path: &str| format!("https://mtls.example.com/{path}");
    deployment.provider.set().metadata = json!({ "mtls_endpoint_aliases": {
        "authorization_endpoint": alias("authorize"), "token_endpoint": alias("token"), "userinfo_endpoint": alias("userinfo"),
        "revocation_endpoint": alias("revoke"), "pushed_authorization_request_endpoint": alias("par"),
        "end_session_endpoint": alias("logout"),
    } });
    let provider = deployment.provider.clone();
    deployment.serve(&alias("token"), move |request| provider.receive(Endpoint::Token, request));
    let issuer = deployment.provider.state().issuer.clone();
    let login = begin(&deployment, "/login").0;
    assert!(login.starts_with(&format!("{issuer}authorize?")), "{login}");
    let browser = deployment.logged_in();
    let response = deployment.fetch(by(&deployment, &browser, "/logout").page());
    assert!(response.location().starts_with(&format!("{issuer}oidc/logout?")), "{}", response.location());
    assert!(deployment.seen().certified.iter().all(|(_, url)| url.starts_with("https://mtls.example.com/")));
}

#[test]
fn without_a_certificate_the_aliases_are_not_used() {
    let deployment = with_key(&json!({}));
    deployment.provider.set().metadata =
        json!({ "mtls_endpoint_aliases": { "token_endpoint": "https://mtls.example.com/token" } });
    deployment.logged_in();
    assert!(deployment.seen().certified.is_empty());
    assert_eq!(deployment.provider.requests(Endpoint::Token), 1);
}

#[test]
fn auth0_with_a_certificate_is_discovered_and_logs_out_as_always() {
    let host = VirtualHost::default();
    let provider = Provider::new(&host);
    provider.set().auth = Auth::Certificate;
    let keys = json!({ "client_auth": "self_signed_tls_client_auth", "mtls_binding": "CERTIFICATE" });
    let config = with(support::deployment::config(), &json!({ "authorizer": keys }));
    let deployment = Deployment::on(&host, &provider, &config);
    let browser = deployment.logged_in();
    assert_eq!(deployment.provider.requests(Endpoint::Discovery), 1);
    let response = deployment.fetch(by(&deployment, &browser, "/logout").page());
    assert!(response.location().starts_with("https://tenant.example.com/v2/logout?"), "{}", response.location());
}

#[test]
fn requests_are_pushed_to_auth0_without_its_metadata() {
    let config = with(support::deployment::config(), &json!({ "authorizer": { "par": true } }));
    let deployment = Deployment::of(&config);
    deployment.logged_in();
    assert_eq!(deployment.provider.requests(Endpoint::Par), 1);
    assert_eq!(deployment.provider.requests(Endpoint::Discovery), 0);
}

/// A deployment with the FAPI profile.
fn fapi(more: &Value) -> Deployment {
    let mut keys = json!({ "fapi": "fapi2_sp", "mtls_binding": "CERTIFICATE", "mtls": "allowed", "dpop": "allowed" });
    keys.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let deployment = with_key(&keys);
    deployment.provider.set().id = std::rc::Rc::new(|id| id.algorithm(edgeward::jwt::Algorithm::Ps256));
    deployment.provider.set().access =
        std::rc::Rc::new(|access| certified(access.algorithm(edgeward::jwt::Algorithm::Ps256)).text());
    deployment
}

/// Binds a token to the certificate of `CERTIFICATE`.
fn certified(token: Mint) -> Mint {
    token.claim("cnf", json!({ "x5t#S256": base64url::encode(&[7; 32]) }))
}

/// A certificate as the platform states it.
fn certificate() -> String {
    format!("1\n0\nSUCCESS\n{}", "07".repeat(32))
}

#[test]
fn the_fapi_profile_sets_what_it_requires() {
    let deployment = fapi(&json!({}));
    assert_eq!(begin(&deployment, "/login").1, ["client_id", "request_uri"]);
    let pushed = deployment.provider.state().pushed.values().next().unwrap().clone();
    assert_eq!(pushed["code_challenge_method"], "S256");
    assert_eq!((pushed["nonce"].len(), pushed["redirect_uri"].as_str()), (43, "https://app.example.com/callback"));
    let browser = deployment.logged_in();
    assert_eq!(deployment.fetch(by(&deployment, &browser, "/app")).status, 200);
    assert!(deployment.provider.state().assertions.iter().all(|(header, _)| header["alg"] == "PS256"));
    assert!(deployment.lines().is_empty(), "{:?}", deployment.lines());
}

#[test]
fn the_fapi_profile_requires_iss_even_if_the_metadata_promises_none() {
    for (keys, expected) in [(json!({}), 400), (json!({ "fapi": null, "mtls_binding": null }), 302)] {
        let deployment = fapi(&keys);
        deployment.provider.set().metadata = json!({ "authorization_response_iss_parameter_supported": false });
        if expected == 302 {
            deployment.provider.set().id = std::rc::Rc::new(|id| id);
        }
        let mut browser = Browser::default();
        let callback = deployment.begin(&mut browser, "/login");
        let without_iss = callback.split_once("&iss=").unwrap().0;
        let response = deployment.send(&mut browser, Request::get(without_iss));
        assert_eq!(response.status, expected, "{:?}", deployment.lines());
        if expected == 400 {
            assert_eq!(response.outcome().1, "callback_issuer_mismatch");
        }
    }
}

#[test]
fn the_fapi_profile_refuses_tokens_of_other_algorithms() {
    let deployment = fapi(&json!({}));
    deployment.provider.set().id = std::rc::Rc::new(|id| id);
    let response = failing(&deployment, &mut Browser::default());
    assert_eq!(response.outcome(), (400, "id_token_invalid".into()));
    let bearer = |alg| {
        let token = certified(Mint::access(key_a()).algorithm(alg)).text();
        let request = Request::get("/app").bearer(&token).header(":client-certificate", certificate());
        deployment.fetch(request).status
    };
    assert_eq!(bearer(edgeward::jwt::Algorithm::Rs256), 401);
    assert_eq!(bearer(edgeward::jwt::Algorithm::Ps256), 200);
}

#[test]
fn the_fapi_profile_accepts_bound_bearer_tokens_only() {
    for modes in [json!({}), json!({ "mtls": "off" }), json!({ "dpop": "off" }), json!({ "mtls": "required" })] {
        let deployment = fapi(&modes);
        let token = Mint::access(key_a()).algorithm(edgeward::jwt::Algorithm::Ps256);
        let plain = Request::get("/app").bearer(&token.text()).header(":client-certificate", certificate());
        assert_eq!(deployment.fetch(plain).outcome(), (401, "token_not_bound".into()), "{modes}");
        let bound = Request::get("/app").bearer(&certified(token).text());
        let expected = if modes["mtls"] == "off" { "token_sender_constrained" } else { "certificate_missing" };
        assert_eq!(deployment.fetch(bound.clone()).outcome(), (401, expected.into()), "{modes}");
        if modes["mtls"] != "off" {
            assert_eq!(deployment.fetch(bound.header(":client-certificate", certificate())).status, 200, "{modes}");
        }
    }
}

#[test]
fn the_fapi_profile_grants_nothing_for_a_login_with_an_access_token_that_is_not_bound() {
    for is_bound in [true, false] {
        let deployment = fapi(&json!({}));
        if !is_bound {
            deployment.provider.set().access =
                std::rc::Rc::new(|access| access.algorithm(edgeward::jwt::Algorithm::Ps256).text());
        }
        let session = deployment.session(&deployment.logged_in());
        assert_eq!(session.claims_at(deployment.now()).scopes().next().is_some(), is_bound);
        assert_eq!(deployment.has_logged("access_token_unusable: token_not_bound: "), !is_bound);
    }
}

#[test]
fn the_fapi_profile_reads_the_metadata_of_the_issuer() {
    let host = VirtualHost::default();
    let provider = Provider::new(&host);
    provider.set().auth = Auth::Key(key_b());
    let keys = json!({
        "fapi": "fapi2_sp", "mtls_binding": "CERTIFICATE", "mtls": "required", "client_auth": "private_key_jwt",
        "private_key": KEY_B
    });
    let config = with(support::deployment::config(), &json!({ "authorizer": keys }));
    let deployment = Deployment::on(&host, &provider, &config);
    provider.set().metadata = json!({ "issuer": "https://other.example.com/" });
    let response = deployment.fetch(Request::get("/login"));
    assert_eq!(response.outcome(), (502, "discovery_issuer_mismatch".into()));
    assert_eq!(provider.requests(Endpoint::Par), 0);
    provider.set().metadata = json!({});
    deployment.sleep_s(60);
    assert_eq!(begin(&deployment, "/login").1, ["client_id", "request_uri"]);
}

#[test]
fn a_token_in_the_query_is_refused_under_the_profile() {
    let deployment = fapi(&json!({}));
    let token = Mint::access(key_a()).algorithm(edgeward::jwt::Algorithm::Ps256).text();
    let response = deployment.fetch(Request::get(&format!("/app?access_token={token}")));
    assert_eq!(response.outcome(), (400, "invalid_request".into()));
}

/// Every key here has another purpose.
#[test]
fn the_keys_of_these_tests_differ() {
    let kids: BTreeSet<&str> = [key_a(), key_b(), key_c()].iter().map(|key: &&TestKey| key.kid).collect();
    assert_eq!(kids.len(), 3);
}
