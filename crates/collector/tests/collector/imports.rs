//! Saved files: whole, cut, damaged, of others, and made by a meter that lies.

use collector::{
    Kind, WallClock,
    error::Error,
    import::{ImportError, Imported, import},
    secrets::{Secret, Secrets},
    store::{History, SharedStore},
};
use protocol::{
    DeviceId, Seq,
    authentication::{Key, Nonce},
    event::{Event, What},
    frame::{FRAME_BYTES_MAX, FrameHeader, HEADER_BYTES as FRAME_HEADER_BYTES},
    saved::{HEADER_BYTES, Header, Payload, SavedError},
};
use tempfile::TempDir;

use crate::{
    meter::{DEVICE, HISTORY, Meter, TOKEN, block, block_of, numbers},
    visits::{store, visit},
};

/// Builds a file as a meter does, for a token of one's choice.
struct File {
    bytes: Vec<u8>,
    /// Where each frame ends.
    ends: Vec<usize>,
}

fn header(from: u64, next: u64) -> Header {
    Header {
        device: DEVICE,
        store: HISTORY.store,
        boot: 1,
        uptime_ms: 123_456,
        from: Seq(from),
        next: Seq(next),
        nonce: Nonce([3; 20]),
    }
}

fn file_with(token: &str, header: Header, blocks: &[Vec<u8>], pages: &[Vec<Event>]) -> File {
    let key = Key::derive(token, header.device);
    let (bytes, mac) = header.seal(&key);
    let mut file = File {
        bytes: bytes.to_vec(),
        ends: Vec::new(),
    };
    let mut add = |last, fill: &dyn Fn(Payload<'_>) -> usize| {
        let mut frame = vec![0; FRAME_BYTES_MAX];
        let length = fill(Payload::new(&mut frame[FRAME_HEADER_BYTES..]));
        let header = FrameHeader {
            length,
            index: file.ends.len() as u32,
            last,
        };
        let end = header.seal(&key, &mac, &mut frame);
        file.bytes.extend(&frame[..end]);
        file.ends.push(file.bytes.len());
    };
    for block in blocks {
        add(false, &|mut payload| {
            payload.block_room()[..block.len()].copy_from_slice(block);
            payload.block(block.len())
        });
    }
    for events in pages {
        add(false, &|mut payload| {
            assert!(events.iter().all(|event| payload.push_event(event)));
            payload.events()
        });
    }
    add(true, &|payload| payload.events());
    file
}

/// Blocks of 20 readings from one number to another.
fn blocks(from: u64, next: u64) -> Vec<Vec<u8>> {
    (from..next)
        .step_by(20)
        .map(|first| block(first, next.min(first + 20)))
        .collect()
}

fn file(from: u64, next: u64) -> File {
    file_with(
        TOKEN,
        header(from, next),
        &blocks(from, next),
        &[vec![event(0), event(1)]],
    )
}

fn event(number: u64) -> Event {
    Event {
        number,
        boot: 1,
        uptime_ms: 5,
        what: What::SetUp,
    }
}

fn secrets(directory: &TempDir, token: &str) -> Secrets {
    let mut secrets = Secrets::open(directory.path()).unwrap();
    let name = format!("token:{DEVICE}");
    secrets.set(&name, Secret::new(token.to_owned())).unwrap();
    secrets
}

/// A store and the token of the meter.
fn place() -> (TempDir, SharedStore, Secrets) {
    let (directory, store) = store();
    let secrets = secrets(&directory, TOKEN);
    (directory, store, secrets)
}

fn take(store: &SharedStore, secrets: &Secrets, bytes: &[u8]) -> (Imported, Result<(), Error>) {
    let now_ms = WallClock::default().now_ms();
    import(
        &mut store.lock(),
        secrets,
        &mut &*bytes,
        now_ms,
        &mut |_| {},
    )
}

fn expect(range: std::ops::Range<u64>) -> Vec<u64> {
    range.collect()
}

#[tokio::test]
async fn a_file_brings_what_visits_did_not_and_the_next_visit_goes_on_behind_it() {
    let meter = Meter::start(50, 20).await;
    let (_directory, store, secrets) = place();
    visit(&store, &meter).await.1.unwrap();
    // The anchor of that visit is the log's first event here.
    let events = store.lock().events(HISTORY).unwrap();
    let log = [events, vec![event(1)]].concat();
    let file = file_with(
        TOKEN,
        header(0, 200),
        &blocks(0, 200),
        std::slice::from_ref(&log),
    );
    let (imported, ended) = take(&store, &secrets, &file.bytes);
    ended.unwrap();
    assert_eq!((imported.readings_new, imported.conflicts), (150, 0));
    assert_eq!((imported.blocks, imported.events), (10, 2));
    assert_eq!(imported.bytes, file.bytes.len() as u64);
    assert_eq!(imported.cursor, Seq(200));
    assert_eq!(numbers(&store.lock()), expect(0..200));
    assert_eq!(store.lock().events(HISTORY).unwrap(), log);
    assert_eq!(meter.inner().acknowledged, Some(Seq(50)));
    {
        let mut inner = meter.inner();
        inner.blocks = blocks(0, 260);
        inner.next = 260;
        inner.events = log;
        inner.liar = Some(|inner, from| {
            assert!(from >= 200, "{from} was asked for again");
            (inner.blocks[(from / 20) as usize..].to_vec(), true)
        });
    }
    let (collected, ended) = visit(&store, &meter).await;
    ended.unwrap();
    assert_eq!((collected.readings_new, collected.conflicts), (60, 0));
    assert_eq!(numbers(&store.lock()), expect(0..260));
}

