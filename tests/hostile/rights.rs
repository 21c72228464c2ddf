//! Requirements beyond validity: scopes, permissions, roles, organizations, clients, age; and an ID token's own checks.

use edgeward::base64url;
use edgeward::error::{AudienceHint, ClaimName, Forbidden, VerifyError};
use edgeward::io::UnixTime;
use edgeward::jwt::{Access, Algorithm, Any, ClaimPath, ClaimRule, Policy, Requirements, Roles};
use serde_json::{Value, json};
use sha2::Digest as _;
use support::{
    AUDIENCE, CLIENT, ISSUER, Mint, NONCE, NOW, access_policy, id_policy, key_a, mismatch, verify, verify_at,
};

use crate::refusal;

const ROLES: &str = "https://app.example.com/roles";

fn requiring(change: impl FnOnce(&mut Requirements)) -> Policy<Access> {
    let mut requirements = Requirements::default();
    change(&mut requirements);
    access_policy().require(requirements)
}

fn verdict<K>(policy: &Policy<K>, mint: &Mint) -> Result<(), VerifyError> {
    let text = mint.text();
    match verify(policy, &key_a().set(), &text) {
        Ok(_) => Ok(()),
        Err(_) => Err(refusal(policy, &key_a().set(), &text)),
    }
}

fn forbidden(what: Forbidden) -> Result<(), VerifyError> {
    Err(VerifyError::Forbidden(what))
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).into()).collect()
}

#[test]
fn scopes_are_whole_words_and_all_required() {
    let policy = requiring(|requirements| requirements.scopes = strings(&["read:things", "write:things"]));
    let with = |scope: &str| verdict(&policy, &Mint::access(key_a()).claim("scope", scope));
    for scope in [
        "read:things write:things",
        "write:things read:things",
        "x read:things  write:things ",
        " read:things write:things",
    ] {
        assert_eq!(with(scope), Ok(()), "{scope:?}");
    }
    for scope in [
        "",
        " ",
        "read:things",
        "read:things write:thing",
        "read:things write:thingsx",
        "read:thingswrite:things",
        "READ:THINGS WRITE:THINGS",
        "read:things,write:things",
        "read:things\twrite:things",
        "read:things\u{a0}write:things",
        "read:* write:*",
        "xread:things xwrite:things",
        "read:things\nwrite:things",
    ] {
        assert_eq!(with(scope), forbidden(Forbidden::Scope), "{scope:?}");
    }
    assert_eq!(verdict(&policy, &Mint::access(key_a()).without("scope")), forbidden(Forbidden::Scope));
}

#[test]
fn permissions_are_compared_whole_and_a_missing_claim_is_reported() {
    let policy = requiring(|requirements| requirements.permissions = strings(&["read:things", "write:things"]));
    let with = |permissions: Value| verdict(&policy, &Mint::access(key_a()).claim("permissions", permissions));
    assert_eq!(with(json!(["read:things", "x", "write:things"])), Ok(()));
    for permissions in
        [json!([]), json!(["read:things"]), json!(["read:things write:things"]), json!(["read:things", "write:thing"])]
    {
        assert_eq!(with(permissions), forbidden(Forbidden::Permission { claim_missing: false }));
    }
    assert_eq!(verdict(&policy, &Mint::access(key_a())), forbidden(Forbidden::Permission { claim_missing: true }));
    let scope_is_no_permission =
        Mint::access(key_a()).claim("permissions", json!([])).claim("scope", "read:things write:things");
    assert_eq!(verdict(&policy, &scope_is_no_permission), forbidden(Forbidden::Permission { claim_missing: false }));
}

