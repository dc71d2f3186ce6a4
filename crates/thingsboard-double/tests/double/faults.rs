//! Each fault as a client meets it, and what is stored afterwards.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};
use thingsboard_double::{FOREVER, Faults, Options, RateLimit};

use crate::harness::{TOKEN, answered, rows, world, world_with};

#[tokio::test]
async fn telemetry_errors_are_bare_and_store_nothing() {
    let world = world().await;
    world.double.set_faults(Faults {
        telemetry_errors: 2,
        ..Faults::default()
    });
    let path = format!("/api/v1/{TOKEN}/telemetry");
    for _ in 0..2 {
        let sent = world
            .plain(Method::POST, &path)
            .json(&rows(0, 5))
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            answered(sent).await,
            (StatusCode::INTERNAL_SERVER_ERROR, Json::Null)
        );
    }
    assert_eq!(world.double.point_count(world.device.id), 0);
    assert_eq!(
        world.telemetry(&rows(0, 5)).await.ok(),
        Some(StatusCode::OK)
    );
    assert_eq!(world.double.faults(), Faults::default());
}

#[tokio::test]
async fn a_post_larger_than_the_rate_limit_never_succeeds_and_a_smaller_one_does() {
    let world = world().await;
    let rate_limit = Some(RateLimit {
        points: 20,
        seconds: 2,
    });
    world.double.set_faults(Faults {
        rate_limit,
        ..Faults::default()
    });
    assert_eq!(
        world.telemetry(&rows(0, 11)).await.ok(),
        Some(StatusCode::INTERNAL_SERVER_ERROR)
    );
    assert_eq!(
        world.telemetry(&rows(0, 10)).await.ok(),
        Some(StatusCode::OK)
    );
    assert_eq!(
        world.telemetry(&rows(0, 10)).await.ok(),
        Some(StatusCode::INTERNAL_SERVER_ERROR)
    );
    tokio::time::sleep(Duration::from_millis(2200)).await;
    assert_eq!(
        world.telemetry(&rows(0, 11)).await.ok(),
        Some(StatusCode::INTERNAL_SERVER_ERROR)
    );
    assert_eq!(
        world.telemetry(&rows(10_000, 10)).await.ok(),
        Some(StatusCode::OK)
    );
    assert_eq!(world.double.point_count(world.device.id), 40);
}

#[tokio::test]
async fn acknowledged_messages_get_lost_by_the_chosen_share() {
    let world = world().await;
    world.double.set_faults(Faults {
        drop_fraction: 0.25,
        ..Faults::default()
    });
    assert_eq!(
        world.telemetry(&rows(0, 100)).await.ok(),
        Some(StatusCode::OK)
    );
    assert_eq!(world.double.points(world.device.id, "power").len(), 75);
    assert_eq!(world.double.statistics().points_dropped, 50);
}

