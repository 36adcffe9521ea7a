//! Counts what clients ask of Redis.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::redis::Redis;
use crate::redis::Connection;

/// Watches a Redis. INFO counts what scripts do inside Redis as commands too; MONITOR tells them apart.
pub(super) struct Monitor {
    counts: Arc<Mutex<Commands>>,
    connection: TcpStream,
    watching: Option<JoinHandle<()>>,
}

/// Commands of clients, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Commands(BTreeMap<String, u64>);

impl Monitor {
    /// Watches from here on.
    ///
    /// # Errors
    /// When Redis does not let it.
    pub(super) fn start(redis: &Redis) -> anyhow::Result<Self> {
        let mut connection = redis.connect()?;
        connection.call(&[b"MONITOR"])?;
        let counts = Arc::default();
        let handle = connection.handle()?;
        let watching = std::thread::spawn({
            let counts = Arc::clone(&counts);
            move || watch(connection, &counts)
        });
        Ok(Self { counts, connection: handle, watching: Some(watching) })
    }

    /// What was asked until now.
    ///
    /// # Errors
    /// When the connection has ended: nothing is counted any more.
    pub(super) fn commands(&self) -> anyhow::Result<Commands> {
        let is_watching = self.watching.as_ref().is_some_and(|watching| !watching.is_finished());
        anyhow::ensure!(is_watching, "Redis has closed the connection that counts");
        Ok(self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // It may be closed already.
        let _ = self.connection.shutdown(Shutdown::Both);
        if let Some(watching) = self.watching.take() {
            let _ = watching.join();
        }
    }
}

/// Until the connection ends.
fn watch(mut connection: Connection, counts: &Mutex<Commands>) {
    while let Ok(line) = connection.line() {
        if let Some(name) = client_command(&line) {
            *counts.lock().unwrap_or_else(PoisonError::into_inner).0.entry(name).or_default() += 1;
        }
    }
}

/// The name of the command, unless a script called it: `+1700000000.1 [0 127.0.0.1:50000] "zrange" "bob:.."`.
fn client_command(line: &str) -> Option<String> {
    let (_, rest) = line.split_once('[')?;
    let (source, words) = rest.split_once("] \"")?;
    if source.ends_with("lua") {
        return None;
    }
    Some(words.split('"').next()?.to_ascii_lowercase())
}

impl Commands {
    /// How many came since `earlier`.
    pub(super) fn since(&self, earlier: &Self) -> u64 {
        self.0.iter().map(|(name, count)| count - earlier.0.get(name).unwrap_or(&0)).sum()
    }

    /// The same by name, the most frequent first, a minute.
    pub(super) fn names_since(&self, earlier: &Self, seconds: f64) -> String {
        let mut names: Vec<_> =
            self.0.iter().map(|(name, count)| (name, count - earlier.0.get(name).unwrap_or(&0))).collect();
        names.retain(|(_, count)| *count > 0);
        names.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let each = names.iter().map(|(name, count)| format!("{name} {:.0}", *count as f64 * 60.0 / seconds));
        each.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scripts_do_inside_redis_is_not_what_clients_ask() {
        let line = r#"+1700000000.123456 [0 127.0.0.1:60866] "EVALSHA" "abc" "6""#;
        assert_eq!(client_command(line).as_deref(), Some("evalsha"));
        assert_eq!(client_command(r#"+1700000000.123456 [0 lua] "TIME""#), None);
        assert_eq!(client_command("+OK"), None);
    }

    #[test]
    fn commands_are_counted_since_a_moment() {
        let counted =
            |pairs: &[(&str, u64)]| Commands(pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect());
        let (before, after) = (counted(&[("info", 2)]), counted(&[("info", 3), ("zrange", 4), ("get", 0)]));
        assert_eq!(after.since(&before), 5);
        assert_eq!(after.names_since(&before, 30.0), "zrange 8, info 2");
    }
}
