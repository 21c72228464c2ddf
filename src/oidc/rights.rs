//! What a session may do: what its access token grants, if that was verified as one for this gateway and this user.
//!
//! Nothing else grants anything. The scope that the token endpoint states counts only as a description of a verified token that
//! has no scopes of its own.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::{Client, LoginHost, RelyingParty};
use crate::error::VerifyError;
use crate::host::Level;
use crate::json::{Value, quote};
use crate::jwk::KeysUnavailable;
use crate::jwt::{Access, Claims, VerifiedToken, is_organization, unverified_claims};
use crate::session::{Rights, Session};
use crate::verifier::Unverified;

/// What verification has to say about the access token of a session.
#[derive(Debug, Clone)]
pub enum AccessTokenVerdict {
    /// It is genuine, and one for this gateway.
    Verified(VerifiedToken<Access>),
    /// It is not. It grants nothing.
    Refused,
    /// The issuer's keys do not include its key, perhaps not yet. It grants nothing until it is read again.
    KeyUnknown,
    /// The issuer's keys cannot be had just now. What was granted before stands as long as it would have without this token; it
    /// is read again with the next request.
    KeysUnavailable(KeysUnavailable),
}

/// The claims of access token and ID token that must be equal before the one's rights count for the user of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectMatch {
    /// Of the access token.
    pub access_token: String,
    /// Of the ID token.
    pub id_token: String,
}

impl Default for SubjectMatch {
    fn default() -> Self {
        Self { access_token: "sub".into(), id_token: "sub".into() }
    }
}

/// The access token is not one of the user whom the ID token names. Displays names of claims, no values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectMismatch<'c> {
    /// It is of another issuer.
    Issuer,
    /// It is of another subject.
    Subject(&'c SubjectMatch),
}

impl core::error::Error for SubjectMismatch<'_> {}

impl fmt::Display for SubjectMismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuer => f.write_str("its issuer is not the one that logs people in"),
            Self::Subject(SubjectMatch { access_token, id_token }) => {
                write!(
                    f,
                    "its claim \"{access_token}\" is not equal to \"{id_token}\" of the ID token; if that is how this provider \
                     names users, set authorizer.subject_match"
                )
            }
        }
    }
}

/// Claims of an ID token about the protocol, not the user; those that grant something do so in access tokens only.
const PROTOCOL_CLAIMS: [&str; 14] = [
    "aud",
    "exp",
    "nbf",
    "iat",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "azp",
    "jti",
    "scope",
    "scp",
    "permissions",
    "client_id",
];

/// Claims of an access token that say what it grants, besides the configured roles claim.
const RIGHTS: [&str; 8] = ["aud", "scope", "scp", "permissions", "client_id", "azp", "org_id", "org_name"];

/// Whether a claim of an ID token tells about the user.
pub(crate) fn is_about_user(name: &str) -> bool {
    !PROTOCOL_CLAIMS.contains(&name)
}

impl Client {
    /// Whether the user is a member of an organization that may log in.
    #[must_use]
    pub fn admits(&self, user: &Claims) -> bool {
        self.organizations.is_empty() || self.organizations.iter().any(|one| is_organization(user, one))
    }

