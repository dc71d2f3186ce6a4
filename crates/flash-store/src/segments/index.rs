//! Which numbers which segment holds.

use alloc::vec::Vec;
use core::num::NonZeroU16;

use protocol::reading::Tier;

use crate::files::parse_name;

/// A segment, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// First number that it accounts for.
    pub(crate) base: u64,
    /// How many numbers, at least 1.
    pub(crate) count: u32,
    pub(crate) tier: Tier,
    /// Where it lies, if it is no file but was found by looking for it.
    pub(crate) sector: Option<NonZeroU16>,
}

const _: () = assert!(size_of::<Held>() <= 16);

/// Files that are noted for removal at the most: as many as are merged at once.
const LEFT_OVER_MAX: usize = 64;

impl Held {
    /// Reads the name of a file.
    pub(crate) fn named(name: &str, tier: Tier) -> Option<Self> {
        let (base, count) = parse_name(name)?;
        Some(Self {
            base,
            count,
            tier,
            sector: None,
        })
    }

    pub(crate) fn end(&self) -> u64 {
        self.base + u64::from(self.count)
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.base < other.end() && other.base < self.end()
    }

    /// Tells whether this one stands for all numbers of the other, no finer.
    fn covers(&self, other: &Self) -> bool {
        self.base <= other.base && other.end() <= self.end() && self.tier >= other.tier
    }
}

/// The segments of a store, oldest first; their numbers do not overlap.
#[derive(Debug)]
pub(crate) struct Index {
    segments: Vec<Held>,
    /// Files that mean nothing, since a coarser segment covers them: a cut left them.
    left_over: Vec<Held>,
}

impl Index {
    /// Takes memory for as many segments as there are blocks.
    pub(crate) fn with_capacity(blocks: usize) -> Self {
        Self {
            segments: Vec::with_capacity(blocks),
            left_over: Vec::new(),
        }
    }

    /// Adds a file of a tier by its name, if it is one of a segment.
    pub(crate) fn list_named(&mut self, name: &str, tier: Tier) {
        if let Some(held) = Held::named(name, tier) {
            self.list(held);
        }
    }

    /// Adds a segment that was listed or found, in any order.
    ///
    /// Where one covers the numbers of another and is as coarse or coarser, it counts: the other was to be removed. One
    /// that overlaps in any other way was not written by a store and means nothing.
    pub(crate) fn list(&mut self, new: Held) {
        if self.segments.contains(&new) {
            return;
        }
        if self.segments.iter().any(|held| held.covers(&new)) {
            return self.leave_over(new);
        }
        let is_foreign = |held: &Held| held.overlaps(&new) && !new.covers(held);
        if self.segments.iter().any(is_foreign) {
            return;
        }
        let covered = |held: &Held| new.covers(held);
        let from = self.segments.partition_point(|held| held.end() <= new.base);
        let end = from
            + (self.segments[from..].iter())
                .take_while(|held| covered(held))
                .count();
        for index in from..end {
            self.leave_over(self.segments[index]);
        }
        self.segments.drain(from..end);
        // A forged listing has any number of names; there are no more segments than blocks.
        if self.segments.len() < self.segments.capacity() {
            self.segments.insert(from, new);
        }
    }

    /// Adds a segment that was found by looking for it, where it lies between what is held or behind it, below `end`.
    pub(crate) fn fill(&mut self, new: Held, end: u64) {
        let oldest = self.oldest().unwrap_or(0);
        let is_free = !self.segments.iter().any(|held| held.overlaps(&new));
        if new.base >= oldest && new.end() <= end && is_free {
            self.list(new);
        }
    }

    /// Tells whether numbers are missing between segments, or between the last one and `next`.
    pub(crate) fn has_holes(&self, next: u64) -> bool {
        let pairs = self.segments.windows(2);
        pairs.into_iter().any(|pair| pair[0].end() < pair[1].base) || self.end() < next
    }

    /// Returns a segment that is no file.
    pub(crate) fn orphan(&self) -> Option<Held> {
        let is_orphan = |held: &&Held| held.sector.is_some();
        self.segments.iter().find(is_orphan).copied()
    }

    /// Notes that an orphan is a file now.
    pub(crate) fn adopt(&mut self, orphan: Held) {
        if let Some(held) = self.segments.iter_mut().find(|held| **held == orphan) {
            held.sector = None;
        }
    }

