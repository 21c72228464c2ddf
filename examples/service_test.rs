//! A service that requires tokens, and its tests with an issuer in memory (feature `testing`).
//!
//! ```text
//! cargo test --example service_test
//! ```
//!
//! In a project of your own, the feature belongs to the tests only:
//!
//! ```toml
//! [dev-dependencies]
//! edgeward = { path = "../edgeward", features = ["testing"] }
//! ```

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example: a panic is how its tests fail")]

use edgeward::io::UnixTime;
use edgeward::jwk::{KeyCache, KeyHost, KeySource};
use edgeward::jwt::{Algorithm, Policy};
use edgeward::testing::{Issuer, TestHost};
use edgeward::{VerificationError, Verifier};

const ISSUER: &str = "https://issuer.example.com/";
const AUDIENCE: &str = "https://api.example.com";

/// The service: it greets the user of a valid token.
struct Service {
    verifier: Verifier,
}

impl Service {
    fn new() -> Self {
        let policy = Policy::access_token(ISSUER, [AUDIENCE], &[Algorithm::Rs256]).unwrap();
        Self { verifier: Verifier::new(policy, KeyCache::new(ISSUER, KeySource::Discovery)) }
    }

    /// Returns a status and a text. The host has the clock and the network: here those of a test, in production your server's.
    async fn greet(&self, token: &str, host: &impl KeyHost) -> (u16, String) {
        match self.verifier.verify(token, host).await {
            Ok(token) => (200, format!("Hello {}", token.claims().subject().unwrap_or("stranger"))),
            Err(VerificationError::Refused(error)) => (401, error.code().into()),
            Err(VerificationError::Unavailable(reason)) => (503, reason.error.code().into()),
        }
    }
}

/// Prints what the service answers to a valid token.
fn main() {
    let host = TestHost::new(Issuer::new(ISSUER), UnixTime::from_secs(1_800_000_000));
    let token = host.issuer().access_token(AUDIENCE, host.time()).claim("sub", "alice").sign();
    println!("{:?}", host.run(Service::new().greet(&token, &host)));
}

#[cfg(test)]
mod tests {
    use super::{AUDIENCE, ISSUER, Issuer, Service, TestHost, UnixTime};

    fn start() -> (Service, TestHost) {
        (Service::new(), TestHost::new(Issuer::new(ISSUER), UnixTime::from_secs(1_800_000_000)))
    }

    #[test]
    fn a_valid_token_is_greeted_until_it_expires() {
        let (service, host) = start();
        let token = host.issuer().access_token(AUDIENCE, host.time()).claim("sub", "alice").sign();
        assert_eq!(host.run(service.greet(&token, &host)), (200, "Hello alice".into()));
        host.advance(3600);
        assert_eq!(host.run(service.greet(&token, &host)), (401, "token_expired".into()));
    }

    #[test]
    fn a_token_for_another_api_is_refused() {
        let (service, host) = start();
        let token = host.issuer().access_token("https://other.example.com", host.time()).sign();
        assert_eq!(host.run(service.greet(&token, &host)), (401, "audience_mismatch".into()));
    }

    #[test]
    fn without_keys_the_service_is_unavailable() {
        let (service, host) = start();
        let token = host.issuer().access_token(AUDIENCE, host.time()).sign();
        host.set_down(true);
        assert_eq!(host.run(service.greet(&token, &host)).0, 503);
    }
}
