//! Simulates a deployment of one to ten thousand isolates, and counts the requests that the identity provider, the edge cache and the
//! Durable Objects get. The isolates run the core itself, under a virtual clock; see docs/scale.md.
//!
//! ```sh
//! cargo run --release --example scale --features testing
//! ```
//!
//! Prints one line of comma-separated values for each run.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a program for developers")]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::future::ready;
use std::pin::Pin;
use std::rc::Rc;

use edgeward::Verifier;
use edgeward::gateway::{Answer, Gateway, compile};
use edgeward::host::{Host, Level, Spawn};
use edgeward::http::RequestHead;
use edgeward::io::{EdgeEntry, Incoming, Outgoing, UnixTime, Unreachable};
use edgeward::jwk::{KeyCache, KeyJob, KeySource};
use edgeward::jwt::{Algorithm, Policy};
use edgeward::oidc::{
    CoordinatorMessage, CoordinatorOutcome, CoordinatorResponse, CoordinatorStore, LoginHost, SessionJob,
};
use edgeward::testing::{Issuer, SigningKey, TestHost, TestUser};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

const ISSUER: &str = "https://tenant.us.auth0.com/";
const AUDIENCE: &str = "https://api.example.com";
/// Data centers of the platform, each with an edge cache of its own: at most so many, with four isolates or more.
const MAX_CENTERS: usize = 300;
const MIN_ISOLATES_OF_CENTER: usize = 4;
/// Mean time between two requests to an isolate, in seconds.
const REQUEST_EVERY_S: u64 = 5;
/// Mean lifetime of an isolate, in seconds.
const ISOLATE_LIFETIME_S: u64 = 3600;
/// Requests of one page, at the same time and with the same cookie.
const REQUESTS_PER_PAGE: usize = 4;
/// Mean time between two pages of a user, in seconds.
const PAGE_EVERY_S: u64 = 30;
/// Users with a session.
const USERS: usize = 300;

const CONFIG: &str = r#"{
  "authorizer": {
    "type": "auth0", "domain": "tenant.us.auth0.com", "audience": "https://api.example.com", "client_id": "web",
    "client_secret": "only for this simulation", "redirect_uri": "https://app.example.com/callback", "scope": "openid offline_access"
  },
  "session": { "secrets": "a secret of at least 32 characters" },
  "paths": [
    { "method": "GET", "path": "/login", "integration": { "type": "login" } },
    { "method": "GET", "path": "/callback", "integration": { "type": "callback" } },
    { "method": "GET", "path": "/account", "integration": { "type": "respond", "body": "yours" } }
  ]
}"#;

fn main() {
    println!(
        "part,isolates,edge cache,requests,refused,refused in an outage,provider per hour,after a rotation,per minute of an outage"
    );
    for isolates in [1, 10, 100, 1_000, 10_000] {
        for has_edge_cache in [true, false] {
            keys(isolates, has_edge_cache);
        }
    }
    println!("part,isolates,durable object,requests,sessions lost,token requests,durable object messages");
    for isolates in [1, 10, 100, 1_000] {
        for has_coordinator in [true, false] {
            sessions(isolates, has_coordinator);
        }
    }
}

/// Bearer tokens: an hour as usual, then new signing keys, then a provider that is down for a quarter of an hour.
fn keys(count: usize, has_edge_cache: bool) {
    let world = World::new(count, has_edge_cache, None);
    let mut random = Random(count as u64 + 1);
    let mut isolates: Vec<Verifier> = (0..count).map(|_| verifier()).collect();
    let mut token = String::new();
    let (mut requests, mut refused) = (0_u64, [0_u64; 2]);
    let mut provider = [0; 3];
    for second in 0..6300_u64 {
        world.network.advance(1);
        match second {
            3600 => world.network.rotate(SigningKey::generate("second", &mut StdRng::seed_from_u64(1), 2048)),
            4500 => world.network.set_down(true),
            5400 => world.network.set_down(false),
            _ => {}
        }
        if second % 300 == 0 || second == 3600 {
            token = world.network.issuer().access_token(AUDIENCE, world.network.time()).sign();
        }
        let before = world.provider.get();
        let is_outage = (4500..5400).contains(&second);
        for (number, isolate) in isolates.iter_mut().enumerate() {
            if random.below(ISOLATE_LIFETIME_S) == 0 {
                *isolate = verifier();
            }
            if random.below(REQUEST_EVERY_S) == 0 {
                requests += 1;
                let host = world.isolate(number);
                let is_refused = world.network.run(isolate.verify(&token, &host)).is_err();
                // After the outage, the pause between attempts is at most half a minute.
                let counts_as_outage = is_outage || (5400..5440).contains(&second);
                if let Some(count) = refused.get_mut(usize::from(counts_as_outage)) {
                    *count += u64::from(is_refused);
                }
            }
        }
        let sent = world.provider.get() - before;
        match second {
            // The cold start of all isolates at once is not the usual hour.
            900..3600 => provider[0] += sent,
            3600..3900 => provider[1] += sent,
            _ if is_outage => provider[2] += sent,
            _ => {}
        }
    }
    let [refused, in_outage] = refused;
    let edge = if has_edge_cache { "yes" } else { "no" };
    let [hour, rotation, outage] = provider;
    println!(
        "keys,{count},{edge},{requests},{refused},{in_outage},{},{rotation},{:.1}",
        hour * 3600 / 2700,
        f64::from(outage) / 15.0
    );
}

