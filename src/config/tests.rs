use std::collections::HashMap;
use std::path::PathBuf;

use super::*;
use crate::secret::Secret;

mod cluster;
mod live;
mod production;

/// The file of the repository, as the sources of a server that is started beside it.
const DOCUMENTED: &str = include_str!("../../config.toml");

/// Keeps the folder for as long as the sources are used.
fn file_sources(text: &str) -> (tempfile::TempDir, Sources) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("test.toml");
    std::fs::write(&file, text).expect("a file");
    (folder, Sources { file: Some(file), ..Sources::default() })
}

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, Faults> {
    let (_folder, sources) = file_sources(text);
    let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Config::load(&Sources { environment, ..sources })
}

fn faults(text: &str) -> Vec<String> {
    load(text, &[]).expect_err("faults").0.iter().map(ToString::to_string).collect()
}

#[test]
fn the_documented_file_holds_every_key_with_its_default() {
    let (_folder, sources) = file_sources(DOCUMENTED);
    let (documented, effective) = Config::explain(&sources).expect("the file is valid");
    assert_eq!(
        documented,
        load("", &[]).expect("defaults are valid"),
        "a default in config.toml is not the one in the code"
    );
    for key in effective {
        assert!(key.origin.is_some(), "config.toml lacks {}.{}", key.section, key.key);
    }
    for key in ["issuer", "audience", "key_file", "jwks_file"] {
        assert!(DOCUMENTED.contains(&format!("\n# {key} = ")), "config.toml lacks auth.external.{key}");
    }
}

#[test]
fn every_key_of_the_documented_file_has_a_comment_above_it() {
    let mut commented = false;
    for line in DOCUMENTED.lines() {
        match line {
            _ if line.starts_with('#') => commented = true,
            "" => commented = false,
            _ if line.starts_with('[') => {}
            _ => assert!(commented, "no comment above {line:?}"),
        }
    }
}

#[test]
fn the_environment_wins_over_the_file_and_flags_win_over_both() {
    let file = "[server]\nlisten = \"127.0.0.1:1\"\nadmin_listen = \"127.0.0.1:2\"\n[store]\ndata = \"file\"";
    let (_folder, sources) = file_sources(file);
    let environment = HashMap::from([
        ("BOBCHAT__SERVER__ADMIN_LISTEN".to_owned(), "127.0.0.1:3".to_owned()),
        ("BOBCHAT__STORE__DATA".to_owned(), "environment".to_owned()),
        ("BOBCHAT__AUTH__AUDIENCE".to_owned(), "1e3".to_owned()),
        ("BOBCHAT__SERVER__TRUSTED_PROXIES".to_owned(), "10.0.0.0/8, ::1".to_owned()),
        ("BOBCHAT__LIMITS__ROOM_IDLE".to_owned(), String::new()),
        ("OTHER__SERVER__LISTEN".to_owned(), "nonsense".to_owned()),
    ]);
    let overrides = Overrides { data: Some("flag".to_owned()), ..Overrides::default() };
    let config = Config::load(&Sources { environment, overrides, ..sources }).expect("valid");
    assert_eq!(config.server.listen.port(), 1);
    assert_eq!(config.server.admin_listen.port(), 3);
    assert_eq!(config.store.data, PathBuf::from("flag"));
    assert_eq!(config.auth.audience, "1e3", "text stays text");
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(config.limits.room_idle.as_secs(), 300, "an empty variable counts as unset");
}

#[test]
fn all_faults_are_reported_at_once_with_key_value_and_what_is_allowed() {
    let text = r#"
        [server]
        listen = "here"
        workers = -1
        listne = "127.0.0.1:8080"
        allowed_origins = ["https://a.example/path"]
        drain_timeout = "10"
        [limits]
        sends_burst = 0
        frame_bytes_per_second = "1KiB"
        outbound_bytes_max = "1MB"
        [telemetry]
        log_filter = "inof"
        log_format = "xml"
        otlp_endpoint = "collector:4318"
        trace_sample_ratio = 1.5
        [typo]
        key = 1
    "#;
    let faults = faults(text);
    let expect = |start: &str, end: &str| {
        assert!(faults.iter().any(|fault| fault.starts_with(start) && fault.ends_with(end)), "{start} in {faults:#?}");
    };
    expect("server.listen = \"here\" (from ", "such as \"127.0.0.1:8080\" or \"[::]:8080\"");
    expect("server.workers = -1", "expected a whole number from 0");
    expect("server.listne", "no such key; config.toml lists them all");
    expect("server.allowed_origins = [\"https://a.example/path\"]", "\"https://chat.example.org\"");
    expect("server.drain_timeout = \"10\"", "such as \"30s\"");
    expect("limits.sends_burst = 0", "expected 1 to 1000000000");
    expect("limits.frame_bytes_per_second = \"1KiB\"", "expected \"64KiB\" to \"64GiB\"");
    expect("limits.outbound_bytes_max = \"1MB\"", "such as \"64KiB\"");
    expect("telemetry.log_filter = \"inof\"", "such as \"info,bobchat=debug\"");
    expect("telemetry.log_format = \"xml\"", "expected \"auto\", \"json\" or \"text\"");
    expect("telemetry.otlp_endpoint", "\"https://..\"");
    expect("telemetry.trace_sample_ratio = 1.5", "expected 0.0 to 1.0");
    expect("typo", "no such key; config.toml lists them all");
    assert_eq!(faults.len(), 13, "{faults:#?}");
}

