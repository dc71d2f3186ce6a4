//! What a store says of itself, for people.

use std::fmt::Write as _;

use super::report::{Contents, StoreReport};
use crate::output::{Column, table};

/// Describes a store.
pub(crate) fn store(store: &StoreReport) -> String {
    let mut text = format!(
        "Meter {}, {}, store {}, at {:#x}, {} kB\n",
        store.device,
        match store.channels {
            1 => "1 channel".to_owned(),
            channels => format!("{channels} channels"),
        },
        store.store_id,
        store.offset_bytes,
        store.bytes / 1024
    );
    if let Some([identity, counters, events, journal, files]) = store.layout_sectors {
        let _ = writeln!(
            text,
            "  sectors: identity {identity}, counters {counters}, events {events}, journal {journal}, files {files}"
        );
    }
    if let Some(reason) = &store.unusable {
        let _ = writeln!(
            text,
            "  No meter starts with it: {reason}. `ofmon flash salvage` gets out what is whole."
        );
    }
    if let Some(contents) = &store.contents {
        text.push_str(&contents_text(contents));
    }
    text
}

fn contents_text(contents: &Contents) -> String {
    let mut text = format!(
        "  boot {}, readings {} to {}, acknowledged up to {}, {} events, settings {}\n",
        contents.boot,
        contents.oldest_seq,
        contents.next_seq,
        contents.acknowledged_seq,
        contents
            .events
            .map_or("no readable".to_owned(), |events| events.to_string()),
        contents.settings
    );
    for registers in &contents.registers {
        let _ = writeln!(
            text,
            "  channel {}: {:.3} kWh in, {:.3} kWh out",
            registers.channel,
            registers.energy_import_wh / 1e3,
            registers.energy_export_wh / 1e3
        );
    }
    let _ = writeln!(
        text,
        "  journal {} of {} kB, {} readings in no segment yet",
        contents.journal_used_bytes / 1024,
        contents.journal_bytes / 1024,
        contents.journal_waiting
    );
    match (contents.files_readable, contents.files_free_blocks) {
        (true, Some(free)) => {
            let _ = writeln!(text, "  LittleFS: readable, {free} blocks free");
        }
        (true, None) => text.push_str("  LittleFS: readable in part\n"),
        (false, _) => text.push_str("  LittleFS: damaged; segments were found without it\n"),
    }
    let columns = [
        Column::Text("  segments"),
        Column::Number("count"),
        Column::Number("unreadable"),
        Column::Number("from"),
        Column::Number("to"),
        Column::Number("readings"),
        Column::Number("bytes"),
        Column::Number("bytes a reading"),
    ];
    let rows = contents.tiers.iter().map(|tier| {
        vec![
            format!("  {}", tier.tier),
            tier.segments.to_string(),
            tier.unreadable.to_string(),
            tier.first_seq.to_string(),
            tier.next_seq.to_string(),
            tier.readings.to_string(),
            tier.bytes.to_string(),
            format!("{:.2}", tier.bytes as f64 / tier.readings.max(1) as f64),
        ]
    });
    let _ = writeln!(text, "{}", table(&columns, rows));
    if let Some(number) = contents.contradicts_from_seq {
        let _ = writeln!(text, "  from number {number} on it contradicts itself");
    }
    for lost in &contents.lost {
        let _ = writeln!(
            text,
            "  lost: {} readings from {} on, {:.3} kWh in, {:.3} kWh out",
            lost.count,
            lost.first_seq,
            lost.energy_import_wh / 1e3,
            lost.energy_export_wh / 1e3
        );
    }
    text
}
