//! Members, each one connection, and fleets of them.

mod advice;
mod fleet;
mod member;
mod rest;
mod shared;
mod target;

pub(crate) use fleet::{Fleet, Shape};
pub(crate) use member::Member;
pub(crate) use rest::{Credentials, prepare_places, read_tokens, sign_in_guests};
pub(crate) use target::Target;
