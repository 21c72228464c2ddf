//! The flows that wait for a response, by number: calls from JavaScript, and the jobs that continue without them.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::handles::Handles;
use crate::js_host::{Job, JsHost, Response, RunningTask};
use crate::verdict::Verdict;

type Flow<T> = Pin<Box<dyn Future<Output = T> + Send + Sync>>;

/// The tasks of one verifier, dropped with it.
pub(crate) struct Tasks {
    tasks: Handles<Task>,
    completions: Completions,
}

/// Events that JavaScript has not been told about.
#[derive(Default)]
pub(crate) struct Completions {
    /// The calls that have ended.
    pub(crate) ended: Vec<f64>,
    /// The calls with a failed job.
    pub(crate) failed: Vec<f64>,
}

enum Task {
    Call(Flow<Verdict>),
    Ended(Verdict),
    Job {
        flow: Flow<()>,
        /// The request to respond to at its end.
        request: f64,
        /// The call on whose behalf it runs; `None` if that was decided without a task.
        call: Option<f64>,
    },
}

impl Tasks {
    pub(crate) const fn new() -> Self {
        Self { tasks: Handles::new(), completions: Completions { ended: Vec::new(), failed: Vec::new() } }
    }

    /// Starts a call and returns its number.
    pub(crate) fn call(
        &mut self,
        flow: impl Future<Output = Verdict> + Send + Sync + 'static,
        host: &Arc<JsHost>,
    ) -> f64 {
        let number = self.tasks.insert(Task::Call(Box::pin(flow)));
        self.poll(number, host);
        self.run(host);
        number
    }

    /// Starts all queued jobs and polls all tasks that are ready.
    pub(crate) fn run(&mut self, host: &Arc<JsHost>) {
        loop {
            // Jobs first: only the call that spawned them may discard them.
            let jobs = host.take_jobs();
            if jobs.is_empty() {
                let Some(task) = host.next_ready() else { return };
                self.poll(task, host);
            }
            for job in jobs {
                self.start(job, host);
            }
        }
    }

    fn start(&mut self, job: Job, host: &Arc<JsHost>) {
        let Job { request, spawned_by, job } = job;
        let job_host = Arc::clone(host);
        let flow = Box::pin(async move { job.run(&*job_host).await });
        let number = self.tasks.insert(Task::Job { flow, request, call: spawned_by.map(|task| task.call) });
        self.poll(number, host);
    }

    fn poll(&mut self, number: f64, host: &JsHost) {
        let Some(task) = self.tasks.get_mut(number) else { return };
        // The host knows which tasks are ready; wakers are not used.
        let context = &mut Context::from_waker(Waker::noop());
        match task {
            Task::Ended(_) => {}
            Task::Call(flow) => {
                host.set_running(Some(RunningTask { task: number, call: number, is_job: false }));
                if let Poll::Ready(verdict) = flow.as_mut().poll(context) {
                    *task = Task::Ended(verdict);
                    self.completions.ended.push(number);
                }
            }
            Task::Job { flow, request, call } => {
                let (request, call) = (*request, call.unwrap_or(number));
                host.set_running(Some(RunningTask { task: number, call, is_job: true }));
                let polled = flow.as_mut().poll(context);
                if host.take_failed() {
                    self.completions.failed.push(call);
                }
                if polled.is_ready() {
                    self.tasks.remove(number);
                    host.respond(request, Response::Done);
                }
            }
        }
        host.set_running(None);
    }

    /// Removes a call and returns its verdict, if it has one. The jobs that it spawned continue.
    pub(crate) fn remove_call(&mut self, number: f64) -> Option<Verdict> {
        match self.tasks.get_mut(number)? {
            Task::Job { .. } => None,
            Task::Call(_) | Task::Ended(_) => match self.tasks.remove(number)? {
                Task::Ended(verdict) => Some(verdict),
                _ => None,
            },
        }
    }

    pub(crate) fn has_ended_calls(&self) -> bool {
        !self.completions.ended.is_empty()
    }

    pub(crate) fn take_completions(&mut self) -> Completions {
        core::mem::take(&mut self.completions)
    }
}
