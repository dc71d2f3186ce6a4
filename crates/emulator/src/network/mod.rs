//! A network card of our own design, and what is at the other end of its wire.
//!
//! ```text
//! firmware ──registers──▶ Card ──frames──▶ Host: a client of the access point ──Forward──▶ TCP ports of this computer
//! ```
//!
//! The host gets its address from the firmware's DHCP server, asks its DNS, and opens TCP connections to it. Its clock is
//! the virtual time of the chip, so that without connections from this computer a run is the same each time.

mod card;
mod forward;
mod host;
mod run;
mod wire;

pub use card::{Card, FRAME_BYTES_MAX, FRAME_BYTES_MIN};
pub use host::{Connection, Host, Lease, NotThere, Progress, Question};
