//! Stress: many users, requests and failures at once, in a seeded random order. In all cases, no user gets another's session, no
//! refresh token is used twice, logged-in users stay logged in, and logged-out users stay logged out.

use std::rc::Rc;

use edgeward::io::Unreachable;
use support::Rng;
use support::browser::{Browser, Request};
use support::coordinator::{Behavior, Coordinator};
use support::deployment::Deployment;
use support::host::Delay;
use support::provider::{Endpoint, Fault, refusal};

use crate::peek;

/// A user with a browser.
struct User {
    user: String,
    browser: Browser,
    is_in: bool,
    /// Every `Cookie` header that this browser has sent for its current session.
    sent: Vec<String>,
    /// Those for ended sessions.
    over: Vec<String>,
    /// Consecutive responses that the browser did not receive.
    lost: usize,
}

struct Storm {
    rng: Rng,
    instances: Vec<Deployment>,
    coordinator: Option<Rc<Coordinator>>,
    users: Vec<User>,
}

impl Storm {
    fn new(seed: u64, is_coordinated: bool) -> Self {
        let deployment = Deployment::new();
        deployment.seed(seed);
        deployment.hesitate();
        deployment.provider.set().life_s = 60;
        let coordinator = is_coordinated.then(|| deployment.coordinated());
        let mut instances = vec![deployment];
        if is_coordinated {
            instances.push(instances[0].instance());
        }
        let users = (0..4).map(|number| User {
            user: format!("person-{number}"),
            browser: Browser::default(),
            is_in: false,
            sent: Vec::new(),
            over: Vec::new(),
            lost: 0,
        });
        Self { rng: Rng(seed), instances, coordinator, users: users.collect() }
    }

    fn deployment(&self) -> &Deployment {
        &self.instances[0]
    }

    /// Adds failures of the provider and the coordinator that lose no response of the provider.
    fn trouble(&mut self, may_trouble_coordinator: bool) {
        let provider = self.deployment().provider.clone();
        match self.rng.below(6) {
            0 => provider.fault(Endpoint::Token, Fault::Late(self.rng.below(9_000) as u32)),
            1 => provider.answer_next(Endpoint::Token, Err(Unreachable::Network)),
            2 => provider.answer_next(Endpoint::Token, Ok(refusal(503, "temporarily_unavailable"))),
            3 => self.deployment().delay_next(&provider.url(Endpoint::Keys), Delay::Millis(400)),
            _ => {}
        }
        let Some(coordinator) = self.coordinator.clone() else { return };
        // A logout that does not reach the coordinator is known to one instance only.
        coordinator.reset();
        if !may_trouble_coordinator {
            return;
        }
        coordinator.slow_store(*self.rng.pick(&[0, 0, 5, 300]));
        match self.rng.below(6) {
            0 => coordinator.behave_next(Behavior::Unreachable),
            1 => coordinator.behave_next(Behavior::ResponseLost),
            2 => coordinator.behave_next(Behavior::ResponseDelayed(self.rng.below(20_000) as u32)),
            3 => coordinator.behave_next(Behavior::Delayed(self.rng.below(14_000) as u32)),
            _ => {}
        }
    }

    fn log_in(&mut self, who: usize) {
        let instance = self.rng.below(self.instances.len());
        let deployment = &self.instances[instance];
        let person = &mut self.users[who];
        deployment.provider.set().user.clone_from(&person.user);
        // The failures are for refreshes.
        while deployment.log_in(&mut person.browser).header("location") != Some("/") {}
        person.is_in = true;
        person.over.append(&mut person.sent);
    }

