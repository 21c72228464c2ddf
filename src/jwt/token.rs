//! A compact JWS as received (RFC 7515 §7.1).

use alloc::string::String;
use alloc::vec::Vec;

use super::Algorithm;
use crate::base64url;
use crate::error::{Malformed, VerifyError};
use crate::host::SignatureCheck;
use crate::json::{Document, JsonError, Member, Object, Value, read_member};
use crate::jwk::VerifyingKey;
use crate::limits;

/// A well-formed token, with nothing verified.
///
/// ```
/// use edgeward::jwt::{Algorithm, UntrustedToken};
/// # use edgeward::{io::UnixTime, testing::Issuer};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let issuer = Issuer::new("https://issuer.example.com/");
/// # let text = issuer.access_token("api", UnixTime::from_secs(1_800_000_000)).sign();
///
/// let token = UntrustedToken::parse(&text)?;
/// assert_eq!(token.header().algorithm(), Some(Algorithm::Rs256));
/// assert_eq!(token.header().typ(), Some("at+jwt"));
/// # Ok(())
/// # }
/// ```
pub struct UntrustedToken<'t> {
    pub(super) header: Header,
    /// The signed text: header and payload as received.
    pub(super) signing_input: &'t str,
    pub(crate) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl<'t> UntrustedToken<'t> {
    /// Parses `text`: size, three parts, canonical base64url, header.
    ///
    /// # Errors
    /// `token_too_large`, `token_encrypted` or `token_malformed`.
    pub fn parse(text: &'t str) -> Result<Self, VerifyError> {
        if text.len() > limits::MAX_TOKEN_BYTES {
            return Err(VerifyError::TokenTooLarge { bytes: text.len() });
        }
        let malformed = VerifyError::TokenMalformed;
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed(Malformed::Parts));
        };
        match parts.count() {
            0 => {}
            2 => return Err(VerifyError::TokenEncrypted),
            _ => return Err(malformed(Malformed::Parts)),
        }
        let signing_input = text.get(..header.len() + 1 + payload.len()).unwrap_or_default();
        let header = decode_header(header).map_err(malformed)?;
        let (payload, signature) = (decode(payload).map_err(malformed)?, decode(signature).map_err(malformed)?);
        Ok(Self { header: Header::parse(header)?, signing_input, payload, signature })
    }

    /// Returns the header, which is not authenticated.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Verifies the signature with `key`.
    pub(crate) fn verify_signature(&self, key: &VerifyingKey, algorithm: Algorithm) -> Result<(), VerifyError> {
        key.verify(algorithm, self.signing_input.as_bytes(), &self.signature)
    }

    /// Returns what a host needs to verify the signature with `key`.
    pub(crate) fn signature_check(self, key: &VerifyingKey, algorithm: Algorithm) -> SignatureCheck {
        let Self { signing_input, signature, .. } = self;
        SignatureCheck { algorithm, key: key.point().to_vec(), message: signing_input.into(), signature }
    }

    /// Returns the `iss` claim, **not verified**: only to choose the policy to verify with.
    pub(crate) fn unverified_issuer(&self) -> Result<String, VerifyError> {
        match read_member(&self.payload, "iss") {
            Ok(Member::String(issuer)) => Ok(issuer),
            Ok(Member::NotAString) => Err(VerifyError::claim_malformed("iss")),
            Ok(Member::Absent) => Err(VerifyError::claim_missing("iss")),
            Err(_) => Err(VerifyError::TokenMalformed(Malformed::Claims)),
        }
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Malformed> {
    base64url::decode(part.as_bytes()).map_err(|_| Malformed::Base64Url)
}

/// Decodes the header of a JWS or JWE, unless it is too long: the encoded length says so.
pub(super) fn decode_header(part: &str) -> Result<Vec<u8>, Malformed> {
    if part.len() * 3 / 4 > limits::MAX_HEADER_BYTES {
        return Err(Malformed::HeaderTooLarge);
    }
    decode(part)
}

/// Returns the claims of a token, **not verified**: only for harmless purposes, and for a token that was verified before.
#[cfg(feature = "gateway")]
pub(crate) fn unverified_claims(text: &str) -> Option<super::Claims> {
    parse_claims(UntrustedToken::parse(text).ok()?.payload).ok().map(super::Claims)
}

pub(crate) fn parse_claims(payload: Vec<u8>) -> Result<Document, VerifyError> {
    Document::parse(payload, limits::MAX_CLAIMS_DEPTH).map_err(|_| VerifyError::TokenMalformed(Malformed::Claims))
}

/// Removes the prefix `application/` of a media type (RFC 7515 §4.1.9).
pub(super) fn without_application(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => typ,
    }
}

/// A JOSE header (RFC 7515 §4). Key material in it (`jwk`, `jku`, `x5u`, `x5c`) is ignored, but for the `jwk` of a proof.
#[derive(Clone)]
pub struct Header {
    document: Document,
    algorithm: Option<Algorithm>,
    pub(super) has_crit: bool,
    pub(super) has_b64: bool,
}

impl Header {
    fn parse(bytes: Vec<u8>) -> Result<Self, VerifyError> {
        let document = Document::parse_header(bytes).map_err(|error| {
            VerifyError::TokenMalformed(match error {
                JsonError::TooManyValues => Malformed::HeaderTooLarge,
                _ => Malformed::Header,
            })
        })?;
        let parameter = VerifyError::TokenMalformed(Malformed::HeaderParameter);
        let (mut algorithm, mut has_crit, mut has_b64) = (None, false, false);
        for (name, value) in document.root().iter() {
            match (name, value) {
                ("alg", Value::String(alg)) => algorithm = Some(Algorithm::from_name(alg)),
                ("kid", Value::String(kid)) if kid.len() <= limits::MAX_KID_BYTES => {}
                ("typ" | "cty", Value::String(_)) => {}
                ("alg" | "kid" | "typ" | "cty", _) => return Err(parameter),
                ("crit", _) => has_crit = true,
                ("b64", _) => has_b64 = true,
                _ => {}
            }
        }
        let Some(algorithm) = algorithm else { return Err(parameter) };
        Ok(Self { algorithm, has_crit, has_b64, document })
    }

    /// Returns the header of what has none.
    #[cfg(feature = "gateway")]
    pub(super) fn absent() -> Option<Self> {
        let document = Document::parse_header(b"{}".to_vec()).ok()?;
        Some(Self { document, algorithm: None, has_crit: false, has_b64: false })
    }

    /// Returns the algorithm, if it is a supported one.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// Returns the key id.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.document.root().get("kid").and_then(Value::as_str)
    }

    /// Returns the media type of the token, without `application/` (RFC 7515 §4.1.9).
    #[must_use]
    pub fn typ(&self) -> Option<&str> {
        self.document.root().get("typ").and_then(Value::as_str).map(without_application)
    }

    /// Returns the public key of a proof (RFC 9449 §4.2).
    pub(crate) fn jwk(&self) -> Option<Object<'_>> {
        self.document.root().get("jwk").and_then(Value::as_object)
    }

    /// Returns whether there is an extension that changes the meaning of the token.
    pub(crate) fn has_extension(&self) -> bool {
        self.has_crit || self.has_b64
    }

    /// Returns whether `typ` marks an access token (RFC 9068 §2.1).
    pub(super) fn is_at_jwt(&self) -> bool {
        self.typ().is_some_and(|typ| typ.eq_ignore_ascii_case("at+jwt"))
    }

    /// Returns the header as JSON text, as received.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.document.text()
    }
}
