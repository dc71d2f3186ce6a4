//! Readings in order, each once, each with its time.

use std::vec;

use protocol::{DeviceId, Reading, Seq, StoreId};
use rusqlite::{Connection, Transaction};

use super::{
    Store, StoreError,
    cover::{self, HistoryRow, Piece},
    events,
};
use crate::time_line::{ResolvedTime, TimeLine};

/// Which readings of a meter are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// All of all histories.
    All,
    /// Those of one history with numbers `from..to`; of a coarse reading at an end, the part with these numbers.
    Numbers {
        /// The history.
        store: StoreId,
        /// First number.
        from: Seq,
        /// Number behind the last.
        to: Seq,
    },
    /// Those that end behind `from_ms` and not behind `to_ms`, in ms of UTC.
    Time {
        /// Begin.
        from_ms: i64,
        /// End.
        to_ms: i64,
    },
}

/// A reading with the end of its interval in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The history that its number counts in.
    pub store: StoreId,
    /// What was measured.
    pub reading: Reading,
    /// When the interval ended.
    pub time: ResolvedTime,
}

/// One history with what is needed to place its readings.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) row: HistoryRow,
    pub(super) time_line: TimeLine,
    pub(super) pieces: Vec<Piece>,
    /// Numbers that the meter lost and of which nothing is held.
    pub(super) lost: u64,
}

impl Placed {
    /// Loads all histories of a meter, oldest first.
    pub(super) fn load(connection: &Connection, device: DeviceId) -> Result<Vec<Self>, StoreError> {
        let rows = cover::histories(connection, device)?;
        let load = |row: HistoryRow| {
            let cover = cover::cover(connection, row.id)?;
            Ok(Self {
                row,
                time_line: events::time_line(connection, row.id)?,
                pieces: cover.pieces,
                lost: cover.lost,
            })
        };
        rows.into_iter().map(load).collect()
    }

    /// Places a moment; every boot that has a block is known to the time line.
    pub(super) fn resolve(&self, boot: u32, uptime_ms: u64) -> ResolvedTime {
        let resolved = self.time_line.resolve(boot, uptime_ms);
        resolved.unwrap_or(ResolvedTime {
            utc_ms: 0,
            uncertainty_ms: u64::MAX,
            estimated: true,
        })
    }

    /// Returns when a piece begins and ends, in ms of UTC.
    pub(super) fn times_ms(&self, piece: &Piece) -> (i64, i64) {
        let (begin_ms, end_ms) = piece.uptimes_ms();
        let boot = piece.row.boot;
        (
            self.resolve(boot, begin_ms).utc_ms,
            self.resolve(boot, end_ms).utc_ms,
        )
    }

    /// Decodes the readings of a piece.
    pub(super) fn decode(
        &self,
        connection: &Connection,
        piece: &Piece,
    ) -> Result<Vec<Reading>, StoreError> {
        piece.decode(connection, self.row.history)
    }

    /// Keeps the pieces that may hold readings of a span.
    fn narrow(&mut self, span: Span) {
        let mut pieces = std::mem::take(&mut self.pieces);
        match span {
            Span::All => {}
            Span::Numbers { store, from, to } => {
                let meant = store == self.row.history.store;
                pieces.retain(|piece| meant && piece.from < to.0 && piece.to > from.0);
                for piece in &mut pieces {
                    piece.narrow(&(from.0..to.0));
                }
            }
            Span::Time { from_ms, to_ms } => pieces.retain(|piece| {
                let (begin_ms, end_ms) = self.times_ms(piece);
                begin_ms < to_ms && end_ms > from_ms
            }),
        }
        self.pieces = pieces;
    }

    fn resolved(&self, reading: Reading) -> Resolved {
        Resolved {
            store: self.row.history.store,
            time: self.resolve(reading.boot, reading.uptime_ms),
            reading,
        }
    }
}

/// Holds the database at one state for as long as several questions take.
pub(super) fn snapshot(connection: &Connection) -> Result<Option<Transaction<'_>>, StoreError> {
    // Within another question's snapshot there is nothing to do.
    let begin = connection.is_autocommit();
    Ok(begin
        .then(|| connection.unchecked_transaction())
        .transpose()?)
}

