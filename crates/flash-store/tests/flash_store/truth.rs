//! What a store was told, and the check that it still knows.

use std::collections::{BTreeMap, BTreeSet};

use flash_store::{AppendError, FlashStore, Format, RunParams};
use nor_model::{Nor, SECTOR_BYTES};
use protocol::{
    ChannelReading, DeviceId, Flags, Reading, Registers, Seq, StoreId,
    block::{Block, Kind},
    event::{Event, What},
    limits::BLOCK_BYTES_MAX,
    reading::quantum_mj,
};

pub const DEVICE: DeviceId = DeviceId([0x3c, 0x71, 0xbf, 0, 1, 2]);
pub const STORE: StoreId = StoreId(0x1234_5678_9abc_def0);
/// A small flash, so that rings wrap soon: 4 sectors for settings, 2 for events, 6 for readings.
pub const CAPACITY_BYTES: usize = 12 * SECTOR_BYTES;
pub const PARAMS: RunParams = RunParams {
    interval_ms: 10_000,
    power_unit_mw: 1000,
    calibration: 3,
};

/// Something done to a store.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// A start.
    Boot,
    /// A reading that ends so long after the last one; other than the interval it is a gap.
    Append(RunParams, u64),
    /// Everything below this share (in percent) of `next` is collected.
    Acknowledge(u64),
    /// A configuration record of this length.
    Config(usize),
    /// An event.
    Event,
}

/// What an operation that failed was about; it may have been done or not.
#[derive(Clone, Debug, PartialEq)]
enum InFlight {
    Nothing,
    Boot(u32),
    Reading(Box<Reading>),
    Acknowledge(u64),
    Config(Vec<u8>),
    Event(Event),
}

/// Everything that a store acknowledged.
#[derive(Clone, Debug)]
pub struct Truth {
    pub channels: u8,
    pub readings: BTreeMap<u64, Reading>,
    pub registers: Vec<Registers>,
    pub boot: u32,
    pub uptime_ms: u64,
    pub acknowledged: u64,
    pub config: Option<Vec<u8>>,
    pub events: BTreeMap<u64, Event>,
    /// Readings below this may be gone.
    pub may_be_gone_below: u64,
    /// Losses that were told, as ranges.
    pub told: Vec<(u64, u64)>,
    /// Numbers that were served as never having existed, and the highest `next`: a collector may know them.
    never_existed: BTreeSet<u64>,
    next: u64,
    /// Draws values; counts operations.
    pub turn: u64,
    in_flight: InFlight,
}

pub fn format(channels: u8) -> (FlashStore<Nor>, Truth) {
    format_on(Nor::new(CAPACITY_BYTES), channels)
}

pub fn format_on(nor: Nor, channels: u8) -> (FlashStore<Nor>, Truth) {
    let format = Format {
        device: DEVICE,
        store: STORE,
        channels,
    };
    let truth = Truth {
        channels,
        readings: BTreeMap::new(),
        registers: vec![Registers::default(); channels.into()],
        boot: 0,
        uptime_ms: 0,
        acknowledged: 0,
        config: None,
        events: BTreeMap::new(),
        may_be_gone_below: 0,
        told: Vec::new(),
        never_existed: BTreeSet::new(),
        next: 0,
        turn: 0,
        in_flight: InFlight::Nothing,
    };
    (FlashStore::format(nor, &format).unwrap(), truth)
}

pub fn mount(nor: Nor) -> FlashStore<Nor> {
    FlashStore::mount(nor)
        .map_err(|(error, _)| error)
        .expect("a store mounts whatever cut it")
}

/// Mixes bits; equal inputs give equal values on every run.
pub fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// Makes values that use the whole range of every field.
pub fn wild_channel(turn: u64, channel: u8) -> ChannelReading {
    let draw = |field: u64| mix(turn * 31 + u64::from(channel) * 7 + field * 1_000_003 + 1);
    ChannelReading {
        energy_quanta: (draw(1) >> 40) as i32 - (1 << 23),
        reactive_power_var: draw(2) as i32,
        voltage_dv: draw(3) as u16,
        current_ca: draw(4) as u16,
        frequency_chz: draw(5) as u16,
        coverage_permille: (draw(6) % 1001) as u16,
        flags: Flags(draw(7) as u16),
    }
}

