//! What happened in a run, on disk: all that the verdict rests on, and nothing else does.
//!
//! A folder of JSON lines, each file written by one of those who took part. Whatever a line says has a number that no
//! other line has, given under one lock: in the order of the numbers the lines are the run as it happened.
//!
//! - `meta.json`: what was asked for, of which build. [`meta`].
//! - `client-NNN.jsonl`: what one client did and heard. [`fact`].
//! - `events.jsonl`: every different event that anybody was shown, once; the other files name its number.
//! - `logs.jsonl`: what every node showed of every room in the end.
//! - `nemesis.jsonl`: what was broken when, and what proves it. [`deed`].
//!
//! [`writer`] writes it and [`reader`] reads it.

pub(super) mod deed;
pub(super) mod fact;
pub(super) mod meta;
pub(super) mod reader;
pub(super) mod writer;

use std::path::{Path, PathBuf};

/// The file of the run's meta data.
const META: &str = "meta.json";

/// The file of events.
const EVENTS: &str = "events.jsonl";

/// The file of final logs.
const LOGS: &str = "logs.jsonl";

/// The file of what was broken.
const NEMESIS: &str = "nemesis.jsonl";

/// The file of a client.
fn client_file(folder: &Path, client: usize) -> PathBuf {
    folder.join(format!("client-{client:03}.jsonl"))
}
