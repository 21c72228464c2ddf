//! The claims: absent, well-typed, or the token is refused; compared byte by byte; times at their edges.

use edgeward::Verifier;
use edgeward::error::{AudienceHint, ClaimName, Malformed, VerifyError};
use edgeward::io::UnixTime;
use edgeward::jwk::KeyCache;
use edgeward::jwt::{Algorithm, InvalidPolicy, Policy, Profile};
use serde_json::{Value, json};
use support::fixed_host::{FixedHost, at_once};
use support::{AUDIENCE, CLIENT, ISSUER, Mint, NOW, access_policy, id_policy, key_a, mismatch, verify, verify_at};

use crate::{refusal, words_of};

const MALFORMED_CLAIMS: VerifyError = VerifyError::TokenMalformed(Malformed::Claims);

fn other_audience(found: &[&str]) -> VerifyError {
    VerifyError::AudienceMismatch { mismatch: mismatch(&[AUDIENCE], found), hint: AudienceHint::None }
}

fn why(mint: &Mint) -> VerifyError {
    refusal(&access_policy(), &key_a().set(), &mint.text())
}

fn passes(mint: &Mint) -> bool {
    verify(&access_policy(), &key_a().set(), &mint.text()).is_ok()
}

fn malformed(name: &'static str) -> VerifyError {
    VerifyError::ClaimMalformed { claim: ClaimName::Registered(name) }
}

fn missing(name: &'static str) -> VerifyError {
    VerifyError::ClaimMissing { claim: ClaimName::Registered(name) }
}

#[test]
fn a_text_claim_of_another_type_is_malformed_and_never_absent() {
    for name in ["iss", "sub"] {
        for value in
            [json!(true), json!(null), json!([]), json!(["x"]), json!({}), json!({"x": "y"}), json!(1), json!(0.5)]
        {
            assert_eq!(why(&Mint::access(key_a()).claim(name, value.clone())), malformed(name), "{name}: {value}");
            let by_id_policy = refusal(&id_policy(), &key_a().set(), &Mint::id(key_a()).claim(name, value).text());
            assert_eq!(by_id_policy, malformed(name), "{name}");
        }
    }
}

