//! The gateway as a DPoP client (RFC 9449): its tokens are bound to a key of its own, and each request with one has a proof.

use std::collections::VecDeque;
use std::rc::Rc;

use edgeward::base64url;
use edgeward::gateway::{Answer, HeaderEdit, ProofOutcome};
use edgeward::http::RequestHead;
use edgeward::io::{Incoming, Outgoing};
use edgeward::jwt::Algorithm;
use edgeward::limits;
use serde_json::{Value, json};
use support::browser::{Browser, Request, Response};
use support::coordinator::Behavior;
use support::deployment::{Deployment, oidc_config, with};
use support::host::{Delay, VirtualHost};
use support::proofs::{Proofs, Refused, bound_to, thumbprint, verified};
use support::provider::{Auth, CLIENT_SECRET, EXCHANGE, Endpoint, Fault, Provider, form, refusal};
use support::{Mint, TestKey, key_a, key_b, key_c};

use crate::{by, due, peek};

const KEY_B: &str = include_str!("../keys/rsa2048-b.pem");
const KEY_C: &str = include_str!("../keys/rsa2048-c.pem");
const ORDERS: &str = "https://orders.example.com";

/// Returns a configuration whose client has the key B for its tokens, with routes that send tokens on.
fn configured(more: &Value) -> Value {
    let mut keys = json!({ "dpop_key": KEY_B });
    keys.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut config = with(oidc_config(), &json!({ "authorizer": keys }));
    let proxy = |path: &str, auth: &str, more: &Value| {
        let mut integration = json!({ "type": "http_proxy", "url": "https://origin.example.com/base" });
        integration.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "method": "ANY", "path": path, "auth": auth, "integration": integration })
    };
    let m2m = json!({ "m2m": { "audience": ORDERS, "scope": "read:orders" } });
    let exchange = json!({ "exchange": { "audience": ORDERS } });
    let paths = config["paths"].as_array_mut().unwrap();
    let headers = json!({ "Authorization": "Bearer $token", "X-Plan": "gold" });
    paths.push(proxy("/session/{*rest}", "required", &json!({ "headers": headers })));
    if more["client_auth"] == "none" {
        // It obtains no tokens for upstreams.
        return config;
    }
    paths.extend([
        proxy("/m2m", "none", &json!({ "upstream_auth": m2m })),
        proxy(
            "/m2m/headers",
            "none",
            &json!({ "upstream_auth": m2m, "headers": { "X-Token": "$m2m", "X-Service": "Bearer $m2m" } }),
        ),
        proxy("/exchange", "required", &json!({ "upstream_auth": exchange })),
    ]);
    config
}

/// Returns a deployment with a provider that binds tokens, and does not accept them without proof.
fn deployment(more: &Value) -> Deployment {
    let host = VirtualHost::default();
    let provider = Provider::new(&host);
    provider.set().proofs = Some(Proofs::default());
    for key in [key_b(), key_c()] {
        host.register_secret(key.private_jwk()["d"].as_str().unwrap());
    }
    Deployment::on(&host, &provider, &configured(more))
}

/// Sets the nonce that proofs need, and those that follow it.
fn want_nonces(deployment: &Deployment, nonces: &[&str]) {
    let mut nonces: VecDeque<String> = nonces.iter().map(|nonce| (*nonce).into()).collect();
    let mut state = deployment.provider.set();
    let proofs = state.proofs.as_mut().unwrap();
    proofs.nonce = nonces.pop_front();
    proofs.next = nonces;
}

/// Returns the claims of the accepted proofs.
fn accepted(deployment: &Deployment) -> Vec<Value> {
    let state = deployment.provider.state();
    state.proofs.as_ref().unwrap().accepted.iter().map(|(_, _, claims)| claims.clone()).collect()
}

fn challenged(deployment: &Deployment) -> usize {
    deployment.provider.state().proofs.as_ref().unwrap().challenged
}

/// Checks the proof that an origin gets, for this URL, and returns the token.
fn proved(deployment: &Deployment, response: &Response, header: &str, request: (&str, &str)) -> String {
    proved_by(key_b(), deployment, response, header, request)
}

fn proved_by(
    key: &TestKey,
    deployment: &Deployment,
    response: &Response,
    header: &str,
    (method, url): (&str, &str),
) -> String {
    let expected = thumbprint(key);
    let token = response.origin_header(header).expect("a token").trim_start_matches("DPoP ").to_string();
    let got = response.origin_got.as_ref().unwrap();
    assert_eq!(got.iter().filter(|(name, _)| name.eq_ignore_ascii_case("dpop")).count(), 1);
    assert!(got.iter().all(|(_, value)| !value.starts_with("Bearer ")), "a bound token is no bearer token");
    let proof = response.origin_header("dpop").unwrap();
    let (key, header, claims) = verified(proof, method, url, Some(&token), deployment.now().secs()).unwrap();
    assert_eq!((key, &header["alg"]), (expected, &json!("RS256")));
    let mut names: Vec<&String> = claims.as_object().unwrap().keys().collect();
    names.sort();
    assert!(names == ["ath", "htm", "htu", "iat", "jti"] || names == ["ath", "htm", "htu", "iat", "jti", "nonce"]);
    token
}

fn login_fails(deployment: &Deployment, line: &str) {
    let mut browser = Browser::default();
    let callback = deployment.begin(&mut browser, "/login");
    let response = deployment.send(&mut browser, Request::get(&callback));
    assert_eq!(response.outcome(), (502, "token_exchange_failed".into()));
    assert_eq!(response.cookies().len(), 0);
    let line = format!("token_exchange_failed: https://tenant.example.com/oauth/token answered {line}");
    assert!(deployment.has_logged(&line), "{:?}", deployment.lines());
}

