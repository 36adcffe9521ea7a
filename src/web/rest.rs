//! The REST API: each route reads a request, hands it to one of the core's operations, and writes the
//! answer. It decides nothing.
//!
//! - [`routes`]: which path and method is which handler.
//! - `session`, `rooms`, `messages`, `people`, `nodes`: the handlers, by what they are about.
//! - `extract`: what handlers take out of a request: the caller, identifiers, bodies, pages.
//! - `openapi`, `bounds`: the document of it all.
//! - `guests`: how many guests an address may create.
//! - `observe`: the span and the metrics around each request.

mod answer;
mod bodies;
mod bounds;
mod extract;
mod guests;
mod messages;
mod nodes;
mod observe;
mod openapi;
mod people;
mod rooms;
mod routes;
mod session;

use std::rc::Rc;
use std::sync::Arc;

use bobchat_actors::Worker;

use crate::auth;
use crate::config::Network;
use crate::telemetry::metrics::HttpMetrics;

pub use guests::GuestLimit;
pub use openapi::document;
pub use routes::configure;

/// What the routes of one worker thread need.
#[derive(Clone)]
pub struct Edge {
    /// The thread's part of the core.
    pub worker: Rc<Worker>,
    /// Signs people in.
    pub auth: Arc<auth::Service>,
    /// How many guests an address may create.
    pub guests: Arc<GuestLimit>,
    /// Whose word on a client's address counts.
    pub trusted_proxies: Arc<[Network]>,
    /// Counts requests.
    pub metrics: HttpMetrics,
}
