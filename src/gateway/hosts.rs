//! The choice of an authorizer by the host of a request.

use alloc::string::String;
use alloc::vec::Vec;

use super::Gateway;
use crate::http::{Reply, RequestHead};
use crate::text::{concat, decimal};
use crate::url::{is_host, split_port};

/// The gateways of several authorizers. Without hosts, there is one for all.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    pub(super) table: HostTable,
    /// The gateways with the numbers from 1.
    pub(super) others: Vec<Gateway>,
}

/// Hosts, each with the number of its authorizer.
#[derive(Debug, Default)]
pub(super) struct HostTable {
    /// In lower case, with a port if only that one is meant, sorted.
    entries: Vec<(String, usize)>,
}

impl HostTable {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a host of an authorizer. Returns whether it is new.
    pub(super) fn insert(&mut self, host: String, number: usize) -> bool {
        match self.position(&host) {
            Ok(_) => false,
            Err(at) => {
                self.entries.insert(at, (host, number));
                true
            }
        }
    }

    /// Returns the number of the authorizer of a URL: that of its host and port, else that of its host. Letter case and a final dot
    /// do not count.
    pub(super) fn find(&self, url: &str) -> Option<usize> {
        let head = RequestHead { method: "", url, header: &|_| None };
        let (host, port) = split_port(head.url_parts().authority)?;
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let port = port.filter(|port| !port.is_empty()).unwrap_or(if url.starts_with("https:") { "443" } else { "80" });
        let found = self.position(&concat(&[&host, ":", port])).or_else(|_| self.position(&host)).ok()?;
        self.entries.get(found).map(|(_, number)| *number)
    }

    fn position(&self, host: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(one, _)| one.as_str().cmp(host))
    }
}

/// Returns a configured `host` or `host:port` in the form of [`HostTable`]; `None` if it is neither.
pub(super) fn parse_host(text: &str) -> Option<String> {
    let (host, port) = split_port(text).filter(|(host, _)| is_host(host))?;
    let host = host.to_ascii_lowercase();
    let Some(port) = port else { return Some(host) };
    let number = port.parse::<u16>().ok().filter(|_| !port.starts_with('+'))?;
    Some(concat(&[&host, ":", &decimal(number.into())]))
}

impl Gateway {
    /// Returns the gateway of the authorizer for a request's host.
    pub(super) fn of_host(&self, head: &RequestHead<'_>) -> Option<&Self> {
        if self.hosts.table.is_empty() {
            return Some(self);
        }
        self.numbered(self.hosts.table.find(head.url)?)
    }

    fn numbered(&self, number: usize) -> Option<&Self> {
        match number.checked_sub(1) {
            None => Some(self),
            Some(at) => self.hosts.others.get(at),
        }
    }

    /// Returns the gateways of all authorizers.
    pub(super) fn all(&self) -> impl Iterator<Item = &Self> {
        core::iter::once(self).chain(&self.hosts.others)
    }
}

/// Refuses a request to a host without an authorizer (RFC 9110 §15.5.20).
pub(super) fn misdirected() -> Reply {
    Reply::problem(421, "misdirected_request", "The gateway does not serve this host.")
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::{HostTable, parse_host};

    #[test]
    fn a_host_is_found_with_its_port_or_with_any() {
        let mut table = HostTable::default();
        for (host, number) in [
            ("app.example.com", 1),
            ("App.Example.com:8443", 2),
            ("localhost", 3),
            ("localhost:9000", 4),
            ("xn--mnchen-3ya.example", 5),
            ("[::1]", 6),
            ("secure.example.com:443", 7),
        ] {
            assert!(table.insert(parse_host(host).unwrap(), number));
        }
        assert!(!table.insert(parse_host("APP.example.com").unwrap(), 8));
        for (url, expected) in [
            ("https://app.example.com/a?b", Some(1)),
            ("https://APP.EXAMPLE.com./", Some(1)),
            ("https://app.example.com:443", Some(1)),
            ("https://app.example.com:8443/", Some(2)),
            ("http://app.example.com/", Some(1)),
            ("https://u:p@app.example.com/", Some(1)),
            ("http://localhost:8787/", Some(3)),
            ("http://localhost:9000/", Some(4)),
            ("https://xn--mnchen-3ya.example/", Some(5)),
            ("http://[::1]:81/", Some(6)),
            ("https://secure.example.com/", Some(7)),
            ("http://secure.example.com/", None),
            ("https://app.example.com../", None),
            ("https://app.example.com.evil.example/", None),
            ("https://evil.example/app.example.com", None),
            ("https://evil.example\\@app.example.com/", None),
            ("https://app.example.com@evil.example/", None),
            ("https://sub.app.example.com/", None),
            ("https://münchen.example/", None),
            ("https:///", None),
            ("", None),
        ] {
            assert_eq!(table.find(url), expected, "{url}");
        }
    }

    #[test]
    fn a_configured_host_is_in_plain_form() {
        assert_eq!(parse_host("APP.example.com:0443"), Some("app.example.com:443".to_string()));
        for text in [
            "",
            "*.example.com",
            "app.example.com.",
            "https://app.example.com",
            "a:b",
            "a:",
            "a:+1",
            "a:70000",
            "münchen.example",
            "a/b",
            "u@a",
        ] {
            assert_eq!(parse_host(text), None, "{text}");
        }
    }
}
