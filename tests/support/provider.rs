//! An OpenID provider in memory, on a virtual host: codes with PKCE, refresh tokens with rotation and reuse detection, userinfo,
//! revocation, discovery and keys. It is as strict as a provider may be, and fails where a test requests it.

// The core's unit tests include this file, and the core has no prelude of std.
use std::prelude::rust_2024::*;

use std::cell::{Ref, RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use edgeward::base64url;
use edgeward::host::Host as _;
use edgeward::io::{Incoming, Outgoing, Unreachable};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::host::{Delay, Reply, VirtualHost};
use super::proofs::{Proofs, Refused, bound_to};
use super::world::json as ok_json;
use super::{CLIENT, ISSUER, Mint, TestKey, key_a, set_text, signed};

pub const CLIENT_SECRET: &str = "the secret of the client at the provider";

/// The grant type of a token exchange.
pub const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The endpoints of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    Discovery,
    Keys,
    Token,
    Userinfo,
    Revocation,
    Par,
}

impl Endpoint {
    const ALL: [Self; 6] = [Self::Discovery, Self::Keys, Self::Token, Self::Userinfo, Self::Revocation, Self::Par];

    /// The path below the issuer, as at Auth0.
    const fn path(self) -> &'static str {
        match self {
            Self::Discovery => ".well-known/openid-configuration",
            Self::Keys => ".well-known/jwks.json",
            Self::Token => "oauth/token",
            Self::Userinfo => "userinfo",
            Self::Revocation => "oauth/revoke",
            Self::Par => "oauth/par",
        }
    }
}

/// A fault of a request.
pub enum Fault {
    /// The provider does not process it and returns this.
    Answer(Reply),
    /// The provider processes it, but the response never arrives, and the client times out.
    ResponseLost,
    /// The provider processes it, and the connection fails before the response.
    BreakOff,
    /// The provider processes it, and the response takes this many milliseconds.
    Late(u32),
    /// The provider processes it, and its response is changed.
    Change(Box<dyn FnOnce(&mut Value)>),
    /// The provider processes it, and this happens meanwhile.
    Meanwhile(Box<dyn FnOnce(&VirtualHost)>),
}

