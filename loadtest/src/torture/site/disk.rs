//! A small disk that can be filled: a file system in memory, which takes root to mount.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// What is written at a time to fill it.
const CHUNK: usize = 256 * 1024;

/// A file system. Dropping it unmounts it.
#[derive(Debug)]
pub(in super::super) struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one on a folder, which is made.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub(in super::super) fn mount(folder: &Path, bytes: u64) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(folder);
        let mounted = mount.output().context("could not run mount")?;
        let why = String::from_utf8_lossy(&mounted.stderr);
        ensure!(
            mounted.status.success(),
            "a disk that can be filled is mounted as root: {}; leave disk-full out of --faults, or run as root",
            why.trim()
        );
        Ok(Self { folder: folder.to_owned() })
    }

    /// Fills it to the last byte; gives how many it took.
    ///
    /// # Errors
    /// When it takes nothing, or for another reason than that it is full.
    pub(in super::super) fn fill(&self) -> anyhow::Result<u64> {
        let mut ballast = File::options().create(true).append(true).open(self.ballast())?;
        let (chunk, mut bytes) = (vec![0_u8; CHUNK], 0_u64);
        loop {
            match ballast.write(&chunk) {
                Ok(written) if written > 0 => bytes += written as u64,
                Ok(_) => return Ok(bytes),
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(bytes),
                Err(error) => return Err(error).context("could not fill the disk"),
            }
        }
    }

    /// Gives the space back.
    ///
    /// # Errors
    /// When the ballast cannot be removed.
    pub(in super::super) fn free(&self) -> anyhow::Result<()> {
        match std::fs::remove_file(self.ballast()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a node that is about to end must not keep it.
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}
