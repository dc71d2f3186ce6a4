//! The documents of the device API, held to meters: `docs/openapi.json` for machines, `docs/device-api.md` for people, and
//! `docs/security.md`, held to the tests that it names.

mod answers;
mod codes;
mod description;
mod guide;
mod routes;
mod security;
mod vectors;

use std::{fs, path::Path};

/// Reads a file of the repository; not at build time, so that a change of the text alone needs no new build.
fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
