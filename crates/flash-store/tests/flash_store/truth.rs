//! What a store was told, and the check that it still knows: the parts of `store-trials` that the tests here use.

pub use store_trials::{
    operation::{
        CAPACITY_BYTES, DEVICE, NEXT, Op, PARAMS, STORE, Values, mix, mount, wild_channel,
    },
    served::{Served, config, events, serve},
    shared::Shared,
    truth::Truth,
};

use flash_store::FlashStore;
use nor_model::Nor;
use store_trials::operation::format_store;

/// Makes an empty store on the smallest flash, to be given readings that use the whole range of every field.
pub fn format(channels: u8) -> (FlashStore<Nor>, Truth) {
    format_on(Nor::new(CAPACITY_BYTES), channels)
}

/// Makes an empty store on a flash.
pub fn format_on(nor: Nor, channels: u8) -> (FlashStore<Nor>, Truth) {
    let truth = Truth::new(channels, Values::Wild);
    (format_store(nor, channels), truth)
}
