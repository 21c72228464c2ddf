//! Strict JSON objects (RFC 8259, I-JSON RFC 7493): UTF-8, no duplicate member names at any level, bounded depth.
//!
//! `serde_json` reads and writes; the strictness is a layer on it (`read`). A [`Document`] owns the text and a flat index into it, so
//! that parsing is cheap (strings are not copied unless they contain escapes), and so are lookups.

#[cfg(test)]
mod oracle;
mod read;
mod write;

pub use write::{push_quoted, quote};

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use read::Index;

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
    /// Arrays and objects are nested too deeply.
    TooDeep,
    /// An object has more members than allowed.
    TooManyMembers,
    /// There are more names and values than allowed.
    TooManyValues,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUtf8 => "text is not UTF-8",
            Self::Syntax => "text is not JSON",
            Self::NotAnObject => "text is not a JSON object",
            Self::DuplicateName => "an object has two members of the same name",
            Self::TooDeep => "arrays and objects are nested too deeply",
            Self::TooManyMembers => "an object has too many members",
            Self::TooManyValues => "there are too many names and values",
        })
    }
}

impl core::error::Error for JsonError {}

/// A parsed JSON object that owns its text.
///
/// ```
/// use edgeward::json::{Document, JsonError, Value};
///
/// # fn main() -> Result<(), JsonError> {
/// let document = Document::parse(br#"{"iss":"https://issuer.example.com/","aud":["a","b"]}"#.to_vec(), 16)?;
/// assert_eq!(document.root().get("iss").and_then(Value::as_str), Some("https://issuer.example.com/"));
///
/// let duplicate = Document::parse(br#"{"alg":"RS256","\u0061lg":"none"}"#.to_vec(), 16);
/// assert_eq!(duplicate.unwrap_err(), JsonError::DuplicateName);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Document {
    text: String,
    /// The strings that contained escapes, decoded and concatenated.
    unescaped: String,
    nodes: Vec<Node>,
}

/// A value or member name of the document, in reading order. Kept small: a text of n bytes has up to n / 2 of them.
#[derive(Debug, Clone, Copy)]
enum Node {
    Null,
    Bool(bool),
    /// A non-negative integer.
    Unsigned([u8; 8]),
    /// A negative integer.
    Signed([u8; 8]),
    /// Any other number, as written in the text.
    Float(Span),
    /// A string as written in the text.
    String(Span),
    /// A string that contained escapes: its place in `unescaped`.
    Unescaped(Span),
    /// `end` is the index of the node after the last one inside.
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

impl Document {
    /// Parses `text`, which must be one JSON object nested at most `max_depth` levels deep, and never deeper than
    /// [`limits::MAX_JSON_DEPTH`].
    ///
    /// # Errors
    /// See [`JsonError`].
    pub fn parse(text: Vec<u8>, max_depth: usize) -> Result<Self, JsonError> {
        Self::parse_marking(text, max_depth, usize::MAX)
    }

    /// Parses the header of a token, whose signature is not verified yet: [`limits::MAX_HEADER_VALUES`] bounds the work.
    pub(crate) fn parse_header(text: Vec<u8>) -> Result<Self, JsonError> {
        Self::parse_bounded(text, limits::MAX_HEADER_DEPTH, usize::MAX, limits::MAX_HEADER_VALUES)
    }

    /// Parses like [`parse`](Self::parse), but accepts duplicate names in objects at the level `marks_from` and below, the outermost
    /// object being the first: [`Object::has_duplicate_names`] tells which objects have any, and no other method is meant for those.
    pub(crate) fn parse_marking(text: Vec<u8>, max_depth: usize, marks_from: usize) -> Result<Self, JsonError> {
        Self::parse_bounded(text, max_depth, marks_from, usize::MAX)
    }

