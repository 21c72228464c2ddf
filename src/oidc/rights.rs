//! The rights of a session: the grants of its access token, if that was verified as one for this gateway and this user.
//!
//! Nothing else grants rights. The `scope` of the token response counts only as a description of a verified token that has no
//! scopes of its own.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::{Client, LoginHost, RelyingParty};
use crate::error::VerifyError;
use crate::host::Level;
use crate::json::{Document, Value, quote};
use crate::jwk::KeysUnavailable;
use crate::jwt::{Access, Claims, VerifiedToken, is_encrypted, is_organization, unverified_claims};
use crate::session::{Rights, Session};
use crate::verifier::VerificationError;

/// The verification result of a session's access token.
#[derive(Debug, Clone)]
pub enum AccessTokenVerdict {
    /// It is valid for this gateway.
    Verified(VerifiedToken<Access>),
    /// It is invalid and grants nothing.
    Refused,
    /// The issuer has not published its key, or not yet. It grants nothing until verified.
    KeyUnknown,
    /// The issuer's keys are unavailable. Earlier rights stay valid until their own expiry; the token is verified again with the
    /// next request.
    KeysUnavailable(KeysUnavailable),
}

/// The claims of access token and ID token that must be equal for the access token's rights to apply to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectMatch {
    /// The claim of the access token.
    pub access_token: String,
    /// The claim of the ID token.
    pub id_token: String,
}

impl Default for SubjectMatch {
    fn default() -> Self {
        Self { access_token: "sub".into(), id_token: "sub".into() }
    }
}

/// The access token is for another user than the ID token. Displays claim names, no values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectMismatch<'c> {
    /// It has another issuer.
    Issuer,
    /// It has another subject.
    Subject(&'c SubjectMatch),
}

impl core::error::Error for SubjectMismatch<'_> {}

impl fmt::Display for SubjectMismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuer => f.write_str("its issuer is not the login issuer"),
            Self::Subject(SubjectMatch { access_token, id_token }) => {
                write!(
                    f,
                    "its claim \"{access_token}\" is not equal to \"{id_token}\" of the ID token; if this provider names users \
                     differently, set authorizer.subject_match"
                )
            }
        }
    }
}

/// Claims of an ID token that describe the protocol rather than the user, or grant rights (only access tokens do that).
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

/// Claims of an access token that describe its rights, besides the configured roles claim.
const RIGHTS: [&str; 8] = ["aud", "scope", "scp", "permissions", "client_id", "azp", "org_id", "org_name"];

/// Claims that only the ID token states: who has logged in, how, and for which organization.
const LOGIN_CLAIMS: [&str; 8] = ["iss", "sub", "sid", "auth_time", "acr", "amr", "org_id", "org_name"];

/// Returns whether a claim of an ID token describes the user.
pub(crate) fn is_about_user(name: &str) -> bool {
    !PROTOCOL_CLAIMS.contains(&name)
}

impl Client {
    /// Returns whether the user may log in: whether they are a member of an allowed organization.
    #[must_use]
    pub fn admits(&self, user: &Claims) -> bool {
        self.organizations.is_empty() || self.organizations.iter().any(|one| is_organization(user, one))
    }

