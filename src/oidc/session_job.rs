//! Work on a session that goes on when the request that began it is gone.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;

use super::{LoginHost, RefreshTokenHash, RelyingParty, SessionAction};
use crate::session::Session;

/// A piece of work on a session. Made by the flows only; a host [runs](Self::run) it.
pub struct SessionJob {
    party: Arc<RelyingParty>,
    session: Box<Session>,
    work: Work,
}

enum Work {
    /// Gets new tokens; nothing else holds those that come.
    Refresh { mark: RefreshTokenHash, user_ip: Option<String> },
    /// Tells all instances that the session has ended.
    End(SessionAction),
    /// Revokes the refresh token.
    Revoke,
}

impl SessionJob {
    pub(super) fn refresh(
        party: &Arc<RelyingParty>,
        session: &Session,
        mark: RefreshTokenHash,
        user_ip: Option<String>,
    ) -> Self {
        Self::new(party, session.clone(), Work::Refresh { mark, user_ip })
    }

    pub(super) fn end(party: &Arc<RelyingParty>, session: &Session, act: SessionAction) -> Self {
        Self::new(party, session.clone(), Work::End(act))
    }

    pub(super) fn revoke(party: &Arc<RelyingParty>, session: Session) -> Self {
        Self::new(party, session, Work::Revoke)
    }

    fn new(party: &Arc<RelyingParty>, session: Session, work: Work) -> Self {
        Self { party: Arc::clone(party), session: Box::new(session), work }
    }

    /// Does the work.
    pub async fn run(self, host: &impl LoginHost) {
        let Self { party, session, work } = self;
        match work {
            Work::Refresh { mark, user_ip } => party.refresh_once(&session, mark, user_ip.as_deref(), host).await,
            Work::End(act) => party.end_everywhere(*session, act, host).await,
            Work::Revoke => party.revoke(&session, host).await,
        }
    }
}

impl core::fmt::Debug for SessionJob {
    /// Shows no session.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SessionJob").finish_non_exhaustive()
    }
}
