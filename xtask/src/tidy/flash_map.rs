//! The rule on where things lie in flash: two files say it, one for the bootloader, one for the meter's code.

use super::workspace::Workspace;

const TABLE: &str = "firmware/partitions.csv";
const MAP: &str = "crates/device/src/flash_map.rs";
/// Partitions, and the constant that begins with where each lies.
const SAME: [(&str, &str, usize); 5] = [
    ("otadata", "OTADATA", 0),
    ("starts", "STARTS", 0),
    ("ota_0", "SLOTS", 0),
    ("ota_1", "SLOTS", 1),
    ("store", "STORE", 0),
];

pub(super) fn agrees(workspace: &Workspace) -> Vec<String> {
    let (Some(table), Some(map)) = (workspace.text(TABLE), workspace.text(MAP)) else {
        return vec![format!("{TABLE} or {MAP} is missing")];
    };
    let mut broken = Vec::new();
    for (partition, constant, index) in SAME {
        let (there, here) = (offset(table, partition), numbers(map, constant));
        if there.is_none() || there.as_ref() != here.get(index) {
            broken.push(format!(
                "{TABLE} has {partition} at {there:?}, {MAP} {constant} = {here:?}"
            ));
        }
    }
    broken
}

/// Returns the fourth field of a partition's line.
fn offset(table: &str, partition: &str) -> Option<u32> {
    let line = table
        .lines()
        .find(|line| line.split(',').next().map(str::trim) == Some(partition))?;
    number(line.split(',').nth(3)?)
}

/// Returns the hexadecimal numbers in a constant's value.
fn numbers(map: &str, constant: &str) -> Vec<u32> {
    let begin = format!("pub const {constant}: ");
    let line = map.lines().find_map(|line| line.strip_prefix(&begin));
    let value = line
        .and_then(|line| line.split_once('='))
        .map(|(_, value)| value);
    let words = value.unwrap_or_default().split(['[', ']', ',', ';']);
    words.filter_map(number).collect()
}

fn number(text: &str) -> Option<u32> {
    let digits = text.trim().strip_prefix("0x")?.replace('_', "");
    u32::from_str_radix(&digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::super::workspace::planted::files;
    use super::*;

    const CSV: &str = "# Name, Type\notadata, data, ota, 0x9000, 0x2000\nstarts, data, 0x40, 0xc000, 0x2000\n\
        ota_0, app, ota_0, 0x10000, 0x100000\nota_1, app, ota_1, 0x110000, 0x100000\nstore, data, 0x41, 0x210000, 0x1f0000\n";
    const RUST: &str = "pub const OTADATA: u32 = 0x9000;\npub const STARTS: u32 = 0xc000;\n\
        pub const SLOTS: [u32; 2] = [0x1_0000, 0x11_0000];\npub const STORE: u32 = 0x21_0000;\n";

    #[test]
    fn table_that_says_another_place_is_found() {
        let with = |csv: &str, rust: &str| agrees(&files(&[(TABLE, csv), (MAP, rust)])).len();
        assert_eq!(with(CSV, RUST), 0);
        assert_eq!(with(&CSV.replace("0x110000", "0x120000"), RUST), 1);
        assert_eq!(with(CSV, &RUST.replace("0xc000", "0xd000")), 1);
        assert_eq!(with("", RUST), 5);
        assert_eq!(agrees(&files(&[(TABLE, CSV)])).len(), 1);
    }
}
