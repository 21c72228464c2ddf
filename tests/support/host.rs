//! A host in memory for native tests: a clock that moves only when told or when nothing else can go on, a provider and an edge
//! cache that can misbehave, jobs that run, wait, get lost or are killed, and an executor that drives many requests at once.
//!
//! Everything is deterministic: equal tests see equal orders. Whatever waits without end fails the test instead of hanging it.
//!
//! A further kind of job is one more `impl Spawn<ThatJob>` on top of [`VirtualHost::begin`]. Logging in adds a coordinator; see
//! `coordinator.rs`.

// The core's unit tests include this file, and the core has no prelude of std.
use std::boxed::Box;
use std::string::{String, ToString as _};
use std::vec::Vec;

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Display;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use edgeward::host::{Host, Level, Spawn};
use edgeward::io::{EdgeEntry, Incoming, Outgoing, UnixTime, Unreachable};
use edgeward::jwk::KeyJob;

#[cfg(feature = "gateway")]
use super::coordinator::Coordinator;
use super::{NOW, Rng};

/// Rounds that one drive may take before it counts as endless.
const MOST_ROUNDS: u32 = 100_000;

/// Whether a provider answered, and how.
pub(crate) type Reply = Result<Incoming, Unreachable>;

/// What becomes of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Jobs {
    /// They run in the order in which they began, beside the requests.
    Run,
    /// They wait for [`VirtualHost::release_jobs`].
    Hold,
    /// They never run and never end, like those of a machine that was frozen: what they hold is not handed back.
    Lose,
    /// They end as soon as they begin.
    Kill,
    /// Only those run that somebody waits for; the others end as soon as they begin.
    RunAwaited,
}

/// How long an answer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delay {
    /// So many milliseconds, or until the request's own time is over.
    Millis(u32),
    /// It never comes, and nobody gives up.
    Forever,
}

/// A request that was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) request: Outgoing,
    pub(crate) at: UnixTime,
    /// It is the one before it once more, at once, after a network error.
    pub(crate) is_repeated: bool,
}

/// What the host has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) sent: Vec<Sent>,
    /// What was asked for last, and when, if the network failed at the first try.
    broken_off: Option<(String, UnixTime)>,
    /// The keys that were looked up in the edge cache.
    pub(crate) edge_asked: Vec<String>,
    pub(crate) edge_stored: Vec<EdgeEntry>,
    pub(crate) lines: Vec<(Level, String)>,
    /// The jobs that began, by their kind.
    pub(crate) jobs: Vec<&'static str>,
}

impl Seen {
    /// The URLs of everything sent, repeated requests included.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.sent.iter().map(|sent| sent.request.url.clone()).collect()
    }

    /// The URLs asked for, and when; not those that are asked for once more, at once, after a network error.
    pub(crate) fn asked(&self) -> Vec<(String, UnixTime)> {
        let asked = self.sent.iter().filter(|sent| !sent.is_repeated);
        asked.map(|sent| (sent.request.url.clone(), sent.at)).collect()
    }
}

/// The host. Clones are the same one.
#[derive(Clone)]
pub(crate) struct VirtualHost(Rc<Inner>);

struct Inner {
    /// The time that has passed. It never goes back.
    elapsed_ms: Cell<i64>,
    /// What the wall clock showed when nothing had passed.
    origin_ms: Cell<i64>,
    /// When those who wait may go on.
    timers: RefCell<BTreeMap<u64, i64>>,
    next_timer: Cell<u64>,
    /// Counts whatever lets a future go on: a round in which it stays the same was in vain.
    moves: Cell<u64>,
    provider: RefCell<BTreeMap<String, Service>>,
    /// The next requests, by URL, meet these instead of the provider.
    next: RefCell<BTreeMap<String, VecDeque<Reply>>>,
    delays: RefCell<BTreeMap<String, Delay>>,
    /// The next answers, by URL, take so long instead.
    next_delays: RefCell<BTreeMap<String, VecDeque<Delay>>>,
    edge: RefCell<BTreeMap<String, Vec<u8>>>,
    edge_delay: Cell<Delay>,
    /// What answers for the edge cache in its place.
    edge_service: RefCell<Option<EdgeService>>,
    /// Whether every question takes one round more, so that there is an await to be cancelled at.
    hesitates: Cell<bool>,
    mode: Cell<Jobs>,
    running: RefCell<Vec<Job>>,
    held: RefCell<Vec<Job>>,
    /// Jobs of other machines: whatever becomes of this one's, they run.
    elsewhere: RefCell<Vec<Job>>,
    seen: RefCell<Seen>,
    /// What must stand in no line of the log.
    secrets: RefCell<BTreeSet<String>>,
    rng: RefCell<Rng>,
    #[cfg(feature = "gateway")]
    coordinator: RefCell<Option<Rc<Coordinator>>>,
}

