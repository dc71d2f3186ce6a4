//! `ofmon login` and `ofmon logout`: the account on a ThingsBoard server.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use anyhow::{Context as _, Result};
use clap::Args;
use collector::{secrets::Secret, sync, thingsboard::ServerAddress};
use serde::Serialize;

use crate::{
    context::Context,
    engine::Engine,
    exit::{Kind, Problem},
    stop,
};

/// The variable that holds the password where nobody can be asked.
const PASSWORD: &str = "OFMON_PASSWORD";

const LOGIN_EXAMPLES: &str = "\
Examples:
  ofmon login https://thingsboard.example.org --user tenant@example.org
  OFMON_PASSWORD=… ofmon login http://127.0.0.1:8080 --user tenant@thingsboard.org

The password is asked for, or taken from OFMON_PASSWORD; it is never an argument and is not kept. What is kept, in
secrets.json, is a session of some days. Plain http is accepted for this machine and private networks only.";

const LOGOUT_EXAMPLES: &str = "\
Examples:
  ofmon logout

Readings, meters and their tokens stay; what was synced stays known.";

/// Arguments of `login`.
#[derive(Debug, Args)]
#[command(after_help = LOGIN_EXAMPLES)]
pub(crate) struct Login {
    /// Address of the server
    #[arg(value_name = "URL")]
    url: String,
    /// Name of the user, mostly an e-mail address
    #[arg(long, value_name = "NAME")]
    user: String,
}

/// Who is logged in where; null where nobody is.
#[derive(Serialize)]
struct AccountView {
    server: Option<String>,
    user: Option<String>,
}

impl Login {
    /// Logs in and remembers the session.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let address = address(&self.url)?;
        let password = password()?;
        let engine = Engine::open(context)?;
        stop::or_stopped(engine.login(address.clone(), &self.user, &password)).await?;
        let account = AccountView {
            server: Some(address.to_string()),
            user: Some(self.user),
        };
        let encrypted = address.is_encrypted();
        context.output.print(&account, |account| {
            let server = account.server.as_deref().unwrap_or_default();
            let user = account.user.as_deref().unwrap_or_default();
            let note = if encrypted { "" } else { " (not encrypted)" };
            format!("Logged in at {server} as {user}{note}. `ofmon sync` sends the readings.")
        })
    }
}

/// Reads the address of a server.
pub(crate) fn address(text: &str) -> Result<ServerAddress> {
    let wrong =
        |error: &collector::thingsboard::AddressError| Problem::usage(error.to_string(), "");
    ServerAddress::parse(text).map_err(|error| wrong(&error).into())
}

/// Takes the password from the environment or asks for it.
pub(crate) fn password() -> Result<Secret> {
    if let Some(password) = env::var_os(PASSWORD).filter(|password| !password.is_empty()) {
        let password = password.into_string();
        let password = password
            .map_err(|_| Problem::usage("the password in OFMON_PASSWORD is no UTF-8", ""))?;
        return Ok(Secret::new(password));
    }
    if !io::stdin().is_terminal() {
        let hint = "put it into the environment variable OFMON_PASSWORD";
        return Err(Problem::usage("there is no password, and nobody to ask for it", hint).into());
    }
    let cannot = || {
        Problem::new(
            Kind::Failed,
            "the password cannot be asked for",
            "put it into OFMON_PASSWORD",
        )
    };
    let password = rpassword::prompt_password("Password: ").with_context(cannot)?;
    Ok(Secret::new(password))
}

/// Arguments of `logout`.
#[derive(Debug, Args)]
#[command(after_help = LOGOUT_EXAMPLES)]
pub(crate) struct Logout {}

impl Logout {
    /// Forgets the session; nobody being logged in is no failure.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let engine = Engine::open(context)?;
        let was = sync::account(&engine.store().lock())?;
        engine.logout().await?;
        let account = AccountView {
            server: None,
            user: None,
        };
        context.output.print(&account, |_| match was {
            Some(was) => format!("Logged out at {}.", was.address),
            None => "Nobody was logged in.".to_owned(),
        })
    }
}
