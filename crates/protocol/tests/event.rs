//! Golden bytes, round trips and arbitrary input for events.

use proptest::{collection::vec, prelude::*};
use protocol::{
    Registers, Seq,
    event::{
        ChannelScale, EVENT_BYTES_MAX, EVENT_JSON_BYTES_MAX, Event, NotAnEvent, ResetReason,
        Version, What,
    },
    reading::RegisterSet,
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn any_scale() -> impl Strategy<Value = ChannelScale> {
    (any::<[u32; 3]>(), any::<i32>(), any::<u16>()).prop_map(
        |([voltage_nv_per_code, current_na_per_code, current_noise_na], skew, no_load_mw)| {
            ChannelScale {
                voltage_nv_per_code,
                current_na_per_code,
                current_skew_ns: skew,
                current_noise_na,
                no_load_mw,
            }
        },
    )
}

fn any_registers() -> impl Strategy<Value = Registers> {
    any::<(u64, u64)>().prop_map(|(import_mj, export_mj)| Registers {
        import_mj,
        export_mj,
    })
}

fn any_version() -> impl Strategy<Value = Version> {
    "[!-~]{0,24}".prop_map(|version| version.as_str().try_into().unwrap())
}

fn any_event() -> impl Strategy<Value = Event> {
    let reason = prop_oneof![
        Just(ResetReason::PowerOn),
        Just(ResetReason::Software),
        Just(ResetReason::Watchdog),
        Just(ResetReason::Brownout),
        Just(ResetReason::Unknown),
        Just(ResetReason::Panic),
        Just(ResetReason::StackOverflow),
    ];
    let what = prop_oneof![
        (reason, any::<u64>()).prop_map(|(reason, next)| What::Started {
            reason,
            next: Seq(next)
        }),
        any::<(i64, u32)>().prop_map(|(utc_ms, uncertainty_ms)| What::Anchor {
            utc_ms,
            uncertainty_ms
        }),
        (any::<u64>(), any::<u64>(), vec(any_registers(), 0..=3)).prop_map(
            |(first, count, energy)| What::Lost {
                first: Seq(first),
                count,
                energy: energy.into_iter().collect(),
            }
        ),
        Just(What::SetUp),
        any::<u32>().prop_map(|version| What::ConfigChanged { version }),
        (any::<u16>(), any::<i64>(), vec(any_scale(), 0..=3)).prop_map(
            |(version, utc_ms, channels)| What::Calibrated {
                version,
                utc_ms,
                channels: channels.into_iter().collect(),
            }
        ),
        Just(What::StorageFault),
        any_version().prop_map(|version| What::FirmwareTaken { version }),
        any_version().prop_map(|version| What::FirmwareConfirmed { version }),
        any_version().prop_map(|version| What::FirmwareLeft { version }),
        Just(What::SettingsForgotten),
        any::<(u64, u32)>().prop_map(|(uptime_ms, uncertainty_ms)| What::Continued {
            uptime_ms,
            uncertainty_ms
        }),
        Just(What::TokenChanged),
        any::<u64>().prop_map(|through| What::Erased {
            through: Seq(through)
        }),
    ];
    (any::<u64>(), any::<u32>(), any::<u64>(), what).prop_map(|(number, boot, uptime_ms, what)| {
        Event {
            number,
            boot,
            uptime_ms,
            what,
        }
    })
}

/// The longest event of each kind.
fn longest_events() -> [Event; 14] {
    let registers = Registers {
        import_mj: u64::MAX,
        export_mj: u64::MAX,
    };
    let scale = ChannelScale {
        voltage_nv_per_code: u32::MAX,
        current_na_per_code: u32::MAX,
        current_skew_ns: i32::MIN,
        current_noise_na: u32::MAX,
        no_load_mw: u16::MAX,
    };
    // Quotes and backslashes are longer in JSON.
    let version: Version = "\"\\".repeat(12).as_str().try_into().unwrap();
    [
        What::FirmwareTaken {
            version: version.clone(),
        },
        What::FirmwareConfirmed {
            version: version.clone(),
        },
        What::FirmwareLeft { version },
        What::SettingsForgotten,
        What::Continued {
            uptime_ms: u64::MAX,
            uncertainty_ms: u32::MAX,
        },
        What::TokenChanged,
        What::Erased {
            through: Seq(u64::MAX),
        },
        What::Started {
            reason: ResetReason::StackOverflow,
            next: Seq(u64::MAX),
        },
        What::Anchor {
            utc_ms: i64::MIN,
            uncertainty_ms: u32::MAX,
        },
        What::Lost {
            first: Seq(u64::MAX),
            count: u64::MAX,
            energy: [registers; 3].into_iter().collect(),
        },
        What::SetUp,
        What::ConfigChanged { version: u32::MAX },
        What::StorageFault,
        What::Calibrated {
            version: u16::MAX,
            utc_ms: i64::MIN,
            channels: [scale; 3].into_iter().collect(),
        },
    ]
    .map(|what| Event {
        number: u64::MAX,
        boot: u32::MAX,
        uptime_ms: u64::MAX,
        what,
    })
}

proptest! {
    #[test]
    fn any_event_comes_back(event in any_event()) {
        let mut buffer = [0; EVENT_BYTES_MAX];
        let length = event.write(&mut buffer);
        prop_assert_eq!(Event::parse(&buffer[..length]), Ok(event.clone()));
        for cut in 0..length {
            prop_assert_eq!(Event::parse(&buffer[..cut]), Err(NotAnEvent));
        }
        let json = serde_json::to_string(&event).unwrap();
        prop_assert!(json.len() <= EVENT_JSON_BYTES_MAX);
        prop_assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
    }

    #[test]
    fn bytes_that_are_an_event_are_its_only_ones(bytes in vec(any::<u8>(), 0..40), kind in 0..12u8) {
        let bytes = [&[1, 1, 1, kind], &bytes[..]].concat();
        for length in 4..=bytes.len() {
            if let Ok(event) = Event::parse(&bytes[..length]) {
                let mut buffer = [0; EVENT_BYTES_MAX];
                let written = event.write(&mut buffer);
                prop_assert_eq!(&buffer[..written], &bytes[..length]);
            }
        }
    }
}

#[test]
fn events_have_golden_bytes() {
    let scale = |seed: u32| ChannelScale {
        voltage_nv_per_code: 264_700_000 + seed,
        current_na_per_code: 23_000_000 + seed,
        current_skew_ns: -41_000,
        current_noise_na: 69_000_000,
        no_load_mw: 900,
    };
    let energy = Registers {
        import_mj: 3_740_000,
        export_mj: 129,
    };
    let whats = [
        (
            What::Started {
                reason: ResetReason::Brownout,
                next: Seq(240),
            },
            "0003f001",
        ),
        (
            What::Anchor {
                utc_ms: 1_795_248_000_000,
                uncertainty_ms: 40,
            },
            "0180b0f4d1bf6828",
        ),
        (
            What::Lost {
                first: Seq(1000),
                count: 240,
                energy: [energy, Registers::default()].into_iter().collect(),
            },
            "02e807f00102e0a2e40181010000",
        ),
        (
            What::Lost {
                first: Seq(1000),
                count: 240,
                energy: RegisterSet::new(),
            },
            "02e807f00100",
        ),
        (What::SetUp, "03"),
        (What::ConfigChanged { version: 5 }, "0405"),
        (What::StorageFault, "05"),
        (
            What::Calibrated {
                version: 3,
                utc_ms: 1_795_248_000_000,
                channels: [scale(0), scale(1)].into_iter().collect(),
            },
            "060380b0f4d1bf6802e0809c7ec0e7fb0acf8005c0b6f3208407e1809c7ec1e7fb0acf8005c0b6f3208407",
        ),
        (
            What::Calibrated {
                version: 0,
                utc_ms: 0,
                channels: Default::default(),
            },
            "06000000",
        ),
        (
            What::Started {
                reason: ResetReason::StackOverflow,
                next: Seq(0),
            },
            "000600",
        ),
        (
            What::FirmwareTaken {
                version: "0.2.0".try_into().unwrap(),
            },
            "0705302e322e30",
        ),
        (
            What::FirmwareConfirmed {
                version: "0.2.0".try_into().unwrap(),
            },
            "0805302e322e30",
        ),
        (
            What::FirmwareLeft {
                version: Version::new(),
            },
            "0900",
        ),
        (What::SettingsForgotten, "0a"),
        (
            What::Continued {
                uptime_ms: 86_400_000,
                uncertainty_ms: 250,
            },
            "0b80b89929fa01",
        ),
        (What::TokenChanged, "0c"),
        (
            What::Erased {
                through: Seq(123_456),
            },
            "0dc0c407",
        ),
    ];
    for (what, golden) in whats {
        let event = Event {
            number: 7,
            boot: 300,
            uptime_ms: 120_000,
            what,
        };
        let mut buffer = [0; EVENT_BYTES_MAX];
        let length = event.write(&mut buffer);
        assert_eq!(
            hex(&buffer[..length]),
            format!("07ac02c0a907{golden}"),
            "{event:?}"
        );
    }
}

#[test]
fn the_longest_events_take_what_is_stated() {
    let mut buffer = [0; EVENT_BYTES_MAX];
    let events = longest_events();
    let flash = events.iter().map(|event| event.write(&mut buffer)).max();
    assert_eq!(flash, Some(EVENT_BYTES_MAX));
    let json = |event| serde_json::to_string(event).unwrap().len();
    assert_eq!(events.iter().map(json).max(), Some(EVENT_JSON_BYTES_MAX));
}

#[test]
fn loss_and_calibration_have_golden_json() {
    let lost = What::Lost {
        first: Seq(1000),
        count: 240,
        energy: [Registers {
            import_mj: 3_740_000,
            export_mj: 129,
        }]
        .into_iter()
        .collect(),
    };
    assert_eq!(
        serde_json::to_string(&lost).unwrap(),
        r#"{"lost":{"first":1000,"count":240,"energy":[{"import_mj":3740000,"export_mj":129}]}}"#
    );
    let calibrated = What::Calibrated {
        version: 3,
        utc_ms: 1_795_248_000_000,
        channels: [ChannelScale {
            voltage_nv_per_code: 264_700_000,
            current_na_per_code: 23_000_000,
            current_skew_ns: -41_000,
            current_noise_na: 69_000_000,
            no_load_mw: 900,
        }]
        .into_iter()
        .collect(),
    };
    assert_eq!(
        serde_json::to_string(&calibrated).unwrap(),
        concat!(
            r#"{"calibrated":{"version":3,"utc_ms":1795248000000,"channels":[{"#,
            r#""voltage_nv_per_code":264700000,"current_na_per_code":23000000,"#,
            r#""current_skew_ns":-41000,"current_noise_na":69000000,"no_load_mw":900}]}}"#
        )
    );
    let four = r#"{"lost":{"first":1,"count":1,"energy":[{"import_mj":1,"export_mj":1},{"import_mj":1,"export_mj":1},{"import_mj":1,"export_mj":1},{"import_mj":1,"export_mj":1}]}}"#;
    assert!(serde_json::from_str::<What>(four).is_err());
    let head = [7, 1, 1];
    let four = [&head[..], &[2, 1, 1, 4], &[1; 8]].concat();
    assert_eq!(Event::parse(&four), Err(NotAnEvent));
    let three = [&head[..], &[2, 1, 1, 3], &[1; 6]].concat();
    assert!(Event::parse(&three).is_ok());
}