#[test]
fn roles_are_read_from_the_configured_claim_alone() {
    let roles = |all: &[&str], any: &[&str]| Roles { claim: ROLES.into(), all: strings(all), any: strings(any) };
    let policy = requiring(|requirements| requirements.roles = Some(roles(&["editor"], &["eu", "us"])));
    let with = |value: Value| verdict(&policy, &Mint::access(key_a()).claim(ROLES, value));
    assert_eq!(with(json!(["editor", "us"])), Ok(()));
    for value in [
        json!(["editor"]),
        json!(["us"]),
        json!([]),
        json!(["EDITOR", "us"]),
        json!(["editors", "us"]),
        json!("editor us"),
    ] {
        assert_eq!(with(value), forbidden(Forbidden::Role { claim_missing: false }));
    }
    // A claim with a configured name has no registered type: what cannot be read holds no role.
    for value in [
        json!(true),
        json!({"editor": true, "us": null}),
        json!({"editor": false, "us": true}),
        json!({"roles": ["editor", "us"]}),
        json!(["editor", "us", 1]),
        json!([["editor", "us"]]),
    ] {
        assert_eq!(with(value), forbidden(Forbidden::Role { claim_missing: false }));
    }
    let elsewhere =
        Mint::access(key_a()).claim("roles", json!(["editor", "us"])).claim("x", json!({ROLES: ["editor", "us"]}));
    assert_eq!(verdict(&policy, &elsewhere), forbidden(Forbidden::Role { claim_missing: true }));

    assert_eq!(with(json!(null)), forbidden(Forbidden::Role { claim_missing: true }));
    assert_eq!(with(json!({"editor": {"org": "1"}, "us": true})), Ok(()), "the names of an object count");

    let one = requiring(|requirements| requirements.roles = Some(roles(&["editor"], &[])));
    assert_eq!(verdict(&one, &Mint::access(key_a()).claim(ROLES, "editor")), Ok(()));
}

#[test]
fn scopes_are_in_scope_else_in_scp_as_words_or_a_list() {
    let policy = requiring(|requirements| requirements.scopes = strings(&["read:things"]));
    let with = |name: &str, value: Value| verdict(&policy, &Mint::access(key_a()).without("scope").claim(name, value));
    for name in ["scope", "scp"] {
        for value in [json!("x read:things"), json!(["x", "read:things"])] {
            assert_eq!(with(name, value.clone()), Ok(()), "{name}: {value}");
        }
        for value in [
            json!(["read:things", 1]),
            json!(["read:things", null]),
            json!([["read:things"]]),
            json!(["read:things write:things"]),
            json!(["read:things2"]),
            json!({"read:things": true}),
            json!([]),
            json!(1),
            json!(null),
        ] {
            assert_eq!(with(name, value.clone()), forbidden(Forbidden::Scope), "{name}: {value}");
        }
    }
    for scope in [json!(""), json!("x"), json!([]), json!(1), json!(["read:things", 1])] {
        let mint = Mint::access(key_a()).claim("scope", scope.clone()).claim("scp", "read:things");
        assert_eq!(verdict(&policy, &mint), forbidden(Forbidden::Scope), "scp does not count beside {scope}");
    }
    let null = Mint::access(key_a()).claim("scope", json!(null)).claim("scp", "read:things");
    assert_eq!(verdict(&policy, &null), Ok(()));
}

#[test]
fn one_of_any_is_enough_and_all_are_required_beside_it() {
    let policy = requiring(|requirements| {
        requirements.scopes = strings(&["read:things"]);
        requirements.any_scope = strings(&["a", "b"]);
    });
    let with = |scope: &str| verdict(&policy, &Mint::access(key_a()).claim("scope", scope));
    assert_eq!(with("b read:things"), Ok(()));
    for scope in ["read:things", "a b", "c read:things", "ab read:things"] {
        assert_eq!(with(scope), forbidden(Forbidden::Scope), "{scope}");
    }
    let policy = requiring(|requirements| requirements.any_permission = strings(&["a", "b"]));
    let with = |value: Value| verdict(&policy, &Mint::access(key_a()).claim("permissions", value));
    assert_eq!(with(json!(["c", "b"])), Ok(()));
    for value in [json!([]), json!(["c"]), json!("a"), json!(["a", 1]), json!({"a": true})] {
        let expected = forbidden(Forbidden::Permission { claim_missing: false });
        assert_eq!(with(value.clone()), expected, "{value}");
    }
    assert_eq!(with(json!(null)), forbidden(Forbidden::Permission { claim_missing: true }));
}

