//! The gateway's cookies: written with every protective attribute, read without relying on their order.
//!
//! A long value is split into chunks: the first cookie has the plain name and starts with the number of chunks, the others
//! have `.1`, `.2` … appended. Chunks left over from a longer value are ignored when reading and cleared when writing.
//!
//! A browser stores one cookie per name, domain and path, and sends all that match (RFC 6265 §5.4). So a name without the `__Host-`
//! prefix may arrive several times: set earlier with another `Domain`, or by a sibling host.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::limits;

/// The name and attributes of a cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieShape {
    /// The name of the cookie, or of its first chunk.
    pub name: String,
    /// `SameSite`
    pub same_site: &'static str,
    /// `Domain`, for sessions shared between subdomains. Excludes the `__Host-` prefix.
    pub domain: Option<String>,
}

impl CookieShape {
    fn set(&self, name: &str, value: &str, max_age_s: i64) -> String {
        self.set_for(self.domain.as_deref(), name, value, max_age_s)
    }

    fn set_for(&self, domain: Option<&str>, name: &str, value: &str, max_age_s: i64) -> String {
        let domain = domain.map(|domain| format!("; Domain={domain}")).unwrap_or_default();
        let same_site = self.same_site;
        format!("{name}={value}; Path=/{domain}; Max-Age={max_age_s}; HttpOnly; Secure; SameSite={same_site}")
    }

    /// Returns the `Set-Cookie` values for `value`, which also clear leftover chunks in `present`; `None` if the value is too long.
    #[must_use]
    pub fn write(&self, value: &str, max_age_s: i64, present: &Cookies<'_>) -> Option<Vec<String>> {
        let chunks: Vec<&str> = value
            .as_bytes()
            .chunks(limits::MAX_COOKIE_CHUNK_BYTES)
            .filter_map(|part| str::from_utf8(part).ok())
            .collect();
        if chunks.is_empty() || chunks.len() > limits::MAX_COOKIE_CHUNKS {
            return None;
        }
        let mut cookies = Vec::new();
        for (index, chunk) in chunks.iter().enumerate() {
            let value = if index == 0 { format!("{}.{chunk}", chunks.len()) } else { (*chunk).into() };
            cookies.push(self.set(&self.chunk_name(index), &value, max_age_s));
        }
        cookies.extend(self.clear_from(chunks.len(), present));
        Some(cookies)
    }

    /// Returns the `Set-Cookie` values that remove the cookie and all its chunks, with their `Domain` and without: this host may have
    /// set both.
    #[must_use]
    pub fn clear(&self, present: &Cookies<'_>) -> Vec<String> {
        let mut cookies = self.remove(&self.name);
        cookies.extend(self.clear_from(1, present));
        cookies
    }

    fn clear_from(&self, first: usize, present: &Cookies<'_>) -> Vec<String> {
        (first.max(1)..limits::MAX_COOKIE_CHUNKS)
            .map(|index| self.chunk_name(index))
            .filter(|name| present.has(name))
            .flat_map(|name| self.remove(&name))
            .collect()
    }

    fn remove(&self, name: &str) -> Vec<String> {
        let host_only = self.domain.as_ref().map(|_| self.set_for(None, name, "", 0));
        [self.set(name, "", 0)].into_iter().chain(host_only).collect()
    }

    /// Returns every value that the cookies make up, at most [`limits::MAX_COOKIE_VALUES`]. Only decryption tells which one is valid.
    ///
    /// The first cookie of the name is combined with the first of each chunk, the second with the second, and so on: browsers send
    /// cookies that were set together in that order. Other combinations follow, for chunks that were added later.
    #[must_use]
    pub fn read<'h>(&self, cookies: &Cookies<'h>) -> Vec<Cow<'h, str>> {
        let heads = cookies.all(&self.name).enumerate().filter_map(|(position, value)| Head::parse(position, value));
        let heads: Vec<Head<'h>> = heads.take(limits::MAX_COOKIE_VALUES).collect();
        let mut chunks: Vec<Vec<&str>> = Vec::new();
        for index in 1..heads.iter().fold(0, |most, head| head.count.max(most)) {
            chunks.push(cookies.all(&self.chunk_name(index)).take(limits::MAX_COOKIE_VALUES).collect());
        }
        // A browser never has two cookies of such a name, so this is not a browser.
        if self.name.starts_with("__Host-")
            && (cookies.all(&self.name).nth(1).is_some() || chunks.iter().any(|chunk| chunk.len() > 1))
        {
            return Vec::new();
        }
        let mut values = Vec::new();
        for number in 0..limits::MAX_COOKIE_VALUES {
            for head in &heads {
                if values.len() < limits::MAX_COOKIE_VALUES {
                    values.extend(head.join(&chunks, number));
                }
            }
        }
        values
    }

    fn chunk_name(&self, index: usize) -> String {
        if index == 0 { self.name.clone() } else { format!("{}.{index}", self.name) }
    }
}

