//! Options in the normal form that `pkg/src/options.js` makes: that table holds the rules, this module only parses. Anything else is
//! refused.

use alloc::string::String;
use alloc::vec::Vec;

use edgeward::Verifier;
use edgeward::json::{Document, Number, Object, Value};
use edgeward::jwk::{InvalidJwkSet, JwkSet, KeyCache, KeySource};
use edgeward::jwt::{Algorithm, Any, Policy, Profile, Requirements, Roles};
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
        let keys = key_cache(issuer).map_err(|reason| InvalidOptions { reason, issuer: index })?;
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
    let audience = issuer.list("audience")?;
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
            let policy = Policy::access_token(name, audience, &algorithms).ok()?.profile(profile);
            let policy = policy.clients(options.list("clients")?);
            match client_id {
                Some(client_id) => policy.login_client(client_id).into(),
                None => policy.into(),
            }
        }
        Some("id") => {
            let policy = Policy::id_token(name, client_id?, &algorithms).ok()?;
            let policy = audience.into_iter().fold(policy, Policy::trust_audience);
            match options.text("nonce")? {
                Some(nonce) => policy.nonce(nonce).into(),
                None => policy.into(),
            }
        }
        Some(_) => return None,
    };
    if let Some(seconds) = options.number("clockSkew")? {
        policy = policy.clock_skew_s(seconds).ok()?;
    }
    if let Some(seconds) = options.number("maxTokenAge")? {
        policy = policy.max_age_s(seconds);
    }
    Some(options.list("requiredClaims")?.into_iter().fold(policy, Policy::require_claim))
}

fn key_cache(options: Options<'_>) -> Result<KeyCache, Reason> {
    let issuer = options.text("issuer").flatten().unwrap_or_default();
    if let Some(jwks) = options.str("jwks").ok_or(Reason::Form)? {
        return match JwkSet::parse(jwks.as_bytes()) {
            Ok(set) => Ok(KeyCache::fixed(issuer, set)),
            Err(InvalidJwkSet::TooLarge | InvalidJwkSet::TooManyKeys) => Err(Reason::KeySetTooLarge),
            Err(InvalidJwkSet::NoUsableKey) => Err(Reason::NoUsableKey),
            Err(_) => Err(Reason::NotAKeySet),
        };
    }
    let source = options.text("jwksUri").ok_or(Reason::Form)?.map_or(KeySource::Discovery, KeySource::Uri);
    if source.is_secure(&issuer) { Ok(KeyCache::new(issuer, source)) } else { Err(Reason::NotHttps) }
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
        requirements.scopes = self.list("scopes")?;
        requirements.permissions = self.list("permissions")?;
        requirements.organizations = self.list("organizations")?;
        if let Some(value) = self.0.get("roles") {
            let roles = Self(value.as_object()?);
            let (claim, all, any) = (roles.text("claim")??, roles.list("all")?, roles.list("any")?);
            requirements.roles = Some(Roles { claim, all, any });
        }
        Some(requirements)
    }
}
