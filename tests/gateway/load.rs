//! Loading a configuration: the log lines.

use std::cell::RefCell;

use edgeward::gateway::{Compiled, Platform, Unicode, compile, compile_with, load};
use edgeward::host::Level;
use serde_json::json;

use crate::{SEALING_SECRET, config};

const PLATFORM: Platform<'_> = Platform { unicode: Unicode::TABLES, random_secret: None };

/// Returns whether the configuration is valid, and the log lines.
fn loaded(text: Option<&str>, env: &[(&str, &str)]) -> (bool, Vec<(Level, String)>) {
    let lines = RefCell::default();
    let read = |name: &str| env.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
    let log = |level: Level, line: &dyn core::fmt::Display| {
        let lines: &RefCell<Vec<(Level, String)>> = &lines;
        lines.borrow_mut().push((level, line.to_string()));
    };
    let gateway = load(text, &read, PLATFORM, &log);
    (gateway.is_some(), lines.into_inner())
}

#[test]
fn a_valid_configuration_logs_nothing() {
    assert_eq!(loaded(Some(&config().to_string()), &[]), (true, vec![]));
}

#[test]
fn a_login_that_no_route_configures_is_announced() {
    let mut config = config();
    config["paths"].as_array_mut().unwrap().retain(|route| route["integration"]["type"] != "login");
    let line = "default_login: no route is a login, so logins begin at /.well-known/edgeward/login";
    assert_eq!(loaded(Some(&config.to_string()), &[]), (true, vec![(Level::Information, line.to_owned())]));
}

#[test]
fn a_missing_document_logs_one_line() {
    let line = "config_invalid: neither edgeward.json nor the variable EDGEWARD gives a configuration".to_owned();
    for text in [None, Some("")] {
        assert_eq!(loaded(text, &[]), (false, vec![(Level::Error, line.clone())]));
    }
}

#[test]
fn an_invalid_document_logs_the_number_of_problems_and_each_problem() {
    let mut config = config();
    config["authorizer"]["client_id"] = json!(null);
    config["cors"] = json!({ "allow_origins": ["https://app.example.com/path"] });
    config["session"] = json!({ "secrets": SEALING_SECRET, "same_site": "Strict" });
    let (serves, lines) = loaded(Some(&config.to_string()), &[]);
    assert!(!serves);
    let (first, problems) = lines.split_first().unwrap();
    let errors = problems.iter().filter(|(level, _)| *level == Level::Error).count();
    assert!(errors >= 2, "{lines:?}");
    let expected =
        format!("config_invalid: {errors} error(s); every request is answered with 503 until they are fixed");
    assert_eq!(*first, (Level::Error, expected));
    let reported = compile(&config.to_string(), &|_| None).unwrap_err();
    assert_eq!(problems.len(), reported.len());
    for ((level, line), problem) in problems.iter().zip(&reported) {
        assert_eq!(*level, if problem.is_error { Level::Error } else { Level::Warning });
        assert_eq!(*line, format!("config: {problem}"));
        let kind = if problem.is_error { "error" } else { "warning" };
        assert!(line.starts_with(&format!("config: {kind} at {}: ", problem.path)), "{line}");
        assert!(!line.contains(SEALING_SECRET), "{line}");
    }
    assert!(lines.iter().any(|(_, line)| line.contains(" at cors.allow_origins: ")), "{lines:?}");
}

#[test]
fn an_unreadable_document_is_logged_with_the_position() {
    for (text, reported) in [
        ("{\n  \"paths\": [,]\n}", "config: error at (document): is not JSON: line 2, column "),
        ("[]", "config: error at (document): must be a JSON object"),
        (r#"{"paths":[],"paths":[]}"#, "config: error at (document): has an object with two keys of the same name"),
    ] {
        let (serves, lines) = loaded(Some(text), &[]);
        assert!(!serves && lines.len() == 2, "{lines:?}");
        assert!(lines[0].1.starts_with("config_invalid: 1 error(s); "), "{lines:?}");
        assert!(lines[1].0 == Level::Error && lines[1].1.starts_with(reported), "{lines:?}");
    }
}

#[test]
fn warnings_are_logged_and_the_gateway_works() {
    let mut config = config();
    config["session"] = json!({ "same_site": "Strict" });
    let (serves, lines) = loaded(Some(&config.to_string()), &[]);
    let Compiled { warnings, .. } = compile(&config.to_string(), &|_| None).unwrap();
    assert!(serves && !warnings.is_empty() && warnings.iter().all(|problem| !problem.is_error));
    let expected: Vec<_> = warnings.iter().map(|problem| (Level::Warning, format!("config: {problem}"))).collect();
    assert_eq!(lines, expected);
    assert!(lines.iter().any(|(_, line)| line.starts_with("config: warning at session.same_site: ")), "{lines:?}");
}

#[test]
fn what_works_in_part_is_a_warning() {
    let warnings = |config: &serde_json::Value| {
        let Compiled { warnings, .. } = compile(&config.to_string(), &|_| None).unwrap();
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let mut partly_usable = config();
    let keys = partly_usable["authorizer"]["jwks"]["keys"].as_array_mut().unwrap();
    keys.push(json!({ "kty": "oct", "kid": "old" }));
    keys.push(json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" }));
    let reasons = "\"old\": key type is not supported; without kid: ";
    let expected = format!("warning at authorizer.jwks: has keys that are skipped: {reasons}");
    let found = warnings(&partly_usable);
    assert!(found.len() == 1 && found[0].starts_with(&expected), "{found:?}");

    let mut without_scope = config();
    without_scope["authorizer"]["scope"] = json!("openid");
    without_scope["authorizer"]["type"] = json!("oidc");
    without_scope["authorizer"]["issuer"] = json!("https://tenant.example.com/");
    without_scope["authorizer"].as_object_mut().unwrap().remove("domain");
    let found = warnings(&without_scope);
    assert!(found.len() == 1 && found[0].contains("is \"refresh\", but \"offline_access\" is not in"), "{found:?}");
}

#[test]
fn environment_variables_are_used_and_not_logged() {
    let mut config = config();
    config["session"] = json!({});
    let (serves, lines) = loaded(Some(&config.to_string()), &[("AUTH0_SECRET", SEALING_SECRET)]);
    assert!(serves && lines.is_empty(), "{lines:?}");
    let (serves, lines) = loaded(Some(&config.to_string()), &[("AUTH0_SECRET", "too short a secret")]);
    assert!(!serves && !lines.iter().any(|(_, line)| line.contains("too short a secret")), "{lines:?}");
}

#[test]
fn a_login_without_a_secret_uses_a_random_one_and_fails_without_that() {
    use edgeward::gateway::Answer;
    use support::host::VirtualHost;

    let mut config = config();
    config["session"] = json!({});
    config["authorizer"]["client_secret"] = json!("short");
    for (random_secret, status) in [(Some("random"), 302), (None, 500)] {
        let platform = Platform { random_secret, ..PLATFORM };
        let gateway = compile_with(&config.to_string(), &|_| None, platform).unwrap().gateway;
        let host = VirtualHost::default();
        let Answer::Reply(reply) = crate::handle(&gateway, &host, "GET", "/login", &[]) else { panic!() };
        assert_eq!(reply.status, status, "{}", reply.body);
        assert_eq!(reply.header("set-cookie").is_some(), status == 302);
    }
}
