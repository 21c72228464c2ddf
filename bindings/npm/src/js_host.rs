//! The host of the flows: queues their requests for JavaScript and holds its responses.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};

use atomic_refcell::{AtomicRefCell, AtomicRefMut};
use edgeward::host::{DecryptError, DecryptRequest, Host, Level, SignatureCheck, SignatureVerdict, Spawn};
use edgeward::io::{EdgeEntry, Incoming, Outgoing, UnixTime, Unreachable};
use edgeward::json::push_quoted;
use edgeward::jwk::KeyJob;

use crate::handles::Handles;
use crate::messages;

/// The result of a request, or of a job.
pub(crate) enum Response {
    /// Done, without a value.
    Done,
    Sent(Result<Incoming, Unreachable>),
    Edge(Vec<u8>),
    Signature(SignatureVerdict),
    Decrypted(Result<Vec<u8>, DecryptError>),
}

/// The task that is being polled.
#[derive(Clone, Copy)]
pub(crate) struct RunningTask {
    pub(crate) task: f64,
    /// The call on whose behalf it runs.
    pub(crate) call: f64,
    /// Whether it continues without that call.
    pub(crate) is_job: bool,
}

/// The host of one verifier's flows.
///
/// Request numbers are never used again: a late response finds no request.
pub(crate) struct JsHost(AtomicRefCell<Queues>);

struct Queues {
    now: UnixTime,
    pending: Handles<PendingRequest>,
    /// Requests for JavaScript: JSON, each preceded by a comma.
    outbox: String,
    jobs: Vec<Job>,
    /// `None` while a call is decided without a task.
    running: Option<RunningTask>,
    /// The tasks whose request has its response.
    ready: Vec<f64>,
    has_failed: bool,
}

/// A request that a flow waits for.
#[derive(Default)]
struct PendingRequest {
    waiting_task: Option<f64>,
    response: Option<Response>,
}

/// A job that has not been started.
pub(crate) struct Job {
    /// The request to respond to at its end.
    pub(crate) request: f64,
    /// The task that spawned it.
    pub(crate) spawned_by: Option<RunningTask>,
    pub(crate) job: KeyJob,
}

impl JsHost {
    pub(crate) const fn new() -> Self {
        Self(AtomicRefCell::new(Queues {
            now: UnixTime::from_millis(0),
            pending: Handles::new(),
            outbox: String::new(),
            jobs: Vec::new(),
            running: None,
            ready: Vec::new(),
            has_failed: false,
        }))
    }

    /// Borrows the queues. Never held while a flow is polled or dropped, so that this cannot fail.
    fn queues(&self) -> AtomicRefMut<'_, Queues> {
        self.0.borrow_mut()
    }

    /// Sets the time; a value that is not a time is ignored.
    pub(crate) fn set_now(&self, millis: f64) {
        if millis > 0.0 {
            self.queues().now = UnixTime::from_millis(millis as i64);
        }
    }

    /// Sets the task that is polled from now on.
    pub(crate) fn set_running(&self, task: Option<RunningTask>) {
        self.queues().running = task;
    }

    /// Responds to a request, if it is still pending.
    pub(crate) fn respond(&self, request: f64, response: Response) {
        let queues = &mut *self.queues();
        let Some(pending) = queues.pending.get_mut(request) else { return };
        pending.response = Some(response);
        queues.ready.extend(pending.waiting_task);
    }

    /// Returns a task to poll.
    pub(crate) fn next_ready(&self) -> Option<f64> {
        self.queues().ready.pop()
    }

    /// Returns the jobs to start.
    pub(crate) fn take_jobs(&self) -> Vec<Job> {
        core::mem::take(&mut self.queues().jobs)
    }

    /// Drops the jobs that have not been started, and with them their permits.
    pub(crate) fn discard_jobs(&self) {
        self.queues().jobs.clear();
    }

    /// Whether a flow has logged a failure since the last call.
    pub(crate) fn take_failed(&self) -> bool {
        core::mem::take(&mut self.queues().has_failed)
    }

    pub(crate) fn has_requests(&self) -> bool {
        !self.queues().outbox.is_empty()
    }

    /// Returns the requests since the last call, each preceded by a comma.
    pub(crate) fn take_requests(&self) -> String {
        core::mem::take(&mut self.queues().outbox)
    }

    /// Queues a request called `name` for JavaScript; `write` writes its value.
    fn request<T>(&self, name: &str, write: impl FnOnce(&mut String), read: fn(Response) -> T) -> Pending<'_, T> {
        let queues = &mut *self.queues();
        let number = queues.pending.insert(PendingRequest::default());
        if let Some(running) = queues.running {
            messages::begin_request(&mut queues.outbox, number, running, name);
            write(&mut queues.outbox);
            queues.outbox.push('}');
        }
        Pending { host: self, number, read }
    }
}

