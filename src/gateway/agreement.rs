//! Policy agreement: a request is forwarded only if every reading of its path meets a route with the same policy.
//!
//! The policy of a route is what it demands: authentication, rights, the methods it answers, and whether it is an act of the gateway
//! itself, such as a logout. Where the readings of a path disagree, nobody can tell which one the origin will take; the path
//! is refused.
//!
//! A closing slash alone is no ambiguity. Such a path meets two routes, with and without the slash, and the stricter one decides.

use alloc::string::String;
use alloc::vec::Vec;

use super::index::{Candidate, Group, GroupId, RouteIndex, TooManyCandidates, combinations_of};
use super::route::{Auth, Methods, Route};
use crate::http::path::{Reading, RequestPath};
use crate::jwt::Requirements;
use crate::text::{decimal, sorted};

/// The index of the routes, and which of them have the same policy.
#[derive(Debug)]
pub(super) struct RouteTable {
    index: RouteIndex,
    /// Per group of the index. Groups of one number have the same policy.
    policies: Vec<usize>,
}

/// Why a path has no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoute {
    NotFound,
    Ambiguous,
}

impl From<TooManyCandidates> for NoRoute {
    fn from(_: TooManyCandidates) -> Self {
        Self::Ambiguous
    }
}

impl RouteTable {
    pub(super) fn new(index: RouteIndex, routes: &[Route]) -> Self {
        // Sorted by text.
        let mut known: Vec<(String, usize)> = Vec::new();
        let mut number = |group: &Group| {
            let parts: Vec<String> = group.routes.iter().filter_map(|&at| routes.get(at)).map(policy_of).collect();
            let policy = sorted(parts.iter().map(String::as_str)).concat();
            let next = known.len();
            match known.binary_search_by(|(one, _)| one.as_str().cmp(&policy)) {
                Ok(at) => known.get(at).map_or(next, |(_, number)| *number),
                Err(at) => {
                    known.insert(at, (policy, next));
                    next
                }
            }
        };
        let policies = index.groups().iter().map(&mut number).collect();
        Self { index, policies }
    }

    /// The positions of the routes that a path meets, one or several for different methods.
    pub(super) fn find(&self, path: &RequestPath, routes: &[Route], method: &str) -> Result<&[usize], NoRoute> {
        let ask = |reading| self.matching_groups(reading, routes, method);
        let mut main = None;
        for met in ask(path.main())? {
            // The first is the route by the plain reading; the others are what spellings of its segments meet.
            self.agree(*main.get_or_insert(met), met)?;
        }
        let main = main.flatten();
        for reading in path.readings().iter().filter(|reading| *reading != path.main()) {
            ask(reading)?.into_iter().try_for_each(|met| self.agree(main, met))?;
        }
        let group = main.and_then(|group| self.index.groups().get(group)).ok_or(NoRoute::NotFound)?;
        Ok(&group.routes)
    }

    fn agree(&self, one: Option<GroupId>, two: Option<GroupId>) -> Result<(), NoRoute> {
        let policy = |group: Option<GroupId>| group.and_then(|group| self.policies.get(group));
        if policy(one) == policy(two) { Ok(()) } else { Err(NoRoute::Ambiguous) }
    }

    /// The groups that a reading meets, under every combination of treatments that makes a difference.
    fn matching_groups(&self, reading: &Reading, routes: &[Route], method: &str) -> Result<Vec<Option<GroupId>>, NoRoute> {
        let count = reading.segments().count();
        // The root is a path of no segments.
        let is_closed = reading.segments().last() == Some("");
        let open = self.index.candidates(reading.segments().take(count - usize::from(is_closed)))?;
        let closed = if is_closed && count > 1 { self.index.candidates(reading.segments())? } else { Vec::new() };
        let has_empty = open.iter().chain(&closed).any(|candidate| candidate.has_empty_parameter);
        let mut met = Vec::new();
        for combination in 0..combinations_of(&open).max(combinations_of(&closed)) {
            for empty_parameters in [false, true].into_iter().take(1 + usize::from(has_empty)) {
                let best = |candidates: &[Candidate], empty_end: bool| {
                    self.most_specific(candidates, combination, empty_parameters, empty_end)
                };
                // A closing slash may also be an empty last parameter.
                let meanings = [most_specific(&open, false)?, most_specific(&closed, false)?, most_specific(&closed, true)?];
                let mut decides: Option<GroupId> = None;
                for meaning in meanings.into_iter().flatten() {
                    decides = Some(match decides {
                        None => meaning,
                        Some(other) => self.stricter(other, meaning, routes, method)?,
                    });
                }
                met.push(decides);
            }
        }
        Ok(met)
    }

    /// The one group that is met, or one of several with the same policy.
    fn most_specific(
        &self,
        candidates: &[Candidate],
        combination: u8,
        empty_parameters: bool,
        empty_end: bool,
    ) -> Result<Option<GroupId>, NoRoute> {
        let best = self.index.most_specific(candidates, combination, empty_parameters, empty_end);
        let Some((&first, others)) = best.split_first() else { return Ok(None) };
        others.iter().try_for_each(|&other| self.agree(Some(first), Some(other)))?;
        Ok(Some(first))
    }

    /// Of two routes that a closing slash may mean, the one that demands more.
    fn stricter(&self, open: GroupId, closed: GroupId, routes: &[Route], method: &str) -> Result<GroupId, NoRoute> {
        if self.agree(Some(open), Some(closed)).is_ok() {
            return Ok(open);
        }
        let route = |group: GroupId| {
            let group = self.index.groups().get(group)?;
            route_for(&group.routes, routes, method)
        };
        match (route(open), route(closed)) {
            // A path that does not answer to the method refuses more than any route does.
            (None, _) => Ok(open),
            (_, None) => Ok(closed),
            (Some(one), Some(two)) if is_at_least_as_strict(one, two) => Ok(open),
            (Some(one), Some(two)) if is_at_least_as_strict(two, one) => Ok(closed),
            _ => Err(NoRoute::Ambiguous),
        }
    }
}

