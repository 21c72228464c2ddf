//! The start of a login: the authorization request (OpenID Connect Core §3.1.2.1, RFC 7636).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::host::random;
use super::transaction::Transaction;
use super::{Client, LoginError, LoginHost, Provider, RelyingParty, ReturnTo, form};
use crate::base64url;
use crate::crypto::sha256;
use crate::http::{Reply, RequestHead};
use crate::io::UnixTime;
use crate::limits;
use crate::session::{Cookies, SEAL_NONCE_BYTES};

/// Random bytes needed to begin a login: 32 each for state, nonce and verifier, and the nonce of the seal.
const ENTROPY_BYTES: usize = 3 * 32 + SEAL_NONCE_BYTES;

/// Query parameters of the login route that are forwarded to the provider, besides `organization`.
const FORWARDED_PARAMETERS: [&str; 6] =
    ["connection", "prompt", "login_hint", "screen_hint", "acr_values", "ui_locales"];

/// Parameters of the authorization request that only the gateway sets. `response_mode`, `request` and `request_uri` are among them
/// because they change how the others are read (RFC 9101 §5).
pub(crate) const OWN_PARAMETERS: [&str; 14] = [
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "audience",
    "resource",
    "organization",
    "request",
    "request_uri",
];

/// Returns the URL of a login route with `return_to`.
pub(crate) fn login_url(route: &str, return_to: &ReturnTo) -> String {
    let mut url = form::with_query(route);
    form::push(&mut url, "return_to", return_to.as_str());
    url
}

/// Marks a login that was already redirected to the gateway's own origin, to prevent a redirect loop.
const SENT_HOME_PARAMETER: &str = "sent_home";

/// Returns the login URL on the callback's host if the login was requested on another host, where the callback would not
/// receive its cookie. `None` if the login can begin here, or if the browser was already redirected: then a proxy in front of
/// the gateway changes the host.
fn login_url_on_own_origin(client: &Client, head: &RequestHead<'_>, path: &str) -> Option<String> {
    let parts = head.url_parts();
    let query = parts.query.unwrap_or_default();
    if parts.authority.eq_ignore_ascii_case(client.host()) || form::has_parameter(query, SENT_HOME_PARAMETER) {
        return None;
    }
    let separator = if query.is_empty() { "" } else { "&" };
    Some(format!("{}{path}?{query}{separator}{SENT_HOME_PARAMETER}=1", client.origin()))
}

/// An authorization request, and the cookies of its login.
struct AuthorizationRequest {
    /// The URL at the provider.
    location: String,
    /// `Set-Cookie` values.
    cookies: Vec<String>,
}

impl RelyingParty {
    /// Redirects the browser to the provider. `path` is the path of the login route.
    pub(crate) async fn begin(
        &self,
        head: &RequestHead<'_>,
        path: &str,
        host: &impl LoginHost,
    ) -> Result<Reply, LoginError> {
        if let Some(url) = login_url_on_own_origin(&self.client, head, path) {
            return Ok(Reply::redirect(url));
        }
        let provider = self.provider(host).await?;
        let request = self.authorization_request(head, &provider, &random(host), host.now());
        let AuthorizationRequest { location, cookies } = request.ok_or(LoginError::TooLarge)?;
        Ok(Reply::redirect(location).with_cookies(cookies))
    }

    /// Builds the authorization request and the cookie that stores the login until the callback. The query of the login route
    /// may contain `return_to` (or `returnTo`) and parameters to forward.
    ///
    /// Returns `None` if the login does not fit into a cookie.
    fn authorization_request(
        &self,
        head: &RequestHead<'_>,
        provider: &Provider,
        entropy: &[u8; ENTROPY_BYTES],
        now: UnixTime,
    ) -> Option<AuthorizationRequest> {
        let client = &self.client;
        let (state, rest) = entropy.split_first_chunk::<32>()?;
        let (nonce, rest) = rest.split_first_chunk::<32>()?;
        let (verifier, rest) = rest.split_first_chunk::<32>()?;
        let seal_nonce = rest.first_chunk::<SEAL_NONCE_BYTES>()?;
        let parameters = form::parse(head.url_parts().query.unwrap_or_default());
        let parameter = |name: &str| form::once(&parameters, name).ok().flatten();
        let return_to = parameter("return_to").or_else(|| parameter("returnTo")).and_then(ReturnTo::parse);
        let forwarded = |name: &str| {
            parameter(name).filter(|value| !value.is_empty() && value.len() <= limits::MAX_LOGIN_PARAMETER_BYTES)
        };
        let organization = forwarded("organization").or(match client.organizations.as_slice() {
            [only] => Some(only.as_str()),
            _ => None,
        });
        let transaction = Transaction {
            state: base64url::encode(state),
            nonce: base64url::encode(nonce),
            verifier: base64url::encode(verifier),
            return_to: return_to.unwrap_or_else(|| client.default_return_to.clone()),
            organization: organization.map(Into::into),
            issued_ms: now.millis(),
        };
        let challenge = base64url::encode(&sha256(transaction.verifier.as_bytes()));
        let mut location = form::with_query(&provider.authorization_endpoint);
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", &client.id),
            ("redirect_uri", &client.redirect_uri),
            ("scope", &client.scope),
            ("state", &transaction.state),
            ("nonce", &transaction.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ] {
            form::push(&mut location, name, value);
        }
        if let Some(audience) = &client.audience {
            form::push(&mut location, client.audience_parameter, audience);
        }
        if let Some(organization) = organization {
            form::push(&mut location, "organization", organization);
        }
        let is_fixed = |name: &str| client.authorization_params.iter().any(|(one, _)| one == name);
        for name in FORWARDED_PARAMETERS {
            if let Some(value) = forwarded(name).filter(|_| !is_fixed(name)) {
                form::push(&mut location, name, value);
            }
        }
        for (name, value) in &client.authorization_params {
            form::push(&mut location, name, value);
        }
        let header = (head.header)("cookie").unwrap_or_default();
        let sealer = &self.sessions.sealer;
        let cookies = transaction.to_cookies(sealer, client.host(), &Cookies::new(&header), seal_nonce, now)?;
        Some(AuthorizationRequest { location, cookies })
    }
}
