//! Pages for users: small, accessible, light and dark, without scripts.

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::page_texts::{LANGUAGES, Text, label, label_number, text};
use super::reply::PRIVATE;
use super::{Reply, RequestHead};
use crate::crypto::sha256;
use crate::text::{concat, decimal};

/// The appearance of all pages.
#[derive(Debug)]
pub(crate) struct Pages {
    pub(crate) name: Option<String>,
    /// An https URL or a path of the site.
    pub(crate) logo: Option<String>,
    /// The language of all pages; without it, the browser's.
    pub(crate) language: Option<String>,
    /// Texts that replace those of this crate: language, number and text.
    pub(crate) texts: Vec<OwnText>,
    style: String,
    policy: String,
}

/// A text of the configuration: its language, its number, and the text.
pub(crate) type OwnText = (String, usize, String);

/// The content of a page.
pub(crate) struct Page<'p> {
    pub(crate) text: usize,
    pub(crate) code: &'p str,
    /// A label, and what is missing.
    pub(crate) needed: Option<(usize, &'p str)>,
    /// The errors of the configuration.
    pub(crate) problems: &'p [String],
    /// Returns the address of a link of the text; none where there is no such page.
    pub(crate) link: &'p dyn Fn(u16) -> Option<String>,
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1a1d24;--back:#f4f5f7;--card:#fff;--mark:#1f5fd0;--on:#fff}\
@media(prefers-color-scheme:dark){:root{--ink:#eceef2;--back:#14161b;--card:#1d2027;--mark:#8ab4ff;--on:#14161b}}\
*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;\
font:1rem/1.55 system-ui,sans-serif;color:var(--ink);background:var(--back)}\
main{max-width:30rem;width:100%;padding:2rem;background:var(--card);overflow-wrap:anywhere;\
border:1px solid color-mix(in srgb,var(--ink) 14%,transparent);border-radius:.75rem}\
header{display:flex;align-items:center;gap:.75rem;margin-bottom:1.5rem;font-weight:600}img{max-height:2.5rem;max-width:60%}\
h1{margin:0 0 .75rem;font-size:1.4rem;line-height:1.25}p,ul{margin:0 0 1.25rem}ul{padding-left:1.1rem}\
nav{display:flex;flex-wrap:wrap;align-items:center;gap:.75rem 1.25rem}a{color:var(--mark);font-weight:600}\
a:first-child{padding:.6rem 1.1rem;color:var(--on);background:var(--mark);border-radius:.5rem;text-decoration:none}\
a:focus-visible{outline:3px solid var(--ink);outline-offset:2px}\
small{display:block;margin-top:1.5rem;opacity:.75}code{font-family:ui-monospace,monospace}";

impl Default for Pages {
    fn default() -> Self {
        Self::new(None, None, "", "")
    }
}

impl Pages {
    /// Creates the appearance with a name, a logo, and declarations for the light and the dark scheme.
    pub(crate) fn new(name: Option<String>, logo: Option<String>, light: &str, dark: &str) -> Self {
        // Light colours alone must not change the dark scheme.
        let style = concat(&[
            STYLE,
            "@media not (prefers-color-scheme:dark){:root{",
            light,
            "}}@media(prefers-color-scheme:dark){:root{",
            dark,
            "}}",
        ]);
        let policy = policy(&style, "", logo.as_deref());
        Self { name, logo, language: None, texts: Vec::new(), style, policy }
    }

    /// Returns the number of the page for a reply to this request.
    pub(crate) fn text_for(reply: &Reply, code: &str, head: &RequestHead<'_>, has_login: bool) -> usize {
        Text::position(&decimal(reply.status.into()), code, !matches!(head.method, "GET" | "HEAD"), has_login)
    }

    /// Turns a reply into a page that is never cached or framed and cannot run scripts. Status and other headers stay.
    pub(crate) fn render(&self, mut reply: Reply, page: &Page<'_>, head: &RequestHead<'_>) -> Reply {
        let accepted = (head.header)("accept-language");
        let language =
            self.language.as_deref().unwrap_or_else(|| self.negotiate(accepted.as_deref().unwrap_or_default()));
        let title = self.text(2 * page.text, language);
        let mut html = self.begin(language, title, "");
        push_element(&mut html, "<h1>", title, "</h1>");
        push_element(&mut html, "<p>", self.text(2 * page.text + 1, language), "</p>");
        if let Some((word, needed)) = page.needed {
            push_element(&mut html, "<p>", self.text(label_number(word), language), ": ");
            push_element(&mut html, "<code>", needed, "</code></p>");
        }
        for (at, problem) in page.problems.iter().enumerate() {
            html.push_str(if at == 0 { "<ul>" } else { "" });
            push_element(&mut html, "<li>", problem, "</li>");
        }
        html.push_str(if page.problems.is_empty() { "<nav>" } else { "</ul><nav>" });
        let links = Text::at(page.text).map_or(0, |text| text.links);
        for at in 0..label::LINKS {
            let link = 1 << at;
            if links & link == 0 {
                continue;
            }
            if let Some(address) = (page.link)(link) {
                push_element(&mut html, "<a href=\"", &address, "\"");
                html.push_str(if link == label::NEW_TAB { " target=\"_blank\" rel=\"noopener\">" } else { ">" });
                push_element(&mut html, "", self.text(label_number(at), language), "</a>");
            }
        }
        push_element(&mut html, "</nav><small>", self.text(label_number(label::CODE), language), " ");
        push_element(&mut html, "<code>", page.code, "</code>");
        if let Some(id) = head.request_id() {
            push_element(&mut html, " · ", self.text(label_number(label::REQUEST), language), " ");
            push_element(&mut html, "<code>", &id, "</code>");
        }
        html.push_str("</small></main></body></html>\n");
        reply.body = html;
        reply.headers.retain(|(name, _)| name != "content-type" && name != "cache-control");
        self.secured(reply, "")
    }

    /// Returns the beginning of a page, up to its heading. `style`: in addition to that of all pages.
    pub(crate) fn begin(&self, language: &str, title: &str, style: &str) -> String {
        let mut html = String::with_capacity(self.style.len() + 2048);
        html.push_str("<!doctype html>\n<html lang=\"");
        push_escaped(&mut html, language);
        html.push_str(
            "\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>",
        );
        push_escaped(&mut html, title);
        if let Some(name) = &self.name {
            html.push_str(" · ");
            push_escaped(&mut html, name);
        }
        html.push_str("</title><style>");
        html.push_str(&self.style);
        html.push_str(style);
        html.push_str("</style></head><body><main>");
        if self.name.is_some() || self.logo.is_some() {
            html.push_str("<header>");
            if let Some(logo) = &self.logo {
                push_element(&mut html, "<img alt=\"\" src=\"", logo, "\">");
            }
            push_escaped(&mut html, self.name.as_deref().unwrap_or_default());
            html.push_str("</header>");
        }
        html
    }

    /// Adds the headers of a page with that style, by which it is never cached or framed and cannot run scripts.
    pub(crate) fn secured(&self, reply: Reply, style: &str) -> Reply {
        // Computed beforehand for the pages that anyone can request.
        let policy =
            if style.is_empty() { self.policy.clone() } else { policy(&self.style, style, self.logo.as_deref()) };
        reply
            .with("content-type", "text/html; charset=utf-8")
            .with("content-security-policy", policy)
            .with("referrer-policy", "no-referrer")
            .with("x-content-type-options", "nosniff")
            .with("cache-control", PRIVATE)
    }

    /// Returns a text: one of the configuration, else one of this crate, in English where there is none in this language.
    fn text(&self, number: usize, language: &str) -> &str {
        let shipped = LANGUAGES.iter().position(|one| *one == language);
        self.own_text(number, language)
            .or_else(|| shipped.map(|at| text(number, at)))
            .or_else(|| self.own_text(number, "en"))
            .unwrap_or_else(|| text(number, 0))
    }

    fn own_text(&self, number: usize, language: &str) -> Option<&str> {
        let found = self.texts.iter().find(|(one, at, _)| *at == number && one == language);
        found.map(|(_, _, text)| text.as_str())
    }

    /// Returns the language that the browser prefers among those of the pages (RFC 9110 §12.5.4); English if there is none.
    fn negotiate(&self, accepted: &str) -> &str {
        let (mut best, mut best_weight) = ("en", 0);
        for range in accepted.split(',') {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let language = tag.split('-').next().unwrap_or_default().trim();
            let weight = weight(parameters);
            let own = self.texts.iter().map(|(one, _, _)| one.as_str());
            let found = LANGUAGES.into_iter().chain(own).find(|one| one.eq_ignore_ascii_case(language));
            if let Some(found) = found.filter(|_| weight > best_weight) {
                (best, best_weight) = (found, weight);
            }
        }
        best
    }
}

/// Returns the policy of a page whose style has two parts.
fn policy(style: &str, more: &str, logo: Option<&str>) -> String {
    // Browsers also request the site's icon.
    let logo_source = logo.filter(|logo| !logo.starts_with('/')).unwrap_or_default();
    concat(&[
        "default-src 'none'; style-src 'sha256-",
        &STANDARD.encode(sha256(concat(&[style, more]).as_bytes())),
        "'; img-src 'self' ",
        logo_source,
        "; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    ])
}

/// Returns the weight of a language or media type in thousandths (RFC 9110 §12.4.2).
pub(super) fn weight(parameters: &str) -> u32 {
    let Some(value) = parameters.trim().strip_prefix("q=") else { return 1000 };
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let mut weight = if whole == "1" { 1000 } else { 0 };
    for (digit, unit) in fraction.bytes().zip([100, 10, 1]) {
        weight += u32::from(digit.wrapping_sub(b'0').min(9)) * unit;
    }
    weight
}

/// Returns the red, green and blue of `#rgb` or `#rrggbb`, each up to 255.
pub(crate) fn parse_color(text: &str) -> Option<[u32; 3]> {
    let digits = text.strip_prefix('#').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    let number = u32::from_str_radix(digits, 16).ok()?;
    match digits.len() {
        3 => Some([number >> 8, number >> 4 & 15, number & 15].map(|part| 17 * part)),
        6 => Some([number >> 16, number >> 8 & 255, number & 255]),
        _ => None,
    }
}

/// Returns black or white, whichever is easier to read on a colour.
pub(crate) fn contrast([red, green, blue]: [u32; 3]) -> &'static str {
    if 299 * red + 587 * green + 114 * blue > 150_000 { "#000" } else { "#fff" }
}

/// Adds escaped text between markup.
pub(crate) fn push_element(html: &mut String, before: &str, text: &str, after: &str) {
    html.push_str(before);
    push_escaped(html, text);
    html.push_str(after);
}

/// Adds text, escaped for elements and quoted attributes.
fn push_escaped(html: &mut String, text: &str) {
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
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use super::{Page, Pages, contrast, parse_color};
    use crate::http::{Reply, RequestHead};

    fn render(pages: &Pages, text: &str, language: &str) -> Reply {
        let header = |name: &str| (name == "accept-language").then(|| language.to_string());
        let head = RequestHead { method: "GET", url: "https://a.example/", header: &header };
        let page = Page {
            text: 0,
            code: text,
            needed: Some((8, text)),
            problems: &[text.into(), text.into()],
            link: &|_| Some(text.into()),
        };
        let reply = Reply::problem(401, "token_missing", "x").with("www-authenticate", "Bearer");
        pages.render(reply, &page, &head)
    }

    #[test]
    fn text_never_becomes_markup() {
        let text = "<script>alert('x')</script>\"&";
        let mut pages = Pages::new(Some(text.into()), Some(text.into()), "", "");
        pages.texts = (0..56).map(|number| ("fr".into(), number, text.into())).collect();
        for language in ["en", "de", "fr", text] {
            let reply = render(&pages, text, language);
            assert!(!reply.body.contains("<script"), "{}", reply.body);
            assert!(!reply.body.contains("'x'"), "{}", reply.body);
        }
    }

    #[test]
    fn a_page_replaces_the_document_and_no_other_header() {
        let reply = render(&Pages::default(), "x", "");
        let values = |name: &str| reply.headers.iter().filter(|(one, _)| one == name).count();
        assert_eq!(reply.status, 401);
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!((values("content-type"), values("cache-control")), (1, 1));
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(policy.contains("img-src 'self' ;"), "{policy}");
    }

    #[test]
    fn the_policy_allows_the_logo_of_another_host_and_no_other_image() {
        let logo = "https://cdn.example.com/logo.svg";
        let pages = Pages::new(None, Some(logo.into()), "", "");
        let reply = render(&pages, "x", "");
        assert!(
            reply
                .header("content-security-policy")
                .unwrap()
                .contains("img-src 'self' https://cdn.example.com/logo.svg;")
        );
        assert!(reply.body.contains("<img alt=\"\" src=\"https://cdn.example.com/logo.svg\">"));
    }

    #[test]
    fn the_language_is_the_one_that_the_browser_prefers() {
        let texts = Vec::from([("fr".into(), 0, "Bonjour".into())]);
        let mut pages = Pages { texts, ..Pages::default() };
        for (accepted, language) in [
            ("", "en"),
            ("*", "en"),
            ("de", "de"),
            ("DE-at,de;q=0.9,en;q=0.8", "de"),
            ("en-GB,en;q=0.9,de;q=0.8", "en"),
            ("it, de;q=0.5, en;q=0.25", "de"),
            ("de;q=0, en", "en"),
            ("en;q=0.1, de;q=0.999", "de"),
            ("fr-CA", "fr"),
            ("xx;q=1.0, de; q=0.3", "de"),
            ("de;q=;;,\u{e9}", "en"),
            ("deu", "en"),
        ] {
            assert_eq!(pages.negotiate(accepted), language, "{accepted}");
            assert!(
                render(&pages, "x", accepted).body.contains(&alloc::format!("<html lang=\"{language}\">")),
                "{accepted}"
            );
        }
        let french = render(&pages, "x", "fr").body;
        assert!(french.contains("<h1>Bonjour</h1>") && french.contains("You are not logged in."), "{french}");
        pages.language = Some("de".into());
        assert!(render(&pages, "x", "en").body.contains("<html lang=\"de\">"));
    }

    #[test]
    fn colours_are_hexadecimal_and_text_on_the_accent_is_readable() {
        for text in ["", "#", "#12", "#1234", "#12345g", "#+12345", "red", "#ffffff;}", "#fff ", "\u{ff03}fff"] {
            assert_eq!(parse_color(text), None, "{text}");
        }
        assert_eq!(parse_color("#fd0"), parse_color("#FFdd00"));
        assert_eq!(parse_color("#1f5fd0"), Some([0x1f, 0x5f, 0xd0]));
        assert_eq!(["#fd0", "#1f5fd0"].map(|color| contrast(parse_color(color).unwrap())), ["#000", "#fff"]);
    }
}
