//! Userinfo: current claims about the user, from the provider (OpenID Connect Core §5.3), for the userinfo route and for sessions.

use alloc::vec::Vec;

use super::token_response::{TokenResponse, json_object, jwt_text};
use super::{KEY_MISSING, LoginHost, ProofKey, ProofKeys, RelyingParty, TokenKey, wants_nonce};
use crate::host::Level;
use crate::http::Reply;
use crate::io::{Incoming, Outgoing, Unreachable};
use crate::json::{Document, Value};
use crate::jwt::Claims;
use crate::limits;
use crate::session::Session;
use crate::text::concat;
use crate::url::is_issuer;
use crate::verifier::VerificationError;

/// An error of the userinfo request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserinfoError {
    /// The provider refused the token.
    TokenRefused,
    /// The provider is unreachable, has no userinfo endpoint, or returned no claims.
    Unavailable,
    /// The response is a JWT that was refused.
    Invalid,
    /// The response is about another user.
    SubjectMismatch,
    /// The token is from another issuer than the provider, so it is not sent there.
    IssuerMismatch,
    /// The token is bound to its client, so it is not sent: the gateway has no proof for the provider.
    TokenBound,
}

impl UserinfoError {
    /// Returns the stable code of this error.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TokenRefused => "userinfo_token_refused",
            Self::Unavailable => "userinfo_unavailable",
            Self::Invalid => "userinfo_invalid",
            Self::SubjectMismatch => "userinfo_subject_mismatch",
            Self::IssuerMismatch => "userinfo_issuer_mismatch",
            Self::TokenBound => "userinfo_token_bound",
        }
    }

    const fn status(self) -> u16 {
        match self {
            Self::TokenRefused => 401,
            Self::Unavailable | Self::Invalid | Self::SubjectMismatch => 502,
            Self::IssuerMismatch | Self::TokenBound => 403,
        }
    }

    /// Returns the message for the client.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::TokenRefused => "The provider does not accept this token for userinfo.",
            Self::Unavailable => "The provider returned no claims.",
            Self::Invalid => "The provider's response could not be verified.",
            Self::SubjectMismatch => "The provider's response is about another user.",
            Self::IssuerMismatch => {
                "The token is not from the login issuer. Request userinfo from the issuer of the token."
            }
            Self::TokenBound => "The token is bound to its client. Request userinfo from its issuer.",
        }
    }

    /// Returns what the operator should check.
    pub(super) const fn hint(self) -> &'static str {
        match self {
            Self::TokenRefused => {
                "the userinfo endpoint refused the access token; it may not accept tokens for an API: then remove \
                 authorizer.audience or authorizer.userinfo_at_login"
            }
            Self::Unavailable => {
                "there is no userinfo endpoint, it did not respond, or not with a JSON object of at most 64 KiB"
            }
            Self::Invalid => "the signed response of the userinfo endpoint was refused",
            Self::SubjectMismatch => "the response of the userinfo endpoint is about another user than the ID token",
            Self::IssuerMismatch | Self::TokenBound => self.message(),
        }
    }
}

impl core::fmt::Display for UserinfoError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.message())
    }
}

impl core::error::Error for UserinfoError {}

impl RelyingParty {
    /// Returns the provider's claims about the caller. `claims` are verified, from `access_token` or a session.
    pub(crate) async fn userinfo(
        &self,
        claims: &Claims,
        access_token: &str,
        session: Option<&Session>,
        host: &impl LoginHost,
    ) -> Reply {
        let is_session = session.is_some();
        let key = session.map_or(TokenKey::None, |session| self.client.key_of(session));
        // With tenants, the issuer is one of theirs.
        let is_own = claims.issuer().is_some_and(|issuer| is_issuer(self.id_policy.issuer(), issuer));
        let userinfo = if !is_own {
            Err(UserinfoError::IssuerMismatch)
        } else if !is_session && claims.get("cnf").is_some() {
            Err(UserinfoError::TokenBound)
        } else {
            self.fetch_userinfo(claims, access_token, key, host).await
        };
        match userinfo {
            Ok(userinfo) => Reply::json(userinfo.text().into()),
            // A session still has the claims of its login.
            Err(UserinfoError::Unavailable | UserinfoError::TokenRefused) if is_session => {
                Reply::json(claims.as_json().into())
            }
            Err(error) => Reply::problem(error.status(), error.code(), error.message()),
        }
    }

