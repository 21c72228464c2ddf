//! The sender of a bound token: the request that it came with, and the proof of possession.

use alloc::string::String;
use alloc::vec::Vec;

use edgeward::dpop::{Acceptance, ProofRequest, UntrustedProof, VerifiedProof};
use edgeward::error::ProofError;
use edgeward::host::Host as _;
use edgeward::http::{Bearer, bearer_token, dpop_token};
use edgeward::json::{Document, Value};
use edgeward::jwt::{Any, VerifiedToken};
use edgeward::{VerificationError, Verifier};

use crate::js_host::JsHost;

/// What a request has besides its token.
pub(crate) struct Sender {
    /// Whether the token came with the scheme `DPoP`.
    pub(crate) has_scheme: bool,
    method: String,
    /// Its URL on each of the site's origins.
    urls: Vec<String>,
    proof: Option<String>,
}

impl Sender {
    /// Reads it from JSON: `method`, `urls`, and `proof` if there is one. `authorization`: the header.
    pub(crate) fn read(text: &[u8], authorization: &str) -> Option<Self> {
        let document = Document::parse(text.to_vec(), 3).ok()?;
        let root = document.root();
        let text = |name| root.get(name).and_then(Value::as_str).map(String::from);
        let urls = root.get("urls")?.as_array()?.strings()?.map(String::from).collect();
        Some(Self { has_scheme: names_scheme(authorization), method: text("method")?, urls, proof: text("proof") })
    }

    /// Verifies a token, and that it comes from the sender that it is bound to. Returns the proof, which may have been used before.
    pub(crate) async fn verify(
        &self,
        dpop: Acceptance,
        verifier: &Verifier<Any>,
        token: &str,
        host: &JsHost,
    ) -> Result<(VerifiedToken<Any>, Option<VerifiedProof>), VerificationError> {
        let verified = verifier.verify_unconfirmed(token, host).await?;
        let refused = VerificationError::Refused;
        let key = dpop.key_to_prove(verified.binding(), self.has_scheme, self.proof.is_some()).map_err(refused)?;
        let proof = match self.proof.as_deref().zip(key) {
            None => None,
            Some((proof, key)) => {
                let proof = self.check(proof, &key, token, host).map_err(|error| refused(error.into()))?;
                Some(proof.verify(host).await?)
            }
        };
        let key = proof.as_ref().map(VerifiedProof::key);
        Ok((verified.confirm(key, None).map_err(refused)?, proof))
    }

    /// Checks all but the signature of a proof, which must be for the request on one of the origins.
    fn check<'t>(
        &self,
        text: &'t str,
        key: &[u8; 32],
        access_token: &str,
        host: &JsHost,
    ) -> Result<UntrustedProof<'t>, ProofError> {
        let proof = UntrustedProof::parse(text, key)?;
        let mut verdict = Err(ProofError::UrlMismatch);
        for url in &self.urls {
            verdict = proof.check_request(&ProofRequest { method: &self.method, url, access_token });
            if verdict != Err(ProofError::UrlMismatch) {
                break;
            }
        }
        verdict?;
        proof.check_times(host.now())?;
        Ok(proof)
    }
}

/// Returns the token of an `Authorization` header with either scheme.
pub(crate) fn token_of(authorization: &str) -> Bearer<'_> {
    match bearer_token(Some(authorization)) {
        Bearer::Absent => dpop_token(Some(authorization)),
        other => other,
    }
}

/// Returns whether the header has the scheme `DPoP`.
pub(crate) fn names_scheme(authorization: &str) -> bool {
    let scheme = authorization.split(' ').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("dpop")
}
