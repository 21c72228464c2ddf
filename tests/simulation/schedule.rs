//! The schedule: one random event after another, each checked against the model.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use edgeward::gateway::{Answer, HeaderEdit};
use edgeward::host::Host as _;
use edgeward::http::RequestHead;
use edgeward::io::{Incoming, UnixTime, Unreachable};
use edgeward::limits;
use edgeward::session::{Cookies, Sessions};
use serde_json::json;
use support::browser::{Browser, Request, Response};
use support::coordinator::{Behavior, Coordinator};
use support::deployment::{COOKIE, Deployment, config, with};
use support::host::{Delay, Jobs, Tasks, VirtualHost};
use support::provider::{Endpoint, Fault, Provider, refusal};
use support::toy::{ToyKey, toy_signature, toy_verdict};
use support::{Mint, Rng, key_a};

use crate::keys::{Keys, Knowledge};
use crate::model::{Bearer, Counts, Ended, Flaw, Must, User};

/// Tolerated by the gateway, in seconds.
const SKEW_S: i64 = 5;
const HOUR_MS: i64 = 3_600_000;
/// How long the coordinator remembers outcomes, in milliseconds, with a margin.
const OUTCOME_MS: i64 = 3_500_000;
/// How long after a fault a refresh is tried again, in milliseconds, with a margin.
const REFRESH_RECOVERY_MS: i64 = 70_000;
/// The longest life of a token of a session, in milliseconds, with a margin.
const LIFE_MS: i64 = HOUR_MS + 70_000;
const BROKEN: i64 = i64::MAX / 2;

/// An instance of the gateway, and what it has seen.
struct Isolate {
    deployment: Deployment,
    knowledge: Knowledge,
}

pub(crate) struct Simulation {
    rng: Rng,
    host: VirtualHost,
    provider: Provider,
    coordinator: Rc<Coordinator>,
    isolates: Vec<Isolate>,
    /// Opens the cookies.
    sessions: Sessions,
    keys: Keys,
    /// What the provider signs with: shared with its token endpoint.
    signer: Rc<RefCell<(ToyKey, String)>>,
    /// The latest expiry of each user's access tokens, in seconds.
    issued: Rc<RefCell<BTreeMap<String, i64>>>,
    tokens: Vec<Bearer>,
    users: Vec<User>,
    ended: Vec<Ended>,
    /// Since when the token endpoint and the coordinator have been answering, in elapsed milliseconds.
    refreshing_ms: i64,
    coordinated_ms: i64,
    /// Answers of the token endpoint that were lost: each may end a session.
    lost_responses: u32,
    lost_sessions: u32,
    /// Whether jobs run to their end.
    jobs_run: bool,
    logins: u64,
    steps: u64,
    /// Whether each step is printed: `TRACE=1`.
    traces: bool,
    /// When the step began, how many lines were logged before, and what was counted before.
    began: UnixTime,
    lines: usize,
    counted: Counts,
    counts: Counts,
}

/// What a request carries.
#[derive(Clone)]
enum Credential {
    Bearer(usize),
    User(usize),
    Ended(usize),
    None,
}

impl Simulation {
    pub(crate) fn new(seed: u64) -> Self {
        let config = with(config(), &json!({ "authorizer": { "algorithms": ["ES256"] } }));
        let deployment = Deployment::of(&config);
        let (host, provider) = (deployment.host.clone(), deployment.provider.clone());
        host.seed(seed);
        host.verify_signatures(toy_verdict);
        let coordinator = deployment.coordinated();
        let signer: Rc<RefCell<(ToyKey, String)>> = Rc::default();
        let issued: Rc<RefCell<BTreeMap<String, i64>>> = Rc::default();
        {
            let (signer, issued) = (Rc::clone(&signer), Rc::clone(&issued));
            let id_signer = Rc::clone(&signer);
            let mut state = provider.set();
            state.id = Rc::new(move |mint| signed(mint, &id_signer.borrow()));
            state.access = Rc::new(move |mint| {
                let claims: serde_json::Value = serde_json::from_slice(&mint.claims_bytes()).unwrap();
                let (user, exp) = (claims["sub"].as_str().unwrap(), claims["exp"].as_i64().unwrap());
                let mut issued = issued.borrow_mut();
                let latest = issued.entry(user.into()).or_default();
                *latest = exp.max(*latest);
                signed(mint, &signer.borrow()).text()
            });
        }
        let isolates = vec![deployment];
        let mut isolates: Vec<Isolate> =
            isolates.into_iter().map(|deployment| Isolate { deployment, knowledge: Knowledge::default() }).collect();
        for _ in 0..2 {
            let deployment = isolates[0].deployment.instance();
            isolates.push(Isolate { deployment, knowledge: Knowledge::default() });
        }
        let mut simulation = Self {
            rng: Rng(seed),
            host,
            provider,
            coordinator,
            sessions: isolates[0].deployment.sessions(),
            isolates,
            keys: Keys::default(),
            signer,
            issued,
            tokens: Vec::new(),
            users: (0..4).map(|_| User::default()).collect(),
            ended: Vec::new(),
            refreshing_ms: 0,
            coordinated_ms: 0,
            lost_responses: 0,
            lost_sessions: 0,
            jobs_run: true,
            logins: 0,
            steps: 0,
            traces: std::env::var_os("TRACE").is_some(),
            began: UnixTime::from_millis(0),
            lines: 0,
            counted: Counts::default(),
            counts: Counts::default(),
        };
        for kid in ["k0", "k1"] {
            simulation.keys.publish(kid.into(), 0);
        }
        simulation.publish();
        simulation
    }

