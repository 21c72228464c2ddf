//! Proofs of possession of a key (DPoP, RFC 9449): a client that has a token bound to its key signs each request.
//!
//! ```
//! use edgeward::dpop::{ProofRequest, UntrustedProof};
//! use edgeward::host::Host;
//! use edgeward::jwt::{Access, VerifiedToken};
//! use edgeward::jwk::KeyHost;
//! use edgeward::Verifier;
//!
//! /// Returns the token, and an id that no other request may have. `None` if the request is refused.
//! async fn authenticate(
//!     verifier: &Verifier, request: &ProofRequest<'_>, proof: &str, host: &impl KeyHost,
//! ) -> Option<(VerifiedToken<Access>, String)> {
//!     let token = verifier.verify_unconfirmed(request.access_token, host).await.ok()?;
//!     let proof = UntrustedProof::parse(proof, token.binding()?.key.as_ref()?).ok()?;
//!     proof.check_request(request).ok()?;
//!     proof.check_times(host.now()).ok()?;
//!     let proof = proof.verify(host).await.ok()?;
//!     Some((token.confirm(Some(proof.key()), None).ok()?, proof.id()))
//! }
//! ```

use alloc::string::String;

use crate::algorithm::Algorithm;
use crate::base64url;
use crate::crypto::sha256;
use crate::error::{ProofError, VerifyError};
use crate::host::{Host, SignatureVerdict};
use crate::io::UnixTime;
use crate::json::{Document, Value};
use crate::jwk::{KeysError, KeysUnavailable, VerifyingKey};
use crate::jwt::{Binding, UntrustedToken, parse_claims};
use crate::limits;
use crate::text::concat;
use crate::verifier::VerificationError;

/// The accepted algorithms, of each type of key.
const ALGORITHMS: [Algorithm; 4] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Ps256, Algorithm::Rs256];

/// The names of the accepted algorithms, as challenges list them (RFC 9449 §7.1).
pub const ALGORITHM_NAMES: &str = "ES256 EdDSA Ed25519 PS256 RS256";

/// Whether tokens that are bound in one way are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acceptance {
    /// None.
    #[default]
    Off,
    /// Beside tokens that are not.
    Allowed,
    /// No others.
    Required,
}

impl Acceptance {
    /// Returns the thumbprint of the key of which the request must have a proof, if the scheme and the binding of its token need one (RFC 9449 §7.1
    /// and §7.2). `has_scheme`: whether the token came with the scheme `DPoP`.
    ///
    /// # Errors
    /// If the token, the scheme and the proof do not belong together.
    pub fn key_to_prove(
        self,
        binding: Option<&Binding>,
        has_scheme: bool,
        has_proof: bool,
    ) -> Result<Option<[u8; 32]>, VerifyError> {
        let key = binding.and_then(|binding| binding.key);
        match (key, has_scheme, has_proof) {
            _ if self == Self::Off => Ok(None),
            // A bound token is never a bearer token.
            (Some(_), false, _) => Err(VerifyError::TokenSenderConstrained),
            (None, true, _) | (None, false, true) => Err(VerifyError::TokenNotBound),
            (None, false, false) if self == Self::Required => Err(VerifyError::TokenNotBound),
            (None, false, false) => Ok(None),
            (Some(_), true, false) => Err(ProofError::Missing.into()),
            (Some(key), true, true) => Ok(Some(key)),
        }
    }
}

/// The request that a proof is for.
#[derive(Clone, Copy)]
pub struct ProofRequest<'r> {
    /// Its method, exactly as received.
    pub method: &'r str,
    /// Its absolute URL, as the client sees it. Query and fragment do not count.
    pub url: &'r str,
    /// The access token that it carries.
    pub access_token: &'r str,
}

/// A well-formed proof by the expected key, with nothing verified.
pub struct UntrustedProof<'t> {
    token: UntrustedToken<'t>,
    algorithm: Algorithm,
    key: VerifyingKey,
    thumbprint: [u8; 32],
    claims: Document,
}

/// A proof whose signature was verified.
pub struct VerifiedProof {
    key: [u8; 32],
    id: [u8; 32],
    issued_at_s: i64,
}

