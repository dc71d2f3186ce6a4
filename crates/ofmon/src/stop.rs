//! How a command is ended from outside: Ctrl-C, or SIGTERM where there is such a thing.

use anyhow::Result;
use tokio::signal;

use crate::exit::{Kind, Problem};

/// Waits until the user or the system wants the program to end.
pub(crate) async fn asked() {
    #[cfg(unix)]
    {
        let terminate = signal::unix::signal(signal::unix::SignalKind::terminate());
        if let Ok(mut terminate) = terminate {
            tokio::select! {
                _ = terminate.recv() => return,
                result = signal::ctrl_c() => if result.is_ok() { return },
            }
        }
    }
    if signal::ctrl_c().await.is_err() {
        // Without handlers the system's default ends the program.
        std::future::pending::<()>().await;
    }
}

/// Runs work that may be given up at any moment; what it stored by then is kept.
pub(crate) async fn or_stopped<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        result = work => result,
        () = asked() => Err(Problem::new(Kind::Interrupted, "interrupted", "what was stored until then is kept; the same command goes on").into()),
    }
}
