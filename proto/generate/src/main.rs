//! Makes the Rust types of the schema, with their JSON form (docs/protocol.md), in `proto/src/generated`.
//!
//! They stand in the repository, so that building a server does not build a compiler of protobuf first: that took a
//! twentieth of the time. A package of its own: it runs also while `bobchat-proto` does not compile, because the
//! schema is ahead of the code.
//!
//! The scalar type of a field decides its JSON form: `fixed64` is an identifier, `int64` a time, an
//! enum its lower-case name; everything else is what serde makes of it.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use prost_build::{Config, Module};
use protox::prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

/// Where the schema is.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Where its types stand, one file a package.
const GENERATED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/generated");

const SCHEMA: [&str; 5] = ["event.proto", "client.proto", "record.proto", "backplane.proto", "node.proto"];

const HEADER: &str = "// Generated from proto/*.proto by proto/generate. Do not edit: make generate\n";

/// What is stored and what nodes tell each other is protobuf alone: it needs no JSON form.
const WITHOUT_JSON: [&str; 3] = ["bobchat.v1.record", "bobchat.v1.backplane", "bobchat.v1.node"];

/// Has a strict decoder of its own: see `proto/src/codec/client_frame.rs`.
const CLIENT_FRAME: &str = "bobchat.v1.ClientFrame";

fn main() -> Result<(), Box<dyn Error>> {
    for (file, types) in generate()? {
        std::fs::write(file, types)?;
    }
    Ok(())
}

/// The files and what belongs into them.
fn generate() -> Result<BTreeMap<PathBuf, String>, Box<dyn Error>> {
    let files = protox::compile(SCHEMA, [FOLDER])?;
    let pool = DescriptorPool::from_file_descriptor_set(files.clone())?;
    let mut config = Config::new();
    for message in pool.all_messages().filter(|m| !WITHOUT_JSON.contains(&m.parent_file().package_name())) {
        message_attributes(&mut config, &message);
    }
    let packages = files.file.into_iter().map(|file| (Module::from_protobuf_package_name(file.package()), file));
    let modules = config.generate(packages.collect())?;
    let named = |(module, types): (Module, String)| {
        (Path::new(GENERATED).join(module.to_file_name_or("none")), format!("{HEADER}{types}"))
    };
    Ok(modules.into_iter().map(named).collect())
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

#[cfg(test)]
mod tests {
    use super::generate;

    #[test]
    fn the_types_are_what_the_schema_says() {
        let generated = generate().expect("the schema compiles");
        assert_eq!(generated.len(), 4, "a file for each package");
        for (file, types) in generated {
            let committed = std::fs::read_to_string(&file).unwrap_or_default();
            assert!(committed == types, "{} is not what the schema says: run make generate", file.display());
        }
    }
}
