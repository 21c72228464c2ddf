//! Shared caches store no answer of a private route.

use crate::http::{PRIVATE, Reply};

/// Headers that some shared caches use instead of `Cache-Control` (RFC 9213).
pub(super) const TARGETED_CACHE_CONTROL: [&str; 9] = [
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "surrogate-control",
    "x-accel-expires",
    "akamai-cache-control",
    "edge-control",
    "netlify-cdn-cache-control",
    "vercel-cdn-cache-control",
    "x-litespeed-cache-control",
];

/// Returns whether no shared cache stores a response with this `Cache-Control`.
pub(super) fn is_kept_private(cache_control: Option<&str>) -> bool {
    // With a quoted value, a directive restricts some fields only, and a comma may be part of it (RFC 9111 §5.2.2.7).
    let unquoted = cache_control.filter(|value| !value.contains('"')).unwrap_or_default();
    unquoted.split(',').any(|directive| {
        let directive = directive.trim();
        directive.eq_ignore_ascii_case("private") || directive.eq_ignore_ascii_case("no-store")
    })
}

/// Returns the answer of a private route with headers of the configuration: with them, too, no shared cache stores it.
pub(super) fn kept_private(mut reply: Reply) -> Reply {
    reply.headers.retain(|(name, _)| !TARGETED_CACHE_CONTROL.contains(&&**name));
    if is_kept_private(reply.header("cache-control")) { reply } else { never_stored(reply) }
}

/// Returns the answer, which no cache may store.
pub(super) fn never_stored(mut reply: Reply) -> Reply {
    reply.headers.retain(|(name, _)| name != "cache-control");
    reply.with("cache-control", PRIVATE)
}
