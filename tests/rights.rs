//! Proves what a session may do: only what an access token grants that was verified for this gateway and this user, only as long
//! as that token lasts, and only at the login that the session was made for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]
#![cfg(feature = "gateway")]

mod support;

use edgeward::Check;
use edgeward::error::VerifyError;
use edgeward::gateway::{Compiled, Login, compile};
use edgeward::io::{Incoming, UnixTime};
use edgeward::jwk::KeysError;
use edgeward::jwt::{Claims, Policy, VerifiedToken};
use edgeward::oidc::{self, AccessReading, Provider, RefreshError, UsedStates, UserinfoError};
use edgeward::session::{Cookies, Session};
use serde_json::{Value, json};
use std::sync::Arc;
use support::{AUDIENCE, CLIENT, ISSUER, Mint, NOW, key_a, key_b, key_c};

const HOST: &str = "app.example.com";
const FURTHER_ISSUER: &str = "https://further.example.com/";
const ROLES: &str = "https://example.com/roles";
const UNAVAILABLE: AccessReading =
    AccessReading::KeysUnavailable { error: KeysError::JwksUnreachable, retry_after_s: 1 };

fn at(offset: i64) -> UnixTime {
    UnixTime::from_secs(NOW + offset)
}

fn config(authorizer: &Value, session: &Value) -> Value {
    let mut config = json!({
        "authorizer": {
            "type": "auth0", "domain": "tenant.example.com", "audience": AUDIENCE, "client_id": CLIENT,
            "client_secret": "client secret", "redirect_uri": "https://app.example.com/cb", "clients": CLIENT,
            "roles_claim": ROLES, "jwks": { "keys": [key_a().jwk()] },
            "issuers": [{ "domain": "further.example.com", "jwks": { "keys": [key_b().jwk()] } }]
        },
        "session": { "secrets": "a sealing secret of at least 32 characters" },
        "paths": [
            { "method": "GET", "path": "/login", "integration": { "type": "login" } },
            { "method": "GET", "path": "/cb", "integration": { "type": "callback" } },
            { "method": "ANY", "path": "/private", "integration": { "type": "respond" } }
        ]
    });
    for (section, changes) in [("authorizer", authorizer), ("session", session)] {
        for (name, value) in changes.as_object().into_iter().flatten() {
            config[section][name] = value.clone();
        }
    }
    config
}

/// The gateway and the answers of its provider.
struct Site(Compiled);

impl Site {
    fn new(authorizer: &Value) -> Self {
        let config = config(authorizer, &json!({})).to_string();
        Self(compile(&config, &|_| None).unwrap_or_else(|problems| panic!("{problems:?}")))
    }

    fn login(&self) -> &Login {
        self.0.gateway.login().unwrap()
    }

    fn verify_id(&mut self, policy: &Policy, text: &str) -> Arc<VerifiedToken> {
        match self.0.verifier.as_mut().unwrap().check_as(policy, text, at(0), 0) {
            Check::Verified(token, _) => token,
            other => panic!("{other:?}"),
        }
    }

    /// What verification says; whose token it is, the core must find out by itself.
    fn read(&mut self, access_token: &str, now: UnixTime) -> AccessReading {
        match self.0.verifier.as_mut().unwrap().check(access_token, now, 0) {
            Check::Verified(token, _) => AccessReading::Verified(token),
            Check::Refused(VerifyError::KeyNotFound) => AccessReading::KeyUnknown,
            Check::Refused(_) => AccessReading::Refused,
            other => panic!("{other:?}"),
        }
    }

