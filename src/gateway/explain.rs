//! Why a gateway answers a request as it does, step by step, for its operator. Each step is made by the function that makes it for
//! [`Gateway::handle`], whose answer is the verdict.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::ControlFlow::{Break, Continue};

use super::matched::{Credentials, MatchedRequest};
use super::route::{Integration, Route};
use super::upstream::UPSTREAM_ISSUER_MISMATCH;
use super::{Gateway, HEALTH_PATH, token_source::Token};
use crate::http::path::{Reading, RequestPath};
use crate::http::{Reply, RequestHead};
use crate::io::UnixTime;
use crate::json::Document;
use crate::jwk::KeyHost;
use crate::jwt::{Access, Claims, VerifiedToken};
use crate::oidc::{Revocations, is_opaque};
use crate::text::{concat, decimal, signed_decimal};
use crate::verifier::{VerificationError, Verifier};

/// The steps of the decision about a request.
#[derive(Debug, Clone, Default)]
pub struct Explanation {
    /// The readings of the path, with the routes that they match.
    pub readings: Vec<PathReading>,
    /// The route, if the readings agree on one.
    pub route: Option<RouteInfo>,
    /// The checks, in order, up to the one that failed.
    pub checks: Vec<CheckInfo>,
}

/// A way to read the path of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathReading {
    /// The path as it is read.
    pub path: String,
    /// Whether it chooses the route; the others must agree with it.
    pub is_main: bool,
    /// The patterns of the routes that it matches under the spellings that make a difference; `None` for no route.
    pub routes: Vec<Option<String>>,
}

/// A route of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteInfo {
    /// The pattern of its path.
    pub pattern: String,
    /// `required`, `optional` or `none`.
    pub auth: &'static str,
    /// `any`, `session` or `bearer`.
    pub credentials: &'static str,
    /// The type of its integration.
    pub integration: &'static str,
    /// Whether it only observes (`observe`): what it would refuse passes.
    pub only_observes: bool,
}

/// A check with its outcome.
#[derive(Clone, PartialEq, Eq)]
pub struct CheckInfo {
    /// What is checked.
    pub name: String,
    /// What is expected; may be empty.
    pub expected: String,
    /// What the request has; may be empty, and may be personal data.
    pub found: String,
    /// Why it failed: the code of the response, and a message.
    pub failure: Option<(String, String)>,
    /// What decides it in place of the gateway, and is not asked here.
    pub undecided: Option<Undecided>,
}

/// What a gateway asks about a request, and an explanation does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undecided {
    /// The provider. The explanation ends there.
    Provider,
    /// The records that all instances share. The explanation goes on as if there were none.
    Records,
}

impl Undecided {
    /// Returns its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Records => "records",
        }
    }
}

impl core::fmt::Debug for CheckInfo {
    /// Omits what the request has: it may be personal data.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CheckInfo").field("name", &self.name).field("failure", &self.failure).finish_non_exhaustive()
    }
}

impl Explanation {
    fn pass(&mut self, name: &str, expected: impl Into<String>, found: impl Into<String>) {
        self.add(name, expected.into(), found.into(), None);
    }

    fn fail(&mut self, name: &str, code: &str, message: &str) {
        self.add(name, String::new(), String::new(), Some((code.into(), message.into())));
    }

    /// Adds a check that is not decided here.
    fn leave(&mut self, name: &str, expected: impl Into<String>, found: &str, undecided: Undecided) {
        self.add(name, expected.into(), found.into(), None);
        if let Some(check) = self.checks.last_mut() {
            check.undecided = Some(undecided);
        }
    }

    /// Adds the refusal that a check broke with: a problem document, or a browser's way to the login.
    fn refuse(&mut self, name: &str, reply: &Reply) {
        let document = Document::parse(reply.body.as_bytes().to_vec(), 2).ok();
        let member = |name| document.as_ref().and_then(|document| document.root().get(name)?.as_str());
        match member("code") {
            Some(code) => self.fail(name, code, member("detail").unwrap_or_default()),
            None if reply.status < 400 => self.fail(name, "login_required", "The browser is sent to the login."),
            None => self.fail(name, &decimal(reply.status.into()), ""),
        }
    }

    fn has_failed(&self) -> bool {
        self.checks.iter().any(|check| check.failure.is_some())
    }

    fn add(&mut self, name: &str, expected: String, found: String, failure: Option<(String, String)>) {
        self.checks.push(CheckInfo { name: name.into(), expected, found, failure, undecided: None });
    }
}

