//! A host in memory for native tests: a virtual clock, a provider and an edge cache with failures, jobs that run, wait, are lost or
//! are killed, and an executor for concurrent requests.
//!
//! Everything is deterministic. An endless wait fails the test instead of hanging it.
//!
//! Another kind of job is another `impl Spawn<Job>` on top of [`VirtualHost::begin`]. Logins add a coordinator; see `coordinator.rs`.

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

use edgeward::host::{
    DecryptError, DecryptRequest, Host, Level, SignError, SignRequest, SignatureCheck, SignatureVerdict, Spawn,
};
use edgeward::io::{EdgeEntry, Incoming, Outgoing, UnixTime, Unreachable};
use edgeward::jwk::KeyJob;

#[cfg(feature = "gateway")]
use super::coordinator::Coordinator;
use super::{NOW, Rng};

/// The number of rounds after which a run counts as endless.
const MAX_ROUNDS: u32 = 100_000;

/// The provider's reply to a request.
pub type Reply = Result<Incoming, Unreachable>;

/// What happens to jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jobs {
    /// They run concurrently with the requests, in the order in which they began.
    Run,
    /// They wait for [`VirtualHost::release_jobs`].
    Hold,
    /// They never run and never end, as in a frozen instance: what they hold is not released.
    Lose,
    /// They end as soon as they begin.
    Kill,
    /// Awaited jobs run; the others end as soon as they begin.
    RunAwaited,
}

/// How long a reply takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delay {
    /// This many milliseconds, at most the timeout of the request.
    Millis(u32),
    /// It never arrives, and the request does not time out.
    Forever,
}

/// A request that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub request: Outgoing,
    pub at: UnixTime,
    /// Whether it repeats the previous request immediately after a network error.
    pub is_repeated: bool,
}

/// What the host has recorded.
#[derive(Debug, Default)]
pub struct Seen {
    pub sent: Vec<Sent>,
    /// The last request and its time, if the network failed at the first attempt.
    broken_off: Option<(String, UnixTime)>,
    /// The keys looked up in the edge cache.
    pub edge_asked: Vec<String>,
    pub edge_stored: Vec<EdgeEntry>,
    pub lines: Vec<(Level, String)>,
    /// The signatures that were to be verified.
    pub signatures: Vec<SignatureCheck>,
    /// The URLs of requests that were sent with a certificate, with the binding's name.
    pub certified: Vec<(String, String)>,
    /// What was to be decrypted.
    pub decryptions: Vec<DecryptRequest>,
    /// The kinds of the jobs that began.
    pub jobs: Vec<&'static str>,
}

impl Seen {
    /// Returns the URLs of all requests, including repeated ones.
    pub fn urls(&self) -> Vec<String> {
        self.sent.iter().map(|sent| sent.request.url.clone()).collect()
    }

    /// Returns the URLs and times of the requests, except those repeated immediately after a network error.
    pub fn asked(&self) -> Vec<(String, UnixTime)> {
        let asked = self.sent.iter().filter(|sent| !sent.is_repeated);
        asked.map(|sent| (sent.request.url.clone(), sent.at)).collect()
    }
}

/// The host. Clones share it.
#[derive(Clone)]
pub struct VirtualHost(pub(super) Rc<Inner>);

