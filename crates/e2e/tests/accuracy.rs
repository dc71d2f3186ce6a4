//! The accuracy bench, small: what `./x report metering` measures at length.

use std::{collections::HashSet, sync::LazyLock};

use e2e::accuracy::{
    bench::{Bench, RATE_HZ},
    compare, document, long,
    rivals::{Duty, Rival},
    rows::{Kind, Row, rows},
    run::run,
    unit::{Model, Transformer},
};

static BENCH: LazyLock<Bench> = LazyLock::new(|| Bench::new(RATE_HZ));

/// Some rows of the table that take a minute each.
fn some(matches: impl Fn(&Row) -> bool, every: usize) -> Vec<Row> {
    let short = |row: &Row| row.seconds() <= 60.0;
    let matching = rows().into_iter().filter(|row| short(row) && matches(row));
    matching.step_by(every).collect()
}

#[test]
fn table_has_at_least_three_hundred_rows_that_all_differ() {
    let rows = rows();
    assert!(rows.len() >= 300, "{}", rows.len());
    let distinct: HashSet<String> = rows.iter().map(|row| format!("{row:?}")).collect();
    assert_eq!(distinct.len(), rows.len());
}

#[test]
fn a_few_rows_of_each_front_end_hold_their_limits() {
    for model in [Model::Reference, Model::Esp32c3] {
        let rows = some(|row| row.model == model, 19);
        assert!(rows.len() >= 10, "{}", rows.len());
        for result in BENCH.apply(&rows) {
            assert!(!result.is_out(), "{result:?}");
        }
    }
}

#[test]
fn meter_whose_scale_is_wrong_by_two_percent_is_out() {
    let mut unit = *BENCH.unit(Model::Esp32c3, Transformer::Ct30);
    unit.calibration.current_na_per_code += unit.calibration.current_na_per_code / 50;
    let outcome = run(&unit, &unit.calibration_signal(), 60.0, &mut []);
    assert!((outcome.error_percent() - 2.0).abs() < 0.1, "{outcome:?}");
}

#[test]
fn calibration_comes_within_a_tenth_of_a_percent_and_a_twentieth_of_a_degree() {
    for transformer in [Transformer::Ct30, Transformer::Ct100] {
        let (gain_percent, phase_degrees) =
            BENCH.unit(Model::Esp32c3, transformer).calibration_errors();
        assert!(gain_percent < 0.1, "{gain_percent}");
        assert!(phase_degrees < 0.05, "{phase_degrees}");
    }
}

#[test]
fn starting_current_registers_and_no_load_does_not() {
    let ends = |row: &Row| matches!(row.kind, Kind::Starting | Kind::NoLoad);
    let at_50_hz = |row: &Row| ends(row) && row.frequency_hz == 50;
    let mut rows: Vec<Row> = rows().into_iter().filter(at_50_hz).collect();
    rows.retain(|row| row.transformer == Transformer::Ct30);
    assert_eq!(rows.len(), 4);
    for result in BENCH.apply(&rows) {
        assert!(!result.is_out(), "{result:?}");
    }
    assert_eq!(long::creep_wh(&BENCH, 60.0), 0.0);
}

#[test]
fn noise_is_counted_where_no_threshold_keeps_it_out() {
    let mut unit = *BENCH.unit(Model::Esp32c3, Transformer::Ct100);
    unit.calibration.no_load_mw = 0;
    let mut signal = unit.calibration_signal();
    signal.loads.clear();
    assert!(run(&unit, &signal, 300.0, &mut []).quanta_turnover > 0);
}

#[test]
fn gaps_lose_less_than_a_twentieth_of_a_percent() {
    let error_percent = long::gap_error_percent(&BENCH, 5);
    assert!(error_percent.abs() < 0.05, "{error_percent}");
}

#[test]
fn rivals_measure_a_steady_load_as_they_are_known_to() {
    let unit = BENCH.unit(Model::Reference, Transformer::Ct30);
    let mut rivals = [
        BENCH.emonlib(unit, Duty::Continuous),
        BENCH.emonlib(unit, Duty::usual()),
        Rival::ofmon(unit),
    ];
    let outcome = run(unit, &unit.calibration_signal(), 60.0, &mut rivals);
    let errors = [0, 1, 2].map(|rival| outcome.rival_error_percent(rival));
    // Each is calibrated with this load; one window of ten cycles is off by up to a sample at its edges.
    assert!(errors[0].abs() < 0.1, "{errors:?}");
    assert!(errors[1].abs() < 1.0, "{errors:?}");
    // It counts half of the time.
    assert!((errors[2] + 50.0).abs() < 1.0, "{errors:?}");
}

#[test]
fn export_is_negative_to_us_and_import_to_the_earlier_system() {
    let unit = BENCH.unit(Model::Reference, Transformer::Ct100);
    let mut signal = unit.calibration_signal();
    signal.loads[0].current = signal.loads[0].current.times(-1.0);
    let outcome = run(unit, &signal, 10.0, &mut [Rival::ofmon(unit)]);
    assert!(outcome.true_j < 0.0);
    assert!(outcome.error_percent().abs() < 0.1, "{outcome:?}");
    assert!(outcome.rivals_j[0] > 0.0, "{outcome:?}");
}

#[test]
fn document_and_pictures_are_written_from_findings() {
    let rows = some(|row| row.kind == Kind::Plain, 41);
    let directory = tempfile::tempdir().unwrap();
    let findings = document::Findings {
        rows: BENCH.apply(&rows),
        steady: compare::steady(&BENCH, &[compare::CURRENTS[4], compare::CURRENTS[5]], 1.0),
        varying: Vec::new(),
        creep_wh: 0.0,
        gap_error_percent: 0.001,
    };
    document::write(directory.path(), &findings).unwrap();
    let text = std::fs::read_to_string(directory.path().join("accuracy.md")).unwrap();
    assert!(text.contains("internal targets"));
    let pictures: Vec<&str> = text
        .split("](")
        .skip(1)
        .filter_map(|part| part.split_once(')'))
        .map(|(file, _)| file)
        .collect();
    assert_eq!(pictures.len(), 6, "{pictures:?}");
    for picture in pictures {
        let svg = std::fs::read_to_string(directory.path().join(picture)).unwrap();
        assert!(svg.contains("<polyline"), "{picture}");
    }
}
