//! Counts of the last hour, by the minute. Bounded, whatever is counted or read.

use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use alloc::vec::Vec;

use super::{RequestEvent, RequestOutcome};
use crate::io::UnixTime;
use crate::limits::{MAX_STATUS_CODES, STATUS_MINUTES};
use crate::text::{decimal, signed_decimal};

/// What is counted: the outcomes, in their order; bearer tokens by the cache of verified tokens; sessions that were due for refresh.
pub(super) const COUNTS: [&str; 10] = {
    let [forwarded, answered, redirected, observed, refused, failed] = RequestOutcome::NAMES;
    [
        forwarded,
        answered,
        redirected,
        observed,
        refused,
        failed,
        "cache_hits",
        "cache_misses",
        "refreshed",
        "refresh_failed",
    ]
};

pub(super) const CACHE_HITS: usize = 6;
pub(super) const CACHE_MISSES: usize = 7;
pub(super) const REFRESHED: usize = 8;
pub(super) const REFRESH_FAILED: usize = 9;

type Counts = [u32; COUNTS.len()];

/// The counts of an hour, and its refusals.
#[derive(Debug, Clone, Default)]
pub(super) struct Counters {
    /// Sorted by the number of the minute since 1970; those of the last hour.
    minutes: Vec<(i64, Counts)>,
    /// One for each code.
    refusals: Vec<Refusal>,
}

/// The refusals, or failures, of one code.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) code: Cow<'static, str>,
    pub(super) count: u32,
    /// The times of the first and the last one, in seconds.
    pub(super) first_s: i64,
    pub(super) last_s: i64,
    /// The route of the last one; empty without a route.
    pub(super) route: String,
}

fn minute(now: UnixTime) -> i64 {
    now.secs().div_euclid(60)
}

impl Counters {
    pub(super) fn count(&mut self, event: &RequestEvent<'_>, outcome: RequestOutcome, now: UnixTime) {
        let mut counts = Counts::default();
        let mut count = |at: usize| counts.get_mut(at).into_iter().for_each(|count| *count = 1);
        count(outcome as usize);
        if event.credentials() == "bearer" {
            count(if event.is_cached { CACHE_HITS } else { CACHE_MISSES });
        }
        if let Some(is_refreshed) = event.is_refreshed {
            count(if is_refreshed { REFRESHED } else { REFRESH_FAILED });
        }
        self.add_minute(minute(now), &counts, now);
    }

    pub(super) fn refuse(&mut self, code: &'static str, route: &str, now: UnixTime) {
        let (code, now_s) = (Cow::Borrowed(code), now.secs());
        self.add_refusal(Refusal { code, count: 1, first_s: now_s, last_s: now_s, route: route.into() }, now);
    }

    fn add_minute(&mut self, number: i64, counts: &Counts, now: UnixTime) {
        // The clocks of two instances may differ a little.
        let last = minute(now).saturating_add(1);
        let is_recent = |number: i64| (0..=STATUS_MINUTES as i64).contains(&last.saturating_sub(number));
        if !is_recent(number) {
            return;
        }
        match self.minutes.binary_search_by_key(&number, |(one, _)| *one) {
            Ok(at) => {
                let sums = self.minutes.get_mut(at).into_iter().flat_map(|(_, sums)| sums);
                sums.zip(counts).for_each(|(sum, count)| *sum = sum.saturating_add(*count));
            }
            Err(at) => {
                self.minutes.insert(at, (number, *counts));
                self.minutes.retain(|(number, _)| is_recent(*number));
            }
        }
    }

    fn add_refusal(&mut self, refusal: Refusal, now: UnixTime) {
        if let Some(known) = self.refusals.iter_mut().find(|one| one.code == refusal.code) {
            known.count = known.count.saturating_add(refusal.count);
            known.first_s = known.first_s.min(refusal.first_s);
            if refusal.last_s >= known.last_s {
                (known.last_s, known.route) = (refusal.last_s, refusal.route);
            }
            return;
        }
        let earliest_s = now.secs().saturating_sub(STATUS_MINUTES as i64 * 60);
        self.refusals.retain(|one| one.last_s > earliest_s);
        if refusal.last_s <= earliest_s {
            return;
        }
        if self.refusals.len() >= MAX_STATUS_CODES
            && let Some(oldest) = (0..self.refusals.len()).min_by_key(|at| self.refusals.get(*at).map(|one| one.last_s))
        {
            self.refusals.remove(oldest);
        }
        self.refusals.push(refusal);
    }

    /// Returns the counts of one kind in each minute of the last hour, the oldest first.
    pub(super) fn series(&self, at: usize, now: UnixTime) -> [u32; STATUS_MINUTES] {
        let mut series = [0; STATUS_MINUTES];
        let first = minute(now).saturating_sub(STATUS_MINUTES as i64 - 1);
        for (number, counts) in &self.minutes {
            let slot = usize::try_from(number.saturating_sub(first)).ok().and_then(|slot| series.get_mut(slot));
            if let (Some(slot), Some(count)) = (slot, counts.get(at)) {
                *slot = *count;
            }
        }
        series
    }

