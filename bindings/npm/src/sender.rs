//! The sender of a bound token: the request that it came with, and the proof of possession.

use alloc::string::String;
use alloc::vec::Vec;

use edgeward::dpop::{Acceptance, ProofRequest, UntrustedProof};
use edgeward::error::{ProofError, VerifyError};
use edgeward::io::UnixTime;
use edgeward::json::{Document, Value};
use edgeward::jwt::Binding;

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
    /// Reads it from JSON: `method`, `urls`, and `proof` if there is one.
    pub(crate) fn read(text: &[u8], has_scheme: bool) -> Option<Self> {
        let document = Document::parse(text.to_vec(), 3).ok()?;
        let root = document.root();
        let text = |name| root.get(name).and_then(Value::as_str).map(String::from);
        let urls = root.get("urls")?.as_array()?.strings()?.map(String::from).collect();
        Some(Self { has_scheme, method: text("method")?, urls, proof: text("proof") })
    }

    /// Checks all but the signature of the proof, if the token needs one. It must be for the request on one of the origins.
    pub(crate) fn check(
        &self,
        dpop: Acceptance,
        binding: Option<&Binding>,
        access_token: &str,
        now: UnixTime,
    ) -> Result<Option<UntrustedProof<'_>>, VerifyError> {
        let key = dpop.key_to_prove(binding, self.has_scheme, self.proof.is_some())?;
        let Some((proof, key)) = self.proof.as_deref().zip(key) else { return Ok(None) };
        let proof = UntrustedProof::parse(proof, &key)?;
        let mut verdict = Err(ProofError::UrlMismatch);
        for url in &self.urls {
            verdict = proof.check_request(&ProofRequest { method: &self.method, url, access_token });
            if verdict != Err(ProofError::UrlMismatch) {
                break;
            }
        }
        verdict?;
        proof.check_times(now)?;
        Ok(Some(proof))
    }
}
