//! The event log: what had to stay in it, and the losses that a store logs by itself.

use std::collections::BTreeMap;

use embedded_storage::nor_flash::NorFlash;
use flash_store::FlashStore;
use protocol::{
    Registers,
    event::{Event, What},
};

use super::Truth;
use crate::served::events;

/// So many events are held before the oldest go although they are worth keeping: about two files and the ring.
const ENOUGH: usize = 400;

impl Truth {
    pub(super) fn observe_events<F: NorFlash>(&mut self, store: &mut FlashStore<F>) {
        let served = self.adopt_losses(store);
        let gone: Vec<_> = (self.events.values())
            .filter(|event| !served.contains_key(&event.number))
            .filter(|event| !self.given_up.events.contains(&event.number))
            .collect();
        for event in &gone {
            // Where what has to stay fills all files, starts and changes go, and at last the oldest file.
            let is_oldest = served.keys().next() > Some(&event.number);
            let is_rest = matches!(event.what, What::Started { .. });
            let is_full = served.len() >= ENOUGH && (is_oldest || is_rest);
            let may_go = is_full || self.is_dispensable(event, store);
            assert!(may_go, "{event:?} had to stay");
        }
        let numbers: Vec<_> = gone.iter().map(|event| event.number).collect();
        self.given_up.events.extend(numbers);
    }

    /// Tells whether an event may go when older events are packed.
    fn is_dispensable<F: NorFlash>(&self, event: &Event, store: &FlashStore<F>) -> bool {
        match event.what {
            What::Anchor { .. } => {
                let is_other = |other: &&Event| {
                    other.boot == event.boot && matches!(other.what, What::Anchor { .. })
                };
                let before = self.events.range(..event.number).map(|each| each.1);
                let behind = self.events.range(event.number + 1..).map(|each| each.1);
                before.filter(is_other).count() >= 1 && behind.filter(is_other).count() >= 2
            }
            What::Lost { .. } | What::Calibrated { .. } | What::Erased { .. } => false,
            _ => {
                let oldest = self.readings.range(store.oldest().0..u64::MAX).next();
                oldest.is_some_and(|reading| event.boot < reading.boot)
            }
        }
    }

    /// Reads all events, and takes over the losses that the store logged by itself.
    pub(super) fn adopt_losses<F: NorFlash>(
        &mut self,
        store: &mut FlashStore<F>,
    ) -> BTreeMap<u64, Event> {
        let served = events(store);
        for event in served.values() {
            match self.events.get(&event.number) {
                Some(told) => assert_eq!(told, event, "an event is as it was"),
                None => {
                    self.check_loss(event);
                    self.keep_event(event.clone());
                }
            }
        }
        served
    }

    /// Checks an event that the store logged by itself.
    fn check_loss(&self, event: &Event) {
        let What::Lost {
            first,
            count,
            ref energy,
        } = event.what
        else {
            panic!("nobody logged {event:?}");
        };
        let end = first.0 + count;
        assert!(count > 0 && end <= self.next.max(self.end()), "{event:?}");
        for other in self.losses() {
            let apart = other.end <= first.0 || end <= other.start;
            // A cut may come between the event and the end of what it tells of.
            assert!(apart || other == (first.0..end), "{other:?} {event:?}");
        }
        if energy.is_empty() {
            return;
        }
        let (before, after) = (self.registers_before(first.0), self.registers_before(end));
        let lost: Vec<_> = (after.iter().zip(&before))
            .map(|(after, before)| Registers {
                import_mj: after.import_mj - before.import_mj,
                export_mj: after.export_mj - before.export_mj,
            })
            .collect();
        assert_eq!(energy[..], lost[..], "energy of {event:?}");
    }

    /// Returns the numbers of the losses that were told.
    pub fn losses(&self) -> impl Iterator<Item = core::ops::Range<u64>> {
        self.events.values().filter_map(|event| match event.what {
            What::Lost { first, count, .. } => Some(first.0..first.0 + count),
            _ => None,
        })
    }

    /// Checks that each reading that is gone was collected or told as lost; to be called when upkeep is done.
    ///
    /// # Panics
    /// When one was not.
    pub fn check_told<F: NorFlash>(&self, store: &FlashStore<F>) {
        let oldest = store.oldest().0;
        let kept = self.acknowledged.max(self.erased);
        let untold = (self.readings.range(kept.min(oldest)..oldest))
            .find(|reading| !self.losses().any(|lost| lost.contains(&reading.seq.0)));
        let number = untold.map(|reading| reading.seq.0);
        assert_eq!(number, None, "a reading went and nobody was told");
    }
}
