//! What the gateway needs to log people in.

use alloc::string::String;

use crate::jwt::Policy;
use crate::oidc::{Client, ProviderCache, RefreshDesk, UsedStates};
use crate::session::{SessionMemory, Sessions};

/// The fixed part: from configuration.
#[derive(Debug)]
pub struct Login {
    /// The gateway as a client of the provider.
    pub client: Client,
    /// How sessions are kept.
    pub sessions: Sessions,
    /// What every ID token must satisfy; each login adds its nonce.
    pub id_policy: Policy,
    /// The path of the login route, if it has a fixed one.
    pub login_path: Option<String>,
    /// Where the browser goes after logging out at the provider; registered there.
    pub after_logout: String,
    /// Whether access tokens are for an API of this gateway, so that they say what their user may do.
    pub reads_access_tokens: bool,
}

impl Login {
    /// Whether nothing was configured to seal sessions with. Until there is something, no login succeeds.
    #[must_use]
    pub fn lacks_secret(&self) -> bool {
        self.sessions.sealer.is_empty()
    }

    /// Seals with this secret, which must be random: sessions end when it is forgotten.
    pub fn seal_with(&mut self, secret: &str) {
        self.sessions.sealer.set_secrets(&[secret]);
    }
}

/// The part that changes while the gateway runs.
#[derive(Debug)]
pub struct LoginState {
    /// The provider's endpoints.
    pub provider: ProviderCache,
    /// States of logins that are through.
    pub used_states: UsedStates,
    /// Refreshes under way.
    pub refreshes: RefreshDesk,
    /// Sessions that were opened and those that were ended.
    pub sessions: SessionMemory,
}
