//! The header: nothing in it brings keys, extensions or a second meaning.

use edgeward::base64url;
use edgeward::error::{Malformed, VerifyError};
use serde_json::{Value, json};
use support::{Mint, access_policy, key_a, key_b, mismatch, set, verify};

use crate::refusal;

const MALFORMED_HEADER: VerifyError = VerifyError::TokenMalformed(Malformed::Header);
const MALFORMED_PARAMETER: VerifyError = VerifyError::TokenMalformed(Malformed::HeaderParameter);

fn why(mint: &Mint) -> VerifyError {
    refusal(&access_policy(), &key_a().set(), &mint.text())
}

/// Header parameters that carry or point to a key, here the attacker's.
fn key_parameters() -> Vec<(&'static str, Value)> {
    let certificate = base64url::encode(&key_b().n());
    vec![
        ("jwk", key_b().jwk()),
        ("jwk", key_b().private_jwk()),
        ("jku", "https://attacker.example/jwks.json".into()),
        ("jku", "file:///dev/null".into()),
        ("x5u", "https://attacker.example/chain.pem".into()),
        ("x5c", json!([certificate])),
        ("x5t", "AAAA".into()),
        ("x5t#S256", "AAAA".into()),
        ("iss", "https://attacker.example/".into()),
    ]
}

#[test]
fn a_key_that_the_token_brings_is_never_used() {
    for (name, value) in key_parameters() {
        let forged = Mint::access(key_a()).signed_by(key_b()).header(name, value.clone());
        assert_eq!(why(&forged), VerifyError::SignatureInvalid, "{name}");
        assert_eq!(why(&forged.clone().header("kid", key_b().kid)), VerifyError::KeyNotFound, "{name}");
        assert_eq!(why(&forged.without_header("kid")), VerifyError::SignatureInvalid, "{name}");
    }
}

#[test]
fn a_key_that_a_genuine_token_brings_is_ignored() {
    for (name, value) in key_parameters() {
        let genuine = Mint::access(key_a()).header(name, value).text();
        assert!(verify(&access_policy(), &key_a().set(), &genuine).is_ok(), "{name}");
    }
}

#[test]
fn parameters_of_encryption_and_compression_are_ignored() {
    for (name, value) in
        [("zip", json!("DEF")), ("p2c", json!(2_147_483_647)), ("p2s", json!("AAAA")), ("enc", json!("A256GCM"))]
    {
        let genuine = Mint::access(key_a()).header(name, value).text();
        assert!(verify(&access_policy(), &key_a().set(), &genuine).is_ok(), "{name}");
    }
}

