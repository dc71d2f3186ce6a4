//! Puts the web page where the program embeds it from: the built one, or a page that says that it is not built.
//!
//! `cargo build` needs no Node: without `ui/dist` everything works but the page, and the build says so.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let crate_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("Cargo sets it"));
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets it"));
    let built = crate_dir.join("../../ui/dist");
    let embedded = out_dir.join("ui");
    println!("cargo::rerun-if-changed={}", built.display());
    println!("cargo::rerun-if-changed=not-built.html");
    if embedded.exists() {
        fs::remove_dir_all(&embedded)?;
    }
    if built.join("index.html").is_file() {
        copy_dir(&built, &embedded)
    } else {
        println!(
            "cargo::warning=the web page is not built: `npm ci && npm run build` in ui/, or `./x demo`"
        );
        fs::create_dir_all(&embedded)?;
        fs::copy(
            crate_dir.join("not-built.html"),
            embedded.join("index.html"),
        )
        .map(drop)
    }
}

fn copy_dir(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
