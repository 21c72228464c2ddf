//! `log` and `metrics`: what is recorded of requests.

use super::declare::{Setting, section};
use super::forms::{Choice, Text, Whole, Words};
use crate::gateway::event::{RequestLevel, RequestLog};
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

/// Returns which requests are logged, if any.
pub(super) fn requests(section: &Setting<'_, LogConfig>) -> Option<RequestLog> {
    let config = section.value?;
    Some(RequestLog { level: config.level()?, sample: config.sample() })
}
