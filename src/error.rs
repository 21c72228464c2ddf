//! The reasons to refuse a token: one variant per broken rule, each with a stable code.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::algorithm::Algorithm;
use crate::limits;
use crate::text::{concat, decimal, signed_decimal};

/// The reason why a token was refused.
///
/// Variants carry the values that were compared, but never the text of the token, a nonce or a hash.
///
/// ```
/// use edgeward::error::VerifyError;
/// use edgeward::jwt::UntrustedToken;
///
/// let error = UntrustedToken::parse("opaque-token").err();
/// assert_eq!(error.as_ref().map(VerifyError::code), Some("token_malformed"));
/// assert_eq!(error.unwrap().to_string(), "token is malformed: not three parts separated by dots");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// Longer than [`crate::limits::MAX_TOKEN_BYTES`].
    TokenTooLarge {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Not a compact JWS whose header and claims are JSON objects.
    TokenMalformed(Malformed),
    /// Five parts: an encrypted token (JWE, RFC 7516), which there is no key for.
    TokenEncrypted,
    /// An encrypted token that cannot be decrypted: by its header, its key or its content.
    DecryptionFailed,
    /// The header names an algorithm that the policy does not allow.
    AlgNotAllowed {
        /// The policy's algorithms.
        allowed: Vec<Algorithm>,
        /// The token's algorithm, if it is a supported one.
        got: Option<Algorithm>,
    },
    /// The header has `crit` (RFC 7515 §4.1.11): no extension is supported.
    CritNotSupported,
    /// The header has `b64` (RFC 7797): unencoded payloads are not supported.
    B64NotSupported,
    /// No usable key has the token's `kid`.
    KeyNotFound,
    /// The token has no `kid` and the set has several usable keys, or several keys share the `kid`.
    KeyAmbiguous,
    /// The key is of another type, or published for another algorithm.
    KeyAlgMismatch {
        /// The token's algorithm.
        token: Algorithm,
        /// The key's algorithm; `None` for a key of any algorithm of RSA.
        key: Option<Algorithm>,
    },
    /// Only a host can verify the signature or decrypt the token, and the call does not wait for one.
    AsyncRequired {
        /// The algorithm of the signature; `None` for an encrypted token.
        algorithm: Option<Algorithm>,
    },
    /// The signature does not verify with the key.
    SignatureInvalid,
    /// The header's `typ` is not allowed for this kind of token.
    TypNotAllowed(Mismatch),
    /// A token of another kind: an ID token where an access token is expected, or the reverse.
    TokenKindMismatch {
        /// The kind that was expected.
        expected: TokenKind,
        /// The kind that the token shows itself to be; `None` for any further kind, such as a logout token.
        actual: Option<TokenKind>,
    },
    /// A claim has a type or value that is not allowed.
    ClaimMalformed {
        /// Its name.
        claim: ClaimName,
    },
    /// A claim that the policy requires is absent.
    ClaimMissing {
        /// Its name.
        claim: ClaimName,
    },
    /// A claim has another value than the policy requires.
    ClaimMismatch {
        /// Its name.
        claim: ClaimName,
        /// The required and the found value; nothing was found if the claim is not a string.
        mismatch: Mismatch,
    },
    /// `iss` is not the expected issuer.
    IssuerMismatch(Mismatch),
    /// `aud` does not contain an expected audience.
    AudienceMismatch {
        /// The accepted audiences, and the token's.
        mismatch: Mismatch,
        /// What the token shows beside that.
        hint: AudienceHint,
    },
    /// `exp` has passed.
    TokenExpired {
        /// `exp`, in whole seconds.
        exp: i64,
        /// The current time, in seconds.
        now: i64,
    },
    /// `nbf` is in the future.
    TokenNotYetValid {
        /// `nbf`, in whole seconds.
        nbf: i64,
        /// The current time, in seconds.
        now: i64,
    },
    /// `iat` is in the future.
    TokenIssuedInFuture {
        /// `iat`, in whole seconds.
        iat: i64,
        /// The current time, in seconds.
        now: i64,
    },
    /// Issued longer ago than the policy's maximum age.
    TokenTooOld {
        /// `iat`, in whole seconds.
        iat: i64,
        /// The maximum age, in seconds.
        max_age_s: u32,
    },
    /// The token is bound to its sender (`cnf`, RFC 8705 and RFC 9449) in a way for which no proof is accepted, or has come without one.
    TokenSenderConstrained,
    /// The token is not bound to its sender, and must be: proofs are required, or the request has one.
    TokenNotBound,
    /// The proof of possession is missing or refused (RFC 9449 §4.3).
    Proof(ProofError),
    /// The token is bound to a certificate that the connection's client does not have (RFC 8705 §3).
    Certificate(CertificateError),
    /// The ID token's `nonce` is not the one that was sent.
    NonceMismatch,
    /// `azp` is not the client.
    AzpMismatch(Mismatch),
    /// `at_hash` is not the hash of the access token.
    AtHashMismatch,
    /// The token was issued to a client that is not allowed.
    ClientNotAllowed(Mismatch),
    /// The token lacks a right that a route or policy requires.
    Forbidden(Forbidden),
}

