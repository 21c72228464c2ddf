//! The start of a login: the authorization request (OpenID Connect Core §3.1.2.1, RFC 7636).

use alloc::format;
use alloc::string::String;

use super::host::random;
use super::return_to::InvalidReturnTo;
use super::transaction::{LoginRequest, Transaction};
use super::{Client, LoginError, LoginHost, RelyingParty, RequestFailure, ReturnTo, StepUp, form};
use crate::http::{Reply, RequestHead};
use crate::limits;
use crate::session::Cookies;

/// Query parameters of the login route that are forwarded to the provider. `prompt` is the first: a restarted login removes it.
const FORWARDED_PARAMETERS: [&str; 10] = [
    "prompt",
    "organization",
    "connection",
    "login_hint",
    "screen_hint",
    "acr_values",
    "ui_locales",
    "max_age",
    // A link by which an organization invites a user has these beside `organization`.
    "invitation",
    "organization_name",
];

/// Parameters of the authorization request that only the gateway sets. `response_mode`, `request` and `request_uri` are among them
/// because they change how the others are read (RFC 9101 §5).
pub(crate) const OWN_PARAMETERS: [&str; 15] = [
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
    "dpop_jkt",
];

/// Returns the URL of a login route with `return_to`.
pub(crate) fn login_url(route: &str, return_to: &ReturnTo) -> String {
    let mut url = form::with_query(route);
    form::push(&mut url, "return_to", return_to.as_str());
    url
}

/// Returns the URL of a login that requests a login as the route requires it.
pub(crate) fn step_up_url(url: &str, step_up: &StepUp) -> String {
    let parameters = step_up.parameters();
    let mut url = if parameters.is_empty() { url.into() } else { form::with_query(url) };
    parameters.iter().for_each(|(name, value)| form::push(&mut url, name, value));
    url
}

/// Returns a link to a login with a destination. If the URL of the login cannot carry it, the link is the destination itself, where the
/// login begins.
pub(crate) fn login_link(route: &str, destination: &str) -> String {
    match ReturnTo::of_request(destination) {
        Some(return_to) if return_to.is_linkable() => login_url(route, &return_to),
        Some(return_to) => return_to.as_str().into(),
        None => route.into(),
    }
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

impl RelyingParty {
    /// Redirects the browser to the provider. `path` is the path of the login route, whose query may contain `return_to` (or
    /// `returnTo`) and parameters to forward.
    pub(crate) async fn begin(
        &self,
        head: &RequestHead<'_>,
        path: &str,
        host: &impl LoginHost,
    ) -> Result<Reply, LoginError> {
        let client = &self.client;
        if let Some(url) = login_url_on_own_origin(client, head, path) {
            return Ok(Reply::redirect(url));
        }
        let query = form::parse(head.url_parts().query.unwrap_or_default());
        let parameter = |name: &str| form::once(&query, name).ok().flatten();
        let return_to = match parameter("return_to").or_else(|| parameter("returnTo")).map(ReturnTo::try_parse) {
            Some(Ok(return_to)) => return_to,
            Some(Err(InvalidReturnTo::TooLong)) if client.callback_uri.is_none() => {
                return Err(LoginError::DestinationTooLong);
            }
            _ => client.default_return_to.clone(),
        };
        let mut request = LoginRequest::to(return_to);
        for name in FORWARDED_PARAMETERS {
            let is_fixed = client.authorization_params.iter().any(|(one, _)| one == name);
            match parameter(name) {
                Some(value) if !is_fixed && !value.is_empty() && value.len() <= limits::MAX_LOGIN_PARAMETER_BYTES => {
                    form::push(&mut request.parameters, name, value);
                }
                _ => {}
            }
        }
        self.start(head, request, host).await
    }

    /// Starts a login: builds the authorization request and the cookie that stores the login until the callback.
    pub(crate) async fn start(
        &self,
        head: &RequestHead<'_>,
        request: LoginRequest,
        host: &impl LoginHost,
    ) -> Result<Reply, LoginError> {
        let provider = self.provider(host).await?;
        let (sealer, own_host) = (&self.sessions.sealer, self.client.host());
        let key = self.client.options.proof_keys.as_ref().and_then(|keys| keys.current().short_thumbprint());
        let begun = Transaction::begin(request, key, &random(host), sealer, own_host, host.now());
        let (transaction, sealed) = begun.ok_or(LoginError::TooLarge)?;
        let header = (head.header)("cookie").unwrap_or_default();
        let cookies = transaction.to_cookies(&sealed, &Cookies::new(&header)).ok_or(LoginError::TooLarge)?;
        let is_pushed = self.client.pushes_requests(&provider);
        let probe = if is_pushed { self.state.with(|state| state.pushes.begin(host.now())) } else { Ok(None) };
        let probe = probe.map_err(RequestFailure::Paused)?;
        let location = self.client.authorization_request(&provider, &transaction, host).await;
        if is_pushed {
            let attempt = RequestFailure::attempt(location.as_ref().err());
            self.state.with(|state| match attempt {
                Some(attempt) => state.pushes.end(probe, attempt, host.now()),
                None => drop(state.pushes.release(probe)),
            });
        }
        Ok(Reply::redirect(location?).with_cookies(cookies))
    }
}
