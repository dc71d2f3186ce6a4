//! The chip's mask ROM, from an ELF file of it.

use object::{
    LittleEndian, elf,
    read::elf::{FileHeader, SectionHeader},
};

/// Bytes of the ROM at `0x4000_0000`.
pub(crate) const BYTES: usize = 0x6_0000;
const CODE_BASE: u32 = 0x4000_0000;
/// The data bus has the last 128 KiB at `0x3ff0_0000`.
pub(crate) const DATA_OFFSET: u32 = 0x4_0000;
pub(crate) const DATA_BASE: u32 = 0x3ff0_0000;
pub(crate) const DATA_BYTES: u32 = BYTES as u32 - DATA_OFFSET;

/// Why a file is no mask ROM.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RomError {
    /// It is no ELF file of 32 bits, or its headers are not all there.
    #[error("the file is no 32-bit ELF file")]
    Malformed(#[from] object::read::Error),
    /// Nothing in it lies where the chip begins.
    #[error("the file has nothing at 0x40000000, where the chip begins")]
    NoStart,
}

/// The mask ROM of an ESP32-C3.
///
/// The file's revision must fit the chip's, which is 1.1.
#[derive(Clone, Debug)]
pub struct Rom {
    pub(crate) bytes: Box<[u8]>,
}

impl Rom {
    /// Reads the ELF file of a mask ROM.
    ///
    /// Such a file has the initial values of variables at the addresses of the variables. In the chip they lie in the ROM,
    /// from where its first instructions copy them by a table of the entries start, end, source and 0. The values are put
    /// where that table has them.
    ///
    /// # Errors
    /// When the file is none.
    pub fn load(file: &[u8]) -> Result<Self, RomError> {
        let endian = LittleEndian;
        let header = elf::FileHeader32::<LittleEndian>::parse(file)?;
        let sections = header.sections(endian, file)?;
        let mut bytes = vec![0; BYTES].into_boxed_slice();
        let mut variables = Vec::new();
        let mut has_start = false;
        for section in sections.iter() {
            if section.sh_type(endian) != elf::SHT_PROGBITS {
                continue;
            }
            let data = section.data(endian, file)?;
            let address = section.sh_addr(endian);
            match offset(address).and_then(|at| bytes.get_mut(at..at + data.len())) {
                Some(place) => {
                    place.copy_from_slice(data);
                    has_start |= address == CODE_BASE && !data.is_empty();
                }
                None if address != 0 && !data.is_empty() => variables.push((address, data)),
                None => {}
            }
        }
        if !has_start {
            return Err(RomError::NoStart);
        }
        for (address, data) in variables {
            if let Some(at) = source(&bytes, address, data.len() as u32) {
                bytes[at..at + data.len()].copy_from_slice(data);
            }
        }
        Ok(Self { bytes })
    }
}

/// Returns where in the ROM an address lies.
fn offset(address: u32) -> Option<usize> {
    let offset = match address.wrapping_sub(DATA_BASE) {
        offset if offset < DATA_BYTES => offset + DATA_OFFSET,
        _ => address.wrapping_sub(CODE_BASE),
    };
    Some(offset as usize).filter(|offset| *offset < BYTES)
}

/// Looks the source of a variable up in the table.
fn source(bytes: &[u8], address: u32, length: u32) -> Option<usize> {
    let words: Vec<u32> = bytes
        .chunks_exact(4)
        .map(|word| {
            word.iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
        })
        .collect();
    let entry = words
        .windows(4)
        .find(|entry| entry[0] == address && entry[1] == address + length && entry[3] == 0)?;
    offset(entry[2]).filter(|at| at + length as usize <= BYTES)
}
