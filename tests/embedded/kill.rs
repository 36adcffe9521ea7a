use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use bobchat_actors::ports::Outcome;
use tempfile::TempDir;

use crate::child::{Ack, BATCH, ROOMS, command, key, parse};
use crate::support::{append, message, open, room, tail};

/// Acks after which the child is killed: another number each time, early ones too.
const KILL_AFTER: [usize; 12] = [1, 2, 50, 7, 400, 30, 3, 120, 600, 11, 64, 250];

#[tokio::test]
async fn a_killed_process_loses_and_doubles_nothing_that_was_acked() {
    let folder = TempDir::new().unwrap();
    let mut acked = Vec::new();
    for (round, kill_after) in (0..).zip(KILL_AFTER) {
        acked.extend(run_and_kill(folder.path(), round, kill_after));
        check(folder.path(), round, &acked).await;
    }
}

/// Kills with SIGKILL, and takes every ack that was said before.
fn run_and_kill(folder: &Path, round: u32, kill_after: usize) -> Vec<Ack> {
    let mut child = command(folder, round).spawn().unwrap();
    let mut acks = BufReader::new(child.stdout.take().unwrap()).lines().filter_map(|line| parse(&line.unwrap()));
    let mut acked: Vec<Ack> = acks.by_ref().take(kill_after).collect();
    child.kill().unwrap();
    acked.extend(acks);
    child.wait().unwrap();
    assert!(acked.len() >= kill_after, "the child ended by itself");
    acked
}

async fn check(folder: &Path, round: u32, acked: &[Ack]) {
    let store = open(folder);
    for raw in 1..=ROOMS {
        let mine: Vec<_> = acked.iter().filter(|ack| ack.room == raw).collect();
        resend(&store, raw, round, &mine).await;
        let tail = tail(&store, room(raw)).await;
        assert!(tail.iter().map(|event| event.seq).eq(1..=tail.len() as u64), "dense");
        let keys: HashMap<_, _> = tail.iter().map(|event| (event.key.clone().unwrap(), event.seq)).collect();
        assert_eq!(keys.len(), tail.len(), "nothing is doubled");
        for ack in mine {
            assert_eq!(keys.get(&ack.key), Some(&ack.seq), "nothing is lost or moved");
        }
    }
}

/// Does what a client does that heard no answer: sends what may have been under way again.
async fn resend(store: &bobchat::adapters::embedded::EmbeddedStore, raw: u64, round: u32, acked: &[&Ack]) {
    if bobchat_actors::ports::RoomLog::head(store, room(raw)).await.unwrap().is_none_or(|head| head.position.seq.0 == 0)
    {
        return;
    }
    let of_round = acked.iter().filter(|ack| ack.key.starts_with(&format!("{round}-"))).count() as u64;
    for number in 0..of_round + 2 * BATCH {
        let outcome = append(store, room(raw), vec![message(room(raw), &key(round, number), "text")]).await.unwrap();
        if number < of_round {
            assert!(matches!(outcome[..], [Outcome::Repeated(_)]), "{outcome:?}");
        }
    }
}
