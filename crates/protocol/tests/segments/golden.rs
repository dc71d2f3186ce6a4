//! Bytes of the released formats. Do not change these tests: a released format never changes.

use protocol::{
    ChannelReading, Extremes, Flags, Packed, Registers, Run, RunParams, Seq, Tier,
    block::Block,
    limits::BLOCK_BYTES_MAX,
    reading::{ExtremesSet, RegisterSet},
    run::RUN_BYTES_MAX,
    segment::{
        Models,
        file::{Segment, SegmentWriter},
    },
};

use super::shared::{PARAMS, identity};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn registers() -> RegisterSet {
    [Registers {
        import_mj: 5_000_000,
        export_mj: 10_000,
    }]
    .into_iter()
    .collect()
}

fn run() -> Run {
    Run {
        first: 1_000,
        skipped: 2,
        boot: 3,
        uptime_ms: 120_000,
        params: PARAMS,
        registers: registers(),
    }
}

/// Three readings of a tier.
fn readings(tier: Tier) -> [Packed; 3] {
    let span = tier.numbers_max(PARAMS.interval_ms);
    let reading = |span: u32, power: i32, counter_quanta, flags| Packed {
        span,
        channels: [ChannelReading {
            energy_quanta: power * span as i32 + span as i32 / 2,
            reactive_power_var: 86,
            voltage_dv: 2_438,
            current_ca: 160,
            frequency_chz: 5_001,
            coverage_permille: 995,
            flags,
        }]
        .into_iter()
        .collect(),
        extremes: match tier {
            Tier::Full => ExtremesSet::new(),
            _ => ExtremesSet::from_slice(&[Extremes {
                power_min: power - 230,
                power_max: power + 1_900,
                counter_quanta,
            }])
            .unwrap(),
        },
    };
    [
        reading(span, 374, 0, Flags(0)),
        reading(span, 356, 0, Flags(0)),
        reading(span / 2 + 1, -20, 77, Flags::CLIPPED),
    ]
}

fn segment(tier: Tier) -> Vec<u8> {
    let (mut buffer, mut models) = (vec![0xaa; 4_096], Models::new());
    let mut writer = SegmentWriter::new(
        &mut buffer,
        &mut models,
        identity(1),
        tier,
        Seq(990),
        &[Registers {
            import_mj: 4_999_000,
            export_mj: 10_000,
        }]
        .into_iter()
        .collect(),
    )
    .unwrap();
    writer.begin_run(&run()).unwrap();
    for reading in readings(tier) {
        writer.push(&reading).unwrap();
    }
    let (end, mut registers) = (writer.end(), writer.registers().clone());
    registers[0].import_mj += 300;
    let length = writer.finish(Seq(end.0 + 4), &registers);
    buffer.truncate(length);
    buffer
}

#[test]
fn runs_have_golden_bytes() {
    let mut buffer = [0; RUN_BYTES_MAX];
    let mut at = 0;
    run().write(&mut buffer, &mut at).unwrap();
    assert_eq!(
        hex(&buffer[..at]),
        concat!(
            "e807", "02", "03", "c0a907", "904e", "e807", "03", "c096b102", "904e"
        )
    );
    assert_eq!(Run::read(&buffer, &mut 0, 1), Some(run()));

    let large = Run {
        first: 1 << 60,
        skipped: 1 << 60,
        boot: u32::MAX,
        uptime_ms: 1 << 60,
        params: RunParams {
            interval_ms: 900_000,
            power_unit_mw: 1_000,
            calibration: u16::MAX,
        },
        registers: std::iter::repeat_n(
            Registers {
                import_mj: u64::MAX,
                export_mj: u64::MAX,
            },
            3,
        )
        .collect(),
    };
    let mut at = 0;
    large.write(&mut buffer, &mut at).unwrap();
    assert_eq!(Run::read(&buffer[..at], &mut 0, 3), Some(large));
}

#[test]
fn segments_of_each_tier_have_golden_bytes() {
    assert_eq!(Tier::ALL.map(|tier| hex(&segment(tier))), SEGMENTS);
}

#[test]
fn packed_blocks_of_each_tier_have_golden_bytes() {
    let blocks = Tier::ALL.map(|tier| {
        let bytes = segment(tier);
        let mut buffer = vec![0; BLOCK_BYTES_MAX];
        let segment = Segment::parse(&bytes).unwrap();
        let length = segment.write_block(1_001, &mut buffer).unwrap();
        buffer.truncate(length);
        buffer
    });
    for (tier, bytes) in Tier::ALL.into_iter().zip(&blocks) {
        let block = Block::parse(bytes).unwrap();
        let found: Vec<_> = block.readings().collect();
        assert_eq!(found.len(), 3);
        for (found, reading) in found.iter().zip(readings(tier)) {
            let read = (found.span, &found.channels, &found.extremes);
            assert_eq!(read, (reading.span, &reading.channels, &reading.extremes));
        }
        // 374 W, and half a quantum a number more.
        let mean_mw = if tier == Tier::Full { 374_000 } else { 374_500 };
        assert_eq!(found[0].active_power_mw(0), Some(mean_mw));
    }
    assert_eq!(blocks.map(|bytes| hex(&bytes)), BLOCKS);
}

const SEGMENTS: [&str; 3] = [
    concat!(
        "4f46534701000100710001001100000008070605040302013c71bf0001fe0000",
        "de030000000000000cb0bb00000000005034030000000000030000001700e807",
        "0203c0a907904ee80703c096b102904ee80700ffed754f8e9765febdc13beb9f",
        "c59138e65fd1aaf6b498ac02001c845c32",
    ),
    concat!(
        "4f46534701010100810001001e00000008070605040302013c71bf0001fe0000",
        "de030000000000005c4cf50200000000c0cd170000000000100000002700e807",
        "0203c0a907904ee80703c096b102904ee80700ee93f300c5fa698b008b10eaf3",
        "a8d8054cdcb5d00adc30f644b3e8bb1e4614a74b8b9ec4c93080ac0200cf1830",
        "b4",
    ),
    concat!(
        "4f4653470102010086000100f000000008070605040302013c71bf0001fe0000",
        "de030000000000001cce8e2700000000f0c5940000000000e20000002c00e807",
        "0203c0a907904ee80703c096b102904ee80700ff89dacb4f737c9aa0e4121903",
        "8738f96369490e422d9155f0c977589ded61d7471ce58e78b206a9115f7f80ac",
        "0200844f3c14",
    ),
];

const BLOCKS: [&str; 3] = [
    concat!(
        "4f420100630000003c71bf0001fe01010807060504030201e803000000000000",
        "0300000003000000c0d401000000000010270000e8030300404b4c0000000000",
        "1027000000000000ffed754f8e9765febdc13beb9fc59138e65fd1aaf6b4989d",
        "3f98ea",
    ),
    concat!(
        "4f420100730000003c71bf0001fe01020807060504030201e803000000000000",
        "1000000003000000c0d401000000000010270000e8030300404b4c0000000000",
        "1027000000000000ee93f300c5fa698b008b10eaf3a8d8054cdcb5d00adc30f6",
        "44b3e8bb1e4614a74b8b9ec4c930805f3112a5",
    ),
    concat!(
        "4f420100780000003c71bf0001fe01030807060504030201e803000000000000",
        "e200000003000000c0d401000000000010270000e8030300404b4c0000000000",
        "1027000000000000ff89dacb4f737c9aa0e41219038738f96369490e422d9155",
        "f0c977589ded61d7471ce58e78b206a9115f7f8002380f17",
    ),
];