impl Truth {
    /// Does an operation; tells whether the store did it.
    pub fn apply(&mut self, store: &mut FlashStore<Nor>, op: &Op) -> bool {
        self.turn += 1;
        let done = match op {
            Op::Boot => {
                self.in_flight = InFlight::Boot(self.boot + 1);
                let boot = store.start_boot();
                self.uptime_ms = 0;
                boot.inspect(|&boot| self.boot = boot).is_ok()
            }
            Op::Append(params, step_ms) => {
                let wild = (0..self.channels).map(|channel| wild_channel(self.turn, channel));
                let channels: Vec<_> = wild.collect();
                self.append(store, params, *step_ms, &channels).is_ok()
            }
            Op::Acknowledge(percent) => {
                let next = (store.next().0 * percent / 100).max(self.acknowledged);
                self.in_flight = InFlight::Acknowledge(next);
                let done = store.acknowledge(Seq(next)).is_ok();
                done.then(|| self.acknowledged = next);
                done
            }
            Op::Config(length) => {
                let byte = |index| mix(self.turn * 1000 + index) as u8;
                let record: Vec<u8> = (0..*length as u64).map(byte).collect();
                self.in_flight = InFlight::Config(record.clone());
                let done = store.config_write(&record).is_ok();
                done.then(|| self.config = Some(record));
                done
            }
            Op::Event => self.log(store),
        };
        if done {
            self.in_flight = InFlight::Nothing;
        }
        done
    }

    pub fn append(
        &mut self,
        store: &mut FlashStore<Nor>,
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
            boot: self.boot,
            uptime_ms: self.uptime_ms,
            interval_ms: params.interval_ms,
            power_unit_mw: params.power_unit_mw,
            channels: channels.iter().copied().collect(),
            registers: registers.iter().copied().collect(),
        };
        self.in_flight = InFlight::Reading(Box::new(reading.clone()));
        let appended = store.append(params, self.uptime_ms, channels)?;
        assert_eq!(appended.seq, reading.seq);
        if let Some(lost) = appended.lost {
            self.told.push((lost.first.0, lost.first.0 + lost.count));
        }
        self.keep(reading);
        self.may_be_gone_below = self.may_be_gone_below.max(store.oldest().0);
        self.in_flight = InFlight::Nothing;
        Ok(())
    }

    fn keep(&mut self, reading: Reading) {
        self.registers = reading.registers.to_vec();
        let before = self.readings.insert(reading.seq.0, reading);
        assert_eq!(before, None, "a sequence number came twice");
        let last = self.readings.keys().next_back().expect("one is there");
        assert!(
            !self.never_existed.contains(last),
            "it was said not to exist"
        );
    }

    fn log(&mut self, store: &mut FlashStore<Nor>) -> bool {
        let what = What::Anchor {
            utc_ms: mix(self.turn) as i64 >> 8,
            uncertainty_ms: self.turn as u32,
        };
        let (boot, uptime_ms) = (self.boot, self.uptime_ms);
        let event = |number| Event {
            number,
            boot,
            uptime_ms,
            what,
        };
        self.in_flight = InFlight::Event(event(store.next_event()));
        let number = store.event_append(boot, uptime_ms, what);
        if let Ok(number) = number {
            let before = self.events.insert(number, event(number));
            assert_eq!(before, None, "an event number came twice");
        }
        number.is_ok()
    }

    /// Checks everything that must hold after power cuts, and takes over what the operation in flight did.
    pub fn check(&mut self, store: &mut FlashStore<Nor>) {
        assert_eq!(
            (store.device(), store.store_id()),
            (DEVICE, STORE),
            "the identity stays"
        );
        match std::mem::replace(&mut self.in_flight, InFlight::Nothing) {
            InFlight::Nothing => {}
            InFlight::Boot(boot) => self.boot = self.boot.max(boot.min(store.boot())),
            InFlight::Reading(reading) => {
                let served = serve(store);
                if served.get(&reading.seq.0) == Some(&Served::Reading((*reading).clone())) {
                    self.keep(*reading);
                }
            }
            InFlight::Acknowledge(next) => {
                let now = store.acknowledged().0;
                assert!(now == self.acknowledged || now == next);
                self.acknowledged = now;
            }
            InFlight::Config(record) => {
                let now = config(store);
                if now.as_ref() == Some(&record) {
                    self.config = now;
                }
            }
            InFlight::Event(event) => {
                if events(store).contains_key(&event.number) {
                    self.events.insert(event.number, event);
                }
            }
        }
        self.check_all(store);
        let served = serve(store).into_iter();
        self.never_existed.extend(
            served.filter_map(|(seq, served)| (served == Served::NeverExisted).then_some(seq)),
        );
        self.next = store.next().0;
    }

    fn check_all(&self, store: &mut FlashStore<Nor>) {
        self.check_readings(store);
        assert_eq!(
            store.registers().as_slice(),
            self.registers,
            "registers are exact"
        );
        assert_eq!(store.boot(), self.boot, "the start counter");
        assert_eq!(store.acknowledged().0, self.acknowledged);
        assert_eq!(config(store), self.config, "the configuration is whole");
        let served = events(store);
        assert!(served.keys().all(|&number| number < store.next_event()));
        for (number, event) in &served {
            assert_eq!(
                self.events.get(number),
                Some(event),
                "an event is as it was"
            );
        }
        let newest = self.events.keys().rev().take(60);
        for number in newest {
            assert!(served.contains_key(number), "event {number} is there");
        }
    }

    fn check_readings(&self, store: &mut FlashStore<Nor>) {
        let served = serve(store);
        let (oldest, next) = (store.oldest().0, store.next().0);
        assert!(next >= self.next, "numbers do not come again");
        assert!(
            oldest <= self.may_be_gone_below,
            "nothing goes without need"
        );
        for (seq, reading) in self.readings.range(self.may_be_gone_below..) {
            let expected = Served::Reading(reading.clone());
            assert_eq!(served.get(seq), Some(&expected), "reading {seq}");
        }
        for (&seq, served) in &served {
            match (served, self.readings.get(&seq)) {
                (Served::Reading(served), truth) => assert_eq!(truth, Some(served)),
                (Served::NeverExisted, truth) => assert_eq!(truth, None, "reading {seq}"),
                // Only what lay in the sector whose erasing was cut.
                (Served::Lost, _) => assert!(seq < self.may_be_gone_below, "reading {seq}"),
            }
        }
        if let Some((&last, _)) = self.readings.last_key_value() {
            assert!(next > last, "numbers do not repeat");
        }
    }
}

