//! Reports routes that match the same paths. The index of the routes is walked, so that not every pair is compared.

use alloc::string::String;
use alloc::vec::Vec;

use super::reader::Reader;
use crate::gateway::index::{Group, GroupId, Node, RouteIndex};
use crate::gateway::pattern::Kind;
use crate::gateway::route::{Auth, Methods, Route};
use crate::limits;

/// Reports routes with the same path and method, pairs of which neither is more specific, and public routes inside protected ones.
/// `places` holds the place of each route in the configuration.
pub(super) fn check(reader: &mut Reader<'_>, index: &RouteIndex, routes: &[Route], places: &[String]) {
    let mut problems = Problems(Vec::new());
    problems.0.resize_with(routes.len(), Vec::new);
    for group in index.groups() {
        same_methods(group, routes, &mut problems);
    }
    let mut walk = Walk { index, routes, problems, marks: Vec::new() };
    walk.marks.resize(index.node_count(), Marks::default());
    walk.pairs();
    walk.below_marks();
    let text = |position: usize| routes.get(position).map_or("", |route| route.pattern.as_str());
    let place = |position: usize| places.get(position).map_or("", String::as_str);
    for (at, problem) in (0..).zip(&walk.problems.0).flat_map(|(at, found)| found.iter().map(move |one| (at, *one))) {
        match problem {
            Problem::SameMethod(other) => {
                reader.error(place(at), format_args!("has the same path and method as {}", place(other)));
            }
            Problem::Ambiguous(other) => reader.error(
                place(at),
                format_args!(
                    "is ambiguous with {}: some paths match both {} and {}",
                    place(other),
                    text(at),
                    text(other)
                ),
            ),
            Problem::TakesFromProtected(other) => {
                reader
                    .warn(place(at), format_args!("public {} takes requests from protected {}", text(at), text(other)));
            }
        }
    }
}

/// A problem of a route with another one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Problem {
    SameMethod(usize),
    Ambiguous(usize),
    TakesFromProtected(usize),
}

/// By position of the route.
struct Problems(Vec<Vec<Problem>>);

impl Problems {
    /// Adds a problem, at most one of each kind per route.
    fn add(&mut self, at: usize, problem: Problem) {
        let Some(found) = self.0.get_mut(at) else { return };
        let is_same_kind = |one: &Problem| core::mem::discriminant(one) == core::mem::discriminant(&problem);
        if !found.iter().any(is_same_kind) {
            found.push(problem);
        }
    }
}

fn same_methods(group: &Group, routes: &[Route], problems: &mut Problems) {
    let mut seen: Vec<(&str, usize)> = Vec::new();
    for &at in &group.routes {
        let methods = match routes.get(at).map(|route| &route.methods) {
            Some(Methods::Only(methods)) => methods.as_slice(),
            Some(Methods::Any) => &[],
            None => continue,
        };
        for method in methods.iter().map(String::as_str).chain(methods.is_empty().then_some("ANY")) {
            match seen.iter().find(|(one, _)| *one == method) {
                Some(&(_, earlier)) if earlier != at => problems.add(at, Problem::SameMethod(earlier)),
                Some(_) => {}
                None => seen.push((method, at)),
            }
        }
    }
}

/// A walk through the index, over the pairs of nodes that one path can reach.
struct Walk<'w> {
    index: &'w RouteIndex,
    routes: &'w [Route],
    problems: Problems,
    /// Per node, the `{*rest}` routes that everything below it overlaps.
    marks: Vec<Marks>,
}

#[derive(Clone, Copy, Default)]
struct Marks {
    /// A protected `{*rest}` that includes every path to this node: public routes below are inside it.
    wider: Option<GroupId>,
    /// A `{*rest}` that shares some of the paths: another one at or below this node is ambiguous with it.
    crossing: Option<GroupId>,
    /// One whose paths all lead here: only another one below is ambiguous with it.
    crossing_below: Option<GroupId>,
    /// The same, protected.
    protected_crossing: Option<GroupId>,
}

