//! Members, each one connection, and fleets of them.

mod advice;
mod arrive;
mod fleet;
mod link;
mod member;
mod pause;
mod rest;
mod seat;
mod shared;
mod slow;
mod target;

pub(crate) use advice::of_error;
pub(crate) use arrive::come;
pub(crate) use fleet::{Crew, Fleet, Place, Shape, Slow};
pub(crate) use member::Member;
pub(crate) use pause::{Pauses, sent_away};
pub(crate) use rest::{Credentials, Refusal, prepare_places, read_tokens, renew, sign_in_guests};
pub(crate) use seat::Route;
pub(crate) use shared::Shared;
pub(crate) use target::Target;
