//! See `bobchat::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bobchat::fuzz::run("refresh_token", bytes));
