//! The server's side of HTTP and WebSockets, as much of it as the small servers of the tests need.

use base64::Engine as _;
use bytes::BytesMut;
use sha1::Digest as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A frame of text.
pub const TEXT: u8 = 1;

/// A frame of bytes.
pub const BINARY: u8 = 2;

/// Takes the head of a request out of `buffer`, once it is whole; `None` at the end of the connection.
pub async fn read_head(stream: &mut TcpStream, buffer: &mut BytesMut) -> Option<String> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            return Some(String::from_utf8(buffer.split_to(end + 4).to_vec()).unwrap());
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// A field of a head.
pub fn header(head: &str, name: &str) -> Option<String> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
}

/// Answers the handshake.
pub async fn upgrade(stream: &mut TcpStream, key: &str, subprotocol: Option<&str>) {
    let hash = sha1::Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    let accept = base64::engine::general_purpose::STANDARD.encode(hash);
    let chosen = subprotocol.map_or(String::new(), |name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{chosen}\r\n"
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
}

/// Takes one masked frame out of `buffer`, once it is whole.
pub fn client_frame(buffer: &mut BytesMut) -> Option<(u8, Vec<u8>)> {
    let (opcode, short) = (*buffer.first()? & 15, usize::from(*buffer.get(1)? & 127));
    let (length, at) = match short {
        126 => (usize::from(u16::from_be_bytes([*buffer.get(2)?, *buffer.get(3)?])), 4),
        short => (short, 2),
    };
    if buffer.len() < at + 4 + length {
        return None;
    }
    let frame = buffer.split_to(at + 4 + length);
    let mask = &frame[at..at + 4];
    Some((opcode, frame[at + 4..].iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()))
}

/// A frame of a server, which is not masked.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode];
    match u8::try_from(payload.len()) {
        Ok(short @ 0..=125) => bytes.push(short),
        _ => {
            bytes.push(126);
            bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}