impl<'t> UntrustedProof<'t> {
    /// Parses a proof (RFC 9449 §4.3): its form, its algorithm, and its key, which must have the thumbprint `key`.
    ///
    /// # Errors
    /// The first rule that the proof breaks.
    pub fn parse(text: &'t str, key: &[u8; 32]) -> Result<Self, ProofError> {
        let malformed = |_| ProofError::Malformed;
        if text.len() > limits::MAX_PROOF_BYTES {
            return Err(ProofError::Malformed);
        }
        let mut token = UntrustedToken::parse(text).map_err(malformed)?;
        let header = token.header();
        let is_proof = header.typ().is_some_and(|typ| typ.eq_ignore_ascii_case("dpop+jwt"));
        if !is_proof || header.has_extension() {
            return Err(ProofError::Malformed);
        }
        let algorithm = header.algorithm().filter(|algorithm| ALGORITHMS.contains(algorithm));
        let algorithm = algorithm.ok_or(ProofError::AlgNotAllowed)?;
        let jwk = header.jwk().ok_or(ProofError::KeyInvalid)?;
        let own = VerifyingKey::from_jwk(jwk, limits::MAX_PROOF_MODULUS_BITS).map_err(|_| ProofError::KeyInvalid)?;
        if !own.fits(algorithm) {
            return Err(ProofError::KeyInvalid);
        }
        let thumbprint = own.thumbprint_bytes();
        if thumbprint != *key {
            return Err(ProofError::KeyMismatch);
        }
        let claims = parse_claims(core::mem::take(&mut token.payload)).map_err(malformed)?;
        let proof = Self { token, algorithm, key: own, thumbprint, claims };
        let is_id = proof.text("jti").is_some_and(|id| (1..=limits::MAX_PROOF_ID_BYTES).contains(&id.len()));
        if is_id && proof.issued_at_s().is_some() { Ok(proof) } else { Err(ProofError::Malformed) }
    }

    /// Checks that it is for this request.
    ///
    /// # Errors
    /// If it is for another method, URL or token.
    pub fn check_request(&self, request: &ProofRequest<'_>) -> Result<(), ProofError> {
        if self.text("htm") != Some(request.method) {
            return Err(ProofError::MethodMismatch);
        }
        let own = normalized(self.text("htu").unwrap_or_default());
        if own.is_none() || own != normalized(request.url) {
            return Err(ProofError::UrlMismatch);
        }
        let hash = base64url::encode(&sha256(request.access_token.as_bytes()));
        if self.text("ath") == Some(&hash) { Ok(()) } else { Err(ProofError::TokenMismatch) }
    }

    /// Checks that it was made recently.
    ///
    /// # Errors
    /// If it is too old, or from the future.
    pub fn check_times(&self, now: UnixTime) -> Result<(), ProofError> {
        let age_s = now.secs().saturating_sub(self.issued_at_s().unwrap_or_default());
        if age_s > limits::MAX_PROOF_AGE_S {
            return Err(ProofError::Expired);
        }
        if age_s < -limits::MAX_PROOF_ADVANCE_S { Err(ProofError::IssuedInFuture) } else { Ok(()) }
    }

    /// Returns its nonce.
    #[must_use]
    pub fn nonce(&self) -> Option<&str> {
        self.text("nonce")
    }

    /// Verifies the signature.
    ///
    /// # Errors
    /// If it is not genuine, or the host cannot verify it.
    pub async fn verify(self, host: &impl Host) -> Result<VerifiedProof, VerificationError> {
        let Self { token, algorithm, key, thumbprint, claims } = self;
        let is_genuine = match token.verify_signature(&key, algorithm) {
            Ok(()) => true,
            Err(VerifyError::AsyncRequired { .. }) => {
                match host.verify_signature(token.signature_check(&key, algorithm)).await {
                    SignatureVerdict::Valid => true,
                    SignatureVerdict::Invalid | SignatureVerdict::KeyRefused => false,
                    SignatureVerdict::Unsupported => return Err(unsupported()),
                }
            }
            Err(_) => false,
        };
        if !is_genuine {
            return Err(VerificationError::Refused(ProofError::SignatureInvalid.into()));
        }
        let id = text_of(&claims, "jti").unwrap_or_default();
        let id = sha256(&[thumbprint.as_slice(), id.as_bytes()].concat());
        Ok(VerifiedProof { key: thumbprint, id, issued_at_s: issued_at_s(&claims).unwrap_or_default() })
    }

    fn text(&self, name: &str) -> Option<&str> {
        text_of(&self.claims, name)
    }

    fn issued_at_s(&self) -> Option<i64> {
        issued_at_s(&self.claims)
    }
}

impl VerifiedProof {
    /// Returns the thumbprint of its key.
    #[must_use]
    pub const fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// Returns a hash of its key and `jti`, which no other request may have (RFC 9449 §11.1).
    #[must_use]
    pub fn id(&self) -> String {
        base64url::encode(&self.id)
    }

    #[cfg(feature = "gateway")]
    pub(crate) const fn id_bytes(&self) -> &[u8; 32] {
        &self.id
    }

    /// Returns the time from which on it is too old, so that its id may be forgotten.
    #[must_use]
    pub const fn expires_at(&self) -> UnixTime {
        UnixTime::from_secs(self.issued_at_s.saturating_add(limits::MAX_PROOF_AGE_S + 1))
    }
}

fn text_of<'c>(claims: &'c Document, name: &str) -> Option<&'c str> {
    claims.root().get(name).and_then(Value::as_str)
}

fn issued_at_s(claims: &Document) -> Option<i64> {
    match claims.root().get("iat")? {
        Value::Number(number) if (0.0..=limits::MAX_NUMERIC_DATE).contains(&number.as_f64()) => {
            Some(number.as_f64() as i64)
        }
        _ => None,
    }
}

