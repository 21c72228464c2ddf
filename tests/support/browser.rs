//! A tiny browser: requests as browsers and programs send them, what comes back, and a jar of cookies.

// The core's unit tests include this file, and the core has no prelude of std.
use std::prelude::rust_2024::*;

use edgeward::io::UnixTime;
use serde_json::Value;

/// The site's own origin.
pub(crate) const ORIGIN: &str = "https://app.example.com";

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Request {
    /// A request that says nothing about where it comes from. `target` is a path of the site, or a URL.
    pub(crate) fn new(method: &'static str, target: &str) -> Self {
        let url = if target.starts_with('/') { format!("{ORIGIN}{target}") } else { target.into() };
        Self { method, url, headers: Vec::new() }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    /// With this header in place of others of its name.
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(one, _)| one != name);
        self.headers.push((name.into(), value.into()));
        self
    }

    /// A person opens a page.
    pub(crate) fn page(self) -> Self {
        let page = self.header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document");
        page.header("sec-fetch-site", "none").header("accept", "text/html")
    }

    /// A script of the site asks.
    pub(crate) fn script(self) -> Self {
        let script = self.header("sec-fetch-mode", "cors").header("sec-fetch-dest", "empty");
        script.header("sec-fetch-site", "same-origin")
    }

    /// A browser looks ahead.
    pub(crate) fn prefetch(self) -> Self {
        self.page().header("sec-purpose", "prefetch")
    }

    pub(crate) fn cookie(self, header: &str) -> Self {
        if header.is_empty() { self } else { self.header("cookie", header) }
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// The value of a header.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.headers.iter().find(|(one, _)| one == name).map(|(_, value)| value.clone())
    }
}

/// What comes back. What is forwarded gets an empty 200 from the origin.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// The headers that were set for the origin, if it was asked.
    pub(crate) origin_got: Option<Vec<(String, String)>>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("{} {}", self.status, self.body))
    }

    /// `Set-Cookie` values.
    pub(crate) fn cookies(&self) -> Vec<&str> {
        self.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.as_str()).collect()
    }

    /// Whether a cookie of this name is set to something, `Some(true)`, or removed, `Some(false)`.
    pub(crate) fn sets(&self, name: &str) -> Option<bool> {
        let of_name = |cookie: &&str| cookie.split_once('=').is_some_and(|(one, _)| one == name);
        self.cookies().into_iter().find(of_name).map(|cookie| !cookie.contains("; Max-Age=0;"))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {} {}", self.status, self.body))
    }

    /// Status, and the code of a problem or a page.
    pub(crate) fn outcome(&self) -> (u16, String) {
        let is_json = self.header("content-type").is_some_and(|kind| kind.contains("json"));
        let code = if is_json { self.json()["code"].as_str().unwrap_or_default().into() } else { String::new() };
        (self.status, code)
    }

    /// A header that the origin got.
    pub(crate) fn origin_header(&self, name: &str) -> Option<&str> {
        let headers =
            self.origin_got.as_ref().unwrap_or_else(|| panic!("not forwarded: {} {}", self.status, self.body));
        headers.iter().find(|(one, _)| one.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A jar of cookies of the site's host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Browser {
    cookies: Vec<Cookie>,
}

#[derive(Debug, Clone)]
struct Cookie {
    name: String,
    value: String,
    domain: Option<String>,
    expires_ms: i64,
}

impl Browser {
    /// The `Cookie` header; empty if there are none.
    pub(crate) fn header(&self, now: UnixTime) -> String {
        let live = self.cookies.iter().filter(|cookie| now.millis() < cookie.expires_ms);
        live.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect::<Vec<_>>().join("; ")
    }

    /// The value of a cookie.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|cookie| cookie.name == name).map(|cookie| cookie.value.as_str())
    }

    /// The names of the cookies.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.cookies.iter().map(|cookie| cookie.name.as_str()).collect()
    }

    /// Does as the `Set-Cookie` headers of an answer say. Fails the test if they lack a protection.
    pub(crate) fn keep(&mut self, response: &Response, now: UnixTime) {
        for line in response.cookies() {
            let mut parts = line.split("; ");
            let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).unwrap();
            let attributes: Vec<&str> = parts.collect();
            let attribute = |name: &str| attributes.iter().find_map(|one| one.strip_prefix(name)?.strip_prefix('='));
            for wanted in ["Path=/", "HttpOnly", "Secure"] {
                assert!(attributes.contains(&wanted), "{wanted} in {line}");
            }
            assert!(attribute("SameSite").is_some(), "{line}");
            let domain = attribute("Domain").map(String::from);
            assert!(domain.is_none() || !name.starts_with("__Host-"), "{line}");
            self.cookies.retain(|one| one.name != name || one.domain != domain);
            let age_s: i64 = attribute("Max-Age").unwrap().parse().unwrap();
            if age_s > 0 {
                let expires_ms = now.millis() + 1000 * age_s;
                self.cookies.push(Cookie { name: name.into(), value: value.into(), domain, expires_ms });
            }
        }
    }

    /// Adds a cookie beside others of its name, as a host of this parent domain can.
    pub(crate) fn toss(&mut self, name: &str, value: &str, domain: &str) {
        let (name, value, domain) = (name.into(), value.into(), Some(domain.into()));
        self.cookies.push(Cookie { name, value, domain, expires_ms: i64::MAX });
    }

    pub(crate) fn forget(&mut self, name: &str) {
        self.cookies.retain(|cookie| cookie.name != name);
    }
}
