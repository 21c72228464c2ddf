//! The status route: never public, as a page or as JSON, with the counts of one instance or of all, and nothing of a caller.

use std::cell::RefCell;
use std::rc::Rc;

use edgeward::gateway::{Answer, Answered, Gateway, RequestEvent, compile, merged_counts};
use edgeward::host::Host as _;
use edgeward::http::{Reply, RequestHead};
use edgeward::io::UnixTime;
use edgeward::oidc::StatusReport;
use serde_json::{Value, json};
use support::host::VirtualHost;
use support::{ISSUER, key_a};

use crate::{Headers, Login, NOW, ORIGIN, bearer, code, config, gateway, token};

/// The route, for tokens with the scope `ops`.
fn watched() -> Value {
    with_route(json!({ "scopes": ["ops"] }))
}

fn with_route(more: Value) -> Value {
    let mut config = config();
    config["authorizer"]["roles_claim"] = json!("roles");
    let mut route = json!({ "method": "GET", "path": "/status", "integration": { "type": "status" } });
    route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config["paths"].as_array_mut().unwrap().push(route);
    config
}

/// Handles a request as a host does: counts it, and reports the counts.
fn request(gateway: &Gateway, host: &VirtualHost, path: &str, headers: Headers<'_>) -> Option<Reply> {
    let url = format!("{ORIGIN}{path}");
    let header = |name: &str| headers.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
    let head = RequestHead { method: "GET", url: &url, header: &header };
    let mut event = Some(RequestEvent::default());
    let (answered, reply) = match host.run(gateway.handle_with_event(&head, host, &mut event)) {
        Answer::Reply(reply) => {
            (Answered { status: reply.status, code: reply.code(), is_forwarded: false }, Some(reply))
        }
        Answer::Forward(_) => (Answered { status: 200, code: "", is_forwarded: true }, None),
    };
    gateway.count(&event.unwrap(), answered, host.now());
    reply
}

fn operator() -> String {
    bearer(
        &token()
            .claim("scope", "ops")
            .claim("iat", NOW - 200_000)
            .claim("nbf", NOW - 200_000)
            .claim("exp", NOW + 200_000),
    )
}

fn status(gateway: &Gateway, host: &VirtualHost, accept: &str) -> Reply {
    let reply = request(gateway, host, "/status", &[("authorization", &operator()), ("accept", accept)]).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply
}

fn as_json(gateway: &Gateway, host: &VirtualHost) -> Value {
    serde_json::from_str(&status(gateway, host, "application/json").body).unwrap()
}

fn sum(status: &Value, name: &str) -> u64 {
    let series = status["last_hour"][name].as_array().unwrap();
    assert_eq!(series.len(), 60, "{name}");
    series.iter().map(|count| count.as_u64().unwrap()).sum()
}

/// Joins the store of all instances.
fn join(host: &VirtualHost, store: &Rc<RefCell<String>>) {
    let (store, clock) = (Rc::clone(store), host.clone());
    host.serve_reports(move |report: StatusReport| {
        let outcome = merged_counts(&store.borrow(), &report.counts, clock.now());
        let stored = outcome.store.unwrap();
        assert_eq!(stored.until_ms, clock.now().millis() + 3_600_000);
        assert_eq!((outcome.response.status, &outcome.response.text), (200, &stored.text));
        *store.borrow_mut() = stored.text;
        Some(outcome.response.text)
    });
}

