//! The compiler's own source out of Debian, for machines that may use a Debian
//! mirror but not rustup's server.
//!
//! apt is used with lists and sources of its own below `target/`, so that the
//! machine's sources stay as they are and no rights are needed. The mirror's
//! address is read from those sources: whoever set the machine up chose it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command;

/// The suite that carries new compilers for a stable Debian.
const SUITE: &str = "trixie-backports";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Downloads and unpacks the standard library's source for exactly `version` of
/// rustc into `folder`, and returns its `library` folder.
///
/// # Errors
/// When this is no Debian, no mirror of the machine's sources carries that version, or apt fails.
pub(crate) fn library_source(folder: &Path, version: &str) -> Result<PathBuf> {
    let library = folder.join(format!("usr/src/rustc-{version}/library"));
    let stamp = folder.join(format!("unpacked-{version}"));
    if stamp.exists() && library.exists() {
        return Ok(library);
    }
    let mirrors = mirrors_of_machine()?;
    let mut refusal = None;
    for mirror in &mirrors {
        match Private::open(folder, mirror).and_then(|apt| apt.unpack(version)) {
            Ok(()) if library.is_dir() => {
                fs::write(&stamp, "")?;
                return Ok(library);
            }
            Ok(()) => bail!("rust-src {version} has no {}", library.display()),
            Err(error) => refusal = Some(error),
        }
    }
    Err(refusal.context("apt's sources name no Debian mirror")?).with_context(|| {
        format!(
            "cannot take rust-src {version} from {SUITE} (OFMON_TARGETS=rustup is the other way)"
        )
    })
}

/// An apt whose sources, lists and cache are its own.
struct Private {
    folder: PathBuf,
    options: Vec<String>,
}

impl Private {
    fn open(folder: &Path, mirror: &str) -> Result<Self> {
        for name in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(name))?;
        }
        let signed_by = if Path::new(KEYRING).exists() {
            format!("[signed-by={KEYRING}] ")
        } else {
            String::new()
        };
        let sources = folder.join("sources.list");
        fs::write(&sources, format!("deb {signed_by}{mirror} {SUITE} main\n"))?;
        let options = [
            format!("Dir::Etc::sourcelist={}", sources.display()),
            "Dir::Etc::sourceparts=-".into(),
            format!("Dir::State::Lists={}", folder.join("lists").display()),
            format!("Dir::Cache={}", folder.join("cache").display()),
            // As root apt would download as `_apt`, which may not write below target/.
            "APT::Sandbox::User=root".into(),
        ];
        let apt = Self {
            folder: folder.into(),
            options: options.into(),
        };
        command::capture(&mut apt.command("apt-get", &["-q", "update"]))?;
        Ok(apt)
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).env("LC_ALL", "C");
        command
            .args(self.options.iter().flat_map(|option| ["-o", option]))
            .args(arguments);
        command
    }

    fn unpack(&self, version: &str) -> Result<()> {
        let offered = command::capture(&mut self.command("apt-cache", &["madison", "rust-src"]))?;
        let package = package_version(&offered, version).with_context(|| {
            format!(
                "not among the versions offered: {}",
                versions(&offered).join(", ")
            )
        })?;
        println!("downloading Debian's rust-src {package} (45 MB)");
        command::capture(&mut self.command(
            "apt-get",
            &["-q", "download", &format!("rust-src={package}")],
        ))?;
        let archives: Vec<_> = fs::read_dir(&self.folder)?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .collect();
        let [archive] = archives.as_slice() else {
            bail!(
                "apt-get download left {} packages in {}",
                archives.len(),
                self.folder.display()
            );
        };
        // Only the library: with the compiler it would be ten times as much.
        let mut reader = Command::new("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(archive)
            .stdout(Stdio::piped())
            .spawn()?;
        let tar = reader.stdout.take().context("dpkg-deb has no output")?;
        let wanted = format!("./usr/src/rustc-{version}/library");
        let unpacked = Command::new("tar")
            .arg("-xC")
            .arg(&self.folder)
            .arg(wanted)
            .stdin(tar)
            .status()?;
        if !unpacked.success() || !reader.wait()?.success() {
            bail!("cannot unpack {}", archive.display());
        }
        Ok(fs::remove_file(archive)?)
    }
}

/// Returns the second column of `apt-cache madison`.
fn versions(madison: &str) -> Vec<&str> {
    madison
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
        .collect()
}

/// Returns the package version that was made of exactly this compiler's source.
fn package_version(madison: &str, version: &str) -> Option<String> {
    let of_version = |offered: &&str| {
        offered
            .strip_prefix(version)
            .is_some_and(|rest| rest.starts_with(['+', '-', '~']))
    };
    versions(madison)
        .into_iter()
        .find(of_version)
        .map(str::to_owned)
}

