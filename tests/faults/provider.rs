//! F01 to F07, F14 to F17: the provider is down, slow, or answers something else.

use edgeward::io::{Incoming, Unreachable};
use support::browser::{Browser, Request};
use support::deployment::COOKIE;
use support::host::Delay;
use support::key_a;
use support::provider::Endpoint;
use support::world::{status, token};

use crate::site::{
    EVERYTHING, Fault, KEYS, Site, assert_unavailable, assert_user, bearer, session, when_cold, when_warm,
};

fn cold(faults: impl IntoIterator<Item = Fault>) {
    for fault in faults {
        when_cold(&fault, &EVERYTHING);
        when_cold(&fault, &KEYS);
    }
}

fn warm(faults: impl IntoIterator<Item = Fault>) {
    for fault in faults {
        when_warm(&fault, &EVERYTHING);
        when_warm(&fault, &KEYS);
    }
}

fn down() -> Fault {
    Fault::unreachable("no connection", Err(Unreachable::Network))
}

#[test]
fn f01_the_provider_is_down_when_an_instance_starts() {
    cold([down()]);
}

#[test]
fn f02_the_provider_goes_down_while_an_instance_is_at_work() {
    warm([down()]);
}

/// Answers that take longer than any timeout.
fn slow() -> Fault {
    Fault::unreachable("an answer after 30 s", Ok(status(200))).delayed(Delay::Millis(30_000))
}

#[test]
fn f03_a_slow_provider_when_an_instance_starts() {
    cold([slow()]);
}

#[test]
fn f03_a_slow_provider_while_an_instance_is_at_work() {
    warm([slow()]);
}

fn errors() -> Vec<Fault> {
    let pause = |seconds: &str| {
        let reply = Incoming { retry_after: Some(seconds.into()), ..status(429) };
        Fault::unreachable("429 with a pause", Ok(reply))
    };
    vec![
        Fault::unreachable("500", Ok(status(500))),
        Fault::unreachable("502", Ok(status(502))),
        Fault::unreachable("503", Ok(status(503))),
        Fault::unreachable("429", Ok(status(429))),
        Fault::unreachable("204", Ok(status(204))),
        pause("7").retry_after_s(7),
        pause("86400").retry_after_s(300),
    ]
}

#[test]
fn f04_an_error_status_when_an_instance_starts() {
    cold(errors());
}

#[test]
fn f04_an_error_status_while_an_instance_is_at_work() {
    warm(errors());
}

fn html() -> Fault {
    Fault::invalid("200 with HTML", "jwks_invalid", |answer| Incoming {
        status: 200,
        content_type: Some("text/html".into()),
        body: b"<!doctype html><title>Log in</title>".to_vec(),
        ..answer
    })
}

#[test]
fn f05_html_when_an_instance_starts() {
    cold([html()]);
}

#[test]
fn f05_html_while_an_instance_is_at_work() {
    warm([html()]);
}

