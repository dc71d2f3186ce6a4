//! Makes an image of a flash with a store in use on it, to be looked at by other tools.
//!
//! `store_image IMAGE` writes the image and prints where the LittleFS lies in it: its offset in bytes and its blocks.

use std::{env, error, fs};

use flash_store::{FlashStore, Format, RunParams};
use nor_model::{Nor, SECTOR_BYTES};
use protocol::{ChannelReading, DeviceId, StoreId, event::What};

const SECTORS: usize = 64;
const READINGS: u64 = 90_000;
const INTERVAL_MS: u64 = 10_000;
const READINGS_A_BOOT: u64 = 7_000;

fn main() -> Result<(), Box<dyn error::Error>> {
    let image = env::args().nth(1).ok_or("usage: store_image IMAGE")?;
    let format = Format {
        device: DeviceId([2, 15, 109, 0, 0, 1]),
        store: StoreId(42),
        channels: 1,
        password: None,
    };
    let flash = Nor::new(SECTORS * SECTOR_BYTES);
    let mut store = FlashStore::format(flash, &format).map_err(|error| format!("{error:?}"))?;
    fill(&mut store).map_err(|error| format!("the store refused {error}"))?;
    let layout = store.layout();
    println!(
        "{} {}",
        layout.first_file_sector() as usize * SECTOR_BYTES,
        layout.file_sectors
    );
    fs::write(image, store.into_flash().bytes())?;
    Ok(())
}

/// Boots, events, settings, and enough readings for segments of each tier.
fn fill(store: &mut FlashStore<Nor>) -> Result<(), &'static str> {
    let params = RunParams {
        interval_ms: INTERVAL_MS as u32,
        power_unit_mw: 1000,
        calibration: 0,
    };
    store
        .config_write(b"not a real record")
        .map_err(|_| "settings")?;
    for index in 0..READINGS {
        let in_boot = index % READINGS_A_BOOT;
        if in_boot == 0 {
            let boot = store.start_boot().map_err(|_| "a start")?;
            for version in 0..200 {
                let what = What::ConfigChanged { version };
                store.event_append(boot, 0, what).map_err(|_| "an event")?;
            }
        }
        let power = 80 + (index / 60 * 7919 % 1500) as i32 + (index * 31 % 7) as i32;
        let channel = ChannelReading {
            energy_quanta: power,
            reactive_power_var: power / 9,
            voltage_dv: 2_300 + (index * 13 % 11) as u16,
            current_ca: (power * 10 / 23) as u16,
            frequency_chz: 5_000,
            ..ChannelReading::default()
        };
        store
            .append(&params, (in_boot + 1) * INTERVAL_MS, &[channel])
            .map_err(|_| "a reading")?;
        store.maintain().map_err(|_| "a segment")?;
    }
    Ok(())
}
