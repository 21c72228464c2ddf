//! Jobs on a session that continue if the request that started them is cancelled.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;

use super::callback::AcceptedCallback;
use super::upstream::TokenRequest;
use super::{LoginHost, RefreshTokenHash, RelyingParty, SessionAction};
use crate::session::Session;

/// A job on a session, or a request for an upstream token. Flows create it; the host [runs](Self::run) it.
pub struct SessionJob(Job);

enum Job {
    OfSession(Arc<RelyingParty>, Work),
    Upstream(TokenRequest),
}

enum Work {
    /// Completes a login. The code can be exchanged once only.
    LogIn(Box<AcceptedCallback>),
    /// Refreshes the tokens. Must complete, or the new tokens are lost.
    Refresh { session: Box<Session>, token: RefreshTokenHash, user_ip: Option<String> },
    /// Ends the session in all instances.
    End(Box<Session>, SessionAction),
    /// Revokes the refresh token.
    Revoke(Box<Session>),
}

impl SessionJob {
    pub(super) fn log_in(party: &Arc<RelyingParty>, callback: AcceptedCallback) -> Self {
        Self::new(party, Work::LogIn(Box::new(callback)))
    }

    pub(super) fn refresh(
        party: &Arc<RelyingParty>,
        session: &Session,
        token: RefreshTokenHash,
        user_ip: Option<String>,
    ) -> Self {
        Self::new(party, Work::Refresh { session: Box::new(session.clone()), token, user_ip })
    }

    pub(super) fn end(party: &Arc<RelyingParty>, session: &Session, action: SessionAction) -> Self {
        Self::new(party, Work::End(Box::new(session.clone()), action))
    }

    pub(super) fn revoke(party: &Arc<RelyingParty>, session: Session) -> Self {
        Self::new(party, Work::Revoke(Box::new(session)))
    }

    pub(super) fn upstream(request: TokenRequest) -> Self {
        Self(Job::Upstream(request))
    }

    fn new(party: &Arc<RelyingParty>, work: Work) -> Self {
        Self(Job::OfSession(Arc::clone(party), work))
    }

    /// Runs the job.
    pub async fn run(self, host: &impl LoginHost) {
        let (party, work) = match self.0 {
            Job::OfSession(party, work) => (party, work),
            Job::Upstream(request) => return request.run(host).await,
        };
        match work {
            Work::LogIn(callback) => party.complete(*callback, host).await,
            Work::Refresh { session, token, user_ip } => {
                party.refresh_once(&session, token, user_ip.as_deref(), host).await;
            }
            Work::End(session, action) => party.end_everywhere(*session, action, host).await,
            Work::Revoke(session) => party.revoke(&session, host).await,
        }
    }
}

impl core::fmt::Debug for SessionJob {
    /// Redacts the session.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SessionJob").finish_non_exhaustive()
    }
}
