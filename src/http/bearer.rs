//! Bearer tokens in the `Authorization` header (RFC 6750 §2.1).

/// The bearer token in an `Authorization` header.
///
/// ```
/// use edgeward::http::{Bearer, bearer_token};
///
/// assert_eq!(bearer_token(Some("Bearer abc.def.ghi")), Bearer::Token("abc.def.ghi"));
/// assert_eq!(bearer_token(Some("Basic dXNlcjpwYXNz")), Bearer::Absent);
/// assert_eq!(bearer_token(Some("Bearer a, Bearer b")), Bearer::Malformed);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Bearer<'h> {
    /// No header, or another scheme.
    Absent,
    /// Exactly one token.
    Token(&'h str),
    /// The scheme `Bearer` without exactly one token, or several headers.
    Malformed,
}

/// The message for a [`Bearer::Malformed`] header.
pub const MALFORMED_AUTHORIZATION: &str = "The Authorization header must be one \"Bearer\", a space, and one token.";

/// The message for a token in the query, which RFC 6750 §2.3 allows and RFC 9700 §4.3.2 forbids: URLs end up in logs.
pub const TOKEN_IN_QUERY: &str = "Send the access token in the Authorization header, not in the query.";

/// Returns the token in an `Authorization` header with the scheme `DPoP` (RFC 9449 §7.1), by the same rules as [`bearer_token`].
#[must_use]
pub fn dpop_token(authorization: Option<&str>) -> Bearer<'_> {
    token_of(authorization, "dpop")
}

/// Returns the token in an `Authorization` header.
///
/// The scheme is case-insensitive and followed by one or more spaces (RFC 6750 §2.1); the token consists of the characters that RFC 6750 allows.
/// Two headers, which arrive joined by a comma, are malformed.
#[must_use]
pub fn bearer_token(authorization: Option<&str>) -> Bearer<'_> {
    token_of(authorization, "bearer")
}

fn token_of<'h>(authorization: Option<&'h str>, wanted: &str) -> Bearer<'h> {
    let Some(value) = authorization else { return Bearer::Absent };
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case(wanted) {
        let is_it = |text: &str| starts_with_scheme(text, wanted);
        let hides_another = value.split(',').skip(1).any(|part| is_it(part.trim_start())) || is_it(scheme);
        return if hides_another { Bearer::Malformed } else { Bearer::Absent };
    }
    let token = token.trim_start_matches(' ');
    if is_b64token(token) { Bearer::Token(token) } else { Bearer::Malformed }
}

fn starts_with_scheme(text: &str, scheme: &str) -> bool {
    text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        && !text.as_bytes().get(scheme.len()).is_some_and(|&next| next.is_ascii_alphanumeric() || next == b'-')
}

/// Returns whether the text is a token: one or more of the characters that RFC 6750 §2.1 allows.
pub(crate) fn is_b64token(text: &str) -> bool {
    let characters = text.trim_end_matches('=');
    !characters.is_empty() && characters.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

impl core::fmt::Debug for Bearer<'_> {
    /// Omits the token.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Token(_) => "Token(…)",
            Self::Malformed => "Malformed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Bearer, bearer_token, dpop_token};

    #[test]
    fn one_token_after_the_scheme_and_spaces() {
        for value in [
            "Bearer abc.def-_~+/==",
            "bearer abc.def-_~+/==",
            "BEARER abc.def-_~+/==",
            "Bearer  abc.def-_~+/==",
            "Bearer      abc.def-_~+/==",
        ] {
            assert_eq!(bearer_token(Some(value)), Bearer::Token("abc.def-_~+/=="));
        }
    }

    #[test]
    fn other_schemes_are_ignored() {
        for value in ["", "Basic abc", "DPoP abc", "Digest username=\"a\", realm=\"b\"", "Bearerish abc"] {
            assert_eq!(bearer_token(Some(value)), Bearer::Absent, "{value}");
        }
        assert_eq!(bearer_token(None), Bearer::Absent);
    }

    #[test]
    fn the_scheme_of_bound_tokens_is_read_likewise() {
        for value in ["DPoP abc", "dpop  abc"] {
            assert_eq!(dpop_token(Some(value)), Bearer::Token("abc"));
        }
        for value in ["Bearer abc", "DPoPish abc", ""] {
            assert_eq!(dpop_token(Some(value)), Bearer::Absent);
        }
        for value in ["DPoP", "DPoP a b", "DPoP a, DPoP b", "DPoP a, Bearer b", "Basic x, DPoP b", "DPoP \"a\""] {
            assert_eq!(dpop_token(Some(value)), Bearer::Malformed);
        }
    }

    #[test]
    fn anything_else_that_says_bearer_is_malformed() {
        for value in [
            "Bearer",
            "Bearer ",
            "Bearer   ",
            "Bearer  a b",
            "Bearer \tabc",
            "Bearer  abc ",
            "Bearer a b",
            "Bearer a, Bearer b",
            "Bearer a,b",
            "Basic x, Bearer b",
            "Basic x,bearer b",
            "Bearer\tabc",
            "Bearer abc ",
            "Bearer é",
            "Bearer =",
            "Bearer a=b",
            "Bearer \"abc\"",
            "Bearer,Bearer a",
            "Digest a, bearer",
        ] {
            assert_eq!(bearer_token(Some(value)), Bearer::Malformed, "{value}");
        }
    }
}
