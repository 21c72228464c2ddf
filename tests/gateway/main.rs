//! The gateway as hosts use it: forwarding, changes to an origin's response, responses of the gateway itself, and `Debug` output.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]
#![cfg(feature = "unicode")]

mod agreement;
mod answers;
mod claims;
mod customer_edge;
mod debug;
mod edits;
mod encrypted;
mod events;
mod explain;
mod forward;
mod hosts;
mod identity;
mod issuers;
mod load;
mod observe;
mod organizations;
mod pages;
mod prefix;
mod problems;
mod providers;
mod resource;
mod sender;
mod status;
mod step_up;
mod token_sources;

use edgeward::gateway::{Answer, Forward, Gateway, HEALTH_PATH, compile, config_invalid};
use edgeward::http::{Reply, RequestHead};
use edgeward::session::{LoginBinding, Purpose, Sealer};
use serde_json::{Value, json};
use support::host::VirtualHost;
use support::{AUDIENCE, CLIENT, ISSUER, Mint, NOW, key_a, set_text};

const ORIGIN: &str = "https://app.example.com";
const COOKIE: &str = "__Host-edgeward";
const SEALING_SECRET: &str = "a sealing secret of at least 32 characters";
const CLIENT_SECRET: &str = "the secret of the client at the provider";

type Headers<'h> = &'h [(&'h str, &'h str)];

/// Returns a configuration with routes of every kind, configured keys, and no CORS policy.
fn config() -> Value {
    let proxy = |headers: Value| json!({ "type": "http_proxy", "url": "https://origin.example", "headers": headers });
    let claims = json!({
        "X-User": "$claims.sub", "X-Groups": "$claims.groups", "X-Level": "$claims.level", "X-None": "$claims.none",
        "X-Token": "$token", "X-Tenant": "gold"
    });
    json!({
        "authorizer": {
            "type": "auth0", "domain": "tenant.example.com", "audience": AUDIENCE, "client_id": CLIENT,
            "client_secret": CLIENT_SECRET, "redirect_uri": "https://app.example.com/cb",
            "scope": "openid offline_access", "jwks": keys()
        },
        "session": { "secrets": SEALING_SECRET },
        "paths": [
            { "method": "GET", "path": "/login", "integration": { "type": "login" } },
            { "method": "GET", "path": "/cb", "integration": { "type": "callback" } },
            { "method": ["GET", "POST"], "path": "/logout", "integration": { "type": "logout" } },
            { "method": "POST", "path": "/refresh", "integration": { "type": "refresh" } },
            { "method": "GET", "path": "/userinfo", "integration": { "type": "userinfo" } },
            { "method": "ANY", "path": "/open/{*rest}", "auth": "none", "integration": {
                "type": "http_proxy", "url": "https://origin.example/base/", "headers": { "X-Tenant": "gold" } } },
            { "method": "ANY", "path": "/maybe/{*rest}", "auth": "optional", "integration": proxy(claims.clone()) },
            { "method": "ANY", "path": "/api/{*rest}", "integration": proxy(claims) },
            { "method": "ANY", "path": "/kept/{*rest}", "integration": {
                "type": "http_proxy", "url": "https://origin.example", "strip_authorization": false } },
            { "method": "ANY", "path": "/kept-open/{*rest}", "auth": "none", "integration": {
                "type": "http_proxy", "url": "http://127.0.0.1:8080", "strip_authorization": false } },
            { "method": "ANY", "path": "/service/{*rest}", "auth": "none", "integration": {
                "type": "service", "binding": "BACKEND" } },
            { "method": "ANY", "path": "/private-service/{*rest}", "integration": {
                "type": "service", "binding": "OTHER", "headers": { "X-User": "$claims.sub" } } },
            { "method": "GET", "path": "/cached", "integration": { "type": "respond", "body": "cached", "headers": {
                "Cache-Control": "public, max-age=60", "CDN-Cache-Control": "public", "Surrogate-Control": "max-age=60" } } },
            { "method": "GET", "path": "/public", "auth": "none", "integration": {
                "type": "respond", "headers": { "Cache-Control": "public, max-age=60", "CDN-Cache-Control": "public" }, "body": "public" } },
            { "method": "GET", "path": "/page", "integration": {
                "type": "respond", "headers": { "Cache-Control": "private, max-age=5" }, "body": { "is": "page" } } },
            { "method": "GET", "path": "/admin", "scopes": ["admin"], "integration": { "type": "respond" } },
            { "method": "GET", "path": "/editor", "scopes": ["edit"], "on_forbidden": "/sorry", "integration": {
                "type": "respond" } },
            { "method": "GET", "path": "/sorry", "auth": "none", "integration": { "type": "respond" } }
        ]
    })
}

fn keys() -> Value {
    serde_json::from_str(&set_text([key_a().jwk()])).unwrap()
}

/// Returns the same configuration with CORS for another origin.
fn config_with_cors() -> Value {
    let mut config = config();
    config["cors"] = json!({
        "allow_origins": ["https://www.example.com", "https://*.example.net"], "allow_credentials": true,
        "expose_headers": ["x-total", "etag"], "max_age_s": 600
    });
    config
}

/// An allowed origin.
const ALLOWED: (&str, &str) = ("origin", "https://www.example.com");
const OTHER: (&str, &str) = ("origin", "https://evil.example");

fn gateway(config: &Value) -> Gateway {
    compile(&config.to_string(), &|_| None).unwrap_or_else(|problems| panic!("{problems:?}")).gateway
}

