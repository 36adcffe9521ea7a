//! Bobchat, the binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    bobchat::cli::main()
}
