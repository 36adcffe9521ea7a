//! What a browser loads: the client, and the page that describes the API.

use super::Http;
use crate::server::TestServer;

#[test]
fn the_first_page_runs_nothing_but_this_servers_own_files() {
    let server = TestServer::start();
    let browser = Http::visitor(&server);
    for path in ["/", "/rooms/42", "/some/where?else"] {
        let page = browser.get(path);
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"), "{path}");
        assert_eq!(page.header("cache-control"), "no-cache");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        let policy = page.header("content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self';",
            "style-src 'self';",
            "img-src 'self' data:",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(rule), "{rule} in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!page.text.contains("<style") && !page.text.contains(" style="), "nothing inline");
    }
}

#[test]
fn files_that_are_not_there_are_not_the_first_page() {
    let server = TestServer::start();
    let browser = Http::visitor(&server);
    for path in ["/assets/index-00000000.js", "/nothing.png", "/../../etc/passwd.txt", "/%2e%2e/Cargo.toml"] {
        assert_eq!(browser.get(path).status, 404, "{path}");
    }
    browser.call("POST", "/", &[], b"").error(405, "method_not_allowed");
    assert_eq!(browser.call("HEAD", "/", &[], b"").text, "");
}

/// Where the client was built, as for `make test`; without Node there is nothing to look at.
#[test]
fn hashed_files_are_kept_for_ever_and_the_first_page_is_asked_for_again() {
    let server = TestServer::start();
    let browser = Http::visitor(&server);
    let page = browser.get("/");
    let tag = page.header("etag").to_owned();
    let Some((_, rest)) = page.text.split_once("src=\"/assets/") else {
        assert!(tag.is_empty() && page.text.contains("make web"), "{}", page.text);
        return;
    };
    let script = browser.get(&format!("/assets/{}", rest.split_once('"').unwrap().0));
    assert_eq!((script.status, script.header("content-type")), (200, "text/javascript; charset=utf-8"));
    assert_eq!(script.header("cache-control"), "public, max-age=31536000, immutable");
    let again = browser.call("GET", "/", &[("if-none-match", tag.as_str())], b"");
    assert_eq!((again.status, again.text.as_str(), again.header("etag")), (304, "", tag.as_str()));
}

#[test]
fn the_api_page_is_whole_and_loads_nothing_from_elsewhere() {
    let server = TestServer::start();
    let browser = Http::visitor(&server);
    for (path, media_type) in [
        ("/api/docs", "text/html; charset=utf-8"),
        ("/api/docs/page.js", "text/javascript; charset=utf-8"),
        ("/api/docs/page.css", "text/css; charset=utf-8"),
    ] {
        let file = browser.get(path);
        assert_eq!((file.status, file.header("content-type")), (200, media_type), "{path}");
        assert!(file.header("content-security-policy").starts_with("default-src 'none'; script-src 'self'"));
        assert!(!file.text.contains("http://") && !file.text.contains("https://"), "{path} names another server");
        for unsafe_sink in ["innerHTML", "outerHTML", "document.write", "insertAdjacentHTML", "eval(", "style="] {
            assert!(!file.text.contains(unsafe_sink), "{unsafe_sink} in {path}");
        }
    }
}
