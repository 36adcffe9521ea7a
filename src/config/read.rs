//! Reads raw values into types and keeps book of everything that is wrong.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use config::{Map, Value, ValueKind};

use super::quote::quote;
use super::units::{parse_duration, parse_size, show_duration, show_size};
use super::{Fault, Faults};
use crate::secret::Secret;

/// What holds for one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The section, as `limits`.
    pub section: String,
    /// The key in it.
    pub key: String,
    /// The value as it would stand in the file; of a secret only that it is set.
    pub value: String,
    /// Where it was written; none for a default.
    pub origin: Option<String>,
}

/// Reads sections one after the other. A value that is not allowed becomes a fault, and the default is
/// read in its place, so that reading goes on to the next fault.
pub(super) struct Reader {
    raw: Map<String, Value>,
    faults: Vec<Fault>,
    effective: Vec<Effective>,
}

impl Reader {
    pub(super) fn new(raw: Map<String, Value>) -> Self {
        Self::over(Vec::new(), raw)
    }

    /// The same, where other sections have been read already.
    pub(super) fn over(effective: Vec<Effective>, raw: Map<String, Value>) -> Self {
        Self { raw, faults: Vec::new(), effective }
    }

    /// Reads the section `name` with `read`; keys that `read` does not ask for are unknown.
    pub(super) fn section<T>(&mut self, name: &str, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let values = match self.raw.remove(name) {
            None => Map::new(),
            Some(value) => self.table(name, value),
        };
        self.table_section(name, values, read)
    }

    /// Says that two or more values do not go together.
    pub(super) fn contradiction(&mut self, keys: &str, expected: impl Into<String>) {
        self.faults.push(Fault { key: keys.to_owned(), value: None, origin: None, expected: expected.into() });
    }

    /// Whether somebody wrote this key, be it with its default.
    pub(super) fn is_given(&self, section: &str, key: &str) -> bool {
        self.effective.iter().any(|known| known.section == section && known.key == key && known.origin.is_some())
    }

    /// Says that the value of a key that was read is not allowed after all, or that it is missing.
    pub(super) fn refuse(&mut self, section: &str, key: &str, expected: impl Into<String>) {
        let known = self.effective.iter().find(|known| known.section == section && known.key == key);
        let given = known.filter(|known| known.origin.is_some());
        let (value, origin) = (given.map(|known| known.value.clone()), given.and_then(|known| known.origin.clone()));
        self.faults.push(Fault { key: format!("{section}.{key}"), value, origin, expected: expected.into() });
    }

    /// Ends reading: what nobody asked for is unknown.
    pub(super) fn finish(mut self) -> Result<Vec<Effective>, Faults> {
        for (key, value) in std::mem::take(&mut self.raw) {
            self.unknown(key, &value);
        }
        self.faults.sort_by(|a, b| a.key.cmp(&b.key));
        if self.faults.is_empty() { Ok(self.effective) } else { Err(Faults(self.faults)) }
    }

    fn table_section<T>(
        &mut self,
        name: &str,
        values: Map<String, Value>,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let mut section = Section { name: name.to_owned(), values, reader: self };
        let result = read(&mut section);
        for (key, value) in std::mem::take(&mut section.values) {
            self.unknown(format!("{name}.{key}"), &value);
        }
        result
    }

    fn table(&mut self, key: &str, value: Value) -> Map<String, Value> {
        match value.kind {
            ValueKind::Table(table) => table,
            _ => {
                self.wrong(key.to_owned(), &value, show_raw(&value), "expected a section of keys".to_owned());
                Map::new()
            }
        }
    }

    /// The value is left out: a misspelt key may hold a secret.
    fn unknown(&mut self, key: String, value: &Value) {
        let (origin, expected) =
            (value.origin().map(str::to_owned), "no such key; config.toml lists them all".to_owned());
        self.faults.push(Fault { key, value: None, origin, expected });
    }

    fn wrong(&mut self, key: String, value: &Value, shown: String, expected: String) {
        let origin = value.origin().map(str::to_owned);
        self.faults.push(Fault { key, value: Some(shown), origin, expected });
    }
}

/// The keys of one section.
pub(super) struct Section<'a> {
    name: String,
    values: Map<String, Value>,
    reader: &'a mut Reader,
}

