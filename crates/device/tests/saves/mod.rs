//! Everything that a meter holds as one file.

use protocol::{
    Seq, StoreId,
    authentication::Key,
    block::Block,
    event::Event,
    messages::{Events, Info},
    saved::{HEADER_BYTES, Header, Part, Reader, Taken},
};

use crate::{
    code,
    harness::{NOW_UTC_MS, TOKEN, TestMeter},
};

/// What a file holds.
struct Saved {
    header: Header,
    blocks: Vec<Vec<u8>>,
    events: Vec<Event>,
    frames: usize,
}

fn read(bytes: &[u8], meter: &TestMeter) -> Saved {
    let begin = bytes.first_chunk::<HEADER_BYTES>().unwrap();
    let mut saved = Saved {
        header: Header::parse(begin).unwrap(),
        blocks: Vec::new(),
        events: Vec::new(),
        frames: 0,
    };
    let mut reader = Reader::new(begin, Key::derive(TOKEN, meter.device)).unwrap();
    let mut rest = &bytes[HEADER_BYTES..];
    loop {
        match reader.take(rest).unwrap() {
            Taken::Needs(count) => panic!("the file is cut: {count} bytes of {}", rest.len()),
            Taken::Part { part, length } => {
                match part {
                    Part::Block(block) => saved.blocks.push(block.to_vec()),
                    Part::Events(events) => saved.events.extend(events),
                    Part::End => {}
                }
                rest = &rest[length..];
                saved.frames += 1;
            }
            Taken::Ended => break,
        }
    }
    assert!(rest.is_empty());
    saved
}

async fn all_events(meter: &TestMeter) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let path = format!("/api/v1/events?from={}", events.len());
        let page: Events = meter.signed("GET", &path, b"").await.json();
        events.extend(page.events);
        if events.len() as u64 == page.next {
            return events;
        }
    }
}

#[tokio::test]
async fn a_saved_file_holds_what_a_collector_would_get() {
    let meter = TestMeter::set_up(2_000).await;
    for index in 0..40 {
        let clock = format!(r#"{{"utc_ms":{},"uncertainty_ms":40}}"#, NOW_UTC_MS + index);
        let told = meter
            .signed("POST", "/api/v1/clock", clock.as_bytes())
            .await;
        assert_eq!(told.status, 200);
    }
    let answer = meter.file("/api/v1/save").await;
    assert_eq!(answer.status, 200);
    let name = format!("attachment; filename=\"ofmon-{}-2000.ofms\"", meter.device);
    assert_eq!(answer.header("Content-Disposition"), Some(&*name));
    let media = answer.header("Content-Type");
    assert_eq!(media, Some("application/octet-stream"));
    let saved = read(&answer.body, &meter);
    let Header {
        device,
        store,
        boot,
        from,
        next,
        ..
    } = saved.header;
    assert_eq!((device, store, boot), (meter.device, StoreId(7), 1));
    assert_eq!((from, next), (Seq(0), Seq(2_000)));
    let (blocks, _) = meter.stream("/api/v1/blocks?max=100000000").await;
    assert!(blocks.len() > 3 && saved.blocks == blocks);
    assert!(saved.events.len() > 40);
    assert_eq!(saved.events, all_events(&meter).await);
}

#[tokio::test]
async fn a_file_from_a_number_on_begins_with_the_block_that_holds_it() {
    let meter = TestMeter::set_up(2_000).await;
    let saved = read(&meter.file("/api/v1/save?from=1999").await.body, &meter);
    assert_eq!((saved.header.from, saved.blocks.len()), (Seq(1_999), 1));
    let block = Block::parse(&saved.blocks[0]).unwrap();
    assert!(block.range().contains(&1_999));
    let behind = read(&meter.file("/api/v1/save?from=99999").await.body, &meter);
    // The events, and the end.
    assert_eq!((behind.blocks.len(), behind.frames), (0, 2));
    let wrong = meter.signed("GET", "/api/v1/save?from=x", b"").await;
    assert_eq!(code(&wrong), (400, "bad_query".into()));
}

#[tokio::test]
async fn two_files_never_have_the_same_header() {
    let meter = TestMeter::set_up(10).await;
    let one = meter.file("/api/v1/save").await.body;
    let two = meter.file("/api/v1/save").await.body;
    assert_ne!(one[..HEADER_BYTES], two[..HEADER_BYTES]);
    // So a part of one is none of the other.
    let mixed = [&one[..HEADER_BYTES], &two[HEADER_BYTES..]].concat();
    let begin = mixed.first_chunk::<HEADER_BYTES>().unwrap();
    let mut reader = Reader::new(begin, Key::derive(TOKEN, meter.device)).unwrap();
    assert!(reader.take(&mixed[HEADER_BYTES..]).is_err());
}

#[tokio::test]
async fn nobody_saves_without_the_token_or_before_set_up() {
    let fresh = TestMeter::fresh().await;
    let answer = fresh.plain("GET", "/api/v1/save", b"").await;
    assert_eq!(code(&answer), (403, "not_set_up".into()));
    let meter = TestMeter::set_up(10).await;
    let answer = meter.plain("GET", "/api/v1/save", b"").await;
    assert_eq!(answer.status, 401);
    let other = "another-token-of-20-";
    let answer = meter.signed_with(other, "GET", "/api/v1/save", b"").await;
    assert_eq!(code(&answer), (401, "not_authentic".into()));
    let answer = meter.plain("POST", "/api/v1/save", b"").await;
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn one_who_breaks_off_costs_the_meter_nothing() {
    let meter = TestMeter::set_up(2_000).await;
    for _ in 0..3 {
        meter.broken_off("/api/v1/save", 3_000).await;
    }
    let info: Info = meter.plain("GET", "/api/v1/info", b"").await.json();
    assert_eq!(info.next, Seq(2_000));
    let saved = read(&meter.file("/api/v1/save").await.body, &meter);
    assert_eq!(saved.header.next, Seq(2_000));
}
