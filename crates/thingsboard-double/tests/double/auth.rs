//! Signing in, and what happens without.

use reqwest::{Method, StatusCode};
use serde_json::json;
use thingsboard_double::{Faults, Options};

use crate::harness::{answered, text, world, world_with};

#[tokio::test]
async fn wrong_passwords_get_the_servers_own_error_body() {
    let world = world().await;
    let body = json!({"username": "tenant@thingsboard.org", "password": "wrong"});
    let sent = world
        .plain(Method::POST, "/api/auth/login")
        .json(&body)
        .send()
        .await;
    let (status, error) = answered(sent.expect("the login is answered")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(error["message"], "Invalid username or password");
    assert_eq!(
        (&error["errorCode"], &error["status"]),
        (&json!(10), &json!(401))
    );
    assert!(
        error["timestamp"]
            .as_i64()
            .is_some_and(|ms| ms > 1_600_000_000_000)
    );
}

#[tokio::test]
async fn the_signed_in_user_is_answered() {
    let world = world().await;
    let (status, user) = world.get("/api/auth/user").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(user["email"], "tenant@thingsboard.org");
    assert_eq!(user["authority"], "TENANT_ADMIN");
    assert_eq!(
        user["customerId"]["id"],
        "13814000-1dd2-11b2-8080-808080808080"
    );
    let (_, info) = world.get("/api/system/info").await;
    assert_eq!(
        (&info["version"], &info["type"]),
        (&json!("4.3.1.3"), &json!("CE"))
    );
}

#[tokio::test]
async fn both_authorization_headers_are_accepted_and_none_is_not() {
    let world = world().await;
    let bearer = format!("Bearer {}", world.access);
    let with = world
        .plain(Method::GET, "/api/auth/user")
        .header("Authorization", bearer);
    assert_eq!(
        with.send().await.expect("an answer").status(),
        StatusCode::OK
    );
    let without = world
        .plain(Method::GET, "/api/auth/user")
        .send()
        .await
        .expect("an answer");
    let (status, error) = answered(without).await;
    assert_eq!(
        (status, &error["errorCode"]),
        (StatusCode::UNAUTHORIZED, &json!(10))
    );
}

#[tokio::test]
async fn only_the_tenant_administrator_may_touch_devices() {
    let mut world = world().await;
    for name in ["customer", "sysadmin"] {
        let pair = world.login(&format!("{name}@thingsboard.org"), name).await;
        world.access = text(&pair["token"]);
        let (status, error) = world.get("/api/tenant/devices?pageSize=1&page=0").await;
        assert_eq!(
            (status, &error["errorCode"]),
            (StatusCode::FORBIDDEN, &json!(20)),
            "{name}"
        );
        assert_eq!(
            world.get("/api/auth/user").await.0,
            StatusCode::OK,
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_expired_token_says_so_and_can_be_refreshed() {
    let mut world = world().await;
    world.double.expire_access_tokens();
    let (status, error) = world.get("/api/auth/user").await;
    assert_eq!(
        (status, &error["errorCode"]),
        (StatusCode::UNAUTHORIZED, &json!(11))
    );
    assert_eq!(error["message"], "Token has expired");

    let refresh = json!({"refreshToken": world.refresh});
    let (status, pair) = world.post("/api/auth/token", &refresh).await;
    assert_eq!(status, StatusCode::OK);
    world.access = text(&pair["token"]);
    assert_eq!(world.get("/api/auth/user").await.0, StatusCode::OK);

    world.double.expire_refresh_tokens();
    let (status, error) = world.post("/api/auth/token", &refresh).await;
    assert_eq!(
        (status, &error["errorCode"]),
        (StatusCode::UNAUTHORIZED, &json!(11))
    );
}

#[tokio::test]
async fn short_lived_tokens_run_out_by_themselves() {
    let options = Options {
        access_token_lifetime_s: 0,
        ..Options::default()
    };
    let mut world = world_with(options).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(world.get("/api/auth/user").await.1["errorCode"], 11);

    world.double.set_faults(Faults {
        access_token_lifetime_s: Some(60),
        ..Faults::default()
    });
    let pair = world.login("tenant@thingsboard.org", "tenant").await;
    world.access = text(&pair["token"]);
    assert_eq!(world.get("/api/auth/user").await.0, StatusCode::OK);
}

#[tokio::test]
async fn signing_out_ends_both_tokens() {
    let world = world().await;
    assert_eq!(
        world.post("/api/auth/logout", &json!({})).await.0,
        StatusCode::OK
    );
    assert_eq!(world.get("/api/auth/user").await.1["errorCode"], 11);
    let refresh = json!({"refreshToken": world.refresh});
    assert_eq!(
        world.post("/api/auth/token", &refresh).await.1["errorCode"],
        11
    );
}

#[tokio::test]
async fn unknown_paths_answer_404() {
    let world = world().await;
    let (status, body) = world.get("/api/no/such/thing").await;
    assert_eq!(
        (status, &body["path"]),
        (StatusCode::NOT_FOUND, &json!("/api/no/such/thing"))
    );
}
