//! Measures the claims of the project; `./x report` runs it.

use std::path::PathBuf;

use clap::Parser;

/// Measures the claims of the project and writes them to a file.
#[derive(Parser)]
enum Command {
    /// Measures one section, or all of them.
    Report {
        /// Section to measure.
        section: Option<String>,
        /// The file, one flat JSON object.
        #[arg(long, default_value = "target/report.json")]
        out: PathBuf,
        /// Directory for the documents that a section writes [default: beside the file].
        #[arg(long)]
        docs: Option<PathBuf>,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Command::Report { section, out, docs } = Command::parse();
    match section {
        Some(section) => e2e::report::measure(&section, &out, docs.as_deref()).await,
        None => {
            for section in e2e::report::SECTIONS {
                e2e::report::measure(section, &out, docs.as_deref()).await?;
            }
            Ok(())
        }
    }
}
