//! True random numbers.
//!
//! The generator is true while noise of the converter or of the radio flows into it. Neither does before sampling has
//! begun, and sampling takes the converter; so all that a start may need is drawn before it.

use core::cell::RefCell;

use esp_hal::{
    peripherals::{ADC1, RNG},
    rng::{Rng, Trng, TrngSource},
};

/// Bytes of a start: password, number of a store, secret of the nonces, seed of the network; and to spare.
const POOL_BYTES: usize = 128;

/// Random bytes that were drawn while the generator was true.
pub struct Random {
    pool: RefCell<heapless::Vec<u8, POOL_BYTES>>,
}

impl Random {
    /// Draws them; the converter is free again afterwards.
    pub fn draw(generator: RNG<'_>, adc: ADC1<'_>) -> Self {
        let mut pool = heapless::Vec::new();
        let source = TrngSource::new(generator, adc);
        // There is a source, so there is a true generator.
        if let Ok(generator) = Trng::try_new() {
            let mut bytes = [0; POOL_BYTES];
            generator.read(&mut bytes);
            let _ = pool.extend_from_slice(&bytes);
        }
        drop(source);
        Self {
            pool: RefCell::new(pool),
        }
    }

    /// Returns bytes that were never given before; the few that a start needs are there.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut pool = self.pool.borrow_mut();
        core::array::from_fn(|_| {
            // When the pool is empty the generator goes on alone: it was seeded by true noise.
            pool.pop().unwrap_or_else(|| Rng::new().random() as u8)
        })
    }
}
