//! The targets: what is done with an input, and what must hold. Each returns a number for what happened, to tell inputs apart.

use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

use edgeward::gateway::{Answer, Compiled, Destination, compile};
use edgeward::host::{Host, Level, SignatureCheck, SignatureVerdict, Spawn};
use edgeward::http::{Bearer, Cookies, RequestHead, bearer_token};
use edgeward::io::{EdgeEntry, Incoming, Outgoing, UnixTime, Unreachable};
use edgeward::json::{Document, Value};
use edgeward::jwk::{JwkSet, KeyCache, KeyJob};
use edgeward::jwt::{Access, Algorithm, Policy, UntrustedToken};
use edgeward::oidc::{CoordinatorMessage, CoordinatorResponse, LoginHost, ReturnTo, SessionJob};
use edgeward::rsa::PublicKey;
use edgeward::{VerificationError, Verifier, base64url, limits};
use num_bigint::BigUint;
use serde_json::json;
use support::browser::{Browser, Request};
use support::deployment::{COOKIE, Deployment};
use support::fixed_host::at_once;
use support::provider::decoded;
use support::toy::{toy_jwk, toy_signature, toy_verdict};
use support::{AUDIENCE, ISSUER, NOW, key_a, now, set_text};

/// A target.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&[u8]) -> u64,
    /// What its inputs are made of.
    pub(crate) pieces: &'static [&'static str],
}

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "\\udc00",
    "\\u0061",
    "null",
    "true",
    "false",
    "-",
    "-0",
    "0",
    "1e400",
    "1e5",
    "18446744073709551616",
    "9007199254740993",
    "0.1",
    "\u{0}",
    "\u{feff}",
    " ",
    "\n",
    "é",
    "🌍",
    "[[[[[[[[",
    "]]]]]]]]",
    "{\"a\":",
    "\"alg\":\"none\"",
    "\"alg\":\"ES256\"",
    "\"kid\":\"k\"",
    "\"typ\":\"at+jwt\"",
    "\"crit\":[\"exp\"]",
    "\"b64\":false",
    "\"iss\":",
    "\"aud\":",
    "\"exp\":",
    "\"nbf\":",
    "\"iat\":",
    "\"cnf\":{}",
    "\"nonce\":\"n\"",
    "\"events\":{}",
    "\"scope\":\"read\"",
    "\"kty\":\"RSA\"",
    "\"kty\":\"EC\"",
    "\"crv\":\"P-256\"",
    "\"n\":\"",
    "\"e\":\"AQAB\"",
    "\"d\":",
    "\"use\":\"sig\"",
    "\"key_ops\":[\"verify\"]",
    "1800000600",
    "https://tenant.example.com/",
    "https://api.example.com",
];
const TEXT: &[&str] = &["A", "=", "==", "-", "_", "+", "/", ".", "..", "\n", " ", "é", "AAAA", "AQAB", "eyJ", "\u{0}"];
const PATHS: &[&str] = &[
    "/", "//", "%2f", "%2F", "%5c", "\\", "..", ".", "%2e", "%252e", "%252f", ";", ";a=b", "%3b", "?", "#", "%23",
    "%3f", "public", "admin", "PUBLIC", "Admin", "%61dmin", "%C4%B1", "ı", "ſ", "%00", "%ff", "%20", " ", "\u{ad}",
    "ａ", "{", "}", "*", "a", "b", "x",
];
const COOKIES: &[&str] = &[
    "; ",
    ";",
    "=",
    "\"",
    "__Host-edgeward=",
    "__Host-edgeward.0=",
    "__Host-edgeward.1=",
    "__Host-edgeward.9=",
    "$Version=1",
    ",",
    " ",
    "\t",
    "A",
    "-",
    "\u{0}",
    "é",
];
const QUERY: &[&str] = &[
    "&",
    "=",
    "%",
    "%20",
    "+",
    "state=",
    "code=",
    "error=",
    "error_description=",
    "iss=",
    "https%3A%2F%2Ftenant.example.com%2F",
    "authorization-code-1",
    "login_required",
    "<b>",
    "%3Cscript%3E",
    "\"",
    "a",
    "%ff",
    "?",
    "#",
    "/",
];
const CONFIG: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "null",
    "true",
    "0",
    "-1",
    "1e9",
    "\"$env.X\"",
    "\"authorizer\":",
    "\"paths\":",
    "\"method\":\"ANY\"",
    "\"path\":\"/{*rest}\"",
    "\"path\":\"/a/{id}\"",
    "\"type\":\"respond\"",
    "\"type\":\"http_proxy\"",
    "\"scopes\":",
    "{\"any\":[\"a\"]}",
    "\"auth\":\"none\"",
    "\"integration\":",
    "\"algorithms\":[\"ES256\"]",
    "\"audience\":false",
    "\"clients\":\"c\"",
    "https://a.example",
    "{tenantid}",
    "\\u0000",
];

