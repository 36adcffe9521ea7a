use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cassandra;
use crate::certificates::{Authority, Files};
use crate::command::Settings;
use crate::ports::free_port;
use crate::redis_cluster::RedisCluster;
use crate::server::{RedisServer, eventually};

/// Makes a key for 127.0.0.1, `NAME.key`, and a certificate that it signs itself; returns its file.
pub(crate) fn make_certificate(folder: &Path, name: &str) -> PathBuf {
    let certificate = folder.join(format!("{name}.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "30",
    ]);
    openssl.args(["-subj", "/CN=server", "-addext", "subjectAltName=IP:127.0.0.1"]);
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"]);
    openssl.arg(folder.join(format!("{name}.key"))).arg("-out").arg(&certificate);
    assert!(openssl.output().unwrap().status.success());
    certificate
}

#[test]
fn a_cluster_as_it_should_be_is_good_and_is_not_touched() {
    let redis = RedisServer::with(&["--maxmemory", "100mb"]);
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::cluster(&folder.path().join("data"), &redis.url());
    let said = settings.run(&["check"]);
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    said.finds("good", "not there yet, can be made");
    said.finds("good", "takes writes, evicts nothing");
    said.finds("good", "it belongs to nobody yet");
    said.finds("good", "1 of 1 nodes reached");
    said.finds("warning", "there is no keyspace");
    assert!(!folder.path().join("data").exists());
    assert!(redis.keys("*").is_empty());
    assert!(settings.run(&["schema"]).stdout.contains("not there"));

    settings.run(&["schema", "--apply"]);
    take_keyspace(&settings, "bobchat-00c0ffee00c0ffee");
    redis.cli(&["SET", "bob:deployment", "bobchat-00c0ffee00c0ffee"]);
    let said = settings.run(&["check"]);
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    said.finds("good", "it belongs to this deployment");
    said.finds("good", "has schema");
    said.finds("warning", "one copy of each row in datacenter1");
}

/// Makes a keyspace that of a deployment, as its first node does.
fn take_keyspace(settings: &Settings, identity: &str) {
    let keyspace = settings.get("CASSANDRA__KEYSPACE");
    let row = format!("(0, 'bobchat', '{identity}')");
    crate::schema::cql(&format!("INSERT INTO {keyspace}.deployment (id, name, identity) VALUES {row} IF NOT EXISTS"));
}

