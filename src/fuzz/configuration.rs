use crate::config::{Config, Effective};

/// What an operator writes into `config.toml`.
///
/// Held: every fault can be said, and what `bobchat check` shows of a configuration is that configuration.
pub(super) fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // Files that the text names are not what is tried here: they would be read.
    if text.contains("_file") {
        return;
    }
    match Config::explain_text(text) {
        Err(faults) => assert!(!faults.0.is_empty() && !faults.to_string().is_empty()),
        Ok((config, effective)) => {
            if let Some(shown) = as_file(&effective) {
                let read = Config::explain_text(&shown).map(|(config, _)| config);
                assert_eq!(read.as_ref(), Ok(&config), "what is shown is not what holds:\n{shown}");
            }
        }
    }
}

/// The file that says all that holds; none where it cannot, since secrets are not shown and lists of tables are not
/// written like this.
fn as_file(effective: &[Effective]) -> Option<String> {
    let says_all = effective.iter().all(|one| one.value != "\"***\"" && !one.section.contains('['));
    let lines = effective.iter().map(|one| format!("{}.{} = {}\n", one.section, one.key, one.value));
    says_all.then(|| lines.collect())
}
