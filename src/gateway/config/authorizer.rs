//! `authorizer`: who issues the tokens, and what they must satisfy.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::reader::{Field, Reader, Section};
use super::{redirects, session};
use crate::discovery::MetadataCache;
use crate::gateway::route::{Auth, Integration, Route};
use crate::json::Value;
use crate::jwk::{JwkSet, KeyCache, KeySource};
use crate::jwt::{Access, Algorithm, Policy, Profile, Requirements};
use crate::limits;
use crate::oidc::{
    Client, ClientAuth, Discovered, Endpoints, LoginState, Provider, RelyingParty, Secret, SubjectMatch, is_about_user,
};
use crate::session::LoginBinding;
use crate::shared::Shared;
use crate::url::{HttpUrl, is_host, is_loopback, is_within_domain, split_port};
use crate::verifier::Verifier;

const KEYS: &[&str] = &[
    "type",
    "domain",
    "issuer",
    "issuers",
    "audience",
    "algorithms",
    "jwks",
    "jwks_uri",
    "client_id",
    "client_secret",
    "client_auth",
    "redirect_uri",
    "callback_uri",
    "post_logout_uri",
    "forward_client_ip",
    "scope",
    "clock_skew_s",
    "token_profile",
    "max_token_age_s",
    "organizations",
    "roles_claim",
    "subject_match",
    "clients",
    "max_key_bits",
];

/// The `authorizer` section, valid as far as it goes.
#[derive(Debug)]
pub(super) struct Authorizer {
    issuers: Vec<Issuer>,
    pub(super) audience: Vec<String>,
    algorithms: Vec<Algorithm>,
    clock_skew_s: u32,
    profile: Profile,
    max_token_age_s: Option<u32>,
    pub(super) organizations: Vec<String>,
    pub(super) roles_claim: Option<String>,
    subject_match: SubjectMatch,
    clients: Vec<String>,
    max_key_bits: usize,
    kind: Type,
    client: ClientSettings,
}

/// The key that says where logins end.
pub(super) const AFTER_LOGIN: &str = "authorizer.callback_uri";

/// What is configured of the login client.
#[derive(Debug)]
struct ClientSettings {
    id: Option<String>,
    secrets: Vec<String>,
    auth: ClientAuthMethod,
    redirect_uri: Option<String>,
    callback_uri: Option<String>,
    post_logout_uri: Option<String>,
    /// The site's own origin, to build redirect_uri with.
    base_url: Option<String>,
    scope: String,
    forwards_ip: bool,
    /// Something of it is wrong, which has been noted.
    is_faulty: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientAuthMethod {
    Post,
    Basic,
    None,
}

#[derive(Debug)]
struct Issuer {
    issuer: String,
    keys: Keys,
}

#[derive(Debug)]
enum Keys {
    Fixed(JwkSet),
    Fetched(KeySource),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Auth0,
    Oidc,
}

pub(super) fn read(reader: &mut Reader<'_>, root: &Section<'_>) -> Option<Authorizer> {
    let section = reader.section(&root.get("authorizer")?, KEYS)?;
    let kind = match section.get("type") {
        Some(field) => reader.choice(&field, &[("auth0", Type::Auth0), ("oidc", Type::Oidc)]),
        None => {
            reader.error(&section.path_of("type"), "is missing: \"auth0\" or \"oidc\"");
            None
        }
    };
    let max_key_bits = section
        .get("max_key_bits")
        .and_then(|field| reader.number(&field, 2048, 8192))
        .map_or(limits::GATEWAY_MAX_MODULUS_BITS, |bits| bits as usize);
    let issuers = kind.map(|kind| read_issuers(reader, &section, kind, max_key_bits)).unwrap_or_default();
    let mut list = |name: &str, alias: Option<&str>| match section.get(name) {
        Some(field) => reader.strings(&field).unwrap_or_default(),
        None => alias.and_then(|alias| reader.variable(alias)).into_iter().collect(),
    };
    let audience = list("audience", Some("AUTH0_AUDIENCE"));
    let organizations = list("organizations", None);
    let clients = list("clients", None);
    let algorithms = read_algorithms(reader, &section);
    let clock_skew_s = section.get("clock_skew_s").and_then(|field| reader.number(&field, 0, limits::MAX_CLOCK_SKEW_S));
    let profiles = [("auto", Profile::Auto), ("auth0", Profile::Auth0), ("rfc9068", Profile::Rfc9068)];
    let profile = section.get("token_profile").and_then(|field| reader.choice(&field, &profiles));
    let max_token_age_s = section.get("max_token_age_s").and_then(|field| reader.number(&field, 1, u32::MAX));
    let roles_claim = section.get("roles_claim").and_then(|field| reader.text(&field));
    let subject_match = read_subject_match(reader, &section);
    let client = read_client(reader, &section);
    Some(Authorizer {
        issuers,
        audience,
        algorithms,
        clock_skew_s: clock_skew_s.unwrap_or(limits::DEFAULT_CLOCK_SKEW_S),
        profile: profile.unwrap_or_default(),
        max_token_age_s,
        organizations,
        roles_claim,
        subject_match,
        clients,
        max_key_bits,
        // Without a type there is no issuer either, and nothing is served.
        kind: kind.unwrap_or(Type::Oidc),
        client,
    })
}

impl Authorizer {
    pub(super) fn scope(&self) -> &str {
        &self.client.scope
    }

