//! What was done to a flash.

/// What was done to a flash since it was made or [`reset_counters`](crate::Nor::reset_counters) was called.
///
/// An operation that a cut hits counts like a whole one; one that the flash refuses counts nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Operations: page programs and sector erases.
    pub operations: u64,
    /// Page programs.
    pub programs: u64,
    /// Bytes programmed.
    pub programmed_bytes: u64,
    /// Erases of each sector.
    pub erases: Vec<u32>,
    /// Read calls, of any length.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Time the chip was busy with programs, erases and reads, in ns; [`Latency`](crate::Latency) says how long each
    /// takes.
    pub busy_ns: u64,
    /// Programmed bytes in which a cleared bit would have had to be set; a correct store on sound sectors has none.
    pub violations: u64,
    /// Bytes programmed although they were not erased; a store that programs each byte once has none on sound sectors.
    pub reprogrammed_bytes: u64,
}

impl Counters {
    /// Begins with nothing done to so many sectors.
    pub(crate) fn of(sectors: usize) -> Self {
        Self {
            erases: vec![0; sectors],
            ..Self::default()
        }
    }

    /// Returns the erases of the sector that was erased most often.
    #[must_use]
    pub fn erases_max(&self) -> u32 {
        self.erases.iter().copied().max().unwrap_or(0)
    }
}
