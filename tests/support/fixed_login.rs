//! The host that only has a time, for a gateway: finding a route needs no I/O.

use edgeward::host::Spawn;
use edgeward::io::Unreachable;
use edgeward::oidc::{CoordinatorMessage, CoordinatorResponse, LoginHost, SessionJob};

use super::fixed_host::FixedHost;

impl Spawn<SessionJob> for FixedHost {
    async fn spawn(&self, job: SessionJob) {
        panic!("{job:?} began")
    }
}

impl LoginHost for FixedHost {
    fn entropy(&self, _: &mut [u8]) {
        panic!("nothing to draw lots for")
    }

    fn has_coordinator(&self) -> bool {
        panic!("nothing to coordinate")
    }

    async fn coordinate(&self, message: CoordinatorMessage) -> Result<CoordinatorResponse, Unreachable> {
        panic!("{message:?} was sent")
    }
}
