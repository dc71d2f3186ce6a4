//! Properties over random true histories, and the plain cases.

use proptest::prelude::*;

use super::*;

const DAY_MS: u64 = 86_400_000;

fn anchor(event: u64, boot: u32, uptime_ms: u64, utc_ms: i64, uncertainty_ms: u32) -> Anchor {
    Anchor {
        event,
        boot,
        uptime_ms,
        utc_ms,
        uncertainty_ms,
    }
}

fn span(boot: u32, last_uptime_ms: u64) -> BootSpan {
    BootSpan {
        boot,
        last_uptime_ms,
        received_offset_ms: None,
    }
}

const T0: i64 = 1_800_000_000_000;

#[test]
fn two_anchors_give_offset_and_drift() {
    let week_ms = 7 * DAY_MS;
    // 20 ppm slow: the week took 12.096 s longer than uptime says.
    let anchors = [
        anchor(0, 1, 0, T0, 10),
        anchor(1, 1, week_ms, T0 + week_ms as i64 + 12_096, 10),
    ];
    let line = TimeLine::new(&[span(1, 2 * week_ms)], &anchors, &[]);
    let at = |uptime_ms| line.resolve(1, uptime_ms).unwrap();
    let middle = at(week_ms / 2);
    assert!((middle.utc_ms - (T0 + week_ms as i64 / 2 + 6_048)).abs() <= 1);
    assert!(!middle.estimated);
    let beyond = at(2 * week_ms);
    assert!((beyond.utc_ms - (T0 + 2 * week_ms as i64 + 24_192)).abs() <= 25);
    assert!(beyond.uncertainty_ms > 30_000, "a week at 50 ppm is 30 s");
    assert!(at(week_ms).uncertainty_ms <= 12);
}

#[test]
fn one_anchor_gives_an_offset_whose_uncertainty_grows_with_drift() {
    let line = TimeLine::new(&[span(1, DAY_MS)], &[anchor(0, 1, 1_000, T0, 2_000)], &[]);
    let near = line.resolve(1, 1_000).unwrap();
    assert_eq!((near.utc_ms, near.estimated), (T0, false));
    assert!((2_000..=2_001).contains(&near.uncertainty_ms));
    let far = line.resolve(1, DAY_MS).unwrap();
    assert_eq!(far.utc_ms, T0 + DAY_MS as i64 - 1_000);
    assert!((6_319..=6_322).contains(&far.uncertainty_ms), "{far:?}");
}

#[test]
fn a_boot_without_anchor_lies_between_its_neighbours() {
    let spans = [span(1, 1_000_000), span(2, 400_000), span(3, 1_000_000)];
    let anchors = [
        anchor(0, 1, 1_000_000, T0, 0),
        anchor(5, 3, 0, T0 + 1_000_000, 0),
    ];
    let line = TimeLine::new(&spans, &anchors, &[]);
    let begin = line.resolve(2, 0).unwrap();
    let end = line.resolve(2, 400_000).unwrap();
    assert!(begin.estimated && end.estimated);
    // 600 s of freedom: it began between 0 and 600 s after the first boot's end.
    assert!((begin.utc_ms - (T0 + 300_000)).abs() <= 20, "{begin:?}");
    assert!((begin.uncertainty_ms as i64 - 300_000).abs() <= 25);
    assert!((end.utc_ms - (T0 + 700_000)).abs() <= 20);
}

#[test]
fn what_came_before_the_first_anchor_is_placed_as_late_as_possible() {
    let spans = [span(1, 500_000), span(2, 1_000_000)];
    let line = TimeLine::new(&spans, &[anchor(0, 2, 0, T0, 0)], &[]);
    let end = line.resolve(1, 500_000).unwrap();
    assert_eq!(end.utc_ms, T0);
    assert!(end.estimated);
    assert!(
        end.uncertainty_ms > 365 * DAY_MS,
        "nothing bounds it from below"
    );
}

#[test]
fn what_is_placed_late_does_not_push_an_anchor_away() {
    let spans = [span(1, 500_000), span(2, 1_000_000)];
    let line = TimeLine::new(&spans, &[anchor(0, 2, 0, T0, 50)], &[]);
    assert_eq!(line.resolve(1, 500_000).unwrap().utc_ms, T0);
    assert_eq!(line.resolve(2, 0).unwrap().utc_ms, T0);
}

