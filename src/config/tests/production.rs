//! Each line of the table in docs/operations.md, by a configuration that breaks it and no other.

use std::collections::BTreeMap;

use super::*;

/// A node that is good enough for people.
const GOOD: &str = r#"
[server]
production = true
trusted_proxies = ["10.0.0.0/8"]
[auth]
guests = true
[redis]
url = "redis://10.0.0.5"
username = "node"
password = "correct horse battery"
[cassandra]
nodes = ["10.0.0.7"]
username = "node"
password = "staple of a dozen bytes"
"#;

/// What is refused when these keys are changed; what is said of them names the key.
fn refused(changes: &[(&str, &str)]) -> Vec<String> {
    match load(GOOD, changes) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.0.iter().map(ToString::to_string).collect(),
    }
}

fn only(changes: &[(&str, &str)], key: &str, said: &str) {
    let faults = refused(changes);
    assert_eq!(faults.len(), 1, "{changes:?}: {faults:?}");
    assert!(faults[0].starts_with(key) && faults[0].contains("in production: "), "{}", faults[0]);
    assert!(faults[0].contains(said), "{}", faults[0]);
}

#[test]
fn what_is_good_enough_for_people_is_let_through() {
    assert_eq!(refused(&[]), [""; 0]);
    let secured = [("BOBCHAT__SERVER__TLS_CERTIFICATE", "c"), ("BOBCHAT__SERVER__TLS_KEY", "k")];
    assert_eq!(refused(&secured), [""; 0]);
    for address in ["127.0.0.1:8090", "10.1.2.3:8090", "192.168.0.1:8090", "[::1]:8090", "[fd00::1]:8090"] {
        assert_eq!(refused(&[("BOBCHAT__SERVER__ADMIN_LISTEN", address)]), [""; 0], "{address}");
    }
}

/// By the rules of the start, these too, so that a key which production looks at may become one that can change.
#[test]
fn settings_are_judged_by_the_rules_of_production_too() {
    let sends = BTreeMap::from([("limits.sends_burst".to_owned(), "7".to_owned())]);
    let under = |text: &str| {
        let (_folder, sources) = file_sources(text);
        Layers::load(&sources).expect("valid").in_production().under(&sends, "version 7")
    };
    let (config, _) = under(GOOD).expect("good at the start, good with a setting");
    assert_eq!(config.limits.sends_burst, 7);
    let open = GOOD.replace("production = true", "").replace("[auth]\nguests = true", "");
    let faults = under(&open.replace("correct horse battery", "redis")).expect_err("refused");
    let keys: Vec<&str> = faults.0.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["auth.guests", "redis.password"], "{faults}");
}

#[test]
fn plain_http_without_a_proxy_is_refused_and_so_is_trust_in_everybody() {
    let text = GOOD.replace("trusted_proxies = [\"10.0.0.0/8\"]", "");
    let faults = faults(&text);
    assert!(
        faults.len() == 1 && faults[0].contains("server.trusted_proxies, or give server.tls_certificate"),
        "{faults:?}"
    );
    for everybody in ["0.0.0.0/0", "10.0.0.1,::/0"] {
        only(&[("BOBCHAT__SERVER__TRUSTED_PROXIES", everybody)], "server.trusted_proxies", "name the proxies alone");
    }
}

#[test]
fn an_operators_address_that_strangers_reach_is_refused_unless_something_guards_it() {
    for address in ["0.0.0.0:8090", "[::]:8090", "203.0.113.7:8090", "[2001:db8::1]:8090"] {
        let open = ("BOBCHAT__SERVER__ADMIN_LISTEN", address);
        only(&[open], "server.admin_listen", "server.admin_guarded = true");
        assert_eq!(refused(&[open, ("BOBCHAT__SERVER__ADMIN_GUARDED", "true")]), [""; 0], "{address}");
    }
}

#[test]
fn guests_are_let_in_on_purpose_alone() {
    let text = GOOD.replace("guests = true", "");
    let faults = faults(&text);
    assert!(faults.len() == 1 && faults[0].starts_with("auth.guests: in production"), "{faults:?}");
    assert_eq!(refused(&[("BOBCHAT__AUTH__GUESTS", "true")]), [""; 0], "also where that is the default");
}