    fn parse_bounded(text: Vec<u8>, max_depth: usize, marks_from: usize, max_nodes: usize) -> Result<Self, JsonError> {
        let text = String::from_utf8(text).map_err(|_| JsonError::NotUtf8)?;
        let mut index = Index::new(&text, max_depth, None);
        index.marks_from = marks_from;
        index.max_nodes = max_nodes;
        index.nodes.reserve(32);
        index.read()?;
        let Index { nodes, unescaped, .. } = index;
        match nodes.first() {
            Some(Node::Object { .. }) => Ok(Self { text, unescaped, nodes }),
            _ => Err(JsonError::NotAnObject),
        }
    }

    /// Returns the text this was parsed from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the outermost object.
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
    /// Omits the content: documents contain claims.
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
    Number(Number<'a>),
    /// A string, escapes resolved.
    String(&'a str),
    /// An array.
    Array(Array<'a>),
    /// An object.
    Object(Object<'a>),
}

impl<'a> Value<'a> {
    /// Returns the string, if this is one.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// Returns the array, if this is one.
    #[must_use]
    pub fn as_array(self) -> Option<Array<'a>> {
        if let Self::Array(array) = self { Some(array) } else { None }
    }

    fn has_duplicate_names(self) -> bool {
        match self {
            Self::Array(array) => array.iter().any(Value::has_duplicate_names),
            Self::Object(object) => object.has_duplicate_names(),
            _ => false,
        }
    }

    /// Returns the object, if this is one.
    #[must_use]
    pub fn as_object(self) -> Option<Object<'a>> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }
}

/// A JSON number; integers that fit keep every digit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number<'a> {
    /// A non-negative integer.
    Unsigned(u64),
    /// A negative integer.
    Signed(i64),
    /// Anything else, as written in the text; always finite.
    Float(&'a str),
}

impl Number<'_> {
    /// Converts to a double: for integers the nearest, else what `serde_json` parses, which is within two units in the last place.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Unsigned(n) => n as f64,
            Self::Signed(n) => n as f64,
            Self::Float(text) => {
                let mut index = Index::new(text, 0, None);
                // Cannot fail: it was parsed before.
                let _infallible = index.read();
                index.float
            }
        }
    }
}

/// An array: iterate over its values.
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

    /// Iterates over the strings of an array that contains nothing else.
    pub fn strings(self) -> Option<impl Iterator<Item = &'a str> + Clone> {
        self.iter().all(|value| matches!(value, Value::String(_))).then(|| self.iter().filter_map(Value::as_str))
    }
}

/// An object: look a member up by name, or iterate over all.
#[derive(Clone, Copy)]
pub struct Object<'a>(Items<'a>);

impl<'a> Object<'a> {
    /// Returns the member with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value<'a>> {
        let mut items = self.0;
        while let Some(Value::String(member)) = items.next() {
            if member == name {
                return items.next();
            }
            items.skip_value();
        }
        None
    }

    /// Iterates over the members, in reading order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let mut items = self.0;
        core::iter::from_fn(move || match (items.next()?, items.next()?) {
            (Value::String(name), value) => Some((name, value)),
            _ => None,
        })
    }

    /// Returns whether a name occurs twice in this object or in one inside it; see [`Document::parse_marking`].
    pub(crate) fn has_duplicate_names(&self) -> bool {
        let mut items = self.0;
        while let Some(name) = items.next() {
            let is_duplicate = !matches!(name, Value::String(_));
            if is_duplicate || items.next().is_some_and(Value::has_duplicate_names) {
                return true;
            }
        }
        false
    }

    /// Returns whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

/// An iterator over the values of an array.
#[derive(Clone, Copy)]
pub struct Items<'a> {
    document: &'a Document,
    next: u32,
    end: u32,
}

impl Items<'_> {
    fn skip_value(&mut self) {
        self.next = match self.document.node(self.next) {
            Some(Node::Array { end } | Node::Object { end }) => end,
            _ => self.next + 1,
        };
    }
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
            Node::Unsigned(bytes) => (Value::Number(Number::Unsigned(u64::from_ne_bytes(bytes))), inner),
            Node::Signed(bytes) => (Value::Number(Number::Signed(i64::from_ne_bytes(bytes))), inner),
            Node::Float(span) => (Value::Number(Number::Float(span.of(&self.document.text))), inner),
            Node::String(span) => (Value::String(span.of(&self.document.text)), inner),
            Node::Unescaped(span) => (Value::String(span.of(&self.document.unescaped)), inner),
            Node::Array { end } => (Value::Array(Array(items(end))), end),
            Node::Object { end } => (Value::Object(Object(items(end))), end),
        };
        self.next = after;
        Some(value)
    }
}

