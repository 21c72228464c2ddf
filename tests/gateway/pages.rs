//! Pages for browser navigations, problem documents for API clients.

use edgeward::gateway::{Answer, config_invalid};
use edgeward::http::{Reply, RequestHead};
use serde_json::{Value, json};
use support::host::VirtualHost;

use crate::{
    ALLOWED, Headers, Login, ORIGIN, bearer, config, config_with_cors, forward, gateway, handle, reply, token,
};

const NAVIGATION: [(&str, &str); 2] = [("sec-fetch-mode", "navigate"), ("accept", "text/html,*/*;q=0.8")];

fn is_page(reply: &Reply) -> bool {
    let is_page = reply.header("content-type") == Some("text/html; charset=utf-8");
    if is_page {
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(reply.header("cache-control"), Some("private, no-store"));
        assert!(reply.body.starts_with("<!doctype html>\n<html lang=\"") && !reply.body.contains("<script"));
    } else {
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    }
    is_page
}

/// Returns the texts and addresses of the links.
fn links(reply: &Reply) -> Vec<(String, String)> {
    let parts = reply.body.split("<a href=\"").skip(1);
    let link = |part: &str| {
        let (address, rest) = part.split_once('"').unwrap();
        let text = rest.split_once('>').unwrap().1.split('<').next().unwrap();
        (text.to_owned(), address.replace("&amp;", "&"))
    };
    parts.map(link).collect()
}

fn pairs(links: &[(&str, &str)]) -> Vec<(String, String)> {
    links.iter().map(|(text, address)| ((*text).into(), (*address).into())).collect()
}

#[test]
fn every_refusal_is_a_page_for_browser_navigations_and_a_document_for_api_clients() {
    let gateway = gateway(&config_with_cors());
    let cookie = Login::new().cookie();
    let session = ("cookie", cookie.as_str());
    let none = ("x-nothing", "");
    for (method, target, header, status, title) in [
        ("GET", "/nowhere", none, 404, "Page not found"),
        ("POST", "/page", none, 405, "This does not work here"),
        ("GET", "/open/%2e%2e/x", none, 400, "This address does not work"),
        ("GET", "/open%2Fx", none, 400, "This address does not work"),
        ("GET", "/open/x", ("host", "app.example.com/admin"), 400, "This address does not work"),
        ("GET", "/page?access_token=x", none, 400, "This address does not work"),
        ("POST", "/api/x", none, 401, "Your form was not sent"),
        ("GET", "/userinfo", none, 302, ""),
        ("GET", "/admin", session, 403, "You cannot see this page"),
        ("POST", "/api/x", ("authorization", "Bearer x y"), 400, "This address does not work"),
        ("GET", "/cb?state=x&code=y", none, 400, "Login failed"),
        ("POST", "/cb", none, 405, "This does not work here"),
    ] {
        let what = format!("{method} {target} {header:?}");
        let [page, document] = [&NAVIGATION[..], &[]].map(|headers| {
            let headers = [headers, &[header, ALLOWED, ("sec-fetch-site", "same-origin")]].concat();
            reply(&gateway, method, target, &headers)
        });
        if status == 302 {
            assert_eq!((page.status, document.status), (302, 401), "{what}");
            continue;
        }
        assert_eq!((page.status, document.status), (status, status), "{what}");
        assert!(is_page(&page) && !is_page(&document), "{what}");
        assert!(page.body.contains(&format!("<h1>{title}</h1>")), "{what}: {}", page.body);
        // Everything but the body is the same.
        let others = |reply: &Reply| {
            let own = [
                "content-type",
                "cache-control",
                "content-security-policy",
                "referrer-policy",
                "x-content-type-options",
            ];
            let mut others = reply.headers.clone();
            others.retain(|(name, _)| !own.contains(&name.as_ref()));
            others
        };
        assert_eq!(others(&page), others(&document), "{what}");
        assert!(page.header("access-control-allow-origin").is_some(), "{what}");
    }
}

