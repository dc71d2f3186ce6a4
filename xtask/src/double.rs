//! The ThingsBoard double as a child process, and ThingsBoard's own Python client against it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::project::Project;
use crate::{command, python};

const CLIENTS: &str = "crates/thingsboard-double/clients";
const READY_WITHIN: Duration = Duration::from_secs(20);
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// A running ThingsBoard double; it is ended when this value is dropped.
pub(crate) struct Double {
    child: Child,
    /// Where it listens, such as `http://127.0.0.1:40211`.
    pub(crate) url: String,
}

impl Double {
    /// Starts the program, given as a command, on a free port of loopback and waits for its address.
    ///
    /// # Errors
    /// When it cannot be started or does not say `listening on URL` in its first line.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        command
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        own_group(&mut command);
        let mut child = command
            .spawn()
            .context("cannot start the ThingsBoard double")?;
        let output = child.stdout.take().context("the child has an output")?;
        let mut double = Self {
            child,
            url: String::new(),
        };
        let (sender, first_line) = mpsc::channel();
        // Reads on to the end, so that the double never stands before a full pipe.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                sender.send(line).ok();
            }
        });
        let line = first_line
            .recv_timeout(READY_WITHIN)
            .context("the ThingsBoard double does not say where it listens")?;
        let url = line
            .strip_prefix("listening on ")
            .filter(|url| url.starts_with("http://127.0.0.1:"));
        match url {
            Some(url) => url.clone_into(&mut double.url),
            None => bail!("the ThingsBoard double began with {line:?}"),
        }
        println!(
            "ThingsBoard double on {} (process {})",
            double.url,
            double.child.id()
        );
        Ok(double)
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Keeps Ctrl-C in the terminal from reaching a child directly: it is ended in order, by its parent.
pub(crate) fn own_group(command: &mut Command) {
    command.process_group(0);
}

/// Sends a signal, by name, to a process; the shell's own `kill` is on every Unix.
///
/// # Errors
/// When the process is gone.
pub(crate) fn signal(name: &str, process: u32) -> Result<()> {
    let script = format!("kill -{name} {process}");
    command::capture(Command::new("sh").args(["-c", &script])).map(drop)
}

/// Asks a child to end, and makes it end when it does not.
fn end(child: &mut Child) {
    if signal("TERM", child.id()).is_ok() {
        let started = Instant::now();
        while started.elapsed() < ENDS_WITHIN {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        eprintln!(
            "[x] process {} did not end within {} s: killed",
            child.id(),
            ENDS_WITHIN.as_secs()
        );
    }
    child.kill().ok();
    child.wait().ok();
}

/// Makes the Python environment with ThingsBoard's client, unless it is there as
/// the requirements say, and returns its interpreter.
///
/// # Errors
/// When Python has no `venv` or a package cannot be installed.
pub(crate) fn prepare_python_client(project: &Project) -> Result<PathBuf> {
    let requirements = Path::new(CLIENTS).join("requirements.txt");
    python::prepare(project, "venv-tb-ce", &requirements)
}

/// Drives the double with ThingsBoard's own client, which asserts what it gets.
///
/// # Errors
/// When the double does not build or start, or an assertion fails.
pub(crate) fn check_with_python_client(project: &Project) -> Result<()> {
    let script = project.root.join(CLIENTS).join("tb_ce.py");
    if !script.exists() {
        bail!("{} is missing", script.display());
    }
    let python = prepare_python_client(project)?;
    project.build_for_tests()?;
    let double = Double::start(Command::new(project.program("debug", "thingsboard-double")))?;
    command::run(
        Command::new(python)
            .current_dir(&project.root)
            .arg(script)
            .arg(&double.url),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        command
    }

    #[test]
    fn double_is_gone_after_it_is_dropped() {
        let double = Double::start(script(
            "echo listening on http://127.0.0.1:9; exec sleep 60",
        ))
        .unwrap();
        assert_eq!(double.url, "http://127.0.0.1:9");
        let process = double.child.id();
        signal("0", process).unwrap();
        drop(double);
        assert!(signal("0", process).is_err());
    }

    #[test]
    fn double_that_says_something_else_is_refused_and_ended() {
        let error = Double::start(script("echo hello; exec sleep 60"))
            .err()
            .unwrap();
        assert!(format!("{error:#}").contains("hello"));
        let error = Double::start(script("exit 1")).err().unwrap();
        assert!(format!("{error:#}").contains("does not say where it listens"));
    }
}
