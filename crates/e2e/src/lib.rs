//! Whole-system tests and the measured claims.
//!
//! A [`scenario`] starts the real program, does what it says with real processes, sockets and files, and returns what it
//! counted. A test runs it small and asserts; the report runs it large and writes the figures down.
//!
//! | module | holds |
//! |---|---|
//! | [`accuracy`] | the metering on signals whose energy is known, beside the methods of others |
//! | `firmware` | what the images of the chips take and do |
//! | [`flash`] | what the flash store takes and withstands |
//! | [`program`] | running `ofmon`, collector side |
//! | [`meters`] | a running `ofmon sim` |
//! | [`emulated`] | a meter whose image runs in the emulator, in this process |
//! | [`simulated`] | a simulated meter in this process |
//! | [`time`] | the time line on random true histories |
//! | [`conformance`] | whether a meter answers the device API as every meter does |
//! | [`truth`] | what the flash of a meter and a load profile say |
//! | [`exported`] | what `ofmon export` says |
//! | [`cutter`] | a connection that breaks where it is told |
//! | [`scenario`] | the scenarios, one a file |
//! | [`report`] | `target/report.json` |

pub mod accuracy;
pub mod conformance;
pub mod cutter;
pub mod device;
pub mod emulated;
pub mod exported;
pub mod flash;
pub mod meters;
pub mod program;
pub mod report;
pub mod scenario;
pub mod simulated;
pub mod time;
pub mod truth;

mod firmware;