fn verifier() -> Verifier {
    let policy = Policy::access_token(ISSUER, [AUDIENCE], &[Algorithm::Rs256]).expect("a policy");
    Verifier::new(policy, KeyCache::new(ISSUER, KeySource::Discovery))
}

/// Sessions: an hour of pages, each with several requests that reach any isolates of the user's data center.
fn sessions(count: usize, has_coordinator: bool) {
    let world = World::new(count, true, has_coordinator.then(gateway));
    let mut random = Random(count as u64 + 2);
    let isolates: Vec<Gateway> = (0..count).map(|_| gateway()).collect();
    let mut users: Vec<String> = (0..USERS)
        .map(|number| {
            let user = TestUser::new(&format!("user-{number}"));
            let first = isolates.first().expect("an isolate");
            world.network.run(world.network.sign_in(first, "https://app.example.com/login", &user))
        })
        .collect();
    let logins = world.tokens.get();
    let (mut requests, mut lost) = (0_u64, 0_u64);
    for _ in 0..3600 {
        world.network.advance(1);
        for (number, cookie) in users.iter_mut().enumerate() {
            if cookie.is_empty() || random.below(PAGE_EVERY_S) != 0 {
                continue;
            }
            let sent = cookie.clone();
            for _ in 0..REQUESTS_PER_PAGE {
                // The isolates of a data center are those with the same number modulo the number of data centers.
                let centers = world.centers;
                let own = count / centers;
                let at =
                    number % centers + centers * usize::try_from(random.below(own as u64)).expect("a small number");
                let Some(isolate) = isolates.get(at) else { continue };
                requests += 1;
                let header = |name: &str| (name == "cookie").then(|| sent.clone());
                let head = RequestHead { method: "GET", url: "https://app.example.com/account", header: &header };
                let host = world.isolate(at);
                let Answer::Reply(reply) = world.network.run(isolate.handle(&head, &host)) else { continue };
                if reply.status == 200 {
                    if let Some(changed) = cookie_of(&reply.headers) {
                        *cookie = changed;
                    }
                } else {
                    lost += 1;
                    cookie.clear();
                    break;
                }
            }
        }
    }
    let object = if has_coordinator { "yes" } else { "no" };
    let (tokens, messages) = (world.tokens.get() - logins, world.messages.get());
    println!("sessions,{count},{object},{requests},{lost},{tokens},{messages}");
}

fn gateway() -> Gateway {
    compile(CONFIG, &|_variable| None).expect("a valid configuration").gateway
}

/// Returns the session cookie that a response sets, as a `Cookie` header.
fn cookie_of<N: AsRef<str>>(headers: &[(N, String)]) -> Option<String> {
    let set = headers.iter().filter(|(name, _)| name.as_ref() == "set-cookie");
    let pairs: Vec<&str> =
        set.map(|(_, line)| line.split(';').next().unwrap_or_default()).filter(|pair| !pair.ends_with('=')).collect();
    (!pairs.is_empty()).then(|| pairs.join("; "))
}

/// What all isolates share: the clock, the provider, the edge caches and the Durable Objects.
struct World {
    /// The clock, and the provider's answers.
    network: TestHost,
    centers: usize,
    /// The cache of each data center: the value and its expiry.
    edge: Option<Vec<RefCell<EdgeCache>>>,
    /// The gateway in the Durable Objects, and the stored texts.
    coordinator: Option<Gateway>,
    stored: RefCell<HashMap<String, String>>,
    /// Requests to the provider, of which `tokens` to its token endpoint.
    provider: Cell<u32>,
    tokens: Cell<u32>,
    messages: Cell<u32>,
    drawn: Cell<u64>,
}

