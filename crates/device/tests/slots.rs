//! Firmware slots on the model of a NOR flash, with a bootloader that knows nothing of `device`.

use device::{
    flash_map::{CHIP_BYTES, OTADATA, SECTOR_BYTES, SLOTS, STARTS},
    slots::{STARTS_ON_TRIAL, Slot, Slots, Start},
    update::{self, Running, Update, UpdateError},
};
use nor_model::{Fault, Nor, Torn};
use protocol::firmware::Header;
use sha2::{Digest, Sha256};

/// Lengths of the images: within a page, whole sectors, whole pages.
const IMAGE_BYTES: [usize; 3] = [9_001, 8_192, 5_120];
const RUNNING: Running<'static> = Running {
    chip: "esp32c3",
    version: "0.2.0",
    keys: &[],
    takes_unsigned: true,
};

/// Image 0, 1 or 2: none begins as another.
fn image(number: usize) -> Vec<u8> {
    let byte = |at: usize| (at * 31 / 7 + number * 101) as u8;
    (0..IMAGE_BYTES[number]).map(byte).collect()
}

fn header(image: &[u8]) -> Header {
    Header {
        product: "ofmon".try_into().unwrap(),
        chip: "esp32c3".try_into().unwrap(),
        version: "0.3.0".parse().unwrap(),
        minimum: "0.1.0".parse().unwrap(),
        image_bytes: image.len() as u32,
        image_hash: Sha256::digest(image).into(),
        signature: [0; 64],
    }
}

/// A chip from the factory: image 0 in the first slot, nothing else.
fn factory() -> Nor {
    let mut bytes = vec![0xff; CHIP_BYTES as usize];
    let image = image(0);
    bytes[SLOTS[0] as usize..][..image.len()].copy_from_slice(&image);
    Nor::from_bytes(bytes)
}

/// Starts as the bootloader does: what `otadata` names where the image there is whole, else the other slot.
fn booted(nor: &Nor) -> (Slot, usize) {
    let bytes = nor.bytes();
    let mut best = (0, Slot::Zero);
    for sector in 0..2 {
        let entry = &bytes[(OTADATA + sector * SECTOR_BYTES) as usize..][..32];
        let sequence = u32::from_le_bytes(entry[..4].try_into().unwrap());
        let state = u32::from_le_bytes(entry[24..28].try_into().unwrap());
        let crc = u32::from_le_bytes(entry[28..].try_into().unwrap());
        let named = [Slot::Zero, Slot::One][(sequence.wrapping_sub(1) % 2) as usize];
        let is_valid = sequence != u32::MAX && crc == crc32(sequence) && ![3, 4].contains(&state);
        if is_valid && sequence > best.0 {
            best = (sequence, named);
        }
    }
    let whole =
        (0..3).find(|&number| bytes[best.1.offset() as usize..].starts_with(&image(number)));
    (
        best.1,
        whole.expect("otadata names a slot with a whole image"),
    )
}

/// The CRC-32 of the ROM, begun with all ones, bit by bit.
fn crc32(value: u32) -> u32 {
    let mut crc = 0_u32;
    for byte in value.to_le_bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    !crc
}

fn open(nor: &mut Nor) -> Slots<&mut Nor> {
    let (running, _) = booted(nor);
    Slots::open(nor, Some(running)).unwrap()
}

fn take(slots: &mut Slots<&mut Nor>, number: usize) -> Result<(), UpdateError> {
    let image = image(number);
    let mut update = Update::begin(slots, &header(&image).to_bytes(), &RUNNING)?;
    for piece in image.chunks(1_000) {
        update.write(slots, piece)?;
    }
    update.finish(slots).map(drop)
}

/// What a test has seen of a life, in starts that were logged and restarts to another slot.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    starts: u32,
    images: Vec<usize>,
}

/// A start; `None` when the power went.
fn start(nor: &mut Nor, seen: &mut Seen) -> Option<Start> {
    let (_, number) = booted(nor);
    let start = open(nor).start().ok()?;
    seen.starts += 1;
    seen.images.push(number);
    Some(start)
}

