//! Reading configuration: values by path, placeholders resolved, every problem noted with where it is.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::gateway::{Platform, Unicode};
use crate::json::{Number, Object, Value};

/// Something in the configuration that needs a person's attention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: `paths[2].integration.url`.
    pub path: String,
    /// What, and what to do.
    pub message: String,
    /// Whether the gateway refuses to serve until it is mended.
    pub is_error: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_error { "error" } else { "warning" };
        write!(f, "{kind} at {}: {}", self.path, self.message)
    }
}

impl core::error::Error for Problem {}

/// The environment: variables and secrets by name.
pub type Environment<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// Collects problems while values are read.
pub(super) struct Reader<'e> {
    env: &'e Environment<'e>,
    /// For the patterns of paths.
    pub(super) unicode: Unicode,
    random_secret: Option<&'e str>,
    problems: Vec<Problem>,
}

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Field<'d> {
    pub(super) path: String,
    pub(super) value: Value<'d>,
}

/// An object and where it stands.
#[derive(Clone)]
pub(super) struct Section<'d> {
    pub(super) path: String,
    object: Object<'d>,
}

impl<'d> Section<'d> {
    pub(super) fn root(object: Object<'d>) -> Self {
        Self { path: String::new(), object }
    }

    /// The member, if it is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<Field<'d>> {
        let value = self.object.get(name).filter(|value| !matches!(value, Value::Null))?;
        Some(Field { path: self.path_of(name), value })
    }

    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) }
    }

    /// The members, each with its name.
    pub(super) fn members(&self) -> impl Iterator<Item = (&'d str, Field<'d>)> + '_ {
        self.object.iter().map(|(name, value)| (name, Field { path: self.path_of(name), value }))
    }
}

impl<'e> Reader<'e> {
    pub(super) fn new(env: &'e Environment<'e>, platform: Platform<'e>) -> Self {
        let Platform { unicode, random_secret } = platform;
        Self { env, unicode, random_secret, problems: Vec::new() }
    }