/// The expected and the found values, to diagnose a configuration.
///
/// Found values come from the token, possibly an unverified one: but for an audience of a verified ID token that is not trusted, they are
/// never part of a message, a response or a header.
#[derive(Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The values any of which would have been accepted.
    pub expected: Vec<String>,
    /// The values in the token.
    pub found: Vec<String>,
}

impl fmt::Debug for Mismatch {
    /// Omits the found values: claims are personal data, and errors are logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mismatch").field("expected", &self.expected).finish_non_exhaustive()
    }
}

impl Mismatch {
    #[cold]
    #[inline(never)]
    pub(crate) fn new(expected: &[&str], found: &[&str]) -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.into()).collect();
        Self { expected: owned(expected), found: owned(found) }
    }

    /// Returns the first found value that is not expected, if a message can show it.
    fn untrusted(&self) -> Option<&str> {
        let value = self.found.iter().find(|found| !self.expected.contains(found))?;
        let is_short = value.len() <= limits::MAX_SHOWN_VALUE_BYTES;
        (is_short && value.bytes().all(|byte| byte.is_ascii_graphic())).then_some(value)
    }
}

/// Why a proof of possession is refused (RFC 9449 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProofError {
    /// There is none.
    Missing,
    /// Not one JWS of the type `dpop+jwt` with the required claims, within the limits.
    Malformed,
    /// Its algorithm is not an accepted one.
    AlgNotAllowed,
    /// Its `jwk` is not an acceptable public key of the algorithm.
    KeyInvalid,
    /// Its key is not the one that the token is bound to.
    KeyMismatch,
    /// Its signature is not genuine.
    SignatureInvalid,
    /// It is for another method.
    MethodMismatch,
    /// It is for another URL.
    UrlMismatch,
    /// It is for another token.
    TokenMismatch,
    /// It is too old.
    Expired,
    /// It was issued in the future.
    IssuedInFuture,
    /// It has no nonce of the server, or an old one.
    NonceRequired,
    /// It was used before.
    Replayed,
}

/// Why a client has not proved to have the certificate that a token is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateError {
    /// It has presented none.
    Missing,
    /// The certificate was not verified, or is revoked.
    NotVerified,
    /// The token is bound to another certificate.
    Mismatch,
}

/// The way in which a token's form is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// Not exactly three parts.
    Parts,
    /// A part is not canonical base64url.
    Base64Url,
    /// The header is longer than [`crate::limits::MAX_HEADER_BYTES`], or has more than [`crate::limits::MAX_HEADER_VALUES`] names and values.
    HeaderTooLarge,
    /// The header is not a JSON object without duplicate names, within the limits.
    Header,
    /// A header parameter has the wrong type or is too long.
    HeaderParameter,
    /// The claims are not a JSON object without duplicate names, within the limits.
    Claims,
}

