//! The gateway as an OAuth client, and its authentication at the token endpoint (RFC 6749 §2.3).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::authorization_request::refusal;
use super::client_assertion::{ASSERTION_TYPE, ClientKey};
use super::{LoginHost, ProofKey, Provider, RequestOptions, ReturnTo, SubjectMatch, TokenKey, form};
use crate::host::{Level, SignError};
use crate::http::percent;
use crate::io::{Incoming, Outgoing, Unreachable};
use crate::jwt::ClaimRule;
use crate::limits;
use crate::session::Session;
use crate::url::HttpUrl;

/// A client registered at the provider.
#[derive(Debug)]
pub struct Client {
    /// The `client_id`.
    pub id: String,
    /// The client authentication method.
    pub auth: ClientAuth,
    /// The gateway's callback URL, exactly as registered.
    pub redirect_uri: String,
    /// A fixed URL to redirect to after the callback; otherwise the browser returns to the page it came from.
    pub callback_uri: Option<String>,
    /// The page to return to after a login that names none.
    pub default_return_to: ReturnTo,
    /// The requested scopes.
    pub scope: String,
    /// The API that access tokens are requested for.
    pub audience: Option<String>,
    /// The parameter that carries the audience: `audience` at Auth0, `resource` elsewhere (RFC 8707).
    pub audience_parameter: &'static str,
    /// The parameter of the provider's logout that carries the URL to return to.
    pub logout_parameter: &'static str,
    /// Further parameters of every authorization request, which a request to the login route cannot override.
    pub authorization_params: Vec<(String, String)>,
    /// Organizations whose members may log in; all if empty. The empty text stands for users of no organization.
    pub organizations: Vec<String>,
    /// The names of the claims with roles, and of those with rules: sessions store them.
    pub required_claims: Vec<String>,
    /// Rules on claims that every session must meet, wherever it is used.
    pub claim_rules: Vec<ClaimRule>,
    /// The claims that identify the same user in access tokens and ID tokens.
    pub subject_match: SubjectMatch,
    /// Claims of the ID token that sessions store; all if `None`.
    pub session_claims: Option<Vec<String>>,
    /// Whether sessions also get the claims of userinfo.
    pub userinfo_at_login: bool,
    /// Whether to send the user's address to the provider (`auth0-forwarded-for`); Auth0 has to be configured to trust it.
    pub forwards_ip: bool,
    /// How its requests are protected.
    pub options: RequestOptions,
}

/// A client authentication method with its secrets.
#[derive(Debug)]
pub enum ClientAuth {
    /// `client_secret_post`
    Post(Vec<Secret>),
    /// `client_secret_basic`
    Basic(Vec<Secret>),
    /// `private_key_jwt`. The first key signs.
    PrivateKeyJwt(Vec<ClientKey>),
    /// `tls_client_auth` or `self_signed_tls_client_auth`: by the certificate of [`RequestOptions::mtls_binding`].
    Tls,
    /// `none`: a public client, protected by PKCE alone.
    None,
}

/// A client secret, redacted in `Debug` output.
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(secret)
    }
}

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The parameter of OpenID Connect RP-Initiated Logout 1.0.
pub(crate) const STANDARD_LOGOUT_PARAMETER: &str = "post_logout_redirect_uri";

/// The parameter of Auth0's own logout.
pub(crate) const AUTH0_LOGOUT_PARAMETER: &str = "returnTo";

impl Client {
    /// Creates a client without a login.
    pub(crate) fn without_login(id: String, auth: ClientAuth, mtls_binding: Option<String>) -> Self {
        Self {
            id,
            auth,
            redirect_uri: String::new(),
            callback_uri: None,
            default_return_to: ReturnTo::default(),
            scope: String::new(),
            audience: None,
            audience_parameter: "audience",
            logout_parameter: STANDARD_LOGOUT_PARAMETER,
            authorization_params: Vec::new(),
            organizations: Vec::new(),
            required_claims: Vec::new(),
            claim_rules: Vec::new(),
            subject_match: SubjectMatch::default(),
            session_claims: None,
            userinfo_at_login: false,
            forwards_ip: false,
            options: RequestOptions { mtls_binding, ..RequestOptions::default() },
        }
    }

