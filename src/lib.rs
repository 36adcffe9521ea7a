//! Bobchat, the server.

pub mod adapters;
pub mod web;
