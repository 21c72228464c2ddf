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
    let header = |name: &str| (head.header)(name).map(|value| value.to_ascii_lowercase());
    matches!(head.method, "GET" | "HEAD")
        && !is_prefetch(head)
        && header("x-requested-with").is_none()
        && header("sec-fetch-mode").is_none_or(|mode| mode == "navigate")
}

/// Whether the browser asks before anybody wants it.
#[must_use]
pub fn is_prefetch(head: &RequestHead<'_>) -> bool {
    ["sec-purpose", "purpose", "x-moz", "x-purpose"].into_iter().filter_map(|name| (head.header)(name)).any(|value| {
        let value = value.to_ascii_lowercase();
        value.contains("prefetch") || value.contains("preview") || value.contains("prerender")
    })
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
