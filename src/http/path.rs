//! The readings of a request path: how servers behind the gateway may interpret it.
//!
//! A path is forwarded as received. The route that applies must not depend on how the origin interprets it, so every reading below is
//! made, in every combination and order that changes something, and the gateway compares the routes that the readings match.
//!
//! | reading | example | read as |
//! |---|---|---|
//! | decoded, once or more often | `/a%62`, `/a%2562` | `/ab` |
//! | encoded slashes and backslashes as separators, decoded or not | `/a%2Fb`, `/a%5Cb` | `/a/b` |
//! | slashes merged, all or those in front | `/a//b` | `/a/b` |
//! | parameters cut | `/a;v=1/b` | `/a/b` |
//! | cut at an encoded `?` | `/a%3Fb` | `/a` |
//! | cut at an encoded `#` | `/a%23b` | `/a` |
//! | compatibility forms (NFKC) | `/ａ` | `/a` |
//! | ignorable characters dropped | `/a%C2%ADb` | `/ab` |
//! | invalid UTF-8 as Latin-1 | `/%E9` | `/é` |
//!
//! Letter case, blanks around segments and dots after them concern one segment at a time: [`super::spelling`] compares those.
//!
//! Always refused, in any reading: `.` and `..` segments, blank segments, control characters; and, in the path as received, a
//! backslash, invalid percent-encoding and overlong UTF-8.

use alloc::string::String;
use alloc::vec::Vec;

use super::spelling::{Unicode, is_plain, trimmed, without_ignorable};
use crate::http::percent;
use crate::limits;

/// A request path: absolute, well-formed, and acceptable in every reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestPath {
    text: String,
    readings: Vec<Reading>,
    /// Index of the reading that chooses the route: decoded once.
    main: usize,
}

/// The segments between slashes, as one text. A trailing slash makes an empty last segment; the root is that segment alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading(String);

/// Separates segments. A control character, so that no segment contains it.
const JOINT: char = '\u{1}';

/// Why a path is refused, regardless of the routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvalidPath {
    /// The path does not start with a slash.
    NotAbsolute,
    /// A `.` or `..` segment.
    DotSegment,
    /// A segment of blanks only.
    BlankSegment,
    /// A backslash that is not encoded.
    Backslash,
    /// A control character.
    Control,
    /// Invalid percent-encoding, or overlong UTF-8 in it.
    Encoding,
    /// More readings than the limit.
    TooManyReadings,
}

impl InvalidPath {
    /// Returns the detail for the problem document.
    #[must_use]
    pub(crate) const fn detail(self) -> &'static str {
        match self {
            Self::NotAbsolute => "The path does not start with a slash.",
            Self::DotSegment => "The path has a . or .. segment.",
            Self::BlankSegment => "The path has a blank segment.",
            Self::Backslash => "The path has a backslash.",
            Self::Control => "The path has a control character.",
            Self::Encoding => "The path has invalid percent-encoding.",
            Self::TooManyReadings => "The path can be read in too many ways.",
        }
    }

    /// Returns the stable code of this error.
    #[must_use]
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::TooManyReadings => "path_ambiguous",
            _ => "path_invalid",
        }
    }
}

impl RequestPath {
    /// Parses a request's path, as received; an empty one counts as `/`. The cost is linear in its length.
    ///
    /// # Errors
    /// See [`InvalidPath`].
    pub(crate) fn parse(path: &str, unicode: Unicode) -> Result<Self, InvalidPath> {
        let text = String::from(if path.is_empty() { "/" } else { path });
        let inner = text.strip_prefix('/').ok_or(InvalidPath::NotAbsolute)?;
        if inner.contains('\\') {
            return Err(InvalidPath::Backslash);
        }
        // It would separate segments. `Reading::check` finds the other control characters.
        if inner.bytes().any(|byte| byte == JOINT as u8) {
            return Err(InvalidPath::Control);
        }
        if !percent::is_well_formed(inner) {
            return Err(InvalidPath::Encoding);
        }
        let first = Reading(with_joint_for(inner, '/'));
        let mut readings = Readings { found: Vec::new(), bytes: 0 };
        readings.add(first)?;
        let mut main = 0;
        let mut next = 0;
        let is_plain = readings.found.iter().all(Reading::is_plain);
        while let Some(reading) = readings.found.get(next).filter(|_| !is_plain).cloned() {
            let decoded = reading.decoded()?;
            if next == 0 {
                main = decoded.len().min(1);
            }
            decoded.into_iter().chain(reading.others(unicode)).try_for_each(|reading| readings.add(reading))?;
            next += 1;
        }
        Ok(Self { text, readings: readings.found, main })
    }

