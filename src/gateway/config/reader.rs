//! Reads values of the configuration document: placeholders are resolved, and every problem is recorded with its place.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::declare::{Key, place_of_variable};
use super::suggestion::{nearest, shown, unknown};
use crate::gateway::{Platform, Unicode};
use crate::json::{Object, Value};
use crate::text::concat;

/// A problem of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its place in the document, such as `paths[2].integration.url`.
    pub path: String,
    /// What is wrong, and how to fix it.
    pub message: String,
    /// Whether the gateway refuses to serve until it is fixed.
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

/// Collects the problems found while values are read.
pub(super) struct Reader<'e> {
    env: &'e Environment<'e>,
    /// For the patterns of paths.
    pub(super) unicode: Unicode,
    random_secret: Option<&'e str>,
    /// The place of the authorizer in question, if there are several.
    authorizer: Option<String>,
    problems: Vec<Problem>,
    missing: Vec<MissingVariable>,
}

/// The parts of messages that name variables, which stand in for keys of a single authorizer only.
const STAND_INS: [&str; 5] = [
    ", or set AUTH0_DOMAIN",
    "; or set AUTH0_CLIENT_ID",
    ", or AUTH0_CLIENT_SECRET",
    ", or set AUTH0_AUDIENCE",
    ", or the site's origin in APP_BASE_URL",
];

/// A variable without a value, reported once.
struct MissingVariable {
    name: String,
    /// Index of the problem that reports it. Its place is the first one.
    problem: usize,
    other_places: Vec<String>,
}

/// A value and its place.
#[derive(Clone)]
pub(super) struct Field<'d> {
    pub(super) place: String,
    pub(super) value: Value<'d>,
    /// Whether placeholders in it are resolved. They are not in what a variable holds.
    has_placeholders: bool,
}

impl<'d> Field<'d> {
    pub(super) fn new(place: String, value: Value<'d>) -> Self {
        Self { place, value, has_placeholders: true }
    }

    /// What a variable holds.
    pub(super) fn of_variable(variable: &str, text: &'d str) -> Self {
        Self { place: place_of_variable(variable), value: Value::String(text), has_placeholders: false }
    }

    /// An element of this list.
    pub(super) fn element(&self, index: usize, value: Value<'d>) -> Self {
        Self { place: format!("{}[{index}]", self.place), value, has_placeholders: self.has_placeholders }
    }

    /// The text as it is written. Problems show this, never what a placeholder stands for: that may be secret.
    pub(super) fn written(&self) -> &'d str {
        match self.value.as_str() {
            Some(text) if self.has_placeholders => text,
            _ => "",
        }
    }
}

/// An object and its place. Without an object, all members are absent.
#[derive(Clone)]
pub(super) struct Section<'d> {
    pub(super) place: String,
    object: Option<Object<'d>>,
    /// The values of keys that neither the object nor a variable has.
    preset: Option<Object<'d>>,
}

impl<'d> Section<'d> {
    pub(super) fn new(place: String, object: Option<Object<'d>>) -> Self {
        Self { place, object, preset: None }
    }

    /// The same section with the members of a preset.
    pub(super) fn with_preset(self, preset: Object<'d>) -> Self {
        Self { preset: Some(preset), ..self }
    }

    /// The member, unless it is absent or null.
    pub(super) fn get(&self, name: &str) -> Option<Field<'d>> {
        let value = self.object?.get(name).filter(|value| !matches!(value, Value::Null))?;
        Some(Field::new(self.at(name), value))
    }

    /// The value that stands in for a member that is absent.
    pub(super) fn preset(&self, name: &str) -> Option<Field<'d>> {
        Some(Field::new(self.at(name), self.preset?.get(name)?))
    }

    /// The place of a member.
    pub(super) fn at(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_string() } else { format!("{}.{name}", self.place) }
    }

    /// The members, each with its name.
    pub(super) fn members(&self) -> impl Iterator<Item = (&'d str, Field<'d>)> + '_ {
        let members = self.object.iter().flat_map(Object::iter);
        members.map(|(name, value)| (name, Field::new(self.at(name), value)))
    }
}

impl<'e> Reader<'e> {
    pub(super) fn new(env: &'e Environment<'e>, platform: Platform<'e>) -> Self {
        let Platform { unicode, random_secret } = platform;
        Self { env, unicode, random_secret, authorizer: None, problems: Vec::new(), missing: Vec::new() }
    }

