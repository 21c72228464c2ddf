//! Opaque access tokens, about which the provider is asked.

use std::cell::RefCell;
use std::rc::Rc;

use edgeward::io::{Incoming, Outgoing, Unreachable};
use edgeward::limits;
use serde_json::{Value, json};
use support::browser::{Request, Response};
use support::deployment::{Deployment, oidc_config, with};
use support::host::Delay;
use support::provider::{Auth, CLIENT_SECRET, form, refusal};
use support::world::{json as document, status};
use support::{AUDIENCE, CLIENT, ISSUER, Mint, NOW, key_a, key_b};

const ENDPOINT: &str = "https://tenant.example.com/introspect";
const JWT: &str = "application/token-introspection+jwt";

/// A deployment whose provider answers about opaque tokens.
struct Opaque {
    deployment: Deployment,
    asked: Rc<RefCell<Vec<Outgoing>>>,
}

impl Opaque {
    fn new() -> Self {
        Self::with(&json!({}))
    }

    /// Creates a deployment with these settings of the introspection.
    fn with(introspection: &Value) -> Self {
        Self::of(&with(oidc_config(), &json!({ "authorizer": { "introspection": introspection } })))
    }

    fn of(config: &Value) -> Self {
        let deployment = Deployment::of(config);
        deployment.provider.set().metadata = json!({ "introspection_endpoint": ENDPOINT });
        let opaque = Self { deployment, asked: Rc::default() };
        opaque.answers(&active());
        opaque
    }

    /// Sets the provider's answer.
    fn answers(&self, answer: &Value) {
        self.replies(Ok(document(&answer.to_string())));
    }

    fn replies(&self, reply: Result<Incoming, Unreachable>) {
        let asked = Rc::clone(&self.asked);
        self.deployment.serve(ENDPOINT, move |request| {
            asked.borrow_mut().push(request.clone());
            reply.clone()
        });
    }

    /// Sets a signed answer.
    fn signs(&self, answer: &Mint) {
        self.replies(Ok(Incoming { content_type: Some(JWT.into()), ..document(&answer.text()) }));
    }

    fn request(token: &str) -> Request {
        Request::get("/things").bearer(token)
    }

    fn fetch(&self, token: &str) -> Response {
        self.deployment.register_secret(token);
        self.deployment.fetch(Self::request(token))
    }

    fn outcome(&self, token: &str) -> (u16, String) {
        self.fetch(token).outcome()
    }

    fn count(&self) -> usize {
        self.asked.borrow().len()
    }
}

/// What the provider says of a token that is accepted.
fn active() -> Value {
    json!({
        "active": true, "iss": ISSUER, "sub": "user-1", "aud": AUDIENCE, "client_id": "app", "scope": "read:things",
        "token_type": "Bearer", "iat": NOW - 60, "exp": NOW + 600
    })
}

/// Returns the same with a member changed; null removes it.
fn changed(name: &str, value: Value) -> Value {
    let mut answer = active();
    match value {
        Value::Null => drop(answer.as_object_mut().unwrap().remove(name)),
        value => answer[name] = value,
    }
    answer
}

fn signed(answer: &Value) -> Mint {
    Mint::id(key_a())
        .without("sub")
        .without("exp")
        .without("nonce")
        .header("typ", "token-introspection+jwt")
        .claim("token_introspection", answer.clone())
}

const PASSED: (u16, String) = (200, String::new());
const TOKEN: &str = "opaque-token-0123456789";

fn unavailable() -> (u16, String) {
    (503, "introspection_unavailable".into())
}

