//! What the command line says.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A meter's chip, an ESP32-C3, on this computer.
#[derive(Debug, Parser)]
#[command(name = "ofmon-emu", version, arg_required_else_help = true)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs an image as it is flashed to a chip, through mask ROM and bootloader to the application
    #[command(after_long_help = EXAMPLES)]
    Run(Run),
}

const EXAMPLES: &str = "\
Examples:
  A meter of a house, that a browser finds at http://127.0.0.1:8080 (image with the feature emulated-network):
    ofmon-emu run meter.bin --adc house --net tcp:8080

  The same meter tomorrow: its readings are in the file.
    ofmon-emu run meter.bin --flash attic.nor --net tcp:8080

  A day of a recorded load as fast as it goes:
    ofmon-emu run meter.bin --flash attic.nor --adc kettle.csv --speed max --for 86400

  Power fails at the 500th program or erase of the flash, and comes back:
    ofmon-emu run meter.bin --flash attic.nor --cut-at 500 --speed max --for 600

The mask ROM is Espressif's; it comes with the espflash crate, as resources/roms/esp32c3_rev*_rom.elf.
Nothing of a radio is emulated: an image with Wi-Fi runs as far as the radio's start.";

/// How to run an image.
#[derive(Args, Debug)]
pub struct Run {
    /// The whole flash from address 0 on: bootloader, partition table and application, up to 4 MB
    pub image: PathBuf,

    /// Keeps the flash in this file, made from IMAGE where there is none
    ///
    /// Where there is one, the meter goes on with what it holds, and IMAGE is not looked at. Without this option the
    /// flash is lost at the end.
    #[arg(long, value_name = "FILE")]
    pub flash: Option<PathBuf>,

    /// What the meter measures: a household, a file or a constant
    ///
    /// house, flat, workshop or solar-house, which take a number that makes another one (house:7); constant:CODE, which
    /// is a voltage at all inputs, 0 to 4095; or a file: a load profile (Date;Time;Global_active_power;…), samples
    /// (t_s,v,i) or a WAV file.
    #[arg(long, value_name = "FILE|RECIPE", default_value = "house")]
    pub adc: String,

    /// Volts and amperes of a WAV file's full scale
    #[arg(long, value_name = "V,A")]
    pub full_scale: Option<FullScale>,

    /// Rated current of the current transformer, in A
    #[arg(long, value_name = "A", default_value_t = 100.0)]
    pub transformer: f64,

    /// Port of this computer that leads to the meter's web server
    ///
    /// As tcp:8080, or tcp:0 for any free port. It answers once the firmware has given an address by DHCP. Other
    /// computers cannot reach it.
    #[arg(long, value_name = "tcp:PORT")]
    pub net: Option<Net>,

    /// Takes the power at the N-th program or erase of the flash, counted from 1, and gives it back
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub cut_at: Option<u64>,

    /// Times as fast as a real chip, or max
    ///
    /// With max it is only as fast as a real chip while programs of this computer are connected, because their time is
    /// real.
    #[arg(long, value_name = "X", default_value = "1")]
    pub speed: Speed,

    /// Port of the chip whose text is shown: ROM and bootloader write to both, the firmware to one
    #[arg(long, value_enum, default_value = "usb")]
    pub console: Console,

    /// Ends after so many seconds of the chip
    #[arg(long = "for", value_name = "SECONDS")]
    pub seconds: Option<f64>,

    /// The chip's mask ROM, an ELF file
    #[arg(long, value_name = "FILE", env = "OFMON_ROM")]
    pub rom: PathBuf,

    /// The chip's address
    #[arg(long, value_name = "MAC", default_value = "02:4f:46:00:00:01")]
    pub mac: Mac,

    /// Draws everything that is random: the chip's numbers, the noise of its converter, its tolerances
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// A port of the chip that sends text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Console {
    /// UART0
    Uart,
    /// The USB serial port that is part of the chip
    Usb,
    /// Both, mixed
    Both,
}

/// Volts and amperes, both above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FullScale {
    /// In V.
    pub volts: f64,
    /// In A.
    pub amperes: f64,
}

/// A port of this computer; 0 is any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net(pub u16);

/// Times as fast as a real chip; as fast as it goes where there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed(pub Option<f64>);

/// The address of a chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl FromStr for FullScale {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| {
            text.parse()
                .ok()
                .filter(|it: &f64| *it > 0.0 && it.is_finite())
        };
        let parts = text.split_once(',').map(|(v, a)| (number(v), number(a)));
        match parts {
            Some((Some(volts), Some(amperes))) => Ok(Self { volts, amperes }),
            _ => Err("volts and amperes are two numbers above 0, as in 600,50"),
        }
    }
}

impl FromStr for Net {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let port = text.strip_prefix("tcp:").and_then(|port| port.parse().ok());
        port.map(Self)
            .ok_or("it is tcp: and a port, as in tcp:8080")
    }
}

impl FromStr for Speed {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "max" {
            return Ok(Self(None));
        }
        let number = text.parse().ok().filter(|it| (0.001..=1e6).contains(it));
        number
            .map(|number| Self(Some(number)))
            .ok_or("it is a number from 0.001 to 1000000, or max")
    }
}

impl FromStr for Mac {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes: Option<Vec<u8>> = text
            .split(':')
            .map(|byte| {
                u8::from_str_radix(byte, 16)
                    .ok()
                    .filter(|_| byte.len() == 2)
            })
            .collect();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Self)
            .ok_or("it is six bytes, as in 02:4f:46:00:00:01")
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_is_sound() {
        Options::command().debug_assert();
        let arguments =
            "ofmon-emu run a.bin --rom r.elf --net tcp:8080 --cut-at 5 --speed max --for 1.5";
        let options = Options::try_parse_from(arguments.split(' ')).unwrap();
        let Command::Run(run) = options.command;
        assert_eq!((run.net, run.cut_at), (Some(Net(8080)), Some(5)));
        assert_eq!((run.speed, run.seconds), (Speed(None), Some(1.5)));
        assert_eq!(run.mac, Mac([2, 0x4f, 0x46, 0, 0, 1]));
    }

    #[test]
    fn values_that_mean_nothing_are_refused() {
        for text in ["8080", "tcp:", "tcp:65536", "udp:80"] {
            assert!(text.parse::<Net>().is_err(), "{text}");
        }
        for text in ["0", "-1", "fast", "NaN", "inf"] {
            assert!(text.parse::<Speed>().is_err(), "{text}");
        }
        for text in ["02:4f:46:00:00", "02:4f:46:00:00:1", "02:4f:46:00:00:0g"] {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
        for text in ["600", "600,0", "0,5", "a,b"] {
            assert!(text.parse::<FullScale>().is_err(), "{text}");
        }
        assert_eq!(
            "600,50".parse(),
            Ok(FullScale {
                volts: 600.0,
                amperes: 50.0
            })
        );
        assert_eq!("2.5".parse(), Ok(Speed(Some(2.5))));
    }
}
