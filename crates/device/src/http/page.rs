//! `GET /`: the meter's own page, one file in itself.

use alloc::borrow::Cow;

use super::reply::{Body, Reply, Whole};
use crate::board::Board;

include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// Answers with the page.
///
/// It is not kept: the next meter has the same address, and may have another page.
pub(super) fn reply<'a, B: Board>() -> Reply<'a, B> {
    let page = Whole {
        content_type: "text/html; charset=utf-8",
        bytes: Cow::Borrowed(PAGE),
    };
    Reply::new(200, Body::Whole(page))
        .with("Content-Encoding", "gzip")
        .with("Cache-Control", "no-store")
        .with("Content-Security-Policy", POLICY)
        .with("Referrer-Policy", "no-referrer")
        .with("X-Content-Type-Options", "nosniff")
}
