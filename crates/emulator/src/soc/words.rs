//! Registers that keep what is written.

use std::collections::BTreeMap;

/// The registers of one peripheral, 4 KiB of addresses.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    words: Box<[u32; 1024]>,
}

impl Words {
    /// Makes registers that are 0 but for those named by offset.
    pub(crate) fn new(resets: &[(u32, u32)]) -> Self {
        let mut words = Self {
            words: Box::new([0; 1024]),
        };
        for (offset, value) in resets {
            words.set(*offset, *value);
        }
        words
    }

    pub(crate) fn get(&self, offset: u32) -> u32 {
        self.words[offset as usize >> 2 & 1023]
    }

    pub(crate) fn set(&mut self, offset: u32, value: u32) {
        self.words[offset as usize >> 2 & 1023] = value;
    }
}

/// How an address that no peripheral models was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Address of the register.
    pub address: u32,
    /// Reads and writes so far.
    pub times: u64,
    /// Where the first one came from.
    pub pc: u32,
    /// What was written first, if the first was a write.
    pub written: Option<u32>,
}

/// Flags by which the radio says that a step of its calibration is done; without them its start would wait for ever.
/// Found by running the radio's library.
const READY: [(u32, u32); 2] = [
    // The estimate of the receiver's balance.
    (0x6000_6174, 1 << 16),
    // The MAC is out of its reset.
    (0x6003_3d14, 1),
];

/// Everything without a model: reads give what was written, or 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unmodelled {
    values: BTreeMap<u32, u32>,
    touches: BTreeMap<u32, Touch>,
}

impl Unmodelled {
    pub(crate) fn read(&mut self, address: u32, pc: u32) -> u32 {
        self.touch(address, pc, None);
        let value = self.values.get(&address).copied().unwrap_or(0);
        let ready = READY.iter().find(|(register, _)| *register == address);
        value | ready.map_or(0, |(_, bits)| *bits)
    }

    pub(crate) fn write(&mut self, address: u32, value: u32, pc: u32) {
        self.touch(address, pc, Some(value));
        self.values.insert(address, value);
    }

    fn touch(&mut self, address: u32, pc: u32, written: Option<u32>) {
        let touch = self.touches.entry(address).or_insert(Touch {
            address,
            times: 0,
            pc,
            written,
        });
        touch.times += 1;
    }

    /// Forgets the values, as a reset does; the touches stay.
    pub(crate) fn reset(&mut self) {
        self.values.clear();
    }

    pub(crate) fn touches(&self) -> impl Iterator<Item = Touch> {
        self.touches.values().copied()
    }
}
