//! Options in the normal form that `pkg/src/options.js` makes: that table holds the rules, this module only parses. Anything else is
//! refused.

use alloc::string::String;
use alloc::vec::Vec;

use edgeward::Verifier;
use edgeward::json::{Document, Number, Object, Value};
use edgeward::jwk::{InvalidJwkSet, JwkSet, KeyCache, KeySource};
use edgeward::jwt::{Algorithm, Any, ClaimPath, ClaimRule, Policy, Profile, Requirements, Roles, Tenants};
use edgeward::limits;

use crate::checker::Checker;

/// Why options cannot be used. JavaScript has the texts.
#[derive(Clone, Copy)]
pub(crate) enum Reason {
    /// Not the normal form.
    Form,
    KeySetTooLarge,
    NoUsableKey,
    NotAKeySet,
    /// The URL of the keys is not https.
    NotHttps,
}

/// Options that cannot be used: why, and the index of the issuer concerned.
#[derive(Clone, Copy)]
pub(crate) struct InvalidOptions {
    pub(crate) reason: Reason,
    pub(crate) issuer: usize,
}

const FORM: InvalidOptions = InvalidOptions { reason: Reason::Form, issuer: 0 };

/// What one call requires beyond the verifier's policy.
#[derive(Default)]
pub(crate) struct PerCall {
    pub(crate) requirements: Requirements,
    pub(crate) nonce: Option<String>,
    pub(crate) access_token: Option<String>,
}

impl PerCall {
    /// Parses the options of one call; `None` if they are not in the normal form.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let document = Document::parse(text.to_vec(), limits::MAX_CLAIMS_DEPTH).ok()?;
        let options = Options(document.root());
        let mut requirements = options.requirements()?;
        requirements.audience = options.list("audience")?;
        Some(Self { requirements, nonce: options.text("nonce")?, access_token: options.text("accessToken")? })
    }

    /// Whether it holds values of a single login.
    pub(crate) fn is_for_one_login(&self) -> bool {
        self.nonce.is_some() || self.access_token.is_some()
    }
}

/// Makes a verifier from its options.
pub(crate) fn parse(text: &[u8]) -> Result<Checker, InvalidOptions> {
    let document = Document::parse(text.to_vec(), limits::MAX_CLAIMS_DEPTH).map_err(|_| FORM)?;
    let options = Options(document.root());
    let requirements = options.requirements().ok_or(FORM)?;
    let issuers = options.0.get("issuers").and_then(Value::as_array).ok_or(FORM)?;
    let mut verifier: Option<Verifier<Any>> = None;
    for (index, value) in issuers.iter().enumerate() {
        let issuer = Options(value.as_object().ok_or(FORM)?);
        let policy = policy(options, issuer).ok_or(FORM)?.require(requirements.clone());
        let keys =
            key_cache(options, issuer, policy.issuer()).map_err(|reason| InvalidOptions { reason, issuer: index })?;
        verifier = Some(match verifier {
            None => Verifier::new(policy, keys),
            Some(verifier) => verifier.and_issuer(policy, keys),
        });
    }
    let mut verifier = verifier.ok_or(FORM)?;
    if let Some(entries) = options.number("cacheSize").ok_or(FORM)? {
        verifier = verifier.cache_entries(entries as usize);
    }
    Ok(Checker { verifier, requirements })
}

/// The policy for tokens of one issuer; `None` if its options are not in the normal form.
fn policy(options: Options<'_>, issuer: Options<'_>) -> Option<Policy<Any>> {
    let name = issuer.text("issuer")?.unwrap_or_default();
    let audience = match issuer.0.get("audience") {
        Some(Value::Bool(false)) => None,
        _ => Some(issuer.list("audience")?),
    };
    let client_id = issuer.text("clientId")?;
    let algorithms: Option<Vec<Algorithm>> =
        issuer.list("algorithms")?.iter().map(|name| Algorithm::from_name(name)).collect();
    let algorithms = algorithms?;
    let mut policy: Policy<Any> = match options.str("kind")? {
        None | Some("access") => {
            let profile = match options.str("profile")? {
                None | Some("auto") => Profile::Auto,
                Some("auth0") => Profile::Auth0,
                Some("rfc9068") => Profile::Rfc9068,
                Some(_) => return None,
            };
            let clients = options.list("clients")?;
            let policy = match audience {
                Some(audience) => Policy::access_token(name, audience, &algorithms).ok()?.clients(clients),
                None => Policy::access_token_without_audience(name, clients, &algorithms).ok()?,
            };
            let policy = policy.profile(profile);
            match client_id {
                Some(client_id) => policy.login_client(client_id).into(),
                None => policy.into(),
            }
        }
        Some("id") => {
            let policy = Policy::id_token(name, client_id?, &algorithms).ok()?;
            let trusted = audience?.into_iter().chain(options.list("trustedAudiences")?);
            let policy = trusted.fold(policy, Policy::trust_audience).authorized_parties(options.list("clients")?);
            match options.text("nonce")? {
                Some(nonce) => policy.nonce(nonce).into(),
                None => policy.into(),
            }
        }
        Some(_) => return None,
    };
    policy = policy.types(options.list("types")?);
    policy = match options.0.get("tenants") {
        None => policy,
        Some(Value::String("any")) => policy.tenants(Tenants::Any),
        Some(_) => policy.tenants(Tenants::Only(options.list("tenants")?)),
    };
    if let Some(seconds) = options.number("clockSkew")? {
        policy = policy.clock_skew_s(seconds).ok()?;
    }
    if let Some(seconds) = options.number("maxTokenAge")? {
        policy = policy.max_age_s(seconds);
    }
    Some(options.list("requiredClaims")?.into_iter().fold(policy, Policy::require_claim))
}

