//! The binary as an operator meets it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

use bobchat::auth::install_cryptography;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::certificates::Authority;
use crate::client::Client;
use crate::rest::Http;
use crate::server::TestServer;
use crate::tls::shake;

/// The key of a site that exists in this test alone (RFC 8410, section 10.3).
const SITE_PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";

const SITE_PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";

fn bobchat(arguments: &[&str]) -> Command {
    // No configuration of whoever runs the tests.
    configured("/dev/null", arguments)
}

fn configured(file: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bobchat"));
    command.env_clear().arg("--config").arg(file).args(arguments).stdin(Stdio::null());
    command
}

/// What `bobchat check` answers with these settings, as in the environment: its exit code and all that it says.
pub(crate) fn check_with(settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let data = tempfile::tempdir().unwrap();
    let mut command = bobchat(&["--data", data.path().to_str().unwrap(), "check"]);
    command.envs(settings.iter().map(|(key, value)| (format!("BOBCHAT__{key}"), value)));
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = bobchat(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A server of its own process, ended when it is dropped.
struct Running {
    child: Child,
    banner: String,
    /// A file: what nobody reads must not fill a pipe and stop the server.
    log: tempfile::NamedTempFile,
}

impl Running {
    fn start(data: &str) -> Self {
        Self::with("/dev/null", data, "info")
    }

    fn with(config: &str, data: &str, log_filter: &str) -> Self {
        Self::under(config, data, ("BOBCHAT__TELEMETRY__LOG_FILTER", log_filter))
    }

    fn under(config: &str, data: &str, (variable, value): (&str, &str)) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let arguments = ["--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let mut command = configured(config, &arguments);
        command.env(variable, value);
        let mut child = command.stdout(Stdio::piped()).stderr(log.reopen().unwrap()).spawn().unwrap();
        let mut banner = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while !banner.contains("to stop it") {
            assert_ne!(lines.read_line(&mut banner).unwrap(), 0, "it ended: {banner}");
        }
        Self { child, banner, log }
    }

    fn url(&self) -> String {
        let (_, url) = self.banner.split_once("is ready: ").unwrap();
        url.lines().next().unwrap().to_owned()
    }

    fn operators_url(&self) -> String {
        let (_, url) = self.banner.split_once("for operators  ").unwrap();
        url.split_whitespace().next().unwrap().to_owned()
    }

    /// Tells it to end, and waits until it has.
    fn terminate(mut self) -> (i32, String) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let code = self.child.wait().unwrap().code().unwrap();
        (code, std::fs::read_to_string(self.log.path()).unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Anybody could fill the log, and wake whoever is woken by errors.
#[test]
fn a_request_that_cannot_be_read_is_no_error_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path().to_str().unwrap());
    let mut stream = TcpStream::connect(server.url().strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\x01: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let (_, log) = server.terminate();
    assert!(!log.contains("\"level\":\"error\"") && !log.contains("\"level\":\"warn\""), "{log}");
}

#[test]
fn a_server_says_where_it_is_and_ends_in_good_order() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path().to_str().unwrap());
    for part in [env!("CARGO_PKG_VERSION"), "http://127.0.0.1:", folder.path().to_str().unwrap(), "Ctrl-C"] {
        assert!(server.banner.contains(part), "{part} in {}", server.banner);
    }
    let (code, log) = server.terminate();
    assert_eq!(code, 0, "{log}");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.iter().any(|line| line["message"] == "the server has ended"), "{log}");
}

/// All log lines there are: also those that are left out unless one asks for them by name.
const EVERYTHING: &str = "trace,actix_http=trace,actix_server=trace";

