//! `log` and `metrics`: what is recorded of requests.

use alloc::string::String;

use super::declare::{Setting, section};
use super::forms::{Check, Checked, Choice, Text, Whole, Words};
use crate::gateway::event::{Recording, RequestLevel, RequestLog};
use crate::limits;

section! {
    /// Which requests are logged. Problems of the gateway itself are logged in any case.
    pub(super) struct LogConfig {
        /// The lowest level of requests that are logged. `error`: status 500 or higher. `warning`: also requests that the gateway refuses. `info`: all requests.
        level: Choice<Option<RequestLevel>> = None;
        /// Of the requests at level `info`, one in so many is logged, at random; all others are.
        sample: Whole<1, { limits::MAX_LOG_SAMPLE }> = 1_u32;
    }
}

section! {
    /// Data points for Workers Analytics Engine, one for each request.
    pub(super) struct MetricsConfig {
        /// Name of the dataset's binding in `wrangler.toml`. Without that binding there are no data points.
        binding: Text = Self::BINDING;
        /// Requests that have this secret in the header `X-Edgeward-Timing` get `Server-Timing`: outcome, code and time. At least 32 characters.
        server_timing: Checked<Secret>;
    }
}

impl MetricsConfig {
    /// The binding, unless configured.
    pub(super) const BINDING: &'static str = "EDGEWARD_METRICS";
}

impl Words for Option<RequestLevel> {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("off", None),
        ("error", Some(RequestLevel::Error)),
        ("warning", Some(RequestLevel::Warning)),
        ("info", Some(RequestLevel::Info)),
    ];
}

/// A secret of sufficient length.
pub(super) struct Secret;

impl Check for Secret {
    type Base = Text;

    const MESSAGE: &'static str = "must have at least 32 characters; make one with: openssl rand -hex 32";

    fn is_valid(secret: &String) -> bool {
        secret.chars().count() >= limits::MIN_SECRET_CHARS
    }
}

/// Returns what is recorded of requests.
pub(super) fn recording(log: &Setting<'_, LogConfig>, metrics: &Setting<'_, MetricsConfig>) -> Recording {
    Recording {
        log: log.value.and_then(|log| Some(RequestLog { level: log.level()?, sample: log.sample() })),
        binding: metrics.value.map_or_else(|| MetricsConfig::BINDING.into(), MetricsConfig::binding),
        timing_secret: metrics.value.and_then(|metrics| metrics.server_timing().cloned()),
    }
}
