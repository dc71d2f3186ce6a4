//! Results on standard output: a table or sentence for people, one JSON document for programs.

use std::io::{self, BufWriter, StdoutLock, Write};

use anyhow::Result;
use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

/// How results are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// Prints JSON or text.
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Tells whether a program reads along.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// Prints `document` as JSON, or what `text` makes of it.
    pub(crate) fn print<T: Serialize + ?Sized>(
        self,
        document: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<()> {
        if self.json {
            return self.document(document);
        }
        self.text(&text(document))
    }

    /// Prints one JSON document.
    pub(crate) fn document<T: Serialize + ?Sized>(self, document: &T) -> Result<()> {
        let mut to = io::stdout().lock();
        serde_json::to_writer_pretty(&mut to, document).map_err(io::Error::from)?;
        writeln!(to)?;
        Ok(to.flush()?)
    }

    /// Prints lines of text; nothing where a program reads along.
    pub(crate) fn text(self, text: &str) -> Result<()> {
        if self.json {
            return Ok(());
        }
        let mut to = io::stdout().lock();
        writeln!(to, "{}", text.trim_end_matches('\n'))?;
        Ok(to.flush()?)
    }

    /// Returns standard output for something long.
    pub(crate) fn stream(self) -> BufWriter<StdoutLock<'static>> {
        BufWriter::with_capacity(64 * 1024, io::stdout().lock())
    }
}

/// Where the figures of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// Words, from the left.
    Text(&'static str),
    /// Numbers, to the right.
    Number(&'static str),
}

/// Makes a table without lines, so that it can be cut by other programs too.
pub(crate) fn table(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let aligned = |column: &Column, text: String| {
        let side = match column {
            Column::Text(_) => CellAlignment::Left,
            Column::Number(_) => CellAlignment::Right,
        };
        Cell::new(text).set_alignment(side)
    };
    let head = columns.iter().map(|column| match column {
        Column::Text(name) | Column::Number(name) => aligned(column, (*name).to_owned()),
    });
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(head.collect::<Vec<_>>());
    for row in rows {
        let cells = columns
            .iter()
            .zip(row)
            .map(|(column, text)| aligned(column, text));
        table.add_row(cells.collect::<Vec<_>>());
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}
