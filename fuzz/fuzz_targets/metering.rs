//! A channel takes any configuration, any samples at any times, and any calibration in between.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use metering::{
    Calibration, Channel, ChannelConfig, Output, Pair, PhaseShift, VoltageInput,
    calibration::{Capture, Reference},
};

/// What happens to a channel.
#[derive(Arbitrary)]
enum Step {
    /// Pairs that are drawn from a few values, and how the time goes on.
    Push {
        values: [u16; 4],
        pattern: u64,
        count: u16,
        late_us: u32,
    },
    /// A jump of the time.
    Jump(u64),
    Spectrum,
    Recalibrate([u32; 3], i32, u16),
}

fn calibration(
    [voltage_nv, current_na, noise_na]: [u32; 3],
    skew_ns: i32,
    no_load_mw: u16,
) -> Calibration {
    Calibration {
        voltage_nv_per_code: voltage_nv % 1_000_000_000 + 1,
        current_na_per_code: current_na % 1_000_000_000 + 1,
        current_skew_ns: skew_ns % 500_001,
        current_noise_na: noise_na,
        no_load_mw,
    }
}

fn config(input: &mut Unstructured) -> arbitrary::Result<ChannelConfig> {
    let voltage = match input.int_in_range(0..=3)? {
        0 => VoltageInput::Own,
        1 => VoltageInput::Shared(PhaseShift::Lag120),
        2 => VoltageInput::Shared(PhaseShift::Lag240),
        _ => VoltageInput::Assumed {
            voltage_mv: 230_000,
            power_factor_permille: 900,
        },
    };
    let (scales, skew_ns, no_load_mw) = input.arbitrary()?;
    Ok(ChannelConfig {
        calibration: calibration(scales, skew_ns, no_load_mw),
        voltage,
        full_scale_code: input.arbitrary()?,
        sample_rate_hz: input.int_in_range(2_000..=50_000)?,
        interval_ms: input.int_in_range(1_000..=20_000)?,
        power_unit_mw: input.int_in_range(1..=65_535)?,
    })
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Unstructured::new(bytes);
    let Ok(Ok(mut channel)) = config(&mut input).map(Channel::new) else {
        return;
    };
    let rate_hz = u64::from(channel.config().sample_rate_hz);
    let mut now_us = 0_u64;
    let mut interval_us = 0;
    let mut capture = Capture::default();
    // An input that is used up gives zeros without end.
    while !input.is_empty() {
        let Ok(step) = input.arbitrary::<Step>() else {
            return;
        };
        match step {
            Step::Push {
                values,
                pattern,
                count,
                late_us,
            } => {
                let count = usize::from(count % 4_000);
                let pairs: Vec<Pair> = (0..count)
                    .map(|index| {
                        let bits = pattern.rotate_left(index as u32);
                        Pair {
                            voltage: values[bits as usize % 4],
                            current: values[(bits >> 2) as usize % 4],
                        }
                    })
                    .collect();
                now_us = now_us
                    .saturating_add(count as u64 * 1_000_000 / rate_hz)
                    .saturating_add(u64::from(late_us) >> 12);
                channel.push(&pairs, now_us, &mut |output| match output {
                    Output::Window(window) => capture.add(&window),
                    Output::Interval(interval) => {
                        assert!(interval.end_us > interval_us);
                        assert!(interval.coverage_permille <= 1_000);
                        interval_us = interval.end_us;
                    }
                    Output::Spectrum(_) => {}
                });
            }
            Step::Jump(to_us) => now_us = to_us,
            Step::Spectrum => channel.request_spectrum(),
            Step::Recalibrate(scales, skew_ns, no_load_mw) => {
                let present = channel.config().calibration;
                let _ = channel.recalibrate(calibration(scales, skew_ns, no_load_mw));
                let reference = Reference {
                    voltage_mv: Some(scales[0]),
                    active_power_mw: scales[1],
                    resistive: no_load_mw % 2 == 0,
                };
                let _ = capture.solve_load(&present, &reference);
                let _ = capture.solve_no_load(&present);
            }
        }
    }
});
