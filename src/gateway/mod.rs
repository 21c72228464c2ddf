//! The gateway: configuration in, a decision about each request out. No I/O.
//!
//! What happens to a request:
//!
//! 1. [`Gateway::enter`]: canonical path or 400; CORS preflight answered; route found or 404 / 405.
//! 2. [`Entered::credentials`]: the bearer token, the session, nothing, or a refusal.
//! 3. [`Verifier::check`](crate::Verifier::check) decides about a token; a session was verified when it began.
//! 4. [`Entered::authorize`]: the route's demands, or 403.
//! 5. [`Entered::action`]: what to do now.

mod action;
mod config;
mod cors;
mod entered;
mod headers;
mod intent;
#[cfg(test)]
mod intent_tests;
mod login;
mod lookalike;
mod path;
mod pattern;
mod route;
#[cfg(test)]
mod session_tests;

use alloc::string::String;
use alloc::vec::Vec;

pub use self::action::{Action, Forward, LoginStep};
pub use self::config::{Compiled, Environment, Problem, compile};
use self::cors::Cors;
pub use self::cors::CorsHeaders;
pub use self::entered::{Caller, Credentials, Entered, Token};
use self::headers::OwnedHeaders;
pub use self::login::{Login, LoginState};
pub(crate) use self::path::CanonicalPath;
use self::pattern::Reading;
use self::route::{Auth, Integration, Methods, Route};
use crate::http::{Reply, RequestHead, cookies_without};

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
    login: Option<Login>,
}

impl Gateway {
    fn new(routes: Vec<Route>, cors: Option<Cors>, login: Option<Login>) -> Self {
        let mut owned_headers = OwnedHeaders::default();
        for route in &routes {
            if let Integration::Proxy { headers, .. } | Integration::Service { headers, .. } = &route.integration {
                headers.iter().for_each(|(name, _)| owned_headers.own(name));
            }
        }
        Self { routes, cors, owned_headers, login }
    }

    /// How people log in; `None` if no route does that.
    #[must_use]
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
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
        Ok(Entered::new(self, route, path))
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
            let after = |prefix: &str| {
                name.split_at_checked(prefix.len()).filter(|(start, _)| start.eq_ignore_ascii_case(prefix))
            };
            let session = self.login.as_ref().and_then(|login| after(&login.sessions.cookie.name));
            after(COOKIE_PREFIX).is_some() || session.is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with('.'))
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
