//! Many members in rooms, brought there by the same requests that people's clients make.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bobchat_proto::wire::{self, client_frame::Request};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::advice;
use super::arrive::arrive;
use super::member::Member;
use super::rest::Credentials;
use super::seat::{Reading, Route, Seat};
use super::shared::Shared;
use super::target::Target;
use crate::check::{RoomSlot, Violations};
use crate::dialect::Dialect;
use crate::message::Messages;

/// Connections that are opened at a time: fewer than a server lets one address hold before sign-in.
const ENTERING_AT_A_TIME: usize = 32;

/// Rooms that are filled at a time: the server commits what waits in one batch.
const ROOMS_AT_A_TIME: usize = 16;

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

/// Members that read slowly on purpose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slow {
    /// How many of each room, its last ones.
    pub(crate) members: usize,
    pub(crate) bytes_per_second: usize,
}

/// How members come to be where they are.
#[derive(Debug, Clone)]
pub(crate) struct Crew {
    pub(crate) route: Route,
    pub(crate) slow: Option<Slow>,
}

impl Crew {
    /// Members of one server that read as fast as they can.
    pub(crate) fn at(target: &Target) -> Self {
        Self { route: Route::to(target), slow: None }
    }
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
}

impl Fleet {
    /// Connects `shape.rooms * shape.members` members and lets them enter their rooms. `users` are needed
    /// for Bobchat alone.
    ///
    /// # Errors
    /// When a member cannot get there; a limit that is met is named.
    pub(crate) async fn enter(target: &Target, shape: Shape, users: &[Credentials]) -> anyhow::Result<Self> {
        Self::enter_as(Crew::at(target), shape, users).await
    }

    /// The same, with the members of each room at these servers in turns. All speak the same.
    ///
    /// # Errors
    /// As [`Fleet::enter`].
    pub(crate) async fn enter_at(targets: &[Target], shape: Shape, users: &[Credentials]) -> anyhow::Result<Self> {
        let route = Route { targets: targets.to_vec(), sources: Vec::new() };
        Self::enter_as(Crew { route, slow: None }, shape, users).await
    }

    /// The same, for members of every kind.
    ///
    /// # Errors
    /// As [`Fleet::enter`].
    pub(crate) async fn enter_as(crew: Crew, shape: Shape, users: &[Credentials]) -> anyhow::Result<Self> {
        let mut fleet = Self::empty(&crew, shape.bytes)?;
        match fleet.gather(crew, shape, users).await {
            Ok(()) => Ok(fleet),
            Err(error) => Err(fleet.explained(error)),
        }
    }

    /// An error, with what the server said before it: why it closed a connection, for instance.
    fn explained(&self, error: anyhow::Error) -> anyhow::Error {
        match self.shared.checker.borrow().violations().examples.first() {
            Some(first) => error.context(first.clone()),
            None => error,
        }
    }

    async fn gather(&mut self, crew: Crew, shape: Shape, users: &[Credentials]) -> anyhow::Result<()> {
        let members = self.seat(crew, shape, users)?;
        stream::iter(members.iter().map(arrive)).buffered(ENTERING_AT_A_TIME).try_collect::<()>().await?;
        let crews: Vec<&[Rc<Member>]> = members.chunks(shape.members.max(1)).collect();
        let filling = crews.iter().enumerate().map(|(number, members)| self.fill_room(number, members));
        let ids: Vec<u64> = stream::iter(filling).buffered(ROOMS_AT_A_TIME).try_collect().await?;
        for (id, members) in ids.into_iter().zip(crews) {
            let slot = self.shared.checker.borrow_mut().room(id);
            self.rooms.push(Room { id, slot, senders: members.to_vec(), members: members.to_vec() });
        }
        // Only when everybody has joined: else each would receive the joins of all after them.
        for room in &self.rooms {
            subscribe(room.members.iter().take(shape.receivers), room.id).await?;
        }
        Ok(())
    }

