//! The figures of the section, made of what was found.

use flash_store::{FlashStore, Layout};
use nor_model::SECTOR_BYTES;
use protocol::segment::{Models, file::SEGMENT_BYTES_MAX};
use serde_json::json;
use store_trials::shared::Shared;

use super::{
    endurance::{Filled, Findings, Uncollected, Year},
    figure::{Bound, Figure},
    life::{READINGS_A_DAY, SECTORS},
    metered::INTERVAL_S,
    ofmon::{self, RECORD_BYTES},
};
use crate::report::rounded;

/// Bytes of the fields of one channel of a reading as they are: energy and Q of 32 bits, V, I, f, coverage and flags of 16.
const FIELD_BYTES: f64 = 18.0;
/// Records a day of OFMon, which keeps averages of an hour.
const OFMON_RECORDS_A_DAY: f64 = 24.0;
/// A quantum, 10 J.
const QUANTUM_KWH: f64 = 10.0 / 3.6e6;
/// Entry of the index of segments and of event files, in bytes.
const INDEX_ENTRY_BYTES: usize = 16;
const EVENT_FILE_ENTRY_BYTES: usize = 16;
/// One block in so many may hold events.
const BLOCKS_PER_EVENT_FILE: usize = 10;

/// Returns all figures of the simulated years.
#[must_use]
pub fn of_store(findings: &Findings) -> Vec<Figure> {
    [
        wear(findings),
        space(findings),
        time(findings),
        years(findings),
    ]
    .concat()
}

fn wear(findings: &Findings) -> Vec<Figure> {
    use Bound::{AtLeast, AtMost, None};
    let Findings {
        year,
        year_collected,
        year_3ch,
        ..
    } = findings;
    let programmed = |of: &Year| rounded(of.programmed_bytes_per_reading, 2);
    let worst = year
        .programmed_bytes_per_reading
        .max(year_collected.programmed_bytes_per_reading);
    let years = |of: &Year| rounded(of.years_to_100k_erases(), 0);
    vec![
        Figure::new(
            "programmed_bytes_per_reading",
            "bytes programmed for a reading of one channel, everything included: the worse of a year without a collector and one with",
            rounded(worst, 2),
            AtMost(28.0),
        ),
        Figure::new(
            "programmed_bytes_per_reading_uncollected",
            "the same, without a collector",
            programmed(year),
            None,
        ),
        Figure::new(
            "programmed_bytes_per_reading_collected",
            "the same, with a collector that acknowledges every minute",
            programmed(year_collected),
            None,
        ),
        Figure::new(
            "write_amplification",
            "bytes programmed for each of the 18 bytes that a reading's fields have as they are",
            rounded(worst / FIELD_BYTES, 3),
            None,
        ),
        Figure::new(
            "hottest_sector_erases_per_year",
            "erases of the hottest sector in a year, one channel",
            rounded(
                year.hottest_sector_erases
                    .max(year_collected.hottest_sector_erases),
                0,
            ),
            None,
        ),
        Figure::new(
            "years_to_100k_erases",
            "years until the hottest sector has 100,000 erases, one channel",
            rounded(
                year.years_to_100k_erases()
                    .min(year_collected.years_to_100k_erases()),
                0,
            ),
            AtLeast(50.0),
        ),
        Figure::new(
            "years_to_100k_erases_3ch",
            "the same, three channels",
            years(year_3ch),
            AtLeast(35.0),
        ),
        Figure::new(
            "programming_violations",
            "bytes programmed in which a cleared bit would have had to be set",
            json!(year.violations + year_collected.violations + year_3ch.violations),
            AtMost(0.0),
        ),
    ]
}

