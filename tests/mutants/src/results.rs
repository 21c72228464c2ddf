//! The file of results, and what it says.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::process::Command;

use crate::run::Outcome;
use crate::tree::Tree;

/// Explanations of mutants that no test can kill: a line `FILE FUNCTION: CHANGE`, then the reason, indented.
const EXPLANATIONS: &str = "tests/mutants/equivalent.txt";
const RESULTS: &str = "tests/mutants/results.txt";
/// The least share of killed mutants, in percent.
const BAR: f64 = 95.0;

#[derive(Default, Clone)]
struct Counts {
    killed: usize,
    explained: usize,
    survived: usize,
    unviable: usize,
    commit: String,
}

impl Counts {
    fn percent(&self) -> f64 {
        let viable = self.killed + self.explained + self.survived;
        if viable == 0 { 100.0 } else { 100.0 * self.killed as f64 / viable as f64 }
    }

    fn add(&mut self, other: &Self) {
        self.killed += other.killed;
        self.explained += other.explained;
        self.survived += other.survived;
        self.unviable += other.unviable;
    }
}

/// Writes the counts of the files that were run into the results, prints the survivors, and returns whether all is well.
pub fn report(tree: &Tree, outcomes: &[Outcome]) -> bool {
    let explanations = explanations(tree);
    let mut used: HashMap<&str, bool> = explanations.keys().map(|key| (key.as_str(), false)).collect();
    let commit = commit(tree);
    let mut files: BTreeMap<String, Counts> = BTreeMap::new();
    let mut unexplained = Vec::new();
    let mut contradicted = Vec::new();
    for (mutant, outcome) in tree.mutants.iter().zip(outcomes) {
        let counts = files.entry(mutant.file.clone()).or_default();
        counts.commit.clone_from(&commit);
        let key = format!("{} {}", mutant.file, mutant.name);
        let explained = used.get_mut(key.as_str());
        match outcome {
            Outcome::Unviable => counts.unviable += 1,
            Outcome::Killed => {
                counts.killed += 1;
                if let Some(used) = explained {
                    *used = true;
                    contradicted.push(key);
                }
            }
            Outcome::Survived | Outcome::Unreached => {
                if let Some(used) = explained {
                    *used = true;
                    counts.explained += 1;
                } else {
                    counts.survived += 1;
                    unexplained.push(format!(
                        "{key}\n  line {}, {}",
                        mutant.line,
                        match outcome {
                            Outcome::Unreached => "reached by no test",
                            _ => "no test fails",
                        }
                    ));
                }
            }
        }
    }
    let run: Vec<String> = files.keys().cloned().collect();
    for line in &unexplained {
        println!("{line}");
    }
    for key in &contradicted {
        println!("explained, and killed: {key}");
    }
    let unknown =
        used.iter().filter(|(key, used)| !**used && run.iter().any(|file| key.starts_with(&format!("{file} "))));
    for (key, _) in unknown.clone() {
        println!("explained, and not a mutant: {key}");
    }
    let stale = unknown.count() + contradicted.len();
    for (file, counts) in previous(tree) {
        if tree.root.join(&file).is_file() {
            files.entry(file).or_insert(counts);
        }
    }
    let mut sum = Counts::default();
    let mut table = String::new();
    for (file, counts) in &files {
        sum.add(counts);
        table.push_str(&row(file, counts));
    }
    sum.commit = "-".into();
    let head = "# Mutants by file, as `make mutants` found them: killed by a test, explained in equivalent.txt, survived, and those that\n\
                # do not compile; the share of killed ones; the commit.\n";
    let names = format!(
        "{:<32} {:>6} {:>9} {:>8} {:>8} {:>7} {}\n",
        "file", "killed", "explained", "survived", "unviable", "percent", "commit"
    );
    let total = row("total", &sum);
    fs::write(tree.root.join(RESULTS), format!("{head}{names}{table}{total}")).expect("a writable checkout");
    print!("{names}{table}{total}");
    let unexplained = unexplained.len();
    println!("{unexplained} survivors without an explanation");
    unexplained + stale == 0 && sum.percent() >= BAR
}

fn row(file: &str, counts: &Counts) -> String {
    let Counts { killed, explained, survived, unviable, commit } = counts;
    let percent = counts.percent();
    format!("{file:<32} {killed:>6} {explained:>9} {survived:>8} {unviable:>8} {percent:>7.1} {commit}\n")
}

fn previous(tree: &Tree) -> BTreeMap<String, Counts> {
    let text = fs::read_to_string(tree.root.join(RESULTS)).unwrap_or_default();
    let mut files = BTreeMap::new();
    for line in text.lines() {
        let [file, killed, explained, survived, unviable, _, commit] = line.split_whitespace().collect::<Vec<_>>()[..]
        else {
            continue;
        };
        let (Ok(killed), Ok(explained), Ok(survived), Ok(unviable)) =
            (killed.parse(), explained.parse(), survived.parse(), unviable.parse())
        else {
            continue;
        };
        if file != "total" {
            files.insert(file.to_owned(), Counts { killed, explained, survived, unviable, commit: commit.to_owned() });
        }
    }
    files
}

fn explanations(tree: &Tree) -> BTreeMap<String, String> {
    let text = fs::read_to_string(tree.root.join(EXPLANATIONS)).unwrap_or_default();
    let mut explanations = BTreeMap::new();
    let mut keys: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(reason) = line.strip_prefix("  ") {
            for key in keys.drain(..) {
                explanations.insert(key, reason.to_owned());
            }
        } else {
            keys.push(line.to_owned());
        }
    }
    explanations
}

fn commit(tree: &Tree) -> String {
    let output = Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(&tree.root).output();
    output.map_or_else(|_| "-".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
