//! Shared by the native tests and the fuzz drivers: keys, a token builder, and a deterministic random generator.

#![allow(
    missing_docs,
    clippy::len_without_is_empty,
    clippy::new_without_default,
    clippy::should_implement_trait,
    reason = "for the tests, no API"
)]
// The core's unit tests include this file as a module.
#![allow(dead_code, unreachable_pub, reason = "they use a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]

// The core has no prelude of std.
use std::borrow::ToOwned as _;
use std::string::{String, ToString as _};
use std::vec::Vec;

#[cfg(feature = "gateway")]
pub mod browser;
#[cfg(feature = "gateway")]
pub mod coordinator;
#[cfg(feature = "unicode")]
pub mod deployment;
pub mod fixed_host;
#[cfg(feature = "gateway")]
mod fixed_login;
pub mod host;
#[cfg(feature = "gateway")]
pub mod proofs;
#[cfg(feature = "gateway")]
pub mod provider;
#[cfg(feature = "gateway")]
pub mod signed;
pub mod toy;
pub mod world;

pub mod vectors;

use std::sync::OnceLock;

use edgeward::base64url;
use edgeward::error::{Mismatch, VerifyError};
use edgeward::io::UnixTime;
use edgeward::jwk::{JwkSet, KeyCache, KeysError};
use edgeward::jwt::{Access, Algorithm, Id, Policy, VerifiedToken};
use edgeward::rsa::{Hash, Scheme};
use edgeward::testing::SigningKey;
use edgeward::{VerificationError, Verifier};
use fixed_host::{FixedHost, at_once};
use rsa::BigUint;
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

pub const ISSUER: &str = "https://tenant.example.com/";
pub const AUDIENCE: &str = "https://api.example.com";
pub const CLIENT: &str = "client-1";
pub const NONCE: &str = "nonce-1";

/// The time at which the built tokens are valid, in seconds.
pub const NOW: i64 = 1_800_000_000;

pub fn now() -> UnixTime {
    UnixTime::from_secs(NOW)
}

/// A private key for test tokens.
pub struct TestKey {
    pub kid: &'static str,
    signer: SigningKey,
}

macro_rules! test_keys {
    ($($name:ident = $file:literal;)*) => {$(
        pub fn $name() -> &'static TestKey {
            static KEY: OnceLock<TestKey> = OnceLock::new();
            KEY.get_or_init(|| {
                let pem = include_str!(concat!("../keys/", $file, ".pem"));
                TestKey { kid: $file, signer: SigningKey::from_pem($file, pem) }
            })
        }
    )*};
}

test_keys! {
    key_a = "rsa2048-a";
    key_b = "rsa2048-b";
    key_c = "rsa2048-c";
    key_e3 = "rsa2048-e3";
    key_1024 = "rsa1024";
    key_3072 = "rsa3072";
    key_4096 = "rsa4096";
    key_8192 = "rsa8192";
}

impl TestKey {
    pub fn private(&self) -> &rsa::RsaPrivateKey {
        self.signer.private()
    }

    pub fn n(&self) -> Vec<u8> {
        self.private().n().to_bytes_be()
    }

    pub fn e(&self) -> Vec<u8> {
        self.private().e().to_bytes_be()
    }

    /// Returns the public key as a JWK without `use` and `alg`.
    pub fn jwk(&self) -> Value {
        json!({"kty": "RSA", "kid": self.kid, "n": base64url::encode(&self.n()), "e": base64url::encode(&self.e())})
    }

    /// Returns the private key as a JWK.
    pub fn private_jwk(&self) -> Value {
        let mut jwk = self.jwk();
        jwk["d"] = base64url::encode(&self.private().d().to_bytes_be()).into();
        jwk
    }

    /// Returns a set with this key only.
    pub fn set(&self) -> JwkSet {
        set([self.jwk()])
    }

    /// Computes RSASP1 (RFC 8017 §5.2.1) on any encoded message.
    pub fn raw(&self, encoded: &[u8]) -> Vec<u8> {
        let no_blinding: Option<&mut NoRandomness> = None;
        let number = rsa::hazmat::rsa_decrypt(no_blinding, self.private(), &BigUint::from_bytes_be(encoded)).unwrap();
        left_pad(&number.to_bytes_be(), self.private().size())
    }

    pub fn sign(&self, scheme: Scheme, message: &[u8]) -> Vec<u8> {
        self.signer.sign(scheme, message)
    }

    pub fn sign_pss_with_salt(&self, hash: Hash, message: &[u8], salt: &[u8]) -> Vec<u8> {
        self.raw(&pss_encode(hash, hash, message, salt, self.private().n().bits() - 1))
    }
}

/// A fixed generator: signing without blinding, because these keys are public.
pub enum NoRandomness {}

impl rsa::rand_core::RngCore for NoRandomness {
    fn next_u32(&mut self) -> u32 {
        match *self {}
    }
    fn next_u64(&mut self) -> u64 {
        match *self {}
    }
    fn fill_bytes(&mut self, _: &mut [u8]) {
        match *self {}
    }
    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        match *self {}
    }
}

