//! Jobs on a session that continue if the request that started them is cancelled.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;

use super::{LoginHost, RefreshTokenHash, RelyingParty, SessionAction};
use crate::session::Session;

/// A job on a session. Flows create it; the host [runs](Self::run) it.
pub struct SessionJob {
    party: Arc<RelyingParty>,
    session: Box<Session>,
    work: Work,
}

enum Work {
    /// Refreshes the tokens. Must complete, or the new tokens are lost.
    Refresh { token: RefreshTokenHash, user_ip: Option<String> },
    /// Ends the session in all instances.
    End(SessionAction),
    /// Revokes the refresh token.
    Revoke,
}

impl SessionJob {
    pub(super) fn refresh(
        party: &Arc<RelyingParty>,
        session: &Session,
        token: RefreshTokenHash,
        user_ip: Option<String>,
    ) -> Self {
        Self::new(party, session.clone(), Work::Refresh { token, user_ip })
    }

    pub(super) fn end(party: &Arc<RelyingParty>, session: &Session, action: SessionAction) -> Self {
        Self::new(party, session.clone(), Work::End(action))
    }

    pub(super) fn revoke(party: &Arc<RelyingParty>, session: Session) -> Self {
        Self::new(party, session, Work::Revoke)
    }

    fn new(party: &Arc<RelyingParty>, session: Session, work: Work) -> Self {
        Self { party: Arc::clone(party), session: Box::new(session), work }
    }

    /// Runs the job.
    pub async fn run(self, host: &impl LoginHost) {
        let Self { party, session, work } = self;
        match work {
            Work::Refresh { token, user_ip } => party.refresh_once(&session, token, user_ip.as_deref(), host).await,
            Work::End(action) => party.end_everywhere(*session, action, host).await,
            Work::Revoke => party.revoke(&session, host).await,
        }
    }
}

impl core::fmt::Debug for SessionJob {
    /// Redacts the session.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SessionJob").finish_non_exhaustive()
    }
}