#[test]
fn crit_is_refused_in_every_shape() {
    let shapes = [
        json!(["exp"]),
        json!(["b64"]),
        json!([]),
        json!(["alg"]),
        json!(["http://example.invalid/unknown"]),
        json!(["exp", "exp"]),
        json!([""]),
        json!([1]),
        json!("exp"),
        json!({}),
        json!(null),
        json!(true),
        json!(0),
        json!([["exp"]]),
    ];
    for shape in shapes {
        let mint = Mint::access(key_a()).header("crit", shape.clone()).header("exp", 1);
        assert_eq!(why(&mint), VerifyError::CritNotSupported, "{shape}");
    }
    let escaped = Mint::access(key_a()).splice_header(r#""\u0063rit":["exp"]"#);
    assert_eq!(why(&escaped), VerifyError::CritNotSupported);
}

#[test]
fn b64_is_refused_with_and_without_crit() {
    for value in [json!(false), json!(true), json!("false"), json!(null), json!(0)] {
        let mint = Mint::access(key_a()).header("b64", value);
        assert_eq!(why(&mint), VerifyError::B64NotSupported);
        assert_eq!(why(&mint.header("crit", json!(["b64"]))), VerifyError::CritNotSupported);
    }
}

#[test]
fn a_name_that_appears_twice_is_refused_also_through_escapes() {
    for member in [
        r#""alg":"RS256""#,
        r#""alg":"none""#,
        r#""\u0061lg":"none""#,
        r#""\u0061\u006c\u0067":"RS256""#,
        r#""kid":"rsa2048-b""#,
        r#""\u006Bid":"rsa2048-a""#,
        r#""typ":"JWT""#,
        r#""x":1,"x":1"#,
        r#""x":1,"\u0078":2"#,
        r#""x":{"y":1,"y":2}"#,
        r#""x":[{"y":1},{"y":1,"\u0079":1}]"#,
        r#""":1,"":1"#,
    ] {
        assert_eq!(why(&Mint::access(key_a()).splice_header(member)), MALFORMED_HEADER, "{member}");
    }
    let escaped_once = Mint::access(key_a()).without_header("alg").splice_header(r#""\u0061lg":"RS256""#);
    assert!(verify(&access_policy(), &key_a().set(), &escaped_once.text()).is_ok(), "an escape alone is no crime");
}

#[test]
fn parameters_of_the_wrong_type_are_refused() {
    for name in ["kid", "typ", "cty"] {
        for value in [json!(null), json!(1), json!(true), json!(["rsa2048-a"]), json!({"rsa2048-a": 1})] {
            assert_eq!(why(&Mint::access(key_a()).header(name, value)), MALFORMED_PARAMETER, "{name}");
        }
    }
}

#[test]
fn a_header_that_is_no_object_is_refused() {
    for text in [
        "[]",
        r#"["RS256"]"#,
        "null",
        "1",
        r#""RS256""#,
        "",
        " ",
        "{",
        "{}{}",
        "{\"alg\":\"RS256\"}x",
        "{'alg':'RS256'}",
    ] {
        assert_eq!(why(&Mint::access(key_a()).raw_header(text)), MALFORMED_HEADER, "{text}");
    }
    assert_eq!(why(&Mint::access(key_a()).raw_header("{}")), MALFORMED_PARAMETER, "no alg");
}

#[test]
fn a_header_in_another_encoding_than_utf8_is_refused() {
    let valid = Mint::access(key_a());
    let text = String::from_utf8(valid.header_bytes()).unwrap();
    let utf16_be = text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let utf16_le = text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let with_bom = [b"\xff\xfe".as_slice(), &utf16_le].concat();
    let utf8_bom = [b"\xef\xbb\xbf".as_slice(), text.as_bytes()].concat();
    let bad_utf8 =
        text.replace("rsa2048-a", "\u{1}").into_bytes().iter().map(|b| if *b == 1 { 0xff } else { *b }).collect();
    let overlong = text.replace("rsa2048-a", "\u{1}").into_bytes();
    let overlong = overlong.iter().flat_map(|b| if *b == 1 { vec![0xc0, 0xaf] } else { vec![*b] }).collect();
    for bytes in [utf16_be, utf16_le, with_bom, utf8_bom, bad_utf8, overlong] {
        assert_eq!(why(&valid.clone().raw_header(bytes)), MALFORMED_HEADER);
    }
    for surrogate in [r"\ud800", r"\udc00", r"\ud800\ud800", r"\udc00\ud800", r"\uD800x"] {
        let mint = valid.clone().raw_header(format!(r#"{{"alg":"RS256","kid":"{surrogate}"}}"#));
        assert_eq!(why(&mint), MALFORMED_HEADER, "{surrogate}");
    }
}

#[test]
fn strange_key_ids_choose_exactly_the_key_of_that_name_or_none() {
    let strange = [
        "",
        " ",
        "../../../../dev/null",
        "' OR 1=1 --",
        "kid\0",
        "\u{0}",
        "é",
        "e\u{301}",
        "*",
        "rsa2048-a ",
        "RSA2048-A",
        "rsa2048",
        "rsa2048-a\n",
        "__proto__",
        "constructor",
        "0",
    ];
    for kid in strange {
        let text = Mint::access(key_a()).header("kid", kid).text();
        assert_eq!(refusal(&access_policy(), &key_a().set(), &text), VerifyError::KeyNotFound, "{kid:?}");
        let mut jwk = key_a().jwk();
        jwk["kid"] = kid.into();
        let keys = set([jwk, key_b().jwk()]);
        assert!(verify(&access_policy(), &keys, &text).is_ok(), "{kid:?}");
    }
}

#[test]
fn typ_says_which_kind_of_token_and_no_other_kind_passes() {
    let typed = |typ: &str| Mint::access(key_a()).header("typ", typ);
    for typ in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "APPLICATION/at+jwt", "application/JWT"] {
        assert!(verify(&access_policy(), &key_a().set(), &typed(typ).text()).is_ok(), "{typ}");
    }
    assert!(verify(&access_policy(), &key_a().set(), &Mint::access(key_a()).without_header("typ").text()).is_ok());
    for typ in [
        "logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
        "oauth-authz-req+jwt",
        "JOSE",
        "JWE",
        "",
        "at+jwt ",
        " JWT",
        "JWT;x",
        "application/application/JWT",
        "text/JWT",
        "at-jwt",
        "application/",
        // As long as the prefix that may be left out, and not it.
        "applicationsJWT",
        "application-at+jwt",
        "text/plain;\u{a0}JWT",
    ] {
        // RFC 7515 §4.1.9: `application/` may be left out, once.
        let found = typ.strip_prefix("application/").unwrap_or(typ);
        let expected = VerifyError::TypNotAllowed(mismatch(&["JWT", "at+jwt"], &[found]));
        assert_eq!(why(&typed(typ)), expected, "{typ:?}");
    }
}
