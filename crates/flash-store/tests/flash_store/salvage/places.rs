//! Where stores lie on a larger flash, and several of them.

use flash_store::salvage::{Found, Owner, find_stores, salvage};
use nor_model::{Nor, SECTOR_BYTES};
use protocol::{DeviceId, StoreId, block::Block};

use super::{OWNER, SECTORS, filled, image};

#[test]
fn a_store_is_found_on_a_chip_with_any_of_its_heads_gone() {
    let place = |bytes: &[u8]| {
        let places = find_stores(&mut Nor::from_bytes(bytes.to_vec())).unwrap();
        let places = places
            .iter()
            .map(|place| (place.first_sector, place.sectors, place.owner));
        places.collect::<Vec<_>>()
    };
    let wanted = [(100, SECTORS as u32, OWNER)];
    let mut chip = vec![0xff; 200 * SECTOR_BYTES];
    chip[..50 * SECTOR_BYTES].fill(0x5a);
    chip[100 * SECTOR_BYTES..][..image().len()].copy_from_slice(image());
    assert_eq!(place(&chip), wanted);
    let without = |sectors: &[usize]| {
        let mut chip = chip.clone();
        for sector in sectors {
            chip[sector * SECTOR_BYTES..][..SECTOR_BYTES].fill(0xff);
        }
        place(&chip)
    };
    assert_eq!(without(&[100]), wanted);
    assert_eq!(without(&[101]), wanted);
    assert_eq!(without(&[100, 101]), wanted);
    let rings: Vec<usize> = (102..126).collect();
    assert_eq!(without(&rings), wanted);
    let almost_all: Vec<usize> = (100..125).collect();
    assert_eq!(without(&almost_all), wanted);
    let all: Vec<usize> = (100..126).collect();
    assert_eq!(without(&all), []);
}

#[test]
fn one_copy_of_an_empty_store_says_where_it_begins() {
    let empty = filled(OWNER, SECTORS, 0);
    let mut chip = vec![0xff; 100 * SECTOR_BYTES];
    chip[8 * SECTOR_BYTES..][..empty.len()].copy_from_slice(&empty);
    for hit in [8, 9] {
        for sector in 10..8 + 26 {
            chip[sector * SECTOR_BYTES..][..SECTOR_BYTES].fill(0xff);
        }
        let mut chip = chip.clone();
        chip[hit * SECTOR_BYTES + 20] ^= 4;
        let places = find_stores(&mut Nor::from_bytes(chip)).unwrap();
        assert_eq!(
            (places.len(), places[0].first_sector),
            (1, 8),
            "{hit} is hit"
        );
    }
}

#[test]
fn several_stores_are_told_apart() {
    let other = Owner {
        device: DeviceId([9, 9, 9, 9, 9, 9]),
        store: StoreId(5),
    };
    let mut chip = filled(other, 60, 4_000);
    chip.extend_from_slice(image());
    // A leftover of the other one lies where the store has its files.
    let segment = (0..60)
        .map(|sector| sector * SECTOR_BYTES)
        .find(|at| chip[*at..].starts_with(b"OFSG"))
        .unwrap();
    let leftover = chip[segment..segment + SECTOR_BYTES].to_vec();
    let last = chip.len() - SECTOR_BYTES;
    chip[last..].copy_from_slice(&leftover);
    let mut flash = Nor::from_bytes(chip);
    let places = find_stores(&mut flash).unwrap();
    let owners: Vec<(u32, Owner)> = places
        .iter()
        .map(|place| (place.first_sector, place.owner))
        .collect();
    assert_eq!(owners, [(0, other), (60, OWNER)]);
    let (mut own, mut others) = (0, 0);
    salvage(&mut flash, &mut |found| {
        if let Found::Block { sector, bytes } = found {
            let block = Block::parse(bytes).unwrap();
            let is_own = block.header().device == OWNER.device;
            assert_eq!(is_own, (60..60 + SECTORS as u32 - 1).contains(sector));
            if is_own {
                own += 1;
            } else {
                others += 1;
            }
        }
    })
    .unwrap();
    assert!(own > 20 && others > 3, "{own} {others}");
}
