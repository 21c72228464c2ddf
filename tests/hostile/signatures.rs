//! The signature: one octet string of one length is the signature of a token, made by one scheme.

use edgeward::error::VerifyError;
use edgeward::jwk::JwkSet;
use edgeward::jwt::Algorithm;
use edgeward::rsa::{Hash, PublicKey, Scheme, SignatureInvalid};
use rsa::BigUint;
use support::{
    Mint, TestKey, access_policy, digest, key_3072, key_4096, key_8192, key_a, key_b, key_e3, left_pad,
    pkcs1v15_encode, pss_encode, set, verify,
};

use crate::refusal;

fn assert_invalid(keys: &JwkSet, text: &str, what: &str) {
    assert_eq!(refusal(&access_policy(), keys, text), VerifyError::SignatureInvalid, "{what}");
}

fn public(key: &TestKey) -> PublicKey {
    PublicKey::new(&key.n(), &key.e()).unwrap()
}

#[test]
fn every_single_bit_of_a_signature_counts() {
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256] {
        let message = b"message";
        let mut signature = key_e3().sign(algorithm.scheme().unwrap(), message);
        let key = public(key_e3());
        assert_eq!(key.verify(algorithm.scheme().unwrap(), message, &signature), Ok(()));
        for bit in 0..signature.len() * 8 {
            signature[bit / 8] ^= 0x80 >> (bit % 8);
            assert_eq!(
                key.verify(algorithm.scheme().unwrap(), message, &signature),
                Err(SignatureInvalid),
                "{algorithm:?} bit {bit}"
            );
            signature[bit / 8] ^= 0x80 >> (bit % 8);
        }
    }
}

#[test]
fn every_single_bit_of_a_message_counts() {
    let key = public(key_e3());
    for algorithm in Algorithm::RSA {
        let mut message = *b"message of some length";
        let signature = key_e3().sign(algorithm.scheme().unwrap(), &message);
        for bit in 0..message.len() * 8 {
            message[bit / 8] ^= 0x80 >> (bit % 8);
            assert_eq!(
                key.verify(algorithm.scheme().unwrap(), &message, &signature),
                Err(SignatureInvalid),
                "{algorithm:?} bit {bit}"
            );
            message[bit / 8] ^= 0x80 >> (bit % 8);
        }
    }
}

#[test]
fn a_signature_has_the_length_of_the_modulus() {
    let valid = Mint::access(key_a());
    let signature = key_a().sign(Algorithm::Rs256.scheme().unwrap(), valid.signing_input().as_bytes());
    let keys = key_a().set();
    assert!(verify(&access_policy(), &keys, &valid.with_signature(&signature)).is_ok());
    assert_invalid(&keys, &valid.with_signature(&[]), "empty");
    assert_invalid(&keys, &valid.with_signature(&[0]), "one octet");
    assert_invalid(&keys, &valid.with_signature(&signature[1..]), "first octet missing");
    assert_invalid(&keys, &valid.with_signature(&signature[..255]), "last octet missing");
    assert_invalid(&keys, &valid.with_signature(&[&[0], signature.as_slice()].concat()), "zero in front");
    assert_invalid(&keys, &valid.with_signature(&[signature.as_slice(), &[0]].concat()), "zero at the end");
    assert_invalid(&keys, &valid.with_signature(&[signature.as_slice(), &signature].concat()), "twice");
    assert_invalid(&keys, &valid.with_signature(&[0; 256]), "zero");
    assert_invalid(&keys, &valid.with_signature(&left_pad(&[1], 256)), "one");
    assert_invalid(&keys, &valid.with_signature(&[0xff; 256]), "all ones");
    assert_invalid(&keys, &valid.with_signature(&key_a().n()), "the modulus");
    assert_invalid(&keys, &valid.with_signature(&[0; 8192]), "far too long");
    let below = (BigUint::from_bytes_be(&key_a().n()) - 1u8).to_bytes_be();
    assert_invalid(&keys, &valid.with_signature(&below), "the modulus less one");
}

#[test]
fn a_value_not_below_the_modulus_is_no_signature() {
    // s + n has the length of n for about every second small s: the same residue, another text.
    let n = BigUint::from_bytes_be(&key_e3().n());
    let mut found = 0;
    for nonce in 0..200u32 {
        let message = nonce.to_be_bytes();
        let signature = key_e3().sign(Algorithm::Rs256.scheme().unwrap(), &message);
        let shifted = (BigUint::from_bytes_be(&signature) + &n).to_bytes_be();
        if shifted.len() == signature.len() {
            found += 1;
            assert_eq!(
                public(key_e3()).verify(Algorithm::Rs256.scheme().unwrap(), &message, &shifted),
                Err(SignatureInvalid)
            );
        }
    }
    assert!(found > 0, "no signature of these leaves room for the modulus");
}

#[test]
fn another_keys_signature_is_none() {
    let forged = Mint::access(key_a()).signed_by(key_b()).text();
    assert_invalid(&key_a().set(), &forged, "key b under the name of key a");
    assert_invalid(&set([key_a().jwk(), key_b().jwk()]), &forged, "though the set has both");
}

