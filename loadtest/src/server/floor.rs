//! The floor: a bare epoll server that does what no chat server can leave out, one `write()` a member and
//! burst, and nothing else. With a store it also commits before it acks and fans out.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;

use super::store::{Append, BareStore};
use crate::dialect::{FLOOR_ACK_BYTES, FLOOR_HEADER_BYTES, FloorHeader, Kind};
use crate::say::say;

/// The listener's token in epoll; connections have their index.
const LISTENER: u64 = u64::MAX;

/// How long a batch that is not full waits for more.
const BATCH_WAIT: Duration = Duration::from_millis(1);

/// How to serve as the floor.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Address; port 0 takes a free one. It is printed.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Append to bare redb in this file, and ack, before fanning out.
    #[arg(long)]
    pub(crate) store: Option<PathBuf>,
    /// Messages in a commit.
    #[arg(long, default_value_t = 1)]
    pub(crate) batch: usize,
}

/// Serves until it is killed.
///
/// # Errors
/// When it cannot listen or the kernel fails it.
pub(crate) fn serve(options: &Options) -> anyhow::Result<()> {
    let listener = TcpListener::bind(options.listen)?;
    listener.set_nonblocking(true)?;
    say(&format!("listening on {}", listener.local_addr()?));
    let store = options.store.as_deref().map(BareStore::open).transpose()?;
    Floor::new(listener, store, options.batch.max(1))?.run()
}

/// One member.
struct Connection {
    stream: TcpStream,
    /// The beginning of a frame that has not arrived whole.
    carry: Vec<u8>,
    /// What the socket did not take.
    backlog: Vec<u8>,
    /// Acks that wait for the commit.
    acks: Vec<u8>,
}

/// One room.
#[derive(Default)]
struct Room {
    seq: u64,
    members: Vec<usize>,
    /// The frames of the present burst.
    burst: Vec<u8>,
}

/// Where a message of the present batch stands in its room's burst.
struct Pending {
    room: u64,
    seq: u64,
    range: std::ops::Range<usize>,
}

struct Floor {
    epoll: OwnedFd,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    rooms: HashMap<u64, Room>,
    dirty: Vec<u64>,
    acking: Vec<usize>,
    pending: Vec<Pending>,
    store: Option<BareStore>,
    batch: usize,
}

