//! Every bound that meter and collector both hold, in one place.

/// Largest number of channels of a meter.
pub const CHANNELS_MAX: usize = 3;
/// Largest block in bytes: three channels of a full sector fit.
pub const BLOCK_BYTES_MAX: usize = 8 * 1024;
/// Largest JSON body in either direction, in bytes.
pub const JSON_BYTES_MAX: usize = 4 * 1024;
/// Longest access token in bytes; ThingsBoard makes tokens of 20.
pub const TOKEN_BYTES_MAX: usize = 64;
/// Shortest access token in bytes that a meter accepts.
pub const TOKEN_BYTES_MIN: usize = 16;
/// Longest name of a meter in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 48;
/// Events in one answer at the most.
pub const EVENTS_PER_ANSWER: usize = 16;
/// How long a nonce is valid, in milliseconds.
pub const NONCE_VALID_MS: u64 = 5 * 60 * 1000;
/// Shortest and longest reading interval, in milliseconds.
pub const INTERVAL_MS: core::ops::RangeInclusive<u32> = 1_000..=900_000;
/// Longest version of a firmware in bytes of ASCII.
pub const VERSION_BYTES_MAX: usize = 24;
/// Longest app image that a meter takes, in bytes.
pub const IMAGE_BYTES_MAX: usize = 900 * 1024;
/// Longest name of a channel in bytes of UTF-8.
pub const CHANNEL_NAME_BYTES_MAX: usize = 24;
/// Longest viewing code in bytes of ASCII.
pub const CODE_BYTES_MAX: usize = 32;
/// Shortest viewing code in bytes of ASCII.
pub const CODE_BYTES_MIN: usize = 6;
/// Turns ratio of a current transformer.
pub const CT_RATIO: core::ops::RangeInclusive<u32> = 1..=100_000;
/// Bars of the last day at the most: one each five minutes.
pub const DAY_BARS_MAX: usize = 288;
