//! The checks on URLs that configuration and discovery need.
//!
//! Not a full URL parser: it accepts only the plain form `http(s)://host[:port][/path][?query]` in visible ASCII, which every parser
//! reads alike.

use alloc::string::String;

/// An absolute http or https URL in plain form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HttpUrl<'u> {
    pub(crate) is_https: bool,
    /// The host name or address, without port.
    pub(crate) host: &'u str,
    /// Host and port, as written.
    pub(crate) authority: &'u str,
    /// Everything after the host and port; may be empty.
    pub(crate) path_and_query: &'u str,
}

impl<'u> HttpUrl<'u> {
    /// Parses `url`; returns `None` unless it is in plain form.
    pub(crate) fn parse(url: &'u str) -> Option<Self> {
        let (is_https, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return None,
        };
        if rest.bytes().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'#' | b'"' | b'<' | b'>')) {
            return None;
        }
        let path_from = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path_and_query) = rest.split_at_checked(path_from)?;
        let (host, port) = split_port(authority)?;
        if port.is_some_and(|port| port.parse::<u16>().is_err() || port.starts_with('+')) || !is_host(host) {
            return None;
        }
        Some(Self { is_https, host, authority, path_and_query })
    }

    /// Returns the path, without the query.
    #[cfg(feature = "gateway")]
    pub(crate) fn path(&self) -> &'u str {
        self.path_and_query.split('?').next().unwrap_or_default()
    }

    /// Returns whether the host is loopback.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(self.host)
    }

    /// Returns whether the URL is https, or http to loopback.
    pub(crate) fn is_secure(&self) -> bool {
        self.is_https || self.is_loopback()
    }

    /// Returns whether the URL's host is one of these, each a host for any port, or a host and its port.
    pub(crate) fn is_on(&self, hosts: &[String]) -> bool {
        hosts.iter().any(|host| host.eq_ignore_ascii_case(self.host) || host.eq_ignore_ascii_case(self.authority))
    }
}

/// Returns a URL as a log may show it: without its query, which may hold anything.
pub(crate) fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// Splits `host[:port]`; the host of an IPv6 address keeps its brackets.
pub(crate) fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let port_from = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at_checked(port_from)?;
    match port.strip_prefix(':') {
        Some(port) => Some((host, Some(port))),
        None if port.is_empty() => Some((host, None)),
        None => None,
    }
}

/// Returns whether the text is a host name or an IP address in URL form.
pub(crate) fn is_host(host: &str) -> bool {
    let name = |host: &str| {
        host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
    };
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        // Clients do not connect to invalid addresses in this form. The standard library's parser is larger than this file.
        Some(address) => {
            (2..=45).contains(&address.len())
                && address.contains(':')
                && address.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
        }
        None => host.len() <= 253 && name(host),
    }
}

/// Returns whether a cookie for `domain` is sent to `host`: the domain is the host, or a parent of it (RFC 6265 §5.1.3).
#[cfg(feature = "gateway")]
pub(crate) fn is_within_domain(host: &str, domain: &str) -> bool {
    let start = host.len().checked_sub(domain.len());
    let tail = start.and_then(|start| host.split_at_checked(start));
    tail.is_some_and(|(rest, tail)| tail.eq_ignore_ascii_case(domain) && (rest.is_empty() || rest.ends_with('.')))
}

/// Returns whether a host, as written, is loopback: `localhost`, `127.0.0.0/8` (RFC 1122 §3.2.1.3) or `[::1]` (RFC 4291 §2.5.3).
pub(crate) fn is_loopback(host: &str) -> bool {
    let is_octet = |text: &str| {
        let is_shortest = text == "0" || !text.starts_with(['0', '+']);
        is_shortest && text.parse::<u8>().is_ok()
    };
    let is_ipv4 = || host.split('.').count() == 4 && host.split('.').all(is_octet);
    host.eq_ignore_ascii_case("localhost") || host == "[::1]" || host.starts_with("127.") && is_ipv4()
}

/// Returns whether keys of `issuer` may be fetched from `uri`: over https, or over http from one of `http_hosts`, or if issuer and
/// `uri` are on loopback.
pub(crate) fn may_serve_keys(uri: &str, issuer: &str, http_hosts: &[String]) -> bool {
    let issuer_is_loopback = HttpUrl::parse(issuer).is_some_and(|issuer| issuer.is_loopback());
    let may_serve = |uri: HttpUrl<'_>| uri.is_https || issuer_is_loopback && uri.is_loopback() || uri.is_on(http_hosts);
    HttpUrl::parse(uri).is_some_and(may_serve)
}

/// Splits an issuer's URL around `{tenantid}`, which stands for the id of a tenant.
pub(crate) fn split_tenant(template: &str) -> Option<(&str, &str)> {
    let (before, rest) = template.split_once('{')?;
    Some((before, rest.strip_prefix("tenantid}")?))
}

/// Returns the tenant that `issuer` names where `template` has `{tenantid}`; `None` if it is another issuer.
pub(crate) fn tenant_in<'i>(template: &str, issuer: &'i str) -> Option<&'i str> {
    let (before, after) = split_tenant(template)?;
    issuer.strip_prefix(before)?.strip_suffix(after).filter(|tenant| is_tenant(tenant))
}

/// Returns whether `issuer` is the configured issuer, which may hold `{tenantid}`. Whether its tenant is accepted is not checked.
#[cfg(feature = "gateway")]
pub(crate) fn is_issuer(configured: &str, issuer: &str) -> bool {
    configured == issuer || tenant_in(configured, issuer).is_some()
}