#[test]
fn an_opaque_token_is_accepted_if_the_provider_says_that_it_is_active() {
    let opaque = Opaque::new();
    assert_eq!(opaque.outcome(TOKEN), PASSED);
    let asked = opaque.asked.borrow();
    let [request] = asked.as_slice() else { panic!("{} requests", asked.len()) };
    let sent = form(request.body.as_deref().unwrap());
    assert_eq!(
        (request.method, sent["token"].as_str(), sent["token_type_hint"].as_str()),
        ("POST", TOKEN, "access_token")
    );
    assert_eq!((sent["client_id"].as_str(), sent["client_secret"].as_str()), (CLIENT, CLIENT_SECRET));
    let accept = request.headers.iter().find(|(name, _)| *name == "accept").unwrap();
    assert_eq!(accept.1, "application/json, application/token-introspection+jwt;q=0.5");
    drop(asked);
    // What it says is what origins get, and what routes require.
    let forwarded = opaque.deployment.fetch(Request::get("/app").bearer(TOKEN));
    assert_eq!(forwarded.origin_header("x-user"), Some("user-1"));
    opaque.answers(&changed("scope", json!("write:things")));
    assert_eq!(opaque.outcome("another-token"), (403, "insufficient_scope".into()));
    // A token with a period or three is as opaque.
    opaque.answers(&active());
    for token in ["a.b", "a.b.c.d", "ya29.x_y-z~+/=="] {
        assert_eq!(opaque.outcome(token), PASSED, "{token}");
    }
}

#[test]
fn an_answer_counts_whatever_its_content_type() {
    for label in
        [None, Some("text/plain"), Some("text/html"), Some("application/octet-stream"), Some("application/jwt")]
    {
        let labelled = |text: &str| Incoming { content_type: label.map(String::from), ..document(text) };
        let opaque = Opaque::new();
        opaque.replies(Ok(labelled(&format!("\u{feff}{}", active()))));
        assert_eq!(opaque.outcome(TOKEN), PASSED, "{label:?}");
        opaque.replies(Ok(labelled(&signed(&active()).text())));
        assert_eq!(opaque.outcome("another-token"), PASSED, "{label:?}");
        opaque.replies(Ok(labelled(&signed(&active()).signed_by(key_b()).text())));
        assert_eq!(opaque.outcome("a-third-token"), unavailable(), "{label:?}");
        // Where answers are to be signed, no label makes up for it.
        let strict = Opaque::with(&json!({ "signed": true }));
        strict.replies(Ok(labelled(&active().to_string())));
        assert_eq!(strict.outcome(TOKEN), unavailable(), "{label:?}");
    }
}

#[test]
fn a_jwt_is_never_sent_to_the_provider() {
    let opaque = Opaque::new();
    assert_eq!(opaque.outcome(&Mint::access(key_a()).text()), PASSED);
    for token in [
        Mint::access(key_a()).claim("exp", NOW - 60).text(),
        Mint::access(key_b()).text(),
        Mint::access(key_a()).claim("iss", "https://evil.example/").text(),
        "a.b.c".into(),
        "..".into(),
        "a.b.c.d.e".into(),
    ] {
        assert_eq!(opaque.outcome(&token).0, 401, "{token}");
    }
    assert_eq!(opaque.outcome(&"a".repeat(limits::MAX_TOKEN_BYTES + 1)), (401, "token_too_large".into()));
    assert_eq!(opaque.count(), 0);
}

#[test]
fn without_the_setting_an_opaque_token_is_refused() {
    let opaque = Opaque::of(&oidc_config());
    assert_eq!(opaque.outcome(TOKEN), (401, "token_malformed".into()));
    assert_eq!(opaque.count(), 0);
}

