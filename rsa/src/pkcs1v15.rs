//! RSASSA-PKCS1-v1_5 verification, step by step (RFC 8017 §8.2.2).

use alloc::vec;
use alloc::vec::Vec;

use super::{Hash, PublicKey, SignatureInvalid};

/// Shortest run of 0xff octets in an encoded message (RFC 8017 §9.2, step 3).
const MIN_PADDING: usize = 8;

/// DER of `DigestInfo` up to the digest itself (RFC 8017 §9.2, notes).
const fn digest_info(hash: Hash) -> &'static [u8] {
    match hash {
        Hash::Sha256 => b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
        Hash::Sha384 => b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30",
        Hash::Sha512 => b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
    }
}

pub(super) fn verify(key: &PublicKey, hash: Hash, message: &[u8], signature: &[u8]) -> Result<(), SignatureInvalid> {
    // 1. Length checking and 2. RSA verification: `public_op` refuses any length but k and any value ≥ n.
    let mut encoded = vec![0; key.size()];
    key.public_op(signature, &mut encoded)?;

    // 3. EMSA-PKCS1-v1_5 encoding: EM = 0x00 || 0x01 || PS || 0x00 || T is rebuilt here, not parsed, and …
    let digest = hash.digest(&[message]);
    let info = digest_info(hash);
    let padding = key.size().checked_sub(3 + info.len() + hash.len()).filter(|&len| len >= MIN_PADDING);
    let mut expected = Vec::with_capacity(key.size());
    expected.extend([0x00, 0x01]);
    expected.resize(2 + padding.ok_or(SignatureInvalid)?, 0xff);
    expected.push(0x00);
    expected.extend_from_slice(info);
    expected.extend_from_slice(digest.as_ref());

    // 4. … compared as a whole. There is no early exit, so that the comparison is vectorised.
    let difference = encoded.iter().zip(&expected).fold(0, |difference, (left, right)| difference | (left ^ right));
    if encoded.len() == expected.len() && difference == 0 { Ok(()) } else { Err(SignatureInvalid) }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::{Hash, digest_info};

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![tag, u8::try_from(content.len()).unwrap()];
        out.extend(content);
        out
    }

    #[test]
    fn digest_info_is_the_der_of_its_definition() {
        for (hash, last_arc) in [(Hash::Sha256, 1), (Hash::Sha384, 2), (Hash::Sha512, 3)] {
            // 2.16.840.1.101.3.4.2.n, 840 in base 128 being 6, 0x48: joint-iso-itu-t(2) country(16) us(840) … nistAlgorithm(4) hashAlgs(2)
            let oid = der(0x06, &[2 * 40 + 16, 0x80 | 6, 0x48, 1, 101, 3, 4, 2, last_arc]);
            let algorithm = der(0x30, &[oid, der(0x05, &[])].concat());
            let whole = der(0x30, &[algorithm, der(0x04, &vec![0; hash.len()])].concat());
            assert_eq!(digest_info(hash), &whole[..whole.len() - hash.len()]);
        }
    }
}
