//! The `Authorization` header (RFC 6750 §2.1).

/// What a request's `Authorization` header holds for us.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Bearer<'h> {
    /// No bearer token: no header, or one of another scheme.
    Absent,
    /// One token.
    Token(&'h str),
    /// Something that says `Bearer` but is not one token, or several headers.
    Malformed,
}

const SCHEME: &str = "bearer";

/// Reads the token from the value of `Authorization`.
///
/// The scheme is compared without regard to case; exactly one space follows; the token consists of the characters that
/// RFC 6750 allows. Two headers, which arrive joined by a comma, are malformed.
#[must_use]
pub fn bearer_token(authorization: Option<&str>) -> Bearer<'_> {
    let Some(value) = authorization else { return Bearer::Absent };
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        let hides_another =
            value.split(',').skip(1).any(|part| starts_with_scheme(part.trim_start())) || starts_with_scheme(scheme);
        return if hides_another { Bearer::Malformed } else { Bearer::Absent };
    }
    if is_b64token(token) { Bearer::Token(token) } else { Bearer::Malformed }
}

fn starts_with_scheme(text: &str) -> bool {
    text.get(..SCHEME.len()).is_some_and(|start| start.eq_ignore_ascii_case(SCHEME))
        && !text.as_bytes().get(SCHEME.len()).is_some_and(|&next| next.is_ascii_alphanumeric() || next == b'-')
}

fn is_b64token(text: &str) -> bool {
    let characters = text.trim_end_matches('=');
    !characters.is_empty() && characters.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

impl core::fmt::Debug for Bearer<'_> {
    /// Shows no token.
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
    use super::{Bearer, bearer_token};

    #[test]
    fn one_token_after_the_scheme_and_one_space() {
        for value in ["Bearer abc.def-_~+/==", "bearer abc.def-_~+/==", "BEARER abc.def-_~+/=="] {
            assert_eq!(bearer_token(Some(value)), Bearer::Token("abc.def-_~+/=="));
        }
    }

    #[test]
    fn other_schemes_are_not_ours() {
        for value in ["", "Basic abc", "DPoP abc", "Digest username=\"a\", realm=\"b\"", "Bearerish abc"] {
            assert_eq!(bearer_token(Some(value)), Bearer::Absent, "{value}");
        }
        assert_eq!(bearer_token(None), Bearer::Absent);
    }

    #[test]
    fn anything_else_that_says_bearer_is_malformed() {
        for value in [
            "Bearer",
            "Bearer ",
            "Bearer  abc",
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
