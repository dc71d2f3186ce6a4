//! The chip answers as every meter does, and a collector collects it.

use collector::meters::METERS_FILE;
use e2e::{conformance, emulated, exported::Export, program::Collector};
use serde_json::json;

use super::{IMAGE, TOKEN, fresh, over_api, seconds, set_up};

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn chip_answers_every_request_of_the_set_like_a_simulated_meter() {
    let mut meter = fresh(IMAGE).unwrap();
    meter.run_until_reachable().unwrap();
    let differences = meter
        .serve(|served| conformance::run(&served.url, TOKEN))
        .unwrap();
    assert_eq!(differences, []);
    assert!(conformance::count().unwrap() >= 30);
}

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn collector_collects_the_chip_over_tcp_with_its_energy() {
    let scratch = tempfile::tempdir().unwrap();
    let mut meter = fresh(IMAGE).unwrap();
    meter.run_until_reachable().unwrap();
    let export = meter
        .serve(|served| {
            let air = scratch.path().join("air");
            std::fs::create_dir(&air)?;
            let id: String = emulated::MAC.map(|byte| format!("{byte:02x}")).concat();
            let meters = json!([{
                "id": id,
                "ssid": format!("OFMON-{}", id.to_uppercase()),
                "url": served.url,
                "password": "",
            }]);
            std::fs::write(air.join(METERS_FILE), meters.to_string())?;
            let collector = Collector::new(&scratch.path().join("data"), &air);
            collector.set_up_all()?;
            served.pass(seconds(600))?;
            collector.text(&["collect"])?;
            served.pass(seconds(300))?;
            collector.text(&["collect"])?;
            Export::parse(&collector.text(&["export"])?)
        })
        .unwrap();
    let content = meter.content().unwrap();
    let rows: Vec<_> = export.rows.values().collect();
    assert!(rows.len() >= 89, "{} readings in 900 s", rows.len());
    assert_eq!((export.doubled, content.lost), (0, 0));
    // Requests and flash stop no sample; only the first start, which made the store, was longer than the ring of samples.
    assert!(rows.iter().skip(1).all(|row| row.coverage > 0.999));
    for row in &rows {
        let reading = &content.readings[&row.seq];
        let power_w = reading.active_power_mw(0).unwrap() as f64 / 1e3;
        assert!((row.power_w - power_w).abs() < 0.06, "{row:?} {power_w}");
    }
    // What flowed while the readings were taken; the front end is that of parts at their nominal values.
    let begin = meter.machine.feed().begins().last().copied().unwrap();
    let from = content.readings.values().next().unwrap();
    let last = &content.readings[&rows.last().unwrap().seq];
    let place_us = |uptime_ms: u64| begin.offset_us + uptime_ms * 1_000 - begin.cycle / 160;
    let flowed_wh = super::load()
        .source
        .energy_wh(place_us(from.uptime_ms), place_us(last.uptime_ms));
    let first = &export.rows.values().next().unwrap();
    let counted_wh = rows.last().unwrap().energy_import_wh - first.energy_import_wh;
    let error_percent = (counted_wh / flowed_wh - 1.0) * 100.0;
    println!("{counted_wh:.1} Wh of {flowed_wh:.1} Wh, {error_percent:+.2} %");
    assert!(error_percent.abs() < 3.0);
}

#[test]
#[ignore = "needs the images of `./x test firmware`"]
fn chip_gives_addresses_and_names_and_tells_who_it_is() {
    let mut meter = fresh(IMAGE).unwrap();
    meter.run_until_reachable().unwrap();
    let question = meter.host.ask("captive.example").unwrap();
    meter.run(seconds(5)).unwrap();
    let (answered, _) = meter.host.answer(question);
    let emulator::network::Progress::Answered(addresses) = answered else {
        panic!("{answered:?}");
    };
    assert_eq!(
        addresses
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["192.168.4.1"]
    );
    let info = meter
        .serve(|served| {
            over_api(&served, async |client, _| {
                set_up(client).await?;
                Ok(client.info().await?)
            })
        })
        .unwrap();
    assert_eq!(info.device.0, emulated::MAC);
    assert_eq!(info.chip.as_str(), "esp32c3");
    assert!(info.set_up);
}
