//! Logging in on the virtual host: entropy, jobs on sessions, and a coordinator in memory.
//!
//! Several gateways on one host are several instances of one site. They share the clock, the provider and the coordinator, which is
//! a machine of its own: refreshes of one session take turns there, ends do not wait, and what it stores is text.

// The core's unit tests include this file, and the core has no prelude of std.
use std::prelude::rust_2024::*;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use edgeward::host::{Host as _, Spawn};
use edgeward::io::Unreachable;
use edgeward::oidc::{
    CoordinatorMessage, CoordinatorOutcome, CoordinatorResponse, CoordinatorStore, LoginHost, RelyingParty,
    SessionAction, SessionJob, StoredText,
};

use super::host::VirtualHost;

/// How the coordinator meets a message.
#[derive(Clone)]
pub(crate) enum Meets {
    /// It acts and answers.
    Well,
    /// It cannot be reached.
    Unreachable,
    /// It does not act, and never answers.
    InSilence,
    /// It acts, and its answer gets lost.
    AnswerLost,
    /// The message takes so many milliseconds to get there.
    Late(u32),
    /// It acts, and the answer takes so many milliseconds.
    AnswerLate(u32),
    /// It does not act, and answers this.
    Saying(CoordinatorResponse),
}

/// A coordinator that all instances share.
pub(crate) struct Coordinator {
    party: Arc<RelyingParty>,
    sessions: RefCell<BTreeMap<String, Rc<Place>>>,
    usually: RefCell<Meets>,
    next: RefCell<VecDeque<Meets>>,
    /// How long reading what is stored takes, in milliseconds.
    read_ms: Cell<u32>,
    is_unreadable: Cell<bool>,
    /// What was asked, and of which session.
    asked: RefCell<Vec<(SessionAction, String)>>,
    /// The sessions that were sent, sealed.
    sealed: RefCell<Vec<String>>,
}

/// What there is of one session.
#[derive(Default)]
struct Place {
    stored: RefCell<Option<StoredText>>,
    next_ticket: Cell<u64>,
    serving: Cell<u64>,
}

impl Coordinator {
    /// One that works with this site's configuration, on a machine of its own.
    pub(crate) fn new(party: &Arc<RelyingParty>) -> Rc<Self> {
        Rc::new(Self {
            party: Arc::clone(party),
            sessions: RefCell::default(),
            usually: RefCell::new(Meets::Well),
            next: RefCell::default(),
            read_ms: Cell::new(0),
            is_unreadable: Cell::new(false),
            asked: RefCell::default(),
            sealed: RefCell::default(),
        })
    }

    /// How it meets messages from now on.
    pub(crate) fn meets(&self, how: Meets) {
        *self.usually.borrow_mut() = how;
    }

    /// How it meets the next message.
    pub(crate) fn meets_next(&self, how: Meets) {
        self.next.borrow_mut().push_back(how);
    }

    /// It meets everything well from now on.
    pub(crate) fn calm(&self) {
        self.next.borrow_mut().clear();
        self.meets(Meets::Well);
        self.slow_store(0);
        self.break_store(false);
    }

    /// Reading what is stored takes so long.
    pub(crate) fn slow_store(&self, millis: u32) {
        self.read_ms.set(millis);
    }

    /// Whether nothing of what is stored can be read.
    pub(crate) fn break_store(&self, is_broken: bool) {
        self.is_unreadable.set(is_broken);
    }

    /// How often it was asked to do this.
    pub(crate) fn asked(&self, act: SessionAction) -> usize {
        self.asked.borrow().iter().filter(|(one, _)| *one == act).count()
    }

    /// The sessions that were sent, sealed, in their order.
    pub(crate) fn sealed(&self) -> Vec<String> {
        self.sealed.borrow().clone()
    }

    /// What is stored, of all sessions.
    pub(crate) fn stored(&self) -> Vec<(String, i64)> {
        let sessions = self.sessions.borrow();
        let texts = sessions
            .values()
            .filter_map(|place| place.stored.borrow().as_ref().map(|stored| (stored.text.clone(), stored.until_ms)));
        texts.collect()
    }

