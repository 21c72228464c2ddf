//! Proves policy agreement: whatever server is behind the gateway, no request reaches through a public route what that server interprets
//! as a protected path; and a path that every server interprets alike arrives byte for byte.
//!
//! The servers are modelled here, independently of the gateway: each reads a path by some sequence of the steps below, compares its
//! segments with some of the transformations below, and has the same routes as the gateway. Route tables and spellings of paths are
//! generated from a fixed seed.

#![cfg(feature = "unicode")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]

use std::collections::BTreeSet;

use edgeward::gateway::{Answer, Compiled, Destination, Gateway, compile};
use edgeward::http::{Reply, RequestHead};
use edgeward::io::UnixTime;
use edgeward::limits;
use serde_json::{Value, json};
use support::fixed_host::{FixedHost, at_once};
use unicode_normalization::UnicodeNormalization;

// ---- servers --------------------------------------------------------------------------------------------------------

type Segments = Vec<String>;

/// Percent-decodes to bytes; as Latin-1, each to the UTF-8 of its character.
fn bytes(text: &str, latin1: bool) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let digits = rest.get(1..3).filter(|digits| character == '%' && digits.bytes().all(|b| b.is_ascii_hexdigit()));
        if let Some(digits) = digits {
            let byte = u8::from_str_radix(digits, 16).unwrap();
            if latin1 {
                bytes.extend(char::from(byte).to_string().as_bytes())
            } else {
                bytes.push(byte)
            }
            rest = &rest[3..];
        } else {
            bytes.extend(character.to_string().as_bytes());
            rest = &rest[character.len_utf8()..];
        }
    }
    bytes
}

fn decode(text: &str) -> String {
    bytes(text, false).utf8_chunks().fold(String::new(), |text, chunk| {
        text + chunk.valid() + &chunk.invalid().iter().map(|&byte| char::from(byte)).collect::<String>()
    })
}

/// Servers that read Latin-1 count only where the path is not UTF-8.
fn decode_latin1(path: &Segments) -> Segments {
    let is_utf8 = path.iter().all(|segment| String::from_utf8(bytes(segment, false)).is_ok());
    if is_utf8 { path.clone() } else { each(path, |segment| String::from_utf8(bytes(segment, true)).unwrap()) }
}

fn each(segments: &Segments, step: impl Fn(&str) -> String) -> Segments {
    segments.iter().map(|segment| step(segment)).collect()
}

fn split(segments: &Segments, at: impl Fn(&str) -> Vec<String>) -> Segments {
    segments.iter().flat_map(|segment| at(segment)).collect()
}

fn at_encoded(segment: &str) -> Vec<String> {
    let marked =
        ["%2f", "%2F", "%5c", "%5C"].iter().fold(segment.to_string(), |text, code| text.replace(code, "\u{2}"));
    marked.split('\u{2}').map(String::from).collect()
}

fn merged(segments: &Segments) -> Segments {
    let (last, inner) = segments.split_last().unwrap();
    inner.iter().filter(|segment| !segment.is_empty()).chain([last]).cloned().collect()
}

fn cut(segments: &Segments, end: char) -> Segments {
    let mut kept = Vec::new();
    for segment in segments {
        let name = segment.split(end).next().unwrap();
        kept.push(name.to_string());
        if name.len() < segment.len() {
            break;
        }
    }
    kept
}

fn without_leading_slashes(segments: &Segments) -> Segments {
    let empty = segments.iter().take(segments.len() - 1).take_while(|segment| segment.is_empty()).count();
    segments[empty..].to_vec()
}

/// What a server may do to a path before it looks for the route.
const STEPS: [fn(&Segments) -> Segments; 12] = [
    |path| each(path, decode),
    decode_latin1,
    |path| split(path, at_encoded),
    |path| split(path, |segment| segment.split('/').map(String::from).collect()),
    |path| split(path, |segment| segment.split('\\').map(String::from).collect()),
    merged,
    |path| each(path, |segment| segment.split(';').next().unwrap().to_string()),
    |path| cut(path, '?'),
    |path| cut(path, '#'),
    without_leading_slashes,
    |path| each(path, |segment| segment.nfkc().collect()),
    |path| each(path, shown),
];

