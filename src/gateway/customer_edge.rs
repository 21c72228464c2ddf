//! The customer edge of an Auth0 tenant: a reverse proxy before its endpoints for mTLS, which tells it the client's certificate.
//!
//! The certificate is what the platform has checked during the TLS handshake. Cloudflare states its fingerprint to the Worker, and the
//! certificate itself in a header; the one confirms the other, so that no client can state another's.

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::crypto::{equal_in_constant_time, sha256};
use crate::http::{CLIENT_CERTIFICATE, Reply, RequestHead, percent};
use crate::limits;
use crate::text::hex;

/// The paths that may be forwarded: those of the provider's endpoints for clients with certificates.
pub(super) const PATHS: [&str; 3] = ["/oauth/token", "/oauth/par", "/userinfo"];

/// The headers that only the customer edge sets.
pub(super) const HEADERS: [&str; 3] = ["cname-api-key", CERTIFICATE, "client-certificate-ca-verified"];

const CERTIFICATE: &str = "client-certificate";

/// The header in which Cloudflare states the client's certificate, if the managed transform for TLS client authentication is on.
const DER: &str = "cf-client-cert-der-base64";

/// The reasons of a platform that did not find the issuer of a certificate, which is in order otherwise.
const ISSUER_UNKNOWN: [&str; 4] = [
    "self signed certificate",
    "self-signed certificate",
    "unable to get local issuer certificate",
    "unable to verify the first certificate",
];

/// What the customer edge needs besides the route.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct CustomerEdge {
    /// The key of the custom domain.
    pub(super) api_key: String,
    /// Whether certificates of unknown issuers pass, for the provider to compare.
    pub(super) accepts_self_signed: bool,
}

impl core::fmt::Debug for CustomerEdge {
    /// Omits the key.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CustomerEdge").field("accepts_self_signed", &self.accepts_self_signed).finish_non_exhaustive()
    }
}

impl CustomerEdge {
    /// Returns the headers that state the client's certificate, with their values.
    ///
    /// # Errors
    /// The response to a client without a certificate, or with one that is not accepted; 404 for another spelling of the path.
    pub(super) fn headers(&self, head: &RequestHead<'_>) -> Result<Vec<(String, String)>, Reply> {
        if !PATHS.contains(&head.url_parts().path) {
            return Err(Reply::problem(404, "not_found", "There is nothing at this path."));
        }
        let stated = (head.header)(CLIENT_CERTIFICATE).unwrap_or_default();
        let mut parts = stated.splitn(4, '\n');
        let mut next = || parts.next().unwrap_or_default();
        let (presented, revoked, verified, fingerprint) = (next(), next(), next(), next());
        if presented != "1" {
            return Err(refused("client_certificate_missing", "This needs a client certificate."));
        }
        let is_self_signed = || {
            let reason = verified.strip_prefix("FAILED:").unwrap_or_default().trim();
            self.accepts_self_signed && ISSUER_UNKNOWN.iter().any(|one| one.eq_ignore_ascii_case(reason))
        };
        let result = match verified {
            "SUCCESS" if revoked != "1" => "SUCCESS",
            _ if revoked != "1" && is_self_signed() => "FAILED",
            _ => return Err(refused("client_certificate_refused", "The client certificate is not accepted.")),
        };
        let der = (head.header)(DER).and_then(|der| STANDARD.decode(der).ok()).filter(|der| {
            let own = hex(&sha256(der));
            equal_in_constant_time(own.as_bytes(), fingerprint.to_ascii_lowercase().as_bytes())
        });
        let Some(der) = der else {
            let detail = "The platform does not state the client certificate.";
            return Err(Reply::problem(503, "client_certificate_unavailable", detail));
        };
        let certificate = pem(&der);
        if certificate.len() > limits::MAX_STATED_CERTIFICATE_BYTES {
            return Err(refused("client_certificate_too_large", "The client certificate is too large."));
        }
        let values = [self.api_key.clone(), certificate, result.into()];
        Ok(HEADERS.into_iter().map(String::from).zip(values).collect())
    }
}

/// Refuses a client (RFC 6749 §5.2, RFC 8705 §2).
fn refused(code: &'static str, detail: &str) -> Reply {
    Reply::problem_with(401, code, detail, &[("error", "invalid_client")])
}

/// Returns a certificate in PEM (RFC 7468 §3), encoded as a component of a URL.
fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(core::str::from_utf8(line).unwrap_or_default());
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    let mut encoded = String::new();
    percent::push_component(&mut encoded, &pem);
    encoded
}
