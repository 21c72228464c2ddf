//! Logins without an API, and the credentials that a route accepts.

use serde_json::{Value, json};
use support::browser::{Browser, Request};
use support::deployment::{COOKIE, Deployment, config, oidc_config, with};
use support::provider::{Endpoint, form};
use support::{AUDIENCE, ISSUER, Mint, key_a};

/// Removes the audience, and the routes that need one.
fn without_audience(mut config: Value) -> Value {
    config["authorizer"].as_object_mut().unwrap().remove("audience");
    config["paths"].as_array_mut().unwrap().retain(|route| route["path"] != "/things");
    config
}

/// Returns the parameters of the authorization request for a login.
fn asked(deployment: &Deployment, link: &str) -> std::collections::BTreeMap<String, String> {
    form(deployment.fetch(Request::get(link).page()).location().split_once('?').unwrap().1)
}

/// Returns a bearer token that is valid for the tests' audience.
fn token() -> String {
    Mint::access(key_a()).text()
}

/// A route with these keys.
fn route(path: &str, more: &Value) -> Value {
    let mut route = json!({ "method": "GET", "path": path, "integration": { "type": "respond", "body": "yours" } });
    for (name, value) in more.as_object().unwrap() {
        route[name] = value.clone();
    }
    route
}

fn with_routes(mut config: Value, routes: &[Value]) -> Value {
    config["paths"].as_array_mut().unwrap().extend_from_slice(routes);
    config
}

#[test]
fn without_an_audience_sessions_open_routes_and_no_audience_is_requested() {
    for config in [config(), oidc_config()] {
        let deployment = Deployment::of(&without_audience(config));
        deployment.provider.set().access = std::rc::Rc::new(|_| "opaque".into());
        let parameters = asked(&deployment, "/login");
        assert!(!parameters.contains_key("audience") && !parameters.contains_key("resource"), "{parameters:?}");
        let mut browser = deployment.logged_in();
        let app = deployment.send(&mut browser, Request::get("/app"));
        assert_eq!(app.origin_header("x-user"), Some("user-1"));
        assert_eq!(app.origin_header("x-scope"), None);
        let token = deployment.send(&mut browser, Request::get("/token"));
        assert_eq!(token.origin_header("x-token"), Some("opaque"));
        assert_eq!(deployment.send(&mut browser, Request::get("/userinfo")).status, 200);
        // The access token expires; the login is refreshed.
        deployment.sleep_s(3600);
        assert_eq!(deployment.send(&mut browser, Request::get("/app")).origin_header("x-user"), Some("user-1"));
        assert_eq!(deployment.provider.requests(Endpoint::Token), 2);
        assert!(deployment.lines().is_empty(), "{:?}", deployment.lines());
    }
}