/// The route for a method among those of one group: one that names it, else for `HEAD` one that names `GET`, else one for any
/// method.
pub(super) fn route_for<'r>(group: &[usize], routes: &'r [Route], method: &str) -> Option<&'r Route> {
    let candidates = || group.iter().filter_map(|&position| routes.get(position));
    let named = |method: &str| candidates().find(|route| route.methods.names(method));
    let head = || if method == "HEAD" { named("GET") } else { None };
    named(method).or_else(head).or_else(|| candidates().find(|route| route.methods.is_any()))
}

/// Whether who may pass `one` may pass `two`.
fn is_at_least_as_strict(one: &Route, two: &Route) -> bool {
    let includes = |all: &[String], some: &[String]| some.iter().all(|item| all.contains(item));
    let narrows = |some: &[String], all: &[String]| all.is_empty() || !some.is_empty() && includes(all, some);
    let Requirements { scopes, permissions, roles, organizations, audience } = &two.requirements;
    let has_roles = roles.as_ref().is_none_or(|two| {
        one.requirements
            .roles
            .as_ref()
            .is_some_and(|one| one.claim == two.claim && includes(&one.all, &two.all) && narrows(&one.any, &two.any))
    });
    one.auth.strictness() >= two.auth.strictness()
        && includes(&one.requirements.scopes, scopes)
        && includes(&one.requirements.permissions, permissions)
        && includes(&one.requirements.audience, audience)
        && narrows(&one.requirements.organizations, organizations)
        && has_roles
}

/// A text that is the same for routes of the same policy, and for no others.
fn policy_of(route: &Route) -> String {
    let mut text = String::new();
    let mut put = |part: &str| {
        text.push_str(&decimal(part.len() as u64));
        text.push(':');
        text.push_str(part);
    };
    let mut list = |name: &str, items: &[String]| {
        let items = sorted(items.iter().map(String::as_str));
        put(name);
        put(&decimal(items.len() as u64));
        items.into_iter().for_each(&mut put);
    };
    match &route.methods {
        Methods::Any => list("any method", &[]),
        Methods::Only(methods) => list("methods", methods),
    }
    list(
        if route.auth == Auth::None {
            "public"
        } else if route.auth == Auth::Optional {
            "optional"
        } else {
            "required"
        },
        &[],
    );
    list(route.integration.action_name().unwrap_or("no act"), &[]);
    let Requirements { scopes, permissions, roles, organizations, audience } = &route.requirements;
    list("scopes", scopes);
    list("permissions", permissions);
    list("organizations", organizations);
    list("audience", audience);
    if let Some(roles) = roles {
        list(&roles.claim, &[]);
        list("all roles", &roles.all);
        list("any role", &roles.any);
    }
    text.push(';');
    text
}

#[cfg(test)]
#[cfg(feature = "unicode")]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use serde_json::{Value, json};

    use crate::gateway::index::steps;
    use crate::gateway::{Gateway, compile};
    use crate::http::RequestHead;

    fn gateway(paths: impl Iterator<Item = String>) -> Gateway {
        let routes: Vec<Value> =
            paths.map(|path| json!({ "method": "ANY", "path": path, "integration": { "type": "respond" } })).collect();
        let config = json!({ "authorizer": { "type": "oidc", "issuer": "https://i.example", "audience": "a" }, "paths": routes });
        compile(&config.to_string(), &|_| None).unwrap().gateway
    }

    fn match_route(gateway: &Gateway, path: &str) {
        let url = format!("https://a.example{path}");
        drop(gateway.match_route(&RequestHead { method: "GET", url: &url, header: &|_| None }));
    }

    /// Tables that grow in different ways: names side by side, parameters and rests below them, parameters beside names.
    const TABLES: [fn(usize) -> String; 6] = [
        |n| format!("/route-{n}"),
        |n| format!("/api/v{n}/items/{{id}}"),
        |n| format!("/tenant{n}/{{*rest}}"),
        |n| if n % 2 == 0 { format!("/{{tenant}}/page{n}") } else { format!("/acme{n}/x") },
        |n| format!("/a{}/b{}/c{n}", n % 7, n % 11),
        |n| if n % 2 == 0 { format!("/{{a}}/{{b}}/x{n}") } else { format!("/y{n}/{{*rest}}") },
    ];

    #[test]
    fn a_request_takes_the_same_steps_however_many_routes_there_are() {
        let odd = format!("/Tenant1//{}%2F{}", "a;b/".repeat(500), "%61".repeat(2000));
        for (at, table) in TABLES.into_iter().enumerate() {
            let [few, many] = [10, 3000].map(|count| gateway((0..count).map(table)));
            for path in [
                "/",
                "/route-7",
                "/api/v7/items/1",
                "/tenant7/a/b/c",
                "/acme7/page4",
                "/a6/b6/c6",
                "/nowhere/at/all",
                &odd,
            ] {
                let [few, many] = [&few, &many].map(|gateway| steps::of(|| match_route(gateway, path)));
                assert!(many <= few + few / 5, "table {at}, {path}: {few} steps with ten routes, {many} with 3,000");
            }
        }
    }

    #[test]
    fn the_search_for_overlaps_grows_with_the_number_of_routes() {
        for (at, table) in TABLES.into_iter().enumerate() {
            let [some, many] = [300, 3000].map(|count| steps::of(|| drop(gateway((0..count).map(table)))));
            assert!(many <= 11 * some, "table {at}: {some} steps for 300 routes, {many} for 3,000");
        }
    }
}
