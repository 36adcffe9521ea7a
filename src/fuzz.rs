//! What fuzzing does with bytes: one function for each thing that strangers or operators feed the server.
//!
//! Each holds more than "does not panic": what is read survives being written and read again, what is refused stays
//! refused however it is cut, memory stays within the bound. `fuzz/` runs them under libFuzzer (`make fuzz`), and
//! `tests/fuzz.rs` runs the same functions over the inputs that are kept in `fuzz/corpus`, in every `make test`.
//!
//! They panic when what they hold is broken; nothing of the server calls them.

mod configuration;
mod cursor;
mod envelopes;
mod frame_guard;

/// What is run on each input.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its corpus and of its binary.
pub const TARGETS: [(&str, Target); 8] = [
    ("access_token", crate::auth::fuzz::access_token),
    ("claims", crate::auth::fuzz::claims),
    ("configuration", configuration::configuration),
    ("cursor", cursor::cursor),
    ("frame_guard", frame_guard::frame_guard),
    ("json_envelope", envelopes::json_envelope),
    ("protobuf_envelope", envelopes::protobuf_envelope),
    ("refresh_token", crate::auth::fuzz::refresh_token),
];

/// Runs the target of that name.
///
/// # Panics
/// When there is none, or `bytes` break what it holds.
pub fn run(name: &str, bytes: &[u8]) {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    assert!(found.is_some(), "there is no target {name}");
    if let Some((_, target)) = found {
        target(bytes);
    }
}
