//! A JWK Set (RFC 7517 §5) and the choice of one key from it.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{InvalidJwk, VerifyingKey};
use crate::algorithm::Algorithm;
use crate::error::VerifyError;
use crate::json::{Document, Object, Value, push_quoted, without_byte_order_mark};
use crate::limits;
use crate::text::decimal;

/// The usable keys of a published set. Unusable keys are skipped, with the reason, and never fatal.
///
/// ```
/// use edgeward::jwk::{InvalidJwk, JwkSet};
/// use edgeward::jwt::Algorithm;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let rsa = edgeward::testing::SigningKey::fixed().jwk();
///
/// let text = format!(r#"{{"keys":[{{"kty":"oct"}},{rsa}]}}"#);
/// let keys = JwkSet::parse(text.as_bytes())?;
/// assert_eq!(keys.skipped(), [InvalidJwk::KeyTypeUnsupported]);
///
/// assert!(keys.select(Some("fixed"), Algorithm::Rs256).is_ok());
/// assert!(keys.select(Some("another"), Algorithm::Rs256).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct JwkSet {
    pub(super) keys: Vec<Arc<VerifyingKey>>,
    skipped: Vec<InvalidJwk>,
    /// The `kid` of each skipped key, if it has one.
    skipped_kids: Vec<Option<String>>,
}

/// Why a document is not a usable key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidJwkSet {
    /// Longer than [`limits::MAX_KEY_SET_BYTES`].
    TooLarge,
    /// Not a strict JSON object.
    NotJson,
    /// No array `keys`.
    NoKeys,
    /// More than [`limits::MAX_KEYS_PER_SET`] keys.
    TooManyKeys,
    /// No key that can verify a signature.
    NoUsableKey,
}

impl InvalidJwkSet {
    /// Returns the error message.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::TooLarge => "key set is too large",
            Self::NotJson => "key set is not a strict JSON object",
            Self::NoKeys => "key set has no array \"keys\"",
            Self::TooManyKeys => "key set has too many keys",
            Self::NoUsableKey => "key set has no key that can verify a signature",
        }
    }
}

impl core::fmt::Display for InvalidJwkSet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.message())
    }
}

impl core::error::Error for InvalidJwkSet {}

impl JwkSet {
    /// Parses a set, accepting RSA keys of up to [`limits::MAX_MODULUS_BITS`].
    ///
    /// # Errors
    /// See [`InvalidJwkSet`].
    pub fn parse(text: &[u8]) -> Result<Self, InvalidJwkSet> {
        Self::parse_with(text, limits::MAX_MODULUS_BITS)
    }

    /// Parses a set, skipping keys of more than `max_modulus_bits`.
    ///
    /// # Errors
    /// See [`InvalidJwkSet`].
    pub fn parse_with(text: &[u8], max_modulus_bits: usize) -> Result<Self, InvalidJwkSet> {
        let set = Self::read(text, max_modulus_bits)?;
        if set.keys.is_empty() { Err(InvalidJwkSet::NoUsableKey) } else { Ok(set) }
    }

    /// Parses a set that may have no usable key: [`skipped`](Self::skipped) tells why.
    ///
    /// # Errors
    /// See [`InvalidJwkSet`]; never [`InvalidJwkSet::NoUsableKey`].
    pub fn read(text: &[u8], max_modulus_bits: usize) -> Result<Self, InvalidJwkSet> {
        if text.len() > limits::MAX_KEY_SET_BYTES {
            return Err(InvalidJwkSet::TooLarge);
        }
        let text = without_byte_order_mark(text).to_vec();
        // The set and the list of keys are the first two levels.
        let document =
            Document::parse_marking(text, limits::MAX_CLAIMS_DEPTH, 3).map_err(|_| InvalidJwkSet::NotJson)?;
        let entries = document.root().get("keys").and_then(Value::as_array).ok_or(InvalidJwkSet::NoKeys)?;
        if entries.iter().nth(limits::MAX_KEYS_PER_SET).is_some() {
            return Err(InvalidJwkSet::TooManyKeys);
        }
        let mut set = Self::default();
        for entry in entries {
            let jwk = entry.as_object().ok_or(InvalidJwk::NotAnObject);
            match jwk.and_then(|jwk| VerifyingKey::from_jwk(jwk, max_modulus_bits)) {
                // The same key twice is one key.
                Ok(key) if set.keys.iter().any(|other| other.is_same_as(&key)) => {}
                Ok(key) => set.keys.push(Arc::new(key)),
                Err(reason) => {
                    let kid = entry.as_object().and_then(kid);
                    set.skipped.push(reason);
                    set.skipped_kids.push(kid);
                }
            }
        }
        Ok(set)
    }

