//! Bobchat, the server.

pub mod web;
