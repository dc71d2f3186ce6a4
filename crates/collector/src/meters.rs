//! Where meters are.
//!
//! Simulated meters are listed in a file, `DIR/meters.json`: the air of a simulated Wi-Fi. They answer on loopback
//! addresses only, and nothing else is believed of the file.

use std::{
    fs, io,
    io::Read as _,
    net::IpAddr,
    path::{Path, PathBuf},
};

use protocol::DeviceId;
use serde::Deserialize;

use crate::Kind;

/// Name of the list in its directory.
pub const METERS_FILE: &str = "meters.json";
/// Largest list that is read, in bytes: 256 meters take a sixth of it.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// A meter in range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearbyMeter {
    /// The meter.
    pub device: DeviceId,
    /// Name of its access point.
    pub ssid: String,
    /// Where it answers.
    pub url: String,
}

/// Why it cannot be told which meters are in range.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetersError {
    /// The list cannot be read.
    #[error("the list of simulated meters {path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// The list is none, or too long.
    #[error("{path} is no list of simulated meters")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        source: serde_json::Error,
    },
    /// The list is longer than any may be.
    #[error("{path} is longer than a list of simulated meters may be")]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// A simulated meter is not on this machine.
    #[error("the simulated meter {device} is not on a loopback address")]
    NotLoopback {
        /// The meter.
        device: DeviceId,
    },
}

impl MetersError {
    /// Returns what the error means to the one who asked.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Unreadable { .. } => Kind::Unreachable,
            Self::Malformed { .. } | Self::TooLong { .. } | Self::NotLoopback { .. } => {
                Kind::Corrupt
            }
        }
    }
}

/// One line of the list; the password stands for the label on a real meter and is not needed here.
#[derive(Deserialize)]
struct Line {
    id: DeviceId,
    ssid: String,
    url: String,
}

/// Lists the simulated meters of a directory; none where there is no list.
///
/// # Errors
/// [`MetersError`].
pub fn scan(air: &Path) -> Result<Vec<NearbyMeter>, MetersError> {
    let path = air.join(METERS_FILE);
    let bytes = match read_bounded(&path) {
        Ok(bytes) if bytes.len() as u64 > FILE_BYTES_MAX => {
            return Err(MetersError::TooLong { path });
        }
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(MetersError::Unreadable { path, source }),
    };
    let lines: Vec<Line> =
        serde_json::from_slice(&bytes).map_err(|source| MetersError::Malformed { path, source })?;
    lines.into_iter().map(meter).collect()
}

/// Reads a file, and no more than a byte too many of it.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn meter(line: Line) -> Result<NearbyMeter, MetersError> {
    let not_loopback = MetersError::NotLoopback { device: line.id };
    let url = reqwest::Url::parse(&line.url).ok();
    let host = url
        .as_ref()
        .filter(|url| url.scheme() == "http")
        .and_then(reqwest::Url::host_str);
    let host = host.map(|host| host.trim_matches(['[', ']']));
    match host.and_then(|host| host.parse::<IpAddr>().ok()) {
        Some(address) if address.is_loopback() => Ok(NearbyMeter {
            device: line.id,
            ssid: line.ssid,
            url: line.url,
        }),
        _ => Err(not_loopback),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(list: &str) -> Result<Vec<NearbyMeter>, MetersError> {
        let air = tempfile::tempdir().unwrap();
        fs::write(air.path().join(METERS_FILE), list).unwrap();
        scan(air.path())
    }

    #[test]
    fn listed_meters_are_found_and_no_list_is_no_meter() {
        let list = r#"[{"id":"020f6d000001","ssid":"OFMON-020F6D000001","url":"http://127.0.0.1:4000","password":"x"}]"#;
        let meters = scanned(list).unwrap();
        assert_eq!(meters.len(), 1);
        assert_eq!(meters[0].url, "http://127.0.0.1:4000");
        assert_eq!(scan(Path::new("/nonexistent")).unwrap(), []);
    }

    #[test]
    fn meters_elsewhere_and_lists_that_are_none_are_refused() {
        for url in [
            "http://192.168.4.1",
            "https://127.0.0.1",
            "http://example.org",
            "http://127.0.0.1.example.org",
            "x",
        ] {
            let list =
                format!(r#"[{{"id":"020f6d000001","ssid":"x","url":"{url}","password":"x"}}]"#);
            assert!(
                matches!(scanned(&list), Err(MetersError::NotLoopback { .. })),
                "{url}"
            );
        }
        assert!(matches!(scanned("{}"), Err(MetersError::Malformed { .. })));
        let long = " ".repeat(FILE_BYTES_MAX as usize + 1);
        assert!(matches!(scanned(&long), Err(MetersError::TooLong { .. })));
    }
}
