//! `session`: the sealed cookie of a login.

use super::reader::{Reader, Section};

const KEYS: &[&str] = &["secrets", "cookie", "idle_s", "absolute_s", "same_site", "domain"];

/// Shortest secret, in characters.
const MIN_SECRET_CHARS: usize = 32;

pub(super) fn read(reader: &mut Reader<'_>, root: &Section<'_>) {
    let (path, secrets) = match root.get("session").and_then(|field| reader.section(&field, KEYS)) {
        Some(section) => {
            for (name, least) in [("idle_s", 60), ("absolute_s", 60)] {
                if let Some(field) = section.get(name) {
                    reader.number(&field, least, 31_536_000);
                }
            }
            if let Some(field) = section.get("same_site") {
                reader.choice(&field, &[("Lax", ()), ("Strict", ()), ("None", ())]);
            }
            for name in ["cookie", "domain"] {
                if let Some(field) = section.get(name) {
                    reader.text(&field);
                }
            }
            let secrets = section.get("secrets").and_then(|field| reader.strings(&field));
            (section.path_of("secrets"), secrets)
        }
        None => ("session.secrets".into(), None),
    };
    let alias = || reader.variable("AUTH0_SECRET").map(|secret| ("AUTH0_SECRET (environment)".into(), [secret].into()));
    let Some((path, secrets)) = secrets.map(|secrets| (path, secrets)).or_else(alias) else { return };
    if secrets.is_empty() || secrets.iter().any(|secret| secret.chars().count() < MIN_SECRET_CHARS) {
        reader.error(&path, "must have at least 32 characters; make one with: openssl rand -hex 32");
    }
}
