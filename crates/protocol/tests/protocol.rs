//! Golden bytes, round trips and arbitrary input for all that the crate encodes.

use proptest::{collection::vec, prelude::*};
use protocol::{
    ChannelReading, DeviceId, Flags, Registers, Seq, StoreId,
    authentication::{Authorization, BodyHash, Key, Nonce},
    block::{self, Block, BlockError, Header, Kind, Writer},
    frame::{FrameError, FrameHeader, PAYLOAD_BYTES_MAX},
    limits::BLOCK_BYTES_MAX,
    reading::RegisterSet,
};

const DEVICE: DeviceId = DeviceId([0x3c, 0x71, 0xbf, 0x00, 0x01, 0xfe]);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header(registers: &[Registers]) -> Header {
    Header {
        device: DEVICE,
        store: StoreId(0x0102_0304_0506_0708),
        first: Seq(1000),
        boot: 3,
        uptime_ms: 120_000,
        interval_ms: 10_000,
        power_unit_mw: 1000,
        calibration: 1,
        registers: RegisterSet::from_slice(registers).unwrap(),
    }
}

fn reading(energy_quanta: i32) -> ChannelReading {
    ChannelReading {
        energy_quanta,
        reactive_power_var: 86,
        voltage_dv: 2438,
        current_ca: 160,
        frequency_chz: 5001,
        ..ChannelReading::default()
    }
}

fn pack(header: &Header, readings: &[Vec<ChannelReading>]) -> Vec<u8> {
    let mut buffer = vec![0xaa; BLOCK_BYTES_MAX];
    let mut writer = Writer::new(&mut buffer, header).unwrap();
    for channels in readings {
        writer.push(channels).unwrap();
    }
    let length = writer.finish();
    buffer.truncate(length);
    buffer
}

#[test]
fn block_of_readings_has_golden_bytes() {
    let registers = Registers {
        import_mj: 5_000_000,
        export_mj: 10_000,
    };
    let clipped = ChannelReading {
        coverage_permille: 995,
        flags: Flags::CLIPPED,
        ..reading(-20)
    };
    let bytes = pack(
        &header(&[registers]),
        &[vec![reading(374)], vec![reading(356)], vec![clipped]],
    );
    assert_eq!(
        hex(&bytes),
        concat!(
            "4f420100",
            "67000000",
            "3c71bf0001fe",
            "0100",
            "0807060504030201",
            "e803000000000000",
            "03000000",
            "03000000",
            "c0d4010000000000",
            "10270000",
            "e803",
            "0100",
            "404b4c0000000000",
            "1027000000000000",
            "ec05ac018c26c002924e00",
            "230000000000",
            "ef050000000001e30702",
            "27bc5940"
        ),
    );
}

#[test]
fn block_gives_powers_times_and_registers_back() {
    let registers = Registers {
        import_mj: 5_000_000,
        export_mj: 10_000,
    };
    let bytes = pack(
        &header(&[registers]),
        &[vec![reading(374)], vec![reading(-20)]],
    );
    let block = Block::parse(&bytes).unwrap();
    assert_eq!((block.kind(), block.range()), (Kind::Readings, 1000..1002));
    let readings: Vec<_> = block.readings().collect();
    assert_eq!(readings[0].active_power_mw(0), Some(374_000));
    assert_eq!(readings[0].registers[0].import_mj, 5_000_000 + 3_740_000);
    assert_eq!(readings[1].registers[0].export_mj, 10_000 + 200_000);
    assert_eq!(
        (readings[1].seq, readings[1].uptime_ms),
        (Seq(1001), 130_000)
    );
    assert_eq!(readings[1].active_power_mw(1), None);
}

