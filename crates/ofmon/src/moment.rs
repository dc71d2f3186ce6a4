//! Moments as people write and read them.

use anyhow::Result;
use jiff::{Span, Timestamp, civil, tz::TimeZone};

use crate::exit::Problem;

const HINT: &str = "a date like 2026-11-21, a date and time like 2026-11-21T08:30, a time with its zone like \
                    2026-11-21T08:30:00Z, or how long ago like 24h or 7d";

/// Writes UTC milliseconds as RFC 3339 with milliseconds and `Z`; `None` beyond the year 9999.
pub(crate) fn rfc3339(utc_ms: i64) -> Option<String> {
    let moment = Timestamp::from_millisecond(utc_ms).ok()?;
    Some(format!("{moment:.3}"))
}

/// Writes UTC milliseconds in a zone, to the second.
pub(crate) fn local(utc_ms: i64, zone: &TimeZone) -> String {
    match Timestamp::from_millisecond(utc_ms) {
        Ok(moment) => moment
            .to_zoned(zone.clone())
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string(),
        Err(_) => "-".to_owned(),
    }
}

/// Says how long ago something was.
pub(crate) fn age(then_ms: i64, now_ms: i64) -> String {
    let seconds = now_ms.saturating_sub(then_ms) / 1000;
    match seconds {
        ..0 => "in the future".to_owned(),
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// Returns the local time of UTC milliseconds in seconds since a Monday's midnight; 0 before 1970 and beyond all years.
pub(crate) fn seconds_since_monday(utc_ms: i64, zone: &TimeZone) -> u64 {
    /// The first Monday after 1970 began.
    const MONDAY: civil::DateTime = civil::date(1970, 1, 5).at(0, 0, 0, 0);
    let seconds = Timestamp::from_millisecond(utc_ms)
        .map(|moment| zone.to_datetime(moment).duration_since(MONDAY).as_secs());
    seconds.map_or(0, |seconds| u64::try_from(seconds).unwrap_or(0))
}

/// Reads a moment: with a zone of its own, in `zone`, or as a length of time before `now_ms`.
pub(crate) fn parse(text: &str, zone: &TimeZone, now_ms: i64) -> Result<i64> {
    let text = text.trim();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment.as_millisecond());
    }
    let wrong = |_| Problem::usage(format!("{text:?} is no moment"), HINT);
    if let Ok(local) = text.parse::<civil::DateTime>() {
        // A time that a change of the clock skips or repeats is taken as the one after or the first.
        let moment = local.to_zoned(zone.clone()).map_err(wrong)?;
        return Ok(moment.timestamp().as_millisecond());
    }
    let ago: Span = text.parse().map_err(wrong)?;
    let now = Timestamp::from_millisecond(now_ms)?.to_zoned(zone.clone());
    let then = now.checked_sub(ago.abs()).map_err(wrong)?;
    Ok(then.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T08:00:00Z.
    const NOW_MS: i64 = 1_795_248_000_000;

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    fn parsed(text: &str) -> String {
        rfc3339(parse(text, &berlin(), NOW_MS).unwrap()).unwrap()
    }

    #[test]
    fn moments_are_read_in_all_their_forms() {
        assert_eq!(parsed("2026-11-21T08:30:00Z"), "2026-11-21T08:30:00.000Z");
        assert_eq!(
            parsed("2026-11-21T08:30:00.25+02:00"),
            "2026-11-21T06:30:00.250Z"
        );
        assert_eq!(parsed("2026-11-21"), "2026-11-20T23:00:00.000Z");
        assert_eq!(parsed("2026-07-01T12:00"), "2026-07-01T10:00:00.000Z");
        assert_eq!(parsed("24h"), "2026-11-20T08:00:00.000Z");
        assert_eq!(parsed("90 min"), "2026-11-21T06:30:00.000Z");
    }

    #[test]
    fn a_day_ago_is_the_same_time_of_day_across_a_change_of_the_clock() {
        // 40 days before lies in summer time: one hour nearer to UTC noon.
        assert_eq!(parsed("40d"), "2026-10-12T07:00:00.000Z");
    }

    #[test]
    fn saturday_morning_is_five_days_and_some_hours_after_monday() {
        let seconds = seconds_since_monday(NOW_MS, &berlin());
        assert_eq!(seconds % (7 * 86_400), 5 * 86_400 + 9 * 3_600);
        assert_eq!(seconds_since_monday(0, &berlin()), 0);
        assert_eq!(seconds_since_monday(i64::MAX, &berlin()), 0);
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in ["", "yesterday", "2026-13-01", "25:00", "99999999y"] {
            assert!(parse(text, &berlin(), NOW_MS).is_err(), "{text}");
        }
    }

    #[test]
    fn ages_are_said_in_a_fitting_unit() {
        let said: Vec<String> = [-5_000, 0, 119_000, 120_000, 7_200_000, 172_800_000]
            .map(|age_ms| age(NOW_MS - age_ms, NOW_MS))
            .into();
        assert_eq!(
            said,
            [
                "in the future",
                "0 s ago",
                "119 s ago",
                "2 min ago",
                "2 h ago",
                "2 d ago"
            ]
        );
    }
}