    /// Returns the claims to merge into the session of a verified ID token, if that is configured.
    pub(super) async fn userinfo_of_session(
        &self,
        id: &Claims,
        response: &TokenResponse,
        host: &impl LoginHost,
    ) -> Result<Option<Document>, UserinfoError> {
        if !self.client.userinfo_at_login {
            return Ok(None);
        }
        let TokenResponse { access_token, jkt, .. } = response;
        let key = TokenKey::of(self.client.options.proof_keys.as_ref(), access_token, jkt.as_deref());
        self.fetch_userinfo(id, access_token, key, host).await.map(Some)
    }

    /// Requests the claims about the subject of `claims`, which are of the login issuer. `key` is that of the token.
    async fn fetch_userinfo(
        &self,
        claims: &Claims,
        access_token: &str,
        key: TokenKey<'_>,
        host: &impl LoginHost,
    ) -> Result<Document, UserinfoError> {
        let provider = self.provider(host).await.map_err(|_| UserinfoError::Unavailable)?;
        let endpoint = provider.userinfo_endpoint.clone().ok_or(UserinfoError::Unavailable)?;
        let mut request = Outgoing::get(endpoint);
        request.headers.push(("accept", JWT.into()));
        let answer = match key {
            TokenKey::None => {
                request.headers.push(("authorization", concat(&["Bearer ", access_token])));
                self.client.transmit(request, host).await
            }
            // The provider would refuse it.
            TokenKey::Foreign => {
                host.log(Level::Warning, &KEY_MISSING);
                return Err(UserinfoError::TokenRefused);
            }
            TokenKey::Own(keys, key) => {
                request.headers.push(("authorization", concat(&["DPoP ", access_token])));
                self.transmit_with_proof(request, (keys, key), access_token, host).await
            }
        };
        let answer = answer.map_err(|_| UserinfoError::Unavailable)?;
        if matches!(answer.status, 401 | 403) {
            return Err(UserinfoError::TokenRefused);
        }
        if answer.status != 200 || answer.body.len() > limits::MAX_PROVIDER_BODY_BYTES {
            return Err(UserinfoError::Unavailable);
        }
        let document = match jwt_text(&answer, JWT) {
            Some(jwt) => json_object(&self.verify_userinfo(jwt, host).await?),
            None => json_object(&answer.body),
        };
        let document = document.ok_or(UserinfoError::Unavailable)?;
        // OpenID Connect Core §5.3.2: it must be the same `sub`.
        match document.root().get("sub") {
            Some(Value::String(sub)) if sub == claims.subject().unwrap_or_default() => Ok(document),
            _ => Err(UserinfoError::SubjectMismatch),
        }
    }

    /// Sends a request with a proof of possession (RFC 9449 §7.1), and once more if the provider wants another nonce in it (§9).
    async fn transmit_with_proof(
        &self,
        request: Outgoing,
        (keys, key): (&ProofKeys, &ProofKey),
        access_token: &str,
        host: &impl LoginHost,
    ) -> Result<Incoming, Unreachable> {
        let mut may_repeat = true;
        loop {
            let mut request = request.clone();
            let url = &request.url;
            let proof = keys.proof(key, (request.method, url, url), Some(access_token), host).await;
            let server = url.clone();
            let (proof, sent) = proof.map_err(|_| Unreachable::GivenUp)?;
            request.headers.push(("dpop", proof));
            let answer = self.client.transmit(request, host).await?;
            let wants_nonce = wants_nonce(answer.status, answer.www_authenticate.as_deref());
            let renews = keys.renews(&server, sent.as_deref(), answer.dpop_nonce.as_deref(), wants_nonce);
            if !(renews && may_repeat) {
                return Ok(answer);
            }
            may_repeat = false;
        }
    }

    /// Verifies a signed response (OpenID Connect Core §5.3.2), and returns its claims.
    async fn verify_userinfo(&self, jwt: &str, host: &impl LoginHost) -> Result<Vec<u8>, UserinfoError> {
        let policy = self.id_policy.clone().for_userinfo();
        match self.keys.verify(&policy, jwt, host).await {
            Ok(verified) => Ok(verified.claims().as_json().into()),
            Err(VerificationError::Unavailable(_)) => Err(UserinfoError::Unavailable),
            Err(VerificationError::Refused(error)) => {
                host.log(Level::Warning, &format_args!("userinfo_invalid: {}: {error}", error.code()));
                Err(UserinfoError::Invalid)
            }
        }
    }
}

/// The media type of a signed response.
const JWT: &str = "application/jwt";
