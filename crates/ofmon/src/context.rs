//! What every command needs: where data lies, in which zone days begin, how results are printed.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use collector::{
    WallClock,
    store::{Store, StoreError},
};
use jiff::tz::TimeZone;

use crate::{
    air,
    arguments::Global,
    exit::{Kind, Problem},
    output::Output,
};

/// The surroundings of a command.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    data: Option<PathBuf>,
    air: Option<PathBuf>,
    zone: TimeZone,
    /// How results are printed.
    pub(crate) output: Output,
}

impl Context {
    /// Takes the global arguments; a zone that does not exist is a wrong call.
    pub(crate) fn new(global: &Global) -> Result<Self> {
        let zone = match &global.tz {
            Some(name) => TimeZone::get(name).map_err(|_| {
                Problem::usage(
                    format!("there is no time zone {name:?}"),
                    "names are like Europe/Berlin or UTC",
                )
            })?,
            None => TimeZone::system(),
        };
        Ok(Self {
            data: global.data.clone(),
            air: global.sim.clone().or_else(|| path_from("OFMON_SIM")),
            zone,
            output: Output::new(global.json),
        })
    }

    /// Returns a context with another data directory and other simulated meters in range.
    pub(crate) fn moved_to(&self, data: &Path, air: &Path) -> Self {
        Self {
            data: Some(data.to_owned()),
            air: Some(air.to_owned()),
            ..self.clone()
        }
    }

    /// Returns the data directory that was given as an argument.
    pub(crate) fn data_argument(&self) -> Option<&Path> {
        self.data.as_deref()
    }

    /// Returns the data directory; it need not exist yet.
    pub(crate) fn data_dir(&self) -> Result<PathBuf> {
        if let Some(data) = self.data.clone().or_else(|| path_from("OFMON_DATA")) {
            return Ok(data);
        }
        let own = directories::ProjectDirs::from("", "", "ofmon");
        let own = own.map(|own| own.data_dir().to_owned());
        own.ok_or_else(|| {
            Problem::usage(
                "this user has no home directory for the data",
                "name one by --data DIR",
            )
            .into()
        })
    }

    /// Returns the directory in which simulated meters are looked for.
    pub(crate) fn air(&self) -> Option<&Path> {
        self.air.as_deref()
    }

    /// Returns the zone in which days begin.
    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Returns the name of the zone: IANA where it has one.
    pub(crate) fn zone_name(&self) -> String {
        zone_name(&self.zone)
    }

    /// Returns this computer's clock, or that of simulated meters which live in another time.
    pub(crate) fn clock(&self) -> Result<WallClock> {
        self.air()
            .map_or_else(|| Ok(WallClock::default()), air::clock)
    }

    /// Opens the store beside a process that may be writing.
    pub(crate) fn store_to_read(&self) -> Result<Store> {
        match Store::open_read_only(&self.data_dir()?) {
            // Migrating is for a writer; here it costs nothing to be one for a moment.
            Err(StoreError::TooOld { .. }) => self.store_to_write(),
            Err(error @ StoreError::Missing { .. }) => Err(error).context(Problem::new(
                Kind::Storage,
                "nothing was collected yet",
                "`ofmon setup` and `ofmon collect` come first; or is it another --data?",
            )),
            other => Ok(other?),
        }
    }

    /// Opens the store as [`Context::store_to_read`] does, `None` where there is none yet.
    pub(crate) fn store_if_any(&self) -> Result<Option<Store>> {
        match Store::open_read_only(&self.data_dir()?) {
            Err(StoreError::Missing { .. }) => Ok(None),
            _ => self.store_to_read().map(Some),
        }
    }

    /// Opens the store as the one who writes.
    pub(crate) fn store_to_write(&self) -> Result<Store> {
        Ok(Store::open(&self.data_dir()?)?)
    }
}

/// Returns the name of a zone; the system's may have none.
pub(crate) fn zone_name(zone: &TimeZone) -> String {
    match zone.iana_name() {
        Some(name) => name.to_owned(),
        None if *zone == TimeZone::UTC || zone.is_unknown() => "UTC".to_owned(),
        None => "local".to_owned(),
    }
}

fn path_from(variable: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}
