//! The whole machine: runs, stops, and tells what happened.

use std::collections::BTreeMap;

use nor_model::{Latency, Nor};

use super::{
    Reset, Rom, Touch,
    bus::{Soc, Violation},
    code::Code,
    flash::Flash,
    hart::{Hart, Ran},
    outcome::{Counters, Fault, Span, Stop},
};
use crate::{adc::Feed, cpu::Trap, memory::Bus as _, network::Card};

/// What a machine is made of.
#[derive(Debug)]
pub struct Parts {
    /// The mask ROM.
    pub rom: Rom,
    /// The flash chip, 4 MB.
    pub flash: Nor,
    /// How long the flash is busy with each operation.
    pub latency: Latency,
    /// The chip's address.
    pub mac: [u8; 6],
    /// Draws the random numbers.
    pub seed: u64,
    /// What the converter's inputs are connected to.
    pub feed: Feed,
}

/// An ESP32-C3 with its flash.
#[derive(Debug)]
pub struct Machine {
    soc: Soc,
    hart: Hart,
    code: Code,
    counters: Counters,
    spans: BTreeMap<(u32, u32), Span>,
    stops: Vec<u32>,
    /// The hook at the program counter was answered.
    over_hook: bool,
    fault: Option<Fault>,
    seed: u64,
}

