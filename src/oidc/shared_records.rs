//! Small records shared by all instances: identifiers that may be used once, and values that only grow.
//!
//! A Worker stores them in Durable Objects beside the sessions' coordinators. [`SharedRecords`] is the same in memory.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use core::fmt;

use super::LoginHost;
use crate::base64url;
use crate::crypto::sha256;
use crate::io::{UnixTime, Unreachable};
use crate::limits;
use crate::text::{concat, signed_decimal};

/// A message to an object with shared records.
pub struct SharedMessage {
    /// The object's name; see [`shared_object`].
    pub object: String,
    /// The requested action.
    pub action: SharedAction,
    /// Expiry in milliseconds since 1970, value and id of a record, separated by spaces.
    pub text: String,
    /// The time limit for the response, in milliseconds.
    pub timeout_ms: u32,
}

/// A response to a [`SharedMessage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedResponse {
    /// 200: done. 400: the message is malformed. 507: the object is full.
    pub status: u16,
    /// The value of the record; empty if there was none.
    pub text: String,
}

/// An action on a shared record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedAction {
    /// Creates the record, unless it exists, and returns the former value.
    Once,
    /// Raises the record's value and expiry to those of the message, and returns the former value.
    Record,
    /// Returns the record's value.
    Read,
}

impl SharedAction {
    /// Returns its name, for URLs and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Record => "record",
            Self::Read => "read",
        }
    }
}

/// Why an object did not say whether an id was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareError {
    /// It has no room for a further record.
    Full,
    /// It did not respond.
    Unreachable,
}

impl fmt::Display for ShareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the object is full",
            Self::Unreachable => "the object did not respond",
        })
    }
}

impl core::error::Error for ShareError {}

/// Returns the name of the object for `key`. It does not reveal the key, and differs from those of other purposes and of sessions, which
/// have no period in them.
#[must_use]
pub fn shared_object(purpose: &str, key: &str) -> String {
    concat(&[purpose, ".", &base64url::encode(&sha256(key.as_bytes()))])
}

/// Returns whether this is the first use of `id`, and remembers it until `until`.
///
/// # Errors
/// If the object does not respond, or is full: the id may have been used.
pub async fn use_once(
    object: String,
    id: &str,
    until: UnixTime,
    timeout_ms: u32,
    host: &impl LoginHost,
) -> Result<bool, ShareError> {
    match send(object, SharedAction::Once, id, (1, until), timeout_ms, host).await {
        Ok(response) if response.status == SUCCESS => Ok(response.text.is_empty()),
        Ok(response) if response.status == FULL => Err(ShareError::Full),
        _ => Err(ShareError::Unreachable),
    }
}

/// Raises the value of a record to `value`, at least until `until`.
///
/// # Errors
/// If the object does not respond, or is full: the value may not be stored.
pub async fn raise_record(
    object: String,
    id: &str,
    (value, until): (i64, UnixTime),
    timeout_ms: u32,
    host: &impl LoginHost,
) -> Result<(), Unreachable> {
    send(object, SharedAction::Record, id, (value, until), timeout_ms, host).await.and_then(text_of).map(drop)
}

/// Reads the value of a record; `None` if there is none.
///
/// # Errors
/// If the object does not respond.
pub async fn read_record(
    object: String,
    id: &str,
    timeout_ms: u32,
    host: &impl LoginHost,
) -> Result<Option<i64>, Unreachable> {
    let response = send(object, SharedAction::Read, id, (0, UnixTime::from_millis(0)), timeout_ms, host).await?;
    let text = text_of(response)?;
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|_| Unreachable::GivenUp) }
}

async fn send(
    object: String,
    action: SharedAction,
    id: &str,
    (value, until): (i64, UnixTime),
    timeout_ms: u32,
    host: &impl LoginHost,
) -> Result<SharedResponse, Unreachable> {
    // Hashed, so that no id is longer than a key of the storage may be.
    let id = base64url::encode(&sha256(id.as_bytes()));
    let text = concat(&[&signed_decimal(until.millis()), " ", &signed_decimal(value), " ", &id]);
    host.share(SharedMessage { object, action, text, timeout_ms }).await
}

fn text_of(response: SharedResponse) -> Result<String, Unreachable> {
    if response.status == SUCCESS { Ok(response.text) } else { Err(Unreachable::GivenUp) }
}

const SUCCESS: u16 = 200;
const MALFORMED: u16 = 400;
const FULL: u16 = 507;

/// Shared records in memory, for a server of one instance, and for tests. Bounded: each object has at most
/// [`MAX_SHARED_RECORDS`](limits::MAX_SHARED_RECORDS) records.
///
/// ```
/// use edgeward::io::UnixTime;
/// use edgeward::oidc::{SharedAction, SharedMessage, SharedRecords};
///
/// let mut records = SharedRecords::default();
/// let mut once = |second| {
///     let (object, text) = ("replay.a".into(), "5000 1 id".into());
///     let message = SharedMessage { object, action: SharedAction::Once, text, timeout_ms: 1000 };
///     records.handle(&message, UnixTime::from_secs(second)).text
/// };
/// assert_eq!(once(0), "");
/// assert_eq!(once(4), "1", "the second use");
/// assert_eq!(once(5), "", "expired");
/// ```
#[derive(Default)]
pub struct SharedRecords(BTreeMap<String, BTreeMap<String, Record>>);

