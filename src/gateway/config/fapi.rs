//! `authorizer.fapi`: what the FAPI 2.0 Security Profile requires of a client and of a resource server. docs/fapi.md is its checklist.

use super::authorizer::AuthorizerConfig;
use super::forms::Words;
use super::reader::Reader;
use crate::jwt::Algorithm;
use crate::oidc::{Client, ClientAuth, ClientKey, ProofKeys};

/// A profile of FAPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FapiProfile {
    /// FAPI 2.0 Security Profile.
    SecurityProfile2,
}

impl Words for FapiProfile {
    const WORDS: &'static [(&'static str, Self)] = &[("fapi2_sp", Self::SecurityProfile2)];
}

/// The algorithms of the profile (its section 5.4.1).
pub(super) const ALGORITHMS: [Algorithm; 3] = [Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa];

const ALGORITHMS_ONLY: &str = "must be PS256, ES256 or EdDSA with authorizer.fapi";

fn is_permitted(algorithm: Algorithm) -> bool {
    ALGORITHMS.contains(&algorithm)
}

/// Whether access tokens are bound to the client, which uses them with a proof of possession.
fn binds_tokens(config: &AuthorizerConfig) -> bool {
    !config.mtls_binding().is_absent() || !config.dpop_key().is_absent()
}

/// Checks the section against its profile, if it has one.
pub(super) fn check(reader: &mut Reader<'_>, config: &AuthorizerConfig) {
    if config.fapi().value.is_none() {
        return;
    }
    let further = config.issuers().value.map_or(&[][..], |list| &list.valid);
    let lists = further.iter().map(|(_, issuer)| issuer.algorithms()).chain([config.algorithms()]);
    for list in lists {
        if !list.items().iter().copied().all(is_permitted) {
            reader.error(&list.place(), ALGORITHMS_ONLY);
        }
    }
    if !config.allow_http().items().is_empty() {
        reader.error(&config.allow_http().place(), "must not be set with authorizer.fapi, which requires TLS");
    }
    if config.token_from().value.is_some() {
        reader.error(
            &config.token_from().place(),
            "must not be set with authorizer.fapi, which allows tokens in the header Authorization only",
        );
    }
}

/// Checks the client against the profile: that of logins and upstreams, which obtains tokens, or one that only asks about them.
pub(super) fn check_client(reader: &mut Reader<'_>, config: &AuthorizerConfig, client: &Client, obtains_tokens: bool) {
    if config.fapi().value.is_none() {
        return;
    }
    let is_permitted_key = |key: &ClientKey| is_permitted(key.algorithm);
    match &client.auth {
        ClientAuth::PrivateKeyJwt(keys) if keys.iter().all(is_permitted_key) => {}
        ClientAuth::PrivateKeyJwt(_) => reader.error(&config.private_key_alg().place(), ALGORITHMS_ONLY),
        ClientAuth::Tls => {}
        _ => reader
            .error("authorizer.client_auth", "must be \"private_key_jwt\" or \"tls_client_auth\" with authorizer.fapi"),
    }
    if !client.options.request_object_key.iter().all(is_permitted_key) {
        reader.error("authorizer.jar.private_key_alg", ALGORITHMS_ONLY);
    }
    if !client.options.proof_keys.iter().flat_map(ProofKeys::keys).all(is_permitted_key) {
        reader.error(&config.dpop_key().place(), ALGORITHMS_ONLY);
    }
    if config.par().value == Some(&false) {
        reader.error(&config.par().place(), "must not be false with authorizer.fapi, which requires it");
    }
    if obtains_tokens && !binds_tokens(config) {
        reader.error(
            "authorizer.fapi",
            "needs sender-constrained access tokens: set authorizer.dpop_key to a private key, or authorizer.mtls_binding to a binding with the \
             client's certificate",
        );
    }
}
