//! The status as a page and as JSON.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::VERSION;
use super::counters::{CACHE_HITS, CACHE_MISSES, COUNTS, Counters, REFRESH_FAILED, REFRESHED};
use super::texts::explanation;
use crate::gateway::event::RequestOutcome;
use crate::http::page::{Pages, push_element};
use crate::http::{PRIVATE, Reply};
use crate::io::UnixTime;
use crate::json::push_quoted;
use crate::jwk::{KeyCache, KeyStatus, KeysFailure, PublishedKey};
use crate::jwt::Algorithm;
use crate::limits::{MAX_STATUS_KEYS, STATUS_MINUTES};
use crate::text::{concat, decimal, signed_decimal};

/// What the status route shows.
pub(super) struct Page<'p> {
    pub(super) digest: &'p str,
    pub(super) now: UnixTime,
    /// Whether the counts are those of all instances.
    pub(super) is_shared: bool,
    pub(super) has_coordinator: bool,
    /// The time of this instance's first request.
    pub(super) since: Option<UnixTime>,
    pub(super) counters: &'p Counters,
    pub(super) issuers: Vec<Issuer>,
    pub(super) omitted_issuers: usize,
}

/// An issuer, with its keys as this instance has them.
pub(super) struct Issuer {
    name: String,
    status: Option<KeyStatus>,
    failure: Option<KeysFailure>,
    keys: Vec<PublishedKey>,
}

/// In addition to that of all pages.
const STYLE: &str = "\
:root{--bad:#b3261e}@media(prefers-color-scheme:dark){:root{--bad:#ff9d94}}\
main{max-width:62rem}h2{margin:2rem 0 .75rem;font-size:1.1rem}h3{margin:1.25rem 0 .25rem;font-size:1rem}p{margin:0 0 .5rem}\
section{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:1.25rem;margin-bottom:1rem}figure{margin:0}\
figcaption{display:flex;justify-content:space-between}svg{display:block;width:100%;height:3.5rem;fill:var(--mark);\
border-bottom:1px solid color-mix(in srgb,var(--ink) 35%,transparent)}.bad{fill:var(--bad)}\
ul{list-style:none;padding:0}li{padding:.5rem 0;border-top:1px solid color-mix(in srgb,var(--ink) 14%,transparent)}";

impl Issuer {
    pub(super) fn of(cache: &KeyCache, algorithms: &[Algorithm]) -> Self {
        Self {
            name: cache.issuer().into(),
            status: cache.status(),
            failure: cache.last_failure(),
            keys: cache.published(algorithms),
        }
    }

    /// Returns whether the keys are part of the configuration.
    fn is_fixed(status: &KeyStatus) -> bool {
        status.fresh_until.millis() == i64::MAX
    }
}