/// The cookie with the plain name: the number of chunks, and the first one.
struct Head<'h> {
    position: usize,
    count: usize,
    chunk: &'h str,
}

impl<'h> Head<'h> {
    fn parse(position: usize, value: &'h str) -> Option<Self> {
        let (count, chunk) = value.split_once('.')?;
        let count: usize = Some(count).filter(|count| count.len() == 1)?.parse().ok()?;
        (1..=limits::MAX_COOKIE_CHUNKS).contains(&count).then_some(Self { position, count, chunk })
    }

    /// Returns combination `number` of this first chunk with the candidates for the others in `chunks`. Combination 0 uses those at its
    /// own position.
    fn join(&self, chunks: &[Vec<&'h str>], number: usize) -> Option<Cow<'h, str>> {
        let mut value = Cow::Borrowed(self.chunk);
        let mut rest = number;
        for candidates in chunks.iter().take(self.count - 1) {
            let chosen = (self.position + rest).checked_rem(candidates.len())?;
            rest = rest.checked_div(candidates.len())?;
            value.to_mut().push_str(candidates.get(chosen)?);
        }
        let fits = value.len()
            <= if self.count == 1 {
                limits::MAX_COOKIE_CHUNK_BYTES
            } else {
                limits::MAX_COOKIE_CHUNKS * limits::MAX_COOKIE_CHUNK_BYTES
            };
        (rest == 0 && fits).then_some(value)
    }
}

/// The cookies of a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cookies<'h>(&'h str);

impl<'h> Cookies<'h> {
    /// Wraps the value of a `Cookie` header.
    #[must_use]
    pub fn new(header: &'h str) -> Self {
        Self(header)
    }

    /// Iterates over the values of the cookies with exactly this name, in order.
    fn all(&self, name: &str) -> impl Iterator<Item = &'h str> {
        self.iter().filter(move |(one, _)| *one == name).map(|(_, value)| value)
    }

    /// Returns whether any cookie has this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|(one, _)| one == name)
    }

    /// Iterates over names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'h str, &'h str)> + use<'h> {
        self.0.split(';').filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='))
    }
}

/// Returns a `Cookie` header without the cookies whose names are `refused`; the header itself if there are none, and `None` if nothing is
/// left.
///
/// Names are compared after trimming everything that is not visible ASCII, so that a name cannot hide behind characters
/// that another parser drops. A comma ends a cookie, too: runtimes join several `Cookie` headers with it.
#[must_use]
pub fn cookies_without(header: &str, refused: impl Fn(&str) -> bool) -> Option<Cow<'_, str>> {
    let hidden = |c: char| !c.is_ascii_graphic();
    let passes = |part: &&str| !refused(part.split('=').next().unwrap_or_default().trim_matches(hidden));
    if header.split([';', ',']).all(|part| passes(&part)) {
        return Some(Cow::Borrowed(header));
    }
    let kept = header.split(';').map(|pair| pair.split(',').filter(passes).collect::<Vec<_>>().join(","));
    let kept: Vec<String> = kept.filter(|cookie| !cookie.trim_matches(hidden).is_empty()).collect();
    (!kept.is_empty()).then(|| kept.iter().map(|cookie| cookie.trim()).collect::<Vec<_>>().join("; ").into())
}

#[cfg(test)]
mod tests {
    use alloc::borrow::Cow;
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use super::{CookieShape, Cookies, cookies_without};
    use crate::limits;

    fn shape() -> CookieShape {
        CookieShape { name: "__Host-s".into(), same_site: "Lax", domain: None }
    }

    /// Returns the `Cookie` header that a browser sends after these `Set-Cookie` headers.
    fn sent(cookies: &[String]) -> String {
        let pairs: Vec<&str> = cookies
            .iter()
            .filter(|cookie| !cookie.contains("Max-Age=0"))
            .map(|cookie| cookie.split(';').next().unwrap())
            .collect();
        pairs.join("; ")
    }

    #[test]
    fn values_of_any_allowed_length_come_back() {
        for len in
            [1, limits::MAX_COOKIE_CHUNK_BYTES, limits::MAX_COOKIE_CHUNK_BYTES + 1, 8 * limits::MAX_COOKIE_CHUNK_BYTES]
        {
            let value = "x".repeat(len);
            let cookies = shape().write(&value, 60, &Cookies::default()).unwrap();
            assert_eq!(cookies.len(), len.div_ceil(limits::MAX_COOKIE_CHUNK_BYTES));
            assert_eq!(shape().read(&Cookies::new(&sent(&cookies))), [value.as_str()]);
        }
        assert_eq!(shape().write(&"x".repeat(8 * limits::MAX_COOKIE_CHUNK_BYTES + 1), 60, &Cookies::default()), None);
    }