/// Two nodes, and whether the pattern that leads to one matches all that the other's does.
#[derive(Clone, Copy)]
struct Pair {
    one: usize,
    two: usize,
    one_is_wider: bool,
    two_is_wider: bool,
}

impl Walk<'_> {
    fn pairs(&mut self) {
        let mut open = Vec::from([Pair { one: 0, two: 0, one_is_wider: true, two_is_wider: true }]);
        let mut steps = 0;
        while let Some(pair) = open.pop() {
            steps += 1;
            #[cfg(all(test, feature = "unicode"))]
            crate::gateway::index::steps::count();
            if steps > limits::MAX_OVERLAP_STEPS {
                // An ambiguity that is not found here is refused per request.
                return;
            }
            self.compare(pair);
            self.mark(pair.one, pair.two, pair.one_is_wider, pair.two_is_wider);
            if pair.one != pair.two {
                self.mark(pair.two, pair.one, pair.two_is_wider, pair.one_is_wider);
                self.follow_different(pair, &mut open);
            } else {
                self.follow_same(pair, &mut open);
            }
        }
    }

    /// Children of a node with itself: each with itself, and each literal with the parameter.
    fn follow_same(&self, pair: Pair, open: &mut Vec<Pair>) {
        let Some(node) = self.index.node(pair.one) else { return };
        open.extend(node.literals().map(|(_, child)| Pair { one: child, two: child, ..pair }));
        if let Some(parameter) = node.parameter() {
            open.push(Pair { one: parameter, two: parameter, ..pair });
            open.extend(node.literals().map(|(_, child)| Pair {
                one: child,
                two: parameter,
                one_is_wider: false,
                ..pair
            }));
        }
    }

    fn follow_different(&self, pair: Pair, open: &mut Vec<Pair>) {
        let (Some(one), Some(two)) = (self.index.node(pair.one), self.index.node(pair.two)) else { return };
        let unicode = self.index.unicode();
        // Along the shorter of the two lists.
        if one.literal_count() <= two.literal_count() {
            let both = one.literals().filter_map(|(text, child)| Some((child, two.literal(unicode, text)?)));
            open.extend(both.map(|(one, two)| Pair { one, two, ..pair }));
        } else {
            let both = two.literals().filter_map(|(text, child)| Some((one.literal(unicode, text)?, child)));
            open.extend(both.map(|(one, two)| Pair { one, two, ..pair }));
        }
        if let Some(parameter) = two.parameter() {
            open.extend(one.literals().map(|(_, child)| Pair {
                one: child,
                two: parameter,
                one_is_wider: false,
                ..pair
            }));
        }
        if let Some(parameter) = one.parameter() {
            open.extend(two.literals().map(|(_, child)| Pair {
                one: parameter,
                two: child,
                two_is_wider: false,
                ..pair
            }));
        }
        if let (Some(one), Some(two)) = (one.parameter(), two.parameter()) {
            open.push(Pair { one, two, ..pair });
        }
    }

    /// Patterns of the same length that end here.
    fn compare(&mut self, pair: Pair) {
        let end = |node| self.index.node(node).and_then(Node::end);
        let (Some(one), Some(two)) = (end(pair.one), end(pair.two)) else { return };
        match (pair.one_is_wider, pair.two_is_wider) {
            (true, true) => {}
            (true, false) => self.add_public(two, one),
            (false, true) => self.add_public(one, two),
            (false, false) => self.add_ambiguous(one, two),
        }
    }

    /// Everything below `node` overlaps the `{*rest}` at `at`, if there is one.
    fn mark(&mut self, at: usize, node: usize, is_wider: bool, is_narrower: bool) {
        let Some(rest) = self.index.node(at).and_then(Node::rest) else { return };
        let is_protected = self.first_route(rest, |route| route.auth == Auth::Required).is_some();
        let Some(marks) = self.marks.get_mut(node) else { return };
        if is_wider {
            marks.wider = marks.wider.or(Some(rest).filter(|_| is_protected));
        } else {
            let crossing = if is_narrower { &mut marks.crossing_below } else { &mut marks.crossing };
            crossing.get_or_insert(rest);
            marks.protected_crossing = marks.protected_crossing.or(Some(rest).filter(|_| is_protected));
        }
    }

    /// Passes the marks of each node on to the patterns below it.
    fn below_marks(&mut self) {
        let mut open = Vec::from([(0, Marks::default())]);
        while let Some((at, above)) = open.pop() {
            let Some(node) = self.index.node(at) else { continue };
            let own = self.marks.get(at).copied().unwrap_or_default();
            let marks = Marks {
                wider: own.wider.or(above.wider),
                crossing: own.crossing.or(above.crossing),
                crossing_below: None,
                protected_crossing: own.protected_crossing.or(above.protected_crossing),
            };
            if let Some(end) = node.end()
                && let Some(loser) = marks.wider.or(marks.protected_crossing)
            {
                self.add_public(end, loser);
            }
            if let Some(rest) = node.rest() {
                // Not with itself.
                let wider = own.wider.filter(|&wider| wider != rest).or(above.wider);
                if let Some(loser) = wider {
                    self.add_public(rest, loser);
                }
                if let Some(other) = marks.crossing {
                    self.add_ambiguous(rest, other);
                }
            }
            let marks = Marks { crossing: marks.crossing.or(own.crossing_below), ..marks };
            open.extend(node.literals().map(|(_, child)| (child, marks)));
            open.extend(node.parameter().map(|child| (child, marks)));
        }
    }

    fn add_public(&mut self, winner: GroupId, loser: GroupId) {
        let is_exact = self.index.groups().get(winner).is_some_and(|group| group.kind == Kind::Exact);
        let public = self.first_route(winner, |route| route.auth == Auth::None).filter(|_| !is_exact);
        let protected = self.first_route(loser, |route| route.auth == Auth::Required);
        if let (Some(public), Some(protected)) = (public, protected) {
            self.problems.add(public, Problem::TakesFromProtected(protected));
        }
    }

    fn add_ambiguous(&mut self, one: GroupId, two: GroupId) {
        if let (Some(one), Some(two)) = (self.first_route(one, |_| true), self.first_route(two, |_| true)) {
            self.problems.add(one.max(two), Problem::Ambiguous(one.min(two)));
        }
    }

    fn first_route(&self, group: GroupId, is_meant: impl Fn(&Route) -> bool) -> Option<usize> {
        let group = self.index.groups().get(group)?;
        group.routes.iter().copied().find(|&position| self.routes.get(position).is_some_and(&is_meant))
    }
}

