//! `ofmon serve`: the web page and its API.

use std::net::SocketAddr;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::{context::Context, engine::Engine, server::Server, stop};

const EXAMPLES: &str = "\
Examples:
  ofmon serve
  ofmon serve --listen 127.0.0.1:0 --json      on a free port, the address as JSON
  ofmon serve --tz Europe/Berlin               days begin at midnight in Berlin

There is no login: on another address than loopback, whoever reaches it can read everything.";

/// Where the page is without `--listen`.
const LISTEN: &str = "127.0.0.1:7373";

/// Arguments of `serve`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Serve {
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = LISTEN)]
    listen: SocketAddr,
}

/// What the program says about itself when the page is there.
#[derive(Serialize)]
struct Ready {
    url: String,
    data_dir: String,
    time_zone: String,
}

impl Serve {
    /// Serves until the user ends it.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let engine = Engine::open(context)?;
        let server = Server::bind(self.listen).await?;
        let ready = Ready {
            url: server.url(),
            data_dir: context.data_dir()?.display().to_string(),
            time_zone: context.zone_name(),
        };
        let stop = stop::asked();
        context.output.print(&ready, |ready| {
            format!(
                "{}\nData: {}. Time zone: {}. Ctrl-C ends.",
                ready.url, ready.data_dir, ready.time_zone
            )
        })?;
        server.run(context.clone(), engine, stop).await
    }
}