impl rsa::rand_core::CryptoRng for NoRandomness {}

pub fn left_pad(bytes: &[u8], len: usize) -> Vec<u8> {
    let mut padded = vec![0; len - bytes.len()];
    padded.extend(bytes);
    padded
}

pub fn digest(hash: Hash, message: &[u8]) -> Vec<u8> {
    match hash {
        Hash::Sha256 => Sha256::digest(message).to_vec(),
        Hash::Sha384 => Sha384::digest(message).to_vec(),
        Hash::Sha512 => Sha512::digest(message).to_vec(),
    }
}

/// EMSA-PKCS1-v1_5 (RFC 8017 §9.2).
pub fn pkcs1v15_encode(hash: Hash, message: &[u8], len: usize) -> Vec<u8> {
    let info: &[u8] = match hash {
        Hash::Sha256 => &[0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20],
        Hash::Sha384 => &[0x30, 0x41, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2, 5, 0, 4, 0x30],
        Hash::Sha512 => &[0x30, 0x51, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3, 5, 0, 4, 0x40],
    };
    let digest = digest(hash, message);
    let mut encoded = vec![0, 1];
    encoded.resize(len - 1 - info.len() - digest.len(), 0xff);
    encoded.push(0);
    encoded.extend(info);
    encoded.extend(digest);
    encoded
}

/// EMSA-PSS (RFC 8017 §9.1.1), with any salt and any hash for MGF1.
pub fn pss_encode(hash: Hash, mgf_hash: Hash, message: &[u8], salt: &[u8], em_bits: usize) -> Vec<u8> {
    let em_len = em_bits.div_ceil(8);
    let h = digest(hash, &[&[0; 8], digest(hash, message).as_slice(), salt].concat());
    let mut db = vec![0; em_len - h.len() - 1 - salt.len() - 1];
    db.push(1);
    db.extend(salt);
    let mask = (0u32..).flat_map(|counter| digest(mgf_hash, &[h.as_slice(), &counter.to_be_bytes()].concat()));
    db.iter_mut().zip(mask).for_each(|(octet, mask)| *octet ^= mask);
    db[0] &= 0xff >> (8 * em_len - em_bits);
    [db, h, vec![0xbc]].concat()
}

/// HMAC-SHA256 (RFC 2104), for attacks that use a public key as a shared secret.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = if key.len() > 64 { Sha256::digest(key).to_vec() } else { key.to_vec() };
    block.resize(64, 0);
    let pad = |byte: u8| block.iter().map(move |key| key ^ byte).collect::<Vec<u8>>();
    let inner = Sha256::digest([pad(0x36).as_slice(), message].concat());
    Sha256::digest([pad(0x5c).as_slice(), &inner].concat()).to_vec()
}

/// Returns a set of these JWKs.
pub fn set(keys: impl IntoIterator<Item = Value>) -> JwkSet {
    JwkSet::parse(set_text(keys).as_bytes()).unwrap()
}

pub fn set_text(keys: impl IntoIterator<Item = Value>) -> String {
    json!({"keys": keys.into_iter().collect::<Vec<Value>>()}).to_string()
}

/// A token builder: valid until changed.
#[derive(Clone)]
pub struct Mint {
    key: &'static TestKey,
    scheme: Scheme,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    raw_header: Option<Vec<u8>>,
    raw_claims: Option<Vec<u8>>,
    toy: Option<toy::ToyKey>,
}

impl Mint {
    fn new(key: &'static TestKey, claims: Value) -> Self {
        let Value::Object(claims) = claims else { unreachable!() };
        let header = Map::from_iter([("typ".into(), "JWT".into()), ("kid".into(), key.kid.into())]);
        let blank = Self {
            key,
            scheme: Algorithm::Rs256.scheme().unwrap(),
            header,
            claims,
            raw_header: None,
            raw_claims: None,
            toy: None,
        };
        blank.algorithm(Algorithm::Rs256)
    }

    /// Returns an access token like Auth0's.
    pub fn access(key: &'static TestKey) -> Self {
        let claims = json!({
            "iss": ISSUER, "sub": "user-1", "aud": AUDIENCE, "exp": NOW + 600, "nbf": NOW - 60, "iat": NOW - 60,
            "azp": CLIENT, "scope": "read:things write:things"
        });
        Self::new(key, claims)
    }

    /// Returns an access token per RFC 9068.
    pub fn at_jwt(key: &'static TestKey) -> Self {
        Self::access(key).without("azp").claim("client_id", CLIENT).claim("jti", "t-1").header("typ", "at+jwt")
    }

    /// Returns an ID token.
    pub fn id(key: &'static TestKey) -> Self {
        let claims = json!({
            "iss": ISSUER, "sub": "user-1", "aud": CLIENT, "exp": NOW + 600, "iat": NOW - 60, "nonce": NONCE
        });
        Self::new(key, claims)
    }