#[test]
fn a_path_leads_into_claims_and_a_name_with_dots_is_no_path() {
    let nested = Mint::access(key_a()).claim("realm_access", json!({"roles": ["editor"]}));
    let dotted = Mint::access(key_a()).claim("realm_access.roles", json!(["editor"]));
    let requiring_in = |claim: ClaimPath| {
        requiring(|requirements| {
            requirements.roles = Some(Roles { claim, all: strings(&["editor"]), any: Vec::new() });
        })
    };
    let (path, name) = (ClaimPath::from_iter(["realm_access", "roles"]), ClaimPath::from("realm_access.roles"));
    let missing = forbidden(Forbidden::Role { claim_missing: true });
    assert_eq!(verdict(&requiring_in(path.clone()), &nested), Ok(()));
    assert_eq!(verdict(&requiring_in(path.clone()), &dotted), missing);
    assert_eq!(verdict(&requiring_in(name.clone()), &nested), missing);
    assert_eq!(verdict(&requiring_in(name), &dotted), Ok(()));
    for value in [json!({"roles": null}), json!({}), json!([{"roles": ["editor"]}]), json!("other"), json!(null)] {
        let mint = Mint::access(key_a()).claim("realm_access", value.clone());
        assert_eq!(verdict(&requiring_in(path.clone()), &mint), missing, "{value}");
    }
    let empty = ClaimPath::from_iter([""; 0]);
    assert_eq!(verdict(&requiring_in(empty), &nested), missing, "an empty path finds nothing");
}

#[test]
fn a_rule_may_require_a_boolean() {
    for expected in [true, false] {
        let mut rule = ClaimRule::new("email_verified");
        rule.equals = Some(expected.into());
        let policy = requiring(|requirements| requirements.claims.push(rule.clone()));
        rule.prefix = Some("t".into());
        let with_prefix = requiring(|requirements| requirements.claims.push(rule));
        let with =
            |policy, value: &Value| verdict(policy, &Mint::access(key_a()).claim("email_verified", value.clone()));
        assert_eq!(with(&policy, &json!(expected)), Ok(()));
        let refused = forbidden(Forbidden::Claim(ClaimName::Configured("email_verified".into())));
        for value in [
            json!(!expected),
            json!(expected.to_string()),
            json!([expected]),
            json!(u8::from(expected)),
            json!(null),
            json!({}),
            json!(""),
        ] {
            assert_eq!(with(&policy, &value), refused, "{value}");
        }
        assert_eq!(with(&with_prefix, &json!(expected)), refused, "a boolean begins with nothing");
    }
}

#[test]
fn rules_on_claims_are_met_exactly() {
    type Condition = fn(&mut ClaimRule);
    let cases: [(Condition, &[Value], &[Value]); 5] = [
        (|rule| rule.equals = Some("a".into()), &[json!("a")], &[json!(["a"]), json!("A"), json!("ab"), json!("")]),
        (
            |rule| rule.any = strings(&["a", "b"]),
            &[json!("b"), json!(["c", "b"])],
            &[json!("c"), json!([]), json!(["a", 1]), json!("a b"), json!(["ab"])],
        ),
        (
            |rule| rule.all = strings(&["a", "b"]),
            &[json!(["b", "c", "a"])],
            &[json!("a"), json!(["a"]), json!("a b"), json!(["a", "b", null])],
        ),
        (
            |rule| rule.not = strings(&["a", "b"]),
            &[json!("c"), json!(["c"]), json!([])],
            &[json!("a"), json!(["c", "b"]), json!(["c", 1])],
        ),
        (
            |rule| rule.prefix = Some("repo:org/".into()),
            &[json!("repo:org/app"), json!("repo:org/")],
            &[json!("repo:org"), json!("x repo:org/app"), json!(["repo:org/app"]), json!("REPO:org/app")],
        ),
    ];
    for (condition, met, not_met) in cases {
        let mut rule = ClaimRule::new("custom");
        condition(&mut rule);
        let policy = requiring(|requirements| requirements.claims.push(rule));
        let with = |value: &Value| verdict(&policy, &Mint::access(key_a()).claim("custom", value.clone()));
        for value in met {
            assert_eq!(with(value), Ok(()), "{value}");
        }
        let others = [json!(null), json!(true), json!(1), json!({"a": true}), json!({"repo:org/": "a"})];
        let refused = forbidden(Forbidden::Claim(ClaimName::Configured("custom".into())));
        for value in not_met.iter().chain(&others) {
            assert_eq!(with(value), refused, "{value}");
        }
        assert_eq!(verdict(&policy, &Mint::access(key_a())), refused, "absent");
    }
}

