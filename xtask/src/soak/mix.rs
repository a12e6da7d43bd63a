//! What the clients send, and in what order: by chance, but the same in every run.

/// One thing that a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// A photo as the body.
    Photo,
    /// In a form.
    Form,
    /// As base64 in JSON.
    Json,
    /// With an overlay in the answer.
    Map,
    /// With an overlay as the answer.
    Png,
    /// A small picture as the body.
    Small,
    /// With an overlay in the answer.
    SmallMap,
    /// Half of a photo, said to be a whole one.
    Truncated,
    /// Words.
    Text,
    /// Nothing.
    Empty,
    /// A body that is said to have terabytes.
    Huge,
    /// A form without its end.
    BrokenForm,
    /// JSON without its end.
    BrokenJson,
    /// An answer with an overlay is read at a trickle.
    SlowReader,
    /// A small picture is sent at a trickle.
    SlowWriter,
    /// An upload that stops in the middle, and a client that waits.
    Stalled,
    /// Many answers are asked for, and none is read.
    ReadsNothing,
    /// A client that goes in the middle of its upload.
    LeavesUpload,
    /// A client that goes in the middle of its answer.
    LeavesAnswer,
}

/// How often each is done, out of the sum of all.
const MIX: [(Act, u32); 19] = [
    (Act::Photo, 21),
    (Act::Form, 6),
    (Act::Json, 4),
    (Act::Map, 10),
    (Act::Png, 4),
    (Act::Small, 14),
    (Act::SmallMap, 8),
    (Act::Truncated, 3),
    (Act::Text, 3),
    (Act::Empty, 2),
    (Act::Huge, 3),
    (Act::BrokenForm, 3),
    (Act::BrokenJson, 3),
    (Act::SlowReader, 3),
    (Act::SlowWriter, 3),
    (Act::Stalled, 1),
    (Act::ReadsNothing, 1),
    (Act::LeavesUpload, 4),
    (Act::LeavesAnswer, 4),
];

impl Act {
    /// Whether a picture with 12 megapixels is sent.
    pub fn is_large(self) -> bool {
        !matches!(self, Self::Small | Self::SmallMap | Self::SlowWriter)
    }

    /// Whether it takes long by intent, so that only some may do it at once.
    pub fn is_slow(self) -> bool {
        matches!(self, Self::SlowReader | Self::SlowWriter | Self::Stalled | Self::ReadsNothing)
    }

    /// Whether what is sent is no picture, so that a refusal is the right answer.
    pub fn is_malformed(self) -> bool {
        use Act::{BrokenForm, BrokenJson, Empty, Huge, Stalled, Text, Truncated};
        matches!(self, Truncated | Text | Empty | Huge | BrokenForm | BrokenJson | Stalled)
    }
}

/// Chance (xorshift, Marsaglia 2003).
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// Another order for each client.
    pub fn of(client: usize) -> Self {
        Self(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(client as u64 + 1) | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 32) as usize) % end.max(1)
    }

    /// What is done next.
    pub fn act(&mut self) -> Act {
        let sum: u32 = MIX.iter().map(|(_, often)| often).sum();
        let mut at = self.below(sum as usize) as u32;
        for (act, often) in MIX {
            match at.checked_sub(often) {
                Some(rest) => at = rest,
                None => return act,
            }
        }
        Act::Photo
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn each_act_comes_about_as_often_as_it_should() {
        let mut chance = Chance::of(3);
        let mut seen = BTreeMap::new();
        for _ in 0..100_000 {
            *seen.entry(chance.act()).or_insert(0_u32) += 1;
        }
        for (act, often) in MIX {
            let share = f64::from(seen[&act]) / 1e3;
            assert!((share - f64::from(often)).abs() < 0.5, "{act:?}: {share} % instead of {often} %");
        }
    }

    #[test]
    fn clients_differ_and_runs_do_not() {
        let acts = |client| {
            std::iter::repeat_with({
                let mut chance = Chance::of(client);
                move || chance.act()
            })
        };
        let first = |client| acts(client).take(50).collect::<Vec<_>>();
        assert_eq!(first(0), first(0));
        assert_ne!(first(0), first(1));
    }
}