fn space(findings: &Findings) -> Vec<Figure> {
    use Bound::{AtLeast, None};
    let Findings {
        filled,
        filled_20_cuts,
        filled_3ch,
        two_years,
        two_years_20_cuts,
        ..
    } = findings;
    let days = |of: &Filled| rounded(of.days, 1);
    let free = [filled, filled_20_cuts, filled_3ch].map(|of| of.free_blocks_min);
    let free = free.into_iter().min().unwrap_or(0);
    let free = free
        .min(two_years.free_blocks_min)
        .min(two_years_20_cuts.free_blocks_min);
    vec![
        Figure::new(
            "days_at_10s",
            "days at full resolution in 1,900,544 bytes, one channel, nothing acknowledged",
            days(filled),
            AtLeast(45.0),
        ),
        Figure::new(
            "days_at_10s_20_cuts",
            "the same with 20 power cuts a day",
            days(filled_20_cuts),
            AtLeast(40.0),
        ),
        Figure::new(
            "days_at_10s_3ch",
            "the same, three channels",
            days(filled_3ch),
            None,
        ),
        Figure::new(
            "store_bytes_per_reading",
            "bytes of the whole flash for each reading of one channel it holds",
            rounded(
                (SECTORS * SECTOR_BYTES) as f64 / (filled.days * READINGS_A_DAY as f64),
                3,
            ),
            None,
        ),
        Figure::new(
            "free_blocks_min",
            "fewest free blocks of the file system behind a segment",
            json!(free),
            AtLeast(16.0),
        ),
        Figure::new(
            "ram_bytes",
            "RAM of the store in bytes, by the sizes of its types here, where addresses have 64 bits",
            json!(ram_bytes(SECTORS)),
            None,
        ),
    ]
}

/// Returns the RAM of a store in bytes: itself, what it packs with, and its lists at their longest.
#[must_use]
pub fn ram_bytes(sectors: usize) -> usize {
    let blocks =
        Layout::for_capacity(sectors * SECTOR_BYTES).map_or(0, |layout| layout.file_sectors);
    let blocks = blocks as usize;
    let itself = size_of::<FlashStore<Shared>>() - size_of::<Shared>();
    let workspace = 2 * (SEGMENT_BYTES_MAX + size_of::<Models>());
    let event_files = blocks / BLOCKS_PER_EVENT_FILE;
    itself + workspace + blocks * INDEX_ENTRY_BYTES + event_files * EVENT_FILE_ENTRY_BYTES
}

fn time(findings: &Findings) -> Vec<Figure> {
    use Bound::{AtMost, None};
    let lives = [&findings.two_years, &findings.two_years_20_cuts];
    let most =
        |of: fn(&Uncollected) -> f64| rounded(lives.map(of).into_iter().fold(0.0, f64::max), 2);
    vec![
        Figure::new(
            "append_ms_p99",
            "ms of the 99th of 100 readings, where no sector is erased",
            most(|life| life.append.percentile_ms(99.0)),
            AtMost(2.0),
        ),
        Figure::new(
            "append_ms_max",
            "ms of the slowest reading, erases included",
            most(|life| life.append_erasing.max_ms().max(life.append.max_ms())),
            None,
        ),
        Figure::new(
            "seal_ms_max",
            "ms of the slowest call that writes segments and makes room",
            most(|life| life.maintain.max_ms()),
            None,
        ),
        Figure::new(
            "mount_ms",
            "ms to mount a store that is full of full resolution",
            rounded(
                findings
                    .filled
                    .mount_ms
                    .max(findings.filled_20_cuts.mount_ms),
                1,
            ),
            AtMost(200.0),
        ),
        Figure::new(
            "mount_ms_three_tiers",
            "ms to mount after two years, with three tiers",
            most(|life| life.mount_ms),
            AtMost(200.0),
        ),
    ]
}

