//! The client of a ThingsBoard server.
//!
//! ThingsBoard has two doors. The **device API** takes telemetry under a device's access token, which is part of the
//! path; its 200 means *queued*, not stored. The **user API** takes a user's JSON Web Token: it finds and creates
//! devices, counts what was stored and deletes points. [`Server`] is both, for one address.
//!
//! | module | holds |
//! |---|---|
//! | `address` | which addresses are accepted |
//! | `error` | what can go wrong |
//! | `transport` | one request, one bounded answer |
//! | `session` | signing in, tokens that run out |
//! | `devices` | devices and their access tokens |
//! | `telemetry` | upload, count, read, delete |
//! | `payload` | readings in ThingsBoard's form |
//!
//! Everything that a server says is bounded and distrusted. Between here and the server there may be something else, such
//! as the sign-in page of a public network, that answers 200 to everything: only an answer of the expected form counts.
//! Neither passwords nor tokens nor addresses with tokens in them reach an error text or the log.

mod address;
mod devices;
mod error;
mod payload;
mod session;
mod telemetry;
#[cfg(test)]
mod tests;
mod transport;

pub use address::{AddressError, ServerAddress};
pub use devices::{DEFAULT_PROFILE, ServerDevice, ServerDeviceId};
pub use error::ServerError;
pub(crate) use payload::keys_of;
pub use payload::{KEYS, Packed, channel_keys, pack};
pub use session::Server;
pub use telemetry::Window;
pub use transport::Timeouts;
