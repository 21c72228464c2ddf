//! `cors`

use alloc::string::ToString;

use super::reader::{Field, Reader, Section};
use crate::gateway::cors::{Cors, OriginPattern};
use crate::http::is_token;

const KEYS: &[&str] =
    &["allow_origins", "allow_methods", "allow_headers", "expose_headers", "allow_credentials", "max_age_s", "max_age"];

pub(super) fn read(reader: &mut Reader<'_>, root: &Section<'_>) -> Option<Cors> {
    let section = reader.section(&root.get("cors")?, KEYS)?;
    let mut cors = Cors {
        allow_methods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].map(Into::into).to_vec(),
        allow_headers: ["authorization", "content-type"].map(Into::into).to_vec(),
        ..Cors::default()
    };
    match section.get("allow_origins") {
        None => reader.error(&section.path_of("allow_origins"), "is missing"),
        Some(field) => {
            for origin in reader.strings(&field).unwrap_or_default() {
                match OriginPattern::parse(&origin) {
                    Some(pattern) => cors.allow_origins.push(pattern),
                    None => reader.error(
                        &field.path,
                        "must hold origins such as https://app.example.com or https://*.example.com, without a path",
                    ),
                }
            }
        }
    }
    let mut tokens = |name: &str| {
        let field = section.get(name)?;
        let tokens = reader.strings(&field)?;
        if !tokens.iter().all(|token| is_token(token)) {
            reader.error(&field.path, "must hold names only");
        }
        Some(tokens)
    };
    cors.allow_methods = tokens("allow_methods").unwrap_or(cors.allow_methods);
    cors.allow_headers = tokens("allow_headers").unwrap_or(cors.allow_headers);
    cors.expose_headers = tokens("expose_headers").unwrap_or_default();
    if let Some(field) = section.get("allow_credentials") {
        cors.allow_credentials = reader.boolean(&field).unwrap_or_default();
        refuse_any_with_credentials(reader, &cors, &field);
    }
    let max_age = section.get("max_age_s").or_else(|| section.get("max_age"));
    cors.max_age_s = max_age.and_then(|field| reader.number(&field, 0, 86_400));
    Some(cors)
}

fn refuse_any_with_credentials(reader: &mut Reader<'_>, cors: &Cors, field: &Field<'_>) {
    if cors.allow_credentials && cors.allow_origins.contains(&OriginPattern::Any) {
        let origins = "allow_origins".to_string();
        reader.error(
            &field.path,
            format_args!("must not be true while {origins} has \"*\": every site could act as the user"),
        );
    }
}
