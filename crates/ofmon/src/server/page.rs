//! The web page, as it was embedded when the program was built.

use axum::{
    http::{
        HeaderMap, HeaderValue, StatusCode, Uri,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
    },
    response::{IntoResponse, Response},
};
use rust_embed::RustEmbed;

/// Files of the page; see `build.rs`.
#[derive(RustEmbed)]
#[folder = "$OUT_DIR/ui"]
struct Files;

/// Files below this have a hash of their content in their names.
const HASHED: &str = "assets/";

/// Answers with a file of the page.
pub(super) async fn file(uri: Uri, headers: HeaderMap) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    let Some(file) = Files::get(path) else {
        let text = "There is nothing here. The page is at /.\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    let tag = entity_tag(&file.metadata.sha256_hash());
    let cache = match path.starts_with(HASHED) {
        true => HeaderValue::from_static("public, max-age=31536000, immutable"),
        false => HeaderValue::from_static("no-cache"),
    };
    let mut answer = HeaderMap::new();
    answer.insert(CACHE_CONTROL, cache);
    let known = headers.get(IF_NONE_MATCH).is_some_and(|known| known == tag);
    answer.insert(ETAG, tag);
    if known {
        return (StatusCode::NOT_MODIFIED, answer).into_response();
    }
    answer.insert(CONTENT_TYPE, content_type(path));
    (answer, file.data.into_owned()).into_response()
}

/// Makes a tag from the first half of a hash.
fn entity_tag(hash: &[u8; 32]) -> HeaderValue {
    let digits: String = hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    HeaderValue::from_str(&format!("\"{digits}\"")).expect("hex digits are a valid header")
}

fn content_type(path: &str) -> HeaderValue {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    HeaderValue::from_static(match extension {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    })
}
