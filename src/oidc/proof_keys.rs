//! The gateway as a DPoP client (RFC 9449): its tokens are bound to a key of its own, and each use of one has a proof of possession.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::host::random;
use super::{ClientKey, LoginHost};
use crate::base64url;
use crate::crypto::sha256;
use crate::host::{Level, SignError};
use crate::json::{Value, push_quoted};
use crate::jwt::{Claims, sign_with_header, unverified_claims};
use crate::limits;
use crate::shared::Shared;
use crate::text::{concat, signed_decimal};
use crate::url::without_query;

/// The keys that the client's tokens are bound to, and the nonces that servers want in proofs.
pub struct ProofKeys {
    /// The key of new tokens.
    current: ProofKey,
    /// Keys of tokens that were issued before.
    former: Vec<ProofKey>,
    /// The last nonce of each server (RFC 9449 §8.2), the latest at the end. Bounded.
    nonces: Shared<Vec<(String, String)>>,
}

/// A key that tokens are bound to.
#[derive(Debug)]
pub(crate) struct ProofKey {
    key: ClientKey,
    thumbprint: [u8; 32],
}

/// The first bytes of a thumbprint, which tell the keys of a client apart.
pub(crate) type ShortThumbprint = [u8; 8];

/// The key that a token of the client is bound to.
#[derive(Clone, Copy)]
pub(crate) enum TokenKey<'k> {
    /// None: a bearer token, of the time before the client had a key.
    None,
    /// One of the client.
    Own(&'k ProofKeys, &'k ProofKey),
    /// Another one, so that the token is of no use.
    Foreign,
}

impl ProofKey {
    fn new(key: ClientKey) -> Self {
        // The members of the public key have the form of the thumbprint (RFC 7638 §3).
        let thumbprint = sha256(key.key.public_jwk().as_bytes());
        Self { key, thumbprint }
    }

    /// Returns the thumbprint, in base64url.
    pub(crate) fn thumbprint(&self) -> String {
        base64url::encode(&self.thumbprint)
    }

    /// Returns the first bytes of the thumbprint.
    pub(crate) fn short_thumbprint(&self) -> Option<ShortThumbprint> {
        self.thumbprint.first_chunk().copied()
    }

    /// Returns whether a token that was requested with a proof of this key is bound to it, as far as it can be read.
    pub(crate) fn binds(&self, token: &str) -> bool {
        unverified_claims(token).is_none_or(|claims| stated_jkt(&claims).as_deref() == Some(&*self.thumbprint()))
    }
}

impl ProofKeys {
    /// Creates the keys of a client: new tokens are bound to the first. `None` if there are none.
    pub(crate) fn new(keys: Vec<ClientKey>) -> Option<Self> {
        let mut keys = keys.into_iter().map(ProofKey::new);
        Some(Self { current: keys.next()?, former: keys.collect(), nonces: Shared::default() })
    }

    /// Returns the key of new tokens.
    pub(crate) fn current(&self) -> &ProofKey {
        &self.current
    }

    fn all(&self) -> impl Iterator<Item = &ProofKey> {
        [&self.current].into_iter().chain(&self.former)
    }

