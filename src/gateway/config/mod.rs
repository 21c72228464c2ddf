//! The configuration document: compiled into a gateway, or refused with every problem in it.
//!
//! A section is declared once (see [`declare`]); `reference` makes the JSON Schema, the TypeScript types and the tables of
//! `docs/configuration.md` from the same declarations. What several sections have to agree on is checked after they are read.

mod authorizer;
mod client_keys;
mod cors;
mod declare;
mod decryption_keys;
mod fapi;
mod forms;
mod hosts;
mod identity_token;
mod integration;
mod introspection;
mod log;
mod login;
mod methods;
mod overlaps;
mod pages;
mod paths;
mod presets;
mod reader;
mod redirects;
#[cfg(test)]
#[cfg(feature = "unicode")]
mod redirects_tests;
#[cfg(test)]
mod reference;
mod resource;
mod revocation;
mod sender;
mod session;
mod suggestion;
mod token_from;
mod upstream;

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use self::authorizer::{Authorizer, AuthorizerConfig};
use self::cors::CorsConfig;
use self::declare::{Declared, Key, Setting, section};
use self::forms::Text;
use self::hosts::{Authorizers, HostMap};
use self::identity_token::IdentityTokenConfig;
use self::integration::{ProxyConfig, RespondConfig};
use self::log::{LogConfig, MetricsConfig};
use self::login::LoginConfig;
use self::pages::PagesConfig;
use self::paths::{PathConfig, PathList};
use self::presets::AuthorizerForm;
pub use self::reader::{Environment, Problem};
use self::reader::{Reader, Section};
use self::resource::ResourceConfig;
use self::revocation::RevocationConfig;
use self::session::SessionConfig;
use super::hosts::HostTable;
use super::identity::IdentityTokens;
use super::route::{Auth, Integration, Route};
use super::status::Status;
use super::{Gateway, LOGIN_PATH, Surroundings, Trust, Unicode};
use crate::host::Level;
use crate::json::{Document, JsonError, error_position};
use crate::limits;

section! {
    /// The gateway's configuration: who issues the tokens, what each path needs, and where requests go.
    struct GatewayConfig {
        /// The JSON Schema of this document, for editors.
        schema as "$schema": Text;
        /// Who issues the tokens, what they must satisfy, and the client that logs users in.
        authorizer: AuthorizerForm;
        /// Several authorizers by name, in place of `authorizer`. Each has the keys of `authorizer`, for which no variables stand in.
        authorizers: Authorizers;
        /// The authorizer of each host, such as `app.example.com`, which stands for all its ports, or `app.example.com:8443`. Requests to other hosts are answered 421.
        hosts: HostMap;
        /// The sealed cookie that holds a login.
        session: SessionConfig;
        /// Sessions and bearer tokens that end before they expire.
        revocation: RevocationConfig;
        /// Where logins end.
        login: LoginConfig;
        /// The API, as described to its clients (RFC 9728).
        protected_resource: ResourceConfig;
        /// A signed statement for origins about who calls.
        identity_token: IdentityTokenConfig;
        /// Cross-origin requests of scripts.
        cors: CorsConfig;
        /// The gateway's own pages.
        pages: PagesConfig;
        /// Which requests are logged.
        log: LogConfig;
        /// Counters and durations.
        metrics: MetricsConfig;
        /// The routes. The most specific path decides: an exact one before `{param}` before `{*rest}`. A request that matches none is answered 404.
        paths: PathList, required "a list of routes";
    }
}

/// The sections in which a misplaced key is looked up, and how a message names them.
const SECTIONS: [(&str, &[Key]); 14] = [
    ("at the top level", GatewayConfig::KEYS),
    ("in authorizer", AuthorizerConfig::KEYS),
    ("in session", SessionConfig::KEYS),
    ("in revocation", RevocationConfig::KEYS),
    ("in login", LoginConfig::KEYS),
    ("in protected_resource", ResourceConfig::KEYS),
    ("in identity_token", IdentityTokenConfig::KEYS),
    ("in cors", CorsConfig::KEYS),
    ("in pages", PagesConfig::KEYS),
    ("in log", LogConfig::KEYS),
    ("in metrics", MetricsConfig::KEYS),
    ("in paths[]", PathConfig::KEYS),
    ("in an integration of type http_proxy", ProxyConfig::KEYS),
    ("in an integration of type respond", RespondConfig::KEYS),
];