fn unsupported() -> VerificationError {
    let error = KeysError::AlgorithmUnsupported;
    VerificationError::Unavailable(KeysUnavailable { error, reason: None, retry_after_s: 1 })
}

/// Returns a URL without query and fragment in a normal form (RFC 3986 §6.2.2 and §6.2.3), in which two URLs are equal only if every server
/// reads them alike. `None` if it is not an absolute URL of http without user name.
fn normalized(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once(':')?;
    let rest = rest.strip_prefix("//")?;
    let default_port = match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => ":443",
        _ if scheme.eq_ignore_ascii_case("http") => ":80",
        _ => return None,
    };
    let (rest, _) = rest.split_at_checked(position(rest, b"?#"))?;
    let (authority, path) = rest.split_at_checked(position(rest, b"/"))?;
    let authority = authority.strip_suffix(default_port).unwrap_or(authority);
    if authority.is_empty() || position(authority, b"@\\") < authority.len() {
        return None;
    }
    let mut out = concat(&[scheme, "://", authority]);
    out.make_ascii_lowercase();
    let mut bytes = path.as_bytes();
    while let Some((&byte, rest)) = bytes.split_first() {
        let escaped = match rest {
            [high, low, ..] if byte == b'%' => digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        bytes = if escaped.is_some() { rest.get(2..).unwrap_or_default() } else { rest };
        let octet = escaped.unwrap_or(byte);
        // What is no part of a path is escaped, as runtimes do.
        let is_plain = is_unreserved(octet) || escaped.is_none() && b"/%!$&'()*+,;=:@".contains(&octet);
        if is_plain {
            out.push(octet.into());
        } else {
            out.push('%');
            for half in [octet >> 4, octet & 15] {
                out.push(char::from(if half < 10 { b'0' + half } else { b'A' - 10 + half }));
            }
        }
    }
    if path.is_empty() {
        out.push('/');
    }
    Some(out)
}

/// Returns the position of the first of these characters, or the end.
fn position(text: &str, characters: &[u8]) -> usize {
    text.bytes().position(|byte| characters.contains(&byte)).unwrap_or(text.len())
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

impl core::fmt::Debug for ProofRequest<'_> {
    /// Omits URL and token.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ProofRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

impl core::fmt::Debug for UntrustedProof<'_> {
    /// Omits the text.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("UntrustedProof").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl core::fmt::Debug for VerifiedProof {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("VerifiedProof")
    }
}

#[cfg(test)]
mod tests {
    use super::{Acceptance, normalized};
    use crate::jwt::Binding;

    #[test]
    fn while_it_is_off_nothing_has_to_be_proven_whatever_comes_with_the_token() {
        let bound = Binding { key: Some([7; 32]), ..Binding::default() };
        for binding in [None, Some(&bound)] {
            for (has_scheme, has_proof) in [(false, false), (false, true), (true, false), (true, true)] {
                assert_eq!(Acceptance::Off.key_to_prove(binding, has_scheme, has_proof), Ok(None));
            }
        }
    }

    #[test]
    fn a_path_has_one_spelling_in_which_only_what_needs_it_is_escaped() {
        for (url, expected) in [
            ("https://a.example/41/abc1", "https://a.example/41/abc1"),
            ("https://a.example/%41%c3%A9%0a%99%f0", "https://a.example/A%C3%A9%0A%99%F0"),
            ("https://a.example/%4/%zz%", "https://a.example/%4/%zz%"),
            ("https://a.example/\u{1f}\u{7f}[", "https://a.example/%1F%7F%5B"),
        ] {
            assert_eq!(normalized(url).as_deref(), Some(expected), "{url}");
        }
    }

    #[test]
    fn urls_that_differ_only_in_spelling_are_equal() {
        for (one, other) in [
            ("https://a.example/b", "HTTPS://A.Example:443/b?c=d#e"),
            ("http://a.example", "http://a.example:80/#x"),
            ("https://a.example:8443/%7eb%2Fc", "https://a.example:8443/~b%2fc"),
            ("https://a.example/é \"", "https://a.example/%C3%a9%20%22"),
        ] {
            assert!(normalized(one).is_some());
            assert_eq!(normalized(one), normalized(other), "{one}");
        }
    }

    #[test]
    fn urls_that_a_server_may_tell_apart_differ() {
        let urls = [
            "https://a.example/b",
            "http://a.example/b",
            "https://a.example:80/b",
            "https://a.example.:443/b",
            "https://a.example/b/",
            "https://a.example//b",
            "https://a.example/B",
            "https://a.example/%2Fb",
            "https://a.example/b;c",
            "https://a.example/b%3Bc",
            "https://a.example/./b",
            "https://a.example/b%",
            "https://a.example/b%25",
        ];
        for (number, one) in urls.iter().enumerate() {
            for other in urls.iter().skip(number + 1) {
                assert_ne!(normalized(one), normalized(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn other_urls_are_none() {
        for url in ["", "/b", "a.example/b", "ftp://a.example/b", "https://", "https:///b", "https://u@a.example/b"] {
            assert_eq!(normalized(url), None, "{url}");
        }
    }
}
