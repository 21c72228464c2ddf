//! Strict JSON objects (RFC 8259, I-JSON RFC 7493): UTF-8, no duplicate member names at any level, bounded depth.
//!
//! `serde_json` does the syntax. A [`Document`] keeps the text together with a flat index into it, so that a parsed object
//! is owned, cheap to make (strings are not copied unless they hold escapes) and cheap to read.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::limits;

/// Why a text is not an acceptable JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonError {
    /// The bytes are not UTF-8.
    NotUtf8,
    /// The text is not JSON, or a number in it is too large to represent.
    Syntax,
    /// The text is JSON, but not an object.
    NotAnObject,
    /// An object has two members of the same name, escapes resolved.
    DuplicateName,
    /// Arrays and objects are nested deeper than allowed.
    TooDeep,
    /// An object has more members than allowed.
    TooManyMembers,
}

/// A parsed JSON object that owns its text.
#[derive(Clone)]
pub struct Document {
    text: String,
    /// Strings that held escapes, decoded, one after the other.
    unescaped: String,
    nodes: Vec<Node>,
}

/// One value, or one member name, of the document, in reading order. Kept small: a text of n bytes has up to n / 2 of them.
#[derive(Debug, Clone, Copy)]
enum Node {
    Null,
    Bool(bool),
    Number(Number),
    /// A string as it stands in the text.
    String(Span),
    /// A string that held escapes: where it stands decoded.
    Unescaped(Span),
    /// `end`: index of the node after the last one inside.
    Array {
        end: u32,
    },
    Object {
        end: u32,
    },
}

#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    fn of(self, source: &str) -> &str {
        let start = self.start as usize;
        source.get(start..start + self.len as usize).unwrap_or_default()
    }
}

/// A JSON number as parsed; integers that fit keep every digit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A non-negative integer.
    Unsigned(u64),
    /// A negative integer.
    Signed(i64),
    /// Anything else; always finite.
    Float(f64),
}

impl Number {
    /// The nearest double.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Unsigned(n) => n as f64,
            Self::Signed(n) => n as f64,
            Self::Float(n) => n,
        }
    }
}

impl Document {
    /// Parses `text`, which must be one JSON object nested at most `max_depth` levels deep.
    ///
    /// # Errors
    /// See [`JsonError`].
    pub fn parse(text: Vec<u8>, max_depth: usize) -> Result<Self, JsonError> {
        let text = String::from_utf8(text).map_err(|_| JsonError::NotUtf8)?;
        let mut build = Build {
            text: &text,
            nodes: Vec::with_capacity(32),
            unescaped: String::new(),
            names: Vec::with_capacity(16),
            depth_left: max_depth,
            failure: None,
        };
        let mut json = serde_json::Deserializer::from_str(&text);
        if Seed(&mut build).deserialize(&mut json).and_then(|()| json.end()).is_err() {
            return Err(build.failure.unwrap_or(JsonError::Syntax));
        }
        let Build { nodes, unescaped, .. } = build;
        match nodes.first() {
            Some(Node::Object { .. }) => Ok(Self { text, unescaped, nodes }),
            _ => Err(JsonError::NotAnObject),
        }
    }

    /// The text this was parsed from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The outermost object.
    #[must_use]
    pub fn root(&self) -> Object<'_> {
        match self.nodes.first() {
            Some(&Node::Object { end }) => Object(Items { document: self, next: 1, end }),
            _ => Object(Items { document: self, next: 0, end: 0 }),
        }
    }

    fn node(&self, index: u32) -> Option<Node> {
        self.nodes.get(usize::try_from(index).ok()?).copied()
    }
}

impl fmt::Debug for Document {
    /// Shows no content: documents hold claims.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({} bytes)", self.text.len())
    }
}

