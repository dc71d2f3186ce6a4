//! Saved files: golden bytes, round trips, and every flip and cut found.

use proptest::{collection::vec, prelude::*};
use protocol::{
    DeviceId, Seq, StoreId,
    authentication::{Key, Mac, Nonce},
    event::{Event, ResetReason, What},
    frame::{FRAME_BYTES_MAX, FrameError, FrameHeader, HEADER_BYTES as FRAME_HEADER_BYTES},
    limits::BLOCK_BYTES_MAX,
    saved::{HEADER_BYTES, Header, Part, Payload, Reader, SavedError, Taken},
};

const HEADER: Header = Header {
    device: DeviceId([0x3c, 0x71, 0xbf, 0x00, 0x01, 0xfe]),
    store: StoreId(0x0102_0304_0506_0708),
    boot: 3,
    uptime_ms: 120_000,
    from: Seq(7),
    next: Seq(1000),
    nonce: Nonce([9; 20]),
};

fn key() -> Key {
    Key::derive("A1B2C3D4E5F6G7H8I9J0", HEADER.device)
}

/// A file as it grows.
struct File {
    bytes: Vec<u8>,
    mac: Mac,
    index: u32,
}

impl File {
    fn begin() -> Self {
        let (bytes, mac) = HEADER.seal(&key());
        Self {
            bytes: bytes.to_vec(),
            mac,
            index: 0,
        }
    }

    fn frame(mut self, last: bool, fill: impl FnOnce(Payload<'_>) -> usize) -> Self {
        let mut frame = vec![0xaa; FRAME_BYTES_MAX];
        let length = fill(Payload::new(&mut frame[FRAME_HEADER_BYTES..]));
        let header = FrameHeader {
            length,
            index: self.index,
            last,
        };
        let end = header.seal(&key(), &self.mac, &mut frame);
        self.bytes.extend(&frame[..end]);
        self.index += 1;
        self
    }

    fn block(self, block: &[u8]) -> Self {
        self.frame(false, |mut payload| {
            payload.block_room()[..block.len()].copy_from_slice(block);
            payload.block(block.len())
        })
    }

    fn events(self, events: &[Event]) -> Self {
        self.frame(false, |mut payload| {
            for event in events {
                assert!(payload.push_event(event));
            }
            payload.events()
        })
    }

    fn end(self) -> Vec<u8> {
        self.frame(true, |payload| payload.events()).bytes
    }
}

fn event(number: u64) -> Event {
    Event {
        number,
        boot: 3,
        uptime_ms: 60_000 + number,
        what: What::Started {
            reason: ResetReason::PowerOn,
            next: Seq(number),
        },
    }
}

#[derive(Debug, Default, PartialEq)]
struct Read {
    blocks: Vec<Vec<u8>>,
    events: Vec<Event>,
    has_ended: bool,
    bytes_left: usize,
}

/// Reads a file that comes in pieces of `piece` bytes; the second value is how it ended.
fn read(file: &[u8], piece: usize) -> (Read, Result<(), SavedError>) {
    let mut read = Read::default();
    let Some(header) = file.first_chunk::<HEADER_BYTES>() else {
        return (read, Err(SavedError::NotSaved));
    };
    let result = (|| {
        Header::parse(header)?;
        let mut reader = Reader::new(header, key())?;
        let (mut at, mut there) = (HEADER_BYTES, HEADER_BYTES);
        loop {
            match reader.take(&file[at..there])? {
                Taken::Needs(count) => {
                    assert!(at + count > there, "asks for what is there");
                    assert!(count <= FRAME_BYTES_MAX);
                    if there == file.len() {
                        return Ok(());
                    }
                    there = (there + piece).min(file.len());
                }
                Taken::Part { part, length } => {
                    match part {
                        Part::Block(block) => read.blocks.push(block.to_vec()),
                        Part::Events(events) => read.events.extend(events),
                        Part::End => assert!(reader.has_ended()),
                    }
                    at += length;
                }
                Taken::Ended => {
                    read.has_ended = true;
                    read.bytes_left = file.len() - at;
                    return Ok(());
                }
            }
        }
    })();
    (read, result)
}

#[test]
fn a_saved_file_has_golden_bytes() {
    let file = File::begin().block(b"block").events(&[event(4)]).end();
    let hex: String = file.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        concat!(
            "4f464d53013c71bf0001fe010203040506070803000000c0d4010000000000",
            "0700000000000000e803000000000000",
            "0909090909090909090909090909090909090909",
            "785076cd415cfe1c146f500f906b5d271cead413492fc4edfd2351db4dc29ee6",
            "06000000000000000000626c6f636b7fbd6d3543ce237c24cefd480bd4000e",
            "0b00000001000000000108000403e4d40300000425d0bb58f6ca25d182361cb3f786a6a7",
            "00000000020000000193409522bf1ef72151ac4eff0ea0242d",
        )
    );
}

#[test]
fn what_was_saved_is_read_back_however_it_comes() {
    let longest = vec![0x5a; BLOCK_BYTES_MAX];
    let events: Vec<Event> = (0..40).map(event).collect();
    let file = File::begin()
        .block(&longest)
        .block(b"b")
        .events(&events[..39])
        .events(&events[39..])
        .end();
    for piece in [1, 7, 4096, usize::MAX / 2] {
        let (read, result) = read(&file, piece);
        assert_eq!(result, Ok(()));
        assert_eq!(read.blocks, [longest.clone(), b"b".to_vec()]);
        assert_eq!(read.events, events);
        assert!(read.has_ended && read.bytes_left == 0);
    }
}

