//! The one shape of errors, as HTTP.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use bobchat_proto::error::ErrorCode;
use bobchat_proto::wire;

use super::error::status;

/// An error on its way to a client: any handler may end with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    error: wire::Error,
    /// The methods that would have been right, for `Allow`.
    allowed: Option<String>,
}

/// What a handler gives.
pub type Answer = Result<HttpResponse, Failure>;

impl Failure {
    /// An error with this code and message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        code.error(message).into()
    }

    /// The request has a fault in `field`.
    pub fn in_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        ErrorCode::InvalidRequest.error(message).with_field(field).into()
    }

    /// The path is right, the method is not.
    pub fn method_not_allowed(allowed: impl Into<String>) -> Self {
        let error = ErrorCode::MethodNotAllowed.error("the method does not fit the path; see /api/docs");
        Self { error, allowed: Some(allowed.into()) }
    }

    /// There is nothing at this path.
    #[must_use]
    pub fn no_such_path() -> Self {
        Self::new(ErrorCode::NotFound, "there is nothing at this path; see /api/docs")
    }

    /// The error that the client gets.
    #[must_use]
    pub fn error(&self) -> &wire::Error {
        &self.error
    }
}

impl From<wire::Error> for Failure {
    fn from(error: wire::Error) -> Self {
        Self { error, allowed: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error.code, self.error.message)
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        ErrorCode::parse(&self.error.code).map_or(StatusCode::INTERNAL_SERVER_ERROR, status)
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let mut response = HttpResponse::build(status);
        if status == StatusCode::UNAUTHORIZED {
            // RFC 6750 section 3; the code in the body says more.
            response.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"bobchat\""));
        }
        if let Some(allowed) = &self.allowed {
            response.insert_header((ALLOW, allowed.as_str()));
        }
        if let Some(seconds) = retry_after_seconds(&self.error, status) {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        response.json(&self.error)
    }
}

/// Whole seconds, rounded up; at least one where the status wants a wait.
fn retry_after_seconds(error: &wire::Error, status: StatusCode) -> Option<u64> {
    let wants_wait = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    match error.retry_after_ms {
        Some(millis) => Some(millis.div_ceil(1000).max(1)),
        None => wants_wait.then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn temporary_errors_are_never_the_clients_fault_and_say_when_to_come_back() {
        for code in ErrorCode::ALL.iter().copied() {
            let failure = Failure::from(code.error("why"));
            let status = failure.status_code();
            let is_a_wait = matches!(status.as_u16(), 429 | 503);
            assert_eq!(code.is_temporary(), status.is_server_error() || is_a_wait, "{code:?}");
            assert_eq!(failure.error_response().headers().contains_key(RETRY_AFTER), is_a_wait, "{code:?}");
        }
    }

    #[test]
    fn headers_repeat_what_the_body_says() {
        let limited = ErrorCode::RateLimited.error("slow").with_retry_after(Duration::from_millis(1_200));
        let response = Failure::from(limited).error_response();
        assert_eq!(response.headers().get(RETRY_AFTER).unwrap(), "2");
        let response = Failure::new(ErrorCode::TokenExpired, "ended").error_response();
        assert_eq!(response.headers().get(WWW_AUTHENTICATE).unwrap(), "Bearer realm=\"bobchat\"");
        let response = Failure::method_not_allowed("GET, POST").error_response();
        assert_eq!(response.headers().get(ALLOW).unwrap(), "GET, POST");
    }
}
