//! The configured gateway: routes, logins, sessions and forwarding.
//!
//! [`compile`] compiles a configuration document to a [`Gateway`]; [`Gateway::handle`] handles a request from start to end.

mod action;
mod agreement;
mod caching;
mod config;
mod cors;
mod customer_edge;
mod event;
mod explain;
mod forward;
mod handle;
mod headers;
mod hosts;
mod identity;
mod index;
mod inspect;
mod intent;
#[cfg(test)]
#[cfg(feature = "unicode")]
mod intent_tests;
mod matched;
mod pages;
mod pattern;
mod resource;
mod revoke;
mod route;
mod sender;
#[cfg(test)]
#[cfg(feature = "unicode")]
mod session_tests;
mod status;
mod token_source;
mod upstream;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::ControlFlow::{Break, Continue};

use self::agreement::{NoRoute, RouteTable, route_for};
#[cfg(feature = "unicode")]
pub use self::config::compile;
pub use self::config::{Compiled, Environment, Platform, Problem, compile_with, load};
use self::cors::{Cors, CorsHeaders};
pub use self::event::{Answered, RequestEvent, RequestLevel, RequestLog, RequestOutcome};
use self::event::{Recording, TIMING};
pub use self::explain::{CheckInfo, Explanation, PathReading, RouteInfo, Undecided};
pub use self::forward::{Destination, Forward, HeaderEdit};
pub use self::handle::Answer;
use self::headers::ReservedHeaders;
use self::hosts::{HostTable, Hosts};
use self::identity::IdentityTokens;
pub use self::inspect::{AuthorizerInfo, LoginInfo};
use self::matched::{Caller, MatchedRequest, Outcome};
pub use self::pages::config_invalid;
use self::resource::ProtectedResource;
use self::route::{Integration, Methods, Route};
use self::sender::SenderRules;
use self::status::Status;
pub use self::status::merged_counts;
use self::token_source::TokenSource;
pub use self::upstream::ProofOutcome;
use crate::crypto::equal_in_constant_time;
pub use crate::http::Unicode;
use crate::http::page::Pages;
use crate::http::path::RequestPath;
use crate::http::{Reply, RequestHead, canonical_name, cookies_without};
use crate::jwt::ClaimPath;
use crate::oidc::{Introspection, RelyingParty, Revocations, UpstreamClient, UpstreamTokens};
use crate::url::is_issuer;
use crate::verifier::Verifier;

/// The path of the health check for load balancers and monitoring. It needs no provider and no origin.
pub const HEALTH_PATH: &str = "/.well-known/edgeward/health";

/// The path of the login where there is a callback route and no login route.
pub const LOGIN_PATH: &str = "/.well-known/edgeward/login";

/// The prefix of the gateway's own cookie names.
const COOKIE_PREFIX: &str = "__Host-edgeward";

/// The routes and the table to find them.
#[derive(Debug)]
struct Routes {
    routes: Vec<Route>,
    table: RouteTable,
    /// Whether the login is at [`LOGIN_PATH`].
    has_default_login: bool,
}

/// Which tokens and logins are trusted, and where tokens are read.
#[derive(Debug)]
struct Trust {
    verifier: Option<Arc<Verifier>>,
    login: Option<Arc<RelyingParty>>,
    /// Obtains tokens for upstreams; `None` if no route has `upstream_auth`.
    upstream: Option<Arc<UpstreamClient>>,
    resource: Option<ProtectedResource>,
    roles_claims: Vec<(String, ClaimPath)>,
    token_sources: Vec<TokenSource>,
    revocations: Option<Revocations>,
    sender: SenderRules,
    introspection: Option<Introspection>,
    identity: Option<IdentityTokens>,
}

/// What all authorizers share.
#[derive(Debug)]
struct Surroundings {
    unicode: Unicode,
    cors: Option<Cors>,
    pages: Arc<Pages>,
}

