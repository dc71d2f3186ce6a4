//! Rewriting segments with fewer readings.
//!
//! The oldest segments of a tier, as many as fit into one of the next tier, are merged into it. Readings of one run are
//! merged across the segments they come from; nothing is merged across a restart or a gap.

use embedded_storage::nor_flash::NorFlash;
use protocol::{
    Seq,
    merge::Merger,
    reading::Tier,
    run::Run,
    segment::{Full, file::SegmentWriter},
};

use super::{Held, identity_of, load};
use crate::{
    FlashStore, WriteError,
    error::Fault,
    files::{path, segments},
};

/// Segments that are merged at once at the most.
const GROUP_MAX: usize = 64;
/// Segments that are left out at the most because they do not go with the next one.
const SKIPPED_MAX: usize = 4;
/// Pairs that are looked at for two that fit into one.
const PAIRS_MAX: usize = 3;

/// What merging some segments came to.
enum Merged {
    /// They are one file of so many bytes.
    Whole(usize),
    /// Only so many of them fit.
    Fits(usize),
    /// The one at this place cannot be read.
    Unreadable(usize),
}

/// How full a merged file has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// No segment more would fit into it.
    Whole,
    /// As it comes.
    Any,
}

impl<F: NorFlash> FlashStore<F> {
    /// Rewrites at least two segments of a tier as one of a coarser; false where there are none that can be.
    pub(crate) fn coarsen(&mut self, from: Tier, to: Tier, fill: Fill) -> Result<bool, WriteError> {
        let group: heapless::Vec<Held, GROUP_MAX> = (self.index.all().iter())
            .skip_while(|held| held.tier != from)
            .take_while(|held| held.tier == from)
            .take(GROUP_MAX)
            .copied()
            .collect();
        let (mut first, mut end) = (0, group.len());
        let mut is_filled = group.is_full();
        while end.saturating_sub(first) >= 2 && first <= SKIPPED_MAX {
            match self.merge(&group[first..end], to)? {
                Merged::Whole(_) if fill == Fill::Whole && !is_filled => return Ok(false),
                Merged::Whole(bytes) => {
                    self.put(&group[first..end], to, bytes)?;
                    return Ok(true);
                }
                Merged::Fits(count) | Merged::Unreadable(count) if count >= 2 => {
                    (end, is_filled) = (first + count, true);
                }
                // The first does not go with the second; the others may.
                Merged::Fits(_) => (first, end) = (first + 1, group.len()),
                // What cannot be read stays as it is: its numbers are served as lost.
                Merged::Unreadable(count) => (first, end) = (first + count + 1, group.len()),
            }
        }
        Ok(false)
    }

    /// Makes one of two of the newest segments of the coarsest tier, where two fit into one; false where none do.
    pub(crate) fn compact(&mut self) -> Result<bool, WriteError> {
        let tier = Tier::Quarter;
        let end = (self.index.all()).partition_point(|held| held.tier == tier);
        for second in (1..end).rev().take(PAIRS_MAX) {
            let pair = [self.index.all()[second - 1], self.index.all()[second]];
            if let Merged::Whole(bytes) = self.merge(&pair, tier)? {
                self.put(&pair, tier, bytes)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes the merged file and removes what it covers.
    fn put(&mut self, group: &[Held], tier: Tier, bytes: usize) -> Result<(), WriteError> {
        let (base, end) = (group[0].base, group[group.len() - 1].end());
        let count = u32::try_from(end - base).map_err(|_| WriteError::OutOfRange)?;
        let path = path(segments(tier), base, count);
        let files = self.files.as_mut().ok_or(WriteError::Damaged)?;
        files.write(&mut self.flash, &path, &self.workspace.made[..bytes])?;
        self.index.replace(Held {
            base,
            count,
            tier,
            sector: None,
        });
        self.remove_left_over()
    }

    fn merge(&mut self, group: &[Held], to: Tier) -> Result<Merged, Fault> {
        let Some(around) = self.bounds_of(&group[0])? else {
            return Ok(Merged::Unreadable(0));
        };
        let Self {
            flash,
            files,
            workspace,
            owner,
            ..
        } = self;
        let writer = SegmentWriter::new(
            &mut workspace.made,
            &mut workspace.writer,
            identity_of(&owner.identity),
            to,
            Seq(group[0].base),
            &around.before,
        );
        let mut target = Target {
            writer: writer.expect("a block holds the header"),
            to,
            merger: None,
            goes_on: None,
        };
        let mut registers = None;
        for (index, held) in group.iter().enumerate() {
            let identity = &owner.identity;
            let file = &mut workspace.file;
            let Some(segment) = load(files.as_mut(), flash, identity, held, file)? else {
                return Ok(Merged::Unreadable(index));
            };
            for view in segment.runs() {
                if target.begin(&view.run).is_err() {
                    return Ok(Merged::Fits(index));
                }
                let mut readings = view.readings(&mut *workspace.reader);
                let mut numbers = 0;
                while numbers < view.count {
                    let Ok(reading) = readings.next_reading() else {
                        return Ok(Merged::Unreadable(index));
                    };
                    numbers += reading.span;
                    let merged = target
                        .merger
                        .as_mut()
                        .and_then(|merger| merger.push(&reading));
                    if merged.is_some_and(|merged| target.writer.push(&merged).is_err()) {
                        return Ok(Merged::Fits(index));
                    }
                }
                target.goes_on = Some(end_of(&view.run, view.count));
            }
            registers = Some(segment.end_registers().clone());
        }
        let (Ok(()), Some(registers)) = (target.flush(), registers) else {
            return Ok(Merged::Fits(group.len() - 1));
        };
        let end = group[group.len() - 1].end();
        Ok(Merged::Whole(target.writer.finish(Seq(end), &registers)))
    }
}

/// Where a run ends: number and uptime of what would follow, and the run.
fn end_of(run: &Run, count: u32) -> Run {
    Run {
        first: run.first + u64::from(count),
        skipped: 0,
        uptime_ms: run.uptime_ms_at(count.into()),
        ..run.clone()
    }
}

/// The file that is being made.
struct Target<'a> {
    writer: SegmentWriter<'a>,
    to: Tier,
    merger: Option<Merger>,
    /// What a run must begin with to go on with the one before.
    goes_on: Option<Run>,
}

impl Target<'_> {
    /// Begins a run, or goes on with the one before.
    fn begin(&mut self, run: &Run) -> Result<(), Full> {
        let goes_on = self.goes_on.take().is_some_and(|end| {
            (end.first, end.skipped, end.uptime_ms) == (run.first, run.skipped, run.uptime_ms)
                && (end.boot, end.params) == (run.boot, run.params)
        });
        if goes_on {
            return Ok(());
        }
        self.flush()?;
        self.merger = Some(Merger::new(self.to.numbers_max(run.params.interval_ms)));
        self.writer.begin_run(run)
    }

    fn flush(&mut self) -> Result<(), Full> {
        let merged = self.merger.take().and_then(|mut merger| merger.finish());
        merged.map_or(Ok(()), |merged| self.writer.push(&merged))
    }
}
