//! The errors: every code is stable, unique and readable, and no message repeats a token's content.

use std::collections::BTreeSet;
use std::error::Error as _;

use edgeward::VerificationError;
use edgeward::error::{
    AudienceHint, CertificateError, ClaimName, Forbidden, Malformed, Mismatch, ProofError, TokenKind, VerifyError,
};
use edgeward::jwk::{InvalidJwk, InvalidJwkSet, InvalidSigningKey, KeysError, KeysUnavailable};
use edgeward::jwt::{Algorithm, InvalidPolicy};

/// Further forms of errors, with texts of their own.
fn forms() -> Vec<VerifyError> {
    let mismatch = || support::mismatch(&["expected"], &["found"]);
    let kind = |expected, actual| VerifyError::TokenKindMismatch { expected, actual };
    let audience = |hint| VerifyError::AudienceMismatch { mismatch: mismatch(), hint };
    vec![
        VerifyError::AsyncRequired { algorithm: None },
        kind(TokenKind::Access, Some(TokenKind::Id)),
        kind(TokenKind::Id, None),
        kind(TokenKind::Id, Some(TokenKind::Access)),
        audience(AudienceHint::IdToken),
        audience(AudienceHint::LoginClient),
        audience(AudienceHint::Untrusted),
        audience(AudienceHint::Unexpected),
        VerifyError::Proof(ProofError::AlgNotAllowed),
        VerifyError::Proof(ProofError::KeyInvalid),
        VerifyError::Proof(ProofError::KeyMismatch),
        VerifyError::Proof(ProofError::SignatureInvalid),
        VerifyError::Proof(ProofError::MethodMismatch),
        VerifyError::Proof(ProofError::UrlMismatch),
        VerifyError::Proof(ProofError::TokenMismatch),
        VerifyError::Proof(ProofError::Expired),
        VerifyError::Proof(ProofError::IssuedInFuture),
    ]
}

/// Every error.
fn all() -> Vec<VerifyError> {
    let claim = || ClaimName::Registered("exp");
    let mismatch = || support::mismatch(&["expected"], &["found"]);
    vec![
        VerifyError::TokenTooLarge { bytes: 1 },
        VerifyError::TokenMalformed(Malformed::Parts),
        VerifyError::TokenEncrypted,
        VerifyError::DecryptionFailed,
        VerifyError::AlgNotAllowed { allowed: vec![Algorithm::Rs256], got: None },
        VerifyError::CritNotSupported,
        VerifyError::B64NotSupported,
        VerifyError::KeyNotFound,
        VerifyError::KeyAmbiguous,
        VerifyError::KeyAlgMismatch { token: Algorithm::Rs256, key: Some(Algorithm::Ps256) },
        VerifyError::AsyncRequired { algorithm: Some(Algorithm::Es256) },
        VerifyError::SignatureInvalid,
        VerifyError::TypNotAllowed(mismatch()),
        VerifyError::TokenKindMismatch { expected: TokenKind::Access, actual: None },
        VerifyError::ClaimMalformed { claim: claim() },
        VerifyError::ClaimMissing { claim: claim() },
        VerifyError::ClaimMismatch { claim: claim(), mismatch: mismatch() },
        VerifyError::IssuerMismatch(mismatch()),
        VerifyError::AudienceMismatch { mismatch: mismatch(), hint: AudienceHint::None },
        VerifyError::TokenExpired { exp: 1, now: 2 },
        VerifyError::TokenNotYetValid { nbf: 2, now: 1 },
        VerifyError::TokenIssuedInFuture { iat: 2, now: 1 },
        VerifyError::TokenTooOld { iat: 1, max_age_s: 1 },
        VerifyError::TokenSenderConstrained,
        VerifyError::TokenNotBound,
        VerifyError::Proof(ProofError::Missing),
        VerifyError::Proof(ProofError::Malformed),
        VerifyError::Proof(ProofError::NonceRequired),
        VerifyError::Proof(ProofError::Replayed),
        VerifyError::Certificate(CertificateError::Missing),
        VerifyError::Certificate(CertificateError::NotVerified),
        VerifyError::Certificate(CertificateError::Mismatch),
        VerifyError::NonceMismatch,
        VerifyError::AzpMismatch(mismatch()),
        VerifyError::AtHashMismatch,
        VerifyError::ClientNotAllowed(mismatch()),
        VerifyError::Forbidden(Forbidden::Scope),
        VerifyError::Forbidden(Forbidden::Permission { claim_missing: false }),
        VerifyError::Forbidden(Forbidden::Permission { claim_missing: true }),
        VerifyError::Forbidden(Forbidden::Role { claim_missing: false }),
        VerifyError::Forbidden(Forbidden::Role { claim_missing: true }),
        VerifyError::Forbidden(Forbidden::Organization),
        VerifyError::Forbidden(Forbidden::Audience),
        VerifyError::Forbidden(Forbidden::Claim(claim())),
    ]
}

const KEYS_ERRORS: [KeysError; 7] = [
    KeysError::JwksUnreachable,
    KeysError::JwksInvalid,
    KeysError::JwksNoUsableKey,
    KeysError::DiscoveryUnreachable,
    KeysError::DiscoveryInvalid,
    KeysError::DiscoveryIssuerMismatch,
    KeysError::AlgorithmUnsupported,
];

