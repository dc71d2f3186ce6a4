//! What a store does while nothing goes wrong, and how it refuses.

use flash_store::{
    AppendError, ConfigError, FlashStore, Format, FormatError, Layout, MountError, ReadError,
    RunParams, WriteError,
};
use nor_model::{Nor, SECTOR_BYTES};
use protocol::{
    ChannelReading, Registers, Seq,
    block::{Block, Kind},
    event::What,
    limits::BLOCK_BYTES_MAX,
};

use crate::{
    shared::Shared,
    truth::{
        CAPACITY_BYTES, DEVICE, Op, PARAMS, STORE, Truth, config, events, format, mount, serve,
        wild_channel,
    },
};

const NEXT: Op = Op::Append(PARAMS, 10_000);

fn apply(truth: &mut Truth, store: &mut FlashStore<Nor>, op: Op, count: usize) {
    for _ in 0..count {
        assert!(truth.apply(store, &op));
    }
}

fn mount_error(bytes: Vec<u8>) -> MountError {
    let (error, nor) = FlashStore::mount(Nor::from_bytes(bytes)).expect_err("it is no store");
    assert_eq!(nor.counters().operations, 0, "mounting writes nothing");
    error
}

fn read_block(store: &mut FlashStore<Nor>, from: u64) -> Option<Vec<u8>> {
    let mut buffer = [0; BLOCK_BYTES_MAX];
    let length = store.read_block(Seq(from), &mut buffer).unwrap()?;
    Some(buffer[..length].to_vec())
}

#[test]
fn what_is_no_store_is_told_apart_and_left_alone() {
    assert_eq!(
        mount_error(vec![0xff; CAPACITY_BYTES]),
        MountError::Unformatted
    );
    let text = b"something else lies here. ".repeat(CAPACITY_BYTES / 26 + 1);
    assert_eq!(
        mount_error(text[..CAPACITY_BYTES].to_vec()),
        MountError::Foreign
    );
    assert_eq!(
        mount_error(vec![0xff; 9 * SECTOR_BYTES]),
        MountError::Geometry
    );

    let (mut store, mut truth) = format(1);
    apply(&mut truth, &mut store, NEXT, 300);
    let image = store.into_flash().bytes().to_vec();
    let mut larger = image.clone();
    larger.resize(13 * SECTOR_BYTES, 0xff);
    assert_eq!(mount_error(larger), MountError::Foreign);
    let mut half_erased = image.clone();
    half_erased[..4 * SECTOR_BYTES].fill(0xff);
    assert_eq!(mount_error(half_erased), MountError::Damaged);
    let mut newer = image;
    for sector in newer.chunks_mut(SECTOR_BYTES) {
        sector[4] &= 1;
        sector[4] |= u8::from(sector[0] == b'O');
    }
    assert_eq!(mount_error(newer), MountError::Foreign);
}

#[test]
fn formatting_refuses_what_does_not_do() {
    let format = |capacity, channels| {
        let format = Format {
            device: DEVICE,
            store: STORE,
            channels,
        };
        FlashStore::format(Nor::new(capacity), &format).map(drop)
    };
    assert_eq!(format(9 * SECTOR_BYTES, 1), Err(FormatError::Geometry));
    assert_eq!(format(CAPACITY_BYTES, 0), Err(FormatError::Channels));
    assert_eq!(format(CAPACITY_BYTES, 4), Err(FormatError::Channels));
    assert_eq!(format(10 * SECTOR_BYTES, 3), Ok(()));
}

#[test]
fn a_layout_uses_every_sector_once() {
    for sectors in 10..2000 {
        let layout = Layout::for_capacity(sectors * SECTOR_BYTES).unwrap();
        assert_eq!(layout.total_sectors() as usize, sectors);
        assert!(layout.event_sectors >= 2 && layout.reading_sectors >= 4);
    }
    assert_eq!(Layout::for_capacity(10 * SECTOR_BYTES - 1), None);
}

#[test]
fn everything_is_there_after_a_restart() {
    for channels in 1..=3 {
        let (mut store, mut truth) = format(channels);
        for op in [Op::Boot, Op::Event, Op::Config(200), NEXT, NEXT] {
            apply(&mut truth, &mut store, op, 1);
        }
        apply(&mut truth, &mut store, NEXT, 70);
        apply(&mut truth, &mut store, Op::Acknowledge(50), 1);
        truth.check(&mut store);
        let mut store = mount(store.into_flash());
        truth.check(&mut store);
        apply(&mut truth, &mut store, Op::Boot, 1);
        apply(&mut truth, &mut store, NEXT, 3);
        truth.check(&mut store);
    }
}

