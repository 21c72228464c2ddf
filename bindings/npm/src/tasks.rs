//! The flows that wait for an answer, by number: calls of JavaScript, and the jobs that go on without them.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::handles::Handles;
use crate::mailbox::{Answer, Job, Mailbox, Sender};
use crate::verdict::Verdict;

type Flow<T> = Pin<Box<dyn Future<Output = T> + Send + Sync>>;

/// The tasks of one verifier. They are its own and go with it.
pub(crate) struct Tasks {
    tasks: Handles<Task>,
    news: News,
}

/// What JavaScript has not been told yet.
#[derive(Default)]
pub(crate) struct News {
    /// The calls that have ended.
    pub(crate) ended: Vec<f64>,
    /// The calls for which a job failed.
    pub(crate) failed: Vec<f64>,
}

enum Task {
    Call(Flow<Verdict>),
    Ended(Verdict),
    Job {
        flow: Flow<()>,
        /// The question to answer when it has ended.
        question: f64,
        /// The call that it is done for; none if that was over at once.
        call: Option<f64>,
    },
}

impl Tasks {
    pub(crate) const fn new() -> Self {
        Self { tasks: Handles::new(), news: News { ended: Vec::new(), failed: Vec::new() } }
    }

    /// Begins a call; the number that its verdict is found by.
    pub(crate) fn call(
        &mut self,
        flow: impl Future<Output = Verdict> + Send + Sync + 'static,
        mailbox: &Arc<Mailbox>,
    ) -> f64 {
        let number = self.tasks.insert(Task::Call(Box::pin(flow)));
        self.poll(number, mailbox);
        self.go_on(mailbox);
        number
    }

    /// Polls every task that may go on, and begins the jobs that come up.
    pub(crate) fn go_on(&mut self, mailbox: &Arc<Mailbox>) {
        loop {
            // Jobs first: what a poll has spawned, nobody else may discard.
            let jobs = mailbox.take_jobs();
            if jobs.is_empty() {
                let Some(task) = mailbox.next_ready() else { return };
                self.poll(task, mailbox);
            }
            for job in jobs {
                self.begin(job, mailbox);
            }
        }
    }

    fn begin(&mut self, job: Job, mailbox: &Arc<Mailbox>) {
        let Job { job, number: question, sender } = job;
        let host = Arc::clone(mailbox);
        let flow = Box::pin(async move { job.run(&*host).await });
        let number = self.tasks.insert(Task::Job { flow, question, call: sender.map(|sender| sender.call) });
        self.poll(number, mailbox);
    }

    fn poll(&mut self, number: f64, mailbox: &Mailbox) {
        let Some(task) = self.tasks.get_mut(number) else { return };
        // Whom to poll, the mailbox knows.
        let context = &mut Context::from_waker(Waker::noop());
        match task {
            Task::Ended(_) => {}
            Task::Call(flow) => {
                mailbox.run(Some(Sender { task: number, call: number, is_job: false }));
                if let Poll::Ready(verdict) = flow.as_mut().poll(context) {
                    *task = Task::Ended(verdict);
                    self.news.ended.push(number);
                }
            }
            Task::Job { flow, question, call } => {
                let (question, call) = (*question, call.unwrap_or(number));
                mailbox.run(Some(Sender { task: number, call, is_job: true }));
                let polled = flow.as_mut().poll(context);
                if mailbox.take_failed() {
                    self.news.failed.push(call);
                }
                if polled.is_ready() {
                    self.tasks.remove(number);
                    mailbox.answer(question, Answer::Done);
                }
            }
        }
        mailbox.run(None);
    }

    /// Ends a call: its verdict if it has one. The jobs that it began go on.
    pub(crate) fn end(&mut self, number: f64) -> Option<Verdict> {
        match self.tasks.get_mut(number)? {
            Task::Job { .. } => None,
            Task::Call(_) | Task::Ended(_) => match self.tasks.remove(number)? {
                Task::Ended(verdict) => Some(verdict),
                _ => None,
            },
        }
    }

    pub(crate) fn has_news(&self) -> bool {
        !self.news.ended.is_empty()
    }

    pub(crate) fn take_news(&mut self) -> News {
        core::mem::take(&mut self.news)
    }
}
