use std::collections::HashMap;
use std::path::{Path, PathBuf};

use config::{Environment, File, FileFormat, Map, Source as _, Value, ValueKind};

use super::{Fault, Faults};

/// The file that is read when none is named, if it exists.
const DEFAULT_FILE: &str = "config.toml";

/// Values that flags of the command line give: they win over everything else.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `server.listen`.
    pub listen: Option<String>,
    /// `server.admin_listen`.
    pub admin_listen: Option<String>,
    /// `store.data`.
    pub data: Option<String>,
}

/// What an operator wrote, unread: each later source wins over the ones before, key by key.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The named file; it has to exist. None: `config.toml` in the working directory, if there is one.
    pub file: Option<PathBuf>,
    /// Variables named `BOBCHAT__SECTION__KEY`; empty ones count as unset.
    pub environment: HashMap<String, String>,
    /// Flags.
    pub overrides: Overrides,
}

impl Sources {
    /// The sources of this process: `file`, its environment and `overrides`.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, overrides: Overrides) -> Self {
        let environment = std::env::vars_os();
        let environment =
            environment.filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
        Self { file, environment: environment.collect(), overrides }
    }

    /// Lays the sources over each other.
    pub(super) fn collect(&self) -> Result<Map<String, Value>, Faults> {
        let read = |path: PathBuf| match std::fs::read_to_string(&path) {
            Ok(text) => Ok((path, text)),
            Err(error) => Err(unreadable(&path, &error.to_string())),
        };
        self.collect_over(self.file_to_read().map(read).transpose()?)
    }

    /// Lays the sources over each other, with a file that is already read.
    pub(super) fn collect_over(&self, file: Option<(PathBuf, String)>) -> Result<Map<String, Value>, Faults> {
        let mut builder = config::Config::builder();
        if let Some((path, text)) = file {
            builder = builder.add_source(named_file(&path, &text)?);
        }
        builder = builder.add_source(self.environment());
        for (flag, key, value) in self.flags() {
            let value = Value::new(Some(&flag.to_owned()), ValueKind::String(value.clone()));
            builder =
                builder.set_override(key, value).map_err(|error| unreadable(Path::new(flag), &error.to_string()))?;
        }
        let layered = builder.build().and_then(|config| config.collect());
        layered.map_err(|error| unreadable(Path::new("configuration"), &error.to_string()))
    }

    fn file_to_read(&self) -> Option<PathBuf> {
        self.file.clone().or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()))
    }

    fn environment(&self) -> Environment {
        // Values stay text: the reader of each key knows its type, a guess here would turn the audience
        // "1e3" into a number.
        Environment::with_prefix("BOBCHAT")
            .prefix_separator("__")
            .separator("__")
            .ignore_empty(true)
            .source(Some(self.environment.clone().into_iter().collect()))
    }

    fn flags(&self) -> impl Iterator<Item = (&'static str, &'static str, &String)> {
        let Overrides { listen, admin_listen, data } = &self.overrides;
        [
            ("--listen", "server.listen", listen),
            ("--admin-listen", "server.admin_listen", admin_listen),
            ("--data", "store.data", data),
        ]
        .into_iter()
        .filter_map(|(flag, key, value)| Some((flag, key, value.as_ref()?)))
    }
}

/// The file as a source whose values know where they stand: `config` names only files that it opened.
fn named_file(path: &Path, text: &str) -> Result<NamedFile, Faults> {
    let values = File::from_str(text, FileFormat::Toml).collect();
    let values = values.map_err(|error| unreadable(path, error.to_string().trim()))?;
    Ok(NamedFile { path: path.display().to_string(), values })
}

#[derive(Debug, Clone)]
struct NamedFile {
    path: String,
    values: Map<String, Value>,
}

impl config::Source for NamedFile {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        let named = |(key, value): (&String, &Value)| (key.clone(), name_origin(&self.path, value.kind.clone()));
        Ok(self.values.iter().map(named).collect())
    }
}

fn name_origin(path: &String, kind: ValueKind) -> Value {
    let kind = match kind {
        ValueKind::Table(table) => {
            ValueKind::Table(table.into_iter().map(|(key, value)| (key, name_origin(path, value.kind))).collect())
        }
        ValueKind::Array(items) => {
            ValueKind::Array(items.into_iter().map(|value| name_origin(path, value.kind)).collect())
        }
        leaf => leaf,
    };
    Value::new(Some(path), kind)
}

fn unreadable(path: &Path, cause: &str) -> Faults {
    Faults(vec![Fault { key: path.display().to_string(), value: None, origin: None, expected: cause.to_owned() }])
}