fn rights(deployment: &Deployment, browser: &Browser) -> usize {
    deployment.session(browser).claims_at(deployment.now()).scopes().count()
}

#[test]
fn every_token_request_has_a_fresh_proof_and_every_token_is_bound_to_the_key() {
    for more in
        [json!({}), json!({ "client_auth": "none", "client_secret": null }), json!({ "userinfo_at_login": true })]
    {
        let deployment = deployment(&more);
        if more.get("client_auth").is_some() {
            deployment.provider.set().auth = Auth::None;
        }
        let browser = due(&deployment);
        assert!(rights(&deployment, &browser) > 0, "the gateway has the key of the access token");
        assert_eq!(peek(&deployment, &browser, "/app").status, 200);
        assert_eq!(deployment.provider.refreshes(), 1);
        assert_eq!(deployment.provider.requests(Endpoint::Token), 2);
        let state = deployment.provider.state();
        for (url, header, claims) in &state.proofs.as_ref().unwrap().accepted {
            assert_eq!(header["alg"], "RS256");
            let (method, has_token) = if url.ends_with("/userinfo") { ("GET", true) } else { ("POST", false) };
            assert_eq!((claims["htm"].as_str(), claims["htu"].as_str()), (Some(method), Some(url.as_str())));
            assert_eq!((claims.get("ath").is_some(), claims.get("nonce")), (has_token, None));
        }
        let userinfo = deployment.provider.requests(Endpoint::Userinfo);
        assert_eq!(userinfo, if more.get("userinfo_at_login").is_some() { 2 } else { 0 });
        assert_eq!(state.proofs.as_ref().unwrap().accepted.len(), 2 + userinfo);
        drop(state);
        assert_eq!(deployment.lines(), [""; 0]);
    }
}

#[test]
fn the_code_is_bound_to_the_key_in_every_kind_of_request() {
    for more in [json!({}), json!({ "par": true }), json!({ "jar": { "private_key": KEY_C } })] {
        let deployment = deployment(&more);
        deployment.provider.set().request_key = Some(key_c());
        let response = deployment.open(&mut Browser::default(), "/login");
        let sent = form(response.location().split_once('?').unwrap().1);
        let jkt = thumbprint(key_b());
        if more.get("par").is_some() {
            let state = deployment.provider.state();
            assert_eq!(state.pushed.values().next().unwrap()["dpop_jkt"], jkt);
        } else if more.get("jar").is_none() {
            assert_eq!(sent["dpop_jkt"], jkt);
        } else {
            deployment.provider.authorize(response.location());
            assert_eq!(deployment.provider.state().request.1["dpop_jkt"], jkt);
        }
        deployment.logged_in();
        assert_eq!(deployment.lines(), [""; 0]);
    }
    // A code for another key is refused.
    let deployment = deployment(&json!({}));
    let mut browser = Browser::default();
    let login = deployment.open(&mut browser, "/login").location().replace(&thumbprint(key_b()), &thumbprint(key_c()));
    let callback = deployment.provider.authorize(&login);
    assert_eq!(deployment.send(&mut browser, Request::get(&callback)).outcome(), (502, "token_exchange_failed".into()));
}

#[test]
fn a_nonce_is_answered_once_and_used_until_the_next() {
    let deployment = deployment(&json!({ "userinfo_at_login": true }));
    want_nonces(&deployment, &["nonce-1", "nonce-2", "nonce-3", "nonce-4"]);
    let browser = due(&deployment);
    // The token endpoint and userinfo are servers of their own (RFC 9449 §9); each asks once.
    assert_eq!((challenged(&deployment), deployment.provider.requests(Endpoint::Token)), (2, 2));
    let nonces = |deployment: &Deployment| -> Vec<String> {
        accepted(deployment).iter().map(|claims| claims["nonce"].as_str().unwrap().into()).collect()
    };
    assert_eq!(nonces(&deployment), ["nonce-1", "nonce-2"]);
    // The last answer had the nonce for the next proof, of that server.
    want_nonces(&deployment, &["nonce-2"]);
    assert_eq!(peek(&deployment, &browser, "/app").status, 200);
    assert_eq!(nonces(&deployment)[2..], ["nonce-2", "nonce-2"]);
    let exchanges = deployment.provider.state().exchanges.clone();
    assert_eq!(exchanges.iter().filter(|form| form["grant_type"] == "authorization_code").count(), 2);
    assert_eq!(exchanges[0]["code"], exchanges[1]["code"], "a challenged code was not processed");
    assert_eq!(deployment.lines(), [""; 0]);
    // Another instance knows none.
    let before = challenged(&deployment);
    deployment.instance().logged_in();
    assert_eq!(challenged(&deployment), before + 2);
}

#[test]
fn a_server_that_always_wants_another_nonce_is_asked_twice() {
    let deployment = deployment(&json!({}));
    let refused =
        |number: usize| Incoming { dpop_nonce: Some(format!("nonce-{number}")), ..refusal(400, "use_dpop_nonce") };
    for number in 0..4 {
        deployment.provider.answer_next(Endpoint::Token, Ok(refused(number)));
    }
    login_fails(&deployment, "400, use_dpop_nonce");
    assert_eq!(deployment.provider.requests(Endpoint::Token), 2);
    deployment.provider.clear_faults();
    // No nonce, or none that may be sent: nothing is repeated.
    let long = "n".repeat(limits::MAX_SERVER_NONCE_BYTES + 1);
    for nonce in [None, Some(String::new()), Some("a b".into()), Some("é".into()), Some(long)] {
        let before = deployment.provider.requests(Endpoint::Token);
        let reply = Incoming { dpop_nonce: nonce, ..refusal(400, "use_dpop_nonce") };
        deployment.provider.answer_next(Endpoint::Token, Ok(reply));
        login_fails(&deployment, "400, use_dpop_nonce");
        assert_eq!(deployment.provider.requests(Endpoint::Token), before + 1);
    }
    // Nor is a refusal for another reason, whatever it states.
    let reply = Incoming { dpop_nonce: Some("nonce-9".into()), ..refusal(400, "invalid_grant") };
    let before = deployment.provider.requests(Endpoint::Token);
    deployment.provider.answer_next(Endpoint::Token, Ok(reply));
    login_fails(&deployment, "400, invalid_grant");
    assert_eq!(deployment.provider.requests(Endpoint::Token), before + 1);
}

