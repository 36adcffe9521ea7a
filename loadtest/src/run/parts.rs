//! A run in several processes: this program starts itself, hands each its part, and hears what it counts. What they
//! say to one another are lines of JSON.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use anyhow::{Context as _, bail};
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::conduct::Conductor;
use super::engine::{self, Ended, Order};
use super::series::Second;

/// The subcommand under which this program is a part.
pub(crate) const COMMAND: &str = "part";

/// What a part hears after its order.
const GO_ON: &str = "go on";

/// What a part says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    /// All its members are there; it goes on when it is told to.
    Ready,
    Second(Box<Second>),
    /// Everything has arrived; it closes when it is told to.
    Settled,
    Ended(Ended),
    Failed(String),
}

/// A process that does a part of a run, and ends with its handle.
struct Part {
    child: Child,
    orders: ChildStdin,
}

impl Part {
    fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        self.orders.write_all(line.as_bytes())?;
        self.orders.write_all(b"\n")?;
        Ok(self.orders.flush()?)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has a process do each order, all at the same time.
///
/// # Errors
/// When one of them cannot.
pub(super) async fn run(orders: &[Order], conductor: &Conductor<'_>) -> anyhow::Result<Vec<Ended>> {
    let (sender, mut heard) = mpsc::unbounded_channel();
    let mut parts = Vec::new();
    for (number, order) in orders.iter().enumerate() {
        let (mut part, words) = start()?;
        let sender = sender.clone();
        std::thread::spawn(move || listen(number, words, &sender));
        part.tell(&serde_json::to_string(order)?)?;
        parts.push(part);
    }
    drop(sender);
    let (mut ready, mut settled, mut ended) = (0, 0, Vec::new());
    while ended.len() < parts.len() {
        let (number, word) = heard.recv().await.context("all processes of the harness ended")?;
        match word? {
            Word::Ready => {
                ready += 1;
                if ready == parts.len() {
                    conductor.begin().await?;
                    parts.iter_mut().try_for_each(|part| part.tell(GO_ON))?;
                }
            }
            Word::Second(second) => conductor.take(number, *second),
            Word::Settled => {
                conductor.ended();
                settled += 1;
                if settled == parts.len() {
                    conductor.close().await?;
                    parts.iter_mut().try_for_each(|part| part.tell(GO_ON))?;
                }
            }
            Word::Ended(one) => ended.push(one),
            Word::Failed(why) => bail!(why),
        }
    }
    Ok(ended)
}

fn start() -> anyhow::Result<(Part, ChildStdout)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(COMMAND).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context("could not start another process of the harness")?;
    let orders = child.stdin.take().context("a part without input")?;
    let words = child.stdout.take().context("a part without output")?;
    Ok((Part { child, orders }, words))
}

/// Passes on what a part says, until it ends.
fn listen(number: usize, words: ChildStdout, sender: &mpsc::UnboundedSender<(usize, anyhow::Result<Word>)>) {
    let mut has_ended = false;
    for line in BufReader::new(words).lines() {
        let word = line.map_err(anyhow::Error::from).and_then(|line| Ok(serde_json::from_str(&line)?));
        has_ended = matches!(word, Ok(Word::Ended(_) | Word::Failed(_)));
        if sender.send((number, word)).is_err() {
            return;
        }
    }
    if !has_ended {
        // Nobody may listen any more.
        let _ = sender.send((number, Err(anyhow::anyhow!("process {number} of the harness ended early"))));
    }
}

/// Does a part of a run: its order comes on standard input, what it counts goes to standard output.
///
/// # Errors
/// When whoever started it is gone.
pub(crate) async fn serve() -> anyhow::Result<ExitCode> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let order: Order = serde_json::from_str(&hear().await?)?;
    let begin = async {
        say(&Word::Ready)?;
        hear().await.map(drop)
    };
    let close = async {
        say(&Word::Settled)?;
        hear().await.map(drop)
    };
    // Whoever hears no more kills this process.
    let tell = |second| drop(say(&Word::Second(Box::new(second))));
    match engine::run(&order, begin, tell, close).await {
        Ok(ended) => say(&Word::Ended(ended))?,
        Err(error) => say(&Word::Failed(format!("{error:#}")))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn say(word: &Word) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}

/// A line of what it is told. Members go on meanwhile.
async fn hear() -> anyhow::Result<String> {
    let read = || {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        anyhow::ensure!(!line.is_empty(), "whoever started this process is gone");
        Ok(line)
    };
    tokio::task::spawn_blocking(read).await?
}
