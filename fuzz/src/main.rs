//! Fuzz drivers: each target gets inputs mutated from its seeds, and asserts what must hold for every input. An input with an outcome that was
//! not seen before becomes a seed of the run. One that fails is cut down and written to `seeds/TARGET`, where it is tried first in every run.
//!
//! ```text
//! edgeward-fuzz [--seconds N | --executions N] [--seed N] [TARGET …]
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

/// How long a target runs. A number of executions finds the same on every computer.
#[derive(Clone, Copy)]
enum Extent {
    Seconds(u64),
    Executions(u64),
}

impl Extent {
    fn is_reached(self, executions: u64, began: Instant) -> bool {
        match self {
            Self::Seconds(seconds) => began.elapsed() >= Duration::from_secs(seconds),
            Self::Executions(most) => executions >= most,
        }
    }
}

/// Returns the outcome.
///
/// # Errors
/// The message of the panic.
fn attempt(target: &Target, input: &[u8]) -> Result<u64, String> {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).map_err(|payload| match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload.downcast_ref::<&str>().map_or_else(String::new, ToString::to_string),
    })
}

/// Whether the input takes longer than the limit whenever it is tried: once says nothing on a busy computer.
fn is_slow(target: &Target, input: &[u8]) -> bool {
    (0..3).all(|_| {
        let start = Instant::now();
        let _ = attempt(target, input);
        start.elapsed() > MAX_TIME
    })
}

/// Cuts out whatever the failure does not need.
fn shrunk(target: &Target, mut input: Vec<u8>) -> Vec<u8> {
    let mut size = input.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < input.len() {
            let mut shorter = input.clone();
            shorter.drain(at..(at + size).min(input.len()));
            if attempt(target, &shorter).is_err() {
                input = shorter;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    input
}

fn fuzz(target: &Target, extent: Extent, seed: u64) -> Result<String, String> {
    let mut seeds: Vec<PathBuf> = fs::read_dir(folder(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    let mut pool: Vec<Vec<u8>> = seeds.iter().map(|path| fs::read(path).unwrap()).collect();
    let mut outcomes = BTreeSet::new();
    let mut rng = Rng(seed);
    let (began, mut executions, mut slowest) = (Instant::now(), 0u64, Duration::ZERO);
    let first = pool.clone();
    let mut given = first.into_iter();
    while executions < seeds.len() as u64 || !extent.is_reached(executions, began) {
        let input = given.next().unwrap_or_else(|| mutate::mutated(&mut rng, &pool, target.pieces));
        let start = Instant::now();
        let outcome = attempt(target, &input);
        let took = start.elapsed();
        executions += 1;
        slowest = slowest.max(took);
        match outcome {
            Ok(_) if took > MAX_TIME && is_slow(target, &input) => return Err(failed(target, &input, "too slow")),
            Ok(outcome) if outcomes.insert(outcome) && pool.len() < MAX_POOL => pool.push(input),
            Ok(_) => {}
            Err(_) => {
                let input = shrunk(target, input);
                let message = attempt(target, &input).err().unwrap_or_default();
                return Err(failed(target, &input, &message));
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

fn failed(target: &Target, input: &[u8], why: &str) -> String {
    let sum = input.iter().fold(5381u64, |sum, byte| sum.wrapping_mul(33) ^ u64::from(*byte));
    let path = folder(target).join(format!("found-{sum:016x}"));
    fs::write(&path, input).unwrap();
    format!("{}: {why}: {}: {}", target.name, path.display(), input.escape_ascii())
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut extent, mut seed, mut file, mut names) = (Extent::Seconds(1), 1, None, Vec::new());
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_default();
        match argument.as_str() {
            "--seconds" => extent = Extent::Seconds(value().parse().unwrap()),
            "--executions" => extent = Extent::Executions(value().parse().unwrap()),
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
        let result = fuzz(target, extent, seed);
        set_hook(hook);
        is_good &= result.is_ok();
        println!("{}", result.unwrap_or_else(|failure| format!("FAILED {failure}")));
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