#[tokio::test]
async fn a_web_page_comes_in_place_of_json() {
    let world = world().await;
    world.double.set_faults(Faults {
        html_page: FOREVER,
        ..Faults::default()
    });
    for (method, path) in [
        (Method::GET, "/api/auth/user"),
        (Method::POST, "/api/v1/A1_TEST_TOKEN/telemetry"),
    ] {
        let answer = world
            .user(method, path)
            .body("{\"a\":1}")
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
        assert!(
            answer
                .text()
                .await
                .expect("a body")
                .starts_with("<!DOCTYPE html>")
        );
    }
    assert_eq!(world.double.point_count(world.device.id), 0);
    world.double.set_faults(Faults::default());
    assert_eq!(world.get("/api/auth/user").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_known_token_is_refused_as_often_as_asked() {
    let world = world().await;
    world.double.set_faults(Faults {
        refuse_tokens: 1,
        ..Faults::default()
    });
    assert_eq!(
        world.telemetry(&json!({"a": 1})).await.ok(),
        Some(StatusCode::UNAUTHORIZED)
    );
    assert_eq!(
        world.telemetry(&json!({"a": 1})).await.ok(),
        Some(StatusCode::OK)
    );
}

#[tokio::test]
async fn bodies_above_the_size_get_413() {
    let world = world().await;
    let body = rows(0, 50);
    let bytes = body.to_string().len();
    world.double.set_faults(Faults {
        body_bytes_max: Some(bytes - 1),
        ..Faults::default()
    });
    assert_eq!(
        world.telemetry(&body).await.ok(),
        Some(StatusCode::PAYLOAD_TOO_LARGE)
    );
    assert_eq!(world.double.point_count(world.device.id), 0);
    world.double.set_faults(Faults {
        body_bytes_max: Some(bytes),
        ..Faults::default()
    });
    assert_eq!(world.telemetry(&body).await.ok(), Some(StatusCode::OK));
    assert_eq!(
        world
            .double
            .requests()
            .last()
            .map(|request| request.body_bytes),
        Some(bytes)
    );
}

#[tokio::test]
async fn the_servers_own_limits_differ_between_the_apis() {
    let options = Options {
        device_body_bytes_max: 2000,
        user_body_bytes_max: 1000,
        ..Options::default()
    };
    let world = world_with(options).await;
    let body = rows(0, 25);
    assert!((1000..2000).contains(&body.to_string().len()));
    assert_eq!(world.telemetry(&body).await.ok(), Some(StatusCode::OK));
    let (status, _) = world
        .post(&world.telemetry_path("timeseries/ANY"), &body)
        .await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        world.telemetry(&rows(0, 50)).await.ok(),
        Some(StatusCode::PAYLOAD_TOO_LARGE)
    );
}

#[tokio::test]
async fn a_stalled_request_is_never_answered_and_stores_nothing() {
    let world = world().await;
    world.double.set_faults(Faults {
        stall: 1,
        ..Faults::default()
    });
    let path = format!("/api/v1/{TOKEN}/telemetry");
    let request = world
        .plain(Method::POST, &path)
        .json(&rows(0, 5))
        .timeout(Duration::from_millis(400));
    let error = request.send().await.expect_err("no answer comes");
    assert!(error.is_timeout());
    assert_eq!(world.double.point_count(world.device.id), 0);
    assert_eq!(
        world.telemetry(&rows(0, 5)).await.ok(),
        Some(StatusCode::OK)
    );
}

#[tokio::test]
async fn a_connection_closed_before_handling_stores_nothing() {
    let world = world().await;
    world.double.set_faults(Faults {
        close_before_handling: 1,
        ..Faults::default()
    });
    world
        .telemetry(&rows(0, 5))
        .await
        .expect_err("the connection is closed");
    assert_eq!(world.double.point_count(world.device.id), 0);
    assert_eq!(
        world.double.requests().last().map(|request| request.status),
        Some(None)
    );
}

#[tokio::test]
async fn a_connection_closed_after_handling_has_stored_everything() {
    let world = world().await;
    world.double.set_faults(Faults {
        close_after_handling: 1,
        ..Faults::default()
    });
    world
        .telemetry(&rows(0, 5))
        .await
        .expect_err("the connection is closed");
    assert_eq!(world.double.point_count(world.device.id), 10);
    assert_eq!(
        world.telemetry(&rows(0, 5)).await.ok(),
        Some(StatusCode::OK)
    );
    assert_eq!(
        world.double.point_count(world.device.id),
        10,
        "sending it again changes nothing"
    );
}

#[tokio::test]
async fn a_dead_server_behind_a_proxy_answers_503() {
    let world = world().await;
    world.double.set_faults(Faults {
        unavailable: 1,
        ..Faults::default()
    });
    assert_eq!(
        world.telemetry(&rows(0, 5)).await.ok(),
        Some(StatusCode::SERVICE_UNAVAILABLE)
    );
    assert_eq!(world.double.point_count(world.device.id), 0);
}

#[tokio::test]
async fn slow_answers_are_slow_on_the_chosen_paths_only() {
    let world = world().await;
    let only_paths_containing = "/telemetry".to_owned();
    world.double.set_faults(Faults {
        delay_ms: 300,
        only_paths_containing,
        ..Faults::default()
    });
    let begin = Instant::now();
    assert_eq!(
        world.telemetry(&json!({"a": 1})).await.ok(),
        Some(StatusCode::OK)
    );
    assert!(begin.elapsed() >= Duration::from_millis(300));
    world.double.set_faults(Faults {
        delay_ms: 60_000,
        only_paths_containing: "/login".into(),
        ..Faults::default()
    });
    let sent = world
        .user(Method::GET, "/api/auth/user")
        .timeout(Duration::from_secs(10))
        .send()
        .await;
    assert_eq!(sent.expect("an answer in time").status(), StatusCode::OK);
}

#[tokio::test]
async fn a_busy_queue_stores_after_the_answer() {
    let world = world().await;
    world.double.set_faults(Faults {
        store_delay_ms: 1000,
        ..Faults::default()
    });
    assert_eq!(
        world.telemetry(&rows(0, 5)).await.ok(),
        Some(StatusCode::OK)
    );
    assert_eq!(world.double.point_count(world.device.id), 0);
    let begin = Instant::now();
    while world.double.point_count(world.device.id) < 10 {
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "the data never arrives"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_full_server_acknowledges_and_drops() {
    let world = world_with(Options {
        points_max: 6,
        ..Options::default()
    })
    .await;
    assert_eq!(
        world.telemetry(&rows(0, 5)).await.ok(),
        Some(StatusCode::OK)
    );
    assert_eq!(world.double.point_count(world.device.id), 6);
    let (status, _) = world
        .post(&world.telemetry_path("timeseries/ANY"), &rows(90_000, 1))
        .await;
    assert_eq!(
        status,
        StatusCode::INTERNAL_SERVER_ERROR,
        "the user API does not acknowledge what it dropped"
    );
}

#[tokio::test]
async fn parallel_posts_of_a_device_are_noticed_and_tokens_are_not_kept() {
    let world = world().await;
    world.double.set_faults(Faults {
        delay_ms: 500,
        ..Faults::default()
    });
    let (first, second) = (json!({"a": 1}), json!({"a": 2}));
    let (first, second) = tokio::join!(world.telemetry(&first), world.telemetry(&second));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(world.double.statistics().telemetry_in_flight_max, 2);
    assert!(
        world
            .double
            .requests()
            .iter()
            .all(|request| !request.path.contains(TOKEN))
    );
}

#[tokio::test]
async fn faults_are_switched_over_http_whatever_is_switched_on() {
    let world = world().await;
    let (status, set) = world
        .post(
            "/double/faults",
            &json!({"html_page": FOREVER, "delay_ms": 60_000}),
        )
        .await;
    assert_eq!(
        (status, &set["html_page"]),
        (StatusCode::OK, &json!(FOREVER))
    );
    assert_eq!(world.get("/double/faults").await.1, set);
    let (status, _) = world
        .post("/double/faults", &json!({"html_pages": 1}))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        world.double.faults().html_page,
        FOREVER,
        "a refused setting changes nothing"
    );
    world.post("/double/faults", &json!({})).await;
    assert_eq!(world.double.faults(), Faults::default());

    assert_eq!(
        world
            .post("/double/expire-tokens", &json!({"access": true}))
            .await
            .0,
        StatusCode::OK
    );
    assert_eq!(world.get("/api/auth/user").await.1["errorCode"], 11);
}

#[tokio::test]
async fn a_stopped_server_frees_its_port_and_cuts_its_connections() {
    let world = world().await;
    world.double.set_faults(Faults {
        stall: 1,
        ..Faults::default()
    });
    let path = format!("/api/v1/{TOKEN}/telemetry");
    let stalled = tokio::spawn(world.plain(Method::POST, &path).body("{}").send());
    while world.double.faults().stall > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let address = world.double.address();
    world.double.stop().await;
    assert!(stalled.await.expect("the task ends").is_err());
    std::net::TcpListener::bind(address).expect("the port is free again");
}

#[tokio::test]
async fn only_loopback_addresses_are_listened_on() {
    let listen = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
    assert!(
        thingsboard_double::Double::start(Options {
            listen,
            ..Options::default()
        })
        .await
        .is_err()
    );
}