#[test]
fn a_refresh_that_is_challenged_keeps_the_session() {
    let deployment = deployment(&json!({}));
    let browser = due(&deployment);
    want_nonces(&deployment, &["nonce-1"]);
    assert_eq!(peek(&deployment, &browser, "/app").status, 200);
    assert_eq!((deployment.provider.refreshes(), challenged(&deployment)), (2, 1));
    assert_eq!(deployment.provider.state().reused, 0, "a challenged refresh token was not used");
    // What concerns the proof alone is a failure that passes, but no end of the session.
    for (error, count) in [("use_dpop_nonce", 2), ("invalid_dpop_proof", 1)] {
        let browser = due(&deployment);
        let refreshes = deployment.provider.refreshes();
        for number in 0..count {
            let reply = Incoming { dpop_nonce: Some(format!("n-{number}")), ..refusal(400, error) };
            deployment.provider.answer_next(Endpoint::Token, Ok(reply));
        }
        assert_eq!(peek(&deployment, &browser, "/app").status, 200, "{error}");
        assert_eq!(deployment.provider.refreshes(), refreshes + count);
        assert!(deployment.provider.is_live(&deployment.provider.newest()), "{error}");
    }
}

#[test]
fn a_response_without_a_token_for_the_key_is_refused() {
    let unbound = "200 without token_type DPoP, which authorizer.dpop_key requires";
    for kind in [json!("Bearer"), json!("mac"), json!(null), json!(7), json!("")] {
        let deployment = deployment(&json!({}));
        deployment.provider.fault(Endpoint::Token, Fault::Change(Box::new(move |body| body["token_type"] = kind)));
        login_fails(&deployment, unbound);
        deployment.logged_in();
    }
    let other = "200 without a token that is bound to authorizer.dpop_key";
    for cnf in
        [None, Some(bound_to(&thumbprint(key_c()))), Some(json!({ "jkt": 7 })), Some(json!({})), Some(json!("x"))]
    {
        let deployment = deployment(&json!({}));
        deployment.provider.set().access = Rc::new(move |access| match &cnf {
            Some(cnf) => access.claim("cnf", cnf.clone()).text(),
            None => access.without("cnf").text(),
        });
        login_fails(&deployment, other);
    }
    // So is that of a refresh, whose new refresh token is kept.
    for kind in [json!("Bearer"), json!(null)] {
        let deployment = deployment(&json!({}));
        let mut browser = due(&deployment);
        deployment.provider.fault(Endpoint::Token, Fault::Change(Box::new(move |body| body["token_type"] = kind)));
        let access = deployment.session(&browser).tokens().access.clone();
        assert_eq!(deployment.open(&mut browser, "/app").status, 200);
        let tokens = deployment.session(&browser).tokens().clone();
        assert_eq!((tokens.access, tokens.refresh), (access, Some(deployment.provider.newest())));
    }
    // Without a key, a bound token is of no use.
    let deployment = deployment(&json!({ "dpop_key": null }));
    deployment.provider.set().proofs = None;
    deployment.provider.fault(Endpoint::Token, Fault::Change(Box::new(|body| body["token_type"] = json!("DPoP"))));
    login_fails(&deployment, "200 without token_type Bearer");
}

#[test]
fn a_token_bound_to_more_than_the_key_grants_nothing() {
    for (more, grants) in
        [(json!({}), true), (json!({ "x5t#S256": "A".repeat(43) }), false), (json!({ "kid": "k" }), false)]
    {
        let deployment = deployment(&json!({}));
        deployment.provider.set().access = Rc::new(move |access| {
            let mut cnf = bound_to(&thumbprint(key_b()));
            cnf.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            access.claim("cnf", cnf).text()
        });
        assert_eq!(rights(&deployment, &deployment.logged_in()) > 0, grants);
        assert_eq!(deployment.has_logged("access_token_unusable: token_sender_constrained: "), !grants);
    }
}

#[test]
fn a_stolen_token_of_a_session_is_no_bearer_token() {
    for dpop in ["off", "allowed"] {
        let deployment = deployment(&json!({ "dpop": dpop }));
        let token = deployment.session(&deployment.logged_in()).tokens().access.clone();
        let stolen = deployment.fetch(Request::get("/app").bearer(&token));
        assert_eq!(stolen.outcome(), (401, "token_sender_constrained".into()));
        assert_eq!(deployment.fetch(Request::get("/userinfo").bearer(&token)).status, 401);
    }
}