const NOT_TEXTS: [&str; 7] = ["true", "[]", r#"["x"]"#, "{}", r#"{"x":"y"}"#, "1", "0.5"];

#[test]
fn a_claim_that_no_option_reads_is_not_type_checked() {
    let names = ["jti", "azp", "client_id", "nonce", "scope", "scp", "permissions", "org_id", "org_name", "token_use"];
    for name in names {
        for value in NOT_TEXTS.into_iter().chain(["null"]) {
            let value: Value = serde_json::from_str(value).unwrap();
            // Beside the other claim with scopes, for the nonce.
            let mint = Mint::access(key_a()).claim("scp", "x").claim(name, value.clone());
            assert!(passes(&mint), "{name}: {value}");
        }
    }
}

#[test]
fn a_claim_that_an_option_reads_is_malformed_with_another_type_and_absent_with_null() {
    let rfc9068 = access_policy().profile(Profile::Rfc9068);
    for name in ["jti", "client_id"] {
        let with = |value: Value| refusal(&rfc9068, &key_a().set(), &Mint::at_jwt(key_a()).claim(name, value).text());
        for value in NOT_TEXTS {
            assert_eq!(with(serde_json::from_str(value).unwrap()), malformed(name), "{name}: {value}");
        }
        assert_eq!(with(json!(null)), missing(name));
    }
    let hashed = id_policy().at_hash_of("an access token");
    for name in ["nonce", "azp", "at_hash"] {
        let mint = |value: Value| Mint::id(key_a()).claim(name, value).text();
        for value in NOT_TEXTS {
            let error = refusal(&hashed, &key_a().set(), &mint(serde_json::from_str(value).unwrap()));
            assert_eq!(error, malformed(name), "{name}: {value}");
        }
        if name == "nonce" {
            assert_eq!(refusal(&hashed, &key_a().set(), &mint(json!(null))), missing(name));
        } else {
            assert!(verify(&hashed, &key_a().set(), &mint(json!(null))).is_ok(), "{name}");
        }
    }
    let clients = access_policy().clients([CLIENT]);
    for value in NOT_TEXTS {
        let value: Value = serde_json::from_str(value).unwrap();
        let text = Mint::access(key_a()).claim("client_id", value.clone()).text();
        let expected = VerifyError::ClientNotAllowed(mismatch(&[CLIENT], &[]));
        assert_eq!(refusal(&clients, &key_a().set(), &text), expected, "azp does not count beside {value}");
    }
    let null = Mint::access(key_a()).claim("client_id", json!(null)).text();
    assert!(verify(&clients, &key_a().set(), &null).is_ok(), "azp counts");
    let required = access_policy().require_claim("tenant");
    let null = Mint::access(key_a()).claim("tenant", json!(null)).text();
    let expected = VerifyError::ClaimMissing { claim: ClaimName::Configured("tenant".into()) };
    assert_eq!(refusal(&required, &key_a().set(), &null), expected);
}

#[test]
fn a_time_of_another_type_is_malformed_and_never_absent() {
    for name in ["exp", "nbf", "iat"] {
        for value in [
            json!((NOW + 600).to_string()),
            json!("9999"),
            json!(""),
            json!("2027-01-15T08:00:00Z"),
            json!(true),
            json!(false),
            json!(null),
            json!([]),
            json!([NOW + 600]),
            json!({}),
            json!({"$numberLong": "1"}),
        ] {
            assert_eq!(why(&Mint::access(key_a()).claim(name, value.clone())), malformed(name), "{name}: {value}");
        }
    }
}

#[test]
fn an_audience_of_another_type_is_malformed_even_beside_the_right_one() {
    for value in [
        json!(null),
        json!(true),
        json!(1),
        json!({}),
        json!({"aud": AUDIENCE}),
        json!({AUDIENCE: true}),
        json!([1]),
        json!([AUDIENCE, 1]),
        json!([AUDIENCE, null]),
        json!([[AUDIENCE]]),
        json!([{"x": AUDIENCE}]),
    ] {
        assert_eq!(why(&Mint::access(key_a()).claim("aud", value.clone())), malformed("aud"), "{value}");
    }
}

#[test]
fn mandatory_claims_must_be_present() {
    for name in ["iss", "aud", "exp"] {
        assert_eq!(why(&Mint::access(key_a()).without(name)), missing(name));
    }
    for name in ["nbf", "iat", "sub", "azp", "scope"] {
        assert!(passes(&Mint::access(key_a()).without(name)), "{name} may be absent");
    }
    assert_eq!(why(&Mint::access(key_a()).raw_claims("{}")), missing("iss"));
}

#[test]
fn numbers_that_are_no_dates_are_refused() {
    for (name, policy) in [("exp", access_policy()), ("nbf", access_policy()), ("iat", access_policy())] {
        let with =
            |number: &str| Mint::access(key_a()).without(name).splice_claims(&format!(r#""{name}":{number}"#)).text();
        for number in [
            "1e400",
            "-1e400",
            "1E+9999999999",
            "NaN",
            "Infinity",
            "-Infinity",
            "0x7fffffff",
            "01",
            "+1",
            "1.",
            ".5",
            "1_000",
        ] {
            assert_eq!(refusal(&policy, &key_a().set(), &with(number)), MALFORMED_CLAIMS, "{name}: {number}");
        }
        for number in [
            "-1",
            "-0.5",
            "-1800000600",
            "-9223372036854775808",
            "-1e300",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "99999999999999999999999999",
            "1e300",
            "1800000600000000",
            "253402300800",
            "253402300799.5",
        ] {
            assert_eq!(refusal(&policy, &key_a().set(), &with(number)), malformed(name), "{name}: {number}");
        }
    }
    let last_second = Mint::access(key_a()).claim("exp", 253_402_300_799_i64);
    assert!(passes(&last_second));
    let milliseconds = Mint::access(key_a()).claim("exp", (NOW + 600) * 1000);
    assert_eq!(why(&milliseconds), malformed("exp"));
}

#[test]
fn zero_is_a_date_like_any_other() {
    for zero in ["0", "-0", "0.0", "-0.0", "0e5", "1e-400"] {
        let text = Mint::access(key_a()).without("exp").splice_claims(&format!(r#""exp":{zero}"#)).text();
        let error = refusal(&access_policy(), &key_a().set(), &text);
        assert_eq!(error, VerifyError::TokenExpired { exp: 0, now: NOW }, "{zero}");
        let text = Mint::access(key_a()).without("nbf").splice_claims(&format!(r#""nbf":{zero}"#)).text();
        assert!(verify(&access_policy(), &key_a().set(), &text).is_ok(), "{zero}");
    }
}

#[test]
fn fractions_and_exponents_are_dates() {
    for exp in ["1800000000.5", "18000000005e-1", "1.8000006e9", "1800000600.000"] {
        let text = Mint::access(key_a()).without("exp").splice_claims(&format!(r#""exp":{exp}"#)).text();
        assert!(verify(&access_policy(), &key_a().set(), &text).is_ok(), "{exp}");
    }
}

#[test]
fn the_last_second_of_a_token_is_the_one_before_exp_plus_skew() {
    for skew in [0, 5, 60] {
        let policy = access_policy().clock_skew_s(skew).unwrap();
        let text = Mint::access(key_a()).text();
        let at = |now: i64| verify_at(&policy, &key_a().set(), &text, UnixTime::from_secs(now)).map(drop);
        let exp = NOW + 600;
        let end = exp + i64::from(skew);
        assert_eq!(at(end - 1), Ok(()));
        assert_eq!(at(end), Err(VerifyError::TokenExpired { exp, now: end }));
        let just_before = UnixTime::from_millis(end * 1000 - 1);
        assert!(verify_at(&policy, &key_a().set(), &text, just_before).is_ok(), "the millisecond before");

        let nbf = NOW - 60;
        let start = nbf - i64::from(skew);
        assert_eq!(at(start), Ok(()));
        assert_eq!(at(start - 1), Err(VerifyError::TokenNotYetValid { nbf, now: start - 1 }));

        let text = Mint::access(key_a()).without("nbf").text();
        let at = |now: i64| verify_at(&policy, &key_a().set(), &text, UnixTime::from_secs(now)).map(drop);
        assert_eq!(at(start), Ok(()));
        assert_eq!(at(start - 1), Err(VerifyError::TokenIssuedInFuture { iat: nbf, now: start - 1 }));
    }
}

#[test]
fn a_fraction_of_a_second_after_exp_is_after_exp() {
    let policy = access_policy().clock_skew_s(0).unwrap();
    let at = |exp: &str, now: i64| {
        let text = Mint::access(key_a()).without("exp").splice_claims(&format!(r#""exp":{exp}"#)).text();
        verify_at(&policy, &key_a().set(), &text, UnixTime::from_secs(now)).is_ok()
    };
    assert!(at("1800000000.5", 1_800_000_000));
    assert!(!at("1800000000.5", 1_800_000_001));
}

#[test]
fn clocks_far_out_of_range_refuse_and_do_not_overflow() {
    let text = Mint::access(key_a()).text();
    let set = key_a().set();
    let at = |now: UnixTime| access_policy().verify(&text, &set, now).unwrap_err();
    for millis in [i64::MIN, i64::MIN + 1, -1, 0, 1] {
        let error = at(UnixTime::from_millis(millis));
        assert!(matches!(error, VerifyError::TokenNotYetValid { .. }), "{millis}: {error:?}");
    }
    assert!(matches!(at(UnixTime::from_millis(i64::MAX)), VerifyError::TokenExpired { .. }));
}

#[test]
fn a_name_that_appears_twice_is_refused_also_through_escapes() {
    for member in [
        r#""iss":"https://tenant.example.com/""#,
        r#""\u0069ss":"https://attacker.example/""#,
        r#""aud":"https://api.example.com""#,
        r#""a\u0075d":"https://other.example.com""#,
        r#""exp":1800000600"#,
        r#""exp":9999999999"#,
        r#""ex\u0070":9999999999"#,
        r#""sub":"admin""#,
        r#""scope":"admin""#,
        r#""x":{"y":1,"y":1}"#,
        r#""x":[[{"y":1,"\u0079":1}]]"#,
        r#""":1,"":2"#,
    ] {
        assert_eq!(why(&Mint::access(key_a()).splice_claims(member)), MALFORMED_CLAIMS, "{member}");
    }
    let escaped_once =
        Mint::access(key_a()).without("iss").splice_claims(r#""\u0069ss":"https://tenant.example.com/""#);
    assert!(passes(&escaped_once));
}

#[test]
fn names_that_differ_in_case_or_form_are_other_claims() {
    for name in ["EXP", "Exp", "exp ", "\u{ff45}xp", "e\u{301}xp"] {
        assert_eq!(why(&Mint::access(key_a()).without("exp").claim(name, NOW + 600)), missing("exp"), "{name}");
        assert!(passes(&Mint::access(key_a()).claim(name, 1)), "{name}");
    }
}

#[test]
fn only_the_exact_issuer_is_the_issuer() {
    for issuer in [
        "https://tenant.example.com",
        "https://tenant.example.com//",
        "https://tenant.example.com/x",
        "http://tenant.example.com/",
        "https://tenant.example.com/ ",
        " https://tenant.example.com/",
        "https://TENANT.example.com/",
        "HTTPS://tenant.example.com/",
        "https://tenant.example.com:443/",
        "https://tenant.example.co",
        "https://tenant.example.com.attacker.example/",
        "https://attacker.example/https://tenant.example.com/",
        "tenant.example.com",
        "https://tenant.example.com/?",
        "",
        "https://tenant.example.com/#",
        "https://tenant.example.com/\0",
        "https://tenant%2eexample.com/",
        "https://tenànt.example.com/",
    ] {
        let expected = VerifyError::IssuerMismatch(mismatch(&[ISSUER], &[issuer]));
        assert_eq!(why(&Mint::access(key_a()).claim("iss", issuer)), expected, "{issuer}");
    }
    for array in [json!([ISSUER]), json!([ISSUER, "https://attacker.example/"]), json!([])] {
        assert_eq!(why(&Mint::access(key_a()).claim("iss", array)), malformed("iss"));
    }
}

#[test]
fn only_an_exact_audience_is_the_audience() {
    for audience in [
        "https://api.example.com/",
        "https://api.example.co",
        "https://api.example.comm",
        "http://api.example.com",
        "api.example.com",
        "https://API.example.com",
        " https://api.example.com",
        "https://api.example.com ",
        "https://api.example.com https://x",
        "https://api.example.com,https://x",
        "*",
        "",
        "https://*.example.com",
        "https://api.example.com\0",
    ] {
        assert_eq!(why(&Mint::access(key_a()).claim("aud", audience)), other_audience(&[audience]), "{audience}");
        assert_eq!(
            why(&Mint::access(key_a()).claim("aud", json!([audience, "https://x"]))),
            other_audience(&[audience, "https://x"]),
            "{audience}"
        );
    }
    assert_eq!(why(&Mint::access(key_a()).claim("aud", json!([]))), other_audience(&[]));
    assert!(passes(&Mint::access(key_a()).claim("aud", json!(["https://x", AUDIENCE]))));
    assert!(passes(&Mint::access(key_a()).claim("aud", json!([AUDIENCE]))));
}

#[test]
fn several_accepted_audiences_are_alternatives() {
    let policy = Policy::access_token(ISSUER, [AUDIENCE, "https://two.example.com"], &Algorithm::ALL).unwrap();
    for (audience, accepted) in
        [(AUDIENCE, true), ("https://two.example.com", true), ("https://three.example.com", false)]
    {
        let text = Mint::access(key_a()).claim("aud", audience).text();
        assert_eq!(verify(&policy, &key_a().set(), &text).is_ok(), accepted, "{audience}");
    }
}

#[test]
fn a_token_bound_to_its_sender_is_refused_without_proof() {
    for bound in
        [json!({"jkt": "AAAA"}), json!({"x5t#S256": "AAAA"}), json!({"jwk": {}}), json!({}), json!(null), json!("x")]
    {
        assert_eq!(
            why(&Mint::access(key_a()).claim("cnf", bound.clone())),
            VerifyError::TokenSenderConstrained,
            "{bound}"
        );
        assert_eq!(why(&Mint::at_jwt(key_a()).claim("cnf", bound)), VerifyError::TokenSenderConstrained);
    }
}

#[test]
fn a_policy_without_issuer_audience_or_algorithm_cannot_be_made() {
    let none: [&str; 0] = [];
    let all = &Algorithm::ALL;
    assert_eq!(Policy::access_token("", [AUDIENCE], all).unwrap_err(), InvalidPolicy::NoIssuer);
    assert_eq!(Policy::access_token(ISSUER, none, all).unwrap_err(), InvalidPolicy::NoAudience);
    assert_eq!(Policy::access_token(ISSUER, [""], all).unwrap_err(), InvalidPolicy::NoAudience);
    assert_eq!(Policy::access_token(ISSUER, [AUDIENCE, ""], all).unwrap_err(), InvalidPolicy::NoAudience);
    assert_eq!(Policy::access_token(ISSUER, [AUDIENCE], &[]).unwrap_err(), InvalidPolicy::NoAlgorithms);
    for clients in [&none[..], &[""], &["app", ""]] {
        let policy = Policy::access_token_without_audience(ISSUER, clients.iter().copied(), all);
        assert_eq!(policy.unwrap_err(), InvalidPolicy::NoClient);
    }
    assert_eq!(Policy::id_token("", CLIENT, all).unwrap_err(), InvalidPolicy::NoIssuer);
    assert_eq!(Policy::id_token(ISSUER, "", all).unwrap_err(), InvalidPolicy::NoAudience);
    assert_eq!(Policy::id_token(ISSUER, CLIENT, &[]).unwrap_err(), InvalidPolicy::NoAlgorithms);
    for (error, text) in [
        (InvalidPolicy::NoIssuer, "issuer must not be empty"),
        (InvalidPolicy::NoAudience, "at least one audience is required, and none may be empty"),
        (InvalidPolicy::NoClient, "without an audience, at least one client is required, and none may be empty"),
    ] {
        assert_eq!(error.to_string(), text);
    }
    for error in [InvalidPolicy::NoAlgorithms, InvalidPolicy::ClockSkewTooLarge] {
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn the_json_of_claims_is_the_text_that_was_signed() {
    let mint = Mint::access(key_a()).splice_claims(r#""a" : [1.0,  "\u00e9"] "#);
    let token = verify(&access_policy(), &key_a().set(), &mint.text()).unwrap();
    let signed = String::from_utf8(mint.claims_bytes()).unwrap();
    assert_eq!(token.claims().as_json(), signed);
    assert_eq!(token.claims().clone().into_json(), signed);
}

#[test]
fn deep_and_wide_claims_are_refused_not_followed() {
    let deep = Mint::access(key_a()).splice_claims(&format!(r#""x":{}{}"#, "[".repeat(4000), "]".repeat(4000)));
    assert_eq!(why(&deep), MALFORMED_CLAIMS);
    let open = Mint::access(key_a()).raw_claims("[".repeat(9000));
    assert_eq!(why(&open), MALFORMED_CLAIMS);
    let objects = Mint::access(key_a()).raw_claims(r#"{"a":"#.repeat(2000));
    assert_eq!(why(&objects), MALFORMED_CLAIMS);
    // Only the length of a token limits its claims: some list hundreds of clients.
    let wide: Vec<String> = (0..1000).map(|n| format!(r#""{n}":0"#)).collect();
    assert!(passes(&Mint::access(key_a()).splice_claims(&wide.join(","))));
    assert!(passes(&Mint::access(key_a()).claim("x", Value::Array(vec![json!(0); 2000]))));
}

#[test]
fn a_token_and_its_verifier_show_no_claim_where_they_are_logged() {
    let text = Mint::access(key_a()).claim("email", "user@example.com").text();
    let token = verify(&access_policy(), &key_a().set(), &text).unwrap();
    assert!(format!("{token:?}").contains("Rs256"), "{token:?}");
    let verifier = Verifier::new(access_policy(), KeyCache::fixed(ISSUER, key_a().set()));
    let verified = at_once(verifier.verify(&text, &FixedHost(UnixTime::from_secs(NOW))));
    assert!(format!("{verified:?}").contains("VerifiedToken"), "{verified:?}");
    assert!(format!("{verifier:?}").contains("TokenCache"), "{verifier:?}");
    let policy = access_policy().require_claim_value("email", "user@example.com");
    for shown in [format!("{token:?}"), format!("{verified:?}"), format!("{verifier:?}"), format!("{policy:?}")] {
        let parts = text.split('.').map(String::from);
        let claims =
            text.split('.').nth(1).into_iter().flat_map(words_of).filter(|word| word != ISSUER && word != AUDIENCE);
        for secret in claims.chain(parts) {
            assert!(!shown.contains(&secret), "{shown} repeats {secret}");
        }
    }
    let login = id_policy().nonce("secret-nonce").at_hash_of("secret-token");
    assert!(!format!("{login:?}").contains("secret"), "{login:?}");
}
