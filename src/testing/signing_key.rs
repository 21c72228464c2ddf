//! Private keys for signing in tests.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ::rsa::pkcs1::DecodeRsaPrivateKey as _;
use ::rsa::pkcs8::DecodePrivateKey as _;
use ::rsa::rand_core::{self, CryptoRng, CryptoRngCore, RngCore};
use ::rsa::sha2::{Sha256, Sha384, Sha512};
use ::rsa::traits::PublicKeyParts as _;
use ::rsa::{BigUint, Pkcs1v15Sign, Pss, RsaPrivateKey};
use serde_json::{Value, json};

use crate::base64url;
use crate::host::{SignError, SignRequest};
use crate::rsa::{Hash, Scheme};

/// The primes of the fixed key, in hexadecimal.
const P: &[u8] = b"\
    bd78bef70bd6f75582cbf8265c8b1c1e182e6177dd5ab3c573be7cc3fe8fb81f6e3c662bfef43d3f1429157f0af1b17a\
    0119a4145e964093e8a71101b5b3086a7c79ee55acaf3927f936f2469ae79906dcedeb49da34c8de281bbac1f3d6f697\
    e09b178b7ee260b10438bdee28daa4aeaf5369000ee170f609ba8a7f382dcbe5";
const Q: &[u8] = b"\
    b65634ab2e5076536d491cf461e790c5bca509dc859f4feee169636aeb7a36e21c9c1772949fe89e947166e0d17688f0\
    8f4276eccf46909006081582979b6a1eed2d13d8d027c6ca4a998750554d9d3b9deb6c8924063c876b3ef8d50c5a228a\
    87687820d2a7b86b20babdd7088369b33d3a1f46902ea5678458a9fb10f2db37";
const F4: u32 = 65537;

/// A private RSA key with a `kid`.
#[derive(Clone)]
pub struct SigningKey {
    kid: String,
    private: RsaPrivateKey,
}

impl SigningKey {
    /// Returns a public test key of 2048 bits, the same in every build. Its `kid` is `fixed`.
    #[must_use]
    pub fn fixed() -> Self {
        let number = |hex| BigUint::parse_bytes(hex, 16).expect("hexadecimal digits");
        let private = RsaPrivateKey::from_p_q(number(P), number(Q), F4.into()).expect("two primes");
        Self::new("fixed", private)
    }

    /// Wraps an existing key.
    #[must_use]
    pub fn new(kid: impl Into<String>, private: RsaPrivateKey) -> Self {
        Self { kid: kid.into(), private }
    }

    /// Generates a key.
    ///
    /// # Panics
    /// If a key of this size cannot be generated.
    #[must_use]
    pub fn generate(kid: impl Into<String>, random: &mut impl CryptoRngCore, bits: usize) -> Self {
        Self::new(kid, RsaPrivateKey::new(random, bits).expect("a possible key size"))
    }

    /// Reads a key in PEM: `PRIVATE KEY` (PKCS#8) or `RSA PRIVATE KEY` (PKCS#1).
    ///
    /// # Panics
    /// If it is not an RSA private key.
    #[must_use]
    pub fn from_pem(kid: impl Into<String>, pem: &str) -> Self {
        let private = RsaPrivateKey::from_pkcs8_pem(pem).or_else(|_| RsaPrivateKey::from_pkcs1_pem(pem));
        Self::new(kid, private.expect("an RSA private key in PEM"))
    }

    /// Returns the key id.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Returns the private key.
    #[must_use]
    pub fn private(&self) -> &RsaPrivateKey {
        &self.private
    }

    /// Returns the public key as a JWK (RFC 7517 §4), for any algorithm.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let number = |number: &BigUint| base64url::encode(&number.to_bytes_be());
        json!({"kty": "RSA", "use": "sig", "kid": self.kid, "n": number(self.private.n()), "e": number(self.private.e())})
    }

    /// Signs `message`. PSS uses a fixed salt, so that tests are reproducible.
    ///
    /// # Panics
    /// If the key is too small for the scheme.
    #[must_use]
    pub fn sign(&self, scheme: Scheme, message: &[u8]) -> Vec<u8> {
        let digest = |hash: Hash| hash.digest(&[message]);
        let signature = match scheme {
            Scheme::Pkcs1v15(hash) => self.private.sign(pkcs1v15(hash), digest(hash).as_ref()),
            Scheme::Pss(hash) => self.private.sign_with_rng(&mut FixedSalt, pss(hash), digest(hash).as_ref()),
        };
        signature.expect("a key that is large enough for the scheme")
    }
}

/// Signs a message as a platform does, with RSA keys only.
///
/// # Errors
/// [`SignError::Unsupported`] for other keys, [`SignError::KeyRefused`] for numbers that are no RSA key.
pub fn sign_on_request(request: &SignRequest) -> Result<Vec<u8>, SignError> {
    let scheme = request.algorithm.scheme().ok_or(SignError::Unsupported)?;
    let jwk: Value = serde_json::from_str(&request.key).map_err(|_| SignError::KeyRefused)?;
    let number = |name: &str| {
        let octets = base64url::decode(jwk.get(name)?.as_str()?.as_bytes()).ok()?;
        Some(BigUint::from_bytes_be(&octets))
    };
    let private = || {
        let primes = Vec::from([number("p")?, number("q")?]);
        RsaPrivateKey::from_components(number("n")?, number("e")?, number("d")?, primes).ok()
    };
    let key = SigningKey::new("", private().ok_or(SignError::KeyRefused)?);
    Ok(key.sign(scheme, request.message.as_bytes()))
}

impl fmt::Debug for SigningKey {
    /// Omits the private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

fn pkcs1v15(hash: Hash) -> Pkcs1v15Sign {
    match hash {
        Hash::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
        Hash::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
        Hash::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
    }
}

/// Returns the PSS scheme with a salt as long as the hash (RFC 7518 §3.5).
fn pss(hash: Hash) -> Pss {
    match hash {
        Hash::Sha256 => Pss::new::<Sha256>(),
        Hash::Sha384 => Pss::new::<Sha384>(),
        Hash::Sha512 => Pss::new::<Sha512>(),
    }
}

/// A source of fixed bytes in place of randomness, for the PSS salt only.
struct FixedSalt;

impl RngCore for FixedSalt {
    fn next_u32(&mut self) -> u32 {
        0x5a5a_5a5a
    }

    fn next_u64(&mut self) -> u64 {
        0x5a5a_5a5a_5a5a_5a5a
    }

    fn fill_bytes(&mut self, salt: &mut [u8]) {
        salt.fill(0x5a);
    }

    fn try_fill_bytes(&mut self, salt: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(salt);
        Ok(())
    }
}

impl CryptoRng for FixedSalt {}