/// Removes a byte order mark, which RFC 8259 §8.1 allows parsers to ignore.
pub(crate) fn without_byte_order_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// A member of an object, as returned by [`read_member`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Member {
    /// No such member.
    Absent,
    /// A member that is not a string.
    NotAString,
    /// A string, escapes resolved.
    String(String),
}

/// Reads one member of the outermost object of `text` and stores nothing else: for unverified texts.
///
/// # Errors
/// If the text is not JSON, not an object, nested too deeply, or has the member twice. [`Document::parse`] refuses more than that.
pub(crate) fn read_member(text: &[u8], name: &str) -> Result<Member, JsonError> {
    let text = str::from_utf8(text).map_err(|_| JsonError::Syntax)?;
    let mut index = Index::new(text, limits::MAX_CLAIMS_DEPTH, Some(name));
    index.read().map_err(|_| JsonError::Syntax)?;
    match *index.nodes {
        [Node::Object { .. }] => Ok(Member::Absent),
        [Node::Object { .. }, Node::String(span)] => Ok(Member::String(span.of(text).into())),
        [Node::Object { .. }, Node::Unescaped(span)] => Ok(Member::String(span.of(&index.unescaped).into())),
        [Node::Object { .. }, _] => Ok(Member::NotAString),
        // No object, or the member twice.
        _ => Err(JsonError::Syntax),
    }
}

