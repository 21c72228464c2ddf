//! The index of a document: every value and name in reading order, with the checks that syntax does not make.

use alloc::string::String;
use alloc::vec::Vec;

use super::events::{Event, Events, Raw, Syntax};
use super::{JsonError, Node, Number, Span, unescape};
use crate::limits;

/// Indexes `text`; also the strings that held escapes, decoded, one after the other.
pub(super) fn index(text: &str, max_depth: usize) -> Result<(Vec<Node>, String), JsonError> {
    // Every index and length below fits.
    u32::try_from(text.len()).map_err(|_| JsonError::Syntax)?;
    let mut build = Build {
        text,
        nodes: Vec::with_capacity(32),
        unescaped: String::new(),
        prints: Vec::with_capacity(16),
        names: Vec::with_capacity(16),
        open: Vec::new(),
    };
    let mut events = Events::new(text.as_bytes());
    while let Some(event) = events.next()? {
        build.take(event, max_depth)?;
    }
    Ok((build.nodes, build.unescaped))
}

/// State of one pass.
struct Build<'t> {
    text: &'t str,
    nodes: Vec<Node>,
    unescaped: String,
    /// Fingerprint of each name in the objects being read, innermost object last …
    prints: Vec<u32>,
    /// … and its node.
    names: Vec<u32>,
    open: Vec<Opened>,
}

/// An array or object being read.
struct Opened {
    node: usize,
    /// Where its names start in `names`.
    first_name: usize,
}

impl<'t> Build<'t> {
    fn take(&mut self, event: Event<'t>, max_depth: usize) -> Result<(), JsonError> {
        let node = match event {
            Event::Null => Node::Null,
            Event::Bool(value) => Node::Bool(value),
            Event::Number(text) => {
                let span = self.span(text);
                Number::parse(span.of(self.text)).ok_or(JsonError::Syntax)?;
                Node::Number(span)
            }
            Event::String(raw) => self.string(raw)?,
            Event::Name(raw) => return self.member(raw),
            Event::Array | Event::Object => {
                if self.open.len() >= max_depth {
                    return Err(JsonError::TooDeep);
                }
                self.open.push(Opened { node: self.nodes.len(), first_name: self.names.len() });
                if event == Event::Array { Node::Array { end: 0 } } else { Node::Object { end: 0 } }
            }
            Event::End => {
                let after = self.nodes.len() as u32;
                let Some(opened) = self.open.pop() else { return Err(JsonError::Syntax) };
                self.prints.truncate(opened.first_name);
                self.names.truncate(opened.first_name);
                if let Some(Node::Array { end } | Node::Object { end }) = self.nodes.get_mut(opened.node) {
                    *end = after;
                }
                return Ok(());
            }
        };
        self.nodes.push(node);
        Ok(())
    }

    /// Takes the name of a member of the innermost object.
    fn member(&mut self, raw: Raw<'t>) -> Result<(), JsonError> {
        let node = self.string(raw)?;
        let first = self.open.last().map_or(0, |opened| opened.first_name);
        let (prints, names) =
            (self.prints.get(first..).unwrap_or_default(), self.names.get(first..).unwrap_or_default());
        if prints.len() >= limits::MAX_OBJECT_MEMBERS {
            return Err(JsonError::TooManyMembers);
        }
        let name = self.text_of(node);
        let print = fingerprint(name);
        // All are looked at, four at a time where the target can; a match is rare.
        let is_like_one = prints.iter().fold(false, |found, &other| found | (other == print));
        let has_name = |&at: &u32| self.nodes.get(at as usize).is_some_and(|&node| self.text_of(node) == name);
        if is_like_one && names.iter().any(has_name) {
            return Err(JsonError::DuplicateName);
        }
        self.prints.push(print);
        self.names.push(self.nodes.len() as u32);
        self.nodes.push(node);
        Ok(())
    }

    fn string(&mut self, raw: Raw<'t>) -> Result<Node, JsonError> {
        let span = self.span(raw.text);
        if !raw.has_escapes {
            return Ok(Node::String(span));
        }
        let start = self.unescaped.len();
        unescape(span.of(self.text), &mut self.unescaped).ok_or(JsonError::Syntax)?;
        Ok(Node::Unescaped(Span { start: start as u32, len: (self.unescaped.len() - start) as u32 }))
    }

    fn text_of(&self, node: Node) -> &str {
        match node {
            Node::String(span) => span.of(self.text),
            Node::Unescaped(span) => span.of(&self.unescaped),
            _ => "",
        }
    }

    /// Where a part of the text stands in it.
    fn span(&self, part: &[u8]) -> Span {
        let start = part.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
        Span { start: start as u32, len: part.len() as u32 }
    }
}

/// FNV-1a: equal names have equal fingerprints; nearly all others are told apart without comparing text.
pub(super) fn fingerprint(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

impl From<Syntax> for JsonError {
    fn from(_: Syntax) -> Self {
        Self::Syntax
    }
}
