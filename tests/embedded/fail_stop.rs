use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::child::{Ack, ROOMS, command, parse};
use crate::support::{open, room, tail};

/// `EX_IOERR`: what the store ends the process with.
const EXIT_IO_ERROR: i32 = 74;

/// Runs the child with libfiu loaded, which makes chosen calls fail.
fn with_faults(child: &Command, faults: &[&str]) -> Command {
    let mut command = Command::new("fiu-run");
    command.arg("-x").args(faults).arg(child.get_program()).args(child.get_args());
    command.envs(child.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn no_ack_leaves_when_no_sync_succeeds_and_the_process_ends() {
    let folder = TempDir::new().unwrap();
    drop(open(folder.path()));
    let every_sync = ["-c", "enable name=posix/io/sync/fdatasync"];
    let output = with_faults(&command(folder.path(), 0), &every_sync).output().expect("fiu-utils is installed");
    assert_eq!(output.status.code(), Some(EXIT_IO_ERROR), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().filter_map(parse).count(), 0);
}

/// Log protocol, rule 35.
#[tokio::test]
async fn the_first_sync_that_fails_while_serving_ends_the_process_and_no_ack_is_lost() {
    let folder = TempDir::new().unwrap();
    let mut child = with_faults(&command(folder.path(), 0), &[]).spawn().expect("fiu-utils is installed");
    let mut acks = BufReader::new(child.stdout.take().unwrap()).lines().filter_map(|line| parse(&line.unwrap()));
    let mut acked: Vec<Ack> = acks.by_ref().take(20).collect();
    let mut fails = Command::new("fiu-ctrl");
    let fails = fails.args(["-c", "enable name=posix/io/sync/fdatasync"]).arg(pid_of_test(child.id()));
    let mut fails = fails.spawn().expect("fiu-utils is installed");
    acked.extend(acks);
    assert!(fails.wait().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(EXIT_IO_ERROR));
    let store = open(folder.path());
    for raw in 1..=ROOMS {
        let tail = tail(&store, room(raw)).await;
        for ack in acked.iter().filter(|ack| ack.room == raw) {
            assert!(tail.iter().any(|event| event.seq == ack.seq && event.key.as_ref() == Some(&ack.key)));
        }
    }
}

/// `fiu-run` is a script that the program replaces or is a child of, depending on its version.
fn pid_of_test(fiu_run: u32) -> String {
    let children = std::fs::read_to_string(format!("/proc/{fiu_run}/task/{fiu_run}/children")).unwrap();
    children.split_whitespace().next().map_or_else(|| fiu_run.to_string(), str::to_owned)
}
