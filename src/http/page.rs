//! Pages for users: small, accessible, light and dark, without external resources.

use alloc::format;
use alloc::string::String;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Reply;
use crate::crypto::sha256;

/// A page with a message for the user.
///
/// ```
/// use edgeward::http::Page;
///
/// let page = Page {
///     status: 403,
///     title: "You cannot see this page",
///     message: "Your account does not have the rights that this page needs.",
///     code: "scope_missing",
///     action: Some(("Go to the start page", "/")),
/// };
/// let reply = page.reply(None);
/// assert!(reply.body.contains("<h1>You cannot see this page</h1>"));
/// ```
pub struct Page<'p> {
    /// The HTTP status.
    pub status: u16,
    /// The heading.
    pub title: &'p str,
    /// What happened and what to do, in one or two sentences.
    pub message: &'p str,
    /// The stable code, for support.
    pub code: &'p str,
    /// Text and address of a link that leads on.
    pub action: Option<(&'p str, &'p str)>,
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1a1d24;--soft:#5b6270;--back:#f4f5f7;--card:#fff;--line:#dfe2e8;--mark:#1f5fd0}\
@media(prefers-color-scheme:dark){:root{--ink:#eceef2;--soft:#a2a9b8;--back:#14161b;--card:#1d2027;--line:#323743;--mark:#8ab4ff}}\
*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;\
font:1rem/1.55 system-ui,sans-serif;color:var(--ink);background:var(--back)}\
main{max-width:30rem;width:100%;padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem}\
h1{margin:0 0 .75rem;font-size:1.4rem;line-height:1.25}p{margin:0 0 1.25rem;overflow-wrap:anywhere}\
a{display:inline-block;padding:.6rem 1.1rem;font:inherit;font-weight:600;color:var(--card);background:var(--mark);\
border-radius:.5rem;text-decoration:none}a:focus-visible{outline:3px solid var(--ink);outline-offset:2px}\
small{display:block;margin-top:1.5rem;color:var(--soft)}code{font-family:ui-monospace,monospace}";

impl Page<'_> {
    /// Returns the page as a reply that is never cached or framed and cannot run scripts.
    #[must_use]
    pub fn reply(&self, request_id: Option<&str>) -> Reply {
        let action = self.action.map(|(text, address)| {
            let (text, address) = (escape(text), escape(address));
            format!(r#"<a href="{address}">{text}</a>"#)
        });
        let request = request_id.map(|id| format!(" · request <code>{}</code>", escape(id))).unwrap_or_default();
        let body = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
             <style>{STYLE}</style></head><body><main><h1>{title}</h1><p>{message}</p>{action}\
             <small>Code <code>{code}</code>{request}</small></main></body></html>\n",
            title = escape(self.title),
            message = escape(self.message),
            action = action.unwrap_or_default(),
            code = escape(self.code),
        );
        // There are no images, but browsers request the site's icon.
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; img-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
            style_hash()
        );
        Reply { body, ..Reply::new(self.status) }
            .with("content-type", "text/html; charset=utf-8")
            .with("content-security-policy", policy)
            .with("referrer-policy", "no-referrer")
            .with("x-content-type-options", "nosniff")
            .with("cache-control", "private, no-store")
    }
}

/// Returns the hash with which the content security policy allows this one style sheet.
fn style_hash() -> String {
    STANDARD.encode(sha256(STYLE.as_bytes()))
}

/// Escapes text for elements and quoted attributes.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::Page;

    #[test]
    fn text_never_becomes_markup() {
        let text = "<script>alert('x')</script>\"&";
        let page = Page { status: 400, title: text, message: text, code: text, action: Some((text, text)) };
        let reply = page.reply(Some(text));
        assert!(!reply.body.contains("<script"), "{}", reply.body);
        assert!(reply.header("content-security-policy").unwrap().starts_with("default-src 'none'; style-src 'sha256-"));
    }
}
