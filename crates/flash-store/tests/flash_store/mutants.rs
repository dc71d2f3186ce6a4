//! The power cuts find faults that are planted: a copy of the store is changed, built and tried.
//!
//! The copy lies under `target` and is built there, with what is already downloaded.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// What the copy is made of.
const CRATES: [&str; 5] = [
    "flash-store",
    "littlefs",
    "nor-model",
    "protocol",
    "store-trials",
];

/// A text in a file of the store, and what takes its place.
type Patch = (&'static str, &'static str, &'static str);

const NO_CHECKSUM: &[Patch] = &[(
    "ring/entry.rs",
    "    intact.then(|| &body[TAG_BYTES..TAG_BYTES + length])",
    "    (intact || !intact).then(|| &body[TAG_BYTES..TAG_BYTES + length])",
)];

const NUMBER_COMES_AGAIN: &[Patch] = &[(
    "journal/mod.rs",
    "let next = cursor.next + astray + missing * SECTOR_READINGS_MAX;",
    "let next = cursor.next + missing * SECTOR_READINGS_MAX;",
)];

/// The journal lets go of what a segment is to hold before that is written.
const RELEASED_TOO_EARLY: &[Patch] = &[
    (
        "segments/seal.rs",
        "        let tier = Tier::Full;\n",
        "        self.journal.release(&mut self.flash, made.end)?;\n        let tier = Tier::Full;\n",
    ),
    (
        "journal/mod.rs",
        "    /// Returns how many bytes of the ring are in use.\n",
        "    pub(crate) fn release<F: NorFlash>(&mut self, flash: &mut F, end: u64) -> Result<(), Fault> {
        self.ring.release(flash, end)?;
        self.oldest = self.oldest_held(flash)?;
        Ok(())
    }

    /// Returns how many bytes of the ring are in use.\n",
    ),
    (
        "ring/mod.rs",
        "    /// Returns the bytes between tail and the next entry.\n",
        "    pub(crate) fn release<F: NorFlash>(&mut self, flash: &mut F, end: u64) -> Result<(), Fault> {
        for sequence in self.tail..self.head.unwrap_or(0) {
            let next = self.load(flash, sequence + 1)?;
            if next.is_some_and(|next| next.base <= end) {
                sector::erase(flash, self.address(sequence))?;
            }
        }
        self.find_tail(flash)
    }

    /// Returns the bytes between tail and the next entry.\n",
    ),
];

#[test]
fn power_cuts_find_planted_faults() {
    let copy = Copy::make();
    let sound = copy.try_with(&[]);
    assert!(sound.status.success(), "the copy is sound: {sound:?}");
    for (name, patches) in [
        ("no checksum", NO_CHECKSUM),
        ("a number comes again", NUMBER_COMES_AGAIN),
        ("released too early", RELEASED_TOO_EARLY),
    ] {
        let tried = copy.try_with(patches);
        let told = String::from_utf8_lossy(&tried.stdout);
        println!("{name}: {told}");
        let is_found = told.contains("failed: ") && told.contains("operation: Some(");
        assert_eq!(tried.status.code(), Some(1), "{name}: {tried:?}");
        assert!(is_found, "{name} is found by a cut");
    }
}

/// A copy of the crates that are tried.
struct Copy {
    folder: PathBuf,
    store: PathBuf,
}

impl Copy {
    fn make() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
        let store = Path::new(env!("CARGO_MANIFEST_DIR"));
        let crates = store.parent().expect("crates lie in a folder");
        let root = crates.parent().expect("the folder lies in the workspace");
        for name in CRATES {
            let to = folder.join("crates").join(name);
            // A file that is no more must not be built.
            let _ = fs::remove_dir_all(to.join("tests"));
            copy_if_new(&crates.join(name).join("Cargo.toml"), &to);
            for part in ["src", "examples"] {
                copy_folder(&crates.join(name).join(part), &to.join(part));
            }
        }
        copy_if_new(&root.join("Cargo.lock"), &folder);
        let manifest = read(&root.join("Cargo.toml"));
        let members = "members = [\"crates/*\", \"xtask\"]";
        write_if_new(
            &folder.join("Cargo.toml"),
            &replaced(&manifest, members, "members = [\"crates/*\"]"),
        );
        Self {
            store: store.join("src"),
            folder,
        }
    }

    /// Builds the copy with some texts replaced, and tries it.
    fn try_with(&self, patches: &[Patch]) -> Output {
        let place = |file: &str| self.folder.join("crates/flash-store/src").join(file);
        for (file, old, new) in patches {
            let text = read(&self.store.join(file));
            write_if_new(&place(file), &replaced(&text, old, new));
        }
        let output = Command::new(env!("CARGO"))
            .args(["run", "--offline", "--quiet", "--package", "store-trials"])
            .args(["--example", "cuts", "quick"])
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", self.folder.join("target"))
            .env("RUST_BACKTRACE", "0")
            .output()
            .expect("cargo can be called");
        for (file, ..) in patches {
            write_if_new(&place(file), &read(&self.store.join(file)));
        }
        output
    }
}

fn replaced(text: &str, old: &str, new: &str) -> String {
    let count = text.matches(old).count();
    assert_eq!(count, 1, "the text to be replaced is there once: {old}");
    text.replace(old, new)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Writes a file unless it is so already, so that what did not change is not built anew.
fn write_if_new(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|held| held == text) {
        return;
    }
    fs::create_dir_all(path.parent().expect("a file lies in a folder")).unwrap();
    fs::write(path, text).unwrap();
}

fn copy_if_new(file: &Path, to: &Path) {
    let name = file.file_name().expect("a file has a name");
    write_if_new(&to.join(name), &read(file));
}

/// Copies a folder of texts; what is not in it goes.
fn copy_folder(from: &Path, to: &Path) {
    let names = |folder: &Path| -> Vec<_> {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    };
    let wanted = names(from);
    for name in names(to) {
        if !wanted.contains(&name) {
            let old = to.join(name);
            fs::remove_file(&old)
                .or_else(|_| fs::remove_dir_all(&old))
                .unwrap();
        }
    }
    for name in wanted {
        let file = from.join(name);
        match file.is_dir() {
            true => copy_folder(&file, &to.join(file.file_name().expect("it has a name"))),
            false => copy_if_new(&file, to),
        }
    }
}
