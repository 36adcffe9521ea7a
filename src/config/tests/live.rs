//! What may change while nodes run.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn layers(text: &str) -> Layers {
    let (_folder, sources) = file_sources(text);
    Layers::load(&sources).expect("valid")
}

fn settings(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn under(layers: &Layers, of: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let read = layers.under(&settings(of), "version 7").map(|(config, _)| config);
    read.map_err(|faults| faults.0.iter().map(ToString::to_string).collect())
}

/// The keys of the documented file whose comment ends with the word.
fn marked() -> BTreeSet<String> {
    let (mut section, mut comment, mut marked) = (String::new(), "", BTreeSet::new());
    for line in DOCUMENTED.lines() {
        match line {
            _ if line.starts_with('#') => comment = line,
            "" => comment = "",
            _ if line.starts_with('[') => line.trim_matches(['[', ']']).clone_into(&mut section),
            _ if comment.ends_with(" Live.") => {
                marked.extend(line.split(" = ").next().map(|key| format!("{section}.{key}")));
            }
            _ => {}
        }
    }
    marked
}

#[test]
fn the_documented_file_marks_each_key_that_may_change() {
    assert_eq!(marked(), LIVE_KEYS.map(str::to_owned).into());
}

#[test]
fn a_setting_wins_over_the_file_and_the_environment_and_says_so() {
    let (_folder, sources) = file_sources("[limits]\nsends_burst = 3\nrooms_per_user = 4");
    let environment = HashMap::from([("BOBCHAT__LIMITS__SENDS_BURST".to_owned(), "4".to_owned())]);
    let layers = Layers::load(&Sources { environment, ..sources }).expect("valid");
    assert_eq!(layers.own().limits.sends_burst, 4);
    let set = settings(&[("limits.sends_burst", "5"), ("limits.room_idle", "7s"), ("auth.guests", "true")]);
    let (config, effective) = layers.under(&set, "version 7").expect("valid");
    assert_eq!((config.limits.sends_burst, config.limits.room_idle.as_secs()), (5, 7));
    assert_eq!(config.limits.rooms_per_user, 4, "what is not set stays");
    let of = |key: &str| effective.iter().find(|known| known.key == key).expect("it is told").clone();
    assert_eq!((of("sends_burst").value.as_str(), of("sends_burst").origin.as_deref()), ("5", Some("version 7")));
    assert!(of("rooms_per_user").origin.expect("it stands there").ends_with("test.toml"));
    let (own, all) = layers.under(&BTreeMap::new(), "version 7").expect("valid");
    assert_eq!(&own, layers.own());
    assert_eq!(all.len(), effective.len());
}

#[test]
fn all_faults_of_settings_are_told_at_once_and_contradictions_with_the_file_too() {
    let layers = layers("[limits]\noutbound_bytes_total_max = \"2MiB\"");
    let faults = under(
        &layers,
        &[
            ("limits.sends_burst", "0"),
            ("limits.room_idle", "5"),
            ("telemetry.log_filter", "loud"),
            ("telemetry.trace_sample_ratio", "2"),
            ("limits.outbound_bytes_max", "4MiB"),
            ("auth.guests", "no"),
        ],
    );
    let faults = faults.expect_err("faults");
    for start in [
        "limits.sends_burst = \"0\" (from version 7): expected 1 to",
        "limits.room_idle = \"5\" (from version 7): expected a duration",
        "telemetry.log_filter = \"loud\" (from version 7): expected a level",
        "telemetry.trace_sample_ratio = \"2\" (from version 7): expected 0.0 to 1.0",
        "limits.outbound_bytes_total_max, limits.outbound_bytes_max: ",
        "auth.guests = \"no\" (from version 7): expected true or false",
    ] {
        assert!(faults.iter().any(|fault| fault.starts_with(start)), "{start} in {faults:#?}");
    }
    assert_eq!(faults.len(), 6, "{faults:#?}");
    let nobody = under(&layers, &[("auth.guests", "false")]).expect_err("nobody could sign in");
    assert!(nobody[0].starts_with("auth.guests, auth.external"), "{nobody:?}");
}

#[test]
fn each_live_key_changes_something_and_nothing_but_what_may_change() {
    let layers = layers("[[auth.external]]\nissuer = \"a\"\naudience = \"b\"\nkey_file = \"c\"");
    for key in LIVE_KEYS {
        let tried = ["false", "7", "0.5", "77s", "700KiB", "warn", "300MiB"];
        let changes = |value: &&str| under(&layers, &[(key, value)]).is_ok_and(|config| &config != layers.own());
        assert!(tried.iter().any(changes), "nothing changes with {key}");
    }
}

#[test]
fn what_is_secret_or_read_at_the_start_is_told_from_what_there_is_not() {
    let secrets = "[telemetry]\notlp_authorization = \"x\"\notlp_endpoint = \"http://c\"\n[redis]\nurl = \"redis://r\"\n\
        password = \"x\"\n[cassandra]\nnodes = [\"c\"]\nusername = \"u\"\npassword = \"x\"";
    let layers = layers(secrets);
    let hidden: Vec<_> = layers.effective().iter().filter(|known| known.value.contains("***")).collect();
    assert_eq!(hidden.len(), 3, "{hidden:?}");
    for key in hidden.into_iter().map(|known| format!("{}.{}", known.section, known.key)) {
        assert_eq!(layers.mutability(&key), Mutability::AtStart, "{key}");
        let refused = under(&layers, &[(&key, "hunter2")]).expect_err("a secret is never a setting");
        assert!(refused[0].contains("cannot be changed") && !refused[0].contains("hunter2"), "{refused:?}");
    }
    for (key, expected) in [
        ("limits.sends_burst", Mutability::Live),
        ("server.listen", Mutability::AtStart),
        ("auth.external", Mutability::AtStart),
        ("limits.sends_brust", Mutability::Unknown),
        ("limits", Mutability::Unknown),
    ] {
        assert_eq!(layers.mutability(key), expected, "{key}");
    }
    assert!(!format!("{layers:?}").contains("\"x\""), "{layers:?}");
}

#[test]
fn a_file_of_a_secret_that_is_gone_does_not_keep_a_limit_from_changing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    std::fs::write(&file, "x").expect("a file");
    let text = format!(
        "[redis]\nurl = \"redis://r\"\npassword_file = {file:?}\n[cassandra]\nnodes = [\"c\"]\n\
         [telemetry]\notlp_endpoint = \"http://c\"\notlp_authorization_file = {file:?}"
    );
    let layers = layers(&text);
    std::fs::remove_file(&file).expect("removed");
    let settings = [("limits.sends_burst".to_owned(), "7".to_owned())].into();
    let (config, effective) = layers.under(&settings, "version 1").expect("valid");
    assert_eq!((&config.cluster, &config.telemetry), (&layers.own().cluster, &layers.own().telemetry));
    let changed: Vec<_> = effective.iter().filter(|known| !layers.effective().contains(known)).collect();
    assert!(changed.len() == 1 && changed[0].key == "sends_burst" && changed[0].value == "7", "{changed:?}");
    assert_eq!(effective.len(), layers.effective().len());
}