/// The message for a key that its section does not declare: a spelling mistake, or a key of another section.
fn unknown_key(name: &str, declared: &[&str]) -> String {
    let is_misspelt = suggestion::nearest(name, declared).is_some_and(|(changes, _)| changes <= 1);
    match SECTIONS.iter().find(|(_, keys)| keys.iter().any(|key| key.name == name)) {
        Some((section, _)) if !is_misspelt => alloc::format!("unknown key \"{name}\" here; it belongs {section}"),
        _ => suggestion::unknown("key", name, declared),
    }
}

/// A valid configuration.
#[derive(Debug)]
pub struct Compiled {
    /// The gateway.
    pub gateway: Gateway,
    /// Problems that do not keep it from serving.
    pub warnings: Vec<Problem>,
}

/// What the platform provides for a configuration, besides the document and its variables.
#[derive(Debug, Clone, Copy)]
pub struct Platform<'p> {
    /// Unicode's tables.
    pub unicode: Unicode,
    /// A random secret that seals sessions where none is configured; they end with the isolate that made it. Without it, no login
    /// succeeds then.
    pub random_secret: Option<&'p str>,
}

/// Compiles a configuration document, with the Unicode tables of this crate.
///
/// ```
/// use edgeward::gateway::compile;
///
/// let document = r#"{ "paths": [
///     { "method": "GET", "path": "/health", "auth": "none", "integration": { "type": "respond", "body": "ok" } }
/// ] }"#;
/// let compiled = compile(document, &|_name| None)?;
/// assert!(compiled.warnings.is_empty());
///
/// let problems = compile(r#"{ "path": [] }"#, &|_| None).unwrap_err();
/// assert_eq!(problems[0].to_string(), "error at path: unknown key \"path\"; did you mean \"paths\"?");
/// # Ok::<(), Vec<edgeward::gateway::Problem>>(())
/// ```
///
/// # Errors
/// All problems found.
#[cfg(feature = "unicode")]
pub fn compile(text: &str, env: &Environment<'_>) -> Result<Compiled, Vec<Problem>> {
    compile_with(text, env, Platform { unicode: Unicode::TABLES, random_secret: None })
}