    /// Returns the path as received.
    #[must_use]
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// Returns the path decoded once.
    pub(crate) fn main(&self) -> &Reading {
        const ROOT: &Reading = &Reading(String::new());
        self.readings.get(self.main).unwrap_or(ROOT)
    }

    /// Returns all readings.
    pub(crate) fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// Returns whether every reading has the same number of segments, none of them empty.
    pub(crate) fn has_one_structure(&self) -> bool {
        let count = self.main().segments().count();
        self.readings.iter().all(|reading| {
            reading.segments().count() == count && (count == 1 || !reading.segments().any(str::is_empty))
        })
    }

    /// Returns whether some reading has two consecutive slashes: anywhere, or at its beginning.
    pub(crate) fn has_empty_segment(&self, anywhere: bool) -> bool {
        self.readings.iter().any(|reading| {
            let count = reading.segments().count() - 1;
            reading.segments().take(if anywhere { count } else { count.min(1) }).any(str::is_empty)
        })
    }
}

/// The readings found so far, each once.
struct Readings {
    found: Vec<Reading>,
    bytes: usize,
}

impl Readings {
    fn add(&mut self, reading: Reading) -> Result<(), InvalidPath> {
        if self.found.contains(&reading) {
            return Ok(());
        }
        reading.check()?;
        self.bytes += reading.0.len();
        let is_first = self.found.is_empty();
        if !is_first && (self.found.len() >= limits::MAX_PATH_READINGS || self.bytes > limits::MAX_PATH_READING_BYTES) {
            return Err(InvalidPath::TooManyReadings);
        }
        self.found.push(reading);
        Ok(())
    }
}