    /// Connects users who are members already, and subscribes each to their room.
    ///
    /// # Errors
    /// When a member cannot get there; a limit that is met is named.
    pub(crate) async fn resume(target: &Target, places: &[Place], bytes: usize) -> anyhow::Result<Self> {
        let shape = Shape { rooms: 1, members: places.len(), receivers: 0, bytes };
        let fleet = Self::placed(Crew::at(target), shape, places)?;
        stream::iter(fleet.members().map(arrive)).buffer_unordered(ENTERING_AT_A_TIME).try_collect::<()>().await?;
        Ok(fleet)
    }

    /// Users who are members already, and not connected yet; those of one room stand together.
    ///
    /// # Errors
    /// When there is no server to go to.
    pub(crate) fn placed(crew: Crew, shape: Shape, places: &[Place]) -> anyhow::Result<Self> {
        let mut fleet = Self::empty(&crew, shape.bytes)?;
        let users: Vec<_> = places.iter().map(|place| place.credentials.clone()).collect();
        for (member, place) in fleet.seat(crew, shape, &users)?.into_iter().zip(places) {
            member.seat.room.set(Some(place.room));
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

    fn empty(crew: &Crew, bytes: usize) -> anyhow::Result<Self> {
        let dialect = crew.route.targets.first().context("a fleet needs a server")?.dialect;
        let messages = Messages::new(dialect.text_bytes(bytes))?;
        Ok(Self { shared: Rc::new(Shared::new(dialect, messages)?), rooms: Vec::new() })
    }

    /// Members that are not connected yet.
    fn seat(&self, crew: Crew, shape: Shape, users: &[Credentials]) -> anyhow::Result<Vec<Rc<Member>>> {
        let count = shape.rooms * shape.members;
        let bobchat = matches!(self.shared.dialect, Dialect::Bobchat(_));
        ensure!(!bobchat || users.len() >= count, "{count} members need as many users; there are {}", users.len());
        let route = Rc::new(crew.route);
        let is_slow = |place| crew.slow.filter(|slow| place + slow.members >= shape.members);
        Ok((0..count)
            .map(|number| {
                let place = number % shape.members.max(1);
                let seat = Seat {
                    route: Rc::clone(&route),
                    number,
                    first_target: place,
                    room_number: number / shape.members.max(1),
                    room: Cell::new(None),
                    token: RefCell::new(users.get(number).map(|user| user.access_token.clone()).unwrap_or_default()),
                    reading: is_slow(place).map_or(Reading::Fast, |slow| Reading::Slow(slow.bytes_per_second)),
                    visits: Cell::new(0),
                };
                Member::new(Rc::clone(&self.shared), seat)
            })
            .collect())
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
        let acks_tell = expects_acks && self.shared.dialect.acks_say_where();
        (!expects_acks || checker.unacked() == 0)
            && (acks_tell || checker.newest_seen())
            && self.members().all(|member| member.receiver().as_ref().is_none_or(|one| checker.is_delivered_to(one)))
    }

    /// Closes everything after the server was killed: what is missing is no fault.
    pub(crate) fn abandon(self) {
        self.close();
    }

    /// Closes everything and gives what went wrong.
    pub(crate) fn finish(self, expects_acks: bool) -> Violations {
        self.close();
        let mut checker = self.shared.checker.borrow_mut();
        for member in self.members() {
            checker.finish_receiver(member.receiver().as_ref());
        }
        checker.finish(expects_acks);
        checker.violations().clone()
    }

    fn close(&self) {
        self.shared.closing.set(true);
        self.members().for_each(|member| member.cut());
    }
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
            member.seat.room.set(Some(room));
            member.request(Request::Subscribe(wire::Subscribe { room, cursor: None })).await.map(drop)
        });
    stream::iter(subscribing).buffer_unordered(ENTERING_AT_A_TIME).try_collect::<()>().await
}
