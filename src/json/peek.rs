//! One member of an object that is not kept.

use alloc::string::String;

use super::events::{Event, Events, Raw, Syntax};
use super::{JsonError, Number, unescape};

/// What an object that is not kept has under a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Peeked {
    /// No such member.
    Absent,
    /// A member that is no string.
    NotAString,
    /// A string, escapes resolved.
    String(String),
}

/// Reads one member of the outermost object of `text` and keeps nothing else: for texts that nobody vouches for yet.
///
/// # Errors
/// If the text is not JSON, not an object, or has the member twice. What else [`Document::parse`](super::Document::parse)
/// refuses may pass here.
pub(crate) fn peek(text: &[u8], name: &str) -> Result<Peeked, JsonError> {
    find(text, name).map_err(|Syntax| JsonError::Syntax)
}

fn find(text: &[u8], name: &str) -> Result<Peeked, Syntax> {
    let mut events = Events::new(text);
    if events.next()? != Some(Event::Object) {
        return Err(Syntax);
    }
    let mut found = Peeked::Absent;
    let mut depth = 1;
    while let Some(event) = events.next()? {
        match event {
            Event::Name(raw) if depth == 1 && string(raw)? == name => {
                if found != Peeked::Absent {
                    return Err(Syntax);
                }
                found = match events.next()?.ok_or(Syntax)? {
                    Event::String(raw) => Peeked::String(string(raw)?),
                    Event::Number(text) => {
                        str::from_utf8(text).ok().and_then(Number::parse).map(|_| Peeked::NotAString).ok_or(Syntax)?
                    }
                    Event::Array | Event::Object => {
                        depth += 1;
                        Peeked::NotAString
                    }
                    _ => Peeked::NotAString,
                };
            }
            Event::Array | Event::Object => depth += 1,
            Event::End => depth -= 1,
            _ => {}
        }
    }
    Ok(found)
}

fn string(raw: Raw<'_>) -> Result<String, Syntax> {
    let mut text = String::new();
    unescape(str::from_utf8(raw.text).map_err(|_| Syntax)?, &mut text).ok_or(Syntax)?;
    Ok(text)
}
