//! Policy agreement: a request is forwarded only if every reading of its path matches a route with the same policy.
//!
//! The policy of a route consists of its authentication mode, accepted credentials, required rights, methods, and the gateway
//! function it performs, such as a logout. If the readings of a path disagree, the origin's interpretation cannot be predicted, so the path is refused.
//!
//! A trailing slash alone is no ambiguity: of the routes that match with and without the slash, the stricter one decides.

use alloc::string::String;
use alloc::vec::Vec;
use core::slice;

use super::index::{Candidate, Group, GroupId, RouteIndex, TooManyCandidates, combinations_of};
use super::route::{AcceptedCredentials, Auth, Methods, Route};
use crate::http::path::{Reading, RequestPath};
use crate::jwt::{ClaimPath, ClaimRule, ClaimValue, Requirements};
use crate::text::{decimal, sorted};

/// The index of the routes, with their policies.
#[derive(Debug)]
pub(super) struct RouteTable {
    index: RouteIndex,
    /// The policy number of each group of the index. Groups with the same number have the same policy.
    policies: Vec<usize>,
}

/// Why a path matches no route.
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

    /// Finds the routes that a path matches: positions of one route, or of several with different methods.
    pub(super) fn find(&self, path: &RequestPath, routes: &[Route], method: &str) -> Result<&[usize], NoRoute> {
        let groups = |reading| self.matching_groups(reading, routes, method);
        let mut main = None;
        for group in groups(path.main())? {
            // The first is matched by the plain reading, the others by other spellings of its segments.
            self.agree(*main.get_or_insert(group), group)?;
        }
        let main = main.flatten();
        for reading in path.readings().iter().filter(|reading| *reading != path.main()) {
            groups(reading)?.into_iter().try_for_each(|group| self.agree(main, group))?;
        }
        let group = main.and_then(|group| self.index.groups().get(group)).ok_or(NoRoute::NotFound)?;
        Ok(&group.routes)
    }

    /// Returns the routes that a reading matches, under every combination of spellings that makes a difference; `None` for no route.
    pub(super) fn routes_of<'r>(&self, reading: &Reading, routes: &'r [Route], method: &str) -> Vec<Option<&'r Route>> {
        let route = |group: Option<GroupId>| {
            let group = self.index.groups().get(group?)?;
            route_for(&group.routes, routes, method).or_else(|| routes.get(*group.routes.first()?))
        };
        self.matching_groups(reading, routes, method).unwrap_or_default().into_iter().map(route).collect()
    }

    /// Checks that two groups have the same policy.
    fn agree(&self, one: Option<GroupId>, two: Option<GroupId>) -> Result<(), NoRoute> {
        let policy = |group: Option<GroupId>| group.and_then(|group| self.policies.get(group));
        if policy(one) == policy(two) { Ok(()) } else { Err(NoRoute::Ambiguous) }
    }

    /// Returns the groups that a reading matches under every combination of spellings that makes a difference.
    fn matching_groups(
        &self,
        reading: &Reading,
        routes: &[Route],
        method: &str,
    ) -> Result<Vec<Option<GroupId>>, NoRoute> {
        let count = reading.segments().count();
        // The root is a path of no segments.
        let has_slash = reading.segments().last() == Some("");
        let without_slash = self.index.candidates(reading.segments().take(count - usize::from(has_slash)))?;
        let with_slash = if has_slash && count > 1 { self.index.candidates(reading.segments())? } else { Vec::new() };
        let has_empty = without_slash.iter().chain(&with_slash).any(|candidate| candidate.has_empty_parameter);
        let mut groups = Vec::new();
        for combination in 0..combinations_of(&without_slash).max(combinations_of(&with_slash)) {
            for empty_parameters in [false, true].into_iter().take(1 + usize::from(has_empty)) {
                let most_specific = |candidates: &[Candidate], empty_end: bool| {
                    self.most_specific(candidates, combination, empty_parameters, empty_end)
                };
                // A trailing slash may also be an empty last parameter.
                let matches = [
                    most_specific(&without_slash, false)?,
                    most_specific(&with_slash, false)?,
                    most_specific(&with_slash, true)?,
                ];
                let mut strictest: Option<GroupId> = None;
                for group in matches.into_iter().flatten() {
                    strictest = Some(match strictest {
                        None => group,
                        Some(other) => self.stricter(other, group, routes, method)?,
                    });
                }
                groups.push(strictest);
            }
        }
        Ok(groups)
    }

    /// Returns the most specific group, or one of several with the same policy.
    fn most_specific(
        &self,
        candidates: &[Candidate],
        combination: u8,
        empty_parameters: bool,
        empty_end: bool,
    ) -> Result<Option<GroupId>, NoRoute> {
        let groups = self.index.most_specific(candidates, combination, empty_parameters, empty_end);
        let Some((&first, others)) = groups.split_first() else { return Ok(None) };
        others.iter().try_for_each(|&other| self.agree(Some(first), Some(other)))?;
        Ok(Some(first))
    }

    /// Returns the stricter of two groups that a trailing slash may match.
    fn stricter(&self, one: GroupId, two: GroupId, routes: &[Route], method: &str) -> Result<GroupId, NoRoute> {
        if self.agree(Some(one), Some(two)).is_ok() {
            return Ok(one);
        }
        let route = |group: GroupId| {
            let group = self.index.groups().get(group)?;
            route_for(&group.routes, routes, method)
        };
        match (route(one), route(two)) {
            // A path that does not support the method is the strictest: it refuses the request.
            (None, _) => Ok(one),
            (_, None) => Ok(two),
            (Some(first), Some(second)) if is_at_least_as_strict(first, second) => Ok(one),
            (Some(first), Some(second)) if is_at_least_as_strict(second, first) => Ok(two),
            _ => Err(NoRoute::Ambiguous),
        }
    }
}

