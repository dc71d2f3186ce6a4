//! Load profiles: power and voltage of every minute, in the format of the UCI household data set.
//!
//! `Date;Time;Global_active_power;Global_reactive_power;Voltage;…` with a header, a row a minute, power in kW and kvar
//! and `?` where a value is missing. Further columns are not read: the current follows from P, Q and V, because the
//! file's own is coarse.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Kind, Recipe, Source};

/// Size of a file that is still read.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Length of a line that is still read.
const LINE_BYTES_MAX: usize = 512;
const HEADER: &str = "Date;Time;Global_active_power;Global_reactive_power;Voltage";
const HEADER_REST: &str = ";Global_intensity;Sub_metering_1;Sub_metering_2;Sub_metering_3";
const MINUTE_US: u64 = 60_000_000;
const MINUTES_A_DAY: usize = 1_440;
/// Power beyond this is no household's, in kW or kvar.
const POWER_KW_MAX: f64 = 1_000.0;

/// Means of one minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Minute {
    /// Active power in W; negative is export.
    pub active_power_w: f64,
    /// Reactive power in var; positive is inductive.
    pub reactive_power_var: f64,
    /// Voltage in V.
    pub voltage_v: f64,
}

/// A load minute by minute; copies share it.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadProfile {
    minutes: Arc<[Minute]>,
    missing: usize,
}

/// Why a file is no load profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// It cannot be read.
    #[error("the load profile {0} cannot be read")]
    Read(PathBuf, #[source] io::Error),
    /// It is larger than 64 MiB.
    #[error("the load profile is larger than {} MiB", FILE_BYTES_MAX >> 20)]
    TooLarge,
    /// A line is longer than 512 bytes.
    #[error("line {line} is longer than {LINE_BYTES_MAX} bytes: this is no load profile")]
    LineTooLong {
        /// The line, counted from 1.
        line: usize,
    },
    /// The first line is not the header.
    #[error("line 1 does not begin with {HEADER}: this is no load profile")]
    Header,
    /// A line has too few columns or a value that is none.
    #[error("line {line}: {column} is missing or out of range")]
    Value {
        /// The line, counted from 1.
        line: usize,
        /// The column.
        column: &'static str,
    },
    /// A row does not follow the row before by one minute.
    #[error("line {line} is not one minute after the line before")]
    Order {
        /// The line, counted from 1.
        line: usize,
    },
    /// There is no row.
    #[error("the load profile has no rows")]
    Empty,
}