pub(crate) const TARGETS: [Target; 18] = [
    Target { name: "base64url", run: base64url_codec, pieces: TEXT },
    Target { name: "json", run: json_layer, pieces: JSON },
    Target { name: "header", run: header, pieces: JSON },
    Target { name: "claims", run: claims, pieces: JSON },
    Target { name: "token", run: token, pieces: JSON },
    Target { name: "token_text", run: token_text, pieces: TEXT },
    Target { name: "jwk", run: jwk, pieces: JSON },
    Target { name: "jwks", run: jwks, pieces: JSON },
    Target { name: "rsa", run: rsa, pieces: TEXT },
    Target {
        name: "bearer",
        run: bearer,
        pieces: &["Bearer ", "bearer", " ", ",", "Basic ", "=", "a.b.c", "\t", "é", "-._~+/"],
    },
    Target { name: "cookies", run: cookies, pieces: COOKIES },
    Target { name: "session", run: session, pieces: COOKIES },
    Target { name: "seal", run: seal, pieces: TEXT },
    Target { name: "path", run: path, pieces: PATHS },
    Target {
        name: "patterns",
        run: patterns,
        pieces: &["/", "a", "b", "c", "{x}", "{y}", "{*rest}", "\n", "/a", "/b", "/{x}"],
    },
    Target {
        name: "return_to",
        run: return_to,
        pieces: &[
            "/",
            "//",
            "\\",
            "/\\",
            "..",
            "%2f",
            "%5c",
            ":",
            "@",
            "?",
            "#",
            "\t",
            "\n",
            "https:",
            "evil.example",
            " ",
            "é",
            "%09",
            "a",
        ],
    },
    Target { name: "callback", run: callback, pieces: QUERY },
    Target { name: "configuration", run: configuration, pieces: CONFIG },
];

