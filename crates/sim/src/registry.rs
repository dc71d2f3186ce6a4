//! Where simulated meters are: `DIR/meters.json`, the air of a simulated Wi-Fi.

use std::{fs, io, path::Path};

use protocol::DeviceId;
use serde::{Deserialize, Serialize};

/// Name of the file in the state directory.
pub const FILE: &str = "meters.json";

/// What a collector needs to reach a simulated meter; the password stands for the label on a real one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterEntry {
    /// The meter.
    pub id: DeviceId,
    /// Name of its access point.
    pub ssid: String,
    /// Address on loopback.
    pub url: String,
    /// Password of its access point.
    pub password: String,
}

impl std::fmt::Debug for MeterEntry {
    /// Leaves the password out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MeterEntry({} at {})", self.ssid, self.url)
    }
}

/// Reads the file of a state directory; empty where there is none.
///
/// # Errors
/// What the file system says, or that the file is no list of meters.
pub fn read(state: &Path) -> io::Result<Vec<MeterEntry>> {
    match fs::read(state.join(FILE)) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Replaces the file of a state directory in one step.
///
/// # Errors
/// What the file system says.
pub fn write(state: &Path, meters: &[MeterEntry]) -> io::Result<()> {
    let fresh = state.join(format!("{FILE}.new"));
    fs::write(&fresh, serde_json::to_vec_pretty(meters)?)?;
    fs::rename(fresh, state.join(FILE))
}