/// Every path that some sequence of the steps turns this one into.
fn readings(path: &str) -> BTreeSet<Segments> {
    let first: Segments = path[1..].split('/').map(String::from).collect();
    let mut found = BTreeSet::from([first.clone()]);
    let mut open = vec![first];
    while let Some(path) = open.pop() {
        for step in STEPS {
            let next = step(&path);
            if found.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    found
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '\u{ad}' | '\u{200b}' | '\u{200d}' | '\u{2060}' | '\u{feff}')).collect()
}

/// What a server may do to segments and to the literals of its routes before it compares them.
fn transformed(text: &str, transformations: u8) -> String {
    let mut text = text.to_string();
    for _ in 0..4 {
        let before = text.clone();
        if transformations & 1 != 0 {
            text = text.to_uppercase().to_lowercase();
        }
        if transformations & 2 != 0 {
            text = text.nfkc().collect();
        }
        if transformations & 4 != 0 {
            text = shown(&text);
        }
        if transformations & 8 != 0 {
            let trimmed = text.trim_start().trim_end_matches(|c: char| c == '.' || c.is_whitespace());
            if !trimmed.is_empty() {
                text = trimmed.to_string();
            }
        }
        if text == before {
            break;
        }
    }
    text
}

#[derive(Debug, Clone)]
struct Route {
    /// Literals, `{}` for a parameter.
    segments: Vec<String>,
    has_rest: bool,
    auth: &'static str,
    scope: Option<&'static str>,
    method: &'static str,
}

impl Route {
    fn text(&self) -> String {
        let names = self.segments.iter().enumerate().map(|(at, segment)| match segment.as_str() {
            "{}" => format!("/{{p{at}}}"),
            literal => format!("/{literal}"),
        });
        let path: String = names.chain(self.has_rest.then(|| "/{*rest}".to_string())).collect();
        if path.is_empty() { "/".into() } else { path }
    }

    fn config(&self) -> Value {
        let mut route = json!({
            "method": self.method, "path": self.text(), "auth": self.auth,
            "integration": { "type": "http_proxy", "url": "https://origin.example" }
        });
        if let Some(scope) = self.scope {
            route["scopes"] = json!([scope]);
        }
        route
    }

    fn policy(&self) -> (&str, Option<&str>, &str) {
        (self.auth, self.scope, self.method)
    }

    /// `literals` are the segments of this route, transformed. `empty` says whether parameters may be empty: inner ones, and a last one
    /// after a trailing slash.
    fn matches(&self, literals: &Segments, path: &[Segment<'_>], empty: [bool; 2]) -> bool {
        let enough = if self.has_rest { path.len() >= self.segments.len() } else { path.len() == self.segments.len() };
        let same = |at: usize| {
            let Segment { text, compared } = &path[at];
            match self.segments[at].as_str() {
                "{}" => !text.is_empty() || empty[usize::from(at + 1 == path.len())],
                literal => literals[at] == *compared || is_conventional_encoding(text, literal),
            }
        };
        enough && (0..self.segments.len()).all(same)
    }

    fn kind(&self) -> u8 {
        if self.has_rest { 2 } else { u8::from(self.segments.iter().any(|segment| segment == "{}")) }
    }

    /// Whether this route is more specific than another that matches the same path.
    fn beats(&self, other: &Self) -> bool {
        let within = |one: &Self, two: &Self| {
            one.segments.len() >= two.segments.len()
                && two.segments.iter().zip(&one.segments).all(|(theirs, ours)| theirs == "{}" || ours != "{}")
        };
        self.kind() < other.kind() || self.kind() == other.kind() && within(self, other) && !within(other, self)
    }
}

fn is_conventional_encoding(text: &str, literal: &str) -> bool {
    let encoded = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    let no_plain_escapes = text.split('%').skip(1).all(|rest| {
        rest.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).is_none_or(|byte| !encoded(&byte))
    });
    text.contains('%') && no_plain_escapes && bytes(text, false) == literal.as_bytes() && !literal.is_empty()
}