/// Compiles a configuration document. It fails closed: with one error, nothing is served.
///
/// # Errors
/// All problems found, warnings included: first those of single values, in reading order, then what does not fit together.
pub fn compile_with(text: &str, env: &Environment<'_>, platform: Platform<'_>) -> Result<Compiled, Vec<Problem>> {
    let mut reader = Reader::new(env, platform);
    let parsed = if text.len() > limits::MAX_CONFIG_BYTES {
        Err("is too large".to_string())
    } else {
        Document::parse(text.as_bytes().to_vec(), limits::MAX_CLAIMS_DEPTH).map_err(|reason| syntax(text, reason))
    };
    let document = match parsed {
        Ok(document) => document,
        Err(message) => {
            reader.error("", message);
            return Err(reader.into_problems());
        }
    };
    let root = Section::new(String::new(), Some(document.root()));
    let config = GatewayConfig::read_section(&mut reader, &root);
    let login = config.login();
    let (named, table) = hosts::check(&mut reader, &config.authorizer(), &config.authorizers(), &config.hosts());
    let resource_of = |number: usize| {
        let resource = config.protected_resource();
        let url = resource.value.and_then(|resource| resource.resource().value);
        let is_other = !table.is_empty() && url.is_some_and(|url| table.find(url) != Some(number));
        if is_other { Setting::absent() } else { resource }
    };
    let mut authorizers = Vec::new();
    for (number, one) in named.iter().enumerate() {
        reader.enter_authorizer(one.place);
        let tenant = one.tenant.as_ref();
        authorizers
            .push(one.config.map(|one| Authorizer::check(&mut reader, one, &login, &resource_of(number), tenant)));
    }
    reader.enter_authorizer(None);
    // Without the section there still are its defaults and variables.
    let defaults;
    let session = match config.session().value {
        Some(session) => session,
        None => {
            defaults = SessionConfig::read_section(&mut reader, &Section::new("session".into(), None));
            &defaults
        }
    };
    session::check(&mut reader, session);
    let cors = cors::check(&mut reader, &config.cors());
    let pages = Arc::new(pages::check(&mut reader, &config.pages()));
    check_hosts(&mut reader, &config, session, &table);
    let mut gateways = Vec::new();
    for (number, (one, authorizer)) in named.iter().zip(&authorizers).enumerate() {
        let authorizer = authorizer.as_ref();
        reader.enter_authorizer(one.place);
        let compiled = paths::check(&mut reader, &config.paths(), authorizer);
        let routes = &compiled.routes;
        check_protection(&mut reader, &config, authorizer, routes);
        let verifier = authorizer.and_then(|authorizer| authorizer.verifier(&mut reader, routes)).map(Arc::new);
        let login = authorizer
            .filter(|_| routes.iter().any(|route| route.integration.needs_login()))
            .and_then(|authorizer| authorizer.login(&mut reader, routes, session, verifier.clone()));
        if let Some(login) = &login
            && !table.is_empty()
            && table.find(login.client.origin()) != Some(number)
            && !reader.has_error_inside("hosts")
        {
            // Cookies are bound to its host: each authorizer has its own.
            reader.error("authorizer.redirect_uri", "must be on a host of this authorizer: see hosts");
        }
        let upstream = authorizer.filter(|_| routes.iter().any(Route::has_upstream_auth)).and_then(|authorizer| {
            let keys = match (&verifier, &login) {
                (Some(verifier), _) => verifier.keys().next(),
                (None, login) => login.as_ref().map(|login| &login.keys),
            };
            authorizer.upstream_client(&mut reader, session, keys.map(Arc::as_ref))
        });
        let cors = cors.clone().map(|cors| {
            let cors = sender::with_headers(cors, authorizer.map(Authorizer::config));
            cors.for_organization(one.tenant.as_ref().map(|one| &*one.organization))
        });
        let introspection = authorizer.and_then(|authorizer| authorizer.introspection(&mut reader, verifier.as_ref()));
        if let Some(authorizer) = authorizer {
            let of_tokens = login.as_ref().map(|login| &login.client);
            let of_tokens = of_tokens.or(upstream.as_ref().map(|upstream| &upstream.client));
            let asking = introspection.as_ref().map(|introspection| &introspection.client);
            if let Some(client) = of_tokens.or(asking) {
                fapi::check_client(&mut reader, authorizer.config(), client, of_tokens.is_some());
            }
        }
        if let Some(key) = authorizer.map(|authorizer| authorizer.config().dpop_key())
            && !key.is_absent()
            && !routes.iter().any(|route| route.integration.needs_login() || route.has_upstream_auth())
        {
            reader.warn(&key.place(), "has no effect: no route needs a login or has upstream_auth");
        }
        let sender = sender::check(&mut reader, authorizer.map(Authorizer::config), routes);
        let surroundings = Surroundings { unicode: platform.unicode, cors, pages: Arc::clone(&pages) };
        let trust = Trust {
            introspection,
            revocations: revocation::compile(&mut reader, &config.revocation(), routes),
            verifier,
            login: login.map(Arc::new),
            upstream: upstream.map(Arc::new),
            resource: resource::check(&mut reader, &resource_of(number), authorizer, &sender),
            roles_claims: authorizer.map(Authorizer::roles_claims).unwrap_or_default(),
            token_sources: authorizer
                .map(|authorizer| authorizer.token_sources(&mut reader, session, routes))
                .unwrap_or_default(),
            sender,
            identity: identity_token::settings(&config.identity_token())
                .map(|settings| IdentityTokens::new(settings, authorizer.and_then(Authorizer::roles_claim))),
        };
        identity_token::check_header(&mut reader, &config.identity_token(), &config.paths(), &trust.token_sources);
        gateways.push(Gateway::new(compiled, surroundings, trust));
    }
    reader.enter_authorizer(None);
    let has_status = |gateway: &Gateway| gateway.routes.iter().any(|route| route.integration == Integration::Status);
    if gateways.iter().any(has_status) {
        let status = Arc::new(Status::new(document.root(), &gateways));
        gateways.iter_mut().for_each(|gateway| gateway.status = Some(Arc::clone(&status)));
    }
    let recording = log::recording(&config.log(), &config.metrics());
    match Gateway::joined(gateways, table) {
        Some(gateway) if !reader.has_errors() => {
            Ok(Compiled { gateway: Gateway { recording, ..gateway }, warnings: reader.into_problems() })
        }
        _ => Err(reader.into_problems()),
    }
}

/// Checks what several authorizers share.
fn check_hosts(reader: &mut Reader<'_>, config: &GatewayConfig, session: &SessionConfig, table: &HostTable) {
    if config.authorizers().is_absent() {
        return;
    }
    let domain = session.domain();
    if !domain.is_absent() {
        reader.error(&domain.place(), "cannot be set with authorizers: each host has sessions of its own");
    }
    let resource = config.protected_resource().value.and_then(|resource| resource.resource().value);
    if resource.is_some_and(|url| table.find(url).is_none()) && !table.is_empty() {
        reader.error("protected_resource.resource", "is on none of the hosts");
    }
}

