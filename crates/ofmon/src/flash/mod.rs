//! Dumps of a meter's flash: what lies in them, and getting the readings out.
//!
//! | module | holds |
//! |---|---|
//! | `dump` | a file as a flash that takes no writes |
//! | `report` | what lies in it, store by store |
//! | `text` | the same for people |
//! | `map` | a picture of it, one character a sector |
//! | `haul` | what can be saved, by meter and history |

pub(crate) mod dump;
pub(crate) mod haul;
pub(crate) mod map;
pub(crate) mod report;
pub(crate) mod text;