pub(super) struct Inner {
    /// The elapsed time, which is monotonic.
    elapsed_ms: Cell<i64>,
    /// The wall clock at elapsed time zero.
    origin_ms: Cell<i64>,
    /// When each timer is due.
    timers: RefCell<BTreeMap<u64, i64>>,
    next_timer: Cell<u64>,
    /// Counts progress: a round that does not change it had no effect.
    moves: Cell<u64>,
    provider: RefCell<BTreeMap<String, Service>>,
    /// Replies to the next requests, by URL, instead of the provider's.
    next: RefCell<BTreeMap<String, VecDeque<Reply>>>,
    delays: RefCell<BTreeMap<String, Delay>>,
    /// Delays of the next replies, by URL.
    next_delays: RefCell<BTreeMap<String, VecDeque<Delay>>>,
    edge: RefCell<BTreeMap<String, Vec<u8>>>,
    edge_delay: Cell<Delay>,
    /// Replaces the edge cache.
    edge_service: RefCell<Option<EdgeService>>,
    /// Whether every request takes one more round, so that it can be cancelled while waiting.
    hesitates: Cell<bool>,
    mode: Cell<Jobs>,
    running: RefCell<Vec<Job>>,
    held: RefCell<Vec<Job>>,
    /// Jobs of other instances, which run in any mode.
    remote_jobs: RefCell<Vec<Job>>,
    seen: RefCell<Seen>,
    /// Texts that no log line may contain.
    secrets: RefCell<BTreeSet<String>>,
    rng: RefCell<Rng>,
    /// Verifies signatures; without it, the platform cannot.
    signatures: RefCell<Option<SignatureService>>,
    /// Decrypts; without it, the platform cannot.
    decryption: RefCell<Option<DecryptionService>>,
    #[cfg(feature = "gateway")]
    coordinator: RefCell<Option<Rc<Coordinator>>>,
    #[cfg(feature = "gateway")]
    pub(super) shared: RefCell<super::coordinator::SharedObjects>,
    reports: RefCell<Option<ReportService>>,
}

/// Handles requests to a URL.
type Service = Box<dyn FnMut(&Outgoing) -> Reply>;

/// Verifies a signature.
type SignatureService = Box<dyn FnMut(&SignatureCheck) -> SignatureVerdict>;

/// Decrypts the content of a token.
type DecryptionService = Box<dyn FnMut(&DecryptRequest) -> Result<Vec<u8>, DecryptError>>;
/// Handles reports of counts for the status route.
#[cfg(feature = "gateway")]
type ReportService = Box<dyn FnMut(edgeward::oidc::StatusReport) -> Option<String>>;

/// Looks up a key in place of the edge cache.
type EdgeService = Box<dyn FnMut(&str) -> Option<Vec<u8>>>;

struct Job {
    future: Pin<Box<dyn Future<Output = ()>>>,
    host: VirtualHost,
    has_ended: Rc<Cell<bool>>,
}

impl Drop for Job {
    /// Wakes the waiting requests, whether the job completed or was killed.
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
            remote_jobs: RefCell::default(),
            seen: RefCell::default(),
            secrets: RefCell::default(),
            rng: RefCell::new(Rng(1)),
            signatures: RefCell::default(),
            decryption: RefCell::default(),
            #[cfg(feature = "gateway")]
            coordinator: RefCell::default(),
            #[cfg(feature = "gateway")]
            shared: RefCell::default(),
            reports: RefCell::default(),
        }))
    }
}

/// The clock.
impl VirtualHost {
    /// Sets the wall clock without firing timers.
    pub fn set_clock(&self, to: UnixTime) {
        self.0.origin_ms.set(to.millis() - self.0.elapsed_ms.get());
    }

    /// Lets time pass and runs what is due. A negative value only sets the wall clock back.
    pub fn sleep_ms(&self, millis: i64) {
        if millis < 0 {
            self.0.origin_ms.set(self.0.origin_ms.get() + millis);
        } else {
            self.tasks::<std::future::Ready<()>>().elapse_ms(millis);
        }
    }

    pub fn sleep_s(&self, seconds: i64) {
        self.sleep_ms(seconds * 1000);
    }

    /// Returns the elapsed time, independent of the wall clock.
    pub fn elapsed_ms(&self) -> i64 {
        self.0.elapsed_ms.get()
    }

    /// Returns when the next timer is due. Timers already due fire when polled.
    fn next_due(&self) -> Option<i64> {
        self.0.timers.borrow().values().filter(|due| **due > self.elapsed_ms()).min().copied()
    }

