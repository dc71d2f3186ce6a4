//! How a command is ended from outside: Ctrl-C, or SIGTERM where there is such a thing.

use anyhow::Result;

use crate::exit::{Kind, Problem};

/// Listens from this call on, and is ready when the user or the system wants the program to end.
#[cfg(unix)]
pub(crate) fn asked() -> impl Future<Output = ()> + Send + 'static {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = signal(SignalKind::interrupt())
        .and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
    async move {
        match signals {
            Ok((mut interrupt, mut terminate)) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            Err(error) => never(&error).await,
        }
    }
}

/// Is ready when the user wants the program to end.
#[cfg(not(unix))]
pub(crate) async fn asked() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        never(&error).await;
    }
}

/// Waits for ever: without handlers, the system's default ends the program.
async fn never(error: &std::io::Error) {
    tracing::warn!(%error, "the program cannot end in order when it is asked to");
    std::future::pending().await
}

/// Runs work that may be given up at any moment; what it stored by then is kept.
pub(crate) async fn or_stopped<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let asked = asked();
    tokio::select! {
        result = work => result,
        () = asked => {
            let hint = "what was stored until then is kept; the same command goes on";
            Err(Problem::new(Kind::Interrupted, "interrupted", hint).into())
        }
    }
}
