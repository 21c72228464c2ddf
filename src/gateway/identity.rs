//! Identity tokens for origins: short-lived JWTs that say who calls, signed by the gateway. An origin verifies them with the keys of a
//! route, and need not trust the network in between.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Caller, Gateway};
use crate::algorithm::Algorithm;
use crate::base64url;
use crate::crypto::sha256;
use crate::host::{Level, SignError};
use crate::http::{PRIVATE, Reply};
use crate::io::UnixTime;
use crate::json::{Value, push_quoted, quote};
use crate::jwk::SigningKey;
use crate::jwt::{Audience, ClaimPath, Claims, sign_jwt};
use crate::limits;
use crate::oidc::{LoginHost, random};
use crate::session::Session;
use crate::shared::Shared;
use crate::text::{concat, decimal, signed_decimal};
use crate::text_cache::TextCache;

/// The issuer of identity tokens.
#[derive(Debug)]
pub(super) struct IdentityTokens {
    pub(super) settings: IdentitySettings,
    /// The claim with the caller's roles.
    roles_claim: Option<ClaimPath>,
    issued: Shared<IssuedTokens>,
}

/// What identity tokens state, and how they are sent.
#[derive(Debug, Clone)]
pub(super) struct IdentitySettings {
    pub(super) issuer: String,
    pub(super) audience: String,
    /// The first signs; all are published.
    pub(super) keys: Vec<SigningKey>,
    pub(super) ttl_s: u32,
    pub(super) header: String,
}

/// Issued tokens by their callers.
struct IssuedTokens(TextCache<Issued>);

#[derive(Clone)]
struct Issued {
    token: String,
    from: UnixTime,
    until: UnixTime,
}

impl core::fmt::Debug for IssuedTokens {
    /// Shows no token.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("IssuedTokens").finish_non_exhaustive()
    }
}

/// The algorithms of identity tokens, the preferred one first.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::Es256, Algorithm::Rs256];

/// Returns the algorithm of a key; `None` if identity tokens are not signed with such keys.
pub(super) fn algorithm_of(key: &SigningKey) -> Option<Algorithm> {
    ALGORITHMS.into_iter().find(|one| key.algorithms().contains(one))
}

/// Claims that are passed on as they are.
const COPIED: [&str; 6] = ["permissions", "org_id", "org_name", "sid", "acr", "auth_time"];

impl IdentityTokens {
    pub(super) fn new(settings: IdentitySettings, roles_claim: Option<ClaimPath>) -> Self {
        let issued = TextCache::new(limits::IDENTITY_TOKEN_CACHE_ENTRIES, limits::IDENTITY_TOKEN_KEY_BYTES);
        Self { settings, roles_claim, issued: Shared::new(IssuedTokens(issued)) }
    }

    /// Returns the token of a caller: one that was issued not long ago, or a new one.
    async fn token(
        &self,
        caller: &Claims,
        session: Option<&Session>,
        roles_claim: Option<&ClaimPath>,
        host: &impl LoginHost,
    ) -> Result<String, SignError> {
        let (now, kind) = (host.now(), if session.is_some() { "session" } else { "bearer" });
        let granted_until_s = match session {
            Some(session) => session.rights_until_s(now),
            None => match caller.get("exp") {
                Some(Value::Number(exp)) => Some(exp.as_f64() as i64),
                _ => None,
            },
        };
        // All that the token depends on, but for the time.
        let limit = granted_until_s.map(signed_decimal).unwrap_or_default();
        let key = base64url::encode(&sha256(concat(&[kind, &limit, caller.as_json()]).as_bytes()));
        let is_fresh = |issued: &&Issued| (issued.from..issued.until).contains(&now);
        if let Some(issued) = self.issued.with(|cache| cache.0.find(&key).filter(is_fresh).cloned()) {
            return Ok(issued.token);
        }
        let IdentitySettings { keys, ttl_s, .. } = &self.settings;
        let Some((signing, algorithm)) = keys.first().and_then(|key| Some((key, algorithm_of(key)?))) else {
            return Err(SignError::KeyRefused);
        };
        let (iat, ttl_s) = (now.secs(), i64::from(*ttl_s));
        let mut exp = iat.saturating_add(ttl_s);
        if let Some(until_s) = granted_until_s {
            // It does not outlive the token that grants what it states, but for the tolerated difference between clocks.
            exp = exp.min(until_s.max(iat.saturating_add(1)));
        }
        let claims = self.claims(caller, kind, roles_claim, [iat, exp], &base64url::encode(&random::<16>(host)));
        let token = sign_jwt(signing, algorithm, "JWT", &claims, host).await?;
        let until = UnixTime::from_secs(exp.min(iat.saturating_add(ttl_s / 2)));
        let issued = Issued { token: token.clone(), from: UnixTime::from_secs(iat), until };
        self.issued.with(|cache| cache.0.insert(&key, issued));
        Ok(token)
    }

