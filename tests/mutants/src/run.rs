//! Runs the tests that reach a mutant, against it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::tree::{Binary, Tree};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A test failed, or did not end.
    Killed,
    /// No test failed.
    Survived,
    /// No test reaches it.
    Unreached,
    /// The changed code does not compile.
    Unviable,
}

struct Test {
    binary: usize,
    name: String,
    took: Duration,
    reaches: HashSet<usize>,
}

/// Tests that take longer when they run alone, in seconds of CPU time, are not run against mutants.
const MAX_TEST_S: u64 = 20;
/// Quick tests that reach little are run first: most mutants need no others. These are the ends of the stages, in time since the first.
const STAGES: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(800),
    Duration::from_millis(3000),
    Duration::MAX,
];
/// Virtual memory of a test, in KiB: a mutant may allocate without end.
const MAX_KIB: &str = "8000000";

/// Runs all mutants, or those that survived the last run.
pub fn run(tree: &Tree, only_survivors: bool) -> Vec<Outcome> {
    let tests = record(tree);
    let log = tree.work.join(format!("{}.log", tree.group.name));
    let last = if only_survivors { fs::read_to_string(&log).unwrap_or_default() } else { String::new() };
    let killed: HashSet<&str> = last.lines().filter_map(|line| line.strip_prefix("Killed ")).collect();
    let done = AtomicUsize::new(0);
    let outcomes = Mutex::new(vec![Outcome::Unviable; tree.mutants.len()]);
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    let log = Mutex::new(fs::File::create(log).expect("a writable folder"));
    std::thread::scope(|scope| {
        for _ in 0..jobs() {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(mutant) = tree.mutants.get(index) else { return };
                    if !mutant.is_viable {
                        continue;
                    }
                    let key = format!("{} {}", mutant.file, mutant.name);
                    let outcome = if killed.contains(key.as_str()) {
                        Outcome::Killed
                    } else {
                        against(tree, &tests, Tree::id(index))
                    };
                    outcomes.lock().expect("no panic")[index] = outcome;
                    let _ = writeln!(log.lock().expect("no panic"), "{outcome:?} {key}");
                    let count = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if count.is_multiple_of(100) {
                        eprintln!("mutants: {count} of {}, {} s", tree.mutants.len(), started.elapsed().as_secs());
                    }
                }
            });
        }
    });
    outcomes.into_inner().expect("no panic")
}

fn jobs() -> usize {
    let wanted = std::env::var("JOBS").ok().and_then(|jobs| jobs.parse().ok());
    wanted.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from))
}

/// Runs each test alone, and records the mutants that it reaches.
fn record(tree: &Tree) -> Vec<Test> {
    let mut all = Vec::new();
    for (index, binary) in tree.binaries.iter().enumerate() {
        let list = Command::new(&binary.path).args(["--list", "--format", "terse"]).output().expect("a test binary");
        let names = String::from_utf8_lossy(&list.stdout).into_owned();
        all.extend(names.lines().filter_map(|line| line.strip_suffix(": test")).map(|name| (index, name.to_owned())));
    }
    let next = AtomicUsize::new(0);
    let tests = Mutex::new(Vec::new());
    let left_out = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for job in 0..jobs() {
            let (all, next, tests, left_out) = (&all, &next, &tests, &left_out);
            scope.spawn(move || {
                while let Some((index, name)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let binary = &tree.binaries[*index];
                    let reached = tree.work.join(format!("reached.{job}"));
                    let _ = fs::remove_file(&reached);
                    let environment = ("EDGEWARD_MUTANTS_REACHED", reached.to_str().expect("a path in UTF-8"));
                    let began = Instant::now();
                    let passed = passes(binary, &[name], environment, MAX_TEST_S);
                    let took = began.elapsed();
                    let reaches: HashSet<usize> = fs::read_to_string(&reached)
                        .unwrap_or_default()
                        .lines()
                        .filter_map(|line| line.parse().ok())
                        .collect();
                    if passed {
                        let test = Test { binary: *index, name: name.clone(), took, reaches };
                        tests.lock().expect("no panic").push(test);
                    } else {
                        left_out.lock().expect("no panic").push(format!("{} {name}", binary.name));
                    }
                }
            });
        }
    });
    let left_out = left_out.into_inner().expect("no panic");
    if !left_out.is_empty() {
        eprintln!("mutants: tests that do not pass alone in time, and are not used:\n  {}", left_out.join("\n  "));
    }
    let mut tests = tests.into_inner().expect("no panic");
    tests.retain(|test| !test.reaches.is_empty());
    tests.sort_by_key(|test| test.took.as_micros() * test.reaches.len() as u128);
    eprintln!("mutants: {} tests", tests.len());
    tests
}

fn against(tree: &Tree, tests: &[Test], id: usize) -> Outcome {
    let reaching: Vec<&Test> = tests.iter().filter(|test| test.reaches.contains(&id)).collect();
    if reaching.is_empty() {
        return Outcome::Unreached;
    }
    let value = id.to_string();
    let mut reaching = reaching.into_iter().peekable();
    let mut sum = Duration::ZERO;
    for stage in STAGES {
        let mut by_binary: HashMap<usize, Vec<&Test>> = HashMap::new();
        while let Some(test) = reaching.next_if(|_| sum < stage) {
            sum += test.took;
            by_binary.entry(test.binary).or_default().push(test);
        }
        let mut groups: Vec<_> = by_binary.into_iter().collect();
        groups.sort_by_key(|(_, tests)| tests.iter().map(|test| test.took).sum::<Duration>());
        for (binary, tests) in groups {
            let names: Vec<&String> = tests.iter().map(|test| &test.name).collect();
            let took: Duration = tests.iter().map(|test| test.took).sum();
            if !passes(&tree.binaries[binary], &names, ("EDGEWARD_MUTANT", &value), took.as_secs() * 4 + 6) {
                return Outcome::Killed;
            }
        }
    }
    Outcome::Survived
}

/// Runs tests, up to the first that fails or the end of their CPU time in seconds: other work on the computer does not count. Tests that
/// only wait have longer.
fn passes(binary: &Binary, names: &[&String], (variable, value): (&str, &str), seconds: u64) -> bool {
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -v \"$1\"; ulimit -t \"$2\"; shift 2; exec \"$@\"", "sh", MAX_KIB, &seconds.to_string()])
        .arg(&binary.path)
        .args(["--exact", "--test-threads", "1"])
        .args(names)
        .env(variable, value)
        .env("RUST_BACKTRACE", "0")
        .current_dir(&binary.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    let output = child.stdout.take().expect("a pipe");
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            if sender.send(line.ends_with(b"FAILED")).is_err() {
                return;
            }
        }
    });
    let deadline = Instant::now() + Duration::from_secs(seconds * 10);
    let failed = loop {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(false) => {}
            Ok(true) | Err(mpsc::RecvTimeoutError::Timeout) => break true,
            Err(mpsc::RecvTimeoutError::Disconnected) => break false,
        }
    };
    if failed {
        let _ = child.kill();
    }
    let status = child.wait().expect("a child");
    !failed && status.success()
}
