//! The token that the gateway sends to an upstream.

use alloc::string::String;
use alloc::vec::Vec;

use super::forward::Forward;
use super::headers::HeaderValue;
use super::matched::{Caller, MatchedRequest};
use super::{Answer, Integration};
use crate::http::Reply;
use crate::json::Value;
use crate::jwt::Claims;
use crate::oidc::{LoginHost, SubjectToken};
use crate::session::Session;
use crate::text::concat;

pub(super) const UPSTREAM_ISSUER_MISMATCH: &str =
    "The token is not from the issuer that exchanges tokens for the upstream.";

impl<'g> MatchedRequest<'g> {
    /// Adds the token of `upstream_auth` to a request that is forwarded; or returns why there is none. An anonymous caller has nothing to
    /// exchange.
    pub(super) async fn with_upstream_token(
        &self,
        answer: Answer<'g>,
        caller: Option<Caller<'_>>,
        session: Option<&Session>,
        host: &impl LoginHost,
    ) -> Answer<'g> {
        let Some(tokens) = &self.route.upstream_tokens else { return answer };
        let Answer::Forward(mut forward) = answer else { return answer };
        let subject = if tokens.is_exchange() {
            match caller.filter(|caller| !caller.token.is_empty()) {
                Some(caller) if session.is_none() && !tokens.is_of_provider(caller.claims.issuer()) => {
                    return Answer::Reply(Reply::problem(403, "upstream_issuer_mismatch", UPSTREAM_ISSUER_MISMATCH));
                }
                Some(caller) => Some(subject_token(caller, session)),
                None => return Answer::Forward(forward),
            }
        } else {
            None
        };
        match tokens.token(subject, host).await {
            Ok(token) => {
                set_token(&mut forward, &self.route.integration, &token);
                Answer::Forward(forward)
            }
            Err(failure) => Answer::Reply(failure.reply(host.now())),
        }
    }
}

/// Returns the caller's token, with its expiry: as verified, or as the session has it.
fn subject_token<'c>(caller: Caller<'c>, session: Option<&Session>) -> SubjectToken<'c> {
    let exp = |claims: &Claims| match claims.get("exp") {
        Some(Value::Number(exp)) => exp.as_f64() as i64,
        _ => 0,
    };
    let expires_s = session.map_or_else(|| exp(caller.claims), |session| session.tokens().access_expires_s);
    SubjectToken { text: caller.token, expires_s }
}

/// Sets the headers with the token: those configured, or `Authorization`.
fn set_token(forward: &mut Forward<'_>, integration: &Integration, token: &str) {
    let headers = integration.headers().map(Vec::as_slice).unwrap_or_default();
    let before = forward.set.len();
    let with_token = |(name, value): &(String, HeaderValue)| Some((name.clone(), value.render_upstream(token)?));
    forward.set.extend(headers.iter().filter_map(with_token));
    if forward.set.len() == before {
        forward.set.push(("authorization".into(), concat(&["Bearer ", token])));
    }
}