/// A compiled configuration.
///
/// A program implements [`LoginHost`](crate::oidc::LoginHost) (and with it [`Host`](crate::host::Host)) and passes each request
/// to [`handle`](Self::handle):
///
/// ```
/// # use std::fmt::Display;
/// # use edgeward::gateway::{Answer, compile};
/// # use edgeward::host::{Host, Level, Spawn};
/// # use edgeward::http::RequestHead;
/// # use edgeward::io::{EdgeEntry, Incoming, Outgoing, UnixTime, Unreachable};
/// # use edgeward::jwk::KeyJob;
/// # use edgeward::oidc::{CoordinatorMessage, CoordinatorResponse, LoginHost, SessionJob};
/// # struct MyHost;
/// # impl Host for MyHost {
/// #     fn now(&self) -> UnixTime { UnixTime::from_secs(1_800_000_000) }
/// #     async fn send(&self, _: Outgoing) -> Result<Incoming, Unreachable> { Err(Unreachable::Network) }
/// #     async fn sleep(&self, _: u32) {}
/// #     async fn edge_get(&self, _: String) -> Option<Vec<u8>> { None }
/// #     async fn edge_put(&self, _: EdgeEntry) {}
/// #     fn log(&self, _: Level, _: &dyn Display) {}
/// # }
/// # impl Spawn<KeyJob> for MyHost { async fn spawn(&self, job: KeyJob) { job.run(self).await } }
/// # impl Spawn<SessionJob> for MyHost {
/// #     fn spawn(&self, job: SessionJob) -> impl Future<Output = ()> {
/// #         let job: std::pin::Pin<Box<dyn Future<Output = ()>>> = Box::pin(async { job.run(&MyHost).await });
/// #         job
/// #     }
/// # }
/// # impl LoginHost for MyHost {
/// #     fn entropy(&self, out: &mut [u8]) { out.fill(7) }
/// #     fn has_coordinator(&self) -> bool { false }
/// #     async fn coordinate(&self, _: CoordinatorMessage) -> Result<CoordinatorResponse, Unreachable> {
/// #         Err(Unreachable::Network)
/// #     }
/// # }
/// # fn block_on<F: Future>(future: F) -> F::Output {
/// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// #     let mut future = std::pin::pin!(future);
/// #     loop { if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) { return output } }
/// # }
/// let config = r#"{
///   "authorizer": { "type": "auth0", "domain": "tenant.us.auth0.com", "audience": "https://api.example.com" },
///   "paths": [
///     { "method": "GET", "path": "/hello", "auth": "none", "integration": { "type": "respond", "body": "hello" } },
///     { "method": "ANY", "path": "/{*rest}", "integration": { "type": "http_proxy", "url": "https://origin.example.com" } }
///   ]
/// }"#;
/// let gateway = compile(config, &|_variable| None).unwrap().gateway;
///
/// let get = |path: &str| {
///     let url = format!("https://app.example.com{path}");
///     let head = RequestHead { method: "GET", url: &url, header: &|_name| None };
///     match block_on(gateway.handle(&head, &MyHost)) {
///         Answer::Reply(reply) => reply.status,
///         Answer::Forward(_) => panic!("forwarded"),
///     }
/// };
/// assert_eq!(get("/hello"), 200);
/// assert_eq!(get("/private"), 401);
/// ```
#[derive(Debug)]
pub struct Gateway {
    routes: Vec<Route>,
    table: RouteTable,
    unicode: Unicode,
    cors: Option<Cors>,
    reserved_headers: ReservedHeaders,
    /// The appearance of pages.
    pages: Arc<Pages>,
    /// Verifies bearer tokens; `None` if no route accepts any.
    verifier: Option<Arc<Verifier>>,
    /// Handles logins; `None` if there is no login route.
    login: Option<Arc<RelyingParty>>,
    /// Whether the login is at [`LOGIN_PATH`].
    has_default_login: bool,
    /// The resource whose metadata is served, and named in challenges.
    resource: Option<ProtectedResource>,
    /// The claims with roles of issuers that have their own, sorted by issuer.
    roles_claims: Vec<(String, ClaimPath)>,
    /// Where tokens are read.
    token_sources: Vec<TokenSource>,
    /// How the senders of tokens prove that the tokens are theirs.
    sender: SenderRules,
    /// The canonical names of the cookies for tokens, of all authorizers.
    token_cookies: Vec<Vec<u8>>,
    /// The revocations of sessions and tokens; `None` if nothing can revoke them.
    revocations: Option<Revocations>,
    /// Asks about opaque tokens; `None` if they are refused.
    introspection: Option<Introspection>,
    /// Issues identity tokens for origins.
    identity: Option<IdentityTokens>,
    /// The gateways of further authorizers.
    hosts: Hosts,
    recording: Recording,
    /// Counts requests; `None` if there is no status route. All authorizers share it.
    status: Option<Arc<Status>>,
}