fn outcome(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// A host with a clock, whose platform verifies signatures by `verdict`.
struct FuzzHost {
    verdict: fn(&SignatureCheck) -> SignatureVerdict,
}

impl Host for FuzzHost {
    fn now(&self) -> UnixTime {
        now()
    }
    async fn send(&self, _: Outgoing) -> Result<Incoming, Unreachable> {
        Err(Unreachable::Network)
    }
    async fn sleep(&self, _: u32) {}
    async fn edge_get(&self, _: String) -> Option<Vec<u8>> {
        None
    }
    async fn edge_put(&self, _: EdgeEntry) {}
    async fn verify_signature(&self, check: SignatureCheck) -> SignatureVerdict {
        (self.verdict)(&check)
    }
    fn log(&self, _: Level, _: &dyn Display) {}
}

impl Spawn<KeyJob> for FuzzHost {
    async fn spawn(&self, job: KeyJob) {
        job.run(self).await;
    }
}

impl Spawn<SessionJob> for FuzzHost {
    async fn spawn(&self, job: SessionJob) {
        drop(job);
    }
}

impl LoginHost for FuzzHost {
    fn entropy(&self, out: &mut [u8]) {
        out.fill(7);
    }
    fn has_coordinator(&self) -> bool {
        false
    }
    async fn coordinate(&self, _: CoordinatorMessage) -> Result<CoordinatorResponse, Unreachable> {
        Err(Unreachable::Network)
    }
}

// --- tokens ---

fn base64url_codec(input: &[u8]) -> u64 {
    let Ok(decoded) = base64url::decode(input) else { return outcome("refused") };
    assert_eq!(base64url::encode(&decoded).as_bytes(), input, "one text for these bytes");
    outcome(decoded.len() % 64)
}

fn json_layer(input: &[u8]) -> u64 {
    match Document::parse(input.to_vec(), limits::MAX_CLAIMS_DEPTH) {
        Err(reason) => outcome(format!("{reason:?}")),
        Ok(document) => {
            let printed = Value::Object(document.root()).to_json();
            let again = Document::parse(printed.clone().into_bytes(), limits::MAX_CLAIMS_DEPTH).unwrap();
            assert_eq!(Value::Object(again.root()).to_json(), printed);
            let other: serde_json::Value = serde_json::from_slice(input).unwrap();
            assert_eq!(serde_json::from_str::<serde_json::Value>(&printed).unwrap(), other, "an independent reading");
            assert_eq!(document.root().iter().count(), other.as_object().unwrap().len(), "no name twice");
            outcome(printed.len() / 8)
        }
    }
}

fn header(input: &[u8]) -> u64 {
    let text = format!("{}.e30.AAAA", base64url::encode(input));
    match UntrustedToken::parse(&text) {
        Err(error) => outcome(error.code()),
        Ok(token) => {
            let read: serde_json::Value = serde_json::from_slice(input).unwrap();
            assert!(read["alg"].is_string());
            assert_eq!(token.header().kid(), read["kid"].as_str());
            assert_eq!(token.header().algorithm(), Algorithm::from_name(read["alg"].as_str().unwrap()));
            outcome((
                token.header().algorithm().map(Algorithm::name),
                read["kid"].is_string(),
                read["typ"].as_str().map(str::len),
            ))
        }
    }
}

fn verifier() -> &'static Verifier<Access> {
    static VERIFIER: OnceLock<Verifier<Access>> = OnceLock::new();
    VERIFIER.get_or_init(|| {
        let policy = Policy::access_token(ISSUER, [AUDIENCE], &[Algorithm::Rs256, Algorithm::Es256]).unwrap();
        let keys = JwkSet::parse(set_text([toy_jwk(1, "k"), key_a().jwk()]).as_bytes()).unwrap();
        Verifier::new(policy, KeyCache::fixed(ISSUER, keys)).cache_entries(0)
    })
}

/// Verifies a token, and compares what an accepted one says with an independent reading.
fn verify(text: &str, verdict: fn(&SignatureCheck) -> SignatureVerdict) -> u64 {
    match at_once(verifier().verify(text, &FuzzHost { verdict })) {
        Err(VerificationError::Refused(error)) => outcome((error.code(), error.claim().map(str::len))),
        Err(VerificationError::Unavailable(_)) => outcome("unavailable"),
        Ok(token) => {
            let parts: Vec<&str> = text.split('.').collect();
            let read = |part: &str| -> serde_json::Value {
                serde_json::from_slice(&base64url::decode(part.as_bytes()).unwrap()).unwrap()
            };
            let (header, claims) = (read(parts[0]), read(parts[1]));
            assert_eq!(parts.len(), 3);
            assert!(["RS256", "ES256"].contains(&header["alg"].as_str().unwrap()));
            assert!(header.get("crit").is_none() && header.get("b64").is_none() && claims.get("cnf").is_none());
            assert_eq!(claims["iss"], ISSUER);
            let is_ours = |one: &serde_json::Value| one == AUDIENCE;
            assert!(is_ours(&claims["aud"]) || claims["aud"].as_array().unwrap().iter().any(is_ours));
            assert!(claims["exp"].as_f64().unwrap() > (NOW - 5) as f64);
            for name in ["nbf", "iat"] {
                assert!(claims.get(name).is_none_or(|time| time.as_f64().unwrap() <= (NOW + 5) as f64), "{name}");
            }
            assert_eq!(token.claims().subject(), claims.get("sub").map(|sub| sub.as_str().unwrap()));
            outcome((claims.as_object().unwrap().len(), header.as_object().unwrap().len()))
        }
    }
}