    /// Whether only some clients' tokens are accepted.
    pub(super) fn restricts_clients(&self) -> bool {
        !self.clients.is_empty()
    }

    /// Where a login ends that names no page, if that is on the gateway's own origin: the key that says so, and the path.
    pub(super) fn after_login(&self) -> Option<(&'static str, String)> {
        self.own_path(AFTER_LOGIN, self.client.callback_uri.as_deref())
    }

    /// The same for a logout.
    pub(super) fn after_logout(&self) -> Option<(&'static str, String)> {
        // Without an address of its own, the root of where people think the site is.
        let elsewhere = self.client.callback_uri.as_ref().filter(|_| self.client.post_logout_uri.is_none());
        let uri = self.client.post_logout_uri.as_ref().or(elsewhere);
        let (place, path) = self.own_path("authorizer.post_logout_uri", uri.map(String::as_str))?;
        Some((place, if elsewhere.is_some() { "/".into() } else { path }))
    }

    fn own_path(&self, place: &'static str, uri: Option<&str>) -> Option<(&'static str, String)> {
        let Some(uri) = uri else { return Some((place, "/".into())) };
        let url = HttpUrl::parse(uri)?;
        let own = self.client.redirect_uri.as_ref().or(self.client.base_url.as_ref())?;
        let is_own = HttpUrl::parse(own).is_some_and(|own| own.authority.eq_ignore_ascii_case(url.authority));
        is_own.then(|| (place, url.path().into()))
    }

    /// The gateway's own callback: as configured, or that of the callback route on the site's own origin.
    pub(super) fn redirect_uri(&self, callback_path: Option<&str>) -> Option<String> {
        let from_base = || Some(format!("{}{}", self.client.base_url.as_ref()?, callback_path?));
        self.client.redirect_uri.clone().or_else(from_base)
    }

    /// The audiences that access tokens may have.
    fn accepted_audience(&self, routes: &[Route]) -> Vec<String> {
        let protected = routes.iter().filter(|route| route.auth != Auth::None);
        let mut audience = self.audience.clone();
        if audience.is_empty() {
            // Without an audience for all, those that the routes demand: then every protected route demands its own.
            audience.extend(protected.flat_map(|route| route.requirements.audience.iter().cloned()));
        }
        audience
    }

    /// The verifier for the bearer tokens of all routes; `None` if no route asks for a token.
    pub(super) fn verifier(&self, reader: &mut Reader<'_>, routes: &[Route]) -> Option<Verifier> {
        let audience = self.accepted_audience(routes);
        // Either is a problem that has been noted.
        if audience.is_empty() || self.algorithms.is_empty() {
            return None;
        }
        let mut verifier: Option<Verifier> = None;
        for one in &self.issuers {
            let policy = match self.policy(&one.issuer, &audience) {
                Ok(policy) => policy,
                Err(reason) => {
                    reader.error("authorizer", reason);
                    return None;
                }
            };
            let keys = self.keys_of(one);
            verifier = Some(match verifier {
                None => Verifier::new(policy, keys),
                Some(verifier) => verifier.and_issuer(policy, keys),
            });
        }
        verifier
    }

    fn keys_of(&self, one: &Issuer) -> KeyCache {
        match &one.keys {
            Keys::Fixed(set) => KeyCache::fixed(one.issuer.clone(), set.clone()),
            Keys::Fetched(source) => {
                KeyCache::new(one.issuer.clone(), source.clone()).max_modulus_bits(self.max_key_bits)
            }
        }
    }

