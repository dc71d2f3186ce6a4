//! `ofmon import`: takes in what a meter saved as a file.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::Args;
use collector::{
    import::{self, ImportError, Imported},
    secrets::Secrets,
    store::Store,
};
use protocol::{DeviceId, StoreId};
use serde::Serialize;

use crate::{
    context::Context,
    exit::{self, Ending, ErrorBody, Kind},
    output::{Column, Output, table},
    progress::Work,
    stop,
};

const EXAMPLES: &str = "\
Examples:
  ofmon import ofmon-020f6d000001-51840.ofms     what a phone saved at the meter's own page
  ofmon import *.ofms                            several, in any order
  ofmon import *.ofms --json                     what came, for programs

A meter's own page has \"Save readings\": a file of all readings and events that the meter holds. With the
access token that `ofmon setup` put into secrets.json it is checked that the meter made the file and that
nobody changed it; so import it where the meter was set up. What is held already stays and is not counted
twice: a file may be imported again, before or after collecting. Of a file that is cut, what came whole is
kept. The meter is not told: it keeps its readings until `ofmon collect` has been there.";

/// Arguments of `import`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Import {
    /// Files that a meter saved
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// What a file brought.
#[derive(Debug, Serialize)]
struct ImportedView {
    file: PathBuf,
    /// The meter; null where nothing vouches for the file.
    device: Option<DeviceId>,
    /// The history that its numbers count.
    store_id: Option<StoreId>,
    /// First number that was asked for when it was saved.
    from_seq: Option<u64>,
    /// Number behind the last reading of the file, were it whole.
    to_seq: Option<u64>,
    /// Readings that were not here before.
    readings: u64,
    /// Blocks of the file that are here now.
    blocks: u64,
    /// Events of the file that are here now.
    events: u64,
    bytes: u64,
    /// Blocks that contradict what was here; both are kept.
    conflicts: u64,
    /// First number not held yet.
    next_seq: u64,
    /// Why it was not imported to the end; null where it was.
    error: Option<ErrorBody>,
    #[serde(skip)]
    kind: Option<Kind>,
}

impl Import {
    /// Imports and says what came; fails when not all did.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let store = context.store_to_write()?;
        let secrets = Secrets::open(store.directory())?;
        let (now_ms, output) = (context.clock()?.now_ms(), context.output);
        let work = move || import_all(store, &secrets, self.files, now_ms, output);
        let imported = async { Ok(tokio::task::spawn_blocking(work).await?) };
        let views = stop::or_stopped(imported).await?;
        context.output.print(&views, |views| text(views))?;
        let failed: Vec<Kind> = views.iter().filter_map(|view| view.kind).collect();
        let hint = "what came whole is kept";
        let what = "files were not imported to the end";
        exit::conclude(&failed, views.len(), what, hint)
    }
}

fn import_all(
    mut store: Store,
    secrets: &Secrets,
    files: Vec<PathBuf>,
    now_ms: i64,
    output: Output,
) -> Vec<ImportedView> {
    let import = |file: PathBuf| {
        let mut imported = Imported::default();
        let ended = import_one(&mut store, secrets, &file, now_ms, output, &mut imported);
        ImportedView::new(file, &imported, ended)
    };
    files.into_iter().map(import).collect()
}

fn import_one(
    store: &mut Store,
    secrets: &Secrets,
    path: &Path,
    now_ms: i64,
    output: Output,
    imported: &mut Imported,
) -> Result<()> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (bytes, mut file) = opened
        .map_err(ImportError::Read)
        .map_err(collector::Error::from)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut work = Work::begin(output, &name, "kB");
    let mut progress = |done: u64| work.set(done / 1000, bytes.max(done) / 1000);
    let (came, ended) = import::import(store, secrets, &mut file, now_ms, &mut progress);
    *imported = came;
    Ok(ended?)
}

impl ImportedView {
    fn new(file: PathBuf, imported: &Imported, ended: Result<()>) -> Self {
        let ending = ended.err().map(|error| Ending::of(&error));
        let header = imported.header.as_ref();
        Self {
            file,
            device: header.map(|header| header.device),
            store_id: header.map(|header| header.store),
            from_seq: header.map(|header| header.from.0),
            to_seq: header.map(|header| header.next.0),
            readings: imported.readings_new,
            blocks: imported.blocks,
            events: imported.events,
            bytes: imported.bytes,
            conflicts: imported.conflicts,
            next_seq: imported.cursor.0,
            kind: ending.as_ref().map(|ending| ending.kind),
            error: ending.map(|ending| ending.body()),
        }
    }
}

fn text(views: &[ImportedView]) -> String {
    let columns = [
        Column::Text("file"),
        Column::Text("meter"),
        Column::Number("new readings"),
        Column::Number("events"),
        Column::Text("result"),
    ];
    let row = |view: &ImportedView| {
        let result = match &view.error {
            None => "done".to_owned(),
            Some(error) if error.hint.is_empty() => error.message.clone(),
            Some(error) => format!("{} ({})", error.message, error.hint),
        };
        vec![
            view.file.display().to_string(),
            view.device
                .map_or("-".to_owned(), |device| device.to_string()),
            view.readings.to_string(),
            view.events.to_string(),
            result,
        ]
    };
    table(&columns, views.iter().map(row))
}
