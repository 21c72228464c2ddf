//! The options of a verifier, from the JSON text that JavaScript makes of them. An option that is there must be right:
//! `null`, which JavaScript's `undefined` becomes on the way, is not taken for absence.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use edgeward::Verifier;
use edgeward::json::{Document, Number, Object, Value};
use edgeward::jwk::{InvalidJwkSet, JwkSet, KeyCache, KeySource};
use edgeward::jwt::{Algorithm, Demands, InvalidPolicy, Policy, Profile, Roles};
use edgeward::limits;

use crate::Entry;

/// An option that cannot be used.
pub(crate) struct InvalidOption {
    /// Its name; empty if the options as a whole are meant.
    pub(crate) option: String,
    /// What is wrong, to be read after the name.
    pub(crate) reason: String,
}

/// What one call demands beyond what the verifier always does.
#[derive(Default)]
pub(crate) struct PerCall {
    pub(crate) demands: Demands,
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

type Result<T> = core::result::Result<T, InvalidOption>;

fn invalid<T>(option: impl Into<String>, reason: impl Into<String>) -> Result<T> {
    Err(InvalidOption { option: option.into(), reason: reason.into() })
}

fn parse(text: &[u8]) -> Result<Document> {
    match Document::parse(text.to_vec(), limits::MAX_CLAIMS_DEPTH) {
        Ok(document) => Ok(document),
        Err(_) => invalid("", "the options must be an object of plain values and well-formed text"),
    }
}

pub(crate) fn read_per_call(text: &[u8], is_for_id_tokens: bool) -> Result<PerCall> {
    let document = parse(text)?;
    let options = Options::new(document.root(), "", PER_CALL_OPTIONS)?;
    let per_call = PerCall {
        demands: {
            let mut demands = options.demands()?;
            demands.audience = options.list("audience")?.unwrap_or_default();
            demands
        },
        nonce: options.text("nonce")?,
        access_token: options.text("accessToken")?,
    };
    for name in ["nonce", "accessToken"] {
        if !is_for_id_tokens && options.get(name).is_some() {
            return invalid(name, r#"is for verifiers of ID tokens (kind: "id")"#);
        }
    }
    Ok(per_call)
}

pub(crate) fn read(text: &[u8]) -> Result<Entry> {
    let document = parse(text)?;
    let all = Options::new(document.root(), "", OPTIONS)?;
    let is_for_id_tokens = all.choice("kind", &[("access", false), ("id", true)])?.unwrap_or(false);
    let demands = all.demands()?;
    let build = |one: &Options<'_>| -> Result<(Policy, KeyCache)> {
        let policy = policy(&all, one, is_for_id_tokens)?.demand(demands.clone());
        Ok((policy, key_cache(one)?))
    };
    let verifier = match all.get("issuers") {
        None => {
            let (policy, keys) = build(&all)?;
            Verifier::new(policy, keys)
        }
        Some(Value::Array(issuers)) => {
            for name in ["issuer", "jwks", "jwksUri"] {
                if all.get(name).is_some() {
                    return invalid(name, "cannot stand beside issuers: give it to each of them");
                }
            }
            let mut seen: Vec<String> = Vec::new();
            let mut verifier: Option<Verifier> = None;
            for (index, value) in issuers.iter().enumerate() {
                let prefix = format!("issuers[{index}]");
                let Some(object) = value.as_object() else { return invalid(prefix, "must be an object") };
                let one = Options::new(object, &format!("{prefix}."), ISSUER_OPTIONS)?;
                let (policy, keys) = build(&one)?;
                if seen.iter().any(|other| other == policy.issuer()) {
                    return invalid(one.name("issuer"), "is there twice");
                }
                seen.push(policy.issuer().into());
                verifier = Some(match verifier {
                    None => Verifier::new(policy, keys),
                    Some(verifier) => verifier.and_issuer(policy, keys),
                });
            }
            let Some(verifier) = verifier else { return invalid("issuers", "must not be empty") };
            verifier
        }
        Some(_) => return invalid("issuers", "must be a list of objects"),
    };
    let verifier = match all.number("cacheSize", 65_536)? {
        Some(entries) => verifier.cache_entries(entries as usize),
        None => verifier,
    };
    Ok(Entry { verifier, demands, is_for_id_tokens })
}

fn policy(all: &Options<'_>, one: &Options<'_>, is_for_id_tokens: bool) -> Result<Policy> {
    let Some(issuer) = one.text("issuer")? else { return invalid(one.name("issuer"), "is missing") };
    // What an issuer of several does not say itself, the verifier says for all.
    let audience = match one.list("audience")? {
        None => all.list("audience")?,
        given => given,
    };
    let algorithms = algorithms(if one.get("algorithms").is_some() { one } else { all })?;
    let client_id = match one.text("clientId")? {
        None => all.text("clientId")?,
        given => given,
    };
    let mut policy = if is_for_id_tokens {
        for name in ["profile", "clients"] {
            if all.get(name).is_some() {
                return invalid(name, "is for access tokens");
            }
        }
        let Some(client_id) = client_id else {
            return invalid("clientId", r#"is missing: it is the audience of ID tokens (kind: "id")"#);
        };
        let policy = Policy::id_token(issuer, client_id, &algorithms).or_else(|reason| invalid_policy(one, reason))?;
        audience.unwrap_or_default().into_iter().fold(policy, Policy::trust_audience)
    } else {
        if all.get("nonce").is_some() {
            return invalid("nonce", r#"is for ID tokens (kind: "id")"#);
        }
        let Some(audience) = audience else { return invalid(one.name("audience"), "is missing") };
        let profiles = [("auto", Profile::Auto), ("auth0", Profile::Auth0), ("rfc9068", Profile::Rfc9068)];
        let policy = Policy::access_token(issuer, audience, &algorithms)
            .or_else(|reason| invalid_policy(one, reason))?
            .profile(all.choice("profile", &profiles)?.unwrap_or_default())
            .clients(all.list("clients")?.unwrap_or_default());
        match client_id {
            Some(client_id) => policy.login_client(client_id),
            None => policy,
        }
    };
    if let Some(nonce) = all.text("nonce")? {
        policy = policy.nonce(nonce);
    }
    if let Some(seconds) = all.number("clockSkew", u32::MAX)? {
        policy = policy.clock_skew_s(seconds).or_else(|reason| invalid_policy(one, reason))?;
    }
    if let Some(seconds) = all.number("maxTokenAge", u32::MAX)? {
        policy = policy.max_age_s(seconds);
    }
    Ok(all.list("requiredClaims")?.unwrap_or_default().into_iter().fold(policy, Policy::require_claim))
}

fn invalid_policy<T>(one: &Options<'_>, reason: InvalidPolicy) -> Result<T> {
    match reason {
        InvalidPolicy::NoIssuer => invalid(one.name("issuer"), "must not be empty"),
        InvalidPolicy::NoAudience => invalid(one.name("audience"), "must be at least one non-empty text"),
        InvalidPolicy::NoAlgorithms => invalid(one.name("algorithms"), "must name at least one algorithm"),
        InvalidPolicy::ClockSkewTooLarge => {
            invalid("clockSkew", format!("must be at most {} seconds", limits::MAX_CLOCK_SKEW_S))
        }
        other => invalid("", other.to_string()),
    }
}

fn algorithms(options: &Options<'_>) -> Result<Vec<Algorithm>> {
    let Some(names) = options.list("algorithms")? else {
        return invalid(options.name("algorithms"), r#"is missing: ["RS256"] is what most providers sign with"#);
    };
    let known = |name: String| {
        Algorithm::from_name(&name).map_or_else(
            || {
                let all = Algorithm::ALL.map(Algorithm::name).join(", ");
                invalid(options.name("algorithms"), format!("has a value that is none of {all}"))
            },
            Ok,
        )
    };
    names.into_iter().map(known).collect()
}

fn key_cache(one: &Options<'_>) -> Result<KeyCache> {
    let issuer = one.text("issuer")?.unwrap_or_default();
    let source = match (one.get("jwks"), one.text("jwksUri")?) {
        (Some(_), Some(_)) => return invalid(one.name("jwks"), "and jwksUri exclude each other"),
        (Some(jwks), None) => {
            let reason = match JwkSet::parse(jwks.as_str().unwrap_or_default().as_bytes()) {
                Ok(set) => return Ok(KeyCache::fixed(issuer, set)),
                Err(InvalidJwkSet::TooLarge | InvalidJwkSet::TooManyKeys) => "is too large",
                Err(InvalidJwkSet::NoUsableKey) => "has no key that can verify a signature",
                Err(_) => "must be a JSON Web Key Set: an object with the array keys",
            };
            return invalid(one.name("jwks"), reason);
        }
        (None, Some(uri)) => KeySource::Uri(uri),
        (None, None) => KeySource::Discovery,
    };
    if source.is_secure(&issuer) {
        return Ok(KeyCache::new(issuer, source));
    }
    let option = if source == KeySource::Discovery { "issuer" } else { "jwksUri" };
    invalid(one.name(option), "must be an https URL (http is for this machine only)")
}

/// An object of options, and where it stands.
struct Options<'o> {
    object: Object<'o>,
    prefix: String,
}

impl<'o> Options<'o> {
    fn new(object: Object<'o>, prefix: &str, known: &[&str]) -> Result<Self> {
        match object.iter().find(|(name, _)| !known.contains(name)) {
            Some((unknown, _)) => invalid(format!("{prefix}{unknown}"), "is not an option"),
            None => Ok(Self { object, prefix: prefix.into() }),
        }
    }

    fn get(&self, name: &str) -> Option<Value<'o>> {
        self.object.get(name)
    }

    /// The option's name as the caller knows it.
    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.into())),
            Some(Value::String(_)) => invalid(self.name(name), "must not be empty"),
            Some(_) => invalid(self.name(name), "must be text"),
        }
    }

    /// A list of texts, or one text.
    fn list(&self, name: &str) -> Result<Option<Vec<String>>> {
        let texts: Vec<String> = match self.get(name) {
            None => return Ok(None),
            Some(Value::String(one)) => Vec::from([one.into()]),
            Some(Value::Array(list)) => match list.strings() {
                Some(texts) => texts.map(Into::into).collect(),
                None => return invalid(self.name(name), "must be a list of texts"),
            },
            Some(_) => return invalid(self.name(name), "must be text or a list of texts"),
        };
        match texts.as_slice() {
            [] => invalid(self.name(name), "must not be empty"),
            texts if texts.iter().any(String::is_empty) => invalid(self.name(name), "must not hold empty text"),
            _ => Ok(Some(texts)),
        }
    }

    fn number(&self, name: &str, max: u32) -> Result<Option<u32>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(Number::Unsigned(number))) if number <= u64::from(max) => {
                Ok(Some(u32::try_from(number).unwrap_or(max)))
            }
            Some(_) => invalid(self.name(name), format!("must be a whole number from 0 to {max}")),
        }
    }

    fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match choices.iter().find(|(one, _)| *one == text) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let names: Vec<&str> = choices.iter().map(|(one, _)| *one).collect();
                invalid(self.name(name), format!("must be one of {}", names.join(", ")))
            }
        }
    }

    fn demands(&self) -> Result<Demands> {
        let mut demands = Demands::default();
        demands.scopes = self.list("scopes")?.unwrap_or_default();
        if demands.scopes.iter().any(|scope| scope.contains(' ')) {
            return invalid(self.name("scopes"), "must be one scope each, without spaces");
        }
        demands.permissions = self.list("permissions")?.unwrap_or_default();
        demands.organizations = self.list("organizations")?.unwrap_or_default();
        if let Some(value) = self.get("roles") {
            let Some(object) = value.as_object() else { return invalid(self.name("roles"), "must be an object") };
            let roles = Options::new(object, &self.name("roles."), &["claim", "all", "any"])?;
            let Some(claim) = roles.text("claim")? else { return invalid(roles.name("claim"), "is missing") };
            let (all, any) = (roles.list("all")?, roles.list("any")?);
            if all.is_none() && any.is_none() {
                return invalid(self.name("roles"), "must have all or any");
            }
            demands.roles = Some(Roles { claim, all: all.unwrap_or_default(), any: any.unwrap_or_default() });
        }
        Ok(demands)
    }
}
