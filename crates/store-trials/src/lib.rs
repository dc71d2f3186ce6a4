//! Trials of the flash store: what it was told, what it must still know, and power cuts at every flash operation.
//!
//! | module | holds |
//! |---|---|
//! | [`operation`] | what is done to a store, and the values it is given |
//! | [`cuts`] | cutting power, and what must hold then |
//! | [`scenario`] | where trials begin |
//! | [`catalogue`] | all scenarios |
//! | [`formatting`] | formatting that is cut |
//! | [`suite`] | all trials, on some threads |
//! | [`truth`] | what a store was told, and the check that it still knows |
//! | [`history`] | the readings it was told |
//! | [`coarse`] | whether a coarse reading says what the readings of its span said |
//! | [`served`] | what a store says about its numbers |
//! | [`shared`] | a flash that can still be reached while a store has it |
//!
//! A check that fails panics and says what did not hold.
#![forbid(unsafe_code)]

pub mod catalogue;
pub mod coarse;
pub mod cuts;
pub mod formatting;
pub mod history;
pub mod operation;
pub mod scenario;
pub mod served;
pub mod shared;
pub mod suite;
pub mod truth;

pub use suite::{Failure, Outcome, Scale, run};