#[test]
fn gaps_and_losses_come_back() {
    let lost = Registers {
        import_mj: 77,
        export_mj: 1 << 40,
    };
    let header = header(&[Registers::default()]);
    let mut buffer = [0; 128];
    let length = block::write_lost(&mut buffer, &header, 240, &[lost]).unwrap();
    let block = Block::parse(&buffer[..length]).unwrap();
    assert_eq!((block.kind(), block.range()), (Kind::Lost, 1000..1240));
    assert_eq!(block.lost_energy().unwrap()[0], lost);
    assert_eq!(block.readings().count(), 0);

    let length = block::write_never_existed(&mut buffer, &header, 1).unwrap();
    let block = Block::parse(&buffer[..length]).unwrap();
    assert_eq!(
        (block.kind(), block.range()),
        (Kind::NeverExisted, 1000..1001)
    );
    assert_eq!(block.lost_energy(), None);
}

#[test]
fn full_buffer_keeps_what_was_pushed() {
    let mut buffer = [0; 100];
    let mut writer = Writer::new(&mut buffer, &header(&[Registers::default()])).unwrap();
    let pushed = (0..)
        .take_while(|&n| writer.push(&[reading(n)]).is_ok())
        .count();
    let length = writer.finish();
    assert!(pushed > 0);
    assert_eq!(
        Block::parse(&buffer[..length]).unwrap().readings().count(),
        pushed
    );
}

#[test]
fn each_changed_bit_and_each_cut_is_noticed() {
    let bytes = pack(
        &header(&[Registers::default()]),
        &[vec![reading(374)], vec![reading(356)]],
    );
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(Block::parse(&changed).is_err(), "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert_eq!(
            Block::parse(&bytes[..length]).unwrap_err(),
            BlockError::Truncated,
            "{length}"
        );
    }
}

fn any_channel() -> impl Strategy<Value = ChannelReading> {
    (any::<i32>(), any::<i32>(), any::<[u16; 4]>(), 0..=1000u16).prop_map(
        |(energy, reactive, words, coverage)| ChannelReading {
            energy_quanta: energy,
            reactive_power_var: reactive,
            voltage_dv: words[0],
            current_ca: words[1],
            frequency_chz: words[2],
            coverage_permille: coverage,
            flags: Flags(words[3]),
        },
    )
}

proptest! {
    #[test]
    fn any_readings_come_back_whole(
        readings in (1..=3usize).prop_flat_map(|channels| vec(vec(any_channel(), channels), 1..60)),
    ) {
        let header = header(&vec![Registers::default(); readings[0].len()]);
        let bytes = pack(&header, &readings);
        let block = Block::parse(&bytes).unwrap();
        prop_assert_eq!(block.header(), &header);
        let back: Vec<Vec<_>> = block.readings().map(|reading| reading.channels.to_vec()).collect();
        prop_assert_eq!(back, readings);
    }

    #[test]
    fn arbitrary_bytes_with_a_good_checksum_never_panic(mut bytes in vec(any::<u8>(), 60..300), fix: bool) {
        if fix {
            bytes[..4].copy_from_slice(b"OB\x01\0");
            bytes[14] = 1;
            bytes[15] %= 5;
        }
        let length = bytes.len();
        bytes[4..8].copy_from_slice(&(length as u32).to_le_bytes());
        let crc = block::CRC.checksum(&bytes[..length - 4]);
        bytes[length - 4..].copy_from_slice(&crc.to_le_bytes());
        if let Ok(block) = Block::parse(&bytes) {
            let expected = if block.kind() == Kind::Readings { block.range().count() } else { 0 };
            prop_assert_eq!(block.readings().count(), expected);
        }
    }
}

#[test]
fn macs_have_golden_values() {
    let key = Key::derive("A1B2C3D4E5F6G7H8I9J0", DEVICE);
    let nonce = Nonce([7; 20]);
    let body = BodyHash::of(b"{}");
    let request = key.request_mac("POST", "/api/v1/ack?x=1", &body, &nonce);
    let frame = FrameHeader {
        length: 3,
        index: 2,
        last: true,
    };
    assert_eq!(
        request.to_string(),
        "0ab7183fa652f3d0889c612b3e1021863ba272a9c1d119dda56306f5c2a7f751"
    );
    assert_eq!(
        key.answer_mac(&request, 200, b"{}", &nonce).to_string(),
        "42c2990889d69d088c6ca2f481c2ae94aa77aeecac372fd86f7ce49170e49f10"
    );
    assert_eq!(
        key.frame_mac(&request, frame, b"abc").to_string(),
        "0e280f7087efea909823d73fa055c916efc742ae7330e3b8a9eef87cb4af6a93"
    );
}

