//! How requests ended, counted by what was sent.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::mix::Act;
use crate::bench::table::Table;

/// How one request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With the right answer.
    Right,
    /// With another one, or one that it must not have.
    Wrong(String),
    /// With a status that says why not.
    Refused(u16),
    /// Without a whole answer, and not by our doing.
    Broken(String),
    /// We went.
    Left,
    /// Nobody listened.
    Down,
}

/// Examples that are shown of what is wrong, and of what is broken.
const EXAMPLES: usize = 5;
/// Statuses that a server may refuse with.
pub const REFUSALS: [u16; 6] = [400, 408, 413, 422, 429, 503];

/// Counts.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Counts>);

/// What was counted.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    ends: BTreeMap<(Act, &'static str), u64>,
    refused: BTreeMap<u16, u64>,
    /// Some of what is wrong or broken, in words.
    pub examples: Vec<String>,
}

impl End {
    fn name(&self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Wrong(_) => "wrong",
            Self::Refused(_) => "refused",
            Self::Broken(_) => "broken",
            Self::Left => "left",
            Self::Down => "down",
        }
    }
}

impl Tally {
    /// Counts a request.
    pub fn add(&self, act: Act, end: &End) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.ends.entry((act, end.name())).or_default() += 1;
        match end {
            End::Refused(status) => *counts.refused.entry(*status).or_default() += 1,
            End::Wrong(why) | End::Broken(why) => {
                let known = counts.examples.iter().filter(|example| example.starts_with(end.name())).count();
                if known < EXAMPLES {
                    let why: String = why.chars().take(400).collect();
                    counts.examples.push(format!("{}: {act:?}: {why}", end.name()));
                }
            }
            End::Right | End::Left | End::Down => {}
        }
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Counts {
    /// Requests that ended so.
    pub fn of(&self, name: &str) -> u64 {
        self.ends.iter().filter(|((_, end), _)| *end == name).map(|(_, count)| count).sum()
    }

    /// Requests that were refused with this status.
    pub fn refused(&self, status: u16) -> u64 {
        self.refused.get(&status).copied().unwrap_or_default()
    }

    /// By what was sent.
    pub fn table(&self, about: &str) -> Table {
        const ENDS: [&str; 6] = ["right", "wrong", "refused", "broken", "left", "down"];
        let mut table =
            Table::new(about, &["sent", "right", "wrong", "refused", "broken", "left by us", "server down"]);
        let mut acts: Vec<_> = self.ends.keys().map(|(act, _)| *act).collect();
        acts.dedup();
        for act in acts {
            let counts = ENDS.iter().map(|end| self.ends.get(&(act, *end)).copied().unwrap_or_default().to_string());
            table.add(std::iter::once(format!("{act:?}")).chain(counts).collect());
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_counted_by_what_was_sent() {
        let tally = Tally::default();
        for end in [End::Right, End::Right, End::Refused(429), End::Left] {
            tally.add(Act::Photo, &end);
        }
        tally.add(Act::Text, &End::Refused(422));
        tally.add(Act::Text, &End::Wrong("200".into()));
        let counts = tally.counts();
        assert_eq!([counts.of("right"), counts.of("refused"), counts.of("broken")], [2, 2, 0]);
        assert_eq!([counts.refused(429), counts.refused(503)], [1, 0]);
        assert_eq!(counts.examples, ["wrong: Text: 200"]);
        let shown = counts.table("All.").markdown();
        assert!(
            shown.contains("| Photo | 2 | 0 | 1 | 0 | 1 | 0 |") && shown.contains("| Text | 0 | 1 | 1 |"),
            "{shown}"
        );
    }

    #[test]
    fn a_few_examples_are_kept() {
        let tally = Tally::default();
        for number in 0..20 {
            tally.add(Act::Map, &End::Broken(number.to_string()));
        }
        assert_eq!(tally.counts().examples.len(), EXAMPLES);
        assert_eq!(tally.counts().of("broken"), 20);
    }
}
