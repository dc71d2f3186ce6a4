//! The readings that a store was told.

use std::{collections::BTreeMap, sync::Arc};

use protocol::Reading;

/// Readings by number. Copies share what was there when it was [settled](Self::settle).
#[derive(Clone, Debug, Default)]
pub struct History {
    settled: Arc<BTreeMap<u64, Reading>>,
    recent: BTreeMap<u64, Reading>,
}

impl History {
    /// Returns the reading of a number.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&Reading> {
        self.recent
            .get(&number)
            .or_else(|| self.settled.get(&number))
    }

    /// Tells whether the number has a reading.
    #[must_use]
    pub fn contains_key(&self, number: u64) -> bool {
        self.get(number).is_some()
    }

    /// Returns the readings with numbers of a range, in order.
    pub fn range(&self, numbers: core::ops::Range<u64>) -> impl Iterator<Item = &Reading> {
        let settled = self.settled.range(numbers.clone());
        settled.chain(self.recent.range(numbers)).map(|each| each.1)
    }

    /// Returns all readings, in order.
    pub fn values(&self) -> impl Iterator<Item = &Reading> {
        self.settled.values().chain(self.recent.values())
    }

    /// Returns the newest reading.
    #[must_use]
    pub fn last(&self) -> Option<&Reading> {
        let newest = self.recent.values().next_back();
        newest.or_else(|| self.settled.values().next_back())
    }

    /// Returns the newest reading below a number.
    #[must_use]
    pub fn before(&self, number: u64) -> Option<&Reading> {
        let newest = self.recent.range(..number).next_back();
        let newest = newest.or_else(|| self.settled.range(..number).next_back());
        newest.map(|(_, reading)| reading)
    }

    /// Returns how many readings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.settled.len() + self.recent.len()
    }

    /// Tells whether there is no reading.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number behind the readings that copies share; what a store says of those below never changes.
    #[must_use]
    pub fn settled_end(&self) -> u64 {
        let newest = self.settled.values().next_back();
        newest.map_or(0, |reading| reading.seq.0 + 1)
    }

    /// Adds the newest reading.
    ///
    /// # Panics
    /// When its number is not above all others: numbers never come again.
    pub fn push(&mut self, reading: Reading) {
        let newest = self.last().map(|reading| reading.seq);
        assert!(
            newest < Some(reading.seq),
            "number {} came twice",
            reading.seq.0
        );
        self.recent.insert(reading.seq.0, reading);
    }

    /// Lets copies share what is there.
    pub fn settle(&mut self) {
        let recent = std::mem::take(&mut self.recent);
        Arc::make_mut(&mut self.settled).extend(recent);
    }
}
