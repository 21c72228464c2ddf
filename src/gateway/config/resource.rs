//! `protected_resource`: what clients are told about the API.

use alloc::string::String;
use alloc::vec::Vec;

use super::authorizer::Authorizer;
use super::declare::{Form, Setting, section};
use super::forms::{Texts, is_identifier};
use super::paths::ScopeList;
use super::reader::{Field, Reader};
#[cfg(test)]
use super::reference;
use crate::gateway::resource::ProtectedResource;
use crate::gateway::sender::SenderRules;
use crate::url::HttpUrl;

section! {
    /// The API, as described to its clients (RFC 9728): an MCP server, for example. The description is served at `/.well-known/oauth-protected-resource`, followed by the path of the resource; 401 and 403 name it.
    pub(super) struct ResourceConfig {
        /// The public URL of the API, as clients call it. Access tokens must be for it unless `authorizer.audience` is given.
        resource: ResourceUrl, required "the public URL of the API";
        /// Issuers from which clients get tokens. Without it: those of `authorizer`, of each of its `tenants`; with `"tenants": "any"` it is required.
        authorization_servers: Issuers;
        /// Scopes that clients may request.
        scopes_supported: ScopeList;
    }
}

/// Describes the resource, once section and authorizer are valid.
pub(super) fn check(
    reader: &mut Reader<'_>,
    section: &Setting<'_, ResourceConfig>,
    authorizer: Option<&Authorizer<'_>>,
    sender: &SenderRules,
) -> Option<ProtectedResource> {
    let (config, authorizer) = (section.value?, authorizer?);
    let servers = config.authorization_servers();
    let scopes = config.scopes_supported().items();
    let resource = config.resource().value?;
    let own = if servers.is_absent() { authorizer.authorization_servers() } else { Some(Vec::new()) };
    let Some(own) = own else {
        let what = "the issuers from which clients get tokens, since authorizer.tenants is \"any\"";
        reader.error_missing(&servers.place(), what);
        return None;
    };
    // Clients find the metadata of a server by its URL.
    let own = own.iter().filter(|issuer| HttpUrl::parse(issuer).is_some());
    ProtectedResource::new(resource, own.chain(servers.items()).map(String::as_str), scopes, sender)
}

/// A resource identifier: an https URL without query and fragment (RFC 9728 §1.2).
pub(super) struct ResourceUrl;

/// Issuer identifiers.
pub(super) struct Issuers;

impl Form for ResourceUrl {
    type Value = String;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<String> {
        let text = reader.text(field)?;
        is_identifier(reader, &field.place, &text, &[]).then_some(text)
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Text
    }
}

impl Form for Issuers {
    type Value = alloc::vec::Vec<String>;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Self::Value> {
        let issuers = Texts::read(reader, field)?;
        if issuers.is_empty() {
            reader.error(&field.place, "must not be empty");
            return None;
        }
        issuers.iter().all(|issuer| is_identifier(reader, &field.place, issuer, &[])).then_some(issuers)
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Texts
    }
}
