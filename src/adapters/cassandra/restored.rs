//! What a keyspace needs that was brought back from snapshots.

use bobchat_actors::ports::{Raiser, Unavailable};
use bobchat_proto::ids::{Epoch, RoomId};
use futures_util::TryStreamExt as _;

use super::CassandraStore;
use super::error::Failure;

/// Epochs of restored logs count these since 1970: two restores that lie further apart have others, and the 22 bits that
/// a write's timestamp has for the epoch last until 2089.
const QUARTER_HOUR_MICROS: i64 = 15 * 60 * 1_000_000;

/// Rooms that are raised at a time.
const AT_A_TIME: usize = 32;

impl CassandraStore {
    /// Gives every room an epoch that none of its clients can have seen, and returns how many there are.
    ///
    /// Clients may have seen events that the snapshots do not have, under epochs that came after them; what follows now must
    /// not be mistaken for those (log protocol, rule 36). The epoch is left without a base: the first node that opens the
    /// room finds it as a raiser leaves it that has died, raises once more, and begins behind what is stored. To do all of
    /// it again does no harm.
    ///
    /// # Errors
    /// [`Unavailable`]: some rooms are raised; do it again.
    pub async fn raise_all_epochs(&self, now_micros: i64) -> Result<u64, Unavailable> {
        let quarter_hours = now_micros.div_euclid(QUARTER_HOUR_MICROS).unsigned_abs();
        let raised = async {
            let rows = self.execute_iter(&self.statements.log_epochs, ()).await?.rows_stream::<(i64, Option<i64>)>()?;
            rows.map_err(Failure::from)
                .map_ok(async |(room, epoch)| self.raise_to(room, epoch, quarter_hours).await)
                .try_buffer_unordered(AT_A_TIME)
                .try_fold(0_u64, async |count, ()| Ok(count.saturating_add(1)))
                .await
        };
        raised.await.map_err(|failure: Failure| failure.into())
    }

    async fn raise_to(&self, room: i64, epoch: Option<i64>, least: u64) -> Result<(), Failure> {
        let room = RoomId::new(room.cast_unsigned()).map_err(|error| Failure(error.to_string()))?;
        let from = Epoch(epoch.unwrap_or_default().cast_unsigned());
        let to = Epoch(least.max(from.0.saturating_add(1)));
        let token = getrandom::u64().map_err(|error| Failure(error.to_string()))?;
        match self.try_raise(room, Some(from), to, Raiser(u128::from(token))).await? {
            true => Ok(()),
            false => Err(Failure(format!("a node uses room {room}: stop all nodes, empty Redis, and do it again"))),
        }
    }
}