/// Returns line and column, from 1, where `text` stops being JSON, or where [`Document::parse`] refuses it.
#[cfg(feature = "gateway")]
pub(crate) fn error_position(text: &str, max_depth: usize) -> (usize, usize) {
    let mut index = Index::new(text, max_depth, None);
    if let Err(error) = index.parse() {
        return (error.line(), error.column());
    }
    let before = text.as_bytes().get(..index.refused_at).unwrap_or_default();
    let lines = before.iter().filter(|&&byte| byte == b'\n').count();
    let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count();
    (lines + 1, column.max(1))
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::{Document, JsonError, Member, Node, Number, Value, read_member};
    use crate::limits;

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
        assert_eq!(super::read::fingerprint("costarring"), super::read::fingerprint("liquid"));
        assert!(parse(r#"{"costarring":1,"liquid":2}"#).is_ok());
        for name in ["costarring", "liquid"] {
            let text = format!(r#"{{"costarring":1,"liquid":2,"{name}":3}}"#);
            assert_eq!(parse(&text).unwrap_err(), JsonError::DuplicateName, "{text}");
        }
    }

    #[test]
    fn a_duplicate_is_found_wherever_it_is() {
        // Names in every order of their fingerprints, two of which collide.
        let names = ["alg", "kid", "", "costarring", "typ", "liquid", "a", "b", "zzz", "iss", "\u{e9}", "sub"];
        let object = |names: &[&str]| {
            let members: alloc::vec::Vec<String> =
                names.iter().map(|name| format!("\"{name}\":{{\"alg\":1}}")).collect();
            format!("{{{}}}", members.join(","))
        };
        for turn in 0..names.len() {
            let mut turned = names;
            turned.rotate_left(turn);
            assert!(parse(&object(&turned)).is_ok(), "{turned:?}");
            for first in 0..turned.len() {
                for second in first + 1..turned.len() {
                    let mut doubled = turned;
                    doubled[second] = turned[first];
                    assert_eq!(parse(&object(&doubled)).unwrap_err(), JsonError::DuplicateName, "{doubled:?}");
                }
            }
        }
    }

    #[test]
    fn an_object_is_empty_without_members() {
        assert!(parse("{}").unwrap().root().is_empty());
        assert!(!parse(r#"{"":null}"#).unwrap().root().is_empty());
    }

    #[test]
    fn every_error_displays_its_message() {
        let errors = [
            JsonError::NotUtf8,
            JsonError::Syntax,
            JsonError::NotAnObject,
            JsonError::DuplicateName,
            JsonError::TooDeep,
            JsonError::TooManyMembers,
            JsonError::TooManyValues,
        ];
        let texts: alloc::collections::BTreeSet<String> = errors.iter().map(|error| format!("{error}")).collect();
        assert_eq!(texts.len(), errors.len());
        assert!(texts.iter().all(|text| text.contains(' ')), "{texts:?}");
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
        assert!(parse(&wide(limits::MAX_OBJECT_MEMBERS)).is_ok());
        assert_eq!(parse(&wide(limits::MAX_OBJECT_MEMBERS + 1)).unwrap_err(), JsonError::TooManyMembers);
    }

    #[test]
    fn anything_but_an_object_in_utf8_json_is_refused() {
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
    fn duplicate_names_are_marked_from_a_level_on() {
        let marked = |text: &str| {
            let document = Document::parse_marking(text.as_bytes().to_vec(), 16, 3)?;
            let objects = document.root().get("x").and_then(Value::as_array).unwrap().iter();
            Ok(objects.map(|value| value.as_object().unwrap().has_duplicate_names()).collect::<alloc::vec::Vec<_>>())
        };
        let text =
            r#"{"x":[{"a":1,"a":2},{"a":1,"b":{"c":[{"d":1,"\u0064":2}]}},{"a":1,"a":2,"":3,"":4},{"":0,"a":{"":1}}]}"#;
        assert_eq!(marked(text), Ok([true, true, true, false].into()));
        for text in [r#"{"x":[],"x":[]}"#, r#"{"x":[{"a":1,"a":2}],"y":{"b":1,"b":2}}"#] {
            assert_eq!(marked(text), Err(JsonError::DuplicateName), "{text}");
        }
    }

    #[test]
    fn nodes_are_small() {
        assert_eq!(size_of::<Node>(), 12);
    }

    #[test]
    fn one_member_can_be_read_without_the_rest() {
        let found = |text: &str| read_member(text.as_bytes(), "iss");
        for text in [r#"{"iss":"x"}"#, r#"{"a":[1,{"iss":"y"}],"\u0069ss":"\u0078","b":{}}"#] {
            assert_eq!(found(text), Ok(Member::String("x".into())), "{text}");
        }
        for text in ["{}", r#"{"a":{"iss":"x"},"Iss":"x","issx":1}"#] {
            assert_eq!(found(text), Ok(Member::Absent), "{text}");
        }
        for value in ["null", "true", "1", "-1", "1.5", r#"["x"]"#, r#"{"iss":"x"}"#] {
            assert_eq!(found(&format!(r#"{{"iss":{value}}}"#)), Ok(Member::NotAString), "{value}");
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
        assert_eq!(read_member(b"{\"iss\":\"\xff\"}", "iss"), Err(JsonError::Syntax));
    }

    #[cfg(feature = "gateway")]
    #[test]
    fn an_error_has_line_and_column() {
        for (text, position) in [
            ("{\n \"a\": 1,\n \"a\": 2}", (3, 5)),
            ("{\n\n\n \"b\": [1,\n  }", (5, 3)),
            (r#"{"a":{"a":[[[]]]}}"#, (1, 13)),
            // Empty, so that it is read to its end.
            ("{\n \"a\": {\n  \"b\": {\n   \"c\": {}\n}}}", (4, 6)),
            (r#"{"a":{"b":{"c":{}}}}"#, (1, 14)),
            ("{}", (1, 1)),
        ] {
            assert_eq!(super::error_position(text, 3), position, "{text}");
        }
    }

    #[test]
    fn debug_shows_no_content() {
        assert_eq!(format!("{:?}", parse(r#"{"secret":"s"}"#).unwrap()), "Document(14 bytes)");
    }
}
