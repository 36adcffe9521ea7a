//! Pages: answers that may be long. They are made no faster than their client takes them, so that who asks for many
//! and reads none costs what fits the socket, and neither the reading nor the encoding of the rest.

use std::collections::VecDeque;

use bobchat_proto::wire::client_frame::Request;

/// Bytes that may still wait for a client when the next page is read for it.
pub(super) const LOW_WATER: usize = 64 * 1024;

/// Pages of one connection that are read at once: one may wait for a slow partition while another goes on. Each is up to
/// [`PAGE_BYTES_MAX`](bobchat_proto::limits::PAGE_BYTES_MAX), and both together stay below what may wait for a client.
const AT_ONCE: usize = 2;

/// The pages that a connection asked for and that are not read yet. Bounded by the requests that it may have in flight.
#[derive(Debug, Default)]
pub(super) struct Pages {
    asked: VecDeque<(u64, Request)>,
    in_work: usize,
}

impl Pages {
    /// Takes a request that is answered by a page.
    pub(super) fn ask(&mut self, id: u64, request: Request) {
        self.asked.push_back((id, request));
    }

    /// The next one that may be begun; [`Self::done`] is said when it is.
    pub(super) fn begin(&mut self) -> Option<(u64, Request)> {
        let next = if self.in_work < AT_ONCE { self.asked.pop_front() } else { None };
        self.in_work = self.in_work.saturating_add(usize::from(next.is_some()));
        next
    }

    /// Notes that one that was begun is answered.
    pub(super) fn done(&mut self) {
        self.in_work = self.in_work.saturating_sub(1);
        if self.asked.is_empty() {
            // An idle connection holds no buffer.
            self.asked = VecDeque::new();
        }
    }
}