#[test]
fn an_organization_is_matched_by_id_or_by_name() {
    let policy = requiring(|requirements| requirements.organizations = strings(&["org_1", "acme"]));
    let org = |name: &str, value: &str| verdict(&policy, &Mint::access(key_a()).claim(name, value));
    assert_eq!(org("org_id", "org_1"), Ok(()));
    assert_eq!(org("org_name", "acme"), Ok(()));
    assert_eq!(org("org_name", "Acme"), Ok(()), "Auth0 treats names as lower case");
    for (name, value) in [
        ("org_id", "org_2"),
        ("org_id", "ORG_1"),
        ("org_id", "org_11"),
        ("org_id", "acme"),
        ("org_name", "org_1"),
        ("org_name", "acme2"),
    ] {
        assert_eq!(org(name, value), forbidden(Forbidden::Organization), "{name} {value}");
    }
    assert_eq!(verdict(&policy, &Mint::access(key_a())), forbidden(Forbidden::Organization));
}

#[test]
fn a_required_audience_must_be_present_besides_the_accepted_one() {
    let policy = requiring(|requirements| requirements.audience = strings(&["https://admin.example.com"]));
    let both = json!([AUDIENCE, "https://admin.example.com"]);
    assert_eq!(verdict(&policy, &Mint::access(key_a()).claim("aud", both)), Ok(()));
    assert_eq!(verdict(&policy, &Mint::access(key_a())), forbidden(Forbidden::Audience));
}

#[test]
fn only_listed_clients_pass() {
    let policy = access_policy().clients([CLIENT, "client-2"]);
    let not_allowed = |found: &[&str]| Err(VerifyError::ClientNotAllowed(mismatch(&[CLIENT, "client-2"], found)));
    let with = |name: &str, value: &str| verdict(&policy, &Mint::access(key_a()).without("azp").claim(name, value));
    assert_eq!(with("azp", "client-2"), Ok(()));
    assert_eq!(with("client_id", CLIENT), Ok(()));
    for client in ["client-3", "client-", "client-11", "CLIENT-1", ""] {
        assert_eq!(with("azp", client), not_allowed(&[client]));
        assert_eq!(with("client_id", client), not_allowed(&[client]));
    }
    assert_eq!(verdict(&policy, &Mint::access(key_a()).without("azp")), not_allowed(&[]));
    let client_id_counts = Mint::access(key_a()).claim("azp", CLIENT).claim("client_id", "client-3");
    assert_eq!(verdict(&policy, &client_id_counts), not_allowed(&["client-3"]));
}

#[test]
fn a_token_may_not_be_older_than_the_maximum_age() {
    let policy = access_policy().max_age_s(300).clock_skew_s(5).unwrap();
    let iat = NOW - 60;
    let text = Mint::access(key_a()).text();
    let at = |now: i64| verify_at(&policy, &key_a().set(), &text, UnixTime::from_secs(now)).map(drop);
    assert_eq!(at(iat + 304), Ok(()));
    assert_eq!(at(iat + 305), Err(VerifyError::TokenTooOld { iat, max_age_s: 300 }));
    let missing = VerifyError::ClaimMissing { claim: ClaimName::Registered("iat") };
    assert_eq!(verdict(&policy, &Mint::access(key_a()).without("iat")), Err(missing));
}