    /// How people log in, with the first issuer. `access` verifies access tokens where a route asks for them.
    pub(super) fn login(
        &self,
        reader: &mut Reader<'_>,
        routes: &[Route],
        session: session::Settings,
        access: Option<Arc<Verifier>>,
    ) -> Option<RelyingParty> {
        let settings = &self.client;
        let issuer = self.issuers.first().filter(|_| !settings.is_faulty)?;
        let Some(id) = settings.id.clone() else {
            reader.error("authorizer.client_id", "is missing, and there are login routes; or set AUTH0_CLIENT_ID");
            return None;
        };
        if settings.auth != ClientAuthMethod::None && settings.secrets.is_empty() {
            reader.error(
                "authorizer.client_secret",
                "is missing: set it, or AUTH0_CLIENT_SECRET, or \"client_auth\": \"none\" for a public client",
            );
            return None;
        }
        let path_of = |wanted: &Integration| routes.iter().find(|route| route.integration == *wanted)?.pattern.path();
        // That it is missing has been noted.
        let redirect_uri = self.redirect_uri(path_of(&Integration::Callback).as_deref())?;
        let session_claims = session.claims.clone();
        if !self.clients.is_empty() && !self.clients.contains(&id) {
            reader.warn("authorizer.clients", "does not list client_id: no access token of a login grants anything");
        }
        let audience = self.accepted_audience(routes);
        let binding = LoginBinding { issuer: &issuer.issuer, client_id: &id, audience: &audience };
        let sessions = session.sessions(reader, &settings.secrets, binding)?;
        if let Some(domain) = &sessions.cookie.domain
            && !HttpUrl::parse(&redirect_uri).is_some_and(|url| is_within_domain(url.host, domain))
        {
            reader.error(
                "session.domain",
                "must be the host of authorizer.redirect_uri or a parent of it: browsers keep no cookie for another domain",
            );
        }
        let secrets = || settings.secrets.iter().cloned().map(Secret::new).collect();
        let auth = match settings.auth {
            ClientAuthMethod::Post => ClientAuth::Post(secrets()),
            ClientAuthMethod::Basic => ClientAuth::Basic(secrets()),
            ClientAuthMethod::None => ClientAuth::None,
        };
        let id_policy = Policy::id_token(&issuer.issuer, &id, &self.algorithms)
            .and_then(|policy| policy.clock_skew_s(self.clock_skew_s))
            .map_err(|reason| reader.error("authorizer", reason))
            .ok()?;
        let client = Client {
            id,
            auth,
            redirect_uri,
            callback_uri: settings.callback_uri.clone(),
            scope: settings.scope.clone(),
            audience: self.audience.first().cloned(),
            audience_parameter: if self.kind == Type::Auth0 { "audience" } else { "resource" },
            organizations: self.organizations.clone(),
            roles_claim: self.roles_claim.clone(),
            subject_match: self.subject_match.clone(),
            session_claims,
            forwards_ip: settings.forwards_ip,
        };
        let keys = access.as_ref().and_then(|verifier| verifier.keys().next().cloned());
        let keys = keys.unwrap_or_else(|| Arc::new(self.keys_of(issuer)));
        let endpoints = match (self.kind, keys.metadata()) {
            (Type::Auth0, _) => Endpoints::Fixed(Arc::new(Provider::auth0(&issuer.issuer))),
            (Type::Oidc, Some(metadata)) => Endpoints::Discovered(Discovered::new(Arc::clone(metadata))),
            (Type::Oidc, None) => {
                Endpoints::Discovered(Discovered::new(Arc::new(MetadataCache::new(issuer.issuer.clone()))))
            }
        };
        Some(RelyingParty {
            after_logout: settings.post_logout_uri.clone().unwrap_or_else(|| format!("{}/", client.home())),
            login_path: redirects::login_page(routes),
            client,
            sessions,
            id_policy,
            keys,
            endpoints,
            access,
            state: Shared::new(LoginState::default()),
        })
    }

