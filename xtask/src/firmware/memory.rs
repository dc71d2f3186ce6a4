//! What a linked program takes of the chip's static RAM.

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection, SectionFlags, elf};

use super::chip::Chip;

/// The section that the linker script lets fill what is left: no data, but room for the stack.
const STACK: &str = ".stack";

/// A program's share of static RAM.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Memory {
    /// Bytes of code, data, zeroed data, heap and what else has a fixed place.
    pub(super) static_bytes: u64,
    /// Bytes of the main stack.
    pub(super) stack_bytes: u64,
}

/// Adds up the sections of a program that lie in static RAM.
///
/// # Errors
/// When `program` is no ELF file, or has nothing there.
pub(super) fn of(program: &[u8], chip: Chip) -> Result<Memory> {
    let file = object::File::parse(program).context("the program is no ELF file")?;
    let mut taken = Vec::new();
    let mut stack_bytes = 0;
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
            continue;
        };
        let Some(begin) = chip.place_in_ram(section.address()) else {
            continue;
        };
        if (sh_flags.0 & elf::SHF_ALLOC.0) == 0 || section.size() == 0 {
            continue;
        }
        if section.name() == Ok(STACK) {
            stack_bytes = section.size();
        } else {
            taken.push((begin, begin + section.size()));
        }
    }
    ensure!(!taken.is_empty(), "nothing of the program lies in RAM");
    Ok(Memory {
        static_bytes: union(taken),
        stack_bytes,
    })
}

/// Returns how many places are in any of the ranges: code in RAM is in two, one for each bus.
fn union(mut ranges: Vec<(u64, u64)>) -> u64 {
    ranges.sort_unstable();
    let (mut sum, mut free_from) = (0, 0);
    for (begin, end) in ranges {
        sum += end.saturating_sub(begin.max(free_from));
        free_from = free_from.max(end);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_sections_share_counts_once() {
        assert_eq!(union(vec![(10, 20), (0, 5)]), 15);
        assert_eq!(union(vec![(0, 20), (5, 10), (15, 30)]), 30);
        assert_eq!(union(vec![]), 0);
    }

    /// Writes the section table of an ELF program of 32 bits: names, flags, addresses and sizes.
    fn program(sections: &[(&str, u32, u32, u32)]) -> Vec<u8> {
        let mut names = vec![0];
        let mut headers = vec![[0; 10]];
        for (name, flags, address, size) in sections {
            let at = names.len() as u32;
            names.extend(name.bytes().chain([0]));
            headers.push([at, 8, *flags, *address, 0, *size, 0, 0, 4, 0]);
        }
        let (names_at, count) = (52, headers.len() as u16 + 1);
        let headers_at = names_at + names.len() as u32;
        headers.push([0, 3, 0, 0, names_at, names.len() as u32, 0, 0, 1, 0]);
        let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        file.extend([2, 0, 243, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        file.extend(headers_at.to_le_bytes());
        file.extend([0, 0, 0, 0, 52, 0, 32, 0, 0, 0, 40, 0]);
        file.extend(count.to_le_bytes());
        file.extend((count - 1).to_le_bytes());
        file.extend(names);
        file.extend(headers.iter().flatten().flat_map(|word| word.to_le_bytes()));
        file
    }

    #[test]
    fn what_has_a_place_in_ram_counts_and_the_stack_stands_apart() {
        const ALLOC: u32 = 2;
        let file = program(&[
            (".rwtext", ALLOC, 0x4038_0000, 0x100),
            // The same bytes, as the data bus sees them.
            (".rwdata_dummy", ALLOC, 0x3fc8_0000, 0x100),
            (".bss", ALLOC, 0x3fc8_0100, 0x40),
            (".stack", ALLOC, 0x3fc8_0140, 0x1000),
            (".text", ALLOC, 0x4200_0020, 0x8000),
            (".rtc_fast.persistent", ALLOC, 0x5000_0000, 0x10),
            (".debug_info", 0, 0x3fc8_8000, 0x10),
        ]);
        let expected = Memory {
            static_bytes: 0x140,
            stack_bytes: 0x1000,
        };
        assert_eq!(of(&file, Chip::Esp32c3).unwrap(), expected);
        assert!(of(&file, Chip::Esp32c6).is_err());
    }

    #[test]
    fn program_of_a_pc_is_refused() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(of(&program, Chip::Esp32c3).is_err());
        assert!(of(b"no ELF", Chip::Esp32c6).is_err());
    }
}
