//! Cutting power at flash operations, and what must hold then.
//!
//! A [`Start`] is a flash, what was told to the store on it, and operations. Doing them without a cut gives a
//! [`Reference`]: how many flash operations they take, and what the store may have given up by the end of each. Then they
//! are done again and again, each time with a cut at another flash operation. After each cut the store must mount without
//! writing anything and know what it was told, go on through a [recovery](RECOVERY), and know it then too; the recovery
//! is cut as well.

use nor_model::{Nor, Torn};

use crate::{
    operation::{NEXT, Op, mix, mount},
    truth::{GivenUp, Truth},
};

/// What happens after a cut: every kind of write once, some readings to see them continue.
pub const RECOVERY: [Op; 10] = [
    Op::Boot,
    NEXT,
    Op::Event,
    NEXT,
    Op::Acknowledge(30),
    Op::Config(77),
    Op::Started,
    NEXT,
    Op::Erase(20),
    NEXT,
];

/// A flash, what was told to the store on it, and what is to be done.
#[derive(Debug)]
pub struct Start {
    /// What lies on the flash.
    pub image: Nor,
    /// What was told.
    pub truth: Truth,
    /// What is to be done.
    pub ops: Vec<Op>,
}

/// What operations do without a cut.
#[derive(Debug)]
pub struct Reference {
    /// Flash operations of all of them.
    pub operations: u64,
    /// What the store has given up by the end of each operation.
    given_up: Vec<GivenUp>,
}

impl Start {
    /// Does the operations without a cut.
    ///
    /// # Panics
    /// When anything does not hold.
    #[must_use]
    pub fn reference(&self) -> Reference {
        let mut truth = self.truth.clone();
        let mut store = mount(self.image.snapshot());
        let mut given_up = Vec::with_capacity(self.ops.len());
        for op in &self.ops {
            assert!(truth.apply(&mut store, op), "{op:?} without a cut");
            given_up.push(truth.given_up.clone());
        }
        truth.check(&mut store);
        Reference {
            operations: store.flash().counters().operations,
            given_up,
        }
    }

    /// Does the operations with a cut, and checks what is left; returns the start of the recovery.
    ///
    /// # Panics
    /// When anything does not hold.
    #[must_use]
    pub fn cut(&self, reference: &Reference, operation: u64, torn: Torn, seed: u64) -> Self {
        let mut nor = self.image.snapshot();
        nor.cut_at(operation, torn, seed);
        let mut truth = self.truth.clone();
        let mut store = mount(nor);
        let failed = (self.ops.iter()).position(|op| !truth.apply(&mut store, op));
        let mut nor = store.into_flash();
        assert!(!nor.is_powered(), "the cut came");
        // What is left out where it fails, as a closing mark, stops nothing: then all was done.
        let reached = failed.unwrap_or(self.ops.len() - 1);
        truth.given_up.clone_from(&reference.given_up[reached]);
        check_model(&nor);
        nor.power_on();
        let mut store = mount(nor.snapshot());
        assert_eq!(store.flash().counters().operations, 0, "mounting writes");
        truth.check(&mut store);
        Self {
            image: nor.snapshot(),
            truth,
            ops: RECOVERY.to_vec(),
        }
    }

    /// Does the operations without a cut, then as many readings more; checks what is there, before and after a mount.
    ///
    /// # Panics
    /// When anything does not hold.
    pub fn recover(&self, readings: usize) {
        let mut truth = self.truth.clone();
        let mut store = mount(self.image.snapshot());
        let more = std::iter::repeat_n(&NEXT, readings);
        for op in self.ops.iter().chain(more) {
            assert!(truth.apply(&mut store, op), "{op:?} after a cut");
        }
        truth.check(&mut store);
        truth.check_told(&store);
        let nor = store.into_flash();
        check_model(&nor);
        truth.check(&mut mount(nor));
    }
}

/// Checks what was done to a flash: a byte is programmed once between two erases.
fn check_model(nor: &Nor) {
    let counters = nor.counters();
    assert_eq!(counters.violations, 0, "no bit would have to be set");
    assert_eq!(counters.reprogrammed_bytes, 0, "bytes are programmed once");
}

/// Which cuts are tried after the first one, and how far a recovery goes.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// The recovery is cut at one in so many of its operations; 0 leaves it alone.
    pub recovery_stride: u64,
    /// One recovery in so many goes on through [`Depth::long_readings`]; 0 leaves all short.
    pub long_stride: u64,
    /// Readings of a long recovery.
    pub long_readings: usize,
}

/// Tries one cut, and the cuts of the recovery behind it; counts in `points` those that were survived.
///
/// # Panics
/// When anything does not hold.
pub fn try_cut(
    start: &Start,
    reference: &Reference,
    (operation, torn): (u64, Torn),
    seed: u64,
    depth: &Depth,
    points: &mut u64,
) {
    let after = start.cut(reference, operation, torn, seed);
    let draw = mix(seed);
    let is_long = depth.long_stride > 0 && draw.is_multiple_of(depth.long_stride);
    after.recover(if is_long { depth.long_readings } else { 0 });
    *points += 1;
    if depth.recovery_stride == 0 {
        return;
    }
    let recovery = after.reference();
    let first = (draw >> 8) % depth.recovery_stride;
    for operation in (first..recovery.operations).step_by(depth.recovery_stride as usize) {
        let seed = mix(seed ^ operation << 20);
        let torn = Torn::ALL[(mix(seed) % 3) as usize];
        after.cut(&recovery, operation, torn, seed).recover(0);
        *points += 1;
    }
}
