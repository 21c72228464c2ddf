//! Signing of the gateway's own tokens (RFC 7515 §7.1).

use alloc::string::String;

use crate::algorithm::Algorithm;
use crate::base64url;
use crate::host::{Host, SignError};
use crate::json::push_quoted;
use crate::jwk::SigningKey;
use crate::text::concat;

/// How the header of a token names its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyReference {
    /// By its `kid` (RFC 7515 §4.1.4).
    Kid,
    /// By the public key itself, in `jwk` (RFC 7515 §4.1.3), as DPoP proofs do.
    Jwk,
}

/// Returns a signed JWT in compact form. `typ` is its type, `claims` a JSON object.
///
/// # Errors
/// See [`SignError`].
pub async fn sign_jwt(
    key: &SigningKey,
    algorithm: Algorithm,
    typ: &str,
    reference: KeyReference,
    claims: &str,
    host: &impl Host,
) -> Result<String, SignError> {
    let mut header = concat(&[r#"{"alg":""#, algorithm.name(), r#"","typ":""#, typ, "\","]);
    match reference {
        KeyReference::Kid => {
            header.push_str(r#""kid":"#);
            push_quoted(&mut header, key.kid());
        }
        KeyReference::Jwk => {
            header.push_str(r#""jwk":"#);
            header.push_str(key.public_jwk());
        }
    }
    header.push('}');
    let message = concat(&[&base64url::encode(header.as_bytes()), ".", &base64url::encode(claims.as_bytes())]);
    let signature = key.sign(algorithm, message.clone(), host).await?;
    Ok(concat(&[&message, ".", &base64url::encode(&signature)]))
}
