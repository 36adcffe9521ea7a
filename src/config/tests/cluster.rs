//! What makes a server one of several.

use super::*;
use crate::adapters::cassandra::Replication;

const BOTH: &str =
    "[redis]\nurl = \"redis://10.0.0.5:6379/1\"\n[cassandra]\nnodes = [\"10.0.0.7\", \"10.0.0.8:9043\"]\n";

fn cluster(text: &str, environment: &[(&str, &str)]) -> Cluster {
    load(text, environment).expect("valid").cluster.expect("a cluster")
}

#[test]
fn without_services_a_server_is_alone_and_with_both_it_is_one_of_several() {
    assert_eq!(load("[cluster]\nnode = \"a\"", &[]).expect("valid").cluster, None);
    let node = cluster(BOTH, &[]);
    assert_eq!(node.redis.servers, RedisServers::One("redis://10.0.0.5:6379/1".parse().expect("an address")));
    let nodes: Vec<_> = node.cassandra.nodes.iter().map(ToString::to_string).collect();
    assert_eq!(nodes, ["10.0.0.7:9042", "10.0.0.8:9043"]);
    assert_eq!((node.deployment.as_str(), node.ack, node.node), ("bobchat", Ack::Log, None));
}

#[test]
fn one_service_alone_is_a_fault_that_says_why_both_are_needed() {
    for (text, given) in [("[redis]\nurl = \"redis://r\"", "redis"), ("[cassandra]\nnodes = [\"c\"]", "cassandra")] {
        let faults = faults(text);
        assert_eq!(faults.len(), 1, "{faults:#?}");
        for part in [&format!("only {given} is given"), "Redis orders", "Cassandra keeps", "would lose"] {
            assert!(faults[0].contains(part), "{part} in {faults:#?}");
        }
    }
}

#[test]
fn the_environment_alone_can_make_a_cluster() {
    let node = cluster(
        "",
        &[
            ("BOBCHAT__REDIS__CLUSTER", "redis://a:1, rediss://b"),
            ("BOBCHAT__REDIS__PASSWORD", "hunter2"),
            ("BOBCHAT__CASSANDRA__NODES", "c,d"),
            ("BOBCHAT__CASSANDRA__REPLICATION", "east:3,west:2"),
            ("BOBCHAT__CLUSTER__ACK", "history"),
            ("BOBCHAT__CLUSTER__NODE", "node-7"),
        ],
    );
    let RedisServers::Cluster(seeds) = &node.redis.servers else { panic!("{:?}", node.redis.servers) };
    assert_eq!(seeds[0].with_login(&node.redis.login), "redis://:hunter2@a:1");
    assert_eq!(node.cassandra.nodes.len(), 2);
    assert!(matches!(node.cassandra.replication, Replication::Datacenters(factors) if factors.len() == 2));
    assert_eq!((node.ack, node.node.as_deref()), (Ack::History, Some("node-7")));
}

#[test]
fn a_password_may_stand_in_a_file_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("password");
    std::fs::write(&file, "hunter 2\n").expect("a file");
    let with =
        |more: &str| format!("{BOTH}username = \"chat\"\npassword_file = {:?}\n{more}", file.display().to_string());
    let login = cluster(&with(""), &[]).cassandra.login;
    assert_eq!(login.password.as_ref().map(Secret::reveal), Some("hunter 2"));
    let both = faults(&with("password = \"hunter2\""));
    assert_eq!(both, ["cassandra.password, cassandra.password_file: both are given; one is enough"]);
    std::fs::remove_file(&file).expect("removed");
    let missing = faults(&with(""));
    assert!(missing.iter().any(|fault| fault.contains("cannot be read: No such file")), "{missing:#?}");
}

