//! Recordings through front ends and the metering: what comes out is what was recorded.

use std::{fmt::Write as _, fs, io::Cursor};

use hound::{SampleFormat, WavSpec, WavWriter};
use metering::{Channel, Output, Pair, Window};

use super::{FrontEnd, FullScale, Recording};
use crate::signal::{Generator, Source};

/// 230 V and 5 A at a power factor of 0.5, inductive, with a third harmonic in the current.
const VOLTAGE_V: f64 = 230.0;
const CURRENT_A: f64 = 5.0;
const THIRD_A: f64 = 1.0;
const ACTIVE_W: f64 = VOLTAGE_V * CURRENT_A * 0.5;
const SCALE: FullScale = FullScale {
    volts: 400.0,
    amperes: 10.0,
};

/// Volts and amperes of a sample.
fn sample(index: u64, rate_hz: u32, frequency_hz: f64) -> [f64; 2] {
    let turns = index as f64 / f64::from(rate_hz) * frequency_hz;
    let sine = |rms: f64, turns: f64| rms * 2_f64.sqrt() * (turns * std::f64::consts::TAU).sin();
    [
        sine(VOLTAGE_V, turns),
        sine(CURRENT_A, turns - 1.0 / 6.0) + sine(THIRD_A, 3.0 * turns),
    ]
}

fn text(rate_hz: u32, frequency_hz: f64, seconds: u64) -> String {
    let mut text = String::from("t_s,v,i\n");
    for index in 0..seconds * u64::from(rate_hz) {
        let [v, i] = sample(index, rate_hz, frequency_hz);
        let at_s = index as f64 / f64::from(rate_hz);
        writeln!(text, "{at_s:.6},{v:.3},{i:.4}").unwrap();
    }
    text
}

fn wav(rate_hz: u32, frequency_hz: f64, seconds: u64, bits: u16, format: SampleFormat) -> Vec<u8> {
    let spec = WavSpec {
        channels: 2,
        sample_rate: rate_hz,
        bits_per_sample: bits,
        sample_format: format,
    };
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec).unwrap();
    for index in 0..seconds * u64::from(rate_hz) {
        let [v, i] = sample(index, rate_hz, frequency_hz);
        for share in [v / SCALE.volts, i / SCALE.amperes] {
            match format {
                SampleFormat::Float => writer.write_sample(share as f32).unwrap(),
                SampleFormat::Int => {
                    let one = 2_f64.powi(i32::from(bits) - 1);
                    writer.write_sample((share * one).round() as i32).unwrap();
                }
            }
        }
    }
    writer.finalize().unwrap();
    file.into_inner()
}

/// Reads a file through the same door as the program.
fn source(content: &[u8], full_scale: Option<FullScale>) -> Source {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recording");
    fs::write(&path, content).unwrap();
    Source::read(&path, full_scale).unwrap()
}

/// Windows of so many seconds from the start, without the first, in which the metering finds the mains.
fn windows(source: &Source, front_end: FrontEnd, seconds: u64) -> Vec<Window> {
    let rate_hz = source.sample_rate_hz();
    let mut channel = Channel::new(front_end.channel_config(rate_hz)).expect("in range");
    let mut generator = Generator::new(source.clone(), front_end, rate_hz, 3);
    let mut pairs = vec![Pair::default(); rate_hz as usize / 10];
    let (mut windows, mut fed) = (Vec::new(), 0);
    while fed < seconds * u64::from(rate_hz) {
        generator.fill(&mut pairs);
        fed += pairs.len() as u64;
        let end_us = fed * 1_000_000 / u64::from(rate_hz);
        channel.push(&pairs, end_us, &mut |output| {
            if let Output::Window(window) = output {
                windows.push(window);
            }
        });
    }
    windows.remove(0);
    windows
}

fn mean(windows: &[Window], value: impl Fn(&Window) -> f64) -> f64 {
    windows.iter().map(value).sum::<f64>() / windows.len() as f64
}

fn percent(measured: f64, true_value: f64) -> f64 {
    (measured / true_value - 1.0) * 100.0
}

