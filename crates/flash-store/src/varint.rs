//! Reading and writing rows of varints.

use protocol::varint;

pub(crate) struct Writer<'a> {
    buffer: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, at: 0 }
    }

    pub(crate) fn unsigned(&mut self, value: u64) -> Option<()> {
        varint::write(self.buffer, &mut self.at, value)
    }

    pub(crate) fn signed(&mut self, value: i64) -> Option<()> {
        varint::write_signed(self.buffer, &mut self.at, value)
    }

    pub(crate) fn length(&self) -> usize {
        self.at
    }
}

pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn unsigned(&mut self) -> Option<u64> {
        varint::read(self.bytes, &mut self.at)
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        varint::read_signed(self.bytes, &mut self.at)
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }
}
