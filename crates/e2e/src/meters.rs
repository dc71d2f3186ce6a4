//! A running `ofmon sim`.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sim::registry::{self, MeterEntry};

use crate::program;

/// How simulated meters are to run.
#[derive(Clone, Debug)]
pub struct Setting {
    /// How many.
    pub devices: usize,
    /// The load profile, `None` for built-in recipes with `days` of history of means.
    pub replay: Option<PathBuf>,
    /// Days of history where there is no profile.
    pub days: u32,
    /// Seconds of history in a second; 0 is as fast as it goes.
    pub speed: f64,
}

/// A program that simulates meters; killed when it goes out of scope.
#[derive(Debug)]
pub struct Meters {
    child: Child,
    state: PathBuf,
    /// What the program says about itself, when it is ready.
    pub document: Value,
}

impl Meters {
    /// Starts the program and waits until its meters answer.
    ///
    /// # Errors
    /// When it ends early or takes longer than `patience`.
    pub fn start(setting: &Setting, state: &Path, patience: Duration) -> Result<Self> {
        fs::create_dir_all(state)?;
        let registry = state.join(registry::FILE);
        if registry.exists() {
            fs::remove_file(&registry)?;
        }
        let mut command = Command::new(program::binary()?);
        command.args(["sim", "--json", "--seed", "7"]);
        command.args([
            "--devices",
            &setting.devices.to_string(),
            "--speed",
            &setting.speed.to_string(),
        ]);
        match &setting.replay {
            Some(path) => command.arg("--replay").arg(path),
            None => command.args(["--fast-history", "--days", &setting.days.to_string()]),
        };
        command.arg("--state").arg(state).stdin(Stdio::null());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let printed = child.stdout.take().context("standard output is piped")?;
        let document = thread::spawn(move || first_document(printed));
        let begun = Instant::now();
        while !document.is_finished() {
            if begun.elapsed() > patience {
                child.kill()?;
                bail!("the meters were not ready after {patience:?}");
            }
            thread::sleep(Duration::from_millis(5));
        }
        let document = document.join().ok().context("the reader panicked")?;
        let Ok(document) = document else {
            let mut said = String::new();
            child.kill()?;
            child
                .stderr
                .take()
                .context("standard error is piped")?
                .read_to_string(&mut said)?;
            bail!("ofmon sim ended early: {said}");
        };
        ensure!(registry.exists(), "ofmon sim wrote no {}", registry::FILE);
        // Nobody reads the log from here on; a full pipe must not stop the program.
        if let Some(mut said) = child.stderr.take() {
            thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        }
        Ok(Self {
            child,
            state: state.to_owned(),
            document,
        })
    }

    /// Returns where the meters are.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn entries(&self) -> Result<Vec<MeterEntry>> {
        Ok(registry::read(&self.state)?)
    }

    /// Returns the flash file of each meter.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn flash_files(&self) -> Result<Vec<PathBuf>> {
        let file = |entry: &MeterEntry| self.state.join(format!("{}.flash", entry.id));
        Ok(self.entries()?.iter().map(file).collect())
    }

    /// Ends the program with SIGKILL, as a power cut would.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Meters {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the first whole JSON document of a stream.
fn first_document(stream: impl Read) -> Result<Value> {
    let mut text = String::new();
    for line in BufReader::new(stream).lines() {
        text.push_str(&line?);
        text.push('\n');
        if let Ok(document) = serde_json::from_str(&text) {
            return Ok(document);
        }
    }
    bail!("the stream ended before a document was whole: {text}")
}