    /// Returns a back-channel logout token.
    pub fn logout(key: &'static TestKey) -> Self {
        let claims = json!({
            "iss": ISSUER, "sub": "user-1", "aud": CLIENT, "exp": NOW + 120, "iat": NOW, "jti": "l-1", "sid": "s-1",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}}
        });
        Self::new(key, claims)
    }

    /// Sets `alg` and signs with this algorithm.
    pub fn algorithm(self, algorithm: Algorithm) -> Self {
        Self { scheme: algorithm.scheme().unwrap(), ..self.header("alg", algorithm.name()) }
    }

    /// Signs with this scheme, whatever the header says.
    pub fn signed_with(self, scheme: Scheme) -> Self {
        Self { scheme, ..self }
    }

    /// Signs with this key, whatever the header says.
    pub fn signed_by(self, key: &'static TestKey) -> Self {
        Self { key, ..self }
    }

    /// Signs with a key of a virtual platform.
    pub fn toy(self, key: toy::ToyKey, kid: &str) -> Self {
        Self { toy: Some(key), ..self.header("alg", "ES256").header("kid", kid) }
    }

    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.into(), value.into());
        self
    }

    pub fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Uses these bytes as the header.
    pub fn raw_header(self, bytes: impl Into<Vec<u8>>) -> Self {
        Self { raw_header: Some(bytes.into()), ..self }
    }

    /// Uses these bytes as the claims.
    pub fn raw_claims(self, bytes: impl Into<Vec<u8>>) -> Self {
        Self { raw_claims: Some(bytes.into()), ..self }
    }

    /// Inserts `text` into the header's JSON before the closing brace, for members that a map cannot hold.
    pub fn splice_header(self, text: &str) -> Self {
        let spliced = splice(&self.header_bytes(), text);
        self.raw_header(spliced)
    }

    /// Inserts `text` into the claims' JSON before the closing brace.
    pub fn splice_claims(self, text: &str) -> Self {
        let spliced = splice(&self.claims_bytes(), text);
        self.raw_claims(spliced)
    }

    pub fn header_bytes(&self) -> Vec<u8> {
        self.raw_header.clone().unwrap_or_else(|| serde_json::to_vec(&self.header).unwrap())
    }

    pub fn claims_bytes(&self) -> Vec<u8> {
        self.raw_claims.clone().unwrap_or_else(|| serde_json::to_vec(&self.claims).unwrap())
    }

    /// Returns the encoded header and claims.
    pub fn signing_input(&self) -> String {
        format!("{}.{}", base64url::encode(&self.header_bytes()), base64url::encode(&self.claims_bytes()))
    }

    /// Returns the token.
    pub fn text(&self) -> String {
        let input = self.signing_input();
        let signature = match self.toy {
            Some(key) => toy::toy_signature(key, &input),
            None => self.key.sign(self.scheme, input.as_bytes()),
        };
        self.with_signature(&signature)
    }

    /// Returns the token with this signature.
    pub fn with_signature(&self, signature: &[u8]) -> String {
        format!("{}.{}", self.signing_input(), base64url::encode(signature))
    }
}

fn splice(json: &[u8], text: &str) -> Vec<u8> {
    let open = json.strip_suffix(b"}").unwrap();
    [open, b",", text.as_bytes(), b"}"].concat()
}

/// Returns a policy that the built access tokens satisfy.
pub fn access_policy() -> Policy<Access> {
    Policy::access_token(ISSUER, [AUDIENCE], &Algorithm::ALL).unwrap()
}

/// Returns a policy that the built ID tokens satisfy.
pub fn id_policy() -> Policy<Id> {
    Policy::id_token(ISSUER, CLIENT, &Algorithm::ALL).unwrap().nonce(NONCE)
}

/// What a mismatch carries.
pub fn mismatch(expected: &[&str], found: &[&str]) -> Mismatch {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    Mismatch { expected: texts(expected), found: texts(found) }
}

/// Returns the verdict of a policy. A [`Verifier`] with the same policy and keys must agree, without waiting.
pub fn verify_at<K>(
    policy: &Policy<K>,
    keys: &JwkSet,
    text: &str,
    now: UnixTime,
) -> Result<VerifiedToken<K>, VerifyError> {
    let verdict = policy.verify(text, keys, now);
    let verifier = Verifier::new(policy.clone(), KeyCache::fixed(policy.issuer(), keys.clone()));
    match (at_once(verifier.verify(text, &FixedHost(now))), &verdict) {
        (Ok(token), Ok(same)) => assert_eq!(token.claims().as_json(), same.claims().as_json()),
        (Err(VerificationError::Refused(error)), Err(same)) => assert_eq!(error, *same),
        // This host verifies no signature.
        (Err(VerificationError::Unavailable(why)), Err(VerifyError::AsyncRequired { .. })) => {
            assert_eq!(why.error, KeysError::AlgorithmUnsupported);
        }
        (other, _) => panic!("the policy says {verdict:?}, the verifier says {other:?}"),
    }
    verdict
}

/// Returns the verdict at [`NOW`].
pub fn verify<K>(policy: &Policy<K>, keys: &JwkSet, text: &str) -> Result<VerifiedToken<K>, VerifyError> {
    verify_at(policy, keys, text, now())
}

/// `SplitMix64`, deterministic in every run.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}
