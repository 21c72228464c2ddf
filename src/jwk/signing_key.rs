//! Private keys of the gateway: read here, and used by the host, which alone signs.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::key::decode;
use super::{InvalidJwk, VerifyingKey};
use crate::algorithm::Algorithm;
use crate::base64url;
use crate::host::{Host, SignError, SignRequest};
use crate::json::{Array, Document, Object, Value, push_quoted};
use crate::limits;
use crate::text::concat;

/// A private key that signs, with its `kid`. Only its structure is checked: the host refuses numbers that are no key.
///
/// ```
/// use edgeward::jwk::SigningKey;
/// use edgeward::jwt::Algorithm;
///
/// let key = SigningKey::parse(
///     r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}"#,
/// )?;
/// assert_eq!(key.algorithms(), [Algorithm::EdDsa]);
/// // Without a `kid`, it is the thumbprint (RFC 8037 appendix A.3).
/// assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
/// # Ok::<(), edgeward::jwk::InvalidSigningKey>(())
/// ```
#[derive(Clone)]
pub struct SigningKey {
    kid: String,
    algorithms: Vec<Algorithm>,
    /// The members of the public key, in the form of its thumbprint.
    members: String,
    /// The private JWK.
    private: String,
}

/// Why a text is no usable private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidSigningKey {
    /// Neither PEM nor a JSON object.
    NotAKey,
    /// Another kind of PEM than PKCS#8: `RSA PRIVATE KEY`, `EC PRIVATE KEY`, an encrypted, or a public key.
    NotPkcs8,
    /// The key lacks its public part, or numbers of an RSA key that platforms require.
    Incomplete,
    /// A JWK without `d`.
    Public,
    /// It is not for signatures by its `use`, `key_ops` or `alg`.
    NotForSigning,
    /// Its public part is not acceptable.
    Key(InvalidJwk),
}

impl InvalidSigningKey {
    /// Returns the error message.
    #[must_use]
    pub fn message(self) -> alloc::borrow::Cow<'static, str> {
        alloc::borrow::Cow::Borrowed(match self {
            Self::NotAKey => "is no private key: it must be PKCS#8 in PEM (BEGIN PRIVATE KEY) or a JWK",
            Self::NotPkcs8 => {
                "must be PKCS#8 (BEGIN PRIVATE KEY): convert it with openssl pkcs8 -topk8 -nocrypt -in key.pem"
            }
            Self::Incomplete => {
                "lacks its public part or, of RSA, the primes: export it again, or use a JWK with all its members"
            }
            Self::Public => "is a public key: the private one is needed here",
            Self::NotForSigning => "is not for signing by its use, key_ops or alg",
            Self::Key(error) => return concat(&["is not usable: ", &error.message()]).into(),
        })
    }
}

impl fmt::Display for InvalidSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl core::error::Error for InvalidSigningKey {}

/// The names of a key's members in a JWK: public ones in the order of the thumbprint (RFC 7638 §3.2), then private ones.
struct Kind {
    kty: &'static str,
    crv: Option<&'static str>,
    private: &'static [&'static str],
    algorithms: &'static [Algorithm],
}

static KINDS: [Kind; 4] = [
    Kind {
        kty: "RSA",
        crv: None,
        private: &["d", "p", "q", "dp", "dq", "qi"],
        algorithms: &[Algorithm::Rs256, Algorithm::Rs384, Algorithm::Ps256],
    },
    Kind { kty: "EC", crv: Some("P-256"), private: &["d"], algorithms: &[Algorithm::Es256] },
    Kind { kty: "EC", crv: Some("P-384"), private: &["d"], algorithms: &[Algorithm::Es384] },
    Kind { kty: "OKP", crv: Some("Ed25519"), private: &["d"], algorithms: &[Algorithm::EdDsa] },
];

