//! The way in: a client's bytes become whole messages, or a violation that ends the connection.
//!
//! A length is judged when it is declared, before a byte of the payload is kept. What is kept grows with
//! the bytes that come, never ahead of them, and never beyond the limit. Between messages nothing is
//! kept: a message that arrived in one piece is a slice of the read buffer, unmasked in place.
//!
//! Follows RFC 6455 strictly: what the RFC lets a server tolerate (lengths not written minimally,
//! unknown bits) ends the connection here, because only broken and hostile clients send it.

use bobchat_proto::error::CloseCode;
use bobchat_proto::limits;
use bytes::{Buf, Bytes, BytesMut};

use super::frame::{HEAD_BYTES_MAX, Head, HeadRead, Opcode, unmask};

/// What one message of a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The payload of a message, over all of its fragments.
    pub message_bytes_max: usize,
    /// The fragments of a message: without it, empty ones could go on for ever.
    pub fragments_max: u32,
}

impl Limits {
    /// Until the client has signed in. Its first frame is short: nobody fragments it.
    pub const BEFORE_AUTH: Self = Self { message_bytes_max: limits::FRAME_BYTES_BEFORE_AUTH_MAX, fragments_max: 16 };

    /// Afterwards. A client that writes a full message in pieces of 256 bytes still fits.
    pub const SIGNED_IN: Self = Self { message_bytes_max: limits::FRAME_BYTES_MAX, fragments_max: 256 };
}

/// Something whole that a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A message of text, valid UTF-8.
    Text(Bytes),
    /// A message of bytes.
    Binary(Bytes),
    /// To be answered with a pong of the same payload.
    Ping(Bytes),
    /// An answer to a ping, or a sign of life nobody asked for.
    Pong(Bytes),
    /// The end: to be answered with a close frame. Nothing comes after it.
    Close(Option<CloseReason>),
}

/// Why a client closes the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseReason {
    /// One of the codes that may stand on the wire.
    pub code: u16,
    /// Words for people, valid UTF-8; may be empty.
    pub reason: Bytes,
}

/// How a client broke the rules. The connection ends with [`Violation::close_code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Violation {
    /// Section 5.2: the RSV bits are 0 when no extension was agreed on, and none ever is.
    #[error("a reserved bit is set")]
    ReservedBits,
    /// Section 5.2: opcodes 3 to 7 and 11 to 15 mean nothing yet.
    #[error("the opcode is reserved")]
    ReservedOpcode,
    /// Section 5.1: a client masks every frame.
    #[error("the frame is not masked")]
    Unmasked,
    /// Section 5.5: control frames are not fragmented.
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// Section 5.5: control frames carry at most 125 bytes.
    #[error("a control frame is longer than 125 bytes")]
    LongControl,
    /// Section 5.2: the shortest form of a length is used, and its highest bit is 0.
    #[error("the length is not in its shortest form")]
    LengthNotMinimal,
    /// Section 5.4: there is no message that this frame could continue.
    #[error("a continuation without a beginning")]
    StrayContinuation,
    /// Section 5.4: a message begins while another one is not complete.
    #[error("a message begins inside another one")]
    InterruptedMessage,
    /// Section 7.4: the code is one that no endpoint may send, or half of one.
    #[error("the close code is not allowed")]
    BadCloseCode,
    /// Section 8.1: text and close reasons are UTF-8.
    #[error("text is not UTF-8")]
    InvalidUtf8,
    /// The declared length, together with what came of the message, is over the limit.
    #[error("the message is too large")]
    TooLarge,
    /// The message has more fragments than allowed.
    #[error("the message has too many fragments")]
    TooManyFragments,
}

impl Violation {
    /// What the close frame says.
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::ReservedBits
            | Self::ReservedOpcode
            | Self::Unmasked
            | Self::FragmentedControl
            | Self::LongControl
            | Self::LengthNotMinimal
            | Self::StrayContinuation
            | Self::InterruptedMessage
            | Self::BadCloseCode => CloseCode::ProtocolError,
            Self::InvalidUtf8 => CloseCode::InvalidData,
            Self::TooLarge | Self::TooManyFragments => CloseCode::TooLarge,
        }
    }
}

/// Decodes what one client sends. Pure: the caller reads and closes the socket.
///
/// Invariant: what [`Guard::buffered_bytes`] counts never exceeds the message limit and one control
/// frame, and is 0 whenever [`Guard::is_idle`].
#[derive(Debug)]
pub struct Guard {
    limits: Limits,
    state: State,
    /// The part of a head or a masking key that has come.
    held: Held,
    /// The data message whose frames are coming; control frames may come between them.
    message: Option<Message>,
    /// The part of a control frame's payload that has come.
    control: Vec<u8>,
}

/// Which bytes come next.
#[derive(Debug, Clone, Copy)]
enum State {
    Head,
    Mask(Head),
    Payload(Frame),
    /// The client closed, or broke the rules: whatever comes is thrown away.
    Closed,
}

impl Guard {
    /// Waits for the first frame of a connection.
    pub const fn new(limits: Limits) -> Self {
        Self { limits, state: State::Head, held: Held::EMPTY, message: None, control: Vec::new() }
    }

