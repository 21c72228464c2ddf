//! `paths[].integration`: what answers the requests of a route.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::declare::{Declared, Form, Key, Values, section, variants};
use super::forms::{Flag, NOT_SECURE, Text, Whole};
use super::reader::{Field, Reader};
#[cfg(test)]
use super::reference;
use super::suggestion::unknown;
use super::upstream::UpstreamAuthForm;
use crate::gateway::customer_edge::CustomerEdge;
use crate::gateway::headers::{HeaderTemplates, HeaderValue};
use crate::gateway::route::{ForwardOptions, Integration};
use crate::http::is_token;
use crate::http::path::RequestPath;
use crate::json::Value;
use crate::limits;
use crate::url::HttpUrl;

variants! {
    /// What answers the requests of a route.
    pub(super) enum IntegrationConfig by "type" {
        /// Forwards requests to an HTTP origin.
        Proxy(ProxyConfig) = "http_proxy" | "http";
        /// Forwards requests to another Worker, by a service binding.
        Service(ServiceConfig) = "service" | "service_binding";
        /// Answers by itself.
        Respond(RespondConfig) = "respond";
        /// Sends the browser to the provider's login.
        Login(NoKeys) = "login" | "auth0_callback_redirect";
        /// Receives the browser from the provider and starts the session.
        Callback(NoKeys) = "callback" | "auth0_callback";
        /// Ends the session, here and at the provider.
        Logout(NoKeys) = "logout" | "auth0_logout";
        /// Answers with the provider's claims about the user.
        Userinfo(NoKeys) = "userinfo" | "auth0_userinfo";
        /// Answers with the claims of the session or the token, as `$claims` has them, without a request to the provider.
        Claims(NoKeys) = "claims";
        /// Refreshes the session's tokens.
        Refresh(NoKeys) = "refresh" | "auth0_refresh";
        /// Receives the provider's logout tokens (OpenID Connect Back-Channel Logout) and ends the sessions that they name, everywhere.
        BackchannelLogout(NoKeys) = "backchannel_logout";
        /// Ends sessions and bearer tokens that the body names. The route must require authentication and a right.
        Revoke(NoKeys) = "revoke";
        /// Answers with the public keys of `identity_token`.
        Jwks(NoKeys) = "jwks";
        /// Forwards `/oauth/token`, `/oauth/par` or `/userinfo` to an Auth0 tenant, with the client's certificate.
        CustomerEdge(CustomerEdgeConfig) = "customer_edge";
        /// Answers with the state of the gateway, for its operators: outcomes, refusals, issuers and keys. Needs `auth` and a scope, permission, role, organization or claim.
        Status(NoKeys) = "status";
    }
}

section! {
    /// An HTTP origin.
    pub(super) struct ProxyConfig {
        /// The origin, with a path to put in front if it has one. The request's path is appended byte for byte.
        url: UpstreamUrl, required "where to send requests";
        /// Headers to set. Values are literals, `$claims.name`, `$claims["name"]`, `$token` or `Bearer $token`; with `upstream_auth` also `$m2m` or `Bearer $m2m`. Arrays are sent as JSON; `%` and everything but visible ASCII is percent-encoded. Without the claim there is no header.
        headers: Headers = [];
        /// Whether the client's `Authorization` header is removed.
        strip_authorization: Flag = true;
        /// Whether `X-Forwarded-Host`, `-Proto` and `-For` are set, and `-Prefix` with `strip_prefix`. Those of a client are always removed.
        forwarded: Flag = true;
        /// Longest wait for the headers of the answer, in milliseconds, the upload of the request included; then 504. Without it the platform's limit applies.
        timeout_ms: OriginTimeout;
        /// Removed from the beginning of the path before forwarding. The route's path must begin with it.
        strip_prefix: Text;
        /// A token that the gateway obtains for the origin. It is sent as `Authorization: Bearer …`, or in the headers whose value is `$m2m` or `Bearer $m2m`. See [docs/upstream.md](upstream.md).
        upstream_auth: UpstreamAuthForm;
    }
}

