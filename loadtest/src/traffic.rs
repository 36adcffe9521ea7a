//! What members do, each kind on its own open-loop schedule.
//!
//! - [`connect`]: they come. [`reconnect`]: their connections are lost, and they come back.
//! - [`history`]: they open rooms and scroll. [`typing`]: they type. Posting is [`crate::load`].
//! - [`crowd`]: what is on its way. [`tokens`]: what keeps them signed in.

mod connect;
mod crowd;
mod history;
mod reconnect;
mod tokens;
mod typing;

use std::rc::Rc;
use std::time::Duration;

use bobchat_proto::wire::{self, client_frame::Request, ok};
use indicatif::ProgressBar;

use crate::client::{Credentials, Fleet, Member, Target};
use crate::load::{Until, Window};
use crate::scenario::Scenario;
use crowd::Crowd;

/// Does all that a scenario says, to its end. `users` are those of the members, in their order.
///
/// # Errors
/// When the kernel refuses a timer, or the tokens of users cannot be renewed.
pub(crate) async fn run(
    scenario: &Scenario,
    fleet: &Fleet,
    users: Vec<Credentials>,
    target: &Target,
) -> anyhow::Result<()> {
    let crowd = Crowd::new(Rc::clone(&fleet.shared));
    let work = async {
        tokio::try_join!(
            post(scenario, fleet),
            connect::run(scenario, fleet, &crowd),
            history::run(scenario, fleet, &crowd),
            typing::run(scenario, fleet, &crowd),
            reconnect::run(scenario, fleet, &crowd),
            stay(scenario.seconds),
        )
    };
    tokio::select! {
        done = work => { done?; }
        failed = tokens::keep(fleet, users, target) => failed?,
    }
    crowd.wait_until_gone().await;
    Ok(())
}

async fn post(scenario: &Scenario, fleet: &Fleet) -> anyhow::Result<()> {
    if let Some(schedule) = scenario.schedule() {
        schedule.run(fleet).await?;
    }
    if let Some(window) = scenario.window {
        let window = Window { window: window.messages, until: Until::Seconds(scenario.seconds) };
        window.run(fleet, &ProgressBar::hidden()).await;
    }
    Ok(())
}

async fn stay(seconds: f64) -> anyhow::Result<()> {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    Ok(())
}

/// Asks until there is an answer: whoever loses the connection asks again when it is back. `None` at the end of the
/// run.
async fn ask(member: &Rc<Member>, request: Request) -> Option<Result<ok::Result, wire::Error>> {
    loop {
        member.wait_until_here().await;
        if member.shared.closing.get() {
            return None;
        }
        if let Ok(answer) = member.ask(request.clone()).await {
            return Some(answer);
        }
        tokio::task::yield_now().await;
    }
}
