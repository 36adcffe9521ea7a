//! Talks to a running server: its operator's listener, or its API.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::tls::TlsConfig;
use ureq::{Agent, Body, http};

use crate::secret::Secret;
use crate::trust::{TrustError, trusting};

/// A command waits long: a backup of a big store takes minutes.
const TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// What the client may read of an answer: tokens for 100 000 users.
const ANSWER_BYTES_MAX: u64 = 128 << 20;

/// Why a server did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// Nobody listens there.
    #[error("nobody listens at {0}")]
    Nobody(String),
    /// It answered with an error.
    #[error("the server refused: {message} ({code})")]
    Refused { status: u16, code: String, message: String, retry_after: Option<Duration> },
    /// The connection broke, or what came was no answer.
    #[error("could not talk to {url}: {cause}")]
    Broken { url: String, cause: String },
}

/// One server, seen by one user.
#[derive(Clone)]
pub(super) struct Client {
    agent: Agent,
    base: String,
    token: Option<Secret>,
}

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:8080`.
    pub(super) fn new(base: impl Into<String>) -> Self {
        Self::over(TlsConfig::default(), base.into())
    }

    /// The same, over TLS where `base` says `https://`: whom to trust stands in a PEM file, or is the machine's matter.
    ///
    /// # Errors
    /// There is nobody to trust.
    pub(super) fn trusting(base: impl Into<String>, authorities: Option<&Path>) -> Result<Self, TrustError> {
        let base = base.into();
        match base.starts_with("https://") {
            true => Ok(Self::over(trusting(authorities, None)?, base)),
            false => Ok(Self::new(base)),
        }
    }

    fn over(tls: TlsConfig, base: String) -> Self {
        let config = Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false);
        let config = config.proxy(None).tls_config(tls).build();
        let base = base.trim_end_matches('/').to_owned();
        Self { agent: Agent::new_with_config(config), base, token: None }
    }

    /// The same server for who has this token.
    pub(super) fn with_token(&self, token: Secret) -> Self {
        Self { token: Some(token), ..self.clone() }
    }

    /// Reads something.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let request = self.request("GET", path).body(());
        self.answer(path, request.map(|request| self.agent.run(request)))
    }

    /// Does something, with further headers.
    pub(super) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let json = serde_json::to_vec(body).map_err(|error| self.broken(path, &error))?;
        let mut request = self.request("POST", path).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.answer(path, request.body(json).map(|request| self.agent.run(request)))
    }

    fn request(&self, method: &str, path: &str) -> http::request::Builder {
        let request = http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {}", token.reveal())),
            None => request,
        }
    }

    fn answer<T: DeserializeOwned>(
        &self,
        path: &str,
        answer: Result<Result<http::Response<Body>, ureq::Error>, http::Error>,
    ) -> Result<T, ClientError> {
        let answer = answer.map_err(|error| self.broken(path, &error))?;
        let mut answer = answer.map_err(|error| match error {
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                ClientError::Nobody(self.base.clone())
            }
            error => self.broken(path, &error),
        })?;
        let (status, body) = (answer.status(), answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec());
        let body = body.map_err(|error| self.broken(path, &error))?;
        if !status.is_success() {
            return Err(refused(status.as_u16(), &body));
        }
        // An answer without a body reads as null.
        let body = if body.is_empty() { b"null".as_slice() } else { &body };
        serde_json::from_slice(body).map_err(|error| self.broken(path, &error))
    }

    fn broken(&self, path: &str, cause: &impl ToString) -> ClientError {
        ClientError::Broken { url: format!("{}{path}", self.base), cause: cause.to_string() }
    }
}

fn refused(status: u16, body: &[u8]) -> ClientError {
    let error: bobchat_proto::wire::Error = serde_json::from_slice(body).unwrap_or_default();
    let code = if error.code.is_empty() { format!("status {status}") } else { error.code };
    ClientError::Refused {
        status,
        code,
        message: error.message,
        retry_after: error.retry_after_ms.map(Duration::from_millis),
    }
}
