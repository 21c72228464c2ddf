//! Organizations: of a host, of every token, or of none.

use edgeward::gateway::{Gateway, compile};
use serde_json::{Value, json};
use support::{Mint, key_a};

use crate::{Login, bearer, code, config, gateway, reply, token, values};

const ACME: &str = "https://acme.example.com";
const GLOBEX: &str = "https://globex.example.com:8443";
const PLAIN: &str = "https://app.example.com";

/// Returns a configuration of one authorizer, with two hosts of organizations and one without.
fn with_hosts() -> Value {
    let mut config = config();
    let authorizer = config.as_object_mut().unwrap().remove("authorizer").unwrap();
    config["authorizers"] = json!({ "main": authorizer });
    config["hosts"] = json!({
        "app.example.com": { "authorizer": "main" },
        "Acme.example.com": { "authorizer": "main", "organization": "Acme" },
        "globex.example.com:8443": { "authorizer": "main", "organization": "org_2" },
    });
    config
}

fn of(name: &str, value: &str) -> Mint {
    token().claim(name, value)
}

/// Returns the code of the refusal, or `ok`.
fn outcome(gateway: &Gateway, origin: &str, token: &Mint) -> String {
    let reply = reply(gateway, "GET", &format!("{origin}/page"), &[("authorization", &bearer(token))]);
    if reply.status == 200 { "ok".into() } else { code(&reply) }
}

#[test]
fn a_host_accepts_tokens_of_its_organization_only() {
    let gateway = gateway(&with_hosts());
    for (origin, token, expected) in [
        (ACME, of("org_name", "acme"), "ok"),
        (ACME, of("org_name", "ACME"), "ok"),
        (ACME, of("org_name", "acme2"), "organization_not_allowed"),
        (ACME, of("org_id", "acme"), "organization_not_allowed"),
        (ACME, of("org_id", "org_2"), "organization_not_allowed"),
        (ACME, token(), "organization_not_allowed"),
        (GLOBEX, of("org_id", "org_2"), "ok"),
        (GLOBEX, of("org_id", "ORG_2"), "organization_not_allowed"),
        (GLOBEX, of("org_name", "org_2"), "organization_not_allowed"),
        (GLOBEX, of("org_id", "org_1"), "organization_not_allowed"),
        (PLAIN, of("org_id", "org_1"), "ok"),
        (PLAIN, token(), "ok"),
    ] {
        // Twice, so that the caches of verified tokens are asked.
        for _ in 0..2 {
            assert_eq!(outcome(&gateway, origin, &token), expected, "{origin}");
        }
    }
    let wrong = reply(&gateway, "GET", "https://globex.example.com/page", &[]);
    assert_eq!(wrong.status, 421, "another port");
}

#[test]
fn a_login_at_the_host_of_an_organization_requests_it_and_comes_back_there() {
    let gateway = gateway(&with_hosts());
    let authorize = |target: &str| {
        let begun = reply(&gateway, "GET", target, &[]);
        assert!(!values(&begun, "set-cookie").is_empty());
        begun.header("location").unwrap().to_owned()
    };
    let location = authorize(&format!("{ACME}/login"));
    assert!(location.contains("&redirect_uri=https%3A%2F%2Facme.example.com%2Fcb&"), "{location}");
    assert!(location.contains("&organization=Acme"), "{location}");
    let location = authorize(&format!("{GLOBEX}/login"));
    assert!(location.contains("&redirect_uri=https%3A%2F%2Fglobex.example.com%3A8443%2Fcb&"), "{location}");
    assert!(location.contains("&organization=org_2"), "{location}");
    let location = authorize(&format!("{PLAIN}/login"));
    assert!(location.contains("app.example.com%2Fcb") && !location.contains("organization"), "{location}");
    let page = reply(&gateway, "GET", &format!("{ACME}/page"), &[("sec-fetch-mode", "navigate")]);
    assert_eq!(page.header("location"), Some("https://acme.example.com/login?return_to=%2Fpage"));
}

#[test]
fn an_invitation_is_passed_on() {
    let gateway = gateway(&config());
    let link = "/login?invitation=TICKET-1&organization=org_1&organization_name=acme";
    let location = reply(&gateway, "GET", link, &[]).header("location").unwrap().to_owned();
    for parameter in ["&invitation=TICKET-1", "&organization=org_1", "&organization_name=acme"] {
        assert_eq!(location.matches(parameter).count(), 1, "{location}");
    }
    // The organization of a host stands beside none: the callback compares.
    let hosts = crate::gateway(&with_hosts());
    let location = reply(&hosts, "GET", &format!("{ACME}{link}"), &[]).header("location").unwrap().to_owned();
    assert_eq!(location.matches("&organization=").count(), 1, "{location}");
    assert!(
        !reply(&gateway, "GET", "/login?invitation=a&invitation=b", &[])
            .header("location")
            .unwrap()
            .contains("invitation")
    );
}

