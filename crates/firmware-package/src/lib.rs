//! Update files on a PC: made, signed, checked.
//!
//! | module | holds |
//! |---|---|
//! | [`package`] | an `.ofmon` file: a header and the image behind it |
//! | [`keys`] | the pair of keys that signs and verifies, as PEM files |
//!
//! Who builds firmware, who signs it and who carries it to meters share this; a meter has a verification of its own.
#![forbid(unsafe_code)]

pub mod keys;
pub mod package;

pub use keys::{KeyError, SecretKey};
pub use package::{Package, PackageError};
