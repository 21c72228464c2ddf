//! The supported signature algorithms, in one table.

use crate::rsa::{Hash, Scheme};

/// A JWS signature algorithm (RFC 7518 §3.1). `none` and HMAC cannot even be expressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512
    Rs512,
    /// RSASSA-PSS with SHA-256 and MGF1
    Ps256,
    /// RSASSA-PSS with SHA-384 and MGF1
    Ps384,
    /// RSASSA-PSS with SHA-512 and MGF1
    Ps512,
}

impl Algorithm {
    /// Every supported algorithm.
    pub const ALL: [Self; 6] = [Self::Rs256, Self::Rs384, Self::Rs512, Self::Ps256, Self::Ps384, Self::Ps512];

    /// Returns the algorithm with this name, compared exactly.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Returns the name used in JOSE headers and keys.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
        }
    }

    /// Returns the RSA scheme and hash.
    #[must_use]
    pub const fn scheme(self) -> Scheme {
        match self {
            Self::Rs256 => Scheme::Pkcs1v15(Hash::Sha256),
            Self::Rs384 => Scheme::Pkcs1v15(Hash::Sha384),
            Self::Rs512 => Scheme::Pkcs1v15(Hash::Sha512),
            Self::Ps256 => Scheme::Pss(Hash::Sha256),
            Self::Ps384 => Scheme::Pss(Hash::Sha384),
            Self::Ps512 => Scheme::Pss(Hash::Sha512),
        }
    }

    /// Returns the hash function, which OpenID Connect's `at_hash` uses, too.
    #[must_use]
    pub const fn hash(self) -> Hash {
        match self.scheme() {
            Scheme::Pkcs1v15(hash) | Scheme::Pss(hash) => hash,
        }
    }
}
