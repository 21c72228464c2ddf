//! The messages to JavaScript, as JSON, and its responses to requests.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;

use edgeward::error::VerifyError;
use edgeward::host::{DecryptError, DecryptRequest, SignatureCheck, SignatureVerdict};
use edgeward::http::Reply;
use edgeward::io::{EdgeEntry, Incoming, Outgoing, Unreachable};
use edgeward::json::{Document, Number, Value, push_quoted};
use edgeward::jwk::KeysFailure;
use edgeward::jwt::Any;
use edgeward::text::signed_decimal;
use edgeward::{Verifier, base64url};

use crate::js_host::{Response, RunningTask};
use crate::tasks::Completions;

/// Why there is no verified token: a stable code, a message, and the HTTP response.
pub(crate) struct Refusal {
    message: Cow<'static, str>,
    reply: Reply,
    /// What is wrong with the issuer's keys.
    reason: Option<Arc<str>>,
}

impl Refusal {
    pub(crate) fn new(message: Cow<'static, str>, reply: Reply) -> Self {
        Self { message, reply, reason: None }
    }

    /// Changes the HTTP response.
    pub(crate) fn with_reply(self, change: impl FnOnce(Reply) -> Reply) -> Self {
        Self { reply: change(self.reply), ..self }
    }

    pub(crate) fn because(self, reason: Option<Arc<str>>) -> Self {
        Self { reason, ..self }
    }
}

