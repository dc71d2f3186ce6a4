//! The SHA accelerator: SHA-224 and SHA-256, a block at a time. What it gets by DMA, and SHA-1, are not there.

use sha2::block_api::compress256;

use super::words::Words;

const MODE: u32 = 0x00;
const START: u32 = 0x10;
const CONTINUE: u32 = 0x14;
const BUSY: u32 = 0x18;
const HASH: u32 = 0x40;
const MESSAGE: u32 = 0x80;

const INITIAL_224: [u32; 8] = [
    0xc105_9ed8,
    0x367c_d507,
    0x3070_dd17,
    0xf70e_5939,
    0xffc0_0b31,
    0x6858_1511,
    0x64f9_8fa7,
    0xbefa_4fa4,
];
const INITIAL_256: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

#[derive(Clone, Debug)]
pub(crate) struct Sha {
    words: Words,
}

impl Sha {
    pub(crate) fn new() -> Self {
        Self {
            words: Words::new(&[(0x2c, 0x2020_0622)]),
        }
    }

    pub(crate) fn read(&self, offset: u32) -> u32 {
        match offset {
            BUSY => 0,
            _ => self.words.get(offset),
        }
    }

    pub(crate) fn write(&mut self, offset: u32, value: u32) {
        match offset {
            START => {
                let is_224 = self.words.get(MODE) & 7 == 1;
                self.compress(if is_224 { INITIAL_224 } else { INITIAL_256 });
            }
            CONTINUE => {
                // The registers hold the state's words as bytes in the order of a digest.
                let state =
                    std::array::from_fn(|word| self.words.get(HASH + 4 * word as u32).swap_bytes());
                self.compress(state);
            }
            _ => self.words.set(offset, value),
        }
    }

    fn compress(&mut self, mut state: [u32; 8]) {
        let mut block = [0; 64];
        for (offset, bytes) in (MESSAGE..).step_by(4).zip(block.chunks_exact_mut(4)) {
            bytes.copy_from_slice(&self.words.get(offset).to_le_bytes());
        }
        compress256(&mut state, &[block]);
        for (offset, word) in (HASH..).step_by(4).zip(state) {
            self.words.set(offset, word.swap_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(mode: u32, blocks: &[[u8; 64]]) -> Vec<u8> {
        let mut sha = Sha::new();
        sha.write(MODE, mode);
        for (index, block) in blocks.iter().enumerate() {
            for (offset, bytes) in (MESSAGE..).step_by(4).zip(block.chunks_exact(4)) {
                sha.write(offset, u32::from_le_bytes(bytes.try_into().unwrap()));
            }
            sha.write(if index == 0 { START } else { CONTINUE }, 1);
        }
        (0..8)
            .flat_map(|word| sha.read(HASH + 4 * word).to_le_bytes())
            .collect()
    }

    /// "abc" and the message of 448 bits of FIPS 180-2, padded by hand.
    #[test]
    fn digests_are_those_of_the_standard() {
        let mut abc = [0; 64];
        abc[..4].copy_from_slice(b"abc\x80");
        abc[63] = 24;
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&digest(2, &[abc])), known);
        let known = "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7";
        assert_eq!(hex(&digest(1, &[abc])[..28]), known);
        let (mut first, mut second) = ([0; 64], [0; 64]);
        first[..57]
            .copy_from_slice(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq\x80");
        second[62..].copy_from_slice(&[1, 0xc0]);
        let known = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
        assert_eq!(hex(&digest(2, &[first, second])), known);
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
