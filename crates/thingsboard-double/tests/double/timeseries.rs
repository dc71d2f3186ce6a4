//! Telemetry and attributes of the user API.

use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::harness::{World, answered, rows, world};

async fn filled(count: i64) -> World {
    let world = world().await;
    assert_eq!(
        world.telemetry(&rows(0, count)).await.ok(),
        Some(StatusCode::OK)
    );
    world
}

async fn history(world: &World, query: &str) -> Json {
    let (status, body) = world
        .get(&world.telemetry_path(&format!("values/timeseries/history?{query}")))
        .await;
    assert_eq!(status, StatusCode::OK, "{query}: {body}");
    body
}

fn column(points: &Json, name: &str) -> Vec<Json> {
    points
        .as_array()
        .expect("a list")
        .iter()
        .map(|point| point[name].clone())
        .collect()
}

#[tokio::test]
async fn raw_history_is_newest_first_and_limited_to_100() {
    let world = filled(150).await;
    let newest = history(&world, "keys=power&startTs=0&endTs=150000").await;
    let times = column(&newest["power"], "ts");
    assert_eq!(
        (times.len(), &times[0], &times[99]),
        (100, &json!(149_000), &json!(50_000))
    );
    let oldest = history(
        &world,
        "keys=power&startTs=0&endTs=150000&orderBy=ASC&limit=2",
    )
    .await;
    assert_eq!(
        oldest,
        json!({"power": [{"ts": 0, "value": "100"}, {"ts": 1000, "value": "101"}]})
    );
}

#[tokio::test]
async fn the_end_of_a_range_is_not_in_it() {
    let world = filled(10).await;
    let found = history(&world, "keys=power&startTs=2000&endTs=4000&orderBy=ASC").await;
    assert_eq!(column(&found["power"], "ts"), [json!(2000), json!(3000)]);
    let one_by_one = "key=power&key=energyImport&startTs=2000&endTs=4000&orderBy=ASC";
    assert_eq!(history(&world, one_by_one).await["power"], found["power"]);
    assert_eq!(
        history(&world, "keys=power&startTs=4000&endTs=4000").await,
        json!({})
    );
}

#[tokio::test]
async fn values_are_text_unless_types_are_asked_for() {
    let world = filled(2).await;
    for (path, query) in [
        ("values/timeseries", ""),
        ("values/timeseries/history", "&orderBy=ASC"),
    ] {
        let query = format!("{path}?keys=power,energyImport&startTs=0&endTs=1000{query}");
        let (_, loose) = world.get(&world.telemetry_path(&query)).await;
        assert_eq!(
            loose,
            json!({"power": [{"ts": 0, "value": "100"}], "energyImport": [{"ts": 0, "value": "0.5"}]})
        );
        let (_, strict) = world
            .get(&world.telemetry_path(&format!("{query}&useStrictDataTypes=True")))
            .await;
        assert_eq!(
            strict,
            json!({"power": [{"ts": 0, "value": 100}], "energyImport": [{"ts": 0, "value": 0.5}]})
        );
    }
}

#[tokio::test]
async fn aggregates_answer_the_middle_of_their_bucket() {
    let world = filled(10).await;
    let query = |agg| {
        format!("keys=power&startTs=0&endTs=10000&interval=4000&agg={agg}&useStrictDataTypes=true")
    };
    let counts = history(&world, &query("COUNT")).await;
    assert_eq!(
        column(&counts["power"], "ts"),
        [json!(2000), json!(6000), json!(9000)],
        "the last bucket is cut"
    );
    assert_eq!(
        column(&counts["power"], "value"),
        [json!(4), json!(4), json!(2)]
    );
    assert_eq!(
        column(&history(&world, &query("SUM")).await["power"], "value"),
        [json!(406), json!(422), json!(217)]
    );
    assert_eq!(
        column(&history(&world, &query("AVG")).await["power"], "value"),
        [json!(101.5), json!(105.5), json!(108.5)]
    );
    assert_eq!(
        column(&history(&world, &query("MIN")).await["power"], "value"),
        [json!(100), json!(104), json!(108)]
    );
    assert_eq!(
        column(&history(&world, &query("MAX")).await["power"], "value"),
        [json!(103), json!(107), json!(109)]
    );
}

