//! The light and the button.

use e2e::emulated::Emulated;
use protocol::event::What;

use super::{IMAGE, fresh, over_api, seconds, set_up};

const LED: u32 = 10;
const BUTTON: u32 = 9;

/// Counts how often the light goes on in ten seconds.
fn flashes(meter: &mut Emulated) -> usize {
    let mut was_lit = meter.machine.pin(LED) == Some(true);
    let mut flashes = 0;
    for _ in 0..1_000 {
        meter.run(std::time::Duration::from_millis(10)).unwrap();
        let is_lit = meter.machine.pin(LED) == Some(true);
        flashes += usize::from(is_lit && !was_lit);
        was_lit = is_lit;
    }
    flashes
}

/// Holds the button for so many seconds, and lets the meter go on for a while.
fn hold(meter: &mut Emulated, time_s: u64) {
    meter.machine.set_pin(BUTTON, false);
    meter.run(seconds(time_s)).unwrap();
    meter.machine.set_pin(BUTTON, true);
    meter.run(seconds(40)).unwrap();
}

fn info(meter: &mut Emulated) -> protocol::messages::Info {
    meter
        .serve(|served| over_api(&served, async |client, _| Ok(client.info().await?)))
        .unwrap()
}

/// A meter that was set up and has readings.
fn in_use() -> Emulated {
    let mut meter = fresh(IMAGE).unwrap();
    meter.run_until_reachable().unwrap();
    meter.run(seconds(2)).unwrap();
    // Not set up: two flashes each 2 s.
    let flashes_when_new = flashes(&mut meter);
    assert!((9..=11).contains(&flashes_when_new), "{flashes_when_new}");
    meter
        .serve(|served| over_api(&served, async |client, _| set_up(client).await))
        .unwrap();
    meter.run(seconds(30)).unwrap();
    // Measuring: one each 5 s.
    let flashes = flashes(&mut meter);
    assert!((2..=3).contains(&flashes), "{flashes}");
    assert!(meter.content().unwrap().readings.len() >= 4);
    meter
}

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn button_of_ten_seconds_forgets_the_token_and_keeps_the_readings() {
    let mut meter = in_use();
    let before = (info(&mut meter), meter.content().unwrap().readings);
    assert!(before.0.set_up);
    hold(&mut meter, 3);
    assert!(info(&mut meter).set_up, "three seconds are nothing");
    hold(&mut meter, 12);
    let after = info(&mut meter);
    assert!(!after.set_up);
    assert_eq!(after.store, before.0.store);
    let readings = meter.content().unwrap().readings;
    assert!(
        before
            .1
            .iter()
            .all(|(seq, reading)| readings.get(seq) == Some(reading))
    );
    let events = meter.content().unwrap().events;
    assert!(events.contains(&What::SettingsForgotten), "{events:?}");
}

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn button_of_twenty_seconds_makes_a_new_store_and_keeps_the_password() {
    let password = |meter: &Emulated| {
        let told = meter.console().rsplit(" password ").next().unwrap();
        told.split_whitespace().next().unwrap().to_owned()
    };
    let mut meter = in_use();
    let before = (info(&mut meter), password(&meter));
    meter.forget_console();
    hold(&mut meter, 22);
    let after = info(&mut meter);
    assert!(!after.set_up);
    assert_ne!(after.store, before.0.store);
    assert_eq!(after.device, before.0.device);
    assert_eq!(password(&meter), before.1);
    let readings = meter.content().unwrap().readings;
    assert!((1..=6).contains(&readings.len()), "{}", readings.len());
}