#[test]
fn userinfo_is_requested_with_a_proof() {
    let deployment = deployment(&json!({}));
    let browser = deployment.logged_in();
    want_nonces(&deployment, &["nonce-1", "nonce-2"]);
    let response = peek(&deployment, &browser, "/userinfo");
    assert_eq!((response.status, response.json()["email"].as_str()), (200, Some("ann@example.com")));
    assert_eq!((challenged(&deployment), deployment.provider.requests(Endpoint::Userinfo)), (1, 2));
    assert_eq!(peek(&deployment, &browser, "/userinfo").json()["email"], "ann@example.com");
    assert_eq!((challenged(&deployment), deployment.provider.requests(Endpoint::Userinfo)), (1, 3));
    // An endpoint that never is content is asked twice; the session has the claims of its login.
    let wants_nonce = |error: &str, nonce: &str| Incoming {
        status: 401,
        dpop_nonce: Some(nonce.into()),
        www_authenticate: Some(format!("DPoP error=\"{error}\"")),
        ..Incoming::default()
    };
    for number in 0..4 {
        let reply = wants_nonce("use_dpop_nonce", &format!("n-{number}"));
        deployment.provider.answer_next(Endpoint::Userinfo, Ok(reply));
    }
    let response = peek(&deployment, &browser, "/userinfo");
    assert_eq!((response.status, response.json().get("email")), (200, None));
    assert_eq!(deployment.provider.requests(Endpoint::Userinfo), 5);
    deployment.provider.clear_faults();
    // Another refusal is final, and so is one with the nonce that the proof had.
    for (number, error, nonce) in [(6, "invalid_token", "n-8"), (7, "use_dpop_nonce", "n-8")] {
        deployment.provider.answer_next(Endpoint::Userinfo, Ok(wants_nonce(error, nonce)));
        assert_eq!(peek(&deployment, &browser, "/userinfo").json().get("email"), None);
        assert_eq!(deployment.provider.requests(Endpoint::Userinfo), number);
    }
}

#[test]
fn an_origin_gets_the_token_of_a_session_with_a_proof_for_the_very_request() {
    let deployment = deployment(&json!({}));
    let browser = deployment.logged_in();
    let send = |method: &'static str, target: &str| {
        let request = Request { method, ..by(&deployment, &browser, target) };
        // A client's own header is replaced.
        deployment.fetch(request.header("dpop", "a.b.c"))
    };
    let mut seen = Vec::new();
    for (method, target) in
        [("GET", "/session/a%2Db?q=1"), ("POST", "/session/x"), ("GET", "/session/x"), ("HEAD", "/session/x")]
    {
        let response = send(method, target);
        let url = format!("https://origin.example.com/base{}", target.split('?').next().unwrap());
        let token = proved(&deployment, &response, "authorization", (method, &url));
        assert!(response.origin_header("authorization").unwrap().starts_with("DPoP "));
        assert_eq!(token, deployment.session(&browser).tokens().access);
        assert_eq!(response.origin_header("x-plan"), Some("gold"));
        let proof = response.origin_header("dpop").unwrap().to_string();
        // It is for this method, this URL and this token alone.
        let now_s = deployment.now().secs();
        let other = |method: &str, url: &str, token: &str| verified(&proof, method, url, Some(token), now_s).err();
        assert_eq!(other("PUT", &url, &token), Some(Refused::Proof("another request")));
        assert_eq!(other(method, "https://origin.example.com/", &token), Some(Refused::Proof("another request")));
        assert_eq!(other(method, &url, "x"), Some(Refused::Proof("another token")));
        assert!(!seen.contains(&proof), "never twice");
        seen.push(proof);
    }
    // A token alone gets one, too; a request without a token gets none.
    let response = peek(&deployment, &browser, "/token");
    proved(&deployment, &response, "x-token", ("GET", "https://origin.example.com/token"));
    assert_eq!(peek(&deployment, &browser, "/app").origin_header("dpop"), None);
    // Nor does the token of an API client, which has its own key, or none.
    let bearer = Mint::access(key_a()).text();
    let response = deployment.fetch(Request::get("/session/x").bearer(&bearer));
    assert_eq!(response.origin_header("authorization"), Some(format!("Bearer {bearer}").as_str()));
    assert_eq!(response.origin_header("dpop"), None);
}

#[test]
fn tokens_for_upstreams_are_bound_and_proved() {
    let deployment = deployment(&json!({}));
    let url = |path: &str| format!("https://origin.example.com/base{path}");
    let first = proved(&deployment, &deployment.fetch(Request::get("/m2m")), "authorization", ("GET", &url("/m2m")));
    let response = deployment.fetch(Request::get("/m2m/headers"));
    let again = proved(&deployment, &response, "x-token", ("GET", &url("/m2m/headers")));
    assert_eq!((response.origin_header("x-service"), &again), (Some(format!("DPoP {first}").as_str()), &first));
    assert_eq!(deployment.provider.requests(Endpoint::Token), 1);
    let browser = deployment.logged_in();
    let response = peek(&deployment, &browser, "/exchange");
    let exchanged = proved(&deployment, &response, "authorization", ("GET", &url("/exchange")));
    assert_ne!(exchanged, deployment.session(&browser).tokens().access);
    assert_eq!(deployment.provider.state().exchanges.last().unwrap()["grant_type"], EXCHANGE);
    assert_eq!(deployment.lines(), [""; 0]);
    // A bearer token is none.
    deployment.sleep_s(3600);
    deployment.provider.fault(Endpoint::Token, Fault::Change(Box::new(|body| body["token_type"] = json!("Bearer"))));
    assert_eq!(deployment.fetch(Request::get("/m2m")).outcome(), (503, "upstream_token_unavailable".into()));
    let line = "upstream_token_unavailable: https://tenant.example.com/oauth/token answered 200 without token_type DPoP, which authorizer.dpop_key requires";
    assert!(deployment.lines().iter().any(|one| one == line), "{:?}", deployment.lines());
}

