//! A flash that can still be reached while a store has it.

use std::{cell::RefCell, rc::Rc};

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use nor_model::{Nor, NorError};

/// A flash with two owners.
#[derive(Clone, Debug)]
pub struct Shared(Rc<RefCell<Nor>>);

impl Shared {
    /// Shares a flash.
    #[must_use]
    pub fn new(nor: Nor) -> Self {
        Self(Rc::new(RefCell::new(nor)))
    }

    /// Looks at the flash, or does something to it.
    pub fn with<R>(&self, look: impl FnOnce(&mut Nor) -> R) -> R {
        look(&mut self.0.borrow_mut())
    }

    /// Flips bits of the byte at `offset`, as ageing does.
    ///
    /// # Panics
    /// When `offset` is beyond the flash.
    pub fn flip(&self, offset: usize, mask: u8) {
        let flipped = self.0.borrow_mut().flip(offset, mask);
        flipped.expect("a flash in memory takes it");
    }

    /// Makes every program and erase fail, or work again.
    pub fn fail_writes(&self, fail: bool) {
        self.0.borrow_mut().fail_writes(fail);
    }

    /// Copies the flash as it lies.
    #[must_use]
    pub fn copy(&self) -> Nor {
        self.0.borrow().snapshot()
    }
}

impl ErrorType for Shared {
    type Error = NorError;
}

impl ReadNorFlash for Shared {
    const READ_SIZE: usize = Nor::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorError> {
        self.0.borrow_mut().read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.borrow().capacity()
    }
}

impl NorFlash for Shared {
    const WRITE_SIZE: usize = Nor::WRITE_SIZE;
    const ERASE_SIZE: usize = Nor::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorError> {
        self.0.borrow_mut().erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorError> {
        self.0.borrow_mut().write(offset, bytes)
    }
}
