//! Keys on elliptic curves (RFC 7518 §6.2, RFC 8037 §2). A host verifies their signatures; what needs no curve arithmetic is checked here.

use alloc::string::String;
use alloc::vec::Vec;

use super::InvalidJwk;
use crate::algorithm::Algorithm;
use crate::base64url;
use crate::text::concat;

/// A curve, with the only algorithm that its keys verify.
pub(super) struct Curve {
    kty: &'static str,
    crv: &'static str,
    pub(super) algorithm: Algorithm,
    /// The order of its base point, big-endian, as long as a coordinate and as each half of a signature.
    order: &'static [u8],
}

static CURVES: [Curve; 3] = [
    // FIPS 186-4 D.1.2.3
    Curve {
        kty: "EC",
        crv: "P-256",
        algorithm: Algorithm::Es256,
        order: &[
            0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
            0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
        ],
    },
    // FIPS 186-4 D.1.2.4
    Curve {
        kty: "EC",
        crv: "P-384",
        algorithm: Algorithm::Es384,
        order: &[
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf, 0x58, 0x1a, 0x0d, 0xb2,
            0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
        ],
    },
    // RFC 8032 §5.1
    Curve {
        kty: "OKP",
        crv: "Ed25519",
        algorithm: Algorithm::EdDsa,
        order: &[
            0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0xde, 0xf9, 0xde, 0xa2, 0xf7, 0x9c, 0xd6, 0x58,
            0x12, 0x63, 0x1a, 0x5c, 0xf5, 0xd3, 0xed,
        ],
    },
];

/// The `y` of the points of order 8, in the encoding of Ed25519 keys without the sign of `x`.
const ORDER_8: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

impl Curve {
    /// Returns whether keys of this type are on a curve.
    pub(super) fn has_type(kty: &str) -> bool {
        CURVES.iter().any(|curve| curve.kty == kty)
    }

    pub(super) fn find(kty: &str, crv: &str) -> Option<&'static Self> {
        CURVES.iter().find(|curve| curve.kty == kty && curve.crv == crv)
    }

    fn is_edwards(&self) -> bool {
        self.algorithm == Algorithm::EdDsa
    }
}

/// A public key on a curve. Whether it is on the curve at all is for the host to find out.
#[derive(PartialEq, Eq)]
pub(super) struct CurveKey {
    algorithm: Algorithm,
    pub(super) bytes: Vec<u8>,
}

impl CurveKey {
    /// Creates a key from its coordinates; `coordinate` decodes one of them.
    pub(super) fn new(
        curve: &'static Curve,
        coordinate: impl Fn(&'static str) -> Result<Vec<u8>, InvalidJwk>,
    ) -> Result<Self, InvalidJwk> {
        // RFC 7518 §6.2.1.2: as long as the curve's field, leading zeros included.
        let coordinate = |name| {
            let octets = coordinate(name)?;
            if octets.len() == curve.order.len() { Ok(octets) } else { Err(InvalidJwk::Malformed) }
        };
        let x = coordinate("x")?;
        let bytes = if curve.is_edwards() {
            if !is_acceptable(&x) {
                return Err(InvalidJwk::PointInvalid);
            }
            x
        } else {
            [[4].as_slice(), &x, &coordinate("y")?].concat()
        };
        Ok(Self { algorithm: curve.algorithm, bytes })
    }

    fn curve(&self) -> Option<&'static Curve> {
        CURVES.iter().find(|curve| curve.algorithm == self.algorithm)
    }

    /// Returns whether a signature has the form of one: two numbers of the curve's size, each from 1 to below the order of the base point
    /// (RFC 7518 §3.4), or a point and such a number, which comes little-endian (RFC 8032 §5.1.7).
    pub(super) fn admits(&self, signature: &[u8]) -> bool {
        let Some(curve) = self.curve() else { return false };
        let Some((first, second)) = signature.split_at_checked(curve.order.len()) else { return false };
        let is_in_range = |number: &[u8]| {
            number.len() == curve.order.len() && number.iter().any(|&octet| octet != 0) && number < curve.order
        };
        if curve.is_edwards() {
            let reversed: Vec<u8> = second.iter().rev().copied().collect();
            is_in_range(&reversed)
        } else {
            is_in_range(first) && is_in_range(second)
        }
    }

    /// Returns the size of the curve's field, in bits.
    pub(super) fn bits(&self) -> usize {
        self.curve().map_or(0, |curve| curve.order.len() * 8)
    }

    /// Returns the required members of the JWK, in lexicographic order (RFC 7638 §3.2, RFC 8037 §2).
    pub(super) fn members(&self) -> String {
        let Some(curve) = self.curve() else { return String::new() };
        let start = [r#"{"crv":""#, curve.crv, r#"","kty":""#, curve.kty, r#"","x":""#];
        let point = self.bytes.get(usize::from(!curve.is_edwards())..).unwrap_or_default();
        let (x, y) = point.split_at_checked(curve.order.len()).unwrap_or_default();
        let (x, y) = (base64url::encode(x), base64url::encode(y));
        let end: &[&str] = if curve.is_edwards() { &[&x, r#""}"#] } else { &[&x, r#"","y":""#, &y, r#""}"#] };
        concat(&[&start, end].concat())
    }
}

/// Returns whether an Ed25519 key is written canonically (RFC 8032 §5.1.3), and not a point of small order, under which anyone can sign.
fn is_acceptable(key: &[u8]) -> bool {
    let mut y = key.to_vec();
    let (Some(low), Some(high)) = (key.first(), y.last_mut()) else { return false };
    *high &= 0x7f;
    let (low, high) = (*low, *high);
    let middle = || y.iter().skip(1).rev().skip(1);
    // 0 and 1, of the orders 4 and 1; p - 1, of the order 2; from p on, numbers that have another form.
    let is_around_zero = high == 0 && middle().all(|&octet| octet == 0) && low <= 1;
    let is_around_p = high == 0x7f && middle().all(|&octet| octet == 0xff) && low >= 0xec;
    !is_around_zero && !is_around_p && ORDER_8.iter().all(|other| y != other)
}

#[cfg(test)]
mod tests {
    use super::is_acceptable;

    /// Only all octets together make a point of small order, or a number from p on.
    #[test]
    fn an_ed25519_key_that_is_close_to_a_weak_one_is_acceptable() {
        let key = |low: u8, middle: u8, high: u8| {
            let mut key = [middle; 32];
            (key[0], key[31]) = (low, high);
            key
        };
        for sign in [0, 0x80] {
            for weak in
                [key(0, 0, 0), key(1, 0, 0), key(0xec, 0xff, 0x7f), key(0xed, 0xff, 0x7f), key(0xff, 0xff, 0x7f)]
            {
                let mut weak = weak;
                weak[31] |= sign;
                assert!(!is_acceptable(&weak), "{weak:?}");
                for octet in 1..31 {
                    let mut sound = weak;
                    sound[octet] ^= 1;
                    assert!(is_acceptable(&sound), "{sound:?}");
                }
                weak[31] ^= 1;
                assert!(is_acceptable(&weak), "{weak:?}");
            }
            for low in [2, 3, 0xeb, 0xec, 0xff] {
                assert!(is_acceptable(&key(low, 0, sign)), "{low}");
            }
            for low in [0, 1, 2, 0x80, 0xeb] {
                assert!(is_acceptable(&key(low, 0xff, 0x7f | sign)), "{low}");
            }
        }
        assert!(!is_acceptable(&[]));
    }
}
