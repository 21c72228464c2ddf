//! `paths`: the routes.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::authorizer::Authorizer;
use super::overlaps;
use super::reader::{Field, Reader, Section};
use super::redirects;
use crate::gateway::Routes;
use crate::gateway::agreement::RouteTable;
use crate::gateway::headers::{HeaderTemplates, HeaderValue};
use crate::gateway::index::RouteIndex;
use crate::gateway::pattern::{InvalidPattern, Pattern};
use crate::gateway::route::{Auth, Integration, Methods, OnForbidden, OnUnauthenticated, Route};
use crate::http::is_token;
use crate::http::path::RequestPath;
use crate::json::Value;
use crate::jwt::{Requirements, Roles};
use crate::url::HttpUrl;

const KEYS: &[&str] = &[
    "method",
    "path",
    "auth",
    "scopes",
    "permissions",
    "roles",
    "audience",
    "organizations",
    "on_unauthenticated",
    "on_forbidden",
    "integration",
];

/// Names that Auth0 keeps for OpenID Connect; no API can define permissions or scopes of these names.
const RESERVED_PERMISSIONS: &[&str] = &[
    "address",
    "created_at",
    "email",
    "email_verified",
    "family_name",
    "given_name",
    "identities",
    "name",
    "nickname",
    "offline_access",
    "openid",
    "phone",
    "picture",
    "profile",
];

pub(super) fn read(reader: &mut Reader<'_>, root: &Section<'_>, authorizer: Option<&Authorizer>) -> Routes {
    let routes = read_routes(reader, root, authorizer);
    let (places, routes): (Vec<String>, Vec<Route>) = routes.into_iter().unzip();
    let index = RouteIndex::new(&routes, reader.unicode);
    overlaps::check(reader, &index, &routes, &places);
    check_login(reader, &routes, &places, authorizer);
    let table = RouteTable::new(index, &routes);
    redirects::check(reader, &table, &routes, &places, authorizer);
    Routes { table, routes }
}

/// The routes that are valid, each with its place.
fn read_routes(reader: &mut Reader<'_>, root: &Section<'_>, authorizer: Option<&Authorizer>) -> Vec<(String, Route)> {
    let mut routes = Vec::new();
    let Some(field) = root.get("paths") else {
        reader.error("paths", "is missing: a list of routes");
        return routes;
    };
    let Some(array) = field.value.as_array() else {
        reader.error(&field.path, "must be a list of routes");
        return routes;
    };
    for (index, value) in array.iter().enumerate() {
        let field = Field { path: format!("{}[{index}]", field.path), value };
        let Some(section) = reader.section(&field, KEYS) else { continue };
        if let Some(route) = read_route(reader, &section, authorizer) {
            routes.push((section.path.clone(), route));
        }
    }
    if array.iter().next().is_none() {
        reader.error(&field.path, "must not be empty");
    }
    routes
}

fn read_route(reader: &mut Reader<'_>, section: &Section<'_>, authorizer: Option<&Authorizer>) -> Option<Route> {
    let methods = read_methods(reader, section);
    let pattern = read_pattern(reader, section);
    let integration = read_integration(reader, section);
    let default = match &integration {
        Some(integration) if integration.is_login_flow() => Auth::None,
        _ => Auth::Required,
    };
    let auth = match section.get("auth") {
        None => default,
        Some(field) => match field.value {
            Value::Bool(true) => Auth::Required,
            Value::Bool(false) => Auth::None,
            _ => {
                let choices = [("required", Auth::Required), ("optional", Auth::Optional), ("none", Auth::None)];
                reader.choice(&field, &choices).unwrap_or(Auth::Required)
            }
        },
    };
    let mut requirements = read_requirements(reader, section, authorizer);
    if auth == Auth::None && !requirements.is_empty() {
        reader
            .error(&section.path_of("auth"), "is \"none\", but the route demands rights, which only a token can give");
    }
    if let Some(authorizer) = authorizer.filter(|_| auth != Auth::None && requirements.organizations.is_empty()) {
        // Demanded of every token anyway; here so that a refusal names them.
        requirements.organizations.clone_from(&authorizer.organizations);
    }
    if auth == Auth::None
        && let Some(headers) = integration.as_ref().and_then(Integration::headers)
        && headers.iter().any(|(_, value)| value.needs_caller())
    {
        reader.error(
            &section.path_of("integration.headers"),
            "use $claims or $token, but the route has no authentication",
        );
    }
    let on_unauthenticated =
        section.get("on_unauthenticated").and_then(|field| read_on_unauthenticated(reader, &field));
    let on_forbidden = section.get("on_forbidden").and_then(|field| read_on_forbidden(reader, &field));
    Some(Route {
        methods: methods?,
        pattern: pattern?,
        auth,
        requirements,
        on_unauthenticated: on_unauthenticated.unwrap_or_default(),
        on_forbidden: on_forbidden.unwrap_or_default(),
        integration: integration?,
        login_step: None,
    })
}

