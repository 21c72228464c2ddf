//! An index of the routes by pattern, which finds the routes that match a path without visiting the others.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::pattern::{Kind, Pattern, Segment};
use super::route::Route;
use crate::http::spelling::{COMBINATIONS, Combinations, EVERY};
use crate::http::{Unicode, percent};
use crate::limits;

/// A tree of patterns with one level per segment.
#[derive(Debug)]
pub(super) struct RouteIndex {
    nodes: Vec<Node>,
    groups: Vec<Group>,
    unicode: Unicode,
}

/// Routes whose patterns match the same paths, regardless of parameter names.
#[derive(Debug)]
pub(super) struct Group {
    /// The positions of the routes, in the order of the configuration.
    pub(super) routes: Vec<usize>,
    pub(super) kind: Kind,
    /// Whether each segment is a parameter.
    parameters: Vec<bool>,
}

#[derive(Debug, Default)]
pub(super) struct Node {
    /// By the key of the literal. Literals with the same key are spellings of one another.
    literals: BTreeMap<String, Vec<(String, NodeId)>>,
    parameter: Option<NodeId>,
    /// The group of patterns that end here.
    end: Option<GroupId>,
    /// The group of patterns that match any further segments.
    rest: Option<GroupId>,
}

pub(super) type NodeId = usize;
pub(super) type GroupId = usize;

/// A group that may match a path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) group: GroupId,
    /// The combinations of spellings under which it matches.
    pub(super) combinations: Combinations,
    /// Whether it needs an empty parameter before the last segment.
    pub(super) has_empty_parameter: bool,
    /// Whether it needs the last parameter to be empty, after a trailing slash.
    pub(super) has_empty_end: bool,
}

/// A path has more candidates than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooManyCandidates;

impl RouteIndex {
    pub(super) fn new(routes: &[Route], unicode: Unicode) -> Self {
        let mut index = Self { nodes: Vec::from([Node::default()]), groups: Vec::new(), unicode };
        for (position, route) in routes.iter().enumerate() {
            index.insert(position, &route.pattern);
        }
        index
    }

    fn insert(&mut self, position: usize, pattern: &Pattern) {
        let mut at = 0;
        for segment in pattern.segments() {
            at = self.child(at, segment);
        }
        let new_group = self.groups.len();
        let Some(node) = self.nodes.get_mut(at) else { return };
        let slot = if pattern.has_rest() { &mut node.rest } else { &mut node.end };
        let group = *slot.get_or_insert(new_group);
        if group == new_group {
            let parameters = pattern.segments().iter().map(Segment::is_parameter).collect();
            self.groups.push(Group { routes: Vec::new(), kind: pattern.kind(), parameters });
        }
        if let Some(group) = self.groups.get_mut(group) {
            group.routes.push(position);
        }
    }

    fn child(&mut self, parent: NodeId, segment: &Segment) -> NodeId {
        let new_node = self.nodes.len();
        let Some(node) = self.nodes.get_mut(parent) else { return parent };
        let child = match segment {
            Segment::Parameter => *node.parameter.get_or_insert(new_node),
            Segment::Literal(literal) => {
                let spellings = node.literals.entry(self.unicode.key(literal).into_owned()).or_default();
                match spellings.iter().find(|(one, _)| one == literal) {
                    Some(&(_, child)) => child,
                    None => {
                        spellings.push((literal.clone(), new_node));
                        new_node
                    }
                }
            }
        };
        if child == new_node {
            self.nodes.push(Node::default());
        }
        child
    }

    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    pub(super) fn unicode(&self) -> Unicode {
        self.unicode
    }

