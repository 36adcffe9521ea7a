use async_trait::async_trait;
use bobchat_actors::ports::projection::is_member;
use bobchat_actors::ports::{Directory, RoomRow, RoomSnapshot, Span, Unavailable};
use bobchat_proto::ids::{Epoch, RoomId, Sequence, UserId};
use bobchat_proto::record;
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable as _};

use super::command::Growth;
use super::tables::{
    CLAIMS, HANDLES, HEADS, MEMBERSHIPS, ROOMS, ROOMS_OF, SPANS, SUBJECTS, USERS, decode, get, head_of, room_id,
    user_id,
};
use super::transaction::Transaction;
use super::{EmbeddedStore, search, users};

type Membership = (UserId, record::Membership);

#[async_trait]
impl Directory for EmbeddedStore {
    async fn room(&self, room: RoomId) -> Result<Option<RoomRow>, Unavailable> {
        self.read(move |transaction| Rooms::open(transaction)?.row(room)).await
    }

    async fn snapshot(&self, room: RoomId) -> Result<Option<RoomSnapshot>, Unavailable> {
        self.read(move |transaction| snapshot(transaction, room)).await
    }

    async fn claim_room(&self, owner: UserId, key: &str, proposed: RoomId) -> Result<RoomId, Unavailable> {
        let key = key.to_owned();
        let claim = move |transaction: &mut Transaction<'_>| {
            let mut claims = transaction.table(CLAIMS)?;
            let place = (owner.get(), key.as_str());
            if let Some(claimed) = claims.get(place)?.map(|room| room.value()) {
                transaction.unchanged();
                return room_id(claimed);
            }
            claims.insert(place, proposed.get())?;
            Ok(proposed)
        };
        Ok(self.write(Growth::Grows, 0, claim).await?)
    }

    async fn rooms_of(
        &self,
        user: UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<(RoomRow, record::Membership)>, Unavailable> {
        self.read(move |transaction| rooms_of(transaction, user, after, limit)).await
    }

    async fn room_count_of(&self, user: UserId) -> Result<u64, Unavailable> {
        let read = move |transaction: &ReadTransaction| {
            let rooms = transaction.open_table(ROOMS_OF)?.range((user.get(), 0)..=(user.get(), u64::MAX))?;
            Ok(rooms.count() as u64)
        };
        self.read(read).await
    }

    async fn search(&self, query: &str, after: Option<RoomId>, limit: usize) -> Result<Vec<RoomRow>, Unavailable> {
        let query = query.to_owned();
        self.read(move |transaction| search::search(transaction, &query, after, limit)).await
    }

    async fn members(&self, room: RoomId, after: Option<UserId>, limit: usize) -> Result<Vec<Membership>, Unavailable> {
        let read = move |transaction: &ReadTransaction| {
            let everybody = memberships(&transaction.open_table(MEMBERSHIPS)?, room, after)?;
            let present = everybody.filter(|row| row.as_ref().map_or(true, |(_, membership)| is_member(membership)));
            present.take(limit).collect()
        };
        self.read(read).await
    }

    async fn users(&self, users: &[UserId]) -> Result<Vec<(UserId, record::User)>, Unavailable> {
        let users = users.to_vec();
        let read = move |transaction: &ReadTransaction| {
            let table = transaction.open_table(USERS)?;
            let found = users.into_iter().map(|id| Ok(get(&table, id.get())?.map(|user| (id, user))));
            found.filter_map(Result::transpose).collect()
        };
        self.read(read).await
    }

    async fn user_by_handle(&self, handle: &str) -> Result<Option<UserId>, Unavailable> {
        let handle = handle.to_owned();
        let read = move |transaction: &ReadTransaction| {
            let found = transaction.open_table(HANDLES)?.get(handle.as_str())?;
            found.map(|user| user_id(user.value())).transpose()
        };
        self.read(read).await
    }

    async fn user_by_subject(&self, issuer: &str, subject: &str) -> Result<Option<UserId>, Unavailable> {
        let (issuer, subject) = (issuer.to_owned(), subject.to_owned());
        let read = move |transaction: &ReadTransaction| {
            let found = transaction.open_table(SUBJECTS)?.get((issuer.as_str(), subject.as_str()))?;
            found.map(|user| user_id(user.value())).transpose()
        };
        self.read(read).await
    }

    async fn create_user(
        &self,
        id: UserId,
        user: record::User,
        subject: Option<(String, String)>,
    ) -> Result<bool, Unavailable> {
        let create = move |transaction: &mut Transaction<'_>| users::create(transaction, id, &user, subject.as_ref());
        Ok(self.write(Growth::Grows, 0, create).await?)
    }

    async fn update_user(&self, id: UserId, user: record::User) -> Result<bool, Unavailable> {
        Ok(self.write(Growth::Keeps, 0, move |transaction| users::update(transaction, id, user)).await?)
    }
}