    pub(crate) fn step(&mut self) {
        self.steps += 1;
        (self.began, self.lines) = (self.host.now(), self.host.seen().lines.len());
        if self.traces {
            self.counted = self.counts.clone();
        }
        match self.rng.below(200) {
            0..=79 => self.bearer(),
            80..=119 => self.session(),
            120..=125 => self.anonymous(),
            126..=131 => self.ended_session(),
            132..=141 => self.burst(),
            142..=147 => self.kid_flood(),
            148..=153 => self.log_in(),
            154..=155 => self.log_out(),
            156..=175 => self.pass_time(),
            176 => self.slow_rotation(),
            177..=179 => self.move_clock(),
            180..=184 => self.rotate(),
            185..=188 => self.break_provider(),
            189..=190 => self.break_coordinator(),
            191..=196 => self.recover(),
            197 => self.restart(),
            198 => self.spoil_edge(),
            _ => self.kill_jobs(),
        }
        if self.traces {
            self.trace();
        }
        self.account_for_lost_sessions();
        if self.steps.is_multiple_of(64) {
            self.forget();
        }
    }

    /// Prints what happened in this step.
    fn trace(&self) {
        let happened = self.counts.since(&self.counted).join(", ");
        println!("step {}, elapsed {} ms, wall {}: {happened}", self.steps, self.now_ms(), self.host.now().millis());
        let seen = self.host.seen();
        for sent in seen.sent.iter().filter(|sent| sent.at >= self.began) {
            println!("  sent to {}", sent.request.url);
        }
        for (_, line) in seen.lines.iter().skip(self.lines) {
            println!("  {line}");
        }
        for user in self.users.iter().filter(|user| user.is_in) {
            let ended = self.provider.has_ended(&user.name);
            println!(
                "  {} used {} lost {} newest {}, ended {ended}",
                user.name, user.used_ms, user.lost, user.newest_ms
            );
        }
    }

    /// Ends all faults and asserts that every session is still there.
    pub(crate) fn finish(mut self) -> Counts {
        self.recover_all();
        self.host.sleep_ms(REFRESH_RECOVERY_MS + 10_000);
        for user in 0..self.users.len() {
            for isolate in 0..self.isolates.len() {
                self.request(isolate, &Credential::User(user), "/app");
            }
        }
        self.account_for_lost_sessions();
        self.host.forget();
        self.counts
    }

    fn now_ms(&self) -> i64 {
        self.host.elapsed_ms()
    }

    /// Returns the elapsed time, and that of the wall clock.
    fn moment(&self) -> (i64, UnixTime) {
        (self.now_ms(), self.host.now())
    }

    // --- requests ---

    fn bearer(&mut self) {
        let token = self.token();
        let isolate = self.rng.below(self.isolates.len());
        let target = *self.rng.pick(&["/app", "/app", "/app", "/things"]);
        self.request(isolate, &Credential::Bearer(token), target);
    }

    fn session(&mut self) {
        let (isolate, user) = (self.rng.below(self.isolates.len()), self.rng.below(self.users.len()));
        let target = *self.rng.pick(&["/app", "/app", "/things"]);
        self.request(isolate, &Credential::User(user), target);
    }

    fn anonymous(&mut self) {
        let isolate = self.rng.below(self.isolates.len());
        self.counts.count("anonymous");
        match self.rng.below(3) {
            0 => {
                let response = self.host.run(answer(&self.isolates[isolate].deployment, Request::get("/open")));
                assert_eq!(response.status, 200, "a public page");
            }
            1 => {
                let response = self.host.run(answer(&self.isolates[isolate].deployment, Request::get("/app").page()));
                assert_eq!(response.status, 302, "a navigation without a session");
            }
            _ => self.request(isolate, &Credential::None, "/app"),
        }
    }

    fn ended_session(&mut self) {
        if !self.ended.is_empty() {
            let (isolate, which) = (self.rng.below(self.isolates.len()), self.rng.below(self.ended.len()));
            self.request(isolate, &Credential::Ended(which), "/app");
        }
    }

    fn kid_flood(&mut self) {
        self.counts.count("kid flood");
        let isolate = self.rng.below(self.isolates.len());
        for _ in 0..3 {
            let kid = format!("unknown-{}", self.rng.next());
            let text = self.mint(600, |mint| mint.toy(0, &kid)).text();
            let request = Request::get("/app").bearer(&text);
            let response = self.host.run(answer(&self.isolates[isolate].deployment, request));
            assert!(matches!(response.status, 401 | 503), "{}: a kid that was never published", response.status);
        }
    }

