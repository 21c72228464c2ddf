//! JWK thumbprints (RFC 7638).

use alloc::string::String;

use super::VerifyingKey;
use super::key::Material;
use crate::base64url;
use crate::crypto::sha256;
use crate::text::concat;

impl VerifyingKey {
    /// Returns the SHA-256 thumbprint of the key, in base64url (RFC 7638 §3).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        base64url::encode(&self.thumbprint_bytes())
    }

    /// Returns the thumbprint itself.
    pub(crate) fn thumbprint_bytes(&self) -> [u8; 32] {
        let rsa = match &self.material {
            Material::Rsa(rsa) => rsa,
            Material::Curve(key) => return sha256(key.members().as_bytes()),
        };
        let e = rsa.e().to_be_bytes();
        let zeros = e.iter().take_while(|&&octet| octet == 0).count();
        // The required members only, in lexicographic order, without whitespace.
        let (e, n) = (base64url::encode(e.get(zeros..).unwrap_or_default()), base64url::encode(rsa.n()));
        sha256(concat(&[r#"{"e":""#, &e, r#"","kty":"RSA","n":""#, &n, r#""}"#]).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use crate::jwk::JwkSet;

    #[test]
    fn the_example_of_rfc_7638_section_3_1() {
        let set = JwkSet::parse(
            br#"{"keys":[{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}]}"#,
        )
        .unwrap();
        assert_eq!(set.keys().next().unwrap().thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }
}
