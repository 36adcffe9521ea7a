//! What decides about a room's epochs: the row that is only changed by compare and set.

use std::collections::BTreeMap;

use bobchat_actors::ports::{LogRow, Raised, Raiser, Span, Unavailable};
use bobchat_proto::ids::{Epoch, RoomId, Sequence};

use super::CassandraStore;
use super::error::Failure;

type Columns = (Option<i64>, Option<Vec<u8>>, Option<BTreeMap<i64, i64>>, Option<bool>, Option<i64>);

impl CassandraStore {
    pub(super) async fn read_log_row(&self, room: RoomId, serial: bool) -> Result<Option<LogRow>, Failure> {
        let statement = if serial { &self.statements.log_row_serial } else { &self.statements.log_row };
        let rows = self.execute(statement, (id(room),)).await?.into_rows_result()?;
        rows.maybe_first_row::<Columns>()?.map(log_row).transpose()
    }

    /// The raiser's token decides an outcome that was not heard: who finds it in the row has won.
    pub(super) async fn raise_epoch(
        &self,
        room: RoomId,
        from: Option<Epoch>,
        raiser: Raiser,
    ) -> Result<Raised, Unavailable> {
        let to = from.map_or(Epoch::FIRST, |from| Epoch(from.0.saturating_add(1)));
        let heard = self.try_raise(room, from, to, raiser).await;
        if let Ok(true) = heard {
            return Ok(Raised::Won);
        }
        let row = self.read_log_row(room, true).await?;
        match (heard, row) {
            (_, Some(row)) if row.epoch == to && row.raiser == raiser => Ok(Raised::Won),
            (Ok(_), Some(row)) => Ok(Raised::Lost(row)),
            // Nobody can raise from an epoch that has passed: an attempt still on its way does nothing.
            (Err(_), Some(row)) if row.epoch >= to => Ok(Raised::Lost(row)),
            (Ok(_), None) => Ok(Raised::Lost(LogRow::missing())),
            (Err(failure), _) => Err(failure.into()),
        }
    }

    pub(super) async fn try_raise(
        &self,
        room: RoomId,
        from: Option<Epoch>,
        to: Epoch,
        raiser: Raiser,
    ) -> Result<bool, Failure> {
        let token = raiser.0.to_be_bytes();
        match from {
            None => self.compare_and_set(&self.statements.make_log, (id(room), number(to.0), token)).await,
            Some(from) => {
                let values = (number(to.0), token, id(room), number(from.0));
                self.compare_and_set(&self.statements.raise, values).await
            }
        }
    }

    pub(super) async fn begin_span(&self, room: RoomId, span: Span, raiser: Raiser) -> Result<bool, Unavailable> {
        let heard = self.try_begin(room, span, raiser).await;
        if let Ok(true) = heard {
            return Ok(true);
        }
        let row = self.read_log_row(room, true).await?;
        match (heard, row.filter(|row| row.epoch == span.epoch && row.raiser == raiser)) {
            // Another raised since, so an attempt still on its way does nothing.
            (_, None) => Ok(false),
            (_, Some(row)) if row.is_loaded() => Ok(row.spans.contains(&span)),
            (Err(failure), Some(_)) => Err(failure.into()),
            (Ok(_), Some(_)) => Err(Unavailable::new(format_args!("room {room} refused a base and yet has none"))),
        }
    }

    async fn try_begin(&self, room: RoomId, span: Span, raiser: Raiser) -> Result<bool, Failure> {
        let (epoch, base) = (number(span.epoch.0), number(span.base.0));
        let values = (epoch, base, id(room), epoch, raiser.0.to_be_bytes(), epoch);
        self.compare_and_set(&self.statements.begin, values).await
    }
}

fn log_row((epoch, raiser, spans, deleted, opened_at): Columns) -> Result<LogRow, Failure> {
    let token = raiser.as_deref().and_then(|raiser| <[u8; 16]>::try_from(raiser).ok());
    let (Some(epoch), Some(token)) = (epoch, token) else {
        return Err(Failure("a row of room_log lacks its epoch or its raiser".to_owned()));
    };
    let span =
        |(epoch, base): (i64, i64)| Span { epoch: Epoch(epoch.cast_unsigned()), base: Sequence(base.cast_unsigned()) };
    Ok(LogRow {
        epoch: Epoch(epoch.cast_unsigned()),
        raiser: Raiser(u128::from_be_bytes(token)),
        spans: spans.unwrap_or_default().into_iter().map(span).collect(),
        deleted: deleted.unwrap_or(false),
        opened_at: opened_at.map(|millis| millis.saturating_mul(1_000)),
    })
}

/// A room's identifier as the tables have it.
pub(super) fn id(room: RoomId) -> i64 {
    number(room.get())
}

/// A number as the tables have it: their integers are signed, and nothing is compared there that passes their half.
pub(super) fn number(raw: u64) -> i64 {
    raw.cast_signed()
}
