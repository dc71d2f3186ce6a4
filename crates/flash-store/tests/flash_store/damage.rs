//! Bits flip and sectors die: what is hit is told, and nothing else is.

use flash_store::{ConfigError, FlashStore};
use nor_model::{Nor, SECTOR_BYTES};
use protocol::{
    Registers, Seq,
    block::{Block, Kind},
    limits::BLOCK_BYTES_MAX,
};

use crate::truth::{Op, PARAMS, Served, Truth, events, format, mount, serve};

const NEXT: Op = Op::Append(PARAMS, 10_000);
const READINGS_AT: usize = 6 * SECTOR_BYTES;

/// Makes a store with a bit of everything and returns what lies on its flash.
fn filled(readings: usize) -> (Vec<u8>, Truth) {
    let (mut store, mut truth) = format(1);
    let ops = [
        Op::Boot,
        Op::Config(40),
        Op::Event,
        Op::Config(60),
        Op::Event,
        Op::Boot,
    ];
    let ops = ops.into_iter().chain(std::iter::repeat_n(NEXT, readings));
    for op in ops.chain([Op::Event, NEXT, Op::Acknowledge(50)]) {
        assert!(truth.apply(&mut store, &op));
    }
    (store.into_flash().bytes().to_vec(), truth)
}

fn flipped(image: &[u8], at: usize, mask: u8) -> FlashStore<Nor> {
    let mut nor = Nor::from_bytes(image.to_vec());
    nor.flip(at, mask).unwrap();
    mount(nor)
}

/// Returns how many readings are not served; those that are must be right.
fn missing(store: &mut FlashStore<Nor>, truth: &Truth) -> usize {
    let served = serve(store);
    let missing = truth.readings.values().filter(|reading| {
        match served.get(&reading.seq.0) {
            Some(Served::Reading(served)) => assert_eq!(served, *reading),
            Some(Served::Lost | Served::NeverExisted) => return true,
            None => return true,
        }
        false
    });
    missing.count()
}

/// Adds up what readings and losses tell of energy.
fn served_energy(store: &mut FlashStore<Nor>) -> Registers {
    let mut sum = Registers::default();
    let mut from = store.oldest();
    let mut buffer = [0; BLOCK_BYTES_MAX];
    while let Some(length) = store.read_block(from, &mut buffer).unwrap() {
        let block = Block::parse(&buffer[..length]).unwrap();
        if let Some(energy) = block.lost_energy() {
            sum.import_mj += energy[0].import_mj;
            sum.export_mj += energy[0].export_mj;
        }
        for reading in block.readings() {
            sum = sum.advanced(reading.channels[0].energy_quanta, 10_000);
        }
        from = Seq(block.range().end);
    }
    sum
}

#[test]
fn a_flipped_bit_among_the_readings_costs_no_more_than_its_run() {
    let (image, truth) = filled(500);
    let mut costs = [0u32; 40];
    for at in (READINGS_AT..READINGS_AT + 4 * SECTOR_BYTES).step_by(3) {
        let mut store = flipped(&image, at, 1 << (at % 8));
        assert!(store.next() >= Seq(501), "numbers do not come again");
        let missing = missing(&mut store, &truth);
        let in_header = at % SECTOR_BYTES < 100;
        assert!(
            in_header || missing <= 33,
            "{missing} missing after a flip at {at}"
        );
        costs[missing.min(39)] += 1;
        for (op, more) in [(Op::Boot, 0), (NEXT, 1)] {
            let mut truth = truth.clone();
            truth.registers = store.registers().to_vec();
            truth.boot = store.boot();
            assert!(truth.apply(&mut store, &op));
            assert_eq!(more, u32::from(truth.readings.len() > 501));
        }
    }
    assert!(
        costs[0] > 0 && costs[1..33].iter().sum::<u32>() > 1000,
        "{costs:?}"
    );
}

#[test]
fn the_energy_of_lost_readings_is_told_to_the_millijoule() {
    let (image, truth) = filled(700);
    let mut lossy = 0;
    // All but the newest sector: what follows the damage tells what went.
    for at in (READINGS_AT + 100..READINGS_AT + 2 * SECTOR_BYTES).step_by(41) {
        let mut store = flipped(&image, at, 0x10);
        lossy += usize::from(missing(&mut store, &truth) > 0);
        assert_eq!(store.registers().as_slice(), truth.registers);
        assert_eq!(
            served_energy(&mut store),
            truth.registers[0],
            "flip at {at}"
        );
    }
    assert!(lossy > 100);
}

