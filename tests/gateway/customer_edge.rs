//! The customer edge: the paths that it forwards, and what it states about the client's certificate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use edgeward::gateway::{Answer, Destination, Gateway, HeaderEdit, compile};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use support::host::VirtualHost;

use crate::edits::TARGETED;
use crate::{code, handle};

const KEY: &str = "the key of a custom domain";

fn config(self_signed: bool) -> Value {
    let route = |method: &str, path: &str| {
        json!({ "method": method, "path": path, "integration": {
            "type": "customer_edge", "url": "https://edge.tenant.example", "api_key": KEY, "self_signed": self_signed } })
    };
    json!({ "paths": [
        route("POST", "/oauth/token"), route("POST", "/oauth/par"), route("GET", "/userinfo"),
        { "method": "ANY", "path": "/other", "auth": "none", "integration": { "type": "http_proxy", "url": "https://o.example" } },
    ] })
}

fn gateway(self_signed: bool) -> Gateway {
    crate::gateway(&config(self_signed))
}

/// What the platform states about a client's certificate.
struct Stated {
    presented: &'static str,
    revoked: &'static str,
    verified: &'static str,
    fingerprint: String,
    der: Option<String>,
}

impl Stated {
    fn of(der: &[u8]) -> Self {
        let fingerprint = Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { presented: "1", revoked: "0", verified: "SUCCESS", fingerprint, der: Some(STANDARD.encode(der)) }
    }

    fn new() -> Self {
        Self::of(&[0x30; 200])
    }

    fn send<'g>(&self, gateway: &'g Gateway, method: &str, path: &str) -> Answer<'g> {
        let lines = [self.presented, self.revoked, self.verified, &self.fingerprint].join("\n");
        let mut headers = vec![(":client-certificate", lines.as_str()), ("client-certificate", "forged")];
        headers.extend(self.der.as_deref().map(|der| ("cf-client-cert-der-base64", der)));
        handle(gateway, &VirtualHost::default(), method, path, &headers)
    }

    /// Returns the value of `client-certificate-ca-verified`, or the code of the refusal.
    fn outcome(&self, gateway: &Gateway) -> String {
        match self.send(gateway, "POST", "/oauth/token") {
            Answer::Forward(forward) => {
                forward.set.iter().find(|(name, _)| name == "client-certificate-ca-verified").unwrap().1.clone()
            }
            Answer::Reply(reply) => code(&reply),
        }
    }
}

#[test]
fn three_headers_state_the_certificate() {
    let gateway = gateway(false);
    for (method, path) in [("POST", "/oauth/token"), ("POST", "/oauth/par"), ("GET", "/userinfo")] {
        let Answer::Forward(forward) = Stated::new().send(&gateway, method, path) else { panic!("{path}") };
        assert!(forward.destination == Destination::Url(format!("https://edge.tenant.example{path}")));
        let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n", STANDARD.encode([0x30; 48]));
        let encoded = pem.replace(' ', "%20").replace('\n', "%0A").replace('+', "%2B").replace('/', "%2F");
        let value = |name: &str| {
            let values: Vec<&String> =
                forward.set.iter().filter(|(one, _)| one == name).map(|(_, value)| value).collect();
            assert_eq!(values.len(), 1, "{name}");
            values[0].as_str()
        };
        assert_eq!((value("cname-api-key"), value("client-certificate-ca-verified")), (KEY, "SUCCESS"));
        let certificate = value("client-certificate");
        assert!(certificate.starts_with(&encoded) && certificate.ends_with("%0A-----END%20CERTIFICATE-----%0A"));
        assert!(!forward.drops("authorization"), "clients authenticate at the provider");
        assert!(!forward.set.iter().any(|(name, _)| name.starts_with("x-forwarded")));
    }
    // No client states them, on any route.
    let Answer::Forward(other) = handle(&gateway, &VirtualHost::default(), "GET", "/other", &[]) else { panic!() };
    for name in ["cname-api-key", "Client-Certificate", "client_certificate_ca_verified", "Cf-Client-Cert-Der-Base64"] {
        assert!(other.drops(name), "{name}");
    }
    assert!(!format!("{gateway:?}").contains(KEY));
    assert!(matches!(Stated::new().send(&gateway, "GET", "/oauth/token"), Answer::Reply(reply) if reply.status == 405));
    for path in [
        "/authorize",
        "/oauth/token/",
        "/oauth/%74oken",
        "/oauth//token",
        "/OAUTH/token",
        "/oauth/token;a",
        "/oauth%2Ftoken",
    ] {
        let Answer::Reply(reply) = Stated::new().send(&gateway, "POST", path) else { panic!("{path} is forwarded") };
        assert!(matches!(reply.status, 400 | 404), "{path}");
    }
    assert!(matches!(Stated::new().send(&gateway, "POST", "/oauth/token?a=b"), Answer::Forward(_)));
}