impl Gateway {
    /// Explains the decision about a request. Nothing is forwarded, and no login step is made; only keys are fetched. What the provider or
    /// shared records would decide is left undecided.
    pub async fn explain(&self, head: &RequestHead<'_>, host: &impl KeyHost) -> Explanation {
        let mut explanation = Explanation::default();
        if head.url_parts().path == HEALTH_PATH {
            explanation.pass("route", "", "the health check");
            return explanation;
        }
        match self.of_host(head) {
            Some(gateway) if gateway.resource.as_ref().is_some_and(|resource| resource.serves(head)) => {
                explanation.pass("route", "", "the metadata of the protected resource");
            }
            Some(gateway) => gateway.explain_route(head, host, &mut explanation).await,
            None => explanation.fail("host", "misdirected_request", "The gateway does not serve this host."),
        }
        explanation
    }

    async fn explain_route(&self, head: &RequestHead<'_>, host: &impl KeyHost, explanation: &mut Explanation) {
        if let Ok(path) = RequestPath::parse(head.url_parts().path, self.unicode) {
            explanation.readings =
                path.readings().iter().map(|one| self.explain_reading(one, &path, head.method)).collect();
        }
        let request = match self.match_route(head) {
            Continue(request) => request,
            Break(reply) if reply.status < 300 => return explanation.pass("route", "", "a preflight request"),
            Break(reply) => return explanation.refuse("route", &reply),
        };
        explanation.route = Some(RouteInfo::of(request.route));
        match request.credentials(head, host.now()) {
            Break(reply) => explanation.refuse("credentials", &reply),
            Continue(Credentials::Anonymous) => {
                explanation.pass("credentials", "none", "");
                request.explain_upstream(None, explanation);
            }
            Continue(Credentials::Bearer(token)) => {
                explanation.pass("credentials", request.route.credentials.name(), "a token");
                if let Some(verifier) = &self.verifier {
                    request.explain_token(verifier, head, &token, host, explanation).await;
                }
            }
            Continue(Credentials::Session(_, session)) => {
                let is_due = session.needs_refresh(host.now()) && !request.is_refresh();
                let found = if is_due { "a session that is due for refresh" } else { "a session" };
                explanation.pass("credentials", request.route.credentials.name(), found);
                if self.revocations.is_some() {
                    explanation.leave("revocation", "", NO_RECORD, Undecided::Records);
                }
                let claims = session.claims_at(host.now());
                request.explain_requirements(claims, explanation);
                request.explain_login(head, session.claims(), true, host.now(), explanation);
                if let Break(reply) = request.authorize_session(claims)
                    && !explanation.has_failed()
                {
                    explanation.refuse("rights", &reply);
                }
                let has_token = !session.tokens().access.is_empty();
                request.explain_upstream(has_token.then_some(None), explanation);
            }
        }
    }

    fn explain_reading(&self, reading: &Reading, path: &RequestPath, method: &str) -> PathReading {
        let mut text = String::new();
        for segment in reading.segments() {
            text.push('/');
            // A slash inside a segment is one that this reading does not take for a separator.
            text.push_str(&segment.replace('/', "%2F"));
        }
        let mut routes: Vec<Option<String>> = Vec::new();
        for route in self.table.routes_of(reading, &self.routes, method) {
            let pattern = route.map(|route| route.pattern.as_str().to_string());
            if !routes.contains(&pattern) {
                routes.push(pattern);
            }
        }
        PathReading { path: text, is_main: reading == path.main(), routes }
    }
}

/// What is found of a revocation.
const NO_RECORD: &str = "would look up shared records; here, none is assumed";

