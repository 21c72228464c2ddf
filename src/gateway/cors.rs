//! Cross-origin resource sharing (Fetch standard §3.2), answered before any authentication.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::http::{Reply, RequestHead};
use crate::url::HttpUrl;

/// Who may call from another origin, and how.
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
    /// Exactly this one.
    Exact(String),
    /// One more label in front of the host: `https://*.example.com`.
    Subdomain { scheme: &'static str, suffix: String },
}

impl OriginPattern {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        if let Some((scheme, rest)) = text.split_once("://*.") {
            let scheme = ["https", "http"].into_iter().find(|one| *one == scheme)?;
            let parent = alloc::format!("https://{rest}");
            let parent = HttpUrl::parse(&parent).filter(|url| url.authority == rest)?;
            // `https://*.com` would allow everybody.
            return parent
                .host
                .contains('.')
                .then(|| Self::Subdomain { scheme, suffix: alloc::format!(".{}", rest.to_ascii_lowercase()) });
        }
        let url = HttpUrl::parse(text)?;
        url.path_and_query.is_empty().then(|| Self::Exact(text.to_ascii_lowercase()))
    }

    fn allows(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(allowed) => allowed == origin,
            Self::Subdomain { scheme, suffix } => origin
                .strip_prefix(scheme)
                .and_then(|rest| rest.strip_prefix("://"))
                .and_then(|rest| rest.strip_suffix(suffix.as_str()))
                .is_some_and(|label| {
                    !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                }),
        }
    }
}

/// Those of an origin give way to the gateway's where it has a CORS policy.
pub(super) const CORS_HEADERS: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
];

/// Headers for an answer.
pub(super) type CorsHeaders = Vec<(Cow<'static, str>, String)>;

impl Cors {
    fn allows_any(&self) -> bool {
        self.allow_origins.contains(&OriginPattern::Any)
    }

    /// Whether this origin, by its own name, may send requests with cookies.
    pub(super) fn trusts(&self, origin: &str) -> bool {
        self.allow_credentials && !self.allows_any() && self.allow_origins.iter().any(|one| one.allows(origin))
    }

    /// The headers that every answer to this request carries.
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

    /// The answer to a preflight request, less the headers that every answer carries; `None` if it is not one.
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
                // A literal `*` would leave out Authorization, and everything when credentials are sent.
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
    use super::OriginPattern;

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

    #[test]
    fn patterns_that_allow_too_much_or_mean_nothing_are_refused() {
        for text in [
            "https://*.com",
            "https://sub.*.example.com",
            "https://*.*.example.com",
            "https://prefix-*.example.com",
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