/// What answers at a URL.
type Service = Box<dyn FnMut(&Outgoing) -> Reply>;

/// What the edge cache has under a key.
type EdgeService = Box<dyn FnMut(&str) -> Option<Vec<u8>>>;

struct Job {
    future: Pin<Box<dyn Future<Output = ()>>>,
    host: VirtualHost,
    has_ended: Rc<Cell<bool>>,
}

impl Drop for Job {
    /// Whoever waits for it goes on, whether it was done or killed.
    fn drop(&mut self) {
        self.has_ended.set(true);
        self.host.moved();
    }
}

impl Default for VirtualHost {
    fn default() -> Self {
        Self(Rc::new(Inner {
            elapsed_ms: Cell::new(0),
            origin_ms: Cell::new(NOW * 1000),
            timers: RefCell::default(),
            next_timer: Cell::new(0),
            moves: Cell::new(0),
            provider: RefCell::default(),
            next: RefCell::default(),
            delays: RefCell::default(),
            next_delays: RefCell::default(),
            edge: RefCell::default(),
            edge_delay: Cell::new(Delay::Millis(0)),
            edge_service: RefCell::default(),
            hesitates: Cell::new(false),
            mode: Cell::new(Jobs::Run),
            running: RefCell::default(),
            held: RefCell::default(),
            elsewhere: RefCell::default(),
            seen: RefCell::default(),
            secrets: RefCell::default(),
            rng: RefCell::new(Rng(1)),
            #[cfg(feature = "gateway")]
            coordinator: RefCell::default(),
        }))
    }
}

/// The clock.
impl VirtualHost {
    /// Sets the wall clock, and wakes nobody.
    pub(crate) fn set_clock(&self, to: UnixTime) {
        self.0.origin_ms.set(to.millis() - self.0.elapsed_ms.get());
    }

    /// Lets time pass, with whatever runs meanwhile. The wall clock goes back, and nothing else happens, where it is negative.
    pub(crate) fn sleep_ms(&self, millis: i64) {
        if millis < 0 {
            self.0.origin_ms.set(self.0.origin_ms.get() + millis);
        } else {
            self.crowd::<std::future::Ready<()>>().elapse_ms(millis);
        }
    }

    pub(crate) fn sleep_s(&self, seconds: i64) {
        self.sleep_ms(seconds * 1000);
    }

    /// The time that has passed, whatever the wall clock was set to.
    pub(crate) fn elapsed_ms(&self) -> i64 {
        self.0.elapsed_ms.get()
    }

    /// When the next of those who wait may go on; whoever may already does so when it is polled.
    fn next_due(&self) -> Option<i64> {
        self.0.timers.borrow().values().filter(|due| **due > self.elapsed_ms()).min().copied()
    }

    pub(super) async fn wait_ms(&self, millis: i64) {
        if millis == 0 {
            return;
        }
        /// Forgets a timer whose future is dropped.
        struct Timer<'h>(&'h Inner, u64);
        impl Drop for Timer<'_> {
            fn drop(&mut self) {
                self.0.timers.borrow_mut().remove(&self.1);
            }
        }
        let number = self.0.next_timer.replace(self.0.next_timer.get() + 1);
        let due = self.elapsed_ms() + millis;
        self.0.timers.borrow_mut().insert(number, due);
        let _timer = Timer(&self.0, number);
        poll_fn(|_| if self.elapsed_ms() >= due { Poll::Ready(()) } else { Poll::Pending }).await;
        self.moved();
    }

    async fn delay(&self, delay: Delay) {
        if self.0.hesitates.get() {
            let mut has_waited = false;
            let once = poll_fn(|_| if mem::replace(&mut has_waited, true) { Poll::Ready(()) } else { Poll::Pending });
            self.moved();
            once.await;
        }
        match delay {
            Delay::Millis(millis) => self.wait_ms(millis.into()).await,
            Delay::Forever => std::future::pending().await,
        }
    }

    pub(super) fn moved(&self) {
        self.0.moves.set(self.0.moves.get() + 1);
    }
}

