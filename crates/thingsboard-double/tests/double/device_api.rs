//! The device API: telemetry and attributes by access token.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};
use thingsboard_double::{Options, Value};

use crate::harness::{TOKEN, answered, rows, world, world_with};

#[tokio::test]
async fn all_forms_of_telemetry_are_stored() {
    let world = world().await;
    let id = world.device.id;
    assert_eq!(
        world.telemetry(&json!({"now": 1})).await.ok(),
        Some(StatusCode::OK)
    );
    assert_eq!(
        world.telemetry(&json!([{"later": 1}])).await.ok(),
        Some(StatusCode::OK)
    );
    assert_eq!(
        world
            .telemetry(&json!({"ts": 5, "values": {"one": 1}}))
            .await
            .ok(),
        Some(StatusCode::OK)
    );
    assert_eq!(
        world.telemetry(&rows(1000, 3)).await.ok(),
        Some(StatusCode::OK)
    );
    assert_eq!(world.double.points(id, "one"), [(5, Value::Long(1))].into());
    let power = [
        (1000, Value::Long(100)),
        (2000, Value::Long(101)),
        (3000, Value::Long(102)),
    ];
    assert_eq!(world.double.points(id, "power"), power.into());
    assert_eq!(
        world.double.points(id, "energyImport").get(&2000),
        Some(&Value::Double(1.5))
    );
    let stamped = world
        .double
        .latest(id, "now")
        .expect("the server's time was taken")
        .0;
    assert!(stamped > 1_600_000_000_000);
    assert_eq!(
        world.double.keys(id),
        ["energyImport", "later", "now", "one", "power"]
    );
}

#[tokio::test]
async fn an_upload_may_be_repeated() {
    let world = world().await;
    for _ in 0..3 {
        assert_eq!(
            world.telemetry(&rows(0, 10)).await.ok(),
            Some(StatusCode::OK)
        );
    }
    assert_eq!(world.double.point_count(world.device.id), 20);
    assert_eq!(world.double.statistics().points_written, 60);
}

#[tokio::test]
async fn values_are_typed_by_how_they_are_written() {
    let world = world().await;
    let body = r#"{"ts": 1, "values": {"a": 5.0, "b": 5, "c": "12", "d": "x", "e": true, "f": null, "g": {"h": 1},
        "i": 0.12345678901234567}}"#;
    assert_eq!(world.telemetry_text(body).await.ok(), Some(StatusCode::OK));
    let stored = |key| {
        world
            .double
            .latest(world.device.id, key)
            .map(|(_, value)| value)
    };
    assert_eq!(stored("a"), Some(Value::Double(5.0)));
    assert_eq!(stored("b"), Some(Value::Long(5)));
    assert_eq!(stored("c"), Some(Value::Long(12)));
    assert_eq!(stored("d"), Some(Value::Text("x".into())));
    assert_eq!(stored("e"), Some(Value::Bool(true)));
    assert_eq!(stored("f"), None);
    assert_eq!(stored("g"), Some(Value::Json("{\"h\": 1}".into())));
    assert_eq!(
        stored("i"),
        Some(Value::Text("0.12345678901234567".into())),
        "too many decimals"
    );
}

#[tokio::test]
async fn an_empty_object_is_accepted_and_an_empty_array_hangs_until_503() {
    let options = Options {
        request_timeout: Duration::from_millis(300),
        ..Options::default()
    };
    let world = world_with(options).await;
    assert_eq!(world.telemetry(&json!({})).await.ok(), Some(StatusCode::OK));
    let begin = Instant::now();
    assert_eq!(
        world.telemetry(&json!([])).await.ok(),
        Some(StatusCode::SERVICE_UNAVAILABLE)
    );
    assert!(begin.elapsed() >= Duration::from_millis(300));
    assert_eq!(world.double.point_count(world.device.id), 0);
}

