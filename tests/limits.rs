//! Proves each limit of `edgeward::limits` that the core keeps: what is at the limit passes, what is one past it does not.
//!
//! Limits in time (freshness, cooldown, back-off, a day without the provider) are proved in `key_cache`, to the millisecond.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]

use edgeward::base64url;
use edgeward::error::{ClaimName, Malformed, VerifyError};
use edgeward::io::{Incoming, UnixTime};
use edgeward::json::{Document, JsonError};
use edgeward::jwk::{InvalidJwk, InvalidJwkSet, JwkSet, KeyCache, KeySource, KeysError};
use edgeward::jwt::InvalidPolicy;
use edgeward::rsa::{InvalidKey, PublicKey};
use edgeward::{VerificationError, Verifier, limits};
use serde_json::json;
use support::host::{Delay, VirtualHost};
use support::world::JWKS_URI;
use support::{ISSUER, Mint, access_policy, key_a, set, set_text, verify};

fn verdict(mint: &Mint) -> Result<(), VerifyError> {
    verify(&access_policy(), &key_a().set(), &mint.text()).map(drop)
}

fn malformed(what: Malformed) -> Result<(), VerifyError> {
    Err(VerifyError::TokenMalformed(what))
}

/// `json`, an object, with spaces up to `len` bytes.
fn padded(json: &[u8], len: usize) -> Vec<u8> {
    let mut padded = json.to_vec();
    padded.resize(len, b' ');
    padded
}

/// `levels` levels of arrays inside each other.
fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