#[test]
fn without_any_anchor_the_receipt_places_the_readings() {
    let mut only = span(1, 500_000);
    only.received_offset_ms = Some(T0 - 500_000);
    let line = TimeLine::new(&[only], &[], &[]);
    let end = line.resolve(1, 500_000).unwrap();
    assert!((end.utc_ms - T0).abs() <= 100, "{end:?}");
    assert!(end.estimated);
    assert_eq!(line.resolve(2, 0), None, "of that boot nothing is known");
}

#[test]
fn a_single_lie_among_anchors_is_flagged_and_changes_nothing() {
    let honest = [
        anchor(0, 1, 0, T0, 10),
        anchor(1, 1, DAY_MS, T0 + DAY_MS as i64, 10),
        anchor(3, 1, 2 * DAY_MS, T0 + 2 * DAY_MS as i64, 10),
    ];
    let lie = anchor(2, 1, DAY_MS + 5, T0 + 3 * DAY_MS as i64, 10);
    let spans = [span(1, 3 * DAY_MS)];
    let without = TimeLine::new(&spans, &honest, &[]);
    let with = TimeLine::new(&spans, &[honest[0], honest[1], lie, honest[2]], &[]);
    assert_eq!(with.contradictory(), [lie]);
    for uptime_ms in (0..3 * DAY_MS).step_by(3_600_000) {
        assert_eq!(with.resolve(1, uptime_ms), without.resolve(1, uptime_ms));
    }
}

#[test]
fn of_two_anchors_that_contradict_neither_is_certain() {
    let anchors = [
        anchor(0, 1, 0, T0, 10),
        anchor(1, 1, 1_000, T0 + 50_000, 10),
    ];
    let line = TimeLine::new(&[span(1, 1_000)], &anchors, &[]);
    assert_eq!(line.contradictory().len(), 1);
    let time = line.resolve(1, 1_000).unwrap();
    assert!(time.estimated);
    assert!(
        time.uncertainty_ms >= 48_000,
        "the other may be right: {time:?}"
    );
    let average_ms = T0 + 25_500;
    assert!((time.utc_ms - average_ms).abs() > 20_000, "never averaged");
}

#[test]
fn boots_whose_anchors_break_the_order_are_flagged() {
    let spans = [span(1, DAY_MS), span(2, DAY_MS), span(3, DAY_MS)];
    let day_ms = DAY_MS as i64;
    let anchors = [
        anchor(0, 1, 0, T0, 10),
        anchor(1, 2, 0, T0 + 300 * day_ms, 10),
        anchor(2, 3, 0, T0 + 3 * day_ms, 10),
    ];
    let line = TimeLine::new(&spans, &anchors, &[]);
    assert_eq!(line.contradictory(), [anchors[1]]);
    let second = line.resolve(2, 0).unwrap();
    assert!(second.estimated);
    assert!((T0 + day_ms - 5_000..T0 + 2 * day_ms + 5_000).contains(&second.utc_ms));
}

fn link(boot: u32, uptime_ms: u64, uncertainty_ms: u32) -> Link {
    Link {
        boot,
        uptime_ms,
        uncertainty_ms,
    }
}

#[test]
fn boots_that_continue_each_other_are_one_stretch_of_uptime() {
    let hour_ms = 3_600_000;
    let spans = [span(1, hour_ms), span(2, hour_ms), span(3, hour_ms)];
    let links = [link(2, hour_ms + 2_000, 20), link(3, hour_ms + 3_000, 30)];
    let line = TimeLine::new(&spans, &[anchor(0, 1, 0, T0, 10)], &links);
    let third = line.resolve(3, 1_000).unwrap();
    assert_eq!(third.utc_ms, T0 + 2 * hour_ms as i64 + 6_000);
    assert!(!third.estimated);
    // 10 ms of the anchor, 50 ms of the links, 50 ppm of two hours.
    assert!((420..=424).contains(&third.uncertainty_ms), "{third:?}");
    // The second boot's anchor places the first as well.
    let line = TimeLine::new(&spans, &[anchor(0, 2, 0, T0, 10)], &links);
    let first = line.resolve(1, 2_000).unwrap();
    assert_eq!(
        (first.utc_ms, first.estimated),
        (T0 - hour_ms as i64, false)
    );
}