    pub(super) async fn wait_ms(&self, millis: i64) {
        if millis == 0 {
            return;
        }
        /// Removes a timer whose future is dropped.
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

/// Provider, edge cache, entropy and recordings.
impl VirtualHost {
    /// Sets the provider's reply at this URL. Other URLs get 404.
    pub fn reply(&self, url: &str, reply: Reply) {
        self.serve(url, move |_| reply.clone());
    }

    pub fn answer(&self, url: &str, incoming: Incoming) {
        self.reply(url, Ok(incoming));
    }

    pub fn serve(&self, url: &str, service: impl FnMut(&Outgoing) -> Reply + 'static) {
        self.0.provider.borrow_mut().insert(url.into(), Box::new(service));
    }

    /// Sets the replies to the next requests to this URL, in order.
    pub fn reply_next(&self, url: &str, replies: impl IntoIterator<Item = Reply>) {
        self.0.next.borrow_mut().entry(url.into()).or_default().extend(replies);
    }

    /// Makes all URLs of the provider, and this one, unreachable.
    pub fn take_down(&self, url: &str) {
        let urls: Vec<String> = self.0.provider.borrow().keys().cloned().collect();
        urls.iter().map(String::as_str).chain([url]).for_each(|url| self.reply(url, Err(Unreachable::Network)));
    }

    /// Delays replies from this URL. Their content is determined when the request is sent.
    pub fn delay_answers(&self, url: &str, delay: Delay) {
        self.0.delays.borrow_mut().insert(url.into(), delay);
    }

    /// Delays the next reply from this URL.
    pub fn delay_next(&self, url: &str, delay: Delay) {
        self.0.next_delays.borrow_mut().entry(url.into()).or_default().push_back(delay);
    }

    pub fn delay_edge(&self, delay: Delay) {
        self.0.edge_delay.set(delay);
    }

    /// Replaces the edge cache.
    pub fn serve_edge(&self, service: impl FnMut(&str) -> Option<Vec<u8>> + 'static) {
        *self.0.edge_service.borrow_mut() = Some(Box::new(service));
    }

    /// Sets how signatures are verified that the core leaves to the platform.
    pub fn verify_signatures(&self, service: impl FnMut(&SignatureCheck) -> SignatureVerdict + 'static) {
        *self.0.signatures.borrow_mut() = Some(Box::new(service));
    }

    /// Sets how the content of tokens is decrypted.
    pub fn decrypt(&self, service: impl FnMut(&DecryptRequest) -> Result<Vec<u8>, DecryptError> + 'static) {
        *self.0.decryption.borrow_mut() = Some(Box::new(service));
    }

    /// Makes every request take one more round.
    pub fn hesitate(&self) {
        self.0.hesitates.set(true);
    }

    pub fn edge(&self) -> RefMut<'_, BTreeMap<String, Vec<u8>>> {
        self.0.edge.borrow_mut()
    }

    pub fn seen(&self) -> Ref<'_, Seen> {
        self.0.seen.borrow()
    }

    pub(super) fn record_certified(&self, binding: &str, url: &str) {
        self.0.seen.borrow_mut().certified.push((binding.into(), url.into()));
    }

    /// Sets the seed of [`fill`](Self::fill).
    pub fn seed(&self, seed: u64) {
        *self.0.rng.borrow_mut() = Rng(seed);
    }

    /// Fills the buffer with deterministic entropy.
    pub fn fill(&self, buffer: &mut [u8]) {
        let bytes = self.0.rng.borrow_mut().bytes(buffer.len());
        buffer.copy_from_slice(&bytes);
    }

    /// Registers a secret: a log line that contains it fails the test.
    pub fn register_secret(&self, text: &str) {
        if text.len() >= 8 {
            self.0.secrets.borrow_mut().insert(text.into());
        }
    }

