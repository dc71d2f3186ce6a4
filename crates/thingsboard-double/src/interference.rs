//! What happens to every request around its handler: the body limit, the connection faults and the journal.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::faults::ConnectionFault;
use crate::journal::RequestRecord;
use crate::server::{CloseConnection, Server};

const DEVICE_API: &str = "/api/v1/";

const HTML_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Welcome</title></head>\
    <body><h1>Please sign in to use this network</h1></body></html>\n";

/// Passes a request on to its handler, unless a fault strikes it.
pub(crate) async fn interfere(
    State(server): State<Arc<Server>>,
    request: Request,
    next: Next,
) -> Response {
    let target = request
        .uri()
        .path_and_query()
        .map_or_else(String::new, ToString::to_string);
    if target.starts_with("/double/") {
        return next.run(request).await;
    }
    let method = request.method().to_string();
    let token = telemetry_token(&target);
    let _in_flight = token.map(|token| server.journal.telemetry_post(token));
    let (body_bytes, response) = answer(&server, &target, request, next).await;
    let closed = response.extensions().get::<CloseConnection>().is_some();
    let status = (!closed).then_some(response.status().as_u16());
    server.journal.record(RequestRecord {
        method,
        path: without_token(&target),
        body_bytes,
        status,
    });
    response
}

async fn answer(server: &Server, target: &str, request: Request, next: Next) -> (usize, Response) {
    let (parts, body) = request.into_parts();
    let is_device_api = target.starts_with(DEVICE_API);
    let normal_max = if is_device_api {
        server.options.device_body_bytes_max
    } else {
        server.options.user_body_bytes_max
    };
    let body_bytes_max = server
        .faults
        .get()
        .body_bytes_max
        .unwrap_or(normal_max)
        .min(normal_max);
    // A body over the limit is read all the same, as far as any body may go, so that the answer reaches its sender.
    let Ok(bytes) = to_bytes(body, normal_max.saturating_add(1)).await else {
        return (normal_max, too_large());
    };
    let body_bytes = bytes.len();
    let (delay_ms, fault) = server.faults.connection_fault(target);
    if delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    }
    let too_large_body = body_bytes > body_bytes_max;
    let handled = async {
        if too_large_body {
            too_large()
        } else {
            next.run(Request::from_parts(parts, Body::from(bytes)))
                .await
        }
    };
    let response = match fault {
        None => handled.await,
        Some(ConnectionFault::CloseBeforeHandling) => close(),
        Some(ConnectionFault::CloseAfterHandling) => {
            handled.await;
            close()
        }
        Some(ConnectionFault::Stall) => std::future::pending().await,
        Some(ConnectionFault::HtmlPage) => {
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            ([(CONTENT_TYPE, html)], HTML_PAGE).into_response()
        }
        Some(ConnectionFault::Unavailable) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    (body_bytes, response)
}

fn too_large() -> Response {
    (
        StatusCode::PAYLOAD_TOO_LARGE,
        axum::Json("Payload size exceeds the limit"),
    )
        .into_response()
}

fn close() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(CloseConnection);
    response
}

/// Returns the device token of a telemetry post.
fn telemetry_token(target: &str) -> Option<&str> {
    let (token, rest) = target.strip_prefix(DEVICE_API)?.split_once('/')?;
    let path = rest.split('?').next()?;
    (path == "telemetry").then_some(token)
}

fn without_token(target: &str) -> String {
    let Some(rest) = target.strip_prefix(DEVICE_API) else {
        return target.to_owned();
    };
    let (_, rest) = rest.split_once('/').unwrap_or((rest, ""));
    format!("{DEVICE_API}***/{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_do_not_reach_the_journal() {
        assert_eq!(
            without_token("/api/v1/SECRET/telemetry?x=1"),
            "/api/v1/***/telemetry?x=1"
        );
        assert_eq!(without_token("/api/v1/SECRET"), "/api/v1/***/");
        assert_eq!(without_token("/api/auth/login"), "/api/auth/login");
        assert_eq!(
            telemetry_token("/api/v1/SECRET/telemetry?x=1"),
            Some("SECRET")
        );
        assert_eq!(telemetry_token("/api/v1/SECRET/attributes"), None);
    }
}