#[test]
fn only_navigations_get_pages() {
    let gateway = gateway(&config());
    for (headers, expected) in [
        (&[][..], false),
        (&[("accept", "*/*")], false),
        (&[("accept", "application/json")], false),
        (&[("accept", "text/html")], true),
        (&[("accept", "application/xhtml+xml,TEXT/HTML;q=0.9")], true),
        (&[("accept", "text/html"), ("sec-fetch-mode", "cors")], false),
        (&[("accept", "text/html"), ("sec-fetch-mode", "no-cors")], false),
        (&[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")], false),
        (&[("accept", "text/html"), ("sec-purpose", "prefetch")], false),
        (&[("sec-fetch-mode", "websocket"), ("upgrade", "websocket")], false),
        (&[("accept", "text/event-stream")], false),
        (&[("sec-fetch-mode", "navigate")], true),
        (&[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], true),
    ] {
        for (method, target) in [("GET", "/nowhere"), ("POST", "/nowhere"), ("DELETE", "/page")] {
            assert_eq!(is_page(&reply(&gateway, method, target, headers)), expected, "{method} {headers:?}");
        }
    }
}

#[test]
fn a_fixed_response_of_a_route_is_never_replaced() {
    let mut config = config();
    config["paths"].as_array_mut().unwrap().push(json!({
        "method": "GET", "path": "/problem", "auth": "none", "integration": {
            "type": "respond", "status": 404, "body": { "code": "not_found" },
            "headers": { "Content-Type": "application/problem+json" } }
    }));
    let reply = reply(&gateway(&config), "GET", "/problem", &NAVIGATION);
    assert_eq!((reply.status, reply.body.as_str()), (404, r#"{"code":"not_found"}"#));
}

#[test]
fn an_origin_that_does_not_respond_is_a_page_with_another_try() {
    let gateway = gateway(&config_with_cors());
    let head = |method, url| RequestHead {
        method,
        url,
        header: &|name| NAVIGATION.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned()),
    };
    let url = format!("{ORIGIN}/open/x?a=b&c");
    let page = forward(&gateway, "GET", "/open/x", &[ALLOWED]).unreachable(&head("GET", &url));
    assert!(is_page(&page) && page.status == 502 && page.body.contains("origin_unreachable"), "{}", page.body);
    assert_eq!(links(&page), pairs(&[("Try again", "/open/x?a=b&c")]));
    assert!(page.header("access-control-allow-origin").is_some());
    let page = forward(&gateway, "POST", "/open/x", &[]).unreachable(&head("POST", &url));
    assert_eq!(links(&page), [], "nothing sends a form twice");
    let page = forward(&gateway, "GET", "/service/x", &[]).without_service(&head("GET", &url));
    assert!(is_page(&page) && page.status == 503 && page.body.contains("config_invalid"), "{}", page.body);
}

#[test]
fn without_keys_there_is_a_page() {
    let mut config = config();
    config["authorizer"].as_object_mut().unwrap().remove("jwks");
    config["authorizer"]["token_from"] = json!([{ "cookie": "CF_Authorization" }]);
    let cookie = format!("CF_Authorization={}", token().text());
    let headers = [&NAVIGATION[..], &[("cookie", cookie.as_str()), ("sec-fetch-site", "none")]].concat();
    let gateway = gateway(&config);
    let Answer::Reply(page) = handle(&gateway, &VirtualHost::default(), "GET", "/api/x", &headers) else { panic!() };
    assert!(page.status == 503 && is_page(&page) && page.header("retry-after").is_some());
    assert!(page.body.contains("Login is not available right now"), "{}", page.body);
}

#[test]
fn the_page_of_a_missing_right_names_it_and_leads_on() {
    let mut config = config();
    config["authorizer"]["roles_claim"] = json!("groups");
    config["paths"].as_array_mut().unwrap().extend([
        json!({ "method": "GET", "path": "/role", "roles": ["<chief> & co"], "integration": { "type": "respond" } }),
        json!({ "method": "GET", "path": "/", "roles": ["chief"], "integration": { "type": "respond" } }),
    ]);
    let gateway = gateway(&config);
    let cookie = Login::new().cookie();
    let ask = |target: &str, more: Headers<'_>| {
        let headers = [&NAVIGATION[..], &[("cookie", cookie.as_str())], more].concat();
        let page = reply(&gateway, "GET", target, &headers);
        assert!(page.status == 403 && is_page(&page) && page.header("www-authenticate").is_some());
        page
    };
    let page = ask("/admin?a=b", &[]);
    assert!(page.body.contains("<p>Permission needed: <code>admin</code></p>"), "{}", page.body);
    let switch = ("Log in as another user", "/login?return_to=%2Fadmin%3Fa%3Db&prompt=login");
    let (logout, home) = (("Log out", "/logout"), ("Start page", "/"));
    assert_eq!(links(&page), pairs(&[switch, logout, home]));
    assert!(ask("/role", &[]).body.contains("<p>Role needed: <code>&lt;chief&gt; &amp; co</code></p>"));
    let root = ask("/", &[]);
    assert_eq!(links(&root), pairs(&[("Log in as another user", "/login?return_to=%2F&prompt=login"), logout]));
    // Back leads to pages of this site only.
    for (referrer, back) in [
        ("https://app.example.com/open/x?y=z", Some("/open/x?y=z")),
        ("https://app.example.com/open/\"><script>", Some("/open/%22%3E%3Cscript%3E")),
        ("https://app.example.com/admin?a=b", None),
        ("https://app.example.com/cb?code=x", None),
        ("https://app.example.com//evil.example", None),
        ("https://app.example.com.evil.example/", None),
        ("https://app.example.com@evil.example/", None),
        ("https://app.example.com:444/x", None),
        ("http://app.example.com/open/x", None),
        ("javascript:alert(1)", None),
        ("", None),
    ] {
        let page = ask("/admin?a=b", &[("referer", referrer)]);
        let expected = back.map(|back| ("Back", back));
        let expected: Vec<_> = [switch, logout].into_iter().chain(expected).chain([home]).collect();
        assert_eq!(links(&page), pairs(&expected), "{referrer}");
    }
    // A token in the header is no login, but browsers send none.
    assert_eq!(reply(&gateway, "GET", "/admin", &[("authorization", &bearer(&token()))]).status, 403);
}

#[test]
fn the_page_of_a_form_without_a_login_opens_the_login_in_a_new_tab() {
    let headers = [&NAVIGATION[..], &[("sec-fetch-site", "same-origin")]].concat();
    let page = reply(&gateway(&config()), "POST", "/api/form?x=y", &headers);
    assert!(page.status == 401 && is_page(&page));
    assert_eq!(links(&page), pairs(&[("Log in in a new tab", "/login")]));
    assert!(page.body.contains("<a href=\"/login\" target=\"_blank\" rel=\"noopener\">"), "{}", page.body);
    assert!(!page.body.contains(" again"), "the user may never have been logged in");
}

#[test]
fn the_appearance_is_configured() {
    let mut config = config();
    config["pages"] = json!({
        "name": "Kite & Co", "logo": "https://cdn.example.com/logo.svg", "colors": { "accent": "#FD0", "text": "#123456" },
        "dark_colors": { "background": "#000" },
        "texts": { "de": { "not_found.title": "Nichts <da>", "link.home": "Heim" }, "fr": { "not_found.title": "Rien" } }
    });
    let page = |config: &Value, language: &str| {
        let headers = [&NAVIGATION[..], &[("accept-language", language)]].concat();
        let page = reply(&gateway(config), "GET", "/nowhere", &headers);
        assert!(is_page(&page));
        page
    };
    let german = page(&config, "de-CH, en;q=0.5");
    for part in [
        "<html lang=\"de\">",
        "<title>Nichts &lt;da&gt; · Kite &amp; Co</title>",
        "<h1>Nichts &lt;da&gt;</h1>",
        "Tippfehler",
        "<img alt=\"\" src=\"https://cdn.example.com/logo.svg\">Kite &amp; Co",
        ">Heim</a>",
        "@media not (prefers-color-scheme:dark){:root{--ink:#123456;--mark:#FD0;--on:#000}}@media(prefers-color-scheme:dark){:root{--back:#000;}}",
    ] {
        assert!(german.body.contains(part), "{part} in {}", german.body);
    }
    assert!(
        german
            .header("content-security-policy")
            .unwrap()
            .contains("; img-src 'self' https://cdn.example.com/logo.svg; ")
    );
    assert!(page(&config, "fr").body.contains("<h1>Rien</h1><p>There is nothing at this address."));
    assert!(page(&config, "it").body.contains("<h1>Page not found</h1>"));
    config["pages"]["language"] = json!("fr");
    assert!(page(&config, "de").body.contains("<html lang=\"fr\">"));
}

#[test]
fn an_invalid_configuration_is_a_page_with_the_problems_that_the_host_passes() {
    let header = |name: &str| NAVIGATION.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
    let head = RequestHead { method: "GET", url: "https://app.example.com/a?b=c", header: &header };
    let page = config_invalid(&head, &[]);
    assert!(page.status == 503 && is_page(&page) && !page.body.contains("<li>"));
    assert_eq!(links(&page), pairs(&[("Try again", "/a?b=c")]));
    let page = config_invalid(&head, &["error at <x>: y".into(), "error at z: \"".into()]);
    assert!(page.body.contains("<ul><li>error at &lt;x&gt;: y</li><li>error at z: &quot;</li></ul>"), "{}", page.body);
}

#[test]
fn a_request_is_local_only_if_host_and_client_are_loopback() {
    for (url, client, forwarded, expected) in [
        ("http://localhost:8787/", Some("127.0.0.1"), None, true),
        ("http://127.0.0.1:8787/", Some("::1"), None, true),
        ("http://[::1]:8787/", Some("127.0.0.1"), None, true),
        ("http://localhost:8787/", None, None, false),
        ("http://localhost:8787/", Some("192.168.0.7"), None, false),
        ("http://localhost:8787/", Some("127.0.0.1, 203.0.113.7"), None, false),
        ("http://localhost:8787/", Some("127.0.0.1"), Some("203.0.113.7"), false),
        ("https://app.example.com/", Some("127.0.0.1"), None, false),
        ("http://localhost.example.com/", Some("127.0.0.1"), None, false),
        ("http://127.0.0.1.example.com/", Some("127.0.0.1"), None, false),
        ("http://localhost@evil.example/", Some("127.0.0.1"), None, false),
    ] {
        let header = |name: &str| match name {
            "cf-connecting-ip" => client.map(String::from),
            "x-forwarded-for" => forwarded.map(String::from),
            _ => None,
        };
        assert_eq!(RequestHead { method: "GET", url, header: &header }.is_local(), expected, "{url} {client:?}");
    }
}