fn always(_: &SignatureCheck) -> SignatureVerdict {
    SignatureVerdict::Valid
}

fn signature() -> String {
    base64url::encode(&[1; 64])
}

fn claims(input: &[u8]) -> u64 {
    let header = base64url::encode(br#"{"alg":"ES256","kid":"k"}"#);
    verify(&format!("{header}.{}.{}", base64url::encode(input), signature()), always)
}

/// Header and claims, separated by a line break, signed as they are: what comes after the signature is reached.
fn token(input: &[u8]) -> u64 {
    let at = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (header, claims) = (&input[..at], input.get(at + 1..).unwrap_or_default());
    let signed = format!("{}.{}", base64url::encode(header), base64url::encode(claims));
    verify(&format!("{signed}.{}", base64url::encode(&toy_signature(1, &signed))), toy_verdict)
}

fn token_text(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    // A token of this set cannot be forged.
    let code = match at_once(verifier().verify(&text, &FuzzHost { verdict: toy_verdict })) {
        Ok(_) => "accepted",
        Err(VerificationError::Refused(error)) => error.code(),
        Err(VerificationError::Unavailable(_)) => "unavailable",
    };
    let genuine = include_str!("../seeds/token_text/genuine");
    assert!(code != "accepted" || text == genuine, "{text}");
    outcome(code)
}

// --- keys ---

fn jwk(input: &[u8]) -> u64 {
    jwks(&[br#"{"keys":["#, input, b"]}"].concat())
}

fn jwks(input: &[u8]) -> u64 {
    let Ok(set) = JwkSet::read(input, limits::MAX_MODULUS_BITS) else { return outcome("refused") };
    for key in set.keys() {
        assert!((256..=8192).contains(&key.bits()), "{} bits", key.bits());
        assert!(key.kid().is_none_or(|kid| kid.len() <= limits::MAX_KID_BYTES));
        for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| algorithm.scheme().is_some()) {
            assert!(!key.fits(algorithm) || key.bits() >= 2048, "an RSA key of {} bits", key.bits());
        }
    }
    let Ok(read) = serde_json::from_slice::<serde_json::Value>(input) else { return outcome("marked") };
    let entries = read["keys"].as_array().unwrap();
    assert!(set.keys().len() + set.skipped().len() <= entries.len());
    for private in ["d", "p", "k"] {
        let has = entries.iter().any(|key| key.get(private).is_some_and(|value| !value.is_null()));
        assert!(!has || !set.skipped().is_empty(), "a private key was used");
    }
    outcome((set.keys().len(), format!("{:?}", set.skipped())))
}

/// The public operation by both kernels, and by another implementation.
fn rsa(input: &[u8]) -> u64 {
    let size = 256 + 8 * usize::from(input.first().copied().unwrap_or_default() % 33);
    let e: u32 = [3, 17, 65_537][usize::from(input.get(1).copied().unwrap_or_default() % 3)];
    let rest = input.get(2..).unwrap_or_default();
    let mut n = vec![0xa5; size];
    n.iter_mut().zip(rest).for_each(|(byte, given)| *byte = *given);
    n[0] |= 0x80;
    n[size - 1] |= 1;
    let mut s = vec![0x5a; size];
    s.iter_mut().zip(rest.iter().rev()).for_each(|(byte, given)| *byte = *given);
    let big = BigUint::from_bytes_be;
    let expected = (big(&s) < big(&n)).then(|| big(&s).modpow(&e.into(), &big(&n)));
    for key in [PublicKey::new(&n, &e.to_be_bytes()), PublicKey::without_fma(&n, &e.to_be_bytes())] {
        let key = key.unwrap();
        let mut out = vec![0; size];
        let result = key.public_op(&s, &mut out);
        assert_eq!(result.is_ok(), expected.is_some());
        assert!(expected.as_ref().is_none_or(|expected| big(&out) == *expected), "{}", key.kernel());
    }
    outcome((size, e, expected.is_some()))
}

// --- HTTP ---

fn bearer(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    match bearer_token(Some(&text)) {
        Bearer::Token(token) => {
            assert!(!token.is_empty() && text.ends_with(token) && !token.contains([' ', ',']));
            assert!(text[..6].eq_ignore_ascii_case("bearer"));
            outcome("token")
        }
        Bearer::Absent => outcome("absent"),
        Bearer::Malformed => outcome("malformed"),
    }
}

fn cookies(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    let cookies = Cookies::new(&text);
    let mut count = 0;
    for (name, value) in cookies.iter() {
        assert!(text.contains(name) && text.contains(value));
        assert!(!name.contains(';') && !value.contains(';') && cookies.has(name));
        count += 1;
    }
    // More would make each run prefer ever longer headers, each search of which reads them whole.
    outcome(count.min(64))
}

thread_local! {
    static DEPLOYMENT: Deployment = {
        let deployment = Deployment::new();
        deployment.seed(1);
        deployment
    };
    /// The cookies of a session, and the session.
    static SESSION: (String, String) = DEPLOYMENT.with(|deployment| {
        let browser = deployment.logged_in();
        (browser.header(deployment.now()), deployment.session(&browser).tokens().access.clone())
    });
}

/// A `Cookie` header, in which `@` is the value of the genuine one.
fn session(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    SESSION.with(|(genuine, access)| {
        let value = genuine.split_once('=').unwrap().1;
        let header = text.replace('@', value);
        DEPLOYMENT.with(|deployment| match deployment.session_in(&header) {
            None => outcome(("none", header.len() / 64)),
            Some(session) => {
                assert_eq!(session.tokens().access, *access, "another session");
                outcome(("session", header.len() / 64))
            }
        })
    })
}

/// Bytes that are laid over a genuine sealed text: an offset, and what is different there.
fn seal(input: &[u8]) -> u64 {
    SESSION.with(|(genuine, _)| {
        let value = genuine.split_once('=').unwrap().1;
        let mut sealed = value.as_bytes().to_vec();
        let at = input.first().map_or(0, |byte| usize::from(*byte) * sealed.len() / 256);
        for (byte, given) in sealed.iter_mut().skip(at).zip(input.get(1..).unwrap_or_default()) {
            *byte = *given;
        }
        let Ok(sealed) = String::from_utf8(sealed) else { return outcome("not text") };
        let header = format!("{COOKIE}={sealed}");
        DEPLOYMENT.with(|deployment| {
            let opened = deployment.session_in(&header).is_some();
            assert!(!opened || sealed == value, "a changed cookie opens");
            outcome((opened, at))
        })
    })
}

fn routes() -> &'static Compiled {
    static ROUTES: OnceLock<Compiled> = OnceLock::new();
    ROUTES.get_or_init(|| {
        let route = |path: &str, auth: &str| {
            json!({ "method": "ANY", "path": path, "auth": auth, "integration": { "type": "http_proxy", "url": "https://origin.example" } })
        };
        let config = json!({
            "authorizer": { "type": "oidc", "issuer": ISSUER, "audience": AUDIENCE, "jwks": { "keys": [key_a().jwk()] } },
            "paths": [route("/public/{*rest}", "none"), route("/admin", "required"), route("/admin/{*rest}", "required"), route("/", "none")]
        });
        compile(&config.to_string(), &|_| None).unwrap()
    })
}

/// Whether servers that read a path in one of these ways find a protected one.
fn is_protected(path: &str) -> bool {
    let decode = |text: &str| -> String {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            let hex = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
            let value = hex.filter(|_| byte == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
            bytes.push(value.unwrap_or(byte));
            rest = if value.is_some() { &after[2..] } else { after };
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let resolve = |text: &str| -> String {
        let mut kept: Vec<&str> = Vec::new();
        for segment in text.split('/').skip(1) {
            match segment {
                "." => {}
                ".." => drop(kept.pop()),
                other => kept.push(other),
            }
        }
        format!("/{}", kept.join("/"))
    };
    let merge =
        |text: &str| text.split('/').filter(|one| !one.is_empty()).fold(String::new(), |path, one| path + "/" + one);
    let cut =
        |text: &str| text.split('/').map(|one| one.split(';').next().unwrap_or_default()).collect::<Vec<_>>().join("/");
    let raw = path.split(['?', '#']).next().unwrap_or_default().to_string();
    let once = decode(&raw);
    let twice = decode(&once);
    let bases = [raw.clone(), once.clone(), twice, once.replace('\\', "/")];
    bases
        .iter()
        .flat_map(|one| {
            [one.clone(), merge(one), cut(one), resolve(one), resolve(&merge(&cut(one))), one.to_lowercase()]
        })
        .any(|one| one == "/admin" || one.starts_with("/admin/"))
}

fn path(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    let url = format!("https://site.example/{text}");
    let head = RequestHead { method: "GET", url: &url, header: &|_| None };
    match at_once(routes().gateway.handle(&head, &FuzzHost { verdict: always })) {
        Answer::Forward(forward) => {
            let Destination::Url(to) = &forward.destination else { panic!("a service") };
            assert!(to.starts_with("https://origin.example/"), "{to}");
            assert!(!is_protected(&format!("/{text}")), "forwarded without a credential: {url}");
            outcome("forwarded")
        }
        Answer::Reply(reply) => {
            assert!((400..500).contains(&reply.status) || reply.status == 302, "{} for {url}", reply.status);
            outcome((reply.status, reply.body.len()))
        }
    }
}

/// Patterns, one a line, and a path in the last one: the route is that of a matcher that tries all of them.
fn patterns(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    let mut lines: Vec<&str> = text.lines().collect();
    let Some(path) = lines.pop().filter(|path| is_plain(path)) else { return outcome("no path") };
    // A trailing slash is no ambiguity: more than one route may be right.
    if lines.iter().any(|pattern| pattern.split('/').skip(1).any(str::is_empty)) {
        return outcome("empty segments");
    }
    let routes: Vec<_> = lines
        .iter()
        .enumerate()
        .map(|(index, path)| json!({ "method": "GET", "path": path, "auth": "none", "integration": { "type": "respond", "body": index.to_string() } }))
        .collect();
    let Ok(compiled) = compile(&json!({ "paths": routes }).to_string(), &|_| None) else { return outcome("refused") };
    let matching: Vec<usize> = (0..lines.len()).filter(|&index| matches(lines[index], path)).collect();
    let url = format!("https://site.example{path}");
    let head = RequestHead { method: "GET", url: &url, header: &|_| None };
    let Answer::Reply(reply) = at_once(compiled.gateway.handle(&head, &FuzzHost { verdict: always })) else {
        panic!("forwarded")
    };
    if reply.status != 200 {
        assert!(matching.is_empty(), "{} for {path} of {lines:?}", reply.status);
        return outcome("none");
    }
    let chosen: usize = reply.body.parse().unwrap();
    assert!(matching.contains(&chosen), "{} for {path}", lines[chosen]);
    let exact = matching.iter().find(|&&index| !lines[index].contains(['{', '*', ':']));
    assert!(exact.is_none_or(|&exact| exact == chosen), "{} instead of an exact one for {path}", lines[chosen]);
    let is_rest = |index: usize| lines[index].split('/').any(is_rest);
    assert!(
        !is_rest(chosen) || matching.iter().all(|&index| is_rest(index)),
        "{} for {path} of {lines:?}",
        lines[chosen]
    );
    outcome((matching.len(), lines.len(), is_rest(chosen)))
}

fn is_plain(path: &str) -> bool {
    let is_word = |segment: &str| !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_lowercase());
    path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_word))
}

