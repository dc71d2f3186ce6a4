//! A meter's chip that lives on this computer: its flash in a file, its time at a pace, its pages at a port.

mod files;
mod pace;
mod wiring;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    time::Duration,
};

pub use files::{FLASH_BYTES, FileError, open_flash, read_image, read_rom};
use nor_model::{Latency, Nor};
pub use pace::{Pace, Pacer};
pub use wiring::wired;

use crate::{
    adc::Feed,
    network::Host,
    soc::{CLOCK_HZ, Fault, Machine, Parts, Rom, Stop},
};

/// Port of a meter's web server.
const HTTP: u16 = 80;

/// What a chip is born with.
#[derive(Debug)]
pub struct Birth {
    /// The mask ROM.
    pub rom: Rom,
    /// The flash chip, 4 MB.
    pub flash: Nor,
    /// The chip's address.
    pub mac: [u8; 6],
    /// Draws the random numbers of the chip and of the host on its network.
    pub seed: u64,
    /// What the converter's inputs are connected to.
    pub feed: Feed,
}

/// A chip with its host, which runs step by step.
pub struct Life {
    /// The chip.
    pub machine: Machine,
    /// The other end of its network.
    pub host: Host,
    has_address: bool,
}

/// How far a step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Virtual time that passed.
    pub passed: Duration,
    /// Virtual time since power came, at the end of the step and before power came back.
    pub uptime: Duration,
    /// What happened.
    pub event: Option<Event>,
}

/// Something that happened to a chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The firmware gave the host an address: programs of this computer reach it from now on.
    Address,
    /// Power was cut at the planned operation of the flash, and has come back.
    PowerCut,
}

/// Why a chip cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// It waits for an interrupt that nothing raises.
    #[error("the chip waits for something that never comes")]
    Idle,
    /// It did what ends an emulation.
    #[error("the chip did what a real one cannot go on from")]
    Fault(#[source] Fault),
}

impl Life {
    /// Switches a chip on.
    #[must_use]
    pub fn new(birth: Birth) -> Self {
        let Birth {
            rom,
            flash,
            mac,
            seed,
            feed,
        } = birth;
        Self {
            machine: Machine::new(Parts {
                rom,
                flash,
                latency: Latency::default(),
                mac,
                seed,
                feed,
            }),
            host: Host::new(seed),
            has_address: false,
        }
    }

    /// Leads a port of this computer, 0 for any free one, to the meter's web server; returns its address. Who connects
    /// waits until the meter can be reached.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub fn serve(&mut self, port: u16) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        self.host.forward(listener, HTTP)?;
        Ok(address)
    }

    /// Tells whether the firmware has given the host an address.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.host.lease().is_some()
    }

    /// Runs for so much virtual time, or until something happens. After a power cut, power is back.
    ///
    /// # Errors
    /// When the chip cannot go on.
    pub fn step(&mut self, time_max: Duration) -> Result<Step, Ended> {
        let before = self.machine.now();
        let until = before.saturating_add(cycles(time_max));
        let stop = self.host.run(&mut self.machine, until);
        let now = self.machine.now();
        let mut event = None;
        match stop {
            Stop::Reached | Stop::At { .. } => {}
            Stop::PowerCut => {
                self.host.restart(&mut self.machine);
                event = Some(Event::PowerCut);
            }
            Stop::Idle => return Err(Ended::Idle),
            Stop::Fault(fault) => return Err(Ended::Fault(fault)),
        }
        let has_address = self.is_reachable();
        if has_address && !self.has_address {
            event = event.or(Some(Event::Address));
        }
        self.has_address = has_address;
        Ok(Step {
            passed: time(now - before),
            uptime: time(now),
            event,
        })
    }
}

/// Returns the cycles of a virtual time.
fn cycles(time: Duration) -> u64 {
    let cycles = time.as_nanos() * u128::from(CLOCK_HZ / 1_000_000) / 1_000;
    cycles.try_into().unwrap_or(u64::MAX)
}

/// Returns the virtual time of so many cycles.
fn time(cycles: u64) -> Duration {
    let nanoseconds = u128::from(cycles) * 1_000 / u128::from(CLOCK_HZ / 1_000_000);
    Duration::from_nanos(nanoseconds.try_into().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_and_time_are_the_same_both_ways() {
        assert_eq!(cycles(Duration::from_millis(10)), CLOCK_HZ / 100);
        assert_eq!(time(CLOCK_HZ), Duration::from_secs(1));
        assert_eq!(
            cycles(Duration::from_secs(90 * 86_400)),
            90 * 86_400 * CLOCK_HZ
        );
        assert_eq!(cycles(Duration::MAX), u64::MAX);
    }
}
