//! The text: exactly one spelling of a token is that token.

use edgeward::base64url;
use edgeward::error::{Malformed, VerifyError};
use support::{Mint, Rng, access_policy, key_a, verify};

use crate::refusal;

const PARTS: VerifyError = VerifyError::TokenMalformed(Malformed::Parts);
const BASE64URL: VerifyError = VerifyError::TokenMalformed(Malformed::Base64Url);
const CLAIMS: VerifyError = VerifyError::TokenMalformed(Malformed::Claims);

fn why(text: &str) -> VerifyError {
    refusal(&access_policy(), &key_a().set(), text)
}

/// The valid token's parts, signed again after `change` was made to part `at`, so that only the form can be wrong.
fn with_part_changed(at: usize, change: impl Fn(&str) -> String) -> String {
    let valid = Mint::access(key_a()).text();
    let mut parts: Vec<String> = valid.split('.').map(Into::into).collect();
    parts[at] = change(&parts[at]);
    if at < 2 {
        let input = format!("{}.{}", parts[0], parts[1]);
        let scheme = edgeward::jwt::Algorithm::Rs256.scheme().unwrap();
        parts[2] = base64url::encode(&key_a().sign(scheme, input.as_bytes()));
    }
    parts.join(".")
}

#[test]
fn anything_but_canonical_base64url_is_refused_in_every_part() {
    for part in 0..3 {
        for (what, change) in [
            ("padding", (|part| format!("{part}=")) as fn(&str) -> String),
            ("double padding", |part| format!("{part}==")),
            ("space at the end", |part| format!("{part} ")),
            ("space in front", |part| format!(" {part}")),
            ("space inside", |part| format!("{} {}", &part[..8], &part[8..])),
            ("newline inside", |part| format!("{}\n{}", &part[..8], &part[8..])),
            ("carriage return at the end", |part| format!("{part}\r\n")),
            ("tab", |part| format!("{}\t{}", &part[..8], &part[8..])),
            ("zero byte", |part| format!("{part}\0")),
            ("plus", |part| format!("+{}", &part[1..])),
            ("slash", |part| format!("/{}", &part[1..])),
            ("percent", |part| format!("%{}", &part[1..])),
            ("letter beyond ASCII", |part| format!("é{}", &part[1..])),
            ("fullwidth letter", |part| format!("Ａ{}", &part[1..])),
            ("byte order mark", |part| format!("\u{feff}{part}")),
            ("zero-width space", |part| format!("{part}\u{200b}")),
        ] {
            assert_eq!(why(&with_part_changed(part, change)), BASE64URL, "{what} in part {part}");
        }
    }
}

#[test]
fn unused_bits_must_be_zero_in_every_part() {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // 256 octets leave four unused bits in the signature; header and claims are given a length that does.
    let mut valid = Mint::access(key_a());
    while valid.header_bytes().len() % 3 != 1 {
        let longer = [valid.header_bytes(), b" ".to_vec()].concat();
        valid = valid.raw_header(longer);
    }
    while valid.claims_bytes().len() % 3 != 1 {
        let longer = [valid.claims_bytes(), b" ".to_vec()].concat();
        valid = valid.raw_claims(longer);
    }
    let text = valid.text();
    assert!(verify(&access_policy(), &key_a().set(), &text).is_ok());
    for at in 0..3 {
        let mut parts: Vec<String> = text.split('.').map(Into::into).collect();
        let last = parts[at].pop().unwrap();
        let value = ALPHABET.iter().position(|letter| char::from(*letter) == last).unwrap();
        assert_eq!(value % 16, 0);
        for bits in 1..16 {
            let mut changed = parts.clone();
            changed[at].push(char::from(ALPHABET[value + bits]));
            assert_eq!(why(&changed.join(".")), BASE64URL, "part {at}, bits {bits}");
        }
    }
}

#[test]
fn only_three_parts_make_a_token() {
    let valid = Mint::access(key_a()).text();
    let (input, signature) = valid.rsplit_once('.').unwrap();
    assert_eq!(why(""), PARTS);
    assert_eq!(why(signature), PARTS);
    assert_eq!(why(input), PARTS);
    assert_eq!(why(&format!("{valid}.{signature}")), PARTS);
    assert_eq!(why(&format!("{valid}.")), PARTS);
    assert_eq!(why(&format!(".{valid}")), PARTS);
    assert_eq!(why(&format!("{valid}.AA.AA")), VerifyError::TokenEncrypted);
    assert_eq!(why(&format!("{valid}.{valid}")), VerifyError::TokenMalformed(Malformed::Parts));
    assert_eq!(why(&format!("{valid}...")), PARTS);
    assert_eq!(why(&format!("{valid},{valid}")), VerifyError::TokenEncrypted);
    assert_eq!(why(&format!("Bearer {valid}")), BASE64URL);
    assert_eq!(why(".."), VerifyError::TokenMalformed(Malformed::Header));
    assert_eq!(why("...."), VerifyError::TokenEncrypted);
}