#[test]
fn what_the_provider_says_is_checked_like_the_claims_of_a_jwt() {
    let clients = json!({ "authorizer": { "introspection": {}, "clients": ["app", CLIENT] } });
    let opaque = Opaque::of(&with(oidc_config(), &clients));
    let cases = [
        (json!({ "active": false }), 401, "token_inactive"),
        (json!({ "active": false, "sub": "user-1", "aud": AUDIENCE, "exp": NOW + 600 }), 401, "token_inactive"),
        (changed("iss", json!("https://evil.example/")), 401, "issuer_mismatch"),
        (changed("iss", Value::Null), 401, "claim_missing"),
        (changed("aud", json!("https://other.example.com")), 401, "audience_mismatch"),
        (changed("aud", Value::Null), 401, "claim_missing"),
        (changed("aud", json!(1)), 401, "claim_malformed"),
        (changed("exp", json!(NOW - 5)), 401, "token_expired"),
        (changed("exp", Value::Null), 401, "claim_missing"),
        (changed("exp", json!("1800000600")), 401, "claim_malformed"),
        (changed("nbf", json!(NOW + 60)), 401, "token_not_yet_valid"),
        (changed("iat", json!(NOW + 60)), 401, "token_issued_in_future"),
        (changed("client_id", json!("other")), 403, "client_not_allowed"),
        (changed("client_id", Value::Null), 403, "client_not_allowed"),
        (changed("cnf", json!({ "jkt": "x" })), 401, "token_sender_constrained"),
        (changed("token_type", json!("DPoP")), 401, "token_kind_mismatch"),
        (changed("token_type", json!("refresh_token")), 401, "token_kind_mismatch"),
        (changed("token_use", json!("refresh_token")), 401, "token_kind_mismatch"),
        (changed("typ", json!("Refresh")), 401, "token_kind_mismatch"),
        (
            changed("nonce", json!("n"))
                .as_object()
                .map(|one| {
                    let mut one = one.clone();
                    one.remove("scope");
                    Value::Object(one)
                })
                .unwrap(),
            401,
            "token_kind_mismatch",
        ),
        (changed("active", json!("true")), 503, "introspection_unavailable"),
        (changed("active", json!(1)), 503, "introspection_unavailable"),
        (changed("active", Value::Null), 503, "introspection_unavailable"),
        (json!([]), 503, "introspection_unavailable"),
        (json!("active"), 503, "introspection_unavailable"),
    ];
    for (number, (answer, status, code)) in cases.into_iter().enumerate() {
        opaque.answers(&answer);
        let response = opaque.fetch(&format!("token-{number}"));
        assert_eq!(response.outcome(), (status, code.into()), "{answer}");
        if status == 401 {
            assert!(response.header("www-authenticate").unwrap().contains("error=\"invalid_token\""), "{answer}");
        }
    }
    // Absent members that no rule reads.
    for name in ["sub", "scope", "token_type", "iat"] {
        opaque.answers(&changed(name, Value::Null));
        let answer = opaque.fetch(&format!("without-{name}"));
        assert_eq!(answer.status, if name == "scope" { 403 } else { 200 }, "{name}");
    }
}

#[test]
fn an_answer_counts_for_a_limited_time_and_never_beyond_exp() {
    for (cache_s, is_cached) in [(60, true), (0, false)] {
        let opaque = Opaque::with(&json!({ "cache_s": cache_s }));
        assert_eq!((opaque.outcome(TOKEN), opaque.outcome(TOKEN)), (PASSED, PASSED));
        assert_eq!(opaque.count(), if is_cached { 1 } else { 2 });
    }
    let opaque = Opaque::new();
    assert_eq!(opaque.outcome(TOKEN), PASSED);
    opaque.answers(&json!({ "active": false }));
    opaque.deployment.sleep_s(59);
    assert_eq!((opaque.outcome(TOKEN), opaque.count()), (PASSED, 1));
    opaque.deployment.sleep_s(1);
    assert_eq!((opaque.outcome(TOKEN), opaque.count()), ((401, "token_inactive".into()), 2));
    // A refusal counts briefly.
    opaque.answers(&active());
    opaque.deployment.sleep_ms(limits::INTROSPECTION_REFUSED_MS - 1);
    assert_eq!((opaque.outcome(TOKEN).0, opaque.count()), (401, 2));
    opaque.deployment.sleep_ms(1);
    assert_eq!((opaque.outcome(TOKEN), opaque.count()), (PASSED, 3));
    // `exp` with the tolerated difference of the clocks.
    opaque.answers(&changed("exp", json!(opaque.deployment.now().secs() + 10)));
    assert_eq!(opaque.outcome("short"), PASSED);
    let count = opaque.count();
    opaque.deployment.sleep_s(9);
    assert_eq!((opaque.outcome("short"), opaque.count()), (PASSED, count));
    // RFC 7662 §4: it is not cached beyond `exp`.
    opaque.deployment.sleep_s(5);
    assert_eq!((opaque.outcome("short"), opaque.count()), (PASSED, count + 1));
    opaque.deployment.sleep_s(1);
    assert_eq!(opaque.outcome("short"), (401, "token_expired".into()));
    // Each token by itself.
    assert_eq!(opaque.outcome("another").0, 401);
}

