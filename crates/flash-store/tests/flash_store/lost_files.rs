//! The files cannot be mounted or listed: segments are found all the same, and the journal goes on.

use flash_store::{ConfigError, FlashStore};
use nor_model::{Nor, SECTOR_BYTES};
use protocol::{Registers, event::What};

use crate::{
    damage::{FILES, SECTORS, cost, lived},
    truth::{PARAMS, Served, Shared, events, mount, serve, wild_channel},
};

#[test]
fn without_the_superblock_segments_are_found_the_journal_goes_on_and_files_are_left_alone() {
    let (image, truth) = lived();
    let mut bytes = image.bytes();
    bytes[FILES * SECTOR_BYTES..(FILES + 2) * SECTOR_BYTES].fill(0xa5);
    let files_before = bytes[FILES * SECTOR_BYTES..].to_vec();
    let mut store = mount(Nor::from_bytes(bytes));
    assert!(!store.has_files());
    let cost = cost(&mut store, &truth);
    assert_eq!(cost.readings, 0, "{cost:?}");
    assert_eq!(store.config_read(&mut [0; 512]), Err(ConfigError::Damaged));
    assert_eq!(store.config_write(&[1]), Err(ConfigError::Damaged));
    let channels = truth.readings.last().unwrap().channels.clone();
    for turn in 0..3_000 {
        store
            .append(&PARAMS, (turn + 1) * 10_000, &channels)
            .unwrap();
        let _ = store.maintain();
    }
    store.event_append(1, 1, What::SetUp).unwrap();
    let served = serve(&mut store);
    let newest = served.range(store.next().0 - 1_000..).map(|each| each.1);
    assert!(
        newest
            .clone()
            .all(|served| matches!(served, Served::Reading(_)))
    );
    let bytes = store.into_flash().bytes();
    assert_eq!(
        bytes[FILES * SECTOR_BYTES..],
        files_before,
        "nothing is written to the files"
    );
    assert!(!mount(Nor::from_bytes(bytes)).has_files());
}

#[test]
fn what_the_journal_gives_up_without_files_is_told_with_its_energy() {
    let (image, _) = lived();
    let mut bytes = image.bytes();
    bytes[FILES * SECTOR_BYTES..(FILES + 2) * SECTOR_BYTES].fill(0xa5);
    let mut store = mount(Nor::from_bytes(bytes));
    assert!(!store.has_files());
    let logged = store.next_event();
    // What is behind this is in the middle of a sector, and no collector comes again.
    let collected = store.next();
    store.acknowledge(collected).unwrap();
    let mut registers = vec![store.registers()];
    for turn in 0..6_000 {
        let uptime_ms = (turn + 1) * 10_000 + turn / 7;
        store
            .append(&PARAMS, uptime_ms, &[wild_channel(turn, 0)])
            .unwrap();
        registers.push(store.registers());
        if turn % 500 == 0 {
            store = mount(store.into_flash());
        }
    }
    let before = |number: u64| registers[(number - collected.0) as usize][0];
    let (mut end, mut losses) = (collected, 0);
    for event in events(&mut store).range(logged..).map(|each| each.1) {
        let What::Lost {
            first,
            count,
            energy,
        } = &event.what
        else {
            panic!("{event:?}");
        };
        assert_eq!(*first, end, "losses follow one another");
        end.0 += count;
        let lost = Registers {
            import_mj: before(end.0).import_mj - before(first.0).import_mj,
            export_mj: before(end.0).export_mj - before(first.0).export_mj,
        };
        assert_eq!(energy[..], [lost], "{event:?}");
        losses += 1;
    }
    assert!(losses > 20, "{losses}");
}

#[test]
fn a_damaged_directory_hides_no_segment() {
    let (image, truth) = lived();
    let mut hidden = 0;
    for sector in FILES..SECTORS {
        // Whatever block holds a directory: its second half is where its newest commits are.
        let at = sector * SECTOR_BYTES;
        let mut bytes = image.bytes();
        if bytes[at..at + 4] == *b"OFSG" || bytes[at..at + 4] == *b"OFEV" {
            continue;
        }
        bytes[at..at + SECTOR_BYTES]
            .iter_mut()
            .step_by(61)
            .for_each(|byte| *byte ^= 0x11);
        let mut store = mount(Nor::from_bytes(bytes));
        let cost = cost(&mut store, &truth);
        assert_eq!(cost.readings, 0, "directory in sector {sector}");
        hidden += u32::from(!store.has_files());
    }
    println!("{hidden} directories could not be read");
    assert!(hidden > 0);
}

#[test]
fn a_directory_that_is_hit_while_the_store_runs_hides_no_segment() {
    let (image, truth) = lived();
    let bytes = image.bytes();
    let flash = Shared::new(image);
    let mut store = FlashStore::mount(flash.clone())
        .map_err(|(error, _)| error)
        .unwrap();
    let before = serve(&mut store);
    for sector in FILES..SECTORS {
        let at = sector * SECTOR_BYTES;
        if bytes[at..at + 4] != *b"OFSG" && bytes[at..at + 4] != *b"OFEV" {
            (0..SECTOR_BYTES)
                .step_by(61)
                .for_each(|offset| flash.flip(at + offset, 0x11));
        }
    }
    assert!(
        store.config_read(&mut [0; 512]).is_err(),
        "the files are gone"
    );
    assert_eq!(serve(&mut store), before);
    assert_eq!(store.registers()[..], truth.registers);
}