impl Reading {
    /// Iterates over the segments, in order.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.split(JOINT)
    }

    /// Returns whether every server interprets the path alike, as with most paths.
    fn is_plain(&self) -> bool {
        let inner = self.0.strip_suffix(JOINT).unwrap_or(&self.0);
        self.0.is_empty() || inner.split(JOINT).all(|segment| !segment.is_empty() && is_plain(segment))
    }

    fn check(&self) -> Result<(), InvalidPath> {
        if has_control_character(&self.0) {
            return Err(InvalidPath::Control);
        }
        for segment in self.segments() {
            let is_blank = |c: char| c.is_whitespace();
            match trimmed(segment) {
                "." | ".." => return Err(InvalidPath::DotSegment),
                "" if !segment.is_empty() => return Err(InvalidPath::BlankSegment),
                // What remains of dots and blanks depends on how often a server trims; it may be two dots.
                rest if rest.chars().all(|c| c == '.' || is_blank(c)) && rest.contains(is_blank) => {
                    return Err(InvalidPath::DotSegment);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Percent-decodes: no reading if there is nothing to decode, two if the result is not UTF-8.
    fn decoded(&self) -> Result<Vec<Self>, InvalidPath> {
        if !self.0.contains('%') {
            return Ok(Vec::new());
        }
        let bytes = percent::decode(&self.0);
        let joints = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == JOINT as u8).count();
        if joints(&bytes) > joints(self.0.as_bytes()) {
            return Err(InvalidPath::Control);
        }
        if percent::has_overlong_utf8(&bytes) {
            return Err(InvalidPath::Encoding);
        }
        Ok(match String::from_utf8(bytes) {
            Ok(text) => self.unless_same(text).into_iter().collect(),
            Err(error) => {
                Vec::from([Self(percent::utf8_or_latin1(error.as_bytes())), Self(percent::decode_latin1(&self.0))])
            }
        })
    }

    /// Returns the other readings that are one step away.
    fn others(&self, unicode: Unicode) -> impl Iterator<Item = Self> {
        let text = self.0.as_str();
        let replaced = |character: char| text.contains(character).then(|| with_joint_for(text, character));
        let non_ascii = Some(text).filter(|text| !text.is_ascii());
        [
            replaced('/'),
            replaced('\\'),
            percent::with_encoded_separators_as(text, JOINT),
            text.contains(';').then(|| without_parameters(text)),
            cut_at(text, '?'),
            cut_at(text, '#'),
            with_merged_slashes(text),
            text.starts_with(JOINT).then(|| text.trim_start_matches(JOINT).into()),
            non_ascii.map(unicode.nfkc),
            non_ascii.map(without_ignorable),
        ]
        .into_iter()
        .flatten()
        .map(Self)
    }

    fn unless_same(&self, text: String) -> Option<Self> {
        Some(Self(text)).filter(|other| other != self)
    }
}

/// Cuts at the first such character, which was encoded: some servers decode before they search for it.
fn cut_at(text: &str, end: char) -> Option<String> {
    text.split_once(end).map(|(before, _)| before.into())
}

fn without_parameters(text: &str) -> String {
    let mut is_parameter = false;
    let is_kept = |character: &char| {
        is_parameter = *character != JOINT && (is_parameter || *character == ';');
        !is_parameter
    };
    text.chars().filter(is_kept).collect()
}

/// Removes empty segments, except the last; returns `None` if there are none.
fn with_merged_slashes(text: &str) -> Option<String> {
    let (before, last) = text.rsplit_once(JOINT)?;
    let mut merged = String::new();
    for segment in before.split(JOINT).filter(|segment| !segment.is_empty()) {
        merged.push_str(segment);
        merged.push(JOINT);
    }
    merged.push_str(last);
    (merged.len() < text.len()).then_some(merged)
}

/// Makes every such character a separator of segments.
fn with_joint_for(text: &str, character: char) -> String {
    text.replace(character, JOINT.encode_utf8(&mut [0; 4]))
}

/// Returns whether there is a control character besides [`JOINT`]: of ASCII, or U+0080 to U+009F.
fn has_control_character(text: &str) -> bool {
    let mut before = 0;
    text.bytes().any(|byte| {
        let is_c1 = core::mem::replace(&mut before, byte) == 0xc2 && byte < 0xa0;
        is_c1 || byte.is_ascii_control() && byte != JOINT as u8
    })
}

#[cfg(test)]
#[cfg(feature = "unicode")]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::{InvalidPath, Reading, RequestPath};
    use crate::http::spelling::Unicode;
    use crate::limits;

    fn parse(path: &str) -> Result<RequestPath, InvalidPath> {
        RequestPath::parse(path, Unicode::TABLES)
    }

    fn readings(path: &str) -> Vec<String> {
        parse(path).unwrap().readings().iter().map(|Reading(text)| text.replace(super::JOINT, "|")).collect()
    }

    #[test]
    fn a_plain_path_has_one_reading() {
        for path in ["", "/", "/a/b", "/a/b/", "/a.b/-_~", "/Admin", "/~!$&'()*+,=:@", "/é", "/日本"] {
            assert_eq!(parse(path).unwrap().readings().len(), 1, "{path}");
        }
    }

    #[test]
    fn every_way_to_read_a_path_is_a_reading() {
        for (path, expected) in [
            ("/a%2Fb", &["a%2Fb", "a/b", "a|b"][..]),
            ("/a%5Cb", &["a%5Cb", "a\\b", "a|b"]),
            ("/a//b", &["a||b", "a|b"]),
            ("/a//", &["a||", "a|"]),
            ("//", &["|", ""]),
            ("//a", &["|a", "a"]),
            ("/a;b/c", &["a;b|c", "a|c"]),
            ("/a%3Fb/c", &["a%3Fb|c", "a?b|c", "a"]),
            ("/a%23b/c%3F", &["a%23b|c%3F", "a#b|c?", "a#b|c", "a"]),
            ("//a//b", &["|a||b", "a||b", "a|b"]),
            ("/%2561", &["%2561", "%61", "a"]),
            ("/%E9", &["%E9", "é"]),
            ("/%C3%A9%E9", &["%C3%A9%E9", "éé", "Ã©é"]),
            ("/ａ", &["ａ", "a"]),
            ("/a\u{ad}b", &["a\u{ad}b", "ab"]),
            (
                "/a%3Bb%2F%2Fc",
                &["a%3Bb%2F%2Fc", "a;b//c", "a%3Bb||c", "a;b||c", "a", "a%3Bb|c", "a;b|c", "a||c", "a|c"],
            ),
            ("/℀", &["℀", "a/c", "a|c"]),
        ] {
            let mut found = readings(path);
            found.sort();
            let mut expected: Vec<&str> = expected.to_vec();
            expected.sort_unstable();
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn the_route_is_chosen_by_the_path_decoded_once() {
        for (path, main) in
            [("/%61/b", "a|b"), ("/a%2Fb", "a/b"), ("/%2561", "%61"), ("/a//b", "a||b"), ("/%E9", "é"), ("/", "")]
        {
            assert_eq!(parse(path).unwrap().main().0.replace(super::JOINT, "|"), main, "{path}");
        }
    }

    #[test]
    fn what_no_server_should_see_is_refused_in_every_reading() {
        for (path, reason) in [
            ("a", InvalidPath::NotAbsolute),
            ("\\admin", InvalidPath::NotAbsolute),
            ("/.", InvalidPath::DotSegment),
            ("/a/../b", InvalidPath::DotSegment),
            ("/a/..", InvalidPath::DotSegment),
            ("/%2e%2e/b", InvalidPath::DotSegment),
            ("/a/.%2E/b", InvalidPath::DotSegment),
            ("/a/..%20/b", InvalidPath::DotSegment),
            ("/a/%20../b", InvalidPath::DotSegment),
            ("/a/%20/b", InvalidPath::BlankSegment),
            ("/a/..%20./b", InvalidPath::DotSegment),
            ("/a/.%20./b", InvalidPath::DotSegment),
            ("/a/..%20.%20/b", InvalidPath::DotSegment),
            ("/..%E3%80%80./b", InvalidPath::DotSegment),
            ("/public/..%2fadmin", InvalidPath::DotSegment),
            ("/public/..%5cadmin", InvalidPath::DotSegment),
            ("/public/..;/admin", InvalidPath::DotSegment),
            ("/public/..%3b/admin", InvalidPath::DotSegment),
            ("/public/..%3f", InvalidPath::DotSegment),
            ("/%252e%252e/admin", InvalidPath::DotSegment),
            ("/%25%32%65%25%32%65/admin", InvalidPath::DotSegment),
            ("/..%252fadmin", InvalidPath::DotSegment),
            ("/..%c2%ad/a", InvalidPath::DotSegment),
            ("/.%e2%80%8b./a", InvalidPath::DotSegment),
            ("/a/%ef%bc%8e%ef%bc%8e/b", InvalidPath::DotSegment),
            ("/a/\u{fe30}/b", InvalidPath::DotSegment),
            ("/a/‥／b", InvalidPath::DotSegment),
            ("/a/%25\u{ff12}e%25\u{ff12}e", InvalidPath::DotSegment),
            ("/a\\b", InvalidPath::Backslash),
            ("/a%00", InvalidPath::Control),
            ("/a%2500", InvalidPath::Control),
            // The separator of segments in a reading.
            ("/a%01b", InvalidPath::Control),
            ("/a/%2501b", InvalidPath::Control),
            ("/a%0a", InvalidPath::Control),
            ("/a\u{7f}", InvalidPath::Control),
            ("/a%c2%85", InvalidPath::Control),
            ("/a%85", InvalidPath::Control),
            ("/%", InvalidPath::Encoding),
            ("/%4", InvalidPath::Encoding),
            ("/%zz", InvalidPath::Encoding),
            ("/%u002f", InvalidPath::Encoding),
            ("/%c0%ae%c0%ae/", InvalidPath::Encoding),
            ("/%e0%80%ae", InvalidPath::Encoding),
            ("/%f0%80%80%ae", InvalidPath::Encoding),
        ] {
            assert_eq!(parse(path), Err(reason), "{path}");
        }
        assert!(parse("/.../a..b/.c/100%25").is_ok());
    }

    #[test]
    fn every_control_character_is_found() {
        for character in (0..=0x0010_ffff).filter_map(char::from_u32) {
            let expected = character.is_control() && character != super::JOINT;
            let text = alloc::format!("a\u{c2}{character}\u{a0}b");
            assert_eq!(super::has_control_character(&text), expected, "{:x}", u32::from(character));
        }
    }

    #[test]
    fn a_path_has_one_structure_if_no_reading_has_other_or_empty_segments() {
        for path in ["/", "/a", "/a/b", "/%61/b", "/Admin/x"] {
            assert!(parse(path).unwrap().has_one_structure(), "{path}");
        }
        for path in ["/a/", "//", "/a//b", "/a%2Fb", "/%2F", "/a/%3Fb"] {
            assert!(!parse(path).unwrap().has_one_structure(), "{path}");
        }
    }

    #[test]
    fn readings_are_bounded_by_number_and_by_bytes() {
        // Each parameter may be cut, and each slash may separate: few readings of many bytes, or many of few.
        let of_bytes = |bytes: usize| alloc::format!("/{}%2Fb%5Cc;d%3Fe", "a".repeat(bytes));
        let short = parse(&of_bytes(1)).unwrap();
        let count = short.readings().len();
        let rest: usize = short.readings().iter().map(|Reading(text)| text.len() - 1).sum();
        let fitting = (limits::MAX_PATH_READING_BYTES - rest) / count;
        assert_eq!(parse(&of_bytes(fitting)).unwrap().readings().len(), count);
        assert_eq!(parse(&of_bytes(fitting + 1)), Err(InvalidPath::TooManyReadings));

        let exact = "a".repeat(limits::MAX_PATH_READING_BYTES / 2 - 1);
        let path = alloc::format!("/{exact}b%61");
        let total: usize = exact.len() * 2 + "b%61".len() + "ba".len();
        assert!(total > limits::MAX_PATH_READING_BYTES && parse(&path).is_err());
        let path = alloc::format!("/{}b%61", &exact[2..]);
        assert_eq!((exact.len() - 2) * 2 + 6, limits::MAX_PATH_READING_BYTES);
        assert_eq!(parse(&path).unwrap().readings().len(), 2, "up to the limit");
    }

    #[test]
    fn work_is_bounded_whatever_the_path_is() {
        let pieces = ["%2F", "%5C", "//", ";a", "%253B", "%25252F", "ａ", "%C2%AD", "%3F", "%E9"];
        let worst: String = (0..1500).map(|index| pieces[index % pieces.len()]).collect();
        assert_eq!(parse(&alloc::format!("/{worst}")), Err(InvalidPath::TooManyReadings));
        for piece in pieces {
            let path = alloc::format!("/a{}", piece.repeat(15_000 / piece.len()));
            let Ok(path) = parse(&path) else { continue };
            let bytes: usize = path.readings().iter().map(|Reading(text)| text.len()).sum();
            assert!(bytes <= limits::MAX_PATH_READING_BYTES, "{piece}: {bytes}");
        }
        // Long paths in practice have few readings.
        let name = "%E6%97%A5%E6%9C%AC%20".repeat(150);
        assert!(parse(&alloc::format!("/files/{name}/{name};v=1//x%2Fy%2520z")).is_ok());
        assert!(parse(&alloc::format!("/{}", "a/".repeat(8000))).is_ok());
        for path in [
            "/p/https%3A%2F%2Fhost%2F%E6%9D%B1%E4%BA%AC%EF%BC%88%EF%BC%91%EF%BC%89%3Bv%3D1%3Fu%3Dhttps%253A%252F%252Fz%252Fq",
            "/p/https://host/a;j=1/%EF%BC%A1%3Fx%3Dhttps%253A%252F%252Fz%2523q",
        ] {
            assert!(parse(path).is_ok(), "{path}");
        }
    }
}
