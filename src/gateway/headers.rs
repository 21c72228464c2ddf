//! Request headers: the client's headers that never reach an origin, and the headers that routes set.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::matched::Caller;
use crate::http::{CLIENT_ADDRESS, HOP_BY_HOP, canonical_name, encode_header_value};
use crate::json::{Number, Value};
use crate::text::concat;

/// Canonical names of the client's headers to drop, by category. A name that ends in a dash is a prefix. Only the gateway may
/// tell an application what a proxy usually tells it.
const DROPPED: &[&[&str]] =
    &[IDENTITY, IDENTITY_OF_PRODUCTS, CLIENT_CERTIFICATES, CLIENT_ADDRESSES, FORWARDING, METHODS, HOP_BY_HOP];

/// The caller's identity, in names shared by several proxies and forward-auth services.
const IDENTITY: &[&str] = &[
    "remote-", // Remote-User and similar: CGI, Authelia
    "x-access-token",
    "x-auth",
    "x-auth-", // X-Auth-Request-*: oauth2-proxy
    "x-authenticated",
    "x-authenticated-",
    "x-claim",
    "x-claim-",
    "x-claims",
    "x-claims-",
    "x-edgeward-",
    "x-email",
    "x-group",
    "x-groups",
    "x-id-token",
    "x-jwt",
    "x-jwt-",
    "x-remote",
    "x-remote-", // X-Remote-User: Kubernetes; X-Remote-IP and X-Remote-Addr, too
    "x-role",
    "x-roles",
    "x-sso",
    "x-sso-",
    "x-user",
    "x-user-",
    "x-userid",
    "x-userinfo",
    "x-username",
    "x-webauth-",              // Grafana, Gitea
    "x-middleware-subrequest", // Next.js: not an identity, but skips its authorization middleware
];

/// The caller's identity, in the names of one product or platform.
const IDENTITY_OF_PRODUCTS: &[&str] = &[
    "cf-access-", // Cloudflare Access
    "iv-creds",   // IBM Verify Access: iv-*
    "iv-groups",
    "iv-user",
    "oam-remote-user", // Oracle Access Manager
    "oidc-",           // mod_auth_openidc: OIDC_CLAIM_*
    "shib-",           // Shibboleth
    "sm-universalid",  // SiteMinder: SM_*
    "sm-user",
    "sm-userdn",
    "tailscale-",                 // Tailscale Serve
    "teleport-jwt-assertion",     // Teleport
    "x-amzn-oidc-",               // AWS load balancers
    "x-amzn-request-context",     // AWS Lambda Web Adapter
    "x-anonymous-consumer",       // Kong
    "x-apigateway-",              // Google API Gateway
    "x-appengine-",               // Google App Engine
    "x-authentik-",               // authentik
    "x-consumer-",                // Kong
    "x-credential-",              // Kong
    "x-endpoint-api-userinfo",    // Google Cloud Endpoints
    "x-envoy-",                   // Envoy, Istio
    "x-goog-authenticated-user-", // Google IAP
    "x-goog-iap-",                // Google IAP
    "x-hasura-",                  // Hasura: user and role
    "x-ms-client-principal",      // Azure App Service
    "x-ms-client-principal-",
    "x-ms-token-", // Azure App Service
    "x-oidc-",
    "x-pomerium-", // Pomerium
    "x-token-",    // caddy-security
    "x-vouch-",    // Vouch Proxy
];

/// The client certificate, as seen by the TLS terminator.
const CLIENT_CERTIFICATES: &[&str] = &[
    "cf-cert-", // Cloudflare
    "cf-client-cert-",
    "client-cert", // RFC 9440
    "client-cert-",
    "ssl-", // nginx, Apache: SSL_CLIENT_*
    "tls-client-",
    "wl-proxy-",        // WebLogic
    "x-amzn-mtls-",     // AWS load balancers
    "x-arr-clientcert", // Azure App Service, IIS
    "x-arr-ssl",
    "x-client-cert",
    "x-client-cert-",
    "x-client-certificate",
    "x-client-cn",
    "x-client-dn",
    "x-client-s-dn",
    "x-client-subject-",
    "x-client-verify",
    "x-ssl-", // HAProxy
    "x-tls-client",
    "x-tls-client-",
];