impl Page<'_> {
    pub(super) fn json(&self) -> Reply {
        let mut json = concat(&[
            r#"{"version":""#,
            VERSION,
            r#"","configuration":""#,
            self.digest,
            r#"","time":"#,
            &signed_decimal(self.now.secs()),
            r#","scope":""#,
            if self.is_shared { "all" } else { "isolate" },
            r#"","since":"#,
            &time(self.since),
            r#","last_hour":{"#,
        ]);
        for (at, name) in COUNTS.into_iter().enumerate() {
            json.push_str(if at == 0 { "\"" } else { "],\"" });
            json.push_str(name);
            json.push_str("\":");
            for (index, count) in self.counters.series(at, self.now).into_iter().enumerate() {
                json.push(if index == 0 { '[' } else { ',' });
                json.push_str(&decimal(count.into()));
            }
        }
        json.push_str("]},\"refusals\":[");
        for (index, refusal) in self.counters.refusals(self.now).into_iter().enumerate() {
            json.push_str(if index == 0 { "" } else { "," });
            member(&mut json, "{\"code\":", Some(&refusal.code));
            for (name, number) in [
                (",\"count\":", i64::from(refusal.count)),
                (",\"first\":", refusal.first_s),
                (",\"last\":", refusal.last_s),
            ] {
                json.push_str(name);
                json.push_str(&signed_decimal(number));
            }
            member(&mut json, ",\"route\":", Some(refusal.route.as_str()).filter(|route| !route.is_empty()));
            member(&mut json, ",\"explanation\":", Some(explanation(&refusal.code)));
            json.push('}');
        }
        json.push_str("],\"issuers\":[");
        for (index, issuer) in self.issuers.iter().enumerate() {
            json.push_str(if index == 0 { "" } else { "," });
            member(&mut json, "{\"issuer\":", Some(&issuer.name));
            let status = issuer.status.as_ref().filter(|status| !Issuer::is_fixed(status));
            json.push_str(",\"fetched\":");
            json.push_str(&time(status.map(|status| status.fetched_at)));
            json.push_str(",\"fresh_until\":");
            json.push_str(&time(status.map(|status| status.fresh_until)));
            member(&mut json, ",\"failure\":", issuer.failure.as_ref().map(|failure| failure.error.code()));
            json.push_str(",\"keys\":[");
            for (index, key) in issuer.keys.iter().take(MAX_STATUS_KEYS).enumerate() {
                json.push_str(if index == 0 { "" } else { "," });
                member(&mut json, "{\"kid\":", key.kid.as_deref());
                member(&mut json, ",\"algorithm\":", key.algorithm.map(Algorithm::name));
                member(&mut json, ",\"unusable\":", key.unusable.as_deref());
                json.push('}');
            }
            json.push_str("]}");
        }
        json.push_str("]}\n");
        Reply { body: json, ..Reply::new(200) }.with("content-type", "application/json").with("cache-control", PRIVATE)
    }

    pub(super) fn html(&self, pages: &Pages) -> Reply {
        let mut html = pages.begin("en", "Gateway status", STYLE);
        html.push_str("<h1>Gateway status</h1><p>Edgeward ");
        html.push_str(&concat(&[
            VERSION,
            ", configuration <code title=\"",
            self.digest,
            "\">",
            self.digest.get(..12).unwrap_or_default(),
            "</code>, at ",
            &clock(self.now),
            " UTC.</p><p>",
        ]));
        html.push_str(match (self.is_shared, self.has_coordinator) {
            (true, _) => "Counts of all isolates, each of which reports every few seconds.",
            (false, true) => {
                "Counts of this isolate only: the Durable Object <code>EDGEWARD_SESSIONS</code> does not respond."
            }
            (false, false) => "Counts of this isolate only: <code>EDGEWARD_SESSIONS</code> is not bound.",
        });
        if let Some(since) = self.since.filter(|_| !self.is_shared) {
            html.push_str(&concat(&[" It began ", &ago(since, self.now), "."]));
        }
        html.push_str("</p><h2>Requests in the last hour</h2><section>");
        for (at, name) in RequestOutcome::NAMES.into_iter().enumerate() {
            push_plot(&mut html, name, &self.counters.series(at, self.now), at >= RequestOutcome::Refused as usize);
        }
        let sum = |at: usize| self.counters.series(at, self.now).into_iter().map(u64::from).sum::<u64>();
        let (hits, misses) = (sum(CACHE_HITS), sum(CACHE_MISSES));
        let share = (hits * 100).checked_div(hits + misses).unwrap_or_default();
        html.push_str(&concat(&[
            "</section><p>Each bar is a minute. Bearer tokens that had been verified before: ",
            &decimal(hits),
            " of ",
            &decimal(hits + misses),
            " (",
            &decimal(share),
            " %). Sessions refreshed: ",
            &decimal(sum(REFRESHED)),
            ", failed: ",
            &decimal(sum(REFRESH_FAILED)),
            ".</p><h2>Refusals and failures</h2>",
        ]));
        let refusals = self.counters.refusals(self.now);
        html.push_str(if refusals.is_empty() { "<p>None in the last hour.</p>" } else { "<ul>" });
        for refusal in &refusals {
            push_element(&mut html, "<li><code>", &refusal.code, "</code> ");
            let last = ago(UnixTime::from_secs(refusal.last_s), self.now);
            let times = match refusal.count {
                1 => last,
                count => {
                    let first = ago(UnixTime::from_secs(refusal.first_s), self.now);
                    concat(&[&decimal(count.into()), " times, first ", &first, ", last ", &last])
                }
            };
            html.push_str(&times);
            if refusal.route.is_empty() {
                html.push_str(", without a route");
            } else {
                push_element(&mut html, ", on <code>", &refusal.route, "</code>");
            }
            push_element(&mut html, "<br>", explanation(&refusal.code), "</li>");
        }
        html.push_str(if refusals.is_empty() { "<h2>Keys</h2>" } else { "</ul><h2>Keys</h2>" });
        html.push_str(if self.issuers.is_empty() { "<p>No issuer is configured.</p>" } else { "" });
        for issuer in &self.issuers {
            self.push_issuer(&mut html, issuer);
        }
        push_omitted(&mut html, self.omitted_issuers, " more issuers");
        html.push_str("<small>Keys as this isolate has them. The documentation, under Troubleshooting, has the remedy for each code.</small></main></body></html>\n");
        let reply = Reply { body: html, ..Reply::new(200) };
        pages.secured(reply, STYLE)
    }

    fn push_issuer(&self, html: &mut String, issuer: &Issuer) {
        push_element(html, "<h3>", &issuer.name, "</h3>");
        if let Some(failure) = &issuer.failure {
            push_element(html, "<p>The last fetch failed: <code>", failure.error.code(), "</code>");
            push_element(html, ", ", failure.reason.as_deref().unwrap_or(failure.error.message()), ".</p>");
        }
        let state = match &issuer.status {
            None => "Not fetched yet: the first token that needs them fetches them.".into(),
            Some(status) if Issuer::is_fixed(status) => "Part of the configuration.".into(),
            Some(status) => {
                let (fetched, left_s) = (ago(status.fetched_at, self.now), status.fresh_until.secs() - self.now.secs());
                let fresh =
                    if left_s > 0 { concat(&["fresh for ", &duration(left_s)]) } else { "due for a fetch".into() };
                concat(&["Fetched ", &fetched, ", ", &fresh, "."])
            }
        };
        push_element(html, "<p>", &state, "</p>");
        html.push_str(if issuer.keys.is_empty() { "" } else { "<ul>" });
        for key in issuer.keys.iter().take(MAX_STATUS_KEYS) {
            push_element(html, "<li><code>", key.kid.as_deref().unwrap_or("without kid"), "</code> ");
            html.push_str(key.algorithm.map_or("", Algorithm::name));
            let state =
                key.unusable.as_ref().map_or(Cow::Borrowed("usable"), |why| concat(&["not usable: ", why]).into());
            push_element(html, if key.algorithm.is_some() { ", " } else { "" }, &state, "</li>");
        }
        html.push_str(if issuer.keys.is_empty() { "" } else { "</ul>" });
        push_omitted(html, issuer.keys.len().saturating_sub(MAX_STATUS_KEYS), " more keys");
    }
}

