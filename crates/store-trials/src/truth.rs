//! What a store was told, and the check that it still knows.
//!
//! A [`Truth`] does operations on a store and keeps what the store acknowledged. Where an operation failed, power went in
//! its middle: the next check takes over what of it is there, which may be all or nothing.
//!
//! What the store may give up is learnt from itself, but only while nothing fails: an operation that succeeds may make
//! readings coarser or let them go, and the truth looks at what it did ([`Truth::observe`]). Whatever went must have been
//! collected or told as a loss.

mod log;

use std::collections::{BTreeMap, BTreeSet};

use embedded_storage::nor_flash::NorFlash;
use flash_store::{AppendError, FlashStore, RunParams};
use protocol::{
    ChannelReading, Reading, Registers, Seq, Tier,
    block::{Block, Kind},
    event::{Event, What},
    limits::BLOCK_BYTES_MAX,
    reading::quantum_mj,
};

use crate::{
    coarse,
    history::History,
    operation::{DEVICE, Op, STORE, Values, anchor, calibrated, mix, started},
    served::{Known, Piece, config, events, walk},
};

/// What an operation that failed was about; it may have been done or not.
#[derive(Clone, Debug, PartialEq)]
enum InFlight {
    Nothing,
    Boot(u32),
    Reading(Box<Reading>),
    Acknowledge(u64),
    /// Oldest number before, and at most behind.
    Erase(u64, u64),
    Config(Vec<u8>),
    Event(Event),
}

/// What a store may have given up for want of room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GivenUp {
    /// Readings below may be gone.
    pub gone_below: u64,
    /// Readings below may be coarse.
    pub coarse_below: u64,
    /// Readings below may be of the coarsest tier.
    pub coarsest_below: u64,
    /// Events that may be gone.
    pub events: BTreeSet<u64>,
}

/// Everything that a store acknowledged.
#[derive(Clone, Debug)]
pub struct Truth {
    /// Channels of each reading.
    pub channels: u8,
    /// Which values readings get.
    pub values: Values,
    /// The readings.
    pub readings: History,
    /// The registers behind the newest reading.
    pub registers: Vec<Registers>,
    /// The current boot.
    pub boot: u32,
    /// The time since then.
    pub uptime_ms: u64,
    /// First number that is not acknowledged.
    pub acknowledged: u64,
    /// First number that the owner did not give up; nothing below may be served again.
    pub erased: u64,
    /// The configuration record.
    pub config: Option<Vec<u8>>,
    /// The events, also those that the store logs by itself.
    pub events: BTreeMap<u64, Event>,
    /// What may be gone or coarse.
    pub given_up: GivenUp,
    /// Draws values; counts operations.
    pub turn: u64,
    /// Numbers that were served as never having existed: a collector may know them.
    never_existed: BTreeSet<u64>,
    next: u64,
    in_flight: InFlight,
    known: Known,
}

impl Truth {
    /// Begins with an empty store.
    #[must_use]
    pub fn new(channels: u8, values: Values) -> Self {
        Self {
            channels,
            values,
            readings: History::default(),
            registers: vec![Registers::default(); channels.into()],
            boot: 0,
            uptime_ms: 0,
            acknowledged: 0,
            erased: 0,
            config: None,
            events: BTreeMap::new(),
            given_up: GivenUp::default(),
            turn: 0,
            never_existed: BTreeSet::new(),
            next: 0,
            in_flight: InFlight::Nothing,
            known: Known::default(),
        }
    }

    /// Lets copies share the readings that are there.
    pub fn settle(&mut self) {
        self.readings.settle();
        self.known.part();
    }