#[test]
fn one_request_asks_for_all_others_with_the_token() {
    let opaque = Opaque::new();
    opaque.deployment.delay_answers(ENDPOINT, Delay::Millis(200));
    let requests = (0..20).map(|_| opaque.deployment.answer(Opaque::request(TOKEN)));
    let responses = opaque.deployment.run_all(requests);
    assert!(responses.iter().all(|response| response.status == 200));
    assert_eq!(opaque.count(), 1);
}

#[test]
fn a_cancelled_question_delays_others_for_one_lease_at_most() {
    let opaque = Opaque::new();
    assert_eq!(opaque.outcome("another-token"), PASSED);
    opaque.deployment.delay_answers(ENDPOINT, Delay::Millis(50));
    let mut tasks = opaque.deployment.tasks();
    let leader = tasks.start(opaque.deployment.answer(Opaque::request(TOKEN)));
    tasks.settle();
    assert!(tasks.is_open(leader));
    tasks.cancel(leader);
    let other = tasks.start(opaque.deployment.answer(Opaque::request(TOKEN)));
    tasks.elapse_ms(limits::FETCH_LEASE_MS + 50);
    assert_eq!(tasks.output(other).map(|response| response.status), Some(200));
}

#[test]
fn concurrent_requests_share_an_answer_that_is_slow_or_not_cached() {
    for cache_s in [0, 60] {
        for (delay_ms, status) in [(200, 200), (1200, 200), (limits::TOKEN_ENDPOINT_TIMEOUT_MS + 1, 503)] {
            let opaque = Opaque::with(&json!({ "cache_s": cache_s }));
            assert_eq!(opaque.outcome("another-token"), PASSED);
            opaque.deployment.delay_answers(ENDPOINT, Delay::Millis(delay_ms));
            let began_ms = opaque.deployment.elapsed_ms();
            let requests = (0..20).map(|_| opaque.deployment.answer(Opaque::request(TOKEN)));
            let responses = opaque.deployment.run_all(requests);
            assert!(responses.iter().all(|response| response.status == status), "{cache_s} {delay_ms}");
            let delay_ms = i64::from(delay_ms);
            let took_ms = opaque.deployment.elapsed_ms() - began_ms;
            assert!(took_ms <= delay_ms + 2 * limits::FETCH_LEASE_MS, "{cache_s} {delay_ms}");
            assert!(opaque.count() as i64 - 1 <= delay_ms / limits::FETCH_LEASE_MS + 1, "{cache_s} {delay_ms}");
        }
    }
}

/// The token expires between the answer and the next look of the request that waits for it.
#[test]
fn an_answer_that_another_request_waited_for_does_not_outlast_the_token() {
    let opaque = Opaque::new();
    assert_eq!(opaque.outcome("another-token"), PASSED);
    // One second later, with the tolerated difference of the clocks.
    opaque.answers(&changed("exp", json!(NOW - 4)));
    opaque.deployment.sleep_ms(700);
    assert_eq!(opaque.deployment.now().millis(), NOW * 1000 + 700);
    opaque.deployment.delay_answers(ENDPOINT, Delay::Millis(295));
    let requests = (0..2).map(|_| opaque.deployment.answer(Opaque::request(TOKEN)));
    let outcomes: Vec<_> = opaque.deployment.run_all(requests).iter().map(Response::outcome).collect();
    assert_eq!(outcomes, [PASSED, (401, "token_expired".into())]);
    assert_eq!(opaque.count(), 2, "one request has asked for both");
}

