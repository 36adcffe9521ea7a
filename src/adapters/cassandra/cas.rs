use scylla::response::query_result::QueryResult;
use scylla::value::{CqlValue, Row};

use super::error::Failure;

/// Whether a compare-and-set was done: the first column of its answer. What follows depends on the outcome.
pub(super) fn applied(answer: QueryResult) -> Result<bool, Failure> {
    let rows = answer.into_rows_result()?;
    let row = rows.maybe_first_row::<Row>()?;
    let first = row.and_then(|row| row.columns.into_iter().next().flatten());
    match first {
        Some(CqlValue::Boolean(applied)) => Ok(applied),
        _ => Err(Failure("a compare-and-set was answered without saying whether it was done".to_owned())),
    }
}
