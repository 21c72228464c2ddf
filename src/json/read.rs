//! Builds the index of a [`Document`](super::Document) from text, with checks beyond JSON's syntax.
//!
//! `serde_json` parses the syntax and calls the visitors here for each value and name. They return no errors of their own, which would
//! link the code that formats messages, a fifth of the npm module: they record the first error, and reading ends early.
//!
//! The features of `serde_json` are chosen by the user's build; none of them changes what is accepted. `preserve_order` and
//! `unbounded_depth` affect nothing that is used here; for `arbitrary_precision` see [`Value::visit_map`].

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{JsonError, Node, Span};
use crate::limits;

/// The result of one pass over a text, and its state.
pub(super) struct Index<'t> {
    text: &'t str,
    pub(super) nodes: Vec<Node>,
    /// The strings that contained escapes, decoded and concatenated.
    pub(super) unescaped: String,
    max_depth: usize,
    depth: usize,
    /// Most nodes to store.
    pub(super) max_nodes: usize,
    /// From this depth on, a member whose name is a duplicate is marked instead of refused: its name is stored as null.
    pub(super) marks_from: usize,
    /// The names in the objects being read, innermost object last; sorted within each object, for a binary search.
    names: Vec<NameEntry>,
    /// The only member of the outermost object to store; `None` for all.
    only: Option<&'t str>,
    /// Whether the next value is that member, or the outermost object.
    is_wanted: bool,
    /// A position in the text that has been read, outside of strings …
    passed: usize,
    /// … and the count of numbers read since.
    numbers: usize,
    /// The last number that is not a 64-bit integer.
    pub(super) float: f64,
    refused: Option<JsonError>,
    /// The approximate position of the first error.
    #[cfg(feature = "gateway")]
    pub(super) refused_at: usize,
}

/// A name, and the index of its node. Names are in the order of their fingerprints, which nearly always differ, then of their text.
#[derive(Clone, Copy)]
struct NameEntry {
    fingerprint: u32,
    node: u32,
}

/// An array or object being read.
#[derive(Clone, Copy)]
struct Opened {
    node: usize,
    /// Index of its first name in `names`.
    first_name: usize,
}

impl<'t> Index<'t> {
    /// Creates an index for `text`, to store the member `only` or everything.
    pub(super) fn new(text: &'t str, max_depth: usize, only: Option<&'t str>) -> Self {
        Self {
            text,
            nodes: Vec::new(),
            unescaped: String::new(),
            max_depth: max_depth.min(limits::MAX_JSON_DEPTH),
            depth: 0,
            max_nodes: usize::MAX,
            marks_from: usize::MAX,
            names: Vec::new(),
            only,
            is_wanted: true,
            passed: 0,
            numbers: 0,
            float: f64::INFINITY,
            refused: None,
            #[cfg(feature = "gateway")]
            refused_at: 0,
        }
    }

    /// Reads the text: one value and nothing after it.
    pub(super) fn read(&mut self) -> Result<(), JsonError> {
        // Every position and length fits into 32 bits.
        u32::try_from(self.text.len()).map_err(|_| JsonError::Syntax)?;
        let read = self.parse();
        match (self.refused, read) {
            (Some(reason), _) => Err(reason),
            (None, Err(_)) => Err(JsonError::Syntax),
            (None, Ok(())) => Ok(()),
        }
    }

    /// Parses the text, with `serde_json`'s errors only.
    pub(super) fn parse(&mut self) -> serde_json::Result<()> {
        let mut json = serde_json::Deserializer::from_str(self.text);
        Value(self).deserialize(&mut json)?;
        json.end()
    }

    fn refuse(&mut self, reason: JsonError) {
        if self.refused.is_none() {
            self.refused = Some(reason);
            #[cfg(feature = "gateway")]
            {
                self.refused_at = self.passed;
            }
        }
    }

