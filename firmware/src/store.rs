//! The store of this meter: mounted, or made on the first start.

use embedded_storage::nor_flash::ReadNorFlash as _;
use esp_hal::efuse;
use esp_println::println;
use flash_store::{FlashStore, Format, Kept, MountError};
use protocol::{
    DeviceId, StoreId,
    access_point::{PASSWORD_RANDOM_BYTES, Password},
};

use crate::{flash::Region, random::Random, sampling::CHANNELS, watchdog};

const SECTOR_BYTES: usize = 4096;

/// Returns who this meter is: the address of its chip.
pub fn device() -> DeviceId {
    let mut id = [0; 6];
    let address = efuse::base_mac_address();
    for (byte, of_address) in id.iter_mut().zip(address.as_bytes()) {
        *byte = *of_address;
    }
    DeviceId(id)
}

/// Mounts the store; makes one where the flash is blank, and nowhere else.
///
/// # Errors
/// Why there is none; the flash is as it was.
#[inline(never)]
pub fn mounted(region: Region, random: &Random) -> Result<FlashStore<Region>, &'static str> {
    let mut region = match FlashStore::mount(region) {
        Ok(store) => return Ok(store),
        Err((MountError::Unformatted, region)) => region,
        Err((error, _)) => {
            println!("the store cannot be mounted: {error:?}");
            return Err("the store cannot be mounted");
        }
    };
    println!("first start: the store is made");
    // What the button erased, or a cut left half made, has its password already, and the number of its next store.
    let kept = flash_store::kept(&mut region).ok().flatten();
    let fresh = kept.map(|kept| kept.store);
    formatted(region, random, kept, fresh)
}

/// Makes an empty store, with the password that the meter had if it had one, and of the history `store` or a new one.
///
/// # Errors
/// When the flash fails.
#[inline(never)]
pub fn formatted(
    region: Region,
    random: &Random,
    kept: Option<Kept>,
    store: Option<StoreId>,
) -> Result<FlashStore<Region>, &'static str> {
    watchdog::allow_erases((region.capacity() / SECTOR_BYTES) as u32 * 2);
    let password = kept.and_then(|kept| kept.password);
    let format = Format {
        device: device(),
        store: store.unwrap_or_else(|| StoreId(u64::from_le_bytes(random.bytes()))),
        channels: CHANNELS as u8,
        password: Some(password.unwrap_or_else(|| new_password(random))),
    };
    FlashStore::format(region, &format).map_err(|error| {
        println!("the store cannot be made: {error:?}");
        "the store cannot be made"
    })
}

/// Makes a password.
pub fn new_password(random: &Random) -> Password {
    Password::from_random(random.bytes::<PASSWORD_RANDOM_BYTES>())
}
