//! Formatting that is cut: the old store is whole or gone, and what is left can be formatted.

use flash_store::{FlashStore, Format, MountError};
use nor_model::{Nor, SECTOR_BYTES, Torn};
use protocol::StoreId;

use crate::{
    operation::{DEVICE, NEXT, Op, SECTORS_MIN, mix},
    scenario::Scenario,
    truth::Truth,
};

/// What the new store is to be.
const FRESH: Format = Format {
    device: DEVICE,
    store: StoreId(99),
    channels: 1,
    password: None,
};

/// What is formatted.
#[derive(Clone, Copy, Debug)]
pub struct Formatting {
    /// Says which one it is.
    pub name: &'static str,
    /// What lay there before; nothing on an erased flash.
    pub before: Option<&'static Scenario>,
}

impl Formatting {
    /// Cuts at one in so many flash operations; counts in `points` the cuts that were survived.
    ///
    /// # Panics
    /// When anything does not hold.
    pub fn run(&self, stride: u64, points: &mut u64) {
        let start = self.before.map(Scenario::start);
        let image = start.as_ref().map_or_else(
            || Nor::new(SECTORS_MIN * SECTOR_BYTES),
            |start| start.image.snapshot(),
        );
        let mut old = start.map(|start| start.truth);
        let operations = format(image.snapshot()).1;
        for operation in (0..operations).step_by(stride as usize) {
            for torn in Torn::ALL {
                let mut nor = image.snapshot();
                nor.cut_at(operation, torn, mix(operation << 2 | torn as u64));
                assert!(FlashStore::format(&mut nor, &FRESH).is_err(), "it is cut");
                look(nor.snapshot(), &mut old);
                // What a cut left can be formatted, also when that is cut.
                let mut again = nor.snapshot();
                again.cut_at(mix(operation) % 9, torn, mix(operation << 3));
                assert!(FlashStore::format(&mut again, &FRESH).is_err(), "it is cut");
                look(again.snapshot(), &mut old);
                use_fresh(format(again.snapshot()).0);
                *points += 1;
            }
        }
    }
}

/// Formats without a cut; returns the store and the flash operations that it took.
fn format(nor: Nor) -> (FlashStore<Nor>, u64) {
    let store = FlashStore::format(nor, &FRESH).expect("a sound flash can be formatted");
    let operations = store.flash().counters().operations;
    (store, operations)
}

/// Looks at what a cut left.
fn look(nor: Nor, old: &mut Option<Truth>) {
    match FlashStore::mount(nor) {
        Ok(store) if store.store_id() == FRESH.store => use_fresh(store),
        Ok(mut store) => {
            let old = old.as_mut().expect("there was a store");
            old.check(&mut store);
        }
        // Whatever was cut, it can be told from a foreign flash.
        Err((error, _)) => assert_eq!(error, MountError::Unformatted),
    }
}

/// Checks that a fresh store knows nothing and can be used.
fn use_fresh(mut store: FlashStore<Nor>) {
    assert_eq!((store.next().0, store.oldest().0, store.boot()), (0, 0, 0));
    assert!(store.has_files(), "the files are there");
    let mut buffer = [0; 8];
    assert_eq!(store.config_read(&mut buffer), Ok(None));
    let mut count = 0;
    store
        .events(0, &mut |_| {
            count += 1;
            true
        })
        .expect("it reads");
    assert_eq!(count, 0, "no events of the old store");
    let mut truth = Truth::new(1, crate::operation::Values::Wild);
    for op in [Op::Boot, NEXT, Op::Config(9), Op::Event] {
        assert!(truth.apply(&mut store, &op));
    }
    assert_eq!(store.next().0, 1);
}