    /// Sends one request and checks its answer.
    fn request(&mut self, isolate: usize, credential: &Credential, target: &'static str) {
        self.observe(credential);
        let (before, began) = (self.verdict(isolate, credential), self.moment());
        let request = self.request_of(credential, target).header(ORIGIN_MS, self.origin_ms());
        let sent = request.value("cookie").unwrap_or_default();
        let response = self.host.run(answer(&self.isolates[isolate].deployment, request));
        self.check(isolate, credential, target, &sent, before, began, Some(&response));
    }

    /// Several requests at once, in a random order of polls, some of them cancelled.
    fn burst(&mut self) {
        let mut plan = Vec::new();
        for _ in 0..2 + self.rng.below(5) {
            let credential = match self.rng.below(2) {
                0 => Credential::Bearer(self.token()),
                _ => Credential::User(self.rng.below(self.users.len())),
            };
            self.observe(&credential);
            plan.push((self.rng.below(self.isolates.len()), credential, *self.rng.pick(&["/app", "/app", "/things"])));
        }
        let began = self.moment();
        let mut tasks = self.host.tasks();
        let mut started = Vec::new();
        for (isolate, credential, target) in &plan {
            let before = self.verdict(*isolate, credential);
            let request = self.request_of(credential, target).header(ORIGIN_MS, self.origin_ms());
            started.push((before, request.value("cookie").unwrap_or_default()));
            tasks.start(answer(&self.isolates[*isolate].deployment, request));
            for _ in 0..self.rng.below(4) {
                tasks.round();
            }
            let victim = self.rng.below(tasks.len());
            if self.rng.below(6) == 0 && tasks.is_open(victim) && self.may_lose_answer(&plan[victim].1) {
                self.counts.count("cancelled");
                tasks.cancel(victim);
                self.lose_answer(&plan[victim].1);
            }
        }
        tasks.finish();
        for (number, (isolate, credential, target)) in plan.iter().enumerate() {
            let (before, sent) = &started[number];
            let response = tasks.output(number).cloned();
            self.check(*isolate, credential, target, sent, *before, began, response.as_ref());
        }
    }

    /// Returns how long the origin takes, in milliseconds.
    fn origin_ms(&mut self) -> String {
        let millis = if self.rng.below(2) == 0 { 0 } else { self.rng.below(400) };
        millis.to_string()
    }

    fn request_of(&self, credential: &Credential, target: &str) -> Request {
        let now = self.host.now();
        match credential {
            Credential::Bearer(token) => Request::get(target).bearer(&self.tokens[*token].text),
            Credential::User(user) => Request::get(target).cookie(&self.users[*user].browser.header(now)),
            Credential::Ended(which) => Request::get(target).cookie(&self.ended[*which].cookie),
            Credential::None => Request::get(target),
        }
    }

    fn verdict(&self, isolate: usize, credential: &Credential) -> Must {
        let (now_ms, wall) = (self.now_ms(), self.host.now());
        match credential {
            Credential::None => Must::Fail,
            Credential::Bearer(token) => {
                let (token, knowledge) = (&self.tokens[*token], &self.isolates[isolate].knowledge);
                let is_over = wall.secs() >= token.exp + SKEW_S || wall.secs() + SKEW_S < token.nbf;
                let is_live = token.nbf <= wall.secs() && wall.secs() < token.exp;
                if token.flaw.is_some() || is_over || self.keys.must_be_unknown(token.key, knowledge) {
                    Must::Fail
                } else if is_live && self.keys.must_be_known(token.key, knowledge, now_ms) {
                    Must::Pass
                } else {
                    Must::Either
                }
            }
            Credential::User(user) => {
                let user = &self.users[*user];
                let is_young =
                    wall.millis() - user.used_ms < 23 * HOUR_MS && wall.millis() - user.began_ms < 71 * HOUR_MS;
                let is_remembered = now_ms - user.newest_ms < OUTCOME_MS;
                if !user.is_in {
                    Must::Fail
                } else if is_young && is_remembered && !user.may_be_lost && user.has_begun(wall) {
                    Must::Pass
                } else {
                    Must::Either
                }
            }
            Credential::Ended(which) => {
                let healthy_ms = self.refreshing_ms.max(self.coordinated_ms);
                let is_due = now_ms > self.ended[*which].due_ms && now_ms - healthy_ms > REFRESH_RECOVERY_MS;
                if is_due && self.jobs_run { Must::Fail } else { Must::Either }
            }
        }
    }

    /// Whether a good token became valid and expired while the request waited, for keys or the origin.
    fn has_come_and_gone(&self, credential: &Credential, began: UnixTime) -> bool {
        let Credential::Bearer(token) = credential else { return false };
        let token = &self.tokens[*token];
        token.flaw.is_none() && token.nbf > began.secs() + SKEW_S && token.exp + SKEW_S <= self.host.now().secs()
    }

