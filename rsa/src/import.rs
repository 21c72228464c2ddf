//! Keys of the crate `rsa`, and key files, which that crate parses (feature `rsa`).

use core::fmt;

use ::rsa::pkcs8::Document;
use ::rsa::pkcs8::spki::SubjectPublicKeyInfoRef;
use ::rsa::traits::PublicKeyParts as _;
use ::rsa::{RsaPublicKey, pkcs1};

use super::{InvalidKey, PublicKey};

/// Why a key file is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidKeyFile {
    /// Not a public key, or not an RSA key, in this encoding.
    Malformed,
    /// The modulus or the exponent is not acceptable.
    Key(InvalidKey),
}

impl fmt::Display for InvalidKeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("file does not contain an RSA public key"),
            Self::Key(reason) => reason.fmt(f),
        }
    }
}

impl core::error::Error for InvalidKeyFile {}

impl TryFrom<&RsaPublicKey> for PublicKey {
    type Error = InvalidKey;

    fn try_from(key: &RsaPublicKey) -> Result<Self, InvalidKey> {
        Self::new(&key.n().to_bytes_be(), &key.e().to_bytes_be())
    }
}

impl PublicKey {
    /// Reads a public key in PEM: `PUBLIC KEY` (RFC 5280 §4.1.2.7) or `RSA PUBLIC KEY` (RFC 8017 §A.1.1).
    ///
    /// ```
    /// use edgeward_rsa::{InvalidKeyFile, PublicKey};
    ///
    /// assert_eq!(PublicKey::from_pem("not a key").err(), Some(InvalidKeyFile::Malformed));
    /// ```
    ///
    /// # Errors
    /// See [`InvalidKeyFile`].
    pub fn from_pem(pem: &str) -> Result<Self, InvalidKeyFile> {
        match Document::from_pem(pem) {
            Ok(("PUBLIC KEY", der)) => Self::from_der(der.as_bytes()),
            Ok(("RSA PUBLIC KEY", der)) => Self::from_pkcs1(der.as_bytes()),
            _ => Err(InvalidKeyFile::Malformed),
        }
    }

    /// Reads a public key in DER, of either kind that [`from_pem`](Self::from_pem) accepts.
    ///
    /// # Errors
    /// See [`InvalidKeyFile`].
    pub fn from_der(der: &[u8]) -> Result<Self, InvalidKeyFile> {
        let Ok(info) = SubjectPublicKeyInfoRef::try_from(der) else { return Self::from_pkcs1(der) };
        info.algorithm.assert_algorithm_oid(pkcs1::ALGORITHM_OID).map_err(|_| InvalidKeyFile::Malformed)?;
        Self::from_pkcs1(info.subject_public_key.as_bytes().ok_or(InvalidKeyFile::Malformed)?)
    }

    fn from_pkcs1(der: &[u8]) -> Result<Self, InvalidKeyFile> {
        let key = pkcs1::RsaPublicKey::try_from(der).map_err(|_| InvalidKeyFile::Malformed)?;
        Self::new(key.modulus.as_bytes(), key.public_exponent.as_bytes()).map_err(InvalidKeyFile::Key)
    }
}
