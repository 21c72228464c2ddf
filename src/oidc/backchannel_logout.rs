//! Logout by the provider (OpenID Connect Back-Channel Logout 1.0).

use alloc::vec::Vec;

use super::{LoginHost, RelyingParty, RevocationUnavailable, Revocations, Revoked, form};
use super::{raise_record, read_record, shared_object};
use crate::host::Level;
use crate::http::{Reply, RequestHead, unavailable};
use crate::io::{UnixTime, media_type};
use crate::json::Value;
use crate::jwt::{Claims, Id, VerifiedToken};
use crate::limits;
use crate::text::concat;
use crate::verifier::VerificationError;

/// Why a logout token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LogoutRefusal {
    /// The request has no form with one logout token.
    Malformed,
    /// The token was refused, which is logged.
    Token(&'static str),
    /// The token is of another kind: without the event of a logout, or with a nonce.
    NotLogout,
    /// A required claim is absent.
    Incomplete,
    /// The token was used before.
    Replayed,
}

impl LogoutRefusal {
    /// Returns the stable code and a message.
    const fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Malformed => ("invalid_request", "The body must be a form with one logout_token."),
            Self::Token(code) => (code, "The logout token was refused."),
            Self::NotLogout => ("logout_token_kind", "The token is not a logout token."),
            Self::Incomplete => ("logout_token_incomplete", "A logout token needs iat, exp, jti, and sub or sid."),
            Self::Replayed => ("logout_token_replayed", "The logout token was used before."),
        }
    }

    fn reply(self) -> Reply {
        let (code, detail) = self.parts();
        Reply::problem_with(400, code, detail, &[("error", "invalid_request")])
    }
}

/// Whose sessions a logout token ends.
struct Logout<'t> {
    kind: Revoked,
    value: &'t str,
    jti: &'t str,
    until: UnixTime,
}

impl RelyingParty {
    /// Ends the sessions that a logout token of the provider names, in all instances.
    pub(crate) async fn backchannel_logout(
        &self,
        head: &RequestHead<'_>,
        revocations: &Revocations,
        host: &impl LoginHost,
    ) -> Reply {
        let Some(token) = logout_token(head, host).await else { return LogoutRefusal::Malformed.reply() };
        let policy = self.id_policy.clone().for_logout();
        let verified = match self.keys.verify(&policy, &token, host).await {
            Ok(verified) => verified,
            Err(VerificationError::Unavailable(why)) => return unavailable(why.error, why.retry_after_s),
            Err(VerificationError::Refused(error)) => {
                let code = error.code();
                host.log(Level::Warning, &format_args!("logout_token_refused: {code}: {error}"));
                return LogoutRefusal::Token(code).reply();
            }
        };
        match self.log_out(&verified, revocations, host).await {
            Ok(None) => Reply::new(200).with("cache-control", "no-store"),
            Ok(Some(refusal)) => {
                let (code, detail) = refusal.parts();
                host.log(Level::Warning, &concat(&["logout_token_refused: ", code, ": ", detail]));
                refusal.reply()
            }
            // The provider tries again.
            Err(RevocationUnavailable) => revocation_unavailable(),
        }
    }

    /// Ends the sessions, or returns why not.
    async fn log_out(
        &self,
        verified: &VerifiedToken<Id>,
        revocations: &Revocations,
        host: &impl LoginHost,
    ) -> Result<Option<LogoutRefusal>, RevocationUnavailable> {
        let logout = match check(verified) {
            Ok(logout) => logout,
            Err(refusal) => return Ok(Some(refusal)),
        };
        if !host.has_shared_records() {
            return Err(RevocationUnavailable);
        }
        let issuer = verified.claims().issuer().unwrap_or_default();
        let used = shared_object("logout", &concat(&[issuer, "\n", logout.jti]));
        let timeout_ms = limits::REVOCATION_TIMEOUT_MS;
        let former = read_record(used.clone(), USED, timeout_ms, host).await.map_err(|_| RevocationUnavailable)?;
        if former.is_some() {
            return Ok(Some(LogoutRefusal::Replayed));
        }
        // A login that is under way ends too: its code may be from before the logout. Not later ones: some providers use a `sid` again.
        revocations.revoke(logout.kind, (issuer, logout.value), host.now().secs(), None, host).await?;
        // Last, so that the provider can repeat a logout that failed.
        let written = raise_record(used, USED, (1, logout.until), timeout_ms, host).await;
        written.map(|()| None).map_err(|_| RevocationUnavailable)
    }
}

/// The record of a used logout token.
const USED: &str = "used";

/// The member of `events` that makes a logout token (§2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Reads the logout token of a request (§2.5).
async fn logout_token(head: &RequestHead<'_>, host: &impl LoginHost) -> Option<alloc::string::String> {
    if !has_media_type(head, "application/x-www-form-urlencoded") {
        return None;
    }
    let body: Vec<u8> = host.read_body(limits::MAX_REQUEST_BODY_BYTES).await?;
    let parameters = form::parse(core::str::from_utf8(&body).ok()?);
    form::once(&parameters, "logout_token").ok()?.map(Into::into)
}

/// Returns whether the body of a request is declared to have this media type.
pub(crate) fn has_media_type(head: &RequestHead<'_>, expected: &str) -> bool {
    media_type((head.header)("content-type").as_deref()).eq_ignore_ascii_case(expected)
}

/// Checks what a logout token says (§2.6, 4 to 7). Its signature, `iss`, `aud`, `exp` and the time of `iat` were verified.
fn check(verified: &VerifiedToken<Id>) -> Result<Logout<'_>, LogoutRefusal> {
    let claims = verified.claims();
    let event = claims.get("events").and_then(Value::as_object).and_then(|events| events.get(EVENT));
    // Even a null nonce: it must not be an ID token.
    if event.and_then(Value::as_object).is_none() || claims.get("nonce").is_some() {
        return Err(LogoutRefusal::NotLogout);
    }
    let text = |name| named(claims, name);
    let (subject, session) = (text("sub")?, text("sid")?);
    let named = session.map(|sid| (Revoked::Session, sid)).or(subject.map(|sub| (Revoked::Subject, sub)));
    match (named, text("jti")?, claims.get("iat")) {
        (Some((kind, value)), Some(jti), Some(_)) => {
            let until_s = (verified.expires_at() as i64).saturating_add(limits::MAX_CLOCK_SKEW_S.into());
            Ok(Logout { kind, value, jti, until: UnixTime::from_secs(until_s) })
        }
        _ => Err(LogoutRefusal::Incomplete),
    }
}

/// Returns a claim that must be a text which is not empty, if it is present.
fn named<'c>(claims: &'c Claims, name: &str) -> Result<Option<&'c str>, LogoutRefusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(LogoutRefusal::Incomplete),
    }
}

/// Returns the response while revocations can neither be read nor written.
pub(crate) fn revocation_unavailable() -> Reply {
    Reply::problem(503, "revocation_unavailable", "It cannot be determined whether the credentials were revoked.")
        .with("retry-after", "1")
}
