//! `session`: the sealed cookie of a login.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::reader::{Reader, Section};
use crate::http::is_token;
use crate::limits;
use crate::session::{CookieShape, LoginBinding, Sealer, Sessions};

const KEYS: &[&str] = &["secrets", "cookie", "idle_s", "absolute_s", "same_site", "domain", "claims"];

const DEFAULT_COOKIE: &str = "__Host-edgeward";
/// The `session` section, valid as far as it goes.
pub(super) struct Settings {
    secrets: Vec<String>,
    cookie: CookieShape,
    idle_s: u32,
    absolute_s: u32,
    /// Claims of the ID token that sessions keep; all if `None`.
    pub(super) claims: Option<Vec<String>>,
}

pub(super) fn read(reader: &mut Reader<'_>, root: &Section<'_>) -> Settings {
    let section = root.get("session").and_then(|field| reader.section(&field, KEYS));
    let field = |name: &str| section.as_ref().and_then(|section| section.get(name));
    let mut seconds = |name: &str, default| {
        field(name)
            .and_then(|field| reader.number(&field, limits::MIN_SESSION_S, limits::MAX_SESSION_S))
            .unwrap_or(default)
    };
    let idle_s = seconds("idle_s", limits::SESSION_IDLE_S);
    let absolute_s = seconds("absolute_s", limits::SESSION_ABSOLUTE_S);
    let choices = [("Lax", "Lax"), ("Strict", "Strict"), ("None", "None")];
    let same_site = field("same_site").and_then(|field| reader.choice(&field, &choices)).unwrap_or("Lax");
    let cookie = field("cookie").and_then(|field| reader.text(&field).map(|name| (field.path, name)));
    let domain = field("domain").and_then(|field| reader.text(&field).map(|domain| (field.path, domain)));
    let claims = field("claims").and_then(|field| reader.strings(&field));
    if let Some((path, name)) = &cookie {
        if !is_token(name) {
            reader.error(path, "is not a cookie name");
        } else if !name.starts_with("__Host-") && domain.is_none() {
            reader.error(path, "must start with __Host-, which keeps other hosts from setting it");
        }
    }
    if let Some((path, domain)) = &domain {
        if !crate::url::is_host(domain) || !domain.contains('.') || domain.starts_with('[') {
            reader.error(path, "must be a host name such as example.com");
        }
        if cookie.as_ref().is_none_or(|(_, name)| name.starts_with("__Host-")) {
            reader.error(
                path,
                "needs session.cookie with a name such as __Secure-edgeward: __Host- cookies have no domain",
            );
        }
    }
    let (path, secrets) = match field("secrets") {
        Some(field) => (field.path.clone(), reader.strings(&field)),
        None => {
            ("AUTH0_SECRET (environment)".to_string(), reader.variable("AUTH0_SECRET").map(|secret| [secret].into()))
        }
    };
    if secrets.as_ref().is_some_and(|secrets| {
        secrets.is_empty() || secrets.iter().any(|one| one.chars().count() < limits::MIN_SECRET_CHARS)
    }) {
        reader.error(&path, "must have at least 32 characters; make one with: openssl rand -hex 32");
    }
    Settings {
        secrets: secrets.unwrap_or_default(),
        cookie: CookieShape {
            name: cookie.map_or_else(|| DEFAULT_COOKIE.to_string(), |(_, name)| name),
            same_site,
            domain: domain.map(|(_, domain)| domain),
        },
        idle_s,
        absolute_s,
        claims,
    }
}

impl Settings {
    /// How sessions are kept. Without a secret of their own, one of the client's serves, if it is long enough.
    pub(super) fn sessions(
        self,
        reader: &mut Reader<'_>,
        client_secrets: &[String],
        binding: LoginBinding<'_>,
    ) -> Option<Sessions> {
        let mut secrets = self.secrets;
        if secrets.is_empty() {
            let is_long = |secret: &&String| secret.chars().count() >= limits::MIN_SECRET_CHARS;
            secrets.extend(client_secrets.iter().filter(is_long).cloned());
            let what = if secrets.is_empty() {
                "with a random key of each isolate, so logins get lost between isolates and with each deployment"
            } else {
                "with a key derived from the client secret"
            };
            reader.warn(
                "session.secrets",
                format_args!(
                    "is missing: sessions are sealed {what}. Set AUTH0_SECRET; make it with: openssl rand -hex 32"
                ),
            );
            if secrets.is_empty() {
                secrets.extend(reader.random_secret().map(String::from));
            }
        }
        if self.cookie.same_site == "Strict" {
            reader.warn("session.same_site", "is Strict: links from other sites arrive without the session");
        }
        Some(Sessions {
            sealer: Sealer::new(&secrets, binding),
            cookie: self.cookie,
            idle_s: self.idle_s.into(),
            absolute_s: self.absolute_s.into(),
        })
    }
}
