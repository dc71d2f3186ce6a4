//! Any bytes whatever are a block or an error, and a block gives what it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::block::{Block, CRC, Kind};

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    // Bytes with a right checksum get past the first gate.
    if bytes.len() >= 60 {
        let mut sealed = bytes.to_vec();
        let length = sealed.len();
        sealed[..3].copy_from_slice(b"OB\x01");
        sealed[4..8].copy_from_slice(&(length as u32).to_le_bytes());
        let crc = CRC.checksum(&sealed[..length - 4]);
        sealed[length - 4..].copy_from_slice(&crc.to_le_bytes());
        check(&sealed);
    }
});

fn check(bytes: &[u8]) {
    let Ok(block) = Block::parse(bytes) else {
        return;
    };
    let readings: u64 = block
        .readings()
        .map(|reading| u64::from(reading.span))
        .sum();
    let stated = block.range().end - block.range().start;
    assert_eq!(
        readings,
        if block.kind() == Kind::Readings {
            stated
        } else {
            0
        }
    );
    assert_eq!(block.lost_energy().is_some(), block.kind() == Kind::Lost);
}
