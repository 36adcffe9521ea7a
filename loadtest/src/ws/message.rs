//! Messages out of frames: fragments are joined, text is UTF-8, and a close says an allowed code.

use std::borrow::Cow;

use super::frame::{Frame, MESSAGE_BYTES_MAX, Opcode, Violation, parse};

/// What a server said.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A message of text, valid UTF-8.
    Text(Cow<'a, [u8]>),
    /// A message of bytes.
    Binary(Cow<'a, [u8]>),
    /// To be answered with a pong of the same payload.
    Ping(&'a [u8]),
    /// The server closes, with its code and words for people, if it gave any. To be answered with a close.
    Close(Option<(u16, &'a str)>),
    /// Nothing to do: a pong, or a fragment of a message that goes on.
    Nothing,
}

/// Reads what one server sends. A message in one piece, which is all that Bobchat sends, is taken where it
/// was read; only one in fragments is copied.
#[derive(Debug, Default)]
pub struct Reader {
    /// The message whose fragments are coming; control frames may come between them.
    message: Option<Partial>,
}

#[derive(Debug)]
struct Partial {
    is_text: bool,
    payload: Vec<u8>,
    /// How much of the payload is known to be UTF-8: all but a character that is cut off.
    checked: usize,
}

impl Reader {
    /// The first thing in `chunk`, and how many bytes of it that takes; `None` when nothing has arrived whole.
    ///
    /// # Errors
    /// When the server broke the rules: send a close frame with the violation's code and end the connection.
    pub fn next<'a>(&mut self, chunk: &'a [u8]) -> Result<Option<(Incoming<'a>, usize)>, Violation> {
        let Some(frame) = parse(chunk)? else { return Ok(None) };
        let length = frame.length;
        self.take(&frame).map(|incoming| Some((incoming, length)))
    }

    fn take<'a>(&mut self, frame: &Frame<'a>) -> Result<Incoming<'a>, Violation> {
        match (frame.opcode, &mut self.message) {
            (Opcode::Ping, _) => Ok(Incoming::Ping(frame.payload)),
            (Opcode::Pong, _) => Ok(Incoming::Nothing),
            (Opcode::Close, _) => close(frame.payload),
            (Opcode::Continuation, Some(message)) => {
                message.extend(frame.payload)?;
                let ended = if frame.is_final { self.message.take() } else { None };
                ended.map_or(Ok(Incoming::Nothing), Partial::finish)
            }
            (Opcode::Continuation, None) => Err(Violation::protocol("continued a message that it had not begun")),
            (Opcode::Text | Opcode::Binary, Some(_)) => Err(Violation::protocol("began a message inside another one")),
            (Opcode::Text, None) if frame.is_final => match std::str::from_utf8(frame.payload) {
                Ok(_) => Ok(Incoming::Text(Cow::Borrowed(frame.payload))),
                Err(_) => Err(Violation::NOT_UTF8),
            },
            (Opcode::Binary, None) if frame.is_final => Ok(Incoming::Binary(Cow::Borrowed(frame.payload))),
            (opcode, None) => {
                let mut message = Partial { is_text: opcode == Opcode::Text, payload: Vec::new(), checked: 0 };
                message.extend(frame.payload)?;
                self.message = Some(message);
                Ok(Incoming::Nothing)
            }
        }
    }
}

impl Partial {
    fn extend(&mut self, payload: &[u8]) -> Result<(), Violation> {
        if (self.payload.len() + payload.len()) as u64 > MESSAGE_BYTES_MAX {
            return Err(Violation::TOO_LARGE);
        }
        self.payload.extend_from_slice(payload);
        if self.is_text { self.check_utf8() } else { Ok(()) }
    }

    /// Fails as soon as the text cannot become UTF-8 any more.
    fn check_utf8(&mut self) -> Result<(), Violation> {
        let unchecked = self.payload.get(self.checked..).unwrap_or_default();
        self.checked += match std::str::from_utf8(unchecked) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return Err(Violation::NOT_UTF8),
        };
        Ok(())
    }

    fn finish<'a>(self) -> Result<Incoming<'a>, Violation> {
        if !self.is_text {
            return Ok(Incoming::Binary(Cow::Owned(self.payload)));
        }
        // A character that is cut off at the end is none.
        if self.checked < self.payload.len() {
            return Err(Violation::NOT_UTF8);
        }
        Ok(Incoming::Text(Cow::Owned(self.payload)))
    }
}