    pub(super) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// Returns the groups that match these segments under some combination of spellings.
    pub(super) fn candidates<'s>(
        &self,
        segments: impl Iterator<Item = &'s str>,
    ) -> Result<Vec<Candidate>, TooManyCandidates> {
        let mut found = Vec::new();
        let mut frontier =
            Vec::from([Position { node: 0, combinations: EVERY, empty_parameters: 0, ends_empty: false }]);
        let mut next = Vec::new();
        for segment in segments {
            for position in &frontier {
                // More segments follow, so an empty parameter here is not the last one.
                self.collect(&mut found, &Position { ends_empty: false, ..*position }, |node| node.rest);
                self.step(*position, segment, &mut next);
            }
            if next.len() > limits::MAX_ROUTE_CANDIDATES {
                return Err(TooManyCandidates);
            }
            core::mem::swap(&mut frontier, &mut next);
            next.clear();
            if frontier.is_empty() {
                return Ok(found);
            }
        }
        for position in &frontier {
            self.collect(&mut found, position, |node| node.rest);
            self.collect(&mut found, position, |node| node.end);
        }
        Ok(found)
    }

    fn collect(&self, found: &mut Vec<Candidate>, position: &Position, group: impl Fn(&Node) -> Option<GroupId>) {
        if let Some(group) = self.nodes.get(position.node).and_then(group) {
            let &Position { combinations, empty_parameters, ends_empty, .. } = position;
            let inner = empty_parameters - usize::from(ends_empty);
            found.push(Candidate { group, combinations, has_empty_parameter: inner > 0, has_empty_end: ends_empty });
        }
    }

    /// Advances from a node to the children that match `segment`.
    fn step(&self, from: Position, segment: &str, next: &mut Vec<Position>) {
        #[cfg(all(test, feature = "unicode"))]
        steps::count();
        let Some(node) = self.nodes.get(from.node) else { return };
        if let Some(node) = node.parameter {
            let is_empty = segment.is_empty();
            let empty_parameters = from.empty_parameters + usize::from(is_empty);
            next.push(Position { node, empty_parameters, ends_empty: is_empty, ..from });
        }
        if node.literals.is_empty() || segment.is_empty() {
            return;
        }
        let spellings = |text: &str| node.literals.get(&*self.unicode.key(text)).map_or(&[][..], Vec::as_slice);
        for (literal, node) in spellings(segment) {
            let combinations = from.combinations & self.unicode.matching_combinations(segment, literal);
            if combinations != 0 {
                next.push(Position { node: *node, combinations, ends_empty: false, ..from });
            }
        }
        // A literal also matches its own usual encoding, in every reading.
        if segment.contains('%')
            && let Ok(decoded) = String::from_utf8(percent::decode(segment))
            && percent::is_conventional_encoding_of(segment, &decoded)
        {
            let same = spellings(&decoded).iter().filter(|(literal, _)| *literal == decoded);
            next.extend(same.map(|&(_, node)| Position { node, ends_empty: false, ..from }));
        }
    }

    /// Returns the most specific candidates under one combination: several if none is more specific than all others.
    pub(super) fn most_specific(
        &self,
        candidates: &[Candidate],
        combination: u8,
        empty_parameters: bool,
        empty_end: bool,
    ) -> Vec<GroupId> {
        let mut most_specific: Vec<GroupId> = Vec::new();
        for candidate in candidates {
            let matches = candidate.combinations & 1 << combination != 0
                && (empty_parameters || !candidate.has_empty_parameter)
                && (empty_end || !candidate.has_empty_end)
                && !most_specific.contains(&candidate.group);
            if !matches || most_specific.iter().any(|&other| self.is_more_specific(other, candidate.group)) {
                continue;
            }
            most_specific.retain(|&other| !self.is_more_specific(candidate.group, other));
            most_specific.push(candidate.group);
        }
        most_specific
    }

    /// Whether `one` is more specific than `two`, for a path that matches both: exact before parameters before rest; within a
    /// kind, the narrower.
    fn is_more_specific(&self, one: GroupId, two: GroupId) -> bool {
        let (Some(one), Some(two)) = (self.groups.get(one), self.groups.get(two)) else { return false };
        match one.kind.cmp(&two.kind) {
            core::cmp::Ordering::Less => true,
            core::cmp::Ordering::Greater => false,
            core::cmp::Ordering::Equal => one.is_within(two) && !two.is_within(one),
        }
    }
}

/// The position of a search.
#[derive(Debug, Clone, Copy)]
struct Position {
    node: NodeId,
    combinations: Combinations,
    empty_parameters: usize,
    /// Whether the last segment was an empty parameter.
    ends_empty: bool,
}

impl Group {
    /// Whether `other` matches every path of this group, given a path that matches both (so their literals are equal).
    fn is_within(&self, other: &Self) -> bool {
        let covers = |(theirs, ours): (&bool, &bool)| *theirs || !*ours;
        self.parameters.len() >= other.parameters.len() && other.parameters.iter().zip(&self.parameters).all(covers)
    }
}

