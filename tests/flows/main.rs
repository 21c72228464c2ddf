//! The flows of logins, sessions and logouts, branch by branch, with a gateway and a provider in memory: failures, delays and
//! concurrency.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]
#![cfg(all(feature = "gateway", feature = "unicode"))]

mod begin;
mod callback;
mod dpop;
mod introspection;
mod journey;
mod logout;
mod refresh;
mod requests;
mod revocation;
mod shared;
mod step_up;
mod storm;
mod tenants;
mod upstream;
mod userinfo;
mod without_api;

use edgeward::host::{Host as _, Level};
use support::browser::{Browser, Request, Response};
use support::deployment::Deployment;

#[test]
#[should_panic(expected = "a log line contains a secret")]
fn a_secret_in_the_log_fails_any_test_here() {
    let deployment = Deployment::new();
    let browser = deployment.logged_in();
    deployment.log(Level::Warning, &format_args!("refused {}", deployment.session(&browser).tokens().access));
}

#[test]
#[should_panic(expected = "a log line contains a secret")]
fn a_cookie_in_the_log_fails_any_test_here() {
    let deployment = Deployment::new();
    let browser = deployment.logged_in();
    deployment.log(Level::Warning, &browser.header(deployment.now()));
}

/// Returns a browser whose access token is due for refresh; refreshed tokens last an hour.
fn due(deployment: &Deployment) -> Browser {
    let life_s = std::mem::replace(&mut deployment.provider.set().life_s, 60);
    let browser = deployment.logged_in();
    deployment.provider.set().life_s = life_s;
    deployment.sleep_s(40);
    browser
}

/// Returns a request with this browser's cookies.
fn by(deployment: &Deployment, browser: &Browser, target: &str) -> Request {
    Request::get(target).cookie(&browser.header(deployment.now()))
}

/// Sends a request with this browser's cookies, without storing those of the response.
fn peek(deployment: &Deployment, browser: &Browser, target: &str) -> Response {
    deployment.fetch(by(deployment, browser, target))
}

/// Returns the access token that an origin gets for this browser.
fn token_of(deployment: &Deployment, browser: &Browser) -> String {
    peek(deployment, browser, "/token").origin_header("x-token").unwrap().into()
}