#[test]
fn a_file_twice_and_an_older_one_later_change_nothing() {
    let (_directory, store, secrets) = place();
    for (next, new) in [(200, 200), (200, 0), (90, 0), (230, 30)] {
        let (imported, ended) = take(&store, &secrets, &file(0, next).bytes);
        ended.unwrap();
        assert_eq!((imported.readings_new, imported.conflicts), (new, 0));
        assert!(imported.cursor >= Seq(200));
    }
    assert_eq!(numbers(&store.lock()), expect(0..230));
    assert_eq!(store.lock().events(HISTORY).unwrap().len(), 2);
}

#[test]
fn the_cursor_passes_over_what_the_meter_was_asked_for_and_no_longer_held() {
    let (_directory, store, secrets) = place();
    let forgotten = file_with(TOKEN, header(0, 100), &blocks(60, 100), &[]);
    let (imported, ended) = take(&store, &secrets, &forgotten.bytes);
    ended.unwrap();
    assert_eq!((imported.readings_new, imported.cursor), (40, Seq(100)));
    // A file from a number on tells nothing of what is before.
    let (_directory, store, secrets) = place();
    let (imported, ended) = take(&store, &secrets, &file(60, 100).bytes);
    ended.unwrap();
    assert_eq!((imported.readings_new, imported.cursor), (40, Seq(0)));
    // Not even where it begins with a gap of its own: what lies below 50 was never asked for.
    let later = file_with(TOKEN, header(50, 120), &blocks(100, 120), &[]);
    let (imported, _) = take(&store, &secrets, &later.bytes);
    assert_eq!((imported.readings_new, imported.cursor), (20, Seq(0)));
    let gap = [blocks(0, 20), blocks(60, 80)].concat();
    let (imported, _) = take(
        &store,
        &secrets,
        &file_with(TOKEN, header(0, 80), &gap, &[]).bytes,
    );
    assert_eq!((imported.readings_new, imported.cursor), (20, Seq(120)));
}

#[test]
fn of_a_file_cut_anywhere_what_came_whole_is_kept() {
    let whole = file(0, 60);
    let (_directory, store, secrets) = place();
    let mut held = 0;
    for length in HEADER_BYTES..whole.bytes.len() {
        let (imported, ended) = take(&store, &secrets, &whole.bytes[..length]);
        let error = ended.unwrap_err();
        assert!(matches!(error, Error::Import(ImportError::Cut)), "{error}");
        assert_eq!(error.kind(), Kind::Partial);
        let frames = whole.ends.iter().filter(|end| **end <= length).count();
        let blocks = frames.min(3);
        assert_eq!(imported.blocks, blocks as u64, "cut at {length}");
        held += imported.readings_new;
        assert_eq!(held, blocks as u64 * 20, "cut at {length}");
        assert_eq!(numbers(&store.lock()), expect(0..held));
    }
    assert_eq!(held, 60);
    for length in [0, 1, HEADER_BYTES - 1] {
        let error = take(&store, &secrets, &whole.bytes[..length])
            .1
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt);
    }
}

#[test]
fn no_changed_byte_gets_in() {
    let whole = file(0, 40);
    let (directory, store) = store();
    let secrets = secrets(&directory, TOKEN);
    for at in 0..whole.bytes.len() {
        let mut changed = whole.bytes.clone();
        changed[at] ^= 0x10;
        let (imported, ended) = take(&store, &secrets, &changed);
        let error = ended.unwrap_err();
        assert_eq!(imported.conflicts, 0);
        // Whatever a changed header claims, nothing vouches for it.
        let kinds: &[Kind] = match at {
            0..5 => &[Kind::Corrupt],
            5..HEADER_BYTES => &[Kind::Refused],
            // A longer frame ends behind the file.
            _ => &[Kind::Corrupt, Kind::Partial],
        };
        assert!(kinds.contains(&error.kind()), "{error} at {at}");
        let good = whole.ends.iter().filter(|end| **end <= at).count();
        assert_eq!(imported.blocks, good.min(2) as u64, "{error} at {at}");
    }
    assert_eq!(store.lock().histories(DEVICE).unwrap(), [HISTORY]);
    assert_eq!(numbers(&store.lock()), expect(0..40));
    let mut added = whole.bytes;
    added.push(0);
    let error = take(&store, &secrets, &added).1.unwrap_err();
    assert!(
        matches!(error, Error::Import(ImportError::Added)),
        "{error}"
    );
}

