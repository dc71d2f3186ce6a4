//! `ofmon firmware keygen`: a pair of keys.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Args;
use firmware_package::{
    SecretKey,
    keys::{fingerprint, hexadecimal, public_to_pem},
};
use serde::Serialize;

use crate::{
    context::Context,
    exit::{Kind, Problem},
};

const EXAMPLES: &str = "\
Examples:
  ofmon firmware keygen release              release.key and release.pub, here
  ofmon firmware keygen /media/stick/ofmon   on a stick that is kept in a drawer

NAME.key signs; only you can read it, and it is never overwritten. NAME.pub goes into firmware, by
`./x firmware image --key NAME.pub`. Both are PEM files, as `openssl genpkey -algorithm ed25519` writes them. The
fingerprint is the SHA-256 of the public key: `openssl pkey -pubin -in NAME.pub -outform DER | sha256sum`.";

/// Arguments of `firmware keygen`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Keygen {
    /// Name of the files, without .key and .pub
    #[arg(value_name = "NAME")]
    name: PathBuf,
}

/// The pair that was made; nothing of the private key.
#[derive(Serialize)]
struct Made {
    private_key_file: PathBuf,
    public_key_file: PathBuf,
    public_key: String,
    fingerprint: String,
}

impl Keygen {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let [private, public] = ["key", "pub"].map(|kind| with_ending(&self.name, kind));
        for path in [&private, &public] {
            if path.symlink_metadata().is_ok() {
                return Err(exists(path));
            }
        }
        let key = SecretKey::generate()?;
        write_new(&private, key.to_pem().as_bytes(), true)?;
        write_new(&public, public_to_pem(&key.public())?.as_bytes(), false)?;
        let made = Made {
            fingerprint: fingerprint(&key.public())?,
            public_key: hexadecimal(&key.public()),
            private_key_file: private,
            public_key_file: public,
        };
        context.output.print(&made, |made| {
            format!(
                "{} signs updates: keep it to yourself, and keep a copy.\n{} goes into firmware.\nFingerprint {}",
                made.private_key_file.display(),
                made.public_key_file.display(),
                made.fingerprint
            )
        })
    }
}

fn with_ending(name: &Path, ending: &str) -> PathBuf {
    let mut file = name.as_os_str().to_owned();
    file.push(".");
    file.push(ending);
    file.into()
}

fn exists(path: &Path) -> anyhow::Error {
    let hint = "a key is never overwritten: choose another name";
    Problem::usage(format!("{} is there already", path.display()), hint).into()
}

/// Writes a file that was not there, to the disk; a private one for the user alone.
fn write_new(path: &Path, bytes: &[u8], is_private: bool) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if is_private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let written = options.open(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists(path)),
        written => written.with_context(|| {
            let message = format!("{} cannot be written", path.display());
            Problem::new(Kind::Storage, message, "")
        }),
    }
}
