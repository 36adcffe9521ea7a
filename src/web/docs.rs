//! The API's description: the OpenAPI document for programs, and a page that renders it for people.
//!
//! The page is our own, static, and loads nothing from anywhere else.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ContentType, X_CONTENT_TYPE_OPTIONS};
use actix_web::web::{self, ServiceConfig};

use super::rest::document;

const PAGE: &str = include_str!("docs/page.html");
const SCRIPT: &str = include_str!("docs/page.js");
const STYLE: &str = include_str!("docs/page.css");

/// The page may load its own script and style and ask this server, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Adds the page at `/api/docs`.
pub fn configure(config: &mut ServiceConfig) {
    config
        .route("/api/docs", web::get().to(|| async { file("text/html; charset=utf-8", PAGE) }))
        .route("/api/docs/page.js", web::get().to(|| async { file("text/javascript; charset=utf-8", SCRIPT) }))
        .route("/api/docs/page.css", web::get().to(|| async { file("text/css; charset=utf-8", STYLE) }));
}

/// Serves the OpenAPI document.
pub(super) async fn openapi() -> HttpResponse {
    HttpResponse::Ok().insert_header(ContentType::json()).json(document())
}

fn file(media_type: &str, content: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("content-type", media_type))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(content)
}
