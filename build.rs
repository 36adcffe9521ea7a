//! Makes sure that there is a folder to embed the browser client from: `cargo build` works without Node,
//! and `make web` fills the folder.

use std::path::Path;

const CLIENT: &str = "web/dist";

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={CLIENT}");
    if !Path::new(CLIENT).exists() {
        std::fs::create_dir_all(CLIENT)?;
    }
    Ok(())
}