/// Two updates: one is confirmed, the other never.
fn life(nor: &mut Nor, seen: &mut Seen) -> Option<()> {
    assert_eq!(start(nor, seen)?, Start::GoOn);
    open(nor).confirm().ok()?;
    // An update that was taken and never started is overwritten.
    let mut slots = open(nor);
    take(&mut slots, 2).ok()?;
    take(&mut slots, 1).ok()?;
    assert_eq!(start(nor, seen)?, Start::GoOn);
    open(nor).confirm().ok()?;
    take(&mut open(nor), 2).ok()?;
    for _ in 0..STARTS_ON_TRIAL {
        assert_eq!(start(nor, seen)?, Start::GoOn);
    }
    assert_eq!(start(nor, seen)?, Start::Restart);
    assert_eq!(start(nor, seen)?, Start::GoOn);
    let mut slots = open(nor);
    assert_eq!(
        (slots.running(), slots.left()),
        (Slot::One, Some(Slot::Zero))
    );
    slots.left_told().ok()?;
    assert_eq!(open(nor).left(), None);
    assert!(open(nor).is_confirmed());
    Some(())
}

#[test]
fn firmware_is_confirmed_or_left_after_three_starts() {
    let (mut nor, mut seen) = (factory(), Seen::default());
    life(&mut nor, &mut seen).expect("the power stays");
    assert_eq!(seen.images, [0, 1, 2, 2, 2, 2, 1]);
    assert_eq!(open(&mut nor).starts(), 7);
    let left = open(&mut nor).header(Slot::Zero).unwrap().unwrap();
    assert_eq!(left, header(&image(2)));
}

#[test]
fn whatever_a_cut_leaves_a_whole_image_starts_and_the_starts_are_counted() {
    let start_of_life = factory();
    let mut whole = start_of_life.snapshot();
    life(&mut whole, &mut Seen::default()).unwrap();
    let operations = whole.counters().operations - start_of_life.counters().operations;
    assert!(operations > 70, "{operations}");
    let mut images = [0; 3];
    for operation in 0..operations {
        for (kind, torn) in (0..).zip(Torn::ALL) {
            for seed in 0..3 {
                let mut nor = start_of_life.snapshot();
                nor.cut_at(operation, torn, operation << 4 | kind << 2 | seed);
                let mut seen = Seen::default();
                assert_eq!(life(&mut nor, &mut seen), None, "it is cut");
                nor.power_on();
                let context = format!("cut at {operation}, {torn:?} {seed}: {seen:?}");
                images[booted(&nor).1] += 1;
                let slots = open(&mut nor);
                assert!(
                    (seen.starts..=seen.starts + 1).contains(&slots.starts()),
                    "{context}"
                );
                go_on(nor, &context);
            }
        }
    }
    assert!(
        images.iter().all(|&count| count > 20),
        "each image was met: {images:?}"
    );
}

/// Whatever was cut, the meter starts, works, and takes an update.
fn go_on(mut nor: Nor, context: &str) {
    let mut seen = Seen::default();
    while start(&mut nor, &mut seen) == Some(Start::Restart) {
        assert_eq!(seen.starts, 1, "{context}: it goes to and fro");
    }
    let before = open(&mut nor).starts();
    let mut slots = open(&mut nor);
    let (running, next) = (slots.running(), slots.named().unwrap());
    assert_eq!(running, next, "{context}");
    slots.confirm().unwrap();
    take(&mut slots, 1).unwrap_or_else(|error| panic!("{context}: {error:?}"));
    assert_eq!(booted(&nor), (running.other(), 1), "{context}");
    assert_eq!(start(&mut nor, &mut seen), Some(Start::GoOn), "{context}");
    assert_eq!(open(&mut nor).starts(), before + 1, "{context}");
    assert!(!open(&mut nor).is_confirmed(), "{context}");
}