/// The client's address, as seen by a proxy. Origins get it from the platform, as `X-Forwarded-For`.
const CLIENT_ADDRESSES: &[&str] = &[
    CLIENT_ADDRESS,
    "ali-cdn-real-ip",
    "cf-connecting-ipv6",
    "cf-pseudo-ipv4",
    "client-ip",
    "cloudfront-viewer-address",
    "do-connecting-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "incap-client-ip",
    "proxy-client-ip",
    "true-client-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-client-ip",
    "x-clientip",
    "x-cluster-client-ip",
    "x-nf-client-connection-ip",
    "x-original-forwarded-for",
    "x-originating-ip",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-sucuri-clientip",
    "x-vercel-forwarded-for",
    "x-vercel-proxied-for",
];

/// The route of the request so far. The gateway ignores the client's values and sets its own.
const FORWARDING: &[&str] = &[
    "forwarded",
    "forwarded-for",
    "x-forwarded",
    "x-forwarded-",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
];

/// Headers by which some origins override the method that the policy was checked against.
const METHODS: &[&str] = &["x-http-method", "x-http-method-override", "x-method-override", "x-original-method"];

/// Forwarded despite a dropped prefix: gRPC-Web's header for the client software.
const PASSED: &str = "x-user-agent";

/// The inbound headers to drop before a request is forwarded.
#[derive(Clone)]
pub(super) struct ReservedHeaders {
    /// The canonical names of all headers set by any route, sorted.
    configured: Vec<Vec<u8>>,
    /// The full names and the prefixes of [`DROPPED`], sorted. No prefix is a prefix of another.
    names: Vec<&'static str>,
    prefixes: Vec<&'static str>,
}

impl core::fmt::Debug for ReservedHeaders {
    /// Shows the configured names; the others are constant.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let configured = self.configured.iter().map(|name| String::from_utf8_lossy(name));
        f.debug_list().entries(configured).finish()
    }
}

impl Default for ReservedHeaders {
    fn default() -> Self {
        let (mut names, mut prefixes) = (Vec::new(), Vec::new());
        for &name in DROPPED.iter().copied().flatten() {
            let table = if name.ends_with('-') { &mut prefixes } else { &mut names };
            // Insertion sort: the tables are small, and this is the least code.
            table.insert(table.partition_point(|other| *other < name), name);
        }
        Self { configured: Vec::new(), names, prefixes }
    }
}

impl ReservedHeaders {
    /// Reserves a header for the gateway: a client's is dropped.
    pub(super) fn reserve(&mut self, name: &str) {
        let name: Vec<u8> = canonical_name(name).collect();
        if let Err(at) = self.configured.binary_search(&name) {
            self.configured.insert(at, name);
        }
    }

    /// Whether a client's header with this name, in any spelling, is dropped.
    pub(super) fn drops(&self, name: &str) -> bool {
        // Called for every header of every forwarded request: no allocation for names of usual length.
        let (mut buffer, long): ([u8; 64], Vec<u8>);
        let canonical = if name.len() <= 64 {
            buffer = [0; 64];
            let used = buffer.iter_mut().zip(canonical_name(name)).map(|(slot, byte)| *slot = byte).count();
            buffer.get(..used).unwrap_or_default()
        } else {
            long = canonical_name(name).collect();
            &long
        };
        if self.configured.binary_search_by(|other| other.as_slice().cmp(canonical)).is_ok() {
            return true;
        }
        // In exactly this spelling, Cloudflare overwrites a client's value with its own; any other spelling is the client's.
        if canonical == PASSED.as_bytes() || name.eq_ignore_ascii_case(CLIENT_ADDRESS) {
            return false;
        }
        // Only the prefix that sorts last before the name can match it.
        let after = self.prefixes.partition_point(|prefix| prefix.as_bytes() <= canonical);
        let nearest = after.checked_sub(1).and_then(|index| self.prefixes.get(index));
        nearest.is_some_and(|prefix| canonical.starts_with(prefix.as_bytes()))
            || self.names.binary_search_by(|other| other.as_bytes().cmp(canonical)).is_ok()
    }
}

