//! `cors`: which other origins may call.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::declare::{Form, Setting, section};
use super::forms::{Flag, Names, Texts, Whole};
use super::methods::MethodNames;
use super::reader::{Field, Reader};
#[cfg(test)]
use super::reference;
use crate::gateway::cors::{Cors, OriginPattern};
use crate::limits;

section! {
    /// Cross-origin requests of scripts. Preflight requests are answered before any authentication.
    pub(super) struct CorsConfig {
        /// Exact origins, those of apps and extensions included (`capacitor://localhost`, `chrome-extension://…`); `https://*.example.com` for one more label, which may have a prefix and a suffix (`https://app-*.example.com`), or `*`. `https://{organization_name}.example.com` stands for the organization of the host, if it is given by name.
        allow_origins: Origins, required "";
        /// Methods that scripts of these origins may use.
        allow_methods: MethodNames = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].map(String::from);
        /// Headers that they may send. `*` answers with the headers that were asked for.
        allow_headers: Names = ["authorization", "content-type"].map(String::from);
        /// Headers of the answer that they may read.
        expose_headers: Names = [];
        /// Whether they may send cookies. Not with the origin `*`.
        allow_credentials: Flag = false;
        /// Seconds for which browsers may cache the answer to a preflight request.
        max_age_s: Whole<0, { limits::MAX_CORS_AGE_S }>;
        /// The same as `max_age_s`.
        max_age: Whole<0, { limits::MAX_CORS_AGE_S }>;
    }
}

/// A list of [`OriginPattern`]s.
pub(super) struct Origins;

impl Form for Origins {
    type Value = Vec<OriginPattern>;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<OriginPattern>> {
        let origins = Texts::read(reader, field)?;
        let patterns: Option<Vec<_>> = origins.iter().map(|origin| OriginPattern::parse(origin)).collect();
        if patterns.is_none() {
            reader.error(
                &field.place,
                "must hold origins such as https://app.example.com, capacitor://localhost or https://*.example.com, without a path",
            );
        }
        patterns
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Texts
    }
}

/// Checks the section by itself.
pub(super) fn check(reader: &mut Reader<'_>, section: &Setting<'_, CorsConfig>) -> Option<Cors> {
    let config = section.value?;
    let allow_credentials = config.allow_credentials();
    if allow_credentials && config.allow_origins().items().contains(&OriginPattern::Any) {
        reader.error(
            &format!("{}.allow_credentials", section.place()),
            "must not be true while allow_origins has \"*\": every site could act as the user",
        );
    }
    Some(Cors {
        allow_origins: config.allow_origins().cloned()?,
        allow_methods: config.allow_methods(),
        allow_headers: config.allow_headers(),
        expose_headers: config.expose_headers(),
        allow_credentials,
        max_age_s: config.max_age_s().cloned().or(config.max_age().cloned()),
    })
}
