//! Why a gateway answers a request as it does, step by step, for its operator. Each step is made by the function that makes it for
//! [`Gateway::handle`], whose answer is the verdict.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::ControlFlow::{Break, Continue};

use super::matched::{Credentials, MatchedRequest};
use super::route::{Integration, Route};
use super::{Gateway, HEALTH_PATH, token_source::Token};
use crate::http::path::{Reading, RequestPath};
use crate::http::{Reply, RequestHead};
use crate::json::Document;
use crate::jwk::KeyHost;
use crate::jwt::{Access, Claims, VerifiedToken};
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
        self.checks.push(CheckInfo { name: name.into(), expected, found, failure });
    }
}

impl Gateway {
    /// Explains the decision about a request. Nothing is forwarded, and no login step is made; only keys are fetched.
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
            Continue(Credentials::Anonymous) => explanation.pass("credentials", "none", ""),
            Continue(Credentials::Bearer(token)) => {
                explanation.pass("credentials", request.route.credentials.name(), "a token");
                if let Some(verifier) = &self.verifier {
                    request.explain_token(verifier, head, &token, host, explanation).await;
                }
            }
            Continue(Credentials::Session(_, session)) => {
                explanation.pass("credentials", request.route.credentials.name(), "a session");
                let claims = session.claims_at(host.now());
                request.explain_requirements(claims, explanation);
                if let Break(reply) = request.authorize_session(claims)
                    && !explanation.has_failed()
                {
                    explanation.refuse("rights", &reply);
                }
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

impl MatchedRequest<'_> {
    async fn explain_token(
        &self,
        verifier: &Verifier,
        head: &RequestHead<'_>,
        token: &Token,
        host: &impl KeyHost,
        explanation: &mut Explanation,
    ) {
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
        self.explain_requirements(verified.claims(), explanation);
        // Whatever refuses it is among the requirements; if not, it is told all the same.
        if let Break(reply) = self.authorize(verified.claims())
            && !explanation.has_failed()
        {
            explanation.refuse("rights", &reply);
        }
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
            integration: match &route.integration {
                Integration::Proxy { .. } => "http_proxy",
                Integration::Service { .. } => "service",
                Integration::Respond { .. } => "respond",
                other => other.action_name().unwrap_or_default(),
            },
        }
    }
}
