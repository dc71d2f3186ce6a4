//! The flash store's claims, small: what `./x report flash` measures at length.

use e2e::flash::{
    codec,
    endurance::{self, Scale},
    figures,
    life::{Life, Plan, READINGS_A_DAY},
    metered, ofmon, profile, rivals,
    served::Served,
};
use protocol::ChannelReading;

const ROWS: usize = 2_000;

#[test]
fn packed_rows_come_back_and_take_less_than_any_rival() {
    let rows = profile::synthetic(7, ROWS);
    let files = codec::pack(&rows, usize::MAX).unwrap();
    assert_eq!((files.rows(), files.differ), (ROWS, 0));
    let per_reading = files.bytes_per_reading();
    println!("{per_reading:.3} bytes a reading");
    let of = |bytes: usize| bytes as f64 / ROWS as f64;
    let (zstd_bytes, layout) = rivals::zstd_bytes(&rows, &files.readings).unwrap();
    println!("zstd {:.3}: {layout}", of(zstd_bytes));
    let gorilla = of(rivals::gorilla_bytes(&rows, &files.readings));
    let varint = of(rivals::varint_bytes(&rows));
    println!("gorilla {gorilla:.3}, varint {varint:.3}");
    assert!(per_reading < of(zstd_bytes));
    assert!(per_reading < varint && varint < gorilla && gorilla < 8.0);
}

#[test]
fn frequency_takes_no_more_than_what_it_says() {
    let rows = profile::synthetic(7, ROWS);
    let plain = codec::pack(&rows, usize::MAX).unwrap();
    let with = codec::pack(&profile::with_frequency(&rows, 3), usize::MAX).unwrap();
    assert_eq!(with.differ, 0);
    let more = with.bytes_per_reading() - plain.bytes_per_reading();
    // The course has about 2.1 bits a step: less would be no frequency.
    assert!((0.2..0.4).contains(&more), "{more}");
}

#[test]
fn short_segments_cost_more_and_noise_does_not_hinder_decoding() {
    let rows = profile::synthetic(7, ROWS);
    let short = codec::pack(&rows, 250).unwrap();
    let long = codec::pack(&rows, usize::MAX).unwrap();
    assert_eq!(short.readings, [250; 8]);
    assert!(short.bytes_per_reading() > long.bytes_per_reading());
    let noisy = codec::pack(&profile::with_noise(&rows, 1), usize::MAX).unwrap();
    assert_eq!((noisy.rows(), noisy.differ), (6 * ROWS, 0));
}

/// Each row is a reading of 10 s.
fn rows(sun_w: f64) -> Vec<ChannelReading> {
    let rows = profile::with_sun(&profile::synthetic(7, 2_880), sun_w, 5);
    profile::with_frequency(&rows, 3)
}

#[test]
fn small_store_lives_through_everything_within_its_bounds() {
    let (readings, with_sun) = (rows(0.0), rows(2_500.0));
    let scale = Scale {
        year_days: 9,
        sectors: 96,
    };
    let findings = endurance::run(&readings, &with_sun, scale).unwrap();
    for life in [&findings.two_years, &findings.two_years_20_cuts] {
        assert_eq!(life.energy_error_quanta, 0.0);
        assert_eq!((life.lost_readings, life.forgotten), (0, 0));
        assert!(life.energy_kwh.iter().all(|&kwh| kwh > 1.0), "{life:?}");
        // Minutes come and go: there is room for a few segments of them.
        assert!(life.days[2] > 1.0 && life.days[0] > 1.0, "{life:?}");
        assert_eq!(life.course.len(), 24);
    }
    let minutes = findings.two_years.course.iter().map(|point| point.days[1]);
    assert!(minutes.fold(0.0, f64::max) > 1.0);
    let held: f64 = findings.two_years.days.iter().sum();
    assert!((held - 18.0).abs() < 1e-9, "{held}");
    let cuts = &findings.two_years_20_cuts;
    // A cut is planned 20 times a day, and a few are overtaken by the next.
    assert!((300..=360).contains(&cuts.cuts), "{}", cuts.cuts);
    assert!(findings.filled.days > findings.filled_20_cuts.days);
    assert!(findings.filled_20_cuts.days > findings.filled_3ch.days);
    // Bounds that do not hang on the size of the flash hold here as well.
    let held = [
        "programmed_bytes_per_reading",
        "programming_violations",
        "free_blocks_min",
        "append_ms_p99",
        "mount_ms",
        "two_year_energy_error_quanta",
        "two_year_20_cuts_forgotten_readings",
    ];
    let all = figures::of_store(&findings);
    for key in held {
        let figure = all.iter().find(|figure| figure.key == key).unwrap();
        println!("{key} {}", figure.value);
        assert!(figure.holds(), "{figure:?}");
    }
}

#[test]
fn served_energy_is_that_of_the_readings_that_were_written() {
    let readings = rows(0.0);
    let mut life = Life::new(Plan {
        channels: 3,
        sectors: 96,
        ..Plan::of(&readings)
    })
    .unwrap();
    for _ in 0..2_000 {
        life.step().unwrap();
    }
    let served = Served::by(life.store()).unwrap();
    assert_eq!(served.numbers, [2_000, 0, 0]);
    for (channel, energy) in served.energy.iter().enumerate() {
        let at = |index: usize| readings[(index + channel * readings.len() / 3) % readings.len()];
        let quanta: i64 = (0..2_000)
            .map(|index| i64::from(at(index).energy_quanta))
            .sum();
        assert_eq!(
            energy.import_mj as i64 - energy.export_mj as i64,
            quanta * 10_000
        );
    }
    let mut registers = life.store().registers();
    assert_eq!(served.error_quanta(&registers), 0.0);
    registers[2].export_mj += 20_000;
    assert_eq!(served.error_quanta(&registers), 2.0);
}

#[test]
fn metered_readings_pack_about_as_well_as_made_up_ones() {
    let rows = profile::synthetic(7, 300);
    let readings = metered::readings(&rows, 2, 1);
    let files = codec::pack(&readings, usize::MAX).unwrap();
    assert_eq!((files.rows(), files.differ), (600, 0));
    let per_reading = files.bytes_per_reading();
    println!("{per_reading:.3} bytes a metered reading");
    assert!((1.5..5.5).contains(&per_reading), "{per_reading}");
}

#[test]
fn record_at_a_time_costs_an_erase_each() {
    let outcome = ofmon::run(1, 96).unwrap();
    println!(
        "{:.2} erases, {:.0} bytes programmed, p99 {} ms",
        outcome.erases_per_record,
        outcome.programmed_bytes_per_record,
        outcome.append.percentile_ms(99.0)
    );
    assert!((0.8..1.2).contains(&outcome.erases_per_record));
    assert!((1_500.0..4_500.0).contains(&outcome.programmed_bytes_per_record));
    assert!(outcome.years_to_100k_erases(READINGS_A_DAY as f64) < 20.0);
}
