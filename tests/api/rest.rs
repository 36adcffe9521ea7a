//! The API over HTTP: what it does, and how it refuses.

mod admin;
mod http;
mod matrix;
mod messages;
mod mistakes;
mod nodes;
mod openapi;
mod pages;
mod rooms;
mod tokens;

pub(crate) use http::Http;
