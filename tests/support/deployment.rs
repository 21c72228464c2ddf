//! A test deployment with logins: a gateway on a virtual host, with a provider and browsers.
//!
//! Every response is checked: no secret in a log line, a body or `Debug` output, and no cookie in a cacheable response.

// The core's unit tests include this file, and the core has no prelude of std.
use std::prelude::rust_2024::*;

use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;

use edgeward::gateway::{Answer, Gateway, HeaderEdit, compile};
use edgeward::host::{Host as _, Level};
use edgeward::http::RequestHead;
use edgeward::io::UnixTime;
use edgeward::session::{CookieShape, Cookies, LoginBinding, Sealer, Session, Sessions};
use serde_json::{Value, json};

use super::browser::{Browser, Request, Response};
use super::coordinator::Coordinator;
use super::host::VirtualHost;
use super::provider::{CLIENT_SECRET, Provider};
use super::{AUDIENCE, CLIENT, ISSUER};

pub const SEALING_SECRET: &str = "a sealing secret of at least 32 characters";
/// The name of the session cookie.
pub const COOKIE: &str = "__Host-edgeward";

/// Returns a configuration with Auth0.
pub fn config() -> Value {
    json!({
        "authorizer": {
            "type": "auth0", "domain": "tenant.example.com", "audience": AUDIENCE, "client_id": CLIENT,
            "client_secret": CLIENT_SECRET, "redirect_uri": "https://app.example.com/callback",
            "scope": "openid offline_access"
        },
        "session": { "secrets": SEALING_SECRET },
        "paths": [
            { "method": "GET", "path": "/open", "auth": "none", "integration": { "type": "respond", "body": "open" } },
            { "method": ["GET", "POST"], "path": "/login", "integration": { "type": "login" } },
            { "method": "GET", "path": "/callback", "integration": { "type": "callback" } },
            { "method": ["GET", "POST"], "path": "/logout", "integration": { "type": "logout" } },
            { "method": ["GET", "POST"], "path": "/refresh", "integration": { "type": "refresh" } },
            { "method": "GET", "path": "/userinfo", "integration": { "type": "userinfo" } },
            { "method": "ANY", "path": "/app", "integration": {
                "type": "http_proxy", "url": "https://origin.example.com",
                "headers": { "X-User": "$claims.sub", "X-Scope": "$claims.scope" } } },
            { "method": "ANY", "path": "/maybe", "auth": "optional", "integration": {
                "type": "http_proxy", "url": "https://origin.example.com", "headers": { "X-User": "$claims.sub" } } },
            { "method": "GET", "path": "/token", "integration": {
                "type": "http_proxy", "url": "https://origin.example.com", "headers": { "X-Token": "$token" } } },
            { "method": "GET", "path": "/things", "scopes": ["read:things"], "integration": {
                "type": "respond", "body": "things" } }
        ]
    })
}

/// Returns the same configuration with a provider that has a discovery document.
pub fn oidc_config() -> Value {
    let mut config = config();
    let authorizer = config["authorizer"].as_object_mut().unwrap();
    authorizer.remove("domain");
    authorizer.insert("type".into(), "oidc".into());
    authorizer.insert("issuer".into(), ISSUER.into());
    config
}

/// Overrides members of the configuration's sections.
pub fn with(mut config: Value, changes: &Value) -> Value {
    for (section, members) in changes.as_object().unwrap() {
        for (name, value) in members.as_object().unwrap() {
            config[section][name] = value.clone();
        }
    }
    config
}

/// An instance of the gateway. Other instances share its host.
pub struct Deployment {
    pub gateway: Rc<Gateway>,
    pub provider: Provider,
    pub host: VirtualHost,
    /// How long the origin takes, in milliseconds.
    pub origin_ms: Cell<i64>,
    config: Value,
}

impl Deref for Deployment {
    type Target = VirtualHost;

    fn deref(&self) -> &VirtualHost {
        &self.host
    }
}

impl Deployment {
    /// Creates a deployment with Auth0, on a new host.
    pub fn new() -> Self {
        Self::of(&config())
    }

    /// Creates a deployment with a discovered provider.
    pub fn discovering() -> Self {
        Self::of(&oidc_config())
    }

    /// Creates a deployment with this configuration, on a new host.
    pub fn of(config: &Value) -> Self {
        let host = VirtualHost::default();
        let provider = Provider::new(&host);
        Self::on(&host, &provider, config)
    }

    /// Creates a deployment with this configuration, on this host.
    pub fn on(host: &VirtualHost, provider: &Provider, config: &Value) -> Self {
        for secret in [CLIENT_SECRET, SEALING_SECRET] {
            host.register_secret(secret);
        }
        let compiled = compile(&config.to_string(), &|_| None).unwrap_or_else(|problems| panic!("{problems:?}"));
        let gateway = Rc::new(compiled.gateway);
        Self {
            gateway,
            provider: provider.clone(),
            host: host.clone(),
            origin_ms: Cell::default(),
            config: config.clone(),
        }
    }

    /// Creates another instance, which shares only the host and the provider.
    pub fn instance(&self) -> Self {
        Self::on(&self.host, &self.provider, &self.config)
    }

    /// Adds a coordinator shared by all instances.
    pub fn coordinated(&self) -> Rc<Coordinator> {
        // An instance of its own, which shares no state with the others.
        let instance = self.instance();
        let coordinator = Coordinator::new(&instance.gateway);
        self.share(Some(Rc::clone(&coordinator)));
        coordinator
    }

    pub fn now(&self) -> UnixTime {
        self.host.now()
    }

