//! Events: what became of a request, without anything secret.

use edgeward::gateway::{Gateway, RequestEvent, RequestLevel, RequestLog, compile};
use edgeward::http::RequestHead;
use serde_json::json;
use support::host::VirtualHost;
use support::{ISSUER, key_a};

use crate::{Headers, Login, NOW, ORIGIN, bearer, config, gateway, token};

fn event<'g>(gateway: &'g Gateway, host: &VirtualHost, path: &str, headers: Headers<'_>) -> RequestEvent<'g> {
    let url = format!("{ORIGIN}{path}");
    let header = |name: &str| headers.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
    let head = RequestHead { method: "GET", url: &url, header: &header };
    let mut event = Some(RequestEvent::default());
    drop(host.run(gateway.handle_with_event(&head, host, &mut event)));
    event.unwrap()
}

#[test]
fn an_event_names_route_issuer_key_and_cache_of_verified_credentials_only() {
    let gateway = gateway(&config());
    let host = VirtualHost::default();
    let (good, cookie) = (bearer(&token()), Login::new().cookie());
    let expired = bearer(&token().claim("exp", NOW - 1000));
    let kid = Some(key_a().kid);
    for (path, headers, route, credentials, issuer, kid, is_cached) in [
        ("/api/x?q", &[("authorization", &*good)][..], "/api/{*rest}", "bearer", Some(ISSUER), kid, false),
        ("/api/y", &[("authorization", &good)], "/api/{*rest}", "bearer", Some(ISSUER), kid, true),
        ("/admin", &[("authorization", &good)], "/admin", "bearer", Some(ISSUER), kid, true),
        ("/api/x", &[("cookie", &cookie)], "/api/{*rest}", "session", Some(ISSUER), None, false),
        ("/api/x", &[("authorization", &expired)], "/api/{*rest}", "", None, None, false),
        ("/api/x", &[], "/api/{*rest}", "", None, None, false),
        ("/nothing", &[("authorization", &good)], "", "", None, None, false),
    ] {
        let event = event(&gateway, &host, path, headers);
        let found = (event.route, event.credentials(), event.issuer(), event.kid(), event.is_cached, event.observed);
        assert_eq!(found, (route, credentials, issuer, kid, is_cached, ""), "{path}");
        let shown = format!("{event:?}");
        for secret in ["user-1", "auth0|1", "access-token-of-a-session", "eyJ"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn the_configuration_says_what_is_recorded() {
    let with = |log, metrics| {
        let mut config = config();
        config["log"] = log;
        config["metrics"] = metrics;
        compile(&config.to_string(), &|_| None).unwrap().gateway
    };
    let none = with(json!(null), json!(null));
    assert_eq!((none.request_log(), none.metrics_binding()), (None, "EDGEWARD_METRICS"));
    assert_eq!(with(json!({ "level": "off", "sample": 9 }), json!({})).request_log(), None);
    let some = with(json!({ "level": "warning", "sample": 9 }), json!({ "binding": "POINTS" }));
    assert_eq!(some.request_log(), Some(RequestLog { level: RequestLevel::Warning, sample: 9 }));
    assert_eq!(some.metrics_binding(), "POINTS");
}

#[test]
fn the_secret_for_timings_is_compared_whole_and_never_forwarded_or_shown() {
    let secret = "a-secret-of-those-who-see-timings-0123456789";
    let mut config = config();
    config["metrics"] = json!({ "server_timing": secret });
    let timed = gateway(&config);
    let plain = gateway(&crate::config());
    let shows = |gateway: &Gateway, sent: &str| {
        let header = |name: &str| (name == "x-edgeward-timing").then(|| sent.to_owned());
        gateway.shows_timing(&RequestHead { method: "GET", url: ORIGIN, header: &header })
    };
    assert!(shows(&timed, secret));
    for wrong in ["", "a", &secret[1..], &format!("{secret}9")] {
        assert!(!shows(&timed, wrong), "{wrong}");
    }
    assert!(!shows(&plain, secret) && !shows(&plain, ""));
    assert!(timed.drops("X_Edgeward-Timing"));
    assert!(!format!("{timed:?}").contains(secret));
}