#[test]
fn each_part_of_a_request_and_answer_is_under_the_mac() {
    let key = Key::derive("A1B2C3D4E5F6G7H8I9J0", DEVICE);
    let nonce = Nonce([7; 20]);
    let mac = |key: &Key, method, path, body: &[u8], nonce| {
        key.request_mac(method, path, &BodyHash::of(body), &nonce)
    };
    let good = mac(&key, "GET", "/a", b"", nonce);
    let others = [
        mac(&key, "PUT", "/a", b"", nonce),
        mac(&key, "GET", "/b", b"", nonce),
        mac(&key, "GET", "/a", b"x", nonce),
        mac(&key, "GET", "/a", b"", Nonce([8; 20])),
        mac(
            &Key::derive("A1B2C3D4E5F6G7H8I9J1", DEVICE),
            "GET",
            "/a",
            b"",
            nonce,
        ),
        mac(
            &Key::derive("A1B2C3D4E5F6G7H8I9J0", DeviceId([0; 6])),
            "GET",
            "/a",
            b"",
            nonce,
        ),
    ];
    assert!(good.matches(good.bytes()));
    assert!(others.iter().all(|other| !good.matches(other.bytes())));
    assert!(
        !good.matches(&good.bytes()[..15]),
        "a MAC may not be shortened at will"
    );

    let header = FrameHeader {
        length: 1,
        index: 0,
        last: false,
    };
    let sent: [u8; 16] = key.frame_mac(&good, header, b"x").bytes()[..16]
        .try_into()
        .unwrap();
    assert_eq!(header.verify(&key, &good, b"x", &sent), Ok(()));
    assert_eq!(
        header.verify(&key, &good, b"y", &sent),
        Err(FrameError::NotAuthentic)
    );
    assert_eq!(
        header.verify(&key, &others[0], b"x", &sent),
        Err(FrameError::NotAuthentic)
    );
    let last = FrameHeader {
        last: true,
        ..header
    };
    assert_eq!(
        last.verify(&key, &good, b"x", &sent),
        Err(FrameError::NotAuthentic)
    );
}

#[test]
fn frame_header_holds_its_bounds() {
    let header = FrameHeader {
        length: 5,
        index: 9,
        last: true,
    };
    assert_eq!(FrameHeader::parse(&header.to_bytes(), 9), Ok(header));
    assert_eq!(
        FrameHeader::parse(&header.to_bytes(), 8),
        Err(FrameError::OutOfOrder)
    );
    let long = FrameHeader {
        length: PAYLOAD_BYTES_MAX + 1,
        ..header
    };
    assert_eq!(
        FrameHeader::parse(&long.to_bytes(), 9),
        Err(FrameError::Malformed)
    );
}

#[test]
fn authorization_header_survives_text_and_nonsense_is_refused() {
    let key = Key::derive("A1B2C3D4E5F6G7H8I9J0", DEVICE);
    let nonce = Nonce([7; 20]);
    let mac = key.request_mac("GET", "/", &BodyHash::of(b""), &nonce);
    let text = Authorization { nonce, mac }.to_string();
    let back: Authorization = text.parse().unwrap();
    assert!(back.nonce == nonce && back.mac.matches(mac.bytes()));
    for nonsense in [
        "",
        "Basic x",
        "OFMON-HMAC-SHA256 nonce=00, mac=00",
        &text[..text.len() - 1],
    ] {
        assert!(nonsense.parse::<Authorization>().is_err(), "{nonsense}");
    }
}
