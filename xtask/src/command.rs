//! Running other programs: what is run is shown, what fails is named.

use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// Shows a command and runs it with this program's own input and output.
///
/// # Errors
/// When it cannot be started or does not end with success.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// Shows a command, runs it, and returns how it ended.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    println!("$ {}", shown(command));
    command
        .status()
        .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))
}

/// Runs a command without showing it and returns its standard output.
///
/// # Errors
/// When it cannot be started or fails (then with its error output), or prints no UTF-8.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        bail!(
            "`{}` ended with {}\n{}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("{name} printed no UTF-8"))
}

/// Returns the command as one would type it, the program by its file name.
fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut words = vec![
        program
            .file_name()
            .unwrap_or(program.as_os_str())
            .to_string_lossy()
            .into_owned(),
    ];
    words.extend(command.get_args().map(|word| {
        let word = word.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@,+".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.into_owned()
        } else {
            format!("'{word}'")
        }
    }));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_names_the_program_and_keeps_its_error_output() {
        let error = capture(Command::new("sh").args(["-c", "echo broken pipe dream >&2; exit 3"]))
            .unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.contains("broken pipe dream"), "{text}");
        assert!(run(Command::new("sh").args(["-c", "exit 4"])).is_err());
    }

    #[test]
    fn command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["build", "--config", "a = [1]"]);
        assert_eq!(shown(&command), "cargo build --config 'a = [1]'");
    }
}
