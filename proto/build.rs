//! Compiles the schema into Rust types and gives them their JSON form (docs/protocol.md).
//!
//! The scalar type of a field decides its JSON form: `fixed64` is an identifier, `int64` a time, an
//! enum its lower-case name; everything else is what serde makes of it.

use prost_build::Config;
use protox::prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

const SCHEMA: [&str; 5] = ["event.proto", "client.proto", "record.proto", "backplane.proto", "node.proto"];

/// What is stored and what nodes tell each other is protobuf alone: it needs no JSON form.
const WITHOUT_JSON: [&str; 3] = ["bobchat.v1.record", "bobchat.v1.backplane", "bobchat.v1.node"];

/// Has a strict decoder of its own: see `src/codec/client_frame.rs`.
const CLIENT_FRAME: &str = "bobchat.v1.ClientFrame";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    for file in SCHEMA {
        println!("cargo:rerun-if-changed={file}");
    }
    let files = protox::compile(SCHEMA, ["."])?;
    let pool = DescriptorPool::from_file_descriptor_set(files.clone())?;
    let mut config = Config::new();
    for message in pool.all_messages().filter(|m| !WITHOUT_JSON.contains(&m.parent_file().package_name())) {
        message_attributes(&mut config, &message);
    }
    config.compile_fds(files)?;
    Ok(())
}

fn message_attributes(config: &mut Config, message: &MessageDescriptor) {
    let name = message.full_name();
    let derives = if name == CLIENT_FRAME { "serde::Serialize" } else { "serde::Serialize, serde::Deserialize" };
    config.message_attribute(name, format!("#[derive({derives}, utoipa::ToSchema)]"));
    let has_oneof = message.oneofs().any(|oneof| !oneof.is_synthetic());
    if name != CLIENT_FRAME {
        let unknown = if has_oneof { "" } else { ", deny_unknown_fields" };
        config.message_attribute(name, format!("#[serde(default{unknown})]"));
    }
    for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
        config.enum_attribute(
            oneof.full_name(),
            "#[derive(serde::Serialize, serde::Deserialize, utoipa::ToSchema)] #[serde(rename_all = \"snake_case\")]",
        );
        config.field_attribute(oneof.full_name(), "#[serde(flatten, skip_serializing_if = \"Option::is_none\")]");
    }
    for field in message.fields().filter(|field| real_oneof(field).is_none()) {
        field_attributes(config, &field);
    }
}

fn real_oneof(field: &FieldDescriptor) -> Option<String> {
    field.containing_oneof().filter(|oneof| !oneof.is_synthetic()).map(|oneof| oneof.full_name().to_owned())
}

fn field_attributes(config: &mut Config, field: &FieldDescriptor) {
    let path = field.full_name();
    let shape = if field.is_list() {
        "list"
    } else if field.supports_presence() {
        "optional"
    } else {
        "plain"
    };
    if shape == "optional" {
        config.field_attribute(path, "#[serde(skip_serializing_if = \"Option::is_none\")]");
    }
    let (codec, schema) = match field.kind() {
        Kind::Fixed64 => ("id".to_owned(), "String".to_owned()),
        Kind::Int64 => ("time".to_owned(), "String, format = DateTime".to_owned()),
        Kind::Enum(kind) => (format!("{}_name", snake(kind.name())), "String".to_owned()),
        _ => return,
    };
    config.field_attribute(path, format!("#[serde(with = \"crate::json::{codec}::{shape}\")]"));
    let schema = match shape {
        "list" => format!("Vec<{schema}>"),
        "optional" => schema.replacen("String", "Option<String>", 1),
        _ => schema,
    };
    config.field_attribute(path, format!("#[schema(value_type = {schema})]"));
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}
