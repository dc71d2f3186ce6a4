//! Readings and runs to test with.

use proptest::{collection::vec, prelude::*};
use protocol::{
    ChannelReading, DeviceId, Extremes, Flags, Packed, Registers, Run, RunParams, Seq, StoreId,
    Tier,
    reading::{ExtremesSet, RegisterSet},
    segment::{
        Models,
        file::{Identity, SegmentWriter},
    },
};

pub const PARAMS: RunParams = RunParams {
    interval_ms: 10_000,
    power_unit_mw: 1_000,
    calibration: 3,
};

pub fn identity(channels: usize) -> Identity {
    Identity {
        device: DeviceId([0x3c, 0x71, 0xbf, 0x00, 0x01, 0xfe]),
        store: StoreId(0x0102_0304_0506_0708),
        channels: channels as u8,
    }
}

pub fn registers(channels: usize, import_mj: u64, export_mj: u64) -> RegisterSet {
    let channel = Registers {
        import_mj,
        export_mj,
    };
    std::iter::repeat_n(channel, channels).collect()
}

pub fn any_channel() -> impl Strategy<Value = ChannelReading> {
    let energy = prop_oneof![4 => -300..3_000_i32, 1 => any::<i32>()];
    let reactive = prop_oneof![4 => -100..100_i32, 1 => any::<i32>()];
    let word =
        |usual: std::ops::Range<u16>| prop_oneof![4 => usual, 1 => Just(0), 1 => any::<u16>()];
    let words = (word(2_290..2_310), word(0..900), word(4_990..5_010));
    let flags = prop_oneof![Just(0), Just(8), any::<u16>()];
    (energy, reactive, words, 0..=1_000_u16, flags).prop_map(
        |(energy_quanta, reactive_power_var, words, coverage_permille, flags)| ChannelReading {
            energy_quanta,
            reactive_power_var,
            voltage_dv: words.0,
            current_ca: words.1,
            frequency_chz: words.2,
            coverage_permille,
            flags: Flags(flags),
        },
    )
}

fn any_extremes() -> impl Strategy<Value = Extremes> {
    let power = || prop_oneof![-300..3_000_i32, any::<i32>()];
    let counter = prop_oneof![3 => Just(0), 1 => 0..500_u32, 1 => any::<u32>()];
    (power(), power(), counter).prop_map(|(power_min, power_max, counter_quanta)| Extremes {
        power_min,
        power_max,
        counter_quanta,
    })
}

pub fn any_reading(channels: usize, tier: Tier) -> impl Strategy<Value = Packed> {
    let extremes = if tier == Tier::Full { 0 } else { channels };
    let most = tier.numbers_max(PARAMS.interval_ms);
    let span = prop_oneof![Just(most), 1..=most];
    (
        span,
        vec(any_channel(), channels),
        vec(any_extremes(), extremes),
    )
        .prop_map(|(span, channels, extremes)| Packed {
            span,
            channels: channels.into_iter().collect(),
            extremes: ExtremesSet::from_slice(&extremes).unwrap(),
        })
}

/// A run as it is to be written: what is lost before it with how much energy, what it skips, and its readings.
#[derive(Clone, Debug)]
pub struct Plan {
    pub lost: u64,
    pub lost_mj: u64,
    pub skipped: u64,
    pub readings: Vec<Packed>,
}

pub fn any_plans(channels: usize, tier: Tier) -> impl Strategy<Value = Vec<Plan>> {
    let few = || prop_oneof![2 => Just(0), 1 => 1..5_u64, 1 => 1..2_000_000_u64];
    let plan = (
        few(),
        0..1_u64 << 50,
        few(),
        vec(any_reading(channels, tier), 0..40),
    );
    let plan = plan.prop_map(|(lost, lost_mj, skipped, readings)| Plan {
        lost,
        lost_mj,
        skipped,
        readings,
    });
    vec(plan, 1..6)
}

pub fn any_shape() -> impl Strategy<Value = (usize, Tier)> {
    (1..=3_usize, proptest::sample::select(&Tier::ALL[..]))
}

/// What a segment was made of.
#[derive(Debug)]
pub struct Written {
    pub bytes: Vec<u8>,
    pub base: u64,
    pub end: u64,
    /// Runs that have readings, with these.
    pub runs: Vec<(Run, Vec<Packed>)>,
    pub end_registers: RegisterSet,
}

fn with_lost(registers: &RegisterSet, lost: u64, lost_mj: u64) -> RegisterSet {
    let lost_mj = if lost == 0 { 0 } else { lost_mj };
    (registers.iter())
        .map(|of| Registers {
            import_mj: of.import_mj + lost_mj,
            export_mj: of.export_mj + lost_mj / 3,
        })
        .collect()
}

/// Writes runs into a buffer of `size` bytes until it is full, and loses some numbers at the end.
pub fn write(channels: usize, tier: Tier, plans: &[Plan], size: usize, lost_last: u64) -> Written {
    let base = 1_000_u64;
    let mut buffer = vec![0xa5; size];
    let mut models = Models::new();
    let mut before = registers(channels, 5_000_000, 10_000);
    let mut writer = SegmentWriter::new(
        &mut buffer,
        &mut models,
        identity(channels),
        tier,
        Seq(base),
        &before,
    )
    .expect("room for the header");
    let (mut end, mut runs, mut uptime_ms) = (base, Vec::new(), 40_000);
    'plans: for (boot, plan) in plans.iter().enumerate() {
        let at = with_lost(&before, plan.lost, plan.lost_mj);
        let run = Run {
            first: end + plan.lost + plan.skipped,
            skipped: plan.skipped,
            boot: boot as u32,
            uptime_ms,
            params: PARAMS,
            registers: at.clone(),
        };
        if writer.begin_run(&run).is_err() {
            break;
        }
        let mut next = (run.first, at);
        let mut pushed = Vec::new();
        for reading in &plan.readings {
            if writer.push(reading).is_err() {
                break;
            }
            next.0 += u64::from(reading.span);
            reading.advance(&mut next.1, PARAMS.quantum_mj());
            assert_eq!((writer.end(), writer.registers()), (Seq(next.0), &next.1));
            pushed.push(reading.clone());
        }
        let is_full = pushed.len() < plan.readings.len();
        if !pushed.is_empty() {
            (end, before) = next;
            runs.push((run, pushed));
            uptime_ms += 77_000;
        }
        if is_full {
            break 'plans;
        }
    }
    let count: usize = runs.iter().map(|(_, readings)| readings.len()).sum();
    assert_eq!(writer.readings() as usize, count);
    let end_registers = with_lost(&before, lost_last, 1 << 40);
    let so_far = writer.bytes_so_far();
    let length = writer.finish(Seq(end + lost_last), &end_registers);
    if lost_last == 0 && length > 0 {
        assert_eq!(length, so_far);
    }
    buffer.truncate(length);
    Written {
        bytes: buffer,
        base,
        end: end + lost_last,
        runs,
        end_registers,
    }
}