/// A kind of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// An OAuth 2.0 access token in JWT form.
    Access,
    /// An OpenID Connect ID token.
    Id,
}

/// What a token for another audience shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AudienceHint {
    /// Nothing more.
    None,
    /// The token is an ID token, by a mark or by claims that only ID tokens have.
    IdToken,
    /// The audience is the login client.
    LoginClient,
    /// The audience is the client, and another one that is not trusted.
    Untrusted,
    /// Only tokens without an audience are accepted.
    Unexpected,
}

/// The name of a claim: a registered one, or one that a policy requires.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimName {
    /// A name from a specification.
    Registered(&'static str),
    /// A name from the policy.
    Configured(String),
}

impl ClaimName {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Registered(name) => name,
            Self::Configured(name) => name,
        }
    }
}

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A right that the token lacks. The caller is authenticated, so the status is 403.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forbidden {
    /// A required scope is missing.
    Scope,
    /// A required permission is missing.
    Permission {
        /// The token has no `permissions` claim at all.
        claim_missing: bool,
    },
    /// A required role is missing.
    Role {
        /// The token has no roles claim at all.
        claim_missing: bool,
    },
    /// The token is not of a required organization.
    Organization,
    /// The token is not for the audience that the route requires.
    Audience,
    /// A claim does not have a required value.
    Claim(ClaimName),
}

impl VerifyError {
    #[cold]
    #[inline(never)]
    pub(crate) const fn claim_malformed(name: &'static str) -> Self {
        Self::ClaimMalformed { claim: ClaimName::Registered(name) }
    }

    #[cold]
    #[inline(never)]
    pub(crate) const fn claim_missing(name: &'static str) -> Self {
        Self::ClaimMissing { claim: ClaimName::Registered(name) }
    }

    /// Returns the stable code of this error, in snake case. Codes never change once published.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TokenTooLarge { .. } => "token_too_large",
            Self::TokenMalformed(_) => "token_malformed",
            Self::TokenEncrypted => "token_encrypted",
            Self::DecryptionFailed => "decryption_failed",
            Self::AlgNotAllowed { .. } => "alg_not_allowed",
            Self::CritNotSupported => "crit_not_supported",
            Self::B64NotSupported => "b64_not_supported",
            Self::KeyNotFound => "key_not_found",
            Self::KeyAmbiguous => "key_ambiguous",
            Self::KeyAlgMismatch { .. } => "key_alg_mismatch",
            Self::AsyncRequired { .. } => "async_required",
            Self::SignatureInvalid => "signature_invalid",
            Self::TypNotAllowed(_) => "typ_not_allowed",
            Self::TokenKindMismatch { .. } => "token_kind_mismatch",
            Self::ClaimMalformed { .. } => "claim_malformed",
            Self::ClaimMissing { .. } => "claim_missing",
            Self::ClaimMismatch { .. } => "claim_mismatch",
            Self::IssuerMismatch(_) => "issuer_mismatch",
            Self::AudienceMismatch { .. } => "audience_mismatch",
            Self::TokenExpired { .. } => "token_expired",
            Self::TokenNotYetValid { .. } => "token_not_yet_valid",
            Self::TokenIssuedInFuture { .. } => "token_issued_in_future",
            Self::TokenTooOld { .. } => "token_too_old",
            Self::TokenSenderConstrained => "token_sender_constrained",
            Self::TokenNotBound => "token_not_bound",
            Self::Proof(error) => error.code(),
            Self::Certificate(error) => error.code(),
            Self::NonceMismatch => "nonce_mismatch",
            Self::AzpMismatch(_) => "azp_mismatch",
            Self::AtHashMismatch => "at_hash_mismatch",
            Self::ClientNotAllowed(_) => "client_not_allowed",
            Self::Forbidden(forbidden) => forbidden.code(),
        }
    }
}