#[test]
fn required_claims_are_present_and_equal() {
    let policy = access_policy().require_claim("tenant").require_claim_value("tier", "gold");
    let configured = |name: &str| ClaimName::Configured(name.into());
    assert_eq!(verdict(&policy, &Mint::access(key_a()).claim("tenant", 1).claim("tier", "gold")), Ok(()));
    let missing = VerifyError::ClaimMissing { claim: configured("tenant") };
    assert_eq!(verdict(&policy, &Mint::access(key_a()).claim("tier", "gold")), Err(missing));
    let null = Mint::access(key_a()).claim("tenant", 1).claim("tier", json!(null));
    assert_eq!(verdict(&policy, &null), Err(VerifyError::ClaimMissing { claim: configured("tier") }));
    for tier in [json!("silver"), json!("GOLD"), json!(["gold"]), json!(true)] {
        let mismatch = mismatch(&["gold"], tier.as_str().as_slice());
        let refused = Err(VerifyError::ClaimMismatch { claim: configured("tier"), mismatch });
        assert_eq!(verdict(&policy, &Mint::access(key_a()).claim("tenant", 1).claim("tier", tier)), refused);
    }
}

#[test]
fn the_nonce_must_be_the_one_that_was_sent() {
    for nonce in ["", "nonce-2", "nonce-", "nonce-11", "NONCE-1", "nonce-1 "] {
        assert_eq!(
            verdict(&id_policy(), &Mint::id(key_a()).claim("nonce", nonce)),
            Err(VerifyError::NonceMismatch),
            "{nonce}"
        );
    }
    let missing = VerifyError::ClaimMissing { claim: ClaimName::Registered("nonce") };
    assert_eq!(verdict(&id_policy(), &Mint::id(key_a()).without("nonce")), Err(missing));
    assert_eq!(verdict(&id_policy(), &Mint::id(key_a()).claim("nonce", NONCE)), Ok(()));
}

#[test]
fn a_policy_that_outlives_a_login_leaves_nonce_and_at_hash_to_its_caller() {
    let policy = Policy::id_token(ISSUER, CLIENT, &Algorithm::ALL).unwrap();
    let digest = support::digest(Algorithm::Rs256.hash(), b"the access token");
    let with_hash = Mint::id(key_a()).claim("at_hash", base64url::encode(&digest[..16])).text();
    let token = verify(&policy, &key_a().set(), &with_hash).unwrap();
    assert_eq!(token.check_nonce(NONCE), Ok(()));
    assert_eq!(token.check_nonce("nonce-2"), Err(VerifyError::NonceMismatch));
    assert_eq!(token.check_at_hash("the access token"), Ok(()));
    assert_eq!(token.check_at_hash("another access token"), Err(VerifyError::AtHashMismatch));

    let token = verify(&Policy::<Any>::from(policy.clone()), &key_a().set(), &with_hash).unwrap();
    assert_eq!(base64url::encode(token.header().as_json().as_bytes()), with_hash.split('.').next().unwrap());
    assert_eq!(token.check_nonce(NONCE), Ok(()));
    assert_eq!(token.check_nonce("nonce-2"), Err(VerifyError::NonceMismatch));
    assert_eq!(token.check_at_hash("the access token"), Ok(()));
    assert_eq!(token.check_at_hash("another access token"), Err(VerifyError::AtHashMismatch));

    let bare = verify(&policy, &key_a().set(), &Mint::id(key_a()).without("nonce").text()).unwrap();
    let missing = VerifyError::ClaimMissing { claim: ClaimName::Registered("nonce") };
    assert_eq!(bare.check_nonce(NONCE), Err(missing));
    assert_eq!(bare.check_at_hash("any"), Ok(()), "in the code flow at_hash is optional");
}