    /// A reader of the same environment, whose problems are not reported.
    pub(super) fn without_problems(&self) -> Self {
        Self {
            env: self.env,
            unicode: self.unicode,
            random_secret: None,
            authorizer: None,
            problems: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// The secret that seals sessions where none is configured.
    pub(super) fn random_secret(&self) -> Option<&'e str> {
        self.random_secret
    }

    /// Enters the authorizer at this place, one of several: what is reported about `authorizer` is about it, and no variable stands in
    /// for its keys.
    pub(super) fn enter_authorizer(&mut self, place: Option<&str>) {
        self.authorizer = place.map(ToString::to_string);
    }

    /// The variable that stands in for a key.
    pub(super) fn stand_in(&self, name: &str) -> Option<String> {
        // A variable such as a client secret is for one authorizer, and must not reach the provider of another.
        if self.authorizer.is_some() { None } else { self.variable(name) }
    }

    /// A place or message about `authorizer`, in terms of the one in question.
    fn in_authorizer(&self, text: &str) -> String {
        match (&self.authorizer, text.strip_prefix("authorizer")) {
            (Some(place), Some(rest)) if rest.is_empty() || rest.starts_with('.') => concat(&[place, rest]),
            _ => text.to_string(),
        }
    }

    pub(super) fn error(&mut self, place: &str, message: impl fmt::Display) {
        self.problem(place, &message, true);
    }

    pub(super) fn warn(&mut self, place: &str, message: impl fmt::Display) {
        self.problem(place, &message, false);
    }

    fn problem(&mut self, place: &str, message: &dyn fmt::Display, is_error: bool) {
        let path = if place.is_empty() { "(document)".to_string() } else { self.in_authorizer(place) };
        let mut problem = Problem { path, message: message.to_string(), is_error };
        if let Some(authorizer) = &self.authorizer {
            for variable in STAND_INS {
                problem.message = problem.message.replace(variable, "");
            }
            problem.message = problem.message.replace("authorizer.", &concat(&[authorizer, "."]));
        }
        // A mistake in what authorizers share, or in a client that several parts of one use, is one problem.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub(super) fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.is_error)
    }

    /// Whether an error is reported at this place, so that what follows from it is not.
    pub(super) fn has_error_at(&self, place: &str) -> bool {
        let place = self.in_authorizer(place);
        self.problems.iter().any(|problem| problem.is_error && problem.path == place)
    }

    /// Whether an error is reported at a member of this place.
    pub(super) fn has_error_inside(&self, place: &str) -> bool {
        let is_inside = |path: &str| path.strip_prefix(place).is_some_and(|rest| rest.starts_with('.'));
        self.problems.iter().any(|problem| problem.is_error && is_inside(&problem.path))
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems;
        for missing in self.missing.iter().filter(|missing| !missing.other_places.is_empty()) {
            if let Some(problem) = problems.get_mut(missing.problem) {
                problem.message.push_str("; also used at ");
                problem.message.push_str(&missing.other_places.join(", "));
            }
        }
        problems
    }

    /// A variable of the environment, unless it is unset or empty.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// The object of a field.
    pub(super) fn object<'d>(&mut self, field: &Field<'d>) -> Option<Section<'d>> {
        let object = field.value.as_object();
        if object.is_none() {
            self.error(&field.place, "must be an object");
        }
        object.map(|object| Section::new(field.place.clone(), Some(object)))
    }

    /// Reports the members that are neither the tag of a section nor declared.
    pub(super) fn refuse_unknown(&mut self, section: &Section<'_>, tag: Option<&'static str>, keys: &'static [Key]) {
        let is_declared = |name: &str| tag == Some(name) || keys.iter().any(|key| key.name == name);
        for (name, field) in section.members().filter(|(name, _)| !is_declared(name)) {
            let names: Vec<&str> = tag.into_iter().chain(keys.iter().map(|key| key.name)).collect();
            self.error(&field.place, super::unknown_key(name, &names));
        }
    }

    /// A string with its placeholders resolved.
    pub(super) fn string(&mut self, field: &Field<'_>) -> Option<String> {
        match field.value {
            Value::String(text) if field.has_placeholders => self.resolve(&field.place, text),
            Value::String(text) => Some(text.into()),
            _ => {
                self.error(&field.place, "must be a string");
                None
            }
        }
    }

    /// A string that is not empty.
    pub(super) fn text(&mut self, field: &Field<'_>) -> Option<String> {
        let text = self.string(field)?;
        if text.is_empty() {
            self.error(&field.place, "must not be empty");
            return None;
        }
        self.refuse_foreign_placeholders(field)?;
        Some(text)
    }

    /// Refuses what is a placeholder to other tools: taken literally, it would be a secret that anyone can guess, or text for an origin.
    /// `None` if there is one.
    pub(super) fn refuse_foreign_placeholders(&mut self, field: &Field<'_>) -> Option<()> {
        let text = field.written();
        let is_foreign =
            ["${", "{{", "process.env", "import.meta.env", "Deno.env"].iter().any(|one| text.contains(one))
                || text.strip_prefix('$').is_some_and(is_constant)
                || text.strip_prefix('%').and_then(|rest| rest.strip_suffix('%')).is_some_and(is_constant);
        if is_foreign {
            self.error(&field.place, "has a placeholder of another tool: write $env.NAME or $secrets.NAME");
        }
        (!is_foreign).then_some(())
    }

    /// The position of a string among these words.
    pub(super) fn choose(&mut self, field: &Field<'_>, words: &[&str]) -> Option<usize> {
        let text = self.string(field)?;
        let found = words.iter().position(|word| *word == text);
        if found.is_none() {
            let message = unknown("value", field.written(), words);
            self.error(&field.place, format_args!("{message}; one of {}", words.join(", ")));
        }
        found
    }

    /// Replaces `$env.NAME` and `$secrets.NAME` by the value of that variable.
    fn resolve(&mut self, place: &str, text: &str) -> Option<String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut is_complete = true;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            rest = after;
            match Placeholder::read(after) {
                Placeholder::None => out.push('$'),
                Placeholder::Variable { kind, name, rest: after } => {
                    rest = after;
                    match self.variable(name) {
                        Some(value) => out.push_str(&value),
                        None => {
                            is_complete = false;
                            self.report_missing(place, kind, name);
                        }
                    }
                }
                Placeholder::Unknown(word) => {
                    is_complete = false;
                    self.error(place, unknown_placeholder(word));
                }
            }
        }
        out.push_str(rest);
        is_complete.then_some(out)
    }

    fn report_missing(&mut self, place: &str, kind: &str, name: &str) {
        if let Some(missing) = self.missing.iter_mut().find(|missing| missing.name == name) {
            let is_first = self.problems.get(missing.problem).is_some_and(|problem| problem.path == place);
            if !is_first && missing.other_places.last().is_none_or(|last| last != place) {
                missing.other_places.push(place.into());
            }
            return;
        }
        self.missing.push(MissingVariable {
            name: name.into(),
            problem: self.problems.len(),
            other_places: Vec::new(),
        });
        self.error(place, format_args!("{kind} {name} is not set"));
    }
}

