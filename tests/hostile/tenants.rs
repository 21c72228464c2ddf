//! Issuers with `{tenantid}`: `iss` and `tid` name the same, accepted tenant.

use edgeward::Verifier;
use edgeward::error::{ClaimName, Mismatch, VerifyError};
use edgeward::jwk::{JwkSet, KeyCache};
use edgeward::jwt::{Access, Algorithm, Policy, Tenants};
use serde_json::{Value, json};
use support::fixed_host::{FixedHost, at_once};
use support::{AUDIENCE, Mint, key_a, mismatch, now, set, verify};

use crate::refusal;

const V2: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";
const V1: &str = "https://sts.windows.net/{tenantid}/";
const OURS: &str = "8f2a1c3e-0b4d-4c6f-9e1a-5d7b2f4c6a80";
const SECOND: &str = "11111111-2222-4333-8444-555555555555";
const FOREIGN: &str = "99999999-2222-4333-8444-555555555555";

fn policy(template: &str, tenants: Tenants) -> Policy<Access> {
    Policy::access_token(template, [AUDIENCE], &Algorithm::ALL).unwrap().tenants(tenants)
}

fn only(tenants: &[&str]) -> Tenants {
    Tenants::Only(tenants.iter().map(|&id| id.into()).collect())
}

fn token(issuer: &str, tid: impl Into<Value>) -> Mint {
    Mint::access(key_a()).claim("iss", issuer).claim("tid", tid)
}

fn of(template: &str, tenant: &str) -> String {
    template.replace("{tenantid}", tenant)
}

fn tid_mismatch(expected: &[&str], found: &str) -> VerifyError {
    let expected = expected.iter().map(|&id| id.into()).collect();
    VerifyError::ClaimMismatch {
        claim: ClaimName::Registered("tid"),
        mismatch: Mismatch { expected, found: vec![found.into()] },
    }
}

#[test]
fn tokens_of_the_accepted_tenants_pass() {
    for template in [V2, V1] {
        for tenants in [only(&[OURS]), only(&[OURS, SECOND]), Tenants::Any] {
            let text = token(&of(template, OURS), OURS).text();
            assert!(verify(&policy(template, tenants), &key_a().set(), &text).is_ok());
        }
    }
}

#[test]
fn other_tenants_are_refused() {
    for template in [V2, V1] {
        let text = token(&of(template, FOREIGN), FOREIGN).text();
        for (tenants, expected) in [
            (only(&[OURS]), of(template, OURS)),
            (only(&[OURS, SECOND]), template.to_string()),
            (only(&[]), template.to_string()),
        ] {
            let expected = VerifyError::IssuerMismatch(mismatch(&[&expected], &[&of(template, FOREIGN)]));
            assert_eq!(refusal(&policy(template, tenants), &key_a().set(), &text), expected);
        }
    }
}

#[test]
fn tid_is_the_tenant_of_the_issuer() {
    let issuer = of(V2, OURS);
    let several = [OURS, SECOND];
    for (tenants, expected) in [(only(&[OURS]), &several[..1]), (only(&several), &several), (Tenants::Any, &[])] {
        let refused = |mint: Mint| refusal(&policy(V2, tenants.clone()), &key_a().set(), &mint.text());
        assert_eq!(refused(token(&issuer, SECOND)), tid_mismatch(expected, SECOND));
        assert_eq!(refused(token(&issuer, OURS.to_ascii_uppercase())).code(), "claim_mismatch");
        assert_eq!(refused(token(&issuer, json!(null))).code(), "claim_missing");
        assert_eq!(refused(token(&issuer, OURS).without("tid")).code(), "claim_missing");
        assert_eq!(refused(token(&issuer, json!([OURS]))).code(), "claim_malformed");
    }
}

