use std::time::Duration;

use redis::{Cmd, Script, Value};

use super::connection::Link;
use super::error::CallError;

/// The steps of the log protocol, and what is done with leases of nodes: each a script that Redis runs whole and
/// alone. Which of them need memory, the first line of each says (log protocol, rule 10).
pub(super) struct Scripts {
    pub(super) append: Lua,
    pub(super) fence: Lua,
    pub(super) claim: Lua,
    pub(super) open: Lua,
    pub(super) advance: Lua,
    pub(super) tail: Lua,
    pub(super) changed: Lua,
    pub(super) dirty: Lua,
    pub(super) lease: Lua,
    pub(super) let_go: Lua,
    pub(super) note: Lua,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            append: Lua::new("append", include_str!("scripts/append.lua")),
            fence: Lua::new("fence", include_str!("scripts/fence.lua")),
            claim: Lua::new("claim", include_str!("scripts/claim.lua")),
            open: Lua::new("open", include_str!("scripts/open.lua")),
            advance: Lua::new("advance", include_str!("scripts/advance.lua")),
            tail: Lua::new("tail", include_str!("scripts/tail.lua")),
            changed: Lua::new("changed", include_str!("scripts/changed.lua")),
            dirty: Lua::new("dirty", include_str!("scripts/dirty.lua")),
            lease: Lua::new("lease", include_str!("scripts/lease.lua")),
            let_go: Lua::new("let_go", include_str!("scripts/let_go.lua")),
            note: Lua::new("note", include_str!("scripts/note.lua")),
        }
    }
}

/// A script and the hash that Redis knows it by.
pub(super) struct Lua {
    source: &'static str,
    hash: String,
    /// What it is counted under.
    name: &'static str,
}

impl Lua {
    fn new(name: &'static str, source: &'static str) -> Self {
        Self { source, hash: Script::new(source).get_hash().to_owned(), name }
    }

    /// Runs the script in one round trip. A server that does not know it, because it was started or became the
    /// primary just now, is sent the source, and knows it from then on.
    pub(super) async fn run(&self, link: &Link, call: &Call, timeout: Duration) -> Result<Value, CallError> {
        let answer = link.call_as(self.name.into(), &call.command("EVALSHA", &self.hash), timeout).await;
        match answer {
            Err(error) if error.is_code("NOSCRIPT") => {
                link.call_as(self.name.into(), &call.command("EVAL", self.source), timeout).await
            }
            answer => answer,
        }
    }
}

/// What a script is called with.
#[derive(Default)]
pub(super) struct Call {
    keys: Vec<String>,
    arguments: Vec<Vec<u8>>,
}

impl Call {
    pub(super) fn new(keys: impl IntoIterator<Item = String>) -> Self {
        Self { keys: keys.into_iter().collect(), arguments: Vec::new() }
    }

    /// Adds an argument.
    pub(super) fn with(mut self, argument: impl ToString) -> Self {
        self.arguments.push(argument.to_string().into_bytes());
        self
    }

    /// Adds an argument as it is.
    pub(super) fn push(&mut self, argument: impl Into<Vec<u8>>) {
        self.arguments.push(argument.into());
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys);
        for argument in &self.arguments {
            command.arg(argument.as_slice());
        }
        command
    }
}
