//! One sector of a ring: events, and readings as blocks.

use embedded_storage::nor_flash::NorFlash;
use protocol::{
    ChannelReading, Seq,
    block::{Writer, write_never_existed},
    event::Event,
    limits::CHANNELS_MAX,
    run::{NUMBER_MAX, Run},
};

use super::{Content, Damage, Found, Scan, content_of, give, owner};
use crate::{
    counters,
    error::Fault,
    events,
    journal::{self, RUN_READINGS_MAX, advance, read_opening, read_reading, read_run},
    ring::{
        entry::Kind,
        sector::{Identity, Opened, SECTOR_BYTES},
        walk::{Step, Walk},
    },
};

impl Scan {
    /// Looks at the entries of a sector, behind its header where that is whole, else from its beginning.
    pub(super) fn entries<F: NorFlash>(
        &mut self,
        flash: &mut F,
        sector: u32,
        ring: u8,
        opened: Option<&Opened>,
        identity: &Identity,
        visit: &mut dyn FnMut(&Found<'_>),
    ) -> Result<(Content, Option<Damage>), Fault> {
        let torn_bytes_max = match ring {
            counters::RING => counters::TORN_BYTES_MAX,
            events::RING => events::TORN_BYTES_MAX,
            _ => journal::TORN_BYTES_MAX,
        };
        let from = opened.map_or(0, Opened::entries_at);
        let walk = Walk::new(sector * SECTOR_BYTES, from, torn_bytes_max);
        let damage = match ring {
            journal::RING => {
                let run = opened.and_then(read_opening).map(|(_, run)| run);
                let mut readings = Readings {
                    sector,
                    identity,
                    next: run.as_ref().map(|run| run.first),
                    is_hit: run.is_none(),
                    at: run.map(At::begin),
                    missing: 0,
                    is_open: false,
                    pending: Pending::new(),
                    buffer: &mut self.block,
                    visit,
                };
                readings.all(flash, walk)?
            }
            _ => entries(flash, walk, torn_bytes_max, &mut |kind, payload| {
                let event = Event::parse(payload).ok().filter(|_| kind == Kind::Event);
                if let Some(event) = event.filter(|event| event.number < NUMBER_MAX) {
                    visit(&Found::Event {
                        sector,
                        owner: owner(identity),
                        event: &event,
                    });
                }
            })?,
        };
        Ok((content_of(ring), damage))
    }
}

/// Hands out entries and tells whether something other than a torn write is between.
fn entries<F: NorFlash>(
    flash: &mut F,
    mut walk: Walk,
    torn_bytes_max: u32,
    each: &mut dyn FnMut(Kind, &[u8]),
) -> Result<Option<Damage>, Fault> {
    let mut damage = None;
    loop {
        match walk.next(flash)? {
            Step::Entry { kind, payload } => each(kind, payload),
            // Behind a torn write the next entry goes just where that cannot have reached.
            Step::Broken(broken)
                if broken.is_torn_write || broken.bytes.is_multiple_of(torn_bytes_max) => {}
            Step::Broken(_) => damage = Some(Damage::Entries),
            Step::End(_) => return Ok(damage),
        }
    }
}

/// A place in a run.
struct At {
    /// What holds for the next reading: its number, its uptime, and the registers before it.
    run: Run,
    /// The same at the first reading that was not given out.
    first: Run,
    previous: [ChannelReading; CHANNELS_MAX],
}

impl At {
    fn begin(run: Run) -> Self {
        Self {
            first: run.clone(),
            run,
            previous: [ChannelReading::default(); CHANNELS_MAX],
        }
    }

