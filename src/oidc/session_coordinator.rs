//! One place per session for all instances: refreshes take turns there, and the end of a session is known.
//!
//! Both ends of the exchange are here: what an instance asks, and what the coordinator does. Sessions travel sealed, so that
//! nobody else can ask.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;

use super::host::{CoordinatorAnswer, CoordinatorMessage, random};
use super::refresh_coordinator::RefreshOutcome;
use super::refresh_history::{RecordedRefresh, RefreshHistory, SessionEnd};
use super::relying_party::LoginState;
use super::{LoginHost, RefreshMark, RelyingParty, SessionAct};
use crate::io::Unreachable;
use crate::session::Session;

/// What the coordinator of one session stores between its turns.
pub trait CoordinatorStore {
    /// The text that was stored last; empty if there is none.
    fn read(&self) -> impl Future<Output = Result<String, Unreachable>>;
}

/// What the coordinator has done.
pub struct CoordinatorTurn {
    /// To be sent back.
    pub answer: CoordinatorAnswer,
    /// To be stored before the answer is sent, if something has changed.
    pub store: Option<StoredText>,
}

/// A text to store.
pub struct StoredText {
    /// The text.
    pub text: String,
    /// When it is to be deleted, in milliseconds since 1970.
    pub until_ms: i64,
}

const KNOWN: u16 = 200;
const ENDED: u16 = 410;
const UNKNOWN: u16 = 503;

impl RelyingParty {
    /// Asks the session's coordinator; `None` if it does not answer.
    pub(super) async fn ask_coordinator(
        &self,
        session: &Session,
        act: SessionAct,
        timeout_ms: u32,
        host: &impl LoginHost,
    ) -> Option<CoordinatorAnswer> {
        let sealed = self.sessions.pack(session, self.client.host(), &random(host))?;
        host.coordinate(CoordinatorMessage { session: session.coordinator_id(), act, sealed, timeout_ms }).await.ok()
    }

    /// What the coordinator does with a message. The host calls it, one refresh after the other; the end of a session does not
    /// wait for a refresh that is under way, which finds it when it is done.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn coordinate(
        self: &Arc<Self>,
        act: SessionAct,
        sealed: &str,
        store: &impl CoordinatorStore,
        host: &impl LoginHost,
    ) -> Result<CoordinatorTurn, Unreachable> {
        let Some(session) = self.unpack(sealed) else { return Ok(CoordinatorTurn::unknown()) };
        let mut history = RefreshHistory::read(&store.read().await?);
        if act != SessionAct::Refresh {
            let newest = history.newest().unwrap_or_default().to_string();
            let end = SessionEnd { until_s: self.sessions.expires_s(&session), revokes: act == SessionAct::Logout };
            history.end_session(end);
            return Ok(CoordinatorTurn::known(newest).storing(&history, host));
        }
        let session = match history.find(session, |sealed| self.unpack(sealed), host.now()) {
            RecordedRefresh::Done(sealed) => return Ok(CoordinatorTurn::known(sealed)),
            RecordedRefresh::Ended => return Ok(CoordinatorTurn::ended(&history)),
            RecordedRefresh::Due(session) => session,
        };
        let outcome = self.exchange_refresh_token(&session, None, host).await;
        // The session may have ended meanwhile. From here on to the answer nothing waits for anything but the store.
        let mut history = RefreshHistory::read(&store.read().await?);
        if let Some(end) = history.end() {
            self.discard(outcome, end.revokes, host).await;
            return Ok(CoordinatorTurn::ended(&history));
        }
        let sealed = match outcome {
            RefreshOutcome::Failed => return Ok(CoordinatorTurn::unknown()),
            RefreshOutcome::Ended => None,
            RefreshOutcome::Refreshed(session) => self.sessions.pack(&session, self.client.host(), &random(host)),
        };
        history.note(RefreshMark::of(&session), sealed.as_deref());
        let turn = sealed.map_or_else(|| CoordinatorTurn::ended(&history), CoordinatorTurn::known);
        Ok(turn.storing(&history, host))
    }

    fn unpack(&self, sealed: &str) -> Option<Session> {
        self.sessions.unpack(sealed, self.client.host())
    }
}

impl CoordinatorTurn {
    /// Nothing is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self::new(UNKNOWN, String::new())
    }

    fn known(sealed: String) -> Self {
        Self::new(KNOWN, sealed)
    }

    /// The act that ended the session follows; nothing if the provider did.
    fn ended(history: &RefreshHistory) -> Self {
        let act = history.end().map(|end| if end.revokes { SessionAct::Logout } else { SessionAct::Replace });
        Self::new(ENDED, act.map_or("", SessionAct::name).into())
    }

    fn new(status: u16, text: String) -> Self {
        Self { answer: CoordinatorAnswer { status, text }, store: None }
    }

    fn storing(self, history: &RefreshHistory, host: &impl LoginHost) -> Self {
        let store = StoredText { text: history.write(), until_ms: history.expires_at_ms(host.now()) };
        Self { store: Some(store), ..self }
    }
}

impl CoordinatorAnswer {
    /// Whether the coordinator has done what it was asked for.
    pub(super) fn is_known(&self) -> bool {
        self.status == KNOWN
    }

    /// The session that it holds.
    pub(super) fn session(&self, party: &RelyingParty) -> Option<Session> {
        if self.status == KNOWN { party.unpack(&self.text) } else { None }
    }

    /// The act of the gateway that ended the session.
    pub(super) fn end(&self) -> Option<SessionAct> {
        if self.status == ENDED { SessionAct::from_name(&self.text) } else { None }
    }

    /// What came of a refresh.
    pub(super) fn outcome(&self, party: &RelyingParty) -> RefreshOutcome {
        match self.status {
            ENDED => RefreshOutcome::Ended,
            _ => self
                .session(party)
                .map_or(RefreshOutcome::Failed, |session| RefreshOutcome::Refreshed(Box::new(session))),
        }
    }
}

impl LoginState {
    /// Notes in this instance which act ended the session.
    pub(super) fn note_end(&mut self, session: &Session, act: SessionAct) {
        match act {
            SessionAct::Logout => self.sessions.ended.end(session.id()),
            SessionAct::Replace => self.sessions.ended.replace(session.id()),
            SessionAct::Refresh => {}
        }
    }
}