impl Section<'_> {
    /// Reads `key`; `default` when it is not given or not allowed.
    pub(super) fn get<T: Setting>(&mut self, key: &str, default: T) -> T {
        self.get_if(key, default, |_| Ok(()))
    }

    /// Reads a `key` that has to lie in `allowed`.
    pub(super) fn within<T: Setting + PartialOrd>(&mut self, key: &str, default: T, allowed: RangeInclusive<T>) -> T {
        let expected = format!("expected {} to {}", allowed.start().show(), allowed.end().show());
        self.get_if(key, default, |value| if allowed.contains(value) { Ok(()) } else { Err(expected) })
    }

    /// Reads a `key` whose value `judge` finds good; its error says what is allowed.
    pub(super) fn get_if<T: Setting>(
        &mut self,
        key: &str,
        default: T,
        judge: impl FnOnce(&T) -> Result<(), String>,
    ) -> T {
        let raw = self.values.remove(key);
        let origin = raw.as_ref().and_then(|value| value.origin().map(str::to_owned));
        let value = match raw {
            None => default,
            Some(raw) => match T::parse(&raw).and_then(|value| judge(&value).map(|()| value)) {
                Ok(value) => value,
                Err(expected) => {
                    self.wrong(key, &raw, T::show_refused(&raw), expected);
                    default
                }
            },
        };
        let (section, key) = (self.name.clone(), key.to_owned());
        self.reader.effective.push(Effective { section, key, value: value.show(), origin });
        value
    }

    /// Reads a list of tables, each with `read`.
    pub(super) fn tables<T>(&mut self, key: &str, read: impl Fn(&mut Section<'_>) -> T) -> Vec<T> {
        let Some(raw) = self.values.remove(key) else { return Vec::new() };
        let ValueKind::Array(items) = raw.kind.clone() else {
            self.wrong(key, &raw, show_raw(&raw), format!("expected tables under [[{}.{key}]]", self.name));
            return Vec::new();
        };
        let name = format!("{}.{key}", self.name);
        let numbered = items.into_iter().enumerate();
        numbered
            .map(|(number, item)| {
                let name = format!("{name}[{number}]");
                let values = self.reader.table(&name, item);
                self.reader.table_section(&name, values, &read)
            })
            .collect()
    }

    /// Says that something about a key is wrong that its value alone does not show.
    pub(super) fn fault(&mut self, key: &str, value: impl Display, expected: impl Into<String>) {
        let (key, value) = (format!("{}.{key}", self.name), Some(value.to_string()));
        self.reader.faults.push(Fault { key, value, origin: None, expected: expected.into() });
    }

    /// Reads a secret: `key` itself, or the file that `key_file` names, less the line break at its end.
    pub(super) fn secret(&mut self, key: &str) -> Option<Secret> {
        let file_key = format!("{key}_file");
        let given: Option<Secret> = self.get(key, None);
        let file: Option<PathBuf> = self.get(&file_key, None);
        match (given, file) {
            (given, None) => given,
            (None, Some(file)) => match std::fs::read_to_string(&file) {
                Ok(text) => Some(Secret::new(text.trim_end_matches(['\r', '\n']))),
                Err(error) => {
                    self.fault(&file_key, file.show(), format!("cannot be read: {error}"));
                    // That there is none would be a second fault for one cause.
                    Some(Secret::new(""))
                }
            },
            (given, Some(_)) => {
                self.contradiction(&[key, &file_key], "both are given; one is enough");
                given
            }
        }
    }

    /// Says that keys of this section do not go together.
    pub(super) fn contradiction(&mut self, keys: &[&str], expected: impl Into<String>) {
        let keys: Vec<_> = keys.iter().map(|key| format!("{}.{key}", self.name)).collect();
        self.reader.contradiction(&keys.join(", "), expected);
    }

    fn wrong(&mut self, key: &str, value: &Value, shown: String, expected: String) {
        self.reader.wrong(format!("{}.{key}", self.name), value, shown, expected);
    }
}

fn show_raw(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) => quote(text),
        ValueKind::Array(items) => format!("[{}]", items.iter().map(show_raw).collect::<Vec<_>>().join(", ")),
        ValueKind::Table(_) => "{..}".to_owned(),
        other => other.to_string(),
    }
}

/// A type that a value of the configuration can have. Values of the environment are always text.
pub(super) trait Setting: Sized {
    /// Reads a value; the error says what is expected.
    fn parse(value: &Value) -> Result<Self, String>;

