//! The circle of buffers that the DMA fills without help.
//!
//! A descriptor belongs to the DMA or to the program, as its owner bit says. The DMA fills one buffer after the other and
//! gives each away; the program empties it and gives it back. A DMA that comes to a descriptor that is not its own stops:
//! that is an overrun.

use core::sync::atomic::{AtomicU32, Ordering, compiler_fence};

use super::{BUFFERS, WORDS};

const OWNED_BY_DMA: u32 = 1 << 31;
const BYTES_HELD_AT: u32 = 12;
const BYTES_MASK: u32 = 0xfff;
const BUFFER_BYTES: u32 = (WORDS * 4) as u32;

const _: () = assert!(
    BUFFER_BYTES <= BYTES_MASK,
    "a descriptor has 12 bits for the size"
);

/// Buffers and their descriptors. All is atomic, because the DMA writes to it at any time.
#[repr(C, align(4))]
pub struct Ring {
    descriptors: [Descriptor; BUFFERS],
    words: [[AtomicU32; WORDS]; BUFFERS],
}

/// What the DMA reads: state, address of the buffer, address of the next descriptor.
#[repr(C)]
struct Descriptor {
    state: AtomicU32,
    buffer: AtomicU32,
    next: AtomicU32,
}

impl Ring {
    /// Makes an empty ring; it must be a static, for the DMA keeps its addresses.
    pub const fn new() -> Self {
        Self {
            descriptors: [const {
                Descriptor {
                    state: AtomicU32::new(0),
                    buffer: AtomicU32::new(0),
                    next: AtomicU32::new(0),
                }
            }; BUFFERS],
            words: [const { [const { AtomicU32::new(0) }; WORDS] }; BUFFERS],
        }
    }

    /// Gives all buffers to the DMA and returns the address of the first descriptor. The DMA must stand still.
    pub fn give_all(&'static self) -> u32 {
        for (index, descriptor) in self.descriptors.iter().enumerate() {
            let next = &self.descriptors[(index + 1) % BUFFERS];
            let buffer = self.words[index].as_ptr().expose_provenance();
            descriptor.buffer.store(buffer as u32, Ordering::Relaxed);
            let next = core::ptr::from_ref(next).expose_provenance();
            descriptor.next.store(next as u32, Ordering::Relaxed);
            self.give(index);
        }
        compiler_fence(Ordering::SeqCst);
        core::ptr::from_ref(&self.descriptors[0]).expose_provenance() as u32
    }

    /// Gives one buffer to the DMA.
    pub fn give(&self, index: usize) {
        compiler_fence(Ordering::SeqCst);
        self.descriptors[index]
            .state
            .store(OWNED_BY_DMA | BUFFER_BYTES, Ordering::Relaxed);
    }

    /// Returns the words of a buffer that the DMA has given away, `None` while it is the DMA's.
    pub fn filled(&self, index: usize) -> Option<&[AtomicU32]> {
        let state = self.descriptors[index].state.load(Ordering::Relaxed);
        if state & OWNED_BY_DMA != 0 {
            return None;
        }
        compiler_fence(Ordering::SeqCst);
        let bytes = (state >> BYTES_HELD_AT) & BYTES_MASK;
        self.words[index].get(..bytes as usize / 4)
    }
}
