//! Checks the gateway's own redirects: none may form a loop or end where no route answers.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::authorizer::{Authorizer, Destination};
use super::reader::Reader;
use crate::gateway::Unicode;
use crate::gateway::agreement::{RouteTable, route_for};
use crate::gateway::route::{Auth, Integration, OnForbidden, Route};
use crate::http::path::RequestPath;
use crate::jwt::Requirements;
use crate::url::HttpUrl;

const REDIRECT_URI: &str = "authorizer.redirect_uri";

/// The routes, and the lookup of a path among them.
struct RouteLookup<'r> {
    table: &'r RouteTable,
    routes: &'r [Route],
    unicode: Unicode,
}

pub(super) fn check(
    reader: &mut Reader<'_>,
    table: &RouteTable,
    routes: &[Route],
    places: &[String],
    authorizer: Option<&Authorizer<'_>>,
) {
    let restricts_tokens = authorizer.is_some_and(Authorizer::restricts_tokens);
    let lookup = RouteLookup { table, routes, unicode: reader.unicode };
    check_login(reader, &lookup, places, authorizer);
    for (path, route) in places.iter().zip(routes).filter(|(_, route)| can_refuse(route, restricts_tokens)) {
        if let OnForbidden::Redirect(target) = &route.on_forbidden {
            let place = format!("{path}.on_forbidden");
            check_forbidden(reader, &place, &lookup, route, target, authorizer, restricts_tokens);
        }
    }
}

/// The path of the first login route that browsers can navigate to: a fixed path and method GET.
pub(super) fn login_page<'r>(routes: impl IntoIterator<Item = &'r Route>) -> Option<String> {
    let mut pages =
        routes.into_iter().filter(|route| route.integration == Integration::Login && route.methods.answers("GET"));
    pages.find_map(|route| route.pattern.path())
}

fn check_login(
    reader: &mut Reader<'_>,
    lookup: &RouteLookup<'_>,
    places: &[String],
    authorizer: Option<&Authorizer<'_>>,
) {
    for (path, route) in places.iter().zip(lookup.routes) {
        let is_login = matches!(route.integration, Integration::Login | Integration::Callback);
        if is_login && route.auth == Auth::Required {
            reader.error(&format!("{path}.auth"), "is \"required\", but users log in here: set it to \"none\"");
        }
        if route.integration == Integration::Callback && !route.methods.answers("GET") {
            reader.error(&format!("{path}.method"), "must include GET: browsers return from the provider with it");
        }
    }
    let Some(authorizer) = authorizer else { return };
    let callback = lookup.routes.iter().find(|route| route.integration == Integration::Callback);
    if let Some(uri) = authorizer.redirect_uri(callback.and_then(|route| route.pattern.path()).as_deref())
        && callback.is_some()
        && !reader.has_error_at(REDIRECT_URI)
    {
        // As a browser that returns from the provider reaches it.
        let reached = HttpUrl::parse(&uri).and_then(|url| lookup.route_at(url.path()));
        if reached.is_none_or(|route| route.integration != Integration::Callback) {
            let reached = reached.map_or("no route", |route| route.pattern.as_str());
            reader.error(
                REDIRECT_URI,
                format_args!(
                    "leads to {reached}, which is no callback integration: a slash at its end counts, and another route may be more specific"
                ),
            );
        }
    }
    for (starts_at, destination) in
        [(Integration::Callback, authorizer.after_login()), (Integration::Logout, authorizer.after_logout())]
    {
        let Some(Destination { place, path }) = destination else { continue };
        let ends_at = lookup.route_at(&path).map(|route| &route.integration);
        let is_page = match ends_at {
            Some(Integration::Callback | Integration::Logout) => false,
            // After a logout, the login shows the provider's page.
            Some(Integration::Login) => starts_at == Integration::Logout,
            _ => true,
        };
        if !is_page && lookup.routes.iter().any(|route| route.integration == starts_at) {
            reader.error(
                place,
                format_args!("leads to {path}, which is no page: set it to the URL of a page of the site"),
            );
        }
    }
}

/// Follows the redirects of a user without any right until they end.
fn check_forbidden(
    reader: &mut Reader<'_>,
    place: &str,
    lookup: &RouteLookup<'_>,
    route: &Route,
    target: &str,
    authorizer: Option<&Authorizer<'_>>,
    restricts_tokens: bool,
) {
    let Some(first) = lookup.route_at(target) else {
        reader.warn(place, format_args!("leads to {target}, where no route answers GET"));
        return;
    };
    let is_same_requirement = first.auth != Auth::None && refuses_all_of(&first.requirements, &route.requirements);
    let mut next = Some(target.to_string());
    let mut visited: Vec<&Route> = Vec::new();
    let comes_back = loop {
        let Some(reached) = next.and_then(|path| lookup.route_at(&path)) else { break false };
        if core::ptr::eq(reached, route) {
            break true;
        }
        // A loop that does not include this route is reported at its own routes.
        if visited.iter().any(|one| core::ptr::eq(*one, reached)) {
            break false;
        }
        visited.push(reached);
        next = match &reached.on_forbidden {
            // The provider's session still exists, so the login returns at once.
            _ if reached.integration == Integration::Login => {
                authorizer.and_then(Authorizer::after_login).map(|destination| destination.path)
            }
            OnForbidden::Redirect(path) if can_refuse(reached, restricts_tokens) => Some(path.clone()),
            _ => None,
        };
    };
    if comes_back || is_same_requirement {
        reader.error(
            place,
            format_args!(
                "leads to {target}, which refuses the same users: name a page that does not require this right"
            ),
        );
    }
}

fn can_refuse(route: &Route, restricts_tokens: bool) -> bool {
    route.auth != Auth::None && (restricts_tokens || !route.requirements.is_empty())
}

/// Whether failing `some` implies failing `requirements`.
fn refuses_all_of(requirements: &Requirements, some: &Requirements) -> bool {
    let has_all = |more: &[String], fewer: &[String]| fewer.iter().all(|one| more.contains(one));
    // One of the list suffices, so a shorter list requires more.
    let is_narrower =
        |narrow: &[String], wide: &[String]| wide.is_empty() || !narrow.is_empty() && has_all(wide, narrow);
    let roles = match (&requirements.roles, &some.roles) {
        (_, None) => true,
        (Some(more), Some(fewer)) => {
            more.claim == fewer.claim && has_all(&more.all, &fewer.all) && is_narrower(&more.any, &fewer.any)
        }
        (None, Some(_)) => false,
    };
    !some.is_empty()
        && roles
        && has_all(&requirements.scopes, &some.scopes)
        && is_narrower(&requirements.any_scope, &some.any_scope)
        && has_all(&requirements.permissions, &some.permissions)
        && is_narrower(&requirements.any_permission, &some.any_permission)
        && some.claims.iter().all(|rule| requirements.claims.contains(rule))
        && has_all(&requirements.audience, &some.audience)
        && is_narrower(&requirements.organizations, &some.organizations)
}

impl<'r> RouteLookup<'r> {
    /// The route that answers a browser navigation to this path.
    fn route_at(&self, path: &str) -> Option<&'r Route> {
        let path = RequestPath::parse(path, self.unicode).ok()?;
        let group = self.table.find(&path, self.routes, "GET").ok()?;
        route_for(group, self.routes, "GET")
    }
}
