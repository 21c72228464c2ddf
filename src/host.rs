//! The few verbs that the core asks of its surroundings. Nothing else here reads a clock, waits or touches a network.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::io::{EdgeEntry, Incoming, Outgoing, UnixTime, Unreachable};

/// Where the flows run: a Worker's isolate, a JavaScript module, a server, a test with a virtual clock.
///
/// What is ready must be ready at the first poll: a flow that waits for nothing then answers at once.
pub trait Host {
    /// The current time.
    fn now(&self) -> UnixTime;

    /// Sends a request once and reads the answer whole, within its limits. Redirects are not followed.
    fn send(&self, request: Outgoing) -> impl Future<Output = Result<Incoming, Unreachable>>;

    /// Waits so many milliseconds.
    fn sleep(&self, millis: u32) -> impl Future<Output = ()>;

    /// Looks a key up in a cache that instances of this program share. `None` where there is no such cache.
    fn edge_get(&self, key: String) -> impl Future<Output = Option<Vec<u8>>>;

    /// Stores an entry in that cache. Failures are ignored: the entry saves others a request, nothing more.
    fn edge_put(&self, entry: EdgeEntry) -> impl Future<Output = ()>;

    /// Writes a line to the log. It never holds a secret, a token, a code or a cookie.
    fn log(&self, level: Level, line: &dyn fmt::Display);
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something to look at.
    Warning,
    /// Something that fails.
    Error,
}

/// Runs jobs of one type beside the request that begins them.
pub trait Spawn<J> {
    /// Begins a job, which runs to its end even if the request that began it is cancelled: others rely on it. The future is ready
    /// when the job has ended, or when it cannot be known any more; dropping it changes nothing.
    fn spawn(&self, job: J) -> impl Future<Output = ()>;
}
