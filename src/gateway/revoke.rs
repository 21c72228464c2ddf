//! The `revoke` route: ends sessions and bearer tokens before they expire.

use alloc::string::String;

use super::Gateway;
use super::matched::Caller;
use crate::error::{ClaimName, Forbidden};
use crate::http::{PRIVATE, Reply, RequestHead, forbidden};
use crate::json::{Document, Value};
use crate::jwt::{Requirements, Tenants};
use crate::limits;
use crate::oidc::{LoginHost, RevocationUnavailable, Revoked, has_media_type, revocation_unavailable};

/// A request to revoke.
struct Order {
    kind: Revoked,
    value: String,
    issuer: Option<String>,
}

impl Gateway {
    /// Revokes what the body names. The caller meets the `requirements` of the route.
    pub(super) async fn revoke(
        &self,
        head: &RequestHead<'_>,
        caller: Option<Caller<'_>>,
        requirements: &Requirements,
        host: &impl LoginHost,
    ) -> Reply {
        let (Some(revocations), Some(caller)) = (&self.revocations, caller) else {
            return Reply::problem(503, "config_invalid", "Revocation is not configured.");
        };
        let body =
            host.read_body(limits::MAX_REQUEST_BODY_BYTES).await.filter(|_| has_media_type(head, "application/json"));
        let Some(order) = body.and_then(Order::parse) else { return malformed() };
        // Each issuer names its users, sessions, tokens and clients.
        let own = caller.claims.issuer().unwrap_or_default();
        let issuer = order.issuer.as_deref().unwrap_or(own);
        let skew_s = self.verifier.as_ref().and_then(|verifier| verifier.clock_skew_s(issuer));
        let is_of_login = self.login.as_ref().is_some_and(|login| login.names_issuer(issuer));
        // A template stands for the issuers of tenants, and issues nothing.
        if skew_s.is_none() && !is_of_login || Tenants::has_template(issuer) {
            return Reply::problem(400, "issuer_unknown", "The gateway accepts nothing from this issuer.");
        }
        // An issuer can give its callers any right, but has no say in what belongs to another: the first one does, and those that the
        // route lists.
        let is_listed = requirements
            .claims
            .iter()
            .any(|rule| rule.claim.names() == ["iss"] && (rule.equals.is_some() || !rule.any.is_empty()));
        let is_first = || self.verifier.as_ref().is_some_and(|verifier| verifier.is_first_issuer(own));
        if issuer != own && !is_listed && !is_first() {
            return forbidden(&Forbidden::Claim(ClaimName::Registered("iss")), requirements);
        }
        let (until_s, tokens_until_s) = match order.kind {
            Revoked::Token => (limits::MAX_NUMERIC_DATE as i64, limits::MAX_NUMERIC_DATE as i64),
            // The issuer's clock may be ahead, as far as its tokens are accepted.
            _ => (host.now().secs(), host.now().secs().saturating_add(skew_s.unwrap_or_default().into())),
        };
        match revocations.revoke(order.kind, (issuer, &order.value), until_s, Some(tokens_until_s), host).await {
            Ok(()) => Reply::new(204).with("cache-control", PRIVATE),
            Err(RevocationUnavailable) => revocation_unavailable(),
        }
    }
}

impl Order {
    /// Reads an object with exactly one thing to revoke, and its issuer if there are several.
    fn parse(body: alloc::vec::Vec<u8>) -> Option<Self> {
        let document = Document::parse(body, limits::MAX_CLAIMS_DEPTH).ok()?;
        let (mut order, mut issuer) = (None, None);
        for (name, value) in document.root().iter() {
            let Value::String(text) = value else { return None };
            let text = String::from(text);
            if text.is_empty() {
                return None;
            }
            if name == "iss" {
                issuer = Some(text);
                continue;
            }
            let kind = Revoked::ALL.into_iter().find(|kind| kind.name() == name)?;
            if order.replace((kind, text)).is_some() {
                return None;
            }
        }
        order.map(|(kind, value)| Self { kind, value, issuer })
    }
}

fn malformed() -> Reply {
    let detail =
        "The body must be a JSON object with one of sub, sid, jti and client_id, and iss if it is not the caller's.";
    Reply::problem_with(400, "invalid_request", detail, &[("error", "invalid_request")])
}
