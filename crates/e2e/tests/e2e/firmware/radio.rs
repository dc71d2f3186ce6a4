//! The shipped image, with its radio: the emulator has none, so it comes as far as the radio's start.

use super::{fresh, seconds};

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn shipped_image_measures_while_its_radio_starts() {
    let mut meter = fresh("OFMON_FIRMWARE_C3_WIFI").unwrap();
    meter.run(seconds(45)).unwrap();
    assert_eq!(
        meter.machine.counters().resets.len(),
        1,
        "{}",
        meter.console()
    );
    let before = meter.content().unwrap();
    assert!(before.readings.len() >= 4, "{}", meter.console());
    assert!(
        before
            .readings
            .values()
            .all(|reading| { reading.channels[0].coverage_permille >= 990 || reading.seq.0 == 0 })
    );
    meter.restart();
    meter.run(seconds(45)).unwrap();
    assert_eq!(
        meter.machine.counters().resets.len(),
        2,
        "{}",
        meter.console()
    );
    let after = meter.content().unwrap();
    assert!(
        before
            .readings
            .iter()
            .all(|(seq, reading)| after.readings.get(seq) == Some(reading))
    );
    assert!(after.readings.len() >= before.readings.len() + 4);
    assert_eq!(after.lost, 0);
}
