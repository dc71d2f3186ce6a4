//! Gives the linker the memory map of the chip, and the image the time of its build and the keys of its updates.

use std::{
    env, fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

fn main() {
    println!("cargo:rustc-link-arg-bins=-Tlinkall.x");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    // Whoever wants two builds to be alike sets the variable; the meter refuses a clock that is before it.
    let given = env::var("SOURCE_DATE_EPOCH").ok();
    let seconds = given.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |since| since.as_secs())
    });
    println!("cargo:rustc-env=OFMON_BUILT_UTC_S={seconds}");
    println!("cargo:rerun-if-env-changed=OFMON_UPDATE_KEYS");
    let keys = env::var("OFMON_UPDATE_KEYS").unwrap_or_default();
    let file = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("update_keys.in");
    fs::write(file, array(&keys)).expect("cargo's folder can be written");
}

/// Turns Ed25519 public keys of 64 hexadecimal digits each, with commas between them, into an array of Rust.
fn array(keys: &str) -> String {
    let keys = keys.split(',').map(str::trim).filter(|key| !key.is_empty());
    let arrays: Vec<String> = keys.map(|key| format!("{:?}", bytes(key))).collect();
    assert!(
        arrays.len() <= 2,
        "OFMON_UPDATE_KEYS names more than two keys"
    );
    format!("&[{}]", arrays.join(","))
}

fn bytes(key: &str) -> Vec<u8> {
    let is_key = key.len() == 64 && key.bytes().all(|digit| digit.is_ascii_hexdigit());
    assert!(
        is_key,
        "OFMON_UPDATE_KEYS has {key:?}, no key of 64 hexadecimal digits"
    );
    let byte = |at: usize| u8::from_str_radix(&key[at..at + 2], 16).expect("digits");
    (0..64).step_by(2).map(byte).collect()
}