#[test]
fn a_million_dots_are_refused_for_their_number() {
    assert_eq!(why(&".".repeat(1_000_000)), VerifyError::TokenTooLarge { bytes: 1_000_000 });
    assert_eq!(why(&".".repeat(16 * 1024)), PARTS);
}

#[test]
fn json_serialisations_are_not_tokens() {
    let valid = Mint::access(key_a()).text();
    let parts: Vec<&str> = valid.split('.').collect();
    let flat = format!(r#"{{"protected":"{}","payload":"{}","signature":"{}"}}"#, parts[0], parts[1], parts[2]);
    assert_eq!(why(&flat), PARTS);
    assert_eq!(why(&format!(r#"{{"payload":"{}","signatures":[]}}"#, parts[1])), PARTS);
    // One text, two readings: a compact token to one parser, JSON to another.
    assert_eq!(why(&format!(r#"{{"x":"{valid}"}}"#)), BASE64URL);
    assert_eq!(why(&format!(r#"{valid}{{"payload":""}}"#)), BASE64URL);
}

#[test]
fn every_truncation_of_a_valid_token_is_refused() {
    let valid = Mint::access(key_a()).text();
    assert!(verify(&access_policy(), &key_a().set(), &valid).is_ok());
    for len in 0..valid.len() {
        let expected = match valid[..len].matches('.').count() {
            0 | 1 => [PARTS, PARTS],
            _ => [BASE64URL, VerifyError::SignatureInvalid],
        };
        let error = why(&valid[..len]);
        assert!(expected.contains(&error), "{len}: {error:?}");
    }
}

#[test]
fn every_changed_character_of_header_and_claims_is_noticed() {
    let valid = Mint::access(support::key_e3()).text();
    let keys = support::key_e3().set();
    let mut rng = Rng(1);
    for at in 0..valid.rfind('.').unwrap() {
        let mut changed = valid.clone().into_bytes();
        let before = changed[at];
        while changed[at] == before || changed[at] == b'.' {
            changed[at] = *rng.pick(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
        }
        let changed = String::from_utf8(changed).unwrap();
        // No `refusal` here: a damaged part may well contain what an error says.
        assert!(verify(&access_policy(), &keys, &changed).is_err(), "character {at}");
    }
}

#[test]
fn claims_that_are_no_object_are_refused() {
    for text in [
        "",
        " ",
        "null",
        "true",
        "1",
        r#""text""#,
        "[]",
        r#"[{"iss":"https://tenant.example.com/"}]"#,
        "{",
        "}",
        "{}{}",
        "{},",
        "foo",
        "\0",
    ] {
        assert_eq!(why(&Mint::access(key_a()).raw_claims(text).text()), CLAIMS, "{text}");
    }
}

#[test]
fn claims_in_another_encoding_than_utf8_are_refused() {
    let valid = Mint::access(key_a());
    let text = String::from_utf8(valid.claims_bytes()).unwrap();
    let utf16_be = text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let utf16_le = text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let with_bom = [b"\xff\xfe".as_slice(), &utf16_le].concat();
    let utf8_bom = [b"\xef\xbb\xbf".as_slice(), text.as_bytes()].concat();
    let latin_1 = text.bytes().chain([b' ']).map(|b| if b == b'-' { 0xe9 } else { b }).collect();
    for bytes in [utf16_be, utf16_le, with_bom, utf8_bom, latin_1] {
        assert_eq!(why(&valid.clone().raw_claims(bytes).text()), CLAIMS);
    }
    for surrogate in [r"\ud800", r"\udc00", r"\ud800\ud800", r"\udc00\ud800", r"\ud83dx"] {
        let mint = valid.clone().splice_claims(&format!(r#""x":"{surrogate}""#));
        assert_eq!(why(&mint.text()), CLAIMS, "{surrogate}");
    }
    let pair = valid.splice_claims(r#""x":"\ud83d\ude00""#).text();
    assert!(verify(&access_policy(), &key_a().set(), &pair).is_ok(), "a pair of surrogates is a character");
}