#[test]
fn a_sector_that_cannot_be_read_costs_its_readings_only() {
    let (image, truth) = filled(700);
    for sector in 0..2 {
        let at = READINGS_AT + sector * SECTOR_BYTES;
        let mut image = image.clone();
        image[at..at + SECTOR_BYTES].fill(0xa5);
        let mut store = mount(Nor::from_bytes(image));
        let missing = missing(&mut store, &truth);
        assert!((100..300).contains(&missing), "{missing}");
        assert_eq!(store.registers().as_slice(), truth.registers);
        let kinds: Vec<_> = serve(&mut store).into_values().collect();
        let lost = kinds
            .iter()
            .filter(|served| **served == Served::Lost)
            .count();
        // The oldest sector just is no more.
        assert_eq!(lost, if sector == 0 { 0 } else { missing });
    }
}

#[test]
fn a_newest_sector_that_cannot_be_read_is_noticed_and_its_numbers_do_not_come_again() {
    let (image, truth) = filled(700);
    let newest = (READINGS_AT..image.len())
        .step_by(SECTOR_BYTES)
        .rfind(|&at| image[at] != 0xff)
        .unwrap();
    let mut store = flipped(&image, newest + 13, 1);
    assert!(store.next().0 >= 701);
    let lost_from = store.next();
    let mut truth = truth.clone();
    truth.registers = store.registers().to_vec();
    assert!(truth.apply(&mut store, &Op::Boot) && truth.apply(&mut store, &NEXT));
    assert!(truth.readings.contains_key(&lost_from.0));
    let mut buffer = [0; BLOCK_BYTES_MAX];
    let length = store.read_block(Seq(700), &mut buffer).unwrap().unwrap();
    assert_eq!(Block::parse(&buffer[..length]).unwrap().kind(), Kind::Lost);
}

#[test]
fn a_damaged_configuration_is_told_and_no_older_one_taken_for_it() {
    let (image, truth) = filled(3);
    let (mut good, mut damaged) = (0, 0);
    for at in 0..SECTOR_BYTES {
        let mut store = flipped(&image, at, 1 << (at % 8));
        let mut buffer = [0; 512];
        match store.config_read(&mut buffer) {
            Ok(length) => {
                good += 1;
                assert_eq!(Some(&buffer[..length.unwrap()]), truth.config.as_deref());
            }
            Err(error) => {
                damaged += 1;
                assert_eq!(error, ConfigError::Damaged, "flip at {at}");
            }
        }
        assert_eq!(missing(&mut store, &truth), 0, "readings are served");
        assert_eq!(
            store.boot(),
            truth.boot,
            "starts are known from elsewhere too"
        );
    }
    assert!(good > 3000 && damaged > 60, "{good} {damaged}");
}

#[test]
fn a_damaged_configuration_stays_so_until_a_new_one_is_written() {
    let (image, mut truth) = filled(3);
    let at = (0..SECTOR_BYTES)
        .find(|&at| {
            let mut store = flipped(&image, at, 1);
            at > 100 && store.config_read(&mut [0; 512]).is_err()
        })
        .unwrap();
    let mut store = flipped(&image, at, 1);
    // Over several sectors, so that the state is copied.
    for _ in 0..1000 {
        assert!(truth.apply(&mut store, &Op::Boot));
    }
    let mut store = mount(store.into_flash());
    let read = store.config_read(&mut [0; 512]);
    assert_eq!(read, Err(ConfigError::Damaged));
    assert!(truth.apply(&mut store, &Op::Config(10)));
    truth.check(&mut store);
    truth.check(&mut mount(store.into_flash()));
}

#[test]
fn a_flipped_bit_among_the_events_costs_one_event() {
    let (image, truth) = filled(1);
    let mut hit = 0;
    for at in 4 * SECTOR_BYTES + 44..4 * SECTOR_BYTES + 200 {
        let mut store = flipped(&image, at, 0x20);
        assert!(store.next_event() >= 3);
        let served = events(&mut store);
        assert!(
            served
                .iter()
                .all(|(number, event)| truth.events[number] == *event)
        );
        assert!(served.len() >= 2);
        hit += usize::from(served.len() == 2);
    }
    assert!(hit > 40);
}
