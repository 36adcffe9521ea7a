//! The load harness as a program: see the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// The server's allocator: what it gains must not be counted as the server's.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    bobchat_loadtest::cli::run()
}