/// Members `"m0":0` and so on.
fn members(count: usize) -> String {
    (0..count).map(|n| format!(r#""m{n}":0"#)).collect::<Vec<_>>().join(",")
}

#[test]
fn a_token_has_at_most_16_kib() {
    // Unpadded base64 has no text of 4n + 1 characters: try headers of several lengths to hit the total exactly.
    let of_length = |len: usize| {
        let base = Mint::access(key_a());
        (0..4).find_map(|spaces| {
            let header = padded(&base.header_bytes(), base.header_bytes().len() + spaces);
            let rest = len - 2 - base64url::encode(&header).len() - base64url::encode(&[0; 256]).len();
            let claims = padded(&base.claims_bytes(), rest * 3 / 4);
            let mint = base.clone().raw_header(header).raw_claims(claims);
            (mint.signing_input().len() + 1 + 342 == len).then_some(mint)
        })
    };
    let limit = limits::MAX_TOKEN_BYTES;
    assert_eq!(limit, 16 * 1024);
    assert_eq!(verdict(&of_length(limit).unwrap()), Ok(()));
    let longer = of_length(limit + 1).unwrap();
    assert_eq!(verdict(&longer), Err(VerifyError::TokenTooLarge { bytes: limit + 1 }));
}

#[test]
fn a_header_has_at_most_4_kib() {
    let with = |len| {
        let base = Mint::access(key_a());
        let header = padded(&base.header_bytes(), len);
        verdict(&base.raw_header(header))
    };
    assert_eq!(limits::MAX_HEADER_BYTES, 4 * 1024);
    assert_eq!(with(limits::MAX_HEADER_BYTES), Ok(()));
    assert_eq!(with(limits::MAX_HEADER_BYTES + 1), malformed(Malformed::HeaderTooLarge));
}

/// Whatever a header of 4 KiB is filled with.
#[test]
fn a_header_has_at_most_256_names_and_values() {
    assert_eq!(limits::MAX_HEADER_VALUES, 256);
    let base = Mint::access(key_a());
    // The object, and the name and the string of each member.
    let header: serde_json::Value = serde_json::from_slice(&base.header_bytes()).unwrap();
    let used = 1 + 2 * header.as_object().unwrap().len();
    let list = |value: &str, count: usize| format!(r#""x":[{}]"#, vec![value; count].join(","));
    let object = |count: usize| format!(r#""x":{{{}}}"#, members(count));
    let room = limits::MAX_HEADER_VALUES - used - 2;
    for value in ["1", "0.5", r#""""#, r#""\n""#, "null", "true", "[]", "{}"] {
        assert_eq!(verdict(&base.clone().splice_header(&list(value, room))), Ok(()), "{value}");
        let more = verdict(&base.clone().splice_header(&list(value, room + 1)));
        assert_eq!(more, malformed(Malformed::HeaderTooLarge), "{value}");
    }
    assert_eq!(room % 2, 1);
    assert_eq!(verdict(&base.clone().splice_header(&object(room / 2))), Ok(()));
    assert_eq!(verdict(&base.clone().splice_header(&object(room / 2 + 1))), malformed(Malformed::HeaderTooLarge));
    let beside = members((limits::MAX_HEADER_VALUES - used) / 2 + 1);
    assert_eq!(verdict(&base.splice_header(&beside)), malformed(Malformed::HeaderTooLarge));
}

#[test]
fn a_key_id_has_at_most_256_bytes() {
    assert_eq!(limits::MAX_KID_BYTES, 256);
    let (longest, longer) = ("k".repeat(limits::MAX_KID_BYTES), "k".repeat(limits::MAX_KID_BYTES + 1));
    let jwk = |kid: &str| {
        let mut jwk = key_a().jwk();
        jwk["kid"] = kid.into();
        jwk
    };
    let text = Mint::access(key_a()).header("kid", longest.as_str()).text();
    assert!(verify(&access_policy(), &set([jwk(&longest)]), &text).is_ok());
    assert_eq!(verdict(&Mint::access(key_a()).header("kid", longer.as_str())), malformed(Malformed::HeaderParameter));
    assert_eq!(set([jwk(&longer), key_a().jwk()]).skipped(), [InvalidJwk::Malformed]);
    // Bytes, not characters.
    let wide = "é".repeat(limits::MAX_KID_BYTES / 2);
    let text = Mint::access(key_a()).header("kid", wide.as_str()).text();
    assert!(verify(&access_policy(), &set([jwk(&wide)]), &text).is_ok());
    assert_eq!(verdict(&Mint::access(key_a()).header("kid", wide + "k")), malformed(Malformed::HeaderParameter));
}

#[test]
fn a_header_is_at_most_16_levels_deep() {
    let with = |levels: usize| verdict(&Mint::access(key_a()).splice_header(&format!(r#""x":{}"#, nested(levels - 1))));
    assert_eq!(limits::MAX_HEADER_DEPTH, 16);
    assert_eq!(with(limits::MAX_HEADER_DEPTH), Ok(()));
    assert_eq!(with(limits::MAX_HEADER_DEPTH + 1), malformed(Malformed::Header));
}

#[test]
fn claims_are_at_most_64_levels_deep() {
    let with = |levels: usize| verdict(&Mint::access(key_a()).splice_claims(&format!(r#""x":{}"#, nested(levels - 1))));
    assert_eq!(limits::MAX_CLAIMS_DEPTH, 64);
    assert_eq!(with(limits::MAX_CLAIMS_DEPTH), Ok(()));
    assert_eq!(with(limits::MAX_CLAIMS_DEPTH + 1), malformed(Malformed::Claims));
}

#[test]
fn depth_counts_levels_and_not_what_is_on_them() {
    let parse = |text: &str| Document::parse(text.as_bytes().to_vec(), 3).map(drop);
    assert_eq!(parse(r#"{"a":[[],[],[]],"b":{"c":[]},"d":[{}]}"#), Ok(()));
    assert_eq!(parse(r#"{"a":[[]],"b":[[1,{}]]}"#), Err(JsonError::TooDeep));
    assert_eq!(parse(r#"{"a":[{"b":[]}]}"#), Err(JsonError::TooDeep));
    assert_eq!(Document::parse(b"{}".to_vec(), 0).map(drop), Err(JsonError::TooDeep));
}

#[test]
fn an_object_has_at_most_4096_members() {
    assert_eq!(limits::MAX_OBJECT_MEMBERS, 4096);
    let limit = limits::MAX_OBJECT_MEMBERS;
    let parse = |text: String| Document::parse(text.into(), 8).map(drop);
    for text in ["{@}", r#"{"x":{@}}"#, r#"{"x":[{"y":{@}}]}"#] {
        assert_eq!(parse(text.replace('@', &members(limit))), Ok(()), "{text}");
        assert_eq!(parse(text.replace('@', &members(limit + 1))), Err(JsonError::TooManyMembers), "{text}");
    }
    // Siblings count for themselves.
    assert_eq!(parse(format!(r#"{{"x":{{{}}},"y":{{{}}}}}"#, members(limit), members(limit))), Ok(()));

    // In a token, its length is the limit: some have hundreds of clients in one claim.
    assert_eq!(verdict(&Mint::access(key_a()).splice_claims(&members(1000))), Ok(()));
}

#[test]
fn a_key_set_has_at_most_512_kib() {
    assert_eq!(limits::MAX_KEY_SET_BYTES, 512 * 1024);
    let parse = |len| JwkSet::parse(&padded(set_text([key_a().jwk()]).as_bytes(), len)).map(drop);
    assert_eq!(parse(limits::MAX_KEY_SET_BYTES), Ok(()));
    assert_eq!(parse(limits::MAX_KEY_SET_BYTES + 1), Err(InvalidJwkSet::TooLarge));
}

#[test]
fn a_key_set_has_at_most_1000_keys() {
    assert_eq!(limits::MAX_KEYS_PER_SET, 1000);
    let parse = |count| {
        let others = std::iter::repeat_n(json!({"kty": "AKP"}), count - 1);
        JwkSet::parse(set_text(others.chain([key_a().jwk()])).as_bytes())
    };
    assert_eq!(parse(limits::MAX_KEYS_PER_SET).unwrap().skipped().len(), 999);
    assert_eq!(parse(limits::MAX_KEYS_PER_SET + 1).map(drop), Err(InvalidJwkSet::TooManyKeys));
    let usable = (0..1000).map(|n| {
        let mut jwk = key_a().jwk();
        jwk["kid"] = n.to_string().into();
        jwk
    });
    assert_eq!(set(usable).keys().len(), 1000);
}

#[test]
fn a_key_has_at_most_16_operations() {
    assert_eq!(limits::MAX_KEY_OPERATIONS, 16);
    let with = |count: usize| {
        let mut jwk = key_a().jwk();
        let others = (1..count).map(|number| format!("{number:x}"));
        jwk["key_ops"] = others.chain(["verify".into()]).collect::<Vec<_>>().into();
        JwkSet::read(set_text([jwk]).as_bytes(), limits::MAX_MODULUS_BITS).unwrap()
    };
    assert_eq!(with(limits::MAX_KEY_OPERATIONS).keys().len(), 1);
    // Past the limit the list is not searched, even one that fills the largest document.
    for count in [limits::MAX_KEY_OPERATIONS + 1, 60_000] {
        assert_eq!(with(count).skipped(), [InvalidJwk::NotForVerification], "{count}");
    }
}

fn document(body: Vec<u8>) -> Incoming {
    Incoming { status: 200, content_type: Some("application/json".into()), body, ..Incoming::default() }
}

const OPENID: &str = "https://tenant.example.com/.well-known/openid-configuration";

#[test]
fn a_discovery_document_has_at_most_512_kib() {
    assert_eq!((limits::MAX_PROVIDER_BODY_BYTES, limits::MAX_KEY_SET_BYTES), (64 * 1024, 512 * 1024));
    let text = json!({"issuer": ISSUER, "jwks_uri": "https://keys.example.com/jwks"}).to_string();
    for (len, is_read) in [(limits::MAX_KEY_SET_BYTES, true), (limits::MAX_KEY_SET_BYTES + 1, false)] {
        let verifier = Verifier::new(access_policy(), KeyCache::new(ISSUER, KeySource::Discovery));
        let host = VirtualHost::default();
        host.answer(OPENID, document(padded(text.as_bytes(), len)));
        let error = host.run(verifier.load(&host)).unwrap_err().error;
        if is_read {
            assert_eq!(error, KeysError::JwksUnreachable);
            assert_eq!(host.seen().urls(), [OPENID, "https://keys.example.com/jwks"]);
        } else {
            assert_eq!(error, KeysError::DiscoveryInvalid);
            assert_eq!(host.seen().urls(), [OPENID]);
        }
    }
}

#[test]
fn the_shell_is_told_to_cut_answers_off_at_512_kib_and_after_three_seconds() {
    let verifier = Verifier::new(access_policy(), KeyCache::new(ISSUER, KeySource::Discovery));
    let host = VirtualHost::default();
    assert!(host.run(verifier.load(&host)).is_err());
    let seen = host.seen();
    let request = &seen.sent[0].request;
    assert_eq!((request.max_body_bytes, request.timeout_ms), (512 * 1024, 3000));
}

#[test]
fn a_request_fetches_at_most_twice() {
    assert_eq!(limits::MAX_FETCHES_PER_REQUEST, 2);
    // Each fetch is cancelled after the provider was contacted, so that the next check finds no keys, no failure and no lease.
    let verifier = Verifier::new(access_policy(), KeyCache::new(ISSUER, KeySource::Uri(JWKS_URI.into())));
    let host = VirtualHost::default();
    host.delay_answers(JWKS_URI, Delay::Forever);
    let text = Mint::access(key_a()).text();
    let mut tasks = host.tasks();
    let request = tasks.start(verifier.verify(&text, &host));
    for fetch in 1..=2 {
        tasks.settle();
        assert!(tasks.output(request).is_none(), "fetch {fetch}");
        assert_eq!(host.seen().sent.len(), fetch);
        host.kill_jobs();
    }
    tasks.settle();
    assert!(matches!(tasks.output(request), Some(Err(VerificationError::Unavailable(_)))));
    assert_eq!(host.seen().sent.len(), 2);
}

#[test]
fn a_modulus_has_2048_to_8192_bits() {
    let odd = |bits: usize| {
        let mut n = vec![0xff; bits.div_ceil(8)];
        n[0] >>= n.len() * 8 - bits;
        n[1] = 0x5a;
        n
    };
    let new = |bits| PublicKey::new(&odd(bits), &[1, 0, 1]).map(|key| (key.bits(), key.size()));
    assert_eq!((limits::MIN_MODULUS_BITS, limits::MAX_MODULUS_BITS), (2048, 8192));
    assert_eq!(new(2047).unwrap_err(), InvalidKey::ModulusTooSmall { bits: 2047 });
    assert_eq!(new(2048), Ok((2048, 256)));
    assert_eq!(new(2049), Ok((2049, 257)));
    assert_eq!(new(8191), Ok((8191, 1024)));
    assert_eq!(new(8192), Ok((8192, 1024)));
    assert_eq!(new(8193).unwrap_err(), InvalidKey::ModulusTooLarge { bits: 8193 });
    assert_eq!(limits::GATEWAY_MAX_MODULUS_BITS, 4096);
}

#[test]
fn an_exponent_has_at_most_33_bits_and_is_at_least_3() {
    let new = |e: u64| PublicKey::new(&key_a().n(), &e.to_be_bytes()).map(|key| key.e());
    assert_eq!(limits::MAX_EXPONENT_BITS, 33);
    for e in [3, 5, 17, 65537, (1 << 32) + 1, (1 << 33) - 1] {
        assert_eq!(new(e), Ok(e));
    }
    for e in [0, 1, 2, 4, 65536, (1 << 33) - 2, 1 << 33, (1 << 33) + 1, (1 << 34) - 1, u64::MAX] {
        assert_eq!(new(e), Err(InvalidKey::ExponentInvalid), "{e}");
    }
}

#[test]
fn the_clock_skew_is_at_most_a_minute() {
    assert_eq!((limits::DEFAULT_CLOCK_SKEW_S, limits::MAX_CLOCK_SKEW_S), (5, 60));
    assert!(access_policy().clock_skew_s(0).is_ok());
    assert!(access_policy().clock_skew_s(60).is_ok());
    assert_eq!(access_policy().clock_skew_s(61).unwrap_err(), InvalidPolicy::ClockSkewTooLarge);
    assert_eq!(access_policy().clock_skew_s(u32::MAX).unwrap_err(), InvalidPolicy::ClockSkewTooLarge);
}

#[test]
fn a_date_is_at_most_the_end_of_the_year_9999() {
    let with = |exp: &str| verdict(&Mint::access(key_a()).without("exp").splice_claims(&format!(r#""exp":{exp}"#)));
    assert_eq!(with("253402300799"), Ok(()));
    let refused = Err(VerifyError::ClaimMalformed { claim: ClaimName::Registered("exp") });
    assert_eq!(with("253402300800"), refused);
}

#[test]
fn instants_saturate_instead_of_wrapping() {
    assert_eq!(UnixTime::from_secs(i64::MAX).millis(), i64::MAX);
    assert_eq!(UnixTime::from_secs(i64::MIN).millis(), i64::MIN);
    assert_eq!(UnixTime::from_millis(-1).secs(), -1);
}
