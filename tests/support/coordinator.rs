//! Login support for the virtual host: entropy, jobs on sessions, and a coordinator in memory.
//!
//! Several gateways on one host are instances of one deployment. They share the clock, the provider and the coordinator, which runs
//! as an instance of its own: it runs refreshes of a session one after another, handles ends at once, and stores text.

// The core's unit tests include this file, and the core has no prelude of std.
use std::prelude::rust_2024::*;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use edgeward::gateway::Gateway;
use edgeward::host::{Host as _, Spawn};
use edgeward::io::{Outgoing, Unreachable};
use edgeward::oidc::{
    CoordinatorMessage, CoordinatorOutcome, CoordinatorResponse, CoordinatorStore, LoginHost, RelyingParty,
    SessionAction, SessionJob, SharedAction, SharedMessage, SharedRecords, SharedResponse, StatusReport, StoredText,
};

use super::host::{Reply, VirtualHost};

/// How the coordinator reacts to a message.
#[derive(Clone)]
pub enum Behavior {
    /// Handles it and responds.
    Normal,
    /// Is unreachable.
    Unreachable,
    /// Neither handles it nor responds.
    Silent,
    /// Handles it, but the response is lost.
    ResponseLost,
    /// Receives it after this many milliseconds.
    Delayed(u32),
    /// Handles it, and the response takes this many milliseconds.
    ResponseDelayed(u32),
    /// Does not handle it, and returns this response.
    Responding(CoordinatorResponse),
}

/// The shared records of all instances on a host.
#[derive(Default)]
pub struct SharedObjects {
    /// Whether they exist.
    pub are_bound: bool,
    /// Whether they are unreachable.
    pub are_down: bool,
    /// How long a response takes, in milliseconds.
    pub delay_ms: u32,
    /// What they answer instead of their answer.
    pub nonsense: Option<SharedResponse>,
    records: SharedRecords,
    /// The messages received: action and object.
    pub asked: Vec<(SharedAction, String)>,
    /// The bodies of the next requests that are read.
    pub bodies: VecDeque<Vec<u8>>,
}

/// A coordinator shared by all instances.
pub struct Coordinator {
    party: Arc<RelyingParty>,
    /// Has the upstream tokens of its objects.
    gateway: Rc<Gateway>,
    sessions: RefCell<BTreeMap<String, Rc<Slot>>>,
    behavior: RefCell<Behavior>,
    next: RefCell<VecDeque<Behavior>>,
    /// How long a read of the store takes, in milliseconds.
    read_ms: Cell<u32>,
    is_unreadable: Cell<bool>,
    /// The actions received, with their sessions.
    asked: RefCell<Vec<(SessionAction, String)>>,
    /// The sealed sessions received.
    sealed: RefCell<Vec<String>>,
}

/// The state of one session.
#[derive(Default)]
struct Slot {
    stored: RefCell<Option<StoredText>>,
    next_ticket: Cell<u64>,
    serving: Cell<u64>,
}

impl Coordinator {
    /// Creates a coordinator that runs this gateway.
    pub fn new(gateway: &Rc<Gateway>) -> Rc<Self> {
        Rc::new(Self {
            party: Arc::clone(gateway.login().unwrap()),
            gateway: Rc::clone(gateway),
            sessions: RefCell::default(),
            behavior: RefCell::new(Behavior::Normal),
            next: RefCell::default(),
            read_ms: Cell::new(0),
            is_unreadable: Cell::new(false),
            asked: RefCell::default(),
            sealed: RefCell::default(),
        })
    }

    /// Sets the reaction to all messages.
    pub fn behave(&self, how: Behavior) {
        *self.behavior.borrow_mut() = how;
    }

    /// Sets the reaction to the next message.
    pub fn behave_next(&self, how: Behavior) {
        self.next.borrow_mut().push_back(how);
    }

    /// Returns to normal behavior.
    pub fn reset(&self) {
        self.next.borrow_mut().clear();
        self.behave(Behavior::Normal);
        self.slow_store(0);
        self.break_store(false);
    }

    /// Sets how long a read of the store takes.
    pub fn slow_store(&self, millis: u32) {
        self.read_ms.set(millis);
    }

    /// Sets whether reads of the store fail.
    pub fn break_store(&self, is_broken: bool) {
        self.is_unreadable.set(is_broken);
    }

    /// Returns how many messages with this action it received.
    pub fn asked(&self, action: SessionAction) -> usize {
        self.asked.borrow().iter().filter(|(one, _)| *one == action).count()
    }

    /// Returns the sealed sessions received, in order.
    pub fn sealed(&self) -> Vec<String> {
        self.sealed.borrow().clone()
    }