    /// Does an operation; tells whether the store did it.
    pub fn apply<F: NorFlash>(&mut self, store: &mut FlashStore<F>, op: &Op) -> bool {
        self.turn += 1;
        let done = match op {
            Op::Boot => {
                self.in_flight = InFlight::Boot(self.boot + 1);
                let boot = store.start_boot();
                self.uptime_ms = 0;
                boot.inspect(|&boot| self.boot = boot).is_ok()
            }
            Op::Append(params, step_ms) => {
                let (values, turn) = (self.values, self.turn);
                let drawn = (0..self.channels).map(|channel| values.channel(turn, channel));
                let channels: Vec<_> = drawn.collect();
                self.append(store, params, *step_ms, &channels).is_ok() && self.maintain(store)
            }
            Op::Acknowledge(percent) => {
                let next = (store.next().0 * percent / 100).max(self.acknowledged);
                self.in_flight = InFlight::Acknowledge(next);
                let done = store.acknowledge(Seq(next)).is_ok();
                done.then(|| self.acknowledged = next);
                done
            }
            Op::Erase(percent) => self.erase(store, store.next().0 * percent / 100),
            Op::Config(length) => {
                let byte = |index| mix(self.turn * 1000 + index) as u8;
                let record: Vec<u8> = (0..*length as u64).map(byte).collect();
                self.in_flight = InFlight::Config(record.clone());
                let done = store.config_write(&record).is_ok();
                done.then(|| self.config = Some(record));
                done
            }
            Op::Event => self.log(store, anchor(self.turn)),
            Op::Started => self.log(store, started(self.turn, store.next())),
            Op::Calibrated => self.log(store, calibrated(self.turn, self.channels)),
        };
        if done {
            self.in_flight = InFlight::Nothing;
        }
        done
    }

    /// Gives up what lies below `end`.
    fn erase<F: NorFlash>(&mut self, store: &mut FlashStore<F>, end: u64) -> bool {
        let Some(through) = end.checked_sub(1) else {
            return true;
        };
        let before = store.oldest();
        let announced = store.oldest_after_erase(Seq(through));
        assert!(before <= announced && announced <= before.max(Seq(end)));
        self.in_flight = InFlight::Erase(before.0, announced.0);
        let erased = store.erase(Seq(through));
        if erased.is_ok() {
            assert_eq!(erased, Ok(announced), "what was announced");
            assert_eq!(store.oldest(), announced);
            self.adopt_erased(announced.0);
        }
        erased.is_ok()
    }

    fn adopt_erased(&mut self, oldest: u64) {
        self.erased = self.erased.max(oldest);
        self.given_up.gone_below = self.given_up.gone_below.max(oldest);
    }

    /// Appends a reading that ends `step_ms` after the last one.
    ///
    /// # Errors
    /// What the store says.
    pub fn append<F: NorFlash>(
        &mut self,
        store: &mut FlashStore<F>,
        params: &RunParams,
        step_ms: u64,
        channels: &[ChannelReading],
    ) -> Result<(), AppendError> {
        self.uptime_ms += step_ms;
        let quantum_mj = quantum_mj(params.power_unit_mw, params.interval_ms);
        let registers: Vec<_> = (self.registers.iter().zip(channels))
            .map(|(registers, channel)| registers.advanced(channel.energy_quanta, quantum_mj))
            .collect();
        let reading = Reading {
            seq: store.next(),
            span: 1,
            boot: self.boot,
            uptime_ms: self.uptime_ms,
            interval_ms: params.interval_ms,
            power_unit_mw: params.power_unit_mw,
            channels: channels.iter().copied().collect(),
            extremes: core::iter::empty().collect(),
            registers: registers.iter().copied().collect(),
        };
        self.in_flight = InFlight::Reading(Box::new(reading.clone()));
        let oldest = store.oldest();
        let seq = store.append(params, self.uptime_ms, channels)?;
        assert_eq!(seq, reading.seq, "the number that was announced");
        self.keep(reading);
        self.in_flight = InFlight::Nothing;
        if store.oldest() != oldest {
            self.observe(store);
        }
        Ok(())
    }

    /// Does the upkeep, and looks at what it cost; tells whether the store did it.
    pub fn maintain<F: NorFlash>(&mut self, store: &mut FlashStore<F>) -> bool {
        let before = held(store);
        let done = store.maintain().is_ok();
        if done && held(store) != before {
            self.observe(store);
        }
        done
    }