#[test]
fn a_pss_salt_has_the_length_of_the_hash() {
    for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
        for salt in [0, 1, 8, 19, 20, 31, 32, 33, 47, 48, 49, 63, 64, 65, 100, 126] {
            let signature = key_e3().sign_pss_with_salt(hash, b"message", &vec![0xa5; salt]);
            let verdict = public(key_e3()).verify(Scheme::Pss(hash), b"message", &signature);
            assert_eq!(verdict.is_ok(), salt == hash.len(), "{hash:?}, salt of {salt}");
        }
    }
    let longest = 256 - 32 - 2;
    let signature = key_e3().sign_pss_with_salt(Hash::Sha256, b"message", &vec![0xa5; longest]);
    assert!(public(key_e3()).verify(Scheme::Pss(Hash::Sha256), b"message", &signature).is_err());
}

#[test]
fn a_pss_salt_of_the_right_length_may_be_anything() {
    for salt in [[0; 32], [0xff; 32], [0x01; 32]] {
        let signature = key_e3().sign_pss_with_salt(Hash::Sha256, b"message", &salt);
        assert!(public(key_e3()).verify(Scheme::Pss(Hash::Sha256), b"message", &signature).is_ok());
    }
}

#[test]
fn pss_with_another_mask_hash_is_refused() {
    for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
        for mask in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            let encoded = pss_encode(hash, mask, b"message", &vec![7; hash.len()], 2047);
            let verdict = public(key_e3()).verify(Scheme::Pss(hash), b"message", &key_e3().raw(&encoded));
            assert_eq!(verdict.is_ok(), hash == mask, "{hash:?} with a mask of {mask:?}");
        }
    }
}

#[test]
fn every_single_bit_of_a_pss_encoding_counts() {
    let encoded = pss_encode(Hash::Sha256, Hash::Sha256, b"message", &[7; 32], 2047);
    let key = public(key_e3());
    // The top bit is no part of an encoding of 2047 bits, and a number with it may exceed the modulus.
    for bit in (1..encoded.len() * 8).step_by(5) {
        let mut changed = encoded.clone();
        changed[bit / 8] ^= 0x80 >> (bit % 8);
        let verdict = key.verify(Scheme::Pss(Hash::Sha256), b"message", &key_e3().raw(&changed));
        assert_eq!(verdict, Err(SignatureInvalid), "bit {bit}");
    }
}

#[test]
fn pkcs1_padding_is_compared_whole() {
    let message = b"message";
    let valid = pkcs1v15_encode(Hash::Sha256, message, 256);
    let key = public(key_e3());
    let verdict = |encoded: &[u8]| key.verify(Scheme::Pkcs1v15(Hash::Sha256), message, &key_e3().raw(encoded));
    assert_eq!(verdict(&valid), Ok(()));
    for at in 1..valid.len() {
        let mut changed = valid.clone();
        changed[at] ^= 1;
        assert_eq!(verdict(&changed), Err(SignatureInvalid), "octet {at}");
    }
    // The forgery against lax parsers: short padding, a correct digest, and arbitrary data after it.
    let digest = digest(Hash::Sha256, message);
    let info = &valid[256 - 32 - 19..256 - 32];
    let mut lax = [&[0, 1], [0xff; 8].as_slice(), &[0], info, &digest].concat();
    lax.resize(256, 0xaa);
    assert_eq!(verdict(&lax), Err(SignatureInvalid), "garbage after the digest");
    // Without NULL parameters, as RFC 8017 lets other verifiers accept.
    let info = [0x30, 0x2f, 0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 4, 0x20];
    let mut padding = vec![0, 1];
    padding.resize(256 - 1 - info.len() - 32, 0xff);
    assert_eq!(verdict(&[padding.as_slice(), &[0], &info, &digest].concat()), Err(SignatureInvalid), "no NULL");
    // The bare digest, and block type 2.
    let mut bare = vec![0, 1];
    bare.resize(256 - 1 - 32, 0xff);
    assert_eq!(verdict(&[bare.as_slice(), &[0], &digest].concat()), Err(SignatureInvalid), "no DigestInfo");
}

#[test]
fn an_exponent_of_one_would_make_every_padding_a_signature() {
    let message = b"message";
    let encoded = pkcs1v15_encode(Hash::Sha256, message, 256);
    assert!(PublicKey::new(&key_a().n(), &[1]).is_err(), "or this would verify: {}", encoded.len());
    let mut jwk = key_a().jwk();
    jwk["e"] = "AQ".into();
    let keys = set([jwk, key_b().jwk()]);
    let mint = Mint::access(key_a());
    let forged = mint.with_signature(&pkcs1v15_encode(Hash::Sha256, mint.signing_input().as_bytes(), 256));
    assert_eq!(refusal(&access_policy(), &keys, &forged), VerifyError::KeyNotFound);
}

#[test]
fn every_size_of_key_verifies_every_algorithm() {
    for key in [key_a(), key_e3(), key_3072(), key_4096(), key_8192()] {
        let algorithms =
            if key.n().len() > 512 { vec![Algorithm::Rs256, Algorithm::Ps512] } else { Algorithm::RSA.into() };
        for algorithm in algorithms {
            let text = Mint::access(key).algorithm(algorithm).text();
            assert!(verify(&access_policy(), &key.set(), &text).is_ok(), "{} {algorithm:?}", key.kid);
        }
    }
}