section! {
    /// Another Worker of the account.
    pub(super) struct ServiceConfig {
        /// Name of the service binding in `wrangler.toml`.
        binding: Text, required "the name of a service binding";
        /// Headers to set, as for `http_proxy`.
        headers: Headers = [];
        /// Whether the client's `Authorization` header is removed.
        strip_authorization: Flag = true;
        /// As for `http_proxy`.
        forwarded: Flag = true;
        /// As for `http_proxy`.
        timeout_ms: OriginTimeout;
        /// As for `http_proxy`.
        strip_prefix: Text;
        /// As for `http_proxy`.
        upstream_auth: UpstreamAuthForm;
    }
}

section! {
    /// A fixed answer.
    pub(super) struct RespondConfig {
        /// Status of the answer.
        status: Whole<200, 599> = 200_u32;
        /// Headers of the answer, as for `http_proxy`. On a private route, none lets a shared cache store it.
        headers: Headers = [];
        /// Text, or JSON to answer with.
        body: Body;
    }
}

section! {
    /// The edge of a custom domain for mTLS. Only the headers of the certificate are added.
    pub(super) struct CustomerEdgeConfig {
        /// The forwarding target of the custom domain.
        url: UpstreamUrl, required "the forwarding target of the custom domain";
        /// The key of the custom domain, for `cname-api-key`.
        api_key: Text, required "the key of the custom domain";
        /// Whether certificates of unknown issuers pass, as `client-certificate-ca-verified: FAILED`.
        self_signed: Flag = false;
        /// As for `http_proxy`.
        timeout_ms: OriginTimeout;
    }
}

/// An integration without further keys.
pub(super) struct NoKeys;

impl Declared for NoKeys {
    const KEYS: &'static [Key] = &[];

    fn from_values(_: Values) -> Self {
        Self
    }

    #[cfg(test)]
    fn reference() -> reference::Section {
        reference::Section { name: "NoKeys", doc: String::new(), keys: Vec::new() }
    }
}

impl IntegrationConfig {
    /// `None` if something in it is wrong, which has been reported.
    pub(super) fn compile(&self) -> Option<Integration> {
        Some(match self {
            Self::Proxy(config) => Integration::Proxy {
                url: config.url().cloned()?,
                headers: config.headers(),
                options: ForwardOptions {
                    strip_authorization: config.strip_authorization(),
                    is_customer_edge: false,
                    sets_forwarded: config.forwarded(),
                    timeout_ms: config.timeout_ms().cloned(),
                    prefix: config.strip_prefix().cloned().unwrap_or_default(),
                    upstream_auth: config.upstream_auth().cloned(),
                },
            },
            Self::Service(config) => Integration::Service {
                binding: config.binding().cloned()?,
                headers: config.headers(),
                options: ForwardOptions {
                    strip_authorization: config.strip_authorization(),
                    is_customer_edge: false,
                    sets_forwarded: config.forwarded(),
                    timeout_ms: config.timeout_ms().cloned(),
                    prefix: config.strip_prefix().cloned().unwrap_or_default(),
                    upstream_auth: config.upstream_auth().cloned(),
                },
            },
            Self::Respond(config) => {
                let body = config.body();
                let (body, is_json) = if body.is_absent() { Default::default() } else { body.cloned()? };
                let status = u16::try_from(config.status()).ok()?;
                Integration::Respond { status, headers: config.headers(), body, is_json }
            }
            Self::Login(_) => Integration::Login,
            Self::Callback(_) => Integration::Callback,
            Self::Logout(_) => Integration::Logout,
            Self::Userinfo(_) => Integration::Userinfo,
            Self::Claims(_) => Integration::Claims,
            Self::Refresh(_) => Integration::Refresh,
            Self::BackchannelLogout(_) => Integration::BackchannelLogout,
            Self::Revoke(_) => Integration::Revoke,
            Self::Jwks(_) => Integration::Jwks,
            Self::CustomerEdge(config) => Integration::CustomerEdge {
                url: config.url().cloned()?,
                edge: CustomerEdge { api_key: config.api_key().cloned()?, accepts_self_signed: config.self_signed() },
                options: ForwardOptions {
                    strip_authorization: false,
                    is_customer_edge: true,
                    sets_forwarded: false,
                    timeout_ms: config.timeout_ms().cloned(),
                    prefix: String::new(),
                    upstream_auth: None,
                },
            },
            Self::Status(_) => Integration::Status,
        })
    }
}