    /// Logs in; the token endpoint answers with these members over good ones. Returns the session and the nonce of the login.
    fn log_in(&mut self, id_token: Mint, reply: &Value) -> (Session, String) {
        let provider = Provider::auth0(ISSUER);
        let entropy = core::array::from_fn(|index| u8::try_from(index).unwrap());
        let Login { client, sessions, .. } = self.0.gateway.login().unwrap();
        let begun = oidc::begin(client, &provider, &sessions.sealer, "", &Cookies::default(), &entropy, at(0)).unwrap();
        let query = |name: &str| {
            let from = begun.location.split_once(&format!("&{name}=")).unwrap().1;
            from.split('&').next().unwrap().to_string()
        };
        let cookie = begun.cookies[0].split(';').next().unwrap();
        let callback = format!("code=c&state={}", query("state"));
        let used = &mut UsedStates::default();
        let accepted =
            oidc::accept(client, &provider, &sessions.sealer, used, &callback, &Cookies::new(cookie), at(0)).0;
        let id_token = id_token.claim("nonce", query("nonce")).text();
        let pending = accepted.unwrap().finish(Ok(response(&id_token, reply))).unwrap();
        let policy = pending.policy(&self.login().id_policy);
        let id = self.verify_id(&policy, &id_token);
        let access = self.read(pending.access_token(), at(0));
        let (session, _) = pending.into_session(&self.login().client, &id, &access, "s1".into(), at(0)).unwrap();
        (session, query("nonce"))
    }

    /// Refreshes with this answer. `reading` is what verification says of the access token, if not what it really says.
    fn refresh(
        &mut self,
        session: &Session,
        id_token: Option<Mint>,
        reply: &Value,
        reading: Option<AccessReading>,
    ) -> Result<Session, RefreshError> {
        let id_text = id_token.map(|token| token.text());
        let reply = oidc::finish_refresh(Ok(response(id_text.as_deref().unwrap_or_default(), reply))).unwrap();
        let policy = self.login().id_policy.clone();
        let id = id_text.map(|text| self.verify_id(&policy, &text));
        let access = reading.unwrap_or_else(|| self.read(reply.access_token(), at(0)));
        reply.refresh(session.clone(), &self.login().client, id.as_deref(), &access, at(0))
    }
}

fn response(id_token: &str, changes: &Value) -> Incoming {
    let mut body = json!({ "access_token": "opaque", "token_type": "Bearer", "refresh_token": "r" });
    if !id_token.is_empty() {
        body["id_token"] = id_token.into();
    }
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    let content_type = Some("application/json".into());
    Incoming { status: 200, content_type, body: body.to_string().into_bytes(), ..Incoming::default() }
}

/// An ID token that claims rights, none of which it can give.
fn id_token() -> Mint {
    let id = Mint::id(key_a()).without("at_hash").without("nonce");
    let id = id.claim("scope", "from:id").claim("scp", "from:id").claim("permissions", json!(["from:id"]));
    id.claim("client_id", "from:id")
}

fn access_token() -> Mint {
    Mint::access(key_a()).claim("permissions", json!(["p"])).claim(ROLES, json!(["editor"])).claim("org_id", "org_1")
}

fn scopes(claims: &Claims) -> Vec<&str> {
    claims.scopes().collect()
}

/// Asserts that the claims have no right of any kind.
fn assert_no_rights(claims: &Claims, what: &str) {
    for name in ["aud", "scope", "scp", "permissions", "client_id", "azp", "org_id", ROLES] {
        assert!(claims.get(name).is_none(), "{what}: {name} in {}", claims.as_json());
    }
}

/// What becomes of the scope that the token endpoint states.
#[derive(Clone, Copy, PartialEq)]
enum Counts {
    /// It describes the token.
    Stated,
    /// The token has scopes of its own.
    Own(&'static [&'static str]),
    /// The token grants nothing.
    Nothing,
}