#[test]
fn an_upstream_that_wants_a_nonce_gets_one_and_a_request_whose_body_is_used_is_not_repeated() {
    let deployment = deployment(&json!({}));
    use ProofOutcome::{BodyUsed, Done, Repeat};
    let handle = |method: &'static str, statuses: &[(u16, Option<&str>, bool, ProofOutcome)]| -> Vec<Value> {
        let head = RequestHead { method, url: "https://app.example.com/m2m", header: &|_| None };
        let answer = deployment.run(deployment.gateway.handle(&head, &deployment.host));
        let Answer::Forward(mut forward) = answer else { panic!("not forwarded") };
        assert!(forward.has_own_proof());
        let removed = forward.response_edits(200, None).contains(&HeaderEdit::Remove("dpop-nonce"));
        assert!(removed, "the nonce is for the gateway");
        let mut claims = Vec::new();
        let mut read = |set: &[(String, String)]| {
            let value = |name: &str| set.iter().find(|(one, _)| one == name).unwrap().1.clone();
            let token = value("authorization").trim_start_matches("DPoP ").to_string();
            let url = "https://origin.example.com/base/m2m";
            claims.push(verified(&value("dpop"), method, url, Some(&token), deployment.now().secs()).unwrap().2);
        };
        read(&forward.set);
        for &(status, nonce, is_repeatable, outcome) in statuses {
            let challenge = Some(r#"DPoP error="use_dpop_nonce""#);
            let renewed =
                deployment.run(forward.renew_proof(status, (nonce, challenge), is_repeatable, &deployment.host));
            assert_eq!(renewed, outcome, "{method} {status} {nonce:?}");
            assert_eq!(forward.set.iter().filter(|(name, _)| name == "dpop").count(), 1);
            read(&forward.set);
        }
        claims
    };
    let proofs = handle("GET", &[(401, Some("n-1"), true, Repeat), (401, Some("n-2"), true, Done)]);
    assert_eq!((proofs[0].get("nonce"), &proofs[1]["nonce"]), (None, &json!("n-1")));
    assert_ne!(proofs[0]["jti"], proofs[1]["jti"]);
    // What the last answer stated is in the next proof.
    let proofs = handle("GET", &[(200, Some("n-3"), true, Done), (401, Some("n-4"), true, Done)]);
    assert_eq!(proofs[0]["nonce"], "n-2");
    let proofs = handle("POST", &[(401, Some("n-5"), false, BodyUsed)]);
    assert_eq!(proofs[0]["nonce"], "n-4");
    handle("GET", &[(401, None, true, Done)]);
    handle("GET", &[(401, Some("a b"), true, Done)]);
    assert_eq!(handle("GET", &[(403, Some("n-6"), true, Done)])[0]["nonce"], "n-5");
    assert_eq!(handle("POST", &[(401, Some("n-7"), true, Repeat)])[1]["nonce"], "n-7");
    // Another refusal is final, and so is one with the nonce that the proof had.
    for (nonce, challenge) in
        [("n-8", None), ("n-9", Some(r#"DPoP error="invalid_token""#)), ("n-9", Some(r#"DPoP error="use_dpop_nonce""#))]
    {
        for is_repeatable in [true, false] {
            let head = RequestHead { method: "POST", url: "https://app.example.com/m2m", header: &|_| None };
            let answer = deployment.run(deployment.gateway.handle(&head, &deployment.host));
            let Answer::Forward(mut forward) = answer else { panic!("not forwarded") };
            let answered = (Some(nonce), challenge);
            let outcome = deployment.run(forward.renew_proof(401, answered, is_repeatable, &deployment.host));
            assert_eq!(outcome, Done, "{nonce} {challenge:?}");
            let reply = forward.to_repeat(&head);
            assert_eq!(reply.status, 503);
            assert!(reply.headers.iter().any(|(name, value)| *name == "retry-after" && value == "1"));
        }
    }
}

#[test]
fn the_url_of_a_proof_is_the_one_that_runtimes_request() {
    for (url, requested) in [
        ("https://Origin.Example.com:443/Base", "https://origin.example.com/Base"),
        ("https://origin.example.com:8443", "https://origin.example.com:8443"),
        ("http://LOCALHOST:80/b", "http://localhost/b"),
        ("http://localhost:443", "http://localhost:443"),
        ("http://[::1]:80", "http://[::1]"),
    ] {
        let host = VirtualHost::default();
        let provider = Provider::new(&host);
        provider.set().proofs = Some(Proofs::default());
        let mut config = configured(&json!({}));
        for route in config["paths"].as_array_mut().unwrap().iter_mut().filter(|route| route["path"] == "/m2m") {
            route["integration"]["url"] = json!(url);
        }
        let deployment = Deployment::on(&host, &provider, &config);
        let response = deployment.fetch(Request::get("/m2m"));
        proved(&deployment, &response, "authorization", ("GET", &format!("{requested}/m2m")));
    }
}

#[test]
fn an_exchange_that_takes_as_long_as_it_may_is_not_made_again() {
    for is_silent in [false, true] {
        let secrets = json!(["a secret that is no longer valid", CLIENT_SECRET]);
        let deployment = deployment(&json!({ "client_secret": secrets, "userinfo_at_login": true }));
        let browser = due(&deployment);
        let exchanges = deployment.provider.requests(Endpoint::Token);
        let cold = deployment.instance();
        if is_silent {
            cold.coordinated().behave(Behavior::Silent);
        }
        let almost = |timeout_ms: u32| Delay::Millis(timeout_ms - 1);
        for endpoint in [Endpoint::Discovery, Endpoint::Keys, Endpoint::Userinfo] {
            cold.delay_answers(&cold.provider.url(endpoint), almost(limits::FETCH_TIMEOUT_MS));
        }
        cold.delay_answers(&cold.provider.url(Endpoint::Token), almost(limits::TOKEN_ENDPOINT_TIMEOUT_MS));
        want_nonces(&cold, &["nonce-1"]);
        let mut tasks = cold.tasks();
        // Requests during the whole time wait for the first exchange.
        for _ in 0..16 {
            tasks.start(cold.answer(by(&cold, &browser, "/app")));
            tasks.start(cold.answer(Request::get("/m2m")));
            tasks.elapse_ms(3_000);
        }
        tasks.finish();
        let sent = cold.provider.state().exchanges[exchanges..].to_vec();
        let count = |grant: &str| sent.iter().filter(|form| form["grant_type"] == grant).count();
        // Without the object, no session is refreshed.
        let refreshes = if is_silent { 0 } else { 3 };
        assert_eq!(count("refresh_token"), refreshes, "a nonce, and one for each secret");
        assert_eq!((count("client_credentials"), cold.provider.state().reused), (3, 0));
    }
}

#[test]
fn leases_outlast_every_attempt() {
    let attempts_ms = i64::from(limits::TOKEN_ENDPOINT_ATTEMPTS * limits::TOKEN_ENDPOINT_TIMEOUT_MS);
    let before_ms = i64::from(limits::SHARED_REFRESH_TIMEOUT_MS + 2 * limits::FETCH_TIMEOUT_MS);
    assert!(limits::UPSTREAM_TOKEN_LEASE_MS > before_ms + attempts_ms);
    assert!(limits::REFRESH_LEASE_MS > before_ms + attempts_ms);
}

#[test]
fn a_new_key_is_for_new_tokens_and_a_former_one_for_its_own() {
    let old = deployment(&json!({ "client_auth": "none", "client_secret": null }));
    old.provider.set().auth = Auth::None;
    let browser = due(&old);
    let more = json!({ "client_auth": "none", "client_secret": null, "dpop_key": [KEY_C, KEY_B] });
    let new = Deployment::on(&old.host, &old.provider, &configured(&more));
    // The refresh token of a public client is bound to its key, as its access token is (RFC 9449 §5).
    let mut browser = browser;
    assert_eq!(new.open(&mut browser, "/app").status, 200);
    assert_eq!((new.provider.refreshes(), rights(&new, &browser) > 0), (1, true));
    let url = "https://origin.example.com/base/session/x";
    proved(&new, &peek(&new, &browser, "/session/x"), "authorization", ("GET", url));
    assert_eq!(peek(&new, &browser, "/userinfo").json()["email"], "ann@example.com");
    let key = |header: &Value| header["jwk"]["n"] == key_c().jwk()["n"];
    let later = new.logged_in();
    assert!(key(&new.provider.state().proofs.as_ref().unwrap().accepted.last().unwrap().1));
    assert!(rights(&new, &later) > 0);
    // Where the former key is gone, its tokens are of no use, and are not sent as anything else.
    let gone = json!({ "client_auth": "none", "client_secret": null, "dpop_key": KEY_C });
    let gone = Deployment::on(&old.host, &old.provider, &configured(&gone));
    let sent = gone.provider.requests(Endpoint::Token);
    assert_eq!(peek(&gone, &browser, "/session/x").outcome(), (503, "upstream_token_unavailable".into()));
    assert_eq!(peek(&gone, &browser, "/userinfo").json().get("email"), None);
    assert_eq!(gone.provider.requests(Endpoint::Token), sent, "the refresh token of a public client would be lost");
    assert!(gone.has_logged("dpop_key_missing: "));
    assert_eq!(peek(&new, &browser, "/userinfo").json()["email"], "ann@example.com");
}

/// The forms of access tokens: a JWT, an opaque text, and one that only the API can decrypt.
const FORMS: [&str; 3] = ["jwt", "opaque", "jwe"];

fn issue(deployment: &Deployment, form: &'static str) {
    deployment.provider.set().access = Rc::new(move |access| {
        let text = access.text();
        let end = text.rsplit('.').next().unwrap();
        match form {
            "jwt" => text,
            "opaque" => end.into(),
            _ => format!("{}.k.i.{end}.t", base64url::encode(br#"{"alg":"RSA-OAEP-256","enc":"A256GCM"}"#)),
        }
    });
}

fn public() -> Value {
    json!({ "client_auth": "none", "client_secret": null })
}

fn and(mut one: Value, other: &Value) -> Value {
    one.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    one
}

const SESSION_URL: &str = "https://origin.example.com/base/session/x";

#[test]
fn the_key_of_a_token_is_known_whatever_its_form() {
    for form in FORMS {
        let old = deployment(&public());
        old.provider.set().auth = Auth::None;
        issue(&old, form);
        let mut browser = due(&old);
        let new = and(public(), &json!({ "dpop_key": [KEY_C, KEY_B] }));
        let new = Deployment::on(&old.host, &old.provider, &configured(&new));
        assert_eq!(new.open(&mut browser, "/app").status, 200, "{form}");
        assert_eq!(new.provider.refreshes(), 1, "{form}");
        assert!(new.provider.is_live(&new.provider.newest()), "{form}");
        proved(&new, &peek(&new, &browser, "/session/x"), "authorization", ("GET", SESSION_URL));
        assert_eq!(peek(&new, &browser, "/userinfo").json()["email"], "ann@example.com", "{form}");
        // A new session has the new key.
        let later = new.logged_in();
        let response = peek(&new, &later, "/session/x");
        proved_by(key_c(), &new, &response, "authorization", ("GET", SESSION_URL));
        // A token of the time before the keys is a bearer token.
        let before = deployment(&json!({ "dpop_key": null }));
        before.provider.set().proofs = None;
        issue(&before, form);
        let browser = before.logged_in();
        let after = Deployment::on(&before.host, &before.provider, &configured(&json!({})));
        let response = peek(&after, &browser, "/session/x");
        let access = after.session(&browser).tokens().access.clone();
        assert_eq!(response.origin_header("authorization"), Some(format!("Bearer {access}").as_str()));
        assert_eq!(response.origin_header("dpop"), None);
        assert_eq!(peek(&after, &browser, "/userinfo").json()["email"], "ann@example.com", "{form}");
    }
}

#[test]
fn a_token_whose_key_is_gone_is_never_sent_and_is_replaced_by_a_refresh() {
    for (form, key) in FORMS.into_iter().flat_map(|form| [(form, json!(KEY_C)), (form, json!(null))]) {
        let old = deployment(&json!({}));
        old.provider.set().binds_refresh_tokens = false;
        issue(&old, form);
        let mut browser = old.logged_in();
        let access = old.session(&browser).tokens().access.clone();
        let gone = Deployment::on(&old.host, &old.provider, &configured(&json!({ "dpop_key": key })));
        gone.provider.take_down(Endpoint::Token);
        let asked = gone.provider.requests(Endpoint::Userinfo);
        for path in ["/session/x", "/token", "/exchange"] {
            let response = peek(&gone, &browser, path);
            assert_eq!(response.outcome(), (503, "upstream_token_unavailable".into()), "{form} {key} {path}");
        }
        assert_eq!(peek(&gone, &browser, "/userinfo").json().get("email"), None);
        assert_eq!(gone.provider.requests(Endpoint::Userinfo), asked);
        assert_eq!(peek(&gone, &browser, "/app").status, 200);
        assert!(gone.has_logged("dpop_key_missing: the access token of a session is bound to a key that "));
        // A confidential client gets a token for the key that it has, or a bearer token if it has none.
        gone.provider.bring_up();
        if key.is_null() {
            gone.provider.set().proofs = None;
        }
        gone.sleep_s(60);
        let refreshes = gone.provider.refreshes();
        let response = gone.open(&mut browser, "/session/x");
        if key.is_null() {
            assert!(response.origin_header("authorization").unwrap().starts_with("Bearer "));
            assert_eq!(response.origin_header("dpop"), None);
        } else {
            proved_by(key_c(), &gone, &response, "authorization", ("GET", SESSION_URL));
        }
        assert_ne!(gone.session(&browser).tokens().access, access);
        assert_eq!(gone.open(&mut browser, "/session/x").status, 200);
        assert_eq!(gone.provider.refreshes(), refreshes + 1, "{form} {key}");
    }
}

#[test]
fn a_rotation_ends_no_session_and_interrupts_none_if_every_isolate_has_both_keys() {
    let cases = [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter().flat_map(|(begins, coordinates)| {
        [(true, true), (true, false), (false, true), (false, false)].map(|rest| (begins, coordinates, rest))
    });
    for (begins, coordinates, (is_public, has_both)) in cases {
        let what = format!("{begins} {coordinates} {is_public} {has_both}");
        let more = if is_public { public() } else { json!({}) };
        let first = deployment(&more);
        if is_public {
            first.provider.set().auth = Auth::None;
        }
        first.provider.set().binds_refresh_tokens = is_public;
        first.provider.set().life_s = 60;
        let former = if has_both { json!([KEY_B, KEY_C]) } else { json!(KEY_B) };
        let gateways = [former, json!([KEY_C, KEY_B])].map(|key| {
            let keys = and(more.clone(), &json!({ "dpop_key": key }));
            Deployment::on(&first.host, &first.provider, &configured(&keys))
        });
        let _coordinator = gateways[coordinates].coordinated();
        let mut browser = gateways[begins].logged_in();
        for step in 0..6 {
            first.sleep_s(40);
            let gateway = &gateways[step % 2];
            assert_eq!(gateway.open(&mut browser, "/app").status, 200, "{what} {step}");
            let status = gateway.open(&mut browser, "/session/x").status;
            // Without the key, the access token expires.
            assert!(status == 200 || !has_both && matches!(status, 302 | 503), "{what} {step} {status}");
            assert_eq!(gateway.open(&mut browser, "/userinfo").status, 200, "{what} {step}");
            let status = gateway.open(&mut browser, "/refresh").status;
            assert!(status == 200 || !has_both && status == 502, "{what} {step} {status}");
        }
        assert!(first.provider.is_live(&first.provider.newest()), "{what}");
        assert!(!first.has_logged("session_ended"), "{what}");
    }
}

#[test]
fn a_login_under_way_during_a_rotation_uses_the_key_that_it_began_with() {
    let keys = [json!(KEY_B), json!([KEY_B, KEY_C]), json!([KEY_C, KEY_B]), json!(KEY_C), json!(null)];
    let first = deployment(&json!({}));
    let on = |key: &Value| Deployment::on(&first.host, &first.provider, &configured(&json!({ "dpop_key": key })));
    let gateways = keys.each_ref().map(on);
    for (begins, returns, key) in [(0, 2, key_b()), (2, 1, key_c()), (1, 2, key_b()), (0, 0, key_b())] {
        let mut browser = Browser::default();
        let callback = gateways[begins].begin(&mut browser, "/login");
        let gateway = &gateways[returns];
        assert_eq!(gateway.send(&mut browser, Request::get(&callback)).status, 302);
        let response = peek(gateway, &browser, "/session/x");
        proved_by(key, gateway, &response, "authorization", ("GET", SESSION_URL));
    }
    // Without that key, the login begins again, once.
    let sent = first.provider.requests(Endpoint::Token);
    let mut browser = Browser::default();
    let callback = gateways[0].begin(&mut browser, "/login");
    let again = gateways[3].send(&mut browser, Request::get(&callback));
    assert_eq!((again.status, first.provider.requests(Endpoint::Token)), (302, sent), "the code is not sent");
    let callback = first.provider.authorize(again.location());
    let mut other = browser.clone();
    assert_eq!(gateways[3].send(&mut browser, Request::get(&callback)).status, 302);
    let response = peek(&gateways[3], &browser, "/session/x");
    proved_by(key_c(), &gateways[3], &response, "authorization", ("GET", SESSION_URL));
    for gateway in [&gateways[0], &gateways[4]] {
        let outcome = gateway.send(&mut other.clone(), Request::get(&callback)).outcome();
        assert_eq!(outcome, (400, "state_invalid".into()));
    }
    assert!(other.header(first.now()).contains("-login-"));
    other = Browser::default();
    let callback = gateways[0].begin(&mut other, "/login");
    assert_eq!(gateways[4].send(&mut other, Request::get(&callback)).status, 302, "so it does without any key");
}

#[test]
fn an_exchange_proves_the_key_of_the_callers_token() {
    for form in FORMS {
        let old = deployment(&json!({}));
        issue(&old, form);
        let browser = old.logged_in();
        let keys = json!({ "dpop_key": [KEY_C, KEY_B] });
        let new = Deployment::on(&old.host, &old.provider, &configured(&keys));
        for (browser, key) in [(browser, key_b()), (new.logged_in(), key_c())] {
            let response = peek(&new, &browser, "/exchange");
            let request = ("GET", "https://origin.example.com/base/exchange");
            proved_by(key, &new, &response, "authorization", request);
            let state = new.provider.state();
            assert_eq!(state.exchanges.last().unwrap()["grant_type"], EXCHANGE);
            let (_, header, _) = state.proofs.as_ref().unwrap().accepted.last().unwrap();
            assert_eq!(header["jwk"]["n"], key.jwk()["n"], "{form}");
        }
    }
}

#[test]
fn a_session_of_the_time_before_the_key_goes_on() {
    let without = deployment(&json!({ "dpop_key": null }));
    without.provider.set().proofs = None;
    let mut browser = due(&without);
    let with_key = Deployment::on(&without.host, &without.provider, &configured(&json!({})));
    let access = with_key.session(&browser).tokens().access.clone();
    with_key.provider.take_down(Endpoint::Token);
    let response = peek(&with_key, &browser, "/session/x");
    assert_eq!(response.origin_header("authorization"), Some(format!("Bearer {access}").as_str()));
    assert_eq!(response.origin_header("dpop"), None);
    // From the next refresh on, the token is bound to the key.
    with_key.provider.bring_up();
    with_key.provider.set().proofs = Some(Proofs::default());
    with_key.provider.set().binds_refresh_tokens = false;
    with_key.sleep_s(60);
    let response = with_key.open(&mut browser, "/session/x");
    proved(&with_key, &response, "authorization", ("GET", "https://origin.example.com/base/session/x"));
}

#[test]
fn a_key_that_the_platform_refuses_sends_nothing() {
    let broken = json!({
        "kty": "RSA", "n": key_b().jwk()["n"], "e": "AQAB", "d": "AQAB", "p": "AQAB", "q": "AQAB", "dp": "AQAB",
        "dq": "AQAB", "qi": "AQAB",
    });
    let good = deployment(&json!({}));
    let browser = good.logged_in();
    let sent = good.provider.requests(Endpoint::Token);
    let bad = Deployment::on(&good.host, &good.provider, &configured(&json!({ "dpop_key": broken })));
    let response = peek(&bad, &browser, "/session/x");
    assert_eq!(response.outcome(), (503, "upstream_token_unavailable".into()));
    assert_eq!(peek(&bad, &browser, "/userinfo").json().get("email"), None);
    assert_eq!(bad.fetch(Request::get("/m2m")).outcome(), (503, "upstream_token_unavailable".into()));
    let mut other = Browser::default();
    let callback = bad.begin(&mut other, "/login");
    assert_eq!(bad.send(&mut other, Request::get(&callback)).outcome(), (502, "token_exchange_failed".into()));
    assert_eq!(bad.provider.requests(Endpoint::Token), sent);
    let line = "signing_failed: the platform refuses the private key (authorizer.dpop_key)";
    assert!(bad.lines().iter().any(|one| one == line), "{:?}", bad.lines());
}

#[test]
fn with_the_fapi_profile_a_key_takes_the_place_of_a_certificate() {
    let keys = json!({
        "fapi": "fapi2_sp", "client_auth": "private_key_jwt", "private_key": KEY_C, "client_secret": null,
        "dpop": "allowed", "mtls": "allowed"
    });
    let deployment = deployment(&keys);
    deployment.provider.set().auth = Auth::Key(key_c());
    deployment.provider.set().id = Rc::new(|id| id.algorithm(Algorithm::Ps256));
    deployment.provider.set().access = Rc::new(|access| access.algorithm(Algorithm::Ps256).text());
    let browser = deployment.logged_in();
    assert!(rights(&deployment, &browser) > 0);
    let state = deployment.provider.state();
    assert!(state.proofs.as_ref().unwrap().accepted.iter().all(|(_, header, _)| header["alg"] == "PS256"));
    assert_eq!(deployment.seen().certified.len(), 0);
    drop(state);
    assert_eq!(deployment.lines(), [""; 0]);
}

#[test]
fn other_requests_of_the_client_have_no_proof() {
    let deployment = deployment(&json!({ "par": true }));
    let browser = deployment.logged_in();
    deployment.fetch(by(&deployment, &browser, "/logout").page());
    let has_proof = |request: &Outgoing| request.headers.iter().any(|(name, _)| *name == "dpop");
    let seen = deployment.seen();
    let proved: Vec<&str> =
        seen.sent.iter().filter(|sent| has_proof(&sent.request)).map(|sent| sent.request.url.as_str()).collect();
    assert_eq!(proved, ["https://tenant.example.com/oauth/token"]);
    assert_eq!(deployment.provider.requests(Endpoint::Revocation), 1);
}
