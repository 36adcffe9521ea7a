use std::path::{Path, PathBuf};
use std::process::Command;

use bobchat::adapters::cassandra::{CassandraOptions, CassandraStore, Login, OpenError, Tls};
use bobchat::config::TlsFiles;
use bobchat::secret::Secret;
use bobchat_actors::ports::{EventStore, Raised, Raiser};
use bobchat_proto::ids::RoomId;
use tempfile::TempDir;

use crate::certificates::Authority;
use crate::server::{Server, free_ports};
use crate::support::{clock, new_keyspace, open, options_of, persist};

/// Makes a key for 127.0.0.1 and a certificate that it signs itself; returns the file with the certificate.
fn make_key(folder: &Path, name: &str) -> PathBuf {
    let keytool = |arguments: &str| {
        let mut command = Command::new("keytool");
        command.args(arguments.split(' ')).args(["-alias", "server", "-storepass", "changeit", "-keystore"]);
        let made = command.arg(folder.join(name)).output().expect("keytool comes with Java");
        assert!(made.status.success(), "{made:?}");
    };
    keytool("-genkeypair -keyalg EC -storetype PKCS12 -validity 30 -dname CN=server -ext SAN=IP:127.0.0.1");
    let certificate = folder.join(format!("{name}.pem"));
    keytool(&format!("-exportcert -rfc -file {}", certificate.display()));
    certificate
}

/// Makes the store of those who sign the certificates of clients.
fn trust(folder: &Path, authority: &Authority) {
    let file = folder.join("clients.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let mut command = Command::new("keytool");
    command.args("-importcert -noprompt -alias clients -storetype PKCS12 -storepass changeit -file".split(' '));
    let made = command.arg(file).arg("-keystore").arg(folder.join("trusted")).output().unwrap();
    assert!(made.status.success(), "{made:?}");
}

fn locked_server(folder: &Path) -> Server {
    let keys = folder.join("keys");
    let extra = format!(
        "authenticator: PasswordAuthenticator\nclient_encryption_options: {{ enabled: true, optional: false, \
         keystore: {}, keystore_password: changeit, store_type: PKCS12, require_client_auth: true, \
         truststore: {}, truststore_password: changeit }}\n",
        keys.display(),
        folder.join("trusted").display()
    );
    let (port, storage_port) = free_ports(&["127.0.0.1"]);
    Server::start("127.0.0.1", port, storage_port, "127.0.0.1", &extra)
}

fn login(password: &str) -> Option<Login> {
    Some(Login { user: "cassandra".to_owned(), password: Secret::new(password) })
}

async fn refusal(options: CassandraOptions) -> OpenError {
    CassandraStore::open(&options, clock()).await.err().unwrap()
}

#[tokio::test]
async fn a_cluster_that_is_locked_is_entered_with_the_right_key_alone() {
    let folder = TempDir::new().unwrap();
    let of_clients = Authority::new();
    let files = of_clients.write(folder.path(), "client", &["client"]);
    let own = TlsFiles { certificate: files.certificate, key: files.key };
    let identity = Some(own.clone());
    trust(folder.path(), &of_clients);
    let (authority, stranger) = (make_key(folder.path(), "keys"), make_key(folder.path(), "others"));
    let path = folder.path().to_owned();
    let server = tokio::task::spawn_blocking(move || locked_server(&path)).await.unwrap();
    let nodes = vec![server.address().to_owned()];
    let mut options = options_of(nodes, &new_keyspace(), 1);
    options.tls = Some(Tls { authorities: authority.clone(), identity: identity.clone() });
    options.login = login("cassandra");

    let (store, room) = (open(&options).await, RoomId::new(7).unwrap());
    assert_eq!(persist(|| store.raise(room, None, Raiser(1))).await, Raised::Won);

    // Nobody but the store has asked this server anything.
    let log = server.log();
    assert!(log.contains("CREATE TABLE") || log.contains("keyspace"), "it says what it is asked for: {log}");
    assert!(!log.contains("anti-pattern"), "each statement names its keyspace: {log}");

    let wrong = CassandraOptions { login: login("guessed"), ..options.clone() };
    assert!(matches!(refusal(wrong).await, OpenError::Connect { .. }), "a wrong password");
    let wrong = CassandraOptions { login: None, ..options.clone() };
    assert!(matches!(refusal(wrong).await, OpenError::Connect { .. }), "no password");
    let wrong =
        CassandraOptions { tls: Some(Tls { authorities: stranger, identity: identity.clone() }), ..options.clone() };
    assert!(matches!(refusal(wrong).await, OpenError::Connect { .. }), "a server that nobody vouches for");
    let unknown = Authority::new().write(folder.path(), "unknown", &["client"]);
    let unknown = TlsFiles { certificate: unknown.certificate, key: unknown.key };
    for identity in [None, Some(unknown)] {
        let wrong = CassandraOptions { tls: Some(Tls { authorities: authority.clone(), identity }), ..options.clone() };
        assert!(matches!(refusal(wrong).await, OpenError::Connect { .. }), "a client that nobody vouches for");
    }
    let missing = TlsFiles { key: folder.path().join("missing.key"), ..own };
    let wrong =
        CassandraOptions { tls: Some(Tls { authorities: authority, identity: Some(missing) }), ..options.clone() };
    assert!(matches!(refusal(wrong).await, OpenError::Certificates(_)));
    let wrong = CassandraOptions { tls: None, ..options.clone() };
    assert!(matches!(refusal(wrong).await, OpenError::Connect { .. }), "without encryption");

    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate\n").unwrap();
    for authorities in [empty, folder.path().join("missing.pem")] {
        let wrong = CassandraOptions { tls: Some(Tls { authorities, identity: None }), ..options.clone() };
        assert!(matches!(refusal(wrong).await, OpenError::Certificates(_)));
    }
}