    /// Checks that the access token is for the user of the ID token.
    ///
    /// # Errors
    /// If it is for another user.
    pub fn check_subject(&self, user: &Claims, access: &VerifiedToken<Access>) -> Result<(), SubjectMismatch<'_>> {
        let subject_match = &self.subject_match;
        let text = |claims: &Claims, name: &str| {
            claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(ToString::to_string)
        };
        if access.claims().issuer() != user.issuer() {
            return Err(SubjectMismatch::Issuer);
        }
        let subject = text(access.claims(), &subject_match.access_token);
        if subject.is_some() && subject == text(user, &subject_match.id_token) {
            Ok(())
        } else {
            Err(SubjectMismatch::Subject(subject_match))
        }
    }

    /// Returns the claims that a session stores about its user: of a verified ID token, and further ones of `userinfo`.
    pub(super) fn user_claims(&self, id: &Claims, userinfo: Option<&Document>) -> Option<Claims> {
        let is_stored = |name: &str| {
            self.session_claims.as_ref().is_none_or(|names| names.iter().any(|one| one == name))
                || ["iss", "sub", "sid", "org_id", "org_name"].contains(&name)
                || self.required_claims.iter().any(|one| one == name)
                || self.subject_match.id_token == name
        };
        let is_present = |value: &Value<'_>| !matches!(value, Value::Null);
        let is_further = |name: &str| {
            !id.get(name).is_some_and(|value| is_present(&value))
                && !LOGIN_CLAIMS.contains(&name)
                && self.subject_match.id_token != name
        };
        let further = userinfo.into_iter().flat_map(|userinfo| userinfo.root().iter());
        let members = id.members().chain(further.filter(|(name, _)| is_further(name)));
        let members = members.filter(|(name, value)| is_present(value) && is_about_user(name) && is_stored(name));
        Claims::from_members(&mut members.map(|(name, value)| (name, value.to_json())))
    }

    /// Returns the session, whose tokens are new, with the rights of its access token. `scope` is the scope of the token response,
    /// and `previous` the rights before a refresh.
    pub(super) fn apply_rights(
        &self,
        session: Session,
        access: &AccessTokenVerdict,
        scope: Option<&str>,
        previous: Option<&Rights>,
    ) -> Option<Session> {
        // RFC 6749 §6: a refresh response without a scope leaves it unchanged.
        let scope = scope.or_else(|| previous?.scope());
        Some(match access {
            AccessTokenVerdict::Verified(token) if self.check_subject(session.claims(), token).is_ok() => {
                let session = session.with_access_expiry_at_most(token.valid_until_s());
                let until_s = session.tokens().access_expires_s.max(0);
                let user = session.claims();
                let rights = Rights::new(user, self.granted_claims(user, token.claims(), scope, until_s)?)?;
                session.with_rights(Some(rights))
            }
            AccessTokenVerdict::Verified(_) | AccessTokenVerdict::Refused => self.with_lapsed(session, previous),
            AccessTokenVerdict::KeyUnknown => {
                let session = self.with_lapsed(session, previous);
                // The key may still be published if the token names this issuer, or may do so inside its encryption.
                let access = &session.tokens().access;
                let may_name_issuer = is_encrypted(access)
                    || unverified_claims(access).is_some_and(|claims| claims.issuer() == session.claims().issuer());
                if may_name_issuer { session.with_unverified_access_token(scope.map(Into::into)) } else { session }
            }
            AccessTokenVerdict::KeysUnavailable(_) => {
                let names = self.rights_claims();
                let kept = previous.filter(|rights| rights.agree_with(session.claims(), &names)).cloned();
                session.with_rights(kept).with_unverified_access_token(scope.map(Into::into))
            }
        })
    }

    /// Returns the session with rights that have lapsed: they grant nothing, but the values that they replaced stay replaced.
    fn with_lapsed(&self, session: Session, previous: Option<&Rights>) -> Session {
        let lapsed = previous.and_then(|rights| rights.lapsed(session.claims()));
        session.with_rights(lapsed)
    }

    /// Returns the names of the claims of an access token that describe rights.
    fn rights_claims(&self) -> Vec<&str> {
        let mut names = Vec::from(RIGHTS);
        // The ID token says who the user is.
        let is_right = |name: &&str| {
            !RIGHTS.contains(name)
                && !["exp", "iss", "sub", "sid"].contains(name)
                && *name != self.subject_match.id_token
        };
        names.extend(self.required_claims.iter().map(String::as_str).filter(is_right));
        names
    }

    /// Returns the claims that grant rights, but for those that `user` has alike: many groups are stored once. `scope` is used if the token
    /// has none.
    fn granted_claims(&self, user: &Claims, access: &Claims, scope: Option<&str>, until_s: i64) -> Option<Claims> {
        let is_present = |name: &str| access.get(name).is_some_and(|value| !matches!(value, Value::Null));
        let stated = scope.filter(|_| !is_present("scope") && !is_present("scp"));
        let of_token = self.rights_claims().into_iter().filter_map(|name| Some((name, access.get(name)?.to_json())));
        let of_token = of_token.filter(|(name, value)| user.get(name).is_none_or(|one| one.to_json() != *value));
        // A null is an absent claim: the stated scope replaces it.
        let of_token = of_token.filter(|(name, _)| stated.is_none() || *name != "scope");
        Claims::from_members(
            &mut [("exp", until_s.to_string())]
                .into_iter()
                .chain(of_token)
                .chain(stated.map(|scope| ("scope", quote(scope)))),
        )
    }
}