#[test]
fn contradictions_name_both_keys() {
    let text = r#"
        [server]
        listen = "127.0.0.1:9000"
        admin_listen = "127.0.0.1:9000"
        [auth]
        guests = false
        access_token_lifetime = "1d"
        refresh_token_lifetime = "1h"
        [limits]
        outbound_bytes_max = "4MiB"
        outbound_bytes_total_max = "2MiB"
    "#;
    let faults = faults(text);
    for keys in [
        "server.listen, server.admin_listen",
        "auth.guests, auth.external",
        "auth.refresh_token_lifetime, auth.access_token_lifetime",
        "limits.outbound_bytes_total_max, limits.outbound_bytes_max",
    ] {
        assert!(faults.iter().any(|fault| fault.starts_with(keys)), "{keys} in {faults:#?}");
    }
    assert_eq!(faults.len(), 4, "{faults:#?}");
}

#[test]
fn an_external_issuer_has_a_name_an_audience_and_one_source_of_keys() {
    let text = "[[auth.external]]\nissuer = \"a\"\naudience = \"chat\"\nkey_file = \"a.pem\"\n";
    let config = load(text, &[]).expect("valid");
    let expected = ExternalIssuer {
        issuer: "a".to_owned(),
        audience: "chat".to_owned(),
        keys: KeySource::KeyFile(PathBuf::from("a.pem")),
    };
    assert_eq!(config.auth.external, [expected]);
    let both = format!("{text}jwks_file = \"b.json\"\n[[auth.external]]\naudiense = \"x\"");
    let faults = faults(&both);
    assert_eq!(faults.len(), 5, "{faults:#?}");
    assert!(faults.iter().any(|fault| fault.starts_with("auth.external[0].key_file, jwks_file = 2 given")));
    assert!(faults.iter().any(|fault| fault.starts_with("auth.external[1].issuer = \"\": is required")));
    assert!(faults.iter().any(|fault| fault.starts_with("auth.external[1].audiense")));
    let own = text.replace("\"a\"", "\"bobchat\"");
    assert!(self::faults(&own)[0].contains("stands there twice"));
}

#[test]
fn a_file_that_is_named_has_to_exist_and_to_be_toml() {
    let sources = Sources { file: Some(PathBuf::from("/nonexistent/bobchat.toml")), ..Sources::default() };
    let message = Config::load(&sources).expect_err("no file").to_string();
    assert!(message.contains("/nonexistent/bobchat.toml: No such file"), "{message}");
    let message = faults("[server\n").join("\n");
    assert!(message.contains("test.toml"), "{message}");
}

#[test]
fn what_is_shown_of_the_configuration_holds_no_secret() {
    let (_folder, sources) = file_sources("[telemetry]\notlp_authorization = \"Basic aHVudGVyMg\"");
    let (config, effective) = Config::explain(&sources).expect("valid");
    assert!(!format!("{config:?} {effective:?}").contains("aHVudGVyMg"));
    let misspelt = faults("[telemetry]\notlp_authorisation = \"Basic aHVudGVyMg\"").join("\n");
    assert!(!misspelt.contains("aHVudGVyMg"), "{misspelt}");
}

#[test]
fn a_section_that_is_no_section_is_a_fault_of_its_own() {
    let faults = load("", &[("BOBCHAT__SERVER", "x")]).expect_err("fault").0;
    assert_eq!(faults[0].key, "server");
    assert_eq!(faults[0].origin.as_deref(), Some("the environment"));
}