#[test]
fn a_block_is_the_same_wherever_it_is_read_from_and_grows_at_its_end() {
    let (mut store, mut truth) = format(1);
    apply(&mut truth, &mut store, NEXT, 40);
    let early = read_block(&mut store, 7).unwrap();
    apply(&mut truth, &mut store, NEXT, 400);
    let mut from = 0;
    let mut blocks = 0;
    while let Some(bytes) = read_block(&mut store, from) {
        let block = Block::parse(&bytes).unwrap();
        assert_eq!(block.range().start, from, "no gap, no overlap");
        for seq in [from, block.range().end - 1] {
            assert_eq!(read_block(&mut store, seq).unwrap(), bytes);
        }
        from = block.range().end;
        blocks += 1;
    }
    assert_eq!(from, 440);
    assert!((3..8).contains(&blocks), "a sector is a block: {blocks}");
    let early = Block::parse(&early).unwrap();
    let now = read_block(&mut store, 0).unwrap();
    let now = Block::parse(&now).unwrap();
    assert_eq!(early.header(), now.header());
    assert!(early.readings().eq(now.readings().take(40)));
}

#[test]
fn a_gap_in_time_or_another_interval_begins_another_block() {
    let (mut store, mut truth) = format(2);
    let other = RunParams {
        interval_ms: 60_000,
        ..PARAMS
    };
    for op in [
        NEXT,
        NEXT,
        Op::Append(PARAMS, 10_001),
        NEXT,
        Op::Append(other, 60_000),
        Op::Boot,
        Op::Append(other, 60_000),
    ] {
        apply(&mut truth, &mut store, op, 1);
    }
    truth.check(&mut store);
    let ranges: Vec<_> = [0, 2, 4, 5]
        .map(|from| {
            Block::parse(&read_block(&mut store, from).unwrap())
                .unwrap()
                .range()
        })
        .to_vec();
    assert_eq!(ranges, [0..2, 2..4, 4..5, 5..6]);
    assert_eq!(read_block(&mut store, 6), None);
}

#[test]
fn reading_from_outside_begins_at_the_oldest_and_ends_at_the_newest() {
    let (mut store, mut truth) = format(3);
    assert_eq!(read_block(&mut store, 0), None);
    apply(&mut truth, &mut store, NEXT, 700);
    let oldest = store.oldest().0;
    assert!(oldest > 0);
    let bytes = read_block(&mut store, 0).unwrap();
    assert_eq!(Block::parse(&bytes).unwrap().range().start, oldest);
    assert_eq!(read_block(&mut store, 700), None);
    assert_eq!(read_block(&mut store, u64::MAX), None);
    let short = store.read_block(Seq(0), &mut [0; 100]);
    assert_eq!(short, Err(ReadError::BufferTooSmall));
}

#[test]
fn a_full_ring_tells_once_what_nobody_had_collected() {
    let (mut store, mut truth) = format(3);
    apply(&mut truth, &mut store, NEXT, 200);
    apply(&mut truth, &mut store, Op::Acknowledge(100), 1);
    apply(&mut truth, &mut store, NEXT, 1000);
    truth.check(&mut store);
    assert!(store.oldest().0 > 700);
    let mut told_to = 200;
    for &(first, end) in &truth.told {
        assert_eq!(first, told_to, "losses follow one another");
        told_to = end;
    }
    assert_eq!(told_to, store.oldest().0);
}

#[test]
fn a_full_ring_is_silent_about_what_was_collected() {
    let (mut store, mut truth) = format(3);
    for _ in 0..100 {
        apply(&mut truth, &mut store, NEXT, 10);
        apply(&mut truth, &mut store, Op::Acknowledge(100), 1);
    }
    assert!(store.oldest().0 > 500);
    assert_eq!(truth.told, []);
}

#[test]
fn registers_count_import_and_export_apart_and_survive_the_readings() {
    let (mut store, mut truth) = format(1);
    let channel = |energy_quanta| ChannelReading {
        energy_quanta,
        ..ChannelReading::default()
    };
    for turn in 0..3000 {
        let quanta = if turn % 3 == 0 { -5 } else { 7 };
        truth
            .append(&mut store, &PARAMS, 10_000, &[channel(quanta)])
            .unwrap();
    }
    assert!(store.oldest().0 > 0);
    let expected = Registers {
        import_mj: 2000 * 7 * 10_000,
        export_mj: 1000 * 5 * 10_000,
    };
    assert_eq!(store.registers().as_slice(), [expected]);
    assert_eq!(mount(store.into_flash()).registers().as_slice(), [expected]);
}

#[test]
fn readings_out_of_range_are_refused_and_change_nothing() {
    let (mut store, mut truth) = format(1);
    apply(&mut truth, &mut store, NEXT, 3);
    let good = wild_channel(1, 0);
    let covered_twice = ChannelReading {
        coverage_permille: 1001,
        ..good
    };
    let interval = |interval_ms| RunParams {
        interval_ms,
        ..PARAMS
    };
    let unit = RunParams {
        power_unit_mw: 7,
        ..PARAMS
    };
    let before = store.used_bytes();
    for (params, uptime_ms, channels) in [
        (PARAMS, 40_000, &[][..]),
        (PARAMS, 40_000, &[good; 2]),
        (PARAMS, 40_000, &[covered_twice]),
        (PARAMS, u64::MAX, &[good]),
        (interval(999), 40_000, &[good]),
        (interval(900_001), 40_000, &[good]),
        (unit, 40_000, &[good]),
    ] {
        let refused = store.append(&params, uptime_ms, channels);
        assert_eq!(refused, Err(AppendError::OutOfRange));
    }
    assert_eq!(store.used_bytes(), before);
    truth.check(&mut store);
}