/// The value of a configured header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HeaderValue {
    Literal(String),
    /// A claim. Without the claim, the header is omitted.
    Claim(String),
    /// The access token.
    Token,
    /// The access token, preceded by `Bearer `.
    BearerToken,
    /// The token of `upstream_auth`, which is set after it was obtained.
    UpstreamToken,
    /// The same, preceded by `Bearer `.
    BearerUpstreamToken,
}

impl HeaderValue {
    /// Parses `$claims.sub`, `$claims["https://example.com/roles"]`, `$token`, `Bearer $token`, `$m2m` or `Bearer $m2m`. `None` for any other
    /// text.
    pub(super) fn template(text: &str) -> Option<Result<Self, &'static str>> {
        match text {
            "$token" => return Some(Ok(Self::Token)),
            "Bearer $token" => return Some(Ok(Self::BearerToken)),
            "$m2m" => return Some(Ok(Self::UpstreamToken)),
            "Bearer $m2m" => return Some(Ok(Self::BearerUpstreamToken)),
            _ => {}
        }
        let rest = text.strip_prefix("$claims")?;
        let quoted = |quote: &str| rest.strip_prefix('[')?.strip_suffix(']')?.strip_prefix(quote)?.strip_suffix(quote);
        let is_plain = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte));
        let plain = rest.strip_prefix('.').filter(is_plain);
        let name = plain.or_else(|| quoted("\"")).or_else(|| quoted("'")).filter(|name| !name.is_empty());
        Some(
            name.map(|name| Self::Claim(name.into()))
                .ok_or("write $claims.name or $claims[\"name\"], and nothing else"),
        )
    }

    /// Creates a constant value.
    pub(super) fn literal(text: String) -> Result<Self, &'static str> {
        if text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            Ok(Self::Literal(text))
        } else {
            Err("a header value may hold visible ASCII characters and spaces only")
        }
    }

    /// Whether the value depends on the caller.
    pub(super) fn needs_caller(&self) -> bool {
        !matches!(self, Self::Literal(_)) && !self.is_upstream_token()
    }

    /// The claim that it has the value of.
    pub(super) fn claim(&self) -> Option<&str> {
        if let Self::Claim(name) = self { Some(name) } else { None }
    }

    /// Whether the value contains the access token.
    pub(super) fn is_token(&self) -> bool {
        matches!(self, Self::Token | Self::BearerToken)
    }

    /// Whether the value contains the token of `upstream_auth`.
    pub(super) fn is_upstream_token(&self) -> bool {
        matches!(self, Self::UpstreamToken | Self::BearerUpstreamToken)
    }

    /// Renders the value with a token, which is that of `upstream_auth` or the access token; `None` if it does not contain it. `scheme` takes the
    /// place of `Bearer `.
    pub(super) fn render_token(&self, scheme: &str, token: &str, is_upstream: bool) -> Option<String> {
        match self {
            Self::UpstreamToken if is_upstream => Some(token.into()),
            Self::BearerUpstreamToken if is_upstream => Some(concat(&[scheme, token])),
            Self::Token if !is_upstream => Some(token.into()),
            Self::BearerToken if !is_upstream => Some(concat(&[scheme, token])),
            _ => None,
        }
    }

    /// Renders the value for a request; `None` omits the header.
    pub(super) fn render(&self, caller: Option<Caller<'_>>) -> Option<String> {
        match self {
            Self::Literal(text) => Some(text.clone()),
            Self::UpstreamToken | Self::BearerUpstreamToken => None,
            Self::Token => caller.map(|caller| caller.token.into()),
            Self::BearerToken => caller.map(|caller| alloc::format!("Bearer {}", caller.token)),
            Self::Claim(name) => match caller?.claims.get(name)? {
                Value::Null => None,
                Value::String(text) => Some(encode_header_value(text)),
                Value::Bool(value) => Some(value.to_string()),
                Value::Number(Number::Unsigned(value)) => Some(value.to_string()),
                Value::Number(Number::Signed(value)) => Some(value.to_string()),
                value => Some(ascii_json(&value.to_json())),
            },
        }
    }
}

