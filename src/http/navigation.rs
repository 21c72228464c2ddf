//! What kind of request it is, from what browsers say about it (Fetch Metadata).

use alloc::string::String;

use super::RequestHead;

/// Whether a person is opening a page: only then may the answer be a redirect to a login or a page.
///
/// Browsers that send no Fetch Metadata are judged by what they accept.
#[must_use]
pub fn is_navigation(head: &RequestHead<'_>) -> bool {
    let says_so = (head.header)("sec-fetch-mode").is_some();
    let accepts_html =
        || (head.header)("accept").is_some_and(|accept| accept.to_ascii_lowercase().contains("text/html"));
    can_navigate(head) && (says_so || accepts_html())
}

/// Whether a person could be opening a page: it is not a script's request, not a prefetch, not what a page embeds, and
/// nothing but GET and HEAD.
#[must_use]
pub fn can_navigate(head: &RequestHead<'_>) -> bool {
    matches!(head.method, "GET" | "HEAD") && !is_prefetch(head) && !is_script(head)
}

/// Whether a script or an element of a page asks, rather than the browser for a page of its own.
#[must_use]
pub fn is_script(head: &RequestHead<'_>) -> bool {
    let says = |name: &str| (head.header)(name).map(|value| value.to_ascii_lowercase());
    // Android's web views put the name of their app there, whatever they ask for.
    says("x-requested-with").is_some_and(|by| !by.contains('.'))
        || says("sec-fetch-mode").is_some_and(|mode| mode != "navigate")
}

/// Whether what is asked for is to be shown inside a page, in a frame for example.
#[must_use]
pub fn is_embedded(head: &RequestHead<'_>) -> bool {
    (head.header)("sec-fetch-dest").is_some_and(|dest| !dest.eq_ignore_ascii_case("document"))
}

/// Headers by which browsers and routers of pages say why they ask.
const PURPOSES: [&str; 7] =
    ["sec-purpose", "purpose", "x-sec-purpose", "x-purpose", "x-moz", "sec-fetch-purpose", "moz-purpose"];

/// Headers that are there only when a router of a page looks ahead.
const PREFETCH_HEADERS: [&str; 4] =
    ["next-router-prefetch", "next-router-segment-prefetch", "x-middleware-prefetch", "hx-preloaded"];

/// Whether the browser, or a script under the pointer, asks before anybody wants it.
#[must_use]
pub fn is_prefetch(head: &RequestHead<'_>) -> bool {
    let value = |name: &&str| (head.header)(name).map(|value| value.to_ascii_lowercase());
    let is_ahead =
        |value: String| ["prefetch", "preview", "prerender", "preload"].iter().any(|one| value.contains(one));
    PURPOSES.iter().filter_map(value).any(is_ahead)
        || PREFETCH_HEADERS.iter().filter_map(value).any(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// Whether another site made the browser send this request.
#[must_use]
pub fn is_cross_site(head: &RequestHead<'_>) -> bool {
    if let Some(site) = (head.header)("sec-fetch-site") {
        return !matches!(site.as_str(), "same-origin" | "none");
    }
    // Older browsers: `Origin` stands in requests that change something.
    let own: String = head
        .url
        .split("://")
        .next()
        .map(|scheme| alloc::format!("{scheme}://{}", head.url_parts().authority))
        .unwrap_or_default();
    (head.header)("origin").is_some_and(|origin| origin != own)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::{is_cross_site, is_navigation};
    use crate::http::RequestHead;

    fn ask(method: &str, headers: &[(&str, &str)], question: fn(&RequestHead<'_>) -> bool) -> bool {
        let header = |name: &str| headers.iter().find(|(one, _)| *one == name).map(|(_, value)| value.to_string());
        question(&RequestHead { method, url: "https://a.example/x", header: &header })
    }

    #[test]
    fn only_people_opening_pages_navigate() {
        for (method, headers, expected) in [
            ("GET", &[("sec-fetch-mode", "navigate")][..], true),
            ("GET", &[("accept", "text/html,*/*")][..], true),
            ("HEAD", &[("accept", "text/html")][..], true),
            ("GET", &[("accept", "application/json")][..], false),
            ("GET", &[][..], false),
            ("POST", &[("sec-fetch-mode", "navigate"), ("accept", "text/html")][..], false),
            ("GET", &[("sec-fetch-mode", "cors"), ("accept", "text/html")][..], false),
            ("GET", &[("sec-fetch-mode", "navigate"), ("sec-purpose", "prefetch;prerender")][..], false),
            ("GET", &[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")][..], false),
            ("GET", &[("accept", "text/html"), ("x-requested-with", "com.example.app")][..], true),
            ("GET", &[("sec-fetch-mode", "navigate"), ("next-router-prefetch", "1")][..], false),
            ("GET", &[("sec-fetch-mode", "navigate"), ("next-router-prefetch", "0")][..], true),
            ("GET", &[("sec-fetch-mode", "navigate"), ("x-sec-purpose", "Prefetch")][..], false),
        ] {
            assert_eq!(ask(method, headers, is_navigation), expected, "{method} {headers:?}");
        }
    }

    #[test]
    fn other_sites_are_told_apart() {
        for (headers, expected) in [
            (&[("sec-fetch-site", "same-origin")][..], false),
            (&[("sec-fetch-site", "none")][..], false),
            (&[("sec-fetch-site", "same-site")][..], true),
            (&[("sec-fetch-site", "cross-site")][..], true),
            (&[("origin", "https://a.example")][..], false),
            (&[("origin", "https://b.example")][..], true),
            (&[("origin", "null")][..], true),
            (&[][..], false),
        ] {
            assert_eq!(ask("POST", headers, is_cross_site), expected, "{headers:?}");
        }
    }
}
