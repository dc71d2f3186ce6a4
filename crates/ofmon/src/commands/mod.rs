//! The commands, one a file: arguments with their help, and what is done.

pub(crate) mod account;
pub(crate) mod calibrate;
pub(crate) mod collect;
pub(crate) mod demo;
pub(crate) mod demo_report;
pub(crate) mod devices;
pub(crate) mod events;
pub(crate) mod export;
pub(crate) mod firmware;
pub(crate) mod flash;
pub(crate) mod import;
pub(crate) mod readings;
pub(crate) mod scan;
pub(crate) mod serve;
pub(crate) mod setup;
mod setup_dialogue;
pub(crate) mod sim;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod token;