impl LoadProfile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ProfileError`]: the file cannot be read, is too large or is no profile.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ProfileError> {
        let path = path.as_ref();
        let error = |source| ProfileError::Read(path.to_owned(), source);
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(error)?;
        file.take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(error)?;
        Self::parse(&bytes)
    }

    /// Reads the content of a file.
    ///
    /// # Errors
    /// [`ProfileError`]: the content is too large or is no profile.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProfileError> {
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(ProfileError::TooLarge);
        }
        let mut minutes = Vec::new();
        let mut missing = 0;
        let mut last = Row {
            minute_of_day: 0,
            power_kw: Some(0.0),
            reactive_kvar: Some(0.0),
            voltage_v: Some(230.0),
        };
        for (index, bytes) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = index + 1;
            let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            if bytes.len() > LINE_BYTES_MAX {
                return Err(ProfileError::LineTooLong { line });
            }
            if line == 1 {
                if !bytes.starts_with(HEADER.as_bytes()) {
                    return Err(ProfileError::Header);
                }
            } else if !bytes.is_empty() {
                let mut row = Row::parse(bytes, line)?;
                if !minutes.is_empty()
                    && row.minute_of_day != (last.minute_of_day + 1) % MINUTES_A_DAY
                {
                    return Err(ProfileError::Order { line });
                }
                missing += usize::from(row.hold(&last));
                minutes.push(row.minute());
                last = row;
            }
        }
        if minutes.is_empty() {
            return Err(ProfileError::Empty);
        }
        Ok(Self {
            minutes: minutes.into(),
            missing,
        })
    }

    /// Makes a profile of so many minutes, at least 1, from a built-in household's day, from 17:00 on.
    #[must_use]
    pub fn synthetic(seed: u64, minutes: usize) -> Self {
        let source = Source::Recipe(Recipe::new(Kind::House, seed));
        let start_us = 17 * 60 * MINUTE_US;
        let minute = |index: usize| {
            let from_us = start_us + index as u64 * MINUTE_US;
            let means = source.means(from_us, from_us + MINUTE_US);
            // As coarse as the file writes it, so that the file holds the same.
            Minute {
                active_power_w: means.active_power_w.round(),
                reactive_power_var: means.reactive_power_var.round(),
                voltage_v: (means.voltage_v * 100.0).round() / 100.0,
            }
        };
        Self {
            minutes: (0..minutes.max(1)).map(minute).collect(),
            missing: 0,
        }
    }

    /// Returns the content of a file that holds the profile, from midnight of 1 January 2007 on.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}{HEADER_REST}\n");
        for (index, minute) in self.minutes.iter().enumerate() {
            let (day, month, year) = date(index / MINUTES_A_DAY);
            let (hour, minute_of_hour) = (index / 60 % 24, index % 60);
            let apparent_va = minute.active_power_w.hypot(minute.reactive_power_var);
            writeln!(
                text,
                "{day}/{month}/{year};{hour:02}:{minute_of_hour:02}:00;{:.3};{:.3};{:.3};{:.3};0.000;0.000;0.000",
                minute.active_power_w / 1000.0,
                minute.reactive_power_var / 1000.0,
                minute.voltage_v,
                (apparent_va / minute.voltage_v * 5.0).round() / 5.0,
            )
            .expect("a String takes all");
        }
        text
    }

    /// Returns the minutes.
    #[must_use]
    pub fn minutes(&self) -> &[Minute] {
        &self.minutes
    }

    /// Returns the minute that holds this time; after the end the profile begins anew.
    #[must_use]
    pub fn minute_at(&self, offset_us: u64) -> Minute {
        self.minutes[(offset_us / MINUTE_US % self.minutes.len() as u64) as usize]
    }

    /// Returns the number of rows that lacked a value, which was taken from the row before.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// Returns the length in µs.
    #[must_use]
    pub fn len_us(&self) -> u64 {
        self.minutes.len() as u64 * MINUTE_US
    }

    /// Returns the net energy in Wh.
    #[must_use]
    pub fn energy_wh(&self) -> f64 {
        self.minutes
            .iter()
            .map(|minute| minute.active_power_w)
            .sum::<f64>()
            / 60.0
    }
}

/// What a line says; `None` where the value is missing.
struct Row {
    minute_of_day: usize,
    power_kw: Option<f64>,
    reactive_kvar: Option<f64>,
    voltage_v: Option<f64>,
}

impl Row {
    fn parse(bytes: &[u8], line: usize) -> Result<Self, ProfileError> {
        let text = str::from_utf8(bytes).map_err(|_| ProfileError::Value {
            line,
            column: "text",
        })?;
        let mut columns = text.split(';');
        let mut column = |column| columns.next().ok_or(ProfileError::Value { line, column });
        column("date")?;
        let minute_of_day = minute_of_day(column("time")?).ok_or(ProfileError::Value {
            line,
            column: "time",
        })?;
        let mut value = |name, range: std::ops::RangeInclusive<f64>| match column(name)?.trim() {
            // The data set leaves the columns of a missing row empty or writes a question mark.
            "?" | "" => Ok(None),
            text => match text.parse() {
                Ok(value) if range.contains(&value) => Ok(Some(value)),
                _ => Err(ProfileError::Value { line, column: name }),
            },
        };
        Ok(Self {
            minute_of_day,
            power_kw: value("active power", -POWER_KW_MAX..=POWER_KW_MAX)?,
            reactive_kvar: value("reactive power", -POWER_KW_MAX..=POWER_KW_MAX)?,
            voltage_v: value("voltage", 50.0..=500.0)?,
        })
    }

    /// Fills what is missing from another row; tells whether something was.
    fn hold(&mut self, other: &Self) -> bool {
        let fields = [
            (&mut self.power_kw, other.power_kw),
            (&mut self.reactive_kvar, other.reactive_kvar),
            (&mut self.voltage_v, other.voltage_v),
        ];
        let mut missing = false;
        for (field, held) in fields {
            missing |= field.is_none();
            *field = field.or(held);
        }
        missing
    }

    fn minute(&self) -> Minute {
        // Whole watts in kW are not whole in binary; a watt's thousandth is far below the file's resolution.
        let watts = |kilowatts: Option<f64>| (kilowatts.unwrap_or_default() * 1e6).round() / 1e3;
        Minute {
            active_power_w: watts(self.power_kw),
            reactive_power_var: watts(self.reactive_kvar),
            voltage_v: self.voltage_v.unwrap_or_default(),
        }
    }
}

fn minute_of_day(time: &str) -> Option<usize> {
    let mut parts = time.split(':');
    let mut part = |limit: usize| {
        parts
            .next()?
            .parse::<usize>()
            .ok()
            .filter(|value| *value < limit)
    };
    let (hour, minute) = (part(24)?, part(60)?);
    Some(hour * 60 + minute)
}

/// Day, month and year so many days after 1 January 2007.
fn date(mut days: usize) -> (usize, usize, usize) {
    let mut year = 2007;
    loop {
        let february = if year % 4 == 0 { 29 } else { 28 };
        let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, length) in (1..).zip(lengths) {
            if days < length {
                return (days + 1, month, year);
            }
            days -= length;
        }
        year += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(rows: &str) -> String {
        let text = format!("{HEADER}\n{rows}");
        LoadProfile::parse(text.as_bytes())
            .expect_err("no profile")
            .to_string()
    }

    #[test]
    fn rows_are_read_and_missing_values_held() {
        let text = format!(
            "{HEADER}{HEADER_REST}\r\n5/2/2007;23:59:00;0.374;0.090;243.870;1.6;0;1;0\r\n\
             6/2/2007;00:00:00;?;?;?;?;?;?;\n6/2/2007;00:01:00;-1.5;0.1;240;1;0;0;0\n"
        );
        let profile = LoadProfile::parse(text.as_bytes()).expect("a profile");
        let first = Minute {
            active_power_w: 374.0,
            reactive_power_var: 90.0,
            voltage_v: 243.87,
        };
        assert_eq!(profile.minutes()[..2], [first, first]);
        assert_eq!(profile.missing(), 1);
        assert_eq!(profile.len_us(), 180_000_000);
        assert!((profile.energy_wh() - (374.0 * 2.0 - 1500.0) / 60.0).abs() < 1e-9);
        assert_eq!(profile.minute_at(180_000_000), first);
    }

    #[test]
    fn what_is_no_profile_is_refused_with_its_line() {
        assert!(matches!(
            LoadProfile::parse(b"{\"a\":1}"),
            Err(ProfileError::Header)
        ));
        assert!(matches!(
            LoadProfile::parse(HEADER.as_bytes()),
            Err(ProfileError::Empty)
        ));
        assert_eq!(
            error("a;00:00:00;1;1\n"),
            "line 2: voltage is missing or out of range"
        );
        assert_eq!(
            error("a;00:00:00;1;1;0\n"),
            "line 2: voltage is missing or out of range"
        );
        assert_eq!(
            error("a;00:00:00;NaN;1;230\n"),
            "line 2: active power is missing or out of range"
        );
        assert_eq!(
            error("a;24:00:00;1;1;230\n"),
            "line 2: time is missing or out of range"
        );
        assert_eq!(
            error("a;00:00:00;1;1;230\na;00:02:00;1;1;230\n"),
            "line 3 is not one minute after the line before"
        );
        let long = error(&"x".repeat(513));
        assert_eq!(
            long,
            "line 2 is longer than 512 bytes: this is no load profile"
        );
    }

    #[test]
    fn too_large_content_is_refused_before_it_is_read() {
        let bytes = vec![b'\n'; FILE_BYTES_MAX as usize + 1];
        assert!(matches!(
            LoadProfile::parse(&bytes),
            Err(ProfileError::TooLarge)
        ));
    }

    #[test]
    fn file_that_is_not_there_is_named() {
        let error = LoadProfile::read("no/such/file").expect_err("no file");
        assert_eq!(
            error.to_string(),
            "the load profile no/such/file cannot be read"
        );
    }

    #[test]
    fn synthetic_profile_is_the_same_after_writing_and_reading() {
        let profile = LoadProfile::synthetic(7, 3_000);
        let text = profile.to_text();
        assert_eq!(
            LoadProfile::parse(text.as_bytes()).expect("a profile"),
            profile
        );
        assert!(text.contains("\n3/1/2007;01:59:00;"));
        assert_ne!(LoadProfile::synthetic(8, 3_000), profile);
        assert!(profile.energy_wh() > 1_000.0);
    }

    #[test]
    fn dates_follow_the_calendar() {
        assert_eq!(date(0), (1, 1, 2007));
        assert_eq!(date(58), (28, 2, 2007));
        assert_eq!(date(365 + 59), (29, 2, 2008));
    }
}
