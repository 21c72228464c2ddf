//! Tokens for upstreams: one request for any number of calls, pauses after failures, and the exchange of a caller's token.

use std::rc::Rc;

use edgeward::gateway::Answer;
use edgeward::host::Level;
use edgeward::http::RequestHead;
use edgeward::io::{Incoming, Unreachable};
use edgeward::limits;
use edgeward::oidc::CoordinatorResponse;
use serde_json::{Value, json};
use support::browser::{Request, Response};
use support::coordinator::Behavior;
use support::deployment::{Deployment, config, oidc_config, with};
use support::host::{Delay, Jobs};
use support::provider::{CLIENT_SECRET, EXCHANGE, Endpoint, Fault, refusal};
use support::world::json as ok_json;
use support::{Mint, NOW, key_a};

const ORDERS: &str = "https://orders.example.com";

fn proxy(method: &str, path: &str, auth: &str, more: &Value) -> Value {
    let mut integration = json!({ "type": "http_proxy", "url": "https://origin.example.com" });
    integration.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "method": method, "path": path, "auth": auth, "integration": integration })
}

/// Adds routes whose upstreams get tokens.
fn with_upstream(mut config: Value) -> Value {
    let m2m = json!({ "m2m": { "audience": ORDERS, "scope": "read:orders list:orders" } });
    let organization = json!({ "m2m": { "audience": ORDERS, "scope": "read:orders", "organization": "org_1" } });
    let exchange = json!({ "exchange": { "audience": ORDERS, "scope": "read:orders" } });
    let headers = json!({ "X-Token": "$m2m", "X-Upstream": "Bearer $m2m", "X-Plan": "gold" });
    config["paths"].as_array_mut().unwrap().extend([
        proxy("ANY", "/m2m", "none", &json!({ "upstream_auth": m2m })),
        proxy("GET", "/m2m/required", "required", &json!({ "upstream_auth": m2m })),
        proxy("GET", "/m2m/headers", "none", &json!({ "upstream_auth": m2m, "headers": headers })),
        proxy("GET", "/m2m/organization", "none", &json!({ "upstream_auth": organization })),
        proxy("GET", "/exchange", "required", &json!({ "upstream_auth": exchange })),
        proxy("GET", "/exchange/optional", "optional", &json!({ "upstream_auth": exchange })),
    ]);
    config
}

fn deployment() -> Deployment {
    Deployment::of(&with_upstream(config()))
}

fn get(deployment: &Deployment, target: &str) -> Response {
    deployment.fetch(Request::get(target))
}

/// Returns the token that the origin gets.
fn token_of(response: &Response) -> String {
    let header = response.origin_header("authorization").expect("a token");
    header.strip_prefix("Bearer ").unwrap().into()
}

/// Returns the number of requests to the token endpoint so far.
fn asked(deployment: &Deployment) -> usize {
    deployment.provider.requests(Endpoint::Token)
}

/// Returns the errors in the log so far.
fn errors(deployment: &Deployment) -> Vec<String> {
    let seen = deployment.seen();
    seen.lines.iter().filter(|(level, _)| *level == Level::Error).map(|(_, line)| line.clone()).collect()
}

/// Returns the status, the code and `Retry-After`.
fn failure(response: &Response) -> (u16, String, Option<String>) {
    let (status, code) = response.outcome();
    (status, code, response.header("retry-after").map(Into::into))
}

fn unavailable(retry_after_s: u32) -> (u16, String, Option<String>) {
    (503, "upstream_token_unavailable".into(), Some(retry_after_s.to_string()))
}

fn refused() -> (u16, String, Option<String>) {
    (502, "upstream_token_refused".into(), None)
}

/// Returns a user's access token that the provider knows.
fn caller(deployment: &Deployment) -> String {
    deployment.session(&deployment.logged_in()).tokens().access.clone()
}

#[test]
fn the_request_is_a_form_with_the_audience_scope_and_organization() {
    let deployment = deployment();
    let token = token_of(&get(&deployment, "/m2m"));
    assert_eq!(
        deployment.provider.state().exchanges,
        [[
            ("grant_type", "client_credentials"),
            ("audience", ORDERS),
            ("scope", "read:orders list:orders"),
            ("client_id", "client-1"),
            ("client_secret", CLIENT_SECRET),
        ]
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .into()]
    );
    assert!(!token.is_empty());
    assert_eq!(deployment.lines(), [""; 0]);
    let other = token_of(&get(&deployment, "/m2m/organization"));
    assert_ne!(token, other, "another organization, another token");
    assert_eq!(deployment.provider.state().exchanges[1]["organization"], "org_1");
    assert_eq!((token_of(&get(&deployment, "/m2m")), asked(&deployment)), (token, 2));
}

