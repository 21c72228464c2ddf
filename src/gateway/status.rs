//! The status route: what the gateway has done in the last hour, for its operators. Nothing of a caller is in it.

mod counters;
mod page;
mod texts;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use self::counters::Counters;
use self::page::{Issuer, Page};
use super::Gateway;
use super::event::{Answered, RequestEvent, RequestOutcome};
use crate::crypto::sha256;
use crate::http::page::Pages;
use crate::http::{Reply, RequestHead, prefers_json};
use crate::io::UnixTime;
use crate::json::Object;
use crate::jwk::KeyCache;
use crate::jwt::Algorithm;
use crate::limits;
use crate::oidc::{CoordinatorOutcome, LoginHost, StatusReport};
use crate::shared::Shared;
use crate::text::{concat, hex};

/// The members of a configuration that may hold secrets.
const SECRET_MEMBERS: [&str; 8] = [
    "api_key",
    "client_secret",
    "decryption_keys",
    "dpop_key",
    "dpop_nonce_secret",
    "private_key",
    "secrets",
    "server_timing",
];

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The counts of this instance, and what else the status route shows.
#[derive(Debug)]
pub(super) struct Status {
    /// The hash of the configuration document, without its secrets.
    digest: String,
    /// The key caches, with the algorithms that they are used with.
    keys: Vec<(Arc<KeyCache>, Vec<Algorithm>)>,
    state: Shared<State>,
}

#[derive(Debug, Default)]
struct State {
    counters: Counters,
    /// Those since the last report.
    pending: Counters,
    reported_at: Option<UnixTime>,
    /// The time of the first request.
    since: Option<UnixTime>,
}

impl Status {
    pub(super) fn new(document: Object<'_>, gateways: &[Gateway]) -> Self {
        let document = crate::json::Value::Object(document).to_json_without(&SECRET_MEMBERS);
        let mut keys: Vec<(Arc<KeyCache>, Vec<Algorithm>)> = Vec::new();
        for gateway in gateways {
            let bearer = gateway.verifier.iter().flat_map(|verifier| verifier.keys().zip(verifier.algorithms()));
            let login = gateway.login.iter().map(|party| (&party.keys, party.id_policy.algorithms()));
            for (cache, algorithms) in bearer.chain(login) {
                if !keys.iter().any(|(known, _)| Arc::ptr_eq(known, cache)) {
                    keys.push((Arc::clone(cache), algorithms.to_vec()));
                }
            }
        }
        Self { digest: hex(&sha256(document.as_bytes())), keys, state: Shared::new(State::default()) }
    }

    fn count(&self, event: &RequestEvent<'_>, answered: Answered, now: UnixTime) {
        let (outcome, code) = event.outcome(answered);
        self.state.with(|state| {
            state.since.get_or_insert(now);
            state.pending.count(event, outcome, now);
            if matches!(outcome, RequestOutcome::Observed | RequestOutcome::Refused | RequestOutcome::Failed) {
                state.pending.refuse(code, event.route, now);
            }
        });
    }

    /// Returns what was counted since the last report, if that is due or `is_requested`.
    fn report(&self, is_requested: bool, now: UnixTime) -> Option<StatusReport> {
        self.state.with(|state| {
            let elapsed_ms = state.reported_at.map(|at| now.millis().saturating_sub(at.millis()));
            // If the clock went back, the report is due, too.
            if elapsed_ms.is_some_and(|elapsed| (0..limits::STATUS_REPORT_MS).contains(&elapsed)) && !is_requested {
                return None;
            }
            state.reported_at = Some(now);
            let counts = core::mem::take(&mut state.pending).to_text();
            state.counters.add(&counts, now);
            let name = concat(&["status ", VERSION, " ", &self.digest]);
            Some(StatusReport { name, counts, timeout_ms: limits::STATUS_REPORT_TIMEOUT_MS })
        })
    }

