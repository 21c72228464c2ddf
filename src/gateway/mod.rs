//! The gateway: configuration in, a decision about each request out. No I/O.
//!
//! What happens to a request:
//!
//! 1. [`Gateway::enter`]: canonical path or 400; CORS preflight answered; route found or 404 / 405.
//! 2. [`Entered::credentials`]: the bearer token, nothing, or 400 / 401.
//! 3. [`Verifier::check`](crate::Verifier::check) decides about the token.
//! 4. [`Entered::authorize`]: the route's demands, or 403.
//! 5. [`Entered::action`]: what to do now.

mod config;
mod cors;
mod headers;
mod lookalike;
mod path;
mod pattern;
mod route;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub use self::config::{Compiled, Environment, Problem, compile};
use self::cors::Cors;
pub use self::cors::CorsHeaders;
use self::headers::{HeaderTemplates, OwnedHeaders};
pub(crate) use self::path::CanonicalPath;
use self::pattern::Reading;
use self::route::{Auth, Integration, Methods, OnForbidden, Route};
use crate::error::{Forbidden, VerifyError};
use crate::http::{
    Bearer, Reply, RequestHead, bad_request, bearer_token, cookies_without, forbidden, missing_token, refused,
};
use crate::jwt::VerifiedToken;

/// Answers without configuration, provider or origin: for load balancers and monitoring.
pub const HEALTH_PATH: &str = "/.well-known/edgeward/health";

/// Prefix of the names of the gateway's own cookies.
const COOKIE_PREFIX: &str = "__Host-edgeward";

/// Compiled routes and contracts.
#[derive(Debug)]
pub struct Gateway {
    routes: Vec<Route>,
    cors: Option<Cors>,
    owned_headers: OwnedHeaders,
}

/// A request that has a route.
#[derive(Debug)]
pub struct Entered<'g> {
    route: &'g Route,
    path: CanonicalPath,
}

/// What a request proves itself with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing, and nothing is needed.
    Anonymous,
    /// This token, to be verified.
    Bearer(Token),
}

/// A token as received. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Debug for Token {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What to do with a request that may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action<'g> {
    /// Answer this.
    Respond(Reply),
    /// Send it to this URL.
    Proxy(String, Forward),
    /// Send it through this service binding.
    Service(&'g str, Forward),
}

/// How a request is forwarded. First [`Gateway::drops`] says which of its headers to leave out.
#[derive(Clone, PartialEq, Eq)]
pub struct Forward {
    /// Path and query for the origin: the canonical path on which policy was decided.
    pub target: String,
    /// Headers to set.
    pub set: Vec<(String, String)>,
    /// Whether `Authorization` goes along.
    pub keeps_authorization: bool,
    /// Whether the answer may depend on who asks, so that no shared cache may keep it.
    pub is_private: bool,
}

impl core::fmt::Debug for Forward {
    /// Leaves out query and headers.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Forward").field("is_private", &self.is_private).finish_non_exhaustive()
    }
}

impl Gateway {
    fn new(routes: Vec<Route>, cors: Option<Cors>) -> Self {
        let mut owned_headers = OwnedHeaders::default();
        for route in &routes {
            if let Integration::Proxy { headers, .. } | Integration::Service { headers, .. } = &route.integration {
                headers.iter().for_each(|(name, _)| owned_headers.own(name));
            }
        }
        Self { routes, cors, owned_headers }
    }

