//! Cookies of the gateway: written with every attribute that protects them, read without trusting their order.
//!
//! A long value is cut into chunks: the first cookie has the plain name and starts with the number of chunks, the others
//! have `.1`, `.2` … appended. Chunks left over from a longer value are ignored when reading and cleared when writing.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Chunks of one value.
pub const MAX_COOKIE_CHUNKS: usize = 8;

/// Bytes of one chunk's value; browsers keep cookies of up to 4,096 bytes, name and attributes included.
pub const MAX_CHUNK_BYTES: usize = 3500;

/// How a cookie is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieShape {
    /// Name of the cookie, or of its first chunk.
    pub name: String,
    /// `SameSite`
    pub same_site: &'static str,
    /// `Domain`, for sessions shared between subdomains. Excludes the `__Host-` prefix.
    pub domain: Option<String>,
}

impl CookieShape {
    fn set(&self, name: &str, value: &str, max_age_s: i64) -> String {
        let domain = self.domain.as_ref().map(|domain| format!("; Domain={domain}")).unwrap_or_default();
        let same_site = self.same_site;
        format!("{name}={value}; Path=/{domain}; Max-Age={max_age_s}; HttpOnly; Secure; SameSite={same_site}")
    }

    /// `Set-Cookie` values for `value`, clearing chunks that `present` has too many of. `None` if the value is too long.
    #[must_use]
    pub fn write(&self, value: &str, max_age_s: i64, present: &Cookies<'_>) -> Option<Vec<String>> {
        let chunks: Vec<&str> =
            value.as_bytes().chunks(MAX_CHUNK_BYTES).filter_map(|part| str::from_utf8(part).ok()).collect();
        if chunks.is_empty() || chunks.len() > MAX_COOKIE_CHUNKS {
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

    /// `Set-Cookie` values that remove the cookie and all its chunks.
    #[must_use]
    pub fn clear(&self, present: &Cookies<'_>) -> Vec<String> {
        let mut cookies = Vec::from([self.set(&self.name, "", 0)]);
        cookies.extend(self.clear_from(1, present));
        cookies
    }

    fn clear_from(&self, first: usize, present: &Cookies<'_>) -> Vec<String> {
        (first.max(1)..MAX_COOKIE_CHUNKS)
            .map(|index| self.chunk_name(index))
            .filter(|name| present.has(name))
            .map(|name| self.set(&name, "", 0))
            .collect()
    }

    /// The whole value, if every chunk is there exactly once.
    #[must_use]
    pub fn read<'h>(&self, cookies: &Cookies<'h>) -> Option<Cow<'h, str>> {
        let (count, first) = cookies.get(&self.name)?.split_once('.')?;
        let count: usize = Some(count).filter(|count| count.len() == 1)?.parse().ok()?;
        if !(1..=MAX_COOKIE_CHUNKS).contains(&count) {
            return None;
        }
        if count == 1 {
            return (first.len() <= MAX_CHUNK_BYTES).then_some(Cow::Borrowed(first));
        }
        let mut value = String::from(first);
        for index in 1..count {
            value.push_str(cookies.get(&self.chunk_name(index))?);
        }
        (value.len() <= MAX_COOKIE_CHUNKS * MAX_CHUNK_BYTES).then_some(Cow::Owned(value))
    }

    fn chunk_name(&self, index: usize) -> String {
        if index == 0 { self.name.clone() } else { format!("{}.{index}", self.name) }
    }
}

/// The cookies of a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cookies<'h>(&'h str);

impl<'h> Cookies<'h> {
    /// From the `Cookie` header.
    #[must_use]
    pub fn new(header: &'h str) -> Self {
        Self(header)
    }

    /// The cookie's value, if exactly one cookie has this exact name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'h str> {
        let mut found = self.iter().filter(|(one, _)| *one == name);
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value)
    }

    /// Whether any cookie has this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|(one, _)| one == name)
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'h str, &'h str)> + use<'h> {
        self.0.split(';').filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::{CookieShape, Cookies, MAX_CHUNK_BYTES};

    fn shape() -> CookieShape {
        CookieShape { name: "__Host-s".into(), same_site: "Lax", domain: None }
    }

    /// What a browser would send back after these `Set-Cookie` headers.
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
        for len in [1, MAX_CHUNK_BYTES, MAX_CHUNK_BYTES + 1, 8 * MAX_CHUNK_BYTES] {
            let value = "x".repeat(len);
            let cookies = shape().write(&value, 60, &Cookies::default()).unwrap();
            assert_eq!(cookies.len(), len.div_ceil(MAX_CHUNK_BYTES));
            assert_eq!(shape().read(&Cookies::new(&sent(&cookies))).as_deref(), Some(value.as_str()));
        }
        assert_eq!(shape().write(&"x".repeat(8 * MAX_CHUNK_BYTES + 1), 60, &Cookies::default()), None);
    }

    #[test]
    fn cookies_are_protected() {
        let cookies = shape().write("x", 60, &Cookies::default()).unwrap();
        assert_eq!(cookies, ["__Host-s=1.x; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax"]);
    }

    #[test]
    fn missing_and_duplicate_chunks_void_the_value() {
        let cookies = shape().write(&"x".repeat(MAX_CHUNK_BYTES + 1), 60, &Cookies::default()).unwrap();
        let whole = sent(&cookies);
        let (first, second) = whole.split_once("; ").unwrap();
        for header in
            [first, second, &alloc::format!("{whole}; {second}"), &alloc::format!("{first}; {whole}"), "", "a"]
        {
            assert_eq!(shape().read(&Cookies::new(header)), None);
        }
        for header in ["__Host-s=", "__Host-s=0.x", "__Host-s=9.x", "__Host-s=10.x", "__Host-s=x", "__Host-s=+1.x"] {
            assert_eq!(shape().read(&Cookies::new(header)), None, "{header}");
        }
    }

    #[test]
    fn left_over_chunks_are_cleared() {
        let before = Cookies::new("__Host-s=3.a; __Host-s.1=b; __Host-s.2=c; other=d");
        let cookies = shape().write("x", 60, &before).unwrap();
        assert_eq!(cookies.len(), 3);
        assert!(cookies[1].starts_with("__Host-s.1=; ") && cookies[2].starts_with("__Host-s.2=; "));
        assert_eq!(shape().clear(&before).len(), 3);
    }
}
