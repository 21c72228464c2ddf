//! `session`: the sealed cookie of a login.

use alloc::string::{String, ToString};

use super::declare::section;
use super::forms::{Choice, Text, Texts, Whole, Words};
use super::reader::Reader;
use crate::http::is_token;
use crate::limits;
use crate::session::{CookieShape, LoginBinding, Sealer, Sessions};

section! {
    /// The sealed cookie that holds a login.
    pub(super) struct SessionConfig {
        /// At least 32 characters each. The first seals, all open.
        secrets: Texts, env ["AUTH0_SECRET"];
        /// Name of the cookie. It must start with `__Host-` unless `domain` is set.
        cookie: Text = "__Host-edgeward";
        /// Seconds without a request after which a session ends.
        idle_s: Whole<{ limits::MIN_SESSION_S }, { limits::MAX_SESSION_S }> = limits::SESSION_IDLE_S;
        /// Seconds after the login when a session ends in any case.
        absolute_s: Whole<{ limits::MIN_SESSION_S }, { limits::MAX_SESSION_S }> = limits::SESSION_ABSOLUTE_S;
        /// With `Strict`, a login ends on a page that continues by itself, and links from other sites arrive without the session.
        same_site: Choice<SameSite> = SameSite::Lax;
        /// Shares the session between the subdomains of this host.
        domain: Text;
        /// Claims of the ID token that the session holds, besides `iss`, `sub`, `sid`, the organization and what routes use. Without it: all claims about the user.
        claims: Texts;
    }
}

/// The cookie's `SameSite`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SameSite {
    Lax,
    Strict,
    None,
}

impl Words for SameSite {
    const WORDS: &'static [(&'static str, Self)] =
        &[("Lax", Self::Lax), ("Strict", Self::Strict), ("None", Self::None)];
}

impl SameSite {
    const fn name(self) -> &'static str {
        match self {
            Self::Lax => "Lax",
            Self::Strict => "Strict",
            Self::None => "None",
        }
    }
}

/// Checks the section by itself.
pub(super) fn check(reader: &mut Reader<'_>, config: &SessionConfig) {
    let cookie = config.cookie();
    let is_host_bound = cookie.starts_with("__Host-");
    let place = "session.cookie";
    if !is_token(&cookie) {
        reader.error(place, "is not a cookie name");
    } else if !is_host_bound && config.domain().is_absent() {
        reader.error(place, "must start with __Host-, which keeps other hosts from setting it");
    }
    let setting = config.domain();
    if let Some(domain) = setting.value {
        if !crate::url::is_host(domain) || !domain.contains('.') || domain.starts_with('[') {
            reader.error(&setting.place(), "must be a host name such as example.com");
        }
        if is_host_bound {
            reader.error(
                &setting.place(),
                "needs session.cookie with a name such as __Secure-edgeward: __Host- cookies have no domain",
            );
        }
    }
    let setting = config.secrets();
    if setting.value.is_some_and(|secrets| secrets.is_empty() || !secrets.iter().all(|secret| is_long_enough(secret))) {
        reader.error(&setting.place(), "must have at least 32 characters; make one with: openssl rand -hex 32");
    }
}

pub(super) fn is_long_enough(secret: &str) -> bool {
    secret.chars().count() >= limits::MIN_SECRET_CHARS
}

impl SessionConfig {
    /// The sealed sessions. Without a secret of their own, a client secret is used if it is long enough.
    pub(super) fn sessions(
        &self,
        reader: &mut Reader<'_>,
        client_secrets: &[String],
        binding: LoginBinding<'_>,
    ) -> Sessions {
        let mut secrets = self.secrets().items().to_vec();
        if secrets.is_empty() {
            secrets.extend(client_secrets.iter().filter(|secret| is_long_enough(secret)).cloned());
        }
        // An error says what is wrong already.
        if self.secrets().is_absent() && !reader.has_error_at("session") {
            let key = if secrets.is_empty() {
                "with a random key of each isolate, so logins get lost between isolates and with each deployment"
            } else {
                "with a key derived from the client secret"
            };
            reader.warn(
                "session.secrets",
                format_args!(
                    "is missing: sessions are sealed {key}. Set AUTH0_SECRET; make it with: openssl rand -hex 32"
                ),
            );
        }
        if secrets.is_empty() {
            secrets.extend(reader.random_secret().map(ToString::to_string));
        }
        if self.same_site() == SameSite::Strict {
            reader.warn("session.same_site", "is Strict: links from other sites arrive without the session");
        }
        Sessions {
            sealer: Sealer::new(&secrets, binding),
            cookie: CookieShape {
                name: self.cookie(),
                same_site: self.same_site().name(),
                domain: self.domain().cloned(),
            },
            idle_s: self.idle_s().into(),
            absolute_s: self.absolute_s().into(),
        }
    }
}