/// A value inside a [`Document`].
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string, escapes resolved.
    String(&'a str),
    /// An array.
    Array(Array<'a>),
    /// An object.
    Object(Object<'a>),
}

impl<'a> Value<'a> {
    /// The string, if this is one.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The array, if this is one.
    #[must_use]
    pub fn as_array(self) -> Option<Array<'a>> {
        if let Self::Array(array) = self { Some(array) } else { None }
    }

    /// The object, if this is one.
    #[must_use]
    pub fn as_object(self) -> Option<Object<'a>> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// The value as JSON text.
    #[must_use]
    pub fn to_json(self) -> String {
        // Cannot fail: keys are strings, numbers are finite, and a `String` takes any length.
        serde_json::to_string(&self).unwrap_or_default()
    }
}

/// An array; iterate it for its values.
#[derive(Clone, Copy)]
pub struct Array<'a>(Items<'a>);

impl<'a> IntoIterator for Array<'a> {
    type Item = Value<'a>;
    type IntoIter = Items<'a>;
    fn into_iter(self) -> Items<'a> {
        self.0
    }
}

impl<'a> Array<'a> {
    /// Iterates over the values.
    #[must_use]
    pub fn iter(&self) -> Items<'a> {
        self.0
    }

    /// The strings of an array that holds nothing else.
    pub fn strings(self) -> Option<impl Iterator<Item = &'a str> + Clone> {
        self.iter().all(|value| matches!(value, Value::String(_))).then(|| self.iter().filter_map(Value::as_str))
    }
}

/// An object: look a member up by name, or iterate over all.
#[derive(Clone, Copy)]
pub struct Object<'a>(Items<'a>);

impl<'a> Object<'a> {
    /// The member called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value<'a>> {
        self.iter().find_map(|(member, value)| (member == name).then_some(value))
    }

    /// Iterates over the members in reading order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let mut items = self.0;
        core::iter::from_fn(move || match (items.next()?, items.next()?) {
            (Value::String(name), value) => Some((name, value)),
            _ => None,
        })
    }

    /// Whether it has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

/// The values of an array, one after the other.
#[derive(Clone, Copy)]
pub struct Items<'a> {
    document: &'a Document,
    next: u32,
    end: u32,
}

impl<'a> Iterator for Items<'a> {
    type Item = Value<'a>;
    fn next(&mut self) -> Option<Value<'a>> {
        if self.next >= self.end {
            return None;
        }
        let inner = self.next + 1;
        let items = |end| Items { document: self.document, next: inner, end };
        let (value, after) = match self.document.node(self.next)? {
            Node::Null => (Value::Null, inner),
            Node::Bool(value) => (Value::Bool(value), inner),
            Node::Number(value) => (Value::Number(value), inner),
            Node::String(span) => (Value::String(span.of(&self.document.text)), inner),
            Node::Unescaped(span) => (Value::String(span.of(&self.document.unescaped)), inner),
            Node::Array { end } => (Value::Array(Array(items(end))), end),
            Node::Object { end } => (Value::Object(Object(items(end))), end),
        };
        self.next = after;
        Some(value)
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(value),
            Self::Number(Number::Unsigned(value)) => serializer.serialize_u64(value),
            Self::Number(Number::Signed(value)) => serializer.serialize_i64(value),
            Self::Number(Number::Float(value)) => serializer.serialize_f64(value),
            Self::String(value) => serializer.serialize_str(value),
            Self::Array(array) => {
                let mut out = serializer.serialize_seq(None)?;
                array.iter().try_for_each(|value| out.serialize_element(&value))?;
                out.end()
            }
            Self::Object(object) => {
                let mut out = serializer.serialize_map(None)?;
                object.iter().try_for_each(|(name, value)| out.serialize_entry(name, &value))?;
                out.end()
            }
        }
    }
}

/// State of one parse.
struct Build<'t> {
    text: &'t str,
    nodes: Vec<Node>,
    unescaped: String,
    /// Fingerprint and node of each name in the objects being read, innermost object last.
    names: Vec<(u32, usize)>,
    depth_left: usize,
    failure: Option<JsonError>,
}