impl Node {
    pub(super) fn end(&self) -> Option<GroupId> {
        self.end
    }

    pub(super) fn rest(&self) -> Option<GroupId> {
        self.rest
    }

    pub(super) fn parameter(&self) -> Option<NodeId> {
        self.parameter
    }

    /// Returns the child literals, each with its node.
    pub(super) fn literals(&self) -> impl Iterator<Item = (&str, NodeId)> {
        self.literals.values().flatten().map(|(literal, node)| (literal.as_str(), *node))
    }

    pub(super) fn literal_count(&self) -> usize {
        self.literals.len()
    }

    /// Returns the child node of this literal.
    pub(super) fn literal(&self, unicode: Unicode, literal: &str) -> Option<NodeId> {
        #[cfg(all(test, feature = "unicode"))]
        steps::count();
        let spellings = self.literals.get(&*unicode.key(literal))?;
        spellings.iter().find(|(one, _)| one == literal).map(|&(_, node)| node)
    }
}

/// Returns the number of combinations to consider: one if all candidates match exactly.
pub(super) fn combinations_of(candidates: &[Candidate]) -> u8 {
    if candidates.iter().all(|candidate| candidate.combinations == EVERY) { 1 } else { COMBINATIONS }
}

/// A step counter, for tests of cost.
#[cfg(all(test, feature = "unicode"))]
pub(super) mod steps {
    use core::cell::Cell;

    std::thread_local! {
        static STEPS: Cell<usize> = const { Cell::new(0) };
    }

    pub(in crate::gateway) fn count() {
        STEPS.set(STEPS.get() + 1);
    }

    /// Returns the number of steps that `work` takes.
    pub(in crate::gateway) fn of(work: impl FnOnce()) -> usize {
        STEPS.set(0);
        work();
        STEPS.get()
    }
}