#[test]
fn acknowledging_never_goes_back_nor_ahead_of_the_readings() {
    let (mut store, mut truth) = format(1);
    apply(&mut truth, &mut store, NEXT, 10);
    assert_eq!(store.acknowledge(Seq(11)), Err(WriteError::OutOfRange));
    store.acknowledge(Seq(7)).unwrap();
    store.acknowledge(Seq(3)).unwrap();
    assert_eq!(store.acknowledged(), Seq(7));
    assert_eq!(mount(store.into_flash()).acknowledged(), Seq(7));
}

#[test]
fn the_configuration_is_absent_then_whole_and_bounded() {
    let (mut store, _) = format(1);
    assert_eq!(config(&mut store), None);
    store.config_write(&[]).unwrap();
    assert_eq!(config(&mut store), Some(vec![]));
    store.config_write(&[5; 512]).unwrap();
    assert_eq!(store.config_write(&[6; 513]), Err(ConfigError::TooLong));
    assert_eq!(config(&mut store), Some(vec![5; 512]));
    let short = store.config_read(&mut [0; 511]);
    assert_eq!(short, Err(ConfigError::BufferTooSmall));
    let mut store = mount(store.into_flash());
    assert_eq!(config(&mut store), Some(vec![5; 512]));
}

#[test]
fn events_are_numbered_and_the_oldest_go() {
    let (mut store, mut truth) = format(1);
    apply(&mut truth, &mut store, Op::Event, 1000);
    truth.check(&mut store);
    let kept = events(&mut store);
    let first = *kept.first_key_value().unwrap().0;
    assert!((500..900).contains(&first), "{first}");
    assert!(kept.keys().copied().eq(first..1000), "no gap");
    let mut page = Vec::new();
    let mut take = |event: &protocol::event::Event| {
        page.push(event.number);
        page.len() < 3
    };
    store.events(950, &mut take).unwrap();
    assert_eq!(page, [950, 951, 952]);
    let mut none = |_: &protocol::event::Event| panic!("there is none");
    store.events(1000, &mut none).unwrap();
}

#[test]
fn a_flash_that_takes_nothing_keeps_what_it_holds_and_the_energy_is_told_later() {
    let (mut store, mut truth) = format(1);
    apply(&mut truth, &mut store, NEXT, 50);
    let import_before_mj = truth.registers[0].import_mj;
    let flash = Shared::new(store.into_flash());
    let mut store = FlashStore::mount(flash.clone()).expect("a store lies there");
    let channel = ChannelReading {
        energy_quanta: 360,
        ..ChannelReading::default()
    };
    flash.fail_writes(true);
    for turn in 0..20 {
        let failed = store.append(&PARAMS, 600_000 + turn * 10_000, &[channel]);
        assert!(matches!(failed, Err(AppendError::Flash(_))));
    }
    assert!(store.start_boot().is_err() && store.config_write(&[1]).is_err());
    assert!(store.event_append(0, 0, What::SetUp).is_err());
    assert_eq!(store.next(), Seq(70), "the numbers are used up");
    assert_eq!(
        serve(&mut mount(flash.copy())).len(),
        50,
        "nothing was touched"
    );

    flash.fail_writes(false);
    let appended = store.append(&PARAMS, 800_000, &[channel]).unwrap();
    assert_eq!(appended.seq, Seq(70));
    let mut store = mount(flash.copy());
    let import_mj = store.registers()[0].import_mj;
    assert_eq!(import_mj, import_before_mj + 21 * 360 * 10_000);
    let block = read_block(&mut store, 50).unwrap();
    let block = Block::parse(&block).unwrap();
    assert_eq!((block.kind(), block.range()), (Kind::Lost, 50..70));
    assert_eq!(block.lost_energy().unwrap()[0].import_mj, 20 * 360 * 10_000);
    assert_eq!(block.header().registers[0].import_mj, import_before_mj);
}

#[test]
fn dead_sectors_are_passed_over() {
    let (store, mut truth) = format(1);
    let mut nor = store.into_flash();
    for sector in [1, 5, 6, 9] {
        nor.kill_sector(sector);
    }
    let mut store = mount(nor);
    apply(&mut truth, &mut store, NEXT, 1500);
    apply(&mut truth, &mut store, Op::Config(400), 30);
    truth.check(&mut store);
    truth.check(&mut mount(store.into_flash()));
}
