//! Records on flash, and values that are refused.

use super::*;

fn channel(seed: u32) -> Calibration {
    Calibration {
        voltage_nv_per_code: 264_700_000 + seed,
        current_na_per_code: 23_000_000 + seed,
        current_skew_ns: -41_000 - seed as i32,
        current_noise_na: 69_000_000 + seed,
        no_load_mw: 900 + seed as u16,
    }
}

fn settings() -> Settings {
    Settings {
        version: 7,
        interval_ms: 60_000,
        token: Some("A1B2C3D4E5F6G7H8I9J0".try_into().unwrap()),
        name: "Keller Süd".try_into().unwrap(),
        calibration: CalibrationRecord {
            version: 3,
            utc_ms: 1_795_248_000_000,
            channels: [1, 2, 3].map(channel).into_iter().collect(),
        },
        calibration_before: CalibrationRecord {
            version: 2,
            utc_ms: 1_795_247_000_000,
            channels: [4, 5, 6].map(channel).into_iter().collect(),
        },
        code: Some(CodeHash::from_bytes(core::array::from_fn(|index| {
            index as u8
        }))),
        channels: [("Herd", 2_000), ("", 1), ("Wärmepumpe im Keller", 100_000)]
            .map(|(name, ct_ratio)| ChannelSettings {
                name: name.try_into().unwrap(),
                ct_ratio,
            })
            .into_iter()
            .collect(),
    }
}

#[test]
fn settings_survive_flash_and_cut_records_are_refused() {
    let settings = settings();
    let mut buffer = [0; RECORD_BYTES_MAX];
    let length = settings.write(&mut buffer);
    assert_eq!(Settings::parse(&buffer[..length]).as_ref(), Some(&settings));
    for cut in 0..length {
        assert_eq!(Settings::parse(&buffer[..cut]), None, "{cut}");
    }
    let fresh_length = Settings::default().write(&mut buffer);
    assert_eq!(
        Settings::parse(&buffer[..fresh_length]),
        Some(Settings::default())
    );
}

#[test]
fn a_record_of_the_format_before_is_read_and_has_no_code() {
    let settings = Settings {
        code: None,
        channels: Vec::new(),
        ..settings()
    };
    let mut buffer = [0; RECORD_BYTES_MAX];
    let length = settings.write(&mut buffer);
    buffer[0] = FORMAT_WITHOUT_CHANNELS;
    let parsed = Settings::parse(&buffer[..length - 2]);
    assert_eq!(parsed, Some(settings));
    assert_eq!(Settings::parse(&buffer[..length]), None);
    for format in [0, 1, 4, 255] {
        buffer[0] = format;
        assert_eq!(Settings::parse(&buffer[..length]), None, "{format}");
    }
}

#[test]
fn the_longest_record_fits() {
    let text = |bytes| core::str::from_utf8(&[b'x'; 64][..bytes]).unwrap();
    let mut settings = settings();
    settings.token = Some(text(TOKEN_BYTES_MAX).try_into().unwrap());
    settings.name = text(NAME_BYTES_MAX).try_into().unwrap();
    for channel in &mut settings.channels {
        channel.name = text(CHANNEL_NAME_BYTES_MAX).try_into().unwrap();
    }
    let mut buffer = [0; RECORD_BYTES_MAX];
    assert_eq!(settings.write(&mut buffer), RECORD_BYTES_MAX);
    assert_eq!(Settings::parse(&buffer), Some(settings));
}

#[test]
fn values_out_of_range_are_refused() {
    for code in [
        "",
        "short",
        "with space",
        "größer",
        "123456789012345678901234567890123",
    ] {
        assert_eq!(check_code(code), Err(InvalidSetting::Code), "{code}");
    }
    let channel = |name: &str, ct_ratio| ChannelSettings {
        name: name.try_into().unwrap(),
        ct_ratio,
    };
    for channels in [
        &[][..],
        &[channel("a", 0)],
        &[channel("a", 100_001)],
        &[channel("a\n", 2_000)],
        &[channel("a", 2_000), channel("b", 2_000)],
    ] {
        let checked = check_channels(channels, 1);
        assert_eq!(checked, Err(InvalidSetting::Channels), "{channels:?}");
    }
    assert_eq!(check_channels(&[channel("", 1)], 1), Ok(()));
    for token in [
        "",
        "fifteen-chars-x",
        "with a space in it",
        "täoken-of-18-chars",
    ] {
        assert_eq!(check_token(token), Err(InvalidSetting::Token), "{token}");
    }
    for name in ["", "  ", "two\nlines"] {
        assert_eq!(check_name(name), Err(InvalidSetting::Name), "{name}");
    }
    for interval_ms in [0, 999, 1500, 901_000] {
        assert_eq!(
            check_interval(interval_ms),
            Err(InvalidSetting::Interval),
            "{interval_ms}"
        );
    }
}
