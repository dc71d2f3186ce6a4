//! Programs as a linker leaves them: static 32-bit little-endian RISC-V ELF files.

use object::{
    LittleEndian, elf,
    read::elf::{FileHeader, ProgramHeader},
};

use crate::memory::{Bus, BusFault};

/// Why a file cannot be run.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ElfError {
    /// It is no ELF file of 32 bits, or its headers are not all there.
    #[error("the file is no 32-bit ELF file")]
    Malformed(#[from] object::read::Error),
    /// It was linked for another processor.
    #[error("the file is not for a little-endian RISC-V processor")]
    WrongMachine,
    /// A segment's bytes are not all in the file.
    #[error("the file ends within a segment")]
    Truncated,
    /// It is no finished program at fixed addresses.
    #[error("the file is no statically linked program")]
    NotStatic,
    /// A segment lies where there is no memory.
    #[error("there is no memory at {address:#010x}, where the program wants some")]
    NoMemory {
        /// The first such address.
        address: u32,
    },
}

/// A program that was read from an ELF file and is not in memory yet.
#[derive(Clone, Debug)]
pub struct Program<'a> {
    entry: u32,
    segments: Vec<Segment<'a>>,
}

/// Part of memory that is filled before the program starts.
#[derive(Clone, Copy, Debug)]
struct Segment<'a> {
    address: u32,
    bytes: &'a [u8],
    /// Zeroes after the bytes.
    zeroes: u32,
}

impl<'a> Program<'a> {
    /// Reads a program.
    ///
    /// # Errors
    /// When the file is none, or none for this processor. What it names beyond segments is not looked at.
    pub fn parse(file: &'a [u8]) -> Result<Self, ElfError> {
        let endian = LittleEndian;
        let header = elf::FileHeader32::<LittleEndian>::parse(file)?;
        if !header.is_little_endian() || header.e_machine(endian) != elf::EM_RISCV {
            return Err(ElfError::WrongMachine);
        }
        let headers = header.program_headers(endian, file)?;
        let dynamic = |header: &elf::ProgramHeader32<_>| {
            matches!(header.p_type(endian), elf::PT_DYNAMIC | elf::PT_INTERP)
        };
        if header.e_type(endian) != elf::ET_EXEC || headers.iter().any(dynamic) {
            return Err(ElfError::NotStatic);
        }
        let mut segments = Vec::new();
        for header in headers {
            if header.p_type(endian) != elf::PT_LOAD {
                continue;
            }
            let bytes = header
                .data(endian, file)
                .map_err(|()| ElfError::Truncated)?;
            segments.push(Segment {
                address: header.p_vaddr(endian),
                bytes,
                zeroes: header.p_memsz(endian).saturating_sub(bytes.len() as u32),
            });
        }
        Ok(Self {
            entry: header.e_entry(endian),
            segments,
        })
    }

    /// Returns the address of the first instruction.
    #[must_use]
    pub fn entry(&self) -> u32 {
        self.entry
    }

    /// Writes the program into memory, at its virtual addresses.
    ///
    /// # Errors
    /// Where there is no memory; what comes before it has been written.
    pub fn load(&self, bus: &mut impl Bus) -> Result<(), ElfError> {
        for segment in &self.segments {
            let zeroes = (0..segment.zeroes).map(|_| 0);
            let mut address = segment.address;
            for byte in segment.bytes.iter().copied().chain(zeroes) {
                bus.store8(address, byte)
                    .map_err(|BusFault| ElfError::NoMemory { address })?;
                address = address.wrapping_add(1);
            }
        }
        Ok(())
    }
}