type EdgeCache = HashMap<String, (Vec<u8>, i64)>;

impl World {
    fn new(isolates: usize, has_edge_cache: bool, coordinator: Option<Gateway>) -> Rc<Self> {
        let centers = (isolates / MIN_ISOLATES_OF_CENTER).clamp(1, MAX_CENTERS);
        Rc::new(Self {
            network: TestHost::new(Issuer::new(ISSUER), UnixTime::from_secs(1_800_000_000)),
            centers,
            edge: has_edge_cache.then(|| (0..centers).map(|_| RefCell::default()).collect()),
            coordinator,
            stored: RefCell::default(),
            provider: Cell::new(0),
            tokens: Cell::new(0),
            messages: Cell::new(0),
            drawn: Cell::new(0),
        })
    }

    fn isolate(self: &Rc<Self>, number: usize) -> Isolate {
        Isolate { world: Rc::clone(self), center: number % self.centers }
    }
}

/// The host of an isolate.
#[derive(Clone)]
struct Isolate {
    world: Rc<World>,
    center: usize,
}

impl Isolate {
    fn edge(&self) -> Option<&RefCell<EdgeCache>> {
        self.world.edge.as_ref()?.get(self.center)
    }
}

fn count(counter: &Cell<u32>) {
    counter.set(counter.get() + 1);
}

impl Host for Isolate {
    fn now(&self) -> UnixTime {
        self.world.network.time()
    }

    async fn send(&self, request: Outgoing) -> Result<Incoming, Unreachable> {
        count(&self.world.provider);
        if request.method == "POST" {
            count(&self.world.tokens);
        }
        self.world.network.send(request).await
    }

    async fn sleep(&self, _millis: u32) {}

    async fn edge_get(&self, key: String) -> Option<Vec<u8>> {
        let cache = self.edge()?.borrow();
        let (value, until_s) = cache.get(&key)?;
        (self.now().secs() < *until_s).then(|| value.clone())
    }

    async fn edge_put(&self, entry: EdgeEntry) {
        let until_s = self.now().secs() + entry.max_age_s;
        if let Some(cache) = self.edge() {
            cache.borrow_mut().insert(entry.key, (entry.value.into_bytes(), until_s));
        }
    }

    fn log(&self, _level: Level, _line: &dyn fmt::Display) {}
}

impl Spawn<KeyJob> for Isolate {
    fn spawn(&self, job: KeyJob) -> impl Future<Output = ()> {
        self.world.network.run(job.run(self));
        ready(())
    }
}

impl Spawn<SessionJob> for Isolate {
    fn spawn(&self, job: SessionJob) -> impl Future<Output = ()> {
        // Boxed, because a job may spawn another.
        let job: Pin<Box<dyn Future<Output = ()> + '_>> = Box::pin(job.run(self));
        self.world.network.run(job);
        ready(())
    }
}

impl LoginHost for Isolate {
    fn entropy(&self, out: &mut [u8]) {
        let drawn = self.world.drawn.get() + 1;
        self.world.drawn.set(drawn);
        let mut random = Random(drawn.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        out.fill_with(|| random.next().to_be_bytes()[0]);
    }

    fn has_coordinator(&self) -> bool {
        self.world.coordinator.is_some()
    }

    async fn coordinate(&self, message: CoordinatorMessage) -> Result<CoordinatorResponse, Unreachable> {
        count(&self.world.messages);
        let gateway = self.world.coordinator.as_ref().ok_or(Unreachable::Network)?;
        let party = gateway.login_of_message(&message.sealed).ok_or(Unreachable::Network)?;
        let store = Object { world: Rc::clone(&self.world), name: message.session.clone() };
        let handled: Pin<Box<dyn Future<Output = Result<CoordinatorOutcome, Unreachable>> + '_>> =
            Box::pin(party.coordinate(message.action, &message.sealed, &store, self));
        let outcome = handled.await?;
        if let Some(stored) = outcome.store {
            self.world.stored.borrow_mut().insert(message.session, stored.text);
        }
        Ok(outcome.response)
    }
}

/// The storage of one Durable Object.
struct Object {
    world: Rc<World>,
    name: String,
}

impl CoordinatorStore for Object {
    async fn read(&self) -> Result<String, Unreachable> {
        Ok(self.world.stored.borrow().get(&self.name).cloned().unwrap_or_default())
    }
}

/// A generator of numbers that are the same in each run (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 16) % limit.max(1)
    }
}