fn is_rest(segment: &str) -> bool {
    segment == "*" || segment == "{.+}" || segment.starts_with("{*")
}

fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, mut path) = (pattern.split('/').skip(1), path.split('/').skip(1));
    for segment in pattern {
        if is_rest(segment) {
            return true;
        }
        let Some(given) = path.next() else { return false };
        if !segment.starts_with(['{', ':']) && segment != given {
            return false;
        }
    }
    path.next().is_none()
}

// --- logins ---

fn return_to(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    let Some(accepted) = ReturnTo::parse(&text) else { return outcome("refused") };
    let path = accepted.as_str();
    assert!(path.starts_with('/'), "{path}");
    // As browsers read it: controls are dropped, backslashes are slashes, dot segments are resolved.
    let read: String = path
        .chars()
        .filter(|one| !matches!(one, '\t' | '\n' | '\r'))
        .map(|one| if one == '\\' { '/' } else { one })
        .collect();
    let before = read.split(['?', '#']).next().unwrap_or_default();
    let mut kept: Vec<&str> = Vec::new();
    for segment in before.split('/').skip(1) {
        match segment.to_lowercase().replace("%2e", ".").as_str() {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    let resolved = format!("/{}", kept.join("/"));
    assert!(!resolved.starts_with("//"), "{path} is another host");
    outcome((path.len() / 8, path.contains('?')))
}

/// The query of a callback, for a browser that began a login: no session without the provider's code.
fn callback(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    // A state opens once: a new deployment for each.
    let deployment = Deployment::new();
    deployment.seed(1);
    let mut browser = Browser::default();
    let genuine = deployment.begin(&mut browser, "/login");
    let state = genuine.split("state=").nth(1).and_then(|rest| rest.split('&').next()).unwrap();
    let query = marked_codes(&text.replace("STATE", state));
    let cookie = browser.header(deployment.now());
    let request = Request::get(&format!("/callback?{query}")).page().cookie(&cookie);
    let response = deployment.fetch(request);
    assert_ne!(response.sets(COOKIE), Some(true), "a session for {query}");
    assert!((300..504).contains(&response.status), "{}", response.status);
    assert!(!response.body.contains("<script>alert") && !response.body.contains("<b>"), "{}", response.body);
    outcome((response.status, response.body.len() / 64))
}

/// Marks each code of the query as a text that is found nowhere else: a code such as `https://tenant.example.com` is in honest log lines too.
fn marked_codes(query: &str) -> String {
    let marked = query.split('&').map(|field| match field.split_once('=') {
        Some((name, value)) if decoded(name) == "code" => format!("{name}=mutated-code-{value}"),
        _ => field.into(),
    });
    marked.collect::<Vec<String>>().join("&")
}

fn configuration(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    match compile(&text, &|_| None) {
        Ok(compiled) => {
            let head = RequestHead { method: "GET", url: "https://site.example/a/b", header: &|_| None };
            let answer = at_once(compiled.gateway.handle(&head, &FuzzHost { verdict: always }));
            outcome(match answer {
                Answer::Reply(reply) => usize::from(reply.status),
                Answer::Forward(_) => 1,
            })
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            outcome(problems.iter().map(|problem| problem.path.clone()).collect::<Vec<_>>())
        }
    }
}
