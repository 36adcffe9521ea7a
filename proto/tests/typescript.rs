//! The browser client's types of the wire, made from the same schema as the Rust ones.
//!
//! The file stands in the repository so that the client builds without Rust; this test fails when it is
//! not what the schema says. `BOBCHAT_REGENERATE=1 cargo test -p bobchat-proto --test typescript` writes it.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking; helpers are not covered by clippy.toml"
)]

use std::fmt::Write as _;
use std::{env, fs};

use bobchat_proto::error::{CloseCode, ErrorCode, Reconnect};
use bobchat_proto::limits;
use protox::prost_reflect::{
    DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor, OneofDescriptor,
};

const SCHEMA: [&str; 2] = ["event.proto", "client.proto"];
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../web/packages/client/src/protocol.ts");

const HEADER: &str = "\
// Generated from proto/event.proto and proto/client.proto by proto/tests/typescript.rs. Do not edit:
//   BOBCHAT_REGENERATE=1 cargo test -p bobchat-proto --test typescript
//
// The JSON form of the wire: identifiers and times are strings, absent means unset.

/** A 64-bit identifier, in decimal digits. */
export type Id = string;

/** A time as RFC 3339 with microseconds, in UTC. */
export type Time = string;
";

#[test]
fn the_types_of_the_browser_client_are_what_the_schema_says() {
    let generated = Generator::new().render();
    if env::var_os("BOBCHAT_REGENERATE").is_some() {
        fs::write(COMMITTED, &generated).expect("web/packages/client/src is writable");
    }
    let committed = fs::read_to_string(COMMITTED).unwrap_or_default();
    assert!(
        committed == generated,
        "web/packages/client/src/protocol.ts is not what the schema says; \
         run: BOBCHAT_REGENERATE=1 cargo test -p bobchat-proto --test typescript"
    );
}

/// Renders the schema, in the order of its files.
struct Generator {
    files: Vec<FileDescriptor>,
    out: String,
}

impl Generator {
    fn new() -> Self {
        let set = protox::compile(SCHEMA, [env!("CARGO_MANIFEST_DIR")]).expect("the schema compiles");
        let pool = DescriptorPool::from_file_descriptor_set(set).expect("a compiled schema is consistent");
        let files = SCHEMA.iter().map(|name| pool.get_file_by_name(name).expect("it was compiled")).collect();
        Self { files, out: HEADER.to_owned() }
    }

