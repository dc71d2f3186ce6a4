//! Generated samples through the metering: what comes out is what the load says.

use std::time::Instant;

use metering::{Channel, Interval, Output, Pair};

use super::{FrontEnd, Generator, Kind, LoadProfile, Recipe, Source};

const PORTION: usize = 200;

/// Readings of a load from `from_us` to `to_us` of it, which both are multiples of the interval.
fn readings(
    source: &Source,
    front_end: FrontEnd,
    rate_hz: u32,
    from_us: u64,
    to_us: u64,
) -> Vec<Interval> {
    let mut channel = Channel::new(front_end.channel_config(2_000)).expect("in range");
    let mut generator = Generator::new(source.clone(), front_end, rate_hz, 5).at(from_us);
    let mut pairs = [Pair::default(); PORTION];
    let mut readings = Vec::new();
    let mut fed = 0;
    // The last interval is given when the window that spans its end is complete.
    while fed * 1_000_000 < (to_us - from_us + 300_000) * u64::from(rate_hz) {
        generator.fill(&mut pairs);
        fed += PORTION as u64;
        channel.push(
            &pairs,
            fed * 1_000_000 / u64::from(rate_hz),
            &mut |output| {
                if let Output::Interval(interval) = output {
                    readings.push(interval);
                }
            },
        );
    }
    readings.truncate(((to_us - from_us) / 10_000_000) as usize);
    readings
}

/// A quantum is 1 W · 10 s.
fn energy_wh(readings: &[Interval]) -> f64 {
    let quanta: i64 = readings
        .iter()
        .map(|reading| i64::from(reading.energy_quanta))
        .sum();
    quanta as f64 / 360.0
}

fn minutes_within_percent(readings: &[Interval], profile: &LoadProfile) -> f64 {
    let within = |(readings, minute): (&[Interval], &super::Minute)| {
        let error_w = energy_wh(readings) * 60.0 - minute.active_power_w;
        error_w.abs() <= f64::max(3.0, 0.01 * minute.active_power_w.abs())
    };
    let minutes = readings.chunks(6).zip(profile.minutes());
    minutes.filter(|pair| within(*pair)).count() as f64 * 100.0 / profile.minutes().len() as f64
}

#[test]
fn reference_front_end_measures_the_energy_of_two_hours_to_a_hundredth_of_a_percent() {
    let profile = LoadProfile::synthetic(1, 120);
    let source = Source::Profile(profile.clone());
    let readings = readings(&source, FrontEnd::reference(), 2_000, 0, profile.len_us());
    let error_percent = (energy_wh(&readings) / profile.energy_wh() - 1.0) * 100.0;
    println!("reference: energy {error_percent:+.4} %");
    assert!(error_percent.abs() < 0.01, "{error_percent}");
    assert_eq!(minutes_within_percent(&readings, &profile), 100.0);
    assert!(
        readings
            .iter()
            .skip(1)
            .all(|reading| reading.coverage_permille == 1_000)
    );
    for (reading, minute) in readings.chunks(6).map(|six| six[3]).zip(profile.minutes()) {
        assert!((f64::from(reading.voltage_dv) / 10.0 - minute.voltage_v).abs() < 0.06);
        assert!((f64::from(reading.reactive_power_var) - minute.reactive_power_var).abs() < 1.5);
        assert_eq!(reading.frequency_chz, 5_000);
    }
}

#[test]
fn chip_front_end_measures_minutes_to_a_percent_or_three_watts() {
    let profile = LoadProfile::synthetic(2, 120);
    let source = Source::Profile(profile.clone());
    for seed in [1, 2] {
        let readings = readings(
            &source,
            FrontEnd::esp32c3(100.0, seed),
            2_000,
            0,
            profile.len_us(),
        );
        let error_percent = (energy_wh(&readings) / profile.energy_wh() - 1.0) * 100.0;
        let within_percent = minutes_within_percent(&readings, &profile);
        println!("chip {seed}: energy {error_percent:+.4} %, minutes within {within_percent:.1} %");
        assert!(error_percent.abs() < 0.5, "{error_percent}");
        assert!(within_percent >= 99.0, "{within_percent}");
    }
}

#[test]
fn sampled_recipe_has_the_energy_of_its_means() {
    // A morning with kettle and a burst-fired cooker, started in the middle, sampled 1 % too fast.
    for kind in [Kind::House, Kind::SolarHouse, Kind::Workshop] {
        let source = Source::Recipe(Recipe::new(kind, 3));
        let (from_us, to_us) = (11 * 3_600_000_000, 12 * 3_600_000_000 + 1_800_000_000);
        let ideal_wh = source.energy_wh(from_us, to_us);
        let readings = readings(&source, FrontEnd::reference(), 2_020, from_us, to_us);
        let error_percent = (energy_wh(&readings) / ideal_wh - 1.0) * 100.0;
        println!("{kind:?}: {ideal_wh:.1} Wh, energy {error_percent:+.4} %");
        assert!(error_percent.abs() < 0.05, "{kind:?}: {error_percent}");
    }
}