impl ProofError {
    /// Returns the stable code of this error.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "dpop_proof_missing",
            Self::NonceRequired => "dpop_nonce_required",
            Self::Replayed => "dpop_proof_replayed",
            _ => "dpop_proof_invalid",
        }
    }

    /// Returns the error message.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Missing => "the header DPoP with a proof is missing",
            Self::Malformed => {
                "the header DPoP is not one proof: a JWT of the type dpop+jwt with jti, htm, htu, iat, ath"
            }
            Self::AlgNotAllowed => "the proof's algorithm is not one of the accepted ones",
            Self::KeyInvalid => "the proof's jwk is not an acceptable public key of its algorithm",
            Self::KeyMismatch => "the proof's key is not the one that the token is bound to",
            Self::SignatureInvalid => "the proof's signature is invalid",
            Self::MethodMismatch => "the proof's htm is not the method of the request",
            Self::UrlMismatch => "the proof's htu is not the URL of the request",
            Self::TokenMismatch => "the proof's ath is not the hash of the token",
            Self::Expired => "the proof is too old",
            Self::IssuedInFuture => "the proof was issued in the future",
            Self::NonceRequired => "the proof needs the nonce in the header DPoP-Nonce",
            Self::Replayed => "the proof was used before",
        }
    }
}

impl From<ProofError> for VerifyError {
    fn from(error: ProofError) -> Self {
        Self::Proof(error)
    }
}

impl CertificateError {
    /// Returns the stable code of this error.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "certificate_missing",
            Self::NotVerified => "certificate_not_verified",
            Self::Mismatch => "certificate_mismatch",
        }
    }

    /// Returns the error message.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Missing => "token is bound to a certificate, and the client has presented none",
            Self::NotVerified => "token is bound to a certificate, and the client's was not verified",
            Self::Mismatch => "token is bound to another certificate than the client's",
        }
    }
}

impl Forbidden {
    /// The stable name of this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Scope => "insufficient_scope",
            Self::Permission { claim_missing: false } => "insufficient_permissions",
            Self::Permission { claim_missing: true } => "permissions_claim_missing",
            Self::Role { claim_missing: false } => "insufficient_role",
            Self::Role { claim_missing: true } => "roles_claim_missing",
            Self::Organization => "organization_not_allowed",
            Self::Audience => "audience_not_allowed",
            Self::Claim(_) => "claim_not_allowed",
        }
    }
}

impl VerifyError {
    /// Returns the claim that the error is about, if it is about one.
    #[must_use]
    pub fn claim(&self) -> Option<&str> {
        Some(match self {
            Self::ClaimMalformed { claim }
            | Self::ClaimMissing { claim }
            | Self::ClaimMismatch { claim, .. }
            | Self::Forbidden(Forbidden::Claim(claim)) => claim.as_str(),
            Self::IssuerMismatch(_) => "iss",
            Self::AudienceMismatch { .. } | Self::Forbidden(Forbidden::Audience) => "aud",
            Self::TokenExpired { .. } => "exp",
            Self::TokenNotYetValid { .. } => "nbf",
            Self::TokenIssuedInFuture { .. } | Self::TokenTooOld { .. } => "iat",
            Self::TokenSenderConstrained | Self::TokenNotBound | Self::Certificate(_) => "cnf",
            Self::NonceMismatch => "nonce",
            Self::AzpMismatch(_) => "azp",
            Self::AtHashMismatch => "at_hash",
            _ => return None,
        })
    }

