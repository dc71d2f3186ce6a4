//! Answers every name with the meter's own address, so that a phone opens the meter's page by itself.
//!
//! The answer is the question, marked as answered, and one record behind it that points back at the question's name. What
//! is no plain question for one name is answered with "not implemented" or not at all.

use embassy_net::{
    Stack,
    udp::{PacketMetadata, UdpSocket},
};
use embassy_time::Timer;
use static_cell::ConstStaticCell;

use crate::network::ADDRESS;

const PORT: u16 = 53;
/// The longest message without extensions.
const MESSAGE_BYTES: usize = 512;
const MESSAGES: usize = 4;
const HEADER_BYTES: usize = 12;
/// Bytes of the record: name, type, class, time to live, length, address.
const RECORD_BYTES: usize = 16;
const PAUSE_MS: u64 = 500;

const TYPE_A: u16 = 1;
const TYPE_ANY: u16 = 255;
const CLASS_IN: u16 = 1;
const NOT_IMPLEMENTED: u8 = 4;
/// Soon out of date: the phone shall ask again once it is in another network.
const VALID_S: u32 = 10;

struct Buffers {
    received: [u8; MESSAGES * MESSAGE_BYTES],
    sent: [u8; MESSAGES * MESSAGE_BYTES],
    message: [u8; MESSAGE_BYTES],
}

static BUFFERS: ConstStaticCell<Buffers> = ConstStaticCell::new(Buffers {
    received: [0; MESSAGES * MESSAGE_BYTES],
    sent: [0; MESSAGES * MESSAGE_BYTES],
    message: [0; MESSAGE_BYTES],
});

/// Serves for good.
#[embassy_executor::task]
pub async fn serve(stack: Stack<'static>) -> ! {
    let Buffers {
        received,
        sent,
        message,
    } = BUFFERS.take();
    let (mut received_about, mut sent_about) = (
        [PacketMetadata::EMPTY; MESSAGES],
        [PacketMetadata::EMPTY; MESSAGES],
    );
    let mut socket = UdpSocket::new(stack, &mut received_about, received, &mut sent_about, sent);
    while socket.bind(PORT).is_err() {
        Timer::after_millis(PAUSE_MS).await;
    }
    loop {
        let Ok((length, from)) = socket.recv_from(message).await else {
            continue;
        };
        if let Some(length) = answer(message, length) {
            // A message that is lost is asked for again.
            let _ = socket.send_to(&message[..length], from).await;
        }
    }
}

/// Turns a question into its answer and returns the answer's length; `None` where it is no question.
fn answer(message: &mut [u8; MESSAGE_BYTES], length: usize) -> Option<usize> {
    let flags = message[2];
    let (is_answer, is_plain) = (flags & 0x80 != 0, flags & 0x78 == 0);
    if is_answer || !(HEADER_BYTES..=MESSAGE_BYTES).contains(&length) {
        return None;
    }
    // An authoritative answer without an error; operation and "recursion desired" as they were.
    message[2] = 0x84 | flags & 0x79;
    message[3] = 0;
    if !is_plain || word(message, 4) != Some(1) {
        message[3] = NOT_IMPLEMENTED;
        message[4..HEADER_BYTES].fill(0);
        return Some(HEADER_BYTES);
    }
    let question = &message[..length];
    let name_end = name_end(question)?;
    let kind = word(question, name_end)?;
    let class = word(question, name_end + 2)?;
    let end = name_end + 4;
    // Nothing but the question is taken over: extensions would have to be answered.
    message[6..HEADER_BYTES].fill(0);
    let is_ours = class == CLASS_IN && (kind == TYPE_A || kind == TYPE_ANY);
    if !is_ours || end + RECORD_BYTES > MESSAGE_BYTES {
        // There is such a name, but not with what is asked for.
        return Some(end);
    }
    message[7] = 1;
    let record = &mut message[end..end + RECORD_BYTES];
    // The name is the one in the question.
    record[..2].copy_from_slice(&[0xc0, HEADER_BYTES as u8]);
    record[2..4].copy_from_slice(&TYPE_A.to_be_bytes());
    record[4..6].copy_from_slice(&CLASS_IN.to_be_bytes());
    record[6..10].copy_from_slice(&VALID_S.to_be_bytes());
    record[10..12].copy_from_slice(&4_u16.to_be_bytes());
    record[12..].copy_from_slice(&ADDRESS.octets());
    Some(end + RECORD_BYTES)
}

fn word(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([
        *message.get(at)?,
        *message.get(at + 1)?,
    ]))
}

/// Returns where the question's name ends; names in questions are never compressed.
fn name_end(message: &[u8]) -> Option<usize> {
    let mut at = HEADER_BYTES;
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}