fn mirrors_of_machine() -> Result<Vec<String>> {
    let folder = Path::new("/etc/apt");
    let mut files = vec![folder.join("sources.list")];
    if let Ok(entries) = fs::read_dir(folder.join("sources.list.d")) {
        files.extend(entries.filter_map(|entry| entry.ok().map(|entry| entry.path())));
    }
    files.sort();
    let mut mirrors = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        let found = match file.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => stanza_mirrors(&text),
            Some("list") => line_mirrors(&text),
            _ => continue,
        };
        for mirror in found {
            if !mirrors.contains(&mirror) {
                mirrors.push(mirror);
            }
        }
    }
    if mirrors.is_empty() {
        bail!(
            "OFMON_TARGETS=debian needs a Debian mirror in {}: there is none",
            folder.display()
        );
    }
    Ok(mirrors)
}

/// Reads `deb [options] URI suite components` lines.
fn line_mirrors(text: &str) -> Vec<String> {
    let mut mirrors = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.trim().strip_prefix("deb ") else {
            continue;
        };
        let rest = rest.trim_start();
        let rest = if rest.starts_with('[') {
            rest.split_once(']').map_or("", |(_, rest)| rest)
        } else {
            rest
        };
        let mut words = rest.split_whitespace();
        if let (Some(mirror), Some(suite)) = (words.next(), words.next())
            && is_archive(&[suite], &words.collect::<Vec<_>>())
        {
            mirrors.push(mirror.to_owned());
        }
    }
    mirrors
}

/// Reads stanzas of `Field: words` (deb822), continued by indented lines.
fn stanza_mirrors(text: &str) -> Vec<String> {
    let mut mirrors = Vec::new();
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| [line.trim_end(), "\n"])
        .collect();
    for stanza in text.split("\n\n") {
        let unfolded = stanza.replace("\n ", " ").replace("\n\t", " ");
        let field = |name: &str| -> Vec<&str> {
            let line = unfolded.lines().find_map(|line| {
                let (key, words) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then_some(words)
            });
            line.unwrap_or("").split_whitespace().collect()
        };
        let enabled = !field("Enabled")
            .iter()
            .any(|word| ["no", "false", "0"].contains(word));
        if enabled
            && field("Types").contains(&"deb")
            && is_archive(&field("Suites"), &field("Components"))
        {
            mirrors.extend(field("URIs").into_iter().map(str::to_owned));
        }
    }
    mirrors
}

/// Tells whether a source looks like the main archive, which has the backports too.
fn is_archive(suites: &[&str], components: &[&str]) -> bool {
    components.contains(&"main") && suites.iter().any(|suite| !suite.contains("security"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirror_is_read_from_stanzas_without_security_and_disabled_ones() {
        let text = "# the archive\nTypes: deb deb-src\n# comment inside\nURIs: http://mirror.example/debian\n  http://second.example/debian\n\
            Suites: bookworm\n bookworm-updates\nComponents: main contrib\nSigned-By: /x.gpg\n\n\
            Types: deb\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\nComponents: main\n\n\
            Types: deb\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n\n\
            Types: deb-src\nURIs: http://source.example/debian\nSuites: bookworm\nComponents: main\n";
        assert_eq!(
            stanza_mirrors(text),
            [
                "http://mirror.example/debian",
                "http://second.example/debian"
            ]
        );
    }

    #[test]
    fn mirror_is_read_from_lines_with_and_without_options() {
        let text = "#deb http://old.example/debian bookworm main\n\
            deb [arch=amd64 signed-by=/x.gpg] http://mirror.example/debian bookworm main contrib\n\
            deb-src http://source.example/debian bookworm main\n\
            deb http://security.example/debian bookworm-security main\n\
            deb  mirror+file:/etc/apt/mirrors/debian.list bookworm main\n\
            deb http://flat.example/repo ./\n";
        assert_eq!(
            line_mirrors(text),
            [
                "http://mirror.example/debian",
                "mirror+file:/etc/apt/mirrors/debian.list"
            ]
        );
    }

    #[test]
    fn package_is_of_exactly_the_compilers_version() {
        let offered = "  rust-src | 1.95.1+dfsg1-1~bpo13+1 | mirror Packages\n  rust-src | 1.95.0+dfsg1-2~bpo13+1 | mirror Packages\n";
        assert_eq!(
            package_version(offered, "1.95.0").as_deref(),
            Some("1.95.0+dfsg1-2~bpo13+1")
        );
        assert_eq!(package_version(offered, "1.95"), None);
        assert_eq!(package_version(offered, "1.94.0"), None);
    }
}
