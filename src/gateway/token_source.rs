//! Where a request's bearer token is: in headers and cookies.

use alloc::string::String;
use alloc::vec::Vec;

use crate::http::{
    Bearer, CLIENT_ADDRESS, Cookies, HOP_BY_HOP, MALFORMED_AUTHORIZATION, RequestHead, bearer_token, canonical_name,
    dpop_token, is_b64token,
};

/// The header that needs no configuration.
pub(super) const AUTHORIZATION: &str = "authorization";

/// A place of bearer tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenSource {
    /// A header, in lower case. `authorization` holds the token after the scheme `Bearer`, any other nothing but the token.
    Header(String),
    /// A cookie, which holds nothing but the token.
    Cookie(String),
}

/// A token as received, redacted in `Debug` output.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token {
    text: String,
    is_ambient: bool,
    is_dpop: bool,
}

/// The message for a header or cookie that does not hold exactly one token.
const MALFORMED: &str =
    "A header or cookie for tokens must be sent once, and hold a token alone: without scheme or quotes.";

/// The message for several tokens, of which none may be preferred (RFC 6750 §2).
const SEVERAL: &str = "The request has several tokens, which differ.";

/// Reads the token of a request.
///
/// `reads_dpop`: whether `Authorization` may have the scheme `DPoP`, too.
///
/// # Errors
/// The message for several tokens, or text that is no token.
pub(super) fn read<'s>(
    sources: impl IntoIterator<Item = &'s TokenSource>,
    reads_dpop: bool,
    head: &RequestHead<'_>,
) -> Result<Option<Token>, &'static str> {
    let mut found: Option<Token> = None;
    let mut add = |text: &str, is_ambient: bool, is_dpop: bool| match &mut found {
        Some(token) if token.text != text => Err(SEVERAL),
        Some(token) => {
            token.is_ambient &= is_ambient;
            token.is_dpop |= is_dpop;
            Ok(())
        }
        None => {
            found = Some(Token { text: text.into(), is_ambient, is_dpop });
            Ok(())
        }
    };
    for source in sources {
        match source {
            TokenSource::Header(name) => match (head.header)(name) {
                None => {}
                Some(value) if name == AUTHORIZATION => match bearer_token(Some(&value)) {
                    Bearer::Token(text) => add(text, false, false)?,
                    Bearer::Malformed => return Err(MALFORMED_AUTHORIZATION),
                    Bearer::Absent if reads_dpop => match dpop_token(Some(&value)) {
                        Bearer::Token(text) => add(text, false, true)?,
                        Bearer::Malformed => return Err(MALFORMED_AUTHORIZATION),
                        Bearer::Absent => {}
                    },
                    Bearer::Absent => {}
                },
                Some(value) if is_b64token(&value) => add(&value, true, false)?,
                Some(_) => return Err(MALFORMED),
            },
            TokenSource::Cookie(name) => {
                let header = (head.header)("cookie").unwrap_or_default();
                // An empty cookie is one that a script has cleared.
                for (_, value) in Cookies::new(&header).iter().filter(|(one, value)| one == name && !value.is_empty()) {
                    if !is_b64token(value) {
                        return Err(MALFORMED);
                    }
                    add(value, true, false)?;
                }
            }
        }
    }
    Ok(found)
}

impl TokenSource {
    pub(super) fn is_authorization(&self) -> bool {
        matches!(self, Self::Header(name) if name == AUTHORIZATION)
    }

    /// Returns the kind of source, and its name.
    pub(super) fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Header(name) => ("header ", name),
            Self::Cookie(name) => ("cookie ", name),
        }
    }
}

impl Token {
    /// Returns the text.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether a browser may have sent it unasked: in a cookie, or in a header that a proxy derives from one.
    pub(super) const fn is_ambient(&self) -> bool {
        self.is_ambient
    }

    /// Returns whether it came with the scheme `DPoP`.
    pub(super) const fn is_dpop(&self) -> bool {
        self.is_dpop
    }
}

