//! The rights of a session: only those of an access token verified for this gateway and this user, only until that token expires,
//! and only for the login that created the session.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]
#![cfg(all(feature = "gateway", feature = "unicode"))]

use std::rc::Rc;

use edgeward::gateway::compile;
use edgeward::io::{UnixTime, Unreachable};
use edgeward::jwt::{Access, Claims, VerifiedToken};
use edgeward::oidc::{Client, ClientAuth, CoordinatorStore, ReturnTo, SessionAction, SubjectMatch};
use edgeward::session::Session;
use serde_json::{Value, json};
use support::browser::{Browser, Request, Response};
use support::deployment::{self, COOKIE, Deployment, with};
use support::host::VirtualHost;
use support::provider::{Endpoint, Provider};
use support::{AUDIENCE, CLIENT, ISSUER, Mint, NOW, key_a, key_b, key_c};

const HOST: &str = "app.example.com";
const FURTHER_ISSUER: &str = "https://further.example.com/";
const ROLES: &str = "https://example.com/roles";

fn at(offset: i64) -> UnixTime {
    UnixTime::from_secs(NOW + offset)
}

fn config(authorizer: &Value, session: &Value) -> Value {
    let mut config = deployment::config();
    let good = json!({
        "clients": CLIENT, "roles_claim": ROLES, "jwks": { "keys": [key_a().jwk()] },
        "issuers": [{ "domain": "further.example.com", "jwks": { "keys": [key_b().jwk()] } }]
    });
    config = with(config, &json!({ "authorizer": good }));
    with(config, &json!({ "authorizer": authorizer, "session": session }))
}

/// Returns a deployment with configured keys.
fn new_deployment(authorizer: &Value) -> Deployment {
    Deployment::of(&config(authorizer, &json!({})))
}

/// Returns a deployment that fetches the provider's keys, which may be unreachable, with an empty cache.
fn fetching_deployment(authorizer: &Value) -> Deployment {
    let mut config = config(authorizer, &json!({}));
    config["authorizer"].as_object_mut().unwrap().remove("jwks");
    let deployment = Deployment::of(&config);
    deployment.serve_edge(|_| None);
    deployment
}

/// Sets the ID tokens, and overrides members of the token response.
fn answer_with(deployment: &Deployment, id: impl Fn(Mint) -> Mint + 'static, reply: &Value) {
    let reply = reply.clone();
    let mut provider = deployment.provider.set();
    provider.id = Rc::new(id);
    provider.access = Rc::new(|_| "opaque".into());
    provider.answer = Rc::new(move |answer| {
        answer.as_object_mut().unwrap().remove("expires_in");
        for (name, value) in reply.as_object().unwrap() {
            answer[name] = value.clone();
        }
    });
}

/// Logs in with these ID tokens and members of the token response.
fn log_in(deployment: &Deployment, id: impl Fn(Mint) -> Mint + 'static, reply: &Value) -> Browser {
    answer_with(deployment, id, reply);
    deployment.logged_in()
}

/// A change to a valid ID token.
type Change = Rc<dyn Fn(Mint) -> Mint>;

/// Calls the refresh route, with a new ID token if given. The browser stores the cookies.
fn refresh(deployment: &Deployment, browser: &mut Browser, id: Option<Change>, reply: &Value) -> Response {
    deployment.provider.set().repeats_id = id.is_some();
    let id = id.unwrap_or_else(|| Rc::new(|id| id));
    answer_with(deployment, move |good| id(good), reply);
    let response = deployment.send(browser, Request::post("/refresh"));
    deployment.provider.set().repeats_id = true;
    response
}

/// Returns the session after a refresh, which must succeed.
fn refreshed(deployment: &Deployment, browser: &Browser, id: Option<fn(Mint) -> Mint>, reply: &Value) -> Session {
    let mut browser = browser.clone();
    let id = id.map(|id| Rc::new(id) as Change);
    let response = refresh(deployment, &mut browser, id, reply);
    assert_eq!(response.status, 200, "{} {:?}", response.body, deployment.lines());
    deployment.session(&browser)
}

/// Adds claims to an ID token that would grant rights in an access token.
fn claiming_rights(id: Mint) -> Mint {
    let id = id.claim("scope", "from:id").claim("scp", "from:id").claim("permissions", json!(["from:id"]));
    id.claim("client_id", "from:id")
}

/// Returns an ID token with such claims.
fn id_token() -> Mint {
    claiming_rights(Mint::id(key_a()).without("at_hash").without("nonce"))
}

fn access_token() -> Mint {
    Mint::access(key_a()).claim("permissions", json!(["p"])).claim(ROLES, json!(["editor"])).claim("org_id", "org_1")
}

fn scopes(claims: &Claims) -> Vec<&str> {
    claims.scopes().collect()
}

/// Asserts that the claims contain no rights.
fn assert_no_rights(claims: &Claims, what: &str) {
    for name in ["aud", "scope", "scp", "permissions", "client_id", "azp", "org_id", ROLES] {
        assert!(claims.get(name).is_none(), "{what}: {name} in {}", claims.as_json());
    }
}

