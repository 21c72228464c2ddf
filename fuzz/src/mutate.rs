//! Mutations of inputs.

use support::Rng;

/// The longest input.
const MAX_BYTES: usize = 20_000;

/// Returns an input with one to eight changes, with parts of others of the pool, and with pieces that matter to the target.
pub(crate) fn mutated(rng: &mut Rng, pool: &[Vec<u8>], pieces: &[&str]) -> Vec<u8> {
    let mut input = rng.pick(pool).clone();
    for _ in 0..=rng.below(8) {
        let at = rng.below(input.len() + 1);
        let end = (at + rng.below(16)).min(input.len());
        match rng.below(9) {
            0 if at < input.len() => input[at] ^= 1 << rng.below(8),
            1 if at < input.len() => input[at] = rng.bytes(1)[0],
            2 => drop(input.splice(at..at, rng.pick(pieces).bytes())),
            3 => drop(input.splice(at..end, rng.pick(pieces).bytes())),
            4 => drop(input.drain(at..end)),
            5 => {
                let copied = input[at..end].to_vec();
                let to = rng.below(input.len() + 1);
                drop(input.splice(to..to, copied));
            }
            6 => {
                let other = rng.pick(pool);
                let from = rng.below(other.len() + 1);
                let to = (from + rng.below(200)).min(other.len());
                drop(input.splice(at..end, other[from..to].iter().copied()));
            }
            7 => {
                let len = rng.below(8);
                drop(input.splice(at..end, rng.bytes(len)));
            }
            _ if rng.below(8) == 0 => input.truncate(at),
            _ => {}
        }
    }
    input.truncate(MAX_BYTES);
    input
}
