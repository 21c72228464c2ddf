//! Options in the normal form that `pkg/src/options.js` makes: that table holds the rules, this module only parses. Anything else is
//! refused.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;

use edgeward::Verifier;
use edgeward::dpop::Acceptance;
use edgeward::json::{Document, Number, Object, Value};
use edgeward::jwk::{DecryptionKey, InvalidJwkSet, JwkSet, KeyCache, KeySource};
use edgeward::jwt::{Algorithm, Any, ClaimPath, ClaimRule, Policy, Profile, Requirements, Roles, Tenants};
use edgeward::limits;

use crate::checker::Checker;

/// Why options cannot be used. JavaScript has the texts, but for those of the core.
#[derive(Clone, Copy)]
pub(crate) enum Reason {
    /// Not the normal form.
    Form,
    KeySetTooLarge,
    NoUsableKey,
    NotAKeySet,
    /// The URL of the keys is not https.
    NotHttps,
    /// A key that cannot decrypt, with a text of the core.
    DecryptionKey,
}

/// Options that cannot be used: why, and the index of the issuer or key concerned.
pub(crate) struct InvalidOptions {
    pub(crate) reason: Reason,
    pub(crate) index: usize,
    pub(crate) message: Cow<'static, str>,
}

impl InvalidOptions {
    fn new(reason: Reason, index: usize) -> Self {
        Self { reason, index, message: "".into() }
    }
}

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
        read(text, |options| {
            let mut requirements = options.requirements();
            requirements.audience = options.list("audience");
            Some(Self { requirements, nonce: options.text("nonce"), access_token: options.text("accessToken") })
        })
    }

    /// Whether it holds values of a single login.
    pub(crate) fn is_for_one_login(&self) -> bool {
        self.nonce.is_some() || self.access_token.is_some()
    }
}

/// Makes a verifier from its options.
pub(crate) fn parse(text: &[u8]) -> Result<Checker, InvalidOptions> {
    read(text, |options| Some(checker(options))).unwrap_or_else(|| Err(form()))
}

fn form() -> InvalidOptions {
    InvalidOptions::new(Reason::Form, 0)
}

fn checker(options: Options<'_>) -> Result<Checker, InvalidOptions> {
    let requirements = options.requirements();
    let mut verifier: Option<Verifier<Any>> = None;
    for (index, issuer) in options.objects("issuers").enumerate() {
        let policy = policy(options, issuer).ok_or_else(form)?.require(requirements.clone());
        let keys = key_cache(options, issuer, policy.issuer()).map_err(|reason| InvalidOptions::new(reason, index))?;
        verifier = Some(match verifier {
            None => Verifier::new(policy, keys),
            Some(verifier) => verifier.and_issuer(policy, keys),
        });
    }
    let mut verifier = verifier.ok_or_else(form)?;
    if let Some(entries) = options.number("cacheSize") {
        verifier = verifier.cache_entries(entries as usize);
    }
    let keys = decryption_keys(options)?;
    if !keys.is_empty() {
        verifier = verifier.decrypt_with(keys);
    }
    let dpop = match options.str("dpop") {
        None | Some("off") => Acceptance::Off,
        Some("allowed") => Acceptance::Allowed,
        Some("required") => Acceptance::Required,
        Some(_) => return Err(form()),
    };
    Ok(Checker { verifier, requirements, dpop })
}

fn decryption_keys(options: Options<'_>) -> Result<Vec<DecryptionKey>, InvalidOptions> {
    let mut keys: Vec<DecryptionKey> = Vec::new();
    for (index, key) in options.objects("decryptionKeys").enumerate() {
        let invalid = |message| InvalidOptions { message, ..InvalidOptions::new(Reason::DecryptionKey, index) };
        let key = DecryptionKey::parse(key.str("key").unwrap_or_default(), key.str("kid"), key.str("alg"));
        let key = key.map_err(invalid)?;
        if keys.iter().any(|other| other.kid() == key.kid()) {
            return Err(invalid("has the same kid as another key".into()));
        }
        keys.push(key);
    }
    Ok(keys)
}

/// The policy for tokens of one issuer; `None` if its options are not in the normal form.
fn policy(options: Options<'_>, issuer: Options<'_>) -> Option<Policy<Any>> {
    let name = issuer.text("issuer").unwrap_or_default();
    let audience = match issuer.object.get("audience") {
        Some(Value::Bool(false)) => None,
        _ => Some(issuer.list("audience")),
    };
    let client_id = issuer.text("clientId");
    let algorithms: Option<Vec<Algorithm>> =
        issuer.list("algorithms").iter().map(|name| Algorithm::from_name(name)).collect();
    let algorithms = algorithms?;
    let clients = options.list("clients");
    let mut policy: Policy<Any> = match options.str("kind") {
        None | Some("access") => {
            let profile = match options.str("profile") {
                None | Some("auto") => Profile::Auto,
                Some("auth0") => Profile::Auth0,
                Some("rfc9068") => Profile::Rfc9068,
                Some(_) => return None,
            };
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
            let trusted = audience?.into_iter().chain(options.list("trustedAudiences"));
            let policy = trusted.fold(policy, Policy::trust_audience).authorized_parties(clients);
            match options.text("nonce") {
                Some(nonce) => policy.nonce(nonce).into(),
                None => policy.into(),
            }
        }
        Some(_) => return None,
    };
    policy = policy.types(options.list("types"));
    policy = match options.object.get("tenants") {
        None => policy,
        Some(Value::String("any")) => policy.tenants(Tenants::Any),
        Some(_) => policy.tenants(Tenants::Only(options.list("tenants"))),
    };
    if let Some(seconds) = options.number("clockSkew") {
        policy = policy.clock_skew_s(seconds).ok()?;
    }
    if let Some(seconds) = options.number("maxTokenAge") {
        policy = policy.max_age_s(seconds);
    }
    Some(options.list("requiredClaims").into_iter().fold(policy, Policy::require_claim))
}

