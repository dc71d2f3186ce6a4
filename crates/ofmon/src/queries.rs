//! What commands and server read from the store, in the form in which they show it.

use std::ops::Range;

use anyhow::Result;
use collector::{
    store::{Device, Period, Resolved, Span, Store},
    sync,
    time_line::TimeLine,
};
use jiff::tz::TimeZone;
use protocol::{
    DeviceId, Registers, StoreId,
    event::{Event, What},
};
use serde::Serialize;

use crate::{
    context,
    exit::{Kind, Problem},
    moment,
    views::{
        device::DeviceView,
        energy::{BarView, EnergyView, Step},
        event::{self, EventView, GapView},
        power::PowerView,
        reading::LatestView,
        row::{self, Place, Row},
    },
};

/// A range of time: readings that end behind its begin and not behind its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeRange(Span);

impl TimeRange {
    /// Makes a range of UTC milliseconds; `None` is open.
    ///
    /// # Errors
    /// A range whose end is not behind its begin is a wrong call.
    pub(crate) fn new(from_ms: Option<i64>, to_ms: Option<i64>) -> Result<Self> {
        if from_ms.is_none() && to_ms.is_none() {
            return Ok(Self(Span::All));
        }
        let (from_ms, to_ms) = (from_ms.unwrap_or(i64::MIN), to_ms.unwrap_or(i64::MAX));
        if from_ms >= to_ms {
            return Err(Problem::usage(
                "the range ends before it begins",
                "--from is the earlier moment",
            )
            .into());
        }
        Ok(Self(Span::Time { from_ms, to_ms }))
    }
}

/// How much there is.
#[derive(Debug, Default, Serialize)]
pub(crate) struct StoreView {
    /// Meters that are known.
    pub(crate) devices: usize,
    /// Readings held.
    pub(crate) readings: u64,
    /// Readings that meters overwrote before anyone collected them.
    pub(crate) lost: u64,
    /// Visits and restarts whose time contradicts what others told.
    pub(crate) clock_conflicts: usize,
    /// Bytes of the database.
    pub(crate) store_bytes: u64,
    /// Address of the ThingsBoard server; null where nobody is logged in.
    pub(crate) server: Option<String>,
    /// User of that server.
    pub(crate) server_user: Option<String>,
}

/// Returns how much there is.
pub(crate) fn overview(store: &Store) -> Result<StoreView> {
    let devices = devices(store)?;
    let account = sync::account(store)?;
    Ok(StoreView {
        server: account.as_ref().map(|account| account.address.to_string()),
        server_user: account.map(|account| account.user),
        devices: devices.len(),
        readings: devices.iter().map(|device| device.readings).sum(),
        lost: devices.iter().map(|device| device.lost).sum(),
        clock_conflicts: devices.iter().map(|device| device.clock_conflicts).sum(),
        store_bytes: store.bytes()?.database_bytes,
    })
}

/// Returns all meters, by id.
pub(crate) fn devices(store: &Store) -> Result<Vec<DeviceView>> {
    let devices = store.devices()?.into_iter();
    devices.map(|device| view(store, device)).collect()
}

/// Returns one meter.
pub(crate) fn device(store: &Store, id: DeviceId) -> Result<DeviceView> {
    view(store, store.device(id)?)
}

/// Returns the ids of all meters.
pub(crate) fn device_ids(store: &Store) -> Result<Vec<DeviceId>> {
    Ok(store
        .devices()?
        .into_iter()
        .map(|device| device.id)
        .collect())
}

/// Finds meters by id or name.
pub(crate) fn find(store: &Store, wanted: &[String]) -> Result<Vec<DeviceId>> {
    let devices = store.devices()?;
    let mut found = Vec::new();
    for text in wanted {
        let id = find_in(&devices, text)?;
        if !found.contains(&id) {
            found.push(id);
        }
    }
    Ok(found)
}

/// Finds one meter by id or name.
pub(crate) fn find_one(store: &Store, wanted: &str) -> Result<DeviceId> {
    find_in(&store.devices()?, wanted)
}

/// Finds a meter by id or name, whose case does not matter.
fn find_in(devices: &[Device], text: &str) -> Result<DeviceId> {
    let id = text.parse().ok();
    let named = |device: &&Device| {
        Some(device.id) == id || device.name.to_lowercase() == text.to_lowercase()
    };
    let mut found = devices.iter().filter(named);
    match (found.next(), found.next()) {
        (Some(device), None) => Ok(device.id),
        (Some(_), Some(_)) => {
            let hint = "name it by its id: `ofmon devices` lists them";
            Err(Problem::usage(format!("several meters are named {text:?}"), hint).into())
        }
        (None, _) => {
            let hint = "`ofmon devices` lists the meters that are";
            Err(Problem::new(Kind::NotFound, format!("no meter {text:?} is known"), hint).into())
        }
    }
}