#[test]
fn an_event_too_many_waits_for_the_next_frame() {
    let mut buffer = vec![0; FRAME_BYTES_MAX];
    let mut payload = Payload::new(&mut buffer);
    let mut pushed = 0;
    while payload.push_event(&event(pushed)) {
        pushed += 1;
    }
    assert!(pushed > 300, "{pushed}");
    assert!(payload.events() <= BLOCK_BYTES_MAX);
}

#[test]
fn every_flipped_bit_is_found() {
    let file = File::begin().block(b"block").events(&[event(4)]).end();
    let whole = read(&file, usize::MAX / 2).0;
    for bit in 0..file.len() * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let (read, result) = read(&flipped, usize::MAX / 2);
        // A length that grew past the end looks like a cut; everything else is an error.
        assert!(result.is_err() || !read.has_ended, "bit {bit}");
        assert!(whole.blocks.starts_with(&read.blocks), "bit {bit}");
        assert!(whole.events.starts_with(&read.events), "bit {bit}");
    }
}

#[test]
fn every_cut_is_found_and_costs_only_the_frame_in_flight() {
    let file = File::begin()
        .block(b"block")
        .block(b"another")
        .events(&[event(4)])
        .end();
    let mut parts_before = 0;
    for length in HEADER_BYTES..file.len() {
        let (read, result) = read(&file[..length], 3);
        assert!(result.is_ok() && !read.has_ended, "cut at {length}");
        let parts = read.blocks.len() + read.events.len();
        assert!(parts >= parts_before, "cut at {length}");
        parts_before = parts;
    }
    assert_eq!(parts_before, 3);
    for length in 0..HEADER_BYTES {
        assert!(read(&file[..length], 3).1.is_err(), "cut at {length}");
    }
}

#[test]
fn parts_cannot_be_left_out_swapped_or_mixed_with_another_file() {
    let frame_of = |file: Vec<u8>| file[HEADER_BYTES..].to_vec();
    let one = frame_of(File::begin().block(b"one").bytes);
    let two = frame_of(File::begin().block(b"one").block(b"two").bytes)[one.len()..].to_vec();
    let file = File::begin().bytes;
    let error = |frames: &[&[u8]]| {
        let mut file = file.clone();
        frames.iter().for_each(|frame| file.extend(*frame));
        read(&file, usize::MAX / 2).1.unwrap_err()
    };
    let out_of_order = SavedError::Frame(FrameError::OutOfOrder);
    assert_eq!(error(&[&two]), out_of_order);
    assert_eq!(error(&[&one, &one]), out_of_order);
    let mut other = File::begin();
    other.mac = key().saved_mac(b"another header");
    let other = frame_of(other.block(b"one").bytes);
    assert_eq!(
        error(&[&other]),
        SavedError::Frame(FrameError::NotAuthentic)
    );
}

#[test]
fn an_authentic_frame_of_nonsense_is_an_error() {
    let content = |bytes: &'static [u8]| {
        let fill = |mut payload: Payload<'_>| {
            payload.block_room()[..bytes.len() - 1].copy_from_slice(&bytes[1..]);
            payload.block(bytes.len() - 1)
        };
        let mut file = File::begin();
        let mut frame = vec![0; FRAME_BYTES_MAX];
        let length = fill(Payload::new(&mut frame[FRAME_HEADER_BYTES..]));
        frame[FRAME_HEADER_BYTES] = bytes[0];
        let header = FrameHeader {
            length,
            index: 0,
            last: false,
        };
        let end = header.seal(&key(), &file.mac, &mut frame);
        file.bytes.extend(&frame[..end]);
        read(&file.bytes, usize::MAX / 2).1.unwrap_err()
    };
    for nonsense in [
        &b"\x02abc"[..],
        b"\x01",
        b"\x01\x05\x00abc",
        b"\x01\x01\x00a",
        b"\x01\x00",
    ] {
        assert_eq!(content(nonsense), SavedError::Content, "{nonsense:?}");
    }
    let empty = File::begin().frame(false, |payload| payload.events()).bytes;
    let error = read(&empty, 1).1.unwrap_err();
    assert_eq!(error, SavedError::Frame(FrameError::Malformed));
}

#[test]
fn other_files_other_versions_and_other_keys_are_told_apart() {
    let (bytes, _) = HEADER.seal(&key());
    assert_eq!(Header::parse(&bytes), Ok(HEADER));
    let mut newer = bytes;
    newer[4] = 2;
    assert_eq!(Header::parse(&newer), Err(SavedError::Version(2)));
    newer[0] = b'X';
    assert_eq!(Header::parse(&newer), Err(SavedError::NotSaved));
    let other = Key::derive("A1B2C3D4E5F6G7H8I9J1", HEADER.device);
    let refused = Reader::new(&bytes, other).unwrap_err();
    assert_eq!(refused, SavedError::NotAuthentic);
}

proptest! {
    #[test]
    fn any_blocks_and_events_survive(
        blocks in vec(vec(any::<u8>(), 0..200), 0..5),
        numbers in vec(any::<u64>(), 1..9),
        piece in 1usize..300,
    ) {
        let events: Vec<Event> = numbers.into_iter().map(|number| Event { uptime_ms: 5, ..event(number / 2) }).collect();
        let mut file = File::begin();
        for block in &blocks {
            file = file.block(block);
        }
        let (read, result) = read(&file.events(&events).end(), piece);
        prop_assert_eq!(result, Ok(()));
        prop_assert_eq!(read, Read { blocks, events, has_ended: true, bytes_left: 0 });
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in vec(any::<u8>(), 0..400),
        at in any::<prop::sample::Index>(),
    ) {
        let mut file = File::begin().block(b"block").events(&[event(4)]).end();
        let at = HEADER_BYTES + at.index(file.len() - HEADER_BYTES);
        file.truncate(at);
        file.extend(&bytes);
        let _ = read(&file, 64);
        let _ = read(&bytes, 64);
    }
}