    /// Finds the route of a request, or answers.
    ///
    /// # Errors
    /// The answer: 400 for an ambiguous path, 204 for a CORS preflight, 404 or 405.
    pub fn enter(&self, head: &RequestHead<'_>) -> Result<Entered<'_>, Reply> {
        let path = CanonicalPath::parse(head.url_parts().path).map_err(|reason| {
            Reply::problem_with(400, "path_invalid", reason.detail(), &[("error", "invalid_request")])
        })?;
        if let Some(preflight) = self.cors.as_ref().and_then(|cors| cors.preflight(head)) {
            return Err(preflight);
        }
        let route = self.route(&path, head.method)?;
        Ok(Entered { route, path })
    }

    /// The most specific pattern decides; only then the method. So a request never falls through to a wider route because
    /// of its method.
    fn route(&self, path: &CanonicalPath, method: &str) -> Result<&Route, Reply> {
        let found = self.best(path).ok_or_else(not_found)?;
        if !path.is_plain() && self.could_pass_for_protected(path, found) {
            return Err(not_found());
        }
        if matches!(method, "CONNECT" | "TRACE" | "TRACK") {
            return Err(self.method_not_allowed(found));
        }
        let candidates = || self.routes.iter().filter(|route| same_paths(route, found));
        candidates()
            .find(|route| route.methods.names(method))
            .or_else(|| candidates().find(|route| route.methods.is_any()))
            .ok_or_else(|| self.method_not_allowed(found))
    }

    fn best(&self, path: &CanonicalPath) -> Option<&Route> {
        let mut best: Option<&Route> = None;
        for route in self.routes.iter().filter(|route| route.pattern.matches(path, Reading::Exact)) {
            if best.is_none_or(|best| route.pattern.beats(&best.pattern)) {
                best = Some(route);
            }
        }
        best
    }

    /// Whether a lenient origin could take the path for one of a more specific, protected route: /Admin for /admin.
    fn could_pass_for_protected(&self, path: &CanonicalPath, found: &Route) -> bool {
        let readings = [path, &path.cut()];
        let stricter = |route: &&Route| route.auth != Auth::None && route.pattern.beats(&found.pattern);
        let mut stricter = self.routes.iter().filter(stricter);
        stricter.any(|route| readings.iter().any(|path| route.pattern.matches(path, Reading::Lenient)))
    }

    fn method_not_allowed(&self, found: &Route) -> Reply {
        let mut allow: Vec<&str> = Vec::new();
        for route in self.routes.iter().filter(|route| same_paths(route, found)) {
            match &route.methods {
                Methods::Only(methods) => allow.extend(methods.iter().map(String::as_str)),
                Methods::Any => allow.extend(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
            }
        }
        if allow.contains(&"GET") && !allow.contains(&"HEAD") {
            allow.push("HEAD");
        }
        Reply::problem(405, "method_not_allowed", "This path does not answer to this method.")
            .with("allow", allow.join(", "))
    }

    /// CORS headers for the answer to a request, whatever that answer is.
    #[must_use]
    pub fn cors_headers(&self, head: &RequestHead<'_>) -> CorsHeaders {
        self.cors.as_ref().map(|cors| cors.headers(head)).unwrap_or_default()
    }

    /// Whether CORS is configured, so that an origin's own CORS headers give way.
    #[must_use]
    pub fn has_cors(&self) -> bool {
        self.cors.is_some()
    }

    /// Whether a client's header of this name, in any spelling, is left out when a request is forwarded.
    #[must_use]
    pub fn drops(&self, name: &str) -> bool {
        self.owned_headers.drops(name)
    }

    /// A client's `Cookie` header without the gateway's own cookies; `None` if nothing is left.
    #[must_use]
    pub fn forwarded_cookies(&self, cookie: &str) -> Option<String> {
        cookies_without(cookie, |name| {
            name.get(..COOKIE_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(COOKIE_PREFIX))
        })
    }
}

/// Whether two routes match the same paths, whatever their parameters are called.
fn same_paths(one: &Route, two: &Route) -> bool {
    one.pattern.is_within(&two.pattern) && two.pattern.is_within(&one.pattern)
}

fn not_found() -> Reply {
    Reply::problem(404, "not_found", "There is nothing at this path.")
}

impl<'g> Entered<'g> {
    /// Reads what the request proves itself with.
    ///
    /// # Errors
    /// The answer: 401 without a token where one is needed, 400 for a malformed or misplaced one.
    pub fn credentials(&self, head: &RequestHead<'_>) -> Result<Credentials, Reply> {
        if self.route.auth == Auth::None {
            return Ok(Credentials::Anonymous);
        }
        // RFC 6750 §2.3 allows it, RFC 9700 §4.3.2 forbids it: URLs end up in logs.
        if has_token_in_query(head.url_parts().query.unwrap_or_default()) {
            return Err(bad_request("Send the access token in the Authorization header, not in the query."));
        }
        match bearer_token((head.header)("authorization").as_deref()) {
            Bearer::Token(token) => Ok(Credentials::Bearer(Token(token.into()))),
            Bearer::Malformed => {
                Err(bad_request("The Authorization header must be one \"Bearer\", one space, and one token."))
            }
            Bearer::Absent if self.route.auth == Auth::Required => Err(missing_token()),
            Bearer::Absent => Ok(Credentials::Anonymous),
        }
    }

    /// Checks the rights that the route demands.
    ///
    /// # Errors
    /// The answer: 403, or a redirect where the route says so.
    pub fn authorize(&self, token: &VerifiedToken) -> Result<(), Reply> {
        self.route.demands.check(token.claims()).map_err(|reason| self.forbid(&reason))
    }

    /// The answer to a token that was refused.
    #[must_use]
    pub fn refuse(&self, error: &VerifyError) -> Reply {
        match error {
            VerifyError::Forbidden(reason) => self.forbid(reason),
            VerifyError::ClientNotAllowed => self.redirect_forbidden().unwrap_or_else(|| refused(error)),
            error => refused(error),
        }
    }

    fn forbid(&self, reason: &Forbidden) -> Reply {
        self.redirect_forbidden().unwrap_or_else(|| forbidden(reason, &self.route.demands))
    }

    fn redirect_forbidden(&self) -> Option<Reply> {
        match &self.route.on_forbidden {
            OnForbidden::Problem => None,
            OnForbidden::Redirect(path) => {
                Some(Reply::new(302).with("location", path.clone()).with("cache-control", "private, no-store"))
            }
        }
    }

    /// What to do with the request, now that it may pass.
    #[must_use]
    pub fn action(&self, head: &RequestHead<'_>, token: Option<(&VerifiedToken, &str)>) -> Action<'g> {
        match &self.route.integration {
            Integration::Respond { status, headers, body, is_json } => {
                Action::Respond(self.respond(*status, headers, body, *is_json, token))
            }
            Integration::Proxy { url, headers, strip_authorization } => {
                let forward = self.forward(head, headers, *strip_authorization, token);
                Action::Proxy(format!("{url}{}", forward.target), forward)
            }
            Integration::Service { binding, headers, strip_authorization } => {
                Action::Service(binding, self.forward(head, headers, *strip_authorization, token))
            }
            Integration::Login
            | Integration::Callback
            | Integration::Logout
            | Integration::Userinfo
            | Integration::Refresh => {
                Action::Respond(Reply::problem(501, "login_not_available", "This build of the gateway has no login."))
            }
        }
    }

    fn respond(
        &self,
        status: u16,
        headers: &HeaderTemplates,
        body: &str,
        is_json: bool,
        token: Option<(&VerifiedToken, &str)>,
    ) -> Reply {
        let mut reply = Reply { body: body.into(), ..Reply::new(status) };
        for (name, value) in render(headers, token) {
            reply.headers.push((Cow::Owned(name.to_ascii_lowercase()), value));
        }
        if !body.is_empty() && reply.header("content-type").is_none() {
            let media_type = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
            reply = reply.with("content-type", media_type);
        }
        if self.route.auth != Auth::None && reply.header("cache-control").is_none() {
            reply = reply.with("cache-control", "private, no-store");
        }
        reply
    }

    fn forward(
        &self,
        head: &RequestHead<'_>,
        headers: &HeaderTemplates,
        strip_authorization: bool,
        token: Option<(&VerifiedToken, &str)>,
    ) -> Forward {
        let url = head.url_parts();
        let mut target = self.path.as_str().to_string();
        if let Some(query) = url.query {
            target.push('?');
            target.push_str(query);
        }
        let mut set = Vec::new();
        set.push(("x-forwarded-host".to_string(), url.authority.to_string()));
        let scheme = if head.url.starts_with("https:") { "https" } else { "http" };
        set.push(("x-forwarded-proto".to_string(), scheme.to_string()));
        if let Some(address) = (head.header)("cf-connecting-ip") {
            set.push(("x-forwarded-for".to_string(), address));
        }
        set.extend(render(headers, token).map(|(name, value)| (name.to_string(), value)));
        Forward { target, set, keeps_authorization: !strip_authorization, is_private: self.route.auth != Auth::None }
    }
}

fn render<'t>(
    headers: &'t HeaderTemplates,
    token: Option<(&'t VerifiedToken, &'t str)>,
) -> impl Iterator<Item = (&'t str, String)> {
    headers.iter().filter_map(move |(name, value)| {
        let value = value.render(token.map(|(verified, _)| verified.claims()), token.map(|(_, text)| text))?;
        Some((name.as_str(), value))
    })
}

/// Whether the query has a parameter `access_token`, percent-decoded.
fn has_token_in_query(query: &str) -> bool {
    query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        percent_decoded_eq(name, "access_token")
    })
}

fn percent_decoded_eq(encoded: &str, plain: &str) -> bool {
    let mut rest = encoded.as_bytes();
    let mut expected = plain.bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let byte = match (byte, rest.split_first_chunk::<2>()) {
            (b'%', Some((digits, after))) => {
                let text = core::str::from_utf8(digits).unwrap_or_default();
                match u8::from_str_radix(text, 16) {
                    Ok(decoded) => {
                        rest = after;
                        decoded
                    }
                    Err(_) => byte,
                }
            }
            _ => byte,
        };
        if expected.next() != Some(byte) {
            return false;
        }
    }
    expected.next().is_none()
}