    /// Returns the values that were compared, if any: the accepted ones, and the token's, which may be personal data.
    #[must_use]
    pub fn compared(&self) -> Option<(Vec<&str>, Vec<&str>)> {
        let Mismatch { expected, found } = match self {
            Self::AlgNotAllowed { allowed, got } => return Some((names(allowed), names(got.as_slice()))),
            Self::TypNotAllowed(mismatch)
            | Self::IssuerMismatch(mismatch)
            | Self::AzpMismatch(mismatch)
            | Self::ClientNotAllowed(mismatch)
            | Self::ClaimMismatch { mismatch, .. }
            | Self::AudienceMismatch { mismatch, .. } => mismatch,
            _ => return None,
        };
        Some((expected.iter().map(String::as_str).collect(), found.iter().map(String::as_str).collect()))
    }

    /// Returns the error message.
    #[must_use]
    pub fn message(&self) -> Cow<'static, str> {
        let whole = match self {
            Self::TokenTooLarge { bytes } => concat(&["token of ", &decimal(*bytes as u64), " bytes is too large"]),
            Self::TokenMalformed(malformed) => concat(&["token is malformed: ", malformed.message()]),
            Self::AlgNotAllowed { allowed, got: Some(got) } => concat(&[
                "algorithm ",
                got.name(),
                " is not one of the accepted algorithms: ",
                &names(allowed).join(", "),
            ]),
            Self::AudienceMismatch { mismatch, hint: AudienceHint::Untrusted } => match mismatch.untrusted() {
                Some(audience) => concat(&["claim aud also names ", audience, ", which is not trusted"]),
                None => return self.fixed_message().into(),
            },
            Self::KeyAlgMismatch { token, key } => concat(&[
                "token is signed with ",
                token.name(),
                ", its key is for ",
                key.map_or("RSA", Algorithm::name),
            ]),
            Self::AsyncRequired { algorithm: Some(algorithm) } => concat(&[
                "signatures with ",
                algorithm.name(),
                " are verified by the host, and this call does not wait",
            ]),
            Self::AsyncRequired { algorithm: None } => {
                concat(&["encrypted tokens are decrypted by the host, and this call does not wait"])
            }
            Self::ClaimMalformed { claim } => concat(&["claim ", claim.as_str(), " is malformed"]),
            Self::ClaimMissing { claim } => concat(&["claim ", claim.as_str(), " is missing"]),
            Self::ClaimMismatch { claim, .. } => {
                concat(&["claim ", claim.as_str(), " does not have the required value"])
            }
            Self::TokenExpired { exp, now } => times("expired at", *exp, now),
            Self::TokenNotYetValid { nbf, now } => times("is valid from", *nbf, now),
            Self::TokenIssuedInFuture { iat, now } => times("was issued at", *iat, now),
            Self::TokenTooOld { iat, max_age_s } => {
                let max_age_s = decimal(u64::from(*max_age_s));
                concat(&["token was issued at ", &signed_decimal(*iat), ", more than ", &max_age_s, " s ago"])
            }
            fixed => return fixed.fixed_message().into(),
        };
        whole.into()
    }

    /// Returns a message without values; empty for the other variants.
    const fn fixed_message(&self) -> &'static str {
        match self {
            Self::DecryptionFailed => "encrypted token cannot be decrypted",
            Self::TokenEncrypted => "token is encrypted (JWE), and no key to decrypt it is configured",
            Self::AlgNotAllowed { .. } => "the token's algorithm is not allowed",
            Self::CritNotSupported => "header parameter crit is not supported",
            Self::B64NotSupported => "header parameter b64 is not supported",
            Self::KeyNotFound => "no key of the issuer matches the token's kid",
            Self::KeyAmbiguous => "the token does not identify exactly one of the issuer's keys",
            Self::SignatureInvalid => "signature is invalid",
            Self::TypNotAllowed(_) => "header parameter typ is not allowed for this kind of token",
            Self::TokenKindMismatch { actual: Some(TokenKind::Id), .. } => "this is an ID token; send the access token",
            Self::TokenKindMismatch { actual: Some(TokenKind::Access), .. } => {
                "this is an access token, not an ID token"
            }
            Self::TokenKindMismatch { expected: TokenKind::Access, .. } => "this is not an access token",
            Self::TokenKindMismatch { expected: TokenKind::Id, .. } => "this is not an ID token",
            Self::IssuerMismatch(_) => "claim iss is not the expected issuer",
            Self::AudienceMismatch { hint: AudienceHint::None, .. } => {
                "claim aud does not contain the expected audience"
            }
            Self::AudienceMismatch { hint: AudienceHint::IdToken, .. } => {
                "claim aud is another audience, and this is an ID token; send the access token"
            }
            Self::AudienceMismatch { hint: AudienceHint::LoginClient, .. } => {
                "claim aud is the login client instead of the expected audience"
            }
            Self::AudienceMismatch { hint: AudienceHint::Untrusted, .. } => {
                "claim aud also names an audience that is not trusted"
            }
            Self::AudienceMismatch { hint: AudienceHint::Unexpected, .. } => {
                "claim aud is present, and only tokens without an audience are accepted"
            }
            Self::TokenSenderConstrained => "token is bound to its sender (cnf), and no proof of that is accepted here",
            Self::TokenNotBound => "token is not bound to its sender (cnf), which is required of it",
            Self::Proof(error) => error.message(),
            Self::Certificate(error) => error.message(),
            Self::NonceMismatch => "claim nonce is not the one that was sent",
            Self::AzpMismatch(_) => "claim azp is not the client",
            Self::AtHashMismatch => "claim at_hash does not match the access token",
            Self::ClientNotAllowed(_) => "token was issued to a client that is not allowed",
            Self::Forbidden(forbidden) => forbidden.message(),
            Self::TokenTooLarge { .. }
            | Self::TokenMalformed(_)
            | Self::KeyAlgMismatch { .. }
            | Self::AsyncRequired { .. }
            | Self::ClaimMalformed { .. }
            | Self::ClaimMissing { .. }
            | Self::ClaimMismatch { .. }
            | Self::TokenExpired { .. }
            | Self::TokenNotYetValid { .. }
            | Self::TokenIssuedInFuture { .. }
            | Self::TokenTooOld { .. } => "",
        }
    }
}