    fn policy(&self, issuer: &str, audience: &[String]) -> Result<Policy<Access>, crate::jwt::InvalidPolicy> {
        let mut policy = Policy::access_token(issuer, audience.iter().cloned(), &self.algorithms)?
            .clock_skew_s(self.clock_skew_s)?
            .profile(self.profile)
            .clients(self.clients.iter().cloned())
            .require(Requirements { organizations: self.organizations.clone(), ..Requirements::default() });
        if let Some(seconds) = self.max_token_age_s {
            policy = policy.max_age_s(seconds);
        }
        if let Some(client_id) = &self.client.id {
            policy = policy.login_client(client_id.clone());
        }
        Ok(policy)
    }
}

fn read_issuers(reader: &mut Reader<'_>, section: &Section<'_>, kind: Type, max_key_bits: usize) -> Vec<Issuer> {
    let mut issuers: Vec<Issuer> = read_issuer(reader, section, kind, max_key_bits, true).into_iter().collect();
    if let Some(field) = section.get("issuers") {
        let Some(array) = field.value.as_array() else {
            reader.error(&field.path, "must be a list of objects");
            return issuers;
        };
        for (index, value) in array.iter().enumerate() {
            let field = Field { path: format!("{}[{index}]", field.path), value };
            let Some(further) = reader.section(&field, &["domain", "issuer", "jwks", "jwks_uri"]) else { continue };
            let Some(issuer) = read_issuer(reader, &further, kind, max_key_bits, false) else { continue };
            if issuers.iter().any(|one| one.issuer == issuer.issuer) {
                reader.error(&field.path, "names the same issuer as another entry");
            } else {
                issuers.push(issuer);
            }
        }
    }
    issuers
}

fn read_issuer(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    kind: Type,
    max_key_bits: usize,
    use_aliases: bool,
) -> Option<Issuer> {
    let mut value = |name: &str, aliases: &[&str]| match section.get(name) {
        Some(field) => Some((field.path.clone(), reader.text(&field)?)),
        None => aliases
            .iter()
            .filter(|_| use_aliases)
            .find_map(|alias| reader.variable(alias).map(|value| (format!("{alias} (environment)"), value))),
    };
    let domain = value("domain", &["AUTH0_DOMAIN"]);
    let issuer = value("issuer", &["AUTH0_ISSUER", "AUTH0_ISSUER_BASE_URL"]);
    let has_either = section.get("domain").is_some() || section.get("issuer").is_some();
    let base = match (kind, domain, issuer) {
        (Type::Auth0, Some((path, domain)), _) => auth0_issuer(reader, &path, &domain),
        (Type::Auth0, None, Some((path, issuer))) => auth0_issuer(reader, &path, &issuer),
        (Type::Oidc, _, Some((path, issuer))) => match HttpUrl::parse(&issuer) {
            Some(url) if url.is_secure() && !issuer.contains('?') => Some(issuer),
            Some(url) if !url.is_secure() => {
                reader.error(&path, "must be an https URL (http is for this machine only)");
                None
            }
            _ => {
                reader.error(&path, "must be an https URL without query and fragment");
                None
            }
        },
        (Type::Auth0, None, None) => {
            if !has_either {
                reader.error(&section.path_of("domain"), "is missing: your Auth0 domain, or set AUTH0_DOMAIN");
            }
            None
        }
        (Type::Oidc, _, None) => {
            if section.get("issuer").is_none() {
                reader.error(&section.path_of("issuer"), "is missing: the provider's issuer URL");
            }
            None
        }
    };
    let usual = base.as_ref().map(|issuer| {
        Keys::Fetched(match kind {
            Type::Auth0 => KeySource::Uri(format!("{issuer}.well-known/jwks.json")),
            Type::Oidc => KeySource::Discovery,
        })
    });
    let keys = read_keys(reader, section, max_key_bits, usual);
    Some(Issuer { issuer: base?, keys: keys? })
}

/// An Auth0 domain as an issuer: `https://{domain}/`. Scheme and trailing slash may be given; a port only on this machine,
/// where http is used.
fn auth0_issuer(reader: &mut Reader<'_>, path: &str, domain: &str) -> Option<String> {
    let bare = domain.strip_prefix("https://").or_else(|| domain.strip_prefix("http://")).unwrap_or(domain);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    let valid = split_port(bare).filter(|(host, port)| {
        is_host(host)
            && if is_loopback(host) { port.is_none_or(|port| port.parse::<u16>().is_ok()) } else { port.is_none() }
    });
    let Some((host, _)) = valid else {
        reader.error(path, "must be a bare host name such as tenant.us.auth0.com");
        return None;
    };
    if is_loopback(host) {
        return Some(format!("http://{bare}/"));
    }
    if domain.starts_with("http://") {
        reader.error(path, "must not be http outside this machine");
        return None;
    }
    Some(format!("https://{}/", bare.to_ascii_lowercase()))
}

/// The keys that are configured, else the usual ones. `None` if what is configured is wrong, which has been noted.
fn read_keys(reader: &mut Reader<'_>, section: &Section<'_>, max_key_bits: usize, usual: Option<Keys>) -> Option<Keys> {
    if let Some(field) = section.get("jwks") {
        let text = match field.value {
            Value::Object(_) => field.value.to_json(),
            _ => reader.text(&field)?,
        };
        return match JwkSet::parse_with(text.as_bytes(), max_key_bits) {
            Ok(set) => Some(Keys::Fixed(set)),
            Err(reason) => {
                reader.error(&field.path, reason);
                None
            }
        };
    }
    let Some(field) = section.get("jwks_uri") else { return usual };
    let uri = reader.text(&field)?;
    if HttpUrl::parse(&uri).is_none_or(|url| !url.is_secure()) {
        reader.error(&field.path, "must be an https URL (http is for this machine only)");
        return None;
    }
    Some(Keys::Fetched(KeySource::Uri(uri)))
}

fn read_algorithms(reader: &mut Reader<'_>, section: &Section<'_>) -> Vec<Algorithm> {
    let Some(field) = section.get("algorithms") else { return Vec::from([Algorithm::Rs256]) };
    let Some(names) = reader.strings(&field) else { return Vec::new() };
    let mut algorithms = Vec::new();
    for name in &names {
        match Algorithm::from_name(name) {
            Some(algorithm) => algorithms.push(algorithm),
            None => {
                let known = Algorithm::ALL.map(Algorithm::name).join(", ");
                reader.error(&field.path, format_args!("has an unsupported algorithm; supported are {known}"));
            }
        }
    }
    if names.is_empty() {
        reader.error(&field.path, "must not be empty");
    }
    algorithms
}

fn read_subject_match(reader: &mut Reader<'_>, section: &Section<'_>) -> SubjectMatch {
    let mut subject_match = SubjectMatch::default();
    let field = section.get("subject_match");
    let Some(both) = field.and_then(|field| reader.section(&field, &["access_token", "id_token"])) else {
        return subject_match;
    };
    for (name, claim) in [("access_token", &mut subject_match.access_token), ("id_token", &mut subject_match.id_token)]
    {
        if let Some(field) = both.get(name)
            && let Some(text) = reader.text(&field)
        {
            if !is_about_user(&text) {
                reader.error(&field.path, "must be a claim that names the user, such as sub");
            }
            *claim = text;
        }
    }
    subject_match
}

fn read_client(reader: &mut Reader<'_>, section: &Section<'_>) -> ClientSettings {
    let given_id = section.get("client_id");
    let id = match &given_id {
        Some(field) => reader.text(field),
        None => reader.variable("AUTH0_CLIENT_ID"),
    };
    let given_secrets = section.get("client_secret");
    let secrets = match &given_secrets {
        Some(field) => reader.strings(field),
        None => reader.variable("AUTH0_CLIENT_SECRET").map(|secret| [secret].into()),
    };
    let is_faulty = given_id.is_some() && id.is_none() || given_secrets.is_some() && secrets.is_none();
    let methods = [
        ("client_secret_post", ClientAuthMethod::Post),
        ("client_secret_basic", ClientAuthMethod::Basic),
        ("none", ClientAuthMethod::None),
    ];
    let auth = section.get("client_auth").and_then(|field| reader.choice(&field, &methods));
    let scope = section.get("scope").and_then(|field| reader.text(&field).map(|scope| (field.path, scope)));
    if let Some((path, scope)) = &scope
        && !scope.split(' ').any(|word| word == "openid")
    {
        reader.error(path, "must have the word \"openid\": without it there is no ID token, and no login");
    }
    ClientSettings {
        id,
        secrets: secrets.unwrap_or_default(),
        is_faulty,
        auth: auth.unwrap_or(ClientAuthMethod::Post),
        redirect_uri: read_url(reader, section, "redirect_uri"),
        callback_uri: read_url(reader, section, "callback_uri"),
        post_logout_uri: read_url(reader, section, "post_logout_uri"),
        base_url: read_base_url(reader),
        scope: scope.map_or_else(|| "openid profile email".into(), |(_, scope)| scope),
        forwards_ip: section.get("forward_client_ip").and_then(|field| reader.boolean(&field)).unwrap_or_default(),
    }
}

/// The site's own origin, from the environment.
fn read_base_url(reader: &mut Reader<'_>) -> Option<String> {
    let name = ["APP_BASE_URL", "AUTH0_BASE_URL"].into_iter().find(|name| reader.variable(name).is_some())?;
    let url = reader.variable(name)?;
    let origin = url.strip_suffix('/').unwrap_or(&url);
    if HttpUrl::parse(origin).is_none_or(|parsed| !parsed.is_secure() || !parsed.path_and_query.is_empty()) {
        reader.error(&format!("{name} (environment)"), "must be an https origin such as https://app.example.com");
        return None;
    }
    Some(origin.into())
}

fn read_url(reader: &mut Reader<'_>, section: &Section<'_>, name: &str) -> Option<String> {
    let field = section.get(name)?;
    let text = reader.text(&field)?;
    if HttpUrl::parse(&text).is_none_or(|url| !url.is_secure()) {
        reader.error(&field.path, "must be an https URL (http is for this machine only)");
        return None;
    }
    Some(text)
}