/// The required client authentication.
#[derive(Clone, Copy)]
pub enum Auth {
    Post,
    Basic,
    None,
    /// Signed assertions, with this key.
    Key(&'static TestKey),
    /// A certificate, and so nothing in the request itself.
    Certificate,
}

/// A received form.
pub type Form = BTreeMap<String, String>;

/// The provider. Clones share it.
#[derive(Clone)]
pub struct Provider {
    host: VirtualHost,
    state: Rc<RefCell<State>>,
}

/// The settings and records of the provider, which tests may change.
pub struct State {
    pub issuer: String,
    pub client: String,
    pub auth: Auth,
    /// The accepted client secrets.
    pub secrets: Vec<String>,
    /// The user it logs in.
    pub user: String,
    /// The lifetime of access tokens, in seconds.
    pub life_s: i64,
    /// Whether it issues refresh tokens, and whether it rotates them.
    pub refreshes: bool,
    pub rotates: bool,
    /// Whether a refresh returns an ID token.
    pub repeats_id: bool,
    pub key: &'static TestKey,
    pub published: Vec<Value>,
    /// Overrides of the discovery document.
    pub metadata: Value,
    /// Changes ID tokens.
    pub id: Rc<dyn Fn(Mint) -> Mint>,
    /// Changes access tokens.
    pub access: Rc<dyn Fn(Mint) -> String>,
    /// Changes token responses.
    pub answer: Rc<dyn Fn(&mut Value)>,
    /// The unreachable endpoints.
    down: BTreeSet<Endpoint>,
    faults: BTreeMap<Endpoint, VecDeque<Fault>>,
    count: u64,
    logins: BTreeMap<String, Login>,
    tokens: BTreeMap<String, Token>,
    access_tokens: BTreeMap<String, String>,
    ended: BTreeSet<u64>,
    /// The forms received by the token endpoint, processed or not.
    pub exchanges: Vec<Form>,
    /// The revoked tokens.
    pub revoked: Vec<String>,
    /// The number of reused refresh tokens.
    pub reused: usize,
    /// The nonce of the last login.
    pub nonce: String,
    /// The issued refresh tokens, in order.
    pub given: Vec<String>,
    /// The headers and claims of the assertions received, in order.
    pub assertions: Vec<(Value, Value)>,
    /// The key of signed authorization requests.
    pub request_key: Option<&'static TestKey>,
    /// Header and claims of the last signed authorization request.
    pub request: (Value, Value),
    /// The pushed requests that were not used yet, by their `request_uri`.
    pub pushed: BTreeMap<String, Form>,
    /// With it, tokens are bound to the keys of proofs, and useless without them (RFC 9449).
    pub proofs: Option<Proofs>,
    /// Whether refresh tokens are bound to the key, too, as those of public clients are (RFC 9449 §5).
    pub binds_refresh_tokens: bool,
    /// The number of requests to each endpoint.
    requests: BTreeMap<Endpoint, usize>,
}

/// The parameters of an authorization request.
#[derive(Clone)]
struct Login {
    parameters: Form,
    user: String,
    family: u64,
    is_used: bool,
}

/// A refresh token.
#[derive(Clone)]
struct Token {
    login: Login,
    is_used: bool,
    /// The key that it is bound to, as that of a public client is (RFC 9449 §5).
    key: Option<String>,
}

impl Provider {
    /// Creates a provider of the tests' issuer on this host.
    pub fn new(host: &VirtualHost) -> Self {
        Self::of(ISSUER, host)
    }

    pub fn of(issuer: &str, host: &VirtualHost) -> Self {
        let state = State {
            issuer: issuer.into(),
            client: CLIENT.into(),
            auth: Auth::Post,
            secrets: Vec::from([CLIENT_SECRET.into()]),
            user: "user-1".into(),
            life_s: 3600,
            refreshes: true,
            rotates: true,
            repeats_id: true,
            key: key_a(),
            published: Vec::from([key_a().jwk()]),
            metadata: json!({}),
            id: Rc::new(|id| id),
            access: Rc::new(|access| access.text()),
            answer: Rc::new(|_| ()),
            down: BTreeSet::new(),
            faults: BTreeMap::new(),
            count: 0,
            logins: BTreeMap::new(),
            tokens: BTreeMap::new(),
            access_tokens: BTreeMap::new(),
            ended: BTreeSet::new(),
            exchanges: Vec::new(),
            revoked: Vec::new(),
            reused: 0,
            nonce: String::new(),
            given: Vec::new(),
            assertions: Vec::new(),
            request_key: None,
            request: (Value::Null, Value::Null),
            pushed: BTreeMap::new(),
            proofs: None,
            binds_refresh_tokens: true,
            requests: BTreeMap::new(),
        };
        let provider = Self { host: host.clone(), state: Rc::new(RefCell::new(state)) };
        for endpoint in Endpoint::ALL {
            let this = provider.clone();
            host.serve(&provider.url(endpoint), move |request| this.receive(endpoint, request));
        }
        provider
    }

    /// Returns the URL of an endpoint.
    pub fn url(&self, endpoint: Endpoint) -> String {
        format!("{}{}", self.state.borrow().issuer, endpoint.path())
    }

    pub fn state(&self) -> Ref<'_, State> {
        self.state.borrow()
    }

