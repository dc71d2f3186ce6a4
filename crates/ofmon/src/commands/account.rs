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
    secret_of_or_asked(PASSWORD, "Password: ")
}

/// Takes a secret from an environment variable; `None` where it is not set or empty.
pub(crate) fn secret_of(variable: &'static str) -> Result<Option<Secret>> {
    let Some(text) = env::var_os(variable).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let text = text
        .into_string()
        .map_err(|_| Problem::usage(format!("what {variable} holds is no UTF-8"), ""))?;
    Ok(Some(Secret::new(text)))
}

/// Takes a secret from an environment variable, or asks for it.
pub(crate) fn secret_of_or_asked(variable: &'static str, question: &str) -> Result<Secret> {
    if let Some(secret) = secret_of(variable)? {
        return Ok(secret);
    }
    let hint = "an environment variable can hold it: see --help";
    if !io::stdin().is_terminal() {
        let message = format!("{variable} is not set, and there is nobody to ask");
        return Err(Problem::usage(message, hint).into());
    }
    let cannot = || Problem::new(Kind::Failed, "it cannot be asked for", hint);
    let text = rpassword::prompt_password(question).with_context(cannot)?;
    Ok(Secret::new(text))
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