    /// Returns the refusals of the last hour, the newest first.
    pub(super) fn refusals(&self, now: UnixTime) -> Vec<&Refusal> {
        let earliest_s = now.secs().saturating_sub(STATUS_MINUTES as i64 * 60);
        let mut sorted: Vec<&Refusal> = Vec::new();
        // Sorted by insertion: for few, in little code.
        for refusal in self.refusals.iter().filter(|one| one.last_s > earliest_s) {
            sorted.insert(sorted.partition_point(|one| one.last_s > refusal.last_s), refusal);
        }
        sorted
    }

    /// Returns the counts as text, one line for each minute and each code.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        for (number, counts) in &self.minutes {
            text.push_str(&signed_decimal(*number));
            for count in counts {
                text.push(' ');
                text.push_str(&decimal((*count).into()));
            }
            text.push('\n');
        }
        for Refusal { code, count, first_s, last_s, route } in &self.refusals {
            let number = decimal((*count).into());
            for part in
                [code, " ", &number, " ", &signed_decimal(*first_s), " ", &signed_decimal(*last_s), " ", route, "\n"]
            {
                text.push_str(part);
            }
        }
        text
    }

    /// Adds the counts of such a text. A line in another form, as another version may have it, does not count.
    pub(super) fn add(&mut self, text: &str, now: UnixTime) {
        for line in text.lines() {
            let Some((first, rest)) = line.split_once(' ') else { continue };
            if let Ok(number) = first.parse() {
                let mut counts = Counts::default();
                for (count, text) in counts.iter_mut().zip(rest.split(' ')) {
                    *count = text.parse().unwrap_or_default();
                }
                self.add_minute(number, &counts, now);
                continue;
            }
            let mut parts = rest.splitn(4, ' ');
            let mut part = || parts.next().unwrap_or_default();
            let (count, first_s, last_s, route) = (part(), part(), part(), part());
            if let (Ok(count), Ok(first_s), Ok(last_s)) = (count.parse(), first_s.parse(), last_s.parse()) {
                let code = Cow::Owned(first.to_owned());
                self.add_refusal(Refusal { code, count, first_s, last_s, route: route.into() }, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::{
        CACHE_HITS, COUNTS, Counters, MAX_STATUS_CODES, Refusal, RequestEvent, RequestOutcome, STATUS_MINUTES,
    };
    use crate::io::UnixTime;

    const NOW: i64 = 1_800_000_000;

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_secs(NOW + seconds)
    }

    fn sum(counters: &Counters, column: usize, seconds: i64) -> u32 {
        counters.series(column, at(seconds)).iter().sum()
    }

    #[test]
    fn the_memory_is_bounded_in_minutes_and_codes() {
        let mut counters = Counters::default();
        for minute in 0..10_000 {
            counters.count(&RequestEvent::default(), RequestOutcome::Forwarded, at(60 * minute));
            let codes = (0..2).map(|at| format!("code_{}", 2 * minute + at));
            for code in codes {
                let (first_s, last_s) = (NOW + 60 * minute, NOW + 60 * minute);
                let refusal = Refusal { code: code.into(), count: 1, first_s, last_s, route: "/a b".into() };
                counters.add_refusal(refusal, at(60 * minute));
            }
            assert!(counters.minutes.len() <= STATUS_MINUTES + 1 && counters.refusals.len() <= MAX_STATUS_CODES);
        }
        assert_eq!(sum(&counters, 0, 600_000 - 1), STATUS_MINUTES as u32);
        let text = counters.to_text();
        let mut read = Counters::default();
        read.add(&text, at(60 * 9_999));
        assert_eq!(read.to_text(), text);
        let newest = &read.refusals(at(60 * 9_999))[0];
        assert_eq!((&*newest.code, &*newest.route), ("code_19999", "/a b"));
    }

    #[test]
    fn sums_do_not_overflow_and_other_lines_do_not_count() {
        let now_minute = NOW / 60;
        let mut counters = Counters::default();
        for text in [
            &*format!("{now_minute} 4294967295 1\n"),
            &format!("{now_minute} 1 99999999999 -1 x\n"),
            &format!("{} 7\n{} 7\n{} 7\n", now_minute + 2, now_minute - 60, i64::MIN),
            "token_expired 4294967295 1799999000 1799999000 /a\ntoken_expired 5 1799998000 1799998000 /b\n",
            "token_expired\ntoken_expired x y z\ntoken_expired 1 2\n\n \n-\n",
            "old 1 1 1 /a\n",
        ] {
            counters.add(text, at(0));
        }
        assert_eq!((counters.series(0, at(0))[STATUS_MINUTES - 1], sum(&counters, 1, 0)), (u32::MAX, 1));
        let refusals = counters.refusals(at(0));
        let [refusal] = &refusals[..] else { panic!("{refusals:?}") };
        assert_eq!((refusal.count, refusal.first_s, refusal.route.as_str()), (u32::MAX, 1_799_998_000, "/a"));
    }

    #[test]
    fn the_clocks_of_instances_may_differ_by_a_minute() {
        let mut counters = Counters::default();
        counters.add(&format!("{} 1\n", NOW / 60 + 1), at(0));
        assert_eq!((sum(&counters, 0, 0), sum(&counters, 0, 60)), (0, 1));
        assert_eq!(COUNTS[CACHE_HITS].to_string(), "cache_hits");
    }
}