/// Selects the route for a method from a group: one that lists it, else for `HEAD` one that lists `GET`, else one for any method.
pub(super) fn route_for<'r>(group: &[usize], routes: &'r [Route], method: &str) -> Option<&'r Route> {
    let candidates = || group.iter().filter_map(|&position| routes.get(position));
    let named = |method: &str| candidates().find(|route| route.methods.names(method));
    let head = || if method == "HEAD" { named("GET") } else { None };
    named(method).or_else(head).or_else(|| candidates().find(|route| route.methods.is_any()))
}

/// Whether every request allowed by `one` is allowed by `two`.
fn is_at_least_as_strict(one: &Route, two: &Route) -> bool {
    let includes = |all: &[String], some: &[String]| some.iter().all(|item| all.contains(item));
    let narrows = |some: &[String], all: &[String]| all.is_empty() || !some.is_empty() && includes(all, some);
    let Requirements { scopes, any_scope, permissions, any_permission, roles, organizations, audience, claims } =
        &two.requirements;
    let has_roles = roles.as_ref().is_none_or(|two| {
        one.requirements
            .roles
            .as_ref()
            .is_some_and(|one| one.claim == two.claim && includes(&one.all, &two.all) && narrows(&one.any, &two.any))
    });
    one.auth.strictness() >= two.auth.strictness()
        && (!one.only_observes || two.only_observes || two.auth == Auth::None)
        && (one.credentials == two.credentials || two.credentials == AcceptedCredentials::Any)
        && includes(&one.requirements.scopes, scopes)
        && narrows(&one.requirements.any_scope, any_scope)
        && includes(&one.requirements.permissions, permissions)
        && narrows(&one.requirements.any_permission, any_permission)
        && includes(&one.requirements.audience, audience)
        && narrows(&one.requirements.organizations, organizations)
        && claims.iter().all(|rule| one.requirements.claims.contains(rule))
        && has_roles
        && one.step_up.is_at_least_as_strict(&two.step_up)
}

/// Returns a text that is equal for two routes exactly if they have the same policy.
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
    list(route.auth.name(), &[]);
    list(if route.only_observes { "observed" } else { "enforced" }, &[]);
    list(route.credentials.name(), &[]);
    list(route.integration.action_name().unwrap_or("no action"), &[]);
    let Requirements { scopes, any_scope, permissions, any_permission, roles, organizations, audience, claims } =
        &route.requirements;
    list("scopes", scopes);
    list("any scope", any_scope);
    list("permissions", permissions);
    list("any permission", any_permission);
    list("organizations", organizations);
    list("audience", audience);
    for (name, value) in route.step_up.parameters() {
        list(name, &[]);
        // The order of the values does not matter.
        list("", &value.split(' ').map(String::from).collect::<Vec<_>>());
    }
    if let Some(roles) = roles {
        path(&mut list, "roles", &roles.claim);
        list("all roles", &roles.all);
        list("any role", &roles.any);
    }
    // Sorted by insertion: for few rules, in little code.
    let mut rules: Vec<&ClaimRule> = Vec::new();
    for rule in claims {
        let at = rules.partition_point(|other| other.claim.names() <= rule.claim.names());
        rules.insert(at, rule);
    }
    for ClaimRule { claim, equals, any, all, not, prefix } in rules {
        path(&mut list, "rule", claim);
        match equals {
            Some(ClaimValue::Text(text)) => list("equals", slice::from_ref(text)),
            Some(ClaimValue::Flag(flag)) => list(if *flag { "is true" } else { "is false" }, &[]),
            None => {}
        }
        list("any", any);
        list("all", all);
        list("not", not);
        list("prefix", prefix.as_slice());
    }
    text.push(';');
    text
}

/// Adds a path, whose order counts.
fn path(list: &mut dyn FnMut(&str, &[String]), name: &str, claim: &ClaimPath) {
    list(name, &[decimal(claim.names().len() as u64)]);
    claim.names().iter().for_each(|name| list(name, &[]));
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

    /// Tables that grow in different ways: sibling literals, parameters and rests below them, parameters beside literals.
    const TABLES: [fn(usize) -> String; 7] = [
        |n| format!("/route-{n}"),
        |n| format!("/api/v{n}/items/{{id}}"),
        |n| format!("/tenant{n}/{{*rest}}"),
        |n| if n % 2 == 0 { format!("/{{tenant}}/page{n}") } else { format!("/acme{n}/x") },
        |n| format!("/a{}/b{}/c{n}", n % 7, n % 11),
        |n| if n % 2 == 0 { format!("/{{a}}/{{b}}/x{n}") } else { format!("/y{n}/{{*rest}}") },
        |n| if n % 2 == 0 { format!("/y/{{a}}/x{n}") } else { format!("/{{a}}/z{n}/x") },
    ];

    #[test]
    fn the_cost_of_a_request_does_not_depend_on_the_number_of_routes() {
        let unusual = format!("/Tenant1//{}%2F{}", "a;b/".repeat(500), "%61".repeat(2000));
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
                &unusual,
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
            assert!(some > 300 && many <= 11 * some, "table {at}: {some} steps for 300 routes, {many} for 3,000");
        }
    }
}