impl RelyingParty {
    /// Verifies a new access token of this user, and logs why it grants nothing.
    pub(super) async fn check_access_token(
        &self,
        user: &Claims,
        token: &str,
        host: &impl LoginHost,
    ) -> AccessTokenVerdict {
        let verdict = self.verify_access_token(user, token, host).await;
        match &verdict {
            AccessTokenVerdict::KeyUnknown => host.log(
                Level::Warning,
                &"access_token_unusable: key_not_found; it grants no rights until its key is published",
            ),
            AccessTokenVerdict::KeysUnavailable(why) => {
                let line = format_args!(
                    "access_token_unread: {why}; earlier rights stay valid until they expire, and the token is verified again with \
                     the next request"
                );
                host.log(Level::Warning, &line);
            }
            AccessTokenVerdict::Verified(_) | AccessTokenVerdict::Refused => {}
        }
        verdict
    }

    /// Verifies the access token of a session again after its keys were unavailable. Returns the updated session, or `None` if
    /// nothing has changed.
    pub(crate) async fn reverify_access_token(
        &self,
        session: &Session,
        host: &impl LoginHost,
    ) -> (AccessTokenVerdict, Option<Session>) {
        let verdict = self.verify_access_token(session.claims(), &session.tokens().access, host).await;
        let has_changed = match &verdict {
            AccessTokenVerdict::Verified(_) | AccessTokenVerdict::Refused => true,
            AccessTokenVerdict::KeyUnknown => session.rights().is_some_and(|rights| !rights.have_lapsed()),
            AccessTokenVerdict::KeysUnavailable(_) => false,
        };
        if !has_changed {
            return (verdict, None);
        }
        let without_rights = session.clone().refreshed(session.claims().clone(), session.tokens().clone());
        let updated = self.client.apply_rights(without_rights, &verdict, session.unverified_scope(), session.rights());
        (verdict, updated)
    }

    async fn verify_access_token(&self, user: &Claims, token: &str, host: &impl LoginHost) -> AccessTokenVerdict {
        let Some(verifier) = &self.access else { return AccessTokenVerdict::Refused };
        let verified = match verifier.verify_unconfirmed(token, host).await {
            Ok(verified) => {
                // The provider issued it over the connection with the client's certificate. Another proof than that there is none.
                let certificate = verified.binding().and_then(|binding| binding.certificate);
                let certificate = certificate.filter(|_| self.client.has_certificate());
                // It is bound to a key of the client, which makes the proofs.
                let key = verified.binding().and_then(|binding| binding.key);
                let key = key.filter(|key| self.client.options.proof_keys.as_ref().is_some_and(|keys| keys.has(key)));
                if self.client.options.requires_binding && verified.binding().is_none() {
                    Err(VerificationError::Refused(VerifyError::TokenNotBound))
                } else {
                    verified.confirm(key.as_ref(), certificate.as_ref()).map_err(VerificationError::Refused)
                }
            }
            Err(error) => Err(error),
        };
        match verified {
            Ok(token) => match self.client.check_subject(user, &token) {
                Ok(()) => AccessTokenVerdict::Verified(token),
                Err(mismatch) => {
                    let line = format_args!("access_token_unusable: {mismatch}; it grants no rights");
                    host.log(Level::Warning, &line);
                    AccessTokenVerdict::Refused
                }
            },
            Err(VerificationError::Refused(VerifyError::KeyNotFound)) => AccessTokenVerdict::KeyUnknown,
            Err(VerificationError::Refused(error)) => {
                let line = format_args!(
                    "access_token_unusable: {}: {error}; it grants no rights. Set authorizer.audience to the API's identifier so \
                     that the provider issues a token for it",
                    error.code()
                );
                host.log(Level::Warning, &line);
                AccessTokenVerdict::Refused
            }
            Err(VerificationError::Unavailable(why)) => AccessTokenVerdict::KeysUnavailable(why),
        }
    }
}
