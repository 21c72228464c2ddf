//! Proves the flows of logins, sessions and logouts, branch by branch: a gateway and a provider in memory, where anything may fail,
//! come late or happen at the same time.

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

#[path = "../support/mod.rs"]
mod support;

mod begin;
mod callback;
mod logout;
mod refresh;
mod shared;
mod storm;
mod userinfo;

use edgeward::host::{Host as _, Level};
use support::browser::{Browser, Request, Response};
use support::site::Site;

#[test]
#[should_panic(expected = "a line of the log holds a secret")]
fn a_secret_in_the_log_fails_any_test_here() {
    let site = Site::new();
    let browser = site.logged_in();
    site.log(Level::Warning, &format_args!("refused {}", site.session(&browser).tokens().access));
}

#[test]
#[should_panic(expected = "a line of the log holds a secret")]
fn a_cookie_in_the_log_fails_any_test_here() {
    let site = Site::new();
    let browser = site.logged_in();
    site.log(Level::Warning, &browser.header(site.now()));
}

/// A browser whose access token is to be refreshed now; what a refresh brings is good for an hour.
fn due(site: &Site) -> Browser {
    let life_s = std::mem::replace(&mut site.provider.set().life_s, 60);
    let browser = site.logged_in();
    site.provider.set().life_s = life_s;
    site.sleep_s(40);
    browser
}

/// A request with this browser's cookies.
fn by(site: &Site, browser: &Browser, target: &str) -> Request {
    Request::get(target).cookie(&browser.header(site.now()))
}

/// What a request with this browser's cookies gets; the browser keeps nothing of it.
fn peek(site: &Site, browser: &Browser, target: &str) -> Response {
    site.ask(by(site, browser, target))
}

/// The access token that an origin gets for this browser.
fn token_of(site: &Site, browser: &Browser) -> String {
    peek(site, browser, "/token").origin_header("x-token").unwrap().into()
}