    /// Returns the one key for a token with this `kid` and algorithm.
    ///
    /// Exactly one key must fit the algorithm: of those with the `kid`, or without a `kid` of all.
    ///
    /// # Errors
    /// `key_not_found`, `key_ambiguous` or `key_alg_mismatch`.
    pub fn select(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Arc<VerifyingKey>, VerifyError> {
        let is_named = |key: &&Arc<VerifyingKey>| kid.is_none_or(|kid| key.kid() == Some(kid)) && !key.is_refused();
        let mut named = self.keys.iter().filter(is_named).map(|key| fit(key, algorithm));
        let mut chosen =
            named.next().ok_or(if kid.is_some() { VerifyError::KeyNotFound } else { VerifyError::KeyAmbiguous })?;
        for other in named {
            chosen = match (chosen, other) {
                // One key may be written twice, with and without its algorithm.
                (Ok(one), Ok(two)) if one.kid == two.kid && one.has_numbers_of(two) => Ok(one),
                (Ok(_), Ok(_)) => return Err(VerifyError::KeyAmbiguous),
                (Ok(key), Err(_)) | (Err(_), Ok(key)) => Ok(key),
                (Err(reason), Err(_)) => Err(reason),
            };
        }
        chosen
    }

    /// Returns the usable keys.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &VerifyingKey> {
        self.keys.iter().map(AsRef::as_ref)
    }

    /// Returns why each of the other keys was skipped.
    #[must_use]
    pub fn skipped(&self) -> &[InvalidJwk] {
        &self.skipped
    }

    /// Returns the `kid` of each of the other keys, in the same order.
    #[must_use]
    pub fn skipped_kids(&self) -> &[Option<String>] {
        &self.skipped_kids
    }

    /// Returns whether the skipped keys are those of `other`.
    pub(super) fn skips_the_same(&self, other: &Self) -> bool {
        self.skipped == other.skipped && self.skipped_kids == other.skipped_kids
    }

    /// Returns why each of the first skipped keys was skipped, as text. A `kid` is quoted: it may hold anything.
    pub(crate) fn reasons(&self) -> String {
        let mut text = String::new();
        for (index, (kid, reason)) in self.skipped_kids.iter().zip(&self.skipped).enumerate() {
            if index == limits::MAX_REASONS {
                text.push_str("; and ");
                text.push_str(&decimal((self.skipped.len() - index) as u64));
                text.push_str(" more");
                break;
            }
            text.push_str(if index > 0 { "; " } else { "" });
            match kid {
                Some(kid) => push_quoted(&mut text, kid),
                None => text.push_str("without kid"),
            }
            text.push_str(": ");
            text.push_str(&reason.message());
        }
        if self.skipped.is_empty() {
            text.push_str("the list of keys is empty");
        }
        text
    }

    /// Reuses the keys of `older` that are still published, so that cached tokens stay bound to them.
    pub(super) fn reuse_keys(&mut self, older: &Self) {
        for key in &mut self.keys {
            if let Some(same) = older.keys.iter().find(|old| old.is_same_as(key)) {
                *key = Arc::clone(same);
            }
        }
    }
}

impl FromIterator<VerifyingKey> for JwkSet {
    /// Creates a set from keys that were not published as JWKs.
    fn from_iter<I: IntoIterator<Item = VerifyingKey>>(keys: I) -> Self {
        Self { keys: keys.into_iter().map(Arc::new).collect(), ..Self::default() }
    }
}

/// Returns the `kid` of a key that may be no key at all.
fn kid(jwk: Object<'_>) -> Option<String> {
    let kid = jwk.get("kid").and_then(Value::as_str)?;
    (kid.len() <= limits::MAX_KID_BYTES).then(|| kid.into())
}

fn fit(key: &Arc<VerifyingKey>, algorithm: Algorithm) -> Result<&Arc<VerifyingKey>, VerifyError> {
    key.check_algorithm(algorithm).map(|()| key)
}