    /// What seals sessions where no secret is configured.
    pub(super) fn random_secret(&self) -> Option<&'e str> {
        self.random_secret
    }

    pub(super) fn error(&mut self, path: &str, message: impl fmt::Display) {
        self.problem(path, &message, true);
    }

    pub(super) fn warn(&mut self, path: &str, message: impl fmt::Display) {
        self.problem(path, &message, false);
    }

    fn problem(&mut self, path: &str, message: &dyn fmt::Display, is_error: bool) {
        let path = if path.is_empty() { "(document)".to_string() } else { path.to_string() };
        self.problems.push(Problem { path, message: message.to_string(), is_error });
    }

    pub(super) fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.is_error)
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// A variable of the environment, if it is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// An object with these members only.
    pub(super) fn section<'d>(&mut self, field: &Field<'d>, known: &[&str]) -> Option<Section<'d>> {
        let Some(object) = field.value.as_object() else {
            self.error(&field.path, "must be an object");
            return None;
        };
        let section = Section { path: field.path.clone(), object };
        self.refuse_unknown(&section, known);
        Some(section)
    }

    pub(super) fn refuse_unknown(&mut self, section: &Section<'_>, known: &[&str]) {
        for (name, field) in section.members() {
            if !known.contains(&name) {
                self.error(&field.path, unknown("key", name, known));
            }
        }
    }

    /// A string, placeholders resolved.
    pub(super) fn string(&mut self, field: &Field<'_>) -> Option<String> {
        match field.value {
            Value::String(text) => self.resolve(&field.path, text),
            _ => {
                self.error(&field.path, "must be a string");
                None
            }
        }
    }

    /// A string that is not empty.
    pub(super) fn text(&mut self, field: &Field<'_>) -> Option<String> {
        let text = self.string(field)?;
        if text.is_empty() {
            self.error(&field.path, "must not be empty");
            return None;
        }
        Some(text)
    }

    /// A list of strings; a single string counts as a list of one.
    pub(super) fn strings(&mut self, field: &Field<'_>) -> Option<Vec<String>> {
        match field.value {
            Value::String(_) => Some(Vec::from([self.text(field)?])),
            Value::Array(array) => {
                let mut all = Vec::new();
                let mut complete = true;
                for (index, value) in array.iter().enumerate() {
                    match self.text(&Field { path: format!("{}[{index}]", field.path), value }) {
                        Some(text) => all.push(text),
                        None => complete = false,
                    }
                }
                complete.then_some(all)
            }
            _ => {
                self.error(&field.path, "must be a string or a list of strings");
                None
            }
        }
    }

    /// A whole number within bounds; a string of digits is taken too, for values that come from variables.
    pub(super) fn number(&mut self, field: &Field<'_>, least: u32, most: u32) -> Option<u32> {
        let number = match field.value {
            Value::Number(Number::Unsigned(number)) => u32::try_from(number).ok(),
            Value::String(text) => self.resolve(&field.path, text)?.parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.error(&field.path, format_args!("must be a whole number from {least} to {most}"));
        }
        number
    }

    pub(super) fn boolean(&mut self, field: &Field<'_>) -> Option<bool> {
        if let Value::Bool(value) = field.value {
            return Some(value);
        }
        self.error(&field.path, "must be true or false");
        None
    }

    /// One of these words.
    pub(super) fn choice<T: Copy>(&mut self, field: &Field<'_>, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string(field)?;
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            // As it is written: what a placeholder stands for may be secret.
            let written = field.value.as_str().unwrap_or_default();
            self.error(&field.path, format_args!("{}; one of {}", unknown("value", written, &names), names.join(", ")));
        }
        found
    }

    /// Replaces `$env.NAME` and `$secrets.NAME` by what the environment says.
    fn resolve(&mut self, path: &str, text: &str) -> Option<String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut complete = true;
        while let Some(at) = rest.find('$') {
            let (before, from) = rest.split_at_checked(at)?;
            out.push_str(before);
            let named = ["$env.", "$secrets.", "$secret."].iter().find_map(|prefix| from.strip_prefix(prefix));
            let Some(named) = named else {
                out.push('$');
                rest = from.get(1..).unwrap_or_default();
                continue;
            };
            let end = named.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(named.len());
            let (name, after) = named.split_at_checked(end)?;
            match self.variable(name) {
                Some(value) => out.push_str(&value),
                None => {
                    complete = false;
                    let what = if from.starts_with("$env.") { "environment variable" } else { "secret" };
                    self.error(path, format_args!("{what} {name} is not set"));
                }
            }
            rest = after;
        }
        out.push_str(rest);
        complete.then_some(out)
    }
}

fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|one| (distance(name, one), *one)).min();
    match nearest {
        Some((changes, near)) if changes <= 2.max(near.len() / 3) => {
            format!("unknown {what} \"{}\"; did you mean \"{near}\"?", shown(name))
        }
        _ => format!("unknown {what} \"{}\"", shown(name)),
    }
}

/// A name from the document, fit for a log line.
fn shown(name: &str) -> String {
    name.chars().take(40).filter(|c| !c.is_control()).collect()
}

/// Levenshtein distance, letters compared without case.
fn distance(one: &str, two: &str) -> usize {
    let two: Vec<char> = two.chars().collect();
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (i, a) in one.chars().take(64).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = Vec::from([left]);
        for (b, above) in two.iter().zip(row.iter().skip(1)) {
            let same = usize::from(!a.eq_ignore_ascii_case(b));
            left = (diagonal + same).min(left + 1).min(above + 1);
            next.push(left);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{distance, unknown};

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("autorizer", "authorizer"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("Paths", "paths"), 0);
    }

    #[test]
    fn the_nearest_known_name_is_suggested() {
        assert_eq!(
            unknown("key", "autorizer", &["authorizer", "paths"]),
            "unknown key \"autorizer\"; did you mean \"authorizer\"?"
        );
        assert_eq!(unknown("key", "xyzzy", &["authorizer", "paths"]), "unknown key \"xyzzy\"");
    }
}
