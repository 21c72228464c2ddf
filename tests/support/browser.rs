//! A minimal browser: requests as browsers and API clients send them, responses, and a cookie jar.

// The core's unit tests include this file, and the core has no prelude of std.
use std::prelude::rust_2024::*;

use edgeward::io::UnixTime;
use serde_json::Value;

/// The gateway's own origin.
pub const ORIGIN: &str = "https://app.example.com";

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: &'static str,
    pub url: String,
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// Creates a request without `Sec-Fetch` headers. `target` is a path or a URL.
    pub fn new(method: &'static str, target: &str) -> Self {
        let url = if target.starts_with('/') { format!("{ORIGIN}{target}") } else { target.into() };
        Self { method, url, headers: Vec::new() }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    /// Sets a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(one, _)| one != name);
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Makes it a browser navigation.
    pub fn page(self) -> Self {
        let page = self.header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document");
        page.header("sec-fetch-site", "none").header("accept", "text/html")
    }

    /// Makes it a request of a same-origin script.
    pub fn script(self) -> Self {
        let script = self.header("sec-fetch-mode", "cors").header("sec-fetch-dest", "empty");
        script.header("sec-fetch-site", "same-origin")
    }

    /// Makes it a prefetch.
    pub fn prefetch(self) -> Self {
        self.page().header("sec-purpose", "prefetch")
    }

    pub fn cookie(self, header: &str) -> Self {
        if header.is_empty() { self } else { self.header("cookie", header) }
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Returns the value of a header.
    pub fn value(&self, name: &str) -> Option<String> {
        self.headers.iter().find(|(one, _)| one == name).map(|(_, value)| value.clone())
    }
}

/// A response. Forwarded requests get an empty 200 from the origin.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// The headers set for the origin, if the request was forwarded.
    pub origin_got: Option<Vec<(String, String)>>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    pub fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("{} {}", self.status, self.body))
    }

    /// Returns the `Set-Cookie` values.
    pub fn cookies(&self) -> Vec<&str> {
        self.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.as_str()).collect()
    }

    /// Returns whether a cookie with this name is set (`Some(true)`) or cleared (`Some(false)`).
    pub fn sets(&self, name: &str) -> Option<bool> {
        let has_name = |cookie: &&str| cookie.split_once('=').is_some_and(|(one, _)| one == name);
        self.cookies().into_iter().find(has_name).map(|cookie| !cookie.contains("; Max-Age=0;"))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {} {}", self.status, self.body))
    }

    /// Returns the status and the code of a problem document.
    pub fn outcome(&self) -> (u16, String) {
        let is_json = self.header("content-type").is_some_and(|kind| kind.contains("json"));
        let code = if is_json { self.json()["code"].as_str().unwrap_or_default().into() } else { String::new() };
        (self.status, code)
    }

    /// Returns a header received by the origin.
    pub fn origin_header(&self, name: &str) -> Option<&str> {
        let headers =
            self.origin_got.as_ref().unwrap_or_else(|| panic!("not forwarded: {} {}", self.status, self.body));
        headers.iter().find(|(one, _)| one.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A browser: the cookies of the gateway's host.
#[derive(Debug, Clone, Default)]
pub struct Browser {
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
    /// Returns the `Cookie` header; empty if there are no cookies.
    pub fn header(&self, now: UnixTime) -> String {
        let live = self.cookies.iter().filter(|cookie| now.millis() < cookie.expires_ms);
        live.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect::<Vec<_>>().join("; ")
    }

    /// Returns the value of a cookie.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|cookie| cookie.name == name).map(|cookie| cookie.value.as_str())
    }

    /// Returns the names of the cookies.
    pub fn names(&self) -> Vec<&str> {
        self.cookies.iter().map(|cookie| cookie.name.as_str()).collect()
    }

    /// Stores the cookies of a response. Fails the test if one lacks a protection.
    pub fn store_cookies(&mut self, response: &Response, now: UnixTime) {
        for line in response.cookies() {
            let mut parts = line.split("; ");
            let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).unwrap();
            let attributes: Vec<&str> = parts.collect();
            let attribute = |name: &str| attributes.iter().find_map(|one| one.strip_prefix(name)?.strip_prefix('='));
            for required in ["Path=/", "HttpOnly", "Secure"] {
                assert!(attributes.contains(&required), "{required} in {line}");
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

    /// Adds a cookie with the same name as others, as another host of this parent domain can.
    pub fn toss(&mut self, name: &str, value: &str, domain: &str) {
        let (name, value, domain) = (name.into(), value.into(), Some(domain.into()));
        self.cookies.push(Cookie { name, value, domain, expires_ms: i64::MAX });
    }

    pub fn forget(&mut self, name: &str) {
        self.cookies.retain(|cookie| cookie.name != name);
    }
}