    /// Reads a reading from exactly `bytes` over the one before, and goes on behind it.
    fn take(&mut self, bytes: &[u8]) -> Option<[ChannelReading; CHANNELS_MAX]> {
        let reading = read_reading(bytes, self.run.registers.len(), &self.previous)
            .filter(|_| self.run.first < NUMBER_MAX)?;
        advance(&mut self.run.registers, &reading, &self.run.params);
        self.run.first += 1;
        self.run.uptime_ms = self.run.uptime_ms_at(1);
        self.previous = reading;
        Some(reading)
    }
}

/// Readings that become one block: as many as a run of the journal holds.
type Pending = heapless::Vec<[ChannelReading; CHANNELS_MAX], { RUN_READINGS_MAX as usize }>;

/// The readings of a sector.
struct Readings<'a> {
    sector: u32,
    identity: &'a Identity,
    /// `None` where it is not known which reading comes next.
    at: Option<At>,
    /// Number behind the last one that is accounted for; `None` where that is not known.
    next: Option<u64>,
    /// Numbers that were in the sector and cannot be read.
    missing: u64,
    /// Whether anything is damaged.
    is_hit: bool,
    /// Whether something cannot be read that no run behind has explained.
    is_open: bool,
    pending: Pending,
    buffer: &'a mut [u8],
    visit: &'a mut dyn FnMut(&Found<'_>),
}

impl Readings<'_> {
    /// Walks to the end and says what is missing.
    fn all<F: NorFlash>(&mut self, flash: &mut F, mut walk: Walk) -> Result<Option<Damage>, Fault> {
        if let Some(run) = self.at.as_ref().map(|at| at.run.clone()) {
            self.give_skipped(&run);
        }
        loop {
            match walk.next(flash)? {
                Step::Entry {
                    kind: Kind::Reading,
                    payload,
                } => self.reading(payload),
                Step::Entry {
                    kind: Kind::Run,
                    payload,
                } => self.run(payload),
                Step::Entry { .. } => self.stray(),
                Step::Broken(broken) if broken.is_torn_write => self.end_run(),
                Step::Broken(_) => self.stray(),
                Step::End(_) => break,
            }
        }
        self.end_run();
        let is_hit = self.is_hit || self.is_open;
        Ok(is_hit.then_some(Damage::Readings(self.missing)))
    }

    fn reading(&mut self, payload: &[u8]) {
        let Some(reading) = self.at.as_mut().and_then(|at| at.take(payload)) else {
            return self.stray();
        };
        if self.pending.push(reading).is_ok() && self.pending.is_full() {
            self.give();
        }
    }

    fn run(&mut self, payload: &[u8]) {
        self.give();
        let run = read_run(payload, &mut 0, self.identity.channels.into());
        let next = self.next.unwrap_or(0);
        // Numbers only grow: what says otherwise was not written by a store.
        let Some(run) = run.filter(|run| run.base() >= next) else {
            return self.stray();
        };
        let missing = self.next.map_or(0, |next| run.base() - next);
        self.missing += missing;
        self.is_hit |= missing > 0;
        // Broken bytes for which no number is missing were a torn write.
        self.is_open = false;
        self.give_skipped(&run);
        self.next = Some(run.first);
        self.at = Some(At::begin(run));
    }

    /// Here begins what cannot be told apart.
    fn stray(&mut self) {
        self.end_run();
        self.is_open = true;
    }

    fn end_run(&mut self) {
        self.give();
        self.at = None;
    }

    /// Gives out the readings so far as a block.
    fn give(&mut self) {
        let pending = core::mem::take(&mut self.pending);
        let Some(at) = self.at.as_mut().filter(|_| !pending.is_empty()) else {
            return;
        };
        self.next = Some(at.run.first);
        let first = core::mem::replace(&mut at.first, at.run.clone());
        let header = first.block_header(self.identity.device, self.identity.store);
        let Ok(mut writer) = Writer::new(self.buffer, &header) else {
            return;
        };
        for reading in &pending {
            // The buffer holds so many readings of any length.
            let _ = writer.push(&reading[..header.registers.len()]);
        }
        let length = writer.finish();
        give(self.sector, &self.buffer[..length], self.visit);
    }

    /// Gives out the numbers before a run that never existed.
    fn give_skipped(&mut self, run: &Run) {
        let count = u32::try_from(run.skipped).unwrap_or(u32::MAX);
        let mut header = run.block_header(self.identity.device, self.identity.store);
        header.first = Seq(run.base());
        if count > 0
            && let Ok(length) = write_never_existed(self.buffer, &header, count)
        {
            give(self.sector, &self.buffer[..length], self.visit);
        }
    }
}