#[cfg(test)]
#[cfg(feature = "unicode")]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use serde_json::{Value, json};

    use crate::gateway::pattern::{Kind, Pattern, Segment};
    use crate::gateway::{Unicode, compile};

    /// Every problem of a configuration of these routes: place and message.
    fn problems(routes: &[(&str, &str)]) -> Vec<(String, String)> {
        let paths: Vec<Value> = routes
            .iter()
            .map(|(path, auth)| json!({ "method": "ANY", "path": path, "auth": auth, "integration": { "type": "respond" } }))
            .collect();
        let config = json!({
            "authorizer": { "type": "oidc", "issuer": "https://i.example", "audience": "a" }, "paths": paths
        });
        let found = match compile(&config.to_string(), &|_| None) {
            Ok(compiled) => compiled.warnings,
            Err(problems) => problems,
        };
        found.into_iter().map(|problem| (problem.path, problem.message)).collect()
    }

    /// Whether some path matches both.
    fn overlap(one: &Pattern, two: &Pattern) -> bool {
        let lengths_fit = match (one.has_rest(), two.has_rest()) {
            (true, true) => true,
            (true, false) => two.segments().len() >= one.segments().len(),
            (false, true) => one.segments().len() >= two.segments().len(),
            (false, false) => one.segments().len() == two.segments().len(),
        };
        lengths_fit
            && one.segments().iter().zip(two.segments()).all(|pair| match pair {
                (Segment::Literal(one), Segment::Literal(two)) => one == two,
                _ => true,
            })
    }

    fn is_within(one: &Pattern, two: &Pattern) -> bool {
        let long_enough = if two.has_rest() {
            one.segments().len() >= two.segments().len()
        } else {
            !one.has_rest() && one.segments().len() == two.segments().len()
        };
        long_enough
            && two.segments().iter().zip(one.segments()).all(|(theirs, ours)| theirs.is_parameter() || theirs == ours)
    }

    fn beats(one: &Pattern, two: &Pattern) -> bool {
        match one.kind().cmp(&two.kind()) {
            core::cmp::Ordering::Less => true,
            core::cmp::Ordering::Greater => false,
            core::cmp::Ordering::Equal => is_within(one, two) && !is_within(two, one),
        }
    }

    /// By comparing every pair: the routes equal to an earlier one, those ambiguous with another, and the public ones inside a
    /// protected one.
    fn by_pairs(routes: &[(&str, &str)]) -> [Vec<usize>; 3] {
        let patterns: Vec<Pattern> =
            routes.iter().map(|(path, _)| Pattern::parse(path, Unicode::TABLES).unwrap()).collect();
        let mut found = [Vec::new(), Vec::new(), Vec::new()];
        let [same, ambiguous, public] = &mut found;
        for (at, pattern) in patterns.iter().enumerate() {
            for (other_at, other) in
                patterns.iter().enumerate().filter(|(other_at, other)| *other_at != at && overlap(pattern, other))
            {
                if is_within(pattern, other) && is_within(other, pattern) {
                    if other_at < at {
                        same.push(at);
                    }
                } else if beats(pattern, other) {
                    if routes[at].1 == "none" && routes[other_at].1 == "required" && pattern.kind() != Kind::Exact {
                        public.push(at);
                    }
                } else if !beats(other, pattern) {
                    ambiguous.push(at);
                }
            }
        }
        found.iter_mut().for_each(Vec::dedup);
        found
    }

    #[test]
    fn the_walk_finds_what_comparing_each_with_each_finds() {
        let mut state = 7_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let mut kinds = [0; 3];
        for _ in 0..3000 {
            let routes: Vec<(String, &str)> = (0..2 + random(5))
                .map(|_| {
                    let mut path: String = (0..random(4))
                        .map(|at| ["/a".to_string(), "/b".into(), format!("/{{p{at}}}")][random(3)].clone())
                        .collect();
                    if random(3) == 0 || path.is_empty() {
                        path.push_str(["/{*rest}", "/"][random(2)]);
                    }
                    (path, ["none", "required", "optional"][random(3)])
                })
                .collect();
            let routes: Vec<(&str, &str)> = routes.iter().map(|(path, auth)| (path.as_str(), *auth)).collect();
            let found = problems(&routes);
            let [same, ambiguous, public] = by_pairs(&routes);
            let at = |what: &str| -> Vec<usize> {
                let places = found.iter().filter(|(_, message)| message.contains(what)).map(|(path, _)| path);
                let mut places: Vec<usize> = places
                    .map(|path| path.trim_start_matches("paths[").trim_end_matches(']').parse().unwrap())
                    .collect();
                places.dedup();
                places
            };
            assert_eq!(at("same path and method"), same, "{routes:?}");
            if same.is_empty() {
                // Of two ambiguous routes the later one is reported.
                let told = at("is ambiguous");
                assert_eq!(told.is_empty(), ambiguous.is_empty(), "{routes:?} {found:?}");
                assert!(told.iter().all(|at| ambiguous.contains(at)), "{routes:?} {found:?}");
                assert_eq!(at("takes requests"), public, "{routes:?} {found:?}");
            }
            for (kind, found) in kinds.iter_mut().zip([&same, &ambiguous, &public]) {
                *kind += usize::from(!found.is_empty());
            }
        }
        assert!(kinds.iter().all(|&count| count > 200), "{kinds:?}");
    }
}