#[test]
fn reference_front_end_measures_any_kind_of_recording_to_half_a_percent() {
    let sources = [
        ("csv 8 kHz", source(text(8_000, 50.0, 4).as_bytes(), None)),
        ("csv 2 kHz", source(text(2_000, 50.0, 4).as_bytes(), None)),
        (
            "16 bit 8192 Hz",
            source(&wav(8_192, 50.0, 4, 16, SampleFormat::Int), Some(SCALE)),
        ),
        (
            "24 bit 44.1 kHz 60 Hz",
            source(&wav(44_100, 60.0, 4, 24, SampleFormat::Int), Some(SCALE)),
        ),
        (
            "float 50 kHz",
            source(&wav(50_000, 50.0, 4, 32, SampleFormat::Float), Some(SCALE)),
        ),
    ];
    for (name, source) in sources {
        // The recording begins anew at 4 s, a whole number of cycles after its start.
        let windows = windows(&source, FrontEnd::reference(), 9);
        let active = mean(&windows, |window| f64::from(window.active_power_mw) / 1e3);
        let reactive = mean(&windows, |window| {
            f64::from(window.reactive_power_mvar) / 1e3
        });
        let voltage = mean(&windows, |window| f64::from(window.voltage_mv) / 1e3);
        let current = mean(&windows, |window| f64::from(window.current_ua) / 1e6);
        let errors = [
            percent(active, ACTIVE_W),
            percent(reactive, VOLTAGE_V * CURRENT_A * 0.75_f64.sqrt()),
            percent(voltage, VOLTAGE_V),
            percent(current, CURRENT_A.hypot(THIRD_A)),
        ];
        println!("{name}: P, Q, U, I are off by {errors:+.4?} %");
        assert!(
            errors.iter().all(|error| error.abs() < 0.1),
            "{name}: {errors:?}"
        );
        assert!(errors[0].abs() < 0.05, "{name}: {errors:?}");
    }
}

#[test]
fn means_of_a_recording_are_those_of_its_samples() {
    // 3.37 s at 49.97 Hz: neither the recording nor the means end with a cycle, and the recorder had an offset.
    let pairs: Vec<[f32; 2]> = (0..16_850)
        .map(|index| sample(index, 5_000, 49.97).map(|value| value as f32))
        .map(|[v, i]| [v + 20.0, i - 1.0])
        .collect();
    let source = Source::Recording(Recording::new(pairs, 5_000.2).unwrap());
    let window = source.mean_window(10_000_000, 20_000_000, 7);
    assert_eq!(window.end_us, 7);
    assert_eq!(window.frequency_mhz, 49_970);
    let apparent = VOLTAGE_V * CURRENT_A;
    let errors = [
        f64::from(window.active_power_mw) / 1e3 - ACTIVE_W,
        f64::from(window.reactive_power_mvar) / 1e3 - apparent * 0.75_f64.sqrt(),
    ];
    println!("P, Q are off by {errors:+.3?} of {apparent} VA");
    assert!(errors.iter().all(|error| error.abs() < 0.002 * apparent));
    assert!(percent(f64::from(window.voltage_mv) / 1e3, VOLTAGE_V).abs() < 0.2);
    assert!(percent(f64::from(window.current_ua) / 1e6, CURRENT_A.hypot(THIRD_A)).abs() < 0.2);

    let whole = source.energy_wh(0, 20_000_000);
    for step_us in [1_000_000, 70_200] {
        let (mut at_us, mut sum) = (0, 0.0);
        while at_us < 20_000_000 {
            let end_us = (at_us + step_us).min(20_000_000);
            sum += source.energy_wh(at_us, end_us);
            at_us = end_us;
        }
        assert!((sum - whole).abs() < 1e-9 * whole, "{sum} {whole}");
    }
}

#[test]
fn recording_without_voltage_says_so() {
    let source = Source::Recording(Recording::new(vec![[0.0, 1.0]; 20_000], 2_000.0).unwrap());
    let window = source.mean_window(0, 10_000_000, 10_000_000);
    assert_eq!(window.flags, metering::Flags::NO_VOLTAGE);
    assert_eq!((window.frequency_mhz, window.active_power_mw), (0, 0));
}