    fn keep(&mut self, reading: Reading) {
        let number = reading.seq.0;
        let was_denied = self.never_existed.contains(&number);
        assert!(!was_denied, "number {number} was said not to exist");
        self.registers = reading.registers.to_vec();
        self.readings.push(reading);
    }

    fn log<F: NorFlash>(&mut self, store: &mut FlashStore<F>, what: What) -> bool {
        let event = Event {
            number: store.next_event(),
            boot: self.boot,
            uptime_ms: self.uptime_ms,
            what: what.clone(),
        };
        self.in_flight = InFlight::Event(event.clone());
        let number = store.event_append(self.boot, self.uptime_ms, what);
        if let Ok(number) = number {
            assert_eq!(number, event.number, "the number that was announced");
            self.keep_event(event);
            self.observe_events(store);
        }
        number.is_ok()
    }

    fn keep_event(&mut self, event: Event) {
        let number = event.number;
        let before = self.events.insert(number, event);
        assert_eq!(before, None, "event number {number} came twice");
    }

    /// Takes over what a store gave up while nothing failed, and checks that whatever went was collected or told.
    ///
    /// # Panics
    /// When it was not, or when anything else does not hold.
    pub fn observe<F: NorFlash>(&mut self, store: &mut FlashStore<F>) {
        let pieces = self.walk(store);
        let end_of = |is_meant: &dyn Fn(&Piece) -> bool| {
            let last = pieces.iter().rev().find(|piece| is_meant(piece));
            last.map_or(0, |piece| piece.numbers.end)
        };
        let gone = end_of(&|piece| piece.kind == Kind::Lost).max(store.oldest().0);
        let coarse = end_of(&|piece| piece.tier >= Tier::Minute);
        let coarsest = end_of(&|piece| piece.tier >= Tier::Quarter);
        let given_up = &mut self.given_up;
        given_up.gone_below = given_up.gone_below.max(gone);
        given_up.coarse_below = given_up.coarse_below.max(coarse).max(coarsest);
        given_up.coarsest_below = given_up.coarsest_below.max(coarsest);
        self.observe_events(store);
        self.check_told(store);
    }

    fn end(&self) -> u64 {
        self.readings.last().map_or(0, |last| last.seq.0 + 1)
    }

    fn registers_before(&self, number: u64) -> Vec<Registers> {
        let before = self.readings.before(number);
        before.map_or_else(
            || vec![Registers::default(); self.channels.into()],
            |reading| reading.registers.to_vec(),
        )
    }

    /// Checks everything that must hold after power cuts, and takes over what the operation in flight did.
    ///
    /// # Panics
    /// When anything does not hold.
    pub fn check<F: NorFlash>(&mut self, store: &mut FlashStore<F>) {
        let whose = (store.device(), store.store_id());
        assert_eq!(whose, (DEVICE, STORE), "the identity stays");
        self.adopt_in_flight(store);
        assert!(store.has_files(), "the files are there");
        let pieces = self.walk(store);
        self.check_pieces(store, &pieces);
        let registers = store.registers();
        assert_eq!(registers[..], self.registers, "registers are exact");
        assert_eq!(store.boot(), self.boot, "the start counter");
        assert_eq!(store.acknowledged().0, self.acknowledged);
        assert_eq!(config(store), self.config, "the configuration is whole");
        let served = self.adopt_losses(store);
        let newest = served.keys().next_back();
        assert!(newest < Some(&store.next_event()) || newest.is_none());
        for number in self.events.keys() {
            let is_there = served.contains_key(number);
            let may_be_gone = self.given_up.events.contains(number);
            assert!(is_there || may_be_gone, "event {number} is there");
        }
        for piece in &pieces {
            if piece.kind == Kind::NeverExisted {
                self.never_existed.extend(piece.numbers.clone());
            }
        }
        self.next = store.next().0;
    }