    /// Whether the access token is one of the user whom the claims of the ID token name.
    ///
    /// # Errors
    /// If it is another's.
    pub fn check_subject(&self, user: &Claims, access: &VerifiedToken<Access>) -> Result<(), SubjectMismatch<'_>> {
        let wanted = &self.subject_match;
        let text = |claims: &Claims, name: &str| {
            claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(ToString::to_string)
        };
        if access.claims().issuer() != user.issuer() {
            return Err(SubjectMismatch::Issuer);
        }
        let subject = text(access.claims(), &wanted.access_token);
        if subject.is_some() && subject == text(user, &wanted.id_token) {
            Ok(())
        } else {
            Err(SubjectMismatch::Subject(wanted))
        }
    }

    /// What a session knows of its user, from their verified ID token.
    pub(super) fn about_user(&self, id: &Claims) -> Option<Claims> {
        let is_kept = |name: &str| {
            self.session_claims.as_ref().is_none_or(|kept| kept.iter().any(|one| one == name))
                || ["iss", "sub", "sid", "org_id", "org_name"].contains(&name)
                || self.roles_claim.as_deref() == Some(name)
                || self.subject_match.id_token == name
        };
        let members = id.members().filter(|(name, _)| is_about_user(name) && is_kept(name));
        Claims::from_members(members.map(|(name, value)| (name, value.to_json())))
    }

    /// The session, whose tokens are new, with the rights of its access token. `scope` is what the token endpoint stated, and
    /// `former` the rights before a refresh.
    pub(super) fn grant(
        &self,
        session: Session,
        access: &AccessTokenVerdict,
        scope: Option<&str>,
        former: Option<&Rights>,
    ) -> Option<Session> {
        // RFC 6749 §6: a refresh that states no scope leaves it as it was.
        let scope = scope.or_else(|| former?.scope());
        Some(match access {
            AccessTokenVerdict::Verified(token) if self.check_subject(session.claims(), token).is_ok() => {
                let session = session.with_access_until(token.valid_until_s());
                let until_s = session.tokens().access_expires_s.max(0);
                let rights = Rights::new(session.claims(), self.granted(token.claims(), scope, until_s)?)?;
                session.with_rights(Some(rights))
            }
            AccessTokenVerdict::Verified(_) | AccessTokenVerdict::Refused => session,
            AccessTokenVerdict::KeyUnknown => {
                // A key may come for a token that at least says it is of this issuer.
                let says = unverified_claims(&session.tokens().access);
                let may_come = says.is_some_and(|says| says.issuer() == session.claims().issuer());
                if may_come { session.with_unread(scope.map(Into::into)) } else { session }
            }
            AccessTokenVerdict::KeysUnavailable(_) => {
                session.with_rights(former.cloned()).with_unread(scope.map(Into::into))
            }
        })
    }

    fn granted(&self, access: &Claims, scope: Option<&str>, until_s: i64) -> Option<Claims> {
        let is_there = |name: &str| access.get(name).is_some_and(|value| !matches!(value, Value::Null));
        let stated = scope.filter(|_| !is_there("scope") && !is_there("scp"));
        let mut names = Vec::from(RIGHTS);
        names.extend(self.roles_claim.as_deref().filter(|name| !RIGHTS.contains(name) && *name != "exp"));
        let of_token = names.into_iter().filter_map(|name| Some((name, access.get(name)?.to_json())));
        // A null is no claim: it gives way to the stated scope.
        let of_token = of_token.filter(|(name, _)| stated.is_none() || *name != "scope");
        Claims::from_members(
            [("exp", until_s.to_string())]
                .into_iter()
                .chain(of_token)
                .chain(stated.map(|scope| ("scope", quote(scope)))),
        )
    }
}

impl RelyingParty {
    /// What verification says of a new access token of this user; logged where it does not grant what it might.
    pub(super) async fn check_access_token(
        &self,
        user: &Claims,
        token: &str,
        host: &impl LoginHost,
    ) -> AccessTokenVerdict {
        let reading = self.verify_access_token(user, token, host).await;
        match &reading {
            AccessTokenVerdict::KeyUnknown => host.log(
                Level::Warning,
                &"access_token_unusable: key_not_found; the session has no rights of it until its key is published",
            ),
            AccessTokenVerdict::KeysUnavailable(why) => {
                let line = format_args!(
                    "access_token_unread: {why}; what was granted before stands until it ends, and the token is read again \
                     with the next request"
                );
                host.log(Level::Warning, &line);
            }
            AccessTokenVerdict::Verified(_) | AccessTokenVerdict::Refused => {}
        }
        reading
    }

    /// Reads the access token of a session once more, where it could not be verified before. Gives the session with what it grants;
    /// `None` if nothing is known that was not known before.
    pub(crate) async fn verify_again(
        &self,
        session: &Session,
        host: &impl LoginHost,
    ) -> (AccessTokenVerdict, Option<Session>) {
        let reading = self.verify_access_token(session.claims(), &session.tokens().access, host).await;
        let is_news = match &reading {
            AccessTokenVerdict::Verified(_) | AccessTokenVerdict::Refused => true,
            AccessTokenVerdict::KeyUnknown => session.rights().is_some(),
            AccessTokenVerdict::KeysUnavailable(_) => false,
        };
        if !is_news {
            return (reading, None);
        }
        let again = session.clone().refreshed(session.claims().clone(), session.tokens().clone());
        let granted = self.client.grant(again, &reading, session.unread_scope(), session.rights());
        (reading, granted)
    }

    async fn verify_access_token(&self, user: &Claims, token: &str, host: &impl LoginHost) -> AccessTokenVerdict {
        let Some(verifier) = &self.access else { return AccessTokenVerdict::Refused };
        match verifier.verify(token, host).await {
            Ok(token) => match self.client.check_subject(user, &token) {
                Ok(()) => AccessTokenVerdict::Verified(token),
                Err(mismatch) => {
                    let line = format_args!("access_token_unusable: {mismatch}; the session has no rights of it");
                    host.log(Level::Warning, &line);
                    AccessTokenVerdict::Refused
                }
            },
            Err(Unverified::Refused(VerifyError::KeyNotFound)) => AccessTokenVerdict::KeyUnknown,
            Err(Unverified::Refused(error)) => {
                let line = format_args!(
                    "access_token_unusable: {}: {error}; the session has no rights of it. Set authorizer.audience to the API's \
                     identifier so that the provider issues a token for it",
                    error.code()
                );
                host.log(Level::Warning, &line);
                AccessTokenVerdict::Refused
            }
            Err(Unverified::Unavailable(why)) => AccessTokenVerdict::KeysUnavailable(why),
        }
    }
}