impl Build<'_> {
    fn fail<E: serde::de::Error>(&mut self, failure: JsonError) -> E {
        self.failure.get_or_insert(failure);
        E::custom("")
    }

    /// The node of a string that is a slice of the text being parsed.
    fn borrowed<E: serde::de::Error>(&mut self, text: &str) -> Result<Node, E> {
        let start = text.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
        self.span(start, text.len()).map(Node::String)
    }

    fn unescaped<E: serde::de::Error>(&mut self, text: &str) -> Result<Node, E> {
        let start = self.unescaped.len();
        self.unescaped.push_str(text);
        self.span(start, text.len()).map(Node::Unescaped)
    }

    fn span<E: serde::de::Error>(&mut self, start: usize, len: usize) -> Result<Span, E> {
        match (u32::try_from(start), u32::try_from(len)) {
            (Ok(start), Ok(len)) => Ok(Span { start, len }),
            _ => Err(self.fail(JsonError::Syntax)),
        }
    }

    /// Takes the name of a member of the object whose names start at `first` in `names`.
    fn member<E: serde::de::Error>(&mut self, node: Node, name: &str, first: usize) -> Result<(), E> {
        let siblings = self.names.get(first..).unwrap_or_default();
        if siblings.len() >= limits::MAX_OBJECT_MEMBERS {
            return Err(self.fail(JsonError::TooManyMembers));
        }
        let print = fingerprint(name);
        if siblings.iter().any(|&(other, node)| other == print && self.name_of(node) == name) {
            return Err(self.fail(JsonError::DuplicateName));
        }
        self.names.push((print, self.nodes.len()));
        self.nodes.push(node);
        Ok(())
    }

    fn name_of(&self, node: usize) -> &str {
        match self.nodes.get(node) {
            Some(Node::String(span)) => span.of(self.text),
            Some(Node::Unescaped(span)) => span.of(&self.unescaped),
            _ => "",
        }
    }

    /// Reads what is inside an array or object with `inside`, one level deeper.
    fn container<E: serde::de::Error>(
        &mut self,
        node: fn(u32) -> Node,
        inside: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.depth_left == 0 {
            return Err(self.fail(JsonError::TooDeep));
        }
        self.depth_left -= 1;
        let opening = self.nodes.len();
        self.nodes.push(node(0));
        inside(self)?;
        self.depth_left += 1;
        let Ok(end) = u32::try_from(self.nodes.len()) else { return Err(self.fail(JsonError::Syntax)) };
        if let Some(slot) = self.nodes.get_mut(opening) {
            *slot = node(end);
        }
        Ok(())
    }
}