    /// Fails the test if the text contains a secret.
    pub fn assert_no_secret(&self, what: &str, text: &str) {
        let secrets = self.0.secrets.borrow();
        let found = secrets.iter().find(|secret| text.contains(secret.as_str()));
        assert_eq!(found, None, "{what} contains a secret: {text}");
    }

    /// Forgets recordings and secrets, for long runs.
    pub fn forget(&self) {
        let broken_off = self.0.seen.borrow_mut().broken_off.take();
        *self.0.seen.borrow_mut() = Seen { broken_off, ..Seen::default() };
        self.0.secrets.borrow_mut().clear();
    }

    /// Sets the coordinator shared by all instances; `None` removes it.
    #[cfg(feature = "gateway")]
    pub fn share(&self, coordinator: Option<Rc<Coordinator>>) {
        *self.0.coordinator.borrow_mut() = coordinator;
    }

    /// Sets how reports of counts are handled. Without it, and without a coordinator, there are none.
    #[cfg(feature = "gateway")]
    pub fn serve_reports(&self, service: impl FnMut(edgeward::oidc::StatusReport) -> Option<String> + 'static) {
        *self.0.reports.borrow_mut() = Some(Box::new(service));
    }

    #[cfg(feature = "gateway")]
    pub(super) fn has_reports(&self) -> bool {
        self.0.reports.borrow().is_some()
    }