fn key_cache(options: Options<'_>, issuer: Options<'_>, name: &str) -> Result<KeyCache, Reason> {
    if let Some(jwks) = issuer.str("jwks") {
        return match JwkSet::parse(jwks.as_bytes()) {
            Ok(set) => Ok(KeyCache::fixed(name, set)),
            Err(InvalidJwkSet::TooLarge | InvalidJwkSet::TooManyKeys) => Err(Reason::KeySetTooLarge),
            Err(InvalidJwkSet::NoUsableKey) => Err(Reason::NoUsableKey),
            Err(_) => Err(Reason::NotAKeySet),
        };
    }
    let source = issuer.text("jwksUri").map_or(KeySource::Discovery, KeySource::Uri);
    let http_hosts = options.list("allowHttp");
    if source.is_allowed(name, &http_hosts) {
        Ok(KeyCache::new(name, source).allow_http(&http_hosts))
    } else {
        Err(Reason::NotHttps)
    }
}

/// Reads options; `None` if `make` finds them unusable, or a value is of another type than it asked for.
fn read<T>(text: &[u8], make: impl FnOnce(Options<'_>) -> Option<T>) -> Option<T> {
    let document = Document::parse(text.to_vec(), limits::MAX_CLAIMS_DEPTH).ok()?;
    let is_malformed = Cell::new(false);
    make(Options { object: document.root(), is_malformed: &is_malformed }).filter(|_| !is_malformed.get())
}

/// An object of options. A value of another type than the one asked for counts as absent, and marks the whole as malformed.
#[derive(Clone, Copy)]
struct Options<'o> {
    object: Object<'o>,
    is_malformed: &'o Cell<bool>,
}

impl<'o> Options<'o> {
    fn converted<T>(self, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.is_malformed.set(true);
        }
        value
    }

    fn str(self, name: &str) -> Option<&'o str> {
        self.object.get(name).and_then(|value| self.converted(value.as_str()))
    }

    #[inline(never)]
    fn text(self, name: &str) -> Option<String> {
        self.str(name).map(Into::into)
    }

    #[inline(never)]
    fn list(self, name: &str) -> Vec<String> {
        let Some(value) = self.object.get(name) else { return Vec::new() };
        let values = self.converted(value.as_array()).into_iter().flatten();
        values.filter_map(|value| self.converted(value.as_str()).map(Into::into)).collect()
    }

    #[inline(never)]
    fn number(self, name: &str) -> Option<u32> {
        self.object.get(name).and_then(|value| {
            self.converted(match value {
                Value::Number(Number::Unsigned(number)) => u32::try_from(number).ok(),
                _ => None,
            })
        })
    }

    fn inside(self, value: Value<'o>) -> Option<Self> {
        self.converted(value.as_object()).map(|object| Self { object, ..self })
    }

    fn objects(self, name: &str) -> impl Iterator<Item = Self> {
        let array = self.object.get(name).and_then(|value| self.converted(value.as_array()));
        array.into_iter().flatten().filter_map(move |value| self.inside(value))
    }

    #[inline(never)]
    fn requirements(self) -> Requirements {
        let mut requirements = Requirements::default();
        (requirements.scopes, requirements.any_scope) = self.all_and_any("scopes");
        (requirements.permissions, requirements.any_permission) = self.all_and_any("permissions");
        requirements.organizations = self.list("organizations");
        requirements.roles = self.object.get("roles").and_then(|value| self.inside(value)).map(|roles| Roles {
            claim: roles.path("claim"),
            all: roles.list("all"),
            any: roles.list("any"),
        });
        requirements.claims = self.objects("claims").map(Self::claim_rule).collect();
        requirements
    }

    /// A list of which all are required, or an object with `all` and `any`.
    #[inline(never)]
    fn all_and_any(self, name: &str) -> (Vec<String>, Vec<String>) {
        match self.object.get(name).and_then(Value::as_object) {
            Some(object) => {
                let both = Self { object, ..self };
                (both.list("all"), both.list("any"))
            }
            None => (self.list(name), Vec::new()),
        }
    }

    #[inline(never)]
    fn path(self, name: &str) -> ClaimPath {
        let names = self.list(name);
        self.converted((!names.is_empty()).then_some(()));
        names.into_iter().collect()
    }

    fn claim_rule(self) -> ClaimRule {
        let mut rule = ClaimRule::new(self.path("claim"));
        rule.equals = match self.object.get("equals") {
            Some(Value::Bool(flag)) => Some(flag.into()),
            _ => self.text("equals").map(Into::into),
        };
        rule.prefix = self.text("prefix");
        (rule.any, rule.all, rule.not) = (self.list("any"), self.list("all"), self.list("not"));
        rule
    }
}
