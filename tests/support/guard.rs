//! Starts processes that end with this one, however it ends: a test run that is killed leaves nothing running.

use std::ffi::OsStr;
use std::io;
use std::process::{Child, Command};
use std::sync::{OnceLock, mpsc};

/// What is asked of the thread that starts processes: a command, and where to put the process.
type Request = (Command, mpsc::Sender<io::Result<Child>>);

/// The words before a command that make the kernel kill it when whoever started it has died.
pub(crate) const GUARD: [&str; 4] = ["setpriv", "--pdeathsig", "KILL", "--"];

/// A command that is killed when the thread that started it ends: give it to [`spawn`]. A program that does not
/// exist is no error of `spawn`; the process ends with code 127.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(GUARD[0]);
    command.args(&GUARD[1..]).arg(program);
    command
}

/// Starts a command on a thread that lives as long as this process. The kernel tells a child of the end of the
/// *thread* that started it, and the threads of tests and of pools end when they have nothing to do.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    static STARTER: OnceLock<mpsc::Sender<Request>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (sender, requests) = mpsc::channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, answer) in requests {
                // Whoever asked waits for it.
                drop(answer.send(command.spawn()));
            }
        });
        sender
    });
    let (answer, started) = mpsc::channel();
    starter.send((command, answer)).expect("the starter never ends");
    started.recv().expect("the starter answers")
}
