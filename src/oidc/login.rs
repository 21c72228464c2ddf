//! Beginning a login: the authorization request (OpenID Connect Core §3.1.2.1, RFC 7636).

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

/// Random bytes that beginning a login needs: state, nonce and verifier of 32 each, and the seal's nonce.
const ENTROPY_BYTES: usize = 3 * 32 + SEAL_NONCE_BYTES;

/// Parameters that a link to the login route may pass on to the provider, besides `organization`.
const FORWARDED_PARAMETERS: [&str; 6] =
    ["connection", "prompt", "login_hint", "screen_hint", "acr_values", "ui_locales"];

/// The address of a login route for a browser that is to come back.
pub(crate) fn login_url(route: &str, return_to: &ReturnTo) -> String {
    let mut url = form::with_query(route);
    form::push(&mut url, "return_to", return_to.as_str());
    url
}

/// Says that a browser was sent to the site's own origin to log in, so that it is sent there once.
const HOME_MARKER: &str = "sent_home";

/// Where a login has to begin that was asked for on another host than the callback's: its cookie would not come along to
/// the callback. `None` if it can begin here, or if the browser was sent there already: then a proxy before this gateway
/// changes the host.
fn home_login_url(client: &Client, head: &RequestHead<'_>, path: &str) -> Option<String> {
    let parts = head.url_parts();
    let query = parts.query.unwrap_or_default();
    if parts.authority.eq_ignore_ascii_case(client.host()) || form::has_parameter(query, HOME_MARKER) {
        return None;
    }
    let separator = if query.is_empty() { "" } else { "&" };
    Some(format!("{}{path}?{query}{separator}{HOME_MARKER}=1", client.origin()))
}

/// A login that has begun.
struct StartedLogin {
    /// Where the browser goes: the provider.
    location: String,
    /// `Set-Cookie` values.
    cookies: Vec<String>,
}

impl RelyingParty {
    /// Sends the browser to the provider. `path` is that of the login route.
    pub(crate) async fn begin(
        &self,
        head: &RequestHead<'_>,
        path: &str,
        host: &impl LoginHost,
    ) -> Result<Reply, LoginError> {
        if let Some(url) = home_login_url(&self.client, head, path) {
            return Ok(Reply::redirect(url));
        }
        let provider = self.provider(host).await?;
        let begun = self.authorization_request(head, &provider, &random(host), host.now());
        let StartedLogin { location, cookies } = begun.ok_or(LoginError::TooLarge)?;
        Ok(Reply::redirect(location).with_cookies(cookies))
    }

    /// The authorization request, and the cookie that remembers the login until the browser comes back. The query of the login route
    /// may hold `return_to` (or `returnTo`), and parameters to pass on.
    ///
    /// `None` if the login does not fit into a cookie.
    fn authorization_request(
        &self,
        head: &RequestHead<'_>,
        provider: &Provider,
        entropy: &[u8; ENTROPY_BYTES],
        now: UnixTime,
    ) -> Option<StartedLogin> {
        let client = &self.client;
        let (state, rest) = entropy.split_first_chunk::<32>()?;
        let (nonce, rest) = rest.split_first_chunk::<32>()?;
        let (verifier, rest) = rest.split_first_chunk::<32>()?;
        let seal_nonce = rest.first_chunk::<SEAL_NONCE_BYTES>()?;
        let parameters = form::parse(head.url_parts().query.unwrap_or_default());
        let given = |name: &str| form::once(&parameters, name).ok().flatten();
        let return_to = given("return_to").or_else(|| given("returnTo")).and_then(ReturnTo::parse);
        let passed_on = |name: &str| {
            given(name).filter(|value| !value.is_empty() && value.len() <= limits::MAX_LOGIN_PARAMETER_BYTES)
        };
        let organization = passed_on("organization").or(match client.organizations.as_slice() {
            [only] => Some(only.as_str()),
            _ => None,
        });
        let transaction = Transaction {
            state: base64url::encode(state),
            nonce: base64url::encode(nonce),
            verifier: base64url::encode(verifier),
            return_to: return_to.unwrap_or_default(),
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
        for name in FORWARDED_PARAMETERS {
            if let Some(value) = passed_on(name) {
                form::push(&mut location, name, value);
            }
        }
        let header = (head.header)("cookie").unwrap_or_default();
        let sealer = &self.sessions.sealer;
        let cookies = transaction.to_cookies(sealer, client.host(), &Cookies::new(&header), seal_nonce, now)?;
        Some(StartedLogin { location, cookies })
    }
}
