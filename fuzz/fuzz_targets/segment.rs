//! Packed runs and segments: any bytes give readings or an error, and what was read packs to something that reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::{
    Packed, RunParams, Tier,
    block::{Block, CRC, Kind},
    limits::BLOCK_BYTES_MAX,
    segment::{
        Models, RunReader, RunWriter,
        file::{Segment, SegmentWriter},
    },
};

const PARAMS: RunParams = RunParams {
    interval_ms: 10_000,
    power_unit_mw: 1_000,
    calibration: 1,
};

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, rest)) = bytes.split_first() else {
        return;
    };
    let tier = Tier::ALL[usize::from(first / 4 % 3)];
    run(rest, usize::from(first % 4), tier);
    file(rest);
    // Bytes with the right length and checksum get past the first gate.
    if rest.len() >= 44 {
        let mut sealed = rest.to_vec();
        let end = sealed.len() - 4;
        sealed[..5].copy_from_slice(b"OFSG\x01");
        sealed[8..10].copy_from_slice(&((end + 4) as u16).to_le_bytes());
        let crc = CRC.checksum(&sealed[..end]);
        sealed[end..].copy_from_slice(&crc.to_le_bytes());
        file(&sealed);
    }
});

fn run(bytes: &[u8], channels: usize, tier: Tier) {
    let Some(mut reader) = RunReader::new(bytes, Models::new(), tier, channels, &PARAMS) else {
        return;
    };
    let mut readings: Vec<Packed> = Vec::new();
    while readings.len() < 100 {
        match reader.next_reading() {
            Ok(reading) => readings.push(reading),
            Err(_) => break,
        }
    }
    let mut buffer = vec![0; 64 * 1024];
    let mut models = Models::new();
    let mut writer =
        RunWriter::new(&mut buffer, &mut models, tier, channels, &PARAMS).expect("1 to 3 channels");
    for reading in &readings {
        writer.push(reading).expect("room for a hundred");
    }
    let length = writer.finish();
    let mut again = RunReader::new(&buffer[..length], &mut models, tier, channels, &PARAMS)
        .expect("1 to 3 channels");
    for reading in &readings {
        assert_eq!(again.next_reading().as_ref(), Ok(reading));
    }
}

fn file(bytes: &[u8]) {
    let Ok(segment) = Segment::parse(bytes) else {
        return;
    };
    assert!(segment.base() < segment.end());
    let mut models = Models::new();
    let mut block = vec![0; BLOCK_BYTES_MAX];
    let mut next = segment.base().0;
    for view in segment.runs() {
        let mut reader = view.readings(&mut models);
        let mut numbers = 0;
        while numbers < view.count {
            let Ok(reading) = reader.next_reading() else {
                break;
            };
            numbers += reading.span;
        }
        let is_whole = numbers == view.count;
        for from in [next, view.run.base(), view.run.first, view.end() - 1] {
            if from < view.end() {
                check_block(&segment, from, is_whole, &mut block);
            }
        }
        next = view.end();
    }
    if next < segment.end().0 {
        check_block(&segment, next, true, &mut block);
    }
    again(&segment);
}

/// Each number has its block, which is whole where the run of it is.
fn check_block(segment: &Segment<'_>, from: u64, is_whole: bool, buffer: &mut [u8]) {
    let length = segment.write_block(from, buffer).expect("a covered number");
    match Block::parse(&buffer[..length]) {
        Ok(block) => {
            assert!(block.range().contains(&from));
            let spans: u64 = block
                .readings()
                .map(|reading| u64::from(reading.span))
                .sum();
            let range = block.range();
            let is_read = block.kind() == Kind::Readings;
            assert_eq!(spans, if is_read { range.end - range.start } else { 0 });
        }
        Err(error) => assert!(!is_whole, "{error}"),
    }
}

/// A segment whose streams are readings goes into another one that gives the same.
fn again(segment: &Segment<'_>) {
    let (mut models, mut others) = (Models::new(), Models::new());
    let mut buffer = vec![0; 4_096];
    let Ok(mut writer) = SegmentWriter::new(
        &mut buffer,
        &mut models,
        segment.identity(),
        segment.tier(),
        segment.base(),
        segment.first_registers(),
    ) else {
        return;
    };
    let mut pushed = Vec::new();
    for view in segment.runs() {
        if writer.begin_run(&view.run).is_err() {
            break;
        }
        let mut reader = view.readings(&mut others);
        let mut numbers = 0;
        while numbers < view.count {
            let Ok(reading) = reader.next_reading() else {
                break;
            };
            if writer.push(&reading).is_err() {
                break;
            }
            numbers += reading.span;
            pushed.push(reading);
        }
        if numbers < view.count {
            break;
        }
    }
    let length = writer.finish(segment.end(), segment.end_registers());
    if pushed.is_empty() {
        assert_eq!(length, 0);
        return;
    }
    let written = Segment::parse(&buffer[..length]).expect("what was written is a segment");
    let mut pushed = pushed.iter();
    for view in written.runs() {
        let mut reader = view.readings(&mut others);
        let mut numbers = 0;
        while numbers < view.count {
            let reading = reader.next_reading().expect("what was pushed");
            assert_eq!(Some(&reading), pushed.next());
            numbers += reading.span;
        }
    }
    assert_eq!(pushed.next(), None);
}
