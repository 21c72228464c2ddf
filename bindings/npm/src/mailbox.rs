//! The host of the flows: what they ask for is put down here for JavaScript, and so is what JavaScript answers.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};

use atomic_refcell::{AtomicRefCell, AtomicRefMut};
use edgeward::host::{Host, Level, Spawn};
use edgeward::io::{EdgeEntry, Incoming, Outgoing, UnixTime, Unreachable};
use edgeward::jwk::KeyJob;

use crate::handles::Handles;

/// What a flow asks JavaScript for.
pub(crate) enum Request {
    Send(Outgoing),
    EdgeGet(String),
    EdgePut(EdgeEntry),
    /// In milliseconds.
    Sleep(u32),
}

/// What has come of a [`Request`], or of a job.
pub(crate) enum Answer {
    /// It is done; there is no more to say.
    Done,
    Sent(Result<Incoming, Unreachable>),
    Edge(Vec<u8>),
}

/// A request with what JavaScript has to know of it.
pub(crate) struct Letter {
    pub(crate) number: f64,
    pub(crate) sender: Sender,
    pub(crate) request: Request,
}

/// The task that runs.
#[derive(Clone, Copy)]
pub(crate) struct Sender {
    pub(crate) task: f64,
    /// The call that everything here is done for.
    pub(crate) call: f64,
    /// Whether it is work that goes on without that call.
    pub(crate) is_job: bool,
}

/// What the flows of one verifier and JavaScript have to tell each other.
///
/// Every question has a number, which is never used again: an answer that comes late finds nothing.
pub(crate) struct Mailbox(AtomicRefCell<Letters>);

struct Letters {
    now: UnixTime,
    questions: Handles<Question>,
    outbox: Vec<Letter>,
    jobs: VecDeque<Job>,
    /// `None` while a call decides without a task.
    running: Option<Sender>,
    /// The tasks whose question was answered.
    ready: Vec<f64>,
    has_failed: bool,
}

/// A question that somebody still waits to be answered.
#[derive(Default)]
struct Question {
    asker: Option<f64>,
    answer: Option<Answer>,
}

/// A job that nobody has begun yet.
pub(crate) struct Job {
    /// The number to answer when it has ended.
    pub(crate) number: f64,
    /// Who asked for it.
    pub(crate) sender: Option<Sender>,
    pub(crate) job: KeyJob,
}

impl Mailbox {
    pub(crate) const fn new() -> Self {
        Self(AtomicRefCell::new(Letters {
            now: UnixTime::from_millis(0),
            questions: Handles::new(),
            outbox: Vec::new(),
            jobs: VecDeque::new(),
            running: None,
            ready: Vec::new(),
            has_failed: false,
        }))
    }

    /// The letters, for a moment: nobody keeps them while a flow is polled or dropped, so that they are always free.
    fn letters(&self) -> AtomicRefMut<'_, Letters> {
        self.0.borrow_mut()
    }

    /// Sets the time. What is no time leaves it as it was.
    pub(crate) fn set_now(&self, millis: f64) {
        if millis > 0.0 {
            self.letters().now = UnixTime::from_millis(millis as i64);
        }
    }

    /// Says which task is polled from now on.
    pub(crate) fn run(&self, task: Option<Sender>) {
        self.letters().running = task;
    }

    /// Answers a question, if it is still there.
    pub(crate) fn answer(&self, number: f64, answer: Answer) {
        let letters = &mut *self.letters();
        let Some(question) = letters.questions.get_mut(number) else { return };
        question.answer = Some(answer);
        letters.ready.extend(question.asker);
    }

    /// A task that may go on.
    pub(crate) fn next_ready(&self) -> Option<f64> {
        self.letters().ready.pop()
    }

    /// A job to begin.
    pub(crate) fn next_job(&self) -> Option<Job> {
        self.letters().jobs.pop_front()
    }

    /// Drops the jobs that nobody has begun; their permits go back.
    pub(crate) fn discard_jobs(&self) {
        self.letters().jobs.clear();
    }

    /// Whether a flow has logged something since the last call.
    pub(crate) fn take_failed(&self) -> bool {
        core::mem::take(&mut self.letters().has_failed)
    }

    pub(crate) fn has_letters(&self) -> bool {
        !self.letters().outbox.is_empty()
    }

    pub(crate) fn take_letters(&self) -> Vec<Letter> {
        core::mem::take(&mut self.letters().outbox)
    }

    fn ask(&self, request: Request) -> Waiting<'_> {
        let letters = &mut *self.letters();
        let number = letters.questions.insert(Question::default());
        if let Some(sender) = letters.running {
            letters.outbox.push(Letter { number, sender, request });
        }
        Waiting { mailbox: self, number }
    }
}

/// Waits for the answer to a question. Dropped, it takes the question with it.
struct Waiting<'m> {
    mailbox: &'m Mailbox,
    number: f64,
}

impl Future for Waiting<'_> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Answer> {
        let letters = &mut *self.mailbox.letters();
        // A question that is gone has no answer any more.
        let Some(question) = letters.questions.get_mut(self.number) else { return Poll::Ready(Answer::Done) };
        question.asker = letters.running.map(|running| running.task);
        question.answer.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.mailbox.letters().questions.remove(self.number);
    }
}

impl Host for Mailbox {
    fn now(&self) -> UnixTime {
        self.letters().now
    }

    fn send(&self, request: Outgoing) -> impl Future<Output = Result<Incoming, Unreachable>> {
        let waiting = self.ask(Request::Send(request));
        async move {
            match waiting.await {
                Answer::Sent(answer) => answer,
                _ => Err(Unreachable::GivenUp),
            }
        }
    }

    fn sleep(&self, millis: u32) -> impl Future<Output = ()> {
        let waiting = self.ask(Request::Sleep(millis));
        async move { drop(waiting.await) }
    }

    fn edge_get(&self, key: String) -> impl Future<Output = Option<Vec<u8>>> {
        let waiting = self.ask(Request::EdgeGet(key));
        async move {
            match waiting.await {
                Answer::Edge(value) => Some(value),
                _ => None,
            }
        }
    }

    fn edge_put(&self, entry: EdgeEntry) -> impl Future<Output = ()> {
        let waiting = self.ask(Request::EdgePut(entry));
        async move { drop(waiting.await) }
    }

    /// Nobody reads a log here, and formatting is a large part of the standard library. That there was something to say tells that
    /// a job has failed.
    fn log(&self, _: Level, _: &dyn fmt::Display) {
        self.letters().has_failed = true;
    }
}

impl Spawn<KeyJob> for Mailbox {
    fn spawn(&self, job: KeyJob) -> impl Future<Output = ()> {
        let letters = &mut *self.letters();
        let number = letters.questions.insert(Question::default());
        let sender = letters.running;
        letters.jobs.push_back(Job { number, sender, job });
        let waiting = Waiting { mailbox: self, number };
        async move { drop(waiting.await) }
    }
}
