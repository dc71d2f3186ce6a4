//! Everything that a store still serves, added up as a collector would.

use anyhow::{Result, anyhow, ensure};
use embedded_storage::nor_flash::NorFlash;
use flash_store::FlashStore;
use protocol::{
    Registers, Seq,
    block::{Block, Kind},
    limits::BLOCK_BYTES_MAX,
    reading::Tier,
};

use super::life::{PARAMS, READINGS_A_DAY};

/// What a store serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Energy of all readings, one entry a channel.
    pub energy: Vec<Registers>,
    /// Numbers by tier.
    pub numbers: [u64; 3],
    /// Numbers whose readings are lost.
    pub lost: u64,
    /// Numbers that never had a reading.
    pub never_existed: u64,
}

impl Served {
    /// Reads everything that is there.
    ///
    /// # Errors
    /// What the store says, and where a number is missing or comes twice.
    pub fn by<F: NorFlash>(store: &mut FlashStore<F>) -> Result<Self> {
        let channels = store.registers().len();
        let mut served = Self {
            energy: vec![Registers::default(); channels],
            ..Self::default()
        };
        let mut buffer = [0; BLOCK_BYTES_MAX];
        let mut from = store.oldest();
        while let Some(length) = store
            .read_block(from, &mut buffer)
            .map_err(|error| anyhow!("{from:?} cannot be read: {error:?}"))?
        {
            let block = Block::parse(&buffer[..length])?;
            let range = block.range();
            ensure!(range.contains(&from.0), "{from:?} is not in {range:?}");
            served.take(&block);
            from = Seq(range.end);
        }
        ensure!(from == store.next(), "it ends at {from:?}");
        Ok(served)
    }

    fn take(&mut self, block: &Block<'_>) {
        let range = block.range();
        match block.kind() {
            Kind::Readings => {
                for reading in block.readings() {
                    self.numbers[block.tier() as usize] += u64::from(reading.span);
                    // From what the reading says itself, not from the registers that go with it.
                    let channels = reading.channels.iter().enumerate();
                    for ((index, channel), energy) in channels.zip(&mut self.energy) {
                        let counter = reading
                            .extremes
                            .get(index)
                            .map_or(0, |of| of.counter_quanta);
                        *energy = energy.advanced_both_ways(
                            channel.energy_quanta,
                            counter,
                            PARAMS.quantum_mj(),
                        );
                    }
                }
            }
            Kind::Lost => self.lost += range.end - range.start,
            Kind::NeverExisted => self.never_existed += range.end - range.start,
        }
    }

    /// Returns how long the readings of a tier are, in days.
    #[must_use]
    pub fn days(&self, tier: Tier) -> f64 {
        self.numbers[tier as usize] as f64 / READINGS_A_DAY as f64
    }

    /// Returns the largest difference of import or export to registers, in quanta.
    #[must_use]
    pub fn error_quanta(&self, registers: &[Registers]) -> f64 {
        let differences = self
            .energy
            .iter()
            .zip(registers)
            .flat_map(|(served, register)| {
                [
                    served.import_mj.abs_diff(register.import_mj),
                    served.export_mj.abs_diff(register.export_mj),
                ]
            });
        differences.max().unwrap_or(0) as f64 / PARAMS.quantum_mj() as f64
    }
}
