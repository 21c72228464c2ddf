//! Writes a source file with all its mutants in it, each behind a condition.

use std::collections::HashSet;
use std::ops::Range;

use crate::find::Edit;

/// Where a mutant's own text stands in the instrumented file, and where the whole choice does.
pub struct Place {
    pub mutant: usize,
    pub own: Range<usize>,
    pub whole: Range<usize>,
}

/// The instrumented text; `id` are the numbers of the mutants, `left_out` those that do not compile.
pub fn instrument(source: &str, edits: &[Edit], id: usize, left_out: &HashSet<usize>) -> (String, Vec<Place>) {
    let mut order: Vec<usize> = (0..edits.len()).collect();
    // An outer expression was found before those in it.
    order.sort_by_key(|&index| match &edits[index] {
        Edit::Insert { at, .. } => (*at, 0, 0, index),
        Edit::Choose { range, .. } => (range.start, 1, usize::MAX - range.end, index),
    });
    let mut writer = Writer { source, edits, order, next: 0, id, left_out, out: String::new(), places: Vec::new() };
    writer.write(0..source.len());
    (writer.out, writer.places)
}

/// What is at the end of every crate that has mutants. `SIZE` exceeds every number.
pub fn switch(size: usize) -> String {
    SWITCH.replace("SIZE", &size.to_string())
}

const SWITCH: &str = r#"
extern crate std as mutants_std;
#[doc(hidden)]
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod mutants {
    use mutants_std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
    use mutants_std::io::Write;
    static ACTIVE: AtomicU32 = AtomicU32::new(0);
    static SEEN: [AtomicBool; SIZE] = [const { AtomicBool::new(false) }; SIZE];
    #[inline]
    pub fn on(mutant: u32) -> bool {
        let active = ACTIVE.load(Relaxed);
        if active > 2 { active == mutant } else { slow(active, mutant) }
    }
    #[cold]
    #[inline(never)]
    fn slow(active: u32, mutant: u32) -> bool {
        if active == 0 {
            let value = mutants_std::env::var("EDGEWARD_MUTANT").ok().and_then(|value| value.parse().ok());
            let recording = mutants_std::env::var_os("EDGEWARD_MUTANTS_REACHED").is_some();
            ACTIVE.store(value.unwrap_or(if recording { 2 } else { u32::MAX }), Relaxed);
            return on(mutant);
        }
        if active == 2 && !SEEN[mutant as usize].swap(true, Relaxed) {
            if let Some(path) = mutants_std::env::var_os("EDGEWARD_MUTANTS_REACHED") {
                if let Ok(mut file) = mutants_std::fs::OpenOptions::new().create(true).append(true).open(path) {
                    let _ = file.write_all(mutants_std::format!("{mutant}\n").as_bytes());
                }
            }
        }
        false
    }
}
"#;

struct Writer<'a> {
    source: &'a str,
    edits: &'a [Edit],
    order: Vec<usize>,
    next: usize,
    id: usize,
    left_out: &'a HashSet<usize>,
    out: String,
    places: Vec<Place>,
}

impl Writer<'_> {
    fn condition(&self, mutant: usize) -> String {
        format!("crate::mutants::on({})", self.id + mutant)
    }

    fn write(&mut self, range: Range<usize>) {
        let mut from = range.start;
        while let Some(&index) = self.order.get(self.next) {
            match &self.edits[index] {
                Edit::Insert { at, text, mutant } if *at <= range.end => {
                    self.out.push_str(&self.source[from..*at]);
                    from = *at;
                    self.next += 1;
                    if !self.left_out.contains(&(self.id + mutant)) {
                        let start = self.out.len();
                        let text = text.replace('@', &self.condition(*mutant));
                        self.out.push_str(&text);
                        let own = start..self.out.len();
                        self.places.push(Place { mutant: self.id + mutant, whole: own.clone(), own });
                    }
                }
                Edit::Choose { range: inner, alternatives } if inner.start < range.end => {
                    self.out.push_str(&self.source[from..inner.start]);
                    from = inner.end;
                    self.next += 1;
                    let start = self.out.len();
                    let mut places = Vec::new();
                    for (mutant, text) in alternatives {
                        if self.left_out.contains(&(self.id + mutant)) {
                            continue;
                        }
                        let before = if places.is_empty() { "(if " } else { " else if " };
                        let text = format!("{before}{} {{ {text} }}", self.condition(*mutant));
                        places.push((self.id + mutant, self.out.len()..self.out.len() + text.len()));
                        self.out.push_str(&text);
                    }
                    if places.is_empty() {
                        self.write(inner.clone());
                    } else {
                        self.out.push_str(" else { ");
                        self.write(inner.clone());
                        self.out.push_str(" })");
                    }
                    let whole = start..self.out.len();
                    self.places.extend(places.into_iter().map(|(mutant, own)| Place {
                        mutant,
                        own,
                        whole: whole.clone(),
                    }));
                }
                _ => break,
            }
        }
        self.out.push_str(&self.source[from..range.end]);
    }
}