    /// Notes a file that is to be removed; one that is not noted is found at the next mount.
    fn leave_over(&mut self, held: Held) {
        if self.left_over.len() < LEFT_OVER_MAX {
            self.left_over.push(held);
        }
    }

    /// Puts one segment in the place of those whose numbers it covers; these are left over until they are removed.
    pub(crate) fn replace(&mut self, new: Held) {
        self.list(new);
    }

    /// Returns a file that means nothing.
    pub(crate) fn left_over(&self) -> Option<Held> {
        self.left_over.last().copied()
    }

    /// Forgets the file that [`left_over`](Self::left_over) returned.
    pub(crate) fn forget_left_over(&mut self) {
        self.left_over.pop();
    }

    /// Forgets the oldest segment.
    pub(crate) fn remove_oldest(&mut self) {
        self.segments.remove(0);
    }

    /// Returns all segments, oldest first.
    pub(crate) fn all(&self) -> &[Held] {
        &self.segments
    }

    /// Returns the first segment that ends behind `number`: the one that holds it, or the next.
    pub(crate) fn at(&self, number: u64) -> Option<Held> {
        let at = self.segments.partition_point(|held| held.end() <= number);
        self.segments.get(at).copied()
    }

    /// Returns the last segment that ends at or before `number`.
    pub(crate) fn before(&self, number: u64) -> Option<Held> {
        let at = self.segments.partition_point(|held| held.end() <= number);
        at.checked_sub(1).map(|at| self.segments[at])
    }

    /// Returns the lowest number that a segment holds.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.segments.first().map(|held| held.base)
    }

    /// Returns the number behind the newest segment, 0 without any.
    pub(crate) fn end(&self) -> u64 {
        self.segments.last().map_or(0, Held::end)
    }

    /// Returns how many segments there are of a tier.
    pub(crate) fn count(&self, tier: Tier) -> usize {
        self.segments
            .iter()
            .filter(|held| held.tier == tier)
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(base: u64, count: u32, tier: Tier) -> Held {
        Held {
            base,
            count,
            tier,
            sector: None,
        }
    }

    #[test]
    fn coarser_file_leaves_finer_ones_over_in_any_order() {
        let fine = [held(0, 10, Tier::Full), held(10, 10, Tier::Full)];
        let behind = held(20, 10, Tier::Full);
        let coarse = held(0, 20, Tier::Minute);
        let mut orders = [[fine[0], fine[1], behind, coarse]; 4];
        for (turn, order) in orders.iter_mut().enumerate() {
            order.rotate_left(turn);
            let mut index = Index::with_capacity(4);
            for held in order.iter() {
                index.list(*held);
            }
            assert_eq!(index.all(), [coarse, behind]);
            assert_eq!(index.left_over.len(), 2);
            assert_eq!(index.at(19), Some(coarse));
            assert_eq!(index.at(20), Some(behind));
            assert_eq!(index.before(20), Some(coarse));
            assert_eq!((index.at(30), index.end()), (None, 30));
        }
    }

    #[test]
    fn longer_file_counts_where_one_of_its_tier_was_written_again() {
        let (short, long) = (held(5, 10, Tier::Full), held(5, 12, Tier::Full));
        for order in [[short, long], [long, short]] {
            let mut index = Index::with_capacity(4);
            order.into_iter().for_each(|held| index.list(held));
            assert_eq!((index.all(), index.left_over()), (&[long][..], Some(short)));
        }
    }

    #[test]
    fn file_that_overlaps_in_part_means_nothing_and_is_left_alone() {
        let (first, coarse) = (held(0, 10, Tier::Full), held(20, 10, Tier::Minute));
        let mut index = Index::with_capacity(8);
        index.list(first);
        index.list(coarse);
        for strange in [
            held(5, 10, Tier::Full),
            held(5, 10, Tier::Quarter),
            held(15, 20, Tier::Full),
            held(5, 20, Tier::Minute),
        ] {
            index.list(strange);
        }
        assert_eq!(
            (index.all(), index.left_over()),
            (&[first, coarse][..], None)
        );
    }

    #[test]
    fn forged_listing_takes_no_more_memory_than_there_are_blocks() {
        let mut index = Index::with_capacity(100);
        let capacity = index.segments.capacity();
        for base in 0..100_000 {
            index.list(held(base * 10, 10, Tier::Full));
            index.list(held(base * 10, 5, Tier::Full));
        }
        assert_eq!(index.segments.capacity(), capacity);
        assert!(index.segments.len() == capacity && index.left_over.len() <= LEFT_OVER_MAX);
    }
}