#[test]
fn an_id_token_is_for_the_client_and_for_no_untrusted_audience() {
    let two = |mint: Mint| mint.claim("aud", json!([CLIENT, "client-2"]));
    let other = |accepted: &[&str], found: &[&str], hint| {
        Err(VerifyError::AudienceMismatch { mismatch: mismatch(accepted, found), hint })
    };
    let both = [CLIENT, "client-2"];
    assert_eq!(
        verdict(&id_policy(), &two(Mint::id(key_a())).claim("azp", CLIENT)),
        other(&[CLIENT], &both, AudienceHint::Untrusted)
    );
    let trusting = id_policy().trust_audience("client-2");
    assert_eq!(verdict(&trusting, &two(Mint::id(key_a())).claim("azp", CLIENT)), Ok(()));
    let missing = VerifyError::ClaimMissing { claim: ClaimName::Registered("azp") };
    assert_eq!(verdict(&trusting, &two(Mint::id(key_a()))), Err(missing));
    assert_eq!(
        verdict(&trusting, &two(Mint::id(key_a())).claim("azp", "client-2")),
        Err(VerifyError::AzpMismatch(mismatch(&[CLIENT], &["client-2"])))
    );
    assert_eq!(
        verdict(&trusting, &Mint::id(key_a()).claim("aud", "client-2")),
        other(&both, &["client-2"], AudienceHint::None)
    );
    assert_eq!(
        verdict(&id_policy(), &Mint::id(key_a()).claim("azp", "client-2")),
        Err(VerifyError::AzpMismatch(mismatch(&[CLIENT], &["client-2"])))
    );
    assert_eq!(verdict(&id_policy(), &Mint::id(key_a()).claim("aud", json!([CLIENT]))), Ok(()));
}

#[test]
fn an_id_token_names_its_subject_and_when_it_was_issued() {
    for name in ["sub", "iat", "exp"] {
        let missing = VerifyError::ClaimMissing { claim: ClaimName::Registered(name) };
        assert_eq!(verdict(&id_policy(), &Mint::id(key_a()).without(name)), Err(missing));
    }
    let malformed = VerifyError::ClaimMalformed { claim: ClaimName::Registered("sub") };
    for sub in [String::new(), "x".repeat(256), "usér".into()] {
        assert_eq!(verdict(&id_policy(), &Mint::id(key_a()).claim("sub", sub)), Err(malformed.clone()));
    }
    assert_eq!(verdict(&id_policy(), &Mint::id(key_a()).claim("sub", "x".repeat(255))), Ok(()));
}

#[test]
fn at_hash_must_be_that_of_the_access_token() {
    let half = |algorithm: Algorithm, text: &str| {
        let digest = support::digest(algorithm.hash(), text.as_bytes());
        base64url::encode(&digest[..digest.len() / 2])
    };
    let policy = id_policy().at_hash_of("the access token");
    for algorithm in Algorithm::RSA {
        let with =
            |at_hash: String| verdict(&policy, &Mint::id(key_a()).algorithm(algorithm).claim("at_hash", at_hash));
        assert_eq!(with(half(algorithm, "the access token")), Ok(()));
        assert_eq!(with(half(algorithm, "another access token")), Err(VerifyError::AtHashMismatch));
        assert_eq!(with(String::new()), Err(VerifyError::AtHashMismatch));
        assert_eq!(with(half(algorithm, "the access token") + "="), Err(VerifyError::AtHashMismatch));
    }
    let whole = base64url::encode(&sha2::Sha256::digest("the access token"));
    assert_eq!(verdict(&policy, &Mint::id(key_a()).claim("at_hash", whole)), Err(VerifyError::AtHashMismatch));
    assert_eq!(verdict(&policy, &Mint::id(key_a())), Ok(()), "in the code flow at_hash is optional");
    assert_eq!(verdict(&id_policy(), &Mint::id(key_a()).claim("at_hash", "x")), Ok(()), "nothing to compare it with");
}

#[test]
fn a_policy_of_one_route_says_nothing_about_another() {
    let text = Mint::access(key_a()).claim("scope", "read:things").text();
    let read = requiring(|requirements| requirements.scopes = strings(&["read:things"]));
    let write = requiring(|requirements| requirements.scopes = strings(&["write:things"]));
    let other = Policy::access_token(ISSUER, ["https://other.example.com"], &Algorithm::ALL).unwrap();
    assert!(verify(&read, &key_a().set(), &text).is_ok());
    assert_eq!(refusal(&write, &key_a().set(), &text), VerifyError::Forbidden(Forbidden::Scope));
    assert_eq!(
        refusal(&other, &key_a().set(), &text),
        VerifyError::AudienceMismatch {
            mismatch: mismatch(&["https://other.example.com"], &[AUDIENCE]),
            hint: AudienceHint::None
        }
    );
}
