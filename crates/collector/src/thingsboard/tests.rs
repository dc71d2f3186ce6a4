//! The client against the double of a server, in order and with faults.

use std::time::Duration;

use protocol::{ChannelReading, Reading, Registers, Seq, reading::ExtremesSet};
use thingsboard_double::{Double, FOREVER, Faults, Options, Value};

use super::{
    DEFAULT_PROFILE, Server, ServerAddress, ServerDevice, ServerError, Timeouts, Window,
    channel_keys, pack,
};

const USER: &str = "tenant@thingsboard.org";
const TOKEN: &str = "AbCdEfGhIjKlMnOpQrSt";
const QUICK: Timeouts = Timeouts {
    connect: Duration::from_millis(500),
    request: Duration::from_millis(500),
};

async fn double() -> Double {
    Double::start(Options::default())
        .await
        .expect("the double starts")
}

fn server(double: &Double) -> Server {
    let address = ServerAddress::parse(&double.url()).expect("an address");
    Server::new(address, QUICK).expect("a client")
}

async fn signed_in(double: &Double) -> Server {
    let server = server(double);
    server.login(USER, "tenant").await.expect("the demo user");
    server
}

async fn with_device() -> (Double, Server, ServerDevice) {
    let double = double().await;
    let server = signed_in(&double).await;
    let device = server
        .create_device("OFMON-1", DEFAULT_PROFILE, "Cellar", TOKEN)
        .await
        .expect("a new device");
    (double, server, device)
}

fn readings(count: u64) -> Vec<(i64, Reading)> {
    let one = |seq: u64| Reading {
        seq: Seq(seq),
        span: 1,
        boot: 1,
        uptime_ms: 10_000 * (seq + 1),
        interval_ms: 10_000,
        power_unit_mw: 1000,
        channels: [ChannelReading {
            energy_quanta: seq as i32,
            frequency_chz: 5000,
            ..ChannelReading::default()
        }]
        .into_iter()
        .collect(),
        extremes: ExtremesSet::new(),
        registers: [Registers::default()].into_iter().collect(),
    };
    (0..count)
        .map(|seq| (1_700_000_000_000 + 10_000 * seq as i64, one(seq)))
        .collect()
}

const ALL: Window = Window {
    first_ms: 1_700_000_000_000,
    last_ms: 1_700_000_990_000,
};

#[tokio::test]
async fn readings_come_back_as_counts_timestamps_and_latest_values() {
    let (_double, server, device) = with_device().await;
    let packed = pack(&readings(100)).expect("readings");
    server.upload(TOKEN, &packed).await.expect("accepted");

    let keys = channel_keys(1);
    let counts = server.count(&device.id, &keys, ALL).await.expect("counts");
    assert_eq!(counts.len(), keys.len());
    assert!(counts.values().all(|count| *count == 100), "{counts:?}");
    let short = Window {
        last_ms: ALL.last_ms - 1,
        ..ALL
    };
    let counts = server
        .count(&device.id, &keys, short)
        .await
        .expect("counts");
    assert_eq!(counts["power"], 99, "both ends belong to the window");

    let times = server.timestamps(&device.id, "power", ALL).await;
    let expected: Vec<i64> = readings(100).iter().map(|(ts, _)| *ts).collect();
    assert_eq!(times.expect("timestamps"), expected);
    let latest = server.latest(&device.id, &keys).await.expect("values");
    assert_eq!(latest["power"], (ALL.last_ms, 99.0));
}

#[tokio::test]
async fn deleting_a_window_spares_what_lies_outside() {
    let (double, server, device) = with_device().await;
    let packed = pack(&readings(100)).expect("readings");
    server.upload(TOKEN, &packed).await.expect("accepted");
    let window = Window {
        first_ms: ALL.first_ms + 10_000,
        last_ms: ALL.first_ms + 20_000,
    };
    let keys = channel_keys(1);
    server
        .delete(&device.id, &keys, window)
        .await
        .expect("deleted");
    let id = double.device_named("OFMON-1").expect("the device").id;
    for key in keys {
        let left = double.points(id, &key);
        assert_eq!(left.len(), 98, "{key}");
        assert!(left.contains_key(&ALL.first_ms));
        assert!(left.contains_key(&(ALL.first_ms + 30_000)));
    }
    assert_eq!(
        double.points(id, "power").get(&ALL.last_ms),
        Some(&Value::Double(99.0))
    );
}

