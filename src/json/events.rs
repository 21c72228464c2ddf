//! JSON syntax (RFC 8259 §2 to §7): a text as the sequence of what stands in it.
//!
//! Works through the text once, without recursion. What strings and numbers mean is left to whoever needs it: an escape
//! is known to be well formed, but not whether it makes a character.

use alloc::vec::Vec;

/// The text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syntax;

/// One value, member name or closing bracket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event<'t> {
    Null,
    Bool(bool),
    Number(&'t [u8]),
    String(Raw<'t>),
    /// The name of a member; its value comes next.
    Name(Raw<'t>),
    /// An array begins.
    Array,
    /// An object begins.
    Object,
    /// The array or object that began last ends.
    End,
}

/// What stands between the quotes of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raw<'t> {
    pub(super) text: &'t [u8],
    pub(super) has_escapes: bool,
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Value,
    ValueOrEnd,
    NameOrEnd,
    /// A colon and a value.
    Member,
    CommaOrEnd,
}

pub(super) struct Events<'t> {
    text: &'t [u8],
    at: usize,
    expected: Expected,
    /// The closing brackets of what is open, innermost last.
    open: Vec<u8>,
}

impl<'t> Events<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0, expected: Expected::Value, open: Vec::new() }
    }

    /// What comes next; `None` after the end of the one value that a text is.
    pub(super) fn next(&mut self) -> Result<Option<Event<'t>>, Syntax> {
        let next = self.peek();
        let ends = next.is_some() && next == self.open.last().copied();
        match self.expected {
            Expected::CommaOrEnd if next.is_none() && self.open.is_empty() => return Ok(None),
            Expected::ValueOrEnd | Expected::NameOrEnd | Expected::CommaOrEnd if ends => {
                self.at += 1;
                self.open.pop();
                self.expected = Expected::CommaOrEnd;
                return Ok(Some(Event::End));
            }
            Expected::CommaOrEnd => {
                let is_object = *self.open.last().ok_or(Syntax)? == b'}';
                self.take(b',')?;
                if is_object { self.name() } else { self.value() }
            }
            Expected::NameOrEnd => self.name(),
            Expected::Member => {
                self.take(b':')?;
                self.value()
            }
            Expected::Value | Expected::ValueOrEnd => self.value(),
        }
        .map(Some)
    }

    /// Where it stands: in an error, at what was not expected.
    #[cfg(feature = "gateway")]
    pub(super) fn position(&self) -> usize {
        self.at
    }

    fn value(&mut self) -> Result<Event<'t>, Syntax> {
        let first = self.peek().ok_or(Syntax)?;
        self.expected = Expected::CommaOrEnd;
        match first {
            b'"' => self.string().map(Event::String),
            b'-' | b'0'..=b'9' => self.number().map(Event::Number),
            b'{' => Ok(self.begin(b'}', Expected::NameOrEnd, Event::Object)),
            b'[' => Ok(self.begin(b']', Expected::ValueOrEnd, Event::Array)),
            b't' => self.word(b"true", Event::Bool(true)),
            b'f' => self.word(b"false", Event::Bool(false)),
            b'n' => self.word(b"null", Event::Null),
            _ => Err(Syntax),
        }
    }

    fn begin(&mut self, closing: u8, expected: Expected, event: Event<'t>) -> Event<'t> {
        self.at += 1;
        self.open.push(closing);
        self.expected = expected;
        event
    }

    fn name(&mut self) -> Result<Event<'t>, Syntax> {
        self.peek();
        self.expected = Expected::Member;
        self.string().map(Event::Name)
    }

    fn word(&mut self, word: &[u8], event: Event<'t>) -> Result<Event<'t>, Syntax> {
        word.iter().try_for_each(|&byte| self.take(byte))?;
        Ok(event)
    }

    fn string(&mut self) -> Result<Raw<'t>, Syntax> {
        self.take(b'"')?;
        let start = self.at;
        let mut has_escapes = false;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let is_special = |&byte: &u8| byte == b'"' || byte == b'\\' || byte < 0x20;
            self.at += rest.iter().position(is_special).ok_or(Syntax)?;
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => {
                    has_escapes = true;
                    self.at += 1;
                    self.escape()?;
                }
                _ => return Err(Syntax),
            }
        }
        let text = self.text.get(start..self.at).ok_or(Syntax)?;
        self.at += 1;
        Ok(Raw { text, has_escapes })
    }

    fn escape(&mut self) -> Result<(), Syntax> {
        let kind = self.byte().ok_or(Syntax)?;
        self.at += 1;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                let digits = self.text.get(self.at..self.at + 4).ok_or(Syntax)?;
                self.at += 4;
                if digits.iter().all(u8::is_ascii_hexdigit) { Ok(()) } else { Err(Syntax) }
            }
            _ => Err(Syntax),
        }
    }

    /// RFC 8259 §6: `-`, digits without a leading zero, a fraction, an exponent.
    fn number(&mut self) -> Result<&'t [u8], Syntax> {
        let start = self.at;
        self.skip(b"-");
        if !self.skip(b"0") {
            self.digits()?;
        }
        if self.skip(b".") {
            self.digits()?;
        }
        if self.skip(b"eE") {
            self.skip(b"+-");
            self.digits()?;
        }
        // After a leading zero: neither a separator nor a bracket, so that what comes next refuses it.
        self.text.get(start..self.at).ok_or(Syntax)
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Syntax> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Syntax) }
    }

    fn skip(&mut self, one_of: &[u8]) -> bool {
        let is_next = self.byte().is_some_and(|byte| one_of.contains(&byte));
        self.at += usize::from(is_next);
        is_next
    }

    fn take(&mut self, byte: u8) -> Result<(), Syntax> {
        if self.byte() != Some(byte) {
            return Err(Syntax);
        }
        self.at += 1;
        Ok(())
    }

    fn byte(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The next byte that is no whitespace.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte()? {
                b' ' | b'\n' | b'\t' | b'\r' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }
}