/// Provider, edge cache, entropy and what was seen.
impl VirtualHost {
    /// From now on the provider answers so at this URL. Elsewhere it answers 404.
    pub(crate) fn reply(&self, url: &str, reply: Reply) {
        self.serve(url, move |_| reply.clone());
    }

    pub(crate) fn answer(&self, url: &str, incoming: Incoming) {
        self.reply(url, Ok(incoming));
    }

    pub(crate) fn serve(&self, url: &str, service: impl FnMut(&Outgoing) -> Reply + 'static) {
        self.0.provider.borrow_mut().insert(url.into(), Box::new(service));
    }

    /// The next requests for this URL meet these, in this order.
    pub(crate) fn reply_next(&self, url: &str, replies: impl IntoIterator<Item = Reply>) {
        self.0.next.borrow_mut().entry(url.into()).or_default().extend(replies);
    }

    /// Every URL with an answer, and this one, cannot be reached any more.
    pub(crate) fn take_down(&self, url: &str) {
        let urls: Vec<String> = self.0.provider.borrow().keys().cloned().collect();
        urls.iter().map(String::as_str).chain([url]).for_each(|url| self.reply(url, Err(Unreachable::Network)));
    }

    /// Answers from this URL to requests sent from now on take so long. What they say is decided when they are sent.
    pub(crate) fn delay_answers(&self, url: &str, delay: Delay) {
        self.0.delays.borrow_mut().insert(url.into(), delay);
    }

    /// The next answer from this URL takes so long instead.
    pub(crate) fn delay_next(&self, url: &str, delay: Delay) {
        self.0.next_delays.borrow_mut().entry(url.into()).or_default().push_back(delay);
    }

    pub(crate) fn delay_edge(&self, delay: Delay) {
        self.0.edge_delay.set(delay);
    }

    /// From now on this answers in place of the edge cache.
    pub(crate) fn serve_edge(&self, service: impl FnMut(&str) -> Option<Vec<u8>> + 'static) {
        *self.0.edge_service.borrow_mut() = Some(Box::new(service));
    }

    /// Every question takes one more round.
    pub(crate) fn hesitate(&self) {
        self.0.hesitates.set(true);
    }

    pub(crate) fn edge(&self) -> RefMut<'_, BTreeMap<String, Vec<u8>>> {
        self.0.edge.borrow_mut()
    }

    pub(crate) fn seen(&self) -> Ref<'_, Seen> {
        self.0.seen.borrow()
    }

    /// Another seed for [`fill`](Self::fill).
    pub(crate) fn seed(&self, seed: u64) {
        *self.0.rng.borrow_mut() = Rng(seed);
    }

    /// Entropy, the same in every run.
    pub(crate) fn fill(&self, buffer: &mut [u8]) {
        let bytes = self.0.rng.borrow_mut().bytes(buffer.len());
        buffer.copy_from_slice(&bytes);
    }

    /// From now on a line of the log that holds this text fails the test.
    pub(crate) fn keep_secret(&self, text: &str) {
        if text.len() >= 8 {
            self.0.secrets.borrow_mut().insert(text.into());
        }
    }

    /// Fails the test if a secret stands in the text.
    pub(crate) fn assert_no_secret(&self, what: &str, text: &str) {
        let secrets = self.0.secrets.borrow();
        let found = secrets.iter().find(|secret| text.contains(secret.as_str()));
        assert_eq!(found, None, "{what} holds a secret: {text}");
    }

    /// The coordinator of sessions that all instances share from now on; `None` if there is none.
    #[cfg(feature = "gateway")]
    pub(crate) fn share(&self, coordinator: Option<Rc<Coordinator>>) {
        *self.0.coordinator.borrow_mut() = coordinator;
    }

    #[cfg(feature = "gateway")]
    pub(super) fn coordinator(&self) -> Option<Rc<Coordinator>> {
        self.0.coordinator.borrow().clone()
    }

    fn reply_to(&self, request: &Outgoing) -> Reply {
        let next = self.0.next.borrow_mut().get_mut(&request.url).and_then(VecDeque::pop_front);
        let reply = next.unwrap_or_else(|| match self.0.provider.borrow_mut().get_mut(&request.url) {
            Some(service) => service(request),
            None => Ok(Incoming { status: 404, ..Incoming::default() }),
        });
        let mut seen = self.0.seen.borrow_mut();
        let asked = (request.url.clone(), self.now());
        let is_repeated = seen.broken_off.take().as_ref() == Some(&asked);
        if !is_repeated && matches!(reply, Err(Unreachable::Network)) {
            seen.broken_off = Some(asked);
        }
        seen.sent.push(Sent { request: request.clone(), at: self.now(), is_repeated });
        reply
    }
}

