//! Fuzz drivers: each target gets inputs mutated from its seeds, and asserts what must hold for every input. An input with an outcome that was
//! not seen before becomes a seed of the run. One that fails is cut down and written to `seeds/TARGET`, where it is tried first in every run.
//!
//! ```text
//! edgeward-fuzz [--seconds N] [--seed N] [TARGET …]
//! edgeward-fuzz --file FILE TARGET
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a program for tests: a panic is a failure"
)]

mod mutate;
#[path = "../../tests/support/mod.rs"]
#[allow(unused_imports, reason = "a part of it is for other programs")]
mod support;
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use support::Rng;
use targets::{TARGETS, Target};

/// Most inputs that a run mutates further.
const MAX_POOL: usize = 4096;
/// The longest time that an input may take. Other processes share the computer.
const MAX_TIME: Duration = Duration::from_secs(2);

fn folder(target: &Target) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "seeds", target.name].iter().collect()
}

/// Returns the outcome, or `None` if the target panicked.
fn attempt(target: &Target, input: &[u8]) -> Option<u64> {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).ok()
}

/// Cuts out whatever the failure does not need.
fn shrunk(target: &Target, mut input: Vec<u8>) -> Vec<u8> {
    let mut size = input.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < input.len() {
            let mut shorter = input.clone();
            shorter.drain(at..(at + size).min(input.len()));
            if attempt(target, &shorter).is_none() {
                input = shorter;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    input
}

fn fuzz(target: &Target, seconds: u64, seed: u64) -> Result<String, String> {
    let mut seeds: Vec<PathBuf> = fs::read_dir(folder(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    let mut pool: Vec<Vec<u8>> = seeds.iter().map(|path| fs::read(path).unwrap()).collect();
    let mut outcomes = BTreeSet::new();
    let mut rng = Rng(seed);
    let (began, mut executions, mut slowest) = (Instant::now(), 0u64, Duration::ZERO);
    let first = pool.clone();
    let mut given = first.into_iter();
    while executions < pool.len() as u64 || began.elapsed() < Duration::from_secs(seconds) {
        let input = given.next().unwrap_or_else(|| mutate::mutated(&mut rng, &pool, target.pieces));
        let start = Instant::now();
        let outcome = attempt(target, &input);
        let took = start.elapsed();
        executions += 1;
        slowest = slowest.max(took);
        match outcome {
            Some(_) if took > MAX_TIME => return Err(failed(target, input, "too slow")),
            Some(outcome) if outcomes.insert(outcome) && pool.len() < MAX_POOL => pool.push(input),
            Some(_) => {}
            None => {
                let input = shrunk(target, input);
                return Err(failed(target, input, "panicked"));
            }
        }
    }
    let (name, outcomes) = (target.name, outcomes.len());
    let rate = executions as f64 / began.elapsed().as_secs_f64();
    Ok(format!(
        "{name}: {executions} executions, {rate:.0} per second, {outcomes} outcomes, slowest {} ms",
        slowest.as_millis()
    ))
}

fn failed(target: &Target, input: Vec<u8>, why: &str) -> String {
    let sum = input.iter().fold(5381u64, |sum, byte| sum.wrapping_mul(33) ^ u64::from(*byte));
    let path = folder(target).join(format!("found-{sum:016x}"));
    fs::write(&path, &input).unwrap();
    format!("{}: {why}: {}: {}", target.name, path.display(), input.escape_ascii())
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut seconds, mut seed, mut file, mut names) = (1, 1, None, Vec::new());
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_default();
        match argument.as_str() {
            "--seconds" => seconds = value().parse().unwrap(),
            "--seed" => seed = value().parse().unwrap(),
            "--file" => file = Some(value()),
            _ => names.push(argument),
        }
    }
    if let Some(unknown) = names.iter().find(|name| !TARGETS.iter().any(|target| target.name == *name)) {
        println!(
            "fuzz: there is no target {unknown}; the targets are: {}",
            TARGETS.map(|target| target.name).join(", ")
        );
        return ExitCode::FAILURE;
    }
    let chosen = TARGETS.iter().filter(|target| names.is_empty() || names.iter().any(|name| name == target.name));
    if let Some(file) = file {
        let input = fs::read(file).unwrap();
        chosen.for_each(|target| println!("{}: {:x}", target.name, (target.run)(&input)));
        return ExitCode::SUCCESS;
    }
    let mut is_good = true;
    for target in chosen {
        // Of the many panics of cutting down, none is of interest.
        let hook = take_hook();
        set_hook(Box::new(|_| ()));
        let result = fuzz(target, seconds, seed);
        set_hook(hook);
        is_good &= result.is_ok();
        println!("{}", result.unwrap_or_else(|failure| format!("FAILED {failure}")));
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