/// Converts JSON text to ASCII, with `\u` escapes for other characters.
fn ascii_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() && !character.is_ascii_control() {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                text.push_str(&alloc::format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

/// Headers to set, in order.
pub(super) type HeaderTemplates = Vec<(String, HeaderValue)>;

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use super::{CLIENT_ADDRESS, DROPPED, HeaderValue, ReservedHeaders, ascii_json};

    /// The names of the table, with examples for each prefix.
    fn dropped_names() -> impl Iterator<Item = String> {
        DROPPED.iter().copied().flatten().flat_map(|name| {
            let is_prefix = name.ends_with('-');
            let ends: &[&str] = if is_prefix { &["id", "a-b", "0", ""] } else { &[""] };
            ends.iter().map(move |end| format!("{name}{end}"))
        })
    }

    /// Other spellings of a canonical name that a server may fold into it.
    fn spellings(name: &str) -> Vec<String> {
        let title = name.split('-').map(|word| match word.split_at_checked(1) {
            Some((first, rest)) => first.to_ascii_uppercase() + rest,
            None => String::new(),
        });
        let title = title.collect::<Vec<_>>().join("-");
        let separated = ["_", ".", "--", "__", "_-", "~", "'", "!", "#", "$", "%", "&", "*", "+", "^", "`", "|"];
        let mut all = Vec::from([title.clone(), name.to_ascii_uppercase()]);
        for separator in separated {
            all.push(name.replace('-', separator));
            all.push(title.replace('-', separator));
        }
        // Mixed separators.
        all.push(name.replacen('-', "_", 1));
        all
    }

    #[test]
    fn every_name_of_the_table_is_dropped_in_every_spelling() {
        let reserved = ReservedHeaders::default();
        let mut names = 0;
        for name in dropped_names() {
            if name != CLIENT_ADDRESS {
                assert!(reserved.drops(&name), "{name}");
            }
            for spelling in spellings(&name).iter().filter(|one| !one.eq_ignore_ascii_case(CLIENT_ADDRESS)) {
                assert!(reserved.drops(spelling), "{spelling}");
                names += 1;
            }
        }
        assert!(names > 4000, "{names}");
    }

    #[test]
    fn the_platforms_address_header_passes_in_its_own_spelling_only() {
        let mut reserved = ReservedHeaders::default();
        for (name, drops) in [
            ("cf-connecting-ip", false),
            ("CF-Connecting-IP", false),
            ("CF_Connecting_IP", true),
            ("cf-connecting_ip", true),
            ("cf--connecting-ip", true),
        ] {
            assert_eq!(reserved.drops(name), drops, "{name}");
        }
        reserved.reserve("CF-Connecting-IP");
        assert!(reserved.drops("cf-connecting-ip"), "unless a route sets it");
    }

    #[test]
    fn any_name_set_by_a_route_is_dropped() {
        let long = format!("X-{}", "Long-".repeat(40));
        for name in ["X-Tenant", "X-User-Agent", "Accept", "X-Request-Id", &long] {
            let mut reserved = ReservedHeaders::default();
            assert!(!reserved.drops(name), "{name}");
            reserved.reserve(name);
            for spelling in spellings(&name.to_ascii_lowercase()) {
                assert!(reserved.drops(&spelling), "{spelling}");
            }
            let other = format!("Not-{name}");
            assert!(!reserved.drops(&other), "{other}");
        }
    }

    #[test]
    fn the_table_is_searchable() {
        let ReservedHeaders { names, prefixes, .. } = ReservedHeaders::default();
        for table in [&names, &prefixes] {
            assert!(table.is_sorted_by(|one, next| one < next), "sorted, without duplicates: {table:?}");
            let is_canonical = |name: &&str| super::canonical_name(name).eq(name.bytes());
            assert!(table.iter().all(is_canonical));
        }
        for prefix in &prefixes {
            let longer = prefixes.iter().find(|other| other != &prefix && other.starts_with(prefix));
            assert_eq!(longer, None, "{prefix} is a prefix of it");
            let needless = names.iter().find(|name| name.starts_with(prefix));
            assert_eq!(needless, None, "{prefix} covers it");
        }
    }

    #[test]
    fn names_of_any_length_are_compared_as_a_whole() {
        let reserved = ReservedHeaders::default();
        for len in [1, 2, 63, 64, 65, 66, 300] {
            assert!(reserved.drops(&format!("x-user-{}", "a".repeat(len))), "{len}");
            assert!(reserved.drops(&format!("X_{}User_Id{}", "_".repeat(len), "_".repeat(len))), "{len}");
            assert!(!reserved.drops(&format!("x-request-{}", "a".repeat(len))), "{len}");
            assert!(!reserved.drops(&format!("x-role{}", "a".repeat(len))), "{len}");
        }
        assert!(!reserved.drops(""));
        assert!(!reserved.drops(&"-".to_string().repeat(70)));
    }

    #[test]
    fn every_spelling_of_a_reserved_header_is_dropped() {
        let mut reserved = ReservedHeaders::default();
        reserved.reserve("X-Tenant");
        for name in [
            "X-Tenant",
            "x_tenant",
            "X.TENANT",
            "X-User-Id",
            "x_user_id",
            "X-User.Sub",
            "Remote-User",
            "REMOTE_USER",
            "X-Forwarded-Host",
            "x_forwarded_uri",
            "Forwarded",
            "Connection",
            "X-HTTP-Method-Override",
            "X-Original-URL",
            "X_Auth_Request_Email",
        ] {
            assert!(reserved.drops(name), "{name}");
        }
        for name in ["Accept", "Content-Type", "X-Request-Id", "User-Agent", "Cookie", "X-Tenants", "Authorization"] {
            assert!(!reserved.drops(name), "{name}");
        }
    }

    #[test]
    fn a_template_is_a_claim_or_the_token_and_nothing_else() {
        for (text, value) in [
            ("$claims.sub", HeaderValue::Claim("sub".into())),
            (r#"$claims["https://yourapp.com/roles"]"#, HeaderValue::Claim("https://yourapp.com/roles".into())),
            ("$claims['a b']", HeaderValue::Claim("a b".into())),
            ("$token", HeaderValue::Token),
            ("Bearer $token", HeaderValue::BearerToken),
        ] {
            assert_eq!(HeaderValue::template(text), Some(Ok(value)), "{text}");
        }
        for text in
            ["$claims", "$claims.", "$claims[]", "$claims[\"\"]", "$claimsub", "$claims.sub suffix", "$claims.a$b"]
        {
            assert!(HeaderValue::template(text).is_some_and(|read| read.is_err()), "{text}");
        }
        for text in ["gold", "$claim.sub", "x $claims.sub", "$tokens", ""] {
            assert_eq!(HeaderValue::template(text), None, "{text}");
        }
        assert_eq!(HeaderValue::literal("gold 1".into()), Ok(HeaderValue::Literal("gold 1".into())));
        for text in ["a\r\nb", "é", "\t"] {
            assert!(HeaderValue::literal(text.into()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn json_in_a_header_is_ascii() {
        assert_eq!(ascii_json(r#"["é","𝄞"]"#), r#"["\u00e9","\ud834\udd1e"]"#);
    }
}