impl Host for VirtualHost {
    fn now(&self) -> UnixTime {
        UnixTime::from_millis(self.0.origin_ms.get() + self.0.elapsed_ms.get())
    }

    async fn send(&self, request: Outgoing) -> Reply {
        let reply = self.reply_to(&request);
        let next = self.0.next_delays.borrow_mut().get_mut(&request.url).and_then(VecDeque::pop_front);
        let delay = next.or_else(|| self.0.delays.borrow().get(&request.url).copied()).unwrap_or(Delay::Millis(0));
        match delay {
            Delay::Millis(millis) if millis > request.timeout_ms => {
                self.delay(Delay::Millis(request.timeout_ms)).await;
                Err(Unreachable::GivenUp)
            }
            delay => {
                self.delay(delay).await;
                reply
            }
        }
    }

    async fn sleep(&self, millis: u32) {
        self.wait_ms(millis.into()).await;
    }

    async fn edge_get(&self, key: String) -> Option<Vec<u8>> {
        let value = match &mut *self.0.edge_service.borrow_mut() {
            Some(service) => service(&key),
            None => self.0.edge.borrow().get(&key).cloned(),
        };
        self.0.seen.borrow_mut().edge_asked.push(key);
        self.delay(self.0.edge_delay.get()).await;
        value
    }

    async fn edge_put(&self, entry: EdgeEntry) {
        self.delay(self.0.edge_delay.get()).await;
        self.0.edge.borrow_mut().insert(entry.key.clone(), entry.value.clone().into());
        self.0.seen.borrow_mut().edge_stored.push(entry);
    }

    fn log(&self, level: Level, line: &dyn Display) {
        let line = line.to_string();
        self.assert_no_secret("a line of the log", &line);
        self.0.seen.borrow_mut().lines.push((level, line));
    }
}

impl Spawn<KeyJob> for VirtualHost {
    fn spawn(&self, job: KeyJob) -> impl Future<Output = ()> {
        let host = self.clone();
        self.begin("key", async move { job.run(&host).await })
    }
}

/// Jobs.
impl VirtualHost {
    /// What becomes of jobs that begin from now on.
    pub(crate) fn jobs(&self, mode: Jobs) {
        self.0.mode.set(mode);
    }

    /// Begins a job. Whoever waits for it goes on when it has ended.
    pub(crate) fn begin<J: Future<Output = ()> + 'static>(
        &self,
        kind: &'static str,
        job: J,
    ) -> impl Future<Output = ()> + use<J> {
        self.0.seen.borrow_mut().jobs.push(kind);
        let has_ended = Rc::new(Cell::new(false));
        let job = Job { future: Box::pin(job), host: self.clone(), has_ended: Rc::clone(&has_ended) };
        let mut awaited = None;
        match self.0.mode.get() {
            Jobs::Run => self.0.running.borrow_mut().push(job),
            Jobs::Hold => self.0.held.borrow_mut().push(job),
            Jobs::Lose => mem::forget(job),
            Jobs::Kill => drop(job),
            Jobs::RunAwaited => awaited = Some(job),
        }
        self.moved();
        let host = self.clone();
        poll_fn(move |_| {
            if let Some(job) = awaited.take() {
                host.0.running.borrow_mut().push(job);
                host.moved();
            }
            if has_ended.get() { Poll::Ready(()) } else { Poll::Pending }
        })
    }

    /// Begins work on another machine.
    pub(super) fn begin_elsewhere(&self, job: impl Future<Output = ()> + 'static) {
        let job = Job { future: Box::pin(job), host: self.clone(), has_ended: Rc::default() };
        self.0.elsewhere.borrow_mut().push(job);
        self.moved();
    }

    /// Lets the jobs go on that were held back.
    pub(crate) fn release_jobs(&self) {
        let held = self.0.held.take();
        self.0.running.borrow_mut().extend(held);
        self.moved();
    }

    /// Ends the jobs that run or are held back, wherever they are.
    pub(crate) fn kill_jobs(&self) {
        drop((self.0.running.take(), self.0.held.take()));
    }

    /// The jobs that run or are held back.
    pub(crate) fn open_jobs(&self) -> usize {
        self.0.running.borrow().len() + self.0.held.borrow().len()
    }

    fn poll_jobs(&self) {
        for list in [&self.0.running, &self.0.elsewhere] {
            // Jobs that begin meanwhile come behind them.
            let mut jobs = list.take();
            jobs.retain_mut(|job| job.future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            let begun = list.replace(jobs);
            list.borrow_mut().extend(begun);
        }
    }
}