#[tokio::test]
async fn no_log_line_holds_a_token_or_a_text_at_any_level() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::with("/dev/null", folder.path().to_str().unwrap(), EVERYTHING);
    let ada = Http::at(&server.url()).signed_up("Ada");
    let room = ada.make_room("tea");
    ada.say(&room, "canary-over-rest");
    let address = server.url().strip_prefix("http://").unwrap().parse().unwrap();
    let mut socket = Client::signed_in(address, ada.token()).await;
    socket.say(&room, "canary-over-socket").await;
    ada.post("/api/v1/tokens/refresh", &json!({"refresh_token": ada.refresh_token})).ok(200);
    ada.with_token("canary-token").get("/api/v1/me?canary-query=1").error(401, "unauthenticated");
    drop(socket);
    let (_, log) = server.terminate();
    assert!(log.lines().count() > 20, "{log}");
    for secret in ["canary", ada.token(), ada.refresh_token.as_str()] {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} in {line:?}");
    }
}

#[tokio::test]
async fn no_secret_of_a_file_is_printed_at_any_level() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let files = authority.write(folder.path(), "server", &["127.0.0.1"]);
    std::fs::write(path("ca.pem"), authority.pem()).unwrap();
    std::fs::write(path("secret"), "canary-of-a-file\n").unwrap();
    let text = format!(
        "[server]\ntls_certificate = {:?}\ntls_key = {:?}\n[telemetry]\notlp_endpoint = \"https://127.0.0.1:1\"\n\
         otlp_certificates = {:?}\notlp_authorization_file = {:?}\n",
        files.certificate,
        files.key,
        path("ca.pem"),
        path("secret"),
    );
    std::fs::write(path("config.toml"), text).unwrap();
    let server = Running::with(&path("config.toml"), &path("data"), EVERYTHING);
    let address = server.url().strip_prefix("https://").unwrap().parse().unwrap();
    shake(address, authority.client(&[])).await.expect("it is let in");
    let (_, log) = server.terminate();
    let mut check = configured(&path("config.toml"), &["--data", &path("other"), "check"]);
    for (service, key, address) in [("REDIS", "URL", "redis://127.0.0.1:1"), ("CASSANDRA", "NODES", "127.0.0.1:1")] {
        check.env(format!("BOBCHAT__{service}__{key}"), address);
        check.env(format!("BOBCHAT__{service}__PASSWORD_FILE"), path("secret"));
    }
    let Output { stdout, stderr, .. } = check.output().unwrap();
    let checked = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert!(log.lines().count() > 20 && checked.contains("The configuration is valid"), "{log} {checked}");
    let key = std::fs::read_to_string(&files.key).unwrap();
    for secret in key.lines().filter(|line| !line.starts_with('-')).chain(["canary"]) {
        let line = log.lines().chain(checked.lines()).find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} in {line:?}");
    }
}