/// Handles a request. `target` is a path or a URL.
fn handle<'g>(
    gateway: &'g Gateway,
    host: &VirtualHost,
    method: &str,
    target: &str,
    headers: Headers<'_>,
) -> Answer<'g> {
    let url = if target.starts_with('/') { format!("{ORIGIN}{target}") } else { target.into() };
    let header = |name: &str| headers.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
    let head = RequestHead { method, url: &url, header: &header };
    host.run(gateway.handle(&head, host))
}

fn reply(gateway: &Gateway, method: &str, target: &str, headers: Headers<'_>) -> Reply {
    match handle(gateway, &VirtualHost::default(), method, target, headers) {
        Answer::Reply(reply) => reply,
        Answer::Forward(forward) => panic!("{target} is forwarded: {:?}", forward.set),
    }
}

fn forward<'g>(gateway: &'g Gateway, method: &str, target: &str, headers: Headers<'_>) -> Forward<'g> {
    match handle(gateway, &VirtualHost::default(), method, target, headers) {
        Answer::Forward(forward) => forward,
        Answer::Reply(reply) => panic!("{target} is answered: {} {}", reply.status, reply.body),
    }
}

/// Returns all values of a header.
fn values<'r>(reply: &'r Reply, name: &str) -> Vec<&'r str> {
    reply.headers.iter().filter(|(one, _)| one == name).map(|(_, value)| value.as_str()).collect()
}

fn problem(reply: &Reply) -> Value {
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{}", reply.body);
    let problem: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(problem["status"], reply.status, "{}", reply.body);
    problem
}

fn code(reply: &Reply) -> String {
    problem(reply)["code"].as_str().unwrap().into()
}

/// Returns an access token of this gateway's provider.
fn token() -> Mint {
    Mint::access(key_a()).claim("groups", json!(["a", "é"])).claim("level", 3)
}

fn bearer(token: &Mint) -> String {
    format!("Bearer {}", token.text())
}

/// A session to seal into a `Cookie` header.
struct Login {
    content: Value,
}

impl Login {
    /// A new session without a refresh token, whose access token is valid for an hour.
    fn new() -> Self {
        let content = json!({
            "v": 2, "id": "name-of-a-session", "iat": NOW, "seen": NOW, "nonce": "nonce-of-a-login",
            "claims": { "iss": ISSUER, "sub": "auth0|1", "groups": ["a"] }, "rights": null, "unread": null,
            "at": "access-token-of-a-session", "at_iat": NOW, "at_exp": NOW + 3600, "rt": null,
            "idt": "id-token-of-a-session"
        });
        Self { content }
    }

    /// Sets a member of its content.
    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.content[name] = value.into();
        self
    }

    /// A session whose cookie is due to be rewritten.
    fn with_stale_cookie() -> Self {
        Self::new().with("iat", NOW - 40_000).with("seen", NOW - 40_000)
    }

    fn cookie(&self) -> String {
        let audience = [AUDIENCE.to_owned()];
        let binding = LoginBinding { issuer: ISSUER, client_id: CLIENT, audience: &audience };
        let sealer = Sealer::new(&[SEALING_SECRET], binding);
        let content = self.content.to_string();
        let sealed = sealer.seal(Purpose::Session, "app.example.com", content.as_bytes(), &[7; 24]).unwrap();
        format!("{COOKIE}=1.{sealed}")
    }
}

#[test]
fn the_health_check_works_with_any_configuration_without_requests() {
    let mut config = config_with_cors();
    config["paths"] = json!([
        { "method": "GET", "path": "/login", "integration": { "type": "login" } },
        { "method": "GET", "path": "/cb", "integration": { "type": "callback" } },
        { "method": "ANY", "path": "/{*rest}", "integration": { "type": "respond" } }
    ]);
    let gateway = gateway(&config);
    let host = VirtualHost::default();
    for (method, target) in [("GET", HEALTH_PATH.to_owned()), ("HEAD", format!("{HEALTH_PATH}?from=monitor"))] {
        let headers = [("cookie", "__Host-edgeward=1.x"), ("authorization", "Bearer x y"), ALLOWED];
        let Answer::Reply(reply) = handle(&gateway, &host, method, &target, &headers) else { panic!() };
        assert_eq!(reply.status, 200);
        assert_eq!(reply.body, format!(r#"{{"status":"ok","version":"{}"}}"#, env!("CARGO_PKG_VERSION")));
        assert_eq!(values(&reply, "cache-control"), ["no-store"]);
        assert_eq!(values(&reply, "content-type"), ["application/json"]);
        assert_eq!(values(&reply, "set-cookie"), [""; 0]);
    }
    for other in ["/.well-known/edgeward/health/", "/.well-known/edgeward/%68ealth", "//.well-known/edgeward/health"] {
        assert_eq!(self::reply(&gateway, "GET", other, &[]).status, 401, "{other} is an ordinary path");
    }
    assert!(host.seen().sent.is_empty() && host.seen().lines.is_empty() && host.seen().edge_asked.is_empty());
}

#[test]
fn an_invalid_configuration_has_one_response() {
    let head = RequestHead { method: "GET", url: ORIGIN, header: &|_| None };
    let reply = config_invalid(&head, &["a problem".into()]);
    assert_eq!((reply.status, code(&reply).as_str()), (503, "config_invalid"));
    assert_eq!(values(&reply, "cache-control"), ["no-store"]);
    assert!(!reply.body.contains("a problem"), "only pages show problems");
}
