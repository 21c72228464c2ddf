//! What goes back to JavaScript, as JSON, and what comes from there about a fetch.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use edgeward::http::Reply;
use edgeward::io::{Incoming, Outgoing, Unreachable};
use edgeward::json::{Document, Number, Value};
use edgeward::jwk::{Answer, EdgeEntry, KeyCache, KeysError};

use crate::json;

/// Why there is no verified token, for programs (`code`), for people (`message`), and as an HTTP answer.
pub(crate) struct Refusal {
    code: &'static str,
    message: String,
    reply: Reply,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, message: String, reply: Reply) -> Self {
        Self { code, message, reply }
    }
}

fn write(output: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        output.extend_from_slice(part.as_bytes());
    }
}

/// Writes a list, `[a,b]` or `{a,b}`.
fn list<T>(
    output: &mut Vec<u8>,
    brackets: [&str; 2],
    items: impl IntoIterator<Item = T>,
    one: impl Fn(&mut Vec<u8>, T),
) {
    let [open, close] = brackets;
    write(output, &[open]);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            write(output, &[","]);
        }
        one(output, item);
    }
    write(output, &[close]);
}

pub(crate) fn refusal(output: &mut Vec<u8>, refusal: &Refusal) {
    let Refusal { code, message, reply } = refusal;
    output.clear();
    write(output, &[r#"{"code":""#, code, r#"","message":"#, &json(message)]);
    write(output, &[r#","reply":{"status":"#, &reply.status.to_string(), r#","headers":"#]);
    list(output, ["{", "}"], &reply.headers, |output, (name, value)| write(output, &[&json(name), ":", &json(value)]));
    write(output, &[r#","body":"#, &json(&reply.body), "}}"]);
}

pub(crate) fn invalid_option(output: &mut Vec<u8>, option: &str, reason: &str) {
    let message = if option.is_empty() { reason.into() } else { [option, " ", reason].concat() };
    refusal(output, &Refusal::new("options_invalid", message, misconfigured("options_invalid")));
}

pub(crate) fn internal(output: &mut Vec<u8>) {
    let message = "the verifier is gone".into();
    refusal(output, &Refusal::new("internal_error", message, misconfigured("internal_error")));
}

/// The caller of the API sees a fault of the server, not what it is.
fn misconfigured(code: &str) -> Reply {
    Reply::problem(500, code, "The server cannot check tokens.")
}

pub(crate) fn numbers(output: &mut Vec<u8>, numbers: &[u32]) {
    output.clear();
    list(output, ["[", "]"], numbers, |output, number| write(output, &[&number.to_string()]));
}

pub(crate) fn outgoing(output: &mut Vec<u8>, outgoing: &Outgoing) {
    output.clear();
    write(output, &[r#"{"url":"#, &json(&outgoing.url), r#","headers":"#]);
    list(output, ["{", "}"], &outgoing.headers, |output, (name, value)| {
        write(output, &[&json(name), ":", &json(value)])
    });
    let (timeout, limit) = (outgoing.timeout_ms.to_string(), outgoing.max_body_bytes.to_string());
    write(output, &[r#","timeoutMs":"#, &timeout, r#","maxBytes":"#, &limit, "}"]);
}

pub(crate) fn read(kind: u32, head: &[u8], body: &[u8]) -> Answer {
    match kind {
        0 => Answer::Edge(None),
        1 => Answer::Edge(Some(body.to_vec())),
        3 => Answer::Http(incoming(head, body).ok_or(Unreachable)),
        _ => Answer::Http(Err(Unreachable)),
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

pub(crate) fn finished(output: &mut Vec<u8>, asked_provider: bool, edge: Option<&EdgeEntry>, error: Option<KeysError>) {
    output.clear();
    write(output, &[r#"{"askedProvider":"#, if asked_provider { "true" } else { "false" }]);
    if let Some(edge) = edge {
        write(output, &[r#","edge":{"key":"#, &json(&edge.key), r#","value":"#, &json(&edge.value)]);
        write(output, &[r#","maxAge":"#, &edge.max_age_s.to_string(), "}"]);
    }
    if let Some(error) = error {
        write(output, &[r#","error":""#, error.code(), r#"","message":"#, &json(&error.to_string())]);
    }
    write(output, &["}"]);
}

/// The answer about a fetch whose verifier is gone.
pub(crate) fn void(output: &mut Vec<u8>) {
    finished(output, true, None, None);
}

pub(crate) fn keys<'k>(output: &mut Vec<u8>, caches: impl IntoIterator<Item = &'k KeyCache>) {
    output.clear();
    list(output, ["[", "]"], caches, |output, cache| {
        write(output, &[r#"{"issuer":"#, &json(cache.issuer())]);
        match cache.status() {
            Some(status) => {
                write(output, &[r#","loaded":true,"kids":"#]);
                list(output, ["[", "]"], &status.kids, |output, kid| {
                    write(output, &[&kid.as_deref().map_or_else(|| "null".into(), json)]);
                });
                write(output, &[r#","skipped":"#, &status.skipped.to_string()]);
                // A fixed set was never fetched and never ages.
                if status.fetched_at.millis() > 0 {
                    write(output, &[r#","fetchedAt":"#, &status.fetched_at.secs().to_string()]);
                    write(output, &[r#","freshUntil":"#, &status.fresh_until.secs().to_string()]);
                }
                write(output, &["}"]);
            }
            None => write(output, &[r#","loaded":false,"kids":[],"skipped":0}"#]),
        }
    });
}