#[cfg(test)]
#[cfg(feature = "unicode")]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use super::{Candidate, RouteIndex, TooManyCandidates, combinations_of};
    use crate::gateway::pattern::Pattern;
    use crate::http::Unicode;
    use crate::http::spelling::{COMBINATIONS, Combinations, EVERY};
    use crate::limits;

    fn index(patterns: &[impl AsRef<str>]) -> RouteIndex {
        let mut index = RouteIndex::new(&[], Unicode::TABLES);
        for (position, pattern) in patterns.iter().enumerate() {
            index.insert(position, &Pattern::parse(pattern.as_ref(), Unicode::TABLES).unwrap());
        }
        index
    }

    /// Returns the candidates for a reading such as `a/b`.
    fn candidates(patterns: &[impl AsRef<str>], reading: &str) -> Result<Vec<Candidate>, TooManyCandidates> {
        index(patterns).candidates(reading.split('/'))
    }

    /// Returns the pattern of each candidate, with the combinations of spellings under which it matches.
    fn matching<'p>(patterns: &[&'p str], reading: &str) -> Vec<(&'p str, Combinations)> {
        let found = candidates(patterns, reading).unwrap();
        found.iter().map(|candidate| (patterns[candidate.group], candidate.combinations)).collect()
    }

    /// Returns the most specific patterns under a combination of spellings.
    fn most_specific<'p>(patterns: &[&'p str], reading: &str, combination: u8) -> Vec<&'p str> {
        let index = index(patterns);
        let found = index.candidates(reading.split('/')).unwrap();
        index.most_specific(&found, combination, true, true).into_iter().map(|group| patterns[group]).collect()
    }

    #[test]
    fn an_empty_parameter_at_the_end_is_told_from_one_before() {
        for (pattern, reading, has_empty_parameter, has_empty_end) in [
            ("/{a}/{b}", "x/y", false, false),
            ("/{a}/{b}", "x/", false, true),
            ("/{a}/{b}", "/x", true, false),
            ("/{a}/{b}", "/", true, true),
            ("/{a}/b", "/b", true, false),
            ("/{a}/b", "/B", true, false),
            ("/{a}/@me", "/%40me", true, false),
            ("/{a}/{*rest}", "/x", true, false),
            ("/x/{a}/{*rest}", "x/", false, true),
            ("/x/{*rest}", "x/", false, false),
        ] {
            let found = candidates(&[pattern], reading).unwrap();
            let needs: Vec<_> = found.iter().map(|one| (one.has_empty_parameter, one.has_empty_end)).collect();
            assert_eq!(needs, [(has_empty_parameter, has_empty_end)], "{pattern} {reading}");
        }
    }

    #[test]
    fn a_literal_matches_its_usual_encoding_and_no_other_literal_does() {
        let patterns = ["/@ME", "/@me", "/@me/x", "/{*rest}"];
        assert_eq!(matching(&patterns, "%40me"), [("/{*rest}", EVERY), ("/@me", EVERY)]);
        assert_eq!(matching(&patterns, "%40me/x"), [("/{*rest}", EVERY), ("/@me/x", EVERY)]);
        assert_eq!(matching(&patterns, "%40m%65"), [("/{*rest}", EVERY)]);
    }

    #[test]
    fn an_empty_segment_matches_no_literal() {
        for literal in ["/%C2%AD/x", "/a/x"] {
            assert_eq!(matching(&[literal, "/{a}/x"], "/x"), [("/{a}/x", EVERY)], "{literal}");
        }
    }

    #[test]
    fn candidates_are_bounded() {
        // On each of the levels, a literal beside a parameter: every level doubles the candidates.
        let levels = limits::MAX_ROUTE_CANDIDATES.ilog2();
        let pattern = |bits: usize| -> String {
            (0..levels)
                .map(|level| if bits >> level & 1 == 0 { "/a".to_string() } else { alloc::format!("/{{p{level}}}") })
                .collect()
        };
        let mut patterns: Vec<String> = (0..limits::MAX_ROUTE_CANDIDATES).map(pattern).collect();
        let path = pattern(0).split_off(1);
        assert_eq!(candidates(&patterns, &path).unwrap().len(), limits::MAX_ROUTE_CANDIDATES, "up to the limit");
        // Another spelling of the last segment.
        patterns.push(alloc::format!("{}A", pattern(0).strip_suffix('a').unwrap()));
        assert_eq!(candidates(&patterns, &path).unwrap_err(), TooManyCandidates);
    }

    #[test]
    fn of_two_spellings_of_a_literal_none_is_more_specific() {
        for patterns in [["/admin", "/Admin", "/{x}"], ["/Admin", "/admin", "/{x}"]] {
            let [one, two, parameter] = patterns;
            assert_eq!(most_specific(&patterns, "ADMIN", 0), [parameter], "as it is");
            assert_eq!(most_specific(&patterns, "admin", 0), ["/admin"], "as it is");
            assert_eq!(most_specific(&patterns, "ADMIN", 1), [one, two], "case folded");
            assert_eq!(most_specific(&patterns, "Admin", COMBINATIONS - 1), [one, two], "transformed in every way");
        }
    }

    #[test]
    fn the_narrower_of_two_patterns_is_more_specific() {
        for (one, two, expected) in [
            ("/a/{x}", "/{x}/{y}", &["/a/{x}"][..]),
            ("/a/{*rest}", "/{*rest}", &["/a/{*rest}"]),
            ("/a/b", "/a/{x}", &["/a/b"]),
            ("/{x}/{y}", "/a/{*rest}", &["/{x}/{y}"]),
            ("/a/{x}", "/{x}/b", &["/a/{x}", "/{x}/b"]),
            ("/a/{*rest}", "/{x}/b/{*rest}", &["/a/{*rest}", "/{x}/b/{*rest}"]),
        ] {
            for patterns in [[one, two], [two, one]] {
                let mut found = most_specific(&patterns, "a/b", 0);
                found.sort_by_key(|pattern| *pattern != one);
                assert_eq!(found, expected, "{patterns:?}");
            }
        }
    }

    #[test]
    fn spellings_count_where_a_candidate_does_not_match_exactly() {
        for (patterns, reading, count) in [
            (&["/admin", "/{x}"][..], "admin", 1),
            (&["/admin", "/{x}"], "ADMIN", COMBINATIONS),
            (&["/admin"], "ADMIN", COMBINATIONS),
            (&["/admin"], "other", 1),
        ] {
            assert_eq!(combinations_of(&candidates(patterns, reading).unwrap()), count, "{patterns:?} {reading}");
        }
    }
}
