//! Many members in rooms, brought there by the same requests that people's clients make.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bobchat_proto::wire::{self, client_frame::Request};
use bytes::BytesMut;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::advice;
use super::member::Member;
use super::rest::Credentials;
use super::shared::Shared;
use super::target::Target;
use crate::check::{RoomSlot, Violations};
use crate::dialect::{Dialect, ENTER_REQUEST, FLOOR_HEADER_BYTES, FloorHeader, Kind};
use crate::message::Messages;
use crate::ws;

/// Connections that are opened at a time: fewer than a server lets one address hold before sign-in.
const ENTERING_AT_A_TIME: usize = 32;

/// How often somebody tries to join a room.
const JOINS_MAX: usize = 20;

/// After the last send, deliveries that make no progress for this long are lost.
const SILENCE: Duration = Duration::from_secs(5);

/// How many members where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) rooms: usize,
    /// Members of each room.
    pub(crate) members: usize,
    /// How many of each room's members receive it; the others only post.
    pub(crate) receivers: usize,
    /// The text of a message, in bytes; other dialects pad theirs so that as many bytes are delivered.
    pub(crate) bytes: usize,
}

/// A user and the room that they are already a member of.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) credentials: Credentials,
    pub(crate) room: u64,
}

/// A room and its members.
pub(crate) struct Room {
    pub(crate) id: u64,
    pub(crate) slot: RoomSlot,
    pub(crate) members: Vec<Rc<Member>>,
    /// Those of them that post: all, where nobody says otherwise.
    pub(crate) senders: Vec<Rc<Member>>,
}

/// Many members in rooms.
pub(crate) struct Fleet {
    pub(crate) shared: Rc<Shared>,
    pub(crate) rooms: Vec<Room>,
    tasks: Vec<JoinHandle<()>>,
}

impl Fleet {
    /// Connects `shape.rooms * shape.members` members and lets them enter their rooms. `users` are needed
    /// for Bobchat alone.
    ///
    /// # Errors
    /// When a member cannot get there; a limit that is met is named.
    pub(crate) async fn enter(target: &Target, shape: Shape, users: &[Credentials]) -> anyhow::Result<Self> {
        Self::enter_at(std::slice::from_ref(target), shape, users).await
    }

    /// The same, with the members of each room at these servers in turns. All speak the same.
    ///
    /// # Errors
    /// As [`Fleet::enter`].
    pub(crate) async fn enter_at(targets: &[Target], shape: Shape, users: &[Credentials]) -> anyhow::Result<Self> {
        let target = targets.first().context("a fleet needs a server")?;
        let messages = Messages::new(target.dialect.text_bytes(shape.bytes))?;
        let mut fleet =
            Self { shared: Rc::new(Shared::new(target.dialect, messages)?), rooms: Vec::new(), tasks: Vec::new() };
        let members = fleet.connect(targets, shape, users).await?;
        let mut members = members.into_iter();
        for number in 0..shape.rooms {
            let members: Vec<_> = members.by_ref().take(shape.members).collect();
            let id = fleet.fill_room(number, &members).await?;
            let slot = fleet.shared.checker.borrow_mut().room(id);
            fleet.rooms.push(Room { id, slot, senders: members.clone(), members });
        }
        // Only when everybody has joined: else each would receive the joins of all after them.
        for room in &fleet.rooms {
            subscribe(room.members.iter().take(shape.receivers), room.id).await?;
        }
        Ok(fleet)
    }

    /// Connects users who are members already, and subscribes each to their room.
    ///
    /// # Errors
    /// When a member cannot get there; a limit that is met is named.
    pub(crate) async fn resume(target: &Target, places: &[Place], bytes: usize) -> anyhow::Result<Self> {
        let shape = Shape { rooms: 1, members: places.len(), receivers: 0, bytes };
        let users: Vec<_> = places.iter().map(|place| place.credentials.clone()).collect();
        let messages = Messages::new(bytes)?;
        let mut fleet =
            Self { shared: Rc::new(Shared::new(target.dialect, messages)?), rooms: Vec::new(), tasks: Vec::new() };
        let members = fleet.connect(std::slice::from_ref(target), shape, &users).await?;
        let entering = members.iter().zip(places).map(|(member, place)| subscribe(std::iter::once(member), place.room));
        stream::iter(entering).buffer_unordered(ENTERING_AT_A_TIME).try_collect::<()>().await?;
        for (member, place) in members.into_iter().zip(places) {
            let slot = fleet.shared.checker.borrow_mut().room(place.room);
            match fleet.rooms.iter_mut().find(|room| room.slot == slot) {
                Some(room) => {
                    room.senders.push(Rc::clone(&member));
                    room.members.push(member);
                }
                None => {
                    let (id, senders) = (place.room, vec![Rc::clone(&member)]);
                    fleet.rooms.push(Room { id, slot, members: vec![member], senders });
                }
            }
        }
        Ok(fleet)
    }

    async fn connect(
        &mut self,
        targets: &[Target],
        shape: Shape,
        users: &[Credentials],
    ) -> anyhow::Result<Vec<Rc<Member>>> {
        let count = shape.rooms * shape.members;
        let bobchat = targets.iter().any(|target| matches!(target.dialect, Dialect::Bobchat(_)));
        ensure!(!bobchat || users.len() >= count, "{count} members need as many users; there are {}", users.len());
        let shared = &self.shared;
        let in_turns = (0..shape.rooms).flat_map(|_| targets.iter().cycle().take(shape.members));
        let connecting = in_turns
            .enumerate()
            .map(|(number, target)| connect_one(shared, target, number, number / shape.members, users));
        let mut connected: Vec<_> = stream::iter(connecting).buffered(ENTERING_AT_A_TIME).try_collect().await?;
        let (members, tasks) = connected.drain(..).unzip();
        self.tasks = tasks;
        Ok(members)
    }

