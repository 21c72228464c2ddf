//! The header contract: which headers of a client never reach an origin, and what the gateway says in their place.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Caller;
use crate::http::{canonical_name, is_hop_by_hop, percent_encoded_value};
use crate::json::{Number, Value};

/// Headers by which origins are commonly told who the user is. A client's are dropped on every route.
const IDENTITY_HEADERS: &[&str] = &[
    "remote-user",
    "x-remote-user",
    "x-remote-group",
    "x-remote-groups",
    "x-webauth-user",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    "x-userinfo",
    "x-id-token",
    "x-access-token",
    "x-middleware-subrequest",
];

/// Prefixes of such headers.
const IDENTITY_PREFIXES: &[&str] =
    &["x-user-", "x-auth-", "x-authenticated-", "x-edgeward-", "x-jwt-", "x-claim-", "x-claims-"];

/// What a client says about how it reached us. It decides nothing here, and the gateway states it anew.
const FORWARDING_HEADERS: &[&str] =
    &["forwarded", "x-original-url", "x-rewrite-url", "x-original-uri", "x-original-host"];
const FORWARDING_PREFIX: &str = "x-forwarded-";

/// Headers by which some origins take a request for one of another method than policy was decided on.
const METHOD_HEADERS: &[&str] = &["x-http-method-override", "x-http-method", "x-method-override"];

/// Which inbound headers are dropped before a request goes on.
#[derive(Debug, Clone, Default)]
pub(super) struct OwnedHeaders {
    /// Canonical names of all headers that any route sets.
    configured: BTreeSet<String>,
}

impl OwnedHeaders {
    pub(super) fn own(&mut self, name: &str) {
        self.configured.insert(canonical_name(name));
    }

    /// Whether a header called `name`, in any spelling, must not come from a client.
    pub(super) fn drops(&self, name: &str) -> bool {
        let name = canonical_name(name);
        self.configured.contains(&name)
            || IDENTITY_HEADERS.contains(&name.as_str())
            || IDENTITY_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || FORWARDING_HEADERS.contains(&name.as_str())
            || name.starts_with(FORWARDING_PREFIX)
            || METHOD_HEADERS.contains(&name.as_str())
            || is_hop_by_hop(&name)
    }
}

/// The value of a configured header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HeaderValue {
    Literal(String),
    /// A claim; the header is absent where the claim is.
    Claim(String),
    /// The access token itself.
    Token,
    /// The access token as `Authorization` carries it.
    BearerToken,
}

impl HeaderValue {
    /// Reads `$claims.sub`, `$claims["https://example.com/roles"]`, `$token`, `Bearer $token`, or a literal.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "$token" => return Ok(Self::Token),
            "Bearer $token" => return Ok(Self::BearerToken),
            _ => {}
        }
        let Some(rest) = text.strip_prefix("$claims") else {
            return if text.starts_with("$claim") {
                Err("write $claims.name or $claims[\"name\"]")
            } else if text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
                Ok(Self::Literal(text.into()))
            } else {
                Err("a header value may hold visible ASCII characters and spaces only")
            };
        };
        let quoted = |quote: &str| {
            rest.strip_prefix('[')?.strip_suffix(']')?.strip_prefix(quote)?.strip_suffix(quote).map(ToString::to_string)
        };
        let plain = || rest.strip_prefix('.').map(ToString::to_string);
        match plain().or_else(|| quoted("\"")).or_else(|| quoted("'")) {
            Some(name) if !name.is_empty() => Ok(Self::Claim(name)),
            _ => Err("write $claims.name or $claims[\"name\"]"),
        }
    }

    /// Whether it says something about the caller.
    pub(super) fn needs_caller(&self) -> bool {
        !matches!(self, Self::Literal(_))
    }

    /// Whether it hands out the access token.
    pub(super) fn is_token(&self) -> bool {
        matches!(self, Self::Token | Self::BearerToken)
    }

    /// The value for a request; `None` leaves the header out.
    pub(super) fn render(&self, caller: Option<Caller<'_>>) -> Option<String> {
        match self {
            Self::Literal(text) => Some(text.clone()),
            Self::Token => caller.map(|caller| caller.token.into()),
            Self::BearerToken => caller.map(|caller| alloc::format!("Bearer {}", caller.token)),
            Self::Claim(name) => match caller?.claims.get(name)? {
                Value::Null => None,
                Value::String(text) => Some(percent_encoded_value(text)),
                Value::Bool(value) => Some(value.to_string()),
                Value::Number(Number::Unsigned(value)) => Some(value.to_string()),
                Value::Number(Number::Signed(value)) => Some(value.to_string()),
                value => Some(ascii_json(&value.to_json())),
            },
        }
    }
}

/// JSON text in ASCII: what is not goes into `\u` escapes, as it may inside any JSON string.
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
    use super::{HeaderValue, OwnedHeaders, ascii_json};

    #[test]
    fn every_spelling_of_an_owned_header_is_dropped() {
        let mut owned = OwnedHeaders::default();
        owned.own("X-Tenant");
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
            assert!(owned.drops(name), "{name}");
        }
        for name in ["Accept", "Content-Type", "X-Request-Id", "User-Agent", "Cookie", "X-Tenants", "Authorization"] {
            assert!(!owned.drops(name), "{name}");
        }
    }

    #[test]
    fn values_are_literals_claims_or_the_token() {
        assert_eq!(HeaderValue::parse("gold"), Ok(HeaderValue::Literal("gold".into())));
        assert_eq!(HeaderValue::parse("$claims.sub"), Ok(HeaderValue::Claim("sub".into())));
        assert_eq!(
            HeaderValue::parse(r#"$claims["https://yourapp.com/roles"]"#),
            Ok(HeaderValue::Claim("https://yourapp.com/roles".into()))
        );
        assert_eq!(HeaderValue::parse("$token"), Ok(HeaderValue::Token));
        assert_eq!(HeaderValue::parse("Bearer $token"), Ok(HeaderValue::BearerToken));
        for text in ["$claims", "$claims.", "$claims[]", "$claims[\"\"]", "$claim.sub", "$claimsub", "a\r\nb", "é"] {
            assert!(HeaderValue::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn json_in_a_header_is_ascii() {
        assert_eq!(ascii_json(r#"["é","𝄞"]"#), r#"["\u00e9","\ud834\udd1e"]"#);
    }
}