#[test]
fn the_log_of_starts_goes_round_and_loses_no_count() {
    let (mut nor, mut starts) = (factory(), 0);
    start(&mut nor, &mut Seen::default());
    open(&mut nor).confirm().unwrap();
    for turn in 1..1_500_u64 {
        // A sector takes 256 entries; each second start is cut.
        let is_cut = turn % 2 == 0;
        if is_cut {
            nor.cut_at(turn / 2 % 2, Torn::ALL[(turn / 4 % 3) as usize], turn);
        }
        let done = start(&mut nor, &mut Seen::default());
        nor.cut_at(u64::MAX, Torn::Untouched, 0);
        nor.power_on();
        let found = open(&mut nor).starts();
        let least = starts + u32::from(done.is_some());
        assert!(
            (least.max(1)..=starts + 2).contains(&found),
            "{turn}: {found} after {starts}"
        );
        assert!(open(&mut nor).is_confirmed(), "{turn}");
        starts = found;
    }
    assert!(starts > 1_000, "{starts}");
}

#[test]
fn firmware_without_another_one_is_never_left() {
    let mut nor = factory();
    for _ in 0..20 {
        assert_eq!(start(&mut nor, &mut Seen::default()), Some(Start::GoOn));
    }
    // Nor for an image that came to harm in its slot.
    open(&mut nor).confirm().unwrap();
    take(&mut open(&mut nor), 1).unwrap();
    let mut bytes = nor.bytes();
    bytes[SLOTS[0] as usize] ^= 1;
    let starts = STARTS as usize..STARTS as usize + 8192;
    bytes[starts].fill(0xff);
    let mut nor = Nor::from_bytes(bytes);
    for _ in 0..20 {
        let mut slots = Slots::open(&mut nor, Some(Slot::One)).unwrap();
        assert_eq!(slots.start(), Ok(Start::GoOn));
    }
}

#[test]
fn an_update_that_the_bootloader_does_not_start_is_left() {
    let mut nor = factory();
    start(&mut nor, &mut Seen::default());
    open(&mut nor).confirm().unwrap();
    take(&mut open(&mut nor), 1).unwrap();
    assert_eq!(booted(&nor).0, Slot::One);
    // The chip says that it runs the first slot all the same.
    let mut slots = Slots::open(&mut nor, Some(Slot::Zero)).unwrap();
    assert_eq!(slots.start(), Ok(Start::GoOn));
    assert_eq!(slots.left(), Some(Slot::One));
    assert_eq!(booted(&nor), (Slot::Zero, 0));
}

#[test]
fn updates_that_do_not_fit_are_refused_and_change_nothing() {
    let image = image(1);
    let good = header(&image);
    let version = |text: &str| text.parse().unwrap();
    let refused = [
        (
            Header {
                product: "other".try_into().unwrap(),
                ..good.clone()
            },
            UpdateError::Product,
        ),
        (
            Header {
                chip: "esp32c6".try_into().unwrap(),
                ..good.clone()
            },
            UpdateError::Chip,
        ),
        (
            Header {
                image_bytes: 0,
                ..good.clone()
            },
            UpdateError::Size,
        ),
        (
            Header {
                image_bytes: 921_601,
                ..good.clone()
            },
            UpdateError::Size,
        ),
        (
            Header {
                version: version("0.1.9"),
                ..good.clone()
            },
            UpdateError::Older,
        ),
        (
            Header {
                version: version("0.2.0-rc.1"),
                ..good.clone()
            },
            UpdateError::Older,
        ),
        (
            Header {
                minimum: version("0.2.1"),
                ..good.clone()
            },
            UpdateError::TooFarAhead,
        ),
        (
            Header {
                signature: [1; 64],
                ..good.clone()
            },
            UpdateError::NoKey,
        ),
    ];
    let mut nor = factory();
    start(&mut nor, &mut Seen::default());
    let before = nor.bytes();
    let mut slots = open(&mut nor);
    for (header, expected) in refused {
        let begun = Update::begin(&mut slots, &header.to_bytes(), &RUNNING);
        assert_eq!(begun.err(), Some(expected), "{header:?}");
    }
    let begun = Update::begin(&mut slots, &[0x4f; 256], &RUNNING);
    assert_eq!(begun.err(), Some(UpdateError::NotAnUpdate));
    let shipped = Running {
        takes_unsigned: false,
        ..RUNNING
    };
    let begun = Update::begin(&mut slots, &good.to_bytes(), &shipped);
    assert_eq!(begun.err(), Some(UpdateError::Unsigned));
    assert_eq!(nor.bytes(), before);
}