    /// Makes a room with these members in it and gives its identifier. The simple dialects enter a room by
    /// being connected.
    async fn fill_room(&self, number: usize, members: &[Rc<Member>]) -> anyhow::Result<u64> {
        if !matches!(self.shared.dialect, Dialect::Bobchat(_)) {
            return Ok(number as u64);
        }
        let (owner, others) = members.split_first().context("a room needs a member")?;
        let key = format!("room-{}", self.shared.messages.key(number as u64));
        let create = wire::RoomCreate { name: format!("load {number}"), key, ..Default::default() };
        let wire::ok::Result::RoomCreate(made) = owner.request(Request::RoomCreate(create)).await? else {
            bail!("room_create was answered with something else");
        };
        let room = made.room.context("the server made no room")?.id;
        let joins = others.iter().map(|member| join(member, room));
        stream::iter(joins).buffer_unordered(ENTERING_AT_A_TIME).try_collect::<()>().await?;
        Ok(room)
    }

    /// All members.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Rc<Member>> {
        self.rooms.iter().flat_map(|room| &room.members)
    }

    /// Waits until everything has arrived, or nothing has for [`SILENCE`].
    pub(crate) async fn settle(&self, expects_acks: bool) {
        let progress = || {
            let checker = self.shared.checker.borrow();
            (checker.counts().delivered, checker.counts().acked)
        };
        let mut last = (progress(), self.shared.clock.now());
        while !self.is_settled(expects_acks) {
            tokio::time::sleep(Duration::from_millis(2)).await;
            let now = self.shared.clock.now();
            if progress() != last.0 {
                last = (progress(), now);
            } else if now - last.1 > crate::time::nanos(SILENCE) {
                return;
            }
        }
    }

    fn is_settled(&self, expects_acks: bool) -> bool {
        let checker = self.shared.checker.borrow();
        (!expects_acks || checker.unacked() == 0)
            && (expects_acks || checker.newest_seen())
            && self.members().all(|member| member.receiver().as_ref().is_none_or(|one| checker.is_delivered_to(one)))
    }

    /// Closes everything after the server was killed: what is missing is no fault.
    pub(crate) fn abandon(self) {
        self.shared.closing.set(true);
        self.tasks.iter().for_each(JoinHandle::abort);
    }

    /// Closes everything and gives what went wrong.
    pub(crate) fn finish(self, expects_acks: bool) -> Violations {
        self.shared.closing.set(true);
        for task in &self.tasks {
            task.abort();
        }
        let mut checker = self.shared.checker.borrow_mut();
        for member in self.members() {
            checker.finish_receiver(member.receiver().as_ref());
        }
        checker.finish(expects_acks);
        checker.violations().clone()
    }
}

async fn connect_one(
    shared: &Rc<Shared>,
    target: &Target,
    number: usize,
    room: usize,
    users: &[Credentials],
) -> anyhow::Result<(Rc<Member>, JoinHandle<()>)> {
    let (stream, carry) = open(target, room).await?;
    let (member, task) = Member::start(Rc::clone(shared), stream, carry, number as u64);
    match target.dialect {
        Dialect::Bobchat(_) => {
            let token = users.get(number).context("a user for each member")?.access_token.clone();
            member.request(Request::Auth(wire::Auth { token, cursors: Vec::new() })).await?;
        }
        Dialect::Floor => {
            let header =
                FloorHeader { length: FLOOR_HEADER_BYTES, kind: Kind::Join, room: room as u64, seq: 0, index: 0 };
            let _ = member.exchange(ENTER_REQUEST, &header.bytes()).await?;
        }
        Dialect::Baseline => {
            let _ = member.exchange(ENTER_REQUEST, &[]).await?;
        }
    }
    Ok((member, task))
}

async fn open(target: &Target, room: usize) -> anyhow::Result<(TcpStream, BytesMut)> {
    let (path, subprotocol) = match target.dialect {
        Dialect::Floor => {
            let stream = TcpStream::connect(&target.authority).await?;
            stream.set_nodelay(true)?;
            return Ok((stream, BytesMut::new()));
        }
        Dialect::Bobchat(format) => ("/api/v1/ws".to_owned(), Some(format.subprotocol())),
        Dialect::Baseline => (format!("/ws/{room}"), None),
    };
    ws::open(&ws::Request { authority: target.authority.clone(), path, subprotocol }).await
}

/// Makes a member of a room, as clients do: who is told to come back does. Nodes of a cluster stand in each other's way
/// where many join one room at all of them.
async fn join(member: &Rc<Member>, room: u64) -> anyhow::Result<()> {
    for _ in 1..JOINS_MAX {
        match member.ask(Request::RoomJoin(wire::RoomJoin { room })).await? {
            Err(wire::Error { temporary: true, retry_after_ms: Some(wait), .. }) => {
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            Err(error) => bail!(advice::of_error("room_join", &error)),
            Ok(_) => return Ok(()),
        }
    }
    member.request(Request::RoomJoin(wire::RoomJoin { room })).await.map(drop)
}

/// Lets members receive a room. Those of the simple dialects do so already.
async fn subscribe(members: impl Iterator<Item = &Rc<Member>>, room: u64) -> anyhow::Result<()> {
    let subscribing =
        members.filter(|member| matches!(member.shared.dialect, Dialect::Bobchat(_))).map(|member| async move {
            member.request(Request::Subscribe(wire::Subscribe { room, cursor: None })).await.map(drop)
        });
    stream::iter(subscribing).buffer_unordered(ENTERING_AT_A_TIME).try_collect::<()>().await
}