#[tokio::test]
async fn devices_are_found_listed_and_created_with_their_token() {
    let (double, server, device) = with_device().await;
    assert_eq!(
        server.device_named("OFMON-1").await.expect("an answer"),
        Some(device.clone())
    );
    assert_eq!(
        server.device_named("OFMON-2").await.expect("an answer"),
        None
    );
    let token = server.access_token(&device.id).await.expect("credentials");
    assert_eq!(token.as_deref().map(String::as_str), Some(TOKEN));

    let again = server
        .create_device("OFMON-1", DEFAULT_PROFILE, "", "another token of mine")
        .await;
    assert!(
        matches!(again, Err(ServerError::Refused { status: 400, .. })),
        "{again:?}"
    );
    for n in 0..250 {
        double
            .add_device(&format!("other {n:03}"), &format!("{n:020}"))
            .expect("a new device");
    }
    let listed = server.devices().await.expect("a list");
    assert_eq!(listed.len(), 251);
    assert!(listed.windows(2).all(|pair| pair[0].name < pair[1].name));
}

#[tokio::test]
async fn sessions_are_renewed_before_their_end_and_when_they_end_early() {
    let double = double().await;
    double.set_faults(Faults {
        access_token_lifetime_s: Some(1),
        ..Faults::default()
    });
    let server = signed_in(&double).await;
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    server.devices().await.expect("renewed by time");
    double.set_faults(Faults::default());
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    server.devices().await.expect("renewed by time again");
    double.expire_access_tokens();
    server.devices().await.expect("renewed after a refusal");

    let later = self::server(&double);
    later.resume(&server.refresh_token().expect("a session"));
    later.devices().await.expect("another run goes on");

    double.expire_access_tokens();
    double.expire_refresh_tokens();
    let over = server.devices().await;
    assert!(matches!(over, Err(ServerError::SignInAgain)), "{over:?}");
}

#[tokio::test]
async fn wrong_passwords_and_missing_sessions_are_told_apart() {
    let double = double().await;
    let server = server(&double);
    assert!(matches!(
        server.login(USER, "wrong").await,
        Err(ServerError::WrongPassword)
    ));
    assert!(matches!(
        server.devices().await,
        Err(ServerError::SignInAgain)
    ));
}

#[tokio::test]
async fn every_fault_of_an_upload_has_its_own_error() {
    let (double, server, _) = with_device().await;
    let packed = pack(&readings(3)).expect("readings");
    type Check = fn(&ServerError) -> bool;
    let cases: [(Faults, Check); 8] = [
        (
            Faults {
                telemetry_errors: 1,
                ..Faults::default()
            },
            |e| matches!(e, ServerError::Overloaded { status: 500 }),
        ),
        (
            Faults {
                refuse_tokens: 1,
                ..Faults::default()
            },
            |e| matches!(e, ServerError::UnknownToken),
        ),
        (
            Faults {
                body_bytes_max: Some(10),
                ..Faults::default()
            },
            |e| matches!(e, ServerError::TooLarge),
        ),
        (
            Faults {
                html_page: 1,
                ..Faults::default()
            },
            |e| matches!(e, ServerError::NotThingsBoard { status: 200 }),
        ),
        (
            Faults {
                unavailable: 1,
                ..Faults::default()
            },
            |e| matches!(e, ServerError::Unavailable { status: 503 }),
        ),
        (
            Faults {
                stall: 1,
                ..Faults::default()
            },
            |e| matches!(e, ServerError::Unreachable(_)),
        ),
        (
            Faults {
                close_before_handling: 1,
                ..Faults::default()
            },
            |e| matches!(e, ServerError::Unreachable(_)),
        ),
        (
            Faults {
                close_after_handling: 1,
                ..Faults::default()
            },
            |e| matches!(e, ServerError::Unreachable(_)),
        ),
    ];
    for (faults, is_expected) in cases {
        double.set_faults(faults.clone());
        let error = server.upload(TOKEN, &packed).await.expect_err("a fault");
        assert!(is_expected(&error), "{faults:?}: {error:?}");
        let mut told = format!("{error} {error:?}");
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            told.push_str(&format!("{cause} {cause:?}"));
            source = cause.source();
        }
        assert!(!told.contains(TOKEN), "the token leaks: {told}");
    }
}

#[tokio::test]
async fn a_web_page_in_place_of_answers_of_the_user_api_is_named() {
    let (double, server, device) = with_device().await;
    double.set_faults(Faults {
        html_page: FOREVER,
        ..Faults::default()
    });
    let keys = channel_keys(1);
    for error in [
        server.devices().await.err(),
        server.count(&device.id, &keys, ALL).await.err(),
        server.delete(&device.id, &keys, ALL).await.err(),
        server.login(USER, "tenant").await.err(),
    ] {
        assert!(
            matches!(error, Some(ServerError::NotThingsBoard { status: 200 })),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn an_unknown_token_is_refused_and_a_dead_server_is_unreachable() {
    let (double, server, _) = with_device().await;
    let packed = pack(&readings(1)).expect("a reading");
    let error = server.upload("nobody's token", &packed).await;
    assert!(matches!(error, Err(ServerError::UnknownToken)), "{error:?}");
    double.stop().await;
    let error = server.upload(TOKEN, &packed).await;
    assert!(
        matches!(error, Err(ServerError::Unreachable(_))),
        "{error:?}"
    );
}