    pub fn set(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    /// Adds a fault for the next request to an endpoint.
    pub fn fault(&self, endpoint: Endpoint, fault: Fault) {
        self.set().faults.entry(endpoint).or_default().push_back(fault);
    }

    /// Returns this reply to the next request, without processing it.
    pub fn answer_next(&self, endpoint: Endpoint, reply: Reply) {
        self.fault(endpoint, Fault::Answer(reply));
    }

    /// Makes an endpoint unreachable.
    pub fn take_down(&self, endpoint: Endpoint) {
        self.set().down.insert(endpoint);
    }

    pub fn take_all_down(&self) {
        self.set().down.extend(Endpoint::ALL);
    }

    /// Makes everything reachable again.
    pub fn bring_up(&self) {
        self.set().down.clear();
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.bring_up();
        self.set().faults.clear();
    }

    /// Returns the number of requests to an endpoint so far.
    pub fn requests(&self, endpoint: Endpoint) -> usize {
        self.state.borrow().requests.get(&endpoint).copied().unwrap_or_default()
    }

    /// Returns the number of refresh requests.
    pub fn refreshes(&self) -> usize {
        let state = self.state.borrow();
        state.exchanges.iter().filter(|form| form["grant_type"] == "refresh_token").count()
    }

    /// Returns the last refresh token issued.
    pub fn newest(&self) -> String {
        self.state.borrow().given.last().cloned().unwrap_or_default()
    }

    /// Returns whether a refresh token is still valid.
    pub fn is_live(&self, token: &str) -> bool {
        let state = self.state.borrow();
        state.tokens.get(token).is_some_and(|token| !token.is_used && !state.ended.contains(&token.login.family))
    }

    /// Returns whether a user's session has ended at the provider.
    pub fn has_ended(&self, user: &str) -> bool {
        let state = self.state.borrow();
        state.logins.values().any(|login| login.user == user && state.ended.contains(&login.family))
    }

    /// Forgets what it was sent and what has ended, for long runs: sessions of other users than these.
    pub fn forget_all_but(&self, users: &[&str]) {
        let mut state = self.set();
        state.exchanges.clear();
        state.given.clear();
        state.revoked.clear();
        state.logins.retain(|_, login| users.contains(&login.user.as_str()));
        state.tokens.retain(|_, token| users.contains(&token.login.user.as_str()));
        state.access_tokens.retain(|_, user| users.contains(&user.as_str()));
    }

    /// Ends all sessions at the provider.
    pub fn end_all(&self) {
        let families = self.state.borrow().count + 1;
        self.set().ended.extend(0..families);
    }

    /// Handles an authorization request and returns the redirect. Fails the test if the request is invalid.
    pub fn authorize(&self, url: &str) -> String {
        let base = format!("{}authorize?", self.state.borrow().issuer);
        let query = url.strip_prefix(&base).unwrap_or_else(|| panic!("{url} is not the authorization endpoint"));
        let parameters = self.requested(form(query));
        let given = |name: &str| parameters.get(name).cloned().unwrap_or_default();
        assert_eq!(given("response_type"), "code", "{url}");
        assert_eq!(given("client_id"), self.state.borrow().client, "{url}");
        assert_eq!(given("code_challenge_method"), "S256", "{url}");
        assert!(given("scope").split(' ').any(|word| word == "openid"), "{url}");
        for name in ["state", "nonce", "code_challenge"] {
            assert_eq!(
                base64url::decode(given(name).as_bytes()).map(|bytes| bytes.len()).ok(),
                Some(32),
                "{name} in {url}"
            );
        }
        let family = self.next();
        let code = format!("authorization-code-{family}");
        for secret in [code.as_str(), &given("state"), &given("nonce")] {
            self.host.register_secret(secret);
        }
        let user = self.state.borrow().user.clone();
        let login = Login { parameters: parameters.clone(), user, family, is_used: false };
        self.set().nonce = given("nonce");
        self.set().logins.insert(code.clone(), login);
        let issuer = self.state.borrow().issuer.clone();
        format!("{}?code={code}&state={}&iss={}", given("redirect_uri"), given("state"), encoded(&issuer))
    }

    /// Returns the parameters of an authorization request that may be pushed or signed: nothing beside the reference counts.
    fn requested(&self, parameters: Form) -> Form {
        let names: Vec<&str> = parameters.keys().map(String::as_str).collect();
        if let Some(uri) = parameters.get("request_uri") {
            assert_eq!(names, ["client_id", "request_uri"]);
            let pushed = self.set().pushed.remove(uri).unwrap_or_else(|| panic!("{uri} is unknown or was used"));
            return self.requested(pushed);
        }
        let Some(request) = parameters.get("request") else { return parameters };
        assert_eq!(names, ["client_id", "request"]);
        let key = self.state.borrow().request_key.expect("the key of signed requests");
        let (header, claims) = signed::read(request, key).expect("a valid signature");
        let of_token = ["iss", "aud", "exp", "nbf", "iat", "jti"];
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), Into::into);
        let found = claims.as_object().unwrap().iter().filter(|(name, _)| !of_token.contains(&name.as_str()));
        let found = found.map(|(name, value)| (name.clone(), text(value))).collect();
        self.set().request = (header, claims);
        found
    }

    fn push(&self, request: &Outgoing) -> Incoming {
        let mut form = form(request.body.as_deref().unwrap_or_default());
        if !self.authenticates(request, &form) {
            return refusal(401, "invalid_client");
        }
        form.retain(|name, _| !name.starts_with("client_") || name == "client_id");
        let uri = format!("urn:ietf:params:oauth:request_uri:{}", self.next());
        self.set().pushed.insert(uri.clone(), form);
        Incoming { status: 201, ..ok_json(&json!({ "request_uri": uri, "expires_in": 60 }).to_string()) }
    }

    fn next(&self) -> u64 {
        self.set().count += 1;
        self.state.borrow().count
    }

    pub fn receive(&self, endpoint: Endpoint, request: &Outgoing) -> Reply {
        *self.set().requests.entry(endpoint).or_default() += 1;
        if endpoint == Endpoint::Token {
            let sent = form(request.body.as_deref().unwrap_or_default());
            for name in ["code", "refresh_token", "code_verifier", "client_secret", "client_assertion", "subject_token"]
            {
                sent.get(name).into_iter().for_each(|secret| self.host.register_secret(secret));
            }
            self.set().exchanges.push(sent);
        }
        for (_, value) in &request.headers {
            self.host.register_secret(value.split_once(' ').map_or("", |(_, credentials)| credentials));
        }
        if self.state.borrow().down.contains(&endpoint) {
            return Err(Unreachable::Network);
        }
        let fault = self.set().faults.get_mut(&endpoint).and_then(VecDeque::pop_front);
        if let Some(Fault::Answer(reply)) = fault {
            return reply;
        }
        let reply = self.process(endpoint, request);
        match fault {
            Some(Fault::ResponseLost) => self.host.delay_next(&request.url, Delay::Millis(request.timeout_ms + 1)),
            Some(Fault::Late(millis)) => self.host.delay_next(&request.url, Delay::Millis(millis)),
            Some(Fault::BreakOff) => return Err(Unreachable::Network),
            Some(Fault::Change(change)) => {
                let mut body = serde_json::from_slice(&reply.body).unwrap();
                change(&mut body);
                return Ok(Incoming { body: body.to_string().into_bytes(), ..reply });
            }
            Some(Fault::Meanwhile(happens)) => happens(&self.host),
            Some(Fault::Answer(_)) | None => {}
        }
        Ok(reply)
    }

    fn process(&self, endpoint: Endpoint, request: &Outgoing) -> Incoming {
        match endpoint {
            Endpoint::Discovery => ok_json(&self.metadata().to_string()),
            Endpoint::Keys => ok_json(&set_text(self.state.borrow().published.clone())),
            Endpoint::Token => self.token(request),
            Endpoint::Userinfo => self.userinfo(request),
            Endpoint::Revocation => self.revoke(request),
            Endpoint::Par => self.push(request),
        }
    }

    fn metadata(&self) -> Value {
        let issuer = self.state.borrow().issuer.clone();
        let mut metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}authorize"),
            "token_endpoint": self.url(Endpoint::Token),
            "userinfo_endpoint": self.url(Endpoint::Userinfo),
            "jwks_uri": self.url(Endpoint::Keys),
            "revocation_endpoint": self.url(Endpoint::Revocation),
            "pushed_authorization_request_endpoint": self.url(Endpoint::Par),
            "end_session_endpoint": format!("{issuer}oidc/logout"),
            "authorization_response_iss_parameter_supported": true
        });
        for (name, value) in self.state.borrow().metadata.as_object().unwrap() {
            metadata[name] = value.clone();
        }
        metadata
    }

    /// Whether the client authentication is valid.
    fn authenticates(&self, request: &Outgoing, form: &Form) -> bool {
        let state = self.state.borrow();
        let header = request.headers.iter().find(|(name, _)| *name == "authorization").map(|(_, value)| value.as_str());
        let (id, secret) = (form.get("client_id"), form.get("client_secret"));
        let is_client = id == Some(&state.client);
        let assertion = form.get("client_assertion");
        match state.auth {
            Auth::Key(key) => {
                let kind = form.get("client_assertion_type").map(String::as_str);
                assert_eq!(kind, Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
                assert!(is_client && header.is_none() && secret.is_none(), "{form:?}");
                let assertion = assertion.unwrap();
                self.host.register_secret(assertion);
                drop(state);
                let Some(assertion) = signed::read(assertion, key) else { return false };
                self.set().assertions.push(assertion);
                true
            }
            _ if assertion.is_some() => panic!("an assertion that is not expected"),
            Auth::Certificate => is_client && header.is_none() && secret.is_none(),
            Auth::Post => is_client && header.is_none() && secret.is_some_and(|one| state.secrets.contains(one)),
            Auth::Basic => {
                let credentials =
                    |one: &String| format!("Basic {}", base64(&format!("{}:{}", encoded(&state.client), encoded(one))));
                id.is_none() && secret.is_none() && state.secrets.iter().any(|one| header == Some(&credentials(one)))
            }
            Auth::None => is_client && header.is_none() && secret.is_none(),
        }
    }

    fn token(&self, request: &Outgoing) -> Incoming {
        let form = form(request.body.as_deref().unwrap_or_default());
        if !self.authenticates(request, &form) {
            return refusal(401, "invalid_client");
        }
        let given = |name: &str| form.get(name).cloned().unwrap_or_default();
        let key = match self.check_proof(request, None) {
            Ok(key) => key,
            Err(refused) => return *refused,
        };
        if matches!(given("grant_type").as_str(), "client_credentials" | EXCHANGE) {
            return self.upstream_token(&form, key.as_deref());
        }
        let mut state = self.set();
        let found = match given("grant_type").as_str() {
            "authorization_code" => {
                let found = state
                    .logins
                    .get_mut(&given("code"))
                    .map(|login| (login.clone(), std::mem::replace(&mut login.is_used, true)));
                let proof = base64url::encode(&Sha256::digest(given("code_verifier").as_bytes()));
                found.map(|(login, is_used)| {
                    // RFC 9449 §10: the code is bound to the key, too.
                    let is_good = login.parameters["redirect_uri"] == given("redirect_uri")
                        && login.parameters.get("dpop_jkt") == key.as_ref()
                        && login.parameters["code_challenge"] == proof;
                    (login, is_used, is_good)
                })
            }
            "refresh_token" => {
                let (rotates, is_bound) = (state.rotates, state.binds_refresh_tokens);
                let found = state.tokens.get_mut(&given("refresh_token"));
                found.map(|token| {
                    let is_used = std::mem::replace(&mut token.is_used, rotates) && rotates;
                    (token.login.clone(), is_used, !is_bound || token.key == key)
                })
            }
            other => panic!("grant type {other}"),
        };
        let Some((login, is_used, is_good)) = found else { return refusal(400, "invalid_grant") };
        if is_used {
            // Reuse looks like theft to a provider, so it revokes the whole family.
            state.ended.insert(login.family);
            state.reused += 1;
        }
        if !is_good || state.ended.contains(&login.family) {
            return refusal(400, "invalid_grant");
        }
        drop(state);
        self.tokens(&login, given("grant_type") == "refresh_token", &given("refresh_token"), key)
    }

    /// Returns the key of the proof of a request, if the provider wants proofs.
    fn check_proof(&self, request: &Outgoing, token: Option<&str>) -> Result<Option<String>, Box<Incoming>> {
        let now_s = self.host.now().secs();
        let mut state = self.set();
        let Some(proofs) = &mut state.proofs else { return Ok(None) };
        let status = if token.is_some() { 401 } else { 400 };
        request
            .headers
            .iter()
            .filter(|(name, _)| *name == "dpop")
            .for_each(|(_, proof)| self.host.register_secret(proof));
        match proofs.check(request, token, now_s) {
            Ok(key) => Ok(Some(key)),
            Err(Refused::Nonce) => {
                let www_authenticate = token.map(|_| r#"DPoP error="use_dpop_nonce""#.into());
                let dpop_nonce = proofs.nonce.clone();
                Err(Box::new(Incoming { dpop_nonce, www_authenticate, ..refusal(status, "use_dpop_nonce") }))
            }
            Err(Refused::Proof(_)) => Err(Box::new(refusal(status, "invalid_dpop_proof"))),
        }
    }

    /// Returns the nonce for the next proof, which successful answers state (RFC 9449 §8.2).
    fn next_nonce(&self) -> Option<String> {
        self.state.borrow().proofs.as_ref().and_then(|proofs| proofs.nonce.clone())
    }

    /// Returns a valid token response.
    fn tokens(&self, login: &Login, is_refresh: bool, former: &str, key: Option<String>) -> Incoming {
        let (number, now_s) = (self.next(), self.host.now().secs());
        let state = self.state.borrow();
        let until_s = now_s + state.life_s;
        let common =
            |mint: Mint| mint.claim("iss", state.issuer.as_str()).claim("sub", login.user.as_str()).claim("iat", now_s);
        let access = common(Mint::access(state.key))
            .claim("exp", until_s)
            .claim("nbf", now_s)
            .claim("jti", format!("t-{number}"));
        let access = key.iter().fold(access, |access, key| access.claim("cnf", bound_to(key)));
        let access = (state.access)(access.claim("azp", state.client.as_str()));
        let id = common(Mint::id(state.key)).claim("aud", state.client.as_str()).claim("exp", now_s + 600);
        let id = if is_refresh { id.without("nonce") } else { id.claim("nonce", login.parameters["nonce"].as_str()) };
        let kind = if key.is_some() { "DPoP" } else { "Bearer" };
        let mut body = json!({ "access_token": access, "token_type": kind, "expires_in": state.life_s });
        if !is_refresh || state.repeats_id {
            body["id_token"] = (state.id)(id.claim("name", "Ann")).text().into();
        }
        let (refreshes, rotates, answer) = (state.refreshes, state.rotates, Rc::clone(&state.answer));
        drop(state);
        if refreshes && (!is_refresh || rotates) {
            let token = format!("refresh-token-{number}");
            body["refresh_token"] = token.as_str().into();
            self.set().tokens.insert(token.clone(), Token { login: login.clone(), is_used: false, key });
            self.set().given.push(token);
        } else if is_refresh {
            assert!(!former.is_empty());
        }
        self.set().access_tokens.insert(access, login.user.clone());
        answer(&mut body);
        for name in ["access_token", "id_token", "refresh_token"] {
            self.host.register_secret(body[name].as_str().unwrap_or_default());
        }
        Incoming { dpop_nonce: self.next_nonce(), ..ok_json(&body.to_string()) }
    }

    /// Returns a token for another API: of the client itself, or of the user whose token is exchanged.
    fn upstream_token(&self, form: &Form, key: Option<&str>) -> Incoming {
        let (number, now_s) = (self.next(), self.host.now().secs());
        let state = self.state.borrow();
        let subject = match form.get("subject_token") {
            Some(token) => {
                assert_eq!(form["subject_token_type"], "urn:ietf:params:oauth:token-type:access_token");
                let Some(user) = state.access_tokens.get(token) else { return refusal(400, "invalid_request") };
                user.clone()
            }
            None => format!("{}@clients", state.client),
        };
        let audience = form.get("audience").or(form.get("resource")).cloned().unwrap_or_default();
        let access = Mint::access(state.key).claim("sub", subject).claim("aud", audience).claim("iat", now_s);
        let access = access.claim("exp", now_s + state.life_s).claim("jti", format!("t-{number}"));
        let access = key.iter().fold(access, |access, key| access.claim("cnf", bound_to(key)));
        let access = (state.access)(access.claim("scope", form.get("scope").cloned().unwrap_or_default()));
        let kind = if key.is_some() { "DPoP" } else { "Bearer" };
        let mut body = json!({ "access_token": access, "token_type": kind, "expires_in": state.life_s });
        let answer = Rc::clone(&state.answer);
        drop(state);
        answer(&mut body);
        self.host.register_secret(body["access_token"].as_str().unwrap_or_default());
        Incoming { dpop_nonce: self.next_nonce(), ..ok_json(&body.to_string()) }
    }

    fn userinfo(&self, request: &Outgoing) -> Incoming {
        let header = request.headers.iter().find(|(name, _)| *name == "authorization").map(|(_, value)| value.as_str());
        let scheme = if self.state.borrow().proofs.is_some() { "DPoP " } else { "Bearer " };
        let token = header.and_then(|header| header.strip_prefix(scheme)).unwrap_or_default();
        if let Err(refused) = self.check_proof(request, Some(token)) {
            return *refused;
        }
        match self.state.borrow().access_tokens.get(token) {
            Some(user) => {
                let userinfo = json!({ "sub": user, "email": "ann@example.com" });
                Incoming { dpop_nonce: self.next_nonce(), ..ok_json(&userinfo.to_string()) }
            }
            None => Incoming { status: 401, ..Incoming::default() },
        }
    }

    fn revoke(&self, request: &Outgoing) -> Incoming {
        let form = form(request.body.as_deref().unwrap_or_default());
        if !self.authenticates(request, &form) {
            return refusal(401, "invalid_client");
        }
        let token = form["token"].clone();
        let mut state = self.set();
        let family = state.tokens.get(&token).map(|token| token.login.family);
        state.ended.extend(family);
        state.revoked.push(token);
        Incoming { status: 200, ..Incoming::default() }
    }
}

/// Returns an OAuth error.
pub fn refusal(status: u16, error: &str) -> Incoming {
    Incoming { status, ..ok_json(&json!({ "error": error }).to_string()) }
}

/// Parses a query or a form. Fails the test if a parameter is repeated.
pub fn form(text: &str) -> Form {
    let mut form = Form::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap();
        assert_eq!(form.insert(decoded(name), decoded(value)), None, "{name} twice in {text}");
    }
    form
}

/// Percent-decodes once.
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| byte == b'%') {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Percent-encodes all but unreserved characters.
pub fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Encodes Base64 with padding.
fn base64(text: &str) -> String {
    let mut out = base64url::encode(text.as_bytes()).replace('-', "+").replace('_', "/");
    while !out.len().is_multiple_of(4) {
        out.push('=');
    }
    out
}
