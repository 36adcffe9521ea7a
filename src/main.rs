//! Bobchat, the binary.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// glibc's allocator costs commits and whatever crosses threads dearly: see docs/decisions/mimalloc.md.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    bobchat::cli::main()
}
