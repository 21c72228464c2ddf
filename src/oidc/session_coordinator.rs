//! The coordinator of a session, shared by all instances: it serializes refreshes and stores the end of the session.
//!
//! This module has both sides: the requests of an instance and the coordinator's handling of them. Sessions are sent sealed, which
//! also authenticates the request.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;

use super::host::{CoordinatorMessage, CoordinatorResponse, random};
use super::refresh_coordinator::RefreshOutcome;
use super::refresh_history::{RecordedRefresh, RefreshHistory, SessionEnd};
use super::relying_party::LoginState;
use super::{LoginHost, RefreshTokenHash, RelyingParty, SessionAction};
use crate::io::Unreachable;
use crate::limits;
use crate::session::Session;

/// The storage of a session's coordinator.
///
/// ```
/// use std::cell::RefCell;
///
/// use edgeward::io::Unreachable;
/// use edgeward::oidc::CoordinatorStore;
///
/// /// One session's text in memory. A Worker stores it in a Durable Object.
/// struct Memory(RefCell<String>);
///
/// impl CoordinatorStore for Memory {
///     async fn read(&self) -> Result<String, Unreachable> {
///         Ok(self.0.borrow().clone())
///     }
/// }
/// ```
pub trait CoordinatorStore {
    /// Reads the stored text; empty if there is none.
    fn read(&self) -> impl Future<Output = Result<String, Unreachable>>;
}

/// The outcome of a message to the coordinator.
pub struct CoordinatorOutcome {
    /// The response to send.
    pub response: CoordinatorResponse,
    /// The text to store before sending the response, if it has changed.
    pub store: Option<StoredText>,
}

/// A text to store.
pub struct StoredText {
    /// The text.
    pub text: String,
    /// When to delete it, in milliseconds since 1970.
    pub until_ms: i64,
}

const SUCCESS: u16 = 200;
const CONTINUED: u16 = 206;
const ENDED: u16 = 410;
const UNAVAILABLE: u16 = 503;

impl RelyingParty {
    /// Sends a message to the session's coordinator; `None` if it does not respond.
    pub(super) async fn ask_coordinator(
        &self,
        session: &Session,
        action: SessionAction,
        timeout_ms: u32,
        host: &impl LoginHost,
    ) -> Option<CoordinatorResponse> {
        let sealed = self.sessions.seal_message(session, self.client.host(), &random(host))?;
        host.coordinate(CoordinatorMessage { session: session.coordinator_id(), action, sealed, timeout_ms }).await.ok()
    }

    /// Returns the session that a response may write into cookies: this one, or one with newer tokens. `None` if it has ended. Without
    /// `asks`, as far as this instance knows; otherwise the coordinator is asked, if there is one, and without its answer there is none:
    /// a browser that keeps an older cookie gets the newest session with its next refresh.
    pub(crate) async fn newest_session(
        &self,
        session: &Arc<Session>,
        asks: bool,
        host: &impl LoginHost,
    ) -> Option<Arc<Session>> {
        let mut newest = self.state.with(|state| {
            let found = state.refreshes.newest(session).filter(|found| found.is_newer_than(session));
            found.map_or_else(|| Arc::clone(session), |found| Arc::new(found.clone()))
        });
        if asks && host.has_coordinator() {
            let timeout_ms = limits::SESSION_CHECK_TIMEOUT_MS;
            let response = self.ask_coordinator(&newest, SessionAction::Check, timeout_ms, host).await?;
            if let Some(action) = response.end_action() {
                self.state.with(|state| state.record_end(session, action));
            }
            if !response.is_success() {
                return None;
            }
            if let Some(found) = response.session(self).filter(|found| found.is_newer_than(&newest)) {
                newest = Arc::new(found);
            }
        }
        let has_ended = self.has_ended(session) || self.state.with(|state| state.refreshes.has_ended(session));
        (!has_ended).then_some(newest)
    }

