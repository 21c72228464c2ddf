//! Redirects that the gateway makes by itself: none may lead back to where it began, and none into a dead end.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::authorizer::{AFTER_LOGIN, Authorizer};
use super::reader::Reader;
use crate::gateway::Unicode;
use crate::gateway::agreement::{RouteTable, route_for};
use crate::gateway::route::{Auth, Integration, OnForbidden, Route};
use crate::http::path::RequestPath;
use crate::jwt::Requirements;

/// The routes and how they are found.
struct Found<'r> {
    table: &'r RouteTable,
    routes: &'r [Route],
    unicode: Unicode,
}

pub(super) fn check(
    reader: &mut Reader<'_>,
    table: &RouteTable,
    routes: &[Route],
    places: &[String],
    authorizer: Option<&Authorizer>,
) {
    let has_clients = authorizer.is_some_and(Authorizer::restricts_clients);
    let found = Found { table, routes, unicode: reader.unicode };
    check_login(reader, &found, places, authorizer);
    for (path, route) in places.iter().zip(routes).filter(|(_, route)| can_refuse(route, has_clients)) {
        if let OnForbidden::Redirect(target) = &route.on_forbidden {
            let place = format!("{path}.on_forbidden");
            check_forbidden(reader, &place, &found, route, target, authorizer, has_clients);
        }
    }
}

/// The page of the login: the first login route with a fixed path that can be opened.
pub(super) fn login_page<'r>(routes: impl IntoIterator<Item = &'r Route>) -> Option<String> {
    let mut pages =
        routes.into_iter().filter(|route| route.integration == Integration::Login && route.methods.answers("GET"));
    pages.find_map(|route| route.pattern.path())
}

fn check_login(reader: &mut Reader<'_>, found: &Found<'_>, places: &[String], authorizer: Option<&Authorizer>) {
    for (path, route) in places.iter().zip(found.routes) {
        let is_login = matches!(route.integration, Integration::Login | Integration::Callback);
        if is_login && route.auth == Auth::Required {
            reader
                .error(&format!("{path}.auth"), "is \"required\", but this is where people log in: set it to \"none\"");
        }
        if route.integration == Integration::Callback && !route.methods.answers("GET") {
            reader.error(&format!("{path}.method"), "must include GET, by which browsers come back from the provider");
        }
    }
    let Some(authorizer) = authorizer else { return };
    for (place, path) in [authorizer.after_login(), authorizer.after_logout()].into_iter().flatten() {
        let is_login = place == AFTER_LOGIN;
        let starts_at = if is_login { Integration::Callback } else { Integration::Logout };
        let ends_at = found.route_at(&path).map(|route| &route.integration);
        let is_page = match ends_at {
            Some(Integration::Callback | Integration::Logout) => false,
            // After a logout the login is a page: the provider asks who it is.
            Some(Integration::Login) => !is_login,
            _ => true,
        };
        if !is_page && found.routes.iter().any(|route| route.integration == starts_at) {
            reader.error(
                place,
                format_args!("leads to {path}, which is no page: set it to the URL of a page of the site"),
            );
        }
    }
}

/// Follows the redirects of people who lack every right, until they arrive somewhere.
fn check_forbidden(
    reader: &mut Reader<'_>,
    place: &str,
    found: &Found<'_>,
    route: &Route,
    target: &str,
    authorizer: Option<&Authorizer>,
    has_clients: bool,
) {
    let Some(first) = found.route_at(target) else {
        reader.warn(place, format_args!("leads to {target}, where no route answers GET"));
        return;
    };
    let is_same_requirement = first.auth != Auth::None && refuses_all_of(&first.requirements, &route.requirements);
    let mut next = Some(target.to_string());
    let mut visited: Vec<&Route> = Vec::new();
    let comes_back = loop {
        let Some(reached) = next.and_then(|path| found.route_at(&path)) else { break false };
        if core::ptr::eq(reached, route) {
            break true;
        }
        // A circle further on is that circle's fault, and noted there.
        if visited.iter().any(|one| core::ptr::eq(*one, reached)) {
            break false;
        }
        visited.push(reached);
        next = match &reached.on_forbidden {
            // The provider still knows them, so they are back at once.
            _ if reached.integration == Integration::Login => {
                authorizer.and_then(Authorizer::after_login).map(|(_, path)| path)
            }
            OnForbidden::Redirect(path) if can_refuse(reached, has_clients) => Some(path.clone()),
            _ => None,
        };
    };
    if comes_back || is_same_requirement {
        reader.error(
            place,
            format_args!("leads to {target}, which refuses the same people: name a page that demands nothing of them"),
        );
    }
}

fn can_refuse(route: &Route, has_clients: bool) -> bool {
    route.auth != Auth::None && (has_clients || !route.requirements.is_empty())
}

/// Whether everybody who does not meet `some` does not meet `demands` either.
fn refuses_all_of(requirements: &Requirements, some: &Requirements) -> bool {
    let has_all = |more: &[String], fewer: &[String]| fewer.iter().all(|one| more.contains(one));
    // One of a list suffices: a shorter list demands more.
    let is_narrower =
        |narrow: &[String], wide: &[String]| wide.is_empty() || !narrow.is_empty() && has_all(wide, narrow);
    let roles = match (&requirements.roles, &some.roles) {
        (_, None) => true,
        (Some(more), Some(fewer)) => more.claim == fewer.claim && has_all(&more.all, &fewer.all),
        (None, Some(_)) => false,
    };
    !some.is_empty()
        && roles
        && has_all(&requirements.scopes, &some.scopes)
        && has_all(&requirements.permissions, &some.permissions)
        && has_all(&requirements.audience, &some.audience)
        && is_narrower(&requirements.organizations, &some.organizations)
}

impl<'r> Found<'r> {
    /// The route that answers a browser which is sent to this path.
    fn route_at(&self, path: &str) -> Option<&'r Route> {
        let path = RequestPath::parse(path, self.unicode).ok()?;
        let group = self.table.find(&path, self.routes, "GET").ok()?;
        route_for(group, self.routes, "GET")
    }
}
