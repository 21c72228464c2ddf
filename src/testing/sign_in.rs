//! Sessions of test users, through the gateway's own login.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::pin::Pin;

use serde_json::{Map, Value, json};

use super::host::{State, json_response};
use super::{LIFETIME_S, TestHost, text_of};
use crate::crypto::sha256;
use crate::gateway::{Answer, Gateway};
use crate::host::Spawn;
use crate::http::{Reply, RequestHead, percent};
use crate::io::{Incoming, UnixTime, Unreachable};
use crate::oidc::{CoordinatorMessage, CoordinatorResponse, LoginHost, SessionJob, SharedMessage, SharedResponse};

/// A user to [sign in](TestHost::sign_in).
#[derive(Debug, Clone, Default)]
pub struct TestUser {
    claims: Map<String, Value>,
    access: Map<String, Value>,
}

impl TestUser {
    /// Creates a user with this `sub`.
    #[must_use]
    pub fn new(subject: &str) -> Self {
        let user = Self::default().claim("sub", subject);
        user.access_claim("sub", subject)
    }

    /// Sets a claim of the ID token, such as `email`.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Sets a claim of the access token, such as `permissions`. By default, `scope` is the requested one.
    #[must_use]
    pub fn access_claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.access.insert(name.into(), value.into());
        self
    }
}

/// The logins that have begun, by code, and those that can be refreshed, by refresh token.
#[derive(Default)]
pub(super) struct Logins {
    grants: BTreeMap<String, Grant>,
    issued: u64,
}

/// An authorization request and the user who consented.
#[derive(Clone)]
struct Grant {
    asked: BTreeMap<String, String>,
    user: TestUser,
}

impl Logins {
    /// Stores a grant and returns its code or refresh token.
    fn issue(&mut self, kind: &str, grant: Grant) -> String {
        self.issued += 1;
        let name = format!("{kind}-{}", self.issued);
        self.grants.insert(name.clone(), grant);
        name
    }
}

impl TestHost {
    /// Sets the body of the next request to a route that reads it: `revoke` or `backchannel_logout`.
    pub fn set_body(&self, body: &str) {
        self.0.with(|state| state.body = Some(body.into()));
    }

    /// Logs a user in through the gateway, and returns the session as the value of a `Cookie` header. The gateway itself seals the session: it
    /// is as valid as any other.
    ///
    /// `login_url` is the address of the login route, on the host of `authorizer.redirect_uri`. The login client must trust the host's issuer.
    ///
    /// ```
    /// use edgeward::gateway::{Answer, compile};
    /// use edgeward::http::RequestHead;
    /// use edgeward::io::UnixTime;
    /// use edgeward::testing::{Issuer, TestHost, TestUser};
    ///
    /// let config = r#"{
    ///   "authorizer": {
    ///     "type": "auth0", "domain": "tenant.us.auth0.com", "audience": "https://api.example.com", "client_id": "web",
    ///     "client_secret": "only for this test", "redirect_uri": "https://app.example.com/callback"
    ///   },
    ///   "session": { "secrets": "a secret of at least 32 characters" },
    ///   "paths": [
    ///     { "method": "GET", "path": "/login", "integration": { "type": "login" } },
    ///     { "method": "GET", "path": "/callback", "integration": { "type": "callback" } },
    ///     { "method": "GET", "path": "/account", "integration": { "type": "respond", "body": "yours" } }
    ///   ]
    /// }"#;
    /// let gateway = compile(config, &|_variable| None).unwrap().gateway;
    /// let host = TestHost::new(Issuer::new("https://tenant.us.auth0.com/"), UnixTime::from_secs(1_800_000_000));
    /// let cookie = host.run(host.sign_in(&gateway, "https://app.example.com/login", &TestUser::new("alice")));
    ///
    /// let header = |name: &str| (name == "cookie").then(|| cookie.clone());
    /// let head = RequestHead { method: "GET", url: "https://app.example.com/account", header: &header };
    /// let Answer::Reply(reply) = host.run(gateway.handle(&head, &host)) else { panic!("forwarded") };
    /// assert_eq!((reply.status, reply.body.as_str()), (200, "yours"));
    /// ```
    ///
    /// # Panics
    /// If the gateway does not answer with a redirect to the issuer, or refuses the callback.
    pub async fn sign_in(&self, gateway: &Gateway, login_url: &str, user: &TestUser) -> String {
        let mut jar = BTreeMap::new();
        let begun = self.visit(gateway, login_url, &mut jar).await;
        let location = begun.header("location").unwrap_or_default();
        let (endpoint, query) = location.split_once('?').unwrap_or_default();
        assert!(
            endpoint.starts_with(self.issuer().url()),
            "{login_url} answered {} instead of a redirect to the issuer: {}",
            begun.status,
            begun.body
        );
        let asked = parameters(query);
        let at = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
        let (redirect_uri, mut answer) = (String::from(at("redirect_uri")), String::from("state="));
        percent::push_component(&mut answer, at("state"));
        answer.push_str("&code=");
        let grant = Grant { asked: asked.clone(), user: user.clone() };
        answer.push_str(&self.0.with(|state| state.logins.issue("code", grant)));
        let landed = self.visit(gateway, &format!("{redirect_uri}?{answer}"), &mut jar).await;
        // With SameSite=Strict, the answer is a page that continues by itself.
        assert!(landed.status < 400, "the callback answered {}: {}", landed.status, landed.body);
        cookie_header(&jar)
    }