#[test]
fn images_that_are_not_what_they_say_are_never_started() {
    let image = image(1);
    let mut other = image.clone();
    other[5_000] ^= 4;
    let long = [&image[..], &[0]].concat();
    let outcomes = [
        (&other[..], UpdateError::Hash),
        (&image[..image.len() - 1], UpdateError::Length),
        (&long[..], UpdateError::Length),
    ];
    for (sent, expected) in outcomes {
        let mut nor = factory();
        let mut slots = open(&mut nor);
        let mut update = Update::begin(&mut slots, &header(&image).to_bytes(), &RUNNING).unwrap();
        let written = sent
            .chunks(700)
            .try_for_each(|piece| update.write(&mut slots, piece));
        let outcome = written.and_then(|()| update.finish(&mut slots).map(drop));
        assert_eq!(outcome, Err(expected));
        assert_eq!(slots.can_leave(), Ok(false));
        assert_eq!(booted(&nor), (Slot::Zero, 0));
    }
}

#[test]
fn flash_that_does_not_take_the_image_is_noticed() {
    for fault in [Fault::Refuses, Fault::Silent, Fault::Weak { seed: 5 }] {
        let mut nor = factory();
        nor.break_sector((SLOTS[1] / SECTOR_BYTES) as usize + 1, fault);
        let expected = if fault == Fault::Refuses {
            UpdateError::Flash
        } else {
            UpdateError::Hash
        };
        assert_eq!(take(&mut open(&mut nor), 1), Err(expected), "{fault:?}");
        assert_eq!(booted(&nor), (Slot::Zero, 0));
    }
}

#[test]
fn the_last_update_that_began_is_the_one_that_counts() {
    let (mut nor, image) = (factory(), image(1));
    let mut slots = open(&mut nor);
    let begin = |slots: &mut Slots<&mut Nor>| {
        Update::begin(slots, &header(&image).to_bytes(), &RUNNING).unwrap()
    };
    let mut first = begin(&mut slots);
    first.write(&mut slots, &image[..600]).unwrap();
    let mut second = begin(&mut slots);
    let superseded = first.write(&mut slots, &image[600..]);
    assert_eq!(superseded, Err(UpdateError::Superseded));
    second.write(&mut slots, &image).unwrap();
    assert_eq!(second.finish(&mut slots).unwrap().as_str(), "0.3.0");
    assert_eq!(booted(&nor), (Slot::One, 1));
}

#[test]
fn connection_that_goes_on_takes_the_update_over_and_one_that_does_not_fit_takes_nothing() {
    let mut slots = Slots::open(factory(), None).unwrap();
    let image = image(1);
    let header = header(&image).to_bytes();
    let first = update::open(&mut slots, &header, 0, &RUNNING).unwrap();
    update::write(&mut slots, first, &image[..3_000]).unwrap();
    let refused = update::open(&mut slots, &header, 2_999, &RUNNING);
    assert_eq!(refused, Err(UpdateError::Offset));
    update::write(&mut slots, first, &image[3_000..5_000]).unwrap();
    let second = update::open(&mut slots, &header, 5_000, &RUNNING).unwrap();
    // The first one wakes up again.
    let late = update::write(&mut slots, first, &image[5_000..6_000]);
    assert_eq!(late, Err(UpdateError::Superseded));
    update::drop_update(&mut slots, first);
    assert_eq!(
        update::finish(&mut slots, first),
        Err(UpdateError::Superseded)
    );
    update::write(&mut slots, second, &image[5_000..]).unwrap();
    update::finish(&mut slots, second).unwrap();
    assert_eq!(slots.named(), Ok(Slot::One));
}

#[test]
fn flash_that_fails_ends_an_update_and_leaves_the_running_firmware_alone() {
    let mut nor = factory();
    let second = (SLOTS[1] / SECTOR_BYTES) as usize + 1;
    nor.break_sector(second, Fault::Refuses);
    let mut slots = Slots::open(nor, None).unwrap();
    let image = image(1);
    let header = header(&image).to_bytes();
    let claim = update::open(&mut slots, &header, 0, &RUNNING).unwrap();
    assert_eq!(
        update::write(&mut slots, claim, &image),
        Err(UpdateError::Flash)
    );
    assert!(slots.held().is_none());
    assert_eq!(slots.named(), Ok(Slot::Zero));
}