fn close(payload: &[u8]) -> Result<Incoming<'_>, Violation> {
    if payload.is_empty() {
        return Ok(Incoming::Close(None));
    }
    let (code, reason) = payload.split_first_chunk().ok_or(Violation::protocol("closed with half a code"))?;
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Violation::protocol("closed with a code that nobody may send"));
    }
    let reason = std::str::from_utf8(reason).map_err(|_| Violation::NOT_UTF8)?;
    Ok(Incoming::Close(Some((code, reason))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        [&[first, u8::try_from(payload.len()).unwrap()], payload].concat()
    }

    fn read(frames: &[Vec<u8>]) -> Result<Vec<Incoming<'static>>, u16> {
        let mut reader = Reader::default();
        let mut all = Vec::new();
        for bytes in frames {
            let bytes: &'static [u8] = bytes.clone().leak();
            let (incoming, length) = reader.next(bytes).map_err(|violation| violation.code)?.unwrap();
            assert_eq!(length, bytes.len());
            all.push(incoming);
        }
        Ok(all)
    }

    fn text(text: &str) -> Incoming<'static> {
        Incoming::Text(Cow::Owned(text.as_bytes().to_vec()))
    }

    #[test]
    fn a_message_in_one_piece_is_taken_where_it_was_read() {
        let bytes = frame(0x81, b"hello");
        let read = Reader::default().next(&bytes).unwrap();
        assert!(matches!(read, Some((Incoming::Text(Cow::Borrowed(b"hello")), 7))), "{read:?}");
    }

    #[test]
    fn fragments_are_joined_and_pings_come_between_them() {
        let euro = "€".as_bytes();
        let frames = [
            frame(0x01, b"one "),
            frame(0x89, b"beat"),
            frame(0x00, &euro[..1]),
            frame(0x00, b""),
            frame(0x80, &euro[1..]),
        ];
        let expected =
            [Incoming::Nothing, Incoming::Ping(b"beat"), Incoming::Nothing, Incoming::Nothing, text("one €")];
        assert_eq!(read(&frames).unwrap(), expected);
    }

    #[test]
    fn what_breaks_the_rules_between_frames_is_told_with_its_code() {
        let cases: [(&[Vec<u8>], u16); 8] = [
            (&[frame(0x80, b"late")], 1002),
            (&[frame(0x01, b"one"), frame(0x81, b"two")], 1002),
            (&[frame(0x81, b"\xc3\x28")], 1007),
            (&[frame(0x01, b"\xf4\x90")], 1007),
            (&[frame(0x01, b"a"), frame(0x80, b"\xe2\x82")], 1007),
            (&[frame(0x88, b"\x03")], 1002),
            (&[frame(0x88, b"\x03\xed")], 1002),
            (&[frame(0x88, b"\x03\xe8\xff")], 1007),
        ];
        for (frames, code) in cases {
            assert_eq!(read(frames), Err(code), "{frames:?}");
        }
    }

    #[test]
    fn a_message_of_too_many_fragments_is_not_waited_for() {
        let mut reader = Reader::default();
        let piece = [[0x02, 127].as_slice(), &(8_u64 << 20).to_be_bytes(), &vec![0; 8 << 20]].concat();
        let next = [[0x00].as_slice(), &piece[1..]].concat();
        assert_eq!(reader.next(&piece).unwrap().unwrap().0, Incoming::Nothing);
        assert_eq!(reader.next(&next).unwrap().unwrap().0, Incoming::Nothing);
        assert_eq!(reader.next(&frame(0x80, b"!")).unwrap_err().code, 1009);
    }

    #[test]
    fn a_close_gives_its_code_and_reason_if_it_has_any() {
        let closes = [frame(0x88, b""), frame(0x88, b"\x0f\xa8slow")];
        assert_eq!(read(&closes).unwrap(), [Incoming::Close(None), Incoming::Close(Some((4008, "slow")))]);
    }
}
