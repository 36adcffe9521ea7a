//! What is good enough to try the server, and not to run it for people: refused where `server.production` is set. Each
//! refusal is a line of the table in docs/operations.md.

use std::net::{IpAddr, SocketAddr};

use super::login::Login;
use super::read::Reader;
use super::{Config, Telemetry};

/// Passwords that stand in examples and defaults, and at the head of every list that is tried.
const WELL_KNOWN: [&str; 18] = [
    "123456",
    "12345678",
    "admin",
    "bobchat",
    "cassandra",
    "changeit",
    "changeme",
    "default",
    "example",
    "foobared",
    "guest",
    "letmein",
    "pass",
    "passw0rd",
    "password",
    "redis",
    "root",
    "secret",
];

/// Shorter ones can be guessed in the time that a network allows.
const PASSWORD_BYTES_MIN: usize = 12;

/// Refuses all of it at once.
pub(super) fn judge(config: &Config, reader: &mut Reader) {
    front(config, reader);
    operators(config, reader);
    guests(config, reader);
    if let Some(cluster) = &config.cluster {
        let (redis, cassandra) = (&cluster.redis, &cluster.cassandra);
        login("redis", &redis.login, redis.identity.is_some(), reader);
        login("cassandra", &cassandra.login, cassandra.identity.is_some(), reader);
    }
    collector(&config.telemetry, reader);
}

/// Passwords and tokens must not cross a network in the clear, and every client must have an address of its own.
fn front(config: &Config, reader: &mut Reader) {
    let server = &config.server;
    if server.tls.is_none() && server.trusted_proxies.is_empty() {
        let expected = "in production: plain HTTP needs a proxy in front that ends TLS; name it in \
            server.trusted_proxies, or give server.tls_certificate and server.tls_key";
        reader.refuse("server", "listen", expected);
    }
    if server.trusted_proxies.iter().any(super::Network::is_everything) {
        let expected = "in production: with every address trusted each client says itself which one it has, and no \
            limit by address holds; name the proxies alone";
        reader.refuse("server", "trusted_proxies", expected);
    }
}

fn operators(config: &Config, reader: &mut Reader) {
    let server = &config.server;
    if !server.admin_guarded && is_open(server.admin_listen) {
        let expected = "in production: whoever reaches this address sees metrics and may try the operator's commands; \
            use 127.0.0.1 or a private address, or say server.admin_guarded = true when a firewall or a network \
            policy keeps strangers from it";
        reader.refuse("server", "admin_listen", expected);
    }
}

fn guests(config: &Config, reader: &mut Reader) {
    if config.auth.guests && !reader.is_given("auth", "guests") {
        let expected = "in production: by default anybody signs in by choosing a name; say auth.guests = true if that \
            is meant, else false";
        reader.refuse("auth", "guests", expected);
    }
}

fn login(section: &str, login: &Login, has_identity: bool, reader: &mut Reader) {
    let Some(password) = &login.password else {
        if !has_identity {
            let expected = format!(
                "in production: without a password, nor a certificate, whoever reaches the service has all that was \
                 said; give {section}.password_file, or {section}.client_certificate and {section}.client_key"
            );
            reader.refuse(section, "password", expected);
        }
        return;
    };
    let key = if reader.is_given(section, "password_file") { "password_file" } else { "password" };
    let password = password.reveal();
    if password.is_empty() {
        reader.refuse(section, key, "in production: the password is empty; put one there");
    } else if WELL_KNOWN.contains(&password.to_ascii_lowercase().as_str())
        || login.username.as_deref() == Some(password)
    {
        let expected = "in production: this password is one that everybody tries first; make one, as with `openssl rand \
            -hex 24`";
        reader.refuse(section, key, expected);
    } else if password.len() < PASSWORD_BYTES_MIN {
        let expected = format!("in production: a password has {PASSWORD_BYTES_MIN} bytes or more");
        reader.refuse(section, key, expected);
    }
}

fn collector(telemetry: &Telemetry, reader: &mut Reader) {
    let in_clear = telemetry.otlp_endpoint.as_ref().and_then(|endpoint| endpoint.as_str().strip_prefix("http://"));
    let is_here = |host: &str| ["localhost", "127.0.0.1", "[::1]"].iter().any(|here| is_host(host, here));
    if telemetry.otlp_authorization.is_some() && in_clear.is_some_and(|host| !is_here(host)) {
        let expected =
            "in production: telemetry.otlp_authorization would cross the network in the clear; write https://";
        reader.refuse("telemetry", "otlp_endpoint", expected);
    }
}

fn is_host(address: &str, host: &str) -> bool {
    address.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
}

/// Whether others than this machine and its own networks may reach it.
fn is_open(address: SocketAddr) -> bool {
    match address.ip().to_canonical() {
        IpAddr::V4(address) => !(address.is_loopback() || address.is_private() || address.is_link_local()),
        IpAddr::V6(address) => !(address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()),
    }
}
