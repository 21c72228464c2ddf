//! Names and values of headers, and cookies.

use alloc::string::String;

/// A name in the one spelling that servers behind us may confuse it with: lower case, and a dash for whatever stands between
/// letters and digits. CGI, WSGI and PHP fold `X_User.Id` and `x-user-id` into one variable.
pub(crate) fn canonical_name(name: &str) -> impl Iterator<Item = u8> {
    let mut is_after_dash = false;
    name.bytes().filter_map(move |byte| {
        let is_dash = !byte.is_ascii_alphanumeric();
        let is_repeated = is_dash && is_after_dash;
        is_after_dash = is_dash;
        (!is_repeated).then_some(if is_dash { b'-' } else { byte.to_ascii_lowercase() })
    })
}

/// Whether a text is a token (RFC 9110 §5.6.2): the name of a header, a method or a cookie.
#[must_use]
pub fn is_token(text: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_tchar)
}

/// Headers that concern one connection only (RFC 9110 §7.6.1) and are not forwarded. `Upgrade` is left to the runtime.
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

/// `text` as a header value: visible ASCII and inner spaces as they are, everything else, and `%`, percent-encoded as
/// UTF-8. Different texts have different values, and none can end the header.
#[must_use]
pub fn percent_encoded_value(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    let last = text.len().saturating_sub(1);
    for (position, byte) in text.bytes().enumerate() {
        let is_inner_space = byte == b' ' && position != 0 && position != last;
        if byte != b'%' && (byte.is_ascii_graphic() || is_inner_space) {
            value.push(byte.into());
        } else {
            super::percent::push_byte(&mut value, byte);
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::{canonical_name, percent_encoded_value};

    #[test]
    fn all_spellings_of_a_name_are_one() {
        for name in ["X-User-Id", "x_user_id", "X.User.ID", "x-user_id", "X~User!Id", "X--User__Id", "x-_.user-id"] {
            assert!(canonical_name(name).eq(*b"x-user-id"), "{name}");
        }
    }

    #[test]
    fn values_cannot_end_a_header_and_stay_distinct() {
        for (text, value) in [
            ("auth0|123", "auth0|123"),
            ("Ann Lee", "Ann Lee"),
            (" a ", "%20a%20"),
            ("a\r\nx: y", "a%0D%0Ax: y"),
            ("é", "%C3%A9"),
            ("%C3%A9", "%25C3%25A9"),
            ("", ""),
        ] {
            assert_eq!(percent_encoded_value(text), value);
        }
    }
}
