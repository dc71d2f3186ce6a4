//! Whether a coarse reading says what the readings of its span said.
//!
//! Energy and extremes must be exact. A mean of a minute was rounded once and may be off by half a unit; one of a quarter
//! of an hour was rounded up to four times, twice of them where the ends of segments were joined. Where a quantity was not
//! measured all the time its mean must lie between the least and the largest that was.

use protocol::{ChannelReading, Flags, Reading, Tier};

/// Slack for sums in floating point.
const ROUNDING: f64 = 1e-6;

/// Checks a coarse reading against all readings of its span.
///
/// # Panics
/// When it says anything else.
pub fn check(coarse: &Reading, tier: Tier, parts: &[&Reading]) {
    let number = coarse.seq.0;
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        panic!("coarse reading {number} stands for nothing");
    };
    assert_eq!(parts.len(), coarse.span as usize, "span of {number}");
    let interval_ms = first.interval_ms;
    assert!(coarse.span <= tier.numbers_max(interval_ms));
    for pair in parts.windows(2) {
        assert_eq!(pair[1].seq.0, pair[0].seq.0 + 1, "numbers of {number}");
        let later_ms = pair[1].uptime_ms.checked_sub(pair[0].uptime_ms);
        assert_eq!(later_ms, Some(interval_ms.into()), "times of {number}");
    }
    let same = |part: &&&Reading| {
        (part.boot, part.interval_ms, part.power_unit_mw)
            == (coarse.boot, interval_ms, coarse.power_unit_mw)
    };
    assert!(parts.iter().all(|part| same(&part)), "runs of {number}");
    assert_eq!(first.seq, coarse.seq);
    assert_eq!(last.uptime_ms, coarse.uptime_ms, "time of {number}");
    assert_eq!(coarse.interval_ms, interval_ms * coarse.span);
    assert_eq!(coarse.registers, last.registers, "registers of {number}");
    assert_eq!(coarse.channels.len(), first.channels.len());
    for index in 0..first.channels.len() {
        let channels: Vec<_> = parts.iter().map(|part| part.channels[index]).collect();
        check_energy(coarse, index, &channels);
        check_means(&coarse.channels[index], tier, &channels, number);
        check_flags(coarse.channels[index].flags, &channels, number);
    }
}

fn check_energy(coarse: &Reading, index: usize, parts: &[ChannelReading]) {
    let energies = || parts.iter().map(|part| i64::from(part.energy_quanta));
    let import: i64 = energies().map(|energy| energy.max(0)).sum();
    let export: i64 = energies().map(|energy| (-energy).max(0)).sum();
    let extremes = &coarse.extremes[index];
    let net = i64::from(coarse.channels[index].energy_quanta);
    let counter = i64::from(extremes.counter_quanta);
    assert_eq!(net, import - export, "energy of {}", coarse.seq.0);
    assert_eq!(counter, import.min(export), "counter energy");
    let (least, largest) = (energies().min(), energies().max());
    assert_eq!(Some(extremes.power_min.into()), least, "least power");
    assert_eq!(Some(extremes.power_max.into()), largest, "largest power");
}

fn check_means(coarse: &ChannelReading, tier: Tier, parts: &[ChannelReading], number: u64) {
    let off_max = ROUNDING
        + match tier {
            Tier::Full => 0.0,
            Tier::Minute => 0.5,
            Tier::Quarter => 2.0,
        };
    let mean = |field: fn(&ChannelReading) -> f64| {
        parts.iter().map(field).sum::<f64>() / parts.len() as f64
    };
    let near = |name: &str, served: f64, exact: f64| {
        let off = (served - exact).abs();
        assert!(off <= off_max, "{name} of {number}: {served}, {exact}");
    };
    let reactive = mean(|part| part.reactive_power_var.into());
    near("reactive power", coarse.reactive_power_var.into(), reactive);
    let squares = mean(|part| f64::from(part.current_ca).powi(2));
    near("current", coarse.current_ca.into(), squares.sqrt());
    let coverage = mean(|part| part.coverage_permille.into());
    near("coverage", coarse.coverage_permille.into(), coverage);
    if is_measured(parts, |part| part.voltage_dv, coarse.voltage_dv, number) {
        let squares = mean(|part| f64::from(part.voltage_dv).powi(2));
        near("voltage", coarse.voltage_dv.into(), squares.sqrt());
    }
    if is_measured(
        parts,
        |part| part.frequency_chz,
        coarse.frequency_chz,
        number,
    ) {
        let frequency = mean(|part| part.frequency_chz.into());
        near("frequency", coarse.frequency_chz.into(), frequency);
    }
}

/// Tells whether a quantity was measured in all parts; where not, checks that the mean lies among those that were.
fn is_measured(
    parts: &[ChannelReading],
    field: fn(&ChannelReading) -> u16,
    mean: u16,
    number: u64,
) -> bool {
    let measured = || parts.iter().map(field).filter(|&value| value != 0);
    let (least, largest) = (measured().min().unwrap_or(0), measured().max().unwrap_or(0));
    assert!((least..=largest).contains(&mean), "a mean of {number}");
    measured().count() == parts.len()
}

fn check_flags(coarse: Flags, parts: &[ChannelReading], number: u64) {
    let any = parts.iter().fold(0, |any, part| any | part.flags.0);
    let all = parts.iter().fold(u16::MAX, |all, part| all & part.flags.0);
    let no_load = Flags::NO_LOAD.0;
    let expected = any & !no_load | all & no_load;
    assert_eq!(coarse.0, expected, "flags of {number}");
}