#[test]
fn a_status_is_never_public() {
    for route in [
        json!({}),
        json!({ "auth": "none" }),
        json!({ "auth": false }),
        json!({ "auth": "optional", "scopes": ["ops"] }),
        json!({ "audience": ["https://api.example.com"] }),
        json!({ "scopes": [] }),
        json!({ "scopes": ["ops"], "observe": true }),
    ] {
        let problems = compile(&with_route(route.clone()).to_string(), &|_| None).unwrap_err();
        let is_refused = problems.iter().any(|problem| problem.is_error && problem.path.starts_with("paths[18]"));
        assert!(is_refused, "{route}: {problems:?}");
    }
    // An organization that every token must have is no right on this route.
    let mut everyone = with_route(json!({}));
    everyone["authorizer"]["organizations"] = json!(["org_1"]);
    assert!(compile(&everyone.to_string(), &|_| None).is_err());

    let host = VirtualHost::default();
    for route in [
        json!({ "scopes": ["ops"] }),
        json!({ "permissions": { "any": ["ops"] } }),
        json!({ "roles": ["ops"] }),
        json!({ "organizations": ["org_1"] }),
        json!({ "claims": { "team": "ops" } }),
    ] {
        let gateway = gateway(&with_route(route.clone()));
        let anonymous = request(&gateway, &host, "/status", &[]).unwrap();
        assert_eq!((anonymous.status, code(&anonymous).as_str()), (401, "token_missing"), "{route}");
        let user = request(&gateway, &host, "/status", &[("authorization", &bearer(&token()))]).unwrap();
        assert_eq!(user.status, 403, "{route}");
        for cookie in [Login::new().cookie(), String::new()] {
            assert!(request(&gateway, &host, "/status", &[("cookie", &cookie)]).unwrap().status >= 400, "{route}");
        }
    }
}

#[test]
fn a_client_gets_the_form_that_it_accepts() {
    let (gateway, host) = (gateway(&watched()), VirtualHost::default());
    for (accept, is_page) in [
        ("", false),
        ("*/*", false),
        ("application/json", false),
        ("text/html", true),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
        ("application/json, text/html", true),
        ("application/json, text/html;q=0.9", false),
        ("Text/HTML;level=1;q=0.5, application/json;q=0.4", true),
        ("text/html;q=0", false),
        ("application/json;q=0.5, text/html;q=0.501", true),
    ] {
        let reply = status(&gateway, &host, accept);
        let media_type = if is_page { "text/html; charset=utf-8" } else { "application/json" };
        assert_eq!(reply.header("content-type"), Some(media_type), "{accept}");
        assert!(reply.header("cache-control").unwrap().contains("no-store"));
        assert_eq!(reply.header("vary"), Some("accept"));
    }
}