/// A segment of a path, and what a server with some transformations compares.
struct Segment<'p> {
    text: &'p str,
    compared: String,
}

/// The segments of each route as servers compare them, for each of the transformations.
fn literals(routes: &[Route]) -> Vec<Vec<Segments>> {
    let of = |transformations| {
        routes.iter().map(|route| each(&route.segments, |segment| transformed(segment, transformations))).collect()
    };
    (0..16).map(of).collect()
}

/// The routes that a server may take for the path: the most specific ones.
fn met<'r>(routes: &'r [Route], literals: &[Segments], path: &[Segment<'_>], empty: [bool; 2]) -> Vec<&'r Route> {
    let matching = routes.iter().zip(literals).filter(|(route, literals)| route.matches(literals, path, empty));
    let all: Vec<&Route> = matching.map(|(route, _)| route).collect();
    all.iter().copied().filter(|route| !all.iter().any(|other| other.beats(route))).collect()
}

/// How servers interpret a path: the policies that they find, `None` for no route.
struct Interpretations<'r> {
    policies: BTreeSet<Option<(&'r str, Option<&'r str>, &'r str)>>,
    readings: usize,
    /// Whether no server sees a dot segment, a blank segment or a control character.
    is_sound: bool,
}

/// `literals` are those of the routes, for each of the transformations.
fn interpretations<'r>(routes: &'r [Route], literals: &[Vec<Segments>], path: &str) -> Interpretations<'r> {
    let readings = readings(path);
    let mut interpretations = Interpretations { policies: BTreeSet::new(), readings: readings.len(), is_sound: true };
    for reading in readings {
        for segment in &reading {
            let bare = transformed(segment, 8);
            interpretations.is_sound &=
                bare != "." && bare != ".." && (segment.is_empty() || !segment.trim().is_empty());
            let is_dots_and_blanks = segment.chars().all(|c| c == '.' || c.is_whitespace());
            interpretations.is_sound &= !(is_dots_and_blanks && segment.contains(char::is_whitespace));
            interpretations.is_sound &= !segment.chars().any(char::is_control);
        }
        let is_closed = reading.last().unwrap().is_empty();
        for (transformations, literals) in (0..).zip(literals) {
            let segment = |text| Segment { text, compared: transformed(text, transformations) };
            let segments: Vec<Segment<'_>> = reading.iter().map(|text| segment(text)).collect();
            let open = &segments[..segments.len() - usize::from(is_closed)];
            for empty_parameters in [false, true] {
                let mut found = met(routes, literals, open, [empty_parameters, false]);
                if is_closed && segments.len() > 1 {
                    for empty_end in [false, true] {
                        let closed = met(routes, literals, &segments, [empty_parameters, empty_end]);
                        found = stricter(found, closed);
                    }
                }
                if found.is_empty() {
                    interpretations.policies.insert(None);
                }
                interpretations.policies.extend(found.into_iter().map(|route| Some(route.policy())));
            }
        }
    }
    interpretations
}

/// A trailing slash alone is no ambiguity: of the routes without and with it, the stricter ones.
fn stricter<'r>(open: Vec<&'r Route>, closed: Vec<&'r Route>) -> Vec<&'r Route> {
    if open.is_empty() || closed.is_empty() {
        return open.into_iter().chain(closed).collect();
    }
    // For GET, which all routes of this test accept. Of several routes there is none unless they have one policy.
    let rank = |routes: &[&Route]| {
        let first = routes.first()?;
        let strictness = ["none", "optional", "required"].iter().position(|auth| *auth == first.auth)?;
        routes.iter().all(|route| route.policy() == first.policy()).then_some((strictness, first.scope))
    };
    let demands_all =
        |one: (usize, Option<&str>), two: (usize, Option<&str>)| one.0 >= two.0 && (two.1.is_none() || one.1 == two.1);
    let same_policy = |one: &[&Route], two: &[&Route]| {
        let policies =
            |routes: &[&Route]| routes.iter().map(|route| format!("{:?}", route.policy())).collect::<BTreeSet<_>>();
        policies(one) == policies(two)
    };
    match (rank(&open), rank(&closed)) {
        _ if same_policy(&open, &closed) => open,
        (Some(one), Some(two)) if demands_all(one, two) => open,
        (Some(one), Some(two)) if demands_all(two, one) => closed,
        _ => open.into_iter().chain(closed).collect(),
    }
}

