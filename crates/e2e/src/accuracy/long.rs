//! A day: no load with noise, and a household sampled with gaps.

use metering::Pair;
use sim::signal::{Generator, Kind, LoadProfile, Recipe, Source};

use super::{
    bench::Bench,
    parallel,
    run::{Counter, run},
    signal::{Signal, Waveform},
    unit::{Model, NOMINAL_V, PORTION, Transformer, Unit, WARM_UP_S},
};

/// Pairs that are missing in each gap, as a share of a second: a flash erase takes 45 ms.
const GAP_S: f64 = 0.045;
/// Time between gaps in µs.
const GAP_EVERY_US: u64 = 10_000_000;

/// Registers nothing? Energy of readings over so many seconds without a load, at nominal and at 115 % of the voltage, for
/// both transformers: the largest sum of import and export, in Wh.
#[must_use]
pub fn creep_wh(bench: &Bench, seconds: f64) -> f64 {
    let cases: Vec<(Transformer, f64)> = [Transformer::Ct30, Transformer::Ct100]
        .into_iter()
        .flat_map(|transformer| [1.0, 1.15].map(|voltage| (transformer, voltage)))
        .collect();
    let creeps = parallel::map(&cases, |&(transformer, voltage)| {
        let signal = Signal::steady(
            50.0,
            Waveform::sine(voltage * NOMINAL_V, 0.0),
            Waveform::default(),
        );
        let unit = bench.unit(Model::Esp32c3, transformer);
        // A quantum is 1 W for 10 s.
        run(unit, &signal, seconds, &mut []).quanta_turnover as f64 / 360.0
    });
    creeps.into_iter().fold(0.0, f64::max)
}

/// Error of the energy of a household that is sampled with a gap of 45 ms every 10 s, against the household's own, in
/// percent: the worst of a profile by the minute and one by the second, with the reference front end.
#[must_use]
pub fn gap_error_percent(bench: &Bench, minutes: usize) -> f64 {
    let unit = bench.unit(Model::Reference, Transformer::Ct100);
    let sources = [
        Source::Profile(LoadProfile::synthetic(7, minutes)),
        Source::Recipe(Recipe::new(Kind::House, 7)),
    ];
    let errors = parallel::map(&sources, |source| gapped(unit, source, minutes));
    errors.into_iter().fold(0.0, |worst: f64, error| {
        if error.abs() > worst.abs() {
            error
        } else {
            worst
        }
    })
}

fn gapped(unit: &Unit, source: &Source, minutes: usize) -> f64 {
    let rate_hz = unit.rate_hz.round() as u32;
    let mut generator = Generator::new(source.clone(), unit.front_end, rate_hz, 3);
    let mut counter = Counter::new(unit.channel());
    let mut pairs = [Pair::default(); PORTION];
    let mut lost = vec![Pair::default(); (GAP_S * f64::from(rate_hz)).round() as usize];
    let end_us = minutes as u64 * 60_000_000;
    let (mut first, mut last) = (None, (0, 0.0));
    let mut gap_at_us = GAP_EVERY_US;
    while generator.position_us() < end_us {
        if generator.position_us() >= gap_at_us {
            gap_at_us += GAP_EVERY_US;
            generator.fill(&mut lost);
        }
        generator.fill(&mut pairs);
        // The time of the last pair: one before the next.
        let now_us = generator.position_us() - u64::from(1_000_000 / rate_hz);
        if let Some(window) = counter.push(&pairs, now_us, &mut |_| ()) {
            last = (window.end_us, counter.joules());
            if first.is_none() && window.end_us > (WARM_UP_S * 1e6) as u64 {
                first = Some(last);
            }
        }
    }
    let (from_us, from_j) = first.unwrap_or_default();
    let true_j = source.energy_wh(from_us, last.0) * 3_600.0;
    ((last.1 - from_j) / true_j - 1.0) * 100.0
}