    /// Writes the value as it would stand in the file.
    fn show(&self) -> String;

    /// Writes a value that is not allowed, for the operator to find it again.
    fn show_refused(value: &Value) -> String {
        show_raw(value)
    }
}

fn text_of<T>(value: &Value, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, String> {
    let parsed = match &value.kind {
        ValueKind::String(text) => parse(text.trim()),
        _ => None,
    };
    parsed.ok_or_else(|| format!("expected {expected}"))
}

impl Setting for bool {
    fn parse(value: &Value) -> Result<Self, String> {
        match value.kind {
            ValueKind::Boolean(flag) => Ok(flag),
            _ => text_of(value, "true or false", |text| text.parse().ok()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for u64 {
    fn parse(value: &Value) -> Result<Self, String> {
        match value.kind {
            ValueKind::I64(number) => u64::try_from(number).map_err(|_| "expected a whole number from 0".to_owned()),
            _ => text_of(value, "a whole number", |text| text.parse().ok()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for f64 {
    fn parse(value: &Value) -> Result<Self, String> {
        match value.kind {
            ValueKind::Float(number) => Ok(number),
            ValueKind::I64(0) => Ok(0.0),
            ValueKind::I64(1) => Ok(1.0),
            _ => text_of(value, "a number", |text| text.parse().ok()),
        }
    }

    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl Setting for String {
    fn parse(value: &Value) -> Result<Self, String> {
        text_of(value, "text", |text| Some(text.to_owned()))
    }

    fn show(&self) -> String {
        quote(self)
    }
}

impl Setting for PathBuf {
    fn parse(value: &Value) -> Result<Self, String> {
        text_of(value, "a path", |text| (!text.is_empty()).then(|| Self::from(text)))
    }

    fn show(&self) -> String {
        quote(&self.display().to_string())
    }
}

impl Setting for SocketAddr {
    fn parse(value: &Value) -> Result<Self, String> {
        text_of(value, "an IP address and a port, such as \"127.0.0.1:8080\" or \"[::]:8080\"", |text| {
            text.parse().ok()
        })
    }

    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Setting for IpAddr {
    fn parse(value: &Value) -> Result<Self, String> {
        text_of(value, "an IP address, such as \"10.0.0.7\"", |text| text.parse().ok())
    }

    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Setting for Duration {
    fn parse(value: &Value) -> Result<Self, String> {
        text_of(value, "a duration with its unit (ms, s, m, h, d), such as \"30s\"", parse_duration)
    }

    fn show(&self) -> String {
        format!("\"{}\"", show_duration(*self))
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size(pub(super) u64);

impl Setting for Size {
    fn parse(value: &Value) -> Result<Self, String> {
        text_of(value, "a size with its unit (B, KiB, MiB, GiB), such as \"64KiB\"", |text| parse_size(text).map(Self))
    }

    fn show(&self) -> String {
        format!("\"{}\"", show_size(self.0))
    }
}

/// An array in the file; in the environment its items are parted by commas.
impl<T: Setting> Setting for Vec<T> {
    fn parse(value: &Value) -> Result<Self, String> {
        match &value.kind {
            ValueKind::Array(items) => items.iter().map(T::parse).collect(),
            ValueKind::String(text) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                items.map(|item| T::parse(&Value::from(item))).collect()
            }
            _ => Err("expected a list, such as [\"a\", \"b\"]".to_owned()),
        }
    }

    fn show(&self) -> String {
        format!("[{}]", self.iter().map(T::show).collect::<Vec<_>>().join(", "))
    }

    fn show_refused(value: &Value) -> String {
        T::show_refused(value)
    }
}

/// Empty text for "none".
impl<T: Setting> Setting for Option<T> {
    fn parse(value: &Value) -> Result<Self, String> {
        match &value.kind {
            ValueKind::String(text) if text.trim().is_empty() => Ok(None),
            _ => T::parse(value).map(Some),
        }
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "\"\"".to_owned(), T::show)
    }

    fn show_refused(value: &Value) -> String {
        T::show_refused(value)
    }
}

impl Setting for Secret {
    fn parse(value: &Value) -> Result<Self, String> {
        String::parse(value).map(Self::new)
    }

    fn show(&self) -> String {
        "\"***\"".to_owned()
    }

    fn show_refused(_: &Value) -> String {
        "\"***\"".to_owned()
    }
}
