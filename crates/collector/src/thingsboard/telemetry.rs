//! Telemetry: upload by the device, and the user's count, read and delete.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::Value;

use super::{Server, ServerDeviceId, ServerError, payload::Packed};

/// Points that one read of timestamps may bring.
const TIMESTAMPS_MAX: usize = 50_000;

/// A span of time on the server, both ends included, in ms since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// The first millisecond.
    pub first_ms: i64,
    /// The last millisecond; not before the first.
    pub last_ms: i64,
}

impl Window {
    /// The server's ranges exclude their end.
    fn end_ms(self) -> i64 {
        self.last_ms.saturating_add(1)
    }
}

#[derive(Deserialize)]
struct Point {
    ts: i64,
    value: Value,
}

type Series = BTreeMap<String, Vec<Point>>;

impl Server {
    /// Uploads readings in the name of a device; success means that the server queued them, not that it stored them.
    ///
    /// # Errors
    /// [`ServerError::UnknownToken`], [`ServerError::TooLarge`], [`ServerError::Overloaded`] (which is also how a rate
    /// limit looks), [`ServerError::Unavailable`], [`ServerError::Unreachable`], [`ServerError::NotThingsBoard`].
    pub async fn upload(&self, token: &str, packed: &Packed) -> Result<(), ServerError> {
        let request = self
            .request(Method::POST, &["api", "v1", token, "telemetry"])
            .header(CONTENT_TYPE, "application/json")
            .body(packed.body.clone());
        let answer = super::transport::send(request).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            return Err(ServerError::UnknownToken);
        }
        match answer.empty() {
            // The device API answers 404 to nothing: whoever answers does not know it.
            Err(ServerError::NotFound) => Err(ServerError::NotThingsBoard { status: 404 }),
            other => other,
        }
    }

    /// Counts the points that are stored in a window, by key; keys without points are absent.
    ///
    /// # Errors
    /// When the request fails or the answer has another form.
    pub async fn count(
        &self,
        device: &ServerDeviceId,
        keys: &[String],
        window: Window,
    ) -> Result<BTreeMap<String, u64>, ServerError> {
        let length_ms = window.end_ms().saturating_sub(window.first_ms);
        // One bucket as long as the window holds everything.
        let extra = [
            ("agg", "COUNT".to_owned()),
            ("interval", length_ms.to_string()),
        ];
        let series = self.series(device, keys, window, &extra).await?;
        let unexpected = || ServerError::UnexpectedForm { request: "a count" };
        let mut counts = BTreeMap::new();
        for (key, points) in series {
            let mut count = 0u64;
            for point in points {
                let bucket = whole_number(&point.value).ok_or_else(unexpected)?;
                count = count.checked_add(bucket).ok_or_else(unexpected)?;
            }
            counts.insert(key, count);
        }
        Ok(counts)
    }

    /// Lists the timestamps that a key has in a window, ascending; at most 50,000.
    ///
    /// # Errors
    /// When the request fails or the answer has another form.
    pub async fn timestamps(
        &self,
        device: &ServerDeviceId,
        key: &str,
        window: Window,
    ) -> Result<Vec<i64>, ServerError> {
        let extra = [
            ("limit", TIMESTAMPS_MAX.to_string()),
            ("orderBy", "ASC".to_owned()),
        ];
        let keys = [key.to_owned()];
        let mut series = self.series(device, &keys, window, &extra).await?;
        let points = series.remove(key).unwrap_or_default();
        Ok(points.into_iter().map(|point| point.ts).collect())
    }

    /// Returns the latest point of each key: its time in ms since 1970 UTC and its value as the server wrote it.
    ///
    /// # Errors
    /// When the request fails or the answer has another form.
    pub async fn latest(
        &self,
        device: &ServerDeviceId,
        keys: &[String],
    ) -> Result<BTreeMap<String, (i64, f64)>, ServerError> {
        let path = telemetry_path(device, &["values", "timeseries"]);
        let query = [("keys", keys.join(","))];
        let answer = self
            .authorized(|| self.request(Method::GET, &path).query(&query))
            .await?;
        let series: Series = answer.json("the latest values")?;
        let newest = series.into_iter().filter_map(|(key, points)| {
            let point = points.into_iter().next()?;
            // A key without points is answered with a null of this moment.
            Some((key, (point.ts, number(&point.value)?)))
        });
        Ok(newest.collect())
    }

    /// Deletes all points of some keys in a window.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn delete(
        &self,
        device: &ServerDeviceId,
        keys: &[String],
        window: Window,
    ) -> Result<(), ServerError> {
        let path = telemetry_path(device, &["timeseries", "delete"]);
        let query = [
            ("keys", keys.join(",")),
            ("startTs", window.first_ms.to_string()),
            ("endTs", window.end_ms().to_string()),
            ("deleteAllDataForKeys", "false".to_owned()),
            ("rewriteLatestIfDeleted", "true".to_owned()),
        ];
        let answer = self
            .authorized(|| self.request(Method::DELETE, &path).query(&query))
            .await?;
        answer.empty()
    }

    async fn series(
        &self,
        device: &ServerDeviceId,
        keys: &[String],
        window: Window,
        extra: &[(&str, String)],
    ) -> Result<Series, ServerError> {
        let path = telemetry_path(device, &["values", "timeseries"]);
        let query = [
            ("keys", keys.join(",")),
            ("startTs", window.first_ms.to_string()),
            ("endTs", window.end_ms().to_string()),
        ];
        let answer = self
            .authorized(|| self.request(Method::GET, &path).query(&query).query(extra))
            .await?;
        answer.json("reading telemetry")
    }
}

fn telemetry_path<'a>(device: &'a ServerDeviceId, rest: &[&'a str]) -> Vec<&'a str> {
    let mut path = vec!["api", "plugins", "telemetry", "DEVICE", device.as_str()];
    path.extend_from_slice(rest);
    path
}

/// Reads a whole number that is written as a number or as text, as the server does by default.
fn whole_number(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    }
}