fn read_methods(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Methods> {
    let Some(field) = section.get("method") else {
        reader.error(&section.path_of("method"), "is missing: a method, a list of methods, or ANY");
        return None;
    };
    let names = reader.strings(&field)?;
    if names.is_empty() {
        reader.error(&field.path, "must not be empty");
        return None;
    }
    if names.iter().any(|name| name.eq_ignore_ascii_case("ANY")) {
        return Some(Methods::Any);
    }
    let mut methods = Vec::new();
    for name in names {
        let name = name.to_ascii_uppercase();
        if matches!(name.as_str(), "CONNECT" | "TRACE" | "TRACK")
            || !name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
        {
            reader.error(&field.path, "must hold HTTP methods other than CONNECT and TRACE");
            return None;
        }
        methods.push(name);
    }
    Some(Methods::Only(methods))
}

fn read_pattern(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Pattern> {
    let Some(field) = section.get("path") else {
        reader.error(&section.path_of("path"), "is missing");
        return None;
    };
    let text = reader.text(&field)?;
    match Pattern::parse(&text, reader.unicode) {
        // Problems show it as it is written: what a placeholder stands for may be secret.
        Ok(pattern) => Some(pattern.shown_as(field.value.as_str().unwrap_or_default())),
        Err(reason) => {
            let message = match reason {
                InvalidPattern::Path(reason) => reason.detail(),
                InvalidPattern::EmptySegment => "The path has two slashes in a row.",
                InvalidPattern::Parameter => "The path has a semicolon.",
                InvalidPattern::Separator => "The path has a percent-encoded slash or backslash.",
                InvalidPattern::Query => "The path has a percent-encoded ? or #.",
                InvalidPattern::DoubleEncoding => "The path is percent-encoded twice.",
                InvalidPattern::RestNotLast => "{*rest} must be the last segment",
                InvalidPattern::Braces => "a parameter is a whole segment: {name} or {*name}",
                InvalidPattern::DuplicateParameter => "two parameters have the same name",
            };
            reader.error(&field.path, message);
            None
        }
    }
}

fn read_requirements(reader: &mut Reader<'_>, section: &Section<'_>, authorizer: Option<&Authorizer>) -> Requirements {
    let mut list = |name: &str| section.get(name).and_then(|field| reader.strings(&field)).unwrap_or_default();
    let scopes = list("scopes");
    let permissions = list("permissions");
    let roles = list("roles");
    let audience = list("audience");
    let organizations = list("organizations");
    for permission in permissions.iter().filter(|one| RESERVED_PERMISSIONS.contains(&one.as_str())) {
        reader.error(
            &section.path_of("permissions"),
            format_args!("\"{permission}\" is a reserved name, which no API can define as a permission"),
        );
    }
    if scopes.iter().any(|scope| scope.contains(' ')) {
        reader.error(&section.path_of("scopes"), "must not hold spaces: list each scope by itself");
    }
    let claim = authorizer.and_then(|authorizer| authorizer.roles_claim.clone());
    if !roles.is_empty() && claim.is_none() && authorizer.is_some() {
        reader.error(
            &section.path_of("roles"),
            "needs authorizer.roles_claim: the claim that lists roles, such as \"https://yourapp.com/roles\"",
        );
    }
    let roles = claim.filter(|_| !roles.is_empty()).map(|claim| Roles { claim, all: roles, any: Vec::new() });
    Requirements { scopes, permissions, roles, organizations, audience }
}

fn read_on_unauthenticated(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<OnUnauthenticated> {
    if matches!(field.value, Value::Number(crate::json::Number::Unsigned(401))) {
        return Some(OnUnauthenticated::Status401);
    }
    let choices =
        [("auto", OnUnauthenticated::Auto), ("login", OnUnauthenticated::Login), ("401", OnUnauthenticated::Status401)];
    reader.choice(field, &choices)
}

fn read_on_forbidden(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<OnForbidden> {
    let text = match field.value {
        Value::Number(crate::json::Number::Unsigned(403)) => return Some(OnForbidden::Problem),
        _ => reader.text(field)?,
    };
    if text == "403" {
        return Some(OnForbidden::Problem);
    }
    match RequestPath::parse(&text, reader.unicode) {
        Ok(path) if text.bytes().all(|byte| byte.is_ascii_graphic()) && path.has_one_structure() => {
            Some(OnForbidden::Redirect(text))
        }
        _ => {
            reader.error(&field.path, "must be 403 or a path such as /unauthorized");
            None
        }
    }
}

fn read_integration(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Integration> {
    #[derive(Clone, Copy)]
    enum Type {
        Proxy,
        Service,
        Respond,
        Login,
        Callback,
        Logout,
        Userinfo,
        Refresh,
    }
    const TYPES: &[(&str, Type)] = &[
        ("http_proxy", Type::Proxy),
        ("service", Type::Service),
        ("respond", Type::Respond),
        ("login", Type::Login),
        ("callback", Type::Callback),
        ("logout", Type::Logout),
        ("userinfo", Type::Userinfo),
        ("refresh", Type::Refresh),
        ("auth0_callback_redirect", Type::Login),
        ("auth0_callback", Type::Callback),
        ("auth0_logout", Type::Logout),
        ("auth0_userinfo", Type::Userinfo),
        ("auth0_refresh", Type::Refresh),
        ("http", Type::Proxy),
        ("service_binding", Type::Service),
    ];
    let Some(field) = section.get("integration") else {
        reader.error(&section.path_of("integration"), "is missing");
        return None;
    };
    let Some(object) = field.value.as_object() else {
        reader.error(&field.path, "must be an object");
        return None;
    };
    let kind = match object.get("type") {
        Some(value) => reader.choice(&Field { path: format!("{}.type", field.path), value }, TYPES),
        None => {
            reader.error(&format!("{}.type", field.path), "is missing");
            None
        }
    }?;
    let keys: &[&str] = match kind {
        Type::Proxy => &["type", "url", "headers", "strip_authorization"],
        Type::Service => &["type", "binding", "headers", "strip_authorization"],
        Type::Respond => &["type", "status", "headers", "body"],
        _ => &["type"],
    };
    let section = reader.section(&field, keys)?;
    match kind {
        Type::Proxy => {
            let headers = read_headers(reader, &section);
            let strip = read_strip(reader, &section);
            Some(Integration::Proxy { url: read_upstream(reader, &section)?, headers, strip_authorization: strip })
        }
        Type::Service => {
            let headers = read_headers(reader, &section);
            let strip = read_strip(reader, &section);
            let Some(binding) = section.get("binding") else {
                reader.error(&section.path_of("binding"), "is missing: the name of a service binding");
                return None;
            };
            Some(Integration::Service { binding: reader.text(&binding)?, headers, strip_authorization: strip })
        }
        Type::Respond => {
            let headers = read_headers(reader, &section);
            let status = section.get("status").map_or(Some(200), |field| reader.number(&field, 200, 599));
            let (body, is_json) = match section.get("body") {
                None => (String::new(), false),
                Some(Field { value: value @ (Value::Object(_) | Value::Array(_)), .. }) => (value.to_json(), true),
                Some(field) => (reader.string(&field)?, false),
            };
            let status = u16::try_from(status?).ok()?;
            Some(Integration::Respond { status, headers, body, is_json })
        }
        Type::Login => Some(Integration::Login),
        Type::Callback => Some(Integration::Callback),
        Type::Logout => Some(Integration::Logout),
        Type::Userinfo => Some(Integration::Userinfo),
        Type::Refresh => Some(Integration::Refresh),
    }
}

fn read_upstream(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<String> {
    let Some(field) = section.get("url") else {
        reader.error(&section.path_of("url"), "is missing: where to send requests");
        return None;
    };
    let text = reader.text(&field)?;
    match HttpUrl::parse(&text) {
        Some(url) if !url.is_secure() => {
            reader.error(&field.path, "must be an https URL (http is for this machine only)")
        }
        Some(url) if url.path_and_query.contains('?') => reader.error(&field.path, "must not have a query"),
        Some(url) => {
            // The path in front of forwarded ones must be as unambiguous as they are.
            let prefix = url.path().strip_suffix('/').unwrap_or(url.path());
            match RequestPath::parse(prefix, reader.unicode) {
                Ok(path) if prefix.is_empty() || path.has_one_structure() => {
                    let origin = text.strip_suffix(url.path_and_query).unwrap_or(&text);
                    return Some(format!("{origin}{prefix}"));
                }
                _ => reader.error(&field.path, "has a path that is not in canonical form"),
            }
        }
        None => reader.error(&field.path, "must be an absolute https URL"),
    }
    None
}

fn read_strip(reader: &mut Reader<'_>, section: &Section<'_>) -> bool {
    section.get("strip_authorization").and_then(|field| reader.boolean(&field)).unwrap_or(true)
}

fn read_headers(reader: &mut Reader<'_>, section: &Section<'_>) -> HeaderTemplates {
    let mut headers = Vec::new();
    let Some(field) = section.get("headers") else { return headers };
    let Some(object) = field.value.as_object() else {
        reader.error(&field.path, "must be an object of header names and values");
        return headers;
    };
    for (name, value) in object.iter() {
        let at = Field { path: format!("{}.{name}", field.path), value };
        if !is_token(name) {
            reader.error(&at.path, "is not a header name");
            continue;
        }
        let Some(text) = reader.string(&at) else { continue };
        match HeaderValue::parse(&text) {
            Ok(value) => headers.push((name.to_owned(), value)),
            Err(message) => reader.error(&at.path, message),
        }
    }
    headers
}

fn check_login(reader: &mut Reader<'_>, routes: &[Route], places: &[String], authorizer: Option<&Authorizer>) {
    let routes = || places.iter().zip(routes);
    let first = |wanted: &Integration| routes().find(|(_, route)| route.integration == *wanted);
    if let Some((path, route)) = routes().find(|(_, route)| route.integration.needs_login())
        && authorizer.is_none()
    {
        reader.error(path, format_args!("{} needs an authorizer", route.pattern.as_str()));
    }
    let Some(authorizer) = authorizer else { return };
    if let Some((path, _)) = first(&Integration::Refresh)
        && !authorizer.scope().split(' ').any(|scope| scope == "offline_access")
    {
        reader.error(
            &format!("{path}.integration"),
            "needs \"offline_access\" in authorizer.scope: without it the provider issues no refresh token",
        );
    }
    let callback = first(&Integration::Callback);
    if let Some((path, _)) = first(&Integration::Login)
        && callback.is_none()
    {
        reader.error(&format!("{path}.integration"), "needs a route with the callback integration, too");
    }
    match authorizer.redirect_uri(callback.and_then(|(_, route)| route.pattern.path()).as_deref()) {
        Some(uri) => {
            let path = HttpUrl::parse(&uri).map(|url| url.path()).unwrap_or_default();
            let path = RequestPath::parse(path, reader.unicode);
            let is_served = |route: &Route| {
                let matches = |path: &RequestPath| {
                    route.pattern.matches(path.main().segments().filter(|segment| !segment.is_empty()))
                };
                route.integration == Integration::Callback && path.as_ref().is_ok_and(matches)
            };
            if !routes().any(|(_, route)| is_served(route)) {
                reader.error("authorizer.redirect_uri", "is not the path of any callback integration");
            }
        }
        None => {
            if let Some((path, _)) = routes().find(|(_, route)| route.integration.needs_login()) {
                reader.error(
                    &format!("{path}.integration"),
                    "needs authorizer.redirect_uri, or the site's origin in APP_BASE_URL",
                );
            }
        }
    }
    if let Some((path, _)) = routes().find(|(_, route)| route.on_unauthenticated == OnUnauthenticated::Login)
        && redirects::login_page(routes().map(|(_, route)| route)).is_none()
    {
        reader.error(
            &format!("{path}.on_unauthenticated"),
            "is \"login\", but no route with a fixed path and method GET is a login",
        );
    }
}
