//! What a request must have to become a chat connection. Pure: it reads the head of the request.

use actix_http::RequestHead;
use actix_http::header::{self, HeaderMap, HeaderValue};
use actix_http::ws::verify_handshake;
use bobchat_proto::codec::Format;
use bobchat_proto::error::ErrorCode;
use bobchat_proto::wire;

use crate::config::Origin;

/// Where the chat socket is.
pub const PATH: &str = "/api/v1/ws";

/// The longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// A request that may become a connection.
#[derive(Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The format that was agreed on.
    pub format: Format,
    /// Whether the client asked for it by name; then the answer repeats the name.
    pub asked: bool,
    /// The token of the `Authorization` header.
    pub token: Option<String>,
}

/// Judges a request.
///
/// # Errors
/// What to answer instead, before anything is upgraded.
pub fn judge(head: &RequestHead, allowed_origins: &[Origin]) -> Result<Accepted, wire::Error> {
    if head.uri.path() != PATH {
        return Err(ErrorCode::NotFound.error(format!("the chat socket is at {PATH}")));
    }
    verify_handshake(head)
        .map_err(|error| ErrorCode::InvalidRequest.error(format!("not a WebSocket handshake: {error}")))?;
    judge_origin(head.headers(), allowed_origins)?;
    let (format, asked) = choose_format(head.headers())?;
    Ok(Accepted { format, asked, token: token(head.headers())? })
}

/// A page of another site must not talk to the server with a visitor's browser (cross-site WebSocket
/// hijacking). Browsers always send `Origin`; programs do not, and have no ambient rights to abuse.
fn judge_origin(headers: &HeaderMap, allowed: &[Origin]) -> Result<(), wire::Error> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
    let is_allowed = if allowed.is_empty() {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let of_this_host =
            |scheme: &str| origin.strip_prefix(scheme).is_some_and(|rest| rest.eq_ignore_ascii_case(host));
        !host.is_empty() && (of_this_host("http://") || of_this_host("https://"))
    } else {
        allowed.iter().any(|allowed| allowed.as_str() == origin)
    };
    if is_allowed {
        return Ok(());
    }
    let message = "pages of this origin may not connect; an operator allows them with server.allowed_origins";
    Err(ErrorCode::Forbidden.error(message).with_field("Origin"))
}

/// The first subprotocol of the client's that the server speaks; JSON for a client that names none.
fn choose_format(headers: &HeaderMap) -> Result<(Format, bool), wire::Error> {
    let mut asked = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).filter_map(|value| value.to_str().ok()).peekable();
    if asked.peek().is_none() {
        return Ok((Format::Json, false));
    }
    let names = asked.flat_map(|value| value.split(',')).map(str::trim);
    let known = names.filter_map(|name| Format::ALL.into_iter().find(|format| format.subprotocol() == name)).next();
    known.map(|format| (format, true)).ok_or_else(|| {
        let names = Format::ALL.map(Format::subprotocol).join(" or ");
        ErrorCode::InvalidRequest.error(format!("the subprotocol is {names}")).with_field("Sec-WebSocket-Protocol")
    })
}

fn token(headers: &HeaderMap) -> Result<Option<String>, wire::Error> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let token = value
        .to_str()
        .ok()
        .and_then(|value| value.strip_prefix("Bearer "))
        .filter(|token| token.len() <= TOKEN_BYTES_MAX);
    let unusable = || ErrorCode::Unauthenticated.error("the Authorization header holds no usable bearer token");
    token.map(|token| Some(token.to_owned())).ok_or_else(unusable)
}

/// The name of a format as a header value.
#[must_use]
pub fn subprotocol(format: Format) -> HeaderValue {
    HeaderValue::from_static(format.subprotocol())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_http::test::TestRequest;

    fn request(extra: &[(&str, &str)]) -> actix_http::Request {
        let mut request = TestRequest::with_uri(PATH);
        let usual = [
            ("host", "chat.example.org"),
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        for (name, value) in usual.iter().chain(extra) {
            request.append_header((*name, *value));
        }
        let mut request = request.finish();
        request.head_mut().set_connection_type(actix_http::ConnectionType::Upgrade);
        request
    }

    fn judged(extra: &[(&str, &str)], allowed: &[&str]) -> Result<Accepted, wire::Error> {
        let allowed: Vec<Origin> = allowed.iter().map(|origin| origin.parse().unwrap()).collect();
        judge(request(extra).head(), &allowed)
    }

    #[test]
    fn a_program_without_origin_and_a_page_of_this_host_may_connect() {
        assert!(judged(&[], &[]).is_ok());
        assert!(judged(&[("origin", "http://chat.example.org")], &[]).is_ok());
        assert!(judged(&[("origin", "https://chat.example.org")], &[]).is_ok());
    }

    #[test]
    fn pages_of_other_origins_are_refused_whatever_their_name_resembles() {
        for origin in [
            "null",
            "https://evil.example",
            "https://chat.example.org.evil.example",
            "https://evil-chat.example.org",
            "https://chat.example.org:8443",
            "ftp://chat.example.org",
            "",
        ] {
            let refused = judged(&[("origin", origin)], &[]).unwrap_err();
            assert_eq!((refused.code.as_str(), refused.field.as_deref()), ("forbidden", Some("Origin")), "{origin}");
            assert!(judged(&[("origin", origin)], &["https://chat.example.org"]).is_err(), "{origin}");
        }
        assert!(judged(&[("origin", "https://site.example")], &["https://site.example"]).is_ok());
        assert!(
            judged(&[("origin", "http://chat.example.org")], &["https://site.example"]).is_err(),
            "a list is the whole list"
        );
    }

    #[test]
    fn the_client_chooses_the_format() {
        let format =
            |names| judged(&[("sec-websocket-protocol", names)], &[]).map(|accepted| (accepted.format, accepted.asked));
        assert_eq!(judged(&[], &[]).unwrap().format, Format::Json);
        assert_eq!(format("bobchat.v1.proto"), Ok((Format::Protobuf, true)));
        assert_eq!(format("soap, bobchat.v1.proto, bobchat.v1.json"), Ok((Format::Protobuf, true)));
        assert!(format("soap").is_err());
    }

    #[test]
    fn a_token_may_come_with_the_upgrade_but_not_in_the_path() {
        let token = |value| judged(&[("authorization", value)], &[]).map(|accepted| accepted.token);
        assert_eq!(token("Bearer abc"), Ok(Some("abc".to_owned())));
        assert!(token("Basic abc").is_err());
        assert!(token(&format!("Bearer {}", "a".repeat(TOKEN_BYTES_MAX + 1))).is_err());
    }

    #[test]
    fn other_paths_are_not_the_chat_socket() {
        let mut elsewhere = request(&[]);
        elsewhere.head_mut().uri = "/api/v1/rooms".parse().unwrap();
        assert_eq!(judge(elsewhere.head(), &[]).unwrap_err().code, "not_found");
    }
}