    /// Returns the stored texts of all sessions, with their expiry.
    pub fn stored(&self) -> Vec<(String, i64)> {
        let sessions = self.sessions.borrow();
        let texts = sessions
            .values()
            .filter_map(|slot| slot.stored.borrow().as_ref().map(|stored| (stored.text.clone(), stored.until_ms)));
        texts.collect()
    }

    /// Adopts what another coordinator has stored, as after a move to another machine.
    pub fn adopt(&self, other: &Self) {
        for (name, slot) in other.sessions.borrow().iter() {
            let stored = slot.stored.borrow();
            let copy = stored.as_ref().map(|one| StoredText { text: one.text.clone(), until_ms: one.until_ms });
            *self.slot(name).stored.borrow_mut() = copy;
        }
    }

    /// Replaces the end of everything stored.
    pub fn spoil(&self) {
        for slot in self.sessions.borrow().values() {
            for stored in slot.stored.borrow_mut().iter_mut() {
                stored.text.truncate(stored.text.len() - 4);
                stored.text.push_str("AAAA");
            }
        }
    }

    fn slot(&self, session: &str) -> Rc<Slot> {
        Rc::clone(self.sessions.borrow_mut().entry(session.into()).or_default())
    }

    /// Handles a message.
    pub async fn handle(
        self: Rc<Self>,
        session: String,
        action: SessionAction,
        sealed: String,
        host: VirtualHost,
    ) -> CoordinatorResponse {
        let slot = self.slot(&session);
        // Refreshes run one after another; the end of a session does not wait.
        let _turn = if action == SessionAction::Refresh { Some(slot.turn(&host).await) } else { None };
        let store = Store { slot: Rc::clone(&slot), coordinator: Rc::clone(&self), host: host.clone() };
        let outcome = self.party.coordinate(action, &sealed, &store, &host).await;
        let CoordinatorOutcome { response, store } = outcome.unwrap_or_else(|_| CoordinatorOutcome::unavailable());
        if let Some(store) = store {
            *slot.stored.borrow_mut() = Some(store);
        }
        response
    }
}

/// A request for an upstream token.
impl Coordinator {
    async fn handle_upstream(self: Rc<Self>, name: String, host: VirtualHost) -> CoordinatorResponse {
        let slot = self.slot(&name);
        let _turn = slot.turn(&host).await;
        let store = Store { slot: Rc::clone(&slot), coordinator: Rc::clone(&self), host: host.clone() };
        let tokens = self.gateway.upstream_tokens(&name).expect("the name of upstream tokens");
        let outcome = tokens.coordinate(&store, &host).await;
        let CoordinatorOutcome { response, store } = outcome.unwrap_or_else(|_| CoordinatorOutcome::unavailable());
        if let Some(store) = store {
            *slot.stored.borrow_mut() = Some(store);
        }
        response
    }
}

/// The exclusive right to refresh a session.
struct Turn {
    slot: Rc<Slot>,
    host: VirtualHost,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.slot.serving.set(self.slot.serving.get() + 1);
        self.host.moved();
    }
}

impl Slot {
    async fn turn(self: &Rc<Self>, host: &VirtualHost) -> Turn {
        let ticket = self.next_ticket.replace(self.next_ticket.get() + 1);
        poll_fn(|_| if self.serving.get() == ticket { Poll::Ready(()) } else { Poll::Pending }).await;
        Turn { slot: Rc::clone(self), host: host.clone() }
    }
}

struct Store {
    slot: Rc<Slot>,
    coordinator: Rc<Coordinator>,
    host: VirtualHost,
}

impl CoordinatorStore for Store {
    async fn read(&self) -> Result<String, Unreachable> {
        self.host.wait_ms(self.coordinator.read_ms.get().into()).await;
        if self.coordinator.is_unreadable.get() {
            return Err(Unreachable::Network);
        }
        let now_ms = self.host.now().millis();
        let stored = self.slot.stored.borrow();
        let live = stored.as_ref().filter(|stored| now_ms < stored.until_ms);
        Ok(live.map(|stored| stored.text.clone()).unwrap_or_default())
    }
}

impl Spawn<SessionJob> for VirtualHost {
    fn spawn(&self, job: SessionJob) -> impl Future<Output = ()> {
        self.assert_no_secret("a job", &format!("{job:?}"));
        let host = self.clone();
        self.begin("session", async move { job.run(&host).await })
    }
}

impl VirtualHost {
    /// Changes or inspects the shared records.
    pub fn shared<R>(&self, call: impl FnOnce(&mut SharedObjects) -> R) -> R {
        call(&mut self.0.shared.borrow_mut())
    }
}