/// The executor.
impl VirtualHost {
    /// Drives one request to its end, and its jobs as far as they come without waiting.
    pub(crate) fn run<F: Future>(&self, request: F) -> F::Output {
        self.run_all([request]).pop().unwrap()
    }

    /// Drives requests to their end, all at once.
    pub(crate) fn run_all<F: Future>(&self, requests: impl IntoIterator<Item = F>) -> Vec<F::Output> {
        let mut crowd = self.crowd();
        for request in requests {
            crowd.start(request);
        }
        crowd.finish();
        crowd.outputs()
    }

    /// Requests that a test starts, drives and cancels one by one.
    pub(crate) fn crowd<F: Future>(&self) -> Crowd<F> {
        Crowd { host: self.clone(), requests: Vec::new() }
    }
}

/// Requests that run at once.
pub(crate) struct Crowd<F: Future> {
    host: VirtualHost,
    requests: Vec<Request<F>>,
}

enum Request<F: Future> {
    Open(Pin<Box<F>>),
    Done(F::Output),
    Cancelled,
}

impl<F: Future> Crowd<F> {
    /// Adds a request, not yet polled. Returns its number.
    pub(crate) fn start(&mut self, request: F) -> usize {
        self.requests.push(Request::Open(Box::pin(request)));
        self.requests.len() - 1
    }

    /// How many requests were added.
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Polls one request once, and nothing else. Whether it is done.
    pub(crate) fn poll(&mut self, number: usize) -> bool {
        let request = &mut self.requests[number];
        if let Request::Open(future) = request
            && let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        {
            *request = Request::Done(output);
            self.host.moved();
        }
        matches!(request, Request::Done(_))
    }

    /// Drops a request wherever it is.
    pub(crate) fn cancel(&mut self, number: usize) {
        self.requests[number] = Request::Cancelled;
    }

    /// Polls every request once, then every job. Whether anything moved.
    pub(crate) fn round(&mut self) -> bool {
        let before = self.host.0.moves.get();
        for number in 0..self.requests.len() {
            self.poll(number);
        }
        self.host.poll_jobs();
        self.host.0.moves.get() != before
    }

    /// Drives everything as far as it comes while no time passes.
    pub(crate) fn settle(&mut self) {
        let mut rounds = 0..MOST_ROUNDS;
        while self.round() {
            rounds.next().expect("something goes on without end");
        }
    }

    /// Lets time pass, with everything that can happen meanwhile in its order.
    pub(crate) fn elapse_ms(&mut self, millis: i64) {
        let until = self.host.elapsed_ms() + millis;
        loop {
            self.settle();
            match self.host.next_due().filter(|due| *due <= until) {
                Some(due) => self.host.0.elapsed_ms.set(due),
                None => break,
            }
        }
        self.host.0.elapsed_ms.set(until);
        self.settle();
    }

    /// Drives every request to its end. Time passes when nothing else can go on.
    pub(crate) fn finish(&mut self) {
        for _ in 0..MOST_ROUNDS {
            self.settle();
            if !self.requests.iter().any(|request| matches!(request, Request::Open(_))) {
                return;
            }
            let due = self.host.next_due().expect("a request waits for what never comes");
            self.host.0.elapsed_ms.set(due);
        }
        panic!("a request waits again and again");
    }

    /// Whether a request is neither done nor cancelled.
    pub(crate) fn is_open(&self, number: usize) -> bool {
        matches!(self.requests[number], Request::Open(_))
    }

    /// What a request got, if it is done.
    pub(crate) fn output(&self, number: usize) -> Option<&F::Output> {
        match &self.requests[number] {
            Request::Done(output) => Some(output),
            _ => None,
        }
    }

    /// What the requests got that are done, in their order.
    pub(crate) fn outputs(self) -> Vec<F::Output> {
        let done = self.requests.into_iter().filter_map(|request| match request {
            Request::Done(output) => Some(output),
            _ => None,
        });
        done.collect()
    }
}
