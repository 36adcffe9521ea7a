//! The canary: two people for each pair of nodes, who talk without end in a room of their own, and what they see of it,
//! for Prometheus. What nodes say of themselves is so measured once more, from outside; and every message is checked as
//! in a load run, so that a promise that breaks in operation is an alert and not a rumour.
//!
//! - [`Watch`]: one room: what was said there, who has heard it, and the checker of the harness.
//! - [`person`]: one of the two: a connection at a time, which comes back as people's clients do.
//! - [`CanaryMetrics`]: what is told; [`listener`] tells it.

mod connection;
mod listener;
mod metrics;
mod person;
mod watch;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bobchat_proto::codec::Format;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;

use crate::client::{Credentials, Place, Target, prepare_places, read_tokens, sign_in_guests};
use crate::dialect::Dialect;
use crate::say::say;
use metrics::CanaryMetrics;
use person::Person;
use watch::Watch;

/// Nodes at most: pairs, and with them series and connections, grow with their square.
const TARGETS_MAX: usize = 8;

/// The first pause before users and rooms are made anew; each doubles it.
const SET_UP_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Beyond this it does not grow: people wait for the alert to clear.
const SET_UP_AGAIN_AFTER_MAX: Duration = Duration::from_secs(30);

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
    /// Seconds between two messages of one of the two in a room.
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
    for (name, seconds) in [("--every", options.every), ("--patience", options.patience)] {
        ensure!((0.1..=3600.0).contains(&seconds), "{name} has to be from 0.1 to 3600 seconds");
    }
    let are_bobchat = options.targets.iter().all(|target| matches!(target.dialect, Dialect::Bobchat(_)));
    ensure!(are_bobchat, "a canary's targets are http://HOST:PORT or https://HOST:PORT of Bobchat");
    let metrics = Rc::new(CanaryMetrics::new());
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
    let mut pause = SET_UP_AGAIN_AFTER;
    loop {
        match set_up(options, metrics).await {
            Ok(people) => {
                metrics.set_up("done");
                pause = SET_UP_AGAIN_AFTER;
                let every = Duration::from_secs_f64(options.every);
                let talking = people.into_iter().map(|person| Box::pin(person.live(every)));
                let (error, ..) = futures_util::future::select_all(talking).await;
                say(&format!("canary: beginning anew: {error:#}"));
            }
            Err(error) => {
                metrics.set_up("failed");
                say(&format!("canary: could not sign up or make rooms: {error:#}"));
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(SET_UP_AGAIN_AFTER_MAX);
    }
}

async fn once(options: &Options, metrics: &Rc<CanaryMetrics>) -> anyhow::Result<ExitCode> {
    let people = set_up(options, metrics).await?;
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

/// Makes users and rooms over REST, at the first node that lets it.
async fn set_up(options: &Options, metrics: &Rc<CanaryMetrics>) -> anyhow::Result<Vec<Person>> {
    let pairs = pairs(options.targets.len());
    let given = options.tokens.as_deref().map(read_tokens).transpose()?;
    let mut outcome = Err(anyhow::anyhow!("no target"));
    for target in &options.targets {
        outcome = places(target, pairs.len(), given.clone()).await;
        if outcome.is_ok() {
            break;
        }
    }
    let places = outcome?;
    let mut people = Vec::with_capacity(places.len());
    for (number, pair) in pairs.iter().enumerate() {
        let targets: Vec<&Target> = pair.iter().filter_map(|node| options.targets.get(*node)).collect();
        let room = places.get(number).context("a room for each pair")?.room;
        let names = targets.iter().map(|target| target.authority.clone()).collect();
        let watch = Rc::new(RefCell::new(Watch::new(room, names, metrics.clone())?));
        for (who, target) in targets.into_iter().enumerate() {
            let place = places.get(number + who * pairs.len()).context("two people for each pair")?;
            let target = target.clone().in_format(Format::Protobuf);
            people.push(Person::new(watch.clone(), who, target, place.credentials.clone()));
        }
    }
    Ok(people)
}

async fn places(target: &Target, pairs: usize, given: Option<Vec<Credentials>>) -> anyhow::Result<Vec<Place>> {
    let target = target.clone();
    let working = spawn_blocking(move || {
        let users = match given {
            Some(mut users) => {
                ensure!(users.len() >= 2 * pairs, "{} users are needed, the file has {}", 2 * pairs, users.len());
                users.truncate(2 * pairs);
                users
            }
            None => sign_in_guests(&target, 2 * pairs)?,
        };
        prepare_places(&target, &users, pairs)
    });
    working.await.context("setting up panicked")?
}

/// Every two of `nodes`; one alone is a pair with itself.
fn pairs(nodes: usize) -> Vec<[usize; 2]> {
    if nodes == 1 {
        return vec![[0, 0]];
    }
    (0..nodes).flat_map(|one| (one + 1..nodes).map(move |two| [one, two])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_two_nodes_have_a_room() {
        assert_eq!(pairs(1), [[0, 0]]);
        assert_eq!(pairs(3), [[0, 1], [0, 2], [1, 2]]);
        assert_eq!(pairs(TARGETS_MAX).len(), 28);
    }
}
