//! Packed runs: any bytes give readings or an error, and what was read packs to something that reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::{
    ChannelReading,
    segment::{RunReader, RunWriter},
};

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, rest)) = bytes.split_first() else {
        return;
    };
    let channels = usize::from(first % 4);
    let Some(mut reader) = RunReader::new(rest, channels, 1_000) else {
        return;
    };
    let mut readings: Vec<Vec<ChannelReading>> = Vec::new();
    while readings.len() < 100 {
        match reader.next_reading() {
            Ok(reading) => readings.push(reading.to_vec()),
            Err(_) => break,
        }
    }
    let mut buffer = vec![0; 64 * 1024];
    let mut writer = RunWriter::new(&mut buffer, channels, 1_000).expect("1 to 3 channels");
    for reading in &readings {
        writer.push(reading).expect("room for a hundred");
    }
    let length = writer.finish();
    let mut again = RunReader::new(&buffer[..length], channels, 1_000).expect("1 to 3 channels");
    for reading in &readings {
        assert_eq!(
            again.next_reading().map(|found| found.to_vec()).as_ref(),
            Ok(reading)
        );
    }
});
