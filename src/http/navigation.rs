//! Kinds of requests, as browsers declare them (Fetch Metadata Request Headers).

use alloc::string::String;

use super::RequestHead;
#[cfg(feature = "gateway")]
use super::page::weight;

/// Returns whether the request is a browser navigation: only then may the response be a login redirect or a page.
///
/// Without Fetch Metadata, `Accept` decides.
#[must_use]
pub fn is_navigation(head: &RequestHead<'_>) -> bool {
    let says_so = (head.header)("sec-fetch-mode").is_some();
    let accepts_html =
        || (head.header)("accept").is_some_and(|accept| accept.to_ascii_lowercase().contains("text/html"));
    can_navigate(head) && (says_so || accepts_html())
}

/// Returns whether a page may answer the request: it is a browser navigation, with any method.
#[cfg(feature = "gateway")]
pub(crate) fn wants_page(head: &RequestHead<'_>) -> bool {
    // API clients are told apart by the first one or two headers.
    let navigates = match (head.header)("sec-fetch-mode") {
        Some(mode) => mode.eq_ignore_ascii_case("navigate"),
        None => (head.header)("accept").is_some_and(|accept| accept.to_ascii_lowercase().contains("text/html")),
    };
    navigates && !is_script(head) && !is_prefetch(head)
}

/// Returns whether the client prefers JSON to a page (RFC 9110 §12.5.1). It does unless its `Accept` names HTML.
#[cfg(feature = "gateway")]
pub(crate) fn prefers_json(head: &RequestHead<'_>) -> bool {
    let accept = (head.header)("accept").unwrap_or_default().to_ascii_lowercase();
    let weight_of = |media_type: &str| {
        let ranges = accept.split(',').map(|range| range.split_once(';').unwrap_or((range, "")));
        let named = ranges.filter(|(name, _)| name.trim() == media_type);
        named.map(|(_, parameters)| weight(parameters.rsplit(';').next().unwrap_or_default())).max().unwrap_or_default()
    };
    let html = weight_of("text/html");
    html == 0 || html < weight_of("application/json")
}

/// Returns whether the request could be a browser navigation: GET or HEAD, and neither a prefetch nor from a script or a page's element.
#[must_use]
pub fn can_navigate(head: &RequestHead<'_>) -> bool {
    matches!(head.method, "GET" | "HEAD") && !is_prefetch(head) && !is_script(head)
}

/// Returns whether the request is from a script or an element of a page, not a navigation.
#[must_use]
pub fn is_script(head: &RequestHead<'_>) -> bool {
    let says = |name: &str| (head.header)(name).map(|value| value.to_ascii_lowercase());
    // Android web views set it to the name of their app in every request.
    says("x-requested-with").is_some_and(|by| !by.contains('.'))
        || says("sec-fetch-mode").is_some_and(|mode| mode != "navigate")
}

/// Returns whether the response is for use inside a page, in a frame for example.
///
/// A service worker that passes a navigation on sends the mode `navigate`, which no script can set, with the destination `empty`. A page and
/// a frame then look alike. A frame on another site is still without effect: this site's cookies are `SameSite`, so browsers do not send them
/// there, and `frame-ancestors` keeps a page of the gateway from being shown.
#[must_use]
pub fn is_embedded(head: &RequestHead<'_>) -> bool {
    let is = |name, value: &str| (head.header)(name).map(|one| one.eq_ignore_ascii_case(value));
    is("sec-fetch-dest", "document") == Some(false)
        && !(is("sec-fetch-dest", "empty") == Some(true) && is("sec-fetch-mode", "navigate") == Some(true))
}

/// Headers in which browsers and client-side routers declare a request's purpose.
const PURPOSES: [&str; 7] =
    ["sec-purpose", "purpose", "x-sec-purpose", "x-purpose", "x-moz", "sec-fetch-purpose", "moz-purpose"];

/// Headers that client-side routers send only with prefetches.
const PREFETCH_HEADERS: [&str; 4] =
    ["next-router-prefetch", "next-router-segment-prefetch", "x-middleware-prefetch", "hx-preloaded"];

/// Returns whether the request is a prefetch, by a browser or a client-side router.
#[must_use]
pub fn is_prefetch(head: &RequestHead<'_>) -> bool {
    let value = |name: &&str| (head.header)(name).map(|value| value.to_ascii_lowercase());
    let is_ahead =
        |value: String| ["prefetch", "preview", "prerender", "preload"].iter().any(|one| value.contains(one));
    PURPOSES.iter().filter_map(value).any(is_ahead)
        || PREFETCH_HEADERS.iter().filter_map(value).any(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// Returns whether another origin caused the request. A sibling host of the same site is another origin.
#[must_use]
pub fn is_cross_origin(head: &RequestHead<'_>) -> bool {
    if let Some(site) = (head.header)("sec-fetch-site") {
        return !matches!(site.as_str(), "same-origin" | "none");
    }
    // Older browsers send `Origin` with requests that may change something.
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

    use super::{is_cross_origin, is_embedded, is_navigation};
    use crate::http::RequestHead;

    fn ask(method: &str, headers: &[(&str, &str)], question: fn(&RequestHead<'_>) -> bool) -> bool {
        let header = |name: &str| headers.iter().find(|(one, _)| *one == name).map(|(_, value)| value.to_string());
        question(&RequestHead { method, url: "https://a.example/x", header: &header })
    }

    #[test]
    fn only_navigations_count_as_navigations() {
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
    fn a_navigation_that_a_service_worker_passes_on_is_not_embedded() {
        for (mode, dest, expected) in [
            ("navigate", "document", false),
            ("navigate", "empty", false),
            ("Navigate", "Empty", false),
            ("same-origin", "empty", true),
            ("cors", "empty", true),
            ("no-cors", "empty", true),
            ("", "empty", true),
            ("navigate", "iframe", true),
            ("navigate", "frame", true),
            ("navigate", "object", true),
            ("navigate", "embed", true),
            ("navigate", "fencedframe", true),
            ("navigate", "", true),
        ] {
            let headers = [("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
            assert_eq!(ask("GET", &headers, is_embedded), expected, "{headers:?}");
        }
        assert!(ask("GET", &[("sec-fetch-dest", "empty")], is_embedded));
        assert!(!ask("GET", &[("sec-fetch-mode", "navigate")], is_embedded));
    }

    #[test]
    fn requests_of_other_origins_are_recognised() {
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
            assert_eq!(ask("POST", headers, is_cross_origin), expected, "{headers:?}");
        }
    }
}
