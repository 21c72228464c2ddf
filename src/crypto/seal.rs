//! Sealing: authenticated encryption of values that only this gateway can write and read (XChaCha20-Poly1305, keys derived with
//! HKDF-SHA-256).
//!
//! A sealed value is base64url of: version (1 byte), nonce (24), ciphertext with tag (16). The associated data binds it to
//! a purpose, a host and a login configuration, so a value sealed for one of each cannot be opened for another.

use alloc::string::String;
use alloc::vec::Vec;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;

use crate::base64url;
use crate::text::sorted;

/// The first byte of every sealed value, changed with the format.
const VERSION: u8 = 2;

/// Random bytes needed to seal a value.
pub const SEAL_NONCE_BYTES: usize = 24;

/// The purpose of a sealed value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A login under way.
    Login,
    /// A session.
    Session,
    /// A session in transit between instances that refresh it.
    Refresh,
    /// An upstream token that instances share.
    Upstream,
}

impl Purpose {
    const ALL: [Self; 4] = [Self::Login, Self::Session, Self::Refresh, Self::Upstream];

    const fn label(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Session => "session",
            Self::Refresh => "refresh",
            Self::Upstream => "upstream",
        }
    }
}

/// The login configuration that values are bound to. A session's rights were granted for its issuer, client and audience: it does not open
/// under others.
#[derive(Debug, Clone, Copy)]
pub struct LoginBinding<'b> {
    /// The issuer of the login's ID tokens.
    pub issuer: &'b str,
    /// The client id of the login.
    pub client_id: &'b str,
    /// The accepted audiences of access tokens, in any order.
    pub audience: &'b [String],
}

/// Seals with the first of its secrets and opens with any, so that secrets can be rotated without ending sessions.
pub struct Sealer {
    /// One key per secret and purpose.
    keys: Vec<[(Purpose, XChaCha20Poly1305); Purpose::ALL.len()]>,
    /// The encoded binding, which is authenticated with every value.
    binding: Vec<u8>,
}

impl Sealer {
    /// Creates a sealer for a login configuration with these secrets, the newest first.
    #[must_use]
    pub fn new<S: AsRef<str>>(secrets: &[S], binding: LoginBinding<'_>) -> Self {
        let audience = sorted(binding.audience.iter().map(String::as_str));
        let mut bytes = Vec::new();
        push_part(&mut bytes, binding.issuer);
        push_part(&mut bytes, binding.client_id);
        audience.iter().for_each(|one| push_part(&mut bytes, one));
        Self { keys: keys(secrets), binding: bytes }
    }

    /// Returns whether there is no secret: then nothing can be sealed or opened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Seals `content`. `nonce` must be random and never be used twice.
    #[must_use]
    pub fn seal(&self, purpose: Purpose, host: &str, content: &[u8], nonce: &[u8; SEAL_NONCE_BYTES]) -> Option<String> {
        let sealed = self.encrypt(purpose, host, content, nonce)?;
        let mut bytes = Vec::with_capacity(1 + nonce.len() + sealed.len());
        bytes.push(VERSION);
        bytes.extend(nonce);
        bytes.extend(sealed);
        Some(base64url::encode(&bytes))
    }

    /// Returns the length of the sealed text of `len` bytes.
    #[must_use]
    pub const fn sealed_bytes(len: usize) -> usize {
        // The version, the nonce and the tag of 16 bytes (RFC 8439 §2.5); base64 without padding.
        let bytes = 1 + SEAL_NONCE_BYTES + len + 16;
        (bytes * 4).div_ceil(3)
    }

    /// Opens a value that was sealed for this purpose and host with any of the secrets.
    #[must_use]
    pub fn open(&self, purpose: Purpose, host: &str, sealed: &str) -> Option<Vec<u8>> {
        let bytes = base64url::decode(sealed.as_bytes()).ok()?;
        let (&[VERSION], rest) = bytes.split_first_chunk::<1>()? else { return None };
        let (nonce, sealed) = rest.split_first_chunk::<SEAL_NONCE_BYTES>()?;
        self.decrypt(purpose, host, sealed, nonce)
    }

    /// Encrypts and authenticates `content` under a nonce that both sides know, which must never be used twice.
    pub(crate) fn encrypt(
        &self,
        purpose: Purpose,
        host: &str,
        content: &[u8],
        nonce: &[u8; SEAL_NONCE_BYTES],
    ) -> Option<Vec<u8>> {
        let key = self.key(self.keys.first()?, purpose)?;
        let data = self.associated_data(purpose, host);
        key.encrypt(&XNonce::from(*nonce), Payload { msg: content, aad: &data }).ok()
    }

    /// Decrypts what [`encrypt`](Self::encrypt) returned, with any of the secrets.
    pub(crate) fn decrypt(
        &self,
        purpose: Purpose,
        host: &str,
        sealed: &[u8],
        nonce: &[u8; SEAL_NONCE_BYTES],
    ) -> Option<Vec<u8>> {
        let data = self.associated_data(purpose, host);
        let nonce = XNonce::from(*nonce);
        self.keys
            .iter()
            .find_map(|keys| self.key(keys, purpose)?.decrypt(&nonce, Payload { msg: sealed, aad: &data }).ok())
    }

