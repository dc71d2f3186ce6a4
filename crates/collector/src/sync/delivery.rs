//! One window: send, count, send again.

use std::{collections::BTreeMap, future::Future};

use tokio::time::sleep;

use crate::thingsboard::{ServerError, keys_of, pack};

use super::{
    engine::Run,
    error::SyncError,
    local::Dated,
    pace::{self, Step},
    state::{self, WindowRow},
};

impl Run<'_> {
    /// Brings a window to the server and makes sure that it is there.
    pub(super) async fn deliver(
        &mut self,
        mut row: WindowRow,
        readings: &Dated,
    ) -> Result<(), SyncError> {
        let expected = expected(readings);
        let mut resends = 0;
        loop {
            self.send(&mut row, readings, resends > 0).await?;
            let lacking = self.lacking(&row, readings, &expected).await?;
            if lacking == 0 {
                break;
            }
            let place = self.place;
            row.sent = 0;
            self.store
                .run(move |store| state::set_sent(&store.connection, place, &row, 0))
                .await?;
            if resends >= self.options.resends_max {
                return Err(SyncError::Unverified { readings: lacking });
            }
            tracing::warn!(
                readings = lacking,
                "the server lost what it acknowledged; sending it again"
            );
            resends += 1;
            self.tally.total += row.numbers(row.frozen.count);
            self.report.readings_resent += row.numbers(row.frozen.count);
        }
        let place = self.place;
        self.store
            .run(move |store| state::set_verified(&mut store.connection, place, &row))
            .await?;
        self.report.readings_verified += row.numbers(row.frozen.count);
        Ok(())
    }

    /// Sends what was not acknowledged yet, in batches as large as the server takes.
    async fn send(
        &mut self,
        row: &mut WindowRow,
        readings: &Dated,
        again: bool,
    ) -> Result<(), SyncError> {
        while row.sent < row.frozen.count {
            let due = row.first + row.numbers(row.sent);
            let from = readings.partition_point(|(_, reading)| reading.seq.0 < due);
            let rest = &readings[from..];
            let batch = &rest[..rest.len().min(self.pace.batch())];
            let Some(packed) = pack(batch) else {
                // What is behind is no longer held here.
                row.sent = row.frozen.count;
                break;
            };
            let count = packed.readings;
            match self.server.upload(self.token.reveal(), &packed).await {
                Ok(()) => {
                    self.pace.accepted();
                    let last = &batch[count - 1].1;
                    row.sent = (last.seq.0 - row.first) / u64::from(row.span) + 1;
                    let (place, noted) = (self.place, *row);
                    self.store
                        .run(move |store| {
                            state::set_sent(&store.connection, place, &noted, noted.sent)
                        })
                        .await?;
                    let numbers = row.numbers(count as u64);
                    if !again {
                        self.report.readings_sent += numbers;
                    }
                    self.advance(numbers);
                }
                Err(error) => match self.pace.failed(&error, count) {
                    Step::GoOn => {}
                    Step::Wait(wait) => {
                        tracing::debug!(%error, readings = count, ?wait, "an upload failed");
                        sleep(wait).await;
                    }
                    Step::GiveUp => return Err(error.into()),
                },
            }
        }
        Ok(())
    }

    /// Counts a window on the server until it is complete or the count stops growing; returns how many readings some key
    /// lacks then.
    async fn lacking(
        &self,
        row: &WindowRow,
        readings: &Dated,
        expected: &BTreeMap<String, u64>,
    ) -> Result<u64, SyncError> {
        let keys: Vec<String> = expected.keys().cloned().collect();
        let mut waits = self.options.settle.iter();
        let mut most = 0;
        loop {
            let counts = self
                .asked(|| self.server.count(&self.server_device, &keys, row.window()))
                .await?;
            let of = |key: &String| counts.get(key).copied().unwrap_or(0);
            let lacking = expected
                .iter()
                .map(|(key, count)| count.saturating_sub(of(key)));
            let mut lacking = lacking.max().unwrap_or(0);
            if lacking == 0 {
                // Others' points in the window would hide a loss from the count.
                let exceeding = expected.iter().filter(|(key, count)| of(key) > **count);
                let exceeding: Vec<&String> = exceeding.map(|(key, _)| key).collect();
                lacking = self.lacking_by_time(row, readings, &exceeding).await?;
            }
            if lacking == 0 {
                return Ok(0);
            }
            let total: u64 = counts.values().sum();
            if total > most {
                most = total;
                waits = self.options.settle.iter();
            }
            match waits.next() {
                Some(wait) => sleep(*wait).await,
                None => return Ok(lacking),
            }
        }
    }

    /// Returns how many readings some of these keys lack, by their timestamps.
    async fn lacking_by_time(
        &self,
        row: &WindowRow,
        readings: &Dated,
        keys: &[&String],
    ) -> Result<u64, SyncError> {
        let mut most = 0;
        for key in keys {
            let stored = self
                .asked(|| {
                    self.server
                        .timestamps(&self.server_device, key, row.window())
                })
                .await?;
            let has_key = |reading| keys_of(reading).any(|own| own == key.as_str());
            let lacking = readings
                .iter()
                .filter(|(ms, reading)| has_key(reading) && stored.binary_search(ms).is_err())
                .count();
            tracing::info!(key = %key, "the server has points in the window that were not sent from here");
            most = most.max(lacking as u64);
        }
        Ok(most)
    }

    /// Deletes what is to be deleted before anything else is sent, and makes sure that it is gone.
    pub(super) async fn delete_due(&mut self) -> Result<(), SyncError> {
        let place = self.place;
        let due = self
            .store
            .run(move |store| state::deletions(&store.connection, place))
            .await?;
        let keys = crate::thingsboard::channel_keys(protocol::limits::CHANNELS_MAX);
        for window in due {
            let mut waits = self.options.settle.iter();
            loop {
                self.asked(|| self.server.delete(&self.server_device, &keys, window))
                    .await?;
                let counts = self
                    .asked(|| self.server.count(&self.server_device, &keys, window))
                    .await?;
                let points: u64 = counts.values().sum();
                if points == 0 {
                    break;
                }
                match waits.next() {
                    Some(wait) => sleep(*wait).await,
                    None => return Err(SyncError::Undeleted { points }),
                }
            }
            self.store
                .run(move |store| state::deleted(&store.connection, place, window))
                .await?;
        }
        Ok(())
    }

    /// Asks the server in the user's name, again after failures that pass.
    async fn asked<T, F>(&self, ask: impl Fn() -> F) -> Result<T, ServerError>
    where
        F: Future<Output = Result<T, ServerError>>,
    {
        let mut failures = 0;
        loop {
            let error = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            failures += 1;
            match self.options.backoff.wait(failures) {
                Some(wait) if pace::is_passing(&error) => {
                    tracing::debug!(%error, ?wait, "a question failed");
                    sleep(wait).await;
                }
                _ => return Err(error),
            }
        }
    }
}

/// Counts the points that each key should have.
fn expected(readings: &Dated) -> BTreeMap<String, u64> {
    let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, reading) in readings {
        for key in keys_of(reading) {
            *expected.entry(key).or_default() += 1;
        }
    }
    let owned = expected
        .into_iter()
        .map(|(key, count)| (key.to_owned(), count));
    owned.collect()
}
