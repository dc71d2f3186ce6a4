//! What is done to the store, on the chip and on the PC.

use embedded_storage::nor_flash::NorFlash;
use flash_store::{FlashStore, Format, MountError, RunParams};
use protocol::{ChannelReading, DeviceId, Flags, StoreId};

/// Sectors of the flash: the fewest that a store takes.
pub const SECTORS: u32 = 60;
/// Readings from one start to the next.
const READINGS: u64 = 2_600;
const INTERVAL_MS: u64 = 10_000;
const PARAMS: RunParams = RunParams {
    interval_ms: INTERVAL_MS as u32,
    power_unit_mw: 1000,
    calibration: 0,
};

/// The flash stopped, or holds what is no store.
#[derive(Debug)]
pub struct Stopped;

/// Starts, keeps readings, and returns the number of the next one.
pub fn live<F: NorFlash>(flash: F) -> Result<u64, Stopped> {
    let mut store = match FlashStore::mount(flash) {
        Ok(store) => store,
        Err((MountError::Unformatted, flash)) => {
            let format = Format {
                device: DeviceId([2, 15, 109, 0, 0, 1]),
                store: StoreId(0x0123_4567_89ab_cdef),
                channels: 1,
                password: None,
            };
            FlashStore::format(flash, &format).map_err(|_| Stopped)?
        }
        Err(_) => return Err(Stopped),
    };
    let boot = store.start_boot().map_err(|_| Stopped)?;
    store
        .config_write(&boot.to_le_bytes())
        .map_err(|_| Stopped)?;
    for index in 0..READINGS {
        let turn = store.next().0;
        store
            .append(&PARAMS, (index + 1) * INTERVAL_MS, &[wild(turn)])
            .map_err(|_| Stopped)?;
        store.maintain().map_err(|_| Stopped)?;
    }
    store.acknowledge(store.oldest()).map_err(|_| Stopped)?;
    Ok(store.next().0)
}

/// Makes values that hardly pack, so that segments fill soon.
fn wild(turn: u64) -> ChannelReading {
    let draw = |field: u64| {
        let value = (turn * 31 + field).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (value ^ value >> 29).wrapping_mul(0x94d0_49bb_1331_11eb) >> 32
    };
    ChannelReading {
        energy_quanta: (draw(1) as i32) >> 12,
        reactive_power_var: (draw(2) as i32) >> 12,
        voltage_dv: draw(3) as u16,
        current_ca: draw(4) as u16,
        frequency_chz: draw(5) as u16,
        coverage_permille: (draw(6) % 1001) as u16,
        flags: Flags(draw(7) as u16 & 15),
    }
}