#[test]
fn generator_gives_the_same_clean_samples_wherever_it_starts() {
    let source = Source::Recipe(Recipe::new(Kind::Flat, 3));
    let start_us = 70_000_000_000;
    let mut through = Generator::new(source.clone(), FrontEnd::reference(), 2_000, 1).at(start_us);
    let mut pairs = vec![Pair::default(); 10_000];
    for (portion, size) in [(0, 3), (3, 4_000), (4_003, 5_997)] {
        through.fill(&mut pairs[portion..portion + size]);
    }
    assert_eq!(through.position_us(), start_us + 5_000_000);
    for skipped in [1, 1_999, 2_000, 5_001] {
        let offset_us = start_us + skipped as u64 * 500;
        let mut late =
            Generator::new(source.clone(), FrontEnd::reference(), 2_000, 1).at(offset_us);
        let mut rest = vec![Pair::default(); 10_000 - skipped];
        late.fill(&mut rest);
        // The phase is computed anew there: half a code may round the other way.
        for (a, b) in rest.iter().zip(&pairs[skipped..]) {
            assert!(a.voltage.abs_diff(b.voltage) <= 1 && a.current.abs_diff(b.current) <= 1);
        }
    }
}

#[test]
fn chip_front_end_has_the_noise_and_offset_that_it_says() {
    let front_end = FrontEnd {
        bow_lsb: 0.0,
        offset_drift: 0.0,
        ..FrontEnd::esp32c3(30.0, 9)
    };
    // No current flows at night in a profile of 0 W.
    let profile = LoadProfile::parse(
        b"Date;Time;Global_active_power;Global_reactive_power;Voltage\n1/1/2007;00:00:00;0;0;230\n",
    );
    let source = Source::Profile(profile.expect("a profile"));
    let mut pairs = vec![Pair::default(); 100_000];
    Generator::new(source, front_end, 2_000, 4).fill(&mut pairs);
    let codes = pairs.iter().map(|pair| f64::from(pair.current));
    let mean = codes.clone().sum::<f64>() / pairs.len() as f64;
    let rms = (codes.map(|code| (code - mean).powi(2)).sum::<f64>() / pairs.len() as f64).sqrt();
    assert!(
        (mean - 2_048.0 * (1.0 + front_end.current_offset)).abs() < 0.1,
        "{mean}"
    );
    // Rounding to whole codes adds 1/12.
    assert!((rms - (9.0 + 1.0 / 12.0_f64).sqrt()).abs() < 0.03, "{rms}");
}

/// Set `PROFILE` to a file to measure all of it: `PROFILE=… cargo test --release -p sim -- --ignored --nocapture replay`.
#[test]
#[ignore = "needs a file named by PROFILE, and a release build"]
fn replay_of_a_file() {
    let path = std::env::var_os("PROFILE").expect("PROFILE names a load profile");
    let profile = LoadProfile::read(path).expect("a profile");
    let source = Source::Profile(profile.clone());
    for front_end in [
        FrontEnd::reference(),
        FrontEnd::esp32c3(100.0, 1),
        FrontEnd::esp32c3(30.0, 2),
    ] {
        let start = Instant::now();
        let readings = readings(&source, front_end, 2_000, 0, profile.len_us());
        let error_percent = (energy_wh(&readings) / profile.energy_wh() - 1.0) * 100.0;
        println!(
            "{} bit: energy {error_percent:+.4} %, minutes within {:.2} %, {:.2?}",
            front_end.bits,
            minutes_within_percent(&readings, &profile),
            start.elapsed(),
        );
        assert!(error_percent.abs() < 0.5);
    }
}

/// Run with `--release`: time for a pair, generated and measured.
#[test]
#[ignore = "a measurement for release builds"]
fn time_for_a_pair() {
    let source = Source::Profile(LoadProfile::synthetic(1, 60));
    for front_end in [FrontEnd::reference(), FrontEnd::esp32c3(100.0, 1)] {
        let mut generator = Generator::new(source.clone(), front_end, 2_000, 1);
        let mut channel = Channel::new(front_end.channel_config(2_000)).expect("in range");
        let mut pairs = vec![Pair::default(); PORTION];
        let rounds = 50_000;
        let start = Instant::now();
        for _ in 0..rounds {
            generator.fill(&mut pairs);
        }
        let generated = start.elapsed();
        let start = Instant::now();
        let mut outputs = 0_u64;
        for round in 1..=rounds {
            channel.push(&pairs, round * 100_000, &mut |_| outputs += 1);
        }
        let measured = start.elapsed();
        let pairs = rounds as f64 * PORTION as f64;
        println!(
            "{} bit: generate {:.1} ns, measure {:.1} ns a pair; {outputs} outputs",
            front_end.bits,
            generated.as_secs_f64() * 1e9 / pairs,
            measured.as_secs_f64() * 1e9 / pairs,
        );
        assert!(outputs > 0);
    }
}
