//! What one connection has asked for and was not told yet, and what it makes of what it is told.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use bobchat_proto::error::ErrorCode;
use bobchat_proto::wire::{self, ok};
use tokio::time::Instant;

use super::watch::Watch;
use crate::dialect::{Dialect, Incoming, Known};

/// Requests that are no posts have odd ids. The first signs in, the second subscribes.
pub(super) const SIGN_IN: u64 = 1;
pub(super) const SUBSCRIBE: u64 = 3;

/// A message that was put off without a word about how long is sent again after this.
const PUT_OFF: Duration = Duration::from_millis(250);

/// The server does not know the user any more: everything has to be made anew.
#[derive(Debug, thiserror::Error)]
#[error("a user of the canary is not let in any more: {0}")]
pub(super) struct Stranger(pub(super) String);

/// Whether somebody was refused because the server does not know them, or not in their room.
pub(super) fn is_stranger(error: &wire::Error) -> bool {
    use ErrorCode::{Forbidden, NotAMember, NotFound, TokenExpired, Unauthenticated};
    let code = ErrorCode::parse(&error.code);
    matches!(code, Some(Unauthenticated | TokenExpired | Forbidden | NotAMember | NotFound))
}

/// A page that was asked for.
#[derive(Debug)]
struct Reading {
    request: u64,
    asked_at: Instant,
    /// What has to stand there.
    newest: u64,
}

/// What one connection has asked for.
#[derive(Debug)]
pub(super) struct Exchange {
    who: usize,
    dialect: Dialect,
    next_request: u64,
    /// Messages that were put off, and until when.
    put_off: BTreeMap<u64, Instant>,
    reading: Option<Reading>,
    /// Those that had what had to stand there.
    pub(super) pages_read: u64,
    /// The watch's count when this connection began: answers to what was said in an earlier one say nothing that counts.
    begun_anew: u64,
}

impl Exchange {
    /// Of a connection on which nothing was said.
    pub(super) fn new(who: usize, dialect: Dialect, watch: &Watch) -> Self {
        let (put_off, begun_anew) = (BTreeMap::new(), watch.begun_anew);
        Self { who, dialect, next_request: SUBSCRIBE + 2, put_off, reading: None, pages_read: 0, begun_anew }
    }

    /// The id of another request.
    pub(super) const fn next_request(&mut self) -> u64 {
        let id = self.next_request;
        self.next_request += 2;
        id
    }

    /// The id to ask for the newest page with, which has to hold the newest message that somebody has; nothing while one
    /// is asked for, and before anything was said.
    pub(super) fn read(&mut self, watch: &Watch) -> Option<u64> {
        let newest = watch.newest().filter(|_| self.reading.is_none())?;
        let request = self.next_request();
        self.reading = Some(Reading { request, asked_at: Instant::now(), newest });
        Some(request)
    }

    /// Messages that were put off until now.
    pub(super) fn due(&mut self) -> Vec<u64> {
        let now = Instant::now();
        let due = self.put_off.iter().filter(|(_, at)| **at <= now).map(|(index, _)| *index).collect::<Vec<_>>();
        self.put_off.retain(|_, at| *at > now);
        due
    }

    /// Holds the connection to the chapter that it belongs to.
    ///
    /// # Errors
    /// When it was begun anew: another connection has to be opened.
    pub(super) fn belongs_to(&self, watch: &Watch) -> anyhow::Result<()> {
        if self.begun_anew != watch.begun_anew {
            bail!("something was lost: beginning anew");
        }
        Ok(())
    }

    /// Takes something in; gives the request that it answers, if it is no post.
    ///
    /// # Errors
    /// When the connection is of no use any more; a [`Stranger`] when none would be.
    pub(super) fn take(&mut self, watch: &mut Watch, payload: &[u8]) -> anyhow::Result<Option<u64>> {
        self.belongs_to(watch)?;
        let known = Known { messages: &watch.messages, names: &watch.room_names };
        let incoming = match self.dialect.decode(payload, known) {
            Ok(incoming) => incoming,
            Err(error) => {
                watch.broke_protocol(&error);
                return Err(error);
            }
        };
        match incoming {
            Incoming::Event(delivery) => watch.delivered(self.who, &delivery, payload),
            Incoming::Ack { index, placed } => watch.acked(index, placed),
            Incoming::Refused { index, error } if error.temporary => {
                let wait = error.retry_after_ms.map_or(PUT_OFF, Duration::from_millis);
                self.put_off.insert(index, Instant::now() + wait);
            }
            Incoming::Refused { index, error } => watch.refused(index, &error),
            Incoming::Answer { request, result } => {
                self.answered(watch, request, result)?;
                return Ok(Some(request));
            }
            Incoming::Failure(error) => bail!("{}: {}", error.code, error.message),
            Incoming::Reset { room, head } => {
                watch.reset(self.who, Some(head))?;
                bail!("the stream of room {room} broke off");
            }
            Incoming::Named { .. } | Incoming::Asked(_) | Incoming::Signal => {}
        }
        Ok(None)
    }

    fn answered(
        &mut self,
        watch: &mut Watch,
        request: u64,
        result: Result<Box<ok::Result>, wire::Error>,
    ) -> anyhow::Result<()> {
        let result = match result {
            Ok(result) => *result,
            // A page that is put off is asked for again with a later message.
            Err(error) if error.temporary && self.reading.as_ref().is_some_and(|page| page.request == request) => {
                self.reading = None;
                return Ok(());
            }
            Err(error) => return Err(refused(error)),
        };
        match result {
            ok::Result::Auth(auth) => {
                for subscribed in &auth.subscribed {
                    self.subscribed(watch, subscribed)?;
                }
            }
            ok::Result::Subscribe(subscribed) => self.subscribed(watch, &subscribed)?,
            ok::Result::MessageHistory(page) => {
                if let Some(reading) = self.reading.take() {
                    let is_found = page.messages.iter().any(|message| message.seq == reading.newest);
                    watch.read(self.who, is_found, reading.asked_at.elapsed());
                    self.pages_read += u64::from(is_found);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn subscribed(&mut self, watch: &mut Watch, subscribed: &wire::SubscribeOk) -> anyhow::Result<()> {
        match &subscribed.error {
            // The cursor is the server's own: it has lost what lay before it.
            Some(error) if ErrorCode::parse(&error.code) == Some(ErrorCode::InvalidCursor) => {
                watch.reset(self.who, None)?;
            }
            Some(error) => return Err(refused(error.clone())),
            None => watch.subscribed(self.who, subscribed)?,
        }
        // Nothing was said on this connection yet, so that it may belong to a chapter that began with this answer.
        self.begun_anew = watch.begun_anew;
        Ok(())
    }
}

fn refused(error: wire::Error) -> anyhow::Error {
    if is_stranger(&error) {
        return Stranger(error.message).into();
    }
    anyhow::anyhow!("{}: {}", error.code, error.message)
}

#[cfg(test)]
mod tests;
