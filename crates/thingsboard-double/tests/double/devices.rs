//! Devices, credentials and profiles of the user API.

use reqwest::StatusCode;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::harness::{TOKEN, text, world};

#[tokio::test]
async fn a_device_is_created_found_and_deleted() {
    let world = world().await;
    let (status, device) = world
        .post(
            "/api/device?accessToken=MY_TOKEN",
            &json!({"name": "cellar"}),
        )
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&device["name"], &device["type"], &device["version"]),
        (&json!("cellar"), &json!("default"), &json!(1))
    );
    assert_eq!(device["firmwareId"], Json::Null);
    let id = text(&device["id"]["id"]);
    assert_eq!(device["id"]["entityType"], "DEVICE");

    assert_eq!(world.get(&format!("/api/device/{id}")).await.1, device);
    assert_eq!(
        world.get("/api/tenant/devices?deviceName=cellar").await.1,
        device
    );
    assert_eq!(
        world.get("/api/tenant/device?deviceName=cellar").await.1,
        device
    );
    assert_eq!(
        world.get(&format!("/api/devices?deviceIds={id}")).await.1,
        json!([device])
    );
    let (_, info) = world.get(&format!("/api/device/info/{id}")).await;
    assert_eq!(
        (&info["deviceProfileName"], &info["active"]),
        (&json!("default"), &json!(false))
    );
    assert_eq!(
        world
            .double
            .device_named("cellar")
            .map(|device| device.token),
        Some("MY_TOKEN".into())
    );

    assert_eq!(
        world.delete(&format!("/api/device/{id}")).await,
        (StatusCode::OK, Json::Null)
    );
    for path in [
        format!("/api/device/{id}"),
        "/api/tenant/devices?deviceName=cellar".into(),
    ] {
        let (status, error) = world.get(&path).await;
        assert_eq!(
            (status, &error["errorCode"]),
            (StatusCode::NOT_FOUND, &json!(32))
        );
    }
    assert_eq!(
        world.delete(&format!("/api/device/{id}")).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn names_and_tokens_are_unique() {
    let world = world().await;
    let (status, error) = world.post("/api/device", &json!({"name": "meter 1"})).await;
    assert_eq!(
        (status, &error["errorCode"]),
        (StatusCode::BAD_REQUEST, &json!(31))
    );
    assert_eq!(error["message"], "Device with such name already exists!");

    let path = format!("/api/device?accessToken={TOKEN}");
    let (status, error) = world.post(&path, &json!({"name": "meter 2"})).await;
    assert_eq!(
        (status, &error["errorCode"]),
        (StatusCode::BAD_REQUEST, &json!(31))
    );
    assert_eq!(
        error["message"],
        "Device credentials are already assigned to another device!"
    );
    assert_eq!(world.double.devices().len(), 1);
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let world = world().await;
    for body in [
        json!({}),
        json!({"name": " "}),
        json!({"name": "x".repeat(256)}),
        json!({"name": 5}),
        json!([]),
    ] {
        let (status, error) = world.post("/api/device", &body).await;
        assert_eq!(
            (status, &error["errorCode"]),
            (StatusCode::BAD_REQUEST, &json!(31)),
            "{body}"
        );
    }
    let unknown = json!({"name": "n", "deviceProfileId": {"entityType": "DEVICE_PROFILE", "id": Uuid::nil()}});
    assert_eq!(
        world.post("/api/device", &unknown).await.0,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        world.get("/api/device/not-an-id").await.0,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(world.double.devices().len(), 1);
}

#[tokio::test]
async fn saving_with_an_id_changes_the_device_and_checks_its_version() {
    let world = world().await;
    let path = format!("/api/device/{}", world.device.id);
    let (_, mut device) = world.get(&path).await;
    device["label"] = json!("north");
    device["name"] = json!("meter one");
    let (status, changed) = world.post("/api/device", &device).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&changed["name"], &changed["version"]),
        (&json!("meter one"), &json!(2))
    );
    let (status, error) = world.post("/api/device", &device).await;
    assert_eq!(
        (status, &error["errorCode"]),
        (StatusCode::CONFLICT, &json!(35))
    );
}

#[tokio::test]
async fn a_device_without_a_chosen_token_gets_twenty_random_characters() {
    let world = world().await;
    let (_, device) = world
        .post("/api/device", &json!({"name": "a", "type": "energy meter"}))
        .await;
    assert_eq!(device["type"], "energy meter");
    let path = format!("/api/device/{}/credentials", text(&device["id"]["id"]));
    let (_, credentials) = world.get(&path).await;
    let token = text(&credentials["credentialsId"]);
    assert_eq!(credentials["credentialsType"], "ACCESS_TOKEN");
    assert_eq!(credentials["deviceId"], device["id"]);
    assert_eq!(token.len(), 20);
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    world.post("/api/device", &json!({"name": "b"})).await;
    assert_ne!(
        world.double.device_named("b").map(|device| device.token),
        Some(token)
    );
}