#[test]
fn a_redis_and_a_keyspace_that_do_not_belong_together_are_found() {
    let redis = RedisServer::start();
    redis.cli(&["SET", "bob:deployment", "bobchat-00c0ffee00c0ffee"]);
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::cluster(folder.path(), &redis.url());
    settings.run(&["check"]).finds("BAD", "the keyspace in Cassandra to nobody yet");
    settings.run(&["schema", "--apply"]);
    settings.run(&["check"]).finds("BAD", "the keyspace in Cassandra to nobody yet");
    take_keyspace(&settings, "bobchat-00000000deadbeef");
    let said = settings.run(&["check"]);
    assert_eq!(said.code, 1, "{}", said.stdout);
    said.finds("BAD", "\"bobchat-00c0ffee00c0ffee\", the keyspace in Cassandra to \"bobchat-00000000deadbeef\"");
    // A start says the same.
    let start = settings.run(&["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    assert!(start.stderr.contains("bobchat: redis belongs to deployment"), "{}", start.stderr);
}

#[test]
fn a_redis_that_may_not_be_used_is_found_with_all_that_is_wrong() {
    let redis = RedisServer::with(&["--maxmemory-policy", "allkeys-lru", "--appendonly", "no"]);
    redis.cli(&["SET", "bob:deployment", "other"]);
    let folder = tempfile::tempdir().unwrap();
    let said = Settings::cluster(folder.path(), &redis.url()).run(&["check"]);
    assert_eq!(said.code, 1, "{}", said.stdout);
    assert_eq!(said.stderr, "bobchat: 2 things are not as they have to be\n");
    said.finds("BAD", "evicts (maxmemory-policy allkeys-lru): set maxmemory-policy to noeviction");
    said.finds("BAD", "it belongs to deployment \"other\", this is \"bobchat\"");
    said.finds("warning", "has no limit of memory");
    said.finds("warning", "writes nothing to disk");

    let primary = RedisServer::start();
    let replica = primary.replica();
    let said = Settings::cluster(folder.path(), &replica.url()).run(&["check"]);
    said.finds("BAD", "is a replica: name its primary");
}

#[test]
fn a_cluster_of_redis_that_is_not_whole_is_found() {
    let cluster = RedisCluster::start();
    let folder = tempfile::tempdir().unwrap();
    let nodes = cluster.servers.iter().map(RedisServer::url).collect::<Vec<_>>().join(",");
    let settings = Settings::cluster(folder.path(), "").with("REDIS__CLUSTER", &nodes);
    let said = settings.run(&["check"]);
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    assert_eq!(said.stdout.matches("takes writes, evicts nothing").count(), 3, "{}", said.stdout);
    let said = settings.with("REDIS__CLUSTER", "").with("REDIS__URL", &cluster.servers[0].url()).run(&["check"]);
    said.finds("BAD", "name it in redis.cluster instead of redis.url");
    // Slots that nobody serves, as after a botched resharding.
    let slots = cluster.servers[0].cli(&["CLUSTER", "NODES"]);
    let own = slots.lines().find(|line| line.contains("myself")).unwrap().split(' ').nth(8).unwrap().to_owned();
    let first = own.split('-').next().unwrap();
    cluster.servers[0].cli(&["CLUSTER", "DELSLOTS", first]);
    let said = settings.with("REDIS__CLUSTER", &cluster.servers[0].url()).run(&["check"]);
    assert_eq!(said.code, 1, "{}{}", said.stdout, said.stderr);
    said.finds("BAD", "slots of the cluster are served");
}

#[test]
fn services_that_are_not_there_are_named_with_what_to_look_at() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = format!("127.0.0.1:{}", free_port());
    let settings = Settings::cluster(folder.path(), &format!("redis://{nowhere}")).with("CASSANDRA__NODES", &nowhere);
    let said = settings.run(&["check"]);
    assert_eq!(said.code, 1);
    said.finds("BAD", "Redis: could not reach redis");
    said.finds("BAD", &format!("Cassandra: could not connect to Cassandra at {nowhere}"));
}

#[test]
fn a_wrong_login_is_found_and_no_password_is_said() {
    let redis = RedisServer::start();
    redis.cli(&["CONFIG", "SET", "requirepass", "hunter2"]);
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::cluster(folder.path(), &redis.url());
    let right = settings.with("REDIS__PASSWORD", "hunter2").run(&["check"]);
    assert_eq!(right.code, 0, "{}{}", right.stdout, right.stderr);
    let wrong = settings.with("REDIS__PASSWORD", "hunter3").run(&["check"]);
    wrong.finds("BAD", "authentication failed");
    let none = settings.run(&["check"]);
    none.finds("BAD", "Authentication required");
    let said = [&right.stdout, &wrong.stdout, &wrong.stderr, &none.stdout].map(String::as_str).concat();
    assert!(!said.contains("hunter"), "{said}");
}

#[test]
fn a_redis_behind_tls_is_entered_when_its_authority_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = make_certificate(folder.path(), "server");
    let (key, certificate) = (folder.path().join("server.key"), certificate);
    let (key, certificate) = (key.to_str().unwrap(), certificate.to_str().unwrap());
    let port = free_port().to_string();
    let encrypted = ["--tls-port", &port, "--tls-key-file", key, "--tls-cert-file", certificate];
    let _redis = RedisServer::with(&[&encrypted[..], &["--tls-auth-clients", "no"]].concat());
    let settings = Settings::cluster(folder.path(), &format!("rediss://127.0.0.1:{port}"));
    let trusting = settings.command(&["check"]).env("SSL_CERT_FILE", certificate).output().unwrap();
    assert!(trusting.status.success(), "{}", String::from_utf8_lossy(&trusting.stdout));
    settings.run(&["check"]).finds("BAD", "could not reach redis");
    let told = settings.with("REDIS__CERTIFICATES", certificate).run(&["check"]);
    assert_eq!(told.code, 0, "{}", told.stdout);
    let stranger = make_certificate(folder.path(), "stranger");
    let wrong = settings.with("REDIS__CERTIFICATES", stranger.to_str().unwrap());
    wrong.run(&["check"]).finds("BAD", "could not reach redis");
    let nothing = settings.with("REDIS__CERTIFICATES", "/nonexistent.pem");
    nothing.run(&["check"]).finds("BAD", "could not use /nonexistent.pem");
    let start = nothing.run(&["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    assert!(start.stderr.contains("could not use"), "{}", start.stderr);
}

#[test]
fn a_redis_that_asks_for_a_certificate_lets_its_own_clients_in_and_nobody_else() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let of = |path: &Path| path.to_str().unwrap().to_owned();
    let [server, client, stranger] = [(&authority, "server"), (&authority, "client"), (&Authority::new(), "stranger")]
        .map(|(authority, name)| authority.write(folder.path(), name, &["127.0.0.1"]));
    let (port, ca) = (free_port().to_string(), of(&ca));
    let _redis = RedisServer::with(&[
        "--tls-port",
        &port,
        "--tls-auth-clients",
        "yes",
        "--tls-ca-cert-file",
        &ca,
        "--tls-cert-file",
        &of(&server.certificate),
        "--tls-key-file",
        &of(&server.key),
    ]);
    let settings = Settings::cluster(folder.path(), &format!("rediss://127.0.0.1:{port}"));
    let settings = settings.with("REDIS__CERTIFICATES", &ca);
    let as_whom = |files: &Files| {
        let settings = settings.with("REDIS__CLIENT_CERTIFICATE", &of(&files.certificate));
        settings.with("REDIS__CLIENT_KEY", &of(&files.key))
    };
    let said = as_whom(&client).run(&["check"]);
    assert_eq!(said.code, 0, "{}", said.stdout);
    said.finds("good", "redis.client_certificate: ends");
    settings.run(&["check"]).finds("BAD", "could not reach redis");
    as_whom(&stranger).run(&["check"]).finds("BAD", "could not reach redis");
    let without_key = Files { certificate: client.certificate.clone(), key: "/nonexistent.key".into() };
    let of_others = Files { certificate: client.certificate.clone(), key: stranger.key.clone() };
    as_whom(&of_others).run(&["check"]).finds("BAD", "stranger.key: it is not the key of the certificate beside it");
    as_whom(&without_key).run(&["check"]).finds("BAD", "could not use /nonexistent.key");
}

#[test]
fn a_keyspace_that_cannot_be_written_to_is_found() {
    let redis = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::cluster(folder.path(), &redis.url());
    settings.run(&["schema", "--apply"]);
    let keyspace = settings.get("CASSANDRA__KEYSPACE");
    let factors = "{'class': 'NetworkTopologyStrategy', 'datacenter1': 3}";
    crate::schema::cql(&format!("ALTER KEYSPACE {keyspace} WITH replication = {factors}"));
    let said = settings.run(&["check"]);
    assert_eq!(said.code, 1, "{}", said.stdout);
    said.finds("BAD", "3 copies of each row in datacenter1, which has 1 node: nothing can be written");
    let said = settings.with("CASSANDRA__DATACENTER", "west").run(&["check"]);
    said.finds("BAD", "set cassandra.datacenter to one of datacenter1");
}

#[test]
fn a_locked_cassandra_is_entered_with_the_right_login_and_authority_alone() {
    let redis = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let authority = make_certificate(folder.path(), "server");
    let keystore = folder.path().join("keystore");
    let mut export = Command::new("openssl");
    export.args(["pkcs12", "-export", "-name", "server", "-passout", "pass:changeit", "-in"]).arg(&authority);
    export.arg("-inkey").arg(folder.path().join("server.key")).arg("-out").arg(&keystore);
    assert!(export.output().unwrap().status.success());
    let locked = format!(
        "authenticator: PasswordAuthenticator\nclient_encryption_options: {{ enabled: true, optional: false, \
         keystore: {}, keystore_password: changeit, store_type: PKCS12 }}\n",
        keystore.display()
    );
    let (port, storage_port) = cassandra::free_ports(&["127.0.0.1"]);
    let server = cassandra::Server::start("127.0.0.1", port, storage_port, "127.0.0.1", &locked);
    let trusting = Settings::cluster(folder.path(), &redis.url())
        .with("CASSANDRA__NODES", server.address())
        .with("CASSANDRA__CERTIFICATES", authority.to_str().unwrap());
    let user = trusting.with("CASSANDRA__USERNAME", "cassandra");
    let right = user.with("CASSANDRA__PASSWORD", "cassandra");
    // Cassandra makes its first role a moment after it begins to serve.
    eventually("the right login is let in", || (right.run(&["check"]).code == 0).then_some(()));
    let stranger = make_certificate(folder.path(), "stranger");
    for wrong in [
        user.with("CASSANDRA__PASSWORD", "hunter2"),
        trusting,
        right.with("CASSANDRA__CERTIFICATES", ""),
        right.with("CASSANDRA__CERTIFICATES", stranger.to_str().unwrap()),
    ] {
        let said = wrong.run(&["check"]);
        assert_eq!(said.code, 1);
        said.finds("BAD", "could not connect to Cassandra");
        assert!(!said.stdout.contains("hunter2"), "{}", said.stdout);
    }
    let missing = folder.path().join("missing.pem");
    let said = right.with("CASSANDRA__CERTIFICATES", missing.to_str().unwrap()).run(&["check"]);
    said.finds("BAD", "could not use");
}