/// What a store says about a sequence number.
#[derive(Clone, Debug, PartialEq)]
pub enum Served {
    Reading(Reading),
    NeverExisted,
    Lost,
}

/// Reads everything that a store holds, and checks that blocks follow one another.
pub fn serve(store: &mut FlashStore<Nor>) -> BTreeMap<u64, Served> {
    let mut buffer = [0; BLOCK_BYTES_MAX];
    let mut served = BTreeMap::new();
    let mut from = store.oldest();
    while let Some(length) = store.read_block(from, &mut buffer).expect("it reads") {
        let block = Block::parse(&buffer[..length]).expect("a block is a block");
        let range = block.range();
        assert!(range.contains(&from.0), "{range:?} covers {from}");
        assert!(range.end <= store.next().0);
        match block.kind() {
            Kind::Readings => {
                for reading in block.readings() {
                    served.insert(reading.seq.0, Served::Reading(reading));
                }
            }
            Kind::NeverExisted => {
                served.extend(range.clone().map(|seq| (seq, Served::NeverExisted)))
            }
            Kind::Lost => served.extend(range.clone().map(|seq| (seq, Served::Lost))),
        }
        from = Seq(range.end);
    }
    assert_eq!(
        from.0.max(store.oldest().0),
        store.next().0,
        "nothing is left out"
    );
    served
}

pub fn config(store: &mut FlashStore<Nor>) -> Option<Vec<u8>> {
    let mut buffer = [0; 512];
    let length = store.config_read(&mut buffer).expect("it reads")?;
    Some(buffer[..length].to_vec())
}

pub fn events(store: &mut FlashStore<Nor>) -> BTreeMap<u64, Event> {
    let mut events = BTreeMap::new();
    let mut keep = |event: &Event| events.insert(event.number, *event).is_none();
    store.events(0, &mut keep).expect("it reads");
    events
}
