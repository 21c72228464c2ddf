//! Cross-origin resource sharing (Fetch standard §3.2), answered before any authentication.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::http::{Reply, RequestHead};
use crate::text::concat;
use crate::url::HttpUrl;

/// The CORS policy.
#[derive(Debug, Clone, Default)]
pub(super) struct Cors {
    pub(super) allow_origins: Vec<OriginPattern>,
    pub(super) allow_methods: Vec<String>,
    pub(super) allow_headers: Vec<String>,
    pub(super) expose_headers: Vec<String>,
    pub(super) allow_credentials: bool,
    pub(super) max_age_s: Option<u32>,
}

/// An allowed origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OriginPattern {
    /// `*`
    Any,
    /// Exactly this origin.
    Exact(String),
    /// One label before the host: `https://*.example.com`, possibly with a prefix and a suffix.
    Subdomain { scheme: &'static str, prefix: String, suffix: String },
    /// The name of the organization before the host: `https://{organization_name}.example.com`.
    Organization { scheme: &'static str, suffix: String },
}

impl OriginPattern {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        if let Some((scheme, rest)) = text.split_once("://").filter(|(_, rest)| rest.contains(['*', '{'])) {
            let scheme = ["https", "http"].into_iter().find(|one| *one == scheme)?;
            let (label, rest) = rest.split_once('.')?;
            let parent = concat(&["https://", rest]);
            // `https://*.com` would allow almost any origin.
            HttpUrl::parse(&parent).filter(|url| url.authority == rest && url.host.contains('.'))?;
            let rest = concat(&[".", &rest.to_ascii_lowercase()]);
            if label == ORGANIZATION_NAME {
                return Some(Self::Organization { scheme, suffix: rest });
            }
            let (prefix, suffix) = label.split_once('*')?;
            let suffix = concat(&[suffix, &rest]).to_ascii_lowercase();
            let is_plain = [prefix, label.get(prefix.len() + 1..)?].into_iter().all(is_label);
            return is_plain.then(|| Self::Subdomain { scheme, prefix: prefix.to_ascii_lowercase(), suffix });
        }
        let (scheme, rest) = text.split_once("://")?;
        let is_web = matches!(scheme, "https" | "http");
        let url = concat(&["https://", rest]);
        HttpUrl::parse(&url).filter(|url| url.path_and_query.is_empty() && (is_web || is_app_scheme(scheme)))?;
        // Apps and extensions name themselves as they are registered.
        Some(Self::Exact(if is_web { text.to_ascii_lowercase() } else { text.into() }))
    }

    fn allows(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(allowed) => allowed == origin,
            Self::Subdomain { scheme, prefix, suffix } => origin
                .strip_prefix(scheme)
                .and_then(|rest| rest.strip_prefix("://"))
                .and_then(|rest| rest.strip_prefix(prefix.as_str()))
                .and_then(|rest| rest.strip_suffix(suffix.as_str()))
                .is_some_and(|label| !label.is_empty() && is_label(label)),
            // Without an organization.
            Self::Organization { .. } => false,
        }
    }
}

/// Stands for the name of the organization.
const ORGANIZATION_NAME: &str = "{organization_name}";

/// Returns whether origins with this scheme can be those of apps or extensions, such as `capacitor` and `chrome-extension`. Documents of the others
/// have an origin of another scheme, or `null`, which is that of any site (URL standard §4.7).
fn is_app_scheme(scheme: &str) -> bool {
    let is_name = scheme.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'));
    is_name
        && scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && !matches!(
            scheme,
            "about" | "blob" | "data" | "file" | "filesystem" | "ftp" | "javascript" | "view-source" | "ws" | "wss"
        )
}

/// Returns whether the text is part of a label of a host name, or empty.
fn is_label(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// The CORS response headers. With a CORS policy, the gateway's replace the origin's.
pub(super) const CORS_HEADERS: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
];

