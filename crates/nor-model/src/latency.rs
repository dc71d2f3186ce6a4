//! How long a chip takes.

/// How long each operation of a chip takes.
///
/// The figures are those of the 4 MB SPI NOR chips beside an ESP32-C3: of the Winbond W25Q32JV (data sheet, AC electrical
/// characteristics: tBP1, tBP2, tPP, tSE); those of a GigaDevice GD25Q32E are of the same size. Nothing here is drawn: the
/// same operations always take the same time. A chip needs the typical times while it is new and at room temperature, and
/// nears the maxima as it wears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Time of the first byte of a page program, in ns.
    pub program_first_byte_ns: u64,
    /// Time of each further byte of a page program, in ns.
    pub program_next_byte_ns: u64,
    /// The most that a page program takes, in ns.
    pub program_page_max_ns: u64,
    /// Time of a sector erase, in ns.
    pub erase_sector_ns: u64,
    /// Time of a read without its bytes, in ns: driver, command and address.
    pub read_call_ns: u64,
    /// Time of each byte read, in ns.
    pub read_byte_ns: u64,
}

impl Default for Latency {
    /// Returns the typical times.
    ///
    /// A page program takes 30 µs and 2.5 µs for each further byte, at most 0.7 ms; data sheets give 0.4 ms to 0.7 ms for
    /// a page, and the longest is taken. A sector erase takes 45 ms. Reads are those of two data lines at 40 MHz, 0.1 µs
    /// for a byte; four lines at 80 MHz would take a quarter of it. The 20 µs of each read are an estimate for the driver.
    fn default() -> Self {
        Self {
            program_first_byte_ns: 30_000,
            program_next_byte_ns: 2_500,
            program_page_max_ns: 700_000,
            erase_sector_ns: 45_000_000,
            read_call_ns: 20_000,
            read_byte_ns: 100,
        }
    }
}

impl Latency {
    /// Returns the maxima of the data sheets: 50 µs and 12 µs for each further byte, 3 ms for a page, 400 ms for an erase.
    /// Reads take as long as they do typically: the bus sets their time.
    #[must_use]
    pub fn slow() -> Self {
        Self {
            program_first_byte_ns: 50_000,
            program_next_byte_ns: 12_000,
            program_page_max_ns: 3_000_000,
            erase_sector_ns: 400_000_000,
            ..Self::default()
        }
    }

    /// Returns the time of a page program of 1 to 256 bytes, in ns.
    #[must_use]
    pub fn program_ns(&self, bytes: usize) -> u64 {
        let next = (bytes as u64).saturating_sub(1) * self.program_next_byte_ns;
        (self.program_first_byte_ns + next).min(self.program_page_max_ns)
    }

    /// Returns the time of a read call of so many bytes, in ns.
    #[must_use]
    pub fn read_ns(&self, bytes: usize) -> u64 {
        self.read_call_ns + bytes as u64 * self.read_byte_ns
    }
}
