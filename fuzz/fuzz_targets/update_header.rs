//! The header of an update, and updates in any pieces over any connections: the bootloader is told of a new image only when
//! its hash is right and, where there is a key, its signature.
#![no_main]

use arbitrary::Arbitrary;
use device::{
    flash_map::{HEADER_IN_SLOT, STORE},
    slots::{Slot, Slots},
    update::{self, Claim, Running, UpdateError},
};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use libfuzzer_sys::fuzz_target;
use nor_model::Nor;
use protocol::firmware::{HEADER_BYTES, Header, SIGNED_BYTES};
use sha2::{Digest, Sha256};

const OWN: [u8; 32] = [1; 32];
const STRANGER: [u8; 32] = [2; 32];
const IMAGE_BYTES_MAX: usize = 12_000;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    /// A header as it comes: anything at all.
    raw: &'a [u8],
    image_bytes: u16,
    /// Changes of the header before and after it is signed.
    before: Vec<(u8, u8)>,
    signer: By,
    after: Vec<(u8, u8)>,
    has_key: bool,
    takes_unsigned: bool,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum By {
    Nobody,
    Own,
    Stranger,
}

#[derive(Arbitrary, Debug)]
enum Step {
    /// A connection begins, and goes on where the meter is, or where it says.
    Open(Option<u16>),
    /// So many bytes come, the first of them altered by this.
    Write(u16, u8),
    /// All that is left comes.
    Rest,
    Finish,
    Drop,
}

fn image(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 31 / 7) as u8).collect()
}

fn header(input: &Input<'_>, image: &[u8]) -> [u8; HEADER_BYTES] {
    let header = Header {
        product: "ofmon".try_into().unwrap(),
        chip: "esp32c3".try_into().unwrap(),
        version: "0.2.0".parse().unwrap(),
        minimum: "0.1.0".parse().unwrap(),
        image_bytes: image.len() as u32,
        image_hash: Sha256::digest(image).into(),
        signature: [0; 64],
    };
    let mut bytes = header.to_bytes();
    let change = |bytes: &mut [u8; HEADER_BYTES], changes: &[(u8, u8)]| {
        for (at, flip) in changes {
            bytes[usize::from(*at)] ^= flip;
        }
    };
    change(&mut bytes, &input.before);
    let seed = match input.signer {
        By::Nobody => None,
        By::Own => Some(OWN),
        By::Stranger => Some(STRANGER),
    };
    if let Some(seed) = seed {
        let signature = SigningKey::from_bytes(&seed).sign(&bytes[..SIGNED_BYTES]);
        bytes[SIGNED_BYTES..].copy_from_slice(&signature.to_bytes());
    }
    change(&mut bytes, &input.after);
    bytes
}

/// What must hold of an image that the bootloader is told of.
fn check(input: &Input<'_>, slots: &mut Slots<Nor>, key: &VerifyingKey) {
    let header = slots.header(Slot::One).unwrap().expect("a header");
    let start = Slot::One.offset() as usize;
    let image = &slots.flash().bytes()[start..][..header.image_bytes as usize];
    assert!(header.image_bytes <= HEADER_IN_SLOT);
    assert_eq!(Sha256::digest(image)[..], header.image_hash);
    assert_eq!(
        (header.product.as_str(), header.chip.as_str()),
        ("ofmon", "esp32c3")
    );
    if input.has_key {
        let bytes = header.to_bytes();
        let signature = Signature::from_bytes(&header.signature);
        key.verify_strict(&bytes[..SIGNED_BYTES], &signature)
            .expect("a right signature");
    } else {
        assert!(input.takes_unsigned && !header.is_signed());
    }
}

fuzz_target!(|input: Input<'_>| {
    if let Some(raw) = input.raw.first_chunk::<HEADER_BYTES>()
        && let Ok(header) = Header::parse(raw)
    {
        assert_eq!(header.to_bytes(), *raw, "a header has one encoding");
    }
    let image = image(usize::from(input.image_bytes) % IMAGE_BYTES_MAX);
    let bytes = header(&input, &image);
    if let Ok(header) = Header::parse(&bytes) {
        assert_eq!(header.to_bytes(), bytes);
    }
    let key = SigningKey::from_bytes(&OWN).verifying_key();
    let keys = [key.to_bytes()];
    let running = Running {
        chip: "esp32c3",
        version: "0.1.0",
        keys: if input.has_key { &keys } else { &[] },
        takes_unsigned: input.takes_unsigned,
    };
    let mut slots = Slots::open(Nor::new(STORE as usize), None).unwrap();
    let mut claims: Vec<Claim> = Vec::new();
    let mut sent = 0;
    for step in &input.steps {
        let claim = claims.last().copied();
        let came = slots.held().map_or(0, |held| held.came() as usize);
        match (step, claim) {
            (Step::Open(from), _) => {
                let from = from.map_or(came, usize::from);
                if let Ok(claim) = update::open(&mut slots, &bytes, from as u64, &running) {
                    claims.push(claim);
                    sent = from;
                }
            }
            (Step::Write(count, flip), Some(claim)) => {
                let mut piece = image[sent.min(image.len())..].to_vec();
                piece.truncate(usize::from(*count));
                if let Some(first) = piece.first_mut() {
                    *first ^= flip;
                }
                sent += piece.len();
                let _ = update::write(&mut slots, claim, &piece);
            }
            (Step::Rest, Some(claim)) => {
                let piece = &image[sent.min(image.len())..];
                sent += piece.len();
                let _ = update::write(&mut slots, claim, piece);
            }
            (Step::Finish, Some(claim)) => match update::finish(&mut slots, claim) {
                Ok(_) => {
                    assert_eq!(slots.named(), Ok(Slot::One));
                    check(&input, &mut slots, &key);
                    return;
                }
                Err(error) => assert_ne!(error, UpdateError::Flash),
            },
            (Step::Drop, Some(claim)) => update::drop_update(&mut slots, claim),
            (_, None) => {}
        }
        // An older connection has no say.
        if let [.., older, _] = claims[..] {
            assert_eq!(
                update::write(&mut slots, older, &[1]),
                Err(UpdateError::Superseded)
            );
        }
        assert_eq!(slots.named(), Ok(Slot::Zero));
    }
});