#[tokio::test]
async fn credentials_are_changed_and_the_old_token_is_unknown() {
    let world = world().await;
    let path = format!("/api/device/{}/credentials", world.device.id);
    let (_, mut credentials) = world.get(&path).await;
    assert_eq!(credentials["credentialsId"], TOKEN);
    credentials["credentialsId"] = json!("ANOTHER");
    let (status, changed) = world.post("/api/device/credentials", &credentials).await;
    assert_eq!(
        (status, &changed["credentialsId"]),
        (StatusCode::OK, &json!("ANOTHER"))
    );
    assert_eq!(
        world.telemetry(&json!({"a": 1})).await.ok(),
        Some(StatusCode::UNAUTHORIZED)
    );

    world
        .double
        .add_device("other", "TAKEN")
        .expect("the name is free");
    credentials["credentialsId"] = json!("TAKEN");
    let (status, _) = world.post("/api/device/credentials", &credentials).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_device_is_created_together_with_its_credentials() {
    let world = world().await;
    let body = json!({
        "device": {"name": "both"},
        "credentials": {"credentialsType": "ACCESS_TOKEN", "credentialsId": "CHOSEN"},
    });
    let (status, device) = world.post("/api/device-with-credentials", &body).await;
    assert_eq!((status, &device["name"]), (StatusCode::OK, &json!("both")));
    assert_eq!(
        world.double.device_named("both").map(|device| device.token),
        Some("CHOSEN".into())
    );
}

#[tokio::test]
async fn lists_are_paged_searched_and_sorted() {
    let world = world().await;
    for number in 2..=25 {
        world
            .double
            .add_device(&format!("Meter {number}"), &format!("T{number}"))
            .expect("the name is free");
    }
    for path in [
        "/api/tenant/devices",
        "/api/user/devices",
        "/api/tenant/deviceInfos",
        "/api/deviceInfos/all",
    ] {
        let mut names = Vec::new();
        for page in 0..3 {
            let (status, body) = world.get(&format!("{path}?pageSize=10&page={page}")).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(
                (&body["totalPages"], &body["totalElements"]),
                (&json!(3), &json!(25))
            );
            assert_eq!(body["hasNext"], page < 2, "{path} page {page}");
            names.extend(
                body["data"]
                    .as_array()
                    .expect("a list")
                    .iter()
                    .map(|device| text(&device["name"])),
            );
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 25, "{path}");
    }
    let query = "pageSize=3&page=0&textSearch=meter%201&sortProperty=name&sortOrder=DESC";
    let (_, found) = world.get(&format!("/api/tenant/devices?{query}")).await;
    let names: Vec<_> = found["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|device| text(&device["name"]))
        .collect();
    assert_eq!(
        (names, &found["totalElements"]),
        (
            vec!["meter 1".into(), "Meter 19".into(), "Meter 18".into()],
            &json!(11)
        )
    );
}

#[tokio::test]
async fn page_parameters_are_required_and_checked() {
    let world = world().await;
    for query in [
        "",
        "?pageSize=10",
        "?page=0",
        "?pageSize=0&page=0",
        "?pageSize=5&page=-1",
        "?pageSize=x&page=0",
    ] {
        let (status, error) = world.get(&format!("/api/tenant/devices{query}")).await;
        assert_eq!(
            (status, &error["errorCode"]),
            (StatusCode::BAD_REQUEST, &json!(31)),
            "{query}"
        );
    }
    let (_, beyond) = world.get("/api/tenant/devices?pageSize=10&page=9").await;
    assert_eq!(
        (&beyond["data"], &beyond["hasNext"]),
        (&json!([]), &json!(false))
    );
}

#[tokio::test]
async fn profiles_are_listed_and_one_is_the_default() {
    let world = world().await;
    world
        .post("/api/device", &json!({"name": "a", "type": "energy meter"}))
        .await;
    let (_, default) = world.get("/api/deviceProfileInfo/default").await;
    assert_eq!(
        (&default["name"], &default["id"]["entityType"]),
        (&json!("default"), &json!("DEVICE_PROFILE"))
    );
    let (_, all) = world
        .get("/api/deviceProfileInfos?pageSize=10&page=0")
        .await;
    assert_eq!(all["totalElements"], 2);
    let (_, one) = world
        .get("/api/deviceProfileInfos?pageSize=10&page=0&textSearch=energy")
        .await;
    let profile = &one["data"][0]["id"];
    let (status, device) = world
        .post(
            "/api/device",
            &json!({"name": "b", "deviceProfileId": profile}),
        )
        .await;
    assert_eq!(
        (status, &device["type"]),
        (StatusCode::OK, &json!("energy meter"))
    );
}
