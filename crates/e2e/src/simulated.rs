//! A simulated meter in this process.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use protocol::firmware::PublicKey;
use sim::{
    fleet::{self, Load, Options, Progress},
    registry::MeterEntry,
};
use tokio::sync::oneshot;

/// Runs a meter with so much history, made of means, for as long as `work` takes.
///
/// # Errors
/// When the meter cannot run, and those of `work`.
pub async fn with_meter<T>(
    state: &Path,
    history: Duration,
    work: impl AsyncFnOnce(MeterEntry) -> Result<T>,
) -> Result<T> {
    with_keys(state, history, &[], work).await
}

/// Does the same with a meter that believes updates which are signed by some keys, and no others.
///
/// # Errors
/// Those of [`with_meter`].
pub async fn with_keys<T>(
    state: &Path,
    history: Duration,
    keys: &[PublicKey],
    work: impl AsyncFnOnce(MeterEntry) -> Result<T>,
) -> Result<T> {
    let options = Options {
        devices: 1,
        channels: 1,
        state: state.to_owned(),
        load: Load::Recipes,
        history,
        present_s: 0,
        fast_history: true,
        speed: 0.0,
        simulated_clock: false,
        update_keys: keys.to_vec(),
        seed: 7,
    };
    let (ready, entries) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut ready = Some(ready);
    let meter = fleet::run(
        &options,
        async {
            // Stopped or dropped: both end the meter.
            let _ = stopped.await;
        },
        |progress| {
            if let Progress::Ready(entries) = progress
                && let Some(ready) = ready.take()
            {
                let _ = ready.send(entries);
            }
        },
    );
    let work = async move {
        let entries: Vec<MeterEntry> = entries.await.context("the meter did not start")?;
        let entry = entries.into_iter().next().context("there is a meter")?;
        let done = work(entry).await;
        drop(stop);
        done
    };
    let (ended, done) = tokio::join!(meter, work);
    ended?;
    done
}
