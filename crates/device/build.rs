//! Packs the meter's own page: `page/index.html` with its comments and indentation taken out, in gzip.
//!
//! Script and style stand in the page itself, and the policy that the page is sent with lets in those two alone, by their
//! hashes.

use std::{env, fs, io::Write as _, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};

const SOURCE: &str = "page/index.html";
/// What the page may take on the way, in bytes.
const PACKED_BYTES_MAX: usize = 25 * 1024;

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=build.rs");
    let page = without_indentation(&fs::read_to_string(SOURCE).expect("the page is there"));
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash_of(&page, "script"),
        hash_of(&page, "style"),
    );
    // Without a date and a name, so that the same page gives the same bytes.
    let mut packer = GzBuilder::new().write(Vec::new(), Compression::best());
    let written = packer.write_all(page.as_bytes());
    let packed = written
        .and_then(|()| packer.finish())
        .expect("memory does not fail");
    assert!(
        packed.len() <= PACKED_BYTES_MAX,
        "the page takes {} bytes, {PACKED_BYTES_MAX} at the most",
        packed.len()
    );
    let out = env::var("OUT_DIR").expect("cargo says where");
    let out = Path::new(&out);
    fs::write(out.join("page.gz"), &packed).expect("the folder can be written");
    let text = format!(
        "/// The page, packed with gzip.\n\
         const PAGE: &[u8] = include_bytes!(concat!(env!(\"OUT_DIR\"), \"/page.gz\"));\n\
         /// What the page may do.\n\
         const POLICY: &str = {policy:?};\n"
    );
    fs::write(out.join("page.rs"), text).expect("the folder can be written");
}

/// Takes out what only readers of the source need: lines that are comments, indentation, empty lines.
///
/// The page's script and style are written so that this changes nothing else: a line that begins with `//` is a comment.
fn without_indentation(source: &str) -> String {
    let lines = source.lines().map(str::trim);
    let kept = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
    kept.flat_map(|line| [line, "\n"]).collect()
}

/// Returns the policy's name for what stands between the only two tags of this name.
fn hash_of(page: &str, tag: &str) -> String {
    let (begin, end) = (format!("<{tag}>"), format!("</{tag}>"));
    let (_, rest) = page.split_once(&begin).expect("the page has it");
    let (text, rest) = rest.split_once(&end).expect("it ends");
    assert!(!rest.contains(&begin), "the page has one {tag}");
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}