#[test]
fn bad_values_name_their_key_and_what_is_allowed() {
    let text = r#"
        [redis]
        url = "10.0.0.5:6379"
        cluster = ["redis://a/1"]
        timeout = "1ms"
        tail_events = 1000000
        [cassandra]
        nodes = ["a b"]
        keyspace = "Chat"
        replication = 0
        connections_per_node = 0
        request_timeout = "1ms"
        connect_timeout = "1h"
        [cluster]
        deployment = "a b"
        node = "é"
        ack = "both"
        archive_after = "1ms"
        unarchived_events_per_room = 1
        unarchived_bytes_per_room = "1KiB"
        unarchived_bytes_total = "1KiB"
    "#;
    let faults = faults(text);
    let expect = |start: &str, end: &str| {
        assert!(faults.iter().any(|fault| fault.starts_with(start) && fault.ends_with(end)), "{start} in {faults:#?}");
    };
    expect("redis.url", "\"redis://10.0.0.5:6379\", or \"rediss://..\" for TLS");
    expect("redis.cluster", "a Redis Cluster has only one");
    expect("redis.timeout = \"1ms\"", "expected \"100ms\" to \"1m\"");
    expect("redis.tail_events = 1000000", "expected 0 to 10000");
    expect("cassandra.nodes = [\"a b\"]", "such as \"10.0.0.7:9042\" or \"cassandra.example.org\"");
    expect("cassandra.keyspace = \"Chat\"", "with a letter first");
    expect("cassandra.replication = 0", "such as \"east:3, west:2\"");
    expect("cassandra.connections_per_node = 0", "expected 1 to 64");
    expect("cassandra.request_timeout", "expected \"1s\" to \"1m\"");
    expect("cassandra.connect_timeout", "expected \"100ms\" to \"1m\"");
    expect("cluster.deployment = \"a b\"", "expected 1 to 64 letters, digits, -, _ and .");
    expect("cluster.node", "expected 1 to 64 letters, digits, -, _ and .");
    expect("cluster.ack = \"both\"", "expected \"log\" or \"history\"");
    expect("cluster.archive_after = \"1ms\"", "expected \"10ms\" to \"1m\"");
    expect("cluster.unarchived_events_per_room = 1", "expected 1000 to 10000000");
    expect("cluster.unarchived_bytes_per_room", "expected \"1MiB\" to \"16GiB\"");
    expect("cluster.unarchived_bytes_total", "expected \"16MiB\" to \"1024GiB\"");
    assert_eq!(faults.len(), 17, "{faults:#?}");
}

#[test]
fn contradictions_of_a_cluster_name_all_their_keys() {
    let text = r#"
        [redis]
        url = "redis://a"
        cluster = ["redis://b"]
        username = "chat"
        certificates = "/ca.pem"
        [cassandra]
        nodes = ["c"]
        [cluster]
        unarchived_bytes_per_room = "64MiB"
        unarchived_bytes_total = "16MiB"
    "#;
    let several = faults(text);
    for keys in [
        "redis.url, redis.cluster: both are given",
        "redis.certificates, redis.url, redis.cluster: certificates are given for a connection in the clear",
        "redis.username, redis.password: a name is given without a password",
        "cluster.unarchived_bytes_total, cluster.unarchived_bytes_per_room",
    ] {
        assert!(several.iter().any(|fault| fault.starts_with(keys)), "{keys} in {several:#?}");
    }
    assert_eq!(several.len(), 4, "{several:#?}");
    // Else the node would be alone, and nobody would know.
    let nowhere = faults("[redis]\npassword = \"hunter2\"");
    assert!(nowhere[0].starts_with("redis.url, redis.username, redis.password: a login is given, but not where"));
}

#[test]
fn no_password_is_shown_wherever_it_was_put() {
    let text = format!("{BOTH}username = \"chat\"\npassword = \"hunter2\"\n");
    let (_folder, sources) = file_sources(&text);
    let (config, effective) = Config::explain(&sources).expect("valid");
    assert!(!format!("{config:?} {effective:?}").contains("hunter2"));
    for text in [
        "[redis]\nurl = \"redis://:hunter2@r\"",
        "[redis]\nurl = \"hunter2\"",
        "[redis]\ncluster = [\"redis://:hunter2@r\"]",
        "[redis]\npassword = [\"hunter2\"]",
        "[cassandra]\npassword = { value = \"hunter2\" }",
        "[cassandra]\npasword = \"hunter2\"",
    ] {
        let said = faults(text).join("\n");
        assert!(!said.contains("hunter2"), "{said}");
    }
    assert!(faults("[redis]\nurl = \"redis://:hunter2@r\"")[0].contains("redis.username and redis.password"));
}
