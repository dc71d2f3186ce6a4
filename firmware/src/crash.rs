//! What a panic leaves for the next start.
//!
//! Exceptions and the stack's guards end in a panic too. The record lies in memory that outlives a restart, but not a power
//! cut; the next start logs it as its reason and prints it.

use core::{fmt::Write as _, panic::PanicInfo, sync::atomic::Ordering};

use portable_atomic::AtomicU32;
use protocol::{block::CRC, event::ResetReason};

use crate::uptime_us;

/// "OFMC".
const MAGIC: u32 = u32::from_le_bytes(*b"OFMC");
const TEXT_WORDS: usize = 40;
const TEXT_BYTES: usize = TEXT_WORDS * 4;
/// Magic, uptime in ms, length of the text, text, CRC.
const TEXT_AT: usize = 3;
const CRC_AT: usize = TEXT_AT + TEXT_WORDS;

#[esp_hal::ram(unstable(rtc_fast, persistent))]
static RECORD: [AtomicU32; CRC_AT + 1] = [const { AtomicU32::new(0) }; CRC_AT + 1];
/// A record is being written. It lies here because a stack that overflowed may have changed other memory.
#[esp_hal::ram(unstable(rtc_fast, persistent))]
static PANICKING: AtomicU32 = AtomicU32::new(0);

/// A panic of the run before.
pub struct Crash {
    uptime_ms: u32,
    text: heapless::Vec<u8, TEXT_BYTES>,
}

impl Crash {
    /// Takes the record of the run before, if it left one.
    pub fn take() -> Option<Self> {
        PANICKING.store(0, Ordering::Relaxed);
        let words: [u32; CRC_AT + 1] =
            core::array::from_fn(|index| RECORD[index].swap(0, Ordering::Relaxed));
        let bytes = words[2] as usize;
        if words[0] != MAGIC || words[CRC_AT] != checksum(&words) || bytes > TEXT_BYTES {
            return None;
        }
        let text = words[TEXT_AT..CRC_AT]
            .iter()
            .flat_map(|word| word.to_le_bytes());
        Some(Self {
            uptime_ms: words[1],
            text: text.take(bytes).collect(),
        })
    }

    /// Returns why the meter started.
    pub fn reason(&self) -> ResetReason {
        let text = self.text();
        // The words of esp-hal and of esp-rtos.
        let of_stack = ["tack overflow", "stack guard value", "stack's guard value"];
        if of_stack.iter().any(|words| text.contains(words)) {
            ResetReason::StackOverflow
        } else {
            ResetReason::Panic
        }
    }

    /// Returns the beginning of what the panic said.
    pub fn text(&self) -> &str {
        match core::str::from_utf8(&self.text) {
            Ok(text) => text,
            Err(error) => core::str::from_utf8(&self.text[..error.valid_up_to()]).unwrap_or(""),
        }
    }

    /// Returns the uptime of the panic in ms.
    pub fn uptime_ms(&self) -> u32 {
        self.uptime_ms
    }
}

/// Writes the record and restarts.
#[panic_handler]
fn panicked(info: &PanicInfo<'_>) -> ! {
    // A panic within a panic must not begin again: the record is then what it is.
    if PANICKING.swap(1, Ordering::Relaxed) == 0 {
        record(info);
        esp_println::println!("{info}");
    }
    crate::restart()
}

fn record(info: &PanicInfo<'_>) {
    RECORD[0].store(0, Ordering::Relaxed);
    RECORD[1].store((uptime_us() / 1000) as u32, Ordering::Relaxed);
    let mut text = Text { bytes: 0 };
    // Text that does not fit is cut.
    let _ = write!(text, "{}", info.message());
    if let Some(location) = info.location() {
        let _ = write!(text, " {}:{}", location.file(), location.line());
    }
    RECORD[2].store(text.bytes as u32, Ordering::Relaxed);
    RECORD[0].store(MAGIC, Ordering::Relaxed);
    let words = core::array::from_fn(|index| RECORD[index].load(Ordering::Relaxed));
    RECORD[CRC_AT].store(checksum(&words), Ordering::Relaxed);
}

fn checksum(words: &[u32; CRC_AT + 1]) -> u32 {
    let mut digest = CRC.digest();
    for word in &words[..CRC_AT] {
        digest.update(&word.to_le_bytes());
    }
    digest.finalize()
}

/// Writes into the record itself: there may be little stack left.
struct Text {
    bytes: usize,
}

impl core::fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes() {
            if self.bytes == TEXT_BYTES {
                return Err(core::fmt::Error);
            }
            let (word, shift) = (&RECORD[TEXT_AT + self.bytes / 4], self.bytes % 4 * 8);
            let others = word.load(Ordering::Relaxed) & !(0xff << shift);
            word.store(others | u32::from(byte) << shift, Ordering::Relaxed);
            self.bytes += 1;
        }
        Ok(())
    }
}
