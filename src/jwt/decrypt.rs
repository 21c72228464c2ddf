//! Decryption of encrypted access tokens: a signed JWT inside a JWE (RFC 7516, RFC 7519 §5.2).
//!
//! Anyone who has the public key can encrypt. Encryption therefore proves nothing: the signature of the JWT inside decides alone.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::token::{decode_header, without_application};
use crate::base64url;
use crate::error::VerifyError;
use crate::host::{DecryptError, DecryptRequest, Host, Level};
use crate::json::{Document, Value};
use crate::jwk::DecryptionKey;
use crate::limits;
use crate::shared::Shared;
use crate::text_cache::TextCache;

/// Decrypts tokens, and remembers those whose content was verified.
pub(crate) struct Decryption {
    keys: Vec<DecryptionKey>,
    decrypted: Shared<TextCache<Arc<str>>>,
}

/// The content encryption algorithms (RFC 7518 §5.3).
const CONTENT_ALGORITHMS: [&str; 2] = ["A256GCM", "A128GCM"];

/// The types of content: a JWT (RFC 7519 §5.2), also as RFC 9068 §2.1 names it.
const CONTENT_TYPES: [&str; 2] = ["JWT", "at+jwt"];

/// Header parameters that may be there: those that are read, and claims that are stated again (RFC 7519 §5.3), which count for nothing.
const PARAMETERS: [&str; 8] = ["alg", "enc", "kid", "cty", "typ", "iss", "sub", "aud"];

const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// Returns whether a token has the form of a JWE in compact serialization (RFC 7516 §7.1).
pub(crate) fn is_encrypted(text: &str) -> bool {
    text.bytes().filter(|&byte| byte == b'.').count() == 4
}

/// Why there is no JWT.
pub(crate) enum DecryptionFailure {
    /// `token_too_large`, or `decryption_failed` for whatever is wrong with the token: a wrong encrypted key and wrong content must not be
    /// told apart (RFC 7516 §11.5).
    Refused(VerifyError),
    /// The platform cannot decrypt, or refuses the key, whatever the token is.
    Unsupported,
}

impl Decryption {
    /// Creates it with the number of tokens to remember.
    pub(crate) fn new(keys: Vec<DecryptionKey>, entries: usize) -> Self {
        Self { keys, decrypted: cache(entries) }
    }

    pub(crate) fn cache_entries(&mut self, entries: usize) {
        self.decrypted = cache(entries);
    }

    /// Returns the JWT inside a token whose content was verified before.
    pub(crate) fn find(&self, text: &str) -> Option<Arc<str>> {
        self.decrypted.with(|cache| cache.find(text).cloned())
    }

    /// Remembers the JWT inside a token, once it is verified.
    pub(crate) fn insert(&self, text: &str, inner: Arc<str>) {
        self.decrypted.with(|cache| cache.insert(text, inner));
    }

    /// Returns the JWT inside a token, which is not verified.
    ///
    /// # Errors
    /// See [`DecryptionFailure`].
    pub(crate) async fn decrypt(&self, text: &str, host: &impl Host) -> Result<Arc<str>, DecryptionFailure> {
        if text.len() > limits::MAX_TOKEN_BYTES {
            return Err(DecryptionFailure::Refused(VerifyError::TokenTooLarge { bytes: text.len() }));
        }
        let failed = || DecryptionFailure::Refused(VerifyError::DecryptionFailed);
        match host.decrypt(self.request(text).ok_or_else(failed)?).await {
            Ok(inner) => String::from_utf8(inner).map(Arc::from).map_err(|_| failed()),
            Err(DecryptError::Failed) => Err(failed()),
            Err(error) => {
                let line = format_args!("decryption_unavailable: {error}: check authorizer.decryption_keys");
                host.log(Level::Error, &line);
                Err(DecryptionFailure::Unsupported)
            }
        }
    }

    /// Reads a token (RFC 7516 §5.2, steps 1 to 8).
    fn request(&self, text: &str) -> Option<DecryptRequest> {
        let mut parts = text.split('.');
        let header = parts.next()?;
        let mut decoded = || base64url::decode(parts.next()?.as_bytes()).ok();
        let (encrypted_key, mut content, ciphertext, tag) = (decoded()?, decoded()?, decoded()?, decoded()?);
        let document = Document::parse_header(decode_header(header).ok()?).ok()?;
        let root = document.root();
        // Also `zip`, `crit`, and parameters of other algorithms, such as `epk` and `p2c`.
        if root.iter().any(|(name, _)| !PARAMETERS.contains(&name)) {
            return None;
        }
        let text = |name: &str| root.get(name).and_then(Value::as_str);
        let content_type = without_application(text("cty")?);
        if !CONTENT_TYPES.iter().any(|one| one.eq_ignore_ascii_case(content_type)) {
            return None;
        }
        let key = match (root.get("kid"), self.keys.as_slice()) {
            (None, [only]) => only,
            (None, _) => return None,
            (Some(kid), keys) => keys.iter().find(|key| Some(key.kid()) == kid.as_str())?,
        };
        let algorithm = key.algorithm(text("alg")?)?;
        let named = text("enc")?;
        let encryption = CONTENT_ALGORITHMS.into_iter().find(|one| *one == named)?;
        let fits = encrypted_key.len() == key.modulus_bytes() && content.len() == IV_BYTES && tag.len() == TAG_BYTES;
        if !fits || ciphertext.is_empty() {
            return None;
        }
        content.extend(ciphertext);
        content.extend(tag);
        let (key, aad) = (key.private_jwk().into(), header.into());
        Some(DecryptRequest { algorithm, encryption, key, encrypted_key, content, aad })
    }
}

fn cache(entries: usize) -> Shared<TextCache<Arc<str>>> {
    Shared::new(TextCache::new(entries, limits::TOKEN_CACHE_MAX_TOKEN_BYTES))
}

impl core::fmt::Debug for Decryption {
    /// Shows no token.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Decryption").field("keys", &self.keys).finish_non_exhaustive()
    }
}