#[test]
fn link_that_the_anchors_on_both_sides_contradict_is_left_out() {
    let spans = [span(1, 100_000), span(2, 100_000)];
    let day_ms = DAY_MS as i64;
    let anchors = [
        anchor(0, 1, 0, T0, 10),
        anchor(1, 1, 50_000, T0 + 50_000, 10),
        anchor(2, 2, 0, T0 + day_ms, 10),
        anchor(3, 2, 50_000, T0 + day_ms + 50_000, 10),
    ];
    let wrong = link(2, 101_000, 20);
    let line = TimeLine::new(&spans, &anchors, &[wrong]);
    assert_eq!(line.doubted_links(), [wrong]);
    assert_eq!(line.contradictory(), []);
    assert_eq!(
        line.resolve(1, 0),
        TimeLine::new(&spans, &anchors, &[]).resolve(1, 0)
    );
    // One anchor on either side: the link or one of them is wrong, and nothing more is said than that.
    let line = TimeLine::new(&spans, &anchors[1..3], &[wrong]);
    assert_eq!(
        (line.doubted_links(), line.contradictory().len()),
        (&[wrong][..], 1)
    );
    for (boot, uptime_ms, true_ms) in [(1, 0, T0), (2, 0, T0 + day_ms)] {
        let time = line.resolve(boot, uptime_ms).unwrap();
        assert!(time.estimated);
        assert!(
            time.utc_ms.abs_diff(true_ms) <= time.uncertainty_ms,
            "{time:?}"
        );
    }
}

#[test]
fn absurd_facts_do_not_break_anything() {
    let spans = [
        BootSpan {
            boot: u32::MAX,
            last_uptime_ms: 0,
            received_offset_ms: Some(i64::MIN),
        },
        span(0, UPTIME_MS_MAX),
    ];
    let anchors = [
        anchor(0, 0, u64::MAX, i64::MAX, u32::MAX),
        anchor(1, 0, 5, i64::MIN, 0),
        anchor(2, 7, 5, T0, 0),
        anchor(3, 7, 5, T0 + 1, 0),
        anchor(4, 7, 5, T0 - 9_000, 0),
    ];
    let line = TimeLine::new(&spans, &anchors, &[]);
    for boot in [0, 7, u32::MAX] {
        for uptime_ms in [0, 5, UPTIME_MS_MAX, u64::MAX] {
            line.resolve(boot, uptime_ms).unwrap();
        }
    }
    assert!(line.contradictory().iter().any(|anchor| anchor.event == 0));
}

#[test]
fn every_reading_of_a_month_lies_where_its_boots_anchor_puts_it() {
    const ANCHOR_MS: u64 = 26_000_000;
    const UNCERTAINTY_MS: u32 = 2_000;
    let told_ms = |boot: u32| T0 + i64::from(boot) * 60_000_000;
    let spans: Vec<BootSpan> = (0..50).map(|boot| span(boot, 52_000_000)).collect();
    let anchors: Vec<Anchor> = (0..50)
        .map(|boot| anchor(boot.into(), boot, ANCHOR_MS, told_ms(boot), UNCERTAINTY_MS))
        .collect();
    let line = TimeLine::new(&spans, &anchors, &[]);
    for boot in 0..50 {
        for uptime_ms in (1..=5_200).map(|index| index * 10_000) {
            let resolved = line.resolve(boot, uptime_ms).unwrap();
            let expected_ms = told_ms(boot) + uptime_ms as i64 - ANCHOR_MS as i64;
            assert_eq!(resolved.utc_ms, expected_ms, "boot {boot} at {uptime_ms}");
            // 50 ppm, and 2 ms of rounding.
            let drift_ms = uptime_ms.abs_diff(ANCHOR_MS) / 20_000 + 2;
            let most_ms = u64::from(UNCERTAINTY_MS) + drift_ms;
            assert!(
                (u64::from(UNCERTAINTY_MS)..=most_ms).contains(&resolved.uncertainty_ms),
                "boot {boot} at {uptime_ms}: {resolved:?}"
            );
        }
    }
}

/// A history as it truly was: boots with gaps, each with a drift that changes half-way.
#[derive(Clone, Debug)]
struct Truth {
    boots: Vec<TrueBoot>,
    anchors: Vec<Anchor>,
}

#[derive(Clone, Debug)]
struct TrueBoot {
    begin_ms: f64,
    length_ms: u64,
    drifts: [f64; 2],
}

impl TrueBoot {
    fn utc_ms(&self, uptime_ms: u64) -> f64 {
        let half = self.length_ms as f64 / 2.0;
        let (uptime, [early, late]) = (uptime_ms as f64, self.drifts);
        self.begin_ms + uptime + uptime.min(half) * early + (uptime - half).max(0.0) * late
    }