impl Gateway {
    fn new(routes: Routes, surroundings: Surroundings, trust: Trust) -> Self {
        let Surroundings { unicode, cors, pages } = surroundings;
        let Routes { mut routes, table, has_default_login } = routes;
        let Trust {
            verifier,
            login,
            upstream,
            resource,
            roles_claims,
            token_sources,
            revocations,
            sender,
            introspection,
            identity,
        } = trust;
        for route in &mut routes {
            route.login_step = route.integration.login_step().zip(login.clone());
        }
        if let Some(client) = &upstream {
            set_upstream_tokens(&mut routes, client);
        }
        let mut reserved_headers = ReservedHeaders::default();
        if let Some(identity) = &identity {
            reserved_headers.reserve(&identity.settings.header);
        }
        for route in &routes {
            if let Integration::Proxy { headers, .. } | Integration::Service { headers, .. } = &route.integration {
                headers.iter().for_each(|(name, _)| reserved_headers.reserve(name));
            } else if let Integration::CustomerEdge { .. } = &route.integration {
                customer_edge::HEADERS.iter().for_each(|name| reserved_headers.reserve(name));
            }
        }
        Self {
            routes,
            table,
            unicode,
            cors,
            reserved_headers,
            pages,
            verifier,
            login,
            has_default_login,
            resource,
            roles_claims,
            token_sources,
            sender,
            token_cookies: Vec::new(),
            revocations,
            introspection,
            identity,
            hosts: Hosts::default(),
            recording: Recording::default(),
            status: None,
        }
    }

    /// Joins the gateways of several authorizers, each of which is chosen by its hosts; or returns the only one.
    fn joined(gateways: Vec<Self>, table: HostTable) -> Option<Self> {
        let sources: Vec<TokenSource> = gateways.iter().flat_map(|one| one.token_sources.iter().cloned()).collect();
        let mut gateways = gateways.into_iter().map(|mut gateway| {
            sources.iter().for_each(|source| gateway.remove_before_forwarding(source));
            gateway
        });
        let first = gateways.next()?;
        Some(Self { hosts: Hosts { table, others: gateways.collect() }, ..first })
    }

    /// Keeps the tokens of a source from the origins. Routes decide about `Authorization`.
    fn remove_before_forwarding(&mut self, source: &TokenSource) {
        match source {
            TokenSource::Header(_) if source.is_authorization() => {}
            TokenSource::Header(name) => self.reserved_headers.reserve(name),
            TokenSource::Cookie(name) => self.token_cookies.push(canonical_name(name).collect()),
        }
    }

    /// Returns the claim with roles of an issuer that has its own.
    fn roles_claim_of(&self, issuer: &str) -> Option<&ClaimPath> {
        let found = match self.roles_claims.binary_search_by(|(one, _)| one.as_str().cmp(issuer)) {
            Ok(at) => self.roles_claims.get(at),
            // That of a tenant.
            Err(_) => self.roles_claims.iter().find(|(one, _)| is_issuer(one, issuer)),
        };
        found.map(|(_, claim)| claim)
    }

    /// Returns the relying party that handles logins; `None` if there is no login route. Of several authorizers, that of the first.
    #[must_use]
    pub fn login(&self) -> Option<&Arc<RelyingParty>> {
        self.login.as_ref()
    }

    /// Returns the relying party that sealed a [message](crate::oidc::CoordinatorMessage) to the coordinator of a session. If there is
    /// only one, it is not asked.
    #[must_use]
    pub fn login_of_message(&self, sealed: &str) -> Option<&Arc<RelyingParty>> {
        if self.hosts.others.is_empty() {
            return self.login();
        }
        self.all().filter_map(Self::login).find(|party| party.has_sealed(sealed))
    }

    /// Returns the upstream tokens of the [object](crate::oidc::LoginHost::coordinate_upstream) with this name.
    #[must_use]
    pub fn upstream_tokens(&self, name: &str) -> Option<&Arc<UpstreamTokens>> {
        let mut tokens = self.all().flat_map(|gateway| &gateway.routes).filter_map(|one| one.upstream_tokens.as_ref());
        tokens.find(|tokens| tokens.name() == name && !tokens.is_exchange())
    }

    /// Returns which requests are logged, if any.
    #[must_use]
    pub const fn request_log(&self) -> Option<RequestLog> {
        self.recording.log
    }

    /// Returns the name of the binding for metrics.
    #[must_use]
    pub fn metrics_binding(&self) -> &str {
        &self.recording.binding
    }

    /// Returns whether the client may see `Server-Timing`: the request has the configured secret.
    #[must_use]
    pub fn shows_timing(&self, head: &RequestHead<'_>) -> bool {
        let has = |secret: &String| {
            (head.header)(TIMING).is_some_and(|sent| equal_in_constant_time(sent.as_bytes(), secret.as_bytes()))
        };
        self.recording.timing_secret.as_ref().is_some_and(has)
    }

