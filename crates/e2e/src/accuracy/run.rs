//! Runs a signal through a meter, and through rivals on the same pairs, and compares their energy with the truth.

use metering::{Channel, Interval, Output, Pair, Window};

use super::{
    rivals::Rival,
    sampler::Sampler,
    signal::Signal,
    unit::{PORTION, Unit, WARM_UP_S},
};

/// What one run found.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Time that the energy was counted over, in s.
    pub seconds: f64,
    /// True energy in J.
    pub true_j: f64,
    /// Energy counted by the meter in J: given as quanta, and what is pending.
    pub counted_j: f64,
    /// Quanta that the readings gave, import less export.
    pub quanta: i64,
    /// Quanta that the readings gave, import and export added up.
    pub quanta_turnover: u64,
    /// Worst error of the voltage of a reading, in percent of nominal.
    pub voltage_error_percent: f64,
    /// Worst error of the frequency of a reading, in mHz.
    pub frequency_error_mhz: f64,
    /// True energy in J over the time that the rivals counted, which ends with a portion of pairs.
    pub rivals_true_j: f64,
    /// Energy counted by each rival in J.
    pub rivals_j: Vec<f64>,
}

impl Outcome {
    /// Error of the meter's energy in percent of the truth; not a number where the truth is 0.
    #[must_use]
    pub fn error_percent(&self) -> f64 {
        percent(self.counted_j, self.true_j)
    }

    /// Error of a rival's energy in percent of the truth.
    #[must_use]
    pub fn rival_error_percent(&self, rival: usize) -> f64 {
        percent(self.rivals_j[rival], self.rivals_true_j)
    }
}

fn percent(counted: f64, truth: f64) -> f64 {
    (counted / truth - 1.0) * 100.0
}

/// Runs a signal for so many seconds after the warm-up.
#[must_use]
pub fn run(unit: &Unit, signal: &Signal, seconds: f64, rivals: &mut [Rival]) -> Outcome {
    let mut sampler = Sampler::new(signal, unit.front_end, unit.rate_hz, unit.seed ^ 0x5a);
    let mut counter = Counter::new(unit.channel());
    let mut pairs = [Pair::default(); PORTION];
    let mut outcome = Outcome::default();
    let warm_up_us = (WARM_UP_S * 1e6) as u64;
    let end_us = warm_up_us + (seconds * 1e6) as u64;
    let mut first: Option<(u64, f64)> = None;
    let (mut rivals_from_us, mut rivals_before) = (0, Vec::new());
    loop {
        sampler.fill(&mut pairs);
        let now_us = sampler.time_us();
        for rival in rivals.iter_mut() {
            rival.push(&pairs, now_us);
        }
        let window = counter.push(&pairs, now_us, &mut |interval| {
            if first.is_some() {
                outcome.take(interval, signal);
            }
        });
        let Some(window) = window else { continue };
        if first.is_none() && window.end_us >= warm_up_us {
            first = Some((window.end_us, counter.joules()));
            rivals_from_us = now_us;
            rivals_before = rivals.iter().map(Rival::joules).collect();
        } else if let Some((from_us, from_j)) = first
            && window.end_us + 100_000 >= end_us
        {
            let seconds_of = |us: u64| us as f64 / 1e6;
            outcome.seconds = seconds_of(window.end_us - from_us);
            outcome.true_j = signal.energy_j(seconds_of(from_us), seconds_of(window.end_us));
            outcome.counted_j = counter.joules() - from_j;
            outcome.rivals_true_j = signal.energy_j(seconds_of(rivals_from_us), seconds_of(now_us));
            let gained = |(rival, before): (&Rival, &f64)| rival.joules() - before;
            outcome.rivals_j = rivals.iter().zip(&rivals_before).map(gained).collect();
            return outcome;
        }
    }
}

impl Outcome {
    fn take(&mut self, interval: &Interval, signal: &Signal) {
        self.quanta += i64::from(interval.energy_quanta);
        self.quanta_turnover += u64::from(interval.energy_quanta.unsigned_abs());
        let voltage_v = f64::from(interval.voltage_dv) / 10.0;
        let voltage_error =
            (voltage_v - signal.voltage.rms()).abs() / super::unit::NOMINAL_V * 100.0;
        self.voltage_error_percent = self.voltage_error_percent.max(voltage_error);
        let frequency_mhz = f64::from(interval.frequency_chz) * 10.0;
        let frequency_error = (frequency_mhz - signal.frequency_hz * 1e3).abs();
        self.frequency_error_mhz = self.frequency_error_mhz.max(frequency_error);
    }
}

/// Adds up the energy of a channel.
pub(super) struct Counter {
    channel: Channel,
    quantum_pj: i128,
    given_quanta: i128,
}

impl Counter {
    pub(super) fn new(channel: Channel) -> Self {
        let config = channel.config();
        let quantum_pj =
            i128::from(config.power_unit_mw) * i128::from(config.interval_ms) * 1_000_000;
        Self {
            channel,
            quantum_pj,
            given_quanta: 0,
        }
    }

    /// Feeds pairs; returns the window that ended among them, if one did.
    pub(super) fn push(
        &mut self,
        pairs: &[Pair],
        end_us: u64,
        each: &mut impl FnMut(&Interval),
    ) -> Option<Window> {
        let mut last = None;
        let given = &mut self.given_quanta;
        self.channel
            .push(pairs, end_us, &mut |output| match output {
                Output::Window(window) => last = Some(window),
                Output::Interval(interval) => {
                    *given += i128::from(interval.energy_quanta);
                    each(&interval);
                }
                Output::Spectrum(_) => {}
            });
        last
    }

    /// Energy up to the end of the last window, in J.
    pub(super) fn joules(&self) -> f64 {
        let counted_pj = self.given_quanta * self.quantum_pj + self.channel.pending_energy_pj();
        counted_pj as f64 / 1e12
    }
}
