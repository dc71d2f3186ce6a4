//! The double as a program, for clients in other languages and for demonstrations.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::Context;
use clap::Parser;
use thingsboard_double::{Double, Options};
use tokio::signal::unix::{SignalKind, signal};

/// Runs a ThingsBoard server in memory, for tests only, until it gets SIGTERM or SIGINT.
#[derive(Parser)]
#[command(name = "thingsboard-double", version)]
struct Arguments {
    /// Loopback address and port to listen on; port 0 picks a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let options = Options {
        listen: arguments.listen,
        ..Options::default()
    };
    let double = Double::start(options)
        .await
        .context("the server did not start")?;
    let mut output = std::io::stdout();
    // Whoever started the program waits for this line to learn the port.
    writeln!(output, "listening on {}", double.url())
        .and_then(|()| output.flush())
        .context("cannot print the URL")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    double.stop().await;
    Ok(())
}
