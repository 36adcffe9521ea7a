//! The command line: running the server, and what an operator does beside it.
//!
//! Output of a command goes to stdout and is meant to be read by programs too; what went wrong goes to
//! stderr, one line a fault. Exit codes: 0 done, 1 not done, 2 the configuration or the command is wrong.

mod check;
mod client;
mod config;
mod demo;
mod nodes;
mod operate;
#[cfg(feature = "planted-bugs")]
mod planted;
mod ready;
mod run;
mod schema;
mod table;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Faults, Layers, Overrides, Sources};

/// An actor-system chat server: ordered, durable, resumable rooms over WebSocket and REST.
#[derive(Debug, Parser)]
#[command(name = "bobchat", version, about, subcommand_help_heading = "Commands (without one, the server runs)")]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct Common {
    /// The configuration; without it config.toml here, if there is one
    #[arg(long, global = true, value_name = "FILE", env = "BOBCHAT_CONFIG")]
    config: Option<PathBuf>,
    /// Address and port of the public listener (server.listen)
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address and port of the operator's listener (server.admin_listen)
    #[arg(long, global = true, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// The data folder (store.data)
    #[arg(long, global = true, value_name = "FOLDER")]
    data: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server
    Run,
    /// Says whether the configuration is valid, what it comes to, and whether what it names is good
    Check,
    /// Shows what the Cassandra of a cluster lacks
    Schema {
        /// Makes it, as a node does when it starts
        #[arg(long)]
        apply: bool,
    },
    /// Copies the store to a file, also while the server runs
    Backup {
        /// The file to make
        path: PathBuf,
    },
    /// Makes a copy the store of a data folder that has none; of a cluster, makes a keyspace good that was imported
    Restore {
        /// The file that `backup` made; none of a cluster
        path: Option<PathBuf>,
    },
    /// Administers users
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Shows every node of the deployment and what it does; 1 when one of them does not answer
    Nodes,
    /// Reads and changes settings of all nodes while they run
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Says whether the server here takes clients; 1 when it does not. For health checks of containers
    Ready {
        /// What to ask instead of the operator's listener: any address that answers with success when all is well
        #[arg(long)]
        url: Option<String>,
        /// Asks an https:// address whatever certificate it shows: whether somebody answers is all that counts
        #[arg(long)]
        insecure: bool,
    },
    /// Prints access tokens for load runs, one JSON object a line
    Token {
        /// For how many users: load-000001 and so on, made once and used again
        #[arg(long, default_value_t = 1)]
        count: u32,
        /// How long the tokens are good
        #[arg(long, default_value_t = 86_400)]
        seconds: u32,
    },
    /// Fills a running server with rooms and a lively conversation
    Demo(demo::Options),
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Gives a user the rights of an administrator
    Grant {
        /// The user's handle, such as @ada
        handle: String,
    },
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("{0}")]
    Config(#[from] Faults),
    #[error("{0}")]
    Failed(String),
    /// Whoever read the output has gone; nobody is left to tell.
    #[error("could not write the output: {0}")]
    Output(#[from] io::Error),
}

impl CommandError {
    /// Wraps what went wrong, with its causes on the same line.
    fn failed(error: impl Into<anyhow::Error>) -> Self {
        Self::Failed(format!("{:#}", error.into()))
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => 2,
            Self::Failed(_) | Self::Output(_) => 1,
        }
    }
}

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    crate::auth::install_cryptography();
    let Cli { common, command } = Cli::parse();
    match execute(common, command.unwrap_or(Command::Run)) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has enough of it: `bobchat token --count 9 | head -1`.
        Err(CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done about a stderr that is closed.
            let _ = writeln!(io::stderr(), "bobchat: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn execute(common: Common, command: Command) -> Result<(), CommandError> {
    let Common { config, listen, admin_listen, data } = common;
    let sources = Sources::of_process(config, Overrides { listen, admin_listen, data });
    match command {
        Command::Run => {
            #[cfg(feature = "planted-bugs")]
            planted::plant()?;
            run::run(Layers::load(&sources)?)
        }
        Command::Check => check::check(&sources),
        Command::Schema { apply } => schema::schema(&Config::load(&sources)?, apply),
        Command::Backup { path } => operate::backup(&Layers::load(&sources)?, &path),
        Command::Restore { path } => operate::restore(&Config::load(&sources)?, path.as_deref()),
        Command::Admin(AdminCommand::Grant { handle }) => operate::grant(&Layers::load(&sources)?, &handle),
        Command::Nodes => nodes::nodes(&Config::load(&sources)?),
        Command::Config(command) => config::config(&Layers::load(&sources)?, command),
        Command::Ready { url, insecure } => ready::ready(&Config::load(&sources)?, url, insecure),
        Command::Token { count, seconds } => operate::token(&Layers::load(&sources)?, count, seconds),
        Command::Demo(options) => demo::demo(&Config::load(&sources)?, &options),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_put_together_rightly() {
        Cli::command().debug_assert();
    }
}