    /// Returns the gateway's own origin, taken from `redirect_uri`.
    #[must_use]
    pub fn origin(&self) -> &str {
        origin_of(&self.redirect_uri)
    }

    /// Returns the gateway's host and port, to which its cookies are bound.
    #[must_use]
    pub fn host(&self) -> &str {
        HttpUrl::parse(&self.redirect_uri).map(|url| url.authority).unwrap_or_default()
    }

    /// Returns the origin of `callback_uri`, if configured, else the gateway's own.
    #[must_use]
    pub fn home(&self) -> &str {
        self.callback_uri.as_deref().map_or_else(|| self.origin(), origin_of)
    }

    /// Returns the location to redirect to after login.
    #[must_use]
    pub fn after_login(&self, return_to: &ReturnTo) -> String {
        match &self.callback_uri {
            Some(uri) => uri.clone(),
            // Parsed again after unsealing, as defense in depth: the value becomes a `Location`.
            None => ReturnTo::of_request(return_to.as_str()).unwrap_or_default().as_str().into(),
        }
    }

    /// Sends an authenticated form to one of the provider's endpoints, with the secret in a header or in the form, or with an assertion. If the provider refuses the first client
    /// secret or key, the form is sent again with the next one, which is safe because the provider has not processed it.
    #[allow(clippy::too_many_arguments, reason = "the request, and how it may be answered")]
    pub(super) async fn send(
        &self,
        provider: &Provider,
        url: &str,
        is_basic: bool,
        parameters: &[(&str, &str)],
        user_ip: Option<&str>,
        refuses_client: &dyn Fn(&Incoming) -> bool,
        host: &impl LoginHost,
    ) -> Result<Incoming, Unreachable> {
        let accept = (user_ip, "application/json", None);
        self.send_for(&provider.issuer, url, is_basic, parameters, accept, refuses_client, host).await
    }

    /// Sends an authenticated form like [`send`](Self::send), for an answer of these media types, and with a proof of possession of this key, if there
    /// is one. If the provider wants a nonce in the proof, the form is sent again once: it has not been processed (RFC 9449 §8).
    #[allow(clippy::too_many_arguments, reason = "the request, and how it may be answered")]
    pub(super) async fn send_for(
        &self,
        issuer: &str,
        url: &str,
        is_basic: bool,
        parameters: &[(&str, &str)],
        (user_ip, accept, key): (Option<&str>, &'static str, Option<&ProofKey>),
        refuses_client: &dyn Fn(&Incoming) -> bool,
        host: &impl LoginHost,
    ) -> Result<Incoming, Unreachable> {
        let (mut attempt, mut may_repeat) = (0, true);
        let proofs = self.options.proof_keys.as_ref().zip(key);
        loop {
            let assertion = match self.assertion_of(attempt, issuer, host).await {
                Ok(assertion) => assertion,
                Err(error) => {
                    host.log(Level::Error, &format_args!("signing_failed: {error} (authorizer.private_key)"));
                    return Err(Unreachable::GivenUp);
                }
            };
            let mut request = self.request(url, is_basic, parameters, attempt, assertion, (user_ip, accept));
            let mut sent = None;
            if let Some((keys, key)) = proofs {
                let proof = keys.proof(key, (request.method, url, url), None, host).await;
                let (proof, nonce) = proof.map_err(|_| Unreachable::GivenUp)?;
                request.headers.push(("dpop", proof));
                sent = nonce;
            }
            let answer = self.transmit(request, host).await;
            if let (Some((keys, _)), Ok(answer)) = (proofs, &answer)
                && keys.renews(
                    url,
                    sent.as_deref(),
                    answer.dpop_nonce.as_deref(),
                    refusal(answer).is_some_and(|error| error.code() == "use_dpop_nonce"),
                )
                && may_repeat
            {
                may_repeat = false;
                continue;
            }
            if !answer.as_ref().is_ok_and(refuses_client) || !self.has_credential(attempt + 1) {
                return answer;
            }
            attempt += 1;
        }
    }

    /// Returns the key that the access token of a session is bound to.
    pub(crate) fn key_of(&self, session: &Session) -> TokenKey<'_> {
        let tokens = session.tokens();
        TokenKey::of(self.options.proof_keys.as_ref(), &tokens.access, tokens.jkt.as_deref())
    }

