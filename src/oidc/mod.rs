//! User login with an OpenID provider: authorization code flow with PKCE, ID token, refresh and logout.
//!
//! Each flow reads like its specification, and types enforce the order of its steps: only a callback accepted by the
//! [`RelyingParty`] can be exchanged, only the tokens issued for it can be verified, and only a verified login becomes a
//! session.
//!
//! | flow | file | specification |
//! |---|---|---|
//! | login | `login`, `authorization_request` | OpenID Connect Core §3.1.2.1, RFC 7636, RFC 9101, RFC 9126 |
//! | callback | `callback` | OpenID Connect Core §3.1.3, RFC 9207 |
//! | refresh | `refresh`, `refresh_coordinator`, `session_coordinator` | RFC 6749 §6, OpenID Connect Core §12.2 |
//! | userinfo | `userinfo` | OpenID Connect Core §5.3 |
//! | opaque access tokens | `introspection` | RFC 7662, RFC 9701 |
//! | step-up | `step_up` | RFC 9470 |
//! | logout | `logout` | OpenID Connect RP-Initiated Logout 1.0, RFC 7009 |
//! | logout by the provider | `backchannel_logout`, `revocation` | OpenID Connect Back-Channel Logout 1.0 |
//! | tokens for upstreams | `upstream`, `upstream_slots`, `endpoint_gate` | RFC 6749 §4.4, RFC 8693 |

mod authorization_request;
mod backchannel_logout;
mod callback;
mod client;
mod client_assertion;
mod endpoint_gate;
mod form;
mod host;
mod introspection;
mod login;
mod login_error;
mod logout;
mod proof_keys;
mod provider;
mod provider_error;
mod refresh;
mod refresh_coordinator;
mod refresh_history;
mod relying_party;
mod return_to;
mod revocation;
mod rights;
mod session_coordinator;
mod session_job;
mod shared_records;
mod step_up;
mod token_response;
mod transaction;
mod upstream;
mod upstream_slots;
mod userinfo;

pub use authorization_request::{RequestFailure, RequestOptions};
pub(crate) use backchannel_logout::{has_media_type, revocation_unavailable};
pub use callback::CallbackError;
pub(crate) use client::{AUTH0_LOGOUT_PARAMETER, STANDARD_LOGOUT_PARAMETER};
pub use client::{Client, ClientAuth, Secret};
pub use client_assertion::ClientKey;
pub(crate) use endpoint_gate::EndpointGate;
pub use form::has_parameter;
pub(crate) use host::random;
pub use host::{CoordinatorMessage, CoordinatorResponse, LoginHost, SessionAction, StatusReport};
pub(crate) use introspection::{Introspection, IntrospectionCache, IntrospectionError, is_opaque};
pub(crate) use login::{OWN_PARAMETERS, login_link, login_url, step_up_url};
pub use login_error::LoginError;
pub(crate) use login_error::{confirm_logout, navigation_required, open_in_window};
pub use proof_keys::ProofKeys;
pub(crate) use proof_keys::{KEY_MISSING, ProofKey, ShortThumbprint, TokenKey, wants_nonce};
pub use provider::Provider;
pub(crate) use provider::{Discovered, Endpoints, ProviderKind};
pub use provider_error::ProviderError;
pub(crate) use refresh::Refreshed;
pub(crate) use refresh_coordinator::{RefreshCoordinator, RefreshOutcome, RefreshTokenHash, RefreshTurn};
pub(crate) use relying_party::LoginState;
pub use relying_party::RelyingParty;
pub use return_to::ReturnTo;
pub(crate) use revocation::{RevocationUnavailable, Revocations, Revoked};
pub(crate) use rights::is_about_user;
pub use rights::{AccessTokenVerdict, SubjectMatch, SubjectMismatch};
pub use session_coordinator::{CoordinatorOutcome, CoordinatorStore, StoredText};
pub use session_job::SessionJob;
pub use shared_records::{
    ShareError, SharedAction, SharedMessage, SharedRecords, SharedResponse, raise_record, read_record, shared_object,
    use_once,
};
pub(crate) use step_up::StepUp;
pub use token_response::EndpointFailure;
pub use transaction::LOGIN_COOKIE_PREFIX;
pub(crate) use transaction::{LoginRequest, RecentCallbacks, ReplayGuard};
pub use upstream::UpstreamTokens;
pub(crate) use upstream::{SubjectToken, UpstreamAuth, UpstreamClient, UpstreamGrant};
pub use userinfo::UserinfoError;

pub use crate::discovery::DiscoveryError;