/// A future of a request's response. Dropping it drops the request.
struct Pending<'h, T> {
    host: &'h JsHost,
    number: f64,
    /// Converts the response.
    read: fn(Response) -> T,
}

impl<T> Future for Pending<'_, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        let response = self.host.queues().take_response(self.number);
        response.map_or(Poll::Pending, |response| Poll::Ready((self.read)(response)))
    }
}

impl<T> Drop for Pending<'_, T> {
    fn drop(&mut self) {
        self.host.queues().pending.remove(self.number);
    }
}

impl Queues {
    /// Returns the response to a request. Without one, the running task is polled again when it comes.
    fn take_response(&mut self, number: f64) -> Option<Response> {
        // A request that no longer exists has no response to wait for.
        let Some(pending) = self.pending.get_mut(number) else { return Some(Response::Done) };
        pending.waiting_task = self.running.map(|running| running.task);
        pending.response.take()
    }
}

impl Host for JsHost {
    fn now(&self) -> UnixTime {
        self.queues().now
    }

    fn send(&self, request: Outgoing) -> impl Future<Output = Result<Incoming, Unreachable>> {
        self.request(
            "send",
            |outbox| messages::outgoing(outbox, &request),
            |response| match response {
                Response::Sent(result) => result,
                _ => Err(Unreachable::GivenUp),
            },
        )
    }

    fn sleep(&self, millis: u32) -> impl Future<Output = ()> {
        self.request("sleep", |outbox| messages::number(outbox, millis.into()), drop)
    }

    fn edge_get(&self, key: String) -> impl Future<Output = Option<Vec<u8>>> {
        self.request(
            "edgeGet",
            |outbox| push_quoted(outbox, &key),
            |response| match response {
                Response::Edge(value) => Some(value),
                _ => None,
            },
        )
    }

    fn edge_put(&self, entry: EdgeEntry) -> impl Future<Output = ()> {
        self.request("edgePut", |outbox| messages::edge_entry(outbox, &entry), drop)
    }

    fn verify_signature(&self, check: SignatureCheck) -> impl Future<Output = SignatureVerdict> {
        self.request(
            "verify",
            |outbox| messages::signature_check(outbox, &check),
            |response| match response {
                Response::Signature(verdict) => verdict,
                _ => SignatureVerdict::Unsupported,
            },
        )
    }

    fn decrypt(&self, request: DecryptRequest) -> impl Future<Output = Result<Vec<u8>, DecryptError>> {
        self.request(
            "decrypt",
            |outbox| messages::decrypt_request(outbox, &request),
            |response| match response {
                Response::Decrypted(content) => content,
                _ => Err(DecryptError::Unsupported),
            },
        )
    }

    /// Formats nothing: the machinery for that is a large part of the standard library, and there is no log to read here. A warning
    /// means that a job has failed.
    fn log(&self, level: Level, _: &dyn fmt::Display) {
        if level != Level::Information {
            self.queues().has_failed = true;
        }
    }
}

impl Spawn<KeyJob> for JsHost {
    fn spawn(&self, job: KeyJob) -> impl Future<Output = ()> {
        let queues = &mut *self.queues();
        let number = queues.pending.insert(PendingRequest::default());
        queues.jobs.push(Job { request: number, spawned_by: queues.running, job });
        Pending { host: self, number, read: drop }
    }
}
