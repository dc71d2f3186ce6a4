//! Where meters are.
//!
//! Simulated meters are listed in a file, `DIR/meters.json`: the air of a simulated Wi-Fi. They answer on loopback
//! addresses only, and nothing else is believed of the file. The password in it stands for the meter's label: whoever joins
//! with another one is turned away.
//!
//! A real meter is in range when this machine has joined its Wi-Fi: it answers at [`ACCESS_POINT_URL`].

use std::{
    fs, io,
    io::Read as _,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use protocol::{DeviceId, access_point};
use serde::Deserialize;
use tokio::time::timeout;

use crate::{Kind, client::Client, secrets::Secret};

/// Name of the list in its directory.
pub const METERS_FILE: &str = "meters.json";
/// Largest list that is read, in bytes: 256 meters take a sixth of it.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Where every real meter answers on its own Wi-Fi.
pub const ACCESS_POINT_URL: &str = "http://192.168.4.1";
/// How long a meter may take to say that it is there: over one hop of Wi-Fi.
const ACCESS_POINT_TIMEOUT: Duration = Duration::from_millis(800);

/// A meter in range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearbyMeter {
    /// The meter.
    pub device: DeviceId,
    /// Name of its access point.
    pub ssid: String,
    /// Where it answers.
    pub url: String,
    /// What stands on the label of a simulated meter; `None` where the machine has joined the meter's Wi-Fi already.
    pub label: Option<Secret>,
}

impl NearbyMeter {
    /// Joins the meter's Wi-Fi; returns the password that opened it, where there was one to give. Without one a simulated
    /// meter's label is read.
    ///
    /// # Errors
    /// [`MetersError::WrongPassword`].
    pub fn join(&self, password: Option<&Secret>) -> Result<Option<Secret>, MetersError> {
        match (&self.label, password) {
            (Some(label), Some(password)) if label != password => Err(MetersError::WrongPassword {
                device: self.device,
            }),
            (label, password) => Ok(password.or(label.as_ref()).cloned()),
        }
    }
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
    /// The password does not open the meter's Wi-Fi.
    #[error("the access-point password is not this meter's ({device})")]
    WrongPassword {
        /// The meter.
        device: DeviceId,
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
            Self::WrongPassword { .. } => Kind::Refused,
            Self::Malformed { .. } | Self::TooLong { .. } | Self::NotLoopback { .. } => {
                Kind::Corrupt
            }
        }
    }
}

/// One line of the list; the password stands for the label on a real meter.
#[derive(Deserialize)]
struct Line {
    id: DeviceId,
    ssid: String,
    url: String,
    password: Secret,
}

/// Returns the meter whose Wi-Fi this machine has joined: whatever answers like one at an address, mostly
/// [`ACCESS_POINT_URL`]. Whether it is that meter is proven by what is said to it later.
pub async fn joined(url: &str) -> Option<NearbyMeter> {
    let client = Client::new(url).ok()?;
    let info = match timeout(ACCESS_POINT_TIMEOUT, client.info()).await {
        Ok(Ok(info)) => info,
        Ok(Err(error)) => {
            tracing::debug!(%error, "no meter's Wi-Fi is joined");
            return None;
        }
        Err(_elapsed) => return None,
    };
    Some(NearbyMeter {
        device: info.device,
        ssid: access_point::ssid(info.device).as_str().to_owned(),
        url: url.to_owned(),
        label: None,
    })
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
            label: Some(line.password),
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
        let wrong = Secret::new("y".to_owned());
        assert!(matches!(
            meters[0].join(Some(&wrong)),
            Err(MetersError::WrongPassword { .. })
        ));
        let right = Secret::new("x".to_owned());
        assert_eq!(meters[0].join(Some(&right)).unwrap(), Some(right.clone()));
        assert_eq!(meters[0].join(None).unwrap(), Some(right));
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
