//! `authorizer.private_key`, `authorizer.jar` and `authorizer.authorization_details`: the keys of the login client, and what it requests
//! beyond scopes.

use alloc::string::String;
use alloc::vec::Vec;

use super::authorizer::{AuthorizerConfig, ClientAuthMethod};
use super::declare::{Form, Setting, section};
use super::forms::{Choice, Words};
use super::reader::{Field, Reader};
#[cfg(test)]
use super::reference;
use crate::json::{Object, Value};
use crate::jwk::SigningKey;
use crate::jwt::Algorithm;
use crate::limits;
use crate::oidc::{ClientAuth, ClientKey, ProofKeys, RequestOptions, Secret};

section! {
    /// The signature of authorization requests (RFC 9101). With it, only `client_id` and the signed request are sent to the provider.
    pub(super) struct JarConfig {
        /// The private key, in PKCS#8 (PEM) or as a JWK; another one than `authorizer.private_key`.
        private_key: PrivateKeys, required "a private key, from a secret";
        /// The algorithm of the signatures: one that the key fits. Without it: the `alg` of the JWK; else `RS256`, or `PS256` with `authorizer.fapi`, of an RSA key.
        private_key_alg: Choice<Algorithm>;
    }
}

/// One private key, or a list of them, each as PEM or a JWK.
pub(super) struct PrivateKeys;

/// A list of objects with a `type` (RFC 9396), as JSON text.
pub(super) struct AuthorizationDetails;

impl Words for Algorithm {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("PS256", Self::Ps256),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
    ];
}

impl Form for PrivateKeys {
    type Value = Vec<SigningKey>;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<SigningKey>> {
        let Some(list) = field.value.as_array() else { return Some(Vec::from([read_key(reader, field)?])) };
        let keys: Vec<Option<SigningKey>> =
            list.iter().enumerate().map(|(index, value)| read_key(reader, &field.element(index, value))).collect();
        if keys.is_empty() {
            reader.error(&field.place, "must not be empty");
            return None;
        }
        keys.into_iter().collect()
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::PrivateKeys
    }
}

