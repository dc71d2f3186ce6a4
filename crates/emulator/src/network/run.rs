//! Chip and host side by side.

use super::Host;
use crate::soc::{CLOCK_HZ, Machine, Stop};

/// Virtual time between two exchanges of frames: as often as the firmware looks at its card.
const EXCHANGE: u64 = CLOCK_HZ / 1_000;

impl Host {
    /// Runs a machine with the host at its card until virtual time is `until`, in cycles of 160 MHz since power came, or
    /// something else stops it.
    pub fn run(&mut self, machine: &mut Machine, until: u64) -> Stop {
        loop {
            let now = machine.now();
            self.poll(now, machine.card_mut());
            if now >= until {
                return Stop::Reached;
            }
            let stop = machine.run_until(until.min(now + EXCHANGE));
            if stop != Stop::Reached {
                return stop;
            }
        }
    }

    /// Takes the machine's power and gives it back, as after [`Stop::PowerCut`].
    pub fn restart(&mut self, machine: &mut Machine) {
        self.poll(machine.now(), machine.card_mut());
        machine.restart();
        self.power_on();
    }
}