#[test]
fn rights_come_from_a_token_that_was_verified_for_this_gateway_and_user_and_from_nothing_else() {
    use Counts::{Nothing, Own, Stated};
    let cases: [(&str, String, Counts); 16] = [
        ("scope", access_token().text(), Own(&["read:things", "write:things"])),
        ("an empty scope", access_token().claim("scope", "").text(), Own(&[])),
        ("scp", access_token().without("scope").claim("scp", json!(["read:things"])).text(), Own(&[])),
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
    ];
    let stated = [None, Some(""), Some("stated:scope other")];
    for (what, access, counts) in &cases {
        for scope in stated {
            let mut site = Site::new(&json!({}));
            let reply = match scope {
                Some(scope) => json!({ "access_token": access, "scope": scope }),
                None => json!({ "access_token": access }),
            };
            let (at_login, _) = site.log_in(id_token(), &reply);
            let former = json!({ "access_token": access_token().claim("scope", "former:scope").text() });
            let (before, _) = site.log_in(id_token(), &former);
            assert_eq!(scopes(before.claims_at(at(0))), ["former:scope"]);
            let refreshed = [None, Some(id_token())].map(|id| site.refresh(&before, id, &reply, None).unwrap());
            for (session, former) in
                [(&at_login, None), (&refreshed[0], Some("former:scope")), (&refreshed[1], Some("former:scope"))]
            {
                let what = format!("{what}, {scope:?} stated, {former:?} before");
                let claims = session.claims_at(at(0));
                let expected = match counts {
                    Own(own) => own.to_vec(),
                    // RFC 6749 §6: stated as nothing, it is what it was.
                    Stated => scope.or(former).unwrap_or_default().split_whitespace().collect(),
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
                assert!(!session.is_unread(), "{what}");
            }
        }
    }
}

#[test]
fn roles_of_a_verified_id_token_are_the_users_until_the_access_token_says_otherwise() {
    let mut site = Site::new(&json!({}));
    let with_roles = || id_token().claim(ROLES, json!(["viewer"]));
    for (access, expected) in [
        ("opaque".to_string(), "viewer"),
        (access_token().without(ROLES).text(), "viewer"),
        (access_token().text(), "editor"),
        (access_token().claim("sub", "user-2").text(), "viewer"),
    ] {
        let (session, _) = site.log_in(with_roles(), &json!({ "access_token": access }));
        assert_eq!(session.claims_at(at(0)).get(ROLES).unwrap().to_json(), json!([expected]).to_string());
    }
}

#[test]
fn subject_match_says_which_claims_name_the_user() {
    let mut site = Site::new(&json!({ "subject_match": { "access_token": "uid", "id_token": "oid" } }));
    let grants = |site: &mut Site, id: Mint, access: Mint| {
        let (session, _) = site.log_in(id, &json!({ "access_token": access.text() }));
        let again = site.refresh(&session, None, &json!({ "access_token": access.text() }), None).unwrap();
        let both = [&session, &again].map(|session| !scopes(session.claims_at(at(0))).is_empty());
        assert_eq!(both[0], both[1], "a refresh without an ID token remembers who it is");
        both[0]
    };
    let id = || id_token().claim("oid", "o1");
    let access = || access_token().claim("sub", "pairwise").claim("uid", "o1");
    assert!(grants(&mut site, id(), access()));
    assert!(!grants(&mut site, id(), access().claim("uid", "o2")));
    assert!(!grants(&mut site, id(), access().without("uid")));
    assert!(!grants(&mut site, id_token(), access()));
    assert!(!grants(&mut site, id_token(), access_token()), "the same sub is not asked for");
    assert!(!grants(&mut site, id().claim("oid", ""), access().claim("uid", "")), "nothing names nobody");
    assert!(!grants(&mut site, id().claim("oid", 7), access().claim("uid", 7)));
    let (session, _) = site.log_in(id(), &json!({}));
    let other = site_verified(&access().claim("uid", "o2"));
    let shown = site.login().client.check_subject(session.claims(), &other);
    let shown = shown.unwrap_err().to_string();
    assert!(shown.contains("\"uid\"") && shown.contains("\"oid\"") && !shown.contains("o2"), "{shown}");
}

fn site_verified(token: &Mint) -> VerifiedToken {
    support::verify(&support::access_policy(), &key_a().set(), &token.text()).unwrap()
}

#[test]
fn rights_end_with_their_token_and_expires_in_only_shortens() {
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
    let mut site = Site::new(&json!({}));
    for (index, token) in tokens.iter().enumerate() {
        for (expires_in, stated) in &cases {
            let reply = json!({ "access_token": token, "expires_in": expires_in });
            let (session, _) = site.log_in(id_token(), &reply);
            let refreshed = site.refresh(&session, None, &reply, None).unwrap();
            let expected = match index {
                0..=2 => stated.unwrap_or(3600).min(300),
                _ => stated.unwrap_or(3600),
            };
            for session in [session, refreshed] {
                assert_eq!(session.tokens().access_expires_s, NOW + expected, "{index} {expires_in}");
                let granted = |offset| !scopes(session.claims_at(at(offset))).is_empty();
                assert_eq!((granted(0), granted(expected - 1)), (index < 2, index < 2), "{index} {expires_in}");
                assert!(!granted(expected), "{index} {expires_in}");
                assert!(session.has_outlived_its_token(at(expected)), "{index} {expires_in}");
            }
        }
    }
    let mut site = Site::new(&json!({ "max_token_age_s": 100 }));
    let (session, _) = site.log_in(id_token(), &json!({ "access_token": access_token().text() }));
    assert_eq!(session.tokens().access_expires_s, NOW + 40, "issued a minute ago, and good for 100 s");
}

#[test]
fn a_moment_without_keys_changes_nothing_that_was_granted() {
    let mut site = Site::new(&json!({}));
    let first = access_token().claim("exp", NOW + 100).text();
    let (before, _) = site.log_in(id_token(), &json!({ "access_token": first }));
    let next = access_token().without("scope").claim("permissions", json!(["q"])).text();
    for scope in [None, Some("next:scope")] {
        let reply = match scope {
            Some(scope) => json!({ "access_token": next, "scope": scope }),
            None => json!({ "access_token": next }),
        };
        let unread = site.refresh(&before, None, &reply, Some(UNAVAILABLE)).unwrap();
        assert!(unread.is_unread());
        assert_eq!(unread.tokens().access, next);
        assert_eq!(scopes(unread.claims_at(at(99))), ["read:things", "write:things"]);
        assert_no_rights(unread.claims_at(at(100)), "until the former token would have expired");

        // It goes to another isolate or into the cookie, and back.
        let login = site.login();
        let packed = login.sessions.pack(&unread, HOST, &[7; 24]).unwrap();
        let unread = login.sessions.unpack(&packed, HOST).unwrap();
        let client = &login.client;
        assert!(oidc::read_again(&unread, client, &UNAVAILABLE).is_none(), "nothing new");

        let unknown = oidc::read_again(&unread, client, &AccessReading::KeyUnknown).unwrap();
        assert!(unknown.is_unread());
        assert_no_rights(unknown.claims_at(at(0)), "there are keys, and none is its");
        assert!(oidc::read_again(&unknown, client, &AccessReading::KeyUnknown).is_none());

        let refused = oidc::read_again(&unread, client, &AccessReading::Refused).unwrap();
        assert!(!refused.is_unread());
        assert_no_rights(refused.claims_at(at(0)), "refused");

        let other = AccessReading::Verified(Arc::new(site_verified(&access_token().claim("sub", "user-2"))));
        assert_no_rights(oidc::read_again(&unread, client, &other).unwrap().claims_at(at(0)), "another user's");

        let reading = site.read(&next, at(0));
        let client = &site.login().client;
        let read = oidc::read_again(&unread, client, &reading).unwrap();
        assert!(!read.is_unread());
        assert!(read.claims_at(at(0)).permissions().unwrap().eq(["q"]));
        assert_eq!(scopes(read.claims_at(at(0))), scope.map_or(vec!["read:things", "write:things"], |one| vec![one]));
        assert_eq!(read.tokens().access_expires_s, NOW + 600, "until the new token expires");
        let read = oidc::read_again(&unknown, client, &reading).unwrap();
        assert_eq!(scopes(read.claims_at(at(0))), scope.map_or(vec!["read:things", "write:things"], |one| vec![one]));
    }
    // A key that nobody has published grants nothing meanwhile.
    let unpublished = access_token().header("kid", "new").text();
    let session = site.refresh(&before, None, &json!({ "access_token": unpublished }), None).unwrap();
    assert!(session.is_unread());
    assert_no_rights(session.claims_at(at(0)), "a key that is not known");
    // Nor does a key come for the token of a stranger: it is not read again with every request.
    let mut alone = Site::new(&json!({ "issuers": [] }));
    let foreign = access_token().claim("iss", FURTHER_ISSUER).header("kid", "new").text();
    let (session, _) = alone.log_in(id_token(), &json!({ "access_token": foreign, "scope": "stated" }));
    assert!(!session.is_unread());
    assert_no_rights(session.claims_at(at(0)), "a stranger's");
}

#[test]
fn a_refreshed_id_token_goes_on_with_the_login_or_ends_it() {
    let mut site = Site::new(&json!({}));
    let (session, nonce) = site.log_in(id_token(), &json!({}));
    let goes_on = |site: &mut Site, session: &Session, id: Mint| {
        site.refresh(session, Some(id), &json!({}), Some(AccessReading::Refused))
    };
    let good = [id_token(), id_token().claim("nonce", nonce.as_str()), id_token().claim("auth_time", NOW)];
    let good = good.map(|id| goes_on(&mut site, &session, id).unwrap());
    // The nonce is remembered although the ID token in between had none.
    for session in [&session, &good[0], &good[1]] {
        for (claim, id) in [
            ("sub", id_token().claim("sub", "user-2")),
            ("nonce", id_token().claim("nonce", "other")),
            ("nonce", id_token().claim("nonce", "")),
            ("azp", id_token().claim("azp", CLIENT)),
        ] {
            assert_eq!(goes_on(&mut site, session, id).err(), Some(RefreshError::NotThisLogin { claim }));
        }
    }
    let with_azp = site.log_in(id_token().claim("azp", CLIENT), &json!({})).0;
    assert!(goes_on(&mut site, &with_azp, id_token().claim("azp", CLIENT)).is_ok());
    assert_eq!(goes_on(&mut site, &with_azp, id_token()).err(), Some(RefreshError::NotThisLogin { claim: "azp" }));

    // An issuer and an audience that the policy would let pass.
    let trusting =
        Policy::id_token(FURTHER_ISSUER, CLIENT, &edgeward::jwt::Algorithm::ALL).unwrap().trust_audience("b");
    let key = edgeward::jwk::KeyCache::fixed(FURTHER_ISSUER, key_a().set());
    let mut verifier = edgeward::Verifier::new(trusting.clone(), key);
    let several = id_token().claim("aud", json!([CLIENT, "b"])).claim("azp", CLIENT).claim("iss", FURTHER_ISSUER);
    let Check::Verified(other, _) = verifier.check_as(&trusting, &several.text(), at(0), 0) else { panic!("is good") };
    let reply = oidc::finish_refresh(Ok(response("x", &json!({})))).unwrap();
    let refused = reply.refresh(with_azp, &site.login().client, Some(&other), &AccessReading::Refused, at(0));
    assert_eq!(refused.err(), Some(RefreshError::NotThisLogin { claim: "iss" }));

    // Without keys to verify it with, it tells nobody anything.
    let reply = oidc::finish_refresh(Ok(response("unverified", &json!({})))).unwrap();
    let kept = reply.refresh(session.clone(), &site.login().client, None, &UNAVAILABLE, at(0)).unwrap();
    assert_eq!(kept.tokens().id, session.tokens().id);
}

#[test]
fn who_left_the_organizations_that_may_log_in_does_not_stay() {
    let mut site = Site::new(&json!({ "organizations": ["org_1", "org_2"] }));
    let member = || id_token().claim("org_id", "org_1");
    let (session, _) = site.log_in(member(), &json!({}));
    let refresh =
        |site: &mut Site, id: Mint| site.refresh(&session, Some(id), &json!({}), Some(AccessReading::Refused));
    assert!(refresh(&mut site, member()).is_ok());
    assert!(refresh(&mut site, id_token().claim("org_id", "org_2")).is_ok());
    for id in [id_token(), id_token().claim("org_id", "org_3")] {
        assert_eq!(refresh(&mut site, id).err(), Some(RefreshError::NotThisLogin { claim: "org_id" }));
    }
    for (organizations, is_admitted) in [(json!(["org_1"]), true), (json!(["org_2"]), false)] {
        let client = Site::new(&json!({ "organizations": organizations }));
        assert_eq!(client.login().client.admits(session.claims()), is_admitted);
    }
}

#[test]
fn a_session_opens_at_the_very_login_it_was_made_for() {
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
        (json!({ "redirect_uri": "https://other.example.com/cb" }), none.clone()),
        (json!({}), json!({ "secrets": "another sealing secret of at least 32 characters" })),
        (json!({}), secure.clone()),
        (json!({ "client_id": "client-2" }), secure),
    ];
    // What may change without anybody's being logged out.
    let neutral = [
        json!({}),
        json!({ "scope": "openid more" }),
        json!({ "issuers": [] }),
        json!({ "clock_skew_s": 0, "clients": [] }),
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
        let config = config(&authorizer, session).to_string();
        compile(&config, &|_| None).unwrap_or_else(|problems| panic!("{problems:?}")).gateway
    };
    let claims = || site_verified(&Mint::access(key_a())).claims().clone();
    let mut opened = 0;
    for (index, (authorizer, section)) in gateways.iter().enumerate() {
        let gateway = compiled(authorizer, &json!({}), section);
        let Login { client, sessions, .. } = gateway.login().unwrap();
        let session = Session::new("s".into(), claims(), edgeward::session::Tokens::default(), at(0));
        let set = sessions.keep(&session, &Cookies::default(), client.host(), &[7; 24], at(0)).unwrap();
        let value = set[0].split(';').next().unwrap().split_once('=').unwrap().1.to_string();
        let packed = sessions.pack(&session, client.host(), &[7; 24]).unwrap();
        let provider = Provider::auth0(ISSUER);
        let entropy = core::array::from_fn(|index| u8::try_from(index).unwrap());
        let begun = oidc::begin(client, &provider, &sessions.sealer, "", &Cookies::default(), &entropy, at(0)).unwrap();
        let login_cookie = begun.cookies[0].split(';').next().unwrap();
        let state = begun.location.split_once("&state=").unwrap().1.split('&').next().unwrap();
        for (other, (authorizer, section)) in gateways.iter().enumerate() {
            for more in &neutral {
                let gateway = compiled(authorizer, more, section);
                let Login { client, sessions, .. } = gateway.login().unwrap();
                let cookie = format!("{}={value}", sessions.cookie.name);
                let opens = sessions.open(&Cookies::new(&cookie), client.host(), at(0)).is_some();
                assert_eq!(opens, index == other, "{authorizer} {section} {more}");
                let unpacks = sessions.unpack(&packed, client.host()).is_some();
                assert_eq!(unpacks, opens, "a packed session: {authorizer} {section} {more}");
                let query = format!("code=c&state={state}");
                let used = &mut UsedStates::default();
                let cookies = Cookies::new(login_cookie);
                let goes_on =
                    oidc::accept(client, &provider, &sessions.sealer, used, &query, &cookies, at(0)).0.is_ok();
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

#[test]
fn a_token_is_shown_to_its_own_issuer_only() {
    let provider = Provider::auth0(ISSUER);
    let claims = |issuer: &str| {
        let policy = Policy::access_token(issuer, [AUDIENCE], &edgeward::jwt::Algorithm::ALL).unwrap();
        support::verify(&policy, &key_a().set(), &access_token().claim("iss", issuer).text()).unwrap()
    };
    let sent = oidc::begin_userinfo(&provider, claims(ISSUER).claims(), "token").unwrap();
    assert_eq!(sent.url, "https://tenant.example.com/userinfo");
    for issuer in [FURTHER_ISSUER, "https://tenant.example.com", "https://TENANT.example.com/"] {
        let refused = oidc::begin_userinfo(&provider, claims(issuer).claims(), "token");
        assert_eq!(refused.err(), Some(UserinfoError::IssuerMismatch), "{issuer}");
    }
}

#[test]
fn subject_match_is_checked_when_it_is_configured() {
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
