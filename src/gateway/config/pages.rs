//! `pages`: the appearance of the gateway's own pages.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::declare::{Form, Setting, section};
use super::forms::{Check, Checked, Text};
use super::reader::{Field, Reader};
#[cfg(test)]
use super::reference;
use super::suggestion::unknown;
use crate::http::page::{OwnText, Pages, contrast, parse_color};
use crate::http::page_texts::{LANGUAGES, names};
use crate::oidc::ReturnTo;
use crate::text::concat;
use crate::url::HttpUrl;

section! {
    /// The pages with which the gateway answers browser navigations itself: errors, missing rights, logins and logouts.
    pub(super) struct PagesConfig {
        /// The name of the site, above the text of each page and in its title.
        name: Text;
        /// The logo above the text: a path of the site that needs no login, or an https URL without a query.
        logo: Checked<Logo>;
        /// Colours of the light scheme.
        colors: ColorsConfig;
        /// Colours of the dark scheme.
        dark_colors: ColorsConfig;
        /// The language of all pages: `en`, `de`, or one of `texts`. Without it: the one that the browser prefers.
        language: Checked<Language>;
        /// Texts in place of the built-in ones: by language, an object of names, such as `forbidden.title`, `forbidden.message` and `link.login`, and texts. docs/pages.md lists the names. Further languages are English where a text is missing.
        texts: Texts;
    }
}

section! {
    /// Colours as `#rgb` or `#rrggbb`. Those that are absent stay as they are.
    pub(super) struct ColorsConfig {
        /// Links and buttons.
        accent: Checked<Hexadecimal>;
        /// The page.
        background: Checked<Hexadecimal>;
        /// The box with the text.
        card: Checked<Hexadecimal>;
        /// The text.
        text: Checked<Hexadecimal>;
    }
}

pub(super) struct Logo;

impl Check for Logo {
    type Base = Text;

    const MESSAGE: &'static str = "must be a path of the site such as /logo.svg, or an https URL without a query";

    fn is_valid(logo: &String) -> bool {
        // It is a source of the content security policy, whose parts end at these characters.
        let is_source = !logo.contains([';', ',', '\'', '?']);
        let is_url = || HttpUrl::parse(logo).is_some_and(|url| url.is_https);
        is_source && (is_url() || ReturnTo::parse(logo).is_some_and(|path| path.as_str() == logo))
    }
}

pub(super) struct Hexadecimal;

impl Check for Hexadecimal {
    type Base = Text;

    const MESSAGE: &'static str = "must be a colour such as #1f5fd0";

    fn is_valid(color: &String) -> bool {
        parse_color(color).is_some()
    }
}

pub(super) struct Language;

impl Check for Language {
    type Base = Text;

    const MESSAGE: &'static str = "must be a language such as en or de";

    fn is_valid(language: &String) -> bool {
        is_language(language)
    }
}

/// Whether a text is the primary subtag of a language tag (RFC 5646 §2.2.1).
fn is_language(text: &str) -> bool {
    matches!(text.len(), 2 | 3) && text.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// Texts by language, and by their number.
pub(super) struct Texts;

impl Form for Texts {
    type Value = Vec<OwnText>;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Self::Value> {
        let languages = reader.object(field)?;
        let names = names();
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut all = Vec::new();
        for (language, member) in languages.members() {
            if !is_language(language) {
                reader.error(&member.place, Language::MESSAGE);
                continue;
            }
            let Some(section) = reader.object(&member) else { continue };
            for (name, text) in section.members() {
                match known.iter().position(|one| *one == name) {
                    Some(number) => all.extend(reader.text(&text).map(|text| (language.into(), number, text))),
                    None => reader.error(&text.place, unknown("text", name, &known)),
                }
            }
        }
        Some(all)
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Named(reference::Form::Headers.into())
    }
}

/// Returns the appearance of pages.
pub(super) fn check(reader: &mut Reader<'_>, section: &Setting<'_, PagesConfig>) -> Pages {
    let Some(config) = section.value else { return Pages::default() };
    let texts = config.texts().cloned().unwrap_or_default();
    let language = config.language();
    if let Some(language) = language.value
        && !config.texts().is_invalid
        && !LANGUAGES.contains(&language.as_str())
        && !texts.iter().any(|(one, _, _)| one == language)
    {
        reader.error(&format!("{}.language", section.place()), "must be en, de, or a language of pages.texts");
    }
    let mut pages = Pages::new(
        config.name().cloned(),
        config.logo().cloned(),
        &css(config.colors().value),
        &css(config.dark_colors().value),
    );
    (pages.language, pages.texts) = (language.cloned(), texts);
    pages
}

/// Returns the declarations of a colour scheme.
fn css(colors: Option<&ColorsConfig>) -> String {
    let Some(colors) = colors else { return String::new() };
    let accent = colors.accent();
    let mut css = String::new();
    for (name, setting) in [
        ("--back:", colors.background()),
        ("--card:", colors.card()),
        ("--ink:", colors.text()),
        ("--mark:", colors.accent()),
    ] {
        if let Some(color) = setting.value {
            css.push_str(&concat(&[name, color, ";"]));
        }
    }
    if let Some(color) = accent.value.and_then(|accent| parse_color(accent)) {
        css.push_str(&concat(&["--on:", contrast(color)]));
    }
    css
}
