//! The edge of memory: the lowest limit under which a program lives, where survival next to it is a matter of luck.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, ensure};

/// How often each side of the edge is tried at most; most of these tries decide.
const TRIES: usize = 5;

/// The lowest limit under which a program lives, and how often it did there and right below.
#[derive(Debug, PartialEq, Eq)]
pub struct Edge {
    /// In MB.
    pub lowest: u64,
    /// For each limit, which tries it lived.
    tries: BTreeMap<u64, Vec<bool>>,
}

/// Bisects between nothing and `most` MB, then tries both sides of the edge again and moves it where the luck of one run misled.
pub fn find(most: u64, mut lives: impl FnMut(u64) -> Result<bool>) -> Result<Edge> {
    let mut edge = Edge { lowest: most, tries: BTreeMap::new() };
    ensure!(edge.once(most, &mut lives)?, "it does not live under {most} MB, its own peak");
    let mut dies = 0;
    while edge.lowest - dies > 1 {
        let middle = edge.lowest.midpoint(dies);
        if edge.once(middle, &mut lives)? { edge.lowest = middle } else { dies = middle }
    }
    while !edge.mostly(edge.lowest, &mut lives)? {
        edge.lowest += 1;
    }
    while edge.lowest > 1 && edge.mostly(edge.lowest - 1, &mut lives)? {
        edge.lowest -= 1;
    }
    Ok(edge)
}

impl Edge {
    fn once(&mut self, limit: u64, lives: &mut impl FnMut(u64) -> Result<bool>) -> Result<bool> {
        let lived = lives(limit)?;
        self.tries.entry(limit).or_default().push(lived);
        Ok(lived)
    }

    /// Whether it lives in most of the tries under this limit; made until that is certain.
    fn mostly(&mut self, limit: u64, lives: &mut impl FnMut(u64) -> Result<bool>) -> Result<bool> {
        loop {
            let (lived, tried) = self.count(limit);
            if 2 * lived > TRIES || 2 * (tried - lived) > TRIES {
                return Ok(2 * lived > TRIES);
            }
            self.once(limit, lives)?;
        }
    }

    /// In how many tries it lived, and how many there were.
    fn count(&self, limit: u64) -> (usize, usize) {
        let tries = self.tries.get(&limit).map_or(&[][..], Vec::as_slice);
        (tries.iter().filter(|lived| **lived).count(), tries.len())
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lived, tried) = self.count(self.lowest);
        write!(f, "lives {lived} times of {tried} at {} MB", self.lowest)?;
        let (below, tried_below) = self.count(self.lowest - 1);
        if tried_below > 0 {
            write!(f, ", {below} of {tried_below} at {} MB", self.lowest - 1)?;
        }
        if lived < tried || below > 0 {
            f.write_str("; results differ")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sharp_edge_is_found_and_tried_until_it_is_certain() {
        let edge = find(100, |limit| Ok(limit >= 37)).unwrap();
        assert_eq!(edge.to_string(), "lives 3 times of 3 at 37 MB, 0 of 3 at 36 MB");
        assert_eq!(find(100, |_| Ok(true)).unwrap().lowest, 1);
        assert!(find(100, |_| Ok(false)).unwrap_err().to_string().contains("100 MB"));
    }

    #[test]
    fn one_lucky_or_unlucky_run_does_not_decide() {
        for (limit, lived, shown) in [(30, true, "1 of 4 at 36 MB"), (50, false, "lives 3 times of 3 at 37 MB")] {
            let mut waiting = true;
            let edge = find(100, |at| {
                let chance = waiting && (at == 36 && lived || at == 50 && !lived);
                waiting &= !chance;
                Ok(if chance { lived } else { at >= 37 })
            });
            let edge = edge.unwrap();
            assert_eq!(edge.lowest, 37, "{limit}: {edge}");
            assert!(edge.to_string().contains(shown), "{edge}");
        }
    }
}