    #[allow(clippy::too_many_arguments, reason = "what is known of one request")]
    fn check(
        &mut self,
        isolate: usize,
        credential: &Credential,
        target: &str,
        sent: &str,
        before: Must,
        (began_ms, began_wall): (i64, UnixTime),
        response: Option<&Response>,
    ) {
        let after = self.verdict(isolate, credential);
        let may_change = before != after || self.has_come_and_gone(credential, began_wall);
        let must = if may_change { Must::Either } else { before };
        // Accounted for after this step.
        let is_ended_by_provider =
            matches!(credential, Credential::User(user) if self.provider.has_ended(&self.users[*user].name));
        let must = if must == Must::Pass && is_ended_by_provider { Must::Either } else { must };
        let Some(response) = response else { return };
        let has_passed = response.status == 200;
        let seen = format!(
            "{} {:?} for {target}, elapsed {began_ms}..{} ms",
            response.status,
            response.outcome(),
            self.now_ms()
        );
        assert!(matches!(response.status, 200 | 401 | 403 | 503), "{seen}");
        assert!(!has_passed || must != Must::Fail, "passed: {seen}: {}", self.described(credential));
        // What a session may do depends on its access token, which an outage may leave expired.
        let is_about_rights = target == "/things" && !matches!(credential, Credential::Bearer(_));
        assert!(has_passed || must != Must::Pass || is_about_rights, "refused: {seen}: {}", self.described(credential));
        match credential {
            Credential::None => {}
            Credential::Ended(_) => self.counts.count(match must {
                Must::Pass => "an ended session that must pass",
                Must::Fail => "session that must not",
                Must::Either => "session that may pass",
            }),
            Credential::Bearer(token) => {
                let token = self.tokens[*token].clone();
                self.counts.count(match must {
                    Must::Pass => "bearer that must pass",
                    Must::Fail => "bearer that must not",
                    Must::Either => "bearer that may pass",
                });
                let now = self.host.now().secs();
                let is_looked_up = token.flaw.is_none() && now < token.exp && token.nbf <= now;
                if has_passed {
                    assert!(
                        target != "/app" || response.origin_header("x-user") == Some(&token.user),
                        "another user: {seen}"
                    );
                    self.isolates[isolate].knowledge.accepted(token.key);
                }
                if is_looked_up && self.jobs_run && self.keys.healthy_ms + REFRESH_RECOVERY_MS < began_ms {
                    self.isolates[isolate].knowledge.is_current(began_ms);
                }
            }
            Credential::User(user) => self.check_session(*user, target, sent, must, began_wall, response),
        }
    }

    fn check_session(
        &mut self,
        number: usize,
        target: &str,
        sent: &str,
        must: Must,
        began_wall: UnixTime,
        response: &Response,
    ) {
        let has_passed = response.status == 200;
        let wall = self.host.now();
        self.counts.count(match must {
            Must::Pass => "session that must pass",
            Must::Fail => "session that must not",
            Must::Either => "session that may pass",
        });
        let user = &self.users[number];
        if has_passed && target == "/app" {
            assert_eq!(response.origin_header("x-user"), Some(user.name.as_str()), "another user's session");
        }
        if has_passed && target == "/things" {
            let until = self.issued.borrow().get(&user.name).copied().unwrap_or_default();
            let now = began_wall.secs();
            assert!(now < until + SKEW_S, "rights of an access token that expired at {until}, at {now}");
            self.counts.count("rights in time");
        }
        if sent.is_empty() || !user.is_in {
            return;
        }
        if response.status == 401 && !user.has_begun(began_wall) {
            // It is accepted again when the clock is right.
            assert_ne!(response.sets(COOKIE), Some(false), "the cookie of a session from the future");
            self.counts.count("session from the future");
            return;
        }
        if response.status == 401 && target == "/app" {
            // It was allowed to be lost. Other answers of this session may still arrive.
            let name = std::mem::take(&mut self.users[number].name);
            self.users[number] = User { name, ..User::default() };
            return;
        }
        let credential = Credential::User(number);
        if response.sets(COOKIE).is_some() && self.rng.below(10) == 0 && self.may_lose_answer(&credential) {
            self.counts.count("lost answer");
            self.lose_answer(&credential);
            return;
        }
        let user = &mut self.users[number];
        user.browser.store_cookies(response, wall);
        if has_passed {
            user.used_ms = if response.sets(COOKIE) == Some(true) { wall.millis() } else { user.used_ms };
        }
        self.observe(&credential);
    }

    fn may_lose_answer(&self, credential: &Credential) -> bool {
        match credential {
            Credential::User(user) => self.users[*user].lost < 2,
            _ => true,
        }
    }

    fn lose_answer(&mut self, credential: &Credential) {
        if let Credential::User(user) = credential {
            self.users[*user].lost += 1;
        }
    }

    /// Records whether the browser's refresh token is the newest.
    fn observe(&mut self, credential: &Credential) {
        let Credential::User(number) = credential else { return };
        let (now_ms, wall) = self.moment();
        let user = &mut self.users[*number];
        if !user.is_in {
            return;
        }
        let cookie = user.browser.header(wall);
        let session = self.sessions.open(&Cookies::new(&cookie), "app.example.com", wall);
        let token = session.as_ref().and_then(|session| session.tokens().refresh.as_deref());
        if token.is_some_and(|token| self.provider.is_live(token)) {
            user.newest_ms = now_ms;
            user.lost = 0;
        }
    }