#[test]
fn clients_without_an_acceptable_certificate_get_no_further() {
    let (strict, lenient) = (gateway(false), gateway(true));
    let with = |change: &dyn Fn(&mut Stated)| {
        let mut stated = Stated::new();
        change(&mut stated);
        stated
    };
    let both = |stated: &Stated| (stated.outcome(&strict), stated.outcome(&lenient));
    for presented in ["0", "", "true"] {
        let missing = with(&|stated| stated.presented = presented);
        assert_eq!(missing.outcome(&lenient), "client_certificate_missing", "{presented}");
    }
    for reason in ["self signed certificate", "unable to verify the first certificate", "Self-signed certificate"] {
        let verified: &'static str = format!("FAILED:{reason}").leak();
        let unknown = with(&|stated| stated.verified = verified);
        assert_eq!(both(&unknown), ("client_certificate_refused".into(), "FAILED".into()), "{reason}");
    }
    for verified in
        ["FAILED", "FAILED:", "FAILED:certificate has expired", "FAILED:certificate revoked", "NONE", "", "success"]
    {
        let refused = "client_certificate_refused".to_owned();
        assert_eq!(both(&with(&|stated| stated.verified = verified)), (refused.clone(), refused), "{verified}");
    }
    assert_eq!(with(&|stated| stated.revoked = "1").outcome(&lenient), "client_certificate_refused");
    // The header must be that of this connection.
    for der in [None, Some(String::new()), Some("!".into()), Some(STANDARD.encode([0x31; 200]))] {
        let other = with(&|stated| stated.der = der.clone());
        assert_eq!(other.outcome(&lenient), "client_certificate_unavailable", "{der:?}");
    }
    assert_eq!(with(&|stated| stated.fingerprint = String::new()).outcome(&lenient), "client_certificate_unavailable");
    assert_eq!(with(&|stated| stated.fingerprint.make_ascii_uppercase()).outcome(&lenient), "SUCCESS");
    let none = handle(&lenient, &VirtualHost::default(), "POST", "/oauth/token", &[]);
    let Answer::Reply(none) = none else { panic!() };
    assert_eq!((none.status, crate::problem(&none)["error"].as_str()), (401, Some("invalid_client")));
}

#[test]
fn a_certificate_has_at_most_4096_bytes_as_it_is_sent() {
    let gateway = gateway(false);
    let sent = |len: usize| {
        let Answer::Forward(forward) = Stated::of(&vec![0; len]).send(&gateway, "POST", "/oauth/token") else {
            return None;
        };
        Some(forward.set.iter().find(|(name, _)| name == "client-certificate").unwrap().1.len())
    };
    let most = (2500..3100).rev().find(|len| sent(*len).is_some()).unwrap();
    assert!((4090..=4096).contains(&sent(most).unwrap()), "{:?}", sent(most));
    assert_eq!(Stated::of(&vec![0; most + 1]).outcome(&gateway), "client_certificate_too_large");
}

#[test]
fn what_other_routes_send_in_authorization_does_not_concern_the_customer_edge() {
    let mut config = config(false);
    config["authorizer"] = json!({ "type": "oidc", "issuer": "https://issuer.example", "audience": "a" });
    for (path, more) in [
        ("/with-token", json!({ "headers": { "Authorization": "Bearer $token", "X-User": "$claims.sub" } })),
        ("/kept", json!({ "strip_authorization": false })),
    ] {
        let mut integration = json!({ "type": "http_proxy", "url": "https://o.example" });
        integration.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
        let route = json!({ "method": "GET", "path": path, "integration": integration });
        config["paths"].as_array_mut().unwrap().push(route);
    }
    let gateway = crate::gateway(&config);
    let stated = Stated::new();
    let Answer::Forward(forward) = stated.send(&gateway, "GET", "/userinfo") else { panic!() };
    assert!(!forward.drops("authorization") && !forward.drops("Authorization"));
    assert!(forward.drops("x-user") && forward.drops("x_user") && forward.drops("client-certificate"));
    let Answer::Forward(forward) = stated.send(&gateway, "GET", "/other") else { panic!() };
    assert!(forward.drops("authorization"), "elsewhere it is the gateway's");
}

#[test]
fn no_cache_stores_an_answer() {
    let gateway = crate::gateway(&config(false));
    let Answer::Forward(forward) = Stated::new().send(&gateway, "GET", "/userinfo") else { panic!() };
    assert!(forward.is_private, "the platform's cache, too");
    let edits = forward.response_edits(200, Some("public, max-age=600"));
    for name in TARGETED {
        assert!(edits.contains(&HeaderEdit::Remove(name)), "{name}");
    }
    assert!(edits.contains(&HeaderEdit::Set("cache-control".into(), "private, no-store".into())));
}

#[test]
fn problems_of_the_configuration() {
    let problem = |name: &str, value: Value| {
        let mut config = config(false);
        match name {
            "path" | "auth" => config["paths"][0][name] = value,
            name => config["paths"][0]["integration"][name] = value,
        }
        compile(&config.to_string(), &|_| None).unwrap_err()[0].to_string()
    };
    for path in ["/authorize", "/oauth/token/x", "/oauth/{name}", "/{*rest}"] {
        assert_eq!(
            problem("path", json!(path)),
            "error at paths[0].path: is none of those that a customer edge forwards: /oauth/token, /oauth/par, /userinfo",
            "{path}"
        );
    }
    assert_eq!(
        problem("auth", json!("optional")),
        "error at paths[0].auth: must be \"none\": clients authenticate at the provider"
    );
    assert!(problem("api_key", json!("")).starts_with("error at paths[0].integration.api_key: "));
    assert!(
        problem("url", json!("http://edge.example"))
            .starts_with("error at paths[0].integration.url: must be an https URL")
    );
    assert!(problem("headers", json!({})).starts_with("error at paths[0].integration.headers: unknown key"));
}
