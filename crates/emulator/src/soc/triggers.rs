//! The triggers of the processor's debug module, as far as programs use them to guard memory: on stores.
//!
//! They follow version 0.13 of the RISC-V debug specification. A store to a watched byte does not happen; it raises a
//! breakpoint exception instead, with its address in `mtval`. Triggers on loads and instructions are not there: their
//! bits stay 0.

const TSELECT: u32 = 0x7a0;
const TDATA1: u32 = 0x7a1;
const TDATA2: u32 = 0x7a2;
const TCONTROL: u32 = 0x7a5;

const COUNT: usize = 8;
/// A trigger that compares addresses.
const TYPE: u32 = 2 << 28;
const HIT: u32 = 1 << 20;
/// The address is that of a naturally aligned power of two of bytes, not of a single one.
const RANGE: u32 = 1 << 7;
const MACHINE: u32 = 1 << 6;
const USER: u32 = 1 << 3;
const STORE: u32 = 1 << 1;

/// Triggers act in machine mode, now and before the trap.
const ENABLED: u32 = 1 << 3;
const ENABLED_BEFORE: u32 = 1 << 7;

/// Bytes of the longest store.
const STORE_BYTES: u32 = 4;

#[derive(Clone, Copy, Debug, Default)]
struct Trigger {
    control: u32,
    address: u32,
}

impl Trigger {
    /// Returns the first byte that it watches and their number less 1.
    fn range(self) -> Option<(u32, u32)> {
        const NEEDED: u32 = MACHINE | STORE;
        (self.control & NEEDED == NEEDED).then(|| {
            // The lowest 0 says how many bits below it do not count, nor it itself.
            let mask = match self.control & RANGE {
                0 => 0,
                _ => self.address ^ self.address.wrapping_add(1),
            };
            (self.address & !mask, mask)
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Triggers {
    selected: usize,
    triggers: [Trigger; COUNT],
    control: u32,
}

impl Triggers {
    /// Returns a control and status register, if it is one of the triggers'.
    pub(crate) fn csr(&self, number: u32) -> Option<u32> {
        let selected = self.triggers[self.selected];
        Some(match number {
            TSELECT => self.selected as u32,
            TDATA1 => TYPE | selected.control,
            TDATA2 => selected.address,
            TCONTROL => self.control,
            _ => return None,
        })
    }

    /// Sets a control and status register; tells whether it is one of the triggers'.
    pub(crate) fn set_csr(&mut self, number: u32, value: u32) -> bool {
        let selected = &mut self.triggers[self.selected];
        match number {
            TSELECT => self.selected = value as usize % COUNT,
            TDATA1 => selected.control = value & (HIT | RANGE | MACHINE | USER | STORE),
            TDATA2 => selected.address = value,
            TCONTROL => self.control = value & (ENABLED | ENABLED_BEFORE),
            _ => return false,
        }
        true
    }

    /// A trap begins: a handler is not watched.
    pub(crate) fn enter(&mut self) {
        self.control = match self.control & ENABLED {
            0 => 0,
            _ => ENABLED_BEFORE,
        };
    }

    /// A trap is over.
    pub(crate) fn leave(&mut self) {
        let before = self.control & ENABLED_BEFORE;
        self.control = match before {
            0 => 0,
            _ => before | ENABLED,
        };
    }

    /// Says that a store was refused.
    pub(crate) fn refused(&mut self, store: (u32, u32)) {
        for trigger in &mut self.triggers {
            if trigger.range().is_some_and(|range| touches(range, store)) {
                trigger.control |= HIT;
            }
        }
    }

    /// Returns what the bus must refuse now.
    pub(crate) fn watch(&self) -> Watch {
        let mut watch = Watch::default();
        if self.control & ENABLED == 0 {
            return watch;
        }
        for (trigger, range) in self.triggers.iter().zip(&mut watch.ranges) {
            *range = trigger.range();
        }
        let ranges = || watch.ranges.iter().flatten();
        if let (Some(first), Some(last)) = (
            ranges().map(|range| range.0).min(),
            ranges().map(|range| range.0.saturating_add(range.1)).max(),
        ) {
            watch.from = first.saturating_sub(STORE_BYTES - 1);
            watch.bytes = (last - watch.from).saturating_add(1);
        }
        watch
    }
}

/// Tells whether two ranges have a byte in common; each is its first byte and their number less 1.
fn touches(one: (u32, u32), other: (u32, u32)) -> bool {
    one.0 <= other.0.saturating_add(other.1) && other.0 <= one.0.saturating_add(one.1)
}

/// What stores must not touch.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// All watched bytes, and those before at which a store begins that reaches them, lie within.
    from: u32,
    bytes: u32,
    ranges: [Option<(u32, u32)>; COUNT],
    /// The store that was refused: its first byte and their number less 1.
    refused: Option<(u32, u32)>,
}

impl Watch {
    /// Tells whether a store may touch a watched byte: each store asks this.
    #[inline(always)]
    pub(crate) fn is_near(&self, address: u32) -> bool {
        address.wrapping_sub(self.from) < self.bytes
    }

    /// Tells whether a store of so many bytes touches a watched one, and remembers it.
    #[cold]
    pub(crate) fn refuses(&mut self, address: u32, bytes: usize) -> bool {
        let store = (address, bytes as u32 - 1);
        let is_hit = self
            .ranges
            .iter()
            .flatten()
            .any(|range| touches(*range, store));
        if is_hit {
            self.refused = Some(store);
        }
        is_hit
    }

    /// Takes the store that was refused.
    pub(crate) fn take_refused(&mut self) -> Option<(u32, u32)> {
        self.refused.take()
    }
}