/// The tables that a room's row is made of.
pub(super) struct Rooms {
    heads: ReadOnlyTable<u64, &'static [u8]>,
    rooms: ReadOnlyTable<u64, &'static [u8]>,
}

impl Rooms {
    pub(super) fn open(transaction: &ReadTransaction) -> Result<Self, redb::Error> {
        Ok(Self { heads: transaction.open_table(HEADS)?, rooms: transaction.open_table(ROOMS)? })
    }

    /// A room as the directory lists it: not before its first event.
    pub(super) fn row(&self, id: RoomId) -> Result<Option<RoomRow>, redb::Error> {
        let head: Option<record::Head> = get(&self.heads, id.get())?;
        let Some(head) = head.filter(|head| head.seq > 0) else { return Ok(None) };
        let room = get(&self.rooms, id.get())?.unwrap_or_default();
        Ok(Some(RoomRow { id, room, head: head_of(&head) }))
    }
}

fn snapshot(transaction: &ReadTransaction, room: RoomId) -> Result<Option<RoomSnapshot>, redb::Error> {
    let Some(row) = Rooms::open(transaction)?.row(room)? else { return Ok(None) };
    let memberships = memberships(&transaction.open_table(MEMBERSHIPS)?, room, None)?.collect::<Result<_, _>>()?;
    Ok(Some(RoomSnapshot { row, spans: spans(transaction, room)?, memberships }))
}

fn spans(transaction: &ReadTransaction, room: RoomId) -> Result<Vec<Span>, redb::Error> {
    let later = transaction.open_table(SPANS)?.range((room.get(), 0)..=(room.get(), u64::MAX))?;
    let later = later.map(|row| {
        let (key, base) = row?;
        Ok(Span { epoch: Epoch(key.value().1), base: Sequence(base.value()) })
    });
    std::iter::once(Ok(Span::FIRST)).chain(later).collect()
}

fn rooms_of(
    transaction: &ReadTransaction,
    user: UserId,
    after: Option<RoomId>,
    limit: usize,
) -> Result<Vec<(RoomRow, record::Membership)>, redb::Error> {
    let (rooms, memberships) = (Rooms::open(transaction)?, transaction.open_table(MEMBERSHIPS)?);
    let from = after.map_or(0, |after| after.get().saturating_add(1));
    let mut page = Vec::new();
    for row in transaction.open_table(ROOMS_OF)?.range((user.get(), from)..=(user.get(), u64::MAX))?.take(limit) {
        let (_, room) = row?.0.value();
        let membership = get(&memberships, (room, user.get()))?.unwrap_or_default();
        page.extend(rooms.row(room_id(room)?)?.map(|row| (row, membership)));
    }
    Ok(page)
}

fn memberships(
    table: &ReadOnlyTable<(u64, u64), &'static [u8]>,
    room: RoomId,
    after: Option<UserId>,
) -> Result<impl Iterator<Item = Result<Membership, redb::Error>> + use<>, redb::Error> {
    let from = after.map_or(0, |after| after.get().saturating_add(1));
    let rows = table.range((room.get(), from)..=(room.get(), u64::MAX))?;
    Ok(rows.map(|row| {
        let (key, value) = row?;
        Ok((user_id(key.value().1)?, decode(value.value())?))
    }))
}