    #[test]
    fn cookies_are_protected() {
        let cookies = shape().write("x", 60, &Cookies::default()).unwrap();
        assert_eq!(cookies, ["__Host-s=1.x; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax"]);
    }

    #[test]
    fn missing_and_duplicate_chunks_void_the_value() {
        let cookies = shape().write(&"x".repeat(limits::MAX_COOKIE_CHUNK_BYTES + 1), 60, &Cookies::default()).unwrap();
        let whole = sent(&cookies);
        let (first, second) = whole.split_once("; ").unwrap();
        for header in
            [first, second, &alloc::format!("{whole}; {second}"), &alloc::format!("{first}; {whole}"), "", "a"]
        {
            assert!(shape().read(&Cookies::new(header)).is_empty());
        }
        for header in ["__Host-s=", "__Host-s=0.x", "__Host-s=9.x", "__Host-s=10.x", "__Host-s=x", "__Host-s=+1.x"] {
            assert!(shape().read(&Cookies::new(header)).is_empty(), "{header}");
        }
    }

    #[test]
    fn a_cookie_after_a_comma_is_none_of_ours() {
        // So runtimes join two `Cookie` headers, and a sibling host may set a cookie with such a value.
        for header in ["a=b, __Host-s=1.x", "a=b,__Host-s=1.x; c=d", "a, __Host-s=1.x", ", __Host-s=1.x"] {
            assert!(
                shape().read(&Cookies::new(header)).is_empty() && !Cookies::new(header).has("__Host-s"),
                "{header}"
            );
        }
        // A value with a comma was not sealed here.
        assert_eq!(shape().read(&Cookies::new("__Host-s=1.x, a=b")), ["x, a=b"]);
        assert_eq!(shape().read(&Cookies::new("a=b, c; __Host-s=1.x")), ["x"]);
    }

    #[test]
    fn left_over_chunks_are_cleared() {
        let before = Cookies::new("__Host-s=3.a; __Host-s.1=b; __Host-s.2=c; other=d");
        let cookies = shape().write("x", 60, &before).unwrap();
        assert_eq!(cookies.len(), 3);
        assert!(cookies[1].starts_with("__Host-s.1=; ") && cookies[2].starts_with("__Host-s.2=; "));
        assert_eq!(shape().clear(&before).len(), 3);
    }

    #[test]
    fn a_name_that_other_hosts_can_set_may_come_several_times() {
        let shape = CookieShape { name: "s".into(), same_site: "Lax", domain: Some("a.example".into()) };
        let read = |header: &str| shape.read(&Cookies::new(header)).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(read("s=1.a; s=1.b; s=x; s=1.c"), ["a", "b", "c"]);
        // What was set together first, whatever lies between.
        assert_eq!(read("s=2.a; s.1=A; s=2.b; s.1=B"), ["aA", "bB", "aB", "bA"]);
        assert_eq!(read("s=x; s=2.b; s.1=A; s.1=B"), ["bB", "bA"]);
        assert_eq!(read("s=1.a; s=2.b; s.1=A; s.1=B"), ["a", "bB", "bA"]);
        assert_eq!(read("s=3.a; s=3.b; s.1=A; s.1=B; s.2=C"), ["aAC", "bBC", "aBC", "bAC"]);
        assert_eq!(read("s=2.a; s=1.b"), ["b"], "a chunk is missing");
        assert_eq!(read(&"s=8.a; ".repeat(5000)), [""; 0]);
        let crowd: String = (0..8).map(|index| format!("s.{index}=A; ").repeat(500)).collect();
        assert_eq!(read(&format!("{}{crowd}", "s=8.a; ".repeat(500))).len(), limits::MAX_COOKIE_VALUES);
    }

    #[test]
    fn cookies_are_cleared_with_and_without_the_domain() {
        let shape = CookieShape { name: "s".into(), same_site: "Lax", domain: Some("a.example".into()) };
        let cleared = shape.clear(&Cookies::new("s=2.a; s.1=b"));
        for (name, line) in ["s", "s", "s.1", "s.1"].iter().zip(&cleared) {
            assert!(line.starts_with(&format!("{name}=; Path=/; ")) && line.contains("Max-Age=0"), "{line}");
        }
        let with_domain: Vec<bool> = cleared.iter().map(|line| line.contains("; Domain=a.example;")).collect();
        assert_eq!(with_domain, [true, false, true, false]);
    }

