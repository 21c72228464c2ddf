//! The host of the flows: what they ask for is put down here for JavaScript, and so is what JavaScript answers.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};

use atomic_refcell::{AtomicRefCell, AtomicRefMut};
use edgeward::host::{Host, Level, Spawn};
use edgeward::io::{EdgeEntry, Incoming, Outgoing, UnixTime, Unreachable};
use edgeward::json::push_quoted;
use edgeward::jwk::KeyJob;

use crate::answer;
use crate::handles::Handles;

/// What has come of a request, or of a job.
pub(crate) enum Answer {
    /// It is done; there is no more to say.
    Done,
    Sent(Result<Incoming, Unreachable>),
    Edge(Vec<u8>),
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
    /// Requests for JavaScript: JSON, each with a comma before it.
    outbox: String,
    jobs: Vec<Job>,
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
            outbox: String::new(),
            jobs: Vec::new(),
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

    /// The jobs to begin.
    pub(crate) fn take_jobs(&self) -> Vec<Job> {
        core::mem::take(&mut self.letters().jobs)
    }

    /// Drops the jobs that nobody has begun; their permits go back.
    pub(crate) fn discard_jobs(&self) {
        self.letters().jobs.clear();
    }

    /// Whether a flow has logged something since the last call.
    pub(crate) fn take_failed(&self) -> bool {
        core::mem::take(&mut self.letters().has_failed)
    }

    pub(crate) fn has_requests(&self) -> bool {
        !self.letters().outbox.is_empty()
    }

    /// The requests since the last call, separated by commas.
    pub(crate) fn take_requests(&self) -> String {
        core::mem::take(&mut self.letters().outbox)
    }

    /// Asks JavaScript for something: `name` and `put`, which writes the rest of it, say what.
    fn ask<T>(&self, name: &str, put: impl FnOnce(&mut String), read: fn(Answer) -> T) -> Waiting<'_, T> {
        let letters = &mut *self.letters();
        let number = letters.questions.insert(Question::default());
        if let Some(sender) = letters.running {
            answer::begin_request(&mut letters.outbox, number, sender, name);
            put(&mut letters.outbox);
            letters.outbox.push('}');
        }
        Waiting { mailbox: self, number, read }
    }
}

/// Waits for the answer to a question. Dropped, it takes the question with it.
struct Waiting<'m, T> {
    mailbox: &'m Mailbox,
    number: f64,
    /// What the answer means.
    read: fn(Answer) -> T,
}

impl<T> Future for Waiting<'_, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        let answer = self.mailbox.letters().listen(self.number);
        answer.map_or(Poll::Pending, |answer| Poll::Ready((self.read)(answer)))
    }
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        self.mailbox.letters().questions.remove(self.number);
    }
}

impl Letters {
    /// The answer to a question. Until there is one, the task that runs waits for it.
    fn listen(&mut self, number: f64) -> Option<Answer> {
        // A question that is gone has no answer any more.
        let Some(question) = self.questions.get_mut(number) else { return Some(Answer::Done) };
        question.asker = self.running.map(|running| running.task);
        question.answer.take()
    }
}

impl Host for Mailbox {
    fn now(&self) -> UnixTime {
        self.letters().now
    }

    fn send(&self, request: Outgoing) -> impl Future<Output = Result<Incoming, Unreachable>> {
        self.ask(
            "send",
            |outbox| answer::outgoing(outbox, &request),
            |answer| match answer {
                Answer::Sent(answer) => answer,
                _ => Err(Unreachable::GivenUp),
            },
        )
    }

    fn sleep(&self, millis: u32) -> impl Future<Output = ()> {
        self.ask("sleep", |outbox| answer::number(outbox, millis.into()), drop)
    }

    fn edge_get(&self, key: String) -> impl Future<Output = Option<Vec<u8>>> {
        self.ask(
            "edgeGet",
            |outbox| push_quoted(outbox, &key),
            |answer| match answer {
                Answer::Edge(value) => Some(value),
                _ => None,
            },
        )
    }

    fn edge_put(&self, entry: EdgeEntry) -> impl Future<Output = ()> {
        self.ask("edgePut", |outbox| answer::edge_entry(outbox, &entry), drop)
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
        letters.jobs.push(Job { number, sender: letters.running, job });
        Waiting { mailbox: self, number, read: drop }
    }
}
