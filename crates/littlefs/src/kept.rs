//! What a mount knows between calls: numbers, no pointers.

use littlefs_rust_core::Lfs;

/// What a mount knows between calls.
#[derive(Clone, Copy, Default)]
pub(crate) struct Kept {
    root: [u32; 2],
    seed: u32,
    global: [[u32; 3]; 3],
    lookahead: [u32; 4],
    limits: [u32; 5],
}

impl Kept {
    pub(crate) fn of(lfs: &Lfs) -> Self {
        let global = |tag, pair: [u32; 2]| [tag, pair[0], pair[1]];
        let ahead = &lfs.lookahead;
        Self {
            root: lfs.root,
            seed: lfs.seed,
            global: [
                global(lfs.gstate.tag, lfs.gstate.pair),
                global(lfs.gdisk.tag, lfs.gdisk.pair),
                global(lfs.gdelta.tag, lfs.gdelta.pair),
            ],
            lookahead: [ahead.start, ahead.size, ahead.next, ahead.ckpoint],
            limits: [
                lfs.block_count,
                lfs.name_max,
                lfs.file_max,
                lfs.attr_max,
                lfs.inline_max,
            ],
        }
    }

    pub(crate) fn restore(&self, lfs: &mut Lfs) {
        lfs.root = self.root;
        lfs.seed = self.seed;
        let [gstate, gdisk, gdelta] = self.global;
        for (place, [tag, first, second]) in [
            (&mut lfs.gstate, gstate),
            (&mut lfs.gdisk, gdisk),
            (&mut lfs.gdelta, gdelta),
        ] {
            place.tag = tag;
            place.pair = [first, second];
        }
        let ahead = &mut lfs.lookahead;
        [ahead.start, ahead.size, ahead.next, ahead.ckpoint] = self.lookahead;
        [
            lfs.block_count,
            lfs.name_max,
            lfs.file_max,
            lfs.attr_max,
            lfs.inline_max,
        ] = self.limits;
    }
}