#[tokio::test]
async fn one_bucket_counts_a_whole_window() {
    let world = filled(2500).await;
    let query = "keys=power,energyImport,none&startTs=0&endTs=2500000&interval=2500000&agg=COUNT";
    let counts = history(&world, query).await;
    assert_eq!(counts["power"], json!([{"ts": 1_250_000, "value": "2500"}]));
    assert_eq!(counts["energyImport"][0]["value"], "2500");
    assert!(
        counts.get("none").is_none(),
        "a key without points is left out"
    );
}

#[tokio::test]
async fn impossible_aggregations_are_refused_in_plain_text() {
    let world = filled(1).await;
    for query in [
        "keys=power&startTs=0&endTs=701000&interval=1000&agg=COUNT",
        "keys=power&startTs=5000&endTs=0&interval=1000&agg=COUNT",
        "keys=power&startTs=0&endTs=1000&interval=-1&agg=COUNT",
        "keys=power&startTs=0&endTs=1000&interval=1&agg=DELTA",
        "keys=power&startTs=0&endTs=1000&interval=1&agg=SUM&intervalType=WEEK",
    ] {
        let (status, body) = world
            .get(&world.telemetry_path(&format!("values/timeseries/history?{query}")))
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        assert!(body.is_string(), "{query}: {body}");
    }
    let without_interval = history(&world, "keys=power&startTs=0&endTs=1000&agg=COUNT").await;
    assert_eq!(
        without_interval["power"],
        json!([{"ts": 0, "value": "100"}]),
        "it is no aggregation at all"
    );
}

#[tokio::test]
async fn latest_values_ignore_back_dated_data() {
    let world = filled(3).await;
    world
        .telemetry(&json!({"ts": 500, "values": {"power": 7}}))
        .await
        .expect("an answer");
    let (_, latest) = world.get(&world.telemetry_path("values/timeseries")).await;
    assert_eq!(latest["power"], json!([{"ts": 2000, "value": "102"}]));
    assert_eq!(
        world.get(&world.telemetry_path("keys/timeseries")).await.1,
        json!(["energyImport", "power"])
    );
    let (_, unknown) = world
        .get(&world.telemetry_path("values/timeseries?keys=none"))
        .await;
    assert_eq!(unknown["none"][0]["value"], Json::Null);
    assert!(
        unknown["none"][0]["ts"]
            .as_i64()
            .is_some_and(|ms| ms > 1_600_000_000_000),
        "it is dated now"
    );
}

#[tokio::test]
async fn the_user_api_saves_with_an_answer_that_can_be_relied_on() {
    let world = world().await;
    for path in ["timeseries/ANY", "timeseries/ANY/3600"] {
        assert_eq!(
            world.post(&world.telemetry_path(path), &rows(0, 5)).await.0,
            StatusCode::OK
        );
    }
    assert_eq!(world.double.point_count(world.device.id), 10);
    for body in [
        json!({}),
        json!([]),
        json!(5),
        json!({"ts": 5, "values": {}}),
        json!({"<i>": 1}),
    ] {
        let (status, text) = world
            .post(&world.telemetry_path("timeseries/ANY"), &body)
            .await;
        assert_eq!(
            (status, text.is_string()),
            (StatusCode::BAD_REQUEST, true),
            "{body}"
        );
    }
    assert_eq!(world.double.point_count(world.device.id), 10);
}