impl LoginHost for VirtualHost {
    fn entropy(&self, out: &mut [u8]) {
        self.fill(out);
    }

    async fn send_by(&self, binding: Option<&str>, request: Outgoing) -> Reply {
        if let Some(binding) = binding {
            self.record_certified(binding, &request.url);
        }
        self.send(request).await
    }

    fn has_coordinator(&self) -> bool {
        self.coordinator().is_some() || self.has_reports()
    }

    async fn report_status(&self, report: StatusReport) -> Option<String> {
        self.report(report)
    }

    async fn coordinate(&self, message: CoordinatorMessage) -> Result<CoordinatorResponse, Unreachable> {
        let coordinator = self.coordinator().expect("there is no coordinator to ask");
        self.register_secret(&message.sealed);
        self.assert_no_secret("a message", &format!("{message:?}"));
        let CoordinatorMessage { session, action, sealed, timeout_ms } = message;
        coordinator.asked.borrow_mut().push((action, session.clone()));
        coordinator.sealed.borrow_mut().push(sealed.clone());
        let handled = Rc::clone(&coordinator).handle(session, action, sealed, self.clone());
        self.deliver(&coordinator, handled, timeout_ms).await
    }

    async fn coordinate_upstream(&self, name: String, timeout_ms: u32) -> Result<CoordinatorResponse, Unreachable> {
        let coordinator = self.coordinator().expect("there is no coordinator to ask");
        let handled = Rc::clone(&coordinator).handle_upstream(name, self.clone());
        self.deliver(&coordinator, handled, timeout_ms).await
    }

    async fn read_body(&self, max_bytes: usize) -> Option<Vec<u8>> {
        self.shared(|shared| shared.bodies.pop_front()).filter(|body| body.len() <= max_bytes)
    }

    fn has_shared_records(&self) -> bool {
        self.shared(|shared| shared.are_bound)
    }

    async fn share(&self, message: SharedMessage) -> Result<SharedResponse, Unreachable> {
        self.assert_no_secret("a message", &format!("{message:?}"));
        let delay_ms = self.shared(|shared| {
            assert!(shared.are_bound, "there are no shared records to ask");
            shared.asked.push((message.action, message.object.clone()));
            shared.delay_ms
        });
        self.wait_ms(delay_ms.min(message.timeout_ms).into()).await;
        if delay_ms > message.timeout_ms {
            return Err(Unreachable::GivenUp);
        }
        self.shared(|shared| match (shared.are_down, &shared.nonsense) {
            (true, _) => Err(Unreachable::Network),
            (false, Some(nonsense)) => Ok(nonsense.clone()),
            (false, None) => Ok(shared.records.handle(&message, self.now())),
        })
    }
}

impl VirtualHost {
    /// Delivers a message to the coordinator, as it behaves.
    async fn deliver(
        &self,
        coordinator: &Rc<Coordinator>,
        handled: impl Future<Output = CoordinatorResponse> + 'static,
        timeout_ms: u32,
    ) -> Result<CoordinatorResponse, Unreachable> {
        let behavior = coordinator.next.borrow_mut().pop_front();
        let behavior = behavior.unwrap_or_else(|| coordinator.behavior.borrow().clone());
        let (before_ms, after_ms) = match behavior {
            Behavior::Unreachable => return Err(Unreachable::Network),
            Behavior::Silent => {
                self.wait_ms(timeout_ms.into()).await;
                return Err(Unreachable::GivenUp);
            }
            Behavior::Responding(answer) => return Ok(answer),
            Behavior::Normal => (0, 0),
            Behavior::ResponseLost => (0, u32::MAX),
            Behavior::Delayed(millis) => (millis, 0),
            Behavior::ResponseDelayed(millis) => (0, millis),
        };
        // The coordinator continues even if the sender is cancelled.
        let received: Rc<RefCell<Option<CoordinatorResponse>>> = Rc::default();
        let (sent, host) = (Rc::clone(&received), self.clone());
        self.begin_remote(async move {
            host.wait_ms(before_ms.into()).await;
            let response = handled.await;
            host.register_secret(&response.text);
            host.assert_no_secret("a response of the coordinator", &format!("{response:?}"));
            host.wait_ms(after_ms.into()).await;
            *sent.borrow_mut() = Some(response);
        });
        let mut timeout = pin!(self.wait_ms(timeout_ms.into()));
        poll_fn(|context| match received.borrow_mut().take() {
            Some(response) => Poll::Ready(Ok(response)),
            None => timeout.as_mut().poll(context).map(|()| Err(Unreachable::GivenUp)),
        })
        .await
    }
}