    /// Handles a request.
    pub async fn answer(&self, request: Request) -> Response {
        let header = |name: &str| request.value(name);
        let head = RequestHead { method: request.method, url: &request.url, header: &header };
        let answer = self.gateway.handle(&head, &self.host).await;
        let shown = format!("{answer:?}");
        let response = match answer {
            Answer::Reply(reply) => {
                let headers = reply.headers.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
                Response { status: reply.status, headers, body: reply.body, origin_got: None }
            }
            Answer::Forward(mut forward) => {
                self.host.wait_ms(self.origin_ms.get()).await;
                forward.settle(&head, &self.host).await;
                let mut headers = Vec::new();
                for edit in forward.response_edits(200, None) {
                    match edit {
                        HeaderEdit::Remove(_) => {}
                        HeaderEdit::Set(name, value) | HeaderEdit::Append(name, value) => {
                            headers.push((name.into_owned(), value));
                        }
                    }
                }
                Response { status: 200, headers, body: String::new(), origin_got: Some(forward.set.clone()) }
            }
        };
        for cookie in response.cookies() {
            let value = cookie.split(';').next().and_then(|pair| pair.split_once('=')).map_or("", |(_, value)| value);
            self.register_secret(value);
        }
        self.assert_no_secret("Debug output of an answer", &shown);
        self.assert_no_secret("a body", &response.body);
        let is_uncacheable = response.header("cache-control").is_some_and(|value| value.contains("no-store"));
        let has_cookies = !response.cookies().is_empty() || (300..400).contains(&response.status);
        assert!(is_uncacheable || !has_cookies, "a cacheable {} for {}", response.status, request.url);
        let has_session = request.value("cookie").is_some_and(|cookie| self.session_in(&cookie).is_some());
        let is_public = matches!(request.url.as_str(), "https://app.example.com/open");
        assert!(is_uncacheable || !has_session || is_public, "a cacheable response to a session: {}", request.url);
        response
    }

    /// Handles a request to its end.
    pub fn fetch(&self, request: Request) -> Response {
        self.run(self.answer(request))
    }

    /// Sends a request with the cookies of a browser, which stores those of the response.
    pub fn send(&self, browser: &mut Browser, request: Request) -> Response {
        let response = self.fetch(request.cookie(&browser.header(self.now())));
        browser.store_cookies(&response, self.now());
        response
    }

    /// Opens a page in this browser.
    pub fn open(&self, browser: &mut Browser, target: &str) -> Response {
        self.send(browser, Request::get(target).page())
    }

    /// Begins a login. Returns the callback URL to which the provider redirects.
    pub fn begin(&self, browser: &mut Browser, target: &str) -> String {
        let response = self.open(browser, target);
        assert_eq!(response.status, 302, "{}", response.body);
        self.provider.authorize(response.location())
    }

    /// Logs in. Returns the response to the callback.
    pub fn log_in(&self, browser: &mut Browser) -> Response {
        let callback = self.begin(browser, "/login");
        self.open(browser, &callback)
    }

    /// Returns a browser with a session.
    pub fn logged_in(&self) -> Browser {
        let mut browser = Browser::default();
        let response = self.log_in(&mut browser);
        assert!(response.sets(COOKIE) == Some(true), "{} {} {:?}", response.status, response.body, self.lines());
        browser
    }

    /// Returns a new user's browser with a session, under any cookie name.
    pub fn log_in_new_user(&self) -> Browser {
        let mut browser = Browser::default();
        assert!((200..400).contains(&self.log_in(&mut browser).status), "{:?}", self.lines());
        browser
    }

    /// Returns the session configuration, to open cookies.
    pub fn sessions(&self) -> Sessions {
        let section_of = |section: &str| match &self.config[section] {
            Value::Null if section == "authorizer" => &self.config["authorizers"]["main"],
            found => found,
        };
        // A text or a list of texts.
        let texts = |section: &str, name: &str| match &section_of(section)[name] {
            Value::Array(list) => list.iter().map(|one| one.as_str().unwrap().to_string()).collect(),
            one => one.as_str().map(String::from).into_iter().collect::<Vec<_>>(),
        };
        let text = |section: &str, name: &str| texts(section, name).first().cloned();
        let issuer = self.provider.state().issuer.clone();
        let client_id = text("authorizer", "client_id").unwrap();
        let audience = texts("authorizer", "audience");
        let secrets = texts("session", "secrets");
        Sessions {
            sealer: Sealer::new(&secrets, LoginBinding { issuer: &issuer, client_id: &client_id, audience: &audience }),
            cookie: CookieShape {
                name: text("session", "cookie").unwrap_or_else(|| COOKIE.into()),
                same_site: "Lax",
                domain: text("session", "domain"),
            },
            idle_s: 86_400,
            absolute_s: 259_200,
        }
    }

    /// Returns the session in a `Cookie` header.
    pub fn session_in(&self, cookie: &str) -> Option<Session> {
        self.sessions().open(&Cookies::new(cookie), "app.example.com", self.now())
    }

    /// Returns the session of a browser.
    pub fn session(&self, browser: &Browser) -> Session {
        self.session_in(&browser.header(self.now())).expect("a session")
    }

    /// Returns the log lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.seen().lines.iter().map(|(_, line)| line.clone()).collect()
    }

    /// Returns whether a warning begins with this text.
    pub fn has_logged(&self, start: &str) -> bool {
        self.seen().lines.iter().any(|(level, line)| *level == Level::Warning && line.starts_with(start))
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let sent = self.seen().sent.clone();
        self.assert_no_secret("Debug output of requests", &format!("{sent:?}"));
        self.assert_no_secret("Debug output of a gateway", &format!("{:?}", self.gateway));
    }
}
