//! `authorizer.decryption_keys`: the keys of encrypted access tokens.

use alloc::vec::Vec;

use super::declare::{Setting, section};
use super::forms::{Choice, Elements, Text, Words};
use super::reader::Reader;
use crate::jwk::{DecryptionKey, KEY_ALGORITHMS};

section! {
    /// A key that decrypts access tokens.
    pub(super) struct DecryptionKeyConfig {
        /// An RSA key as PKCS#8 PEM or JWK.
        key: Text, required "a private RSA key";
        /// The `kid` in the header of tokens. Without it: that of the JWK, else the thumbprint of the public key.
        kid: Text;
        /// The only algorithm that it is for. Without it: that of the JWK, else all but `RSA-OAEP`, which uses SHA-1.
        alg: Choice<KeyAlgorithm>;
    }
}

/// A key management algorithm, by its name.
#[derive(Clone, Copy)]
pub(super) struct KeyAlgorithm(&'static str);

impl Words for KeyAlgorithm {
    const WORDS: &'static [(&'static str, Self)] = &[
        (KEY_ALGORITHMS[0], Self(KEY_ALGORITHMS[0])),
        (KEY_ALGORITHMS[1], Self(KEY_ALGORITHMS[1])),
        (KEY_ALGORITHMS[2], Self(KEY_ALGORITHMS[2])),
        (KEY_ALGORITHMS[3], Self(KEY_ALGORITHMS[3])),
    ];
}

/// Reads the keys.
pub(super) fn keys(reader: &mut Reader<'_>, list: &Setting<'_, Elements<DecryptionKeyConfig>>) -> Vec<DecryptionKey> {
    let mut keys: Vec<DecryptionKey> = Vec::new();
    if list.value.is_some_and(|list| list.is_complete && list.valid.is_empty()) {
        reader.error(&list.place(), "must not be empty");
    }
    for (place, config) in list.value.map_or(&[][..], |list| &list.valid) {
        let (kid, alg) = (config.kid(), config.alg());
        let Some(text) = config.key().value else { continue };
        if kid.is_invalid || alg.is_invalid {
            continue;
        }
        match DecryptionKey::parse(text, kid.value.map(|kid| &**kid), alg.value.map(|alg| alg.0)) {
            Err(message) => reader.error(&config.key().place(), message),
            Ok(key) if keys.iter().any(|other| other.kid() == key.kid()) => {
                reader.error(place, "has the same kid as another key");
            }
            Ok(key) => keys.push(key),
        }
    }
    keys
}
