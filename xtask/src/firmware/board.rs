//! A board on a serial port: writing an image to it, and watching it.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::chip::Chip;
use super::image;
use super::wifi_code::Finder;
use crate::command;
use crate::project::Project;

const BAUD: &str = "115200";
const MONITOR: &str = "xtask/src/firmware/monitor.py";
/// What pyserial says of a port on USB; a PC's own ports have no board.
const ON_USB: &str = "USB VID";
const NO_ANSWER: &str = "\
no board answers. What mostly helps: a cable that carries data; no other program on the port; the BOOT button held while the \
board is plugged in; on Linux, membership of the group `dialout`";

#[derive(clap::Args)]
pub(super) struct Port {
    /// The board's serial port, such as /dev/ttyACM0; without it, the only one there is
    #[arg(long)]
    port: Option<String>,
}

/// A serial port that was chosen.
pub(super) struct Board {
    python: PathBuf,
    port: String,
}

impl Board {
    /// Takes the port that was named, or the only one on USB.
    ///
    /// # Errors
    /// When there is none, or several, or pyserial cannot be had.
    pub(super) fn find(project: &Project, asked: &Port) -> Result<Self> {
        let python = image::prepare(project)?;
        let port = if let Some(port) = &asked.port {
            port.clone()
        } else {
            let mut list = Command::new(&python);
            list.args(["-m", "serial.tools.list_ports", "--quiet", ON_USB]);
            only(&command::capture(&mut list)?)?
        };
        Ok(Self { python, port })
    }

    /// Writes a file to the board, at address 0, and starts it.
    ///
    /// # Errors
    /// When no board is there, or it is another chip or does not take the file.
    pub(super) fn flash(&self, chip: Chip, file: &Path, erase: bool) -> Result<()> {
        let mut write = image::esptool(&self.python, chip.name());
        write.args(["--port", &self.port, "write-flash"]);
        if erase {
            write.arg("--erase-all");
        }
        write.arg("0x0").arg(file);
        command::run(&mut write).context(NO_ANSWER)?;
        println!(
            "the meter starts. Its Wi-Fi and password: ./x firmware monitor --port {}",
            self.port
        );
        Ok(())
    }

    /// Restarts the board and shows what it prints from then on, with a QR code once it has named its Wi-Fi.
    ///
    /// # Errors
    /// When the port cannot be used, or is gone.
    pub(super) fn monitor(&self, project: &Project) -> Result<()> {
        println!("{}: Ctrl-C ends", self.port);
        let mut child = Command::new(&self.python)
            .arg(project.root.join(MONITOR))
            .args([&self.port, BAUD])
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("the child has an output")?;
        pass(BufReader::new(output), io::stdout().lock())?;
        ensure!(child.wait()?.success(), "{NO_ANSWER}");
        Ok(())
    }
}

/// Copies lines as they come, and puts the QR code behind the line that completes it.
fn pass(mut from: impl BufRead, mut to: impl Write) -> io::Result<()> {
    let mut finder = Finder::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        if from.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        to.write_all(&line)?;
        if let Some(code) = finder.line(&String::from_utf8_lossy(&line)) {
            to.write_all(code.as_bytes())?;
        }
        to.flush()?;
    }
}

fn only(ports: &str) -> Result<String> {
    let ports: Vec<_> = ports.lines().map(str::trim).collect();
    match ports.as_slice() {
        [] => {
            bail!("no serial port on USB: is a board plugged in, with a cable that carries data?")
        }
        [port] => Ok((*port).to_owned()),
        several => bail!("say which with --port: {}", several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_need_not_be_named_when_there_is_one() {
        assert_eq!(only("/dev/ttyACM0        \n").unwrap(), "/dev/ttyACM0");
        assert!(format!("{:#}", only("").unwrap_err()).contains("no serial port"));
        let several = only("/dev/ttyACM0\n/dev/ttyUSB1\n").unwrap_err();
        assert!(format!("{several:#}").contains("/dev/ttyACM0, /dev/ttyUSB1"));
    }

    #[test]
    fn what_a_meter_prints_is_passed_on_with_its_code() {
        let printed = b"boot 1\r\nOFMON-A0B1C2D3E4F5 7ZK4M2Q9XV0B3NHT\r\n\xff torn";
        let mut shown = Vec::new();
        pass(&printed[..], &mut shown).unwrap();
        let shown = String::from_utf8_lossy(&shown);
        assert!(shown.starts_with("boot 1\r\nOFMON-"), "{shown}");
        assert!(shown.lines().count() > 18, "{shown}");
        assert!(shown.ends_with("\u{fffd} torn"), "{shown}");
    }
}
