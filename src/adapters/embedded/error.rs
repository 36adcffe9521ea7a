use std::io;
use std::path::PathBuf;

/// Why the store could not be opened: one line for the operator each.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder is not there and cannot be made, or nothing can be made in it.
    #[error("could not write to the data folder {}", folder.display())]
    Folder {
        /// The data folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is there and cannot be opened.
    #[error("could not open {}", file.display())]
    File {
        /// The store's file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process holds the file, and still did after a few seconds.
    #[error("the data folder {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The file is something else.
    #[error("{} is not a bobchat store", .0.display())]
    Foreign(PathBuf),
    /// The file was written by a newer version.
    #[error("{} has format {found}, this version reads up to format {known}: use a newer bobchat", file.display())]
    NewerFormat {
        /// The store's file.
        file: PathBuf,
        /// The format that it has.
        found: u64,
        /// The newest format that this version reads.
        known: u64,
    },
    /// The file cannot be read as what it claims to be.
    #[error("could not read {}", file.display())]
    Damaged {
        /// The store's file.
        file: PathBuf,
        /// What was found.
        source: Box<redb::Error>,
    },
    /// The journal cannot be made, or cannot be read or written.
    #[error("could not make or open the journal {}", file.display())]
    Journal {
        /// The journal.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What the journal holds could not be put into the store.
    #[error("could not replay the journal {}", file.display())]
    Replay {
        /// The journal.
        file: PathBuf,
        /// What was found.
        source: Box<redb::Error>,
    },
    /// The system gave no thread.
    #[error("could not start a thread of the store")]
    Thread(io::Error),
}

/// What a stored record says when it cannot be read: the file is damaged, or we are wrong.
pub(super) fn corrupt(what: impl std::fmt::Display) -> redb::Error {
    redb::Error::Corrupted(what.to_string())
}