    /// Judges by other limits from the next frame on: frames whose head has been read are not judged again.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Takes the next whole thing out of `input`. `Ok(None)` says that `input` was used up: what belongs
    /// to an unfinished frame is kept here, so that the caller's buffer can serve the next connection.
    ///
    /// After a close or a violation everything is thrown away and `Ok(None)` returned.
    ///
    /// # Errors
    /// [`Violation`]: send its close code, then end the connection.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Incoming>, Violation> {
        let outcome = self.advance(input);
        if matches!(outcome, Err(_) | Ok(Some(Incoming::Close(_)))) {
            *self = Self { state: State::Closed, ..Self::new(self.limits) };
            input.clear();
        }
        outcome
    }

    /// Whether the connection stands between two messages, so that nothing is kept for it.
    pub const fn is_idle(&self) -> bool {
        matches!(self.state, State::Head | State::Closed) && self.held.length == 0 && self.message.is_none()
    }

    /// The memory that is kept for an unfinished message.
    pub fn buffered_bytes(&self) -> usize {
        let message = self.message.as_ref().map_or(0, |message| message.payload.capacity());
        self.control.capacity().saturating_add(message)
    }

    fn advance(&mut self, input: &mut BytesMut) -> Result<Option<Incoming>, Violation> {
        loop {
            match self.state {
                State::Head => {
                    let Some(head) = self.read_head(input)? else { return Ok(None) };
                    self.begin(head)?;
                    self.state = State::Mask(head);
                }
                State::Mask(head) => {
                    let Some(mask) = self.held.fill(input, 4).and_then(|bytes| bytes.first_chunk().copied()) else {
                        return Ok(None);
                    };
                    self.held = Held::EMPTY;
                    self.state = State::Payload(Frame { head, mask, came: 0 });
                }
                State::Payload(mut frame) => {
                    let chunk = frame.take(input);
                    let complete = frame.missing() == 0;
                    self.state = if complete { State::Head } else { State::Payload(frame) };
                    let incoming = self.accept(&frame, chunk)?;
                    if incoming.is_some() || !complete {
                        return Ok(incoming);
                    }
                }
                State::Closed => {
                    input.clear();
                    return Ok(None);
                }
            }
        }
    }

    fn read_head(&mut self, input: &mut BytesMut) -> Result<Option<Head>, Violation> {
        loop {
            match Head::read(self.held.bytes())? {
                HeadRead::Complete(head) => {
                    self.held = Held::EMPTY;
                    return Ok(Some(head));
                }
                HeadRead::Needs(length) => {
                    let missing = self.held.fill(input, length).is_none();
                    // What did come is judged at once: a hostile byte is not waited upon.
                    if missing {
                        Head::read(self.held.bytes())?;
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Judges a frame by its head and by what came before it, and begins its message.
    fn begin(&mut self, head: Head) -> Result<(), Violation> {
        match (head.opcode, &mut self.message) {
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => Ok(()),
            (Opcode::Continuation, Some(message)) => message.extend_by(head.length, self.limits),
            (Opcode::Continuation, None) => Err(Violation::StrayContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => Err(Violation::InterruptedMessage),
            (Opcode::Text | Opcode::Binary, None) => {
                let mut message = Message::new(head.opcode == Opcode::Text);
                message.extend_by(head.length, self.limits)?;
                self.message = Some(message);
                Ok(())
            }
        }
    }

    /// Takes the next bytes of a frame, unmasked. Returns what is whole with them.
    fn accept(&mut self, frame: &Frame, chunk: BytesMut) -> Result<Option<Incoming>, Violation> {
        if frame.head.opcode.is_control() {
            return match self.accept_control(frame, chunk) {
                Some(payload) => control(frame.head.opcode, payload).map(Some),
                None => Ok(None),
            };
        }
        let ends = frame.head.is_final && frame.missing() == 0;
        match (&mut self.message, ends) {
            (Some(message), false) => message.append(&chunk, frame.missing()).map(|()| None),
            (Some(_), true) => self.message.take().map(|message| message.finish(chunk)).transpose(),
            (None, _) => Err(Violation::StrayContinuation),
        }
    }

    /// Returns the payload once all of it has come.
    fn accept_control(&mut self, frame: &Frame, chunk: BytesMut) -> Option<Bytes> {
        let complete = frame.missing() == 0;
        if complete && self.control.is_empty() {
            return Some(chunk.freeze());
        }
        if !chunk.is_empty() {
            self.control.reserve_exact(chunk.len().saturating_add(frame.missing()));
            self.control.extend_from_slice(&chunk);
        }
        complete.then(|| std::mem::take(&mut self.control).into())
    }
}

/// A frame whose payload is coming.
#[derive(Debug, Clone, Copy)]
struct Frame {
    head: Head,
    mask: [u8; 4],
    /// How much of the payload has come.
    came: usize,
}

impl Frame {
    /// The length was judged before: it fits a `usize`, as the limits are.
    fn missing(&self) -> usize {
        usize::try_from(self.head.length).unwrap_or(usize::MAX).saturating_sub(self.came)
    }

    /// Takes as much of the payload as has come out of `input`, and unmasks it there.
    fn take(&mut self, input: &mut BytesMut) -> BytesMut {
        let length = self.missing().min(input.len());
        // Splitting makes the buffer shared, which costs an allocation: not for nothing.
        let mut chunk = if length == 0 { BytesMut::new() } else { input.split_to(length) };
        unmask(&mut chunk, self.mask, self.came);
        self.came = self.came.saturating_add(chunk.len());
        chunk
    }
}

/// A data message that is not complete.
#[derive(Debug)]
struct Message {
    is_text: bool,
    fragments: u32,
    /// What its frames have declared so far, the one that is coming included.
    declared_bytes: u64,
    payload: Vec<u8>,
    /// How much of the payload is known to be UTF-8: all but a character that is cut off.
    checked: usize,
}

impl Message {
    const fn new(is_text: bool) -> Self {
        Self { is_text, fragments: 0, declared_bytes: 0, payload: Vec::new(), checked: 0 }
    }

    /// Judges one more fragment of this length.
    fn extend_by(&mut self, length: u64, limits: Limits) -> Result<(), Violation> {
        self.fragments = self.fragments.saturating_add(1);
        self.declared_bytes = self.declared_bytes.saturating_add(length);
        if self.declared_bytes > limits.message_bytes_max as u64 {
            return Err(Violation::TooLarge);
        }
        if self.fragments > limits.fragments_max {
            return Err(Violation::TooManyFragments);
        }
        Ok(())
    }

    /// Keeps bytes of the message; `missing` is what its frame has declared beyond them.
    fn append(&mut self, bytes: &[u8], missing: usize) -> Result<(), Violation> {
        let needed = self.payload.len().saturating_add(bytes.len());
        if needed > self.payload.capacity() {
            // Doubles as vectors do, but not beyond what was declared, which is within the limit.
            let doubled = self.payload.capacity().saturating_mul(2);
            let capacity = needed.max(doubled).min(needed.saturating_add(missing));
            self.payload.reserve_exact(capacity.saturating_sub(self.payload.len()));
        }
        self.payload.extend_from_slice(bytes);
        if self.is_text { self.check_utf8() } else { Ok(()) }
    }

    /// Fails as soon as the text cannot become UTF-8 any more.
    fn check_utf8(&mut self) -> Result<(), Violation> {
        let unchecked = self.payload.get(self.checked..).unwrap_or_default();
        let good = match std::str::from_utf8(unchecked) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return Err(Violation::InvalidUtf8),
        };
        self.checked = self.checked.saturating_add(good);
        Ok(())
    }

    /// Completes the message with its last bytes. When these are all, they are not copied.
    fn finish(mut self, last: BytesMut) -> Result<Incoming, Violation> {
        let payload = if self.payload.is_empty() {
            if self.is_text && std::str::from_utf8(&last).is_err() {
                return Err(Violation::InvalidUtf8);
            }
            last.freeze()
        } else {
            self.append(&last, 0)?;
            if self.is_text && self.checked < self.payload.len() {
                return Err(Violation::InvalidUtf8);
            }
            self.payload.into()
        };
        Ok(if self.is_text { Incoming::Text(payload) } else { Incoming::Binary(payload) })
    }
}

fn control(opcode: Opcode, payload: Bytes) -> Result<Incoming, Violation> {
    match opcode {
        Opcode::Ping => Ok(Incoming::Ping(payload)),
        Opcode::Pong => Ok(Incoming::Pong(payload)),
        _ => close_reason(payload).map(Incoming::Close),
    }
}

fn close_reason(mut payload: Bytes) -> Result<Option<CloseReason>, Violation> {
    if payload.is_empty() {
        return Ok(None);
    }
    let code = payload.try_get_u16().map_err(|_| Violation::BadCloseCode)?;
    if !may_be_sent(code) {
        return Err(Violation::BadCloseCode);
    }
    if std::str::from_utf8(&payload).is_err() {
        return Err(Violation::InvalidUtf8);
    }
    Ok(Some(CloseReason { code, reason: payload }))
}

/// Whether a close frame may carry the code: those of RFC 6455 section 7.4.1 and of the IANA registry
/// that are not reserved for local use, and the ranges of libraries and applications.
const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The first bytes of a frame while they are few.
#[derive(Debug)]
struct Held {
    bytes: [u8; HEAD_BYTES_MAX],
    length: usize,
}

impl Held {
    const EMPTY: Self = Self { bytes: [0; HEAD_BYTES_MAX], length: 0 };

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Moves bytes out of `input` until `length` are held; `None` when `input` has too few.
    fn fill(&mut self, input: &mut BytesMut, length: usize) -> Option<&[u8]> {
        let free = self.bytes.get_mut(self.length..length).unwrap_or_default();
        let count = free.len().min(input.len());
        let (filled, missing) = free.split_at_mut(count);
        input.copy_to_slice(filled);
        self.length = self.length.saturating_add(count);
        let complete = missing.is_empty();
        complete.then(|| self.bytes())
    }
}

#[cfg(test)]
mod tests;
