//! The messages of a run: made from their index, so that whoever receives one can tell whether it is whole.

use std::fmt::Write as _;

/// Filler that compresses as badly as people's text, and shows at once which bytes moved.
const FILLER: &str = "the quick brown fox jumps over the lazy dog while five wizards box with jumping quartz; ";

/// A text tells which message it is, in ten digits and a space.
pub(crate) const BYTES_MIN: usize = 11;

/// Makes and recognises the messages of one run.
#[derive(Debug, Clone)]
pub(crate) struct Messages {
    /// Sets this run's keys apart from those of earlier runs in the same rooms.
    run: String,
    /// How long a text is.
    bytes: usize,
}

impl Messages {
    /// Messages of `bytes` bytes each, at least as many as the index takes.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(crate) fn new(bytes: usize) -> anyhow::Result<Self> {
        let mut run = [0; 4];
        getrandom::fill(&mut run).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
        Ok(Self { run: format!("{:08x}", u32::from_ne_bytes(run)), bytes })
    }

    /// The idempotency key of a message.
    pub(crate) fn key(&self, index: u64) -> String {
        format!("{}-{index}", self.run)
    }

    /// The message that a key belongs to, if it is one of this run.
    pub(crate) fn index(&self, key: &str) -> Option<u64> {
        key.strip_prefix(self.run.as_str())?.strip_prefix('-')?.parse().ok()
    }

    /// The text of a message.
    pub(crate) fn text(&self, index: u64) -> String {
        let mut text = String::with_capacity(self.bytes + FILLER.len());
        // Writing into a string cannot fail.
        let _ = write!(text, "{index:010} ");
        while text.len() < self.bytes {
            text.push_str(FILLER);
        }
        text.truncate(self.bytes.max(BYTES_MIN));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_length_and_its_key_leads_back_to_it() {
        let messages = Messages::new(120).unwrap();
        assert_eq!(messages.text(7).len(), 120);
        assert_ne!(messages.text(7), messages.text(8));
        assert_eq!(messages.index(&messages.key(7)), Some(7));
        assert_eq!(messages.index("other-7"), None);
    }
}
