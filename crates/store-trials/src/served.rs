//! What a store says about its numbers.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::{Arc, Mutex},
};

use embedded_storage::nor_flash::NorFlash;
use flash_store::FlashStore;
use protocol::{
    Reading, Seq, Tier,
    block::{Block, Kind},
    event::Event,
    limits::BLOCK_BYTES_MAX,
    reading::RegisterSet,
};

/// What a store says about a number.
#[derive(Clone, Debug, PartialEq)]
pub enum Served {
    /// A reading at full resolution.
    Reading(Reading),
    /// A coarse reading, at the first of its numbers.
    Coarse(Reading),
    /// A number for which the coarse reading before stands.
    Merged,
    /// No reading was ever acknowledged under this number.
    NeverExisted,
    /// A reading that is gone.
    Lost,
}

/// One block, without its readings.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// The numbers that it covers.
    pub numbers: Range<u64>,
    /// What they stand for.
    pub kind: Kind,
    /// How coarse the readings are.
    pub tier: Tier,
    /// Registers before the first number.
    pub registers: RegisterSet,
    /// Energy of a loss.
    pub lost: Option<RegisterSet>,
}

impl Piece {
    fn of(block: &Block<'_>) -> Self {
        Self {
            numbers: block.range(),
            kind: block.kind(),
            tier: block.tier(),
            registers: block.header().registers.clone(),
            lost: block.lost_energy(),
        }
    }
}

/// Blocks that were looked at whole and found right. Copies share them.
///
/// Only such may be remembered whose numbers are all settled: what is right of them now is right ever after.
#[derive(Clone, Debug, Default)]
pub struct Known(Arc<Mutex<HashMap<Vec<u8>, Piece>>>);

impl Known {
    /// Forgets what other copies may know: theirs can be another past.
    pub fn part(&mut self) {
        if Arc::get_mut(&mut self.0).is_none() {
            *self = Self::default();
        }
    }

    fn get(&self, block: &[u8]) -> Option<Piece> {
        let known = self.0.lock().unwrap_or_else(|error| error.into_inner());
        known.get(block).cloned()
    }

    fn remember(&self, block: &[u8], piece: &Piece) {
        let mut known = self.0.lock().unwrap_or_else(|error| error.into_inner());
        known.insert(block.to_vec(), piece.clone());
    }
}

/// Walks through all blocks of a store. `look` sees each that is not known; those below `settled_end` are known then.
///
/// # Panics
/// When the store does not read, or its blocks do not follow one another from `oldest` to `next`.
pub fn walk<F: NorFlash>(
    store: &mut FlashStore<F>,
    known: &Known,
    settled_end: u64,
    look: &mut dyn FnMut(&Block<'_>),
) -> Vec<Piece> {
    let mut buffer = [0; BLOCK_BYTES_MAX];
    let mut pieces = Vec::new();
    let mut from = store.oldest();
    while let Some(length) = store.read_block(from, &mut buffer).expect("it reads") {
        let bytes = &buffer[..length];
        let piece = known.get(bytes).unwrap_or_else(|| {
            let block = Block::parse(bytes).expect("a block is a block");
            look(&block);
            let piece = Piece::of(&block);
            if piece.numbers.end <= settled_end {
                known.remember(bytes, &piece);
            }
            piece
        });
        let numbers = &piece.numbers;
        assert!(numbers.contains(&from.0), "{numbers:?} covers {from}");
        assert!(numbers.end <= store.next().0, "{numbers:?} ends too late");
        from = Seq(numbers.end);
        pieces.push(piece);
    }
    let end = from.max(store.oldest());
    assert_eq!(end, store.next(), "nothing is left out");
    pieces
}

/// Reads everything that a store holds, number by number.
///
/// # Panics
/// As [`walk`] does.
pub fn serve<F: NorFlash>(store: &mut FlashStore<F>) -> BTreeMap<u64, Served> {
    let mut served = BTreeMap::new();
    let mut look = |block: &Block<'_>| match block.kind() {
        Kind::Readings => {
            for reading in block.readings() {
                let (first, span) = (reading.seq.0, u64::from(reading.span));
                served.extend((first..first + span).map(|number| (number, Served::Merged)));
                let whole = match block.tier() {
                    Tier::Full => Served::Reading(reading),
                    _ => Served::Coarse(reading),
                };
                served.insert(first, whole);
            }
        }
        Kind::NeverExisted => {
            served.extend(block.range().map(|number| (number, Served::NeverExisted)));
        }
        Kind::Lost => served.extend(block.range().map(|number| (number, Served::Lost))),
    };
    walk(store, &Known::default(), 0, &mut look);
    served
}

/// Reads the configuration record.
///
/// # Panics
/// When it does not read.
pub fn config<F: NorFlash>(store: &mut FlashStore<F>) -> Option<Vec<u8>> {
    let mut buffer = [0; flash_store::CONFIG_BYTES_MAX];
    let length = store.config_read(&mut buffer).expect("it reads")?;
    Some(buffer[..length].to_vec())
}

/// Reads all events.
///
/// # Panics
/// When they do not read, or one comes twice or out of order.
pub fn events<F: NorFlash>(store: &mut FlashStore<F>) -> BTreeMap<u64, Event> {
    let mut events = BTreeMap::<u64, Event>::new();
    let mut keep = |event: &Event| {
        let newest = events.keys().next_back();
        assert!(newest < Some(&event.number), "event {}", event.number);
        events.insert(event.number, event.clone());
        true
    };
    store.events(0, &mut keep).expect("it reads");
    events
}
