//! `make mutants`: changes the core in one small place at a time, and shows that a test fails each time.
//!
//! All mutants are compiled into one build, each behind a condition, and a run of the tests turns one of them on. One run of each test
//! alone records which mutants it reaches; only those tests run against a mutant. So it takes minutes where a build for each
//! mutant would take days.

mod find;
mod instrument;
mod results;
mod run;
mod tree;

use std::path::PathBuf;
use std::process::ExitCode;

/// Sources, each a file or all of a folder, and the tests that run against their mutants: besides the unit tests of both packages, files
/// or folders of tests/. Each group is a build of its own.
const GROUPS: &[Group] = &[
    Group {
        name: "jwt",
        sources: &[
            "src/base64url.rs",
            "src/crypto/constant_time.rs",
            "src/jwt/audience.rs",
            "src/jwt/claim_path.rs",
            "src/jwt/claims.rs",
            "src/jwt/mod.rs",
            "src/jwt/policy.rs",
            "src/jwt/requirements.rs",
            "src/jwt/tenants.rs",
            "src/jwt/token.rs",
            "src/jwt/verified.rs",
            "src/jwt/verify.rs",
        ],
        tests: &["flows", "gateway", "hostile", "key_cache", "limits", "rights", "verification"],
    },
    Group { name: "rsa", sources: &["rsa/src"], tests: &["limits", "testing", "vectors", "wycheproof"] },
    Group {
        name: "paths",
        sources: &[
            "src/gateway/agreement.rs",
            "src/gateway/index.rs",
            "src/gateway/pattern.rs",
            "src/http/path.rs",
            "src/http/percent.rs",
            "src/http/spelling.rs",
            "src/oidc/return_to.rs",
        ],
        tests: &["gateway", "limits", "paths"],
    },
    Group {
        name: "session",
        sources: &["src/crypto/nonce.rs", "src/crypto/seal.rs", "src/http/cookie.rs", "src/session"],
        tests: &["flows", "gateway", "limits", "session_cookie"],
    },
    Group {
        name: "jwk",
        sources: &[
            "src/jwk/cache.rs",
            "src/jwk/curve.rs",
            "src/jwk/fetch.rs",
            "src/jwk/key.rs",
            "src/jwk/set.rs",
            "src/jwk/signing_key.rs",
            "src/jwk/thumbprint.rs",
            "src/jwt/cache.rs",
            "src/jwt/sign.rs",
            "src/verifier.rs",
        ],
        tests: &["flows", "gateway", "hostile", "key_cache", "limits", "signing_keys", "testing", "verification"],
    },
    Group { name: "json", sources: &["src/json"], tests: &["gateway", "hostile", "json", "limits"] },
    Group {
        name: "proof",
        sources: &[
            "src/dpop.rs",
            "src/gateway/sender.rs",
            "src/http/bearer.rs",
            "src/jwk/decryption_key.rs",
            "src/jwt/binding.rs",
            "src/jwt/decrypt.rs",
        ],
        tests: &["flows", "gateway"],
    },
];

pub struct Group {
    pub name: &'static str,
    pub sources: &'static [&'static str],
    pub tests: &'static [&'static str],
}

/// Sources of tests.
const TESTS: &[&str] = &["rsa/src/kernel_tests.rs", "rsa/src/exhaustive_tests.rs", "src/json/oracle.rs"];

fn main() -> ExitCode {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize().expect("the checkout");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (options, parts): (Vec<_>, Vec<_>) = arguments.into_iter().partition(|argument| argument.starts_with("--"));
    let has = |option: &str| options.iter().any(|one| one == option);
    let mut failed = false;
    for group in GROUPS {
        let mut tree = tree::Tree::new(&root, group, TESTS, &parts);
        if has("--list") {
            for mutant in &tree.mutants {
                println!("{}:{} {}", mutant.file, mutant.line, mutant.name);
            }
        } else if !tree.mutants.is_empty() {
            tree.build();
            failed |= !results::report(&tree, &run::run(&tree, has("--survivors")));
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