#[test]
fn tokens_and_sessions_of_an_organization_are_refused_where_none_is_expected() {
    let mut config = config();
    config["authorizer"]["organizations"] = json!(false);
    let gateway = gateway(&config);
    for (token, expected) in [
        (token(), "ok"),
        (token().claim("org_id", json!(null)), "ok"),
        (of("org_id", "org_1"), "organization_not_allowed"),
        (of("org_name", "acme"), "organization_not_allowed"),
        (token().claim("org_id", 1), "organization_not_allowed"),
        (of("org_id", ""), "organization_not_allowed"),
    ] {
        assert_eq!(outcome(&gateway, PLAIN, &token), expected);
    }
    let refused = reply(&gateway, "GET", "/page", &[("authorization", &bearer(&of("org_id", "org_1")))]);
    assert_eq!((refused.status, crate::problem(&refused).get("required")), (403, None));
    let location = reply(&gateway, "GET", "/login", &[]).header("location").unwrap().to_owned();
    assert!(!location.contains("organization"), "{location}");
    let mut session = Login::new();
    assert_eq!(reply(&gateway, "GET", "/page", &[("cookie", &session.cookie())]).status, 200);
    session.content["claims"]["org_id"] = "org_1".into();
    assert_eq!(reply(&gateway, "GET", "/page", &[("cookie", &session.cookie())]).status, 401);
}

#[test]
fn an_authorizer_may_be_for_hosts_with_organizations_alone() {
    let mut config = with_hosts();
    config["hosts"].as_object_mut().unwrap().remove("app.example.com");
    // The callback's host need not be one of them: its path counts.
    config["authorizers"]["main"]["redirect_uri"] = "https://login.example.com/cb".into();
    let gateway = gateway(&config);
    assert_eq!(outcome(&gateway, ACME, &of("org_name", "acme")), "ok");
    assert_eq!(reply(&gateway, "GET", "https://login.example.com/page", &[]).status, 421);
    let location = reply(&gateway, "GET", &format!("{ACME}/login"), &[]).header("location").unwrap().to_owned();
    assert!(location.contains("&redirect_uri=https%3A%2F%2Facme.example.com%2Fcb&"), "{location}");
}

#[test]
fn the_organization_of_a_host_takes_the_place_of_those_of_its_authorizer() {
    let mut config = with_hosts();
    config["authorizers"]["main"]["organizations"] = json!(false);
    let gateway = gateway(&config);
    assert_eq!(outcome(&gateway, ACME, &of("org_name", "acme")), "ok");
    assert_eq!(outcome(&gateway, PLAIN, &of("org_name", "acme")), "organization_not_allowed");
}

#[test]
fn scripts_of_the_organization_are_those_of_its_host() {
    let mut config = with_hosts();
    config["cors"] = json!({ "allow_origins": ["https://{organization_name}.example.net"] });
    let gateway = gateway(&config);
    let allowed = |at: &str, origin: &str| {
        let header = bearer(&Mint::access(key_a()).claim("org_name", "acme"));
        let reply = reply(&gateway, "GET", &format!("{at}/page"), &[("authorization", &header), ("origin", origin)]);
        reply.header("access-control-allow-origin").map(String::from)
    };
    assert_eq!(allowed(ACME, "https://acme.example.net").as_deref(), Some("https://acme.example.net"));
    assert_eq!(allowed(ACME, "https://globex.example.net"), None);
    for at in [PLAIN, GLOBEX] {
        assert_eq!(allowed(at, "https://acme.example.net"), None, "{at}");
    }
}

#[test]
fn problems_of_the_configuration() {
    let problems = |config: &Value| {
        let problems = compile(&config.to_string(), &|_| None).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let mut config = with_hosts();
    config["hosts"]["Acme.example.com"]["organization"] = "".into();
    assert_eq!(problems(&config), ["error at hosts.Acme.example.com.organization: must not be empty"]);
    let mut config = with_hosts();
    config["hosts"]["acme.example.com"] = json!({ "authorizer": "main" });
    assert_eq!(problems(&config), ["error at hosts.acme.example.com: is the same host as another entry"]);
    let mut config = with_hosts();
    config["hosts"]["Acme.example.com"]["authorizer"] = "other".into();
    assert_eq!(problems(&config), ["error at hosts.Acme.example.com.authorizer: is none of authorizers: main"]);
    // A mistake in the authorizer of several hosts is one problem.
    let mut config = with_hosts();
    config["authorizers"]["main"].as_object_mut().unwrap().remove("client_secret");
    assert_eq!(problems(&config).len(), 1);
    let mut config = crate::config();
    config["authorizer"]["organizations"] = json!(true);
    assert!(problems(&config)[0].starts_with("error at authorizer.organizations: must be"));
}