#[test]
fn each_recorded_pair_becomes_one_pair_of_codes() {
    let pairs: Vec<[f32; 2]> = (0..2_500_u16)
        .map(|index| [f32::from(index % 300), f32::from(index % 70)])
        .collect();
    let source = Source::Recording(Recording::new(pairs.clone(), 2_500.0).unwrap());
    // One code is 1 V and 1 A, and the current is taken one and a quarter samples later.
    let unit = f64::from(1 << 15) / std::f64::consts::SQRT_2;
    let front_end = FrontEnd {
        full_scale_v: unit,
        full_scale_a: unit / 4.0,
        skew_us: 500.0,
        ..FrontEnd::reference()
    };
    let generator = Generator::new(source, front_end, 2_500, 1);
    for begin in [0, 2_000] {
        let mut codes = vec![Pair::default(); 6_000];
        let mut generator = generator.clone().at(begin as u64 * 400);
        for part in codes.chunks_mut(777) {
            generator.fill(part);
        }
        for (index, pair) in codes.iter().enumerate() {
            let at = |later: usize| pairs[(begin + index + later) % pairs.len()];
            let current = 4.0 * (at(1)[1] + 0.25 * (at(2)[1] - at(1)[1]));
            assert_eq!(pair.voltage, 32_768 + at(0)[0] as u16, "{index}");
            assert_eq!(pair.current, 32_768 + current as u16, "{index}");
        }
    }
}

#[test]
fn chip_front_end_has_the_smallest_inputs_that_the_peaks_fit_into() {
    let recording = |volts: f32, amperes: f32| {
        let mut pairs = vec![[0.0; 2]; 2_000];
        (pairs[7], pairs[1_300]) = ([-volts, 0.0], [0.0, -amperes]);
        Recording::new(pairs, 2_000.0).unwrap()
    };
    for (volts, amperes, nominal_v, ct_amperes) in [
        (170.0, 7.0, 120.0, 5.0),
        (325.0, 7.1, 230.0, 10.0),
        (566.0, 141.0, 400.0, 100.0),
        (1_000.0, 1_000.0, 690.0, 1_000.0),
        (0.0, 0.0, 120.0, 5.0),
    ] {
        let recording = recording(volts, amperes);
        for seed in 0..50 {
            let front_end = recording.front_end(seed);
            assert!((front_end.full_scale_v * 0.6 - nominal_v).abs() < 1e-9);
            assert!((front_end.full_scale_a * 0.9 - ct_amperes).abs() < 1e-9);
            assert!(Channel::new(front_end.channel_config(2_000)).is_ok());
            let source = Source::Recording(recording.clone());
            let mut pairs = vec![Pair::default(); 2_000];
            Generator::new(source, front_end, 2_000, seed).fill(&mut pairs);
            let clipped = |code: u16| code == 0 || code == 4_095;
            assert!(
                pairs
                    .iter()
                    .all(|pair| !clipped(pair.voltage) && !clipped(pair.current))
            );
        }
    }
}

#[test]
fn chip_front_end_measures_a_recording_to_a_percent() {
    let source = source(text(8_000, 50.0, 4).as_bytes(), None);
    let Source::Recording(recording) = &source else {
        panic!("another kind");
    };
    for seed in [1, 2] {
        let front_end = FrontEnd {
            skew_us: 0.0,
            ..recording.front_end(seed)
        };
        let windows = windows(&source, front_end, 9);
        let active = mean(&windows, |window| f64::from(window.active_power_mw) / 1e3);
        println!(
            "chip {seed}: P is off by {:+.4} %",
            percent(active, ACTIVE_W)
        );
        assert!(percent(active, ACTIVE_W).abs() < 1.0, "{active}");
    }
}

#[test]
fn content_tells_the_kind_of_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file.csv");
    let error = |content: &[u8], full_scale| {
        fs::write(&path, content).unwrap();
        Source::read(&path, full_scale)
            .expect_err("refused")
            .to_string()
    };
    let wav = wav(2_000, 50.0, 1, 16, SampleFormat::Int);
    assert!(error(&wav, None).starts_with("a WAV file does not say how many volts"));
    let text = text(2_000, 50.0, 1);
    for other in [text.as_bytes(), b"Date;Time;Global_active_power\n"] {
        assert!(error(other, Some(SCALE)).starts_with("only a WAV file takes a scale"));
    }
    assert!(error(b"Date;Time;Power\n", None).starts_with("line 1 does not begin with Date;Time;"));
    for other in [&b""[..], b"t_s;v;i\n", b"RIFF\0\0\0\0AVI ", &[0xff; 5_000]] {
        let error = error(other, None);
        for kind in ["load profile", "t_s,v,i", "WAV"] {
            assert!(error.contains(kind), "{error}");
        }
    }
    let missing = Source::read(&directory.path().join("none"), None).expect_err("no file");
    assert!(missing.to_string().ends_with("none cannot be read"));

    let large = fs::File::create(&path).unwrap();
    large.set_len((1 << 30) + 1).unwrap();
    let error = Source::read(&path, None).expect_err("too large");
    assert_eq!(error.to_string(), "the recording is larger than 1024 MiB");
}