    /// Returns the verifier of bearer tokens; `None` if no route accepts any. Of several authorizers, that of the first.
    #[must_use]
    pub fn verifier(&self) -> Option<&Arc<Verifier>> {
        self.verifier.as_ref()
    }

    /// Finds the route of a request. Breaks with 400 for an invalid or ambiguous path, 204 for a CORS preflight, 404 or 405.
    pub(crate) fn match_route(&self, head: &RequestHead<'_>) -> Outcome<MatchedRequest<'_>> {
        // Runtimes build the URL from this header and the request target: a path in it would precede the actual path.
        if (head.header)("host").is_some_and(|host| host.contains(['/', '\\', '?', '#', '@'])) {
            return Break(bad_path("path_invalid", "The Host header is not a valid host."));
        }
        let path = match RequestPath::parse(head.url_parts().path, self.unicode) {
            Ok(path) => path,
            Err(reason) => return Break(bad_path(reason.code(), reason.detail())),
        };
        let found = self.table.find(&path, &self.routes, head.method);
        if found == Err(NoRoute::Ambiguous) {
            return Break(bad_path(
                "path_ambiguous",
                "Servers may interpret this path differently, and the matching routes have different policies.",
            ));
        }
        if let Some(preflight) = self.cors.as_ref().and_then(|cors| cors.preflight(head)) {
            return Break(preflight);
        }
        let Ok(group) = found else {
            return Break(Reply::problem(404, "not_found", "There is nothing at this path."));
        };
        // The path decides before the method, so that a request never falls through to a wider route because of its method.
        let is_refused = matches!(head.method, "CONNECT" | "TRACE" | "TRACK");
        match route_for(group, &self.routes, head.method).filter(|_| !is_refused) {
            Some(route) => Continue(MatchedRequest::new(self, route, path.into_text())),
            None => Break(self.method_not_allowed(group)),
        }
    }

    /// Finds the route that serves a path of this site.
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
        Reply::problem(405, "method_not_allowed", "This path does not support this method.")
            .with("allow", allow.join(", "))
    }

    /// Returns the CORS headers for any response to this request.
    fn cors_headers(&self, head: &RequestHead<'_>) -> CorsHeaders {
        self.cors.as_ref().map(|cors| cors.headers(head)).unwrap_or_default()
    }

    /// Whether CORS is configured, so that an origin's CORS headers are replaced.
    fn has_cors(&self) -> bool {
        self.cors.is_some()
    }

    /// Returns whether a client's header with this name, in any spelling, is dropped when a request is forwarded.
    #[must_use]
    pub fn drops(&self, name: &str) -> bool {
        self.reserved_headers.drops(name)
    }

    /// Returns a client's `Cookie` header without the gateway's own cookies: the header itself if there are none, and `None` if nothing
    /// remains.
    fn forwarded_cookies<'h>(&self, cookie: &'h str) -> Option<Cow<'h, str>> {
        cookies_without(cookie, |name| {
            let session = self.login.as_ref().map(|login| login.sessions.cookie.name.as_str());
            is_own_cookie(name, session)
                || self.token_cookies.iter().any(|one| canonical_name(name).eq(one.iter().copied()))
        })
    }
}

/// Gives the routes their upstream tokens, which those with the same `upstream_auth` share.
fn set_upstream_tokens(routes: &mut [Route], client: &Arc<UpstreamClient>) {
    let mut all: Vec<Arc<UpstreamTokens>> = Vec::new();
    for route in routes {
        let Some(auth) = route.integration.options().and_then(|options| options.upstream_auth.as_ref()) else {
            continue;
        };
        let tokens = match all.iter().find(|tokens| tokens.auth() == auth) {
            Some(tokens) => Arc::clone(tokens),
            None => {
                let tokens = Arc::new(UpstreamTokens::new(client, auth.clone()));
                all.push(Arc::clone(&tokens));
                tokens
            }
        };
        route.upstream_tokens = Some(tokens);
    }
}

/// Returns the response to a path that is refused.
fn bad_path(code: &'static str, detail: &str) -> Reply {
    Reply::problem_with(400, code, detail, &[("error", "invalid_request")])
}

/// Whether a cookie is the gateway's own. `session`: the name of the session cookie.
fn is_own_cookie(name: &str, session: Option<&str>) -> bool {
    let after =
        |prefix: &str| name.split_at_checked(prefix.len()).filter(|(start, _)| start.eq_ignore_ascii_case(prefix));
    after(COOKIE_PREFIX).is_some()
        || session.and_then(after).is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with('.'))
}
