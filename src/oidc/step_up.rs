//! Step-up authentication: how, and how recently, the user of a route must have logged in (RFC 9470).

use alloc::string::String;
use alloc::vec::Vec;

use super::form;
use crate::io::UnixTime;
use crate::json::Value;
use crate::jwt::Claims;
use crate::limits;
use crate::text::{decimal, words};

/// What a route requires of the login behind a token or session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StepUp {
    /// Values, one of which must be the claim `acr`, unless empty.
    pub(crate) acr: Vec<String>,
    /// Longest time since `auth_time`.
    pub(crate) max_age_s: Option<u32>,
}

impl StepUp {
    /// Returns what the parameters of a login request require.
    pub(super) fn requested(parameters: &str) -> Self {
        let parameters = form::parse(parameters);
        let parameter = |name| form::once(&parameters, name).ok().flatten();
        Self {
            acr: parameter("acr_values").unwrap_or_default().split_ascii_whitespace().map(String::from).collect(),
            max_age_s: parameter("max_age").and_then(|seconds| seconds.parse().ok()),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.acr.is_empty() && self.max_age_s.is_none()
    }

    /// Returns whether every login that meets `self` also meets `other`.
    pub(crate) fn is_at_least_as_strict(&self, other: &Self) -> bool {
        let narrows = !self.acr.is_empty() && self.acr.iter().all(|one| other.acr.contains(one));
        let is_younger = |other| self.max_age_s.is_some_and(|own| own <= other);
        (other.acr.is_empty() || narrows) && other.max_age_s.is_none_or(is_younger)
    }

    /// Returns whether the login that the claims describe was sufficient when it was required. A claim that is absent or malformed meets
    /// nothing.
    pub(crate) fn is_met(&self, claims: &Claims, required_at: UnixTime, now: UnixTime) -> bool {
        let has_acr = || {
            let acr = claims.get("acr").and_then(Value::as_str);
            acr.is_some_and(|acr| self.acr.iter().any(|one| one == acr))
        };
        let is_recent = |max_age_s| {
            let Some(Value::Number(auth_time)) = claims.get("auth_time") else { return false };
            let (auth_time, skew_s) = (auth_time.as_f64(), f64::from(limits::DEFAULT_CLOCK_SKEW_S));
            auth_time <= now.secs() as f64 + skew_s
                && required_at.secs() as f64 <= auth_time + f64::from(max_age_s) + skew_s
        };
        (self.acr.is_empty() || has_acr()) && self.max_age_s.is_none_or(is_recent)
    }

    /// Returns the parameters that request such a login (RFC 9470 §4).
    pub(crate) fn parameters(&self) -> Vec<(&'static str, String)> {
        let acr = (!self.acr.is_empty()).then(|| ("acr_values", words(&self.acr)));
        acr.into_iter().chain(self.max_age_s.map(|age| ("max_age", decimal(age.into())))).collect()
    }
}
