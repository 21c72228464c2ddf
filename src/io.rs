//! The outside world as plain data: instants, requests to send and their responses.

use alloc::string::String;
use alloc::vec::Vec;

use crate::limits;
use crate::text::{concat, decimal};
use crate::url::without_query;

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime(i64);

impl UnixTime {
    /// Creates an instant from milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Creates an instant from seconds.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Returns the time in milliseconds.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Returns the time in whole seconds, rounded down.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

const ACCEPT: &str = "application/json, application/jwk-set+json";
const USER_AGENT: &str = concat!("edgeward/", env!("CARGO_PKG_VERSION"));

/// A request for the host to send, with no headers but these and without following redirects.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The absolute URL.
    pub url: String,
    /// The header names and values.
    pub headers: Vec<(&'static str, String)>,
    /// The body of a `POST`.
    pub body: Option<String>,
    /// Time until the whole response must have arrived, in milliseconds.
    pub timeout_ms: u32,
    /// Longest response body, in bytes: past it, the attempt is aborted and fails.
    pub max_body_bytes: usize,
}

impl core::fmt::Debug for Outgoing {
    /// Omits headers and body: they may contain credentials.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Outgoing").field("method", &self.method).field("url", &self.url).finish_non_exhaustive()
    }
}

/// The response to an [`Outgoing`] request.
#[derive(Clone, Default)]
pub struct Incoming {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type`
    pub content_type: Option<String>,
    /// `Cache-Control`
    pub cache_control: Option<String>,
    /// `Age`
    pub age: Option<String>,
    /// `Retry-After`
    pub retry_after: Option<String>,
    /// `DPoP-Nonce`
    pub dpop_nonce: Option<String>,
    /// `WWW-Authenticate`
    pub www_authenticate: Option<String>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl core::fmt::Debug for Incoming {
    /// Omits the body: it may contain tokens.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Incoming").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Outgoing {
    /// Creates a GET for a provider's JSON document.
    pub(crate) fn get(url: String) -> Self {
        Self {
            method: "GET",
            url,
            // Some servers and firewalls refuse requests without these.
            headers: Vec::from([("accept", ACCEPT.into()), ("user-agent", USER_AGENT.into())]),
            body: None,
            timeout_ms: limits::FETCH_TIMEOUT_MS,
            max_body_bytes: limits::MAX_PROVIDER_BODY_BYTES,
        }
    }
}

impl Incoming {
    /// Returns whether the content type is this one, with any parameters.
    #[cfg(feature = "gateway")]
    pub(crate) fn has_media_type(&self, expected: &str) -> bool {
        media_type(self.content_type.as_deref()).eq_ignore_ascii_case(expected)
    }

    /// Returns `Cache-Control: max-age` less `Age`, in seconds; 0 for `no-store` and `no-cache`; `None` without any of them.
    #[must_use]
    pub fn fresh_for_s(&self) -> Option<i64> {
        let directives = self.cache_control.as_deref()?.split(',').map(str::trim);
        let mut max_age = None;
        for directive in directives {
            if directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("no-cache") {
                return Some(0);
            }
            if let Some((name, value)) = directive.split_once('=')
                && name.trim().eq_ignore_ascii_case("max-age")
            {
                max_age = value.trim().trim_matches('"').parse::<u32>().ok();
            }
        }
        let age = self.age.as_deref().and_then(|age| age.trim().parse::<u32>().ok()).unwrap_or(0);
        max_age.map(|max_age| i64::from(max_age.saturating_sub(age)))
    }

    /// Returns `Retry-After` (RFC 9110 §10.2.3) in seconds from now, rounded up; 0 if it is in the past. `None` if there is none, or it is
    /// malformed.
    #[must_use]
    pub fn retry_after_s(&self, now: UnixTime) -> Option<i64> {
        let text = self.retry_after.as_deref()?.trim();
        let seconds = text.parse::<u32>().ok().map(i64::from);
        seconds.or_else(|| Some(http_date_s(text)?.saturating_sub(now.secs()).max(0)))
    }
}

/// Returns the `Retry-After` of a response, in seconds.
pub(crate) fn retry_after_s(response: &Result<Incoming, Unreachable>, now: UnixTime) -> Option<i64> {
    response.as_ref().ok()?.retry_after_s(now)
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Returns the time of an HTTP date in the form that senders must use (IMF-fixdate, RFC 9110 §5.6.7), in seconds since 1970. What day of the
/// week it names does not matter.
fn http_date_s(text: &str) -> Option<i64> {
    let is_at = |(at, part): (usize, &str)| text.get(at..at + part.len()) == Some(part);
    let parts = [(3, ", "), (7, " "), (11, " "), (16, " "), (19, ":"), (22, ":"), (25, " GMT")];
    if text.len() != 29 || !parts.into_iter().all(is_at) {
        return None;
    }
    let number = |from: usize, len: usize| text.get(from..from + len)?.parse::<u16>().ok().map(i64::from);
    let month = text.get(8..11).and_then(|name| MONTHS.iter().position(|one| *one == name))? as i64;
    let (day, year) = (number(5, 2)?, number(12, 4)?);
    let (hour, minute, second) = (number(17, 2)?, number(20, 2)?, number(23, 2)?);
    // The last one may be a leap second.
    if !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Years and months from March on: the leap day is the last of its year.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days =
        year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (month * 153 + 2) / 5 + day;
    Some((days - 719_469) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Returns the media type of a `Content-Type`, without its parameters; empty if there is none.
#[cfg(feature = "gateway")]
pub(crate) fn media_type(content_type: Option<&str>) -> &str {
    content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim()
}

/// Returns whether less than `period_ms` have passed since a time. If that is in the future, the clock went back, and nothing is known.
pub(crate) fn is_within(period_ms: i64, since_ms: i64, now_ms: i64) -> bool {
    (0..period_ms).contains(&now_ms.saturating_sub(since_ms))
}

/// Describes the response to a request, for the log: the URL without its query, and the status; 0 if there was no response.
pub(crate) fn described(url: &str, status: u16) -> String {
    let url = without_query(url);
    if status == 0 { concat(&[url, " did not respond"]) } else { concat(&[url, " answered ", &decimal(status.into())]) }
}

/// Returns the status of a response; 0 if there was none.
pub(crate) fn status_of(response: &Result<Incoming, Unreachable>) -> u16 {
    response.as_ref().map_or(0, |response| response.status)
}

/// An entry for a cache that all instances of the program share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeEntry {
    /// The key, a URL.
    pub key: String,
    /// The value.
    pub value: String,
    /// Longest time to cache the entry, in seconds.
    pub max_age_s: i64,
}

/// Why there is no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreachable {
    /// The network failed: no address, a connection refused or reset. Where it is safe, the request is retried once, at once.
    Network,
    /// The host gave up: the timeout passed, or the body was too large. A retry would fare no better.
    GivenUp,
}

impl core::fmt::Display for Unreachable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Network => "the network failed",
            Self::GivenUp => "no complete response within the limits",
        })
    }
}

impl core::error::Error for Unreachable {}

#[cfg(test)]
mod tests {
    use super::{Incoming, UnixTime};

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now_ms = 1_795_208_400_500;
        for (text, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Fri, 20 Nov 2026 21:02:00 GMT", Some(120)),
            ("Fri, 20 Nov 2026 21:00:01 GMT", Some(1)),
            ("Fri, 20 Nov 2026 21:00:00 GMT", Some(0)),
            ("Fri, 20 Nov 2026 20:00:00 GMT", Some(0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sat, 01 Jan 2028 00:00:00 GMT", Some(35_089_200)),
            ("Tue, 29 Feb 2028 00:00:00 GMT", Some(35_089_200 + 59 * 86_400)),
            ("Wed, 01 Mar 2028 00:00:00 GMT", Some(35_089_200 + 60 * 86_400)),
            ("Sun, 31 Dec 2028 23:59:60 GMT", Some(35_089_200 + 366 * 86_400)),
            ("Mon, 01 Mar 2100 00:00:00 GMT", Some(4_107_542_400 - 1_795_208_400)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799 - 1_795_208_400)),
            ("", None),
            ("soon", None),
            ("-5", None),
            ("1.5", None),
            // Obsolete forms, and malformed ones.
            ("Friday, 20-Nov-26 21:02:00 GMT", None),
            ("Fri Nov 20 21:02:00 2026", None),
            ("Fri, 20 Nov 2026 21:02:00 UTC", None),
            ("Fri, 20 Nov 2026 21:02:00", None),
            ("Fri, 20 Nov 2026 21:02:00 GMT+1", None),
            ("Fri, 20 nov 2026 21:02:00 GMT", None),
            ("Fri, 00 Nov 2026 21:02:00 GMT", None),
            ("Fri, 32 Nov 2026 21:02:00 GMT", None),
            ("Fri, 20 Nov 2026 24:00:00 GMT", None),
            ("Fri, 20 Nov 2026 21:60:00 GMT", None),
            ("Fri, 20 Nov 2026 21:02:61 GMT", None),
            ("Fri, -1 Nov 2026 21:02:00 GMT", None),
            ("Fri, 20 Nov 20é6 21:02:0 GMT", None),
            ("ééé Nov 2026 21:02:00 GMT....", None),
        ] {
            let answer = Incoming { retry_after: Some(text.into()), ..Incoming::default() };
            assert_eq!(answer.retry_after_s(UnixTime::from_millis(now_ms)), expected, "{text}");
        }
        assert_eq!(Incoming::default().retry_after_s(UnixTime::from_millis(now_ms)), None);
    }

    #[test]
    fn freshness_comes_from_max_age_less_age() {
        for (cache_control, age, expected) in [
            ("public, max-age=300", None, Some(300)),
            ("max-age=300", Some("100"), Some(200)),
            ("max-age=300", Some("400"), Some(0)),
            ("max-age=300, no-store", None, Some(0)),
            ("public", None, None),
            ("max-age=soon", None, None),
        ] {
            let answer =
                Incoming { cache_control: Some(cache_control.into()), age: age.map(Into::into), ..Incoming::default() };
            assert_eq!(answer.fresh_for_s(), expected, "{cache_control}");
        }
    }
}