struct Record {
    value: i64,
    until_ms: i64,
}

impl SharedRecords {
    /// Handles a message.
    pub fn handle(&mut self, message: &SharedMessage, now: UnixTime) -> SharedResponse {
        let mut parts = message.text.splitn(3, ' ');
        let (until_ms, value) = (next_number(&mut parts), next_number(&mut parts));
        let (Some(until_ms), Some(value), Some(id)) = (until_ms, value, parts.next()) else {
            return SharedResponse { status: MALFORMED, text: String::new() };
        };
        for records in self.0.values_mut() {
            records.retain(|_, record| now.millis() < record.until_ms);
        }
        self.0.retain(|_, records| !records.is_empty());
        let records = self.0.get(&message.object);
        let former = records.and_then(|records| records.get(id)).map(|record| (record.value, record.until_ms));
        let text = former.map(|(value, _)| value.to_string()).unwrap_or_default();
        let is_stored = match message.action {
            SharedAction::Once => former.is_some(),
            SharedAction::Record => false,
            SharedAction::Read => true,
        };
        if !is_stored {
            if former.is_none() && records.is_some_and(|records| records.len() >= limits::MAX_SHARED_RECORDS) {
                return SharedResponse { status: FULL, text };
            }
            let (former_value, former_until_ms) = former.unwrap_or((i64::MIN, i64::MIN));
            let record = Record { value: value.max(former_value), until_ms: until_ms.max(former_until_ms) };
            self.0.entry(message.object.clone()).or_default().insert(id.into(), record);
        }
        SharedResponse { status: SUCCESS, text }
    }
}

fn next_number<'t>(parts: &mut impl Iterator<Item = &'t str>) -> Option<i64> {
    parts.next()?.parse().ok()
}

impl fmt::Debug for SharedRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedRecords").field("objects", &self.0.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for SharedMessage {
    /// Omits object and id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMessage").field("action", &self.action).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::{SharedAction, SharedMessage, SharedRecords, shared_object};
    use crate::io::UnixTime;
    use crate::limits;
    use crate::text::{concat, decimal};

    fn ask(records: &mut SharedRecords, now_ms: i64, action: SharedAction, text: &str) -> (u16, alloc::string::String) {
        let message = SharedMessage { object: "o".into(), action, text: text.into(), timeout_ms: 0 };
        let response = records.handle(&message, UnixTime::from_millis(now_ms));
        (response.status, response.text)
    }

    /// The table of `tests/node/shared_records.test.mjs`.
    #[test]
    fn an_id_is_used_once_until_it_expires_and_values_only_grow() {
        use SharedAction::{Once, Read, Record};
        let mut records = SharedRecords::default();
        for (now_ms, action, text, status, former) in [
            (0, Read, "0 0 a", 200, ""),
            (0, Once, "5000 1 a", 200, ""),
            (0, Once, "5000 1 a", 200, "1"),
            (0, Once, "5000 1 b", 200, ""),
            (4999, Once, "9000 1 a", 200, "1"),
            (5000, Read, "0 0 a", 200, ""),
            (5000, Once, "9000 1 a", 200, ""),
            (5000, Record, "9000 7 r", 200, ""),
            (5000, Record, "8000 3 r", 200, "7"),
            (5000, Record, "7000 9 r", 200, "7"),
            (8999, Read, "0 0 r", 200, "9"),
            (9000, Read, "0 0 r", 200, ""),
            (9000, Record, "9999 -2 r", 200, ""),
            (9000, Read, "0 0 r", 200, "-2"),
            (9000, Once, "", 400, ""),
            (9000, Once, "x 1 a", 400, ""),
            (9000, Once, "1 1", 400, ""),
            (9000, Read, "1 x a", 400, ""),
        ] {
            assert_eq!(ask(&mut records, now_ms, action, text), (status, former.to_string()), "{now_ms} {text}");
        }
    }

    #[test]
    fn a_full_object_refuses_new_ids_until_some_expire() {
        let mut records = SharedRecords::default();
        let objects = records.0.entry("o".into()).or_default();
        for number in 0..limits::MAX_SHARED_RECORDS as u64 {
            let until_ms = if number == 0 { 5000 } else { 9000 };
            objects.insert(decimal(number), super::Record { value: 1, until_ms });
        }
        let mut once = |now_ms, id| ask(&mut records, now_ms, SharedAction::Once, &concat(&["9000 1 ", id]));
        assert_eq!(once(0, "new"), (507, "".into()));
        assert_eq!(once(0, "1"), (200, "1".into()));
        assert_eq!(once(5000, "new"), (200, "".into()));
        assert_eq!(once(5000, "newer"), (507, "".into()));
    }

    #[test]
    fn objects_of_different_purposes_and_sessions_have_different_names() {
        let name = shared_object("replay", "key");
        assert!(name.starts_with("replay.") && !name.contains("key"), "{name}");
        assert_ne!(name, shared_object("revoked", "key"));
        assert_ne!(name, shared_object("replay", "key2"));
    }
}
