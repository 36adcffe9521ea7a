//! The baseline's protocol: words in text frames, as tutorials have it.

use anyhow::Context as _;

use super::Incoming;
use crate::message::Messages;

/// Begins what the server says to a newcomer: `joined ROOM SEQ`.
pub(crate) const JOINED: &str = "joined";

/// Begins an event: `event ROOM SEQ KEY TEXT`.
pub(crate) const EVENT: &str = "event";

/// What a delivery has beside its text: the words of [`EVENT`] and the WebSocket header.
pub(super) const OVERHEAD_BYTES: usize = 4 + "event 100 10000 01234567-10000 ".len();

pub(super) fn decode(text: &str, messages: &Messages) -> anyhow::Result<Incoming> {
    let mut words = text.splitn(5, ' ');
    let kind = words.next().unwrap_or_default();
    let mut number =
        || words.next().and_then(|word| word.parse::<u64>().ok()).context("the baseline left a number out");
    let (room, seq) = (number()?, number()?);
    match kind {
        JOINED => Ok(super::joined(super::ENTER_REQUEST, room, seq)),
        EVENT => {
            let index = words.next().and_then(|key| messages.index(key));
            Ok(super::event(room, seq, index, words.next().unwrap_or_default().to_owned()))
        }
        other => anyhow::bail!("the baseline said {other:?}"),
    }
}

/// What a client sends to post: `KEY TEXT`.
pub(super) fn send_text(index: u64, messages: &Messages) -> String {
    format!("{} {}", messages.key(index), messages.text(index))
}