    fn push(&mut self, node: Node) {
        if self.only.is_none() || core::mem::take(&mut self.is_wanted) {
            if self.nodes.len() >= self.max_nodes {
                return self.refuse(JsonError::TooManyValues);
            }
            self.nodes.push(node);
        }
    }

    fn begin(&mut self, node: Node) -> Opened {
        let opened = Opened { node: self.nodes.len(), first_name: self.names.len() };
        self.depth += 1;
        self.push(node);
        opened
    }

    /// Checks the depth, before anything inside is read: this bounds the recursion.
    fn is_too_deep(&mut self) -> bool {
        let is_too_deep = self.depth > self.max_depth;
        if is_too_deep {
            self.refuse(JsonError::TooDeep);
        }
        is_too_deep
    }

    fn end(&mut self, opened: Opened) {
        self.depth -= 1;
        self.names.truncate(opened.first_name);
        let after = self.nodes.len() as u32;
        if let Some(Node::Array { end } | Node::Object { end }) = self.nodes.get_mut(opened.node) {
            *end = after;
        }
    }

    /// Adds the name of a member of the innermost object.
    fn name(&mut self, opened: Opened, node: Node, name: &str) {
        if self.is_too_deep() {
            return;
        }
        if let Some(only) = self.only {
            self.is_wanted |= self.depth == 1 && name == only;
            return;
        }
        let names = self.names.get(opened.first_name..).unwrap_or_default();
        if names.len() >= limits::MAX_OBJECT_MEMBERS {
            return self.refuse(JsonError::TooManyMembers);
        }
        let fingerprint = fingerprint(name);
        let text = |at: u32| self.nodes.get(at as usize).map_or("", |&node| self.text_of(node));
        let order = |other: &NameEntry| other.fingerprint.cmp(&fingerprint).then_with(|| text(other.node).cmp(name));
        match names.binary_search_by(order) {
            Ok(_) if self.depth >= self.marks_from => self.push(Node::Null),
            Ok(_) => self.refuse(JsonError::DuplicateName),
            Err(place) => {
                let entry = NameEntry { fingerprint, node: self.nodes.len() as u32 };
                self.names.insert(opened.first_name + place, entry);
                self.push(node);
            }
        }
    }

    fn text_of(&self, node: Node) -> &str {
        match node {
            Node::String(span) => span.of(self.text),
            Node::Unescaped(span) => span.of(&self.unescaped),
            _ => "",
        }
    }

    /// Returns the node of a string within the text; `None` if it is not.
    fn plain(&mut self, part: &str) -> Option<Node> {
        let start = part.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
        let end = start.checked_add(part.len()).filter(|&end| end <= self.text.len())?;
        // After the closing quote.
        self.passed = end + 1;
        self.numbers = 0;
        Some(Node::String(Span { start: start as u32, len: part.len() as u32 }))
    }

    /// Returns the node of a string that contained escapes.
    fn unescaped(&mut self, text: &str) -> Node {
        let start = self.unescaped.len() as u32;
        if self.only.is_none() || self.is_wanted {
            self.unescaped.push_str(text);
        }
        Node::Unescaped(Span { start, len: text.len() as u32 })
    }

    fn integer(&mut self, node: Node) {
        self.numbers += 1;
        self.push(node);
    }

    /// Adds a number that is not a 64-bit integer, as written in the text.
    fn float(&mut self, value: f64) {
        self.float = value;
        let span = self.find_number();
        self.push(Node::Float(span));
    }