impl core::fmt::Debug for Token {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Headers that tell the gateway something else, or that it sets for every origin. Names that end in a dash are prefixes.
const NO_SOURCES: &[&str] = &[
    "accept",
    "accept-language",
    "access-control-",
    "cf-ray",
    CLIENT_ADDRESS,
    "content-",
    "cookie",
    "dpop",
    "forwarded",
    "host",
    "origin",
    "referer",
    "sec-",
    "upgrade",
    "x-edgeward-",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "x-forwarded-proto",
];

/// Returns whether a header cannot hold tokens, because it has another meaning to the gateway or to the connection.
pub(super) fn is_reserved_header(name: &str) -> bool {
    let name: Vec<u8> = canonical_name(name).collect();
    let is_it = |reserved: &&str| {
        name == reserved.as_bytes() || reserved.ends_with('-') && name.starts_with(reserved.as_bytes())
    };
    NO_SOURCES.iter().chain(HOP_BY_HOP).any(is_it)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use super::{MALFORMED, SEVERAL, TokenSource, is_reserved_header, read};
    use crate::http::{MALFORMED_AUTHORIZATION, RequestHead};

    type Read = Result<Option<(&'static str, bool)>, &'static str>;

    fn expect(sources: &[TokenSource], headers: &[(&str, &str)], expected: Read) {
        let header = |name: &str| {
            let all: Vec<&str> = headers.iter().filter(|(one, _)| *one == name).map(|(_, value)| *value).collect();
            (!all.is_empty()).then(|| all.join(", "))
        };
        let head = RequestHead { method: "GET", url: "https://a.example/", header: &header };
        let found = read(sources, false, &head);
        let shown = match &found {
            Ok(token) => Ok(token.as_ref().map(|token| (token.as_str(), token.is_ambient()))),
            Err(message) => Err(*message),
        };
        assert_eq!(shown, expected, "{headers:?}");
    }

    #[test]
    fn one_token_is_read_and_several_are_refused() {
        let all = [
            TokenSource::Header("authorization".to_string()),
            TokenSource::Header("cf-access-jwt-assertion".to_string()),
            TokenSource::Cookie("CF_Authorization".to_string()),
        ];
        let header = "cf-access-jwt-assertion";
        let cases: &[(&[(&str, &str)], Read)] = &[
            (&[], Ok(None)),
            (&[("authorization", "Bearer a.b.c")], Ok(Some(("a.b.c", false)))),
            (&[("authorization", "Basic abc"), (header, "a.b.c")], Ok(Some(("a.b.c", true)))),
            (&[("cookie", "x=1; CF_Authorization=a.b.c; y=2")], Ok(Some(("a.b.c", true)))),
            (&[("cookie", "CF_Authorization=; cf_authorization=x; CF_Authorization.1=y")], Ok(None)),
            // The same token everywhere is one; in `Authorization`, no other site can have sent it.
            (&[(header, "a.b.c"), ("cookie", "CF_Authorization=a.b.c")], Ok(Some(("a.b.c", true)))),
            (&[("authorization", "Bearer a.b.c"), ("cookie", "CF_Authorization=a.b.c")], Ok(Some(("a.b.c", false)))),
            (&[("cookie", "CF_Authorization=a.b.c; CF_Authorization=a.b.c")], Ok(Some(("a.b.c", true)))),
            (&[(header, "a.b.c"), ("cookie", "CF_Authorization=a.b.d")], Err(SEVERAL)),
            (&[("authorization", "Bearer a.b.d"), (header, "a.b.c")], Err(SEVERAL)),
            (&[("cookie", "CF_Authorization=a.b.c; CF_Authorization=a.b.d")], Err(SEVERAL)),
            (&[(header, "a.b.c"), (header, "a.b.c")], Err(MALFORMED)),
            (&[(header, "Bearer a.b.c")], Err(MALFORMED)),
            (&[(header, "")], Err(MALFORMED)),
            (&[(header, "\"a.b.c\"")], Err(MALFORMED)),
            (&[("cookie", "CF_Authorization=\"a.b.c\"")], Err(MALFORMED)),
            (&[("cookie", "CF_Authorization=a.b.c, CF_Authorization=a.b.d")], Err(MALFORMED)),
            (&[("authorization", "Bearer a b"), (header, "a.b.c")], Err(MALFORMED_AUTHORIZATION)),
        ];
        for (headers, expected) in cases {
            expect(&all, headers, *expected);
        }
        expect(&all[1..], &[("authorization", "Bearer a.b.c")], Ok(None));
    }

    #[test]
    fn headers_with_another_meaning_hold_no_tokens() {
        for name in ["Cookie", "HOST", "Sec-Fetch-Site", "X_Forwarded_For", "Proxy-Authorization", "CF-Connecting-IP"] {
            assert!(is_reserved_header(name), "{name}");
        }
        for name in ["Authorization", "Cf-Access-Jwt-Assertion", "X-Goog-IAP-JWT-Assertion", "X-Hosted", "Security"] {
            assert!(!is_reserved_header(name), "{name}");
        }
    }
}