/// FNV-1a: equal names have equal fingerprints; nearly all others are told apart without comparing text.
fn fingerprint(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Reads one value.
struct Seed<'b, 't>(&'b mut Build<'t>);

impl<'de> DeserializeSeed<'de> for Seed<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.nodes.push(Node::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.nodes.push(Node::Bool(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.nodes.push(Node::Number(Number::Unsigned(value)));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.nodes.push(Node::Number(Number::Signed(value)));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.0.nodes.push(Node::Number(Number::Float(value)));
        Ok(())
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<(), E> {
        let node = self.0.borrowed(text)?;
        self.0.nodes.push(node);
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let node = self.0.unescaped(text)?;
        self.0.nodes.push(node);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        self.0.container(
            |end| Node::Array { end },
            |build| {
                while values.next_element_seed(Seed(build))?.is_some() {}
                Ok(())
            },
        )
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.0.container(
            |end| Node::Object { end },
            |build| {
                let first = build.names.len();
                while members.next_key_seed(NameSeed { build, first })?.is_some() {
                    members.next_value_seed(Seed(build))?;
                }
                build.names.truncate(first);
                Ok(())
            },
        )
    }
}

/// Reads one member name.
struct NameSeed<'b, 't> {
    build: &'b mut Build<'t>,
    first: usize,
}

impl<'de> DeserializeSeed<'de> for NameSeed<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NameSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, name: &'de str) -> Result<(), E> {
        let node = self.build.borrowed(name)?;
        self.build.member(node, name, self.first)
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<(), E> {
        let node = self.build.unescaped(name)?;
        self.build.member(node, name, self.first)
    }
}

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
/// If the text is not JSON, not an object, or has the member twice. What else [`Document::parse`] refuses may pass here.
pub(crate) fn peek(text: &[u8], name: &str) -> Result<Peeked, JsonError> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let peeked = Peek(name).deserialize(&mut json).map_err(|_| JsonError::Syntax)?;
    json.end().map_err(|_| JsonError::Syntax)?;
    Ok(peeked)
}

struct Peek<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Peek<'_> {
    type Value = Peeked;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Peeked, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Peek<'_> {
    type Value = Peeked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Peeked, A::Error> {
        let mut found = Peeked::Absent;
        while let Some(is_it) = members.next_key_seed(Is(self.0))? {
            if !is_it {
                members.next_value::<IgnoredAny>()?;
            } else if found == Peeked::Absent {
                found = members.next_value_seed(StringOrNot)?;
            } else {
                return Err(serde::de::Error::custom("twice"));
            }
        }
        Ok(found)
    }
}

/// Reads a member name and compares it.
struct Is<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

/// Reads a value, keeping it only if it is a string.
struct StringOrNot;