    fn described(&self, credential: &Credential) -> String {
        let wall = self.host.now();
        let health = format!(
            "keys since {}, refreshes since {}, coordinator since {}, jobs {}, now {} ms, wall {}",
            self.keys.healthy_ms,
            self.refreshing_ms,
            self.coordinated_ms,
            self.jobs_run,
            self.now_ms(),
            wall.secs()
        );
        match credential {
            Credential::None => health,
            Credential::Bearer(token) => {
                let token = &self.tokens[*token];
                format!(
                    "{:?} key {} nbf {} exp {}; {:?}; {health}",
                    token.flaw, token.key, token.nbf, token.exp, self.keys
                )
            }
            Credential::User(user) => {
                let User { name, is_in, began_ms, used_ms, lost, newest_ms, may_be_lost, .. } = &self.users[*user];
                format!(
                    "{name} in {is_in} began {began_ms} used {used_ms} lost {lost} newest {newest_ms} may be lost {may_be_lost}; {health}; {:?}",
                    self.isolates[0].deployment.lines().iter().rev().take(4).collect::<Vec<_>>()
                )
            }
            Credential::Ended(which) => format!("due {}; {health}", self.ended[*which].due_ms),
        }
    }

    // --- tokens ---

    /// Returns a bearer token, new or used before.
    fn token(&mut self) -> usize {
        if self.tokens.len() >= 16 && self.rng.below(4) != 0 {
            return self.rng.below(self.tokens.len());
        }
        let token = self.make_token();
        if self.tokens.len() < 16 {
            self.tokens.push(token);
            return self.tokens.len() - 1;
        }
        let index = self.rng.below(self.tokens.len());
        self.tokens[index] = token;
        index
    }

    fn mint(&mut self, life_s: i64, change: impl FnOnce(Mint) -> Mint) -> Mint {
        let now = self.host.now().secs();
        change(Mint::access(key_a()).claim("iat", now).claim("nbf", now).claim("exp", now + life_s))
    }

    fn make_token(&mut self) -> Bearer {
        let now = self.host.now().secs();
        let user = format!("caller-{}", self.rng.below(1_000_000));
        let nbf = now + [0, 0, 0, 0, -30, 3, 8, 400][self.rng.below(8)];
        let exp = nbf + [1, 5, 30, 300, 900, 3600, 7200, 100_000][self.rng.below(8)];
        let choice = self.rng.below(64);
        let (key, kid) = match self.rng.below(8) {
            // Maybe a withdrawn one.
            0 => self.keys.any(choice),
            1..=3 => self.signer.borrow().clone(),
            _ => {
                let published = self.keys.published();
                let (key, kid) = published[choice % published.len()];
                (key, kid.to_string())
            }
        };
        let mint =
            Mint::access(key_a()).claim("sub", user.as_str()).claim("iat", nbf).claim("nbf", nbf).claim("exp", exp);
        let mint = mint.claim("jti", self.rng.next().to_string()).toy(key, &kid);
        let flaws = [
            Flaw::Forged,
            Flaw::OtherAudience,
            Flaw::OtherIssuer,
            Flaw::NeverPublished,
            Flaw::OtherKind,
            Flaw::Malformed,
        ];
        let flaw = (self.rng.below(5) == 0).then(|| *self.rng.pick(&flaws));
        let text = match flaw {
            None => mint.text(),
            Some(Flaw::Forged) => mint.with_signature(&toy_signature(key + (1 << 40), &mint.signing_input())),
            Some(Flaw::OtherAudience) => mint.claim("aud", "https://other.example.com").text(),
            Some(Flaw::OtherIssuer) => mint.claim("iss", "https://other.example.com/").text(),
            Some(Flaw::NeverPublished) => mint.toy(u64::MAX - 1, &kid).text(),
            Some(Flaw::OtherKind) => mint.claim("token_use", "id").text(),
            Some(Flaw::Malformed) => format!("{}A", mint.text()),
        };
        Bearer { text, user, key, nbf, exp, flaw }
    }

    // --- users ---

    fn log_in(&mut self) {
        let Some(number) = self.users.iter().position(|user| !user.is_in) else { return };
        self.logins += 1;
        let name = format!("person-{}", self.logins);
        let life_s = *self.rng.pick(&[60, 300, 3600]);
        {
            let mut state = self.provider.set();
            state.user.clone_from(&name);
            state.life_s = life_s;
        }
        let isolate = self.rng.below(self.isolates.len());
        let mut browser = Browser::default();
        let callback = {
            let deployment = &self.isolates[isolate].deployment;
            let begun = self.host.run(answer(deployment, Request::get("/login").page()));
            if begun.status != 302 {
                return;
            }
            browser.store_cookies(&begun, self.host.now());
            self.provider.authorize(begun.location())
        };
        if self.rng.below(8) == 0 {
            self.host.sleep_ms(20_000);
        }
        let isolate = self.rng.below(self.isolates.len());
        let request = Request::get(&callback).page().cookie(&browser.header(self.host.now()));
        let response = self.host.run(answer(&self.isolates[isolate].deployment, request));
        assert!(
            matches!(response.status, 302 | 303 | 400 | 401 | 502 | 503 | 504),
            "{} {}",
            response.status,
            response.body
        );
        if response.sets(COOKIE) == Some(true) {
            self.counts.count("login");
            let now_ms = self.host.now().millis();
            browser.store_cookies(&response, self.host.now());
            self.users[number] = User {
                name,
                browser,
                is_in: true,
                began_ms: now_ms,
                used_ms: now_ms,
                login_ms: now_ms,
                newest_ms: self.host.elapsed_ms(),
                ..User::default()
            };
        }
    }

