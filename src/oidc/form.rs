//! Parsing of queries and serialization of queries and forms (`application/x-www-form-urlencoded`, WHATWG URL §5).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::http::percent;

/// Appends `name=value`, preceded by `&` unless it is the first parameter or follows a `?`.
pub(super) fn push(form: &mut String, name: &str, value: &str) {
    if !form.is_empty() && !form.ends_with('?') {
        form.push('&');
    }
    percent::push_component(form, name);
    form.push('=');
    percent::push_component(form, value);
}

/// Returns a URL to which parameters can be appended: one that has a query or ends in `?`.
pub(super) fn with_query(endpoint: &str) -> String {
    if endpoint.contains('?') { endpoint.into() } else { format!("{endpoint}?") }
}

/// Returns the decoded parameters of a query, in order. As in browsers, invalid UTF-8 is replaced with U+FFFD, so no parameter is
/// dropped.
pub(super) fn parse(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// Returns whether a query has a parameter with this name, in any encoding.
#[must_use]
pub fn has_parameter(query: &str, name: &str) -> bool {
    !query.is_empty() && parse(query).iter().any(|(one, _)| one == name)
}

fn decode(text: &str) -> String {
    String::from_utf8_lossy(&percent::decode(&text.replace('+', " "))).into_owned()
}

/// Returns the value of a parameter that may occur at most once.
pub(super) fn once<'p>(parameters: &'p [(String, String)], name: &str) -> Result<Option<&'p str>, Duplicate> {
    let mut values = parameters.iter().filter(|(one, _)| one == name).map(|(_, value)| value.as_str());
    let first = values.next();
    if values.next().is_some() { Err(Duplicate) } else { Ok(first) }
}

/// A query repeats a parameter (RFC 6749 §3.1).
#[derive(Debug)]
pub(super) struct Duplicate;

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use super::{once, parse, push};

    #[test]
    fn encoding_round_trips() {
        let mut form = String::new();
        let pairs = [("a b", "c&d=e"), ("é", "%+/?"), ("", "x")];
        pairs.iter().for_each(|(name, value)| push(&mut form, name, value));
        assert_eq!(form, "a%20b=c%26d%3De&%C3%A9=%25%2B%2F%3F&=x");
        let expected: alloc::vec::Vec<_> = pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        assert_eq!(parse(&form), expected);
    }

    #[test]
    fn irregular_queries_decode_as_in_browsers() {
        assert_eq!(
            parse("a=1+2&b&&c=%zz&d=%"),
            [("a", "1 2"), ("b", ""), ("c", "%zz"), ("d", "%")].map(|(n, v)| (n.to_string(), v.to_string()))
        );
        assert_eq!(parse("a=%ff"), [("a".to_string(), "\u{fffd}".to_string())]);
        assert!(once(&parse("a=1&%61=2"), "a").is_err());
        assert!(once(&parse("a=1&a=%ff"), "a").is_err());
    }
}
