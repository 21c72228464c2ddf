//! A copy of the checkout whose sources have the mutants, and its build.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Group;
use crate::find::{self, Edit};
use crate::instrument::{self, Place};

/// Numbers below are not mutants.
const FIRST: usize = 10;

const TEST_PROFILE: &str = "[profile.test]\nopt-level = 1\n";
/// Quick to build: optimized is only the arithmetic.
const QUICK_PROFILE: &str = "[profile.test]\nopt-level = 0\n
[profile.test.package.edgeward]\ndebug = false\nopt-level = 0\n
[profile.test.package.edgeward-rsa]\ndebug = false\nopt-level = 1\n";

pub struct Mutant {
    pub file: String,
    pub line: usize,
    pub name: String,
    /// False if the changed code does not compile.
    pub is_viable: bool,
}

struct Source {
    file: String,
    text: String,
    edits: Vec<Edit>,
    id: usize,
    places: Vec<Place>,
}

/// A binary of tests, and the folder it runs in.
pub struct Binary {
    pub name: String,
    pub path: PathBuf,
    pub folder: PathBuf,
}

pub struct Tree {
    pub root: PathBuf,
    pub work: PathBuf,
    pub mutants: Vec<Mutant>,
    pub binaries: Vec<Binary>,
    pub group: &'static Group,
    sources: Vec<Source>,
    left_out: HashSet<usize>,
}

impl Tree {
    /// The mutants of the sources whose path begins with one of `parts`, or of all.
    pub fn new(root: &Path, group: &'static Group, tests: &[&str], parts: &[String]) -> Self {
        let mut tree = Self {
            root: root.to_owned(),
            work: root.join("target/mutants"),
            mutants: Vec::new(),
            binaries: Vec::new(),
            group,
            sources: Vec::new(),
            left_out: HashSet::new(),
        };
        let mut files = tree.files();
        files.retain(|file| {
            let is_in = |one: &&str| file == one || file.starts_with(&format!("{one}/"));
            file.ends_with(".rs")
                && group.sources.iter().any(is_in)
                && !tests.contains(&file.as_str())
                && (parts.is_empty() || parts.iter().any(|part| file.starts_with(part.as_str())))
        });
        for file in files {
            let text = fs::read_to_string(tree.root.join(&file)).expect("a source file");
            let found = find::find(&text);
            let id = FIRST + tree.mutants.len();
            tree.mutants.extend(found.mutants.into_iter().map(|mutant| Mutant {
                file: file.clone(),
                line: mutant.line,
                name: mutant.name,
                is_viable: true,
            }));
            tree.sources.push(Source { file, text, edits: found.edits, id, places: Vec::new() });
        }
        tree
    }

    /// The number that turns a mutant on.
    pub fn id(index: usize) -> usize {
        FIRST + index
    }

    pub fn index(id: usize) -> usize {
        id - FIRST
    }

    /// What Git has, or would add.
    fn files(&self) -> Vec<String> {
        let output = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .current_dir(&self.root)
            .output()
            .expect("git");
        let mut files: Vec<String> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .filter(|file| self.root.join(file).is_file())
            .collect();
        files.sort();
        files.dedup();
        files
    }

    fn copy(&self) -> PathBuf {
        self.work.join(self.group.name)
    }

    fn write(&mut self) {
        let copy = self.copy();
        let size = FIRST + self.mutants.len();
        let mut written: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for source in &mut self.sources {
            let (text, places) = instrument::instrument(&source.text, &source.edits, source.id, &self.left_out);
            source.places = places;
            written.insert(source.file.clone(), text.into_bytes());
        }
        let mut here = HashSet::new();
        for file in self.files() {
            let mut content = written.remove(&file).unwrap_or_else(|| fs::read(self.root.join(&file)).expect("a file"));
            if file == "src/lib.rs" || file == "rsa/src/lib.rs" {
                content.extend_from_slice(instrument::switch(size).as_bytes());
            }
            if file == "Cargo.toml" {
                content = String::from_utf8_lossy(&content).replace(TEST_PROFILE, QUICK_PROFILE).into_bytes();
            }
            let path = copy.join(&file);
            // An unchanged file keeps its time, and Cargo does not build it again.
            if fs::read(&path).ok().as_ref() != Some(&content) {
                fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                fs::write(&path, content).expect("a writable folder");
            }
            here.insert(path);
        }
        remove_others(&copy, &here);
    }