    /// Requests a page of the gateway as a browser does.
    async fn visit(&self, gateway: &Gateway, url: &str, jar: &mut BTreeMap<String, String>) -> Reply {
        let cookies = cookie_header(jar);
        let header = |name: &str| match name {
            "cookie" => (!cookies.is_empty()).then(|| cookies.clone()),
            "accept" => Some("text/html".into()),
            "sec-fetch-mode" => Some("navigate".into()),
            "sec-fetch-dest" => Some("document".into()),
            _ => None,
        };
        let head = RequestHead { method: "GET", url, header: &header };
        let reply = match gateway.handle(&head, self).await {
            Answer::Reply(reply) => Some(reply),
            Answer::Forward(_) => None,
        };
        let reply = reply.expect("an answer of the gateway itself");
        for (_, line) in reply.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let pair = line.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if line.contains("; Max-Age=0") {
                jar.remove(name);
            } else {
                jar.insert(name.into(), value.into());
            }
        }
        reply
    }
}

impl State {
    /// Redeems a code or a refresh token, once.
    pub(super) fn token(&mut self, form: &str) -> Incoming {
        let form = parameters(form);
        let name =
            if form.get("grant_type").is_some_and(|kind| kind == "refresh_token") { "refresh_token" } else { "code" };
        let Some(grant) = form.get(name).and_then(|issued| self.logins.grants.remove(issued)) else {
            return Incoming { status: 400, ..json_response(text_of(&json!({ "error": "invalid_grant" }))) };
        };
        let Grant { asked, user } = &grant;
        let at = |name: &str| asked.get(name).map(String::as_str);
        let (client_id, scope) = (at("client_id").unwrap_or_default(), at("scope").unwrap_or_default());
        let audience = at("audience").or(at("resource")).unwrap_or(client_id);
        let now = UnixTime::from_millis(self.now_ms);
        let members = |claims: &Map<String, Value>| Vec::from_iter(claims.clone());
        let access = self.issuer.access_token(audience, now).claim("client_id", client_id).claim("scope", scope);
        let access = members(&user.access).into_iter().fold(access, |token, (name, value)| token.claim(&name, value));
        let id = self.issuer.id_token(client_id, now);
        let id = at("nonce").into_iter().fold(id, |token, nonce| token.claim("nonce", nonce));
        let id = members(&user.claims).into_iter().fold(id, |token, (name, value)| token.claim(&name, value));
        let mut answer = json!({
            "token_type": "Bearer", "access_token": access.sign(), "id_token": id.sign(), "expires_in": LIFETIME_S, "scope": scope,
        });
        if scope.split(' ').any(|one| one == "offline_access")
            && let Some(answer) = answer.as_object_mut()
        {
            answer.insert("refresh_token".into(), self.logins.issue("refresh", grant).into());
        }
        json_response(text_of(&answer))
    }
}

/// Returns the decoded parameters of a query or form.
fn parameters(form: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| String::from_utf8_lossy(&percent::decode(&text.replace('+', " "))).into_owned();
    form.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (decode(name), decode(value))).collect()
}

fn cookie_header(jar: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("; ")
}

impl fmt::Debug for Logins {
    /// Omits the grants: they hold codes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins").field("issued", &self.issued).finish_non_exhaustive()
    }
}

impl Spawn<SessionJob> for TestHost {
    /// Runs the job to its end: the caller may drop the future.
    fn spawn(&self, job: SessionJob) -> impl Future<Output = ()> {
        // Boxed, because a job may spawn another.
        let job: Pin<Box<dyn Future<Output = ()> + '_>> = Box::pin(job.run(self));
        self.run(job);
        core::future::ready(())
    }
}

impl LoginHost for TestHost {
    /// Fills `out` with bytes that differ at each call and are the same in each run: they are not secret.
    fn entropy(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let drawn = self.0.with(|state| {
                state.drawn += 1;
                state.drawn
            });
            let bytes = sha256(&drawn.to_be_bytes());
            chunk.iter_mut().zip(bytes).for_each(|(out, byte)| *out = byte);
        }
    }

    fn has_coordinator(&self) -> bool {
        false
    }

    async fn coordinate(&self, _message: CoordinatorMessage) -> Result<CoordinatorResponse, Unreachable> {
        Err(Unreachable::Network)
    }

    async fn read_body(&self, max_bytes: usize) -> Option<Vec<u8>> {
        self.0.with(|state| state.body.take()).filter(|body| body.len() <= max_bytes)
    }

    fn has_shared_records(&self) -> bool {
        true
    }

    async fn share(&self, message: SharedMessage) -> Result<SharedResponse, Unreachable> {
        self.0.with(|state| {
            let now = UnixTime::from_millis(state.now_ms);
            if state.is_down { Err(Unreachable::Network) } else { Ok(state.records.handle(&message, now)) }
        })
    }
}
