//! A flash that can be looked at, and cut, while a store has it.

use std::{cell::RefCell, rc::Rc};

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use nor_model::{Nor, NorError};

/// A flash that is looked at while a store has it.
#[derive(Clone, Debug)]
pub struct Shared(Rc<RefCell<Nor>>);

impl Shared {
    pub(super) fn new(nor: Nor) -> Self {
        Self(Rc::new(RefCell::new(nor)))
    }

    /// Looks at the flash.
    pub fn with<R>(&self, look: impl FnOnce(&mut Nor) -> R) -> R {
        look(&mut self.0.borrow_mut())
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