#[test]
fn without_an_audience_no_bearer_token_is_accepted() {
    let deployment = Deployment::of(&without_audience(config()));
    let browser = deployment.logged_in();
    let own = deployment.session(&browser).tokens().access.clone();
    for token in [token(), own, Mint::access(key_a()).without("aud").text(), "opaque".into()] {
        for path in ["/app", "/maybe", "/token", "/userinfo"] {
            let response = deployment.fetch(Request::get(path).bearer(&token));
            assert_eq!(response.outcome(), (401, "audience_not_configured".into()), "{path}");
            let challenge = response.header("www-authenticate").unwrap();
            assert!(challenge.contains(r#"error="invalid_token""#), "{challenge}");
            // A session beside it does not count.
            let both = Request::get(path).bearer(&token).cookie(&browser.header(deployment.now()));
            assert_eq!(deployment.fetch(both).outcome(), (401, "audience_not_configured".into()), "{path}");
        }
    }
    assert_eq!(deployment.provider.requests(Endpoint::Keys), 1, "no token causes a fetch");
    let anonymous = deployment.fetch(Request::get("/app"));
    assert_eq!(anonymous.outcome(), (401, "login_required".into()));
    assert_eq!(anonymous.header("www-authenticate"), Some(r#"Bearer realm="edgeward""#));
    let page = deployment.fetch(Request::get("/app").page());
    assert_eq!(page.location(), "https://app.example.com/login?return_to=%2Fapp");
}

#[test]
fn the_audience_of_one_route_opens_no_other() {
    let routes = [route("/api", &json!({ "audience": AUDIENCE }))];
    let deployment = Deployment::of(&with_routes(without_audience(config()), &routes));
    assert_eq!(deployment.fetch(Request::get("/api").bearer(&token())).status, 200);
    let app = deployment.fetch(Request::get("/app").bearer(&token()));
    assert_eq!(app.outcome(), (401, "audience_not_configured".into()));
    let other = Mint::access(key_a()).claim("aud", "https://other.example.com").text();
    assert_eq!(deployment.fetch(Request::get("/api").bearer(&other)).outcome(), (401, "audience_mismatch".into()));
    // The session's access token is for no API.
    let browser = deployment.logged_in();
    let api = deployment.fetch(Request::get("/api").cookie(&browser.header(deployment.now())));
    assert_eq!(api.status, 200, "the provider of the tests issues tokens for this audience in any case");
    deployment.provider.set().access = std::rc::Rc::new(|_| "opaque".into());
    let browser = deployment.logged_in();
    let api = deployment.fetch(Request::get("/api").cookie(&browser.header(deployment.now())));
    assert_eq!(api.outcome(), (403, "audience_not_allowed".into()));
}

#[test]
fn the_audience_is_requested_by_the_configured_parameter() {
    for (config, parameter, expected) in [
        (config(), None, Some("audience")),
        (oidc_config(), None, Some("resource")),
        (config(), Some("resource"), Some("resource")),
        (oidc_config(), Some("audience"), Some("audience")),
        (oidc_config(), Some("none"), None),
        (config(), Some("none"), None),
    ] {
        let deployment = Deployment::of(&with(config, &json!({ "authorizer": { "audience_parameter": parameter } })));
        let parameters = asked(&deployment, "/login");
        for name in ["audience", "resource"] {
            let value = (expected == Some(name)).then_some(AUDIENCE);
            assert_eq!(parameters.get(name).map(String::as_str), value, "{parameter:?} {name}");
        }
        // Not requesting an audience does not make the gateway accept tokens for another one.
        let other = Mint::access(key_a()).claim("aud", "https://other.example.com").text();
        let response = deployment.fetch(Request::get("/app").bearer(&other));
        assert_eq!(response.outcome(), (401, "audience_mismatch".into()));
    }
}

#[test]
fn configured_parameters_are_sent_and_links_cannot_override_them() {
    let parameters = json!({ "prompt": "select_account", "access_type": "offline", "a b": "c&d=é" });
    let config = with(config(), &json!({ "authorizer": { "authorization_params": parameters } }));
    let deployment = Deployment::of(&config);
    let link = "/login?prompt=none&access_type=online&screen_hint=signup&a%20b=x";
    let response = deployment.fetch(Request::get(link).page());
    let query = response.location().split_once('?').unwrap().1;
    for (name, times) in [("prompt=", 1), ("access_type=", 1), ("a%20b=", 1)] {
        assert_eq!(query.split('&').filter(|pair| pair.starts_with(name)).count(), times, "{query}");
    }
    let asked = form(query);
    for (name, value) in
        [("prompt", "select_account"), ("access_type", "offline"), ("a b", "c&d=é"), ("screen_hint", "signup")]
    {
        assert_eq!(asked[name], value, "{name}");
    }
}

#[test]
fn a_login_that_names_no_page_returns_to_the_configured_one() {
    let config = with(config(), &json!({ "login": { "default_return_to": "/app?tab=1" } }));
    let deployment = Deployment::of(&config);
    for (login, expected) in [
        ("/login", "/app?tab=1"),
        ("/login?return_to=", "/app?tab=1"),
        ("/login?return_to=https%3A%2F%2Fevil.example", "/app?tab=1"),
        ("/login?return_to=%2Flogout", "/app?tab=1"),
        ("/login?return_to=%2Fmaybe", "/maybe"),
        ("/login?return_to=%2F", "/"),
    ] {
        let mut browser = Browser::default();
        let callback = deployment.begin(&mut browser, login);
        assert_eq!(deployment.open(&mut browser, &callback).location(), expected, "{login}");
    }
}

#[test]
fn a_route_for_sessions_refuses_bearer_tokens() {
    let routes = [
        route("/account", &json!({ "credentials": "session" })),
        route("/hello", &json!({ "credentials": "session", "auth": "optional" })),
    ];
    let deployment = Deployment::of(&with_routes(config(), &routes));
    let browser = deployment.logged_in();
    let cookies = browser.header(deployment.now());
    for path in ["/account", "/hello"] {
        assert_eq!(deployment.fetch(Request::get(path).cookie(&cookies)).status, 200);
        for request in [Request::get(path), Request::get(path).cookie(&cookies)] {
            let response = deployment.fetch(request.bearer(&token()));
            assert_eq!(response.outcome(), (401, "bearer_not_accepted".into()), "{path}");
        }
    }
    assert_eq!(deployment.fetch(Request::get("/account")).outcome(), (401, "login_required".into()));
    assert_eq!(deployment.fetch(Request::get("/account").page()).status, 302);
    assert_eq!(deployment.fetch(Request::get("/hello")).status, 200);
}

#[test]
fn a_route_for_bearer_tokens_ignores_sessions_and_never_sends_to_the_login() {
    let routes = [
        route("/machine", &json!({ "credentials": "bearer" })),
        route(
            "/greet",
            &json!({ "credentials": "bearer", "auth": "optional", "integration": {
            "type": "http_proxy", "url": "https://origin.example.com", "headers": { "X-User": "$claims.sub" } } }),
        ),
    ];
    let deployment = Deployment::of(&with_routes(config(), &routes));
    let browser = deployment.logged_in();
    let cookies = browser.header(deployment.now());
    for request in [Request::get("/machine"), Request::get("/machine").page()] {
        for request in
            [request.clone(), request.cookie(&cookies), Request::get("/machine").cookie("__Host-edgeward=1.x")]
        {
            let is_page = request.value("sec-fetch-mode").is_some();
            let response = deployment.fetch(request);
            assert_eq!(response.status, 401);
            // Browser navigations get a page, which leads to no login either.
            if is_page {
                assert!(
                    response.body.contains("<code>token_missing</code>") && !response.body.contains("/login"),
                    "{}",
                    response.body
                );
            } else {
                assert_eq!(response.outcome(), (401, "token_missing".into()));
                assert_eq!(response.json()["login"], Value::Null);
            }
            assert_eq!(response.sets(COOKIE), None);
        }
    }
    assert_eq!(deployment.fetch(Request::get("/machine").bearer(&token()).cookie(&cookies)).status, 200);
    let anonymous = deployment.fetch(Request::get("/greet").cookie(&cookies));
    assert_eq!(anonymous.origin_header("x-user"), None, "a session is no credential here");
}

#[test]
fn spellings_of_routes_that_accept_other_credentials_are_refused() {
    let routes = [
        route("/{*rest}", &json!({})),
        route("/web/a", &json!({ "credentials": "session" })),
        route("/api/a", &json!({ "credentials": "bearer" })),
    ];
    let deployment = Deployment::of(&with_routes(config(), &routes));
    for path in ["/web%2Fa", "//web/a", "/web/A", "/api%2Fa", "/API/a"] {
        assert_eq!(deployment.fetch(Request::get(path)).outcome(), (400, "path_ambiguous".into()), "{path}");
    }
    // A trailing slash alone: the stricter of the two routes decides.
    let both = [route("/x", &json!({})), route("/x/{*rest}", &json!({ "credentials": "session" }))];
    let deployment = Deployment::of(&with_routes(config(), &both));
    let response = deployment.fetch(Request::get("/x/").bearer(&token()));
    assert_eq!(response.outcome(), (401, "bearer_not_accepted".into()));
}

/// The gateway of a site whose only route is the callback.
fn callback_only() -> Value {
    let mut config = without_audience(config());
    config["paths"].as_array_mut().unwrap().retain(|route| route["path"] == "/callback");
    config
}

#[test]
fn a_site_with_only_a_callback_has_a_login_of_its_own() {
    const LOGIN: &str = "/.well-known/edgeward/login";
    let page = route("/account", &json!({}));
    let everything = route("/{*rest}", &json!({}));
    for config in [callback_only(), with_routes(callback_only(), &[page.clone(), everything])] {
        let deployment = Deployment::of(&config);
        let mut browser = Browser::default();
        let callback = deployment.begin(&mut browser, &format!("{LOGIN}?return_to=/account"));
        let response = deployment.open(&mut browser, &callback);
        assert_eq!((response.status, response.location(), response.sets(COOKIE)), (302, "/account", Some(true)));
        // It obeys the rules of every login.
        assert_eq!(deployment.fetch(Request::get(LOGIN).script()).outcome(), (400, "navigation_required".into()));
        assert!(deployment.fetch(Request::new("HEAD", LOGIN)).cookies().is_empty());
        assert!(deployment.fetch(Request::get(LOGIN).prefetch()).cookies().is_empty());
        assert_eq!(deployment.fetch(Request::new("DELETE", LOGIN)).status, 405);
        let home = deployment.begin(&mut browser, &format!("{LOGIN}?return_to={LOGIN}"));
        assert_eq!(deployment.open(&mut browser, &home).location(), "/");
    }
    let deployment = Deployment::of(&with_routes(callback_only(), &[page]));
    let to_login = deployment.fetch(Request::get("/account").page());
    assert_eq!(to_login.location(), format!("https://app.example.com{LOGIN}?return_to=%2Faccount"));
    assert_eq!(deployment.fetch(Request::get("/account")).json()["login"], LOGIN);
}

#[test]
fn a_site_with_a_login_route_has_no_other() {
    let deployment = Deployment::of(&without_audience(config()));
    assert_eq!(deployment.fetch(Request::get("/.well-known/edgeward/login").page()).status, 404);
}

#[test]
fn an_administrator_revokes_sessions_by_their_issuer() {
    let revoke = json!({
        "method": "POST", "path": "/revoke", "roles": ["admin"], "integration": { "type": "revoke" }
    });
    let mut config = with_routes(without_audience(config()), &[revoke]);
    config["authorizer"]["roles_claim"] = json!("roles");
    let deployment = Deployment::of(&config);
    deployment.provider.set().id = std::rc::Rc::new(|id| id.claim("roles", json!(["admin"])));
    deployment.shared(|shared| shared.are_bound = true);
    let mut browser = deployment.logged_in();
    for (issuer, status) in [("https://elsewhere.example/", 400), (ISSUER, 204)] {
        let body = json!({ "jti": "t-1", "iss": issuer }).to_string();
        deployment.shared(|shared| shared.bodies.push_back(body.into()));
        let request = Request::post("/revoke").header("content-type", "application/json").script();
        let response = deployment.send(&mut browser, request);
        assert_eq!(response.status, status, "{issuer}: {}", response.body);
    }
}
