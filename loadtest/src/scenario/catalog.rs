//! The scenarios that the harness brings along, and those in files.

use std::path::Path;

use anyhow::{Context as _, bail};

use super::Scenario;

/// Name and text of each.
const CATALOG: [(&str, &str); 11] = [
    ("fanout", include_str!("../../scenarios/fanout.toml")),
    ("throughput", include_str!("../../scenarios/throughput.toml")),
    ("idle", include_str!("../../scenarios/idle.toml")),
    ("connect-storm", include_str!("../../scenarios/connect-storm.toml")),
    ("big-room", include_str!("../../scenarios/big-room.toml")),
    ("small-rooms", include_str!("../../scenarios/small-rooms.toml")),
    ("mix", include_str!("../../scenarios/mix.toml")),
    ("history-readers", include_str!("../../scenarios/history-readers.toml")),
    ("slow-readers", include_str!("../../scenarios/slow-readers.toml")),
    ("broadcast", include_str!("../../scenarios/broadcast.toml")),
    ("soak", include_str!("../../scenarios/soak.toml")),
];

/// The scenario of this name, or in the file of this path, with what is set beside it.
///
/// # Errors
/// When there is none, or it is none.
pub(crate) fn find(name: &str, set: &[String]) -> anyhow::Result<Scenario> {
    let path = Path::new(name);
    let (text, title) = match CATALOG.into_iter().find(|(known, _)| *known == name) {
        Some((_, text)) => (text.to_owned(), name.to_owned()),
        None if path.extension().is_some() || path.exists() => {
            let text = std::fs::read_to_string(path).with_context(|| format!("could not read {name}"))?;
            (text, path.file_stem().unwrap_or_default().to_string_lossy().into_owned())
        }
        None => {
            let names: Vec<_> = CATALOG.iter().map(|(name, _)| *name).collect();
            bail!("there is no scenario {name:?}: give the path of a file, or one of {}", names.join(", "))
        }
    };
    let mut scenario = Scenario::parse(&text, set).with_context(|| format!("the scenario {name} cannot be run"))?;
    if scenario.title.is_empty() {
        scenario.title = title;
    }
    Ok(scenario)
}

/// A line for each scenario: its name, how many users for how long, and what it is for.
///
/// # Errors
/// None in practice: a test reads all of them.
pub(crate) fn list() -> anyhow::Result<String> {
    let mut lines = Vec::new();
    for (name, _) in CATALOG {
        let Scenario { rooms, members, seconds, about, .. } = find(name, &[])?;
        let size = format!("{rooms} x {members}, {seconds} s");
        lines.push(format!("{name:<16} {size:<18} {about}"));
    }
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_can_be_read_and_is_listed() {
        let list = list().unwrap();
        for (name, _) in CATALOG {
            assert!(find(name, &[]).unwrap().title != name && list.contains(name), "{name}");
        }
    }

    #[test]
    fn one_action_in_seven_of_the_realistic_mix_is_a_reconnect() {
        let mix = find("mix", &[]).unwrap();
        let all: f64 = mix.rates().map(|(_, rate)| rate).sum();
        let part = mix.reconnect.unwrap().per_second / all;
        assert!((part - 0.14).abs() < 1e-9, "{part}");
        assert!(mix.history.unwrap().per_second >= 5.0 * mix.send.unwrap().per_second);
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let error = format!("{:#}", find("fan-out", &[]).unwrap_err());
        assert!(error.contains("fanout") && error.contains("soak"), "{error}");
        assert!(format!("{:#}", find("no/such.toml", &[]).unwrap_err()).contains("could not read"));
    }
}