    /// Returns all keys, with the algorithms of their proofs.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &ClientKey> {
        self.all().map(|key| &key.key)
    }

    /// Returns whether one of the keys has this thumbprint.
    pub(crate) fn has(&self, thumbprint: &[u8; 32]) -> bool {
        self.all().any(|key| key.thumbprint == *thumbprint)
    }

    /// Returns a new proof for one request (RFC 9449 §4.2), and the nonce in it. `server` is that whose nonce it has, if it has sent one. `token` is the access token
    /// of the request. A failure is logged.
    pub(crate) async fn proof(
        &self,
        key: &ProofKey,
        (method, url, server): (&str, &str, &str),
        token: Option<&str>,
        host: &impl LoginHost,
    ) -> Result<(String, Option<String>), SignError> {
        let ClientKey { key, algorithm } = &key.key;
        let header = concat(&[r#"{"alg":""#, algorithm.name(), r#"","typ":"dpop+jwt","jwk":"#, key.public_jwk(), "}"]);
        let jti = base64url::encode(&random::<{ limits::TOKEN_ID_BYTES }>(host));
        let mut claims = concat(&[r#"{"jti":""#, &jti, r#"","iat":"#, &signed_decimal(host.now().secs())]);
        let nonce = self.nonces.with(|nonces| Some(nonces.iter().find(|(one, _)| one == server)?.1.clone()));
        let hash = token.map(|token| base64url::encode(&sha256(token.as_bytes())));
        let required = [("htm", Some(method)), ("htu", Some(without_query(url)))];
        for (name, value) in required.into_iter().chain([("ath", hash.as_deref()), ("nonce", nonce.as_deref())]) {
            if let Some(value) = value {
                claims.push_str(&concat(&[",\"", name, "\":"]));
                push_quoted(&mut claims, value);
            }
        }
        claims.push('}');
        let proof = sign_with_header(key, *algorithm, &header, &claims, host).await;
        if let Err(error) = &proof {
            host.log(Level::Error, &format_args!("signing_failed: {error} (authorizer.dpop_key)"));
        }
        proof.map(|proof| (proof, nonce))
    }

    /// Remembers the nonce of a response. Returns whether the request should be sent once more: the server wants a nonce (`wants_nonce`), and
    /// another one than that of the proof, `sent`.
    pub(crate) fn renews(&self, server: &str, sent: Option<&str>, nonce: Option<&str>, wants_nonce: bool) -> bool {
        self.remember(server, nonce) && wants_nonce && nonce != sent
    }

    /// Remembers the nonce that a server has sent, for the next proof (RFC 9449 §8.2). Returns whether it has sent one.
    fn remember(&self, server: &str, nonce: Option<&str>) -> bool {
        // RFC 9449 §8.1: visible characters.
        let is_nonce = |nonce: &&str| {
            (1..=limits::MAX_SERVER_NONCE_BYTES).contains(&nonce.len())
                && nonce.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let Some(nonce) = nonce.filter(is_nonce) else { return false };
        self.nonces.with(|nonces| {
            nonces.retain(|(one, _)| one != server);
            if nonces.len() >= limits::MAX_SERVER_NONCES {
                nonces.remove(0);
            }
            nonces.push((server.into(), nonce.into()));
        });
        true
    }
}

/// Returns whether a challenge of a resource server wants a nonce in the proof (RFC 9449 §9): `DPoP error="use_dpop_nonce"`.
pub(crate) fn wants_nonce(status: u16, challenge: Option<&str>) -> bool {
    let mut rest = challenge.filter(|_| status == 401).unwrap_or_default();
    while let Some((before, after)) = rest.split_once("use_dpop_nonce") {
        let name =
            before.strip_suffix('"').unwrap_or(before).trim_end().strip_suffix('=').unwrap_or_default().trim_end();
        let from = name.rfind([' ', '\t', ',']).map_or(0, |at| at + 1);
        let is_whole = !after.starts_with(|next: char| next.is_ascii_alphanumeric() || matches!(next, '_' | '-' | '.'));
        if is_whole && name.get(from..).is_some_and(|name| name.eq_ignore_ascii_case("error")) {
            return true;
        }
        rest = after;
    }
    false
}

impl<'k> TokenKey<'k> {
    /// Returns the key of a token of the client, which has these keys. `jkt` is the thumbprint of the key that it was requested with; without it,
    /// that in the token counts.
    pub(crate) fn of(keys: Option<&'k ProofKeys>, token: &str, jkt: Option<&str>) -> Self {
        match jkt.map(String::from).or_else(|| stated_jkt(&unverified_claims(token)?)) {
            Some(jkt) => Self::find(keys, |key| key.thumbprint() == jkt),
            None => Self::None,
        }
    }

    /// Returns the key that the code of a login is bound to (RFC 9449 §10).
    pub(crate) fn of_login(keys: Option<&'k ProofKeys>, short: Option<ShortThumbprint>) -> Self {
        if short.is_some() { Self::find(keys, |key| key.short_thumbprint() == short) } else { Self::None }
    }

    fn find(keys: Option<&'k ProofKeys>, is_it: impl Fn(&ProofKey) -> bool) -> Self {
        let found = keys.and_then(|keys| Some((keys, keys.all().find(|key| is_it(key))?)));
        found.map_or(Self::Foreign, |(keys, key)| Self::Own(keys, key))
    }
}

/// Returns the thumbprint in the claim `cnf` of a token (RFC 9449 §6.1); an empty one if it is no text.
fn stated_jkt(claims: &Claims) -> Option<String> {
    let jkt = claims.get("cnf").and_then(Value::as_object)?.get("jkt")?;
    Some(jkt.as_str().unwrap_or_default().into())
}

/// The log line about a token whose key the client does not have.
pub(crate) const KEY_MISSING: &str = "dpop_key_missing: the access token of a session is bound to a key that authorizer.dpop_key does not have; \
                                      it is not sent";

impl fmt::Debug for ProofKeys {
    /// Omits the nonces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofKeys").field("current", &self.current).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use super::{ClientKey, ProofKeys, wants_nonce};
    use crate::jwk::SigningKey;
    use crate::limits;

    const KEY: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}"#;

    fn keys() -> ProofKeys {
        let key = SigningKey::parse(KEY).unwrap();
        let algorithm = key.algorithms()[0];
        ProofKeys::new(Vec::from([ClientKey { key, algorithm }])).unwrap()
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_8037_appendix_a_3() {
        assert_eq!(keys().current().thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn the_nonces_of_the_latest_servers_are_remembered() {
        let keys = keys();
        for number in 0..=limits::MAX_SERVER_NONCES {
            assert!(keys.remember(&number.to_string(), Some(&format!("nonce-{number}"))));
            assert!(keys.remember("1", Some("of-1")), "one that is used stays");
        }
        let held = keys.nonces.with(|nonces| nonces.clone());
        assert_eq!(held.len(), limits::MAX_SERVER_NONCES);
        let has = |server: &str, nonce: &str| held.iter().any(|(one, held)| one == server && held == nonce);
        assert!(!has("0", "nonce-0") && has("1", "of-1") && has("64", "nonce-64"));
        assert!(!format!("{keys:?}").contains("nonce-64"));
    }

    #[test]
    fn a_challenge_wants_a_nonce_if_its_error_says_so() {
        for challenge in [
            r#"DPoP error="use_dpop_nonce""#,
            r#"DPoP realm="a", Error = "use_dpop_nonce", error_description="use_dpop_nonce""#,
            r#"Bearer error="invalid_token", DPoP error=use_dpop_nonce, algs="ES256""#,
        ] {
            assert!(wants_nonce(401, Some(challenge)), "{challenge}");
            assert!(!wants_nonce(400, Some(challenge)) && !wants_nonce(200, Some(challenge)));
        }
        for challenge in [
            "",
            "DPoP",
            "use_dpop_nonce",
            r#"DPoP error="invalid_token""#,
            r#"DPoP error="use_dpop_nonce_2""#,
            r#"DPoP error="no_use_dpop_nonce""#,
            r#"DPoP error="invalid_token", error_description="use_dpop_nonce""#,
            r#"DPoP x_error="use_dpop_nonce""#,
        ] {
            assert!(!wants_nonce(401, Some(challenge)), "{challenge}");
        }
        assert!(!wants_nonce(401, None));
    }

    #[test]
    fn a_nonce_has_at_most_512_visible_characters() {
        let (keys, longest) = (keys(), "n".repeat(limits::MAX_SERVER_NONCE_BYTES));
        assert!(keys.remember("a", Some(&longest)));
        for nonce in [format!("{longest}n").as_str(), "", "a b", "a\n", "é"] {
            assert!(!keys.remember("a", Some(nonce)));
        }
        assert!(!keys.remember("a", None));
    }
}