    fn log_out(&mut self) {
        let number = self.rng.below(self.users.len());
        // The end of a session that does not reach the coordinator is known to one instance only.
        if !self.users[number].is_in || self.coordinated_ms == BROKEN || !self.jobs_run {
            return;
        }
        let isolate = self.rng.below(self.isolates.len());
        let cookie = self.users[number].browser.header(self.host.now());
        let response =
            self.host.run(answer(&self.isolates[isolate].deployment, Request::get("/logout").cookie(&cookie)));
        assert!((200..400).contains(&response.status), "{} {}", response.status, response.body);
        self.counts.count("logout");
        self.users[number] = User::default();
        self.ended.push(Ended { cookie, due_ms: self.now_ms() + LIFE_MS });
    }

    /// Sessions that the provider has ended: only where it saw a refresh token twice because its answer was lost.
    fn account_for_lost_sessions(&mut self) {
        for user in &mut self.users {
            if user.is_in && !user.may_be_lost && self.provider.has_ended(&user.name) {
                user.may_be_lost = true;
                // Outcomes of refreshes are not remembered for ever.
                let is_forgotten = self.host.elapsed_ms() - user.newest_ms > OUTCOME_MS;
                self.lost_sessions += u32::from(!is_forgotten);
                self.counts.count("session ended by the provider");
            }
        }
        assert!(
            self.lost_sessions <= self.lost_responses,
            "{} sessions lost, {} answers",
            self.lost_sessions,
            self.lost_responses
        );
    }

    // --- the world ---

    fn pass_time(&mut self) {
        let millis = match self.rng.below(24) {
            0..=9 => self.rng.below(3_000),
            10..=17 => self.rng.below(60_000),
            18..=21 => self.rng.below(900_000),
            22 => self.rng.below(2 * 3_600_000),
            _ => self.rng.below(14 * 3_600_000),
        };
        self.host.sleep_ms(millis as i64);
    }

    fn move_clock(&mut self) {
        self.counts.count("clock");
        let millis = match self.rng.below(8) {
            0..=4 => self.rng.below(5_000) as i64 - 2_500,
            5 => -(self.rng.below(600_000) as i64),
            6 => self.rng.below(600_000) as i64,
            _ => self.rng.below(2 * 3_600_000) as i64,
        };
        self.host.set_clock(UnixTime::from_millis(self.host.now().millis() + millis));
        let now_ms = self.now_ms();
        self.keys.clock_jumped(millis, now_ms);
        for isolate in &mut self.isolates {
            isolate.knowledge.clock_jumped(millis);
        }
        for user in &mut self.users {
            user.began_ms -= millis.abs();
            user.used_ms -= millis.abs();
            // Outcomes are remembered by the wall clock.
            user.newest_ms -= millis.abs();
        }
        for ended in &mut self.ended {
            ended.due_ms += millis.abs();
        }
        self.refreshing_ms = self.refreshing_ms.max(now_ms + millis.abs());
        self.coordinated_ms = self.coordinated_ms.max(now_ms + millis.abs());
    }

    fn publish(&mut self) {
        self.provider.set().published = self.keys.jwks();
        let published = self.keys.published();
        let (key, kid) = published[self.rng.below(published.len())];
        *self.signer.borrow_mut() = (key, kid.to_string());
    }

    fn rotate(&mut self) {
        let now_ms = self.now_ms();
        let published: Vec<(ToyKey, String)> =
            self.keys.published().into_iter().map(|(key, kid)| (key, kid.to_string())).collect();
        match self.rng.below(3) {
            0 if published.len() < 6 => {
                self.counts.count("rotation");
                self.keys.publish(format!("k{}", self.rng.next() % 1_000_000), now_ms);
            }
            1 if published.len() > 2 => {
                self.counts.count("withdrawal");
                let (key, _) = published[self.rng.below(published.len())];
                self.keys.withdraw(key, now_ms);
            }
            2 => {
                self.counts.count("replacement");
                let (_, kid) = &published[self.rng.below(published.len())];
                self.keys.publish(kid.clone(), now_ms);
            }
            _ => {}
        }
        self.publish();
    }