#[test]
fn no_password_an_empty_one_and_those_that_everybody_tries_are_refused() {
    for (section, other) in [("redis", "cassandra"), ("cassandra", "redis")] {
        let variable = format!("BOBCHAT__{}__PASSWORD", section.to_uppercase());
        let key = format!("{section}.password");
        for known in ["Password", "cassandra", "redis", "changeme"] {
            only(&[(&variable, known)], &key, "everybody tries first");
        }
        only(&[(&variable, "short")], &key, "12 bytes or more");
        let user = format!("BOBCHAT__{}__USERNAME", section.to_uppercase());
        only(&[(&user, "bobchat-node-1"), (&variable, "bobchat-node-1")], &key, "everybody tries first");
        let empty = tempfile::NamedTempFile::new().unwrap();
        let (before, after) = GOOD.split_once(&format!("[{section}]")).unwrap();
        let line = after.lines().find(|line| line.starts_with("password")).unwrap();
        let file = format!("password_file = \"{}\"", empty.path().display());
        let said = faults(&format!("{before}[{section}]{}", after.replacen(line, &file, 1)));
        assert!(said.len() == 1 && said[0].contains("the password is empty"), "{said:?}");
        let without = after.replacen(line, "", 1).replacen("username = \"node\"", "", 1);
        let said = faults(&format!("{before}[{section}]{without}"));
        assert!(said.len() == 1 && said[0].contains(&format!("give {section}.password_file")), "{said:?}");
        assert!(!said[0].contains(other), "{said:?}");
    }
}

#[test]
fn who_shows_a_certificate_needs_no_password() {
    let text = GOOD.replacen(
        "redis://10.0.0.5\"\nusername = \"node\"\npassword = \"correct horse battery\"",
        "rediss://10.0.0.5\"\nclient_certificate = \"c\"\nclient_key = \"k\"",
        1,
    );
    assert!(load(&text, &[]).is_ok(), "{:?}", faults(&text));
}

#[test]
fn the_collectors_secret_does_not_leave_the_machine_in_the_clear() {
    let secret = ("BOBCHAT__TELEMETRY__OTLP_AUTHORIZATION", "Basic canary");
    let to = |endpoint| [secret, ("BOBCHAT__TELEMETRY__OTLP_ENDPOINT", endpoint)];
    only(&to("http://collector:4318"), "telemetry.otlp_endpoint", "write https://");
    only(&to("http://localhost.example.org"), "telemetry.otlp_endpoint", "write https://");
    for endpoint in ["http://node:canary@collector", "http://localhost:x@evil.example"] {
        let said = refused(&to(endpoint));
        assert!(said.len() == 1 && said[0].contains("an address without a login"), "{said:?}");
        assert!(said[0].starts_with("telemetry.otlp_endpoint") && !said[0].contains("canary"), "{said:?}");
    }
    for endpoint in ["http://127.0.0.1:4318", "http://localhost:4318/otlp", "https://collector:4318"] {
        assert_eq!(refused(&to(endpoint)), [""; 0], "{endpoint}");
    }
}

#[test]
fn all_of_it_is_said_at_once_and_nothing_without_production() {
    let text = "[server]\nproduction = true\nadmin_listen = \"0.0.0.0:8090\"\n[redis]\nurl = \"redis://a\"\n\
        [cassandra]\nnodes = [\"a\"]\n";
    let said = faults(text);
    let keys: Vec<&str> = said.iter().filter_map(|fault| fault.split([' ', ':']).next()).collect();
    assert_eq!(keys, ["auth.guests", "cassandra.password", "redis.password", "server.admin_listen", "server.listen"]);
    assert!(load(&text.replace("production = true", "production = false"), &[]).is_ok());
}

#[test]
fn a_refusal_shows_no_secret() {
    let said = refused(&[("BOBCHAT__REDIS__PASSWORD", "changeme"), ("BOBCHAT__CASSANDRA__PASSWORD", "passw0rd")]);
    assert!(said.len() == 2 && !said.concat().contains("changeme") && !said.concat().contains("passw0rd"), "{said:?}");
}