#[tokio::test]
async fn unknown_tokens_get_401_without_a_body() {
    let world = world().await;
    for (method, path) in [
        (Method::POST, "telemetry"),
        (Method::GET, "attributes"),
        (Method::POST, "attributes"),
    ] {
        let request = world
            .plain(method, &format!("/api/v1/NO_SUCH_TOKEN/{path}"))
            .body("{\"a\":1}");
        let answer = answered(request.send().await.expect("an answer")).await;
        assert_eq!(answer, (StatusCode::UNAUTHORIZED, Json::Null), "{path}");
    }
    world
        .double
        .set_token(world.device.id, "NEW_TOKEN")
        .expect("the token is free");
    assert_eq!(
        world.telemetry(&json!({"a": 1})).await.ok(),
        Some(StatusCode::UNAUTHORIZED)
    );
}

#[tokio::test]
async fn unreadable_bodies_get_500_with_a_text_and_store_nothing() {
    let world = world().await;
    for body in [
        "",
        "{\"a\":",
        "7",
        "[{\"a\":1},3]",
        "{\"ts\":\"soon\",\"values\":{\"a\":1}}",
    ] {
        let path = format!("/api/v1/{TOKEN}/telemetry");
        let sent = world
            .plain(Method::POST, &path)
            .body(body)
            .send()
            .await
            .expect("an answer");
        let (status, message) = answered(sent).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{body}");
        assert!(
            message
                .as_str()
                .is_some_and(|text| text.starts_with("Can't parse value")),
            "{body}"
        );
    }
    assert_eq!(world.double.point_count(world.device.id), 0);
}

#[tokio::test]
async fn a_bad_key_loses_its_message_after_the_200() {
    let world = world().await;
    let body = json!([
        {"ts": 1, "values": {"good": 1, "<b>bad</b>": 2}},
        {"ts": 2, "values": {"good": 1}},
    ]);
    assert_eq!(world.telemetry(&body).await.ok(), Some(StatusCode::OK));
    assert_eq!(
        world.double.points(world.device.id, "good"),
        [(2, Value::Long(1))].into()
    );
    let statistics = world.double.statistics();
    assert_eq!(
        (statistics.points_written, statistics.points_dropped),
        (1, 2)
    );
}

#[tokio::test]
async fn content_types_do_not_matter() {
    let world = world().await;
    let path = format!("/api/v1/{TOKEN}/telemetry");
    let request = world
        .plain(Method::POST, &path)
        .header("Content-Type", "text/plain")
        .body("{\"a\": 1}");
    assert_eq!(
        request.send().await.expect("an answer").status(),
        StatusCode::OK
    );
    assert_eq!(world.double.keys(world.device.id), ["a"]);
}

#[tokio::test]
async fn attributes_are_kept_by_scope_and_asked_for_by_key() {
    let world = world().await;
    let path = format!("/api/v1/{TOKEN}/attributes");
    let get = async |query: &str| {
        let sent = world
            .plain(Method::GET, &format!("{path}{query}"))
            .send()
            .await;
        answered(sent.expect("an answer")).await.1
    };
    assert_eq!(get("").await, json!({}));
    let body = json!({"firmware": "1.2", "channels": 3});
    let sent = world
        .plain(Method::POST, &path)
        .json(&body)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answered(sent).await, (StatusCode::OK, Json::Null));
    let shared = json!({"interval": 10, "name": "cellar"});
    assert_eq!(
        world
            .post(&world.telemetry_path("attributes/SHARED_SCOPE"), &shared)
            .await
            .0,
        StatusCode::OK
    );

    // "1.2" is numeric text, which the device API casts.
    assert_eq!(
        get("").await,
        json!({"client": {"firmware": 1.2, "channels": 3}, "shared": shared})
    );
    assert_eq!(
        get("?sharedKeys=interval,none").await,
        json!({"shared": {"interval": 10}})
    );
    assert_eq!(
        get("?clientKeys=channels").await,
        json!({"client": {"channels": 3}})
    );
}
