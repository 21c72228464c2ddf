//! Names of headers.

/// Returns a name in a form that is equal for all names that an origin may confuse: lower case, with one dash for each run of other
/// characters than letters and digits. CGI, WSGI and PHP map `X_User.Id` and `x-user-id` to one variable.
pub(crate) fn canonical_name(name: &str) -> impl Iterator<Item = u8> {
    let mut is_after_dash = false;
    name.bytes().filter_map(move |byte| {
        let is_dash = !byte.is_ascii_alphanumeric();
        let is_repeated = is_dash && is_after_dash;
        is_after_dash = is_dash;
        (!is_repeated).then_some(if is_dash { b'-' } else { byte.to_ascii_lowercase() })
    })
}

/// Returns whether a text is a token (RFC 9110 §5.6.2), as names of headers, methods and cookies are.
#[must_use]
pub fn is_token(text: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_tchar)
}

/// Connection-specific headers (RFC 9110 §7.6.1), which are not forwarded. `Upgrade` is left to the runtime.
pub(crate) const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
];

#[cfg(test)]
mod tests {
    use super::canonical_name;

    #[test]
    fn all_spellings_of_a_name_are_one() {
        for name in ["X-User-Id", "x_user_id", "X.User.ID", "x-user_id", "X~User!Id", "X--User__Id", "x-_.user-id"] {
            assert!(canonical_name(name).eq(*b"x-user-id"), "{name}");
        }
    }
}