    #[test]
    fn refused_cookies_are_removed_in_every_spelling() {
        fn kept(header: &str) -> Option<Cow<'_, str>> {
            cookies_without(header, |name| name.starts_with("__Host-edgeward"))
        }
        assert_eq!(kept("a=1; __Host-edgeward=x; b=2").as_deref(), Some("a=1; b=2"));
        assert_eq!(kept("__Host-edgeward.0=x;__Host-edgeward.1=y"), None);
        assert_eq!(kept("\u{2000}__Host-edgeward=x; \u{a0}__Host-edgeward.0=y; c=3").as_deref(), Some("c=3"));
        assert_eq!(kept("__Host-edgeward"), None);
        for untouched in ["theme=dark", "a=1;b=2 ;;  c = \"x, y\" ,", ";", "a=\u{ff}", "x__Host-edgeward=1"] {
            assert!(matches!(kept(untouched), Some(Cow::Borrowed(same)) if same == untouched), "{untouched}");
        }
        assert_eq!(kept("a=1, __Host-edgeward=x, b=2").as_deref(), Some("a=1, b=2"));
        assert_eq!(kept("__Host-edgeward=x, a=1,2; b=3, 4").as_deref(), Some("a=1,2; b=3, 4"));
    }

    /// All orders of these.
    fn orders(list: &[usize]) -> Vec<Vec<usize>> {
        if list.is_empty() {
            return alloc::vec![Vec::new()];
        }
        let mut all = Vec::new();
        for (index, &first) in list.iter().enumerate() {
            let rest = [&list[..index], &list[index + 1..]].concat();
            all.extend(orders(&rest).into_iter().map(|order| [&[first], &order[..]].concat()));
        }
        all
    }

    /// The cookies of a value in `count` chunks.
    fn chunks(name: &str, count: usize, letter: char) -> Vec<String> {
        let head = format!("{name}={count}.{letter}0");
        [head].into_iter().chain((1..count).map(|index| format!("{name}.{index}={letter}{index}"))).collect()
    }

    fn whole(count: usize, letter: char) -> String {
        (0..count).map(|index| format!("{letter}{index}")).collect()
    }

    #[test]
    fn chunks_in_every_order_make_up_the_value() {
        for count in 1..=7 {
            let chunks = chunks("__Host-s", count, 'a');
            for order in orders(&(0..count).collect::<Vec<_>>()) {
                let header: Vec<&str> = order.iter().map(|&index| &*chunks[index]).collect();
                assert_eq!(shape().read(&Cookies::new(&header.join("; "))), [whole(count, 'a')], "{header:?}");
            }
        }
    }

    #[test]
    fn every_omission_and_every_duplicate_voids_the_value() {
        for count in 1..=limits::MAX_COOKIE_CHUNKS {
            let chunks = chunks("__Host-s", count, 'a');
            let name = |index: usize| chunks[index].split('=').next().unwrap();
            for present in 0..1usize << count {
                let some: Vec<&str> =
                    (0..count).filter(|index| present >> index & 1 == 1).map(|index| &*chunks[index]).collect();
                let read = |cookies: &[&str]| shape().read(&Cookies::new(&cookies.join("; "))).len();
                assert_eq!(read(&some), usize::from(some.len() == count), "{some:?}");
                // One more cookie: a chunk itself, another value of its name, or none.
                for index in 0..count {
                    for one in [chunks[index].clone(), format!("{}=b", name(index)), format!("{}=", name(index))] {
                        for place in [0, some.len() / 2, some.len()] {
                            let cookies = [&some[..place], &[&*one], &some[place..]].concat();
                            let is_once = |index: usize| {
                                cookies.iter().filter(|cookie| cookie.split('=').next() == Some(name(index))).count()
                                    == 1
                            };
                            let complete = (0..count).all(is_once) && cookies.contains(&&*chunks[0]);
                            assert_eq!(read(&cookies), usize::from(complete), "{cookies:?}");
                        }
                    }
                }
            }
        }
    }

    /// Two values of a name that other hosts can set too, each chunk in either order.
    #[test]
    fn two_whole_values_are_found_in_every_order_of_their_chunks() {
        let shape = CookieShape { name: "s".into(), same_site: "Lax", domain: Some("a.example".into()) };
        for count in 1..=3 {
            let (a, b) = (chunks("s", count, 'a'), chunks("s", count, 'b'));
            for swapped in 0..1usize << count {
                let pairs = (0..count).map(|index| {
                    if swapped >> index & 1 == 1 { [&*b[index], &a[index]] } else { [&*a[index], &b[index]] }
                });
                let header = pairs.flatten().collect::<Vec<_>>().join("; ");
                let values = shape.read(&Cookies::new(&header));
                for whole in [whole(count, 'a'), whole(count, 'b')] {
                    assert!(values.iter().any(|value| *value == whole), "{header}: {values:?}");
                }
                if swapped == 0 {
                    assert_eq!(values[..2], [whole(count, 'a'), whole(count, 'b')]);
                }
                // Each value has each chunk once, in its place.
                for value in &values {
                    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
                    assert_eq!(digits, "012"[..count], "{value}");
                }
            }
        }
    }
}
