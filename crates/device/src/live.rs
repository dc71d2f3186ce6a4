//! What a meter shows of the moment: its newest windows and harmonics.

use embedded_storage::nor_flash::NorFlash;
use heapless::Vec;
use metering::Spectrum;
use protocol::messages::{ChannelHarmonics, Harmonics, Live, LiveChannel};

use crate::meter::Meter;

impl<F: NorFlash> Meter<F> {
    /// Answers `live`; values are 0 until the first window is complete.
    pub(crate) fn live(&self) -> Live {
        let mut uptime_ms = 0;
        let mut channels = Vec::new();
        for (window, registers) in self
            .recorder
            .windows()
            .zip(&self.recorder.store.registers())
        {
            let mut channel = LiveChannel {
                active_power_mw: 0,
                reactive_power_mvar: 0,
                voltage_mv: 0,
                current_ma: 0,
                frequency_mhz: 0,
                import_mj: registers.import_mj,
                export_mj: registers.export_mj,
            };
            if let Some(window) = window {
                uptime_ms = window.end_us / 1000;
                channel.active_power_mw = window.active_power_mw.into();
                channel.reactive_power_mvar = window.reactive_power_mvar.into();
                channel.voltage_mv = window.voltage_mv;
                channel.current_ma = (window.current_ua + 500) / 1_000;
                channel.frequency_mhz = window.frequency_mhz;
            }
            channels.push(channel).expect("as many as the store has");
        }
        Live {
            uptime_ms,
            channels,
        }
    }

    /// Answers `harmonics`.
    pub(crate) fn harmonics(&self) -> Harmonics {
        let channel = |spectrum: Option<&Spectrum>| {
            spectrum.map_or_else(ChannelHarmonics::default, |spectrum| ChannelHarmonics {
                uptime_ms: spectrum.end_us / 1000,
                voltage: spectrum.voltage.shares,
                voltage_distortion: spectrum.voltage.distortion,
                current: spectrum.current.shares,
                current_distortion: spectrum.current.distortion,
            })
        };
        Harmonics {
            channels: self.recorder.spectra().map(channel).collect(),
        }
    }
}
