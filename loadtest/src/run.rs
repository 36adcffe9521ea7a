//! A run: one scenario against servers, from the first connection to the verdict.
//!
//! - [`arguments`]: what was asked for. [`conduct`]: does it, and says what came of it.
//! - [`engine`]: what one process does. [`series`]: what it counted, second by second.
//! - [`parts`]: a run in several processes. [`spread`]: how many, and from which addresses.
//! - [`monitor`]: the servers' side. [`agreement`]: whether both sides say the same.
//! - [`faults`]: what is broken meanwhile. [`find_max`]: the highest load that holds.
//! - [`live`]: what the terminal shows. [`outcome`] and [`text`]: the result.

mod agreement;
mod arguments;
mod conduct;
mod engine;
mod faults;
mod find_max;
mod live;
mod monitor;
mod outcome;
mod parts;
mod series;
mod spread;
mod text;

pub(crate) use arguments::Arguments;
pub(crate) use faults::Mark;
pub(crate) use find_max::Search;
pub(crate) use monitor::ServerPoint;
pub(crate) use outcome::{Distribution, Outcome};
pub(crate) use parts::{COMMAND as PART, serve as serve_part};
pub(crate) use series::{Point, Quantiles};
pub(crate) use spread::allow_files;
