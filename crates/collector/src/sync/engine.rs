//! One meter's steps in their order.
//!
//! 1. Deletions that an earlier run wrote down are done: nothing may be sent before, or they would hit it.
//! 2. Windows that were begun are finished with the timestamps they have.
//! 3. Windows that lie elsewhere by now are given up, and their points deleted.
//! 4. What is missing is sent, oldest first.
//!
//! Only verified windows are given up: the server stores in the order of arrival, so nothing of them is still on its way.

use std::time::Instant;

use protocol::DeviceId;

use crate::{
    secrets::{Secret, Secrets},
    store::{SharedStore, StoreError},
    thingsboard::{Server, ServerDeviceId},
};

use super::{
    DeviceReport, Options, Progress, Report,
    account::{self, keep_session},
    error::SyncError,
    local,
    pace::Pace,
    state::{self, Place},
};

/// Windows of one meter that may fail for reasons of their own before the meter is left.
const TROUBLES_MAX: u32 = 3;

/// How much was done, for the progress.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    pub(super) done: u64,
    pub(super) total: u64,
    begun: Instant,
}

/// The sync of one meter.
pub(super) struct Run<'a> {
    pub(super) store: &'a SharedStore,
    pub(super) server: &'a Server,
    pub(super) options: &'a Options,
    pub(super) place: Place,
    pub(super) server_device: ServerDeviceId,
    pub(super) token: Secret,
    pub(super) pace: Pace,
    pub(super) tally: Tally,
    pub(super) report: &'a mut DeviceReport,
    progress: &'a mut (dyn FnMut(Progress) + Send),
    troubles: u32,
}