impl<'de> DeserializeSeed<'de> for StringOrNot {
    type Value = Peeked;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Peeked, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StringOrNot {
    type Value = Peeked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Peeked, E> {
        Ok(Peeked::String(text.into()))
    }

    fn visit_unit<E>(self) -> Result<Peeked, E> {
        Ok(Peeked::NotAString)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Peeked, E> {
        Ok(Peeked::NotAString)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Peeked, E> {
        Ok(Peeked::NotAString)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Peeked, E> {
        Ok(Peeked::NotAString)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Peeked, E> {
        Ok(Peeked::NotAString)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> Result<Peeked, A::Error> {
        IgnoredAny.visit_seq(values).map(|_| Peeked::NotAString)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Peeked, A::Error> {
        IgnoredAny.visit_map(members).map(|_| Peeked::NotAString)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::{Document, JsonError, Node, Number, Peeked, Value, peek};

    fn parse(text: &str) -> Result<Document, JsonError> {
        Document::parse(text.as_bytes().to_vec(), 16)
    }

    #[test]
    fn members_are_found_by_name_and_print_as_they_were() {
        let text = r#"{"a":"x","b":[1,-2,1.5,{"c":null}],"d":{"e":true},"f":"q\"\u00e9"}"#;
        let document = parse(text).unwrap();
        let root = document.root();
        assert_eq!(root.get("a").and_then(Value::as_str), Some("x"));
        assert_eq!(root.get("f").and_then(Value::as_str), Some("q\"é"));
        assert!(root.get("e").is_none(), "members of inner objects are not the outer one's");
        assert_eq!(root.get("b").unwrap().to_json(), r#"[1,-2,1.5,{"c":null}]"#);
        assert!(matches!(root.get("d").and_then(Value::as_object).unwrap().get("e"), Some(Value::Bool(true))));
        assert_eq!(document.text(), text);
    }

    #[test]
    fn large_integers_keep_every_digit() {
        let document = parse(r#"{"n":18446744073709551615}"#).unwrap();
        assert!(matches!(document.root().get("n"), Some(Value::Number(Number::Unsigned(u64::MAX)))));
    }

    #[test]
    fn duplicate_names_are_refused_at_every_level_and_through_escapes() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"alg":1,"\u0061lg":1}"#,
            r#"{"\u0061":1,"a":1}"#,
            r#"{"\u0061":1,"\u0061":1}"#,
            r#"{"x":[{"a":1,"b":2,"a":3}]}"#,
            r#"{"":1,"":2}"#,
        ] {
            assert_eq!(parse(text).unwrap_err(), JsonError::DuplicateName, "{text}");
        }
        assert!(parse(r#"{"a":{"a":1},"b":{"a":1}}"#).is_ok(), "equal names in different objects are no duplicates");
    }

    #[test]
    fn names_whose_fingerprints_collide_are_not_duplicates() {
        // FNV-1a, 32 bits: "costarring" and "liquid" collide.
        assert_eq!(super::fingerprint("costarring"), super::fingerprint("liquid"));
        assert!(parse(r#"{"costarring":1,"liquid":2}"#).is_ok());
    }

    #[test]
    fn depth_and_members_are_limited() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(parse(&nested(16)).is_ok());
        assert_eq!(parse(&nested(17)).unwrap_err(), JsonError::TooDeep);
        let wide = |members: usize| {
            let members: alloc::vec::Vec<String> = (0..members).map(|n| format!("\"{n}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(parse(&wide(256)).is_ok());
        assert_eq!(parse(&wide(257)).unwrap_err(), JsonError::TooManyMembers);
    }

    #[test]
    fn what_is_not_an_object_in_utf8_json_is_refused() {
        for (text, error) in [
            ("[]", JsonError::NotAnObject),
            ("1", JsonError::NotAnObject),
            ("", JsonError::Syntax),
            ("{} {}", JsonError::Syntax),
            ("\u{feff}{}", JsonError::Syntax),
            (r#"{"a":1e400}"#, JsonError::Syntax),
            (r#"{"a":NaN}"#, JsonError::Syntax),
            (r#"{"a":"\ud800"}"#, JsonError::Syntax),
            ("{'a':1}", JsonError::Syntax),
            ("{\"a\":1,}", JsonError::Syntax),
        ] {
            assert_eq!(parse(text).unwrap_err(), error, "{text}");
        }
        assert_eq!(Document::parse(b"{\"a\":\"\xff\"}".to_vec(), 16).unwrap_err(), JsonError::NotUtf8);
    }

    #[test]
    fn nodes_are_small() {
        assert_eq!(size_of::<Node>(), 16);
    }

    #[test]
    fn one_member_can_be_read_without_the_rest() {
        let found = |text: &str| peek(text.as_bytes(), "iss");
        for text in [r#"{"iss":"x"}"#, r#"{"a":[1,{"iss":"y"}],"\u0069ss":"\u0078","b":{}}"#] {
            assert_eq!(found(text), Ok(Peeked::String("x".into())), "{text}");
        }
        for text in ["{}", r#"{"a":{"iss":"x"},"Iss":"x","issx":1}"#] {
            assert_eq!(found(text), Ok(Peeked::Absent), "{text}");
        }
        for value in ["null", "true", "1", "-1", "1.5", r#"["x"]"#, r#"{"iss":"x"}"#] {
            assert_eq!(found(&format!(r#"{{"iss":{value}}}"#)), Ok(Peeked::NotAString), "{value}");
        }
        for text in [
            "",
            "[]",
            r#"["iss"]"#,
            "null",
            r#"{"iss":"x"} x"#,
            r#"{"iss":"x","iss":"x"}"#,
            r#"{"iss":1,"\u0069ss":"x"}"#,
            r#"{"iss":"x""#,
            r#"{"iss":"\ud800"}"#,
            r#"{"iss":}"#,
        ] {
            assert_eq!(found(text), Err(JsonError::Syntax), "{text}");
        }
        assert_eq!(peek(b"{\"iss\":\"\xff\"}", "iss"), Err(JsonError::Syntax));
    }

    #[test]
    fn debug_shows_no_content() {
        assert_eq!(format!("{:?}", parse(r#"{"secret":"s"}"#).unwrap()), "Document(14 bytes)");
    }
}