    fn key<'k>(
        &self,
        keys: &'k [(Purpose, XChaCha20Poly1305); Purpose::ALL.len()],
        purpose: Purpose,
    ) -> Option<&'k XChaCha20Poly1305> {
        keys.iter().find(|(one, _)| *one == purpose).map(|(_, key)| key)
    }

    /// Returns purpose, host and binding, each part prefixed with its length, so that no two encode alike.
    fn associated_data(&self, purpose: Purpose, host: &str) -> Vec<u8> {
        let mut data = Vec::new();
        push_part(&mut data, purpose.label());
        push_part(&mut data, host);
        data.extend(&self.binding);
        data
    }
}

impl core::fmt::Debug for Sealer {
    /// Omits the keys.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Sealer({} secrets)", self.keys.len())
    }
}

fn keys<S: AsRef<str>>(secrets: &[S]) -> Vec<[(Purpose, XChaCha20Poly1305); Purpose::ALL.len()]> {
    let keys = secrets.iter().map(|secret| {
        Purpose::ALL.map(|purpose| (purpose, XChaCha20Poly1305::new(&derive(secret.as_ref(), purpose).into())))
    });
    keys.collect()
}

fn derive(secret: &str, purpose: Purpose) -> [u8; 32] {
    let mut key = [0; 32];
    // Cannot fail: 32 bytes are far below HKDF's limit of 255 hash lengths.
    let _infallible =
        Hkdf::<Sha256>::new(Some(b"edgeward"), secret.as_bytes()).expand(purpose.label().as_bytes(), &mut key);
    key
}

fn push_part(data: &mut Vec<u8>, part: &str) {
    data.extend((part.len() as u64).to_be_bytes());
    data.extend(part.as_bytes());
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::{LoginBinding, Purpose, Sealer};

    const NEW: &str = "new secret of at least 32 characters";
    const OLD: &str = "old secret of at least 32 characters";

    fn with(secrets: &[&str]) -> Sealer {
        let audience = [String::from("https://api.example.com")];
        Sealer::new(secrets, LoginBinding { issuer: "https://i.example/", client_id: "c", audience: &audience })
    }

    fn sealed() -> String {
        with(&[OLD]).seal(Purpose::Session, "a.example", b"content", &[7; 24]).unwrap()
    }

    #[test]
    fn the_first_secret_seals_and_all_open() {
        let rotated = with(&[NEW, OLD]);
        assert_eq!(rotated.open(Purpose::Session, "a.example", &sealed()).as_deref(), Some(&b"content"[..]));
        let fresh = rotated.seal(Purpose::Session, "a.example", b"x", &[1; 24]).unwrap();
        assert!(with(&[NEW]).open(Purpose::Session, "a.example", &fresh).is_some());
        assert!(with(&[OLD]).open(Purpose::Session, "a.example", &fresh).is_none());
    }

    /// A new version opens what an older one sealed.
    #[test]
    fn the_sealed_form_stays_the_same() {
        assert_eq!(sealed(), "AgcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBxqWL_1r1UQw5lGQYFMnqMOVrfuDuDzc");
    }

    #[test]
    fn another_purpose_host_or_secret_does_not_open() {
        let sealer = with(&[OLD]);
        assert!(sealer.open(Purpose::Session, "a.example", &sealed()).is_some());
        assert!(sealer.open(Purpose::Login, "a.example", &sealed()).is_none());
        assert!(sealer.open(Purpose::Session, "b.example", &sealed()).is_none());
        assert!(with(&[NEW]).open(Purpose::Session, "a.example", &sealed()).is_none());
    }

    #[test]
    fn no_altered_or_shortened_value_opens() {
        let sealer = with(&[OLD]);
        let bytes = crate::base64url::decode(sealed().as_bytes()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut altered: Vec<u8> = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let text = crate::base64url::encode(&altered);
            assert!(sealer.open(Purpose::Session, "a.example", &text).is_none(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            let text = crate::base64url::encode(&bytes[..len]);
            assert!(sealer.open(Purpose::Session, "a.example", &text).is_none(), "length {len}");
        }
    }

    #[test]
    fn parts_of_a_binding_are_not_interchangeable() {
        let logins: [(&str, &str, &[&str]); 10] = [
            ("i", "c", &["a", "b"]),
            ("i", "c", &["a"]),
            ("i", "c", &["b"]),
            ("i", "c", &["ab"]),
            ("i", "c", &[]),
            ("ic", "", &["a", "b"]),
            ("", "ic", &["a", "b"]),
            ("i", "ca", &["b"]),
            ("c", "i", &["a", "b"]),
            ("a", "b", &["i", "c"]),
        ];
        let sealer = |(issuer, client_id, audience): (&str, &str, &[&str])| {
            let audience: Vec<String> = audience.iter().map(|one| String::from(*one)).collect();
            Sealer::new(&[OLD], LoginBinding { issuer, client_id, audience: &audience })
        };
        for one in logins {
            let sealed = sealer(one).seal(Purpose::Session, "a.example", b"content", &[7; 24]).unwrap();
            for other in logins {
                let opens = sealer(other).open(Purpose::Session, "a.example", &sealed).is_some();
                assert_eq!(opens, one == other, "{one:?} {other:?}");
            }
        }
        let sealed = sealer(logins[0]).seal(Purpose::Session, "a.example", b"content", &[7; 24]).unwrap();
        let same = sealer(("i", "c", &["b", "a", "b"]));
        assert!(same.open(Purpose::Session, "a.example", &sealed).is_some(), "a set has no order");
    }
}