fn years(findings: &Findings) -> Vec<Figure> {
    use Bound::{AtMost, None};
    let (quiet, cut) = (&findings.two_years, &findings.two_years_20_cuts);
    let days = |index: usize| rounded(quiet.days[index], 1);
    let loss_window_s = |forgotten: u64| (1.0 + forgotten as f64) * INTERVAL_S;
    vec![
        Figure::new(
            "two_year_energy_error_quanta",
            "two years without a collector: energy of all that is served against the registers, in quanta of 10 J, worst of import and export",
            rounded(quiet.energy_error_quanta, 3),
            AtMost(1.0),
        ),
        Figure::new(
            "two_year_days_full",
            "days held every 10 s after two years",
            days(0),
            None,
        ),
        Figure::new(
            "two_year_days_minute",
            "days held every minute",
            days(1),
            None,
        ),
        Figure::new(
            "two_year_days_quarter",
            "days held every quarter of an hour",
            days(2),
            None,
        ),
        Figure::new(
            "two_year_lost_readings",
            "readings that are in none of them",
            json!(quiet.lost_readings),
            AtMost(0.0),
        ),
        Figure::new(
            "two_year_import_kwh",
            "energy of the two years in kWh: import",
            rounded(quiet.energy_kwh[0], 1),
            None,
        ),
        Figure::new(
            "two_year_export_kwh",
            "export",
            rounded(quiet.energy_kwh[1], 1),
            None,
        ),
        Figure::new(
            "two_year_20_cuts",
            "the same two years with 20 power cuts a day: cuts that hit an operation",
            json!(cut.cuts),
            None,
        ),
        Figure::new(
            "two_year_20_cuts_untimed_kwh",
            "energy in kWh that only the registers before the oldest reading tell, worst of import and export",
            rounded(cut.energy_error_quanta * QUANTUM_KWH, 1),
            None,
        ),
        Figure::new(
            "two_year_20_cuts_lost_readings",
            "readings that were written and are not served",
            json!(cut.lost_readings),
            None,
        ),
        Figure::new(
            "two_year_20_cuts_forgotten_readings",
            "readings that the store had acknowledged and a cut took",
            json!(cut.forgotten),
            AtMost(0.0),
        ),
        Figure::new(
            "loss_window_s",
            "s of readings that a power cut takes: the interval under way, and what was forgotten",
            json!(loss_window_s(cut.forgotten)),
            None,
        ),
    ]
}

/// Returns the figures of OFMon's way.
#[must_use]
pub fn of_ofmon(outcome: &ofmon::Outcome) -> Vec<Figure> {
    let a_day = READINGS_A_DAY as f64;
    let figure = |key, text, value| Figure::new(key, text, value, Bound::None);
    vec![
        figure(
            "ofmon_erases_per_day",
            "OFMon's way, a record every 10 s: erases a day",
            rounded(outcome.erases_per_record * a_day, 0),
        ),
        figure(
            "ofmon_erases_per_day_hourly",
            "a record an hour, as it does it: erases a day",
            rounded(outcome.erases_per_record * OFMON_RECORDS_A_DAY, 1),
        ),
        figure(
            "ofmon_bytes_per_reading",
            "bytes of a record",
            json!(RECORD_BYTES),
        ),
        figure(
            "ofmon_store_bytes_per_reading",
            "bytes of the whole flash for each record it holds once it is full",
            rounded(outcome.bytes_per_record, 1),
        ),
        figure(
            "ofmon_programmed_bytes_per_reading",
            "bytes programmed for a record",
            rounded(outcome.programmed_bytes_per_record, 0),
        ),
        figure(
            "ofmon_years_to_100k_erases",
            "years until the hottest sector has 100,000 erases, a record every 10 s",
            rounded(outcome.years_to_100k_erases(a_day), 1),
        ),
        figure(
            "ofmon_append_ms_p99",
            "ms of the 99th of 100 records",
            rounded(outcome.append.percentile_ms(99.0), 2),
        ),
        figure(
            "ofmon_loss_window_s",
            "s of averages that a power cut takes at a record an hour; at one every 10 s it would be 10",
            json!(86_400.0 / OFMON_RECORDS_A_DAY),
        ),
    ]
}

/// Returns the figures of the power-cut suite.
#[must_use]
pub fn of_cuts(outcome: &store_trials::Outcome) -> Vec<Figure> {
    vec![
        Figure::new(
            "cut_points",
            "power cuts, three kinds at each flash operation of each scenario",
            json!(outcome.points),
            Bound::AtLeast(20_000.0),
        ),
        Figure::new(
            "cut_failures",
            "of them after which anything was missing, changed or used twice",
            json!(outcome.failures.len()),
            Bound::AtMost(0.0),
        ),
    ]
}