/// What follows a `$`.
enum Placeholder<'t> {
    /// Nothing: the sign stands for itself, as in `$5`.
    None,
    Variable {
        kind: &'static str,
        name: &'t str,
        /// The text after it.
        rest: &'t str,
    },
    /// A word that looks like the beginning of a placeholder.
    Unknown(&'t str),
}

impl<'t> Placeholder<'t> {
    fn read(text: &'t str) -> Self {
        let (word, after) = split_at(text, |c| c.is_ascii_alphabetic());
        let kind = match word {
            "env" => Some("environment variable"),
            "secrets" | "secret" => Some("secret"),
            _ => None,
        };
        let (name, rest) = after.strip_prefix('.').map(|name| split_at(name, is_name)).unwrap_or_default();
        match kind {
            Some(kind) if !name.is_empty() => Self::Variable { kind, name, rest },
            Some(_) => Self::Unknown(word),
            None if is_template(word) || looks_like_variable(word, name) => Self::Unknown(word),
            None => Self::None,
        }
    }
}

fn split_at(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether a word is the name of a variable, such as `CLIENT_SECRET`.
fn is_constant(word: &str) -> bool {
    word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Whether `$word.name` is more likely a misspelt placeholder than text of its own, such as a script's `$element.hide()`.
fn looks_like_variable(word: &str, name: &str) -> bool {
    let is_constant = !name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_lowercase());
    !word.is_empty() && (is_constant || !name.is_empty() && nearest(word, &["secrets"]).is_some())
}

/// Whether a word after `$` belongs to the templates of headers.
fn is_template(word: &str) -> bool {
    matches!(word, "claims" | "claim" | "token" | "tokens")
}

/// The message for `$word` where it means nothing.
pub(super) fn unknown_placeholder(word: &str) -> String {
    match word {
        "env" => "$env needs the name of a variable: $env.NAME".to_string(),
        "secrets" | "secret" => "$secrets needs the name of a secret: $secrets.NAME".to_string(),
        word if is_template(word) => format!("${} stands alone, and in header values only", shown(word)),
        word if word.starts_with("env") => format!("unknown placeholder \"${}\"; did you mean \"$env\"?", shown(word)),
        word => unknown("placeholder", &format!("${word}"), &["$env", "$secrets"]),
    }
}