#[test]
fn outcomes_refusals_and_keys_are_shown_without_anything_of_a_caller() {
    let (gateway, host) = (gateway(&watched()), VirtualHost::default());
    let good = bearer(&token());
    let expired = bearer(&token().claim("exp", NOW - 1000));
    let cookie = Login::new().cookie();
    for _ in 0..3 {
        request(&gateway, &host, "/api/secret-path?secret-query", &[("authorization", &good)]);
    }
    host.sleep_s(90);
    request(&gateway, &host, "/api/secret-path", &[("cookie", &cookie)]);
    request(&gateway, &host, "/api/secret-path", &[("authorization", &expired)]);
    request(&gateway, &host, "/api/secret-path", &[]);
    request(&gateway, &host, "/api/secret-path", &[("sec-fetch-mode", "navigate"), ("accept", "text/html")]);
    request(&gateway, &host, "/admin", &[("authorization", &good)]);
    host.sleep_s(30);
    request(&gateway, &host, "/secret-path", &[("authorization", &good)]);
    request(&gateway, &host, "/public", &[]);

    let shown = as_json(&gateway, &host);
    let counts = ["forwarded", "answered", "redirected", "observed", "refused", "failed", "cache_hits", "cache_misses"];
    assert_eq!(counts.map(|name| sum(&shown, name)), [4, 1, 1, 0, 4, 0, 3, 1], "{shown}");
    let minutes = shown["last_hour"]["forwarded"].as_array().unwrap();
    assert_eq!((minutes[57].as_u64(), minutes.iter().filter(|count| **count != 0).count()), (Some(3), 2), "{shown}");
    assert_eq!(shown["scope"], "isolate");
    assert_eq!((&shown["since"], &shown["time"]), (&json!(NOW), &json!(NOW + 120)));
    assert_eq!(shown["version"], env!("CARGO_PKG_VERSION"));
    let found: Vec<Value> = shown["refusals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            assert!(one["explanation"].as_str().unwrap().ends_with('.'), "{one}");
            json!([one["code"], one["count"], one["first"], one["last"], one["route"]])
        })
        .collect();
    assert_eq!(
        json!(found),
        json!([
            ["not_found", 1, NOW + 120, NOW + 120, null],
            ["insufficient_scope", 1, NOW + 90, NOW + 90, "/admin"],
            ["token_missing", 1, NOW + 90, NOW + 90, "/api/{*rest}"],
            ["token_expired", 1, NOW + 90, NOW + 90, "/api/{*rest}"],
        ])
    );
    assert_eq!(
        shown["issuers"],
        json!([{ "issuer": ISSUER, "fetched": null, "fresh_until": null, "failure": null,
            "keys": [{ "kid": key_a().kid, "algorithm": null, "unusable": null }] }])
    );

    let page = status(&gateway, &host, "text/html").body;
    let (api, admin) = ("/api/{*rest}", "/admin");
    for text in
        ["token_expired", "insufficient_scope", api, admin, ISSUER, "3 of 5 (60 %)", "Part of the configuration."]
    {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    for text in [page, shown.to_string()] {
        for secret in ["secret-", "user-1", "auth0|1", "eyJ", "name-of-a-session"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
}

#[test]
fn counts_are_of_the_last_hour() {
    let (gateway, host) = (gateway(&watched()), VirtualHost::default());
    for _ in 0..3 {
        request(&gateway, &host, "/nothing", &[]);
        host.sleep_s(1800);
    }
    let shown = as_json(&gateway, &host);
    assert_eq!((sum(&shown, "refused"), shown["refusals"][0]["count"].as_u64()), (1, Some(3)), "{shown}");
    host.sleep_s(3600);
    let shown = as_json(&gateway, &host);
    assert_eq!((sum(&shown, "refused"), shown["refusals"].as_array().map(Vec::len)), (0, Some(0)), "{shown}");
    // A clock that goes back.
    host.set_clock(UnixTime::from_secs(NOW - 100_000));
    request(&gateway, &host, "/nothing", &[]);
    assert_eq!(sum(&as_json(&gateway, &host), "refused"), 1);
}

#[test]
fn without_the_route_nothing_is_counted_or_reported() {
    let (gateway, host) = (gateway(&config()), VirtualHost::default());
    host.serve_reports(|_| panic!("there is nothing to report"));
    assert!(!gateway.counts_requests());
    request(&gateway, &host, "/nothing", &[]);
    assert_eq!(gateway.due_status_report(&host), None);
}

#[test]
fn instances_report_every_few_seconds_and_show_the_sum() {
    let store = Rc::new(RefCell::new(String::new()));
    let instances: Vec<(Gateway, VirtualHost)> =
        (0..2).map(|_| (gateway(&watched()), VirtualHost::default())).collect();
    let [(one, one_host), (two, two_host)] = &instances[..] else { panic!("two instances") };
    request(one, one_host, "/nothing", &[]);
    assert_eq!(one.due_status_report(one_host), None, "there is no store yet");
    join(one_host, &store);
    join(two_host, &store);
    let report = |gateway: &Gateway, host: &VirtualHost| {
        let report = gateway.due_status_report(host)?;
        assert!(report.name.ends_with(as_json(gateway, &VirtualHost::default())["configuration"].as_str().unwrap()));
        let merged = merged_counts(&store.borrow(), &report.counts, host.now()).response.text;
        *store.borrow_mut() = merged;
        Some(())
    };
    assert_eq!(report(one, one_host), Some(()));
    request(one, one_host, "/nothing", &[]);
    one_host.sleep_ms(4999);
    assert_eq!(one.due_status_report(one_host), None, "the last report was lately");
    one_host.sleep_ms(1);
    assert_eq!(report(one, one_host), Some(()));
    for _ in 0..5 {
        request(two, two_host, "/nothing", &[]);
    }
    assert_eq!(report(two, two_host), Some(()));
    request(two, two_host, "/api/x", &[]);

    // The page reports its own counts first, so that they are part of what it shows.
    let shown = as_json(two, two_host);
    assert_eq!((&shown["scope"], &shown["since"]), (&json!("all"), &json!(NOW)));
    assert_eq!(sum(&shown, "refused"), 8, "{shown}");
    let not_found = shown["refusals"].as_array().unwrap().iter().find(|one| one["code"] == "not_found").unwrap();
    assert_eq!(not_found["count"], 7);
    assert!(status(one, one_host, "text/html").body.contains("Counts of all isolates"));
    // What is reported is not reported again.
    assert_eq!(sum(&as_json(two, two_host), "refused"), 8);

    two_host.serve_reports(|_| None);
    let shown = as_json(two, two_host);
    assert_eq!((&shown["scope"], sum(&shown, "refused")), (&json!("isolate"), 6), "its own alone");
    let page = status(two, two_host, "text/html").body;
    assert!(page.contains("Counts of this isolate only") && page.contains("does not respond"), "{page}");
}

#[test]
fn the_digest_is_that_of_the_document_without_secrets() {
    let digest = |change: &dyn Fn(&mut Value), variable: &str| {
        let mut config = watched();
        config["paths"][5]["integration"]["headers"] = json!({ "X-Key": "$env.KEY" });
        change(&mut config);
        let gateway = compile(&config.to_string(), &|name| (name == "KEY" || name == "ID").then(|| variable.into()))
            .unwrap()
            .gateway;
        as_json(&gateway, &VirtualHost::default())["configuration"].as_str().unwrap().to_owned()
    };
    let plain = digest(&|_| {}, "a");
    assert_eq!(plain.len(), 64);
    assert_eq!(digest(&|_| {}, "b"), plain, "the value of a variable is no part of it");
    assert_eq!(digest(&|config| config["authorizer"]["client_secret"] = json!("another"), "a"), plain);
    assert_ne!(digest(&|config| config["paths"][5]["integration"]["headers"]["X-Key"] = json!("$env.ID"), "a"), plain);
    assert_ne!(digest(&|config| config["paths"][0]["path"] = json!("/log-in"), "a"), plain);
}

#[test]
fn the_page_runs_no_script_and_escapes_what_it_shows() {
    let mut config = watched();
    config["authorizer"]["issuers"] = json!([{ "issuer": "other.example.com" }]);
    let denied =
        json!({ "method": "GET", "path": "/<b>&'\"", "scopes": ["admin"], "integration": { "type": "respond" } });
    config["paths"].as_array_mut().unwrap().push(denied);
    config["pages"] = json!({ "name": "A & B", "colors": { "accent": "#0a5" } });
    let (gateway, host) = (gateway(&config), VirtualHost::default());
    request(&gateway, &host, "/<b>&'\"", &[("authorization", &bearer(&token()))]);
    let reply = status(&gateway, &host, "text/html");
    let policy = reply.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("script"), "{policy}");
    for name in ["referrer-policy", "x-content-type-options"] {
        assert!(reply.header(name).is_some(), "{name}");
    }
    let page = &reply.body;
    assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">"), "{page}");
    assert!(page.contains("<code>/&lt;b&gt;&amp;&#39;&quot;</code>") && page.contains("A &amp; B"), "{page}");
    assert!(page.contains("Not fetched yet"), "{page}");
    assert!(!page.contains("<script") && !page.contains("style=") && !page.contains("onload"), "{page}");
    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = edgeward::base64url::encode(&<sha2::Sha256 as sha2::Digest>::digest(style.as_bytes()));
    assert!(policy.replace('+', "-").replace('/', "_").contains(&format!("'sha256-{hash}='")), "{policy}");
    assert_eq!((page.matches("<h1>").count(), page.matches("<svg ").count()), (1, 6));
}