    /// Sends requests of several users to several instances, cancels some, and may include a logout.
    fn burst(&mut self) {
        let leaves =
            Some(self.rng.below(self.users.len())).filter(|&who| self.users[who].is_in && self.rng.below(4) == 0);
        self.trouble(leaves.is_none());
        let now = self.deployment().now();
        let mut plan = Vec::new();
        for _ in 0..=self.rng.below(8) {
            let who = self.rng.below(self.users.len());
            plan.push((who, self.rng.below(self.instances.len()), "/app"));
        }
        if let Some(who) = leaves {
            plan.insert(self.rng.below(plan.len()), (who, self.rng.below(self.instances.len()), "/logout"));
        }
        let mut tasks = self.instances[0].tasks();
        for &(who, instance, target) in &plan {
            let cookie = self.users[who].browser.header(now);
            self.users[who].sent.push(cookie.clone());
            tasks.start(self.instances[instance].answer(Request::get(target).cookie(&cookie)));
            for _ in 0..self.rng.below(4) {
                tasks.round();
            }
            let victim = self.rng.below(plan.len());
            let is_open = plan[victim].2 == "/app" && victim < tasks.len() && tasks.output(victim).is_none();
            if is_open && self.users[plan[victim].0].lost < 3 && self.rng.below(5) == 0 {
                tasks.cancel(victim);
            }
        }
        tasks.finish();
        for (number, &(who, _, target)) in plan.iter().enumerate() {
            let person = &mut self.users[who];
            let Some(response) = tasks.output(number) else {
                person.lost += 1;
                continue;
            };
            if target == "/app" && response.status == 200 {
                assert_eq!(response.origin_header("x-user"), Some(person.user.as_str()));
                person.lost = 0;
            } else if target == "/app" {
                assert_eq!(response.outcome(), (401, "token_missing".into()));
                assert!(!person.is_in || leaves == Some(who), "{} was logged in", person.user);
            }
            person.browser.store_cookies(response, now);
        }
        drop(tasks);
        if let Some(who) = leaves {
            let person = &mut self.users[who];
            person.is_in = false;
            person.sent.push(person.browser.header(now));
            person.over.append(&mut person.sent);
            // Whatever a late response brought.
            person.browser = Browser::default();
        }
        if self.coordinator.is_none() {
            // The outcome of a lost response is stored for a minute only.
            for person in self.users.iter_mut().filter(|person| person.is_in && person.lost > 0) {
                self.instances[0].send(&mut person.browser, Request::get("/app"));
                person.lost = 0;
            }
        }
    }

    fn rage(mut self, bursts: usize) {
        for _ in 0..bursts {
            let who = self.rng.below(self.users.len());
            if !self.users[who].is_in {
                self.log_in(who);
            }
            self.burst();
            let pause_ms = self.rng.below(25_000) as i64;
            self.deployment().sleep_ms(pause_ms);
        }
        self.reset();
    }

    /// Checks, after all failures and with every token due, that sessions are valid and ended ones are not, in every instance.
    fn reset(self) {
        let provider = self.deployment().provider.clone();
        self.deployment().sleep_s(61);
        provider.clear_faults();
        if let Some(coordinator) = &self.coordinator {
            coordinator.reset();
        }
        for deployment in &self.instances {
            for person in self.users.iter().filter(|person| person.is_in) {
                let answer = peek(deployment, &person.browser, "/app");
                assert_eq!(answer.status, 200, "{} {:?}", person.user, deployment.lines());
                assert_eq!(answer.origin_header("x-user"), Some(person.user.as_str()));
            }
        }
        assert_eq!(provider.state().reused, 0, "a refresh token was used twice");
        let exchanges = provider.refreshes();
        for deployment in &self.instances {
            for cookie in self.users.iter().flat_map(|person| &person.over) {
                let answer = deployment.fetch(Request::get("/app").cookie(cookie));
                assert_eq!(answer.status, 401, "a copied cookie of an ended session");
            }
        }
        assert_eq!(provider.refreshes(), exchanges);
    }
}

#[test]
fn one_instance_is_correct_under_stress() {
    for seed in 1..=8 {
        Storm::new(seed, false).rage(30);
    }
}

#[test]
fn two_instances_with_a_coordinator_are_correct_under_stress() {
    for seed in 101..=108 {
        Storm::new(seed, true).rage(30);
    }
}
