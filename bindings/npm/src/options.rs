//! Options as JSON. What is not exactly as it should be is refused; what was wrong, `pkg/src/options.js` explains.

use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;

use edgeward::Verifier;
use edgeward::json::{Document, Number, Object, Value};
use edgeward::jwk::{InvalidJwkSet, JwkSet, KeyCache, KeySource};
use edgeward::jwt::{Algorithm, Any, Policy, Profile, Requirements, Roles};
use edgeward::limits;

use crate::judge::Judge;

/// Why options cannot be used.
#[derive(Clone, Copy)]
pub(crate) enum Reason {
    /// An option is missing, unknown, or of the wrong form: the options themselves show which.
    Form,
    KeySetTooLarge,
    NoUsableKey,
    NotAKeySet,
    /// The URL that keys would come from is not https.
    NotHttps,
}

/// Options that cannot be used: why, and which of several issuers it is about.
#[derive(Clone, Copy)]
pub(crate) struct InvalidOptions {
    pub(crate) reason: Reason,
    pub(crate) issuer: usize,
}

/// What one call demands beyond what the verifier always does.
#[derive(Default)]
pub(crate) struct PerCall {
    pub(crate) requirements: Requirements,
    pub(crate) nonce: Option<String>,
    pub(crate) access_token: Option<String>,
}

impl PerCall {
    /// Whether it holds what only one login has.
    pub(crate) fn is_of_one_login(&self) -> bool {
        self.nonce.is_some() || self.access_token.is_some()
    }
}

const OPTIONS: &[&str] = &[
    "issuer",
    "issuers",
    "audience",
    "algorithms",
    "jwks",
    "jwksUri",
    "clockSkew",
    "maxTokenAge",
    "kind",
    "clientId",
    "nonce",
    "profile",
    "clients",
    "requiredClaims",
    "scopes",
    "permissions",
    "roles",
    "organizations",
    "cacheSize",
];
const ISSUER_OPTIONS: &[&str] = &["issuer", "audience", "algorithms", "jwks", "jwksUri", "clientId"];
const PER_CALL_OPTIONS: &[&str] =
    &["scopes", "permissions", "roles", "organizations", "audience", "nonce", "accessToken"];

const FORM: InvalidOptions = InvalidOptions { reason: Reason::Form, issuer: 0 };

fn parse(text: &[u8]) -> Result<Document, InvalidOptions> {
    Document::parse(text.to_vec(), limits::MAX_CLAIMS_DEPTH).map_err(|_| FORM)
}

pub(crate) fn read_per_call(text: &[u8], is_for_id_tokens: bool) -> Result<PerCall, InvalidOptions> {
    let document = parse(text)?;
    let is_valid = Cell::new(true);
    let options = Options::new(document.root(), PER_CALL_OPTIONS, &is_valid);
    let mut per_call = PerCall {
        requirements: options.requirements(),
        nonce: options.text("nonce"),
        access_token: options.text("accessToken"),
    };
    per_call.requirements.audience = options.list("audience");
    options.check(is_for_id_tokens || !per_call.is_of_one_login());
    if is_valid.get() { Ok(per_call) } else { Err(FORM) }
}

pub(crate) fn read(text: &[u8]) -> Result<Judge, InvalidOptions> {
    let document = parse(text)?;
    let is_valid = Cell::new(true);
    let all = Options::new(document.root(), OPTIONS, &is_valid);
    let is_for_id_tokens = all.choice("kind", &["access", "id"]) == 1;
    let requirements = all.requirements();
    let cache_entries = all.number("cacheSize", 65_536);
    let mut issuers = Vec::new();
    match all.get("issuers") {
        None => issuers.push(Options { object: all.object, is_valid: &is_valid }),
        Some(value) => {
            all.check(["issuer", "jwks", "jwksUri"].iter().all(|name| all.get(name).is_none()));
            let objects = value.as_array().into_iter().flatten();
            let each = objects.map(|value| value.as_object().map(|one| Options::new(one, ISSUER_OPTIONS, &is_valid)));
            issuers.extend(each.map_while(|one| one));
            all.check(value.as_array().is_some_and(|array| array.iter().count() == issuers.len()));
        }
    }
    let mut verifier: Option<Verifier<Any>> = None;
    for (index, one) in issuers.iter().enumerate() {
        let is_twice = |other: &Options<'_>| other.text("issuer") == one.text("issuer");
        one.check(!issuers.iter().take(index).any(is_twice));
        let policy = policy(&all, one, is_for_id_tokens).map(|policy| policy.require(requirements.clone()));
        let keys = match key_cache(one) {
            Ok(keys) => keys,
            // What the options themselves do not show.
            Err(reason) if is_valid.get() => return Err(InvalidOptions { reason, issuer: index }),
            Err(_) => return Err(FORM),
        };
        let (Some(policy), true) = (policy, is_valid.get()) else { return Err(FORM) };
        verifier = Some(match verifier {
            None => Verifier::new(policy, keys),
            Some(verifier) => verifier.and_issuer(policy, keys),
        });
    }
    let (Some(mut verifier), true) = (verifier, is_valid.get()) else { return Err(FORM) };
    if let Some(entries) = cache_entries {
        verifier = verifier.cache_entries(entries as usize);
    }
    Ok(Judge { verifier, requirements, is_for_id_tokens })
}