    fn adopt_in_flight<F: NorFlash>(&mut self, store: &mut FlashStore<F>) {
        match std::mem::replace(&mut self.in_flight, InFlight::Nothing) {
            InFlight::Nothing => {}
            InFlight::Boot(boot) => self.boot = self.boot.max(boot.min(store.boot())),
            InFlight::Reading(reading) => {
                if holds(store, &reading) {
                    self.keep(*reading);
                }
            }
            InFlight::Acknowledge(next) => {
                let now = store.acknowledged().0;
                assert!(now == self.acknowledged || now == next);
                self.acknowledged = now;
            }
            InFlight::Erase(before, behind) => {
                let now = store.oldest().0;
                assert!(now == before || now == behind, "{before} {now} {behind}");
                self.adopt_erased(now);
            }
            InFlight::Config(record) => {
                let now = config(store);
                if now.as_ref() == Some(&record) {
                    self.config = now;
                }
            }
            InFlight::Event(event) => {
                if events(store).get(&event.number) == Some(&event) {
                    self.keep_event(event);
                }
            }
        }
    }

    /// Reads everything and checks each reading that is served.
    fn walk<F: NorFlash>(&self, store: &mut FlashStore<F>) -> Vec<Piece> {
        let settled_end = self.readings.settled_end();
        walk(store, &self.known, settled_end, &mut |block| {
            if block.kind() == Kind::Readings {
                self.check_block(block);
            }
        })
    }

    fn check_block(&self, block: &Block<'_>) {
        let first = block.range().start;
        let before = &block.header().registers;
        assert_eq!(before[..], self.registers_before(first), "before {first}");
        for reading in block.readings() {
            let first = reading.seq.0;
            let end = first + u64::from(reading.span);
            match block.tier() {
                Tier::Full => {
                    assert_eq!(self.readings.get(first), Some(&reading), "reading {first}");
                }
                tier => {
                    let parts: Vec<_> = self.readings.range(first..end).collect();
                    coarse::check(&reading, tier, &parts);
                }
            }
        }
    }

    /// Checks that no reading is missing, coarse or lost that must not be.
    fn check_pieces<F: NorFlash>(&self, store: &FlashStore<F>, pieces: &[Piece]) {
        let (oldest, next) = (store.oldest().0, store.next().0);
        assert!(next >= self.next, "numbers do not come again");
        assert!(next >= self.end(), "numbers do not come again");
        let given_up = &self.given_up;
        assert!(oldest <= given_up.gone_below, "{oldest} went without need");
        assert!(oldest >= self.erased, "{oldest} came back");
        for Piece {
            numbers,
            kind,
            tier,
            ..
        } in pieces
        {
            let is_allowed = match (kind, tier) {
                (Kind::NeverExisted, _) => self.readings.range(numbers.clone()).next().is_none(),
                (Kind::Lost, _) => numbers.end <= given_up.gone_below,
                (Kind::Readings, _) if numbers.start < self.erased => false,
                (Kind::Readings, Tier::Full) => true,
                (Kind::Readings, Tier::Minute) => numbers.end <= given_up.coarse_below,
                (Kind::Readings, Tier::Quarter) => numbers.end <= given_up.coarsest_below,
            };
            assert!(
                is_allowed,
                "{numbers:?} as {kind:?}, {tier:?}: {given_up:?}"
            );
        }
    }
}

/// Tells whether a store serves exactly this reading under its number.
fn holds<F: NorFlash>(store: &mut FlashStore<F>, reading: &Reading) -> bool {
    let mut buffer = [0; BLOCK_BYTES_MAX];
    let read = store.read_block(reading.seq, &mut buffer);
    let Some(length) = read.expect("it reads") else {
        return false;
    };
    let block = Block::parse(&buffer[..length]).expect("a block is a block");
    block.readings().any(|served| served == *reading)
}

/// What changes when readings go or become coarser: a step takes at least two segments from a tier and adds one to a
/// coarser one, and at most one is written meanwhile.
fn held<F: NorFlash>(store: &FlashStore<F>) -> (u64, [usize; 3]) {
    let counts = Tier::ALL.map(|tier| store.segments(tier));
    (store.oldest().0, counts)
}