impl Kind {
    /// The public members besides `kty` and `crv`; `e` comes before `kty`.
    fn public(&self) -> &'static [&'static str] {
        match (self.kty, self.crv) {
            ("RSA", _) => &["e", "n"],
            ("EC", _) => &["x", "y"],
            _ => &["x"],
        }
    }

    /// Returns the JWK of the public key in the form of the thumbprint. `number` returns a member in base64url.
    fn members(&self, number: &impl Fn(&str) -> Option<String>) -> Option<String> {
        let mut json = String::from("{");
        if let Some(crv) = self.crv {
            json.push_str(&concat(&[r#""crv":""#, crv, r#"","#]));
        }
        let kty = concat(&[r#""kty":""#, self.kty, "\""]);
        if self.crv.is_some() {
            json.push_str(&kty);
        }
        for name in self.public() {
            json.push_str(if json.ends_with('{') { "\"" } else { ",\"" });
            json.push_str(&concat(&[name, r#"":""#, &number(name)?, "\""]));
            if *name == "e" {
                json.push(',');
                json.push_str(&kty);
            }
        }
        json.push('}');
        Some(json)
    }
}

impl SigningKey {
    /// Parses a private key: PKCS#8 in PEM, where line breaks may be written as `\n`, or a JWK. RSA of 2048 to 4096 bits, P-256,
    /// P-384 or Ed25519.
    ///
    /// # Errors
    /// See [`InvalidSigningKey`].
    pub fn parse(text: &str) -> Result<Self, InvalidSigningKey> {
        let text = text.trim();
        if text.starts_with('{') {
            let jwk = Document::parse(text.into(), limits::MAX_HEADER_DEPTH).map_err(|_| InvalidSigningKey::NotAKey)?;
            return Self::from_jwk(jwk.root());
        }
        let body = text.strip_prefix("-----BEGIN ").ok_or(InvalidSigningKey::NotAKey)?;
        let body = body.strip_prefix("PRIVATE KEY-----").ok_or(InvalidSigningKey::NotPkcs8)?;
        let (body, _) = body.split_once("-----END PRIVATE KEY-----").ok_or(InvalidSigningKey::NotAKey)?;
        // In a variable of one line, its breaks are escaped.
        let body: String = body.replace("\\n", "").chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let der = decode(&body).ok_or(InvalidSigningKey::NotAKey)?;
        Self::from_pkcs8(&der)
    }

    fn from_jwk(jwk: Object<'_>) -> Result<Self, InvalidSigningKey> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let kty = text("kty").unwrap_or_default();
        let mut kinds = KINDS.iter().filter(|kind| kind.kty == kty);
        let unknown =
            if kinds.clone().next().is_none() { InvalidJwk::KeyTypeUnsupported } else { InvalidJwk::CurveUnsupported };
        let kind = kinds.find(|kind| kind.crv.is_none() || kind.crv == text("crv"));
        let kind = kind.ok_or(InvalidSigningKey::Key(unknown))?;
        if jwk.get("d").is_none() {
            return Err(InvalidSigningKey::Public);
        }
        let operations = jwk.get("key_ops").map(|list| list.as_array().and_then(Array::strings));
        let signs = operations.is_none_or(|list| list.is_some_and(|mut list| list.any(|one| one == "sign")));
        let is_for_signatures = jwk.get("use").is_none_or(|usage| usage.as_str() == Some("sig"));
        if !signs || !is_for_signatures {
            return Err(InvalidSigningKey::NotForSigning);
        }
        let only = match jwk.get("alg") {
            None => None,
            Some(name) => Some(name.as_str().and_then(Algorithm::from_name).ok_or(InvalidSigningKey::NotForSigning)?),
        };
        let kid = match jwk.get("kid") {
            None => None,
            Some(Value::String(kid)) if !kid.is_empty() && kid.len() <= limits::MAX_KID_BYTES => Some(kid),
            Some(_) => return Err(InvalidSigningKey::Key(InvalidJwk::Malformed)),
        };
        Self::new(kind, kid, only, &|name| decode(text(name)?))
    }

    /// Reads a PKCS#8 key (RFC 5958 §2).
    fn from_pkcs8(der: &[u8]) -> Result<Self, InvalidSigningKey> {
        Self::read_pkcs8(der).unwrap_or(Err(InvalidSigningKey::NotAKey))
    }

    fn read_pkcs8(der: &[u8]) -> Option<Result<Self, InvalidSigningKey>> {
        let mut info = Der(Der(der).next(SEQUENCE)?);
        info.next(INTEGER)?;
        let mut algorithm = Der(info.next(SEQUENCE)?);
        let name = algorithm.next(OBJECT_IDENTIFIER)?;
        let key = info.next(OCTET_STRING)?;
        let kind = KINDS.iter().find(|kind| match (kind.kty, kind.crv) {
            ("RSA", _) => name == RSA_ENCRYPTION,
            ("EC", Some(crv)) => {
                let curve = if crv == "P-256" { P_256 } else { P_384 };
                name == EC_PUBLIC_KEY && Der(algorithm.0).next(OBJECT_IDENTIFIER) == Some(curve)
            }
            _ => name == ED25519,
        });
        let Some(kind) = kind else { return Some(Err(InvalidSigningKey::Key(InvalidJwk::KeyTypeUnsupported))) };
        let mut numbers: Vec<(&str, &[u8])> = Vec::new();
        match kind.kty {
            // RFC 8017 appendix A.1.2
            "RSA" => {
                let mut key = Der(Der(key).next(SEQUENCE)?);
                key.next(INTEGER)?;
                for name in ["n", "e", "d", "p", "q", "dp", "dq", "qi"] {
                    numbers.push((name, key.next(INTEGER)?));
                }
            }
            // RFC 5915 §3
            "EC" => {
                let mut key = Der(Der(key).next(SEQUENCE)?);
                key.next(INTEGER)?;
                numbers.push(("d", key.next(OCTET_STRING)?));
                key.next(EXPLICIT_0);
                if let Some(point) = key.next(EXPLICIT_1).and_then(|public| Der(public).next(BIT_STRING)) {
                    // No unused bits, and an uncompressed point (SEC 1 §2.3.3).
                    let point = point.strip_prefix(&[0, 4])?;
                    let (x, y) = point.split_at_checked(point.len() / 2)?;
                    numbers.extend([("x", x), ("y", y)]);
                }
            }
            // RFC 8410 §7
            _ => {
                numbers.push(("d", Der(key).next(OCTET_STRING)?));
                info.next(EXPLICIT_0);
                if let Some(public) = info.next(IMPLICIT_1) {
                    numbers.push(("x", public.strip_prefix(&[0])?));
                }
            }
        }
        let number = |wanted: &str| {
            let (_, octets) = numbers.iter().find(|(name, _)| *name == wanted)?;
            Some(octets.to_vec())
        };
        Some(Self::new(kind, None, None, &number))
    }

    /// Creates a key from its numbers. `only`: the only algorithm that it is for.
    fn new(
        kind: &'static Kind,
        kid: Option<&str>,
        only: Option<Algorithm>,
        number: &dyn Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Self, InvalidSigningKey> {
        let number = |name: &str| {
            let octets = number(name)?;
            // RFC 7518 §2: without leading zeros, which only the coordinates of curves have.
            let zeros = if kind.crv.is_some() { 0 } else { octets.iter().take_while(|&&octet| octet == 0).count() };
            Some(base64url::encode(octets.get(zeros..)?))
        };
        let members = kind.members(&number).ok_or(InvalidSigningKey::Incomplete)?;
        let public = Document::parse(members.clone().into(), limits::MAX_HEADER_DEPTH);
        let public = public.map_err(|_| InvalidSigningKey::NotAKey)?;
        let key =
            VerifyingKey::from_jwk(public.root(), limits::GATEWAY_MAX_MODULUS_BITS).map_err(InvalidSigningKey::Key)?;
        let algorithms: Vec<Algorithm> =
            kind.algorithms.iter().copied().filter(|one| only.is_none_or(|only| only == *one)).collect();
        if algorithms.is_empty() {
            return Err(InvalidSigningKey::NotForSigning);
        }
        let mut private = members.trim_end_matches('}').to_owned();
        for name in kind.private {
            let value = number(name).filter(|value| !value.is_empty()).ok_or(InvalidSigningKey::Incomplete)?;
            private.push_str(&concat(&[",\"", name, r#"":""#, &value, "\""]));
        }
        private.push('}');
        let kid = kid.map_or_else(|| key.thumbprint(), Into::into);
        Ok(Self { kid, algorithms, members, private })
    }

    /// Returns the key id: as given, else the thumbprint of the public key (RFC 7638).
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Returns the algorithms that the key signs with. Never empty; the first is the default.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Returns the public key as a JWK with the required members only, as a JSON text.
    #[must_use]
    pub fn public_jwk(&self) -> &str {
        &self.members
    }

    /// Returns the public key as a JWK for a set: with `alg`, `kid` and `use`, as a JSON text.
    #[must_use]
    pub fn published_jwk(&self, algorithm: Algorithm) -> String {
        let mut json = concat(&[r#"{"alg":""#, algorithm.name(), r#"","kid":"#]);
        push_quoted(&mut json, &self.kid);
        json.push_str(r#","use":"sig","#);
        json.push_str(self.members.trim_start_matches('{'));
        json
    }

    /// Returns the private key as a JWK with the required members only, as a JSON text.
    pub(crate) fn private_jwk(&self) -> &str {
        &self.private
    }

    /// Signs a message, which must be ASCII.
    ///
    /// # Errors
    /// See [`SignError`].
    pub async fn sign(&self, algorithm: Algorithm, message: String, host: &impl Host) -> Result<Vec<u8>, SignError> {
        if !self.algorithms.contains(&algorithm) {
            return Err(SignError::KeyRefused);
        }
        host.sign(SignRequest { algorithm, key: self.private.clone(), message }).await
    }
}

impl PartialEq for SigningKey {
    /// Returns whether both have the same public key.
    fn eq(&self, other: &Self) -> bool {
        self.members == other.members
    }
}

impl fmt::Debug for SigningKey {
    /// Omits the private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const EXPLICIT_0: u8 = 0xa0;
const EXPLICIT_1: u8 = 0xa1;
const IMPLICIT_1: u8 = 0x81;

/// 1.2.840.113549.1.1.1 (RFC 8017 appendix A.1)
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.10045.2.1 (RFC 5480 §2.1.1)
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.2.840.10045.3.1.7 (RFC 5480 §2.1.1.1)
const P_256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// 1.3.132.0.34 (RFC 5480 §2.1.1.1)
const P_384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// 1.3.101.112 (RFC 8410 §3)
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// The elements of a DER text that follow each other (X.690), of the forms that keys have.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Returns the content of the next element if it has this tag; otherwise, nothing is read.
    fn next(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&found, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first().filter(|_| found == tag)?;
        let (len, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // Lengths of up to two octets: keys are shorter than 64 KiB.
            0x81 | 0x82 => {
                let (octets, rest) = rest.split_at_checked(usize::from(first & 3))?;
                (octets.iter().fold(0, |len, &octet| len << 8 | usize::from(octet)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some(content)
    }
}
