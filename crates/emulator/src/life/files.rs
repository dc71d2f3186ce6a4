//! The files of a chip: its mask ROM, its image and its flash.

use std::{
    io,
    path::{Path, PathBuf},
};

use nor_model::Nor;

use crate::soc::{Rom, RomError};

/// Size of a meter's flash chip.
pub const FLASH_BYTES: usize = 4 << 20;
const FLASH_MB: usize = FLASH_BYTES >> 20;
/// Where an image has its partition table, and how that begins.
const TABLE: usize = 0x8000;
const TABLE_BEGINS: [u8; 2] = [0xaa, 0x50];
/// How a bootloader begins.
const BOOTLOADER_BEGINS: u8 = 0xe9;

/// Why a file is not what a chip needs.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file system does not give it.
    #[error("{0} cannot be read")]
    Unreadable(PathBuf, #[source] io::Error),
    /// It is no mask ROM.
    #[error("{0} is no mask ROM")]
    Rom(PathBuf, #[source] RomError),
    /// An image is longer than the flash.
    #[error("{0} is longer than the flash, {FLASH_MB} MB")]
    TooLong(PathBuf),
    /// An image lacks what a chip starts with.
    #[error(
        "{0} has no bootloader at 0 or no partition table at {TABLE:#x}: it takes the merged image of `./x firmware image`, \
         not an application or an .ofmon file alone"
    )]
    NotWhole(PathBuf),
    /// A flash file cannot be made.
    #[error("{0} cannot be made")]
    Make(PathBuf, #[source] io::Error),
    /// A flash file cannot be used.
    #[error("{0} is no flash of {FLASH_MB} MB, or another program runs it")]
    Open(PathBuf, #[source] io::Error),
}

/// Reads a mask ROM.
///
/// # Errors
/// When the file cannot be read or is none.
pub fn read_rom(path: &Path) -> Result<Rom, FileError> {
    let file = read(path)?;
    Rom::load(&file).map_err(|error| FileError::Rom(path.to_owned(), error))
}

/// Reads an image, as a chip is flashed with it from address 0 on, and fills it up as an erased chip is.
///
/// # Errors
/// When the file cannot be read or is no whole image.
pub fn read_image(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = read(path)?;
    if bytes.len() > FLASH_BYTES {
        return Err(FileError::TooLong(path.to_owned()));
    }
    bytes.resize(FLASH_BYTES, 0xff);
    if bytes[0] != BOOTLOADER_BEGINS || !bytes[TABLE..].starts_with(&TABLE_BEGINS) {
        return Err(FileError::NotWhole(path.to_owned()));
    }
    Ok(bytes)
}

/// Opens the flash that a file keeps; where there is no file, makes it of an image. Each operation is written through.
///
/// # Errors
/// When the file cannot be made or used, or the image is none; an image that is not needed is not looked at.
pub fn open_flash(path: &Path, image: &Path) -> Result<Nor, FileError> {
    if !path.exists() {
        let bytes = read_image(image)?;
        // Whole or not at all: a flash with half an image would be taken for a meter's.
        let made = path.with_extension("new");
        std::fs::write(&made, bytes)
            .and_then(|()| std::fs::rename(&made, path))
            .map_err(|error| FileError::Make(path.to_owned(), error))?;
    }
    Nor::open(path, FLASH_BYTES).map_err(|error| FileError::Open(path.to_owned(), error))
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    std::fs::read(path).map_err(|error| FileError::Unreadable(path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shortest file that passes for an image.
    fn image() -> Vec<u8> {
        let mut bytes = vec![0xff; TABLE + 32];
        bytes[0] = BOOTLOADER_BEGINS;
        bytes[TABLE..TABLE + 2].copy_from_slice(&TABLE_BEGINS);
        bytes
    }

    #[test]
    fn only_a_whole_image_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image.bin");
        std::fs::write(&path, vec![0xff; TABLE + 32]).unwrap();
        let error = read_image(&path).unwrap_err().to_string();
        assert!(error.contains("./x firmware image"), "{error}");
        std::fs::write(&path, image()).unwrap();
        let read = read_image(&path).unwrap();
        assert_eq!(read.len(), FLASH_BYTES);
        assert!(
            read.starts_with(&image()) && read[image().len()..].iter().all(|byte| *byte == 0xff)
        );
        std::fs::write(&path, vec![0; FLASH_BYTES + 1]).unwrap();
        assert!(matches!(read_image(&path), Err(FileError::TooLong(_))));
        assert!(read_image(&directory.path().join("nothing")).is_err());
    }

    #[test]
    fn flash_is_made_once_and_kept() {
        use embedded_storage::nor_flash::NorFlash as _;

        let directory = tempfile::tempdir().unwrap();
        let (flash, path) = (
            directory.path().join("a.nor"),
            directory.path().join("image.bin"),
        );
        std::fs::write(&path, &image()[..100]).unwrap();
        assert!(open_flash(&flash, &path).is_err());
        assert!(!flash.exists(), "a file was made of half an image");
        std::fs::write(&path, image()).unwrap();
        let mut made = open_flash(&flash, &path).unwrap();
        made.write(0x21_0000, &[1, 2, 3, 4]).unwrap();
        assert!(
            matches!(open_flash(&flash, &path), Err(FileError::Open(..))),
            "two programs on one flash"
        );
        drop(made);
        std::fs::remove_file(&path).unwrap();
        let kept = open_flash(&flash, &path).unwrap().bytes();
        assert!(kept.starts_with(&image()));
        assert_eq!(kept[0x21_0000..0x21_0004], [1, 2, 3, 4]);
    }

    #[test]
    fn file_that_is_no_rom_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rom.elf");
        std::fs::write(&path, b"no ELF file").unwrap();
        let error = read_rom(&path).unwrap_err();
        assert!(matches!(error, FileError::Rom(..)), "{error}");
        assert!(error.to_string().contains("rom.elf"));
    }
}