fn read_key(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<SigningKey> {
    let text = match field.value {
        Value::Object(_) => field.value.to_json(),
        _ => reader.text(field)?,
    };
    SigningKey::parse(&text).map_err(|reason| reader.error(&field.place, reason)).ok()
}

/// Returns the keys with the algorithm of their signatures. That of a FAPI client defaults to one that FAPI allows.
fn with_algorithm(
    reader: &mut Reader<'_>,
    keys: &Setting<'_, Vec<SigningKey>>,
    algorithm: &Setting<'_, Algorithm>,
    is_fapi: bool,
) -> Vec<ClientKey> {
    let mut found = Vec::new();
    for key in keys.items() {
        let own = key.algorithms();
        match algorithm.value.or(preferred(key, is_fapi)) {
            Some(&algorithm) if own.contains(&algorithm) => found.push(ClientKey { key: key.clone(), algorithm }),
            _ => reader.error(&algorithm.place(), "is not an algorithm of the private key"),
        }
    }
    found
}

/// Returns the algorithm of a key where none is configured.
fn preferred(key: &SigningKey, is_fapi: bool) -> Option<&Algorithm> {
    let own = key.algorithms();
    own.iter().find(|one| is_fapi && **one == Algorithm::Ps256).or(own.first())
}

/// Returns the keys that the client's tokens are bound to.
pub(super) fn proof_keys(reader: &mut Reader<'_>, config: &AuthorizerConfig, is_fapi: bool) -> Option<ProofKeys> {
    let keys = config.dpop_key();
    warn_of_shared_key(reader, &keys, config);
    let with_algorithm = |key: &SigningKey| {
        let algorithm = *preferred(key, is_fapi)?;
        Some(ClientKey { key: key.clone(), algorithm })
    };
    ProofKeys::new(keys.items().iter().filter_map(with_algorithm).collect())
}

/// Warns of a key that also authenticates the client.
fn warn_of_shared_key(reader: &mut Reader<'_>, keys: &Setting<'_, Vec<SigningKey>>, config: &AuthorizerConfig) {
    if keys.items().iter().any(|key| config.private_key().items().contains(key)) {
        reader.warn(&keys.place(), "is a key of authorizer.private_key, too: use a key of its own for each purpose");
    }
}

/// Returns how the client authenticates.
pub(super) fn client_auth(reader: &mut Reader<'_>, config: &AuthorizerConfig, is_fapi: bool) -> ClientAuth {
    let (method, keys, algorithm) = (config.client_auth(), config.private_key(), config.private_key_alg());
    let uses_key = method == ClientAuthMethod::PrivateKeyJwt;
    if uses_key && keys.is_absent() {
        reader.error_missing(&keys.place(), "a private key in PKCS#8 (PEM) or as a JWK, from a secret");
    }
    let without_effect = [(&keys.place(), keys.value.is_some()), (&algorithm.place(), algorithm.value.is_some())];
    for (place, is_set) in without_effect {
        if is_set && !uses_key {
            reader.error(place, "has no effect without \"client_auth\": \"private_key_jwt\"");
        }
    }
    if method == ClientAuthMethod::Tls && config.mtls_binding().is_absent() {
        reader.error_missing(&config.mtls_binding().place(), "the name of an mtls_certificate binding of the Worker");
    }
    let secrets = || config.client_secret().items().iter().cloned().map(Secret::new).collect();
    match method {
        ClientAuthMethod::Post => ClientAuth::Post(secrets()),
        ClientAuthMethod::Basic => ClientAuth::Basic(secrets()),
        ClientAuthMethod::PrivateKeyJwt => {
            ClientAuth::PrivateKeyJwt(with_algorithm(reader, &keys, &algorithm, is_fapi))
        }
        ClientAuthMethod::Tls => ClientAuth::Tls,
        ClientAuthMethod::None => ClientAuth::None,
    }
}

/// Returns how the client's requests are protected.
pub(super) fn request_options(reader: &mut Reader<'_>, config: &AuthorizerConfig, is_fapi: bool) -> RequestOptions {
    let jar = config.jar();
    let key = jar.value.and_then(|jar| {
        let keys = jar.private_key();
        if keys.items().len() > 1 {
            reader.error(&keys.place(), "must be a single key");
        }
        warn_of_shared_key(reader, &keys, config);
        with_algorithm(reader, &keys, &jar.private_key_alg(), is_fapi).into_iter().next()
    });
    if jar.value.is_some() {
        // RFC 9101 §4: claims of the signed request that no parameter may replace.
        for (name, _) in config.authorization_params().items() {
            if matches!(name.as_str(), "iss" | "aud" | "exp" | "nbf" | "iat" | "jti" | "sub") {
                let place = config.authorization_params().place();
                reader.error(
                    &alloc::format!("{place}.{name}"),
                    "is a claim of the signed request, which the gateway sets",
                );
            }
        }
    }
    let details = config.authorization_details();
    if details.value.is_some() && config.authorization_params().items().iter().any(|(name, _)| name == DETAILS) {
        reader.error(&details.place(), "is among authorizer.authorization_params, too");
    }
    RequestOptions {
        pushes: is_fapi || config.par().value == Some(&true),
        request_object_key: key,
        authorization_details: details.cloned(),
        requires_iss: is_fapi,
        requires_binding: is_fapi,
        mtls_binding: config.mtls_binding().cloned(),
        proof_keys: proof_keys(reader, config, is_fapi),
    }
}

/// The name of the key and of the parameter.
const DETAILS: &str = "authorization_details";

impl Form for AuthorizationDetails {
    type Value = String;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<String> {
        let Some(list) = field.value.as_array() else {
            reader.error(&field.place, "must be a list of objects");
            return None;
        };
        let count = list.iter().count();
        if !(1..=limits::MAX_AUTHORIZATION_DETAILS).contains(&count) {
            let most = limits::MAX_AUTHORIZATION_DETAILS;
            reader.error(&field.place, format_args!("must have from 1 to {most} entries"));
            return None;
        }
        let mut is_valid = true;
        for (index, value) in list.iter().enumerate() {
            let entry = field.element(index, value);
            let Value::Object(object) = entry.value else {
                reader.error(&entry.place, "must be an object");
                is_valid = false;
                continue;
            };
            if object.get("type").and_then(Value::as_str).is_none_or(str::is_empty) {
                reader.error_missing(&alloc::format!("{}.type", entry.place), "a string that the provider knows");
                is_valid = false;
            }
            if let Err(reason) = check_object(object, 1) {
                reader.error(&entry.place, reason);
                is_valid = false;
            }
        }
        let json = field.value.to_json();
        if json.len() > limits::MAX_AUTHORIZATION_DETAILS_BYTES {
            let most = limits::MAX_AUTHORIZATION_DETAILS_BYTES;
            reader.error(&field.place, format_args!("must not be longer than {most} bytes"));
            is_valid = false;
        }
        is_valid.then_some(json)
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Details
    }
}

const TOO_MANY: &str = "must not have more than 10 properties, nor must an object in it";
const NAME_INVALID: &str = "must have property names of at most 255 of the characters a-z, A-Z, 0-9, _, . and -";
const VALUE_TOO_LONG: &str = "must have values of at most 255 characters";
const TOO_DEEP: &str = "must not be nested deeper than 5 levels";

/// Checks an object at this level; recursive, to the limit.
fn check_object(object: Object<'_>, level: usize) -> Result<(), &'static str> {
    if object.iter().count() > limits::MAX_DETAIL_PROPERTIES {
        return Err(TOO_MANY);
    }
    for (name, value) in object.iter() {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if name.is_empty() || name.len() > limits::MAX_DETAIL_CHARS || !name.bytes().all(is_of_name) {
            return Err(NAME_INVALID);
        }
        check_value(value, level)?;
    }
    Ok(())
}

fn check_value(value: Value<'_>, level: usize) -> Result<(), &'static str> {
    match value {
        Value::Object(_) | Value::Array(_) if level >= limits::MAX_DETAIL_LEVELS => Err(TOO_DEEP),
        Value::Object(object) => check_object(object, level + 1),
        Value::Array(array) => array.iter().try_for_each(|value| check_value(value, level + 1)),
        Value::String(text) if text.chars().count() > limits::MAX_DETAIL_CHARS => Err(VALUE_TOO_LONG),
        _ => Ok(()),
    }
}