impl Machine {
    /// Makes a machine whose power came just now.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            rom,
            flash,
            latency,
            mac,
            seed,
            feed,
        } = parts;
        let mut machine = Self {
            soc: Soc::new(rom, Flash::new(flash, latency), mac, seed, feed),
            hart: Hart::new(),
            code: Code::new(),
            counters: Counters::default(),
            spans: BTreeMap::new(),
            stops: Vec::new(),
            over_hook: false,
            fault: None,
            seed,
        };
        machine.reset(Reset::PowerOn);
        machine
    }

    /// Takes the power and gives it back: memory is lost, virtual time begins at 0, a planned cut is forgotten. What was
    /// sent, spans and counters stay.
    pub fn restart(&mut self) {
        self.soc.flash.power_on();
        self.fault = None;
        self.code.clear();
        self.reset(Reset::PowerOn);
    }

    fn reset(&mut self, reset: Reset) {
        self.counters.resets.push((self.soc.now(), reset));
        self.soc.reset(reset);
        self.hart.reset();
        self.over_hook = false;
        for span in self.spans.values_mut() {
            span.begun = None;
        }
    }

    /// Runs until virtual time is `until`, in cycles of 160 MHz since power came, or something else stops it.
    pub fn run_until(&mut self, until: u64) -> Stop {
        loop {
            if let Some(fault) = self.fault {
                return Stop::Fault(fault);
            }
            if !self.soc.flash.is_powered() {
                return Stop::PowerCut;
            }
            let now = self.soc.now();
            if let Some(reset) = self.soc.advance(now) {
                self.reset(reset);
                continue;
            }
            for page in std::mem::take(&mut self.soc.stale_pages) {
                self.code.forget_flash(page);
            }
            for (address, length) in std::mem::take(&mut self.soc.stale) {
                self.code.forget(address, length);
            }
            if now >= until {
                return Stop::Reached;
            }
            if let Some(number) = self.soc.interrupts.pending() {
                self.hart.waits = false;
                if self.hart.takes_interrupts() {
                    self.hart.interrupt(&mut self.soc, number);
                }
            }
            if self.hart.waits {
                let Some(event) = self.soc.next_wake(now) else {
                    return Stop::Idle;
                };
                let then = event.clamp(now + 1, until);
                self.counters.idle += then - now;
                self.soc.skip_to(then);
                continue;
            }
            let event = self.soc.next_event(now);
            if let Some(stop) = self.run(
                now,
                event.map_or(until, |event| event.clamp(now + 1, until)),
            ) {
                return stop;
            }
        }
    }

    /// Runs instructions to a deadline.
    fn run(&mut self, now: u64, deadline: u64) -> Option<Stop> {
        self.soc.deadline = self.soc.cycles_at(deadline);
        let over_hook = std::mem::take(&mut self.over_hook);
        let before = self.hart.retired;
        let ran = self.hart.run(&mut self.soc, &mut self.code, over_hook);
        self.counters.instructions += self.hart.retired - before;
        self.counters.busy += self.soc.now() - now;
        let pc = self.hart.pc;
        if let Some(Violation::FlashBusy(address)) = self.soc.violation.take() {
            self.fault = Some(Fault::FlashBusy { pc, address });
        }
        match ran {
            Ran::Deadline => None,
            Ran::DoubleTrap(source) => {
                self.fault = Some(Fault::DoubleTrap { pc, source });
                None
            }
            Ran::Hook => {
                self.over_hook = true;
                self.count_spans(pc);
                self.stops.contains(&pc).then_some(Stop::At { pc })
            }
        }
    }

    /// Runs until the console has sent `text`, counted from now on, or virtual time is `until`; `None` when the time came.
    pub fn run_until_sent(&mut self, text: &str, until: u64) -> Option<Stop> {
        const STEP: u64 = super::CLOCK_HZ / 1_000;
        let from = self.soc.uart.sent.len();
        loop {
            let now = self.now();
            if now >= until {
                return None;
            }
            let stop = self.run_until((now + STEP).min(until));
            let from = from.min(self.soc.uart.sent.len());
            let mut windows = self.soc.uart.sent[from..].windows(text.len());
            if windows.any(|window| window == text.as_bytes()) {
                return Some(Stop::Reached);
            }
            if stop != Stop::Reached {
                return Some(stop);
            }
        }
    }

    /// Stops runs each time when `pc` is next.
    pub fn stop_at(&mut self, pc: u32) {
        self.stops.push(pc);
        self.code.hook(pc);
    }

    /// Counts what the processor needs from each arrival at `from` to the next at `to`.
    pub fn measure(&mut self, from: u32, to: u32) {
        self.spans.insert((from, to), Span::default());
        self.code.hook(from);
        self.code.hook(to);
    }

    /// Returns what [`measure`](Self::measure) counted.
    #[must_use]
    pub fn span(&self, from: u32, to: u32) -> Option<Span> {
        self.spans.get(&(from, to)).copied()
    }

    fn count_spans(&mut self, pc: u32) {
        let cycles = self.soc.cycles + self.soc.extra;
        for ((from, to), span) in &mut self.spans {
            if *to == pc
                && let Some(begun) = span.begun.take()
            {
                let took = cycles.saturating_sub(begun);
                span.times += 1;
                span.cycles += took;
                span.cycles_max = span.cycles_max.max(took);
            }
            if *from == pc {
                span.begun = Some(cycles);
            }
        }
    }

    /// Returns virtual time: cycles of 160 MHz since power came.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.soc.now()
    }

    /// Returns what the machine did since it was made.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns the address of the next instruction.
    #[must_use]
    pub fn pc(&self) -> u32 {
        self.hart.pc
    }

    /// Returns a register, 0 to 31.
    ///
    /// # Panics
    /// When there is no such register.
    #[must_use]
    pub fn register(&self, number: usize) -> u32 {
        assert!(number < 32, "there are 32 registers");
        self.hart.registers[number]
    }

    /// Returns the last exception that the processor took, and the address of its instruction.
    #[must_use]
    pub fn last_trap(&self) -> Option<(u32, Trap)> {
        self.hart.last_trap
    }

    /// Reads a word as the processor would, registers of peripherals with all that it does to them.
    pub fn load32(&mut self, address: u32) -> Option<u32> {
        self.soc.load32(address).ok()
    }

    /// Takes what UART0 has sent since the last time.
    pub fn take_sent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.soc.uart.sent)
    }

    /// Takes what the chip's USB serial port has sent since the last time.
    pub fn take_sent_by_usb(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.soc.usb.sent)
    }

    /// Sends bytes to UART0.
    pub fn send(&mut self, bytes: &[u8]) {
        self.soc.uart.received.extend(bytes);
    }

    /// Puts a level on a pin, 0 to 21, from outside; all are high at the start.
    ///
    /// # Panics
    /// When there is no such pin.
    pub fn set_pin(&mut self, pin: u32, high: bool) {
        assert!(pin < 22, "there are 22 pins");
        self.soc.gpio.set_input(pin, high);
    }

    /// Returns the level of a pin, 0 to 21, that the program drives.
    ///
    /// # Panics
    /// When there is no such pin.
    #[must_use]
    pub fn pin(&self, pin: u32) -> Option<bool> {
        assert!(pin < 22, "there are 22 pins");
        self.soc.gpio.output(pin)
    }

    /// Lends the network card, whose other end is the host's.
    pub fn card_mut(&mut self) -> &mut Card {
        &mut self.soc.card
    }

    /// Returns what the converter's inputs are connected to.
    #[must_use]
    pub fn feed(&self) -> &Feed {
        self.soc.saradc.feed()
    }

    /// Lends what the converter's inputs are connected to.
    pub fn feed_mut(&mut self) -> &mut Feed {
        self.soc.saradc.feed_mut()
    }

    /// Returns the flash chip.
    #[must_use]
    pub fn flash(&self) -> &Nor {
        self.soc.flash.nor()
    }

    /// Lends the flash chip, to plan a cut or to make it fail. Bytes changed by it are seen after [`restart`](Self::restart).
    pub fn flash_mut(&mut self) -> &mut Nor {
        self.soc.flash.nor_mut()
    }

    /// Ends the machine and returns its flash chip.
    #[must_use]
    pub fn into_flash(self) -> Nor {
        self.soc.flash.into_nor()
    }

    /// Returns the seed that draws the random numbers.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Lists the registers without a model that the program touched, by address.
    pub fn touches(&self) -> impl Iterator<Item = Touch> {
        self.soc.unmodelled.touches()
    }
}

#[cfg(test)]
mod tests;