    /// Handles a message as the coordinator of its session. The host must run refreshes of a session one after another. Other messages
    /// must not wait for a refresh in progress, which finds the stored end of the session when it completes.
    ///
    /// Once the refresh token was sent, a store that fails loses no outcome: the host returns the response even if it cannot write the text, and
    /// writes that with the next message.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn coordinate(
        self: &Arc<Self>,
        action: SessionAction,
        sealed: &str,
        store: &impl CoordinatorStore,
        host: &impl LoginHost,
    ) -> Result<CoordinatorOutcome, Unreachable> {
        let Some(session) = self.open_message(sealed) else { return Ok(CoordinatorOutcome::unavailable()) };
        let mut history = RefreshHistory::read(&store.read().await?);
        if action == SessionAction::Check {
            let newest = history.newest().map(ToString::to_string);
            let is_live = newest.is_some() || history.is_empty();
            return Ok(if is_live {
                CoordinatorOutcome::success(newest.unwrap_or_default())
            } else {
                CoordinatorOutcome::ended(&history)
            });
        }
        if action != SessionAction::Refresh {
            let newest = history.newest().unwrap_or_default().to_string();
            let end =
                SessionEnd { until_s: self.sessions.expires_s(&session), revokes: action == SessionAction::Logout };
            history.end_session(end);
            return Ok(CoordinatorOutcome::success(newest).storing(&history, host));
        }
        let session = match history.find(session, |sealed| self.open_message(sealed), host.now()) {
            RecordedRefresh::Done(sealed) => return Ok(CoordinatorOutcome::success(sealed)),
            RecordedRefresh::Ended => return Ok(CoordinatorOutcome::ended(&history)),
            RecordedRefresh::Due(session) => session,
        };
        let outcome = self.exchange_refresh_token(&session, None, host).await;
        // The session may have ended meanwhile. From here on, only the store is awaited.
        let stored = store.read().await.map(|text| RefreshHistory::read(&text));
        if let Ok(history) = &stored
            && let Some(end) = history.end()
        {
            self.discard(outcome, end.revokes, host).await;
            return Ok(CoordinatorOutcome::ended(history));
        }
        let (status, next) = match outcome {
            RefreshOutcome::Failed => return Ok(CoordinatorOutcome::unavailable()),
            RefreshOutcome::Ended => (ENDED, None),
            RefreshOutcome::Refreshed(session) => (SUCCESS, Some(session)),
            RefreshOutcome::Continued(session) => (CONTINUED, Some(session)),
        };
        let seal = |next: Box<Session>| self.sessions.seal_message(&next, self.client.host(), &random(host));
        let sealed = next.and_then(seal);
        let token = RefreshTokenHash::of(&session);
        let outcome =
            CoordinatorOutcome::new(sealed.as_ref().map_or(ENDED, |_| status), sealed.clone().unwrap_or_default());
        Ok(match stored {
            Ok(mut history) => {
                history.record(token, sealed.as_deref());
                outcome.storing(&history, host)
            }
            // The former refresh token is used up: the outcome is returned all the same. It is not stored, because that could replace the
            // stored end of the session.
            Err(_) => outcome,
        })
    }

    /// Returns whether this relying party sealed the message.
    pub(crate) fn has_sealed(&self, sealed: &str) -> bool {
        self.open_message(sealed).is_some()
    }

    fn open_message(&self, sealed: &str) -> Option<Session> {
        self.sessions.open_message(sealed, self.client.host())
    }
}

impl CoordinatorOutcome {
    /// Returns the outcome of a message that could not be handled.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::new(UNAVAILABLE, String::new())
    }

    /// Returns the outcome of a message whose response is also stored.
    pub(crate) fn stored(text: String, until_ms: i64) -> Self {
        Self { store: Some(StoredText { text: text.clone(), until_ms }), ..Self::new(SUCCESS, text) }
    }

    fn success(sealed: String) -> Self {
        Self::new(SUCCESS, sealed)
    }

    /// Names the action that ended the session; empty if the provider ended it.
    fn ended(history: &RefreshHistory) -> Self {
        let action = history.end().map(|end| if end.revokes { SessionAction::Logout } else { SessionAction::Replace });
        Self::new(ENDED, action.map_or("", SessionAction::name).into())
    }

    fn new(status: u16, text: String) -> Self {
        Self { response: CoordinatorResponse { status, text }, store: None }
    }

    fn storing(self, history: &RefreshHistory, host: &impl LoginHost) -> Self {
        let store = StoredText { text: history.write(), until_ms: history.expires_at_ms(host.now()) };
        Self { store: Some(store), ..self }
    }
}

impl CoordinatorResponse {
    /// Whether the coordinator has handled the message.
    pub(super) fn is_success(&self) -> bool {
        self.status == SUCCESS
    }

    /// Returns the session that it contains.
    pub(super) fn session(&self, party: &RelyingParty) -> Option<Session> {
        if matches!(self.status, SUCCESS | CONTINUED) { party.open_message(&self.text) } else { None }
    }

    /// Returns the action that ended the session, if the gateway ended it.
    pub(super) fn end_action(&self) -> Option<SessionAction> {
        if self.status == ENDED { SessionAction::from_name(&self.text) } else { None }
    }

    /// Returns the outcome of a refresh.
    pub(super) fn outcome(&self, party: &RelyingParty) -> RefreshOutcome {
        match self.status {
            ENDED => RefreshOutcome::Ended,
            status => match self.session(party).map(Box::new) {
                None => RefreshOutcome::Failed,
                Some(session) if status == CONTINUED => RefreshOutcome::Continued(session),
                Some(session) => RefreshOutcome::Refreshed(session),
            },
        }
    }
}

impl LoginState {
    /// Records the end of a session in this instance.
    pub(super) fn record_end(&mut self, session: &Session, action: SessionAction) {
        match action {
            SessionAction::Logout => self.sessions.ended.end(session.id()),
            SessionAction::Replace => self.sessions.ended.replace(session.id()),
            SessionAction::Refresh | SessionAction::Check => {}
        }
    }
}