impl MatchedRequest<'_> {
    async fn explain_token(
        &self,
        verifier: &Verifier,
        head: &RequestHead<'_>,
        token: &Token,
        host: &impl KeyHost,
        explanation: &mut Explanation,
    ) {
        if self.gateway.introspection.is_some() && is_opaque(token.as_str()) {
            let found = "an opaque token: would ask the introspection endpoint of the issuer";
            return explanation.leave("token", "active", found, Undecided::Provider);
        }
        let verified = match verifier.verify_unconfirmed(token.as_str(), host).await {
            Ok(verified) => self.gateway.confirm_sender(verified, head, token, host).await,
            Err(error) => Err(error),
        };
        let verified = match verified {
            Ok((verified, _)) => verified,
            Err(VerificationError::Refused(error)) => {
                let (expected, found) = error.compared().unwrap_or_default();
                let name = error.claim().unwrap_or("token");
                let failure = Some((error.code().into(), error.message().into()));
                return explanation.add(name, expected.join(", "), found.join(", "), failure);
            }
            Err(VerificationError::Unavailable(why)) => {
                let reason = why.reason.as_deref().map(|reason| concat(&[": ", reason])).unwrap_or_default();
                return explanation.fail("keys", why.error.code(), &concat(&[why.error.message(), &reason]));
            }
        };
        explain_verified(verifier, &verified, explanation);
        if self.gateway.revocations.as_ref().is_some_and(Revocations::checks_tokens) {
            explanation.leave("revocation", "", NO_RECORD, Undecided::Records);
        }
        self.explain_requirements(verified.claims(), explanation);
        self.explain_login(head, verified.claims(), false, host.now(), explanation);
        // Whatever refuses it is among the requirements; if not, it is told all the same.
        if let Break(reply) = self.authorize(verified.claims())
            && !explanation.has_failed()
        {
            explanation.refuse("rights", &reply);
        }
        self.explain_upstream(Some(verified.claims().issuer()), explanation);
    }

    /// Adds the token that the route sends to its upstream, if the request gets that far. `caller` is `None` without a token to exchange;
    /// otherwise it has the issuer of a bearer token, `None` for a session.
    fn explain_upstream(&self, caller: Option<Option<&str>>, explanation: &mut Explanation) {
        let Some(tokens) = self.route.upstream_tokens.as_ref().filter(|_| !explanation.has_failed()) else { return };
        match caller {
            // An anonymous caller has nothing to exchange.
            None if tokens.is_exchange() => return,
            Some(Some(issuer)) if tokens.is_exchange() && !tokens.is_of_provider(Some(issuer)) => {
                return explanation.fail("upstream_auth", "upstream_issuer_mismatch", UPSTREAM_ISSUER_MISMATCH);
            }
            _ => {}
        }
        let auth = tokens.auth();
        let mut expected = String::from(if tokens.is_exchange() { "exchange" } else { "m2m" });
        for (name, value) in
            [("audience", &auth.audience), ("scope", &auth.scope), ("organization", &auth.organization)]
        {
            if let Some(value) = value {
                expected.push_str(&concat(&[", ", name, " ", value]));
            }
        }
        explanation.leave("upstream_auth", expected, "would ask the token endpoint", Undecided::Provider);
    }

    /// Adds the requirements of the route, each checked on its own.
    fn explain_requirements(&self, claims: &Claims, explanation: &mut Explanation) {
        let requirements = &self.route.requirements;
        let roles_claim = requirements.roles.as_ref().and_then(|_| self.gateway.roles_claim_of(claims.issuer()?));
        for one in requirements.each(roles_claim, claims) {
            let failure =
                one.verdict.err().map(|forbidden| (forbidden.code().to_string(), forbidden.message().to_string()));
            explanation.add(&one.name, one.expected, one.found, failure);
        }
    }

    /// Adds what the route requires of the login behind the credentials.
    fn explain_login(
        &self,
        head: &RequestHead<'_>,
        claims: &Claims,
        has_session: bool,
        now: UnixTime,
        explanation: &mut Explanation,
    ) {
        let (required, verdict) = (&self.route.step_up, self.check_login(head, claims, has_session, now));
        match verdict {
            _ if required.is_empty() => {}
            Break(reply) => explanation.refuse("login", &reply),
            Continue(()) => {
                let parts: Vec<String> =
                    required.parameters().iter().map(|(name, value)| concat(&[name, " ", value])).collect();
                explanation.pass("login", parts.join(", "), "");
            }
        }
    }
}

/// Adds what a token was verified against.
fn explain_verified(verifier: &Verifier, verified: &VerifiedToken<Access>, explanation: &mut Explanation) {
    let (header, claims) = (verified.header(), verified.claims());
    let kid = header.kid().map_or_else(|| "without kid".into(), |kid| concat(&["kid ", kid]));
    let algorithm = header.algorithm().map(|algorithm| algorithm.name()).unwrap_or_default();
    let issuer = claims.issuer().unwrap_or_default();
    let Some((expected_issuer, audiences, algorithms)) = verifier.rules_of(issuer) else { return };
    let algorithms: Vec<&str> = algorithms.iter().map(|algorithm| algorithm.name()).collect();
    explanation.pass("signature", algorithms.join(", "), concat(&[algorithm, ", ", &kid]));
    explanation.pass("iss", expected_issuer, issuer);
    let audience: Vec<&str> = claims.audience().iter().collect();
    explanation.pass("aud", audiences.join(", "), audience.join(", "));
    explanation.pass("exp", "", signed_decimal(verified.expires_at() as i64));
}

impl RouteInfo {
    fn of(route: &Route) -> Self {
        Self {
            pattern: route.pattern.as_str().into(),
            auth: route.auth.name(),
            credentials: route.credentials.name(),
            only_observes: route.only_observes,
            integration: match &route.integration {
                Integration::Proxy { .. } => "http_proxy",
                Integration::Service { .. } => "service",
                Integration::Respond { .. } => "respond",
                other => other.action_name().unwrap_or_default(),
            },
        }
    }
}