    /// Builds every test. What does not compile is left out, until the rest does.
    pub fn build(&mut self) {
        for check in [true, false] {
            loop {
                self.write();
                let (succeeded, messages) = self.cargo(check);
                if succeeded {
                    self.binaries = binaries(&messages, &self.work.join(format!("{}-tests", self.group.name)));
                    break;
                }
                let before = self.left_out.len();
                for message in &messages {
                    self.leave_out(message);
                }
                eprintln!("mutants: {} do not compile", self.left_out.len());
                assert!(self.left_out.len() > before, "the instrumented sources do not compile");
            }
        }
        for id in &self.left_out {
            self.mutants[Self::index(*id)].is_viable = false;
        }
    }

    fn cargo(&self, check: bool) -> (bool, Vec<Value>) {
        let mut command = Command::new("cargo");
        command.args(if check { &["check", "--lib"][..] } else { &["test", "--no-run", "--lib"] });
        if !check {
            command.args(self.group.tests.iter().flat_map(|test| ["--test", test]));
        }
        command
            .args(["--locked", "--all-features", "--package", "edgeward", "--package", "edgeward-tests"])
            .args(if self.group.name == "rsa" { &["--package", "edgeward-rsa"][..] } else { &[] })
            .args(["--quiet", "--message-format", "json", "--target-dir"])
            .arg(self.work.join("build"))
            .current_dir(self.copy())
            .stderr(Stdio::inherit());
        let output = command.output().expect("cargo");
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Leaves out the mutants that an error of the compiler is about.
    fn leave_out(&mut self, message: &Value) {
        let message = &message["message"];
        if message["level"] != "error" {
            return;
        }
        let spans = message["spans"].as_array().cloned().unwrap_or_default();
        let primary = spans.iter().filter(|span| span["is_primary"] == true);
        let mut ids = Vec::new();
        for span in primary.chain(&spans) {
            let span = outermost(span);
            let Some(source) = self.sources.iter().find(|source| span["file_name"] == source.file) else { continue };
            let number = |name: &str| span[name].as_u64().unwrap_or_default() as usize;
            let range = number("byte_start")..number("byte_end");
            let contains = |outer: &std::ops::Range<usize>| outer.start <= range.start && range.end <= outer.end;
            ids.extend(source.places.iter().filter(|place| contains(&place.own)).map(|place| place.mutant));
            if ids.is_empty() {
                // The error is about the choice as a whole: the innermost.
                let whole = source.places.iter().filter(|place| contains(&place.whole)).map(|place| &place.whole);
                if let Some(whole) = whole.min_by_key(|whole| whole.len()) {
                    ids.extend(source.places.iter().filter(|place| place.whole == *whole).map(|place| place.mutant));
                }
            }
            if !ids.is_empty() {
                break;
            }
        }
        for id in &ids {
            let mutant = &self.mutants[Self::index(*id)];
            let text = message["message"].as_str().unwrap_or_default();
            let line = format!("{}:{} {}: {text}", mutant.file, mutant.line, mutant.name);
            let log = self.work.join("unviable.log");
            let old = fs::read_to_string(&log).unwrap_or_default();
            let _ = fs::write(log, format!("{old}{line}\n"));
        }
        self.left_out.extend(ids);
    }
}

/// The place in the file, where a span is in a macro.
fn outermost(span: &Value) -> &Value {
    let mut span = span;
    while span["expansion"].is_object() {
        span = &span["expansion"]["span"];
    }
    span
}

/// Copies the binaries of the tests to `folder`: the build of another group has some of the same names.
fn binaries(messages: &[Value], folder: &Path) -> Vec<Binary> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).expect("a writable folder");
    let mut binaries = Vec::new();
    for message in messages {
        let (Some(path), Some(manifest)) = (message["executable"].as_str(), message["manifest_path"].as_str()) else {
            continue;
        };
        if message["profile"]["test"] == true {
            let name = message["target"]["name"].as_str().unwrap_or_default().to_owned();
            let copied = folder.join(Path::new(path).file_name().expect("a file"));
            fs::copy(path, &copied).expect("a writable folder");
            let package = Path::new(manifest).parent().expect("a folder").to_owned();
            binaries.push(Binary { name, path: copied, folder: package });
        }
    }
    binaries
}

fn remove_others(folder: &Path, wanted: &HashSet<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            remove_others(&path, wanted);
        } else if !wanted.contains(&path) {
            let _ = fs::remove_file(path);
        }
    }
}