    /// The keys change while the provider is slow: no request is refused for its key while a request for the keys is under way.
    fn slow_rotation(&mut self) {
        if self.keys.healthy_ms == BROKEN || self.host.open_jobs() > 0 {
            return;
        }
        self.counts.count("slow rotation");
        self.rotate();
        let url = self.provider.url(Endpoint::Keys);
        let slow_ms = self.rng.below(5_000) as u32;
        self.host.delay_answers(&url, Delay::Millis(slow_ms));
        let isolate = self.rng.below(self.isolates.len());
        let before = self.host.seen().sent.len();
        let (mut tasks, mut open) = (self.host.tasks(), Vec::new());
        for _ in 0..8 {
            let published = self.keys.published();
            let (key, kid) = published[self.rng.below(published.len())];
            let kid = kid.to_string();
            let text = self.mint(600, |mint| mint.toy(key, &kid)).text();
            let request = Request::get("/app").bearer(&text);
            open.push(tasks.start(answer(&self.isolates[isolate].deployment, request)));
            if self.rng.below(8) == 0 {
                self.counts.count("cancelled");
                tasks.cancel(self.rng.below(tasks.len()));
            }
            for _ in 0..self.rng.below(100) {
                tasks.elapse_ms(10);
                self.assert_undecided(&tasks, &mut open, &url, before, slow_ms);
            }
        }
        while open.iter().any(|number| tasks.is_open(*number)) {
            tasks.elapse_ms(10);
            self.assert_undecided(&tasks, &mut open, &url, before, slow_ms);
        }
        drop(tasks);
        self.host.delay_answers(&url, Delay::Millis(0));
        self.keys.healthy_ms = self.keys.healthy_ms.max(self.now_ms());
    }

    /// Asserts that none of these requests, whose tokens are valid, was refused within the last step of 10 ms while a request for the keys
    /// was under way. Forgets those that have an answer.
    fn assert_undecided<F: Future<Output = Response>>(
        &mut self,
        tasks: &Tasks<F>,
        open: &mut Vec<usize>,
        url: &str,
        sent_before: usize,
        slow_ms: u32,
    ) {
        let now_ms = self.host.now().millis();
        let takes_ms = i64::from(slow_ms.min(limits::FETCH_TIMEOUT_MS));
        let is_under_way = self.host.seen().sent.iter().skip(sent_before).any(|sent| {
            let at_ms = sent.at.millis();
            sent.request.url == url && at_ms < now_ms - 10 && now_ms < at_ms + takes_ms
        });
        open.retain(|number| {
            let Some(response) = tasks.output(*number) else { return tasks.is_open(*number) };
            assert!(matches!(response.status, 200 | 401 | 503), "{:?}", response.outcome());
            assert!(response.status != 401 || !is_under_way, "refused: {:?} after {slow_ms} ms", response.outcome());
            self.counts.count(if response.status == 200 { "slow key that passes" } else { "slow key that does not" });
            false
        });
    }

