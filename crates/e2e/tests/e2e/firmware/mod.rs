//! The images that run on a chip, in the emulator. `./x test firmware` builds them and says where they are.
//!
//! Time here is the chip's own: an emulated minute takes a second or two.

mod converter;
mod crashes;
mod cuts;
mod fleet;
mod measuring;
mod panel;
mod radio;
mod serving;
mod updates;

use std::time::Duration;

use anyhow::{Context as _, Result};
use collector::client::{Client, Session};
use e2e::emulated::{self, Emulated, Served};
use emulator::adc::{Feed, Load};
use protocol::messages::Setup;
use sim::signal::{FrontEnd, Kind, Recipe, Source};

/// The image with the emulator's network card in place of Wi-Fi.
const IMAGE: &str = "OFMON_FIRMWARE_C3";
const TOKEN: &str = "A1B2C3D4E5F6G7H8I9J0";
/// Inputs of the converter for voltage and current.
const INPUTS: [u8; 2] = [0, 1];
const SEED: u64 = 3;

/// Returns a house in its evening, behind a converter with noise whose middle is off.
fn load() -> Load {
    // RMS value at the pin of the sine that fills the range, in V, times what docs/hardware.md says of the parts.
    let full_scale = f64::from(converter::straight().full_scale_code())
        / f64::from(converter::CODES_PER_MV)
        / 2_000.0
        / std::f64::consts::SQRT_2;
    let front_end = FrontEnd {
        full_scale_v: full_scale * 434.0,
        full_scale_a: full_scale * 125.0,
        // The firmware converts both inputs in turns, 4,000 a second.
        skew_us: 250.0,
        voltage_gain: 1.0,
        current_gain: 1.0,
        ..FrontEnd::esp32c3(100.0, SEED)
    };
    Load {
        source: Source::Recipe(Recipe::new(Kind::House, SEED).beginning_at(19 * 3600)),
        front_end,
        seed: SEED,
    }
}

/// Switches a chip on that never ran before.
fn fresh(variable: &str) -> Result<Emulated> {
    let [voltage, current] = INPUTS;
    let flash = emulated::flash(&emulated::image(variable)?)?;
    Emulated::new(flash, Feed::signal(voltage, current, load()))
}

/// Does something with the meter over its API, in a runtime of its own.
fn over_api<R>(
    served: &Served,
    work: impl AsyncFnOnce(&Client, &Session) -> Result<R>,
) -> Result<R> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = Client::new(&served.url)?;
        let device = client.info().await?.device;
        let session = client.session(device, TOKEN);
        work(&client, &session).await
    })
}

/// Gives the meter its token.
async fn set_up(client: &Client) -> Result<()> {
    let setup = Setup {
        token: TOKEN.try_into().ok().context("a token")?,
        name: "Cellar".try_into().ok().context("a name")?,
        ..Setup::default()
    };
    Ok(client.set_up(&setup).await?)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