    /// Returns the status as the client prefers it: a page, or JSON.
    pub(super) async fn reply(&self, head: &RequestHead<'_>, pages: &Pages, host: &impl LoginHost) -> Reply {
        let has_coordinator = host.has_coordinator();
        let shared = match self.report(true, host.now()) {
            Some(report) if has_coordinator => host.report_status(report).await,
            _ => None,
        };
        let now = host.now();
        let (own, since) = self.state.with(|state| (state.counters.clone(), state.since));
        let counters = shared.as_ref().map(|text| {
            let mut counters = Counters::default();
            counters.add(text, now);
            counters
        });
        let issuers = self.keys.iter().take(limits::MAX_STATUS_KEYS);
        let page = Page {
            digest: &self.digest,
            now,
            is_shared: shared.is_some(),
            has_coordinator,
            since,
            counters: &counters.unwrap_or(own),
            issuers: issuers.map(|(cache, algorithms)| Issuer::of(cache, algorithms)).collect(),
            omitted_issuers: self.keys.len().saturating_sub(limits::MAX_STATUS_KEYS),
        };
        if prefers_json(head) { page.json() } else { page.html(pages) }.with("vary", "accept")
    }
}

/// Returns the outcome of a [report](StatusReport) to the store of all instances: the sum of the stored counts and the report's, without
/// those of more than an hour ago.
#[must_use]
pub fn merged_counts(stored: &str, report: &str, now: UnixTime) -> CoordinatorOutcome {
    let mut counters = Counters::default();
    counters.add(stored, now);
    counters.add(report, now);
    CoordinatorOutcome::stored(counters.to_text(), now.millis().saturating_add(limits::STATUS_MINUTES as i64 * 60_000))
}

impl Gateway {
    /// Returns whether requests are counted: there is a status route.
    #[must_use]
    pub const fn counts_requests(&self) -> bool {
        self.status.is_some()
    }

    /// Counts a request, for the status route.
    pub fn count(&self, event: &RequestEvent<'_>, answered: Answered, now: UnixTime) {
        if let Some(status) = &self.status {
            status.count(event, answered, now);
        }
    }

    /// Returns the counts to [report](LoginHost::report_status), which takes a while: a host does it in the background. `None` if there is
    /// no status route, no coordinator, or the last report was lately.
    pub fn due_status_report(&self, host: &impl LoginHost) -> Option<StatusReport> {
        self.status.as_ref().filter(|_| host.has_coordinator())?.report(false, host.now())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use serde_json::Value;

    use super::SECRET_MEMBERS;

    /// Collects the properties of a schema that describe themselves as a key or a secret.
    fn secrets(schema: &Value, found: &mut Vec<String>) {
        if let Some(properties) = schema["properties"].as_object() {
            for (name, property) in properties {
                let is_secret = ["secret", "secrets", "key"]
                    .iter()
                    .any(|end| name == end || name.strip_suffix(end).is_some_and(|start| start.ends_with('_')));
                let tells = property["description"].as_str().unwrap_or_default().contains("have this secret");
                if is_secret || tells {
                    found.push(name.to_string());
                }
            }
        }
        match schema {
            Value::Object(members) => members.values().for_each(|one| secrets(one, found)),
            Value::Array(items) => items.iter().for_each(|one| secrets(one, found)),
            _ => {}
        }
    }

    #[test]
    fn no_secret_of_the_configuration_is_in_its_digest() {
        let schema = serde_json::from_str(include_str!("../../edgeward.schema.json")).unwrap();
        let mut found = Vec::new();
        secrets(&schema, &mut found);
        assert!(found.len() >= SECRET_MEMBERS.len(), "{found:?}");
        // `key` is a member of `decryption_keys`, which is left out as a whole.
        let missing: Vec<&String> =
            found.iter().filter(|name| *name != "key" && !SECRET_MEMBERS.contains(&name.as_str())).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