// ---- the gateway ----------------------------------------------------------------------------------------------------

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Forwarded without authentication, with this target.
    Forwarded(String),
    /// Requires authentication.
    Challenged,
    Refused(u16, String),
}

fn ask(gateway: &Gateway, path: &str) -> Outcome {
    let url = format!("https://site.example{path}");
    let head = RequestHead { method: "GET", url: &url, header: &|_| None };
    let refused = |reply: Reply| {
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        Outcome::Refused(reply.status, body["code"].as_str().unwrap().into())
    };
    match at_once(gateway.handle(&head, &FixedHost(UnixTime::from_secs(0)))) {
        Answer::Forward(forward) => match forward.destination {
            Destination::Url(url) => Outcome::Forwarded(url.strip_prefix("https://origin.example").unwrap().into()),
            Destination::Service { binding, .. } => panic!("{binding}"),
        },
        Answer::Reply(reply) if reply.status == 401 => Outcome::Challenged,
        Answer::Reply(reply) => refused(reply),
    }
}

fn gateway(routes: &[Route]) -> Option<Gateway> {
    let config = json!({
        "authorizer": { "type": "oidc", "issuer": "https://issuer.example", "audience": "https://api.example" },
        "paths": routes.iter().map(Route::config).collect::<Vec<_>>()
    });
    compile(&config.to_string(), &|_| None).ok().map(|Compiled { gateway, .. }| gateway)
}

// ---- route tables and paths -----------------------------------------------------------------------------------------

struct Rng(u64);

impl Rng {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn pick<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.below(items.len())]
    }
}

const NAMES: [&str; 12] = ["a", "b", "admin", "Admin", "api", "x.y", "@me", "a b", "café", "日本", "v1", "straße"];

fn random_route(rng: &mut Rng) -> Route {
    let segments = (0..rng.below(4))
        .map(|_| if rng.below(4) == 0 { "{}".to_string() } else { (*rng.pick(&NAMES)).to_string() })
        .collect();
    let auth = *rng.pick(&["none", "none", "required", "optional"]);
    let method = *rng.pick(&["ANY", "ANY", "ANY", "GET"]);
    Route {
        segments,
        has_rest: rng.below(3) == 0,
        auth,
        scope: if auth == "required" { *rng.pick(&[None, None, Some("read"), Some("write")]) } else { None },
        method,
    }
}

/// A spelling of a character that some server reads as this character.
fn spelled(rng: &mut Rng, character: char) -> String {
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let plain =
        if character.is_ascii() && character != ' ' { character.to_string() } else { encoded(&character.to_string()) };
    match rng.below(40) {
        0 => encoded(&character.to_string()),
        1 => encoded(&encoded(&character.to_string())),
        2 => encoded(&encoded(&encoded(&character.to_string()))),
        3 => character.to_uppercase().to_string(),
        4 => plain + &encoded(&rng.pick(&['\u{ad}', '\u{200b}', '\u{feff}']).to_string()),
        5 if character.is_ascii_graphic() => {
            encoded(&char::from_u32(u32::from(character) + 0xfee0).unwrap().to_string())
        }
        6 => encoded(&character.to_string().nfd().collect::<String>()),
        7 if character == 'é' => "%E9".into(),
        8 if character == 's' => encoded("ſ"),
        9 if character == 'i' => encoded("ı"),
        _ => plain,
    }
}