#[tokio::test]
async fn deleting_a_range_leaves_the_rest() {
    let world = filled(10).await;
    let path = "timeseries/delete?keys=power&startTs=2000&endTs=5000";
    assert_eq!(
        world.delete(&world.telemetry_path(path)).await,
        (StatusCode::OK, Json::Null)
    );
    assert_eq!(world.double.points(world.device.id, "power").len(), 7);
    assert_eq!(
        world.double.points(world.device.id, "energyImport").len(),
        10
    );

    let end = "timeseries/delete?keys=power&startTs=8000&endTs=10000&rewriteLatestIfDeleted=true";
    world.delete(&world.telemetry_path(end)).await;
    assert_eq!(
        world
            .double
            .latest(world.device.id, "power")
            .map(|(ts_ms, _)| ts_ms),
        Some(7000)
    );

    let all = "timeseries/delete?keys=power,energyImport&deleteAllDataForKeys=true";
    world.delete(&world.telemetry_path(all)).await;
    assert_eq!(world.double.point_count(world.device.id), 0);
    for query in ["keys=power", "startTs=0&endTs=1", "keys=power&startTs=0"] {
        let (status, _) = world
            .delete(&world.telemetry_path(&format!("timeseries/delete?{query}")))
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn unknown_devices_and_other_entities_are_refused() {
    let world = world().await;
    let unknown = format!(
        "/api/plugins/telemetry/DEVICE/{}/keys/timeseries",
        Uuid::nil()
    );
    assert_eq!(world.get(&unknown).await.0, StatusCode::NOT_FOUND);
    let asset = format!(
        "/api/plugins/telemetry/ASSET/{}/keys/timeseries",
        world.device.id
    );
    assert_eq!(world.get(&asset).await.0, StatusCode::BAD_REQUEST);
    let sent = world
        .plain(Method::GET, &world.telemetry_path("keys/timeseries"))
        .send()
        .await;
    assert_eq!(
        answered(sent.expect("an answer")).await.0,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn attributes_are_saved_by_every_path_and_read_by_scope() {
    let world = world().await;
    let short = format!("/api/plugins/telemetry/{}/SERVER_SCOPE", world.device.id);
    for (path, key) in [
        (world.telemetry_path("attributes/SERVER_SCOPE"), "a"),
        (world.telemetry_path("SERVER_SCOPE"), "b"),
        (short.clone(), "c"),
    ] {
        assert_eq!(
            world.post(&path, &json!({key: 1.5})).await.0,
            StatusCode::OK,
            "{path}"
        );
    }
    let (_, found) = world
        .get(&world.telemetry_path("values/attributes/SERVER_SCOPE?keys=a,b,c"))
        .await;
    assert_eq!(column(&found, "key"), [json!("a"), json!("b"), json!("c")]);
    assert_eq!(
        column(&found, "value"),
        [json!(1.5), json!(1.5), json!(1.5)]
    );
    assert!(
        found[0]["lastUpdateTs"]
            .as_i64()
            .is_some_and(|ms| ms > 1_600_000_000_000)
    );
    let (_, active) = world
        .get(&world.telemetry_path("values/attributes?keys=active"))
        .await;
    assert_eq!(active[0]["value"], json!(false));
    world
        .telemetry(&json!({"power": 1}))
        .await
        .expect("an answer");
    let (_, active) = world
        .get(&world.telemetry_path("values/attributes?keys=active"))
        .await;
    assert_eq!(active[0]["value"], json!(true));

    assert_eq!(
        world.delete(&format!("{short}?keys=a,b")).await.0,
        StatusCode::OK
    );
    let (_, keys) = world
        .get(&world.telemetry_path("keys/attributes/SERVER_SCOPE"))
        .await;
    assert_eq!(keys, json!(["active", "c", "lastActivityTime"]));
    for (scope, body) in [
        ("CLIENT_SCOPE", json!({"a": 1})),
        ("OTHER", json!({"a": 1})),
        ("SERVER_SCOPE", json!({})),
    ] {
        let (status, _) = world
            .post(&world.telemetry_path(&format!("attributes/{scope}")), &body)
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{scope}");
    }
}