    /// Returns whether a session states a key for its access token that the client does not have: the token is of no use.
    pub(crate) fn lacks_key_of(&self, session: &Session) -> bool {
        session.tokens().jkt.is_some() && matches!(self.key_of(session), TokenKey::Foreign)
    }

    /// Sends a request of the client to the provider, with its certificate if it has one.
    pub(super) fn transmit(
        &self,
        request: Outgoing,
        host: &impl LoginHost,
    ) -> impl Future<Output = Result<Incoming, Unreachable>> {
        host.send_by(self.options.mtls_binding.as_deref(), request)
    }

    /// Whether the client has a certificate.
    pub(super) const fn has_certificate(&self) -> bool {
        self.options.mtls_binding.is_some()
    }

    /// Whether the client authenticates with a header.
    pub(super) const fn is_basic(&self) -> bool {
        matches!(self.auth, ClientAuth::Basic(_))
    }

    fn secrets(&self) -> &[Secret] {
        match &self.auth {
            ClientAuth::Post(secrets) | ClientAuth::Basic(secrets) => secrets,
            ClientAuth::PrivateKeyJwt(_) | ClientAuth::Tls | ClientAuth::None => &[],
        }
    }

    /// Returns the assertion for this attempt; `None` if the client authenticates otherwise.
    async fn assertion_of(
        &self,
        attempt: usize,
        issuer: &str,
        host: &impl LoginHost,
    ) -> Result<Option<String>, SignError> {
        let ClientAuth::PrivateKeyJwt(keys) = &self.auth else { return Ok(None) };
        let key = keys.get(attempt).ok_or(SignError::KeyRefused)?;
        self.assertion(key, issuer, host).await.map(Some)
    }

    /// Whether there is a secret or a key for this attempt; at most two are tried.
    fn has_credential(&self, attempt: usize) -> bool {
        let count = if let ClientAuth::PrivateKeyJwt(keys) = &self.auth { keys.len() } else { self.secrets().len() };
        attempt < count.min(2)
    }

    fn request(
        &self,
        url: &str,
        is_basic: bool,
        parameters: &[(&str, &str)],
        attempt: usize,
        assertion: Option<String>,
        (user_ip, accept): (Option<&str>, &'static str),
    ) -> Outgoing {
        let mut body = String::new();
        parameters.iter().for_each(|(name, value)| form::push(&mut body, name, value));
        let mut headers =
            Vec::from([("content-type", "application/x-www-form-urlencoded".into()), ("accept", accept.into())]);
        let secret = self.secrets().get(attempt);
        match secret.filter(|_| is_basic) {
            Some(secret) => {
                let mut credentials = String::new();
                // RFC 6749 §2.3.1: both are form-encoded before they are joined.
                percent::push_component(&mut credentials, &self.id);
                credentials.push(':');
                percent::push_component(&mut credentials, &secret.0);
                headers.push(("authorization", format!("Basic {}", STANDARD.encode(credentials))));
            }
            None => {
                // It is a parameter of pushed requests, too.
                if parameters.iter().all(|(name, _)| *name != "client_id") {
                    form::push(&mut body, "client_id", &self.id);
                }
                if let Some(secret) = secret {
                    form::push(&mut body, "client_secret", &secret.0);
                }
                if let Some(assertion) = assertion {
                    form::push(&mut body, ASSERTION_TYPE.0, ASSERTION_TYPE.1);
                    form::push(&mut body, "client_assertion", &assertion);
                }
            }
        }
        if let Some(ip) = user_ip.filter(|_| self.forwards_ip) {
            headers.push(("auth0-forwarded-for", ip.into()));
        }
        Outgoing {
            method: "POST",
            url: url.into(),
            headers,
            body: Some(body),
            timeout_ms: limits::TOKEN_ENDPOINT_TIMEOUT_MS,
            max_body_bytes: limits::MAX_PROVIDER_BODY_BYTES,
        }
    }
}

fn origin_of(url: &str) -> &str {
    let rest = HttpUrl::parse(url).map_or(0, |url| url.path_and_query.len());
    url.get(..url.len() - rest).unwrap_or_default()
}