/// Headers to add to a response.
pub(super) type CorsHeaders = Vec<(Cow<'static, str>, String)>;

impl Cors {
    /// Returns the policy of a host with this organization, if any.
    pub(super) fn for_organization(mut self, organization: Option<&str>) -> Self {
        // An id is no name.
        let name = organization.filter(|name| !name.starts_with("org_") && is_label(name));
        for pattern in &mut self.allow_origins {
            if let (OriginPattern::Organization { scheme, suffix }, Some(name)) = (&*pattern, name) {
                *pattern = OriginPattern::Exact(concat(&[scheme, "://", &name.to_ascii_lowercase(), suffix]));
            }
        }
        self
    }

    fn allows_any(&self) -> bool {
        self.allow_origins.contains(&OriginPattern::Any)
    }

    /// Whether this origin is allowed explicitly (not by `*`) to send requests with credentials.
    pub(super) fn trusts(&self, origin: &str) -> bool {
        self.allow_credentials && !self.allows_any() && self.allow_origins.iter().any(|one| one.allows(origin))
    }

    /// Returns the headers of every response to this request.
    pub(super) fn headers(&self, head: &RequestHead<'_>) -> CorsHeaders {
        let mut headers = Vec::new();
        let mut set = |name: &'static str, value: String| headers.push((Cow::Borrowed(name), value));
        let origin = (head.header)("origin");
        if !self.allows_any() {
            set("vary", "Origin".into());
        }
        let Some(origin) = origin.filter(|origin| self.allow_origins.iter().any(|one| one.allows(origin))) else {
            return headers;
        };
        set("access-control-allow-origin", if self.allows_any() { "*".into() } else { origin });
        if self.allow_credentials && !self.allows_any() {
            set("access-control-allow-credentials", "true".into());
        }
        if !self.expose_headers.is_empty() {
            set("access-control-expose-headers", self.expose_headers.join(", "));
        }
        headers
    }

    /// Returns the response to a preflight request, without the [common headers](Self::headers); `None` for other requests.
    pub(super) fn preflight(&self, head: &RequestHead<'_>) -> Option<Reply> {
        if head.method != "OPTIONS" {
            return None;
        }
        (head.header)("origin")?;
        (head.header)("access-control-request-method")?;
        let mut reply = Reply::new(204);
        if self.headers(head).iter().any(|(name, _)| name == "access-control-allow-origin") {
            reply = reply.with("access-control-allow-methods", self.allow_methods.join(", "));
            let headers = if self.allow_headers.iter().any(|one| one == "*") {
                // A literal `*` does not cover Authorization, nor any header of requests with credentials.
                (head.header)("access-control-request-headers")
                    .filter(|names| names.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_, ".contains(&byte)))
            } else {
                (!self.allow_headers.is_empty()).then(|| self.allow_headers.join(", "))
            };
            if let Some(headers) = headers {
                reply = reply.with("access-control-allow-headers", headers);
            }
            if let Some(max_age_s) = self.max_age_s {
                reply = reply.with("access-control-max-age", max_age_s.to_string());
            }
        }
        Some(reply)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{Cors, OriginPattern};

    #[test]
    fn origins_match_exactly_or_by_one_label() {
        let subdomain = OriginPattern::parse("https://*.example.com").unwrap();
        for origin in ["https://a.example.com", "https://a-b.example.com"] {
            assert!(subdomain.allows(origin), "{origin}");
        }
        for origin in [
            "https://example.com",
            "https://a.b.example.com",
            "http://a.example.com",
            "https://.example.com",
            "https://a.example.com:8080",
            "https://aexample.com",
            "https://evil.com/.example.com",
            "null",
            "",
            "https://a.example.com.evil.com",
        ] {
            assert!(!subdomain.allows(origin), "{origin}");
        }
        assert!(OriginPattern::parse("https://App.example.com").unwrap().allows("https://app.example.com"));
    }

    /// The rules of Auth0 for wildcards and placeholders in URLs, with its examples.
    #[test]
    fn wildcards_and_placeholders_follow_one_table() {
        // The pattern, the name of the organization, and origins that it allows and refuses; `None` for a pattern that is refused.
        type Row = (&'static str, Option<&'static str>, Option<(&'static [&'static str], &'static [&'static str])>);
        const TABLE: [Row; 26] = [
            ("https://*.example.com", None, Some((&["https://a.example.com"], &["https://sub1.sub2.example.com"]))),
            ("http://*.example.com", None, Some((&["http://a.example.com"], &["https://a.example.com"]))),
            ("https://*.example.com:8443", None, Some((&["https://a.example.com:8443"], &["https://a.example.com"]))),
            (
                "https://prefix-*-suffix.example.com",
                None,
                Some((
                    &["https://prefix-a-suffix.example.com", "https://prefix-a-b-suffix.example.com"],
                    &[
                        "https://prefix--suffix.example.com",
                        "https://prefix-suffix.example.com",
                        "https://prefix-a.b-suffix.example.com",
                        "https://a-suffix.example.com",
                        "https://prefix-a.example.com",
                    ],
                )),
            ),
            ("https://APP-*.Example.com", None, Some((&["https://app-1.example.com"], &["https://app-.example.com"]))),
            ("https://*-app.example.com", None, Some((&["https://1-app.example.com"], &["https://-app.example.com"]))),
            ("ftp://*.example.com", None, None),
            ("https://*", None, None),
            ("https://*.com", None, None),
            ("https://*example.com", None, None),
            ("https://sub.*.example.com", None, None),
            ("https://*.*.example.com", None, None),
            ("https://**.example.com", None, None),
            ("https://a*b*c.example.com", None, None),
            ("https://*.example.com/callback", None, None),
            ("https://example.com/*", None, None),
            ("https://pre_*.example.com", None, None),
            (
                "https://{organization_name}.example.com",
                Some("Acme"),
                Some((&["https://acme.example.com"], &["https://other.example.com", "https://a.acme.example.com"])),
            ),
            // Only in the context of an organization, and by its name.
            ("https://{organization_name}.example.com", None, Some((&[], &["https://acme.example.com"]))),
            ("https://{organization_name}.example.com", Some("org_1"), Some((&[], &["https://org_1.example.com"]))),
            ("https://{organization_name}.example.com", Some("a.b"), Some((&[], &["https://a.b.example.com"]))),
            ("https://{organization_name}", Some("acme"), None),
            ("https://sub.{organization_name}.example.com", Some("acme"), None),
            ("https://app-{organization_name}.example.com", Some("acme"), None),
            ("https://{organization_name}.*.example.com", Some("acme"), None),
            ("https://example.com/{organization_name}", Some("acme"), None),
        ];
        for (pattern, organization, expected) in TABLE {
            let parsed = OriginPattern::parse(pattern);
            assert_eq!(parsed.is_some(), expected.is_some(), "{pattern}");
            let (Some(parsed), Some((allowed, refused))) = (parsed, expected) else { continue };
            let cors = Cors { allow_origins: Vec::from([parsed]), ..Cors::default() }.for_organization(organization);
            let allows = |origin: &&&str| cors.allow_origins.iter().any(|one| one.allows(origin));
            assert_eq!(allowed.iter().filter(|one| !allows(one)).count(), 0, "{pattern}");
            assert_eq!(refused.iter().filter(allows).count(), 0, "{pattern}");
        }
    }

    #[test]
    fn apps_and_extensions_have_origins_of_their_own() {
        for text in [
            "capacitor://localhost",
            "ionic://localhost",
            "tauri://localhost",
            "app://localhost:8080",
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
            "moz-extension://0c5e8f6a-4c0b-4b7e-9a4e-1d2c3b4a5f60",
        ] {
            let pattern = OriginPattern::parse(text).unwrap();
            assert!(pattern.allows(text), "{text}");
            let host = text.split_once("://").unwrap().1;
            for other in [
                "null".into(),
                alloc::format!("https://{host}"),
                alloc::format!("{text}.evil"),
                alloc::format!("x{text}"),
            ] {
                assert!(!pattern.allows(&other), "{text}: {other}");
            }
        }
    }

    #[test]
    fn overly_broad_and_invalid_patterns_are_refused() {
        for text in [
            "null",
            "javascript://localhost",
            "javascript:alert(1)",
            "data://localhost",
            "data:text/html,x",
            "file://localhost",
            "file://",
            "file:///",
            "blob://localhost",
            "about://blank",
            "ws://example.com",
            "capacitor://",
            "capacitor://localhost/",
            "capacitor://localhost/index.html",
            "capacitor://user@localhost",
            "capacitor://*",
            "capacitor://*.example.com",
            "Capacitor://localhost",
            "://localhost",
            "1app://localhost",
            "a b://localhost",
            "capacitor:localhost",
            "https://*.com",
            "https://sub.*.example.com",
            "https://*.*.example.com",
            "https://example.com/path",
            "https://example.com/",
            "example.com",
            "*.example.com",
            "ftp://example.com",
            "",
        ] {
            assert_eq!(OriginPattern::parse(text), None, "{text}");
        }
    }
}