/// `None` if it is invalid in itself.
fn policy(all: &Options<'_>, one: &Options<'_>, is_for_id_tokens: bool) -> Option<Policy<Any>> {
    // What an issuer of several does not say itself, the verifier says for all.
    let of = |name| if one.get(name).is_some() { one } else { all };
    let issuer = one.text("issuer").unwrap_or_default();
    let audience = of("audience").list("audience");
    let client_id = of("clientId").text("clientId");
    let algorithms: Option<Vec<Algorithm>> =
        of("algorithms").list("algorithms").iter().map(|name| Algorithm::from_name(name)).collect();
    let profile = match all.choice("profile", &["auto", "auth0", "rfc9068"]) {
        0 => Profile::Auto,
        1 => Profile::Auth0,
        _ => Profile::Rfc9068,
    };
    let (clients, nonce) = (all.list("clients"), all.text("nonce"));
    let mut policy: Policy<Any> = if is_for_id_tokens {
        all.check(all.get("profile").is_none() && clients.is_empty());
        let policy = Policy::id_token(issuer, client_id.unwrap_or_default(), &algorithms?).ok()?;
        let policy = audience.into_iter().fold(policy, Policy::trust_audience);
        match nonce {
            Some(nonce) => policy.nonce(nonce).into(),
            None => policy.into(),
        }
    } else {
        all.check(nonce.is_none());
        let policy = Policy::access_token(issuer, audience, &algorithms?).ok()?.profile(profile).clients(clients);
        match client_id {
            Some(client_id) => policy.login_client(client_id).into(),
            None => policy.into(),
        }
    };
    if let Some(seconds) = all.number("clockSkew", limits::MAX_CLOCK_SKEW_S) {
        policy = policy.clock_skew_s(seconds).ok()?;
    }
    if let Some(seconds) = all.number("maxTokenAge", u32::MAX) {
        policy = policy.max_age_s(seconds);
    }
    Some(all.list("requiredClaims").into_iter().fold(policy, Policy::require_claim))
}

fn key_cache(one: &Options<'_>) -> Result<KeyCache, Reason> {
    let issuer = one.text("issuer").unwrap_or_default();
    let source = match (one.get("jwks"), one.text("jwksUri")) {
        (Some(_), Some(_)) => return Err(Reason::Form),
        (Some(jwks), None) => {
            return match JwkSet::parse(jwks.as_str().unwrap_or_default().as_bytes()) {
                Ok(set) => Ok(KeyCache::fixed(issuer, set)),
                Err(InvalidJwkSet::TooLarge | InvalidJwkSet::TooManyKeys) => Err(Reason::KeySetTooLarge),
                Err(InvalidJwkSet::NoUsableKey) => Err(Reason::NoUsableKey),
                Err(_) => Err(Reason::NotAKeySet),
            };
        }
        (None, Some(uri)) => KeySource::Uri(uri),
        (None, None) => KeySource::Discovery,
    };
    if source.is_secure(&issuer) { Ok(KeyCache::new(issuer, source)) } else { Err(Reason::NotHttps) }
}

/// An object of options. What is wrong in it is noted and read as if it were absent: whoever reads looks at the note in
/// the end.
struct Options<'o> {
    object: Object<'o>,
    is_valid: &'o Cell<bool>,
}

impl<'o> Options<'o> {
    fn new(object: Object<'o>, known: &[&str], is_valid: &'o Cell<bool>) -> Self {
        let options = Self { object, is_valid };
        options.check(object.iter().all(|(name, _)| known.contains(&name)));
        options
    }

    /// Notes it if a condition does not hold.
    fn check(&self, holds: bool) {
        self.is_valid.set(self.is_valid.get() && holds);
    }

    fn get(&self, name: &str) -> Option<Value<'o>> {
        self.object.get(name)
    }

    /// A text that is not empty.
    fn text(&self, name: &str) -> Option<String> {
        let value = self.get(name)?;
        let text = value.as_str().unwrap_or_default();
        self.check(!text.is_empty());
        Some(text.into())
    }

    /// A list of texts, or one text; none of them empty. Empty if the option is absent.
    fn list(&self, name: &str) -> Vec<String> {
        let mut texts = Vec::new();
        match self.get(name) {
            None => {}
            Some(Value::Array(array)) => {
                texts.extend(array.iter().map(|value| String::from(value.as_str().unwrap_or_default())));
                self.check(!texts.is_empty());
            }
            Some(one) => texts.push(one.as_str().unwrap_or_default().into()),
        }
        self.check(!texts.iter().any(String::is_empty));
        texts
    }

    fn number(&self, name: &str, max: u32) -> Option<u32> {
        let number = match self.get(name)? {
            Value::Number(Number::Unsigned(number)) => u32::try_from(number).ok().filter(|number| *number <= max),
            _ => None,
        };
        self.check(number.is_some());
        number
    }

    /// Which of the choices it is; the first one if the option is absent.
    fn choice(&self, name: &str, choices: &[&str]) -> usize {
        let Some(value) = self.get(name) else { return 0 };
        let chosen = choices.iter().position(|choice| value.as_str() == Some(choice));
        self.check(chosen.is_some());
        chosen.unwrap_or(0)
    }

    fn requirements(&self) -> Requirements {
        let mut requirements = Requirements::default();
        requirements.scopes = self.list("scopes");
        self.check(!requirements.scopes.iter().any(|scope| scope.as_bytes().contains(&b' ')));
        requirements.permissions = self.list("permissions");
        requirements.organizations = self.list("organizations");
        if let Some(value) = self.get("roles") {
            let object = value.as_object();
            self.check(object.is_some());
            if let Some(object) = object {
                let roles = Options::new(object, &["claim", "all", "any"], self.is_valid);
                let (claim, all, any) = (roles.text("claim"), roles.list("all"), roles.list("any"));
                self.check(claim.is_some() && !(all.is_empty() && any.is_empty()));
                requirements.roles = claim.map(|claim| Roles { claim, all, any });
            }
        }
        requirements
    }
}
