//! The gateway: a configuration and a request in, an answer out.
//!
//! [`compile`] makes a [`Gateway`] of a configuration document; [`Gateway::handle`] is the whole life of a request.

mod action;
mod agreement;
mod config;
mod cors;
mod forward;
mod handle;
mod headers;
mod index;
mod intent;
#[cfg(test)]
#[cfg(feature = "unicode")]
mod intent_tests;
mod matched;
mod pattern;
mod route;
#[cfg(test)]
#[cfg(feature = "unicode")]
mod session_tests;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::ControlFlow::{Break, Continue};

use self::agreement::{NoRoute, RouteTable, route_for};
#[cfg(feature = "unicode")]
pub use self::config::compile;
pub use self::config::{Compiled, Environment, Platform, Problem, compile_with, load};
use self::cors::{Cors, CorsHeaders};
pub use self::forward::{Destination, Forward, HeaderEdit};
pub use self::handle::{Answer, config_invalid};
use self::headers::ReservedHeaders;
use self::matched::{Caller, MatchedRequest, Outcome};
use self::route::{Integration, Methods, Route};
pub use crate::http::Unicode;
use crate::http::path::RequestPath;
use crate::http::{Reply, RequestHead, cookies_without};
use crate::oidc::RelyingParty;
use crate::verifier::Verifier;

/// Answers without configuration, provider or origin: for load balancers and monitoring.
pub const HEALTH_PATH: &str = "/.well-known/edgeward/health";

/// Prefix of the names of the gateway's own cookies.
const COOKIE_PREFIX: &str = "__Host-edgeward";

/// Routes, and how they are found.
#[derive(Debug)]
struct Routes {
    routes: Vec<Route>,
    table: RouteTable,
}

/// Compiled routes and contracts.
#[derive(Debug)]
pub struct Gateway {
    routes: Vec<Route>,
    table: RouteTable,
    unicode: Unicode,
    cors: Option<Cors>,
    reserved_headers: ReservedHeaders,
    /// Verifies bearer tokens; `None` if no route asks for any.
    verifier: Option<Arc<Verifier>>,
    /// How people log in; `None` if no route does that.
    login: Option<Arc<RelyingParty>>,
}

impl Gateway {
    fn new(
        routes: Routes,
        unicode: Unicode,
        cors: Option<Cors>,
        verifier: Option<Arc<Verifier>>,
        login: Option<Arc<RelyingParty>>,
    ) -> Self {
        let Routes { mut routes, table } = routes;
        for route in &mut routes {
            route.login_step = route.integration.login_step().zip(login.clone());
        }
        let mut reserved_headers = ReservedHeaders::default();
        for route in &routes {
            if let Integration::Proxy { headers, .. } | Integration::Service { headers, .. } = &route.integration {
                headers.iter().for_each(|(name, _)| reserved_headers.reserve(name));
            }
        }
        Self { routes, table, unicode, cors, reserved_headers, verifier, login }
    }

    /// How people log in; `None` if no route does that.
    #[must_use]
    pub fn login(&self) -> Option<&Arc<RelyingParty>> {
        self.login.as_ref()
    }

    /// The verifier of bearer tokens; `None` if no route asks for any.
    #[must_use]
    pub fn verifier(&self) -> Option<&Arc<Verifier>> {
        self.verifier.as_ref()
    }

    /// Finds the route of a request. Answers with 400 for an invalid or ambiguous path, 204 for a CORS preflight, 404 or 405.
    pub(crate) fn match_route(&self, head: &RequestHead<'_>) -> Outcome<MatchedRequest<'_>> {
        let bad_path = |code, detail| Reply::problem_with(400, code, detail, &[("error", "invalid_request")]);
        // Runtimes make the URL of this header and the request target: a path in it would stand before the path.
        if (head.header)("host").is_some_and(|host| host.contains(['/', '\\', '?', '#', '@'])) {
            return Break(bad_path("path_invalid", "The Host header is no host."));
        }
        let path = match RequestPath::parse(head.url_parts().path, self.unicode) {
            Ok(path) => path,
            Err(reason) => return Break(bad_path(reason.code(), reason.detail())),
        };
        let found = self.table.find(&path, &self.routes, head.method);
        if found == Err(NoRoute::Ambiguous) {
            return Break(bad_path(
                "path_ambiguous",
                "Servers read this path in different ways, and the routes that they would find have different policies.",
            ));
        }
        if let Some(preflight) = self.cors.as_ref().and_then(|cors| cors.preflight(head)) {
            return Break(preflight);
        }
        let Ok(group) = found else {
            return Break(Reply::problem(404, "not_found", "There is nothing at this path."));
        };
        // The path decides first, then the method. So a request never falls through to a wider route because of its method.
        let is_refused = matches!(head.method, "CONNECT" | "TRACE" | "TRACK");
        match route_for(group, &self.routes, head.method).filter(|_| !is_refused) {
            Some(route) => Continue(MatchedRequest::new(self, route, path.into_text())),
            None => Break(self.method_not_allowed(group)),
        }
    }

    /// The route that serves a path of this site.
    fn route_at(&self, path: &str, method: &str) -> Option<&Route> {
        let path = RequestPath::parse(path, self.unicode).ok()?;
        route_for(self.table.find(&path, &self.routes, method).ok()?, &self.routes, method)
    }

    fn method_not_allowed(&self, group: &[usize]) -> Reply {
        let mut allow: Vec<&str> = Vec::new();
        for route in group.iter().filter_map(|&position| self.routes.get(position)) {
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
    fn cors_headers(&self, head: &RequestHead<'_>) -> CorsHeaders {
        self.cors.as_ref().map(|cors| cors.headers(head)).unwrap_or_default()
    }

    /// Whether CORS is configured, so that an origin's own CORS headers give way.
    fn has_cors(&self) -> bool {
        self.cors.is_some()
    }

    /// Whether a client's header of this name, in any spelling, is left out when a request is forwarded.
    #[must_use]
    pub fn drops(&self, name: &str) -> bool {
        self.reserved_headers.drops(name)
    }

    /// A client's `Cookie` header without the gateway's own cookies; `None` if nothing is left.
    fn forwarded_cookies(&self, cookie: &str) -> Option<String> {
        cookies_without(cookie, |name| {
            let after = |prefix: &str| {
                name.split_at_checked(prefix.len()).filter(|(start, _)| start.eq_ignore_ascii_case(prefix))
            };
            let session = self.login.as_ref().and_then(|login| after(&login.sessions.cookie.name));
            after(COOKIE_PREFIX).is_some() || session.is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with('.'))
        })
    }
}