    fn render(mut self) -> String {
        for file in self.files.clone() {
            file.enums().for_each(|kind| self.enumeration(&kind));
            file.messages().for_each(|message| self.message(&message));
        }
        self.pairs();
        self.fields_table();
        self.codes();
        self.limits();
        self.out
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn enumeration(&mut self, kind: &EnumDescriptor) {
        let doc = comment(&kind.parent_file(), kind.path());
        let names: Vec<_> = kind.values().map(|value| format!("\"{}\"", json_name(kind, value.name()))).collect();
        self.line("");
        self.doc(&doc, "");
        self.line(&format!("export type {} = {};", kind.name(), names.join(" | ")));
    }

    fn message(&mut self, message: &MessageDescriptor) {
        let doc = comment(&message.parent_file(), message.path());
        self.line("");
        self.doc(&doc, "");
        if message.fields().len() == 0 {
            return self.line(&format!("export type {} = Record<string, never>;", message.name()));
        }
        self.line(&format!("export interface {} {{", message.name()));
        for field in message.fields() {
            let doc = comment(&field.parent_message().parent_file(), field.path());
            self.doc(&doc, "  ");
            let mark = if field.supports_presence() { "?" } else { "" };
            self.line(&format!("  {}{mark}: {};", field.name(), typescript(&field)));
        }
        self.line("}");
    }

    fn doc(&mut self, text: &str, indent: &str) {
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        match lines.as_slice() {
            [] => panic!("everything in the schema has a comment"),
            [line] => self.line(&format!("{indent}/** {line} */")),
            lines => {
                self.line(&format!("{indent}/**"));
                lines.iter().for_each(|line| self.line(&format!("{indent} * {line}")));
                self.line(&format!("{indent} */"));
            }
        }
    }

    /// What each request carries and what answers it, by the request's name.
    fn pairs(&mut self) {
        for (name, message, oneof, doc) in [
            ("Requests", "ClientFrame", "request", "What each request carries."),
            ("Results", "Ok", "result", "What answers each request."),
            ("Bodies", "Event", "body", "What each kind of event carries."),
        ] {
            let oneof = self.oneof(message, oneof);
            self.line("");
            self.doc(doc, "");
            self.line(&format!("export interface {name} {{"));
            for field in oneof.fields() {
                self.line(&format!("  {}: {};", field.name(), typescript(&field)));
            }
            self.line("}");
        }
    }

    fn oneof(&self, message: &str, oneof: &str) -> OneofDescriptor {
        self.files
            .iter()
            .flat_map(FileDescriptor::messages)
            .filter(|found| found.name() == message)
            .flat_map(|found| found.oneofs().collect::<Vec<_>>())
            .find(|found| found.name() == oneof)
            .expect("the schema has it")
    }

    /// Every field as `[number, type, shape]`: what a codec or a check needs at run time. A bundler
    /// leaves it out of a page that does not use it.
    fn fields_table(&mut self) {
        self.line("");
        self.doc("How a field is given: once, possibly not at all, many times, or as one of several.", "");
        self.line("export type Shape = \"plain\" | \"optional\" | \"list\" | \"oneof\";");
        self.line("");
        self.doc("Every field of every message: its number, its type and its shape.", "");
        self.line("export const FIELDS: Record<string, Record<string, readonly [number, string, Shape]>> = {");
        for message in self.files.clone().iter().flat_map(FileDescriptor::messages) {
            self.line(&format!("  {}: {{", message.name()));
            for field in message.fields() {
                let row = format!("[{}, \"{}\", \"{}\"]", field.number(), kind_name(&field), shape(&field));
                self.line(&format!("    {}: {row},", field.name()));
            }
            self.line("  },");
        }
        self.line("};");
        self.line("");
        self.doc("Every enum: its names in the order of their numbers.", "");
        self.line("export const ENUMS: Record<string, readonly string[]> = {");
        for kind in self.files.clone().iter().flat_map(FileDescriptor::enums) {
            let names: Vec<_> = kind.values().map(|value| format!("\"{}\"", json_name(&kind, value.name()))).collect();
            self.line(&format!("  {}: [{}],", kind.name(), names.join(", ")));
        }
        self.line("};");
    }

    fn codes(&mut self) {
        self.line("");
        self.doc("Why a request failed: the codes of `Error`, in the order of the documentation.", "");
        let codes: Vec<_> = ErrorCode::ALL.iter().map(|code| format!("  | \"{}\"", code.as_str())).collect();
        self.line(&format!("export type ErrorCode =\n{};", codes.join("\n")));
        self.line("");
        self.doc("What a client does when the server has closed its connection.", "");
        self.line("export type Reconnect = \"at_once\" | \"after_wait\" | \"no\";");
        self.line("");
        self.doc("Why the server closes a connection: the name and the rule of each code.", "");
        self.line("export const CLOSE_CODES: Record<number, readonly [string, Reconnect]> = {");
        for code in CloseCode::ALL.iter().filter(|code| code.code() >= 4000) {
            let rule = match code.reconnect() {
                Reconnect::AtOnce => "at_once",
                Reconnect::AfterWait => "after_wait",
                Reconnect::No => "no",
            };
            self.line(&format!("  {}: [\"{}\", \"{rule}\"],", code.code(), code.reason()));
        }
        self.line("};");
    }

    fn limits(&mut self) {
        self.line("");
        self.doc("Limits of the protocol that a client has to know.", "");
        self.line("export const LIMITS = {");
        let bytes = [
            ("frame_bytes_before_auth_max", limits::FRAME_BYTES_BEFORE_AUTH_MAX, "A frame before sign-in."),
            ("message_bytes_max", limits::MESSAGE_BYTES_MAX, "The text of a message in bytes of UTF-8."),
            ("room_name_chars_max", limits::ROOM_NAME_CHARS_MAX, "The name of a room."),
            ("room_topic_chars_max", limits::ROOM_TOPIC_CHARS_MAX, "The topic of a room."),
            ("user_name_chars_max", limits::USER_NAME_CHARS_MAX, "The name of a user."),
            ("page_items_max", limits::PAGE_ITEMS_MAX as usize, "Items on a page."),
            ("cursors_max", limits::CURSORS_MAX, "Cursors in `auth`."),
            ("user_get_max", limits::USER_GET_MAX, "Users asked for in one `user_get`."),
        ];
        for (name, value, doc) in bytes {
            self.doc(doc, "  ");
            self.line(&format!("  {name}: {value},"));
        }
        self.doc("How long an idempotency key is honoured.", "  ");
        self.line(&format!("  key_lifetime_ms: {},", limits::KEY_LIFETIME.as_millis()));
        self.doc("Typing is forgotten after this.", "  ");
        self.line(&format!("  typing_lifetime_ms: {},", limits::TYPING_LIFETIME.as_millis()));
        self.line("} as const;");
    }
}

/// The comment above a part of the schema.
fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref().expect("the compiler keeps comments");
    let location = info.location.iter().find(|location| location.path == path);
    location.map(|location| location.leading_comments().trim().to_owned()).unwrap_or_default()
}

/// An enum's value as it stands in JSON: lower case, without the enum's own name before it.
fn json_name(kind: &EnumDescriptor, value: &str) -> String {
    let mut prefix = String::new();
    for letter in kind.name().chars() {
        if letter.is_uppercase() && !prefix.is_empty() {
            prefix.push('_');
        }
        prefix.extend(letter.to_uppercase());
    }
    prefix.push('_');
    value.strip_prefix(&prefix).expect("values carry the name of their enum").to_lowercase()
}

fn kind_name(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Fixed64 => "Id".to_owned(),
        Kind::Int64 => "Time".to_owned(),
        Kind::Uint32 | Kind::Uint64 => "number".to_owned(),
        Kind::String => "string".to_owned(),
        Kind::Bool => "boolean".to_owned(),
        Kind::Message(message) => message.name().to_owned(),
        Kind::Enum(kind) => kind.name().to_owned(),
        other => panic!("{}: {other:?} has no JSON form", field.full_name()),
    }
}

fn typescript(field: &FieldDescriptor) -> String {
    let mut name = kind_name(field);
    if field.is_list() {
        write!(name, "[]").expect("text grows");
    }
    name
}

fn shape(field: &FieldDescriptor) -> &'static str {
    let in_oneof = field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic());
    match (field.is_list(), in_oneof, field.supports_presence()) {
        (true, ..) => "list",
        (_, true, _) => "oneof",
        (.., true) => "optional",
        _ => "plain",
    }
}