#[test]
fn other_providers_get_the_audience_as_a_resource_unless_configured() {
    for (parameter, m2m, exchange) in [
        (None, "resource", "audience"),
        (Some("none"), "resource", "audience"),
        (Some("resource"), "resource", "resource"),
        (Some("audience"), "audience", "audience"),
    ] {
        let mut config = with_upstream(oidc_config());
        config["authorizer"]["audience_parameter"] = json!(parameter);
        let deployment = Deployment::of(&config);
        token_of(&get(&deployment, "/m2m"));
        assert_eq!(deployment.provider.state().exchanges[0][m2m], ORDERS, "{parameter:?}");
        let token = caller(&deployment);
        token_of(&deployment.fetch(Request::get("/exchange").bearer(&token)));
        let state = deployment.provider.state();
        let sent = state.exchanges.last().unwrap();
        assert_eq!((sent["grant_type"].as_str(), sent[exchange].as_str()), (EXCHANGE, ORDERS), "{parameter:?}");
    }
}

#[test]
fn a_thousand_calls_cost_one_request() {
    let deployment = deployment();
    let first = token_of(&get(&deployment, "/m2m"));
    for _ in 0..999 {
        assert_eq!(token_of(&get(&deployment, "/m2m")), first);
    }
    assert_eq!(asked(&deployment), 1);
    let jobs = deployment.seen().jobs.len();
    assert_eq!(jobs, 1, "no call but the first waits for anything");
}

#[test]
fn fifty_calls_at_once_after_the_expiry_cost_one_request() {
    let deployment = deployment();
    let first = token_of(&get(&deployment, "/m2m"));
    deployment.sleep_s(3600);
    deployment.delay_next(&deployment.provider.url(Endpoint::Token), Delay::Millis(700));
    let responses = deployment.run_all((0..50).map(|_| deployment.answer(Request::get("/m2m"))));
    let tokens: Vec<String> = responses.iter().map(token_of).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0] && *token != first));
    assert_eq!(asked(&deployment), 2);
}

#[test]
fn a_token_is_reused_until_thirty_seconds_before_its_expiry_or_half_its_lifetime() {
    for (life_s, reused_s) in [(3600, 3570), (60, 30), (40, 20), (2, 1), (1, 1)] {
        let deployment = deployment();
        deployment.provider.set().life_s = life_s;
        let first = token_of(&get(&deployment, "/m2m"));
        deployment.sleep_ms(reused_s * 1000 - 1);
        assert_eq!(token_of(&get(&deployment, "/m2m")), first, "{life_s}");
        deployment.sleep_ms(1);
        assert_ne!(token_of(&get(&deployment, "/m2m")), first, "{life_s}");
    }
}

#[test]
fn a_clock_that_went_back_does_not_prolong_a_token() {
    let deployment = deployment();
    let first = token_of(&get(&deployment, "/m2m"));
    deployment.sleep_s(-10);
    assert_ne!(token_of(&get(&deployment, "/m2m")), first);
}

#[test]
fn the_lifetime_is_the_shorter_of_expires_in_and_the_tokens_own() {
    let opaque = "opaque-access-token";
    for (expires_in, token, reused_s) in [
        (json!(3600), None, 3570),
        (json!("3600"), None, 3570),
        (json!(3600.9), None, 3570),
        (json!(7200), None, 3570), // the token's own `exp`
        (json!(null), None, 3570),
        (json!("soon"), None, 3570),
        (json!(600), None, 570),
        (json!(1e300), None, 3570),
        (json!(600), Some(opaque), 570),
        (json!(null), Some(opaque), limits::ACCESS_TOKEN_DEFAULT_S - 30),
        (json!(1e300), Some(opaque), limits::ACCESS_TOKEN_MAX_S - 30),
        (json!([1]), Some(opaque), limits::ACCESS_TOKEN_DEFAULT_S - 30),
    ] {
        let deployment = deployment();
        let change = expires_in.clone();
        deployment.provider.set().answer = Rc::new(move |body: &mut Value| {
            body["expires_in"] = change.clone();
            if let Some(token) = token {
                body["access_token"] = token.into();
            }
        });
        token_of(&get(&deployment, "/m2m"));
        deployment.sleep_s(reused_s - 1);
        token_of(&get(&deployment, "/m2m"));
        assert_eq!(asked(&deployment), 1, "{expires_in}");
        deployment.sleep_s(1);
        token_of(&get(&deployment, "/m2m"));
        assert_eq!(asked(&deployment), 2, "{expires_in}");
    }
}

#[test]
fn a_token_that_has_expired_is_not_used() {
    for expires_in in [json!(0), json!(-5), json!("0"), json!(0.5), json!(-1e300)] {
        let deployment = deployment();
        deployment.provider.set().answer = Rc::new(move |body: &mut Value| body["expires_in"] = expires_in.clone());
        for _ in 0..20 {
            assert_eq!(failure(&get(&deployment, "/m2m")), unavailable(1));
        }
        assert_eq!(asked(&deployment), 1);
    }
    let deployment = deployment();
    deployment.provider.set().access = Rc::new(|access: Mint| access.claim("exp", 1).text());
    assert_eq!(failure(&get(&deployment, "/m2m")), unavailable(1));
    assert!(errors(&deployment)[0].contains("has expired"), "{:?}", errors(&deployment));
}