#[test]
fn a_file_needs_the_token_of_its_meter() {
    let (directory, store) = store();
    let none = Secrets::open(directory.path()).unwrap();
    let (imported, ended) = take(&store, &none, &file(0, 20).bytes);
    let error = ended.unwrap_err();
    assert!(
        matches!(error, Error::Import(ImportError::UnknownMeter(device)) if device == DEVICE),
        "{error}"
    );
    assert_eq!((error.kind(), imported.header), (Kind::Refused, None));
    let secrets = secrets(&directory, "another-token-of-twenty");
    let error = take(&store, &secrets, &file(0, 20).bytes).1.unwrap_err();
    let refused = ImportError::Saved(SavedError::NotAuthentic);
    assert_eq!(error.to_string(), refused.to_string());
    assert_eq!(error.kind(), Kind::Refused);
    assert!(store.lock().devices().unwrap().is_empty());
}

#[test]
fn what_is_no_such_file_is_refused_without_reading_it_all() {
    let (_directory, store, secrets) = place();
    let zeros = || std::io::Read::take(std::io::repeat(0), 1 << 40);
    let mut endless = zeros();
    let (imported, ended) = import(&mut store.lock(), &secrets, &mut endless, 0, &mut |_| {});
    assert_eq!(ended.unwrap_err().kind(), Kind::Corrupt);
    assert!(imported.bytes < 1 << 20);
    // Behind a good beginning too.
    let begun = file(0, 20);
    let good = &begun.bytes[..begun.ends[0]];
    let mut endless = std::io::Read::chain(good, zeros());
    let (imported, ended) = import(&mut store.lock(), &secrets, &mut endless, 0, &mut |_| {});
    assert_eq!(ended.unwrap_err().kind(), Kind::Corrupt);
    assert!(imported.bytes < 1 << 20 && imported.blocks == 1);
}

#[test]
fn a_meter_that_lies_in_its_file_is_noticed() {
    let mut other_device = HISTORY;
    other_device.device = DeviceId([9; 6]);
    let mut other_store = HISTORY;
    other_store.store.0 ^= 1;
    let mut damaged = block(20, 40);
    damaged[70] ^= 1;
    let second = |history: History| block_of(history, 20, 40);
    for lie in [
        second(other_device),
        second(other_store),
        damaged,
        block(0, 20),
        Vec::new(),
    ] {
        let (_directory, store, secrets) = place();
        let blocks = [block(0, 20), lie, block(40, 60)];
        let file = file_with(TOKEN, header(0, 60), &blocks, &[]);
        let error = take(&store, &secrets, &file.bytes).1.unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt, "{error}");
        assert_eq!(numbers(&store.lock()), expect(0..20), "{error}");
        assert_eq!(store.lock().devices().unwrap().len(), 1);
    }
    for pages in [
        vec![vec![event(1), event(0)]],
        vec![vec![event(1), event(1)]],
        vec![vec![event(0), event(1)], vec![event(1)]],
    ] {
        let (_directory, store, secrets) = place();
        let file = file_with(TOKEN, header(0, 20), &blocks(0, 20), &pages);
        let (imported, ended) = take(&store, &secrets, &file.bytes);
        assert_eq!(ended.unwrap_err().kind(), Kind::Corrupt);
        assert_eq!(imported.readings_new, 20);
        let kept = pages.len() as u64 - 1;
        assert_eq!(store.lock().events(HISTORY).unwrap().len() as u64, 2 * kept);
    }
}

#[test]
fn a_late_import_bounds_times_and_never_widens_what_is_known() {
    let (_directory, store, secrets) = place();
    let whole = file(0, 60);
    let import_at = |now_ms: i64| {
        let (_, ended) = import(
            &mut store.lock(),
            &secrets,
            &mut &*whole.bytes,
            now_ms,
            &mut |_| {},
        );
        ended.unwrap();
        store
            .lock()
            .time_line(HISTORY)
            .unwrap()
            .resolve(1, 600_000)
            .unwrap()
    };
    let late = import_at(2_000_000_000_000);
    assert!(late.estimated);
    let latest_ms = |time: collector::time_line::ResolvedTime| time.utc_ms;
    // Give or take what a crystal drifts in ten minutes.
    assert!(latest_ms(late) <= 2_000_000_000_000 + 1_000);
    // Known already: nothing arrives.
    assert_eq!(import_at(2_100_000_000_000), late);
}
