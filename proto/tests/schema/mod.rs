//! The schema as data, read from the `.proto` files themselves: a test that walks it cannot forget a
//! frame that somebody adds later.

use protox::prost_reflect::{DescriptorPool, MessageDescriptor};

/// The descriptor of a message of the wire, such as `ClientFrame`.
pub(crate) fn message(name: &str) -> MessageDescriptor {
    let include = env!("CARGO_MANIFEST_DIR");
    let files = protox::compile(["event.proto", "client.proto"], [include]).expect("the schema compiles");
    let pool = DescriptorPool::from_file_descriptor_set(files).expect("the schema is whole");
    pool.get_message_by_name(&format!("bobchat.v1.{name}")).expect("the schema has this message")
}