    fn place(&self, session: &str) -> Rc<Place> {
        Rc::clone(self.sessions.borrow_mut().entry(session.into()).or_default())
    }

    /// Does what a message asks for, as the machine of this coordinator.
    pub(crate) async fn act(
        self: Rc<Self>,
        session: String,
        act: SessionAction,
        sealed: String,
        host: VirtualHost,
    ) -> CoordinatorResponse {
        let place = self.place(&session);
        // Refreshes take turns; the end of a session does not wait.
        let _turn = if act == SessionAction::Refresh { Some(place.turn(&host).await) } else { None };
        let store = Store { place: Rc::clone(&place), coordinator: Rc::clone(&self), host: host.clone() };
        let turn = self.party.coordinate(act, &sealed, &store, &host).await;
        let CoordinatorOutcome { answer, store } = turn.unwrap_or_else(|_| CoordinatorOutcome::unknown());
        if let Some(store) = store {
            *place.stored.borrow_mut() = Some(store);
        }
        answer
    }
}

/// The turn at one session.
struct Turn {
    place: Rc<Place>,
    host: VirtualHost,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.place.serving.set(self.place.serving.get() + 1);
        self.host.moved();
    }
}

impl Place {
    async fn turn(self: &Rc<Self>, host: &VirtualHost) -> Turn {
        let ticket = self.next_ticket.replace(self.next_ticket.get() + 1);
        poll_fn(|_| if self.serving.get() == ticket { Poll::Ready(()) } else { Poll::Pending }).await;
        Turn { place: Rc::clone(self), host: host.clone() }
    }
}

struct Store {
    place: Rc<Place>,
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
        let stored = self.place.stored.borrow();
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

impl LoginHost for VirtualHost {
    fn entropy(&self, out: &mut [u8]) {
        self.fill(out);
    }

    fn has_coordinator(&self) -> bool {
        self.coordinator().is_some()
    }

    async fn coordinate(&self, message: CoordinatorMessage) -> Result<CoordinatorResponse, Unreachable> {
        let coordinator = self.coordinator().expect("there is no coordinator to ask");
        self.keep_secret(&message.sealed);
        self.assert_no_secret("a message", &format!("{message:?}"));
        let CoordinatorMessage { session, act, sealed, timeout_ms } = message;
        coordinator.asked.borrow_mut().push((act, session.clone()));
        coordinator.sealed.borrow_mut().push(sealed.clone());
        let meets = coordinator.next.borrow_mut().pop_front();
        let meets = meets.unwrap_or_else(|| coordinator.usually.borrow().clone());
        let (before_ms, after_ms) = match meets {
            Meets::Unreachable => return Err(Unreachable::Network),
            Meets::InSilence => {
                self.wait_ms(timeout_ms.into()).await;
                return Err(Unreachable::GivenUp);
            }
            Meets::Saying(answer) => return Ok(answer),
            Meets::Well => (0, 0),
            Meets::AnswerLost => (0, u32::MAX),
            Meets::Late(millis) => (millis, 0),
            Meets::AnswerLate(millis) => (0, millis),
        };
        // It goes on there, whatever becomes of who asked.
        let answer: Rc<RefCell<Option<CoordinatorResponse>>> = Rc::default();
        let (there, host) = (Rc::clone(&answer), self.clone());
        self.begin_elsewhere(async move {
            host.wait_ms(before_ms.into()).await;
            let said = coordinator.act(session, act, sealed, host.clone()).await;
            host.keep_secret(&said.text);
            host.assert_no_secret("an answer of the coordinator", &format!("{said:?}"));
            host.wait_ms(after_ms.into()).await;
            *there.borrow_mut() = Some(said);
        });
        let mut over = pin!(self.wait_ms(timeout_ms.into()));
        poll_fn(|context| match answer.borrow_mut().take() {
            Some(answer) => Poll::Ready(Ok(answer)),
            None => over.as_mut().poll(context).map(|()| Err(Unreachable::GivenUp)),
        })
        .await
    }
}
