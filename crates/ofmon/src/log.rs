//! The log on standard error, kept apart from the progress bars that are drawn there too.

use std::io::{self, Write};

use anyhow::{Context as _, Result};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::{exit::Problem, progress};

/// Starts the log: `--log`, else `RUST_LOG`, else warnings.
pub(crate) fn start(level: Option<&str>) -> Result<()> {
    let directives = match level {
        Some(level) => level.to_owned(),
        None => std::env::var("RUST_LOG")
            .ok()
            .filter(|value| !value.is_empty())
            .unwrap_or_else(|| "warn".to_owned()),
    };
    let filter = EnvFilter::try_new(&directives).with_context(|| {
        Problem::usage(
            format!("{directives:?} is no log level"),
            "levels are error, warn, info, debug and trace",
        )
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(AboveBars)
        .init();
    Ok(())
}

/// Writes each message above the progress bars.
struct AboveBars;

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = Message;

    fn make_writer(&'a self) -> Self::Writer {
        Message(Vec::new())
    }
}

/// One message; written as a whole when it is complete.
struct Message(Vec<u8>);

impl Write for Message {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // A log that cannot be written has nowhere to say so.
        progress::above_bars(|| {
            let _ = io::stderr().lock().write_all(&self.0);
        });
    }
}
