//! Who takes part, and what each of them keeps of a message.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

use super::Comparison;
use crate::bench::child::{Bobchat, Other};
use crate::client::Target;
use crate::dialect::Dialect;
use crate::process::Process;

/// Files here are in memory: what is synced survives the process, and not the machine.
const MEMORY: &str = "/dev/shm";

/// Where files of a server are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disk {
    /// Where temporary files are, which should be a disk.
    Real,
    /// In memory.
    Memory,
}

impl Disk {
    /// A new folder there.
    ///
    /// # Errors
    /// When it cannot be made.
    fn folder(self) -> anyhow::Result<TempDir> {
        match self {
            Self::Real => Ok(tempfile::tempdir()?),
            Self::Memory => tempfile::tempdir_in(MEMORY).with_context(|| format!("no folder in {MEMORY}")),
        }
    }
}

/// One of those who are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contestant {
    Bobchat(Disk),
    /// The floor, with a store if messages are to be kept before they are acked; so many in a commit.
    Floor(Option<(Disk, u64)>),
    Baseline,
    /// Socket.IO, with a log of messages if they are to be kept.
    SocketIo(Option<Disk>),
    /// The one whose address was given.
    Centrifugo,
    /// The one whose address was given.
    Tinode,
}

/// A contestant that runs; its files go with it.
pub(super) struct Server {
    pub(super) target: Target,
    /// Unknown where it was not started here and nobody named it.
    pub(super) process: Option<Process>,
    pub(super) bobchat: Option<Bobchat>,
    _other: Option<Other>,
    _files: Option<TempDir>,
}

impl Contestant {
    /// What it is called.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bobchat(_) => "Bobchat",
            Self::Floor(_) => "floor",
            Self::Baseline => "actix-web-actors, as tutorials have it",
            Self::SocketIo(None) => "Socket.IO",
            Self::SocketIo(Some(_)) => "Socket.IO with a log",
            Self::Centrifugo => "Centrifugo",
            Self::Tinode => "Tinode",
        }
    }

    /// What has become of a message when it is acked and others see it.
    pub(super) const fn keeps(self) -> &'static str {
        match self {
            Self::Bobchat(disk) | Self::Floor(Some((disk, _))) | Self::SocketIo(Some(disk)) => match disk {
                Disk::Real => "synced to disk",
                Disk::Memory => "in a file in memory",
            },
            Self::Floor(None) | Self::Baseline | Self::SocketIo(None) => "nothing",
            Self::Centrifugo => "as it is configured",
            Self::Tinode => "in its database",
        }
    }

    /// Starts it, or finds it.
    ///
    /// # Errors
    /// When it does not become ready.
    pub(super) fn start(self, comparison: &Comparison) -> anyhow::Result<Server> {
        let installation = &comparison.installation;
        let file = |folder: &TempDir, name: &str| folder.path().join(name).to_string_lossy().into_owned();
        Ok(match self {
            Self::Bobchat(disk) => {
                let files = disk.folder()?;
                let (server, _) = installation.start(files.path())?;
                let (target, process) = (server.target(), Some(server.process()));
                Server { target, process, bobchat: Some(server), _other: None, _files: Some(files) }
            }
            Self::Floor(None) => Server::of(installation.start_other(Dialect::Floor, &[])?, None),
            Self::Floor(Some((disk, batch))) => {
                let files = disk.folder()?;
                let (store, batch) = (file(&files, "floor.redb"), batch.to_string());
                let arguments = ["--store", &store, "--batch", &batch];
                Server::of(installation.start_other(Dialect::Floor, &arguments)?, Some(files))
            }
            Self::Baseline => Server::of(installation.start_other(Dialect::Baseline, &[])?, None),
            Self::SocketIo(None) => {
                Server::of(installation.start_script(Dialect::SocketIo, &script(comparison)?, &[])?, None)
            }
            Self::SocketIo(Some(disk)) => {
                let files = disk.folder()?;
                let log = file(&files, "messages.log");
                let other = installation.start_script(Dialect::SocketIo, &script(comparison)?, &["--log", &log])?;
                Server::of(other, Some(files))
            }
            Self::Centrifugo => Server::running(comparison.options.given.find_centrifugo()?),
            Self::Tinode => Server::running(comparison.options.given.find_tinode()?),
        })
    }
}

fn script(comparison: &Comparison) -> anyhow::Result<PathBuf> {
    let path: &Path = &comparison.options.socketio;
    path.canonicalize().with_context(|| format!("{} is not there", path.display()))
}

impl Server {
    /// One that runs already.
    fn running((target, process): (Target, Option<Process>)) -> Self {
        Self { target, process, bobchat: None, _other: None, _files: None }
    }

    fn of(other: Other, files: Option<TempDir>) -> Self {
        let (target, process) = (other.target.clone(), Some(other.process()));
        Self { target, process, bobchat: None, _other: Some(other), _files: files }
    }
}