    fn break_provider(&mut self) {
        self.counts.count("outage");
        let incoming = |status: u16, body: &str| Incoming {
            status,
            content_type: Some("application/json".into()),
            body: body.as_bytes().to_vec(),
            ..Incoming::default()
        };
        let answers = [
            Err(Unreachable::Network),
            Err(Unreachable::GivenUp),
            Ok(incoming(500, "")),
            Ok(incoming(503, "{}")),
            Ok(incoming(200, "<html>")),
            Ok(incoming(200, "{}")),
            Ok(incoming(200, r#"{"keys":[]}"#)),
            Ok(incoming(200, r#"{"keys":[{"kty":"AKP","kid":"k0"}]}"#)),
            Ok(incoming(200, r#"{"keys":[{"kty":"EC""#)),
            Ok(incoming(302, "")),
        ];
        match self.rng.below(8) {
            0 | 1 => {
                self.provider.take_down(Endpoint::Keys);
                self.keys.healthy_ms = BROKEN;
            }
            2 | 3 => {
                for _ in 0..=self.rng.below(3) {
                    let reply = self.rng.pick(&answers).clone();
                    self.provider.answer_next(Endpoint::Keys, reply);
                }
                self.keys.healthy_ms = BROKEN;
            }
            4 => {
                let url = self.provider.url(Endpoint::Keys);
                self.host.delay_answers(&url, Delay::Millis(self.rng.below(6_000) as u32));
                self.keys.healthy_ms = BROKEN;
            }
            5 => {
                self.provider.take_down(Endpoint::Token);
                self.refreshing_ms = BROKEN;
            }
            6 => {
                self.refreshing_ms = BROKEN;
                match self.rng.below(4) {
                    0 => self.provider.fault(Endpoint::Token, Fault::Late(self.rng.below(9_000) as u32)),
                    1 => self.provider.answer_next(Endpoint::Token, Ok(refusal(503, "temporarily_unavailable"))),
                    2 => self.provider.answer_next(Endpoint::Token, Err(Unreachable::Network)),
                    _ => {
                        self.lost_responses += 1;
                        let fault = if self.rng.below(2) == 0 { Fault::ResponseLost } else { Fault::BreakOff };
                        self.provider.fault(Endpoint::Token, fault);
                    }
                }
            }
            _ => {
                self.provider.take_all_down();
                self.keys.healthy_ms = BROKEN;
                self.refreshing_ms = BROKEN;
            }
        }
    }

    fn break_coordinator(&mut self) {
        self.coordinated_ms = BROKEN;
        match self.rng.below(8) {
            0 => self.coordinator.behave(Behavior::Unreachable),
            1 => self.coordinator.behave_next(Behavior::Silent),
            2 => self.coordinator.behave_next(Behavior::ResponseLost),
            3 => self.coordinator.behave_next(Behavior::Delayed(self.rng.below(14_000) as u32)),
            4 => self.coordinator.behave_next(Behavior::ResponseDelayed(self.rng.below(20_000) as u32)),
            5 => self.coordinator.slow_store(*self.rng.pick(&[5, 300])),
            6 => self.coordinator.break_store(true),
            _ => self.coordinator.behave_next(Behavior::Unreachable),
        }
    }

    fn recover(&mut self) {
        let (now_ms, which) = (self.now_ms(), self.rng.below(3));
        if which == 0 {
            self.coordinator.reset();
            self.coordinated_ms = self.recovered(self.coordinated_ms, now_ms);
        } else {
            self.recover_provider();
        }
    }

    /// Health begins now, unless it began before or a clock jump set it later.
    fn recovered(&self, since_ms: i64, now_ms: i64) -> i64 {
        if since_ms == BROKEN { now_ms } else { since_ms }
    }

    fn recover_provider(&mut self) {
        let now_ms = self.now_ms();
        self.provider.clear_faults();
        let url = self.provider.url(Endpoint::Keys);
        self.host.delay_answers(&url, Delay::Millis(0));
        if self.jobs_run {
            self.keys.healthy_ms = self.recovered(self.keys.healthy_ms, now_ms);
        }
        self.refreshing_ms = self.recovered(self.refreshing_ms, now_ms);
    }

    fn recover_all(&mut self) {
        self.recover_provider();
        self.coordinator.reset();
        self.coordinated_ms = self.recovered(self.coordinated_ms, self.now_ms());
        self.run_jobs();
    }

    fn restart(&mut self) {
        self.counts.count("restart");
        let isolate = self.rng.below(self.isolates.len());
        self.host.forget();
        if self.rng.below(2) == 0 {
            self.host.kill_jobs();
        }
        let deployment = self.isolates[isolate].deployment.instance();
        self.isolates[isolate] = Isolate { deployment, knowledge: Knowledge::default() };
    }

    /// The edge cache loses its entries, or they are replaced by something else.
    fn spoil_edge(&mut self) {
        let choice = self.rng.below(3);
        let mut edge = self.host.edge();
        match choice {
            0 => edge.clear(),
            1 => edge.values_mut().for_each(|value| value.truncate(value.len() / 2)),
            _ => edge.values_mut().for_each(|value| *value = b"{}".to_vec()),
        }
    }

    /// Jobs that no request awaits are killed from now on, as where an isolate is evicted; or they run again.
    fn kill_jobs(&mut self) {
        if self.jobs_run {
            self.counts.count("killed jobs");
            self.jobs_run = false;
            self.keys.healthy_ms = BROKEN;
            self.host.jobs(Jobs::RunAwaited);
            self.host.kill_jobs();
        } else {
            self.run_jobs();
        }
    }

    fn run_jobs(&mut self) {
        self.host.jobs(Jobs::Run);
        self.host.release_jobs();
        if !self.jobs_run {
            self.jobs_run = true;
            self.recover_provider();
        }
    }

    /// Forgets what no longer matters, so that a long run does not grow.
    fn forget(&mut self) {
        self.host.forget();
        let users: Vec<String> = self.users.iter().filter(|user| user.is_in).map(|user| user.name.clone()).collect();
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        self.provider.forget_all_but(&users);
        self.issued.borrow_mut().retain(|user, _| users.contains(&user.as_str()));
        let excess = self.ended.len().saturating_sub(6);
        self.ended.drain(..excess);
        self.keys.forget(self.now_ms() - 30 * HOUR_MS);
        self.tokens.retain(|token| self.keys.is_remembered(token.key));
    }
}

fn signed(mint: Mint, (key, kid): &(ToyKey, String)) -> Mint {
    mint.toy(*key, kid)
}

/// The header of a request that says how long the origin takes.
const ORIGIN_MS: &str = "x-origin-ms";

/// Handles a request. Unlike `Deployment::answer`, it does not search the answer for secrets.
fn answer(deployment: &Deployment, request: Request) -> impl Future<Output = Response> + use<> {
    let (gateway, host) = (Rc::clone(&deployment.gateway), deployment.host.clone());
    async move {
        let header = |name: &str| request.value(name);
        let head = RequestHead { method: request.method, url: &request.url, header: &header };
        match gateway.handle(&head, &host).await {
            Answer::Reply(reply) => {
                let headers = reply.headers.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
                Response { status: reply.status, headers, body: reply.body, origin_got: None }
            }
            Answer::Forward(mut forward) => {
                host.sleep(request.value(ORIGIN_MS).map_or(0, |millis| millis.parse().unwrap())).await;
                forward.settle(&head, &host).await;
                let edits = forward.response_edits(200, None).into_iter();
                let headers = edits.filter_map(|edit| match edit {
                    HeaderEdit::Remove(_) => None,
                    HeaderEdit::Set(name, value) | HeaderEdit::Append(name, value) => Some((name.into_owned(), value)),
                });
                let headers = headers.collect();
                Response { status: 200, headers, body: String::new(), origin_got: Some(forward.set.clone()) }
            }
        }
    }
}