/// A path that resembles one of the routes.
fn random_path(rng: &mut Rng, routes: &[Route]) -> String {
    let route = rng.pick(routes).clone();
    let mut names: Vec<String> = route
        .segments
        .iter()
        .map(|segment| if segment == "{}" { (*rng.pick(&NAMES)).to_string() } else { segment.clone() })
        .collect();
    if route.has_rest {
        names.extend((0..rng.below(3)).map(|_| (*rng.pick(&NAMES)).to_string()));
    }
    let mut path = String::new();
    for name in &names {
        path.push_str(match rng.below(16) {
            0 if !path.is_empty() => "%2F",
            1 if !path.is_empty() => "%252f",
            2 => "//",
            3 if !path.is_empty() => "%5C",
            _ => "/",
        });
        path.extend(name.chars().map(|character| spelled(rng, character)));
        path.push_str(match rng.below(24) {
            0 => ";v=1",
            1 => ".",
            2 => "%20",
            3 => "%3Bx",
            4 => "%3Fq",
            5 => "%20.",
            7 => "%23",
            6 => ";",
            _ => "",
        });
    }
    path.push_str(match rng.below(8) {
        0 => "/",
        1 if rng.below(4) == 0 => "//",
        2 if rng.below(4) == 0 => "%2F",
        _ => "",
    });
    if path.starts_with('/') { path } else { format!("/{path}") }
}

/// Each share has other routes and paths.
macro_rules! shares {
    ($($name:ident $number:literal)*) => { $(
        #[test]
        fn $name() {
            super::no_protected_path_is_reached_through_a_public_route_and_unambiguous_paths_arrive_unchanged($number);
        }
    )* };
}

mod no_protected_path_is_reached_through_a_public_route_and_unambiguous_paths_arrive_unchanged {
    shares! {
        share_0 0 share_1 1 share_2 2 share_3 3 share_4 4
    }
}

fn no_protected_path_is_reached_through_a_public_route_and_unambiguous_paths_arrive_unchanged(share: u64) {
    let mut rng = Rng(20_261_125 + share);
    let (mut pairs, mut over_budget, mut forwarded, mut challenged, mut ambiguous, mut unusual_and_forwarded) =
        (0, 0, 0, 0, 0, 0);
    while pairs < 5_000 {
        let routes: Vec<Route> = (0..2 + rng.below(6)).map(|_| random_route(&mut rng)).collect();
        // Several routes of one pattern are one policy to the gateway; here each route is one.
        let shapes: BTreeSet<_> = routes.iter().map(|route| (&route.segments, route.has_rest)).collect();
        let Some(gateway) = gateway(&routes).filter(|_| shapes.len() == routes.len()) else { continue };
        let literals = literals(&routes);
        for _ in 0..20 {
            let path = random_path(&mut rng, &routes);
            let outcome = ask(&gateway, &path);
            let interpretations = interpretations(&routes, &literals, &path);
            let context =
                format!("{path} with {:?}", routes.iter().map(|r| (r.text(), r.policy())).collect::<Vec<_>>());
            pairs += 1;
            match interpretations.policies.iter().collect::<Vec<_>>()[..] {
                _ if interpretations.readings > limits::MAX_PATH_READINGS => {
                    // Beyond the gateway's budget: refused, never guessed.
                    assert!(matches!(outcome, Outcome::Refused(400, _)), "{context}");
                    over_budget += 1;
                }
                _ if !interpretations.is_sound => {
                    assert_eq!(outcome, Outcome::Refused(400, "path_invalid".into()), "{context}");
                }
                [None] => assert_eq!(outcome, Outcome::Refused(404, "not_found".into()), "{context}"),
                [Some(("none" | "optional", _, _))] => {
                    assert_eq!(outcome, Outcome::Forwarded(path.clone()), "{context}");
                    forwarded += 1;
                    unusual_and_forwarded += usize::from(interpretations.readings > 1);
                }
                [Some(("required", _, _))] => {
                    assert_eq!(outcome, Outcome::Challenged, "{context}");
                    challenged += 1;
                }
                _ => {
                    assert_eq!(
                        outcome,
                        Outcome::Refused(400, "path_ambiguous".into()),
                        "{context} {:?}",
                        interpretations.policies
                    );
                    ambiguous += 1;
                }
            }
        }
    }
    println!(
        "{pairs} pairs: {forwarded} forwarded ({unusual_and_forwarded} of several readings), {challenged} challenged, {ambiguous} ambiguous"
    );
    assert!(
        over_budget < pairs / 50
            && forwarded > 800
            && unusual_and_forwarded > 200
            && challenged > 400
            && ambiguous > 600
    );
}