/// Brings all readings of some meters to the server; links meters that are not linked yet.
///
/// A meter's failure is in its report and does not keep the others from being synced, unless it is the server's.
///
/// # Errors
/// When the session does not hold or the server cannot be reached at the beginning; nothing was sent then.
///
/// # Cancellation safety
/// May be dropped at any moment; the next sync goes on where this one was.
pub async fn sync(
    store: &SharedStore,
    secrets: &mut Secrets,
    server: &Server,
    devices: &[DeviceId],
    options: &Options,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, SyncError> {
    server.check().await?;
    keep_session(secrets, server)?;
    let mut report = Report::default();
    let mut is_server_usable = true;
    for device in devices {
        let mut own = DeviceReport {
            device: *device,
            readings_sent: 0,
            readings_verified: 0,
            readings_resent: 0,
            readings_left: 0,
            token_waits: false,
            error: None,
        };
        if is_server_usable {
            let done = sync_one(store, secrets, server, options, &mut own, progress).await;
            if let Err(error) = done {
                is_server_usable = !error.concerns_the_server();
                own.error = Some(error);
            }
        } else {
            own.error = Some(SyncError::NotTried);
        }
        own.readings_left = left(store, server, *device).await?;
        report.devices.push(own);
        keep_session(secrets, server)?;
    }
    Ok(report)
}

async fn left(store: &SharedStore, server: &Server, device: DeviceId) -> Result<u64, SyncError> {
    let url = server.address().to_string();
    let counted = store.run(
        move |store| match state::link(&store.connection, &url, device)? {
            Some((place, _)) => local::left(store, place),
            None => match store.device(device) {
                Ok(known) => Ok(known.readings),
                Err(StoreError::UnknownDevice(_)) => Ok(0),
                Err(error) => Err(error),
            },
        },
    );
    Ok(counted.await?)
}

async fn sync_one(
    store: &SharedStore,
    secrets: &mut Secrets,
    server: &Server,
    options: &Options,
    report: &mut DeviceReport,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), SyncError> {
    let device = report.device;
    secrets.token(device).ok_or(SyncError::NoToken(device))?;
    let (place, server_device) = account::linked(store, secrets, server, device).await?;
    let (token, is_waiting) =
        account::current_token(secrets, server, device, &server_device).await?;
    report.token_waits = is_waiting;
    let mut run = Run {
        store,
        server,
        options,
        place,
        server_device,
        token,
        pace: Pace::new(options.backoff, options.batch_readings),
        tally: Tally {
            done: 0,
            total: 0,
            begun: Instant::now(),
        },
        report,
        progress,
        troubles: 0,
    };
    run.steps().await
}

impl Run<'_> {
    async fn steps(&mut self) -> Result<(), SyncError> {
        self.tally.total = self.due().await?;
        self.delete_due().await?;
        self.finish_begun().await?;
        let place = self.place;
        let moved = self
            .store
            .run(move |store| local::give_up_moved(store, place))
            .await?;
        if moved > 0 {
            tracing::info!(
                readings = moved,
                "times improved; sending these readings anew"
            );
            self.tally.total += moved;
            self.report.readings_resent += moved;
            self.delete_due().await?;
        }
        self.send_missing().await
    }

    /// Counts the readings that are to be sent, before anything is.
    async fn due(&self) -> Result<u64, SyncError> {
        let place = self.place;
        let due = self.store.run(move |store| {
            let missing = local::gaps(store, place)?;
            let missing = missing.iter().map(|gap| gap.range.end - gap.range.start);
            let windows = state::windows(&store.connection, place)?;
            let unsent = windows
                .iter()
                .map(|row| row.numbers(row.frozen.count - row.sent));
            Ok::<u64, StoreError>(missing.chain(unsent).sum())
        });
        Ok(due.await?)
    }

    async fn finish_begun(&mut self) -> Result<(), SyncError> {
        let place = self.place;
        let begun = self
            .store
            .run(move |store| {
                let mut windows = state::windows(&store.connection, place)?;
                windows.retain(|row| !row.verified);
                let sources = local::sources(store, place)?;
                let with_source = windows.into_iter().filter_map(|row| {
                    let source = sources.iter().find(|source| source.id == row.history)?;
                    Some((*source, row))
                });
                Ok::<_, StoreError>(with_source.collect::<Vec<_>>())
            })
            .await?;
        for (source, row) in begun {
            let readings = self
                .store
                .run(move |store| local::dated(store, source, &row))
                .await;
            let done = match readings {
                Ok(readings) => self.deliver(row, &readings).await,
                Err(error) => Err(error.into()),
            };
            self.weigh(done)?;
        }
        Ok(())
    }

    async fn send_missing(&mut self) -> Result<(), SyncError> {
        let (place, readings_max) = (self.place, self.options.window_readings);
        let gaps = self
            .store
            .run(move |store| local::gaps(store, place))
            .await?;
        for gap in gaps {
            let mut gap = gap;
            while gap.range.start < gap.range.end {
                let rest = gap.clone();
                let begun = self
                    .store
                    .run(move |store| local::begin(store, place, &rest, readings_max))
                    .await?;
                gap.range.start = begun.next;
                if let Some(trouble) = begun.trouble {
                    self.weigh(Err(trouble))?;
                }
                if let Some((row, readings)) = begun.window {
                    let done = self.deliver(row, &readings).await;
                    self.weigh(done)?;
                }
            }
        }
        Ok(())
    }

    /// Goes on after a failure that concerns one window only, a few times.
    fn weigh(&mut self, done: Result<(), SyncError>) -> Result<(), SyncError> {
        let Err(error) = done else { return Ok(()) };
        self.troubles += 1;
        if !error.spares_the_rest() || self.troubles > TROUBLES_MAX {
            return Err(error);
        }
        tracing::warn!(%error, "some readings could not be synced; going on with the others");
        self.report.error.get_or_insert(error);
        Ok(())
    }

    /// Tells that more readings were acknowledged.
    pub(super) fn advance(&mut self, readings: u64) {
        self.tally.done += readings;
        self.tally.total = self.tally.total.max(self.tally.done);
        let elapsed_s = self.tally.begun.elapsed().as_secs_f64().max(1e-3);
        (self.progress)(Progress {
            device: self.report.device,
            done: self.tally.done,
            total: self.tally.total,
            readings_per_s: self.tally.done as f64 / elapsed_s,
        });
    }
}