#[test]
fn any_tenant_is_a_guid_and_nothing_else() {
    for tenant in
        ["common", "{tenantid}", "", "a/b", "8F2A1C3E-0b4d-4c6f-9e1a-5d7b2f4c6a80", &format!("{OURS}/{SECOND}")]
    {
        let text = token(&of(V2, tenant), tenant).text();
        assert_eq!(refusal(&policy(V2, Tenants::Any), &key_a().set(), &text).code(), "issuer_mismatch", "{tenant}");
    }
    for issuer in [
        of(V1, OURS),
        of(V2, OURS) + "/",
        of("https://login.microsoftonline.com.example/{tenantid}/v2.0", OURS),
        of("http://login.microsoftonline.com/{tenantid}/v2.0", OURS),
        of("https://login.microsoftonline.com/{tenantid}/v1.0", OURS),
    ] {
        let text = token(&issuer, OURS).text();
        assert_eq!(refusal(&policy(V2, Tenants::Any), &key_a().set(), &text).code(), "issuer_mismatch", "{issuer}");
    }
}

#[test]
fn without_tenants_a_template_matches_no_tenant() {
    let policy = Policy::access_token(V2, [AUDIENCE], &Algorithm::ALL).unwrap();
    assert_eq!(refusal(&policy, &key_a().set(), &token(&of(V2, OURS), OURS).text()).code(), "issuer_mismatch");
}

#[test]
fn tenants_do_not_change_other_issuers() {
    let policy = policy("https://tenant.example.com/", only(&[OURS]));
    assert!(verify(&policy, &key_a().set(), &Mint::access(key_a()).text()).is_ok());
}

#[test]
fn of_several_issuers_the_template_is_found() {
    let keys = |issuer: &str| KeyCache::fixed(issuer, key_a().set());
    let verifier =
        Verifier::new(policy("https://tenant.example.com/", Tenants::Any), keys("https://tenant.example.com/"))
            .and_issuer(policy(V1, only(&[OURS, SECOND])), keys(V1))
            .and_issuer(policy(V2, only(&[OURS, SECOND])), keys(V2));
    let host = FixedHost(now());
    let code = |text: &str| at_once(verifier.verify(text, &host)).err().map(|error| error.to_string());
    for issuer in [of(V1, OURS), of(V2, SECOND)] {
        let tid = if issuer.contains(OURS) { OURS } else { SECOND };
        assert_eq!(code(&token(&issuer, tid).text()), None, "{issuer}");
    }
    for issuer in [of(V1, FOREIGN), of(V2, "common"), V2.to_string()] {
        let text = token(&issuer, FOREIGN).text();
        assert_eq!(code(&text).as_deref(), Some("claim iss is not the expected issuer"), "{issuer}");
    }
}

#[test]
fn a_key_signs_for_the_tenants_that_its_set_names() {
    let (ours, tenants) = (of(V2, OURS), [only(&[OURS]), only(&[OURS, SECOND]), Tenants::Any]);
    let token = token(&ours, OURS).text();
    for (named, is_accepted) in [
        (json!(V2), true),
        (json!(ours), true),
        (json!(null), true),
        (json!(of(V2, SECOND)), false),
        // The tenant counts: a provider has several forms of URL for one.
        (json!(of(V1, OURS)), true),
        (json!(of(V1, SECOND)), false),
        (json!(V1), true),
        (json!("https://other.example.com"), true),
        (json!(""), true),
    ] {
        let mut jwk = key_a().jwk();
        jwk["issuer"] = named.clone();
        for tenants in tenants.clone() {
            let verdict = verify(&policy(V2, tenants), &set([jwk.clone()]), &token);
            assert_eq!(verdict.err().map(|error| error.code()), (!is_accepted).then_some("issuer_mismatch"), "{named}");
        }
        // Nor does a policy for one tenant accept another's key.
        let plain = Policy::access_token(ours.as_str(), [AUDIENCE], &Algorithm::ALL).unwrap();
        assert_eq!(verify(&plain, &set([jwk]), &token).is_ok(), is_accepted, "{named}");
    }
    let mut jwk = key_a().jwk();
    jwk["issuer"] = json!([of(V2, SECOND)]);
    assert!(
        JwkSet::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).is_err(),
        "a malformed issuer costs the key"
    );
}
