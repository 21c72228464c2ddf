//! The metadata of the protected resource (RFC 9728), from which clients learn where to request a token.

use alloc::string::String;
use alloc::vec::Vec;

use super::sender::SenderRules;
use crate::dpop::ALGORITHM_NAMES;
use crate::http::{Reply, RequestHead};
use crate::json::quote;
use crate::text::concat;
use crate::url::HttpUrl;

/// The well-known path, which precedes that of the resource (RFC 9728 §3.1).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// A protected resource, described.
#[derive(Debug)]
pub(super) struct ProtectedResource {
    /// The path of the metadata.
    path: String,
    /// The URL of the metadata.
    url: String,
    document: String,
}

impl ProtectedResource {
    /// Describes the resource with this identifier. Returns `None` if that is no URL.
    pub(super) fn new<'s>(
        resource: &str,
        servers: impl Iterator<Item = &'s str>,
        scopes: &[String],
        sender: &SenderRules,
    ) -> Option<Self> {
        let url = HttpUrl::parse(resource)?;
        let (origin, path) = resource.split_at_checked(resource.len() - url.path_and_query.len())?;
        let path = concat(&[WELL_KNOWN, path.strip_suffix('/').unwrap_or(path)]);
        let servers = servers.map(quote).collect::<Vec<_>>().join(",");
        let mut document =
            concat(&[r#"{"resource":"#, &quote(resource), r#","authorization_servers":["#, &servers, "]"]);
        if !scopes.is_empty() {
            let scopes = scopes.iter().map(|scope| quote(scope)).collect::<Vec<_>>().join(",");
            document.push_str(&concat(&[r#","scopes_supported":["#, &scopes, "]"]));
        }
        document.push_str(r#","bearer_methods_supported":["header"]"#);
        if sender.reads_dpop() {
            let algorithms = ALGORITHM_NAMES.replace(' ', "\",\"");
            document.push_str(&concat(&[r#","dpop_signing_alg_values_supported":[""#, &algorithms, r#""]"#]));
        }
        if sender.requires_dpop() {
            document.push_str(r#","dpop_bound_access_tokens_required":true"#);
        }
        if sender.reads_certificates() {
            document.push_str(r#","tls_client_certificate_bound_access_tokens":true"#);
        }
        document.push('}');
        Some(Self { url: concat(&[origin, &path]), path, document })
    }

    /// Whether this request is for the metadata.
    pub(super) fn serves(&self, head: &RequestHead<'_>) -> bool {
        head.url_parts().path == self.path
    }

    /// Returns the metadata (RFC 9728 §3.2). It is public: scripts of every site may read it, with any header, such as
    /// `MCP-Protocol-Version`.
    pub(super) fn metadata(&self, method: &str) -> Reply {
        let reply = match method {
            "GET" | "HEAD" => Reply { body: self.document.clone(), ..Reply::new(200) }
                .with("content-type", "application/json")
                .with("cache-control", "public, max-age=300"),
            "OPTIONS" => Reply::new(204).with("access-control-allow-headers", "*"),
            _ => {
                return Reply::problem(405, "method_not_allowed", "This path does not support this method.")
                    .with("allow", "GET, HEAD, OPTIONS");
            }
        };
        reply.with("access-control-allow-origin", "*")
    }

    pub(super) fn metadata_url(&self) -> &str {
        &self.url
    }
}

#[cfg(test)]
mod tests {
    use core::iter::empty;

    use super::{ProtectedResource, SenderRules};
    use crate::dpop::Acceptance;

    #[test]
    fn the_well_known_path_precedes_that_of_the_resource() {
        for (resource, path) in [
            ("https://api.example.com", ""),
            ("https://api.example.com/", ""),
            ("https://api.example.com/mcp", "/mcp"),
            ("https://api.example.com/a/b/", "/a/b"),
        ] {
            let rules = SenderRules::new(Acceptance::Off, Acceptance::Off, &[]);
            let described = ProtectedResource::new(resource, empty(), &[], &rules).unwrap();
            assert_eq!(described.path, alloc::format!("/.well-known/oauth-protected-resource{path}"));
            assert_eq!(described.metadata_url(), alloc::format!("https://api.example.com{}", described.path));
        }
    }
}