    #[cfg(feature = "gateway")]
    pub(super) fn report(&self, report: edgeward::oidc::StatusReport) -> Option<String> {
        self.0.reports.borrow_mut().as_mut().and_then(|service| service(report))
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

    async fn verify_signature(&self, check: SignatureCheck) -> SignatureVerdict {
        let verdict = match &mut *self.0.signatures.borrow_mut() {
            Some(service) => service(&check),
            None => SignatureVerdict::Unsupported,
        };
        self.0.seen.borrow_mut().signatures.push(check);
        // A platform never has its verdict at once.
        self.moved();
        let mut has_waited = false;
        poll_fn(|_| if mem::replace(&mut has_waited, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        verdict
    }

    async fn decrypt(&self, request: DecryptRequest) -> Result<Vec<u8>, DecryptError> {
        let content = match &mut *self.0.decryption.borrow_mut() {
            Some(service) => service(&request),
            None => Err(DecryptError::Unsupported),
        };
        self.0.seen.borrow_mut().decryptions.push(request);
        self.moved();
        let mut has_waited = false;
        poll_fn(|_| if mem::replace(&mut has_waited, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        content
    }

    async fn sign(&self, request: SignRequest) -> Result<Vec<u8>, SignError> {
        let signature = edgeward::testing::sign_on_request(&request);
        // A platform never has a signature at once.
        self.moved();
        let mut has_waited = false;
        poll_fn(|_| if mem::replace(&mut has_waited, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        signature
    }

    fn log(&self, level: Level, line: &dyn Display) {
        let line = line.to_string();
        self.assert_no_secret("a log line", &line);
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
    /// Sets what happens to jobs that begin from now on.
    pub fn jobs(&self, mode: Jobs) {
        self.0.mode.set(mode);
    }

    /// Begins a job. The future is ready when the job has ended.
    pub fn begin<J: Future<Output = ()> + 'static>(
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

    /// Begins a job in another instance.
    pub(super) fn begin_remote(&self, job: impl Future<Output = ()> + 'static) {
        let job = Job { future: Box::pin(job), host: self.clone(), has_ended: Rc::default() };
        self.0.remote_jobs.borrow_mut().push(job);
        self.moved();
    }

    /// Releases the jobs that were held.
    pub fn release_jobs(&self) {
        let held = self.0.held.take();
        self.0.running.borrow_mut().extend(held);
        self.moved();
    }

    /// Kills the jobs that run or are held.
    pub fn kill_jobs(&self) {
        drop((self.0.running.take(), self.0.held.take()));
    }

    /// Returns the number of jobs that run or are held.
    pub fn open_jobs(&self) -> usize {
        self.0.running.borrow().len() + self.0.held.borrow().len()
    }

    fn poll_jobs(&self) {
        for list in [&self.0.running, &self.0.remote_jobs] {
            // Jobs that begin meanwhile are added at the end.
            let mut jobs = list.take();
            jobs.retain_mut(|job| job.future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            let begun = list.replace(jobs);
            list.borrow_mut().extend(begun);
        }
    }
}

/// The executor.
impl VirtualHost {
    /// Runs a request to completion, and its jobs as far as possible without waiting.
    pub fn run<F: Future>(&self, request: F) -> F::Output {
        self.run_all([request]).pop().unwrap()
    }

    /// Runs requests concurrently to completion.
    pub fn run_all<F: Future>(&self, requests: impl IntoIterator<Item = F>) -> Vec<F::Output> {
        let mut tasks = self.tasks();
        for request in requests {
            tasks.start(request);
        }
        tasks.finish();
        tasks.outputs()
    }

    /// Returns an executor for requests that a test starts, polls and cancels individually.
    pub fn tasks<F: Future>(&self) -> Tasks<F> {
        Tasks { host: self.clone(), requests: Vec::new() }
    }
}

/// Concurrent requests.
pub struct Tasks<F: Future> {
    host: VirtualHost,
    requests: Vec<Request<F>>,
}

enum Request<F: Future> {
    Open(Pin<Box<F>>),
    Done(F::Output),
    Cancelled,
}

impl<F: Future> Tasks<F> {
    /// Adds a request without polling it. Returns its number.
    pub fn start(&mut self, request: F) -> usize {
        self.requests.push(Request::Open(Box::pin(request)));
        self.requests.len() - 1
    }

    /// Returns the number of requests added.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Polls one request once. Returns whether it is done.
    pub fn poll(&mut self, number: usize) -> bool {
        let request = &mut self.requests[number];
        if let Request::Open(future) = request
            && let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        {
            *request = Request::Done(output);
            self.host.moved();
        }
        matches!(request, Request::Done(_))
    }

    /// Cancels a request.
    pub fn cancel(&mut self, number: usize) {
        self.requests[number] = Request::Cancelled;
    }

    /// Polls every request once, then every job. Returns whether there was progress.
    pub fn round(&mut self) -> bool {
        let before = self.host.0.moves.get();
        for number in 0..self.requests.len() {
            self.poll(number);
        }
        self.host.poll_jobs();
        self.host.0.moves.get() != before
    }

    /// Runs everything as far as possible without time passing.
    pub fn settle(&mut self) {
        let mut rounds = 0..MAX_ROUNDS;
        while self.round() {
            rounds.next().expect("an endless loop");
        }
    }

    /// Lets time pass and runs everything due meanwhile, in order.
    pub fn elapse_ms(&mut self, millis: i64) {
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

    /// Runs every request to completion. Time passes when there is nothing else to run.
    pub fn finish(&mut self) {
        for _ in 0..MAX_ROUNDS {
            self.settle();
            if !self.requests.iter().any(|request| matches!(request, Request::Open(_))) {
                return;
            }
            let due = self.host.next_due().expect("a request waits forever");
            self.host.0.elapsed_ms.set(due);
        }
        panic!("a request waits endlessly");
    }

    /// Returns whether a request is neither done nor cancelled.
    pub fn is_open(&self, number: usize) -> bool {
        matches!(self.requests[number], Request::Open(_))
    }

    /// Returns the output of a request, if it is done.
    pub fn output(&self, number: usize) -> Option<&F::Output> {
        match &self.requests[number] {
            Request::Done(output) => Some(output),
            _ => None,
        }
    }

    /// Returns the outputs of completed requests, in order.
    pub fn outputs(self) -> Vec<F::Output> {
        let done = self.requests.into_iter().filter_map(|request| match request {
            Request::Done(output) => Some(output),
            _ => None,
        });
        done.collect()
    }
}