#[test]
fn a_response_of_no_use_is_no_token_and_is_not_requested_with_every_call() {
    let nonsense = |body: &str| Ok(ok_json(body));
    let html = Incoming { content_type: Some("text/html".into()), ..ok_json("<html>Please log in</html>") };
    let redirect = Incoming { status: 302, ..ok_json("{}") };
    let large = format!(r#"{{"access_token":"{}","token_type":"Bearer"}}"#, "a".repeat(limits::MAX_TOKEN_BYTES + 1));
    for (name, reply, expected) in [
        ("nothing", nonsense(""), unavailable(1)),
        ("no token", nonsense(r#"{"token_type":"Bearer","expires_in":60}"#), unavailable(1)),
        ("an empty token", nonsense(r#"{"access_token":"","token_type":"Bearer"}"#), unavailable(1)),
        ("a number", nonsense(r#"{"access_token":7,"token_type":"Bearer"}"#), unavailable(1)),
        ("a line break", nonsense(r#"{"access_token":"a\r\nX-Admin: 1","token_type":"Bearer"}"#), unavailable(1)),
        ("a number as token_type", nonsense(r#"{"access_token":"abcdefghij","token_type":7}"#), unavailable(1)),
        ("another token_type", nonsense(r#"{"access_token":"abcdefghij","token_type":"DPoP"}"#), unavailable(1)),
        ("not issued", nonsense(r#"{"access_token":"abcdefghij","token_type":"N_A"}"#), unavailable(1)),
        ("an error with 200", nonsense(r#"{"error":"invalid_scope"}"#), refused()),
        (
            "an error and a token",
            nonsense(r#"{"error":"x","access_token":"abcdefghij","token_type":"Bearer"}"#),
            refused(),
        ),
        ("a list", nonsense(r#"["abcdefghij"]"#), unavailable(1)),
        ("two tokens", nonsense(r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#), unavailable(1)),
        ("a large token", Ok(ok_json(&large)), unavailable(1)),
        ("HTML", Ok(html), unavailable(1)),
        ("a redirect", Ok(redirect), unavailable(1)),
        ("too large a body", Err(Unreachable::GivenUp), unavailable(1)),
        ("no connection", Err(Unreachable::Network), unavailable(1)),
        ("a server error", Ok(Incoming { status: 500, ..ok_json("{}") }), unavailable(1)),
        ("an error of the server", Ok(refusal(400, "server_error")), unavailable(1)),
        ("a refusal", Ok(refusal(403, "access_denied")), refused()),
        ("a refusal of the grant", Ok(refusal(400, "unauthorized_client")), refused()),
    ] {
        let deployment = deployment();
        deployment.provider.answer_next(Endpoint::Token, reply);
        for _ in 0..20 {
            assert_eq!(failure(&get(&deployment, "/m2m")), expected, "{name}");
        }
        assert_eq!((asked(&deployment), errors(&deployment).len()), (1, 1), "{name}");
        assert!(errors(&deployment)[0].starts_with(&expected.1), "{name}: {:?}", errors(&deployment));
        deployment.sleep_s(1);
        token_of(&get(&deployment, "/m2m"));
        assert_eq!(asked(&deployment), 2, "{name}");
    }
}

#[test]
fn a_slow_provider_is_waited_for_until_the_timeout() {
    let deployment = deployment();
    let url = deployment.provider.url(Endpoint::Token);
    deployment.delay_next(&url, Delay::Millis(limits::TOKEN_ENDPOINT_TIMEOUT_MS));
    token_of(&get(&deployment, "/m2m"));
    deployment.sleep_s(3600);
    deployment.delay_next(&url, Delay::Millis(limits::TOKEN_ENDPOINT_TIMEOUT_MS + 1));
    let responses = deployment.run_all((0..20).map(|_| deployment.answer(Request::get("/m2m"))));
    assert!(responses.iter().all(|response| failure(response) == unavailable(1)));
    assert_eq!(asked(&deployment), 2);
}

#[test]
fn retry_after_is_honoured_by_every_caller_and_every_audience() {
    let deployment = deployment();
    let too_many = Incoming { retry_after: Some("120".into()), ..refusal(429, "too_many_requests") };
    deployment.provider.answer_next(Endpoint::Token, Ok(too_many));
    let responses = deployment.run_all((0..50).map(|_| deployment.answer(Request::get("/m2m"))));
    assert!(responses.iter().all(|response| failure(response) == unavailable(120)));
    deployment.sleep_s(119);
    for target in ["/m2m", "/m2m/organization", "/m2m/headers"] {
        assert_eq!(failure(&get(&deployment, target)), unavailable(1));
    }
    assert_eq!((asked(&deployment), errors(&deployment).len()), (1, 1));
    deployment.sleep_s(1);
    token_of(&get(&deployment, "/m2m"));
    token_of(&get(&deployment, "/m2m/organization"));
    assert_eq!(asked(&deployment), 3);
}

#[test]
fn a_storm_of_429_is_not_amplified() {
    let deployment = deployment();
    let caller = caller(&deployment);
    let before = asked(&deployment);
    deployment.serve(&deployment.provider.url(Endpoint::Token), {
        let provider = deployment.provider.clone();
        move |_| {
            provider.set().exchanges.clear();
            Ok(refusal(429, "too_many_requests"))
        }
    });
    let sent = deployment.seen().sent.len();
    // Ten requests each second for five minutes, of two audiences and of callers.
    for _ in 0..300 {
        let requests = (0..10).map(|number| match number % 3 {
            0 => Request::get("/m2m"),
            1 => Request::get("/m2m/organization"),
            _ => Request::get("/exchange").bearer(&caller),
        });
        let responses = deployment.run_all(requests.map(|request| deployment.answer(request)));
        assert!(responses.iter().all(|response| response.status == 503 || response.status == 401));
        deployment.sleep_s(1);
    }
    let sent = deployment.seen().sent.len() - sent;
    // Pauses of 1, 2, 4, 8, 16 and then 30 seconds.
    assert!((10..=20).contains(&sent), "{sent} requests");
    assert_eq!(asked(&deployment), before);
}

#[test]
fn after_an_outage_one_request_tries_whether_the_endpoint_has_recovered() {
    let deployment = deployment();
    deployment.provider.take_down(Endpoint::Token);
    assert_eq!(failure(&get(&deployment, "/m2m")), unavailable(1));
    deployment.sleep_s(1);
    deployment.delay_next(&deployment.provider.url(Endpoint::Token), Delay::Millis(300));
    let targets = ["/m2m", "/m2m/organization"].into_iter().cycle().take(40);
    let responses = deployment.run_all(targets.map(|target| deployment.answer(Request::get(target))));
    assert!(responses.iter().all(|response| failure(response) == unavailable(2)));
    assert_eq!(asked(&deployment), 2);
    deployment.provider.bring_up();
    deployment.sleep_s(2);
    token_of(&get(&deployment, "/m2m"));
    token_of(&get(&deployment, "/m2m/organization"));
    assert_eq!(asked(&deployment), 4);
}

#[test]
fn the_next_secret_is_used_if_the_provider_refuses_the_first() {
    let mut config = with_upstream(config());
    config["authorizer"]["client_secret"] = json!(["a secret that was replaced", CLIENT_SECRET]);
    let deployment = Deployment::of(&config);
    token_of(&get(&deployment, "/m2m"));
    assert_eq!((asked(&deployment), errors(&deployment).len()), (2, 0));
    deployment.provider.set().secrets = Vec::new();
    deployment.sleep_s(3600);
    assert_eq!(failure(&get(&deployment, "/m2m")), refused());
    assert_eq!(failure(&get(&deployment, "/m2m")), refused());
    assert_eq!(asked(&deployment), 4);
    assert!(errors(&deployment)[0].contains("invalid_client"), "{:?}", errors(&deployment));
}

#[test]
fn a_client_without_a_login_obtains_tokens() {
    let deployment = Deployment::of(&json!({
        "authorizer": {
            "type": "oidc", "issuer": "https://tenant.example.com/", "client_id": "client-1", "client_secret": CLIENT_SECRET
        },
        "paths": [proxy("GET", "/m2m", "none", &json!({ "upstream_auth": { "m2m": { "scope": "read:orders" } } }))]
    }));
    token_of(&get(&deployment, "/m2m"));
    let state = deployment.provider.state();
    assert_eq!((state.exchanges[0]["scope"].as_str(), state.exchanges[0].get("resource")), ("read:orders", None));
    drop(state);
    assert_eq!(deployment.provider.requests(Endpoint::Discovery), 1);
}

#[test]
fn without_the_discovery_document_there_is_no_token() {
    let deployment = Deployment::of(&with_upstream(oidc_config()));
    deployment.provider.take_down(Endpoint::Discovery);
    assert_eq!(failure(&get(&deployment, "/m2m")), unavailable(1));
    assert!(errors(&deployment)[0].starts_with("upstream_token_unavailable: discovery_unreachable: "));
    deployment.provider.bring_up();
    deployment.sleep_s(2);
    token_of(&get(&deployment, "/m2m"));
}

#[test]
fn templates_name_the_headers_that_carry_the_token() {
    let deployment = deployment();
    let response = get(&deployment, "/m2m/headers");
    let token = response.origin_header("x-token").unwrap();
    assert_eq!(response.origin_header("x-upstream"), Some(format!("Bearer {token}").as_str()));
    assert_eq!((response.origin_header("authorization"), response.origin_header("x-plan")), (None, Some("gold")));
    for name in ["X-Token", "x_token", "X-UPSTREAM"] {
        assert!(deployment.gateway.drops(name), "{name}");
    }
}

#[test]
fn no_token_is_requested_for_a_request_that_is_refused() {
    let deployment = deployment();
    assert_eq!(get(&deployment, "/m2m/required").status, 401);
    assert_eq!(deployment.fetch(Request::get("/m2m/required").bearer("a.b.c")).status, 401);
    assert_eq!(asked(&deployment), 0);
}

#[test]
fn an_observed_request_gets_no_token() {
    let mut config = with_upstream(config());
    for path in config["paths"].as_array_mut().unwrap() {
        if path["path"] == "/m2m/required" || path["path"] == "/exchange" {
            path["observe"] = true.into();
        }
    }
    let deployment = Deployment::of(&config);
    let forged = Mint::access(key_a()).with_signature(&[1; 256]);
    deployment.register_secret(&forged);
    for target in ["/m2m/required", "/exchange"] {
        let response = deployment.fetch(Request::get(target).bearer(&forged));
        assert_eq!(response.header("x-edgeward-observed"), Some("signature_invalid"), "{target}");
        assert_eq!((response.origin_header("authorization"), asked(&deployment)), (None, 0), "{target}");
    }
}

#[test]
fn a_cancelled_request_does_not_end_the_request_for_the_token() {
    let deployment = deployment();
    deployment.delay_next(&deployment.provider.url(Endpoint::Token), Delay::Millis(500));
    let mut tasks = deployment.tasks();
    let first = tasks.start(deployment.answer(Request::get("/m2m")));
    tasks.settle();
    tasks.cancel(first);
    let second = tasks.start(deployment.answer(Request::get("/m2m")));
    tasks.finish();
    token_of(tasks.output(second).unwrap());
    assert_eq!(asked(&deployment), 1);
}

#[test]
fn a_job_that_was_killed_or_never_runs_does_not_block_the_others() {
    let deployment = deployment();
    deployment.jobs(Jobs::Kill);
    let killed = deployment.tasks().start(deployment.answer(Request::get("/m2m")));
    assert_eq!(killed, 0);
    deployment.jobs(Jobs::Lose);
    let mut tasks = deployment.tasks();
    let lost = tasks.start(deployment.answer(Request::get("/m2m")));
    tasks.settle();
    deployment.jobs(Jobs::Run);
    let waiting = tasks.start(deployment.answer(Request::get("/m2m")));
    tasks.finish();
    assert_eq!(failure(tasks.output(lost).unwrap()), unavailable(1));
    // A lost request blocks the others for its lease.
    assert_eq!(failure(tasks.output(waiting).unwrap()), unavailable(1));
    deployment.sleep_ms(limits::UPSTREAM_TOKEN_LEASE_MS - i64::from(limits::SHARED_REFRESH_TIMEOUT_MS));
    token_of(&get(&deployment, "/m2m"));
    assert_eq!(asked(&deployment), 1);
}

#[test]
fn two_instances_share_one_request_through_the_coordinator() {
    let deployment = deployment();
    let coordinator = deployment.coordinated();
    let other = deployment.instance();
    deployment.delay_next(&deployment.provider.url(Endpoint::Token), Delay::Millis(500));
    let calls = (0..50).map(|number| if number % 2 == 0 { &deployment } else { &other });
    let responses = deployment.run_all(calls.map(|one| one.answer(Request::get("/m2m"))));
    let tokens: Vec<String> = responses.iter().map(token_of).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(asked(&deployment), 1);
    // A third instance gets the stored token, which is sealed; so does a coordinator that was moved.
    let stored = coordinator.stored();
    let [(text, until_ms)] = stored.as_slice() else { panic!("{} texts", stored.len()) };
    assert!(!text.contains(&tokens[0]) && !text.contains('{'));
    let stored_ms = until_ms - deployment.now().millis();
    assert!((3_569_000..=3_570_000).contains(&stored_ms), "{stored_ms}");
    assert_eq!(token_of(&get(&deployment.instance(), "/m2m")), tokens[0]);
    assert_eq!(asked(&deployment), 1);
}

#[test]
fn a_coordinator_that_was_moved_returns_the_stored_token() {
    let deployment = deployment();
    let coordinator = deployment.coordinated();
    let token = token_of(&get(&deployment, "/m2m"));
    let moved = deployment.coordinated();
    moved.adopt(&coordinator);
    assert_eq!(token_of(&get(&deployment.instance(), "/m2m")), token);
    assert_eq!(asked(&deployment), 1);
    // What another secret sealed is of no use.
    let foreign = deployment.coordinated();
    foreign.adopt(&coordinator);
    foreign.spoil();
    assert_ne!(token_of(&get(&deployment.instance(), "/m2m")), token);
    assert_eq!(asked(&deployment), 2);
}

#[test]
fn without_secrets_the_coordinator_stores_nothing_but_still_requests_once() {
    let mut config = with_upstream(config());
    config.as_object_mut().unwrap().remove("session");
    let deployment = Deployment::of(&config);
    let coordinator = deployment.coordinated();
    let token = token_of(&get(&deployment, "/m2m"));
    assert_eq!(token_of(&get(&deployment.instance(), "/m2m")), token);
    assert_eq!((asked(&deployment), coordinator.stored().len()), (1, 0));
}

#[test]
fn the_coordinator_remembers_failures_for_all_instances() {
    let deployment = deployment();
    let coordinator = deployment.coordinated();
    let too_many = Incoming { retry_after: Some("60".into()), ..refusal(429, "too_many_requests") };
    deployment.provider.answer_next(Endpoint::Token, Ok(too_many));
    assert_eq!(failure(&get(&deployment, "/m2m")), unavailable(60));
    deployment.sleep_s(10);
    assert_eq!(failure(&get(&deployment.instance(), "/m2m")), unavailable(50));
    // It was moved meanwhile.
    deployment.coordinated().adopt(&coordinator);
    assert_eq!(failure(&get(&deployment.instance(), "/m2m")), unavailable(50));
    assert_eq!(asked(&deployment), 1);
    deployment.sleep_s(50);
    deployment.provider.answer_next(Endpoint::Token, Ok(refusal(400, "invalid_scope")));
    assert_eq!(failure(&get(&deployment.instance(), "/m2m")), refused());
    assert_eq!(failure(&get(&deployment.instance(), "/m2m")), refused());
    assert_eq!(asked(&deployment), 2);
    deployment.sleep_s(1);
    token_of(&get(&deployment.instance(), "/m2m"));
}

#[test]
fn without_a_response_of_the_coordinator_each_instance_requests_its_own() {
    for behavior in [Behavior::Unreachable, Behavior::Silent] {
        let deployment = deployment();
        let coordinator = deployment.coordinated();
        coordinator.behave(behavior);
        let responses = deployment.run_all((0..20).map(|_| deployment.answer(Request::get("/m2m"))));
        assert!(responses.iter().all(|response| matches!(response.status, 200 | 503)));
        token_of(&get(&deployment, "/m2m"));
        assert_eq!(asked(&deployment), 1);
        assert!(deployment.has_logged("upstream_token_unshared"));
    }
    let deployment = deployment();
    deployment.coordinated().break_store(true);
    token_of(&get(&deployment, "/m2m"));
    assert!(deployment.has_logged("upstream_token_unshared"));
}

#[test]
fn a_bearer_token_is_exchanged_once_for_each_caller() {
    let deployment = deployment();
    let (one, two) = (caller(&deployment), caller(&deployment));
    let before = asked(&deployment);
    let send = |token: &str| token_of(&deployment.fetch(Request::get("/exchange").bearer(token)));
    let first = send(&one);
    assert!(first != one && send(&one) == first);
    let second = send(&two);
    assert!(second != first && send(&two) == second && send(&one) == first);
    assert_eq!(asked(&deployment) - before, 2);
    let state = deployment.provider.state();
    let sent = &state.exchanges[before];
    let value = |name: &str| sent[name].as_str();
    assert_eq!((value("grant_type"), value("subject_token")), (EXCHANGE, one.as_str()));
    assert_eq!((value("audience"), value("scope")), (ORDERS, "read:orders"));
    assert_eq!((value("client_secret"), sent.len()), (CLIENT_SECRET, 7));
}

#[test]
fn the_access_token_of_a_session_is_exchanged() {
    let deployment = deployment();
    let mut browser = deployment.logged_in();
    let access = deployment.session(&browser).tokens().access.clone();
    let before = asked(&deployment);
    let token = token_of(&deployment.open(&mut browser, "/exchange"));
    assert_eq!(token_of(&deployment.open(&mut browser, "/exchange")), token);
    assert_eq!(asked(&deployment) - before, 1);
    assert_eq!(deployment.provider.state().exchanges[before]["subject_token"], access);
    // After the refresh, the new access token is exchanged.
    deployment.sleep_s(3580);
    assert_ne!(token_of(&deployment.open(&mut browser, "/exchange")), token);
    let state = deployment.provider.state();
    let newest = deployment.session(&browser).tokens().access.clone();
    assert_eq!(state.exchanges.last().unwrap()["subject_token"], newest);
}

#[test]
fn an_exchanged_token_is_not_used_beyond_the_callers() {
    let deployment = deployment();
    deployment.provider.set().life_s = 100;
    let token = caller(&deployment);
    deployment.provider.set().life_s = 3600;
    let send = || deployment.fetch(Request::get("/exchange").bearer(&token));
    let before = asked(&deployment);
    let first = token_of(&send());
    deployment.sleep_s(99);
    assert_eq!(token_of(&send()), first);
    // Within the tolerated difference of the clocks the caller still passes; the exchanged token is over.
    deployment.sleep_s(2);
    assert_eq!(failure(&send()), unavailable(1));
    deployment.sleep_s(10);
    assert_eq!(send().status, 401);
    assert_eq!(asked(&deployment) - before, 2);
}

#[test]
fn a_token_of_another_issuer_is_not_sent_to_the_provider() {
    let further = json!([{ "issuer": "https://further.example.com/", "jwks": { "keys": [key_a().jwk()] } }]);
    let deployment =
        Deployment::of(&with_upstream(with(oidc_config(), &json!({ "authorizer": { "issuers": further } }))));
    let token = Mint::access(key_a()).claim("iss", "https://further.example.com/").text();
    for target in ["/exchange", "/exchange/optional"] {
        let response = deployment.fetch(Request::get(target).bearer(&token));
        assert_eq!(response.outcome(), (403, "upstream_issuer_mismatch".into()));
    }
    assert_eq!(asked(&deployment), 0);
    token_of(&deployment.fetch(Request::get("/m2m/required").bearer(&token)));
}

#[test]
fn an_anonymous_caller_has_nothing_to_exchange() {
    let deployment = deployment();
    let response = get(&deployment, "/exchange/optional");
    assert_eq!((response.origin_header("authorization"), asked(&deployment)), (None, 0));
    assert_eq!(get(&deployment, "/exchange").status, 401);
    let token = caller(&deployment);
    let response = deployment.fetch(Request::get("/exchange/optional").bearer(&token));
    assert_ne!(token_of(&response), token);
}

#[test]
fn the_refusal_of_one_caller_concerns_no_other() {
    let deployment = deployment();
    let (one, two) = (caller(&deployment), caller(&deployment));
    deployment.provider.answer_next(Endpoint::Token, Ok(refusal(400, "invalid_grant")));
    let before = asked(&deployment);
    for _ in 0..10 {
        assert_eq!(failure(&deployment.fetch(Request::get("/exchange").bearer(&one))), refused());
    }
    token_of(&deployment.fetch(Request::get("/exchange").bearer(&two)));
    assert_eq!(asked(&deployment) - before, 2);
}

#[test]
fn the_token_of_an_upstream_is_in_no_other_answer() {
    let deployment = deployment();
    let token = token_of(&get(&deployment, "/m2m"));
    deployment.assert_no_secret("Debug output of a gateway", &format!("{:?}", deployment.gateway));
    for target in ["/open", "/app", "/things", "/nothing", "/m2m/required"] {
        let response = get(&deployment, target);
        let headers = format!("{:?}", response.headers);
        assert!(!response.body.contains(&token) && !headers.contains(&token), "{target}");
    }
    deployment.provider.fault(Endpoint::Token, Fault::Change(Box::new(|body| body["token_type"] = "mac".into())));
    deployment.sleep_s(3600);
    assert_eq!(failure(&get(&deployment, "/m2m")), unavailable(1));
}

/// Returns the headers that the origin gets, with the kinds of their tokens; or the status of the gateway's response.
fn sent(deployment: &Deployment, path: &str, bearer: Option<&str>) -> Result<Vec<String>, u16> {
    let url = format!("https://app.example.com{path}");
    let header = |name: &str| bearer.filter(|_| name == "authorization").map(|bearer| format!("Bearer {bearer}"));
    let head = RequestHead { method: "GET", url: &url, header: &header };
    let forward = match deployment.run(deployment.gateway.handle(&head, &deployment.host)) {
        Answer::Forward(forward) => forward,
        Answer::Reply(reply) => return Err(reply.status),
    };
    for name in ["Authorization", "x-identity_token", "X_Token"] {
        assert!(forward.drops(name), "{path}: {name} of the client");
    }
    let kind = |value: &str| {
        let token = value.strip_prefix("Bearer ").unwrap_or(value);
        let claims = edgeward::base64url::decode(token.split('.').nth(1).unwrap().as_bytes()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        match (claims["iss"].as_str(), claims["aud"].as_str()) {
            _ if Some(token) == bearer => "the caller's",
            (Some("https://app.example.com"), Some("origins")) => "signed by the gateway",
            (_, Some(ORDERS)) => "the upstream's",
            _ => panic!("{path}: {claims}"),
        }
    };
    Ok(forward.set.iter().map(|(name, value)| format!("{}: {}", name.to_ascii_lowercase(), kind(value))).collect())
}

#[test]
fn only_authorized_requests_get_tokens_of_any_kind() {
    let mut config = config();
    config["identity_token"] = json!({
        "issuer": "https://app.example.com", "audience": "origins", "private_key": include_str!("../keys/rsa2048-b.pem")
    });
    let m2m = json!({ "m2m": { "audience": ORDERS } });
    let kinds = [
        ("identity", json!({})),
        ("m2m", json!({ "upstream_auth": m2m })),
        ("m2m-header", json!({ "upstream_auth": m2m, "headers": { "X-Token": "$m2m" } })),
        ("exchange", json!({ "upstream_auth": { "exchange": { "audience": ORDERS } } })),
        ("token", json!({ "headers": { "X-Token": "Bearer $token" } })),
    ];
    let modes =
        [("observe", "required"), ("observe-optional", "optional"), ("optional", "optional"), ("public", "none")];
    let needs_caller = |kind: &str| matches!(kind, "exchange" | "token");
    for (kind, keys) in &kinds {
        for (mode, auth) in modes.iter().filter(|(mode, _)| !(*mode == "public" && needs_caller(kind))) {
            let mut route = proxy("ANY", &format!("/{mode}/{kind}"), auth, keys);
            route["integration"]["forwarded"] = false.into();
            route["observe"] = mode.starts_with("observe").into();
            if *auth != "none" {
                route["scopes"] = json!(["read:things"]);
            }
            config["paths"].as_array_mut().unwrap().push(route);
        }
    }
    // A header of any route is removed everywhere.
    let deployment = Deployment::of(&config);
    let good = caller(&deployment);
    let bad = Mint::access(key_a()).claim("exp", NOW - 1000).text();
    let forbidden = Mint::access(key_a()).claim("scope", "other").text();
    for (kind, _) in &kinds {
        for (mode, _) in modes.iter().filter(|(mode, _)| !(*mode == "public" && needs_caller(kind))) {
            for (name, bearer) in
                [("none", None), ("bad", Some(&bad)), ("forbidden", Some(&forbidden)), ("good", Some(&good))]
            {
                let before = asked(&deployment);
                let found = sent(&deployment, &format!("/{mode}/{kind}"), bearer.map(String::as_str));
                let is_refused = matches!((*mode, name), ("observe", "none") | (_, "bad" | "forbidden"));
                let what = format!("{mode} {kind} {name}");
                if *mode == "optional" && is_refused {
                    assert_eq!(found, Err(if name == "bad" { 401 } else { 403 }), "{what}");
                } else if *mode != "public" && is_refused {
                    assert_eq!(found, Ok(vec![]), "{what}");
                } else {
                    let has_caller = *mode != "public" && name == "good";
                    let of_upstream = match *kind {
                        "m2m" => Some("authorization: the upstream's"),
                        "m2m-header" => Some("x-token: the upstream's"),
                        "exchange" if has_caller => Some("authorization: the upstream's"),
                        _ => None,
                    };
                    let mut expected = Vec::new();
                    expected.extend((*kind == "token" && has_caller).then_some("x-token: the caller's"));
                    expected.extend(has_caller.then_some("x-identity-token: signed by the gateway"));
                    expected.extend(of_upstream);
                    assert_eq!(found, Ok(expected.into_iter().map(String::from).collect()), "{what}");
                    continue;
                }
                assert_eq!(asked(&deployment), before, "{what}: a request for a token");
            }
        }
    }
}

#[test]
fn a_clock_behind_or_ahead_of_the_objects_costs_one_message_and_no_request() {
    for ahead_s in [-5, 5] {
        let deployment = deployment();
        let coordinator = deployment.coordinated();
        let token = token_of(&get(&deployment, "/m2m"));
        let [(text, _)] = &coordinator.stored()[..] else { panic!("one text") };
        // The object responds as before, while the clock of this instance is another.
        coordinator.behave(Behavior::Responding(CoordinatorResponse { status: 200, text: text.clone() }));
        deployment.sleep_s(ahead_s);
        let (other, jobs) = (deployment.instance(), deployment.seen().jobs.len());
        for _ in 0..20 {
            assert_eq!(token_of(&get(&other, "/m2m")), token, "{ahead_s}");
        }
        assert_eq!((asked(&deployment), deployment.seen().jobs.len() - jobs), (1, 1), "{ahead_s}");
    }
}

#[test]
fn a_request_that_takes_as_long_as_it_may_is_not_made_again() {
    let mut config = with_upstream(oidc_config());
    config["authorizer"]["client_secret"] = json!(["a secret that is no longer valid", CLIENT_SECRET]);
    let deployment = Deployment::of(&config);
    let almost = |timeout_ms: u32| Delay::Millis(timeout_ms - 10);
    deployment.delay_answers(&deployment.provider.url(Endpoint::Discovery), almost(limits::FETCH_TIMEOUT_MS));
    deployment.delay_answers(&deployment.provider.url(Endpoint::Token), almost(limits::TOKEN_ENDPOINT_TIMEOUT_MS));
    let mut tasks = deployment.tasks();
    let first = tasks.start(deployment.answer(Request::get("/m2m")));
    tasks.elapse_ms(i64::from(limits::SHARED_REFRESH_TIMEOUT_MS) + 500);
    assert_eq!(failure(tasks.output(first).unwrap()), unavailable(1));
    let second = tasks.start(deployment.answer(Request::get("/m2m")));
    tasks.finish();
    token_of(tasks.output(second).unwrap());
    assert_eq!(asked(&deployment), 2, "one for each secret");
}

#[test]
fn a_server_without_an_authorization_endpoint_issues_tokens_for_upstreams() {
    let mut config = with_upstream(oidc_config());
    config["paths"].as_array_mut().unwrap().retain(|route| route.get("auth").is_some());
    config["authorizer"].as_object_mut().unwrap().remove("redirect_uri");
    let deployment = Deployment::of(&config);
    deployment.provider.set().metadata = json!({ "authorization_endpoint": null });
    token_of(&get(&deployment, "/m2m"));
    assert_eq!(asked(&deployment), 1);
}

/// The responses of `tests/flows/upstream_tokens.json`, which the npm package is tested with, too.
#[test]
fn the_gateway_and_the_npm_package_read_responses_alike() {
    let cases: Value = serde_json::from_str(include_str!("upstream_tokens.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let (name, text) = (case["name"].as_str().unwrap(), |member: &str| case[member].as_str().unwrap().to_string());
        let body = text("body").replace("$LONG", &"a".repeat(limits::MAX_TOKEN_BYTES + 1));
        let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
        let content_type = Some(text("type")).filter(|media_type| !media_type.is_empty());
        let deployment = deployment();
        let response = Incoming { status, content_type, ..ok_json(&body) };
        deployment.provider.answer_next(Endpoint::Token, Ok(response));
        let response = get(&deployment, "/m2m");
        let Some(reused_s) = case["reused_s"].as_i64() else {
            let expected = if case["failure"] == "refused" { refused() } else { unavailable(1) };
            assert_eq!(failure(&response), expected, "{name}");
            continue;
        };
        let token = token_of(&response);
        deployment.sleep_ms(reused_s * 1000 - 1);
        assert_eq!(token_of(&get(&deployment, "/m2m")), token, "{name}");
        deployment.sleep_ms(1);
        assert_ne!(token_of(&get(&deployment, "/m2m")), token, "{name}");
    }
}
