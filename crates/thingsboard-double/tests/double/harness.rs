//! A running double with a device and a signed-in tenant administrator.

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value as Json, json};
use thingsboard_double::{DeviceView, Double, Options};

pub(crate) const TOKEN: &str = "A1_TEST_TOKEN";

/// A double, a client and the client's access token.
pub(crate) struct World {
    pub(crate) double: Double,
    pub(crate) device: DeviceView,
    pub(crate) client: Client,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

pub(crate) fn client() -> Client {
    // Every test tries; the first one wins.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .build()
        .expect("a client without special wishes is built")
}

pub(crate) async fn world() -> World {
    world_with(Options::default()).await
}

pub(crate) async fn world_with(options: Options) -> World {
    let double = Double::start(options)
        .await
        .expect("a free loopback port is found");
    let device = double
        .add_device("meter 1", TOKEN)
        .expect("the first device is accepted");
    let (access, refresh) = (String::new(), String::new());
    let mut world = World {
        double,
        device,
        client: client(),
        access,
        refresh,
    };
    let pair = world.login("tenant@thingsboard.org", "tenant").await;
    (world.access, world.refresh) = (text(&pair["token"]), text(&pair["refreshToken"]));
    world
}

pub(crate) fn text(value: &Json) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is text"))
        .to_owned()
}

impl World {
    /// Sends a request without signing in.
    pub(crate) fn plain(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.double.url()))
    }

    /// Sends a request as the tenant administrator.
    pub(crate) fn user(&self, method: Method, path: &str) -> RequestBuilder {
        self.plain(method, path)
            .header("X-Authorization", format!("Bearer {}", self.access))
    }

    pub(crate) async fn login(&self, username: &str, password: &str) -> Json {
        let body = json!({"username": username, "password": password});
        let answer = self
            .plain(Method::POST, "/api/auth/login")
            .json(&body)
            .send()
            .await;
        answered(answer.expect("the login is answered")).await.1
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Json) {
        answered(
            self.user(Method::GET, path)
                .send()
                .await
                .expect("the request is answered"),
        )
        .await
    }

    pub(crate) async fn post(&self, path: &str, body: &Json) -> (StatusCode, Json) {
        let request = self.user(Method::POST, path).json(body);
        answered(request.send().await.expect("the request is answered")).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (StatusCode, Json) {
        answered(
            self.user(Method::DELETE, path)
                .send()
                .await
                .expect("the request is answered"),
        )
        .await
    }

    /// Posts telemetry with the device's token; the error is a connection that was closed or timed out.
    pub(crate) async fn telemetry(&self, body: &Json) -> Result<StatusCode, reqwest::Error> {
        self.telemetry_text(&body.to_string()).await
    }

    pub(crate) async fn telemetry_text(&self, body: &str) -> Result<StatusCode, reqwest::Error> {
        let path = format!("/api/v1/{TOKEN}/telemetry");
        let request = self.plain(Method::POST, &path).body(body.to_owned());
        Ok(request.send().await?.status())
    }

    /// Path of the device in the telemetry endpoints of the user API.
    pub(crate) fn telemetry_path(&self, rest: &str) -> String {
        format!("/api/plugins/telemetry/DEVICE/{}/{rest}", self.device.id)
    }
}

/// Returns the status and the body: as JSON where it is, else as text, and null when there is none.
pub(crate) async fn answered(response: Response) -> (StatusCode, Json) {
    let status = response.status();
    let body = response.text().await.expect("the body is read");
    let body = if body.is_empty() {
        Json::Null
    } else {
        serde_json::from_str(&body).unwrap_or(Json::String(body))
    };
    (status, body)
}

/// Makes `count` rows one second apart with two values each.
pub(crate) fn rows(first_ms: i64, count: i64) -> Json {
    let row = |step| json!({"ts": first_ms + step * 1000, "values": {"power": 100 + step, "energyImport": step as f64 + 0.5}});
    (0..count).map(row).collect()
}