/// The effect of the scope in the token response.
#[derive(Clone, Copy, PartialEq)]
enum Counts {
    /// It describes the token.
    Stated,
    /// The token has its own scopes.
    Own(&'static [&'static str]),
    /// The token grants nothing.
    Nothing,
}

#[test]
fn rights_come_only_from_a_token_verified_for_this_gateway_and_user() {
    use Counts::{Nothing, Own, Stated};
    let cases: [(&str, String, Counts); 18] = [
        ("scope", access_token().text(), Own(&["read:things", "write:things"])),
        ("an empty scope", access_token().claim("scope", "").text(), Own(&[])),
        ("scp", access_token().without("scope").claim("scp", json!(["read:things"])).text(), Own(&["read:things"])),
        ("scope and scp", access_token().claim("scp", "x").text(), Own(&["read:things", "write:things"])),
        ("neither scope nor scp", access_token().without("scope").text(), Stated),
        ("scp null", access_token().without("scope").claim("scp", Value::Null).text(), Stated),
        ("another audience", access_token().claim("aud", "https://other.example.com").text(), Nothing),
        ("another subject", access_token().claim("sub", "user-2").text(), Nothing),
        ("no subject", access_token().without("sub").text(), Nothing),
        ("another client", access_token().claim("azp", "other").text(), Nothing),
        (
            "a further issuer",
            access_token().claim("iss", FURTHER_ISSUER).header("kid", key_b().kid).signed_by(key_b()).text(),
            Nothing,
        ),
        ("an unknown issuer", access_token().claim("iss", "https://evil.example/").text(), Nothing),
        ("another key", access_token().signed_by(key_c()).text(), Nothing),
        ("an expired token", access_token().claim("exp", NOW - 6).text(), Nothing),
        ("an ID token", id_token().claim("nonce", "n").claim("aud", json!([AUDIENCE])).text(), Nothing),
        ("an opaque token", "opaque".into(), Nothing),
        ("a token bound to a key", access_token().claim("cnf", json!({ "jkt": "A".repeat(43) })).text(), Nothing),
        (
            "one bound to a certificate",
            access_token().claim("cnf", json!({ "x5t#S256": "A".repeat(43) })).text(),
            Nothing,
        ),
    ];
    let stated = [None, Some(""), Some("stated:scope other")];
    let former = json!({ "access_token": access_token().claim("scope", "former:scope").text() });
    for (what, access, counts) in &cases {
        for scope in stated {
            // That API clients may send bound tokens with proofs does not matter: a session has none.
            let deployment = new_deployment(&json!({ "dpop": "allowed", "mtls": "allowed" }));
            let reply = match scope {
                Some(scope) => json!({ "access_token": access, "scope": scope }),
                None => json!({ "access_token": access }),
            };
            let at_login = deployment.session(&log_in(&deployment, claiming_rights, &reply));
            let refreshed = [None, Some(claiming_rights as fn(Mint) -> Mint)].map(|id| {
                let before = log_in(&deployment, claiming_rights, &former);
                assert_eq!(scopes(deployment.session(&before).claims_at(at(0))), ["former:scope"]);
                refreshed(&deployment, &before, id, &reply)
            });
            for (session, former) in
                [(&at_login, None), (&refreshed[0], Some("former:scope")), (&refreshed[1], Some("former:scope"))]
            {
                let what = format!("{what}, {scope:?} stated, {former:?} before");
                let claims = session.claims_at(at(0));
                let expected = match counts {
                    Own(own) => own.to_vec(),
                    // RFC 6749 §5.1, §6: if absent, it is as requested, or unchanged by a refresh. An empty one is absent: with an ID
                    // token, at least `openid` was granted. Formerly it was no scope, and an absent one at login, too.
                    Stated => {
                        let stated = scope.filter(|scope| !scope.is_empty()).or(former);
                        stated.unwrap_or("openid offline_access").split_whitespace().collect()
                    }
                    Nothing => Vec::new(),
                };
                assert_eq!(scopes(claims), expected, "{what}");
                if *counts == Nothing {
                    assert_no_rights(claims, &what);
                } else {
                    assert!(claims.permissions().unwrap().eq(["p"]), "{what}");
                    assert!(claims.audience().iter().eq([AUDIENCE]), "{what}");
                    assert_eq!((claims.client_id(), claims.org_id()), (Some(CLIENT), Some("org_1")), "{what}");
                    assert_eq!(claims.get(ROLES).unwrap().to_json(), r#"["editor"]"#, "{what}");
                }
                assert_no_rights(session.claims(), &what);
                assert!(!session.has_unverified_access_token(), "{what}");
            }
        }
    }
}

#[test]
fn roles_of_the_id_token_apply_unless_the_access_token_has_roles() {
    let deployment = new_deployment(&json!({}));
    let with_roles = |id| claiming_rights(id).claim(ROLES, json!(["viewer"]));
    for (access, expected) in [
        ("opaque".to_string(), "viewer"),
        (access_token().without(ROLES).text(), "viewer"),
        (access_token().text(), "editor"),
        (access_token().claim("sub", "user-2").text(), "viewer"),
    ] {
        let session = deployment.session(&log_in(&deployment, with_roles, &json!({ "access_token": access })));
        assert_eq!(session.claims_at(at(0)).get(ROLES).unwrap().to_json(), json!([expected]).to_string());
    }
}

#[test]
fn a_refresh_does_not_bring_back_the_claims_that_the_access_token_had_replaced() {
    let deployment = new_deployment(&json!({}));
    let admin: fn(Mint) -> Mint = |id| id.claim(ROLES, "admin");
    let viewer = || access_token().claim(ROLES, json!("viewer"));
    let before = log_in(&deployment, admin, &json!({ "access_token": viewer().text() }));
    let roles = |session: &Session, time: i64| session.claims_at(at(time)).get(ROLES).map(|value| value.to_json());
    assert_eq!(roles(&deployment.session(&before), 0).as_deref(), Some(r#""viewer""#));
    for access in ["opaque".to_string(), viewer().signed_by(key_c()).text(), viewer().claim("sub", "user-2").text()] {
        for id in [None, Some(admin)] {
            let session = refreshed(&deployment, &before, id, &json!({ "access_token": access }));
            assert_eq!(roles(&session, 0), None);
            assert_eq!(scopes(session.claims_at(at(0))), [""; 0]);
        }
    }
}

#[test]
fn a_scope_that_is_no_text_is_no_request_granted() {
    for (scope, expected) in [
        (json!(["read:items", "b"]), vec!["read:items", "b"]),
        (json!([]), vec![]),
        (json!(1), vec![]),
        (json!({}), vec![]),
        (json!(false), vec![]),
        (json!(null), vec!["openid", "offline_access"]),
    ] {
        let deployment = new_deployment(&json!({}));
        let access = access_token().without("scope").text();
        let browser = log_in(&deployment, |id| id, &json!({ "access_token": access, "scope": scope }));
        assert_eq!(scopes(deployment.session(&browser).claims_at(at(0))), expected, "{scope}");
    }
}

#[test]
fn a_session_has_the_claims_that_rules_of_routes_read() {
    let mut config = config(&json!({ "roles_claim": ["realm", "roles"] }), &json!({ "claims": ["email"] }));
    let rules = json!([
        { "claim": ["department", "name"], "equals": "x" }, { "claim": "sub", "prefix": "user" }, { "claim": "acr", "any": ["1"] }
    ]);
    config["paths"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "method": "GET", "path": "/rule", "claims": rules, "integration": { "type": "respond" } }));
    let deployment = Deployment::of(&config);
    let access = access_token().claim("department", json!({ "name": "x" })).claim("other", 1).claim("acr", "1");
    let access = access.claim("realm", json!({ "roles": ["editor"] })).text();
    let id = |id: Mint| id.claim("acr", "0").claim("other", 2);
    let session = deployment.session(&log_in(&deployment, id, &json!({ "access_token": access })));
    let claims = session.claims_at(at(0));
    let shown = |name: &str| claims.get(name).map(|value| value.to_json());
    assert_eq!(shown("department").as_deref(), Some(r#"{"name":"x"}"#));
    assert_eq!(shown("realm").as_deref(), Some(r#"{"roles":["editor"]}"#));
    assert_eq!(shown("acr").as_deref(), Some(r#""1""#), "that of the access token, as for bearer tokens");
    assert_eq!(shown("sub").as_deref(), Some(r#""user-1""#));
    assert_eq!(shown("other"), None, "no rule reads it");

    let without = deployment.session(&log_in(&deployment, id, &json!({ "access_token": "opaque" })));
    assert_eq!(without.claims_at(at(0)).get("acr").map(|value| value.to_json()).as_deref(), Some(r#""0""#));
}

#[test]
fn subject_match_selects_the_claims_that_identify_the_user() {
    let deployment = new_deployment(&json!({ "subject_match": { "access_token": "uid", "id_token": "oid" } }));
    let grants = |id: fn(Mint) -> Mint, access: Mint| {
        let reply = json!({ "access_token": access.text() });
        let browser = log_in(&deployment, id, &reply);
        let session = deployment.session(&browser);
        let again = refreshed(&deployment, &browser, None, &reply);
        let both = [&session, &again].map(|session| !scopes(session.claims_at(at(0))).is_empty());
        assert_eq!(both[0], both[1], "a refresh without an ID token keeps the user");
        both[0]
    };
    let id: fn(Mint) -> Mint = |id| claiming_rights(id).claim("oid", "o1");
    let access = || access_token().claim("sub", "pairwise").claim("uid", "o1");
    assert!(grants(id, access()));
    assert!(!grants(id, access().claim("uid", "o2")));
    assert!(!grants(id, access().without("uid")));
    assert!(!grants(claiming_rights, access()));
    assert!(!grants(claiming_rights, access_token()), "sub is not compared");
    assert!(!grants(|id| id.claim("oid", ""), access().claim("uid", "")), "empty claims identify no user");
    assert!(!grants(|id| id.claim("oid", 7), access().claim("uid", 7)));
    let session = deployment.session(&log_in(&deployment, id, &json!({})));
    let client = client(SubjectMatch { access_token: "uid".into(), id_token: "oid".into() });
    let other = verified_token(&access().claim("uid", "o2"));
    let shown = client.check_subject(session.claims(), &other);
    let shown = shown.unwrap_err().to_string();
    assert!(shown.contains("\"uid\"") && shown.contains("\"oid\"") && !shown.contains("o2"), "{shown}");
    assert!(deployment.has_logged(&format!("access_token_unusable: {shown}; ")), "{:?}", deployment.lines());
}

fn client(subject_match: SubjectMatch) -> Client {
    Client {
        id: CLIENT.into(),
        auth: ClientAuth::None,
        redirect_uri: "https://app.example.com/callback".into(),
        callback_uri: None,
        default_return_to: ReturnTo::default(),
        scope: "openid".into(),
        audience: None,
        audience_parameter: "audience",
        logout_parameter: "post_logout_redirect_uri",
        authorization_params: Vec::new(),
        organizations: Vec::new(),
        required_claims: Vec::new(),
        claim_rules: Vec::new(),
        subject_match,
        userinfo_at_login: false,
        session_claims: None,
        forwards_ip: false,
        options: edgeward::oidc::RequestOptions::default(),
    }
}

fn verified_token(token: &Mint) -> VerifiedToken<Access> {
    support::verify(&support::access_policy(), &key_a().set(), &token.text()).unwrap()
}

#[test]
fn rights_expire_with_their_token_and_expires_in_only_shortens_that() {
    let verified = |exp: Value| access_token().claim("exp", exp).text();
    let foreign = access_token().claim("aud", "https://other.example.com").claim("exp", NOW + 300).text();
    let tokens = [verified(json!(NOW + 300)), verified(json!(NOW as f64 + 300.7)), foreign, "opaque".to_string()];
    let cases = [
        (Value::Null, None),
        (json!(60), Some(60)),
        (json!(60.9), Some(60)),
        (json!("60"), Some(60)),
        (json!("60.5"), Some(60)),
        (json!(6e1), Some(60)),
        (json!(86_400), Some(86_400)),
        (json!("86400"), Some(86_400)),
        (json!(1e300), Some(2_592_000)),
        (json!(u64::MAX), Some(2_592_000)),
        (json!(0), None),
        (json!(-60), None),
        (json!("-60"), None),
        (json!(0.5), None),
        (json!("soon"), None),
        (json!(""), None),
        (json!("NaN"), None),
        (json!("inf"), None),
        (json!(true), None),
        (json!([60]), None),
    ];
    let deployment = new_deployment(&json!({}));
    for (index, token) in tokens.iter().enumerate() {
        for (expires_in, stated) in &cases {
            let reply = json!({ "access_token": token, "expires_in": expires_in });
            let browser = log_in(&deployment, claiming_rights, &reply);
            let session = deployment.session(&browser);
            let refreshed = refreshed(&deployment, &browser, None, &reply);
            let expected = match index {
                0..=2 => stated.unwrap_or(3600).min(300),
                _ => stated.unwrap_or(3600),
            };
            for session in [session, refreshed] {
                assert_eq!(session.tokens().access_expires_s, NOW + expected, "{index} {expires_in}");
                let granted = |offset| !scopes(session.claims_at(at(offset))).is_empty();
                assert_eq!((granted(0), granted(expected - 1)), (index < 2, index < 2), "{index} {expires_in}");
                assert!(!granted(expected), "{index} {expires_in}");
                assert!(session.has_expired_access_token(at(expected)), "{index} {expires_in}");
            }
        }
    }
    let deployment = new_deployment(&json!({ "max_token_age_s": 100 }));
    let reply = json!({ "access_token": access_token().text() });
    let session = deployment.session(&log_in(&deployment, claiming_rights, &reply));
    assert_eq!(session.tokens().access_expires_s, NOW + 40, "issued a minute ago, valid for 100 s");
}

#[test]
fn a_token_bound_to_the_certificate_of_the_client_grants_rights_and_other_bound_tokens_none() {
    let certificate = json!({ "x5t#S256": "A".repeat(43) });
    let key = json!({ "jkt": "A".repeat(43) });
    let both = json!({ "x5t#S256": "A".repeat(43), "jkt": "A".repeat(43) });
    for (binding, cnf, grants) in [
        (json!("CERTIFICATE"), &certificate, true),
        (Value::Null, &certificate, false),
        (json!("CERTIFICATE"), &key, false),
        (json!("CERTIFICATE"), &both, false),
        (Value::Null, &key, false),
    ] {
        let deployment = new_deployment(&json!({ "mtls_binding": binding }));
        let reply = json!({ "access_token": access_token().claim("cnf", cnf.clone()).text() });
        let session = deployment.session(&log_in(&deployment, claiming_rights, &reply));
        let what = format!("{binding} {cnf}");
        if grants {
            assert_eq!(scopes(session.claims_at(at(0))), ["read:things", "write:things"], "{what}");
        } else {
            assert_no_rights(session.claims_at(at(0)), &what);
        }
    }
}

/// Returns an encrypted access token with this content. The host's decryption is a stand-in: it decrypts content to itself.
fn encrypted(inner: &str) -> String {
    let header = json!({ "alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWT" }).to_string();
    let parts = [header.as_bytes(), &[7; 256], &[1; 12], inner.as_bytes(), &[2; 16]];
    parts.map(edgeward::base64url::encode).join(".")
}

#[test]
fn a_session_gets_its_rights_once_the_new_key_is_published() {
    for is_encrypted in [false, true] {
        let key = include_str!("keys/rsa2048-b.pem");
        let more = if is_encrypted { json!({ "decryption_keys": [{ "key": key }] }) } else { json!({}) };
        let deployment = fetching_deployment(&more);
        deployment.host.decrypt(|request| Ok(request.content[12..request.content.len() - 16].to_vec()));
        let token = access_token().header("kid", key_c().kid).signed_by(key_c()).text();
        let token = if is_encrypted { encrypted(&token) } else { token };
        let browser = log_in(&deployment, claiming_rights, &json!({ "access_token": token }));
        assert!(deployment.has_logged("access_token_unusable: key_not_found; "), "{:?}", deployment.lines());
        assert_no_rights(deployment.session(&browser).claims_at(at(0)), "the key is not published yet");
        assert!(reverify_access_token(&deployment, &browser, &[key_a().jwk()]).is_none());
        let browser = reverify_access_token(&deployment, &browser, &[key_a().jwk(), key_c().jwk()]).unwrap();
        let session = deployment.session(&browser);
        assert_eq!(scopes(session.claims_at(at(0))), ["read:things", "write:things"], "{is_encrypted}");
    }
}

/// Returns a browser whose access token was issued while the issuer's keys were unreachable. The deployment has no keys yet.
fn with_unverified_token(deployment: &Deployment, before: &Browser, reply: &Value) -> Browser {
    deployment.provider.take_down(Endpoint::Keys);
    let mut browser = before.clone();
    let response = refresh(deployment, &mut browser, Some(Rc::new(claiming_rights)), reply);
    assert_eq!(response.status, 200, "{}", response.body);
    deployment.provider.bring_up();
    browser
}

/// Returns the browser after another instance with these keys has verified the session's access token; `None` if nothing changed.
fn reverify_access_token(deployment: &Deployment, browser: &Browser, keys: &[Value]) -> Option<Browser> {
    deployment.provider.set().published = keys.to_vec();
    let mut browser = browser.clone();
    let response = deployment.instance().send(&mut browser, Request::get("/app"));
    assert_eq!(response.status, 200);
    response.sets(COOKIE).map(|_| browser)
}

#[test]
fn a_short_outage_of_keys_does_not_affect_rights() {
    let deployment = fetching_deployment(&json!({}));
    let first = access_token().claim("exp", NOW + 100).text();
    let log_in_before = || log_in(&deployment, claiming_rights, &json!({ "access_token": first }));
    let next = access_token().without("scope").claim("permissions", json!(["q"])).text();
    for scope in [None, Some("next:scope")] {
        let reply = match scope {
            Some(scope) => json!({ "access_token": next, "scope": scope }),
            None => json!({ "access_token": next }),
        };
        let before = log_in_before();
        let cold = deployment.instance();
        let browser = with_unverified_token(&cold, &before, &reply);
        let session = deployment.session(&browser);
        assert!(session.has_unverified_access_token());
        assert_eq!(session.tokens().access, next);
        assert_eq!(session.tokens().id, deployment.session(&before).tokens().id, "the new one could not be verified");
        assert_eq!(scopes(session.claims_at(at(99))), ["read:things", "write:things"]);
        assert_no_rights(session.claims_at(at(100)), "until the previous token's expiry");
        assert!(cold.has_logged("access_token_unread: "));

        // It is sent to another instance and back.
        let sessions = deployment.sessions();
        let sealed = sessions.seal_message(&session, HOST, &[7; 24]).unwrap();
        let opened = sessions.open_message(&sealed, HOST).unwrap();
        assert!(opened.has_unverified_access_token());
        assert_eq!(scopes(opened.claims_at(at(99))), ["read:things", "write:things"]);
        assert_no_rights(opened.claims_at(at(100)), "until the previous token's expiry");

        deployment.provider.take_down(Endpoint::Keys);
        assert!(reverify_access_token(&deployment, &browser, &[key_a().jwk()]).is_none(), "nothing new");
        deployment.provider.bring_up();

        let unknown = reverify_access_token(&deployment, &browser, &[key_c().jwk()]).unwrap();
        assert!(deployment.session(&unknown).has_unverified_access_token());
        assert_no_rights(deployment.session(&unknown).claims_at(at(0)), "there are keys, and none is its");
        assert!(reverify_access_token(&deployment, &unknown, &[key_c().jwk()]).is_none());

        let mut other_key = key_b().jwk();
        other_key["kid"] = key_a().kid.into();
        let refused = reverify_access_token(&deployment, &browser, &[other_key]).unwrap();
        assert!(!deployment.session(&refused).has_unverified_access_token());
        assert_no_rights(deployment.session(&refused).claims_at(at(0)), "refused");

        let of_another = json!({ "access_token": access_token().claim("sub", "user-2").text() });
        deployment.provider.set().published = vec![key_a().jwk()];
        let other = with_unverified_token(&deployment.instance(), &log_in_before(), &of_another);
        assert!(deployment.session(&other).has_unverified_access_token());
        let other = reverify_access_token(&deployment, &other, &[key_a().jwk()]).unwrap();
        assert_no_rights(deployment.session(&other).claims_at(at(0)), "another user's");

        let expected = scope.map_or(vec!["read:things", "write:things"], |one| vec![one]);
        let read = deployment.session(&reverify_access_token(&deployment, &browser, &[key_a().jwk()]).unwrap());
        assert!(!read.has_unverified_access_token());
        assert!(read.claims_at(at(0)).permissions().unwrap().eq(["q"]));
        assert_eq!(scopes(read.claims_at(at(0))), expected);
        assert_eq!(read.tokens().access_expires_s, NOW + 600, "until the new token expires");
        let read = deployment.session(&reverify_access_token(&deployment, &unknown, &[key_a().jwk()]).unwrap());
        assert_eq!(scopes(read.claims_at(at(0))), expected);
    }
    // RFC 6749 §6: the scope stated for an unverified token stays valid for the next, too.
    let cold = deployment.instance();
    let browser =
        with_unverified_token(&cold, &log_in_before(), &json!({ "access_token": next, "scope": "next:scope" }));
    let browser = with_unverified_token(&cold, &browser, &json!({ "access_token": next }));
    assert!(deployment.session(&browser).has_unverified_access_token());
    let read = deployment.session(&reverify_access_token(&deployment, &browser, &[key_a().jwk()]).unwrap());
    assert_eq!(scopes(read.claims_at(at(0))), ["next:scope"]);
    // A token with an unpublished key grants nothing meanwhile.
    let unpublished = access_token().header("kid", "new").text();
    let session = refreshed(&deployment, &log_in_before(), None, &json!({ "access_token": unpublished }));
    assert!(session.has_unverified_access_token());
    assert_no_rights(session.claims_at(at(0)), "a key that is not known");
    assert!(deployment.has_logged("access_token_unusable: key_not_found; "));
    // A token of another issuer is not verified again with every request.
    let alone = new_deployment(&json!({ "issuers": [] }));
    let foreign = access_token().claim("iss", FURTHER_ISSUER).header("kid", "new").text();
    let reply = json!({ "access_token": foreign, "scope": "stated" });
    let session = alone.session(&log_in(&alone, claiming_rights, &reply));
    assert!(!session.has_unverified_access_token());
    assert_no_rights(session.claims_at(at(0)), "another issuer's");
}

/// Returns the claim by which a refreshed ID token belongs to another login; the session continues if there is none.
fn other_login(
    deployment: &Deployment,
    browser: &Browser,
    id: impl Fn(Mint) -> Mint + 'static,
) -> Result<Browser, String> {
    // A new instance, and a provider without rotation: each refresh of this session is its first.
    let instance = deployment.instance();
    let mut browser = browser.clone();
    let response = refresh(&instance, &mut browser, Some(Rc::new(id)), &json!({}));
    if response.status == 200 {
        return Ok(browser);
    }
    assert_eq!(response.outcome(), (401, "session_ended".into()));
    let lines = deployment.lines();
    let line = lines.iter().rev().find_map(|line| line.strip_prefix("id_token_invalid: its claim \"")).unwrap();
    Err(line.strip_suffix("\" is not that of the login; the session ends").unwrap().into())
}

#[test]
fn a_refreshed_id_token_continues_the_login_or_ends_it() {
    let deployment = new_deployment(&json!({}));
    deployment.provider.set().rotates = false;
    let browser = log_in(&deployment, claiming_rights, &json!({}));
    let nonce = deployment.provider.state().nonce.clone();
    let good = [
        other_login(&deployment, &browser, claiming_rights).unwrap(),
        other_login(&deployment, &browser, move |id| id.claim("nonce", nonce.as_str())).unwrap(),
    ];
    other_login(&deployment, &browser, |id| id.claim("auth_time", NOW)).unwrap();
    // The nonce is stored although the ID token in between had none.
    for browser in [&browser, &good[0], &good[1]] {
        type Bad = (&'static str, fn(Mint) -> Mint);
        let bad: [Bad; 4] = [
            ("sub", |id| id.claim("sub", "user-2")),
            ("nonce", |id| id.claim("nonce", "other")),
            ("nonce", |id| id.claim("nonce", "")),
            ("azp", |id| id.claim("azp", CLIENT)),
        ];
        for (claim, id) in bad {
            assert_eq!(other_login(&deployment, browser, id).err().as_deref(), Some(claim));
        }
    }
    let with_azp = log_in(&deployment, |id| id.claim("azp", CLIENT), &json!({}));
    assert!(other_login(&deployment, &with_azp, |id| id.claim("azp", CLIENT)).is_ok());
    assert_eq!(other_login(&deployment, &with_azp, |id| id).err().as_deref(), Some("azp"));

    // Without keys to verify it, it is ignored.
    let fetching = fetching_deployment(&json!({}));
    let before = log_in(&fetching, claiming_rights, &json!({}));
    let after = with_unverified_token(
        &fetching.instance(),
        &before,
        &json!({ "id_token": Mint::id(key_a()).claim("sub", "user-2").text() }),
    );
    let kept = [&before, &after].map(|browser| fetching.session(browser).tokens().id.clone());
    assert!(kept[0].is_some());
    assert_eq!(kept[1], kept[0]);
}

#[test]
fn a_session_ends_when_its_user_leaves_the_allowed_organizations() {
    let deployment = new_deployment(&json!({ "organizations": ["org_1", "org_2"] }));
    deployment.provider.set().rotates = false;
    let member: fn(Mint) -> Mint = |id| claiming_rights(id).claim("org_id", "org_1");
    let browser = log_in(&deployment, member, &json!({}));
    assert!(other_login(&deployment, &browser, member).is_ok());
    assert!(other_login(&deployment, &browser, |id| claiming_rights(id).claim("org_id", "org_2")).is_ok());
    let gone: [fn(Mint) -> Mint; 2] = [claiming_rights, |id| claiming_rights(id).claim("org_id", "org_3")];
    for id in gone {
        assert_eq!(other_login(&deployment, &browser, id).err().as_deref(), Some("org_id"));
    }
    for (organizations, is_admitted) in [(json!(["org_1"]), true), (json!(["org_2"]), false)] {
        let later = config(&json!({ "organizations": organizations }), &json!({}));
        let later = Deployment::on(&deployment.host, &deployment.provider, &later);
        let response = later.send(&mut browser.clone(), Request::get("/maybe"));
        assert_eq!(response.origin_header("x-user").is_some(), is_admitted);
    }
}

#[test]
fn a_session_is_valid_only_for_the_login_it_was_created_for() {
    let api = json!([AUDIENCE, "https://b.example.com"]);
    let secure = json!({ "cookie": "__Secure-s", "domain": "example.com" });
    let none = json!({});
    let gateways = [
        (json!({}), none.clone()),
        (json!({ "domain": "other.example.com" }), none.clone()),
        (json!({ "domain": "further.example.com", "issuers": [] }), none.clone()),
        (json!({ "client_id": "client-2" }), none.clone()),
        (json!({ "audience": "https://other.example.com" }), none.clone()),
        (json!({ "audience": format!("{AUDIENCE}/") }), none.clone()),
        (json!({ "audience": api }), none.clone()),
        (json!({ "redirect_uri": "https://other.example.com/callback" }), none.clone()),
        (json!({}), json!({ "secrets": "another sealing secret of at least 32 characters" })),
        (json!({}), secure.clone()),
        (json!({ "client_id": "client-2" }), secure),
    ];
    // Changes that do not log users out.
    let neutral = [
        json!({}),
        json!({ "scope": "openid offline_access more" }),
        json!({ "issuers": [] }),
        json!({ "clock_skew_s": 0, "clients": ["web"] }),
        json!({ "client_secret": "another" }),
        json!({ "callback_uri": "https://app.example.com/welcome" }),
    ];
    let compiled = |authorizer: &Value, more: &Value, session: &Value| {
        let mut authorizer = authorizer.clone();
        for (name, value) in more.as_object().unwrap() {
            if authorizer.get(name).is_none() {
                authorizer[name] = value.clone();
            }
        }
        if let Some(audience) = authorizer.get("audience").and_then(Value::as_array).filter(|_| *more != json!({})) {
            // The same set in another order.
            authorizer["audience"] = audience.iter().rev().chain(audience).cloned().collect();
        }
        let host = VirtualHost::default();
        let issuer = authorizer.get("domain").and_then(Value::as_str).unwrap_or("tenant.example.com");
        let provider = Provider::of(&format!("https://{issuer}/"), &host);
        provider.set().client = authorizer.get("client_id").and_then(Value::as_str).unwrap_or(CLIENT).into();
        provider.set().access = Rc::new(|_| "opaque".into());
        let mut config = config(&authorizer, session);
        config["authorizer"].as_object_mut().unwrap().remove("jwks");
        Deployment::on(&host, &provider, &config)
    };
    let mut opened = 0;
    for (index, (authorizer, section)) in gateways.iter().enumerate() {
        let home = compiled(authorizer, &json!({}), section);
        let coordinator = home.coordinated();
        let mut browser = Browser::default();
        let callback = home.provider.authorize(home.open(&mut browser, &url(authorizer, "/login")).location());
        let (_, state) = callback.split_once("&state=").unwrap();
        let (state, _) = state.split_once('&').unwrap();
        let login_cookie = browser.header(at(0));
        home.open(&mut browser, &callback);
        let value = browser.value(&cookie_name(section)).unwrap().to_string();
        home.send(&mut browser.clone(), Request::post(&url(authorizer, "/refresh")));
        let sealed = coordinator.sealed().pop().unwrap();
        home.share(None);
        for (other, (authorizer, section)) in gateways.iter().enumerate() {
            for more in &neutral {
                let deployment = compiled(authorizer, more, section);
                let cookie = format!("{}={value}", cookie_name(section));
                let response = deployment.fetch(Request::get(&url(authorizer, "/maybe")).cookie(&cookie));
                let opens = response.origin_header("x-user").is_some();
                assert_eq!(opens, index == other, "{authorizer} {section} {more}");
                let opens_message = deployment.run(opens_message(&deployment, &sealed));
                assert_eq!(opens_message, opens, "a message: {authorizer} {section} {more}");
                // A callback by a script reports the error, without effect.
                let callback = Request::get(&url(authorizer, &format!("/callback?code=c&state={state}"))).script();
                let (_, told) = deployment.fetch(callback.cookie(&login_cookie)).outcome();
                assert!(["navigation_required", "state_invalid"].contains(&told.as_str()), "{told}");
                let goes_on = told == "navigation_required";
                // Logins are bound to the host itself; the domain is that of sessions.
                let same_login = |one: &Value, two: &Value| {
                    ["domain", "client_id", "audience", "redirect_uri"]
                        .iter()
                        .all(|name| one.get(name) == two.get(name))
                };
                let same_secret = gateways[index].1.get("secrets") == section.get("secrets");
                let expected = same_secret && same_login(&gateways[index].0, authorizer);
                assert_eq!(goes_on, expected, "a login: {authorizer} {section} {more}");
                opened += usize::from(opens);
            }
        }
    }
    assert_eq!(opened, gateways.len() * neutral.len());
}

/// Returns the URL of a path at a gateway.
fn url(authorizer: &Value, path: &str) -> String {
    let callback = authorizer["redirect_uri"].as_str().unwrap_or("https://app.example.com/callback");
    callback.replace("/callback", path)
}

fn cookie_name(section: &Value) -> String {
    section["cookie"].as_str().unwrap_or(COOKIE).into()
}

/// An empty store of a coordinator.
struct Empty;

impl CoordinatorStore for Empty {
    async fn read(&self) -> Result<String, Unreachable> {
        Ok(String::new())
    }
}

/// Returns whether the coordinator of this deployment opens a message.
async fn opens_message(deployment: &Deployment, sealed: &str) -> bool {
    let party = deployment.gateway.login().unwrap();
    let outcome = party.coordinate(SessionAction::Replace, sealed, &Empty, &deployment.host).await.unwrap();
    assert!([200, 503].contains(&outcome.response.status));
    outcome.response.status == 200
}

#[test]
fn a_token_is_sent_to_its_own_issuer_only() {
    let further = [FURTHER_ISSUER, "https://tenant.example.com", "https://TENANT.example.com/"];
    let issuers: Vec<Value> =
        further.iter().map(|issuer| json!({ "issuer": issuer, "jwks": { "keys": [key_a().jwk()] } })).collect();
    let config = with(deployment::oidc_config(), &json!({ "authorizer": { "issuers": issuers } }));
    let deployment = Deployment::of(&config);
    let ask =
        |issuer: &str| deployment.fetch(Request::get("/userinfo").bearer(&access_token().claim("iss", issuer).text()));
    ask(ISSUER);
    assert_eq!(deployment.provider.requests(Endpoint::Userinfo), 1);
    assert!(deployment.seen().urls().contains(&"https://tenant.example.com/userinfo".into()));
    for issuer in further {
        assert_eq!(ask(issuer).outcome(), (403, "userinfo_issuer_mismatch".into()), "{issuer}");
    }
    assert_eq!(deployment.provider.requests(Endpoint::Userinfo), 1);
}

#[test]
fn subject_match_is_checked_in_the_configuration() {
    for (value, path) in [
        (json!("sub"), "authorizer.subject_match"),
        (json!({ "access": "sub" }), "authorizer.subject_match.access"),
        (json!({ "id_token": "" }), "authorizer.subject_match.id_token"),
        (json!({ "id_token": 7 }), "authorizer.subject_match.id_token"),
        (json!({ "id_token": "permissions" }), "authorizer.subject_match.id_token"),
        (json!({ "access_token": "aud" }), "authorizer.subject_match.access_token"),
    ] {
        let config = config(&json!({ "subject_match": value }), &json!({})).to_string();
        let problems = compile(&config, &|_| None).err().unwrap();
        assert!(problems.iter().any(|problem| problem.is_error && problem.path == path), "{value}: {problems:?}");
    }
}
