//! Logging people in with an OpenID provider: authorization code with PKCE, ID token, refresh, logout. Sans-IO.
//!
//! Each step takes plain data and gives either its result or a request to send; the next step takes the answer. The order
//! of checks is the only one that compiles: only [`accept`] makes a [`CodeExchange`], only its
//! [`finish`](CodeExchange::finish) a [`PendingLogin`], and only a verified ID token turns that into a session.

mod answer;
mod callback;
mod client;
mod desk;
mod form;
mod ledger;
mod login;
mod logout;
mod provider;
mod refresh;
mod return_to;
mod rights;
mod transaction;
mod userinfo;

pub use answer::{LoginFailure, logged_in, logged_out, navigation_required};
pub(crate) use answer::{confirm_logout, open_in_window};
pub use callback::{CallbackError, CodeExchange, PendingLogin, Reply as TokenReply, accept};
pub use client::{Client, ClientAuth, Secret};
pub use desk::{RefreshDesk, RefreshMark, RefreshTurn};
pub use form::has_parameter;
pub use ledger::{KnownRefresh, RefreshLedger, SessionEnd};
pub use login::{LOGIN_ENTROPY_BYTES, Login, begin, home_login_url, login_url};
pub use logout::{logout_url, revocation};
pub use provider::{Provider, ProviderCache, ProviderError, ProviderLookup, ProviderPermit};
pub use refresh::{RefreshError, begin_refresh, finish_refresh};
pub use return_to::ReturnTo;
pub(crate) use rights::is_about_user;
pub use rights::{AccessReading, SubjectMatch, SubjectMismatch, read_again};
pub use transaction::{LOGIN_COOKIE_PREFIX, UsedStates};
pub use userinfo::{UserinfoError, begin_userinfo, finish_userinfo};
