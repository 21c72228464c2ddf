//! RSASSA-PSS verification, step by step (RFC 8017 §8.1.2 and §9.1.2).
//!
//! Parameters are those of RFC 7518 §3.5: MGF1 with the message's hash, salt length equal to the hash length.

use alloc::vec;

use super::{Hash, PublicKey, SignatureInvalid};

/// Last octet of every encoded message.
const TRAILER: u8 = 0xbc;

pub(super) fn verify(key: &PublicKey, hash: Hash, message: &[u8], signature: &[u8]) -> Result<(), SignatureInvalid> {
    // §8.1.2, 1. Length checking and 2. RSA verification: `public_op` refuses any length but k and any value ≥ n.
    let mut octets = vec![0; key.size()];
    key.public_op(signature, &mut octets)?;

    // EM has emLen = ⌈emBits / 8⌉ octets, emBits = modBits − 1: one fewer than k when modBits ≡ 1 (mod 8).
    let em_bits = key.bits() - 1;
    let em_len = em_bits.div_ceil(8);
    let (above, encoded) = octets.split_at_mut_checked(key.size() - em_len).ok_or(SignatureInvalid)?;
    if above.iter().any(|&octet| octet != 0) {
        return Err(SignatureInvalid);
    }

    // §9.1.2, 1.–2. mHash = Hash(M).
    let m_hash = hash.digest(&[message]);
    let (h_len, s_len) = (hash.len(), hash.len());
    // 3. emLen must hold the hash, the salt and two octets. 4. Rightmost octet. 5. EM = maskedDB || H || 0xbc.
    let db_len = em_len.checked_sub(h_len + s_len + 2).ok_or(SignatureInvalid)? + s_len + 1;
    let (db, rest) = encoded.split_at_mut_checked(db_len).ok_or(SignatureInvalid)?;
    let (h, trailer) = rest.split_at_checked(h_len).ok_or(SignatureInvalid)?;
    if trailer != [TRAILER] {
        return Err(SignatureInvalid);
    }

    // 6. The leftmost 8·emLen − emBits bits of maskedDB must be zero.
    let spare = u8::try_from(8 * em_len - em_bits).map_err(|_| SignatureInvalid)?;
    let first_mask = 0xffu8.checked_shr(spare.into()).ok_or(SignatureInvalid)?;
    if db.first().is_none_or(|first| first & !first_mask != 0) {
        return Err(SignatureInvalid);
    }

    // 7.–8. DB = maskedDB xor MGF1(H, emLen − hLen − 1) (appendix B.2.1).
    for (counter, block) in (0u32..).zip(db.chunks_mut(h_len)) {
        let mask = hash.digest(&[h, &counter.to_be_bytes()]);
        block.iter_mut().zip(mask.as_ref()).for_each(|(octet, mask)| *octet ^= mask);
    }
    // 9. Clear the same leftmost bits of DB.
    if let Some(first) = db.first_mut() {
        *first &= first_mask;
    }

    // 10. DB = zeros || 0x01 || salt. 11. The salt.
    let (padding, salt) = db.split_at_checked(db_len - s_len).ok_or(SignatureInvalid)?;
    let Some((0x01, zeros)) = padding.split_last() else { return Err(SignatureInvalid) };
    if zeros.iter().any(|&octet| octet != 0) {
        return Err(SignatureInvalid);
    }

    // 12.–13. H' = Hash(eight zeros || mHash || salt). 14. H' must equal H.
    let expected = hash.digest(&[&[0; 8], m_hash.as_ref(), salt]);
    if expected.as_ref() == h { Ok(()) } else { Err(SignatureInvalid) }
}
