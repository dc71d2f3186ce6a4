//! A picture of a flash: one character a sector.

use flash_store::salvage::{Content, Damage, StorePlace};
use protocol::reading::Tier;

use super::{dump::Dump, report::Sector};

const COLUMNS: usize = 64;

/// Characters and what they stand for.
const LEGEND: [(char, &str); 13] = [
    ('.', "erased"),
    ('I', "identity"),
    ('C', "counters"),
    ('E', "newest events"),
    ('J', "journal"),
    ('0', "segment at full resolution"),
    ('1', "segment of minutes"),
    ('2', "segment of quarters of an hour"),
    ('x', "segment that another one has replaced"),
    ('e', "older events"),
    ('f', "directories, small files, leftovers"),
    ('-', "no part of a store"),
    ('!', "damaged"),
];

/// Draws the sectors, each line behind the offset of its first one in the file.
pub(crate) fn lines(dump: &Dump, sectors: &[Sector], places: &[StorePlace]) -> Vec<String> {
    let drawn: Vec<char> = sectors
        .iter()
        .map(|sector| character(sector, is_within(places, sector.number)))
        .collect();
    let rows = drawn.chunks(COLUMNS).enumerate();
    rows.map(|(row, characters)| {
        let offset = dump.offset_of((row * COLUMNS) as u32);
        format!("{offset:#09x}  {}", characters.iter().collect::<String>())
    })
    .collect()
}

/// Explains the characters that the lines hold.
pub(crate) fn legend(lines: &[String]) -> String {
    let drawn = |character: char| {
        (lines.iter()).any(|line| {
            line.split("  ")
                .nth(1)
                .is_some_and(|row| row.contains(character))
        })
    };
    let used = LEGEND.iter().filter(|(character, _)| drawn(*character));
    let said: Vec<String> = used
        .map(|(character, meaning)| format!("{character} {meaning}"))
        .collect();
    said.join(", ")
}

fn is_within(places: &[StorePlace], sector: u32) -> bool {
    places
        .iter()
        .any(|place| (place.first_sector..place.first_sector + place.sectors).contains(&sector))
}

fn character(sector: &Sector, is_within: bool) -> char {
    match (sector.damage, sector.content) {
        (Some(Damage::Header | Damage::Readings(_) | Damage::Entries), _) => '!',
        (None, Content::Erased) => '.',
        (None, Content::Identity { .. }) => 'I',
        (None, Content::Counters) => 'C',
        (None, Content::Events) => 'E',
        (None, Content::Journal) => 'J',
        (None, Content::Segment { .. }) if !sector.is_in_force => 'x',
        (None, Content::Segment { tier, .. }) => match tier {
            Tier::Full => '0',
            Tier::Minute => '1',
            Tier::Quarter => '2',
        },
        (None, Content::EventFile) => 'e',
        (None, Content::Other) if is_within => 'f',
        (None, Content::Other) => '-',
    }
}
