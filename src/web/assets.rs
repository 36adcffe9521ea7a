//! The browser client, from inside the binary.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rust_embed::{EmbeddedFile, RustEmbed};

use super::failure::{Answer, Failure};

/// Only this server's own files run, and they talk to this server alone. Pictures may be data for icons
/// that are drawn by the client.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// The build names these files by their content.
const HASHED: &str = "assets/";

/// What one sees where the client was not built.
const NO_CLIENT: &str = "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Bobchat</title>\n\
    <h1>The server runs. The browser client is not in it.</h1>\n\
    <p>It was built without Node. Stop it and start it with <code>make run</code>, or build the client with \
    <code>make web</code> and the server again with <code>cargo build</code>.</p>\n\
    <p>The API works: see <a href=\"/api/docs\">its page</a>.</p>\n</html>\n";

#[derive(RustEmbed)]
#[folder = "web/dist"]
struct Client;

/// Answers everything that is no route: files of the client, and its first page for paths that only the
/// client knows.
///
/// # Errors
/// In the shape of the API where the API was meant, and for methods that read nothing.
pub async fn serve(request: HttpRequest) -> Answer {
    let path = request.path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") || path.starts_with(".well-known/") {
        return Err(Failure::no_such_path());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Failure::method_not_allowed("GET, HEAD"));
    }
    Ok(match Client::get(path) {
        Some(file) if !path.is_empty() => respond(&request, path, &file),
        // A file of an older build, or one that never was: the first page would only confuse.
        _ if path.starts_with(HASHED) || looks_like_a_file(path) => with_headers(StatusCode::NOT_FOUND).finish(),
        _ => first_page(&request),
    })
}

fn first_page(request: &HttpRequest) -> HttpResponse {
    match Client::get("index.html") {
        Some(page) => respond(request, "index.html", &page),
        None => with_headers(StatusCode::OK)
            .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
            .insert_header((CACHE_CONTROL, "no-cache"))
            .body(NO_CLIENT),
    }
}

fn looks_like_a_file(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.contains('.'))
}

fn respond(request: &HttpRequest, path: &str, file: &EmbeddedFile) -> HttpResponse {
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(file.metadata.sha256_hash()));
    let known = request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|each| matches(each.trim(), &tag)));
    let mut response = with_headers(if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    let keep = if path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    response.insert_header((CACHE_CONTROL, keep)).insert_header((ETAG, tag));
    if is_known {
        return response.finish();
    }
    response.insert_header((CONTENT_TYPE, media_type(path))).body(file.data.to_vec())
}

/// A weak comparison, as RFC 9110 section 13.1.2 wants it here.
fn matches(known: &str, tag: &str) -> bool {
    known == "*" || known.trim_start_matches("W/") == tag
}

fn with_headers(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"));
    response
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly() {
        assert!(matches("\"a\"", "\"a\""));
        assert!(matches("W/\"a\"", "\"a\""));
        assert!(matches("*", "\"a\""));
        assert!(!matches("\"b\"", "\"a\""));
    }

    #[test]
    fn what_has_an_extension_is_a_file_and_never_the_first_page() {
        assert!(looks_like_a_file("favicon.ico"));
        assert!(looks_like_a_file("deep/er.txt"));
        assert!(!looks_like_a_file("rooms/42"));
        assert!(!looks_like_a_file(""));
    }
}
