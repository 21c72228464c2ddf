//! Signing of the gateway's own tokens (RFC 7515 §7.1).

use alloc::string::String;

use crate::algorithm::Algorithm;
use crate::base64url;
use crate::host::{Host, SignError};
use crate::json::push_quoted;
use crate::jwk::SigningKey;
use crate::text::concat;

/// Returns a signed JWT in compact form, whose header names its key by `kid` (RFC 7515 §4.1.4). `typ` is its type, `claims` a JSON object.
///
/// # Errors
/// See [`SignError`].
pub async fn sign_jwt(
    key: &SigningKey,
    algorithm: Algorithm,
    typ: &str,
    claims: &str,
    host: &impl Host,
) -> Result<String, SignError> {
    let mut header = concat(&[r#"{"alg":""#, algorithm.name(), r#"","typ":""#, typ, r#"","kid":"#]);
    push_quoted(&mut header, key.kid());
    header.push('}');
    sign_with_header(key, algorithm, &header, claims, host).await
}

/// Returns a signed JWT with this header, a JSON object.
pub(crate) async fn sign_with_header(
    key: &SigningKey,
    algorithm: Algorithm,
    header: &str,
    claims: &str,
    host: &impl Host,
) -> Result<String, SignError> {
    let message = concat(&[&base64url::encode(header.as_bytes()), ".", &base64url::encode(claims.as_bytes())]);
    let signature = key.sign(algorithm, message.clone(), host).await?;
    Ok(concat(&[&message, ".", &base64url::encode(&signature)]))
}