    /// Finds the number just read, whose position `serde_json` does not report: it follows `numbers` others after `passed`, and the text
    /// between is well formed.
    fn find_number(&mut self) -> Span {
        let rest = |at: usize| self.text.as_bytes().get(at..).unwrap_or_default();
        let mut at = self.passed;
        loop {
            match rest(at).first() {
                Some(b'"') => {
                    at += 1;
                    while let Some(&byte) = rest(at).first().filter(|byte| **byte != b'"') {
                        at += if byte == b'\\' { 2 } else { 1 };
                    }
                }
                Some(b'-' | b'0'..=b'9') => {
                    let is_part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                    let len = rest(at).iter().take_while(is_part).count();
                    if self.numbers == 0 {
                        self.passed = at + len;
                        return Span { start: at as u32, len: len as u32 };
                    }
                    self.numbers -= 1;
                    at += len - 1;
                }
                Some(_) => {}
                None => return Span { start: 0, len: 0 },
            }
            at += 1;
        }
    }
}

/// Reads a value.
struct Value<'i, 't>(&'i mut Index<'t>);

impl<'t> DeserializeSeed<'t> for Value<'_, 't> {
    type Value = ();
    fn deserialize<D: Deserializer<'t>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for Value<'_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.push(Node::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.push(Node::Bool(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.integer(Node::Unsigned(value.to_ne_bytes()));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.integer(Node::Signed(value.to_ne_bytes()));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.0.float(value);
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'t str) -> Result<(), E> {
        let node = self.0.plain(text).unwrap_or(Node::Null);
        self.0.push(node);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        let node = self.0.unescaped(text);
        self.0.push(node);
        Ok(())
    }

    /// Receives the text of a number with `arbitrary_precision`. Not called without that feature.
    fn visit_string<E: Error>(self, number: String) -> Result<(), E> {
        // Parses the number as it would be without the feature.
        match serde_json::from_str(&number) {
            Ok(value) => self.0.float(value),
            Err(_) => self.0.refuse(JsonError::Syntax),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut items: A) -> Result<(), A::Error> {
        let index = self.0;
        let opened = index.begin(Node::Array { end: 0 });
        if index.is_too_deep() {
            return Ok(());
        }
        while items.next_element_seed(Value(index))?.is_some() {
            if index.refused.is_some() {
                return Ok(());
            }
        }
        index.end(opened);
        Ok(())
    }

    /// With `arbitrary_precision`, numbers other than 64-bit integers arrive as objects, too. They are recognised by their member's name,
    /// which is not a slice of the text, whatever names the text contains.
    fn visit_map<A: MapAccess<'t>>(self, mut members: A) -> Result<(), A::Error> {
        let index = self.0;
        let (was_wanted, opened) = (index.is_wanted, index.begin(Node::Object { end: 0 }));
        while let Some(origin) = members.next_key_seed(Name { index, opened })? {
            if origin == Origin::Parser {
                index.depth -= 1;
                index.nodes.truncate(opened.node);
                index.is_wanted = was_wanted;
                return members.next_value_seed(Value(index));
            }
            if index.refused.is_some() {
                return Ok(());
            }
            members.next_value_seed(Value(index))?;
        }
        if !index.is_too_deep() {
            index.end(opened);
        }
        Ok(())
    }
}

/// Reads the name of a member.
struct Name<'i, 't> {
    index: &'i mut Index<'t>,
    opened: Opened,
}

/// The origin of a name.
#[derive(PartialEq, Eq)]
enum Origin {
    Text,
    Parser,
}

impl<'t> DeserializeSeed<'t> for Name<'_, 't> {
    type Value = Origin;
    fn deserialize<D: Deserializer<'t>>(self, name: D) -> Result<Origin, D::Error> {
        name.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for Name<'_, 't> {
    type Value = Origin;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'t str) -> Result<Origin, E> {
        let Some(node) = self.index.plain(name) else { return Ok(Origin::Parser) };
        self.index.name(self.opened, node, name);
        Ok(Origin::Text)
    }

    fn visit_str<E>(self, name: &str) -> Result<Origin, E> {
        let node = self.index.unescaped(name);
        self.index.name(self.opened, node, name);
        Ok(Origin::Text)
    }
}

/// Hashes a name with FNV-1a, so that nearly all different names are distinguished without comparing text.
pub(super) fn fingerprint(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
