//! Where trials begin: stores that are about to do something.
//!
//! A store is driven by a stream of operations until something happens. Every so many operations it is mounted anew, and
//! what is tried are the operations from the last mount on.

use flash_store::{FlashStore, Layout};
use nor_model::{Nor, SECTOR_BYTES};

use crate::{
    cuts::Start,
    operation::{Op, Values, format_store, mount},
    truth::Truth,
};

/// Operations between two mounts.
const PERIOD: u64 = 20;
/// Operations after which what was waited for should have happened.
const OPERATIONS_MAX: u64 = 60_000;

/// Something that a store does now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// An operation was done; the first one is number 0.
    Operation,
    /// A segment was written and nothing else changed.
    Sealed,
    /// Readings became those of a minute.
    Minutes,
    /// Readings became those of a quarter of an hour.
    Quarters,
    /// Readings went and a loss was told.
    Lost,
    /// Readings went that were collected.
    Collected,
    /// A sector of the journal was erased.
    JournalTurned,
    /// A sector of the counters was erased.
    CountersTurned,
    /// A sector of the events was erased.
    EventsTurned,
    /// Events went.
    EventsPacked,
    /// Something in the files was erased.
    FilesErased,
}

/// How a trial begins.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Says which one it is.
    pub name: &'static str,
    /// Sectors of the flash.
    pub sectors: usize,
    /// Channels of a reading.
    pub channels: u8,
    /// Values of readings.
    pub values: Values,
    /// What is done to the store.
    pub stream: fn(u64) -> Op,
    /// What is waited for.
    pub until: Happening,
    /// How often it has to happen, at least once.
    pub times: u32,
    /// Operations that are tried behind it.
    pub behind: u64,
    /// What is done to the flash before the trial.
    pub prepare: Option<fn(&mut Nor)>,
}

/// What shows that something happened.
struct Look {
    gone_below: u64,
    coarse_below: u64,
    coarsest_below: u64,
    losses: usize,
    events_gone: usize,
    counters: u64,
    events: u64,
    journal: u64,
    files: u64,
}

impl Look {
    fn at(store: &FlashStore<Nor>, truth: &Truth) -> Self {
        let Layout {
            counter_sectors,
            event_sectors,
            journal_sectors,
            file_sectors,
        } = store.layout();
        let erases = &store.flash().counters().erases;
        let sum = |first: u32, sectors: u32| {
            let range = first as usize..(first + sectors) as usize;
            erases[range].iter().map(|&erases| u64::from(erases)).sum()
        };
        let layout = store.layout();
        let given_up = &truth.given_up;
        Self {
            gone_below: given_up.gone_below,
            coarse_below: given_up.coarse_below,
            coarsest_below: given_up.coarsest_below,
            losses: truth.losses().count(),
            events_gone: given_up.events.len(),
            counters: sum(layout.first_counter_sector(), counter_sectors),
            events: sum(layout.first_event_sector(), event_sectors),
            journal: sum(layout.first_journal_sector(), journal_sectors),
            files: sum(layout.first_file_sector(), file_sectors),
        }
    }

    fn shows(&self, before: &Self, happening: Happening) -> bool {
        let is_kept = self.gone_below == before.gone_below;
        match happening {
            Happening::Operation => true,
            Happening::Sealed => {
                self.files > before.files && is_kept && self.coarse_below == before.coarse_below
            }
            Happening::Minutes => {
                self.coarse_below > before.coarse_below
                    && self.coarsest_below == before.coarsest_below
            }
            Happening::Quarters => self.coarsest_below > before.coarsest_below,
            Happening::Lost => self.losses > before.losses,
            Happening::Collected => !is_kept && self.losses == before.losses,
            Happening::JournalTurned => self.journal > before.journal,
            Happening::CountersTurned => self.counters > before.counters,
            Happening::EventsTurned => self.events > before.events,
            Happening::EventsPacked => self.events_gone > before.events_gone,
            Happening::FilesErased => self.files > before.files,
        }
    }
}

impl Scenario {
    /// Drives a store to where the trial begins.
    ///
    /// # Panics
    /// When anything does not hold on the way, or what is waited for does not happen.
    #[must_use]
    pub fn start(&self) -> Start {
        let mut truth = Truth::new(self.channels, self.values);
        let mut store = format_store(Nor::new(self.sectors * SECTOR_BYTES), self.channels);
        let mut begin = None;
        let (mut index, mut left) = (0, self.times);
        while left > 0 {
            assert!(index < OPERATIONS_MAX, "{:?} does not happen", self.until);
            if index % PERIOD == 0 {
                // The copy before shares the readings, and would have them copied.
                drop(begin.take());
                truth.settle();
                let nor = store.into_flash();
                begin = Some((index, nor.snapshot(), truth.clone()));
                store = mount(nor);
            }
            let before = Look::at(&store, &truth);
            let op = (self.stream)(index);
            assert!(truth.apply(&mut store, &op), "{op:?}, number {index}");
            left -= u32::from(Look::at(&store, &truth).shows(&before, self.until));
            index += 1;
        }
        let (first, mut image, truth) = begin.expect("at least one operation was done");
        if let Some(prepare) = self.prepare {
            prepare(&mut image);
        }
        Start {
            image,
            truth,
            ops: (first..index + self.behind).map(self.stream).collect(),
        }
    }
}