/// What fails is logged more than what succeeds.
#[tokio::test]
async fn no_log_line_holds_what_was_tried_in_vain_or_is_broken_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::with("/dev/null", folder.path().to_str().unwrap(), EVERYTHING);
    let address = server.url().strip_prefix("http://").unwrap().parse().unwrap();
    let stranger = Http::at(&server.url());
    let ada = stranger.signed_up("Ada");
    let room = ada.make_room("tea");
    let json = [("content-type", "application/json")];
    ada.call("POST", "/api/v1/rooms/1%0d%0a%1b%5b31m/messages", &json, br#"{"text":"canary-body"}"#);
    ada.call("POST", &format!("/api/v1/rooms/{room}/messages"), &json, b"{\"text\":\"canary-cut");
    ada.post(&format!("/api/v1/rooms/{room}/messages"), &json!({"text": ["canary-list"]}));
    ada.post("/api/v1/guests", &json!({"name": "canary\r\n\u{1b}[31m"})).error(400, "invalid_request");
    ada.post("/api/v1/tokens/refresh", &json!({"refresh_token": "canary-refresh"})).error(401, "unauthenticated");
    ada.get("/api/v1/rooms/search?query=canary-query&canary-parameter=1");
    stranger.call("GET", "/api/v1/me", &[("authorization", "Basic canary-basic")], b"");
    stranger.call("GET", "/api/v1/me", &[("cookie", "token=canary-cookie"), ("traceparent", "canary-trace")], b"");
    for first in [r#"{"id":1,"auth":{"token":"canary-frame"}}"#, r#"{"id":1,"message_send":{"text":"canary-early"}}"#] {
        let mut socket = Client::connect(address).await;
        socket.send_raw(first).await;
        socket.closed().await.unwrap();
    }
    let mut socket = Client::signed_in(address, ada.token()).await;
    socket.send_raw(r#"{"id":1,"message_send":{"room":"1","key":"canary key","text":"canary-key"}}"#).await;
    socket.send_raw(r#"{"id":2,"message_send":{"room":1,"text":"canary-type"}} canary-behind"#).await;
    socket.send_raw("canary, and no JSON\r\n\u{1b}[31m").await;
    socket.ok("ping", json!({})).await;
    drop(socket);
    let (code, log) = server.terminate();
    assert_eq!(code, 0, "{log}");
    assert!(log.lines().count() > 20, "{log}");
    for line in log.lines() {
        assert!(!line.contains("canary"), "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object()), "{line}");
    }
}

#[test]
fn what_keeps_it_from_starting_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap().to_owned();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let free = "127.0.0.1:0";
    let running = TestServer::start();
    let used = running.data().to_str().unwrap().to_owned();
    for (data, listen, admin, expected) in [
        (data.as_str(), taken.as_str(), free, format!("could not listen on {taken}: ")),
        (data.as_str(), free, taken.as_str(), format!("could not listen on {taken}: ")),
        ("/dev/null/data", free, free, "could not write to the data folder /dev/null/data: ".to_owned()),
        (used.as_str(), free, free, format!("the data folder {used} is in use by another process")),
    ] {
        let taken = std::net::TcpListener::bind(&taken);
        let (code, _, stderr) = run(&["--data", data, "--listen", listen, "--admin-listen", admin]);
        drop(taken);
        let line = stderr.lines().find(|line| line.starts_with("bobchat: ")).unwrap_or_default();
        assert!(line.contains(&expected), "{expected} in {stderr}");
        assert_eq!(code, 1, "{stderr}");
    }
}

/// Whole builds of the workspace can have bugs planted, which the torture and the simulation look for.
#[cfg(feature = "planted-bugs")]
#[test]
fn a_build_for_tests_says_which_bug_it_has_and_knows_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    for (asked, planted) in [("", "none"), ("double-on-retry", "double-on-retry")] {
        let server = Running::under("/dev/null", data, ("BOBCHAT_PLANT", asked));
        let health = Http::at(&server.operators_url()).get("/healthz");
        let expected = format!("alive, built with planted-bugs for tests, planted: {planted}\n");
        assert_eq!((health.status, health.text), (200, expected));
        assert_eq!(server.terminate().0, 0);
    }
    let refused = bobchat(&["--data", data]).env("BOBCHAT_PLANT", "bogus").output().unwrap();
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    for part in ["BOBCHAT_PLANT: there is no bug \"bogus\"", "ack-before-write", "removed-member-accepted"] {
        assert!(stderr.contains(part), "{part} in {stderr}");
    }
}

#[test]
fn a_bad_configuration_names_every_fault_and_ends_with_two() {
    for command in [&["check"][..], &[][..], &["backup", "/dev/null/x"][..]] {
        let mut bobchat = bobchat(command);
        bobchat.env("BOBCHAT__SERVER__LISTEN", "here").env("BOBCHAT__LIMITS__SENDS_BURST", "0");
        bobchat.env("BOBCHAT__TYPO__KEY", "1");
        let output = bobchat.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        for part in ["3 faults", "server.listen = \"here\"", "limits.sends_burst = \"0\"", "expected 1 to", "typo"] {
            assert!(stderr.contains(part), "{part} in {stderr}");
        }
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn check_shows_what_holds_in_the_form_of_a_file() {
    let (code, stdout, _) = run(&["check", "--listen", "127.0.0.1:1234"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("[server]\nlisten = \"127.0.0.1:1234\"  # --listen\n"), "{stdout}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shown.toml");
    std::fs::write(&file, &stdout).unwrap();
    let again =
        Command::new(env!("CARGO_BIN_EXE_bobchat")).env_clear().arg("check").arg("--config").arg(&file).output();
    assert!(again.unwrap().status.success(), "what is shown can be used as a file");
}

#[test]
fn commands_work_with_a_server_and_without() {
    let server = TestServer::start();
    Http::guest(&server, "Ada");
    let data = server.data().to_str().unwrap().to_owned();
    let admin = server.admin_address.to_string();
    let with = ["--data", data.as_str(), "--admin-listen", admin.as_str()];
    let grant = |handle: &str| run(&[&["admin", "grant", handle][..], &with].concat());
    assert_eq!(grant("@ada"), (0, "@ada is an administrator now\n".to_owned(), String::new()));
    assert_eq!(grant("@nobody").0, 1);
    let nodes = || run(&[&["nodes"][..], &with].concat());
    let (code, stdout, _) = nodes();
    let lines: Vec<Vec<&str>> = stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((code, lines.len(), lines[1][2]), (0, 2, server.address.to_string().as_str()), "{stdout}");
    let tokens = || {
        let (code, stdout, stderr) = run(&[&["token", "--count", "2", "--seconds", "60"][..], &with].concat());
        assert_eq!(code, 0, "{stderr}");
        stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let online = tokens();
    let load = Http::stranger(server.address).with_token(online[0]["access_token"].as_str().unwrap());
    assert_eq!(load.get("/api/v1/me").ok(200)["handle"], "load-000001");
    let folder = server.stop();
    assert!(folder.path().exists());
    assert_eq!(tokens()[1]["user"], online[1]["user"], "the same users, without a server");
    assert_eq!(nodes().0, 1, "nobody to ask");
    assert_eq!(grant("ada").0, 0);
    assert_eq!(grant("nobody").0, 1);
}

#[test]
fn a_backup_of_a_running_server_can_be_restored_and_served() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    let room = ada.make_room("tea");
    ada.say(&room, "before");
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.redb").to_str().unwrap().to_owned();
    let data = server.data().to_str().unwrap().to_owned();
    let admin = server.admin_address.to_string();
    let backup = || run(&["backup", &copy, "--data", &data, "--admin-listen", &admin]);
    let (code, stdout, stderr) = backup();
    assert!(code == 0 && stdout.ends_with(&format!("bytes copied to {copy}\n")), "{stdout}{stderr}");
    assert_eq!(backup().0, 1, "a copy is not overwritten");
    ada.say(&room, "after");
    assert_eq!(run(&["restore", &copy, "--data", &data]).0, 1, "there is a store already");
    let restored = folder.path().join("data").to_str().unwrap().to_owned();
    let (code, _, stderr) = run(&["restore", &copy, "--data", &restored]);
    assert_eq!(code, 0, "{stderr}");
    let running = Running::start(&restored);
    let again = Http::at(&running.url()).with_token(ada.token());
    let page = again.get(&format!("/api/v1/rooms/{room}/messages")).ok(200);
    let texts: Vec<&Value> =
        page["messages"].as_array().unwrap().iter().map(|event| &event["message"]["text"]).collect();
    assert_eq!(texts, ["before"]);
    // A device that was used after the copy was made is signed in all the same.
    again.post("/api/v1/tokens/refresh", &json!({"refresh_token": ada.refresh_token})).ok(200);
    assert_eq!(running.terminate().0, 0);
}

#[test]
fn tokens_of_the_operators_own_site_are_accepted_and_their_people_land_like_guests() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("site.pem"), SITE_PUBLIC_KEY).unwrap();
    let external = format!("issuer = \"site\"\naudience = \"chat\"\nkey_file = {:?}\n", path("site.pem"));
    std::fs::write(path("site.toml"), format!("[auth]\nguests = false\n[[auth.external]]\n{external}")).unwrap();
    let server = Running::with(&path("site.toml"), &path("data"), "info");
    let stranger = Http::at(&server.url());
    stranger.post("/api/v1/guests", &json!({"name": "Ada"})).error(403, "forbidden");
    install_cryptography();
    let key = EncodingKey::from_ed_pem(SITE_PRIVATE_KEY.as_bytes()).unwrap();
    let token = |audience: &str| {
        let expires = jsonwebtoken::get_current_timestamp() + 60;
        let claims = json!({"iss": "site", "aud": audience, "sub": "17", "name": "Grace", "exp": expires});
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &key).unwrap()
    };
    stranger.with_token(&token("elsewhere")).get("/api/v1/me").error(401, "unauthenticated");
    let grace = stranger.with_token(&token("chat"));
    assert_eq!(grace.get("/api/v1/me").ok(200)["handle"], "grace");
    let landed = (0..3_000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        grace.get("/api/v1/rooms").ok(200)["rooms"][0]["settings"]["name"] == "welcome"
    });
    assert!(landed, "the welcome room is not among their rooms");
    grace.call("DELETE", "/api/v1/session", &[], b"").error(403, "forbidden");
    std::fs::write(path("site.pem"), "no key").unwrap();
    let output = configured(&path("site.toml"), &["check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("is not a public key in PEM"));
}

/// `bobchat config`, on a server of its own process.
fn change(server: &Running, data: &str, arguments: &[&str]) {
    let admin = server.operators_url();
    let with = ["--data", data, "--admin-listen", admin.strip_prefix("http://").unwrap()];
    let (code, stdout, stderr) = run(&[&["config"][..], arguments, &with].concat());
    assert_eq!(code, 0, "{stdout}{stderr}");
}

#[test]
fn the_level_of_the_log_changes_by_module_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let server = Running::start(data);
    let told = |what: &str| {
        let log = std::fs::read_to_string(server.log.path()).unwrap();
        log.lines().filter(|line| line.contains(what)).count()
    };
    let is_told = |times: usize| {
        (0..3_000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            told("request answered") == times
        })
    };
    let request = || assert_eq!(Http::at(&server.url()).get("/api/v1/me").status, 401);
    request();
    change(&server, data, &["set", "telemetry.log_filter=warn,bobchat::web=debug"]);
    request();
    assert!(is_told(1), "{}", std::fs::read_to_string(server.log.path()).unwrap());
    change(&server, data, &["rollback"]);
    (0..3).for_each(|_| request());
    assert_eq!(told("request answered"), 1, "silent again");
    assert_eq!(told("an operator changed settings"), 1, "the first at info, the second while it was at warn");
}