    fn end_ms(&self) -> f64 {
        self.utc_ms(self.length_ms)
    }
}

impl Truth {
    fn spans(&self) -> Vec<BootSpan> {
        let spans = self.boots.iter().enumerate();
        spans
            .map(|(boot, truth)| BootSpan {
                // Received a minute after it ended.
                received_offset_ms: Some(
                    (truth.end_ms() + 60_000.0) as i64 - truth.length_ms as i64,
                ),
                ..span(boot as u32, truth.length_ms)
            })
            .collect()
    }

    /// Yields (boot, uptime, true time) in order.
    fn moments(&self) -> impl Iterator<Item = (u32, u64, f64)> + '_ {
        self.boots.iter().enumerate().flat_map(|(boot, truth)| {
            (0..=20).map(move |step| {
                let uptime_ms = truth.length_ms * step / 20;
                (boot as u32, uptime_ms, truth.utc_ms(uptime_ms))
            })
        })
    }
}

fn truth() -> impl Strategy<Value = Truth> {
    let drift = -50e-6..50e-6f64;
    let boot = (
        0..3_600_000u64,
        20..2_000_000_000u64,
        [drift.clone(), drift],
    );
    let told = (
        any::<prop::sample::Index>(),
        0.0..1.0f64,
        1..5_000u32,
        -1.0..1.0f64,
    );
    let anchors = prop::collection::vec(told, 0..12);
    (prop::collection::vec(boot, 1..6), anchors).prop_map(|(boots, anchors)| {
        let mut at_ms = T0 as f64;
        let mut placed: Vec<TrueBoot> = Vec::new();
        for (gap_ms, length_ms, drifts) in boots {
            at_ms += gap_ms as f64;
            placed.push(TrueBoot {
                begin_ms: at_ms,
                length_ms,
                drifts,
            });
            at_ms = placed[placed.len() - 1].end_ms();
        }
        let anchors = anchors.into_iter().enumerate();
        let anchors = anchors
            .map(|(event, (boot, place, uncertainty_ms, error))| {
                let boot = boot.index(placed.len());
                let uptime_ms = (placed[boot].length_ms as f64 * place) as u64;
                let error_ms = error * f64::from(uncertainty_ms - 1);
                let utc_ms = (placed[boot].utc_ms(uptime_ms) + error_ms).round() as i64;
                anchor(event as u64, boot as u32, uptime_ms, utc_ms, uncertainty_ms)
            })
            .collect();
        Truth {
            boots: placed,
            anchors,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_true_time_lies_within_the_stated_uncertainty(truth in truth()) {
        let line = TimeLine::new(&truth.spans(), &truth.anchors, &[]);
        prop_assert!(line.contradictory().is_empty());
        for (boot, uptime_ms, true_ms) in truth.moments() {
            let time = line.resolve(boot, uptime_ms).unwrap();
            let error_ms = (time.utc_ms as f64 - true_ms).abs();
            prop_assert!(error_ms <= time.uncertainty_ms as f64, "{error_ms} > {time:?}");
        }
    }

    #[test]
    fn order_is_kept_and_gaps_are_never_negative(truth in truth()) {
        let line = TimeLine::new(&truth.spans(), &truth.anchors, &[]);
        let mut before: Option<(u32, u64, i64)> = None;
        for (boot, uptime_ms, _) in truth.moments() {
            let time = line.resolve(boot, uptime_ms).unwrap();
            if let Some((last_boot, last_uptime_ms, last_ms)) = before {
                prop_assert!(time.utc_ms >= last_ms);
                if boot == last_boot && uptime_ms > last_uptime_ms + 1 {
                    prop_assert!(time.utc_ms > last_ms);
                }
            }
            before = Some((boot, uptime_ms, time.utc_ms));
        }
    }

    #[test]
    fn a_time_never_moves_by_more_than_was_stated_when_anchors_arrive(truth in truth(), kept in 0usize..12) {
        let spans = truth.spans();
        let few = TimeLine::new(&spans, &truth.anchors[..kept.min(truth.anchors.len())], &[]);
        let all = TimeLine::new(&spans, &truth.anchors, &[]);
        for (boot, uptime_ms, _) in truth.moments() {
            let (early, late) = (few.resolve(boot, uptime_ms).unwrap(), all.resolve(boot, uptime_ms).unwrap());
            prop_assert!(early.utc_ms.abs_diff(late.utc_ms) <= early.uncertainty_ms, "{early:?} {late:?}");
        }
    }
}
