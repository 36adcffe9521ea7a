//! The canary: two people for each pair of nodes, who talk without end in a room of their own, and what they see of it,
//! for Prometheus. What nodes say of themselves is so measured once more, from outside; and every message is checked as
//! in a load run, so that a promise that breaks in operation is an alert and not a rumour.
//!
//! - [`watch`]: one room: what was said there, who has heard it, and the checker of the harness.
//! - [`person`]: one of the two: a connection at a time, which comes back as people's clients do.
//! - [`exchange`]: what one connection asked for, and what it makes of what it hears.
//! - [`SetUp`]: users and rooms.
//! - [`CanaryMetrics`]: what is told; [`listener`] tells it.

mod connection;
mod exchange;
mod listener;
mod metrics;
mod person;
mod set_up;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::client::Target;
use crate::dialect::Dialect;
use crate::say::say;
use metrics::CanaryMetrics;
use set_up::SetUp;

/// Nodes at most: pairs, and with them series and connections, grow with their square.
const TARGETS_MAX: usize = 8;

/// The first pause before users and rooms are made anew; each doubles it.
const SET_UP_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Beyond this it does not grow: people wait for the alert to clear.
const SET_UP_AGAIN_AFTER_MAX: Duration = Duration::from_secs(30);

/// Seconds between two messages at most: BobchatCanaryFails looks for one within two minutes, with scrapes between.
const EVERY_SECONDS_MAX: f64 = 30.0;

/// What a script may wait for with `--once`.
const PATIENCE_SECONDS_MAX: f64 = 3600.0;

/// What each says with `--once`.
const ONCE_MESSAGES: u64 = 3;

/// A canary.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// http://HOST:PORT or https://HOST:PORT of a node, once for each, at most 8; each is named so in the metrics.
    #[arg(long = "target", required = true)]
    targets: Vec<Target>,
    /// A PEM file with the authorities that sign the certificates of https:// targets, and no others are trusted; without it
    /// those that this machine trusts.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Where Prometheus finds the metrics.
    #[arg(long, default_value = "127.0.0.1:9464")]
    listen: SocketAddr,
    /// Seconds between two messages of one of the two in a room, at most 30.
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS")]
    every: f64,
    /// Users to be, where guests are not let in: lines of {"access_token":".."} from `bobchat token --count N`, two for
    /// each pair of nodes. They have to last.
    #[arg(long)]
    tokens: Option<PathBuf>,
    /// Seconds that --once waits for everything to be acked, delivered and read.
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS")]
    patience: f64,
    /// Say a few messages, check them, and end. Exit code 1: a promise was broken; 2: it could not be tried.
    #[arg(long)]
    once: bool,
}

/// Runs until it is told to end, or with `--once` until all was said and heard.
///
/// # Errors
/// When it cannot be done; not when a promise was broken, which the exit code says.
pub(crate) async fn run(mut options: Options) -> anyhow::Result<ExitCode> {
    if let Some(file) = &options.ca {
        let trusted = options.targets.into_iter().map(|target| target.with_authorities(file));
        options.targets = trusted.collect::<anyhow::Result<_>>()?;
    }
    ensure!(options.targets.len() <= TARGETS_MAX, "at most {TARGETS_MAX} targets");
    for (name, seconds, most) in
        [("--every", options.every, EVERY_SECONDS_MAX), ("--patience", options.patience, PATIENCE_SECONDS_MAX)]
    {
        ensure!((0.1..=most).contains(&seconds), "{name} has to be from 0.1 to {most} seconds");
    }
    let are_bobchat = options.targets.iter().all(|target| matches!(target.dialect, Dialect::Bobchat(_)));
    ensure!(are_bobchat, "a canary's targets are http://HOST:PORT or https://HOST:PORT of Bobchat");
    let metrics = Rc::new(CanaryMetrics::new());
    // Before anybody is signed up: an alert has to see that nothing arrives, also where nobody can be.
    for [one, two] in set_up::pairs(options.targets.len()) {
        if let (Some(one), Some(two)) = (options.targets.get(one), options.targets.get(two)) {
            metrics.expect(&one.authority, &two.authority);
            metrics.expect(&two.authority, &one.authority);
        }
    }
    if options.once {
        return once(&options, &metrics).await;
    }
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let listener = listener::bind(options.listen).await?;
    say(&format!("canary of {} nodes, metrics at http://{}/metrics", options.targets.len(), listener.local_addr()?));
    tokio::select! {
        () = listener::serve(listener, metrics.clone()) => {}
        () = sing(&options, &metrics) => {}
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Talks for as long as it is polled. Whatever ends it (no server, users that are not known any more) is counted, and
/// begun anew.
async fn sing(options: &Options, metrics: &Rc<CanaryMetrics>) {
    let mut set_up = SetUp::default();
    let mut pause = SET_UP_AGAIN_AFTER;
    loop {
        let wait = match set_up.people(options, metrics).await {
            Ok(people) => {
                metrics.set_up("done");
                let (begun_at, every) = (Instant::now(), Duration::from_secs_f64(options.every));
                let talking = people.into_iter().map(|person| Box::pin(person.live(every)));
                let (error, ..) = futures_util::future::select_all(talking).await;
                say(&format!("canary: beginning anew: {error:#}"));
                set_up.forget();
                if begun_at.elapsed() > SET_UP_AGAIN_AFTER_MAX {
                    pause = SET_UP_AGAIN_AFTER;
                }
                pause
            }
            Err(error) => {
                metrics.set_up("failed");
                say(&format!("canary: could not sign up or make rooms: {error:#}"));
                pause.max(set_up::retry_after(&error))
            }
        };
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(SET_UP_AGAIN_AFTER_MAX);
    }
}

async fn once(options: &Options, metrics: &Rc<CanaryMetrics>) -> anyhow::Result<ExitCode> {
    let people = SetUp::default().people(options, metrics).await?;
    let talking = people.iter().map(|person| person.talk_once(ONCE_MESSAGES));
    let patience = Duration::from_secs_f64(options.patience);
    let talked = tokio::time::timeout(patience, futures_util::future::try_join_all(talking)).await;
    match talked {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(error),
        Err(_) => say(&format!("not everything was acked, delivered and read within {patience:?}")),
    }
    let mut broken = talked.is_err();
    for person in &people {
        for example in person.finish() {
            broken = true;
            say(&example);
        }
    }
    say(if broken { "a promise was broken" } else { "every promise kept" });
    Ok(if broken { ExitCode::from(1) } else { ExitCode::SUCCESS })
}
