//! The record of a request: an event in the log, and a data point for metrics.

use edgeward::gateway::{Answered, Gateway, RequestEvent, RequestLevel};
use edgeward::host::Host as _;
use edgeward::http::RequestHead;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::host::WorkerHost;
use crate::request::Inbound;

#[wasm_bindgen(module = "/src/record.js")]
extern "C" {
    /// Records a request and returns its response.
    #[wasm_bindgen(catch)]
    fn record(
        request: &JsValue,
        response: &JsValue,
        dataset: &JsValue,
        level: u8,
        own_level: u8,
        sample: u32,
        began_ms: f64,
        bytes: f64,
        is_timed: bool,
        facts: &str,
    ) -> Result<JsValue, JsValue>;
}

/// Where requests are recorded.
pub(crate) struct Recorder {
    counts: bool,
    dataset: JsValue,
    level: u8,
    sample: u32,
    began_ms: f64,
    is_timed: bool,
}

/// A response, with what its event has of it.
pub(crate) struct Response {
    pub(crate) raw: JsValue,
    pub(crate) answered: Answered,
    /// Length of the gateway's own body.
    pub(crate) bytes: Option<usize>,
}

/// Returns the number of a level in `record.js`.
const fn number(level: RequestLevel) -> u8 {
    match level {
        RequestLevel::Info => 1,
        RequestLevel::Warning => 2,
        RequestLevel::Error => 3,
    }
}

impl Recorder {
    /// Returns `None` where there is nothing to record.
    pub(crate) fn new(gateway: &Gateway, head: &RequestHead<'_>, host: &WorkerHost) -> Option<Self> {
        let (level, sample) = match gateway.request_log() {
            None => (0, 1),
            Some(log) => (number(log.level), log.sample),
        };
        let dataset = host.binding(gateway.metrics_binding());
        let is_timed = gateway.shows_timing(head);
        let counts = gateway.counts_requests();
        (counts || level != 0 || is_timed || !dataset.is_undefined()).then(|| Self {
            counts,
            dataset,
            level,
            sample,
            began_ms: js_sys::Date::now(),
            is_timed,
        })
    }

    pub(crate) fn record(
        &self,
        gateway: &Gateway,
        inbound: &Inbound,
        head: &RequestHead<'_>,
        response: Response,
        event: &RequestEvent<'_>,
        host: &WorkerHost,
    ) -> JsValue {
        let Response { raw, answered, bytes } = response;
        if self.counts {
            gateway.count(event, answered, host.now());
            if let Some(report) = gateway.due_status_report(host) {
                host.report_in_background(report);
            }
        }
        if self.level == 0 && !self.is_timed && self.dataset.is_undefined() {
            return raw;
        }
        let (outcome, code) = event.outcome(answered);
        let credentials = event.credentials();
        let cache = match (credentials, event.is_cached) {
            ("bearer", true) => "hit",
            ("bearer", false) => "miss",
            _ => "",
        };
        let id = head.request_id().unwrap_or_default();
        let (issuer, kid) = (event.issuer().unwrap_or_default(), event.kid().unwrap_or_default());
        let facts = [&id, event.route, outcome.name(), code, credentials, issuer, cache, kid].join("\n");
        let bytes = bytes.map_or(-1.0, |bytes| bytes as f64);
        let (request, dataset) = (&inbound.raw, &self.dataset);
        let Self { level, sample, began_ms, is_timed, .. } = *self;
        let own_level = number(outcome.level(answered.status));
        record(request, &raw, dataset, level, own_level, sample, began_ms, bytes, is_timed, &facts).unwrap_or(raw)
    }
}
