//! Name and password of the meter's own Wi-Fi, as the label on the meter says them.

pub use protocol::access_point::{PASSWORD_RANDOM_BYTES, Password, ssid};