    /// Returns the claims of a token as a JSON object.
    fn claims(
        &self,
        caller: &Claims,
        kind: &str,
        roles_claim: Option<&ClaimPath>,
        [iat, exp]: [i64; 2],
        jti: &str,
    ) -> String {
        let mut json = String::from("{");
        let mut put = |name: &str, value: &str| {
            json.push_str(if json.len() > 1 { "," } else { "" });
            push_quoted(&mut json, name);
            json.push(':');
            json.push_str(value);
        };
        put("iss", &quote(&self.settings.issuer));
        put("aud", &quote(&self.settings.audience));
        put("iat", &signed_decimal(iat));
        put("exp", &signed_decimal(exp));
        put("jti", &quote(jti));
        put("auth", &quote(kind));
        // Subjects are unique at their issuer only.
        for (name, value) in [("sub", caller.subject()), ("idp", caller.issuer()), ("client_id", caller.client_id())] {
            value.into_iter().for_each(|value| put(name, &quote(value)));
        }
        let scopes: Vec<&str> = caller.scopes().collect();
        if !scopes.is_empty() {
            put("scope", &quote(&scopes.join(" ")));
        }
        for name in COPIED {
            let value = caller.get(name).filter(|value| !matches!(value, Value::Null));
            value.into_iter().for_each(|value| put(name, &value.to_json()));
        }
        if let Some(roles) = roles_claim.or(self.roles_claim.as_ref()).and_then(|claim| claim.find(caller)) {
            put("roles", &roles_of(roles));
        }
        json.push('}');
        json
    }

    /// Returns the public keys (RFC 7517 §5). `is_public`: every cache may store them.
    fn key_set(&self, is_public: bool) -> Reply {
        let keys = self.settings.keys.iter().filter_map(|key| Some(key.published_jwk(algorithm_of(key)?)));
        let body = concat(&[r#"{"keys":["#, &keys.collect::<Vec<_>>().join(","), "]}"]);
        let caching = concat(&["public, max-age=", &decimal(limits::PUBLISHED_KEYS_MAX_AGE_S.into())]);
        Reply { body, ..Reply::new(200) }
            .with("content-type", "application/jwk-set+json")
            .with("cache-control", if is_public { &caching } else { PRIVATE })
    }
}

/// Returns the roles as a JSON array, whatever form the claim has.
fn roles_of(claim: Value<'_>) -> String {
    let mut roles: Vec<String> = Vec::new();
    match claim {
        Value::Object(object) => roles.extend(
            object
                .iter()
                .filter(|(_, value)| !matches!(value, Value::Null | Value::Bool(false)))
                .map(|(name, _)| quote(name)),
        ),
        claim => roles.extend(Audience::from_value(claim).unwrap_or_default().iter().map(quote)),
    }
    concat(&["[", &roles.join(","), "]"])
}

impl Gateway {
    /// Returns the header with the identity token of a caller; `None` if there are none.
    ///
    /// # Errors
    /// The response if the token cannot be signed: without it, the origin would take the request for another's.
    pub(super) async fn identity_header(
        &self,
        caller: Option<Caller<'_>>,
        session: Option<&Session>,
        host: &impl LoginHost,
    ) -> Result<Option<(String, String)>, Reply> {
        let (Some(identity), Some(Caller { claims, .. })) = (&self.identity, caller) else { return Ok(None) };
        let roles_claim = claims.issuer().and_then(|issuer| self.roles_claim_of(issuer));
        match identity.token(claims, session, roles_claim, host).await {
            Ok(token) => Ok(Some((identity.settings.header.to_ascii_lowercase(), token))),
            Err(error) => {
                host.log(
                    Level::Error,
                    &format_args!("identity_unavailable: {error}: check identity_token.private_key"),
                );
                Err(Reply::problem(503, "identity_unavailable", "The gateway cannot sign the identity for the origin."))
            }
        }
    }

    /// Returns the public keys of identity tokens.
    pub(super) fn published_keys(&self, is_public: bool) -> Reply {
        match &self.identity {
            Some(identity) => identity.key_set(is_public),
            // Unreachable: a configuration with such a route and no keys is refused.
            None => Reply::problem(503, "config_invalid", "There are no keys to publish."),
        }
    }
}