/// Yields readings by history and number; made by [`Store::readings`].
#[derive(Debug)]
pub struct Readings<'a> {
    connection: &'a Connection,
    _snapshot: Option<Transaction<'a>>,
    span: Span,
    histories: vec::IntoIter<Placed>,
    current: Option<(Placed, usize)>,
    decoded: vec::IntoIter<Reading>,
}

impl Readings<'_> {
    /// Decodes the next piece; false at the end.
    fn advance(&mut self) -> Result<bool, StoreError> {
        loop {
            if let Some((placed, next)) = &mut self.current
                && let Some(piece) = placed.pieces.get(*next)
            {
                *next += 1;
                self.decoded = placed.decode(self.connection, piece)?.into_iter();
                return Ok(true);
            }
            let Some(mut placed) = self.histories.next() else {
                return Ok(false);
            };
            placed.narrow(self.span);
            self.current = Some((placed, 0));
        }
    }

    fn meant(&self, resolved: &Resolved) -> bool {
        match self.span {
            Span::Time { from_ms, to_ms } => (from_ms + 1..=to_ms).contains(&resolved.time.utc_ms),
            Span::All | Span::Numbers { .. } => true,
        }
    }
}

impl Iterator for Readings<'_> {
    type Item = Result<Resolved, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while let Some(reading) = self.decoded.next() {
                let (placed, _) = self.current.as_ref()?;
                let resolved = placed.resolved(reading);
                if self.meant(&resolved) {
                    return Some(Ok(resolved));
                }
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Store {
    /// Returns readings of a meter: histories from the oldest, within each by number, no number twice. Of a coarse reading
    /// of which finer ones hold a part there is the rest only, with its own end and energy.
    ///
    /// # Errors
    /// When the database fails; a damaged block is an error in its turn, and the iteration can go on behind it.
    pub fn readings(&self, device: DeviceId, span: Span) -> Result<Readings<'_>, StoreError> {
        if let Span::Time { from_ms, to_ms } = span
            && from_ms > to_ms
        {
            return Err(StoreError::BadRequest(
                "the time range ends before it begins",
            ));
        }
        let snapshot = snapshot(&self.connection)?;
        let histories = Placed::load(&self.connection, device)?;
        Ok(Readings {
            connection: &self.connection,
            _snapshot: snapshot,
            span,
            histories: histories.into_iter(),
            current: None,
            decoded: Vec::new().into_iter(),
        })
    }

    /// Returns the newest reading of a meter, `None` where there is none.
    ///
    /// # Errors
    /// When the database fails or the block is damaged.
    pub fn latest(&self, device: DeviceId) -> Result<Option<Resolved>, StoreError> {
        let _snapshot = snapshot(&self.connection)?;
        latest(&self.connection, &Placed::load(&self.connection, device)?)
    }

    /// Returns when the readings of a meter begin and end, in ms of UTC; `None` where there are none.
    ///
    /// # Errors
    /// When the database fails.
    pub fn extent_ms(&self, device: DeviceId) -> Result<Option<(i64, i64)>, StoreError> {
        let _snapshot = snapshot(&self.connection)?;
        let histories = Placed::load(&self.connection, device)?;
        let times = histories.iter().flat_map(|placed| {
            [placed.pieces.first(), placed.pieces.last()]
                .into_iter()
                .flatten()
                .map(|piece| placed.times_ms(piece))
        });
        Ok(times.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1))))
    }
}

/// Returns the reading with the highest number of the newest history that has any.
pub(super) fn latest(
    connection: &Connection,
    histories: &[Placed],
) -> Result<Option<Resolved>, StoreError> {
    let newest = histories
        .iter()
        .rev()
        .find_map(|placed| Some((placed, placed.pieces.last()?)));
    let Some((placed, piece)) = newest else {
        return Ok(None);
    };
    let reading = placed.decode(connection, piece)?.pop();
    Ok(reading.map(|reading| placed.resolved(reading)))
}
