//! `identity_token`: what origins are told about the caller, signed.

use alloc::string::String;
use alloc::vec::Vec;

use super::declare::{Form, Setting, section};
use super::forms::{Check, Checked, Elements, Text, Texts, Whole};
use super::integration::IntegrationConfig;
use super::paths::PathConfig;
use super::reader::{Field, Reader};
#[cfg(test)]
use super::reference;
use crate::gateway::identity::{IdentitySettings, algorithm_of};
use crate::gateway::route::Integration;
use crate::gateway::token_source::{AUTHORIZATION, TokenSource, is_reserved_header};
use crate::http::{canonical_name, is_token};
use crate::jwk::SigningKey;
use crate::limits;
use crate::text::concat;

section! {
    /// A short-lived JWT about the caller, signed by the gateway, for every origin and service. Routes of the type `jwks` publish its keys.
    pub(super) struct IdentityTokenConfig {
        /// The token's `iss`: the gateway, such as `https://app.example.com`.
        issuer: Text, required "the token's iss, such as the address of the site";
        /// The token's `aud`, which origins check.
        audience: Text, required "the token's aud";
        /// A private key as PKCS#8 PEM or JWK, P-256 (ES256) or RSA (RS256). Of a list the first signs, and all are published.
        private_key: SigningKeys, required "a private key, or a list of them";
        /// Seconds until the token expires. It is sent for half of them.
        ttl_s: Whole<{ limits::MIN_IDENTITY_TTL_S }, { limits::MAX_IDENTITY_TTL_S }> = limits::IDENTITY_TTL_S;
        /// The header that holds the token. That of a client is always removed.
        header: Checked<IdentityHeader> = "X-Identity-Token";
    }
}

/// The settings, once the section is valid.
pub(super) fn settings(section: &Setting<'_, IdentityTokenConfig>) -> Option<IdentitySettings> {
    let config = section.value?;
    Some(IdentitySettings {
        issuer: config.issuer().cloned()?,
        audience: config.audience().cloned()?,
        keys: config.private_key().cloned()?,
        ttl_s: config.ttl_s(),
        header: config.header(),
    })
}

/// Checks that no other configured header has the name of that with the token, in any spelling: origins may confuse the two. `sources`: where
/// bearer tokens are read.
pub(super) fn check_header(
    reader: &mut Reader<'_>,
    section: &Setting<'_, IdentityTokenConfig>,
    paths: &Setting<'_, Elements<PathConfig>>,
    sources: &[TokenSource],
) {
    let Some(config) = section.value.filter(|_| !reader.has_error_at("identity_token.header")) else { return };
    let header = config.header();
    let is_same = |name: &str| canonical_name(name).eq(canonical_name(&header));
    for (place, path) in paths.value.map_or(&[][..], |list| &list.valid) {
        let integration = path.integration().value.and_then(IntegrationConfig::compile);
        let forwarding = integration.as_ref().filter(|one| one.options().is_some());
        for (name, _) in
            forwarding.and_then(Integration::headers).into_iter().flatten().filter(|(name, _)| is_same(name))
        {
            let place = concat(&[place, ".integration.headers.", name]);
            if !reader.has_error_at(&place) {
                reader.error(&place, "is the header of identity_token");
            }
        }
    }
    if sources.iter().any(|source| matches!(source, TokenSource::Header(name) if is_same(name))) {
        reader.error("authorizer.token_from", "has the header of identity_token, which is removed from every request");
    }
}

/// Private keys that sign identity tokens.
pub(super) struct SigningKeys;

/// The name of a header for tokens.
pub(super) struct IdentityHeader;

impl Form for SigningKeys {
    type Value = Vec<SigningKey>;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<SigningKey>> {
        let mut keys: Vec<SigningKey> = Vec::new();
        let texts = Texts::read(reader, field)?;
        if texts.is_empty() {
            reader.error(&field.place, "must not be empty");
        }
        for text in &texts {
            match SigningKey::parse(text) {
                Err(error) => reader.error(&field.place, error.message()),
                Ok(key) if algorithm_of(&key).is_none() => {
                    reader.error(&field.place, "must be a P-256 key, for ES256, or an RSA key, for RS256");
                }
                Ok(key) if keys.iter().any(|other| other.kid() == key.kid()) => {
                    reader.error(&field.place, "has two keys with the same kid");
                }
                Ok(key) => keys.push(key),
            }
        }
        (!keys.is_empty() && keys.len() == texts.len()).then_some(keys)
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Texts
    }
}

impl Check for IdentityHeader {
    type Base = Text;

    const MESSAGE: &'static str = "must be the name of a header of its own, such as X-Identity-Token";

    fn is_valid(name: &String) -> bool {
        is_token(name) && !is_reserved_header(name) && !name.eq_ignore_ascii_case(AUTHORIZATION)
    }
}
