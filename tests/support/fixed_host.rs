//! A host that only has a time, for keys that are never fetched.

#![allow(
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "test code: a panic is a failure"
)]
#![allow(unreachable_pub, reason = "a module of a library here, of programs elsewhere")]

// The core's unit tests include this file, and the core has no prelude of std.
use std::string::String;
use std::vec::Vec;

use std::fmt::Display;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use edgeward::host::{Host, Level, Spawn};
use edgeward::io::{EdgeEntry, Incoming, Outgoing, UnixTime, Unreachable};
use edgeward::jwk::KeyJob;

/// The host. Every call except `now` fails the test.
pub struct FixedHost(pub UnixTime);

impl Host for FixedHost {
    fn now(&self) -> UnixTime {
        self.0
    }

    async fn send(&self, request: Outgoing) -> Result<Incoming, Unreachable> {
        panic!("{request:?} was sent")
    }

    async fn sleep(&self, _: u32) {
        panic!("nothing to wait for")
    }

    async fn edge_get(&self, key: String) -> Option<Vec<u8>> {
        panic!("{key} was looked up")
    }

    async fn edge_put(&self, entry: EdgeEntry) {
        panic!("{entry:?} was stored")
    }

    fn log(&self, _: Level, line: &dyn Display) {
        panic!("{line}")
    }
}

impl Spawn<KeyJob> for FixedHost {
    async fn spawn(&self, job: KeyJob) {
        panic!("{job:?} began")
    }
}

/// Returns the output of a future that is ready at the first poll.
pub fn at_once<F: Future>(request: F) -> F::Output {
    match pin!(request).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}
