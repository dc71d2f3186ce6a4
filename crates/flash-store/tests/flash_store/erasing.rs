//! Readings that are given up as their owner asks.

use flash_store::{FlashStore, Writes};
use nor_model::Nor;
use protocol::{Seq, Tier, block::Block, limits::BLOCK_BYTES_MAX};

use crate::{
    behaviour::apply,
    truth::{NEXT, Op, Truth, format, mount, serve},
};

/// Returns the first and the last number that are served.
fn served(store: &mut FlashStore<Nor>) -> Option<(u64, u64)> {
    let served = serve(store);
    Some((*served.keys().next()?, *served.keys().next_back()?))
}

fn check_after_mount(truth: &mut Truth, store: FlashStore<Nor>) -> FlashStore<Nor> {
    let oldest = store.oldest();
    let mut store = mount(store.into_flash());
    assert_eq!(store.oldest(), oldest);
    truth.check(&mut store);
    store
}

#[test]
fn what_is_erased_in_the_journal_ends_with_the_number_asked_for() {
    let (mut store, mut truth) = format(2);
    apply(&mut truth, &mut store, NEXT, 70);
    let (registers, next_event) = (store.registers(), store.next_event());
    assert_eq!(store.oldest_after_erase(Seq(40)), Seq(41));
    assert_eq!(store.erase(Seq(40)), Ok(Seq(41)));
    assert_eq!(served(&mut store), Some((41, 69)));
    let mut buffer = [0; BLOCK_BYTES_MAX];
    for from in [0, 40, 41] {
        let length = store.read_block(Seq(from), &mut buffer).unwrap().unwrap();
        assert_eq!(Block::parse(&buffer[..length]).unwrap().range().start, 41);
    }
    assert_eq!(store.erase(Seq(10)), Ok(Seq(41)), "nothing comes back");
    assert_eq!((store.registers(), store.next()), (registers, Seq(70)));
    assert_eq!(store.next_event(), next_event);
    let mut store = mount(store.into_flash());
    assert_eq!(served(&mut store), Some((41, 69)));
    assert_eq!(store.erase(Seq(u64::MAX)), Ok(Seq(70)), "all there is");
    assert_eq!(served(&mut store), None);
}

#[test]
fn whole_segments_go_with_the_upkeep_and_one_that_holds_more_stays() {
    let (mut store, mut truth) = format(1);
    apply(&mut truth, &mut store, NEXT, 2_000);
    let segments = store.segments(Tier::Full);
    assert!(segments >= 3, "{segments}");
    let through = 1_200;
    let oldest = store.erase(Seq(through)).unwrap().0;
    assert!(500 < oldest && oldest <= through, "{oldest}");
    (truth.erased, truth.given_up.gone_below) = (oldest, oldest);
    truth.check(&mut store);
    let used_bytes = store.used_bytes();
    apply(&mut truth, &mut store, NEXT, 3);
    assert!(store.segments(Tier::Full) < segments);
    assert!(store.used_bytes() < used_bytes);
    let mut store = check_after_mount(&mut truth, store);
    apply(&mut truth, &mut store, NEXT, 500);
    let mut store = check_after_mount(&mut truth, store);
    assert_eq!(served(&mut store), Some((oldest, 2_502)));
}

#[test]
fn after_everything_is_erased_the_next_segment_begins_with_what_is_new() {
    let (mut store, mut truth) = format(3);
    apply(&mut truth, &mut store, NEXT, 500);
    apply(&mut truth, &mut store, Op::Erase(100), 1);
    assert_eq!((store.oldest(), served(&mut store)), (Seq(500), None));
    for _ in 0..6 {
        apply(&mut truth, &mut store, NEXT, 100);
        store = check_after_mount(&mut truth, store);
        assert_eq!(served(&mut store).map(|(first, _)| first), Some(500));
    }
    assert!(store.segments(Tier::Full) >= 3);
    // The journal has come round: what was erased is no loss.
    assert_eq!(truth.losses().count(), 0);
}

#[test]
fn what_is_erased_stays_so_when_the_counters_turn() {
    let (mut store, mut truth) = format(1);
    apply(&mut truth, &mut store, NEXT, 50);
    apply(&mut truth, &mut store, Op::Erase(50), 1);
    for _ in 0..3 {
        apply(&mut truth, &mut store, Op::Boot, 700);
        store = check_after_mount(&mut truth, store);
        assert_eq!(store.oldest(), Seq(25));
    }
    let layout = store.layout();
    let first = layout.first_counter_sector() as usize;
    let counters = &store.flash().counters().erases[first..];
    assert!(
        counters[..layout.counter_sectors as usize]
            .iter()
            .any(|&count| count > 0)
    );
}

#[test]
fn writes_are_counted_as_the_flash_counts_them() {
    let (store, mut truth) = format(3);
    let mut nor = store.into_flash();
    nor.reset_counters();
    let mut store = mount(nor);
    assert_eq!(store.writes(), Writes::default());
    apply(&mut truth, &mut store, NEXT, 700);
    let counters = store.flash().counters();
    let erased: u32 = counters.erases.iter().sum();
    assert!(erased > 10);
    assert_eq!(
        store.writes(),
        Writes {
            sectors_erased: erased,
            bytes_programmed: counters.programmed_bytes,
            readings_appended: 700,
        }
    );
}
