//! Every limit of the protocol, with its reason. What an operator may change is a default here and a
//! key in `config.toml`; what is fixed says so.

use std::time::Duration;

/// A frame before sign-in: room for a token (8 KiB of header at most elsewhere) and a few cursors, and
/// too little to be worth sending by somebody who never signs in. Fixed.
pub const FRAME_BYTES_BEFORE_AUTH_MAX: usize = 4 * 1024;

/// A frame after sign-in, and all fragments of one message together: a message of
/// [`MESSAGE_BYTES_MAX`] whose every byte is escaped as `\u00XX` would be 96 KiB, but text that people
/// write escapes a few per cent; 64 KiB leaves four times the message. Fixed.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// The text of a message in bytes of UTF-8. Fixed: stores and clients size their buffers by it.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// The text of a message in graphemes: what a person would call characters.
pub const MESSAGE_GRAPHEMES_MAX: usize = 8_000;

/// An idempotency key: a UUID is 36 characters, a prefixed one fits too. Fixed.
pub const KEY_LENGTH_MAX: usize = 64;

/// How long an idempotency key is honoured. Fixed: clients stop resending by themselves an hour before.
pub const KEY_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The name of a room in characters: one line of a list.
pub const ROOM_NAME_CHARS_MAX: usize = 80;

/// The topic of a room in characters: one line above the conversation.
pub const ROOM_TOPIC_CHARS_MAX: usize = 250;

/// The name of a user in characters.
pub const USER_NAME_CHARS_MAX: usize = 40;

/// Items on a page when the request does not say.
pub const PAGE_ITEMS_DEFAULT: u32 = 50;

/// Items on a page at most: 200 messages of common size fit the 1 MiB that may wait for a client.
pub const PAGE_ITEMS_MAX: u32 = 200;

/// Bytes of a page at most: a page that would be longer ends early and says that there is more. 200 messages of 600 bytes,
/// which few are; and while a thread makes one, for some tenths of a millisecond, it delivers nothing. An eighth of what may
/// wait for a client, so that a few pages never make a slow consumer.
pub const PAGE_BYTES_MAX: usize = 128 * 1024;

/// Cursors in `auth`: what fits [`FRAME_BYTES_BEFORE_AUTH_MAX`] beside a token anyway.
pub const CURSORS_MAX: usize = 200;

/// People listed as present; the count goes on.
pub const PRESENT_USERS_MAX: usize = 1_000;

/// Users asked for in one `user_get`.
pub const USER_GET_MAX: usize = 200;

/// Events that `resume` replays: farther behind, loading the newest page is cheaper for both sides.
pub const RESUME_EVENTS_MAX: u64 = 10_000;

/// Time to authenticate after the upgrade: one round trip on the worst link, with room.
pub const AUTH_DEADLINE: Duration = Duration::from_secs(5);

/// How long the server waits for a renewed token after the old one ended.
pub const RENEW_GRACE: Duration = Duration::from_secs(30);

/// Typing is forgotten after this.
pub const TYPING_LIFETIME: Duration = Duration::from_secs(6);

/// Request ids stay below this, so that JavaScript's numbers hold them.
pub const REQUEST_ID_MAX: u64 = 1 << 53;

const _: () = assert!(FRAME_BYTES_MAX >= 4 * MESSAGE_BYTES_MAX, "an escaped message must fit a frame");
const _: () = assert!(FRAME_BYTES_BEFORE_AUTH_MAX < FRAME_BYTES_MAX, "strangers get less");
const _: () = assert!(PAGE_ITEMS_DEFAULT <= PAGE_ITEMS_MAX, "the default is allowed");