/// Paths as they occur in practice, with a catch-all that protects and with one that does not.
#[test]
fn paths_in_practice_arrive_byte_for_byte() {
    let catch_all = |auth| Route { segments: Vec::new(), has_rest: true, auth, scope: None, method: "ANY" };
    let literal = |path: &str, auth| Route {
        segments: path.split('/').map(String::from).collect(),
        has_rest: true,
        auth,
        scope: None,
        method: "ANY",
    };
    let public = gateway(&[catch_all("none"), literal("admin", "required")]).unwrap();
    let protected = gateway(&[catch_all("required"), literal("public", "none")]).unwrap();
    for path in [
        "/api/v4/projects/group%2Fproject/repository/files/src%2Fmain.rs/raw",
        "/@scope%2fpackage",
        "/proxy/https://example.com/a//b?x=//y",
        "/map;v=1/tile;z=3,x=1",
        "/search/a%2520b",
        "/100%25/x%2525",
        "/%EF%BC%A1%EF%BC%A2",
        "/caf%E9/%FCber",
        "/a%2Bb%2Cc%3Ad%40e%3Df%26g",
        "/a+b,c:d@e=f&g",
        "/%7Euser/%61",
        "/Files/Report%20(1).PDF",
        "/wiki/AC%2FDC",
        "/x%3Fy%23z",
        "/%E6%97%A5%E6%9C%AC/",
        "/a/b/?q",
        "/.well-known/x.json",
        "/C%5CD",
    ] {
        let path_alone = path.split('?').next().unwrap();
        let forwarded = Outcome::Forwarded(path.into());
        assert_eq!(ask(&public, path), forwarded, "{path_alone}");
        assert_eq!(ask(&protected, path), Outcome::Challenged, "{path}");
        assert_eq!(ask(&protected, &format!("/public{path}")), Outcome::Forwarded(format!("/public{path}")), "{path}");
    }
}

/// A trailing slash is served by the stricter of the two routes that may apply.
#[test]
fn a_trailing_slash_alone_is_decided_by_the_stricter_route() {
    let route = |path: &str, has_rest, auth| Route {
        segments: path.split('/').filter(|part| !part.is_empty()).map(String::from).collect(),
        has_rest,
        auth,
        scope: None,
        method: "ANY",
    };
    let gateway = gateway(&[
        route("healthz", false, "none"),
        route("open", true, "none"),
        route("open/private", false, "required"),
        route("items", false, "none"),
        route("items/{}", false, "required"),
        route("", false, "none"),
        route("", true, "required"),
    ])
    .unwrap();
    for (path, expected) in [
        ("/", Outcome::Forwarded("/".into())),
        ("/healthz", Outcome::Forwarded("/healthz".into())),
        ("/healthz/", Outcome::Challenged),
        ("/open", Outcome::Forwarded("/open".into())),
        ("/open/", Outcome::Forwarded("/open/".into())),
        ("/open/private", Outcome::Challenged),
        ("/open/private/", Outcome::Challenged),
        ("/items", Outcome::Forwarded("/items".into())),
        ("/items/", Outcome::Challenged),
        ("/items/1/", Outcome::Challenged),
        ("/other/", Outcome::Challenged),
    ] {
        assert_eq!(ask(&gateway, path), expected, "{path}");
    }
}
