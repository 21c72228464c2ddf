//! Beginning a login.

use crate::support::browser::{Browser, Request};
use crate::support::provider::Endpoint;
use crate::support::site::{COOKIE, Site};

#[test]
fn a_login_ends_in_a_session_and_leaves_no_trace_of_itself() {
    for site in [Site::new(), Site::discovering()] {
        let mut browser = Browser::default();
        let callback = site.begin(&mut browser, "/login?return_to=/app?page=2");
        assert!(browser.names()[0].starts_with("__Host-edgeward-login-"));
        let response = site.open(&mut browser, &callback);
        assert_eq!((response.status, response.location()), (302, "/app?page=2"));
        assert_eq!(browser.names(), [COOKIE]);
        assert!(site.lines().is_empty(), "{:?}", site.lines());
        let app = site.send(&mut browser, Request::get("/app"));
        assert_eq!(app.origin_header("x-user"), Some("user-1"));
        assert_eq!(app.origin_header("x-scope"), Some("read:things write:things"));
        assert_eq!(site.provider.requests(Endpoint::Token), 1);
        assert!(site.lines().is_empty(), "{:?}", site.lines());
    }
}