fn names(algorithms: &[Algorithm]) -> Vec<&'static str> {
    algorithms.iter().map(|algorithm| algorithm.name()).collect()
}

fn times(what: &str, claimed: i64, now: &i64) -> String {
    concat(&["token ", what, " ", &signed_decimal(claimed), ", it is ", &signed_decimal(*now)])
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl Malformed {
    /// Returns the error message.
    #[must_use]
    pub const fn message(&self) -> &'static str {
        match self {
            Self::Parts => "not three parts separated by dots",
            Self::Base64Url => "not canonical base64url",
            Self::HeaderTooLarge => "header too large",
            Self::Header => "header is not an acceptable JSON object",
            Self::HeaderParameter => "header parameter of the wrong type or length",
            Self::Claims => "claims are not an acceptable JSON object",
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl Forbidden {
    /// Returns the error message.
    #[must_use]
    pub const fn message(&self) -> &'static str {
        match self {
            Self::Scope => "token lacks a required scope",
            Self::Permission { claim_missing: false } => "token lacks a required permission",
            Self::Permission { claim_missing: true } => {
                "token has no permissions claim; at Auth0, enable RBAC and \"Add Permissions in the Access Token\" for the API"
            }
            Self::Role { claim_missing: false } => "token lacks a required role",
            Self::Role { claim_missing: true } => "token has no roles claim; add it to access tokens at the provider",
            Self::Organization => "token is not of a required organization",
            Self::Audience => "token is not for the required audience",
            Self::Claim(_) => "a claim of the token does not have a required value",
        }
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl core::error::Error for VerifyError {}
impl core::error::Error for Malformed {}
impl core::error::Error for Forbidden {}