/// Returns what happened to a meter, as far as it was collected, oldest first.
pub(crate) fn events(store: &Store, id: DeviceId) -> Result<Vec<EventView>> {
    known(store, id)?;
    let mut views = Vec::new();
    for history in store.histories(id)? {
        let line = store.time_line(history)?;
        for event in store.events(history)? {
            let is_contradictory = match event.what {
                What::Anchor { .. } => {
                    let mut flagged = line.contradictory().iter();
                    flagged.any(|anchor| anchor.event == event.number)
                }
                What::Continued { .. } => {
                    let mut doubted = line.doubted_links().iter();
                    doubted.any(|link| link.boot == event.boot)
                }
                _ => false,
            };
            views.push(event_view(history.store, &line, event, is_contradictory));
        }
    }
    Ok(views)
}

fn event_view(store_id: StoreId, line: &TimeLine, event: Event, contradictory: bool) -> EventView {
    let time = line.resolve(event.boot, event.uptime_ms);
    let gap = match event.what {
        What::Started { .. } => line.gap_before(event.boot).map(|gap| {
            let within = (gap.within.from_ms, gap.within.to_ms);
            GapView::new(within, (gap.least_ms, gap.most_ms))
        }),
        _ => None,
    };
    EventView {
        store_id,
        number: event.number,
        boot: event.boot,
        uptime_ms: event.uptime_ms,
        time_utc: time.and_then(|time| moment::rfc3339(time.utc_ms)),
        uncertainty_ms: time.map(|time| time.uncertainty_ms),
        estimated: time.is_none_or(|time| time.estimated),
        text: event::text(&event, gap.as_ref(), contradictory),
        what: event.what,
        contradictory,
        gap,
        utc_ms: time.map(|time| time.utc_ms),
    }
}

/// Returns the newest reading; `None` where there is none.
///
/// # Errors
/// When the meter is not known or the store fails.
pub(crate) fn latest(store: &Store, id: DeviceId) -> Result<Option<LatestView>> {
    let latest = store.device(id)?.latest;
    let view = |resolved: Resolved| {
        Some(LatestView {
            time_ms: resolved.time.utc_ms,
            row: rows_of(id, &resolved).next()?,
        })
    };
    Ok(latest.and_then(view))
}

/// Returns the power of a channel (counted from 1) over time, in about `points` points.
pub(crate) fn power(
    store: &Store,
    id: DeviceId,
    channel: u8,
    range_ms: Range<i64>,
    points: usize,
) -> Result<PowerView> {
    let Some(index) = channel.checked_sub(1) else {
        return Err(Problem::usage("channels are counted from 1", "").into());
    };
    known(store, id)?;
    let series = store.power_series(id, index.into(), (range_ms.start, range_ms.end), points)?;
    let watts = |column: Vec<Option<i64>>| {
        column
            .into_iter()
            .map(|value| value.map(|power_mw| power_mw as f64 / 1e3))
            .collect()
    };
    Ok(PowerView {
        resolution_ms: series.resolution_ms,
        time_ms: series.time_ms,
        power_w: watts(series.mean_mw),
        minimum_w: watts(series.minimum_mw),
        maximum_w: watts(series.maximum_mw),
        estimated: series.estimated,
    })
}

/// Returns the energy of all channels together by hours, days or months of a zone.
pub(crate) fn energy(
    store: &Store,
    id: DeviceId,
    zone: &TimeZone,
    range_ms: Range<i64>,
    step: Step,
) -> Result<EnergyView> {
    let period = match step {
        Step::Hour => Period::Hour,
        Step::Day => Period::Day,
        Step::Month => Period::Month,
    };
    let channels = known(store, id)?;
    let mut bars: Vec<BarView> = Vec::new();
    let mut sums: Vec<Registers> = Vec::new();
    for channel in 0..channels.max(1) {
        let of_channel =
            store.energy_by_period(id, channel, zone, period, (range_ms.start, range_ms.end))?;
        sums.resize(of_channel.len(), Registers::default());
        for (sum, bar) in sums.iter_mut().zip(&of_channel) {
            sum.import_mj = sum.import_mj.saturating_add(bar.import_mj);
            sum.export_mj = sum.export_mj.saturating_add(bar.export_mj);
        }
        bars = of_channel
            .iter()
            .zip(&sums)
            .map(|(bar, sum)| BarView::new(bar, *sum))
            .collect();
    }
    Ok(EnergyView {
        time_zone: context::zone_name(zone),
        bars,
    })
}