impl Floor {
    fn new(listener: TcpListener, store: Option<BareStore>, batch: usize) -> anyhow::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
        Ok(Self {
            epoll,
            listener,
            connections: Vec::new(),
            rooms: HashMap::new(),
            dirty: Vec::new(),
            acking: Vec::new(),
            pending: Vec::new(),
            store,
            batch,
        })
    }

    fn run(mut self) -> anyhow::Result<()> {
        let mut scratch = vec![0; 256 * 1024];
        let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; 1024];
        let wait = Timespec::try_from(BATCH_WAIT)?;
        loop {
            let timeout = if self.pending.is_empty() { None } else { Some(&wait) };
            let (ready, _) = match epoll::wait(&self.epoll, &mut events, timeout) {
                Err(rustix::io::Errno::INTR) => continue,
                outcome => outcome?,
            };
            let timed_out = ready.is_empty();
            for event in ready.iter() {
                let event = *event;
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    token => self.ready(token as usize, event.flags, &mut scratch)?,
                }
                if self.pending.len() >= self.batch {
                    self.flush()?;
                }
            }
            // Without a store there is nothing to wait for; with one, a batch waits until it is full.
            if self.store.is_none() || timed_out {
                self.flush()?;
            }
        }
    }

    fn accept(&mut self) -> anyhow::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("could not accept"),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let token = epoll::EventData::new_u64(self.connections.len() as u64);
            epoll::add(&self.epoll, &stream, token, epoll::EventFlags::IN)?;
            let (carry, backlog, acks) = Default::default();
            self.connections.push(Some(Connection { stream, carry, backlog, acks }));
        }
    }

    fn ready(&mut self, index: usize, flags: epoll::EventFlags, scratch: &mut [u8]) -> anyhow::Result<()> {
        if flags.contains(epoll::EventFlags::OUT) {
            self.drain(index)?;
        }
        if !flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
            return Ok(());
        }
        let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else { return Ok(()) };
        let carried = connection.carry.len();
        let Some(free) = scratch.get_mut(carried..) else { return Ok(()) };
        let read = match connection.stream.read(free) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Ok(0) | Err(_) => {
                self.leave(index);
                return Ok(());
            }
            Ok(read) => read,
        };
        if let Some(begin) = scratch.get_mut(..carried) {
            begin.copy_from_slice(&connection.carry);
        }
        let mut rest = scratch.get(..carried + read).unwrap_or_default();
        while let Some(header) = FloorHeader::read(rest)?
            && let Some((frame, after)) = rest.split_at_checked(header.length)
        {
            self.take(index, header, frame);
            rest = after;
        }
        if let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) {
            connection.carry.clear();
            connection.carry.extend_from_slice(rest);
        }
        Ok(())
    }

    fn take(&mut self, index: usize, header: FloorHeader, frame: &[u8]) {
        let room = self.rooms.entry(header.room).or_default();
        if header.kind == Kind::Join {
            room.members.push(index);
            let joined = FloorHeader { seq: room.seq, ..header }.bytes();
            if let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) {
                write(&self.epoll, index, connection, &joined);
            }
            return;
        }
        room.seq += 1;
        let event = FloorHeader { kind: Kind::Event, seq: room.seq, ..header };
        if room.burst.is_empty() {
            self.dirty.push(header.room);
        }
        let begin = room.burst.len();
        room.burst.extend_from_slice(&event.bytes());
        room.burst.extend_from_slice(frame.get(FLOOR_HEADER_BYTES..).unwrap_or_default());
        if self.store.is_none() {
            return;
        }
        self.pending.push(Pending { room: header.room, seq: room.seq, range: begin..room.burst.len() });
        if let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) {
            if connection.acks.is_empty() {
                self.acking.push(index);
            }
            let ack = FloorHeader { kind: Kind::Ack, length: FLOOR_ACK_BYTES, ..event };
            connection.acks.extend_from_slice(&ack.bytes());
            connection.acks.extend_from_slice(&[0; FLOOR_ACK_BYTES - FLOOR_HEADER_BYTES]);
        }
    }

    /// Commits the batch, then writes: acks to the senders, one burst to each member.
    fn flush(&mut self) -> anyhow::Result<()> {
        if let Some(store) = &self.store
            && !self.pending.is_empty()
        {
            let rooms = &self.rooms;
            store.append(self.pending.iter().map(|pending| {
                let burst = rooms.get(&pending.room).and_then(|room| room.burst.get(pending.range.clone()));
                Append { room: pending.room, seq: pending.seq, bytes: burst.unwrap_or_default() }
            }))?;
            self.pending.clear();
        }
        for index in self.acking.drain(..) {
            if let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) {
                let acks = std::mem::take(&mut connection.acks);
                write(&self.epoll, index, connection, &acks);
            }
        }
        for id in self.dirty.drain(..) {
            let Some(room) = self.rooms.get_mut(&id) else { continue };
            for index in &room.members {
                if let Some(connection) = self.connections.get_mut(*index).and_then(Option::as_mut) {
                    write(&self.epoll, *index, connection, &room.burst);
                }
            }
            room.burst.clear();
        }
        Ok(())
    }

    fn drain(&mut self, index: usize) -> anyhow::Result<()> {
        let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else { return Ok(()) };
        let written = rustix::io::write(&connection.stream, &connection.backlog).unwrap_or(0);
        connection.backlog.drain(..written);
        if connection.backlog.is_empty() {
            let token = epoll::EventData::new_u64(index as u64);
            epoll::modify(&self.epoll, &connection.stream, token, epoll::EventFlags::IN)?;
        }
        Ok(())
    }

    fn leave(&mut self, index: usize) {
        if let Some(connection) = self.connections.get_mut(index) {
            *connection = None;
        }
        for room in self.rooms.values_mut() {
            room.members.retain(|member| *member != index);
        }
    }
}

/// One `write()`; only what the socket does not take is kept.
fn write(epoll: &OwnedFd, index: usize, connection: &mut Connection, bytes: &[u8]) {
    if !connection.backlog.is_empty() {
        connection.backlog.extend_from_slice(bytes);
        return;
    }
    // A connection that broke shows when it is read.
    let written = rustix::io::write(&connection.stream, bytes).unwrap_or(0);
    if let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        connection.backlog.extend_from_slice(rest);
        let token = epoll::EventData::new_u64(index as u64);
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT;
        // If the kernel refuses, the loss shows in the check.
        let _ = epoll::modify(epoll, &connection.stream, token, flags);
    }
}
