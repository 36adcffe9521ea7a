//! Bobchat, the binary.
fn main() {}