fn no_sets() -> Vec<Fault> {
    let says = |body: &'static str, code| {
        Fault::invalid(body, code, move |answer| Incoming { status: 200, body: body.into(), ..answer })
    };
    vec![
        says("{}", "jwks_invalid"),
        says(r#"{"keys":{}}"#, "jwks_invalid"),
        says(r#"{"keys":[]}"#, "jwks_no_usable_key"),
        says(r#"{"keys":[{"kty":"AKP","kid":"x","alg":"ML-DSA-65"}]}"#, "jwks_no_usable_key"),
    ]
}

#[test]
fn f06_a_document_without_keys_when_an_instance_starts() {
    no_sets().iter().for_each(|fault| when_cold(fault, &KEYS));
}

#[test]
fn f06_a_document_without_keys_while_an_instance_is_at_work() {
    no_sets().iter().for_each(|fault| when_warm(fault, &KEYS));
}

fn broken() -> Vec<Fault> {
    vec![
        Fault::invalid("truncated JSON", "jwks_invalid", |answer| {
            let body = answer.body.get(..40).unwrap_or(b"{").to_vec();
            Incoming { status: 200, body, ..answer }
        }),
        // The shells cut a body off at the limit, however it is framed or compressed.
        Fault::unreachable("a body over the limit", Err(Unreachable::GivenUp)),
    ]
}

#[test]
fn f07_a_truncated_or_endless_document_when_an_instance_starts() {
    cold(broken());
}

#[test]
fn f07_a_truncated_or_endless_document_while_an_instance_is_at_work() {
    warm(broken());
}

/// One connection that breaks, and the next one that does not.
#[test]
fn f14_one_broken_connection_costs_no_request() {
    for endpoint in [Endpoint::Discovery, Endpoint::Keys] {
        let site = Site::new();
        let instance = site.cold();
        site.provider.answer_next(endpoint, Err(Unreachable::Network));
        let (response, asked) = site.counted(|| bearer(&instance, &token(key_a())));
        assert_eq!((response.status, asked.iter().sum::<usize>()), (200, 3), "{endpoint:?}");
    }
    let site = Site::new();
    let instance = site.cold();
    site.provider.answer_next(Endpoint::Discovery, Err(Unreachable::Network));
    assert_eq!(site.counted(|| instance.fetch(Request::get("/login"))).1, [2, 0, 0]);
    // A warm instance asks for nothing.
    let (response, asked) = site.counted(|| bearer(&site, &token(key_a())));
    assert_eq!((response.status, asked), (200, [0; 3]));
}

fn redirects() -> impl Iterator<Item = Fault> {
    [(301, "301"), (302, "302"), (307, "307"), (308, "308")]
        .into_iter()
        .map(|(code, what)| Fault::unreachable(what, Ok(status(code))))
}

#[test]
fn f15_a_redirect_when_an_instance_starts() {
    cold(redirects());
}

#[test]
fn f15_a_redirect_while_an_instance_is_at_work() {
    warm(redirects());
}

#[test]
fn f16_valid_documents_count_whatever_their_content_type() {
    for content_type in [Some("text/plain"), Some("application/octet-stream"), None] {
        let site = Site::new();
        for endpoint in [Endpoint::Discovery, Endpoint::Keys] {
            let (provider, content_type) = (site.provider.clone(), content_type.map(String::from));
            site.serve(&site.provider.url(endpoint), move |request| {
                let answer = provider.receive(endpoint, request)?;
                Ok(Incoming { content_type: content_type.clone(), ..answer })
            });
        }
        let cold = site.cold();
        assert_eq!(site.counted(|| bearer(&cold, &token(key_a()))).1, [1, 1, 0], "{content_type:?}");
        site.sleep_s(601);
        for instance in [&cold, &site.deployment] {
            assert_eq!(bearer(instance, &token(key_a())).status, 200, "{content_type:?}");
            assert_user(&session(instance, &site.browser), false, "beside it");
            assert_eq!(instance.log_in(&mut Browser::default()).sets(COOKIE), Some(true), "{content_type:?}");
        }
    }
}

/// The documents of another issuer, and those that lead to an unprotected address.
fn misleading() -> [(&'static str, serde_json::Value); 4] {
    [
        ("discovery_issuer_mismatch", serde_json::json!({ "issuer": "https://evil.example/" })),
        ("discovery_issuer_mismatch", serde_json::json!({ "issuer": "https://tenant.example.com" })),
        ("discovery_invalid", serde_json::json!({ "jwks_uri": "http://keys.example.com/jwks" })),
        ("discovery_invalid", serde_json::json!({ "jwks_uri": "file:///etc/passwd" })),
    ]
}

#[test]
fn f17_a_misleading_discovery_document_when_an_instance_starts() {
    for (code, metadata) in misleading() {
        let site = Site::new();
        site.provider.set().metadata = metadata;
        let instance = site.cold();
        let (response, asked) = site.counted(|| bearer(&instance, &token(key_a())));
        assert_unavailable(&response, (503, code), 1, code);
        assert_eq!(asked, [1, 0, 0], "{code}: the address is not asked");
        assert_user(&session(&instance, &site.browser), false, code);
        let login = site.cold().fetch(Request::get("/login"));
        match code {
            "discovery_issuer_mismatch" => assert_unavailable(&login, (502, code), 5, code),
            // Its endpoints can be used.
            _ => assert_eq!(login.status, 302, "{code}"),
        }
        site.provider.set().metadata = serde_json::json!({});
        site.sleep_s(1);
        assert_eq!(bearer(&instance, &token(key_a())).status, 200, "{code}");
        assert_eq!(instance.log_in(&mut Browser::default()).sets(COOKIE), Some(true), "{code}");
    }
}

#[test]
fn f17_a_misleading_discovery_document_while_an_instance_is_at_work() {
    for (code, metadata) in misleading() {
        let site = Site::new();
        site.provider.set().metadata = metadata;
        // The document is read again after an hour.
        site.sleep_s(3601);
        let (response, asked) = site.counted(|| bearer(&site, &token(key_a())));
        // The keys of the last good document, or the last good keys.
        let keys = usize::from(code == "discovery_issuer_mismatch");
        assert_eq!((response.status, asked), (200, [1, keys, 0]), "{code}");
        assert_user(&session(&site, &site.browser), false, code);
        assert_eq!(
            site.log_in(&mut Browser::default()).sets(COOKIE),
            Some(true),
            "{code}: the last endpoints are used"
        );
        site.provider.set().metadata = serde_json::json!({});
        site.sleep_s(60);
        assert_eq!(bearer(&site, &token(key_a())).status, 200, "{code}");
    }
}
