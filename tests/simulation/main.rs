//! A deployment in a random schedule of requests, faults, rotations, clock jumps, lost and late answers, and restarts, against a model of
//! what must pass and what must not: *no 2xx from a protected route without a currently valid credential; no valid credential refused
//! while its key is known; none refused for its key while the key set is being fetched; no session lost*.
//!
//! A seed determines everything. `SEED=7 STEPS=300 cargo test --test simulation` runs one schedule; `SEEDS=1000 STEPS=10000` the first
//! thousand (`make simulate`). A schedule that fails is cut after the step that failed and printed; those of `regressions.txt` run first.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure, and a runner prints what it ran"
)]
#![cfg(all(feature = "gateway", feature = "unicode"))]

mod keys;
mod model;
mod schedule;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use schedule::Simulation;

/// Runs so many steps of a seed. Returns the number of the step that failed.
fn run(seed: u64, steps: u64, counts: &mut model::Counts) -> Result<(), u64> {
    let step = Cell::new(0);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut simulation = Simulation::new(seed);
        while step.get() < steps {
            step.set(step.get() + 1);
            simulation.step();
        }
        simulation.finish()
    }));
    match outcome {
        Ok(more) => {
            counts.add(&more);
            Ok(())
        }
        Err(_) => Err(step.get()),
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn schedules_that_once_failed_pass() {
    for line in include_str!("regressions.txt").lines().filter(|line| !line.starts_with('#')) {
        let (seed, steps) = line.split_once(' ').unwrap();
        let mut counts = model::Counts::default();
        assert_eq!(
            run(seed.parse().unwrap(), steps.parse().unwrap(), &mut counts),
            Ok(()),
            "SEED={seed} STEPS={steps}"
        );
    }
}

#[test]
fn random_schedules_keep_every_promise() {
    let seeds = match variable("SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..1 + variable("SEEDS").unwrap_or(40),
    };
    let steps = variable("STEPS").unwrap_or(600);
    let (began, count) = (Instant::now(), seeds.end - seeds.start);
    let mut counts = model::Counts::default();
    let mut failed = Vec::new();
    for seed in seeds {
        if let Err(step) = run(seed, steps, &mut counts) {
            println!("failed: SEED={seed} STEPS={step}");
            failed.push((seed, step));
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("simulation: {count} seeds of {steps} steps in {seconds:.1} s: {counts}");
    assert_eq!(failed, [], "seeds and steps; a line of each belongs into regressions.txt");
    counts.assert_plausible(count * steps);
}
