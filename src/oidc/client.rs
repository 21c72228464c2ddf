//! The gateway as a client of the provider, and how it authenticates at the token endpoint (RFC 6749 §2.3).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{ReturnTo, SubjectMatch, form};
use crate::host::Host;
use crate::http::percent;
use crate::io::{Incoming, Outgoing, Unreachable};
use crate::limits;
use crate::url::HttpUrl;

/// A registered client; usable once it exists.
#[derive(Debug)]
pub struct Client {
    /// `client_id`
    pub id: String,
    /// How it authenticates.
    pub auth: ClientAuth,
    /// The gateway's own callback, exactly as registered.
    pub redirect_uri: String,
    /// Where the browser goes after the callback, unless back to where it came from.
    pub callback_uri: Option<String>,
    /// What is asked for.
    pub scope: String,
    /// The API that access tokens shall be for.
    pub audience: Option<String>,
    /// The parameter that names it: `audience` at Auth0, `resource` elsewhere (RFC 8707).
    pub audience_parameter: &'static str,
    /// Organizations whose members may log in; any if empty.
    pub organizations: Vec<String>,
    /// The claim that lists roles.
    pub roles_claim: Option<String>,
    /// By which claims access token and ID token name the same user.
    pub subject_match: SubjectMatch,
    /// Claims of the ID token that a session keeps; all if `None`.
    pub session_claims: Option<Vec<String>>,
    /// Tells the provider the user's address, which it trusts if so configured (Auth0's `auth0-forwarded-for`).
    pub forwards_ip: bool,
}

/// How the client proves who it is.
#[derive(Debug)]
pub enum ClientAuth {
    /// `client_secret_post`
    Post(Vec<Secret>),
    /// `client_secret_basic`
    Basic(Vec<Secret>),
    /// `none`: a public client, protected by PKCE alone.
    None,
}

/// A client secret. Not shown by `Debug`.
pub struct Secret(String);

impl Secret {
    /// Takes a secret.
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

impl Client {
    /// The gateway's own origin, from `redirect_uri`.
    #[must_use]
    pub fn origin(&self) -> &str {
        origin_of(&self.redirect_uri)
    }

    /// Host and port of the gateway, which its cookies are bound to.
    #[must_use]
    pub fn host(&self) -> &str {
        HttpUrl::parse(&self.redirect_uri).map(|url| url.authority).unwrap_or_default()
    }

    /// The origin that people think of as the site: that of `callback_uri`, else the gateway's own.
    #[must_use]
    pub fn home(&self) -> &str {
        self.callback_uri.as_deref().map_or_else(|| self.origin(), origin_of)
    }

    /// Where the browser goes once it is logged in.
    #[must_use]
    pub fn after_login(&self, return_to: &ReturnTo) -> String {
        match &self.callback_uri {
            Some(uri) => uri.clone(),
            // Checked again after it was sealed and opened: a Location is the last thing to be wrong about.
            None => ReturnTo::parse(return_to.as_str()).unwrap_or_default().as_str().into(),
        }
    }

    /// Sends a form to one of the provider's endpoints, authenticated: with the next secret if the provider refuses the first. Only
    /// then may it be sent again, for the provider has not looked at what it holds.
    pub(super) async fn send(
        &self,
        url: &str,
        parameters: &[(&str, &str)],
        user_ip: Option<&str>,
        refuses_client: impl Fn(&Incoming) -> bool,
        host: &impl Host,
    ) -> Result<Incoming, Unreachable> {
        let mut attempt = 0;
        loop {
            let answer = host.send(self.request(url, parameters, attempt, user_ip)).await;
            if !answer.as_ref().is_ok_and(&refuses_client) || !self.has_secret(attempt + 1) {
                return answer;
            }
            attempt += 1;
        }
    }

    /// Whether there is a secret for this attempt: the first, and the next once it was refused.
    fn has_secret(&self, attempt: usize) -> bool {
        match &self.auth {
            ClientAuth::Post(secrets) | ClientAuth::Basic(secrets) => attempt < secrets.len().min(2),
            ClientAuth::None => attempt == 0,
        }
    }

    fn request(&self, url: &str, parameters: &[(&str, &str)], attempt: usize, user_ip: Option<&str>) -> Outgoing {
        let mut body = String::new();
        parameters.iter().for_each(|(name, value)| form::push(&mut body, name, value));
        let mut headers = Vec::from([
            ("content-type", "application/x-www-form-urlencoded".into()),
            ("accept", "application/json".into()),
        ]);
        match &self.auth {
            ClientAuth::None => form::push(&mut body, "client_id", &self.id),
            ClientAuth::Post(secrets) => {
                form::push(&mut body, "client_id", &self.id);
                if let Some(secret) = secrets.get(attempt) {
                    form::push(&mut body, "client_secret", &secret.0);
                }
            }
            ClientAuth::Basic(secrets) => {
                let mut credentials = String::new();
                // RFC 6749 §2.3.1: both are form-encoded before they are joined.
                percent::push_component(&mut credentials, &self.id);
                credentials.push(':');
                if let Some(secret) = secrets.get(attempt) {
                    percent::push_component(&mut credentials, &secret.0);
                }
                headers.push(("authorization", format!("Basic {}", STANDARD.encode(credentials))));
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