/// Adds the bars of an hour. Screen readers get the sum and the highest bar.
fn push_plot(html: &mut String, name: &str, series: &[u32; STATUS_MINUTES], is_bad: bool) {
    let highest = series.iter().copied().max().unwrap_or_default();
    let sum = decimal(series.iter().copied().map(u64::from).sum());
    let most = decimal(highest.into());
    html.push_str(&concat(&[
        "<figure><figcaption><span>",
        name,
        "</span><b>",
        &sum,
        "</b></figcaption><svg viewBox=\"0 0 240 100\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"",
        name,
        ": at most ",
        &most,
        " in a minute\"><path",
        if is_bad { " class=\"bad\"" } else { "" },
        " d=\"",
    ]));
    for (at, count) in series.iter().enumerate().filter(|(_, count)| **count > 0) {
        // A single request among many must still be seen.
        let height = decimal((u64::from(*count) * 96).checked_div(highest.into()).unwrap_or_default() + 4);
        html.push_str(&concat(&["M", &decimal(at as u64 * 4), " 100v-", &height, "h3v", &height, "z"]));
    }
    html.push_str("\"/></svg></figure>");
}

fn push_omitted(html: &mut String, count: usize, what: &str) {
    if count > 0 {
        html.push_str(&concat(&["<p>And ", &decimal(count as u64), what, ".</p>"]));
    }
}

fn member(json: &mut String, name: &str, value: Option<&str>) {
    json.push_str(name);
    match value {
        Some(value) => push_quoted(json, value),
        None => json.push_str("null"),
    }
}

/// Returns an instant as JSON, in seconds.
fn time(at: Option<UnixTime>) -> String {
    at.map_or_else(|| "null".into(), |at| signed_decimal(at.secs()))
}

/// Returns the time of day.
fn clock(at: UnixTime) -> String {
    let second = at.secs().rem_euclid(86_400);
    let two = |number: i64| {
        let digits = signed_decimal(number);
        if number < 10 { concat(&["0", &digits]) } else { digits }
    };
    concat(&[&two(second / 3600), ":", &two(second / 60 % 60), ":", &two(second % 60)])
}

fn ago(at: UnixTime, now: UnixTime) -> String {
    concat(&[&duration(now.secs().saturating_sub(at.secs())), " ago"])
}

fn duration(seconds: i64) -> String {
    let (number, unit) = match seconds {
        ..120 => (seconds.max(0), " s"),
        120..7200 => (seconds / 60, " min"),
        _ => (seconds / 3600, " h"),
    };
    concat(&[&signed_decimal(number), unit])
}