#[test]
fn guests_are_switched_off_and_on_and_those_who_are_there_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("site.pem"), SITE_PUBLIC_KEY).unwrap();
    let external = format!("issuer = \"site\"\naudience = \"chat\"\nkey_file = {:?}\n", path("site.pem"));
    std::fs::write(path("site.toml"), format!("[[auth.external]]\n{external}")).unwrap();
    let server = Running::with(&path("site.toml"), &path("data"), "info");
    let stranger = Http::at(&server.url());
    let ada = stranger.signed_up("Ada");
    change(&server, &path("data"), &["set", "auth.guests=false"]);
    stranger.post("/api/v1/guests", &json!({"name": "Eve"})).error(403, "forbidden");
    ada.get("/api/v1/me").ok(200);
    change(&server, &path("data"), &["unset", "auth.guests"]);
    stranger.signed_up("Eve");
}

#[test]
fn a_demonstration_fills_rooms_through_the_api() {
    let server = TestServer::start();
    let url = format!("http://{}", server.address);
    for _ in 0..2 {
        let (code, stdout, stderr) = run(&["demo", "--url", &url, "--rooms", "2", "--messages", "12", "--seed", "7"]);
        assert_eq!((code, stdout.as_str()), (0, "7 people said 12 things in 2 rooms\n"), "{stderr}");
    }
    let visitor = Http::guest(&server, "Visitor");
    let rooms = visitor.get("/api/v1/rooms/search").ok(200);
    let names: Vec<&Value> = rooms["rooms"].as_array().unwrap().iter().map(|room| &room["settings"]["name"]).collect();
    assert_eq!(names, [&json!("welcome"), &json!("kitchen"), &json!("release")], "each made once");
    let said: u64 = rooms["rooms"].as_array().unwrap()[1..].iter().map(|room| room["ordinal"].as_u64().unwrap()).sum();
    assert_eq!(said, 24);
}
