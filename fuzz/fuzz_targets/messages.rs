//! Events, authentication headers, frame headers and the JSON of requests take any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::{
    authentication::Authorization,
    event::{EVENT_BYTES_MAX, Event},
    frame::{FrameHeader, HEADER_BYTES},
    messages::{Acknowledge, Clock, Config, Info, Setup},
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(event) = Event::parse(bytes) {
        let mut buffer = [0; EVENT_BYTES_MAX];
        let length = event.write(&mut buffer);
        assert_eq!(&buffer[..length], bytes, "an event has one encoding");
    }
    if let Some(header) = bytes.first_chunk::<HEADER_BYTES>() {
        let _ = FrameHeader::parse(header, 0);
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(authorization) = text.parse::<Authorization>()
    {
        assert_eq!(
            authorization.to_string(),
            text.to_lowercase()
                .replacen("ofmon-hmac-sha256", "OFMON-HMAC-SHA256", 1)
        );
    }
    let mut scratch = [0; 256];
    let _ = serde_json_core::from_slice_escaped::<Setup>(bytes, &mut scratch);
    let _ = serde_json_core::from_slice_escaped::<Clock>(bytes, &mut scratch);
    let _ = serde_json_core::from_slice_escaped::<Config>(bytes, &mut scratch);
    let _ = serde_json_core::from_slice_escaped::<Acknowledge>(bytes, &mut scratch);
    let _ = serde_json_core::from_slice_escaped::<Info>(bytes, &mut scratch);
});
