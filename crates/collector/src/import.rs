//! Files that a meter saved, into the store.
//!
//! A [saved file](protocol::saved) is a visit that someone else made. Its blocks and events go the way that those of a visit
//! go, and a file may be imported again, before or after visits, in any order. Two things differ: the meter is not told
//! that anything was stored, and what is imported late was not received when it was saved. The time of the import is still a
//! bound for the time line, a wide one: nothing is received before it happened.
//!
//! A file is read piece by piece, so its size does not matter to the memory.

use std::io::{self, Read};

use protocol::{
    DeviceId, Seq,
    authentication::Key,
    event::Event,
    frame::FRAME_BYTES_MAX,
    saved::{HEADER_BYTES, Header, Part, Reader, SavedError, Taken},
};

use crate::{
    client::ClientError,
    error::{Error, Kind},
    intake::{self, Arrived, BATCH_BLOCKS, BYTES_MAX, EVENTS_MAX, Row},
    secrets::Secrets,
    store::{History, Store, StoreError},
};

/// Bytes that are read from the file at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Why a file was not imported, or not to its end; what was stored until then is good.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Read(#[source] io::Error),
    /// The token of the meter is not here, so nothing vouches for the file.
    #[error("the file is of meter {0}, whose token is not known here")]
    UnknownMeter(DeviceId),
    /// The file is not what a meter saved.
    #[error(transparent)]
    Saved(#[from] SavedError),
    /// The file ends early.
    #[error("the file is cut: saving or copying it broke off")]
    Cut,
    /// Bytes follow the end.
    #[error("something was added behind the end of the file")]
    Added,
    /// The meter saved what it should not have.
    #[error("what the meter saved is not in order")]
    Content(#[source] ClientError),
}

impl ImportError {
    /// Returns what the error means to the one who asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Read(error) if error.kind() == io::ErrorKind::NotFound => Kind::NotFound,
            Self::Read(_) => Kind::Storage,
            Self::UnknownMeter(_) | Self::Saved(SavedError::NotAuthentic) => Kind::Refused,
            Self::Saved(_) | Self::Added => Kind::Corrupt,
            Self::Cut => Kind::Partial,
            Self::Content(error) => error.kind(),
        }
    }
}

impl From<ClientError> for ImportError {
    fn from(error: ClientError) -> Self {
        Self::Content(error)
    }
}

/// What an import brought; whatever ended it, this is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// What the file says of itself; `None` where it is none, or nothing vouches for it.
    pub header: Option<Header>,
    /// Readings that were not held before.
    pub readings_new: u64,
    /// Blocks of the file.
    pub blocks: u64,
    /// Events of the file.
    pub events: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Blocks that contradict what was held.
    pub conflicts: u64,
    /// First number that is not held.
    pub cursor: Seq,
}

/// Imports a file; `secrets` has the token of its meter, `now_ms` is the time of the import, and `progress` is told the
/// bytes that were read.
///
/// Returns what came, and how it ended.
pub fn import(
    store: &mut Store,
    secrets: &Secrets,
    file: &mut dyn Read,
    now_ms: i64,
    progress: &mut dyn FnMut(u64),
) -> (Imported, Result<(), Error>) {
    let mut source = Source {
        file,
        pending: Vec::new(),
        at: 0,
        bytes: 0,
    };
    let mut imported = Imported::default();
    let ended = begin(&mut source, secrets).and_then(|(header, reader)| {
        imported.header = Some(header);
        let history = History {
            device: header.device,
            store: header.store,
        };
        let cursor = store.cursor(history)?;
        imported.cursor = cursor;
        let mut import = Import {
            store,
            history,
            now_ms,
            // Where nothing is missing before the file, what the meter left out in it is held nowhere.
            is_joined: header.from <= cursor,
            row: Row::new(history, header.from),
            batch: Vec::new(),
            block_bytes: 0,
            next_event: 0,
            imported: &mut imported,
        };
        let read = import.parts(&mut source, reader, progress);
        // What came before a damage is good, and an error of the disk comes first.
        import.keep()?;
        read
    });
    imported.bytes = source.bytes;
    (imported, ended)
}