#[test]
fn few_large_answers_are_cached() {
    let opaque = Opaque::new();
    let text = "a".repeat(limits::TOKEN_CACHE_MAX_TOKEN_BYTES);
    let tokens = 4 * limits::INTROSPECTION_LARGE_ENTRIES;
    for (answer, least) in [(changed("more", json!(text)), tokens - limits::INTROSPECTION_LARGE_ENTRIES), (active(), 0)]
    {
        opaque.answers(&answer);
        let fetch_all = || {
            for number in 0..tokens {
                assert_eq!(opaque.outcome(&format!("token-{number}-{least}")), PASSED);
            }
            opaque.count()
        };
        let first = fetch_all();
        let repeated = fetch_all() - first;
        assert!(if least > 0 { repeated >= least } else { repeated < tokens / 2 }, "{repeated}");
    }
}

#[test]
fn in_an_outage_opaque_tokens_get_503_and_the_provider_is_not_asked_with_each_request() {
    let large = Incoming { body: vec![b' '; limits::MAX_PROVIDER_BODY_BYTES + 1], ..document("{}") };
    let html = Incoming { content_type: Some("text/html".into()), ..document("<html>Please log in</html>") };
    for reply in [
        Err(Unreachable::Network),
        Err(Unreachable::GivenUp),
        Ok(status(500)),
        Ok(status(429)),
        Ok(status(302)),
        Ok(status(204)),
        Ok(refusal(401, "invalid_client")),
        Ok(document("not json")),
        Ok(document(r#"{"active":true,"active":true}"#)),
        Ok(large),
        Ok(html),
    ] {
        let opaque = Opaque::new();
        opaque.replies(reply.clone());
        let response = opaque.fetch(TOKEN);
        assert_eq!(response.outcome(), unavailable(), "{reply:?}");
        assert_eq!(response.header("retry-after"), Some("1"));
        assert_eq!((opaque.outcome(TOKEN), opaque.count()), (unavailable(), 1), "{reply:?}");
        assert!(opaque.deployment.has_logged("introspection_unavailable: "), "{reply:?}");
        // Signed tokens do not need it.
        assert_eq!(opaque.outcome(&Mint::access(key_a()).text()), PASSED);
        opaque.answers(&active());
        opaque.deployment.sleep_ms(limits::INTROSPECTION_PAUSE_MS);
        assert_eq!(opaque.outcome(TOKEN), PASSED);
        // An answer counts on during an outage, for its time.
        opaque.replies(Err(Unreachable::Network));
        opaque.deployment.sleep_s(59);
        assert_eq!(opaque.outcome(TOKEN), PASSED);
        opaque.deployment.sleep_s(1);
        assert_eq!(opaque.outcome(TOKEN), unavailable());
    }
    let undiscovered = Opaque::new();
    undiscovered.deployment.provider.set().metadata = json!({});
    assert_eq!(undiscovered.outcome(TOKEN), unavailable());
    assert!(undiscovered.deployment.has_logged("introspection_unavailable: the discovery document names no"));
    let down = Opaque::new();
    down.deployment.provider.take_all_down();
    assert_eq!(down.outcome(TOKEN), unavailable());
}

/// The endpoint is asked about as many tokens as clients send, so a pause for each token is none for the endpoint.
#[test]
fn an_endpoint_that_fails_is_asked_once_after_each_pause_whatever_the_tokens() {
    for (reply, pauses_s) in [
        (Ok(Incoming { retry_after: Some("60".into()), ..status(429) }), [60, 60, 60]),
        (Ok(Incoming { retry_after: Some("86400".into()), ..status(503) }), [300, 300, 300]),
        (Ok(status(429)), [1, 2, 4]),
        (Ok(status(500)), [1, 2, 4]),
        (Err(Unreachable::GivenUp), [1, 2, 4]),
    ] {
        let opaque = Opaque::with(&json!({ "cache_s": 60 }));
        opaque.replies(reply.clone());
        let mut tokens = (0..).map(|number| format!("distinct-token-{number}"));
        let mut next = || opaque.fetch(&tokens.next().unwrap());
        for (asked, pause_s) in (1..).zip(pauses_s) {
            for left_s in (1..=pause_s).rev() {
                for _ in 0..3 {
                    let response = next();
                    assert_eq!(response.outcome(), unavailable(), "{reply:?}");
                    assert_eq!(response.header("retry-after"), Some(left_s.to_string().as_str()), "{reply:?}");
                }
                assert_eq!(opaque.count(), asked, "{reply:?}");
                opaque.deployment.sleep_s(1);
            }
        }
        opaque.answers(&changed("exp", json!(NOW + 86_400)));
        assert_eq!((next().outcome(), next().outcome()), (PASSED, PASSED), "{reply:?}");
        assert_eq!(opaque.count(), 5, "{reply:?}: any number again");
    }
}

#[test]
fn while_the_endpoint_hangs_one_request_tries_it_and_the_others_do_not_wait() {
    let opaque = Opaque::new();
    assert_eq!(opaque.outcome("another-token"), PASSED);
    let timeout_ms = i64::from(limits::TOKEN_ENDPOINT_TIMEOUT_MS);
    opaque.deployment.delay_answers(ENDPOINT, Delay::Millis(limits::TOKEN_ENDPOINT_TIMEOUT_MS + 1));
    assert_eq!(opaque.outcome(TOKEN), unavailable(), "the first one waits for as long as an attempt takes");
    for pause_s in [1, 2] {
        // The pause begins when the attempt has failed.
        for token in [TOKEN, "distinct-token"] {
            let began_ms = opaque.deployment.elapsed_ms();
            let response = opaque.fetch(token);
            assert_eq!(response.outcome(), unavailable());
            assert_eq!(response.header("retry-after"), Some(pause_s.to_string().as_str()));
            assert_eq!(opaque.deployment.elapsed_ms(), began_ms, "{token}");
        }
        opaque.deployment.sleep_s(pause_s);
        let asked = opaque.count();
        let mut tasks = opaque.deployment.tasks();
        let first = tasks.start(opaque.deployment.answer(Opaque::request("the-one-that-tries")));
        tasks.settle();
        for number in 0..50 {
            // Not even those with its token.
            let token = if number % 2 == 0 { format!("token-{number}") } else { "the-one-that-tries".into() };
            let request = Opaque::request(&token);
            let other = tasks.start(opaque.deployment.answer(request));
            tasks.settle();
            assert_eq!(tasks.output(other).map(Response::outcome), Some(unavailable()), "at once");
            tasks.elapse_ms(timeout_ms / 51);
        }
        assert!(tasks.is_open(first));
        tasks.finish();
        assert_eq!(opaque.count(), asked + 1);
    }
    // One that is cancelled lets another one try.
    opaque.deployment.sleep_s(4);
    let mut tasks = opaque.deployment.tasks();
    let cancelled = tasks.start(opaque.deployment.answer(Opaque::request(TOKEN)));
    tasks.settle();
    tasks.cancel(cancelled);
    drop(tasks);
    opaque.deployment.delay_answers(ENDPOINT, Delay::Millis(0));
    assert_eq!(opaque.outcome("after-it"), PASSED);
}

/// Anyone can send a token that the provider does not like.
#[test]
fn a_failure_that_is_about_one_token_is_no_pause_for_others() {
    for reply in [Ok(status(400)), Ok(status(404)), Ok(document("not json")), Ok(document(r#"{"active":1}"#))] {
        let opaque = Opaque::new();
        opaque.replies(reply.clone());
        assert_eq!(opaque.outcome("a-token-of-its-own"), unavailable(), "{reply:?}");
        opaque.answers(&active());
        assert_eq!(opaque.outcome(TOKEN), PASSED, "{reply:?}");
    }
}

#[test]
fn the_client_authenticates_as_everywhere() {
    let basic = json!({ "introspection_endpoint": ENDPOINT, "introspection_endpoint_auth_methods_supported": ["client_secret_basic"] });
    let opaque = Opaque::new();
    opaque.deployment.provider.set().metadata = basic;
    assert_eq!(opaque.outcome(TOKEN), PASSED);
    let header = |opaque: &Opaque| {
        let asked = opaque.asked.borrow();
        let header = asked.last().unwrap().headers.iter().find(|(name, _)| *name == "authorization");
        header.map(|(_, value)| value.clone())
    };
    assert!(header(&opaque).unwrap().starts_with("Basic "));
    // The next secret after `invalid_client`.
    let two = json!({ "authorizer": { "introspection": { "endpoint": ENDPOINT }, "client_secret": ["old secret of the client", CLIENT_SECRET] } });
    let opaque = Opaque::of(&with(oidc_config(), &two));
    opaque.deployment.provider.set().auth = Auth::Post;
    let asked = Rc::clone(&opaque.asked);
    opaque.deployment.serve(ENDPOINT, move |request| {
        asked.borrow_mut().push(request.clone());
        let is_good = form(request.body.as_deref().unwrap())["client_secret"] == CLIENT_SECRET;
        Ok(if is_good { document(&active().to_string()) } else { refusal(401, "invalid_client") })
    });
    assert_eq!((opaque.outcome(TOKEN), opaque.count()), (PASSED, 2));
    assert_eq!(header(&opaque), None);
}

#[test]
fn a_signed_answer_is_verified() {
    let opaque = Opaque::with(&json!({ "signed": true }));
    opaque.signs(&signed(&active()));
    assert_eq!(opaque.outcome(TOKEN), PASSED);
    assert!(opaque.asked.borrow()[0].headers.contains(&("accept", JWT.into())));
    opaque.signs(&signed(&active()).claim("aud", json!([AUDIENCE, "https://x.example"])));
    assert_eq!(opaque.outcome("for-the-api"), PASSED);
    opaque.signs(&signed(&json!({ "active": false })));
    assert_eq!(opaque.outcome("revoked-at-the-provider"), (401, "token_inactive".into()));
    opaque.signs(&signed(&changed("aud", json!("https://other.example.com"))));
    assert_eq!(opaque.outcome("other-audience"), (401, "audience_mismatch".into()));
    for (case, answer) in [
        ("another key", signed(&active()).signed_by(key_b())),
        ("unsigned", signed(&active()).header("alg", "none")),
        ("an ID token", signed(&active()).header("typ", "JWT")),
        ("without a type", signed(&active()).without_header("typ")),
        ("of another issuer", signed(&active()).claim("iss", "https://evil.example/")),
        ("without an issuer", signed(&active()).without("iss")),
        ("for another client", signed(&active()).claim("aud", "client-2")),
        ("without an audience", signed(&active()).without("aud")),
        ("expired", signed(&active()).claim("exp", NOW - 60)),
        ("from the future", signed(&active()).claim("iat", NOW + 60)),
        ("without an answer", signed(&active()).without("token_introspection")),
        ("whose answer is text", signed(&json!("active"))),
    ] {
        opaque.signs(&answer);
        assert_eq!(opaque.outcome(&format!("token {case}").replace(' ', "-")), unavailable(), "{case}");
    }
    // An unsigned answer does not replace it.
    opaque.answers(&active());
    assert_eq!(opaque.outcome("unsigned-answer"), unavailable());
    // Where they are not required, signed answers are verified, too.
    let either = Opaque::new();
    either.signs(&signed(&active()));
    assert_eq!(either.outcome(TOKEN), PASSED);
    either.signs(&signed(&active()).signed_by(key_b()));
    assert_eq!(either.outcome("forged"), unavailable());
}

#[test]
fn an_opaque_token_can_be_revoked() {
    let mut config = with(oidc_config(), &json!({ "authorizer": { "introspection": {} } }));
    let route =
        json!({ "method": "POST", "path": "/revoke", "scopes": ["revoke"], "integration": { "type": "revoke" } });
    config["paths"].as_array_mut().unwrap().push(route);
    let opaque = Opaque::of(&config);
    opaque.deployment.shared(|shared| {
        shared.are_bound = true;
        shared.bodies.push_back(br#"{"sub":"user-1"}"#.to_vec());
    });
    assert_eq!(opaque.outcome(TOKEN), PASSED);
    let admin = Mint::access(key_a()).claim("sub", "admin").claim("scope", "revoke").text();
    let request = Request::post("/revoke").header("content-type", "application/json").bearer(&admin);
    assert_eq!(opaque.deployment.fetch(request).status, 204);
    assert_eq!(opaque.outcome(TOKEN), (401, "token_revoked".into()));
}
