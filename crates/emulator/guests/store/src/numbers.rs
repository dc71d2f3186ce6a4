//! Numbers of the calls that the program makes to whoever runs it.

pub(crate) const FLASH_READ: u32 = 1;
pub(crate) const FLASH_WRITE: u32 = 2;
pub(crate) const FLASH_ERASE: u32 = 3;
pub(crate) const FINISHED: u32 = 4;
pub(crate) const STOPPED: u32 = 5;
pub(crate) const FAILED: u32 = 6;
