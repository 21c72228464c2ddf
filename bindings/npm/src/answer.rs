//! What goes back to JavaScript, as JSON, and what comes from there about a fetch.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;

use edgeward::http::Reply;
use edgeward::io::{EdgeEntry, Incoming, Outgoing, Unreachable};
use edgeward::json::{Document, Number, Value, push_quoted};
use edgeward::jwk::KeyCache;
use edgeward::text::signed_decimal;

use crate::mailbox::{Answer, Sender};
use crate::tasks::News;

/// Why there is no verified token, for programs (`code`), for people (`message`), and as an HTTP answer.
pub(crate) struct Refusal {
    code: &'static str,
    message: Cow<'static, str>,
    reply: Reply,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, message: Cow<'static, str>, reply: Reply) -> Self {
        Self { code, message, reply }
    }
}

/// A refusal that the other side finds the words for.
pub(crate) fn bare_refusal(output: &mut String, code: &str) {
    output.clear();
    Json(output).raw(r#"{"code":""#).raw(code).raw(r#""}"#);
}

pub(crate) fn refusal(output: &mut String, refusal: &Refusal) {
    let Refusal { code, message, reply } = refusal;
    output.clear();
    Json(output).raw(r#"{"code":""#).raw(code).raw(r#"","message":"#).text(message);
    Json(output).raw(r#","reply":{"status":"#).number(reply.status as i64).raw(r#","headers":"#);
    headers(output, reply.headers.iter().map(|(name, value)| (&**name, value)));
    Json(output).raw(r#","body":"#).text(&reply.body).raw("}}");
}

/// An object of names and values.
fn headers<'h>(output: &mut String, headers: impl Iterator<Item = (&'h str, &'h String)>) {
    output.push('{');
    for (index, (name, value)) in headers.enumerate() {
        separate(output, index);
        Json(output).text(name).raw(":").text(value);
    }
    output.push('}');
}

/// Appends to JSON text, piece by piece.
struct Json<'o>(&'o mut String);

impl Json<'_> {
    /// A piece as it is.
    #[inline(never)]
    fn raw(self, text: &str) -> Self {
        self.0.push_str(text);
        self
    }

    /// A string.
    #[inline(never)]
    fn text(self, text: &str) -> Self {
        push_quoted(self.0, text);
        self
    }

    #[inline(never)]
    fn number(self, number: i64) -> Self {
        self.0.push_str(&signed_decimal(number));
        self
    }
}

/// A comma before every item but the first.
fn separate(output: &mut String, index: usize) {
    if index > 0 {
        output.push(',');
    }
}

fn numbers(output: &mut String, numbers: &[f64]) {
    output.push('[');
    for (index, &number) in numbers.iter().enumerate() {
        separate(output, index);
        Json(output).number(number as i64);
    }
    output.push(']');
}

/// What JavaScript has to do, and what has happened.
pub(crate) fn mail(output: &mut String, requests: &str, news: &News) {
    output.clear();
    Json(output).raw(r#"{"requests":["#).raw(requests.get(1..).unwrap_or_default()).raw(r#"],"failed":"#);
    numbers(output, &news.failed);
    output.push_str(r#","ended":"#);
    numbers(output, &news.ended);
    output.push('}');
}

/// Begins one of the requests of [`mail`], up to what it is about.
pub(crate) fn begin_request(output: &mut String, request: f64, sender: Sender, name: &str) {
    Json(output).raw(r#",{"number":"#).number(request as i64).raw(r#","call":"#).number(sender.call as i64);
    Json(output).raw(if sender.is_job { r#","isWork":true,""# } else { r#","isWork":false,""# }).raw(name).raw(r#"":"#);
}

pub(crate) fn outgoing(output: &mut String, outgoing: &Outgoing) {
    Json(output).raw(r#"{"url":"#).text(&outgoing.url).raw(r#","headers":"#);
    headers(output, outgoing.headers.iter().map(|(name, value)| (*name, value)));
    Json(output)
        .raw(r#","timeoutMs":"#)
        .number(outgoing.timeout_ms.into())
        .raw(r#","maxBytes":"#)
        .number(outgoing.max_body_bytes as i64)
        .raw("}");
}

pub(crate) fn edge_entry(output: &mut String, entry: &EdgeEntry) {
    Json(output).raw(r#"{"key":"#).text(&entry.key).raw(r#","value":"#).text(&entry.value);
    Json(output).raw(r#","maxAge":"#).number(entry.max_age_s).raw("}");
}

pub(crate) fn number(output: &mut String, number: i64) {
    Json(output).number(number);
}

/// What JavaScript answered: `kind` 0, it is done; 1, the edge cache has these bytes; 2, no reply, because the network failed; 3, a
/// reply, its status and headers as JSON, then its body; 4, no reply that was waited for or read to its end.
pub(crate) fn read(kind: u32, head: &[u8], body: &[u8]) -> Answer {
    match kind {
        0 => Answer::Done,
        1 => Answer::Edge(body.to_vec()),
        3 => Answer::Sent(incoming(head, body).ok_or(Unreachable::GivenUp)),
        4 => Answer::Sent(Err(Unreachable::GivenUp)),
        _ => Answer::Sent(Err(Unreachable::Network)),
    }
}

fn incoming(head: &[u8], body: &[u8]) -> Option<Incoming> {
    let head = Document::parse(head.to_vec(), 1).ok()?;
    let text = |name: &str| head.root().get(name).and_then(Value::as_str).map(Into::into);
    let Some(Value::Number(Number::Unsigned(status))) = head.root().get("status") else { return None };
    Some(Incoming {
        status: u16::try_from(status).ok()?,
        content_type: text("content-type"),
        cache_control: text("cache-control"),
        age: text("age"),
        retry_after: text("retry-after"),
        body: body.to_vec(),
    })
}

pub(crate) fn keys<'k>(output: &mut String, caches: impl Iterator<Item = &'k Arc<KeyCache>>) {
    output.clear();
    output.push('[');
    for (index, cache) in caches.enumerate() {
        separate(output, index);
        Json(output).raw(r#"{"issuer":"#).text(cache.issuer());
        let Some(status) = cache.status() else {
            output.push_str(r#","loaded":false,"kids":[],"skipped":0}"#);
            continue;
        };
        output.push_str(r#","loaded":true,"kids":["#);
        for (index, kid) in status.kids.iter().enumerate() {
            separate(output, index);
            match kid {
                Some(kid) => Json(output).text(kid),
                None => Json(output).raw("null"),
            };
        }
        Json(output).raw(r#"],"skipped":"#).number(status.skipped as i64);
        // A fixed set was never fetched and never ages.
        if status.fetched_at.millis() > 0 {
            let (fetched_at, fresh_until) = (status.fetched_at.secs(), status.fresh_until.secs());
            Json(output).raw(r#","fetchedAt":"#).number(fetched_at);
            Json(output).raw(r#","freshUntil":"#).number(fresh_until);
        }
        output.push('}');
    }
    output.push(']');
}