/// Returns whether the text is the id of a tenant: a GUID in lower case, so that nothing else fits into a template.
pub(crate) fn is_tenant(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "gateway")]
    use super::is_within_domain;
    use super::{HttpUrl, is_issuer, is_loopback, may_serve_keys, split_tenant, tenant_in};

    const TENANT: &str = "8f2a1c3e-0b4d-4c6f-9e1a-5d7b2f4c6a80";

    #[test]
    fn a_template_stands_for_guids_and_nothing_else() {
        let template = "https://login.example/{tenantid}/v2.0";
        let with = |tenant: &str| template.replace("{tenantid}", tenant);
        assert_eq!(tenant_in(template, &with(TENANT)), Some(TENANT));
        assert!(is_issuer(template, &with(TENANT)) && is_issuer(template, template));
        let upper = TENANT.to_ascii_uppercase();
        let long = [TENANT, "0"].concat();
        let with_path = [TENANT, "/x"].concat();
        for tenant in [
            "",
            "common",
            "{tenantid}",
            "contoso.example",
            &upper,
            &long,
            &with_path,
            &TENANT[1..],
            "8f2a1c3e/0b4d/4c6f/9e1a/5d7b2f4c6a80",
            "8f2a1c3e-0b4d-4c6f-9e1a-5d7b2f4c6a8g",
            "8f2a1c3e-0b4d-4c6f-9e1a-5d7b2f4c6aé",
        ] {
            assert_eq!(tenant_in(template, &with(tenant)), None, "{tenant}");
        }
        for issuer in [format!("https://login.example/{TENANT}/v1.0"), format!("http://login.example/{TENANT}/v2.0")] {
            assert_eq!(tenant_in(template, &issuer), None, "{issuer}");
        }
        // The two fixed parts must not share characters.
        assert_eq!(tenant_in("https://a/{tenantid}/", "https://a/"), None);
        assert_eq!(split_tenant("https://a/{tenant}/"), None);
        assert_eq!(split_tenant("https://a/"), None);
    }

    #[test]
    fn plain_urls_are_read() {
        let url = HttpUrl::parse("https://api.example.com:8443/v1/?a=b").unwrap();
        assert_eq!(
            (url.host, url.authority, url.path_and_query),
            ("api.example.com", "api.example.com:8443", "/v1/?a=b")
        );
        assert!(HttpUrl::parse("http://[::1]:80").unwrap().is_loopback());
        assert!(HttpUrl::parse("http://127.0.0.1").unwrap().is_secure());
        assert!(!HttpUrl::parse("http://example.com").unwrap().is_secure());
    }

    #[test]
    fn urls_that_parsers_could_disagree_on_are_refused() {
        for url in [
            "ftp://a",
            "https:/a",
            "//a",
            "https://",
            "https://a@b",
            "https://a:b@c",
            "https://a\\b",
            "https://a/#b",
            "https://a b",
            "https://a:99999",
            "https://a:+80",
            "https://a:",
            "https://.a",
            "https://a..b",
            "https://é",
            "https://[::1",
            "https://[zz]",
            "https://[]",
            "https://[1]",
            "https://[::1%25eth0]",
            "https://[::1]x",
            "HTTPS://a",
            "https://a/\u{1f}",
            "javascript:alert(1)",
            "https://%61",
        ] {
            assert_eq!(HttpUrl::parse(url), None, "{url}");
        }
    }

    #[test]
    fn only_local_addresses_are_loopback() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "localhost.example.com",
            "128.0.0.1",
            "127.0.0.1.example.com",
            "127.0.0.256",
            "127.0.0.01",
            "127.0.0.+1",
            "127.0.0",
            "127.0.0.",
            "127.1",
            "127.0.0.1.1",
            "[::2]",
            "::1",
            "[127.0.0.1]",
            "example.com",
            "0.0.0.0",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    #[cfg(feature = "gateway")]
    fn a_domain_has_its_hosts_and_no_others() {
        for (host, domain, expected) in [
            ("app.example.com", "example.com", true),
            ("example.com", "Example.com", true),
            ("a.b.example.com", "example.com", true),
            ("badexample.com", "example.com", false),
            ("example.com", "app.example.com", false),
            ("example.com", "example.org", false),
            ("éx.com", "x.com", false),
        ] {
            assert_eq!(is_within_domain(host, domain), expected, "{host} {domain}");
        }
    }

    #[test]
    fn keys_come_over_https_or_from_loopback_for_an_issuer_on_loopback() {
        assert!(may_serve_keys("https://keys.example.org/jwks", "https://a.example.com/", &[]));
        assert!(may_serve_keys("http://127.0.0.1:9400/jwks", "http://127.0.0.1:9400", &[]));
        assert!(!may_serve_keys("http://127.0.0.1/jwks", "https://a.example.com/", &[]));
        assert!(!may_serve_keys("http://a.example.com/jwks", "https://a.example.com/", &[]));
        assert!(!may_serve_keys("file:///etc/jwks", "https://a.example.com/", &[]));
    }

    #[test]
    fn http_is_allowed_for_the_named_hosts_and_no_others() {
        let hosts = ["keys.internal".into(), "login.internal:8080".into()];
        for (uri, expected) in [
            ("http://keys.internal/jwks", true),
            ("http://KEYS.internal:81/jwks", true),
            ("http://login.internal:8080/jwks", true),
            ("http://login.internal/jwks", false),
            ("http://login.internal:80/jwks", false),
            ("http://a.keys.internal/jwks", false),
            ("http://keys.internal.example/jwks", false),
            ("http://other.internal/?keys.internal", false),
            ("ftp://keys.internal/jwks", false),
            ("http://user@keys.internal/jwks", false),
        ] {
            assert_eq!(may_serve_keys(uri, "https://a.example.com/", &hosts), expected, "{uri}");
        }
    }
}
