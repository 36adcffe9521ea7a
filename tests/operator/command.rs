//! The binary, with a configuration in its environment.

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::cassandra;
use crate::guard;

/// What one node is told.
#[derive(Clone)]
pub(crate) struct Settings(Vec<(String, String)>);

/// What a command said, and its exit code.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Settings {
    /// For a node that is alone, over a data folder.
    pub(crate) fn alone(data: &Path) -> Self {
        Self(Vec::new()).with("STORE__DATA", data.to_str().unwrap())
    }

    /// For a node of a cluster: this Redis, and a keyspace of its own on the Cassandra that all tests share.
    pub(crate) fn cluster(data: &Path, redis: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let keyspace = format!("operator_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let alone = Self::alone(data).with("REDIS__URL", redis).with("CASSANDRA__KEYSPACE", &keyspace);
        let cluster = alone.with("CASSANDRA__NODES", cassandra::shared().address()).with("CASSANDRA__REPLICATION", "1");
        // No test is about how long something takes, and the machine may be busy.
        let patient = [
            ("CASSANDRA__REQUEST_TIMEOUT", "1m"),
            ("CASSANDRA__CONNECT_TIMEOUT", "1m"),
            ("REDIS__TIMEOUT", "1m"),
            ("SERVER__DRAIN_TIMEOUT", "1m"),
        ];
        patient.iter().fold(cluster, |settings, (key, value)| settings.with(key, value))
    }

    /// With another setting: `("REDIS__URL", "redis://..")`. Empty: without it.
    pub(crate) fn with(&self, key: &str, value: &str) -> Self {
        let others = self.0.iter().filter(|(known, _)| known != key).cloned();
        Self(others.chain([(key.to_owned(), value.to_owned())]).collect())
    }

    pub(crate) fn get(&self, key: &str) -> &str {
        &self.0.iter().find(|(known, _)| known == key).unwrap().1
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: status.code().unwrap(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// A command that ends with this process.
    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = guard::command(env!("CARGO_BIN_EXE_bobchat"));
        // No configuration of whoever runs the tests.
        command.args(["--config", "/dev/null"]).args(arguments).stdin(Stdio::null());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.envs(self.0.iter().map(|(key, value)| (format!("BOBCHAT__{key}"), value)));
        command
    }
}

impl Said {
    /// Whether a line of the output begins with a verdict and holds a text.
    #[track_caller]
    pub(crate) fn finds(&self, verdict: &str, text: &str) {
        let found = self.stdout.lines().any(|line| line.starts_with(&format!("# {verdict} ")) && line.contains(text));
        assert!(found, "{verdict} {text} in {}{}", self.stdout, self.stderr);
    }
}