fn key_cache(options: Options<'_>, issuer: Options<'_>, name: &str) -> Result<KeyCache, Reason> {
    if let Some(jwks) = issuer.str("jwks").ok_or(Reason::Form)? {
        return match JwkSet::parse(jwks.as_bytes()) {
            Ok(set) => Ok(KeyCache::fixed(name, set)),
            Err(InvalidJwkSet::TooLarge | InvalidJwkSet::TooManyKeys) => Err(Reason::KeySetTooLarge),
            Err(InvalidJwkSet::NoUsableKey) => Err(Reason::NoUsableKey),
            Err(_) => Err(Reason::NotAKeySet),
        };
    }
    let source = issuer.text("jwksUri").ok_or(Reason::Form)?.map_or(KeySource::Discovery, KeySource::Uri);
    let http_hosts = options.list("allowHttp").ok_or(Reason::Form)?;
    if source.is_allowed(name, &http_hosts) {
        Ok(KeyCache::new(name, source).allow_http(&http_hosts))
    } else {
        Err(Reason::NotHttps)
    }
}

/// An object of options. An absent option is `Some(None)` or an empty list; `None` stands for a value of another type.
#[derive(Clone, Copy)]
struct Options<'o>(Object<'o>);

impl<'o> Options<'o> {
    fn str(self, name: &str) -> Option<Option<&'o str>> {
        match self.0.get(name) {
            None => Some(None),
            Some(value) => value.as_str().map(Some),
        }
    }

    fn text(self, name: &str) -> Option<Option<String>> {
        Some(self.str(name)?.map(Into::into))
    }

    fn list(self, name: &str) -> Option<Vec<String>> {
        match self.0.get(name) {
            None => Some(Vec::new()),
            Some(value) => Some(value.as_array()?.strings()?.map(Into::into).collect()),
        }
    }

    fn number(self, name: &str) -> Option<Option<u32>> {
        match self.0.get(name) {
            None => Some(None),
            Some(Value::Number(Number::Unsigned(number))) => u32::try_from(number).ok().map(Some),
            Some(_) => None,
        }
    }

    fn requirements(self) -> Option<Requirements> {
        let mut requirements = Requirements::default();
        (requirements.scopes, requirements.any_scope) = self.all_and_any("scopes")?;
        (requirements.permissions, requirements.any_permission) = self.all_and_any("permissions")?;
        requirements.organizations = self.list("organizations")?;
        if let Some(value) = self.0.get("roles") {
            let roles = Self(value.as_object()?);
            let (claim, all, any) = (roles.path("claim")?, roles.list("all")?, roles.list("any")?);
            requirements.roles = Some(Roles { claim, all, any });
        }
        if let Some(value) = self.0.get("claims") {
            let rules = value.as_array()?.iter().map(|rule| Self(rule.as_object()?).claim_rule());
            requirements.claims = rules.collect::<Option<_>>()?;
        }
        Some(requirements)
    }

    /// A list of which all are required, or an object with `all` and `any`.
    fn all_and_any(self, name: &str) -> Option<(Vec<String>, Vec<String>)> {
        match self.0.get(name).and_then(Value::as_object) {
            Some(both) => Some((Self(both).list("all")?, Self(both).list("any")?)),
            None => Some((self.list(name)?, Vec::new())),
        }
    }

    fn path(self, name: &str) -> Option<ClaimPath> {
        let names = self.list(name)?;
        (!names.is_empty()).then(|| names.into_iter().collect())
    }

    fn claim_rule(self) -> Option<ClaimRule> {
        let mut rule = ClaimRule::new(self.path("claim")?);
        (rule.equals, rule.prefix) = (self.text("equals")?, self.text("prefix")?);
        (rule.any, rule.all, rule.not) = (self.list("any")?, self.list("all")?, self.list("not")?);
        Some(rule)
    }
}