/// How long an origin may take until the headers of its answer.
type OriginTimeout = Whole<{ limits::MIN_ORIGIN_TIMEOUT_MS }, { limits::MAX_ORIGIN_TIMEOUT_MS }>;

/// An origin, with a path in canonical form.
pub(super) struct UpstreamUrl;

/// Header names and the templates of their values.
pub(super) struct Headers;

/// The body of a fixed answer, and whether it is JSON.
pub(super) struct Body;

impl Form for UpstreamUrl {
    type Value = String;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<String> {
        let text = reader.text(field)?;
        let message = match HttpUrl::parse(&text) {
            Some(url) if !url.is_secure() => NOT_SECURE,
            Some(url) if url.path_and_query.contains('?') => "must not have a query",
            Some(url) => {
                // Forwarded paths are appended to it: it must be as unambiguous as they are.
                let prefix = url.path().strip_suffix('/').unwrap_or(url.path());
                match RequestPath::parse(prefix, reader.unicode) {
                    Ok(path) if prefix.is_empty() || path.has_one_structure() => {
                        // As runtimes request it: proofs of possession are for that URL.
                        let mut origin = text.strip_suffix(url.path_and_query).unwrap_or(&text).to_ascii_lowercase();
                        let default_port = if url.is_https { ":443" } else { ":80" };
                        if origin.ends_with(default_port) {
                            origin.truncate(origin.len() - default_port.len());
                        }
                        return Some(format!("{origin}{prefix}"));
                    }
                    _ => "has a path that is not in canonical form",
                }
            }
            None => "must be an absolute https URL",
        };
        reader.error(&field.place, message);
        None
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Text
    }
}

impl Form for Headers {
    type Value = HeaderTemplates;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<HeaderTemplates> {
        let Some(object) = field.value.as_object() else {
            reader.error(&field.place, "must be an object of header names and values");
            return None;
        };
        let mut headers = Vec::new();
        for (name, value) in object.iter() {
            let at = Field::new(format!("{}.{name}", field.place), value);
            if is_token(name) {
                headers.extend(read_header(reader, &at).map(|value| (name.to_owned(), value)));
            } else {
                reader.error(&at.place, "is not a header name");
            }
        }
        Some(headers)
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Headers
    }

    #[cfg(test)]
    fn shown(_: &HeaderTemplates) -> String {
        "{}".into()
    }
}

/// Templates are read as they are written: what a variable holds is never one.
fn read_header(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<HeaderValue> {
    let read = match HeaderValue::template(field.written()) {
        Some(template) => template,
        None => match unknown_template(field.written()) {
            Some(message) => {
                reader.error(&field.place, message);
                return None;
            }
            None => {
                reader.refuse_foreign_placeholders(field)?;
                HeaderValue::literal(reader.string(field)?)
            }
        },
    };
    read.map_err(|message| reader.error(&field.place, message)).ok()
}

/// The message for a `$word` that no template and no placeholder begins with.
fn unknown_template(text: &str) -> Option<String> {
    text.split('$').skip(1).find_map(|after| {
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        match after.get(..end)? {
            "" | "env" | "secrets" | "secret" => None,
            "claims" | "token" => Some("$claims and $token stand alone: $claims.sub, $token, or Bearer $token".into()),
            // Letters only: it ends before a digit.
            "m" if after.starts_with("m2m") => Some("$m2m stands alone: $m2m, or Bearer $m2m".into()),
            word => Some(unknown("template", &format!("${word}"), &["$claims", "$token", "$env", "$secrets"])),
        }
    })
}

impl Form for Body {
    type Value = (String, bool);

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<(String, bool)> {
        match field.value {
            Value::Object(_) | Value::Array(_) => Some((field.value.to_json(), true)),
            _ => Some((reader.string(field)?, false)),
        }
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Body
    }
}