/// Writes a refusal whose text JavaScript has.
pub(crate) fn refusal_code(output: &mut String, code: &str) {
    output.clear();
    Json(output).raw(r#"{"code":""#).raw(code).raw(r#""}"#);
}

/// Writes a refusal. `error`, if it has that cause, adds the claim concerned and the compared values.
pub(crate) fn refusal(output: &mut String, refusal: &Refusal, error: Option<&VerifyError>) {
    let Refusal { message, reply, reason } = refusal;
    let code = reply.code();
    output.clear();
    Json(output).raw(r#"{"code":""#).raw(code).raw(r#"","message":"#).text(message);
    Json(output).raw(r#","reply":{"status":"#).number(reply.status as i64).raw(r#","headers":"#);
    headers(output, reply.headers.iter().map(|(name, value)| (&**name, value)));
    Json(output).raw(r#","body":"#).text(&reply.body).raw("}");
    if let Some(reason) = reason {
        Json(output).raw(r#","reason":"#).text(reason);
    }
    if let Some(claim) = error.and_then(VerifyError::claim) {
        Json(output).raw(r#","claim":"#).text(claim);
    }
    if let Some((expected, found)) = error.and_then(VerifyError::compared) {
        for (name, values) in [(r#","expected":["#, expected), (r#","found":["#, found)] {
            output.push_str(name);
            for (index, value) in values.into_iter().enumerate() {
                separate(output, index);
                Json(output).text(value);
            }
            output.push(']');
        }
    }
    output.push('}');
}

/// Writes an object of names and values.
fn headers<'h>(output: &mut String, headers: impl Iterator<Item = (&'h str, &'h String)>) {
    output.push('{');
    for (index, (name, value)) in headers.enumerate() {
        separate(output, index);
        Json(output).text(name).raw(":").text(value);
    }
    output.push('}');
}

/// Appends to JSON text.
struct Json<'o>(&'o mut String);

impl Json<'_> {
    /// Appends JSON as it is.
    #[inline(never)]
    fn raw(self, text: &str) -> Self {
        self.0.push_str(text);
        self
    }

    /// Appends a string, quoted.
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

/// Writes a comma before every item but the first.
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

/// Writes the requests to perform, and the calls that have ended or failed.
pub(crate) fn updates(output: &mut String, requests: &str, completions: &Completions) {
    output.clear();
    Json(output).raw(r#"{"requests":["#).raw(requests.get(1..).unwrap_or_default()).raw(r#"],"failed":"#);
    numbers(output, &completions.failed);
    output.push_str(r#","ended":"#);
    numbers(output, &completions.ended);
    output.push('}');
}

/// Writes the beginning of one of the requests of [`updates`], up to its value.
pub(crate) fn begin_request(output: &mut String, request: f64, running: RunningTask, name: &str) {
    Json(output).raw(r#",{"number":"#).number(request as i64).raw(r#","call":"#).number(running.call as i64);
    Json(output).raw(if running.is_job { r#","isJob":true,""# } else { r#","isJob":false,""# }).raw(name).raw(r#"":"#);
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

pub(crate) fn signature_check(output: &mut String, check: &SignatureCheck) {
    Json(output).raw(r#"{"algorithm":""#).raw(check.algorithm.name()).raw(r#"","key":""#);
    Json(output).raw(&base64url::encode(&check.key)).raw(r#"","signature":""#);
    // The message is the signing input of a token: base64url and a dot.
    Json(output).raw(&base64url::encode(&check.signature)).raw(r#"","message":"#).text(&check.message).raw("}");
}

pub(crate) fn decrypt_request(output: &mut String, request: &DecryptRequest) {
    let DecryptRequest { algorithm, encryption, key, encrypted_key, content, aad } = request;
    Json(output).raw(r#"{"algorithm":""#).raw(algorithm).raw(r#"","encryption":""#).raw(encryption);
    Json(output).raw(r#"","key":"#).text(key).raw(r#","encryptedKey":""#).raw(&base64url::encode(encrypted_key));
    Json(output).raw(r#"","content":""#).raw(&base64url::encode(content)).raw(r#"","aad":"#).text(aad).raw("}");
}

pub(crate) fn number(output: &mut String, number: i64) {
    Json(output).number(number);
}

/// Reads a response of JavaScript. `kind` 0: done, without a value; 1: the bytes of an edge cache entry; 2: no response, because the
/// network failed; 3: a response, its status and headers as JSON, then its body; 4: given up before there was a whole response; 5 to 7: a
/// signature that is genuine, that is not, or whose key is refused; 8: the decrypted content of a token; 9: it cannot be decrypted.
pub(crate) fn read_response(kind: u32, head: &[u8], body: &[u8]) -> Response {
    match kind {
        0 => Response::Done,
        1 => Response::Edge(body.to_vec()),
        3 => Response::Sent(incoming(head, body).ok_or(Unreachable::GivenUp)),
        4 => Response::Sent(Err(Unreachable::GivenUp)),
        5 => Response::Signature(SignatureVerdict::Valid),
        6 => Response::Signature(SignatureVerdict::Invalid),
        7 => Response::Signature(SignatureVerdict::KeyRefused),
        8 => Response::Decrypted(Ok(body.to_vec())),
        9 => Response::Decrypted(Err(DecryptError::Failed)),
        _ => Response::Sent(Err(Unreachable::Network)),
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
        dpop_nonce: None,
        www_authenticate: None,
        body: body.to_vec(),
    })
}

/// Writes the status of each issuer's keys.
pub(crate) fn keys(output: &mut String, verifier: &Verifier<Any>) {
    output.clear();
    output.push('[');
    for (index, (cache, algorithms)) in verifier.keys().zip(verifier.algorithms()).enumerate() {
        separate(output, index);
        let status = cache.status();
        let loaded = if status.is_some() { "true" } else { "false" };
        Json(output).raw(r#"{"issuer":"#).text(cache.issuer()).raw(r#","loaded":"#).raw(loaded).raw(r#","keys":["#);
        for (index, key) in cache.published(algorithms).iter().enumerate() {
            separate(output, index);
            output.push_str(r#"{"kid":"#);
            match &key.kid {
                Some(kid) => Json(output).text(kid),
                None => Json(output).raw("null"),
            };
            match &key.unusable {
                Some(reason) => Json(output).raw(r#","usable":false,"reason":"#).text(reason).raw("}"),
                None => Json(output).raw(r#","usable":true}"#),
            };
        }
        output.push(']');
        if let Some(KeysFailure { error, reason }) = cache.last_failure() {
            let reason = reason.as_deref().unwrap_or(error.message());
            Json(output).raw(r#","failure":{"code":""#).raw(error.code()).raw(r#"","reason":"#).text(reason).raw("}");
        }
        // A fixed set is not fetched and does not expire.
        if let Some(status) = status.filter(|status| status.fetched_at.millis() > 0) {
            let (fetched_at, fresh_until) = (status.fetched_at.secs(), status.fresh_until.secs());
            Json(output).raw(r#","fetchedAt":"#).number(fetched_at);
            Json(output).raw(r#","freshUntil":"#).number(fresh_until);
        }
        output.push('}');
    }
    output.push(']');
}