/// Calls `each` with every row of a range, oldest first, and returns how many there were.
///
/// # Errors
/// When `each` fails, the meter is not known or the store fails.
pub(crate) fn for_each_row(
    store: &Store,
    id: DeviceId,
    range: TimeRange,
    mut each: impl FnMut(Row) -> Result<()>,
) -> Result<u64> {
    let mut count = 0;
    for resolved in store.readings(id, range.0)? {
        for row in rows_of(id, &resolved?) {
            each(row)?;
            count += 1;
        }
    }
    Ok(count)
}

/// Returns the rows of the last `last` readings of a range, oldest first.
pub(crate) fn last_rows(
    store: &Store,
    id: DeviceId,
    range: TimeRange,
    last: usize,
) -> Result<Vec<Row>> {
    let mut kept = std::collections::VecDeque::with_capacity(last.min(1024) + 1);
    for resolved in store.readings(id, range.0)? {
        kept.push_back(resolved?);
        if kept.len() > last {
            kept.pop_front();
        }
    }
    Ok(kept
        .iter()
        .flat_map(|resolved| rows_of(id, resolved))
        .collect())
}

/// Returns the channels of a meter; 0 where there is no reading yet.
///
/// # Errors
/// When the meter is not known.
fn known(store: &Store, id: DeviceId) -> Result<usize> {
    Ok(store
        .device(id)?
        .latest
        .map_or(0, |latest| latest.reading.channels.len()))
}

fn rows_of(id: DeviceId, resolved: &Resolved) -> impl Iterator<Item = Row> {
    let place = Place {
        utc_ms: resolved.time.utc_ms,
        uncertainty_ms: resolved.time.uncertainty_ms,
        estimated: resolved.time.estimated,
    };
    row::rows(id, &resolved.reading, place)
}

fn view(store: &Store, device: Device) -> Result<DeviceView> {
    let latest = device.latest.as_ref();
    let power_w = |latest: &Resolved| {
        let channels = 0..latest.reading.channels.len();
        let power_mw: i64 = channels
            .filter_map(|channel| latest.reading.active_power_mw(channel))
            .sum();
        power_mw as f64 / 1e3
    };
    let energy_wh = |register: fn(&Registers) -> u64| {
        latest.map(|latest| row::watt_hours(latest.reading.registers.iter().map(register).sum()))
    };
    let mut clock_conflicts = 0;
    for history in store.histories(device.id)? {
        let line = store.time_line(history)?;
        clock_conflicts += line.contradictory().len() + line.doubted_links().len();
    }
    Ok(DeviceView {
        id: device.id,
        store_id: device.store,
        readings: device.readings,
        oldest_seq: device.oldest.map(|seq| seq.0),
        next_seq: device.next.0,
        last_reading_ms: latest.map(|latest| latest.time.utc_ms),
        last_collected_ms: device.last_collected_ms,
        power_w: latest.map(power_w),
        energy_import_wh: energy_wh(|registers| registers.import_mj),
        energy_export_wh: energy_wh(|registers| registers.export_mj),
        conflicts: device.conflicts,
        lost: device.lost,
        clock_conflicts,
        name: device.name,
    })
}

#[cfg(test)]
mod tests {
    use protocol::Seq;

    use super::*;

    fn device(last: u8, name: &str) -> Device {
        Device {
            id: DeviceId([2, 15, 0, 0, 0, last]),
            name: name.to_owned(),
            store: None,
            readings: 0,
            lost: 0,
            oldest: None,
            next: Seq(0),
            latest: None,
            last_collected_ms: None,
            conflicts: 0,
        }
    }

    #[test]
    fn meters_are_found_by_id_or_name_and_never_by_guess() {
        let devices = [
            device(1, "Cellar"),
            device(2, "attic"),
            device(3, "Attic"),
            device(4, ""),
        ];
        let found = |text: &str| find_in(&devices, text);
        assert_eq!(found("cellar").unwrap(), devices[0].id);
        assert_eq!(found("020F00000004").unwrap(), devices[3].id);
        let kind = |text: &str| crate::exit::Ending::of(&found(text).unwrap_err()).kind;
        assert_eq!(kind("ATTIC"), Kind::Usage);
        for text in ["cell", "020f00000009", "garage"] {
            assert_eq!(kind(text), Kind::NotFound, "{text}");
        }
    }

    #[test]
    fn a_range_is_in_order_or_none() {
        assert_eq!(TimeRange::new(None, None).unwrap(), TimeRange(Span::All));
        assert!(TimeRange::new(Some(5), Some(5)).is_err());
        assert!(TimeRange::new(None, Some(5)).is_ok());
    }
}
