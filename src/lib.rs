//! Bobchat, the server.

pub mod adapters;
pub mod auth;
pub mod cli;
pub mod config;
pub mod fuzz;
pub mod operator;
pub mod pem;
pub mod secret;
pub mod settings;
pub mod startup;
pub mod telemetry;
mod trust;
pub mod web;
