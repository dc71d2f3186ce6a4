//! `ofmon token`: the access token of a meter, and another one for it.

use anyhow::Result;
use clap::Args;
use collector::sync;
use protocol::DeviceId;
use serde::Serialize;

use crate::{
    context::Context,
    engine::Engine,
    exit::{Kind, Problem},
    stop,
};

const EXAMPLES: &str = "\
Examples:
  ofmon token cellar --change            makes another token, on the server too, and gives it to the meter
  ofmon token cellar --change --local    the same for a meter that has no device on the server

A meter that does not answer now gets its new token by the next `ofmon collect`.

The token is never shown. One that was changed on the server is seen by `ofmon sync` and given to the meter by the next
`ofmon collect`; the old one is kept until the meter has answered with the new one. A token that is lost cannot be
changed over the network: hold the meter's button for 10 s, which keeps its readings, and run `ofmon setup` again.";

/// Arguments of `token`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Token {
    /// Meter by id or name
    #[arg(value_name = "METER")]
    meter: String,
    /// Makes another token; needed, so that nothing is changed by mistake
    #[arg(long, required = true)]
    change: bool,
    /// Leaves the server as it is; where the meter's device is there, the next sync goes back to that one's token
    #[arg(long)]
    local: bool,
}

/// What became of the token.
#[derive(Serialize)]
struct TokenView {
    id: DeviceId,
    /// Whether the meter has the new one; else the next visit brings it.
    changed: bool,
}

impl Token {
    /// Changes the token and says whether the meter has it.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let engine = Engine::open(context)?;
        let wanted = engine.find(std::slice::from_ref(&self.meter))?;
        let nothing = || Problem::new(Kind::NotFound, "there is no such meter", "");
        let id = *wanted.first().ok_or_else(nothing)?;
        let has_server = !self.local && sync::account(&engine.store().lock())?.is_some();
        let change = async {
            let server = match has_server {
                true => Some(engine.server().await?),
                false => None,
            };
            engine.change_token(id, server.as_ref()).await
        };
        let changed = stop::or_stopped(change).await?;
        context
            .output
            .print(&TokenView { id, changed }, |view| match view.changed {
                true => format!("Meter {id} has another access token now."),
                false => format!(
                    "Meter {id} does not answer now: the next `ofmon collect` gives it its new token."
                ),
            })
    }
}
