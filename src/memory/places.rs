//! Which places of a range are taken: the lowest that fits is taken next, and neighbours that are free become one.
use std::collections::{BTreeMap, HashMap};

/// Places of a range that has no end.
#[derive(Debug, Default)]
pub struct Places {
    /// Starts and lengths of what is free below [`Places::end`]; no two of them touch each other or the end.
    free: BTreeMap<usize, usize>,
    taken: HashMap<usize, usize>,
    end: usize,
}

impl Places {
    /// Takes `length` (not zero) and gives its start.
    pub fn take(&mut self, length: usize) -> usize {
        let fits = self.free.iter().find(|(_, free)| **free >= length).map(|(start, free)| (*start, *free));
        let start = if let Some((start, free)) = fits {
            self.free.remove(&start);
            if free > length {
                self.free.insert(start + length, free - length);
            }
            start
        } else {
            self.end += length;
            self.end - length
        };
        self.taken.insert(start, length);
        start
    }

    /// Frees what was taken at `start`.
    pub fn put(&mut self, mut start: usize) {
        let Some(mut length) = self.taken.remove(&start) else { return };
        if let Some((&before, &free)) = self.free.range(..start).next_back()
            && before + free == start
        {
            self.free.remove(&before);
            (start, length) = (before, free + length);
        }
        if let Some(free) = self.free.remove(&(start + length)) {
            length += free;
        }
        if start + length == self.end {
            self.end = start;
        } else {
            self.free.insert(start, length);
        }
    }

    /// Behind the last one that is taken.
    pub fn end(&self) -> usize {
        self.end
    }

    /// Starts and lengths of what is free before it.
    pub fn holes(&self) -> impl Iterator<Item = (usize, usize)> {
        self.free.iter().map(|(start, length)| (*start, *length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_lowest_place_is_taken_and_neighbours_join() {
        let mut places = Places::default();
        assert_eq!([10, 20, 30, 40].map(|length| places.take(length)), [0, 10, 30, 60]);
        places.put(10);
        places.put(0);
        assert_eq!(places.holes().collect::<Vec<_>>(), [(0, 30)]);
        assert_eq!((places.take(25), places.take(6), places.end()), (0, 100, 106));
        places.put(60);
        places.put(30);
        assert_eq!(places.holes().collect::<Vec<_>>(), [(25, 75)]);
        places.put(100);
        assert_eq!((places.end(), places.holes().count()), (25, 0), "what is free at the end is no hole");
        places.put(7);
        assert_eq!(places.end(), 25, "nothing begins there");
    }

    proptest! {
        #[test]
        fn no_two_overlap_and_nothing_is_lost(steps in prop::collection::vec((1usize..50, any::<prop::sample::Index>(), any::<bool>()), 1..200)) {
            let mut places = Places::default();
            let mut held: Vec<(usize, usize)> = Vec::new();
            for (length, at, frees) in steps {
                if frees && !held.is_empty() {
                    places.put(held.swap_remove(at.index(held.len())).0);
                } else {
                    let start = places.take(length);
                    prop_assert!(held.iter().all(|(other, taken)| start + length <= *other || other + taken <= start));
                    held.push((start, length));
                }
                let taken: usize = held.iter().map(|(_, length)| length).sum();
                let free: usize = places.holes().map(|(_, length)| length).sum();
                prop_assert_eq!(taken + free, places.end());
            }
        }
    }
}