fn codes() -> Vec<&'static str> {
    all().iter().map(VerifyError::code).chain(KEYS_ERRORS.map(KeysError::code)).collect()
}

#[test]
fn codes_are_unique_and_snake_case() {
    let codes = codes();
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
    for code in codes {
        assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'), "{code}");
        assert!(!code.starts_with('_') && !code.ends_with('_') && !code.contains("__"), "{code}");
    }
}

#[test]
fn no_code_is_left_out_here() {
    let source = [
        include_str!("../../src/error.rs"),
        include_str!("../../src/jwk/fetch.rs"),
        include_str!("../../src/discovery.rs"),
    ]
    .concat();
    let codes_only: String =
        source.split("const fn code(").skip(1).filter_map(|rest| rest.split("\n    }\n").next()).collect();
    let in_source = codes_only.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next());
    let in_source: BTreeSet<&str> = in_source.filter(|text| !text.is_empty() && !text.contains(' ')).collect();
    assert_eq!(in_source, codes().into_iter().collect());
}

#[test]
fn texts_start_in_lower_case_and_end_without_a_stop() {
    let errors = [all(), forms()].concat();
    let texts =
        errors.iter().map(ToString::to_string).chain(KEYS_ERRORS.iter().map(ToString::to_string)).collect::<Vec<_>>();
    assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), texts.len(), "no two errors read the same");
    for text in texts {
        assert!(text.starts_with(|first: char| first.is_lowercase()) && !text.ends_with('.'), "{text}");
    }
}

#[test]
fn an_error_shows_what_was_expected_and_not_what_was_found() {
    let Mismatch { expected, found } = support::mismatch(&["ours"], &["theirs"]);
    assert_eq!((expected, found), (vec!["ours".into()], vec!["theirs".into()]), "both values are accessible");
    for error in [all(), forms()].concat() {
        let said = format!("{error} {error:?}");
        // An audience that is not trusted is named: it is not the user's, and nothing else tells what to trust.
        let is_named = matches!(error, VerifyError::AudienceMismatch { hint: AudienceHint::Untrusted, .. });
        assert_eq!(said.contains("found"), is_named, "{said}");
    }
    assert!(format!("{:?}", VerifyError::IssuerMismatch(support::mismatch(&["ours"], &[]))).contains("ours"));
}

#[test]
fn every_error_displays_its_message() {
    let key = [
        InvalidJwk::NotAnObject,
        InvalidJwk::KeyTypeUnsupported,
        InvalidJwk::CurveUnsupported,
        InvalidJwk::AlgMismatch,
        InvalidJwk::PointInvalid,
        InvalidJwk::NotForSignatures,
        InvalidJwk::NotForVerification,
        InvalidJwk::AlgUnsupported,
        InvalidJwk::Private,
        InvalidJwk::Malformed,
        InvalidJwk::DuplicateName,
        InvalidJwk::ModulusOverConfiguredMaximum { bits: 4096 },
        InvalidJwk::Roca,
    ];
    let set = [
        InvalidJwkSet::TooLarge,
        InvalidJwkSet::NotJson,
        InvalidJwkSet::NoKeys,
        InvalidJwkSet::TooManyKeys,
        InvalidJwkSet::NoUsableKey,
    ];
    let signing = [
        InvalidSigningKey::NotAKey,
        InvalidSigningKey::NotPkcs8,
        InvalidSigningKey::Incomplete,
        InvalidSigningKey::Public,
        InvalidSigningKey::NotForSigning,
        InvalidSigningKey::Key(InvalidJwk::Roca),
    ];
    let pairs = key.iter().map(|error| (error.to_string(), error.message().to_string()));
    let pairs = pairs.chain(set.iter().map(|error| (error.to_string(), error.message().to_string())));
    let pairs: Vec<_> =
        pairs.chain(signing.iter().map(|error| (error.to_string(), error.message().to_string()))).collect();
    assert!(pairs.iter().all(|(shown, message)| shown == message), "{pairs:?}");
    let policy = [
        InvalidPolicy::NoIssuer,
        InvalidPolicy::NoAudience,
        InvalidPolicy::NoClient,
        InvalidPolicy::NoAlgorithms,
        InvalidPolicy::ClockSkewTooLarge,
    ];
    let texts: BTreeSet<String> =
        pairs.into_iter().map(|(shown, _)| shown).chain(policy.iter().map(ToString::to_string)).collect();
    assert_eq!(texts.len(), key.len() + set.len() + signing.len() + policy.len(), "no two read the same: {texts:?}");
    assert!(texts.iter().all(|text| text.contains(' ')), "{texts:?}");
}

#[test]
fn the_error_of_a_verifier_is_that_of_the_token_or_of_the_keys() {
    let unavailable = KeysUnavailable { error: KeysError::JwksUnreachable, reason: None, retry_after_s: 1 };
    let message = KeysError::JwksUnreachable.message();
    assert_eq!(unavailable.to_string(), message);
    for (error, message) in [
        (VerificationError::Unavailable(unavailable), message.to_owned()),
        (VerificationError::Refused(VerifyError::KeyNotFound), VerifyError::KeyNotFound.to_string()),
    ] {
        assert_eq!(error.to_string(), message);
        assert_eq!(error.source().map(ToString::to_string), Some(message));
    }
}
