//! The signature algorithms that exist here: one table, nothing else can be named.

use crate::rsa::{Hash, Scheme};

/// A JWS signature algorithm (RFC 7518 §3.1). There is no `none` and no HMAC, not even as a value.
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
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Rs256, Self::Rs384, Self::Rs512, Self::Ps256, Self::Ps384, Self::Ps512];

    /// The algorithm with this name, compared exactly.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Its name in JOSE headers and keys.
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

    /// What it does.
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

    /// The hash it signs; OpenID Connect's `at_hash` uses the same.
    #[must_use]
    pub const fn hash(self) -> Hash {
        match self.scheme() {
            Scheme::Pkcs1v15(hash) | Scheme::Pss(hash) => hash,
        }
    }
}
