//! A ThingsBoard server in memory, for tests only.
//!
//! [`Double::start`] listens on a free loopback port and answers the parts of ThingsBoard's HTTP interface that ofmon and
//! ThingsBoard's own clients use: the device API (telemetry, attributes) and the user API (signing in, devices,
//! credentials, profiles, reading and deleting telemetry). It follows the server's semantics where they surprise:
//!
//! - a device post answered with 200 is **queued, not stored** (see [`Faults::drop_fraction`], [`Faults::store_delay_ms`]);
//! - a rate limit or any trouble is a bare 500, and a post larger than the limit's bucket never succeeds;
//! - a point is identified by (device, key, timestamp) and writing it again replaces it;
//! - the latest value ignores back-dated data; numbers are typed by how they are written ([`Value`]);
//! - a post of an empty array gets no answer until the server's time-out.
//!
//! [`Faults`] make it misbehave on purpose. A test sees the stored data directly; the binary of the same name offers
//! the faults at `POST /double/faults` and token expiry at `POST /double/expire-tokens`.
//!
//! What it is not: rule chains, MQTT, WebSocket, dashboards, tenants, customers, firmware packages, access control
//! beyond the tenant administrator. An unknown path answers 404.

mod accounts;
mod aggregation;
mod clock;
mod device;
mod error;
mod faults;
mod inspection;
mod interference;
mod journal;
mod parameters;
mod payload;
mod registry;
mod routes;
mod series;
mod server;
mod value;

pub use aggregation::BUCKETS_MAX;
pub use faults::{FOREVER, Faults, RateLimit};
pub use inspection::{DeviceRefused, DeviceView};
pub use journal::{REQUESTS_REMEMBERED, RequestRecord, Statistics};
pub use registry::DEVICES_MAX;
pub use server::{Double, Options, StartError};
pub use value::{DOUBLE_DECIMALS_MAX, Value};
