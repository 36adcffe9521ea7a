use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::finding::Finding;
use crate::adapters::embedded::{StoreFacts, inspect};
use crate::config::Config;

/// Looks at the data folder.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let folder = &config.store.data;
    let mut findings = vec![writable(folder)];
    match (inspect(folder), config.cluster.is_some()) {
        (Ok(StoreFacts::Missing), true) => {}
        (_, true) => findings.push(Finding::warning(
            format!("the store in {} is not used by a node of a cluster", folder.display()),
            "what stands in it is not seen; keep it elsewhere, or give this node another folder",
        )),
        (Ok(facts), false) => findings.push(Finding::good(store(facts))),
        (Err(error), false) => findings
            .push(Finding::bad(format!("{:#}", anyhow::Error::from(error)), "docs/operations.md says what to do")),
    }
    findings
}

fn store(facts: StoreFacts) -> String {
    match facts {
        StoreFacts::Missing => "store: none yet, the server makes it".to_owned(),
        StoreFacts::InUse => "store: a server uses it".to_owned(),
        StoreFacts::Unfinished => "store: its server was killed, the next start mends it".to_owned(),
        StoreFacts::Format(format) => format!("store: format {format}"),
    }
}

fn writable(folder: &Path) -> Finding {
    let shown = folder.display();
    let Some(existing) = existing(folder) else {
        return Finding::bad(format!("data folder {shown}"), "no part of its path is there");
    };
    let is_there = existing == folder;
    if !existing.is_dir() {
        return Finding::bad(format!("data folder {shown}: {} is no folder", existing.display()), "name another one");
    }
    match access(&existing, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) if is_there => Finding::good(format!("data folder {shown}: can be written to")),
        Ok(()) => Finding::good(format!("data folder {shown}: not there yet, can be made")),
        Err(error) => Finding::bad(
            format!("data folder {shown}: {} cannot be written to ({error})", existing.display()),
            "give it to the server's user",
        ),
    }
}

/// The part of a path that is there.
fn existing(folder: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(folder).ok()?;
    match absolute.exists() && folder.exists() {
        true => Some(folder.to_owned()),
        false => absolute.ancestors().find(|ancestor| ancestor.exists()).map(Path::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_can_be_made_is_good_and_a_file_in_its_place_is_not() {
        let folder = tempfile::tempdir().unwrap();
        assert!(writable(folder.path()).to_string().ends_with("can be written to"));
        let deep = folder.path().join("a/b");
        assert!(writable(&deep).to_string().ends_with("not there yet, can be made"));
        assert!(!deep.exists(), "nothing is changed");
        std::fs::write(folder.path().join("a"), "").unwrap();
        assert!(writable(&deep).is_bad());
    }
}
