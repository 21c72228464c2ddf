//! The supported signature algorithms, in one table.

use crate::rsa::{Hash, Scheme};

/// A JWS signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1). `none` and HMAC cannot even be expressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
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
    /// ECDSA with P-256 and SHA-256
    Es256,
    /// ECDSA with P-384 and SHA-384
    Es384,
    /// EdDSA with Ed25519, under its name of RFC 8037 or of RFC 9864
    EdDsa,
}

impl Algorithm {
    /// Every supported algorithm.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// The algorithms of RSA keys, which need no host: the others are verified by [`Host::verify_signature`].
    ///
    /// [`Host::verify_signature`]: crate::host::Host::verify_signature
    pub const RSA: [Self; 6] = [Self::Rs256, Self::Rs384, Self::Rs512, Self::Ps256, Self::Ps384, Self::Ps512];

    /// Returns the algorithm with this name, compared exactly. `Ed25519` is another name of `EdDSA` (RFC 9864 §2.2): no other curve of
    /// EdDSA is supported.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
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
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Returns the RSA scheme and hash; `None` for the algorithms of other keys.
    #[must_use]
    pub const fn scheme(self) -> Option<Scheme> {
        Some(match self {
            Self::Rs256 => Scheme::Pkcs1v15(Hash::Sha256),
            Self::Rs384 => Scheme::Pkcs1v15(Hash::Sha384),
            Self::Rs512 => Scheme::Pkcs1v15(Hash::Sha512),
            Self::Ps256 => Scheme::Pss(Hash::Sha256),
            Self::Ps384 => Scheme::Pss(Hash::Sha384),
            Self::Ps512 => Scheme::Pss(Hash::Sha512),
            Self::Es256 | Self::Es384 | Self::EdDsa => return None,
        })
    }

    /// Returns the hash function, which OpenID Connect's `at_hash` uses, too. For Ed25519, SHA-512 (RFC 8032 §5.1).
    #[must_use]
    pub const fn hash(self) -> Hash {
        match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 => Hash::Sha256,
            Self::Rs384 | Self::Ps384 | Self::Es384 => Hash::Sha384,
            Self::Rs512 | Self::Ps512 | Self::EdDsa => Hash::Sha512,
        }
    }
}