/// Reads the header and checks that the meter made it.
fn begin(source: &mut Source<'_>, secrets: &Secrets) -> Result<(Header, Reader), Error> {
    source.fill(HEADER_BYTES)?;
    let bytes = source.ahead().first_chunk::<HEADER_BYTES>();
    let bytes = *bytes.ok_or(ImportError::Saved(SavedError::NotSaved))?;
    let header = Header::parse(&bytes).map_err(ImportError::Saved)?;
    let token = secrets
        .token(header.device)
        .ok_or(ImportError::UnknownMeter(header.device))?;
    let key = Key::derive(token.reveal(), header.device);
    let reader = Reader::new(&bytes, key).map_err(ImportError::Saved)?;
    source.pass(HEADER_BYTES);
    Ok((header, reader))
}

struct Import<'a> {
    store: &'a mut Store,
    history: History,
    now_ms: i64,
    is_joined: bool,
    row: Row,
    batch: Vec<Arrived>,
    block_bytes: u64,
    next_event: u64,
    imported: &'a mut Imported,
}

impl Import<'_> {
    /// Takes one part after the other to the end of the file.
    fn parts(
        &mut self,
        source: &mut Source<'_>,
        mut reader: Reader,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        loop {
            let passed = match reader.take(source.ahead()).map_err(ImportError::Saved)? {
                Taken::Needs(count) => {
                    if !source.fill(count)? {
                        return Err(ImportError::Cut.into());
                    }
                    progress(source.bytes);
                    continue;
                }
                Taken::Part { part, length } => {
                    match part {
                        Part::Block(bytes) => self.block(bytes)?,
                        Part::Events(events) => self.events(&events.collect::<Vec<_>>())?,
                        Part::End => {}
                    }
                    length
                }
                Taken::Ended => {
                    let is_end = !source.fill(1)?;
                    return is_end.then_some(()).ok_or(ImportError::Added.into());
                }
            };
            source.pass(passed);
        }
    }

    fn block(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.block_bytes += bytes.len() as u64;
        if self.block_bytes > BYTES_MAX {
            return Err(ImportError::Content(ClientError::Endless).into());
        }
        let in_row = self.row.take(bytes).map_err(ImportError::Content)?;
        self.batch.push(Arrived {
            bytes: bytes.to_vec(),
            nothing_before: in_row.leaves_out && self.is_joined,
        });
        if self.batch.len() >= BATCH_BLOCKS {
            self.keep()?;
        }
        Ok(())
    }

    /// Stores the blocks that wait.
    fn keep(&mut self) -> Result<(), StoreError> {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        let summary = intake::put(self.store, self.history, &batch, self.now_ms)?;
        self.imported.blocks += batch.len() as u64;
        self.imported.readings_new += summary.readings_new;
        self.imported.conflicts += summary.conflicts;
        self.imported.cursor = summary.cursor;
        Ok(())
    }

    fn events(&mut self, events: &[Event]) -> Result<(), Error> {
        // Events tell of boots and losses of readings: those come first.
        self.keep()?;
        let next = intake::behind(events, self.next_event, self.next_event)
            .map_err(ImportError::Content)?;
        if self.imported.events + events.len() as u64 > EVENTS_MAX {
            return Err(ImportError::Content(ClientError::Endless).into());
        }
        // A file has the log from its beginning on.
        self.store.put_events(self.history, events, Some(next))?;
        self.next_event = next;
        self.imported.events += events.len() as u64;
        Ok(())
    }
}

/// A file and what of it waits in memory: less than a frame and a piece.
struct Source<'a> {
    file: &'a mut dyn Read,
    pending: Vec<u8>,
    /// Bytes of `pending` that are done with.
    at: usize,
    /// Bytes that were read.
    bytes: u64,
}

impl Source<'_> {
    fn ahead(&self) -> &[u8] {
        &self.pending[self.at..]
    }

    fn pass(&mut self, count: usize) {
        self.at += count;
    }

    /// Reads until `count` bytes lie ahead; `false` where the file ends before.
    fn fill(&mut self, count: usize) -> Result<bool, ImportError> {
        debug_assert!(count <= FRAME_BYTES_MAX);
        if self.ahead().len() < count {
            self.pending.drain(..self.at);
            self.at = 0;
            let piece = (&mut *self.file).take(PIECE_BYTES as u64);
            let read = { piece }.read_to_end(&mut self.pending);
            self.bytes += read.map_err(ImportError::Read)? as u64;
        }
        Ok(self.ahead().len() >= count)
    }
}