/// Compiles a configuration document and logs every problem. `None` if it is invalid: every request is answered with 503 then.
pub fn load(
    text: Option<&str>,
    env: &Environment<'_>,
    platform: Platform<'_>,
    log: &dyn Fn(Level, &dyn fmt::Display),
) -> Option<Gateway> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        log(Level::Error, &"config_invalid: neither edgeward.json nor the variable EDGEWARD gives a configuration");
        return None;
    };
    let (gateway, problems) = match compile_with(text, env, platform) {
        Ok(Compiled { gateway, warnings }) => (Some(gateway), warnings),
        Err(problems) => (None, problems),
    };
    if gateway.is_none() {
        let errors = problems.iter().filter(|problem| problem.is_error).count();
        let outlook = "every request is answered with 503 until they are fixed";
        log(Level::Error, &format_args!("config_invalid: {errors} error(s); {outlook}"));
    }
    for problem in &problems {
        let level = if problem.is_error { Level::Error } else { Level::Warning };
        log(level, &format_args!("config: {problem}"));
    }
    if gateway.as_ref().is_some_and(|gateway| gateway.has_default_login) {
        log(Level::Information, &format_args!("default_login: no route is a login, so logins begin at {LOGIN_PATH}"));
    }
    gateway
}

fn syntax(text: &str, reason: JsonError) -> String {
    let what = match reason {
        JsonError::Syntax => "is not JSON",
        JsonError::DuplicateName => "has an object with two keys of the same name",
        JsonError::NotAnObject => return "must be a JSON object".to_string(),
        JsonError::TooDeep => "is nested too deeply",
        JsonError::TooManyMembers => "has an object with too many keys",
        JsonError::TooManyValues => "has too many keys and values",
        JsonError::NotUtf8 => return "is not UTF-8".to_string(),
    };
    let (line, column) = error_position(text, limits::MAX_CLAIMS_DEPTH);
    let hint = if matches!(reason, JsonError::Syntax) { syntax_hint(text, line, column) } else { "" };
    alloc::format!("{what}: line {line}, column {column}{hint}")
}

/// Returns a hint about the position where `text` stops being JSON, if a comment, a trailing comma or other quotes are there.
fn syntax_hint(text: &str, line: usize, column: usize) -> &'static str {
    let text = text.as_bytes();
    let lines_before = text.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1));
    let at = lines_before.map(<[u8]>::len).sum::<usize>() + column.saturating_sub(1);
    let before = text.get(..at).unwrap_or_default().trim_ascii_end();
    match text.get(at) {
        Some(b'/' | b'#') => "; JSON has no comments",
        Some(b'}' | b']') if before.last() == Some(&b',') => "; JSON allows no comma after the last member",
        // The last is the first byte of typographic quotes.
        Some(b'\'' | b'`' | 0xE2) => "; JSON strings are in double quotes",
        _ => "",
    }
}

fn check_protection(
    reader: &mut Reader<'_>,
    config: &GatewayConfig,
    authorizer: Option<&Authorizer<'_>>,
    routes: &[Route],
) {
    let lacks_authorizer = config.authorizer().is_absent() && config.authorizers().is_absent();
    if lacks_authorizer && !config.protected_resource().is_absent() {
        reader.error("protected_resource", "needs an authorizer, which verifies the tokens");
    }
    if lacks_authorizer && !config.identity_token().is_absent() {
        reader.error("identity_token", "needs an authorizer, which verifies who calls");
    }
    if config.identity_token().is_absent() && routes.iter().any(|route| route.integration == Integration::Jwks) {
        reader.error("identity_token", "is missing, and a route publishes its keys");
    }
    let mut protected = routes.iter().filter(|route| route.auth != Auth::None).peekable();
    if protected.peek().is_none() {
        return;
    }
    if lacks_authorizer {
        reader.error(
            "authorizer",
            "is missing, and there are routes that need it; set \"auth\": \"none\" on public ones",
        );
    } else if authorizer.is_some_and(Authorizer::lacks_audience)
        && protected.any(|route| route.lacks_audience)
        && !reader.has_error_at("authorizer.audience")
        // A route that was refused may be the callback.
        && config.paths().value.is_some_and(|list| list.is_complete && list.valid.len() == routes.len())
        // The sessions of a login open routes without an audience.
        && !routes.iter().any(|route| route.integration == Integration::Callback)
    {
        reader.error(
            "authorizer.audience",
            "is missing, and there are protected routes: set it to the identifier of your API, or set AUTH0_AUDIENCE; or add \
             a login, whose sessions need no audience",
        );
    }
}
